//! What `CreateTrainingJob` checks beyond the shapes, and the work that comes of a request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::REGION;
use super::quotas::{Usage, Use};
use super::store::{Document, text};
use crate::local::ACCOUNT;
use crate::local::buckets::Buckets;
use crate::local::engine::scrape::Metric;
use crate::local::engine::{Channel, S3Place, Work};
use crate::local::fault::Fault;

/// registry/name:tag@digest, as docker reads it.
pub(super) static IMAGE: LazyLock<Regex> = LazyLock::new(|| {
    // Infallible: a constant, and tests use it.
    Regex::new(
        r"\A(?:[a-zA-Z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?\z",
    )
    .expect("compiles")
});

/// Members that ask for something the local region does not have; refused rather than ignored, because a job would silently
/// do something else than asked.
const NOT_OFFERED: [(&str, &str); 9] = [
    (
        "/AlgorithmSpecification/AlgorithmName",
        "Algorithms of the marketplace are not part of the local region. Send a TrainingImage.",
    ),
    (
        "/ResourceConfig/InstanceGroups",
        "Heterogeneous clusters are not part of the local region. Send InstanceType and InstanceCount.",
    ),
    ("/ResourceConfig/TrainingPlanArn", "Training plans are not part of the local region. Leave TrainingPlanArn out."),
    (
        "/ResourceConfig/InstancePlacementConfig",
        "Placement of instances is not part of the local region. Leave InstancePlacementConfig out.",
    ),
    ("/ServerlessJobConfig", "Serverless jobs are not part of the local region. Leave ServerlessJobConfig out."),
    ("/SessionChainingConfig", "Session chaining is not part of the local region. Leave SessionChainingConfig out."),
    ("/MlflowConfig", "MLflow is not part of the local region. Leave MlflowConfig out."),
    ("/ModelPackageConfig", "Model packages are not part of the local region. Leave ModelPackageConfig out."),
    (
        "/CheckpointConfig",
        "Checkpoints are not part of the local region: a script cannot write to /opt/ml/checkpoints on this machine. Leave CheckpointConfig out, or keep what you need under SM_OUTPUT_DATA_DIR.",
    ),
];

/// Checks a request and gives the work it asks for.
///
/// # Errors
/// `ValidationException` with AWS's text where it is known, else one that names the member and the remedy.
pub fn check(request: &Document, buckets: &Buckets) -> Result<(Work, Usage), Fault> {
    let whole = Value::Object(request.clone());
    refuse_what_is_not_offered(&whole)?;
    let role = text(request, "RoleArn");
    check_role(role)?;
    let name = text(request, "TrainingJobName").to_owned();
    let usage = usage(&whole)?;
    check_stopping(&whole, usage.spot)?;
    let image = string(&whole, "/AlgorithmSpecification/TrainingImage");
    if image.is_empty() {
        return Err(Fault::validation("TrainingImage is missing in AlgorithmSpecification. Name the image of your framework."));
    }
    if !IMAGE.is_match(&image) {
        return Err(Fault::validation(format!(
            "Invalid training image {image}. It must look like ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG."
        )));
    }
    let output = output_place(&whole, buckets)?;
    let work = Work {
        arn: arn(&name),
        region: REGION.to_owned(),
        image,
        instance_type: usage.instance_type.clone(),
        hosts: usage.instances,
        hyperparameters: strings(whole.get("HyperParameters")),
        channels: channels(&whole, role, buckets)?,
        environment: strings(whole.get("Environment")),
        entrypoint: entrypoint(&whole),
        metrics: metrics(&whole)?,
        output: output.join(&name),
        name,
    };
    Ok((work, usage))
}

/// The ARN of a training job.
#[must_use]
pub fn arn(name: &str) -> String {
    format!("arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{name}")
}

fn refuse_what_is_not_offered(request: &Value) -> Result<(), Fault> {
    for (pointer, message) in NOT_OFFERED {
        let sent = request.pointer(pointer);
        if sent.is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty())) {
            return Err(Fault::validation(message));
        }
    }
    if request.pointer("/OutputDataConfig/CompressionType").and_then(Value::as_str) == Some("NONE") {
        return Err(Fault::validation(
            "Uncompressed output is not part of the local region. Leave OutputDataConfig.CompressionType out, or send GZIP.",
        ));
    }
    Ok(())
}

/// Whether the role is one of the region's account.
pub(super) fn check_role(role: &str) -> Result<(), Fault> {
    if role.starts_with(&format!("arn:aws:iam::{ACCOUNT}:role/")) {
        return Ok(());
    }
    Err(Fault::validation(format!(
        "Could not assume role {role}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' to assume the role. (The account of the local region is {ACCOUNT}.)"
    )))
}

fn usage(request: &Value) -> Result<Usage, Fault> {
    let instance_type = string(request, "/ResourceConfig/InstanceType");
    let count = request.pointer("/ResourceConfig/InstanceCount").and_then(Value::as_u64).unwrap_or(0);
    if instance_type.is_empty() || count == 0 {
        return Err(Fault::validation("InstanceType and InstanceCount (1 or more) are required in ResourceConfig."));
    }
    let usage = Usage {
        instance_type,
        instances: u32::try_from(count).unwrap_or(u32::MAX),
        spot: request.get("EnableManagedSpotTraining").and_then(Value::as_bool).unwrap_or(false),
    };
    if request.pointer("/ResourceConfig/KeepAlivePeriodInSeconds").and_then(Value::as_u64).unwrap_or(0) > 0 {
        Use::WarmPool.check(&usage.instance_type, 0, usage.instances)?;
    }
    Ok(usage)
}

fn check_stopping(request: &Value, spot: bool) -> Result<(), Fault> {
    let number = |member: &str| request.pointer(&format!("/StoppingCondition/{member}")).and_then(Value::as_u64);
    let runtime = number("MaxRuntimeInSeconds").unwrap_or(86_400);
    match (spot, number("MaxWaitTimeInSeconds")) {
        (false, None) => Ok(()),
        (false, Some(_)) => Err(Fault::validation(
            "MaxWaitTimeInSeconds is only for managed spot training. Set EnableManagedSpotTraining, or leave it out.",
        )),
        (true, Some(wait)) if wait >= runtime => Ok(()),
        (true, _) => Err(Fault::validation(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds",
        )),
    }
}

/// assumed: AWS finds a missing output bucket when it uploads, after the training; here it is refused before.
fn output_place(request: &Value, buckets: &Buckets) -> Result<S3Place, Fault> {
    let uri = string(request, "/OutputDataConfig/S3OutputPath");
    let place = S3Place::parse(&uri)
        .ok_or_else(|| Fault::validation(format!("S3OutputPath {uri} is not an address of the form s3://bucket/prefix.")))?;
    if !buckets.exists(&place.bucket) {
        return Err(Fault::validation(format!(
            "The bucket of S3OutputPath {uri} does not exist. Create the bucket {} first.",
            place.bucket
        )));
    }
    Ok(place)
}

fn channels(request: &Value, role: &str, buckets: &Buckets) -> Result<Vec<Channel>, Fault> {
    let mut names = BTreeSet::new();
    let mut channels = Vec::new();
    let default_mode = string(request, "/AlgorithmSpecification/TrainingInputMode");
    for sent in request.get("InputDataConfig").and_then(Value::as_array).into_iter().flatten() {
        let name = string(sent, "/ChannelName");
        // assumed: the text; the rule is AWS's.
        if !names.insert(name.clone()) {
            return Err(Fault::validation(format!(
                "Duplicate channel name {name} in InputDataConfig. Channel names must be unique."
            )));
        }
        // Legal by the pattern, and no folder's name.
        if name == "." || name == ".." {
            return Err(Fault::validation(format!("Invalid channel name {name} in InputDataConfig.")));
        }
        let mode = string(sent, "/InputMode");
        if [&mode, &default_mode].into_iter().find(|mode| !mode.is_empty()).is_some_and(|mode| mode == "Pipe") {
            return Err(Fault::validation(format!(
                "Pipe mode (channel {name}) is not part of the local region. Use File or FastFile."
            )));
        }
        let from = source(sent, &name)?;
        check_objects(&from, role, buckets)?;
        channels.push(Channel {
            name,
            from,
            sharded: string(sent, "/DataSource/S3DataSource/S3DataDistributionType") == "ShardedByS3Key",
            content_type: Some(string(sent, "/ContentType")).filter(|text| !text.is_empty()),
            record_wrapper: sent.get("RecordWrapperType").and_then(Value::as_str).unwrap_or("None").to_owned(),
        });
    }
    if channels.is_empty() && default_mode == "Pipe" {
        return Err(Fault::validation("Pipe mode is not part of the local region. Set TrainingInputMode to File or FastFile."));
    }
    Ok(channels)
}

fn source(channel: &Value, name: &str) -> Result<S3Place, Fault> {
    if channel.pointer("/DataSource/S3DataSource").is_none() {
        return Err(Fault::validation(format!(
            "The channel {name} has no S3DataSource; file systems and data sets are not part of the local region."
        )));
    }
    let kind = string(channel, "/DataSource/S3DataSource/S3DataType");
    if kind != "S3Prefix" {
        return Err(Fault::validation(format!(
            "S3DataType {kind} (channel {name}) is not part of the local region. Use S3Prefix."
        )));
    }
    let uri = string(channel, "/DataSource/S3DataSource/S3Uri");
    S3Place::parse(&uri).ok_or_else(|| {
        Fault::validation(format!("S3Uri {uri} of the channel {name} is not an address of the form s3://bucket/prefix."))
    })
}

fn check_objects(from: &S3Place, role: &str, buckets: &Buckets) -> Result<(), Fault> {
    let found = buckets.exists(&from.bucket) && buckets.list(&from.bucket, &from.key).is_ok_and(|objects| !objects.is_empty());
    if found {
        return Ok(());
    }
    Err(Fault::validation(format!(
        "No S3 objects found under S3 URL \"{from}\" given in input data source. Please ensure that the bucket exists in the selected region ({REGION}), that objects exist under that S3 prefix, and that the role \"{role}\" has \"s3:ListBucket\" permissions on bucket \"{}\".",
        from.bucket
    )))
}

fn metrics(request: &Value) -> Result<Vec<Metric>, Fault> {
    let sent = request.pointer("/AlgorithmSpecification/MetricDefinitions").and_then(Value::as_array);
    sent.into_iter()
        .flatten()
        .map(|definition| {
            let (name, regex) = (string(definition, "/Name"), string(definition, "/Regex"));
            Metric::new(&name, &regex).map_err(|why| {
                Fault::validation(format!("Invalid regular expression {regex} of the metric {name} in MetricDefinitions: {why}"))
            })
        })
        .collect()
}

fn entrypoint(request: &Value) -> Option<Vec<String>> {
    let words = |member: &str| {
        let list = request.pointer(&format!("/AlgorithmSpecification/{member}")).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
    };
    let mut command = words("ContainerEntrypoint");
    if command.is_empty() {
        return None;
    }
    command.extend(words("ContainerArguments"));
    Some(command)
}

fn string(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn strings(map: Option<&Value>) -> BTreeMap<String, String> {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn images_are_read_as_docker_reads_them() {
        for good in [
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38",
            "a/b_c:1",
            "h:5000/x@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ] {
            assert!(IMAGE.is_match(good), "{good}");
        }
        for bad in ["", "Upper", "a b", "a:", "a:tag:tag", "-a", "a@sha256:00"] {
            assert!(!IMAGE.is_match(bad), "{bad}");
        }
    }

    #[test]
    fn spot_needs_time_to_wait() {
        let with = |wait: Option<u64>| json!({"StoppingCondition": {"MaxRuntimeInSeconds": 10, "MaxWaitTimeInSeconds": wait}});
        assert!(check_stopping(&with(Some(10)), true).is_ok());
        assert!(
            check_stopping(&with(Some(9)), true).expect_err("is refused").message.starts_with("Invalid MaxWaitTimeInSeconds.")
        );
        assert!(check_stopping(&with(None), true).is_err());
        assert!(check_stopping(&with(Some(10)), false).is_err());
        assert!(check_stopping(&json!({}), false).is_ok());
    }

    #[test]
    fn the_role_must_be_of_the_regions_account() {
        assert!(check_role("arn:aws:iam::000000000000:role/service-role/Trainer").is_ok());
        assert!(
            check_role("arn:aws:iam::111122223333:role/SM")
                .expect_err("is refused")
                .message
                .starts_with("Could not assume role arn:aws:iam::111122223333:role/SM.")
        );
    }

    #[test]
    fn a_regex_that_does_not_compile_names_the_metric() {
        let request = json!({"AlgorithmSpecification": {"MetricDefinitions": [{"Name": "loss", "Regex": "loss: ("}]}});
        let fault = metrics(&request).expect_err("is refused");
        assert!(fault.message.contains("loss: (") && fault.message.contains("metric loss"), "{}", fault.message);
    }
}
