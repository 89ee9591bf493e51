//! How long the last calls took, as seen from here: kept while the program runs.

use std::collections::{HashMap, VecDeque};

use jiff::Timestamp;

use crate::aws::Aws;
use crate::model::{Cell, Point, Series};

const MEMO: &str = "endpoints: calls";
/// Calls that are remembered of each endpoint.
const KEPT: usize = 100;

/// The last calls of one endpoint, oldest first: when, and how many milliseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Calls(VecDeque<(Timestamp, f64)>);

impl Calls {
    /// Those of that endpoint.
    pub fn of(aws: &Aws, endpoint: &str) -> Self {
        aws.memo(MEMO, |all: &mut HashMap<String, Self>| all.get(endpoint).cloned().unwrap_or_default())
    }

    /// Adds one and returns them all.
    pub fn add(aws: &Aws, endpoint: &str, at: Timestamp, millis: f64) -> Self {
        aws.memo(MEMO, |all: &mut HashMap<String, Self>| {
            let calls = all.entry(endpoint.to_owned()).or_default();
            calls.0.push_back((at, millis));
            if calls.0.len() > KEPT {
                calls.0.pop_front();
            }
            calls.clone()
        })
    }

    pub fn forget(aws: &Aws, endpoint: &str) {
        aws.memo(MEMO, |all: &mut HashMap<String, Self>| {
            all.remove(endpoint);
        });
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub fn last(&self) -> Option<f64> {
        self.0.back().map(|(_, millis)| *millis)
    }

    /// The value that this share of the calls does not exceed (nearest rank).
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let mut values: Vec<f64> = self.0.iter().map(|(_, millis)| *millis).collect();
        values.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "at most a hundred values"
        )]
        let rank = (share * values.len() as f64).ceil() as usize;
        values.get(rank.max(1) - 1).copied()
    }

    /// The median with the way it came, for the table.
    pub fn cell(&self) -> Cell {
        Cell::Trend { last: self.percentile(0.5), values: self.0.iter().map(|(_, millis)| *millis).collect() }
    }

    /// How many there were, with median and 95th percentile; nothing of a single one.
    pub fn said(&self) -> Option<String> {
        let (half, most) = (self.percentile(0.5)?, self.percentile(0.95)?);
        (self.count() > 1).then(|| format!("{}: p50 {}, p95 {}", self.count(), millis(half), millis(most)))
    }

    pub fn series(&self) -> Option<Series> {
        let points: Vec<Point> = self.0.iter().map(|(at, millis)| Point { at: *at, value: *millis }).collect();
        (points.len() > 1).then(|| Series { name: "your calls, ms".into(), points })
    }
}

/// `0.8 ms`, `12 ms`, `1.4 s`.
pub(super) fn millis(value: f64) -> String {
    match value {
        ..9.95 => format!("{value:.1} ms"),
        ..999.5 => format!("{value:.0} ms"),
        _ => format!("{:.1} s", value / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_calls_that_were_made() {
        let calls = |count: u32| Calls((1..=count).rev().map(|n| (Timestamp::UNIX_EPOCH, f64::from(n))).collect());
        assert_eq!((calls(0).percentile(0.5), calls(0).said()), (None, None));
        assert_eq!((calls(1).percentile(0.5), calls(1).percentile(0.95)), (Some(1.0), Some(1.0)));
        assert_eq!((calls(100).percentile(0.5), calls(100).percentile(0.95)), (Some(50.0), Some(95.0)));
        assert_eq!([millis(0.84), millis(12.3), millis(1400.0)], ["0.8 ms", "12 ms", "1.4 s"]);
    }
}
