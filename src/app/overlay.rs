//! What lies over the panes: a stack of layers, the top one gets the keys. Never a flag in the app.

use jiff::Timestamp;

use super::Tone;
use super::form::FormView;
use super::input::Input;
use crate::config::action::Action;
use crate::config::key::Code;
use crate::model::{Order, Safe, columns, wrap};

/// One layer.
#[derive(Clone, Debug)]
pub enum Overlay {
    Form(Box<FormView>),
    Confirm(ConfirmView),
    Palette(PaletteView),
    /// The columns to sort by, and the row the cursor is on.
    Sort(usize),
    Text(TextView),
    /// The filter being typed; what it was before, for Esc.
    Filter {
        input: Input,
        before: String,
    },
    /// A search in the log being typed.
    Search(Input),
    /// The hosts of the log, and the one the cursor is on.
    Hosts(u16),
}

/// A text to read, e.g. a failure in full, or what a model answered.
#[derive(Clone, Debug)]
pub struct TextView {
    pub title: Safe,
    pub text: Safe,
    pub tone: Tone,
    /// Lines scrolled away.
    pub top: usize,
}

/// A text broken into lines for its box, with the rows that there are for them.
pub struct Broken {
    pub lines: Vec<Safe>,
    pub rows: usize,
}

impl Broken {
    /// The most lines that can be scrolled away.
    #[must_use]
    pub fn end(&self) -> usize {
        self.lines.len().saturating_sub(self.rows)
    }

    /// How far one has scrolled after a key that scrolls; `None` for other keys.
    #[must_use]
    pub fn scrolled(&self, top: usize, code: Code) -> Option<usize> {
        let page = self.rows.saturating_sub(1).max(1);
        let top = match code {
            Code::Up => top.saturating_sub(1),
            Code::Down => top + 1,
            Code::PageUp => top.saturating_sub(page),
            Code::PageDown => top + page,
            Code::Home => 0,
            Code::End => usize::MAX,
            _ => return None,
        };
        Some(top.min(self.end()))
    }
}

impl TextView {
    /// Columns of its box in a window of that width.
    #[must_use]
    pub fn width(screen: u16) -> u16 {
        screen.saturating_sub(4).min(90)
    }

    /// Its lines in a window of that size. Frame, keys and the line above them take four rows.
    #[must_use]
    pub fn broken(&self, (width, height): (u16, u16)) -> Broken {
        let wide = Self::width(width).saturating_sub(4);
        let lines = self.text.lines().flat_map(|line| hanging(line, wide)).collect();
        Broken { lines, rows: usize::from(height.saturating_sub(5)) }
    }
}

/// A line in pieces. What stands in a second column, after a key or a time, goes on there.
fn hanging(line: &str, width: u16) -> Vec<Safe> {
    let first = line.find("  ").filter(|at| *at > 0);
    let second = first.map(|at| line.len() - line[at..].trim_start_matches(' ').len());
    let Some(second) = second.filter(|at| *at < line.len() && columns(&line[..*at]) <= width / 2) else {
        return wrap(&Safe::line(line), width);
    };
    let (head, rest) = line.split_at(second);
    let indent = columns(head);
    let pieces = wrap(&Safe::line(rest), width - indent).into_iter().enumerate();
    let piece = |(at, piece): (usize, Safe)| match at {
        0 => Safe::line(&format!("{head}{piece}")),
        _ => Safe::line(&format!("{:wide$}{piece}", "", wide = usize::from(indent))),
    };
    pieces.map(piece).collect()
}

/// Something to be sure about.
#[derive(Clone, Debug)]
pub struct ConfirmView {
    pub what: Confirmed,
    pub title: Safe,
    pub lines: Vec<Safe>,
    /// Lines scrolled away.
    pub top: usize,
    /// The text that has to be typed, and what has been typed.
    pub typed: Option<(String, Input)>,
    /// The cursor is on "yes"; it starts on Cancel.
    pub on_yes: bool,
    /// Keys typed ahead of the dialog must not answer it.
    pub opened: Timestamp,
}

/// What is done after a yes.
#[derive(Clone, Debug)]
pub enum Confirmed {
    Order(Order),
    Quit,
    /// The host key of a session's machine is the right one.
    Trust(u64),
    /// A text goes into a session.
    Paste {
        session: u64,
        text: String,
    },
    /// A session ends.
    EndShell(u64),
}

/// Milliseconds before a dialog takes a yes.
pub const ARM_MILLIS: i64 = 300;

impl ConfirmView {
    /// Columns of its box in a window of that width.
    #[must_use]
    pub fn width(screen: u16) -> u16 {
        screen.saturating_sub(4).min(76)
    }

    /// What is asked, in lines.
    #[must_use]
    pub fn head(&self, screen: u16) -> Vec<Safe> {
        wrap(&self.title, Self::width(screen).saturating_sub(4))
    }

    /// What has to be typed, in lines; empty when nothing has.
    #[must_use]
    pub fn ask(&self, screen: u16) -> Vec<Safe> {
        let ask = |(wanted, _): &(String, Input)| format!("Type {} to go on:", Safe::line(wanted)).into();
        self.typed.as_ref().map(|typed| wrap(&ask(typed), Self::width(screen).saturating_sub(4))).unwrap_or_default()
    }

    /// What there is to know before, in a window of that size. The question, what has to be typed and the answers always show.
    #[must_use]
    pub fn broken(&self, (width, height): (u16, u16)) -> Broken {
        let inner = Self::width(width).saturating_sub(4);
        let lines = self.lines.iter().flat_map(|line| wrap(line, inner)).collect();
        let ask = self.ask(width).len();
        // The frame, the answers, and what is typed.
        let taken = self.head(width).len() + ask + usize::from(ask > 0) + 3;
        Broken { lines, rows: usize::from(height.saturating_sub(1)).saturating_sub(taken) }
    }

    /// The right name was typed, if one is asked for.
    #[must_use]
    pub fn is_typed(&self) -> bool {
        self.typed.as_ref().is_none_or(|(wanted, input)| input.text() == *wanted)
    }
}

/// Actions to choose from, by name: the palette, and the help, which is the same list with all keys.
#[derive(Clone, Debug)]
pub struct PaletteView {
    pub title: &'static str,
    pub input: Input,
    pub cursor: usize,
    /// What can be chosen: action, its line.
    pub entries: Vec<(Action, Safe)>,
}

impl PaletteView {
    /// The entries that fit what was typed, best first: those with a word that starts with it, then those that contain it.
    #[must_use]
    pub fn found(&self) -> Vec<&(Action, Safe)> {
        let typed = self.input.text().to_lowercase();
        let rank = |text: &str| {
            let text = text.to_lowercase();
            if typed.is_empty() || text.starts_with(&typed) {
                Some(0)
            } else if text.split(' ').any(|word| word.starts_with(&typed)) {
                Some(1)
            } else if typed.split(' ').all(|part| text.contains(part)) {
                Some(2)
            } else {
                None
            }
        };
        let mut found: Vec<_> =
            self.entries.iter().filter_map(|entry| rank(entry.1.as_str()).map(|rank| (rank, entry))).collect();
        found.sort_by_key(|(rank, _)| *rank);
        found.into_iter().map(|(_, entry)| entry).collect()
    }
}
