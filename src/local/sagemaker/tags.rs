//! Tags of resources: as they are sent and shown, and the table that each part of the service keeps them in.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::store::{Document, text};
use crate::local::fault::Fault;
use crate::local::store::Store;

/// The most tags of one resource (API reference).
const MOST_TAGS: usize = 50;

/// The table, for the schema of a store.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tags (
    arn TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (arn, key)
);";

/// The tags that a store keeps. All calls block.
pub struct Tags<'a> {
    store: &'a Store,
    order: &'static str,
}

impl<'a> Tags<'a> {
    /// Shown in the order in which they were added.
    #[must_use]
    pub fn as_added(store: &'a Store) -> Self {
        Self { store, order: "rowid" }
    }

    /// Shown by their keys.
    #[must_use]
    pub fn by_key(store: &'a Store) -> Self {
        Self { store, order: "key" }
    }

    /// Answers `AddTags`, `ListTags` and `DeleteTags` for a resource that exists. All tags fit on one page, because the
    /// `MaxResults` of `ListTags` is 50 at least.
    ///
    /// # Errors
    /// Tags that cannot be, or too many.
    pub fn answer(&self, operation: &str, arn: &str, request: &Document) -> Result<Value, Fault> {
        match operation {
            "AddTags" => self.add_sent(arn, &sent(request)?)?,
            "DeleteTags" => {
                let keys = request.get("TagKeys").and_then(Value::as_array).into_iter().flatten();
                self.remove(arn, keys.filter_map(Value::as_str))?;
                return Ok(json!({}));
            }
            _ => {}
        }
        let shown = self.of(arn)?.into_iter().map(|(key, value)| json!({"Key": key, "Value": value}));
        Ok(json!({"Tags": shown.collect::<Vec<_>>()}))
    }

    /// The tags of a resource.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn of(&self, arn: &str) -> Result<Vec<(String, String)>, Fault> {
        let db = self.store.lock();
        let sql = format!("SELECT key, value FROM tags WHERE arn = ?1 ORDER BY {}", self.order);
        let mut statement = db.prepare_cached(&sql).map_err(broken)?;
        let rows = statement.query_map([arn], |row| Ok((row.get(0)?, row.get(1)?))).map_err(broken)?;
        rows.collect::<Result<_, _>>().map_err(broken)
    }

    /// Adds tags, or changes their values.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, arn: &str, tags: &[(String, String)]) -> Result<(), Fault> {
        let mut db = self.store.lock();
        let transaction = db.transaction().map_err(broken)?;
        put(&transaction, arn, tags)?;
        transaction.commit().map_err(broken)
    }

    /// Removes all tags of a resource.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn clear(&self, arn: &str) -> Result<(), Fault> {
        clear(&self.store.lock(), arn)
    }

    fn add_sent(&self, arn: &str, tags: &[(String, String)]) -> Result<(), Fault> {
        let present = self.of(arn)?;
        let new = tags.iter().filter(|(key, _)| present.iter().all(|(other, _)| other != key)).count();
        if present.len() + new > MOST_TAGS {
            // assumed: the text.
            return Err(Fault::validation(format!(
                "A resource can have {MOST_TAGS} tags at most. Remove some with DeleteTags first."
            )));
        }
        self.add(arn, tags)
    }

    /// Those that are not there are no error.
    fn remove<'k>(&self, arn: &str, keys: impl Iterator<Item = &'k str>) -> Result<(), Fault> {
        let mut db = self.store.lock();
        let transaction = db.transaction().map_err(broken)?;
        for key in keys {
            transaction.execute("DELETE FROM tags WHERE arn = ?1 AND key = ?2", [arn, key]).map_err(broken)?;
        }
        transaction.commit().map_err(broken)
    }
}

/// The tags of a request, in its order.
///
/// # Errors
/// A key that AWS keeps for itself, or one that comes twice.
pub fn sent(request: &Document) -> Result<Vec<(String, String)>, Fault> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for tag in request.get("Tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        let (key, value) = (text(tag, "Key"), text(tag, "Value"));
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(Fault::validation("aws: prefixed tag key names are not allowed for external use."));
        }
        // assumed: the text.
        if tags.iter().any(|(other, _)| other == key) {
            return Err(Fault::validation(format!("Duplicate tag key {key} in Tags. Tag keys must be unique.")));
        }
        tags.push((key.to_owned(), value.to_owned()));
    }
    Ok(tags)
}

/// Adds tags within a transaction; a key that is there gets the new value.
///
/// # Errors
/// When the file cannot be written.
pub fn put(db: &Connection, arn: &str, tags: &[(String, String)]) -> Result<(), Fault> {
    for (key, value) in tags {
        db.execute("INSERT INTO tags VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET value = excluded.value", [arn, key, value])
            .map_err(broken)?;
    }
    Ok(())
}

/// Removes all tags of a resource within a transaction.
///
/// # Errors
/// When the file cannot be written.
pub fn clear(db: &Connection, arn: &str) -> Result<(), Fault> {
    db.execute("DELETE FROM tags WHERE arn = ?1", [arn]).map_err(broken).map(drop)
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err everywhere")]
fn broken(error: rusqlite::Error) -> Fault {
    Fault::internal(format_args!("the local region cannot use its tags: {error}"))
}
