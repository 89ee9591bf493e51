//! Points folded into periods.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::{Dimensions, GRAIN, Metrics, Point, canonical};
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

/// A statistic over the values of a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    /// `p0` to `p100`, with up to ten decimals.
    Percentile(f64),
}

/// All that was measured in one period.
#[derive(Clone, Debug)]
pub(super) struct Period {
    /// Folded; `time` is where the period begins.
    pub whole: Point,
    /// Each value with its count, unsorted; `None` when something of it is a statistic set whose values nobody knows.
    values: Option<Vec<(f64, f64)>>,
}

impl Statistic {
    pub const ALL: [(&str, Self); 5] = [
        ("SampleCount", Self::SampleCount),
        ("Average", Self::Average),
        ("Sum", Self::Sum),
        ("Minimum", Self::Minimum),
        ("Maximum", Self::Maximum),
    ];

    /// Reads a name. CloudWatch's trimmed statistics (`tm`, `wm`, `pr`, ...) are not part of the local region.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let simple = Self::ALL.into_iter().find(|(name, _)| *name == text).map(|(_, statistic)| statistic);
        let percent = || text.strip_prefix('p')?.parse().ok().filter(|percent| (0.0..=100.0).contains(percent));
        simple.or_else(|| percent().map(Self::Percentile)).ok_or_else(|| {
            Fault::new(
                "InvalidParameterValue",
                400,
                format!(
                    "The statistic {text} is not known to the local region: use SampleCount, Average, Sum, Minimum, Maximum, or a percentile from p0 to p100"
                ),
            )
        })
    }

    /// `None`: a percentile of values that nobody knows, which CloudWatch does not give either.
    pub fn of(self, period: &Period) -> Option<f64> {
        let point = &period.whole;
        match self {
            Self::SampleCount => Some(point.count),
            Self::Average => Some(point.sum / point.count),
            Self::Sum => Some(point.sum),
            Self::Minimum => Some(point.least),
            Self::Maximum => Some(point.most),
            Self::Percentile(percent) => period.percentile(percent),
        }
    }
}

impl Period {
    fn begin(time: i64, point: Point) -> Self {
        Self { values: spread(&point), whole: Point { time, ..point } }
    }

    fn add(&mut self, point: &Point) {
        let whole = &mut self.whole;
        whole.count += point.count;
        whole.sum += point.sum;
        whole.least = whole.least.min(point.least);
        whole.most = whole.most.max(point.most);
        match (&mut self.values, spread(point)) {
            (Some(values), Some(more)) => values.extend(more),
            (values, _) => *values = None,
        }
    }

    /// The smallest value that at least so many percent do not exceed. assumed: CloudWatch's own rule is not documented.
    fn percentile(&self, percent: f64) -> Option<f64> {
        let mut values = self.values.clone()?;
        values.sort_by(|one, other| one.0.total_cmp(&other.0));
        let rank = percent / 100.0 * self.whole.count;
        let mut seen = 0.0;
        let found = values.iter().find(|(_, count)| {
            seen += count;
            // A hair less, so that rounding of 0.95 * 20 does not reach for the next one.
            seen >= rank - 1e-9
        });
        found.or(values.last()).map(|(value, _)| *value)
    }
}

/// The value of a point and its count, if it is one value; those that were merged differ by a percent at most.
fn spread(point: &Point) -> Option<Vec<(f64, f64)>> {
    let close = point.most - point.least <= point.most.abs() * (GRAIN - 1.0) * 2.0;
    close.then(|| vec![(point.sum / point.count, point.count)])
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

    /// One for each period and unit that has values, by time.
    pub(super) fn periods(&self, query: &Query) -> Result<Vec<Period>, Fault> {
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
        let mut periods: BTreeMap<(i64, String), Period> = BTreeMap::new();
        for point in rows {
            let point = point.map_err(Fault::internal)?;
            if query.unit.as_ref().is_some_and(|unit| *unit != point.unit) {
                continue;
            }
            let begin = point.time.div_euclid(query.period) * query.period;
            periods
                .entry((begin, point.unit.clone()))
                .and_modify(|period| period.add(&point))
                .or_insert_with(|| Period::begin(begin, point));
        }
        Ok(periods.into_values().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(points: &[(f64, f64, f64, f64)]) -> Period {
        let mut points = points.iter().map(|(count, sum, least, most)| Point {
            time: 0,
            unit: "None".to_owned(),
            count: *count,
            sum: *sum,
            least: *least,
            most: *most,
        });
        let mut period = Period::begin(0, points.next().expect("a first one"));
        points.for_each(|point| period.add(&point));
        period
    }

    #[test]
    fn percentiles_count_each_value_as_often_as_it_came() {
        let single: Vec<_> = (1..=20).map(|value| (1.0, f64::from(value), f64::from(value), f64::from(value))).collect();
        let ask = |period: &Period, name: &str| Statistic::parse(name).expect(name).of(period);
        let twenty = period(&single);
        let got = ["p0", "p50", "p95", "p99", "p99.9", "p100"].map(|name| ask(&twenty, name));
        assert_eq!(got, [Some(1.0), Some(10.0), Some(19.0), Some(20.0), Some(20.0), Some(20.0)]);
        let weighed = period(&[(98.0, 98.0, 1.0, 1.0), (2.0, 100.0, 50.0, 50.0)]);
        assert_eq!([ask(&weighed, "p98"), ask(&weighed, "p99")], [Some(1.0), Some(50.0)]);
        assert_eq!(ask(&weighed, "Average"), Some(1.98));
    }

    #[test]
    fn nobody_knows_the_percentiles_of_a_statistic_set() {
        let set = period(&[(1.0, 1.0, 1.0, 1.0), (4.0, 10.0, 1.0, 4.0)]);
        assert_eq!(Statistic::Percentile(50.0).of(&set), None);
        assert_eq!(Statistic::Sum.of(&set), Some(11.0));
        for wrong in ["p101", "p-1", "p", "tm99", "average"] {
            assert!(Statistic::parse(wrong).is_err(), "{wrong}");
        }
    }
}
