//! All that is known of the selected thing, as lines to scroll through, and the messages so far.

use super::layout::layout;
use super::{App, Level, Tone};
use crate::config::theme::Role;
use crate::model::{Block, Cell, Clock, Detail, Safe, columns, show, wrap};

/// Where one is in the details.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// Lines scrolled away.
    pub top: usize,
    /// They were opened from inside the thing, and not from the list.
    inside: bool,
}

/// A line: texts, each with the column that it begins at.
pub type Line = Vec<(u16, Safe, Role)>;

impl App {
    /// Opens the details of the selected over the whole screen.
    pub(super) fn open_details(&mut self) {
        if self.selected().is_some() && self.level != Level::Details {
            self.reading = Reading { top: 0, inside: self.level == Level::Inside };
            self.level = Level::Details;
        }
    }

    /// Back to where they were opened.
    pub(super) fn close_details(&mut self) {
        self.level = if self.reading.inside { Level::Inside } else { Level::List };
    }

    /// The lines of the details, as broad as the screen has room for.
    #[must_use]
    pub fn detail_lines(&self) -> Vec<Line> {
        let width = layout(self).facts.width.saturating_sub(2);
        self.detail().map(|detail| lines(detail, width, &self.clock)).unwrap_or_default()
    }

    /// Rows that so many lines of details have; where not all of them fit, the last one tells where one is.
    #[must_use]
    pub fn detail_rows(&self, lines: usize) -> usize {
        let height = usize::from(layout(self).facts.height);
        if lines > height { height.saturating_sub(1) } else { height }
    }

    /// Scrolls the details by so many lines.
    pub(super) fn scroll_details(&mut self, rows: i64) {
        let lines = self.detail_lines().len();
        let end = lines.saturating_sub(self.detail_rows(lines));
        let top = i64::try_from(self.reading.top.min(end)).unwrap_or(0).saturating_add(rows).max(0);
        self.reading.top = usize::try_from(top).unwrap_or(0).min(end);
    }

    /// Shows what has been said, the last first.
    pub(super) fn read_messages(&mut self) {
        let told = self.messages.iter().rev().map(|(at, tone, text)| {
            let mark = if *tone == Tone::Bad { "! " } else { "" };
            format!("{mark}{}  {text}", show::moment(*at, &self.clock))
        });
        let text = told.collect::<Vec<_>>().join("\n\n");
        let text = if text.is_empty() { Safe::line("Nothing has been said yet.") } else { Safe::text(&text) };
        self.read("Messages, the last first".into(), text, Tone::Plain);
    }
}

/// A detail in lines of at most so many columns.
fn lines(detail: &Detail, width: u16, clock: &Clock) -> Vec<Line> {
    let names = detail.blocks.iter().filter_map(|block| match block {
        Block::Facts { facts, .. } => facts.iter().map(|(name, _)| columns(name.as_str())).max(),
        Block::Gauges { gauges, .. } => gauges.iter().map(|gauge| columns(gauge.name.as_str())).max(),
        _ => None,
    });
    let label = names.max().unwrap_or(0).min(width / 3);
    let mut out = Vec::new();
    for block in &detail.blocks {
        let (title, body) = match block {
            Block::Facts { title, facts } => {
                let fact = |(name, value): &(Safe, Cell)| {
                    let role = match value {
                        Cell::Money(_) | Cell::Accrues { .. } | Cell::Spent { .. } => Role::Money,
                        Cell::Absent => Role::Quiet,
                        _ => Role::Text,
                    };
                    pair(name, &value.show(clock), role, label, width)
                };
                (title.clone(), facts.iter().flat_map(fact).collect())
            }
            Block::Text { title, text } => (title.clone(), plain(text, Role::Text, width)),
            Block::Gauges { title, gauges, note } => {
                let gauge = |gauge: &crate::model::Gauge| {
                    let share = gauge.share.map_or(Cell::Absent, Cell::Share).show(clock);
                    pair(&gauge.name, &format!("{share} · {}", gauge.said).into(), Role::Text, label, width)
                };
                let mut body: Vec<Line> = gauges.iter().flat_map(gauge).collect();
                if !note.is_empty() {
                    body.extend(plain(note, Role::Warning, width));
                }
                (title.clone(), body)
            }
            Block::Table { title, head, rows } => {
                let shown: Vec<Vec<Safe>> = rows.iter().map(|row| row.iter().map(|cell| cell.show(clock)).collect()).collect();
                (title.clone(), table(head, &shown, width))
            }
            Block::Phases(spans) => {
                let span = |span: &crate::model::PhaseSpan| {
                    let length = show::span(show::seconds_between(span.start, span.end.unwrap_or(clock.now)));
                    let told = format!("{}  {length}  {}", show::moment(span.start, clock), span.message);
                    pair(&span.word, &Safe::line(told.trim_end()), Role::Text, label.max(12), width)
                };
                (Safe::line("phases"), spans.iter().flat_map(span).collect())
            }
            // They are drawn beside the list and inside the thing.
            Block::Curves { .. } | Block::Plots(_) => continue,
        };
        if !out.is_empty() {
            out.push(Line::new());
        }
        out.push(vec![(0, title, Role::Head)]);
        out.extend(body);
    }
    out
}

fn plain(text: &Safe, role: Role, width: u16) -> Vec<Line> {
    wrap(text, width).into_iter().map(|line| vec![(0, line, role)]).collect()
}

/// A name and what it says, broken under itself.
fn pair(name: &Safe, value: &Safe, role: Role, label: u16, width: u16) -> Vec<Line> {
    let mut lines: Vec<Line> =
        wrap(value, width.saturating_sub(label + 2)).into_iter().map(|line| vec![(label + 2, line, role)]).collect();
    if let Some(first) = lines.first_mut() {
        // A name that is longer than most has its own line.
        if columns(name.as_str()) > label {
            lines.splice(0..0, plain(name, Role::Quiet, width));
        } else {
            first.insert(0, (0, name.clone(), Role::Quiet));
        }
    }
    lines
}

/// Columns in which the last column of a table can be read.
const LAST: u16 = 24;

/// A table where it has room, else each row as a paragraph.
fn table(head: &[Safe], rows: &[Vec<Safe>], width: u16) -> Vec<Line> {
    let wide = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).chain(head.get(at));
        cells.map(|text| columns(text.as_str())).max().unwrap_or(0)
    };
    let starts: Vec<u16> = (0..=head.len()).map(|at| (0..at).map(|before| wide(before) + 2).sum()).collect();
    let last = head.len().saturating_sub(1);
    let room = width.saturating_sub(starts[last]);
    if starts.last().is_some_and(|end| *end <= width + 2) || room >= LAST {
        // The last column is the one of the long texts: it is broken under itself.
        let lines = |texts: &[Safe], role: Role| -> Vec<Line> {
            let mut pieces = texts.get(last).map(|text| wrap(text, room)).unwrap_or_default().into_iter();
            let mut first: Line = starts.iter().zip(texts).take(last).map(|(start, text)| (*start, text.clone(), role)).collect();
            first.extend(pieces.next().map(|piece| (starts[last], piece, role)));
            std::iter::once(first).chain(pieces.map(|piece| vec![(starts[last], piece, role)])).collect()
        };
        return lines(head, Role::Quiet).into_iter().chain(rows.iter().flat_map(|row| lines(row, Role::Text))).collect();
    }
    let paragraph = |row: &Vec<Safe>| {
        let told: Vec<String> = head.iter().zip(row).map(|(name, value)| format!("{name} {value}")).collect();
        plain(&Safe::line(&told.join(" · ")), Role::Text, width)
    };
    rows.iter().flat_map(paragraph).collect()
}
