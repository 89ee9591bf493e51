//! Everything about one training job.

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::StoppingCondition;

use super::describe::{Row, describe, state_of};
use super::list::{forget, remember};
use crate::aws::script_mode::hyperparameters::{decode, is_machinery};
use crate::aws::script_mode::place_of;
use crate::aws::{Aws, Mode, fault, time};
use crate::model::show::money;
use crate::model::{Block, Cell, Detail, Failure, FailureKind, ItemId, MetricRule, PhaseSpan, Point, Safe, Series};

pub(super) async fn detail(aws: &Aws, id: &ItemId) -> Result<Detail, Failure> {
    let job = match describe(aws, id.as_str()).await {
        Err(failure) if failure.kind == FailureKind::NotFound => {
            forget(aws, id.as_str());
            return Err(failure);
        }
        described => described?,
    };
    let row = Row::of_description(aws.region(), &job);
    let state = state_of(&job);
    let metrics = rules(&job);
    let mut blocks = Vec::new();
    if let Some(reason) = job.failure_reason().filter(|reason| !reason.is_empty()) {
        blocks.push(Block::Text { title: "why it failed".into(), text: Safe::text(reason) });
    }
    blocks.push(bill(aws, &row));
    blocks.push(hyperparameters(&job));
    blocks.push(Block::Phases(phases(&job)));
    if !state.phase.is_live() && !metrics.is_empty() {
        // Curves are an extra: without them the rest is still worth showing.
        blocks.push(match curves(aws, &job, &metrics).await {
            Ok(series) => Block::Curves { title: "metrics".into(), series },
            Err(failure) => Block::Text { title: "metrics".into(), text: failure.what },
        });
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

fn phases(job: &DescribeTrainingJobOutput) -> Vec<PhaseSpan> {
    let spans = job.secondary_status_transitions().iter().filter_map(|step| {
        let word = step.status().map_or("", |status| status.as_str());
        Some(PhaseSpan {
            word: Safe::line(word),
            start: time::ours(step.start_time()?),
            end: step.end_time().map(time::ours),
            message: Safe::line(step.status_message().unwrap_or_default()),
            // assumed: the bill begins with the download of data and ends with the upload, as BillableTimeInSeconds does.
            billed: matches!(word, "Downloading" | "DownloadingTrainingImage" | "Training" | "Uploading"),
        })
    });
    spans.collect()
}

/// What matters first: what it costs and how long it took, on what.
fn bill(aws: &Aws, row: &Row) -> Block {
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
    add("instances", Cell::Text(Safe::line(&format!("{} × {}", more.hosts, more.instance_type))));
    Block::Facts { title: "cost".into(), facts }
}

/// What went in and what came out.
fn facts(job: &DescribeTrainingJobOutput) -> Block {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        facts.extend(value.filter(|value| !value.is_empty()).map(|value| (name.into(), Cell::Text(Safe::line(value)))));
    };
    let machinery = |key: &str| job.hyper_parameters().and_then(|all| all.get(key)).map(|raw| decode(raw));
    add("script", machinery("sagemaker_program").as_deref());
    for channel in job.input_data_config() {
        add("data", Some(&format!("{} = {}", channel.channel_name().unwrap_or_default(), place_of(channel))));
    }
    add("model", job.model_artifacts().and_then(|artifacts| artifacts.s3_model_artifacts()));
    let image = job.algorithm_specification().and_then(|spec| spec.training_image().or(spec.algorithm_name()));
    add("image", image.map(|image| image.rsplit('/').next().unwrap_or(image)));
    add("source", machinery("sagemaker_submit_directory").as_deref());
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
    if job.enable_managed_spot_training() == Some(true) {
        facts.push(("spot".into(), Cell::Text("yes".into())));
    }
    let texts = [("role", job.role_arn()), ("arn", job.training_job_arn())];
    facts.extend(texts.into_iter().filter_map(|(name, text)| Some((name.into(), Cell::Text(Safe::line(text?))))));
    facts
}

/// The metrics that the service scraped, from CloudWatch.
async fn curves(aws: &Aws, job: &DescribeTrainingJobOutput, metrics: &[MetricRule]) -> Result<Vec<Series>, Failure> {
    let (Some(from), Some(to)) = (job.creation_time(), job.training_end_time().or(job.last_modified_time())) else {
        return Ok(Vec::new());
    };
    // assumed: on AWS the metrics are kept per minute; the local region keeps every second, and its runs are short.
    let period = if aws.mode() == Mode::Local { 1 } else { 60 };
    let queries = metrics.iter().enumerate().map(|(index, rule)| {
        let job_name = Dimension::builder().name("TrainingJobName").value(job.training_job_name().unwrap_or_default()).build();
        let metric =
            Metric::builder().namespace("/aws/sagemaker/TrainingJobs").metric_name(&rule.name).dimensions(job_name).build();
        let stat = MetricStat::builder().metric(metric).period(period).stat("Average").build();
        MetricDataQuery::builder().id(format!("m{index}")).metric_stat(stat).return_data(true).build()
    });
    let queries: Vec<MetricDataQuery> = queries.collect();
    let mut series: Vec<Series> =
        metrics.iter().map(|rule| Series { name: Safe::line(&rule.name), points: Vec::new() }).collect();
    let mut token: Option<String> = None;
    loop {
        let call =
            aws.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries.clone())).scan_by(ScanBy::TimestampAscending);
        let call = call.start_time(time::theirs(time::ours(from))).end_time(aws_later(to)).set_next_token(token.clone());
        let page = call.send().await.map_err(|error| fault::tell("reading the metrics", &error))?;
        for result in page.metric_data_results() {
            let index = result.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
            let Some(into) = index.and_then(|index| series.get_mut(index)) else { continue };
            let points =
                result.timestamps().iter().zip(result.values()).map(|(at, value)| Point { at: time::ours(at), value: *value });
            into.points.extend(points.filter(|point| point.value.is_finite()));
        }
        if page.next_token.is_none() || page.next_token == token {
            series.retain(|series| !series.points.is_empty());
            return Ok(series);
        }
        token = page.next_token;
    }
}

/// Two minutes on: the last minute of a run is stamped with its end.
fn aws_later(time: &aws_sdk_cloudwatch::primitives::DateTime) -> aws_sdk_cloudwatch::primitives::DateTime {
    aws_sdk_cloudwatch::primitives::DateTime::from_secs(time.secs() + 120)
}
