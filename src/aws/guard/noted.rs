//! What the journal is told of one call: attempts, refusals, how it ended.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use aws_smithy_types::config_bag::{Storable, StoreReplace};

use crate::aws::order::Permit;
use crate::model::{Ledger, Settled};

/// EC2 says with HTTP 500 that it has none free (EC2 API Reference, "Error codes", server errors): nothing was launched. What
/// truly went wrong there (`InternalError`, `Unavailable`) may have been done all the same.
pub(super) fn lacks_capacity(body: &[u8]) -> bool {
    const CODES: [&str; 7] = [
        "InsufficientInstanceCapacity",
        "InsufficientHostCapacity",
        "InsufficientReservedInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientAddressCapacity",
        "InsufficientVolumeCapacity",
        "Unsupported",
    ];
    let text = String::from_utf8_lossy(body);
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    code.is_some_and(|(code, _)| CODES.contains(&code.trim()))
}

/// The entry of one call in the ledger. Dropped unsettled (a deadline, a cancelled task), it says so.
pub(super) struct Noted {
    entry: Entry,
    settled: AtomicBool,
    attempts: AtomicU32,
    /// Attempts that were answered with a no.
    refusals: AtomicU32,
}

pub(super) enum Entry {
    Own { ledger: Arc<dyn Ledger>, number: i64 },
    Shared { permit: Arc<Permit>, key: String },
}

impl Noted {
    pub fn new(entry: Entry) -> Self {
        Self { entry, settled: AtomicBool::new(false), attempts: 1.into(), refusals: 0.into() }
    }

    /// Each attempt was answered with a no: nothing was done.
    pub fn all_refused(&self) -> bool {
        self.refusals.load(Ordering::SeqCst) == self.attempts.load(Ordering::SeqCst)
    }

    pub fn refused(&self) {
        self.refusals.fetch_add(1, Ordering::SeqCst);
    }

    pub fn attempted_again(&self) {
        self.attempts.fetch_add(1, Ordering::SeqCst);
    }

    pub fn settle(&self, settled: Settled) {
        if self.settled.swap(true, Ordering::SeqCst) {
            return;
        }
        match &self.entry {
            Entry::Own { ledger, number } => ledger.settle(*number, &settled),
            Entry::Shared { permit, key } => permit.settle_shared(key, settled),
        }
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.settle(Settled::Unknown("no answer".to_owned()));
    }
}

impl fmt::Debug for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Noted")
    }
}

impl Storable for Noted {
    type Storer = StoreReplace<Self>;
}
