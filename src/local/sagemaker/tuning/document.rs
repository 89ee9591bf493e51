//! A tuning job's document, exactly what `DescribeHyperParameterTuningJob` answers, and the summaries of its training jobs.

use serde_json::{Value, json};

use super::super::document::{ended, millis, seconds};
use super::super::store::{Document, text};
use super::check::{OBJECTIVE, arn, resources};
use super::verdict::End;

/// The document of a new tuning job, from a checked request. `now` is in epoch milliseconds.
#[must_use]
pub fn new(request: &Document, metric: &str, now: i64) -> Document {
    let name = text(request, "HyperParameterTuningJobName");
    let mut document = Document::new();
    let mut put = |member: &str, value: Value| document.insert(member.to_owned(), value);
    put("HyperParameterTuningJobName", json!(name));
    put("HyperParameterTuningJobArn", json!(arn(name)));
    put("HyperParameterTuningJobConfig", config(&request["HyperParameterTuningJobConfig"]));
    put("TrainingJobDefinition", definition(&request["TrainingJobDefinition"], metric));
    put("HyperParameterTuningJobStatus", json!("InProgress"));
    put("CreationTime", seconds(now));
    put("LastModifiedTime", seconds(now));
    if let Some(warm) = request.get("WarmStartConfig") {
        put("WarmStartConfig", warm.clone());
    }
    refresh(&mut document, &[], None, now);
    document
}

/// Puts counters and best training jobs in. `overall` is the best one of a warm start's parents.
pub fn refresh(document: &mut Document, summaries: &[&Document], overall: Option<&Document>, now: i64) {
    let count =
        |member: &str, wanted: &[&str]| summaries.iter().filter(|summary| wanted.contains(&text(summary, member))).count();
    let jobs = |wanted: &[&str]| count("TrainingJobStatus", wanted);
    let objectives = |wanted: &str| count("ObjectiveStatus", &[wanted]);
    let counters = json!({
        "Completed": jobs(&["Completed"]),
        "InProgress": jobs(&["InProgress", "Stopping"]),
        "RetryableError": 0,
        "NonRetryableError": jobs(&["Failed"]),
        "Stopped": jobs(&["Stopped"]),
    });
    let by_objective = json!({
        "Succeeded": objectives("Succeeded"),
        "Pending": objectives("Pending"),
        "Failed": objectives("Failed"),
    });
    document.insert("TrainingJobStatusCounters".to_owned(), counters);
    document.insert("ObjectiveStatusCounters".to_owned(), by_objective);
    let maximize = maximizes(document);
    let name = text(document, "HyperParameterTuningJobName").to_owned();
    if let Some(best) = best(summaries.iter().copied(), maximize) {
        document.insert("BestTrainingJob".to_owned(), json!(best));
    }
    if let Some(overall) = overall {
        let mut own = best(summaries.iter().copied(), maximize).cloned();
        if let Some(own) = &mut own {
            own.insert("TuningJobName".to_owned(), json!(name));
        }
        let best = best([Some(overall), own.as_ref()].into_iter().flatten(), maximize);
        document.insert("OverallBestTrainingJob".to_owned(), json!(best));
    }
    let consumed: i64 = summaries
        .iter()
        .filter_map(|summary| Some(millis(summary.get("TrainingEndTime"))? - millis(summary.get("TrainingStartTime"))?))
        .sum();
    document.insert("ConsumedResources".to_owned(), json!({"RuntimeInSeconds": (consumed + 999) / 1000}));
    document.insert("LastModifiedTime".to_owned(), seconds(now));
}

/// Ends a tuning job.
pub fn finish(document: &mut Document, end: &End, not_improving: usize, now: i64) {
    let stopping = text(document, "HyperParameterTuningJobStatus") == "Stopping";
    let status = match end {
        End::Failed(_) => "Failed",
        // Stopped in the moment in which it was done anyway: the last word is the user's.
        End::Completed if !stopping => "Completed",
        End::Completed | End::Stopped => "Stopped",
    };
    if let End::Failed(reason) = end {
        document.insert("FailureReason".to_owned(), json!(reason.chars().take(500).collect::<String>()));
    }
    document.insert("HyperParameterTuningJobStatus".to_owned(), json!(status));
    let details = json!({"NumberOfTrainingJobsObjectiveNotImproving": not_improving});
    document.insert("TuningJobCompletionDetails".to_owned(), details);
    document.insert("HyperParameterTuningEndTime".to_owned(), seconds(now));
    document.insert("LastModifiedTime".to_owned(), seconds(now));
}

/// The summary of a training job, as `ListTrainingJobsForHyperParameterTuningJob` shows it.
#[must_use]
pub fn summary(job: &Document, tuned: &Value, metric: &str) -> Document {
    let mut summary = Document::new();
    for member in [
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingStartTime",
        "TrainingEndTime",
        "TrainingJobStatus",
        "FailureReason",
    ] {
        if let Some(value) = job.get(member) {
            summary.insert(member.to_owned(), value.clone());
        }
    }
    summary.insert("TunedHyperParameters".to_owned(), tuned.clone());
    let metrics = job.get("FinalMetricDataList").and_then(Value::as_array).into_iter().flatten();
    let last = metrics.filter(|entry| entry["MetricName"] == json!(metric)).find_map(|entry| entry["Value"].as_f64());
    let status = match last {
        _ if !ended(job) => "Pending",
        Some(value) if text(job, "TrainingJobStatus") != "Failed" => {
            let last = json!({"MetricName": metric, "Value": value});
            summary.insert("FinalHyperParameterTuningJobObjectiveMetric".to_owned(), last);
            "Succeeded"
        }
        _ => "Failed",
    };
    summary.insert("ObjectiveStatus".to_owned(), json!(status));
    summary
}

/// The final value of the objective in a summary.
#[must_use]
pub fn objective(summary: &Document) -> Option<f64> {
    summary.get("FinalHyperParameterTuningJobObjectiveMetric")?["Value"].as_f64()
}

/// The summary with the best objective; of equal ones the first.
#[must_use]
pub fn best<'a>(summaries: impl Iterator<Item = &'a Document>, maximize: bool) -> Option<&'a Document> {
    let rated = summaries.filter_map(|summary| Some((objective(summary)?, summary)));
    rated
        .reduce(|best, next| {
            let better = if maximize { next.0 > best.0 } else { next.0 < best.0 };
            if better { next } else { best }
        })
        .map(|(_, summary)| summary)
}

/// Whether a tuning job's objective is maximised.
#[must_use]
pub fn maximizes(document: &Document) -> bool {
    document["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["Type"] == json!("Maximize")
}

/// Whether a tuning job has ended.
#[must_use]
pub fn over(document: &Document) -> bool {
    matches!(text(document, "HyperParameterTuningJobStatus"), "Completed" | "Failed" | "Stopped")
}

/// The Python SDK's `attach()` fails when one of the three lists of ranges is missing, even an empty one.
fn config(sent: &Value) -> Value {
    let mut config = sent.clone();
    default(&mut config, "TrainingJobEarlyStoppingType", json!("Off"));
    for list in ["IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges"] {
        default(&mut config["ParameterRanges"], list, json!([]));
        if list == "CategoricalParameterRanges" {
            continue;
        }
        for range in config["ParameterRanges"][list].as_array_mut().into_iter().flatten() {
            default(range, "ScalingType", json!("Auto"));
        }
    }
    config
}

/// As sent, with what the service adds: the objective among the static hyperparameters, and the resources under both names,
/// as the Python SDK sends one of them and reads the other. assumed: both; what AWS answers here was not seen.
fn definition(sent: &Value, metric: &str) -> Value {
    let mut definition = sent.clone();
    let resources = resources(sent);
    default(&mut definition, "StaticHyperParameters", json!({}));
    definition["StaticHyperParameters"][OBJECTIVE] = json!(metric);
    default(&mut definition, "ResourceConfig", resources.clone());
    default(&mut definition, "HyperParameterTuningResourceConfig", resources);
    default(&mut definition["OutputDataConfig"], "KmsKeyId", json!(""));
    for member in ["EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"] {
        default(&mut definition, member, json!(false));
    }
    definition
}

fn default(structure: &mut Value, member: &str, value: Value) {
    if let Some(members) = structure.as_object_mut() {
        members.entry(member).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::sagemaker::shapes::check_answer;
    use crate::local::sagemaker::tuning::check::tests::request;

    fn job(number: u32, status: &str, loss: Option<f64>) -> Document {
        let mut job = json!({
            "TrainingJobName": format!("t-{number:03}-0123abcd"),
            "TrainingJobArn": format!("arn:aws:sagemaker:us-east-1:000000000000:training-job/t-{number:03}-0123abcd"),
            "CreationTime": 1.0,
            "TrainingJobStatus": status,
            "TrainingStartTime": 2.0,
        });
        if let Some(loss) = loss {
            job["FinalMetricDataList"] =
                json!([{"MetricName": "other", "Value": 9.0}, {"MetricName": "Test Loss", "Value": loss}]);
        }
        if status != "InProgress" {
            job["TrainingEndTime"] = json!(3.5);
        }
        summary(job.as_object().expect("an object"), &json!({"batch": "\"32\""}), "Test Loss")
    }

    #[test]
    fn each_state_is_valid_in_the_model_and_counts() {
        let mut document = new(&request(), "Test Loss", 1_000);
        let check = |document: &Document| {
            check_answer("DescribeHyperParameterTuningJob", &json!(document)).expect("is valid");
        };
        check(&document);
        let summaries = [
            job(1, "Completed", Some(0.5)),
            job(2, "Stopped", Some(0.25)),
            job(3, "Failed", Some(0.1)),
            job(4, "InProgress", None),
        ];
        refresh(&mut document, &summaries.iter().collect::<Vec<_>>(), Some(&job(9, "Completed", Some(0.3))), 2_000);
        check(&document);
        assert_eq!(
            document["TrainingJobStatusCounters"],
            json!({"Completed": 1, "InProgress": 1, "RetryableError": 0, "NonRetryableError": 1, "Stopped": 1})
        );
        assert_eq!(document["ObjectiveStatusCounters"], json!({"Succeeded": 2, "Pending": 1, "Failed": 1}));
        assert_eq!(document["BestTrainingJob"]["TrainingJobName"], json!("t-002-0123abcd"));
        assert_eq!(document["OverallBestTrainingJob"]["TuningJobName"], json!("t"));
        assert_eq!(document["ConsumedResources"]["RuntimeInSeconds"], json!(5));
        finish(&mut document, &End::Failed("x".repeat(2000)), 1, 3_000);
        check(&document);
        assert!(over(&document));
    }

    #[test]
    fn what_the_python_sdk_attaches_by_is_there() {
        let document = new(&request(), "Test Loss", 0);
        let definition = &document["TrainingJobDefinition"];
        assert_eq!(definition["StaticHyperParameters"][OBJECTIVE], json!("Test Loss"));
        assert_eq!(definition["ResourceConfig"], definition["HyperParameterTuningResourceConfig"]);
        assert_eq!(definition["OutputDataConfig"]["KmsKeyId"], json!(""));
        let mut bare = request();
        bare["HyperParameterTuningJobConfig"]["ParameterRanges"] = json!({});
        let ranges = &new(&bare, "Test Loss", 0)["HyperParameterTuningJobConfig"]["ParameterRanges"];
        assert_eq!(
            *ranges,
            json!({"IntegerParameterRanges": [], "ContinuousParameterRanges": [], "CategoricalParameterRanges": []})
        );
    }

    #[test]
    fn a_stop_that_came_last_wins() {
        let mut document = new(&request(), "Test Loss", 0);
        document.insert("HyperParameterTuningJobStatus".to_owned(), json!("Stopping"));
        finish(&mut document, &End::Completed, 0, 1_000);
        assert_eq!(text(&document, "HyperParameterTuningJobStatus"), "Stopped");
    }
}
