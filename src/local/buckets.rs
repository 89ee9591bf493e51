//! What the region's other services need of S3, without HTTP: jobs read channels and write artefacts here.

use std::path::Path;

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    pub key: String,
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
    Io(#[from] std::io::Error),
}

/// The buckets of the region, on its folder.
#[derive(Clone)]
pub struct Buckets {}

impl Buckets {
    /// All objects whose key starts with the prefix, in byte order of keys.
    pub fn list(&self, _bucket: &str, _prefix: &str) -> Result<Vec<ObjectInfo>, BucketError> {
        todo!("replaced by the S3 service")
    }

    /// Writes the object to a new file.
    pub fn fetch(&self, _bucket: &str, _key: &str, _to: &Path) -> Result<(), BucketError> {
        todo!("replaced by the S3 service")
    }

    /// Stores a file as an object, atomically, with the metadata S3 would have (ETag, Last-Modified).
    pub fn store(&self, _bucket: &str, _key: &str, _from: &Path) -> Result<(), BucketError> {
        todo!("replaced by the S3 service")
    }

    #[must_use]
    pub fn exists(&self, _bucket: &str) -> bool {
        todo!("replaced by the S3 service")
    }
}
