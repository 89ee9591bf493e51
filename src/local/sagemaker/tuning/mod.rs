//! Hyperparameter tuning jobs: a search over ranges whose candidates are real training jobs.
//!
//! A request becomes a plan ([`check`]); its task ([`run`]) asks the search ([`search`], [`space`]) for candidates, starts
//! them through the training service, and follows the rules of [`verdict`]. Interface and rules are AWS's; the optimiser is
//! not, and no equality of its choices is claimed.

mod check;
mod document;
mod list;
mod run;
mod search;
mod space;
mod store;
mod verdict;
mod warm;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::document as training;
use super::life::Wish;
use super::store::{Document, Store, text};
use super::{SageMaker, create, quotas, shapes, tags};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;
use run::Run;
use store::Tunings;
use verdict::End;

type Running = BTreeMap<String, Arc<watch::Sender<Wish>>>;

/// The tuning jobs of the region.
pub struct Tuner {
    store: Tunings,
    /// The tuning jobs that run now, each with what is wanted of it.
    running: Mutex<Running>,
}

impl Tuner {
    /// Opens the tuning jobs in the service's folder. Those that were running when the region died become Failed and say so;
    /// their training jobs must have been marked before.
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(folder: &Path, jobs: &Store) -> Result<Self, Fault> {
        let store = Tunings::open(&folder.join("tuning.sqlite"))?;
        for tuning in store.jobs()?.iter().filter(|tuning| !document::over(tuning)) {
            mark_dead(&store, tuning, jobs)?;
        }
        Ok(Self { store, running: Mutex::default() })
    }

    /// Whether there is a tuning job with this ARN.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn knows(&self, arn: &str) -> Result<bool, Fault> {
        let name = arn.split_once(":hyper-parameter-tuning-job/").map_or("", |(_, name)| name);
        Ok(arn == check::arn(name) && self.store.job(name)?.is_some())
    }

    /// Whether no tuning job runs.
    pub fn idle(&self) -> bool {
        self.now().is_empty()
    }

    /// Tells all tuning jobs that the region closes.
    pub fn close(&self) {
        for wish in self.now().values() {
            wish.send_replace(Wish::Close);
        }
    }

    /// Whoever panicked with the lock held has left the map whole: it is only inserted to and removed from.
    fn now(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers an operation on tuning jobs; `None` when it is none of them. The request has been checked against its shape.
pub fn answer(service: &Arc<SageMaker>, operation: &str, request: &Document, runtime: &Handle) -> Option<Result<Value, Fault>> {
    let name = text(request, "HyperParameterTuningJobName");
    let store = &service.tuner.store;
    Some(match operation {
        "CreateHyperParameterTuningJob" => create(service, request, runtime),
        "DescribeHyperParameterTuningJob" => job(store, name).map(Value::Object),
        "ListHyperParameterTuningJobs" => store.jobs().and_then(|jobs| list::tuning_jobs(&jobs, request)),
        "ListTrainingJobsForHyperParameterTuningJob" => training_jobs(store, request),
        "StopHyperParameterTuningJob" => stop(&service.tuner, name),
        "DeleteHyperParameterTuningJob" => delete(service, name),
        _ => return None,
    })
}

fn create(service: &Arc<SageMaker>, request: &Document, runtime: &Handle) -> Result<Value, Fault> {
    let name = text(request, "HyperParameterTuningJobName");
    let tunings = &service.tuner.store;
    if tunings.job(name)?.is_some() {
        return Err(name_taken(name));
    }
    let plan = check::check(request)?;
    let tags = tags::sent(request)?;
    let (earlier, overall) = warm::parents(tunings, &plan, request)?;
    let usage = rehearse(service, &plan)?;
    let arn = check::arn(name);
    let document = document::new(request, &plan.metric, now_millis());

    // Quota, name and entry are one step.
    let running = service.now();
    if running.closing {
        return Err(super::closing());
    }
    quotas::check(&usage, running.jobs.values().map(|job| &job.usage))?;
    if !tunings.insert(&document)? {
        return Err(name_taken(name));
    }
    let (wish, wishes) = watch::channel(Wish::Go);
    let wish = Arc::new(wish);
    service.tuner.now().insert(name.to_owned(), wish.clone());
    drop(running);

    let entry = Entry { service: service.clone(), name: name.to_owned(), wish };
    let written = service.store.tags().add(&arn, &tags);
    let (service, inner) = (service.clone(), runtime.clone());
    let run = Run {
        service,
        runtime: inner,
        plan,
        earlier,
        overall,
        wishes,
        begin: Instant::now(),
        trials: Vec::new(),
        end: written.err().map(|fault| End::Failed(fault.message)),
    };
    runtime.spawn(async move {
        let _entry = entry;
        run.live().await;
    });
    Ok(json!({"HyperParameterTuningJobArn": arn}))
}

/// Checks the training jobs to come by the first of them, and gives what all that run at once use: a wrong role, image or data
/// is refused now and not by five failures.
fn rehearse(service: &SageMaker, plan: &check::Plan) -> Result<quotas::Usage, Fault> {
    let values = plan.search.candidate(&[], &[]).unwrap_or_default();
    let request = run::child_request(plan, &run::child_name(&plan.name, 1)?, &values);
    let (_, usage) = create::check(&shapes::accept("CreateTrainingJob", request)?, &service.buckets)?;
    let parallel = u32::try_from(plan.parallel.min(plan.jobs)).unwrap_or(u32::MAX);
    Ok(quotas::Usage { instances: usage.instances.saturating_mul(parallel), ..usage })
}

fn job(store: &Tunings, name: &str) -> Result<Document, Fault> {
    store.job(name)?.ok_or_else(|| not_found(name))
}

fn training_jobs(store: &Tunings, request: &Document) -> Result<Value, Fault> {
    let name = text(request, "HyperParameterTuningJobName");
    job(store, name)?;
    list::training_jobs(store.trials(name)?.into_iter().map(|(_, summary)| summary).collect(), request)
}

fn stop(tuner: &Tuner, name: &str) -> Result<Value, Fault> {
    let marked = tuner.store.update(name, |tuning| {
        let status = text(tuning, "HyperParameterTuningJobStatus");
        if status != "InProgress" {
            // assumed: the text, after that for training jobs.
            return Err(Fault::validation(format!(
                "The request was rejected because the hyperparameter tuning job is in status {status}."
            )));
        }
        tuning.insert("HyperParameterTuningJobStatus".to_owned(), json!("Stopping"));
        tuning.insert("LastModifiedTime".to_owned(), training::seconds(now_millis()));
        Ok(())
    });
    marked?.ok_or_else(|| not_found(name))?;
    if let Some(wish) = tuner.now().get(name) {
        wish.send_if_modified(|wish| {
            let first = *wish == Wish::Go;
            if first {
                *wish = Wish::Stop;
            }
            first
        });
    }
    Ok(json!({}))
}

/// Removes the entry of a tuning job; its training jobs stay (API reference). assumed: that it must have ended, and the codes
/// and texts, as the model declares no error.
fn delete(service: &SageMaker, name: &str) -> Result<Value, Fault> {
    let tuning = service.tuner.store.job(name)?.ok_or_else(|| Fault::validation(unknown(name)))?;
    if !document::over(&tuning) {
        return Err(Fault::validation(format!(
            "The tuning job {name} is in status {}. Stop it, and delete it when it has ended.",
            text(&tuning, "HyperParameterTuningJobStatus")
        )));
    }
    let arn = check::arn(name);
    service.tuner.store.delete(name)?;
    service.store.tags().clear(&arn)?;
    Ok(json!({}))
}

/// Marks a tuning job that was running when the region died, and brings the summaries of its training jobs up to date.
fn mark_dead(store: &Tunings, tuning: &Document, jobs: &Store) -> Result<(), Fault> {
    let name = text(tuning, "HyperParameterTuningJobName");
    let metric = &tuning["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"];
    let mut summaries = Vec::new();
    for (number, mut summary) in store.trials(name)? {
        if !training::ended(&summary)
            && let Some(job) = jobs.job(text(&summary, "TrainingJobName"))?
        {
            summary = document::summary(&job, &summary["TunedHyperParameters"], metric.as_str().unwrap_or_default());
            store.put_trial(name, number, &summary)?;
        }
        summaries.push(summary);
    }
    let reason = "InternalServerError: the local region stopped while this tuning job was running. Nothing of it runs any more. Start another one with a WarmStartConfig that names this one: it goes on from the results that are there.";
    let results = store.update(name, |tuning| {
        document::refresh(tuning, &summaries.iter().collect::<Vec<_>>(), None, now_millis());
        document::finish(tuning, &End::Failed(reason.to_owned()), 0, now_millis());
        Ok(())
    });
    results.map(drop)
}

/// A tuning job's place among the running ones; given back whatever way its task ends.
struct Entry {
    service: Arc<SageMaker>,
    name: String,
    /// Tells it from a later tuning job of the same name.
    wish: Arc<watch::Sender<Wish>>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut running = self.service.tuner.now();
        if running.get(&self.name).is_some_and(|wish| Arc::ptr_eq(wish, &self.wish)) {
            running.remove(&self.name);
        }
        drop(running);
        self.service.ended.notify_waiters();
    }
}

/// What AWS says of a tuning job that it does not know.
fn unknown(name: &str) -> String {
    format!("Amazon SageMaker can't find a tuning job called {name}. Type another name.")
}

fn not_found(name: &str) -> Fault {
    Fault::new("ResourceNotFound", 400, unknown(name))
}

fn name_taken(name: &str) -> Fault {
    let message = format!("A hyperparameter tuning job with the name, {name}, already exists. Choose a different name.");
    Fault::new("ResourceInUse", 400, message)
}
