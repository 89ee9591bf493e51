//! The form of a launch: a training job's fields, and those of the search.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::describe::{definition, machines, maximizes, metric};
use super::parent::Parent;
use super::ranges::{lines_of, lines_of_job};
use crate::aws::Aws;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::{decode, is_machinery, line_of};
use crate::aws::script_mode::place_of;
use crate::model::length::written;
use crate::model::{Failure, Field, FieldKind, Form, ItemId, MetricRule, Recipe, Safe, Verb};
use crate::resource::staging::invalid;
use crate::resource::training_jobs::{launch_form, line_of_raw};

/// What the fields of the search start with.
#[derive(Default)]
struct Start {
    strategy: String,
    objective: String,
    goal: &'static str,
    ranges: String,
    max_jobs: String,
    max_parallel_jobs: String,
    early_stopping: bool,
    target: String,
    max_not_improving: String,
    max_total: String,
    learn_from: String,
    same_code: bool,
    seed: String,
    resource: String,
    metrics: Vec<String>,
}

/// From the project file's `[tuning]`.
///
/// # Errors
/// When the file has no such part, with the lines to add.
pub(super) fn launch(recipe: &Recipe) -> Result<Form, Failure> {
    let Some(tuning) = &recipe.tuning else {
        return Err(invalid(
            "footplate.toml does not say what to search",
            "add for instance:\n\n[tuning]\nstrategy = \"Bayesian\"\nmax_jobs = 10\nmax_parallel_jobs = 2\n\n[tuning.objective]\nmetric = \"loss\"        # one of [[metrics]]\ngoal = \"minimize\"\n\n[tuning.ranges]\nlr = { min = 0.001, max = 0.1, scaling = \"Logarithmic\" }\nbatch-size = [32, 64, 128]",
        ));
    };
    let told = |number: Option<u32>| number.map(|number| number.to_string()).unwrap_or_default();
    let start = Start {
        strategy: tuning.strategy.clone(),
        objective: tuning.objective.clone(),
        goal: if tuning.maximize { "maximize" } else { "minimize" },
        ranges: lines_of(&tuning.ranges),
        max_jobs: tuning.max_jobs.to_string(),
        max_parallel_jobs: tuning.max_parallel_jobs.to_string(),
        early_stopping: tuning.early_stopping,
        target: tuning.target.map(|target| target.to_string()).unwrap_or_default(),
        max_not_improving: told(tuning.max_not_improving),
        max_total: tuning.max_total_seconds.map(|seconds| written(i64::from(seconds))).unwrap_or_default(),
        learn_from: tuning.warm_start.join(", "),
        same_code: tuning.warm_start_identical,
        seed: told(tuning.seed),
        resource: String::new(),
        metrics: recipe.metrics.iter().map(|rule| rule.name.clone()).collect(),
    };
    let mut form = form("Launch a tuning job", Verb::Launch, None, start, launch_form(recipe).fields);
    let shared: Vec<String> = tuning.hyperparameters.iter().map(|(key, value)| format!("{key} = {}", line_of(value))).collect();
    put(&mut form, "hyperparameters", shared.join("\n"));
    let entry_point = tuning.entry_point.clone();
    for (field, own) in [
        ("entry_point", entry_point),
        ("instance_type", tuning.instance_type.clone()),
        // A search wants many cheap trials: one machine each, whatever the final run takes.
        ("instance_count", Some(tuning.instance_count.unwrap_or(1).to_string())),
        ("max_runtime", tuning.max_runtime_seconds.map(|seconds| written(i64::from(seconds)))),
    ] {
        if let Some(own) = own {
            put(&mut form, field, own);
        }
    }
    Ok(form)
}

/// From a tuning job that has run: its very values, and the code that it ran.
pub(super) async fn clone(aws: &Aws, recipe: &Recipe, parent: &ItemId) -> Result<Form, Failure> {
    let read = Parent::read(aws, parent).await?;
    let job = &read.job;
    let (Some(config), Some(trials)) = (job.hyper_parameter_tuning_job_config(), definition(job)) else {
        return Err(invalid(&format!("{} does not tell what it was asked for", parent.as_str()), ""));
    };
    let limits = config.resource_limits();
    let criteria = config.tuning_job_completion_criteria();
    let warm = job.warm_start_config();
    let whole = |number: Option<i32>| number.map(|number| number.to_string()).unwrap_or_default();
    let rules = metrics_of(
        trials
            .algorithm_specification()
            .map(aws_sdk_sagemaker::types::HyperParameterAlgorithmSpecification::metric_definitions)
            .unwrap_or_default(),
    );
    let band = config.strategy_config().and_then(|strategy| strategy.hyperband_strategy_config());
    let max_jobs = limits.and_then(aws_sdk_sagemaker::types::ResourceLimits::max_number_of_training_jobs);
    let start = Start {
        strategy: config.strategy().map_or("", |strategy| strategy.as_str()).to_owned(),
        objective: metric(job).to_owned(),
        goal: if maximizes(job) { "maximize" } else { "minimize" },
        ranges: config
            .parameter_ranges()
            .map(|ranges| lines_of_job(ranges).into_iter().map(|(_, line, _)| line).collect::<Vec<_>>().join("\n"))
            .unwrap_or_default(),
        // A grid does not say how many; the field is not used then.
        max_jobs: max_jobs.unwrap_or(10).to_string(),
        max_parallel_jobs: limits
            .and_then(aws_sdk_sagemaker::types::ResourceLimits::max_parallel_training_jobs)
            .unwrap_or(1)
            .to_string(),
        early_stopping: config.training_job_early_stopping_type().is_some_and(|kind| kind.as_str() == "Auto"),
        target: criteria
            .and_then(aws_sdk_sagemaker::types::TuningJobCompletionCriteria::target_objective_metric_value)
            .map(|it| it.to_string())
            .unwrap_or_default(),
        max_not_improving: whole(
            criteria.and_then(|it| it.best_objective_not_improving()?.max_number_of_training_jobs_not_improving()),
        ),
        max_total: limits
            .and_then(aws_sdk_sagemaker::types::ResourceLimits::max_runtime_in_seconds)
            .map(|seconds| written(i64::from(seconds)))
            .unwrap_or_default(),
        learn_from: warm
            .map(aws_sdk_sagemaker::types::HyperParameterTuningJobWarmStartConfig::parent_hyper_parameter_tuning_jobs)
            .unwrap_or_default()
            .iter()
            .filter_map(|parent| parent.hyper_parameter_tuning_job_name())
            .collect::<Vec<_>>()
            .join(", "),
        same_code: warm.and_then(|warm| warm.warm_start_type()).is_some_and(|kind| kind.as_str() == "IdenticalDataAndAlgorithm"),
        seed: whole(config.random_seed()),
        resource: band.and_then(|band| Some(format!("{} .. {}", band.min_resource()?, band.max_resource()?))).unwrap_or_default(),
        metrics: rules.iter().map(|rule| rule.name.clone()).collect(),
    };
    let title = format!("Clone {}", parent.as_str());
    let mut form = form(&title, Verb::Clone, Some(parent.clone()), start, launch_form(recipe).fields);
    let all = trials.static_hyper_parameters();
    let machinery = |key: &str| all.and_then(|all| all.get(key)).map(|raw| decode(raw)).unwrap_or_default();
    let mut own: Vec<(&String, &String)> = all.into_iter().flatten().filter(|(key, _)| !is_machinery(key)).collect();
    own.sort();
    let mut environment: Vec<(&String, &String)> = trials.environment().into_iter().flatten().collect();
    environment.sort();
    let channels = trials.input_data_config().iter().map(|it| (it.channel_name().unwrap_or_default(), place_of(it)));
    let (kind, count) = machines(job);
    let volume = trials
        .hyper_parameter_tuning_resource_config()
        .and_then(aws_sdk_sagemaker::types::HyperParameterTuningResourceConfig::volume_size_in_gb);
    let volume = volume.or_else(|| trials.resource_config()?.volume_size_in_gb());
    let limit = trials.stopping_condition().and_then(aws_sdk_sagemaker::types::StoppingCondition::max_runtime_in_seconds);
    let output = trials.output_data_config().and_then(|config| config.s3_output_path()).and_then(S3Uri::parse);
    let algorithm = trials.algorithm_specification();
    for (field, value) in [
        ("name", base_of(parent.as_str()).to_owned()),
        ("instance_type", kind.to_owned()),
        ("instance_count", count.to_string()),
        ("max_runtime", written(i64::from(limit.unwrap_or(86_400)))),
        ("volume_gb", volume.unwrap_or(30).to_string()),
        ("source_dir", machinery("sagemaker_submit_directory")),
        ("entry_point", machinery("sagemaker_program")),
        ("hyperparameters", lines(own.into_iter().map(|(key, raw)| (key.as_str(), line_of_raw(raw))))),
        ("metrics", lines(rules.iter().map(|rule| (rule.name.as_str(), rule.regex.clone())))),
        ("channels", lines(channels)),
        ("environment", lines(environment.into_iter().map(|(key, value)| (key.as_str(), value.clone())))),
        ("role", trials.role_arn().unwrap_or_default().to_owned()),
        // An algorithm that was bought has a name instead of an image.
        ("image", algorithm.and_then(|it| it.training_image().or(it.algorithm_name())).unwrap_or_default().to_owned()),
        ("framework", String::new()),
        ("framework_version", String::new()),
        ("py_version", String::new()),
        ("bucket", output.map(|output| output.bucket).unwrap_or_default()),
    ] {
        put(&mut form, field, value);
    }
    Ok(form)
}

/// Writes what a field starts with.
pub(super) fn put(form: &mut Form, name: &str, value: String) {
    if let Some(field) = form.fields.iter_mut().find(|field| field.name == name) {
        field.initial.clone_from(&value);
        field.value = value;
    }
}

fn metrics_of(rules: &[aws_sdk_sagemaker::types::MetricDefinition]) -> Vec<MetricRule> {
    let rule = |name: Option<&str>, regex: Option<&str>| Some(MetricRule { name: name?.to_owned(), regex: regex?.to_owned() });
    rules.iter().filter_map(|found| rule(found.name(), found.regex())).collect()
}

fn lines<'a>(pairs: impl Iterator<Item = (&'a str, String)>) -> String {
    pairs.map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join("\n")
}

/// The base of a name that ends in a time stamp: ours, or the Python SDK's.
fn base_of(name: &str) -> &str {
    static STAMP: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"-\d{6}-(\d{9}|\d{4})$").ok());
    STAMP.as_ref().and_then(|stamp| stamp.find(name)).map_or(name, |found| &name[..found.start()])
}

fn form(title: &str, verb: Verb, parent: Option<ItemId>, start: Start, training: Vec<Field>) -> Form {
    let choice = |options: &[&'static str]| FieldKind::Choice {
        options: options.iter().copied().map(Cow::Borrowed).collect(),
        open: false,
    };
    let flag = |on: bool| if on { "yes" } else { "no" }.to_owned();
    let metrics = FieldKind::Choice { options: start.metrics.into_iter().map(Cow::Owned).collect(), open: true };
    let mut fields: Vec<Field> = training.into_iter().filter(|field| FIELDS.contains(&field.name.as_ref())).collect();
    if let Some(name) = fields.iter_mut().find(|field| field.name == "name") {
        name.help = "Base of the tuning job's name; the time is appended. Letters, digits and '-', at most 15 survive.".into();
    }
    if let Some(shared) = fields.iter_mut().find(|field| field.name == "hyperparameters") {
        shared.label = "shared values".into();
        shared.help = "One `key = value` a line: hyperparameters that all trials have alike.".into();
    }
    if let Some(limit) = fields.iter_mut().find(|field| field.name == "max_runtime") {
        limit.label = "a trial at most".into();
        limit.help =
            "SageMaker stops a trial after so long, e.g. 90m or 24h; times the trials, it is the limit of the cost.".into();
    }
    let search = vec![
        Field::of(
            "ranges",
            "search",
            FieldKind::Area,
            start.ranges,
            "One a line: lr = 0.001 .. 0.1 log, hidden = 8 .. 64, batch-size = [32, 64].",
        ),
        Field::of(
            "strategy",
            "strategy",
            choice(&["Bayesian", "Random", "Grid", "Hyperband"]),
            start.strategy,
            "How the next trial is chosen: from those before, at random, all there are, or by halving.",
        ),
        Field::of(
            "objective",
            "objective",
            metrics,
            start.objective,
            "The metric that trials are judged by; one of those below.",
        ),
        Field::of(
            "goal",
            "goal",
            choice(&["minimize", "maximize"]),
            start.goal.to_owned(),
            "Whether less or more of it is better.",
        ),
        Field::of(
            "max_jobs",
            "trials",
            FieldKind::Whole { min: 1, max: 10_000 },
            start.max_jobs,
            "How many trials at most; a grid has as many as it has combinations.",
        ),
        Field::of(
            "max_parallel_jobs",
            "at a time",
            FieldKind::Whole { min: 1, max: 100 },
            start.max_parallel_jobs,
            "How many run at once. Bayesian search learns more when there are few.",
        ),
        Field::of(
            "early_stopping",
            "early stopping",
            FieldKind::Toggle,
            flag(start.early_stopping),
            "Stop trials that do worse than the median at the same epoch; they must tell the objective each epoch.",
        ),
        Field::of(
            "target",
            "good enough",
            FieldKind::Line,
            start.target,
            "Stop all once the objective is as good as this; empty: never.",
        ),
        Field::of(
            "max_not_improving",
            "give up after",
            FieldKind::Line,
            start.max_not_improving,
            "Stop all once so many trials in a row brought nothing better; empty: never.",
        ),
        Field::of(
            "max_total",
            "all at most",
            FieldKind::Line,
            start.max_total,
            "Stop all after so long, e.g. 4h; empty: as long as the trials take.",
        ),
    ];
    let rest = vec![
        Field::of(
            "warm_start",
            "learn from",
            FieldKind::Line,
            start.learn_from,
            "Names of earlier tuning jobs with commas between, at most 5; empty: begin afresh.",
        ),
        Field::of(
            "warm_start_identical",
            "same data, code",
            FieldKind::Toggle,
            flag(start.same_code),
            "The earlier ones ran the same code on the same data, so their results count as this one's.",
        ),
        Field::of(
            "seed",
            "seed",
            FieldKind::Line,
            start.seed,
            "The same seed gives the same first trials; empty: another each time.",
        ),
        Field::of(
            "resource",
            "epochs of a trial",
            FieldKind::Line,
            start.resource,
            "For Hyperband alone: least .. most, e.g. 1 .. 27; empty: as the hyperparameter `epochs` says.",
        ),
    ];
    let after_name = fields.iter().position(|field| field.name == "name").map_or(0, |at| at + 1);
    fields.splice(after_name..after_name, search);
    fields.extend(rest);
    Form { title: Safe::line(title), resource: super::SPEC.id.to_owned(), verb, parent, fields }
}

/// A training job's fields that a trial has, too.
const FIELDS: [&str; 17] = [
    "name",
    "instance_type",
    "instance_count",
    "max_runtime",
    "volume_gb",
    "source_dir",
    "entry_point",
    "hyperparameters",
    "channels",
    "metrics",
    "environment",
    "framework",
    "framework_version",
    "py_version",
    "image",
    "role",
    "bucket",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_of_a_name_is_without_its_time() {
        let bases = ["digits-261122-071836364", "pytorch-training-230320-2041", "digits"].map(base_of);
        assert_eq!(bases, ["digits", "pytorch-training", "digits"]);
    }
}
