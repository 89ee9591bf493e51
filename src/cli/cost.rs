//! `footplate cost`: what runs now and for how much an hour, and what has ended jobs cost, as far as AWS's lists and the price
//! table tell; and what they do not tell.

mod tally;

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::globals::Globals;
use super::session::{Purpose, Session};
use super::{json, ls, print};
use crate::aws::{Mode, script_mode};
use crate::model::{Cell, Failure, Item, Recipe, Safe, show};
use crate::resource::{self, Resource};
use tally::{Sums, Tally};

/// Times that a list is asked again, until it has looked at all it shows: each time it describes a few jobs more.
const ROUNDS: usize = 50;
/// Between them: AWS gives an account two such calls a second for everything it does.
const PAUSE: Duration = Duration::from_millis(600);
/// What no list of SageMaker tells.
const UNKNOWN: &[&str] = &[
    "endpoints, notebooks and apps that are gone or stopped: AWS lists what they are, not how long they ran",
    "storage (S3, volumes, logs), data transfer, taxes, discounts, free tiers: see AWS Cost Explorer",
];

/// Arguments of `cost`.
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// Adds up and prints.
///
/// # Errors
/// As the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe_or_bare()?;
    let session = Session::open(globals, Purpose::Look, Some(&recipe)).await?;
    let done = tally(&session, &recipe).await;
    let (mode, region) = (session.aws.mode(), session.aws.region().to_owned());
    session.close().await;
    let tally = done?;
    if args.json {
        json::print(&as_json(&tally, mode, &region))?;
    } else {
        print::line(as_text(&tally, mode, &region).trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn tally(session: &Session, recipe: &Recipe) -> Result<Tally, Failure> {
    let mut tally = Tally::new(print::clock(), session.aws.region(), &script_mode::names::legal(&recipe.name));
    for resource in resource::ALL.iter().filter(|resource| resource.spec().burns) {
        let rows = all(session, *resource).await?;
        tally.add(resource.spec(), &rows);
    }
    Ok(tally)
}

/// All rows, looked at as far as patience goes.
async fn all(session: &Session, resource: &dyn Resource) -> Result<Vec<Item>, Failure> {
    let rows: Mutex<(Vec<Item>, bool)> = Mutex::default();
    for round in 0..ROUNDS {
        if round > 0 && session.aws.mode() == Mode::Aws {
            tokio::time::sleep(PAUSE).await;
        }
        let page = |page: crate::model::Page| {
            let mut rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
            rows.1 = page.more;
            ls::merge(&mut rows.0, page);
        };
        resource.list(&session.aws, None, &page).await?;
        let rows = rows.lock().unwrap_or_else(PoisonError::into_inner);
        if !rows.1 && rows.0.iter().all(|row| tally::is_looked_at(resource.spec(), row)) {
            break;
        }
        print::ticker(&format!("looking at {} …", resource.spec().title.to_lowercase()));
    }
    Ok(rows.into_inner().unwrap_or_else(PoisonError::into_inner).0)
}

fn as_json(tally: &Tally, mode: Mode, region: &str) -> Value {
    let running = tally.running.iter().map(|one| {
        json!({ "kind": one.kind, "id": one.id, "type": one.instance_type, "usd_per_hour": one.per_hour, "usd_so_far": one.so_far, "at_least": one.least })
    });
    let ended = |sums: &Sums| json!({ "jobs": sums.count, "usd": sums.dollars, "without_price": sums.unknown });
    json!({
        "region": region,
        "local": mode == Mode::Local,
        "free": mode == Mode::Local,
        "running": running.collect::<Vec<_>>(),
        "usd_per_hour": tally.per_hour(),
        "project": tally.project,
        "ended": tally.ended.iter().map(|(kind, sums)| (kind.clone(), ended(sums))).collect::<serde_json::Map<_, _>>(),
        "today": ended(&tally.today),
        "this_week": ended(&tally.week),
        "listed": ended(&tally.all),
        "not_looked_at": tally.unseen,
        "prices": tally.sources,
        "not_known": UNKNOWN,
    })
}

fn as_text(tally: &Tally, mode: Mode, region: &str) -> String {
    let free = if mode == Mode::Local { " on AWS · free here" } else { "" };
    let mut lines = Vec::new();
    if tally.running.is_empty() {
        lines.push("Nothing runs now that costs by the hour.".to_owned());
    } else {
        lines.push(format!("Running now: {} an hour{free}", show::money(tally.per_hour())));
        let wide = tally.running.iter().map(|one| one.id.chars().count()).max().unwrap_or(0).min(50);
        for one in &tally.running {
            let rate = one.per_hour.map_or_else(|| "price not known".to_owned(), |rate| format!("{}/h", show::money(rate)));
            let so_far = one.so_far.map_or_else(String::new, |dollars| {
                let spent = Cell::Spent { before: dollars, since: None, per_hour: 0.0, least: one.least };
                format!(", {} so far", spent.show(&show::Clock::default()))
            });
            lines.push(format!("  {:<14}{:<wide$}  {:<16}{rate}{so_far}", one.kind, one.id, one.instance_type));
        }
    }
    lines.push(String::new());
    let project = tally.project.as_ref().map_or_else(|| "All projects".to_owned(), |name| format!("This project ({name})"));
    if tally.ended.is_empty() {
        lines.push(format!("{project}: no ended jobs."));
    } else {
        lines.push(format!("{project}, ended:{free}"));
        for (kind, sums) in &tally.ended {
            lines.push(format!(
                "  {kind:<14}{:>6} jobs  {:>9}{}",
                show::grouped(sums.count),
                show::money(sums.dollars),
                unpriced(sums)
            ));
        }
    }
    lines.push(String::new());
    lines.push(format!("All jobs in {region}, by the day they were started:{free}"));
    for (name, sums) in [("today", &tally.today), ("this week", &tally.week), ("all listed", &tally.all)] {
        lines.push(format!(
            "  {name:<14}{:>6} jobs  {:>9}{}",
            show::grouped(sums.count),
            show::money(sums.dollars),
            unpriced(sums)
        ));
    }
    lines.push(String::new());
    if tally.sources.is_empty() {
        lines.push("Prices: none was needed.".to_owned());
    } else {
        lines.push(format!(
            "Prices: {}; on demand, {region}. What was really billed is in AWS Cost Explorer.",
            tally.sources.join("; ")
        ));
    }
    if tally.unseen > 0 {
        lines.push(format!("Not looked at: {} older jobs; run it again.", show::grouped(tally.unseen)));
    }
    lines.push("Not known here:".to_owned());
    lines.extend(UNKNOWN.iter().map(|what| format!("  {what}")));
    Safe::text(&lines.join("\n")).to_string()
}

fn unpriced(sums: &Sums) -> String {
    if sums.unknown == 0 { String::new() } else { format!("  + {} without a known price", show::grouped(sums.unknown)) }
}
