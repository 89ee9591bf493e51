//! Groups and streams: describing, creating, deleting.

use rusqlite::{Connection, params, params_from_iter, types::Value as Sql};
use serde_json::{Value, json};

use super::super::ACCOUNT;
use super::super::fault::Fault;
use super::super::wire::input::{boolean, text};
use super::api::{already, group_name, invalid, limit, missing_group, missing_stream};
use super::{Logs, find_group, find_stream};
use crate::local::store::now_millis;

impl Logs {
    pub(super) fn describe_groups(&self, input: &Value) -> Result<Value, Fault> {
        let limit = limit(input, 50, 50)?;
        let prefix = text(input, "logGroupNamePrefix").unwrap_or_default();
        let part = text(input, "logGroupNamePattern").unwrap_or_default();
        let after = text(input, "nextToken").unwrap_or_default();
        let connection = self.store.lock();
        let mut statement = connection
            .prepare_cached(
                "SELECT name, created FROM log_group
                 WHERE substr(name, 1, length(?1)) = ?1 AND instr(lower(name), lower(?2)) > 0 AND name > ?3 ORDER BY name LIMIT ?4",
            )
            .map_err(Fault::internal)?;
        let rows = statement
            .query_map(params![prefix, part, after, take(limit)], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
            .map_err(Fault::internal)?;
        let mut groups = rows.collect::<Result<Vec<_>, _>>().map_err(Fault::internal)?;
        let more = groups.len() > limit;
        groups.truncate(limit);
        let next = groups.last().map(|(name, _)| name.clone()).filter(|_| more);
        let groups: Vec<Value> = groups
            .iter()
            .map(|(name, created)| {
                let arn = self.group_arn(name);
                json!({
                    "logGroupName": name, "creationTime": created, "metricFilterCount": 0, "storedBytes": 0,
                    "arn": format!("{arn}:*"), "logGroupArn": arn, "logGroupClass": "STANDARD",
                })
            })
            .collect();
        Ok(with_token(json!({"logGroups": groups}), next))
    }

    pub(super) fn describe_streams(&self, input: &Value) -> Result<Value, Fault> {
        let group_name = group_name(input)?;
        let limit = limit(input, 50, 50)?;
        let prefix = text(input, "logStreamNamePrefix");
        let by_time = match text(input, "orderBy") {
            None | Some("LogStreamName") => false,
            Some("LastEventTime") => true,
            Some(other) => {
                return Err(invalid(format!(
                    "1 validation error detected: Value '{other}' at 'orderBy' failed to satisfy constraint: Member must satisfy enum value set: [LogStreamName, LastEventTime]"
                )));
            }
        };
        if by_time && prefix.is_some() {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        let descending = boolean(input, "descending");
        let connection = self.store.lock();
        let group = find_group(&connection, group_name).map_err(Fault::internal)?.ok_or_else(missing_group)?;
        let (direction, compare) = if descending { ("DESC", "<") } else { ("ASC", ">") };
        // A bare 0 in ORDER BY would name a column.
        let order = if by_time { "coalesce(last, 0)" } else { "(0 + 0)" };
        let mut values = vec![Sql::Integer(group), Sql::Text(prefix.unwrap_or_default().to_owned())];
        let mut condition = String::new();
        if let Some(token) = text(input, "nextToken") {
            let (time, name) = token
                .split_once(':')
                .and_then(|(time, name)| Some((time.parse::<i64>().ok()?, name)))
                .ok_or_else(|| invalid("The specified nextToken is invalid."))?;
            condition = format!("AND ({order}, name) {compare} (?3, ?4)");
            values.extend([Sql::Integer(time), Sql::Text(name.to_owned())]);
        }
        let sql = format!(
            "SELECT name, created, first, last, ingested, count, {order} FROM stream
             WHERE log_group = ?1 AND substr(name, 1, length(?2)) = ?2 {condition} ORDER BY {order} {direction}, name {direction} LIMIT {}",
            take(limit)
        );
        let mut statement = connection.prepare_cached(&sql).map_err(Fault::internal)?;
        let rows = statement.query_map(params_from_iter(values), Stream::read).map_err(Fault::internal)?;
        let mut streams = rows.collect::<Result<Vec<_>, _>>().map_err(Fault::internal)?;
        // The sagemaker SDK asks again for as long as there is a token and never sends it: only a real next page has one.
        let more = streams.len() > limit;
        streams.truncate(limit);
        let next = streams.last().filter(|_| more).map(|stream| format!("{}:{}", stream.rank, stream.name));
        let arn = self.group_arn(group_name);
        let streams: Vec<Value> = streams.iter().map(|stream| stream.describe(&arn)).collect();
        Ok(with_token(json!({"logStreams": streams}), next))
    }

    pub(super) fn create_group(&self, input: &Value) -> Result<Value, Fault> {
        let name = text(input, "logGroupName").ok_or_else(|| invalid("logGroupName is required"))?;
        let known = |character: char| character.is_ascii_alphanumeric() || "._/#-".contains(character);
        if name.len() > 512 || !name.chars().all(known) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{name}' at 'logGroupName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+"
            )));
        }
        let connection = self.store.lock();
        let made = connection
            .execute("INSERT INTO log_group (name, created) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![name, now_millis()])
            .map_err(Fault::internal)?;
        if made == 0 {
            return Err(already("The specified log group already exists"));
        }
        Ok(json!({}))
    }

    pub(super) fn create_stream(&self, input: &Value) -> Result<Value, Fault> {
        let group = group_name(input)?;
        let name = text(input, "logStreamName").ok_or_else(|| invalid("logStreamName is required"))?;
        if name.chars().count() > 512 || name.contains([':', '*']) {
            return Err(invalid(format!(
                "1 validation error detected: Value '{name}' at 'logStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [^:*]*"
            )));
        }
        let connection = self.store.lock();
        let group = find_group(&connection, group).map_err(Fault::internal)?.ok_or_else(missing_group)?;
        let made = connection
            .execute(
                "INSERT INTO stream (log_group, name, created) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                params![group, name, now_millis()],
            )
            .map_err(Fault::internal)?;
        if made == 0 {
            return Err(already("The specified log stream already exists"));
        }
        Ok(json!({}))
    }

    pub(super) fn delete_group(&self, input: &Value) -> Result<Value, Fault> {
        let name = group_name(input)?;
        let mut connection = self.store.lock();
        let transaction = connection.transaction().map_err(Fault::internal)?;
        let group = find_group(&transaction, name).map_err(Fault::internal)?.ok_or_else(missing_group)?;
        delete(&transaction, "log_group = ?1", params![group])?;
        transaction.execute("DELETE FROM log_group WHERE id = ?1", [group]).map_err(Fault::internal)?;
        transaction.commit().map_err(Fault::internal)?;
        Ok(json!({}))
    }

    pub(super) fn delete_stream(&self, input: &Value) -> Result<Value, Fault> {
        let name = text(input, "logStreamName").ok_or_else(|| invalid("logStreamName is required"))?;
        let mut connection = self.store.lock();
        let transaction = connection.transaction().map_err(Fault::internal)?;
        let group = find_group(&transaction, group_name(input)?).map_err(Fault::internal)?.ok_or_else(missing_group)?;
        find_stream(&transaction, group, name).map_err(Fault::internal)?.ok_or_else(missing_stream)?;
        delete(&transaction, "log_group = ?1 AND name = ?2", params![group, name])?;
        transaction.commit().map_err(Fault::internal)?;
        Ok(json!({}))
    }

    fn group_arn(&self, name: &str) -> String {
        format!("arn:aws:logs:{}:{ACCOUNT}:log-group:{name}", self.region)
    }
}

struct Stream {
    name: String,
    created: i64,
    first: Option<i64>,
    last: Option<i64>,
    ingested: Option<i64>,
    count: i64,
    rank: i64,
}

impl Stream {
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            created: row.get(1)?,
            first: row.get(2)?,
            last: row.get(3)?,
            ingested: row.get(4)?,
            count: row.get(5)?,
            rank: row.get(6)?,
        })
    }

    fn describe(&self, group_arn: &str) -> Value {
        let mut answer = json!({
            "logStreamName": self.name, "creationTime": self.created, "arn": format!("{group_arn}:log-stream:{}", self.name),
            "storedBytes": 0, "uploadSequenceToken": format!("{:056}", self.count),
        });
        let times =
            [("firstEventTimestamp", self.first), ("lastEventTimestamp", self.last), ("lastIngestionTime", self.ingested)];
        for (name, time) in times {
            if let Some(time) = time {
                answer[name] = json!(time);
            }
        }
        answer
    }
}

fn delete(connection: &Connection, streams: &str, values: &[&dyn rusqlite::ToSql]) -> Result<(), Fault> {
    for sql in [
        format!("DELETE FROM event WHERE stream IN (SELECT id FROM stream WHERE {streams})"),
        format!("DELETE FROM stream WHERE {streams}"),
    ] {
        connection.execute(&sql, values).map_err(Fault::internal)?;
    }
    Ok(())
}

fn with_token(mut answer: Value, next: Option<String>) -> Value {
    if let Some(next) = next {
        answer["nextToken"] = Value::String(next);
    }
    answer
}

/// One more than the page, to know whether there is another.
fn take(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}
