//! `GetLogEvents`: pages of one stream, forward and backward.
//!
//! A forward token says what has been delivered: everything that came in up to `horizon` and is not later than the place
//! (time, number). What remains is what is later than the place, or came in after the horizon; so an event that arrives
//! late with an earlier time still reaches a follower that holds a token (assumed: AWS does not document this case).

use rusqlite::{Connection, Row, params};
use serde_json::{Value, json};

use super::super::fault::Fault;

/// What to read of a stream.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Milliseconds, inclusive.
    pub start: i64,
    /// Milliseconds, exclusive.
    pub end: i64,
    /// Events, 1 to 10,000.
    pub limit: usize,
    pub from_head: bool,
}

/// Documented: a page holds up to 1 MB, each event counting 26 bytes more than its message.
const PAGE_BYTES: usize = 1_048_576;
const EVENT_BYTES: usize = 26;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Forward {
        place: Place,
        horizon: i64,
    },
    /// Everything before the place is still to come.
    Backward {
        place: Place,
    },
}

/// Time, then number: the order of a stream.
type Place = (i64, i64);

struct Event {
    place: Place,
    ingested: i64,
    message: String,
}

/// One answer of `GetLogEvents`.
pub fn page(connection: &Connection, stream: i64, window: Window, token: Option<&str>) -> Result<Value, Fault> {
    let sent = token.map(|text| parse(text).ok_or_else(invalid_token)).transpose()?;
    let newest: i64 =
        connection.query_row("SELECT count FROM stream WHERE id = ?1", [stream], |row| row.get(0)).map_err(Fault::internal)?;
    let start = match sent {
        Some(Token::Forward { place, horizon }) => return forward(connection, stream, window, place, horizon, newest, token),
        Some(Token::Backward { place }) => place,
        None if window.from_head => return forward(connection, stream, window, (0, 0), 0, newest, None),
        None => (i64::MAX, i64::MAX),
    };
    let events = backward(connection, stream, window, start).map_err(Fault::internal)?;
    let (first, last) = (events.first().map(|event| event.place), events.last().map(|event| event.place));
    // Nothing there yet: the forward token then stands before everything.
    let (place, horizon) = last.map_or((if token.is_some() { start } else { (0, 0) }, 0), |place| (place, newest));
    let horizon = if token.is_some() && last.is_none() { newest } else { horizon };
    let back = match (first, token) {
        (None, Some(token)) => token.to_owned(),
        (first, _) => format(Token::Backward { place: first.unwrap_or((0, 0)) }),
    };
    Ok(answer(&events, &format(Token::Forward { place, horizon }), &back))
}

fn forward(
    connection: &Connection,
    stream: i64,
    window: Window,
    place: Place,
    horizon: i64,
    newest: i64,
    sent: Option<&str>,
) -> Result<Value, Fault> {
    let mut budget = Budget { events: window.limit, bytes: PAGE_BYTES };
    let mut events = Vec::new();
    let mut reached = Token::Forward { place, horizon: newest };
    // First what came late, in the order it came, so that a full page can say where it stopped.
    let mut late = connection
        .prepare_cached(
            "SELECT time, number, ingested, message FROM event
             WHERE stream = ?1 AND number > ?2 AND (time, number) <= (?3, ?4) AND time >= ?5 AND time < ?6 ORDER BY number",
        )
        .map_err(Fault::internal)?;
    let mut rows = late.query(params![stream, horizon, place.0, place.1, window.start, window.end]).map_err(Fault::internal)?;
    while let Some(row) = rows.next().map_err(Fault::internal)? {
        let event = read(row).map_err(Fault::internal)?;
        if !budget.take(&event) {
            reached = Token::Forward { place, horizon: events.last().map_or(horizon, |event: &Event| event.place.1) };
            events.sort_by_key(|event| event.place);
            let back = back_of(&events, place);
            return Ok(answer(&events, &format(reached), &back));
        }
        events.push(event);
    }
    events.sort_by_key(|event| event.place);
    let mut ahead = connection
        .prepare_cached(
            "SELECT time, number, ingested, message FROM event
             WHERE stream = ?1 AND (time, number) > (?2, ?3) AND time >= ?4 AND time < ?5 ORDER BY time, number",
        )
        .map_err(Fault::internal)?;
    let mut rows = ahead.query(params![stream, place.0, place.1, window.start, window.end]).map_err(Fault::internal)?;
    while let Some(row) = rows.next().map_err(Fault::internal)? {
        let event = read(row).map_err(Fault::internal)?;
        if !budget.take(&event) {
            break;
        }
        reached = Token::Forward { place: event.place, horizon: newest };
        events.push(event);
    }
    let back = back_of(&events, place);
    let next = match sent {
        // Documented: at the end of the stream the token that was sent comes back.
        Some(sent) if events.is_empty() => sent.to_owned(),
        None if events.is_empty() => format(Token::Forward { place, horizon }),
        _ => format(reached),
    };
    Ok(answer(&events, &next, &back))
}

/// The last events before a place, in ascending order.
fn backward(connection: &Connection, stream: i64, window: Window, place: Place) -> rusqlite::Result<Vec<Event>> {
    let mut budget = Budget { events: window.limit, bytes: PAGE_BYTES };
    let mut statement = connection.prepare_cached(
        "SELECT time, number, ingested, message FROM event
         WHERE stream = ?1 AND (time, number) < (?2, ?3) AND time >= ?4 AND time < ?5 ORDER BY time DESC, number DESC",
    )?;
    let mut rows = statement.query(params![stream, place.0, place.1, window.start, window.end])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let event = read(row)?;
        if !budget.take(&event) {
            break;
        }
        events.push(event);
    }
    events.reverse();
    Ok(events)
}

/// What a page may still hold.
pub(super) struct Budget {
    pub events: usize,
    pub bytes: usize,
}

impl Budget {
    pub(super) fn full(limit: usize) -> Self {
        Self { events: limit, bytes: PAGE_BYTES }
    }

    /// Whether a message of this length still fits; the first always does.
    pub(super) fn take_length(&mut self, length: usize, first: bool) -> bool {
        let cost = length + EVENT_BYTES;
        if self.events == 0 || (cost > self.bytes && !first) {
            return false;
        }
        self.events -= 1;
        self.bytes = self.bytes.saturating_sub(cost);
        true
    }

    fn take(&mut self, event: &Event) -> bool {
        let first = self.bytes == PAGE_BYTES;
        self.take_length(event.message.len(), first)
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event { place: (row.get(0)?, row.get(1)?), ingested: row.get(2)?, message: row.get(3)? })
}

fn back_of(events: &[Event], place: Place) -> String {
    let first = events.first().map_or((place.0, place.1.saturating_add(1)), |event| event.place);
    format(Token::Backward { place: first })
}

fn answer(events: &[Event], forward: &str, backward: &str) -> Value {
    let events: Vec<Value> = events
        .iter()
        .map(|event| json!({"timestamp": event.place.0, "message": event.message, "ingestionTime": event.ingested}))
        .collect();
    json!({"events": events, "nextForwardToken": forward, "nextBackwardToken": backward})
}

/// Tokens are opaque to clients; theirs begin with `f/` and `b/`, and so do ours.
fn format(token: Token) -> String {
    match token {
        Token::Forward { place, horizon } => format!("f/{:019}{:019}{horizon:019}", place.0, place.1),
        Token::Backward { place } => format!("b/{:019}{:019}{:019}", place.0, place.1, 0),
    }
}

fn parse(text: &str) -> Option<Token> {
    let (side, digits) = text.split_once('/')?;
    if digits.len() != 57 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |at: usize| digits[at..at + 19].parse::<i64>().ok();
    let place = (number(0)?, number(19)?);
    match side {
        "f" => Some(Token::Forward { place, horizon: number(38)? }),
        "b" => Some(Token::Backward { place }),
        _ => None,
    }
}

fn invalid_token() -> Fault {
    Fault::new("InvalidParameterException", 400, "The specified nextToken is invalid.")
}
