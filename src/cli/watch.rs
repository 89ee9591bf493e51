//! Waiting for a job to be over, with its log and its changes of state.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::gutter::{Gutter, Sink};
use super::print;
use super::session::Session;
use super::signals::Signals;
use crate::aws::{Aws, Mode};
use crate::model::{Detail, Failure, FailureKind, ItemId, TailNote, command};
use crate::resource::Resource;

/// How long a log that cannot be read keeps the end of its job from being told.
const LOG_PATIENCE: Duration = Duration::from_mins(1);

/// How the waiting ended.
pub enum End {
    /// The job is over; this is its last state.
    Over(Box<Detail>),
    /// A signal asked to end first.
    Interrupted,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// The end of the job, whether its log can be read or not.
    Job,
    /// All of its log: when that can never be read, the waiting ends.
    Log,
}

/// Follows a job until it is over and its log is drained. Changes of state go to stderr.
///
/// # Errors
/// When the job cannot be read at all, or stdout is gone; when its log is awaited, also when that cannot be read. Passing
/// troubles (throttling, no network) are waited out.
pub async fn until_over(
    session: &Session,
    resource: &'static dyn Resource,
    id: &ItemId,
    awaited: Awaited,
    sink: Sink,
    signals: &mut Signals,
) -> Result<End, Failure> {
    let mut detail = resource.detail(&session.aws, id).await?;
    let mut tasks = JoinSet::new();
    let (over, is_over) = watch::channel(false);
    let (send_batch, mut batches) = mpsc::channel(64);
    if let Some(follower) = resource.follow(Arc::clone(&session.aws), id, detail.metrics.clone(), is_over, send_batch) {
        tasks.spawn(follower);
    }
    let (send_look, mut looks) = mpsc::channel(1);
    tasks.spawn(look(Arc::clone(&session.aws), resource, id.clone(), send_look));
    let mut gutter = Gutter::new(sink);
    let mut said = String::new();
    let mut trouble = false;
    let mut log_open = true;
    let mut log_trouble = false;
    let mut over_since = None;
    loop {
        if said != detail.state.word.as_str() {
            said = detail.state.word.as_str().to_owned();
            print::progress(&format!("{}: {said}", id.as_str()));
        }
        if !detail.state.phase.is_live() {
            over.send_replace(true);
            over_since.get_or_insert_with(Instant::now);
            if !log_open {
                gutter.finish()?;
                return Ok(End::Over(Box::new(detail)));
            }
        }
        tokio::select! {
            batch = batches.recv(), if log_open => match batch {
                Some(mut batch) => {
                    // What has just begun may have no log yet.
                    let lasts = |kind| !passes(kind) && kind != FailureKind::NotFound;
                    let failed = batch.note.take_if(
                        |note| matches!(note, TailNote::Failed(failure) if awaited == Awaited::Log && lasts(failure.kind)),
                    );
                    if let Some(TailNote::Failed(failure)) = failed {
                        gutter.print(batch)?;
                        return Err(failure);
                    }
                    log_trouble = match &batch.note {
                        Some(note) => matches!(note, TailNote::Failed(_) | TailNote::Throttled { .. }),
                        None => log_trouble && batch.lines.is_empty(),
                    };
                    gutter.print(batch)?;
                }
                None => log_open = false,
            },
            () = sleep_until(over_since.unwrap_or_else(Instant::now) + LOG_PATIENCE), if over_since.is_some() && log_open && log_trouble => {
                let logs = command(&format!("logs {} {}", resource.spec().id, id.as_str()));
                print::progress(&format!("The job is over, but the rest of its log cannot be read now; try `{logs}` later."));
                log_open = false;
            }
            Some(look) = looks.recv(), if detail.state.phase.is_live() => match look {
                Ok(fresh) => {
                    detail = fresh;
                    trouble = false;
                }
                Err(failure) if passes(failure.kind) => {
                    if !std::mem::replace(&mut trouble, true) {
                        print::failure(&failure);
                        print::progress("The job is not affected; trying again.");
                    }
                }
                Err(failure) => return Err(failure),
            },
            () = signals.next() => return Ok(End::Interrupted),
        }
    }
}

/// Looks at the job again and again until nobody listens.
async fn look(aws: Arc<Aws>, resource: &'static dyn Resource, id: ItemId, send: mpsc::Sender<Result<Detail, Failure>>) {
    let period = period(&aws, resource);
    loop {
        tokio::time::sleep(period).await;
        if send.send(resource.detail(&aws, &id).await).await.is_err() {
            return;
        }
    }
}

/// The time between two looks. On this machine looking costs nothing; AWS gives an account a few looks a second for
/// everything it does.
#[must_use]
pub fn period(aws: &Aws, resource: &dyn Resource) -> Duration {
    match aws.mode() {
        Mode::Local => Duration::from_millis(500),
        Mode::Aws => Duration::from_secs(u64::from(resource.spec().poll.live.max(5))),
    }
}

/// Whether a trouble is worth waiting out.
#[must_use]
pub fn passes(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Throttled | FailureKind::Network | FailureKind::Timeout | FailureKind::Service)
}
