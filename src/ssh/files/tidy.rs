//! Parts that no copy will continue.
//!
//! What is called as a part of a file that is copied now, and of another state of it, is ours and of no use: it is removed, before
//! the copy, as it may hold the room that this one needs. The part of a file that is not in this copy may be of a copy from
//! elsewhere, or no part at all: it is only told, and only where a whole folder is copied. What has such a name where it comes
//! from is a file as any other.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use futures_util::stream::{self, StreamExt};

use super::copy::PARALLEL;
use super::incoming::{Fetching, Incoming};
use super::outgoing::Sending;
use super::{Copied, Entry, Files, copy, get, part, path, put};
use crate::model::Safe;

/// What there is of parts in one folder.
#[derive(Default)]
struct Found {
    stale: Vec<String>,
    strays: Vec<String>,
}

/// Judges the names in a folder into which these files are copied; `state` says in which state a file will be continued, if
/// it will be.
fn judge<'a, F>(
    names: impl Iterator<Item = &'a str>,
    files: &[F],
    name_of: impl Fn(&F) -> &str,
    state: impl Fn(&F) -> Option<String>,
) -> Found {
    let mut found = Found::default();
    // Seldom are there any.
    let parts: Vec<_> = names.filter_map(|name| part::parse(name).map(|(stem, now)| (name, stem, now))).collect();
    if parts.is_empty() {
        return found;
    }
    let copied: HashSet<&str> = files.iter().map(&name_of).collect();
    let stems: HashMap<_, &F> = files.iter().map(|file| (part::stem(name_of(file)), file)).collect();
    for (name, stem, now) in parts {
        match stems.get(stem) {
            _ if copied.contains(name) => {}
            None => found.strays.push(name.to_owned()),
            Some(file) if state(file).as_deref() == Some(now) => {}
            Some(_) => found.stale.push(name.to_owned()),
        }
    }
    found
}

/// Sees to the parts in the folders here that files are fetched to.
pub(super) fn here(incoming: &Incoming, copied: &mut Copied) {
    let mut folders: HashMap<&Path, Vec<&Fetching>> =
        incoming.folders.iter().filter(|folder| folder.is_image).map(|folder| (folder.at.as_path(), Vec::new())).collect();
    let images: HashSet<&Path> = folders.keys().copied().collect();
    for file in &incoming.files {
        folders.entry(get::above(&file.to)).or_default().push(file);
    }
    for (folder, files) in folders {
        let names: Vec<_> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        let state = |file: &&Fetching| (!copy::is_unchanged(file)).then(|| get::state(file.about.size, file.about.modified));
        let found = judge(names.iter().map(String::as_str), &files, |file| name_here(&file.to), state);
        for name in &found.stale {
            copied.cleared += u64::from(fs::remove_file(folder.join(name)).is_ok());
        }
        if images.contains(folder) {
            copied.strays.extend(found.strays.iter().map(|name| Safe::line(&folder.join(name).to_string_lossy())));
        }
    }
    copied.strays.sort_unstable();
}

fn name_here(place: &Path) -> &str {
    place.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Removes the parts of earlier states of one file here.
pub(super) fn beside(local: &Path, name: &str, state: &str) {
    let folder = get::above(local);
    let names: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    for stale in judge(names.iter().map(String::as_str), &[name], |name| name, |_| Some(state.to_owned())).stale {
        let _ = fs::remove_file(folder.join(stale));
    }
}

/// A file that is sent, and where to.
pub(super) struct Place<'a> {
    pub to: String,
    pub file: &'a Sending,
}

impl Files {
    /// Sees to the parts in the folders there that were there `before` and that files are sent to; those that take in a whole
    /// folder are `images`.
    pub(super) async fn tidy(
        &self,
        places: &[Place<'_>],
        before: &HashSet<String>,
        is_image: impl Fn(&str) -> bool,
        copied: &mut Copied,
    ) {
        let mut folders: HashMap<&str, Vec<&Place<'_>>> = before.iter().map(|folder| (folder.as_str(), Vec::new())).collect();
        for place in places {
            if let Some(files) = folders.get_mut(path::above(&place.to)) {
                files.push(place);
            }
        }
        let looks = folders.iter().filter(|(folder, files)| is_image(folder) || !files.is_empty());
        let looks: Vec<_> = looks.map(|(folder, files)| async move { (*folder, files, self.list(folder).await) }).collect();
        let mut looks = stream::iter(looks).buffer_unordered(PARALLEL);
        while let Some((folder, files, listed)) = looks.next().await {
            // A folder that cannot be looked at is not tidied; whether it can be written to is seen soon enough.
            let Ok(entries) = listed else { continue };
            let found = there(&entries, files);
            for name in &found.stale {
                copied.cleared += u64::from(self.raw.remove(path::join(folder, name)).await.is_ok());
            }
            if is_image(folder) {
                copied.strays.extend(found.strays.iter().map(|name| Safe::line(&path::join(folder, name))));
            }
        }
        copied.strays.sort_unstable();
    }
}

/// Judges what is in a folder there. One that is complete has no part to be continued.
fn there(entries: &[Entry], files: &[&Place<'_>]) -> Found {
    let names = entries.iter().filter(|entry| entry.is_file).map(|entry| entry.name.as_str());
    let state = |place: &&Place<'_>| {
        let about = fs::metadata(&place.file.from).ok()?;
        let is_same = |entry: &Entry| (entry.size, Some(entry.modified)) == (about.len(), put::modified(&about).map(u64::from));
        let at = entries.binary_search_by(|entry| entry.name.as_str().cmp(path::name(&place.to)));
        let is_complete = at.ok().and_then(|at| entries.get(at)).is_some_and(is_same);
        (!is_complete).then(|| put::state(&about))
    };
    judge(names, files, |place| path::name(&place.to), state)
}
