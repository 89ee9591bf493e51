//! A job's curves, from CloudWatch: the metrics that the service scraped from the log, and what its instances measured of
//! themselves. One call for all of them (namespace and names: developer guide, "Amazon SageMaker AI metrics in CloudWatch").

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::ResourceConfig;
use jiff::{SignedDuration, Timestamp};

use crate::aws::{Aws, Mode, fault, instance_types, time};
use crate::model::{Failure, MetricRule, Point, Safe, Series};

const NAMESPACE: &str = "/aws/sagemaker/TrainingJobs";
/// What every instance measures: name, and how it is called here. Processors and GPUs are added up: 400 % are four at work.
const MEASURED: [(&str, &str); 3] =
    [("CPUUtilization", "CPU %"), ("MemoryUtilization", "memory %"), ("DiskUtilization", "disk %")];
/// What those with a GPU measure beside it.
const OF_GPUS: [(&str, &str); 2] = [("GPUUtilization", "GPU %"), ("GPUMemoryUtilization", "GPU memory %")];
/// Hosts whose measurements are read; one more would tell little more.
const HOSTS: i32 = 8;
/// Values per curve, at most: more than a screen has columns.
const POINTS: i64 = 1000;

/// One curve to ask for.
struct Wanted {
    name: String,
    metric: String,
    dimension: (&'static str, String),
}

/// The curves of these metrics and of the instances, those without values left out.
pub(super) async fn curves(aws: &Aws, job: &DescribeTrainingJobOutput, metrics: &[MetricRule]) -> Result<Vec<Series>, Failure> {
    // Before its instances are there, nobody measures anything.
    let Some(from) = job.training_start_time().or(job.creation_time()).map(time::ours) else { return Ok(Vec::new()) };
    let to = job.training_end_time().map_or_else(Timestamp::now, time::ours);
    let wanted = wanted(job, metrics);
    let period = period(aws.mode(), to.duration_since(from));
    let queries: Vec<MetricDataQuery> = wanted.iter().enumerate().map(|(index, one)| query(one, index, period)).collect();
    let mut series: Vec<Series> = wanted.iter().map(|one| Series { name: Safe::line(&one.name), points: Vec::new() }).collect();
    let mut token: Option<String> = None;
    loop {
        let call =
            aws.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries.clone())).scan_by(ScanBy::TimestampAscending);
        // The last minute of a run is stamped with its end, the first with the full minute before it.
        let call = call.start_time(time::theirs(from - SignedDuration::from_mins(1)));
        let call = call.end_time(time::theirs(to + SignedDuration::from_mins(2))).set_next_token(token.clone());
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

fn wanted(job: &DescribeTrainingJobOutput, metrics: &[MetricRule]) -> Vec<Wanted> {
    let name = job.training_job_name().unwrap_or_default();
    let own = metrics.iter().map(|rule| Wanted {
        name: rule.name.clone(),
        metric: rule.name.clone(),
        dimension: ("TrainingJobName", name.to_owned()),
    });
    let resources = job.resource_config();
    let hosts = resources.and_then(ResourceConfig::instance_count).unwrap_or(1).min(HOSTS);
    let kind = resources.and_then(|resources| resources.instance_type()).map_or("", |kind| kind.as_str());
    let gpus: &[(&str, &str)] = if instance_types::is_accelerated(kind) { &OF_GPUS } else { &[] };
    // All hosts of one measurement beside each other: they are there to be compared.
    let measured = gpus.iter().chain(&MEASURED).flat_map(|(metric, said)| {
        (1..=hosts).map(move |host| Wanted {
            name: format!("{said} algo-{host}"),
            metric: (*metric).to_owned(),
            dimension: ("Host", format!("{name}/algo-{host}")),
        })
    });
    own.chain(measured).collect()
}

fn query(wanted: &Wanted, index: usize, period: i32) -> MetricDataQuery {
    let (name, value) = &wanted.dimension;
    let dimension = Dimension::builder().name(*name).value(value).build();
    let metric = Metric::builder().namespace(NAMESPACE).metric_name(&wanted.metric).dimensions(dimension).build();
    let stat = MetricStat::builder().metric(metric).period(period).stat("Average").build();
    MetricDataQuery::builder().id(format!("m{index}")).metric_stat(stat).return_data(true).build()
}

/// Seconds that one value stands for.
fn period(mode: Mode, length: SignedDuration) -> i32 {
    // assumed: on AWS the metrics are kept per minute; the local region keeps every second, and its runs are short.
    let finest = if mode == Mode::Local { 1 } else { 60 };
    let wide = length.as_secs().max(0) / POINTS;
    i32::try_from((wide / finest + 1) * finest).unwrap_or(86_400)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::scripted::Scripted;

    #[test]
    fn the_longer_the_run_the_wider_the_period() {
        let of = |mode, hours| period(mode, SignedDuration::from_hours(hours));
        assert_eq!((of(Mode::Aws, 0), of(Mode::Aws, 10), of(Mode::Aws, 100)), (60, 60, 420));
        assert_eq!((of(Mode::Local, 0), of(Mode::Local, 1)), (1, 4));
    }

    /// CloudWatch speaks `smithy-rpc-v2-cbor`, so what was asked is judged by the queries, and the call by its number.
    #[tokio::test]
    async fn one_call_asks_for_the_metrics_and_for_every_instance() {
        let described = json!({
            "TrainingJobName": "j", "TrainingStartTime": 1_800_000_000, "TrainingEndTime": 1_800_000_600,
            "ResourceConfig": { "InstanceType": "ml.g5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 30 }
        });
        let http = Scripted::new(move |asked| match asked.operation.as_str() {
            "DescribeTrainingJob" => (200, described.to_string().into_bytes()),
            _ => (400, Vec::new()),
        });
        let aws = http.connect(true, None).await;
        let job = super::super::describe(&aws, "j").await.unwrap();
        let rule = MetricRule { name: "loss".into(), regex: String::new() };
        let names: Vec<String> = wanted(&job, std::slice::from_ref(&rule)).into_iter().map(|one| one.name).collect();
        assert_eq!(
            names,
            [
                "loss",
                "GPU % algo-1",
                "GPU % algo-2",
                "GPU memory % algo-1",
                "GPU memory % algo-2",
                "CPU % algo-1",
                "CPU % algo-2",
                "memory % algo-1",
                "memory % algo-2",
                "disk % algo-1",
                "disk % algo-2"
            ]
        );
        assert!(wanted(&job, &[])[0].dimension == ("Host", "j/algo-1".to_owned()));
        assert!(curves(&aws, &job, &[rule]).await.is_err());
        assert_eq!(http.operations().len(), 2, "{:?}", http.operations());
    }
}
