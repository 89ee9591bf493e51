//! SageMaker training jobs.

mod check;
mod curves;
mod describe;
mod detail;
mod extras;
mod form;
mod launch;
mod list;
mod parent;
mod warn;

pub(in crate::resource) use describe::describe;
pub(in crate::resource) use form::launch as launch_form;
pub(in crate::resource) use parent::line_of_raw;

use crate::aws::{Aws, fault};
use crate::model::{
    Align, Column, Detail, Failure, Form, ItemId, LogSource, Order, Outcome, Page, Poll, Preview, Progress, Recipe, Safe, Spec,
    Verb,
};
use crate::resource::endpoints::Endpoints;
use crate::resource::{Job, Resource, cannot, no_form};

/// The pane of training jobs.
pub(super) struct TrainingJobs;

static SPEC: Spec = Spec {
    id: "training-jobs",
    title: "Training",
    singular: "training job",
    within: None,
    burns: true,
    columns: &[
        Column { title: "NAME", width: 24, align: Align::Left, rank: 0, grows: true },
        Column::of("STATE", 14, Align::Left, 0),
        Column::of("METRIC", 14, Align::Left, 2),
        Column::of("TYPE", 15, Align::Left, 4),
        Column::of("HOSTS", 5, Align::Right, 5),
        Column::of("TIME", 8, Align::Right, 1),
        Column::of("COST", 8, Align::Right, 3),
        Column::of("STARTED", 10, Align::Right, 2),
    ],
    sort: (7, true),
    verbs: &[Verb::Launch, Verb::Clone, Verb::Deploy, Verb::Stop, Verb::Logs],
    poll: Poll { live: 10, still: 30 },
    empty: "No training jobs yet. Each run of your script on AWS shows up here; launch one from footplate.toml.",
    iam: &[
        "sts:GetCallerIdentity",
        "sagemaker:ListTrainingJobs",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:ListTags",
        "sagemaker:AddTags",
        "sagemaker:CreateTrainingJob",
        "sagemaker:StopTrainingJob",
        "iam:PassRole",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "cloudwatch:GetMetricData",
        "servicequotas:ListServiceQuotas",
        "servicequotas:ListAWSDefaultServiceQuotas",
        "pricing:GetProducts",
        "s3:ListBucket",
        "s3:CreateBucket",
        "s3:PutObject",
        "s3:AbortMultipartUpload",
    ],
    check: check::check,
    warns: |verb| match verb {
        Verb::Stop => Safe::line("Stopping ends the run for good; what it has written to the model folder is kept."),
        _ => Safe::default(),
    },
};

impl Resource for TrainingJobs {
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
                (Verb::Launch, _) => Ok(form::launch(recipe)),
                (Verb::Clone, Some(parent)) => form::clone(aws, parent).await,
                (Verb::Deploy, Some(_)) => Endpoints.form(aws, recipe, verb, target).await,
                _ => Err(no_form(verb)),
            }
        })
    }

    fn preview<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview> {
        Box::pin(async move { Ok(launch::preview(aws, recipe, form).await) })
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
                (Verb::Stop, _) => stop(aws, &order.targets).await,
                _ => Err(cannot(order.verb)),
            }
        })
    }

    fn log(&self, id: &ItemId) -> Option<LogSource> {
        Some(LogSource { group: "/aws/sagemaker/TrainingJobs".to_owned(), prefix: format!("{}/", id.as_str()) })
    }
}

/// Asks each to stop; one that cannot be stopped does not keep the others running.
async fn stop(aws: &Aws, targets: &[ItemId]) -> Result<Outcome, Failure> {
    let mut failed: Vec<Failure> = Vec::new();
    for target in targets {
        let asked = aws.sagemaker.stop_training_job().training_job_name(target.as_str()).send().await;
        failed.extend(asked.err().map(|error| fault::tell(&format!("stopping {}", target.as_str()), &error)));
    }
    let stopped = targets.len() - failed.len();
    match failed.into_iter().next() {
        None if targets.len() == 1 => Ok(Outcome::Said(Safe::line(&format!("stopping {}", targets[0].as_str())))),
        None => Ok(Outcome::Said(Safe::line(&format!("stopping {stopped} training jobs")))),
        Some(first) if stopped == 0 => Err(first),
        Some(first) => {
            Err(Failure::new(first.kind, format!("stopping {stopped} of {}; {}", targets.len(), first.what), &first.hint))
        }
    }
}
