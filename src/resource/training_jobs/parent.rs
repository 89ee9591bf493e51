//! The job that is cloned: what it was asked for, so that the copy differs only where the form does.

use std::sync::Arc;

use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;

use super::describe::describe;
use crate::aws::Aws;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::{decode, encode, is_machinery, line_of};
use crate::aws::script_mode::place_of;
use crate::model::{Failure, ItemId, Safe, Scalar};
use crate::resource::staging;

const MEMO: &str = "clone-parent";
/// Where checkpoints are in the container unless a job says otherwise.
const CHECKPOINTS: &str = "/opt/ml/checkpoints";

/// A job with its tags. A job's request never changes, so one that was read is kept for the next preview.
#[derive(Debug)]
pub(super) struct Parent {
    pub job: Arc<DescribeTrainingJobOutput>,
    /// The user's own, without those of AWS and of footplate.
    pub tags: Vec<(String, String)>,
    /// Why the tags are not known.
    pub untold: Option<Safe>,
}

impl Parent {
    /// # Errors
    /// When the job cannot be described; that its tags cannot be read is in `untold`.
    pub async fn read(aws: &Aws, id: &ItemId) -> Result<Arc<Self>, Failure> {
        let kept = aws.memo(MEMO, |kept: &mut Option<(ItemId, Arc<Self>)>| {
            kept.as_ref().filter(|(known, _)| known == id).map(|(_, parent)| Arc::clone(parent))
        });
        if let Some(parent) = kept {
            return Ok(parent);
        }
        let job = describe(aws, id.as_str()).await?;
        let (tags, untold) = staging::tags_of(aws, job.training_job_arn().unwrap_or_default()).await;
        let parent = Arc::new(Self { job: Arc::new(job), tags, untold });
        if parent.untold.is_none() {
            aws.memo(MEMO, |kept: &mut Option<(ItemId, Arc<Self>)>| *kept = Some((id.clone(), Arc::clone(&parent))));
        }
        Ok(parent)
    }

    /// A hyperparameter's value as it travelled, when the form's line still says what it said.
    pub fn raw(&self, key: &str, line: &str) -> Option<&str> {
        let raw = self.job.hyper_parameters()?.get(key)?;
        (!is_machinery(key) && line_of_raw(raw) == line).then_some(raw)
    }

    /// Whether it had that channel from that place, which need not be in S3.
    pub fn has_channel(&self, name: &str, place: &str) -> bool {
        self.job.input_data_config().iter().any(|known| known.channel_name() == Some(name) && place_of(known) == place)
    }

    /// Where the output went, when that is in `bucket`: the folder inside it is part of the request too.
    pub fn output_in(&self, bucket: &str) -> Option<&str> {
        let output = self.job.output_data_config()?.s3_output_path()?;
        (S3Uri::parse(output)?.bucket == bucket).then_some(output)
    }

    /// What the copy keeps of it beside the fields of the form, in a few words.
    pub fn carried(&self) -> Vec<&'static str> {
        let job = &self.job;
        let (resources, algorithm) = (job.resource_config(), job.algorithm_specification());
        let limits = job.stopping_condition();
        let said = [
            (resources.is_some_and(|resources| resources.training_plan_arn().is_some()), "training plan"),
            (limits.is_some_and(|limits| limits.max_pending_time_in_seconds().is_some()), "pending time"),
            (
                algorithm.is_some_and(|it| !it.container_entrypoint().is_empty() || !it.container_arguments().is_empty()),
                "entry point of the image",
            ),
            (
                job.checkpoint_config()
                    .and_then(|config| config.local_path())
                    .is_some_and(|path| path.trim_end_matches('/') != CHECKPOINTS),
                "folder of the checkpoints",
            ),
            (job.retry_strategy().is_some(), "retries"),
            (job.debug_hook_config().is_some() || !job.debug_rule_configurations().is_empty(), "debugger"),
            (job.profiler_config().is_some(), "profiler"),
            (job.tensor_board_output_config().is_some(), "TensorBoard"),
            (job.experiment_config().is_some(), "experiment"),
            (!self.tags.is_empty(), "tags"),
        ];
        said.into_iter().filter(|(kept, _)| *kept).map(|(_, word)| word).collect()
    }
}

/// A value as it travelled, as a line that [`encode`] turns back into the same.
pub(in crate::resource) fn line_of_raw(raw: &str) -> String {
    let bare = line_of(&Scalar::Text(decode(raw)));
    if encode(&bare) == raw { bare } else { raw.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloned_values_travel_again_as_they_did() {
        for raw in ["128", "\"0.002\"", "\"dog breeds\"", "1e-05", "true", "\"[1, 2]\"", "\"\""] {
            assert_eq!(encode(&line_of_raw(raw)), raw);
        }
        assert_eq!(line_of_raw("\"dog breeds\""), "dog breeds");
    }
}
