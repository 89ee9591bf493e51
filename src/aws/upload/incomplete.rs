//! Uploads in parts that were begun and neither completed nor given up: what has arrived of them is stored, and paid for,
//! but is no object. Found, measured, continued, given up.

use std::collections::BTreeMap;

use aws_sdk_s3::Client;
use jiff::Timestamp;
use md5::{Digest, Md5};

use crate::aws::bucket::from_url;
use crate::aws::s3_uri::S3Uri;
use crate::aws::{fault, time};
use crate::model::{Failure, FailureKind};

/// Pages of a thousand uploads, or of a thousand parts, that are read of one bucket or upload.
const PAGES: usize = 20;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incomplete {
    /// Where the object would be.
    pub at: S3Uri,
    /// S3's id of the upload, over a hundred characters.
    pub id: String,
    pub initiated: Option<Timestamp>,
    /// Who began it: an ARN, or an account's canonical id.
    pub initiator: String,
    /// E.g. `CRC32`, when it was asked for.
    pub algorithm: Option<String>,
}

/// One part that has arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Bytes.
    pub size: u64,
    /// Without its quotes: the MD5 of what was sent, unless it is encrypted with KMS.
    pub etag: String,
    pub crc32: Option<String>,
    pub crc64: Option<String>,
}

impl Incomplete {
    /// A short name for the upload among others of the same key: the start of the MD5 of its id.
    #[must_use]
    pub fn mark(&self) -> String {
        hex::encode(Md5::digest(&self.id))[..8].to_owned()
    }
}

/// Those whose key begins with the address's key, in S3's order: by key, then by age.
///
/// # Errors
/// When they cannot be listed: S3 wants `s3:ListBucketMultipartUploads` for it.
pub async fn list(s3: &Client, account: &str, under: &S3Uri) -> Result<Vec<Incomplete>, Failure> {
    let mut found = Vec::new();
    let mut marker: Option<(String, String)> = None;
    for _ in 0..PAGES {
        let (key, id) = marker.clone().unzip();
        let call = s3.list_multipart_uploads().bucket(&under.bucket).prefix(&under.key).expected_bucket_owner(account);
        let call = call.encoding_type(aws_sdk_s3::types::EncodingType::Url).set_key_marker(key).set_upload_id_marker(id);
        let page =
            call.send().await.map_err(|error| fault::tell(&format!("looking for incomplete uploads in {under}"), &error))?;
        found.extend(page.uploads().iter().map(|upload| Incomplete {
            at: S3Uri::new(&under.bucket, from_url(upload.key().unwrap_or_default())),
            id: upload.upload_id().unwrap_or_default().to_owned(),
            initiated: upload.initiated().map(time::ours),
            initiator: upload.initiator().and_then(|who| who.id()).unwrap_or_default().to_owned(),
            algorithm: upload.checksum_algorithm().map(|algorithm| algorithm.as_str().to_owned()),
        }));
        let next = page.next_key_marker().map(from_url).zip(page.next_upload_id_marker().map(ToOwned::to_owned));
        if page.is_truncated() != Some(true) || next.is_none() || next == marker {
            break;
        }
        marker = next;
    }
    Ok(found)
}

/// The parts that have arrived, by number.
///
/// # Errors
/// When they cannot be listed, or the upload is gone.
pub async fn parts(s3: &Client, account: &str, upload: &Incomplete) -> Result<BTreeMap<i32, Part>, Failure> {
    let mut found = BTreeMap::new();
    let mut after: Option<String> = None;
    for _ in 0..PAGES {
        let call = s3.list_parts().bucket(&upload.at.bucket).key(&upload.at.key).upload_id(&upload.id);
        let call = call.expected_bucket_owner(account).set_part_number_marker(after.clone());
        let page = call.send().await.map_err(|error| fault::tell(&format!("looking at the parts of {}", upload.at), &error))?;
        for part in page.parts() {
            let size = part.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
            let etag = part.e_tag().unwrap_or_default().trim_matches('"').to_owned();
            let (crc32, crc64) = (part.checksum_crc32.clone(), part.checksum_crc64_nvme.clone());
            found.insert(part.part_number().unwrap_or(0), Part { size, etag, crc32, crc64 });
        }
        if page.is_truncated() != Some(true) || page.next_part_number_marker == after {
            break;
        }
        after = page.next_part_number_marker;
    }
    Ok(found)
}

/// Gives an upload up: its parts are gone. One that is gone already is fine.
///
/// # Errors
/// When S3 refuses.
pub async fn give_up(s3: &Client, account: &str, upload: &Incomplete) -> Result<(), Failure> {
    let call = s3.abort_multipart_upload().bucket(&upload.at.bucket).key(&upload.at.key).upload_id(&upload.id);
    let asked = call.expected_bucket_owner(account).send().await;
    match asked.map_err(|error| fault::tell(&format!("giving up the upload of {}", upload.at), &error)) {
        Err(failure) if failure.kind != FailureKind::NotFound => Err(failure),
        _ => Ok(()),
    }
}
