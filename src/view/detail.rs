//! The selected thing: its facts, its curve, the phases of its life.

use super::pen::{Pen, columns, middle, phase_role};
use super::table as list;
use super::table::wrap;
use super::{chart, plots};
use crate::app::layout::{Area, Layout};
use crate::app::{App, Level};
use crate::config::theme::Role;
use crate::model::{Block, Cell, Detail, Gauge, PhaseSpan, Safe, show};

pub fn draw(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    let Some(item) = app.selected() else { return };
    if places.title.height > 0 {
        title(pen, places.title, app);
    }
    match places.facts.height {
        _ if app.level == Level::Details => return details(pen, places.facts, app),
        0 => return,
        1 => return hidden_columns(pen, places, app),
        _ => {}
    }
    let Some(detail) = app.detail() else {
        pen.say(places.facts.x + 1, places.facts.y, places.facts.width, "looking …", Role::Quiet);
        return;
    };
    debug_assert_eq!(detail.id, item.id);
    facts(pen, places.facts, detail, app);
    if places.curve.height > 0 && app.shows_plots() {
        plots::draw(pen, places.curve, app);
    } else if places.curve.height > 0 {
        curve(pen, places.curve, app);
    }
    if places.phases.height > 0 {
        for block in &detail.blocks {
            if let Block::Phases(spans) = block {
                phases(pen, places.phases, spans, app);
            }
        }
    }
}

/// All of it, scrolled; the last row tells where one is.
fn details(pen: &mut Pen<'_>, area: Area, app: &App) {
    if app.detail().is_none() {
        pen.say(area.x + 1, area.y, area.width, "looking …", Role::Quiet);
        return;
    }
    let lines = app.detail_lines();
    let rows = app.detail_rows(lines.len());
    let top = app.reading.top.min(lines.len().saturating_sub(rows));
    let end = area.x + area.width - 1;
    for (y, line) in (area.y..area.y + area.height).zip(lines.iter().skip(top).take(rows)) {
        for (x, text, role) in line {
            let x = area.x + 1 + x;
            pen.put(x, y, end.saturating_sub(x), text, *role);
        }
    }
    if lines.len() > rows {
        let place: Safe = format!("{} to {} of {}", top + 1, (top + rows).min(lines.len()), lines.len()).into();
        pen.label_right(area.x, area.y + area.height - 1, area.width - 1, area.width, &place, Role::Accent);
    }
}

/// The line between list and detail. In a small window it carries the one line of facts.
fn title(pen: &mut Pen<'_>, area: Area, app: &App) {
    let Some(item) = app.selected() else { return };
    let line = if pen.ascii { "-" } else { "─" };
    pen.fill(area.x, area.y, area.width, line, Role::Line);
    let name = match item.cells.first() {
        Some(Cell::Text(name)) => name.clone(),
        _ => Safe::line(item.id.as_str()),
    };
    let role = phase_role(item.state.phase);
    let mut state_wide = 0;
    if !item.state.word.is_empty() {
        let state: Safe = format!("{} {}", pen.glyph(item.state.phase), item.state.word).into();
        state_wide = pen.label_right(area.x, area.y, area.width - 1, area.width / 2, &state, role);
    }
    let room = area.width.saturating_sub(state_wide + 3);
    pen.label(area.x + 1, area.y, room, &middle(&name, room.saturating_sub(2)), Role::Head);
}

/// In a small window: what the list has no room for, in one line.
fn hidden_columns(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    let Some(item) = app.selected() else { return };
    let shown: Vec<usize> = list::fit(app.pane().spec.columns, places.list_head.width, 0).iter().map(|(at, ..)| *at).collect();
    let rest = app.pane().spec.columns.iter().zip(&item.cells).enumerate().filter(|(at, _)| !shown.contains(at));
    let words = rest.filter(|(_, (_, cell))| !matches!(cell, Cell::Absent | Cell::Trend { last: None, .. }));
    let room = places.facts.width.saturating_sub(2);
    let mut parts: Vec<(u8, Safe)> = words.map(|(_, (column, cell))| (column.rank, cell.show(&app.clock))).collect();
    // Half a sum is another sum: what has no room is left out whole, the least useful first.
    let needed = |parts: &[(u8, Safe)]| parts.iter().map(|(_, text)| columns(text.as_str()) + 3).sum::<u16>().saturating_sub(3);
    while parts.len() > 1 && needed(&parts) > room {
        let worst = parts.iter().map(|(rank, _)| *rank).max();
        let Some(at) = parts.iter().rposition(|(rank, _)| Some(*rank) == worst) else { break };
        parts.remove(at);
    }
    let line: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
    pen.put(places.facts.x + 1, places.facts.y, room, &Safe::line(&line.join(" · ")), Role::Quiet);
}

fn facts(pen: &mut Pen<'_>, area: Area, detail: &Detail, app: &App) {
    let mut y = area.y;
    let end = area.y + area.height;
    let x = area.x + 1;
    let width = area.width.saturating_sub(2);
    let labels = detail.blocks.iter().filter_map(|block| match block {
        Block::Facts { facts, .. } => Some(facts),
        _ => None,
    });
    let label = labels.flatten().map(|(name, _)| columns(name.as_str())).max().unwrap_or(0).min(width / 2);
    // What went wrong comes first, then what changes by the second.
    let first = detail.blocks.iter().filter(|block| matches!(block, Block::Text { .. }));
    let then = detail.blocks.iter().filter(|block| matches!(block, Block::Gauges { .. }));
    let rest = detail.blocks.iter().filter(|block| matches!(block, Block::Facts { .. } | Block::Table { .. }));
    for block in first.chain(then).chain(rest) {
        match block {
            Block::Text { title, text } => {
                let limit = if app.level == Level::List { 4 } else { usize::from(area.height) };
                let role = if detail.state.phase == crate::model::Phase::Failed { Role::Error } else { Role::Text };
                if y < end {
                    pen.put(x, y, width, title, Role::Head);
                    y += 1;
                }
                for line in wrap(text, width).iter().take(limit) {
                    if y < end {
                        pen.put(x, y, width, line, role);
                        y += 1;
                    }
                }
            }
            Block::Facts { facts, .. } => {
                for (name, cell) in facts {
                    if y >= end {
                        return;
                    }
                    pen.put(x, y, label, name, Role::Quiet);
                    let value = cell.show(&app.clock);
                    // A name is known by its end, a sentence begins with what it says.
                    let sentence = [", ", "; "].iter().any(|sign| value.as_str().contains(sign));
                    let value = if sentence { value } else { middle(&value, width.saturating_sub(label + 2)) };
                    let role = match cell {
                        Cell::Money(_) | Cell::Accrues { .. } | Cell::Spent { .. } => Role::Money,
                        Cell::Absent => Role::Quiet,
                        _ => Role::Text,
                    };
                    pen.put(x + label + 2, y, width.saturating_sub(label + 2), &value, role);
                    y += 1;
                }
            }
            Block::Table { head, rows, .. } => {
                y = table(pen, Area { x, y, width, height: end.saturating_sub(y) }, head, rows, app);
            }
            Block::Gauges { gauges: all, note, .. } => {
                y = gauges(pen, Area { x, y, width, height: end.saturating_sub(y) }, all, note, app);
            }
            Block::Phases(_) | Block::Curves { .. } | Block::Plots(_) => {}
        }
    }
}

/// A machine's gauges: name, bar, share, figures, and how it went where there is room; returns the row below.
fn gauges(pen: &mut Pen<'_>, area: Area, gauges: &[Gauge], note: &Safe, app: &App) -> u16 {
    let (mut y, end) = (area.y, area.y + area.height);
    let name = gauges.iter().map(|gauge| columns(gauge.name.as_str())).max().unwrap_or(0).min(area.width / 3);
    let bar = (area.width / 4).clamp(4, 24);
    let said = gauges.iter().map(|gauge| columns(gauge.said.as_str())).max().unwrap_or(0);
    for gauge in gauges.iter().take(usize::from(area.height)) {
        pen.put(area.x, y, name, &gauge.name, Role::Quiet);
        let mut x = area.x + name + 2;
        let full = gauge.share.map_or(0, |share| part(share, bar));
        pen.fill(x, y, full, if pen.ascii { "#" } else { "━" }, Role::Active);
        pen.fill(x + full, y, bar.saturating_sub(full), if pen.ascii { "." } else { "─" }, Role::Line);
        x += bar + 1;
        let share = gauge.share.map_or(Cell::Absent, Cell::Share).show(&app.clock);
        pen.put_right(x, y, 6, &share, Role::Text);
        x += 8;
        let right = area.x + area.width;
        pen.put(x, y, right.saturating_sub(x), &gauge.said, Role::Quiet);
        x += said + 2;
        if x < right {
            pen.put(x, y, right - x, &list::spark_within(&gauge.way, (0.0, 1.0), right - x, pen.ascii), Role::Quiet);
        }
        y += 1;
    }
    if !note.is_empty() {
        for line in wrap(note, area.width).iter().take(usize::from(end.saturating_sub(y))) {
            pen.put(area.x, y, area.width, line, Role::Warning);
            y += 1;
        }
    }
    y
}

/// So many of `width` columns.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of 0 to 1 of a width")]
fn part(share: f64, width: u16) -> u16 {
    (share.clamp(0.0, 1.0) * f64::from(width)).round() as u16
}

/// A table as far as it fits, columns as wide as their texts; returns the row below it.
fn table(pen: &mut Pen<'_>, area: Area, head: &[Safe], rows: &[Vec<Cell>], app: &App) -> u16 {
    let texts: Vec<Vec<Safe>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| show::fewer_digits(cell.show(&app.clock).as_str()).into()).collect())
        .collect();
    let wide = |at: usize| {
        let cells = texts.iter().filter_map(|row| row.get(at)).chain(head.get(at));
        cells.map(|text| columns(text.as_str())).max().unwrap_or(0)
    };
    let end = area.x + area.width;
    for (line, row) in std::iter::once(head).chain(texts.iter().map(Vec::as_slice)).take(usize::from(area.height)).enumerate() {
        let mut x = area.x;
        for (at, text) in row.iter().enumerate() {
            let role = match (line, at) {
                (0, _) => Role::Head,
                (_, 0) => Role::Quiet,
                _ => Role::Text,
            };
            pen.put(x, area.y + u16::try_from(line).unwrap_or(0), wide(at).min(end.saturating_sub(x)), text, role);
            x = (x + wide(at) + 2).min(end);
        }
    }
    area.y + u16::try_from(rows.len() + 1).unwrap_or(u16::MAX).min(area.height)
}

fn curve(pen: &mut Pen<'_>, area: Area, app: &App) {
    let curves = app.curves();
    if curves.is_empty() {
        let text = if app.selected().is_some_and(|item| item.state.phase.is_live()) {
            "no value of a metric yet"
        } else {
            "no value of a metric was found: does its regex match what the script prints?"
        };
        for (at, line) in wrap(&text.into(), area.width.saturating_sub(4)).iter().enumerate() {
            pen.put(area.x + 2, area.y + 1 + u16::try_from(at).unwrap_or(0), area.width.saturating_sub(2), line, Role::Quiet);
        }
        return;
    }
    let at = app.metric % curves.len();
    let series = curves[at];
    let title: Safe =
        if curves.len() > 1 { format!("{}  {} of {}", series.name, at + 1, curves.len()).into() } else { series.name.clone() };
    let wide = pen.put(area.x + 9, area.y, area.width.saturating_sub(9), &title, Role::Head);
    // The instances' own curves must not hide that the job's are missing.
    let rules = app.detail().map(|detail| detail.metrics.as_slice()).unwrap_or_default();
    let found = curves.iter().any(|series| rules.iter().any(|rule| rule.name == series.name.as_str()));
    if !rules.is_empty() && !found {
        let live = app.selected().is_some_and(|item| item.state.phase.is_live());
        let said = if live { "no value of a metric yet" } else { "no value of a metric was found" };
        pen.say(area.x + 11 + wide, area.y, area.width.saturating_sub(wide + 12), said, Role::Quiet);
    }
    chart::draw(pen, Area { y: area.y + 1, height: area.height.saturating_sub(1), ..area }, series, app.log_scale);
}

/// The life of it in proportion, in two rows: bars with words, lengths below.
fn phases(pen: &mut Pen<'_>, area: Area, spans: &[PhaseSpan], app: &App) {
    let width = area.width.saturating_sub(2);
    let lengths: Vec<f64> =
        spans.iter().map(|span| show::seconds_between(span.start, span.end.unwrap_or(app.clock.now))).collect();
    let total: f64 = lengths.iter().sum();
    // The parts of the bill add up to the bill, which counts begun seconds and not what spot capacity has saved.
    let billed: f64 = spans.iter().zip(&lengths).filter(|(span, _)| span.billed).map(|(_, length)| length).sum();
    let money = |cell: &&Cell| matches!(cell, Cell::Money(_) | Cell::Accrues { .. } | Cell::Spent { .. });
    let bill = app.selected().and_then(|item| item.cells.iter().find(money)).and_then(|cell| cell.number(&app.clock));
    let told = |span: &PhaseSpan, length: f64, money: bool| match bill {
        Some(bill) if money && span.billed && billed > 0.0 => {
            format!("{} · {}", show::span(length), show::money(bill * length / billed))
        }
        _ => show::span(length),
    };
    // Each part gets room for its words first, with its money where all have room for theirs; the rest goes by its length.
    let room = |money: bool| -> Vec<u16> {
        let wide = |(span, length): (&PhaseSpan, &f64)| columns(&told(span, *length, money)).max(columns(span.word.as_str())) + 2;
        spans.iter().zip(&lengths).map(wide).collect()
    };
    let with_money = room(true).iter().sum::<u16>() <= width;
    let words = room(with_money);
    let spare = f64::from(width.saturating_sub(words.iter().sum()));
    let mut x = area.x + 1;
    let end = area.x + area.width;
    for ((span, length), word) in spans.iter().zip(&lengths).zip(&words) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the width")]
        let extra = if total > 0.0 { (spare * length / total).floor() as u16 } else { 0 };
        let room = (word + extra).min(end.saturating_sub(x + 1));
        if room < 3 {
            break;
        }
        let role = if span.end.is_none() {
            Role::Active
        } else if span.billed {
            Role::Money
        } else {
            Role::Quiet
        };
        let text_wide = pen.put(x, area.y, room - 1, &span.word, role);
        pen.fill(x + text_wide + 1, area.y, room.saturating_sub(text_wide + 2), if pen.ascii { "=" } else { "━" }, role);
        pen.put(x, area.y + 1, room - 1, &told(span, *length, with_money).into(), Role::Quiet);
        x += room;
    }
}
