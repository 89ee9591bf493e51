//! The buckets of the region: what S3 serves over HTTP, and what jobs read and write without HTTP.
//!
//! Keys never become paths. An index (SQLite) maps bucket and key to a file with a random name, so `../x`, `a` beside
//! `a/b`, keys of 1,024 bytes and any unicode are ordinary rows, and byte order is the index's own order. Content is
//! written to its file first and becomes an object when its row commits: a crash or a full disk leaves the old object.

mod blob;
mod index;
mod uploads;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use blob::{Digests, Draft, Sums, by_algorithm};
pub(super) use index::{Facts, Page, PageRequest, Row};
pub(super) use uploads::{PartRow, UploadRow};

use super::store::{Store, now_millis};

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// Why an access failed.
#[derive(Debug, thiserror::Error)]
pub enum BucketError {
    #[error("the bucket {0} does not exist")]
    NoSuchBucket(String),
    #[error("there is no object {0}")]
    NoSuchKey(String),
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl From<rusqlite::Error> for BucketError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Io(super::store::io_error(error))
    }
}

/// The buckets of the region, on its folder. All calls block on the disk.
#[derive(Clone)]
pub struct Buckets(Arc<Inner>);

struct Inner {
    index: Store,
    blobs: PathBuf,
}

impl Buckets {
    /// Opens the buckets kept in this folder, creating it when it is new, and removes content that no object refers to
    /// (what a crash left half written).
    ///
    /// # Errors
    /// When the folder cannot be written or its index is damaged.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let blobs = folder.join("blobs");
        fs::create_dir_all(&blobs)?;
        let index = Store::open(&folder.join("index.sqlite"), index::SCHEMA, 1)?;
        let buckets = Self(Arc::new(Inner { index, blobs }));
        buckets.sweep()?;
        Ok(buckets)
    }

    /// All objects whose key starts with the prefix, in byte order of keys.
    ///
    /// # Errors
    /// When the bucket does not exist or the index cannot be read.
    pub fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<ObjectInfo>, BucketError> {
        let request = PageRequest { prefix, delimiter: None, after: None, limit: usize::MAX };
        let page = self.page(bucket, &request)?;
        Ok(page.rows.into_iter().map(|row| ObjectInfo { key: row.key, size: row.size }).collect())
    }

    /// Writes the object to a new file.
    ///
    /// # Errors
    /// When bucket or key does not exist, the file exists already, or the disk is full (the file is removed then).
    pub fn fetch(&self, bucket: &str, key: &str, to: &Path) -> Result<(), BucketError> {
        let (_, mut from) = self.open_object(bucket, key)?;
        let mut file = File::options().write(true).create_new(true).open(to)?;
        if let Err(error) = io::copy(&mut from, &mut file) {
            drop(file);
            fs::remove_file(to).ok();
            return Err(error.into());
        }
        Ok(())
    }

    /// Stores a file as an object, atomically, with the metadata S3 would have (`ETag`, Last-Modified, checksum).
    ///
    /// # Errors
    /// When the bucket does not exist, the file cannot be read or the disk is full; an object of that name stays as it was.
    pub fn store(&self, bucket: &str, key: &str, from: &Path) -> Result<(), BucketError> {
        self.expect_bucket(bucket)?;
        let from = File::open(from)?;
        let mut draft = self.draft()?;
        let mut file = draft.create()?;
        let mut digests = Digests::default_checksum();
        digests.copy(from, &mut file)?;
        draft.settle(&file)?;
        let sums = digests.finish();
        let mut facts = Facts { content_type: Some("binary/octet-stream".to_owned()), ..Facts::default() };
        facts.add_checksums(&sums.checksums, "FULL_OBJECT");
        let row = Row {
            key: key.to_owned(),
            blob: draft.name().to_owned(),
            size: sums.size,
            etag: sums.md5,
            modified: now_millis(),
            facts,
        };
        self.put(bucket, &mut draft, &row, |_| true)?;
        Ok(())
    }

    /// Whether there is such a bucket. An index that cannot be read has none.
    #[must_use]
    pub fn exists(&self, bucket: &str) -> bool {
        self.created(bucket).is_ok_and(|found| found.is_some())
    }

    /// Makes a bucket; `false` when it was there.
    ///
    /// # Errors
    /// When the index cannot be written.
    pub fn create(&self, bucket: &str) -> Result<bool, BucketError> {
        let made = self
            .0
            .index
            .lock()
            .execute("INSERT INTO bucket (name, created) VALUES (?1, ?2) ON CONFLICT DO NOTHING", (bucket, now_millis()))?;
        Ok(made > 0)
    }

    /// An object's row and its open content.
    pub(super) fn open_object(&self, bucket: &str, key: &str) -> Result<(Row, File), BucketError> {
        // Between the look-up and the open, a writer may have replaced the object and removed the old content: look again.
        for _ in 0..8 {
            let row = self.row(bucket, key)?.ok_or_else(|| BucketError::NoSuchKey(key.to_owned()))?;
            match File::open(self.blob_path(&row.blob)) {
                Ok(file) => return Ok((row, file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other(format!("the content of {key} is missing from the region's folder")).into())
    }

    /// A place for new content.
    pub(super) fn draft(&self) -> io::Result<Draft> {
        Draft::new(&self.0.blobs)
    }

    pub(super) fn blob_path(&self, name: &str) -> PathBuf {
        blob::path(&self.0.blobs, name)
    }

    fn sweep(&self) -> io::Result<()> {
        let known = self.blob_names()?;
        for shelf in fs::read_dir(&self.0.blobs)? {
            let shelf = shelf?;
            if !shelf.file_type()?.is_dir() {
                continue;
            }
            for entry in fs::read_dir(shelf.path())? {
                let entry = entry?;
                if entry.file_name().to_str().is_none_or(|name| !known.contains(name)) {
                    fs::remove_file(entry.path())?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets() -> (tempfile::TempDir, Buckets) {
        let folder = tempfile::tempdir().unwrap();
        let buckets = Buckets::open(folder.path()).unwrap();
        assert!(buckets.create("b").unwrap());
        (folder, buckets)
    }

    #[test]
    fn hostile_keys_are_ordinary_rows_and_come_back_in_byte_order() {
        let (folder, buckets) = buckets();
        let source = folder.path().join("source");
        fs::write(&source, b"x").unwrap();
        let long = "k".repeat(1024);
        let mut keys =
            vec!["../../etc/passwd", "a", "a/", "a/b", "a//b", "ü ✓", "/abs", ".", "..", "a\u{0}b", long.as_str(), "A"];
        for key in &keys {
            buckets.store("b", key, &source).unwrap();
        }
        keys.sort_unstable();
        let listed: Vec<String> = buckets.list("b", "").unwrap().into_iter().map(|info| info.key).collect();
        assert_eq!(listed, keys);
        for (number, key) in keys.iter().enumerate() {
            let to = folder.path().join(format!("out{number}"));
            buckets.fetch("b", key, &to).unwrap();
            assert_eq!(fs::read(to).unwrap(), b"x");
        }
        assert!(!folder.path().parent().unwrap().join("etc").exists());
    }

    #[test]
    fn a_prefix_of_wildcards_is_literal() {
        let (folder, buckets) = buckets();
        let source = folder.path().join("source");
        fs::write(&source, b"x").unwrap();
        for key in ["a_c/1", "abc/1", "a%/1", "\u{10FFFF}z"] {
            buckets.store("b", key, &source).unwrap();
        }
        let keys = |prefix: &str| buckets.list("b", prefix).unwrap().into_iter().map(|info| info.key).collect::<Vec<_>>();
        assert_eq!(keys("a_"), ["a_c/1"]);
        assert_eq!(keys("a%"), ["a%/1"]);
        assert_eq!(keys("\u{10FFFF}"), ["\u{10FFFF}z"]);
    }

    #[test]
    fn replaced_and_abandoned_content_is_removed() {
        let (folder, buckets) = buckets();
        let source = folder.path().join("source");
        for text in ["one", "two", "three"] {
            fs::write(&source, text).unwrap();
            buckets.store("b", "k", &source).unwrap();
        }
        let files = || {
            let shelves = fs::read_dir(folder.path().join("blobs")).unwrap();
            shelves.flat_map(|shelf| fs::read_dir(shelf.unwrap().path()).unwrap()).count()
        };
        assert_eq!(files(), 1);
        let abandoned = buckets.draft().unwrap();
        abandoned.create().unwrap();
        std::mem::forget(abandoned);
        assert_eq!(files(), 2);
        drop(buckets);
        let again = Buckets::open(folder.path()).unwrap();
        assert_eq!(files(), 1);
        again.fetch("b", "k", &folder.path().join("out")).unwrap();
        assert_eq!(fs::read(folder.path().join("out")).unwrap(), b"three");
    }

    #[test]
    fn a_missing_bucket_and_a_missing_key_are_told_apart() {
        let (folder, buckets) = buckets();
        let to = folder.path().join("out");
        assert!(matches!(buckets.fetch("b", "k", &to), Err(BucketError::NoSuchKey(key)) if key == "k"));
        assert!(matches!(buckets.fetch("c", "k", &to), Err(BucketError::NoSuchBucket(name)) if name == "c"));
        assert!(matches!(buckets.list("c", ""), Err(BucketError::NoSuchBucket(_))));
        assert!(!to.exists());
    }
}
