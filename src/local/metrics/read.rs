//! Points folded into periods.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::{Dimensions, Metrics, Point, canonical};
use crate::local::fault::Fault;

/// Which points, and how wide the periods are.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub namespace: String,
    pub name: String,
    pub dimensions: Dimensions,
    /// Milliseconds, inclusive.
    pub start: i64,
    /// Milliseconds, exclusive.
    pub end: i64,
    /// Milliseconds.
    pub period: i64,
    pub unit: Option<String>,
}

/// One of the simple statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
}

impl Statistic {
    pub const ALL: [(&str, Self); 5] = [
        ("SampleCount", Self::SampleCount),
        ("Average", Self::Average),
        ("Sum", Self::Sum),
        ("Minimum", Self::Minimum),
        ("Maximum", Self::Maximum),
    ];

    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, statistic)| statistic).ok_or_else(|| {
            Fault::new(
                "InvalidParameterValue",
                400,
                format!(
                    "The statistic {text} is not known to the local region: use SampleCount, Average, Sum, Minimum or Maximum"
                ),
            )
        })
    }

    pub fn of(self, point: &Point) -> f64 {
        match self {
            Self::SampleCount => point.count,
            Self::Average => point.sum / point.count,
            Self::Sum => point.sum,
            Self::Minimum => point.least,
            Self::Maximum => point.most,
        }
    }
}

impl Metrics {
    /// All values of a metric, in the order in which they came. Blocking.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn values(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)]) -> Result<Vec<f64>, Fault> {
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let connection = self.store.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT point.sum / point.count FROM point JOIN metric ON metric.id = point.metric
                 WHERE metric.namespace = ?1 AND metric.name = ?2 AND metric.dimensions = ?3 ORDER BY point.rowid",
            )
            .map_err(Fault::internal)?;
        let rows =
            statement.query_map(params![namespace, name, canonical(dimensions)], |row| row.get(0)).map_err(Fault::internal)?;
        rows.collect::<Result<_, _>>().map_err(Fault::internal)
    }

    /// One point per period and unit that has values, by time; `time` is where the period begins.
    pub(super) fn periods(&self, query: &Query) -> Result<Vec<Point>, Fault> {
        let connection = self.store.lock();
        let metric: Option<i64> = connection
            .prepare_cached("SELECT id FROM metric WHERE namespace = ?1 AND name = ?2 AND dimensions = ?3")
            .and_then(|mut statement| {
                let key = params![query.namespace, query.name, canonical(query.dimensions.clone())];
                statement.query_row(key, |row| row.get(0)).optional()
            })
            .map_err(Fault::internal)?;
        let Some(metric) = metric else { return Ok(Vec::new()) };
        let mut statement = connection
            .prepare_cached(
                "SELECT time, unit, count, sum, least, most FROM point WHERE metric = ?1 AND time >= ?2 AND time < ?3",
            )
            .map_err(Fault::internal)?;
        // A start inside a period counts from the period's beginning (documented: times are rounded down).
        let start = query.start.div_euclid(query.period) * query.period;
        let rows = statement
            .query_map(params![metric, start, query.end], |row| {
                Ok(Point {
                    time: row.get(0)?,
                    unit: row.get(1)?,
                    count: row.get(2)?,
                    sum: row.get(3)?,
                    least: row.get(4)?,
                    most: row.get(5)?,
                })
            })
            .map_err(Fault::internal)?;
        let mut periods: BTreeMap<(i64, String), Point> = BTreeMap::new();
        for point in rows {
            let point = point.map_err(Fault::internal)?;
            if query.unit.as_ref().is_some_and(|unit| *unit != point.unit) {
                continue;
            }
            let begin = point.time.div_euclid(query.period) * query.period;
            periods
                .entry((begin, point.unit.clone()))
                .and_modify(|folded| {
                    folded.count += point.count;
                    folded.sum += point.sum;
                    folded.least = folded.least.min(point.least);
                    folded.most = folded.most.max(point.most);
                })
                .or_insert(Point { time: begin, ..point });
        }
        Ok(periods.into_values().collect())
    }
}
