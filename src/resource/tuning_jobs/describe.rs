//! What `DescribeHyperParameterTuningJob` and `ListHyperParameterTuningJobs` say, as a row.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_sagemaker::operation::describe_hyper_parameter_tuning_job::DescribeHyperParameterTuningJobOutput;
use aws_sdk_sagemaker::types::{
    HyperParameterTrainingJobDefinition, HyperParameterTuningJobObjective, HyperParameterTuningJobObjectiveType,
    HyperParameterTuningJobSummary, TrainingJobStatusCounters,
};
use jiff::Timestamp;

use super::trial::{self, Trial};
use crate::aws::{Aws, fault, price, time};
use crate::model::{Cell, Failure, Item, ItemId, Phase, Safe, State};

const MEMO: &str = "tuning-jobs-described";

/// A tuning job as the service tells it.
pub(in crate::resource) type Described = Arc<DescribeHyperParameterTuningJobOutput>;

/// Asks for everything about one tuning job. What is over does not change, and is asked for once.
pub(in crate::resource) async fn describe(aws: &Aws, name: &str) -> Result<Described, Failure> {
    let kept = aws.memo(MEMO, |kept: &mut HashMap<String, Described>| kept.get(name).cloned());
    if let Some(job) = kept {
        return Ok(job);
    }
    let asked = aws.sagemaker.describe_hyper_parameter_tuning_job().hyper_parameter_tuning_job_name(name).send().await;
    let job = Arc::new(asked.map_err(|error| fault::tell(&format!("describing {name}"), &error))?);
    if !state_of(&job).phase.is_live() {
        aws.memo(MEMO, |kept: &mut HashMap<String, Described>| kept.insert(name.to_owned(), Arc::clone(&job)));
    }
    Ok(job)
}

/// What its trials are; of several definitions the first.
pub(in crate::resource) fn definition(
    job: &DescribeHyperParameterTuningJobOutput,
) -> Option<&HyperParameterTrainingJobDefinition> {
    job.training_job_definition().or_else(|| job.training_job_definitions().first())
}

fn objective(job: &DescribeHyperParameterTuningJobOutput) -> Option<&HyperParameterTuningJobObjective> {
    let own = job.hyper_parameter_tuning_job_config().and_then(|config| config.hyper_parameter_tuning_job_objective());
    own.or_else(|| definition(job)?.tuning_objective())
}

/// The metric that trials are judged by.
pub(in crate::resource) fn metric(job: &DescribeHyperParameterTuningJobOutput) -> &str {
    objective(job).and_then(|objective| objective.metric_name()).unwrap_or_default()
}

/// More is better.
pub(in crate::resource) fn maximizes(job: &DescribeHyperParameterTuningJobOutput) -> bool {
    objective(job).and_then(|objective| objective.r#type()) == Some(&HyperParameterTuningJobObjectiveType::Maximize)
}

/// Type and number of the machines of one trial.
pub(in crate::resource) fn machines(job: &DescribeHyperParameterTuningJobOutput) -> (&str, i32) {
    let Some(definition) = definition(job) else { return ("", 0) };
    match (definition.hyper_parameter_tuning_resource_config(), definition.resource_config()) {
        (Some(own), _) if own.instance_type().is_some() => {
            (own.instance_type().map_or("", |kind| kind.as_str()), own.instance_count().unwrap_or(1))
        }
        (_, Some(own)) => (own.instance_type().map_or("", |kind| kind.as_str()), own.instance_count().unwrap_or(1)),
        _ => ("", 0),
    }
}

/// US dollars for an hour of one trial, where the price is known.
pub(in crate::resource) fn per_hour(aws: &Aws, job: &DescribeHyperParameterTuningJobOutput) -> Option<f64> {
    let (kind, count) = machines(job);
    Some(price::training(aws.region(), kind)?.per_hour * f64::from(count))
}

pub(in crate::resource) fn state_of(job: &DescribeHyperParameterTuningJobOutput) -> State {
    state(job.hyper_parameter_tuning_job_status().map_or("", |status| status.as_str()))
}

/// A word that this version does not know is shown as it is.
fn state(status: &str) -> State {
    let phase = match status {
        "InProgress" => Phase::Active,
        "Stopping" | "Deleting" => Phase::Leaving,
        "Completed" => Phase::Done,
        "Failed" | "DeleteFailed" => Phase::Failed,
        "Stopped" => Phase::Stopped,
        _ => Phase::Unknown,
    };
    State { phase, word: Safe::line(status) }
}

/// How many trials are where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Ended with a result, stopped early or not.
    pub done: i32,
    pub running: i32,
    pub failed: i32,
}

impl Counts {
    pub fn of(counters: Option<&TrainingJobStatusCounters>) -> Self {
        let count = |number: Option<i32>| number.unwrap_or(0);
        counters.map_or_else(Self::default, |all| Self {
            done: count(all.completed()) + count(all.stopped()),
            running: count(all.in_progress()),
            failed: count(all.non_retryable_error()) + count(all.retryable_error()),
        })
    }

    /// `12/20 ●2 ✗1`: done of all, running, failed.
    pub fn short(self, of: Option<i32>) -> String {
        let done = of.map_or_else(|| self.done.to_string(), |of| format!("{}/{of}", self.done));
        let others = [("●", self.running), ("✗", self.failed)].into_iter().filter(|(_, count)| *count > 0);
        std::iter::once(done).chain(others.map(|(sign, count)| format!("{sign}{count}"))).collect::<Vec<_>>().join(" ")
    }
}

/// A tuning job as the list knows it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub name: String,
    pub state: State,
    pub created: Option<Timestamp>,
    ended: Option<Timestamp>,
    strategy: Safe,
    counts: Counts,
    /// How many trials there will be.
    most: Option<i32>,
    /// Absent until described.
    pub more: Option<More>,
}

/// What only a description and the trials tell.
#[derive(Clone, Debug)]
pub(super) struct More {
    best: Option<f64>,
    /// The best so far after each trial, for a spark line.
    way: Vec<f64>,
    metric: Safe,
    spent: Cell,
    per_hour: Option<f64>,
}

impl Row {
    pub fn of_summary(summary: &HyperParameterTuningJobSummary) -> Self {
        Self {
            name: summary.hyper_parameter_tuning_job_name().unwrap_or_default().to_owned(),
            state: state(summary.hyper_parameter_tuning_job_status().map_or("", |status| status.as_str())),
            created: summary.creation_time().map(time::ours),
            ended: summary.hyper_parameter_tuning_end_time().map(time::ours),
            strategy: Safe::line(summary.strategy().map_or("", |strategy| strategy.as_str())),
            counts: Counts::of(summary.training_job_status_counters()),
            most: summary.resource_limits().and_then(aws_sdk_sagemaker::types::ResourceLimits::max_number_of_training_jobs),
            more: None,
        }
    }

    pub fn of_description(aws: &Aws, job: &DescribeHyperParameterTuningJobOutput, trials: &[Trial]) -> Self {
        let config = job.hyper_parameter_tuning_job_config();
        let price = per_hour(aws, job);
        let maximize = maximizes(job);
        let arrow = if maximize { "↑" } else { "↓" };
        let running = trials.iter().filter(|trial| trial.state.phase.is_live()).count();
        #[expect(clippy::cast_precision_loss, reason = "a handful of trials run at a time")]
        let more = More {
            best: trial::best(trials, maximize).and_then(|trial| trial.objective),
            way: trial::best_so_far(trials, maximize),
            metric: Safe::line(&format!("{} {arrow}", metric(job))),
            spent: trial::spent(trials, price),
            per_hour: price.filter(|_| running > 0).map(|price| price * running as f64),
        };
        Self {
            name: job.hyper_parameter_tuning_job_name().unwrap_or_default().to_owned(),
            state: state_of(job),
            created: job.creation_time().map(time::ours),
            ended: job.hyper_parameter_tuning_end_time().map(time::ours),
            strategy: Safe::line(config.and_then(|config| config.strategy()).map_or("", |strategy| strategy.as_str())),
            counts: Counts::of(job.training_job_status_counters()),
            most: config.and_then(|config| config.resource_limits()?.max_number_of_training_jobs()),
            more: Some(more),
        }
    }

    pub fn item(&self) -> Item {
        let live = self.state.phase.is_live();
        let more = self.more.as_ref();
        let lasted = match (self.created, self.ended) {
            (Some(since), _) if live => Cell::Since(since),
            (Some(from), Some(to)) => Cell::Seconds(crate::model::show::seconds_between(from, to)),
            _ => Cell::Absent,
        };
        Item {
            id: ItemId(self.name.clone()),
            state: self.state.clone(),
            cells: vec![
                Cell::Text(Safe::line(&self.name)),
                Cell::State(self.state.clone()),
                Cell::Trend {
                    last: more.and_then(|more| more.best),
                    values: more.map(|more| more.way.clone()).unwrap_or_default(),
                },
                Cell::Text(Safe::line(&self.counts.short(self.most))),
                more.map_or(Cell::Absent, |more| Cell::Text(more.metric.clone())),
                Cell::Text(self.strategy.clone()),
                lasted,
                more.map_or(Cell::Absent, |more| more.spent.clone()),
                self.created.map_or(Cell::Absent, Cell::Time),
            ],
            container: true,
            per_hour: more.filter(|_| live).and_then(|more| more.per_hour),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_phase_and_counts_read_short() {
        assert_eq!(state("InProgress").phase, Phase::Active);
        assert_eq!((state("Pondering").phase, state("Pondering").word.as_str()), (Phase::Unknown, "Pondering"));
        let counts = Counts { done: 12, running: 2, failed: 1 };
        assert_eq!([counts.short(Some(20)), Counts::default().short(None)], ["12/20 ●2 ✗1", "0"]);
    }
}
