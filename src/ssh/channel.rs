//! One channel of a connection: what is heard of what runs at its other end, until it ends or is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::time::timeout;

use super::connection::Session;
use super::fault;
use crate::model::{Failure, Safe};

/// How long output may be silent once the exit status is known. A process that was left running in the background keeps its
/// output open, and so the channel, for as long as it lives.
const QUIET: Duration = Duration::from_secs(2);
/// How long farewells may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// What comes from the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Standard output; of a terminal, all output.
    Out(Bytes),
    /// Standard error.
    Err(Bytes),
    /// It has ended; said again whenever it is asked for.
    Ended(Exit),
    /// The connection is gone, and what became of it is not known; said again whenever it is asked for.
    Lost(Failure),
}

/// How a command ended. With neither, the server did not say: that is no success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The exit code.
    pub status: Option<u32>,
    /// The signal that ended it, without `SIG`, e.g. `KILL`.
    pub signal: Option<Safe>,
}

impl Exit {
    /// It said that it succeeded.
    pub fn is_success(&self) -> bool {
        self.status == Some(0) && self.signal.is_none()
    }

    fn is_known(&self) -> bool {
        self.status.is_some() || self.signal.is_some()
    }
}

/// The hearing half of a channel.
pub(super) struct Hearing {
    read: ChannelReadHalf,
    speaking: Speaking,
    exit: Exit,
    eof: bool,
    end: Option<Heard>,
}

impl Hearing {
    pub(super) fn new(read: ChannelReadHalf, speaking: Speaking) -> Self {
        Self { read, speaking, exit: Exit::default(), eof: false, end: None }
    }

    /// Waits for the answer to a request that wanted one.
    pub(super) async fn answered(&mut self, what: &str, hint: &str) -> Result<(), Failure> {
        let deadline = self.speaking.session.deadlines.answer;
        let answer = async {
            loop {
                match self.read.wait().await {
                    Some(ChannelMsg::Success) => return Ok(()),
                    Some(ChannelMsg::Failure | ChannelMsg::Close) => return Err(fault::declined(what, hint)),
                    // Nothing else has a meaning before.
                    Some(_) => {}
                    None => return Err(self.speaking.session.state.ended().await),
                }
            }
        };
        timeout(deadline, answer).await.unwrap_or_else(|_| Err(fault::no_reply(what, deadline)))
    }

    /// The next thing heard. Nothing is lost when it is given up in the middle.
    pub(super) async fn next(&mut self) -> Heard {
        loop {
            if let Some(end) = &self.end {
                return end.clone();
            }
            let heard = if self.exit.is_known() {
                match timeout(QUIET, self.read.wait()).await {
                    Ok(heard) => heard,
                    Err(_) => Some(ChannelMsg::Close),
                }
            } else {
                self.read.wait().await
            };
            match heard {
                Some(ChannelMsg::Data { data }) if !data.is_empty() => return Heard::Out(data),
                // 1 is SSH_EXTENDED_DATA_STDERR (RFC 4254, 5.2), the only kind there is.
                Some(ChannelMsg::ExtendedData { data, ext: 1 }) if !data.is_empty() => return Heard::Err(data),
                Some(ChannelMsg::ExitStatus { exit_status }) if !self.exit.is_known() => self.exit.status = Some(exit_status),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) if !self.exit.is_known() => {
                    self.exit.signal = Some(Safe::line(&fault::cut(&name(&signal_name))));
                }
                Some(ChannelMsg::Eof) => self.eof = true,
                Some(ChannelMsg::Close) => self.end = Some(Heard::Ended(self.exit.clone())),
                Some(_) => {}
                // The session went before the channel was closed; if all was said by then, nothing is lost.
                None if self.eof && self.exit.is_known() => self.end = Some(Heard::Ended(self.exit.clone())),
                None => self.end = Some(Heard::Lost(self.speaking.session.state.ended().await)),
            }
        }
    }
}

fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

/// The speaking half of a channel.
#[derive(Clone)]
pub(super) struct Speaking {
    write: Arc<ChannelWriteHalf<Msg>>,
    session: Arc<Session>,
}

impl Speaking {
    pub(super) fn new(write: ChannelWriteHalf<Msg>, session: Arc<Session>) -> Self {
        Self { write: Arc::new(write), session }
    }

    pub(super) fn write(&self) -> &ChannelWriteHalf<Msg> {
        &self.write
    }

    pub(super) fn session(&self) -> &Session {
        &self.session
    }

    /// What came of speaking; russh itself only says that nobody listens any more.
    pub(super) async fn said(&self, spoken: Result<(), russh::Error>) -> Result<(), Failure> {
        match spoken {
            Ok(()) => Ok(()),
            Err(russh::Error::SendError) => Err(self.session.state.ended().await),
            Err(error) => Err(fault::told(&error, &self.session.deadlines)),
        }
    }
}

/// A channel in its two halves.
pub(super) struct Talk {
    pub hearing: Hearing,
    pub speaking: Speaking,
}

/// Nobody listens any more: what runs at the other end is ended.
impl Drop for Hearing {
    fn drop(&mut self) {
        if self.end.is_none() {
            hang_up(self.speaking.clone());
        }
    }
}

/// Ends what runs there: SIGTERM, then the channel is closed (of a terminal, that is SIGHUP). Without a runtime, the
/// connection's own end does it.
fn hang_up(speaking: Speaking) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
    runtime.spawn(async move {
        let farewell = async {
            let _ = speaking.write.signal(Sig::TERM).await;
            let _ = speaking.write.close().await;
        };
        let _ = timeout(FAREWELL, farewell).await;
    });
}
