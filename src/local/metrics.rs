//! CloudWatch metrics.

mod api;
mod keep;
mod read;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::{Connection, params};

use super::store::{Store, io_error};

/// All metrics of the region.
pub struct Metrics {
    store: Store,
    /// When old measurements were thinned out last, in epoch milliseconds.
    thinned: AtomicI64,
}

/// Measurements of one second that differ by less than this factor are kept as one: percentiles are right to a percent, and a
/// busy endpoint does not fill the disk. (CloudWatch's own histogram has 1.1.)
const GRAIN: f64 = 1.01;
/// Measurements are noted by the second: CloudWatch's finest period.
const RESOLUTION: i64 = 1000;
/// How often old measurements are thinned out.
const THIN_EVERY: i64 = 3_600_000;

/// A point is what `PutMetricData` calls a statistic set; a single value is a set of one.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS metric (
    id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL, dimensions TEXT NOT NULL,
    UNIQUE (namespace, name, dimensions));
CREATE TABLE IF NOT EXISTS point (
    metric INTEGER NOT NULL, time INTEGER NOT NULL, unit TEXT NOT NULL, count REAL NOT NULL, sum REAL NOT NULL,
    least REAL NOT NULL, most REAL NOT NULL);
CREATE INDEX IF NOT EXISTS point_by_time ON point (metric, time);
";

/// Name and value of each dimension, sorted: what makes two metrics of one name the same or not.
type Dimensions = Vec<(String, String)>;

/// Values that were measured at one time.
#[derive(Clone, Debug, PartialEq)]
struct Point {
    /// Milliseconds since the epoch.
    time: i64,
    unit: String,
    count: f64,
    sum: f64,
    least: f64,
    most: f64,
}

impl Metrics {
    /// Opens the metrics kept in this folder, creating it when it is new.
    ///
    /// # Errors
    /// When the folder cannot be written or the file in it is damaged.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { store: Store::open(&folder.join("metrics.sqlite"), SCHEMA, 1)?, thinned: AtomicI64::new(0) })
    }

    /// Adds one value of a metric. Blocking. CloudWatch knows no NaN and no infinity: such a value is left out.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn put(&self, namespace: &str, name: &str, dimensions: &[(&str, &str)], millis: i64, value: f64) -> io::Result<()> {
        if !value.is_finite() {
            return Ok(());
        }
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let point = Point { time: millis, unit: "None".to_owned(), count: 1.0, sum: value, least: value, most: value };
        let mut connection = self.store.lock();
        let transaction = connection.transaction().map_err(io_error)?;
        insert(&transaction, namespace, name, dimensions, &[point]).map_err(io_error)?;
        transaction.commit().map_err(io_error)
    }

    /// Notes what was measured at one time: name, unit and value of each metric, none below 0. What of one second is alike is
    /// merged, and what is old is thinned out, so that this may go on for months. Blocking.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn measure(
        &self,
        namespace: &str,
        dimensions: &[(&str, &str)],
        millis: i64,
        values: &[(&str, &str, f64)],
    ) -> io::Result<()> {
        let dimensions: Dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let key = canonical(dimensions);
        let time = millis.div_euclid(RESOLUTION) * RESOLUTION;
        let mut connection = self.store.lock();
        let transaction = connection.transaction().map_err(io_error)?;
        for (name, unit, value) in values.iter().filter(|(_, _, value)| value.is_finite()) {
            let metric = metric_id(&transaction, namespace, name, &key).map_err(io_error)?;
            let point = Point { time, unit: (*unit).to_owned(), count: 1.0, sum: *value, least: *value, most: *value };
            keep::merge(&transaction, metric, &point).map_err(io_error)?;
        }
        if millis - self.thinned.load(Ordering::Relaxed) > THIN_EVERY {
            self.thinned.store(millis, Ordering::Relaxed);
            keep::thin(&transaction, millis).map_err(io_error)?;
        }
        transaction.commit().map_err(io_error)
    }
}

fn insert(
    connection: &Connection,
    namespace: &str,
    name: &str,
    dimensions: Dimensions,
    points: &[Point],
) -> rusqlite::Result<()> {
    let metric = metric_id(connection, namespace, name, &canonical(dimensions))?;
    let mut statement = connection
        .prepare_cached("INSERT INTO point (metric, time, unit, count, sum, least, most) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for point in points {
        statement.execute(params![metric, point.time, point.unit, point.count, point.sum, point.least, point.most])?;
    }
    Ok(())
}

/// The number of a metric, which is made when it is new.
fn metric_id(connection: &Connection, namespace: &str, name: &str, dimensions: &str) -> rusqlite::Result<i64> {
    let sql = "INSERT INTO metric (namespace, name, dimensions) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING";
    connection.prepare_cached(sql)?.execute(params![namespace, name, dimensions])?;
    connection
        .prepare_cached("SELECT id FROM metric WHERE namespace = ?1 AND name = ?2 AND dimensions = ?3")?
        .query_row(params![namespace, name, dimensions], |row| row.get(0))
}

/// JSON of the sorted pairs: one text for one set of dimensions.
fn canonical(mut dimensions: Dimensions) -> String {
    dimensions.sort();
    serde_json::json!(dimensions).to_string()
}
