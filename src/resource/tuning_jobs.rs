//! SageMaker tuning jobs: searches for hyperparameters, whose trials are training jobs.

mod check;
pub(in crate::resource) mod describe;
mod detail;
mod form;
mod hints;
mod launch;
mod list;
mod parent;
mod plots;
pub(in crate::resource) mod promote;
mod ranges;
pub(in crate::resource) mod trial;

use crate::aws::{Aws, fault};
use crate::model::{
    Align, Column, Detail, Failure, Form, ItemId, LogSource, Order, Outcome, Page, Poll, Preview, Progress, Recipe, Safe, Spec,
    Verb,
};
use crate::resource::trials::export;
use crate::resource::{Job, Resource, cannot, no_form};

/// The pane of tuning jobs.
pub(super) struct TuningJobs;

static SPEC: Spec = Spec {
    id: "tuning-jobs",
    title: "Tuning",
    singular: "tuning job",
    within: None,
    // What it costs is its training jobs', which are counted where they are listed.
    burns: false,
    columns: &[
        Column { title: "NAME", width: 18, align: Align::Left, rank: 0, grows: true },
        Column::of("STATE", 12, Align::Left, 0),
        Column::of("BEST", 14, Align::Left, 1),
        Column::of("TRIALS", 12, Align::Left, 1),
        Column::of("METRIC", 16, Align::Left, 5),
        Column::of("STRATEGY", 9, Align::Left, 6),
        Column::of("TIME", 8, Align::Right, 2),
        Column::of("COST", 8, Align::Right, 3),
        Column::of("STARTED", 10, Align::Right, 4),
    ],
    sort: (8, true),
    verbs: &[Verb::Launch, Verb::Clone, Verb::Promote, Verb::Deploy, Verb::Stop, Verb::Logs, Verb::Export],
    poll: Poll { live: 10, still: 30 },
    empty: "No tuning jobs yet. A tuning job tries your script with many hyperparameters and keeps the best; launch one from [tuning] in footplate.toml.",
    iam: &[
        "sts:GetCallerIdentity",
        "sagemaker:ListHyperParameterTuningJobs",
        "sagemaker:DescribeHyperParameterTuningJob",
        "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
        "sagemaker:CreateHyperParameterTuningJob",
        "sagemaker:StopHyperParameterTuningJob",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:ListTags",
        "sagemaker:AddTags",
        "iam:PassRole",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "s3:ListBucket",
        "s3:CreateBucket",
        "s3:PutObject",
    ],
    check: |form| if form.verb == Verb::Export { export::check(form) } else { check::check(form) },
    warns: |verb| match verb {
        Verb::Stop => Safe::line("Stopping ends the search and the trials that run; the results so far are kept."),
        _ => Safe::default(),
    },
};

impl Resource for TuningJobs {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn list<'a>(&'a self, aws: &'a Aws, _: Option<&'a ItemId>, page: &'a (dyn Fn(Page) + Send + Sync)) -> Job<'a, ()> {
        Box::pin(list::list(aws, page))
    }

    fn detail<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Detail> {
        Box::pin(detail::detail(aws, id))
    }

    fn form<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, verb: Verb, target: Option<&'a ItemId>) -> Job<'a, Form> {
        Box::pin(async move {
            match (verb, target) {
                (Verb::Launch, _) => form::launch(recipe),
                (Verb::Clone, Some(parent)) => form::clone(aws, recipe, parent).await,
                (Verb::Promote, Some(target)) => promote::promote(aws, recipe, target).await,
                (Verb::Deploy, Some(target)) => promote::deploy(aws, recipe, target).await,
                (Verb::Export, Some(target)) => Ok(export::form(SPEC.id, target)),
                _ => Err(no_form(verb)),
            }
        })
    }

    fn preview<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview> {
        Box::pin(async move {
            match form.verb {
                Verb::Export => export::preview(aws, recipe, form).await,
                _ => Ok(launch::preview(aws, recipe, form).await),
            }
        })
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
                (Verb::Launch | Verb::Clone, Some(form)) => launch::launch(aws, recipe, form, progress).await,
                (Verb::Export, Some(form)) => export::export(aws, recipe, form, progress).await,
                (Verb::Stop, _) => stop(aws, &order.targets).await,
                _ => Err(cannot(order.verb)),
            }
        })
    }

    /// The union of its trials' logs.
    fn log(&self, id: &ItemId) -> Option<LogSource> {
        Some(LogSource { group: "/aws/sagemaker/TrainingJobs".to_owned(), prefix: format!("{}-", id.as_str()) })
    }
}

/// Asks each to stop; one that cannot be stopped does not keep the others running.
async fn stop(aws: &Aws, targets: &[ItemId]) -> Result<Outcome, Failure> {
    let mut failed: Vec<Failure> = Vec::new();
    for target in targets {
        let call = aws.sagemaker.stop_hyper_parameter_tuning_job().hyper_parameter_tuning_job_name(target.as_str());
        failed.extend(call.send().await.err().map(|error| fault::tell(&format!("stopping {}", target.as_str()), &error)));
    }
    let stopped = targets.len() - failed.len();
    match failed.into_iter().next() {
        None if targets.len() == 1 => Ok(Outcome::Said(Safe::line(&format!("stopping {}", targets[0].as_str())))),
        None => Ok(Outcome::Said(Safe::line(&format!("stopping {stopped} tuning jobs")))),
        Some(first) if stopped == 0 => Err(first),
        Some(first) => {
            Err(Failure::new(first.kind, format!("stopping {stopped} of {}; {}", targets.len(), first.what), &first.hint))
        }
    }
}
