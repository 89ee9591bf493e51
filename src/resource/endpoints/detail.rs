//! Everything about one endpoint: what it runs and costs, how it answers, and what CloudWatch counted.

use aws_sdk_cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricStat, ScanBy};
use aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointOutput;
use aws_sdk_sagemaker::operation::describe_endpoint_config::DescribeEndpointConfigOutput;
use jiff::{SignedDuration, Timestamp};

use super::calls::{Calls, millis};
use super::delete::Plan;
use super::list::{More, remember, served, state_of};
use crate::aws::{Aws, Mode, fault, hosting, time};
use crate::model::show::money;
use crate::model::{Block, Cell, Detail, Failure, FailureKind, ItemId, Phase, PhaseSpan, Point, Safe, Series, State};

/// How far back the charts go.
const HOURS: i64 = 3;

pub(super) async fn detail(aws: &Aws, id: &ItemId) -> Result<Detail, Failure> {
    let endpoint = match hosting::endpoint(aws, id.as_str()).await {
        Err(failure) if failure.kind == FailureKind::NotFound => return remains(aws, id).await,
        described => described?,
    };
    let config_name = endpoint.endpoint_config_name().unwrap_or_default();
    let config = hosting::missing(hosting::config(aws, config_name).await)?;
    remember(aws, &endpoint, config.as_ref());
    let state = state_of(&endpoint);
    let mut blocks = Vec::new();
    if let Some(reason) = endpoint.failure_reason().filter(|reason| !reason.is_empty()) {
        let title = if state.phase == Phase::Failed { "why it failed" } else { "why the last change failed" };
        blocks.push(Block::Text { title: title.into(), text: Safe::text(reason) });
    }
    if config.is_none() {
        let text = format!(
            "Its configuration {config_name} has been deleted under it. It still answers and still costs, but AWS does not say any more what it runs on. Deleting it works."
        );
        blocks.push(Block::Text { title: "configuration deleted".into(), text: Safe::text(&text) });
    }
    blocks.push(bill(aws, &endpoint, config.as_ref(), &state));
    blocks.push(Block::Phases(phases(aws, &endpoint, config.as_ref(), &state)));
    // Charts are an extra: without them the rest is still worth showing.
    let mut series: Vec<Series> = Calls::of(aws, id.as_str()).series().into_iter().collect();
    match curves(aws, &endpoint).await {
        Ok(found) => series.extend(found),
        Err(failure) => blocks.push(Block::Text { title: "metrics".into(), text: failure.what }),
    }
    if !series.is_empty() {
        blocks.push(Block::Curves { title: "calls".into(), series });
    }
    blocks.push(runs(aws, &endpoint, config.as_ref()).await?);
    Ok(Detail { id: id.clone(), state, blocks, metrics: Vec::new(), log: true })
}

/// What is there of an endpoint that is gone: a deletion that was interrupted.
async fn remains(aws: &Aws, id: &ItemId) -> Result<Detail, Failure> {
    let plan = Plan::of(aws, id.as_str()).await?;
    let named = |name: &str, list: Vec<&String>| {
        list.into_iter().map(|one| (Safe::line(name), Cell::Text(Safe::line(one)))).collect::<Vec<_>>()
    };
    let mut facts = named("configuration", plan.configs.keys().collect());
    facts.extend(named("model", plan.models.keys().collect()));
    let text = "The endpoint is gone; these were made for it and are still there. They cost nothing. Delete it again to finish.";
    Ok(Detail {
        id: id.clone(),
        state: State { phase: Phase::Stopped, word: "Deleted in part".into() },
        blocks: vec![
            Block::Text { title: "left behind".into(), text: text.into() },
            Block::Facts { title: "left".into(), facts },
        ],
        metrics: Vec::new(),
        log: false,
    })
}

/// What matters first: what it costs, on what it runs, how fast it answers.
fn bill(aws: &Aws, endpoint: &DescribeEndpointOutput, config: Option<&DescribeEndpointConfigOutput>, state: &State) -> Block {
    let more = More::of(aws.region(), endpoint, config);
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, cell: Cell| facts.push((name.into(), cell));
    let text = |text: &str| Cell::Text(Safe::line(text));
    let created = endpoint.creation_time().map(time::ours);
    let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
    if state.phase.is_live()
        && let (Some(per_hour), Some(since)) = (more.per_hour, created)
    {
        add("cost", Cell::Accrues { since, per_hour });
    }
    add(
        "price",
        match more.per_hour {
            Some(per_hour) => text(&format!("{}/h{free}", money(per_hour))),
            None => text("not known for this type and region"),
        },
    );
    let variants = endpoint.production_variants();
    for variant in variants {
        // One of several goes by its name, with its share of the calls.
        let (name, weight) = match (variants.len(), variant.current_weight()) {
            (1, _) | (_, None) => ("instances", String::new()),
            (_, Some(weight)) => (variant.variant_name().unwrap_or_default(), format!(" · weight {weight}")),
        };
        add(name, text(&format!("{}{weight}", instances(variant, config))));
    }
    let calls = Calls::of(aws, endpoint.endpoint_name().unwrap_or_default());
    if let Some(last) = calls.last() {
        add("last call", text(&millis(last)));
    }
    if let Some(said) = calls.said() {
        add("calls", text(&said));
    }
    Block::Facts { title: "cost".into(), facts }
}

/// `2 × ml.m5.large`, or how many of how many while that changes.
fn instances(
    variant: &aws_sdk_sagemaker::types::ProductionVariantSummary,
    config: Option<&DescribeEndpointConfigOutput>,
) -> String {
    let known = config.iter().flat_map(|config| config.production_variants());
    let known = known.filter(|known| known.variant_name() == variant.variant_name()).find_map(|known| known.instance_type());
    let (now, wanted) = (variant.current_instance_count().unwrap_or(0), variant.desired_instance_count());
    let count = match wanted {
        Some(wanted) if wanted != now => format!("{now} of {wanted}"),
        _ => now.to_string(),
    };
    let kind = known.map_or("a type not known any more", |kind| kind.as_str());
    format!("{count} × {kind}")
}

/// Its life as far as the times that the service gives tell it.
fn phases(
    aws: &Aws,
    endpoint: &DescribeEndpointOutput,
    config: Option<&DescribeEndpointConfigOutput>,
    state: &State,
) -> Vec<PhaseSpan> {
    let (Some(created), Some(updated)) =
        (endpoint.creation_time().map(time::ours), endpoint.last_modified_time().map(time::ours))
    else {
        return Vec::new();
    };
    let span = |word: &str, start, end, billed| PhaseSpan { word: word.into(), start, end, message: Safe::default(), billed };
    let switched = config.and_then(|config| config.creation_time()).map(time::ours).filter(|at| *at > created && *at <= updated);
    let word = state.word.as_str();
    match (state.phase, switched) {
        (Phase::Waiting, _) if word == "Creating" => vec![span("Creating", created, None, false)],
        // It serves the way it did before its present configuration was made, then changes, then serves again.
        (Phase::Active, Some(switched)) => {
            let (before, change) =
                (span("Serving", created, Some(switched), true), span("Updating", switched, Some(updated), true));
            vec![before, change, span("InService", updated, None, true)]
        }
        (Phase::Active, None) => {
            let since = served(aws, endpoint.endpoint_name().unwrap_or_default()).unwrap_or(updated);
            vec![span("Creating", created, Some(since), false), span("InService", since, None, true)]
        }
        (Phase::Failed, _) => vec![span("Creating", created, Some(updated), false)],
        _ => vec![span("Serving", created, Some(updated), true), span(word, updated, None, true)],
    }
}

/// Configuration, models and their archives, images and scripts.
async fn runs(
    aws: &Aws,
    endpoint: &DescribeEndpointOutput,
    config: Option<&DescribeEndpointConfigOutput>,
) -> Result<Block, Failure> {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        facts.extend(value.filter(|value| !value.is_empty()).map(|value| (name.into(), Cell::Text(Safe::line(value)))));
    };
    add("configuration", endpoint.endpoint_config_name());
    for name in config.map(hosting::models_in).unwrap_or_default() {
        add("model", Some(&name));
        let Some(model) = hosting::missing(hosting::model(aws, &name).await)? else {
            add("", Some("has been deleted; the endpoint serves it as it was"));
            continue;
        };
        add("archive", hosting::data_of(&model));
        let container = model.primary_container().or(model.containers().first());
        add("image", container.and_then(|one| one.image()).map(|image| image.rsplit('/').next().unwrap_or(image)));
        let environment = container.and_then(|one| one.environment());
        add("script", environment.and_then(|all| all.get("SAGEMAKER_PROGRAM")).map(String::as_str));
        add("role", model.execution_role_arn());
    }
    add("arn", endpoint.endpoint_arn());
    Ok(Block::Facts { title: "what it runs".into(), facts })
}

/// Calls, errors and the model's latency as CloudWatch has them (namespace `AWS/SageMaker`, latency in microseconds).
async fn curves(aws: &Aws, endpoint: &DescribeEndpointOutput) -> Result<Vec<Series>, Failure> {
    let name = endpoint.endpoint_name().unwrap_or_default();
    let variants: Vec<&str> = endpoint.production_variants().iter().filter_map(|variant| variant.variant_name()).collect();
    let Some(created) = endpoint.creation_time().map(time::ours) else { return Ok(Vec::new()) };
    if variants.is_empty() {
        return Ok(Vec::new());
    }
    // Here calls come in bursts of seconds; AWS keeps a value a minute.
    let period = if aws.mode() == Mode::Local { 5 } else { 60 };
    let now = Timestamp::now();
    let from = created.max(now.checked_sub(SignedDuration::from_hours(HOURS)).unwrap_or(now));
    let wanted = [
        ("ModelLatency", "Average", "model latency, ms", 1e-3),
        ("Invocations", "Sum", "calls", 1.0),
        ("Invocation4XXErrors", "Sum", "errors 4xx", 1.0),
        ("Invocation5XXErrors", "Sum", "errors 5xx", 1.0),
    ];
    let mut queries = Vec::new();
    for (place, variant) in variants.iter().enumerate() {
        for (number, (metric, stat, ..)) in wanted.iter().enumerate() {
            let of = |name: &str, value: &str| Dimension::builder().name(name).value(value).build();
            let metric = Metric::builder().namespace("AWS/SageMaker").metric_name(*metric);
            let metric = metric.dimensions(of("EndpointName", name)).dimensions(of("VariantName", variant)).build();
            let stat = MetricStat::builder().metric(metric).period(period).stat(*stat).build();
            let id = format!("m{}", place * wanted.len() + number);
            queries.push(MetricDataQuery::builder().id(id).metric_stat(stat).return_data(true).build());
        }
    }
    let count = queries.len();
    let call = aws.cloudwatch.get_metric_data().set_metric_data_queries(Some(queries)).scan_by(ScanBy::TimestampAscending);
    // A minute on: what was counted in this very second is stamped with it.
    let end = now.checked_add(SignedDuration::from_mins(1)).unwrap_or(now);
    let call = call.start_time(time::theirs(from)).end_time(time::theirs(end));
    // Three hours by the minute fit into one page: 180 values of each.
    let page = call.send().await.map_err(|error| fault::tell("reading the metrics", &error))?;
    let mut found: Vec<Vec<Point>> = vec![Vec::new(); count];
    for result in page.metric_data_results() {
        let place = result.id().and_then(|id| id.strip_prefix('m')?.parse::<usize>().ok());
        let Some(place) = place.filter(|place| *place < count) else { continue };
        let scale = wanted[place % wanted.len()].3;
        let points = result.timestamps().iter().zip(result.values());
        found[place].extend(points.map(|(at, value)| Point { at: time::ours(at), value: *value * scale }));
    }
    let mut series = Vec::new();
    for (place, points) in found.into_iter().enumerate() {
        let (variant, (.., title, _)) = (variants[place / wanted.len()], wanted[place % wanted.len()]);
        let errors = title.starts_with("errors");
        if points.is_empty() || (errors && points.iter().all(|point| point.value == 0.0)) {
            continue;
        }
        let name = if variants.len() > 1 { format!("{title} · {variant}") } else { title.to_owned() };
        series.push(Series { name: Safe::line(&name), points });
    }
    Ok(series)
}
