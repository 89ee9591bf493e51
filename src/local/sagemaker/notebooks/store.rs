//! The memory of notebooks and Studio: one SQLite file with a document per resource, and the tags.

use std::path::Path;

use rusqlite::{Connection, Params, Row, params};
use serde_json::Value;

use super::super::store::Document;
use super::super::tags::{self, Tags};
use super::kind::Kind;
use crate::local::fault::Fault;
use crate::local::store;

/// Names differ by more than their case. assumed: documented for notebook instances only by their ARNs in lower case.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS resources (
    kind TEXT NOT NULL, id TEXT NOT NULL COLLATE NOCASE, arn TEXT NOT NULL, due INTEGER, document TEXT NOT NULL,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_arn ON resources (arn);";
const COLUMNS: &str = "SELECT kind, due, document FROM resources";

/// All calls block.
pub struct Store(store::Store);

/// A resource as it is kept.
#[derive(Clone, Debug)]
pub struct Record {
    pub kind: Kind,
    /// What Describe answers.
    pub document: Document,
    /// When the change under way is done, in epoch milliseconds.
    pub due: Option<i64>,
}

impl Record {
    #[must_use]
    pub fn status(&self) -> &str {
        self.kind.status(&self.document)
    }

    #[must_use]
    pub fn arn(&self) -> String {
        self.kind.arn(&self.document)
    }
}

impl Store {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When it cannot be written or is not a database.
    pub fn open(file: &Path) -> Result<Self, Fault> {
        store::Store::open(file, &format!("{SCHEMA}{}", tags::SCHEMA), 1).map(Self).map_err(Fault::internal)
    }

    /// Adds a resource with its tags, in the place of one of the same name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn create(&self, record: &Record, tags: &[(String, String)]) -> Result<(), Fault> {
        let mut db = self.0.lock();
        let transaction = db.transaction().map_err(broken)?;
        put(&transaction, record)?;
        tags::clear(&transaction, &record.arn())?;
        tags::put(&transaction, &record.arn(), tags)?;
        transaction.commit().map_err(broken)
    }

    /// Writes a resource as it is now.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, record: &Record) -> Result<(), Fault> {
        put(&self.0.lock(), record)
    }

    /// The resource that a request or a document is about.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&self, kind: Kind, members: &Document) -> Result<Option<Record>, Fault> {
        let rows = self.query("WHERE kind = ?1 AND id = ?2", params![kind.path(), kind.id(members)])?;
        Ok(rows.into_iter().next())
    }

    /// The resource with this ARN.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn by_arn(&self, arn: &str) -> Result<Option<Record>, Fault> {
        Ok(self.query("WHERE arn = ?1", [arn])?.into_iter().next())
    }

    /// All resources of a kind.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all(&self, kind: Kind) -> Result<Vec<Record>, Fault> {
        self.query("WHERE kind = ?1", [kind.path()])
    }

    /// Those whose change is done by now.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn due(&self, now: i64) -> Result<Vec<Record>, Fault> {
        self.query("WHERE due <= ?1 ORDER BY due", [now])
    }

    /// Removes a resource and its tags.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove(&self, record: &Record) -> Result<(), Fault> {
        let mut db = self.0.lock();
        let transaction = db.transaction().map_err(broken)?;
        let key = params![record.kind.path(), record.kind.id(&record.document)];
        transaction.execute("DELETE FROM resources WHERE kind = ?1 AND id = ?2", key).map_err(broken)?;
        tags::clear(&transaction, &record.arn())?;
        transaction.commit().map_err(broken)
    }

    /// The tags of notebook instances and of what Studio has.
    #[must_use]
    pub fn tags(&self) -> Tags<'_> {
        Tags::by_key(&self.0)
    }

    fn query(&self, wanted: &str, values: impl Params) -> Result<Vec<Record>, Fault> {
        let db = self.0.lock();
        let mut statement = db.prepare_cached(&format!("{COLUMNS} {wanted}")).map_err(broken)?;
        let rows = statement.query_map(values, columns).map_err(broken)?;
        rows.map(|row| row.map_err(broken).and_then(parse)).collect()
    }
}

fn put(db: &Connection, record: &Record) -> Result<(), Fault> {
    let id = record.kind.id(&record.document);
    let document = Value::Object(record.document.clone()).to_string();
    let values = params![record.kind.path(), id, record.arn(), record.due, document];
    db.execute("INSERT OR REPLACE INTO resources VALUES (?1, ?2, ?3, ?4, ?5)", values).map_err(broken)?;
    Ok(())
}

fn columns(row: &Row<'_>) -> rusqlite::Result<(String, Option<i64>, String)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn parse((path, due, document): (String, Option<i64>, String)) -> Result<Record, Fault> {
    let unreadable = || Fault::internal("a notebook of the local region cannot be read");
    let kind = Kind::of_path(&path).ok_or_else(unreadable)?;
    Ok(Record { kind, due, document: serde_json::from_str(&document).map_err(|_| unreadable())? })
}

#[allow(clippy::needless_pass_by_value, reason = "it is the argument of map_err everywhere")]
fn broken(error: rusqlite::Error) -> Fault {
    Fault::internal(format_args!("the local region cannot use its file of notebooks: {error}"))
}
