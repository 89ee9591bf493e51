//! Tags of models, configurations and endpoints.

use serde_json::{Value, json};

use super::super::store::{Document, text};
use super::super::tags::sent;
use super::resource::Kind;
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
    let present = store.tags(&arn)?;
    let new = tags.iter().filter(|(key, _)| present.iter().all(|(other, _)| other != key)).count();
    if present.len() + new > MOST_TAGS {
        // assumed: the text.
        return Err(Fault::validation(format!(
            "A resource can have {MOST_TAGS} tags at most. Remove some with DeleteTags first."
        )));
    }
    store.add_tags(&arn, &tags)?;
    shown(store, &arn)
}

/// `ListTags`. All fit on one page, because `MaxResults` is 50 at least.
///
/// # Errors
/// An unknown resource.
pub fn list(store: &Store, request: &Document) -> Result<Value, Fault> {
    shown(store, &resource(store, request)?)
}

/// `DeleteTags`.
///
/// # Errors
/// An unknown resource.
pub fn remove(store: &Store, request: &Document) -> Result<Value, Fault> {
    let arn = resource(store, request)?;
    let keys = request.get("TagKeys").and_then(Value::as_array).into_iter().flatten();
    let keys: Vec<&str> = keys.filter_map(Value::as_str).collect();
    store.remove_tags(&arn, &keys)?;
    Ok(json!({}))
}

/// The ARN of a resource that exists. assumed: the answer for others is that of Describe.
fn resource(store: &Store, request: &Document) -> Result<String, Fault> {
    let sent = text(request, "ResourceArn");
    let (kind, name) = Kind::of_arn(sent).ok_or_else(|| Fault::validation(format!("Invalid ARN {sent}.")))?;
    if store.get(kind, name)?.is_some() { Ok(kind.arn(name)) } else { Err(kind.not_found(name)) }
}

fn shown(store: &Store, arn: &str) -> Result<Value, Fault> {
    let tags: Vec<Value> = store.tags(arn)?.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
    Ok(json!({"Tags": tags}))
}
