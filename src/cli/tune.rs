//! `footplate tune`: launches a tuning job from the project file's `[tuning]`, and with `--wait` tells each trial as it
//! comes. As with `train`, a local region in this process is waited for, because to leave would be to end it.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::signals::Signals;
use super::watch::{passes, period};
use super::{json, launch, print};
use crate::model::{Block, Cell, Detail, Failure, FailureKind, Item, ItemId, Page, Phase, Recipe, Verb, command};

/// Arguments of `tune`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    launch: launch::Args,
    /// Tell each trial as it comes until the tuning job is over; exit 0 only if it completed
    #[arg(long)]
    wait: bool,
}

/// Launches.
///
/// # Errors
/// When the project file or the form has mistakes, it is not confirmed, or as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe()?;
    let kind = kind::named("tuning-jobs")?;
    kind.can(Verb::Launch)?;
    let session = Session::open(globals, Purpose::unless(args.launch.dry_run), Some(&recipe)).await?;
    let mut signals = Signals::listen()?;
    let id = match signals.or(launch::unaccepted("tuning job"), Box::pin(launched(&session, kind, &recipe, args))).await {
        Ok(Some(id)) => id,
        other => return session.end(other).await.map(|_| ExitCode::SUCCESS),
    };
    if !args.wait && !session.holds_region() {
        return launch::accepted(kind, &id, args.launch.json);
    }
    if !args.wait {
        print::progress(
            "The local region runs in this process, so this waits for the trials. To leave them running, start `footplate local serve` first.",
        );
    }
    match watch(&session, kind, &id, args.launch.json, &mut signals).await {
        Ok(Some((detail, trials))) => {
            session.close().await;
            over(&detail, &trials, args.launch.json)
        }
        Ok(None) => Err(launch::interrupted(session, kind, &id).await),
        Err(failure) => session.end(Err(failure)).await,
    }
}

async fn launched(session: &Session, kind: Kind, recipe: &Recipe, args: &Args) -> Result<Option<ItemId>, Failure> {
    launch::interpreter(session, recipe)?;
    let form = launch::form(session, recipe, kind.0, Verb::Launch, None).await?;
    launch::order(session, recipe, form, &args.launch).await
}

/// Tells each trial whenever its state changes, until the tuning job and all of them are over. `None` when a signal asked
/// to end first.
async fn watch(
    session: &Session,
    kind: Kind,
    id: &ItemId,
    as_json: bool,
    signals: &mut Signals,
) -> Result<Option<(Detail, Vec<Item>)>, Failure> {
    let period = period(&session.aws, kind.0);
    let mut said: HashMap<ItemId, String> = HashMap::new();
    let mut state = String::new();
    let mut trouble = false;
    loop {
        match look(session, kind, id).await {
            Ok((detail, trials)) => {
                trouble = false;
                if state != detail.state.word.as_str() {
                    detail.state.word.as_str().clone_into(&mut state);
                    print::progress(&format!("{}: {state}", id.as_str()));
                }
                let mut in_order: Vec<&Item> = trials.iter().collect();
                in_order.sort_by(|a, b| a.id.cmp(&b.id));
                for trial in in_order {
                    let line = line(trial);
                    if said.get(&trial.id) != Some(&line) {
                        tell(&line, as_json)?;
                        said.insert(trial.id.clone(), line);
                    }
                }
                if !detail.state.phase.is_live() && !trials.iter().any(|trial| trial.state.phase.is_live()) {
                    return Ok(Some((detail, trials)));
                }
            }
            Err(failure) if passes(failure.kind) => {
                if !std::mem::replace(&mut trouble, true) {
                    print::failure(&failure);
                    print::progress("The trials are not affected; trying again.");
                }
            }
            Err(failure) => return Err(failure),
        }
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            () = signals.next() => return Ok(None),
        }
    }
}

/// The tuning job, and its trials, best first.
async fn look(session: &Session, kind: Kind, id: &ItemId) -> Result<(Detail, Vec<Item>), Failure> {
    let detail = kind.0.detail(&session.aws, id).await?;
    let rows: Mutex<Vec<Item>> = Mutex::default();
    let page = |page: Page| *rows.lock().unwrap_or_else(PoisonError::into_inner) = page.items;
    kind::named("trials")?.0.list(&session.aws, Some(id), &page).await?;
    Ok((detail, rows.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// `digits-…-003-0e6f4f4a  Completed  0.4118  batch-size=32 learning-rate=0.05`
fn line(trial: &Item) -> String {
    let objective = objective(trial).map_or_else(|| "–".to_owned(), |value| value.to_string());
    format!("{}  {:<10}  {objective}  {}", trial.id.as_str(), trial.state.word.as_str(), values(trial))
}

/// What the trial tried: the column VALUES.
fn values(trial: &Item) -> &str {
    let texts = trial.cells.iter().skip(1).find_map(|cell| if let Cell::Text(text) = cell { Some(text.as_str()) } else { None });
    texts.unwrap_or_default()
}

/// The column OBJECTIVE.
fn objective(trial: &Item) -> Option<f64> {
    trial.cells.iter().find_map(|cell| if let Cell::Number(value) = cell { Some(*value) } else { None })
}

fn tell(line: &str, as_json: bool) -> Result<(), Failure> {
    if as_json {
        print::progress(line);
        return Ok(());
    }
    print::line(line)
}

fn over(detail: &Detail, trials: &[Item], as_json: bool) -> Result<ExitCode, Failure> {
    let reason = launch::reason(detail);
    let best = trials.iter().find(|trial| objective(trial).is_some());
    if as_json {
        let told = best.map(|best| {
            let facts = facts(detail, "best");
            json!({ "name": best.id.as_str(), "objective": objective(best), "values": facts })
        });
        json::print(&json!({
            "name": detail.id.as_str(), "state": detail.state.word, "phase": json::phase(detail.state.phase),
            "trials": trials.len(), "best": told, "reason": reason,
        }))?;
    } else if let Some(best) = best {
        let values = facts(detail, "best");
        let values: Vec<String> = values
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .collect();
        let objective = objective(best).map_or_else(String::new, |value| value.to_string());
        print::line(&format!("best: {}  {objective}  {}", best.id.as_str(), values.join(" ")))?;
    }
    if detail.state.phase == Phase::Done {
        if let Some(best) = best {
            print::progress(&format!("Train with it: {}", command(&format!("train --trial {}", best.id.as_str()))));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    Err(Failure::new(FailureKind::Service, format!("{} is {}{reason}", detail.id.as_str(), detail.state.word), ""))
}

/// The texts among the facts of that title: of the best trial, the values that were searched.
fn facts(detail: &Detail, wanted: &str) -> Value {
    let block = detail.blocks.iter().find_map(|block| match block {
        Block::Facts { title, facts } if title.as_str() == wanted => Some(facts),
        _ => None,
    });
    let texts = block.into_iter().flatten().filter_map(|(name, cell)| match cell {
        Cell::Text(text) if name.as_str() != "trial" && name.as_str() != "better before" => Some((name.to_string(), json!(text))),
        _ => None,
    });
    texts.collect()
}
