//! Files and folders both ways, as `rsync -r --times` does it: a folder goes into the target under its name, what is in
//! `folder/` without; what is there already with the same size and time of change is left as it is; so the same copy again goes
//! on where the first one broke off.

use std::collections::HashSet;
use std::fs;
use std::future::Future;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use futures_util::stream::{self, StreamExt};

use super::incoming::Fetching;
use super::outgoing::{self, Outgoing};
use super::put::executable;
use super::tidy::{self, Place};
use super::told::{Copied, Lack};
use super::{Files, TELL, get, hold, is_folder, path};
use crate::model::{Failure, FailureKind, Meter, Progress, Safe};

/// Files on their way at once: small ones are a matter of round trips.
pub(super) const PARALLEL: usize = 16;
/// Characters of a file's name that are shown, its end.
const SHOWN: usize = 28;

/// How far it has come.
pub(super) type Tell<'a> = dyn Fn(Progress) + Send + Sync + 'a;

impl Files {
    /// Sends files and folders to `to`, as users write it: `~` is the home folder. It is a folder, made if it is missing, when
    /// it ends in `/`, is one already, or is to have several files; else the name that the one file gets.
    ///
    /// # Errors
    /// `Invalid` when something named is not there, `NotFound` when there is no folder for the file; as [`Files::put`]. A file
    /// that cannot be read or is changed meanwhile does not hold up the others: that is told in the end.
    pub async fn send_all(&self, from: Vec<PathBuf>, to: &str, progress: &Tell<'_>) -> Result<Copied, Failure> {
        self.send_most(from, to, progress).await?.whole()
    }

    /// As [`Files::send_all`], where it is no error that a file or folder could not be copied: see [`Copied::failed`].
    ///
    /// # Errors
    /// As [`Files::send_all`], of what ends the whole copy.
    pub async fn send_most(&self, from: Vec<PathBuf>, to: &str, progress: &Tell<'_>) -> Result<Copied, Failure> {
        let named = from.clone();
        let looked = tokio::task::spawn_blocking(move || outgoing::look(&from)).await;
        let found =
            looked.map_err(|error| Failure::new(FailureKind::Machine, format!("looking at the files: {error}"), ""))??;
        let target = path::there(to)?;
        let there = self.raw.stat(target.as_str()).await.ok().map(|there| is_folder(&there.attrs));
        let into = !found.single || path::is_inside(to) || there == Some(true);
        if into && there == Some(false) {
            return Err(in_the_way(&target, &named, &found));
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
        let mut before: HashSet<String> = HashSet::new();
        if there == Some(true) || !into {
            before.insert(if into { target.clone() } else { path::above(&target).to_owned() });
        }
        let (mut lacking, mut failed) = (Lacking::default(), Vec::new());
        // Those of one level at once, and all of a level before those below.
        for level in found.folders.chunk_by(|a, b| depth(a) == depth(b)) {
            let level = level.iter().filter(|folder| !lacking.has(Path::new(folder)));
            let level = level.map(|folder| (folder, path::join(&target, folder)));
            let making: Vec<_> = level.map(|(folder, at)| async move { (folder, self.make(&at).await, at) }).collect();
            let made: Vec<_> = stream::iter(making).buffered(PARALLEL).collect().await;
            for (folder, made, at) in made {
                match made {
                    Ok(true) => {}
                    Ok(false) => {
                        before.insert(at);
                    }
                    Err(failure) if is_its_own(failure.kind) => {
                        failed.push(Lack { place: Safe::line(&at), failure });
                        lacking.0.insert(PathBuf::from(folder));
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
        let kept = found.files.iter().filter(|file| !lacking.has(Path::new(&file.to)));
        let to = |to: &str| if into { path::join(&target, to) } else { target.clone() };
        let mut places: Vec<Place<'_>> = kept.map(|file| Place { to: to(&file.to), file }).collect();
        let mut copied = Copied { left_out: found.left_out, ..Copied::default() };
        let is_image = |folder: &str| found.inside || (into && !found.folders.is_empty() && folder != target);
        let busy = self.tidy(&places, &before, is_image, &mut copied).await;
        for Place { to, file } in places.extract_if(.., |place| busy.contains(&place.to)) {
            failed.push(Lack { place: Safe::line(&file.from.to_string_lossy()), failure: hold::busy(&to, "on the instance") });
        }
        let meter = Meter::new(places.len() as u64, places.iter().map(|place| place.file.size).sum());
        let name = Mutex::default();
        let work = places.iter().map(|place| self.send_one(place, Counts { meter: &meter, name: &name, before: None }));
        failed.extend(each(work.collect(), true, &meter, &name, progress).await?);
        Ok(Copied { done: meter.done(), unfit: found.unfit, failed, ..copied })
    }

    /// Fetches files and folders to `to`, which is a folder, made if it is missing, when it ends in `/`, is one already, or is to
    /// have several files; else the name that the one file gets.
    ///
    /// # Errors
    /// `NotFound` when something named is not there; `Refused` when a name there, or a link here, would lead out of the target;
    /// as [`Files::get`]. A file that may not be read or is changed meanwhile does not hold up the others: that is told in the
    /// end.
    pub async fn fetch_all(&self, from: &[String], to: &Path, progress: &Tell<'_>) -> Result<Copied, Failure> {
        self.fetch_most(from, to, progress).await?.whole()
    }

    /// As [`Files::fetch_all`], where it is no error that a file or folder could not be copied: see [`Copied::failed`].
    ///
    /// # Errors
    /// As [`Files::fetch_all`], of what ends the whole copy.
    pub async fn fetch_most(&self, from: &[String], to: &Path, progress: &Tell<'_>) -> Result<Copied, Failure> {
        let mut found = self.incoming(from, to, progress).await?;
        let (mut lacking, mut failed) = (Lacking::default(), Vec::new());
        for folder in &found.folders {
            if lacking.has(&folder.at) {
                continue;
            }
            match get::make_folder(&folder.at, folder.below) {
                Err(failure) if folder.below && is_its_own(failure.kind) => {
                    failed.push(Lack { place: Safe::line(&folder.at.to_string_lossy()), failure });
                    lacking.0.insert(folder.at.clone());
                }
                made => made?,
            }
        }
        found.files.retain(|file| !lacking.has(&file.to));
        let mut copied = Copied { left_out: std::mem::take(&mut found.left_out), ..Copied::default() };
        tidy::here(&mut found, &mut copied, &mut failed);
        let meter = Meter::new(found.files.len() as u64, found.files.iter().map(|file| file.about.size).sum());
        let name = Mutex::default();
        let work = found.files.iter().map(|file| self.fetch_one(file, Counts { meter: &meter, name: &name, before: None }));
        failed.extend(each(work.collect(), false, &meter, &name, progress).await?);
        Ok(Copied { done: meter.done(), unfit: found.unfit, failed, ..copied })
    }

    async fn send_one(&self, Place { to, file }: &Place<'_>, mut counts: Counts<'_>) -> Result<(), Lack> {
        let sent = self.put_told(&file.from, to, true, &mut |done, _| counts.note(&file.to, done)).await;
        let lack = |failure| Lack { place: Safe::line(&file.from.to_string_lossy()), failure };
        match sent.map_err(lack)? {
            Some(_) => counts.meter.sent(0, true),
            None => counts.meter.unchanged(file.size),
        }
        Ok(())
    }

    async fn fetch_one(&self, file: &Fetching, mut counts: Counts<'_>) -> Result<(), Lack> {
        if is_unchanged(file) {
            counts.meter.unchanged(file.about.size);
            return Ok(());
        }
        let got = self.get_told(&file.from, &file.to, false, &mut |done, _| counts.note(&file.about.name, done)).await;
        got.map_err(|failure| Lack { place: Safe::line(&file.from), failure })?;
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

/// Folders that could not be made.
#[derive(Default)]
struct Lacking(HashSet<PathBuf>);

impl Lacking {
    /// Whether it is one of them, or below one.
    fn has(&self, path: &Path) -> bool {
        !self.0.is_empty() && path.ancestors().any(|above| self.0.contains(above))
    }
}

/// What is sent cannot go where a file is.
fn in_the_way(target: &str, from: &[PathBuf], found: &Outgoing) -> Failure {
    let why = match from {
        [folder] if !found.single => format!("{} here is a folder", folder.display()),
        [_] => "no folder, as the / behind it says".to_owned(),
        _ => "it cannot take in several".to_owned(),
    };
    let what = format!("{target} on the instance is a file, and {why}");
    Failure::new(FailureKind::Invalid, what, "name a folder to copy it into; one that is not there yet is made, if it ends in /")
}

fn depth(folder: &str) -> usize {
    folder.matches('/').count()
}

/// Size and time of change are those of the one there. Whether it may be executed is seen to.
pub(super) fn is_unchanged(file: &Fetching) -> bool {
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
async fn each<F>(work: Vec<F>, tidy: bool, meter: &Meter, name: &Mutex<String>, progress: &Tell<'_>) -> Result<Vec<Lack>, Failure>
where
    F: Future<Output = Result<(), Lack>> + Send,
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
                Some(Err(lack)) if is_its_own(lack.failure.kind) => failed.push(lack),
                Some(Err(lack)) if tidy => {
                    stop.store(true, Ordering::Relaxed);
                    fatal = fatal.or(Some(lack.failure));
                }
                Some(Err(lack)) => return Err(lack.failure),
                Some(Ok(())) => {}
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
