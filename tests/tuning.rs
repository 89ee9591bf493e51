//! Tuning jobs of the local region: their candidates are real training jobs, and the search, the rules and the answers hold.

#[path = "common/bare.rs"]
mod bare;

use std::collections::BTreeSet;

use bare::{Region, all_gone, archive, options, region_to_kill, wait_for};
use serde_json::{Value, json};

/// A bowl with its bottom at rate 0.01, told once.
const BOWL: &str = r#"
import json, math, os
values = json.loads(os.environ["SM_HPS"])
assert "_tuning_objective_metric" not in values, values
print("loss=%.6f" % (abs(math.log10(float(values["rate"])) + 2) + int(values["batch"]) / 1000), flush=True)
"#;

/// Tells its loss at each of three epochs; one that is over 5 then waits for a long time.
const EPOCHS: &str = r#"
import json, os, time
values = json.loads(os.environ["SM_HPS"])
for epoch in range(3):
    print("loss=%s" % values["level"], flush=True)
time.sleep(300 if float(values["level"]) > 5 else 0)
"#;

impl Region {
    /// A region with a script that the training jobs run.
    fn with(script: &str) -> Self {
        let region = Self::temporary();
        region.put("sourcedir.tar.gz", &archive(&[("hpo.py", script)]));
        region
    }

    async fn start(&self, request: &Value) {
        self.call("CreateHyperParameterTuningJob", request.clone()).await.expect("is created");
    }

    async fn describe(&self, name: &str) -> Value {
        self.call("DescribeHyperParameterTuningJob", json!({"HyperParameterTuningJobName": name})).await.expect("is there")
    }

    async fn end(&self, name: &str) -> Value {
        wait_for(&format!("the end of {name}"), async || {
            let described = self.describe(name).await;
            let status = described["HyperParameterTuningJobStatus"].as_str()?;
            ["Completed", "Failed", "Stopped"].contains(&status).then_some(described)
        })
        .await
    }

    async fn run(&self, request: &Value) -> Value {
        self.start(request).await;
        self.end(request["HyperParameterTuningJobName"].as_str().expect("a name")).await
    }

    async fn trials(&self, name: &str) -> Vec<Value> {
        let input = json!({"HyperParameterTuningJobName": name, "MaxResults": 100, "SortBy": "Name"});
        let answer = self.call("ListTrainingJobsForHyperParameterTuningJob", input).await.expect("lists");
        answer["TrainingJobSummaries"].as_array().expect("a list").clone()
    }

    async fn training_job(&self, name: &Value) -> Value {
        self.call("DescribeTrainingJob", json!({"TrainingJobName": name})).await.expect("is there")
    }
}

/// What the Python SDK sends, with the ranges of the project.
fn request(name: &str, jobs: u32, parallel: u32) -> Value {
    json!({
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": jobs, "MaxParallelTrainingJobs": parallel},
            "TrainingJobEarlyStoppingType": "Off",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Auto"}],
                "CategoricalParameterRanges": [{"Name": "batch", "Values": ["\"32\"", "\"64\"", "\"128\""]}],
                "IntegerParameterRanges": [],
            },
            "RandomSeed": 7,
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {
                "sagemaker_program": "\"hpo.py\"",
                "sagemaker_submit_directory": "\"s3://b/sourcedir.tar.gz\"",
            },
            "RoleArn": "arn:aws:iam::000000000000:role/footplate-execution",
            "OutputDataConfig": {"S3OutputPath": "s3://b/out/"},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "HyperParameterTuningResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.2xlarge", "VolumeSizeInGB": 30},
            "AlgorithmSpecification": {
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9\\.]+)"}],
                "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38",
            },
        },
    })
}

/// A grid over one hyperparameter, one job at a time.
fn grid(name: &str, values: &[&str]) -> Value {
    let mut request = request(name, 1, 1);
    let config = &mut request["HyperParameterTuningJobConfig"];
    config["Strategy"] = json!("Grid");
    config["ResourceLimits"] = json!({"MaxParallelTrainingJobs": 1});
    config["ParameterRanges"] = json!({"CategoricalParameterRanges": [{"Name": "level", "Values": values}]});
    request
}

fn status(described: &Value) -> &str {
    described["HyperParameterTuningJobStatus"].as_str().expect("a status")
}

fn objective(trial: &Value) -> f64 {
    trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"].as_f64().expect("a value")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_runs_real_training_jobs_and_finds_the_best() {
    let region = Region::with(BOWL);
    let mut sent = request("bowl", 6, 2);
    sent["Tags"] = json!([{"Key": "project", "Value": "dogs"}]);
    region.start(&sent).await;
    let mut most = 0;
    let described = wait_for("the end", async || {
        most = most.max(region.sagemaker.running().len());
        let described = region.describe("bowl").await;
        (status(&described) == "Completed").then_some(described)
    })
    .await;
    assert_eq!(most, 2, "as many at once as may");
    assert_eq!(
        described["TrainingJobStatusCounters"],
        json!({"Completed": 6, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0})
    );
    assert_eq!(described["ObjectiveStatusCounters"], json!({"Succeeded": 6, "Pending": 0, "Failed": 0}));

    let trials = region.trials("bowl").await;
    assert_eq!(trials.len(), 6);
    let pattern = regex::Regex::new(r"\Abowl-00[1-6]-[0-9a-f]{8}\z").expect("compiles");
    for trial in &trials {
        assert!(pattern.is_match(trial["TrainingJobName"].as_str().expect("a name")), "{trial}");
        let tuned = trial["TunedHyperParameters"].as_object().expect("a map");
        assert_eq!(tuned.len(), 2);
        let rate: f64 = tuned["rate"].as_str().expect("a text").parse().expect("a number");
        let batch = tuned["batch"].as_str().expect("a text");
        assert!((0.001..=0.1).contains(&rate) && ["\"32\"", "\"64\"", "\"128\""].contains(&batch), "{tuned:?}");
        let expected = (rate.log10() + 2.0).abs() + batch.trim_matches('"').parse::<f64>().expect("a number") / 1000.0;
        assert!((objective(trial) - expected).abs() < 1e-5, "{trial}");
        assert_eq!(trial["ObjectiveStatus"], json!("Succeeded"));

        let job = region.training_job(&trial["TrainingJobName"]).await;
        assert_eq!(job["TuningJobArn"], described["HyperParameterTuningJobArn"]);
        assert_eq!(job["HyperParameters"]["_tuning_objective_metric"], json!("loss"));
        assert_eq!(job["HyperParameters"]["batch"], tuned["batch"]);
        assert_eq!(job["ResourceConfig"]["InstanceType"], json!("ml.m5.2xlarge"));
        let tags = region.call("ListTags", json!({"ResourceArn": job["TrainingJobArn"]})).await.expect("lists");
        assert_eq!(tags["Tags"], sent["Tags"]);
    }
    let best = trials.iter().map(objective).fold(f64::INFINITY, f64::min);
    assert!((objective(&described["BestTrainingJob"]) - best).abs() < f64::EPSILON);
    let input = json!({"HyperParameterTuningJobName": "bowl", "SortBy": "FinalObjectiveMetricValue", "MaxResults": 1});
    let first = region.call("ListTrainingJobsForHyperParameterTuningJob", input).await.expect("lists");
    assert_eq!(first["TrainingJobSummaries"][0]["TrainingJobName"], described["BestTrainingJob"]["TrainingJobName"]);
    let tags = region.call("ListTags", json!({"ResourceArn": described["HyperParameterTuningJobArn"]})).await.expect("lists");
    assert_eq!(tags["Tags"], sent["Tags"]);

    // From its results another one starts, and the best of both is known.
    let mut warm = request("warm", 1, 1);
    warm["WarmStartConfig"] = json!({"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "bowl"}], "WarmStartType": "IdenticalDataAndAlgorithm"});
    let described = region.run(&warm).await;
    let own = objective(&described["BestTrainingJob"]);
    assert!((objective(&described["OverallBestTrainingJob"]) - own.min(best)).abs() < f64::EPSILON);
    let expected = if own < best { "warm" } else { "bowl" };
    assert_eq!(described["OverallBestTrainingJob"]["TuningJobName"], json!(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_training_jobs() {
    let region = Region::with(BOWL);
    let mut sequences = Vec::new();
    for name in ["one", "two"] {
        let mut request = request(name, 3, 1);
        request["HyperParameterTuningJobConfig"]["Strategy"] = json!("Random");
        assert_eq!(status(&region.run(&request).await), "Completed");
        let trials = region.trials(name).await;
        sequences.push(trials.iter().map(|trial| trial["TunedHyperParameters"].to_string()).collect::<Vec<_>>());
    }
    assert_eq!(sequences[0], sequences[1]);
    assert_eq!(sequences[0].iter().collect::<BTreeSet<_>>().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_stops_bad_jobs_early_and_goes_on() {
    let region = Region::with(EPOCHS);
    let mut request = grid("grid", &["1", "2", "3", "9", "0.5"]);
    request["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] = json!("Auto");
    let described = region.run(&request).await;
    assert_eq!(status(&described), "Completed");
    let trials = region.trials("grid").await;
    let levels: Vec<&str> = trials.iter().map(|trial| trial["TunedHyperParameters"]["level"].as_str().expect("a text")).collect();
    assert_eq!(levels, ["1", "2", "3", "9", "0.5"]);
    assert_eq!(trials[3]["TrainingJobStatus"], json!("Stopped"));
    assert_eq!(described["TrainingJobStatusCounters"]["Stopped"], json!(1));
    assert_eq!(described["ObjectiveStatusCounters"]["Succeeded"], json!(5), "its objective counts all the same");
    assert_eq!(described["BestTrainingJob"]["TunedHyperParameters"]["level"], json!("0.5"));
    let job = region.training_job(&trials[3]["TrainingJobName"]).await;
    let said = job["SecondaryStatusTransitions"].to_string();
    assert!(said.contains("Stopping the training job early: value 1 of loss, 9, is worse than the median"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_reached_ends_it() {
    let region = Region::with(EPOCHS);
    let mut request = grid("target", &["3", "1", "2", "4"]);
    request["HyperParameterTuningJobConfig"]["TuningJobCompletionCriteria"] = json!({"TargetObjectiveMetricValue": 1.5});
    let described = region.run(&request).await;
    assert_eq!((status(&described), region.trials("target").await.len()), ("Completed", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn five_failures_fail_it_and_silence_is_told_apart() {
    let region = Region::with("raise SystemExit(3)");
    let described = region.run(&request("failing", 8, 2)).await;
    assert_eq!(status(&described), "Failed");
    let reason = described["FailureReason"].as_str().expect("a reason");
    assert!(
        reason.starts_with("No training job succeeded after 5 attempts. Please take a look")
            || reason.contains("after 6 attempts"),
        "{reason}"
    );
    assert_eq!(described["TrainingJobStatusCounters"]["InProgress"], json!(0));
    assert!(described.get("BestTrainingJob").is_none());
    assert!(region.sagemaker.running().is_empty());

    let silent = Region::with("print('nothing')");
    let described = silent.run(&request("silent", 2, 2)).await;
    let reason = described["FailureReason"].as_str().expect("a reason");
    assert!(reason.starts_with("No objective metrics found after running 2 training jobs."), "{reason}");
    assert_eq!(described["ObjectiveStatusCounters"]["Failed"], json!(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_stops_its_training_jobs_and_one_stopped_by_hand_only_counts() {
    let region = Region::with(EPOCHS);
    region.start(&grid("stopped", &["8", "9", "1", "7"])).await;
    let first = wait_for("the first training job's objective", async || {
        let trials = region.trials("stopped").await;
        let job = region.training_job(&trials.first()?["TrainingJobName"]).await;
        job.get("FinalMetricDataList").map(|_| job["TrainingJobName"].clone())
    })
    .await;
    region.call("StopTrainingJob", json!({"TrainingJobName": first})).await.expect("stops");
    let second =
        wait_for("the second training job", async || Some(region.trials("stopped").await.get(1)?["TrainingJobName"].clone()))
            .await;
    assert_eq!(region.describe("stopped").await["TrainingJobStatusCounters"]["Stopped"], json!(1));

    let name = json!({"HyperParameterTuningJobName": "stopped"});
    let fault = region.call("DeleteHyperParameterTuningJob", name.clone()).await.expect_err("runs");
    assert!(fault.message.contains("InProgress. Stop it"), "{}", fault.message);
    region.call("StopHyperParameterTuningJob", name.clone()).await.expect("stops");
    let described = region.end("stopped").await;
    assert_eq!(status(&described), "Stopped");
    assert_eq!(described["TrainingJobStatusCounters"]["Stopped"], json!(2));
    assert_eq!(region.training_job(&second).await["TrainingJobStatus"], json!("Stopped"));
    let fault = region.call("StopHyperParameterTuningJob", name.clone()).await.expect_err("has ended");
    assert!(fault.message.contains("is in status Stopped"), "{}", fault.message);

    region.call("DeleteHyperParameterTuningJob", name.clone()).await.expect("deletes");
    assert_eq!(region.training_job(&second).await["TrainingJobStatus"], json!("Stopped"), "training jobs stay");
    let fault = region.call("DescribeHyperParameterTuningJob", name).await.expect_err("is gone");
    assert_eq!(
        (fault.code, fault.message.as_str()),
        ("ResourceNotFound", "Amazon SageMaker can't find a tuning job called stopped. Type another name.")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_closes_ends_it_and_says_so_afterwards() {
    let region = Region::with(EPOCHS);
    region.start(&grid("closed", &["8", "9"])).await;
    wait_for("a training job", async || region.trials("closed").await.pop()).await;
    region.sagemaker.close().await;
    assert!(region.sagemaker.running().is_empty());
    let described = region.describe("closed").await;
    assert_eq!(status(&described), "Failed");
    assert!(described["FailureReason"].as_str().expect("a reason").contains("region was closed while this tuning job"));
    let fault = region.call("CreateHyperParameterTuningJob", grid("late", &["1", "2"])).await.expect_err("is closing");
    assert_eq!(fault.code, "ServiceUnavailable");
}

/// Tells its loss; one that is over 5 then waits for ever. Each writes down who it is.
const MORTAL: &str = r#"
import json, os, time
level = json.loads(os.environ["SM_HPS"])["level"]
with open(os.environ["PIDS"], "a") as file: file.write("%d\n" % os.getpid())
print("loss=%s" % level, flush=True)
while float(level) > 5: time.sleep(1)
"#;

fn mortal(folder: &std::path::Path, name: &str, levels: &[&str]) -> Value {
    let mut request = request(name, u32::try_from(levels.len()).expect("few"), 2);
    request["HyperParameterTuningJobConfig"]["Strategy"] = json!("Random");
    request["HyperParameterTuningJobConfig"]["ParameterRanges"] =
        json!({"CategoricalParameterRanges": [{"Name": "level", "Values": levels}]});
    request["TrainingJobDefinition"]["Environment"] = json!({"PIDS": folder.join("pids")});
    request
}

/// Not a test of its own: the region that the next test kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of a_region_that_is_killed_leaves_nothing_and_its_results_can_be_gone_on_from"]
async fn region_that_is_killed() {
    let Some(folder) = std::env::var_os("FOOTPLATE_TEST_REGION") else { return };
    let region = Region::open(folder.as_ref(), options());
    region.put("sourcedir.tar.gz", &archive(&[("hpo.py", MORTAL)]));
    region.start(&mortal(folder.as_ref(), "killed", &["3", "9"])).await;
    wait_for("one result", async || {
        (region.describe("killed").await["TrainingJobStatusCounters"]["Completed"] == 1).then_some(())
    })
    .await;
    std::fs::write(region.folder.join("ready"), "").expect("writes");
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_killed_leaves_nothing_and_its_results_can_be_gone_on_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut other = region_to_kill(folder.path());
    let pids = wait_for("both training jobs", async || {
        let text = std::fs::read_to_string(folder.path().join("pids")).ok()?;
        let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() == 2 && folder.path().join("ready").exists()).then_some(pids)
    })
    .await;
    other.kill().expect("is killed with SIGKILL");
    other.wait().expect("is gone");
    all_gone(&pids).await;

    let region = Region::open(folder.path(), options());
    let described = region.describe("killed").await;
    assert_eq!(status(&described), "Failed");
    let reason = described["FailureReason"].as_str().expect("a reason");
    assert!(reason.starts_with("InternalServerError: the local region stopped while this tuning job was running."), "{reason}");
    assert!(reason.contains("WarmStartConfig"), "{reason}");
    assert_eq!(
        described["TrainingJobStatusCounters"],
        json!({"Completed": 1, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 1, "Stopped": 0})
    );
    assert!((objective(&described["BestTrainingJob"]) - 3.0).abs() < 1e-6);
    assert!(region.sagemaker.running().is_empty());

    let mut next = mortal(folder.path(), "next", &["3", "4"]);
    next["WarmStartConfig"] = json!({"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "killed"}], "WarmStartType": "IdenticalDataAndAlgorithm"});
    let described = region.run(&next).await;
    assert_eq!(status(&described), "Completed", "{described:#}");
    assert!((objective(&described["OverallBestTrainingJob"]) - 3.0).abs() < 1e-6);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_requests_are_refused_before_anything_runs() {
    let region = Region::with(BOWL);
    region.run(&request("taken", 1, 1)).await;
    let change = |pointer: &str, value: Value| {
        let mut request = request("new", 2, 1);
        let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
        request.pointer_mut(parent).expect("is there")[member] = value;
        request
    };
    let range = |low: &str, high: &str| json!({"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": "Auto"});
    let ranges = |kind: &str, range: &Value| change("/HyperParameterTuningJobConfig/ParameterRanges", json!({kind: [range]}));
    for (request, code, part) in [
        (
            request("taken", 1, 1),
            "ResourceInUse",
            "A hyperparameter tuning job with the name, taken, already exists. Choose a different name.",
        ),
        (
            request(&"n".repeat(33), 1, 1),
            "ValidationException",
            "at 'hyperParameterTuningJobName' failed to satisfy constraint: Member must have length less than or equal to 32",
        ),
        (
            change("/TrainingJobDefinition/HyperParameterTuningResourceConfig/InstanceType", json!("ml.p3.2xlarge")),
            "ResourceLimitExceeded",
            "'ml.p3.2xlarge for training job usage' is 0 Instances",
        ),
        (
            change(
                "/HyperParameterTuningJobConfig/ResourceLimits",
                json!({"MaxNumberOfTrainingJobs": 40, "MaxParallelTrainingJobs": 11}),
            ),
            "ResourceLimitExceeded",
            "is 10",
        ),
        (
            change("/TrainingJobDefinition/RoleArn", json!("arn:aws:iam::111122223333:role/SM")),
            "ValidationException",
            "Could not assume role",
        ),
        (change("/HyperParameterTuningJobConfig/Strategy", json!("Hyperband")), "ValidationException", "Use Bayesian or Random"),
        (change("/HyperParameterTuningJobConfig/Strategy", json!("Grid")), "ValidationException", "rate is not categorical"),
        (
            ranges("ContinuousParameterRanges", &range("0.1", "0.001")),
            "ValidationException",
            "must be less than its MaxValue 0.001. Exchange them.",
        ),
        (
            ranges("ContinuousParameterRanges", &range("0.1", "0.1")),
            "ValidationException",
            "Make it a static hyperparameter, or widen the range.",
        ),
        (
            ranges("IntegerParameterRanges", &range("3", "3")),
            "ValidationException",
            "Make it a static hyperparameter, or widen the range.",
        ),
        (
            ranges("CategoricalParameterRanges", &json!({"Name": "x", "Values": ["\"32\"", "\"32\""]})),
            "ValidationException",
            "The categorical values of x hold \"32\" more than once.",
        ),
        (
            ranges("CategoricalParameterRanges", &json!({"Name": "x", "Values": ["1"]})),
            "ValidationException",
            "You don't have enough combinations of hyperparameter ranges.",
        ),
        (
            change(
                "/WarmStartConfig",
                json!({"ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "no"}], "WarmStartType": "TransferLearning"}),
            ),
            "ValidationException",
            "called no",
        ),
    ] {
        let fault = region.call("CreateHyperParameterTuningJob", request).await.expect_err("is refused");
        assert_eq!(fault.code, code, "{}", fault.message);
        assert!(fault.message.contains(part), "{}", fault.message);
    }
    let answer = region.call("ListHyperParameterTuningJobs", json!({})).await.expect("lists");
    assert_eq!(answer["HyperParameterTuningJobSummaries"].as_array().expect("a list").len(), 1);
    let unknown = json!({"HyperParameterTuningJobName": "no"});
    for operation in
        ["DescribeHyperParameterTuningJob", "StopHyperParameterTuningJob", "ListTrainingJobsForHyperParameterTuningJob"]
    {
        assert_eq!(region.call(operation, unknown.clone()).await.expect_err("is unknown").code, "ResourceNotFound");
    }
}
