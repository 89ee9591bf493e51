//! What happened, and what is to be done outside. Plain data that names no resource, so that a run can be recorded,
//! replayed and compared.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::shell::mouse::Mouse;
use super::shell::talk::{News, Wish};
use crate::config::key::Key;
use crate::model::{
    Detail, Failure, Form, Item, ItemId, LogBatch, MetricRule, Order, Outcome, Page, Point, Preview, Progress, Safe, Verb,
};

/// Something that happened outside the core. The only way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    Key(Key),
    Paste(String),
    /// The mouse, while a terminal shows.
    Mouse(Mouse),
    /// The window got the focus, or lost it; told while a terminal shows.
    Focus(bool),
    Resize(u16, u16),
    /// A timer asked for by [`Effect::After`].
    Woke(Wake),
    /// Who we are, from STS.
    Identified(Result<Safe, Failure>),
    /// Rows remembered from last time.
    Remembered {
        resource: String,
        items: Vec<Item>,
        at: Timestamp,
    },
    Listed {
        resource: String,
        scope: Option<ItemId>,
        page: Page,
    },
    /// A round of listing has ended.
    ListEnded {
        resource: String,
        scope: Option<ItemId>,
        result: Result<(), Failure>,
    },
    Detailed {
        resource: String,
        id: ItemId,
        result: Result<Detail, Failure>,
    },
    Tailed {
        resource: String,
        id: ItemId,
        batch: LogBatch,
    },
    /// Values from a log that is read for its curves alone; `whole`: it has been read to its end.
    Watched {
        resource: String,
        id: ItemId,
        points: Vec<(Safe, Point)>,
        whole: bool,
    },
    Formed(Result<Form, Failure>),
    Previewed {
        serial: u64,
        result: Result<Preview, Failure>,
    },
    Progressed {
        serial: u64,
        progress: Progress,
    },
    Ran {
        serial: u64,
        order: Order,
        result: Result<Outcome, Failure>,
    },
    /// What ends with the targets of an order that is being asked about.
    Staked {
        order: Order,
        lines: Vec<Safe>,
    },
    /// Something happened to a terminal on a machine.
    Shell {
        session: u64,
        news: News,
    },
    /// The terminal came back from a suspension.
    Resumed,
    /// SIGTERM, SIGHUP, a lost tty: leave without asking.
    Ended,
}

/// A timer's purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wake {
    /// Look at this resource again.
    Poll(String),
    /// The selection has rested: load its detail.
    Settle(u64),
    /// A form has rested: preview it.
    Preview(u64),
    /// A second has passed while something is running.
    Tick,
    /// A message has been there long enough.
    Toast(u64),
    /// Time for another attempt to come back to a machine.
    Reconnect(u64),
    /// A session's screen has been held back for long enough.
    Release(u64),
}

/// Something to be done outside. The only way out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Effect {
    /// Wake the core with this after so many milliseconds; a later one for the same purpose replaces it.
    After {
        millis: u64,
        wake: Wake,
    },
    Identify,
    List {
        resource: String,
        scope: Option<ItemId>,
    },
    Detail {
        resource: String,
        id: ItemId,
    },
    /// Follow this log, and no other.
    Tail {
        resource: String,
        id: ItemId,
        rules: Vec<MetricRule>,
    },
    /// The thing whose log is followed has ended: drain the log and stop.
    TailEnded,
    /// Stop following.
    Untail,
    /// Read these logs for their curves, from their beginnings, and no others: with each its rules, and whether what it is
    /// of has ended. Those read already are read on.
    Watch {
        resource: String,
        logs: Vec<(ItemId, Vec<MetricRule>, bool)>,
    },
    Form {
        resource: String,
        verb: Verb,
        target: Option<ItemId>,
    },
    Preview {
        serial: u64,
        form: Form,
    },
    Run {
        serial: u64,
        order: Order,
    },
    /// Look what would end with the targets of this order, besides themselves.
    Stake {
        order: Order,
    },
    /// End this order: it answers that it was called off.
    CallOff {
        serial: u64,
    },
    /// Something to be done for a terminal on a machine.
    Shell {
        session: u64,
        wish: Wish,
    },
    /// Put this on the user's own clipboard (OSC 52).
    Copy(Safe),
    /// Keep these rows for the next start.
    Remember {
        resource: String,
        items: Vec<Item>,
    },
    /// Refuse mutating calls from now on.
    Lock,
    Suspend,
    Quit,
}
