//! Smithy RPC v2 CBOR: what today's SDKs speak with CloudWatch.

use bytes::Bytes;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value, json};

use super::json::error_headers;
use super::{Reply, is_time, shape};
use crate::local::fault::Fault;

/// CBOR's tag for a time in epoch seconds (RFC 8949, section 3.4.2).
const EPOCH: u64 = 1;

/// The input of a call; no body is an empty input.
///
/// # Errors
/// `SerializationException` when it is not CBOR.
pub fn read(body: &[u8]) -> Result<Value, Fault> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    let value: Cbor = ciborium::from_reader(body).map_err(|_| broken())?;
    to_json(value)
}

/// An answer, as `application/cbor`.
pub fn write(result: Result<Value, Fault>) -> Reply {
    let (status, headers, value) = match result {
        Ok(value) => (200, Vec::new(), value),
        Err(fault) => (fault.status, error_headers(&fault), json!({"__type": shape(fault.code), "message": fault.message})),
    };
    let value = if value.is_null() { json!({}) } else { value };
    let mut body = Vec::new();
    let status = if ciborium::into_writer(&from_json(value, false), &mut body).is_ok() { status } else { 500 };
    let mut headers = headers;
    headers.push(("smithy-protocol", "rpc-v2-cbor".to_owned()));
    Reply { status, content_type: "application/cbor", headers, body: Bytes::from(body) }
}

fn to_json(value: Cbor) -> Result<Value, Fault> {
    Ok(match value {
        Cbor::Integer(number) => {
            let number = i128::from(number);
            let small = i64::try_from(number).map(Number::from).ok();
            Value::Number(small.or_else(|| u64::try_from(number).ok().map(Number::from)).ok_or_else(broken)?)
        }
        // Not every float is a JSON number; the services refuse a missing value where one is needed.
        Cbor::Float(number) => Number::from_f64(number).map_or(Value::Null, Value::Number),
        Cbor::Text(text) => Value::String(text),
        Cbor::Bool(value) => Value::Bool(value),
        Cbor::Tag(EPOCH, inner) => to_json(*inner)?,
        Cbor::Array(items) => Value::Array(items.into_iter().map(to_json).collect::<Result<_, _>>()?),
        Cbor::Map(pairs) => {
            let mut map = Map::new();
            for (name, value) in pairs {
                let Cbor::Text(name) = name else { return Err(broken()) };
                map.insert(name, to_json(value)?);
            }
            Value::Object(map)
        }
        Cbor::Null => Value::Null,
        _ => return Err(broken()),
    })
}

fn from_json(value: Value, time: bool) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(value) => Cbor::Bool(value),
        Value::String(text) => Cbor::Text(text),
        Value::Number(number) => {
            let plain = match number.as_i64() {
                Some(whole) => Cbor::Integer(whole.into()),
                None => Cbor::Float(number.as_f64().unwrap_or(0.0)),
            };
            if time { Cbor::Tag(EPOCH, Box::new(plain)) } else { plain }
        }
        Value::Array(items) => Cbor::Array(items.into_iter().map(|item| from_json(item, time)).collect()),
        Value::Object(map) => {
            let pairs = map.into_iter().map(|(name, value)| {
                let time = is_time(&name);
                (Cbor::Text(name), from_json(value, time))
            });
            Cbor::Map(pairs.collect())
        }
    }
}

fn broken() -> Fault {
    Fault::new("SerializationException", 400, "The request body is not a CBOR map")
}
