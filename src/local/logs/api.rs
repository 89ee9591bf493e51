//! The operations of `Logs_20140328` (service model 2014-03-28).

use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::wire::input::{boolean, integer, list, text};
use super::filter::Pattern;
use super::pages::{self, Window};
use super::{LogEvent, Logs, find_group, find_stream, insert, merge};
use crate::local::store::now_millis;

impl Logs {
    /// One call of the API. Blocking.
    ///
    /// # Errors
    /// The service's own faults; `UnknownOperationException` for what the local region does not know.
    pub fn call(&self, operation: &str, input: &Value) -> Result<Value, Fault> {
        match operation {
            "DescribeLogGroups" => self.describe_groups(input),
            "DescribeLogStreams" => self.describe_streams(input),
            "GetLogEvents" => self.get_events(input),
            "FilterLogEvents" => self.filter_events(input),
            "PutLogEvents" => self.put_events(input),
            "CreateLogGroup" => self.create_group(input),
            "CreateLogStream" => self.create_stream(input),
            "DeleteLogGroup" => self.delete_group(input),
            "DeleteLogStream" => self.delete_stream(input),
            _ => Err(Fault::new("UnknownOperationException", 400, format!("The local region does not know logs {operation}"))),
        }
    }

    fn get_events(&self, input: &Value) -> Result<Value, Fault> {
        let group = group_name(input)?;
        let name = text(input, "logStreamName").ok_or_else(|| invalid("logStreamName is required"))?;
        let window = window(input)?;
        let connection = self.store.lock();
        let group = find_group(&connection, group).map_err(Fault::internal)?.ok_or_else(missing_group)?;
        let stream = find_stream(&connection, group, name).map_err(Fault::internal)?.ok_or_else(missing_stream)?;
        pages::page(&connection, stream, window, text(input, "nextToken"))
    }

    fn filter_events(&self, input: &Value) -> Result<Value, Fault> {
        let group = group_name(input)?;
        let window = window(input)?;
        let pattern = Pattern::parse(text(input, "filterPattern").unwrap_or_default())?;
        let names = list(input, "logStreamNames");
        let prefix = text(input, "logStreamNamePrefix");
        if !names.is_empty() && prefix.is_some() {
            return Err(invalid("logStreamNamePrefix and logStreamNames cannot both be given"));
        }
        let connection = self.store.lock();
        let group = find_group(&connection, group).map_err(Fault::internal)?.ok_or_else(missing_group)?;
        let mut streams = Vec::new();
        for name in names.iter().filter_map(Value::as_str) {
            let id = find_stream(&connection, group, name).map_err(Fault::internal)?.ok_or_else(missing_stream)?;
            streams.push((id, name.to_owned()));
        }
        if names.is_empty() {
            let mut statement = connection
                .prepare_cached(
                    "SELECT id, name FROM stream WHERE log_group = ?1 AND substr(name, 1, length(?2)) = ?2 ORDER BY id",
                )
                .map_err(Fault::internal)?;
            let rows = statement
                .query_map(rusqlite::params![group, prefix.unwrap_or_default()], |row| Ok((row.get(0)?, row.get(1)?)))
                .map_err(Fault::internal)?;
            streams = rows.collect::<Result<_, _>>().map_err(Fault::internal)?;
        }
        merge::page(&connection, &streams, window, &pattern, text(input, "nextToken"))
    }

    fn put_events(&self, input: &Value) -> Result<Value, Fault> {
        let group = group_name(input)?;
        let name = text(input, "logStreamName").ok_or_else(|| invalid("logStreamName is required"))?;
        let mut events = Vec::new();
        for event in list(input, "logEvents") {
            let timestamp = integer(event, "timestamp").filter(|time| *time >= 0);
            let (Some(timestamp), Some(message)) = (timestamp, text(event, "message")) else {
                return Err(invalid("Each of logEvents needs a timestamp (milliseconds, not negative) and a message"));
            };
            events.push(LogEvent { timestamp, message: message.to_owned() });
        }
        if events.is_empty() || events.len() > 10_000 {
            return Err(invalid(format!("logEvents holds {} events: send 1 to 10,000", events.len())));
        }
        if !events.is_sorted_by_key(|event| event.timestamp) {
            return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
        }
        let mut connection = self.store.lock();
        let transaction = connection.transaction().map_err(Fault::internal)?;
        let group = find_group(&transaction, group).map_err(Fault::internal)?.ok_or_else(missing_group)?;
        let stream = find_stream(&transaction, group, name).map_err(Fault::internal)?.ok_or_else(missing_stream)?;
        insert(&transaction, stream, &events, now_millis()).map_err(Fault::internal)?;
        let count: i64 = transaction
            .query_row("SELECT count FROM stream WHERE id = ?1", [stream], |row| row.get(0))
            .map_err(Fault::internal)?;
        transaction.commit().map_err(Fault::internal)?;
        Ok(json!({"nextSequenceToken": format!("{count:056}")}))
    }
}

fn window(input: &Value) -> Result<Window, Fault> {
    Ok(Window {
        start: integer(input, "startTime").unwrap_or(i64::MIN),
        end: integer(input, "endTime").unwrap_or(i64::MAX),
        limit: limit(input, 10_000, 10_000)?,
        from_head: boolean(input, "startFromHead"),
    })
}

/// The limit of a page, in the words of the service when it is out of range.
pub(super) fn limit(input: &Value, default: usize, most: usize) -> Result<usize, Fault> {
    let Some(value) = input.get("limit").filter(|value| !value.is_null()) else { return Ok(default) };
    let limit = integer(input, "limit").and_then(|limit| usize::try_from(limit).ok());
    match limit {
        Some(limit) if (1..=most).contains(&limit) => Ok(limit),
        Some(limit) if limit > most => Err(invalid(format!(
            "1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: Member must have value less than or equal to {most}"
        ))),
        _ => Err(invalid(format!(
            "1 validation error detected: Value '{value}' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1"
        ))),
    }
}

/// The group by name, or by ARN as `logGroupIdentifier` allows.
pub(super) fn group_name(input: &Value) -> Result<&str, Fault> {
    let identifier = text(input, "logGroupName").or_else(|| text(input, "logGroupIdentifier"));
    let identifier = identifier.ok_or_else(|| invalid("logGroupName is required"))?;
    let name = identifier.split_once(":log-group:").map_or(identifier, |(_, name)| name);
    Ok(name.strip_suffix(":*").unwrap_or(name))
}

pub(super) fn invalid(message: impl Into<String>) -> Fault {
    Fault::new("InvalidParameterException", 400, message)
}

pub(super) fn already(message: &str) -> Fault {
    Fault::new("ResourceAlreadyExistsException", 400, message)
}

pub(super) fn missing_group() -> Fault {
    Fault::new("ResourceNotFoundException", 400, "The specified log group does not exist.")
}

pub(super) fn missing_stream() -> Fault {
    Fault::new("ResourceNotFoundException", 400, "The specified log stream does not exist.")
}
