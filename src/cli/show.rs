//! `footplate show RESOURCE ID`.

use std::process::ExitCode;

use jiff::Timestamp;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::{cell, json, print};
use crate::model::{Block, Detail, Failure, ItemId};

/// Arguments of `show`.
#[derive(clap::Args)]
pub struct Args {
    /// What kind of thing
    #[arg(value_parser = kind::parser())]
    resource: Kind,
    /// Its name, as `ls` prints it
    id: String,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// Prints everything about one thing.
///
/// # Errors
/// As the service says, e.g. when there is no such thing.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let session = Session::open(globals, Purpose::Look, globals.recipe_or_bare().ok().as_ref()).await?;
    let detail = args.resource.0.detail(&session.aws, &ItemId(args.id.clone())).await;
    session.close().await;
    let detail = detail?;
    if args.json { json::print(&json::detail(&detail))? } else { human(&detail)? }
    Ok(ExitCode::SUCCESS)
}

fn human(detail: &Detail) -> Result<(), Failure> {
    let state = print::paint(detail.state.word.as_str(), detail.state.phase, print::colours());
    print::raw(&format!("{}  {state}\n", crate::model::Safe::line(detail.id.as_str())))?;
    let now = Timestamp::now();
    for block in &detail.blocks {
        match block {
            Block::Facts { title, facts } => {
                print::line(&format!("\n{title}"))?;
                let width = facts.iter().map(|(name, _)| unicode_width::UnicodeWidthStr::width(name.as_str())).max().unwrap_or(0);
                for (name, value) in facts {
                    print::line(&format!("  {name:width$}  {}", cell::text(value, now)))?;
                }
            }
            Block::Phases(spans) => {
                print::line("\nPhases")?;
                for span in spans {
                    let length = cell::length(span.end.unwrap_or(now).duration_since(span.start).as_secs_f64());
                    print::line(&format!("  {}  {:>8}  {}  {}", cell::time(span.start), length, span.word, span.message).trim_end().to_owned())?;
                }
            }
            Block::Curves { title, series } => {
                print::line(&format!("\n{title}"))?;
                for one in series {
                    let last = one.points.last().map_or_else(|| "-".to_owned(), |point| point.value.to_string());
                    print::line(&format!("  {}  {last}  ({} values)", one.name, one.points.len()))?;
                }
            }
            Block::Table { title, head, rows } => {
                print::line(&format!("\n{title}"))?;
                let head: Vec<String> = head.iter().map(ToString::to_string).collect();
                let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|value| cell::text(value, now)).collect()).collect();
                print::table(&head, &[], &rows, &[])?;
            }
            Block::Text { title, text } => {
                print::line(&format!("\n{title}"))?;
                for line in text.lines() {
                    print::line(&format!("  {line}"))?;
                }
            }
        }
    }
    Ok(())
}
