//! The marked beside each other: their curves in one chart, and a table of what differs.

use super::canvas::{Canvas, Span};
use super::chart;
use super::names::tails;
use super::pen::{Pen, columns, host_role, middle};
use crate::app::App;
use crate::app::compare::{self, Against, Compared, Difference};
use crate::app::layout::{Area, Layout};
use crate::config::action::Action;
use crate::config::theme::Role;
use crate::model::{Safe, show};

/// The widest that a name is written out in the legend and over a column.
const NAME: u16 = 20;
/// The narrowest column of the table that still tells something.
const COLUMN: u16 = 9;
/// The widest that a column gets.
const WIDE: u16 = 26;

pub fn draw(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    let compared = app.compared();
    let metrics = compare::metrics(&compared);
    if places.title.height > 0 {
        title(pen, places.title, app, compared.len());
    }
    let names = names(&compared);
    let metric = metrics.get(app.metric % app.pages().max(1));
    if places.compare.height == 0 {
        if places.facts.height > 0 {
            in_a_line(pen, places.facts, &compared, &names, metrics.get(app.metric % metrics.len().max(1)));
        }
        return;
    }
    let area = places.compare;
    if !compare::has_both(area) {
        match metric {
            Some(metric) => curves(pen, area, app, &compared, &names, metric, metrics.len()),
            None => table(pen, area, app, &compared, &names),
        }
        return;
    }
    let rows = u16::try_from(compare::differences(&compared).len()).unwrap_or(u16::MAX).saturating_add(2);
    let below = rows.clamp(4, area.height / 2);
    let (above, below) =
        (Area { height: area.height - below, ..area }, Area { y: area.y + area.height - below, height: below, ..area });
    match metric {
        Some(metric) => curves(pen, above, app, &compared, &names, metric, metrics.len()),
        None => nothing(pen, above, &compared),
    }
    table(pen, Area { y: below.y + 1, height: below.height - 1, ..below }, app, &compared, &names);
}

/// Numbers and what tells the names apart: `1 13-59-48-549`.
fn names(compared: &[Compared<'_>]) -> Vec<Safe> {
    let ids: Vec<&str> = compared.iter().map(|one| one.item.id.as_str()).collect();
    tails(&ids).into_iter().enumerate().map(|(at, name)| format!("{} {}", at + 1, middle(&name, NAME)).into()).collect()
}

fn title(pen: &mut Pen<'_>, area: Area, app: &App, count: usize) {
    pen.fill(area.x, area.y, area.width, if pen.ascii { "-" } else { "─" }, Role::Line);
    let marked = app.pane().marks.len();
    let kind = app.pane().spec.singular;
    let said = if marked > count { format!("compare {count} of {marked} {kind}s") } else { format!("compare {count} {kind}s") };
    let key = |action| app.setup.keymap.keys(action).first().map(ToString::to_string).unwrap_or_default();
    let hint: Safe = format!("{} next chart  {} by {}", key(Action::NextMetric), key(Action::Against), app.against.word()).into();
    let used = pen.label(area.x + 1, area.y, area.width.saturating_sub(2), &said.as_str().into(), Role::Head);
    if used + columns(hint.as_str()) + 5 < area.width {
        pen.label_right(area.x, area.y, area.width - 1, area.width, &hint, Role::Quiet);
    }
}

/// The last values in one line, for small windows: the best first.
fn in_a_line(pen: &mut Pen<'_>, area: Area, compared: &[Compared<'_>], names: &[Safe], metric: Option<&Safe>) {
    let differences = compare::differences(compared);
    let Some(row) = metric.and_then(|metric| differences.iter().find(|row| row.name == *metric)) else {
        pen.say(area.x + 1, area.y, area.width.saturating_sub(2), "no values yet to compare", Role::Quiet);
        return;
    };
    let mut order: Vec<usize> = (0..compared.len()).collect();
    order.sort_by_key(|at| Some(*at) != row.best);
    let mut x = area.x + 1;
    let end = area.x + area.width;
    for at in order {
        let value = row.cells[at].as_ref().map_or_else(|| "…".into(), |cell| cell.show(&show::Clock::default()));
        let best = row.best == Some(at);
        let text: Safe = format!("{}{value} {}", if best { star(pen) } else { "" }, names[at]).into();
        x += pen.put(x, area.y, end.saturating_sub(x), &text, if best { Role::Done } else { Role::Text });
        x += pen.say(x, area.y, end.saturating_sub(x), "  ", Role::Quiet);
    }
}

fn star(pen: &Pen<'_>) -> &'static str {
    if pen.ascii { "* " } else { "★ " }
}

fn nothing(pen: &mut Pen<'_>, area: Area, compared: &[Compared<'_>]) {
    let text =
        if compared.iter().any(|one| one.detail.is_none()) { "looking …" } else { "no value of a metric yet from any of them" };
    pen.say(area.x + 2, area.y + 1, area.width.saturating_sub(2), text, Role::Quiet);
}

/// All curves of a metric in one chart, below a legend.
fn curves(pen: &mut Pen<'_>, area: Area, app: &App, compared: &[Compared<'_>], names: &[Safe], metric: &Safe, count: usize) {
    let lines: Vec<Option<Vec<(f64, f64)>>> = compared.iter().map(|one| one.points(metric, app.against)).collect();
    let head: Safe =
        if count > 1 { format!("{metric}  {} of {count}", app.metric % app.pages().max(1) + 1).into() } else { metric.clone() };
    pen.put(area.x + 1, area.y, area.width.saturating_sub(2), &head, Role::Head);
    let used = legend(
        pen,
        Area { y: area.y + 1, height: area.height.saturating_sub(5).min(3), ..area },
        compared,
        names,
        &lines,
        app.against,
    );
    let rest = Area { y: area.y + 1 + used, height: area.height.saturating_sub(1 + used), ..area };
    if rest.height < 3 || rest.width < chart::AXIS + 8 {
        return;
    }
    let plot = Area { x: rest.x + chart::AXIS, y: rest.y, width: rest.width - chart::AXIS - 2, height: rest.height - 1 };
    let all = || lines.iter().flatten().flatten();
    // Time and money are told from nothing, though the first value comes later.
    let origin = if app.against == Against::Step { 1.0 } else { 0.0 };
    let along = all().map(|(x, _)| *x).chain([origin]);
    let (Some(x), Some(y)) = (Span::of(along, false), Span::of(all().map(|(_, y)| *y), app.log_scale)) else {
        pen.say(plot.x, plot.y, plot.width, "no values that this axis has a place for", Role::Quiet);
        return;
    };
    let mut canvas = Canvas::new(plot);
    let mut ends = Vec::new();
    for (at, line) in (0_u16..).zip(&lines) {
        let places: Vec<(f64, f64)> =
            line.iter().flatten().filter_map(|(along, value)| Some((x.share(*along)?, y.share(*value)?))).collect();
        if let [only] = places.as_slice() {
            canvas.dot(only.0, only.1, host_role(at));
        }
        for pair in places.windows(2) {
            canvas.line(pair[0], pair[1], host_role(at));
        }
        ends.extend(places.last().map(|end| (at, canvas.cell(end.0, end.1))));
    }
    canvas.draw(pen, plot);
    // Each curve's number stands at its end: colour alone tells too little.
    for (at, (column, row)) in ends {
        pen.put(plot.x + (column + 1).min(plot.width), plot.y + row, 1, &(at + 1).to_string().into(), host_role(at));
    }
    chart::upright(pen, rest, plot, y);
    let last = x.value(1.0);
    let end: Safe = match app.against {
        Against::Step => format!(" step {last:.0} ").into(),
        Against::Time => format!(" {} ", show::span(last)).into(),
        Against::Money if last < 1.0 => format!(" ${} ", show::decimal(last)).into(),
        Against::Money => format!(" {} ", show::money(last)).into(),
    };
    chart::base(pen, plot, &end, app.log_scale);
}

/// Names and last values in the curves' colours; returns the rows used.
fn legend(
    pen: &mut Pen<'_>,
    area: Area,
    compared: &[Compared<'_>],
    names: &[Safe],
    lines: &[Option<Vec<(f64, f64)>>],
    against: Against,
) -> u16 {
    let (mut x, mut y) = (area.x + 1, area.y);
    let end = area.x + area.width;
    let bottom = area.y + area.height.max(1);
    for (at, ((one, name), line)) in (0_u16..).zip(compared.iter().zip(names).zip(lines)) {
        let value = match line.as_ref().and_then(|points| points.last()) {
            Some((_, value)) => show::decimal(*value),
            None if against == Against::Money && !one.series.is_empty() => "no price".to_owned(),
            None if one.detail.is_none() => "…".to_owned(),
            None => "no value".to_owned(),
        };
        let text: Safe = format!("{} {name} {value}", if pen.ascii { "-" } else { "━" }).into();
        if x > area.x + 1 && x + columns(text.as_str()) > end {
            (x, y) = (area.x + 1, y + 1);
        }
        if y >= bottom {
            return area.height.max(1);
        }
        let role = if line.is_some() { host_role(at) } else { Role::Quiet };
        x += pen.put(x, y, end.saturating_sub(x), &text, role) + 3;
    }
    y + 1 - area.y
}

/// What differs, a column each.
fn table(pen: &mut Pen<'_>, area: Area, app: &App, compared: &[Compared<'_>], names: &[Safe]) {
    let rows = compare::differences(compared);
    if area.height < 2 || compared.is_empty() {
        return;
    }
    if rows.is_empty() {
        let text = if compared.iter().any(|one| one.detail.is_none()) { "looking …" } else { "nothing differs" };
        pen.say(area.x + 1, area.y, area.width.saturating_sub(2), text, Role::Quiet);
        return;
    }
    let label = rows.iter().map(|row| columns(row.name.as_str())).max().unwrap_or(0).clamp(12, (area.width / 4).max(12));
    let left = area.x + 1 + label + 2;
    let room = (area.x + area.width).saturating_sub(left);
    let count = u16::try_from(compared.len()).unwrap_or(u16::MAX);
    let column = (room / count).clamp(COLUMN, WIDE);
    let shown = usize::from((room / column).min(count));
    let head: Safe = if shown < compared.len() { format!("{shown} of {}", compared.len()).into() } else { "what differs".into() };
    pen.put(area.x + 1, area.y, label, &head, Role::Head);
    for (at, name) in (0_u16..).zip(names.iter().take(shown)) {
        pen.put(left + at * column, area.y, column - 1, &middle(name, column - 1), host_role(at));
    }
    let fit = usize::from(area.height - 1);
    let whole = rows.len() <= fit;
    for (row, y) in rows.iter().take(if whole { fit } else { fit - 1 }).zip(area.y + 1..) {
        pen.put(area.x + 1, y, label, &middle(&row.name, label), Role::Quiet);
        for at in 0..shown {
            cell(pen, Area { x: left + u16::try_from(at).unwrap_or(0) * column, y, width: column - 1, height: 1 }, row, at, app);
        }
    }
    if !whole {
        let more: Safe = format!("… {} more rows: + makes room", rows.len() + 1 - fit).into();
        pen.put(area.x + 1, area.y + area.height - 1, area.width - 2, &more, Role::Quiet);
    }
}

fn cell(pen: &mut Pen<'_>, area: Area, row: &Difference, at: usize, app: &App) {
    let Some(cell) = &row.cells[at] else {
        pen.say(area.x, area.y, area.width, "…", Role::Quiet);
        return;
    };
    let value = cell.show(&app.clock);
    if row.best == Some(at) {
        let text: Safe = format!("{}{value}", star(pen)).into();
        pen.put(area.x, area.y, area.width, &text, Role::Done);
    } else {
        // Under the best, which has a star before it.
        let indent = if row.best.is_some() { 2 } else { 0 };
        let width = area.width.saturating_sub(indent);
        pen.put(area.x + indent, area.y, width, &middle(&value, width), Role::Text);
    }
}
