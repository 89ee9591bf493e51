//! The results table as a file: the columns of the Python SDK's `HyperparameterTuningJobAnalytics.dataframe()` under
//! their exact names (`analytics.py`), values decoded, and after them what it lacks: billable seconds and cost.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::bill;
use crate::aws::Aws;
use crate::aws::script_mode::hyperparameters::decode;
use crate::model::{
    Failure, FailureKind, Field, FieldKind, Form, ItemId, Outcome, Preview, Problem, Progress, Recipe, Safe, Verb,
};
use crate::resource::staging::invalid;
use crate::resource::tuning_jobs::describe::{Described, maximizes, per_hour};
use crate::resource::tuning_jobs::trial::{Trial, around, ranked};

/// The form: where to.
pub(in crate::resource) fn form(resource: &str, tuning: &ItemId) -> Form {
    let path = format!("{}.csv", tuning.as_str());
    let field = Field {
        name: "path".into(),
        label: "file".into(),
        help: "Where to write the table, relative to the project; .csv or .json. A file that is there is left alone.".into(),
        kind: FieldKind::Line,
        initial: path.clone(),
        value: path,
    };
    Form {
        title: Safe::line(&format!("Export the trials of {}", tuning.as_str())),
        resource: resource.to_owned(),
        verb: Verb::Export,
        parent: Some(tuning.clone()),
        fields: vec![field],
    }
}

pub(in crate::resource) fn check(form: &Form) -> Vec<Problem> {
    let path = form.value("path").trim();
    let message = if path.is_empty() {
        "a file is needed, e.g. trials.csv"
    } else if kind(path).is_none() {
        "the name must end in .csv or .json: that says how it is written"
    } else {
        return Vec::new();
    };
    vec![Problem { field: "path".to_owned(), message: message.into(), fatal: true }]
}

pub(in crate::resource) async fn preview(aws: &Aws, recipe: &Recipe, form: &Form) -> Result<Preview, Failure> {
    let mut preview = Preview { problems: check(form), ..Preview::default() };
    if !preview.problems.is_empty() {
        return Ok(preview);
    }
    let path = place(recipe, form);
    if path.exists() {
        let message = Safe::line(&format!("{} is there already; choose another name", path.display()));
        preview.problems.push(Problem { field: "path".to_owned(), message, fatal: true });
    }
    let (job, trials) = around(aws, target(form)).await?;
    preview.facts.push(("trials".into(), trials.len().to_string().into()));
    preview.facts.push(("columns".into(), columns(&job, &trials).join(", ").into()));
    preview.facts.push(("file".into(), Safe::line(&path.display().to_string())));
    Ok(preview)
}

/// Writes the file; one that is there already is never written over.
pub(in crate::resource) async fn export(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    if let Some(problem) = check(form).first() {
        return Err(invalid(&format!("{}: {}", problem.field, problem.message), ""));
    }
    let (job, trials) = around(aws, target(form)).await?;
    progress(Progress { said: "looking up what was billed".into(), done: 0, total: 0 });
    bill::look_up(aws, &trials.iter().collect::<Vec<_>>(), usize::MAX).await?;
    let rows = rows(aws, &job, &trials);
    let text = match kind(form.value("path")) {
        Some(Kind::Json) => format!("{:#}\n", Value::from(rows)),
        _ => csv(&columns(&job, &trials), &rows),
    };
    let path = place(recipe, form);
    let failed = |error: std::io::Error| {
        let what = format!("cannot write {}: {error}", path.display());
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::new(FailureKind::Conflict, what, "choose another name; nothing was written"),
            _ => Failure::new(FailureKind::Machine, what, "choose a folder that exists and is yours"),
        }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Outcome::Said(Safe::line(&format!("{} trials written to {}", trials.len(), path.display()))))
}

#[derive(Clone, Copy)]
enum Kind {
    Csv,
    Json,
}

fn kind(path: &str) -> Option<Kind> {
    let extension = std::path::Path::new(path.trim()).extension()?.to_str()?.to_lowercase();
    match extension.as_str() {
        "csv" => Some(Kind::Csv),
        "json" => Some(Kind::Json),
        _ => None,
    }
}

fn place(recipe: &Recipe, form: &Form) -> PathBuf {
    recipe.root.join(form.value("path").trim())
}

fn target(form: &Form) -> &str {
    form.parent.as_ref().map_or("", ItemId::as_str)
}

/// Searched hyperparameters by name, then the SDK's, then ours.
fn columns(job: &Described, trials: &[Trial]) -> Vec<String> {
    let tuned: BTreeSet<&String> = trials.iter().flat_map(|trial| &trial.tuned).map(|(name, _)| name).collect();
    let mut all: Vec<String> = tuned.into_iter().cloned().collect();
    let told = ["TrainingJobName", "TrainingJobStatus", "FinalObjectiveValue", "TrainingStartTime", "TrainingEndTime"];
    all.extend(told.map(str::to_owned));
    all.push("TrainingElapsedTimeSeconds".to_owned());
    if !job.training_job_definitions().is_empty() {
        all.push("TrainingJobDefinitionName".to_owned());
    }
    all.extend(["BillableTimeInSeconds", "CostUSD"].map(str::to_owned));
    all
}

/// Best first, then those without a result.
fn rows(aws: &Aws, job: &Described, trials: &[Trial]) -> Vec<Value> {
    let ranked = ranked(trials, maximizes(job));
    let rest = trials.iter().filter(|trial| trial.objective.is_none());
    let price = per_hour(aws, job);
    let columns = columns(job, trials);
    let row = |trial: &Trial| {
        let billable = bill::seconds(aws, &trial.name);
        let seconds = billable.or(trial.seconds());
        let own: Map<String, Value> = columns
            .iter()
            .map(|column| {
                let value = match column.as_str() {
                    "TrainingJobName" => json!(trial.name),
                    "TrainingJobStatus" => json!(trial.state.word),
                    "FinalObjectiveValue" => json!(trial.objective),
                    "TrainingStartTime" => json!(trial.started),
                    "TrainingEndTime" => json!(trial.ended),
                    "TrainingElapsedTimeSeconds" => json!(trial.seconds()),
                    "TrainingJobDefinitionName" => json!(trial.definition),
                    "BillableTimeInSeconds" => json!(billable),
                    "CostUSD" => json!(price.zip(seconds).map(|(price, seconds)| price * seconds / 3600.0)),
                    name => trial.tuned.iter().find(|(known, _)| known == name).map_or(Value::Null, |(_, raw)| typed(raw)),
                };
                (column.clone(), value)
            })
            .collect();
        Value::Object(own)
    };
    ranked.into_iter().chain(rest).map(row).collect()
}

/// A tuned value without the quotes of its journey; a number where it reads as one, and then with all its digits.
fn typed(raw: &str) -> Value {
    let text = decode(raw);
    let read: Option<Value> = serde_json::from_str(&text).ok();
    let number = read.filter(|value| value.is_number() && format!("{value}") == text);
    number.unwrap_or_else(|| Value::from(text))
}

/// RFC 4180 with a head.
fn csv(columns: &[String], rows: &[Value]) -> String {
    let quote = |text: String| {
        if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    let plain = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let line = |cells: Vec<String>| cells.into_iter().map(quote).collect::<Vec<_>>().join(",") + "\n";
    let mut text = line(columns.to_vec());
    for row in rows {
        text.push_str(&line(columns.iter().map(|column| plain(&row[column])).collect()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_lose_no_digit() {
        assert_eq!(typed("\"128\""), json!(128));
        assert_eq!(typed("0.002555801302205963").to_string(), "0.002555801302205963");
        assert_eq!((typed("\"adam\""), typed("1e-05")), (json!("adam"), json!("1e-05")));
        let row = json!({ "a": "x,\"y\"", "b": null, "c": 1.5 });
        assert_eq!(csv(&["a", "b", "c"].map(str::to_owned), &[row]), "a,b,c\n\"x,\"\"y\"\"\",,1.5\n");
    }

    #[test]
    fn the_file_s_name_says_how_it_is_written() {
        let mut form = form("trials", &ItemId("t".into()));
        assert_eq!(check(&form), []);
        for (path, part) in [("", "a file is needed"), ("t.txt", ".csv or .json"), ("t", ".csv or .json")] {
            form.fields[0].value = path.into();
            assert!(check(&form)[0].message.as_str().contains(part), "{path}");
        }
    }
}
