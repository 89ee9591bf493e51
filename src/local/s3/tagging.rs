//! Tags of objects and buckets, and storage classes: kept and shown, without effect on anything.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use s3s::dto::{
    DeleteBucketTaggingInput, DeleteBucketTaggingOutput, DeleteObjectTaggingInput, DeleteObjectTaggingOutput,
    GetBucketTaggingInput, GetBucketTaggingOutput, GetObjectTaggingInput, GetObjectTaggingOutput, ObjectStorageClass,
    PutBucketTaggingInput, PutBucketTaggingOutput, PutObjectTaggingInput, PutObjectTaggingOutput, StorageClass, Tag, Tagging,
};
use s3s::{S3Error, S3ErrorCode, S3Response, S3Result, s3_error};

use super::object::no_versions;
use super::{Front, answer, expect_owner};
use crate::local::buckets::{BucketError, Facts};

/// By key.
pub(super) type Tags = BTreeMap<String, String>;

/// The most tags of one object, and of one bucket (S3 User Guide).
const OF_OBJECT: usize = 10;
const OF_BUCKET: usize = 50;

impl Front {
    pub(super) async fn object_tags(&self, input: GetObjectTaggingInput) -> S3Result<S3Response<GetObjectTaggingOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        no_versions(input.version_id.as_deref())?;
        let row = self.expect_row(input.bucket, input.key).await?;
        answer(GetObjectTaggingOutput { tag_set: shape(row.facts.tags), version_id: None })
    }

    pub(super) async fn tag_object(&self, input: PutObjectTaggingInput) -> S3Result<S3Response<PutObjectTaggingOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        no_versions(input.version_id.as_deref())?;
        let tags = sent(input.tagging, OF_OBJECT)?;
        self.set_tags(input.bucket, input.key, tags).await?;
        answer(PutObjectTaggingOutput::default())
    }

    pub(super) async fn untag_object(&self, input: DeleteObjectTaggingInput) -> S3Result<S3Response<DeleteObjectTaggingOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        no_versions(input.version_id.as_deref())?;
        self.set_tags(input.bucket, input.key, Tags::new()).await?;
        Ok(S3Response::with_status(DeleteObjectTaggingOutput::default(), http::StatusCode::NO_CONTENT))
    }

    pub(super) async fn bucket_tags(&self, input: GetBucketTaggingInput) -> S3Result<S3Response<GetBucketTaggingOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let tags = self.disk(move |buckets| buckets.bucket_tags(&input.bucket)).await?;
        if tags.is_empty() {
            return Err(s3_error!(NoSuchTagSet, "The TagSet does not exist"));
        }
        answer(GetBucketTaggingOutput { tag_set: shape(tags) })
    }

    pub(super) async fn tag_bucket(&self, input: PutBucketTaggingInput) -> S3Result<S3Response<PutBucketTaggingOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        let tags = sent(input.tagging, OF_BUCKET)?;
        self.disk(move |buckets| buckets.set_bucket_tags(&input.bucket, &tags)).await?;
        Ok(S3Response::with_status(PutBucketTaggingOutput::default(), http::StatusCode::NO_CONTENT))
    }

    pub(super) async fn untag_bucket(&self, input: DeleteBucketTaggingInput) -> S3Result<S3Response<DeleteBucketTaggingOutput>> {
        expect_owner(input.expected_bucket_owner.as_deref())?;
        self.disk(move |buckets| buckets.set_bucket_tags(&input.bucket, &Tags::new())).await?;
        Ok(S3Response::with_status(DeleteBucketTaggingOutput::default(), http::StatusCode::NO_CONTENT))
    }

    async fn set_tags(&self, bucket: String, key: String, tags: Tags) -> S3Result<()> {
        self.disk(move |buckets| {
            if buckets.change_facts(&bucket, &key, |facts| facts.tags = tags)? {
                Ok(())
            } else {
                Err(BucketError::NoSuchKey(key))
            }
        })
        .await
    }
}

/// The tags of an `x-amz-tagging` header, which has the form of a query.
pub(super) fn from_header(header: Option<&str>) -> S3Result<Tags> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = header.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key), decode(value))
    });
    collect(pairs, OF_OBJECT)
}

/// How many, as the answers have it: not at all when there are none.
pub(super) fn count(facts: &Facts) -> Option<i32> {
    i32::try_from(facts.tags.len()).ok().filter(|count| *count > 0)
}

/// The storage class to remember; STANDARD is what is not said.
///
/// # Errors
/// An unknown class, or one whose objects S3 would not let anybody read.
pub(super) fn storage_class(sent: Option<&StorageClass>) -> S3Result<Option<String>> {
    match sent.map(StorageClass::as_str) {
        None | Some(StorageClass::STANDARD) => Ok(None),
        Some(
            class @ (StorageClass::GLACIER_IR
            | StorageClass::INTELLIGENT_TIERING
            | StorageClass::ONEZONE_IA
            | StorageClass::REDUCED_REDUNDANCY
            | StorageClass::STANDARD_IA),
        ) => Ok(Some(class.to_owned())),
        Some(class @ (StorageClass::GLACIER | StorageClass::DEEP_ARCHIVE)) => Err(S3Error::with_message(
            S3ErrorCode::NotImplemented,
            format!("The local region has no archive to restore objects from ({class}). Use another storage class."),
        )),
        Some(_) => Err(s3_error!(InvalidStorageClass, "The storage class you specified is not valid")),
    }
}

/// The storage class of a listing, which names STANDARD too.
pub(super) fn listed_class(facts: &Facts) -> ObjectStorageClass {
    ObjectStorageClass::from(facts.storage_class.clone().unwrap_or_else(|| ObjectStorageClass::STANDARD.to_owned()))
}

fn sent(tagging: Tagging, most: usize) -> S3Result<Tags> {
    collect(tagging.tag_set.into_iter().map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default())), most)
}

fn collect(pairs: impl Iterator<Item = (String, String)>, most: usize) -> S3Result<Tags> {
    let mut tags = Tags::new();
    for (key, value) in pairs {
        if key.is_empty() || key.chars().count() > 128 {
            return Err(s3_error!(InvalidTag, "The TagKey you have provided is invalid"));
        }
        if value.chars().count() > 256 {
            return Err(s3_error!(InvalidTag, "The TagValue you have provided is invalid"));
        }
        if tags.insert(key, value).is_some() {
            return Err(s3_error!(InvalidTag, "Cannot provide multiple Tags with the same key"));
        }
    }
    if tags.len() > most {
        return Err(S3Error::with_message(S3ErrorCode::InvalidTag, format!("Tags cannot be greater than {most}")));
    }
    Ok(tags)
}

fn shape(tags: Tags) -> Vec<Tag> {
    tags.into_iter().map(|(key, value)| Tag { key: Some(key), value: Some(value) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_a_query() {
        let tags = from_header(Some("team=red%20fox&a+b=c%26d&empty")).unwrap();
        let expected = [("a b", "c&d"), ("empty", ""), ("team", "red fox")];
        assert_eq!(tags.into_iter().collect::<Vec<_>>(), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
        assert!(from_header(None).unwrap().is_empty());
        assert!(from_header(Some("a=1&a=2")).is_err());
        assert!(from_header(Some("=1")).is_err());
        let eleven: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
        assert!(from_header(Some(&eleven.join("&"))).is_err());
        assert!(from_header(Some(&eleven[1..].join("&"))).is_ok());
    }
}
