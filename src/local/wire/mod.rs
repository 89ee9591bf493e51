//! AWS's wire formats: how a call arrives and how its answer leaves. Services see JSON values only.

pub mod cbor;
pub mod ec2;
pub mod input;
pub mod json;
pub mod query;
pub mod xml;

use bytes::Bytes;

/// An answer, ready to send but for what every answer has.
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// The shape that the model names for a code of the query protocol (service model of CloudWatch, `awsQueryCompatible`).
fn shape(code: &'static str) -> &'static str {
    match code {
        "InvalidParameterValue" => "InvalidParameterValueException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        "MissingParameter" => "MissingRequiredParameterException",
        "InvalidAction" => "UnknownOperationException",
        other => other,
    }
}

/// Which members are times: these have a form of their own in CBOR and XML.
fn is_time(name: &str) -> bool {
    matches!(name, "Timestamp" | "Timestamps" | "CreateDate")
}
