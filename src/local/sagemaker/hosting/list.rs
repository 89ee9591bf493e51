//! `ListModels`, `ListEndpointConfigs`, `ListEndpoints`: filters, orders, pages.

use serde_json::Value;

use super::super::document::millis;
use super::super::page::{self, Key, between, page};
use super::super::store::{Document, text};
use super::resource::Kind;
use super::store::Store;
use crate::local::fault::Fault;

/// Answers a listing. Without `SortBy` and `SortOrder` it is by creation time, newest first (API reference).
///
/// # Errors
/// A token that is not ours, or a store that cannot be read.
pub fn list(store: &Store, kind: Kind, request: &Document) -> Result<Value, Fault> {
    let records = store.all(kind)?.into_iter().map(|record| record.document);
    let found = records.filter(|document| fits(kind, document, request));
    let entries = found.map(|document| (key(kind, &document, text(request, "SortBy")), summary(kind, &document)));
    let member = match kind {
        Kind::Model => "Models",
        Kind::Config => "EndpointConfigs",
        Kind::Endpoint => "Endpoints",
    };
    page(entries.collect(), text(request, "SortOrder") != "Ascending", member, request)
}

fn key(kind: Kind, document: &Document, by: &str) -> Key {
    let name = kind.name(document).to_owned();
    match by {
        "Name" => (0, name.clone(), name),
        "Status" => (0, text(document, "EndpointStatus").to_owned(), name),
        _ => (millis(document.get("CreationTime")).unwrap_or_default(), String::new(), name),
    }
}

fn fits(kind: Kind, document: &Document, request: &Document) -> bool {
    let status = text(request, "StatusEquals");
    let contained = text(request, "NameContains").to_lowercase();
    kind.name(document).to_lowercase().contains(&contained)
        && (status.is_empty() || text(document, "EndpointStatus") == status)
        && between(document, "CreationTime", request)
        && (kind != Kind::Endpoint || between(document, "LastModifiedTime", request))
}

fn summary(kind: Kind, document: &Document) -> Value {
    let members: &[&str] = match kind {
        Kind::Model => &["ModelName", "ModelArn", "CreationTime"],
        Kind::Config => &["EndpointConfigName", "EndpointConfigArn", "CreationTime"],
        Kind::Endpoint => &["EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"],
    };
    page::summary(document, members).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
