//! The keeper: a process between the region and one host of a job, which the host's processes cannot outlive.
//!
//! The region starts `footplate local keep` and holds its standard input open. The keeper is the *subreaper* of everything
//! below it (prctl(2)): whatever forks, calls setsid and loses its parent becomes the keeper's own child and is found again in
//! `/proc`. The end of the standard input is the death of the region, kill -9 included.
//!
//! Neither stage uses an async runtime: between the region's death and the last SIGKILL nothing may get in the way.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, wait, waitpid};
use nix::unistd::{Pid, getppid};
use serde::{Deserialize, Serialize};

/// What a keeper runs: the one line of JSON it reads first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Charge {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// The whole environment; nothing is inherited.
    pub env: Vec<(String, String)>,
    /// The working folder.
    pub cwd: PathBuf,
    pub limits: Limits,
    /// Milliseconds between SIGTERM and SIGKILL when the job is stopped.
    pub grace_millis: u64,
}

/// Limits of each process of the host (setrlimit(2)); `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Address space, in bytes.
    pub memory_bytes: Option<u64>,
    /// The size of one file, in bytes; the sum of all files is the region's to watch.
    pub file_bytes: Option<u64>,
    /// Processor time, in seconds.
    pub cpu_seconds: Option<u64>,
}

/// The line that asks for SIGTERM, and SIGKILL when the grace is over. The end of the stream asks for SIGKILL at once.
pub const TERM: &str = "term\n";

/// The exit code when the keeper itself could not do its work, as of other programs that run programs (env, timeout).
const KEEPER_FAILED: u8 = 125;
/// The exit code when the program could not be executed.
const NOT_EXECUTED: u8 = 127;

/// What the keeper waits for.
enum Event {
    /// SIGTERM, then SIGKILL after the grace.
    Term,
    /// SIGKILL now: asked for, or the region is gone.
    Kill,
    /// A child of ours ended.
    Ended(Pid, i32),
    /// No child is left.
    Childless,
}

/// The hidden command `footplate local keep`: runs one charge and ends with its exit code (128 + n for signal n). When it
/// ends, no process of the charge is left.
pub fn keep() -> ExitCode {
    match keep_charge() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "The local region could not start the script: {error}");
            ExitCode::from(KEEPER_FAILED)
        }
    }
}

/// The hidden command `footplate local exec PARENT LIMITS PROGRAM ARGUMENT...`: ties itself to the keeper, takes the limits
/// on and becomes the program.
pub fn exec() -> ExitCode {
    let Err(error) = become_program();
    let _ = writeln!(std::io::stderr(), "The local region could not run the script: {error}");
    ExitCode::from(NOT_EXECUTED)
}

fn keep_charge() -> std::io::Result<u8> {
    prctl::set_child_subreaper(true)?;
    let (sender, events) = channel();
    catch_signals({
        let sender = sender.clone();
        move || drop(sender.send(Event::Kill))
    })?;

    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let charge: Charge = serde_json::from_str(&line)?;
    let child = start(&charge)?;

    // Only now: a thread that waits without any child would end at once.
    spawn_thread("reaper", {
        let sender = sender.clone();
        move || reap(&sender)
    })?;
    spawn_thread("orders", move || obey(&sender))?;
    Ok(watch(&events, child, Duration::from_millis(charge.grace_millis)))
}

/// Starts the second stage in its own process group. From the main thread, because the parent-death signal is sent when
/// the *thread* that started the child ends.
fn start(charge: &Charge) -> std::io::Result<Pid> {
    let limits = serde_json::to_string(&charge.limits)?;
    // "/proc/self/exe" is this very program even when its file was replaced by a newer build meanwhile.
    let child = Command::new("/proc/self/exe")
        .args(["local", "exec", &std::process::id().to_string(), &limits])
        .args(&charge.argv)
        .env_clear()
        .envs(charge.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&charge.cwd)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()?;
    i32::try_from(child.id()).map(Pid::from_raw).map_err(std::io::Error::other)
}

/// A polite end of the keeper (a session that closes, a shutdown) is the end of its charge too.
pub(crate) fn catch_signals(end: impl Fn() + Send + 'static) -> std::io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    let mut signals = signal_hook::iterator::Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM])?;
    spawn_thread("signals", move || {
        for _ in signals.forever() {
            end();
        }
    })
}

pub(crate) fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).map(drop)
}

/// Reads the region's orders; the end of the stream is the end of the region.
fn obey(sender: &Sender<Event>) {
    for line in std::io::stdin().lock().lines() {
        let event = match line.as_deref() {
            Ok("term") => Event::Term,
            _ => Event::Kill,
        };
        if sender.send(event).is_err() {
            return;
        }
    }
    let _ = sender.send(Event::Kill);
}

/// Waits for every child, the adopted ones too, so that none stays a zombie.
fn reap(sender: &Sender<Event>) {
    loop {
        let event = match wait() {
            Ok(WaitStatus::Exited(pid, code)) => Event::Ended(pid, code),
            Ok(WaitStatus::Signaled(pid, signal, _)) => Event::Ended(pid, 128 + signal as i32),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(_) => Event::Childless,
        };
        let last = matches!(event, Event::Childless);
        if sender.send(event).is_err() || last {
            return;
        }
    }
}

/// Until the main child has ended; then ends the rest.
fn watch(events: &Receiver<Event>, child: Pid, grace: Duration) -> u8 {
    let mut deadline: Option<Instant> = None;
    let code = loop {
        let event = match deadline {
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(at) => events.recv_timeout(at.saturating_duration_since(Instant::now())),
        };
        match event {
            Ok(Event::Term) => {
                let _ = killpg(child, Signal::SIGTERM);
                deadline = deadline.or(Some(Instant::now() + grace));
            }
            Ok(Event::Kill) | Err(RecvTimeoutError::Timeout) => {
                deadline = None;
                kill_seen();
            }
            Ok(Event::Ended(pid, code)) if pid == child => break code,
            Ok(Event::Ended(..)) => {}
            // Every sender gone or no child left without the main child's end: nothing is left to keep.
            Ok(Event::Childless) | Err(RecvTimeoutError::Disconnected) => break i32::from(KEEPER_FAILED),
        }
    };
    kill_all();
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// Kills all descendants of a subreaper that is about to end; none is left.
pub(crate) fn kill_all() {
    loop {
        kill_seen();
        // That none is seen does not prove it: the table is not one instant, and one whose parent has just ended is missed. It
        // becomes our own child then.
        if is_childless() {
            return;
        }
    }
}

/// Kills descendants until none is seen to live. They are stopped first, so that a process that forks faster than it is killed
/// cannot win.
fn kill_seen() {
    loop {
        let descendants = descendants(std::process::id());
        if descendants.is_empty() {
            return;
        }
        for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
            for pid in &descendants {
                let _ = kill(Pid::from_raw(*pid), signal);
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether this process has no child any more, dead or alive. The dead are buried.
fn is_childless() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return false,
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => return true,
        }
    }
}

/// All living processes below a process, zombies left out.
fn descendants(root: u32) -> Vec<i32> {
    below(root).into_iter().filter(|(_, stat)| !matches!(stat.state, 'Z' | 'X')).map(|(pid, _)| pid).collect()
}

fn below(root: u32) -> Vec<(i32, Stat)> {
    let mut children: HashMap<i32, Vec<(i32, Stat)>> = HashMap::new();
    for (pid, folder) in processes() {
        let Ok(text) = std::fs::read_to_string(folder.join("stat")) else { continue };
        if let Some(stat) = parse_stat(&text) {
            children.entry(stat.parent).or_default().push((pid, stat));
        }
    }
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![i32::try_from(root).unwrap_or(0)];
    while let Some(parent) = open.pop() {
        for (pid, stat) in children.get(&parent).into_iter().flatten() {
            // The table is not one instant: a reused id must not lead round in circles.
            if seen.insert(*pid) {
                open.push(*pid);
                found.push((*pid, *stat));
            }
        }
    }
    found
}

/// What `/proc/PID/stat` says of a process (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    state: char,
    parent: i32,
    /// Processor time of its own, in clock ticks.
    pub own_ticks: u64,
    /// That of its ended children, and of theirs.
    pub children_ticks: u64,
    /// Resident pages.
    pub pages: u64,
}

/// A process, if it is there.
#[must_use]
pub fn stat_of(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// All processes below a process, zombies too: their time is not yet their parents'.
#[must_use]
pub fn stats_below(root: u32) -> Vec<Stat> {
    below(root).into_iter().map(|(_, stat)| stat).collect()
}

/// Kills every process that has this variable in its environment, until none has: what is left when the keeper itself was
/// killed, and with it the place in the process tree that its charge could not leave. Blocks.
pub fn kill_marked(name: &str, value: &str) {
    let variable = format!("{name}={value}");
    loop {
        let marked: Vec<i32> =
            processes().filter(|(pid, folder)| *pid != 1 && has_variable(folder, &variable)).map(|(pid, _)| pid).collect();
        if marked.is_empty() {
            return;
        }
        for pid in marked {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A zombie's environment is empty; that of another user cannot be read.
fn has_variable(process: &Path, variable: &str) -> bool {
    let environment = std::fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
}

/// All processes of this machine, with their folders in `/proc`.
fn processes() -> impl Iterator<Item = (i32, PathBuf)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())))
}

/// A line of `/proc/PID/stat`; the name in brackets, its second field, may contain anything (proc(5)).
fn parse_stat(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    let number = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        own_ticks: number(14) + number(15),
        children_ticks: number(16) + number(17),
        pages: number(24),
    })
}

fn become_program() -> Result<std::convert::Infallible, std::io::Error> {
    let missing = || std::io::Error::other("`local exec` is for the local region's own use");
    let mut arguments = std::env::args_os().skip(3);
    let parent: i32 = arguments.next().and_then(|text| text.to_str()?.parse().ok()).ok_or_else(missing)?;
    let limits: Limits = arguments.next().and_then(|text| serde_json::from_str(text.to_str()?).ok()).ok_or_else(missing)?;
    let program = arguments.next().ok_or_else(missing)?;

    prctl::set_pdeathsig(Signal::SIGKILL)?;
    // The keeper may have died before the line above: then no signal will ever come.
    if getppid().as_raw() != parent {
        return Err(std::io::Error::other("the keeper of this job is gone"));
    }
    for (resource, limit) in [
        (Resource::RLIMIT_AS, limits.memory_bytes),
        (Resource::RLIMIT_FSIZE, limits.file_bytes),
        (Resource::RLIMIT_CPU, limits.cpu_seconds),
        (Resource::RLIMIT_CORE, Some(0)),
    ] {
        if let Some(limit) = limit {
            setrlimit(resource, limit, limit)?;
        }
    }
    let error = Command::new(&program).args(arguments).exec();
    Err(std::io::Error::new(error.kind(), format!("{}: {error}", program.to_string_lossy())))
}

/// The exit code of a keeper as the region sees it: its own code, or 128 + n when somebody killed the keeper itself.
#[must_use]
pub fn exit_code(status: std::process::ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(i32::from(KEEPER_FAILED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_name_cannot_confuse_the_walk() {
        let parsed = parse_stat("7 (a) Z 9 (x)) S 42 1 1 0 -1 0 0 0 0 0 11 12 13 14 20 0 1 0 5 4096 77").expect("is read");
        assert_eq!((parsed.state, parsed.parent, parsed.pages), ('S', 42, 77));
        assert_eq!((parsed.own_ticks, parsed.children_ticks), (23, 27));
        assert_eq!(parse_stat("7 (cut"), None);
    }

    #[test]
    fn finds_children_of_children() {
        let mut shell = Command::new("sh").args(["-c", "sleep 60 & wait"]).spawn().expect("sh runs");
        let deadline = Instant::now() + Duration::from_secs(10);
        while descendants(shell.id()).is_empty() {
            assert!(Instant::now() < deadline, "the sleep was never found");
            std::thread::yield_now();
        }
        assert!(descendants(std::process::id()).len() >= 2);
        for pid in descendants(shell.id()) {
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("ours");
        }
        shell.wait().expect("waits");
        assert!(descendants(shell.id()).is_empty());
    }
}
