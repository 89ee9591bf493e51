//! SageMaker endpoints: models that answer.

mod answer;
mod calls;
mod check;
mod delete;
mod deploy;
mod detail;
mod draft;
mod form;
pub(crate) mod invoke;
mod list;
mod made;
mod model;
mod trace;
mod update;
pub(crate) mod wait;

use crate::aws::Aws;
use crate::model::{
    Align, Column, Detail, Form, ItemId, LogSource, Order, Outcome, Page, Poll, Preview, Progress, Recipe, Safe, Spec, Verb,
};
use crate::resource::{Job, Resource, cannot, no_form};

/// The production variant that a deployment makes, as the Python SDK names it.
const VARIANT: &str = "AllTraffic";

/// The pane of endpoints.
pub(super) struct Endpoints;

static SPEC: Spec = Spec {
    id: "endpoints",
    title: "Endpoints",
    singular: "endpoint",
    within: None,
    burns: true,
    columns: &[
        Column { title: "NAME", width: 24, align: Align::Left, rank: 0, grows: true },
        Column::of("STATE", 14, Align::Left, 0),
        Column::of("P50 MS", 14, Align::Left, 2),
        Column::of("TYPE", 13, Align::Left, 4),
        Column::of("COUNT", 5, Align::Right, 5),
        Column::of("MODEL", 22, Align::Left, 6),
        Column::of("COST", 8, Align::Right, 1),
        Column::of("UPDATED", 10, Align::Right, 3),
    ],
    sort: (7, true),
    verbs: &[Verb::Launch, Verb::Invoke, Verb::Update, Verb::Delete, Verb::Logs],
    poll: Poll { live: 10, still: 30 },
    empty: "No endpoints. An endpoint answers with a trained model for as long as it is there; deploy a finished training job.",
    iam: &[
        "sts:GetCallerIdentity",
        "sagemaker:ListEndpoints",
        "sagemaker:DescribeEndpoint",
        "sagemaker:ListEndpointConfigs",
        "sagemaker:DescribeEndpointConfig",
        "sagemaker:ListModels",
        "sagemaker:DescribeModel",
        "sagemaker:ListTrainingJobs",
        "sagemaker:DescribeTrainingJob",
        "sagemaker:ListTags",
        "sagemaker:AddTags",
        "sagemaker:CreateModel",
        "sagemaker:CreateEndpointConfig",
        "sagemaker:CreateEndpoint",
        "sagemaker:UpdateEndpoint",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "sagemaker:InvokeEndpoint",
        "sagemaker:DeleteEndpoint",
        "sagemaker:DeleteEndpointConfig",
        "sagemaker:DeleteModel",
        "iam:PassRole",
        "logs:DescribeLogStreams",
        "logs:GetLogEvents",
        "logs:DeleteLogGroup",
        "cloudwatch:GetMetricData",
        "s3:ListBucket",
        "s3:ListBucketMultipartUploads",
        "s3:CreateBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
        "s3:AbortMultipartUpload",
    ],
    check: check::check,
    warns: |verb| match verb {
        Verb::Delete => Safe::line(
            "It stops answering at once. Its configuration and models go with it, unless another endpoint uses them; the trained model stays in S3.",
        ),
        _ => Safe::default(),
    },
};

impl Resource for Endpoints {
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
                // A new one is not made of the one that happens to be selected.
                (Verb::Launch, _) => form::deploy(aws, recipe, verb, None).await,
                (Verb::Deploy, target) => form::deploy(aws, recipe, verb, target).await,
                (Verb::Invoke, Some(target)) => Ok(form::invoke(recipe, target)),
                (Verb::Update, Some(target)) => form::update(aws, recipe, target).await,
                _ => Err(no_form(verb)),
            }
        })
    }

    fn preview<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview> {
        Box::pin(async move {
            Ok(match form.verb {
                Verb::Invoke => invoke::preview(aws, recipe, form),
                Verb::Update => update::preview(aws, recipe, form).await,
                _ => deploy::preview(aws, recipe, form).await,
            })
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
                (Verb::Launch | Verb::Deploy, Some(form)) => Box::pin(deploy::deploy(aws, recipe, form, progress)).await,
                (Verb::Invoke, Some(form)) => invoke::run(aws, recipe, form).await,
                (Verb::Update, Some(form)) => Box::pin(update::update(aws, recipe, form, progress)).await,
                (Verb::Delete, Some(form)) => delete::sweep(aws, form).await,
                (Verb::Delete, None) => delete::delete(aws, &order.targets, progress).await,
                _ => Err(cannot(order.verb)),
            }
        })
    }

    fn log(&self, id: &ItemId) -> Option<LogSource> {
        // Streams are `{variant}/{instance}`: all of the group belongs to the endpoint.
        Some(LogSource { group: trace::group(id.as_str()), prefix: String::new() })
    }
}
