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
        hyperparameters: vec![("batch_size".into(), "128".into()), ("learning_rate".into(), "\"0.002555801302205963\"".into())],
        script: Some(Script {
            submit_directory: format!("s3://sagemaker-us-east-1-111122223333/{name}/source/sourcedir.tar.gz"),
            program: "hpo.py".into(),
        }),
        metrics: Vec::new(),
        environment: Vec::new(),
        tags: Vec::new(),
        extras: Extras::default(),
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

fn named(distribution: &str, kind: &str) -> Job {
    let extras = Extras { distribution: Some(distribution.into()), ..Extras::default() };
    Job { instance_type: kind.into(), extras, ..job() }
}

async fn shown(job: &Job) -> serde_json::Value {
    let aws = Scripted::new(|_| (500, Vec::new())).connect(true, None).await;
    serde_json::from_str(&job.json(&aws.sagemaker).await).unwrap()
}

/// The Python SDK's request of the recording "train spot": what differs from the plain one.
#[tokio::test]
async fn spot_with_checkpoints_is_the_python_sdks() {
    let extras = Extras { spot: true, max_wait_seconds: Some(7200), checkpoints: Some("s3://b/ck".into()), ..Extras::default() };
    let sent = shown(&Job { max_runtime_seconds: 3600, extras, ..job() }).await;
    let mut expected = golden();
    expected["StoppingCondition"] = json!({ "MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200 });
    expected["EnableManagedSpotTraining"] = json!(true);
    expected["CheckpointConfig"] = json!({ "S3Uri": "s3://b/ck" });
    assert_eq!(sent, expected);
}

/// Recorded from sagemaker 2.257.7 with `subnets`, `security_group_ids`, both KMS keys, `encrypt_inter_container_traffic` and
/// `enable_network_isolation`, which moves the code into a channel.
#[tokio::test]
async fn a_locked_down_job_is_the_python_sdks() {
    let extras = Extras {
        subnets: vec!["subnet-1".into(), "subnet-2".into()],
        security_groups: vec!["sg-1".into()],
        volume_kms_key: Some("vk".into()),
        output_kms_key: Some("ok".into()),
        network_isolation: true,
        encrypt_traffic: true,
        ..Extras::default()
    };
    let mut expected = golden();
    let archive = expected["HyperParameters"]["sagemaker_submit_directory"].as_str().unwrap().trim_matches('"').to_owned();
    expected["VpcConfig"] = json!({ "Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"] });
    expected["ResourceConfig"]["VolumeKmsKeyId"] = json!("vk");
    expected["OutputDataConfig"]["KmsKeyId"] = json!("ok");
    expected["EnableNetworkIsolation"] = json!(true);
    expected["EnableInterContainerTrafficEncryption"] = json!(true);
    expected["HyperParameters"]["sagemaker_submit_directory"] = json!("\"/opt/ml/input/data/code/sourcedir.tar.gz\"");
    expected["InputDataConfig"].as_array_mut().unwrap().push(json!({
        "DataSource": { "S3DataSource": {
            "S3DataType": "S3Prefix", "S3Uri": archive, "S3DataDistributionType": "FullyReplicated"
        } },
        "ChannelName": "code"
    }));
    assert_eq!(shown(&Job { extras, ..job() }).await, expected);
}

/// Recorded from sagemaker 2.257.7 with `distribution` and `keep_alive_period_in_seconds`.
#[tokio::test]
async fn launchers_and_warm_pools_are_the_python_sdks() {
    let more = |sent: serde_json::Value| {
        let plain = golden();
        let known = plain["HyperParameters"].as_object().unwrap().clone();
        let all = sent["HyperParameters"].as_object().unwrap().clone();
        all.into_iter().filter(|(key, _)| !known.contains_key(key)).collect::<serde_json::Map<_, _>>()
    };
    let torchrun = more(shown(&named("torchrun", "ml.p4d.24xlarge")).await);
    let expected = json!({ "sagemaker_torch_distributed_enabled": "true", "sagemaker_instance_type": "\"ml.p4d.24xlarge\"" });
    assert_eq!(serde_json::Value::from(torchrun), expected);
    let smddp = more(shown(&named("smddp", "ml.p4d.24xlarge")).await);
    let expected = json!({
        "sagemaker_distributed_dataparallel_enabled": "true",
        "sagemaker_instance_type": "\"ml.p4d.24xlarge\"",
        "sagemaker_distributed_dataparallel_custom_mpi_options": "\"\""
    });
    assert_eq!(serde_json::Value::from(smddp), expected);
    let mut mpi = named("mpi", "ml.m5.2xlarge");
    let expected = json!({ "sagemaker_mpi_enabled": "true", "sagemaker_mpi_custom_mpi_options": "\"\"" });
    assert_eq!(serde_json::Value::from(more(shown(&mpi).await)), expected);
    mpi.extras.processes_per_host = Some(8);
    assert_eq!(more(shown(&mpi).await)["sagemaker_mpi_num_of_processes_per_host"], "8");
    let warm = Job { extras: Extras { keep_alive_seconds: Some(600), ..Extras::default() }, ..job() };
    let mut expected = golden();
    expected["ResourceConfig"]["KeepAlivePeriodInSeconds"] = json!(600);
    assert_eq!(shown(&warm).await, expected);
}

#[test]
fn the_wait_for_spot_is_never_shorter_than_the_run() {
    let wait = |runtime, named| {
        let extras = Extras { spot: true, max_wait_seconds: named, ..Extras::default() };
        Job { max_runtime_seconds: runtime, extras, ..job() }.longest_wait()
    };
    assert_eq!((wait(3600, None), wait(3600, Some(4000))), (7200, 4000));
    assert_eq!(wait(28 * 86_400, None), 28 * 86_400);
}
