//! Curves in braille: two by four dots in a cell, an axis with units, and the last value.

use super::pen::{Pen, columns};
use crate::app::layout::Area;
use crate::config::theme::Role;
use crate::model::{Point, Safe, Series, show};

/// Columns for the axis' numbers.
const AXIS: u16 = 9;

/// Draws one curve with its axes; x is time since the first point.
pub fn draw(pen: &mut Pen<'_>, area: Area, series: &Series, log: bool) {
    if area.height < 3 || area.width < AXIS + 8 || series.points.is_empty() {
        return;
    }
    let plot = Area { x: area.x + AXIS, y: area.y, width: area.width - AXIS - 1, height: area.height - 1 };
    let usable = |value: f64| value.is_finite() && (!log || value > 0.0);
    let points: Vec<Point> = series.points.iter().copied().filter(|point| usable(point.value)).collect();
    let Some(last) = points.last() else {
        pen.say(plot.x, plot.y, plot.width, "no values above zero: a logarithmic axis has no place for them", Role::Quiet);
        return;
    };
    let scale = |value: f64| if log { value.log10() } else { value };
    let mut low = points.iter().map(|point| scale(point.value)).fold(f64::INFINITY, f64::min);
    let mut high = points.iter().map(|point| scale(point.value)).fold(f64::NEG_INFINITY, f64::max);
    if high <= low {
        low -= 0.5;
        high += 0.5;
    }
    let start = points[0].at;
    let length = show::seconds_between(start, last.at).max(1.0);
    let (dots_x, dots_y) = (usize::from(plot.width) * 2, usize::from(plot.height) * 4);
    let mut dots = vec![false; dots_x * dots_y];
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "shares of 0 to 1 become dots of a screen"
    )]
    let place = |point: &Point| {
        let x = show::seconds_between(start, point.at) / length;
        let y = (scale(point.value) - low) / (high - low);
        let column = (x * (dots_x - 1) as f64).round() as usize;
        let row = ((1.0 - y) * (dots_y - 1) as f64).round() as usize;
        (column.min(dots_x - 1), row.min(dots_y - 1))
    };
    let mut before: Option<(usize, usize)> = None;
    for point in &points {
        let (x, y) = place(point);
        dots[y * dots_x + x] = true;
        if let Some((from_x, from_y)) = before {
            join(&mut dots, dots_x, (from_x, from_y), (x, y));
        }
        before = Some((x, y));
    }
    for row in 0..plot.height {
        let text: String =
            (0..plot.width).map(|column| glyph(&dots, dots_x, usize::from(column), usize::from(row), pen.ascii)).collect();
        pen.put(plot.x, plot.y + row, plot.width, &text.into(), Role::Curve);
    }
    axes(pen, area, plot, (low, high), log, length);
    let value: Safe = show::decimal(last.value).into();
    let (_, y) = place(last);
    let row = plot.y + u16::try_from(y / 4).unwrap_or(0);
    let row = if row == plot.y { row + 1 } else { row - 1 };
    let wide = columns(value.as_str());
    pen.put(plot.x + plot.width - wide, row.min(plot.y + plot.height - 1), wide, &value, Role::Accent);
}

fn axes(pen: &mut Pen<'_>, area: Area, plot: Area, (low, high): (f64, f64), log: bool, length: f64) {
    let (tick, bar, corner, base) = if pen.ascii { ("+", "|", "+", "-") } else { ("┤", "│", "└", "─") };
    for row in 0..plot.height {
        let label = row == 0 || row + 1 == plot.height || (plot.height >= 7 && row == plot.height / 2);
        pen.say(plot.x - 1, plot.y + row, 1, if label { tick } else { bar }, Role::Line);
        if label {
            let share = f64::from(row) / f64::from(plot.height - 1);
            let value = high - (high - low) * share;
            let value = if log { 10_f64.powf(value) } else { value };
            pen.put_right(area.x, plot.y + row, AXIS - 2, &show::decimal(value).into(), Role::Quiet);
        }
    }
    let y = plot.y + plot.height;
    pen.say(plot.x - 1, y, 1, corner, Role::Line);
    pen.fill(plot.x, y, plot.width, base, Role::Line);
    let end: Safe = format!(" {} ", show::span(length)).into();
    pen.put_right(plot.x, y, plot.width, &end, Role::Quiet);
    if log {
        pen.say(plot.x + 1, y, plot.width, " log ", Role::Quiet);
    }
}

/// Joins two dots by a straight line.
fn join(dots: &mut [bool], width: usize, from: (usize, usize), to: (usize, usize)) {
    let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1));
    for step in 1..steps {
        let along = |a: usize, b: usize| if a <= b { a + (b - a) * step / steps } else { a - (a - b) * step / steps };
        dots[along(from.1, to.1) * width + along(from.0, to.0)] = true;
    }
}

fn glyph(dots: &[bool], width: usize, column: usize, row: usize, ascii: bool) -> char {
    const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
    let mut bits = 0;
    for (dx, rows) in BITS.iter().enumerate() {
        for (dy, bit) in rows.iter().enumerate() {
            if dots[(row * 4 + dy) * width + column * 2 + dx] {
                bits |= bit;
            }
        }
    }
    match (bits, ascii) {
        (0, _) => ' ',
        (_, true) => '*',
        (bits, false) => char::from_u32(0x2800 + bits).unwrap_or(' '),
    }
}
