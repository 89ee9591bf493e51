//! Instant checks of the form, field by field. Limits are those of SageMaker's service model.

use std::collections::HashSet;

use regex::Regex;

use super::extras;
use crate::aws::instance_types;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::{encode, is_machinery, lines};
use crate::aws::script_mode::names;
use crate::model::{FieldKind, Form, Problem, Safe, length};

pub(super) fn check(form: &Form) -> Vec<Problem> {
    let mut problems = Problems(Vec::new());
    problems.add("name", names::problem(form.value("name")));
    problems.add("instance_type", instance_type(form.value("instance_type")));
    wholes(form, &mut problems);
    if let Some(field) = form.fields.iter().find(|field| field.name == "max_runtime") {
        let sound = length::seconds(&field.value).is_some_and(|seconds| (1..=extras::LONGEST).contains(&seconds));
        let said = || format!("a length of time from 1s to 28d, e.g. 90m or 24h, not '{}'", field.value);
        problems.add("max_runtime", (!sound).then(said));
    }
    code(form, &mut problems);
    pairs(form, "hyperparameters", 100, &mut problems, |key, value| {
        if is_machinery(key) {
            return Some(format!("'{key}' belongs to SageMaker; remove it"));
        }
        (key.len() > 256 || encode(value).len() > 2500)
            .then(|| format!("'{key}' is too long: 256 characters for the name, 2500 for the value"))
    });
    pairs(form, "metrics", 40, &mut problems, |_, regex| match Regex::new(regex) {
        _ if regex.is_empty() || regex.len() > 500 => Some("a metric's regex has 1 to 500 characters".to_owned()),
        Err(error) => Some(format!("the regex does not compile: {}", last_line(&error.to_string()))),
        Ok(compiled) if compiled.captures_len() < 2 => {
            Some(format!("the regex '{regex}' has no group: put the number in parentheses, e.g. loss: ([0-9.]+)"))
        }
        Ok(_) => None,
    });
    pairs(form, "channels", 20, &mut problems, |name, place| {
        let legal = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        if !legal {
            return Some(format!("'{name}' is no channel name: letters, digits, '.', '-' and '_', at most 64"));
        }
        if place.starts_with("s3:") && S3Uri::parse(place).is_none() {
            return Some(format!("'{place}' is no S3 address; it looks like s3://bucket/folder/"));
        }
        place.is_empty().then(|| format!("channel '{name}' needs a place: s3://…, or a folder or .zip"))
    });
    pairs(form, "environment", 100, &mut problems, |name, value| {
        let mut bytes = name.bytes();
        let legal = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !legal {
            return Some(format!("'{name}' is no variable name: letters, digits and '_', not a digit first"));
        }
        (name.len() > 512 || value.len() > 512).then(|| format!("'{name}' is too long: at most 512 characters"))
    });
    let role = form.value("role");
    problems.add(
        "role",
        (role.contains(char::is_whitespace))
            .then(|| "a role is an ARN (arn:aws:iam::…:role/…) or a name, without spaces".to_owned()),
    );
    let bucket = form.value("bucket");
    let sound = bucket.is_empty() || S3Uri::parse(&format!("s3://{bucket}/")).is_some();
    problems.add("bucket", (!sound).then(|| format!("'{bucket}' is no bucket name: 3 to 63 small letters, digits, '-' and '.'")));
    problems.0.extend(extras::check(form));
    problems.0
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &str, message: Option<String>) {
        self.0.extend(message.map(|message| Problem { field: field.to_owned(), message: Safe::line(&message), fatal: true }));
    }
}

fn instance_type(typed: &str) -> Option<String> {
    if typed.is_empty() {
        return Some("an instance type is needed, e.g. ml.m5.xlarge".to_owned());
    }
    if instance_types::is_known(typed) {
        return None;
    }
    Some(match instance_types::nearest(typed) {
        Some(near) => format!("SageMaker does not train on '{typed}'; did you mean {near}?"),
        None => format!("SageMaker does not train on '{typed}'; choose from the list, e.g. ml.m5.xlarge"),
    })
}

fn wholes(form: &Form, problems: &mut Problems) {
    for field in &form.fields {
        if let FieldKind::Whole { min, max } = field.kind {
            let inside = field.value.trim().parse::<i64>().is_ok_and(|value| (min..=max).contains(&value));
            problems.add(&field.name, (!inside).then(|| format!("a whole number from {min} to {max}, not '{}'", field.value)));
        }
        if field.kind == FieldKind::Toggle && !["yes", "no"].contains(&field.value.as_str()) {
            problems.add(&field.name, Some(format!("yes or no, not '{}'", field.value)));
        }
    }
}

fn code(form: &Form, problems: &mut Problems) {
    let (image, script, source) = (form.value("image"), form.value("entry_point"), form.value("source_dir"));
    if script.is_empty() && image.is_empty() {
        problems.add("entry_point", Some("a script is needed, e.g. train.py".to_owned()));
    }
    if source.starts_with("s3:") && S3Uri::parse(source).is_none() {
        problems.add("source_dir", Some(format!("'{source}' is no S3 address; it looks like s3://bucket/…/sourcedir.tar.gz")));
    }
    if image.is_empty() && form.value("framework_version").is_empty() {
        problems.add("framework_version", Some("a version is needed, e.g. 2.6, or a full image".to_owned()));
    }
}

/// Checks an area of `key = value` lines: each line, doubles, how many, and what `wrong` says of a pair.
fn pairs(form: &Form, field: &str, most: usize, problems: &mut Problems, wrong: impl Fn(&str, &str) -> Option<String>) {
    let mut seen = HashSet::new();
    for line in lines(form.value(field)) {
        match line {
            Err((number, text)) => problems.add(field, Some(format!("line {number}: '{text}' is not of the form key = value"))),
            Ok((key, value)) => {
                if !seen.insert(key.to_owned()) {
                    problems.add(field, Some(format!("'{key}' is given twice; remove one")));
                }
                problems.add(field, wrong(key, value));
            }
        }
    }
    problems.add(field, (seen.len() > most).then(|| format!("{} are given; SageMaker takes at most {most}", seen.len())));
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or(text).trim_start_matches("error: ")
}

#[cfg(test)]
mod tests {
    use crate::model::{Channel, MetricRule, Recipe, Scalar};

    use super::super::form::launch;
    use super::*;

    fn recipe() -> Recipe {
        Recipe {
            name: "digits".into(),
            framework: "pytorch".into(),
            framework_version: "1.9".into(),
            entry_point: "train.py".into(),
            instance_type: "ml.m5.xlarge".into(),
            channels: vec![Channel { name: "train".into(), source: "data.zip".into() }],
            hyperparameters: vec![("lr".into(), Scalar::Number(0.1))],
            metrics: vec![MetricRule { name: "test loss".into(), regex: "loss=([0-9.]+)".into() }],
            ..Recipe::default()
        }
    }

    fn said(field: &str, value: &str) -> Vec<String> {
        let mut form = launch(&recipe());
        form.fields.iter_mut().find(|known| known.name == field).unwrap().value = value.to_owned();
        check(&form).iter().map(|problem| format!("{}: {}", problem.field, problem.message)).collect()
    }

    #[test]
    fn a_sound_form_has_no_problem() {
        assert_eq!(check(&launch(&recipe())), []);
    }

    #[test]
    fn each_problem_names_its_field_and_the_remedy() {
        let table = [
            ("name", "my_job", "try 'my-job'"),
            ("instance_type", "ml.m5.xlarg", "did you mean ml.m5.xlarge?"),
            ("instance_type", "", "needed"),
            ("instance_count", "0", "from 1 to"),
            ("instance_count", "many", "whole number"),
            ("volume_gb", "-1", "from 1 to"),
            ("entry_point", "", "a script is needed"),
            ("hyperparameters", "lr 0.1", "line 1"),
            ("hyperparameters", "lr = 1\nlr = 2", "twice"),
            ("hyperparameters", "sagemaker_program = x", "belongs to SageMaker"),
            ("metrics", "loss = ([0-9]", "does not compile"),
            ("metrics", "loss = [0-9]+", "parentheses"),
            ("channels", "train = ", "needs a place"),
            ("channels", "train = s3:/x", "no S3 address"),
            ("channels", "a b = data", "no channel name"),
            ("environment", "1A = x", "no variable name"),
            ("role", "my role", "without spaces"),
            ("bucket", "My Bucket", "no bucket name"),
            ("framework_version", "", "a version is needed"),
            ("max_runtime", "soon", "length of time"),
            ("max_runtime", "29d", "28d"),
            ("max_wait", "2h", "set spot to yes"),
            ("spot", "maybe", "yes or no"),
            ("checkpoints", "/tmp", "no S3 address"),
            ("keep_alive", "2h", "at most 1h"),
            ("distribution", "smddp", "ml.p4d.24xlarge"),
            ("distribution", "horovod", "none of"),
            ("output_kms_key", "my key", "arn:aws:kms"),
        ];
        for (field, value, part) in table {
            let said = said(field, value);
            assert!(said.len() == 1 && said[0].starts_with(field) && said[0].contains(part), "{field}={value}: {said:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_told_with_the_remedy() {
        let with = |changes: &[(&str, &str)]| {
            let mut form = launch(&recipe());
            for (name, value) in changes {
                form.fields.iter_mut().find(|field| field.name == *name).expect(name).value = (*value).to_owned();
            }
            check(&form)
        };
        let only = |changes: &[(&str, &str)], field: &str, part: &str, fatal: bool| {
            let said = with(changes);
            let fits = said.len() == 1 && said[0].field == field && said[0].message.as_str().contains(part);
            assert!(fits && said[0].fatal == fatal, "{changes:?}: {said:?}");
        };
        let spot: &[(&str, &str)] = &[("spot", "yes"), ("checkpoints", "s3://bkt/c/")];
        assert_eq!(with(spot), []);
        only(&[("spot", "yes")], "spot", "without checkpoints", false);
        only(&[spot, &[("max_wait", "1h")]].concat(), "max_wait", "24h or more", true);
        only(&[spot, &[("keep_alive", "10m")]].concat(), "keep_alive", "cannot be kept warm", true);
        only(&[("subnets", "subnet-1, subnet-2")], "security_groups", "at least one security group", true);
        only(&[("security_groups", "sg-1")], "subnets", "at least one subnet", true);
        only(&[("subnets", "net-1"), ("security_groups", "sg-1")], "subnets", "subnet-0a1b2c3d", true);
        assert_eq!(with(&[("subnets", "subnet-1 subnet-2"), ("security_groups", "sg-1")]), []);
        only(&[("distribution", "torchrun"), ("framework_version", "2.6")], "distribution", "one per host", false);
        only(&[("distribution", "torchrun"), ("instance_type", "ml.g5.xlarge")], "distribution", "1.13.1", true);
        only(&[("processes_per_host", "4")], "processes_per_host", "mpi only", true);
        only(&[("processes_per_host", "0"), ("distribution", "mpi")], "processes_per_host", "1 to 64", true);
        assert_eq!(with(&[("processes_per_host", "4"), ("distribution", "mpi")]), []);
        only(&[("instance_type", "ml.g5.xlarge"), ("volume_kms_key", "k")], "volume_kms_key", "encrypted anyway", true);
        only(&[("network_isolation", "yes"), ("channels", "code = data")], "channels", "another name", true);
        only(&[("encrypt_traffic", "yes")], "encrypt_traffic", "changes nothing", false);
    }
}
