//! What is known about things in AWS, as plain typed cells.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MetricRule, Safe};

/// What AWS calls the thing: a job name, `s3://bucket/prefix/`. Raw, for API calls; never drawn.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemId(pub String);

impl ItemId {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How alive a thing is; decides glyph and colour everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Phase {
    /// Asked for, not yet working: queued, starting, downloading.
    Waiting,
    /// At work, and costing money.
    Active,
    /// On its way out: stopping, uploading, deleting.
    Leaving,
    Done,
    Failed,
    Stopped,
    /// Neither alive nor dead: a bucket, an object.
    Still,
    /// A status this version does not know; shown by its word.
    Unknown,
}

impl Phase {
    /// Still changing by itself, so worth polling often.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Waiting | Self::Active | Self::Leaving)
    }
}

/// A phase with the service's own word for it, e.g. `Active` / `Training`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct State {
    pub phase: Phase,
    pub word: Safe,
}

/// One typed value in a table or a list of facts. The view decides alignment and format from the variant; sorting and
/// filtering work on the value, not on its text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    /// Not known, or does not apply; drawn as `–`, sorted last.
    Absent,
    Text(Safe),
    State(State),
    Time(Timestamp),
    /// A finished length of time in seconds.
    Seconds(f64),
    /// A length of time that is still running since then.
    Since(Timestamp),
    Number(f64),
    Count(u64),
    Bytes(u64),
    /// 0.0 to 1.0.
    Share(f64),
    /// US dollars.
    Money(f64),
    /// US dollars that accrue: `per_hour` since then.
    Accrues {
        since: Timestamp,
        per_hour: f64,
    },
    /// US dollars of several stretches: what the ended ones came to, and `per_hour` since then where one goes on.
    Spent {
        before: f64,
        since: Option<Timestamp>,
        per_hour: f64,
        /// There was more, which nobody knows.
        least: bool,
    },
    /// A last value, if there is one, with the way it came (oldest first, at most a few dozen values).
    Trend {
        last: Option<f64>,
        values: Vec<f64>,
    },
}

/// One thing in a list. `cells` has exactly one cell per column of the resource's `Spec`; the first is the name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub id: ItemId,
    pub state: State,
    pub cells: Vec<Cell>,
    /// Has things inside: Enter opens it as a list of its own (`Resource::list` with this id as scope).
    pub container: bool,
    /// US dollars per hour while it is alive, where a price is known.
    pub per_hour: Option<f64>,
}

/// One portion of a list, as it arrives. Rows are merged by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    pub items: Vec<Item>,
    /// `true`: this is the whole list, rows that are not in it are gone. `false`: add and update only.
    pub whole: bool,
    /// More is there that has not been read yet (history still being filled in).
    pub more: bool,
}

/// One stretch of a thing's life, for the waterfall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PhaseSpan {
    pub word: Safe,
    pub start: Timestamp,
    /// Absent while it lasts.
    pub end: Option<Timestamp>,
    /// What the service said about it.
    pub message: Safe,
    /// Costs money (billable).
    pub billed: bool,
}

/// One value of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    pub at: Timestamp,
    pub value: f64,
}

/// One curve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub name: Safe,
    pub points: Vec<Point>,
}

/// How one value lies between its bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scale {
    #[default]
    Linear,
    /// By orders of magnitude; values above zero only.
    Log,
}

/// One axis of a chart that is not time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    pub name: Safe,
    pub scale: Scale,
    /// Names of the values 0, 1, 2 … on an axis of categories; empty on one of numbers.
    pub categories: Vec<Safe>,
}

/// One thing in a chart of many; `of` ties it to its row in the list, so that the selected one stands out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dot {
    pub of: ItemId,
    /// One value per axis of the chart; on an axis of categories, its number. `None` where it is not known.
    pub values: Vec<Option<f64>>,
    /// The best of them all.
    pub best: bool,
}

/// How the values of a chart are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlotKind {
    /// Two axes, x and y: a dot each.
    Scatter,
    /// Two axes, x and y: a dot each, and a line in steps along the lowest so far.
    StepsDown,
    /// As [`PlotKind::StepsDown`], along the highest so far.
    StepsUp,
    /// Any number of upright axes beside each other: a line each. The last axis is what the others are judged by.
    Parallel,
}

/// A chart over many things, e.g. a hyperparameter against the objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    pub title: Safe,
    pub kind: PlotKind,
    pub axes: Vec<Axis>,
    pub dots: Vec<Dot>,
}

/// How full or busy one part of a machine is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gauge {
    /// E.g. `GPU 0`, `memory`.
    pub name: Safe,
    /// 0.0 to 1.0; absent while it is not known.
    pub share: Option<f64>,
    /// The figures in words, e.g. `6.1 of 15.4 GB, 61 °C`.
    pub said: Safe,
    /// How the share went, oldest first, at most a few dozen values.
    pub way: Vec<f64>,
}

/// One part of the lower half of the screen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Block {
    /// Name and value pairs.
    Facts { title: Safe, facts: Vec<(Safe, Cell)> },
    /// The waterfall.
    Phases(Vec<PhaseSpan>),
    /// Curves that share an axis of time.
    Curves { title: Safe, series: Vec<Series> },
    /// Charts beside each other.
    Plots(Vec<Plot>),
    /// What a machine is doing, a line each; `note` says what stands out, e.g. an idle GPU, or is empty.
    Gauges { title: Safe, gauges: Vec<Gauge>, note: Safe },
    /// A table of its own.
    Table { title: Safe, head: Vec<Safe>, rows: Vec<Vec<Cell>> },
    /// Text, e.g. a failure reason or a preview of an object.
    Text { title: Safe, text: Safe },
}

/// All that is shown of one thing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detail {
    pub id: ItemId,
    pub state: State,
    pub blocks: Vec<Block>,
    /// Regexes that find metrics in this thing's log; the follower applies them live.
    pub metrics: Vec<MetricRule>,
    /// Has a log to follow.
    pub log: bool,
}
