//! Tags of notebook instances and of what Studio has.

use serde_json::{Value, json};

use super::super::store::{Document, text};
use super::super::tags::sent;
use super::kind::Kind;
use super::store::Store;
use crate::local::fault::Fault;

/// The most tags of one resource (API reference).
const MOST_TAGS: usize = 50;

/// `AddTags`.
///
/// # Errors
/// An unknown resource, or too many tags.
pub fn add(store: &Store, request: &Document) -> Result<Value, Fault> {
    let arn = resource(store, request)?;
    let tags = sent(request)?;
    let present = store.tags(arn)?;
    let new = tags.iter().filter(|(key, _)| present.iter().all(|(other, _)| other != key)).count();
    if present.len() + new > MOST_TAGS {
        // assumed: the text.
        return Err(Fault::validation(format!(
            "A resource can have {MOST_TAGS} tags at most. Remove some with DeleteTags first."
        )));
    }
    store.add_tags(arn, &tags)?;
    shown(store, arn)
}

/// `ListTags`. All fit on one page, because `MaxResults` is 50 at least.
///
/// # Errors
/// An unknown resource.
pub fn list(store: &Store, request: &Document) -> Result<Value, Fault> {
    shown(store, resource(store, request)?)
}

/// `DeleteTags`.
///
/// # Errors
/// An unknown resource.
pub fn remove(store: &Store, request: &Document) -> Result<Value, Fault> {
    let arn = resource(store, request)?;
    let keys = request.get("TagKeys").and_then(Value::as_array).into_iter().flatten();
    let keys: Vec<&str> = keys.filter_map(Value::as_str).collect();
    store.remove_tags(arn, &keys)?;
    Ok(json!({}))
}

/// The ARN of a resource that exists. assumed: the answer for others, which is that of Describe.
fn resource<'a>(store: &Store, request: &'a Document) -> Result<&'a str, Fault> {
    let arn = text(request, "ResourceArn");
    if store.by_arn(arn)?.is_some() {
        return Ok(arn);
    }
    match Kind::of_arn(arn) {
        Some(Kind::Instance) => Err(Fault::validation("RecordNotFound")),
        _ => Err(Fault::validation(format!("Resource {arn} does not exist."))),
    }
}

fn shown(store: &Store, arn: &str) -> Result<Value, Fault> {
    let tags: Vec<Value> = store.tags(arn)?.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"Tags": tags}))
}
