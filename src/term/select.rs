//! Selection of text with the mouse or keys, and what is copied of it.

use alacritty_terminal::index::{Column, Point, Side};
use alacritty_terminal::selection::{Selection, SelectionType};
use alacritty_terminal::term::cell::Flags;

use super::Screen;

impl Screen {
    /// Selects from one place of what is shown to another, both included. Places are (column, row).
    pub fn select(&mut self, from: (u16, u16), to: (u16, u16)) {
        self.select_as(SelectionType::Simple, from, to);
    }

    /// Selects the words at these places and all between.
    pub fn select_words(&mut self, from: (u16, u16), to: (u16, u16)) {
        self.select_as(SelectionType::Semantic, from, to);
    }

    /// Selects the whole lines of these places, with the rows that they are wrapped over.
    pub fn select_lines(&mut self, from: (u16, u16), to: (u16, u16)) {
        self.select_as(SelectionType::Lines, from, to);
    }

    fn select_as(&mut self, kind: SelectionType, from: (u16, u16), to: (u16, u16)) {
        let mut selection = Selection::new(kind, self.place(from), Side::Left);
        selection.update(self.place(to), Side::Right);
        selection.include_all();
        self.machine.term.selection = Some(selection);
        self.touch();
    }

    pub fn clear_selection(&mut self) {
        if self.machine.term.selection.take().is_some() {
            self.touch();
        }
    }

    /// The selected text: wrapped rows are one line, blanks at the ends of lines are left out. None when nothing is selected.
    #[must_use]
    pub fn selected_text(&self) -> Option<String> {
        let term = &self.machine.term;
        let range = term.selection.as_ref()?.to_range(term)?;
        let last = self.machine.columns() - 1;
        let mut text = String::new();
        let mut line = range.start.line;
        while line <= range.end.line {
            let from = if line == range.start.line { range.start.column.0 } else { 0 };
            let to = if line == range.end.line { range.end.column.0 } else { last };
            let cells = &term.grid()[line][..];
            // The second half of a wide character stands for all of it.
            let from = if cells[from].flags.contains(Flags::WIDE_CHAR_SPACER) { from.saturating_sub(1) } else { from };
            for cell in &cells[from..=to] {
                if !cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER | Flags::HIDDEN) {
                    text.push(if cell.c == '\t' { ' ' } else { cell.c });
                    text.extend(cell.zerowidth().into_iter().flatten());
                }
            }
            if !(to == last && cells[last].flags.contains(Flags::WRAPLINE)) {
                text.truncate(text.trim_end_matches(' ').len());
                if line < range.end.line {
                    text.push('\n');
                }
            }
            line += 1;
        }
        Some(text)
    }

    /// Where in the grid a place of what is shown is.
    fn place(&self, (column, row): (u16, u16)) -> Point {
        let row = usize::from(row).min(self.machine.rows() - 1);
        Point::new(self.line(row), Column(usize::from(column).min(self.machine.columns() - 1)))
    }
}
