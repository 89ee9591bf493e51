//! Where a model comes from: a finished training job, or an archive in S3.

use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::SortBy;

use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::names;
use crate::aws::{Aws, fault};
use crate::model::{Failure, FailureKind, Recipe};
use crate::resource::staging::invalid;
use crate::resource::training_jobs::describe;

/// A model that can be deployed.
#[derive(Debug)]
pub(super) struct Origin {
    /// Its `model.tar.gz`.
    pub archive: S3Uri,
    /// The training job that made it, where that is known.
    pub job: Option<Box<DescribeTrainingJobOutput>>,
}

impl Origin {
    /// Of an `s3://` address or a training job's name.
    ///
    /// # Errors
    /// `model: …` when it is neither, or the job has no model.
    pub async fn read(aws: &Aws, named: &str) -> Result<Self, Failure> {
        if named.starts_with("s3:") {
            let archive = S3Uri::parse(named).filter(|at| !at.is_folder());
            let archive = archive.ok_or_else(|| {
                invalid(&format!("model: '{named}' names no archive"), "it looks like s3://bucket/…/output/model.tar.gz")
            })?;
            return Ok(Self { archive, job: None });
        }
        let job = describe(aws, named).await.map_err(|failure| match failure.kind {
            FailureKind::NotFound => Failure::new(
                failure.kind,
                format!("model: there is no training job '{named}'"),
                "name a completed training job, or s3://…/model.tar.gz",
            ),
            _ => failure,
        })?;
        let status = job.training_job_status().map_or("", |status| status.as_str());
        let archive = job.model_artifacts().and_then(|artifacts| artifacts.s3_model_artifacts()).and_then(S3Uri::parse);
        match (status, archive) {
            ("InProgress" | "Stopping", _) => Err(Failure::new(
                FailureKind::Conflict,
                format!("model: training job {named} has not ended yet"),
                "deploy it when it has completed",
            )),
            // A job that was stopped has uploaded what it had; whether that is a model, its archive tells.
            ("Completed" | "Stopped", Some(archive)) => Ok(Self { archive, job: Some(Box::new(job)) }),
            _ => Err(Failure::new(
                FailureKind::Conflict,
                format!("model: training job {named} is {status} and has no model"),
                "deploy one that has completed",
            )),
        }
    }

    /// The framework's version and Python of the image that it was trained in: `("1.9", "py38")`.
    pub fn versions(&self) -> Option<(String, String)> {
        let image = self.job.as_ref()?.algorithm_specification()?.training_image()?;
        versions(image)
    }
}

/// Version and Python from the tag of a training image of AWS, e.g. `…/pytorch-training:1.9-cpu-py38`.
fn versions(image: &str) -> Option<(String, String)> {
    let (_, tag) = image.split_once("/pytorch-training:")?;
    let (version, rest) = tag.split_once("-cpu-").or_else(|| tag.split_once("-gpu-"))?;
    let py = rest.split('-').next().filter(|py| py.starts_with("py"))?;
    Some((version.to_owned(), py.to_owned()))
}

/// The newest completed training job of the project.
///
/// # Errors
/// When jobs cannot be listed.
pub(super) async fn newest(aws: &Aws, recipe: &Recipe) -> Result<Option<String>, Failure> {
    let base = names::legal(&recipe.name);
    let call = aws.sagemaker.list_training_jobs().name_contains(&base).status_equals("Completed".into()).max_results(100);
    let page = call.sort_by(SortBy::CreationTime).sort_order("Descending".into()).send().await;
    let page = page.map_err(|error| fault::tell("looking for a completed training job", &error))?;
    let names = page.training_job_summaries().iter().filter_map(|job| job.training_job_name());
    // Of this project, and not of one whose name has this one's in it.
    let mut ours = names.filter(|name| name.strip_prefix(&base).is_some_and(|rest| rest.starts_with('-')) && !is_trial(name));
    Ok(ours.next().map(str::to_owned))
}

/// Whether a training job's name is that of a tuning job's trial: SageMaker appends its number and eight hexadecimal digits.
/// Which trial is worth deploying is for the user to say.
fn is_trial(name: &str) -> bool {
    let Some((rest, hex)) = name.rsplit_once('-') else { return false };
    let number = rest.rsplit('-').next().unwrap_or_default();
    hex.len() == 8
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
        && number.len() >= 3
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_told_by_their_names() {
        assert!(is_trial("digits-261122-154013227-005-903f80a3"));
        assert!(!is_trial("digits-2026-11-22-15-38-50-744") && !is_trial("digits-final-model"));
    }

    #[test]
    fn versions_are_read_from_the_image() {
        let pair = |version: &str, py: &str| Some((version.to_owned(), py.to_owned()));
        let image = |tag: &str| versions(&format!("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:{tag}"));
        assert_eq!(image("1.9-cpu-py38"), pair("1.9", "py38"));
        assert_eq!(image("2.6.0-gpu-py312-cu126-ubuntu22.04-sagemaker"), pair("2.6.0", "py312"));
        assert_eq!([image("latest"), versions("1.dkr.ecr.us-east-1.amazonaws.com/own:1-cpu-py38")], [None, None]);
    }
}
