//! `footplate show RESOURCE ID`.

use std::process::ExitCode;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::{json, print};
use crate::model::{Block, Cell, Detail, Failure, ItemId, Safe, show};

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
    if args.json {
        json::print(&json::detail(&detail))?;
    } else {
        human(&detail)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn human(detail: &Detail) -> Result<(), Failure> {
    let state = print::paint(detail.state.word.as_str(), detail.state.phase, print::colours());
    print::raw(&format!("{}  {state}\n", Safe::line(detail.id.as_str())))?;
    let clock = print::clock();
    for block in &detail.blocks {
        match block {
            Block::Facts { title, facts } => {
                print::line(&format!("\n{title}"))?;
                let width = facts.iter().map(|(name, _)| unicode_width::UnicodeWidthStr::width(name.as_str())).max().unwrap_or(0);
                for (name, value) in facts {
                    print::line(&format!("  {name:width$}  {}", value.show(&clock)))?;
                }
            }
            Block::Phases(spans) => {
                print::line("\nPhases")?;
                for span in spans {
                    let length = show::span(show::seconds_between(span.start, span.end.unwrap_or(clock.now)));
                    print::line(
                        format!("  {}  {:>8}  {}  {}", show::moment(span.start, &clock), length, span.word, span.message)
                            .trim_end(),
                    )?;
                }
            }
            Block::Curves { title, series } => {
                print::line(&format!("\n{title}"))?;
                for one in series {
                    let last = one.points.last().map_or_else(|| "-".to_owned(), |point| show::decimal(point.value));
                    print::line(&format!("  {}  {last}  ({} values)", one.name, one.points.len()))?;
                }
            }
            Block::Gauges { title, gauges, note } => {
                print::line(&format!("\n{title}"))?;
                let width =
                    gauges.iter().map(|gauge| unicode_width::UnicodeWidthStr::width(gauge.name.as_str())).max().unwrap_or(0);
                for gauge in gauges {
                    let share = gauge.share.map_or_else(|| "-".to_owned(), |share| Cell::Share(share).show(&clock).to_string());
                    print::line(&format!("  {:width$}  {share:>6}  {}", gauge.name, gauge.said))?;
                }
                if !note.is_empty() {
                    print::line(&format!("  {note}"))?;
                }
            }
            // Charts are for the cockpit; what they show is in `--json`.
            Block::Plots(_) => {}
            Block::Table { title, head, rows } => {
                print::line(&format!("\n{title}"))?;
                let rows: Vec<Vec<Safe>> = rows.iter().map(|row| row.iter().map(|value| value.show(&clock)).collect()).collect();
                print::table(head, &[], &rows, &[])?;
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
