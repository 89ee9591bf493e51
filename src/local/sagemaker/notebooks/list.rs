//! `ListNotebookInstances`, `ListDomains`, `ListUserProfiles`, `ListSpaces`, `ListApps`: filters, orders, pages.

use serde_json::Value;

use super::super::document::millis;
use super::super::page::{self, Key, between, page};
use super::super::store::{Document, text};
use super::kind::Kind;
use super::store::Store;
use crate::local::fault::Fault;

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
    let documents = store.all(kind)?.into_iter().map(|record| record.document);
    let found = documents.filter(|document| fits(kind, document, request));
    let entries = found.map(|document| (key(kind, &document, text(request, "SortBy")), summary(kind, &document)));
    page(entries.collect(), text(request, "SortOrder") == "Descending", &format!("{}s", kind.word()), request)
}

fn key(kind: Kind, document: &Document, by: &str) -> Key {
    let time = |member: &str| millis(document.get(member)).unwrap_or_default();
    let id = kind.id(document);
    match (kind, by) {
        (Kind::Instance, "" | "Name") => (0, id.clone(), id),
        (_, "Status") => (0, kind.status(document).to_owned(), id),
        (_, "LastModifiedTime") => (time("LastModifiedTime"), String::new(), id),
        _ => (time("CreationTime"), String::new(), id),
    }
}

/// Whether a resource passes the filters. Those of notebook instances and of Studio have names of their own.
fn fits(kind: Kind, document: &Document, request: &Document) -> bool {
    let holds =
        |member: &str, filter: &str| text(document, member).to_lowercase().contains(&text(request, filter).to_lowercase());
    let is = |member: &str, filter: &str| !request.contains_key(filter) || text(document, member) == text(request, filter);
    match kind {
        Kind::Instance => {
            let repositories = document.get("AdditionalCodeRepositories").and_then(Value::as_array);
            let repository = request.get("AdditionalCodeRepositoryEquals");
            holds("NotebookInstanceName", "NameContains")
                && is("NotebookInstanceStatus", "StatusEquals")
                && between(document, "CreationTime", request)
                && between(document, "LastModifiedTime", request)
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
    let mut summary = page::summary(document, members);
    if kind == Kind::Space {
        let parts = [
            ("SpaceSettingsSummary", "SpaceSettings", ["AppType", "SpaceStorageSettings", "RemoteAccess"].as_slice()),
            ("SpaceSharingSettingsSummary", "SpaceSharingSettings", &["SharingType"]),
            ("OwnershipSettingsSummary", "OwnershipSettings", &["OwnerUserProfileName"]),
        ];
        for (name, source, members) in parts {
            let Some(settings) = document.get(source).and_then(Value::as_object) else { continue };
            summary.insert(name.to_owned(), page::summary(settings, members).into());
        }
    }
    summary.into()
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
