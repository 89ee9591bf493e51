//! From the old archive to the new one: pure streams of bytes, on a thread of its own.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, Entry, EntryType, Header};
use tokio::sync::mpsc::{Receiver, Sender};

use super::Code;
use crate::aws::s3_uri::S3Uri;
use crate::model::{Failure, FailureKind};

/// The folder that the inference toolkits look for the script in (`SAGEMAKER_SUBMIT_DIRECTORY` is `/opt/ml/model/code`).
const FOLDER: &str = "code";

/// A piece of the new archive.
pub(super) enum Piece {
    Part(Vec<u8>),
    /// The end; `same` says that the old archive held that code already, so the new one is not needed.
    Last {
        bytes: Vec<u8>,
        same: bool,
    },
}

/// Why there is no new archive.
#[derive(Debug)]
pub(super) enum Wrong {
    /// A member that would reach outside, with its name.
    Leaves(String),
    /// Nothing that a model consists of.
    Odd(String),
    /// It cannot be read as a tar.gz.
    Archive(String),
    /// What came before or goes on after has ended; it says why.
    Broken(String),
}

impl Wrong {
    pub fn tell(self, at: &S3Uri) -> Failure {
        match self {
            Self::Leaves(name) => Failure::new(
                FailureKind::Refused,
                format!("the archive {at} has a member that would leave it: '{name}'"),
                "a model.tar.gz holds files below its own folder only; find out who made this one before you use it",
            ),
            Self::Odd(said) => Failure::new(
                FailureKind::Refused,
                format!("the archive {at} cannot be repacked: {said}"),
                "a model.tar.gz holds files, folders and links among them",
            ),
            Self::Archive(said) => Failure::new(
                FailureKind::Invalid,
                format!("{at} is not a model.tar.gz that can be read: {said}"),
                "name the archive that a training job left, or one packed with `tar -czf model.tar.gz -C FOLDER .`",
            ),
            Self::Broken(said) => Failure::new(FailureKind::Machine, format!("repacking {at} broke off: {said}"), "try again"),
        }
    }
}

/// Reads what arrives, writes what leaves.
///
/// # Errors
/// Why it broke off; then no last piece is handed over.
pub(super) fn work(arriving: Receiver<Bytes>, code: &Code, leaving: Sender<Piece>, part: usize) -> Result<(), Wrong> {
    let pieces = Pieces { leaving, buffer: Vec::new(), part };
    let (pieces, same) = rewrite(Chunks { arriving, chunk: Bytes::new() }, code, pieces)?;
    let last = Piece::Last { bytes: pieces.buffer, same };
    pieces.leaving.blocking_send(last).map_err(|_| Wrong::Broken("the upload ended".to_owned()))
}

/// Copies all but `code/`, then adds the new code; says whether the old code was the same.
///
/// # Errors
/// When the archive is damaged, or a member is not harmless.
pub(super) fn rewrite<W: Write>(from: impl Read, code: &Code, to: W) -> Result<(W, bool), Wrong> {
    // Weights hardly get smaller; the rest is small.
    let mut new = Builder::new(GzEncoder::new(to, Compression::fast()));
    let mut old = Archive::new(MultiGzDecoder::new(from));
    let mut there = BTreeMap::new();
    for entry in old.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        if entry.header().entry_type() == EntryType::XGlobalHeader {
            continue;
        }
        let raw = entry.path().map_err(damaged)?.into_owned();
        let path = inside(&raw)?;
        if path.as_os_str().is_empty() {
            // The archive's own folder.
            continue;
        }
        match path.strip_prefix(FOLDER) {
            Ok(below) => {
                let below = below.to_string_lossy().into_owned();
                if !entry.header().entry_type().is_dir() {
                    there.insert(below, hash(&mut entry)?);
                }
            }
            Err(_) => copy(&mut entry, &path, &mut new)?,
        }
    }
    // What follows the last member is read too: a cut or damaged archive shows only at its end.
    io::copy(&mut old.into_inner(), &mut io::sink()).map_err(damaged)?;
    let same = there == code.hashes();
    for (name, file) in &code.files {
        let mut header = header(EntryType::Regular, file.bytes.len() as u64, file.mode);
        new.append_data(&mut header, format!("{FOLDER}/{name}"), file.bytes.as_slice()).map_err(broken)?;
    }
    let to = new.into_inner().and_then(GzEncoder::finish).map_err(broken)?;
    Ok((to, same))
}

fn copy<R: Read, W: Write>(entry: &mut Entry<'_, R>, path: &Path, new: &mut Builder<W>) -> Result<(), Wrong> {
    let kind = entry.header().entry_type();
    // Never set-user-id, and never beyond what its owner may.
    let mode = entry.header().mode().unwrap_or(0o644) & 0o777;
    match kind {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mut header = header(EntryType::Regular, entry.size(), mode);
            new.append_data(&mut header, path, entry).map_err(damaged)
        }
        EntryType::Directory => new.append_data(&mut header(kind, 0, mode), path, io::empty()).map_err(broken),
        EntryType::Symlink | EntryType::Link => {
            let target = entry.link_name().map_err(damaged)?.unwrap_or_default().into_owned();
            let name = || path.display().to_string();
            // A symbolic link is seen from its folder, a hard link from the archive's.
            let from = if kind == EntryType::Symlink { path.parent().unwrap_or(Path::new("")) } else { Path::new("") };
            let reached = resolve(from, &target).ok_or_else(|| Wrong::Leaves(format!("{} -> {}", name(), target.display())))?;
            if kind == EntryType::Link && reached.starts_with(FOLDER) {
                return Err(Wrong::Odd(format!("'{}' is a hard link into {FOLDER}/, which is replaced", name())));
            }
            new.append_link(&mut header(kind, 0, mode), path, &target).map_err(broken)
        }
        _ => Err(Wrong::Odd(format!("'{}' is neither a file nor a folder nor a link", path.display()))),
    }
}

fn header(kind: EntryType, size: u64, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

fn hash(entry: &mut impl Read) -> Result<[u8; 32], Wrong> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match entry.read(&mut buffer).map_err(damaged)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// A member's path without `./`; the folder itself, which the Python SDK writes as `/`, is empty.
fn inside(raw: &Path) -> Result<PathBuf, Wrong> {
    let mut path = PathBuf::new();
    let mut rooted = false;
    for part in raw.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::RootDir => rooted = true,
            Component::ParentDir | Component::Prefix(_) => return Err(Wrong::Leaves(raw.display().to_string())),
        }
    }
    if rooted && !path.as_os_str().is_empty() { Err(Wrong::Leaves(raw.display().to_string())) } else { Ok(path) }
}

/// Where a link leads, seen from a folder of the archive; `None` when that is outside.
fn resolve(from: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = from.to_owned();
    for part in target.components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

fn damaged(error: io::Error) -> Wrong {
    // What the other side of the stream said is not the archive's fault.
    if error.kind() == io::ErrorKind::BrokenPipe { broken(error) } else { Wrong::Archive(error.to_string()) }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn broken(error: io::Error) -> Wrong {
    Wrong::Broken(error.to_string())
}

/// What arrives, as a reader. It ends when nothing more comes; whoever sent it knows whether that was all.
struct Chunks {
    arriving: Receiver<Bytes>,
    chunk: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.arriving.blocking_recv() {
                Some(chunk) => self.chunk = chunk,
                None => return Ok(0),
            }
        }
        let count = into.len().min(self.chunk.len());
        into[..count].copy_from_slice(&self.chunk.split_to(count));
        Ok(count)
    }
}

/// What leaves, as a writer: parts of one size, the last one kept.
struct Pieces {
    leaving: Sender<Piece>,
    buffer: Vec<u8>,
    part: usize,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == self.part {
            let part = std::mem::replace(&mut self.buffer, Vec::with_capacity(self.part));
            self.leaving
                .blocking_send(Piece::Part(part))
                .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the upload ended"))?;
        }
        let count = bytes.len().min(self.part - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
