//! Things as JSON for scripts: plain values, times as RFC 3339, lengths in seconds, sizes in bytes, money in US dollars.

use serde_json::{Map, Value, json};

use crate::model::{Block, Cell, Detail, Item, LogLine, Phase, Preview, Problem, Safe, Spec, State};

/// Prints a value over several lines.
///
/// # Errors
/// When stdout is gone or full.
pub fn print(value: &Value) -> Result<(), crate::model::Failure> {
    super::print::line(&format!("{value:#}"))
}

/// One row: `id`, `state`, `phase`, and each column by its title in lower case.
#[must_use]
pub fn item(spec: &Spec, item: &Item) -> Value {
    let mut object = Map::new();
    object.insert("id".to_owned(), json!(item.id.0));
    insert_state(&mut object, &item.state);
    for (column, value) in spec.columns.iter().zip(&item.cells) {
        // The state is there already, and in more detail.
        if !matches!(value, Cell::State(_)) {
            object.insert(key(column.title), cell(value));
        }
    }
    if let Some(dollars) = item.per_hour {
        object.insert("usd_per_hour".to_owned(), json!(dollars));
    }
    Value::Object(object)
}

/// Everything about one thing; facts are grouped under their titles.
#[must_use]
pub fn detail(detail: &Detail) -> Value {
    let mut object = Map::new();
    object.insert("id".to_owned(), json!(detail.id.0));
    insert_state(&mut object, &detail.state);
    for block in &detail.blocks {
        let (title, value) = match block {
            Block::Facts { title, facts } => {
                // Keys of tags are data, to be told as they are.
                let is_data = title.as_str() == "tags";
                let named = |name: &Safe| if is_data { name.as_str().to_owned() } else { key(name.as_str()) };
                (key(title.as_str()), facts.iter().map(|(name, value)| (named(name), cell(value))).collect())
            }
            Block::Phases(spans) => ("phases".to_owned(), json!(spans)),
            Block::Curves { title, series } => {
                (key(title.as_str()), series.iter().map(|one| (one.name.as_str().to_owned(), json!(one.points))).collect())
            }
            Block::Gauges { title, gauges, .. } => (key(title.as_str()), json!(gauges)),
            Block::Plots(plots) => ("plots".to_owned(), json!(plots)),
            Block::Table { title, head, rows } => (key(title.as_str()), rows.iter().map(|row| self::row(head, row)).collect()),
            Block::Text { title, text } => (key(title.as_str()), json!(text)),
        };
        object.insert(title, value);
    }
    Value::Object(object)
}

/// What would be sent, what it would cost, what it takes of a quota, and what is wrong or unwise.
#[must_use]
pub fn preview(preview: &Preview, problems: &[Problem]) -> Value {
    // What is no JSON is a list of calls, a line each.
    let request = serde_json::from_str(preview.request.as_str()).unwrap_or_else(|_| json!(preview.request));
    let facts: Map<String, Value> = preview.facts.iter().map(|(name, value)| (key(name.as_str()), json!(value))).collect();
    json!({
        "request": request,
        "usd_per_hour": preview.per_hour,
        "quota": preview.quota,
        "facts": facts,
        "problems": problems,
    })
}

/// One line of a log.
#[must_use]
pub fn log_line(host: &str, line: &LogLine) -> Value {
    json!({ "at": line.at, "host": host, "text": line.text })
}

/// A value by itself.
#[must_use]
pub fn cell(cell: &Cell) -> Value {
    match cell {
        Cell::Absent => Value::Null,
        Cell::Text(text) => json!(text),
        Cell::State(state) => json!(state.word),
        Cell::Time(at) | Cell::Since(at) => json!(at),
        Cell::Seconds(number) | Cell::Number(number) | Cell::Share(number) | Cell::Money(number) => json!(number),
        Cell::Count(count) | Cell::Bytes(count) => json!(count),
        Cell::Accrues { since, per_hour } => json!({ "since": since, "usd_per_hour": per_hour }),
        Cell::Spent { before, since, per_hour, least } => {
            json!({ "usd_before": before, "since": since, "usd_per_hour": per_hour, "at_least": least })
        }
        Cell::Trend { last, .. } => json!(last),
    }
}

fn row(head: &[Safe], row: &[Cell]) -> Value {
    head.iter().zip(row).map(|(name, value)| (key(name.as_str()), cell(value))).collect()
}

fn insert_state(object: &mut Map<String, Value>, state: &State) {
    object.insert("state".to_owned(), json!(state.word));
    object.insert("phase".to_owned(), json!(phase(state.phase)));
}

/// A phase as a word for scripts.
#[must_use]
pub fn phase(phase: Phase) -> String {
    format!("{phase:?}").to_lowercase()
}

/// `INSTANCE TYPE` as `instance_type`.
fn key(title: &str) -> String {
    title.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}
