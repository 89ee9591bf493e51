//! Single objects: read, write, copy, delete.

use std::io::{Read as _, Seek as _, SeekFrom};

use s3s::dto::{
    ChecksumType, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, ETagCondition, Error, GetObjectInput, GetObjectOutput,
    HeadObjectInput, HeadObjectOutput, MetadataDirective, PutObjectInput, PutObjectOutput, Range, ServerSideEncryption,
    StorageClass, StreamingBlob, TaggingDirective, Timestamp, TimestampFormat,
};
use s3s::{S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use tokio_util::io::ReaderStream;

use super::condition::{Reading, Writing};
use super::receive::{Incoming, announced, hasher};
use super::{Front, answer, expect_owner, tagging, timestamp};
use crate::local::buckets::{BucketError, Buckets, Digests, Draft, Facts, Row, Sums};
use crate::local::store::now_millis;

/// What `PutObject` says when nothing said a type.
pub(super) const PLAIN_TYPE: &str = "binary/octet-stream";

impl Front {
    pub(super) async fn get(&self, input: GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        no_versions(input.version_id.as_deref())?;
        no_parts(input.part_number)?;
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let (row, mut file) = self.disk(move |buckets| buckets.open_object(&bucket, &key)).await?;
        Reading {
            matches: input.if_match,
            none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        }
        .check(&row)?;
        let (span, content_range) = span(input.range, row.size)?;
        file.seek(SeekFrom::Start(span.start)).map_err(BucketError::from).map_err(super::to_s3)?;
        let length = span.end - span.start;
        let reader = tokio::io::AsyncReadExt::take(tokio::fs::File::from_std(file), length);
        let sums = Checksums::of(&row.facts, input.checksum_mode.is_some() && content_range.is_none());
        let Facts {
            content_type,
            content_encoding,
            content_disposition,
            content_language,
            cache_control,
            redirect,
            metadata,
            ..
        } = row.facts.clone();
        answer(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(StreamingBlob::wrap(ReaderStream::with_capacity(reader, 256 * 1024))),
            content_length: i64::try_from(length).ok(),
            content_range,
            e_tag: Some(ETag::Strong(row.etag)),
            last_modified: Some(timestamp(row.modified)),
            content_type: input.response_content_type.or(content_type),
            content_encoding: input.response_content_encoding.or(content_encoding),
            content_disposition: input.response_content_disposition.or(content_disposition),
            content_language: input.response_content_language.or(content_language),
            cache_control: input.response_cache_control.or(cache_control),
            expires: input.response_expires.or_else(|| expires(&row.facts)),
            website_redirect_location: redirect,
            metadata: Some(metadata.into_iter().collect()),
            storage_class: row.facts.storage_class.clone().map(StorageClass::from),
            tag_count: tagging::count(&row.facts),
            server_side_encryption: Some(encryption(&row.facts)),
            ssekms_key_id: row.facts.kms_key,
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            checksum_type: sums.kind,
            ..Default::default()
        })
    }

    pub(super) async fn head(&self, input: HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        no_versions(input.version_id.as_deref())?;
        no_parts(input.part_number)?;
        let row = self.expect_row(input.bucket, input.key).await?;
        Reading {
            matches: input.if_match,
            none_match: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        }
        .check(&row)?;
        let (span, content_range) = span(input.range, row.size)?;
        let status = content_range.is_some().then_some(http::StatusCode::PARTIAL_CONTENT);
        let sums = Checksums::of(&row.facts, input.checksum_mode.is_some() && content_range.is_none());
        let Facts {
            content_type,
            content_encoding,
            content_disposition,
            content_language,
            cache_control,
            redirect,
            metadata,
            ..
        } = row.facts.clone();
        let mut response = S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(span.end - span.start).ok(),
            content_range,
            e_tag: Some(ETag::Strong(row.etag)),
            last_modified: Some(timestamp(row.modified)),
            content_type,
            content_encoding,
            content_disposition,
            content_language,
            cache_control,
            expires: expires(&row.facts),
            website_redirect_location: redirect,
            metadata: Some(metadata.into_iter().collect()),
            storage_class: row.facts.storage_class.clone().map(StorageClass::from),
            server_side_encryption: Some(encryption(&row.facts)),
            ssekms_key_id: row.facts.kms_key,
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            checksum_type: sums.kind,
            ..Default::default()
        });
        response.status = status;
        Ok(response)
    }

    pub(super) async fn put(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let mut algorithms = announced(&request.headers);
        let trailers = request.trailing_headers;
        let input = request.input;
        expect_owner(input.expected_bucket_owner.as_deref())?;
        no_customer_keys(input.sse_customer_algorithm.as_deref())?;
        let tags = tagging::from_header(input.tagging.as_deref())?;
        let storage_class = tagging::storage_class(input.storage_class.as_ref())?;
        algorithms.extend(input.checksum_algorithm.as_ref().map(|algorithm| algorithm.as_str().to_owned()));
        // Nothing is written for a bucket that is not there.
        let bucket = input.bucket.clone();
        self.disk(move |buckets| buckets.expect_bucket(&bucket)).await?;
        let claimed = claimed!(input);
        let incoming =
            Incoming { body: input.body, length: input.content_length, md5: input.content_md5, claimed, algorithms, trailers };
        let (draft, sums) = self.receive(incoming).await?;
        let facts = facts!(input, tags, storage_class);
        let condition = Writing { matches: input.if_match, none_match: input.if_none_match };
        let row = self.keep(input.bucket, input.key, draft, &sums, facts, condition).await?;
        let sums = Checksums::of(&row.facts, true);
        answer(PutObjectOutput {
            e_tag: Some(ETag::Strong(row.etag)),
            server_side_encryption: Some(encryption(&row.facts)),
            ssekms_key_id: row.facts.kms_key,
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            checksum_type: sums.kind,
            ..Default::default()
        })
    }

    pub(super) async fn copy(&self, input: CopyObjectInput) -> S3Result<S3Response<CopyObjectOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        expect_owner(input.expected_source_bucket_owner.as_deref())?;
        let (bucket, key) = source(&input.copy_source)?;
        let replace = input.metadata_directive.as_ref().is_some_and(|directive| directive.as_str() == MetadataDirective::REPLACE);
        if bucket == input.bucket
            && key == input.key
            && !replace
            && input.server_side_encryption.is_none()
            && input.storage_class.is_none()
        {
            return Err(s3_error!(
                InvalidRequest,
                "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
            ));
        }
        let retag = input.tagging_directive.as_ref().is_some_and(|directive| directive.as_str() == TaggingDirective::REPLACE);
        let new_tags = tagging::from_header(input.tagging.as_deref())?;
        let storage_class = tagging::storage_class(input.storage_class.as_ref())?;
        let from = self.expect_row(bucket.clone(), key.clone()).await?;
        Reading {
            matches: input.copy_source_if_match,
            none_match: input.copy_source_if_none_match,
            modified_since: input.copy_source_if_modified_since,
            unmodified_since: input.copy_source_if_unmodified_since,
        }
        .check_source(&from)?;
        let algorithms: Vec<String> = match &input.checksum_algorithm {
            Some(algorithm) => vec![algorithm.as_str().to_owned()],
            None => from.facts.checksums.keys().cloned().collect(),
        };
        let hasher = hasher(algorithms.iter().map(String::as_str))?;
        let (draft, sums) =
            self.disk(move |buckets| duplicate(buckets, &bucket, &key, 0..u64::MAX, Digests::new(hasher))).await?;
        let tags = if retag { new_tags } else { from.facts.tags.clone() };
        let mut facts = if replace {
            Facts {
                content_type: Some(input.content_type.unwrap_or_else(|| PLAIN_TYPE.to_owned())),
                content_encoding: input.content_encoding,
                content_disposition: input.content_disposition,
                content_language: input.content_language,
                cache_control: input.cache_control,
                expires: input.expires.as_ref().and_then(http_date),
                redirect: input.website_redirect_location,
                metadata: input.metadata.unwrap_or_default().into_iter().collect(),
                ..Facts::default()
            }
        } else {
            from.facts
        };
        facts.encryption = input.server_side_encryption.map(|encryption| encryption.as_str().to_owned());
        facts.kms_key = input.ssekms_key_id;
        facts.tags = tags;
        facts.storage_class = storage_class;
        let row = self.keep(input.bucket, input.key, draft, &sums, facts, Writing::default()).await?;
        let sums = Checksums::of(&row.facts, true);
        answer(CopyObjectOutput {
            server_side_encryption: Some(encryption(&row.facts)),
            ssekms_key_id: row.facts.kms_key.clone(),
            copy_object_result: Some(CopyObjectResult {
                e_tag: Some(ETag::Strong(row.etag)),
                last_modified: Some(timestamp(row.modified)),
                checksum_crc32: sums.crc32,
                checksum_crc32c: sums.crc32c,
                checksum_crc64nvme: sums.crc64nvme,
                checksum_sha1: sums.sha1,
                checksum_sha256: sums.sha256,
                checksum_type: sums.kind,
            }),
            ..Default::default()
        })
    }

    pub(super) async fn delete(&self, input: DeleteObjectInput) -> S3Result<S3Response<DeleteObjectOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        no_versions(input.version_id.as_deref())?;
        let condition = Writing { matches: input.if_match, none_match: None };
        let asked = condition.clone();
        let done = self.disk(move |buckets| buckets.remove(&input.bucket, &input.key, |there| asked.allows(there))).await?;
        if done.is_none() {
            return Err(condition.refusal(true));
        }
        Ok(S3Response::with_status(DeleteObjectOutput::default(), http::StatusCode::NO_CONTENT))
    }

    pub(super) async fn delete_many(&self, input: DeleteObjectsInput) -> S3Result<S3Response<DeleteObjectsOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let quiet = input.delete.quiet.unwrap_or(false);
        if input.delete.objects.is_empty() || input.delete.objects.len() > 1000 {
            return Err(s3_error!(
                MalformedXML,
                "The XML you provided was not well-formed or did not validate against our published schema"
            ));
        }
        let output = self
            .disk(move |buckets| {
                buckets.expect_bucket(&input.bucket)?;
                let (mut deleted, mut errors) = (Vec::new(), Vec::new());
                for object in input.delete.objects {
                    let condition = Writing { matches: object.e_tag.map(ETagCondition::ETag), none_match: None };
                    let key = Some(object.key.clone());
                    match buckets.remove(&input.bucket, &object.key, |there| condition.allows(there)) {
                        Ok(Some(())) if quiet => {}
                        Ok(Some(())) => deleted.push(DeletedObject { key, ..Default::default() }),
                        Ok(None) => errors.push(failure(
                            key,
                            "PreconditionFailed",
                            "At least one of the pre-conditions you specified did not hold",
                        )),
                        Err(error) => errors.push(failure(key, "InternalError", &error.to_string())),
                    }
                }
                Ok(DeleteObjectsOutput { deleted: Some(deleted), errors: Some(errors), ..Default::default() })
            })
            .await?;
        answer(output)
    }

    pub(super) async fn expect_row(&self, bucket: String, key: String) -> S3Result<Row> {
        self.disk(move |buckets| buckets.row(&bucket, &key)?.ok_or(BucketError::NoSuchKey(key))).await
    }

    /// Makes finished content an object.
    async fn keep(
        &self,
        bucket: String,
        key: String,
        mut draft: Draft,
        sums: &Sums,
        mut facts: Facts,
        condition: Writing,
    ) -> S3Result<Row> {
        facts.add_checksums(&sums.checksums, ChecksumType::FULL_OBJECT);
        let row =
            Row { key, blob: draft.name().to_owned(), size: sums.size, etag: sums.md5.clone(), modified: now_millis(), facts };
        let (asked, stored) = (condition.clone(), row.clone());
        let (done, there) = self
            .disk(move |buckets| {
                let mut there = false;
                let done = buckets.put(&bucket, &mut draft, &stored, |old| {
                    there = old.is_some();
                    asked.allows(old)
                })?;
                Ok((done, there))
            })
            .await?;
        if done.is_none() {
            return Err(condition.refusal(there));
        }
        Ok(row)
    }
}

/// Copies part of an object's content to new content.
pub(super) fn duplicate(
    buckets: &Buckets,
    bucket: &str,
    key: &str,
    span: std::ops::Range<u64>,
    mut digests: Digests,
) -> Result<(Draft, Sums), BucketError> {
    let (_, mut from) = buckets.open_object(bucket, key)?;
    from.seek(SeekFrom::Start(span.start))?;
    let draft = buckets.draft()?;
    let mut file = draft.create()?;
    digests.copy(from.take(span.end - span.start), &mut file)?;
    draft.settle(&file)?;
    Ok((draft, digests.finish()))
}

/// Bucket and key of a copy's source.
pub(super) fn source(source: &CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, version_id: None } => Ok((bucket.to_string(), key.to_string())),
        _ => Err(s3_error!(NotImplemented, "The local region copies from buckets, without versions")),
    }
}

/// The stored checksums, one field each, as every answer wants them.
#[derive(Default)]
pub(super) struct Checksums {
    pub crc32: Option<String>,
    pub crc32c: Option<String>,
    pub crc64nvme: Option<String>,
    pub sha1: Option<String>,
    pub sha256: Option<String>,
    pub kind: Option<ChecksumType>,
}

impl Checksums {
    pub fn of(facts: &Facts, wanted: bool) -> Self {
        if !wanted {
            return Self::default();
        }
        let get = |name: &str| facts.checksums.get(name).cloned();
        Self {
            crc32: get("CRC32"),
            crc32c: get("CRC32C"),
            crc64nvme: get("CRC64NVME"),
            sha1: get("SHA1"),
            sha256: get("SHA256"),
            kind: facts.checksum_type.clone().map(ChecksumType::from),
        }
    }
}

/// S3 encrypts everything with its own key unless told otherwise, and says so.
pub(super) fn encryption(facts: &Facts) -> ServerSideEncryption {
    let asked = facts.encryption.clone();
    asked.map_or(ServerSideEncryption::from_static(ServerSideEncryption::AES256), ServerSideEncryption::from)
}

/// Without `aws-chunked`, which is of the way here and not of the object.
pub(super) fn kept_encoding(sent: Option<String>) -> Option<String> {
    let sent = sent?;
    let kept: Vec<&str> = sent.split(',').map(str::trim).filter(|coding| !coding.eq_ignore_ascii_case("aws-chunked")).collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

pub(super) fn http_date(time: &Timestamp) -> Option<String> {
    let mut text = Vec::new();
    time.format(TimestampFormat::HttpDate, &mut text).ok()?;
    String::from_utf8(text).ok()
}

pub(super) fn no_customer_keys(algorithm: Option<&str>) -> S3Result<()> {
    match algorithm {
        Some(_) => Err(s3_error!(NotImplemented, "The local region does not encrypt with customer keys (SSE-C)")),
        None => Ok(()),
    }
}

fn expires(facts: &Facts) -> Option<Timestamp> {
    Timestamp::parse(TimestampFormat::HttpDate, facts.expires.as_deref()?).ok()
}

fn span(range: Option<Range>, size: u64) -> S3Result<(std::ops::Range<u64>, Option<String>)> {
    let Some(range) = range else { return Ok((0..size, None)) };
    let span = range
        .check(size)
        .map_err(|_| S3Error::with_message(S3ErrorCode::InvalidRange, "The requested range is not satisfiable"))?;
    let text = format!("bytes {}-{}/{size}", span.start, span.end.saturating_sub(1));
    Ok((span, Some(text)))
}

pub(super) fn no_versions(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some("null") => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "The specified version does not exist.")),
    }
}

fn no_parts(part: Option<i32>) -> S3Result<()> {
    match part {
        None => Ok(()),
        Some(_) => Err(s3_error!(NotImplemented, "The local region reads objects by range, not by part number")),
    }
}

fn failure(key: Option<String>, code: &str, message: &str) -> Error {
    Error { code: Some(code.to_owned()), key, message: Some(message.to_owned()), version_id: None }
}
