//! Terminals on machines, inside the cockpit: sessions, one of which shows; over the whole screen or beside the list. What
//! goes over the line is told by [`talk`]; the emulator is [`crate::term`].

pub mod commands;
mod keys;
pub mod mouse;
mod news;
mod paste;
pub mod talk;

use super::event::Effect;
use super::layout::layout;
use super::overlay::{ConfirmView, Confirmed, Overlay};
use super::{App, Level, Tone};
use crate::model::{Cell, ItemId, Safe, Verb};
use crate::term::Screen;
use paste::Paste;
use talk::{Attach, Wish};

/// Most sessions at once: each has a digit.
pub const MOST: usize = 9;

/// All sessions, and how they show.
#[derive(Clone, Debug, Default)]
pub struct Shells {
    pub sessions: Vec<Session>,
    pub current: usize,
    /// Beside the list, where there is room, and not over the whole screen.
    pub split: bool,
    /// Keys go to the terminal beside the list.
    pub focused: bool,
    pub mode: Mode,
    /// How many of the app's revisions came of nothing but what the terminal that shows was sent.
    pub fed: u64,
    /// What was copied from a terminal last.
    copied: Option<String>,
    /// What to come back to from the whole screen.
    back: Option<Level>,
}

/// What keys mean while a terminal has the focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// They are typed.
    #[default]
    Typing,
    /// The leader was pressed: the next one is a command.
    Led,
    /// The leader was pressed in the list: as [`Self::Led`], but what is no command is typed.
    Arrived,
    /// They scroll.
    Reading,
}

/// A terminal on a machine.
#[derive(Clone, Debug)]
pub struct Session {
    pub number: u64,
    pub resource: String,
    pub id: ItemId,
    /// The machine's name, then who one is there.
    pub title: Safe,
    pub link: Link,
    pub screen: Screen,
    /// What connecting has come to so far.
    pub steps: Vec<Safe>,
    /// Something worth knowing about it, e.g. that it cannot be come back to.
    pub note: Safe,
    /// Typed while there was no connection.
    pub unsent: Vec<u8>,
    /// The bell was rung, and nobody has been there since.
    pub bell: bool,
    /// Something came, and nobody has been there since.
    pub stirred: bool,
    /// The terminal's name at the other end, where it goes on without us.
    name: Option<Safe>,
    /// It was connected once.
    was_open: bool,
    paste: Option<Paste>,
    drag: Option<(u16, u16)>,
    query: String,
    /// An update that is held back will be shown soon.
    releasing: bool,
}

/// How a session is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    Opening,
    Live,
    /// Not connected any more; which attempt to come back is under way or waited for.
    Lost {
        attempt: u32,
    },
    /// Over; why, and whether that is as it should be.
    Ended {
        why: Safe,
        well: bool,
    },
}

impl Shells {
    /// The session that shows.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.sessions.get(self.current)
    }

    fn session_mut(&mut self) -> Option<&mut Session> {
        self.sessions.get_mut(self.current)
    }

    fn find(&mut self, number: u64) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.number == number)
    }
}

impl Session {
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.link == Link::Live
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.link, Link::Ended { .. })
    }

    /// How much of a paste has gone out, of how much, in bytes.
    #[must_use]
    pub fn pasting(&self) -> Option<(usize, usize)> {
        self.paste.as_ref().map(Paste::progress)
    }
}

impl App {
    /// Keys go to a terminal.
    #[must_use]
    pub fn in_shell(&self) -> bool {
        !self.shells.sessions.is_empty() && (self.level == Level::Shell || (self.shells.split && self.shells.focused))
    }

    /// A terminal shows, and so wants to know of the mouse and of the window's focus.
    #[must_use]
    pub fn wants_mouse(&self) -> bool {
        layout(self).shell.height > 0
    }

    /// Where the cursor of the window is to be: in the terminal that has the focus.
    #[must_use]
    pub fn cursor(&self) -> Option<(u16, u16)> {
        let session = self.shells.session().filter(|session| session.is_live() && self.in_shell())?;
        let cursor = session.screen.cursor().filter(|_| self.overlays.is_empty() && self.shells.mode != Mode::Reading)?;
        let area = layout(self).shell;
        (cursor.column < area.width && cursor.row < area.height).then(|| (area.x + cursor.column, area.y + cursor.row))
    }

    /// `s` on a row: to the terminal that is open there, else a new one.
    pub(super) fn open_shell(&mut self, out: &mut Vec<Effect>) {
        let (pane, id) = match (self.selected(), self.holder()) {
            (Some(item), _) => (self.pane(), item.id.clone()),
            // In a list inside a machine that has no rows, the machine itself is meant.
            (None, Some((outer, id))) => (&self.panes[outer], id.clone()),
            (None, None) => return,
        };
        let item = pane.get(&id);
        // A row inside a machine is no machine: its state says nothing about the one to log in to.
        if let Some(item) = item.filter(|item| pane.spec.within.is_none() && !item.state.phase.is_live()) {
            let text = format!("It is {}: there is nobody to log in to.", item.state.word.as_str().to_lowercase());
            return self.say(Tone::Plain, text, out);
        }
        let name = match item.and_then(|item| item.cells.first()) {
            Some(Cell::Text(name)) if !name.is_empty() => name.clone(),
            _ => Safe::line(id.as_str()),
        };
        let resource = pane.spec.id.to_owned();
        let there = |session: &Session| session.resource == resource && session.id == id && !session.is_over();
        match self.shells.sessions.iter().position(there) {
            Some(at) => {
                self.shells.current = at;
                self.enter_shell();
            }
            None => self.new_shell(resource, id, name, Attach::Any, out),
        }
    }

    /// Another terminal on the machine of the one that shows.
    fn another_shell(&mut self, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session() else { return };
        if self.read_only {
            return self.say(Tone::Bad, "Read-only: a login would change something in AWS.", out);
        }
        let (resource, id, title) = (session.resource.clone(), session.id.clone(), session.title.clone());
        self.new_shell(resource, id, title, Attach::New, out);
    }

    fn new_shell(&mut self, resource: String, id: ItemId, title: Safe, attach: Attach, out: &mut Vec<Effect>) {
        // What has ended makes room.
        if self.shells.sessions.len() >= MOST {
            match self.shells.sessions.iter().position(Session::is_over) {
                Some(at) => drop(self.shells.sessions.remove(at)),
                None => return self.say(Tone::Plain, format!("There are {MOST} terminals already; end one first."), out),
            }
        }
        let number = self.add_shell(resource, id, title, (80, 24));
        self.shells.current = self.shells.sessions.len() - 1;
        self.enter_shell();
        self.size_shell();
        self.connect(number, attach, out);
    }

    fn add_shell(&mut self, resource: String, id: ItemId, title: Safe, (columns, rows): (u16, u16)) -> u64 {
        let number = self.next_serial();
        let mut screen = Screen::new(columns, rows);
        screen.allow_clipboard(self.setup.clipboard);
        self.shells.sessions.push(Session {
            number,
            resource,
            id,
            title,
            link: Link::Opening,
            screen,
            steps: Vec::new(),
            note: Safe::default(),
            unsent: Vec::new(),
            bell: false,
            stirred: false,
            name: None,
            was_open: false,
            paste: None,
            drag: None,
            query: String::new(),
            releasing: false,
        });
        number
    }

    /// Terminals of these names, beside the one that was opened on their machine, as far as there is room; how many.
    fn bring_back(&mut self, at: usize, names: Vec<Safe>, out: &mut Vec<Effect>) -> usize {
        let session = &self.shells.sessions[at];
        let (resource, id, title, size) =
            (session.resource.clone(), session.id.clone(), session.title.clone(), session.screen.size());
        let room = MOST.saturating_sub(self.shells.sessions.len());
        let names: Vec<Safe> = names.into_iter().take(room).collect();
        let count = names.len();
        for name in names {
            let number = self.add_shell(resource.clone(), id.clone(), title.clone(), size);
            if let Some(session) = self.shells.find(number) {
                session.name = Some(name.clone());
            }
            self.connect(number, Attach::Again(name), out);
        }
        count
    }

    /// The same machine again, in the same place.
    fn reopen_shell(&mut self, out: &mut Vec<Effect>) {
        let number = self.next_serial();
        let Some(session) = self.shells.session() else { return };
        let beside = |other: &Session| other.resource == session.resource && other.id == session.id && !other.is_over();
        let attach = match &session.name {
            // It was to be taken up, and its machine was not reached.
            Some(name) if !session.was_open => Attach::Again(name.clone()),
            // What another one of ours has lost for the moment, nobody has open.
            _ if self.shells.sessions.iter().any(beside) => Attach::New,
            _ => Attach::Any,
        };
        let Some(session) = self.shells.session_mut() else { return };
        // What still comes of the former one is not for this one.
        session.number = number;
        session.link = Link::Opening;
        session.was_open = false;
        session.steps.clear();
        if !matches!(attach, Attach::Again(_)) {
            session.name = None;
        }
        self.connect(number, attach, out);
    }

    fn connect(&mut self, number: u64, attach: Attach, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.find(number) else { return };
        let wish = Wish::Open { resource: session.resource.clone(), id: session.id.clone(), size: session.screen.size(), attach };
        out.push(Effect::Shell { session: number, wish });
    }

    /// The leader in the list: to the terminal, where it leads as if it had been pressed there.
    pub(super) fn go_to_shell(&mut self, out: &mut Vec<Effect>) {
        if self.shells.sessions.is_empty() {
            let text = format!("No terminal is open; {} on an instance opens one.", self.key_of(Verb::Shell));
            return self.say(Tone::Plain, text, out);
        }
        self.enter_shell();
        self.shells.mode = Mode::Arrived;
    }

    fn key_of(&self, verb: Verb) -> String {
        let keys = self.setup.keymap.keys(crate::config::action::Action::Verb(verb));
        keys.first().map(ToString::to_string).unwrap_or_default()
    }

    fn enter_shell(&mut self) {
        self.revision += 1;
        self.shells.mode = Mode::Typing;
        if self.shells.split {
            self.shells.focused = true;
        } else if self.level != Level::Shell {
            self.shells.back = Some(self.level);
            self.level = Level::Shell;
        }
        self.arrive_in_session();
    }

    /// Back to the list; the session goes on.
    fn leave_shell(&mut self) {
        self.revision += 1;
        self.shells.mode = Mode::Typing;
        self.shells.focused = false;
        if self.level == Level::Shell {
            self.level = self.shells.back.take().unwrap_or(Level::List);
        }
    }

    /// The whole screen, or beside the list.
    fn split_shell(&mut self) {
        self.shells.split = !self.shells.split;
        if self.shells.split {
            self.level = self.shells.back.take().unwrap_or(Level::List);
            self.shells.focused = true;
        } else {
            self.shells.back = Some(self.level);
            self.level = Level::Shell;
        }
    }

    fn show_session(&mut self, at: usize) {
        if at < self.shells.sessions.len() {
            self.shells.current = at;
            self.shells.mode = Mode::Typing;
            self.arrive_in_session();
        }
    }

    fn arrive_in_session(&mut self) {
        if let Some(session) = self.shells.session_mut() {
            session.bell = false;
            session.stirred = false;
        }
    }

    /// `x`: what runs there would end with it, so that is asked.
    fn ask_to_end(&mut self, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session() else { return };
        if session.is_over() {
            return self.end_shell(session.number, out);
        }
        let lines = if session.name.is_some() {
            vec![
                "What runs in it ends.".into(),
                "To keep it running, go back to the list instead, or quit: it can be opened again.".into(),
            ]
        } else {
            vec!["What runs in it ends, unless it was started so that it does not.".into()]
        };
        self.overlays.push(Overlay::Confirm(ConfirmView {
            what: Confirmed::EndShell(session.number),
            title: format!("End the terminal on {}?", session.title).into(),
            lines,
            typed: None,
            on_yes: false,
            opened: self.clock.now,
            top: 0,
        }));
    }

    pub(super) fn end_shell(&mut self, number: u64, out: &mut Vec<Effect>) {
        let Some(at) = self.shells.sessions.iter().position(|session| session.number == number) else { return };
        let session = self.shells.sessions.remove(at);
        out.push(Effect::Shell { session: session.number, wish: Wish::End });
        if self.shells.current > at || self.shells.current >= self.shells.sessions.len() {
            self.shells.current = self.shells.current.saturating_sub(1);
        }
        if self.shells.sessions.is_empty() {
            self.shells.split = false;
            self.leave_shell();
        }
        self.arrive_in_session();
        self.revision += 1;
    }

    /// What becomes of open terminals when the cockpit is left.
    pub(super) fn shells_at_stake(&self) -> Vec<Safe> {
        let open: Vec<&Session> = self.shells.sessions.iter().filter(|session| !session.is_over()).collect();
        let ends = open.iter().filter(|session| session.name.is_none()).count();
        let count = |count: usize| if count == 1 { "1 terminal is".to_owned() } else { format!("{count} terminals are") };
        match (open.len(), ends) {
            (0, _) => Vec::new(),
            (all, 0) => vec![format!("{} open. What runs there goes on; open it again to come back to it.", count(all)).into()],
            (all, ends) if all == ends => vec![format!("{} open. What runs there ends.", count(all)).into()],
            (all, ends) => vec![format!("{} open. What runs in {ends} of them ends, the others go on.", count(all)).into()],
        }
    }

    /// Sees to it that the session that shows has the size of its place.
    pub(super) fn keep_shell_sized(&mut self, out: &mut Vec<Effect>) {
        if self.shells.sessions.is_empty() || !self.size_shell() {
            return;
        }
        if let Some(session) = self.shells.session().filter(|session| !session.is_over()) {
            let (columns, rows) = session.screen.size();
            out.push(Effect::Shell { session: session.number, wish: Wish::Resize(columns, rows) });
        }
    }

    /// Whether the size changed.
    fn size_shell(&mut self) -> bool {
        let area = layout(self).shell;
        let Some(session) = self.shells.session_mut().filter(|_| area.height > 0) else { return false };
        let before = session.screen.size();
        session.screen.resize(area.width, area.height);
        session.screen.size() != before
    }

    /// The window got or lost the focus: a program that asked for that is told.
    pub(super) fn focus_shell(&mut self, gained: bool, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session().filter(|session| session.is_live() && self.in_shell()) else { return };
        let bytes = session.screen.focus(gained);
        if !bytes.is_empty() {
            out.push(Effect::Shell { session: session.number, wish: Wish::Send(bytes.as_slice().into()) });
        }
    }
}
