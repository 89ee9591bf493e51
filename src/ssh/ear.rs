//! What russh tells of a session: the server's key, its messages before login, and why it ended. Whatever the server opens
//! of its own accord is refused: no agent, no X11, no forwarded port.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use russh::client::{self, ChannelOpenHandle, DisconnectReason, Msg, Session};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{Channel, cipher};
use tokio::sync::{mpsc, oneshot, watch};

use super::wire::LastHeard;
use super::{Deadlines, fault};
use crate::model::{Failure, FailureKind, Safe};

/// Bytes of messages before login that are kept to be shown.
const BANNER: usize = 4096;
/// Bytes of them after which the server is mad.
const MAD: usize = 256 * 1024;
/// Key renewals in a row that come within [`HASTE`] and with less than [`LITTLE`] received in between, before it is taken
/// for an attack. OpenSSH renews after a gigabyte; one that is set to renew after 16 MB is not hasty either.
const STORM: u32 = 30;
const HASTE: Duration = Duration::from_secs(1);
/// Bytes; a renewal alone takes some 5,000.
const LITTLE: u64 = 64 * 1024;

/// How a session stands, seen from outside of its task.
#[derive(Clone)]
pub(super) struct State {
    ended: Arc<watch::Sender<Option<Failure>>>,
    banner: Arc<Mutex<String>>,
}

impl State {
    pub(super) fn new() -> Self {
        Self { ended: Arc::new(watch::Sender::new(None)), banner: Arc::default() }
    }

    /// The first reason counts.
    pub(super) fn end(&self, why: Failure) {
        self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(why);
            }
            first
        });
    }

    pub(super) fn reason(&self) -> Option<Failure> {
        self.ended.borrow().clone()
    }

    /// Waits for the end, and says why.
    pub(super) async fn ended(&self) -> Failure {
        let mut ended = self.ended.subscribe();
        let reason = match ended.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            // Cannot be: we hold the sender.
            Err(_) => None,
        };
        reason.unwrap_or_else(|| fault::gone(false))
    }

    /// What the server said before login, made harmless.
    pub(super) fn banner(&self) -> Safe {
        Safe::text(&self.banner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A key that the server has proven to hold, and where the verdict goes.
pub(super) struct Question {
    pub key: PublicKey,
    pub verdict: oneshot::Sender<bool>,
}

/// Why a callback ends the session.
#[derive(Debug)]
pub(super) enum Trouble {
    Russh(russh::Error),
    Ours(Failure),
}

impl From<russh::Error> for Trouble {
    fn from(error: russh::Error) -> Self {
        Self::Russh(error)
    }
}

impl Trouble {
    pub(super) fn tell(self, deadlines: &Deadlines) -> Failure {
        match self {
            Self::Russh(error) => fault::told(&error, deadlines),
            Self::Ours(failure) => failure,
        }
    }
}

/// The session's callbacks.
pub(super) struct Ear {
    state: State,
    questions: mpsc::Sender<Question>,
    deadlines: Deadlines,
    heard: LastHeard,
    /// Bytes of messages before login so far.
    banner: usize,
    renewed: Instant,
    /// Bytes that had been received then.
    carried: u64,
    hasty: u32,
}

impl Ear {
    pub(super) fn new(state: State, questions: mpsc::Sender<Question>, deadlines: Deadlines, heard: LastHeard) -> Self {
        Self { state, questions, deadlines, heard, banner: 0, renewed: Instant::now(), carried: 0, hasty: 0 }
    }
}

/// However the session's task ends, by a panic too, those who wait for it learn of it.
impl Drop for Ear {
    fn drop(&mut self) {
        self.state.end(fault::gone(std::thread::panicking()));
    }
}

impl client::Handler for Ear {
    type Error = Trouble;

    async fn auth_banner(&mut self, banner: &str, _: &mut Session) -> Result<(), Trouble> {
        self.banner = self.banner.saturating_add(banner.len().max(1));
        if self.banner > MAD {
            return Err(Trouble::Ours(fault::told(&russh::Error::Inconsistent, &self.deadlines)));
        }
        let mut kept = self.state.banner.lock().unwrap_or_else(PoisonError::into_inner);
        let room = BANNER.saturating_sub(kept.len());
        kept.extend(banner.chars().scan(room, |room, c| {
            *room = room.checked_sub(c.len_utf8())?;
            Some(c)
        }));
        Ok(())
    }

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Trouble> {
        // Certificates are not asked for: there is no authority that we trust.
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else { return Ok(false) };
        let (verdict, answer) = oneshot::channel();
        if self.questions.send(Question { key: key.clone(), verdict }).await.is_err() {
            return Ok(false);
        }
        Ok(answer.await.unwrap_or(false))
    }

    async fn kex_done(&mut self, _: Option<&[u8]>, names: &russh::Names, _: &mut Session) -> Result<(), Trouble> {
        // Terrapin (CVE-2023-48795): this cipher is sound only with the strict exchange that was the answer to it.
        if names.cipher == cipher::CHACHA20_POLY1305 && !names.strict_kex() {
            return Err(Trouble::Ours(Failure::new(
                FailureKind::Refused,
                "the server offers no cipher that is safe from the Terrapin attack (CVE-2023-48795)",
                "bring the instance's OpenSSH up to date",
            )));
        }
        let carried = self.heard.bytes();
        let hasty = self.renewed.elapsed() < HASTE && carried.saturating_sub(self.carried) < LITTLE;
        self.hasty = if hasty { self.hasty + 1 } else { 0 };
        (self.renewed, self.carried) = (Instant::now(), carried);
        if self.hasty > STORM {
            return Err(Trouble::Ours(Failure::new(
                FailureKind::Service,
                "the server renews its keys over and over, without end",
                "the instance is not what it was, or something tampers with the line",
            )));
        }
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused_when_dropped: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Trouble> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused_when_dropped: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Trouble> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _refused_when_dropped: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Trouble> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _refused_when_dropped: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Trouble> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _refused_when_dropped: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Trouble> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _refused_when_dropped: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Trouble> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _refused_when_dropped: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Trouble> {
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Trouble>) -> Result<(), Trouble> {
        self.state.end(match reason {
            DisconnectReason::ReceivedDisconnect(said) => fault::disconnected(&said.message),
            DisconnectReason::Error(trouble) => trouble.tell(&self.deadlines),
        });
        Ok(())
    }
}
