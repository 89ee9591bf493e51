//! To the machine.

use std::fs::{self, File, Metadata};
use std::io::{self, Seek};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, Packet, StatusCode};

use super::source::Source;
use super::{Files, POSIX_RENAME, REQUESTS, Teller, Told, full, is_file, is_folder, part, path};
use crate::model::{Failure, FailureKind, Progress};

impl Files {
    /// Sends a file, or what is missing of it, and says how large it is. A file of that name there is replaced; its
    /// time of change becomes that of the one here, its permissions too, as far as the umask there lets them.
    ///
    /// # Errors
    /// `Invalid` when there is no such file here or the target is a folder, `NotFound` when there is no such folder there,
    /// `Denied`; `Conflict` when it is changed here meanwhile, or another copy is writing it there. What has arrived is continued by the next try, except where the disk there was full.
    pub async fn put(&self, local: &Path, remote: &str, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<u64, Failure> {
        let mut teller = Teller::new(progress, &format!("sending {}", local.display()));
        let sent = self.put_told(local, remote, false, &mut |done, size| teller.tell(done, size)).await?;
        Ok(sent.unwrap_or(0))
    }

    /// As [`Files::put`]; one of the same size and time of change is left as it is where that is `enough`, and `None` is said.
    /// `told` hears how many bytes are there now, of how many: at first those that were there before.
    pub(super) async fn put_told(
        &self,
        local: &Path,
        remote: &str,
        enough: bool,
        told: &mut Told<'_>,
    ) -> Result<Option<u64>, Failure> {
        let unreadable = |error: io::Error| {
            let what = format!("{} cannot be read: {error}", local.display());
            Failure::new(FailureKind::Invalid, what, "name a file that is there and that you may read")
        };
        let mut file = File::open(local).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        let size = about.len();
        let mode = about.permissions().mode() & 0o777;
        let modified = modified(&about);
        if let Ok(there) = self.raw.stat(remote).await.map(|there| there.attrs) {
            if is_folder(&there) {
                let what = format!("{remote} on the instance is a folder, and a file here");
                return Err(Failure::new(FailureKind::Invalid, what, "remove or rename one of the two"));
            }
            if !is_file(&there) {
                let what = format!("{remote} on the instance is neither a file nor a folder");
                return Err(Failure::new(FailureKind::Invalid, what, "name another target: what it is would be lost"));
            }
            let same = modified.is_some() && (there.size, there.mtime) == (Some(size), modified);
            if enough && same {
                self.keep_executable(remote, &there, mode).await;
                return Ok(None);
            }
        }
        let part = path::join(path::above(remote), &part::of(path::name(remote), &state(&about)));
        let (handle, from) = self.open_part(remote, &part, &file, size, mode | 0o600).await?;
        file.seek(io::SeekFrom::Start(from)).map_err(unreadable)?;
        told(from, size);
        let sent = self.send(remote, &handle, from..size, Source::new(file, self.written), told).await;
        if sent.is_ok() && modified.is_some() {
            // Where the server keeps no times, it is sent anew the next time.
            let times = FileAttributes { atime: modified, mtime: modified, ..FileAttributes::empty() };
            let _ = self.raw.fsetstat(handle.as_str(), times).await;
        }
        let closed = self.raw.close(handle).await;
        match sent {
            Err(failure) => {
                // A hole in the middle would be continued after it; and a full disk is best freed.
                if failure.kind == FailureKind::Service && self.session.state.reason().is_none() {
                    let is_full = self.is_full(remote).await;
                    let _ = self.raw.remove(part.as_str()).await;
                    return Err(if is_full { full(remote) } else { failure });
                }
                return Err(failure);
            }
            // It may have become another one in its middle, too.
            Ok(done) if done != size || !fs::metadata(local).is_ok_and(|now| state(&now) == state(&about)) => {
                let _ = self.raw.remove(part.as_str()).await;
                let what = format!("{} was changed while it was sent", local.display());
                return Err(Failure::new(FailureKind::Conflict, what, "wait until it is complete, and send it again"));
            }
            Ok(_) => closed.map_err(|error| self.fail(remote, &error))?,
        };
        self.finish(&part, remote, size, modified).await?;
        Ok(Some(size))
    }

    /// Whether it may be executed changes neither size nor time: seen to where that is all that was changed.
    async fn keep_executable(&self, remote: &str, there: &FileAttributes, mode: u32) {
        let Some(wanted) = there.permissions.and_then(|known| executable(known & 0o777, mode)) else { return };
        let attrs = FileAttributes { permissions: Some(wanted), ..FileAttributes::empty() };
        // What may not be changed there stays as it is: the content is the same.
        let _ = self.raw.setstat(remote, attrs).await;
    }

    /// OpenSSH's server says `Failure` where the disk is full; it is asked how much room there is, where it answers that
    /// (`statvfs@openssh.com`; its file PROTOCOL, section 4.4).
    async fn is_full(&self, remote: &str) -> bool {
        self.raw.statvfs(path::above(remote)).await.is_ok_and(|room| room.blocks_avail == 0)
    }

    /// Writes in pieces, many at once, and says where it ended.
    async fn send(
        &self,
        remote: &str,
        handle: &str,
        range: std::ops::Range<u64>,
        mut source: Source,
        told: &mut Told<'_>,
    ) -> Result<u64, Failure> {
        let (mut at, mut done) = (range.start, range.start);
        let mut at_work = FuturesUnordered::new();
        let mut more = true;
        loop {
            while more && at_work.len() < REQUESTS {
                let Some(turn) = self.turn(at_work.is_empty()).await else { break };
                let piece = source.next().await.map_err(|error| {
                    Failure::new(
                        FailureKind::Machine,
                        format!("the file cannot be read any more: {error}"),
                        "try again: it is continued",
                    )
                })?;
                more = !piece.is_empty();
                if more {
                    let (offset, length) = (at, piece.len() as u64);
                    at_work.push(async move {
                        let _turn = turn;
                        self.raw.write(handle, offset, piece).await.map(|_| length)
                    });
                    at += length;
                }
            }
            let Some(written) = at_work.next().await else { return Ok(at) };
            done += written.map_err(|error| self.fail(remote, &error))?;
            told(done, range.end);
        }
    }

    /// Gives a file its name, in one step where the server can.
    pub(super) async fn replace(&self, from: &str, to: &str) -> Result<(), Failure> {
        let done = if self.replaces {
            // The two paths as strings of the protocol: their length in four bytes, and themselves.
            let path = |path: &str| [&u32::try_from(path.len()).unwrap_or(0).to_be_bytes()[..], path.as_bytes()].concat();
            match self.raw.extended(POSIX_RENAME, [path(from), path(to)].concat()).await {
                Ok(Packet::Status(status)) if status.status_code == StatusCode::Ok => Ok(()),
                Ok(Packet::Status(status)) => Err(Error::Status(status)),
                Ok(_) => Err(Error::UnexpectedPacket),
                Err(error) => Err(error),
            }
        } else {
            // SFTP 3 does not rename onto a file. Not before it is seen that there is one to take its place.
            self.raw.lstat(from).await.map_err(|error| self.fail(from, &error))?;
            let _ = self.raw.remove(to).await;
            self.raw.rename(from, to).await.map(drop)
        };
        done.map_err(|error| self.fail(to, &error))
    }
}

/// In which state a file is here: its size, and when it was changed, to the nanosecond.
pub(super) fn state(about: &Metadata) -> String {
    format!("{:x}-{:x}{:08x}", about.len(), about.mtime(), about.mtime_nsec())
}

/// When it was changed, as it will be told there: the protocol's times are seconds, in 32 bits; what does not fit is not told.
pub(super) fn modified(about: &Metadata) -> Option<u32> {
    u32::try_from(about.mtime()).ok()
}

/// The permissions that a file has to get so that it may be executed where the other one may: by whoever may read it; `None`
/// when that is so.
pub(super) fn executable(known: u32, other: u32) -> Option<u32> {
    if (known ^ other) & 0o100 == 0 {
        return None;
    }
    Some(if other & 0o100 == 0 { known & 0o666 } else { known | (known & 0o444) >> 2 })
}
