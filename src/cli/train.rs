//! `footplate train`: launches a training job from the project file.
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
use super::watch::{End, until_over};
use super::{ask, attach, json, orders, print};
use crate::aws::Mode;
use crate::model::{Block, Cell, Detail, Failure, FailureKind, Form, ItemId, Order, Outcome, Phase, Preview, Recipe, Verb};

/// Times that a look is repeated as long as it brings more: an account has thousands of quotas to read.
const LOOKS: u32 = 20;

/// Arguments of `train`.
#[derive(clap::Args)]
pub struct Args {
    /// Override a key of the project file, e.g. `instance_type=ml.c5.xlarge`, `max_runtime=2h` or hyperparameters.lr=0.1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Name of the job
    #[arg(long)]
    name: Option<String>,
    /// Follow the log until the job is over; exit 0 only if it completed. On a local region that runs in this very
    /// process (no `footplate local serve`, no cockpit), that is done anyway: the job would end with it
    #[arg(long)]
    wait: bool,
    /// Show price, quota, findings and what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Launch without asking
    #[arg(long, short)]
    yes: bool,
    /// Print JSON: one object, at the end
    #[arg(long)]
    json: bool,
}

/// Launches.
///
/// # Errors
/// When the project file or the form has mistakes, it is not confirmed, or as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe()?;
    let kind = kind::named("training-jobs")?;
    kind.can(Verb::Launch)?;
    let purpose = if args.dry_run { Purpose::Look } else { Purpose::Change };
    let session = Session::open(globals, purpose, Some(&recipe)).await?;
    if session.holds_region() && !attach::python(Some(&recipe)).is_file() {
        let what = format!("there is no interpreter {}", attach::python(Some(&recipe)).display());
        session.abandon().await;
        return Err(Failure::new(
            FailureKind::Machine,
            what,
            "Install Python 3, or name one in footplate.toml: [local] python = \"…\".",
        ));
    }
    let mut signals = Signals::listen()?;
    let launched = tokio::select! {
        launched = launch(&session, kind, &recipe, args) => launched,
        () = signals.next() => Err(Failure::new(FailureKind::Cancelled, "interrupted before the job was accepted", "footplate doctor tells what became of calls that were under way.")),
    };
    let id = match launched {
        Ok(Some(id)) => id,
        Ok(None) => {
            session.close().await;
            return Ok(ExitCode::SUCCESS);
        }
        Err(failure) => {
            session.abandon().await;
            return Err(failure);
        }
    };
    if !args.wait && !session.holds_region() {
        return accepted(&session, &id, args.json);
    }
    if !args.wait {
        print::progress(
            "The local region runs in this process, so this waits for the job. To leave jobs running, start `footplate local serve` first.",
        );
    }
    let sink = if args.json { Sink::Err } else { Sink::Out };
    match until_over(&session, kind.0, &id, sink, &mut signals).await {
        Ok(End::Over(detail)) => {
            session.close().await;
            over(&detail, args.json)
        }
        Ok(End::Interrupted) => Err(interrupted(session, &id).await),
        Err(failure) => {
            session.abandon().await;
            Err(failure)
        }
    }
}

/// Form, overrides, problems, question, order. `None` after a dry run.
async fn launch(session: &Session, kind: Kind, recipe: &Recipe, args: &Args) -> Result<Option<ItemId>, Failure> {
    let mut form = kind.0.form(&session.aws, recipe, Verb::Launch, None).await?;
    if let Some(name) = &args.name {
        orders::set(&mut form, &format!("name={name}"))?;
    }
    for setting in &args.set {
        orders::set(&mut form, setting)?;
    }
    let checked = (kind.0.spec().check)(&form);
    if checked.iter().any(|problem| problem.fatal) {
        orders::report(&form, &checked)?;
    }
    // Who cannot sign in is told that, and not that the project is wrong.
    session.aws.identity().await?;
    let mut preview = kind.0.preview(&session.aws, recipe, &form).await?;
    for _ in 0..LOOKS {
        if !preview.more {
            break;
        }
        preview = kind.0.preview(&session.aws, recipe, &form).await?;
    }
    let problems: Vec<_> = checked.iter().chain(&preview.problems).cloned().collect();
    if args.dry_run {
        show(&preview, args.json)?;
        return orders::report(&form, &problems).map(|()| None);
    }
    orders::report(&form, &problems)?;
    confirm(session, &form, &preview, args.yes).await?;
    let order = Order { resource: form.resource.clone(), verb: Verb::Launch, targets: Vec::new(), form: Some(form) };
    match orders::run(session, kind.0, recipe, &order).await? {
        Outcome::Made { id, said } => {
            print::progress(said.as_str());
            Ok(Some(id))
        }
        other => Err(Failure::new(
            FailureKind::Service,
            format!("{}, but no job was named", other.said()),
            "footplate ls training-jobs shows what there is.",
        )),
    }
}

/// The local region costs nothing; AWS does.
async fn confirm(session: &Session, form: &Form, preview: &Preview, yes: bool) -> Result<(), Failure> {
    for (name, value) in &preview.facts {
        print::progress(&format!("  {name}: {value}"));
    }
    if session.aws.mode() == Mode::Local {
        return Ok(());
    }
    let account = if yes { String::new() } else { session.aws.identity().await?.account };
    ask::confirm(&format!("{}: launch in account {account}, {}?", form.title, session.aws.region()), yes)
}

fn show(preview: &Preview, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print::line(preview.request.as_str());
    }
    for (name, value) in &preview.facts {
        print::progress(&format!("  {name}: {value}"));
    }
    print::line(preview.request.as_str())
}

fn accepted(session: &Session, id: &ItemId, as_json: bool) -> Result<ExitCode, Failure> {
    if as_json {
        json::print(&json!({ "name": id.as_str(), "state": "accepted" }))?;
    } else {
        print::line(id.as_str())?;
    }
    print::progress(&format!("Follow it with: footplate{} logs training-jobs {} --follow", flag(session), id.as_str()));
    Ok(ExitCode::SUCCESS)
}

async fn interrupted(session: Session, id: &ItemId) -> Failure {
    if session.holds_region() {
        session.abandon().await;
        return Failure::new(
            FailureKind::Cancelled,
            format!("interrupted: {} was ended", id.as_str()),
            "With `footplate local serve` running, jobs go on when this command is left.",
        );
    }
    let hint = format!(
        "Follow it: footplate{0} logs training-jobs {1} --follow\n  Stop it: footplate{0} stop training-jobs {1}",
        flag(&session),
        id.as_str()
    );
    Failure::new(FailureKind::Cancelled, format!("no longer waiting: {} goes on", id.as_str()), hint)
}

fn flag(session: &Session) -> &'static str {
    if session.aws.mode() == Mode::Local { " --local" } else { "" }
}

fn over(detail: &Detail, as_json: bool) -> Result<ExitCode, Failure> {
    // A job that failed has a place for its model, too; what is there is not worth having.
    let model = model(detail).filter(|_| detail.state.phase != Phase::Failed);
    let reason = reason(detail);
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
    let facts = detail
        .blocks
        .iter()
        .filter_map(|block| if let Block::Facts { facts, .. } = block { Some(facts) } else { None })
        .flatten();
    facts.filter(|(name, _)| name.as_str().eq_ignore_ascii_case("model")).find_map(|(_, value)| {
        if let Cell::Text(text) = value { text.as_str().starts_with("s3://").then(|| text.to_string()) } else { None }
    })
}

/// Why it failed, by the text of that title.
fn reason(detail: &Detail) -> Option<String> {
    detail.blocks.iter().find_map(|block| match block {
        Block::Text { title, text } if title.as_str().to_lowercase().contains("fail") => Some(text.to_string()),
        _ => None,
    })
}
