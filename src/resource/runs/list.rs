//! The rows.

use jiff::Timestamp;

use super::place::id;
use super::survey::{self, How, Run};
use crate::aws::Aws;
use crate::model::show::seconds_between;
use crate::model::{Cell, Failure, Item, ItemId, Page, Safe};
use crate::resource::instances;
use crate::resource::line::line;

/// One poll: all runs by one script.
pub(super) async fn list(aws: &Aws, instance: &ItemId, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let line = line(aws, instance).await?;
    let runs = survey::all(aws, &line, instance).await?;
    let mut items = Vec::new();
    for run in &runs {
        let per_hour = super::per_hour(aws, &run.record.instance_type).await;
        items.push(row(instance, run, per_hour));
    }
    page(Page { items, whole: true, more: false });
    Ok(())
}

/// What is known of the runs on an instance that is down: as they were when they were looked at last, and none goes on.
pub(super) async fn list_cut(aws: &Aws, instance: &ItemId, page: &(dyn Fn(Page) + Send + Sync)) {
    let runs = survey::remembered(aws, instance);
    if runs.is_empty() {
        return;
    }
    let down = instances::down_since(aws, instance.as_str()).await;
    let mut items = Vec::new();
    for run in runs {
        let per_hour = super::per_hour(aws, &run.record.instance_type).await;
        items.push(row(instance, &run.cut(down), per_hour));
    }
    page(Page { items, whole: true, more: false });
}

fn row(instance: &ItemId, run: &Run, per_hour: Option<f64>) -> Item {
    let state = run.standing.state();
    let (elapsed, cost) = spent(run, per_hour);
    let last = run
        .trends
        .first()
        .map_or(Cell::Absent, |(_, values)| Cell::Trend { last: values.last().copied(), values: values.clone() });
    let process = run.pid.filter(|_| run.standing.is_live()).map_or(Cell::Absent, |pid| Cell::Text(Safe::line(&pid.to_string())));
    let started = run.started.or_else(|| Timestamp::from_second(run.record.created).ok());
    Item {
        id: id(instance, &run.name),
        cells: vec![
            Cell::Text(Safe::line(&run.name)),
            Cell::State(state.clone()),
            last,
            elapsed,
            cost,
            process,
            started.map_or(Cell::Absent, Cell::Time),
        ],
        // Its end saves nothing: the instance costs it, busy or not.
        per_hour: None,
        state,
        container: false,
    }
}

/// How long it ran and its share of what the instance costs.
pub(super) fn spent(run: &Run, per_hour: Option<f64>) -> (Cell, Cell) {
    match (run.started, run.ended) {
        (Some(since), None) if run.standing.is_live() => {
            (Cell::Since(since), per_hour.map_or(Cell::Absent, |per_hour| Cell::Accrues { since, per_hour }))
        }
        (Some(start), Some(end)) => {
            let seconds = seconds_between(start, end);
            (Cell::Seconds(seconds), per_hour.map_or(Cell::Absent, |per_hour| Cell::Money(per_hour * seconds / 3600.0)))
        }
        // It ran until then, and maybe on.
        (Some(start), None) if run.standing == How::Lost => match run.seen.filter(|seen| *seen >= start) {
            Some(seen) => {
                let seconds = seconds_between(start, seen);
                let cost =
                    |per_hour| Cell::Spent { before: per_hour * seconds / 3600.0, since: None, per_hour: 0.0, least: true };
                (Cell::Seconds(seconds), per_hour.map_or(Cell::Absent, cost))
            }
            None => (Cell::Absent, Cell::Absent),
        },
        _ => (Cell::Absent, Cell::Absent),
    }
}
