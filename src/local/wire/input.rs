//! Reading members of an input, whichever protocol brought it: the query protocol sends every number as text, and times
//! come as epoch seconds (JSON, CBOR) or as ISO 8601 (query).

use serde_json::Value;

/// A text member; absent, null and empty are the same to AWS.
pub fn text<'a>(input: &'a Value, name: &str) -> Option<&'a str> {
    input.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// A whole number.
pub fn integer(input: &Value, name: &str) -> Option<i64> {
    match input.get(name)? {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().filter(|value| value.fract() == 0.0).map(whole)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Any number.
pub fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A truth value; absent is false.
pub fn boolean(input: &Value, name: &str) -> bool {
    match input.get(name) {
        Some(Value::Bool(value)) => *value,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

/// A time, as milliseconds since the epoch.
pub fn millis(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_f64().map(|seconds| whole((seconds * 1000.0).round())),
        Value::String(text) => text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).ok().or_else(|| {
            let seconds: f64 = text.parse().ok()?;
            Some(whole((seconds * 1000.0).round()))
        }),
        _ => None,
    }
}

/// The elements of a list member; absent is empty.
pub fn list<'a>(input: &'a Value, name: &str) -> &'a [Value] {
    input.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[allow(clippy::cast_possible_truncation, reason = "saturates, which is what a time or count out of range should do")]
fn whole(value: f64) -> i64 {
    value as i64
}
