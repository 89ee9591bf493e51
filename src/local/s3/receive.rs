//! Bodies on their way to the disk: written, hashed and checked in one pass.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt as _;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::{Checksum, StreamingBlob};
use s3s::{S3Error, S3ErrorCode, S3Result, TrailingHeaders, s3_error};
use tokio::io::AsyncWriteExt as _;

use super::{Front, disk_error};
use crate::local::buckets::{Digests, Draft, Sums, by_algorithm};
use crate::local::patience;

/// A body, and what its sender said of it.
pub(super) struct Incoming {
    pub body: Option<StreamingBlob>,
    /// Bytes.
    pub length: Option<i64>,
    /// `Content-MD5`, base64.
    pub md5: Option<String>,
    /// Checksums given as headers.
    pub claimed: Checksum,
    /// Algorithms asked for by name, in any of the headers that may name one.
    pub algorithms: Vec<String>,
    pub trailers: Option<TrailingHeaders>,
}

impl Front {
    /// Writes a body to new content.
    pub(super) async fn receive(&self, incoming: Incoming) -> S3Result<(Draft, Sums)> {
        let Incoming { body, length, md5, claimed, algorithms, trailers } = incoming;
        let mut wanted: Vec<String> = by_algorithm(&claimed).into_keys().collect();
        wanted.extend(algorithms);
        let mut digests = Digests::new(hasher(wanted.iter().map(String::as_str))?);
        let draft = self.disk(|buckets| Ok(buckets.draft()?)).await?;
        let file = draft.create().map_err(|error| disk_error(&error))?;
        let mut file = tokio::io::BufWriter::with_capacity(512 * 1024, tokio::fs::File::from_std(file));
        if let Some(mut body) = body {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(|error| broken_body(&error.to_string()))?;
                digests.update(&bytes);
                file.write_all(&bytes).await.map_err(|error| disk_error(&error))?;
            }
        }
        file.flush().await.map_err(|error| disk_error(&error))?;
        let sums = digests.finish();
        if length.is_some_and(|length| u64::try_from(length).ok() != Some(sums.size)) {
            return Err(s3_error!(
                IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header"
            ));
        }
        check_md5(md5.as_deref(), &sums)?;
        let mut promised = by_algorithm(&claimed);
        if let Some(trailers) = trailers.and_then(|trailers| trailers.take()) {
            for name in ALGORITHMS {
                let header = format!("x-amz-checksum-{}", name.to_ascii_lowercase());
                if let Some(value) = trailers.get(&header).and_then(|value| value.to_str().ok()) {
                    promised.insert((*name).to_owned(), value.to_owned());
                }
            }
        }
        let found = by_algorithm(&sums.checksums);
        for (algorithm, value) in promised {
            if found.get(&algorithm) != Some(&value) {
                let text = format!("The {algorithm} you specified did not match the calculated checksum.");
                return Err(S3Error::with_message(S3ErrorCode::BadDigest, text));
            }
        }
        let file = file.into_inner().into_std().await;
        let draft = self
            .disk(move |_| {
                draft.settle(&file)?;
                Ok(draft)
            })
            .await?;
        Ok((draft, sums))
    }
}

const ALGORITHMS: &[&str] = &["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"];

/// A hasher for these algorithms; CRC64NVME when there are none, as S3 does it.
pub(super) fn hasher<'a>(names: impl Iterator<Item = &'a str>) -> S3Result<ChecksumHasher> {
    let mut hasher = ChecksumHasher::default();
    let mut none = true;
    for name in names {
        none = false;
        match name.to_ascii_uppercase().as_str() {
            "CRC32" => hasher.crc32 = Some(Crc32::new()),
            "CRC32C" => hasher.crc32c = Some(Crc32c::new()),
            "CRC64NVME" => hasher.crc64nvme = Some(Crc64Nvme::new()),
            "SHA1" => hasher.sha1 = Some(Sha1::new()),
            "SHA256" => hasher.sha256 = Some(Sha256::new()),
            _ => {
                return Err(s3_error!(
                    InvalidRequest,
                    "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
                ));
            }
        }
    }
    if none {
        hasher.crc64nvme = Some(Crc64Nvme::new());
    }
    Ok(hasher)
}

/// The algorithm that `x-amz-trailer` announces, e.g. `x-amz-checksum-crc32`.
pub(super) fn announced(headers: &http::HeaderMap) -> Vec<String> {
    let names =
        headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    names.filter_map(|name| name.trim().to_ascii_lowercase().strip_prefix("x-amz-checksum-").map(str::to_owned)).collect()
}

fn check_md5(given: Option<&str>, sums: &Sums) -> S3Result<()> {
    let Some(given) = given else { return Ok(()) };
    match BASE64_STANDARD.decode(given) {
        Ok(bytes) if bytes.len() == 16 => {
            if hex::encode(bytes) == sums.md5 {
                return Ok(());
            }
            Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."))
        }
        _ => Err(s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid.")),
    }
}

/// s3s reports what is wrong with a body by the text of its error only.
fn broken_body(text: &str) -> S3Error {
    if text.contains("Sha256Mismatch") {
        let text = "The provided 'x-amz-content-sha256' header does not match what was computed.";
        let mut answer = S3Error::with_message(S3ErrorCode::Custom("XAmzContentSHA256Mismatch".into()), text);
        answer.set_status_code(http::StatusCode::BAD_REQUEST);
        return answer;
    }
    if text.contains("SignatureMismatch") {
        return s3_error!(SignatureDoesNotMatch, "The signature of a chunk does not match.");
    }
    if text.contains(patience::TIMED_OUT) {
        return s3_error!(
            RequestTimeout,
            "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."
        );
    }
    s3_error!(IncompleteBody, "The request body terminated unexpectedly")
}
