//! How long measurements are kept and how finely: as CloudWatch keeps them ("Metrics retention" of its user guide), but for its
//! coarser steps after 15 days.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{GRAIN, Point};

/// Seconds become minutes after so many milliseconds.
const FINE: i64 = 3 * 3_600_000;
/// Minutes are forgotten after so many.
const KEPT: i64 = 15 * 24 * 3_600_000;
const MINUTE: i64 = 60_000;

/// What the region measures itself. What scripts and clients put in is theirs and stays.
const MEASURED: &str = "namespace IN ('AWS/SageMaker', '/aws/sagemaker/Endpoints')
    OR (namespace = '/aws/sagemaker/TrainingJobs' AND dimensions LIKE '[[\"Host\",%')";

/// Adds a point to one of the same time, unit and nearly the same value, or beside them.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn merge(connection: &Connection, metric: i64, point: &Point) -> rusqlite::Result<()> {
    merge_within(connection, metric, point, (point.most / GRAIN, point.least * GRAIN))
}

/// Adds a point to one of the same time and unit whose values lie between two others, or beside them.
fn merge_within(connection: &Connection, metric: i64, point: &Point, (low, high): (f64, f64)) -> rusqlite::Result<()> {
    let same: Option<i64> = connection
        .prepare_cached(
            "SELECT rowid FROM point WHERE metric = ?1 AND time = ?2 AND unit = ?3 AND least >= ?4 AND most <= ?5 LIMIT 1",
        )?
        .query_row(params![metric, point.time, point.unit, low, high], |row| row.get(0))
        .optional()?;
    let values = params![point.count, point.sum, point.least, point.most, same, metric, point.time, point.unit];
    let sql = match same {
        Some(_) => {
            "UPDATE point SET count = count + ?1, sum = sum + ?2, least = min(least, ?3), most = max(most, ?4)
             WHERE rowid = ?5 AND metric = ?6 AND time = ?7 AND unit = ?8"
        }
        None => {
            "INSERT INTO point (count, sum, least, most, metric, time, unit) SELECT ?1, ?2, ?3, ?4, ?6, ?7, ?8 WHERE ?5 IS NULL"
        }
    };
    connection.prepare_cached(sql)?.execute(values).map(drop)
}

/// Makes minutes of old seconds, and forgets what is older than that. `now` is in epoch milliseconds.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn thin(connection: &Connection, now: i64) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(&format!("SELECT id FROM metric WHERE {MEASURED}"))?;
    let metrics: Vec<i64> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for metric in metrics {
        connection.prepare_cached("DELETE FROM point WHERE metric = ?1 AND time < ?2")?.execute([metric, now - KEPT])?;
        let sql =
            "SELECT rowid, time, unit, count, sum, least, most FROM point WHERE metric = ?1 AND time < ?2 AND time % ?3 != 0";
        let mut statement = connection.prepare_cached(sql)?;
        let fine: Vec<(i64, Point)> = statement.query_map([metric, now - FINE, MINUTE], point)?.collect::<Result<_, _>>()?;
        for (row, point) in fine {
            connection.prepare_cached("DELETE FROM point WHERE rowid = ?1")?.execute([row])?;
            let point = Point { time: point.time.div_euclid(MINUTE) * MINUTE, ..point };
            if point.unit == "Percent" {
                // Nobody asks for percentiles of an old utilisation, and each value of it is another one.
                merge_within(connection, metric, &point, (f64::MIN, f64::MAX))?;
            } else {
                merge(connection, metric, &point)?;
            }
        }
    }
    Ok(())
}

fn point(row: &Row<'_>) -> rusqlite::Result<(i64, Point)> {
    let point = Point {
        time: row.get(1)?,
        unit: row.get(2)?,
        count: row.get(3)?,
        sum: row.get(4)?,
        least: row.get(5)?,
        most: row.get(6)?,
    };
    Ok((row.get(0)?, point))
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    const DIMENSIONS: [(&str, &str); 1] = [("EndpointName", "e")];

    fn rows(metrics: &Metrics) -> (i64, f64, f64) {
        let sql = "SELECT count(*), coalesce(sum(count), 0), coalesce(sum(sum), 0) FROM point";
        metrics.store.lock().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("reads")
    }

    #[test]
    fn what_is_measured_stays_small_and_adds_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::open(folder.path()).expect("opens");
        for number in 0..1000 {
            let latency = 5000.0 + f64::from(number);
            metrics
                .measure(
                    "AWS/SageMaker",
                    &DIMENSIONS,
                    1000 + i64::from(number % 10),
                    &[("ModelLatency", "Microseconds", latency)],
                )
                .expect("writes");
        }
        let (points, count, sum) = rows(&metrics);
        assert!(points < 40, "{points} points for a second");
        assert_eq!((count, sum), (1000.0, 1000.0 * 5000.0 + 499_500.0));
    }

    #[test]
    fn seconds_become_minutes_and_then_nothing_but_what_others_put_in_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let metrics = Metrics::open(folder.path()).expect("opens");
        let day = 24 * 3_600_000;
        metrics.put("/aws/sagemaker/TrainingJobs", "loss", &[("TrainingJobName", "j")], 1500, 0.5).expect("writes");
        for second in 0..120_i32 {
            let values = [("Invocations", "None", 1.0), ("CPUUtilization", "Percent", f64::from(second))];
            metrics.measure("AWS/SageMaker", &DIMENSIONS, i64::from(second) * 1000, &values).expect("writes");
        }
        let sum = 0.5 + 120.0 + 7140.0;
        assert_eq!(rows(&metrics), (241, 241.0, sum));
        thin(&metrics.store.lock(), day).expect("thins");
        assert_eq!(rows(&metrics), (5, 241.0, sum), "two minutes of each");
        thin(&metrics.store.lock(), 16 * day).expect("thins");
        assert_eq!(rows(&metrics), (1, 1.0, 0.5));
    }
}
