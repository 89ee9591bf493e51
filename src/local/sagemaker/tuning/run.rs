//! The life of one tuning job: it starts training jobs, watches them, stops those that fall behind, and knows when it is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::sleep;

use super::super::document as training;
use super::super::life::{self, Wish};
use super::super::store::{Document, text};
use super::super::{SageMaker, shapes};
use super::check::{Plan, arn};
use super::document::{self, objective};
use super::search::Tried;
use super::verdict::{Attempt, End, falls_behind, not_improving, verdict};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

/// How often the training jobs are looked at; their ends are noticed at once.
const TICK: Duration = Duration::from_millis(250);
/// Namespace of the training jobs' metrics.
const NAMESPACE: &str = "/aws/sagemaker/TrainingJobs";

/// One running tuning job.
pub struct Run {
    pub service: Arc<SageMaker>,
    pub runtime: Handle,
    pub plan: Plan,
    /// What a warm start's parents found out, and the best of it.
    pub earlier: Vec<Tried>,
    pub overall: Option<Document>,
    pub wishes: watch::Receiver<Wish>,
    pub begin: Instant,
    pub trials: Vec<Trial>,
    /// Decided, but its training jobs may still be on their way out.
    pub end: Option<End>,
}

/// One training job of it.
pub struct Trial {
    values: Vec<String>,
    summary: Document,
    /// Whether the summary has to be written.
    changed: bool,
    /// Whether it was told to stop.
    stopped: bool,
    /// Values of the objective that the median rule has looked at.
    looked: usize,
    /// All values of the objective, once it has ended.
    series: Vec<f64>,
}

impl Run {
    /// Lives the tuning job to its end. A step that fails, as on a full disk, is tried again.
    pub async fn live(mut self) {
        let service = self.service.clone();
        loop {
            let wish = *self.wishes.borrow_and_update();
            let stepped = tokio::task::spawn_blocking(move || {
                let done = self.step(wish);
                (self, done)
            });
            let Ok((run, done)) = stepped.await else { return };
            self = run;
            // At the next opening the job is found running, and marked failed.
            if done.as_ref().is_ok_and(|done| *done) || (done.is_err() && wish == Wish::Close) {
                return;
            }
            tokio::select! {
                () = sleep(TICK) => {}
                () = service.ended.notified() => {}
                _ = self.wishes.changed() => {}
            }
        }
    }

    /// Does what is due now; true when the job is over. Blocks.
    fn step(&mut self, wish: Wish) -> Result<bool, Fault> {
        self.look()?;
        if self.end.is_none() {
            self.end = self.judge(wish);
        }
        if self.end.is_none() {
            self.prune()?;
            self.launch()?;
        }
        if self.end.is_some() {
            self.call_off()?;
        }
        let done = self.end.is_some() && self.running().next().is_none();
        self.write(done)?;
        Ok(done)
    }

    fn running(&self) -> impl Iterator<Item = &Trial> {
        self.trials.iter().filter(|trial| !training::ended(&trial.summary))
    }

    /// Brings the summaries up to date.
    fn look(&mut self) -> Result<(), Fault> {
        for trial in &mut self.trials {
            if training::ended(&trial.summary) {
                continue;
            }
            let name = text(&trial.summary, "TrainingJobName");
            let Some(job) = self.service.store.job(name)? else {
                // Deleted in the moment after its end.
                trial.summary.insert("TrainingJobStatus".to_owned(), json!("Stopped"));
                trial.summary.insert("ObjectiveStatus".to_owned(), json!("Failed"));
                trial.changed = true;
                continue;
            };
            let now = document::summary(&job, &trial.summary["TunedHyperParameters"], &self.plan.metric);
            if now == trial.summary {
                continue;
            }
            if self.plan.early && training::ended(&now) && text(&now, "TrainingJobStatus") != "Failed" {
                trial.series = self.service.metrics.values(NAMESPACE, &self.plan.metric, &[("TrainingJobName", name)])?;
            }
            trial.summary = now;
            trial.changed = true;
        }
        Ok(())
    }

    fn judge(&self, wish: Wish) -> Option<End> {
        match wish {
            Wish::Go => verdict(&self.plan, &self.attempts(), self.begin.elapsed()),
            Wish::Stop => Some(End::Stopped),
            Wish::Close => Some(End::Failed(
                "InternalServerError: the local region was closed while this tuning job was running. Start it again.".to_owned(),
            )),
        }
    }

    /// The ended training jobs in the order of their ends.
    fn attempts(&self) -> Vec<Attempt> {
        let mut ended: Vec<&Document> =
            self.trials.iter().map(|trial| &trial.summary).filter(|summary| training::ended(summary)).collect();
        // Stable: those that ended at the same time stay in the order of their start.
        ended.sort_by_key(|summary| training::millis(summary.get("TrainingEndTime")));
        let attempts = ended
            .into_iter()
            .map(|summary| Attempt { failed: text(summary, "TrainingJobStatus") == "Failed", objective: objective(summary) });
        attempts.collect()
    }

    /// Stops the training jobs that the median rule gives up.
    fn prune(&mut self) -> Result<(), Fault> {
        if !self.plan.early {
            return Ok(());
        }
        let series: Vec<Vec<f64>> = self.trials.iter().map(|trial| trial.series.clone()).collect();
        let earlier: Vec<&[f64]> = series.iter().map(Vec::as_slice).collect();
        for trial in &mut self.trials {
            if trial.stopped || training::ended(&trial.summary) {
                continue;
            }
            let name = text(&trial.summary, "TrainingJobName");
            let values = self.service.metrics.values(NAMESPACE, &self.plan.metric, &[("TrainingJobName", name)])?;
            if let Some(step) = falls_behind(&self.plan, &values, trial.looked, &earlier) {
                // assumed: the text; AWS marks such a job in its console only.
                let message = format!(
                    "Stopping the training job early: value {step} of {}, {}, is worse than the median of the training jobs before",
                    self.plan.metric,
                    values[step - 1]
                );
                stop(&self.service, name, Some(&message))?;
                trial.stopped = true;
            }
            trial.looked = values.len();
        }
        Ok(())
    }

    /// Starts training jobs until as many run as may.
    fn launch(&mut self) -> Result<(), Fault> {
        while self.running().count() < self.plan.parallel && self.trials.len() < self.plan.jobs {
            let tried = self.trials.iter().map(|trial| Tried { values: trial.values.clone(), result: objective(&trial.summary) });
            let Some(values) = self.plan.search.candidate(&tried.collect::<Vec<_>>(), &self.earlier) else {
                self.plan.jobs = self.trials.len();
                return Ok(());
            };
            let name = child_name(&self.plan.name, self.trials.len() + 1)?;
            let mut request = shapes::accept("CreateTrainingJob", child_request(&self.plan, &name, &values))?;
            request.insert("TuningJobArn".to_owned(), json!(arn(&self.plan.name)));
            match self.service.create(&request, &self.runtime) {
                Ok(_) => {}
                // Other jobs have the instances now, or the region is closing: it goes on when they are free, or not at all.
                Err(fault) if ["ResourceLimitExceeded", "ResourceInUse", "ServiceUnavailable"].contains(&fault.code) => {
                    return Ok(());
                }
                Err(fault) if fault.status >= 500 => return Err(fault),
                Err(fault) => {
                    self.end = Some(End::Failed(fault.message));
                    return Ok(());
                }
            }
            let job = self.service.store.job(&name)?.unwrap_or_default();
            let summary = document::summary(&job, &tuned(&self.plan, &values), &self.plan.metric);
            self.trials.push(Trial { values, summary, changed: true, stopped: false, looked: 0, series: Vec::new() });
        }
        Ok(())
    }

    /// Stops what still runs.
    fn call_off(&mut self) -> Result<(), Fault> {
        for trial in &mut self.trials {
            if !trial.stopped && !training::ended(&trial.summary) {
                stop(&self.service, text(&trial.summary, "TrainingJobName"), None)?;
                trial.stopped = true;
            }
        }
        Ok(())
    }

    fn write(&mut self, done: bool) -> Result<(), Fault> {
        let tunings = &self.service.tuner.store;
        let changed: Vec<usize> = (0..self.trials.len()).filter(|index| self.trials[*index].changed).collect();
        if changed.is_empty() && !done {
            return Ok(());
        }
        for index in &changed {
            tunings.put_trial(&self.plan.name, index + 1, &self.trials[*index].summary)?;
        }
        let results: Vec<f64> = self.attempts().iter().filter_map(|attempt| attempt.objective).collect();
        let summaries: Vec<&Document> = self.trials.iter().map(|trial| &trial.summary).collect();
        tunings.update(&self.plan.name, |tuning| {
            document::refresh(tuning, &summaries, self.overall.as_ref(), now_millis());
            if let Some(end) = self.end.as_ref().filter(|_| done) {
                document::finish(tuning, end, not_improving(&self.plan, &results), now_millis());
            }
            Ok(())
        })?;
        // Only now: what could not be written is written the next time.
        for index in changed {
            self.trials[index].changed = false;
        }
        Ok(())
    }
}

/// `CreateTrainingJob` for a candidate.
#[must_use]
pub fn child_request(plan: &Plan, name: &str, values: &[String]) -> Value {
    let mut request = plan.child.clone();
    request.insert("TrainingJobName".to_owned(), json!(name));
    if let Some(all) = request.get_mut("HyperParameters").and_then(Value::as_object_mut) {
        all.extend(tuned(plan, values).as_object().cloned().unwrap_or_default());
    }
    // assumed: each training job has a folder of its own. With one for all, a candidate would go on from another one's weights.
    if let Some(Value::String(uri)) = request.get_mut("CheckpointConfig").and_then(|config| config.get_mut("S3Uri")) {
        *uri = format!("{}/{name}", uri.trim_end_matches('/'));
    }
    request.into()
}

/// `<tuning job>-NNN-<8 hexadecimal digits>`.
///
/// # Errors
/// When the system has no randomness to give.
pub fn child_name(tuning: &str, number: usize) -> Result<String, Fault> {
    let random = getrandom::u32().map_err(Fault::internal)?;
    Ok(format!("{tuning}-{number:03}-{random:08x}"))
}

fn tuned(plan: &Plan, values: &[String]) -> Value {
    let parameters = plan.search.space.parameters.iter();
    parameters.zip(values).map(|(parameter, value)| (parameter.name.clone(), json!(value))).collect::<Document>().into()
}

/// Stops a training job, with a word about why; one that is ending already is left alone.
fn stop(service: &SageMaker, name: &str, why: Option<&str>) -> Result<(), Fault> {
    let stopped = service.halt(name, |job| {
        life::mark_stopping(job)?;
        if let Some(why) = why {
            training::say(job, why, now_millis());
        }
        Ok(())
    });
    match stopped {
        Err(fault) if fault.status >= 500 => Err(fault),
        _ => Ok(()),
    }
}
