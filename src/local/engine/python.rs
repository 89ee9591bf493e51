//! Python's own texts of JSON values: the toolkit passes hyperparameters through `json.loads`, `str` and `json.dumps`, and
//! a script must see the same characters here.

use serde_json::Value;

/// A hyperparameter as the toolkit decodes it: JSON when it is JSON, else the text itself.
#[must_use]
pub fn decode(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// `str(value)`: what comes on the command line.
#[must_use]
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => repr(other),
    }
}

/// `repr(value)`: as a value shows inside a list.
fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => self::number(number),
        Value::String(text) => quote(text),
        Value::Array(values) => format!("[{}]", values.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{}: {}", quote(key), repr(value))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

/// Python quotes with `'` unless the text has that one and no `"`.
fn quote(text: &str) -> String {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut quoted = String::from(mark);
    for character in text.chars() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\\' => quoted.push_str("\\\\"),
            other if other == mark => quoted.extend(['\\', other]),
            other => quoted.push(other),
        }
    }
    quoted.push(mark);
    quoted
}

/// `json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)`.
#[must_use]
pub fn dumps(value: &Value) -> String {
    match value {
        Value::Number(number) => self::number(number),
        Value::Array(values) => format!("[{}]", values.iter().map(dumps).collect::<Vec<_>>().join(",")),
        Value::Object(entries) => {
            let mut sorted: Vec<_> = entries.iter().collect();
            sorted.sort_by_key(|(key, _)| key.as_str());
            let entries: Vec<String> =
                sorted.into_iter().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), dumps(value))).collect();
            format!("{{{}}}", entries.join(","))
        }
        other => other.to_string(),
    }
}

fn number(number: &serde_json::Number) -> String {
    match number.as_f64() {
        Some(value) if number.is_f64() => float(value),
        _ => number.to_string(),
    }
}

/// `repr` of a float: the shortest digits, with an exponent below 1e-4 and from 1e16 on.
fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{value:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyperparameters_look_as_python_shows_them() {
        for (sent, shown) in [
            ("\"dog breeds\"", "dog breeds"),
            ("0.05", "0.05"),
            ("1e-05", "1e-05"),
            ("0.00001", "1e-05"),
            ("1e16", "1e+16"),
            ("100000.0", "100000.0"),
            ("128", "128"),
            ("true", "True"),
            ("null", "None"),
            ("[1, \"a\", 0.5]", "[1, 'a', 0.5]"),
            ("not json", "not json"),
            ("\"128\"", "128"),
            ("0", "0"),
            ("-0.0", "-0.0"),
            ("[\"it's\"]", "[\"it's\"]"),
        ] {
            assert_eq!(plain(&decode(sent)), shown, "{sent}");
        }
    }

    #[test]
    fn json_is_compact_and_sorted() {
        assert_eq!(dumps(&decode("{\"b\": 1e-5, \"a\": [true, null, \"ä\"]}")), "{\"a\":[true,null,\"ä\"],\"b\":1e-05}");
    }
}
