//! Listings: buckets and objects, both versions.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3s::dto::{ListBucketsInput, ListBucketsOutput, Bucket, ListObjectsV2Input, ListObjectsV2Output, ListObjectsInput, ListObjectsOutput, EncodingType, CommonPrefix, Object, ChecksumAlgorithm, ETag, ObjectStorageClass, ChecksumType};
use s3s::{S3Response, S3Result, s3_error};

use super::{Front, answer, expect_owner, owner, timestamp};
use crate::local::buckets::{Page, PageRequest, Row};

/// S3's page, however many are asked for.
const PAGE: i32 = 1000;

/// What `EncodingType=url` leaves as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'*');

struct Wanted {
    bucket: String,
    prefix: Option<String>,
    delimiter: Option<String>,
    after: Option<String>,
    limit: i32,
}

impl Front {
    pub(super) async fn all_buckets(&self, input: ListBucketsInput) -> S3Result<S3Response<ListBucketsOutput>> {
        let names = self.disk(super::super::buckets::Buckets::names).await?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.as_deref().map(from_token).transpose()?;
        let limit = usize::try_from(input.max_buckets.unwrap_or(10_000)).unwrap_or(0);
        if !(1..=10_000).contains(&limit) {
            return Err(s3_error!(InvalidArgument, "Argument max-buckets must be an integer between 1 and 10000"));
        }
        let mut matching =
            names.into_iter().filter(|(name, _)| name.starts_with(&prefix) && after.as_ref().is_none_or(|after| name > after));
        let page: Vec<(String, i64)> = matching.by_ref().take(limit).collect();
        let next = matching.next().and(page.last()).map(|(name, _)| to_token(name));
        let region = self.region.to_string();
        let buckets = page.into_iter().map(|(name, created)| Bucket {
            name: Some(name),
            creation_date: Some(timestamp(created)),
            bucket_region: Some(region.clone()),
        });
        answer(ListBucketsOutput {
            buckets: Some(buckets.collect()),
            owner: Some(owner()),
            continuation_token: next,
            prefix: input.prefix,
        })
    }

    pub(super) async fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<S3Response<ListObjectsV2Output>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let limit = limit(input.max_keys)?;
        let resumed = input.continuation_token.as_deref().map(from_token).transpose()?;
        let page = self
            .page(Wanted {
                bucket: input.bucket.clone(),
                prefix: input.prefix.clone(),
                delimiter: input.delimiter.clone(),
                after: resumed.or_else(|| input.start_after.clone()),
                limit,
            })
            .await?;
        let encode = encoder(input.encoding_type.as_ref());
        let count = page.rows.len() + page.prefixes.len();
        let show_owner = input.fetch_owner.unwrap_or(false);
        answer(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
            delimiter: input.delimiter.as_deref().map(&encode),
            start_after: input.start_after.as_deref().map(&encode),
            encoding_type: input.encoding_type,
            max_keys: Some(limit),
            key_count: Some(i32::try_from(count).unwrap_or(i32::MAX)),
            is_truncated: Some(page.next.is_some()),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next.as_deref().map(to_token),
            contents: Some(page.rows.iter().map(|row| object(row, show_owner, &encode)).collect()),
            common_prefixes: Some(common(&page.prefixes, &encode)),
            ..Default::default()
        })
    }

    pub(super) async fn list_v1(&self, input: ListObjectsInput) -> S3Result<S3Response<ListObjectsOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let limit = limit(input.max_keys)?;
        let page = self
            .page(Wanted {
                bucket: input.bucket.clone(),
                prefix: input.prefix.clone(),
                delimiter: input.delimiter.clone(),
                after: input.marker.clone(),
                limit,
            })
            .await?;
        let encode = encoder(input.encoding_type.as_ref());
        answer(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: Some(encode(input.prefix.as_deref().unwrap_or_default())),
            marker: Some(encode(input.marker.as_deref().unwrap_or_default())),
            max_keys: Some(limit),
            is_truncated: Some(page.next.is_some()),
            // Documented: only with a delimiter; otherwise the last key is the next marker.
            next_marker: page.next.as_deref().filter(|_| input.delimiter.is_some()).map(&encode),
            delimiter: input.delimiter.as_deref().map(&encode),
            encoding_type: input.encoding_type,
            contents: Some(page.rows.iter().map(|row| object(row, true, &encode)).collect()),
            common_prefixes: Some(common(&page.prefixes, &encode)),
            ..Default::default()
        })
    }

    async fn page(&self, wanted: Wanted) -> S3Result<Page> {
        self.disk(move |buckets| {
            let request = PageRequest {
                prefix: wanted.prefix.as_deref().unwrap_or_default(),
                delimiter: wanted.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty()),
                after: wanted.after.as_deref().filter(|after| !after.is_empty()),
                limit: usize::try_from(wanted.limit).unwrap_or(0),
            };
            buckets.page(&wanted.bucket, &request)
        })
        .await
    }
}

pub(super) fn limit(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        Some(asked) if asked < 0 => {
            Err(s3_error!(InvalidArgument, "Argument maxKeys must be an integer between 0 and 2147483647"))
        }
        asked => Ok(asked.unwrap_or(PAGE).min(PAGE)),
    }
}

pub(super) fn encoder(encoding: Option<&EncodingType>) -> impl Fn(&str) -> String + use<> {
    let url = encoding.is_some_and(|encoding| encoding.as_str() == EncodingType::URL);
    move |text| if url { utf8_percent_encode(text, PLAIN).to_string() } else { text.to_owned() }
}

pub(super) fn common(prefixes: &[String], encode: impl Fn(&str) -> String) -> Vec<CommonPrefix> {
    prefixes.iter().map(|prefix| CommonPrefix { prefix: Some(encode(prefix)) }).collect()
}

fn object(row: &Row, show_owner: bool, encode: impl Fn(&str) -> String) -> Object {
    let algorithms: Vec<ChecksumAlgorithm> = row.facts.checksums.keys().cloned().map(ChecksumAlgorithm::from).collect();
    Object {
        key: Some(encode(&row.key)),
        size: i64::try_from(row.size).ok(),
        e_tag: Some(ETag::Strong(row.etag.clone())),
        last_modified: Some(timestamp(row.modified)),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        checksum_algorithm: (!algorithms.is_empty()).then_some(algorithms),
        checksum_type: row.facts.checksum_type.clone().map(ChecksumType::from),
        owner: show_owner.then(owner),
        ..Default::default()
    }
}

/// Where a listing goes on: opaque to clients.
fn to_token(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

fn from_token(token: &str) -> S3Result<String> {
    let text = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}
