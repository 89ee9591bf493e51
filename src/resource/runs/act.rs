//! What is done with runs that are there: stopped, deleted, fetched.

use std::path::Path;

use super::data::counted;
use super::launch::note;
use super::place::{Place, stays_inside};
use super::record::{Standing, Step};
use super::survey::{self, How};
use crate::aws::Aws;
use crate::model::{Failure, FailureKind, Form, ItemId, Outcome, Progress, Recipe, Safe};
use crate::resource::line::{failed, line};

/// Seconds that a script has to save what it has, before it is killed.
const GRACE: &str = "20";

/// Ends them; one that cannot be ended does not keep the others running.
pub(super) async fn stop(aws: &Aws, targets: &[ItemId]) -> Result<Outcome, Failure> {
    let mut said = Vec::new();
    let mut first = None;
    for target in targets {
        match stop_one(aws, target).await {
            Ok(how) => said.push(how),
            Err(failure) => first = first.or(Some(failure)),
        }
    }
    match first {
        Some(failure) if said.is_empty() => Err(failure),
        Some(failure) => Err(Failure::new(failure.kind, format!("{}; {}", said.join(", "), failure.what), &failure.hint)),
        None => Ok(Outcome::Said(Safe::line(&said.join(", ")))),
    }
}

async fn stop_one(aws: &Aws, target: &ItemId) -> Result<String, Failure> {
    let place = Place::parse(target)?;
    let line = line(aws, &place.instance).await?;
    let ran = line.script(include_str!("scripts/stop.sh"), &[&place.name, GRACE], None).await?;
    let name = &place.name;
    match (ran.status, String::from_utf8_lossy(&ran.out).trim()) {
        (Some(0), "over") => Ok(format!("{name} was over already")),
        (Some(0), "idle") => Ok(format!("{name} had not started")),
        (Some(0), "killed") => Ok(format!("{name} did not end within {GRACE} s and was killed")),
        (Some(0), _) => Ok(format!("{name} stopped")),
        (Some(9), _) => Err(Failure::new(FailureKind::NotFound, format!("there is no run {name} on this instance"), "")),
        (Some(10), _) => {
            let hint = "its processes wait for the disk or the GPU; a reboot of the instance ends them";
            Err(Failure::new(FailureKind::Timeout, format!("{name} does not end, even killed"), hint))
        }
        _ => Err(failed(&format!("stopping {name}"), &ran)),
    }
}

/// Deletes folders of runs that are over. Data that runs share stays.
pub(super) async fn delete(aws: &Aws, targets: &[ItemId]) -> Result<Outcome, Failure> {
    for target in targets {
        let place = Place::parse(target)?;
        let line = line(aws, &place.instance).await?;
        let run = survey::one(&line, &place.name).await?;
        if run.standing.is_live() {
            let what = format!("{} is {}", place.name, run.standing.state().word);
            return Err(Failure::new(FailureKind::Conflict, what, "stop it first"));
        }
        // Out of the list in one step; what is linked into it is not followed.
        let script = "cd \"$HOME/footplate/runs\" && mv \"$1\" \".$1.gone\" && rm -rf \".$1.gone\"";
        line.told(&format!("deleting {}", place.name), script, &[&place.name], None).await?;
    }
    let said = match targets {
        [one] => format!("deleted {}", one.as_str()),
        more => format!("deleted {} runs", more.len()),
    };
    Ok(Outcome::Said(Safe::line(&said)))
}

/// Fetches what the runs were to make, and their logs.
pub(super) async fn download(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    targets: &[ItemId],
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    let targets = if targets.is_empty() { form.parent.iter().cloned().collect() } else { targets.to_vec() };
    let mut said = Vec::new();
    for target in &targets {
        let place = Place::parse(target)?;
        let mut folder = recipe.root.join(form.value("folder").trim());
        if targets.len() > 1 {
            folder.push(&place.name);
        }
        said.push(fetch(aws, &place, &folder, progress).await?);
    }
    Ok(Outcome::Said(Safe::line(&said.join("; "))))
}

async fn fetch(aws: &Aws, place: &Place, folder: &Path, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<String, Failure> {
    let line = line(aws, &place.instance).await?;
    let run = survey::one(&line, &place.name).await?;
    if run.standing == How::Preparing || run.standing == How::Unfinished {
        let what = format!("{} has not run yet: there is nothing to fetch", place.name);
        return Err(Failure::new(FailureKind::Conflict, what, "launch it again under the same name to go on"));
    }
    let (mut files, mut count, mut missing) = (None, 0, Vec::new());
    // The record comes from the instance, and names places on this machine.
    for result in run.record.results.iter().filter(|result| stays_inside(result)) {
        let local = folder.join(result);
        make_above(&local)?;
        match line.get(&mut files, aws, &place.instance, &format!("{}/code/{result}", place.folder()), &local, progress).await {
            Ok(fetched) => count += fetched,
            Err(failure) if failure.kind == FailureKind::NotFound => missing.push(result.as_str()),
            Err(failure) => return Err(failure),
        }
    }
    let log = folder.join("log.txt");
    make_above(&log)?;
    // It may grow while it is fetched; then what it was is enough.
    let has_log = line.get(&mut files, aws, &place.instance, &format!("{}/log", place.folder()), &log, progress).await.is_ok();
    let what = match (count, has_log) {
        (0, true) => "the log".to_owned(),
        (count, true) => format!("{} and the log", counted(count)),
        (count, false) => counted(count),
    };
    let named = if run.record.results.is_empty() { " (it names no results)" } else { "" };
    let lacks = if missing.is_empty() { String::new() } else { format!("; it has not made {}", missing.join(", ")) };
    let said = format!("fetched {what} of {} to {}{named}{lacks}", place.name, folder.display());
    note(&line, place, Step::Results, Standing::Done, &said).await;
    if count == 0 && !missing.is_empty() {
        let hint = "look at its log, and at `results` in footplate.toml: paths relative to where the script runs";
        return Err(Failure::new(FailureKind::NotFound, format!("{} has not made {}", place.name, missing.join(", ")), hint));
    }
    Ok(said)
}

fn make_above(file: &Path) -> Result<(), Failure> {
    let folder = file.parent().unwrap_or(file);
    std::fs::create_dir_all(folder).map_err(|error| {
        Failure::new(FailureKind::Machine, format!("cannot make {}: {error}", folder.display()), "name another folder")
    })
}
