//! The trials of a tuning job: its training jobs, with what each tried and how well it did.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_sagemaker::types::{HyperParameterTrainingJobSummary, SortOrder, TrainingJobSortByOptions};
use jiff::{Timestamp, ToSpan};

use super::describe::{Described, describe, state_of};
use crate::aws::script_mode::hyperparameters::decode;
use crate::aws::script_mode::tuning::LONGEST;
use crate::aws::{Aws, fault, time};
use crate::model::show::seconds_between;
use crate::model::{Cell, Failure, FailureKind, Phase, Safe, State, command};
use crate::resource::staging::invalid;

const MEMO: &str = "trials";
/// Values in a row's spark line.
const SPARK: usize = 24;

/// One trial, as `ListTrainingJobsForHyperParameterTuningJob` tells it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::resource) struct Trial {
    /// The training job's name.
    pub name: String,
    pub state: State,
    pub objective: Option<f64>,
    /// What was tried, as it travelled, by name.
    pub tuned: Vec<(String, String)>,
    pub created: Option<Timestamp>,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub reason: Option<Safe>,
    /// Of several definitions of training jobs, the name of the one it is of.
    pub definition: Option<String>,
}

impl Trial {
    fn of(summary: &HyperParameterTrainingJobSummary) -> Self {
        let mut tuned: Vec<(String, String)> =
            summary.tuned_hyper_parameters().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect();
        tuned.sort();
        let last = summary
            .final_hyper_parameter_tuning_job_objective_metric()
            .and_then(aws_sdk_sagemaker::types::FinalHyperParameterTuningJobObjectiveMetric::value);
        let started = summary.training_start_time().map(time::ours);
        let status = summary.training_job_status().map_or("", |status| status.as_str());
        Self {
            name: summary.training_job_name().unwrap_or_default().to_owned(),
            state: state(status, started.is_some()),
            // The service keeps 32 bits; by way of text 0.1 stays 0.1.
            objective: last.and_then(|value| value.to_string().parse().ok()).filter(|value: &f64| value.is_finite()),
            tuned,
            created: summary.creation_time().map(time::ours),
            started,
            ended: summary.training_end_time().map(time::ours),
            reason: summary.failure_reason().filter(|reason| !reason.is_empty()).map(Safe::text),
            definition: summary.training_job_definition_name().map(str::to_owned),
        }
    }

    /// Seconds on its machines, once it has ended.
    pub fn seconds(&self) -> Option<f64> {
        Some(seconds_between(self.started?, self.ended?))
    }

    /// `batch_size=128 learning_rate=0.002555801302205963`: decoded, in full.
    pub fn values(&self) -> String {
        let shown = self.tuned.iter().map(|(name, raw)| format!("{name}={}", decode(raw)));
        shown.collect::<Vec<_>>().join(" ")
    }
}

fn state(status: &str, started: bool) -> State {
    let phase = match status {
        "InProgress" if started => Phase::Active,
        "InProgress" => Phase::Waiting,
        "Stopping" | "Deleting" => Phase::Leaving,
        "Completed" => Phase::Done,
        "Failed" => Phase::Failed,
        "Stopped" => Phase::Stopped,
        _ => Phase::Unknown,
    };
    State { phase, word: Safe::line(status) }
}

/// Trials of one tuning job.
#[derive(Clone, Debug)]
struct Kept {
    trials: Arc<Vec<Trial>>,
    /// Nothing of it changes any more.
    over: bool,
}

/// All trials, in the order in which they were made. When the job and all of them are over they are asked for once.
pub(in crate::resource) async fn read(aws: &Aws, job: &Described) -> Result<Arc<Vec<Trial>>, Failure> {
    let name = job.hyper_parameter_tuning_job_name().unwrap_or_default();
    let kept = aws.memo(MEMO, |all: &mut HashMap<String, Kept>| all.get(name).filter(|kept| kept.over).cloned());
    if let Some(kept) = kept {
        return Ok(kept.trials);
    }
    let mut trials = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let call = aws
            .sagemaker
            .list_training_jobs_for_hyper_parameter_tuning_job()
            .hyper_parameter_tuning_job_name(name)
            .sort_by(TrainingJobSortByOptions::CreationTime)
            .sort_order(SortOrder::Ascending)
            .max_results(100);
        let asked = call.set_next_token(token.clone()).send().await;
        let page = asked.map_err(|error| fault::tell(&format!("listing the trials of {name}"), &error))?;
        trials.extend(page.training_job_summaries().iter().map(Trial::of));
        if page.next_token.is_none() || page.next_token == token {
            break;
        }
        token = page.next_token;
    }
    let live = |trial: &Trial| trial.state.phase.is_live();
    let over = !state_of(job).phase.is_live() && !trials.iter().any(live);
    let trials = Arc::new(trials);
    let kept = Kept { trials: Arc::clone(&trials), over };
    aws.memo(MEMO, |all: &mut HashMap<String, Kept>| all.insert(name.to_owned(), kept));
    Ok(trials)
}

/// The tuning job that a training job is a trial of.
///
/// # Errors
/// `Invalid` when it is of none.
pub(in crate::resource) async fn holder(aws: &Aws, trial: &str) -> Result<String, Failure> {
    let known = aws.memo(MEMO, |all: &mut HashMap<String, Kept>| {
        let holds = |kept: &Kept| kept.trials.iter().any(|known| known.name == trial);
        all.iter().find(|(_, kept)| holds(kept)).map(|(name, _)| name.clone())
    });
    if let Some(name) = known {
        return Ok(name);
    }
    let job = super::super::training_jobs::describe(aws, trial).await?;
    let name = job.tuning_job_arn().and_then(|arn| arn.rsplit('/').next()).map(str::to_owned);
    name.ok_or_else(|| {
        let hint = format!("{} lists what is", command("ls trials TUNING_JOB"));
        invalid(&format!("{trial} is not of a tuning job"), &hint)
    })
}

/// The tuning job of that name, or the one that a training job of that name is a trial of, with all its trials.
pub(in crate::resource) async fn around(aws: &Aws, name: &str) -> Result<(Described, Arc<Vec<Trial>>), Failure> {
    let known = aws.memo(MEMO, |all: &mut HashMap<String, Kept>| {
        all.values().any(|kept| kept.trials.iter().any(|trial| trial.name == name))
    });
    // What is too long for a tuning job is a trial.
    if known || name.len() > LONGEST {
        let job = describe(aws, &holder(aws, name).await?).await?;
        let trials = read(aws, &job).await?;
        return Ok((job, trials));
    }
    let job = match describe(aws, name).await {
        Ok(job) => job,
        Err(failure) if failure.kind == FailureKind::NotFound => match holder(aws, name).await {
            Ok(holder) => describe(aws, &holder).await?,
            Err(_) => return Err(failure),
        },
        Err(failure) => return Err(failure),
    };
    let trials = read(aws, &job).await?;
    Ok((job, trials))
}

/// Those with a result, best first.
pub(in crate::resource) fn ranked(trials: &[Trial], maximize: bool) -> Vec<&Trial> {
    let mut ranked: Vec<(f64, &Trial)> = trials.iter().filter_map(|trial| Some((trial.objective?, trial))).collect();
    ranked.sort_by(|(a, one), (b, other)| {
        let order = if maximize { b.total_cmp(a) } else { a.total_cmp(b) };
        order.then_with(|| one.name.cmp(&other.name))
    });
    ranked.into_iter().map(|(_, trial)| trial).collect()
}

/// The best of them.
pub(in crate::resource) fn best(trials: &[Trial], maximize: bool) -> Option<&Trial> {
    ranked(trials, maximize).first().copied()
}

/// The best so far after each trial that has a result, in few values.
pub(super) fn best_so_far(trials: &[Trial], maximize: bool) -> Vec<f64> {
    let mut way: Vec<f64> = Vec::new();
    for value in trials.iter().filter_map(|trial| trial.objective) {
        let so_far = way.last().map_or(value, |last| if maximize { last.max(value) } else { last.min(value) });
        way.push(so_far);
    }
    let step = way.len().div_ceil(SPARK).max(1);
    let end = way.last().copied();
    let mut few: Vec<f64> = way.iter().step_by(step).copied().collect();
    if !(way.len().max(1) - 1).is_multiple_of(step) {
        few.extend(end);
    }
    few
}

/// What they have cost at that price for an hour of one. SageMaker bills a training job from its `TrainingStartTime` to
/// its `TrainingEndTime` (API reference of `TrainingJob`). What still runs accrues.
pub(super) fn spent(trials: &[Trial], per_hour: Option<f64>) -> Cell {
    let Some(per_hour) = per_hour else { return Cell::Absent };
    let ended: f64 = trials.iter().filter_map(Trial::seconds).sum();
    let running: Vec<Timestamp> = trials.iter().filter(|trial| trial.ended.is_none()).filter_map(|trial| trial.started).collect();
    let Some(first) = running.iter().min() else { return Cell::Money(ended * per_hour / 3600.0) };
    // All that run now cost as much as as many that had begun together, early enough to have spent what is spent already.
    #[expect(clippy::cast_precision_loss, reason = "a handful of trials run at a time")]
    let count = running.len() as f64;
    let later: f64 = running.iter().map(|start| seconds_between(*first, *start)).sum();
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of a tuning job, at most a few months")]
    let shift = ((ended - later) / count * 1000.0) as i64;
    let since = first.checked_sub(shift.milliseconds()).unwrap_or(*first);
    Cell::Accrues { since, per_hour: per_hour * count }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::Clock;

    pub fn trial(number: u32, objective: Option<f64>, started: i64, ended: Option<i64>) -> Trial {
        Trial {
            name: format!("t-{number:03}-0123abcd"),
            state: state(if ended.is_some() { "Completed" } else { "InProgress" }, true),
            objective,
            tuned: vec![("batch".into(), "\"32\"".into()), ("lr".into(), "0.002555801302205963".into())],
            created: None,
            started: Timestamp::from_second(started).ok(),
            ended: ended.and_then(|at| Timestamp::from_second(at).ok()),
            reason: None,
            definition: None,
        }
    }

    #[test]
    fn the_best_is_first_by_the_direction_and_values_are_decoded_in_full() {
        let trials = [trial(1, Some(2.0), 0, Some(1)), trial(2, None, 0, Some(1)), trial(3, Some(1.0), 0, Some(1))];
        let names = |maximize| ranked(&trials, maximize).iter().map(|trial| trial.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(false), ["t-003-0123abcd", "t-001-0123abcd"]);
        assert_eq!(names(true), ["t-001-0123abcd", "t-003-0123abcd"]);
        assert_eq!(trials[0].values(), "batch=32 lr=0.002555801302205963");
        assert_eq!((best_so_far(&trials, false), best_so_far(&trials, true)), (vec![2.0, 1.0], vec![2.0, 2.0]));
        let many: Vec<Trial> = (0..100).map(|n| trial(n, Some(f64::from(100 - n)), 0, Some(1))).collect();
        let way = best_so_far(&many, false);
        assert!(way.len() <= SPARK + 1 && way.last() == Some(&1.0), "{way:?}");
    }

    #[test]
    fn what_runs_accrues_on_top_of_what_has_ended() {
        let done = [trial(1, None, 100, Some(1900)), trial(2, None, 200, Some(2000))];
        assert_eq!(spent(&done, Some(2.0)), Cell::Money(2.0));
        assert_eq!(spent(&done, None), Cell::Absent);
        // Two run, since 3000 and 3600; at 4200 they have run for 1800 s together, and 3600 s are done.
        let all = [done[0].clone(), done[1].clone(), trial(3, None, 3000, None), trial(4, None, 3600, None)];
        let clock = Clock { now: Timestamp::from_second(4200).unwrap(), ..Clock::default() };
        let cost = spent(&all, Some(2.0)).number(&clock).unwrap();
        assert!((cost - 3.0).abs() < 1e-3, "{cost}");
    }
}
