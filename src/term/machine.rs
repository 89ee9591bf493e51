//! The emulator: alacritty's grid and its operations, driven only by what is on our lists.
//!
//! alacritty's own parser is not used: nothing reaches its `Term` but calls that stand here and in [`super::obey`]. So it cannot be asked for colours,
//! fonts, sizes or modes, knows no hyperlinks, keyboard protocols or clipboard, and the numbers it gets are bounded.
//! The second screen is kept here and not in the `Term`, so that a copy of all can be made.

use std::mem;

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::{Dimensions, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Cell;
use alacritty_terminal::term::test::TermSize;
use alacritty_terminal::term::{Config, Osc52, Term, TermMode};
use alacritty_terminal::vte::ansi::{CharsetIndex, Handler, NamedMode, NamedPrivateMode as Private, TabulationClearMode};

use super::budget::Budget;
use super::strings::Strings;

/// Lines kept above the screen.
const HISTORY: usize = 10_000;
/// Distance of tab stops at the beginning, as in a VT100.
const TAB: usize = 8;

/// A `Term` with what it does not let out, mirrored.
pub(super) struct Machine {
    pub(super) term: Term<VoidListener>,
    /// The screen that is not shown: while the alternate one is, the normal one.
    other: Grid<Cell>,
    pub(super) alternate: bool,
    pub(super) strings: Strings,
    /// First line of the scroll region, and the one after its last.
    pub(super) region: (usize, usize),
    pub(super) tabs: Vec<bool>,
    pub(super) charset: CharsetIndex,
    /// What a repetition repeats.
    pub(super) last: Option<char>,
    pub(super) budget: Budget,
    pub(super) replies: Vec<u8>,
    pub(super) bell: bool,
    /// Something visible has changed.
    pub(super) changed: bool,
    /// A synchronized update has begun: what follows is held back.
    pub(super) synchronized: bool,
    /// What was held back is being parsed: the begin of another update means nothing.
    pub(super) releasing: bool,
}

/// Modes of the `Term` that a copy takes over, with what sets them.
const COPIED: [(TermMode, Private); 12] = [
    (TermMode::APP_CURSOR, Private::CursorKeys),
    (TermMode::ORIGIN, Private::Origin),
    (TermMode::LINE_WRAP, Private::LineWrap),
    (TermMode::SHOW_CURSOR, Private::ShowCursor),
    (TermMode::MOUSE_REPORT_CLICK, Private::ReportMouseClicks),
    (TermMode::MOUSE_DRAG, Private::ReportCellMouseMotion),
    (TermMode::MOUSE_MOTION, Private::ReportAllMouseMotion),
    (TermMode::FOCUS_IN_OUT, Private::ReportFocusInOut),
    (TermMode::UTF8_MOUSE, Private::Utf8Mouse),
    (TermMode::SGR_MOUSE, Private::SgrMouse),
    (TermMode::ALTERNATE_SCROLL, Private::AlternateScroll),
    (TermMode::BRACKETED_PASTE, Private::BracketedPaste),
];

impl Machine {
    pub(super) fn new(columns: usize, rows: usize) -> Self {
        let config = Config { scrolling_history: HISTORY, kitty_keyboard: false, osc52: Osc52::Disabled, ..Config::default() };
        Self {
            term: Term::new(config, &TermSize::new(columns, rows), VoidListener),
            other: Grid::new(rows, columns, 0),
            alternate: false,
            strings: Strings::default(),
            region: (0, rows),
            tabs: (0..columns).map(|column| column % TAB == 0).collect(),
            charset: CharsetIndex::G0,
            last: None,
            budget: Budget::default(),
            replies: Vec::new(),
            bell: false,
            changed: true,
            synchronized: false,
            releasing: false,
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.term.columns()
    }

    pub(super) fn rows(&self) -> usize {
        self.term.screen_lines()
    }

    pub(super) fn mode(&self) -> TermMode {
        *self.term.mode()
    }

    /// The normal screen's lines are wrapped anew, the alternate one's are not: its program draws it again.
    pub(super) fn resize(&mut self, columns: usize, rows: usize) {
        if self.alternate {
            mem::swap(self.term.grid_mut(), &mut self.other);
        }
        self.term.resize(TermSize::new(columns, rows));
        self.other.resize(false, rows, columns);
        if self.alternate {
            mem::swap(self.term.grid_mut(), &mut self.other);
        }
        touch_all(self.term.grid_mut());
        touch_all(&mut self.other);
        self.region = (0, rows);
        let old = self.tabs.len();
        self.tabs.truncate(columns);
        self.tabs.extend((old..columns).map(|column| column % TAB == 0));
        self.changed = true;
    }

    /// As `Term::swap_alt` does it.
    pub(super) fn show_alternate(&mut self) {
        if self.alternate {
            return;
        }
        let grid = self.term.grid_mut();
        self.other.cursor = grid.cursor.clone();
        grid.saved_cursor = grid.cursor.clone();
        if self.budget.affords(grid.columns() * grid.screen_lines()) {
            self.other.reset_region(..);
        }
        self.swap();
    }

    pub(super) fn show_normal(&mut self) {
        if self.alternate {
            self.swap();
        }
    }

    fn swap(&mut self) {
        mem::swap(self.term.grid_mut(), &mut self.other);
        self.alternate = !self.alternate;
        self.term.selection = None;
    }

    pub(super) fn reset(&mut self) {
        self.show_normal();
        self.term.reset_state();
        self.other.reset();
        self.region = (0, self.rows());
        self.tabs = (0..self.columns()).map(|column| column % TAB == 0).collect();
        self.charset = CharsetIndex::G0;
        self.strings.reset();
    }

    /// DECSTR: the modes that make a terminal unusable go back to what they were, the screen stays.
    pub(super) fn reset_softly(&mut self) {
        for mode in [Private::CursorKeys, Private::Origin] {
            self.term.unset_private_mode(mode.into());
        }
        for mode in [Private::ShowCursor, Private::LineWrap] {
            self.term.set_private_mode(mode.into());
        }
        self.term.unset_mode(NamedMode::Insert.into());
        self.term.unset_keypad_application_mode();
        self.region = (0, self.rows());
        let cursor = self.term.grid().cursor.point;
        self.term.set_scrolling_region(1, None);
        let grid = self.term.grid_mut();
        grid.cursor.point = cursor;
        grid.cursor.template = Cell::default();
        grid.cursor.charsets = alacritty_terminal::grid::Charsets::default();
        self.use_charset(CharsetIndex::G0);
    }

    pub(super) fn use_charset(&mut self, index: CharsetIndex) {
        self.charset = index;
        self.term.set_active_charset(index);
    }
}

impl Clone for Machine {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.columns(), self.rows());
        let term = &mut copy.term;
        for (mode, name) in COPIED {
            if self.mode().contains(mode) {
                term.set_private_mode(name.into());
            } else if !TermMode::MOUSE_MODE.contains(mode) {
                term.unset_private_mode(name.into());
            }
        }
        for (mode, name) in [(TermMode::INSERT, NamedMode::Insert), (TermMode::LINE_FEED_NEW_LINE, NamedMode::LineFeedNewLine)] {
            if self.mode().contains(mode) {
                term.set_mode(name.into());
            }
        }
        if self.mode().contains(TermMode::APP_KEYPAD) {
            term.set_keypad_application_mode();
        }
        term.clear_tabs(TabulationClearMode::All);
        for (column, _) in self.tabs.iter().enumerate().filter(|(_, set)| **set) {
            term.grid_mut().cursor.point.column = Column(column);
            term.set_horizontal_tabstop();
        }
        term.set_scrolling_region(self.region.0 + 1, Some(self.region.1));
        term.set_active_charset(self.charset);
        term.set_cursor_style(Some(self.term.cursor_style()));
        term.grid_mut().clone_from(self.term.grid());
        term.selection.clone_from(&self.term.selection);
        copy.other = self.other.clone();
        copy.alternate = self.alternate;
        copy.strings = self.strings.clone();
        copy.region = self.region;
        copy.tabs.clone_from(&self.tabs);
        copy.charset = self.charset;
        copy.last = self.last;
        copy.budget = self.budget.clone();
        copy.replies.clone_from(&self.replies);
        (copy.bell, copy.changed) = (self.bell, self.changed);
        (copy.synchronized, copy.releasing) = (self.synchronized, self.releasing);
        copy
    }
}

/// alacritty clears only the cells of a row that it knows to be used, or all when the last one has another background. A row that
/// was cleared in a colour and then grew passes for unused, and its colour would stay. To look at it for writing makes it used.
pub(super) fn touch_all(grid: &mut Grid<Cell>) {
    for line in grid.topmost_line().0..=grid.bottommost_line().0 {
        let _ = &mut grid[Line(line)][..];
    }
}

/// A line of the screen as alacritty counts: the history is above 0.
pub(super) fn line(row: usize) -> Line {
    Line(i32::try_from(row).unwrap_or(i32::MAX))
}
