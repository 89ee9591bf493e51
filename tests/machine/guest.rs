//! A machine that runs, and russh's client to it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use footplate::local::host::{Host, HostEnvironment, HostSpec, Keyring, ShutDown};
use russh::client::{self, Handle, Msg};
use russh::keys::key::safe_rng;
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Sig};

/// Nothing takes nearly as long; a machine under load may.
pub const DEADLINE: Duration = Duration::from_mins(2);

pub const INSTANCE: &str = "i-0123456789abcdef0";

/// A machine with its folder, and what it asked for.
pub struct Guest {
    pub host: Host,
    pub keys: Arc<Keyring>,
    pub address: Ipv4Addr,
    pub downs: Arc<Mutex<Vec<ShutDown>>>,
    pub folder: PathBuf,
    _temporary: Option<tempfile::TempDir>,
}

/// What a machine is like, beyond its folder.
pub struct Like {
    pub environment: HostEnvironment,
    pub user_data: Option<Vec<u8>>,
    pub first_boot: bool,
    pub speed: f64,
    pub keys: Keyring,
    pub launch_key: Option<String>,
    pub datasets: Option<String>,
    pub python: PathBuf,
}

impl Default for Like {
    fn default() -> Self {
        Self {
            environment: HostEnvironment::Bare,
            user_data: None,
            first_boot: true,
            speed: 1.0,
            keys: Keyring::default(),
            launch_key: None,
            datasets: None,
            python: "python3".into(),
        }
    }
}

impl Guest {
    pub async fn boot(like: Like) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("instance");
        Self { _temporary: Some(folder), ..Self::boot_in(&path, like).await }
    }

    pub async fn boot_in(folder: &Path, like: Like) -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        // Tests run in several processes at once.
        let process = std::process::id().to_le_bytes();
        let address = Ipv4Addr::new(127, 64 + process[1] % 64, process[0], NEXT.fetch_add(1, Ordering::Relaxed));
        let (keys, downs) = (Arc::new(like.keys), Arc::<Mutex<Vec<ShutDown>>>::default());
        let host = Host::boot(HostSpec {
            instance_id: INSTANCE.to_owned(),
            folder: folder.to_owned(),
            address,
            private_address: Ipv4Addr::new(172, 31, 0, 5),
            user: "ubuntu".to_owned(),
            image: "Deep Learning AMI GPU PyTorch 1.13.1 (Ubuntu 20.04)".to_owned(),
            environment: like.environment,
            user_data: like.user_data,
            first_boot: like.first_boot,
            keys: Arc::clone(&keys),
            launch_key: like.launch_key,
            speed: like.speed,
            keeper: env!("CARGO_BIN_EXE_footplate").into(),
            python: like.python,
            datasets: like.datasets,
            variables: Vec::new(),
            asked_down: Box::new({
                let downs = Arc::clone(&downs);
                move |how| downs.lock().expect("not poisoned").push(how)
            }),
        });
        let host = host.await.expect("boots");
        Self { host, keys, address, downs, folder: folder.to_owned(), _temporary: None }
    }

    /// Logs in with a new key that was pushed.
    pub async fn login(&self) -> Client {
        let key = new_key();
        self.keys.push(INSTANCE, "ubuntu", &key.public_key().to_openssh().expect("text"));
        self.try_login("ubuntu", key).await.expect("logs in")
    }

    /// `None` when the key is refused.
    pub async fn try_login(&self, user: &str, key: PrivateKey) -> Option<Client> {
        let mut client = self.connect().await;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        let answer = client.authenticate_publickey(user, key).await.expect("answers");
        answer.success().then_some(Client(client))
    }

    pub async fn connect(&self) -> Handle<Trusting> {
        let config = Arc::new(client::Config { window_size: 1 << 20, ..client::Config::default() });
        client::connect(config, (self.address, self.host.port()), Trusting).await.expect("connects")
    }

    pub fn home(&self) -> PathBuf {
        self.folder.join("home/ubuntu")
    }

    /// Waits until a file of the home has what is wanted.
    pub async fn wait_for_file(&self, name: &str, text: &str) {
        let path = self.home().join(name);
        wait_for(&format!("{text:?} in {name}"), || std::fs::read_to_string(&path).is_ok_and(|read| read.contains(text))).await;
    }
}

pub fn new_key() -> PrivateKey {
    PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key")
}

pub async fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !done() {
        assert!(Instant::now() < deadline, "waited for {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X'])) && !stat.is_empty()
}

pub struct Trusting;

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// A connection that is logged in.
pub struct Client(pub Handle<Trusting>);

/// What came out of a command.
#[derive(Debug, Default)]
pub struct Output {
    pub out: String,
    pub err: String,
    pub status: Option<u32>,
    pub signal: Option<Sig>,
}

impl Client {
    pub async fn run(&self, command: &str) -> Output {
        let mut channel = self.0.channel_open_session().await.expect("a channel");
        channel.exec(true, command).await.expect("is asked");
        channel.eof().await.expect("is told");
        collect(&mut channel).await
    }

    /// Runs it; its output when it succeeds.
    pub async fn output(&self, command: &str) -> String {
        let output = self.run(command).await;
        assert_eq!(output.status, Some(0), "{command}: {output:?}");
        output.out
    }

    /// A login shell in a terminal of 80x24.
    pub async fn shell(&self) -> Terminal {
        let channel = self.terminal().await;
        channel.request_shell(true).await.expect("is asked");
        Terminal { channel, seen: String::new(), from: 0 }
    }

    /// A channel with a terminal, without a program.
    pub async fn terminal(&self) -> Channel<Msg> {
        let channel = self.0.channel_open_session().await.expect("a channel");
        channel.request_pty(true, "xterm-256color", 80, 24, 0, 0, &[]).await.expect("is asked");
        channel
    }
}

pub async fn collect(channel: &mut Channel<Msg>) -> Output {
    let mut output = Output::default();
    let all = async {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => output.out.push_str(&String::from_utf8_lossy(&data)),
                ChannelMsg::ExtendedData { data, .. } => output.err.push_str(&String::from_utf8_lossy(&data)),
                ChannelMsg::ExitStatus { exit_status } => output.status = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => output.signal = Some(signal_name),
                _ => {}
            }
        }
    };
    tokio::time::timeout(DEADLINE, all).await.expect("ends");
    output
}

/// A terminal that is typed into and read.
pub struct Terminal {
    pub channel: Channel<Msg>,
    pub seen: String,
    from: usize,
}

impl Terminal {
    pub async fn type_in(&mut self, text: &str) {
        self.channel.data_bytes(text.as_bytes().to_vec()).await.expect("is sent");
    }

    /// How many bytes were read so far.
    pub fn read(&self) -> usize {
        self.seen.len()
    }

    /// Reads until this text has come after what was waited for before.
    pub async fn wait_for(&mut self, text: &str) {
        let deadline = tokio::time::Instant::now() + DEADLINE;
        loop {
            if let Some(at) = self.seen[self.from..].find(text) {
                self.from += at + text.len();
                return;
            }
            let message = tokio::time::timeout_at(deadline, self.channel.wait()).await;
            match message.unwrap_or_else(|_| panic!("waited for {text:?} in {:?}", self.seen)) {
                Some(ChannelMsg::Data { data }) => self.seen.push_str(&String::from_utf8_lossy(&data)),
                Some(_) => {}
                None => panic!("it ended before {text:?}: {:?}", self.seen),
            }
        }
    }
}
