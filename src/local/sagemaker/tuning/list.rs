//! `ListHyperParameterTuningJobs` and `ListTrainingJobsForHyperParameterTuningJob`: filters, orders, pages.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::page::{self, between, page};
use super::super::store::{Document, text};
use super::document::objective;
use crate::local::fault::Fault;

/// What an entry is sorted by, numbers as numbers; equal ones by name.
#[derive(Serialize, Deserialize)]
struct Key(Value, String);

/// Answers `ListHyperParameterTuningJobs`. Without `SortBy` and `SortOrder` it is by name, ascending (API reference).
///
/// # Errors
/// A token that is not ours.
pub fn tuning_jobs(jobs: &[Document], request: &Document) -> Result<Value, Fault> {
    let entries = jobs.iter().filter(|job| wanted(job, request)).map(|job| {
        let name = text(job, "HyperParameterTuningJobName");
        let key = match text(request, "SortBy") {
            "Status" => job["HyperParameterTuningJobStatus"].clone(),
            "CreationTime" => job["CreationTime"].clone(),
            _ => json!(name),
        };
        (Key(key, name.to_owned()), tuning_summary(job))
    });
    page(entries.collect(), descending(request), "HyperParameterTuningJobSummaries", request)
}

/// Answers `ListTrainingJobsForHyperParameterTuningJob`. Sorted by the objective, those without one are left out (API
/// reference).
///
/// # Errors
/// A token that is not ours.
pub fn training_jobs(summaries: Vec<Document>, request: &Document) -> Result<Value, Fault> {
    let status = text(request, "StatusEquals");
    let summaries = summaries.into_iter().filter(|summary| status.is_empty() || text(summary, "TrainingJobStatus") == status);
    let entries = summaries.filter_map(|summary| {
        let name = text(&summary, "TrainingJobName").to_owned();
        let key = match text(request, "SortBy") {
            "Status" => summary["TrainingJobStatus"].clone(),
            "CreationTime" => summary["CreationTime"].clone(),
            "FinalObjectiveMetricValue" => json!(objective(&summary)?),
            _ => json!(name),
        };
        Some((Key(key, name), Value::Object(summary)))
    });
    page(entries.collect(), descending(request), "TrainingJobSummaries", request)
}

fn wanted(job: &Document, request: &Document) -> bool {
    let status = text(request, "StatusEquals");
    text(job, "HyperParameterTuningJobName").contains(text(request, "NameContains"))
        && (status.is_empty() || text(job, "HyperParameterTuningJobStatus") == status)
        && between(job, "CreationTime", request)
        && between(job, "LastModifiedTime", request)
}

fn tuning_summary(job: &Document) -> Value {
    let members = [
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
        "HyperParameterTuningJobStatus",
        "CreationTime",
        "HyperParameterTuningEndTime",
        "LastModifiedTime",
        "TrainingJobStatusCounters",
        "ObjectiveStatusCounters",
    ];
    let mut summary = page::summary(job, &members);
    let config = &job["HyperParameterTuningJobConfig"];
    summary.insert("Strategy".to_owned(), config["Strategy"].clone());
    summary.insert("ResourceLimits".to_owned(), config["ResourceLimits"].clone());
    summary.into()
}

fn descending(request: &Document) -> bool {
    text(request, "SortOrder") == "Descending"
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = match (self.0.as_f64(), other.0.as_f64()) {
            (Some(one), Some(other)) => one.total_cmp(&other),
            _ => self.0.as_str().cmp(&other.0.as_str()),
        };
        order.then_with(|| self.1.cmp(&other.1))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::sagemaker::shapes::check_answer;

    fn pages(request: &Value, answer: impl Fn(&Document) -> Value, operation: &str, list: &str, name: &str) -> Vec<String> {
        let mut request = request.as_object().expect("an object").clone();
        let mut names = Vec::new();
        loop {
            let answer = answer(&request);
            check_answer(operation, &answer).expect("is valid");
            names.extend(
                answer[list].as_array().expect("a list").iter().map(|entry| entry[name].as_str().expect("a name").to_owned()),
            );
            let Some(token) = answer.get("NextToken") else { return names };
            request.insert("NextToken".to_owned(), token.clone());
        }
    }

    fn trials(request: &Value) -> Vec<String> {
        let summaries = (0..12).map(|number| {
            let status = if number == 3 { "Failed" } else { "Completed" };
            let mut summary = json!({
                "TrainingJobName": format!("t-{number:03}-00000000"),
                "TrainingJobArn": format!("arn:aws:sagemaker:us-east-1:000000000000:training-job/t-{number:03}-00000000"),
                "CreationTime": 100.0 - f64::from(number / 2),
                "TrainingJobStatus": status,
                "TunedHyperParameters": {},
            });
            if number != 3 {
                // 0.0, 1.0, 2.0, then 10.0 before 9.0 as text: numbers have to be sorted as numbers.
                summary["FinalHyperParameterTuningJobObjectiveMetric"] =
                    json!({"MetricName": "loss", "Value": f64::from(11 - number)});
            }
            summary.as_object().expect("an object").clone()
        });
        let summaries: Vec<Document> = summaries.collect();
        let answer = |request: &Document| training_jobs(summaries.clone(), request).expect("lists");
        pages(request, answer, "ListTrainingJobsForHyperParameterTuningJob", "TrainingJobSummaries", "TrainingJobName")
    }

    fn number(names: &[String]) -> Vec<u32> {
        names.iter().map(|name| name[2..5].parse().expect("a number")).collect()
    }

    #[test]
    fn training_jobs_are_sorted_paged_and_narrowed() {
        assert_eq!(number(&trials(&json!({"MaxResults": 5}))), (0..12).collect::<Vec<_>>());
        let by_value = number(&trials(&json!({"MaxResults": 2, "SortBy": "FinalObjectiveMetricValue"})));
        assert_eq!(by_value, [11, 10, 9, 8, 7, 6, 5, 4, 2, 1, 0], "best first, and the one without an objective is left out");
        let descending = json!({"SortBy": "FinalObjectiveMetricValue", "SortOrder": "Descending", "MaxResults": 3});
        assert_eq!(number(&trials(&descending)), [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(number(&trials(&json!({"SortBy": "CreationTime", "MaxResults": 5})))[..4], [10, 11, 8, 9]);
        assert_eq!(number(&trials(&json!({"SortBy": "Status", "SortOrder": "Descending", "MaxResults": 1})))[0], 3);
        assert_eq!(number(&trials(&json!({"StatusEquals": "Failed"}))), [3]);
    }

    #[test]
    fn tuning_jobs_are_sorted_paged_and_narrowed() {
        let jobs: Vec<Document> = (0..25)
            .map(|number| {
                let job = json!({
                    "HyperParameterTuningJobName": format!("t-{number:02}"),
                    "HyperParameterTuningJobArn": format!("arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/t-{number:02}"),
                    "HyperParameterTuningJobStatus": if number % 2 == 0 { "Completed" } else { "Stopped" },
                    "HyperParameterTuningJobConfig": {"Strategy": "Random", "ResourceLimits": {"MaxParallelTrainingJobs": 1}},
                    "CreationTime": 1000 - number,
                    "LastModifiedTime": 2000 + number,
                    "TrainingJobStatusCounters": {},
                    "ObjectiveStatusCounters": {},
                });
                job.as_object().expect("an object").clone()
            })
            .collect();
        let list = |request: Value| {
            let answer = |request: &Document| tuning_jobs(&jobs, request).expect("lists");
            let names = pages(
                &request,
                answer,
                "ListHyperParameterTuningJobs",
                "HyperParameterTuningJobSummaries",
                "HyperParameterTuningJobName",
            );
            names.iter().map(|name| name[2..].parse().expect("a number")).collect::<Vec<u32>>()
        };
        assert_eq!(list(json!({})), (0..25).collect::<Vec<_>>());
        assert_eq!(list(json!({"SortBy": "CreationTime", "MaxResults": 4})), (0..25).rev().collect::<Vec<_>>());
        assert_eq!(list(json!({"NameContains": "-1", "StatusEquals": "Stopped"})), [11, 13, 15, 17, 19]);
        assert_eq!(list(json!({"CreationTimeAfter": 998, "LastModifiedTimeBefore": 2001})), [0, 1]);
        let request = json!({"NextToken": "!"});
        assert!(
            tuning_jobs(&jobs, request.as_object().expect("an object")).expect_err("is refused").message.contains("NextToken")
        );
    }
}
