//! Listing with economy: each poll takes the newest page, one page of history until that is complete, and looks closer at
//! a few jobs, running ones first; what has ended is looked at once.

use std::collections::HashMap;

use aws_sdk_sagemaker::operation::list_hyper_parameter_tuning_jobs::ListHyperParameterTuningJobsOutput;
use aws_sdk_sagemaker::types::{HyperParameterTuningJobSortByOptions, SortOrder};

use super::describe::{Row, describe};
use super::trial;
use crate::aws::{Aws, fault};
use crate::model::{Failure, FailureKind, Item, Page};
use crate::resource::turns::{self, Listed};

const MEMO: &str = "tuning-jobs";
/// Jobs looked at closely per poll: two calls each.
const CLOSER: usize = 4;

/// What is known from earlier polls.
#[derive(Default)]
struct Known {
    rows: HashMap<String, Row>,
    /// Where the history goes on; absent before the first page and after the last.
    older: Option<String>,
    complete: bool,
    /// Counts polls, to look first at what has not been looked at for longest.
    poll: u64,
    looked: HashMap<String, u64>,
}

/// One poll.
pub(super) async fn list(aws: &Aws, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let newest = ask(aws, None).await?;
    let (items, whole) = aws.memo(MEMO, |known: &mut Known| {
        known.poll += 1;
        let whole = newest.next_token.is_none();
        if whole {
            known.complete = true;
            // The page is all there is: what is not on it is gone.
            let jobs = newest.hyper_parameter_tuning_job_summaries();
            known.rows.retain(|name, _| jobs.iter().any(|job| job.hyper_parameter_tuning_job_name() == Some(name)));
        } else if known.older.is_none() && !known.complete {
            known.older.clone_from(&newest.next_token);
        }
        (known.take(&newest), whole)
    });
    let more = || aws.memo(MEMO, |known: &mut Known| !known.complete);
    page(Page { items, whole, more: more() });
    if let Some(token) = aws.memo(MEMO, |known: &mut Known| known.older.clone()) {
        match ask(aws, Some(token.clone())).await {
            Ok(older) => {
                let items = aws.memo(MEMO, |known: &mut Known| {
                    let next = older.next_token.clone().filter(|next| *next != token);
                    known.complete = next.is_none();
                    known.older = next;
                    known.take(&older)
                });
                page(Page { items, whole: false, more: more() });
            }
            // The place in the history has expired: begin again at the next poll.
            Err(failure) if failure.kind == FailureKind::Invalid => aws.memo(MEMO, |known: &mut Known| known.older = None),
            Err(failure) => return Err(failure),
        }
    }
    for name in aws.memo(MEMO, |known: &mut Known| known.to_look_at()) {
        let row = match closer(aws, &name).await {
            Ok(row) => row,
            // Deleted since it was listed.
            Err(failure) if failure.kind == FailureKind::NotFound => continue,
            // Who may list but not look closer, or where the service cannot say, there are still the rows.
            Err(failure) if matches!(failure.kind, FailureKind::Denied | FailureKind::Service) => {
                tracing::info!(%failure, "a tuning job is shown as its list has it");
                continue;
            }
            Err(failure) => return Err(failure),
        };
        let item = row.item();
        remember(aws, row);
        page(Page { items: vec![item], whole: false, more: more() });
    }
    Ok(())
}

async fn closer(aws: &Aws, name: &str) -> Result<Row, Failure> {
    let job = describe(aws, name).await?;
    let trials = trial::read(aws, &job).await?;
    Ok(Row::of_description(aws, &job, &trials))
}

/// Keeps what a closer look said, for the next poll's rows.
pub(super) fn remember(aws: &Aws, row: Row) {
    aws.memo(MEMO, |known: &mut Known| {
        let poll = known.poll;
        known.looked.insert(row.name.clone(), poll);
        known.rows.insert(row.name.clone(), row);
    });
}

async fn ask(aws: &Aws, token: Option<String>) -> Result<ListHyperParameterTuningJobsOutput, Failure> {
    let call = aws
        .sagemaker
        .list_hyper_parameter_tuning_jobs()
        .sort_by(HyperParameterTuningJobSortByOptions::CreationTime)
        .sort_order(SortOrder::Descending)
        .max_results(100);
    call.set_next_token(token).send().await.map_err(|error| fault::tell("listing tuning jobs", &error))
}

impl Known {
    /// Takes a page in and returns its rows with all that is known of them.
    fn take(&mut self, page: &ListHyperParameterTuningJobsOutput) -> Vec<Item> {
        let rows = page.hyper_parameter_tuning_job_summaries().iter().map(|summary| {
            let mut row = Row::of_summary(summary);
            if let Some(old) = self.rows.get(&row.name) {
                row.more.clone_from(&old.more);
                // One that has just ended is looked at once more, for its last trials and its bill.
                if old.state.phase.is_live() && !row.state.phase.is_live() {
                    self.looked.remove(&row.name);
                }
            }
            let item = row.item();
            self.rows.insert(row.name.clone(), row);
            item
        });
        rows.collect()
    }

    fn to_look_at(&self) -> Vec<String> {
        let all = self.rows.values().map(|row| Listed { name: &row.name, live: row.state.phase.is_live(), created: row.created });
        turns::next(all, &self.looked, CLOSER)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use serde_json::json;

    use super::*;
    use crate::aws::scripted::Scripted;
    use crate::model::Cell;

    /// 250 tuning jobs, the newest in progress with one trial done and one running.
    fn account() -> Scripted {
        Scripted::new(|asked| {
            let body = asked.json();
            let status = |n: u64| if n == 0 { "InProgress" } else { "Completed" };
            let name = body["HyperParameterTuningJobName"].as_str().unwrap_or_default();
            let answer = match asked.operation.as_str() {
                "ListHyperParameterTuningJobs" => {
                    let from: u64 = body["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
                    let jobs: Vec<_> = (from..(from + 100).min(250))
                        .map(|n| json!({
                            "HyperParameterTuningJobName": format!("t-{n}"), "HyperParameterTuningJobArn": "arn",
                            "HyperParameterTuningJobStatus": status(n), "Strategy": "Random", "CreationTime": 1_800_000_000 - n,
                            "TrainingJobStatusCounters": { "Completed": 1, "InProgress": 1 },
                            "ObjectiveStatusCounters": {}, "ResourceLimits": { "MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1 }
                        }))
                        .collect();
                    json!({ "HyperParameterTuningJobSummaries": jobs, "NextToken": (from < 200).then(|| (from + 100).to_string()) })
                }
                "DescribeHyperParameterTuningJob" => json!({
                    "HyperParameterTuningJobName": name, "HyperParameterTuningJobArn": "arn",
                    "HyperParameterTuningJobStatus": status(name[2..].parse().unwrap()), "CreationTime": 1_800_000_000,
                    "HyperParameterTuningJobConfig": {
                        "Strategy": "Random", "ResourceLimits": { "MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1 },
                        "HyperParameterTuningJobObjective": { "Type": "Minimize", "MetricName": "loss" }
                    },
                    "TrainingJobDefinition": {
                        "AlgorithmSpecification": { "TrainingInputMode": "File" }, "RoleArn": "r", "OutputDataConfig": { "S3OutputPath": "s3://b/" },
                        "HyperParameterTuningResourceConfig": { "InstanceType": "ml.m5.2xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30 },
                        "StoppingCondition": { "MaxRuntimeInSeconds": 60 }
                    },
                    "TrainingJobStatusCounters": { "Completed": 1 }, "ObjectiveStatusCounters": {}
                }),
                _ => json!({ "TrainingJobSummaries": [{
                    "TrainingJobName": "x", "TrainingJobArn": "a", "CreationTime": 1, "TrainingStartTime": 1000, "TrainingEndTime": 4600,
                    "TrainingJobStatus": "Completed", "TunedHyperParameters": {},
                    "FinalHyperParameterTuningJobObjectiveMetric": { "MetricName": "loss", "Value": 0.1 }
                }] }),
            };
            (200, answer.to_string().into_bytes())
        })
    }

    #[tokio::test]
    async fn a_poll_asks_little_and_what_has_ended_is_looked_at_once() {
        let http = account();
        let aws = http.connect(true, None).await;
        let seen: Mutex<HashMap<String, Item>> = Mutex::default();
        let more = Mutex::new(true);
        let page = |page: Page| {
            *more.lock().unwrap() = page.more;
            seen.lock().unwrap().extend(page.items.into_iter().map(|item| (item.id.0.clone(), item)));
        };
        for _ in 0..10 {
            list(&aws, &page).await.unwrap();
        }
        let count = |operation: &str| http.operations().iter().filter(|name| *name == operation).count();
        assert_eq!(count("ListHyperParameterTuningJobs"), 10 + 2);
        assert_eq!(count("DescribeHyperParameterTuningJob"), 40);
        let once = http.bodies("DescribeHyperParameterTuningJob");
        assert_eq!(once.iter().filter(|body| body["HyperParameterTuningJobName"] == "t-5").count(), 1);
        assert_eq!((seen.lock().unwrap().len(), *more.lock().unwrap()), (250, false));
        let row = seen.lock().unwrap()["t-5"].clone();
        assert!(row.container);
        assert_eq!(row.cells[2], Cell::Trend { last: Some(0.1), values: vec![0.1] });
        assert_eq!((&row.cells[3], &row.cells[7]), (&Cell::Text("1/2 ●1".into()), &Cell::Money(0.922)));
    }
}
