//! The operations of CloudWatch (service model 2010-08-01). Faults carry the query protocol's codes; the JSON and CBOR
//! codecs turn them into the model's shape names.

use serde_json::{Map, Value, json};

use super::read::{Query, Statistic};
use super::{Dimensions, Metrics, Point, insert};
use crate::local::fault::Fault;
use crate::local::store::now_millis;
use crate::local::wire::input::{float, integer, list, millis, text};

/// Documented: `GetMetricStatistics` answers up to this many points.
const STATISTICS_POINTS: i64 = 1440;
/// Documented: `GetMetricData` answers up to this many points a call, and takes up to 500 queries.
const DATA_POINTS: usize = 100_800;
const DATA_QUERIES: usize = 500;
const LIST_PAGE: usize = 500;

impl Metrics {
    /// One call of the API; times in answers are epoch seconds. Blocking.
    ///
    /// # Errors
    /// The service's own faults; `InvalidAction` for what the local region does not know.
    pub fn call(&self, operation: &str, input: &Value) -> Result<Value, Fault> {
        match operation {
            "PutMetricData" => self.put_data(input),
            "GetMetricData" => self.get_data(input),
            "GetMetricStatistics" => self.get_statistics(input),
            "ListMetrics" => self.list_metrics(input),
            _ => Err(Fault::new("InvalidAction", 400, format!("Could not find operation {operation} for version 2010-08-01"))),
        }
    }

    fn put_data(&self, input: &Value) -> Result<Value, Fault> {
        let namespace = required(input, "Namespace")?;
        if namespace.starts_with("AWS/") {
            return Err(invalid("The value AWS/ for parameter Namespace is invalid."));
        }
        let mut data = Vec::new();
        for datum in list(input, "MetricData") {
            data.push((required(datum, "MetricName")?, dimensions(datum)?, points(datum)?));
        }
        if data.is_empty() {
            return Err(missing("MetricData"));
        }
        let mut connection = self.store.lock();
        let transaction = connection.transaction().map_err(Fault::internal)?;
        for (name, dimensions, points) in data {
            insert(&transaction, namespace, name, dimensions, &points).map_err(Fault::internal)?;
        }
        transaction.commit().map_err(Fault::internal)?;
        Ok(json!({}))
    }

    fn get_statistics(&self, input: &Value) -> Result<Value, Fault> {
        let named = |member: &str| {
            let names = list(input, member).iter().filter_map(Value::as_str);
            names.map(|name| Ok((name.to_owned(), Statistic::parse(name)?))).collect::<Result<Vec<_>, Fault>>()
        };
        let (statistics, extended) = (named("Statistics")?, named("ExtendedStatistics")?);
        if statistics.is_empty() && extended.is_empty() {
            return Err(missing("Statistics or ExtendedStatistics"));
        }
        let (start, end) = times(input)?;
        let period = period(input)?;
        let asked = (end - start).div_euclid(period);
        if asked > STATISTICS_POINTS {
            return Err(Fault::new(
                "InvalidParameterCombination",
                400,
                format!(
                    "You have requested up to {asked} datapoints, which exceeds the limit of {STATISTICS_POINTS}. You may reduce the datapoints requested by increasing Period, or decreasing the time range."
                ),
            ));
        }
        let name = required(input, "MetricName")?;
        let query = Query {
            namespace: required(input, "Namespace")?.to_owned(),
            name: name.to_owned(),
            dimensions: dimensions(input)?,
            start,
            end,
            period,
            unit: text(input, "Unit").map(str::to_owned),
        };
        let points: Vec<Value> = self
            .periods(&query)?
            .iter()
            .filter_map(|period| {
                let mut answer = Map::new();
                answer.insert("Timestamp".to_owned(), seconds(period.whole.time));
                let known = |(name, statistic): &(String, Statistic)| Some((name.clone(), json!(statistic.of(period)?)));
                answer.extend(statistics.iter().filter_map(known));
                let percentiles: Map<String, Value> = extended.iter().filter_map(known).collect();
                if !percentiles.is_empty() {
                    answer.insert("ExtendedStatistics".to_owned(), percentiles.into());
                }
                let found = answer.len() > 1;
                answer.insert("Unit".to_owned(), json!(period.whole.unit));
                found.then_some(Value::Object(answer))
            })
            .collect();
        Ok(json!({"Label": name, "Datapoints": points}))
    }

    fn get_data(&self, input: &Value) -> Result<Value, Fault> {
        let queries = list(input, "MetricDataQueries");
        if queries.is_empty() {
            return Err(missing("MetricDataQueries"));
        }
        if queries.len() > DATA_QUERIES {
            return Err(invalid(format!("The collection MetricDataQueries must not have a size greater than {DATA_QUERIES}.")));
        }
        let (start, end) = times(input)?;
        let ascending = match text(input, "ScanBy") {
            None | Some("TimestampDescending") => false,
            Some("TimestampAscending") => true,
            Some(other) => return Err(invalid(format!("The value {other} for parameter ScanBy is invalid."))),
        };
        let most = integer(input, "MaxDatapoints").and_then(|most| usize::try_from(most).ok()).filter(|most| *most > 0);
        let most = most.unwrap_or(DATA_POINTS).min(DATA_POINTS);
        let skip = match text(input, "NextToken") {
            Some(token) => {
                token.parse::<usize>().map_err(|_| Fault::new("InvalidNextToken", 400, "The next token specified is invalid."))?
            }
            None => 0,
        };
        let (mut seen, mut results, mut more) = (0_usize, Vec::new(), false);
        for query in queries {
            if !query.get("ReturnData").is_none_or(|value| value != &json!(false) && value != &json!("false")) {
                continue;
            }
            let (label, mut points) = self.series(query, start, end)?;
            if !ascending {
                points.reverse();
            }
            let id = required(query, "Id")?;
            let page: Vec<&(i64, f64)> =
                points.iter().skip(skip.saturating_sub(seen)).take((skip + most).saturating_sub(seen.max(skip))).collect();
            let unfinished = seen + points.len() > skip + most;
            more |= unfinished;
            seen += points.len();
            results.push(json!({
                "Id": id, "Label": label, "StatusCode": if unfinished { "PartialData" } else { "Complete" },
                "Timestamps": page.iter().map(|(time, _)| seconds(*time)).collect::<Vec<_>>(),
                "Values": page.iter().map(|(_, value)| *value).collect::<Vec<_>>(),
            }));
        }
        let mut answer = json!({"MetricDataResults": results, "Messages": []});
        if more {
            answer["NextToken"] = json!((skip + most).to_string());
        }
        Ok(answer)
    }

    /// Label and values of one query, by time.
    fn series(&self, query: &Value, start: i64, end: i64) -> Result<(String, Vec<(i64, f64)>), Fault> {
        let Some(stat) = query.get("MetricStat") else {
            return Err(Fault::new(
                "InvalidParameterValue",
                400,
                "The local region reads metrics by MetricStat; it does not compute metric math or Metrics Insights expressions",
            ));
        };
        let metric = stat.get("Metric").ok_or_else(|| missing("MetricStat.Metric"))?;
        let statistic = Statistic::parse(required(stat, "Stat")?)?;
        let name = required(metric, "MetricName")?;
        let wanted = Query {
            namespace: required(metric, "Namespace")?.to_owned(),
            name: name.to_owned(),
            dimensions: dimensions(metric)?,
            start,
            end,
            period: period(stat)?,
            unit: text(stat, "Unit").map(str::to_owned),
        };
        let label = text(query, "Label").unwrap_or(name).to_owned();
        let periods = self.periods(&wanted)?;
        Ok((label, periods.iter().filter_map(|period| Some((period.whole.time, statistic.of(period)?))).collect()))
    }

    fn list_metrics(&self, input: &Value) -> Result<Value, Fault> {
        let namespace = text(input, "Namespace").unwrap_or_default();
        let name = text(input, "MetricName").unwrap_or_default();
        let after = match text(input, "NextToken") {
            Some(token) => token.parse::<i64>().map_err(|_| invalid("The value for parameter NextToken is invalid."))?,
            None => 0,
        };
        let filters = list(input, "Dimensions");
        let connection = self.store.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT id, namespace, name, dimensions FROM metric
                 WHERE id > ?3 AND (?1 = '' OR namespace = ?1) AND (?2 = '' OR name = ?2) ORDER BY id",
            )
            .map_err(Fault::internal)?;
        let mut rows = statement.query(rusqlite::params![namespace, name, after]).map_err(Fault::internal)?;
        let (mut metrics, mut last, mut more) = (Vec::new(), after, false);
        while let Some(row) = rows.next().map_err(Fault::internal)? {
            let text: String = row.get(3).map_err(Fault::internal)?;
            let dimensions: Dimensions = serde_json::from_str(&text).map_err(Fault::internal)?;
            if !filters.iter().all(|filter| passes(filter, &dimensions)) {
                continue;
            }
            if metrics.len() == LIST_PAGE {
                more = true;
                break;
            }
            last = row.get(0).map_err(Fault::internal)?;
            let dimensions: Vec<Value> = dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect();
            metrics.push(json!({
                "Namespace": row.get::<_, String>(1).map_err(Fault::internal)?,
                "MetricName": row.get::<_, String>(2).map_err(Fault::internal)?,
                "Dimensions": dimensions,
            }));
        }
        let mut answer = json!({"Metrics": metrics});
        if more {
            answer["NextToken"] = json!(last.to_string());
        }
        Ok(answer)
    }
}

fn passes(filter: &Value, dimensions: &Dimensions) -> bool {
    let (name, value) = (text(filter, "Name").unwrap_or_default(), text(filter, "Value"));
    dimensions.iter().any(|(have, content)| have == name && value.is_none_or(|value| value == content))
}

/// The points of one datum: a value, a statistic set, or values with counts.
fn points(datum: &Value) -> Result<Vec<Point>, Fault> {
    let time = datum.get("Timestamp").and_then(millis).unwrap_or_else(now_millis);
    let unit = text(datum, "Unit").unwrap_or("None").to_owned();
    let single =
        |value: f64, count: f64| Point { time, unit: unit.clone(), count, sum: value * count, least: value, most: value };
    if let Some(set) = datum.get("StatisticValues") {
        let number = |name: &str| set.get(name).and_then(float).filter(|value| value.is_finite()).ok_or_else(|| missing(name));
        let point = Point {
            time,
            unit,
            count: number("SampleCount")?,
            sum: number("Sum")?,
            least: number("Minimum")?,
            most: number("Maximum")?,
        };
        if point.count <= 0.0 {
            return Err(invalid("The value for parameter StatisticValues.SampleCount is invalid."));
        }
        return Ok(vec![point]);
    }
    let values = list(datum, "Values");
    if !values.is_empty() {
        let counts = list(datum, "Counts");
        if !counts.is_empty() && counts.len() != values.len() {
            return Err(invalid("The parameters Values and Counts must be of the same size."));
        }
        let pairs = values.iter().enumerate().map(|(at, value)| Some((float(value)?, counts.get(at).map_or(Some(1.0), float)?)));
        let points = pairs.map(|pair| pair.map(|(value, count)| single(value, count))).collect::<Option<Vec<_>>>();
        return points.ok_or_else(|| invalid("The value for parameter Values is invalid."));
    }
    let value = datum.get("Value").ok_or_else(|| missing("Value"))?;
    let value = float(value).filter(|value| value.is_finite());
    Ok(vec![single(value.ok_or_else(|| invalid("The value NaN for parameter MetricData.Value is invalid."))?, 1.0)])
}

fn dimensions(input: &Value) -> Result<Dimensions, Fault> {
    list(input, "Dimensions")
        .iter()
        .map(|pair| Ok((required(pair, "Name")?.to_owned(), required(pair, "Value")?.to_owned())))
        .collect()
}

fn times(input: &Value) -> Result<(i64, i64), Fault> {
    let time = |name: &str| {
        input
            .get(name)
            .ok_or_else(|| missing(name))
            .and_then(|value| millis(value).ok_or_else(|| invalid(format!("The value for parameter {name} is invalid."))))
    };
    let (start, end) = (time("StartTime")?, time("EndTime")?);
    if start >= end {
        return Err(Fault::new(
            "InvalidParameterCombination",
            400,
            "The parameter StartTime must be less than the parameter EndTime.",
        ));
    }
    Ok((start, end))
}

/// Milliseconds.
fn period(input: &Value) -> Result<i64, Fault> {
    let seconds = integer(input, "Period").ok_or_else(|| missing("Period"))?;
    if matches!(seconds, 1 | 5 | 10 | 20 | 30) || (seconds > 0 && seconds % 60 == 0) {
        return Ok(seconds * 1000);
    }
    Err(invalid(format!(
        "The value {seconds} for parameter Period is invalid: Period must be 1, 5, 10, 20, 30 or a multiple of 60."
    )))
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of any date are far below 2^53")]
fn seconds(millis: i64) -> Value {
    if millis % 1000 == 0 { json!(millis / 1000) } else { json!(millis as f64 / 1000.0) }
}

fn required<'a>(input: &'a Value, name: &str) -> Result<&'a str, Fault> {
    text(input, name).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Fault {
    Fault::new("MissingParameter", 400, format!("The parameter {name} is required."))
}

fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterValue", 400, message)
}
