//! Printing: whole runs go into a row at once.
//!
//! alacritty prints character by character, and each looks at the modes, the character sets and the cursor anew. Here a run is
//! written into the cells while nothing special is in the way; what is special (the wrap, insert mode, a wide character
//! that gets overwritten in part) goes through alacritty's own `input`, one character at a time. That both
//! come to the same is a property that is tested.

use alacritty_terminal::index::Column;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{Color, Handler, StandardCharset};

use super::machine::Machine;
use super::width::{Width, Widths};

/// Marks on one cell. With the character that they are on it makes eight.
const MARKS: usize = 7;
/// Flags of cells that are part of a wide character.
const WIDE: Flags = Flags::WIDE_CHAR.union(Flags::WIDE_CHAR_SPACER);

/// What cells are written with.
struct Brush {
    fg: Color,
    bg: Color,
    flags: Flags,
    charset: StandardCharset,
}

impl Brush {
    fn paint(&self, cell: &mut Cell, c: char, flags: Flags) {
        cell.c = c;
        cell.fg = self.fg;
        cell.bg = self.bg;
        cell.flags = flags;
        // Looked at first: to drop what is not there costs more.
        if cell.extra.is_some() {
            cell.extra = None;
        }
    }
}

impl Machine {
    /// Nothing but the cells themselves decides what printing does.
    fn is_plain(&self) -> bool {
        !self.term.grid().cursor.input_needs_wrap && !self.term.mode().contains(TermMode::INSERT)
    }

    pub(super) fn print_ascii(&mut self, mut run: &[u8]) {
        while let [first, rest @ ..] = run {
            if !self.is_plain() {
                self.character(char::from(*first));
                run = rest;
                continue;
            }
            let done = self.write(run.len(), |cells, brush| {
                let mut done = 0;
                for (cell, byte) in cells.iter_mut().zip(run) {
                    if cell.flags.intersects(WIDE) {
                        break;
                    }
                    let c = char::from(*byte);
                    let plain = brush.charset == StandardCharset::Ascii;
                    brush.paint(cell, if plain { c } else { brush.charset.map(c) }, brush.flags);
                    done += 1;
                }
                done
            });
            if done > 0 {
                self.last = Some(char::from(run[done - 1]));
                run = &run[done..];
            } else {
                self.character(char::from(*first));
                run = rest;
            }
        }
    }

    pub(super) fn print_text(&mut self, text: &str) {
        let mut rest = text.chars();
        while let Some(first) = rest.clone().next() {
            if !self.is_plain() {
                self.character(first);
                rest.next();
                continue;
            }
            let mut last = None;
            let most = rest.as_str().len();
            let widths = Widths::ready();
            self.write(most, |cells, brush| {
                let mut done = 0;
                let mut ahead = rest.clone();
                while let (Some(c), Some(cell)) = (ahead.next(), cells.get_mut(done)) {
                    let width = widths.of(c);
                    if !matches!(width, Width::Narrow | Width::Wide) || cell.flags.intersects(WIDE) {
                        break;
                    }
                    if width == Width::Narrow {
                        brush.paint(cell, brush.charset.map(c), brush.flags);
                        done += 1;
                    } else {
                        let Some([cell, next]) = cells.get_mut(done..done + 2) else { break };
                        if next.flags.intersects(WIDE) {
                            break;
                        }
                        brush.paint(cell, c, brush.flags | Flags::WIDE_CHAR);
                        brush.paint(next, ' ', brush.flags | Flags::WIDE_CHAR_SPACER);
                        done += 2;
                    }
                    last = Some(c);
                    rest = ahead.clone();
                }
                done
            });
            if last.is_some() {
                self.last = last;
            } else {
                self.character(first);
                rest.next();
            }
        }
    }

    /// Lets cells from the cursor on be written, at most so many; moves the cursor by how many were.
    fn write(&mut self, most: usize, paint: impl FnOnce(&mut [Cell], &Brush) -> usize) -> usize {
        let grid = self.term.grid_mut();
        let point = grid.cursor.point;
        let template = &grid.cursor.template;
        let charset = grid.cursor.charsets[self.charset];
        let brush = Brush { fg: template.fg, bg: template.bg, flags: template.flags, charset };
        let row = &mut grid[point.line];
        let columns = row.len();
        let end = columns.min(point.column.0 + most);
        let done = paint(&mut row[point.column..Column(end)], &brush);
        let after = point.column.0 + done;
        grid.cursor.input_needs_wrap = after == columns;
        grid.cursor.point.column = Column(after.min(columns - 1));
        done
    }

    /// One character, as alacritty prints it.
    pub(super) fn character(&mut self, c: char) {
        match Widths::ready().of(c) {
            Width::None => return,
            Width::Mark => self.mark(c),
            Width::Narrow | Width::Wide => self.term.input(c),
        }
        self.last = Some(c);
    }

    /// A mark goes to the character before, as many as a cell may have.
    fn mark(&mut self, c: char) {
        let grid = self.term.grid_mut();
        let point = grid.cursor.point;
        let mut column = if grid.cursor.input_needs_wrap { point.column.0 } else { point.column.0.saturating_sub(1) };
        if grid[point.line][Column(column)].flags.contains(Flags::WIDE_CHAR_SPACER) {
            column = column.saturating_sub(1);
        }
        let cell = &mut grid[point.line][Column(column)];
        if cell.zerowidth().is_none_or(|marks| marks.len() < MARKS) {
            cell.push_zerowidth(c);
        }
    }
}
