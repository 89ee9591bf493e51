//! Dots in braille: two by four in a cell, each cell in one role. Charts are drawn on it.

use super::pen::Pen;
use crate::app::layout::Area;
use crate::config::theme::Role;
use crate::model::Safe;

/// A drawing as large as an area of cells. Positions are shares of 0 to 1, from the left and from the bottom.
pub struct Canvas {
    width: usize,
    height: usize,
    dots: Vec<bool>,
    /// Of each cell: what was drawn there last.
    roles: Vec<Role>,
}

impl Canvas {
    pub fn new(area: Area) -> Self {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        Self { width, height, dots: vec![false; width * height * 8], roles: vec![Role::Curve; width * height] }
    }

    /// The cell that a position is in: column and row from the top left.
    #[must_use]
    pub fn cell(&self, x: f64, y: f64) -> (u16, u16) {
        let (column, row) = self.place(x, y);
        (u16::try_from(column / 2).unwrap_or(0), u16::try_from(row / 4).unwrap_or(0))
    }

    pub fn dot(&mut self, x: f64, y: f64, role: Role) {
        if let Some(at) = self.at(self.place(x, y), role) {
            self.dots[at] = true;
        }
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), role: Role) {
        let (from, to) = (self.place(from.0, from.1), self.place(to.0, to.1));
        let steps = from.0.abs_diff(to.0).max(from.1.abs_diff(to.1));
        for step in 0..=steps {
            let along = |a: usize, b: usize| {
                let way = a.abs_diff(b) * step / steps.max(1);
                if a <= b { a + way } else { a - way }
            };
            if let Some(at) = self.at((along(from.0, to.0), along(from.1, to.1)), role) {
                self.dots[at] = true;
            }
        }
    }

    /// Puts it on the screen.
    pub fn draw(&self, pen: &mut Pen<'_>, area: Area) {
        for row in 0..self.height {
            let mut column = 0;
            while column < self.width {
                let role = self.roles[row * self.width + column];
                let same = (column..self.width).take_while(|at| self.roles[row * self.width + at] == role).count();
                let text: String = (column..column + same).map(|at| self.glyph(at, row, pen.ascii)).collect();
                let x = area.x + u16::try_from(column).unwrap_or(0);
                // Empty cells leave alone what is there, e.g. an axis.
                if !text.trim().is_empty() {
                    pen.put(
                        x,
                        area.y + u16::try_from(row).unwrap_or(0),
                        u16::try_from(same).unwrap_or(0),
                        &Safe::from(text),
                        role,
                    );
                }
                column += same;
            }
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "shares of 0 to 1 become dots of a screen"
    )]
    fn place(&self, x: f64, y: f64) -> (usize, usize) {
        let (last_x, last_y) = ((self.width * 2).saturating_sub(1), (self.height * 4).saturating_sub(1));
        let column = (x.clamp(0.0, 1.0) * last_x as f64).round() as usize;
        let row = ((1.0 - y.clamp(0.0, 1.0)) * last_y as f64).round() as usize;
        (column.min(last_x), row.min(last_y))
    }

    fn at(&mut self, (column, row): (usize, usize), role: Role) -> Option<usize> {
        *self.roles.get_mut(row / 4 * self.width + column / 2)? = role;
        Some(row * self.width * 2 + column)
    }

    fn glyph(&self, column: usize, row: usize, ascii: bool) -> char {
        const BITS: [[u32; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
        let mut bits = 0;
        for (dx, rows) in BITS.iter().enumerate() {
            for (dy, bit) in rows.iter().enumerate() {
                if self.dots[(row * 4 + dy) * self.width * 2 + column * 2 + dx] {
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
}

/// Where the values of an axis begin and end, as they are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    low: f64,
    high: f64,
    log: bool,
}

impl Span {
    /// The span of these values; a single value gets room around it. `None` when there is none to draw.
    pub fn of(values: impl Iterator<Item = f64>, log: bool) -> Option<Self> {
        let usable = values.filter(|value| value.is_finite() && (!log || *value > 0.0));
        let scaled = usable.map(|value| if log { value.log10() } else { value });
        let (low, high) = scaled.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        match low.partial_cmp(&high)? {
            std::cmp::Ordering::Less => Some(Self { low, high, log }),
            std::cmp::Ordering::Equal => Some(Self { low: low - 0.5, high: high + 0.5, log }),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// How far along a value lies, 0 to 1; `None` when it has no place.
    #[must_use]
    pub fn share(&self, value: f64) -> Option<f64> {
        let scaled = if self.log { value.log10() } else { value };
        scaled.is_finite().then(|| (scaled - self.low) / (self.high - self.low))
    }

    /// The value at a share.
    #[must_use]
    pub fn value(&self, share: f64) -> f64 {
        let value = self.low + (self.high - self.low) * share;
        if self.log { 10_f64.powf(value) } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_place_values_by_their_scale() {
        let log = Span::of([0.001, 0.1, -1.0, f64::NAN].into_iter(), true).unwrap();
        assert!((log.share(0.01).unwrap() - 0.5).abs() < 1e-9);
        assert!((log.value(0.5) - 0.01).abs() < 1e-9);
        assert_eq!(log.share(-1.0), None);
        let one = Span::of([3.0].into_iter(), false).unwrap();
        assert_eq!(one.share(3.0), Some(0.5));
        assert!(Span::of([f64::NAN].into_iter(), false).is_none());
    }

    #[test]
    fn corners_are_drawn_in_the_corner_cells() {
        let canvas = Canvas::new(Area { x: 0, y: 0, width: 10, height: 4 });
        assert_eq!(canvas.cell(0.0, 0.0), (0, 3));
        assert_eq!(canvas.cell(1.0, 1.0), (9, 0));
        assert_eq!(canvas.cell(9.0, -3.0), (9, 3));
    }
}
