//! Charts over many things, beside each other: dots against two axes, the best so far, and lines over upright axes.

use super::canvas::{Canvas, Span};
use super::chart;
use super::pen::{Pen, columns, middle};
use crate::app::App;
use crate::app::layout::Area;
use crate::config::theme::Role;
use crate::model::{Axis, Dot, ItemId, Plot, PlotKind, Safe, Scale, show};

/// The least that a chart can be read in.
const LEAST: (u16, u16) = (30, 6);

/// Draws as many charts as fit, from the one that is chosen.
pub fn draw(pen: &mut Pen<'_>, area: Area, app: &App) {
    let plots = app.plots();
    if plots.is_empty() || area.width < LEAST.0 || area.height < 4 {
        return;
    }
    let count = u16::try_from(plots.len()).unwrap_or(u16::MAX);
    let across = (area.width / LEAST.0).clamp(1, 3).min(count);
    let down = (area.height / LEAST.1).max(1).min(count.div_ceil(across));
    let height = area.height / down;
    let shown = usize::from(across * down).min(plots.len());
    let first = app.metric % plots.len();
    let selected = app.selected().map(|item| &item.id);
    for place in 0..shown {
        let plot = plots[(first + place) % plots.len()];
        let at = u16::try_from(place).unwrap_or(0);
        let (column, row) = (at % across, at / across);
        // Those in the last row share its width.
        let in_row = if row + 1 == down { u16::try_from(shown).unwrap_or(across) - row * across } else { across };
        let width = area.width / in_row.max(1);
        let part = Area { x: area.x + column * width, y: area.y + row * height, width, height };
        let title: Safe = if place == 0 && shown < plots.len() {
            format!("{}  {} of {}", plot.title, first + 1, plots.len()).into()
        } else {
            plot.title.clone()
        };
        pen.put(part.x + 2, part.y, width.saturating_sub(3), &title, Role::Head);
        let below = Area { y: part.y + 1, height: part.height.saturating_sub(1), ..part };
        match plot.kind {
            PlotKind::Parallel => parallel(pen, below, plot, selected),
            PlotKind::Scatter | PlotKind::StepsDown | PlotKind::StepsUp => against(pen, below, plot, selected),
        }
    }
}

/// How a thing stands out.
fn role(dot: &Dot, selected: Option<&ItemId>) -> Role {
    if selected == Some(&dot.of) {
        Role::Accent
    } else if dot.best {
        Role::Done
    } else {
        Role::Curve
    }
}

/// The dots so that those that stand out are drawn over the others.
fn in_order<'p>(plot: &'p Plot, selected: Option<&ItemId>) -> Vec<&'p Dot> {
    let mut dots: Vec<&Dot> = plot.dots.iter().collect();
    dots.sort_by_key(|dot| (selected == Some(&dot.of), dot.best));
    dots
}

fn span_of(plot: &Plot, at: usize) -> Option<Span> {
    let axis = plot.axes.get(at)?;
    if !axis.categories.is_empty() {
        // All of them have their place, tried or not.
        #[expect(clippy::cast_precision_loss, reason = "at most 30 categories")]
        return Span::of([0.0, (axis.categories.len() - 1) as f64].into_iter(), false);
    }
    Span::of(plot.dots.iter().filter_map(|dot| *dot.values.get(at)?), axis.scale == Scale::Log)
}

/// One axis against another.
fn against(pen: &mut Pen<'_>, area: Area, plot: &Plot, selected: Option<&ItemId>) {
    let ([x_axis, _], Some(x), Some(y)) = (plot.axes.as_slice(), span_of(plot, 0), span_of(plot, 1)) else {
        pen.say(area.x + 2, area.y, area.width.saturating_sub(2), "no values yet", Role::Quiet);
        return;
    };
    if area.height < 3 || area.width < chart::AXIS + 8 {
        return;
    }
    let inside = Area { x: area.x + chart::AXIS, y: area.y, width: area.width - chart::AXIS - 2, height: area.height - 1 };
    let place = |dot: &Dot| {
        let share = |at: usize, span: &Span| dot.values.get(at).copied().flatten().and_then(|value| span.share(value));
        // A little room at the edges, so that no dot sits on an axis.
        Some((0.03 + 0.94 * share(0, &x)?, 0.06 + 0.88 * share(1, &y)?))
    };
    let mut canvas = Canvas::new(inside);
    for dot in &plot.dots {
        if let Some((x, y)) = place(dot) {
            canvas.dot(x, y, Role::Curve);
        }
    }
    if plot.kind != PlotKind::Scatter {
        steps(&mut canvas, plot, &place);
    }
    canvas.draw(pen, inside);
    for dot in in_order(plot, selected) {
        let Some((x, y)) = place(dot) else { continue };
        let (column, row) = canvas.cell(x, y);
        let sign = match (role(dot, selected), pen.ascii) {
            (Role::Accent, false) => "◆",
            (Role::Accent, true) => "@",
            (Role::Done, false) => "★",
            (Role::Done, true) => "#",
            (_, false) => "•",
            (_, true) => "o",
        };
        // Where there are many, dots are finer than signs.
        if plot.dots.len() <= 40 || role(dot, selected) != Role::Curve {
            pen.say(inside.x + column, inside.y + row, 1, sign, role(dot, selected));
        }
    }
    chart::upright(pen, area, inside, y);
    let below = inside.y + inside.height;
    let names: Vec<Safe> = x_axis.categories.iter().map(|name| format!(" {name} ").into()).collect();
    if !names.is_empty() && names.iter().map(|name| columns(name.as_str())).sum::<u16>() <= inside.width {
        chart::base(pen, inside, &Safe::default(), false);
        for (at, name) in names.iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "at most 30 categories")]
            let Some(share) = x.share(at as f64) else { continue };
            let (column, _) = canvas.cell(0.03 + 0.94 * share, 0.0);
            let wide = columns(name.as_str());
            let start = (inside.x + column).saturating_sub(wide / 2).clamp(inside.x, inside.x + inside.width - wide);
            pen.put(start, below, wide, name, Role::Quiet);
        }
        return;
    }
    let (low, high) = (named(x_axis, x.value(0.0)), named(x_axis, x.value(1.0)));
    chart::base(pen, inside, &format!(" {high} ").into(), false);
    pen.put(inside.x, below, inside.width / 2, &format!(" {low} ").into(), Role::Quiet);
    if x_axis.scale == Scale::Log {
        pen.say(inside.x + inside.width / 2 - 1, below, 5, " log ", Role::Quiet);
    }
}

/// The best so far as a line in steps, from left to right.
fn steps(canvas: &mut Canvas, plot: &Plot, place: &dyn Fn(&Dot) -> Option<(f64, f64)>) {
    let mut places: Vec<(f64, f64)> = plot.dots.iter().filter_map(place).collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let better = |new: f64, old: f64| if plot.kind == PlotKind::StepsUp { new > old } else { new < old };
    let mut best: Option<(f64, f64)> = None;
    for (x, y) in places {
        let Some((from, level)) = best else {
            best = Some((x, y));
            continue;
        };
        canvas.line((from, level), (x, level), Role::Done);
        let next = if better(y, level) { y } else { level };
        canvas.line((x, level), (x, next), Role::Done);
        best = Some((x, next));
    }
}

/// A line for each thing over upright axes.
fn parallel(pen: &mut Pen<'_>, area: Area, plot: &Plot, selected: Option<&ItemId>) {
    let count = plot.axes.len();
    if area.height < 4 || area.width < 16 || count < 2 {
        return;
    }
    let inside = Area { x: area.x + 3, y: area.y, width: area.width - 6, height: area.height - 2 };
    #[expect(clippy::cast_precision_loss, reason = "a handful of axes")]
    let across = |at: usize| at as f64 / (count - 1) as f64;
    let spans: Vec<Option<Span>> = (0..count).map(|at| span_of(plot, at)).collect();
    let mut canvas = Canvas::new(inside);
    for dot in in_order(plot, selected) {
        let places: Vec<Option<(f64, f64)>> =
            (0..count).map(|at| Some((across(at), spans[at]?.share(dot.values.get(at).copied().flatten()?)?))).collect();
        let role = if role(dot, selected) == Role::Curve { Role::Quiet } else { role(dot, selected) };
        for pair in places.windows(2) {
            if let [Some(from), Some(to)] = pair {
                canvas.line(*from, *to, role);
            }
        }
    }
    let bar = if pen.ascii { "|" } else { "│" };
    for (at, axis) in plot.axes.iter().enumerate() {
        let (column, _) = canvas.cell(across(at), 0.0);
        for row in 0..inside.height {
            pen.say(inside.x + column, inside.y + row, 1, bar, Role::Line);
        }
        let room = inside.width / u16::try_from(count - 1).unwrap_or(1).max(1);
        let mut label = |text: &Safe, y: u16, role: Role| {
            // Those at the ends have room on one side only, and give their neighbours theirs.
            let most = if at == 0 || at + 1 == count { room * 3 / 5 } else { room * 4 / 5 };
            let text = middle(text, most.saturating_sub(1).max(4));
            let wide = columns(text.as_str());
            // The first stands at its axis, the last ends at its own, those between are centred.
            let x = match at {
                0 => inside.x,
                _ if at + 1 == count => (inside.x + inside.width).saturating_sub(wide),
                _ => (inside.x + column).saturating_sub(wide / 2),
            };
            pen.put(x, y, wide, &text, role);
        };
        let shown = spans[at].map_or_else(
            || Safe::from("no value"),
            |span| format!("{} … {}", named(axis, span.value(0.0)), named(axis, span.value(1.0))).into(),
        );
        label(&axis.name, inside.y + inside.height, Role::Text);
        label(&shown, inside.y + inside.height + 1, Role::Quiet);
    }
    canvas.draw(pen, inside);
}

/// A value of an axis, by its name where it has one.
fn named(axis: &Axis, value: f64) -> Safe {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the number of a category")]
    let category = axis.categories.get(value.round().max(0.0) as usize);
    let whole = value.fract() == 0.0 && value.abs() < 1e7;
    category.cloned().unwrap_or_else(|| if whole { value.to_string() } else { show::decimal(value) }.into())
}
