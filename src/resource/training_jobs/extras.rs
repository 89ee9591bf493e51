//! What of a training job goes beyond the ordinary, in the form: spot, checkpoints, warm pool, VPC, keys, launcher. The
//! fields have the names of the project file's keys.

use std::borrow::Cow;

use aws_sdk_sagemaker::operation::describe_training_job::DescribeTrainingJobOutput;
use aws_sdk_sagemaker::types::{ResourceConfig, StoppingCondition};

use crate::aws::instance_types;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::distribution::{self, KEPT, NAMES};
use crate::aws::script_mode::{CODE_CHANNEL, hyperparameters};
use crate::model::length::{seconds, written};
use crate::model::{Extras, Field, FieldKind, Form, Problem, Safe};

/// 28 days: the longest that a run, or run and waiting together, may take.
pub(super) const LONGEST: i64 = 28 * 86_400;
/// The longest that a warm pool is kept (developer guide, "SageMaker AI Managed Warm Pools").
const WARMEST: i64 = 3600;
/// `VpcConfig` of the service model.
const SUBNETS: usize = 16;
const SECURITY_GROUPS: usize = 5;
/// Families with disks of their own, which SageMaker encrypts anyway and takes no key for (API reference, `VolumeKmsKeyId`).
const OWN_DISKS: [&str; 13] = ["p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "g4dn", "g5", "g6", "g6e", "trn1", "trn1n"];

/// The fields, filled.
pub(super) fn fields(extras: &Extras) -> Vec<Field> {
    let line = |name, label, value: String, help| Field::of(name, label, FieldKind::Line, value, help);
    let toggle =
        |name, label, on: bool, help| Field::of(name, label, FieldKind::Toggle, if on { "yes" } else { "no" }.to_owned(), help);
    let length = |seconds: Option<u32>| seconds.map(|seconds| written(seconds.into())).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut launchers: Vec<Cow<'static, str>> = std::iter::once("none").chain(NAMES).map(Cow::Borrowed).collect();
    if extras.distribution.as_deref() == Some(KEPT) {
        launchers.push(KEPT.into());
    }
    vec![
        toggle("spot", "spot", extras.spot, "Spare capacity: cheaper, but the run may be interrupted and begun again."),
        line(
            "max_wait",
            "wait at most",
            length(extras.max_wait_seconds),
            "For spot: waiting and run together, e.g. 48h; empty: twice the longest run.",
        ),
        line(
            "checkpoints",
            "checkpoints",
            text(&extras.checkpoints),
            "s3://… that /opt/ml/checkpoints is kept in step with, and restored from after an interruption.",
        ),
        line(
            "keep_alive",
            "keep warm",
            length(extras.keep_alive_seconds),
            "Keep the instances for the next job, at most 1h; they cost money all the while. Empty: no.",
        ),
        Field::of(
            "distribution",
            "launcher",
            FieldKind::Choice { options: launchers, open: false },
            extras.distribution.clone().unwrap_or_else(|| "none".to_owned()),
            "What starts the script so that hosts and GPUs share the work.",
        ),
        line(
            "processes_per_host",
            "processes",
            extras.processes_per_host.map(|number| number.to_string()).unwrap_or_default(),
            "For mpi: processes on each host; empty: SageMaker's default, one.",
        ),
        line(
            "subnets",
            "subnets",
            extras.subnets.join(" "),
            "Run inside your VPC: subnet-… with spaces between; security groups belong to it.",
        ),
        line(
            "security_groups",
            "security groups",
            extras.security_groups.join(" "),
            "sg-… with spaces between; for the subnets above.",
        ),
        line("volume_kms_key", "key, disks", text(&extras.volume_kms_key), "KMS key (id or ARN) for the instances' disks."),
        line("output_kms_key", "key, output", text(&extras.output_kms_key), "KMS key (id or ARN) for what is written to S3."),
        toggle(
            "network_isolation",
            "no network",
            extras.network_isolation,
            "The script reaches no network at all: no downloads of weights, no pip install.",
        ),
        toggle(
            "encrypt_traffic",
            "encrypt traffic",
            extras.encrypt_traffic,
            "Encrypt what the hosts of this job send each other; slower.",
        ),
    ]
}

/// What the form says; it has been checked before.
pub(super) fn read(form: &Form) -> Extras {
    let text = |name| Some(form.value(name).trim()).filter(|value| !value.is_empty()).map(str::to_owned);
    let length = |name| seconds(form.value(name)).and_then(|seconds| u32::try_from(seconds).ok());
    let spot = form.value("spot") == "yes";
    Extras {
        spot,
        max_wait_seconds: length("max_wait").filter(|_| spot),
        checkpoints: text("checkpoints"),
        keep_alive_seconds: length("keep_alive").filter(|seconds| *seconds > 0),
        subnets: words(form.value("subnets")),
        security_groups: words(form.value("security_groups")),
        volume_kms_key: text("volume_kms_key"),
        output_kms_key: text("output_kms_key"),
        network_isolation: form.value("network_isolation") == "yes",
        encrypt_traffic: form.value("encrypt_traffic") == "yes",
        distribution: text("distribution").filter(|name| name != "none"),
        processes_per_host: form.value("processes_per_host").trim().parse().ok(),
    }
}

/// What a job that has run was asked for.
pub(super) fn of(job: &DescribeTrainingJobOutput) -> Extras {
    let resources = job.resource_config();
    let number = |value: Option<i32>| value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0);
    let key = |key: Option<&str>| key.filter(|key| !key.is_empty()).map(str::to_owned);
    let (distribution, processes_per_host) = job.hyper_parameters().map(distribution::of).unwrap_or_default();
    let vpc = job.vpc_config();
    Extras {
        spot: job.enable_managed_spot_training() == Some(true),
        max_wait_seconds: number(job.stopping_condition().and_then(StoppingCondition::max_wait_time_in_seconds)),
        checkpoints: key(job.checkpoint_config().and_then(|config| config.s3_uri())),
        keep_alive_seconds: number(resources.and_then(ResourceConfig::keep_alive_period_in_seconds)),
        subnets: vpc.map(|vpc| vpc.subnets().to_vec()).unwrap_or_default(),
        security_groups: vpc.map(|vpc| vpc.security_group_ids().to_vec()).unwrap_or_default(),
        volume_kms_key: key(resources.and_then(|resources| resources.volume_kms_key_id())),
        output_kms_key: key(job.output_data_config().and_then(|output| output.kms_key_id())),
        network_isolation: job.enable_network_isolation() == Some(true),
        encrypt_traffic: job.enable_inter_container_traffic_encryption() == Some(true),
        distribution,
        processes_per_host,
    }
}

/// `a, b c` as three words.
fn words(text: &str) -> Vec<String> {
    text.split([',', ' ', '\t', '\n']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// What is wrong with these fields, and what is unwise.
pub(super) fn check(form: &Form) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    waiting(form, &mut found);
    warm(form, &mut found);
    vpc(form, &mut found);
    keys(form, &mut found);
    launcher(form, &mut found);
    let clash = hyperparameters::pairs(form.value("channels")).iter().any(|(name, _)| name == CODE_CHANNEL);
    if form.value("network_isolation") == "yes" && clash {
        found.wrong("channels", "without network the code comes in a channel named 'code'; give yours another name");
    }
    if form.value("encrypt_traffic") == "yes" && form.value("instance_count").trim() == "1" {
        found.unwise("encrypt_traffic", "one instance has nobody to send anything to: this changes nothing");
    }
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    fn wrong(&mut self, field: &str, message: &str) {
        self.0.push(Problem { field: field.to_owned(), message: Safe::line(message), fatal: true });
    }

    fn unwise(&mut self, field: &str, message: &str) {
        self.0.push(Problem { field: field.to_owned(), message: Safe::line(message), fatal: false });
    }
}

/// A length of time in a field, of which `what` says the limits.
fn length(form: &Form, field: &str, most: i64, what: &str, found: &mut Found) -> Option<i64> {
    let value = form.value(field).trim();
    if value.is_empty() {
        return None;
    }
    let read = seconds(value).filter(|length| (1..=most).contains(length));
    if read.is_none() {
        found.wrong(field, &format!("'{value}' is no length of time {what}; write e.g. 90m or 2h"));
    }
    read
}

fn waiting(form: &Form, found: &mut Found) {
    let spot = form.value("spot") == "yes";
    let wait = length(form, "max_wait", LONGEST, "of at most 28 days", found);
    if !spot && !form.value("max_wait").trim().is_empty() {
        found.wrong("max_wait", "only spot capacity is waited for; set spot to yes, or empty this");
    }
    let run = seconds(form.value("max_runtime"));
    if let (true, Some(wait), Some(run)) = (spot, wait, run)
        && wait < run
    {
        let message = format!("waiting and run together must be at least as long as the run: {} or more", written(run));
        found.wrong("max_wait", &message);
    }
    let checkpoints = form.value("checkpoints").trim();
    if !checkpoints.is_empty() && S3Uri::parse(checkpoints).is_none() {
        found.wrong("checkpoints", &format!("'{checkpoints}' is no S3 address; it looks like s3://bucket/folder/"));
    }
    if spot && checkpoints.is_empty() {
        found.unwise("spot", "without checkpoints an interrupted run begins again from the start; name a place for them below");
    }
}

fn warm(form: &Form, found: &mut Found) {
    let kept = length(form, "keep_alive", WARMEST, "of at most 1h", found);
    // Developer guide, "SageMaker AI Managed Warm Pools", considerations.
    if kept.is_some() && form.value("spot") == "yes" {
        found.wrong("keep_alive", "spot instances cannot be kept warm; choose one of the two");
    }
}

fn vpc(form: &Form, found: &mut Found) {
    let (subnets, groups) = (words(form.value("subnets")), words(form.value("security_groups")));
    match (subnets.is_empty(), groups.is_empty()) {
        (false, true) => found.wrong("security_groups", "subnets alone are no VPC: name at least one security group, sg-…"),
        (true, false) => found.wrong("subnets", "security groups alone are no VPC: name at least one subnet, subnet-…"),
        _ => {}
    }
    for (field, named, start, most) in
        [("subnets", subnets, "subnet-", SUBNETS), ("security_groups", groups, "sg-", SECURITY_GROUPS)]
    {
        if let Some(odd) = named.iter().find(|id| !id.starts_with(start) || !is_id(id)) {
            found.wrong(field, &format!("'{odd}' is none; it looks like {start}0a1b2c3d"));
        }
        if named.len() > most {
            found.wrong(field, &format!("{} are given; SageMaker takes at most {most}", named.len()));
        }
    }
}

/// `[-0-9a-zA-Z]+`, at most 32 (service model).
fn is_id(id: &str) -> bool {
    id.len() <= 32 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn keys(form: &Form, found: &mut Found) {
    for field in ["volume_kms_key", "output_kms_key"] {
        let key = form.value(field).trim();
        // The pattern of KmsKeyId in the service model.
        let legal = key.len() <= 2048 && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/_-".contains(&byte));
        if !legal {
            found.wrong(field, &format!("'{key}' is no key; give its id, or its ARN arn:aws:kms:…"));
        }
    }
    let kind = form.value("instance_type");
    if !form.value("volume_kms_key").trim().is_empty() && OWN_DISKS.contains(&instance_types::family(kind)) {
        let message = format!("{kind} has disks of its own, which are encrypted anyway and take no key; empty this");
        found.wrong("volume_kms_key", &message);
    }
}

fn launcher(form: &Form, found: &mut Found) {
    let name = form.value("distribution");
    let known = ["", "none", KEPT].contains(&name) || NAMES.contains(&name);
    if !known {
        found.wrong("distribution", &format!("'{name}' is none of none, {}", NAMES.join(", ")));
    }
    let value = |name| form.value(name);
    let wrong =
        distribution::problem(name, value("instance_type"), value("framework_version"), value("image"), value("entry_point"));
    if let Some(message) = wrong {
        found.wrong("distribution", &message);
    }
    if let Some(message) = distribution::oddity(name, value("instance_type")) {
        found.unwise("distribution", &message);
    }
    let processes = form.value("processes_per_host").trim();
    if processes.is_empty() {
        return;
    }
    if !processes.parse::<u32>().is_ok_and(|number| (1..=64).contains(&number)) {
        found.wrong("processes_per_host", &format!("a whole number from 1 to 64, not '{processes}'"));
    }
    if name != "mpi" {
        found.wrong("processes_per_host", "is for the launcher mpi only; empty this, or choose mpi");
    }
}
