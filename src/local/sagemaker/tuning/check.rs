//! What `CreateHyperParameterTuningJob` checks beyond the shapes, and the plan that comes of a request.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::store::{Document, text};
use super::search::{Search, Strategy};
use super::space::Space;
use crate::local::ACCOUNT;
use crate::local::fault::Fault;
use crate::local::sagemaker::REGION;

/// The hyperparameter by which the service tells a job what it is tuned for; the Python SDK's `attach()` reads it.
pub const OBJECTIVE: &str = "_tuning_objective_metric";
/// Training jobs at once, of one tuning job (quotas of a new account).
const MOST_PARALLEL: u64 = 10;
/// Training jobs of one tuning job, Bayesian and Random (quotas of a new account).
const MOST_JOBS: (u64, u64) = (500, 10_000);

/// Members that ask for something the local region does not have; refused rather than ignored.
const NOT_OFFERED: [(&str, &str); 9] = [
    (
        "/TrainingJobDefinitions",
        "Several training job definitions are not part of the local region. Send one in TrainingJobDefinition.",
    ),
    ("/Autotune", "Autotune is not part of the local region. Leave Autotune out, and send ParameterRanges."),
    (
        "/HyperParameterTuningJobConfig/ParameterRanges/AutoParameters",
        "AutoParameters are not part of the local region. Give the hyperparameters ranges, or make them static.",
    ),
    (
        "/HyperParameterTuningJobConfig/StrategyConfig",
        "StrategyConfig is only for Hyperband, which is not part of the local region. Leave it out.",
    ),
    (
        "/TrainingJobDefinition/TuningObjective",
        "TuningObjective is only for TrainingJobDefinitions. Send HyperParameterTuningJobObjective in HyperParameterTuningJobConfig.",
    ),
    (
        "/TrainingJobDefinition/HyperParameterRanges",
        "HyperParameterRanges are only for TrainingJobDefinitions. Send ParameterRanges in HyperParameterTuningJobConfig.",
    ),
    (
        "/TrainingJobDefinition/HyperParameterTuningResourceConfig/InstanceConfigs",
        "InstanceConfigs are not part of the local region. Send InstanceType, InstanceCount and VolumeSizeInGB.",
    ),
    (
        "/TrainingJobDefinition/HyperParameterTuningResourceConfig/AllocationStrategy",
        "AllocationStrategy is only for InstanceConfigs, which are not part of the local region. Leave it out.",
    ),
    (
        "/TrainingJobDefinition/AlgorithmSpecification/AlgorithmName",
        "Algorithms of the marketplace are not part of the local region. Send a TrainingImage.",
    ),
];

/// What a tuning job does and when it is done.
#[derive(Clone, Debug)]
pub struct Plan {
    pub name: String,
    pub search: Search,
    pub metric: String,
    /// Training jobs altogether.
    pub jobs: usize,
    /// Training jobs at once.
    pub parallel: usize,
    /// Whether training jobs that do worse than the median are stopped.
    pub early: bool,
    /// `MaxRuntimeInSeconds`.
    pub runtime: Option<Duration>,
    /// `TargetObjectiveMetricValue`.
    pub target: Option<f64>,
    /// `MaxNumberOfTrainingJobsNotImproving`.
    pub patience: Option<usize>,
    /// Names of parents of a warm start.
    pub parents: Vec<String>,
    /// `CreateTrainingJob` without name and tuned hyperparameters.
    pub child: Document,
}

/// Checks a request and gives its plan. Parents are only named here.
///
/// # Errors
/// `ValidationException` with AWS's text where it is known, else one that names the member and the remedy, or
/// `ResourceLimitExceeded`.
pub fn check(request: &Document) -> Result<Plan, Fault> {
    let whole = Value::Object(request.clone());
    for (pointer, message) in NOT_OFFERED {
        if whole.pointer(pointer).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty())) {
            return Err(Fault::validation(message));
        }
    }
    let config = &whole["HyperParameterTuningJobConfig"];
    let definition = whole
        .get("TrainingJobDefinition")
        .ok_or_else(|| Fault::validation("TrainingJobDefinition is missing. Say in it what each training job runs."))?;
    let strategy = strategy(config)?;
    let (metric, maximize) = objective(config, definition)?;
    let space = Space::read(&config["ParameterRanges"])?;
    check_static(&space, definition)?;
    let jobs = jobs(config, &space, strategy)?;
    let parallel = config["ResourceLimits"]["MaxParallelTrainingJobs"].as_u64().unwrap_or(1);
    if parallel > MOST_PARALLEL {
        return Err(exceeded("parallel training jobs", MOST_PARALLEL, parallel));
    }
    let criteria = &config["TuningJobCompletionCriteria"];
    if criteria["ConvergenceDetected"]["CompleteOnConvergence"] == json!("Enabled") {
        return Err(Fault::validation(
            "ConvergenceDetected is not part of the local region. Use BestObjectiveNotImproving or TargetObjectiveMetricValue.",
        ));
    }
    let parents = parents(&whole, strategy)?;
    let seed = match config["RandomSeed"].as_u64() {
        Some(seed) => seed,
        None => getrandom::u64().map_err(Fault::internal)?,
    };
    Ok(Plan {
        name: text(request, "HyperParameterTuningJobName").to_owned(),
        search: Search { space, strategy, seed, maximize },
        jobs,
        parallel: usize::try_from(parallel).unwrap_or(1),
        early: config["TrainingJobEarlyStoppingType"] == json!("Auto"),
        runtime: config["ResourceLimits"]["MaxRuntimeInSeconds"].as_u64().map(Duration::from_secs),
        target: criteria["TargetObjectiveMetricValue"].as_f64().map(rounded),
        patience: criteria["BestObjectiveNotImproving"]["MaxNumberOfTrainingJobsNotImproving"]
            .as_u64()
            .and_then(|count| usize::try_from(count).ok()),
        parents,
        child: child(definition, &metric, request.get("Tags")),
        metric,
    })
}

/// As the model's type for metrics has it, a 32-bit float: else a target of 0.1 would not be reached by a final 0.1.
fn rounded(value: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
    let value = value as f32;
    f64::from(value)
}

/// The ARN of a tuning job.
#[must_use]
pub fn arn(name: &str) -> String {
    format!("arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/{name}")
}

/// The resources of a definition as `CreateTrainingJob` has them: the SDK sends `HyperParameterTuningResourceConfig`, older
/// clients `ResourceConfig`. assumed: the first one counts when both are sent.
#[must_use]
pub fn resources(definition: &Value) -> Value {
    let sent = definition.get("HyperParameterTuningResourceConfig").or_else(|| definition.get("ResourceConfig"));
    sent.cloned().unwrap_or_else(|| json!({}))
}

fn strategy(config: &Value) -> Result<Strategy, Fault> {
    match config["Strategy"].as_str() {
        Some("Random") => Ok(Strategy::Random),
        Some("Grid") => Ok(Strategy::Grid),
        Some("Hyperband") => Err(Fault::validation(
            "The Hyperband strategy is not part of the local region. Use Bayesian or Random with TrainingJobEarlyStoppingType Auto, which stops bad training jobs as well.",
        )),
        _ => Ok(Strategy::Bayesian),
    }
}

/// The metric's name and whether it is maximised.
fn objective(config: &Value, definition: &Value) -> Result<(String, bool), Fault> {
    let objective = &config["HyperParameterTuningJobObjective"];
    let metric = objective["MetricName"].as_str();
    let defined = definition.pointer("/AlgorithmSpecification/MetricDefinitions").and_then(Value::as_array);
    let defined = defined.into_iter().flatten().filter_map(|definition| definition["Name"].as_str());
    let metric = metric.filter(|metric| defined.into_iter().any(|name| name == *metric)).ok_or_else(|| {
        Fault::validation(
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions.",
        )
    })?;
    Ok((metric.to_owned(), objective["Type"] == json!("Maximize")))
}

/// assumed: the text; that a hyperparameter is either tuned or static is AWS's rule.
fn check_static(space: &Space, definition: &Value) -> Result<(), Fault> {
    let fixed = &definition["StaticHyperParameters"];
    match space.parameters.iter().find(|parameter| fixed.get(&parameter.name).is_some()) {
        Some(parameter) => Err(Fault::validation(format!(
            "The hyperparameter {} is both in ParameterRanges and in StaticHyperParameters. Take it out of one of them.",
            parameter.name
        ))),
        None => Ok(()),
    }
}

fn jobs(config: &Value, space: &Space, strategy: Strategy) -> Result<usize, Fault> {
    let sent = config["ResourceLimits"]["MaxNumberOfTrainingJobs"].as_u64();
    let combinations = space.combinations();
    #[expect(clippy::cast_precision_loss, reason = "for comparison and show")]
    if let Some(jobs) = sent.filter(|jobs| (*jobs as f64) > combinations) {
        return Err(Fault::validation(format!(
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter combinations for the provided ranges [{combinations:?}] must be equal or greater than the value of MaxNumberOfJobs, [{jobs}]. Provide additional ranges."
        )));
    }
    let (jobs, most) = match (strategy, sent) {
        (Strategy::Grid, sent) => (grid_jobs(space, sent)?, MOST_JOBS.1),
        (Strategy::Random, Some(jobs)) => (jobs, MOST_JOBS.1),
        (Strategy::Bayesian, Some(jobs)) => (jobs, MOST_JOBS.0),
        // assumed: the text.
        (_, None) => {
            return Err(Fault::validation(
                "MaxNumberOfTrainingJobs is required in ResourceLimits unless the strategy is Grid. Say how many training jobs may run.",
            ));
        }
    };
    if jobs > most {
        return Err(exceeded("training jobs", most, jobs));
    }
    Ok(usize::try_from(jobs).unwrap_or(usize::MAX))
}

/// The developer guide: a grid takes categorical ranges only, and a number of jobs, if sent, must be that of the combinations.
/// assumed: the texts.
fn grid_jobs(space: &Space, sent: Option<u64>) -> Result<u64, Fault> {
    if let Some(parameter) = space.numeric() {
        return Err(Fault::validation(format!(
            "The Grid strategy takes categorical ranges only, and {} is not categorical. List its values in CategoricalParameterRanges, or use another strategy.",
            parameter.name
        )));
    }
    // 30 ranges of 30 values do not fit in 64 bits.
    let choices = space.parameters.iter().filter_map(|parameter| parameter.kind.choices());
    let combinations = choices.fold(1_u64, u64::saturating_mul);
    match sent {
        Some(jobs) if jobs != combinations => Err(Fault::validation(format!(
            "MaxNumberOfTrainingJobs is {jobs}, and the grid has {combinations} combinations. Leave it out, or send {combinations}."
        ))),
        _ => Ok(combinations),
    }
}

fn parents(request: &Value, strategy: Strategy) -> Result<Vec<String>, Fault> {
    let list = request.pointer("/WarmStartConfig/ParentHyperParameterTuningJobs").and_then(Value::as_array);
    let names = list.into_iter().flatten().filter_map(|parent| parent["HyperParameterTuningJobName"].as_str());
    let names: Vec<String> = names.map(str::to_owned).collect();
    if !names.is_empty() && strategy == Strategy::Grid {
        return Err(Fault::validation(
            "A warm start has no effect on the Grid strategy. Leave WarmStartConfig out, or use Bayesian.",
        ));
    }
    Ok(names)
}

/// assumed: that names and numbers of the quotas are these.
fn exceeded(what: &str, limit: u64, sent: u64) -> Fault {
    Fault::new(
        "ResourceLimitExceeded",
        400,
        format!(
            "The account-level service limit 'Maximum number of {what} per hyperparameter tuning job' is {limit}, with current utilization of 0 and a request delta of {sent}. Please use AWS Service Quotas to request an increase for this quota."
        ),
    )
}

/// What every training job of the tuning job sends.
fn child(definition: &Value, metric: &str, tags: Option<&Value>) -> Document {
    let mut child = Document::new();
    for member in [
        "AlgorithmSpecification",
        "RoleArn",
        "InputDataConfig",
        "VpcConfig",
        "OutputDataConfig",
        "StoppingCondition",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
        "CheckpointConfig",
        "RetryStrategy",
        "Environment",
    ] {
        if let Some(value) = definition.get(member) {
            child.insert(member.to_owned(), value.clone());
        }
    }
    child.insert("ResourceConfig".to_owned(), resources(definition));
    let mut fixed = definition.get("StaticHyperParameters").cloned().unwrap_or_else(|| json!({}));
    fixed[OBJECTIVE] = json!(metric);
    child.insert("HyperParameters".to_owned(), fixed);
    // Tags of the tuning job are added to all its training jobs (API reference).
    if let Some(tags) = tags {
        child.insert("Tags".to_owned(), tags.clone());
    }
    child
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What the Python SDK sends, with two ranges.
    pub fn request() -> Document {
        let request = json!({
            "HyperParameterTuningJobName": "t",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Bayesian",
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
                "TrainingJobEarlyStoppingType": "Off",
                "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "Test Loss"},
                "ParameterRanges": {
                    "ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Auto"}],
                    "CategoricalParameterRanges": [{"Name": "batch", "Values": ["\"32\"", "\"64\""]}],
                    "IntegerParameterRanges": [],
                },
            },
            "TrainingJobDefinition": {
                "StaticHyperParameters": {"sagemaker_program": "\"hpo.py\""},
                "RoleArn": "arn:aws:iam::000000000000:role/SM",
                "OutputDataConfig": {"S3OutputPath": "s3://b/"},
                "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
                "HyperParameterTuningResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.2xlarge", "VolumeSizeInGB": 30},
                "AlgorithmSpecification": {
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "Test Loss", "Regex": "Testing Loss: ([0-9\\.]+)"}],
                    "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38",
                },
            },
        });
        request.as_object().expect("an object").clone()
    }

    fn with(changes: &[(&str, Value)]) -> Result<Plan, Fault> {
        let mut whole = Value::Object(request());
        for (pointer, value) in changes {
            let (parent, member) = pointer.rsplit_once('/').expect("a pointer");
            whole.pointer_mut(parent).expect("is there")[member] = value.clone();
        }
        check(whole.as_object().expect("an object"))
    }

    fn refused(changes: &[(&str, Value)]) -> String {
        with(changes).expect_err("is refused").message
    }

    const CONFIG: &str = "/HyperParameterTuningJobConfig";

    #[test]
    fn what_the_sdk_sends_becomes_a_plan() {
        let plan = with(&[]).expect("is accepted");
        assert_eq!((plan.jobs, plan.parallel, plan.metric.as_str(), plan.early), (2, 1, "Test Loss", false));
        assert_eq!(plan.child["HyperParameters"][OBJECTIVE], json!("Test Loss"));
        assert_eq!(plan.child["ResourceConfig"]["VolumeSizeInGB"], json!(30));
    }

    #[test]
    fn too_few_combinations_are_refused_in_awss_words() {
        let few = json!({"CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "b", "c"]}]});
        let message = refused(&[
            (&format!("{CONFIG}/ParameterRanges"), few),
            (&format!("{CONFIG}/ResourceLimits/MaxNumberOfTrainingJobs"), json!(10)),
        ]);
        assert_eq!(
            message,
            "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter combinations for the provided ranges [3.0] must be equal or greater than the value of MaxNumberOfJobs, [10]. Provide additional ranges."
        );
    }

    #[test]
    fn a_grid_takes_categories_and_counts_its_jobs_itself() {
        let grid = (format!("{CONFIG}/Strategy"), json!("Grid"));
        assert!(refused(&[(&grid.0, grid.1.clone())]).contains("lr is not categorical"));
        let categories = json!({"CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "b", "c"]}, {"Name": "d", "Values": ["a", "b"]}]});
        let ranges = format!("{CONFIG}/ParameterRanges");
        let limits = format!("{CONFIG}/ResourceLimits");
        let sent = |jobs: Value| [(grid.0.as_str(), grid.1.clone()), (&ranges, categories.clone()), (&limits, jobs)];
        assert_eq!(with(&sent(json!({"MaxParallelTrainingJobs": 2}))).expect("is accepted").jobs, 6);
        assert!(refused(&sent(json!({"MaxParallelTrainingJobs": 2, "MaxNumberOfTrainingJobs": 4}))).contains("or send 6."));
    }

    #[test]
    fn what_is_not_offered_says_what_to_use() {
        for (pointer, value, part) in [
            (format!("{CONFIG}/Strategy"), json!("Hyperband"), "Use Bayesian or Random"),
            (format!("{CONFIG}/StrategyConfig"), json!({}), "Hyperband"),
            ("/TrainingJobDefinitions".to_owned(), json!([{}]), "Send one in TrainingJobDefinition"),
            ("/Autotune".to_owned(), json!({"Mode": "Enabled"}), "Leave Autotune out"),
            (
                format!("{CONFIG}/TuningJobCompletionCriteria"),
                json!({"ConvergenceDetected": {"CompleteOnConvergence": "Enabled"}}),
                "BestObjectiveNotImproving",
            ),
        ] {
            let message = refused(&[(&pointer, value)]);
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn metric_static_hyperparameters_and_limits_are_checked() {
        assert_eq!(
            refused(&[(&format!("{CONFIG}/HyperParameterTuningJobObjective/MetricName"), json!("loss"))]),
            "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions."
        );
        assert!(refused(&[("/TrainingJobDefinition/StaticHyperParameters/lr", json!("1"))]).contains("lr is both"));
        let parallel = format!("{CONFIG}/ResourceLimits/MaxParallelTrainingJobs");
        assert_eq!(with(&[(&parallel, json!(11))]).expect_err("is refused").code, "ResourceLimitExceeded");
        let jobs = format!("{CONFIG}/ResourceLimits/MaxNumberOfTrainingJobs");
        assert_eq!(with(&[(&jobs, json!(501))]).expect_err("is refused").code, "ResourceLimitExceeded");
        assert!(
            refused(&[(&format!("{CONFIG}/ResourceLimits"), json!({"MaxParallelTrainingJobs": 1}))])
                .contains("unless the strategy is Grid")
        );
    }
}
