//! Multipart uploads: parts wait under their upload until they become one object or are given up.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::blob::Draft;
use super::index::{Facts, Row, find, insert};
use super::{BucketError, Buckets};

/// An upload that is under way.
#[derive(Clone, Debug)]
pub struct UploadRow {
    pub id: String,
    pub key: String,
    /// Milliseconds since the epoch.
    pub started: i64,
    /// E.g. `CRC32`.
    pub algorithm: Option<String>,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub checksum_type: Option<String>,
    pub facts: Facts,
}

/// One part of an upload.
#[derive(Clone, Debug)]
pub struct PartRow {
    /// 1 to 10,000.
    pub number: i32,
    pub blob: String,
    /// Bytes.
    pub size: u64,
    /// MD5 in hexadecimal.
    pub etag: String,
    /// Milliseconds since the epoch.
    pub modified: i64,
    pub checksums: BTreeMap<String, String>,
}

impl Buckets {
    pub(in crate::local) fn begin_upload(&self, bucket: &str, upload: &UploadRow) -> Result<(), BucketError> {
        self.expect_bucket(bucket)?;
        let facts = serde_json::to_string(&upload.facts).map_err(std::io::Error::from)?;
        self.0.index.lock().execute(
            "INSERT INTO upload (id, bucket, key, started, algorithm, checksum_type, facts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![upload.id, bucket, upload.key, upload.started, upload.algorithm, upload.checksum_type, facts],
        )?;
        Ok(())
    }

    /// The upload of this id, when it belongs to this bucket and key.
    pub(in crate::local) fn upload(&self, bucket: &str, key: &str, id: &str) -> Result<Option<UploadRow>, BucketError> {
        self.expect_bucket(bucket)?;
        let index = self.0.index.lock();
        let mut statement = index.prepare_cached(
            "SELECT id, key, started, algorithm, checksum_type, facts FROM upload WHERE id = ?1 AND bucket = ?2 AND key = ?3",
        )?;
        Ok(statement.query_row([id, bucket, key], read_upload).optional()?)
    }

    /// Uploads whose key starts with the prefix, by key, then age.
    pub(in crate::local) fn uploads(&self, bucket: &str, prefix: &str) -> Result<Vec<UploadRow>, BucketError> {
        self.expect_bucket(bucket)?;
        let index = self.0.index.lock();
        let mut statement = index.prepare_cached(
            "SELECT id, key, started, algorithm, checksum_type, facts FROM upload WHERE bucket = ?1 ORDER BY key, started, id",
        )?;
        let rows = statement.query_map([bucket], read_upload)?;
        let all: Vec<UploadRow> = rows.collect::<Result<_, _>>()?;
        Ok(all.into_iter().filter(|upload| upload.key.starts_with(prefix)).collect())
    }

    /// Parts in order of number.
    pub(in crate::local) fn parts(&self, upload: &str) -> Result<Vec<PartRow>, BucketError> {
        let index = self.0.index.lock();
        let mut statement = index
            .prepare_cached("SELECT number, blob, size, etag, modified, checksums FROM part WHERE upload = ?1 ORDER BY number")?;
        let rows = statement.query_map([upload], |row| {
            let checksums: String = row.get(5)?;
            Ok(PartRow {
                number: row.get(0)?,
                blob: row.get(1)?,
                size: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
                etag: row.get(3)?,
                modified: row.get(4)?,
                checksums: serde_json::from_str(&checksums).unwrap_or_default(),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds a part, replacing one of the same number; `false` when the upload ended meanwhile.
    pub(in crate::local) fn add_part(&self, upload: &str, draft: &mut Draft, part: &PartRow) -> Result<bool, BucketError> {
        let mut index = self.0.index.lock();
        let transaction = index.transaction()?;
        let alive: bool =
            transaction.query_row("SELECT EXISTS (SELECT 1 FROM upload WHERE id = ?1)", [upload], |row| row.get(0))?;
        if !alive {
            return Ok(false);
        }
        let old: Option<String> = transaction
            .query_row("SELECT blob FROM part WHERE upload = ?1 AND number = ?2", params![upload, part.number], |row| row.get(0))
            .optional()?;
        transaction.execute(
            "INSERT OR REPLACE INTO part (upload, number, blob, size, etag, modified, checksums) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                upload,
                part.number,
                part.blob,
                i64::try_from(part.size).unwrap_or(i64::MAX),
                part.etag,
                part.modified,
                serde_json::to_string(&part.checksums).map_err(std::io::Error::from)?
            ],
        )?;
        transaction.commit()?;
        draft.keep();
        drop(index);
        self.discard(old.as_slice());
        Ok(true)
    }

    /// Ends an upload and makes its assembled content an object, in one transaction; `None` when the condition does not
    /// hold (the upload stays).
    pub(in crate::local) fn finish_upload(
        &self,
        bucket: &str,
        upload: &str,
        draft: &mut Draft,
        row: &Row,
        condition: impl FnOnce(Option<&Row>) -> bool,
    ) -> Result<Option<()>, BucketError> {
        let parts: Vec<String> = self.parts(upload)?.into_iter().map(|part| part.blob).collect();
        let mut index = self.0.index.lock();
        let transaction = index.transaction()?;
        let old = find(&transaction, bucket, &row.key)?;
        if !condition(old.as_ref()) {
            return Ok(None);
        }
        insert(&transaction, bucket, row)?;
        transaction.execute("DELETE FROM part WHERE upload = ?1", [upload])?;
        transaction.execute("DELETE FROM upload WHERE id = ?1", [upload])?;
        transaction.commit()?;
        draft.keep();
        drop(index);
        self.discard(&parts);
        if let Some(old) = old {
            self.discard(&[old.blob]);
        }
        Ok(Some(()))
    }

    /// Gives an upload up and removes its parts.
    pub(in crate::local) fn drop_upload(&self, upload: &str) -> Result<(), BucketError> {
        let parts: Vec<String> = self.parts(upload)?.into_iter().map(|part| part.blob).collect();
        let mut index = self.0.index.lock();
        let transaction = index.transaction()?;
        transaction.execute("DELETE FROM part WHERE upload = ?1", [upload])?;
        transaction.execute("DELETE FROM upload WHERE id = ?1", [upload])?;
        transaction.commit()?;
        drop(index);
        self.discard(&parts);
        Ok(())
    }
}

fn read_upload(row: &rusqlite::Row<'_>) -> rusqlite::Result<UploadRow> {
    let facts: String = row.get(5)?;
    Ok(UploadRow {
        id: row.get(0)?,
        key: row.get(1)?,
        started: row.get(2)?,
        algorithm: row.get(3)?,
        checksum_type: row.get(4)?,
        facts: serde_json::from_str(&facts).unwrap_or_default(),
    })
}
