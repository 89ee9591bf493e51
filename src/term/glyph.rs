//! What is shown: the rows as cells with text, colours and attributes, all of it harmless to the terminal they are drawn on.

use std::ops::Range;
use std::sync::OnceLock;

use alacritty_terminal::index::{Column, Point};
use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{Color, NamedColor};
use unicode_width::UnicodeWidthStr as _;

use super::{Screen, number};

/// One character of a row with all that is drawn of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph<'a> {
    /// One character and at most seven marks on it; as wide as the cell is, and never a control or direction character.
    pub text: &'a str,
    pub fg: Colour,
    pub bg: Colour,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub reverse: bool,
    pub strike: bool,
    /// Takes two columns; there is no glyph for the second.
    pub wide: bool,
    pub selected: bool,
    /// Part of what is searched for.
    pub found: bool,
}

/// A colour as the remote asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// The user's own.
    Default,
    /// Of the user's palette: 0 to 7 normal, 8 to 15 bright, then the cube and the greys of xterm.
    Indexed(u8),
    Rgb(u8, u8, u8),
}

impl From<Color> for Colour {
    fn from(color: Color) -> Self {
        match color {
            Color::Indexed(index) => Self::Indexed(index),
            Color::Spec(rgb) => Self::Rgb(rgb.r, rgb.g, rgb.b),
            // The first sixteen of alacritty's names are the palette.
            Color::Named(name) if name as usize <= NamedColor::BrightWhite as usize => {
                u8::try_from(name as usize).map_or(Self::Default, Self::Indexed)
            }
            Color::Named(_) => Self::Default,
        }
    }
}

/// The text of a row, made when it is first asked for after a change.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    text: String,
    /// Where the text of each column ends.
    ends: Vec<usize>,
    /// Columns of what is searched for.
    found: Vec<Range<usize>>,
}

impl Line {
    fn of(screen: &Screen, row: usize) -> Self {
        let (line, grid) = (screen.line(row), screen.machine.term.grid());
        let mut made = Self { found: screen.found_in(line), ..Self::default() };
        let cells = &grid[line][..];
        for column in 0..cells.len() {
            push(&mut made.text, cells, column);
            made.ends.push(made.text.len());
        }
        made
    }

    fn at(&self, column: usize) -> &str {
        let start = column.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[column]]
    }
}

/// How a cell is shown. Deleting or inserting can part the halves of a wide character: then neither shows.
#[derive(PartialEq, Eq)]
enum Part {
    Narrow,
    Wide,
    /// Under the wide character before it.
    Covered,
    Half,
}

fn part(cells: &[Cell], column: usize) -> Part {
    let has = |column: usize, flag| cells.get(column).is_some_and(|cell| cell.flags.contains(flag));
    if has(column, Flags::WIDE_CHAR) {
        return if has(column + 1, Flags::WIDE_CHAR_SPACER) { Part::Wide } else { Part::Half };
    }
    match column.checked_sub(1) {
        _ if !has(column, Flags::WIDE_CHAR_SPACER) => Part::Narrow,
        Some(before) if has(before, Flags::WIDE_CHAR) => Part::Covered,
        _ => Part::Half,
    }
}

/// Adds what a cell shows. The grid has no harmful characters, but tabs as such, and marks that change what is around them.
fn push(out: &mut String, cells: &[Cell], column: usize) {
    let cell = &cells[column];
    let (blank, columns) = match part(cells, column) {
        Part::Covered => return,
        Part::Half => return out.push(' '),
        Part::Narrow => (" ", 1),
        Part::Wide => ("\u{3000}", 2),
    };
    // The colour of a skin has a cell of its own here, but a terminal would join it to the face before.
    let joins = ('\u{1f3fb}'..='\u{1f3ff}').contains(&cell.c);
    if cell.flags.contains(Flags::HIDDEN) || cell.c == '\t' || joins {
        return out.push_str(blank);
    }
    out.push(cell.c);
    let Some(marks) = cell.zerowidth().filter(|marks| !marks.is_empty()) else { return };
    let start = out.len() - cell.c.len_utf8();
    // A joiner would take in the next cell.
    out.extend(marks.iter().filter(|c| **c != '\u{200d}'));
    if out[start..].width() != columns {
        out.truncate(start + cell.c.len_utf8());
    }
}

impl Screen {
    /// The glyphs of a row as it is shown now, from the first column to the last. Wide ones take two columns.
    pub fn glyphs(&self, row: u16) -> impl Iterator<Item = (u16, Glyph<'_>)> {
        let row = usize::from(row);
        let line = self.shown.get(row).map(|line| line.get_or_init(|| Line::of(self, row)));
        let selection = self.machine.term.selection.as_ref().and_then(|selection| selection.to_range(&self.machine.term));
        line.into_iter().flat_map(move |shown| {
            let line = self.line(row);
            let cells = &self.machine.term.grid()[line][..];
            (0..cells.len()).filter_map(move |column| {
                let wide = match part(cells, column) {
                    Part::Covered => return None,
                    part => part == Part::Wide,
                };
                let selected = selection.is_some_and(|range| {
                    let contains = |column| range.contains(Point::new(line, Column(column)));
                    contains(column) || (wide && contains(column + 1))
                });
                let found = shown.found.iter().any(|range| range.contains(&column));
                let glyph = Glyph { wide, selected, found, ..glyph(&cells[column], shown.at(column)) };
                Some((number(column), glyph))
            })
        })
    }

    /// The rows as they are shown, without blanks at their ends, a line feed between them.
    #[must_use]
    pub fn text(&self) -> String {
        let rows = (0..self.machine.rows()).map(|row| {
            let mut text = String::new();
            let cells = &self.machine.term.grid()[self.line(row)][..];
            (0..cells.len()).for_each(|column| push(&mut text, cells, column));
            text.trim_end().to_owned()
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    /// What was drawn is stale.
    pub(super) fn forget_shown(&mut self) {
        let rows = self.machine.rows();
        self.shown.resize_with(rows, OnceLock::new);
        for line in &mut self.shown {
            line.take();
        }
    }
}

fn glyph<'a>(cell: &Cell, text: &'a str) -> Glyph<'a> {
    let has = |flag| cell.flags.intersects(flag);
    Glyph {
        text,
        fg: cell.fg.into(),
        bg: cell.bg.into(),
        bold: has(Flags::BOLD),
        dim: has(Flags::DIM),
        italic: has(Flags::ITALIC),
        underline: has(Flags::ALL_UNDERLINES),
        reverse: has(Flags::INVERSE),
        strike: has(Flags::STRIKEOUT),
        wide: false,
        selected: false,
        found: false,
    }
}
