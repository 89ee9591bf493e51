//! The memory of hosting: one SQLite file with a document per resource, and the tags.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde_json::Value;

use super::super::document::millis;
use super::super::store::{Document, text};
use super::super::tags::{self, Tags};
use super::plan::Plan;
use super::resource::Kind;
use crate::local::fault::Fault;
use crate::local::store;

/// Names differ by more than their case (API reference of `CreateEndpoint`; assumed for the other two).
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS resources (
    kind TEXT NOT NULL, name TEXT NOT NULL COLLATE NOCASE, created INTEGER NOT NULL,
    document TEXT NOT NULL, plan TEXT, PRIMARY KEY (kind, name)
) WITHOUT ROWID;";

/// All calls block.
pub struct Store(store::Store);

/// A resource as it is kept.
#[derive(Clone, Debug)]
pub struct Record {
    /// What Describe answers.
    pub document: Document,
    /// What an endpoint runs.
    pub plan: Option<Plan>,
}

impl Store {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When it cannot be written or is not a database.
    pub fn open(file: &Path) -> Result<Self, Fault> {
        store::Store::open(file, &format!("{SCHEMA}{}", tags::SCHEMA), 1).map(Self).map_err(Fault::internal)
    }

    /// Adds a resource with its tags; false, and nothing is changed, when the name is taken.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn insert(&self, kind: Kind, record: &Record, tags: &[(String, String)]) -> Result<bool, Fault> {
        let mut db = self.0.lock();
        let transaction = db.transaction().map_err(broken)?;
        let name = kind.name(&record.document);
        let created = millis(record.document.get("CreationTime")).unwrap_or_default();
        let added = transaction
            .execute(
                "INSERT INTO resources VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                params![kind.path(), name, created, Value::Object(record.document.clone()).to_string(), plan_text(record)?],
            )
            .map_err(broken)?;
        if added == 1 {
            tags::put(&transaction, text(&record.document, &format!("{}Arn", kind.prefix())), tags)?;
        }
        transaction.commit().map_err(broken)?;
        Ok(added == 1)
    }

    /// A resource by its name, whatever its case.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&self, kind: Kind, name: &str) -> Result<Option<Record>, Fault> {
        read(&self.0.lock(), kind, name)
    }

    /// All resources of a kind, oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all(&self, kind: Kind) -> Result<Vec<Record>, Fault> {
        let db = self.0.lock();
        let mut statement =
            db.prepare("SELECT document, plan FROM resources WHERE kind = ?1 ORDER BY created, name").map_err(broken)?;
        let rows = statement.query_map([kind.path()], columns).map_err(broken)?;
        rows.map(|row| row.map_err(broken).and_then(parse)).collect()
    }

    /// Changes an endpoint; `None` when there is no such endpoint. Changes come one after the other; one that fails leaves
    /// the endpoint as it was.
    ///
    /// # Errors
    /// The change's own, or that the file cannot be written.
    pub fn update<T>(&self, name: &str, change: impl FnOnce(&mut Record) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        let db = self.0.lock();
        let Some(mut record) = read(&db, Kind::Endpoint, name)? else { return Ok(None) };
        let outcome = change(&mut record)?;
        let document = Value::Object(record.document.clone()).to_string();
        db.execute(
            "UPDATE resources SET document = ?3, plan = ?4 WHERE kind = ?1 AND name = ?2",
            params![Kind::Endpoint.path(), name, document, plan_text(&record)?],
        )
        .map_err(broken)?;
        Ok(Some(outcome))
    }

    /// Removes a resource and its tags; false when there is none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn delete(&self, kind: Kind, name: &str) -> Result<bool, Fault> {
        let mut db = self.0.lock();
        let transaction = db.transaction().map_err(broken)?;
        let gone =
            transaction.execute("DELETE FROM resources WHERE kind = ?1 AND name = ?2", [kind.path(), name]).map_err(broken)?;
        tags::clear(&transaction, &kind.arn(name))?;
        transaction.commit().map_err(broken)?;
        Ok(gone == 1)
    }

    /// The tags of models, configurations and endpoints.
    #[must_use]
    pub fn tags(&self) -> Tags<'_> {
        Tags::by_key(&self.0)
    }
}

fn read(db: &Connection, kind: Kind, name: &str) -> Result<Option<Record>, Fault> {
    let found = db
        .query_row("SELECT document, plan FROM resources WHERE kind = ?1 AND name = ?2", [kind.path(), name], columns)
        .optional()
        .map_err(broken)?;
    found.map(parse).transpose()
}

fn columns(row: &Row<'_>) -> rusqlite::Result<(String, Option<String>)> {
    Ok((row.get(0)?, row.get(1)?))
}

fn parse((document, plan): (String, Option<String>)) -> Result<Record, Fault> {
    let unreadable = |error| Fault::internal(format_args!("an endpoint of the local region cannot be read: {error}"));
    let plan = plan.map(|plan| serde_json::from_str(&plan)).transpose().map_err(unreadable)?;
    Ok(Record { document: serde_json::from_str(&document).map_err(unreadable)?, plan })
}

fn plan_text(record: &Record) -> Result<Option<String>, Fault> {
    record.plan.as_ref().map(serde_json::to_string).transpose().map_err(Fault::internal)
}

#[allow(clippy::needless_pass_by_value, reason = "it is the argument of map_err everywhere")]
fn broken(error: rusqlite::Error) -> Fault {
    Fault::internal(format_args!("the local region cannot use its file of endpoints: {error}"))
}
