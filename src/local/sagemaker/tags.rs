//! Tags of resources.

use serde_json::{Value, json};

use super::SageMaker;
use super::create::arn;
use super::store::{Document, text};
use crate::local::fault::Fault;

/// The most tags of one resource (API reference).
const MOST_TAGS: usize = 50;

/// The tags of a request, in its order.
///
/// # Errors
/// A key that AWS keeps for itself, or one that comes twice.
pub fn sent(request: &Document) -> Result<Vec<(String, String)>, Fault> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in request.get("Tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        let (key, value) = (text(tag, "Key"), text(tag, "Value"));
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Fault::validation("aws: prefixed tag key names are not allowed for external use."));
        }
        // assumed: the text.
        if tags.iter().any(|(other, _)| other == key) {
            return Err(Fault::validation(format!("Duplicate tag key {key} in Tags. Tag keys must be unique.")));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

/// `AddTags`.
///
/// # Errors
/// An unknown resource, or too many tags.
pub fn add(service: &SageMaker, request: &Document) -> Result<Value, Fault> {
    let (store, resource) = (&service.store, resource(service, request)?);
    let tags = sent(request)?;
    let present = store.tags(resource)?;
    let new = tags.iter().filter(|(key, _)| present.iter().all(|(other, _)| other != key)).count();
    if present.len() + new > MOST_TAGS {
        // assumed: the text.
        return Err(Fault::validation(format!(
            "A resource can have {MOST_TAGS} tags at most. Remove some with DeleteTags first."
        )));
    }
    store.add_tags(resource, &tags)?;
    Ok(json!({"Tags": store.tags(resource)?.iter().map(shape).collect::<Vec<_>>()}))
}

/// `ListTags`. All fit on one page, because `MaxResults` is 50 at least.
///
/// # Errors
/// An unknown resource.
pub fn list(service: &SageMaker, request: &Document) -> Result<Value, Fault> {
    let (store, resource) = (&service.store, resource(service, request)?);
    Ok(json!({"Tags": store.tags(resource)?.iter().map(shape).collect::<Vec<_>>()}))
}

/// `DeleteTags`.
///
/// # Errors
/// An unknown resource.
pub fn remove(service: &SageMaker, request: &Document) -> Result<Value, Fault> {
    let (store, resource) = (&service.store, resource(service, request)?);
    let keys = request.get("TagKeys").and_then(Value::as_array).into_iter().flatten();
    let keys: Vec<String> = keys.filter_map(Value::as_str).map(str::to_owned).collect();
    store.remove_tags(resource, &keys)?;
    Ok(json!({}))
}

/// The ARN of a training or tuning job that exists. assumed: the answer for others is that of Describe.
fn resource<'a>(service: &SageMaker, request: &'a Document) -> Result<&'a str, Fault> {
    let sent = text(request, "ResourceArn");
    let name = sent.split_once(":training-job/").map_or("", |(_, name)| name);
    let known = (sent == arn(name) && service.store.job(name)?.is_some()) || service.tuner.knows(sent)?;
    if known { Ok(sent) } else { Err(super::not_found()) }
}

fn shape((key, value): &(String, String)) -> Value {
    json!({"Key": key, "Value": value})
}
