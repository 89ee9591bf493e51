//! `CreateTrainingJob` as the Python SDK v2 sends it, without the debugger and the profiler that it adds unasked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::operation::create_training_job::builders::CreateTrainingJobFluentBuilder;
use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::{
    AlgorithmSpecification, Channel, CheckpointConfig, DataSource, MetricDefinition, OutputDataConfig, ResourceConfig,
    S3DataDistribution, S3DataSource, S3DataType, StoppingCondition, Tag, TrainingInputMode, TrainingInstanceType, VpcConfig,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use super::distribution;
use crate::model::{Extras, MetricRule};

/// The channel that brings the code of a job without network, as the Python SDK names it.
pub const CODE_CHANNEL: &str = "code";
/// Where that channel's files are inside of the container.
const CODE_FOLDER: &str = "/opt/ml/input/data/code/";

/// The longest wait for spot capacity that is asked for unless somebody names another: 28 days, in seconds.
const LONGEST_WAIT: i32 = 28 * 86_400;

/// The script of a job in script mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// `s3://…/sourcedir.tar.gz`.
    pub submit_directory: String,
    /// Path inside the archive.
    pub program: String,
}

/// A training job, ready to be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub name: String,
    pub role: String,
    pub image: String,
    pub region: String,
    pub instance_type: String,
    pub instance_count: i32,
    pub volume_gb: i32,
    pub max_runtime_seconds: i32,
    /// `s3://bucket/`; the service appends the job's name.
    pub output: String,
    /// Name and place: an S3 prefix, or what [`place_of`] says of a channel of the parent.
    pub channels: Vec<(String, String)>,
    /// As they travel: values are JSON in script mode.
    pub hyperparameters: Vec<(String, String)>,
    /// Absent for images that bring their own program.
    pub script: Option<Script>,
    pub metrics: Vec<MetricRule>,
    pub environment: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
    pub extras: Extras,
    /// The job that this one is a copy of: what the fields above do not say is as it was there.
    pub parent: Option<Arc<DescribeTrainingJobOutput>>,
}

impl Job {
    /// The call; sends nothing yet.
    #[must_use]
    pub fn request(&self, client: &Client) -> CreateTrainingJobFluentBuilder {
        let mut call = client.create_training_job();
        if let Some(parent) = &self.parent {
            call = as_before(call, parent);
        }
        call = call
            .training_job_name(&self.name)
            .role_arn(&self.role)
            .algorithm_specification(self.algorithm())
            .output_data_config(self.output())
            .resource_config(self.resources())
            .stopping_condition(self.limits());
        call = self.beyond(call);
        for (name, place) in &self.channels {
            call = call.input_data_config(self.channel(name, place));
        }
        if let Some(archive) = self.isolated_code() {
            call = call.input_data_config(channel(CODE_CHANNEL, archive));
        }
        for (key, value) in self.hyperparameters.iter().cloned().chain(self.machinery()) {
            call = call.hyper_parameters(key, value);
        }
        for (key, value) in &self.environment {
            call = call.environment(key, value);
        }
        for (key, value) in &self.tags {
            call = call.tags(Tag::builder().key(key).value(value).build());
        }
        call
    }

    /// The request's body, pretty-printed, as it would leave. Nothing leaves.
    pub async fn json(&self, client: &Client) -> String {
        let capture = Capture::default();
        // The capture stops the call before it is signed, so this is always an error.
        let _ = self.request(client).customize().interceptor(capture.clone()).send().await;
        capture.readable(&["/HyperParameters", "/Environment"])
    }

    /// What goes beyond the ordinary, where it is asked for.
    fn beyond(&self, call: CreateTrainingJobFluentBuilder) -> CreateTrainingJobFluentBuilder {
        let extras = &self.extras;
        let vpc = VpcConfig::builder()
            .set_subnets(Some(extras.subnets.clone()))
            .set_security_group_ids(Some(extras.security_groups.clone()))
            .build();
        let path = self.parent().and_then(|parent| parent.checkpoint_config()).and_then(|config| config.local_path());
        let checkpoints = extras
            .checkpoints
            .as_ref()
            .map(|place| CheckpointConfig::builder().s3_uri(place).set_local_path(path.map(str::to_owned)).build());
        call.set_vpc_config((!extras.subnets.is_empty()).then_some(vpc))
            .set_checkpoint_config(checkpoints)
            .set_enable_managed_spot_training(extras.spot.then_some(true))
            .set_enable_network_isolation(extras.network_isolation.then_some(true))
            .set_enable_inter_container_traffic_encryption(extras.encrypt_traffic.then_some(true))
    }

    /// The archive of the script, when the container has no network to fetch it by itself and a channel must bring it.
    fn isolated_code(&self) -> Option<&str> {
        let script = self.script.as_ref().filter(|_| self.extras.network_isolation)?;
        Some(&script.submit_directory)
    }

    fn parent(&self) -> Option<&DescribeTrainingJobOutput> {
        self.parent.as_deref()
    }

    fn algorithm(&self) -> AlgorithmSpecification {
        let rules = self.metrics.iter().map(|rule| MetricDefinition::builder().name(&rule.name).regex(&rule.regex).build());
        let kept = self.parent().and_then(|parent| parent.algorithm_specification.clone());
        let mut algorithm =
            kept.unwrap_or_else(|| AlgorithmSpecification::builder().training_input_mode(TrainingInputMode::File).build());
        if algorithm.algorithm_name.as_ref() != Some(&self.image) {
            algorithm.algorithm_name = None;
            algorithm.training_image = Some(self.image.clone());
        }
        algorithm.enable_sage_maker_metrics_time_series = Some(true);
        algorithm.metric_definitions = (!self.metrics.is_empty()).then(|| rules.collect());
        algorithm
    }

    fn output(&self) -> OutputDataConfig {
        let kept = self.parent().and_then(|parent| parent.output_data_config.clone());
        let mut output = kept.unwrap_or_else(|| OutputDataConfig::builder().build());
        output.s3_output_path = Some(self.output.clone());
        output.kms_key_id.clone_from(&self.extras.output_kms_key);
        output
    }

    fn resources(&self) -> ResourceConfig {
        let kept = self.parent().and_then(|parent| parent.resource_config.clone());
        let mut resources = kept.unwrap_or_else(|| ResourceConfig::builder().build());
        let kind = Some(TrainingInstanceType::from(self.instance_type.as_str()));
        if resources.instance_type != kind {
            // A plan and a placement are bought for one type.
            resources.training_plan_arn = None;
            resources.instance_placement_config = None;
        }
        resources.instance_type = kind;
        resources.instance_count = Some(self.instance_count);
        resources.volume_size_in_gb = Some(self.volume_gb);
        resources.instance_groups = None;
        resources.volume_kms_key_id.clone_from(&self.extras.volume_kms_key);
        resources.keep_alive_period_in_seconds = self.extras.keep_alive_seconds.and_then(|seconds| seconds.try_into().ok());
        resources
    }

    fn limits(&self) -> StoppingCondition {
        let kept = self.parent().and_then(|parent| parent.stopping_condition.clone());
        let mut limits = kept.unwrap_or_else(|| StoppingCondition::builder().build());
        limits.max_runtime_in_seconds = Some(self.max_runtime_seconds);
        limits.max_wait_time_in_seconds = self.extras.spot.then(|| self.longest_wait());
        limits
    }

    /// How long run and waiting for spot capacity may take together; the service wants it to be no less than the run.
    #[must_use]
    pub fn longest_wait(&self) -> i32 {
        let named = self.extras.max_wait_seconds.and_then(|seconds| i32::try_from(seconds).ok());
        named.unwrap_or_else(|| self.max_runtime_seconds.saturating_mul(2).min(LONGEST_WAIT).max(self.max_runtime_seconds))
    }

    /// Each host gets a part of the data, as the parent's channels say; ours are replicated.
    #[must_use]
    pub fn is_sharded(&self) -> bool {
        let source = |channel: &Channel| channel.data_source.as_ref().and_then(|source| source.s3_data_source.clone());
        let sharded = |source: S3DataSource| source.s3_data_distribution_type == Some(S3DataDistribution::ShardedByS3Key);
        self.channels.iter().any(|(name, place)| source(&self.channel(name, place)).is_some_and(sharded))
    }

    /// A channel; with a parent's channel of that name, all but the place is as it was there.
    fn channel(&self, name: &str, place: &str) -> Channel {
        let known = self.parent().and_then(|parent| parent.input_data_config().iter().find(|it| it.channel_name() == Some(name)));
        let Some(known) = known else { return channel(name, place) };
        let mut channel = known.clone();
        if place_of(known) == place {
            return channel;
        }
        match channel.data_source.as_mut().and_then(|source| source.s3_data_source.as_mut()) {
            Some(source) => source.s3_uri = Some(place.to_owned()),
            None => channel.data_source = self::channel(name, place).data_source,
        }
        channel
    }

    /// The keys by which the container's toolkit finds the script; the Python SDK reads them too when it attaches. What
    /// else a parent had of them (how hosts find each other, the log level) goes along, except a tuning job's objective.
    fn machinery(&self) -> BTreeMap<String, String> {
        let Some(script) = &self.script else { return BTreeMap::new() };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut all = BTreeMap::from([("sagemaker_container_log_level".to_owned(), "20".to_owned())]);
        if let Some(before) = self.parent().and_then(|parent| parent.hyper_parameters()) {
            let ours = |key: &String| key.starts_with("sagemaker_") && !distribution::is_key(key);
            all.extend(before.iter().filter(|(key, _)| ours(key)).map(|(key, value)| (key.clone(), value.clone())));
            let (name, processes) = distribution::of(before);
            if (name, processes) == (self.extras.distribution.clone(), self.extras.processes_per_host) {
                all.extend(distribution::kept(before, &self.instance_type));
            } else {
                distribution::put(&mut all, &self.extras, &self.instance_type);
            }
        } else {
            distribution::put(&mut all, &self.extras, &self.instance_type);
        }
        let archive = script.submit_directory.rsplit('/').next().unwrap_or_default();
        let directory = match self.isolated_code() {
            Some(_) => format!("{CODE_FOLDER}{archive}"),
            None => script.submit_directory.clone(),
        };
        all.extend([
            ("sagemaker_submit_directory".to_owned(), quoted(&directory)),
            ("sagemaker_program".to_owned(), quoted(&script.program)),
            ("sagemaker_job_name".to_owned(), quoted(&self.name)),
            ("sagemaker_region".to_owned(), quoted(&self.region)),
        ]);
        all
    }
}

/// What no field of the form speaks of, as the parent had it.
fn as_before(call: CreateTrainingJobFluentBuilder, parent: &DescribeTrainingJobOutput) -> CreateTrainingJobFluentBuilder {
    call.set_debug_hook_config(parent.debug_hook_config.clone())
        .set_debug_rule_configurations(parent.debug_rule_configurations.clone())
        .set_tensor_board_output_config(parent.tensor_board_output_config.clone())
        .set_experiment_config(parent.experiment_config.clone())
        .set_profiler_config(parent.profiler_config.clone())
        .set_profiler_rule_configurations(parent.profiler_rule_configurations.clone())
        .set_retry_strategy(parent.retry_strategy.clone())
        .set_remote_debug_config(parent.remote_debug_config.clone())
        .set_infra_check_config(parent.infra_check_config.clone())
        .set_serverless_job_config(parent.serverless_job_config.clone())
        .set_mlflow_config(parent.mlflow_config.clone())
        .set_model_package_config(parent.model_package_config.clone())
}

/// Where a job's code came from, and whether a channel brought it: the archive's address in S3, as far as it is known.
#[must_use]
pub fn code_of(job: &DescribeTrainingJobOutput) -> (String, bool) {
    let raw = job.hyper_parameters().and_then(|all| all.get("sagemaker_submit_directory"));
    let directory = raw.map(|raw| super::hyperparameters::decode(raw)).unwrap_or_default();
    let channel = job.input_data_config().iter().find(|channel| channel.channel_name() == Some(CODE_CHANNEL));
    match channel {
        Some(channel) if directory.starts_with(CODE_FOLDER) => (place_of(channel), true),
        _ => (directory, false),
    }
}

/// A channel's place in one line: its S3 address, or what other source it has.
#[must_use]
pub fn place_of(channel: &Channel) -> String {
    let Some(source) = channel.data_source() else { return String::new() };
    if let Some(s3) = source.s3_data_source() {
        return s3.s3_uri().unwrap_or_default().to_owned();
    }
    match source.file_system_data_source() {
        Some(files) => {
            let (id, path) = (files.file_system_id().unwrap_or_default(), files.directory_path().unwrap_or_default());
            format!("file system {id} {path}")
        }
        None => "as in the parent".to_owned(),
    }
}

/// A channel of everything below that address, copied to every host.
pub(super) fn channel(name: &str, uri: &str) -> Channel {
    let source = S3DataSource::builder()
        .s3_data_type(S3DataType::S3Prefix)
        .s3_uri(uri)
        .s3_data_distribution_type(S3DataDistribution::FullyReplicated)
        .build();
    Channel::builder().channel_name(name).data_source(DataSource::builder().s3_data_source(source).build()).build()
}

/// Keeps a call's body and stops the call: for a preview of what would leave.
#[derive(Clone, Debug, Default)]
pub struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// The body as JSON, once the call has been tried; `Null` when it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default()
    }

    /// The body, pretty-printed; of the maps at these places, which leave in any order, the keys are sorted, so that the
    /// same form gives the same text.
    #[must_use]
    pub fn readable(&self, maps: &[&str]) -> String {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&body) else {
            return String::from_utf8_lossy(&body).into_owned();
        };
        for place in maps {
            if let Some(map) = value.pointer_mut(place).and_then(|map| map.as_object_mut()) {
                let sorted: BTreeMap<String, serde_json::Value> = std::mem::take(map).into_iter().collect();
                map.extend(sorted);
            }
        }
        serde_json::to_string_pretty(&value).unwrap_or_default()
    }
}

impl Intercept for Capture {
    fn name(&self) -> &'static str {
        "footplate preview"
    }

    fn read_after_serialization(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = context.request().body().bytes().unwrap_or_default().to_vec();
        Err("only looking".into())
    }
}

#[cfg(test)]
mod tests;
