//! Curves over time: an axis with units, and the last value.

use super::canvas::{Canvas, Span};
use super::pen::{Pen, columns};
use crate::app::layout::Area;
use crate::config::theme::Role;
use crate::model::{Point, Safe, Series, show};

/// Columns for the axis' numbers.
pub const AXIS: u16 = 9;

/// Draws one curve with its axes; x is time since the first point.
pub fn draw(pen: &mut Pen<'_>, area: Area, series: &Series, log: bool) {
    if area.height < 3 || area.width < AXIS + 8 || series.points.is_empty() {
        return;
    }
    let plot = Area { x: area.x + AXIS, y: area.y, width: area.width - AXIS - 1, height: area.height - 1 };
    let Some(span) = Span::of(series.points.iter().map(|point| point.value), log) else {
        pen.say(plot.x, plot.y, plot.width, "no values above zero: a logarithmic axis has no place for them", Role::Quiet);
        return;
    };
    let points: Vec<&Point> = series.points.iter().filter(|point| span.share(point.value).is_some()).collect();
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let length = show::seconds_between(first.at, last.at).max(1.0);
    let place = |point: &Point| (show::seconds_between(first.at, point.at) / length, span.share(point.value).unwrap_or_default());
    let mut canvas = Canvas::new(plot);
    canvas.dot(place(first).0, place(first).1, Role::Curve);
    for pair in points.windows(2) {
        canvas.line(place(pair[0]), place(pair[1]), Role::Curve);
    }
    canvas.draw(pen, plot);
    upright(pen, area, plot, span);
    let end: Safe = format!(" {} ", show::span(length)).into();
    base(pen, plot, &end, log);
    let value: Safe = show::decimal(last.value).into();
    let (_, y) = canvas.cell(place(last).0, place(last).1);
    let row = if y == 0 { plot.y + 1 } else { plot.y + y - 1 };
    let wide = columns(value.as_str());
    pen.put(plot.x + plot.width - wide, row.min(plot.y + plot.height - 1), wide, &value, Role::Accent);
}

/// The axis of values, left of the plot.
pub fn upright(pen: &mut Pen<'_>, area: Area, plot: Area, span: Span) {
    let (tick, bar) = if pen.ascii { ("+", "|") } else { ("┤", "│") };
    for row in 0..plot.height {
        let label = row == 0 || row + 1 == plot.height || (plot.height >= 7 && row == plot.height / 2);
        pen.say(plot.x - 1, plot.y + row, 1, if label { tick } else { bar }, Role::Line);
        if label {
            let share = 1.0 - f64::from(row) / f64::from((plot.height - 1).max(1));
            let value = show::decimal(span.value(share)).into();
            pen.put_right(area.x, plot.y + row, (plot.x - area.x).saturating_sub(2), &value, Role::Quiet);
        }
    }
}

/// The axis below the plot, with a word at its end.
pub fn base(pen: &mut Pen<'_>, plot: Area, end: &Safe, log: bool) {
    let (corner, line) = if pen.ascii { ("+", "-") } else { ("└", "─") };
    let y = plot.y + plot.height;
    pen.say(plot.x - 1, y, 1, corner, Role::Line);
    pen.fill(plot.x, y, plot.width, line, Role::Line);
    pen.put_right(plot.x, y, plot.width, end, Role::Quiet);
    if log {
        pen.say(plot.x + 1, y, plot.width, " log ", Role::Quiet);
    }
}
