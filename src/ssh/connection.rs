//! A connection that is logged in: commands, with their output in the end or as it comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::client::{Handle, Msg};
use russh::{Channel, Disconnect};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::channel::{Exit, Heard, Hearing, Speaking, Talk};
use super::ear::{Ear, State};
use super::wire::LastHeard;
use super::{Deadlines, Doorman, Files, Login, Manner, Shell, connect, fault, files, shell};
use crate::model::{Failure, FailureKind, Safe};

/// How long a good-bye may take before the line is cut.
const FAREWELL: Duration = Duration::from_secs(2);

/// One connection, logged in. Clones are handles of the same one; it ends when the last of them, and the last shell, stream
/// and [`Files`] on it, is dropped.
#[derive(Clone)]
pub struct Connection {
    session: Arc<Session>,
}

/// What the handles of a connection share.
pub(super) struct Session {
    handle: Arc<Handle<Ear>>,
    pub(super) state: State,
    pub(super) deadlines: Deadlines,
    pub(super) heard: LastHeard,
    cutter: CancellationToken,
    server: Safe,
}

/// What a command said and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// The exit code. `None`: it was ended by a signal, or the server did not say; neither is success.
    pub status: Option<u32>,
    /// The signal that ended it, without `SIG`.
    pub signal: Option<Safe>,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
}

/// How much a command may say and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub time: Duration,
    /// Of standard output, and as much again of standard error.
    pub bytes: usize,
}

impl Default for Bounds {
    /// A minute and 8 MB.
    fn default() -> Self {
        Self { time: Duration::from_mins(1), bytes: 8 << 20 }
    }
}

/// A command that runs for long. Dropped before it has ended, it is ended: by SIGTERM, which servers deliver that have
/// parted with their privileges, and by its channel being closed, which it notices when it next writes.
pub struct Stream {
    talk: Talk,
}

impl Connection {
    /// Opens a connection for terminals and commands, and logs in.
    ///
    /// # Errors
    /// Each names its remedy: `Network` and `Timeout` for the way there, `Refused` for a host key that is not the pinned
    /// one, `Denied` for a login that is refused, `Service` for a server that breaks the protocol; and what the doorman
    /// fails with.
    pub async fn open(login: &Login, doorman: &dyn Doorman) -> Result<Self, Failure> {
        Self::open_in(login, doorman, &Manner::talk()).await
    }

    /// As [`Connection::open`], in another manner: [`Manner::bulk`] for large files.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn open_in(login: &Login, doorman: &dyn Doorman, manner: &Manner) -> Result<Self, Failure> {
        // In a box, for it is 20 KB, and would be in each future that waits for it.
        let opened = Box::pin(connect::open(login, doorman, manner)).await?;
        let session = Session {
            handle: Arc::new(opened.handle),
            state: opened.state,
            deadlines: manner.deadlines,
            heard: opened.heard,
            cutter: opened.cutter,
            server: opened.server,
        };
        Ok(Self { session: Arc::new(session) })
    }

    /// Runs a command to its end, giving it `input`, within [`Bounds::default`].
    ///
    /// # Errors
    /// When the connection is lost or the command does not keep within its bounds. That it failed is no error: see
    /// [`Ran::status`].
    pub async fn run(&self, command: &str, input: Option<Vec<u8>>) -> Result<Ran, Failure> {
        self.run_within(command, input, Bounds::default()).await
    }

    /// As [`Connection::run`], within other bounds.
    ///
    /// # Errors
    /// As [`Connection::run`].
    pub async fn run_within(&self, command: &str, input: Option<Vec<u8>>, bounds: Bounds) -> Result<Ran, Failure> {
        let late = |_| {
            let what = format!("'{}' has not ended within {} s there", fault::cut(command), bounds.time.as_secs());
            Failure::new(FailureKind::Timeout, what, "it was ended; the instance may be overloaded")
        };
        timeout(bounds.time, self.run_to_end(command, input, bounds.bytes)).await.map_err(late)?
    }

    async fn run_to_end(&self, command: &str, input: Option<Vec<u8>>, bytes: usize) -> Result<Ran, Failure> {
        let mut talk = self.talk().await?;
        exec(&mut talk, command).await?;
        let write = talk.speaking.clone();
        let give = async {
            // A command may end without reading it all: then this waits, and what it said is heard below.
            let given = async {
                write.said(write.write().data_bytes(input.unwrap_or_default()).await).await?;
                write.said(write.write().eof().await).await
            };
            match given.await {
                Ok(()) => std::future::pending().await,
                Err(failure) => failure,
            }
        };
        let mut ran = Ran::default();
        let hear = async {
            loop {
                match talk.hearing.next().await {
                    Heard::Out(data) => take(&mut ran.out, &data, bytes, command)?,
                    Heard::Err(data) => take(&mut ran.err, &data, bytes, command)?,
                    Heard::Ended(Exit { status, signal }) => {
                        (ran.status, ran.signal) = (status, signal);
                        return Ok(());
                    }
                    Heard::Lost(failure) => return Err(failure),
                }
            }
        };
        tokio::select! {
            heard = hear => heard?,
            failure = give => return Err(failure),
        }
        Ok(ran)
    }

    /// Starts a command whose output is heard as it comes. It has no input.
    ///
    /// # Errors
    /// When the connection is lost, or the server refuses it.
    pub async fn stream(&self, command: &str) -> Result<Stream, Failure> {
        let mut talk = self.talk().await?;
        exec(&mut talk, command).await?;
        talk.speaking.said(talk.speaking.write().eof().await).await?;
        Ok(Stream { talk })
    }

    /// Opens a terminal of this kind (`xterm-256color`) and size, and in it the login shell or `command`.
    ///
    /// # Errors
    /// When the connection is lost, or the server refuses it.
    pub async fn shell(&self, term: &str, columns: u16, rows: u16, command: Option<&str>) -> Result<Shell, Failure> {
        shell::open(self.talk().await?, term, columns, rows, command).await
    }

    /// Starts a command without a terminal, with its input open: what it is given and what it says go through as they are.
    ///
    /// # Errors
    /// When the connection is lost, or the server refuses it.
    pub async fn pipe(&self, command: &str) -> Result<Shell, Failure> {
        shell::pipe(self.talk().await?, command).await
    }

    /// Opens the way for files (SFTP). For large ones, on a connection in the manner of [`Manner::bulk`].
    ///
    /// # Errors
    /// When the connection is lost, or the server has no SFTP.
    pub async fn files(&self) -> Result<Files, Failure> {
        files::open(&self.session).await
    }

    /// The connection stands, as far as we know.
    pub fn is_alive(&self) -> bool {
        self.session.state.reason().is_none() && !self.session.handle.is_closed()
    }

    /// Waits until the connection has ended, and says why.
    pub async fn ended(&self) -> Failure {
        self.session.state.ended().await
    }

    /// How long nothing has been heard from there. Above some seconds, the line may be dead: it is asked by then.
    pub fn silence(&self) -> Duration {
        Instant::now().saturating_duration_since(self.session.heard.when())
    }

    /// What the server calls itself, e.g. `SSH-2.0-OpenSSH_9.6p1`.
    pub fn server(&self) -> &Safe {
        &self.session.server
    }

    /// What the server said before the login; often nothing.
    pub fn banner(&self) -> Safe {
        self.session.state.banner()
    }

    async fn talk(&self) -> Result<Talk, Failure> {
        let (read, write) = self.session.channel().await?.split();
        let speaking = Speaking::new(write, Arc::clone(&self.session));
        Ok(Talk { hearing: Hearing::new(read, speaking.clone()), speaking })
    }
}

impl Session {
    /// Opens a channel.
    pub(super) async fn channel(&self) -> Result<Channel<Msg>, Failure> {
        let deadline = self.deadlines.answer;
        let opened = tokio::select! {
            opened = timeout(deadline, self.handle.channel_open_session()) => opened.map_err(|_| fault::no_reply("a request for a channel", deadline))?,
            failure = self.state.ended() => return Err(failure),
        };
        match opened {
            Ok(channel) => Ok(channel),
            Err(russh::Error::ChannelOpenFailure(_)) => Err(fault::declined(
                "another session on this connection",
                "close a shell or a log, or see MaxSessions in its sshd_config",
            )),
            Err(russh::Error::SendError | russh::Error::Disconnect) => Err(self.state.ended().await),
            Err(error) => Err(fault::told(&error, &self.deadlines)),
        }
    }
}

/// Says good-bye, and cuts the line soon after.
impl Drop for Session {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            self.cutter.cancel();
            return;
        };
        let (handle, state, cutter) = (Arc::clone(&self.handle), self.state.clone(), self.cutter.clone());
        runtime.spawn(async move {
            let farewell = async {
                let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
                state.ended().await;
            };
            let _ = timeout(FAREWELL, farewell).await;
            cutter.cancel();
        });
    }
}

impl Stream {
    /// What is heard next. Nothing is lost when it is given up in the middle; what is not asked for waits, and with it the
    /// whole connection.
    pub async fn next(&mut self) -> Heard {
        self.talk.hearing.next().await
    }
}

pub(super) async fn exec(talk: &mut Talk, command: &str) -> Result<(), Failure> {
    talk.speaking.said(talk.speaking.write().exec(true, command).await).await?;
    talk.hearing.answered("to run a command", "see what its sshd_config allows (ForceCommand, PermitOpen)").await
}

fn take(into: &mut Vec<u8>, data: &[u8], bytes: usize, command: &str) -> Result<(), Failure> {
    if into.len() + data.len() > bytes {
        let what = format!("'{}' says more there than the {bytes} bytes that were expected", fault::cut(command));
        return Err(Failure::new(FailureKind::Service, what, "it was ended"));
    }
    into.extend_from_slice(data);
    Ok(())
}
