//! Multipart uploads.

use std::collections::BTreeMap;
use std::fs::File;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, Checksum, ChecksumAlgorithm, ChecksumType,
    CompleteMultipartUploadInput, CompleteMultipartUploadOutput, CompletedPart, CopyPartResult, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, Initiator, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, Part, Range, StorageClass, UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::condition::{Reading, Writing};
use super::list::{common, encoder, limit};
use super::object::{Checksums, duplicate, encryption, no_customer_keys, source};
use super::receive::{Incoming, announced, hasher};
use super::{Front, answer, expect_owner, owner, tagging, timestamp};
use crate::local::buckets::{BucketError, Buckets, Digests, Draft, PartRow, Row, UploadRow, by_algorithm};
use crate::local::store::{now_millis, random_name};

/// Every part but the last has at least this many bytes.
const LEAST_PART: u64 = 5 * 1024 * 1024;

impl Front {
    pub(super) async fn begin(&self, input: CreateMultipartUploadInput) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        no_customer_keys(input.sse_customer_algorithm.as_deref())?;
        let algorithm = input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned());
        hasher(algorithm.iter().map(String::as_str))?;
        let kind = match (&input.checksum_type, algorithm.as_deref()) {
            (Some(kind), _) => Some(kind.as_str().to_owned()),
            (None, Some("CRC64NVME") | None) => Some(ChecksumType::FULL_OBJECT.to_owned()),
            (None, Some(_)) => Some(ChecksumType::COMPOSITE.to_owned()),
        };
        let tags = tagging::from_header(input.tagging.as_deref())?;
        let storage_class = tagging::storage_class(input.storage_class.as_ref())?;
        let facts = facts!(input, tags, storage_class);
        let id = random_name().map_err(S3Error::internal_error)?;
        let output = CreateMultipartUploadOutput {
            bucket: Some(input.bucket.clone()),
            key: Some(input.key.clone()),
            upload_id: Some(id.clone()),
            server_side_encryption: Some(encryption(&facts)),
            ssekms_key_id: facts.kms_key.clone(),
            checksum_algorithm: input.checksum_algorithm,
            checksum_type: algorithm.is_some().then(|| kind.clone().map(ChecksumType::from)).flatten(),
            ..Default::default()
        };
        let upload = UploadRow { id, key: input.key, started: now_millis(), algorithm, checksum_type: kind, facts };
        self.disk(move |buckets| buckets.begin_upload(&input.bucket, &upload)).await?;
        answer(output)
    }

    pub(super) async fn part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let mut algorithms = announced(&request.headers);
        let trailers = request.trailing_headers;
        let input = request.input;
        expect_owner(input.expected_bucket_owner.as_deref())?;
        part_number(input.part_number)?;
        let upload = self.expect_upload(input.bucket, input.key, input.upload_id).await?;
        algorithms.extend(input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned()));
        algorithms.extend(upload.algorithm.clone());
        let claimed = claimed!(input);
        let incoming =
            Incoming { body: input.body, length: input.content_length, md5: input.content_md5, claimed, algorithms, trailers };
        let (draft, sums) = self.receive(incoming).await?;
        let part = PartRow {
            number: input.part_number,
            blob: draft.name().to_owned(),
            size: sums.size,
            etag: sums.md5.clone(),
            modified: now_millis(),
            checksums: by_algorithm(&sums.checksums),
        };
        self.keep_part(&upload, draft, part).await?;
        answer(UploadPartOutput {
            e_tag: Some(ETag::Strong(sums.md5)),
            server_side_encryption: Some(encryption(&upload.facts)),
            ssekms_key_id: upload.facts.kms_key,
            checksum_crc32: sums.checksums.checksum_crc32,
            checksum_crc32c: sums.checksums.checksum_crc32c,
            checksum_crc64nvme: sums.checksums.checksum_crc64nvme,
            checksum_sha1: sums.checksums.checksum_sha1,
            checksum_sha256: sums.checksums.checksum_sha256,
            ..Default::default()
        })
    }

    pub(super) async fn part_copy(&self, input: UploadPartCopyInput) -> S3Result<S3Response<UploadPartCopyOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        expect_owner(input.expected_source_bucket_owner.as_deref())?;
        part_number(input.part_number)?;
        let upload = self.expect_upload(input.bucket, input.key, input.upload_id).await?;
        let (bucket, key) = source(&input.copy_source)?;
        let from = self.expect_row(bucket.clone(), key.clone()).await?;
        Reading {
            matches: input.copy_source_if_match,
            none_match: input.copy_source_if_none_match,
            modified_since: input.copy_source_if_modified_since,
            unmodified_since: input.copy_source_if_unmodified_since,
        }
        .check_source(&from)?;
        let span = match input.copy_source_range.as_deref().map(Range::parse) {
            None => 0..from.size,
            Some(Ok(range)) => range.check(from.size)?,
            Some(Err(_)) => {
                return Err(s3_error!(InvalidArgument, "The x-amz-copy-source-range value must be of the form bytes=first-last"));
            }
        };
        let hasher = hasher(upload.algorithm.iter().map(String::as_str))?;
        let (draft, sums) = self.disk(move |buckets| duplicate(buckets, &bucket, &key, span, Digests::new(hasher))).await?;
        let modified = now_millis();
        let part = PartRow {
            number: input.part_number,
            blob: draft.name().to_owned(),
            size: sums.size,
            etag: sums.md5.clone(),
            modified,
            checksums: by_algorithm(&sums.checksums),
        };
        self.keep_part(&upload, draft, part).await?;
        answer(UploadPartCopyOutput {
            copy_part_result: Some(CopyPartResult {
                e_tag: Some(ETag::Strong(sums.md5)),
                last_modified: Some(timestamp(modified)),
                ..Default::default()
            }),
            server_side_encryption: Some(encryption(&upload.facts)),
            ..Default::default()
        })
    }

    pub(super) async fn complete(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let upload = self.expect_upload(input.bucket.clone(), input.key.clone(), input.upload_id).await?;
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let id = upload.id.clone();
        let parts = choose(&wanted, self.disk(move |buckets| buckets.parts(&id)).await?)?;
        let size: u64 = parts.iter().map(|part| part.size).sum();
        if input.mpu_object_size.is_some_and(|expected| u64::try_from(expected).ok() != Some(size)) {
            return Err(s3_error!(InvalidRequest, "The provided 'x-amz-mp-object-size' header does not match what was computed"));
        }
        let claimed = by_algorithm(&claimed!(input));
        let hasher = hasher(upload.algorithm.iter().map(String::as_str))?;
        let pieces = parts.clone();
        let (mut draft, whole) = self.disk(move |buckets| assemble(buckets, &pieces, Digests::new(hasher))).await?;
        let mut facts = upload.facts;
        facts.add_checksums(&whole, ChecksumType::FULL_OBJECT);
        if upload.checksum_type.as_deref() == Some(ChecksumType::COMPOSITE) {
            facts.checksums = composite(&parts, upload.algorithm.as_deref().unwrap_or_default())?;
            facts.checksum_type = Some(ChecksumType::COMPOSITE.to_owned());
        }
        for (algorithm, value) in &claimed {
            if facts.checksums.get(algorithm) != Some(value) {
                return Err(S3Error::with_message(
                    S3ErrorCode::BadDigest,
                    format!("The {algorithm} you specified did not match the calculated checksum."),
                ));
            }
        }
        let row =
            Row { key: input.key, blob: draft.name().to_owned(), size, etag: joint_etag(&parts), modified: now_millis(), facts };
        let condition = Writing { matches: input.if_match, none_match: input.if_none_match };
        let (asked, stored, bucket, id) = (condition.clone(), row.clone(), input.bucket.clone(), upload.id);
        let (done, there) = self
            .disk(move |buckets| {
                let mut there = false;
                let done = buckets.finish_upload(&bucket, &id, &mut draft, &stored, |old| {
                    there = old.is_some();
                    asked.allows(old)
                })?;
                Ok((done, there))
            })
            .await?;
        if done.is_none() {
            return Err(condition.refusal(there));
        }
        let sums = Checksums::of(&row.facts, true);
        answer(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, row.key)),
            bucket: Some(input.bucket),
            server_side_encryption: Some(encryption(&row.facts)),
            ssekms_key_id: row.facts.kms_key,
            key: Some(row.key),
            e_tag: Some(ETag::Strong(row.etag)),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            checksum_type: sums.kind,
            ..Default::default()
        })
    }

    pub(super) async fn abort(&self, input: AbortMultipartUploadInput) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let upload = self.expect_upload(input.bucket, input.key, input.upload_id).await?;
        self.disk(move |buckets| buckets.drop_upload(&upload.id)).await?;
        Ok(S3Response::with_status(AbortMultipartUploadOutput::default(), http::StatusCode::NO_CONTENT))
    }

    pub(super) async fn parts(&self, input: ListPartsInput) -> S3Result<S3Response<ListPartsOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let limit = limit(input.max_parts)?;
        let upload = self.expect_upload(input.bucket.clone(), input.key.clone(), input.upload_id.clone()).await?;
        let id = upload.id.clone();
        let all = self.disk(move |buckets| buckets.parts(&id)).await?;
        let after = input.part_number_marker.unwrap_or(0);
        let mut rest = all.into_iter().filter(|part| part.number > after);
        let page: Vec<PartRow> = rest.by_ref().take(usize::try_from(limit).unwrap_or(0)).collect();
        let more = rest.next().is_some();
        let parts = page.iter().map(|part| {
            let get = |name: &str| part.checksums.get(name).cloned();
            Part {
                part_number: Some(part.number),
                size: i64::try_from(part.size).ok(),
                e_tag: Some(ETag::Strong(part.etag.clone())),
                last_modified: Some(timestamp(part.modified)),
                checksum_crc32: get("CRC32"),
                checksum_crc32c: get("CRC32C"),
                checksum_crc64nvme: get("CRC64NVME"),
                checksum_sha1: get("SHA1"),
                checksum_sha256: get("SHA256"),
            }
        });
        let owner = owner();
        answer(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: Some(after),
            next_part_number_marker: page.last().map(|part| part.number),
            max_parts: Some(limit),
            is_truncated: Some(more),
            parts: Some(parts.collect()),
            initiator: Some(Initiator { display_name: owner.display_name.clone(), id: owner.id.clone() }),
            owner: Some(owner),
            storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
            checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from),
            checksum_type: upload.checksum_type.map(ChecksumType::from),
            ..Default::default()
        })
    }

    pub(super) async fn uploads(&self, input: ListMultipartUploadsInput) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let limit = limit(input.max_uploads)?;
        let (bucket, prefix) = (input.bucket.clone(), input.prefix.clone().unwrap_or_default());
        let start = prefix.len();
        let all = self.disk(move |buckets| buckets.uploads(&bucket, &prefix)).await?;
        let encode = encoder(input.encoding_type.as_ref());
        let (mut uploads, mut prefixes, mut last, mut more) = (Vec::new(), Vec::new(), None, false);
        let mut skipping = input.upload_id_marker.clone().filter(|marker| !marker.is_empty());
        for upload in all {
            if let Some(marker) = input.key_marker.as_deref().filter(|marker| !marker.is_empty()) {
                let passed = match (upload.key.as_str().cmp(marker), &skipping) {
                    (std::cmp::Ordering::Less, _) | (std::cmp::Ordering::Equal, None) => false,
                    (std::cmp::Ordering::Equal, Some(id)) => {
                        if *id == upload.id {
                            skipping = None;
                        }
                        false
                    }
                    (std::cmp::Ordering::Greater, _) => true,
                };
                // After the marked upload, others of the same key are still to come.
                let same_key = upload.key == marker
                    && skipping.is_none()
                    && input.upload_id_marker.as_deref().is_some_and(|id| !id.is_empty() && id != upload.id);
                if !passed && !same_key {
                    continue;
                }
            }
            let folded = input
                .delimiter
                .as_deref()
                .and_then(|delimiter| Some(upload.key[start..].find(delimiter)? + start + delimiter.len()));
            if let Some(end) = folded
                && prefixes.last().is_some_and(|last: &String| *last == upload.key[..end])
            {
                continue;
            }
            if uploads.len() + prefixes.len() == usize::try_from(limit).unwrap_or(0) {
                more = true;
                break;
            }
            last = Some((upload.key.clone(), upload.id.clone()));
            match folded {
                Some(end) => prefixes.push(upload.key[..end].to_owned()),
                None => uploads.push(MultipartUpload {
                    key: Some(encode(&upload.key)),
                    upload_id: Some(upload.id),
                    initiated: Some(timestamp(upload.started)),
                    storage_class: Some(StorageClass::from_static(StorageClass::STANDARD)),
                    owner: Some(owner()),
                    initiator: Some(Initiator { display_name: owner().display_name, id: owner().id }),
                    checksum_algorithm: upload.algorithm.map(ChecksumAlgorithm::from),
                    checksum_type: upload.checksum_type.map(ChecksumType::from),
                }),
            }
        }
        let next = last.filter(|_| more);
        answer(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
            delimiter: input.delimiter.as_deref().map(&encode),
            key_marker: Some(encode(input.key_marker.as_deref().unwrap_or_default())),
            upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
            next_key_marker: next.as_ref().map(|(key, _)| encode(key)),
            next_upload_id_marker: next.map(|(_, id)| id),
            max_uploads: Some(limit),
            is_truncated: Some(more),
            uploads: Some(uploads),
            common_prefixes: Some(common(&prefixes, &encode)),
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    async fn expect_upload(&self, bucket: String, key: String, id: String) -> S3Result<UploadRow> {
        let upload = self.disk(move |buckets| buckets.upload(&bucket, &key, &id)).await?;
        upload.ok_or_else(no_upload)
    }

    async fn keep_part(&self, upload: &UploadRow, mut draft: Draft, part: PartRow) -> S3Result<()> {
        let id = upload.id.clone();
        if self.disk(move |buckets| buckets.add_part(&id, &mut draft, &part)).await? { Ok(()) } else { Err(no_upload()) }
    }
}

fn no_upload() -> S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

fn part_number(number: i32) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive"))
}

/// The parts that the client named, checked against those that are there.
fn choose(wanted: &[CompletedPart], there: Vec<PartRow>) -> S3Result<Vec<PartRow>> {
    if wanted.is_empty() {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    if !wanted.is_sorted_by(|a, b| a.part_number < b.part_number) {
        return Err(s3_error!(
            InvalidPartOrder,
            "The list of parts was not in ascending order. Parts must be ordered by part number."
        ));
    }
    let mut there: BTreeMap<i32, PartRow> = there.into_iter().map(|part| (part.number, part)).collect();
    let mut chosen = Vec::with_capacity(wanted.len());
    for part in wanted {
        let found = part.part_number.and_then(|number| there.remove(&number));
        let found = found.filter(|found| part.e_tag.as_ref().is_none_or(|etag| etag.value() == found.etag));
        chosen.push(found.ok_or_else(|| {
            s3_error!(
                InvalidPart,
                "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."
            )
        })?);
    }
    let short = chosen.split_last().is_some_and(|(_, others)| others.iter().any(|part| part.size < LEAST_PART));
    if short {
        return Err(s3_error!(EntityTooSmall, "Your proposed upload is smaller than the minimum allowed size"));
    }
    Ok(chosen)
}

/// One content from the parts; they stay until the object is committed.
fn assemble(buckets: &Buckets, parts: &[PartRow], mut digests: Digests) -> Result<(Draft, Checksum), BucketError> {
    let draft = buckets.draft()?;
    let mut file = draft.create()?;
    for part in parts {
        digests.copy(File::open(buckets.blob_path(&part.blob))?, &mut file)?;
    }
    draft.settle(&file)?;
    Ok((draft, digests.finish().checksums))
}

/// The `ETag` of a multipart object: MD5 over the parts' MD5s, and how many there were.
fn joint_etag(parts: &[PartRow]) -> String {
    let mut joint = Md5::new();
    for part in parts {
        joint.update(hex::decode(&part.etag).unwrap_or_default());
    }
    format!("{}-{}", hex::encode(joint.finalize()), parts.len())
}

/// The checksum over the parts' checksums, with their count.
fn composite(parts: &[PartRow], algorithm: &str) -> S3Result<BTreeMap<String, String>> {
    let mut joint = hasher(std::iter::once(algorithm))?;
    for part in parts {
        let bytes = part.checksums.get(algorithm).and_then(|text| BASE64_STANDARD.decode(text).ok());
        joint.update(&bytes.unwrap_or_default());
    }
    Ok(by_algorithm(&joint.finalize()).into_iter().map(|(name, value)| (name, format!("{value}-{}", parts.len()))).collect())
}
