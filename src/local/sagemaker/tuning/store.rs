//! The tuning jobs' memory: one SQLite file with a document per tuning job and a summary per training job of it.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::super::store::{Document, text};
use crate::local::fault::Fault;
use crate::local::store::Store;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tuning (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trial (
    tuning TEXT NOT NULL, number INTEGER NOT NULL, summary TEXT NOT NULL, PRIMARY KEY (tuning, number)
) WITHOUT ROWID;
";

/// All calls block.
pub struct Tunings(Store);

impl Tunings {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When it cannot be written or is not a database.
    pub fn open(file: &Path) -> Result<Self, Fault> {
        Store::open(file, SCHEMA, 1).map(Self).map_err(broken)
    }

    /// Adds a tuning job; false, and nothing is changed, when the name is taken.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn insert(&self, document: &Document) -> Result<bool, Fault> {
        let db = self.0.lock();
        let row = params![name(document), written(document)];
        let added = db.execute("INSERT INTO tuning VALUES (?1, ?2) ON CONFLICT DO NOTHING", row).map_err(broken)?;
        Ok(added == 1)
    }

    /// A tuning job's document: what `DescribeHyperParameterTuningJob` answers.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn job(&self, name: &str) -> Result<Option<Document>, Fault> {
        read(&self.0.lock(), name)
    }

    /// The documents of all tuning jobs, by name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn jobs(&self) -> Result<Vec<Document>, Fault> {
        let db = self.0.lock();
        let mut statement = db.prepare_cached("SELECT document FROM tuning ORDER BY name").map_err(broken)?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(broken)?;
        rows.map(|row| parse(&row.map_err(broken)?)).collect()
    }

    /// Changes a tuning job's document; `None` when there is no such job. A change that fails leaves the job as it was.
    ///
    /// # Errors
    /// The change's own, or that the file cannot be written.
    pub fn update<T>(&self, name: &str, change: impl FnOnce(&mut Document) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        let db = self.0.lock();
        let Some(mut document) = read(&db, name)? else { return Ok(None) };
        let outcome = change(&mut document)?;
        db.execute("UPDATE tuning SET document = ?2 WHERE name = ?1", params![name, written(&document)]).map_err(broken)?;
        Ok(Some(outcome))
    }

    /// Removes a tuning job and the summaries of its training jobs.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn delete(&self, name: &str) -> Result<(), Fault> {
        let mut db = self.0.lock();
        let transaction = db.transaction().map_err(broken)?;
        transaction.execute("DELETE FROM tuning WHERE name = ?1", [name]).map_err(broken)?;
        transaction.execute("DELETE FROM trial WHERE tuning = ?1", [name]).map_err(broken)?;
        transaction.commit().map_err(broken)
    }

    /// Puts the summary of a training job, over the one before.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put_trial(&self, tuning: &str, number: usize, summary: &Document) -> Result<(), Fault> {
        let row = params![tuning, i64::try_from(number).unwrap_or(i64::MAX), written(summary)];
        let sql = "INSERT INTO trial VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET summary = excluded.summary";
        self.0.lock().execute(sql, row).map_err(broken).map(drop)
    }

    /// The summaries of a tuning job's training jobs, in the order of their start, with their numbers.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn trials(&self, tuning: &str) -> Result<Vec<(usize, Document)>, Fault> {
        let db = self.0.lock();
        let sql = "SELECT number, summary FROM trial WHERE tuning = ?1 ORDER BY number";
        let mut statement = db.prepare_cached(sql).map_err(broken)?;
        let rows = statement.query_map([tuning], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))).map_err(broken)?;
        rows.map(|row| {
            let (number, summary) = row.map_err(broken)?;
            Ok((usize::try_from(number).unwrap_or_default(), parse(&summary)?))
        })
        .collect()
    }
}

fn name(document: &Document) -> &str {
    text(document, "HyperParameterTuningJobName")
}

fn written(document: &Document) -> String {
    Value::Object(document.clone()).to_string()
}

fn read(db: &Connection, name: &str) -> Result<Option<Document>, Fault> {
    let found = db
        .prepare_cached("SELECT document FROM tuning WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |row| row.get::<_, String>(0)).optional());
    found.map_err(broken)?.map(|text| parse(&text)).transpose()
}

fn parse(text: &str) -> Result<Document, Fault> {
    serde_json::from_str(text)
        .map_err(|error| Fault::internal(format_args!("a tuning job of the local region cannot be read: {error}")))
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::internal(format_args!("the local region cannot use its file of tuning jobs: {error}"))
}
