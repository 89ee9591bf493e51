//! `footplate train`: launches a training job from the project file; with `--on INSTANCE`, a run on that EC2 instance.
//!
//! On AWS the command ends when the job is accepted, or with `--wait` when it is over. On the local region a job lives in
//! the process that holds the region: if another one does (a cockpit, `footplate local serve`), it is the same as on AWS;
//! if this one does, it says so and waits, because to leave would be to end the job.

use std::process::ExitCode;

use serde_json::json;

use super::globals::Globals;
use super::gutter::Sink;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::signals::Signals;
use super::watch::{Awaited, End, until_over};
use super::{json, launch, orders, print};
use crate::model::{Block, Cell, Detail, Failure, FailureKind, ItemId, Order, Phase, Recipe, Safe, Verb};

/// Arguments of `train`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    launch: launch::Args,
    /// Train with the exact hyperparameters of this tuning job's best trial
    #[arg(long, value_name = "TUNING_JOB")]
    best_of: Option<String>,
    /// Train with the exact hyperparameters of this trial of a tuning job
    #[arg(long, value_name = "TRAINING_JOB", conflicts_with = "best_of")]
    trial: Option<String>,
    /// Train on this EC2 instance, as [instance.run] says: data and script are put there, and it outlives the connection
    #[arg(long, value_name = "INSTANCE", conflicts_with_all = ["best_of", "trial"])]
    on: Option<String>,
    /// Follow the log until the job is over; exit 0 only if it completed. On a local region that runs in this very
    /// process (no `footplate local serve`, no cockpit), that is done anyway: the job would end with it. With --on, the
    /// results are fetched, too
    #[arg(long)]
    wait: bool,
}

/// Launches.
///
/// # Errors
/// When the project file or the form has mistakes, it is not confirmed, or as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe()?;
    let kind = kind::named(if args.on.is_some() { "runs" } else { "training-jobs" })?;
    kind.can(Verb::Launch)?;
    let session = Session::open(globals, Purpose::unless(args.launch.dry_run), Some(&recipe)).await?;
    let mut signals = Signals::listen()?;
    let id = match signals.or(launch::unaccepted("job"), Box::pin(launch(&session, kind, &recipe, args))).await {
        Ok(Some(id)) => id,
        other => return session.end(other).await.map(|_| ExitCode::SUCCESS),
    };
    if !args.wait && !session.holds_region() {
        return launch::accepted(kind, &id, args.launch.json);
    }
    if !args.wait {
        print::progress(
            "The local region runs in this process, so this waits for the job. To leave jobs running, start `footplate local serve` first.",
        );
    }
    let sink = if args.launch.json { Sink::Err } else { Sink::Out };
    match until_over(&session, kind.0, &id, Awaited::Job, sink, &mut signals).await {
        Ok(End::Over(detail)) => {
            let fetched = if args.on.is_some() { fetch(&session, kind, &recipe, &id).await } else { Ok(None) };
            session.close().await;
            over(&detail, fetched?.as_ref(), args.launch.json)
        }
        Ok(End::Interrupted) => Err(launch::interrupted(session, kind, &id).await),
        Err(failure) => session.end(Err(failure)).await,
    }
}

/// From the project, or from a trial with its exact values. `None` after a dry run.
async fn launch(session: &Session, kind: Kind, recipe: &Recipe, args: &Args) -> Result<Option<ItemId>, Failure> {
    if args.on.is_none() {
        launch::interpreter(session, recipe)?;
    }
    let form = if let Some(of) = args.best_of.as_ref().or(args.trial.as_ref()) {
        let tuning = kind::named("tuning-jobs")?;
        launch::form(session, recipe, tuning.0, Verb::Promote, Some(of)).await?
    } else {
        let instance = match &args.on {
            Some(named) => Some(instance(session, named).await?),
            None => None,
        };
        launch::form(session, recipe, kind.0, Verb::Launch, instance.as_deref()).await?
    };
    launch::order(session, recipe, form, &args.launch).await
}

/// The id of an instance, which may be named by its name, too.
async fn instance(session: &Session, named: &str) -> Result<String, Failure> {
    let instances = kind::named("instances")?;
    let detail = instances.0.detail(&session.aws, &ItemId(named.to_owned())).await?;
    Ok(facts(&detail)
        .find(|(name, _)| name.as_str() == "id")
        .map_or_else(|| named.to_owned(), |(_, id)| id.show(&print::clock()).to_string()))
}

/// Fetches a run's results, also of one that failed: what it saved before may be worth having. Where to.
async fn fetch(session: &Session, kind: Kind, recipe: &Recipe, id: &ItemId) -> Result<Option<String>, Failure> {
    let form = launch::form(session, recipe, kind.0, Verb::Download, Some(id.as_str())).await?;
    let folder = recipe.root.join(form.value("folder"));
    let order = Order { resource: form.resource.clone(), verb: Verb::Download, targets: vec![id.clone()], form: Some(form) };
    match orders::run(session, kind.0, recipe, &order).await {
        Ok(outcome) => {
            print::progress(outcome.said().as_str());
            Ok(Some(folder.display().to_string()))
        }
        // It is over all the same, and says how.
        Err(failure) => {
            print::failure(&failure);
            Ok(None)
        }
    }
}

fn over(detail: &Detail, fetched: Option<&String>, as_json: bool) -> Result<ExitCode, Failure> {
    // A job that failed has a place for its model, too; what is there is not worth having.
    let model = model(detail).filter(|_| detail.state.phase != Phase::Failed).or_else(|| fetched.cloned());
    let reason = launch::reason(detail);
    let done = detail.state.phase == Phase::Done;
    if as_json {
        let state = &detail.state;
        json::print(
            &json!({ "name": detail.id.as_str(), "state": state.word, "phase": json::phase(state.phase), "model": model, "reason": reason }),
        )?;
    } else if let Some(model) = model.as_ref().filter(|_| done) {
        print::line(model)?;
    }
    if done {
        return Ok(ExitCode::SUCCESS);
    }
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    Err(Failure::new(FailureKind::Service, format!("{} is {}{reason}", detail.id.as_str(), detail.state.word), ""))
}

/// Where the model is, by the fact of that name.
fn model(detail: &Detail) -> Option<String> {
    facts(detail).filter(|(name, _)| name.as_str().eq_ignore_ascii_case("model")).find_map(|(_, value)| {
        if let Cell::Text(text) = value { text.as_str().starts_with("s3://").then(|| text.to_string()) } else { None }
    })
}

fn facts(detail: &Detail) -> impl Iterator<Item = &(Safe, Cell)> {
    detail.blocks.iter().filter_map(|block| if let Block::Facts { facts, .. } = block { Some(facts) } else { None }).flatten()
}
