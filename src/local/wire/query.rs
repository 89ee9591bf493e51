//! The query protocol: a form in, XML out.

use std::fmt::Write as _;

use percent_encoding::percent_decode;
use quick_xml::escape::escape;
use serde_json::{Map, Value};

use super::{Reply, is_time};
use crate::local::fault::Fault;

/// How deep and how wide a form may nest; real calls stay far below.
const DEPTH: usize = 16;
const WIDTH: usize = 10_000;

/// Operation and input of a form; `MetricData.member.1.Value=3` becomes `{"MetricData": [{"Value": "3"}]}`.
///
/// # Errors
/// `MissingAction` without `Action`; `MalformedQueryString` for a form that does not nest.
pub fn read(body: &[u8]) -> Result<(String, Value), Fault> {
    let mut input = Value::Object(Map::new());
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = (decode(&pair[..at]), decode(pair.get(at + 1..).unwrap_or_default()));
        let path: Vec<&str> = name.split('.').collect();
        if path.len() > DEPTH {
            return Err(malformed());
        }
        place(&mut input, &path, value)?;
    }
    let action = input.get("Action").and_then(Value::as_str).map(str::to_owned);
    let action = action.ok_or_else(|| Fault::new("MissingAction", 400, "The request must contain the parameter Action"))?;
    Ok((action, input))
}

/// An answer: the members inside `<OPERATIONResult>`, or the error document.
pub fn write(operation: &str, namespace: &str, request_id: &str, result: Result<Value, Fault>) -> Reply {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let status = match result {
        Ok(value) => {
            _ = write!(text, "<{operation}Response xmlns=\"{namespace}\">");
            if value.as_object().is_some_and(|members| !members.is_empty()) {
                element(&mut text, &format!("{operation}Result"), &value);
            }
            _ = write!(text, "<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>");
            200
        }
        Err(fault) => {
            let side = if fault.status < 500 { "Sender" } else { "Receiver" };
            _ = write!(
                text,
                "<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{side}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                fault.code,
                escape(&fault.message)
            );
            fault.status
        }
    };
    Reply { status, content_type: "text/xml", headers: Vec::new(), body: text.into() }
}

fn place(into: &mut Value, path: &[&str], value: String) -> Result<(), Fault> {
    let Some((first, rest)) = path.split_first() else {
        *into = Value::String(value);
        return Ok(());
    };
    if *first == "member"
        && let Some((index, rest)) = rest.split_first()
    {
        let index = index.parse::<usize>().ok().filter(|index| (1..=WIDTH).contains(index)).ok_or_else(malformed)?;
        if into.is_null() || into.as_object().is_some_and(Map::is_empty) {
            *into = Value::Array(Vec::new());
        }
        let items = into.as_array_mut().ok_or_else(malformed)?;
        if items.len() < index {
            items.resize(index, Value::Null);
        }
        return place(&mut items[index - 1], rest, value);
    }
    if into.is_null() {
        *into = Value::Object(Map::new());
    }
    let members = into.as_object_mut().ok_or_else(malformed)?;
    place(members.entry((*first).to_owned()).or_insert(Value::Null), rest, value)
}

fn element(text: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        // The one map in an answer; all other objects are structures.
        Value::Object(members) if name == "ExtendedStatistics" => {
            _ = write!(text, "<{name}>");
            for (key, value) in members {
                _ = write!(text, "<entry><key>{}</key><value>{value}</value></entry>", escape(key.as_str()));
            }
            _ = write!(text, "</{name}>");
        }
        Value::Object(members) => {
            _ = write!(text, "<{name}>");
            for (name, value) in members {
                element(text, name, value);
            }
            _ = write!(text, "</{name}>");
        }
        Value::Array(items) => {
            _ = write!(text, "<{name}>");
            for item in items {
                // The items of a list of times are times.
                let item = if is_time(name) { Value::String(iso(item)) } else { item.clone() };
                element(text, "member", &item);
            }
            _ = write!(text, "</{name}>");
        }
        Value::String(content) => _ = write!(text, "<{name}>{}</{name}>", escape(content.as_str())),
        number if is_time(name) => _ = write!(text, "<{name}>{}</{name}>", iso(number)),
        other => _ = write!(text, "<{name}>{other}</{name}>"),
    }
}

/// Epoch seconds as ISO 8601.
fn iso(seconds: &Value) -> String {
    let seconds = seconds.as_f64().unwrap_or(0.0);
    let time = jiff::SignedDuration::try_from_secs_f64(seconds).ok().and_then(|since| jiff::Timestamp::from_duration(since).ok());
    time.unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// A name or value of a form.
pub(super) fn decode(bytes: &[u8]) -> String {
    let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8_lossy().into_owned()
}

/// A form that does not nest.
pub(super) fn malformed() -> Fault {
    Fault::new("MalformedQueryString", 400, "The query string contains a syntax error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_nests() {
        let form = b"Action=PutMetricData&Namespace=a+b&MetricData.member.2.Value=2&MetricData.member.1.Value=1&MetricData.member.1.Dimensions.member.1.Name=%C3%BC";
        let (action, input) = read(form).unwrap();
        assert_eq!(action, "PutMetricData");
        assert_eq!(input["Namespace"], "a b");
        assert_eq!(input["MetricData"][0]["Dimensions"][0]["Name"], "ü");
        assert_eq!(input["MetricData"][1]["Value"], "2");
    }

    #[test]
    fn a_hostile_form_is_an_error_and_no_panic() {
        for form in [
            "Action=a&x.member.99999999.y=1",
            "x=1",
            "Action=a&a=1&a.b=2",
            "Action=a&l.member.1=1&l.b=1",
            &format!("Action=a&{}=1", "x.".repeat(5000)),
        ] {
            assert!(read(form.as_bytes()).is_err(), "{}", &form[..form.len().min(60)]);
        }
    }
}
