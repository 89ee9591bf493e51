//! `FilterLogEvents`: many streams merged by time, filtered, in pages.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::filter::Pattern;
use super::pages::{Budget, Window};

/// How many events one call looks at; when few match, a page comes back short or empty and with a token, as the service
/// does it (documented: partial results, even none, are possible).
const SCAN_LIMIT: usize = 100_000;

/// Time, stream, number: the order of the answer.
type Place = (i64, i64, i64);

/// One answer of `FilterLogEvents` over these streams (id and name).
pub fn page(
    connection: &Connection,
    streams: &[(i64, String)],
    window: Window,
    pattern: &Pattern,
    token: Option<&str>,
) -> Result<Value, Fault> {
    let after = match token {
        Some(token) => {
            parse(token).ok_or_else(|| Fault::new("InvalidParameterException", 400, "The specified nextToken is invalid."))?
        }
        None => (i64::MIN, 0, 0),
    };
    merge(connection, streams, window, pattern, after).map_err(Fault::internal)
}

fn merge(
    connection: &Connection,
    streams: &[(i64, String)],
    window: Window,
    pattern: &Pattern,
    after: Place,
) -> rusqlite::Result<Value> {
    let sql = "SELECT time, number, ingested, message FROM event
         WHERE stream = ?1 AND (time, number) > (?2, ?3) AND time >= ?4 AND time < ?5 ORDER BY time, number";
    let mut statements = streams.iter().map(|_| connection.prepare(sql)).collect::<rusqlite::Result<Vec<_>>>()?;
    let mut cursors = Vec::with_capacity(streams.len());
    for (statement, (id, _)) in statements.iter_mut().zip(streams) {
        // Of events of the same time, streams before the token's have been delivered and streams after it have not.
        let number = match id.cmp(&after.1) {
            std::cmp::Ordering::Less => i64::MAX,
            std::cmp::Ordering::Equal => after.2,
            std::cmp::Ordering::Greater => 0,
        };
        cursors.push(statement.query(params![id, after.0, number, window.start, window.end])?);
    }
    let mut heads = BinaryHeap::new();
    for (at, cursor) in cursors.iter_mut().enumerate() {
        if let Some(row) = cursor.next()? {
            heads.push(Reverse((
                row.get::<_, i64>(0)?,
                streams[at].0,
                row.get::<_, i64>(1)?,
                at,
                row.get::<_, i64>(2)?,
                row.get::<_, String>(3)?,
            )));
        }
    }
    let mut budget = Budget::full(window.limit);
    let (mut events, mut scanned, mut place, mut more) = (Vec::new(), 0, after, false);
    while let Some(Reverse((time, stream, number, at, ingested, message))) = heads.pop() {
        scanned += 1;
        if scanned > SCAN_LIMIT {
            more = true;
            break;
        }
        if pattern.matches(&message) {
            if !budget.take_length(message.len(), events.is_empty()) {
                more = true;
                break;
            }
            events.push(json!({
                "logStreamName": streams[at].1, "timestamp": time, "message": message, "ingestionTime": ingested,
                "eventId": format!("{time:019}{stream:018}{number:019}"),
            }));
        }
        place = (time, stream, number);
        if let Some(row) = cursors[at].next()? {
            heads.push(Reverse((row.get(0)?, stream, row.get(1)?, at, row.get(2)?, row.get(3)?)));
        }
    }
    let mut answer = json!({"events": events, "searchedLogStreams": []});
    if more {
        answer["nextToken"] = Value::String(format!("{:019}.{}.{}", place.0, place.1, place.2));
    }
    Ok(answer)
}

fn parse(token: &str) -> Option<Place> {
    let mut numbers = token.split('.').map(str::parse::<i64>);
    let place = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    numbers.next().is_none().then_some(place)
}
