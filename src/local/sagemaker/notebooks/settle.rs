//! Where changes lead: each has a time when it is done, and whoever looks later sees it done.

use serde_json::json;

use super::super::document::seconds;
use super::kind::Kind;
use super::store::{Record, Store};
use crate::local::fault::Fault;

/// How long a deleted app is still listed, in milliseconds. assumed: AWS lists them for about a day.
const REMEMBERED: i64 = 24 * 3600 * 1000;

/// What becomes of a resource when its change is done.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It stays in this status.
    Rests(&'static str),
    /// It is in this status for so many milliseconds.
    Lingers(&'static str, i64),
    Gone,
}

/// Brings every resource to the state that it has reached by `now`, in epoch milliseconds.
///
/// # Errors
/// When the store cannot be used.
pub fn settle(store: &Store, now: i64) -> Result<(), Fault> {
    loop {
        let done = store.due(now)?;
        if done.is_empty() {
            return Ok(());
        }
        for record in done {
            finish(store, record)?;
        }
    }
}

fn finish(store: &Store, mut record: Record) -> Result<(), Fault> {
    let at = record.due.unwrap_or_default();
    let (status, due) = match outcome(record.kind, record.status()) {
        Outcome::Gone => return store.remove(&record),
        Outcome::Rests(status) => (status, None),
        Outcome::Lingers(status, time) => (status, Some(at + time)),
    };
    record.document.insert(record.kind.status_member().to_owned(), json!(status));
    if record.kind != Kind::App {
        record.document.insert("LastModifiedTime".to_owned(), seconds(at));
    }
    record.due = due;
    store.write(&record)
}

fn outcome(kind: Kind, status: &str) -> Outcome {
    match (kind, status) {
        (Kind::Instance, "Stopping" | "Updating") => Outcome::Rests("Stopped"),
        (Kind::App, "Deleting") => Outcome::Lingers("Deleted", REMEMBERED),
        (_, "Deleting" | "Deleted") => Outcome::Gone,
        _ => Outcome::Rests("InService"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_lead_where_awss_do() {
        assert_eq!(outcome(Kind::Instance, "Pending"), Outcome::Rests("InService"));
        assert_eq!(outcome(Kind::Instance, "Updating"), Outcome::Rests("Stopped"));
        assert_eq!(outcome(Kind::Space, "Updating"), Outcome::Rests("InService"));
        assert_eq!(outcome(Kind::Domain, "Deleting"), Outcome::Gone);
        assert_eq!(outcome(Kind::App, "Deleting"), Outcome::Lingers("Deleted", REMEMBERED));
        assert_eq!(outcome(Kind::App, "Deleted"), Outcome::Gone);
    }

    #[test]
    fn a_deleted_app_is_forgotten_after_a_day() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("s.sqlite")).expect("opens");
        let document = json!({"DomainId": "d-1", "UserProfileName": "a", "AppType": "JupyterServer", "AppName": "default", "Status": "Deleting"});
        let document = document.as_object().expect("an object").clone();
        store.create(&Record { kind: Kind::App, document, due: Some(1000) }, &[]).expect("writes");
        let status = |now| {
            settle(&store, now).expect("settles");
            store.all(Kind::App).expect("reads").first().map(|record| record.status().to_owned())
        };
        assert_eq!(status(999).as_deref(), Some("Deleting"));
        assert_eq!(status(1000).as_deref(), Some("Deleted"));
        assert_eq!(status(1000 + REMEMBERED - 1).as_deref(), Some("Deleted"));
        assert_eq!(status(1000 + REMEMBERED), None);
    }
}
