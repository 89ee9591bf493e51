//! One session channel: a shell or a command with or without a terminal, or files. Bytes go both ways; a process ends and
//! its end is told.
//!
//! As OpenSSH's server does it: a connection that breaks hangs the terminal up (its foreground gets SIGHUP); a command
//! without a terminal loses its pipes and runs on; a channel is closed when the process has ended *and* its output is.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use nix::sys::signal::Signal;
use russh::server::{Handle, Msg};
use russh::{ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::broadcast;

use super::guest::{Guest, shell};
use super::init::{End, Wiring};
use super::intake::{Inlet, Intake};
use super::machine::{Machine, Process};
use super::pipes::{Ends, Pipes};
use super::pty::Pty;

/// How much output is read at once.
const READ_BYTES: usize = 32 << 10;
/// When a process has ended, what it wrote comes before the word of its end, as long as it flows.
const LINGER: Duration = Duration::from_millis(200);
/// RFC 4254, section 5.2: the stream of error messages.
const STDERR: u32 = 1;

/// What a session task works with.
pub struct Session {
    pub guest: Arc<Guest>,
    pub machine: Arc<Machine>,
    pub handle: Handle,
    pub channel: ChannelWriteHalf<Msg>,
    pub intake: Arc<Intake>,
    pub inlet: Inlet,
    /// Variables of this session beside the guest's own.
    pub env: Vec<(String, String)>,
}

/// What is said to every terminal of the instance.
pub type Announcements = broadcast::Receiver<String>;

/// What runs in a session, for signals that come later.
#[derive(Default)]
pub struct Running(std::sync::OnceLock<u64>);

impl Running {
    /// Signals the process group of the session's process, once it runs.
    pub async fn signal(&self, machine: &Machine, signal: i32) {
        if let Some(id) = self.0.get() {
            machine.signal(*id, signal).await;
        }
    }

    fn is(&self, process: &Process) {
        let _ = self.0.set(process.id());
    }
}

impl Session {
    /// A login shell (`None`) or a command in a terminal. Announcements (wall(1)) come in between.
    pub async fn terminal(mut self, pty: Arc<Pty>, command: Option<String>, running: Arc<Running>, wall: Announcements) {
        if command.is_none() && !self.guest.is_hushed() {
            let motd = self.guest.motd().replace('\n', "\r\n");
            self.send(None, motd.into_bytes()).await.ok();
        }
        let wiring = Wiring::Terminal(pty.path().to_owned());
        let env = std::mem::take(&mut self.env);
        let started = self.machine.run(shell(command), env, self.guest.home(), wiring).await;
        pty.opened();
        let mut process = match started {
            Ok(process) => process,
            Err(error) => return self.refuse(&error).await,
        };
        running.is(&process);
        let Self { inlet, channel, intake, .. } = &mut self;
        let typed = async {
            while let Some(data) = inlet.next().await {
                if pty.write_all(&data).await.is_err() {
                    break;
                }
            }
        };
        let shown = show(Out { channel, intake }, &pty, &mut process, wall);
        // Typing goes on while output waits, so that Ctrl-C gets through; its end (EOF) means nothing to a terminal.
        let end = race(shown, typed).await;
        self.tell(end).await;
        self.close().await;
    }

    /// A command, or a shell without a terminal, its three streams apart.
    pub async fn command(mut self, command: Option<String>, running: Arc<Running>) {
        let (mut process, ends) = match self.start(command).await {
            Ok(started) => started,
            Err(error) => return self.refuse(&error).await,
        };
        running.is(&process);
        let Self { inlet, channel, intake, handle, .. } = &mut self;
        let fed = async {
            let mut stdin = ends.stdin;
            while let Some(data) = inlet.next().await {
                if let Some(pipe) = &mut stdin
                    && pipe.write_all(&data).await.is_err()
                {
                    // Nobody reads any more: the rest is for nobody.
                    stdin = None;
                }
            }
        };
        let out = Out { channel, intake };
        let told = async {
            let mut read = pin!(async { tokio::join!(pump(&out, ends.stdout, None), pump(&out, ends.stderr, Some(STDERR))) });
            let mut flowing = true;
            let end = tokio::select! {
                end = process.ended() => end,
                _ = &mut read => { flowing = false; process.ended().await }
            };
            let waiting = flowing && tokio::time::timeout(LINGER, &mut read).await.is_err();
            tell(out.channel, handle, end).await;
            if waiting {
                // A slow client; or something that was left behind holds the output, and OpenSSH waits for that too.
                read.await;
            }
        };
        race(told, fed).await;
        self.close().await;
    }

    /// The files of the instance by SFTP, until the client has enough.
    pub async fn files(self) {
        super::sftp::serve(self.guest.home(), self.inlet, self.channel.make_writer()).await;
        self.channel.exit_status(0).await.ok();
        self.channel.eof().await.ok();
        self.channel.close().await.ok();
    }

    async fn start(&mut self, command: Option<String>) -> io::Result<(Process, Ends)> {
        let pipes = Pipes::make(&self.guest.run_folder())?;
        let env = std::mem::take(&mut self.env);
        let process = self.machine.run(shell(command), env, self.guest.home(), pipes.wiring()).await;
        let ends = pipes.opened();
        Ok((process?, ends))
    }

    async fn send(&self, stream: Option<u32>, data: Vec<u8>) -> io::Result<()> {
        Out { channel: &self.channel, intake: &self.intake }.send(stream, data.into()).await
    }

    async fn refuse(self, error: &io::Error) {
        let text = format!("The local region could not start this: {error}\r\n");
        self.send(Some(STDERR), text.into_bytes()).await.ok();
        self.channel.exit_status(255).await.ok();
        self.close().await;
    }

    async fn tell(&self, end: End) {
        tell(&self.channel, &self.handle, end).await;
    }

    async fn close(&self) {
        self.channel.eof().await.ok();
        self.channel.close().await.ok();
    }
}

/// The first of the two counts; the second runs beside it and may end before.
async fn race<T>(first: impl Future<Output = T>, second: impl Future<Output = ()>) -> T {
    let rest = async {
        second.await;
        std::future::pending().await
    };
    tokio::select! {
        value = first => value,
        never = rest => never,
    }
}

/// The way of output to the client.
struct Out<'a> {
    channel: &'a ChannelWriteHalf<Msg>,
    intake: &'a Arc<Intake>,
}

impl Out<'_> {
    /// Sends as the client's window allows.
    async fn send(&self, stream: Option<u32>, data: Bytes) -> io::Result<()> {
        let waits = self.channel.writable_packet_size().await < data.len();
        let _starved = waits.then(|| self.intake.starve());
        let sent = match stream {
            None => self.channel.data_bytes(data).await,
            Some(stream) => self.channel.extended_data_bytes(stream, data).await,
        };
        sent.map_err(io::Error::other)
    }
}

/// Shows what a terminal's session writes until it has ended and nothing more comes.
async fn show(out: Out<'_>, pty: &Pty, process: &mut Process, mut wall: Announcements) -> End {
    let mut buffer = vec![0; READ_BYTES];
    let mut end = None;
    loop {
        let text = tokio::select! {
            read = pty.read(&mut buffer) => match read {
                Ok(count @ 1..) => Bytes::copy_from_slice(&buffer[..count]),
                _ => break,
            },
            ended = process.ended(), if end.is_none() => {
                end = Some(ended);
                continue;
            }
            () = tokio::time::sleep(LINGER), if end.is_some() => break,
            Ok(text) = wall.recv() => format!("\r\nBroadcast message from root:\r\n\r\n{text}\r\n\r\n").into(),
        };
        if out.send(None, text).await.is_err() {
            break;
        }
    }
    match end {
        Some(end) => end,
        None => process.ended().await,
    }
}

async fn pump(out: &Out<'_>, mut from: impl AsyncRead + Unpin, stream: Option<u32>) {
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if out.send(stream, Bytes::copy_from_slice(&buffer[..count])).await.is_err() {
            break;
        }
    }
}

/// `exit-status` or `exit-signal` (RFC 4254, section 6.10).
async fn tell(channel: &ChannelWriteHalf<Msg>, handle: &Handle, end: End) {
    match end {
        End::Code(code) => drop(channel.exit_status(u32::try_from(code).unwrap_or(255)).await),
        End::Signal(number, core) => {
            let told = handle.exit_signal_request(channel.id(), name(number), core, String::new(), String::new());
            told.await.ok();
        }
    }
}

/// A signal's name on the wire, without SIG.
fn name(number: i32) -> Sig {
    let signal = Signal::try_from(number).map_or("TERM", Signal::as_str);
    match signal.trim_start_matches("SIG") {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        other => Sig::Custom(other.to_owned()),
    }
}

/// The number of a signal that a client names.
#[must_use]
pub fn number(signal: &Sig) -> Option<Signal> {
    let name = match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    };
    format!("SIG{name}").parse().ok()
}
