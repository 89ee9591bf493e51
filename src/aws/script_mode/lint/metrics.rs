//! Metrics that the script's own output does not hold, or not as it should.

use std::collections::BTreeSet;

use regex::Regex;

use super::code::Code;
use super::prints::{SAMPLE, SMALL, Sample, samples};
use super::{Context, Finding, Package, finding};
use crate::model::MetricRule;

/// Libraries that print on their own, so that the script's strings are not all of its output.
const TALKATIVE: &[&str] = &[
    "transformers",
    "lightning",
    "pytorch_lightning",
    "tensorflow",
    "keras",
    "xgboost",
    "lightgbm",
    "catboost",
    "fastai",
    "ultralytics",
    "composer",
    "ignite",
];

pub(super) fn check(package: &Package<'_>, context: &Context<'_>, found: &mut Vec<Finding>) {
    if context.metrics.is_empty() || package.imports(TALKATIVE) {
        return;
    }
    let all: Vec<(&Code<'_>, Vec<Sample>)> = package.codes.iter().map(|code| (code, samples(code))).collect();
    // Where what may be compared is printed.
    let mut compared: Vec<(&Code<'_>, &Sample)> = Vec::new();
    for rule in context.metrics {
        let Ok(regex) = Regex::new(&rule.regex) else { continue };
        let each = || all.iter().flat_map(|(code, samples)| samples.iter().map(move |sample| (*code, sample)));
        let matching: Vec<_> = each().filter(|(_, sample)| regex.is_match(&sample.text)).collect();
        if matching.is_empty() {
            found.push(unmatched(package, rule));
        } else if let Some((code, sample)) = matching.iter().find(|(_, sample)| is_weak(&regex, sample)) {
            let read = regex.captures(&sample.small).and_then(|groups| groups.get(1)).map_or("nothing", |group| group.as_str());
            found.push(finding("metric-regex-weak", code, sample.line, &format!(
                "a small value is printed as {SMALL}, and '{}' of metric '{}' reads {read} of it: write ([0-9.eE+-]+) for the number, or print it with .6f", rule.regex, rule.name
            )));
        }
        if context.objective.is_none_or(|objective| objective == rule.name) {
            compared.extend(matching);
        }
    }
    if !context.early_stopping {
        return;
    }
    let repeated = repeated(package);
    if let Some((code, sample)) = compared.first()
        && !compared.iter().any(|(code, sample)| is_repeated(code, code.statement_at(sample.at), &repeated))
    {
        found.push(finding("early-stopping-without-epoch-metric", code, sample.line, "early stopping compares trials epoch by epoch, and this is printed once, at the end: print it in the loop over the epochs, or turn early stopping off"));
    }
}

fn unmatched(package: &Package<'_>, rule: &MetricRule) -> Finding {
    let words: Vec<String> =
        rule.regex.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 2).map(str::to_lowercase).collect();
    let shared = |text: &str| {
        let text = text.to_lowercase();
        words.iter().filter(|word| text.contains(*word)).count()
    };
    let texts = package.codes.iter().flat_map(|code| code.texts().map(move |text| (code, text)));
    let counted = texts.map(|(code, text)| (shared(text.text), code, text)).filter(|(count, ..)| *count > 0);
    // The first of those that share the most; `max_by_key` gives the last.
    let nearest = counted.reduce(|best, next| if next.0 > best.0 { next } else { best });
    let what = format!(
        "nothing that the script prints matches '{}' of metric '{}', so there is no curve and nothing to tune by",
        rule.regex, rule.name
    );
    match nearest {
        Some((_, code, text)) => {
            let shown: String = text.text.chars().take(60).collect();
            finding("metric-regex", code, text.line, &format!("{what}; the nearest is \"{shown}\": make them fit"))
        }
        None => finding("metric-regex", package.entry(), 1, &format!("{what}: print the metric, or correct the regex")),
    }
}

/// Whether the number is read rightly as long as it is not small.
fn is_weak(regex: &Regex, sample: &Sample) -> bool {
    let read = |text: &str| regex.captures(text).and_then(|groups| groups.get(1)).map(|group| group.as_str().to_owned());
    sample.text != sample.small
        && read(&sample.text).as_deref() == Some(SAMPLE)
        && read(&sample.small).as_deref() != Some(SMALL)
        && read(&sample.small).as_deref() != Some(SAMPLE)
}

/// The functions that are called in a loop, or by a function that is.
fn repeated<'a>(package: &Package<'a>) -> BTreeSet<&'a str> {
    // Calls of calls of calls: deeper, nobody prints.
    const DEPTH: u32 = 8;
    let mut repeated = BTreeSet::new();
    for _ in 0..DEPTH {
        let before = repeated.len();
        for code in &package.codes {
            let new: Vec<&str> = code
                .calls()
                .filter(|call| is_repeated(code, code.statement_at(call.at), &repeated))
                .map(|call| call.name)
                .collect();
            repeated.extend(new);
        }
        if repeated.len() == before {
            break;
        }
    }
    repeated
}

/// Whether a statement is in a loop, or in one of those functions.
fn is_repeated(code: &Code<'_>, statement: usize, repeated: &BTreeSet<&str>) -> bool {
    let in_function = || {
        let function = code.of_statement(code.function_of(statement)?);
        let name = function.iter().position(|token| token.is("def"))? + 1;
        Some(repeated.contains(function.get(name)?.text))
    };
    code.around(statement).any(|around| code.opens(around, "for") || code.opens(around, "while")) || in_function() == Some(true)
}
