//! What a screen showed when it was last looked at: so that only rows that show something else are drawn anew.

use alacritty_terminal::term::cell::Cell;

use super::{Screen, number};

/// What a screen showed.
#[derive(Clone, Debug, Default)]
pub struct Shot {
    rows: Vec<Vec<Cell>>,
    title: String,
    /// The cells alone said how the rows looked.
    plain: bool,
}

impl Screen {
    /// The rows that show something else than in the shot, which becomes the one of now. None: anything may look different. So
    /// it is after a change of the size or the title, and while something is selected, searched for or scrolled back to.
    pub fn changed(&self, shot: &mut Shot) -> Option<Vec<u16>> {
        let plain = self.scrolled() == 0 && self.search.is_none() && self.machine.term.selection.is_none();
        let columns = self.machine.columns();
        let sized = shot.rows.len() == self.machine.rows() && shot.rows.first().is_some_and(|row| row.len() == columns);
        let comparable = sized && shot.title == self.title() && plain && shot.plain;
        shot.plain = plain;
        self.title().clone_into(&mut shot.title);
        shot.rows.resize_with(self.machine.rows(), Vec::new);
        let mut changed = Vec::new();
        for (row, kept) in shot.rows.iter_mut().enumerate() {
            let cells = &self.machine.term.grid()[self.line(row)][..];
            if kept[..] != *cells {
                kept.clear();
                kept.extend_from_slice(cells);
                changed.push(number(row));
            }
        }
        comparable.then_some(changed)
    }
}
