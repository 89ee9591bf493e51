//! From the machine.

use std::fs::{self, FileTimes};
use std::io::{self, Seek};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};
use tokio::sync::SemaphorePermit;

use super::sink::Sink;
use super::{Files, REQUESTS, Teller, Told, hold, is_file, part, tidy};
use crate::model::{Failure, FailureKind, Progress};
use crate::ssh::fault;

/// Folders in folders that we follow.
pub(super) const DEEPEST: usize = 32;

impl Files {
    /// Fetches a file, or what is missing of it, and says how large it is. It gets the time of change and, as far as the umask
    /// lets it, the permissions of the one there.
    ///
    /// # Errors
    /// `NotFound`, `Denied`; `Conflict` when it is changed there meanwhile, or another copy is writing it here; `Machine` when it cannot be written here. What
    /// has arrived is continued by the next try.
    pub async fn get(&self, remote: &str, local: &Path, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<u64, Failure> {
        let mut teller = Teller::new(progress, &format!("fetching {remote}"));
        self.get_told(remote, local, true, &mut |done, size| teller.tell(done, size)).await
    }

    /// As [`Files::get`]; `told` hears how many bytes are there now, of how many: at first those that were there before. Where
    /// it does not go `alone`, the parts in its folder are seen to by somebody else.
    pub(super) async fn get_told(&self, remote: &str, local: &Path, alone: bool, told: &mut Told<'_>) -> Result<u64, Failure> {
        let about = self.raw.stat(remote).await.map_err(|error| self.fail(remote, &error))?.attrs;
        if !is_file(&about) {
            return Err(Failure::new(FailureKind::Invalid, format!("{remote} on the instance is not a file"), "name a file"));
        }
        let size = about.size.unwrap_or(0);
        let part = part_of(local, &about, alone)?;
        let unwritable = |error: io::Error| unwritable(&part, &error);
        let mode = about.permissions.map_or(0o600, |mode| mode & 0o777 | 0o600);
        let Some(mut file) = hold::take(&part, mode).map_err(unwritable)? else {
            return Err(hold::busy(&local.display().to_string(), "here"));
        };
        let handle = self.raw.open(remote, OpenFlags::READ, FileAttributes::empty()).await;
        let handle = handle.map_err(|error| self.fail(remote, &error))?.handle;
        let mut from = file.metadata().map_err(unwritable)?.len();
        if from > size || !self.is_same(&handle, &file, from).await.map_err(|error| self.fail(remote, &error))? {
            file.set_len(0).map_err(unwritable)?;
            from = 0;
        }
        told(from, size);
        file.seek(io::SeekFrom::Start(from)).map_err(unwritable)?;
        let sink = Sink::new(file);
        let fetched = self.fetch(remote, &handle, from..size, &sink, told).await;
        // Why nothing more is written goes before what came of it.
        let written = sink.end().await.map_err(unwritable);
        let _ = self.raw.close(handle).await;
        let file = written?;
        fetched?;
        let after = self.raw.stat(remote).await.map_err(|error| self.fail(remote, &error))?.attrs;
        if (after.size, after.mtime) != (about.size, about.mtime) {
            let _ = fs::remove_file(&part);
            return Err(changed(remote));
        }
        if let Some(modified) = about.mtime {
            // Where the disk here keeps no times, it is fetched anew the next time.
            let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(modified.into()));
            let _ = file.set_times(times);
        }
        // Not forced to the disk, as with scp and rsync: what a power cut takes of it is missing in its size, and fetched anew.
        fs::rename(&part, local).map_err(unwritable)?;
        Ok(size)
    }

    /// Fetches what is in a folder and in the folders in it to `local`, but for links; what is there already with the same size
    /// and time of change is left as it is. Says how many files there are.
    ///
    /// # Errors
    /// As [`Files::fetch_all`].
    pub async fn get_folder(
        &self,
        remote: &str,
        local: &Path,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<u64, Failure> {
        let inside = format!("{}/", remote.trim_end_matches('/'));
        let done = self.fetch_all(&[inside], &local.join(""), progress).await?.done;
        Ok(done.sent + done.unchanged)
    }

    /// Reads a range in pieces, many at once, and hands them on in their order, until they are not taken any more.
    async fn fetch(
        &self,
        remote: &str,
        handle: &str,
        range: std::ops::Range<u64>,
        sink: &Sink,
        told: &mut Told<'_>,
    ) -> Result<(), Failure> {
        let (mut ask, mut done) = (range.start, range.start);
        let mut at_work = FuturesOrdered::new();
        while done < range.end {
            while ask < range.end && at_work.len() < REQUESTS {
                let Some(turn) = self.turn(at_work.is_empty()).await else { break };
                let length = u32::try_from(range.end - ask).unwrap_or(self.read).min(self.read);
                at_work.push_back(self.piece(remote, handle, ask, length, turn));
                ask += u64::from(length);
            }
            let Some(piece) = at_work.next().await else { break };
            let piece = piece?;
            done += piece.len() as u64;
            if !sink.take(piece).await {
                return Ok(());
            }
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

/// Where the parts are gathered. If it goes alone, those of an earlier state of the file are removed: nothing would continue them.
fn part_of(local: &Path, about: &FileAttributes, alone: bool) -> Result<PathBuf, Failure> {
    // What a link leads to counts.
    let there = fs::metadata(local).ok().map(|about| about.file_type());
    if there.is_some_and(|kind| kind.is_dir()) {
        let what = format!("{} here is a folder, and a file on the instance", local.display());
        return Err(Failure::new(FailureKind::Invalid, what, "remove or rename one of the two"));
    }
    if there.is_some_and(|kind| !kind.is_file()) {
        let what = format!("{} here is neither a file nor a folder", local.display());
        return Err(Failure::new(FailureKind::Invalid, what, "name another target: what it is would be lost"));
    }
    let name = local.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::new(FailureKind::Invalid, format!("{} is not a file's name", local.display()), "name the file to write")
    })?;
    let state = state(about.size.unwrap_or(0), about.mtime.unwrap_or(0).into());
    if alone {
        tidy::beside(local, name, &state)?;
    }
    Ok(local.with_file_name(part::of(name, &state)))
}

/// In which state a file is there: its size, and when it was changed.
pub(super) fn state(size: u64, modified: u64) -> String {
    format!("{size:x}-{modified:x}")
}

/// The folder that a file here is in.
pub(super) fn above(local: &Path) -> &Path {
    local.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes a folder here. Below the one that the user named, a link is none.
pub(super) fn make_folder(folder: &Path, below: bool) -> Result<(), Failure> {
    let made = if below { fs::create_dir(folder) } else { fs::create_dir_all(folder) };
    let Err(error) = made else { return Ok(()) };
    match fs::symlink_metadata(folder) {
        Ok(about) if below && about.is_dir() => Ok(()),
        Ok(about) if below && about.is_symlink() => {
            let what = format!("{} is a link: what is fetched would leave its folder", folder.display());
            Err(Failure::new(FailureKind::Refused, what, "remove the link, or fetch to another folder"))
        }
        Ok(_) if below => {
            let what = format!("{} here is a file, and a folder on the instance", folder.display());
            Err(Failure::new(FailureKind::Invalid, what, "remove or rename one of the two"))
        }
        _ => Err(unwritable(folder, &error)),
    }
}

/// What the disk here says. What is wrong with one name only is `Invalid`.
fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let at = fault::cut(&path.display().to_string());
    let invalid = matches!(error.kind(), io::ErrorKind::InvalidFilename | io::ErrorKind::InvalidInput);
    let (kind, what, hint) = match error.kind() {
        // Of whole names and paths that are too long, and of names that e.g. a disk of Windows cannot have.
        _ if invalid || error.raw_os_error() == Some(nix::libc::EILSEQ) => (
            FailureKind::Invalid,
            format!("{at} cannot be made here, for its name or path: {error}"),
            "rename it there, copy to a place with a shorter path, or pack the folder (tar) and copy that",
        ),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (
            FailureKind::Machine,
            format!("the disk here is full: no room for {at} ({error})"),
            "make room (df -h tells how much there is), or name a folder on another disk; then the same again: what has arrived \
             stays and is continued",
        ),
        io::ErrorKind::FileTooLarge => (
            FailureKind::Machine,
            format!("{at} becomes larger than a file may be here ({error})"),
            "raise the limit (ulimit -f), or name a folder on a disk that takes large files; then the same again: what has \
             arrived stays and is continued",
        ),
        _ => (
            FailureKind::Machine,
            format!("{at} cannot be written: {error}"),
            "see that the folder can be written to, or name another one; then the same again: it is continued",
        ),
    };
    Failure::new(kind, what, hint)
}
