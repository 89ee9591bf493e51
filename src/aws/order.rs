//! The permit to change something: a confirmed order, carried by the task that runs it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::model::{Failure, Intent, Ledger, Settled};

tokio::task_local! {
    static PERMIT: Arc<Permit>;
}

/// Runs `future` as the order of that number: only inside may calls change something. The permit ends with the future and
/// does not reach tasks it spawns.
pub async fn with_order<F: Future>(order: String, future: F) -> F::Output {
    PERMIT.scope(Arc::new(Permit { order, shared: Mutex::default() }), future).await
}

/// The number of the order that this task runs.
#[must_use]
pub fn current_order() -> Option<String> {
    permit().map(|permit| permit.order.clone())
}

/// Runs what must still be done for an order although its task is gone, under its permit.
pub(super) async fn under<F: Future>(permit: Arc<Permit>, future: F) -> F::Output {
    PERMIT.scope(permit, future).await
}

/// What must still be done for orders that were called off: it outlives their futures, and can be waited for.
#[derive(Clone, Default)]
pub(super) struct Aftermath(TaskTracker);

/// Something that may still leave work behind.
pub(super) type Pending = TaskTrackerToken;

impl Aftermath {
    /// Keeps [`Aftermath::over`] waiting for as long as it lives.
    pub fn pending(&self) -> Pending {
        self.0.token()
    }

    /// Has it done. Where the runtime is gone, too, nothing can be done.
    pub fn work(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.0.spawn_on(work, &runtime);
        }
    }

    /// Waits until all of it is done.
    pub async fn over(&self) {
        self.0.close();
        self.0.wait().await;
        self.0.reopen();
    }
}

/// The permit of the order that this task runs.
pub(super) fn permit() -> Option<Arc<Permit>> {
    PERMIT.try_with(Arc::clone).ok()
}

/// One order at work.
#[derive(Debug)]
pub(super) struct Permit {
    pub order: String,
    shared: Mutex<HashMap<String, Shared>>,
}

/// One entry of the ledger for many calls of the same kind: an upload of 8,000 objects is one intent, not 8,000 flushes of
/// the disk. It is settled when the order ends, by the worst of its calls.
struct Shared {
    number: i64,
    ledger: Arc<dyn Ledger>,
    worst: Settled,
}

impl Permit {
    /// Notes the intent the first time `key` is seen in this order; later calls share it.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn share(&self, key: &str, ledger: &Arc<dyn Ledger>, intent: &Intent) -> Result<(), Failure> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.contains_key(key) {
            return Ok(());
        }
        let number = ledger.intend(intent)?;
        shared.insert(key.to_owned(), Shared { number, ledger: Arc::clone(ledger), worst: Settled::Done });
        Ok(())
    }

    /// One of the calls behind `key` ended like this.
    pub fn settle_shared(&self, key: &str, settled: Settled) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shared.get_mut(key)
            && badness(&settled) > badness(&entry.worst)
        {
            entry.worst = settled;
        }
    }
}

fn badness(settled: &Settled) -> u8 {
    match settled {
        Settled::Done => 0,
        Settled::Refused(_) => 1,
        Settled::Unknown(_) => 2,
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        for entry in self.shared.get_mut().unwrap_or_else(PoisonError::into_inner).values() {
            entry.ledger.settle(entry.number, &entry.worst);
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("number", &self.number).field("worst", &self.worst).finish_non_exhaustive()
    }
}
