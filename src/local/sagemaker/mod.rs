//! SageMaker: training jobs, tuning jobs, in [`hosting`] models and endpoints, and in [`notebooks`] notebook instances and
//! Studio.
//!
//! A request is checked against the service model ([`shapes`]), then by the service's own rules ([`create`]); a job's state
//! is one document in SQLite ([`store`], [`document`]), which its task walks through the statuses ([`life`]).

mod create;
mod document;
mod hosting;
mod life;
mod list;
pub(in crate::local) mod notebooks;
mod outcome;
mod page;
pub(in crate::local) mod quotas;
mod search;
pub(in crate::local) mod shapes;
mod store;
mod tags;
mod tuning;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use super::buckets::Buckets;
use super::fault::Fault;
use super::logs::Logs;
use super::metrics::Metrics;
use crate::local::engine::host::now_millis;
use hosting::Hosting;
use life::{Life, Wish};
use notebooks::Notebooks;
use quotas::Usage;
use store::{Document, Store, text};

/// The AWS region that the local region plays.
pub const REGION: &str = "us-east-1";

/// How the region runs jobs; from the command line.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The footplate program itself: jobs run under its hidden `local keep` command, which cannot be outlived.
    pub keeper: PathBuf,
    /// The interpreter for scripts: a path, or a name that is looked for on PATH.
    pub python: PathBuf,
    /// How much faster than AWS the waits between statuses go by; 1.0 is a brisk default of about a second per phase.
    pub speed: f64,
    /// Limits for one host's processes; `None` is unlimited.
    pub memory_bytes: Option<u64>,
    pub disk_bytes: Option<u64>,
    pub seconds: Option<u64>,
}

/// The SageMaker service of the region.
pub struct SageMaker {
    store: Store,
    buckets: Buckets,
    logs: Arc<Logs>,
    metrics: Arc<Metrics>,
    engine: EngineOptions,
    hosting: Arc<Hosting>,
    notebooks: Notebooks,
    /// A folder per running job.
    roots: PathBuf,
    running: Mutex<Running>,
    tuner: tuning::Tuner,
    /// Told whenever a job has ended.
    ended: Notify,
    /// Held as long as the service is open: two of them on one folder would take each other's jobs for dead.
    _lock: std::fs::File,
}

/// The jobs that run now.
#[derive(Default)]
struct Running {
    jobs: BTreeMap<String, Job>,
    /// The number of jobs begun so far.
    begun: u64,
    closing: bool,
}

struct Job {
    /// Tells it from a later job of the same name.
    number: u64,
    wish: watch::Sender<Wish>,
    usage: Usage,
}

impl SageMaker {
    /// Opens the service on its folder (it keeps its own SQLite file and job roots there). Jobs that were running when the
    /// region died become Failed and say so. Blocks for a moment.
    ///
    /// # Errors
    /// When the folder cannot be written, or another process has it open.
    pub fn open(
        folder: &Path,
        buckets: Buckets,
        logs: Arc<Logs>,
        metrics: Arc<Metrics>,
        mut engine: EngineOptions,
    ) -> Result<Arc<Self>, Fault> {
        let unusable = |error: std::io::Error| {
            Fault::internal(format_args!("the folder {} of the local region cannot be used: {error}", folder.display()))
        };
        let roots = folder.join("jobs");
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let lock = std::fs::File::create(folder.join("lock")).map_err(unusable)?;
        lock.try_lock().map_err(|_| {
            Fault::internal(format_args!(
                "the local region in {} is open in another process. Use that one, or choose another folder with --data.",
                folder.display()
            ))
        })?;
        // What a killed region left behind.
        let _ = std::fs::remove_dir_all(&roots);
        std::fs::create_dir_all(&roots).map_err(unusable)?;
        let store = Store::open(&folder.join("sagemaker.sqlite"))?;
        for status in ["InProgress", "Stopping"] {
            for name in store.names_in(status)? {
                store.update(&name, |job| {
                    life::mark_dead(job);
                    Ok(())
                })?;
            }
        }
        let tuner = tuning::Tuner::open(folder, &store)?;
        engine.python = find_program(engine.python);
        let roots = roots.canonicalize().map_err(unusable)?;
        let hosting = Hosting::open(folder, &buckets, &logs, &metrics, &engine)?;
        let notebooks = Notebooks::open(folder, engine.speed)?;
        let (running, ended) = (Mutex::default(), Notify::new());
        Ok(Arc::new(Self {
            store,
            buckets,
            logs,
            metrics,
            engine,
            hosting,
            notebooks,
            roots,
            running,
            tuner,
            ended,
            _lock: lock,
        }))
    }

    /// One call of the API, e.g. `CreateTrainingJob`; input and output in the shapes of the service model, timestamps as
    /// epoch seconds with fraction. An operation without output gives an empty object.
    ///
    /// # Errors
    /// As AWS answers: `ValidationException`, `ResourceInUse`, `ResourceLimitExceeded`, …
    pub async fn call(self: &Arc<Self>, operation: &str, input: Value) -> Result<Value, Fault> {
        let (service, operation, runtime) = (self.clone(), operation.to_owned(), Handle::current());
        let work = tokio::task::spawn_blocking(move || service.answer(&operation, input, &runtime));
        work.await.map_err(Fault::internal)?
    }

    /// Notebook instances and Studio.
    #[must_use]
    pub fn notebooks(&self) -> &Notebooks {
        &self.notebooks
    }

    /// Names of jobs that are running now.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.now().jobs.keys().cloned().collect()
    }

    /// Ends every child process and marks its job; returns when none is left. New jobs are refused from now on.
    pub async fn close(&self) {
        {
            let mut running = self.now();
            running.closing = true;
            for job in running.jobs.values() {
                job.wish.send_replace(Wish::Close);
            }
        }
        self.tuner.close();
        self.hosting.close().await;
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Before the look, so that an end between the look and the wait is not missed.
            ended.as_mut().enable();
            if self.now().jobs.is_empty() && self.tuner.idle() {
                return;
            }
            ended.await;
        }
    }

    fn answer(self: &Arc<Self>, operation: &str, input: Value, runtime: &Handle) -> Result<Value, Fault> {
        let request = shapes::accept(operation, input)?;
        if hosting::owns(operation, &request) {
            return self.hosting.answer(operation, &request, runtime);
        }
        if notebooks::owns(operation, &request) {
            return self.notebooks.answer(operation, &request);
        }
        match operation {
            "CreateTrainingJob" => self.create(&request, runtime),
            "DescribeTrainingJob" => self.job(&request).map(Value::Object),
            "ListTrainingJobs" => list::list(&self.store, &request),
            "Search" => search::search(&self.store, &request),
            "StopTrainingJob" => self.stop(&request),
            "DeleteTrainingJob" => self.delete(&request),
            "UpdateTrainingJob" => {
                self.job(&request)?;
                Err(Fault::validation(
                    "UpdateTrainingJob is not part of the local region: it has no profiler and no warm pool. Start a new job instead.",
                ))
            }
            "AddTags" | "ListTags" | "DeleteTags" => self.store.tags().answer(operation, self.tagged(&request)?, &request),
            other => tuning::answer(self, other, &request, runtime).unwrap_or_else(|| {
                Err(Fault::new(
                    "UnknownOperationException",
                    400,
                    format!("The local region does not offer the SageMaker operation {other}."),
                ))
            }),
        }
    }

    /// The ARN of a training or tuning job that exists. assumed: the answer for others is that of Describe.
    fn tagged<'a>(&self, request: &'a Document) -> Result<&'a str, Fault> {
        let sent = text(request, "ResourceArn");
        let name = sent.split_once(":training-job/").map_or("", |(_, name)| name);
        let known = (sent == create::arn(name) && self.store.job(name)?.is_some()) || self.tuner.knows(sent)?;
        if known { Ok(sent) } else { Err(not_found()) }
    }

    fn create(self: &Arc<Self>, request: &Document, runtime: &Handle) -> Result<Value, Fault> {
        let name = text(request, "TrainingJobName");
        if self.store.job(name)?.is_some() {
            return Err(name_taken(name));
        }
        let (work, usage) = create::check(request, &self.buckets)?;
        let tags = tags::sent(request)?;
        let document = document::new(request, &work.arn, &work.output, now_millis());
        let limit = |member: &str| document["StoppingCondition"][member].as_u64().map(Duration::from_secs);
        let (limit, wait) = (limit("MaxRuntimeInSeconds").unwrap_or_default(), limit("MaxWaitTimeInSeconds"));

        // Quota, name and entry are one step: two calls at once cannot both take the last instance.
        let mut running = self.now();
        if running.closing {
            return Err(closing());
        }
        quotas::check(&usage, running.jobs.values().map(|job| &job.usage))?;
        if !self.store.insert(&document, &tags)? {
            return Err(name_taken(name));
        }
        let (wish, wishes) = watch::channel(Wish::Go);
        running.begun += 1;
        let number = running.begun;
        running.jobs.insert(work.name.clone(), Job { number, wish, usage });
        drop(running);

        let answer = json!({"TrainingJobArn": work.arn});
        let entry = Entry { service: self.clone(), name: work.name.clone(), number };
        let life = Life {
            service: self.clone(),
            root: self.roots.join(&work.name),
            work: Arc::new(work),
            runtime: limit,
            begin: tokio::time::Instant::now(),
            wishes,
            last: Arc::default(),
            wait,
            synced: Arc::default(),
        };
        runtime.spawn(async move {
            let _entry = entry;
            life.live().await;
        });
        Ok(answer)
    }

    fn job(&self, request: &Document) -> Result<Document, Fault> {
        self.store.job(text(request, "TrainingJobName"))?.ok_or_else(not_found)
    }

    fn stop(&self, request: &Document) -> Result<Value, Fault> {
        self.halt(text(request, "TrainingJobName"), life::mark_stopping)?;
        Ok(json!({}))
    }

    /// Marks a job as `mark` does, and ends its processes.
    fn halt(&self, name: &str, mark: impl FnOnce(&mut Document) -> Result<(), Fault>) -> Result<(), Fault> {
        self.store.update(name, mark)?.ok_or_else(not_found)?;
        if let Some(job) = self.now().jobs.get(name) {
            job.wish.send_if_modified(|wish| {
                let first = *wish == Wish::Go;
                if first {
                    *wish = Wish::Stop;
                }
                first
            });
        }
        Ok(())
    }

    fn delete(&self, request: &Document) -> Result<Value, Fault> {
        let job = self.job(request)?;
        let name = text(&job, "TrainingJobName");
        if !document::ended(&job) {
            // assumed: the text; that only ended jobs can be deleted is documented.
            return Err(Fault::new(
                "ResourceInUse",
                400,
                format!(
                    "The training job {name} is in status {}. Stop it, and delete it when it has ended.",
                    text(&job, "TrainingJobStatus")
                ),
            ));
        }
        self.store.delete(name, text(&job, "TrainingJobArn"))?;
        Ok(json!({}))
    }

    /// Whoever panicked with the lock held has left the map whole: it is only inserted to and removed from.
    fn now(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job's place among the running ones; given back whatever way its task ends.
struct Entry {
    service: Arc<SageMaker>,
    name: String,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut running = self.service.now();
        if running.jobs.get(&self.name).is_some_and(|job| job.number == self.number) {
            running.jobs.remove(&self.name);
        }
        drop(running);
        self.service.ended.notify_waiters();
    }
}

fn closing() -> Fault {
    Fault::new("ServiceUnavailable", 503, "The local region is closing.")
}

/// What AWS answers for a training job that it does not know.
fn not_found() -> Fault {
    Fault::validation("Requested resource not found.")
}

fn name_taken(name: &str) -> Fault {
    Fault::new(
        "ResourceInUse",
        400,
        format!(
            "Training job names must be unique within an AWS account and region, and a training job with this name already exists ({})",
            create::arn(name)
        ),
    )
}

/// The absolute path of a program named as in a shell. Not found, it stays as it is, and the job that needs it says so.
fn find_program(program: PathBuf) -> PathBuf {
    if program.components().count() > 1 {
        return std::path::absolute(&program).unwrap_or(program);
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(&program)).find(|path| is_file(path));
    found.unwrap_or(program)
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file())
}
