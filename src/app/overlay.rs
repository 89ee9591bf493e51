//! What lies over the panes: a stack of layers, the top one gets the keys. Never a flag in the app.

use jiff::Timestamp;

use super::Tone;
use super::form::FormView;
use super::input::Input;
use crate::config::action::Action;
use crate::model::{Order, Safe};

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

/// Something to be sure about.
#[derive(Clone, Debug)]
pub struct ConfirmView {
    pub what: Confirmed,
    pub title: Safe,
    pub lines: Vec<Safe>,
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
