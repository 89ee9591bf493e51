//! Pages of a listing: `MaxResults`, `NextToken`, what is in both, and what an entry shows.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::document::millis;
use super::store::Document;
use crate::local::fault::Fault;

/// `MaxResults` when it is not sent (API reference; assumed for notebook instances).
const DEFAULT_RESULTS: u64 = 10;

/// Where an entry stands: what it is sorted by (one of time and text is empty), and what tells it from all others.
pub type Key = (i64, String, String);

/// One page of these entries, whose keys differ, as the member of that name.
///
/// # Errors
/// A token that is not ours.
pub fn page<K: Ord + Serialize + DeserializeOwned>(
    mut entries: Vec<(K, Value)>,
    descending: bool,
    member: &str,
    request: &Document,
) -> Result<Value, Fault> {
    let compare = |one: &K, other: &K| if descending { other.cmp(one) } else { one.cmp(other) };
    entries.sort_by(|(one, _), (other, _)| compare(one, other));
    if let Some(after) = after::<K>(request)? {
        entries.retain(|(key, _)| compare(key, &after) == Ordering::Greater);
    }
    let limit = limit(request);
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().filter(|_| more).map(|(key, _)| token(key));
    let mut answer = json!({member: entries.into_iter().map(|(_, shape)| shape).collect::<Vec<_>>()});
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

/// How many entries a page has at most.
#[must_use]
pub fn limit(request: &Document) -> usize {
    let sent = request.get("MaxResults").and_then(Value::as_u64).unwrap_or(DEFAULT_RESULTS);
    usize::try_from(sent).unwrap_or(usize::MAX).min(100)
}

/// Where a page ended, by the key of its last entry: what is created or removed meanwhile neither repeats nor hides another.
#[must_use]
pub fn token(last: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(json!(last).to_string())
}

/// Where the page before ended.
///
/// # Errors
/// A token that is not ours.
pub fn after<K: DeserializeOwned>(request: &Document) -> Result<Option<K>, Fault> {
    let Some(token) = request.get("NextToken").and_then(Value::as_str) else { return Ok(None) };
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let key = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    key.map(Some).ok_or_else(foreign)
}

/// The refusal of a token that is not ours. assumed: the text.
pub fn foreign() -> Fault {
    Fault::validation("Invalid NextToken. Send the token of the page before, or none.")
}

/// Whether a time of the document is between those that the request names after it (`CreationTimeAfter`,
/// `CreationTimeBefore`), both included.
#[must_use]
pub fn between(document: &Document, member: &str, request: &Document) -> bool {
    let at = millis(document.get(member)).unwrap_or_default();
    let bound = |end: &str| millis(request.get(&format!("{member}{end}")));
    bound("After").is_none_or(|after| at >= after) && bound("Before").is_none_or(|before| at <= before)
}

/// Those of the members that the document has.
#[must_use]
pub fn summary(document: &Document, members: &[&str]) -> Document {
    members.iter().filter_map(|member| Some(((*member).to_owned(), document.get(*member)?.clone()))).collect()
}
