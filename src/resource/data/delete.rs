//! Deleting objects and folders, and giving incomplete uploads up.

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::partial::{self, Partial};
use super::{address, invalid};
use crate::aws::upload::incomplete;
use crate::aws::{Aws, bucket, fault};
use crate::model::{Failure, FailureKind, ItemId, Outcome, Progress, Safe};

/// Deletes in batches of a thousand, as S3 does; says how many are gone.
///
/// # Errors
/// The first refusal; what was deleted before is gone.
pub(super) async fn delete(
    aws: &Aws,
    targets: &[ItemId],
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    let account = aws.identity().await?.account;
    let (mut count, mut given_up) = (0, 0);
    for target in targets {
        if let Some(partial) = Partial::parse(target) {
            for upload in partial::find(aws, &partial).await? {
                incomplete::give_up(&aws.s3, &account, &upload).await?;
                given_up += 1;
            }
            continue;
        }
        let at = address(target)?;
        if at.is_bucket() {
            return Err(Failure::new(
                FailureKind::Refused,
                format!("{at} is a bucket; footplate deletes objects and folders only"),
                "delete the bucket in the AWS console",
            ));
        }
        let keys = if at.is_folder() {
            bucket::objects(aws, &at).await?.into_iter().map(|object| object.key).collect()
        } else {
            vec![at.key.clone()]
        };
        let total = keys.len() as u64;
        for (number, batch) in keys.chunks(1000).enumerate() {
            let doing = format!("deleting {at}");
            let ids: Result<Vec<_>, _> = batch.iter().map(|key| ObjectIdentifier::builder().key(key).build()).collect();
            let what = ids
                .and_then(|ids| Delete::builder().set_objects(Some(ids)).quiet(true).build())
                .map_err(|error| invalid(&format!("{doing}: {error}")))?;
            let call = aws.s3.delete_objects().bucket(&at.bucket).expected_bucket_owner(&account).delete(what);
            let answer = call.send().await.map_err(|error| fault::tell(&doing, &error))?;
            if let Some(error) = answer.errors().first() {
                return Err(Failure::new(
                    FailureKind::Denied,
                    format!("{doing}: {}: {}", error.key().unwrap_or_default(), error.message().unwrap_or_default()),
                    "",
                ));
            }
            count += batch.len() as u64;
            progress(Progress { said: "objects deleted".into(), done: number as u64 * 1000 + batch.len() as u64, total });
        }
    }
    Ok(Outcome::Said(Safe::line(&match (count, given_up) {
        (0, 1) => "the incomplete upload is given up".to_owned(),
        (0, 2..) => format!("{given_up} incomplete uploads are given up"),
        (_, 0) => format!("deleted {count} objects"),
        _ => format!("deleted {count} objects; gave up {given_up} incomplete uploads"),
    })))
}
