//! Two copies of one file at the same time.
//!
//! Here a lock of the system's keeps them apart (`flock`), which ends with the process that has it, however that ends: the part
//! of a copy that was killed is free to be continued. SFTP has no locks. There a part is made by one alone, never cut off, and
//! one that still grows is left to whoever writes it; where two write the same part after all (one was held up for long), both
//! write the same bytes to the same places, as a part belongs to one state of a file. In both directions what a part begins and
//! ends with is compared before it is continued: two files may have the same name, size and time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;
use russh_sftp::client::error::Error;
use russh_sftp::protocol::{FileAttributes, OpenFlags, StatusCode};

use super::{Files, is_file};
use crate::model::{Failure, FailureKind};
use crate::ssh::fault;

/// Bytes at its beginning and at its end by which a part is known again.
const COMPARED: u64 = 32 * 1024;
/// How often a part is opened that others take away at the same moment.
const TRIES: usize = 5;
/// Seconds since its last change after which a part there is not watched: nobody writes it.
const RECENT: u64 = 60;
/// How long a part there has to stand still to be free. A server writes what comes in pieces of at least 32 KB.
const STILL: Duration = Duration::from_secs(3);
/// How long one that grows is watched, for the last of what a killed copy has sent may still arrive.
const WATCHED: Duration = Duration::from_secs(6);
const LOOK: Duration = Duration::from_millis(250);

/// Opens a part here, made if it is missing, and takes hold of it until the file is closed; `None` where another copy has it.
///
/// # Errors
/// As the disk says.
pub(super) fn take(part: &Path, mode: u32) -> io::Result<Option<File>> {
    for _ in 0..TRIES {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(mode).custom_flags(OFlag::O_NOFOLLOW.bits());
        let file = options.open(part)?;
        // Where there are no locks, the disk is one that two copies seldom meet on.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Ok(None);
        }
        // Whoever had it may have given it its name, or removed it, before we got the lock.
        let ours = file.metadata()?;
        if fs::symlink_metadata(part).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Removes a part here that is of no use, unless another copy is writing it; says whether it was removed, and `None` then.
pub(super) fn remove(part: &Path) -> Option<bool> {
    let opened = OpenOptions::new().read(true).custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits()).open(part);
    if opened.as_ref().is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock))) {
        return None;
    }
    Some(fs::remove_file(part).is_ok())
}

/// Another copy is writing it.
pub(super) fn busy(place: &str, side: &str) -> Failure {
    let what = format!("another copy is writing {} {side}", fault::cut(place));
    Failure::new(
        FailureKind::Conflict,
        what,
        "wait for it, or name another target; if it ends before its time, the same again continues it",
    )
}

/// The other copy was quicker.
fn overtaken(remote: &str) -> Failure {
    let what = format!("another copy has taken away the part of {} on the instance", fault::cut(remote));
    Failure::new(
        FailureKind::Conflict,
        what,
        "wait for that copy to end, then the same again: what is there by then is not sent again",
    )
}

/// Where to compare a part of so many bytes: how many at its beginning, and from where to its end.
fn ends(size: u64) -> [(u64, u64); 2] {
    let tail = size.saturating_sub(COMPARED).max(COMPARED.min(size));
    [(0, COMPARED.min(size)), (tail, size - tail)]
}

fn read_at(file: &File, (from, length): (u64, u64)) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
    file.read_exact_at(&mut piece, from)?;
    Ok(piece)
}

impl Files {
    /// Whether what is in this file here begins and ends as so many bytes of the one that is open there.
    ///
    /// # Errors
    /// As the line says.
    pub(super) async fn is_same(&self, handle: &str, file: &File, size: u64) -> Result<bool, Error> {
        for (from, length) in ends(size).into_iter().filter(|(_, length)| *length > 0) {
            let mut there = Vec::new();
            while (there.len() as u64) < length {
                let missing = u32::try_from(length).unwrap_or(0) - u32::try_from(there.len()).unwrap_or(0);
                match self.raw.read(handle, from + there.len() as u64, missing).await {
                    Ok(more) if more.data.is_empty() => return Ok(false),
                    Ok(more) => there.extend_from_slice(&more.data),
                    Err(Error::Status(status)) if status.status_code == StatusCode::Eof => return Ok(false),
                    Err(error) => return Err(error),
                }
            }
            there.truncate(usize::try_from(length).unwrap_or(0));
            // What cannot be read here is told when it is to be sent.
            if read_at(file, (from, length)).is_ok_and(|here| here != there) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Opens the part of a file there: that of a copy that broke off, if it is a beginning of this file, else a new one. Gives
    /// its handle, and how much of it is there.
    ///
    /// # Errors
    /// `Conflict` when another copy is writing it; as the server says, of the file that it is a part of.
    pub(super) async fn open_part(
        &self,
        remote: &str,
        part: &str,
        file: &File,
        size: u64,
        mode: u32,
    ) -> Result<(String, u64), Failure> {
        let attrs = FileAttributes { permissions: Some(mode), ..FileAttributes::empty() };
        for _ in 0..TRIES {
            let Ok(there) = self.raw.lstat(part).await.map(|there| there.attrs) else {
                let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUDE;
                match self.raw.open(part, flags, attrs.clone()).await {
                    Ok(opened) => return Ok((opened.handle, 0)),
                    // Somebody else has made it meanwhile.
                    Err(_) if self.raw.lstat(part).await.is_ok() => continue,
                    Err(error) => return Err(self.fail(remote, &error)),
                }
            };
            if self.is_written(part, &there).await {
                return Err(busy(remote, "on the instance"));
            }
            if let Some(kept) = self.kept(part, file, size).await.map_err(|error| self.fail(remote, &error))? {
                match self.raw.open(part, OpenFlags::WRITE, attrs.clone()).await {
                    Ok(opened) => return Ok((opened.handle, kept)),
                    Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => continue,
                    Err(error) => return Err(self.fail(remote, &error)),
                }
            }
            let _ = self.raw.remove(part).await;
        }
        Err(busy(remote, "on the instance"))
    }

    /// How much of a part there can be continued: the server writes in the order in which we send, so it is whole up to its end.
    /// `None` where it is no beginning of this file.
    async fn kept(&self, part: &str, file: &File, size: u64) -> Result<Option<u64>, Error> {
        let about = match self.raw.lstat(part).await {
            Ok(there) => there.attrs,
            Err(Error::Status(status)) if status.status_code == StatusCode::NoSuchFile => return Ok(None),
            Err(error) => return Err(error),
        };
        let kept = about.size.unwrap_or(0);
        if !is_file(&about) || kept > size {
            return Ok(None);
        }
        if kept == 0 {
            return Ok(Some(0));
        }
        // One that may not be read is not known again.
        let Ok(opened) = self.raw.open(part, OpenFlags::READ, FileAttributes::empty()).await else { return Ok(None) };
        let same = self.is_same(&opened.handle, file, kept).await;
        let _ = self.raw.close(opened.handle).await;
        Ok(same?.then_some(kept))
    }

    /// Whether somebody is writing a part there: it was changed a short while ago, and still grows. Clocks that differ by more
    /// than that only make it less polite: see above.
    pub(super) async fn is_written(&self, part: &str, about: &FileAttributes) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if now.abs_diff(about.mtime.unwrap_or(0).into()) > RECENT {
            return false;
        }
        let (begun, mut changed, mut size) = (Instant::now(), Instant::now(), about.size);
        loop {
            tokio::time::sleep(LOOK).await;
            let Ok(there) = self.raw.lstat(part).await else { return false };
            if there.attrs.size != size {
                (changed, size) = (Instant::now(), there.attrs.size);
            }
            if changed.elapsed() >= STILL {
                return false;
            }
            if begun.elapsed() >= WATCHED {
                return true;
            }
        }
    }

    /// Gives a part that is complete its name. Where another copy of the same state has done so meanwhile, that is as good.
    ///
    /// # Errors
    /// `Conflict` when another copy has taken it away; as the server says.
    pub(super) async fn finish(&self, part: &str, remote: &str, size: u64, modified: Option<u32>) -> Result<(), Failure> {
        let Err(failure) = self.replace(part, remote).await else { return Ok(()) };
        if failure.kind != FailureKind::NotFound {
            return Err(failure);
        }
        let there = self.raw.stat(remote).await.map(|there| there.attrs);
        if there.is_ok_and(|there| modified.is_some() && (there.size, there.mtime) == (Some(size), modified)) {
            return Ok(());
        }
        Err(overtaken(remote))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_has_a_part_and_what_got_its_name_is_not_it() {
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("a.1-2.part");
        let held = take(&part, 0o600).unwrap().unwrap();
        assert!(take(&part, 0o600).unwrap().is_none());
        assert_eq!(remove(&part), None, "nor is it removed");
        drop(held);
        assert!(take(&part, 0o600).unwrap().is_some(), "however the other one ended");
        assert_eq!((remove(&part), remove(&part)), (Some(true), Some(false)));
        std::os::unix::fs::symlink("/etc/passwd", &part).unwrap();
        assert!(take(&part, 0o600).is_err(), "a link is no part");
    }

    #[test]
    fn the_ends_of_a_part_are_compared_and_nothing_twice() {
        assert_eq!(ends(10), [(0, 10), (10, 0)]);
        assert_eq!(ends(COMPARED + 5), [(0, COMPARED), (COMPARED, 5)]);
        assert_eq!(ends(COMPARED * 10), [(0, COMPARED), (COMPARED * 9, COMPARED)]);
    }
}
