//! The project: what the forms and commands start from. Parsed from `footplate.toml` by `config`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A metric in the log: SageMaker's `MetricDefinitions`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricRule {
    pub name: String,
    /// The first capture group is the value.
    pub regex: String,
}

/// A hyperparameter's value with the type it has in TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
}

/// One data channel of a training job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    pub name: String,
    /// `s3://…`, or a folder or .zip on this machine, relative to the project.
    pub source: String,
}

/// The values that a hyperparameter may take in a tuning job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Range {
    /// Numbers with a fraction, from `min` to `max`; `scaling` is AWS's word: `Auto`, `Linear`, `Logarithmic`, `ReverseLogarithmic`.
    Continuous { min: f64, max: f64, scaling: String },
    /// Whole numbers, both ends included.
    Integer { min: i64, max: i64, scaling: String },
    /// One of these.
    Categorical(Vec<Scalar>),
}

/// The `[tuning]` part of a project file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuningRecipe {
    /// `Bayesian`, `Random`, `Grid` or `Hyperband`.
    pub strategy: String,
    pub max_jobs: u32,
    pub max_parallel_jobs: u32,
    pub early_stopping: bool,
    /// The metric that trials are judged by; one of the project's metrics.
    pub objective: String,
    /// More is better.
    pub maximize: bool,
    pub ranges: Vec<(String, Range)>,
    /// Hyperparameters that all trials share.
    pub hyperparameters: Vec<(String, Scalar)>,
    /// The script of the trials, relative to `source_dir`; absent: the project's `entry_point`.
    pub entry_point: Option<String>,
    /// Absent: those of training jobs.
    pub instance_type: Option<String>,
    pub instance_count: Option<u32>,
    /// Of one trial.
    pub max_runtime_seconds: Option<u32>,
    /// Of the whole tuning job.
    pub max_total_seconds: Option<u32>,
    pub seed: Option<u32>,
    /// Stop all once the objective is as good as this.
    pub target: Option<f64>,
    /// Stop all once so many trials in a row brought nothing better.
    pub max_not_improving: Option<u32>,
    /// Names of tuning jobs to learn from.
    pub warm_start: Vec<String>,
    /// The parents searched the same data with the same code: `IdenticalDataAndAlgorithm`, else `TransferLearning`.
    pub warm_start_identical: bool,
}

/// The `[endpoint]` part of a project file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointRecipe {
    pub instance_type: String,
    pub instance_count: u32,
    /// The inference script, relative to `source_dir`.
    pub entry_point: String,
    /// What `invoke` sends, unless told otherwise, as a media type.
    pub content_type: String,
    /// What it wants back.
    pub accept: String,
    /// Names of the classes, in the order of the model's outputs.
    pub classes: Vec<String>,
    /// A file, relative to the project, that is sent once when the endpoint has come up.
    pub smoke_test: Option<String>,
    pub environment: Vec<(String, String)>,
}

/// The `[instance]` part of a project file: an EC2 instance to experiment on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceRecipe {
    /// An AMI's id, its name (with `*` as in `DescribeImages`), or `resolve:ssm:` with a parameter's path.
    pub image: String,
    /// E.g. `g5.2xlarge`.
    pub instance_type: String,
    /// Of the root volume; absent: what the AMI asks for.
    pub storage_gb: Option<u32>,
    /// It ends itself after so long, also when nobody looks.
    pub lease_seconds: u32,
    /// Spare capacity: cheaper, and may be taken away.
    pub spot: bool,
    /// An availability zone, or a subnet; absent: where the type is offered.
    pub zone: Option<String>,
    pub subnet: Option<String>,
    /// Absent: the VPC's default one, or one that is made for the caller's address.
    pub security_group: Option<String>,
    /// Name or ARN of an instance profile, whose role programs on the instance have; absent: none.
    pub instance_profile: Option<String>,
    pub run: RunRecipe,
}

/// The `[instance.run]` part: what is trained on the instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecipe {
    /// `https://…`, `http://…` or `s3://…`, or a folder or file of the project; a .zip or .tar.gz is unpacked there.
    pub data: Option<String>,
    /// Folders that the script needs, relative to where it runs.
    pub folders: Vec<String>,
    /// The script, relative to `source_dir`.
    pub script: String,
    /// Its arguments: `--name value` each.
    pub arguments: Vec<(String, Scalar)>,
    /// The conda environment or virtual environment it runs in.
    pub environment: String,
    /// What is fetched when it is over, relative to where it ran.
    pub results: Vec<String>,
}

impl InstanceRecipe {
    /// What a project wants that says nothing of it: the current deep learning image for PyTorch, by the parameter under which
    /// AWS publishes it, on the cheapest type with a GPU, for four hours.
    #[must_use]
    pub fn usual(entry_point: &str) -> Self {
        Self { instance_type: "g4dn.xlarge".to_owned(), ..Self::small(entry_point) }
    }

    /// The same on a small machine without a GPU: for where nobody has said what it is for, as a GPU that was not asked for
    /// costs six times as much.
    #[must_use]
    pub fn small(entry_point: &str) -> Self {
        Self {
            image:
                "resolve:ssm:/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04/latest/ami-id"
                    .to_owned(),
            instance_type: "t3.large".to_owned(),
            storage_gb: None,
            lease_seconds: 4 * 3600,
            spot: false,
            zone: None,
            subnet: None,
            security_group: None,
            instance_profile: None,
            run: RunRecipe::usual(entry_point),
        }
    }
}

impl RunRecipe {
    /// What a project wants that says nothing of it: its script, without data, in the environment of the images.
    #[must_use]
    pub fn usual(entry_point: &str) -> Self {
        Self {
            data: None,
            folders: Vec::new(),
            script: entry_point.to_owned(),
            arguments: Vec::new(),
            environment: "pytorch".to_owned(),
            results: Vec::new(),
        }
    }
}

/// What of a training job goes beyond the ordinary; all of it is off unless the project says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extras {
    /// Spare capacity: cheaper, and may be taken away.
    pub spot: bool,
    /// How long to wait for it, run included.
    pub max_wait_seconds: Option<u32>,
    /// `s3://…` that `/opt/ml/checkpoints` is kept in step with.
    pub checkpoints: Option<String>,
    /// Keep the instances for the next job (a warm pool); they go on costing money.
    pub keep_alive_seconds: Option<u32>,
    pub subnets: Vec<String>,
    pub security_groups: Vec<String>,
    /// KMS keys for the instances' volumes and for what is written to S3.
    pub volume_kms_key: Option<String>,
    pub output_kms_key: Option<String>,
    pub network_isolation: bool,
    pub encrypt_traffic: bool,
    /// `torchrun`, `mpi` or `smddp`.
    pub distribution: Option<String>,
    /// For `mpi`.
    pub processes_per_host: Option<u32>,
}

/// All that a project file says, with defaults filled in. Paths are relative to `root`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The folder that holds footplate.toml.
    pub root: PathBuf,
    /// Base of job names.
    pub name: String,
    /// Absent: the default bucket `sagemaker-{region}-{account}`.
    pub bucket: Option<String>,
    /// Execution role: ARN or name. The local region has one of its own.
    pub role: Option<String>,
    /// `pytorch`.
    pub framework: String,
    /// `1.9`
    pub framework_version: String,
    /// `py38`
    pub py_version: String,
    /// Full image URI, instead of framework and version.
    pub image: Option<String>,
    /// Folder with the code.
    pub source_dir: PathBuf,
    /// The script, relative to `source_dir`.
    pub entry_point: String,
    pub channels: Vec<Channel>,
    pub instance_type: String,
    pub instance_count: u32,
    pub volume_gb: u32,
    pub max_runtime_seconds: u32,
    pub hyperparameters: Vec<(String, Scalar)>,
    pub metrics: Vec<MetricRule>,
    pub environment: Vec<(String, String)>,
    pub tags: Vec<(String, String)>,
    pub extras: Extras,
    pub tuning: Option<TuningRecipe>,
    pub endpoint: Option<EndpointRecipe>,
    pub instance: Option<InstanceRecipe>,
    /// Rules of the script's lint that the project does not want to hear of.
    pub lint_silenced: Vec<String>,
    /// The interpreter that the local region runs scripts with; absent: `python3` on the PATH.
    pub local_python: Option<PathBuf>,
}
