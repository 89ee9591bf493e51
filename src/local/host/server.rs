//! The SSH server of an instance: public keys that were pushed or that it was launched with, one user, session channels, nothing else.
//!
//! No forwarding of ports, sockets, agents or X11: russh refuses what a handler does not take up.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, HashAlg, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{
    Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, MethodKind, MethodSet, Preferred, Pty as Mode, Sig, SshId, cipher,
    kex, mac,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::guest::Guest;
use super::hostkeys::HostKeys;
use super::intake::{Feed, Gated, Intake};
use super::keyring::Keyring;
use super::machine::Machine;
use super::pty::{Pty, Size};
use super::session::{self, Running};

/// Connections that have not logged in (`sshd_config(5)`, `MaxStartups`: 10) and how long they may take to (`LoginGraceTime`,
/// here shorter: everything is on this machine).
const STARTUPS: usize = 10;
const LOGIN_GRACE: Duration = Duration::from_secs(30);
/// Connections at all, and sessions in one (`MaxSessions`, here more: a cockpit has many).
const CONNECTIONS: usize = 256;
const SESSIONS: usize = 64;
/// `MaxAuthTries`.
const TRIES: usize = 6;
/// A key that is refused takes as long whatever is wrong with it.
const REJECTION: Duration = Duration::from_millis(50);

/// How much of `authorized_keys` is read, in bytes.
const AUTHORIZED_KEYS: u64 = 1 << 20;

/// What the server needs of its instance.
pub struct Service {
    pub instance: String,
    pub user: String,
    pub keys: Arc<Keyring>,
    /// The user's `authorized_keys`, if the instance was launched with a key.
    pub authorized: Option<PathBuf>,
    pub guest: Arc<Guest>,
    pub machine: Arc<Machine>,
    pub wall: broadcast::Sender<String>,
}

/// The settings: modern algorithms, no passwords, no compression.
#[must_use]
pub fn config(keys: &HostKeys) -> Config {
    let private = keys.private();
    let mut algorithms: Vec<Algorithm> = private.iter().rev().map(russh::keys::PrivateKey::algorithm).collect();
    // Clients are told by this list, too, what they may sign with (RFC 8308, `server-sig-algs`); no host key is RSA.
    algorithms.extend([HashAlg::Sha512, HashAlg::Sha256].map(|hash| Algorithm::Rsa { hash: Some(hash) }));
    let mut methods = MethodSet::empty();
    methods.push(MethodKind::PublicKey);
    Config {
        server_id: SshId::Standard(concat!("SSH-2.0-footplate_", env!("CARGO_PKG_VERSION")).into()),
        methods,
        auth_rejection_time: REJECTION,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: private,
        preferred: Preferred {
            kex: vec![
                kex::MLKEM768X25519_SHA256,
                kex::CURVE25519,
                kex::CURVE25519_PRE_RFC_8731,
                kex::EXTENSION_SUPPORT_AS_SERVER,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
            ]
            .into(),
            key: algorithms.into(),
            cipher: vec![cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR].into(),
            mac: vec![mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM].into(),
            ..Preferred::DEFAULT
        },
        max_auth_attempts: TRIES,
        // Ours: a connection whose input is not taken by a busy guest is silent without being dead.
        inactivity_timeout: None,
        keepalive_interval: None,
        nodelay: true,
        ..Config::default()
    }
}

/// Accepts connections until told to stop; then all of them end.
pub async fn serve(service: Arc<Service>, config: Arc<Config>, listener: TcpListener, stop: CancellationToken) {
    let startups = Arc::new(Semaphore::new(STARTUPS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let Ok((stream, _)) = accepted else {
            // Out of file descriptors, or a client that left at once: do not spin on it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        // One too many is closed at once, as sshd does.
        let Ok(startup) = Arc::clone(&startups).try_acquire_owned() else { continue };
        if connections.len() < CONNECTIONS {
            let (service, config) = (Arc::clone(&service), Arc::clone(&config));
            connections.spawn(converse(service, config, stream, startup, stop.child_token()));
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn converse(
    service: Arc<Service>,
    config: Arc<Config>,
    stream: TcpStream,
    startup: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    // However this ends, the connection does.
    let _end = stop.clone().drop_guard();
    let (Ok(client), Ok(server)) = (stream.peer_addr(), stream.local_addr()) else { return };
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let ways = vec![
        ("SSH_CLIENT".to_owned(), format!("{} {} {}", client.ip(), client.port(), server.port())),
        ("SSH_CONNECTION".to_owned(), format!("{} {} {} {}", client.ip(), client.port(), server.ip(), server.port())),
    ];
    let intake = Arc::new(Intake::default());
    let welcome = Arc::new(Notify::new());
    let connection = Connection {
        service,
        intake: Arc::clone(&intake),
        startup: Some(startup),
        welcome: Arc::clone(&welcome),
        env: ways,
        channels: HashMap::new(),
    };
    let grace = tokio::time::sleep(LOGIN_GRACE);
    let session = russh::server::run_stream(config, Gated::new(stream, intake, stop.clone()), connection);
    let session = async {
        if let Ok(session) = session.await {
            // What goes wrong on a connection is its client's to notice.
            session.await.ok();
        }
    };
    let late = async {
        tokio::select! {
            () = grace => {}
            () = welcome.notified() => std::future::pending().await,
        }
    };
    tokio::select! {
        () = session => {}
        () = late => {}
        () = stop.cancelled() => {}
    }
}

/// One connection.
struct Connection {
    service: Arc<Service>,
    intake: Arc<Intake>,
    /// Given back at login.
    startup: Option<OwnedSemaphorePermit>,
    welcome: Arc<Notify>,
    /// What every session's environment says of the connection.
    env: Vec<(String, String)>,
    channels: HashMap<ChannelId, Slot>,
}

/// One session channel of a connection. When it is dropped, its session ends as if the line had gone.
struct Slot {
    /// Until the session starts.
    channel: Option<ChannelWriteHalf<Msg>>,
    env: Vec<(String, String)>,
    pty: Option<Arc<Pty>>,
    /// Where data of the client goes, until its end.
    feed: Option<Feed>,
    running: Arc<Running>,
    task: Option<AbortHandle>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What a session is asked to be.
enum Wish {
    Shell,
    Command(String),
    Files,
}

impl Connection {
    fn admits(&self, user: &str, key: &PublicKey) -> Auth {
        let service = &self.service;
        let pushed = || service.keys.accepts(&service.instance, user, key);
        let authorized = || service.authorized.as_ref().is_some_and(|file| is_authorized(file, key));
        if user == service.user && (pushed() || authorized()) { Auth::Accept } else { Auth::reject() }
    }

    /// Starts a session in its channel, once.
    fn start(&mut self, id: ChannelId, wish: Wish, session: &mut Session) -> Result<(), russh::Error> {
        let slot = self.channels.get_mut(&id);
        let Some((slot, channel)) = slot.and_then(|slot| slot.channel.take().map(|channel| (slot, channel))) else {
            return session.channel_failure(id);
        };
        let (feed, inlet) = self.intake.queue();
        slot.feed = Some(feed);
        let mut env = self.service.guest.environment();
        env.extend(self.env.iter().cloned());
        env.append(&mut slot.env);
        if let Some(pty) = &slot.pty {
            env.push(("SSH_TTY".to_owned(), pty.path().display().to_string()));
        }
        let work = session::Session {
            guest: Arc::clone(&self.service.guest),
            machine: Arc::clone(&self.service.machine),
            handle: session.handle(),
            channel,
            intake: Arc::clone(&self.intake),
            inlet,
            env,
        };
        let (pty, running, wall) = (slot.pty.clone(), Arc::clone(&slot.running), self.service.wall.subscribe());
        session.channel_success(id)?;
        let task = tokio::spawn(async move {
            let command = match wish {
                Wish::Files => return work.files().await,
                Wish::Shell => None,
                Wish::Command(command) => Some(command),
            };
            match pty {
                Some(pty) => work.terminal(pty, command, running, wall).await,
                None => work.command(command, running).await,
            }
        });
        slot.task = Some(task.abort_handle());
        Ok(())
    }
}

/// Whether a key is in a file as of sshd(8), "`AUTHORIZED_KEYS` FILE FORMAT". A line with options is passed over: they restrict what
/// a key may do, and are not enforced here.
fn is_authorized(file: &Path, key: &PublicKey) -> bool {
    let Ok(file) = File::open(file) else { return false };
    let mut text = String::new();
    // A larger one is nobody's.
    if file.take(AUTHORIZED_KEYS).read_to_string(&mut text).is_err() {
        return false;
    }
    let known = |line: &str| PublicKey::from_openssh(line.trim()).is_ok_and(|known| known.key_data() == key.key_data());
    text.lines().any(known)
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, russh::Error> {
        Ok(self.admits(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(self.admits(user, key.public_key))
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Result<(), russh::Error> {
        self.startup = None;
        self.welcome.notify_one();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        // A channel that this side closes first is not told of again.
        self.channels.retain(|_, slot| slot.task.as_ref().is_none_or(|task| !task.is_finished()));
        if self.channels.len() >= SESSIONS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        // The reading half is dropped: data comes through `data` below, which does not wait.
        let (_, channel) = channel.split();
        let id = channel.id();
        let slot = Slot { channel: Some(channel), env: Vec::new(), pty: None, feed: None, running: Arc::default(), task: None };
        self.channels.insert(id, slot);
        reply.accept().await;
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Session) -> Result<(), russh::Error> {
        if let Some(feed) = self.channels.get(&id).and_then(|slot| slot.feed.as_ref()) {
            feed.push(data);
        }
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        if let Some(slot) = self.channels.get_mut(&id) {
            slot.feed = None;
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), russh::Error> {
        self.channels.remove(&id);
        Ok(())
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Mode, u32)],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let size = Size { columns, rows, pixels: (width, height) };
        let slot = self.channels.get_mut(&id).filter(|slot| slot.channel.is_some() && slot.pty.is_none());
        match (slot, Pty::open(size, modes)) {
            (Some(slot), Ok(pty)) => {
                slot.pty = Some(Arc::new(pty));
                slot.env.push(("TERM".to_owned(), term.to_owned()));
                session.channel_success(id)
            }
            _ => session.channel_failure(id),
        }
    }

    async fn env_request(&mut self, id: ChannelId, name: &str, value: &str, session: &mut Session) -> Result<(), russh::Error> {
        match self.channels.get_mut(&id) {
            Some(slot) if matches!(name, "LANG" | "TERM") && !value.contains('\0') => {
                slot.env.push((name.to_owned(), value.to_owned()));
                session.channel_success(id)
            }
            _ => session.channel_failure(id),
        }
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        self.start(id, Wish::Shell, session)
    }

    async fn exec_request(&mut self, id: ChannelId, data: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        match std::str::from_utf8(data) {
            Ok(command) if !command.contains('\0') => self.start(id, Wish::Command(command.to_owned()), session),
            _ => session.channel_failure(id),
        }
    }

    async fn subsystem_request(&mut self, id: ChannelId, name: &str, session: &mut Session) -> Result<(), russh::Error> {
        match name {
            "sftp" => self.start(id, Wish::Files, session),
            _ => session.channel_failure(id),
        }
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let size = Size { columns, rows, pixels: (width, height) };
        match self.channels.get(&id).and_then(|slot| slot.pty.as_ref()).map(|pty| pty.resize(size)) {
            Some(Ok(())) => session.channel_success(id),
            _ => session.channel_failure(id),
        }
    }

    /// In a terminal the foreground is signalled, else the command's process group.
    async fn signal(&mut self, id: ChannelId, signal: Sig, _: &mut Session) -> Result<(), russh::Error> {
        let (Some(slot), Some(signal)) = (self.channels.get(&id), session::number(&signal)) else { return Ok(()) };
        match &slot.pty {
            Some(pty) => pty.signal(signal),
            None => slot.running.signal(&self.service.machine, signal as i32).await,
        }
        Ok(())
    }
}
