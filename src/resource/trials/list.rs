//! The leaderboard: the results table of the Python SDK (`HyperparameterTuningJobAnalytics`), best first, with what it
//! lacks: billable seconds and cost.

use super::bill;
use crate::aws::{Aws, Mode};
use crate::model::{Cell, Failure, Item, ItemId, Page, Safe};
use crate::resource::tuning_jobs::describe::{Described, describe, maximizes, per_hour};
use crate::resource::tuning_jobs::trial::{Trial, ranked, read};

/// Descriptions per poll, for the bills of trials that have ended.
const LOOKED_UP: usize = 10;

/// One poll.
pub(super) async fn list(aws: &Aws, tuning: &ItemId, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let job = describe(aws, tuning.as_str()).await?;
    let trials = read(aws, &job).await?;
    page(Page { items: items(aws, &job, &trials), whole: true, more: false });
    let ranked = ranked(&trials, maximizes(&job));
    let rest = trials.iter().filter(|trial| !ranked.iter().any(|known| known.name == trial.name));
    let best_first: Vec<&Trial> = ranked.iter().copied().chain(rest).collect();
    // On this machine looking costs nothing.
    let most = if aws.mode() == Mode::Local { usize::MAX } else { LOOKED_UP };
    if bill::look_up(aws, &best_first, most).await? {
        page(Page { items: items(aws, &job, &trials), whole: true, more: false });
    }
    Ok(())
}

fn items(aws: &Aws, job: &Described, trials: &[Trial]) -> Vec<Item> {
    let ranked = ranked(trials, maximizes(job));
    let price = per_hour(aws, job);
    let place = |trial: &Trial| ranked.iter().position(|known| known.name == trial.name);
    let mut rows: Vec<(Option<usize>, &Trial)> = trials.iter().map(|trial| (place(trial), trial)).collect();
    // For the command line, which prints in this order; the cockpit sorts by the place.
    rows.sort_by_key(|(place, _)| place.unwrap_or(usize::MAX));
    let tuning = format!("{}-", job.hyper_parameter_tuning_job_name().unwrap_or_default());
    let short = |trial: &Trial| Safe::line(trial.name.strip_prefix(&tuning).unwrap_or(&trial.name));
    rows.into_iter().map(|(place, trial)| item(aws, (short(trial), place), trial, price)).collect()
}

fn item(aws: &Aws, (name, place): (Safe, Option<usize>), trial: &Trial, price: Option<f64>) -> Item {
    let live = trial.state.phase.is_live();
    let billable = bill::seconds(aws, &trial.name);
    let cost = match (price, billable.or(trial.seconds()), trial.started) {
        (Some(per_hour), _, Some(since)) if live => Cell::Accrues { since, per_hour },
        (Some(per_hour), Some(seconds), _) if !live => Cell::Money(per_hour * seconds / 3600.0),
        _ => Cell::Absent,
    };
    let elapsed = match (trial.started, trial.seconds()) {
        (Some(since), _) if live => Cell::Since(since),
        (_, Some(seconds)) => Cell::Seconds(seconds),
        _ => Cell::Absent,
    };
    Item {
        id: ItemId(trial.name.clone()),
        state: trial.state.clone(),
        cells: vec![
            Cell::Text(name),
            place.map_or(Cell::Absent, |place| Cell::Count(place as u64 + 1)),
            Cell::State(trial.state.clone()),
            trial.objective.map_or(Cell::Absent, Cell::Number),
            Cell::Text(Safe::line(&trial.values())),
            elapsed,
            billable.map_or(Cell::Absent, Cell::Seconds),
            cost,
            trial.started.or(trial.created).map_or(Cell::Absent, Cell::Time),
        ],
        container: false,
        per_hour: price.filter(|_| live && trial.started.is_some()),
    }
}
