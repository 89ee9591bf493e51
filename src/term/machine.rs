//! The emulator: alacritty's grid and its operations, driven only by what is on the lists below.
//!
//! alacritty's own parser is not used: nothing reaches its `Term` but calls that stand here. So it cannot be asked for colours,
//! fonts, sizes or modes, knows no hyperlinks, keyboard protocols or clipboard, and the numbers it gets are bounded.
//! The second screen is kept here and not in the `Term`, so that a copy of all can be made.

use std::mem;

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::grid::{Dimensions, Grid};
use alacritty_terminal::index::{Column, Line};
use alacritty_terminal::term::cell::Cell;
use alacritty_terminal::term::test::TermSize;
use alacritty_terminal::term::{Config, Osc52, Term, TermMode};
use alacritty_terminal::vte::ansi::{
    CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, LineClearMode, NamedMode, NamedPrivateMode as Private,
    StandardCharset, TabulationClearMode,
};

use super::budget::Budget;
use super::params::Params;
use super::parser::Sink;
use super::strings::Strings;
use super::style;

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
    region: (usize, usize),
    tabs: Vec<bool>,
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
    fn show_alternate(&mut self) {
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

    fn show_normal(&mut self) {
        if self.alternate {
            self.swap();
        }
    }

    fn swap(&mut self) {
        mem::swap(self.term.grid_mut(), &mut self.other);
        self.alternate = !self.alternate;
        self.term.selection = None;
    }

    fn reset(&mut self) {
        self.show_normal();
        self.term.reset_state();
        self.other.reset();
        self.region = (0, self.rows());
        self.tabs = (0..self.columns()).map(|column| column % TAB == 0).collect();
        self.charset = CharsetIndex::G0;
        self.strings.reset();
    }

    /// DECSTR: the modes that make a terminal unusable go back to what they were, the screen stays.
    fn reset_softly(&mut self) {
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

    fn use_charset(&mut self, index: CharsetIndex) {
        self.charset = index;
        self.term.set_active_charset(index);
    }

    fn set_region(&mut self, params: &Params) {
        let rows = self.rows();
        let top = usize::from(params.or(0, 1));
        let bottom = usize::from(params.or(1, u16::MAX)).min(rows);
        if top < bottom {
            self.region = (top - 1, bottom);
            self.term.set_scrolling_region(top, Some(bottom));
        }
    }

    fn set_private(&mut self, mode: u16, on: bool) {
        let named = match mode {
            1 => Private::CursorKeys,
            3 => {
                // 132 columns are not for the remote to choose; but the rest of it is done.
                return self.charge_screen(|machine| {
                    machine.region = (0, machine.rows());
                    machine.term.set_private_mode(Private::ColumnMode.into());
                });
            }
            6 => Private::Origin,
            7 => Private::LineWrap,
            12 => Private::BlinkingCursor,
            25 => Private::ShowCursor,
            47 | 1047 | 1049 if on => return self.show_alternate(),
            47 | 1047 | 1049 => return self.show_normal(),
            1000 => Private::ReportMouseClicks,
            1002 => Private::ReportCellMouseMotion,
            1003 => Private::ReportAllMouseMotion,
            1004 => Private::ReportFocusInOut,
            1005 => Private::Utf8Mouse,
            1006 => Private::SgrMouse,
            1007 => Private::AlternateScroll,
            1048 if on => return self.term.save_cursor_position(),
            1048 => return self.term.restore_cursor_position(),
            2004 => Private::BracketedPaste,
            2026 => {
                self.synchronized = on && !self.releasing;
                return;
            }
            _ => return,
        };
        if on {
            self.term.set_private_mode(named.into());
        } else {
            self.term.unset_private_mode(named.into());
        }
    }

    fn set_public(&mut self, mode: u16, on: bool) {
        let named = match mode {
            4 => NamedMode::Insert,
            20 => NamedMode::LineFeedNewLine,
            _ => return,
        };
        if on {
            self.term.set_mode(named.into());
        } else {
            self.term.unset_mode(named.into());
        }
    }

    /// As `Term::linefeed` does it, without what only a window needs.
    fn feed_line(&mut self) {
        let rows = self.rows();
        let scrolls = below_cursor(self.term.grid()) == self.region.1;
        if scrolls && self.term.selection.is_some() {
            return self.term.linefeed();
        }
        let grid = self.term.grid_mut();
        if scrolls {
            grid.scroll_up(&(line(self.region.0)..line(self.region.1)), 1);
        } else if below_cursor(grid) < rows {
            grid.cursor.point.line += 1;
        }
    }

    fn return_carriage(&mut self) {
        let cursor = &mut self.term.grid_mut().cursor;
        cursor.point.column = Column(0);
        cursor.input_needs_wrap = false;
    }

    fn set_tab(&mut self) {
        let column = self.term.grid().cursor.point.column.0;
        self.tabs[column] = true;
        self.term.set_horizontal_tabstop();
    }

    fn clear_tabs(&mut self, mode: u16) {
        let column = self.term.grid().cursor.point.column.0;
        match mode {
            0 => {
                self.tabs[column] = false;
                self.term.clear_tabs(TabulationClearMode::Current);
            }
            3 => {
                self.tabs.fill(false);
                self.term.clear_tabs(TabulationClearMode::All);
            }
            _ => {}
        }
    }

    /// Work on all of the screen: done when it is affordable.
    fn charge_screen(&mut self, work: impl FnOnce(&mut Self)) {
        self.charge_lines(self.rows(), work);
    }

    fn charge_lines(&mut self, lines: usize, work: impl FnOnce(&mut Self)) {
        if self.budget.affords(lines.min(self.rows()) * self.columns()) {
            work(self);
        }
    }

    fn clear_screen(&mut self, mode: u16) {
        let mode = match mode {
            0 => ClearMode::Below,
            1 => ClearMode::Above,
            2 => ClearMode::All,
            3 => ClearMode::Saved,
            _ => return,
        };
        self.charge_screen(|machine| {
            if machine.alternate && matches!(mode, ClearMode::All) {
                // The alternate screen has no history that its old lines could go to.
                machine.term.grid_mut().reset_region(..);
                machine.term.selection = None;
            } else {
                machine.term.clear_screen(mode);
            }
        });
    }

    fn clear_line(&mut self, mode: u16) {
        match mode {
            0 => self.term.clear_line(LineClearMode::Right),
            1 => self.term.clear_line(LineClearMode::Left),
            2 => self.term.clear_line(LineClearMode::All),
            _ => {}
        }
    }

    fn set_cursor_style(&mut self, style: u16) {
        let shape = match style {
            0 => return self.term.set_cursor_style(None),
            1 | 2 => CursorShape::Block,
            3 | 4 => CursorShape::Underline,
            5 | 6 => CursorShape::Beam,
            _ => return,
        };
        self.term.set_cursor_style(Some(CursorStyle { shape, blinking: style % 2 == 1 }));
    }

    /// DSR: "operating" and where the cursor is, the latter within the region when lines count from there. Nothing else.
    fn report(&mut self, what: u16) {
        let point = self.term.grid().cursor.point;
        let origin = if self.mode().contains(TermMode::ORIGIN) { self.region.0 } else { 0 };
        let line = usize::try_from(point.line.0).unwrap_or(0).saturating_sub(origin);
        match what {
            5 => self.reply("\x1b[0n"),
            6 => self.reply(&format!("\x1b[{};{}R", line + 1, point.column.0 + 1)),
            _ => {}
        }
    }

    fn reply(&mut self, text: &str) {
        if self.budget.answers() {
            self.replies.extend_from_slice(text.as_bytes());
        }
    }

    fn repeat(&mut self, times: u16) {
        let Some(c) = self.last else { return };
        for _ in 0..self.budget.at_most(usize::from(times)) {
            self.character(c);
        }
    }

    /// Control sequences without private mark and intermediates.
    fn plain(&mut self, params: &Params, last: u8) {
        let count = usize::from(params.or(0, 1));
        // More tabs than there are columns do what as many do.
        let tabs = params.or(0, 1).min(u16::try_from(self.columns()).unwrap_or(u16::MAX));
        let line = i32::from(params.or(0, 1)) - 1;
        match last {
            b'@' => self.term.insert_blank(count),
            b'A' => self.term.move_up(count),
            b'B' | b'e' => self.term.move_down(count),
            b'C' | b'a' => self.term.move_forward(count),
            b'D' => self.term.move_backward(count),
            b'E' => self.term.move_down_and_cr(count),
            b'F' => self.term.move_up_and_cr(count),
            b'G' | b'`' => self.term.goto_col(count - 1),
            b'H' | b'f' => self.term.goto(line, usize::from(params.or(1, 1)) - 1),
            b'I' => self.term.move_forward_tabs(tabs),
            b'J' => self.clear_screen(params.or(0, 0)),
            b'K' => self.clear_line(params.or(0, 0)),
            b'L' => self.charge_lines(count, |machine| machine.term.insert_blank_lines(count)),
            b'M' => self.charge_lines(count, |machine| machine.term.delete_lines(count)),
            b'P' => self.term.delete_chars(count),
            b'S' => self.charge_lines(count, |machine| machine.term.scroll_up(count)),
            b'T' => self.charge_lines(count, |machine| machine.term.scroll_down(count)),
            b'X' => self.term.erase_chars(count),
            b'Z' => self.term.move_backward_tabs(tabs),
            b'b' => self.repeat(params.or(0, 1)),
            b'c' if params.or(0, 0) == 0 => self.reply("\x1b[?6c"),
            b'd' => self.term.goto_line(line),
            b'g' => self.clear_tabs(params.or(0, 0)),
            b'h' => params.numbers().for_each(|mode| self.set_public(mode, true)),
            b'l' => params.numbers().for_each(|mode| self.set_public(mode, false)),
            b'm' => style::apply(&mut self.term.grid_mut().cursor.template, params),
            b'n' => self.report(params.or(0, 0)),
            b'r' => self.set_region(params),
            b's' => self.term.save_cursor_position(),
            b't' if params.or(0, 0) == 22 => self.strings.push_title(),
            b't' if params.or(0, 0) == 23 => self.strings.pop_title(),
            b'u' => self.term.restore_cursor_position(),
            _ => {}
        }
    }
}

impl Sink for Machine {
    fn ascii(&mut self, run: &[u8]) {
        self.changed = true;
        self.print_ascii(run);
    }

    fn text(&mut self, text: &str) {
        self.changed = true;
        self.print_text(text);
    }

    fn control(&mut self, code: u8) {
        self.changed = true;
        match code {
            0x07 => self.bell = true,
            0x08 => self.term.backspace(),
            b'\t' => self.term.put_tab(1),
            b'\n' | 0x0b | 0x0c => self.feed_line(),
            b'\r' => self.return_carriage(),
            0x0e => self.use_charset(CharsetIndex::G1),
            0x0f => self.use_charset(CharsetIndex::G0),
            _ => {}
        }
    }

    fn escape(&mut self, intermediates: &[u8], last: u8) {
        self.changed = true;
        match (intermediates, last) {
            ([], b'7') => self.term.save_cursor_position(),
            ([], b'8') => self.term.restore_cursor_position(),
            ([], b'=') => self.term.set_keypad_application_mode(),
            ([], b'>') => self.term.unset_keypad_application_mode(),
            ([], b'D') => self.feed_line(),
            ([], b'E') => {
                self.feed_line();
                self.return_carriage();
            }
            ([], b'H') => self.set_tab(),
            ([], b'M') => self.term.reverse_index(),
            ([], b'c') => self.charge_screen(Self::reset),
            ([b'#'], b'8') => self.charge_screen(|machine| machine.term.decaln()),
            ([slot @ (b'(' | b')' | b'*' | b'+')], b'0' | b'B') => {
                let index = match slot {
                    b'(' => CharsetIndex::G0,
                    b')' => CharsetIndex::G1,
                    b'*' => CharsetIndex::G2,
                    _ => CharsetIndex::G3,
                };
                let line_drawing = StandardCharset::SpecialCharacterAndLineDrawing;
                self.term.configure_charset(index, if last == b'0' { line_drawing } else { StandardCharset::Ascii });
            }
            _ => {}
        }
    }

    fn sequence(&mut self, params: &Params, intermediates: &[u8], last: u8, at: u64) {
        self.changed = true;
        self.budget.advance(at);
        match (intermediates, last) {
            ([], _) => self.plain(params, last),
            ([b'?'], b'h') => params.numbers().for_each(|mode| self.set_private(mode, true)),
            ([b'?'], b'l') => params.numbers().for_each(|mode| self.set_private(mode, false)),
            ([b' '], b'q') => self.set_cursor_style(params.or(0, 0)),
            ([b'!'], b'p') => self.reset_softly(),
            _ => {}
        }
    }

    fn command(&mut self, command: &[u8]) {
        self.changed |= self.strings.obey(command);
    }

    fn stopped(&self) -> bool {
        self.synchronized
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

/// The line below the cursor's.
fn below_cursor(grid: &Grid<Cell>) -> usize {
    usize::try_from(grid.cursor.point.line.0).unwrap_or(0) + 1
}

/// A line of the screen as alacritty counts: the history is above 0.
pub(super) fn line(row: usize) -> Line {
    Line(i32::try_from(row).unwrap_or(i32::MAX))
}
