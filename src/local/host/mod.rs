//! Stands in until the machine behind an instance is merged: a listener at the address, and a console.

use std::collections::HashSet;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What an instance is, for its machine.
#[allow(dead_code)]
pub struct HostSpec {
    pub instance_id: String,
    pub folder: PathBuf,
    pub address: Ipv4Addr,
    pub user: String,
    pub image: String,
    pub environment: HostEnvironment,
    pub user_data: Option<Vec<u8>>,
    pub first_boot: bool,
    pub keys: Arc<Keyring>,
    pub speed: f64,
    pub keeper: PathBuf,
    pub python: PathBuf,
    pub datasets: Option<String>,
    pub asked_down: Box<dyn Fn(ShutDown) + Send + Sync>,
}

/// What Python an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostEnvironment {
    CondaPytorch,
    VenvPytorch,
    Bare,
}

/// What the guest asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub enum ShutDown {
    Halt,
    Reboot,
}

/// A machine.
pub struct Host {
    port: u16,
    console: String,
    task: JoinHandle<()>,
}

impl Host {
    /// # Errors
    /// When the address cannot be bound.
    pub async fn boot(spec: HostSpec) -> io::Result<Self> {
        let listener = match TcpListener::bind((spec.address, 22)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((spec.address, 0)).await?,
        };
        let port = listener.local_addr()?.port();
        std::fs::create_dir_all(spec.folder.join("etc"))?;
        let file = spec.folder.join("etc/key");
        let material = std::fs::read(&file).unwrap_or_else(|_| {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).ok();
            bytes.to_vec()
        });
        std::fs::write(&file, &material)?;
        let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
        blob.extend(material);
        let console = format!(
            "<14>cloud-init: -----BEGIN SSH HOST KEY KEYS-----\nssh-ed25519 {} root@{}\n<14>cloud-init: -----END SSH HOST KEY KEYS-----\nlogin: ",
            STANDARD.encode(blob),
            spec.instance_id
        );
        // A file in its folder is how a test plays the guest.
        let word = spec.folder.join("asked-down");
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    accepted = listener.accept() => drop(accepted),
                    () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
                }
                if let Ok(text) = std::fs::read_to_string(&word) {
                    std::fs::remove_file(&word).ok();
                    (spec.asked_down)(if text == "reboot" { ShutDown::Reboot } else { ShutDown::Halt });
                }
            }
        });
        Ok(Self { port, console, task })
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn console(&self) -> String {
        self.console.clone()
    }

    pub async fn halt(self) {
        self.task.abort();
        self.task.await.ok();
    }
}

/// The pushed keys.
#[derive(Default)]
pub struct Keyring(Mutex<HashSet<(String, String, String)>>);

impl Keyring {
    pub fn push(&self, instance: &str, user: &str, public_key: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert((
            instance.to_owned(),
            user.to_owned(),
            public_key.to_owned(),
        ));
        true
    }
}

/// The data sets.
pub struct Datasets(String);

impl Datasets {
    /// # Errors
    /// Always.
    #[allow(clippy::unused_async)]
    pub async fn open(_folder: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[must_use]
    pub fn datasets_url(&self) -> &str {
        &self.0
    }
}
