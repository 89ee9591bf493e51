//! `ListHyperParameterTuningJobs` and `ListTrainingJobsForHyperParameterTuningJob`: filters, orders, pages.

use std::cmp::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::super::document::millis;
use super::super::store::{Document, text};
use super::document::objective;
use crate::local::fault::Fault;

/// `MaxResults` when it is not sent (API reference).
const DEFAULT_RESULTS: u64 = 10;

/// An entry of a listing with what it is sorted by: first the key, equal ones by name.
struct Entry {
    key: Value,
    name: String,
    shape: Value,
}

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
        Entry { key, name: name.to_owned(), shape: tuning_summary(job) }
    });
    page(entries.collect(), "HyperParameterTuningJobSummaries", request)
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
        Some(Entry { key, name, shape: Value::Object(summary) })
    });
    page(entries.collect(), "TrainingJobSummaries", request)
}

fn wanted(job: &Document, request: &Document) -> bool {
    let status = text(request, "StatusEquals");
    let time = |member: &str| millis(request.get(member));
    let within = |member: &str, from: &str, to: &str| {
        let at = millis(job.get(member));
        time(from).is_none_or(|from| at >= Some(from)) && time(to).is_none_or(|to| at <= Some(to))
    };
    text(job, "HyperParameterTuningJobName").contains(text(request, "NameContains"))
        && (status.is_empty() || text(job, "HyperParameterTuningJobStatus") == status)
        && within("CreationTime", "CreationTimeAfter", "CreationTimeBefore")
        && within("LastModifiedTime", "LastModifiedTimeAfter", "LastModifiedTimeBefore")
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
    let known = members.into_iter().filter_map(|member| Some((member.to_owned(), job.get(member)?.clone())));
    let mut summary: Document = known.collect();
    let config = &job["HyperParameterTuningJobConfig"];
    summary.insert("Strategy".to_owned(), config["Strategy"].clone());
    summary.insert("ResourceLimits".to_owned(), config["ResourceLimits"].clone());
    summary.into()
}

/// One page. Its token is where it ended, so that an entry that comes or goes meanwhile neither repeats nor hides another.
fn page(mut entries: Vec<Entry>, member: &str, request: &Document) -> Result<Value, Fault> {
    let limit = request.get("MaxResults").and_then(Value::as_u64).unwrap_or(DEFAULT_RESULTS);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(100);
    let descending = text(request, "SortOrder") == "Descending";
    let order = |one: (&Value, &str), other: (&Value, &str)| {
        let order = compare(one.0, other.0).then_with(|| one.1.cmp(other.1));
        if descending { order.reverse() } else { order }
    };
    entries.sort_by(|one, other| order((&one.key, &one.name), (&other.key, &other.name)));
    if let Some(token) = request.get("NextToken").and_then(Value::as_str) {
        let (key, name) = read_token(token)?;
        entries.retain(|entry| order((&entry.key, &entry.name), (&key, &name)) == Ordering::Greater);
    }
    let more = entries.len() > limit;
    entries.truncate(limit);
    let token = entries.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(json!([last.key, last.name]).to_string()));
    let mut answer = Document::new();
    answer.insert(member.to_owned(), entries.into_iter().map(|entry| entry.shape).collect());
    if let Some(token) = token {
        answer.insert("NextToken".to_owned(), json!(token));
    }
    Ok(answer.into())
}

fn compare(one: &Value, other: &Value) -> Ordering {
    match (one.as_f64(), other.as_f64()) {
        (Some(one), Some(other)) => one.total_cmp(&other),
        _ => one.as_str().cmp(&other.as_str()),
    }
}

/// assumed: the text of AWS's refusal.
fn read_token(token: &str) -> Result<(Value, String), Fault> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok();
    let parts: Option<(Value, String)> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    parts.ok_or_else(|| Fault::validation("Invalid NextToken. Send the token of the page before, or none."))
}

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
