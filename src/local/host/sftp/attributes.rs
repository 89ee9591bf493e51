//! Attributes of files on the wire, and paths without detours.

use std::fs::{self, File, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use russh_sftp::protocol::{File as Entry, FileAttributes};

/// The attributes of a file; times are seconds since the epoch, in 32 bits.
#[must_use]
pub fn of(metadata: &Metadata) -> FileAttributes {
    let seconds = |time: i64| Some(u32::try_from(time.max(0)).unwrap_or(u32::MAX));
    FileAttributes {
        size: Some(metadata.len()),
        uid: Some(metadata.uid()),
        gid: Some(metadata.gid()),
        permissions: Some(metadata.mode()),
        atime: seconds(metadata.atime()),
        mtime: seconds(metadata.mtime()),
        ..FileAttributes::default()
    }
}

/// An entry of a folder with its line as `ls -l` shows it.
#[must_use]
pub fn entry(name: String, metadata: &Metadata) -> Entry {
    Entry::new(name, of(metadata))
}

/// Changes what is given of the file behind a name.
///
/// # Errors
/// When the file is not there or not ours.
pub fn set_path(path: &Path, attributes: &FileAttributes) -> io::Result<()> {
    if attributes.size.is_some() {
        return set(&File::options().write(true).open(path)?, attributes);
    }
    // Opening for reading would fail where changing the mode is allowed, e.g. for a file of mode 0.
    if let Some(mode) = attributes.permissions {
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))?;
    }
    if attributes.uid.is_some() || attributes.gid.is_some() {
        std::os::unix::fs::chown(path, attributes.uid, attributes.gid)?;
    }
    match times(attributes) {
        Some(times) => File::open(path)?.set_times(times),
        None => Ok(()),
    }
}

/// Changes what is given of an open file.
///
/// # Errors
/// When the system refuses, e.g. for want of space.
pub fn set(file: &File, attributes: &FileAttributes) -> io::Result<()> {
    if let Some(size) = attributes.size {
        file.set_len(size)?;
    }
    if let Some(mode) = attributes.permissions {
        file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    }
    if attributes.uid.is_some() || attributes.gid.is_some() {
        std::os::unix::fs::fchown(file, attributes.uid, attributes.gid)?;
    }
    times(attributes).map_or(Ok(()), |times| file.set_times(times))
}

/// The path without symbolic links, `.` and `..`. What is not there yet keeps its own name.
///
/// # Errors
/// When a folder on the way may not be looked into.
pub fn real(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(plain(path)),
        other => other,
    }
}

fn times(attributes: &FileAttributes) -> Option<FileTimes> {
    let at = |seconds: u32| UNIX_EPOCH + Duration::from_secs(seconds.into());
    let (accessed, modified) = (attributes.atime?, attributes.mtime?);
    Some(FileTimes::new().set_accessed(at(accessed)).set_modified(at(modified)))
}

fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}
