//! `CreateHyperParameterTuningJob` as the Python SDK v2 sends it (`tuner.py`, recorded), with two exceptions that the
//! service itself recommends: the grid's size is left to the service, and names are unique within a minute.

use std::sync::Arc;

use aws_sdk_sagemaker::Client;
use aws_sdk_sagemaker::operation::create_hyper_parameter_tuning_job::builders::CreateHyperParameterTuningJobFluentBuilder;
use aws_sdk_sagemaker::operation::describe_hyper_parameter_tuning_job::DescribeHyperParameterTuningJobOutput;
use aws_sdk_sagemaker::types::{
    BestObjectiveNotImproving, CategoricalParameterRange, Channel, CheckpointConfig, ContinuousParameterRange,
    HyperParameterAlgorithmSpecification, HyperParameterScalingType, HyperParameterTrainingJobDefinition,
    HyperParameterTuningJobConfig, HyperParameterTuningJobObjective, HyperParameterTuningJobObjectiveType,
    HyperParameterTuningJobStrategyConfig, HyperParameterTuningJobStrategyType, HyperParameterTuningJobWarmStartConfig,
    HyperParameterTuningJobWarmStartType, HyperParameterTuningResourceConfig, HyperbandStrategyConfig, IntegerParameterRange,
    MetricDefinition, OutputDataConfig, ParameterRanges, ParentHyperParameterTuningJob, ResourceConfig, ResourceLimits,
    StoppingCondition, Tag, TrainingInputMode, TrainingInstanceType, TrainingJobEarlyStoppingType, TuningJobCompletionCriteria,
    VpcConfig,
};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Script;
use super::job::{Capture, channel};
use super::names::legal;
use super::place_of;
use crate::model::{Extras, MetricRule};

/// Most characters in a tuning job's name (service model).
pub const LONGEST: usize = 32;
/// Characters that the time takes of them, with its dash.
const STAMP: usize = 17;
/// Most characters of the base that survive in the name.
pub const BASE: usize = LONGEST - STAMP;

/// `base-yymmdd-HHMMSSmmm` in UTC; the base is made legal and cut so that the whole fits. (The Python SDK's names end in
/// minutes, so that two launches in one minute collide.)
#[must_use]
pub fn name(base: &str, now: Timestamp) -> String {
    let stamp = format!("{}{:03}", now.to_zoned(TimeZone::UTC).strftime("%y%m%d-%H%M%S"), now.subsec_millisecond());
    let mut base = legal(base);
    base.truncate(BASE);
    let base = base.trim_end_matches('-');
    format!("{}-{stamp}", if base.is_empty() { "tuning" } else { base })
}

/// The values that one hyperparameter may take, as they travel: all are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bounds {
    /// Numbers with a fraction; `scaling` is `Auto`, `Linear`, `Logarithmic` or `ReverseLogarithmic`.
    Continuous { min: String, max: String, scaling: String },
    /// Whole numbers, both ends included.
    Integer { min: String, max: String, scaling: String },
    /// JSON texts in script mode: `"32"` with the quotes.
    Categorical(Vec<String>),
}

/// What every trial is: a training job without a name, and without the hyperparameters that are searched.
#[derive(Clone, Debug, PartialEq)]
pub struct Trials {
    /// What the container is told as its job's name; the Python SDK gives the estimator's own.
    pub name: String,
    pub role: String,
    pub image: String,
    pub region: String,
    pub instance_type: String,
    pub instance_count: i32,
    pub volume_gb: i32,
    pub max_runtime_seconds: i32,
    /// `s3://bucket/`; the service appends each trial's name.
    pub output: String,
    /// Name and place.
    pub channels: Vec<(String, String)>,
    /// Those that all trials share, as they travel.
    pub hyperparameters: Vec<(String, String)>,
    /// Absent for images that bring their own program.
    pub script: Option<Script>,
    pub metrics: Vec<MetricRule>,
    pub environment: Vec<(String, String)>,
    /// Spare capacity, network and keys; of these `distribution` and warm pools are for training jobs alone.
    pub extras: Extras,
}

/// A tuning job, ready to be asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuning {
    pub name: String,
    /// `Bayesian`, `Random`, `Grid` or `Hyperband`.
    pub strategy: String,
    /// Absent for a grid, whose size says it.
    pub max_jobs: Option<i32>,
    pub max_parallel_jobs: i32,
    pub max_total_seconds: Option<i32>,
    pub early_stopping: bool,
    pub objective: String,
    pub maximize: bool,
    pub ranges: Vec<(String, Bounds)>,
    pub seed: Option<i32>,
    pub target: Option<f32>,
    pub max_not_improving: Option<i32>,
    /// Names of tuning jobs to learn from.
    pub warm_start: Vec<String>,
    pub warm_start_identical: bool,
    /// The least and most epochs of a Hyperband trial.
    pub resource: Option<(i32, i32)>,
    pub trials: Trials,
    pub tags: Vec<(String, String)>,
    /// The tuning job that this one is a copy of: what the fields above do not say is as it was there.
    pub parent: Option<Arc<DescribeHyperParameterTuningJobOutput>>,
}

impl Tuning {
    /// The call; sends nothing yet.
    #[must_use]
    pub fn request(&self, client: &Client) -> CreateHyperParameterTuningJobFluentBuilder {
        let mut call = client
            .create_hyper_parameter_tuning_job()
            .hyper_parameter_tuning_job_name(&self.name)
            .hyper_parameter_tuning_job_config(self.config())
            .training_job_definition(self.definition())
            .set_warm_start_config(self.warm_start());
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
        capture.readable(&["/TrainingJobDefinition/StaticHyperParameters", "/TrainingJobDefinition/Environment"])
    }

    fn config(&self) -> HyperParameterTuningJobConfig {
        let limits = ResourceLimits::builder()
            .set_max_number_of_training_jobs(self.max_jobs)
            .max_parallel_training_jobs(self.max_parallel_jobs)
            .set_max_runtime_in_seconds(self.max_total_seconds)
            .build();
        let kind = if self.maximize {
            HyperParameterTuningJobObjectiveType::Maximize
        } else {
            HyperParameterTuningJobObjectiveType::Minimize
        };
        let early = if self.early_stopping { TrainingJobEarlyStoppingType::Auto } else { TrainingJobEarlyStoppingType::Off };
        let strategy = self.resource.map(|(min, max)| {
            let hyperband = HyperbandStrategyConfig::builder().min_resource(min).max_resource(max).build();
            HyperParameterTuningJobStrategyConfig::builder().hyperband_strategy_config(hyperband).build()
        });
        HyperParameterTuningJobConfig::builder()
            .strategy(HyperParameterTuningJobStrategyType::from(self.strategy.as_str()))
            .set_strategy_config(strategy)
            .resource_limits(limits)
            .training_job_early_stopping_type(early)
            .hyper_parameter_tuning_job_objective(
                HyperParameterTuningJobObjective::builder().r#type(kind).metric_name(&self.objective).build(),
            )
            .parameter_ranges(self.ranges())
            .set_random_seed(self.seed)
            .set_tuning_job_completion_criteria(self.criteria())
            .build()
    }

    /// All three lists are always there, as the SDK sends them.
    fn ranges(&self) -> ParameterRanges {
        let mut ranges = ParameterRanges::builder()
            .set_continuous_parameter_ranges(Some(Vec::new()))
            .set_categorical_parameter_ranges(Some(Vec::new()))
            .set_integer_parameter_ranges(Some(Vec::new()));
        for (name, bounds) in &self.ranges {
            let scaled = |scaling: &String| HyperParameterScalingType::from(scaling.as_str());
            ranges = match bounds {
                Bounds::Continuous { min, max, scaling } => ranges.continuous_parameter_ranges(
                    ContinuousParameterRange::builder()
                        .name(name)
                        .min_value(min)
                        .max_value(max)
                        .scaling_type(scaled(scaling))
                        .build(),
                ),
                Bounds::Integer { min, max, scaling } => ranges.integer_parameter_ranges(
                    IntegerParameterRange::builder()
                        .name(name)
                        .min_value(min)
                        .max_value(max)
                        .scaling_type(scaled(scaling))
                        .build(),
                ),
                Bounds::Categorical(values) => ranges.categorical_parameter_ranges(
                    CategoricalParameterRange::builder().name(name).set_values(Some(values.clone())).build(),
                ),
            };
        }
        ranges.build()
    }

    fn criteria(&self) -> Option<TuningJobCompletionCriteria> {
        if self.target.is_none() && self.max_not_improving.is_none() {
            return None;
        }
        let patience = self
            .max_not_improving
            .map(|jobs| BestObjectiveNotImproving::builder().max_number_of_training_jobs_not_improving(jobs).build());
        let criteria = TuningJobCompletionCriteria::builder().set_target_objective_metric_value(self.target);
        Some(criteria.set_best_objective_not_improving(patience).build())
    }

    fn warm_start(&self) -> Option<HyperParameterTuningJobWarmStartConfig> {
        if self.warm_start.is_empty() {
            return None;
        }
        let kind = if self.warm_start_identical {
            HyperParameterTuningJobWarmStartType::IdenticalDataAndAlgorithm
        } else {
            HyperParameterTuningJobWarmStartType::TransferLearning
        };
        let parents = self
            .warm_start
            .iter()
            .map(|name| ParentHyperParameterTuningJob::builder().hyper_parameter_tuning_job_name(name).build());
        Some(
            HyperParameterTuningJobWarmStartConfig::builder()
                .set_parent_hyper_parameter_tuning_jobs(Some(parents.collect()))
                .warm_start_type(kind)
                .build(),
        )
    }

    fn kept(&self) -> Option<&HyperParameterTrainingJobDefinition> {
        self.parent.as_deref()?.training_job_definition()
    }

    fn definition(&self) -> HyperParameterTrainingJobDefinition {
        let trials = &self.trials;
        let kept = self.kept();
        let mut definition = kept.cloned().unwrap_or_else(|| trials.fresh());
        let fixed = trials.hyperparameters.iter().cloned().chain(trials.machinery(kept));
        definition.static_hyper_parameters = Some(fixed.collect());
        definition.algorithm_specification = Some(trials.algorithm(kept));
        definition.role_arn = Some(trials.role.clone());
        definition.input_data_config =
            (!trials.channels.is_empty()).then(|| trials.channels.iter().map(|(name, place)| of(kept, name, place)).collect());
        let mut output = definition.output_data_config.take().unwrap_or_else(|| OutputDataConfig::builder().build());
        output.s3_output_path = Some(trials.output.clone());
        // Describe answers "" where none was given; Create does not take that.
        output.kms_key_id = output.kms_key_id.filter(|key| !key.is_empty());
        definition.output_data_config = Some(output);
        definition.hyper_parameter_tuning_resource_config = Some(trials.resources(kept));
        // Describe answers both; the SDK sends the one above alone.
        definition.resource_config = None;
        let mut limits = definition.stopping_condition.take().unwrap_or_else(|| StoppingCondition::builder().build());
        limits.max_runtime_in_seconds = Some(trials.max_runtime_seconds);
        limits.max_wait_time_in_seconds = limits.max_wait_time_in_seconds.map(|wait| wait.max(trials.max_runtime_seconds));
        definition.stopping_condition = Some(limits);
        definition.environment = (!trials.environment.is_empty()).then(|| trials.environment.iter().cloned().collect());
        definition
    }
}

impl Trials {
    /// What the project says beyond the ordinary; a copy has its parent's instead.
    fn fresh(&self) -> HyperParameterTrainingJobDefinition {
        let extras = &self.extras;
        let listed = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
        let vpc = (!extras.subnets.is_empty()).then(|| {
            VpcConfig::builder()
                .set_subnets(listed(&extras.subnets))
                .set_security_group_ids(listed(&extras.security_groups))
                .build()
        });
        let wait = extras.spot.then(|| extras.max_wait_seconds.and_then(|wait| i32::try_from(wait).ok()));
        HyperParameterTrainingJobDefinition::builder()
            .set_vpc_config(vpc)
            .set_enable_network_isolation(extras.network_isolation.then_some(true))
            .set_enable_inter_container_traffic_encryption(extras.encrypt_traffic.then_some(true))
            .set_enable_managed_spot_training(extras.spot.then_some(true))
            .set_checkpoint_config(extras.checkpoints.as_ref().map(|place| CheckpointConfig::builder().s3_uri(place).build()))
            .output_data_config(OutputDataConfig::builder().set_kms_key_id(extras.output_kms_key.clone()).build())
            .stopping_condition(
                StoppingCondition::builder()
                    .set_max_wait_time_in_seconds(wait.map(|wait| wait.unwrap_or(self.max_runtime_seconds)))
                    .build(),
            )
            .build()
    }

    fn algorithm(&self, kept: Option<&HyperParameterTrainingJobDefinition>) -> HyperParameterAlgorithmSpecification {
        let rules = self.metrics.iter().map(|rule| MetricDefinition::builder().name(&rule.name).regex(&rule.regex).build());
        let mut algorithm = kept.and_then(|kept| kept.algorithm_specification().cloned()).unwrap_or_else(|| {
            HyperParameterAlgorithmSpecification::builder().training_input_mode(TrainingInputMode::File).build()
        });
        if algorithm.algorithm_name.as_ref() != Some(&self.image) {
            algorithm.algorithm_name = None;
            algorithm.training_image = Some(self.image.clone());
        }
        algorithm.metric_definitions = (!self.metrics.is_empty()).then(|| rules.collect());
        algorithm
    }

    fn resources(&self, kept: Option<&HyperParameterTrainingJobDefinition>) -> HyperParameterTuningResourceConfig {
        let key = match kept {
            Some(kept) => kept
                .hyper_parameter_tuning_resource_config()
                .and_then(HyperParameterTuningResourceConfig::volume_kms_key_id)
                .or_else(|| kept.resource_config().and_then(ResourceConfig::volume_kms_key_id))
                .map(str::to_owned),
            None => self.extras.volume_kms_key.clone(),
        };
        HyperParameterTuningResourceConfig::builder()
            .instance_type(TrainingInstanceType::from(self.instance_type.as_str()))
            .instance_count(self.instance_count)
            .volume_size_in_gb(self.volume_gb)
            .set_volume_kms_key_id(key)
            .build()
    }

    /// The keys by which the container's toolkit finds the script, and those by which the Python SDK attaches to a tuning
    /// job. What else a parent had of them goes along.
    fn machinery(&self, kept: Option<&HyperParameterTrainingJobDefinition>) -> Vec<(String, String)> {
        let Some(script) = &self.script else { return Vec::new() };
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let mut all = vec![
            ("sagemaker_submit_directory", quoted(&script.submit_directory)),
            ("sagemaker_program", quoted(&script.program)),
            ("sagemaker_job_name", quoted(&self.name)),
            ("sagemaker_region", quoted(&self.region)),
        ];
        if kept.is_none() {
            all.push(("sagemaker_container_log_level", "20".to_owned()));
            // Other images are no estimator class of the SDK's.
            if self.image.contains("/pytorch-training:") {
                all.push(("sagemaker_estimator_class_name", quoted("PyTorch")));
                all.push(("sagemaker_estimator_module", quoted("sagemaker.pytorch.estimator")));
            }
        }
        let mut all: Vec<(String, String)> = all.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let inherited = kept.and_then(HyperParameterTrainingJobDefinition::static_hyper_parameters).into_iter().flatten();
        for (key, value) in inherited.filter(|(key, _)| key.starts_with("sagemaker_")) {
            if !all.iter().any(|(known, _)| known == key) {
                all.push((key.clone(), value.clone()));
            }
        }
        all
    }
}

/// A channel; with a parent's channel of that name, all but the place is as it was there.
fn of(kept: Option<&HyperParameterTrainingJobDefinition>, name: &str, place: &str) -> Channel {
    let known = kept.and_then(|kept| kept.input_data_config().iter().find(|it| it.channel_name() == Some(name)));
    let Some(known) = known else { return channel(name, place) };
    let mut copy = known.clone();
    if place_of(known) == place {
        return copy;
    }
    match copy.data_source.as_mut().and_then(|source| source.s3_data_source.as_mut()) {
        Some(source) => source.s3_uri = Some(place.to_owned()),
        None => copy.data_source = channel(name, place).data_source,
    }
    copy
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::scripted::{Notes, Scripted};
    use crate::aws::with_order;

    const BUCKET: &str = "s3://sagemaker-us-east-1-111122223333/";

    fn tuning() -> Tuning {
        let name = "pytorch_dog_hpo-2026-11-22-07-18-36-021";
        Tuning {
            name: "pytorch-training-261122-0718".into(),
            strategy: "Bayesian".into(),
            max_jobs: Some(2),
            max_parallel_jobs: 1,
            max_total_seconds: None,
            early_stopping: false,
            objective: "Test Loss".into(),
            maximize: false,
            ranges: vec![
                ("learning_rate".into(), Bounds::Continuous { min: "0.001".into(), max: "0.1".into(), scaling: "Auto".into() }),
                (
                    "batch_size".into(),
                    Bounds::Categorical(["32", "64", "128", "256", "512"].map(|value| format!("\"{value}\"")).to_vec()),
                ),
            ],
            seed: None,
            target: None,
            max_not_improving: None,
            warm_start: Vec::new(),
            warm_start_identical: false,
            resource: None,
            tags: Vec::new(),
            parent: None,
            trials: Trials {
                name: name.into(),
                role: "arn:aws:iam::111122223333:role/SM".into(),
                image: "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38".into(),
                region: "us-east-1".into(),
                instance_type: "ml.m5.2xlarge".into(),
                instance_count: 1,
                volume_gb: 30,
                max_runtime_seconds: 86400,
                output: BUCKET.into(),
                channels: vec![("training".into(), "s3://aj-aws-project4/".into())],
                hyperparameters: Vec::new(),
                script: Some(Script {
                    submit_directory: format!("{BUCKET}{name}/source/sourcedir.tar.gz"),
                    program: "hpo.py".into(),
                }),
                metrics: vec![MetricRule { name: "Test Loss".into(), regex: r"Testing Loss: ([0-9\.]+)".into() }],
                environment: Vec::new(),
                extras: Extras::default(),
            },
        }
    }

    /// The Python SDK's request for the same tuning job ("tuner"), recorded.
    fn golden() -> Value {
        json!({
            "HyperParameterTuningJobName": "pytorch-training-261122-0718",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Bayesian",
                "ResourceLimits": { "MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1 },
                "TrainingJobEarlyStoppingType": "Off",
                "HyperParameterTuningJobObjective": { "Type": "Minimize", "MetricName": "Test Loss" },
                "ParameterRanges": {
                    "ContinuousParameterRanges": [
                        { "Name": "learning_rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Auto" }
                    ],
                    "CategoricalParameterRanges": [
                        { "Name": "batch_size", "Values": ["\"32\"", "\"64\"", "\"128\"", "\"256\"", "\"512\""] }
                    ],
                    "IntegerParameterRanges": []
                }
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": {
                    "sagemaker_submit_directory": format!("\"{BUCKET}pytorch_dog_hpo-2026-11-22-07-18-36-021/source/sourcedir.tar.gz\""),
                    "sagemaker_program": "\"hpo.py\"",
                    "sagemaker_container_log_level": "20",
                    "sagemaker_job_name": "\"pytorch_dog_hpo-2026-11-22-07-18-36-021\"",
                    "sagemaker_region": "\"us-east-1\"",
                    "sagemaker_estimator_class_name": "\"PyTorch\"",
                    "sagemaker_estimator_module": "\"sagemaker.pytorch.estimator\""
                },
                "RoleArn": "arn:aws:iam::111122223333:role/SM",
                "OutputDataConfig": { "S3OutputPath": BUCKET },
                "StoppingCondition": { "MaxRuntimeInSeconds": 86400 },
                "HyperParameterTuningResourceConfig": { "InstanceCount": 1, "InstanceType": "ml.m5.2xlarge", "VolumeSizeInGB": 30 },
                "AlgorithmSpecification": {
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{ "Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\.]+)" }],
                    "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38"
                },
                "InputDataConfig": [{
                    "DataSource": { "S3DataSource": {
                        "S3DataType": "S3Prefix",
                        "S3Uri": "s3://aj-aws-project4/",
                        "S3DataDistributionType": "FullyReplicated"
                    } },
                    "ChannelName": "training"
                }]
            }
        })
    }

    #[test]
    fn every_base_gives_a_legal_name_and_two_in_one_minute_differ() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (first, second) = (at("2026-11-22T07:18:36.364Z"), at("2026-11-22T07:18:36.901Z"));
        assert_eq!(name("digits", first), "digits-261122-071836364");
        assert_eq!(name("pytorch_dog_hpo-and-more", first), "pytorch-dog-hpo-261122-071836364");
        assert_ne!(name("digits", first), name("digits", second));
        for base in ["", "---", "a", "über", &"x".repeat(80), "abcdefghijklmn-opq"] {
            let made = name(base, first);
            assert!(made.len() <= LONGEST && crate::aws::script_mode::names::problem(&made).is_none(), "{made}");
        }
    }

    #[tokio::test]
    async fn the_request_is_the_python_sdks() {
        let http = Scripted::new(|_| (200, br#"{"HyperParameterTuningJobArn":"arn"}"#.to_vec()));
        let aws = http.connect(false, Some(Arc::new(Notes::default()))).await;
        Box::pin(with_order("o".into(), tuning().request(&aws.sagemaker).send())).await.unwrap();
        assert_eq!(http.bodies("CreateHyperParameterTuningJob"), [golden()]);
    }

    #[tokio::test]
    async fn what_is_not_asked_for_is_not_sent_and_what_is_asked_for_has_its_place() {
        let aws = Scripted::new(|_| (500, Vec::new())).connect(true, None).await;
        let mut full = Tuning {
            strategy: "Hyperband".into(),
            max_total_seconds: Some(7200),
            maximize: true,
            early_stopping: true,
            seed: Some(7),
            target: Some(0.5),
            max_not_improving: Some(5),
            warm_start: vec!["before".into()],
            warm_start_identical: true,
            resource: Some((1, 27)),
            tags: vec![("footplate:order".into(), "o".into())],
            ..tuning()
        };
        full.trials.environment = vec![("A".into(), "b".into())];
        full.trials.extras = Extras {
            spot: true,
            max_wait_seconds: Some(90_000),
            checkpoints: Some("s3://b/cp".into()),
            subnets: vec!["subnet-1".into()],
            security_groups: vec!["sg-1".into()],
            volume_kms_key: Some("k1".into()),
            output_kms_key: Some("k2".into()),
            network_isolation: true,
            encrypt_traffic: true,
            ..Extras::default()
        };
        let shown: Value = serde_json::from_str(&full.json(&aws.sagemaker).await).unwrap();
        let config = &shown["HyperParameterTuningJobConfig"];
        assert_eq!(config["StrategyConfig"], json!({ "HyperbandStrategyConfig": { "MinResource": 1, "MaxResource": 27 } }));
        assert_eq!(config["ResourceLimits"]["MaxRuntimeInSeconds"], 7200);
        assert_eq!((&config["TrainingJobEarlyStoppingType"], &config["RandomSeed"]), (&json!("Auto"), &json!(7)));
        assert_eq!(
            config["TuningJobCompletionCriteria"],
            json!({ "TargetObjectiveMetricValue": 0.5, "BestObjectiveNotImproving": { "MaxNumberOfTrainingJobsNotImproving": 5 } })
        );
        assert_eq!(
            shown["WarmStartConfig"],
            json!({ "ParentHyperParameterTuningJobs": [{ "HyperParameterTuningJobName": "before" }], "WarmStartType": "IdenticalDataAndAlgorithm" })
        );
        let definition = &shown["TrainingJobDefinition"];
        assert_eq!(definition["VpcConfig"], json!({ "SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"] }));
        assert_eq!(definition["StoppingCondition"], json!({ "MaxRuntimeInSeconds": 86400, "MaxWaitTimeInSeconds": 90000 }));
        assert_eq!(definition["HyperParameterTuningResourceConfig"]["VolumeKmsKeyId"], "k1");
        assert_eq!(definition["OutputDataConfig"]["KmsKeyId"], "k2");
        for flag in ["EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"] {
            assert_eq!(definition[flag], true, "{flag}");
        }
        assert_eq!(shown["Tags"], json!([{ "Key": "footplate:order", "Value": "o" }]));
        let grid = Tuning { strategy: "Grid".into(), max_jobs: None, ..tuning() };
        let shown: Value = serde_json::from_str(&grid.json(&aws.sagemaker).await).unwrap();
        assert_eq!(shown["HyperParameterTuningJobConfig"]["ResourceLimits"], json!({ "MaxParallelTrainingJobs": 1 }));
    }
}
