//! A verb on targets with its input, and what came of it; and the ledger that remembers both.

use serde::{Deserialize, Serialize};

use super::{Failure, FailureKind, Form, ItemId, Safe, Verb};

/// What the user wants done, immutable from the moment it is confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The resource's `Spec::id`.
    pub resource: String,
    pub verb: Verb,
    /// The things acted on; empty for verbs that make something new.
    pub targets: Vec<ItemId>,
    /// The filled-in form, for verbs that have one.
    pub form: Option<Form>,
}

impl Order {
    /// What is said when the user ends it before its time.
    #[must_use]
    pub fn called_off(&self) -> Failure {
        let what = format!("the {} was called off", self.verb.name());
        Failure::new(FailureKind::Cancelled, what, "what is complete stays; to start it again continues")
    }
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done; this is worth saying.
    Said(Safe),
    /// Made this thing: select it, and follow its log if it has one.
    Made { id: ItemId, said: Safe },
    /// An answer to read in full, e.g. a prediction.
    Answer { title: Safe, text: Safe },
    /// An address for the user's browser: shown, and put on the clipboard. It is a secret for as long as it holds.
    Link { url: Safe, said: Safe },
    /// Done; and there is something more to do, which is asked separately.
    Then { said: Safe, question: Safe, lines: Vec<Safe>, order: Box<Order> },
}

impl Outcome {
    /// What came of asking `all` things one after the other: what was said of those that did it, and the first failure.
    ///
    /// # Errors
    /// When one failed; how many did not is told with it.
    pub fn of_many(said: &[String], failed: Vec<Failure>, all: usize) -> Result<Self, Failure> {
        match (said, failed.into_iter().next()) {
            ([one], None) => Ok(Self::Said(Safe::line(one))),
            (_, None) => Ok(Self::Said(Safe::line(&format!("{} of {all} asked", said.len())))),
            ([], Some(first)) => Err(first),
            (_, Some(first)) => Err(Failure::new(first.kind, format!("{} of {all}; {}", said.len(), first.what), &first.hint)),
        }
    }

    /// What is worth saying in one line.
    #[must_use]
    pub fn said(&self) -> &Safe {
        match self {
            Self::Said(said) | Self::Made { said, .. } | Self::Link { said, .. } | Self::Then { said, .. } => said,
            Self::Answer { title, .. } => title,
        }
    }
}

/// How far a long order has come, for the toast or the progress line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub said: Safe,
    /// Done and total, in the unit that `said` names; total 0 while unknown.
    pub done: u64,
    pub total: u64,
}

/// What is about to be sent: written to the ledger before the request leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// One per order; all calls of one order share it.
    pub order: String,
    /// `sagemaker`, `s3`, ….
    pub service: String,
    /// AWS's name of the operation, e.g. `CreateTrainingJob`.
    pub operation: String,
    /// The name or client token that makes a repetition harmless, where there is one.
    pub token: String,
    /// The request body as sent (empty for object data).
    pub request: String,
    /// `local` or `aws`.
    pub mode: String,
    pub account: String,
    pub region: String,
}

/// How a sent request ended, as far as we know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settled {
    /// The service confirmed it.
    Done,
    /// The service refused it: it did not happen.
    Refused(String),
    /// No answer: it may or may not have happened.
    Unknown(String),
}

/// The durable memory of mutating calls. `aws` writes to it, `journal` implements it.
pub trait Ledger: Send + Sync {
    /// Durably notes the intent and returns its number.
    ///
    /// # Errors
    /// When it cannot be written; then nothing may be sent.
    fn intend(&self, intent: &Intent) -> Result<i64, Failure>;

    /// Notes how it ended. A failure to write is logged, not raised: the call has happened.
    fn settle(&self, number: i64, settled: &Settled);
}
