//! Curves from the values that a log's lines hold.

use crate::model::{Point, Safe, Series};

/// Points kept per curve; beyond it every other older point goes.
const POINTS: usize = 4_000;

/// Adds a value to the curve of that name.
pub fn plot(curves: &mut Vec<Series>, name: &Safe, point: Point) {
    let at = curves.iter().position(|series| series.name == *name).unwrap_or_else(|| {
        curves.push(Series { name: name.clone(), points: Vec::new() });
        curves.len() - 1
    });
    let points = &mut curves[at].points;
    points.push(point);
    if points.len() > POINTS {
        let mut index = 0;
        let newest = points.len() - 1;
        points.retain(|_| {
            index += 1;
            index % 2 == 1 || index > newest
        });
    }
}
