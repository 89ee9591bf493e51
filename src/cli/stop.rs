//! `footplate start`, `stop`, `reboot` and `delete`, each with `RESOURCE ID...`.

use std::process::ExitCode;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::{ask, json, orders, print};
use crate::model::{Block, Cell, Confirm, Detail, Failure, ItemId, Order, Outcome, Recipe, Safe, Verb, command};

/// Arguments of `start`, `stop`, `reboot` and `delete`.
#[derive(clap::Args)]
pub struct Args {
    /// What kind of thing
    #[arg(value_parser = kind::parser())]
    resource: Kind,
    /// Names, as `ls` prints them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    /// Delete what is left of them, too, without asking: a repacked model, a log
    #[arg(long)]
    leftovers: bool,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// Starts, stops, reboots or deletes, after asking.
///
/// # Errors
/// When it is not confirmed, cannot be done with this resource, or as the service says.
pub async fn run(globals: &Globals, verb: Verb, args: &Args) -> Result<ExitCode, Failure> {
    args.resource.can(verb)?;
    let recipe = globals.recipe_or_bare()?;
    let session = Session::open(globals, Purpose::Change, Some(&recipe)).await?;
    let done = order(&session, &recipe, verb, args).await;
    session.end(done).await
}

async fn order(session: &Session, recipe: &Recipe, verb: Verb, args: &Args) -> Result<ExitCode, Failure> {
    let resource = args.resource.0;
    // A name that does not exist is told before anything is asked or done; one that does is what it names from here on.
    let (mut targets, mut names) = (Vec::new(), Vec::new());
    for named in &args.ids {
        let detail = resource.detail(&session.aws, &ItemId(named.clone())).await?;
        names.push(called(&detail));
        targets.push(detail.id);
    }
    if !args.yes {
        let account = session.aws.identity().await?.account;
        let names = names.join(", ");
        let spec = resource.spec();
        let mut warned = (spec.warns)(verb).to_string();
        if verb.interrupts() {
            let stakes = targets.iter().map(|target| resource.at_stake(&session.aws, target));
            // What cannot be looked at now will say so when it is to be done.
            for line in futures_util::future::join_all(stakes).await.into_iter().flatten().flatten() {
                warned.push('\n');
                warned.push_str(line.as_str());
            }
        }
        let question =
            format!("{warned}\n{} {} in account {account}, {}: {names}", verb.name(), spec.singular, session.aws.region());
        match verb.confirm() {
            Confirm::None => {}
            Confirm::Ask => ask::confirm(&format!("{question}?"), false)?,
            Confirm::Type => ask::confirm_by_name(&question, if targets.len() == 1 { &args.ids[0] } else { "delete" }, false)?,
        }
    }
    let ids: Vec<String> = targets.iter().map(|id| id.as_str().to_owned()).collect();
    let order = Order { resource: resource.spec().id.to_owned(), verb, targets, form: None };
    let outcome = orders::run(session, resource, recipe, &order).await?;
    let said = outcome.said();
    if !args.json {
        print::line(said.as_str())?;
    }
    let left = match &outcome {
        Outcome::Then { question, lines, order, .. } => {
            let taken = follow_up(session, recipe, args, question, lines, order).await?;
            if taken { Vec::new() } else { lines.clone() }
        }
        _ => Vec::new(),
    };
    if args.json {
        json::print(&serde_json::json!({ "done": verb.name(), "ids": ids, "said": said, "left": left }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Its name and its id, where it has a name besides.
fn called(detail: &Detail) -> String {
    let id = detail.id.as_str();
    let facts = detail.blocks.iter().filter_map(|block| match block {
        Block::Facts { facts, .. } => Some(facts),
        _ => None,
    });
    let name = facts.flatten().find_map(|(key, value)| match value {
        Cell::Text(name) if key.as_str() == "name" => Some(name.as_str()),
        _ => None,
    });
    match name {
        Some(name) if !id.contains(name) => format!("{name} ({id})"),
        _ => id.to_owned(),
    }
}

/// What an order leaves to be asked about: done with `--leftovers` or a yes on the terminal; else it is told what is left.
/// Whether it was done.
async fn follow_up(
    session: &Session,
    recipe: &Recipe,
    args: &Args,
    question: &Safe,
    lines: &[Safe],
    order: &Order,
) -> Result<bool, Failure> {
    for line in lines {
        print::progress(&format!("  left: {line}"));
    }
    // The first order is done whatever the answer is, and without a terminal nobody is asked.
    if !args.leftovers && (args.yes || args.json || ask::confirm(question.as_str(), false).is_err()) {
        let see = command("orphans");
        print::progress(&format!("They are kept. `--leftovers` with the first deletion takes them, too; see also: {see}"));
        return Ok(false);
    }
    let resource = kind::named(&order.resource)?;
    let outcome = orders::run(session, resource.0, recipe, order).await?;
    print::progress(outcome.said().as_str());
    Ok(true)
}
