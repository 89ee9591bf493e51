//! Listing with economy. `ListTrainingJobs` allows two calls a second in the whole account, so each poll takes the newest
//! page, one more page of history until that is complete, and a few descriptions, newest first; what has ended is described
//! once for ever.

use std::collections::{HashMap, HashSet};

use aws_sdk_sagemaker::operation::list_training_jobs::ListTrainingJobsOutput;
use aws_sdk_sagemaker::types::{SortBy, SortOrder};

use super::describe::{Row, describe_priced};
use crate::aws::{Aws, fault, time};
use crate::model::{Failure, FailureKind, Item, Page};
use crate::resource::turns::{self, Listed};

const MEMO: &str = "training-jobs";
/// Descriptions per poll.
const DESCRIBED: usize = 4;

/// What is known from earlier polls.
#[derive(Default)]
struct Known {
    rows: HashMap<String, Row>,
    /// Where the history goes on; absent before the first page and after the last.
    older: Option<String>,
    complete: bool,
    /// Names that a list has shown; what was only described may be too new for the list to know.
    listed: HashSet<String>,
    /// Rows have gone since the whole was last told.
    lost: bool,
    /// Counts polls, to describe the longest undescribed first.
    poll: u64,
    described: HashMap<String, u64>,
}

/// One poll.
pub(super) async fn list(aws: &Aws, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let newest = ask(aws, None).await?;
    let (items, whole) = aws.memo(MEMO, |known: &mut Known| {
        known.poll += 1;
        let whole = newest.next_token.is_none();
        known.drop_deleted(&newest);
        if whole {
            known.complete = true;
        } else if known.older.is_none() && !known.complete {
            known.older.clone_from(&newest.next_token);
        }
        (known.take(&newest), whole)
    });
    let more = |aws: &Aws| aws.memo(MEMO, |known: &mut Known| !known.complete);
    page(Page { items, whole, more: more(aws) });
    backfill(aws, page).await?;
    for name in aws.memo(MEMO, |known: &mut Known| known.to_describe()) {
        let job = match describe_priced(aws, &name).await {
            Ok(job) => job,
            // Deleted since it was listed.
            Err(failure) if failure.kind == FailureKind::NotFound => {
                forget(aws, &name);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let row = Row::of_description(aws, &job);
        let item = row.item();
        remember(aws, row);
        page(Page { items: vec![item], whole: false, more: more(aws) });
    }
    // Only the whole list tells that a row is gone, and only when all of it is known.
    let all = aws.memo(MEMO, |known: &mut Known| {
        let tell = known.complete && std::mem::take(&mut known.lost);
        tell.then(|| known.rows.values().map(Row::item).collect())
    });
    if let Some(items) = all {
        page(Page { items, whole: true, more: false });
    }
    Ok(())
}

/// Takes a job out that the service does not know any more.
pub(super) fn forget(aws: &Aws, name: &str) {
    aws.memo(MEMO, |known: &mut Known| {
        known.lost |= known.rows.remove(name).is_some();
    });
}

/// Keeps what a description said, for the next poll's rows.
pub(super) fn remember(aws: &Aws, row: Row) {
    aws.memo(MEMO, |known: &mut Known| {
        let poll = known.poll;
        known.described.insert(row.name.clone(), poll);
        known.rows.insert(row.name.clone(), row);
    });
}

/// One page of history. It may be empty and still not be the last; the next poll goes on.
async fn backfill(aws: &Aws, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let Some(token) = aws.memo(MEMO, |known: &mut Known| known.older.clone()) else { return Ok(()) };
    match ask(aws, Some(token.clone())).await {
        Ok(older) => {
            let (items, more) = aws.memo(MEMO, |known: &mut Known| {
                let next = older.next_token.clone().filter(|next| *next != token);
                known.complete = next.is_none();
                known.older = next;
                (known.take(&older), !known.complete)
            });
            page(Page { items, whole: false, more });
            Ok(())
        }
        // The place in the history has expired: begin again at the next poll.
        Err(failure) if failure.kind == FailureKind::Invalid => {
            aws.memo(MEMO, |known: &mut Known| known.older = None);
            Ok(())
        }
        Err(failure) => Err(failure),
    }
}

async fn ask(aws: &Aws, token: Option<String>) -> Result<ListTrainingJobsOutput, Failure> {
    let call =
        aws.sagemaker.list_training_jobs().sort_by(SortBy::CreationTime).sort_order(SortOrder::Descending).max_results(100);
    call.set_next_token(token).send().await.map_err(|error| fault::tell("listing training jobs", &error))
}

impl Known {
    /// Drops what the newest page proves to be deleted: what was listed before, is younger than the oldest on the page (or
    /// the page is all there is), and is not on it.
    fn drop_deleted(&mut self, newest: &ListTrainingJobsOutput) {
        let jobs = newest.training_job_summaries();
        let names: HashSet<&str> = jobs.iter().filter_map(|job| job.training_job_name()).collect();
        let oldest = jobs.iter().filter_map(|job| job.creation_time().map(time::ours)).min();
        let whole = newest.next_token.is_none();
        let before = self.rows.len();
        let listed = &self.listed;
        self.rows.retain(|name, row| {
            let within = whole || row.created.zip(oldest).is_some_and(|(created, oldest)| created > oldest);
            names.contains(name.as_str()) || !within || !listed.contains(name)
        });
        self.lost |= self.rows.len() < before;
    }

    /// Takes a page in and returns its rows with all that is known of them.
    fn take(&mut self, page: &ListTrainingJobsOutput) -> Vec<Item> {
        let rows = page.training_job_summaries().iter().map(|summary| {
            let mut row = Row::of_summary(summary);
            if let Some(old) = self.rows.get(&row.name) {
                row.more.clone_from(&old.more);
                // A job that has just ended is described once more, for its bill and its last metric.
                if old.state.phase.is_live() && !row.state.phase.is_live() {
                    self.described.remove(&row.name);
                }
            }
            let item = row.item();
            self.listed.insert(row.name.clone());
            self.rows.insert(row.name.clone(), row);
            item
        });
        rows.collect()
    }

    fn to_describe(&self) -> Vec<String> {
        let all = self.rows.values().map(|row| Listed { name: &row.name, live: row.state.phase.is_live(), created: row.created });
        turns::next(all, &self.described, DESCRIBED)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::aws::scripted::Scripted;
    use crate::model::Cell;

    /// 3,000 jobs, the newest two in progress.
    fn account() -> Scripted {
        Scripted::new(|asked| {
            if asked.operation == "GetProducts" {
                return (200, br#"{"PriceList":[]}"#.to_vec());
            }
            let body = asked.json();
            let status = |n: u64| if n < 2 { "InProgress" } else { "Completed" };
            let answer = if asked.operation == "ListTrainingJobs" {
                let from: u64 = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                let jobs: Vec<_> = (from..from + 100)
                    .map(|n| json!({ "TrainingJobName": format!("job-{n}"), "TrainingJobArn": "arn", "CreationTime": 1_800_000_000 - n, "TrainingJobStatus": status(n) }))
                    .collect();
                json!({ "TrainingJobSummaries": jobs, "NextToken": (from < 2900).then(|| (from + 100).to_string()) })
            } else {
                let name = body["TrainingJobName"].as_str().unwrap();
                let n = name[4..].parse().unwrap();
                json!({
                    "TrainingJobName": name, "TrainingJobStatus": status(n), "SecondaryStatus": if n < 2 { "Training" } else { "Completed" },
                    "ResourceConfig": { "InstanceType": "ml.m5.2xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30 },
                    "BillableTimeInSeconds": 3600, "TrainingTimeInSeconds": 3600,
                    "FinalMetricDataList": [{ "MetricName": "loss", "Value": 0.1, "Timestamp": 1 }]
                })
            };
            (200, answer.to_string().into_bytes())
        })
    }

    #[tokio::test]
    async fn three_thousand_jobs_cost_two_lists_a_poll() {
        let http = account();
        let aws = http.connect(true, None).await;
        let seen: Mutex<HashMap<String, Item>> = Mutex::default();
        let more = Mutex::new(true);
        for _ in 0..35 {
            let page = |page: Page| {
                *more.lock().unwrap() = page.more;
                seen.lock().unwrap().extend(page.items.into_iter().map(|item| (item.id.0.clone(), item)));
            };
            list(&aws, &page).await.unwrap();
        }
        let operations = http.operations();
        let lists = operations.iter().filter(|name| *name == "ListTrainingJobs").count();
        let described = http.bodies("DescribeTrainingJob");
        assert_eq!(lists, 35 + 29);
        assert_eq!(described.len(), 35 * DESCRIBED);
        let ended = described.iter().filter(|body| body["TrainingJobName"] == "job-5").count();
        assert_eq!(ended, 1, "what has ended is described once");
        let seen = seen.lock().unwrap();
        assert_eq!((seen.len(), *more.lock().unwrap()), (3000, false));
        assert_eq!(seen["job-5"].cells[6], Cell::Money(0.922));
        assert_eq!(seen["job-5"].cells[2], Cell::Trend { last: Some(0.1), values: Vec::new() });
        assert_eq!(seen["job-0"].per_hour, Some(0.922));
    }

    #[tokio::test]
    async fn what_was_deleted_goes_from_the_list() {
        let gone: std::sync::Arc<Mutex<Vec<u64>>> = std::sync::Arc::default();
        let deleted = std::sync::Arc::clone(&gone);
        // 150 jobs on two pages, all ended.
        let http = Scripted::new(move |asked| {
            let body = asked.json();
            let deleted = deleted.lock().unwrap();
            if asked.operation != "ListTrainingJobs" {
                let name = body["TrainingJobName"].as_str().unwrap();
                if deleted.contains(&name[4..].parse().unwrap()) {
                    let said = json!({ "__type": "ValidationException", "message": "Requested resource not found." });
                    return (400, said.to_string().into_bytes());
                }
                return (200, json!({ "TrainingJobName": name, "TrainingJobStatus": "Completed" }).to_string().into_bytes());
            }
            let all: Vec<u64> = (0..150).filter(|n| !deleted.contains(n)).collect();
            let from: usize = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let jobs: Vec<_> = all.iter().skip(from).take(100)
                .map(|n| json!({ "TrainingJobName": format!("job-{n}"), "TrainingJobArn": "arn", "CreationTime": 1_800_000_000 - n, "TrainingJobStatus": "Completed" }))
                .collect();
            let next = (from + 100 < all.len()).then(|| (from + 100).to_string());
            (200, json!({ "TrainingJobSummaries": jobs, "NextToken": next }).to_string().into_bytes())
        });
        let aws = http.connect(true, None).await;
        let seen: Mutex<HashSet<String>> = Mutex::default();
        let page = |page: Page| {
            let mut seen = seen.lock().unwrap();
            if page.whole {
                seen.clear();
            }
            seen.extend(page.items.into_iter().map(|item| item.id.0));
        };
        list(&aws, &page).await.unwrap();
        list(&aws, &page).await.unwrap();
        assert_eq!(seen.lock().unwrap().len(), 150);
        // One on the newest page, which proves it; one in the history, told by its description.
        gone.lock().unwrap().extend([3, 140]);
        let asked = super::super::detail::detail(&aws, &crate::model::ItemId("job-140".into())).await;
        assert_eq!(asked.unwrap_err().kind, FailureKind::NotFound);
        list(&aws, &page).await.unwrap();
        let seen = seen.lock().unwrap();
        assert!(seen.len() == 148 && !seen.contains("job-3") && !seen.contains("job-140"), "{}", seen.len());
    }
}
