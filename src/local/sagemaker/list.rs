//! `ListTrainingJobs`: filters, orders, pages.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::document::millis;
use super::store::{Document, Query, Sort, Store, text};
use crate::local::fault::Fault;

/// `MaxResults` when it is not sent (API reference).
const DEFAULT_RESULTS: u64 = 10;

/// Answers a listing. Without `SortBy` and `SortOrder` it is by creation time, oldest first (API reference).
///
/// # Errors
/// A token that is not ours, or a store that cannot be read.
pub fn list(store: &Store, request: &Document) -> Result<Value, Fault> {
    let limit = request.get("MaxResults").and_then(Value::as_u64).unwrap_or(DEFAULT_RESULTS);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(100);
    let mut query = query(request)?;
    // One more tells whether there is a next page.
    query.limit = limit + 1;
    // Warm pools and training plans do not exist here: no job has one.
    let none = request.contains_key("WarmPoolStatusEquals") || request.contains_key("TrainingPlanArnEquals");
    let mut jobs = if none { Vec::new() } else { store.list(&query)? };
    let more = jobs.len() > limit;
    jobs.truncate(limit);
    let mut answer = json!({"TrainingJobSummaries": jobs.iter().map(summary).collect::<Vec<_>>()});
    if let Some(last) = jobs.last().filter(|_| more) {
        answer["NextToken"] = json!(token(&query, last));
    }
    Ok(answer)
}

fn query(request: &Document) -> Result<Query, Fault> {
    let owned = |member: &str| request.get(member).and_then(Value::as_str).map(str::to_owned);
    let time = |member: &str| millis(request.get(member));
    let sort = match text(request, "SortBy") {
        "Name" => Sort::Name,
        "Status" => Sort::Status,
        _ => Sort::CreationTime,
    };
    Ok(Query {
        name_contains: owned("NameContains"),
        status: owned("StatusEquals"),
        created: (time("CreationTimeAfter"), time("CreationTimeBefore")),
        modified: (time("LastModifiedTimeAfter"), time("LastModifiedTimeBefore")),
        sort,
        descending: text(request, "SortOrder") == "Descending",
        after: owned("NextToken").map(|token| read_token(&token)).transpose()?,
        limit: 0,
    })
}

fn summary(job: &Document) -> Value {
    let members = [
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingEndTime",
        "LastModifiedTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    ];
    members.into_iter().filter_map(|member| Some((member.to_owned(), job.get(member)?.clone()))).collect::<Document>().into()
}

/// Where a page ended: a job that is created or removed meanwhile neither repeats nor hides another.
fn token(query: &Query, last: &Document) -> String {
    let key = match query.sort {
        Sort::CreationTime => json!(millis(last.get("CreationTime"))),
        Sort::Name => json!(text(last, "TrainingJobName")),
        Sort::Status => json!(text(last, "TrainingJobStatus")),
    };
    URL_SAFE_NO_PAD.encode(json!([key, text(last, "TrainingJobName")]).to_string())
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

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("s.sqlite")).expect("opens");
        for number in 0..25 {
            let status = if number % 2 == 0 { "Completed" } else { "Failed" };
            // Pairs share a creation time: pages must not split on the time alone.
            let document = json!({
                "TrainingJobName": format!("job-{number:02}"),
                "TrainingJobArn": super::super::create::arn("x"),
                "CreationTime": 1000 + number / 2,
                "LastModifiedTime": 2000 + number,
                "TrainingJobStatus": status,
                "SecondaryStatus": status,
            });
            assert!(store.insert(document.as_object().expect("an object"), &[]).expect("writes"));
        }
        (folder, store)
    }

    fn names(store: &Store, request: &Value) -> Vec<String> {
        let mut request = request.as_object().expect("an object").clone();
        let mut names = Vec::new();
        loop {
            let answer = list(store, &request).expect("lists");
            super::super::shapes::check_answer("ListTrainingJobs", &answer).expect("is valid");
            for job in answer["TrainingJobSummaries"].as_array().expect("a list") {
                names.push(job["TrainingJobName"].as_str().expect("a name").to_owned());
            }
            let Some(token) = answer.get("NextToken") else { return names };
            request.insert("NextToken".to_owned(), token.clone());
        }
    }

    #[test]
    fn pages_give_each_job_once_in_every_order() {
        let (_folder, store) = store();
        let all: Vec<String> = (0..25).map(|number| format!("job-{number:02}")).collect();
        assert_eq!(names(&store, &json!({})), all);
        assert_eq!(names(&store, &json!({"MaxResults": 7, "SortBy": "Name"})), all);
        let reversed: Vec<String> = all.iter().rev().cloned().collect();
        assert_eq!(names(&store, &json!({"MaxResults": 3, "SortOrder": "Descending"})), reversed);
        let by_status = names(&store, &json!({"MaxResults": 4, "SortBy": "Status"}));
        assert_eq!((by_status.len(), by_status[0].as_str(), by_status[24].as_str()), (25, "job-00", "job-23"));
    }

    #[test]
    fn filters_narrow() {
        let (_folder, store) = store();
        assert_eq!(
            names(&store, &json!({"NameContains": "b-1", "StatusEquals": "Failed"})),
            ["job-11", "job-13", "job-15", "job-17", "job-19"]
        );
        assert_eq!(names(&store, &json!({"CreationTimeAfter": 1011, "CreationTimeBefore": 1011.5})), ["job-22", "job-23"]);
        assert_eq!(names(&store, &json!({"LastModifiedTimeAfter": 2024})), ["job-24"]);
        assert!(names(&store, &json!({"NameContains": "%"})).is_empty());
    }

    #[test]
    fn a_foreign_token_is_refused() {
        let (_folder, store) = store();
        let request = json!({"NextToken": "!"});
        assert!(list(&store, request.as_object().expect("an object")).expect_err("is refused").message.contains("NextToken"));
    }
}
