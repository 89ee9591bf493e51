//! Files and folders both ways, as `rsync -r --times` does it: a folder goes into the target under its name, what is in
//! `folder/` without; what is there already with the same size and time of change is left as it is; so the same copy again goes
//! on where the first one broke off.

use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::incoming::Fetching;
use super::outgoing::{self, Sending};
use super::put::executable;
use super::{Files, TELL, get, is_folder, path};
use crate::model::{Done, Failure, FailureKind, Meter, Progress, Safe, show};

/// Files on their way at once: small ones are a matter of round trips.
const PARALLEL: usize = 16;
/// Characters of a file's name that are shown, its end.
const SHOWN: usize = 28;

/// How far it has come.
pub(super) type Tell<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// What came of a copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub done: Done,
    /// Links and devices.
    pub left_out: u64,
}

impl Copied {
    /// In words, e.g. `copied 12 files (3.4 MB); 5 were there already`.
    #[must_use]
    pub fn told(&self) -> String {
        let Done { sent, bytes, unchanged, continued } = self.done;
        let files = |count: u64| format!("{} file{}", show::grouped(count), if count == 1 { "" } else { "s" });
        let mut said = format!("copied {}", files(sent));
        if sent > 0 {
            said.extend([" (", &show::size(bytes), ")"]);
        }
        if continued > 0 {
            said.extend([", ", &show::grouped(continued), " of them continued where it had broken off"]);
        }
        if unchanged > 0 {
            said.extend(["; ", &files(unchanged), if unchanged == 1 { " was" } else { " were" }, " there already"]);
        }
        if self.left_out > 0 {
            said.extend(["; left out ", &show::grouped(self.left_out), " that are links or devices"]);
        }
        said
    }
}

impl Files {
    /// Sends files and folders to `to`, as users write it: `~` is the home folder. It is a folder, made if it is missing, when
    /// it ends in `/`, is one already, or is to have several files; else the name that the one file gets.
    ///
    /// # Errors
    /// `Invalid` when something named is not there, `NotFound` when there is no folder for the file; as [`Files::put`]. A file
    /// that cannot be read or is changed meanwhile does not hold up the others: that is told in the end.
    pub async fn send_all(&self, from: Vec<PathBuf>, to: &str, progress: &Tell<'_>) -> Result<Copied, Failure> {
        let looked = tokio::task::spawn_blocking(move || outgoing::look(&from)).await;
        let found =
            looked.map_err(|error| Failure::new(FailureKind::Machine, format!("looking at the files: {error}"), ""))??;
        let target = path::there(to)?;
        let there = self.raw.stat(target.as_str()).await.ok().map(|there| is_folder(&there.attrs));
        let into = !found.single || path::is_inside(to) || there == Some(true);
        if into && there == Some(false) {
            let what = format!("{to} on the instance is no folder");
            return Err(Failure::new(FailureKind::Invalid, what, "name another one"));
        }
        if into && there.is_none() {
            self.mkdir_all(&target).await?;
        }
        if !into && there.is_none() && self.raw.stat(path::above(&target)).await.is_err() {
            let what = format!("there is no folder {} on the instance", path::above(&target));
            return Err(Failure::new(
                FailureKind::NotFound,
                what,
                "to have a folder made and the file put into it, end the target with /",
            ));
        }
        // Those of one level at once, and all of a level before those below.
        for level in found.folders.chunk_by(|a, b| depth(a) == depth(b)) {
            let made =
                level.iter().map(|folder| path::join(&target, folder)).map(|folder| async move { self.mkdir(&folder).await });
            let made: Vec<_> = made.collect();
            stream::iter(made).buffered(PARALLEL).try_collect::<Vec<()>>().await?;
        }
        let meter = Meter::new(found.files.len() as u64, found.bytes());
        let name = Mutex::default();
        let work = found.files.iter().map(|file| {
            let to = if into { path::join(&target, &file.to) } else { target.clone() };
            self.send_one(file, to, Counts { meter: &meter, name: &name, before: None })
        });
        let failed = each(work.collect(), true, &meter, &name, progress).await?;
        finish(Copied { done: meter.done(), left_out: found.left_out }, failed, &found.unnamed)
    }

    /// Fetches files and folders to `to`, which is a folder, made if it is missing, when it ends in `/`, is one already, or is to
    /// have several files; else the name that the one file gets.
    ///
    /// # Errors
    /// `NotFound` when something named is not there; `Refused` when a name there, or a link here, would lead out of the target;
    /// as [`Files::get`]. A file that may not be read or is changed meanwhile does not hold up the others: that is told in the
    /// end.
    pub async fn fetch_all(&self, from: &[String], to: &Path, progress: &Tell<'_>) -> Result<Copied, Failure> {
        let found = self.incoming(from, to, progress).await?;
        for (folder, below) in &found.folders {
            get::make_folder(folder, *below)?;
        }
        let meter = Meter::new(found.files.len() as u64, found.files.iter().map(|file| file.about.size).sum());
        let name = Mutex::default();
        let work = found.files.iter().map(|file| self.fetch_one(file, Counts { meter: &meter, name: &name, before: None }));
        let failed = each(work.collect(), false, &meter, &name, progress).await?;
        finish(Copied { done: meter.done(), left_out: found.left_out }, failed, &found.unnamed)
    }

    async fn send_one(&self, file: &Sending, to: String, mut counts: Counts<'_>) -> Result<(), Failure> {
        let sent = self.put_told(&file.from, &to, true, &mut |done, _| counts.note(&file.to, done)).await?;
        match sent {
            Some(_) => counts.meter.sent(0, true),
            None => counts.meter.unchanged(file.size),
        }
        Ok(())
    }

    async fn fetch_one(&self, file: &Fetching, mut counts: Counts<'_>) -> Result<(), Failure> {
        if is_unchanged(file) {
            counts.meter.unchanged(file.about.size);
            return Ok(());
        }
        self.get_told(&file.from, &file.to, &mut |done, _| counts.note(&file.about.name, done)).await?;
        counts.meter.sent(0, true);
        Ok(())
    }

    /// Makes a folder with all that are missing above it.
    async fn mkdir_all(&self, folder: &str) -> Result<(), Failure> {
        let ends = folder.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([folder.len()]);
        for part in ends.map(|end| &folder[..end]) {
            if self.raw.stat(part).await.is_err() {
                self.mkdir(part).await?;
            }
        }
        Ok(())
    }
}

fn depth(folder: &str) -> usize {
    folder.matches('/').count()
}

/// Size and time of change are those of the one there. Whether it may be executed is seen to.
fn is_unchanged(file: &Fetching) -> bool {
    let Ok(here) = fs::symlink_metadata(&file.to) else { return false };
    let modified = i64::try_from(file.about.modified).ok().filter(|modified| *modified > 0);
    if !here.is_file() || here.len() != file.about.size || Some(here.mtime()) != modified {
        return false;
    }
    match file.about.mode.and_then(|mode| executable(here.permissions().mode() & 0o777, mode)) {
        Some(wanted) => fs::set_permissions(&file.to, fs::Permissions::from_mode(wanted)).is_ok(),
        None => true,
    }
}

/// Counts what comes of one file.
struct Counts<'a> {
    meter: &'a Meter,
    /// The file that was heard of last.
    name: &'a Mutex<String>,
    before: Option<u64>,
}

impl Counts<'_> {
    fn note(&mut self, name: &str, done: u64) {
        match self.before.replace(done) {
            Some(before) => self.meter.sent(done.saturating_sub(before), false),
            None if done > 0 => {
                self.meter.kept(done);
                self.meter.continued();
            }
            None => {}
        }
        let mut shown = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        shown.clear();
        let over = name.chars().count().saturating_sub(SHOWN);
        if over > 0 {
            shown.push('…');
        }
        shown.extend(name.chars().skip(over));
    }
}

/// Does all of them, several at once. What is wrong with one file only is gathered; anything else ends it. What is on its way
/// then is waited for where each is `tidy`: of a file that was sent to a full disk its end may be there without its middle, and
/// whoever sends it has to take that away.
async fn each<F>(
    work: Vec<F>,
    tidy: bool,
    meter: &Meter,
    name: &Mutex<String>,
    progress: &Tell<'_>,
) -> Result<Vec<Failure>, Failure>
where
    F: Future<Output = Result<(), Failure>> + Send,
{
    let tell = || {
        let name = name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        progress(meter.tell_of(&name, Instant::now()));
    };
    let stop = AtomicBool::new(false);
    let begun = work.into_iter().take_while(|_| !stop.load(Ordering::Relaxed));
    let mut at_work = stream::iter(begun).buffer_unordered(PARALLEL);
    let mut tick = tokio::time::interval(TELL);
    let (mut failed, mut fatal) = (Vec::new(), None);
    loop {
        tokio::select! {
            ended = at_work.next() => match ended {
                Some(Err(failure)) if is_its_own(failure.kind) => failed.push(failure),
                Some(Err(failure)) if tidy => {
                    stop.store(true, Ordering::Relaxed);
                    fatal = fatal.or(Some(failure));
                }
                Some(done) => done?,
                None => break,
            },
            _ = tick.tick() => tell(),
        }
    }
    tell();
    fatal.map_or(Ok(failed), Err)
}

/// What is wrong with one file, and not with the line or the disk.
fn is_its_own(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Conflict | FailureKind::NotFound | FailureKind::Denied | FailureKind::Invalid)
}

/// What is said in the end: of what could not be copied, that the rest was.
fn finish(copied: Copied, failed: Vec<Failure>, unnamed: &[Safe]) -> Result<Copied, Failure> {
    let more = |count: usize| if count > 1 { format!(", and {} more", count - 1) } else { String::new() };
    let single = copied.done == Done::default() && failed.len() == 1;
    let count = failed.len();
    match (failed.into_iter().next(), unnamed.first()) {
        (Some(first), _) if single => Err(first),
        (Some(first), _) => {
            let what = format!("{}{}; all else is there: {}", first.what, more(count), copied.told());
            Err(Failure::new(first.kind, what, first.hint))
        }
        (None, Some(name)) => {
            let what = format!(
                "left out, for its name is not UTF-8: {name}{}; all else is there: {}",
                more(unnamed.len()),
                copied.told()
            );
            Err(Failure::new(FailureKind::Service, what, "rename it, or pack the folder (tar) and copy that"))
        }
        (None, None) => Ok(copied),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_is_said_in_words() {
        let copied = |sent, bytes, unchanged, continued, left_out| {
            Copied { done: Done { sent, bytes, unchanged, continued }, left_out }.told()
        };
        assert_eq!(copied(1, 5, 0, 0, 0), "copied 1 file (5 B)");
        assert_eq!(copied(0, 0, 1, 0, 2), "copied 0 files; 1 file was there already; left out 2 that are links or devices");
        assert_eq!(
            copied(1200, 4_000_000, 3, 1, 0),
            "copied 1,200 files (4.0 MB), 1 of them continued where it had broken off; 3 files were there already"
        );
    }
}
