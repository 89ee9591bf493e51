//! The index: rows of buckets and objects, and listings over them.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;

use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::blob::{Draft, by_algorithm};
use super::{BucketError, Buckets};
use crate::local::store::io_error;

pub(super) const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY, created INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS object (
    bucket TEXT NOT NULL REFERENCES bucket (name), key TEXT NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL,
    etag TEXT NOT NULL, modified INTEGER NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (bucket, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bucket_tags (bucket TEXT PRIMARY KEY, tags TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS upload (
    id TEXT PRIMARY KEY, bucket TEXT NOT NULL, key TEXT NOT NULL, started INTEGER NOT NULL, algorithm TEXT,
    checksum_type TEXT, facts TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS part (
    upload TEXT NOT NULL, number INTEGER NOT NULL, blob TEXT NOT NULL, size INTEGER NOT NULL, etag TEXT NOT NULL,
    modified INTEGER NOT NULL, checksums TEXT NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID;
";

/// What S3 remembers of an object besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    pub content_disposition: Option<String>,
    pub content_language: Option<String>,
    pub cache_control: Option<String>,
    /// HTTP date.
    pub expires: Option<String>,
    pub redirect: Option<String>,
    /// `x-amz-meta-*`.
    pub metadata: BTreeMap<String, String>,
    /// `AES256` or `aws:kms`; echoed, nothing is encrypted here.
    pub encryption: Option<String>,
    pub kms_key: Option<String>,
    /// Algorithm, e.g. `CRC32`, to base64.
    pub checksums: BTreeMap<String, String>,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub checksum_type: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// `None` is STANDARD.
    pub storage_class: Option<String>,
}

impl Facts {
    pub fn add_checksums(&mut self, checksums: &s3s::dto::Checksum, kind: &str) {
        self.checksums = by_algorithm(checksums);
        self.checksum_type = (!self.checksums.is_empty()).then(|| kind.to_owned());
    }
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub key: String,
    pub blob: String,
    /// Bytes.
    pub size: u64,
    /// Without the quotes.
    pub etag: String,
    /// Milliseconds since the epoch.
    pub modified: i64,
    pub facts: Facts,
}

/// What to list.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest<'a> {
    pub prefix: &'a str,
    pub delimiter: Option<&'a str>,
    /// Keys and common prefixes up to and including this one are left out.
    pub after: Option<&'a str>,
    /// How many keys and common prefixes together.
    pub limit: usize,
}

/// One page of a listing.
#[derive(Debug, Default)]
pub struct Page {
    pub rows: Vec<Row>,
    pub prefixes: Vec<String>,
    /// Where the next page starts (its `after`), when there is more.
    pub next: Option<String>,
}

impl Buckets {
    /// All buckets with their time of creation in milliseconds, by name.
    pub fn names(&self) -> Result<Vec<(String, i64)>, BucketError> {
        let index = self.0.index.lock();
        let mut statement = index.prepare_cached("SELECT name, created FROM bucket ORDER BY name")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn created(&self, bucket: &str) -> Result<Option<i64>, BucketError> {
        let index = self.0.index.lock();
        Ok(index.query_row("SELECT created FROM bucket WHERE name = ?1", [bucket], |row| row.get(0)).optional()?)
    }

    pub(in crate::local) fn expect_bucket(&self, bucket: &str) -> Result<(), BucketError> {
        self.created(bucket)?.map(|_| ()).ok_or_else(|| BucketError::NoSuchBucket(bucket.to_owned()))
    }

    /// Removes an empty bucket; `false` when it holds objects.
    pub(in crate::local) fn remove_bucket(&self, bucket: &str) -> Result<bool, BucketError> {
        self.expect_bucket(bucket)?;
        let mut index = self.0.index.lock();
        let transaction = index.transaction()?;
        let holds: bool =
            transaction.query_row("SELECT EXISTS (SELECT 1 FROM object WHERE bucket = ?1)", [bucket], |row| row.get(0))?;
        if holds {
            return Ok(false);
        }
        // Uploads that were never completed do not keep a bucket alive.
        let mut orphans =
            transaction.prepare("SELECT blob FROM part WHERE upload IN (SELECT id FROM upload WHERE bucket = ?1)")?;
        let blobs: Vec<String> = orphans.query_map([bucket], |row| row.get(0))?.collect::<Result<_, _>>()?;
        drop(orphans);
        transaction.execute("DELETE FROM part WHERE upload IN (SELECT id FROM upload WHERE bucket = ?1)", [bucket])?;
        transaction.execute("DELETE FROM upload WHERE bucket = ?1", [bucket])?;
        transaction.execute("DELETE FROM bucket_tags WHERE bucket = ?1", [bucket])?;
        transaction.execute("DELETE FROM bucket WHERE name = ?1", [bucket])?;
        transaction.commit()?;
        drop(index);
        self.discard(&blobs);
        Ok(true)
    }

    pub(in crate::local) fn row(&self, bucket: &str, key: &str) -> Result<Option<Row>, BucketError> {
        let found = find(&self.0.index.lock(), bucket, key)?;
        if found.is_none() {
            self.expect_bucket(bucket)?;
        }
        Ok(found)
    }

    /// Changes what is remembered of an object; `false` when there is none.
    pub(in crate::local) fn change_facts(
        &self,
        bucket: &str,
        key: &str,
        change: impl FnOnce(&mut Facts),
    ) -> Result<bool, BucketError> {
        self.expect_bucket(bucket)?;
        let mut index = self.0.index.lock();
        let transaction = index.transaction()?;
        let Some(mut row) = find(&transaction, bucket, key)? else { return Ok(false) };
        change(&mut row.facts);
        insert(&transaction, bucket, &row)?;
        transaction.commit()?;
        Ok(true)
    }

    /// A bucket's own tags.
    pub(in crate::local) fn bucket_tags(&self, bucket: &str) -> Result<BTreeMap<String, String>, BucketError> {
        self.expect_bucket(bucket)?;
        let index = self.0.index.lock();
        let found: Option<String> =
            index.query_row("SELECT tags FROM bucket_tags WHERE bucket = ?1", [bucket], |row| row.get(0)).optional()?;
        Ok(found.map(|text| serde_json::from_str(&text).map_err(io::Error::from)).transpose()?.unwrap_or_default())
    }

    /// Replaces a bucket's own tags.
    pub(in crate::local) fn set_bucket_tags(&self, bucket: &str, tags: &BTreeMap<String, String>) -> Result<(), BucketError> {
        self.expect_bucket(bucket)?;
        let text = serde_json::to_string(tags).map_err(io::Error::from)?;
        self.0.index.lock().execute("INSERT OR REPLACE INTO bucket_tags (bucket, tags) VALUES (?1, ?2)", [bucket, &text])?;
        Ok(())
    }

    /// Makes the draft the content of an object, if the condition holds for what is there now; `None` when it does not.
    pub(in crate::local) fn put(
        &self,
        bucket: &str,
        draft: &mut Draft,
        row: &Row,
        condition: impl FnOnce(Option<&Row>) -> bool,
    ) -> Result<Option<()>, BucketError> {
        self.expect_bucket(bucket)?;
        let mut index = self.0.index.lock();
        let transaction = index.transaction()?;
        let old = find(&transaction, bucket, &row.key)?;
        if !condition(old.as_ref()) {
            return Ok(None);
        }
        insert(&transaction, bucket, row)?;
        transaction.commit()?;
        draft.keep();
        drop(index);
        if let Some(old) = old {
            self.discard(&[old.blob]);
        }
        Ok(Some(()))
    }

    /// Removes an object if the condition holds for it. Deleting what is not there succeeds, as in S3; `None` when the
    /// condition does not hold.
    pub(in crate::local) fn remove(
        &self,
        bucket: &str,
        key: &str,
        condition: impl FnOnce(Option<&Row>) -> bool,
    ) -> Result<Option<()>, BucketError> {
        self.expect_bucket(bucket)?;
        let mut index = self.0.index.lock();
        let transaction = index.transaction()?;
        let old = find(&transaction, bucket, key)?;
        if !condition(old.as_ref()) {
            return Ok(None);
        }
        transaction.execute("DELETE FROM object WHERE bucket = ?1 AND key = ?2", [bucket, key])?;
        transaction.commit()?;
        drop(index);
        if let Some(old) = old {
            self.discard(&[old.blob]);
        }
        Ok(Some(()))
    }

    /// One page of keys in byte order; keys that share the text up to the delimiter after the prefix fold into one entry.
    pub(in crate::local) fn page(&self, bucket: &str, request: &PageRequest<'_>) -> Result<Page, BucketError> {
        self.expect_bucket(bucket)?;
        let mut page = Page::default();
        if request.limit == 0 {
            return Ok(page);
        }
        let index = self.0.index.lock();
        let mut last: Option<String> = None;
        let mut from = match request.after {
            Some(after) if after >= request.prefix => skip_past(after, request),
            _ => Some(Bound { text: request.prefix.to_owned(), inclusive: true }),
        };
        while let Some(bound) = from.take() {
            let operator = if bound.inclusive { ">=" } else { ">" };
            let sql = format!(
                "SELECT key, blob, size, etag, modified, facts FROM object WHERE bucket = ?1 AND key {operator} ?2 ORDER BY key"
            );
            let mut statement = index.prepare_cached(&sql)?;
            let mut rows = statement.query(params![bucket, bound.text])?;
            while let Some(row) = rows.next()? {
                let key: String = row.get(0)?;
                let Some(rest) = key.strip_prefix(request.prefix) else { return Ok(page) };
                if page.rows.len() + page.prefixes.len() == request.limit {
                    page.next = last;
                    return Ok(page);
                }
                let folded = request.delimiter.and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
                if let Some(end) = folded {
                    let common = key[..request.prefix.len() + end].to_owned();
                    last = Some(common.clone());
                    // One seek past everything under the common prefix, however much that is.
                    from = after_all(&common);
                    page.prefixes.push(common);
                    break;
                }
                last = Some(key);
                page.rows.push(read(row)?);
            }
        }
        Ok(page)
    }

    pub(super) fn discard(&self, blobs: &[String]) {
        for name in blobs {
            // What cannot be removed now is removed when the region opens next.
            fs::remove_file(self.blob_path(name)).ok();
        }
    }

    pub(super) fn blob_names(&self) -> io::Result<HashSet<String>> {
        let index = self.0.index.lock();
        let mut statement = index.prepare("SELECT blob FROM object UNION ALL SELECT blob FROM part").map_err(io_error)?;
        let names = statement.query_map([], |row| row.get(0)).map_err(io_error)?;
        names.collect::<Result<_, _>>().map_err(io_error)
    }
}

struct Bound {
    text: String,
    inclusive: bool,
}

/// Where to go on after a key or, when it ends a folded group, after the whole group.
fn skip_past(after: &str, request: &PageRequest<'_>) -> Option<Bound> {
    let group = request.delimiter.is_some_and(|delimiter| after.len() > request.prefix.len() && after.ends_with(delimiter));
    if group { after_all(after) } else { Some(Bound { text: after.to_owned(), inclusive: false }) }
}

/// The first key that does not start with the prefix and comes after it; `None` when there can be none.
fn after_all(prefix: &str) -> Option<Bound> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            other => char::from_u32(u32::from(other) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(Bound { text, inclusive: true });
        }
    }
    None
}

pub(super) fn insert(index: &Connection, bucket: &str, row: &Row) -> Result<(), BucketError> {
    index
        .prepare_cached(
            "INSERT OR REPLACE INTO object (bucket, key, blob, size, etag, modified, facts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            bucket,
            row.key,
            row.blob,
            i64::try_from(row.size).unwrap_or(i64::MAX),
            row.etag,
            row.modified,
            serde_json::to_string(&row.facts).map_err(io::Error::from)?
        ])?;
    Ok(())
}

pub(super) fn find(index: &Connection, bucket: &str, key: &str) -> rusqlite::Result<Option<Row>> {
    index
        .prepare_cached("SELECT key, blob, size, etag, modified, facts FROM object WHERE bucket = ?1 AND key = ?2")?
        .query_row([bucket, key], read)
        .optional()
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let facts: String = row.get(5)?;
    Ok(Row {
        key: row.get(0)?,
        blob: row.get(1)?,
        size: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
        etag: row.get(3)?,
        modified: row.get(4)?,
        facts: serde_json::from_str(&facts).unwrap_or_default(),
    })
}
