//! EC2 instances: machines to experiment on, each with a lease.

mod act;
mod check;
mod console;
mod copy;
mod detail;
mod door;
mod draft;
mod form;
mod group;
mod image;
mod launch;
pub mod lease;
mod list;
mod look;
mod network;
mod parts;
mod spent;
mod update;
mod wrong;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::aws::Aws;
use crate::model::{
    Align, Column, Detail, Failure, FailureKind, Form, ItemId, LogBatch, LogSource, MetricRule, Order, Outcome, Page, Poll,
    Preview, Progress, Recipe, Safe, Spec, Verb,
};
use crate::resource::{Ask, Door, Follower, Job, Resource, cannot, no_form, runs};

pub(in crate::resource) use door::{down_since, none as no_terminal, up as runs_now};
pub(crate) use launch::up;

/// The pane of instances.
pub(super) struct Instances;

static SPEC: Spec = Spec {
    id: "instances",
    title: "Instances",
    singular: "instance",
    within: None,
    burns: true,
    columns: &[
        Column { title: "NAME", width: 20, align: Align::Left, rank: 0, grows: true },
        Column::of("STATE", 13, Align::Left, 0),
        Column::of("TYPE", 13, Align::Left, 1),
        Column::of("ZONE", 11, Align::Left, 7),
        Column::of("AGE", 8, Align::Right, 5),
        Column::of("$/H", 7, Align::Right, 4),
        Column::of("COST", 8, Align::Right, 2),
        Column::of("LEASE", 8, Align::Right, 3),
        Column::of("OWNER", 10, Align::Left, 8),
        Column::of("GPU", 22, Align::Left, 9),
        Column::of("ADDRESS", 15, Align::Left, 6),
    ],
    sort: (4, false),
    verbs: &[
        Verb::Launch,
        Verb::Clone,
        Verb::Shell,
        Verb::Train,
        Verb::Upload,
        Verb::Download,
        Verb::Start,
        Verb::Stop,
        Verb::Reboot,
        Verb::Update,
        Verb::Delete,
        Verb::Logs,
    ],
    poll: Poll { live: 10, still: 30 },
    empty: "No instances. An instance is a machine of your own, with a GPU if you like, that ends itself when its lease does; launch one.",
    iam: &[
        "sts:GetCallerIdentity",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVolumes",
        "ec2:DescribeInstanceConnectEndpoints",
        "ec2:DescribeInstanceAttribute",
        "ec2:GetConsoleOutput",
        "ec2:RunInstances",
        "ec2:StartInstances",
        "ec2:StopInstances",
        "ec2:RebootInstances",
        "ec2:TerminateInstances",
        "ec2:CreateTags",
        "ec2:ModifyInstanceAttribute",
        "ec2:CreateSecurityGroup",
        "ec2:AuthorizeSecurityGroupIngress",
        "ec2:DeleteSecurityGroup",
        "ec2:DeleteVolume",
        // RunInstances resolves `resolve:ssm:…` with the caller's rights.
        "ssm:GetParameters",
        "ec2-instance-connect:SendSSHPublicKey",
        "ec2-instance-connect:OpenTunnel",
        "servicequotas:ListServiceQuotas",
        "servicequotas:ListAWSDefaultServiceQuotas",
        "pricing:GetProducts",
    ],
    check: check::check,
    warns: |verb| match verb {
        Verb::Start => Safe::line(
            "From then on it costs by the hour again; its public address is a new one. Its lease goes on as its tag says.",
        ),
        Verb::Stop => Safe::text(
            "What runs on it ends; its disk stays, and goes on costing.\nThe timer of its lease rests while it is stopped: it does not end by itself then.",
        ),
        Verb::Reboot => Safe::line("What runs on it ends, connections too; its disk and its lease stay as they are."),
        Verb::Delete => Safe::text(
            "It is terminated: the machine and its disk are gone for good, with all data, models and logs on it that were not fetched.\nVolumes that were attached later may stay.",
        ),
        _ => Safe::default(),
    },
};

impl Resource for Instances {
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
                (Verb::Launch, _) => Ok(Box::pin(form::launch(aws, recipe)).await),
                (Verb::Clone, Some(parent)) => Box::pin(form::clone(aws, recipe, parent)).await,
                (Verb::Update, Some(target)) => form::update(aws, target).await,
                (Verb::Train, Some(target)) => runs::train(recipe, target),
                (Verb::Upload | Verb::Download, Some(target)) => copy::form(aws, verb, target).await,
                (Verb::Upload, None) => Err(invalid("no instance is selected", "select the one to upload to")),
                _ => Err(no_form(verb)),
            }
        })
    }

    fn preview<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview> {
        Box::pin(async move {
            Ok(match form.verb {
                Verb::Update => Box::pin(update::preview(aws, form)).await,
                Verb::Upload | Verb::Download => copy::preview(recipe, form),
                _ => Box::pin(launch::preview(aws, recipe, form)).await,
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
                (Verb::Launch | Verb::Clone, Some(form)) => Box::pin(launch::launch(aws, recipe, form, progress)).await,
                (Verb::Update, Some(form)) => Box::pin(update::update(aws, form, progress)).await,
                (Verb::Upload | Verb::Download, Some(form)) => copy::copy(aws, recipe, order, form, progress).await,
                (Verb::Start | Verb::Stop | Verb::Reboot | Verb::Delete, _) => Box::pin(act::act(aws, order, progress)).await,
                _ => Err(cannot(order.verb)),
            }
        })
    }

    fn at_stake<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Vec<Safe>> {
        Box::pin(act::at_stake(aws, id))
    }

    fn log(&self, _: &ItemId) -> Option<LogSource> {
        None
    }

    fn follow(
        &self,
        aws: Arc<Aws>,
        id: &ItemId,
        _: Vec<MetricRule>,
        ended: watch::Receiver<bool>,
        out: mpsc::Sender<LogBatch>,
    ) -> Option<Follower> {
        Some(Box::pin(console::follow(aws, id.as_str().to_owned(), ended, out)))
    }

    fn door(&self, aws: Arc<Aws>, id: ItemId, ask: Ask) -> Job<'static, Door> {
        Box::pin(async move { door::door(aws, id.as_str(), ask).await })
    }
}

/// The form of an upload to an instance.
///
/// # Errors
/// When the instance cannot be looked at.
pub(in crate::resource) async fn upload(aws: &Aws, instance: &ItemId) -> Result<Form, Failure> {
    copy::form(aws, Verb::Upload, instance).await
}

/// A mistake of the user's.
fn invalid(what: &str, hint: &str) -> Failure {
    Failure::new(FailureKind::Invalid, what, hint)
}

/// Troubles that pass by themselves.
fn passes(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Throttled | FailureKind::Network | FailureKind::Timeout | FailureKind::Service | FailureKind::NotFound
    )
}
