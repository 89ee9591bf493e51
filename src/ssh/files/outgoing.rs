//! What there is here to be sent.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::get::DEEPEST;
use super::name::{Flaw, Unfit};
use super::path;
use crate::model::{Failure, FailureKind, Safe};

/// Files and folders here that would be sent, by their places below the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    pub files: Vec<Sending>,
    /// Those above come first.
    pub folders: Vec<String>,
    /// Links and devices, which are not sent.
    pub left_out: Vec<Unfit>,
    /// What is not sent either, for its name.
    pub unfit: Vec<Unfit>,
    /// All of it is one file that was named itself: it can be given another name.
    pub single: bool,
    /// What is in a folder goes into the target itself.
    pub inside: bool,
}

/// A file to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    pub from: PathBuf,
    /// Relative to the target.
    pub to: String,
    /// Bytes.
    pub size: u64,
}

impl Outgoing {
    /// All that would be sent.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }
}

/// Looks at files and folders here: of `folder/` what is in it, of `folder` itself. Links are followed where they are named,
/// and left out in folders.
///
/// # Errors
/// `Invalid` when one of them is not there, cannot be read, or two would have the same place.
pub fn look(from: &[PathBuf]) -> Result<Outgoing, Failure> {
    let mut found = Outgoing::default();
    for source in from {
        let about = fs::metadata(source).map_err(|error| unreadable(source, &error))?;
        let typed = source.to_string_lossy();
        if about.is_dir() {
            let base = if path::is_inside(&typed) { String::new() } else { name_of(source)? };
            found.inside |= base.is_empty();
            walk(source, base, &mut found)?;
        } else if about.is_file() {
            found.files.push(Sending { from: source.clone(), to: name_of(source)?, size: about.len() });
            found.single = from.len() == 1;
        } else {
            let what = format!("{} is neither file nor folder", source.display());
            return Err(Failure::new(FailureKind::Invalid, what, "name a file or a folder"));
        }
    }
    let mut places: Vec<&str> = found.files.iter().map(|file| file.to.as_str()).collect();
    places.sort_unstable();
    if let Some(place) = twice(&places) {
        let what = format!("two of the files would both be {place} there");
        return Err(Failure::new(FailureKind::Invalid, what, "copy them to folders of their own, one after the other"));
    }
    Ok(found)
}

fn walk(root: &Path, base: String, found: &mut Outgoing) -> Result<(), Failure> {
    let mut level = vec![(root.to_owned(), base)];
    for _ in 0..=DEEPEST {
        let mut below = Vec::new();
        for (folder, place) in level {
            if !place.is_empty() {
                found.folders.push(place.clone());
            }
            let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let mut entries = entries.map_err(|error| unreadable(&folder, &error))?;
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let from = entry.path();
                let about = entry.metadata().map_err(|error| unreadable(&from, &error))?;
                // What is not UTF-8 has a mark that says so in it then.
                let name = entry.file_name().to_string_lossy().into_owned();
                if let Some(flaw) = Flaw::of(&name) {
                    found.unfit.push(Unfit { place: Safe::bytes(from.as_os_str().as_encoded_bytes()), flaw });
                    continue;
                }
                let to = if place.is_empty() { name } else { path::join(&place, &name) };
                if about.is_dir() {
                    below.push((from, to));
                } else if about.is_file() {
                    found.files.push(Sending { from, to, size: about.len() });
                } else {
                    found.left_out.push(Unfit { place: Safe::bytes(from.as_os_str().as_encoded_bytes()), flaw: Flaw::Special });
                }
            }
        }
        if below.is_empty() {
            return Ok(());
        }
        level = below;
    }
    let what = format!("{} is more than {DEEPEST} folders deep", root.display());
    Err(Failure::new(FailureKind::Invalid, what, "pack it (tar), and copy that"))
}

/// What stands twice in a sorted list.
pub(super) fn twice<T: PartialEq + Copy>(sorted: &[T]) -> Option<T> {
    sorted.windows(2).find_map(|two| if let [one, next] = two { (one == next).then_some(*one) } else { None })
}

/// What a file or folder here is called, links not followed.
fn name_of(source: &Path) -> Result<String, Failure> {
    let name = source.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        let what = format!("the name of {} is not UTF-8", source.display());
        Failure::new(FailureKind::Invalid, what, "rename it, or pack it (tar)")
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let what = match error.kind() {
        io::ErrorKind::NotFound => format!("there is no {} here", path.display()),
        _ => format!("{} cannot be read: {error}", path.display()),
    };
    Failure::new(FailureKind::Invalid, what, "name files and folders that are there and that you may read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_name_or_what_is_in_it_and_links_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("data");
        fs::create_dir_all(folder.join("deep")).unwrap();
        fs::write(folder.join("deep/a"), "12").unwrap();
        std::os::unix::fs::symlink("/etc", folder.join("link")).unwrap();
        let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9");
        fs::write(folder.join(odd), "1").unwrap();
        let places = |found: &Outgoing| found.files.iter().map(|file| file.to.clone()).collect::<Vec<_>>();
        let named = look(std::slice::from_ref(&folder)).unwrap();
        assert_eq!(
            (places(&named), named.folders.clone()),
            (vec!["data/deep/a".into()], vec!["data".into(), "data/deep".into()])
        );
        assert_eq!((named.left_out.len(), named.unfit.len(), named.bytes(), named.single), (1, 1, 2, false));
        let inside = look(&[root.path().join("data/")]).unwrap();
        assert_eq!((places(&inside), inside.folders), (vec!["deep/a".into()], vec!["deep".into()]));
        let file = look(&[folder.join("deep/a")]).unwrap();
        assert!(file.single && places(&file) == ["a"]);
        fs::write(root.path().join("a"), "").unwrap();
        let two = look(&[folder.join("deep/a"), root.path().join("a")]).unwrap_err();
        assert!(two.what.as_str().contains("both be a"), "{two}");
        assert_eq!(look(&[root.path().join("none")]).unwrap_err().kind, FailureKind::Invalid);
    }
}
