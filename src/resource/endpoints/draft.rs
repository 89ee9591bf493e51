//! A model to be made: from the form to an archive with its script and the request that names it.

use std::path::PathBuf;
use std::sync::Arc;

use aws_sdk_sagemaker::operation::create_model::builders::CreateModelFluentBuilder;
use aws_sdk_sagemaker::types::ContainerDefinition;
use jiff::Timestamp;

use super::model::Origin;
use crate::aws::repack::{self, Code, How, Repacked, Source};
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::pairs;
use crate::aws::script_mode::{Capture, lint, names, sourcedir};
use crate::aws::{Aws, bucket, hosting};
use crate::model::show::size;
use crate::model::{Failure, FailureKind, Form, Progress, Recipe, Safe};
use crate::resource::staging;

/// A model, worked out but with nothing sent.
pub(super) struct Draft {
    pub name: String,
    pub source: Source,
    role: String,
    image: String,
    environment: Vec<(String, String)>,
    /// What goes into the archive, and where the archive goes; absent when it is served as it is.
    code: Option<(Arc<Code>, S3Uri)>,
    /// Files of the code and their bytes, packed.
    packed: (usize, u64),
    /// Its Python files, for the lint.
    pub python: Vec<lint::Source>,
}

/// What a configuration or model of that endpoint is named after: its name without the time stamp, short enough for one.
pub(super) fn stem(endpoint: &str) -> &str {
    // `-2026-11-22-07-18-36-364`, as names::job_name ends.
    let stamp = endpoint.len().checked_sub(24).and_then(|at| endpoint.split_at_checked(at));
    let base = match stamp {
        Some((base, stamp)) if !base.is_empty() && stamp.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) => base,
        _ => endpoint,
    };
    base.get(..names::LONGEST - 24).unwrap_or(base).trim_end_matches('-')
}

impl Draft {
    /// Works the model out from the form; `endpoint` is what it is for.
    ///
    /// # Errors
    /// With the field's name first where one of them is wrong.
    pub async fn of(aws: &Aws, recipe: &Recipe, form: &Form, endpoint: &str) -> Result<Self, Failure> {
        let origin = Origin::read(aws, form.value("model")).await?;
        let source = repack::source(aws, &origin.archive).await.map_err(|failure| {
            let nothing = failure.kind == FailureKind::NotFound && origin.job.is_some();
            let hint = if nothing {
                "the training script left nothing in its model folder (SM_MODEL_DIR)"
            } else {
                failure.hint.as_str()
            };
            Failure::new(failure.kind, format!("model: {}", failure.what), hint)
        })?;
        let program = form.value("entry_point").to_owned();
        let mut environment = pairs(form.value("environment"));
        let (mut code, mut packed, mut python) = (None, (0, 0), Vec::new());
        if !program.is_empty() {
            let package = sourcedir::pack(&recipe.root.join(PathBuf::from(form.value("source_dir"))), &program)?;
            packed = (package.files, package.bytes.len() as u64);
            let bucket = match form.value("bucket") {
                "" => match &recipe.bucket {
                    Some(bucket) => bucket.clone(),
                    None => bucket::default_name(aws).await?,
                },
                named => named.to_owned(),
            };
            python.clone_from(&package.python);
            code = Some((Arc::new(Code::of(&package)?), S3Uri::new(bucket, format!("{}/model/", base(recipe)))));
            // As the Python SDK sends them (`aws.md` 3.2).
            environment.extend([
                ("SAGEMAKER_PROGRAM".to_owned(), program),
                ("SAGEMAKER_SUBMIT_DIRECTORY".to_owned(), "/opt/ml/model/code".to_owned()),
                ("SAGEMAKER_CONTAINER_LOG_LEVEL".to_owned(), "20".to_owned()),
                ("SAGEMAKER_REGION".to_owned(), aws.region().to_owned()),
            ]);
        }
        let role = match form.value("role") {
            "" => recipe.role.clone().or_else(|| origin.job.as_ref()?.role_arn().map(str::to_owned)).unwrap_or_default(),
            given => given.to_owned(),
        };
        Ok(Self {
            name: names::job_name(stem(endpoint), Timestamp::now()),
            source,
            role: staging::role(aws, &role).await?,
            image: staging::image(aws, form)?.replace("/pytorch-training:", "/pytorch-inference:"),
            environment,
            code,
            packed,
            python,
        })
    }

    /// Where the archive to serve is, or will be.
    pub fn archive(&self) -> S3Uri {
        match &self.code {
            Some((code, folder)) => repack::target(&self.source, code, folder),
            None => self.source.at.clone(),
        }
    }

    /// Puts the script into the archive.
    ///
    /// # Errors
    /// As [`repack::repack`].
    pub async fn pack(&self, aws: &Aws, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<Repacked, Failure> {
        match &self.code {
            Some((code, folder)) => Box::pin(repack::repack(aws, &self.source, code, folder, progress)).await,
            None => Ok(Repacked { at: self.source.at.clone(), how: How::AsItWas }),
        }
    }

    /// The call; sends nothing yet. `tags` are those of all that the order makes.
    pub fn request(&self, aws: &Aws, served: &Repacked, tags: &[(String, String)]) -> CreateModelFluentBuilder {
        let mut container = ContainerDefinition::builder().image(&self.image).model_data_url(served.at.to_string());
        for (name, value) in &self.environment {
            container = container.environment(name, value);
        }
        let mut tags = tags.to_vec();
        if served.how != How::AsItWas {
            tags.push((hosting::REPACKED.to_owned(), staging::tag_value(&served.at.to_string())));
        }
        let call = aws.sagemaker.create_model().model_name(&self.name).execution_role_arn(&self.role);
        call.primary_container(container.build()).set_tags(Some(hosting::sent(&tags)))
    }

    /// The request as it would leave; nothing leaves.
    pub async fn json(&self, aws: &Aws, tags: &[(String, String)]) -> serde_json::Value {
        let capture = Capture::default();
        let how = if self.code.is_some() { How::Found } else { How::AsItWas };
        let served = Repacked { at: self.archive(), how };
        // The capture stops the call before it is signed, so this is always an error.
        let _ = self.request(aws, &served, tags).customize().interceptor(capture.clone()).send().await;
        capture.json()
    }

    /// Short facts for a form.
    pub fn facts(&self) -> Vec<(Safe, Safe)> {
        let mut facts: Vec<(Safe, Safe)> = Vec::new();
        let mut fact = |name: &str, value: String| facts.push((name.into(), Safe::line(&value)));
        fact("archive", format!("{}, {}", self.source.at.name(), size(self.source.size)));
        if self.code.is_some() {
            let (files, bytes) = self.packed;
            fact("code", format!("{}, {}; goes into the archive", staging::files(files), size(bytes)));
        }
        fact("image", self.image.rsplit('/').next().unwrap_or(&self.image).to_owned());
        facts
    }
}

/// The first part of the keys of what the project uploads.
pub(super) fn base(recipe: &Recipe) -> String {
    let base = names::legal(&recipe.name);
    if base.is_empty() { "model".to_owned() } else { base }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_from_the_endpoints_without_its_time() {
        assert_eq!(stem("digits-2026-11-22-07-18-36-364"), "digits");
        assert_eq!(
            [stem("digits"), stem("a-much-longer-name-without-a-stamp")],
            ["digits", "a-much-longer-name-without-a-stamp"]
        );
        let long = "x".repeat(63);
        assert!(names::problem(&names::job_name(stem(&long), Timestamp::UNIX_EPOCH)).is_none());
        assert!(names::job_name(stem(&long), Timestamp::UNIX_EPOCH).contains(stem(&long)));
    }
}
