//! `CreateTrainingJob` as the Python SDK v2 sends it, without the debugger and the profiler that it adds unasked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::operation::create_training_job::builders::CreateTrainingJobFluentBuilder;
use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::{
    AlgorithmSpecification, Channel, DataSource, MetricDefinition, OutputDataConfig, ResourceConfig, S3DataDistribution,
    S3DataSource, S3DataType, StoppingCondition, Tag, TrainingInputMode, TrainingInstanceType,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::model::MetricRule;

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
        for (name, place) in &self.channels {
            call = call.input_data_config(self.channel(name, place));
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
        // Describe answers "" where none was given; Create does not take that.
        output.kms_key_id = output.kms_key_id.filter(|key| !key.is_empty());
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
        resources
    }

    fn limits(&self) -> StoppingCondition {
        let kept = self.parent().and_then(|parent| parent.stopping_condition.clone());
        let mut limits = kept.unwrap_or_else(|| StoppingCondition::builder().build());
        limits.max_runtime_in_seconds = Some(self.max_runtime_seconds);
        // The service wants the wait for spot instances to be at least as long as the run.
        limits.max_wait_time_in_seconds = limits.max_wait_time_in_seconds.map(|wait| wait.max(self.max_runtime_seconds));
        limits
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
        let kept = self.parent().and_then(|parent| parent.hyper_parameters()).into_iter().flatten();
        all.extend(kept.filter(|(key, _)| key.starts_with("sagemaker_")).map(|(key, value)| (key.clone(), value.clone())));
        all.extend([
            ("sagemaker_submit_directory".to_owned(), quoted(&script.submit_directory)),
            ("sagemaker_program".to_owned(), quoted(&script.program)),
            ("sagemaker_job_name".to_owned(), quoted(&self.name)),
            ("sagemaker_region".to_owned(), quoted(&self.region)),
        ]);
        all
    }
}

/// What no field of the form speaks of, as the parent had it.
fn as_before(call: CreateTrainingJobFluentBuilder, parent: &DescribeTrainingJobOutput) -> CreateTrainingJobFluentBuilder {
    call.set_vpc_config(parent.vpc_config.clone())
        .set_enable_network_isolation(parent.enable_network_isolation)
        .set_enable_inter_container_traffic_encryption(parent.enable_inter_container_traffic_encryption)
        .set_enable_managed_spot_training(parent.enable_managed_spot_training)
        .set_checkpoint_config(parent.checkpoint_config.clone())
        .set_debug_hook_config(parent.debug_hook_config.clone())
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

/// Keeps a call's body and stops the call.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture(Arc<Mutex<Vec<u8>>>);

impl Capture {
    /// The body, pretty-printed; of the maps at these places, which leave in any order, the keys are sorted, so that the
    /// same form gives the same text.
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::scripted::{Notes, Scripted};
    use crate::aws::with_order;

    fn job() -> Job {
        let name = "dog-pytorch-2026-11-22-07-18-36-364";
        Job {
            name: name.into(),
            role: "arn:aws:iam::111122223333:role/SM".into(),
            image: "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38".into(),
            region: "us-east-1".into(),
            instance_type: "ml.m5.2xlarge".into(),
            instance_count: 4,
            volume_gb: 30,
            max_runtime_seconds: 86400,
            output: "s3://sagemaker-us-east-1-111122223333/".into(),
            channels: vec![("training".into(), "s3://aj-aws-project4/".into())],
            hyperparameters: vec![
                ("batch_size".into(), "128".into()),
                ("learning_rate".into(), "\"0.002555801302205963\"".into()),
            ],
            script: Some(Script {
                submit_directory: format!("s3://sagemaker-us-east-1-111122223333/{name}/source/sourcedir.tar.gz"),
                program: "hpo.py".into(),
            }),
            metrics: Vec::new(),
            environment: Vec::new(),
            tags: Vec::new(),
            parent: None,
        }
    }

    /// The Python SDK's request for the same job ("train plain"), recorded, less `DebugHookConfig` and `ProfilerConfig`.
    fn golden() -> serde_json::Value {
        json!({
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38",
                "EnableSageMakerMetricsTimeSeries": true
            },
            "OutputDataConfig": { "S3OutputPath": "s3://sagemaker-us-east-1-111122223333/" },
            "TrainingJobName": "dog-pytorch-2026-11-22-07-18-36-364",
            "StoppingCondition": { "MaxRuntimeInSeconds": 86400 },
            "ResourceConfig": { "VolumeSizeInGB": 30, "InstanceCount": 4, "InstanceType": "ml.m5.2xlarge" },
            "RoleArn": "arn:aws:iam::111122223333:role/SM",
            "InputDataConfig": [{
                "DataSource": { "S3DataSource": {
                    "S3DataType": "S3Prefix",
                    "S3Uri": "s3://aj-aws-project4/",
                    "S3DataDistributionType": "FullyReplicated"
                } },
                "ChannelName": "training"
            }],
            "HyperParameters": {
                "batch_size": "128",
                "learning_rate": "\"0.002555801302205963\"",
                "sagemaker_submit_directory": "\"s3://sagemaker-us-east-1-111122223333/dog-pytorch-2026-11-22-07-18-36-364/source/sourcedir.tar.gz\"",
                "sagemaker_program": "\"hpo.py\"",
                "sagemaker_container_log_level": "20",
                "sagemaker_job_name": "\"dog-pytorch-2026-11-22-07-18-36-364\"",
                "sagemaker_region": "\"us-east-1\""
            }
        })
    }

    #[tokio::test]
    async fn the_request_is_the_python_sdks() {
        let http =
            Scripted::new(|_| (200, br#"{"TrainingJobArn":"arn:aws:sagemaker:us-east-1:000000000000:training-job/x"}"#.to_vec()));
        let aws = http.connect(false, Some(Arc::new(Notes::default()))).await;
        Box::pin(with_order("o".into(), job().request(&aws.sagemaker).send())).await.unwrap();
        assert_eq!(http.bodies("CreateTrainingJob"), [golden()]);
    }

    #[tokio::test]
    async fn the_preview_is_the_request_and_sends_nothing() {
        let http = Scripted::new(|_| (500, Vec::new()));
        let aws = http.connect(true, None).await;
        let shown: serde_json::Value = serde_json::from_str(&job().json(&aws.sagemaker).await).unwrap();
        assert_eq!(shown, golden());
        assert!(http.operations().is_empty());
    }

    #[tokio::test]
    async fn tags_metrics_and_environment_go_only_when_given() {
        let aws = Scripted::new(|_| (500, Vec::new())).connect(true, None).await;
        let full = Job {
            metrics: vec![MetricRule { name: "loss".into(), regex: "loss: ([0-9.]+)".into() }],
            environment: vec![("A".into(), "b".into())],
            tags: vec![("footplate:order".into(), "o".into())],
            ..job()
        };
        let shown: serde_json::Value = serde_json::from_str(&full.json(&aws.sagemaker).await).unwrap();
        assert_eq!(shown["AlgorithmSpecification"]["MetricDefinitions"], json!([{ "Name": "loss", "Regex": "loss: ([0-9.]+)" }]));
        assert_eq!(shown["Environment"], json!({ "A": "b" }));
        assert_eq!(shown["Tags"], json!([{ "Key": "footplate:order", "Value": "o" }]));
    }
}
