//! This terminal handed through as it is: `footplate ssh` without a command. And standard input as it comes.

use std::io::{self, IsTerminal, Write};
use std::thread;

use tokio::sync::mpsc;

use super::machine;
use crate::model::{Failure, FailureKind, command};

/// Bytes read from standard input at once.
const PIECE: usize = 64 * 1024;
/// What a program that was cut off may have left on: second screen, mouse, focus, brackets, cursor keys, no cursor, colours.
const PLAIN: &[u8] =
    b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[?7h\x1b[?25h\x1b[0m";

/// The terminal while another machine has it: every key goes there as it is. Given back when it is dropped.
#[derive(Debug)]
pub struct Passage(());

impl Passage {
    /// Takes the terminal's own treatment of keys away.
    ///
    /// # Errors
    /// When input or output is no terminal.
    pub fn enter() -> Result<Self, Failure> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Failure::new(
                FailureKind::Refused,
                "a login needs a terminal for input and output",
                format!("To run a command without one: {}", command("ssh INSTANCE -- COMMAND")),
            ));
        }
        crossterm::terminal::enable_raw_mode().map_err(|error| machine("the terminal", &error))?;
        Ok(Self(()))
    }

    /// The other end was cut off in the middle of something: what it had turned on is turned off.
    pub fn clean_up(&self) {
        let mut out = io::stdout().lock();
        // A terminal that is gone needs no cleaning.
        let _ = out.write_all(PLAIN).and_then(|()| out.flush());
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        let _ = crossterm::terminal::disable_raw_mode();
    }
}

/// Columns and rows of this terminal.
#[must_use]
pub fn size() -> (u16, u16) {
    super::tty::measure()
}

/// Standard input as it comes, to its end; read by a thread of its own, which nobody waits for when the program ends.
#[must_use]
pub fn input() -> mpsc::Receiver<Vec<u8>> {
    let (out, input) = mpsc::channel(4);
    thread::spawn(move || {
        let stdin = io::stdin();
        loop {
            let mut bytes = vec![0; PIECE];
            match nix::unistd::read(&stdin, &mut bytes) {
                Ok(0) => return,
                Ok(count) => bytes.truncate(count),
                Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => continue,
                Err(_) => return,
            }
            if out.blocking_send(bytes).is_err() {
                return;
            }
        }
    });
    input
}
