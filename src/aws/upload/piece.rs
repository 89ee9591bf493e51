//! What becomes one object: a file on this machine or a member of a .zip, and how it is read while others may write to it.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use md5::{Digest, Md5};
use nix::fcntl::OFlag;
use zip::ZipArchive;

pub(super) type Archive = Arc<Mutex<ZipArchive<File>>>;

/// One object to be.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Relative to the target, with `/`.
    pub name: String,
    /// Bytes, when it was planned.
    pub size: u64,
    pub(super) content: Content,
}

/// Where the bytes are.
#[derive(Clone)]
pub(super) enum Content {
    File(PathBuf),
    Member(Archive, usize),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Member(_, index) => write!(f, "member {index}"),
        }
    }
}

/// What tells whether a file is still the same: one that was written to, replaced or cut has another stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Bytes.
    pub size: u64,
    file: Option<(u64, u64)>,
    /// Seconds and nanoseconds of the last change of content, and of anything about the file: the first can be set back, the
    /// second cannot.
    times: [i64; 4],
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        Self {
            size: meta.len(),
            file: Some((meta.dev(), meta.ino())),
            times: [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()],
        }
    }
}

/// Bytes with what S3 calls them by.
pub(super) struct Bytes {
    pub bytes: Vec<u8>,
    /// MD5; only where it was asked for.
    pub digest: Option<[u8; 16]>,
}

impl Piece {
    /// What it is like now. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened (any more), or has become something else than a file.
    pub(super) fn look(&self) -> io::Result<Stamp> {
        match &self.content {
            Content::File(path) => Ok(Stamp::of(&open(path)?.metadata()?)),
            Content::Member(..) => Ok(Stamp { size: self.size, file: None, times: [0; 4] }),
        }
    }

    /// `length` bytes from `start`, fewer at the end, as they were when `stamp` was taken; `None` when the file has changed
    /// since. A .zip member is only ever read whole. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn read(&self, stamp: Stamp, start: u64, length: u64, hash: bool) -> io::Result<Option<Bytes>> {
        let length = length.min(stamp.size.saturating_sub(start));
        let bytes = match &self.content {
            Content::File(path) => {
                let mut file = open(path)?;
                if Stamp::of(&file.metadata()?) != stamp {
                    return Ok(None);
                }
                let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
                if start > 0 {
                    file.seek(SeekFrom::Start(start))?;
                }
                Read::by_ref(&mut file).take(length).read_to_end(&mut bytes)?;
                if bytes.len() as u64 != length || Stamp::of(&file.metadata()?) != stamp {
                    return Ok(None);
                }
                bytes
            }
            Content::Member(archive, index) => {
                let mut bytes = self.member(archive, *index)?;
                bytes.drain(..usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len()));
                bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
                bytes
            }
        };
        let digest = hash.then(|| Md5::digest(&bytes).into());
        Ok(Some(Bytes { bytes, digest }))
    }

    fn member(&self, archive: &Archive, index: usize) -> io::Result<Vec<u8>> {
        let mut archive = archive.lock().unwrap_or_else(PoisonError::into_inner);
        let member = archive.by_index(index).map_err(io::Error::other)?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        // The size is what the archive claims; a bomb claims less than it holds.
        member.take(self.size + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == self.size {
            return Ok(bytes);
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the member is not of the size that the archive claims"))
    }
}

/// Opens an ordinary file. What was one when it was planned may have become a pipe or a link since: neither is waited for
/// nor followed.
fn open(path: &PathBuf) -> io::Result<File> {
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no ordinary file any more")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_to_cut_or_replaced_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "0123456789").unwrap();
        let piece = Piece { name: "a".into(), size: 10, content: Content::File(path.clone()) };
        let stamp = piece.look().unwrap();
        assert_eq!(piece.read(stamp, 4, 3, false).unwrap().unwrap().bytes, b"456");
        assert_eq!(piece.read(stamp, 8, 100, true).unwrap().unwrap().digest, Some(Md5::digest("89").into()));
        let held = |change: &dyn Fn()| {
            std::fs::write(&path, "0123456789").unwrap();
            let stamp = piece.look().unwrap();
            // The clock of the file system may be coarse.
            while piece.look().unwrap() == stamp {
                change();
            }
            assert!(piece.read(stamp, 0, 10, false).unwrap().is_none());
        };
        held(&|| std::fs::write(&path, "9876543210").unwrap());
        held(&|| File::options().write(true).open(&path).unwrap().set_len(9).unwrap());
        held(&|| {
            std::fs::write(folder.path().join("b"), "0123456789").unwrap();
            std::fs::rename(folder.path().join("b"), &path).unwrap();
        });
        std::fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(piece.look().is_err(), "a pipe is not waited for");
    }
}
