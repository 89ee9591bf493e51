//! `footplate ls RESOURCE`.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::{json, print};
use crate::model::{Cell, Failure, Item, ItemId, Page, Safe, Spec};

/// Times that a list is asked for at most.
const LOOKS: usize = 50;

/// Arguments of `ls`.
#[derive(clap::Args)]
pub struct Args {
    /// What to list
    #[arg(value_parser = kind::parser())]
    resource: Kind,
    /// List what is inside this one, e.g. a bucket
    #[arg(value_name = "ID")]
    scope: Option<String>,
    /// Print JSON: an array of objects
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print comma-separated values with a head
    #[arg(long)]
    csv: bool,
}

/// Lists all things of one kind, in the service's order.
///
/// # Errors
/// As the service says; then nothing was printed.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let session = Session::open(globals, Purpose::Look, globals.recipe_or_bare().ok().as_ref()).await?;
    let rows = Mutex::new(Vec::new());
    let scope = args.scope.clone().map(ItemId);
    let listed = all(args.resource, &session, scope.as_ref(), &rows).await;
    session.close().await;
    listed?;
    let rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    let spec = args.resource.0.spec();
    if args.json {
        json::print(&rows.iter().map(|row| json::item(spec, row)).collect::<Value>())?;
    } else if args.csv {
        print::line(csv(spec, &rows).trim_end())?;
    } else if rows.is_empty() {
        print::progress(spec.empty);
    } else {
        table(spec, &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Lists as the cockpit polls, again and again, as long as that brings rows or fills gaps in them: each look is frugal.
async fn all(kind: Kind, session: &Session, scope: Option<&ItemId>, rows: &Mutex<Vec<Item>>) -> Result<(), Failure> {
    let rows = || rows.lock().unwrap_or_else(PoisonError::into_inner);
    let mut known = None;
    for _ in 0..LOOKS {
        kind.0.list(&session.aws, scope, &|page| merge(&mut rows(), page)).await?;
        let gaps = rows().iter().flat_map(|row| &row.cells).filter(|cell| matches!(cell, Cell::Absent)).count();
        let now = Some((rows().len(), gaps));
        if gaps == 0 || now == known {
            break;
        }
        known = now;
    }
    Ok(())
}

/// Takes in a page by id, as the cockpit does.
pub(super) fn merge(rows: &mut Vec<Item>, page: Page) {
    if page.whole {
        *rows = page.items;
        return;
    }
    for item in page.items {
        match rows.iter_mut().find(|row| row.id == item.id) {
            Some(row) => *row = item,
            None => rows.push(item),
        }
    }
}

fn table(spec: &Spec, rows: &[Item]) -> Result<(), Failure> {
    let clock = print::clock();
    let mut head: Vec<Safe> = spec.columns.iter().map(|column| Safe::line(column.title)).collect();
    let mut right: Vec<bool> =
        (0..head.len()).map(|column| rows.iter().filter_map(|row| row.cells.get(column)).any(is_numeric)).collect();
    // The first column is what the other commands take: the whole name, where the cockpit shows a shorter one; the id, where
    // that is something else than the name.
    let is_named = |row: &Item| matches!(row.cells.first(), Some(Cell::Text(name)) if !row.id.as_str().contains(name.as_str()));
    let beside = usize::from(rows.iter().any(is_named));
    if beside == 1 {
        head.insert(0, "ID".into());
        right.insert(0, false);
    }
    let names = rows.iter().map(|row| Safe::line(row.id.as_str()));
    let cells = rows.iter().map(|row| row.cells.iter().skip(1 - beside).map(|value| value.show(&clock)));
    let texts: Vec<Vec<Safe>> = names.zip(cells).map(|(name, rest)| std::iter::once(name).chain(rest).collect()).collect();
    let is_state = |value: &Cell| matches!(value, Cell::State(_));
    let states: Vec<_> =
        rows.iter().map(|row| row.cells.iter().position(is_state).map(|column| (column + beside, row.state.phase))).collect();
    print::table(&head, &right, &texts, &states)
}

/// Numbers line up on the right.
fn is_numeric(cell: &Cell) -> bool {
    !matches!(cell, Cell::Absent | Cell::Text(_) | Cell::State(_) | Cell::Time(_))
}

/// RFC 4180, values as in JSON.
fn csv(spec: &Spec, rows: &[Item]) -> String {
    let quote = |text: String| if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text };
    let plain = |value: &Cell| match json::cell(value) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut lines = vec![
        std::iter::once("id")
            .chain(spec.columns.iter().map(|column| column.title))
            .map(|title| quote(title.to_lowercase()))
            .collect::<Vec<_>>()
            .join(","),
    ];
    for row in rows {
        lines.push(std::iter::once(row.id.0.clone()).chain(row.cells.iter().map(plain)).map(quote).collect::<Vec<_>>().join(","));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use crate::model::{Phase, State};

    use super::*;

    fn item(id: &str, word: &str) -> Item {
        let state = State { phase: Phase::Done, word: Safe::line(word) };
        Item { id: ItemId(id.to_owned()), state, cells: Vec::new(), container: false, per_hour: None }
    }

    #[test]
    fn pages_merge_by_id_and_a_whole_one_replaces() {
        let mut rows = Vec::new();
        let page = |items, whole| Page { items, whole, more: false };
        merge(&mut rows, page(vec![item("a", "1"), item("b", "1")], false));
        merge(&mut rows, page(vec![item("b", "2"), item("c", "1")], false));
        assert_eq!(
            rows.iter().map(|row| (row.id.as_str(), row.state.word.as_str())).collect::<Vec<_>>(),
            [("a", "1"), ("b", "2"), ("c", "1")]
        );
        merge(&mut rows, page(vec![item("z", "1")], true));
        assert_eq!(rows.len(), 1);
    }
}
