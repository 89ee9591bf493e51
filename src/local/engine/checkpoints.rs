//! Checkpoints: what a script writes to `/opt/ml/checkpoints` is in S3 soon after, and there again when a job with the same
//! address starts (developer guide, "Use checkpoints in Amazon SageMaker").

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::layout::HostRoot;
use super::{Broken, S3Place};
use crate::local::buckets::{BucketError, Buckets};

/// `LocalPath` when it is not sent (API reference of `CheckpointConfig`).
pub const DEFAULT_PATH: &str = "/opt/ml/checkpoints";

/// Where a job's checkpoints are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoints {
    /// `S3Uri` as a folder: its key is empty or ends with a slash.
    pub place: S3Place,
    /// Below `/opt/ml`.
    below: PathBuf,
}

/// What is in S3 already: each file as it was when it was stored.
#[derive(Debug, Default)]
pub struct Synced {
    files: Mutex<HashMap<PathBuf, Seen>>,
    /// Held while files are stored.
    turn: Mutex<()>,
}

/// A file at one look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    look: Look,
    stored: bool,
}

/// What tells that a file has changed.
type Look = (u64, Option<SystemTime>);

impl Checkpoints {
    /// `None` when the path is not below `/opt/ml`: the rest of the container's file system does not exist here.
    #[must_use]
    pub fn new(place: &S3Place, path: &str) -> Option<Self> {
        let below = Path::new(path).strip_prefix("/opt/ml").ok()?;
        let harmless = below.components().all(|part| matches!(part, Component::Normal(_)));
        let named = below.components().next().is_some();
        (harmless && named).then(|| Self { place: place.join(""), below: below.to_owned() })
    }

    /// The folder on one host.
    #[must_use]
    pub fn folder(&self, host: &HostRoot) -> PathBuf {
        host.ml().join(&self.below)
    }

    /// Brings what an earlier job left to every host. Blocks.
    ///
    /// # Errors
    /// An object that cannot be read or written.
    pub fn restore(&self, buckets: &Buckets, hosts: &[HostRoot], synced: &Synced) -> Result<(), Broken> {
        let writing = |error: &std::io::Error| Broken::region("writing the checkpoints", error);
        let unreadable =
            |error: &BucketError| Broken::client(format_args!("the checkpoints at {} cannot be read: {error}", self.place));
        let objects = buckets.list(&self.place.bucket, &self.place.key).map_err(|error| unreadable(&error))?;
        for host in hosts {
            let folder = self.folder(host);
            std::fs::create_dir_all(&folder).map_err(|error| writing(&error))?;
            for object in &objects {
                let relative = Path::new(object.key.strip_prefix(&self.place.key).unwrap_or_default());
                let harmless = relative.components().all(|part| matches!(part, Component::Normal(_)));
                // A folder's own entry, or a key that no file can have.
                if object.key.ends_with('/') || !harmless || object.key.contains('\0') || relative.as_os_str().is_empty() {
                    continue;
                }
                let path = folder.join(relative);
                std::fs::create_dir_all(path.parent().unwrap_or(&folder)).map_err(|error| writing(&error))?;
                match buckets.fetch(&self.place.bucket, &object.key, &path) {
                    Ok(()) => {}
                    Err(BucketError::Io(error)) => return Err(writing(&error)),
                    Err(error) => return Err(unreadable(&error)),
                }
                if let Ok(metadata) = path.metadata() {
                    synced.put(path, Seen { look: look(&metadata), stored: true });
                }
            }
        }
        Ok(())
    }

    /// Stores what has changed. While the script runs only files that stand still since the last look are taken, so that no half
    /// of one is; with `last` all are. What the script removes stays in S3, as on AWS. Where hosts write files of one name,
    /// the last host's stays. Blocks.
    ///
    /// # Errors
    /// The first file that could not be stored; the others are.
    pub fn store(&self, buckets: &Buckets, hosts: &[HostRoot], synced: &Synced, last: bool) -> Result<(), Broken> {
        // A large checkpoint may still be on its way: then the next look will do, but the last one waits for it.
        let turn =
            if last { Some(synced.turn.lock().unwrap_or_else(PoisonError::into_inner)) } else { synced.turn.try_lock().ok() };
        let Some(_turn) = turn else { return Ok(()) };
        let mut failed = None;
        for host in hosts {
            let folder = self.folder(host);
            for path in files(&folder) {
                let Ok(metadata) = path.metadata() else { continue };
                let seen = Seen { look: look(&metadata), stored: false };
                let before = synced.get(&path);
                let stands_still = before.is_some_and(|before| before.look == seen.look);
                if stands_still && before.is_some_and(|before| before.stored) {
                    continue;
                }
                if !last && !stands_still {
                    synced.put(path, seen);
                    continue;
                }
                let Some(name) = path.strip_prefix(&folder).ok().and_then(Path::to_str) else { continue };
                match buckets.store(&self.place.bucket, &format!("{}{name}", self.place.key), &path) {
                    Ok(()) => synced.put(path, Seen { stored: true, ..seen }),
                    // Removed meanwhile: a script that keeps its last few.
                    Err(BucketError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(BucketError::Io(error)) => failed = failed.or(Some(Broken::region("storing a checkpoint", &error))),
                    Err(error) => {
                        failed =
                            failed.or(Some(Broken::client(format_args!("Checkpoint upload to {} failed: {error}", self.place))));
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Synced {
    fn get(&self, path: &Path) -> Option<Seen> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied()
    }

    fn put(&self, path: PathBuf, seen: Seen) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path, seen);
    }
}

fn look(metadata: &std::fs::Metadata) -> Look {
    (metadata.len(), metadata.modified().ok())
}

/// All files below a folder; links and what is no file are left out.
fn files(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> S3Place {
        S3Place { bucket: "b".to_owned(), key: key.to_owned() }
    }

    #[test]
    fn only_folders_of_the_container_can_be_had() {
        let new = |path| Checkpoints::new(&place("ck"), path);
        assert_eq!(new(DEFAULT_PATH).map(|checkpoints| checkpoints.place.key), Some("ck/".to_owned()));
        assert!(new("/opt/ml/model/parts/").is_some());
        for wrong in ["/opt/ml", "/opt/ml/", "/tmp/ck", "/opt/ml/../../etc", "checkpoints", "/opt/mlx"] {
            assert_eq!(new(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_is_stored_when_it_stands_still_and_again_when_it_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let buckets = Buckets::open(&folder.path().join("s3")).expect("opens");
        buckets.create("b").expect("makes a bucket");
        let work = crate::local::engine::Work::for_tests();
        let host = HostRoot::create(&folder.path().join("job"), &work, 1).expect("a root");
        let checkpoints = Checkpoints::new(&place("ck"), DEFAULT_PATH).expect("is allowed");
        let (synced, path) = (Synced::default(), checkpoints.folder(&host).join("epoch/1.pt"));
        let stored = |last: bool| {
            checkpoints.store(&buckets, std::slice::from_ref(&host), &synced, last).expect("stores");
            let listed = buckets.list("b", "").expect("lists");
            listed.into_iter().map(|object| (object.key, object.size)).collect::<Vec<_>>()
        };
        std::fs::create_dir_all(path.parent().expect("has one")).expect("a folder");
        std::fs::write(&path, "one").expect("writes");
        assert_eq!(stored(false), [], "it may be half written");
        assert_eq!(stored(false), [("ck/epoch/1.pt".to_owned(), 3)]);
        std::fs::write(&path, "longer").expect("writes");
        assert_eq!(stored(false)[0].1, 3);
        assert_eq!(stored(true)[0].1, 6, "at the end nothing is waited for");
        std::fs::remove_file(&path).expect("removes");
        assert_eq!(stored(true).len(), 1, "what the script removes stays");

        let next = HostRoot::create(&folder.path().join("next"), &work, 1).expect("a root");
        checkpoints.restore(&buckets, std::slice::from_ref(&next), &Synced::default()).expect("restores");
        assert_eq!(std::fs::read_to_string(checkpoints.folder(&next).join("epoch/1.pt")).expect("is there"), "longer");
    }
}
