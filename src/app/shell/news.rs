//! What comes from a session's line.

use super::talk::{Attach, News, Opened, Raw, Stranger, Wish};
use super::{Link, Session};
use crate::app::event::{Effect, Wake};
use crate::app::overlay::{ConfirmView, Confirmed, Overlay};
use crate::app::{App, Tone};
use crate::model::{Failure, FailureKind, Safe};

/// Milliseconds that a synchronized update may be held back.
const HELD: u64 = 150;
/// Milliseconds before the first, second, … attempt to come back; the last for all others.
const BACK_OFF: [u64; 6] = [500, 1000, 2000, 5000, 10_000, 20_000];
/// What the program that died may have left behind: other screen, mouse, focus, brackets, cursor keys, margins, colours.
const PLAIN: &[u8] = b"\x1b[?1049l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[?7h\x1b[?25h\x1b[r\x1b[0m\x1b(B\x1b[999H\r\n";

impl App {
    pub(in crate::app) fn shell_news(&mut self, number: u64, news: News, out: &mut Vec<Effect>) {
        let Some(at) = self.shells.sessions.iter().position(|session| session.number == number) else { return };
        let shown = at == self.shells.current && self.wants_mouse();
        let session = &mut self.shells.sessions[at];
        match news {
            News::Bytes(Raw(bytes)) => return self.hear(at, shown, &bytes, out),
            News::Taken => return self.paste_on(number, out),
            News::Said(step) => {
                session.steps.push(step);
            }
            News::Stranger(stranger) => self.ask_to_trust(number, &stranger),
            News::Opened(opened) => self.opened(at, opened, out),
            News::Ended(why) => {
                let well = why.as_str() == "exit 0";
                session.link = Link::Ended { why, well };
                self.break_paste(at, out);
                self.forget_questions(number);
            }
            News::Lost { failure, unanswered } => self.lost(at, &failure, &unanswered, out),
        }
        self.revision += 1;
    }

    fn hear(&mut self, at: usize, shown: bool, bytes: &[u8], out: &mut Vec<Effect>) {
        let session = &mut self.shells.sessions[at];
        let (number, before) = (session.number, session.screen.revision());
        let replies = session.screen.feed(bytes);
        self.heard(at, shown, before, replies, out);
        let session = &mut self.shells.sessions[at];
        if session.screen.is_held() && !session.releasing {
            session.releasing = true;
            out.push(Effect::After { millis: HELD, wake: Wake::Release(number) });
        }
    }

    /// Shows what an update holds back that has not ended in time.
    pub(in crate::app) fn release(&mut self, number: u64, out: &mut Vec<Effect>) {
        let Some(at) = self.shells.sessions.iter().position(|session| session.number == number) else { return };
        let shown = at == self.shells.current && self.wants_mouse();
        let session = &mut self.shells.sessions[at];
        session.releasing = false;
        let before = session.screen.revision();
        let replies = session.screen.flush();
        self.heard(at, shown, before, replies, out);
    }

    fn heard(&mut self, at: usize, shown: bool, before: u64, replies: Vec<u8>, out: &mut Vec<Effect>) {
        // Who is there has heard it.
        let attended = shown && self.in_shell();
        let session = &mut self.shells.sessions[at];
        // What holds a terminal at the other end answers what its program asks, and has done so.
        if !replies.is_empty() && session.is_live() && session.name.is_none() {
            out.push(Effect::Shell { session: session.number, wish: Wish::Send(Raw(replies)) });
        }
        if session.screen.take_bell() && !attended && !session.bell {
            session.bell = true;
            self.revision += 1;
        }
        let session = &mut self.shells.sessions[at];
        let copied = session.screen.take_clipboard();
        if shown {
            session.stirred = false;
            let fed = u64::from(session.screen.revision() != before);
            self.revision += fed;
            self.shells.fed += fed;
        } else if !session.stirred {
            session.stirred = true;
            self.revision += 1;
        }
        if let Some(text) = copied {
            let from = session.title.clone();
            out.push(Effect::Copy(Safe::text(&text)));
            self.say(Tone::Plain, format!("{from} has put {} characters on your clipboard", text.chars().count()), out);
        }
    }

    fn opened(&mut self, at: usize, opened: Opened, out: &mut Vec<Effect>) {
        let session = &mut self.shells.sessions[at];
        let back = std::mem::replace(&mut session.was_open, true);
        // Another one was asked for, and this one came with it.
        let brought = !back && session.name.is_some();
        session.link = Link::Live;
        session.steps.clear();
        session.title = opened.title;
        session.note = Safe::default();
        if opened.name.is_none() {
            session.note = "no tmux there: if the connection is lost, what runs here ends".into();
        }
        if back && !opened.again {
            session.screen.feed(PLAIN);
        }
        session.name = opened.name;
        // The size may have changed while the connection was made.
        let (columns, rows) = session.screen.size();
        out.push(Effect::Shell { session: session.number, wish: Wish::Resize(columns, rows) });
        let more = self.bring_back(at, opened.others, out);
        let text = match (back, opened.again) {
            (true, true) => Some("Back: it is as you left it.".to_owned()),
            (true, false) => Some("Connected again, in a new login: what ran there has ended.".to_owned()),
            (false, true) if more > 0 => {
                let (all, leader) = (more + 1, self.leader());
                Some(format!("{all} terminals went on without you and are back: {leader} Tab goes to the next."))
            }
            (false, true) if !brought => {
                Some("This terminal went on without you; n after the leader opens a new one.".to_owned())
            }
            (false, _) => None,
        };
        if let Some(text) = text {
            self.say(Tone::Good, text, out);
        }
    }

    /// No connection. One that stood is made again, unless the machine itself is gone.
    fn lost(&mut self, at: usize, failure: &Failure, unanswered: &Raw, out: &mut Vec<Effect>) {
        let gone = self.gone(at);
        self.break_paste(at, out);
        let session = &mut self.shells.sessions[at];
        let number = session.number;
        let mut unsent = unanswered.0.clone();
        unsent.append(&mut session.unsent);
        session.keep_unsent(&unsent);
        let passing =
            matches!(failure.kind, FailureKind::Network | FailureKind::Timeout | FailureKind::Throttled | FailureKind::Service);
        if let Some(why) = gone {
            session.link = Link::Ended { why, well: false };
        } else if session.was_open && passing {
            let attempt = if let Link::Lost { attempt } = session.link { attempt + 1 } else { 1 };
            session.link = Link::Lost { attempt };
            session.steps.clear();
            session.steps.push(first_line(&failure.what));
            let millis = BACK_OFF[usize::try_from(attempt - 1).unwrap_or(usize::MAX).min(BACK_OFF.len() - 1)];
            out.push(Effect::After { millis, wake: Wake::Reconnect(number) });
        } else {
            let why =
                if failure.hint.is_empty() { failure.what.to_string() } else { format!("{}\n{}", failure.what, failure.hint) };
            session.link = Link::Ended { why: Safe::text(&why), well: false };
        }
        self.forget_questions(number);
        // Whether the machine is still there shows in its list.
        let resource = self.shells.sessions[at].resource.clone();
        if let Some(pane) = self.panes.iter().position(|pane| pane.spec.id == resource) {
            out.push(self.list(pane));
        }
    }

    pub(in crate::app) fn reconnect(&mut self, number: u64, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.find(number).filter(|session| matches!(session.link, Link::Lost { .. })) else { return };
        let attach = session.name.clone().map_or(Attach::New, Attach::Again);
        self.connect(number, attach, out);
    }

    /// Why there is no machine any more, as its list has it.
    fn gone(&self, at: usize) -> Option<Safe> {
        let session = &self.shells.sessions[at];
        let item = self.panes.iter().find(|pane| pane.spec.id == session.resource)?.get(&session.id)?;
        let word = item.state.word.as_str().to_lowercase();
        (!item.state.phase.is_live()).then(|| format!("{} is {word}", Safe::line(session.id.as_str())).into())
    }

    /// A list has come: sessions that wait for a machine that is gone are over.
    pub(in crate::app) fn end_shells_of_the_gone(&mut self, out: &mut Vec<Effect>) {
        for at in 0..self.shells.sessions.len() {
            let waits = |session: &Session| matches!(session.link, Link::Lost { .. });
            if waits(&self.shells.sessions[at])
                && let Some(why) = self.gone(at)
            {
                let session = &mut self.shells.sessions[at];
                session.link = Link::Ended { why, well: false };
                out.push(Effect::Shell { session: session.number, wish: Wish::End });
                self.revision += 1;
            }
        }
    }

    fn ask_to_trust(&mut self, number: u64, stranger: &Stranger) {
        self.overlays.push(Overlay::Confirm(ConfirmView {
            what: Confirmed::Trust(number),
            title: format!("Is this {}?", stranger.machine).into(),
            lines: vec![
                "Nothing vouches for its host key:".into(),
                format!("  {}", stranger.because).into(),
                Safe::default(),
                format!("{}", stranger.algorithm).into(),
                format!("{}", stranger.fingerprint).into(),
                Safe::default(),
                "If you trust it, it is remembered, and any other key is refused from then on. Compare it with what \
                 ssh-keygen -lf says on the instance, if you can."
                    .into(),
            ],
            typed: None,
            on_yes: false,
            opened: self.clock.now,
            top: 0,
        }));
    }

    /// Questions about a session that is gone answer nothing.
    fn forget_questions(&mut self, number: u64) {
        self.overlays.retain(|overlay| {
            !matches!(overlay, Overlay::Confirm(ConfirmView { what: Confirmed::Trust(of) | Confirmed::Paste { session: of, .. }, .. }) if *of == number)
        });
    }
}

fn first_line(text: &Safe) -> Safe {
    Safe::line(text.as_str().lines().next().unwrap_or_default())
}
