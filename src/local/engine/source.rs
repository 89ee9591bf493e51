//! The script archive: fetched and unpacked as the training toolkit does. It comes from a client, so nothing in it may
//! reach out of its folder or fill the machine.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path};

use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType};

use super::layout::HostRoot;
use super::python;
use super::{Broken, S3Place, Work};
use crate::local::buckets::Buckets;

/// The most files an archive may hold.
const MOST_FILES: usize = 100_000;
/// The most bytes an archive may unfold to.
const MOST_BYTES: u64 = 8 << 30;

/// Where the archive lies: the hyperparameter `sagemaker_submit_directory`, JSON or raw.
#[must_use]
pub fn submit_directory(work: &Work) -> Option<String> {
    work.hyperparameters.get("sagemaker_submit_directory").map(|text| python::plain(&python::decode(text)))
}

/// Fetches the archive and unpacks it into `/opt/ml/code` of every host. A job without one has nothing to fetch.
///
/// # Errors
/// When the archive is missing, damaged or not harmless.
pub fn unpack(buckets: &Buckets, work: &Work, hosts: &[HostRoot], job_root: &Path) -> Result<(), Broken> {
    let Some(uri) = submit_directory(work) else { return Ok(()) };
    let place = S3Place::parse(&uri).ok_or_else(|| {
        Broken::client(format_args!("sagemaker_submit_directory is {uri:?}; it must be an s3:// address of a sourcedir.tar.gz"))
    })?;
    let archive = job_root.join("sourcedir.tar.gz");
    buckets.fetch(&place.bucket, &place.key, &archive).map_err(|error| {
        Broken::client(format_args!("the script archive {uri} cannot be read: {error}. Upload it and start the job again."))
    })?;
    for host in hosts {
        unpack_archive(&archive, &host.code()).map_err(|error| {
            if super::disk_is_full(&error) {
                Broken::region("unpacking the script archive", &error)
            } else {
                Broken::client(format_args!("the script archive {uri} cannot be unpacked: {error}"))
            }
        })?;
    }
    let _ = std::fs::remove_file(archive);
    Ok(())
}

/// Unpacks an archive that nobody vouches for: nothing of it leads out of the folder, and it has an end.
///
/// # Errors
/// When it is damaged, too large, or not harmless.
pub fn unpack_archive(archive: &Path, folder: &Path) -> std::io::Result<()> {
    // One byte more than allowed, so that the limit shows as an error and not as a cut archive.
    let bytes = MultiGzDecoder::new(File::open(archive)?).take(MOST_BYTES + 1);
    let mut archive = Archive::new(bytes);
    archive.set_overwrite(true);
    archive.set_preserve_ownerships(false);
    archive.set_unpack_xattrs(false);
    let mut total = 0;
    let mut links = HashSet::new();
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        total += entry.size();
        if count >= MOST_FILES || total > MOST_BYTES {
            return Err(refused("it holds more than 100,000 files or 8 GiB"));
        }
        if is_root(&entry)? {
            continue;
        }
        check(&entry)?;
        let path = entry.path()?.into_owned();
        if path.ancestors().skip(1).any(|folder| links.contains(folder)) {
            return Err(refused(&format!("{} lies behind a link", path.display())));
        }
        if entry.header().entry_type().is_symlink() {
            links.insert(path);
        }
        if !entry.unpack_in(folder)? {
            return Err(refused(&format!("{:?} leads out of its folder", String::from_utf8_lossy(&entry.path_bytes()))));
        }
    }
    Ok(())
}

/// The folder itself, named "", "." or "/": the archives that the Python SDK repacks for endpoints begin with it.
fn is_root<R: Read>(entry: &Entry<'_, R>) -> std::io::Result<bool> {
    let nameless = entry.path()?.components().all(|part| matches!(part, Component::RootDir | Component::CurDir));
    Ok(nameless && entry.header().entry_type().is_dir())
}

/// Only files, folders, and links that stay inside.
fn check<R: Read>(entry: &Entry<'_, R>) -> std::io::Result<()> {
    let path = entry.path()?;
    let shown = path.display();
    if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refused(&format!("{shown} leads out of its folder")));
    }
    match entry.header().entry_type() {
        EntryType::Regular
        | EntryType::Continuous
        | EntryType::GNUSparse
        | EntryType::Directory
        | EntryType::XGlobalHeader
        | EntryType::XHeader
        | EntryType::GNULongName
        | EntryType::GNULongLink => Ok(()),
        EntryType::Symlink => {
            let target = entry.link_name()?.unwrap_or_default();
            let inside = stays_inside(path.parent().unwrap_or(Path::new("")), &target);
            if inside { Ok(()) } else { Err(refused(&format!("the link {shown} leads out of its folder"))) }
        }
        EntryType::Link => {
            let target = entry.link_name()?.unwrap_or_default();
            let inside = stays_inside(Path::new(""), &target);
            if inside { Ok(()) } else { Err(refused(&format!("the link {shown} leads out of its folder"))) }
        }
        other => Err(refused(&format!("{shown} is neither a file nor a folder ({other:?})"))),
    }
}

/// Whether a relative target, seen from a folder of the archive, stays inside. It may climb only at its beginning: behind a
/// name `..` may mean another folder than it seems, because that name may be a link.
fn stays_inside(from: &Path, target: &Path) -> bool {
    let mut depth = from.components().filter(|part| matches!(part, Component::Normal(_))).count();
    let mut climbing = true;
    for part in target.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(_) => climbing = false,
            Component::ParentDir if climbing && depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

fn refused(why: &str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use tar::{Builder, Header};

    /// An archive of one member, its name and link target written raw, as a hostile client would.
    fn hostile(kind: EntryType, name: &str, target: &str) -> std::io::Result<()> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tar.gz");
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        let content: &[u8] = if kind == EntryType::Regular { b"hello" } else { b"" };
        header.set_size(content.len() as u64);
        let raw = header.as_gnu_mut().expect("is gnu");
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        let mut builder = Builder::new(GzEncoder::new(File::create(&path).expect("a file"), Compression::fast()));
        builder.append(&header, content).expect("appends");
        builder.into_inner().expect("ends").finish().expect("ends");
        let code = folder.path().join("deep/code");
        std::fs::create_dir_all(&code).expect("a folder");
        let result = unpack_archive(&path, &code);
        assert!(!folder.path().join("deep/out").exists(), "something was written outside");
        result
    }

    #[test]
    fn harmless_members_are_unpacked() {
        hostile(EntryType::Regular, "a/b.py", "").expect("a file");
        hostile(EntryType::Symlink, "a/b.py", "../c.py").expect("a link inside");
        hostile(EntryType::Directory, "/", "").expect("the folder itself");
    }

    #[test]
    fn nothing_leads_out() {
        for (kind, name, target) in [
            (EntryType::Regular, "../out", ""),
            (EntryType::Regular, "/tmp/footplate-never", ""),
            (EntryType::Regular, "a/../../out", ""),
            (EntryType::Symlink, "link", "/etc/passwd"),
            (EntryType::Symlink, "a/link", "../../out"),
            (EntryType::Symlink, "link", "a/../.."),
            (EntryType::Link, "hard", "/etc/passwd"),
            (EntryType::Link, "hard", "../out"),
            (EntryType::Fifo, "pipe", ""),
            (EntryType::Char, "device", ""),
        ] {
            assert!(hostile(kind, name, target).is_err(), "{kind:?} {name} {target}");
        }
    }

    #[test]
    fn what_is_no_archive_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tar.gz");
        std::fs::write(&path, "hello").expect("writes");
        assert!(unpack_archive(&path, folder.path()).is_err());
    }
}
