//! Everything about one training job.

use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::{StoppingCondition, WarmPoolStatus};

use super::curves::curves;
use super::describe::{More, Row, describe_priced, state_of};
use super::extras;
use super::list::{forget, remember};
use crate::aws::script_mode::hyperparameters::{decode, is_machinery};
use crate::aws::script_mode::{CODE_CHANNEL, code_of, place_of};
use crate::aws::{Aws, Mode, time};
use crate::model::show::{money, span};
use crate::model::{Block, Cell, Detail, Failure, FailureKind, ItemId, MetricRule, PhaseSpan, Safe};

pub(super) async fn detail(aws: &Aws, id: &ItemId) -> Result<Detail, Failure> {
    let job = match describe_priced(aws, id.as_str()).await {
        Err(failure) if failure.kind == FailureKind::NotFound => {
            forget(aws, id.as_str());
            return Err(failure);
        }
        described => described?,
    };
    let row = Row::of_description(aws, &job);
    let state = state_of(&job);
    let metrics = rules(&job);
    let mut blocks = Vec::new();
    if let Some(reason) = job.failure_reason().filter(|reason| !reason.is_empty()) {
        blocks.push(Block::Text { title: "why it failed".into(), text: Safe::text(reason) });
    }
    blocks.push(bill(aws, &row, &job));
    blocks.push(hyperparameters(&job));
    let last = finals(&job);
    if !last.is_empty() {
        blocks.push(Block::Facts { title: "last values".into(), facts: last });
    }
    blocks.push(Block::Phases(phases(&job)));
    let live = state.phase.is_live();
    // While it runs, its own metrics come from the followed log, sooner than from the service.
    match curves(aws, &job, if live { &[] } else { &metrics }).await {
        Ok(series) => blocks.extend((!series.is_empty()).then(|| Block::Curves { title: "metrics".into(), series })),
        // Curves are an extra: without them the rest is still worth showing.
        Err(failure) if !live => blocks.push(Block::Text { title: "metrics".into(), text: failure.what }),
        Err(_) => {}
    }
    blocks.push(facts(&job));
    blocks.push(Block::Facts { title: "request".into(), facts: request(&job) });
    remember(aws, row);
    Ok(Detail { id: id.clone(), state, blocks, metrics, log: true })
}

/// The metric rules that the job was launched with.
pub(super) fn rules(job: &DescribeTrainingJobOutput) -> Vec<MetricRule> {
    let rules = job
        .algorithm_specification()
        .map(aws_sdk_sagemaker::types::AlgorithmSpecification::metric_definitions)
        .unwrap_or_default();
    let rule = |name: Option<&str>, regex: Option<&str>| Some(MetricRule { name: name?.to_owned(), regex: regex?.to_owned() });
    rules.iter().filter_map(|found| rule(found.name(), found.regex())).collect()
}

fn hyperparameters(job: &DescribeTrainingJobOutput) -> Block {
    let mut own: Vec<(&String, &String)> =
        job.hyper_parameters().into_iter().flatten().filter(|(key, _)| !is_machinery(key)).collect();
    own.sort();
    let shown = |key: &str, value: &str| if is_secret(key) { Safe::line("••••") } else { Safe::line(&decode(value)) };
    let facts = own.into_iter().map(|(key, value)| (Safe::line(key), Cell::Text(shown(key, value)))).collect();
    Block::Facts { title: "hyperparameters".into(), facts }
}

/// Names under which people pass what nobody should read over a shoulder.
fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["token", "password", "passwd", "secret", "api_key", "apikey"].iter().any(|word| key.contains(word))
}

/// The job's life. What is billed of it lies between `TrainingStartTime` and `TrainingEndTime` (API reference), in the
/// phases in which the instances are ours: an interrupted spot run waits for nothing.
fn phases(job: &DescribeTrainingJobOutput) -> Vec<PhaseSpan> {
    let begin = job.training_start_time().map(time::ours);
    let spans = job.secondary_status_transitions().iter().filter_map(|step| {
        let word = step.status().map_or("", |status| status.as_str());
        let start = time::ours(step.start_time()?);
        let end = step.end_time().map(time::ours);
        let ours = matches!(word, "Downloading" | "DownloadingTrainingImage" | "Training" | "Uploading" | "Stopping");
        Some(PhaseSpan {
            word: Safe::line(word),
            start,
            end,
            message: Safe::line(step.status_message().unwrap_or_default()),
            // What had ended before the bill began costs nothing.
            billed: ours && begin.is_none_or(|begin| end.is_none_or(|end| end > begin)),
        })
    });
    spans.collect()
}

/// The last value of each metric, by its name.
fn finals(job: &DescribeTrainingJobOutput) -> Vec<(Safe, Cell)> {
    let values = job.final_metric_data_list().iter();
    // The service keeps 32 bits; by way of text 0.1 stays 0.1.
    let read = values.filter_map(|last| Some((last.metric_name()?, last.value()?.to_string().parse::<f64>().ok()?)));
    read.filter(|(_, value)| value.is_finite()).map(|(name, value)| (Safe::line(name), Cell::Number(value))).collect()
}

/// What matters first: what it costs and how long it took, on what.
fn bill(aws: &Aws, row: &Row, job: &DescribeTrainingJobOutput) -> Block {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, cell: Cell| facts.push((name.into(), cell));
    let Some(more) = &row.more else { return Block::Facts { title: "cost".into(), facts } };
    let live = row.state.phase.is_live();
    let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
    match (more.per_hour, more.started, more.billable) {
        (Some(per_hour), Some(since), _) if live => add("cost", Cell::Accrues { since, per_hour }),
        (Some(per_hour), _, Some(billable)) if !live => add("cost", Cell::Money(per_hour * billable / 3600.0)),
        _ => {}
    }
    match more.per_hour {
        Some(per_hour) => add("price", Cell::Text(Safe::line(&format!("{}/h{free}", money(per_hour))))),
        None => add("price", Cell::Text("not known for this type and region".into())),
    }
    match (more.started, more.seconds) {
        (Some(since), _) if live => add("elapsed", Cell::Since(since)),
        (_, Some(seconds)) => add("trained", Cell::Seconds(seconds)),
        _ => {}
    }
    if let Some(billable) = more.billable {
        add("billable", Cell::Seconds(billable));
    }
    if job.enable_managed_spot_training() == Some(true) {
        add("saved", saved(more));
    }
    if let Some(pool) = job.warm_pool_status() {
        add("kept warm", Cell::Text(warm(pool, more)));
    }
    add("instances", Cell::Text(Safe::line(&format!("{} × {}", more.hosts, more.instance_type))));
    Block::Facts { title: "cost".into(), facts }
}

/// What spot capacity has saved: the seconds that were trained and are not billed (API reference, `BillableTimeInSeconds`).
fn saved(more: &More) -> Cell {
    let (Some(trained), Some(billable)) = (more.seconds.filter(|seconds| *seconds > 0.0), more.billable) else {
        return Cell::Text("told when it has ended".into());
    };
    let unbilled = (trained - billable).max(0.0);
    let dollars = more.per_hour.map(|per_hour| format!(", {}", money(per_hour * unbilled / 3600.0))).unwrap_or_default();
    Cell::Text(format!("{:.0} %{dollars}", unbilled / trained * 100.0).into())
}

/// What became of the instances that were kept for the next job, and what that cost beside the run.
fn warm(pool: &WarmPoolStatus, more: &More) -> Safe {
    let seconds = pool.resource_retained_billable_time_in_seconds().map(f64::from);
    let dollars = seconds.zip(more.per_hour).map(|(seconds, per_hour)| money(per_hour * seconds / 3600.0));
    let said = [
        pool.status().map(|status| status.as_str().to_owned()),
        seconds.map(span),
        dollars,
        pool.reused_by_job().map(|job| format!("by {job}")),
    ];
    Safe::line(&said.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// What went in and what came out.
fn facts(job: &DescribeTrainingJobOutput) -> Block {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        facts.extend(value.filter(|value| !value.is_empty()).map(|value| (name.into(), Cell::Text(Safe::line(value)))));
    };
    let machinery = |key: &str| job.hyper_parameters().and_then(|all| all.get(key)).map(|raw| decode(raw));
    let extras = extras::of(job);
    add("script", machinery("sagemaker_program").as_deref());
    let (code, in_channel) = code_of(job);
    for channel in job.input_data_config().iter().filter(|channel| !in_channel || channel.channel_name() != Some(CODE_CHANNEL)) {
        add("data", Some(&format!("{} = {}", channel.channel_name().unwrap_or_default(), place_of(channel))));
    }
    add("checkpoints", extras.checkpoints.as_deref());
    add("launcher", extras.distribution.as_deref());
    add("model", job.model_artifacts().and_then(|artifacts| artifacts.s3_model_artifacts()));
    let image = job.algorithm_specification().and_then(|spec| spec.training_image().or(spec.algorithm_name()));
    add("image", image.map(|image| image.rsplit('/').next().unwrap_or(image)));
    add("source", Some(&code));
    add("tuning job", job.tuning_job_arn().map(|arn| arn.rsplit('/').next().unwrap_or(arn)));
    Block::Facts { title: "job".into(), facts }
}

/// The rest: when, as whom, within what limit.
fn request(job: &DescribeTrainingJobOutput) -> Vec<(Safe, Cell)> {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let times = [("created", job.creation_time()), ("started", job.training_start_time()), ("ended", job.training_end_time())];
    facts.extend(times.into_iter().filter_map(|(name, at)| Some((name.into(), Cell::Time(time::ours(at?))))));
    let limit = job.stopping_condition().and_then(StoppingCondition::max_runtime_in_seconds);
    facts.extend(limit.map(|limit| ("at most".into(), Cell::Seconds(f64::from(limit)))));
    let extras = extras::of(job);
    if let (true, Some(wait)) = (extras.spot, extras.max_wait_seconds) {
        facts.push(("spot, wait".into(), Cell::Seconds(f64::from(wait))));
    }
    let places = [extras.subnets.join(" "), extras.security_groups.join(" ")];
    let isolated = extras.network_isolation.then(|| "none".to_owned());
    let network = isolated.or_else(|| (!extras.subnets.is_empty()).then(|| places.join(" ")));
    facts.extend(network.map(|network| ("network".into(), Cell::Text(Safe::line(&network)))));
    let texts = [("role", job.role_arn()), ("arn", job.training_job_arn())];
    facts.extend(texts.into_iter().filter_map(|(name, text)| Some((name.into(), Cell::Text(Safe::line(text?))))));
    facts
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::scripted::Scripted;
    use crate::model::Clock;

    async fn shown(more: Value) -> Detail {
        let mut job = json!({
            "TrainingJobName": "j", "TrainingJobStatus": "Completed", "SecondaryStatus": "Completed",
            "ResourceConfig": { "InstanceType": "ml.m5.2xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30 },
            "TrainingStartTime": 1_800_000_100, "TrainingEndTime": 1_800_001_100, "TrainingTimeInSeconds": 1000,
            "BillableTimeInSeconds": 380, "EnableManagedSpotTraining": true,
            "FinalMetricDataList": [{ "MetricName": "loss", "Value": 0.1, "Timestamp": 1 }]
        });
        job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let http = Scripted::new(move |asked| match asked.operation.as_str() {
            "DescribeTrainingJob" => (200, job.to_string().into_bytes()),
            _ => (400, Vec::new()),
        });
        let aws = http.connect(true, None).await;
        detail(&aws, &ItemId("j".into())).await.unwrap()
    }

    fn facts(detail: &Detail) -> Vec<String> {
        let facts =
            detail.blocks.iter().filter_map(|block| if let Block::Facts { facts, .. } = block { Some(facts) } else { None });
        facts.flatten().map(|(name, value)| format!("{name}: {}", value.show(&Clock::default()))).collect()
    }

    #[tokio::test]
    async fn what_spot_and_warm_instances_cost_and_saved_is_told() {
        let pool = json!({ "Status": "Reused", "ResourceRetainedBillableTimeInSeconds": 250, "ReusedByJob": "next" });
        let told = facts(
            &shown(json!({
                "WarmPoolStatus": pool, "CheckpointConfig": { "S3Uri": "s3://b/ck" },
                "StoppingCondition": { "MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200 },
                "HyperParameters": { "sagemaker_mpi_enabled": "true" },
                "VpcConfig": { "Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"] }
            }))
            .await,
        );
        // 2 × 0.461 $/h: 380 s are billed, 620 s are not, 250 s were kept warm.
        for fact in [
            "cost: $0.10",
            "saved: 62 %, $0.16",
            "kept warm: Reused, 04:10, $0.06, by next",
            "loss: 0.1000",
            "checkpoints: s3://b/ck",
            "launcher: mpi",
            "spot, wait: 2:00:00",
            "network: subnet-1 sg-1",
        ] {
            assert!(told.contains(&fact.to_owned()), "{fact}: {told:#?}");
        }
        let plain = facts(&shown(json!({ "EnableManagedSpotTraining": false })).await);
        assert!(!plain.iter().any(|fact| fact.starts_with("saved") || fact.starts_with("spot")), "{plain:#?}");
    }

    #[tokio::test]
    async fn only_what_lies_within_the_bill_is_billed() {
        let step = |word: &str, from: u64, to: u64| json!({ "Status": word, "StartTime": 1_800_000_000 + from, "EndTime": 1_800_000_000 + to, "StatusMessage": "" });
        let steps = [
            step("Starting", 0, 40),
            step("Downloading", 40, 100),
            step("Training", 100, 500),
            step("Interrupted", 500, 900),
            step("Training", 900, 1050),
            step("Uploading", 1050, 1100),
        ];
        let detail = shown(json!({ "SecondaryStatusTransitions": steps })).await;
        let spans = detail.blocks.iter().find_map(|block| if let Block::Phases(spans) = block { Some(spans) } else { None });
        let billed: Vec<bool> = spans.unwrap().iter().map(|span| span.billed).collect();
        assert_eq!(billed, [false, false, true, false, true, true]);
    }
}
