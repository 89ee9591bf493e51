//! The list. Only the visible rows are looked at.

use super::pen::{Pen, columns, middle, phase_role};
use crate::app::App;
use crate::app::layout::{Area, Layout};
use crate::app::pane::{Load, Pane};
use crate::config::action::Action;
use crate::config::theme::Role;
pub use crate::model::wrap;
use crate::model::{Align, Cell, Clock, Column, FailureKind, Item, Phase, Safe, show};

/// Columns of the gutter before a row: marker, mark, space.
const GUTTER: u16 = 3;

pub fn draw(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    let (head, body) = (places.list_head, places.list);
    let pane = app.pane();
    let (shown, total) = pane.counts();
    if total == 0 {
        return nothing(pen, head, body, app);
    }
    let name = |item: &Item| {
        let tail = pane.tails.get(&item.id).map_or(0, |tail| columns(tail.as_str()) + 2);
        item.cells.first().map_or(0, |name| columns(name.show(&app.clock).as_str())) + tail
    };
    let longest = pane.window(pane.top, usize::from(body.height)).map(name).max().unwrap_or(0);
    let widths = fit(pane.spec.columns, head.width.saturating_sub(GUTTER), longest);
    let mut x = head.x + GUTTER;
    for (at, column, width) in &widths {
        let arrow = match (pane.sort.0 == *at, pane.sort.1, pen.ascii) {
            (false, ..) => "",
            (_, true, false) => " ▼",
            (_, false, false) => " ▲",
            (_, true, true) => " v",
            (_, false, true) => " ^",
        };
        let title: Safe = format!("{}{arrow}", column.title).into();
        match column.align {
            Align::Left => pen.put(x, head.y, *width, &title, Role::Head),
            Align::Right => pen.put_right(x, head.y, *width, &title, Role::Head),
        };
        x += width + 2;
    }
    freshness(pen, if places.rule.height > 0 { places.rule } else { head }, pane, &app.clock, shown, total);
    if shown == 0 {
        let text: Safe =
            format!("Nothing here has \"{}\" in any column. Esc shows all {total} again.", Safe::line(&pane.filter)).into();
        pen.put(body.x + GUTTER, body.y + 1, body.width.saturating_sub(GUTTER), &text, Role::Quiet);
        return;
    }
    for (row, item) in pane.window(pane.top, usize::from(body.height)).enumerate() {
        let y = body.y + u16::try_from(row).unwrap_or(u16::MAX);
        line(pen, Area { y, height: 1, ..body }, pane, item, &widths, &app.clock, pane.top + row == pane.cursor());
    }
}

fn line(
    pen: &mut Pen<'_>,
    area: Area,
    pane: &Pane,
    item: &Item,
    widths: &[(usize, &Column, u16)],
    clock: &Clock,
    selected: bool,
) {
    if selected {
        pen.ground(area, Role::Selected);
        pen.say(area.x, area.y, 1, if pen.ascii { ">" } else { "▌" }, Role::Accent);
    }
    if pane.marks.contains(&item.id) {
        pen.say(area.x + 1, area.y, 1, if pen.ascii { "#" } else { "◆" }, Role::Marked);
    }
    let quiet = !item.state.phase.is_live() && item.state.phase != Phase::Still && !selected;
    let mut x = area.x + GUTTER;
    for (at, column, width) in widths {
        let plain = if quiet && *at > 0 { Role::Quiet } else { Role::Text };
        let trend = pane.trends.get(&item.id).map_or(&[][..], Vec::as_slice);
        // What tells it from others of its name keeps its place when the name is cut.
        let tail = pane.tails.get(&item.id).filter(|_| *at == 0).map(|tail| Safe::line(&format!("…{tail}")));
        let beside = tail.as_ref().map_or(0, |tail| columns(tail.as_str()) + 1).min(*width);
        let name = item.cells.first().map_or(0, |name| columns(name.show(clock).as_str())).min(width - beside);
        if let Some(tail) = &tail {
            pen.put(x + name + 1, area.y, beside, tail, Role::Quiet);
        }
        let own = width - beside;
        cell(pen, (x, area.y, own), item.cells.get(*at).unwrap_or(&Cell::Absent), trend, column, plain, clock);
        x += width + 2;
    }
    if selected {
        pen.ground(area, Role::Selected);
    }
}

fn cell(
    pen: &mut Pen<'_>,
    (x, y, width): (u16, u16, u16),
    cell: &Cell,
    trend: &[f64],
    column: &Column,
    plain: Role,
    clock: &Clock,
) {
    match cell {
        Cell::State(state) => {
            let role = phase_role(state.phase);
            let glyph = pen.glyph(state.phase);
            pen.say(x, y, width, glyph, role);
            pen.put(x + 2, y, width.saturating_sub(2), &state.word, role);
        }
        Cell::Trend { last, values } => {
            let values = if values.is_empty() { trend } else { values };
            let last = last.or(values.last().copied());
            let number: Safe = last.map_or_else(|| "–".into(), |last| show::decimal(last).into());
            let used = 7.min(width);
            pen.put_right(x, y, used, &number, if last.is_some() { plain } else { Role::Quiet });
            if width > used + 1 {
                let bars = spark(values, width - used - 1, pen.ascii);
                pen.put(x + used + 1, y, width - used - 1, &bars, Role::Curve);
            }
        }
        _ => {
            let text = cell.show(clock);
            let text = match cell {
                _ if column.grows => middle(&text, width),
                Cell::Text(_) if columns(text.as_str()) > width => show::fewer_digits(text.as_str()).into(),
                _ => text,
            };
            let role = match cell {
                Cell::Money(_) | Cell::Accrues { .. } | Cell::Spent { .. } if plain == Role::Text => Role::Money,
                Cell::Absent => Role::Quiet,
                _ => plain,
            };
            match column.align {
                Align::Left => pen.put(x, y, width, &text, role),
                Align::Right => pen.put_right(x, y, width, &text, role),
            };
        }
    }
}

/// A curve in one line of blocks, oldest left, from its lowest to its highest.
fn spark(values: &[f64], width: u16, ascii: bool) -> Safe {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    spark_within(values, (low, high), width, ascii)
}

/// As [`spark`], between fixed bounds.
pub fn spark_within(values: &[f64], (low, high): (f64, f64), width: u16, ascii: bool) -> Safe {
    let blocks: [char; 8] =
        if ascii { ['.', '.', ':', ':', '-', '=', '#', '#'] } else { ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] };
    let count = usize::from(width).min(values.len());
    if count < 2 {
        return Safe::default();
    }
    let text: String = (0..count)
        .map(|at| {
            let value = values[at * (values.len() - 1) / (count - 1)];
            let share = if high > low { (value - low) / (high - low) } else { 0.0 };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of 0 to 1 becomes an index of 0 to 7"
            )]
            blocks[((share * 7.0).round() as usize).min(7)]
        })
        .collect();
    text.into()
}

/// Which columns fit, and how wide each is: by rank the least useful go first, the growing one takes the rest as far as
/// its longest text needs it.
pub fn fit(all: &'static [Column], width: u16, longest: u16) -> Vec<(usize, &'static Column, u16)> {
    let mut chosen: Vec<(usize, &Column)> = all.iter().enumerate().collect();
    let needed = |chosen: &[(usize, &Column)]| chosen.iter().map(|(_, column)| column.width + 2).sum::<u16>().saturating_sub(2);
    while needed(&chosen) > width && chosen.len() > 1 {
        let worst = chosen
            .iter()
            .enumerate()
            .filter(|(_, (_, column))| column.rank > 0)
            .max_by_key(|(_, (at, column))| (column.rank, *at))
            .map(|(at, _)| at);
        match worst {
            Some(at) => chosen.remove(at),
            None => break,
        };
    }
    let spare = width.saturating_sub(needed(&chosen));
    chosen
        .into_iter()
        .map(|(at, column)| {
            (at, column, if column.grows { (column.width + spare).min(longest.max(column.width)) } else { column.width })
        })
        .collect()
}

/// On the right above the list: how much shows, and how true it still is.
fn freshness(pen: &mut Pen<'_>, line: Area, pane: &Pane, clock: &Clock, shown: usize, total: usize) {
    let mut notes: Vec<String> = Vec::new();
    if !pane.marks.is_empty() {
        notes.push(format!("{} marked", pane.marks.len()));
    }
    if !pane.filter.is_empty() {
        notes.push(format!("/{} {shown} of {total}", pane.filter));
    }
    let mut role = Role::Quiet;
    match &pane.load {
        Load::Stale { failure, since } => {
            role = Role::Warning;
            let why = match failure.kind {
                FailureKind::Throttled => "throttled",
                FailureKind::Network => "no connection",
                FailureKind::Timeout => "no answer",
                FailureKind::Expired => "credentials expired",
                FailureKind::NoCredentials => "no credentials",
                FailureKind::Denied => "denied",
                _ => "failed",
            };
            let since = since.map_or_else(String::new, |at| format!(" · as of {}", show::moment(at, clock)));
            notes.push(format!("{}{why}{since}", if pen.ascii { "! " } else { "▲ " }));
        }
        Load::Remembered(at) => notes.push(format!("from {}, looking …", show::moment(*at, clock))),
        Load::Fresh(at) => {
            if let Some(waited) = pane.overdue(clock.now) {
                role = Role::Warning;
                let mark = if pen.ascii { "! " } else { "▲ " };
                notes.push(format!("{mark}no answer for {waited} s · as of {}", show::moment(*at, clock)));
            }
        }
        Load::Loading => {}
    }
    if !notes.is_empty() {
        let text = Safe::line(&notes.join(" · "));
        let wide = (columns(text.as_str()) + 2).min(line.width);
        pen.clear(Area { x: line.x + line.width - wide, width: wide, height: 1, ..line });
        pen.label_right(line.x, line.y, line.width, line.width, &text, role);
    }
}

/// An empty pane: loading, empty and failed are three different looks.
fn nothing(pen: &mut Pen<'_>, head: Area, body: Area, app: &App) {
    let pane = app.pane();
    let x = body.x + 4;
    let width = body.width.saturating_sub(8);
    let y = head.y + (body.height / 4).max(1);
    match &pane.load {
        Load::Loading => {
            pen.say(x, y, width, "looking …", Role::Quiet);
        }
        Load::Stale { failure, .. } => {
            let title = match failure.kind {
                FailureKind::Denied => "This account may not list these.",
                FailureKind::NoCredentials => "No credentials yet.",
                FailureKind::Expired => "The credentials have expired.",
                FailureKind::Network | FailureKind::Timeout => "No connection.",
                FailureKind::Throttled => "AWS asks us to slow down; trying again soon.",
                _ => "That did not work.",
            };
            pen.say(x, y, width, if pen.ascii { "!" } else { "▲" }, Role::Warning);
            pen.say(x + 2, y, width, title, Role::Warning);
            let mut at = y + 2;
            for (text, role) in [(&failure.what, Role::Text), (&failure.hint, Role::Accent)] {
                for line in wrap(text, width) {
                    pen.put(x + 2, at, width, &line, role);
                    at += 1;
                }
                at += 1;
            }
        }
        Load::Fresh(_) | Load::Remembered(_) => {
            let text: Safe = if pane.scope.is_empty() || pane.spec.within.is_some() {
                pane.spec.empty.into()
            } else {
                "Nothing in here.".into()
            };
            let lines = wrap(&text, width);
            let below = y + u16::try_from(lines.len()).unwrap_or(0) + 1;
            for (at, line) in lines.into_iter().enumerate() {
                pen.put(x, y + u16::try_from(at).unwrap_or(0), width, &line, Role::Text);
            }
            makers(pen, x, below, width, app);
        }
    }
}

/// The keys that make a first one.
fn makers(pen: &mut Pen<'_>, x: u16, y: u16, width: u16, app: &App) {
    let spec = app.pane().spec;
    let makers = spec.verbs.iter().filter(|verb| !spec.needs_row(**verb) && app.offers(Action::Verb(**verb)));
    for (row, verb) in makers.enumerate() {
        let y = y + u16::try_from(row).unwrap_or(0);
        let Some(key) = app.setup.keymap.keys(Action::Verb(*verb)).first() else { continue };
        let used = pen.put(x, y, width, &key.to_string().into(), Role::Accent) + 2;
        pen.say(x + used, y, width.saturating_sub(used), verb.help(), Role::Quiet);
    }
}
