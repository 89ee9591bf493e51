//! The service's memory: one SQLite file with a document per job, and the tags.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, ToSql, params, params_from_iter};
use serde_json::{Map, Value};

use super::document::millis;
use super::tags::{self, Tags};
use crate::local::fault::Fault;
use crate::local::store;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS jobs (
    name TEXT PRIMARY KEY, created INTEGER NOT NULL, modified INTEGER NOT NULL, status TEXT NOT NULL, document TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS jobs_created ON jobs (created, name);";

/// A job's document: what `DescribeTrainingJob` answers.
pub type Document = Map<String, Value>;

/// All calls block.
pub struct Store(store::Store);

/// What a listing asks for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub name_contains: Option<String>,
    pub status: Option<String>,
    /// Bounds in epoch milliseconds, both ends included.
    pub created: (Option<i64>, Option<i64>),
    pub modified: (Option<i64>, Option<i64>),
    pub sort: Sort,
    pub descending: bool,
    /// Only what comes after this job: its sort key and name.
    pub after: Option<(Value, String)>,
    pub limit: usize,
}

/// What a listing is sorted by; equal ones by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    CreationTime,
    Name,
    Status,
}

impl Sort {
    fn column(self) -> &'static str {
        match self {
            Self::CreationTime => "created",
            Self::Name => "name",
            Self::Status => "status",
        }
    }
}

impl Store {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When it cannot be written or is not a database.
    pub fn open(file: &Path) -> Result<Self, Fault> {
        store::Store::open(file, &format!("{SCHEMA}{}", tags::SCHEMA), 1).map(Self).map_err(broken)
    }

    /// Adds a job with its tags; false, and nothing is changed, when the name is taken.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn insert(&self, document: &Document, tags: &[(String, String)]) -> Result<bool, Fault> {
        let mut db = self.0.lock();
        let transaction = db.transaction().map_err(broken)?;
        let row = Row::of(document);
        let added = transaction
            .execute(
                "INSERT INTO jobs VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                params![row.name, row.created, row.modified, row.status, row.text],
            )
            .map_err(broken)?;
        if added == 1 {
            tags::put(&transaction, text(document, "TrainingJobArn"), tags)?;
        }
        transaction.commit().map_err(broken)?;
        Ok(added == 1)
    }

    /// A job's document.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn job(&self, name: &str) -> Result<Option<Document>, Fault> {
        read(&self.0.lock(), name)
    }

    /// Changes a job's document; `None` when there is no such job. Whoever changes sees the last state: changes come one
    /// after the other. A change that fails leaves the job as it was.
    ///
    /// # Errors
    /// The change's own, or that the file cannot be written.
    pub fn update<T>(&self, name: &str, change: impl FnOnce(&mut Document) -> Result<T, Fault>) -> Result<Option<T>, Fault> {
        let db = self.0.lock();
        let Some(mut document) = read(&db, name)? else { return Ok(None) };
        let outcome = change(&mut document)?;
        let row = Row::of(&document);
        db.execute(
            "UPDATE jobs SET modified = ?2, status = ?3, document = ?4 WHERE name = ?1",
            params![row.name, row.modified, row.status, row.text],
        )
        .map_err(broken)?;
        Ok(Some(outcome))
    }

    /// Removes a job and its tags.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn delete(&self, name: &str, arn: &str) -> Result<(), Fault> {
        let mut db = self.0.lock();
        let transaction = db.transaction().map_err(broken)?;
        transaction.execute("DELETE FROM jobs WHERE name = ?1", [name]).map_err(broken)?;
        tags::clear(&transaction, arn)?;
        transaction.commit().map_err(broken)
    }

    /// The documents that a query finds, in its order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self, query: &Query) -> Result<Vec<Document>, Fault> {
        let mut conditions = vec!["1".to_owned()];
        let mut values: Vec<Box<dyn ToSql>> = Vec::new();
        let mut add = |condition: &str, value: Box<dyn ToSql>| {
            conditions.push(condition.to_owned());
            values.push(value);
        };
        if let Some(part) = &query.name_contains {
            add("instr(name, ?) > 0", Box::new(part.clone()));
        }
        if let Some(status) = &query.status {
            add("status = ?", Box::new(status.clone()));
        }
        for (column, (from, to)) in [("created", query.created), ("modified", query.modified)] {
            if let Some(from) = from {
                add(&format!("{column} >= ?"), Box::new(from));
            }
            if let Some(to) = to {
                add(&format!("{column} <= ?"), Box::new(to));
            }
        }
        let (column, direction) = (query.sort.column(), if query.descending { "DESC" } else { "ASC" });
        if let Some((key, name)) = &query.after {
            let sign = if query.descending { "<" } else { ">" };
            let key: Box<dyn ToSql> = match key {
                Value::String(text) => Box::new(text.clone()),
                other => Box::new(other.as_i64().unwrap_or_default()),
            };
            add(&format!("({column}, name) {sign} (?, ?)"), key);
            values.push(Box::new(name.clone()));
        }
        let sql = format!(
            "SELECT document FROM jobs WHERE {} ORDER BY {column} {direction}, name {direction} LIMIT {}",
            conditions.join(" AND "),
            query.limit
        );
        let db = self.0.lock();
        let mut statement = db.prepare_cached(&sql).map_err(broken)?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(0)).map_err(broken)?;
        rows.map(|row| parse(&row.map_err(broken)?)).collect()
    }

    /// The names of all jobs in a status.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn names_in(&self, status: &str) -> Result<Vec<String>, Fault> {
        let db = self.0.lock();
        let mut statement = db.prepare_cached("SELECT name FROM jobs WHERE status = ?1").map_err(broken)?;
        let rows = statement.query_map([status], |row| row.get(0)).map_err(broken)?;
        rows.collect::<Result<_, _>>().map_err(broken)
    }

    /// The tags of training and tuning jobs.
    #[must_use]
    pub fn tags(&self) -> Tags<'_> {
        Tags::as_added(&self.0)
    }
}

/// What of a document is a column.
struct Row<'a> {
    name: &'a str,
    created: i64,
    modified: i64,
    status: &'a str,
    text: String,
}

impl<'a> Row<'a> {
    fn of(document: &'a Document) -> Self {
        Self {
            name: text(document, "TrainingJobName"),
            created: millis(document.get("CreationTime")).unwrap_or_default(),
            modified: millis(document.get("LastModifiedTime")).unwrap_or_default(),
            status: text(document, "TrainingJobStatus"),
            text: Value::Object(document.clone()).to_string(),
        }
    }
}

/// A text member; empty when it is missing.
#[must_use]
pub fn text<'a>(document: &'a Document, member: &str) -> &'a str {
    document.get(member).and_then(Value::as_str).unwrap_or_default()
}

fn read(db: &Connection, name: &str) -> Result<Option<Document>, Fault> {
    let found = db
        .prepare_cached("SELECT document FROM jobs WHERE name = ?1")
        .and_then(|mut statement| statement.query_row([name], |row| row.get::<_, String>(0)).optional());
    found.map_err(broken)?.map(|text| parse(&text)).transpose()
}

fn parse(text: &str) -> Result<Document, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::internal(format_args!("a job of the local region cannot be read: {error}")))
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::internal(format_args!("the local region cannot use its file of SageMaker jobs: {error}"))
}
