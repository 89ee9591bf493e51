//! Keys while a terminal has the focus: all go to it but the leader, and what follows the leader.

use std::fmt::Write;

use super::commands::{self, Command};
use super::talk::{Raw, Wish};
use super::{Link, Mode, Session};
use crate::app::event::{Effect, Event};
use crate::app::input::Input;
use crate::app::layout::NARROW;
use crate::app::overlay::{Overlay, TextView};
use crate::app::{App, Tone};
use crate::config::action::Action;
use crate::config::key::{Code, Key};
use crate::model::{Safe, Verb};
use crate::term;

impl App {
    /// This event is typed into a remote terminal and shows nothing by itself: not for a recording, as it may be a password.
    #[must_use]
    pub fn is_typing(&self, event: &Event) -> bool {
        let typing = |key: Key| match self.shells.mode {
            Mode::Typing => !self.is_leader(key),
            Mode::Arrived => !self.is_leader(key) && !is_command(key) && key.code != Code::Enter,
            Mode::Led | Mode::Reading => false,
        };
        let here = self.overlays.is_empty() && self.in_shell();
        here && self.shells.session().is_some_and(|session| session.is_live() && session.pasting().is_none())
            && match event {
                Event::Key(key) => typing(*key),
                Event::Paste(text) => matches!(self.shells.mode, Mode::Typing | Mode::Arrived) && !text.contains(['\n', '\r']),
                _ => false,
            }
    }

    fn is_leader(&self, key: Key) -> bool {
        self.setup.keymap.keys(Action::Leader).contains(&key)
    }

    /// The leader as the user knows it.
    #[must_use]
    pub fn leader(&self) -> String {
        self.setup.keymap.keys(Action::Leader).first().map(ToString::to_string).unwrap_or_default()
    }

    pub(in crate::app) fn key_in_shell(&mut self, key: Key, out: &mut Vec<Effect>) {
        match self.shells.mode {
            Mode::Led => {
                self.revision += 1;
                self.shells.mode = Mode::Typing;
                self.command(key, out);
            }
            _ if self.is_leader(key) => {
                self.revision += 1;
                self.toast = None;
                self.shells.mode = Mode::Led;
            }
            Mode::Arrived => {
                self.revision += 1;
                self.shells.mode = Mode::Typing;
                let over = self.shells.session().is_some_and(Session::is_over);
                match key.code {
                    _ if is_command(key) => self.command(key, out),
                    // To be there and type, whatever comes next.
                    Code::Enter if !over => {}
                    _ => self.type_key(key, out),
                }
            }
            Mode::Reading => {
                self.revision += 1;
                self.read_on(key, out);
            }
            Mode::Typing => self.type_key(key, out),
        }
    }

    fn type_key(&mut self, key: Key, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session_mut() else { return };
        let bytes = session.screen.press(terminal_key(key));
        match session.link {
            Link::Live => {
                if session.screen.scrolled() > 0 || session.screen.selected_text().is_some() {
                    session.screen.scroll_to_end();
                    session.screen.clear_selection();
                    self.revision += 1;
                }
            }
            Link::Opening | Link::Lost { .. } => {
                session.keep_unsent(&bytes);
                self.revision += 1;
                return;
            }
            Link::Ended { .. } => {
                self.revision += 1;
                match key.code {
                    Code::Enter => self.reopen_shell(out),
                    Code::Esc => self.command(key, out),
                    _ => {}
                }
                return;
            }
        }
        let number = session.number;
        if session.pasting().is_some() {
            if key.ctrl && key.code == Code::Char('c') {
                self.stop_paste(out);
            } else {
                self.type_behind(&bytes);
                return;
            }
        }
        if !bytes.is_empty() {
            out.push(Effect::Shell { session: number, wish: Wish::Send(Raw(bytes)) });
        }
    }

    /// What follows the leader.
    fn command(&mut self, key: Key, out: &mut Vec<Effect>) {
        if self.is_leader(key) {
            // Twice: it is for the program in the terminal.
            return self.type_key(key, out);
        }
        if let Code::Char(digit @ '1'..='9') = key.code {
            return self.show_session(digit as usize - '1' as usize);
        }
        let count = self.shells.sessions.len().max(1);
        match commands::find(key) {
            Some(Command::Back) => self.leave_shell(),
            Some(Command::New) => self.another_shell(out),
            Some(Command::Next) => self.show_session((self.shells.current + 1) % count),
            Some(Command::Previous) => self.show_session((self.shells.current + count - 1) % count),
            Some(Command::Split) => self.split_shell(),
            Some(Command::End) => self.ask_to_end(out),
            Some(Command::Search) => self.overlays.push(Overlay::Search(Input::new("", false))),
            Some(Command::Read { lines, pages }) => {
                self.shells.mode = Mode::Reading;
                let page = self.shell_page();
                self.scroll_shell(lines + pages * page);
            }
            Some(Command::Copy) => self.copy_from_shell(out),
            Some(Command::Paste) => match self.shells.copied.clone() {
                Some(text) => self.paste_in_shell(&text, true, out),
                None => self.say(Tone::Plain, "Nothing was copied from a terminal yet.", out),
            },
            Some(Command::Send) => self.settle_unsent(true, out),
            Some(Command::Drop) => self.settle_unsent(false, out),
            Some(Command::Upload) => self.form_in_shell(Verb::Upload, out),
            Some(Command::Fetch) => self.form_in_shell(Verb::Download, out),
            Some(Command::CallOff) => self.act(Action::CallOff, out),
            Some(Command::Help) => self.shell_help(),
            None => {
                let text = format!("{key} is no command here; {} ? shows them.", self.leader());
                self.say(Tone::Plain, text, out);
            }
        }
    }

    /// Opens a form about the machine of the terminal that shows.
    fn form_in_shell(&mut self, verb: Verb, out: &mut Vec<Effect>) {
        if self.read_only && verb.mutates() {
            return self.say(Tone::Bad, "Read-only: this would change something on the machine.", out);
        }
        let Some(session) = self.shells.session().filter(|_| !self.forming) else { return };
        out.push(Effect::Form { resource: session.resource.clone(), verb, target: Some(session.id.clone()) });
        self.forming = true;
    }

    /// A key while the keyboard scrolls.
    fn read_on(&mut self, key: Key, out: &mut Vec<Effect>) {
        let page = self.shell_page();
        match key.code {
            Code::Up | Code::Char('k') => self.scroll_shell(1),
            Code::Down | Code::Char('j') => self.scroll_shell(-1),
            Code::PageUp => self.scroll_shell(page),
            Code::Char('u') if key.ctrl => self.scroll_shell(page),
            Code::PageDown | Code::Char(' ') => self.scroll_shell(-page),
            Code::Char('d') if key.ctrl => self.scroll_shell(-page),
            Code::Char('g') | Code::Home => self.scroll_shell(i32::MAX / 2),
            Code::Char('G') | Code::End => self.scroll_shell(i32::MIN / 2),
            Code::Char('/') => self.overlays.push(Overlay::Search(Input::new("", false))),
            Code::Char('n') => self.find_in_shell(true, out),
            Code::Char('N') => self.find_in_shell(false, out),
            Code::Char('y') => self.copy_from_shell(out),
            Code::Esc | Code::Char('q') | Code::Enter => {
                self.shells.mode = Mode::Typing;
                if let Some(session) = self.shells.session_mut() {
                    session.screen.end_search();
                    session.screen.clear_selection();
                    session.screen.scroll_to_end();
                }
            }
            _ => {}
        }
    }

    fn shell_page(&self) -> i32 {
        let rows = self.shells.session().map_or(1, |session| session.screen.size().1);
        i32::from(rows.saturating_sub(1).max(1))
    }

    fn scroll_shell(&mut self, lines: i32) {
        if let Some(session) = self.shells.session_mut() {
            session.screen.scroll(lines);
        }
    }

    /// Starts a search for what was typed, upwards.
    pub(in crate::app) fn search_shell(&mut self, text: &str, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session_mut() else { return };
        session.screen.end_search();
        text.clone_into(&mut session.query);
        if !text.is_empty() {
            self.shells.mode = Mode::Reading;
            self.find_in_shell(true, out);
        }
    }

    fn find_in_shell(&mut self, back: bool, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session_mut() else { return };
        let query = session.query.clone();
        if query.is_empty() {
            return self.overlays.push(Overlay::Search(Input::new("", false)));
        }
        if !session.screen.search(&query, back) {
            self.say(Tone::Plain, format!("Nowhere: {}", Safe::line(&query)), out);
        }
    }

    /// To the user's own clipboard: the selection, else what shows.
    fn copy_from_shell(&mut self, out: &mut Vec<Effect>) {
        let Some(session) = self.shells.session_mut() else { return };
        let selected = session.screen.selected_text();
        let what = if selected.is_some() { "the selection" } else { "what shows" };
        let text = selected.unwrap_or_else(|| session.screen.text().trim_end().to_owned());
        session.screen.clear_selection();
        let lines = text.lines().count();
        out.push(Effect::Copy(Safe::text(&text)));
        self.shells.copied = Some(text);
        self.say(Tone::Plain, format!("Copied {what}: {lines} line{}", if lines == 1 { "" } else { "s" }), out);
    }

    fn shell_help(&mut self) {
        let leader = self.leader();
        // Where there is little room, one key of each is enough.
        let narrow = self.size.0 < NARROW;
        let keys_of = |row: &commands::Row| if narrow { row.keys.first().unwrap_or(&"").to_string() } else { row.keys.join(" ") };
        let keys = commands::ALL.iter().map(keys_of);
        let wide = keys.chain([leader.clone()]).map(|keys| keys.chars().count() + 2).max().unwrap_or_default();
        let mut text = format!(
            "All keys go to the terminal but {leader}: the key after it is a command.\n\n{leader:<wide$}send {leader} itself\n"
        );
        for row in commands::ALL {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:<wide$}{}", keys_of(row), row.help);
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\nIn the list, {leader} goes to the terminal, and the key after it is a command, too: {leader} v there toggles the split. \
             Enter just begins to type; a key that is no command is typed."
        );
        text.push_str("\nThe mouse selects and scrolls; with Shift also where the program uses the mouse itself.");
        let title = "Terminal".into();
        self.overlays.push(Overlay::Text(TextView { title, text: Safe::text(&text), tone: Tone::Plain, top: 0 }));
    }
}

/// Whether it means something behind the leader.
fn is_command(key: Key) -> bool {
    matches!(key.code, Code::Char('1'..='9')) || commands::find(key).is_some()
}

/// The key as the emulator knows it.
fn terminal_key(key: Key) -> term::Key {
    use term::Code as To;
    let code = match key.code {
        Code::Char(c) => To::Char(c),
        Code::Enter => To::Enter,
        Code::Esc => To::Esc,
        Code::Tab => To::Tab,
        Code::BackTab => To::BackTab,
        Code::Backspace => To::Backspace,
        Code::Delete => To::Delete,
        Code::Insert => To::Insert,
        Code::Up => To::Up,
        Code::Down => To::Down,
        Code::Left => To::Left,
        Code::Right => To::Right,
        Code::Home => To::Home,
        Code::End => To::End,
        Code::PageUp => To::PageUp,
        Code::PageDown => To::PageDown,
        Code::F(number) => To::F(number),
    };
    term::Key { code, ctrl: key.ctrl, alt: key.alt, shift: key.shift }
}
