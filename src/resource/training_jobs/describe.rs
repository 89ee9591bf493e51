//! What `DescribeTrainingJob` and `ListTrainingJobs` say, as a row.

use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::TrainingJobSummary;
use jiff::Timestamp;

use crate::aws::spending::Use;
use crate::aws::{Aws, fault, pricing, time};
use crate::model::{Cell, Failure, Item, ItemId, Phase, Safe, State};

/// Asks for everything about one job.
pub(in crate::resource) async fn describe(aws: &Aws, name: &str) -> Result<DescribeTrainingJobOutput, Failure> {
    let asked = aws.sagemaker.describe_training_job().training_job_name(name).send().await;
    asked.map_err(|error| fault::tell(&format!("describing {name}"), &error))
}

/// Describes a job, and sees to it that the price of its instances is known.
pub(super) async fn describe_priced(aws: &Aws, name: &str) -> Result<DescribeTrainingJobOutput, Failure> {
    let job = describe(aws, name).await?;
    if let Some(kind) = job.resource_config().and_then(|config| config.instance_type()) {
        pricing::quote(aws, Use::Training, kind.as_str()).await;
    }
    Ok(job)
}

/// A job as the list knows it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub name: String,
    pub state: State,
    pub created: Option<Timestamp>,
    /// Absent until described.
    pub more: Option<More>,
}

/// What only a description tells.
#[derive(Clone, Debug)]
pub(super) struct More {
    pub instance_type: String,
    pub hosts: u32,
    pub metric: Option<f64>,
    pub started: Option<Timestamp>,
    pub seconds: Option<f64>,
    pub billable: Option<f64>,
    /// Dollars per hour of all hosts, where a price is known.
    pub per_hour: Option<f64>,
}

impl Row {
    pub fn of_summary(summary: &TrainingJobSummary) -> Self {
        let status = summary.training_job_status().map_or("", |status| status.as_str());
        let secondary = summary.secondary_status().map_or("", |status| status.as_str());
        Self {
            name: summary.training_job_name().unwrap_or_default().to_owned(),
            state: state(status, secondary),
            created: summary.creation_time().map(time::ours),
            more: None,
        }
    }

    pub fn of_description(aws: &Aws, job: &DescribeTrainingJobOutput) -> Self {
        Self {
            name: job.training_job_name().unwrap_or_default().to_owned(),
            state: state_of(job),
            created: job.creation_time().map(time::ours),
            more: Some(More::of(aws, job)),
        }
    }

    pub fn item(&self) -> Item {
        let live = self.state.phase.is_live();
        let more = self.more.as_ref();
        let name = Safe::line(&self.name);
        let spent = more.map(|more| match (more.per_hour, more.billable, more.started) {
            (Some(per_hour), Some(billable), _) if !live => Cell::Money(per_hour * billable / 3600.0),
            (Some(per_hour), _, Some(since)) if live => Cell::Accrues { since, per_hour },
            _ => Cell::Absent,
        });
        let lasted = more.map(|more| match (more.seconds, more.started) {
            (_, Some(since)) if live => Cell::Since(since),
            (Some(seconds), _) => Cell::Seconds(seconds),
            _ => Cell::Absent,
        });
        Item {
            id: ItemId(self.name.clone()),
            state: self.state.clone(),
            cells: vec![
                Cell::Text(name),
                Cell::State(self.state.clone()),
                Cell::Trend { last: more.and_then(|more| more.metric), values: Vec::new() },
                more.map_or(Cell::Absent, |more| Cell::Text(Safe::line(&more.instance_type))),
                more.map_or(Cell::Absent, |more| Cell::Count(u64::from(more.hosts))),
                lasted.unwrap_or(Cell::Absent),
                spent.unwrap_or(Cell::Absent),
                self.created.map_or(Cell::Absent, Cell::Time),
            ],
            container: false,
            per_hour: more.filter(|_| live).and_then(|more| more.per_hour),
        }
    }
}

impl More {
    fn of(aws: &Aws, job: &DescribeTrainingJobOutput) -> Self {
        let resources = job.resource_config();
        let instance_type = resources.and_then(|config| config.instance_type()).map_or("", |kind| kind.as_str()).to_owned();
        let hosts = resources
            .and_then(aws_sdk_sagemaker::types::ResourceConfig::instance_count)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(0);
        let started = job.training_start_time().map(time::ours);
        let ended = job.training_end_time().map(time::ours);
        let between = started.zip(ended).map(|(started, ended)| (ended - started).total(jiff::Unit::Second).unwrap_or(0.0));
        Self {
            per_hour: pricing::known(aws, Use::Training, &instance_type).map(|quote| quote.per_hour * f64::from(hosts)),
            metric: first_metric(job),
            seconds: job.training_time_in_seconds().map(f64::from).or(between),
            billable: job.billable_time_in_seconds().map(f64::from),
            instance_type,
            hosts,
            started,
        }
    }
}

/// The last value of the first metric rule, else of whatever metric there is.
fn first_metric(job: &DescribeTrainingJobOutput) -> Option<f64> {
    let rules = job
        .algorithm_specification()
        .map(aws_sdk_sagemaker::types::AlgorithmSpecification::metric_definitions)
        .unwrap_or_default();
    let name = rules.first().and_then(|rule| rule.name());
    let values = job.final_metric_data_list();
    let found = values.iter().find(|value| value.metric_name() == name).or(values.first())?;
    // The service keeps 32 bits; by way of text 0.1 stays 0.1.
    found.value().and_then(|value| value.to_string().parse().ok()).filter(|value: &f64| value.is_finite())
}

pub(super) fn state_of(job: &DescribeTrainingJobOutput) -> State {
    let status = job.training_job_status().map_or("", |status| status.as_str());
    state(status, job.secondary_status().map_or("", |status| status.as_str()))
}

/// While a job is in progress its secondary status says more; a word this version does not know is shown as it is.
fn state(status: &str, secondary: &str) -> State {
    let phase = match status {
        "InProgress" => match secondary {
            "Training" => Phase::Active,
            "Uploading" | "Stopping" => Phase::Leaving,
            _ => Phase::Waiting,
        },
        "Stopping" | "Deleting" => Phase::Leaving,
        "Completed" => Phase::Done,
        "Failed" => Phase::Failed,
        "Stopped" => Phase::Stopped,
        _ => Phase::Unknown,
    };
    let word = if status == "InProgress" && !secondary.is_empty() { secondary } else { status };
    State { phase, word: Safe::line(word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_phase_and_word() {
        let of = |status, secondary| {
            let state = state(status, secondary);
            (state.phase, state.word.to_string())
        };
        assert_eq!(of("InProgress", "Training"), (Phase::Active, "Training".into()));
        assert_eq!(of("InProgress", "DownloadingTrainingImage"), (Phase::Waiting, "DownloadingTrainingImage".into()));
        assert_eq!(of("InProgress", ""), (Phase::Waiting, "InProgress".into()));
        assert_eq!(of("Stopped", "MaxRuntimeExceeded"), (Phase::Stopped, "Stopped".into()));
        assert_eq!(of("Pondering", "x"), (Phase::Unknown, "Pondering".into()));
    }
}
