//! Runs jobs for real: lays out `/opt/ml` under a private root, starts a process per host, reads its output, ends it.
//!
//! The engine knows the container contract and nothing of the API: `sagemaker` turns a request into [`Work`] and walks the
//! statuses; tuning, endpoints and notebooks can use the same rooms. Everything but [`host`] blocks and is called from
//! blocking tasks.

pub mod artefacts;
pub mod channels;
pub mod checkpoints;
pub mod contract;
pub mod disk;
pub mod distribution;
pub mod host;
pub mod keeper;
pub mod layout;
pub mod lines;
pub mod meeting;
pub mod python;
pub mod scrape;
pub mod serve;
pub mod source;
pub mod usage;

use std::collections::BTreeMap;

/// A place in S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    pub bucket: String,
    /// A key or the beginning of keys; may be empty.
    pub key: String,
}

impl S3Place {
    /// Reads `s3://bucket/key`; nothing else is an address of the local region.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let (bucket, key) = uri.strip_prefix("s3://")?.split_once('/').unwrap_or((uri.strip_prefix("s3://")?, ""));
        (!bucket.is_empty()).then(|| Self { bucket: bucket.to_owned(), key: key.to_owned() })
    }

    /// The place of something below this one.
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        let slash = if self.key.is_empty() || self.key.ends_with('/') { "" } else { "/" };
        Self { bucket: self.bucket.clone(), key: format!("{}{slash}{below}", self.key) }
    }
}

impl std::fmt::Display for S3Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)
    }
}

/// One input channel.
#[derive(Clone, Debug)]
pub struct Channel {
    pub name: String,
    pub from: S3Place,
    /// `ShardedByS3Key`: each host gets its own part of the objects.
    pub sharded: bool,
    pub content_type: Option<String>,
    pub record_wrapper: String,
}

/// What a job is to do, free of the API's shapes.
#[derive(Clone, Debug)]
pub struct Work {
    pub name: String,
    pub arn: String,
    pub region: String,
    pub image: String,
    pub instance_type: String,
    pub hosts: u32,
    /// `VolumeSizeInGB` of each host, in bytes.
    pub volume: u64,
    /// As sent: values are JSON texts or raw texts.
    pub hyperparameters: BTreeMap<String, String>,
    pub channels: Vec<Channel>,
    /// The job's own variables.
    pub environment: BTreeMap<String, String>,
    /// Program and arguments instead of the image's own, when given.
    pub entrypoint: Option<Vec<String>>,
    pub metrics: Vec<scrape::Metric>,
    /// Where `output/model.tar.gz` goes: the job's own folder in the bucket.
    pub output: S3Place,
    pub checkpoints: Option<checkpoints::Checkpoints>,
    /// Asked for, and not enforced here: the log says so.
    pub isolated: bool,
}

impl Work {
    /// The names of all hosts, sorted as `resourceconfig.json` lists them: by text, so algo-10 comes before algo-2.
    #[must_use]
    pub fn host_names(&self) -> Vec<String> {
        let mut names: Vec<String> = (1..=self.hosts).map(host_name).collect();
        names.sort();
        names
    }
}

#[cfg(test)]
impl Work {
    /// A job of eleven hosts without anything to do.
    pub(crate) fn for_tests() -> Self {
        Self {
            name: "job".to_owned(),
            arn: "arn".to_owned(),
            region: "us-east-1".to_owned(),
            image: "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38".to_owned(),
            instance_type: "ml.m5.large".to_owned(),
            hosts: 11,
            volume: 1 << 30,
            hyperparameters: BTreeMap::new(),
            channels: Vec::new(),
            environment: BTreeMap::new(),
            entrypoint: None,
            metrics: Vec::new(),
            output: S3Place { bucket: "b".to_owned(), key: String::new() },
            checkpoints: None,
            isolated: false,
        }
    }
}

/// The name of host `number`, from 1.
#[must_use]
pub fn host_name(number: u32) -> String {
    format!("algo-{number}")
}

/// Why a job cannot go on, in the words of its `FailureReason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

impl Broken {
    /// Something in the job's input is wrong.
    pub fn client(text: impl std::fmt::Display) -> Self {
        Self(format!("ClientError: {text}"))
    }

    /// The region itself could not do its work: `doing` says what, e.g. "writing the channel training".
    pub fn region(doing: &str, error: &std::io::Error) -> Self {
        if disk_is_full(error) {
            return Self(format!(
                "InternalServerError: the disk of the local region is full ({doing}). Free some space, or move the region with --data, and start the job again."
            ));
        }
        Self(format!("InternalServerError: {doing} failed: {error}"))
    }
}

/// No space, no quota, or no more inodes left.
#[must_use]
pub fn disk_is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_s3() {
        let bucket = S3Place::parse("s3://b").expect("a bucket alone");
        assert_eq!(bucket.join("job").to_string(), "s3://b/job");
        assert_eq!(S3Place::parse("s3://b/").map(|place| place.join("job").key), Some("job".to_owned()));
        assert_eq!(S3Place::parse("s3://b/a").map(|place| place.join("job").key), Some("a/job".to_owned()));
        assert_eq!(S3Place::parse("https://b/a"), None);
        assert_eq!(S3Place::parse("s3:///a"), None);
    }
}
