//! Instant checks of the form: those of a training job, and what is particular to a search. Limits are those of the
//! service model and of its validation (AWS: "Define hyperparameter ranges", "Resource limits for automatic model tuning").

use std::collections::HashSet;

use super::ranges::{Line, Searched, parse, text_of};
use crate::aws::script_mode::hyperparameters::pairs;
use crate::aws::script_mode::{names, tuning};
use crate::model::{Form, Problem, Safe, length};
use crate::resource::Resource as _;
use crate::resource::training_jobs::TrainingJobs;

/// Hyperparameters that Hyperband takes for the number of epochs (AWS: "Limits and resources for Hyperband").
const EPOCHS: [&str; 5] = ["epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs"];

pub(super) fn check(form: &Form) -> Vec<Problem> {
    let mut problems = Problems((TrainingJobs.spec().check)(form));
    let read = parse(form.value("ranges"));
    for told in read.iter().filter_map(|line| line.as_ref().err()) {
        problems.add("ranges", told.clone());
    }
    let lines: Vec<&Line> = read.iter().flatten().collect();
    name(form, &mut problems);
    ranges(form, &lines, &mut problems);
    sizes(form, &lines, &mut problems);
    strategy(form, &lines, &mut problems);
    objective(form, &mut problems);
    numbers(form, &mut problems);
    limit(form, &mut problems);
    warm_start(form, &mut problems);
    problems.0
}

/// How many different trials there can be; `None` when numbers with a fraction are searched.
pub(super) fn combinations(lines: &[&Line]) -> Option<u128> {
    lines.iter().try_fold(1_u128, |all, line| Some(all.saturating_mul(line.searched.count()?)))
}

/// Names in a list with commas or spaces between.
pub(super) fn listed(text: &str) -> Vec<String> {
    text.split([',', ' ']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `1 .. 27`: the least and most epochs of a Hyperband trial.
pub(super) fn resource(form: &Form) -> Option<(i32, i32)> {
    let (min, max) = form.value("resource").split_once("..")?;
    let (min, max) = (min.trim().parse().ok()?, max.trim().parse().ok()?);
    (0 < min && min < max).then_some((min, max))
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &str, message: impl Into<Safe>) {
        self.0.push(Problem { field: field.to_owned(), message: Safe::line(message.into().as_str()), fatal: true });
    }

    fn hint(&mut self, field: &str, message: impl Into<Safe>) {
        self.0.push(Problem { field: field.to_owned(), message: Safe::line(message.into().as_str()), fatal: false });
    }
}

fn name(form: &Form, problems: &mut Problems) {
    let name = form.value("name");
    let (most, base) = (tuning::LONGEST, tuning::BASE);
    let mut short = names::legal(name);
    short.truncate(base);
    let short = short.trim_end_matches('-');
    // A training job's name may have 63, which the check of training jobs has looked at.
    if name.len() > most && name.len() <= names::LONGEST {
        problems
            .add("name", format!("a tuning job's name has at most {most} characters, this has {}; try '{short}'", name.len()));
    } else if name.len() > base && name.len() <= most {
        problems.hint("name", format!("with the time appended it has at most {most} characters, so it begins with '{short}'"));
    }
}

fn ranges(form: &Form, lines: &[&Line], problems: &mut Problems) {
    if form.value("ranges").trim().is_empty() {
        problems.add("ranges", "nothing is searched; add a line, e.g. lr = 0.001 .. 0.1 log".to_owned());
    }
    if lines.len() > 30 {
        problems.add("ranges", format!("{} hyperparameters are searched; SageMaker takes at most 30", lines.len()));
    }
    let fixed: HashSet<String> = pairs(form.value("hyperparameters")).into_iter().map(|(key, _)| key).collect();
    let mut seen = HashSet::new();
    for Line { number, name, searched } in lines {
        let mut wrong = |what: String| problems.add("ranges", format!("line {number}: '{name}' {what}"));
        if !seen.insert(name) {
            wrong("is there twice; remove one of the lines".to_owned());
        }
        if fixed.contains(name) {
            wrong("is in the hyperparameters, too; keep it in one of the two".to_owned());
        }
        if name.len() > 256 || name.starts_with("sagemaker_") || name == "_tuning_objective_metric" {
            wrong("cannot be searched: the name belongs to SageMaker or is longer than 256 characters".to_owned());
        }
        match searched {
            Searched::Numbers { min, max, whole, scaling } => {
                let number = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
                let (low, high) = (number(min), number(max));
                if low > high {
                    wrong(format!("goes from {min} down to {max}; write {max} .. {min}"));
                } else if low >= high {
                    wrong(format!("has only the value {min}; move it to the hyperparameters, or widen the range"));
                } else if *scaling == "Logarithmic" && low <= 0.0 {
                    wrong("cannot have log scaling from 0 or below; begin above 0, or write linear".to_owned());
                } else if *scaling == "ReverseLogarithmic" && (*whole || low < 0.0 || high >= 1.0) {
                    wrong("can have reverse-log scaling only for numbers from 0.0 to below 1.0; write log or linear".to_owned());
                }
            }
            Searched::List(values) => {
                let texts: Vec<String> = values.iter().map(text_of).collect();
                let twice = texts.iter().enumerate().find(|(at, text)| texts[..*at].contains(text));
                if let Some((_, twice)) = twice {
                    wrong(format!("has the value {twice} twice; remove one"));
                } else if texts.len() < 2 {
                    wrong("has fewer than two values to choose from; move a single one to the hyperparameters".to_owned());
                } else if texts.len() > 30 || texts.iter().any(|text| text.len() > 254) {
                    wrong("has too much to choose from: at most 30 values of at most 254 characters".to_owned());
                }
            }
        }
    }
}

fn sizes(form: &Form, lines: &[&Line], problems: &mut Problems) {
    let number = |field: &str| form.value(field).trim().parse::<u128>().ok();
    let grid = form.value("strategy") == "Grid";
    let combinations = combinations(lines).filter(|_| !lines.is_empty());
    let jobs = if grid { combinations } else { number("max_jobs") };
    if let (Some(jobs), Some(parallel)) = (jobs, number("max_parallel_jobs"))
        && jobs > 0
        && parallel > jobs
    {
        problems
            .add("max_parallel_jobs", format!("{parallel} at a time are more than the {jobs} there will be; set at most {jobs}"));
    }
    if let (Some(jobs), Some(most), false) = (jobs, combinations, grid)
        && jobs > most
    {
        problems.add(
            "max_jobs",
            format!(
                "the ranges have only {most} combinations, and SageMaker refuses {jobs} trials; set at most {most}, or use Grid"
            ),
        );
    }
    let most = match form.value("strategy") {
        "Random" => 10_000,
        "Grid" => 1_000,
        _ => 750,
    };
    if let Some(jobs) = jobs.filter(|jobs| *jobs > most) {
        problems
            .add(if grid { "ranges" } else { "max_jobs" }, format!("{jobs} trials are more than the {most} that SageMaker runs"));
    }
}

fn strategy(form: &Form, lines: &[&Line], problems: &mut Problems) {
    let (strategy, early) = (form.value("strategy"), form.value("early_stopping") == "yes");
    match strategy {
        "Bayesian" => {
            let number = |field: &str| form.value(field).trim().parse::<u32>().unwrap_or(u32::MAX);
            let (jobs, parallel) = (number("max_jobs"), number("max_parallel_jobs"));
            if jobs <= 3 {
                problems.hint(
                    "strategy",
                    format!("{jobs} Bayesian trials are as good as random ones: it learns from those before; 10 or more make a difference"),
                );
            } else if parallel >= jobs {
                problems.hint(
                    "strategy",
                    "all trials run at once, so Bayesian search has none to learn from; lower `at a time`".to_owned(),
                );
            }
        }
        "Random" => {}
        "Grid" => {
            let first = lines.iter().find(|line| !matches!(line.searched, Searched::List(_)));
            if let Some(Line { name, .. }) = first {
                problems.add(
                    "ranges",
                    format!("a grid needs lists, and '{name}' is a range; write {name} = [0.01, 0.1], or use Random"),
                );
            }
            if !form.value("warm_start").trim().is_empty() {
                problems.add(
                    "warm_start",
                    "a grid tries everything, whatever came before; leave this empty, or use Bayesian".to_owned(),
                );
            }
        }
        "Hyperband" => {
            if early {
                problems.add("early_stopping", "Hyperband stops trials itself; set this to no".to_owned());
            }
            let keys: Vec<String> = pairs(form.value("hyperparameters")).into_iter().map(|(key, _)| key).collect();
            let told = keys.iter().chain(lines.iter().map(|line| &line.name)).any(|key| EPOCHS.contains(&key.as_str()));
            if form.value("resource").is_empty() && !told {
                problems.add("resource", "Hyperband must know how long a trial may get: write e.g. 1 .. 27 epochs here, or have a hyperparameter `epochs`".to_owned());
            }
        }
        other => problems.add("strategy", format!("'{other}' is no strategy; choose Bayesian, Random, Grid or Hyperband")),
    }
    let resource = form.value("resource");
    if !resource.is_empty() && self::resource(form).is_none() {
        problems.add("resource", format!("'{resource}' is not least .. most, e.g. 1 .. 27"));
    } else if !resource.is_empty() && strategy != "Hyperband" {
        problems.add("resource", format!("only Hyperband knows this, and the strategy is {strategy}; leave it empty"));
    }
}

fn objective(form: &Form, problems: &mut Problems) {
    let (metric, known) = (form.value("objective"), pairs(form.value("metrics")));
    if !known.iter().any(|(name, _)| name == metric) {
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        problems.add(
            "objective",
            if names.is_empty() {
                "trials are judged by a metric, and there is none; add one below, e.g. loss = loss: ([0-9.]+)".to_owned()
            } else {
                format!("'{metric}' is not among the metrics; choose one of: {}", names.join(", "))
            },
        );
    }
    if !["minimize", "maximize"].contains(&form.value("goal")) {
        problems.add("goal", format!("'{}' is neither minimize nor maximize", form.value("goal")));
    }
}

/// Fields that may be empty, and are numbers otherwise.
fn numbers(form: &Form, problems: &mut Problems) {
    let target = form.value("target");
    if !target.is_empty() && !target.parse::<f32>().is_ok_and(f32::is_finite) {
        problems.add("target", format!("'{target}' is no number; write e.g. 0.05, or leave it empty"));
    }
    for (field, min, max, example) in
        [("max_not_improving", 3, 750, "a number of trials, e.g. 5"), ("seed", 0, i64::from(i32::MAX), "a whole number, e.g. 1")]
    {
        let value = form.value(field).trim();
        if !value.is_empty() && !value.parse::<i64>().is_ok_and(|number| (min..=max).contains(&number)) {
            problems.add(field, format!("'{value}' is not from {min} to {max}; write {example}, or leave it empty"));
        }
    }
}

/// The limit of the whole search: AWS takes 2 minutes to half a year (`ResourceLimits.MaxRuntimeInSeconds`).
fn limit(form: &Form, problems: &mut Problems) {
    let limit = form.value("max_total").trim();
    if !limit.is_empty() && !length::seconds(limit).is_some_and(|seconds| (120..=15_768_000).contains(&seconds)) {
        problems.add("max_total", format!("'{limit}' is no length of time from 2m to 182d; write e.g. 4h, or leave it empty"));
    }
}

fn warm_start(form: &Form, problems: &mut Problems) {
    let parents = listed(form.value("warm_start"));
    if parents.len() > 5 {
        problems
            .add("warm_start", format!("{} tuning jobs to learn from are too many; SageMaker takes at most 5", parents.len()));
    }
    if let Some(wrong) = parents.iter().find(|name| names::problem(name).is_some() || name.len() > tuning::LONGEST) {
        problems.add("warm_start", format!("'{wrong}' is no name of a tuning job; write names with commas between"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::form::launch;
    use super::*;
    use crate::model::{MetricRule, Range, Recipe, Scalar, TuningRecipe};

    fn recipe() -> Recipe {
        let tuning = TuningRecipe {
            strategy: "Random".into(),
            max_jobs: 4,
            max_parallel_jobs: 2,
            early_stopping: false,
            objective: "loss".into(),
            maximize: false,
            ranges: vec![
                ("lr".into(), Range::Continuous { min: 0.001, max: 0.1, scaling: "Auto".into() }),
                ("batch".into(), Range::Categorical(vec![Scalar::Whole(32), Scalar::Whole(64)])),
            ],
            hyperparameters: vec![("epochs".into(), Scalar::Whole(3))],
            entry_point: Some("hpo.py".into()),
            instance_type: None,
            instance_count: None,
            max_runtime_seconds: None,
            max_total_seconds: None,
            seed: Some(1),
            target: None,
            max_not_improving: None,
            warm_start: Vec::new(),
            warm_start_identical: false,
        };
        Recipe {
            name: "digits".into(),
            framework: "pytorch".into(),
            framework_version: "1.9".into(),
            entry_point: "train.py".into(),
            instance_type: "ml.m5.xlarge".into(),
            metrics: vec![MetricRule { name: "loss".into(), regex: "loss=([0-9.]+)".into() }],
            tuning: Some(tuning),
            ..Recipe::default()
        }
    }

    fn said(changes: &[(&str, &str)]) -> Vec<String> {
        let mut form = launch(&recipe()).unwrap();
        for (name, value) in changes {
            form.fields.iter_mut().find(|field| field.name == *name).unwrap().value = (*value).to_owned();
        }
        let told = check(&form);
        told.iter().map(|told| format!("{}{}: {}", if told.fatal { "" } else { "hint " }, told.field, told.message)).collect()
    }

    /// Changes to the form, the field that is told of, and a part of what is said.
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

    #[test]
    fn a_sound_form_has_no_problem_and_each_problem_names_its_field_and_the_remedy() {
        assert_eq!(said(&[]), [] as [String; 0]);
        let grid = ("strategy", "Grid");
        let band = ("strategy", "Hyperband");
        let table: &[Case<'_>] = &[
            (&[("ranges", "lr = 0.1 .. 0.001")], "ranges", "line 1: 'lr' goes from 0.1 down to 0.001; write 0.001 .. 0.1"),
            (&[("ranges", "lr = 0.1 .. 0.1")], "ranges", "move it to the hyperparameters"),
            (&[("ranges", "lr = 0 .. 1.0\nb = [32]")], "ranges", "line 2: 'b' has fewer than two values"),
            (&[("ranges", "lr = 0 .. 1.0\nb = [32, 64, 32]")], "ranges", "the value 32 twice"),
            (&[("ranges", "b = [\"32\", 32, 1, 2, 3]")], "ranges", "the value 32 twice"),
            (&[("ranges", "")], "ranges", "nothing is searched"),
            (&[("ranges", "lr = 0 .. 1.0\nlr = 0 .. 2.0")], "ranges", "there twice"),
            (&[("ranges", "epochs = 1 .. 9")], "ranges", "in the hyperparameters, too"),
            (&[("ranges", "lr = 0 .. 0.1 log")], "ranges", "begin above 0"),
            (&[("ranges", "lr = 0.5 .. 1.5 reverse-log")], "ranges", "reverse-log"),
            (&[("ranges", "b = [1, 2, 3]")], "max_jobs", "only 3 combinations"),
            (&[grid], "ranges", "a grid needs lists, and 'lr' is a range"),
            (&[grid, ("ranges", "b = [1, 2]"), ("max_parallel_jobs", "3")], "max_parallel_jobs", "set at most 2"),
            (&[grid, ("ranges", "b = [1, 2]"), ("warm_start", "old")], "warm_start", "leave this empty"),
            (&[("max_parallel_jobs", "5")], "max_parallel_jobs", "set at most 4"),
            (&[("max_jobs", "0")], "max_jobs", "whole number from 1"),
            (&[band, ("early_stopping", "yes")], "early_stopping", "Hyperband stops trials itself"),
            (&[band, ("hyperparameters", "")], "resource", "1 .. 27"),
            (&[band, ("resource", "27 .. 1")], "resource", "least .. most"),
            (&[("resource", "1 .. 27")], "resource", "only Hyperband"),
            (&[("strategy", "Bayes")], "strategy", "choose Bayesian"),
            (&[("strategy", "Bayesian"), ("max_jobs", "2")], "hint strategy", "2 Bayesian trials are as good as random"),
            (&[("strategy", "Bayesian"), ("max_parallel_jobs", "4")], "hint strategy", "none to learn from"),
            (&[("objective", "accuracy")], "objective", "choose one of: loss"),
            (&[("goal", "max")], "goal", "neither"),
            (&[("target", "low")], "target", "no number"),
            (&[("max_not_improving", "1")], "max_not_improving", "from 3"),
            (&[("max_total", "10")], "max_total", "from 2m"),
            (&[("seed", "-1")], "seed", "from 0"),
            (&[("warm_start", "a, b_c")], "warm_start", "'b_c' is no name"),
            (&[("warm_start", "a,b,c,d,e,f")], "warm_start", "at most 5"),
            (
                &[("name", "a-name-that-is-longer-than-thirty-two")],
                "name",
                "at most 32 characters, this has 37; try 'a-name-that-is'",
            ),
            (&[("name", "a-name-of-twenty-one")], "hint name", "begins with 'a-name-of-twent'"),
            (&[("name", "my_tuning")], "name", "try 'my-tuning'"),
            (&[("instance_type", "ml.m5.xlarg")], "instance_type", "did you mean ml.m5.xlarge?"),
        ];
        for (changes, field, part) in table {
            let said = said(changes);
            assert!(said.len() == 1 && said[0].starts_with(field) && said[0].contains(part), "{changes:?}: {said:?}");
        }
    }
}
