//! Everything about one tuning job.

use aws_sdk_sagemaker::operation::describe_hyper_parameter_tuning_job::DescribeHyperParameterTuningJobOutput;
use aws_sdk_sagemaker::types::TrainingJobEarlyStoppingType;

use super::describe::{Counts, Row, definition, describe, machines, maximizes, metric, per_hour, state_of};
use super::hints::hints;
use super::list::remember;
use super::plots::plots;
use super::ranges::lines_of_job;
use super::trial::{self, Trial};
use crate::aws::script_mode::hyperparameters::{decode, is_machinery};
use crate::aws::script_mode::place_of;
use crate::aws::{Aws, Mode, time};
use crate::model::show::money;
use crate::model::{Block, Cell, Detail, Failure, ItemId, Safe};

pub(super) async fn detail(aws: &Aws, id: &ItemId) -> Result<Detail, Failure> {
    let job = describe(aws, id.as_str()).await?;
    let trials = trial::read(aws, &job).await?;
    let state = state_of(&job);
    let mut blocks = Vec::new();
    if let Some(reason) = job.failure_reason().filter(|reason| !reason.is_empty()) {
        blocks.push(Block::Text { title: "why it failed".into(), text: Safe::text(reason) });
    }
    if let Some(text) = hints(aws, &job, &trials).await {
        blocks.push(Block::Text { title: "worth knowing".into(), text });
    }
    blocks.extend(best(&job, &trials));
    blocks.push(progress(aws, &job, &trials));
    let plots = plots(&job, &trials);
    if !plots.is_empty() {
        blocks.push(Block::Plots(plots));
    }
    blocks.push(search(&job));
    blocks.push(shared(&job));
    blocks.push(request(&job));
    remember(aws, Row::of_description(aws, &job, &trials));
    Ok(Detail { id: id.clone(), state, blocks, metrics: Vec::new(), log: !trials.is_empty() })
}

/// The best trial with what it tried.
fn best(job: &DescribeHyperParameterTuningJobOutput, trials: &[Trial]) -> Option<Block> {
    let trial = trial::best(trials, maximizes(job))?;
    let mut facts: Vec<(Safe, Cell)> =
        vec![(Safe::line(&format!("best {}", metric(job))), trial.objective.map_or(Cell::Absent, Cell::Number))];
    facts.extend(trial.tuned.iter().map(|(name, raw)| (Safe::line(name), Cell::Text(Safe::line(&decode(raw))))));
    facts.push(("trial".into(), Cell::Text(Safe::line(&trial.name))));
    // After a warm start the best may be a parent's.
    let overall = job.overall_best_training_job().filter(|best| best.training_job_name() != Some(&trial.name));
    let before = overall.and_then(|best| {
        let value = best.final_hyper_parameter_tuning_job_objective_metric()?.value()?;
        Some(format!("{value} by {} of {}", best.training_job_name()?, best.tuning_job_name().unwrap_or("an earlier job")))
    });
    facts.extend(before.map(|text| ("better before".into(), Cell::Text(Safe::line(&text)))));
    Some(Block::Facts { title: "best".into(), facts })
}

/// How far it is, and what it costs.
fn progress(aws: &Aws, job: &DescribeHyperParameterTuningJobOutput, trials: &[Trial]) -> Block {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, cell: Cell| facts.push((name.into(), cell));
    let limits = job.hyper_parameter_tuning_job_config().and_then(|config| config.resource_limits());
    let counts = Counts::of(job.training_job_status_counters());
    let most = limits.and_then(aws_sdk_sagemaker::types::ResourceLimits::max_number_of_training_jobs);
    let done = most.map_or_else(|| format!("{} done", counts.done), |most| format!("{} of {most} done", counts.done));
    let others = [("running", counts.running), ("failed", counts.failed)].into_iter().filter(|(_, count)| *count > 0);
    let said: Vec<String> = std::iter::once(done).chain(others.map(|(word, count)| format!("{count} {word}"))).collect();
    add("trials", Cell::Text(said.join(", ").into()));
    let price = per_hour(aws, job);
    add("cost", trial::spent(trials, price));
    let free = if aws.mode() == Mode::Local { " · free here" } else { "" };
    match price {
        Some(price) => add("price", Cell::Text(Safe::line(&format!("{}/h a trial{free}", money(price))))),
        None => add("price", Cell::Text("not known for this type and region".into())),
    }
    let (created, ended) = (job.creation_time().map(time::ours), job.hyper_parameter_tuning_end_time().map(time::ours));
    match (created, ended) {
        (Some(from), Some(to)) => add("took", Cell::Seconds(crate::model::show::seconds_between(from, to))),
        (Some(from), None) => add("elapsed", Cell::Since(from)),
        _ => {}
    }
    let (kind, count) = machines(job);
    add("instances", Cell::Text(Safe::line(&format!("{count} × {kind} a trial"))));
    Block::Facts { title: "progress".into(), facts }
}

/// What is searched, how, and when it ends.
fn search(job: &DescribeHyperParameterTuningJobOutput) -> Block {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, text: String| facts.push((Safe::line(name), Cell::Text(Safe::line(&text))));
    let Some(config) = job.hyper_parameter_tuning_job_config() else { return Block::Facts { title: "search".into(), facts } };
    add("objective", format!("{} {}", if maximizes(job) { "maximize" } else { "minimize" }, metric(job)));
    let limits = config.resource_limits();
    let parallel = limits.and_then(aws_sdk_sagemaker::types::ResourceLimits::max_parallel_training_jobs).unwrap_or(1);
    add("strategy", format!("{}, {parallel} at a time", config.strategy().map_or("", |strategy| strategy.as_str())));
    for (_, line, _) in config.parameter_ranges().map(lines_of_job).unwrap_or_default() {
        if let Some((name, range)) = line.split_once(" = ") {
            add(name, format!("searched in {range}"));
        }
    }
    if config.training_job_early_stopping_type() == Some(&TrainingJobEarlyStoppingType::Auto) {
        add("early stopping", "by the median of the others at the same epoch".to_owned());
    }
    let criteria = config.tuning_job_completion_criteria();
    if let Some(target) = criteria.and_then(aws_sdk_sagemaker::types::TuningJobCompletionCriteria::target_objective_metric_value)
    {
        add("good enough", target.to_string());
    }
    let patience = criteria.and_then(|it| it.best_objective_not_improving()?.max_number_of_training_jobs_not_improving());
    if let Some(patience) = patience {
        let since = job.tuning_job_completion_details().and_then(
            aws_sdk_sagemaker::types::HyperParameterTuningJobCompletionDetails::number_of_training_jobs_objective_not_improving,
        );
        let since = since.map_or_else(String::new, |since| format!(", {since} so far"));
        add("gives up after", format!("{patience} trials without a better one{since}"));
    }
    if let Some(seconds) = limits.and_then(aws_sdk_sagemaker::types::ResourceLimits::max_runtime_in_seconds) {
        add("all at most", crate::model::show::span(f64::from(seconds)));
    }
    if let Some(seed) = config.random_seed() {
        add("search seed", seed.to_string());
    }
    if let Some(warm) = job.warm_start_config() {
        let parents = warm.parent_hyper_parameter_tuning_jobs().iter();
        let names: Vec<&str> = parents.filter_map(|parent| parent.hyper_parameter_tuning_job_name()).collect();
        add("learns from", names.join(", "));
    }
    Block::Facts { title: "search".into(), facts }
}

/// Hyperparameters that all trials have alike.
fn shared(job: &DescribeHyperParameterTuningJobOutput) -> Block {
    let all = definition(job).and_then(|trials| trials.static_hyper_parameters());
    let mut own: Vec<(&String, &String)> = all.into_iter().flatten().filter(|(key, _)| !is_machinery(key)).collect();
    own.sort();
    let facts = own.into_iter().map(|(key, value)| (Safe::line(key), Cell::Text(Safe::line(&decode(value))))).collect();
    Block::Facts { title: "shared".into(), facts }
}

/// The rest: what each trial runs, as whom, within what limit.
fn request(job: &DescribeHyperParameterTuningJobOutput) -> Block {
    let mut facts: Vec<(Safe, Cell)> = Vec::new();
    let mut add = |name: &str, value: Option<&str>| {
        facts.extend(value.filter(|value| !value.is_empty()).map(|value| (name.into(), Cell::Text(Safe::line(value)))));
    };
    if let Some(trials) = definition(job) {
        let machinery = |key: &str| trials.static_hyper_parameters().and_then(|all| all.get(key)).map(|raw| decode(raw));
        add("script", machinery("sagemaker_program").as_deref());
        for channel in trials.input_data_config() {
            add("data", Some(&format!("{} = {}", channel.channel_name().unwrap_or_default(), place_of(channel))));
        }
        let image = trials.algorithm_specification().and_then(|it| it.training_image().or(it.algorithm_name()));
        add("image", image.map(|image| image.rsplit('/').next().unwrap_or(image)));
        add("source", machinery("sagemaker_submit_directory").as_deref());
        let limit = trials.stopping_condition().and_then(aws_sdk_sagemaker::types::StoppingCondition::max_runtime_in_seconds);
        add("a trial at most", limit.map(|limit| crate::model::show::span(f64::from(limit))).as_deref());
        add("role", trials.role_arn());
    }
    add("arn", job.hyper_parameter_tuning_job_arn());
    Block::Facts { title: "request".into(), facts }
}
