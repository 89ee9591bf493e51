//! Downloading objects to a folder. Keys come from outside: none may leave the folder, not by a link in it either.
//!
//! A file appears under its name only when it is complete. Until then it is `NAME.ETAG.part`: a download that broke off
//! continues there, if the object is still the same. Files that are there already and are the same are not read again.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use nix::fcntl::OFlag;
use tokio::io::AsyncWriteExt;

use super::bucket::{self, Object};
use super::s3_uri::S3Uri;
use super::upload::etag;
use super::{Aws, fault};
use crate::model::{Done, Failure, FailureKind, Meter, Progress};

/// Objects on their way at once.
const PARALLEL: usize = 16;
/// How often it tells how far it has come.
const TELL: Duration = Duration::from_millis(200);

/// Downloads an object, or all below a prefix, to `folder`.
///
/// # Errors
/// The first failure; files that are complete stay, and what has arrived of the others is continued by the next download.
pub async fn download(
    aws: &Aws,
    from: &S3Uri,
    folder: &Path,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Done, Failure> {
    let objects = bucket::objects(aws, from).await?;
    let objects: Vec<_> =
        objects.into_iter().filter(|object| !object.key.ends_with('/') && (from.is_folder() || object.key == from.key)).collect();
    if objects.is_empty() {
        return Err(Failure::new(FailureKind::NotFound, format!("there is nothing at {from}"), ""));
    }
    // All keys are judged before the first is read.
    let meter = Meter::new(objects.len() as u64, objects.iter().map(|object| object.size).sum());
    let mut fetches = Vec::new();
    for object in objects {
        let below = if from.is_folder() { object.key.strip_prefix(&from.key).unwrap_or(&object.key) } else { from.name() };
        let path = folder.join(harmless(below)?);
        fetches.push(fetch(aws, &from.bucket, object, folder, path, &meter));
    }
    let mut at_work = stream::iter(fetches).buffer_unordered(PARALLEL);
    let mut tick = tokio::time::interval(TELL);
    loop {
        tokio::select! {
            ended = at_work.next() => match ended {
                Some(fetched) => fetched?,
                None => break,
            },
            _ = tick.tick() => progress(meter.tell(Instant::now())),
        }
    }
    progress(meter.tell(Instant::now()));
    Ok(meter.done())
}

/// A key as a path below the folder.
fn harmless(key: &str) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(key);
    let inside = !key.is_empty() && !key.contains('\0') && path.components().all(|part| matches!(part, Component::Normal(_)));
    if inside { Ok(path) } else { Err(leaves(key)) }
}

fn leaves(key: &str) -> Failure {
    let what = format!("the key '{key}' would leave the folder");
    Failure::new(FailureKind::Refused, what, "download that object by another tool")
}

/// Makes the folders above a file, and sees that none of them is a link to somewhere else.
fn prepare(folder: &Path, path: &Path) -> io::Result<bool> {
    let above = path.parent().unwrap_or(folder);
    std::fs::create_dir_all(folder)?;
    let root = folder.canonicalize()?;
    // From the top: a link is found before anything is made behind it.
    let mut at = root.clone();
    for part in above.strip_prefix(folder).unwrap_or(above) {
        at.push(part);
        if !at.exists() {
            std::fs::create_dir(&at)
                .or_else(|error| if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) })?;
        }
        if !at.canonicalize()?.starts_with(&root) {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn fetch(aws: &Aws, bucket: &str, object: Object, folder: &Path, path: PathBuf, meter: &Meter) -> Result<(), Failure> {
    let machine = |error: io::Error| {
        let what = format!("cannot write {}: {error}", path.display());
        Failure::new(FailureKind::Machine, what, "check the folder and the disk's free space")
    };
    let part = path.with_added_extension(format!("{}.part", object.etag.get(..8).unwrap_or(&object.etag)));
    let (root, own, wanted, half) = (folder.to_owned(), path.clone(), object.clone(), part.clone());
    let start = tokio::task::spawn_blocking(move || begin(&root, &own, &wanted, &half));
    let start = start.await.map_err(|error| machine(io::Error::other(error)))?.map_err(machine)?;
    let (file, there) = match start {
        Start::Outside => return Err(leaves(&object.key)),
        Start::Same => {
            meter.unchanged(object.size);
            return Ok(());
        }
        Start::From(file, there) => (file, there),
    };
    meter.kept(there);
    let mut file = tokio::fs::File::from_std(file);
    if there < object.size {
        let doing = format!("downloading s3://{bucket}/{}", object.key);
        // If it is replaced while it is read, what has arrived does not fit what would come.
        let call = aws.s3.get_object().bucket(bucket).key(&object.key).if_match(format!("\"{}\"", object.etag));
        let call = call.set_range((there > 0).then(|| format!("bytes={there}-")));
        let mut body = call.send().await.map_err(|error| fault::tell(&doing, &error))?.body;
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| {
                let hint = "download again to continue: what has arrived is not read again";
                Failure::new(FailureKind::Network, format!("{doing}: {error}"), hint)
            })?;
            file.write_all(&bytes).await.map_err(machine)?;
            meter.sent(bytes.len() as u64, false);
        }
    }
    file.sync_all().await.map_err(machine)?;
    tokio::fs::rename(&part, &path).await.map_err(machine)?;
    meter.sent(0, true);
    Ok(())
}

/// What there is of a file on this machine.
enum Start {
    /// The folder has a link in it that leads out.
    Outside,
    /// It is the object already.
    Same,
    /// So many bytes are there, at the end of which to go on.
    From(File, u64),
}

fn begin(folder: &Path, path: &Path, object: &Object, part: &Path) -> io::Result<Start> {
    if !prepare(folder, path)? {
        return Ok(Start::Outside);
    }
    let there = path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() == object.size);
    if there && etag::is(path, object.size, &object.etag)? {
        return Ok(Start::Same);
    }
    let file = OpenOptions::new().append(true).create(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(part)?;
    let mut had = file.metadata()?.len();
    if had > object.size {
        file.set_len(0)?;
        had = 0;
    }
    Ok(Start::From(file, had))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::scripted::Scripted;

    #[test]
    fn no_key_leaves_the_folder() {
        assert_eq!(harmless("a/b.txt").unwrap(), PathBuf::from("a/b.txt"));
        for bad in ["../x", "/etc/passwd", "a/../../x", "", "a/\0"] {
            assert!(harmless(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_link_in_the_folder_leads_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let (folder, outside) = (place.path().join("to"), place.path().join("outside"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, folder.join("link")).unwrap();
        assert!(prepare(&folder, &folder.join("a/b/c.txt")).unwrap());
        assert!(!prepare(&folder, &folder.join("link/deep/c.txt")).unwrap());
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "nothing was made behind it");
    }

    /// One object of ten bytes; a range of it on request.
    fn store() -> Scripted {
        Scripted::new(|asked| {
            let range = asked.header("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
            if asked.uri.contains("list-type") {
                let etag = "781e5e245d69b566979b86e28d23f2c7";
                let row = format!("<Contents><Key>a%0Ab</Key><Size>10</Size><ETag>\"{etag}\"</ETag></Contents>");
                return (200, format!("<ListBucketResult>{row}</ListBucketResult>").into_bytes());
            }
            let start: usize = range.unwrap_or(0);
            (if start > 0 { 206 } else { 200 }, b"0123456789"[start..].to_vec())
        })
    }

    #[tokio::test]
    async fn a_download_continues_where_it_broke_off_and_reads_nothing_twice() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("a\nb.781e5e24.part"), "0123").unwrap();
        let http = store();
        let aws = http.connect(false, None).await;
        let got = download(&aws, &S3Uri::new("data", ""), place.path(), &|_| {}).await.unwrap();
        assert_eq!((got.sent, got.bytes), (1, 6));
        assert_eq!(std::fs::read(place.path().join("a\nb")).unwrap(), b"0123456789");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "no part is left");
        let again = download(&aws, &S3Uri::new("data", ""), place.path(), &|_| {}).await.unwrap();
        assert_eq!((again.sent, again.unchanged), (0, 1));
        assert_eq!(http.operations().iter().filter(|name| name.contains("a%0Ab")).count(), 1);
    }
}
