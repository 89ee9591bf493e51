//! Pastes: asked about where each line would be carried out at once, cut into pieces where they are long, and ended by
//! Ctrl-c. And what was typed while nobody listened.

use super::talk::{Raw, Wish};
use super::{Link, Mode, Session};
use crate::app::event::Effect;
use crate::app::overlay::{ConfirmView, Confirmed, Overlay};
use crate::app::{App, Tone};
use crate::model::{Safe, show};

/// Bytes of a paste that are on their way at once; less is sent in one go.
const PIECE: usize = 16 * 1024;
/// Bytes that are kept of what is typed while the connection is lost.
const UNSENT: usize = 4096;
/// What ends a bracketed paste.
const END: &[u8] = b"\x1b[201~";
/// Columns of a line that is shown in the question.
const SHOWN: usize = 60;

/// A long paste on its way.
#[derive(Clone, Debug)]
pub struct Paste {
    bytes: Vec<u8>,
    sent: usize,
}

impl Paste {
    /// Bytes that were taken, and all bytes.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.sent, self.bytes.len())
    }

    fn next(&mut self) -> Option<Raw> {
        let rest = self.bytes.get(self.sent..).filter(|rest| !rest.is_empty())?;
        let piece: Raw = rest[..rest.len().min(PIECE)].into();
        self.sent += piece.0.len();
        Some(piece)
    }
}

impl Session {
    /// Keeps what nobody takes now.
    pub(super) fn keep_unsent(&mut self, bytes: &[u8]) {
        let room = UNSENT.saturating_sub(self.unsent.len());
        self.unsent.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl App {
    /// A text was pasted into the terminal.
    pub(in crate::app) fn paste_in_shell(&mut self, text: &str, ask: bool, out: &mut Vec<Effect>) {
        self.revision += 1;
        if self.shells.mode == Mode::Arrived {
            self.shells.mode = Mode::Typing;
        }
        let Some(session) = self.shells.session() else { return };
        if text.is_empty() {
            return;
        }
        if !session.is_live() {
            return self.say(Tone::Plain, "There is no connection: nothing was pasted.", out);
        }
        if session.paste.is_some() {
            return self.say(Tone::Plain, "A paste is on its way already; Ctrl-c ends it.", out);
        }
        let at_once = text.contains(['\n', '\r']) && !session.screen.bracketed();
        if ask || at_once {
            let question = question(session, text, at_once, self.clock.now);
            self.overlays.push(Overlay::Confirm(question));
            return;
        }
        self.send_paste(session.number, text, out);
    }

    /// Sends it: at once if it is short, piece by piece otherwise.
    pub(in crate::app) fn send_paste(&mut self, number: u64, text: &str, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.find(number) else { return };
        if !session.is_live() {
            return self.say(Tone::Plain, "There is no connection: nothing was pasted.", out);
        }
        session.screen.scroll_to_end();
        let bytes = session.screen.paste(text);
        if bytes.len() <= PIECE {
            out.push(Effect::Shell { session: number, wish: Wish::Send(Raw(bytes)) });
            return;
        }
        session.paste = Some(Paste { bytes, sent: 0 });
        self.paste_on(number, out);
    }

    /// The other end has room for the next piece.
    pub(super) fn paste_on(&mut self, number: u64, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.find(number) else { return };
        let piece = session.paste.as_mut().and_then(Paste::next);
        match piece {
            Some(piece) => out.push(Effect::Shell { session: number, wish: Wish::Piece(piece) }),
            None => session.paste = None,
        }
        self.revision += 1;
    }

    /// Ends a paste where it is. A program that was told that it is one is told that it is over.
    pub(super) fn stop_paste(&mut self, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session_mut() else { return };
        let Some(paste) = session.paste.take() else { return };
        let number = session.number;
        if paste.bytes.ends_with(END) && paste.sent < paste.bytes.len() {
            out.push(Effect::Shell { session: number, wish: Wish::Send(END.into()) });
        }
        let (sent, all) = paste.progress();
        let text = format!("The paste was ended: {} of {} were sent.", show::size(sent as u64), show::size(all as u64));
        self.say(Tone::Plain, text, out);
    }

    /// Nobody takes a paste any more: who reads on there must not believe that it is whole.
    pub(super) fn break_paste(&mut self, at: usize, out: &mut Vec<Effect>) {
        let session = &mut self.shells.sessions[at];
        let Some(paste) = session.paste.take() else { return };
        let (sent, all) = paste.progress();
        let text = format!(
            "The paste was broken off: at most {} of {} have arrived. Paste it again.",
            show::size(sent as u64),
            show::size(all as u64)
        );
        self.say(Tone::Bad, text, out);
    }

    /// A key while a paste is on its way: what is typed comes behind it.
    pub(super) fn type_behind(&mut self, bytes: &[u8]) -> bool {
        let Some(paste) = self.shells.session_mut().and_then(|session| session.paste.as_mut()) else { return false };
        paste.bytes.extend_from_slice(bytes);
        true
    }

    /// What was typed while the connection was lost goes out, or is forgotten.
    pub(super) fn settle_unsent(&mut self, send: bool, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session_mut().filter(|session| !session.unsent.is_empty()) else {
            return self.say(Tone::Plain, "Nothing is unsent.", out);
        };
        if send && session.link != Link::Live {
            return self.say(Tone::Plain, "There is no connection yet.", out);
        }
        let bytes = std::mem::take(&mut session.unsent);
        if send {
            out.push(Effect::Shell { session: session.number, wish: Wish::Send(Raw(bytes)) });
        }
    }
}

/// Before lines are carried out one after the other.
fn question(session: &Session, text: &str, at_once: bool, now: jiff::Timestamp) -> ConfirmView {
    // Terminals send the ends of lines as CR, LF or both; an end at the end begins no other line.
    let even = text.replace("\r\n", "\n").replace('\r', "\n");
    let shown: Vec<&str> = even.lines().collect();
    let cut = |line: &str| {
        let safe = Safe::line(line);
        let short: String = safe.as_str().chars().take(SHOWN).collect();
        if short.len() < safe.as_str().len() { format!("{short}…") } else { short }
    };
    let count = match shown.len() {
        1 => "1 line".to_owned(),
        lines => format!("{lines} lines"),
    };
    let mut lines: Vec<Safe> = vec![format!("{count}, {}", show::size(text.len() as u64)).into()];
    if let Some(first) = shown.first() {
        lines.push(format!("first  {}", cut(first)).into());
    }
    if let Some(last) = shown.last().filter(|_| shown.len() > 1) {
        lines.push(format!("last   {}", cut(last)).into());
    }
    if at_once {
        lines.push("The program there takes each line as if it had been typed, and carries it out.".into());
    }
    ConfirmView {
        what: Confirmed::Paste { session: session.number, text: text.to_owned() },
        title: format!("Paste into {}?", session.title).into(),
        lines,
        typed: None,
        on_yes: false,
        opened: now,
        top: 0,
    }
}
