//! The memory of EC2: one SQLite file with a document per resource, and the tags of all.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::local::fault::Fault;
use crate::local::store;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS resources (
    kind TEXT NOT NULL, id TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tags (
    resource TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (resource, key)
) WITHOUT ROWID;";

/// All calls block.
pub struct Store(store::Store);

/// What the store keeps.
pub trait Kept: Serialize + DeserializeOwned {
    /// Its name in the file.
    const KIND: &'static str;
    fn id(&self) -> &str;
}

impl Store {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// When it cannot be written or is not a database.
    pub fn open(file: &Path) -> Result<Self, Fault> {
        store::Store::open(file, SCHEMA, 1).map(Self).map_err(Fault::internal)
    }

    /// One resource.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get<T: Kept>(&self, id: &str) -> Result<Option<T>, Fault> {
        find(&self.0.lock(), id)
    }

    /// All resources of a kind, by id.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all<T: Kept>(&self) -> Result<Vec<T>, Fault> {
        let db = self.0.lock();
        let mut query = db.prepare_cached("SELECT document FROM resources WHERE kind = ?1 ORDER BY id").map_err(broken)?;
        let rows = query.query_map([T::KIND], |row| row.get::<_, String>(0)).map_err(broken)?;
        rows.map(|row| row.map_err(broken).and_then(|document| read(&document))).collect()
    }

    /// All tags: resource, key, value; by resource and key.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn tags(&self) -> Result<Vec<(String, String, String)>, Fault> {
        let db = self.0.lock();
        let mut query = db.prepare_cached("SELECT resource, key, value FROM tags ORDER BY resource, key").map_err(broken)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(broken)?;
        rows.collect::<Result<_, _>>().map_err(broken)
    }

    /// The tags of a resource, as answers have them.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn tags_of(&self, resource: &str) -> Result<Vec<Value>, Fault> {
        let db = self.0.lock();
        let mut query = db.prepare_cached("SELECT key, value FROM tags WHERE resource = ?1 ORDER BY key").map_err(broken)?;
        let pair = |row: &rusqlite::Row<'_>| Ok(json!({"Key": row.get::<_, String>(0)?, "Value": row.get::<_, String>(1)?}));
        let rows = query.query_map([resource], pair).map_err(broken)?;
        rows.collect::<Result<_, _>>().map_err(broken)
    }

    /// Makes several changes, all or none.
    ///
    /// # Errors
    /// The first error of `changes`, or when the file cannot be written.
    pub fn change<T>(&self, changes: impl FnOnce(&Change<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let mut db = self.0.lock();
        let change = Change(db.transaction().map_err(broken)?);
        let made = changes(&change)?;
        change.0.commit().map_err(broken)?;
        Ok(made)
    }
}

/// Changes under way.
pub struct Change<'a>(Transaction<'a>);

impl Change<'_> {
    /// One resource, as it is within these changes.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get<T: Kept>(&self, id: &str) -> Result<Option<T>, Fault> {
        find(&self.0, id)
    }

    /// Adds or replaces a resource.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn put<T: Kept>(&self, resource: &T) -> Result<(), Fault> {
        let document = serde_json::to_string(resource).map_err(Fault::internal)?;
        let values = params![T::KIND, resource.id(), document];
        self.0.execute("INSERT OR REPLACE INTO resources VALUES (?1, ?2, ?3)", values).map_err(broken)?;
        Ok(())
    }

    /// Removes a resource and its tags.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remove<T: Kept>(&self, id: &str) -> Result<(), Fault> {
        self.0.execute("DELETE FROM resources WHERE kind = ?1 AND id = ?2", [T::KIND, id]).map_err(broken)?;
        self.untag_all(id)
    }

    /// Adds a tag, or changes its value.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn tag(&self, resource: &str, key: &str, value: &str) -> Result<(), Fault> {
        self.0.execute("INSERT OR REPLACE INTO tags VALUES (?1, ?2, ?3)", [resource, key, value]).map_err(broken)?;
        Ok(())
    }

    /// Removes a tag; of a value only, when one is given.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn untag(&self, resource: &str, key: &str, value: Option<&str>) -> Result<(), Fault> {
        let query = "DELETE FROM tags WHERE resource = ?1 AND key = ?2 AND (?3 IS NULL OR value = ?3)";
        self.0.execute(query, params![resource, key, value]).map_err(broken)?;
        Ok(())
    }

    /// Removes all tags of a resource.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn untag_all(&self, resource: &str) -> Result<(), Fault> {
        self.0.execute("DELETE FROM tags WHERE resource = ?1", [resource]).map_err(broken)?;
        Ok(())
    }
}

fn find<T: Kept>(db: &Connection, id: &str) -> Result<Option<T>, Fault> {
    let query = "SELECT document FROM resources WHERE kind = ?1 AND id = ?2";
    let document = db.query_row(query, [T::KIND, id], |row| row.get::<_, String>(0)).optional().map_err(broken)?;
    document.as_deref().map(read).transpose()
}

fn read<T: Kept>(document: &str) -> Result<T, Fault> {
    serde_json::from_str(document).map_err(|error| {
        Fault::internal(format_args!(
            "a {} of the local region cannot be read ({error}); `footplate local reset` starts afresh",
            T::KIND
        ))
    })
}

#[allow(clippy::needless_pass_by_value, reason = "it is the argument of map_err everywhere")]
fn broken(error: rusqlite::Error) -> Fault {
    Fault::internal(format_args!("the local region cannot use its file of EC2: {error}"))
}
