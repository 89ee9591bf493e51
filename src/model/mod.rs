//! Plain data, level 0: what every other room of the crate speaks in. No I/O, no clock, no randomness.

pub mod called;
mod failure;
pub mod form;
pub mod item;
pub mod length;
pub mod log;
pub mod meter;
pub mod order;
pub mod recipe;
pub mod safe;
pub mod show;
pub mod spec;
mod wrap;

pub use called::{called_with, command};
pub use failure::{Failure, FailureKind};
pub use form::{Field, FieldKind, Form, Offer, Preview, Problem, Quota, Unit};
pub use item::{
    Axis, Block, Cell, Detail, Dot, Gauge, Item, ItemId, Page, Phase, PhaseSpan, Plot, PlotKind, Point, Scale, Series, State,
};
pub use log::{LogBatch, LogLine, LogSource, TailNote};
pub use meter::{Done, Meter};
pub use order::{Intent, Ledger, Order, Outcome, Progress, Settled};
pub use recipe::{Channel, EndpointRecipe, Extras, InstanceRecipe, MetricRule, Range, Recipe, RunRecipe, Scalar, TuningRecipe};
pub use safe::Safe;
pub use show::Clock;
pub use spec::{Align, Column, Confirm, Poll, Spec, Verb};
pub use wrap::{columns, wrap};
