//! From the machine.

use std::fs::{self, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use nix::fcntl::OFlag;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};
use tokio::sync::SemaphorePermit;

use super::{Files, PIECE, REQUESTS, Teller, Told, is_file, is_plain, leads_out};
use crate::model::{Failure, FailureKind, Progress};

/// Folders in folders that we follow.
pub(super) const DEEPEST: usize = 32;

impl Files {
    /// Fetches a file, or what is missing of it, and says how large it is. It gets the time of change and, as far as the umask
    /// lets it, the permissions of the one there.
    ///
    /// # Errors
    /// `NotFound`, `Denied`; `Conflict` when it is changed there meanwhile; `Machine` when it cannot be written here. What
    /// has arrived is continued by the next try.
    pub async fn get(&self, remote: &str, local: &Path, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<u64, Failure> {
        let mut teller = Teller::new(progress, &format!("fetching {remote}"));
        self.get_told(remote, local, &mut |done, size| teller.tell(done, size)).await
    }

    /// As [`Files::get`]; `told` hears how many bytes are there now, of how many: at first those that were there before.
    pub(super) async fn get_told(&self, remote: &str, local: &Path, told: &mut Told<'_>) -> Result<u64, Failure> {
        let about = self.raw.stat(remote).await.map_err(|error| self.fail(remote, &error))?.attrs;
        if !is_file(&about) {
            return Err(Failure::new(FailureKind::Invalid, format!("{remote} on the instance is not a file"), "name a file"));
        }
        let size = about.size.unwrap_or(0);
        let part = part_of(local, &about)?;
        let unwritable = |error: io::Error| unwritable(&part, &error);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(about.permissions.map_or(0o600, |mode| mode & 0o777 | 0o600))
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&part)
            .map_err(unwritable)?;
        let mut from = file.metadata().map_err(unwritable)?.len();
        if from > size {
            file.set_len(0).map_err(unwritable)?;
            from = 0;
        }
        told(from, size);
        let mut into = BufWriter::with_capacity(1 << 20, tokio::fs::File::from_std(file));
        into.seek(io::SeekFrom::Start(from)).await.map_err(unwritable)?;
        let handle = self.raw.open(remote, OpenFlags::READ, FileAttributes::empty()).await;
        let handle = handle.map_err(|error| self.fail(remote, &error))?.handle;
        let fetched = self.fetch(remote, &handle, from..size, &mut into, &part, told).await;
        let flushed = into.flush().await;
        let _ = self.raw.close(handle).await;
        fetched?;
        flushed.map_err(unwritable)?;
        let file = into.into_inner();
        file.sync_all().await.map_err(unwritable)?;
        let after = self.raw.stat(remote).await.map_err(|error| self.fail(remote, &error))?.attrs;
        if (after.size, after.mtime) != (about.size, about.mtime) {
            let _ = fs::remove_file(&part);
            return Err(changed(remote));
        }
        if let Some(modified) = about.mtime {
            // Where the disk here keeps no times, it is fetched anew the next time.
            let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(modified.into()));
            let _ = file.into_std().await.set_times(times);
        }
        fs::rename(&part, local).map_err(unwritable)?;
        Ok(size)
    }

    /// Fetches all files of a folder and of the folders in it, to `local`; links are left out. Says how many there were.
    ///
    /// # Errors
    /// As [`Files::get`]; `Refused` when a name there, or a link here, would lead out of `local`. Files that are complete
    /// stay.
    pub async fn get_folder(
        &self,
        remote: &str,
        local: &Path,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<u64, Failure> {
        let mut count = 0;
        let mut folders = vec![(remote.trim_end_matches('/').to_owned(), local.to_owned(), 0)];
        while let Some((remote, local, depth)) = folders.pop() {
            if depth > DEEPEST {
                return Err(Failure::new(
                    FailureKind::Refused,
                    format!("{remote} is too deep in folders"),
                    "pack it there (tar), and fetch that",
                ));
            }
            make_folder(&local, depth > 0)?;
            for entry in self.list(&remote).await? {
                // Seen to by `list`; a name is a path here, so it is seen to here, too.
                if !is_plain(&entry.name) {
                    return Err(leads_out(&remote, &entry.name));
                }
                let (from, to) = (format!("{remote}/{}", entry.name), local.join(&entry.name));
                if entry.is_folder {
                    folders.push((from, to, depth + 1));
                } else if entry.is_file {
                    self.get(&from, &to, progress).await?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Reads a range in pieces, many at once, and writes them in their order.
    async fn fetch(
        &self,
        remote: &str,
        handle: &str,
        range: std::ops::Range<u64>,
        into: &mut BufWriter<tokio::fs::File>,
        part: &Path,
        told: &mut Told<'_>,
    ) -> Result<(), Failure> {
        let (mut ask, mut done) = (range.start, range.start);
        let mut at_work = FuturesOrdered::new();
        while done < range.end {
            while ask < range.end && at_work.len() < REQUESTS {
                let Some(turn) = self.turn(at_work.is_empty()).await else { break };
                let length = u32::try_from(range.end - ask).unwrap_or(PIECE).min(PIECE);
                at_work.push_back(self.piece(remote, handle, ask, length, turn));
                ask += u64::from(length);
            }
            let Some(piece) = at_work.next().await else { break };
            let piece = piece?;
            into.write_all(&piece).await.map_err(|error| unwritable(part, &error))?;
            done += piece.len() as u64;
            told(done, range.end);
        }
        Ok(())
    }

    /// A piece, whole: a server may answer with less than was asked for.
    async fn piece(
        &self,
        remote: &str,
        handle: &str,
        from: u64,
        length: u32,
        _turn: SemaphorePermit<'_>,
    ) -> Result<Vec<u8>, Failure> {
        let mut piece = Vec::new();
        let wanted = length as usize;
        while piece.len() < wanted {
            let missing = u32::try_from(wanted - piece.len()).unwrap_or(0);
            match self.raw.read(handle, from + piece.len() as u64, missing).await {
                Ok(more) if more.data.is_empty() => {
                    return Err(self.fail(remote, &Error::UnexpectedBehavior("a piece of it came empty".to_owned())));
                }
                Ok(more) if piece.is_empty() => piece = more.data,
                Ok(more) => piece.extend_from_slice(&more.data),
                // It became shorter.
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => return Err(changed(remote)),
                Err(error) => return Err(self.fail(remote, &error)),
            }
        }
        piece.truncate(wanted);
        Ok(piece)
    }
}

fn changed(remote: &str) -> Failure {
    let what = format!("{remote} was changed on the instance while it was fetched");
    Failure::new(FailureKind::Conflict, what, "wait until it is complete there, and fetch it again")
}

/// Where the parts are gathered. Those of an earlier state of the file are removed: nothing would continue them.
fn part_of(local: &Path, about: &FileAttributes) -> Result<PathBuf, Failure> {
    let name = local.file_name().and_then(|name| name.to_str()).filter(|_| !local.is_dir());
    let name = name.ok_or_else(|| {
        Failure::new(FailureKind::Invalid, format!("{} is not a file's name", local.display()), "name the file to write")
    })?;
    let part = local.with_file_name(format!("{name}.{:x}-{:x}.part", about.size.unwrap_or(0), about.mtime.unwrap_or(0)));
    let folder = local.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    for other in fs::read_dir(folder).into_iter().flatten().flatten() {
        let there = other.file_name();
        let middle = there.to_str().and_then(|there| there.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".part"));
        let is_ours =
            middle.is_some_and(|middle| middle.contains('-') && middle.chars().all(|c| c == '-' || c.is_ascii_hexdigit()));
        if is_ours && Some(there.as_os_str()) != part.file_name() {
            let _ = fs::remove_file(other.path());
        }
    }
    Ok(part)
}

/// Makes a folder here. Below the one that the user named, a link is none.
pub(super) fn make_folder(folder: &Path, below: bool) -> Result<(), Failure> {
    let made = if below { fs::create_dir(folder) } else { fs::create_dir_all(folder) };
    match made {
        Ok(()) => Ok(()),
        Err(_) if below && fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir()) => Ok(()),
        Err(_) if below && fs::symlink_metadata(folder).is_ok_and(|about| about.is_symlink()) => {
            let what = format!("{} is a link: what is fetched would leave its folder", folder.display());
            Err(Failure::new(FailureKind::Refused, what, "remove the link, or fetch to another folder"))
        }
        Err(error) => Err(unwritable(folder, &error)),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("{} cannot be written: {error}", path.display());
    Failure::new(FailureKind::Machine, what, "make room or choose another folder; then try again: it is continued")
}
