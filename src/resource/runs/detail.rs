//! Everything about one run.

use jiff::Timestamp;

use super::gauges;
use super::list::spent;
use super::place::Place;
use super::record::{Noted, Standing, Step};
use super::survey::{self, How, Run};
use crate::aws::{Aws, Mode};
use crate::model::show::money;
use crate::model::{Block, Cell, Detail, Failure, ItemId, Safe, command};
use crate::resource::instances;
use crate::resource::line::line;

pub(super) async fn detail(aws: &Aws, id: &ItemId) -> Result<Detail, Failure> {
    let place = Place::parse(id)?;
    let line = line(aws, &place.instance).await?;
    let run = survey::one(&line, &place.name).await?;
    let gauges = if run.standing.is_live() { gauges::gauges(aws, &place.instance).await } else { None };
    Ok(told(aws, id, run, gauges, None).await)
}

/// What is known of a run whose instance is down, as `why` says; none when nobody has looked at it before.
pub(super) async fn detail_cut(aws: &Aws, id: &ItemId, why: &Failure) -> Option<Detail> {
    let place = Place::parse(id).ok()?;
    let run = survey::remembered(aws, &place.instance).into_iter().find(|run| run.name == place.name)?;
    let down = instances::down_since(aws, place.instance.as_str()).await;
    Some(told(aws, id, run.cut(down), None, Some(why)).await)
}

async fn told(aws: &Aws, id: &ItemId, run: Run, gauges: Option<Block>, down: Option<&Failure>) -> Detail {
    let per_hour = super::per_hour(aws, &run.record.instance_type).await;
    let mut blocks = Vec::new();
    let title = match run.standing {
        How::Unfinished => "why it never started",
        How::Lost => "how it was lost",
        _ => "why it failed",
    };
    blocks.extend(why(&run, id, down).map(|text| Block::Text { title: title.into(), text }));
    blocks.push(bill(aws, &run, per_hour));
    let last: Vec<_> =
        run.trends.iter().filter_map(|(name, values)| Some((name.clone(), Cell::Number(*values.last()?)))).collect();
    if !last.is_empty() {
        blocks.push(Block::Facts { title: "last values".into(), facts: last });
    }
    blocks.push(steps(&run));
    blocks.extend(gauges);
    blocks.push(recipe(&run));
    let started = run.started.is_some();
    // What never ran has printed nothing that a metric could be found in.
    let metrics = if started { run.record.metrics } else { Vec::new() };
    Detail { id: id.clone(), state: run.standing.state(), blocks, metrics, log: started }
}

/// What is said of a run that ended on a full disk: that may be all its fault, and nothing else could be written down.
fn full(id: &ItemId) -> String {
    let delete = command(&format!("delete runs {}", id.as_str()));
    format!(
        "\nthe instance's disk was full: free some of it ({delete}, or rm in a terminal), or launch an instance with more storage"
    )
}

/// What there is to say about a run that did not end well, or not yet begin.
fn why(run: &Run, id: &ItemId, down: Option<&Failure>) -> Option<Safe> {
    let said = match run.standing {
        How::Failed(code) => {
            let signal = if code > 128 { format!(" (signal {})", code - 128) } else { String::new() };
            let full = if run.full { full(id) } else { String::new() };
            format!("exit code {code}{signal}{full}\n{}", run.last.join("\n"))
        }
        How::Lost => {
            let what = down.map_or_else(
                || {
                    "its process is gone and has left no exit code: it was killed with its keeper, or the instance went down or ran out of memory".to_owned()
                },
                |down| format!("{}: the run ended with it, as far as can be told from here", down.what),
            );
            // What it said last, and no error among it: the newest is what tells how far it came.
            format!("{what}\n{}", run.last[run.last.len().saturating_sub(2)..].join("\n"))
        }
        How::Unfinished => {
            let last = run.steps.iter().rev().find(|step| step.standing == Standing::Failed);
            let what =
                last.map_or_else(|| "its launch broke off".to_owned(), |step| format!("{}: {}", step.step.word(), step.said));
            format!("{what}\nLaunch again under the name {} to go on: what is done is not done again.", run.name)
        }
        _ => return None,
    };
    Some(Safe::text(said.trim_end()))
}

/// What matters first: how long and what it costs.
fn bill(aws: &Aws, run: &Run, per_hour: Option<f64>) -> Block {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let (elapsed, cost) = spent(run, per_hour);
    let mut add = |name: &str, cell: Cell| {
        if cell != Cell::Absent {
            facts.push((name.into(), cell));
        }
    };
    let lost = run.standing == How::Lost;
    add(if lost { "ran at least" } else { "elapsed" }, elapsed);
    add("cost", cost);
    add("last seen", run.seen.filter(|_| lost).map_or(Cell::Absent, Cell::Time));
    let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
    let kind = &run.record.instance_type;
    if let Some(per_hour) = per_hour {
        add(
            "price",
            Cell::Text(Safe::line(&format!("{}/h for {kind}{free}; the instance costs it, busy or not", money(per_hour)))),
        );
    }
    match run.standing {
        How::Done => add("exit code", Cell::Count(0)),
        How::Failed(code) => add("exit code", Cell::Text(Safe::line(&code.to_string()))),
        _ => {}
    }
    add("started", run.started.map_or(Cell::Absent, Cell::Time));
    add("ended", run.ended.map_or(Cell::Absent, Cell::Time));
    if run.standing.is_live() {
        add("process", run.pid.map_or(Cell::Absent, |pid| Cell::Text(Safe::line(&pid.to_string()))));
    }
    if run.started.is_some() {
        add("log", Cell::Bytes(run.log));
    }
    Block::Facts { title: "run".into(), facts }
}

/// The steps as they were last taken, in their order.
fn steps(run: &Run) -> Block {
    let row = |step: Step| {
        let of: Vec<&Noted> = run.steps.iter().filter(|noted| noted.step == step).collect();
        let last = of.last()?;
        let begun = of.iter().rev().find(|noted| noted.standing == Standing::Begun);
        let took = begun.filter(|_| last.standing != Standing::Begun).map(|begun| seconds(begun.at, last.at));
        let text = |text: &str| Cell::Text(Safe::line(text));
        let cells = vec![
            text(step.word()),
            text(last.standing.word()),
            took.map_or(Cell::Absent, Cell::Seconds),
            Cell::Time(last.at),
            text(&last.said),
        ];
        Some(cells)
    };
    let rows = Step::ALL.into_iter().filter_map(row).collect();
    let head = ["STEP", "STATE", "TOOK", "AT", "SAID"].map(Safe::line).to_vec();
    Block::Table { title: "steps".into(), head, rows }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    crate::model::show::seconds_between(from, to)
}

fn recipe(run: &Run) -> Block {
    let record = &run.record;
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            facts.push((name.into(), Cell::Text(Safe::line(value))));
        }
    };
    add("script", &record.script);
    let shown = record
        .arguments
        .iter()
        .map(|(name, value)| if is_secret(name) { format!("{name} ••••") } else { format!("{name} {value}") });
    add("arguments", shown.collect::<Vec<_>>().join(" ").trim());
    add("environment", &record.environment);
    add("data", record.data.as_deref().unwrap_or_default());
    add("folders", &record.folders.join(", "));
    add("results", &record.results.join(", "));
    add("folder", &format!("~/footplate/runs/{}", run.name));
    add("script's hash", record.script_hash.get(..12).unwrap_or_default());
    Block::Facts { title: "recipe".into(), facts }
}

/// Names under which people pass what nobody should read over a shoulder.
fn is_secret(name: &str) -> bool {
    let name = name.to_lowercase();
    ["token", "password", "passwd", "secret", "api-key", "api_key", "apikey"].iter().any(|word| name.contains(word))
}
