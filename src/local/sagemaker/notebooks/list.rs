//! `ListNotebookInstances`, `ListDomains`, `ListUserProfiles`, `ListSpaces`, `ListApps`: filters, orders, pages.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::document::millis;
use super::super::store::{Document, text};
use super::kind::Kind;
use super::store::Store;
use crate::local::fault::Fault;

/// `MaxResults` when it is not sent (API reference; assumed for notebook instances).
const DEFAULT_RESULTS: u64 = 10;

/// Answers a listing. Without `SortBy` notebook instances are sorted by name and all others by creation time, and without
/// `SortOrder` upwards (API reference; assumed for notebook instances).
///
/// # Errors
/// Filters that exclude each other, a token that is not ours, or a store that cannot be read.
pub fn list(store: &Store, kind: Kind, request: &Document) -> Result<Value, Fault> {
    if kind == Kind::App && request.contains_key("UserProfileNameEquals") && request.contains_key("SpaceNameEquals") {
        // assumed: the text; the rule is documented.
        return Err(Fault::validation("Send UserProfileNameEquals or SpaceNameEquals, not both."));
    }
    let limit = request.get("MaxResults").and_then(Value::as_u64).unwrap_or(DEFAULT_RESULTS);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(100);
    let after = request.get("NextToken").and_then(Value::as_str).map(read_token).transpose()?;
    let descending = text(request, "SortOrder") == "Descending";
    let compare = |one: &Key, other: &Key| if descending { other.cmp(one) } else { one.cmp(other) };

    let documents = store.all(kind)?.into_iter().map(|record| record.document);
    let mut found: Vec<(Key, Document)> = documents
        .filter(|document| fits(kind, document, request))
        .map(|document| (key(kind, &document, text(request, "SortBy")), document))
        .collect();
    found.sort_by(|(one, _), (other, _)| compare(one, other));
    if let Some(after) = after {
        found.retain(|(key, _)| compare(key, &after) == Ordering::Greater);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let summaries: Vec<Value> = found.iter().map(|(_, document)| summary(kind, document)).collect();
    let mut answer = json!({format!("{}s", kind.word()): summaries});
    if let Some((key, _)) = found.last().filter(|_| more) {
        answer["NextToken"] = json!(token(key));
    }
    Ok(answer)
}

/// Where a resource stands: what it is sorted by (one of time and text is empty), and what tells it from all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(i64, String, String);

fn key(kind: Kind, document: &Document, by: &str) -> Key {
    let time = |member: &str| millis(document.get(member)).unwrap_or_default();
    let id = kind.id(document);
    match (kind, by) {
        (Kind::Instance, "" | "Name") => Key(0, id.clone(), id),
        (_, "Status") => Key(0, kind.status(document).to_owned(), id),
        (_, "LastModifiedTime") => Key(time("LastModifiedTime"), String::new(), id),
        _ => Key(time("CreationTime"), String::new(), id),
    }
}

/// Whether a resource passes the filters. Those of notebook instances and of Studio have names of their own.
fn fits(kind: Kind, document: &Document, request: &Document) -> bool {
    let between = |member: &str| {
        let at = millis(document.get(member)).unwrap_or_default();
        let bound = |end: &str| millis(request.get(&format!("{member}{end}")));
        bound("After").is_none_or(|after| at >= after) && bound("Before").is_none_or(|before| at <= before)
    };
    let holds =
        |member: &str, filter: &str| text(document, member).to_lowercase().contains(&text(request, filter).to_lowercase());
    let is = |member: &str, filter: &str| !request.contains_key(filter) || text(document, member) == text(request, filter);
    match kind {
        Kind::Instance => {
            let repositories = document.get("AdditionalCodeRepositories").and_then(Value::as_array);
            let repository = request.get("AdditionalCodeRepositoryEquals");
            holds("NotebookInstanceName", "NameContains")
                && is("NotebookInstanceStatus", "StatusEquals")
                && between("CreationTime")
                && between("LastModifiedTime")
                && holds("DefaultCodeRepository", "DefaultCodeRepositoryContains")
                && repository.is_none_or(|wanted| repositories.is_some_and(|all| all.contains(wanted)))
                // None has a lifecycle configuration.
                && !request.contains_key("NotebookInstanceLifecycleConfigNameContains")
        }
        Kind::Domain => true,
        Kind::Profile => is("DomainId", "DomainIdEquals") && holds("UserProfileName", "UserProfileNameContains"),
        Kind::Space => is("DomainId", "DomainIdEquals") && holds("SpaceName", "SpaceNameContains"),
        Kind::App => {
            is("DomainId", "DomainIdEquals")
                && is("UserProfileName", "UserProfileNameEquals")
                && is("SpaceName", "SpaceNameEquals")
        }
    }
}

fn summary(kind: Kind, document: &Document) -> Value {
    let members: &[&str] = match kind {
        Kind::Instance => &[
            "NotebookInstanceName",
            "NotebookInstanceArn",
            "NotebookInstanceStatus",
            "Url",
            "InstanceType",
            "CreationTime",
            "LastModifiedTime",
            "DefaultCodeRepository",
            "AdditionalCodeRepositories",
        ],
        Kind::Domain => &["DomainArn", "DomainId", "DomainName", "Status", "CreationTime", "LastModifiedTime", "Url"],
        Kind::Profile => &["DomainId", "UserProfileName", "Status", "CreationTime", "LastModifiedTime"],
        Kind::Space => &["DomainId", "SpaceName", "Status", "CreationTime", "LastModifiedTime", "SpaceDisplayName"],
        Kind::App => {
            &["DomainId", "UserProfileName", "SpaceName", "AppType", "AppName", "Status", "CreationTime", "ResourceSpec"]
        }
    };
    let shown = members.iter().filter_map(|member| Some(((*member).to_owned(), document.get(*member)?.clone())));
    let mut summary: Document = shown.collect();
    if kind == Kind::Space {
        let parts = [
            ("SpaceSettingsSummary", "SpaceSettings", ["AppType", "SpaceStorageSettings", "RemoteAccess"].as_slice()),
            ("SpaceSharingSettingsSummary", "SpaceSharingSettings", &["SharingType"]),
            ("OwnershipSettingsSummary", "OwnershipSettings", &["OwnerUserProfileName"]),
        ];
        for (name, source, members) in parts {
            let Some(settings) = document.get(source).and_then(Value::as_object) else { continue };
            let part = members.iter().filter_map(|member| Some(((*member).to_owned(), settings.get(*member)?.clone())));
            summary.insert(name.to_owned(), part.collect::<Document>().into());
        }
    }
    summary.into()
}

/// Where a page ended: what is created or removed meanwhile neither repeats nor hides another.
fn token(Key(time, sorted, id): &Key) -> String {
    URL_SAFE_NO_PAD.encode(json!([time, sorted, id]).to_string())
}

/// assumed: the text of AWS's refusal.
fn read_token(token: &str) -> Result<Key, Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let parts: Option<(i64, String, String)> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let parts = parts.map(|(time, sorted, id)| Key(time, sorted, id));
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
            let mut document = json!({
                "NotebookInstanceName": format!("nb-{number:02}"),
                // Pairs share a creation time: pages must not split on the time alone.
                "CreationTime": 1000 + number / 2,
                "LastModifiedTime": 2000 + number,
                "NotebookInstanceStatus": if number % 2 == 0 { "InService" } else { "Stopped" },
                "DefaultCodeRepository": format!("https://example.com/{}", number % 5),
            });
            document["NotebookInstanceArn"] = json!(Kind::Instance.arn(document.as_object().expect("an object")));
            let document = document.as_object().expect("an object").clone();
            store.create(&Record { kind: Kind::Instance, document, due: None }, &[]).expect("writes");
        }
        (folder, store)
    }

    fn names(store: &Store, request: &Value) -> Vec<String> {
        let mut request = request.as_object().expect("an object").clone();
        let mut names = Vec::new();
        loop {
            let answer = list(store, Kind::Instance, &request).expect("lists");
            check_answer("ListNotebookInstances", &answer).expect("is valid");
            for one in answer["NotebookInstances"].as_array().expect("a list") {
                names.push(one["NotebookInstanceName"].as_str().expect("a name").trim_start_matches("nb-").to_owned());
            }
            let Some(token) = answer.get("NextToken") else { return names };
            request.insert("NextToken".to_owned(), token.clone());
        }
    }

    #[test]
    fn pages_give_each_once_in_every_order() {
        let (_folder, store) = store();
        let all: Vec<String> = (0..25).map(|number| format!("{number:02}")).collect();
        let newest: Vec<String> = all.iter().rev().cloned().collect();
        assert_eq!(names(&store, &json!({})), all);
        assert_eq!(names(&store, &json!({"MaxResults": 3, "SortBy": "CreationTime", "SortOrder": "Descending"})), newest);
        let by_status = names(&store, &json!({"MaxResults": 4, "SortBy": "Status"}));
        assert_eq!((by_status.len(), by_status[0].as_str(), by_status[24].as_str()), (25, "00", "23"));
    }

    #[test]
    fn filters_narrow() {
        let (_folder, store) = store();
        let some = json!({"NameContains": "B-1", "StatusEquals": "Stopped"});
        assert_eq!(names(&store, &some), ["11", "13", "15", "17", "19"]);
        assert_eq!(names(&store, &json!({"CreationTimeAfter": 1011, "CreationTimeBefore": 1011.5})), ["22", "23"]);
        assert_eq!(names(&store, &json!({"LastModifiedTimeAfter": 2024})), ["24"]);
        assert_eq!(names(&store, &json!({"DefaultCodeRepositoryContains": "com/3"})), ["03", "08", "13", "18", "23"]);
        assert!(names(&store, &json!({"NotebookInstanceLifecycleConfigNameContains": "a"})).is_empty());
    }

    #[test]
    fn a_foreign_token_is_refused() {
        let (_folder, store) = store();
        let request = json!({"NextToken": "!"});
        let fault = list(&store, Kind::Instance, request.as_object().expect("an object")).expect_err("is refused");
        assert!(fault.message.contains("NextToken"));
    }
}
