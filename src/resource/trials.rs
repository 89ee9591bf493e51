//! The trials of one tuning job: the leaderboard of its training jobs, best first.

mod bill;
mod compare;
pub(in crate::resource) mod export;
mod list;

use super::training_jobs::TrainingJobs;
use super::tuning_jobs::promote;
use super::tuning_jobs::trial::around;
use crate::aws::Aws;
use crate::model::{
    Align, Column, Detail, Failure, FailureKind, Form, ItemId, LogSource, Order, Outcome, Page, Poll, Preview, Progress, Recipe,
    Safe, Spec, Verb, command,
};
use crate::resource::{Job, Resource, cannot, no_form};

/// The inner list of a tuning job.
pub(super) struct Trials;

static SPEC: Spec = Spec {
    id: "trials",
    title: "Trials",
    singular: "trial",
    within: Some("tuning-jobs"),
    burns: false,
    columns: &[
        // Number and suffix; that of the tuning job, with which it begins, stands above.
        Column { title: "NAME", width: 12, align: Align::Left, rank: 0, grows: true },
        // The place by the objective, in its direction: what the list is sorted by at first.
        Column::of("RANK", 6, Align::Right, 0),
        Column::of("STATE", 12, Align::Left, 2),
        Column::of("OBJECTIVE", 9, Align::Right, 0),
        Column::of("VALUES", 43, Align::Left, 1),
        Column::of("ELAPSED", 8, Align::Right, 3),
        Column::of("BILLABLE", 8, Align::Right, 5),
        Column::of("COST", 7, Align::Right, 4),
        Column::of("STARTED", 9, Align::Right, 6),
    ],
    sort: (1, false),
    verbs: &[Verb::Promote, Verb::Deploy, Verb::Clone, Verb::Stop, Verb::Logs, Verb::Export],
    poll: Poll { live: 10, still: 30 },
    empty: "No trials yet. Each is a training job of this search; the first shows up in a moment.",
    iam: &[
        "sagemaker:DescribeHyperParameterTuningJob",
        "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:StopTrainingJob",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "cloudwatch:GetMetricData",
    ],
    check: export::check,
    warns: |verb| match verb {
        Verb::Stop => Safe::line("Stopping ends this trial for good; the search goes on with the next one."),
        _ => Safe::default(),
    },
};

impl Resource for Trials {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn list<'a>(&'a self, aws: &'a Aws, scope: Option<&'a ItemId>, page: &'a (dyn Fn(Page) + Send + Sync)) -> Job<'a, ()> {
        Box::pin(async move {
            let Some(tuning) = scope else {
                return Err(Failure::new(
                    FailureKind::Invalid,
                    "trials are those of a tuning job, and none is named",
                    format!("{}; {} shows which there are", command("ls trials TUNING_JOB"), command("ls tuning-jobs")),
                ));
            };
            list::list(aws, tuning, page).await
        })
    }

    fn detail<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Detail> {
        Box::pin(async move {
            // It is a training job, and shown as one; what is more is how it compares.
            let mut detail = TrainingJobs.detail(aws, id).await?;
            if let Ok((job, trials)) = around(aws, id.as_str()).await {
                detail.blocks.splice(0..0, compare::with_best(&job, &trials, id.as_str()));
            }
            Ok(detail)
        })
    }

    fn form<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, verb: Verb, target: Option<&'a ItemId>) -> Job<'a, Form> {
        Box::pin(async move {
            match (verb, target) {
                (Verb::Promote, Some(target)) => promote::promote(aws, recipe, target).await,
                (Verb::Deploy, Some(target)) => promote::deploy(aws, recipe, target).await,
                (Verb::Clone, Some(target)) => TrainingJobs.form(aws, recipe, verb, Some(target)).await,
                (Verb::Export, Some(target)) => {
                    let (job, _) = around(aws, target.as_str()).await?;
                    let name = job.hyper_parameter_tuning_job_name().unwrap_or_default().to_owned();
                    Ok(export::form(SPEC.id, &ItemId(name)))
                }
                _ => Err(no_form(verb)),
            }
        })
    }

    fn preview<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview> {
        Box::pin(export::preview(aws, recipe, form))
    }

    fn run<'a>(
        &'a self,
        aws: &'a Aws,
        recipe: &'a Recipe,
        order: &'a Order,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Job<'a, Outcome> {
        Box::pin(async move {
            match (order.verb, &order.form) {
                (Verb::Export, Some(form)) => export::export(aws, recipe, form, progress).await,
                (Verb::Stop, _) => TrainingJobs.run(aws, recipe, order, progress).await,
                _ => Err(cannot(order.verb)),
            }
        })
    }

    fn log(&self, id: &ItemId) -> Option<LogSource> {
        TrainingJobs.log(id)
    }
}
