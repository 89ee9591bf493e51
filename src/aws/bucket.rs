//! Buckets and what is in them: the default bucket as the Python SDK names it, ownership, listing.

use aws_sdk_s3::operation::create_bucket::CreateBucketError;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration, EncodingType};
use percent_encoding::percent_decode_str;

use super::s3_uri::S3Uri;
use super::{Aws, fault};
use crate::model::{Failure, FailureKind};

/// `sagemaker-{region}-{account}`.
///
/// # Errors
/// When the account cannot be asked.
pub async fn default_name(aws: &Aws) -> Result<String, Failure> {
    Ok(format!("sagemaker-{}-{}", aws.region(), aws.identity().await?.account))
}

/// Whether the bucket exists and is ours. Names are global: a bucket of that name in another account is not ours, and
/// nothing may be put there.
///
/// # Errors
/// When it belongs to somebody else, or cannot be asked.
pub async fn exists(aws: &Aws, bucket: &str) -> Result<bool, Failure> {
    let account = aws.identity().await?.account;
    let asked = aws.s3.head_bucket().bucket(bucket).expected_bucket_owner(&account).send().await;
    match asked.map_err(|error| fault::tell(&format!("looking at bucket {bucket}"), &error)) {
        Ok(_) => Ok(true),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(false),
        Err(failure) if failure.kind == FailureKind::Denied => Err(Failure::new(
            FailureKind::Denied,
            format!("bucket {bucket} is not this account's ({account}), or you may not use it"),
            "choose another `bucket` in footplate.toml",
        )),
        Err(failure) => Err(failure),
    }
}

/// Makes the bucket if it is missing; `true` when it was made.
///
/// # Errors
/// As [`exists`], or when it cannot be made.
pub async fn ensure(aws: &Aws, bucket: &str) -> Result<bool, Failure> {
    if exists(aws, bucket).await? {
        return Ok(false);
    }
    // us-east-1 is the one region that must not be named.
    let place = (aws.region() != "us-east-1")
        .then(|| CreateBucketConfiguration::builder().location_constraint(BucketLocationConstraint::from(aws.region())).build());
    let made = aws.s3.create_bucket().bucket(bucket).set_create_bucket_configuration(place).send().await;
    match made {
        Ok(_) => Ok(true),
        // Another program of this account was faster.
        Err(error) if error.as_service_error().is_some_and(CreateBucketError::is_bucket_already_owned_by_you) => Ok(false),
        Err(error) => Err(fault::tell(&format!("making bucket {bucket}"), &error)),
    }
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    pub size: u64,
    /// Without its quotes; the MD5 of what was sent in one piece and is not encrypted with KMS.
    pub etag: String,
}

/// All objects whose key begins with the address's key; none when the bucket is missing.
///
/// # Errors
/// When they cannot be listed.
pub async fn objects(aws: &Aws, under: &S3Uri) -> Result<Vec<Object>, Failure> {
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let call = aws.s3.list_objects_v2().bucket(&under.bucket).prefix(&under.key).set_continuation_token(token.clone());
        let call = call.encoding_type(EncodingType::Url);
        let page = match call.send().await.map_err(|error| fault::tell(&format!("listing {under}"), &error)) {
            Ok(page) => page,
            Err(failure) if failure.kind == FailureKind::NotFound => return Ok(found),
            Err(failure) => return Err(failure),
        };
        found.extend(page.contents().iter().map(|object| Object {
            key: from_url(object.key().unwrap_or_default()),
            size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            etag: object.e_tag().unwrap_or_default().trim_matches('"').to_owned(),
        }));
        if page.next_continuation_token.is_none() || page.next_continuation_token == token {
            return Ok(found);
        }
        token = page.next_continuation_token;
    }
}

/// A key as a listing with `encoding-type=url` gives it. Without that, a key with a control character makes the whole
/// listing unreadable: XML has no way to write it.
#[must_use]
pub fn from_url(key: &str) -> String {
    percent_decode_str(&key.replace('+', " ")).decode_utf8_lossy().into_owned()
}

/// Whether anything lies there.
///
/// # Errors
/// When it cannot be asked.
pub async fn any(aws: &Aws, under: &S3Uri) -> Result<bool, Failure> {
    let call = aws.s3.list_objects_v2().bucket(&under.bucket).prefix(&under.key).max_keys(1);
    match call.send().await.map_err(|error| fault::tell(&format!("looking at {under}"), &error)) {
        Ok(page) => Ok(!page.contents().is_empty()),
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}
