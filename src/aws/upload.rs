//! Uploading: a folder, a .zip or a file to S3, in parallel, skipping what is there already.
//!
//! An object is unchanged when size and `ETag` are what this upload would produce: the MD5 for one piece, the MD5 of the
//! parts' MD5s for several. Objects encrypted with KMS have other `ETags` and are sent again.

mod plan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use md5::{Digest, Md5};
use tokio::sync::Semaphore;

use super::bucket::{self, Object};
use super::order::{Permit, permit, under};
use super::s3_uri::S3Uri;
use super::{Aws, fault};
use crate::model::{Failure, FailureKind, Progress, Safe};

pub use plan::{Piece, Plan, plan};

/// Objects on their way at once.
const PARALLEL: usize = 32;
/// Parts of one object on their way at once.
const PARALLEL_PARTS: usize = 4;
/// Objects from this size on go in parts.
const IN_PARTS: u64 = 16 << 20;
const PART: u64 = 8 << 20;
/// S3's limit.
const MOST_PARTS: u64 = 10_000;
/// KiB held in memory at once, over all objects.
const MEMORY: u32 = 96 << 10;

/// What came of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    pub sent: u64,
    pub bytes: u64,
    /// Files that were there already.
    pub unchanged: u64,
}

/// Uploads what `plan` says to `target`: names go below it; a single file takes the target's own key unless that is a folder.
/// Makes the bucket if needed.
///
/// # Errors
/// The first failure; objects that were sent before stay, an object in parts is taken back.
pub async fn upload(
    aws: &Aws,
    plan: &Plan,
    target: &S3Uri,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Done, Failure> {
    bucket::ensure(aws, &target.bucket).await?;
    let there = bucket::objects(aws, target).await?;
    let sender = Sender {
        aws,
        account: aws.identity().await?.account,
        there: there.into_iter().map(|object| (object.key.clone(), object)).collect(),
        memory: Semaphore::new(MEMORY as usize),
        meter: Meter::new(plan, progress),
    };
    let place = |piece: &Piece| if plan.single && !target.is_folder() { target.clone() } else { target.join(&piece.name) };
    // One task for all: the permit of the order does not reach spawned ones.
    let pieces = plan.files.iter().map(|piece| (piece.clone(), place(piece))).collect::<Vec<_>>();
    stream::iter(pieces.into_iter().map(|(piece, to)| sender.send(piece, to)))
        .buffer_unordered(PARALLEL)
        .try_collect::<Vec<()>>()
        .await?;
    Ok(sender.meter.finish())
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

struct Sender<'a> {
    aws: &'a Aws,
    account: String,
    there: HashMap<String, Object>,
    memory: Semaphore,
    meter: Meter<'a>,
}

impl Sender<'_> {
    async fn send(&self, piece: Piece, to: S3Uri) -> Result<(), Failure> {
        if piece.size >= IN_PARTS { self.send_parts(&piece, &to).await } else { self.send_whole(&piece, &to).await }
    }

    async fn send_whole(&self, piece: &Piece, to: &S3Uri) -> Result<(), Failure> {
        let _room = self.room(piece.size).await?;
        let bytes = read(piece, 0, piece.size).await?;
        if self
            .there
            .get(&to.key)
            .is_some_and(|object| object.size == piece.size && object.etag == hex::encode(Md5::digest(&bytes)))
        {
            self.meter.unchanged(piece.size);
            return Ok(());
        }
        let call =
            self.aws.s3.put_object().bucket(&to.bucket).key(&to.key).expected_bucket_owner(&self.account).body(bytes.into());
        call.send().await.map_err(|error| fault::tell(&format!("uploading {to}"), &error))?;
        self.meter.sent(piece.size, true);
        Ok(())
    }

    async fn send_parts(&self, piece: &Piece, to: &S3Uri) -> Result<(), Failure> {
        let part = PART.max(piece.size.div_ceil(MOST_PARTS - 1));
        if let Some(object) = self.there.get(&to.key)
            && object.size == piece.size
            && object.etag == self.etag_in_parts(piece, part).await?
        {
            self.meter.unchanged(piece.size);
            return Ok(());
        }
        let doing = format!("uploading {to}");
        let call = self.aws.s3.create_multipart_upload().bucket(&to.bucket).key(&to.key).expected_bucket_owner(&self.account);
        let id = call.send().await.map_err(|error| fault::tell(&doing, &error))?.upload_id.unwrap_or_default();
        let begun = Begun { s3: self.aws.s3.clone(), to: to.clone(), id, permit: permit() };
        match self.parts(piece, to, part, &begun.id).await {
            Ok(parts) => {
                let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
                let call = self.aws.s3.complete_multipart_upload().bucket(&to.bucket).key(&to.key).upload_id(&begun.id);
                call.multipart_upload(whole).send().await.map_err(|error| fault::tell(&doing, &error))?;
                begun.finished();
                self.meter.sent(0, true);
                Ok(())
            }
            Err(failure) => {
                begun.take_back().await;
                Err(failure)
            }
        }
    }

    async fn parts(&self, piece: &Piece, to: &S3Uri, part: u64, id: &str) -> Result<Vec<CompletedPart>, Failure> {
        let count = piece.size.div_ceil(part);
        let numbers = (1..=count).map(|number| async move {
            let start = (number - 1) * part;
            let length = part.min(piece.size - start);
            let _room = self.room(length).await?;
            let bytes = read(piece, start, length).await?;
            if bytes.len() as u64 != length {
                return Err(Failure::new(FailureKind::Machine, format!("{} changed while it was sent", piece.name), "try again"));
            }
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            let call = self.aws.s3.upload_part().bucket(&to.bucket).key(&to.key).upload_id(id).part_number(number);
            let sent = call.body(bytes.into()).send().await.map_err(|error| fault::tell(&format!("uploading {to}"), &error))?;
            self.meter.sent(length, false);
            Ok(CompletedPart::builder()
                .part_number(number)
                .set_e_tag(sent.e_tag)
                .set_checksum_crc32(sent.checksum_crc32)
                .set_checksum_crc64_nvme(sent.checksum_crc64_nvme)
                .build())
        });
        stream::iter(numbers).buffered(PARALLEL_PARTS).try_collect().await
    }

    async fn etag_in_parts(&self, piece: &Piece, part: u64) -> Result<String, Failure> {
        let mut all = Md5::new();
        let count = piece.size.div_ceil(part);
        for number in 0..count {
            let _room = self.room(part).await?;
            all.update(Md5::digest(read(piece, number * part, part).await?));
        }
        Ok(format!("{}-{count}", hex::encode(all.finalize())))
    }

    /// Waits until so many bytes may be held in memory.
    async fn room(&self, bytes: u64) -> Result<tokio::sync::SemaphorePermit<'_>, Failure> {
        let kib = u32::try_from(bytes >> 10).unwrap_or(MEMORY).clamp(1, MEMORY);
        self.memory.acquire_many(kib).await.map_err(|_| Failure::new(FailureKind::Cancelled, "the upload was called off", ""))
    }
}

/// An upload in parts that is under way. Dropped unfinished (the order was called off), what has arrived is taken back:
/// it would cost storage for ever.
struct Begun {
    s3: aws_sdk_s3::Client,
    to: S3Uri,
    id: String,
    /// Absent once there is nothing to take back.
    permit: Option<Arc<Permit>>,
}

impl Begun {
    fn finished(mut self) {
        self.permit = None;
    }

    async fn take_back(mut self) {
        self.permit = None;
        self.abort().await;
    }

    /// That the abort fails too is not what the user must hear.
    fn abort(&self) -> impl Future<Output = ()> + Send + use<> {
        let call = self.s3.abort_multipart_upload().bucket(&self.to.bucket).key(&self.to.key).upload_id(&self.id);
        async move {
            if let Err(error) = call.send().await {
                tracing::warn!(error = %fault::tell("taking an upload back", &error).what, "parts of an upload stay in S3");
            }
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let (Some(permit), Ok(runtime)) = (self.permit.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(under(permit, self.abort()));
        }
    }
}

async fn read(piece: &Piece, start: u64, length: u64) -> Result<Vec<u8>, Failure> {
    let own = piece.clone();
    let name = piece.name.clone();
    let unreadable = move |why: String| {
        Failure::new(FailureKind::Machine, format!("cannot read {name}: {why}"), "it may have been changed or removed meanwhile")
    };
    match tokio::task::spawn_blocking(move || own.read(start, length)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(unreadable(error.to_string())),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// Counts and tells how far it has come, at most ten times a second.
struct Meter<'a> {
    files: u64,
    bytes: u64,
    started: Instant,
    state: Mutex<(Done, u64, Instant)>,
    tell: &'a (dyn Fn(Progress) + Send + Sync),
}

impl<'a> Meter<'a> {
    fn new(plan: &Plan, tell: &'a (dyn Fn(Progress) + Send + Sync)) -> Self {
        let started = Instant::now();
        Self {
            files: plan.files.len() as u64,
            bytes: plan.bytes,
            started,
            state: Mutex::new((Done::default(), 0, started)),
            tell,
        }
    }

    fn sent(&self, bytes: u64, whole: bool) {
        self.count(bytes, |done| {
            done.bytes += bytes;
            done.sent += u64::from(whole);
        });
    }

    fn unchanged(&self, bytes: u64) {
        self.count(bytes, |done| done.unchanged += 1);
    }

    fn count(&self, bytes: u64, add: impl FnOnce(&mut Done)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        add(&mut state.0);
        state.1 += bytes;
        let (done, passed) = (state.0, state.1);
        let files = done.sent + done.unchanged;
        if files < self.files && state.2.elapsed() < Duration::from_millis(100) {
            return;
        }
        state.2 = Instant::now();
        drop(state);
        #[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
        let rate = done.bytes as f64 / self.started.elapsed().as_secs_f64().max(0.001) / 1e6;
        let said = format!("{files} of {} files, {rate:.1} MB/s", self.files);
        (self.tell)(Progress { said: Safe::line(&said), done: passed, total: self.bytes });
    }

    fn finish(&self) -> Done {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::scripted::{Answer, Notes, Scripted};
    use crate::aws::with_order;

    const WHO: &str = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>a</Arn><UserId>u</UserId><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";

    /// A bucket with these objects (key, size, etag); sending a part fails when told.
    fn store(there: Vec<(&'static str, u64, String)>, parts_fail: bool) -> Scripted {
        Scripted::new(move |asked| -> Answer {
            let said = |status: u16, body: String| (status, body.into_bytes());
            let (method, path) = asked.operation.split_once(' ').unwrap();
            match method {
                "POST" if path == "/" => said(200, WHO.into()),
                "POST" if asked.uri.contains("uploads") => {
                    said(200, "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>".into())
                }
                "POST" => said(200, "<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>".into()),
                "GET" => {
                    let row = |(key, size, etag): &(&str, u64, String)| {
                        format!("<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"{etag}\"</ETag></Contents>")
                    };
                    let rows = there.iter().map(row).collect::<Vec<_>>().concat();
                    said(200, format!("<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"))
                }
                "PUT" if asked.uri.contains("partNumber=2") && parts_fail => {
                    said(403, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>".into())
                }
                "DELETE" => said(204, String::new()),
                _ => said(200, String::new()),
            }
        })
    }

    async fn sent(http: &Scripted, folder: &std::path::Path) -> (Result<Done, Failure>, Vec<String>) {
        let aws = http.connect(false, Some(Arc::new(Notes::default()))).await;
        let plan = plan(folder).unwrap();
        let done = with_order("o".into(), upload(&aws, &plan, &S3Uri::new("data", "in/"), &|_| {})).await;
        let changes =
            http.operations().into_iter().filter(|name| ["PUT", "DELETE"].iter().any(|verb| name.starts_with(verb))).collect();
        (done, changes)
    }

    #[tokio::test]
    async fn unchanged_files_are_not_sent_again() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("same"), "same").unwrap();
        std::fs::write(folder.path().join("new"), "1234").unwrap();
        let http = store(vec![("in/same", 4, hex::encode(Md5::digest("same"))), ("in/new", 4, "0".repeat(32))], false);
        let (done, changes) = sent(&http, folder.path()).await;
        assert_eq!(done.unwrap(), Done { sent: 1, bytes: 4, unchanged: 1 });
        assert_eq!(changes, ["PUT /data/in/new"]);
    }

    #[tokio::test]
    async fn a_large_file_goes_in_parts_and_a_failure_takes_it_back() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("big"), vec![7; usize::try_from(IN_PARTS + 5).unwrap()]).unwrap();
        let (done, changes) = sent(&store(Vec::new(), false), folder.path()).await;
        assert_eq!((done.unwrap().sent, changes.len()), (1, 3));
        let (failed, changes) = sent(&store(Vec::new(), true), folder.path()).await;
        assert_eq!(failed.unwrap_err().kind, FailureKind::Denied);
        assert!(changes.iter().any(|name| name == "DELETE /data/in/big"), "{changes:?}");
    }

    #[tokio::test]
    async fn an_upload_that_is_called_off_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("big"), vec![7; usize::try_from(IN_PARTS + 5).unwrap()]).unwrap();
        let http = store(Vec::new(), false);
        let aws = http.connect(false, Some(Arc::new(Notes::default()))).await;
        let plan = plan(folder.path()).unwrap();
        let counted = |start: &'static str| http.operations().iter().filter(|name| name.starts_with(start)).count();
        {
            let target = S3Uri::new("data", "in/");
            let mut order = Box::pin(with_order("o".into(), upload(&aws, &plan, &target, &|_| {})));
            // Until the parts are being read, then dropped as a cancelled task is.
            while counted("POST /data/in/big") == 0 {
                assert!(futures_util::poll!(&mut order).is_pending(), "ended before it could be called off");
                tokio::task::yield_now().await;
            }
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while counted("DELETE /data/in/big") == 0 {
            assert!(Instant::now() < deadline, "never taken back: {:?}", http.operations());
            tokio::task::yield_now().await;
        }
    }
}
