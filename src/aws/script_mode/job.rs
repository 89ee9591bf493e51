//! `CreateTrainingJob` as the Python SDK v2 sends it, without the debugger and the profiler that it adds unasked.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::operation::create_training_job::builders::CreateTrainingJobFluentBuilder;
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
    /// Name and S3 prefix.
    pub channels: Vec<(String, String)>,
    /// As they travel: values are JSON in script mode.
    pub hyperparameters: Vec<(String, String)>,
    /// Absent for images that bring their own program.
    pub script: Option<Script>,
    pub metrics: Vec<MetricRule>,
    pub environment: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
}

impl Job {
    /// The call; sends nothing yet.
    #[must_use]
    pub fn request(&self, client: &Client) -> CreateTrainingJobFluentBuilder {
        let mut call = client
            .create_training_job()
            .training_job_name(&self.name)
            .role_arn(&self.role)
            .algorithm_specification(self.algorithm())
            .output_data_config(OutputDataConfig::builder().s3_output_path(&self.output).build())
            .resource_config(
                ResourceConfig::builder()
                    .instance_type(TrainingInstanceType::from(self.instance_type.as_str()))
                    .instance_count(self.instance_count)
                    .volume_size_in_gb(self.volume_gb)
                    .build(),
            )
            .stopping_condition(StoppingCondition::builder().max_runtime_in_seconds(self.max_runtime_seconds).build());
        for (name, uri) in &self.channels {
            call = call.input_data_config(channel(name, uri));
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
        let body = capture.0.lock().unwrap_or_else(PoisonError::into_inner);
        match serde_json::from_slice::<serde_json::Value>(&body) {
            Ok(value) => serde_json::to_string_pretty(&value).unwrap_or_default(),
            Err(_) => String::from_utf8_lossy(&body).into_owned(),
        }
    }

    fn algorithm(&self) -> AlgorithmSpecification {
        let rules = self.metrics.iter().map(|rule| MetricDefinition::builder().name(&rule.name).regex(&rule.regex).build());
        AlgorithmSpecification::builder()
            .training_input_mode(TrainingInputMode::File)
            .training_image(&self.image)
            .enable_sage_maker_metrics_time_series(true)
            .set_metric_definitions((!self.metrics.is_empty()).then(|| rules.collect()))
            .build()
    }

    /// The keys by which the container's toolkit finds the script; the Python SDK reads them too when it attaches.
    fn machinery(&self) -> Vec<(String, String)> {
        let Some(script) = &self.script else { return Vec::new() };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        vec![
            ("sagemaker_submit_directory".to_owned(), quoted(&script.submit_directory)),
            ("sagemaker_program".to_owned(), quoted(&script.program)),
            ("sagemaker_container_log_level".to_owned(), "20".to_owned()),
            ("sagemaker_job_name".to_owned(), quoted(&self.name)),
            ("sagemaker_region".to_owned(), quoted(&self.region)),
        ]
    }
}

fn channel(name: &str, uri: &str) -> Channel {
    let source = S3DataSource::builder()
        .s3_data_type(S3DataType::S3Prefix)
        .s3_uri(uri)
        .s3_data_distribution_type(S3DataDistribution::FullyReplicated)
        .build();
    Channel::builder().channel_name(name).data_source(DataSource::builder().s3_data_source(source).build()).build()
}

/// Keeps a call's body and stops the call.
#[derive(Clone, Debug, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

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
        with_order("o".into(), job().request(&aws.sagemaker).send()).await.unwrap();
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
