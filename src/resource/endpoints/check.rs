//! Instant checks of the forms, field by field. Limits are those of SageMaker's service model.

use crate::aws::instance_types;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::lines;
use crate::aws::script_mode::names;
use crate::model::{FieldKind, Form, Problem, Safe, Verb};

pub(super) fn check(form: &Form) -> Vec<Problem> {
    let mut problems = Problems(Vec::new());
    match form.verb {
        Verb::Invoke => invoke(form, &mut problems),
        Verb::Update => {
            machine(form, &mut problems);
            if !form.value("model").is_empty() {
                model(form, &mut problems);
            }
        }
        Verb::Delete => {}
        _ => {
            problems.add("name", names::problem(form.value("name")));
            machine(form, &mut problems);
            model(form, &mut problems);
            variants(form, &mut problems);
        }
    }
    problems.0
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &str, message: Option<String>) {
        self.0.extend(message.map(|message| Problem { field: field.to_owned(), message: Safe::line(&message), fatal: true }));
    }
}

fn invoke(form: &Form, problems: &mut Problems) {
    let (file, text) = (form.value("body").trim(), form.value("text"));
    if file.is_empty() && text.is_empty() {
        problems.add("body", Some("something to send is needed: a file, or a text below".to_owned()));
    }
    if !file.is_empty() && !text.is_empty() {
        problems.add("text", Some("there is a file and a text: send one of them, and empty the other field".to_owned()));
    }
    for name in ["content_type", "accept"] {
        let value = form.value(name);
        let sound = value.is_ascii() && !value.contains(|c: char| c.is_control()) && (value.is_empty() || value.contains('/'));
        problems.add(name, (!sound).then(|| format!("'{value}' is no media type; it looks like image/png")));
    }
    let variant = form.value("variant");
    problems.add("variant", Some(variant).filter(|name| !name.is_empty()).and_then(names::problem));
}

fn machine(form: &Form, problems: &mut Problems) {
    let typed = form.value("instance_type");
    if !instance_types::is_for_hosting(typed) {
        problems.add(
            "instance_type",
            Some(match instance_types::nearest_for_hosting(typed) {
                Some(near) if !typed.is_empty() => format!("endpoints do not run on '{typed}'; did you mean {near}?"),
                _ => "an instance type is needed that endpoints run on, e.g. ml.m5.large".to_owned(),
            }),
        );
    }
    for field in &form.fields {
        if let FieldKind::Whole { min, max } = field.kind {
            let inside = field.value.trim().parse::<i64>().is_ok_and(|value| (min..=max).contains(&value));
            problems.add(&field.name, (!inside).then(|| format!("a whole number from {min} to {max}, not '{}'", field.value)));
        }
    }
}

/// The fields that a new model is made with.
fn model(form: &Form, problems: &mut Problems) {
    let named = form.value("model");
    if named.is_empty() {
        problems.add("model", Some("a model is needed: a completed training job, or s3://…/model.tar.gz".to_owned()));
    } else if named.starts_with("s3:") && S3Uri::parse(named).is_none_or(|at| at.is_folder()) {
        problems.add("model", Some(format!("'{named}' names no archive; it looks like s3://bucket/…/output/model.tar.gz")));
    } else if !named.starts_with("s3:") && names::problem(named).is_some() {
        problems.add("model", Some(format!("'{named}' is neither a training job's name nor an s3:// address")));
    }
    if form.value("image").is_empty() && form.value("framework_version").is_empty() {
        problems.add("framework_version", Some("a version is needed, e.g. 2.6, or a full image".to_owned()));
    }
    for line in lines(form.value("environment")) {
        problems.add(
            "environment",
            match line {
                Err((number, text)) => Some(format!("line {number}: '{text}' is not of the form NAME = value")),
                // The service model's limit for a container's environment.
                Ok((name, value)) if name.len() > 1024 || value.len() > 1024 => {
                    Some(format!("'{name}' is too long: at most 1024 characters"))
                }
                Ok((name, _)) if name.starts_with("SAGEMAKER_PROGRAM") || name.starts_with("SAGEMAKER_SUBMIT_DIRECTORY") => {
                    Some(format!("'{name}' belongs to SageMaker; the field `script` sets it"))
                }
                Ok((name, _)) => {
                    let mut bytes = name.bytes();
                    let legal = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
                        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    (!legal).then(|| format!("'{name}' is no variable name: letters, digits and '_', not a digit first"))
                }
            },
        );
    }
    let role = form.value("role");
    problems.add("role", role.contains(char::is_whitespace).then(|| "a role is an ARN or a name, without spaces".to_owned()));
    let bucket = form.value("bucket");
    let sound = bucket.is_empty() || S3Uri::parse(&format!("s3://{bucket}/")).is_some();
    problems.add("bucket", (!sound).then(|| format!("'{bucket}' is no bucket name: 3 to 63 small letters, digits, '-' and '.'")));
}

/// One more production variant: its name, its model, its weight.
pub(super) type Variant = (String, String, f32);

/// The lines of `variants`.
pub(super) fn more_variants(form: &Form) -> Vec<Result<Variant, String>> {
    let read = |line: Result<(&str, &str), (usize, &str)>| {
        let wrong = |text: &str| format!("'{text}' is not of the form name = model, weight");
        let (name, rest) = line.map_err(|(number, text)| format!("line {number}: {}", wrong(text)))?;
        let (model, weight) = rest.split_once(',').unwrap_or((rest, "1"));
        let (model, weight) = (model.trim(), weight.trim().parse::<f32>());
        match weight {
            Ok(weight) if weight.is_finite() && weight >= 0.0 => {
                let problem = names::problem(name).or_else(|| names::problem(model));
                problem.map_or_else(|| Ok((name.to_owned(), model.to_owned(), weight)), Err)
            }
            _ => Err(format!("the weight of '{name}' is no number from 0 on, e.g. 0.2")),
        }
    };
    lines(form.value("variants")).map(read).collect()
}

fn variants(form: &Form, problems: &mut Problems) {
    let mut names = vec![super::VARIANT.to_owned()];
    for line in more_variants(form) {
        match line {
            Err(message) => problems.add("variants", Some(message)),
            Ok((name, ..)) if names.contains(&name) => problems.add("variants", Some(format!("there are two variants '{name}'"))),
            Ok((name, ..)) => names.push(name),
        }
    }
    // The service model's limit.
    problems.add("variants", (names.len() > 10).then(|| "an endpoint has at most 10 variants".to_owned()));
}
