//! A training job's document: exactly what `DescribeTrainingJob` answers, from its creation to its end.

use serde_json::{Map, Value, json};

use super::store::{Document, text};
use crate::local::engine::S3Place;
use crate::local::engine::checkpoints::DEFAULT_PATH;

/// How a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    Completed,
    /// With its `FailureReason`.
    Failed(String),
    Stopped,
    /// `MaxRuntimeInSeconds` was over; such a job counts as stopped.
    MaxRuntimeExceeded,
    /// `MaxWaitTimeInSeconds` of managed spot training was over.
    MaxWaitTimeExceeded,
}

/// The longest `FailureReason` of the model, in UTF-16 units.
const LONGEST_REASON: usize = 1024;
/// `StoppingCondition`'s default: a day (API reference).
const DEFAULT_RUNTIME: u64 = 86_400;

/// What managed spot training costs, in percent of the ordinary price. assumed: "up to 90 %" less is promised; about 70 % less
/// is what examples show.
const SPOT_PERCENT: u64 = 30;

/// Members of the request that the answer shows as they were sent.
const ECHOED: [&str; 20] = [
    // Put in by the service itself: no request can hold it.
    "TuningJobArn",
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "CheckpointConfig",
    "StoppingCondition",
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ExperimentConfig",
    "ProfilerConfig",
    "ProfilerRuleConfigurations",
    "Environment",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
];

/// The document of a new job, from an accepted request. `now` is in epoch milliseconds.
#[must_use]
pub fn new(request: &Document, arn: &str, output: &S3Place, now: i64) -> Document {
    let mut document = Map::new();
    document.insert("TrainingJobName".to_owned(), request["TrainingJobName"].clone());
    document.insert("TrainingJobArn".to_owned(), json!(arn));
    // A required member of the answer from the first moment on: the path where the model will be.
    document.insert("ModelArtifacts".to_owned(), json!({"S3ModelArtifacts": output.join("output/model.tar.gz").to_string()}));
    document.insert("TrainingJobStatus".to_owned(), json!("InProgress"));
    for member in ECHOED {
        if let Some(value) = request.get(member) {
            document.insert(member.to_owned(), value.clone());
        }
    }
    for member in ["EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"] {
        document.insert(member.to_owned(), request.get(member).cloned().unwrap_or(json!(false)));
    }
    fill_defaults(&mut document);
    document.insert("CreationTime".to_owned(), seconds(now));
    document.insert("SecondaryStatusTransitions".to_owned(), json!([]));
    move_on(&mut document, "Starting", "Launching requested ML instances", now);
    document
}

/// What AWS shows although it was not sent.
fn fill_defaults(document: &mut Document) {
    // The Python SDK's attach() fails without this member; "" is what the service answers when no key was given.
    default(&mut document["OutputDataConfig"], "KmsKeyId", json!(""));
    default(&mut document["OutputDataConfig"], "CompressionType", json!("GZIP"));
    default(&mut document["AlgorithmSpecification"], "EnableSageMakerMetricsTimeSeries", json!(false));
    if let Some(checkpoints) = document.get_mut("CheckpointConfig") {
        // assumed: the documented default is shown.
        default(checkpoints, "LocalPath", json!(DEFAULT_PATH));
    }
    default(document.entry("StoppingCondition").or_insert(json!({})), "MaxRuntimeInSeconds", json!(DEFAULT_RUNTIME));
    for channel in document.get_mut("InputDataConfig").and_then(Value::as_array_mut).into_iter().flatten() {
        default(channel, "CompressionType", json!("None"));
        default(channel, "RecordWrapperType", json!("None"));
        if let Some(source) = channel.pointer_mut("/DataSource/S3DataSource") {
            default(source, "S3DataDistributionType", json!("FullyReplicated"));
        }
    }
    if let Some(profiler) = document.get("ProfilerConfig") {
        let disabled = profiler["DisableProfiler"].as_bool().unwrap_or(false);
        document.insert("ProfilingStatus".to_owned(), json!(if disabled { "Disabled" } else { "Enabled" }));
    }
    for (rules, statuses) in [
        ("DebugRuleConfigurations", "DebugRuleEvaluationStatuses"),
        ("ProfilerRuleConfigurations", "ProfilerRuleEvaluationStatuses"),
    ] {
        if let Some(rules) = document.get(rules).and_then(Value::as_array) {
            let answers: Vec<Value> = rules
                .iter()
                .map(|rule| {
                    json!({
                        "RuleConfigurationName": rule["RuleConfigurationName"],
                        "RuleEvaluationStatus": "Error",
                        "StatusDetails": "The local region does not run the containers of rules.",
                    })
                })
                .collect();
            document.insert(statuses.to_owned(), json!(answers));
        }
    }
}

fn default(structure: &mut Value, member: &str, value: Value) {
    if let Some(members) = structure.as_object_mut() {
        members.entry(member).or_insert(value);
    }
}

/// Ends the current phase and begins the next one.
pub fn move_on(document: &mut Document, status: &str, message: &str, now: i64) {
    if let Some(transitions) = document.get_mut("SecondaryStatusTransitions").and_then(Value::as_array_mut) {
        if let Some(current) = transitions.last_mut() {
            default(current, "EndTime", seconds(now));
        }
        transitions.push(json!({"Status": status, "StartTime": seconds(now), "StatusMessage": message}));
    }
    document.insert("SecondaryStatus".to_owned(), json!(status));
    document.insert("LastModifiedTime".to_owned(), seconds(now));
}

/// Changes the message of the current phase.
pub fn say(document: &mut Document, message: &str, now: i64) {
    if let Some(current) = document.get_mut("SecondaryStatusTransitions").and_then(|list| list.as_array_mut()?.last_mut()) {
        current["StatusMessage"] = json!(message);
    }
    document.insert("LastModifiedTime".to_owned(), seconds(now));
}

/// Ends a job: status, times, and the reason of a failure. The messages are AWS's.
pub fn finish(document: &mut Document, ending: &Ending, now: i64) {
    let stopping = text(document, "TrainingJobStatus") == "Stopping";
    let (status, secondary, message) = match ending {
        // Stopped in the moment in which its script ended anyway: the last word is the user's.
        Ending::Completed if stopping => ("Stopped", "Stopped", "Training job stopped"),
        Ending::Completed => ("Completed", "Completed", "Training job completed"),
        Ending::Stopped => ("Stopped", "Stopped", "Training job stopped"),
        Ending::MaxRuntimeExceeded => {
            ("Stopped", "MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds provided")
        }
        Ending::MaxWaitTimeExceeded => {
            ("Stopped", "MaxWaitTimeExceeded", "Training job runtime exceeded MaxWaitTimeInSeconds provided")
        }
        Ending::Failed(_) => ("Failed", "Failed", "Training job failed"),
    };
    if let Ending::Failed(reason) = ending {
        document.insert("FailureReason".to_owned(), json!(shorten(reason)));
    }
    document.insert("TrainingJobStatus".to_owned(), json!(status));
    move_on(document, secondary, message, now);
    if let Some(last) = document.get_mut("SecondaryStatusTransitions").and_then(|list| list.as_array_mut()?.last_mut()) {
        default(last, "EndTime", seconds(now));
    }
    document.insert("TrainingEndTime".to_owned(), seconds(now));
    if let Some(start) = millis(document.get("TrainingStartTime")) {
        // Whole seconds for each instance, begun ones counted: who pays multiplies with the number of instances.
        let elapsed = u64::try_from(now - start).unwrap_or_default().div_ceil(1000).max(1);
        document.insert("TrainingTimeInSeconds".to_owned(), json!(elapsed));
        document.insert("BillableTimeInSeconds".to_owned(), json!(billable(document, elapsed)));
    }
}

/// The seconds that are paid. With managed spot training they are fewer: clients show the saving as
/// `1 - BillableTimeInSeconds / TrainingTimeInSeconds` (developer guide, "Managed Spot Training").
fn billable(document: &Document, elapsed: u64) -> u64 {
    let spot = document.get("EnableManagedSpotTraining").and_then(Value::as_bool).unwrap_or(false);
    if spot { (elapsed * SPOT_PERCENT).div_ceil(100) } else { elapsed }
}

/// Puts the last value of each metric in: AWS keeps 32-bit floats.
pub fn set_metrics<'a>(document: &mut Document, values: impl Iterator<Item = (&'a String, &'a (f64, i64))>) {
    let list: Vec<Value> = values
        .map(|(name, (value, millis))| {
            #[expect(clippy::cast_possible_truncation, reason = "the model's type is a 32-bit float")]
            let value = f64::from(*value as f32);
            json!({"MetricName": name, "Value": value, "Timestamp": seconds(*millis)})
        })
        .collect();
    if !list.is_empty() {
        document.insert("FinalMetricDataList".to_owned(), json!(list));
    }
}

/// Whether a job has ended.
#[must_use]
pub fn ended(document: &Document) -> bool {
    matches!(text(document, "TrainingJobStatus"), "Completed" | "Failed" | "Stopped")
}

/// A timestamp as the API has it: epoch seconds with milliseconds.
#[must_use]
pub fn seconds(millis: i64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "exact until the year 287396")]
    let seconds = millis as f64 / 1000.0;
    json!(seconds)
}

/// Back from a timestamp.
#[must_use]
pub fn millis(timestamp: Option<&Value>) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    timestamp?.as_f64().map(|seconds| (seconds * 1000.0).round() as i64)
}

fn shorten(reason: &str) -> String {
    let mut units = 0;
    reason
        .chars()
        .take_while(|character| {
            units += character.len_utf16();
            units <= LONGEST_REASON
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Document {
        let request = json!({
            "TrainingJobName": "a",
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "s3://b/"},
            "InputDataConfig": [{"ChannelName": "training", "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b"}}}],
            "ProfilerConfig": {"S3OutputPath": "s3://b", "DisableProfiler": false},
            "ProfilerRuleConfigurations": [{"RuleConfigurationName": "r", "RuleEvaluatorImage": "i"}],
        });
        let place = S3Place { bucket: "b".to_owned(), key: "a".to_owned() };
        new(request.as_object().expect("an object"), "arn:aws:sagemaker:us-east-1:000000000000:training-job/a", &place, 1_000)
    }

    #[test]
    fn each_state_is_valid_in_the_model() {
        let mut document = job();
        let check = |document: &Document| {
            let answer = Value::Object(document.clone());
            super::super::shapes::check_answer("DescribeTrainingJob", &answer).expect("is valid");
        };
        check(&document);
        move_on(&mut document, "Downloading", "Downloading input data", 2_500);
        document.insert("TrainingStartTime".to_owned(), seconds(2_500));
        set_metrics(&mut document, [("loss".to_owned(), (0.1, 3_000))].iter().map(|(name, value)| (name, value)));
        finish(&mut document, &Ending::Failed("ä".repeat(2000)), 4_600);
        check(&document);
        assert_eq!(document["TrainingTimeInSeconds"], json!(3));
        assert_eq!(document["FinalMetricDataList"][0]["Value"], json!(0.100_000_001_490_116_12));
        let transitions = document["SecondaryStatusTransitions"].as_array().expect("a list");
        assert_eq!(transitions[0]["EndTime"], transitions[1]["StartTime"]);
        assert!(transitions.iter().all(|transition| transition["EndTime"].is_number()));
    }

    #[test]
    fn what_the_python_sdk_reads_is_there() {
        let document = job();
        assert_eq!(document["OutputDataConfig"]["KmsKeyId"], json!(""));
        assert_eq!(document["StoppingCondition"]["MaxRuntimeInSeconds"], json!(86_400));
        assert_eq!(document["ModelArtifacts"]["S3ModelArtifacts"], json!("s3://b/a/output/model.tar.gz"));
        assert_eq!(document["CreationTime"], json!(1.0));
    }

    #[test]
    fn spot_is_billed_for_less_than_it_took() {
        for (spot, billable) in [(false, 100), (true, 30)] {
            let mut document = job();
            document.insert("EnableManagedSpotTraining".to_owned(), json!(spot));
            document.insert("TrainingStartTime".to_owned(), seconds(0));
            finish(&mut document, &Ending::Completed, 100_000);
            assert_eq!((&document["TrainingTimeInSeconds"], &document["BillableTimeInSeconds"]), (&json!(100), &json!(billable)));
        }
    }

    #[test]
    fn a_stop_that_came_last_wins_over_a_script_that_ended() {
        let mut document = job();
        document.insert("TrainingJobStatus".to_owned(), json!("Stopping"));
        finish(&mut document, &Ending::Completed, 2_000);
        assert_eq!(text(&document, "TrainingJobStatus"), "Stopped");
        assert!(ended(&document));
    }
}
