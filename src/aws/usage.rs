//! How many instances run at this moment, as far as it is cheap to know: what is in progress by one list, each job described
//! once, as its instances never change. Of EC2's, what their quotas count: vCPUs.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_ec2::types::{Filter, InstanceLifecycleType};
use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::TrainingJobStatus;

use super::Aws;
use super::spending::Use;

const MEMO: &str = "usage";
/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// Jobs described in one look. With more of them new at once, the use is not known.
const DESCRIBED: usize = 10;

/// What a job occupies.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Share {
    instance_type: String,
    instances: u32,
    spot: bool,
}

type Known = HashMap<String, Share>;

/// Instances of a type that are used that way now, for EC2 vCPUs; `None` where that is not known.
pub async fn in_use(aws: &Aws, wanted: Use, instance_type: &str) -> Option<u32> {
    let spot = match wanted {
        Use::Training => false,
        Use::Spot => true,
        Use::WarmPool | Use::Endpoint | Use::Notebook => return None,
        Use::Instance | Use::SpotInstance => {
            return tokio::time::timeout(PATIENCE, vcpus(aws, wanted, instance_type)).await.ok()?;
        }
    };
    let running = tokio::time::timeout(PATIENCE, running(aws)).await.ok()??;
    let fits = |share: &&Share| share.instance_type == instance_type && share.spot == spot;
    Some(running.iter().filter(fits).map(|share| share.instances).sum())
}

/// The vCPUs that count against the same quota as this type's. What is stopped counts for nothing (EC2 User Guide, "EC2
/// instance type quotas").
async fn vcpus(aws: &Aws, wanted: Use, instance_type: &str) -> Option<u32> {
    let running = Filter::builder().name("instance-state-name").values("pending").values("running").build();
    let page = aws.ec2.describe_instances().filters(running).max_results(1000).send().await.ok()?;
    if page.next_token.is_some() {
        return None;
    }
    let quota = wanted.quota(instance_type);
    let all = page.reservations().iter().flat_map(aws_sdk_ec2::types::Reservation::instances);
    let counted = all.filter(|it| {
        let spot = it.instance_lifecycle() == Some(&InstanceLifecycleType::Spot);
        spot == (wanted == Use::SpotInstance) && it.instance_type().is_some_and(|kind| wanted.quota(kind.as_str()) == quota)
    });
    let cores = |it: &aws_sdk_ec2::types::Instance| {
        let cpu = it.cpu_options()?;
        u32::try_from(cpu.core_count()?.checked_mul(cpu.threads_per_core()?)?).ok()
    };
    Some(counted.filter_map(cores).sum())
}

/// What all running training jobs occupy, those of tuning jobs too.
async fn running(aws: &Aws) -> Option<Vec<Share>> {
    let call = aws.sagemaker.list_training_jobs().status_equals(TrainingJobStatus::InProgress).max_results(100);
    let page = call.send().await.ok()?;
    // More than a page of them: a number that is too low would be worse than none.
    if page.next_token.is_some() {
        return None;
    }
    let names: Vec<&str> = page.training_job_summaries().iter().filter_map(|job| job.training_job_name()).collect();
    let new = aws.memo(MEMO, |known: &mut Known| {
        known.retain(|name, _| names.contains(&name.as_str()));
        names.iter().filter(|name| !known.contains_key(**name)).map(|name| (*name).to_owned()).collect::<Vec<_>>()
    });
    if new.len() > DESCRIBED {
        return None;
    }
    for name in new {
        let job = aws.sagemaker.describe_training_job().training_job_name(&name).send().await.ok()?;
        aws.memo(MEMO, |known: &mut Known| known.insert(name, share(&job)));
    }
    Some(aws.memo(MEMO, |known: &mut Known| known.values().cloned().collect()))
}

fn share(job: &DescribeTrainingJobOutput) -> Share {
    let resources = job.resource_config();
    let count = resources.and_then(aws_sdk_sagemaker::types::ResourceConfig::instance_count);
    Share {
        instance_type: resources.and_then(|config| config.instance_type()).map_or("", |kind| kind.as_str()).to_owned(),
        instances: count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        spot: job.enable_managed_spot_training() == Some(true),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::scripted::Scripted;

    #[tokio::test]
    async fn running_jobs_are_counted_and_described_once() {
        let http = Scripted::new(|asked| {
            let body = asked.json();
            let answer = if asked.operation == "ListTrainingJobs" {
                let job = |n: u32| json!({ "TrainingJobName": format!("job-{n}"), "TrainingJobArn": "arn", "CreationTime": 1, "TrainingJobStatus": "InProgress" });
                json!({ "TrainingJobSummaries": [job(1), job(2), job(3)] })
            } else {
                let name = body["TrainingJobName"].as_str().unwrap();
                json!({
                    "TrainingJobName": name, "EnableManagedSpotTraining": name == "job-3",
                    "ResourceConfig": { "InstanceType": "ml.m5.large", "InstanceCount": 4, "VolumeSizeInGB": 30 }
                })
            };
            (200, answer.to_string().into_bytes())
        });
        let aws = http.connect(true, None).await;
        for _ in 0..2 {
            assert_eq!(in_use(&aws, Use::Training, "ml.m5.large").await, Some(8));
        }
        assert_eq!(in_use(&aws, Use::Spot, "ml.m5.large").await, Some(4));
        assert_eq!(in_use(&aws, Use::Training, "ml.c5.large").await, Some(0));
        assert_eq!(in_use(&aws, Use::Endpoint, "ml.m5.large").await, None);
        assert_eq!(http.bodies("DescribeTrainingJob").len(), 3);
        assert_eq!(http.bodies("ListTrainingJobs")[0]["StatusEquals"], "InProgress");
    }
}
