//! What the remote may cost: work and answers are paid with the bytes that it sends.
//!
//! Two or three bytes can ask for a whole screen of work (`ESC # 8`), or for an answer. Both are bounded by credit that grows
//! with every byte and not with time: so it makes no difference how the stream is cut into pieces, and a piece of 64 KiB costs
//! a few milliseconds whatever is in it.

/// Cells that can be worked on for one byte. Drawing a screen takes far less than one.
const CELLS: u64 = 256;
/// What can be saved up: some screens.
const MOST_CELLS: u64 = 4 << 20;
/// Bytes for one answer.
const BYTES_AN_ANSWER: u64 = 256;
/// Answers that can be saved up.
const MOST_ANSWERS: u64 = 32;

/// Credit for work (cells) and answers.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    cells: u64,
    /// In bytes.
    answers: u64,
    at: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { cells: MOST_CELLS, answers: MOST_ANSWERS * BYTES_AN_ANSWER, at: 0 }
    }
}

impl Budget {
    /// So many bytes have come since the beginning.
    pub(super) fn advance(&mut self, at: u64) {
        let new = at.saturating_sub(self.at);
        self.at = at;
        self.cells = (self.cells + new.min(MOST_CELLS) * CELLS).min(MOST_CELLS);
        self.answers = (self.answers + new).min(MOST_ANSWERS * BYTES_AN_ANSWER);
    }

    /// Pays for work, or says that it cannot be done now.
    pub(super) fn affords(&mut self, cells: usize) -> bool {
        let rest = self.cells.checked_sub(cells as u64);
        self.cells = rest.unwrap_or(self.cells);
        rest.is_some()
    }

    /// Pays for as much of it as there is credit for.
    pub(super) fn at_most(&mut self, cells: usize) -> usize {
        let granted = self.cells.min(cells as u64);
        self.cells -= granted;
        usize::try_from(granted).unwrap_or(cells)
    }

    /// Pays for an answer, or says that none is given.
    pub(super) fn answers(&mut self) -> bool {
        let rest = self.answers.checked_sub(BYTES_AN_ANSWER);
        self.answers = rest.unwrap_or(self.answers);
        rest.is_some()
    }
}
