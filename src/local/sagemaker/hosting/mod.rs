//! Models, endpoint configurations and endpoints, and `InvokeEndpoint`.
//!
//! An endpoint runs a model server for each instance of its variants, until it is deleted: it outlives the region, which
//! starts it again (status `SystemUpdating` meanwhile, its model fetched anew) when it opens. Everything an endpoint needs is
//! pinned when it is created, so its configuration and its models may be deleted under it, as on AWS.

mod config;
mod endpoint;
mod fleet;
mod invoke;
mod life;
mod list;
mod model;
mod plan;
mod resource;
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::EngineOptions;
use super::store::{Document, text};
use crate::local::buckets::Buckets;
use crate::local::fault::Fault;
use crate::local::logs::Logs;
use crate::local::metrics::Metrics;
use fleet::Fleet;
use resource::Kind;
use store::Store;

/// Seconds that a change of an endpoint takes at least, at speed 1: AWS takes minutes.
const PHASE: f64 = 0.6;

/// The hosting half of the service.
pub struct Hosting {
    store: Store,
    buckets: Buckets,
    logs: Arc<Logs>,
    metrics: Arc<Metrics>,
    engine: EngineOptions,
    /// A folder per instance.
    roots: PathBuf,
    /// What serves now, by the endpoint's exact name.
    live: Mutex<BTreeMap<String, Arc<Fleet>>>,
    /// Every task of an endpoint or instance.
    tasks: TaskTracker,
    /// The end of the region.
    stop: CancellationToken,
    resumed: AtomicBool,
}

/// What hosting answers, tags aside.
const OPERATIONS: [&str; 14] = [
    "CreateModel",
    "DescribeModel",
    "DeleteModel",
    "ListModels",
    "CreateEndpointConfig",
    "DescribeEndpointConfig",
    "DeleteEndpointConfig",
    "ListEndpointConfigs",
    "CreateEndpoint",
    "DescribeEndpoint",
    "DeleteEndpoint",
    "ListEndpoints",
    "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities",
];

/// Whether a call is for this half: by its operation, and for tags by the resource.
#[must_use]
pub fn owns(operation: &str, request: &Document) -> bool {
    match operation {
        "AddTags" | "ListTags" | "DeleteTags" => Kind::of_arn(text(request, "ResourceArn")).is_some(),
        _ => OPERATIONS.contains(&operation),
    }
}

impl Hosting {
    /// Opens it in the service's folder, whose lock the caller holds. Endpoints that are there are started again. Blocks for
    /// a moment.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(
        folder: &Path,
        buckets: &Buckets,
        logs: &Arc<Logs>,
        metrics: &Arc<Metrics>,
        engine: &EngineOptions,
    ) -> Result<Arc<Self>, Fault> {
        let unusable = |error: std::io::Error| {
            Fault::internal(format_args!("the folder {} of the local region cannot be used: {error}", folder.display()))
        };
        let roots = folder.join("instances");
        // What a killed region left behind.
        let _ = std::fs::remove_dir_all(&roots);
        std::fs::create_dir_all(&roots).map_err(unusable)?;
        let hosting = Arc::new(Self {
            store: Store::open(&folder.join("hosting.sqlite"))?,
            buckets: buckets.clone(),
            logs: Arc::clone(logs),
            metrics: Arc::clone(metrics),
            engine: engine.clone(),
            roots: roots.canonicalize().map_err(unusable)?,
            live: Mutex::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            resumed: AtomicBool::new(false),
        });
        if let Ok(runtime) = Handle::try_current() {
            hosting.resume(&runtime)?;
        }
        Ok(hosting)
    }

    /// One call of the API, its input checked against the model already. Blocks.
    ///
    /// # Errors
    /// As AWS answers.
    pub fn answer(self: &Arc<Self>, operation: &str, request: &Document, runtime: &Handle) -> Result<Value, Fault> {
        self.resume(runtime)?;
        match operation {
            "CreateModel" => model::create(&self.store, &self.buckets, request),
            "DescribeModel" => resource::describe(&self.store, Kind::Model, request),
            "DeleteModel" => resource::delete(&self.store, Kind::Model, request),
            "CreateEndpointConfig" => config::create(&self.store, request),
            "DescribeEndpointConfig" => resource::describe(&self.store, Kind::Config, request),
            "DeleteEndpointConfig" => resource::delete(&self.store, Kind::Config, request),
            "DescribeEndpoint" => resource::describe(&self.store, Kind::Endpoint, request),
            "CreateEndpoint" => endpoint::create(self, request, runtime),
            "UpdateEndpoint" => endpoint::update(self, request, runtime),
            "UpdateEndpointWeightsAndCapacities" => endpoint::rescale(self, request, runtime),
            "DeleteEndpoint" => endpoint::delete(self, request, runtime),
            "ListModels" => list::list(&self.store, Kind::Model, request),
            "ListEndpointConfigs" => list::list(&self.store, Kind::Config, request),
            "ListEndpoints" => list::list(&self.store, Kind::Endpoint, request),
            "AddTags" | "ListTags" | "DeleteTags" => self.store.tags().answer(operation, &self.tagged(request)?, request),
            other => Err(Fault::internal(format_args!("{other} is not an operation of hosting"))),
        }
    }

    /// Ends every process; returns when none is left. The endpoints stay, and run again at the next opening.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// The ARN of a resource that exists. assumed: the answer for others is that of Describe.
    fn tagged(&self, request: &Document) -> Result<String, Fault> {
        let sent = text(request, "ResourceArn");
        let (kind, name) = Kind::of_arn(sent).ok_or_else(|| Fault::validation(format!("Invalid ARN {sent}.")))?;
        if self.store.get(kind, name)?.is_some() { Ok(kind.arn(name)) } else { Err(kind.not_found(name)) }
    }

    /// Starts the endpoints of an earlier region, once; needs a runtime.
    fn resume(self: &Arc<Self>, runtime: &Handle) -> Result<(), Fault> {
        if self.resumed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        life::resume(self, runtime)
    }

    /// The shortest time that a change takes.
    fn phase(&self) -> Duration {
        Duration::from_secs_f64(PHASE / self.engine.speed.clamp(0.01, 10_000.0))
    }

    /// Whoever panicked with the lock held has left the map whole: it is only inserted to and removed from.
    fn live(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Fleet>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
