//! Training on an instance: scripts that were put there and started so that they outlive the connection. They appear like
//! training jobs. All that is known of them lies on the instance itself, in `~/footplate/runs/NAME/`, so that they are found
//! again after a restart, and by other cockpits.

mod act;
mod data;
mod detail;
mod environment;
mod follow;
mod form;
pub(in crate::resource) mod gauges;
mod launch;
mod list;
mod place;
mod record;
mod survey;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::{Ask, Door, Follower, instances, line};
use crate::aws::spending::Use;
use crate::aws::{Aws, fault, pricing};
use crate::model::show::{seconds_between, span};
use crate::model::{
    Align, Column, Detail, Failure, FailureKind, Form, ItemId, LogBatch, LogSource, MetricRule, Order, Outcome, Page, Poll,
    Preview, Progress, Recipe, Safe, Spec, Verb, command,
};
use crate::resource::line::explained;
use crate::resource::{Job, Resource, cannot, no_form};
use crate::ssh::Connection;
use place::{Place, instance_of};

/// How long a look at what is under way may take before a question is asked without it.
const LOOK: Duration = Duration::from_secs(6);

/// The inner list of an instance. Ids are `INSTANCE/NAME`.
pub(super) struct Runs;

static SPEC: Spec = Spec {
    id: "runs",
    title: "Runs",
    singular: "run",
    within: Some("instances"),
    // What a run costs is its instance's.
    burns: false,
    columns: &[
        Column { title: "NAME", width: 18, align: Align::Left, rank: 0, grows: true },
        Column::of("STATE", 12, Align::Left, 0),
        Column::of("LAST", 14, Align::Right, 1),
        Column::of("ELAPSED", 8, Align::Right, 2),
        Column::of("COST", 8, Align::Right, 3),
        Column::of("PROCESS", 8, Align::Right, 5),
        Column::of("STARTED", 10, Align::Right, 4),
    ],
    sort: (6, true),
    verbs: &[Verb::Launch, Verb::Stop, Verb::Delete, Verb::Shell, Verb::Logs, Verb::Download],
    poll: Poll { live: 5, still: 15 },
    empty: "Nothing was trained on this instance yet. A run puts data and script there and starts it so that it outlives the connection; launch one from [instance.run] in footplate.toml.",
    iam: &["ec2:DescribeInstances", "ec2-instance-connect:SendSSHPublicKey", "s3:ListBucket", "s3:GetObject"],
    check: form::check,
    warns: |verb| match verb {
        Verb::Stop => {
            Safe::line("The script gets 20 seconds to save what it has; then it is killed. The instance runs on and costs money.")
        }
        Verb::Delete => Safe::line(
            "Deletes the run's folder on the instance, with its log and what it has made; the data set, which runs share, stays. Only what was fetched before is kept.",
        ),
        _ => Safe::default(),
    },
};

impl Resource for Runs {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn list<'a>(&'a self, aws: &'a Aws, scope: Option<&'a ItemId>, page: &'a (dyn Fn(Page) + Send + Sync)) -> Job<'a, ()> {
        Box::pin(async move {
            let Some(instance) = scope else {
                return Err(Failure::new(
                    FailureKind::Invalid,
                    "runs are those on an instance, and none is named",
                    format!("{}; {} shows which there are", command("ls runs INSTANCE"), command("ls instances")),
                ));
            };
            match list::list(aws, instance, page).await {
                Err(failure) => {
                    let failure = explained(aws, instance, failure).await;
                    if is_down(&failure) {
                        list::list_cut(aws, instance, page).await;
                    }
                    Err(failure)
                }
                done => done,
            }
        })
    }

    fn detail<'a>(&'a self, aws: &'a Aws, id: &'a ItemId) -> Job<'a, Detail> {
        Box::pin(async move {
            match detail::detail(aws, id).await {
                Err(failure) => {
                    let failure = explained(aws, &instance_of(id), failure).await;
                    let known = if is_down(&failure) { detail::detail_cut(aws, id, &failure).await } else { None };
                    known.ok_or(failure)
                }
                found => found,
            }
        })
    }

    fn form<'a>(&'a self, aws: &'a Aws, recipe: &'a Recipe, verb: Verb, target: Option<&'a ItemId>) -> Job<'a, Form> {
        Box::pin(async move {
            match (verb, target) {
                (Verb::Launch | Verb::Train, Some(target)) => form::launch(recipe, &instance_of(target)),
                (Verb::Launch | Verb::Train, None) => Err(Failure::new(
                    FailureKind::Invalid,
                    "a run is launched on an instance, and none is named",
                    format!("open an instance (Enter) and launch there, or: {}", command("train --on INSTANCE")),
                )),
                // From a terminal that was opened on a run: to its instance.
                (Verb::Upload, Some(target)) => instances::upload(aws, &instance_of(target)).await,
                (Verb::Download, Some(target)) => Ok(form::download(target, &Place::parse(target)?.name)),
                _ => Err(no_form(verb)),
            }
        })
    }

    fn preview<'a>(&'a self, _: &'a Aws, recipe: &'a Recipe, form: &'a Form) -> Job<'a, Preview> {
        Box::pin(async move { Ok(form::preview(recipe, form)) })
    }

    fn run<'a>(
        &'a self,
        aws: &'a Aws,
        recipe: &'a Recipe,
        order: &'a Order,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Job<'a, Outcome> {
        Box::pin(async move {
            // What is done by way of SSH the guard does not see.
            if order.verb.mutates() && aws.read_only() {
                return Err(Failure::new(
                    FailureKind::Refused,
                    "read-only: nothing may be changed",
                    "restart without --read-only",
                ));
            }
            let done = match (order.verb, &order.form) {
                (Verb::Launch | Verb::Train, Some(form)) => launch::launch(aws, recipe, form, progress).await,
                (Verb::Download, Some(form)) => act::download(aws, recipe, form, &order.targets, progress).await,
                (Verb::Stop, _) => act::stop(aws, &order.targets).await,
                (Verb::Delete, _) => act::delete(aws, &order.targets).await,
                _ => Err(cannot(order.verb)),
            };
            let on = order.targets.first().or_else(|| order.form.as_ref().and_then(|form| form.parent.as_ref()));
            match (done, on) {
                (Err(failure), Some(id)) => Err(explained(aws, &instance_of(id), failure).await),
                (done, _) => done,
            }
        })
    }

    /// Its log is a file on the instance; see [`mod@follow`].
    fn log(&self, _: &ItemId) -> Option<LogSource> {
        None
    }

    fn follow(
        &self,
        aws: Arc<Aws>,
        id: &ItemId,
        rules: Vec<MetricRule>,
        ended: watch::Receiver<bool>,
        out: mpsc::Sender<LogBatch>,
    ) -> Option<Follower> {
        let place = Place::parse(id).ok()?;
        Some(Box::pin(follow::follow(aws, place, rules, ended, out)))
    }

    /// That of its instance.
    fn door(&self, aws: Arc<Aws>, id: ItemId, ask: Ask) -> Job<'static, Door> {
        match super::find("instances") {
            Some(instances) => instances.door(aws, instance_of(&id), ask),
            None => Box::pin(async { Err(Failure::new(FailureKind::Invalid, "this build knows no instances", "")) }),
        }
    }
}

/// The form of a launch on an instance.
///
/// # Errors
/// When the script cannot be read.
pub(in crate::resource) fn train(recipe: &Recipe, instance: &ItemId) -> Result<Form, Failure> {
    form::launch(recipe, &instance_of(instance))
}

/// How an interactive shell enters the environment `wanted` on that machine, e.g. `source activate pytorch`; `None` when it is
/// not there, or needs no entering.
pub async fn activation(connection: &Connection, wanted: &str) -> Option<String> {
    let python = environment::find(&super::line::over(connection), wanted).await.ok()?;
    Some(python.enter).filter(|enter| !enter.is_empty())
}

/// The runs that are under way on an instance now, in words: over the line that is held to it, or one that is opened if it may be and
/// does not take long. `None`: nobody has looked, or could.
pub(in crate::resource) async fn under_way(aws: &Aws, instance: &ItemId, open: bool) -> Option<Vec<String>> {
    let look = async {
        let line = match line::held(aws, instance) {
            Some(line) => line,
            None if open => line::line(aws, instance).await?,
            None => return Ok(None),
        };
        survey::all(aws, &line, instance).await.map(Some)
    };
    let runs = match tokio::time::timeout(LOOK, look).await {
        Ok(Ok(runs)) => runs?,
        Ok(Err(failure)) => {
            tracing::info!("which runs are under way on {} is not known: {failure}", instance.as_str());
            return None;
        }
        Err(_) => return None,
    };
    let now = jiff::Timestamp::now();
    let told = |run: &survey::Run| {
        let since = run.started.map_or_else(String::new, |started| format!(" for {}", span(seconds_between(started, now))));
        format!("{} ({}{since})", run.name, run.standing.state().word)
    };
    Some(runs.iter().filter(|run| run.standing.is_live()).map(told).collect())
}

/// The failure says that the instance does not run.
fn is_down(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::Conflict | FailureKind::NotFound)
}

/// What an instance costs per hour, where the price is known.
pub(in crate::resource) async fn per_hour(aws: &Aws, instance_type: &str) -> Option<f64> {
    if instance_type.is_empty() {
        return None;
    }
    pricing::quote(aws, Use::Instance, instance_type).await.map(|quote| quote.per_hour)
}

/// What type an instance has now: it may get another one between two runs.
async fn instance_type(aws: &Aws, instance: &ItemId) -> Result<String, Failure> {
    let asked = aws.ec2.describe_instances().instance_ids(instance.as_str()).send().await;
    let asked = asked.map_err(|error| fault::tell(&format!("looking at {}", instance.as_str()), &error))?;
    let found = asked.reservations().iter().flat_map(aws_sdk_ec2::types::Reservation::instances).next();
    Ok(found.and_then(|found| found.instance_type()).map_or("", |kind| kind.as_str()).to_owned())
}

#[cfg(test)]
mod tests;
