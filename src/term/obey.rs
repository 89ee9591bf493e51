//! What the remote may do: every control code, escape and control sequence that has an effect stands here.

use alacritty_terminal::grid::Grid;
use alacritty_terminal::index::Column;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::Cell;
use alacritty_terminal::vte::ansi::{
    CharsetIndex, ClearMode, CursorShape, CursorStyle, Handler, LineClearMode, NamedMode, NamedPrivateMode as Private,
    StandardCharset, TabulationClearMode,
};

use super::machine::{Machine, line};
use super::params::Params;
use super::parser::Sink;
use super::style;

impl Machine {
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
        let (rows, next) = (self.rows(), below_cursor(self.term.grid()));
        if next != self.region.1 {
            self.term.grid_mut().cursor.point.line += i32::from(next < rows);
        } else if self.term.selection.is_some() {
            self.term.linefeed();
        } else {
            self.term.grid_mut().scroll_up(&(line(self.region.0)..line(self.region.1)), 1);
        }
    }

    /// Lines up (negative) or down, and not over a margin from within, as the VT100 does it. `Term` goes over them, and counts the
    /// region's top twice when lines are counted from there.
    fn climb(&mut self, lines: i32) {
        let at = below_cursor(self.term.grid()) - 1;
        let top = if at >= self.region.0 { self.region.0 } else { 0 };
        let bottom = if at < self.region.1 { self.region.1 } else { self.rows() } - 1;
        let distance = usize::try_from(lines.unsigned_abs()).unwrap_or(usize::MAX);
        let to = if lines < 0 { at.saturating_sub(distance).max(top) } else { at.saturating_add(distance).min(bottom) };
        let cursor = &mut self.term.grid_mut().cursor;
        cursor.point.line = line(to);
        cursor.input_needs_wrap = false;
    }

    /// `Term` counts the region's top for this, too.
    fn go_to_column(&mut self, column: usize) {
        let last = self.columns() - 1;
        let cursor = &mut self.term.grid_mut().cursor;
        cursor.point.column = Column(column.min(last));
        cursor.input_needs_wrap = false;
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
        let lines = i32::from(params.or(0, 1));
        let line = lines - 1;
        match last {
            b'@' => self.term.insert_blank(count),
            b'A' => self.climb(-lines),
            b'B' | b'e' => self.climb(lines),
            b'C' | b'a' => self.term.move_forward(count),
            b'D' => self.term.move_backward(count),
            b'E' => {
                self.climb(lines);
                self.return_carriage();
            }
            b'F' => {
                self.climb(-lines);
                self.return_carriage();
            }
            b'G' | b'`' => self.go_to_column(count - 1),
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
    #[inline]
    fn ascii(&mut self, run: &[u8]) {
        self.changed = true;
        self.print_ascii(run);
    }

    fn text(&mut self, text: &str) {
        self.changed = true;
        self.print_text(text);
    }

    #[inline]
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

/// The line below the cursor's.
fn below_cursor(grid: &Grid<Cell>) -> usize {
    usize::try_from(grid.cursor.point.line.0).unwrap_or(0) + 1
}
