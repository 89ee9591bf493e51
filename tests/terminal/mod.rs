//! A terminal for the program: a pseudo-terminal, an emulator that shows what it wrote, and a judge of every byte.

#![allow(dead_code, reason = "each test file uses what it needs")]

mod bytes;

use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

pub use bytes::Judge;

use crate::binary::Home;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// A program in a terminal of its own.
pub struct Terminal {
    master: Option<Box<dyn MasterPty + Send>>,
    writer: Option<Box<dyn Write + Send>>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    deaf: Arc<AtomicBool>,
    stalled: Arc<AtomicBool>,
    /// The terminal's settings before the program started, as text.
    before: String,
}

struct Seen {
    emulator: vt100::Parser,
    bytes: Vec<u8>,
    /// Nothing more comes.
    closed: bool,
}

/// One test with a terminal at a time: a program started by another test between the opening of a terminal and the mark
/// that keeps it from children would hold that terminal open, and its end could not be tested. Taken by the first terminal
/// of a test; a test that starts something else before takes it itself.
pub fn take_turn() {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    thread_local! {
        static MINE: std::cell::RefCell<Option<std::sync::MutexGuard<'static, ()>>> = const { std::cell::RefCell::new(None) };
    }
    MINE.with_borrow_mut(|mine| {
        mine.get_or_insert_with(|| TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    });
}

impl Terminal {
    /// Starts the program in a terminal of so many columns and rows.
    pub fn start(home: &Home, size: (u16, u16), args: &[&str]) -> Self {
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_footplate"));
        command.env_clear();
        command.args(args);
        command.cwd(home.root());
        command.env("HOME", home.root());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        Self::run(command, size)
    }

    pub fn run(command: CommandBuilder, (cols, rows): (u16, u16)) -> Self {
        take_turn();
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let before = format!("{:?}", pair.master.get_termios().unwrap());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        let emulator = emulator(cols, rows);
        let seen = Arc::new((Mutex::new(Seen { emulator, bytes: Vec::new(), closed: false }), Condvar::new()));
        let deaf = Arc::new(AtomicBool::new(false));
        let stalled = Arc::new(AtomicBool::new(false));
        read_all(reader, Arc::clone(&seen), Arc::clone(&deaf), Arc::clone(&stalled));
        Self { master: Some(pair.master), writer: Some(writer), child, seen, deaf, stalled, before }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.process_id().unwrap()).unwrap()
    }

    /// Types.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        let writer = self.writer.as_mut().unwrap();
        writer.write_all(keys.as_bytes()).unwrap();
        writer.flush().unwrap();
        self
    }

    /// What is on the screen.
    pub fn screen(&self) -> String {
        self.seen.0.lock().unwrap().emulator.screen().contents()
    }

    /// All that the program has written.
    pub fn bytes(&self) -> Vec<u8> {
        self.seen.0.lock().unwrap().bytes.clone()
    }

    /// Waits until the screen shows all of these; returns it.
    #[track_caller]
    pub fn shows(&self, words: &[&str]) -> String {
        self.until(&format!("{words:?}"), |screen| words.iter().all(|word| screen.contains(word)))
    }

    /// Waits until the screen shows none of these.
    #[track_caller]
    pub fn hides(&self, words: &[&str]) -> String {
        self.until(&format!("none of {words:?}"), |screen| !words.iter().any(|word| screen.contains(word)))
    }

    /// Waits until the screen is as it should be; returns it.
    #[track_caller]
    pub fn until(&self, what: &str, right: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let (lock, changed) = &*self.seen;
        let mut seen = lock.lock().unwrap();
        loop {
            let screen = seen.emulator.screen().contents();
            if right(&screen) {
                return screen;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !seen.closed, "waited for {what}; the screen shows\n{screen}");
            seen = changed.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// Waits until so long nothing was written; fails when that does not come.
    #[track_caller]
    pub fn rests(&self, window: Duration) {
        let deadline = Instant::now() + PATIENCE;
        let (lock, changed) = &*self.seen;
        let mut seen = lock.lock().unwrap();
        loop {
            let before = seen.bytes.len();
            let begun = Instant::now();
            while seen.bytes.len() == before && begun.elapsed() < window {
                seen = changed.wait_timeout(seen, window.saturating_sub(begun.elapsed())).unwrap().0;
            }
            if seen.bytes.len() == before {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "it never rests; last written: {:?}",
                String::from_utf8_lossy(&seen.bytes[before..])
            );
        }
    }

    pub fn resize(&self, (cols, rows): (u16, u16)) {
        // A new emulator: shrinking one below what is on it makes it panic, and the program draws all anew anyway.
        let mut seen = self.seen.0.lock().unwrap();
        let mut emulator = emulator(cols, rows);
        emulator.process(if seen.emulator.screen().alternate_screen() { b"\x1b[?1049h\x1b[?25l" } else { b"" });
        seen.emulator = emulator;
        drop(seen);
        self.master.as_ref().unwrap().resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).unwrap();
    }

    /// Sends a signal, by its name.
    pub fn signal(&self, name: &str) {
        let signal: nix::sys::signal::Signal = name.parse().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Waits for a process state of proc(5), e.g. `T` for stopped.
    #[track_caller]
    pub fn is_in_state(&self, state: char) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap_or_default();
            let now = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
            if now == Some(state) {
                return;
            }
            assert!(Instant::now() < deadline, "the process is {now:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Takes nothing of what the program writes from now on, as a paused terminal does.
    pub fn stall(&self) {
        self.stalled.store(true, Ordering::SeqCst);
    }

    /// Puts the terminal's settings back, behind the program's back.
    pub fn make_sane(&self) {
        let name = self.master.as_ref().unwrap().tty_name().unwrap();
        let done = std::process::Command::new("stty").arg("-F").arg(name).arg("sane").status().unwrap();
        assert!(done.success());
    }

    /// Whether keys come without line editing and echo.
    pub fn is_raw(&self) -> bool {
        format!("{:?}", self.master.as_ref().unwrap().get_termios().unwrap()) != self.before
    }

    /// Takes the terminal away, as a closed window does.
    pub fn hang_up(&mut self) {
        self.deaf.store(true, Ordering::SeqCst);
        // The reader holds the terminal, too, until it has read once more: the program's answer, or the echo of a plain
        // terminal.
        self.press("?");
        let (lock, changed) = &*self.seen;
        let mut seen = lock.lock().unwrap();
        while !seen.closed {
            seen = changed.wait(seen).unwrap();
        }
        drop(seen);
        self.writer = None;
        self.master = None;
    }

    /// Waits for the program's end by itself; its exit code.
    #[track_caller]
    pub fn ends(&mut self) -> u32 {
        self.ends_somehow().unwrap()
    }

    /// Waits for the program's end; its exit code, or the signal that it died by, in the words of strsignal(3).
    #[track_caller]
    pub fn ends_somehow(&mut self) -> Result<u32, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.drain();
                return status.signal().map_or_else(|| Ok(status.exit_code()), |name| Err(name.to_owned()));
            }
            assert!(Instant::now() < deadline, "it does not end; the screen shows\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What was written before the end is read to its last byte.
    fn drain(&self) {
        if self.master.is_none() || self.stalled.load(Ordering::SeqCst) {
            return;
        }
        let (lock, changed) = &*self.seen;
        let mut seen = lock.lock().unwrap();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !seen.closed && Instant::now() < deadline {
            seen = changed.wait_timeout(seen, Duration::from_millis(50)).unwrap().0;
        }
    }

    /// The terminal is as it was: its settings, and every mode that was set is reset.
    #[track_caller]
    pub fn is_restored(&self) {
        let now = format!("{:?}", self.master.as_ref().unwrap().get_termios().unwrap());
        assert_eq!(now, self.before, "the terminal's settings");
        let bytes = self.bytes();
        let judge = Judge::of(&bytes);
        assert!(judge.modes.is_empty(), "still set: {:?}", judge.modes);
        assert!(judge.plain, "the colours are not reset");
        assert!(!self.seen.0.lock().unwrap().emulator.screen().hide_cursor(), "the cursor is hidden");
    }

    /// The terminal is the program's: raw, on the second screen.
    #[track_caller]
    pub fn is_taken(&self) {
        let now = format!("{:?}", self.master.as_ref().unwrap().get_termios().unwrap());
        assert_ne!(now, self.before, "the terminal's settings");
        assert!(self.seen.0.lock().unwrap().emulator.screen().alternate_screen());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// vt100 panics on a wide character where there is one column; what was on its way for a wider window may bring one.
fn emulator(cols: u16, rows: u16) -> vt100::Parser {
    vt100::Parser::new(rows.max(2), cols.max(2), 0)
}

fn read_all(
    mut reader: Box<dyn Read + Send>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    deaf: Arc<AtomicBool>,
    stalled: Arc<AtomicBool>,
) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        loop {
            while stalled.load(Ordering::SeqCst) && !deaf.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(5));
            }
            let count = if deaf.load(Ordering::SeqCst) { 0 } else { reader.read(&mut buffer).unwrap_or(0) };
            let over = count == 0 || deaf.load(Ordering::SeqCst);
            if over {
                // Closed before anybody is told.
                drop(reader);
                seen.0.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
                seen.1.notify_all();
                return;
            }
            // A test that has failed does not read any more.
            let Ok(mut state) = seen.0.lock() else { return };
            state.emulator.process(&buffer[..count]);
            state.bytes.extend_from_slice(&buffer[..count]);
            drop(state);
            seen.1.notify_all();
        }
    });
}
