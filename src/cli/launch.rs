//! What commands that launch something have in common: the form with overrides, its problems, the question, the order; and
//! what to say when the waiting ends.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::kind::Kind;
use super::session::Session;
use super::{ask, attach, json, orders, print};
use crate::aws::Mode;
use crate::model::{Block, Detail, Failure, FailureKind, Form, ItemId, Order, Outcome, Preview, Problem, Recipe, command};
use crate::resource;

/// Times that a look is repeated as long as it brings more: an account has thousands of quotas to read.
const LOOKS: u32 = 20;
/// How long is looked for more that is wrong, where something is wrong already.
const PATIENCE: Duration = Duration::from_secs(10);

/// Arguments of every such command.
#[derive(clap::Args)]
pub struct Args {
    /// Override what the project file says; of fields with lines one line, too, e.g. hyperparameters.lr=0.1. A KEY that is not
    /// there is answered with those that are
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// What it is to be called
    #[arg(long)]
    pub name: Option<String>,
    /// Show price, quota, findings and what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Launch without asking
    #[arg(long, short)]
    pub yes: bool,
    /// Print JSON: one object, at the end
    #[arg(long)]
    pub json: bool,
}

/// A region that this process holds runs scripts itself, and needs an interpreter for it.
///
/// # Errors
/// `Machine` when there is none.
pub fn interpreter(session: &Session, recipe: &Recipe) -> Result<(), Failure> {
    let python = attach::python(Some(recipe));
    if !session.holds_region() || python.is_file() {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Machine,
        format!("there is no interpreter {}", python.display()),
        "Install Python 3, or name one in footplate.toml: [local] python = \"…\".",
    ))
}

/// Ctrl-C before the service has accepted it.
#[must_use]
pub fn unaccepted(singular: &str) -> Failure {
    Failure::new(
        FailureKind::Cancelled,
        format!("interrupted before the {singular} was accepted"),
        format!("{} tells what became of calls that were under way.", command("doctor")),
    )
}

/// Overrides, problems, question, order. `None` after a dry run.
///
/// # Errors
/// When the form has mistakes, it is not confirmed, or as the service says.
pub async fn order(session: &Session, recipe: &Recipe, mut form: Form, args: &Args) -> Result<Option<ItemId>, Failure> {
    let kind = super::kind::named(&form.resource)?;
    if let Some(name) = &args.name {
        orders::set(&mut form, &format!("name={name}"))?;
    }
    for setting in &args.set {
        orders::set(&mut form, setting)?;
    }
    let (preview, problems) = findings(session, kind.0, recipe, &form).await?;
    if args.dry_run {
        show(&preview, &problems, args.json)?;
        return orders::report(&form, &problems).map(|()| None);
    }
    orders::report(&form, &problems)?;
    confirm(session, &form, &preview, args.yes).await?;
    let order = Order { resource: form.resource.clone(), verb: form.verb, targets: Vec::new(), form: Some(form) };
    match orders::run(session, kind.0, recipe, &order).await? {
        Outcome::Made { id, said } => {
            print::progress(said.as_str());
            Ok(Some(id))
        }
        other => Err(Failure::new(
            FailureKind::Service,
            format!("{}, but nothing was named", other.said()),
            format!("{} shows what there is.", command(&format!("ls {}", order.resource))),
        )),
    }
}

/// What would happen, and all that is wrong: what the form says by itself and what a look outside finds, each once. What is
/// known to be wrong is told also where nothing more can be found out.
///
/// # Errors
/// As the service says, where the form has no mistakes of its own.
pub async fn findings(
    session: &Session,
    resource: &'static dyn resource::Resource,
    recipe: &Recipe,
    form: &Form,
) -> Result<(Preview, Vec<Problem>), Failure> {
    let checked = (resource.spec().check)(form);
    let looked = async {
        // Who cannot sign in is told that, and not that the project is wrong.
        session.aws.identity().await?;
        look(session, resource, recipe, form).await
    };
    let preview = if checked.iter().any(|problem| problem.fatal) {
        tokio::time::timeout(PATIENCE, looked).await.ok().and_then(Result::ok).unwrap_or_default()
    } else {
        looked.await?
    };
    let mut problems = checked;
    for problem in &preview.problems {
        if !problems.contains(problem) {
            problems.push(problem.clone());
        }
    }
    Ok((preview, problems))
}

/// What would happen; looks again as long as that brings more.
///
/// # Errors
/// As the service says.
pub async fn look(
    session: &Session,
    resource: &'static dyn resource::Resource,
    recipe: &Recipe,
    form: &Form,
) -> Result<Preview, Failure> {
    let mut preview = resource.preview(&session.aws, recipe, form).await?;
    for _ in 0..LOOKS {
        if !preview.more {
            break;
        }
        preview = resource.preview(&session.aws, recipe, form).await?;
    }
    Ok(preview)
}

/// The local region costs nothing; AWS does.
async fn confirm(session: &Session, form: &Form, preview: &Preview, yes: bool) -> Result<(), Failure> {
    print::facts(preview);
    if session.aws.mode() == Mode::Local {
        return Ok(());
    }
    let account = if yes { String::new() } else { session.aws.identity().await?.account };
    ask::confirm(&format!("{}: launch in account {account}, {}?", form.title, session.aws.region()), yes)
}

/// What a dry run shows: the facts and the request; as JSON all that is known, in one object.
///
/// # Errors
/// When stdout is gone or full.
pub fn show(preview: &Preview, problems: &[Problem], as_json: bool) -> Result<(), Failure> {
    if as_json {
        return json::print(&json::preview(preview, problems));
    }
    print::facts(preview);
    if preview.request.is_empty() { Ok(()) } else { print::line(preview.request.as_str()) }
}

/// Says what was accepted, and how to go on from there.
///
/// # Errors
/// When stdout is gone or full.
pub fn accepted(kind: Kind, id: &ItemId, as_json: bool) -> Result<ExitCode, Failure> {
    if as_json {
        json::print(&json!({ "name": id.as_str(), "state": "accepted" }))?;
    } else {
        print::line(id.as_str())?;
    }
    let resource = kind.0.spec().id;
    print::progress(&format!("Follow it with: {}", command(&format!("logs {resource} {} --follow", id.as_str()))));
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C while waiting: what goes on, and what does not.
pub async fn interrupted(session: Session, kind: Kind, id: &ItemId) -> Failure {
    if session.holds_region() {
        session.abandon().await;
        return Failure::new(
            FailureKind::Cancelled,
            format!("interrupted: {} was ended", id.as_str()),
            "With `footplate local serve` running, jobs go on when this command is left.",
        );
    }
    let resource = kind.0.spec().id;
    let (follow, stop) =
        (command(&format!("logs {resource} {} --follow", id.as_str())), command(&format!("stop {resource} {}", id.as_str())));
    let hint = format!("Follow it: {follow}\n  Stop it: {stop}");
    Failure::new(FailureKind::Cancelled, format!("no longer waiting: {} goes on", id.as_str()), hint)
}

/// Why it failed, by the text of that title.
#[must_use]
pub fn reason(detail: &Detail) -> Option<String> {
    detail.blocks.iter().find_map(|block| match block {
        Block::Text { title, text } if title.as_str().to_lowercase().contains("fail") => Some(text.to_string()),
        _ => None,
    })
}

/// The form of a verb, from the registry.
///
/// # Errors
/// As the resource says, e.g. that the project lacks something.
pub async fn form(
    session: &Session,
    recipe: &Recipe,
    resource: &'static dyn resource::Resource,
    verb: crate::model::Verb,
    target: Option<&str>,
) -> Result<Form, Failure> {
    let target = target.map(|name| ItemId(name.to_owned()));
    resource.form(&session.aws, recipe, verb, target.as_ref()).await
}
