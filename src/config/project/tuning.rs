//! `[tuning]`: what a search for hyperparameters tries.

use super::super::sheet::Section;
use crate::model::{Range, Recipe, Scalar, TuningRecipe};

const STRATEGIES: [&str; 4] = ["Bayesian", "Random", "Grid", "Hyperband"];
const SCALINGS: [&str; 4] = ["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"];
/// `CreateHyperParameterTuningJob`: at most 30 hyperparameters are searched, each with at most 30 categories.
const RANGES: usize = 30;
const CATEGORIES: usize = 30;
/// 30 days, for one trial 28 (service model).
const LONGEST: i64 = 30 * 86_400;

/// Reads `[tuning]`, if the file has it. The rest of the project has been read before.
pub(super) fn read(top: &Section, recipe: &mut Recipe) {
    let section = top.section("tuning");
    let whole = |key, range| section.whole(key, range).and_then(|number| u32::try_from(number).ok());
    let length = |key, most| section.seconds(key, 1..=most).and_then(|seconds| u32::try_from(seconds).ok());
    let objective = section.section("objective");
    let ranges = section.section("ranges");
    let searched = read_ranges(&ranges);
    let shared = super::hyperparameters(&section.section("hyperparameters"));
    let tuning = TuningRecipe {
        strategy: section.one_of("strategy", &STRATEGIES).unwrap_or_else(|| STRATEGIES[0].to_owned()),
        max_jobs: whole("max_jobs", 1..=750).unwrap_or(2),
        max_parallel_jobs: whole("max_parallel_jobs", 1..=100).unwrap_or(1),
        early_stopping: section.flag("early_stopping").unwrap_or_default(),
        objective: objective.text("metric").or_else(|| recipe.metrics.first().map(|rule| rule.name.clone())).unwrap_or_default(),
        maximize: objective.one_of("goal", &["minimize", "maximize"]).is_some_and(|goal| goal == "maximize"),
        hyperparameters: if section.has("hyperparameters") {
            shared
        } else {
            let is_searched = |name: &String| searched.iter().any(|(range, _)| range == name);
            recipe.hyperparameters.iter().filter(|(name, _)| !is_searched(name)).cloned().collect()
        },
        ranges: searched,
        entry_point: super::entry_point(&section),
        instance_type: super::instance_type(&section),
        instance_count: whole("instance_count", 1..=1000),
        max_runtime_seconds: length("max_runtime", 28 * 86_400),
        max_total_seconds: length("max_total", LONGEST),
        seed: whole("seed", 0..=i64::from(i32::MAX)),
        target: section.number("target", f64::MIN..=f64::MAX),
        max_not_improving: whole("max_not_improving", 3..=750),
        warm_start: section.list("warm_start").unwrap_or_default(),
        warm_start_identical: section.flag("warm_start_identical").unwrap_or_default(),
    };
    if top.has("tuning") {
        judge(&section, &objective, &ranges, &tuning, recipe);
        objective.close();
        section.close();
        recipe.tuning = Some(tuning);
    }
}

/// What the parts say about each other.
fn judge(section: &Section, objective: &Section, ranges: &Section, tuning: &TuningRecipe, recipe: &Recipe) {
    if !recipe.metrics.iter().any(|rule| rule.name == tuning.objective) {
        let known: Vec<&str> = recipe.metrics.iter().map(|rule| rule.name.as_str()).collect();
        let what = if known.is_empty() {
            "needs a metric to judge trials by: add a [[metrics]] with its regex".to_owned()
        } else {
            format!("must be one of [[metrics]]: {}", known.join(", "))
        };
        objective.wrong("metric", &what);
    }
    // A range that is wrong has been told.
    if ranges.keys().is_empty() {
        ranges.note(ranges.place(), "[tuning.ranges] is empty; add what to search, for instance lr = { min = 0.001, max = 0.1 }");
    }
    if tuning.ranges.len() > RANGES {
        ranges.note(ranges.place(), format!("[tuning.ranges] has {} entries; SageMaker searches {RANGES}", tuning.ranges.len()));
    }
    if tuning.max_parallel_jobs > tuning.max_jobs {
        section.wrong("max_parallel_jobs", &format!("must be at most max_jobs, which is {}", tuning.max_jobs));
    }
    for (name, _) in &tuning.hyperparameters {
        if tuning.ranges.iter().any(|(range, _)| range == name) {
            section.wrong("hyperparameters", &format!("has `{name}`, which is searched, too; keep it in one of the two"));
        }
    }
}

fn read_ranges(section: &Section) -> Vec<(String, Range)> {
    let mut found = Vec::new();
    for name in section.keys() {
        if !super::is_hyperparameter(section, &name, section.place_of(&name)) {
            continue;
        }
        if let Some(categories) = section.scalar_list(&name) {
            if let Some(range) = categorical(section, &name, categories) {
                found.push((name, range));
            }
            continue;
        }
        let Some(table) = section.table_of(&name) else {
            section.wrong(&name, "must be { min = …, max = … }, or a list of values");
            continue;
        };
        let scaling = table.one_of("scaling", &SCALINGS).unwrap_or_else(|| SCALINGS[0].to_owned());
        let (min, max) = (table.scalar("min"), table.scalar("max"));
        table.close();
        let range = match (min, max) {
            (Some(Scalar::Whole(min)), Some(Scalar::Whole(max))) if min < max => Range::Integer { min, max, scaling },
            (Some(min), Some(max)) => match (number(&min), number(&max)) {
                (Some(min), Some(max)) if min < max => Range::Continuous { min, max, scaling },
                (Some(_), Some(_)) => {
                    section.wrong(&name, "must have a min below its max; a single value belongs to [tuning.hyperparameters]");
                    continue;
                }
                _ => {
                    section.wrong(&name, "must have numbers as min and max; for other values write a list");
                    continue;
                }
            },
            _ => {
                section.wrong(&name, "must have min and max");
                continue;
            }
        };
        found.push((name, range));
    }
    found
}

fn categorical(section: &Section, name: &str, values: Vec<Scalar>) -> Option<Range> {
    if values.is_empty() || values.len() > CATEGORIES {
        section.wrong(name, &format!("must have 1 to {CATEGORIES} values to choose from"));
        return None;
    }
    if let Some(twice) = values.iter().enumerate().find(|(at, value)| values[..*at].contains(value)) {
        section.wrong(name, &format!("has the value {} twice", shown(twice.1)));
        return None;
    }
    Some(Range::Categorical(values))
}

fn shown(value: &Scalar) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Whole(value) => value.to_string(),
        Scalar::Number(value) => value.to_string(),
        Scalar::Text(value) => value.clone(),
    }
}

fn number(value: &Scalar) -> Option<f64> {
    match value {
        #[expect(clippy::cast_precision_loss, reason = "a bound beyond 2^53 is as good as its neighbour")]
        Scalar::Whole(value) => Some(*value as f64),
        Scalar::Number(value) => Some(*value),
        Scalar::Bool(_) | Scalar::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::parse;
    use super::*;

    const METRIC: &str = "[[metrics]]\nname = \"loss\"\nregex = 'loss=(.*)'\n";

    fn read(text: &str) -> Result<TuningRecipe, Vec<String>> {
        let text = format!("{text}{METRIC}");
        match parse(&text, Path::new("footplate.toml"), Path::new("/home/u/digits")) {
            Ok(recipe) => Ok(recipe.tuning.unwrap()),
            Err(failure) => Err(failure.what.lines().skip(1).map(|line| line.trim().to_owned()).collect()),
        }
    }

    #[test]
    fn ranges_are_told_apart_by_how_they_are_written() {
        let tuning = read(
            "[training.hyperparameters]\nlr = 0.05\nepochs = 3\n[tuning.ranges]\nlr = { min = 0.001, max = 0.1, scaling = \"Logarithmic\" }\nbs = [32, 64]\nhidden = { min = 8, max = 64 }\n",
        )
        .unwrap();
        let expected = [
            ("lr", Range::Continuous { min: 0.001, max: 0.1, scaling: "Logarithmic".to_owned() }),
            ("bs", Range::Categorical(vec![Scalar::Whole(32), Scalar::Whole(64)])),
            ("hidden", Range::Integer { min: 8, max: 64, scaling: "Auto".to_owned() }),
        ];
        assert_eq!(tuning.ranges, expected.map(|(name, range)| (name.to_owned(), range)));
        assert_eq!(tuning.hyperparameters, [("epochs".to_owned(), Scalar::Whole(3))], "what is searched is not shared");
        assert_eq!((tuning.objective.as_str(), tuning.maximize), ("loss", false));
    }

    #[test]
    fn what_cannot_be_searched_is_said_with_its_name() {
        let found = read(
            "[tuning]\nmax_jobs = 2\nmax_parallel_jobs = 3\nstrategy = \"Bayes\"\n[tuning.objective]\nmetric = \"acc\"\n[tuning.ranges]\na = { min = 1, max = 1 }\nb = { min = 2.0, max = 1.0 }\nc = [1, 1]\nd = 3\ne = { min = 1 }\nf = { min = \"a\", max = 2 }\n",
        )
        .unwrap_err();
        let all = found.join("\n");
        for part in [
            "`strategy` in [tuning] must be one of: Bayesian, Random, Grid, Hyperband",
            "`max_parallel_jobs` in [tuning] must be at most max_jobs",
            "`metric` in [tuning.objective] must be one of [[metrics]]: loss",
            "`a` in [tuning.ranges] must have a min below its max",
            "`b` in [tuning.ranges] must have a min below its max",
            "`c` in [tuning.ranges] has the value 1 twice",
            "`d` in [tuning.ranges] must be { min = …, max = … }, or a list",
            "`e` in [tuning.ranges] must have min and max",
            "`f` in [tuning.ranges] must have numbers",
        ] {
            assert!(all.contains(part), "{part}\n{all}");
        }
    }
}
