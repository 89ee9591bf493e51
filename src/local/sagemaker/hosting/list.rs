//! `ListModels`, `ListEndpointConfigs`, `ListEndpoints`: filters, orders, pages.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::document::millis;
use super::super::store::{Document, text};
use super::resource::Kind;
use super::store::Store;
use crate::local::fault::Fault;

/// `MaxResults` when it is not sent (API reference).
const DEFAULT_RESULTS: u64 = 10;

/// Answers a listing. Without `SortBy` and `SortOrder` it is by creation time, newest first (API reference).
///
/// # Errors
/// A token that is not ours, or a store that cannot be read.
pub fn list(store: &Store, kind: Kind, request: &Document) -> Result<Value, Fault> {
    let limit = request.get("MaxResults").and_then(Value::as_u64).unwrap_or(DEFAULT_RESULTS);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(100);
    let after = request.get("NextToken").and_then(Value::as_str).map(read_token).transpose()?;
    let order = Order { kind, by: text(request, "SortBy").to_owned(), ascending: text(request, "SortOrder") == "Ascending" };

    let records = store.all(kind)?.into_iter().map(|record| record.document);
    let mut found: Vec<(Key, Document)> =
        records.filter(|document| fits(kind, document, request)).map(|document| (order.key(&document), document)).collect();
    found.sort_by(|(one, _), (other, _)| order.compare(one, other));
    if let Some(after) = after {
        found.retain(|(key, _)| order.compare(key, &after) == Ordering::Greater);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let member = match kind {
        Kind::Model => "Models",
        Kind::Config => "EndpointConfigs",
        Kind::Endpoint => "Endpoints",
    };
    let summaries: Vec<Value> = found.iter().map(|(_, document)| summary(kind, document)).collect();
    let mut answer = json!({member: summaries});
    if let Some((key, _)) = found.last().filter(|_| more) {
        answer["NextToken"] = json!(token(key));
    }
    Ok(answer)
}

/// Where a resource stands: what it is sorted by (one of time and text is empty), and its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(i64, String, String);

struct Order {
    kind: Kind,
    by: String,
    ascending: bool,
}

impl Order {
    fn key(&self, document: &Document) -> Key {
        let name = self.kind.name(document).to_owned();
        match self.by.as_str() {
            "Name" => Key(0, name.clone(), name),
            "Status" => Key(0, text(document, "EndpointStatus").to_owned(), name),
            _ => Key(millis(document.get("CreationTime")).unwrap_or_default(), String::new(), name),
        }
    }

    fn compare(&self, one: &Key, other: &Key) -> Ordering {
        if self.ascending { one.cmp(other) } else { other.cmp(one) }
    }
}

/// Bounds are included, as in `ListTrainingJobs`.
fn fits(kind: Kind, document: &Document, request: &Document) -> bool {
    let between = |member: &str| {
        let at = millis(document.get(member)).unwrap_or_default();
        let bound = |end: &str| millis(request.get(&format!("{member}{end}")));
        bound("After").is_none_or(|after| at >= after) && bound("Before").is_none_or(|before| at <= before)
    };
    let status = text(request, "StatusEquals");
    let contained = text(request, "NameContains").to_lowercase();
    kind.name(document).to_lowercase().contains(&contained)
        && (status.is_empty() || text(document, "EndpointStatus") == status)
        && between("CreationTime")
        && (kind != Kind::Endpoint || between("LastModifiedTime"))
}

fn summary(kind: Kind, document: &Document) -> Value {
    let prefix = kind.prefix();
    let mut members = vec![format!("{prefix}Name"), format!("{prefix}Arn"), "CreationTime".to_owned()];
    if kind == Kind::Endpoint {
        members.extend(["LastModifiedTime".to_owned(), "EndpointStatus".to_owned()]);
    }
    members.into_iter().filter_map(|member| Some((member.clone(), document.get(&member)?.clone()))).collect::<Document>().into()
}

/// Where a page ended: what is created or removed meanwhile neither repeats nor hides another.
fn token(Key(time, sorted, name): &Key) -> String {
    URL_SAFE_NO_PAD.encode(json!([time, sorted, name]).to_string())
}

/// assumed: the text of AWS's refusal.
fn read_token(token: &str) -> Result<Key, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let parts: Option<(i64, String, String)> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let parts = parts.map(|(time, sorted, name)| Key(time, sorted, name));
    parts.ok_or_else(|| Fault::validation("Invalid NextToken. Send the token of the page before, or none."))
}

#[cfg(test)]
mod tests {
    use super::super::super::shapes::check_answer;
    use super::super::store::Record;
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("s.sqlite")).expect("opens");
        for number in 0..25 {
            let name = format!("endpoint-{number:02}");
            let document = json!({
                "EndpointName": name,
                "EndpointArn": Kind::Endpoint.arn(&name),
                // Pairs share a creation time: pages must not split on the time alone.
                "CreationTime": 1000 + number / 2,
                "LastModifiedTime": 2000 + number,
                "EndpointStatus": if number % 2 == 0 { "InService" } else { "Failed" },
            });
            let document = document.as_object().expect("an object").clone();
            assert!(store.insert(Kind::Endpoint, &Record { document, plan: None }, &[]).expect("writes"));
        }
        (folder, store)
    }

    fn names(store: &Store, request: &Value) -> Vec<String> {
        let mut request = request.as_object().expect("an object").clone();
        let mut names = Vec::new();
        loop {
            let answer = list(store, Kind::Endpoint, &request).expect("lists");
            check_answer("ListEndpoints", &answer).expect("is valid");
            for endpoint in answer["Endpoints"].as_array().expect("a list") {
                names.push(endpoint["EndpointName"].as_str().expect("a name").trim_start_matches("endpoint-").to_owned());
            }
            let Some(token) = answer.get("NextToken") else { return names };
            request.insert("NextToken".to_owned(), token.clone());
        }
    }

    #[test]
    fn pages_give_each_endpoint_once_in_every_order() {
        let (_folder, store) = store();
        let all: Vec<String> = (0..25).map(|number| format!("{number:02}")).collect();
        let newest: Vec<String> = all.iter().rev().cloned().collect();
        assert_eq!(names(&store, &json!({})), newest);
        assert_eq!(names(&store, &json!({"MaxResults": 3, "SortOrder": "Ascending"})), all);
        assert_eq!(names(&store, &json!({"MaxResults": 7, "SortBy": "Name", "SortOrder": "Ascending"})), all);
        let by_status = names(&store, &json!({"MaxResults": 4, "SortBy": "Status"}));
        assert_eq!((by_status.len(), by_status[0].as_str(), by_status[24].as_str()), (25, "24", "01"));
    }

    #[test]
    fn filters_narrow() {
        let (_folder, store) = store();
        let ascending = |mut request: Value| {
            request["SortOrder"] = json!("Ascending");
            names(&store, &request)
        };
        assert_eq!(ascending(json!({"NameContains": "T-1", "StatusEquals": "Failed"})), ["11", "13", "15", "17", "19"]);
        assert_eq!(ascending(json!({"CreationTimeAfter": 1011, "CreationTimeBefore": 1011.5})), ["22", "23"]);
        assert_eq!(ascending(json!({"LastModifiedTimeAfter": 2024})), ["24"]);
        assert!(ascending(json!({"NameContains": "%"})).is_empty());
    }

    #[test]
    fn a_foreign_token_is_refused() {
        let (_folder, store) = store();
        let request = json!({"NextToken": "!"});
        let fault = list(&store, Kind::Endpoint, request.as_object().expect("an object")).expect_err("is refused");
        assert!(fault.message.contains("NextToken"));
    }
}
