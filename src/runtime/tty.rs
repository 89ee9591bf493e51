//! The host terminal: taken over on entry, given back on every way out, and never waited for.
//!
//! Frames go to a writer thread with room for one: while the terminal does not take bytes (Ctrl-S, a slow line, a paused
//! tmux), frames are skipped and everything else goes on.

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ratatui::backend::CrosstermBackend;
use tokio::sync::Notify;

use super::machine;
use super::sheet::Sheet;
use crate::app::App;
use crate::config::theme::Theme;
use crate::model::{Failure, FailureKind, Safe};

/// Alternate screen, bracketed paste, no cursor.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?2004h\x1b[?25l\x1b[2J";
/// The same undone, a frame that was cut short ended, and colours back to normal.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[0m\x1b[?2004l\x1b[?25h\x1b[?1049l";
/// Reports of the mouse with a button held (1002) in a form for any window size (1006), and of the window's focus (1004).
const MOUSE_ON: &[u8] = b"\x1b[?1002h\x1b[?1006h\x1b[?1004h";
/// The same undone.
const MOUSE_OFF: &[u8] = b"\x1b[?1004l\x1b[?1006l\x1b[?1002l";
/// Longest text for the clipboard, in bytes; terminals cut longer ones off.
const CLIPBOARD: usize = 70_000;

/// How long a terminal that takes no bytes keeps us from leaving.
const FAREWELL: Duration = Duration::from_millis(200);
/// A continuation this soon after our own suspension is the end of that very suspension.
const ECHO: Duration = Duration::from_secs(1);

/// The terminal is ours. Idempotent: whoever gives it back first does it.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// The terminal was told to report the mouse, so it is told to stop on every way out: once too often rather than never, as what
/// waits to be written when the terminal is given back is written no more.
static MOUSE: AtomicBool = AtomicBool::new(false);
/// Held while bytes go out: a frame is never cut by the bytes that give the terminal back, nor written after them.
static TURN: Mutex<()> = Mutex::new(());

/// The terminal while the cockpit has it.
pub struct Tty {
    sheet: Sheet<CrosstermBackend<Frame>>,
    frame: Frame,
    writer: mpsc::SyncSender<Vec<u8>>,
    idle: Arc<Idle>,
    /// The last that was said of the mouse is that it be reported.
    mouse: bool,
    /// When we came back from a suspension of our own.
    back: Option<Instant>,
}

/// Collects one frame's bytes.
#[derive(Clone, Default)]
struct Frame(Arc<Mutex<Vec<u8>>>);

impl Write for Frame {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct Idle {
    busy: AtomicBool,
    done: Notify,
}

impl Tty {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// When input or output is no terminal.
    pub fn enter() -> Result<Self, Failure> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::new(
                FailureKind::Refused,
                "the cockpit needs a terminal for input and output",
                "for scripts there are footplate ls, show, logs, train …, each with --json",
            ));
        }
        restore_on_panic();
        take()?;
        let (width, height) = measure();
        let frame = Frame::default();
        let sheet = Sheet::new(CrosstermBackend::new(frame.clone()), width, height);
        let idle = Arc::new(Idle::default());
        let writer = start_writer(Arc::clone(&idle));
        Ok(Self { sheet, frame, writer, idle, mouse: false, back: None })
    }

    /// Columns and rows.
    #[expect(clippy::unused_self, reason = "only who has the terminal asks for its size")]
    pub fn size(&self) -> (u16, u16) {
        measure()
    }

    /// The last frame has been taken by the terminal.
    pub fn is_ready(&self) -> bool {
        !self.idle.busy.load(Ordering::Acquire)
    }

    /// Waits until it has.
    pub async fn ready(&self) {
        while !self.is_ready() {
            self.idle.done.notified().await;
        }
    }

    /// Draws what has changed since the last frame, as one write.
    pub fn draw(&mut self, app: &App, theme: &Theme) -> Result<(), Failure> {
        self.sheet.draw(app, theme).map_err(|error| machine("drawing", &error))?;
        let bytes = std::mem::take(&mut *self.frame.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut whole = Vec::with_capacity(bytes.len() + 16);
        whole.extend_from_slice(b"\x1b[?2026h");
        whole.extend_from_slice(&bytes);
        whole.extend_from_slice(b"\x1b[?2026l");
        self.send(whole);
        Ok(())
    }

    /// Has the terminal report mouse and focus, or not: only while somebody wants to know, as its own selecting and scrolling
    /// do not work meanwhile.
    pub fn listen_to_mouse(&mut self, wanted: bool) {
        if self.mouse == wanted || !self.is_ready() {
            return;
        }
        self.mouse = wanted;
        MOUSE.fetch_or(wanted, Ordering::AcqRel);
        self.send(if wanted { MOUSE_ON } else { MOUSE_OFF }.to_vec());
    }

    /// The window has another size: the next frame is drawn whole.
    pub fn resize(&mut self, width: u16, height: u16) -> Result<(), Failure> {
        self.sheet.resize(width.max(1), height.max(1)).map_err(|error| machine("the terminal", &error))
    }

    /// Puts a text on the user's own clipboard, also through SSH (OSC 52).
    pub fn copy(&self, text: &Safe) {
        let text = text.as_str();
        let encoded = base64::engine::general_purpose::STANDARD.encode(&text[..text.floor_char_boundary(CLIPBOARD)]);
        self.idle.busy.store(true, Ordering::Release);
        // A terminal that takes nothing now is not waited for; the text can be copied again.
        let _ = self.writer.try_send(format!("\x1b]52;c;{encoded}\x07").into_bytes());
    }

    /// Stops the whole job, as Ctrl-Z does elsewhere; goes on here when it is continued. SIGTSTP, not SIGSTOP: where no
    /// shell could ever continue it (`ssh -t host footplate`), the system does not stop it at all.
    pub fn suspend(&mut self) -> Result<(), Failure> {
        restore();
        kill(Pid::from_raw(0), Signal::SIGTSTP).map_err(|error| machine("suspending", &error.into()))?;
        self.back = Some(Instant::now());
        self.retake()
    }

    /// The program was continued. After a stop from outside the terminal may be in any state: it is taken anew.
    pub fn continued(&mut self) -> Result<(), Failure> {
        if self.back.take().is_some_and(|at| at.elapsed() < ECHO) {
            return Ok(());
        }
        restore();
        self.retake()
    }

    fn retake(&mut self) -> Result<(), Failure> {
        take()?;
        self.mouse = false;
        let (width, height) = measure();
        self.resize(width, height)
    }

    fn send(&self, bytes: Vec<u8>) {
        self.idle.busy.store(true, Ordering::Release);
        // A writer that is gone means that the terminal is; the watch on it ends the program.
        let _ = self.writer.send(bytes);
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        restore();
    }
}

fn start_writer(idle: Arc<Idle>) -> mpsc::SyncSender<Vec<u8>> {
    let (sender, frames) = mpsc::sync_channel::<Vec<u8>>(2);
    thread::spawn(move || {
        while let Ok(bytes) = frames.recv() {
            let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            // Given back meanwhile: what is drawn next, if anything, is drawn whole.
            let written = if TAKEN.load(Ordering::Acquire) { put(&bytes, None) } else { Ok(()) };
            drop(turn);
            if written.is_err() {
                return;
            }
            idle.busy.store(false, Ordering::Release);
            idle.done.notify_one();
        }
    });
    sender
}

/// Columns and rows of the terminal.
pub fn measure() -> (u16, u16) {
    crossterm::terminal::size().unwrap_or((80, 24))
}

fn take() -> Result<(), Failure> {
    if !TAKEN.swap(true, Ordering::AcqRel) {
        crossterm::terminal::enable_raw_mode().map_err(|error| machine("the terminal", &error))?;
        let _turn = turn();
        put(ENTER, Some(FAREWELL)).map_err(|error| machine("the terminal", &error))?;
    }
    Ok(())
}

/// Gives the terminal back, once. A terminal that takes no bytes gets its settings back at least.
pub fn restore() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        let _turn = turn();
        if MOUSE.swap(false, Ordering::AcqRel) {
            let _ = put(MOUSE_OFF, Some(FAREWELL));
        }
        let _ = put(LEAVE, Some(FAREWELL));
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// Our turn to write; a frame that the terminal does not take is waited for only so long.
fn turn() -> Option<MutexGuard<'static, ()>> {
    let deadline = Instant::now() + FAREWELL;
    loop {
        match TURN.try_lock() {
            Ok(turn) => return Some(turn),
            Err(TryLockError::Poisoned(turn)) => return Some(turn.into_inner()),
            Err(TryLockError::WouldBlock) if Instant::now() > deadline => return None,
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Writes past Rust's buffer and its lock. With `patience` it gives up when the terminal takes nothing for so long.
fn put(bytes: &[u8], patience: Option<Duration>) -> io::Result<()> {
    let out = io::stdout();
    let timeout = patience.map_or(PollTimeout::NONE, |time| PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO));
    let mut rest = bytes;
    while !rest.is_empty() {
        match poll(&mut [PollFd::new(out.as_fd(), PollFlags::POLLOUT)], timeout) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        match nix::unistd::write(&out, rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => rest = &rest[count..],
            Err(Errno::EINTR | Errno::EAGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// A panic of the thread that draws gives the terminal back before it is reported. A panic elsewhere (a task) is caught
/// at its boundary and must not pull the terminal from under a living cockpit.
fn restore_on_panic() {
    let owner = thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if thread::current().id() == owner {
            restore();
            before(info);
        } else {
            tracing::error!(place = ?info.location().map(ToString::to_string), "a task has panicked");
        }
    }));
}
