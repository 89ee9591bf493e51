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
use super::{Copied, Entry, Files, Lack, copy, get, hold, part, path, put};
use crate::model::{Failure, Safe};

/// Parts that are looked after at once.
const WATCHED: usize = 64;

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
pub(super) fn here(incoming: &mut Incoming, copied: &mut Copied, failed: &mut Vec<Lack>) {
    let mut busy = HashSet::new();
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
            match hold::remove(&folder.join(name)) {
                Some(removed) => copied.cleared += u64::from(removed),
                None => {
                    busy.extend(files.iter().filter(|file| is_part_of(name, name_here(&file.to))).map(|file| file.to.clone()));
                }
            }
        }
        if images.contains(folder) {
            copied.strays.extend(found.strays.iter().map(|name| Safe::line(&folder.join(name).to_string_lossy())));
        }
    }
    copied.strays.sort_unstable();
    incoming.files.retain(|file| {
        let free = !busy.contains(&file.to);
        if !free {
            let failure = hold::busy(&file.to.display().to_string(), "here");
            failed.push(Lack { place: Safe::line(&file.from), failure });
        }
        free
    });
}

/// Whether a part is one of the file with this name.
fn is_part_of(part: &str, name: &str) -> bool {
    part::parse(part).is_some_and(|(stem, _)| stem == part::stem(name))
}

fn name_here(place: &Path) -> &str {
    place.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Removes the parts of earlier states of one file here.
///
/// # Errors
/// `Conflict` when another copy is writing one of them.
pub(super) fn beside(local: &Path, name: &str, state: &str) -> Result<(), Failure> {
    let folder = get::above(local);
    let names: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    for stale in judge(names.iter().map(String::as_str), &[name], |name| name, |_| Some(state.to_owned())).stale {
        if hold::remove(&folder.join(stale)).is_none() {
            return Err(hold::busy(&local.display().to_string(), "here"));
        }
    }
    Ok(())
}

/// A file that is sent, and where to.
pub(super) struct Place<'a> {
    pub to: String,
    pub file: &'a Sending,
}

impl Files {
    /// Sees to the parts in the folders there that were there `before` and that files are sent to; those that take in a whole
    /// folder are `images`. Gives the places that another copy is writing another state of.
    pub(super) async fn tidy(
        &self,
        places: &[Place<'_>],
        before: &HashSet<String>,
        is_image: impl Fn(&str) -> bool,
        copied: &mut Copied,
    ) -> HashSet<String> {
        let mut stale = Vec::new();
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
            stale.extend(found.stale.into_iter().map(|name| {
                let of = files.iter().find(|place| is_part_of(&name, path::name(&place.to)));
                (path::join(folder, &name), of.map(|place| place.to.clone()))
            }));
            if is_image(folder) {
                copied.strays.extend(found.strays.iter().map(|name| Safe::line(&path::join(folder, name))));
            }
        }
        copied.strays.sort_unstable();
        // All that were changed just now are watched at once.
        let clearing = stale.into_iter().map(|(part, of)| async move {
            let written = match self.raw.lstat(part.as_str()).await {
                Ok(about) => self.is_written(&part, &about.attrs).await,
                Err(_) => false,
            };
            if written { of.ok_or(false) } else { Err(self.raw.remove(part).await.is_ok()) }
        });
        let clearing: Vec<_> = clearing.collect();
        let mut clearing = stream::iter(clearing).buffer_unordered(WATCHED);
        let mut busy = HashSet::new();
        while let Some(cleared) = clearing.next().await {
            match cleared {
                Ok(place) => {
                    busy.insert(place);
                }
                Err(removed) => copied.cleared += u64::from(removed),
            }
        }
        busy
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
