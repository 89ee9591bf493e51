//! The machine behind an instance of the local region's EC2: an SSH server on loopback, and processes that live and die
//! with the instance.
//!
//! It knows nothing of EC2's API: the service boots a [`Host`] when an instance runs and halts it when it stops. What the
//! guest wants of it (shutdown, reboot) comes by [`HostSpec::asked_down`].
//!
//! The guest is a stand-in and says so: a folder, commands and environments of its own ([`guest`], [`environment`]), and a
//! shell on this very machine. Nothing is isolated from the user's other files.

mod console;
mod datasets;
mod environment;
mod guest;
mod hostkeys;
pub mod init;
mod intake;
mod keyring;
mod machine;
mod pipes;
mod power;
mod pty;
mod server;
mod session;
mod sftp;
mod userdata;

pub use console::Console;
pub use datasets::Datasets;
pub use keyring::Keyring;
pub use power::ShutDown;

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use russh::keys::{HashAlg, PublicKey};
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use guest::Guest;
use hostkeys::HostKeys;
use machine::Machine;
use power::{Power, Word};
use server::Service;

/// Announcements that wait for a terminal whose client is slow.
const ANNOUNCEMENTS: usize = 16;
/// The port of SSH.
const SSH: u16 = 22;

/// What an instance is, for its machine.
pub struct HostSpec {
    pub instance_id: String,
    /// The instance's own folder, which survives stop and start; made when it is not there.
    pub folder: PathBuf,
    /// Its address on loopback, 127.x.
    pub address: Ipv4Addr,
    /// Its private address, e.g. 172.31.0.5: the host's name is made of it, as EC2 does.
    pub private_address: Ipv4Addr,
    /// The one user: `ubuntu` or `ec2-user`, by the AMI.
    pub user: String,
    /// The AMI's name.
    pub image: String,
    pub environment: HostEnvironment,
    /// What is run once, at the first boot, when it begins with `#!`.
    pub user_data: Option<Vec<u8>>,
    pub first_boot: bool,
    /// Who may log in.
    pub keys: Arc<Keyring>,
    /// The key that EC2 was told to put in: a line of the user's `authorized_keys`, which is written at the first boot and
    /// counts from then on as the user leaves it. Without one there is no such file for the server, only pushed keys.
    pub launch_key: Option<String>,
    /// How much faster than minutes the delays of `shutdown +N` go by; 1.0 is as they are.
    pub speed: f64,
    /// The footplate program: the machine's processes run below its hidden `local machine` command.
    pub keeper: PathBuf,
    /// The interpreter that the environments are made of: a path, or a name on PATH.
    pub python: PathBuf,
    /// [`Datasets::datasets_url`], where there is one.
    pub datasets: Option<String>,
    /// Variables of every process, beside the guest's own: where AWS is, as far as there is one.
    pub variables: Vec<(String, String)>,
    /// Called when the guest says shutdown or reboot; must not wait.
    pub asked_down: Box<dyn Fn(ShutDown) + Send + Sync>,
}

/// What Python an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostEnvironment {
    /// conda with the environments `base` and `pytorch`: `source activate pytorch`.
    CondaPytorch,
    /// One virtual environment, which images have at `/opt/pytorch`, and no conda.
    VenvPytorch,
    /// None.
    Bare,
}

/// A machine that runs. Dropping it kills everything in it, too, but does not wait for it.
pub struct Host {
    port: u16,
    console: Console,
    machine: Arc<Machine>,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Host {
    /// Boots: returns when the SSH server listens. At the address's port 22 where it may, else at a free one.
    ///
    /// # Errors
    /// When the folder cannot be used, the address is not on loopback or cannot be bound, or the keeper does not start.
    pub async fn boot(spec: HostSpec) -> io::Result<Self> {
        if !spec.address.is_loopback() {
            return Err(io::Error::other(format!("{} is not an address of loopback", spec.address)));
        }
        let console = Console::of(&spec.folder);
        let guest = Arc::new(Guest::lay_out(&spec)?);
        let keys = HostKeys::ensure(&spec.folder.join("etc/ssh"), guest.hostname())?;
        let listener = listen(spec.address).await?;
        let port = listener.local_addr()?.port();
        let power = Power::open(&guest.run_folder())?;
        console.add(opening(&spec).as_bytes())?;
        if let Err(error) = guest.python().build(&spec.python).await {
            console.add(format!("footplate: the Python environments could not be made: {error}\n").as_bytes())?;
        }
        let machine = Arc::new(Machine::start(&spec.keeper, format!("{}-{:016x}", spec.instance_id, rand::random::<u64>()))?);
        console.add(login(&guest, &keys, spec.launch_key.as_deref()).as_bytes())?;

        let (wall, _) = broadcast::channel(ANNOUNCEMENTS);
        let stop = CancellationToken::new();
        let service = Arc::new(Service {
            instance: spec.instance_id,
            user: spec.user,
            keys: spec.keys,
            authorized: spec.launch_key.is_some().then(|| guest.authorized_keys()),
            guest: Arc::clone(&guest),
            machine: Arc::clone(&machine),
            wall: wall.clone(),
        });
        let config = Arc::new(server::config(&keys));
        let script = if spec.first_boot { spec.user_data.unwrap_or_default() } else { userdata::PER_BOOT.to_vec() };
        let tasks = vec![
            tokio::spawn(server::serve(service, config, listener, stop.clone())),
            tokio::spawn(until(stop.clone(), obey(power, wall, spec.asked_down))),
            tokio::spawn(until(stop.clone(), userdata::run(script, Arc::clone(&guest), Arc::clone(&machine), console.clone()))),
        ];
        Ok(Self { port, console, machine, stop, tasks })
    }

    /// Where the SSH server listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The last 64 KiB of the console: at the first boot with the host keys as cloud-init prints them, then the login prompt.
    #[must_use]
    pub fn console(&self) -> String {
        self.console.text()
    }

    /// Ends all connections and kills everything in it; returns when nothing is left.
    pub async fn halt(mut self) {
        self.stop.cancel();
        self.machine.end().await;
        for task in self.tasks.drain(..) {
            task.await.ok();
        }
    }
}

impl Drop for Host {
    /// The keeper's standard input is closed with the last task that holds the machine.
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(address: Ipv4Addr) -> io::Result<TcpListener> {
    match TcpListener::bind((address, SSH)).await {
        // Not allowed, or this machine's own sshd is there.
        Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::AddrInUse) => {
            TcpListener::bind((address, 0)).await
        }
        other => other,
    }
}

async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Takes the guest's words until the pipe breaks.
async fn obey(mut power: Power, wall: broadcast::Sender<String>, asked_down: Box<dyn Fn(ShutDown) + Send + Sync>) {
    while let Ok(word) = power.next().await {
        match word {
            Word::Down(how) => asked_down(how),
            // Nobody may be there to read it.
            Word::Wall(text) => drop(wall.send(text)),
        }
    }
}

fn opening(spec: &HostSpec) -> String {
    format!(
        "[    0.000000] Linux version of this machine: {} is a process of footplate's local region, no kernel boots\n\
         [    0.000000] Command line: image={:?}\n",
        spec.instance_id, spec.image
    )
}

/// The end of a boot, as cloud-init and getty print it. The keys come at every boot: readers look at the last one.
fn login(guest: &Guest, keys: &HostKeys, launch_key: Option<&str>) -> String {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let block = keys.block(&now.strftime("%b %e %H:%M:%S").to_string());
    let (image, host) = (guest.image(), guest.hostname());
    let authorized = authorized(guest, launch_key);
    format!(
        "{authorized}{block}\
         [    1.000000] cloud-init: Cloud-init (footplate's stand-in) finished at {}. Datasource DataSourceEc2Local.\n\n\
         {image} {host} ttyS0\n\n{host} login: \n",
        now.strftime("%a, %d %b %Y %H:%M:%S +0000")
    )
}

/// What cloud-init says of the key that it put in (its `cc_ssh_authkey_fingerprints`; there as a table with lines).
fn authorized(guest: &Guest, launch_key: Option<&str>) -> String {
    let user = guest.user();
    let Some(key) = launch_key.and_then(|line| PublicKey::from_openssh(line).ok()) else {
        return format!("ci-info: no authorized SSH keys fingerprints found for user {user}.\n");
    };
    let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
    let fingerprint = fingerprint.trim_start_matches("SHA256:");
    format!(
        "ci-info: Authorized keys from /home/{user}/.ssh/authorized_keys for user {user}\n\
         ci-info: | {} | {fingerprint} | - | {} |\n",
        key.algorithm(),
        key.comment()
    )
}
