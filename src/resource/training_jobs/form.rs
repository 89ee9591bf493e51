//! The form of a launch: filled from the project, or from the job that is cloned.

use std::borrow::Cow;
use std::sync::LazyLock;

use aws_sdk_sagemaker::types::{ResourceConfig, StoppingCondition};
use regex::Regex;

use super::detail::rules;
use super::extras;
use super::parent::{Parent, line_of_raw};
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::{decode, is_machinery, line_of};
use crate::aws::script_mode::{CODE_CHANNEL, code_of, place_of};
use crate::aws::{Aws, instance_types};
use crate::model::length::written;
use crate::model::{Extras, Failure, Field, FieldKind, Form, ItemId, MetricRule, Recipe, Safe, Verb};

/// What the form starts with.
struct Start {
    name: String,
    instance_type: String,
    instance_count: i64,
    max_runtime_seconds: i64,
    volume_gb: i64,
    source_dir: String,
    entry_point: String,
    hyperparameters: String,
    metrics: String,
    channels: String,
    environment: String,
    role: String,
    image: String,
    framework: String,
    framework_version: String,
    py_version: String,
    bucket: String,
    extras: Extras,
}

/// From the project file.
pub(in crate::resource) fn launch(recipe: &Recipe) -> Form {
    let or = |value: u32, default: i64| if value == 0 { default } else { i64::from(value) };
    let start = Start {
        name: recipe.name.clone(),
        instance_type: recipe.instance_type.clone(),
        instance_count: or(recipe.instance_count, 1),
        max_runtime_seconds: or(recipe.max_runtime_seconds, 86_400),
        volume_gb: or(recipe.volume_gb, 30),
        source_dir: recipe.source_dir.display().to_string(),
        entry_point: recipe.entry_point.clone(),
        hyperparameters: lines(recipe.hyperparameters.iter().map(|(key, value)| (key.as_str(), line_of(value)))),
        metrics: metric_lines(&recipe.metrics),
        channels: lines(recipe.channels.iter().map(|channel| (channel.name.as_str(), channel.source.clone()))),
        environment: lines(recipe.environment.iter().map(|(key, value)| (key.as_str(), value.clone()))),
        role: recipe.role.clone().unwrap_or_default(),
        image: recipe.image.clone().unwrap_or_default(),
        framework: recipe.framework.clone(),
        framework_version: recipe.framework_version.clone(),
        py_version: recipe.py_version.clone(),
        bucket: recipe.bucket.clone().unwrap_or_default(),
        extras: recipe.extras.clone(),
    };
    form("Launch a training job", Verb::Launch, None, start)
}

/// From a job that has run: its very values, and the code that it ran.
pub(super) async fn clone(aws: &Aws, parent: &ItemId) -> Result<Form, Failure> {
    let read = Parent::read(aws, parent).await?;
    let job = &read.job;
    let all = job.hyper_parameters().cloned().unwrap_or_default();
    let machinery = |key: &str| all.get(key).map(|raw| decode(raw)).unwrap_or_default();
    let mut own: Vec<(&String, &String)> = all.iter().filter(|(key, _)| !is_machinery(key)).collect();
    own.sort();
    let (source_dir, in_channel) = code_of(job);
    let channels = job.input_data_config().iter().filter(|channel| !in_channel || channel.channel_name() != Some(CODE_CHANNEL));
    let channels = channels.map(|channel| (channel.channel_name().unwrap_or_default(), place_of(channel)));
    let mut environment: Vec<(&String, &String)> = job.environment().into_iter().flatten().collect();
    environment.sort();
    let resources = job.resource_config();
    let algorithm = job.algorithm_specification();
    let limit = job.stopping_condition().and_then(StoppingCondition::max_runtime_in_seconds);
    let output = job.output_data_config().and_then(|config| config.s3_output_path()).and_then(S3Uri::parse);
    let start = Start {
        name: base_of(parent.as_str()).to_owned(),
        instance_type: resources.and_then(|config| config.instance_type()).map_or("", |kind| kind.as_str()).to_owned(),
        instance_count: resources.and_then(ResourceConfig::instance_count).map_or(1, i64::from),
        max_runtime_seconds: limit.map_or(86_400, i64::from),
        volume_gb: resources.and_then(ResourceConfig::volume_size_in_gb).map_or(30, i64::from),
        source_dir,
        entry_point: machinery("sagemaker_program"),
        hyperparameters: lines(own.into_iter().map(|(key, raw)| (key.as_str(), line_of_raw(raw)))),
        metrics: metric_lines(&rules(job)),
        channels: lines(channels),
        environment: lines(environment.into_iter().map(|(key, value)| (key.as_str(), value.clone()))),
        role: job.role_arn().unwrap_or_default().to_owned(),
        // An algorithm that was bought has a name instead of an image.
        image: algorithm.and_then(|spec| spec.training_image().or(spec.algorithm_name())).unwrap_or_default().to_owned(),
        framework: String::new(),
        framework_version: String::new(),
        py_version: String::new(),
        bucket: output.map(|output| output.bucket).unwrap_or_default(),
        extras: extras::of(job),
    };
    Ok(form(&format!("Clone {}", parent.as_str()), Verb::Clone, Some(parent.clone()), start))
}

/// The base of a name that ends in a time stamp.
fn base_of(name: &str) -> &str {
    static STAMP: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"-\d{4}(-\d\d){5}-\d{3}$").ok());
    STAMP.as_ref().and_then(|stamp| stamp.find(name)).map_or(name, |found| &name[..found.start()])
}

fn lines<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    pairs.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join("\n")
}

fn metric_lines(rules: &[MetricRule]) -> String {
    lines(rules.iter().map(|rule| (rule.name.as_str(), rule.regex.clone())))
}

fn form(title: &str, verb: Verb, parent: Option<ItemId>, start: Start) -> Form {
    let types = instance_types::training().into_iter().map(Cow::Borrowed).collect();
    let whole = |min, max| FieldKind::Whole { min, max };
    let mut fields = vec![
        Field::of(
            "name",
            "name",
            FieldKind::Line,
            start.name,
            "Base of the job's name; the time is appended. Letters, digits and '-'.",
        ),
        Field::of(
            "instance_type",
            "instance type",
            FieldKind::Choice { options: types, open: true },
            start.instance_type,
            "The machine to train on, e.g. ml.m5.xlarge.",
        ),
        Field::of(
            "instance_count",
            "instances",
            whole(1, 1000),
            start.instance_count.to_string(),
            "How many machines run the script; it must divide the work itself.",
        ),
        Field::of(
            "max_runtime",
            "run at most",
            FieldKind::Line,
            written(start.max_runtime_seconds),
            "SageMaker stops the job after so long: the limit of what it can cost. E.g. 90m, 24h; at most 28d.",
        ),
        Field::of(
            "volume_gb",
            "disk, GB",
            whole(1, 16_384),
            start.volume_gb.to_string(),
            "Size of each machine's disk: data, code and model must fit.",
        ),
        Field::of(
            "source_dir",
            "source folder",
            FieldKind::Line,
            start.source_dir,
            "Folder with the code, relative to the project; or s3://…/sourcedir.tar.gz of an earlier job.",
        ),
        Field::of("entry_point", "script", FieldKind::Line, start.entry_point, "The script, relative to the source folder."),
        Field::of(
            "hyperparameters",
            "hyperparameters",
            FieldKind::Area,
            start.hyperparameters,
            "One `key = value` a line; passed to the script as --key value.",
        ),
        Field::of(
            "channels",
            "data",
            FieldKind::Area,
            start.channels,
            "One `name = place` a line: s3://…, or a folder or .zip that will be uploaded.",
        ),
        Field::of(
            "metrics",
            "metrics",
            FieldKind::Area,
            start.metrics,
            "One `name = regex` a line; the first group is the value found in the log.",
        ),
        Field::of(
            "environment",
            "environment",
            FieldKind::Area,
            start.environment,
            "One `NAME = value` a line, set for the script.",
        ),
        Field::of("framework", "framework", FieldKind::Line, start.framework, "pytorch, unless an image is given."),
        Field::of("framework_version", "version", FieldKind::Line, start.framework_version, "The framework's version, e.g. 2.6."),
        Field::of("py_version", "python", FieldKind::Line, start.py_version, "e.g. py312; empty: what the version comes with."),
        Field::of("image", "image", FieldKind::Line, start.image, "A full image URI, instead of framework and version."),
        Field::of(
            "role",
            "role",
            FieldKind::Line,
            start.role,
            "Execution role (ARN or name) that the job acts as; empty: the local region's own, or that of the last job.",
        ),
        Field::of(
            "bucket",
            "bucket",
            FieldKind::Line,
            start.bucket,
            "Where code, data and model go; empty: sagemaker-{region}-{account}.",
        ),
    ];
    fields.extend(extras::fields(&start.extras));
    Form { title: Safe::line(title), resource: super::SPEC.id.to_owned(), verb, parent, fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_of_a_name_is_without_its_time() {
        assert_eq!(base_of("dog-2026-11-22-07-18-36-364"), "dog");
        assert_eq!(base_of("dog"), "dog");
    }
}
