//! A terminal on the machine, in two halves: what is typed, and what is heard.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use russh::Pty;

use super::channel::{Heard, Hearing, Speaking, Talk};
use crate::model::Failure;

/// Bytes of typing that are remembered as possibly not arrived.
const REMEMBERED: usize = 4096;

/// An open terminal.
pub struct Shell {
    input: ShellInput,
    output: ShellOutput,
}

/// What is typed into a terminal.
pub struct ShellInput {
    speaking: Speaking,
    /// What was sent, and when, since something was last heard.
    sent: VecDeque<(Instant, Bytes)>,
}

/// What a terminal shows. Dropped before the shell has ended, the shell is hung up.
pub struct ShellOutput {
    hearing: Hearing,
}

pub(super) async fn open(mut talk: Talk, term: &str, columns: u16, rows: u16, command: Option<&str>) -> Result<Shell, Failure> {
    // The remote terminal erases whole characters; all else is the server's default.
    let modes = [(Pty::IUTF8, 1)];
    let asked = talk.speaking.write().request_pty(true, term, u32::from(columns), u32::from(rows), 0, 0, &modes).await;
    talk.speaking.said(asked).await?;
    talk.hearing.answered("a terminal", "see PermitTTY in its sshd_config, and that it has pseudo-terminals left").await?;
    let started = match command {
        Some(command) => talk.speaking.write().exec(true, command).await,
        None => talk.speaking.write().request_shell(true).await,
    };
    talk.speaking.said(started).await?;
    talk.hearing.answered("a shell", "see the user's login shell on the instance").await?;
    Ok(Shell {
        input: ShellInput { speaking: talk.speaking, sent: VecDeque::new() },
        output: ShellOutput { hearing: talk.hearing },
    })
}

/// A command without a terminal, in the same two halves.
pub(super) async fn pipe(mut talk: Talk, command: &str) -> Result<Shell, Failure> {
    super::connection::exec(&mut talk, command).await?;
    Ok(Shell {
        input: ShellInput { speaking: talk.speaking, sent: VecDeque::new() },
        output: ShellOutput { hearing: talk.hearing },
    })
}

impl Shell {
    /// The two halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (ShellInput, ShellOutput) {
        (self.input, self.output)
    }
}

impl ShellInput {
    /// Types. Waits while the other end takes no more.
    ///
    /// # Errors
    /// Why the connection has ended; then these bytes have not arrived.
    pub async fn send(&mut self, bytes: impl Into<Bytes>) -> Result<(), Failure> {
        let bytes = bytes.into();
        self.remember(&bytes);
        self.speaking.said(self.speaking.write().data_bytes(bytes).await).await
    }

    /// There is no more to come.
    ///
    /// # Errors
    /// Why the connection has ended.
    pub async fn end(&mut self) -> Result<(), Failure> {
        self.speaking.said(self.speaking.write().eof().await).await
    }

    /// Tells the terminal's new size.
    ///
    /// # Errors
    /// Why the connection has ended.
    pub async fn resize(&mut self, columns: u16, rows: u16) -> Result<(), Failure> {
        self.speaking.said(self.speaking.write().window_change(u32::from(columns), u32::from(rows), 0, 0).await).await
    }

    /// What was typed since something was last heard from there. When the connection is lost, this may not have arrived.
    pub fn unanswered(&self) -> Vec<u8> {
        let heard = self.speaking.session().heard.when();
        self.sent.iter().filter(|(when, _)| *when >= heard).flat_map(|(_, bytes)| bytes.iter().copied()).collect()
    }

    fn remember(&mut self, bytes: &Bytes) {
        let heard = self.speaking.session().heard.when();
        while self.sent.front().is_some_and(|(when, _)| *when < heard) {
            self.sent.pop_front();
        }
        let kept: usize = self.sent.iter().map(|(_, bytes)| bytes.len()).sum();
        let room = REMEMBERED.saturating_sub(kept);
        if room > 0 {
            self.sent.push_back((Instant::now(), bytes.slice(..bytes.len().min(room))));
        }
    }
}

impl ShellOutput {
    /// What is heard next. Nothing is lost when it is given up in the middle; what is not asked for waits, and with it the
    /// whole connection.
    pub async fn next(&mut self) -> Heard {
        self.hearing.next().await
    }
}
