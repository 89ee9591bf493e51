//! Downloading objects to a folder. Keys come from outside: none may leave the folder.

use std::path::{Component, Path, PathBuf};

use tokio::io::AsyncWriteExt;

use super::s3_uri::S3Uri;
use super::{Aws, bucket, fault};
use crate::model::{Failure, FailureKind, Progress, Safe};

/// Downloads an object, or all below a prefix, to `folder`; returns how many. A file appears under its name only when it is
/// complete.
///
/// # Errors
/// The first failure; files that are complete stay.
pub async fn download(
    aws: &Aws,
    from: &S3Uri,
    folder: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<u64, Failure> {
    let objects = bucket::objects(aws, from).await?;
    let objects: Vec<_> =
        objects.into_iter().filter(|object| !object.key.ends_with('/') && (from.is_folder() || object.key == from.key)).collect();
    if objects.is_empty() {
        return Err(Failure::new(FailureKind::NotFound, format!("there is nothing at {from}"), ""));
    }
    let total = objects.iter().map(|object| object.size).sum();
    let mut done = 0;
    for (number, object) in objects.iter().enumerate() {
        let below = if from.is_folder() { object.key.strip_prefix(&from.key).unwrap_or(&object.key) } else { from.name() };
        let path = folder.join(harmless(below)?);
        fetch(aws, &S3Uri::new(&from.bucket, &object.key), &path).await?;
        done += object.size;
        progress(Progress { said: Safe::line(&format!("{} of {} files", number + 1, objects.len())), done, total });
    }
    Ok(objects.len() as u64)
}

/// A key as a path below the folder.
fn harmless(key: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(key);
    let inside = !key.is_empty() && !key.contains('\0') && path.components().all(|part| matches!(part, Component::Normal(_)));
    if inside {
        Ok(path)
    } else {
        Err(Failure::new(
            FailureKind::Refused,
            format!("the key '{key}' would leave the folder"),
            "download that object by another tool",
        ))
    }
}

async fn fetch(aws: &Aws, from: &S3Uri, path: &Path) -> Result<(), Failure> {
    let machine = |error: std::io::Error| {
        Failure::new(
            FailureKind::Machine,
            format!("cannot write {}: {error}", path.display()),
            "check the folder and the disk's free space",
        )
    };
    if let Some(folder) = path.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(machine)?;
    }
    let doing = format!("downloading {from}");
    let mut body =
        aws.s3.get_object().bucket(&from.bucket).key(&from.key).send().await.map_err(|error| fault::tell(&doing, &error))?.body;
    let part = path.with_added_extension("part");
    let mut file = tokio::fs::File::create(&part).await.map_err(machine)?;
    let written = async {
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| Failure::new(FailureKind::Network, format!("{doing}: {error}"), "try again"))?;
            file.write_all(&bytes).await.map_err(machine)?;
        }
        file.sync_all().await.map_err(machine)?;
        tokio::fs::rename(&part, path).await.map_err(machine)
    };
    let written = written.await;
    if written.is_err() {
        // Nothing half remains; that it cannot be removed matters less than why it failed.
        let _ = tokio::fs::remove_file(&part).await;
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_leaves_the_folder() {
        assert_eq!(harmless("a/b.txt").unwrap(), PathBuf::from("a/b.txt"));
        for bad in ["../x", "/etc/passwd", "a/../../x", "", "a/\0"] {
            assert!(harmless(bad).is_err(), "{bad:?}");
        }
    }
}
