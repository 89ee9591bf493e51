//! SageMaker: training jobs.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::buckets::Buckets;
use super::fault::Fault;
use super::logs::Logs;
use super::metrics::Metrics;

/// How the region runs jobs; from the command line.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The footplate program itself: jobs run under its hidden `local keep` command, which cannot be outlived.
    pub keeper: PathBuf,
    /// The interpreter for scripts.
    pub python: PathBuf,
    /// How much faster than AWS the waits between statuses go by; 1.0 is a brisk default of about a second per phase.
    pub speed: f64,
    /// Limits for one host's processes; `None` is unlimited.
    pub memory_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub seconds: Option<u64>,
}

/// The SageMaker service of the region.
pub struct SageMaker {}

impl SageMaker {
    /// Opens the service on its folder (it keeps its own SQLite file and job roots there). Jobs that were running when the
    /// region died become Failed and say so.
    pub fn open(_folder: PathBuf, _buckets: Buckets, _logs: Arc<Logs>, _metrics: Arc<Metrics>, _engine: EngineOptions) -> Result<Arc<Self>, Fault> {
        todo!("replaced by the SageMaker service")
    }

    /// One call of the API, e.g. `CreateTrainingJob`; input and output in the shapes of the service model, timestamps as
    /// epoch seconds with fraction.
    pub async fn call(self: &Arc<Self>, _operation: &str, _input: Value) -> Result<Value, Fault> {
        todo!("replaced by the SageMaker service")
    }

    /// Names of jobs that are running now.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        todo!("replaced by the SageMaker service")
    }

    /// Ends every child process and marks its job; returns when none is left.
    pub async fn close(&self) {
        todo!("replaced by the SageMaker service")
    }
}
