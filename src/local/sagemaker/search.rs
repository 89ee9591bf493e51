//! `Search`, for training jobs: expressions over the members of their descriptions. Other resources have no records here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::page::{foreign, limit};
use super::shapes;
use super::store::{Document, Query, Store, text};
use crate::local::fault::Fault;

/// `SortBy` when it is not sent (API reference).
const DEFAULT_SORT: &str = "LastModifiedTime";

/// Answers a search.
///
/// # Errors
/// A token that is not ours, a value that cannot be compared, or a store that cannot be read.
pub fn search(store: &Store, request: &Document) -> Result<Value, Fault> {
    let mut records = if text(request, "Resource") == "TrainingJob" { records(store)? } else { Vec::new() };
    if let Some(expression) = request.get("SearchExpression") {
        records.retain(|record| matches(record, expression));
    }
    let by = match text(request, "SortBy") {
        "" => DEFAULT_SORT,
        named => named,
    };
    records.sort_by(|left, right| {
        let order = sort_key(left, by).partial_cmp(&sort_key(right, by)).unwrap_or(std::cmp::Ordering::Equal);
        order.then_with(|| name(left).cmp(name(right)))
    });
    if text(request, "SortOrder") != "Ascending" {
        records.reverse();
    }
    let total = records.len();
    let start = match text(request, "NextToken") {
        "" => 0,
        token => after(&records, token)?,
    };
    let page = &records[start..total.min(start + limit(request))];
    let results: Vec<Value> = page.iter().map(|record| json!({"TrainingJob": record})).collect();
    let mut answer = json!({"Results": results, "TotalHits": {"Value": total, "Relation": "EqualTo"}});
    if let Some(last) = page.last().filter(|_| start + page.len() < total) {
        answer["NextToken"] = json!(URL_SAFE_NO_PAD.encode(name(last)));
    }
    Ok(answer)
}

/// All jobs in the shape that a search shows: the description's members that it has, and the tags.
fn records(store: &Store) -> Result<Vec<Value>, Fault> {
    // What SQLite takes at most.
    let all = Query { limit: usize::try_from(i64::MAX).unwrap_or(usize::MAX), ..Query::default() };
    let jobs = store.list(&all)?.into_iter().map(|job| {
        let tags = store.tags().of(text(&job, "TrainingJobArn"))?;
        let mut record: Map<String, Value> = job.into_iter().filter(|(member, _)| shapes::has("TrainingJob", member)).collect();
        let tags = tags.into_iter().map(|(key, value)| json!({"Key": key, "Value": value}));
        record.insert("Tags".to_owned(), tags.collect());
        Ok(Value::Object(record))
    });
    jobs.collect()
}

fn name(record: &Value) -> &str {
    record["TrainingJobName"].as_str().unwrap_or_default()
}

/// Where the page after the one that ended with the token's job starts.
fn after(records: &[Value], token: &str) -> Result<usize, Fault> {
    let last = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = last.and_then(|last| records.iter().position(|record| name(record) == last));
    place.map(|place| place + 1).ok_or_else(foreign)
}

/// Numbers and times before texts.
fn sort_key(record: &Value, property: &str) -> (Option<f64>, String) {
    match values(record, property).first() {
        Some(Value::Number(number)) => (number.as_f64(), String::new()),
        Some(value) => (Some(f64::INFINITY), plain(value)),
        None => (None, String::new()),
    }
}

fn matches(record: &Value, expression: &Value) -> bool {
    let list = |member: &str| expression.get(member).and_then(Value::as_array).into_iter().flatten();
    let mut verdicts = list("Filters")
        .map(|filter| holds(&values(record, member(filter, "Name")), filter))
        .chain(list("NestedFilters").map(|nested| nested_holds(record, nested)))
        .chain(list("SubExpressions").map(|inner| matches(record, inner)))
        .peekable();
    if verdicts.peek().is_none() {
        return true;
    }
    if member(expression, "Operator") == "Or" { verdicts.any(|holds| holds) } else { verdicts.all(|holds| holds) }
}

/// Whether one element of the list fulfils all filters, whose names start with the list's.
fn nested_holds(record: &Value, nested: &Value) -> bool {
    let list = member(nested, "NestedPropertyName");
    let filters = nested.get("Filters").and_then(Value::as_array);
    let elements = record.pointer(&format!("/{}", list.replace('.', "/"))).and_then(Value::as_array);
    elements.into_iter().flatten().any(|element| {
        filters.into_iter().flatten().all(|filter| {
            let property = member(filter, "Name");
            let below = property.strip_prefix(list).and_then(|rest| rest.strip_prefix('.')).unwrap_or(property);
            holds(&values(element, below), filter)
        })
    })
}

/// Whether any of the property's values is as the filter wants it; for the negations, whether none is.
fn holds(values: &[Value], filter: &Value) -> bool {
    let wanted = member(filter, "Value");
    let any = |test: &dyn Fn(&Value) -> bool| values.iter().any(test);
    let compare = |test: fn(std::cmp::Ordering) -> bool| any(&|value| order(value, wanted).is_some_and(test));
    match member(filter, "Operator") {
        "Exists" => !values.is_empty(),
        "NotExists" => values.is_empty(),
        "Contains" => any(&|value| plain(value).contains(wanted)),
        "In" => any(&|value| wanted.split(',').any(|one| order(value, one.trim()).is_some_and(std::cmp::Ordering::is_eq))),
        "NotEquals" => !compare(std::cmp::Ordering::is_eq),
        "GreaterThan" => compare(std::cmp::Ordering::is_gt),
        "GreaterThanOrEqualTo" => compare(std::cmp::Ordering::is_ge),
        "LessThan" => compare(std::cmp::Ordering::is_lt),
        "LessThanOrEqualTo" => compare(std::cmp::Ordering::is_le),
        // The default (API reference).
        _ => compare(std::cmp::Ordering::is_eq),
    }
}

/// A value against the text of a filter: as numbers or times when both are, else as texts.
fn order(value: &Value, wanted: &str) -> Option<std::cmp::Ordering> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        other => plain(other).parse().ok(),
    };
    match (number, wanted.parse::<f64>().ok().or_else(|| moment(wanted))) {
        (Some(number), Some(wanted)) => number.partial_cmp(&wanted),
        _ => Some(plain(value).as_str().cmp(wanted)),
    }
}

/// Seconds since the epoch of `2026-01-31T12:00:00Z`; without a zone it is UTC.
fn moment(text: &str) -> Option<f64> {
    let instant = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        Some(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    });
    instant.map(|instant| instant.as_duration().as_secs_f64())
}

/// The values of a property, e.g. `ResourceConfig.InstanceType`, `Tags.team`, `HyperParameters.epochs` or `Metrics.loss`; of a
/// list, those of all its elements.
fn values(record: &Value, property: &str) -> Vec<Value> {
    let (head, rest) = property.split_once('.').unwrap_or((property, ""));
    match (head, rest) {
        ("Tags", key) if !key.is_empty() => entries(record, "Tags", ("Key", key), "Value"),
        ("Metrics", metric) if !metric.is_empty() => entries(record, "FinalMetricDataList", ("MetricName", metric), "Value"),
        // Their keys may hold dots.
        ("HyperParameters" | "Environment", key) if !key.is_empty() => {
            record.get(head).and_then(|map| map.get(key)).cloned().into_iter().collect()
        }
        _ => below(record.get(head), rest),
    }
}

fn below(value: Option<&Value>, property: &str) -> Vec<Value> {
    match value {
        None => Vec::new(),
        Some(Value::Array(elements)) => elements.iter().flat_map(|element| below(Some(element), property)).collect(),
        Some(value) if property.is_empty() => vec![value.clone()],
        Some(value) => values(value, property),
    }
}

/// Of a list of names and values, the values of one name.
fn entries(record: &Value, list: &str, (key, wanted): (&str, &str), value: &str) -> Vec<Value> {
    let elements = record.get(list).and_then(Value::as_array).into_iter().flatten();
    elements.filter(|element| member(element, key) == wanted).filter_map(|element| element.get(value)).cloned().collect()
}

fn member<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("s.sqlite")).expect("opens");
        for number in 1..=5 {
            let name = format!("job-{number}");
            let job = json!({
                "TrainingJobName": name, "TrainingJobArn": format!("arn/{name}"),
                "TrainingJobStatus": if number == 3 { "Failed" } else { "Completed" },
                "CreationTime": 1_767_225_600 + number, "LastModifiedTime": 1_767_225_700 - number,
                "HyperParameters": {"learning.rate": format!("0.{number}"), "name": "\"x\""},
                "FinalMetricDataList": [{"MetricName": "loss", "Value": 10 - number, "Timestamp": 1}],
                "InputDataConfig": [{"ChannelName": "a", "DataSource": {"S3DataSource": {"S3Uri": format!("s3://b/{number}")}}},
                                    {"ChannelName": "b", "DataSource": {"S3DataSource": {"S3Uri": "s3://c/"}}}],
                "ProfilingStatus": "Enabled",
            });
            let tags = [("team".to_owned(), if number % 2 == 0 { "red" } else { "blue" }.to_owned())];
            assert!(store.insert(job.as_object().expect("an object"), &tags).expect("inserts"));
        }
        (folder, store)
    }

    fn found(store: &Store, request: &Value) -> Vec<String> {
        let mut request = request.clone();
        request["Resource"] = json!("TrainingJob");
        let mut names = Vec::new();
        loop {
            let accepted = shapes::accept("Search", request.clone()).expect("fits the model");
            let answer = search(store, &accepted).expect("answers");
            names.extend(answer["Results"].as_array().expect("a list").iter().map(|one| name(&one["TrainingJob"]).to_owned()));
            let Some(token) = answer.get("NextToken") else { return names };
            request["NextToken"] = token.clone();
        }
    }

    fn filtered(store: &Store, name: &str, operator: &str, value: &str) -> Vec<String> {
        let filter = json!({"Name": name, "Operator": operator, "Value": value});
        found(store, &json!({"SearchExpression": {"Filters": [filter]}, "SortBy": "TrainingJobName", "SortOrder": "Ascending"}))
    }

    #[test]
    fn filters_compare_texts_numbers_times_tags_and_metrics() {
        let (_folder, store) = store();
        for (name, operator, value, expected) in [
            ("TrainingJobStatus", "Equals", "Failed", &["job-3"][..]),
            ("TrainingJobStatus", "NotEquals", "Completed", &["job-3"]),
            ("TrainingJobName", "Contains", "-4", &["job-4"]),
            ("TrainingJobName", "In", "job-1, job-5", &["job-1", "job-5"]),
            ("Tags.team", "Equals", "red", &["job-2", "job-4"]),
            ("Tags.none", "Exists", "x", &[]),
            ("HyperParameters.learning.rate", "LessThan", "0.25", &["job-1", "job-2"]),
            ("Metrics.loss", "GreaterThanOrEqualTo", "8", &["job-1", "job-2"]),
            ("CreationTime", "GreaterThan", "2026-01-01T00:00:03Z", &["job-4", "job-5"]),
            ("CreationTime", "LessThanOrEqualTo", "2026-01-01T00:00:01", &["job-1"]),
            ("InputDataConfig.DataSource.S3DataSource.S3Uri", "Equals", "s3://b/2", &["job-2"]),
        ] {
            assert_eq!(filtered(&store, name, operator, value), expected, "{name} {operator} {value}");
        }
    }

    #[test]
    fn expressions_combine_and_pages_are_whole() {
        let (_folder, store) = store();
        let filter = |name: &str, value: &str| json!({"Name": name, "Value": value});
        let either = json!({"Operator": "Or", "Filters": [filter("TrainingJobName", "job-1"), filter("Tags.team", "red")]});
        assert_eq!(found(&store, &json!({"SearchExpression": either, "MaxResults": 1})), ["job-1", "job-2", "job-4"]);
        let nested = |channel: &str| {
            json!({"SearchExpression": {"NestedFilters": [{"NestedPropertyName": "InputDataConfig", "Filters": [
                filter("InputDataConfig.ChannelName", channel),
                filter("InputDataConfig.DataSource.S3DataSource.S3Uri", "s3://b/2"),
            ]}]}})
        };
        assert_eq!(found(&store, &nested("a")), ["job-2"]);
        assert!(found(&store, &nested("b")).is_empty());
        assert_eq!(
            found(&store, &json!({"MaxResults": 2})),
            ["job-1", "job-2", "job-3", "job-4", "job-5"],
            "newest change first"
        );
    }

    #[test]
    fn a_record_has_the_members_of_its_shape() {
        let (_folder, store) = store();
        let request = shapes::accept("Search", json!({"Resource": "TrainingJob", "MaxResults": 1})).expect("fits");
        let answer = search(&store, &request).expect("answers");
        let record = &answer["Results"][0]["TrainingJob"];
        assert_eq!(record["Tags"], json!([{"Key": "team", "Value": "blue"}]));
        assert!(record.get("ProfilingStatus").is_none());
        assert_eq!(answer["TotalHits"], json!({"Value": 5, "Relation": "EqualTo"}));
        let others = shapes::accept("Search", json!({"Resource": "Experiment"})).expect("fits");
        assert_eq!(search(&store, &others).expect("answers")["Results"], json!([]));
    }
}
