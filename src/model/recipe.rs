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
    /// The interpreter that the local region runs scripts with; absent: `python3` on the PATH.
    pub local_python: Option<PathBuf>,
}
