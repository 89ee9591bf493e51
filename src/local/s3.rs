//! S3, over [`Buckets`]. The protocol (routing, XML, aws-chunked bodies) is s3s; what the operations do is ours: the file
//! backend that s3s brings keeps keys as paths, so that `a` and `a/b` collide, listings have no `ETags` and no order
//! across pages, and an interrupted `CompleteMultipartUpload` loses parts.

#[macro_use]
mod said;

mod condition;
mod list;
mod object;
mod receive;
mod tagging;
mod upload;

use std::sync::Arc;

use async_trait::async_trait;
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, BucketLocationConstraint, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput, CreateBucketOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteBucketInput, DeleteBucketOutput, DeleteBucketTaggingInput,
    DeleteBucketTaggingOutput, DeleteObjectInput, DeleteObjectOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    DeleteObjectsInput, DeleteObjectsOutput, GetBucketLocationInput, GetBucketLocationOutput, GetBucketTaggingInput,
    GetBucketTaggingOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput, GetObjectOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectsInput,
    ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, Owner, PutBucketTaggingInput,
    PutBucketTaggingOutput, PutObjectInput, PutObjectOutput, PutObjectTaggingInput, PutObjectTaggingOutput, Timestamp,
    UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::host::{S3Host, VirtualHost};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};

use super::ACCOUNT;
use super::buckets::{BucketError, Buckets};
use super::credentials::Credentials;
use super::sessions::Sessions;

/// The S3 service. Requests reach it when their signature has been verified; s3s has the credentials as well, because
/// the signatures of aws-chunked pieces continue the request's.
pub fn service(buckets: Buckets, region: &str, credentials: &Credentials, sessions: Arc<Sessions>) -> S3Service {
    let mut builder = S3ServiceBuilder::new(Front { buckets, region: Arc::from(region) });
    builder.set_auth(Secrets { own: credentials.clone(), sessions });
    builder.set_host(Host);
    builder.build()
}

/// The secrets of the keys that requests are signed with.
struct Secrets {
    own: Credentials,
    sessions: Arc<Sessions>,
}

#[async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        if access_key == self.own.access_key_id {
            return Ok(SecretKey::from(&*self.own.secret_access_key));
        }
        let session = self.sessions.find(access_key).ok_or_else(|| s3_error!(InvalidAccessKeyId))?;
        Ok(SecretKey::from(&*session.credentials.secret_access_key))
    }
}

/// `bucket.localhost[:port]` names a bucket; every other host means path style.
struct Host;

impl S3Host for Host {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        Ok(match name.strip_suffix(".localhost") {
            Some(bucket) => VirtualHost::new("localhost").with_bucket(bucket),
            None => VirtualHost::new(host),
        })
    }
}

struct Front {
    buckets: Buckets,
    region: Arc<str>,
}

impl Front {
    /// Runs what waits for the disk where waiting is allowed.
    async fn disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Buckets) -> Result<T, BucketError> + Send + 'static,
    ) -> S3Result<T> {
        let buckets = self.buckets.clone();
        match tokio::task::spawn_blocking(move || work(&buckets)).await {
            Ok(result) => result.map_err(to_s3),
            Err(error) => Err(S3Error::internal_error(error)),
        }
    }
}

/// The owner of everything here, as S3's canonical user ID: a constant of the right shape.
fn owner() -> Owner {
    Owner { display_name: Some("footplate".to_owned()), id: Some(ACCOUNT.repeat(6)[..64].to_owned()) }
}

/// `ExpectedBucketOwner`: clients name the account they believe the bucket belongs to.
fn expect_owner(expected: Option<&str>) -> S3Result<()> {
    match expected {
        Some(account) if account != ACCOUNT => Err(s3_error!(AccessDenied, "Access Denied")),
        _ => Ok(()),
    }
}

fn to_s3(error: BucketError) -> S3Error {
    match error {
        BucketError::NoSuchBucket(_) => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
        BucketError::NoSuchKey(_) => s3_error!(NoSuchKey, "The specified key does not exist."),
        BucketError::Io(error) => disk_error(&error),
    }
}

/// A full disk is said in words; the object that was there before is untouched.
fn disk_error(error: &std::io::Error) -> S3Error {
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    if !full {
        return S3Error::with_message(S3ErrorCode::InternalError, format!("The local region's disk failed: {error}"));
    }
    let text = "The disk of the local region is full: make room (or `footplate local reset`) and try again; nothing was changed";
    let mut answer = S3Error::with_message(S3ErrorCode::Custom("StorageFull".into()), text);
    answer.set_status_code(http::StatusCode::INSUFFICIENT_STORAGE);
    answer
}

fn timestamp(millis: i64) -> Timestamp {
    let since = std::time::Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    Timestamp::from(std::time::SystemTime::UNIX_EPOCH + since)
}

#[expect(clippy::unnecessary_wraps, reason = "it is the last expression of operations, which can fail")]
fn answer<T>(output: T) -> S3Result<S3Response<T>> {
    Ok(S3Response::new(output))
}

#[async_trait]
impl S3 for Front {
    async fn list_buckets(&self, request: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        self.all_buckets(request.input).await
    }

    async fn create_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let input = request.input;
        let constraint = input.create_bucket_configuration.and_then(|configuration| configuration.location_constraint);
        let asked = constraint.as_ref().map_or("us-east-1", BucketLocationConstraint::as_str).to_owned();
        if asked != *self.region {
            let text = format!(
                "The {asked} location constraint is incompatible for the region specific endpoint this request was sent to."
            );
            return Err(S3Error::with_message(S3ErrorCode::IllegalLocationConstraintException, text));
        }
        let name = input.bucket.clone();
        let made = self.disk(move |buckets| buckets.create(&name)).await?;
        // us-east-1 alone answers 200 when the bucket is already yours (API reference of CreateBucket).
        if !made && *self.region != *"us-east-1" {
            return Err(s3_error!(
                BucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it."
            ));
        }
        answer(CreateBucketOutput { location: Some(format!("/{}", input.bucket)) })
    }

    async fn delete_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        expect_owner(request.input.expected_bucket_owner.as_deref())?;
        if !self.disk(move |buckets| buckets.remove_bucket(&request.input.bucket)).await? {
            return Err(s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"));
        }
        Ok(S3Response::with_status(DeleteBucketOutput {}, http::StatusCode::NO_CONTENT))
    }

    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        expect_owner(request.input.expected_bucket_owner.as_deref())?;
        self.disk(move |buckets| buckets.expect_bucket(&request.input.bucket)).await?;
        answer(HeadBucketOutput { bucket_region: Some(self.region.to_string()), ..Default::default() })
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        expect_owner(request.input.expected_bucket_owner.as_deref())?;
        self.disk(move |buckets| buckets.expect_bucket(&request.input.bucket)).await?;
        let elsewhere = (*self.region != *"us-east-1").then(|| BucketLocationConstraint::from(self.region.to_string()));
        answer(GetBucketLocationOutput { location_constraint: elsewhere })
    }

    async fn get_bucket_versioning(
        &self,
        request: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        expect_owner(request.input.expected_bucket_owner.as_deref())?;
        self.disk(move |buckets| buckets.expect_bucket(&request.input.bucket)).await?;
        answer(GetBucketVersioningOutput::default())
    }

    async fn list_objects(&self, request: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        self.list_v1(request.input).await
    }

    async fn list_objects_v2(&self, request: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.list_v2(request.input).await
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.get(request.input).await
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.head(request.input).await
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.put(request).await
    }

    async fn copy_object(&self, request: S3Request<CopyObjectInput>) -> S3Result<S3Response<CopyObjectOutput>> {
        self.copy(request.input).await
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.delete(request.input).await
    }

    async fn delete_objects(&self, request: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        self.delete_many(request.input).await
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.begin(request.input).await
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        self.part(request).await
    }

    async fn upload_part_copy(&self, request: S3Request<UploadPartCopyInput>) -> S3Result<S3Response<UploadPartCopyOutput>> {
        self.part_copy(request.input).await
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.complete(request.input).await
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.abort(request.input).await
    }

    async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
        self.parts(request.input).await
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        self.uploads(request.input).await
    }

    async fn get_object_tagging(
        &self,
        request: S3Request<GetObjectTaggingInput>,
    ) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        self.object_tags(request.input).await
    }

    async fn put_object_tagging(
        &self,
        request: S3Request<PutObjectTaggingInput>,
    ) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        self.tag_object(request.input).await
    }

    async fn delete_object_tagging(
        &self,
        request: S3Request<DeleteObjectTaggingInput>,
    ) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        self.untag_object(request.input).await
    }

    async fn get_bucket_tagging(
        &self,
        request: S3Request<GetBucketTaggingInput>,
    ) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        self.bucket_tags(request.input).await
    }

    async fn put_bucket_tagging(
        &self,
        request: S3Request<PutBucketTaggingInput>,
    ) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        self.tag_bucket(request.input).await
    }

    async fn delete_bucket_tagging(
        &self,
        request: S3Request<DeleteBucketTaggingInput>,
    ) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        self.untag_bucket(request.input).await
    }
}
