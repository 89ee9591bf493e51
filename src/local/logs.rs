//! CloudWatch Logs.

mod api;
mod filter;
mod merge;
mod pages;
mod streams;

use std::io;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use super::store::{Store, io_error, now_millis};

/// One event of a log stream: milliseconds since the epoch, and the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    pub timestamp: i64,
    pub message: String,
}

/// All log groups of the region.
pub struct Logs {
    store: Store,
    region: String,
}

/// Events are numbered within their stream in the order they came in; that number is their ingestion order.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS log_group (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS stream (
    id INTEGER PRIMARY KEY, log_group INTEGER NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
    first INTEGER, last INTEGER, ingested INTEGER, count INTEGER NOT NULL DEFAULT 0, UNIQUE (log_group, name));
CREATE TABLE IF NOT EXISTS event (
    stream INTEGER NOT NULL, number INTEGER NOT NULL, time INTEGER NOT NULL, ingested INTEGER NOT NULL,
    message TEXT NOT NULL, PRIMARY KEY (stream, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS event_by_time ON event (stream, time, number);
";

/// The service takes events of up to 256 KiB, of which 26 bytes are its own (`PutLogEvents` documentation).
const MESSAGE_LIMIT: usize = 256 * 1024 - 26;

impl Logs {
    /// Opens the logs kept in this folder, creating it when it is new.
    ///
    /// # Errors
    /// When the folder cannot be written or the file in it is damaged.
    pub fn open(folder: &Path, region: &str) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { store: Store::open(&folder.join("logs.sqlite"), SCHEMA, 1)?, region: region.to_owned() })
    }

    /// Appends events, creating group and stream when they are not there yet (as the service does for jobs). Blocking;
    /// durable when it returns. One batch is one transaction.
    ///
    /// A message above 256 KiB becomes several events of the same time (assumed: the service's own log driver splits so).
    ///
    /// # Errors
    /// When the disk is full or fails; then nothing of the batch is stored.
    pub fn append(&self, group: &str, stream: &str, events: &[LogEvent]) -> io::Result<()> {
        let mut connection = self.store.lock();
        let transaction = connection.transaction().map_err(io_error)?;
        let now = now_millis();
        let stream = ensure_stream(&transaction, group, stream, now).map_err(io_error)?;
        insert(&transaction, stream, events, now).map_err(io_error)?;
        transaction.commit().map_err(io_error)
    }
}

fn ensure_stream(connection: &Connection, group: &str, stream: &str, now: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("INSERT INTO log_group (name, created) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute(params![group, now])?;
    let group = find_group(connection, group)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    connection
        .prepare_cached("INSERT INTO stream (log_group, name, created) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![group, stream, now])?;
    find_stream(connection, group, stream)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn find_group(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection.prepare_cached("SELECT id FROM log_group WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

fn find_stream(connection: &Connection, group: i64, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT id FROM stream WHERE log_group = ?1 AND name = ?2")?
        .query_row(params![group, name], |row| row.get(0))
        .optional()
}

/// Adds events to an existing stream, inside the caller's transaction.
fn insert(connection: &Connection, stream: i64, events: &[LogEvent], now: i64) -> rusqlite::Result<()> {
    let mut number: i64 =
        connection.prepare_cached("SELECT count FROM stream WHERE id = ?1")?.query_row([stream], |row| row.get(0))?;
    let mut statement =
        connection.prepare_cached("INSERT INTO event (stream, number, time, ingested, message) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for event in events {
        for piece in pieces(&event.message) {
            number += 1;
            statement.execute(params![stream, number, event.timestamp, now, piece])?;
        }
    }
    let times = || events.iter().map(|event| event.timestamp);
    let (Some(first), Some(last)) = (times().min(), times().max()) else { return Ok(()) };
    connection
        .prepare_cached(
            "UPDATE stream SET count = ?2, first = min(coalesce(first, ?3), ?3), last = max(coalesce(last, ?4), ?4), ingested = ?5
             WHERE id = ?1",
        )?
        .execute(params![stream, number, first, last, now])?;
    Ok(())
}

/// Cuts at character boundaries so that no piece is above the limit; an empty message is one empty piece.
fn pieces(message: &str) -> Vec<&str> {
    let mut rest = message;
    let mut pieces = Vec::with_capacity(1);
    while rest.len() > MESSAGE_LIMIT {
        let (head, tail) = rest.split_at(rest.floor_char_boundary(MESSAGE_LIMIT));
        pieces.push(head);
        rest = tail;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_thousand_lines_are_one_quick_batch() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path(), "us-east-1").unwrap();
        let events: Vec<LogEvent> =
            (0..100_000).map(|number| LogEvent { timestamp: 1_000 + number / 50, message: format!("line {number}") }).collect();
        let start = std::time::Instant::now();
        logs.append("/g", "s", &events).unwrap();
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
        let mut input = serde_json::json!({"logGroupName": "/g", "logStreamName": "s", "startFromHead": true});
        let mut seen = 0;
        loop {
            let page = logs.call("GetLogEvents", &input).unwrap();
            seen += page["events"].as_array().unwrap().len();
            if page["nextForwardToken"] == input["nextToken"] {
                break;
            }
            input["nextToken"] = page["nextForwardToken"].clone();
        }
        assert_eq!(seen, 100_000);
    }

    #[test]
    fn a_page_holds_a_megabyte_and_a_long_message_comes_in_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let logs = Logs::open(folder.path(), "us-east-1").unwrap();
        let long = "ü".repeat(1_000_000);
        logs.append("/g", "s", &[LogEvent { timestamp: 5, message: long.clone() }]).unwrap();
        let mut input = serde_json::json!({"logGroupName": "/g", "logStreamName": "s", "startFromHead": true});
        let mut text = String::new();
        let mut pages = 0;
        loop {
            let page = logs.call("GetLogEvents", &input).unwrap();
            let messages: Vec<&str> =
                page["events"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str()).collect();
            assert!(messages.iter().all(|message| message.len() <= MESSAGE_LIMIT));
            assert!(messages.iter().map(|message| message.len()).sum::<usize>() <= 1_048_576);
            text.extend(messages);
            if page["nextForwardToken"] == input["nextToken"] {
                break;
            }
            pages += 1;
            input["nextToken"] = page["nextForwardToken"].clone();
        }
        assert_eq!(pages, 2);
        assert!(text == long, "the pieces are the message");
    }
}
