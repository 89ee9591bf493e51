//! `s3://bucket/key`, taken apart and put together.

use std::fmt;

/// A place in S3. The key has no leading slash; it may be empty (the whole bucket) or end in a slash (a prefix).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct S3Uri {
    pub bucket: String,
    pub key: String,
}

impl S3Uri {
    #[must_use]
    pub fn new(bucket: impl Into<String>, key: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), key: key.into() }
    }

    /// `None` when the text is no S3 address with a bucket name that S3 allows.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("s3://")?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let sound = (3..=63).contains(&bucket.len())
            && bucket
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'_'));
        sound.then(|| Self::new(bucket, key))
    }

    /// Below this place: `s3://b/a` and `s3://b/a/` both give `s3://b/a/{name}`.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let slash = if self.key.is_empty() || self.key.ends_with('/') { "" } else { "/" };
        Self::new(&self.bucket, format!("{}{slash}{name}", self.key))
    }

    /// The last part of the key, without a closing slash; the bucket when the key is empty.
    #[must_use]
    pub fn name(&self) -> &str {
        let key = self.key.trim_end_matches('/');
        if key.is_empty() { &self.bucket } else { key.rsplit('/').next().unwrap_or(key) }
    }

    #[must_use]
    pub fn is_bucket(&self) -> bool {
        self.key.is_empty()
    }

    /// A bucket or a prefix: many objects, not one.
    #[must_use]
    pub fn is_folder(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }
}

impl fmt::Display for S3Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_apart_and_together() {
        let uri = S3Uri::parse("s3://data/a/b/").unwrap();
        assert_eq!((uri.bucket.as_str(), uri.key.as_str(), uri.name()), ("data", "a/b/", "b"));
        assert_eq!(uri.join("c").to_string(), "s3://data/a/b/c");
        assert_eq!(S3Uri::parse("s3://data").unwrap().join("c").to_string(), "s3://data/c");
        assert_eq!(S3Uri::parse("s3://data/x").unwrap().join("c").key, "x/c");
        assert!(S3Uri::parse("s3://data").unwrap().is_bucket());
        for bad in ["data", "s3:/data", "s3://", "s3://B", "s3://Data/x", "https://x"] {
            assert_eq!(S3Uri::parse(bad), None, "{bad}");
        }
    }
}
