//! The new archive on its way out: in one piece when it is small, else in parts.

use std::sync::Arc;

use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc::Receiver;

use super::rewrite::Piece;
use crate::aws::order::{Permit, permit, under};
use crate::aws::s3_uri::S3Uri;
use crate::aws::{Aws, fault};
use crate::model::{Failure, FailureKind};

/// Parts on their way at once: with the one that is being filled, this bounds the memory.
const PARALLEL: usize = 2;
/// S3's limit.
const MOST_PARTS: i32 = 10_000;

/// Uploads the pieces. `Some(true)`: the archive is there. `Some(false)`: it was not needed, and nothing of it is there.
/// `None`: the pieces ended early, and nothing of it is there.
///
/// # Errors
/// As S3 says; nothing of it is there then.
pub(super) async fn send(aws: &Aws, to: &S3Uri, mut pieces: Receiver<Piece>) -> Result<Option<bool>, Failure> {
    match pieces.recv().await {
        None => Ok(None),
        Some(Piece::Last { same: true, .. }) => Ok(Some(false)),
        Some(Piece::Last { bytes, .. }) => crate::aws::upload::put(aws, to, bytes).await.map(|()| Some(true)),
        Some(Piece::Part(first)) => {
            let begun = Begun::begin(aws, to).await?;
            match begun.parts(first, pieces).await {
                Ok(Some(parts)) => begun.complete(parts).await.map(|()| Some(true)),
                Ok(None) => {
                    begun.take_back().await;
                    Ok(Some(false))
                }
                Err(None) => {
                    begun.take_back().await;
                    Ok(None)
                }
                Err(Some(failure)) => {
                    begun.take_back().await;
                    Err(failure)
                }
            }
        }
    }
}

/// An upload in parts that is under way. Dropped unfinished, what has arrived is taken back: it would cost storage for ever.
struct Begun {
    s3: aws_sdk_s3::Client,
    to: S3Uri,
    id: String,
    /// Absent once there is nothing to take back.
    permit: Option<Arc<Permit>>,
}

impl Begun {
    async fn begin(aws: &Aws, to: &S3Uri) -> Result<Self, Failure> {
        let account = aws.identity().await?.account;
        let call = aws.s3.create_multipart_upload().bucket(&to.bucket).key(&to.key).expected_bucket_owner(account);
        let begun = call.send().await.map_err(|error| fault::tell(&format!("uploading {to}"), &error))?;
        Ok(Self { s3: aws.s3.clone(), to: to.clone(), id: begun.upload_id.unwrap_or_default(), permit: permit() })
    }

    /// All parts; `Ok(None)` when the archive is not needed, `Err(None)` when the pieces end early.
    async fn parts(&self, first: Vec<u8>, mut pieces: Receiver<Piece>) -> Result<Option<Vec<CompletedPart>>, Option<Failure>> {
        let mut under_way = FuturesUnordered::new();
        let mut done = Vec::new();
        let mut number = 1;
        let mut next = Some(first);
        loop {
            if let Some(bytes) = next.take() {
                if number > MOST_PARTS {
                    return Err(Some(Failure::new(
                        FailureKind::Invalid,
                        format!("{} would have more than {MOST_PARTS} parts", self.to),
                        "the archive grows too much when it is packed again; leave out what the model does not need",
                    )));
                }
                under_way.push(self.part(number, bytes));
                number += 1;
            }
            if under_way.len() >= PARALLEL
                && let Some(part) = under_way.next().await
            {
                done.push(part?);
            }
            match pieces.recv().await.ok_or(None)? {
                Piece::Part(bytes) => next = Some(bytes),
                Piece::Last { same: true, .. } => return Ok(None),
                Piece::Last { bytes, .. } => {
                    under_way.push(self.part(number, bytes));
                    break;
                }
            }
        }
        while let Some(part) = under_way.next().await {
            done.push(part?);
        }
        done.sort_by_key(CompletedPart::part_number);
        Ok(Some(done))
    }

    async fn part(&self, number: i32, bytes: Vec<u8>) -> Result<CompletedPart, Failure> {
        let call = self.s3.upload_part().bucket(&self.to.bucket).key(&self.to.key).upload_id(&self.id).part_number(number);
        let sent = call.body(bytes.into()).send().await;
        let sent = sent.map_err(|error| fault::tell(&format!("uploading {}", self.to), &error))?;
        Ok(CompletedPart::builder()
            .part_number(number)
            .set_e_tag(sent.e_tag)
            .set_checksum_crc32(sent.checksum_crc32)
            .set_checksum_crc64_nvme(sent.checksum_crc64_nvme)
            .build())
    }

    async fn complete(mut self, parts: Vec<CompletedPart>) -> Result<(), Failure> {
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let call = self.s3.complete_multipart_upload().bucket(&self.to.bucket).key(&self.to.key).upload_id(&self.id);
        let done = call.multipart_upload(whole).send().await;
        match done.map_err(|error| fault::tell(&format!("uploading {}", self.to), &error)) {
            Ok(_) => {
                self.permit = None;
                Ok(())
            }
            Err(failure) => {
                self.take_back().await;
                Err(failure)
            }
        }
    }

    async fn take_back(mut self) {
        self.permit = None;
        self.abort().await;
    }

    /// That the abort fails too is not what the user must hear; `footplate orphans` finds it.
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
