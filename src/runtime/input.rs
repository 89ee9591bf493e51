//! Keys, signals and the end of the terminal, as events.

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use crossterm::event::{Event as Raw, KeyCode, KeyEventKind, KeyModifiers};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;

use crate::app::Event;
use crate::config::key::{Code, Key};

/// How long the loop may take to leave after the terminal is gone.
const GRACE: Duration = Duration::from_millis(400);

/// Listens until the program ends. From its return on no change of the window's size is missed.
pub fn listen(out: &UnboundedSender<Event>) {
    let keys = out.clone();
    thread::spawn(move || {
        while let Ok(raw) = crossterm::event::read() {
            if let Some(event) = translate(raw)
                && keys.send(event).is_err()
            {
                return;
            }
        }
    });
    // crossterm 0.29 spins for ever on a terminal that is gone, so the hang-up is watched for separately.
    let gone = out.clone();
    thread::spawn(move || {
        let input = io::stdin();
        loop {
            let mut watched = [PollFd::new(input.as_fd(), PollFlags::empty())];
            match poll(&mut watched, PollTimeout::NONE) {
                Err(nix::errno::Errno::EINTR) => {}
                _ => break,
            }
        }
        let _ = gone.send(Event::Ended);
        thread::sleep(GRACE);
        std::process::exit(129);
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
    for (kind, event) in [
        (SignalKind::terminate(), Event::Ended),
        (SignalKind::interrupt(), Event::Ended),
        (SignalKind::quit(), Event::Ended),
        (SignalKind::hangup(), Event::Ended),
        (SignalKind::from_raw(nix::libc::SIGCONT), Event::Resumed),
    ] {
        let Ok(mut signals) = signal(kind) else { continue };
        let out = out.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if out.send(event.clone()).is_err() {
                    return;
                }
            }
        });
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
        // The window's size is watched by our own signal, which is listened to before the first key is read.
        _ => None,
    }
}
