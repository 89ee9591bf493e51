//! To the machine.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, OpenFlags, Packet, StatusCode};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{Files, Meter, POSIX_RENAME, REQUESTS, WRITTEN, is_folder};
use crate::model::{Failure, FailureKind, Progress};

impl Files {
    /// Sends a file, or what is missing of it, and says how large it is. A file of that name there is replaced; its
    /// permissions become those of the one here.
    ///
    /// # Errors
    /// `Invalid` when there is no such file here or the target is a folder, `NotFound` when there is no such folder there, `Denied`; `Conflict` when it
    /// is changed here meanwhile. What has arrived is continued by the next try, except where the disk there was full.
    pub async fn put(&self, local: &Path, remote: &str, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<u64, Failure> {
        let unreadable = |error: io::Error| {
            let what = format!("{} cannot be read: {error}", local.display());
            Failure::new(FailureKind::Invalid, what, "name a file that is there and that you may read")
        };
        let mut file = tokio::fs::File::open(local).await.map_err(unreadable)?;
        let about = file.metadata().await.map_err(unreadable)?;
        if !about.is_file() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        let size = about.len();
        if self.raw.stat(remote).await.is_ok_and(|there| is_folder(&there.attrs)) {
            let what = format!("{remote} on the instance is a folder");
            return Err(Failure::new(FailureKind::Invalid, what, "name the file that is to be written there"));
        }
        let part = format!("{remote}.{size:x}-{:x}{:08x}.part", about.mtime(), about.mtime_nsec());
        let there = self.raw.stat(part.as_str()).await.ok().and_then(|there| there.attrs.size).filter(|there| *there <= size);
        // The server writes in the order in which we send: what is there is whole up to its end.
        let from = there.unwrap_or(0);
        let flags = if from == 0 { OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE } else { OpenFlags::WRITE };
        let attrs = FileAttributes { permissions: Some(about.permissions().mode() & 0o777), ..FileAttributes::empty() };
        let handle = self.raw.open(part.as_str(), flags, attrs).await.map_err(|error| self.fail(remote, &error))?.handle;
        file.seek(io::SeekFrom::Start(from)).await.map_err(unreadable)?;
        let mut meter = Meter::new(progress, &format!("sending {}", local.display()), size);
        meter.tell(from);
        let sent = self.send(remote, &handle, from, &mut file, &mut meter).await;
        let closed = self.raw.close(handle).await;
        match sent {
            Err(failure) => {
                // A hole in the middle would be continued after it; and a full disk is best freed.
                if failure.kind == FailureKind::Service && self.session.state.reason().is_none() {
                    let _ = self.raw.remove(part.as_str()).await;
                }
                return Err(failure);
            }
            Ok(done) if done != size => {
                let _ = self.raw.remove(part.as_str()).await;
                let what = format!("{} was changed while it was sent", local.display());
                return Err(Failure::new(FailureKind::Conflict, what, "wait until it is complete, and send it again"));
            }
            Ok(_) => closed.map_err(|error| self.fail(remote, &error))?,
        };
        self.replace(&part, remote).await?;
        Ok(size)
    }

    /// Writes in pieces, many at once, and says where it ended.
    async fn send(
        &self,
        remote: &str,
        handle: &str,
        from: u64,
        file: &mut tokio::fs::File,
        meter: &mut Meter<'_>,
    ) -> Result<u64, Failure> {
        let (mut at, mut done) = (from, from);
        let mut at_work = FuturesUnordered::new();
        let mut more = true;
        loop {
            while more && at_work.len() < REQUESTS {
                let mut piece = Vec::with_capacity(WRITTEN as usize);
                let read = (&mut *file).take(u64::from(WRITTEN)).read_to_end(&mut piece).await.map_err(|error| {
                    Failure::new(
                        FailureKind::Machine,
                        format!("the file cannot be read any more: {error}"),
                        "try again: it is continued",
                    )
                })?;
                more = read > 0;
                if more {
                    let (offset, length) = (at, read as u64);
                    at_work.push(async move { self.raw.write(handle, offset, piece).await.map(|_| length) });
                    at += length;
                }
            }
            let Some(written) = at_work.next().await else { return Ok(at) };
            done += written.map_err(|error| self.fail(remote, &error))?;
            meter.tell(done);
        }
    }

    /// Gives a file its name, in one step where the server can.
    async fn replace(&self, from: &str, to: &str) -> Result<(), Failure> {
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
            // SFTP 3 does not rename onto a file.
            let _ = self.raw.remove(to).await;
            self.raw.rename(from, to).await.map(drop)
        };
        done.map_err(|error| self.fail(to, &error))
    }
}
