//! From nothing to a connection that is logged in: the line, the greeting, the key exchange, the host key's verdict, the
//! announced key, the login. Each step has its deadline.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::client::{self, AuthResult, Handle};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{Algorithm, PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodSet, Preferred, SshId, cipher, compression, kex, mac};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::ear::{Ear, Question, State};
use super::hostkey::Knowledge;
use super::wire::{LastHeard, Wire};
use super::{Deadlines, Doorman, Login, Manner, Route, fault, manner, tunnel};
use crate::model::{Failure, FailureKind, Safe};

/// How often a key is announced, at most.
const ANNOUNCED: u32 = 3;
/// How long an announced key counts (EC2 Instance Connect: 60 s), less what the way may take.
const KEY_LIFE: Duration = Duration::from_secs(55);
/// How long the reason of an end may take to come round after the end.
const REASON: Duration = Duration::from_secs(2);

/// The key exchanges we take, best first; the first one holds against quantum computers. The last two say that we know
/// extensions (RFC 8308) and the strict exchange (against Terrapin).
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];
/// AES-GCM first: with the instructions that all these processors have, it is more than twice as fast as the other.
const CIPHERS: &[cipher::Name] = &[cipher::AES_256_GCM, cipher::AES_128_GCM, cipher::CHACHA20_POLY1305];
/// Not used by these ciphers, but the list must not be empty.
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];
const COMPRESSIONS: &[compression::Name] = &[compression::NONE];

/// A connection that is logged in, in its parts.
pub(super) struct Opened {
    pub handle: Handle<Ear>,
    pub state: State,
    pub cutter: CancellationToken,
    pub heard: LastHeard,
    /// What the server calls itself.
    pub server: Safe,
}

/// Opens and logs in.
pub(super) async fn open(login: &Login, doorman: &dyn Doorman, manner: &Manner) -> Result<Opened, Failure> {
    let deadlines = manner.deadlines;
    let (knowledge, route) = tokio::try_join!(Knowledge::gather(login, doorman), doorman.route())?;
    let mut clock = Clock::start(deadlines.login);
    let mut wire = reach(&route, &deadlines).await?;
    let server = timeout(deadlines.greeting.min(clock.left()), wire.greeting())
        .await
        .map_err(|_| fault::no_greeting(deadlines.greeting))??;
    // From here on every way out that is not the last line cuts the line, and with it russh's task.
    let cutter = wire.cutter();
    let cut_unless_done = cutter.clone().drop_guard();
    let (state, heard) = (State::new(), wire.last_heard());
    let (asker, questions) = mpsc::channel(1);
    let ear = Ear::new(state.clone(), asker, deadlines, heard.clone());
    let dial = client::connect_stream(Arc::new(config(manner, knowledge.algorithms())), wire, ear);
    let mut handle =
        exchange(dial, questions, &mut clock, &deadlines, &Judge { knowledge: &knowledge, server: &server, login, doorman })
            .await?;
    log_in(&mut handle, &state, login, doorman, &mut clock, &deadlines).await?;
    let _ = cut_unless_done.disarm();
    Ok(Opened { handle, state, cutter, heard, server })
}

/// The line to the machine.
async fn reach(route: &Route, deadlines: &Deadlines) -> Result<Wire, Failure> {
    let unanswered = |_| fault::unanswered(route, deadlines.reach);
    match route {
        Route::Direct { host, port } => {
            let tcp = timeout(deadlines.reach, TcpStream::connect((*host, *port)))
                .await
                .map_err(unanswered)?
                .map_err(|error| fault::unreachable(route, &error))?;
            // A key press is a packet of its own, not to be held back. Where that cannot be set, it is only slower.
            let _ = tcp.set_nodelay(true);
            Ok(Wire::new(tcp, deadlines.silence()))
        }
        Route::Tunnel { url } => {
            let tunnel = timeout(deadlines.reach, tunnel::open(url)).await.map_err(unanswered)??;
            Ok(Wire::new(tunnel, deadlines.silence()))
        }
    }
}

fn config(manner: &Manner, keys: Cow<'static, [Algorithm]>) -> client::Config {
    let deadlines = &manner.deadlines;
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-footplate_", env!("CARGO_PKG_VERSION")))),
        window_size: manner.window,
        maximum_packet_size: manner.packet,
        channel_buffer_size: manner::WAITING,
        preferred: Preferred {
            kex: Cow::Borrowed(KEX),
            key: keys,
            host_key_certificates: Cow::Borrowed(&[]),
            cipher: Cow::Borrowed(CIPHERS),
            mac: Cow::Borrowed(MACS),
            compression: Cow::Borrowed(COMPRESSIONS),
        },
        keepalive_interval: Some(deadlines.probe),
        keepalive_max: usize::from(deadlines.probes),
        // It would run on while the doorman is asked; the login has our clock, and a write that is held up the wire's.
        inactivity_timeout: None,
        nodelay: true,
        ..client::Config::default()
    }
}

/// Who gives the verdict on a host key. (Not a closure: its future could not be sent between threads.)
struct Judge<'a> {
    knowledge: &'a Knowledge,
    server: &'a Safe,
    login: &'a Login,
    doorman: &'a dyn Doorman,
}

impl Judge<'_> {
    async fn judge(&self, question: &Question) -> Result<(), Failure> {
        self.knowledge.judge(&question.key, self.server, self.login, self.doorman).await
    }
}

/// The key exchange, with the verdict on the host key in its middle.
async fn exchange<F>(
    dial: F,
    mut questions: mpsc::Receiver<Question>,
    clock: &mut Clock,
    deadlines: &Deadlines,
    judge: &Judge<'_>,
) -> Result<Handle<Ear>, Failure>
where
    F: Future<Output = Result<Handle<Ear>, super::ear::Trouble>>,
{
    let mut dial = pin!(dial);
    loop {
        tokio::select! {
            done = &mut dial => return done.map_err(|trouble| trouble.tell(deadlines)),
            Some(question) = questions.recv() => {
                clock.stopped(judge.judge(&question)).await?;
                let _ = question.verdict.send(true);
            }
            () = tokio::time::sleep(clock.left()) => return Err(fault::too_slow(clock.whole)),
        }
    }
}

/// Announces a key of this connection's own and logs in with it.
async fn log_in(
    handle: &mut Handle<Ear>,
    state: &State,
    login: &Login,
    doorman: &dyn Doorman,
    clock: &mut Clock,
    deadlines: &Deadlines,
) -> Result<(), Failure> {
    let key = Arc::new(fresh_key()?);
    let line = key.public_key().to_openssh().map_err(|error| no_key(&error))?;
    for announced in 1.. {
        clock.stopped(doorman.introduce(&line)).await?;
        let since = Instant::now();
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&key), None);
        let answer = timeout(clock.left(), handle.authenticate_publickey(&login.user, key)).await;
        match answer.map_err(|_| fault::too_slow(clock.whole))? {
            Ok(AuthResult::Success) => return Ok(()),
            Ok(AuthResult::Failure { remaining_methods, partial_success }) => {
                // Without methods it may be an answer, or the session's end told as one.
                if remaining_methods == MethodSet::empty()
                    && let Ok(failure) = timeout(REASON, state.ended()).await
                    && failure.kind != FailureKind::Denied
                {
                    return Err(failure);
                }
                let again = announced < ANNOUNCED && (announced == 1 || since.elapsed() >= KEY_LIFE);
                if !again || partial_success || handle.is_closed() {
                    let methods: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
                    return Err(fault::refused_login(&login.user, &login.machine, &methods.join(", "), partial_success));
                }
            }
            Err(error) => {
                return Err(match timeout(REASON, state.ended()).await {
                    Ok(failure) => failure,
                    Err(_) => fault::told(&error, deadlines),
                });
            }
        }
    }
    // Unreachable: the last announcement returns.
    Err(fault::gone(false))
}

/// An ed25519 key that never leaves this process' memory. Its seed is wiped here; the key wipes itself when it is dropped.
fn fresh_key() -> Result<PrivateKey, Failure> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    getrandom::fill(seed.as_mut_slice()).map_err(|error| no_key(&error))?;
    PrivateKey::new(KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)), "footplate").map_err(|error| no_key(&error))
}

fn no_key(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Machine, format!("no key could be made: {error}"), "")
}

/// Time for the whole login, that stands still while the doorman is asked.
struct Clock {
    whole: Duration,
    end: Instant,
}

impl Clock {
    fn start(whole: Duration) -> Self {
        Self { whole, end: Instant::now() + whole }
    }

    fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    async fn stopped<T>(&mut self, work: impl Future<Output = T>) -> T {
        let since = Instant::now();
        let answer = work.await;
        self.end += since.elapsed();
        answer
    }
}
