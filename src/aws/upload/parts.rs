//! A large file in parts. What an earlier upload of the same file got across is not sent again: a part counts as there when
//! its size and MD5 are what this upload would send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::etag;
use super::incomplete::{self, Incomplete, Part};
use super::piece::{Piece, Stamp};
use super::{Sender, Trouble, look, read};
use crate::aws::fault;
use crate::aws::order::{Pending, Permit, permit, under};
use crate::aws::s3_uri::S3Uri;
use crate::model::{Failure, FailureKind};

/// Parts of one object on their way at once.
const PARALLEL: usize = 4;
impl Sender {
    /// Sends a file in parts, or what is missing of it.
    pub(super) async fn send_parts(self: &Arc<Self>, piece: &Piece, stamp: Stamp, to: &S3Uri) -> Result<(), Trouble> {
        let length = etag::part(stamp.size);
        if let Some(object) = self.there.get(&to.key)
            && object.size == stamp.size
            && object.etag == self.etag(piece, stamp, length).await?
        {
            self.meter.unchanged(stamp.size);
            return Ok(());
        }
        let (begun, there) = self.begin(to).await?;
        let passed = AtomicU64::new(0);
        let done = async {
            let parts = self.parts(piece, stamp, length, &begun.upload, &there, &passed).await?;
            // What came across belongs together only if nobody wrote to the file meanwhile.
            if look(piece).await? != stamp {
                return Err(Trouble::Changed);
            }
            self.complete(&begun.upload, parts).await
        };
        match done.await {
            Ok(()) => {
                begun.finished();
                self.meter.sent(0, true);
                Ok(())
            }
            Err(trouble) => {
                self.meter.again(passed.into_inner());
                if trouble.passes() {
                    self.keep();
                    begun.finished();
                } else {
                    begun.take_back().await;
                }
                Err(trouble)
            }
        }
    }

    /// The upload to put parts into: an earlier one that broke off, with its parts, or a new one.
    async fn begin(self: &Arc<Self>, to: &S3Uri) -> Result<(Begun, BTreeMap<i32, Part>), Trouble> {
        let begun = |upload| Begun { sender: Arc::clone(self), upload, permit: permit(), pending: self.after.pending() };
        if let Some(earlier) = self.begun.get(&to.key) {
            match incomplete::parts(&self.s3, &self.account, earlier).await {
                Ok(there) => {
                    if !there.is_empty() {
                        self.meter.continued();
                    }
                    return Ok((begun(earlier.clone()), there));
                }
                Err(failure) if failure.kind == FailureKind::NotFound => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        let call = self.s3.create_multipart_upload().bucket(&to.bucket).key(&to.key).expected_bucket_owner(&self.account);
        // Said here, so that the parts' checksums fit it whatever the service's own choice is.
        let call = call.checksum_algorithm(ChecksumAlgorithm::Crc32);
        let made = call.send().await.map_err(|error| fault::tell(&format!("uploading {to}"), &error))?;
        let upload = Incomplete {
            at: to.clone(),
            id: made.upload_id.unwrap_or_default(),
            initiated: None,
            initiator: String::new(),
            algorithm: None,
        };
        Ok((begun(upload), BTreeMap::new()))
    }

    async fn parts(
        &self,
        piece: &Piece,
        stamp: Stamp,
        length: u64,
        upload: &Incomplete,
        there: &BTreeMap<i32, Part>,
        passed: &AtomicU64,
    ) -> Result<Vec<CompletedPart>, Trouble> {
        let numbers = (1..=stamp.size.div_ceil(length)).map(|number| async move {
            let start = (number - 1) * length;
            let number = i32::try_from(number).unwrap_or(i32::MAX);
            let length = length.min(stamp.size - start);
            let earlier = there.get(&number).filter(|part| part.size == length);
            let _room = self.room(length).await?;
            let content = read(piece, stamp, start, length, earlier.is_some()).await?;
            let part = CompletedPart::builder().part_number(number);
            passed.fetch_add(length, Ordering::Relaxed);
            if let Some(earlier) = earlier
                && content.digest.is_some_and(|digest| hex::encode(digest) == earlier.etag)
            {
                self.meter.kept(length);
                let part = part.e_tag(&earlier.etag).set_checksum_crc32(earlier.crc32.clone());
                return Ok(part.set_checksum_crc64_nvme(earlier.crc64.clone()).build());
            }
            let at = &upload.at;
            let call = self.s3.upload_part().bucket(&at.bucket).key(&at.key).upload_id(&upload.id).part_number(number);
            let sent = call.expected_bucket_owner(&self.account).body(content.bytes.into()).send().await;
            let sent = match sent {
                Ok(sent) => sent,
                Err(error) => {
                    passed.fetch_sub(length, Ordering::Relaxed);
                    return Err(fault::tell(&format!("uploading {at}"), &error).into());
                }
            };
            self.meter.sent(length, false);
            let part = part.set_e_tag(sent.e_tag).set_checksum_crc32(sent.checksum_crc32);
            Ok(part.set_checksum_crc64_nvme(sent.checksum_crc64_nvme).build())
        });
        stream::iter(numbers).buffered(PARALLEL).try_collect().await
    }

    async fn complete(&self, upload: &Incomplete, parts: Vec<CompletedPart>) -> Result<(), Trouble> {
        let at = &upload.at;
        let expected =
            etag::joint(parts.iter().filter_map(|part| hex::decode(part.e_tag()?.trim_matches('"')).ok()), parts.len());
        let whole = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let call = self.s3.complete_multipart_upload().bucket(&at.bucket).key(&at.key).upload_id(&upload.id);
        let done = call.expected_bucket_owner(&self.account).multipart_upload(whole).send().await;
        let Err(failure) = done.map_err(|error| fault::tell(&format!("uploading {at}"), &error)) else { return Ok(()) };
        // The answer to a completion that went through may be lost; asked again, S3 knows no such upload.
        if failure.kind == FailureKind::NotFound {
            let head = self.s3.head_object().bucket(&at.bucket).key(&at.key).expected_bucket_owner(&self.account).send().await;
            if head.is_ok_and(|head| head.e_tag().is_some_and(|etag| etag.trim_matches('"') == expected)) {
                return Ok(());
            }
        }
        Err(failure.into())
    }

    async fn etag(&self, piece: &Piece, stamp: Stamp, length: u64) -> Result<String, Trouble> {
        let count = stamp.size.div_ceil(length);
        let mut digests = Vec::new();
        for number in 0..count {
            let _room = self.room(length).await?;
            digests.extend(read(piece, stamp, number * length, length, true).await?.digest);
        }
        Ok(etag::joint(digests.into_iter(), usize::try_from(count).unwrap_or(usize::MAX)))
    }
}

/// An upload in parts that is under way. Dropped unfinished (the order was called off), what has arrived is taken back:
/// it would cost storage for ever.
struct Begun {
    sender: Arc<Sender>,
    upload: Incomplete,
    /// Absent once there is nothing to take back.
    permit: Option<Arc<Permit>>,
    /// Dropped last: whoever waits for the aftermath waits for this upload to be finished or taken back.
    #[expect(dead_code, reason = "it is there to be dropped")]
    pending: Pending,
}

impl Begun {
    fn finished(mut self) {
        self.permit = None;
    }

    async fn take_back(mut self) {
        self.permit = None;
        take_back(&self.sender, &self.upload).await;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && !self.sender.keeps()
        {
            let (sender, upload) = (Arc::clone(&self.sender), self.upload.clone());
            self.sender.after.work(under(permit, async move { take_back(&sender, &upload).await }));
        }
    }
}

/// That this fails too is not what the user must hear.
async fn take_back(sender: &Sender, upload: &Incomplete) {
    if let Err(Failure { what, .. }) = incomplete::give_up(&sender.s3, &sender.account, upload).await {
        tracing::warn!(error = %what, "parts of an upload stay in S3");
    }
}
