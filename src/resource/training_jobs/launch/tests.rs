use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::aws::scripted::{Answer, Asked, Notes, Scripted};
use crate::aws::with_order;
use crate::model::{Channel, FailureKind, MetricRule, Scalar, Settled};
use crate::resource::training_jobs::form;

fn project() -> (tempfile::TempDir, Recipe) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("train.py"), "print('loss=1')").unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/a.csv"), "1,2").unwrap();
    let recipe = Recipe {
        root: folder.path().to_owned(),
        name: "digits".into(),
        framework: "pytorch".into(),
        framework_version: "1.9".into(),
        py_version: "py38".into(),
        source_dir: ".".into(),
        entry_point: "train.py".into(),
        instance_type: "ml.m5.2xlarge".into(),
        instance_count: 2,
        channels: vec![Channel { name: "train".into(), source: "data".into() }],
        hyperparameters: vec![("lr".into(), Scalar::Text("0.1".into()))],
        ..Recipe::default()
    };
    (folder, recipe)
}

fn text(status: u16, body: &str) -> Answer {
    (status, body.as_bytes().to_vec())
}

/// STS, an S3 without buckets, and whatever `sagemaker` answers.
fn account(sagemaker: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Scripted {
    Scripted::new(move |asked| match asked.operation.split_once(' ') {
        Some(("POST", "/")) => text(
            200,
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:sts::000000000000:assumed-role/r/s</Arn><UserId>u</UserId><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
        ),
        Some(("HEAD", _)) => text(404, ""),
        Some(("GET", _)) if asked.uri.contains("list-type=2") => {
            text(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>")
        }
        Some(("PUT", _)) => text(200, ""),
        None if asked.operation == "ListServiceQuotas" => text(
            200,
            r#"{"Quotas":[{"QuotaName":"ml.m5.2xlarge for training job usage","Value":15},{"QuotaName":"ml.m5.2xlarge for training warm pool usage","Value":0},{"QuotaName":"ml.m5.2xlarge for spot training job usage","Value":4}]}"#,
        ),
        None if asked.operation == "ListAWSDefaultServiceQuotas" => text(200, r#"{"Quotas":[]}"#),
        None if asked.operation == "GetProducts" => text(200, r#"{"PriceList":[]}"#),
        None if asked.operation == "ListTrainingJobs" => text(200, r#"{"TrainingJobSummaries":[]}"#),
        _ => sagemaker(asked),
    })
}

async fn launched(http: &Scripted, notes: &Arc<Notes>) -> Result<Outcome, Failure> {
    let (_folder, recipe) = project();
    let aws = http.connect(false, Some(notes.clone())).await;
    let form = form::launch(&recipe);
    Box::pin(with_order("order-7".to_owned(), launch(&aws, &recipe, &form, &|_| {}))).await
}

#[tokio::test]
async fn a_launch_uploads_creates_tags_and_is_journaled() {
    let notes = Arc::new(Notes::default());
    let http = account(|_| text(200, r#"{"TrainingJobArn":"arn"}"#));
    let Outcome::Made { id, .. } = launched(&http, &notes).await.unwrap() else { panic!("nothing made") };
    assert!(id.as_str().starts_with("digits-20"));
    let created = http.bodies("CreateTrainingJob").remove(0);
    assert_eq!(created["TrainingJobName"], id.as_str());
    assert_eq!(created["HyperParameters"]["lr"], "\"0.1\"");
    assert_eq!(created["RoleArn"], staging::LOCAL_ROLE);
    assert_eq!(
        created["Tags"],
        json!([{ "Key": "footplate:project", "Value": "digits" }, { "Key": "footplate:order", "Value": "order-7" }])
    );
    let data = "s3://sagemaker-us-east-1-000000000000/digits/data/train/";
    assert_eq!(created["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"], data);
    let asked = http.asked.lock().unwrap().clone();
    let puts: Vec<&Asked> =
        asked.iter().filter(|asked| asked.operation.starts_with("PUT /sagemaker-us-east-1-000000000000/digits/")).collect();
    assert_eq!(puts.len(), 2, "the code and one data file");
    assert!(puts.iter().all(|put| put.header("x-amz-expected-bucket-owner") == Some("000000000000")));
    assert!(asked.iter().all(|asked| asked.header("user-agent").unwrap_or_default().contains("app/footplate")
        || asked.header("x-amz-user-agent").unwrap_or_default().contains("app/footplate")));
    let intents: Vec<String> = notes.intents.lock().unwrap().iter().map(|intent| intent.operation.clone()).collect();
    assert_eq!(intents.iter().filter(|name| *name == "PutObject").count(), 1);
    assert_eq!(intents.iter().filter(|name| *name == "CreateTrainingJob").count(), 1);
    assert!(notes.settled.lock().unwrap().iter().all(|(_, settled)| *settled == Settled::Done));
}

/// The first answer is lost; the second says that the name is taken, by a job with that order's tag.
fn lost_answer(owner: &'static str) -> Scripted {
    let creates = AtomicUsize::new(0);
    account(move |asked| match asked.operation.as_str() {
        "CreateTrainingJob" if creates.fetch_add(1, Ordering::SeqCst) == 0 => (0, Vec::new()),
        "CreateTrainingJob" => text(400, r#"{"__type":"ResourceInUse","message":"Training job names must be unique"}"#),
        "DescribeTrainingJob" => {
            text(200, r#"{"TrainingJobName":"x","TrainingJobArn":"arn:x","TrainingJobStatus":"InProgress"}"#)
        }
        _ => text(200, &json!({ "Tags": [{ "Key": "footplate:order", "Value": owner }] }).to_string()),
    })
}

#[tokio::test]
async fn after_a_lost_answer_only_our_own_job_is_adopted() {
    let notes = Arc::new(Notes::default());
    assert!(launched(&lost_answer("order-7"), &notes).await.is_ok());
    let stranger = launched(&lost_answer("another"), &notes).await.unwrap_err();
    assert_eq!(stranger.kind, FailureKind::Conflict);
}

#[tokio::test]
async fn the_preview_tells_cost_and_request_and_changes_nothing() {
    let http = account(|_| text(500, ""));
    let aws = http.connect(true, None).await;
    let (folder, recipe) = project();
    let shown = preview(&aws, &recipe, &form::launch(&recipe)).await;
    let facts: Vec<String> = shown.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert!(facts.iter().any(|fact| fact.starts_with("price: $0.92/h")), "{facts:?}");
    assert!(facts.iter().any(|fact| fact.starts_with("at most: $22.13")), "{facts:?}");
    assert!(facts.contains(&"quota: 0 of 15 used".to_owned()), "{facts:?}");
    assert!(!shown.more);
    assert!(
        shown.problems.iter().all(|problem| !problem.fatal)
            && shown.problems.iter().any(|problem| problem.field == "instance_count"),
        "{:?}",
        shown.problems
    );
    assert!(shown.request.as_str().contains("\"TrainingJobName\": \"digits-20"));
    fs::remove_file(folder.path().join("train.py")).unwrap();
    let missing = preview(&aws, &recipe, &form::launch(&recipe)).await;
    assert_eq!(missing.problems[0].field, "entry_point");
    fs::write(folder.path().join("train.py"), "").unwrap();
    fs::remove_file(folder.path().join("data/a.csv")).unwrap();
    let empty = preview(&aws, &recipe, &form::launch(&recipe)).await;
    assert!(
        empty.problems[0].field == "channels" && empty.problems[0].message.as_str().contains("is empty"),
        "{:?}",
        empty.problems
    );
    assert!(http.operations().iter().all(|name| !name.starts_with("PUT") && name != "CreateTrainingJob"));
}

#[tokio::test]
async fn the_preview_of_spot_and_of_warm_instances_says_what_is_known() {
    let http = account(|_| text(500, ""));
    let aws = http.connect(true, None).await;
    let (_folder, recipe) = project();
    let shown = |changes: &'static [(&'static str, &'static str)]| {
        let mut form = form::launch(&recipe);
        for (name, value) in changes {
            form.fields.iter_mut().find(|field| field.name == *name).unwrap().value = (*value).into();
        }
        let (aws, recipe) = (&aws, &recipe);
        async move { preview(aws, recipe, &form).await }
    };
    let spot = shown(&[("spot", "yes"), ("checkpoints", "s3://bkt/c/"), ("max_runtime", "1h")]).await;
    let facts: Vec<String> = spot.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    for fact in [
        "quota: 0 of 4 used",
        "wait: at most 2 h, run included",
        "spot: has no list price: this is on demand, the bill will be lower",
    ] {
        assert!(facts.contains(&fact.to_owned()), "{fact}: {facts:?}");
    }
    let warm = shown(&[("keep_alive", "10m"), ("hyperparameters", "backend = gloo")]).await;
    let facts: Vec<String> = warm.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert!(facts.contains(&"kept warm: 10 min after the run, $0.15 at most".to_owned()), "{facts:?}");
    let found = besides_the_script(&warm);
    let [problem] = &found[..] else { panic!("{found:?}") };
    assert!(problem.fatal && problem.field == "keep_alive", "{problem:?}");
    assert!(problem.message.as_str().starts_with("quota 0 for ml.m5.2xlarge training warm pools"), "{problem:?}");
    // Two hosts under a launcher are no waste; this one is not to be had here.
    let mpi = shown(&[("distribution", "mpi")]).await;
    let found = besides_the_script(&mpi);
    let [problem] = &found[..] else { panic!("{found:?}") };
    assert!(problem.fatal && problem.field == "distribution", "{problem:?}");
    let torchrun = shown(&[("distribution", "torchrun"), ("framework_version", "2.6")]).await;
    assert_eq!(besides_the_script(&torchrun), Vec::<&Problem>::new());
}

/// The lint has something to say about so short a script; that is tested elsewhere.
fn besides_the_script(preview: &Preview) -> Vec<&Problem> {
    preview.problems.iter().filter(|problem| problem.field != "hyperparameters").collect()
}

/// A job with all that a form has no field for.
fn rich_parent() -> serde_json::Value {
    json!({
        "TrainingJobName": "p", "TrainingJobArn": "arn:p", "TrainingJobStatus": "Completed", "RoleArn": "arn:aws:iam::1:role/r",
        "HyperParameters": {
            "lr": "\"0.1\"", "bare": "hello", "sagemaker_program": "\"t.py\"", "sagemaker_submit_directory": "\"/opt/ml/input/data/code/x.tar.gz\"",
            "sagemaker_job_name": "\"p\"", "sagemaker_region": "\"us-east-1\"", "sagemaker_mpi_enabled": "true", "sagemaker_mpi_custom_mpi_options": "\"-x A\"",
            "_tuning_objective_metric": "loss"
        },
        "AlgorithmSpecification": {
            "TrainingImage": "1.dkr.ecr.us-east-1.amazonaws.com/own:1", "TrainingInputMode": "FastFile",
            "EnableSageMakerMetricsTimeSeries": true, "ContainerEntrypoint": ["run"], "ContainerArguments": ["-v"]
        },
        "InputDataConfig": [
            { "ChannelName": "train", "ContentType": "text/csv", "InputMode": "Pipe", "ShuffleConfig": { "Seed": 7 },
              "DataSource": { "S3DataSource": { "S3DataType": "ManifestFile", "S3Uri": "s3://data/m", "S3DataDistributionType": "ShardedByS3Key" } } },
            { "ChannelName": "fs", "DataSource": { "FileSystemDataSource": { "FileSystemId": "fs-0123456789", "FileSystemAccessMode": "ro", "FileSystemType": "EFS", "DirectoryPath": "/d" } } },
            { "ChannelName": "code",
              "DataSource": { "S3DataSource": { "S3DataType": "S3Prefix", "S3Uri": "s3://code/x.tar.gz", "S3DataDistributionType": "FullyReplicated" } } }
        ],
        "OutputDataConfig": { "S3OutputPath": "s3://out/deep/er/", "KmsKeyId": "key-o" },
        "ResourceConfig": { "InstanceType": "ml.m5.2xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30, "VolumeKmsKeyId": "key-v" },
        "VpcConfig": { "SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"] },
        "StoppingCondition": { "MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900 },
        "EnableNetworkIsolation": true, "EnableInterContainerTrafficEncryption": true, "EnableManagedSpotTraining": true,
        "CheckpointConfig": { "S3Uri": "s3://out/cp", "LocalPath": "/opt/ml/model/cp" },
        "Environment": { "A": "b" }, "RetryStrategy": { "MaximumRetryAttempts": 2 }
    })
}

#[tokio::test]
async fn a_copy_keeps_all_that_the_form_does_not_change() {
    let parent = rich_parent();
    let answered = parent.clone();
    let http = account(move |asked| match asked.operation.as_str() {
        "DescribeTrainingJob" => text(200, &answered.to_string()),
        "ListTags" => text(
            200,
            r#"{"Tags":[{"Key":"team","Value":"vision"},{"Key":"aws:x","Value":"y"},{"Key":"footplate:order","Value":"o"}]}"#,
        ),
        _ => text(200, r#"{"TrainingJobArn":"arn"}"#),
    });
    let aws = http.connect(false, Some(Arc::new(Notes::default()))).await;
    let recipe = Recipe { name: "digits".into(), ..Recipe::default() };
    let mut form = form::clone(&aws, &ItemId("p".into())).await.unwrap();
    let shown = ["spot", "max_wait", "checkpoints", "distribution", "subnets", "volume_kms_key", "output_kms_key", "source_dir"];
    assert_eq!(
        shown.map(|name| form.value(name).to_owned()),
        ["yes", "15m", "s3://out/cp", "mpi", "subnet-1 subnet-2", "key-v", "key-o", "s3://code/x.tar.gz"]
    );
    assert_eq!(form.value("channels"), "train = s3://data/m\nfs = file system fs-0123456789 /d");
    for (name, value) in [("max_runtime", "1200"), ("max_wait", "20m")] {
        form.fields.iter_mut().find(|field| field.name == name).unwrap().value = value.into();
    }
    assert_eq!(check(&form), []);
    Box::pin(with_order("o2".into(), launch(&aws, &recipe, &form, &|_| {}))).await.unwrap();
    let sent = http.bodies("CreateTrainingJob").remove(0);
    let same = [
        "AlgorithmSpecification",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "VpcConfig",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
        "CheckpointConfig",
        "Environment",
        "RetryStrategy",
    ];
    for member in same {
        assert_eq!(sent[member], parent[member], "{member}");
    }
    assert_eq!(sent["StoppingCondition"], json!({ "MaxRuntimeInSeconds": 1200, "MaxWaitTimeInSeconds": 1200 }));
    let hyperparameters = &sent["HyperParameters"];
    assert_eq!((&hyperparameters["bare"], &hyperparameters["sagemaker_mpi_enabled"]), (&json!("hello"), &json!("true")));
    assert_eq!(hyperparameters["sagemaker_mpi_custom_mpi_options"], json!("\"-x A\""));
    assert_eq!(hyperparameters["sagemaker_submit_directory"], parent["HyperParameters"]["sagemaker_submit_directory"]);
    assert_eq!(hyperparameters["sagemaker_job_name"], json!(sent["TrainingJobName"].to_string()));
    assert!(hyperparameters.get("_tuning_objective_metric").is_none());
    let tags: Vec<&str> = sent["Tags"].as_array().unwrap().iter().map(|tag| tag["Key"].as_str().unwrap()).collect();
    assert_eq!(tags, ["team", "footplate:project", "footplate:order"]);
}

#[tokio::test]
async fn a_metric_that_nothing_prints_is_warned_of_by_its_regex() {
    let (_folder, mut recipe) = project();
    let rule = |name: &str, regex: &str| MetricRule { name: name.into(), regex: regex.into() };
    recipe.metrics = vec![rule("loss", "loss=([0-9]+)"), rule("accuracy", "accuracy=([0-9.]+)")];
    let aws = account(|_| text(500, "")).connect(true, None).await;
    let shown = preview(&aws, &recipe, &form::launch(&recipe)).await;
    let said: Vec<&Problem> = shown.problems.iter().filter(|problem| problem.field == "metrics").collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(!said[0].fatal && said[0].message.as_str().contains("accuracy=([0-9.]+)"));
    let mut divided = form::launch(&recipe);
    divided.fields.iter_mut().find(|field| field.name == "hyperparameters").unwrap().value = "backend = gloo".into();
    let shown = preview(&aws, &recipe, &divided).await;
    assert!(shown.problems.iter().all(|problem| problem.field != "instance_count"), "{:?}", shown.problems);
}
