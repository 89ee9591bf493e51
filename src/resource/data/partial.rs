//! Incomplete uploads as things in the list. All of a bucket are `uploads://bucket/incomplete`, one of them is
//! `uploads://bucket/MARK/key`: S3's own ids of uploads are too long to be read or typed, and a key may have several.

use std::fmt;

use crate::aws::Aws;
use crate::aws::s3_uri::S3Uri;
use crate::aws::upload::incomplete::{self, Incomplete};
use crate::model::{Failure, FailureKind, ItemId};

const ALL: &str = "incomplete";

/// One or all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partial {
    pub bucket: String,
    /// Mark and key of one; absent: all of the bucket.
    pub one: Option<(String, String)>,
}

impl Partial {
    /// All of a bucket.
    pub fn all(bucket: &str) -> Self {
        Self { bucket: bucket.to_owned(), one: None }
    }

    /// This one.
    pub fn of(upload: &Incomplete) -> Self {
        Self { bucket: upload.at.bucket.clone(), one: Some((upload.mark(), upload.at.key.clone())) }
    }

    /// `None` when the id is none of an upload.
    pub fn parse(id: &ItemId) -> Option<Self> {
        let (bucket, rest) = id.as_str().strip_prefix("uploads://")?.split_once('/')?;
        // What is no bucket's name is sent nowhere.
        let bucket = S3Uri::parse(&format!("s3://{bucket}"))?.bucket;
        let one = if rest == ALL { None } else { rest.split_once('/').map(|(mark, key)| (mark.to_owned(), key.to_owned())) };
        (one.is_some() || rest == ALL).then_some(Self { bucket, one })
    }
}

impl fmt::Display for Partial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.one {
            None => write!(f, "uploads://{}/{ALL}", self.bucket),
            Some((mark, key)) => write!(f, "uploads://{}/{mark}/{key}", self.bucket),
        }
    }
}

/// The uploads that are meant.
///
/// # Errors
/// When they cannot be listed, or one is meant and it is gone.
pub(super) async fn find(aws: &Aws, wanted: &Partial) -> Result<Vec<Incomplete>, Failure> {
    let account = aws.identity().await?.account;
    let key = wanted.one.as_ref().map_or("", |(_, key)| key);
    let mut found = incomplete::list(&aws.s3, &account, &S3Uri::new(&wanted.bucket, key)).await?;
    if let Some((mark, key)) = &wanted.one {
        found.retain(|upload| upload.at.key == *key && upload.mark() == *mark);
        if found.is_empty() {
            let what = format!("there is no incomplete upload {wanted}: it was completed or given up");
            return Err(Failure::new(FailureKind::NotFound, what, ""));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_apart_and_together() {
        let parse = |id: &str| Partial::parse(&ItemId(id.to_owned()));
        assert_eq!(parse("uploads://data/incomplete"), Some(Partial::all("data")));
        let one = parse("uploads://data/1f2e3d4c/a/b c").unwrap();
        assert_eq!(one.one, Some(("1f2e3d4c".to_owned(), "a/b c".to_owned())));
        assert_eq!(one.to_string(), "uploads://data/1f2e3d4c/a/b c");
        for none in ["s3://data/incomplete", "uploads://data", "uploads://data/x", "uploads://Not A Bucket/incomplete"] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
