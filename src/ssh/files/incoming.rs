//! What there is on the machine to be fetched. All names are judged before the first file is.

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::get::DEEPEST;
use super::name::{Flaw, Unfit, leads_out, stays};
use super::{Entry, Files, copy, outgoing, path};
use crate::model::{Failure, FailureKind, Progress, Safe};
use crate::ssh::fault;

/// Folders that are listed at once.
const LISTED: usize = 8;
/// Names that we look at, in all.
const MOST: usize = 500_000;

/// Files and folders there, with their places here.
#[derive(Default)]
pub(super) struct Incoming {
    pub files: Vec<Fetching>,
    /// Those above come first.
    pub folders: Vec<Folder>,
    /// Links and devices, which are not fetched.
    pub left_out: Vec<Unfit>,
    /// What is not fetched either, for its name.
    pub unfit: Vec<Unfit>,
    names: usize,
}

/// A folder that files are fetched to.
pub(super) struct Folder {
    pub at: PathBuf,
    /// It lies below the one that the user named.
    pub below: bool,
    /// It gets all that is in a folder there.
    pub is_image: bool,
}

/// A file to be fetched.
pub(super) struct Fetching {
    pub from: String,
    pub to: PathBuf,
    pub about: Entry,
}

impl Files {
    /// Looks at what is to be fetched to `to`: of `folder/` what is in it, of `folder` itself. Links are followed where they are
    /// named, and left out in folders.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for what is neither file nor folder, or when two have the same place; `Refused` when a name would
    /// leave its folder, or stands there twice.
    pub(super) async fn incoming(&self, from: &[String], to: &Path, progress: &copy::Tell<'_>) -> Result<Incoming, Failure> {
        let mut found = Incoming::default();
        let taken = is_taken(to);
        let mut into = from.len() > 1 || to.is_dir() || path::is_inside(&to.to_string_lossy());
        for typed in from {
            let source = path::there(typed)?;
            let about = self.raw.stat(source.as_str()).await.map_err(|error| self.fail(&source, &error))?.attrs;
            let about = Entry::of(path::name(&source).to_owned(), &about);
            if about.is_folder {
                if taken {
                    return Err(in_the_way(to, &format!("{typed} on the instance is a folder")));
                }
                into = true;
                let root = if path::is_inside(typed) { to.to_owned() } else { to.join(&about.name) };
                self.walk(source, root, to, &mut found, progress).await?;
            } else if about.is_file && !path::is_inside(typed) {
                let to = if into { to.join(&about.name) } else { to.to_owned() };
                found.files.push(Fetching { from: source, to, about });
            } else {
                let what = format!(
                    "{typed} on the instance is {}",
                    if about.is_file { "not a folder" } else { "neither file nor folder" }
                );
                return Err(Failure::new(FailureKind::Invalid, what, "name a file or a folder"));
            }
        }
        if into && taken {
            return Err(in_the_way(to, "it cannot take in several"));
        }
        if into {
            found.folders.insert(0, Folder { at: to.to_owned(), below: false, is_image: false });
        }
        let mut places: Vec<&Path> = found.files.iter().map(|file| file.to.as_path()).collect();
        places.sort_unstable();
        if let Some(place) = outgoing::twice(&places) {
            let what = format!("two of the files would both be {}", place.display());
            return Err(Failure::new(FailureKind::Invalid, what, "copy them to folders of their own, one after the other"));
        }
        Ok(found)
    }

    /// A folder there with all that is in it, level by level.
    async fn walk(
        &self,
        source: String,
        root: PathBuf,
        named: &Path,
        found: &mut Incoming,
        progress: &copy::Tell<'_>,
    ) -> Result<(), Failure> {
        let mut level = vec![(source.clone(), root)];
        for _ in 0..=DEEPEST {
            progress(Progress { said: Safe::line(&format!("looking at {source}: {} names", found.names)), done: 0, total: 0 });
            let lists = level.into_iter().map(|(from, to)| async move { Ok::<_, Failure>((self.list(&from).await?, from, to)) });
            let lists: Vec<_> = lists.collect();
            let lists: Vec<_> = stream::iter(lists).buffered(LISTED).try_collect().await?;
            let mut below = Vec::new();
            for (entries, folder, place) in lists {
                found.names += entries.len();
                if found.names > MOST {
                    let what = format!("{source} has more than {MOST} files in it");
                    return Err(Failure::new(FailureKind::Quota, what, "pack it there (tar), and fetch that"));
                }
                found.folders.push(Folder { at: place.clone(), below: place != named, is_image: true });
                for about in entries {
                    // Seen to by `list`; a name is a path here, so it is seen to here, too.
                    if !stays(&about.name) {
                        return Err(leads_out(&folder, &about.name));
                    }
                    let (from, to) = (path::join(&folder, &about.name), place.join(&about.name));
                    let unfit = |flaw| Unfit { place: Safe::line(&fault::cut(Safe::line(&from).as_str())), flaw };
                    if let Some(flaw) = Flaw::of(&about.name) {
                        found.unfit.push(unfit(flaw));
                    } else if about.is_folder {
                        below.push((from, to));
                    } else if about.is_file {
                        found.files.push(Fetching { from, to, about });
                    } else {
                        found.left_out.push(unfit(Flaw::Special));
                    }
                }
            }
            if below.is_empty() {
                return Ok(());
            }
            level = below;
        }
        let what = format!("{source} is more than {DEEPEST} folders deep");
        Err(Failure::new(FailureKind::Refused, what, "pack it there (tar), and fetch that"))
    }
}

/// Whether something is here that is no folder.
fn is_taken(to: &Path) -> bool {
    // With a slash behind it a file is said not to be there.
    let bare: PathBuf = to.components().collect();
    fs::metadata(bare).is_ok_and(|about| !about.is_dir())
}

fn in_the_way(to: &Path, why: &str) -> Failure {
    let bare: PathBuf = to.components().collect();
    let what = format!("{} here is a file, and {why}", bare.display());
    Failure::new(FailureKind::Invalid, what, "name a folder to copy it into; one that is not there yet is made, if it ends in /")
}
