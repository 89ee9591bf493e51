//! AWS JSON 1.0 and 1.1.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Reply, shape};
use crate::local::fault::Fault;

/// The input of a call; no body is an empty input.
///
/// # Errors
/// `SerializationException`, as the services answer broken JSON.
pub fn read(body: &[u8]) -> Result<Value, Fault> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(Fault::new("SerializationException", 400, "The request body is not a JSON object")),
    }
}

/// An answer, as `application/x-amz-json-VERSION`.
pub fn write(version: &'static str, result: Result<Value, Fault>) -> Reply {
    let content_type = if version == "1.0" { "application/x-amz-json-1.0" } else { "application/x-amz-json-1.1" };
    match result {
        // An operation without output answers with no body at all.
        Ok(Value::Null) => Reply { status: 200, content_type, headers: Vec::new(), body: Bytes::new() },
        Ok(value) => Reply { status: 200, content_type, headers: Vec::new(), body: value.to_string().into() },
        Err(fault) => Reply {
            status: fault.status,
            content_type,
            headers: error_headers(&fault),
            body: json!({"__type": shape(fault.code), "message": fault.message}).to_string().into(),
        },
    }
}

/// `x-amzn-errortype`; and for services that once spoke the query protocol, the code it had there.
pub(super) fn error_headers(fault: &Fault) -> Vec<(&'static str, String)> {
    let shape = shape(fault.code);
    let mut headers = vec![("x-amzn-errortype", shape.to_owned())];
    if shape != fault.code {
        let side = if fault.status < 500 { "Sender" } else { "Receiver" };
        headers.push(("x-amzn-query-error", format!("{};{side}", fault.code)));
    }
    headers
}
