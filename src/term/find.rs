//! Search in the screen and what is above it.

use std::ops::Range;

use alacritty_terminal::grid::{Dimensions as _, Scroll};
use alacritty_terminal::index::Line;
use alacritty_terminal::term::cell::Flags;

use super::Screen;

/// Rows that are searched as one when they are one wrapped line. A remote can make lines without end.
const TOGETHER: i32 = 64;

/// What is searched for.
#[derive(Clone, Debug)]
pub(super) struct Search {
    /// In lower case when it has no capitals: then case does not count.
    needle: Vec<char>,
    folds: bool,
    text: String,
    /// Where it was found last: the row of the view, and the column.
    hit: Option<(i32, usize)>,
}

/// A place in the grid that is part of a wrapped line.
type Place = (Line, usize);

impl Screen {
    /// Finds the text in the history and on the screen, upwards (`back`) or downwards from where it was found last, else from
    /// the end of what is shown; begins anew at the other end. Shows the place and marks all places. Without capitals in the
    /// text case does not count. False when it is nowhere.
    pub fn search(&mut self, text: &str, back: bool) -> bool {
        let folds = !text.chars().any(char::is_uppercase);
        let hit = self.search.as_ref().and_then(|search| search.hit);
        let same = self.search.as_ref().is_some_and(|search| search.text == text);
        let needle = text.chars().map(|c| if folds { fold(c) } else { c }).collect();
        self.search = Some(Search { needle, folds, text: text.to_owned(), hit: None });
        let found = self.next(hit, same, back);
        if let Some((line, column)) = found {
            self.reveal(line);
            let row = line.0 + self.offset();
            if let Some(search) = &mut self.search {
                search.hit = Some((row, column));
            }
        }
        self.touch();
        found.is_some()
    }

    /// Marks nothing any more.
    pub fn end_search(&mut self) {
        if self.search.take().is_some() {
            self.touch();
        }
    }

    /// The place after the last one; while the text is still being written, that place itself counts too.
    fn next(&self, hit: Option<(i32, usize)>, same: bool, back: bool) -> Option<Place> {
        let grid = self.machine.term.grid();
        let (top, bottom) = (grid.topmost_line(), grid.bottommost_line());
        let bottom_shown = Line(bottom.0 - self.offset());
        let origin = match hit {
            Some((row, column)) => (Line((row - self.offset()).clamp(top.0, bottom.0)), column),
            None if back => (bottom_shown, usize::MAX),
            None => (Line(-self.offset()), 0),
        };
        let counts = !same || hit.is_none();
        let ahead = |place: &Place| if back { *place < origin } else { *place > origin };
        let wanted = |place: &Place| ahead(place) || (counts && *place == origin);
        let from = self.wrapped(origin.0);
        let mut around = None;
        // From the piece with the origin to the end, then from the other end back to it.
        let mut piece = from.clone();
        loop {
            let places = self.places(&piece);
            let mut hits = places.iter().map(|range| range.start);
            let hit = if back { hits.rfind(|place| around.is_some() || wanted(place)) } else { hits.find(|place| around.is_some() || wanted(place)) };
            if hit.is_some() {
                return hit;
            }
            if around.is_some() && piece == from {
                return None;
            }
            piece = if back {
                if piece.start > top { self.wrapped(piece.start - 1) } else { around = Some(()); self.wrapped(bottom) }
            } else if piece.end <= bottom {
                self.wrapped(piece.end)
            } else {
                around = Some(());
                self.wrapped(top)
            };
        }
    }

    /// The rows that are one line with this one.
    fn wrapped(&self, line: Line) -> Range<Line> {
        let grid = self.machine.term.grid();
        let goes_on = |line: Line| grid[line][grid.last_column()].flags.contains(Flags::WRAPLINE);
        let mut start = line;
        while start > grid.topmost_line() && goes_on(start - 1) {
            start -= 1;
        }
        start = Line(line.0 - (line.0 - start.0) % TOGETHER);
        let mut end = start;
        while end < grid.bottommost_line() && goes_on(end) && end.0 - start.0 < TOGETHER - 1 {
            end += 1;
        }
        start..end + 1
    }

    /// Where the text is in these rows, which are one line; ends excluded.
    fn places(&self, rows: &Range<Line>) -> Vec<Range<Place>> {
        let Some(search) = self.search.as_ref().filter(|search| !search.needle.is_empty()) else { return Vec::new() };
        let grid = self.machine.term.grid();
        let mut line = Vec::new();
        for row in (rows.start.0..rows.end.0).map(Line) {
            for (column, cell) in grid[row].into_iter().enumerate() {
                if !cell.flags.intersects(Flags::WIDE_CHAR_SPACER | Flags::LEADING_WIDE_CHAR_SPACER | Flags::HIDDEN) {
                    line.push((if search.folds { fold(cell.c) } else { cell.c }, (row, column)));
                }
            }
        }
        let mut places = Vec::new();
        let mut at = 0;
        while at + search.needle.len() <= line.len() {
            let here = &line[at..at + search.needle.len()];
            if here.iter().map(|(c, _)| c).eq(&search.needle) {
                let last = here[here.len() - 1].1;
                places.push(here[0].1..(last.0, last.1 + 1));
                at += here.len();
            } else {
                at += 1;
            }
        }
        places
    }

    /// The columns of a row that are part of what is searched for.
    pub(super) fn found_in(&self, line: Line) -> Vec<Range<usize>> {
        if self.search.is_none() {
            return Vec::new();
        }
        let columns = self.machine.columns();
        let here = |range: &Range<Place>| range.start.0 <= line && range.end.0 >= line;
        let places = self.places(&self.wrapped(line));
        let part = |range: Range<Place>| {
            let start = if range.start.0 == line { range.start.1 } else { 0 };
            start..if range.end.0 == line { range.end.1 } else { columns }
        };
        places.into_iter().filter(here).map(part).collect()
    }

    /// Scrolls so that the line is shown, in the middle if it was not.
    fn reveal(&mut self, line: Line) {
        let (rows, offset) = (i32::try_from(self.machine.rows()).unwrap_or(i32::MAX), self.offset());
        let row = line.0 + offset;
        if !(0..rows).contains(&row) {
            let wanted = (rows / 2 - line.0).max(0);
            self.machine.term.scroll_display(Scroll::Delta(wanted - offset));
        }
    }

    /// Lines between the end and the end of what is shown.
    fn offset(&self) -> i32 {
        i32::try_from(self.machine.term.grid().display_offset()).unwrap_or(i32::MAX)
    }

    /// The next search begins at what is shown.
    pub(super) fn forget_hit(&mut self) {
        if let Some(search) = &mut self.search {
            search.hit = None;
        }
    }
}

/// Simple case folding: one character to one.
fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => c,
    }
}

