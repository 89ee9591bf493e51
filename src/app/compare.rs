//! The marked beside each other: their curves, and what differs between them.

use jiff::Timestamp;

use super::event::Effect;
use super::layout::{Area, layout};
use super::{App, Level};
use crate::model::show::seconds_between;
use crate::model::{Block, Cell, Detail, Item, ItemId, Phase, Point, Safe, Series};

/// Curves that can be told apart in one chart.
pub const MOST: usize = 8;
/// Details asked for at once: as many as a list describes of its own accord.
const ASKED: usize = 4;
/// Rows whose curve is looked at beside that, for the table.
const LOOKED: usize = 2;
/// Seconds after which the curve of something alive is looked at again.
const OLD: f64 = 30.0;
/// Rows below the title that hold a chart and a table; in fewer they take turns.
const BOTH: u16 = 16;

/// What curves are drawn against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Against {
    /// The number of the value.
    #[default]
    Step,
    /// Seconds since the work began.
    Time,
    /// US dollars spent so far.
    Money,
}

impl Against {
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Step => Self::Time,
            Self::Time => Self::Money,
            Self::Money => Self::Step,
        }
    }

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Time => "time",
            Self::Money => "money",
        }
    }
}

/// One of those compared.
pub struct Compared<'a> {
    pub item: &'a Item,
    pub detail: Option<&'a Detail>,
    pub series: Vec<&'a Series>,
}

/// One row of the table: a name, and a cell of each of those compared; `None` while it is not known yet.
pub struct Difference {
    pub name: Safe,
    pub cells: Vec<Option<Cell>>,
    /// The best of them, where it is known what is better.
    pub best: Option<usize>,
}

impl App {
    /// The lower half compares the marked.
    #[must_use]
    pub fn compares(&self) -> bool {
        self.level == Level::List && self.has_compared()
    }

    /// Several things are marked that have curves.
    #[must_use]
    pub fn has_compared(&self) -> bool {
        let pane = self.pane();
        let has_curve = |item: &Item| item.cells.iter().any(|cell| matches!(cell, Cell::Trend { .. }));
        pane.marks.len() > 1 && pane.marks.iter().filter_map(|id| pane.get(id)).any(has_curve)
    }

    /// The marked, by name; of many those highest in the list.
    #[must_use]
    pub fn compared(&self) -> Vec<Compared<'_>> {
        let pane = self.pane();
        let mut items: Vec<&Item> = if pane.marks.len() <= MOST {
            pane.marks.iter().filter_map(|id| pane.get(id)).collect()
        } else {
            let shown = pane.window(0, usize::MAX).filter(|item| pane.marks.contains(&item.id)).take(MOST);
            shown.collect()
        };
        items.sort_by(|a, b| a.id.cmp(&b.id));
        let compared = items.into_iter().map(|item| Compared {
            item,
            detail: pane.details.get(&item.id).map(|(detail, _)| detail),
            series: self.series_of(&item.id),
        });
        compared.collect()
    }

    /// All that is known of a thing's curves: from its log as far as that was read, else from its detail.
    fn series_of(&self, id: &ItemId) -> Vec<&Series> {
        let pane = self.pane();
        let followed = self.log.as_ref().filter(|log| log.id == *id && log.resource == pane.spec.id).map(|log| &log.series);
        let sources = [pane.curves.get(id), self.watch.series(pane.spec.id, id), followed];
        let logged = sources.into_iter().flatten().max_by_key(|series| latest(series));
        let mut out: Vec<&Series> = logged.into_iter().flatten().collect();
        let blocks = pane.details.get(id).into_iter().flat_map(|(detail, _)| &detail.blocks);
        let told = blocks.filter_map(|block| if let Block::Curves { series, .. } = block { Some(series) } else { None });
        for series in told.flatten().filter(|series| !series.points.is_empty()) {
            if !out.iter().any(|known| known.name == series.name) {
                out.push(series);
            }
        }
        out
    }

    /// What `m` goes through while comparing: each metric, and the table where it has no room beside the chart.
    #[must_use]
    pub fn pages(&self) -> usize {
        metrics(&self.compared()).len() + usize::from(!has_both(layout(self).compare))
    }

    /// Asks for the details that a comparison needs: those not known, and those of what is alive or has changed.
    pub(super) fn ask_for_compared(&self, out: &mut Vec<Effect>) {
        if !self.has_compared() {
            return;
        }
        let pane = self.pane();
        let mut wanted: Vec<_> = self
            .compared()
            .into_iter()
            .filter(|one| one.detail.is_none_or(|detail| one.item.state.phase.is_live() || detail.state != one.item.state))
            .map(|one| (pane.details.get(&one.item.id).map(|(_, at)| *at), &one.item.id))
            .collect();
        // Those unknown first, then those looked at longest ago.
        wanted.sort();
        let resource = pane.spec.id;
        out.extend(
            wanted.into_iter().take(ASKED).map(|(_, id)| Effect::Detail { resource: resource.to_owned(), id: id.clone() }),
        );
    }

    /// Asks for the curves of a few rows that show, for the table: of what has ended once, of what is alive now and then.
    pub(super) fn ask_for_trends(&mut self, out: &mut Vec<Effect>) {
        let rows = usize::from(layout(self).list.height);
        let now = self.clock.now;
        let pane = self.pane();
        let selected = pane.selected().map(|item| &item.id);
        let wanted = pane.window(pane.top, rows).filter(|item| {
            let valued = item.cells.iter().any(|cell| matches!(cell, Cell::Trend { last: Some(_), values } if values.is_empty()));
            let known = pane.details.get(&item.id);
            let due = if item.state.phase.is_live() {
                known.is_none_or(|(_, at)| seconds_between(*at, now) > OLD)
            } else {
                known.is_none() && !pane.looked.contains(&item.id)
            };
            valued && due && Some(&item.id) != selected
        });
        let wanted: Vec<ItemId> = wanted.take(LOOKED).map(|item| item.id.clone()).collect();
        let pane = self.pane_mut();
        for id in wanted {
            pane.looked.insert(id.clone());
            out.push(Effect::Detail { resource: pane.spec.id.to_owned(), id });
        }
    }
}

/// The time of the last value of all.
#[must_use]
pub fn latest(series: &[Series]) -> Option<Timestamp> {
    series.iter().filter_map(|series| series.points.last()).map(|point| point.at).max()
}

/// Whether chart and table have room together.
#[must_use]
pub fn has_both(area: Area) -> bool {
    area.height >= BOTH
}

/// The names of all metrics that any of them has.
#[must_use]
pub fn metrics(compared: &[Compared<'_>]) -> Vec<Safe> {
    let mut names: Vec<Safe> = Vec::new();
    for series in compared.iter().flat_map(|one| &one.series) {
        if !names.contains(&series.name) {
            names.push(series.name.clone());
        }
    }
    names
}

impl Compared<'_> {
    /// That metric's curve.
    #[must_use]
    pub fn curve(&self, metric: &Safe) -> Option<&Series> {
        self.series.iter().copied().find(|series| series.name == *metric && !series.points.is_empty())
    }

    /// The curve's points as x and y; `None` where there is no such curve, or no price to put it against.
    #[must_use]
    pub fn points(&self, metric: &Safe, against: Against) -> Option<Vec<(f64, f64)>> {
        let points = &self.curve(metric)?.points;
        let first = points.first()?;
        Some(match against {
            #[expect(clippy::cast_precision_loss, reason = "a few thousand points")]
            Against::Step => points.iter().enumerate().map(|(at, point)| ((at + 1) as f64, point.value)).collect(),
            Against::Time => {
                let spans = self.spans().filter(|span| span.start <= first.at && span.end.is_none_or(|end| end >= first.at));
                let begun = spans.map(|span| span.start).max().unwrap_or(first.at);
                points.iter().map(|point| (seconds_between(begun, point.at), point.value)).collect()
            }
            Against::Money => {
                let rate = self.rate()?;
                let begun = self.spans().filter(|span| span.billed).map(|span| span.start).min().unwrap_or(first.at);
                let spent = |point: &Point| seconds_between(begun, point.at) * rate / 3600.0;
                points.iter().map(|point| (spent(point), point.value)).collect()
            }
        })
    }

    fn spans(&self) -> impl Iterator<Item = &crate::model::PhaseSpan> {
        let blocks = self.detail.into_iter().flat_map(|detail| &detail.blocks);
        blocks.filter_map(|block| if let Block::Phases(spans) = block { Some(spans) } else { None }).flatten()
    }

    /// US dollars per hour: what is said, or what the bill comes to.
    fn rate(&self) -> Option<f64> {
        let accrues = self.item.cells.iter().find_map(|cell| match cell {
            Cell::Accrues { per_hour, .. } => Some(*per_hour),
            _ => None,
        });
        let billed = || {
            let bill = self.item.cells.iter().find_map(|cell| if let Cell::Money(bill) = cell { Some(*bill) } else { None })?;
            let spans = self.spans().filter(|span| span.billed);
            let seconds: f64 = spans.filter_map(|span| Some(seconds_between(span.start, span.end?))).sum();
            (seconds > 0.0).then(|| bill * 3600.0 / seconds)
        };
        self.item.per_hour.or(accrues).or_else(billed).filter(|rate| *rate > 0.0)
    }

    /// Facts with how often their name came before: a job may have several of one name.
    fn facts(&self) -> Vec<(&Safe, usize, &Cell)> {
        let blocks = self.detail.into_iter().flat_map(|detail| &detail.blocks);
        let facts = blocks.filter_map(|block| if let Block::Facts { facts, .. } = block { Some(facts) } else { None }).flatten();
        let mut out: Vec<(&Safe, usize, &Cell)> = Vec::new();
        for (name, cell) in facts {
            let before = out.iter().filter(|(known, ..)| *known == name).count();
            out.push((name, before, cell));
        }
        out
    }

    /// Tells nothing: it differs between any two, as their names and times do.
    fn is_idle(&self, cell: &Cell) -> bool {
        match cell {
            Cell::Time(_) => true,
            Cell::Text(text) => text.as_str().contains(self.item.id.as_str()),
            _ => false,
        }
    }
}

/// The table: the last value of each metric, then what differs, first what went in, then what came out.
#[must_use]
pub fn differences(compared: &[Compared<'_>]) -> Vec<Difference> {
    let mut out: Vec<Difference> = metrics(compared).into_iter().map(|metric| last_values(compared, metric)).collect();
    let mut names: Vec<(&Safe, usize)> = Vec::new();
    for (name, nth, _) in compared.iter().flat_map(Compared::facts) {
        if !names.contains(&(name, nth)) {
            names.push((name, nth));
        }
    }
    let mut results = Vec::new();
    for (name, nth) in names {
        let mut cells = Vec::new();
        let mut idle = false;
        for one in compared {
            let facts = one.facts();
            let cell = facts.iter().find(|(other, at, _)| *other == name && *at == nth).map(|(_, _, cell)| *cell);
            idle |= cell.is_some_and(|cell| one.is_idle(cell));
            cells.push(one.detail.map(|_| cell.cloned().unwrap_or(Cell::Absent)));
        }
        let mut known = cells.iter().flatten();
        let first = known.next();
        if idle || known.all(|cell| Some(cell) == first) {
            continue;
        }
        let typed = cells.iter().flatten().all(|cell| matches!(cell, Cell::Text(_) | Cell::Absent));
        let row = Difference { name: name.clone(), cells, best: None };
        if typed { out.push(row) } else { results.push(row) }
    }
    out.extend(results);
    out
}

fn last_values(compared: &[Compared<'_>], metric: Safe) -> Difference {
    let values: Vec<Option<f64>> =
        compared.iter().map(|one| one.curve(&metric).and_then(|series| series.points.last()).map(|point| point.value)).collect();
    let cell = |(value, one): (&Option<f64>, &Compared<'_>)| match value {
        Some(value) => Some(Cell::Number(*value)),
        None if one.detail.is_none() || one.item.state.phase == Phase::Waiting => None,
        None => Some(Cell::Absent),
    };
    let cells = values.iter().zip(compared).map(cell).collect();
    let finite = || values.iter().enumerate().filter_map(|(at, value)| Some((at, value.filter(|value| value.is_finite())?)));
    let best = higher_is_better(metric.as_str()).and_then(|higher| {
        let by = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
        if higher { finite().max_by(by) } else { finite().min_by(by) }
    });
    Difference { name: metric, cells, best: best.map(|(at, _)| at).filter(|_| finite().count() > 1) }
}

/// Whether more of a metric is better, as far as its name tells.
fn higher_is_better(metric: &str) -> Option<bool> {
    let name = metric.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["loss", "err", "mse", "mae", "mape", "perplexity", "ppl", "wer", "cer", "nll", "entropy"]) {
        Some(false)
    } else if has(&["acc", "precision", "recall", "f1", "auc", "score", "reward", "bleu", "rouge", "iou", "r2", "psnr", "map"]) {
        Some(true)
    } else {
        None
    }
}
