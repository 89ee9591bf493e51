//! Keys, signals and the end of the terminal, as events.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;
use std::time::Duration;

use crossterm::event::{Event as Raw, KeyCode, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use crate::app::Event;
use crate::app::shell::mouse::{Button, Did, Mouse};
use crate::config::key::{Code, Key};

/// How long the loop may take to leave after the terminal is gone.
const GRACE: Duration = Duration::from_millis(400);

/// The signal that asked the program to end, if one did.
#[derive(Clone, Default)]
pub struct Asked(Arc<AtomicI32>);

impl Asked {
    /// Its number.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        Some(self.0.load(Ordering::Acquire)).filter(|signal| *signal != 0)
    }

    /// The terminal is gone, as if SIGHUP had said so.
    pub fn lose(&self, out: &UnboundedSender<Event>) {
        self.note(SignalKind::hangup());
        let _ = out.send(Event::Ended);
    }

    /// Only the first counts.
    fn note(&self, signal: SignalKind) {
        let _ = self.0.compare_exchange(0, signal.as_raw_value(), Ordering::AcqRel, Ordering::Acquire);
    }
}

/// Listens until the program ends. From its return on no change of the window's size is missed.
pub fn listen(out: &UnboundedSender<Event>) -> Asked {
    let asked = Asked::default();
    let keys = out.clone();
    thread::spawn(move || read_keys(&keys));
    let (gone, hangup) = (out.clone(), asked.clone());
    thread::spawn(move || {
        until_lost();
        hangup.lose(&gone);
        thread::sleep(GRACE);
        die_by(SignalKind::hangup().as_raw_value());
    });
    if let Ok(mut changes) = signal(SignalKind::window_change()) {
        let out = out.clone();
        tokio::spawn(async move {
            while changes.recv().await.is_some() {
                let (width, height) = super::tty::measure();
                if out.send(Event::Resize(width, height)).is_err() {
                    return;
                }
            }
        });
    }
    let going_on = SignalKind::from_raw(nix::libc::SIGCONT);
    for kind in [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::hangup(), going_on] {
        let Ok(mut signals) = signal(kind) else { continue };
        let (out, asked) = (out.clone(), asked.clone());
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                let event = if kind == going_on {
                    Event::Resumed
                } else {
                    asked.note(kind);
                    Event::Ended
                };
                if out.send(event).is_err() {
                    return;
                }
            }
        });
    }
    asked
}

/// Ends this process by a signal, as if nobody had listened for it: whoever waits for it sees why it ended.
pub fn die_by(signal: i32) -> ! {
    let _ = signal_hook::low_level::emulate_default_handler(signal);
    // Only where the signal's default is not to end a process.
    std::process::exit(128 + signal);
}

/// One look at the terminal may bring several keys; crossterm hands out those it has only when it may wait a little. It spins
/// meanwhile, as it rounds down to whole milliseconds, and that takes a core from those who are to answer the key. So it is
/// little, and asked twice: whoever was interrupted for so long the first time has not looked.
const MORE: Duration = Duration::from_micros(20);

/// Hands over keys until the terminal is gone. crossterm 0.29 spins for ever on a terminal that is gone, so it is asked
/// only when there is something to read.
fn read_keys(keys: &UnboundedSender<Event>) {
    while has_input() {
        loop {
            let Ok(raw) = crossterm::event::read() else { return };
            if let Some(event) = translate(raw)
                && keys.send(event).is_err()
            {
                return;
            }
            let more = || matches!(crossterm::event::poll(MORE), Ok(true));
            if !more() && !more() {
                break;
            }
        }
    }
}

/// Waits for keys; `false` when the terminal is gone.
fn has_input() -> bool {
    let found = wait_for(PollFlags::POLLIN);
    found.contains(PollFlags::POLLIN) && !found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR)
}

/// Returns when the terminal is gone.
fn until_lost() {
    wait_for(PollFlags::empty());
}

/// What stdin has to tell of this, or of its end.
fn wait_for(what: PollFlags) -> PollFlags {
    let input = io::stdin();
    loop {
        let mut watched = [PollFd::new(input.as_fd(), what)];
        match poll(&mut watched, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return PollFlags::POLLERR,
            Ok(_) => return watched[0].revents().unwrap_or(PollFlags::POLLERR),
        }
    }
}

fn translate(raw: Raw) -> Option<Event> {
    match raw {
        Raw::Key(key) if key.kind != KeyEventKind::Release => {
            let code = match key.code {
                KeyCode::Char(c) => Code::Char(c),
                KeyCode::Enter => Code::Enter,
                KeyCode::Esc => Code::Esc,
                KeyCode::Tab => Code::Tab,
                KeyCode::BackTab => Code::BackTab,
                KeyCode::Backspace => Code::Backspace,
                KeyCode::Delete => Code::Delete,
                KeyCode::Insert => Code::Insert,
                KeyCode::Up => Code::Up,
                KeyCode::Down => Code::Down,
                KeyCode::Left => Code::Left,
                KeyCode::Right => Code::Right,
                KeyCode::Home => Code::Home,
                KeyCode::End => Code::End,
                KeyCode::PageUp => Code::PageUp,
                KeyCode::PageDown => Code::PageDown,
                KeyCode::F(number) => Code::F(number),
                _ => return None,
            };
            // A letter carries its shift in its case, and BackTab is Shift-Tab.
            let shift = key.modifiers.contains(KeyModifiers::SHIFT) && !matches!(code, Code::Char(_) | Code::BackTab);
            Some(Event::Key(Key {
                code,
                ctrl: key.modifiers.contains(KeyModifiers::CONTROL),
                alt: key.modifiers.contains(KeyModifiers::ALT),
                shift,
            }))
        }
        Raw::Paste(text) => Some(Event::Paste(text)),
        Raw::Mouse(mouse) => Some(Event::Mouse(pointed(mouse))),
        Raw::FocusGained => Some(Event::Focus(true)),
        Raw::FocusLost => Some(Event::Focus(false)),
        // The window's size is watched by our own signal, which is listened to before the first key is read.
        _ => None,
    }
}

fn pointed(mouse: MouseEvent) -> Mouse {
    let of = |button| match button {
        MouseButton::Left => Button::Left,
        MouseButton::Middle => Button::Middle,
        MouseButton::Right => Button::Right,
    };
    let did = match mouse.kind {
        MouseEventKind::Down(button) => Did::Down(of(button)),
        MouseEventKind::Up(button) => Did::Up(of(button)),
        MouseEventKind::Drag(button) => Did::Drag(of(button)),
        MouseEventKind::Moved => Did::Move,
        MouseEventKind::ScrollUp => Did::WheelUp,
        MouseEventKind::ScrollDown => Did::WheelDown,
        MouseEventKind::ScrollLeft => Did::WheelLeft,
        MouseEventKind::ScrollRight => Did::WheelRight,
    };
    let held = |modifier| mouse.modifiers.contains(modifier);
    Mouse {
        did,
        column: mouse.column,
        row: mouse.row,
        ctrl: held(KeyModifiers::CONTROL),
        alt: held(KeyModifiers::ALT),
        shift: held(KeyModifiers::SHIFT),
    }
}
