//! Archives of this machine, looked at before they are sent: what is no archive, or only a part of one, is told at once.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::model::{Failure, FailureKind};

/// What to do about one.
pub(super) const REMEDY: &str = "see that it was copied whole, and pack or download it again";

/// First bytes of what `.tar` is packed with: gzip (RFC 1952, 2.3.1), bzip2, xz (the .xz file format, 2.1.1.1).
const PACKED: &[(&[&str], &[u8])] =
    &[(&[".tar.gz", ".tgz"], b"\x1f\x8b"), (&[".tar.bz2"], b"BZh"), (&[".tar.xz"], b"\xfd7zXZ\0")];

/// Looks whether a file is what its name says: the directory at a .zip's end, the head of a packed .tar.
///
/// # Errors
/// `Invalid` when it is not, or cannot be read.
pub(super) fn look(path: &Path) -> Result<(), Failure> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let sound = if Path::new(&name).extension().is_some_and(|ending| ending == "zip") {
        zipped(path)
    } else if let Some((_, head)) = PACKED.iter().find(|(endings, _)| endings.iter().any(|ending| name.ends_with(ending))) {
        begins(path, head)
    } else {
        Ok(true)
    };
    match sound {
        Ok(true) => Ok(()),
        Ok(false) => {
            Err(Failure::new(FailureKind::Invalid, incomplete(&path.file_name().unwrap_or_default().to_string_lossy()), REMEDY))
        }
        Err(error) => {
            Err(Failure::new(FailureKind::Invalid, format!("data: {}: {error}", path.display()), "see that it can be read"))
        }
    }
}

/// What is said of one.
pub(super) fn incomplete(named: &str) -> String {
    format!("data: {named} is no complete .zip or .tar.gz")
}

fn zipped(path: &Path) -> io::Result<bool> {
    match zip::ZipArchive::new(BufReader::new(File::open(path)?)) {
        Ok(_) => Ok(true),
        Err(zip::result::ZipError::Io(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Err(_) => Ok(false),
    }
}

fn begins(path: &Path, head: &[u8]) -> io::Result<bool> {
    let mut first = Vec::new();
    File::open(path)?.take(head.len() as u64).read_to_end(&mut first)?;
    Ok(first == head)
}
