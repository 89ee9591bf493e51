//! The tuning job that is cloned: what it was asked for, so that the copy differs only where the form does.

use std::sync::Arc;

use super::describe::{Described, definition, describe};
use super::ranges::{lines_of_job, same};
use crate::aws::Aws;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::is_machinery;
use crate::aws::script_mode::{Bounds, place_of};
use crate::model::{Failure, ItemId, Safe};
use crate::resource::staging;
use crate::resource::training_jobs::line_of_raw;

const MEMO: &str = "clone-tuning-parent";

/// A tuning job with its tags. What it was asked for never changes, so one that was read is kept for the next preview.
#[derive(Debug)]
pub(super) struct Parent {
    pub job: Described,
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
        let (tags, untold) = staging::tags_of(aws, job.hyper_parameter_tuning_job_arn().unwrap_or_default()).await;
        let parent = Arc::new(Self { job, tags, untold });
        if parent.untold.is_none() {
            aws.memo(MEMO, |kept: &mut Option<(ItemId, Arc<Self>)>| *kept = Some((id.clone(), Arc::clone(&parent))));
        }
        Ok(parent)
    }

    /// A shared hyperparameter's value as it travelled, when the form's line still says what it said.
    pub fn raw(&self, key: &str, line: &str) -> Option<&str> {
        let raw = definition(&self.job)?.static_hyper_parameters()?.get(key)?;
        (!is_machinery(key) && line_of_raw(raw) == line).then_some(raw)
    }

    /// A range as it travelled, when the form's line still says what it said.
    pub fn bounds(&self, line: &str) -> Option<Bounds> {
        let ranges = self.job.hyper_parameter_tuning_job_config()?.parameter_ranges()?;
        lines_of_job(ranges).into_iter().find(|(_, known, _)| same(known, line)).map(|(_, _, bounds)| bounds)
    }

    /// Whether it had that channel from that place, which need not be in S3.
    pub fn has_channel(&self, name: &str, place: &str) -> bool {
        let channels = definition(&self.job)
            .map(aws_sdk_sagemaker::types::HyperParameterTrainingJobDefinition::input_data_config)
            .unwrap_or_default();
        channels.iter().any(|known| known.channel_name() == Some(name) && place_of(known) == place)
    }

    /// Where the output went, when that is in `bucket`: the folder inside it is part of the request too.
    pub fn output_in(&self, bucket: &str) -> Option<&str> {
        let output = definition(&self.job)?.output_data_config()?.s3_output_path()?;
        (S3Uri::parse(output)?.bucket == bucket).then_some(output)
    }
}
