//! Uploading: a folder, a .zip or a file to S3, in parallel, skipping what is there already.
//!
//! An object is unchanged when size and `ETag` are what this upload would produce: the MD5 for one piece, the MD5 of the
//! parts' MD5s for several. Objects encrypted with KMS have other `ETags` and are sent again.
//!
//! **What is left when it does not come to its end.** Objects that have arrived stay, and the next run skips them. Of a file
//! in parts: when the user calls it off, or the file or the account forbids it, the parts are taken back. When the line, the
//! service or the credentials fail, or the process is killed, they stay, and the next run continues with them.

pub(super) mod etag;
pub mod incomplete;
mod parts;
mod piece;
mod plan;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::bucket::{self, Object};
use super::order::{Aftermath, permit, under};
use super::s3_uri::S3Uri;
use super::{Aws, fault};
use crate::model::{Done, Failure, FailureKind, Meter, Progress};
use etag::IN_PARTS;
use incomplete::Incomplete;
use piece::{Bytes, Stamp};

pub use piece::Piece;
pub use plan::{Plan, plan};

/// Objects on their way at once.
const PARALLEL: usize = 64;
/// KiB held in memory at once, over all objects.
const MEMORY: u32 = 96 << 10;
/// How often it tells how far it has come.
const TELL: Duration = Duration::from_millis(200);
/// How often a file is read anew because it has changed meanwhile.
const TRIES: u32 = 3;

/// Uploads what `plan` says to `target`: names go below it; a single file takes the target's own key unless that is a folder.
/// Makes the bucket if needed.
///
/// # Errors
/// The first failure; see the module for what stays.
pub async fn upload(
    aws: &Aws,
    plan: &Plan,
    target: &S3Uri,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Done, Failure> {
    bucket::ensure(aws, &target.bucket).await?;
    let account = aws.identity().await?.account;
    let there = bucket::objects(aws, target).await?;
    let sender = Arc::new(Sender {
        s3: aws.s3.clone(),
        after: aws.after(),
        begun: broken_off(aws, &account, plan, target).await,
        account,
        there: there.into_iter().map(|object| (object.key.clone(), object)).collect(),
        memory: Semaphore::new(MEMORY as usize),
        meter: Meter::new(plan.files.len() as u64, plan.bytes),
        keeps: AtomicBool::new(false),
    });
    let sent = send_all(&sender, plan, target, progress).await;
    progress(sender.meter.tell(Instant::now()));
    sent.map(|()| sender.meter.done())
}

/// Puts one object of bytes at hand.
///
/// # Errors
/// When it cannot be sent.
pub async fn put(aws: &Aws, target: &S3Uri, bytes: Vec<u8>) -> Result<(), Failure> {
    let account = aws.identity().await?.account;
    let call = aws.s3.put_object().bucket(&target.bucket).key(&target.key).expected_bucket_owner(account).body(bytes.into());
    call.send().await.map(drop).map_err(|error| fault::tell(&format!("uploading {target}"), &error))
}

/// A task each, so that all cores hash and sign; they end with this future.
async fn send_all(
    sender: &Arc<Sender>,
    plan: &Plan,
    target: &S3Uri,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Failure> {
    let mut tasks = JoinSet::new();
    let sent = send_each(&mut tasks, sender, plan, target, progress).await;
    // The others end, and leave what is to be tidied up behind them, before the failure is told.
    tasks.shutdown().await;
    sent
}

async fn send_each(
    tasks: &mut JoinSet<Result<(), Failure>>,
    sender: &Arc<Sender>,
    plan: &Plan,
    target: &S3Uri,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Failure> {
    let permit = permit();
    let mut waiting = plan.files.iter();
    let mut tick = tokio::time::interval(TELL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        while tasks.len() < PARALLEL
            && let Some(piece) = waiting.next()
        {
            let to = if plan.single && !target.is_folder() { target.clone() } else { target.join(&piece.name) };
            let send = Arc::clone(sender).send(piece.clone(), to);
            match &permit {
                Some(permit) => tasks.spawn(under(Arc::clone(permit), send)),
                None => tasks.spawn(send),
            };
        }
        tokio::select! {
            ended = tasks.join_next() => match ended {
                None => return Ok(()),
                Some(Ok(sent)) => sent?,
                Some(Err(error)) => return Err(Failure::new(FailureKind::Machine, format!("the upload broke: {error}"), "")),
            },
            _ = tick.tick() => progress(sender.meter.tell(Instant::now())),
        }
    }
}

/// The newest upload in parts of each key that was begun and not finished. Not being allowed to look is no reason not to
/// upload: then large files start afresh.
async fn broken_off(aws: &Aws, account: &str, plan: &Plan, target: &S3Uri) -> HashMap<String, Incomplete> {
    if plan.files.iter().all(|piece| piece.size < IN_PARTS) {
        return HashMap::new();
    }
    match incomplete::list(&aws.s3, account, target).await {
        // Parts of another checksum do not go together with ours.
        Ok(found) => {
            let ours = found.into_iter().filter(|upload| upload.algorithm.as_deref() == Some("CRC32"));
            ours.map(|upload| (upload.at.key.clone(), upload)).collect()
        }
        Err(failure) => {
            tracing::info!(error = %failure.what, "cannot look for uploads that broke off");
            HashMap::new()
        }
    }
}

/// Why a piece did not go through.
enum Trouble {
    /// The file is not any more what it was when its sending began.
    Changed,
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Trouble {
    /// It is over when the line, the service or the credentials are back.
    fn passes(&self) -> bool {
        use FailureKind::{Expired, Network, Service, Throttled, Timeout};
        matches!(self, Self::Failed(failure) if matches!(failure.kind, Expired | Network | Service | Throttled | Timeout))
    }
}

struct Sender {
    s3: aws_sdk_s3::Client,
    after: Aftermath,
    account: String,
    there: HashMap<String, Object>,
    begun: HashMap<String, Incomplete>,
    memory: Semaphore,
    meter: Meter,
    /// Parts that have arrived stay, for the next run.
    keeps: AtomicBool,
}

impl Sender {
    async fn send(self: Arc<Self>, piece: Piece, to: S3Uri) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let stamp = look(&piece).await?;
            let sent = if stamp.size >= IN_PARTS {
                self.send_parts(&piece, stamp, &to).await
            } else {
                self.send_whole(&piece, stamp, &to).await
            };
            match sent {
                Ok(()) => return Ok(()),
                Err(Trouble::Changed) => {}
                Err(trouble) => {
                    if trouble.passes() {
                        self.keep();
                    }
                    let Trouble::Failed(failure) = trouble else { continue };
                    return Err(hinted(failure, self.keeps()));
                }
            }
        }
        Err(Failure::new(
            FailureKind::Machine,
            format!("{} changes while it is read; it was not uploaded", piece.name),
            "upload again when nothing writes to it any more: what has arrived is not sent again",
        ))
    }

    async fn send_whole(&self, piece: &Piece, stamp: Stamp, to: &S3Uri) -> Result<(), Trouble> {
        let _room = self.room(stamp.size).await?;
        let there = self.there.get(&to.key).filter(|object| object.size == stamp.size);
        let content = read(piece, stamp, 0, stamp.size, there.is_some()).await?;
        if let Some(object) = there
            && content.digest.is_some_and(|digest| hex::encode(digest) == object.etag)
        {
            self.meter.unchanged(stamp.size);
            return Ok(());
        }
        let call = self.s3.put_object().bucket(&to.bucket).key(&to.key).expected_bucket_owner(&self.account);
        let sent = call.body(content.bytes.into()).send().await;
        sent.map_err(|error| fault::tell(&format!("uploading {to}"), &error))?;
        self.meter.sent(stamp.size, true);
        Ok(())
    }

    /// Waits until so many bytes may be held in memory.
    async fn room(&self, bytes: u64) -> Result<tokio::sync::SemaphorePermit<'_>, Failure> {
        let kib = u32::try_from(bytes >> 10).unwrap_or(MEMORY).clamp(1, MEMORY);
        self.memory.acquire_many(kib).await.map_err(|_| Failure::new(FailureKind::Cancelled, "the upload was called off", ""))
    }

    fn keep(&self) {
        self.keeps.store(true, Ordering::SeqCst);
    }

    fn keeps(&self) -> bool {
        self.keeps.load(Ordering::SeqCst)
    }
}

/// What can be done about it, where the upload only has to be repeated.
fn hinted(failure: Failure, continues: bool) -> Failure {
    if !continues {
        return failure;
    }
    let hint = format!("{}\nUpload again to continue: what has arrived is not sent again.", failure.hint);
    Failure::new(failure.kind, failure.what.as_str(), hint.trim())
}

async fn look(piece: &Piece) -> Result<Stamp, Failure> {
    let own = piece.clone();
    blocking(piece, move || own.look()).await
}

async fn read(piece: &Piece, stamp: Stamp, start: u64, length: u64, hash: bool) -> Result<Bytes, Trouble> {
    let own = piece.clone();
    let content = blocking(piece, move || own.read(stamp, start, length, hash)).await?;
    content.ok_or(Trouble::Changed)
}

/// Asks the disk, on a thread that may wait for it.
async fn blocking<T: Send + 'static>(
    piece: &Piece,
    ask: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let why = match tokio::task::spawn_blocking(ask).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    let what = format!("cannot read {}: {why}", piece.name);
    Err(Failure::new(FailureKind::Machine, what, "it may have been changed or removed meanwhile"))
}

#[cfg(test)]
mod tests;
