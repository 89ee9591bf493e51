//! What the lint of scripts finds, as problems of a form: never fatal, as a rule may err and the user decides.

use std::path::PathBuf;

use crate::aws::script_mode::interpreter;
use crate::aws::script_mode::lint::{Context, Finding, RULES, Source, lint_package, missing_modules_of};
use crate::aws::{Aws, Mode};
use crate::model::{Problem, Recipe, Safe};

/// The rules that an inference script can break.
const SERVING: &[&str] = &["undefined-name", "weights-downloaded-again"];

/// Looks at the script and at what it imports, and on the local region at whether the interpreter there has the modules.
/// Rules that the project silences say nothing; one that it silences and that does not exist is a problem itself.
pub(super) async fn problems(
    aws: &Aws,
    recipe: &Recipe,
    sources: &[Source],
    entry_point: &str,
    context: &Context<'_>,
) -> Vec<Problem> {
    let mut found = unknown(recipe);
    found.extend(said(recipe, lint_package(sources, entry_point, context)));
    found.extend(lacking(aws, recipe, sources, entry_point).await);
    found
}

/// The same for an inference script, of which only few rules speak.
pub(super) async fn of_serving(aws: &Aws, recipe: &Recipe, sources: &[Source], entry_point: &str) -> Vec<Problem> {
    let mut findings = lint_package(sources, entry_point, &Context::default());
    findings.retain(|finding| SERVING.contains(&finding.rule));
    let mut found = said(recipe, findings);
    found.extend(lacking(aws, recipe, sources, entry_point).await);
    found
}

/// Silenced rules that do not exist.
fn unknown(recipe: &Recipe) -> Vec<Problem> {
    let mut found = Vec::new();
    for unknown in recipe.lint_silenced.iter().filter(|id| !RULES.iter().any(|(rule, _)| rule == id)) {
        let rules: Vec<&str> = RULES.iter().map(|(rule, _)| *rule).collect();
        found.push(problem("", &format!("[lint] silence names '{unknown}', which is no rule; there are: {}", rules.join(", "))));
    }
    found
}

/// Findings at their fields, without those that the project silences.
fn said(recipe: &Recipe, findings: Vec<Finding>) -> Vec<Problem> {
    let mut found = Vec::new();
    for finding in findings {
        if recipe.lint_silenced.iter().any(|silenced| silenced == finding.rule) {
            continue;
        }
        let said = format!("{}:{}: {} ({})", finding.file, finding.line, finding.message, finding.rule);
        found.push(problem(field_of(finding.rule), &said));
    }
    found
}

/// The field of the form that a rule is about.
fn field_of(rule: &str) -> &'static str {
    match rule {
        "metric-regex" | "metric-regex-weak" => "metrics",
        "identical-copies" => "instance_count",
        "gpu-never-used" => "instance_type",
        "channel-missing" => "channels",
        "early-stopping-without-epoch-metric" => "early_stopping",
        "unknown-hyperparameter" | "required-argument" | "flag-given-value" | "hyperparameters-ignored" => "hyperparameters",
        _ => "entry_point",
    }
}

/// What the script imports and the project's interpreter does not have.
async fn lacking(aws: &Aws, recipe: &Recipe, sources: &[Source], entry_point: &str) -> Option<Problem> {
    if aws.mode() != Mode::Local {
        return None;
    }
    let python = match &recipe.local_python {
        Some(python) if python.components().count() > 1 => recipe.root.join(python),
        Some(python) => python.clone(),
        None => PathBuf::from("python3"),
    };
    let lacks = interpreter::lacks(&python, &missing_modules_of(sources, entry_point)).await;
    if lacks.is_empty() {
        return None;
    }
    let said = format!(
        "{} does not have {}: install it there, or name another interpreter under [local] python in footplate.toml",
        python.display(),
        lacks.join(", ")
    );
    Some(problem("entry_point", &said))
}

fn problem(field: &str, message: &str) -> Problem {
    Problem { field: field.to_owned(), message: Safe::line(message), fatal: false }
}
