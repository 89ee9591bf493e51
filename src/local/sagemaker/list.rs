//! `ListTrainingJobs`: filters, orders, pages.

use serde_json::{Value, json};

use super::document::millis;
use super::page;
use super::store::{Document, Query, Sort, Store, text};
use crate::local::fault::Fault;

/// Answers a listing. Without `SortBy` and `SortOrder` it is by creation time, oldest first (API reference).
///
/// # Errors
/// A token that is not ours, or a store that cannot be read.
pub fn list(store: &Store, request: &Document) -> Result<Value, Fault> {
    let limit = page::limit(request);
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
        answer["NextToken"] = json!(page::token(&place(&query, last)));
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
        after: page::after(request)?,
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
    page::summary(job, &members).into()
}

/// Where a job stands: its sort key and name.
fn place(query: &Query, job: &Document) -> (Value, String) {
    let key = match query.sort {
        Sort::CreationTime => json!(millis(job.get("CreationTime"))),
        Sort::Name => json!(text(job, "TrainingJobName")),
        Sort::Status => json!(text(job, "TrainingJobStatus")),
    };
    (key, text(job, "TrainingJobName").to_owned())
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
