//! What commands that launch something have in common: the form with overrides, its problems, the question, the order; and
//! what to say when the waiting ends.

use std::process::ExitCode;

use serde_json::json;

use super::kind::Kind;
use super::session::Session;
use super::{ask, attach, json, orders, print};
use crate::aws::Mode;
use crate::model::{Block, Detail, Failure, FailureKind, Form, ItemId, Order, Outcome, Preview, Problem, Recipe};
use crate::resource;

/// Times that a look is repeated as long as it brings more: an account has thousands of quotas to read.
const LOOKS: u32 = 20;

/// Arguments of every such command.
#[derive(clap::Args)]
pub struct Args {
    /// Override a key of the project file, e.g. `instance_type=ml.c5.xlarge`, `max_runtime=2h` or hyperparameters.lr=0.1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Name of the job
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
        "footplate doctor tells what became of calls that were under way.",
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
    let checked = (kind.0.spec().check)(&form);
    if checked.iter().any(|problem| problem.fatal) {
        orders::report(&form, &checked)?;
    }
    // Who cannot sign in is told that, and not that the project is wrong.
    session.aws.identity().await?;
    let preview = look(session, kind.0, recipe, &form).await?;
    let problems: Vec<_> = checked.iter().chain(&preview.problems).cloned().collect();
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
            format!("footplate ls {} shows what there is.", order.resource),
        )),
    }
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
    print::line(preview.request.as_str())
}

/// Says what was accepted, and how to go on from there.
///
/// # Errors
/// When stdout is gone or full.
pub fn accepted(session: &Session, kind: Kind, id: &ItemId, as_json: bool) -> Result<ExitCode, Failure> {
    if as_json {
        json::print(&json!({ "name": id.as_str(), "state": "accepted" }))?;
    } else {
        print::line(id.as_str())?;
    }
    let resource = kind.0.spec().id;
    print::progress(&format!("Follow it with: footplate{} logs {resource} {} --follow", flag(session), id.as_str()));
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
    let hint = format!(
        "Follow it: footplate{0} logs {resource} {1} --follow\n  Stop it: footplate{0} stop {resource} {1}",
        flag(&session),
        id.as_str()
    );
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

fn flag(session: &Session) -> &'static str {
    if session.aws.mode() == Mode::Local { " --local" } else { "" }
}
