//! A model's archive with an inference script in it: `model.tar.gz` with the code under `code/`, as the Python SDK repacks
//! it (`utils.py`, `repack_model`), but as a stream from S3 to S3. Neither the disk nor the memory holds the whole of it.
//!
//! The key of the new archive has a hash of the old one's `ETag` and of the code, so the same two are not packed twice. An
//! archive that holds the very code already is taken as it is.

mod fetch;
mod rewrite;
mod send;

use std::collections::BTreeMap;
use std::sync::Arc;

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::s3_uri::S3Uri;
use super::script_mode::sourcedir::Package;
use super::{Aws, bucket, fault};
use crate::model::{Failure, FailureKind, Progress};

/// Chunks of the old archive that wait to be unpacked; the network hands them over in 64 kB at most.
const CHUNKS: usize = 16;
/// The least part of an upload, in bytes. Four of them may be in memory at once.
const PART: u64 = 8 << 20;
/// S3 takes 10,000 parts. The new archive is about as large as the old one; twice its size fits in any case.
const PARTS: u64 = 9_000;

/// The files that go under `code/`.
#[derive(Debug)]
pub struct Code {
    files: BTreeMap<String, File>,
    hash: String,
}

#[derive(Debug)]
struct File {
    bytes: Vec<u8>,
    /// Permission bits.
    mode: u32,
}

impl Code {
    /// The files of a packed source folder.
    ///
    /// # Errors
    /// When the package cannot be read back.
    pub fn of(package: &Package) -> Result<Self, Failure> {
        let read = || -> std::io::Result<BTreeMap<String, File>> {
            let mut files = BTreeMap::new();
            for entry in tar::Archive::new(GzDecoder::new(package.bytes.as_slice())).entries()? {
                let mut entry = entry?;
                let name = entry.path()?.to_string_lossy().into_owned();
                let mode = entry.header().mode()? & 0o777;
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut entry, &mut bytes)?;
                files.insert(name, File { bytes, mode });
            }
            Ok(files)
        };
        let files = read().map_err(|error| Failure::new(FailureKind::Machine, format!("cannot pack the code: {error}"), ""))?;
        Ok(Self { files, hash: package.hash.clone() })
    }

    /// Files under `code/`, by their path there, with the SHA-256 of each.
    fn hashes(&self) -> BTreeMap<String, [u8; 32]> {
        self.files.iter().map(|(name, file)| (name.clone(), Sha256::digest(&file.bytes).into())).collect()
    }
}

/// The archive that the code goes into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub at: S3Uri,
    /// Bytes, compressed.
    pub size: u64,
    /// As S3 says it, quotes included.
    etag: String,
}

/// Looks at an archive.
///
/// # Errors
/// `NotFound` when nothing is there, or as S3 says.
pub async fn source(aws: &Aws, at: &S3Uri) -> Result<Source, Failure> {
    let head = aws.s3.head_object().bucket(&at.bucket).key(&at.key).send().await;
    let head = head.map_err(|error| match fault::tell(&format!("looking at {at}"), &error) {
        failure if failure.kind == FailureKind::NotFound => Failure::new(
            FailureKind::NotFound,
            format!("there is no model at {at}"),
            "a training job leaves one when it completes; name its model.tar.gz",
        ),
        failure => failure,
    })?;
    let size = head.content_length().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    Ok(Source { at: at.clone(), size, etag: head.e_tag().unwrap_or_default().to_owned() })
}

/// Where the archive with that code in it goes: `{folder}/{hash}/model.tar.gz`.
#[must_use]
pub fn target(source: &Source, code: &Code, folder: &S3Uri) -> S3Uri {
    let mut hash = Sha256::new();
    for part in [source.at.to_string().as_str(), source.etag.as_str(), code.hash.as_str()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    folder.join(&format!("{}/model.tar.gz", hex::encode(&hash.finalize()[..16])))
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repacked {
    /// The archive to serve.
    pub at: S3Uri,
    pub how: How,
}

/// Where a repacked archive is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Made by this call.
    Made,
    /// Made earlier, from the same two.
    Found,
    /// The archive itself: it holds that very code.
    AsItWas,
}

/// Puts the code into the archive. Makes the bucket if needed.
///
/// # Errors
/// `Refused` when a member of the archive would leave it; `Invalid` when it is no model.tar.gz; else as S3 says. Nothing of a
/// new archive stays behind then.
pub async fn repack(
    aws: &Aws,
    source: &Source,
    code: &Arc<Code>,
    folder: &S3Uri,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Repacked, Failure> {
    let to = target(source, code, folder);
    if bucket::exists(aws, &to.bucket).await? {
        if bucket::objects(aws, &to).await?.iter().any(|object| object.key == to.key) {
            return Ok(Repacked { at: to, how: How::Found });
        }
    } else {
        bucket::ensure(aws, &to.bucket).await?;
    }
    let (chunks, arriving) = mpsc::channel(CHUNKS);
    let (pieces, leaving) = mpsc::channel(1);
    let part = usize::try_from(PART.max((source.size * 2).div_ceil(PARTS))).unwrap_or(usize::MAX);
    let worker = tokio::task::spawn_blocking({
        let code = Arc::clone(code);
        move || rewrite::work(arriving, &code, pieces, part)
    });
    // One task for both: the permit of the order does not reach spawned ones.
    let (fetched, sent) = tokio::join!(fetch::fetch(aws, source, chunks, progress), send::send(aws, &to, leaving));
    let worked = worker.await.unwrap_or_else(|error| Err(rewrite::Wrong::Broken(error.to_string())));
    // The first cause is told, not what followed from it.
    fetched?;
    let sent = sent?;
    worked.map_err(|wrong| wrong.tell(&source.at))?;
    match sent {
        Some(true) => Ok(Repacked { at: to, how: How::Made }),
        Some(false) => Ok(Repacked { at: source.at.clone(), how: How::AsItWas }),
        None => Err(Failure::new(FailureKind::Machine, format!("repacking {} broke off", source.at), "try again")),
    }
}

#[cfg(test)]
mod tests;
