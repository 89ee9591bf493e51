//! What is process number one on a real machine: the keeper of one instance, `footplate local machine` (hidden).
//!
//! There is one per instance and not one per session, because that is what a machine is: what a session detached (nohup,
//! setsid, tmux) has to outlive the session and its connection, and must not outlive the instance. The region holds its
//! standard input open and writes a line of JSON per [`Order`]; it answers with a line per [`Event`] on its standard output.
//! It is the subreaper of all that runs in the instance; at the end of its standard input (the instance is halted, or the
//! region is gone, kill -9 included) it kills all of it. No async runtime, for the reasons in
//! [`crate::local::engine::keeper`].

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, getppid, setsid};
use serde::{Deserialize, Serialize};

use crate::local::engine::keeper::{catch_signals, kill_all, spawn_thread};

/// What the region asks of the keeper.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    Start(Start),
    /// A signal for the whole process group of a process that was started.
    Signal {
        id: u64,
        /// Its number on this machine.
        signal: i32,
    },
}

/// A process to start, in a session of its own (setsid(2)).
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    /// The region's number for it.
    pub id: u64,
    /// The program, by its full path, and its arguments.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    pub cwd: PathBuf,
    pub wiring: Wiring,
}

/// Where its three standard streams are.
#[derive(Debug, Serialize, Deserialize)]
pub enum Wiring {
    /// A terminal, which becomes its controlling one.
    Terminal(PathBuf),
    /// Three named pipes.
    Pipes([PathBuf; 3]),
}

/// What the keeper says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Event {
    /// It runs, and its streams are open.
    Started {
        id: u64,
    },
    Refused {
        id: u64,
        why: String,
    },
    /// It ended by itself or by a signal; what it left behind runs on.
    Ended {
        id: u64,
        end: End,
    },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    Code(i32),
    /// The signal's number, and whether a core was dumped.
    Signal(i32, bool),
}

/// What the keeper waits for.
enum Happening {
    Asked(Order),
    Ended(Pid, End),
    /// The region is gone, or wants the machine to end.
    Over,
}

/// The hidden command `footplate local machine`. When it ends, no process of the machine is left.
pub fn machine() -> ExitCode {
    let result = keep_machine();
    kill_all();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "The local region could not keep a machine: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The hidden command `footplate local session PARENT TERMINAL PROGRAM ARGUMENT...`: ties itself to the keeper, takes the
/// terminal (`-` is none) as its controlling one and becomes the program.
pub fn session() -> ExitCode {
    let Err(error) = become_program();
    let _ = writeln!(std::io::stderr(), "{error}");
    ExitCode::from(127)
}

fn keep_machine() -> std::io::Result<()> {
    prctl::set_child_subreaper(true)?;
    let (sender, happenings) = channel();
    catch_signals({
        let sender = sender.clone();
        move || drop(sender.send(Happening::Over))
    })?;
    let (started, starts) = channel();
    spawn_thread("reaper", {
        let sender = sender.clone();
        move || reap(&sender, &starts)
    })?;
    spawn_thread("orders", move || obey(&sender))?;
    serve(&happenings, &started)
}

/// Runs on the main thread: the parent-death signal of a process is sent when the *thread* that started it ends.
fn serve(happenings: &Receiver<Happening>, started: &Sender<()>) -> std::io::Result<()> {
    let mut running: HashMap<i32, u64> = HashMap::new();
    while let Ok(happening) = happenings.recv() {
        match happening {
            Happening::Over => return Ok(()),
            Happening::Asked(Order::Start(order)) => match start(&order) {
                Ok(pid) => {
                    running.insert(pid, order.id);
                    let _ = started.send(());
                    say(&Event::Started { id: order.id })?;
                }
                Err(error) => say(&Event::Refused { id: order.id, why: error.to_string() })?,
            },
            Happening::Asked(Order::Signal { id, signal }) => {
                let pid = running.iter().find(|(_, running)| **running == id).map(|(pid, _)| *pid);
                if let (Some(pid), Ok(signal)) = (pid, Signal::try_from(signal)) {
                    let _ = killpg(Pid::from_raw(pid), signal);
                }
            }
            Happening::Ended(pid, end) => {
                if let Some(id) = running.remove(&pid.as_raw()) {
                    say(&Event::Ended { id, end })?;
                }
            }
        }
    }
    Ok(())
}

fn say(event: &Event) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    out.write_all(&line)?;
    out.flush()
}

fn start(order: &Start) -> std::io::Result<i32> {
    let (terminal, [stdin, stdout, stderr]) = match &order.wiring {
        Wiring::Terminal(path) => {
            let open = || OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(path);
            (path.as_path(), [open()?, open()?, open()?])
        }
        Wiring::Pipes([stdin, stdout, stderr]) => {
            let [mut read, mut write] = [OpenOptions::new(), OpenOptions::new()];
            let files = [open_pipe(read.read(true), stdin)?, open_pipe(write.write(true), stdout)?, open_pipe(&write, stderr)?];
            (Path::new("-"), files)
        }
    };
    // "/proc/self/exe" is this very program even when its file was replaced by a newer build meanwhile.
    let child = Command::new("/proc/self/exe")
        .args(["local", "session", &std::process::id().to_string()])
        .arg(terminal)
        .args(&order.argv)
        .env_clear()
        .envs(order.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&order.cwd)
        .stdin(Stdio::from(stdin))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .spawn()?;
    i32::try_from(child.id()).map_err(std::io::Error::other)
}

/// Opens a named pipe without waiting for its other end, which may be gone: the keeper must never wait for the region.
fn open_pipe(options: &OpenOptions, path: &Path) -> std::io::Result<File> {
    let file = options.clone().custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
    fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
    Ok(file)
}

/// Reads the region's orders; the end of the stream is the end of the machine.
fn obey(sender: &Sender<Happening>) {
    for line in std::io::stdin().lock().lines() {
        let Some(order) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else { break };
        if sender.send(Happening::Asked(order)).is_err() {
            return;
        }
    }
    let _ = sender.send(Happening::Over);
}

/// Waits for every child, the adopted ones too, so that none stays a zombie. Without any child it waits for a start.
fn reap(sender: &Sender<Happening>, starts: &Receiver<()>) {
    loop {
        let (pid, end) = match wait() {
            Ok(WaitStatus::Exited(pid, code)) => (pid, End::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, core)) => (pid, End::Signal(signal as i32, core)),
            Err(Errno::ECHILD) => match starts.recv() {
                Ok(()) => continue,
                Err(_) => return,
            },
            _ => continue,
        };
        if sender.send(Happening::Ended(pid, end)).is_err() {
            return;
        }
    }
}

fn become_program() -> Result<std::convert::Infallible, std::io::Error> {
    let missing = || std::io::Error::other("`local session` is for the local region's own use");
    let mut arguments = std::env::args_os().skip(3);
    let parent: i32 = arguments.next().and_then(|text| text.to_str()?.parse().ok()).ok_or_else(missing)?;
    let terminal: OsString = arguments.next().ok_or_else(missing)?;
    let program = arguments.next().ok_or_else(missing)?;

    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The keeper may have died before the line above: then no signal will ever come.
    if getppid().as_raw() != parent {
        return Err(std::io::Error::other("the keeper of this machine is gone"));
    }
    setsid()?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    if terminal != "-" {
        // A session's leader without a terminal gets the one that it opens (tty_ioctl(4), TIOCSCTTY).
        drop(OpenOptions::new().read(true).write(true).open(&terminal)?);
    }
    let error = Command::new(&program).args(arguments).exec();
    Err(std::io::Error::new(error.kind(), format!("{}: {error}", program.to_string_lossy())))
}
