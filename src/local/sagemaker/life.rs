//! The life of one training job: from Starting through its phases to its end, each with its true times.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::SageMaker;
use super::document::{self, Ending};
use super::outcome::{Kept, Trained, judge};
use super::store::{Document, text};
use crate::local::buckets::BucketError;
use crate::local::engine::checkpoints::Synced;
use crate::local::engine::contract::{self, Invocation};
use crate::local::engine::host::{self, HostEnd, HostRun, LastValues, Order, Sink, now_millis};
use crate::local::engine::keeper::{Charge, Limits};
use crate::local::engine::layout::HostRoot;
use crate::local::engine::meeting::Meeting;
use crate::local::engine::usage::Gauge;
use crate::local::engine::{Broken, Work, artefacts, channels, disk, distribution, source};
use crate::local::fault::Fault;

/// Log group, and namespace of the scraped metrics.
const GROUP: &str = "/aws/sagemaker/TrainingJobs";
/// Seconds that a phase takes at least, at speed 1: AWS takes minutes.
const PHASE: f64 = 0.6;
/// Seconds between SIGTERM and SIGKILL, at speed 1 (`StopTrainingJob`'s documentation).
const GRACE: f64 = 120.0;
/// How often metrics are noted in the job, and the disk is measured.
const TICK: Duration = Duration::from_secs(1);
/// What is wanted of a running job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Go,
    /// `StopTrainingJob`.
    Stop,
    /// The region closes.
    Close,
}

/// One running job.
pub(super) struct Life {
    pub service: Arc<SageMaker>,
    pub work: Arc<Work>,
    /// `MaxRuntimeInSeconds`.
    pub runtime: Duration,
    pub begin: Instant,
    /// The job's folder; removed when it ends.
    pub root: PathBuf,
    pub wishes: watch::Receiver<Wish>,
    pub last: Arc<LastValues>,
    /// `MaxWaitTimeInSeconds`, from the job's start on.
    pub wait: Option<Duration>,
    pub synced: Arc<Synced>,
}

impl Life {
    /// Lives the job to its end.
    pub async fn live(mut self) {
        let ending = match self.phases().await {
            Ok(ending) => ending,
            Err(Broken(reason)) => Ending::Failed(reason),
        };
        let root = self.root.clone();
        // Before the last word is written: on a full disk this makes the room for it.
        blocking(move || drop(std::fs::remove_dir_all(root))).await.ok();
        self.finish(&ending).await;
    }

    async fn phases(&mut self) -> Result<Ending, Broken> {
        if let Some(ending) = self.pause().await {
            return Ok(ending);
        }
        self.note(|job| document::say(job, "Preparing the instances for training", now_millis())).await?;
        if let Some(ending) = self.pause().await {
            return Ok(ending);
        }
        self.enter("Downloading", "Downloading input data").await?;
        let hosts = self.prepare().await?;
        if let Some(ending) = self.pause().await {
            return Ok(ending);
        }
        self.enter("Training", "Training image download completed. Training in progress.").await?;
        let trained = self.train(&hosts).await?;
        let stored = self.store_checkpoints(&hosts, true).await;
        if !matches!(trained.ending, Ending::Failed(_)) {
            stored?;
        }
        if trained.kept == Kept::Nothing {
            return Ok(trained.ending);
        }
        self.enter("Uploading", "Uploading generated training model").await?;
        self.upload(&hosts, trained.kept).await?;
        // A job that is being closed waits for nothing more.
        if *self.wishes.borrow() != Wish::Close {
            sleep(self.scaled(PHASE)).await;
        }
        Ok(trained.ending)
    }

    /// Waits as long as a phase takes; gives the ending when the job is not wanted any more.
    async fn pause(&mut self) -> Option<Ending> {
        let patience = sleep(self.scaled(PHASE));
        tokio::select! {
            () = patience => None,
            wish = called_off(&mut self.wishes) => ending_of(wish),
        }
    }

    fn scaled(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds / self.service.engine.speed.clamp(0.01, 10_000.0))
    }

    /// Writes the next status down, unless the job is Stopping: that one stays until its upload or its end.
    async fn enter(&self, status: &'static str, message: &'static str) -> Result<(), Broken> {
        self.note(move |job| {
            let now = now_millis();
            if text(job, "TrainingJobStatus") == "Stopping" && status != "Uploading" {
                return;
            }
            document::move_on(job, status, message, now);
            // AWS bills from here: the instances have begun to work for the job.
            job.entry("TrainingStartTime").or_insert_with(|| document::seconds(now));
        })
        .await
    }

    async fn note(&self, change: impl FnOnce(&mut Document) + Send + 'static) -> Result<(), Broken> {
        let written = self.change(change).await;
        written.map_err(|fault| Broken(format!("InternalServerError: {}", fault.message)))
    }

    async fn change(&self, change: impl FnOnce(&mut Document) + Send + 'static) -> Result<(), Fault> {
        let (service, name) = (self.service.clone(), self.work.name.clone());
        let update = move || {
            service
                .store
                .update(&name, |job| {
                    change(job);
                    Ok(())
                })
                .map(drop)
        };
        blocking(update).await.map_err(|Broken(reason)| Fault::internal(reason))?
    }

    /// Lays the hosts out and fetches what they need.
    async fn prepare(&mut self) -> Result<Vec<HostRoot>, Broken> {
        let stop = Arc::new(AtomicBool::new(false));
        let (work, root, buckets, stopped) = (self.work.clone(), self.root.clone(), self.service.buckets.clone(), stop.clone());
        let (synced, python) = (self.synced.clone(), self.service.engine.python.clone());
        let mut fetching = tokio::spawn(blocking(move || {
            let hosts = (1..=work.hosts).map(|number| HostRoot::create(&root, &work, number)).collect::<Result<Vec<_>, _>>()?;
            channels::fetch(&buckets, &work, &hosts, &stopped)?;
            source::unpack(&buckets, &work, &hosts, &root)?;
            if let Some(checkpoints) = &work.checkpoints {
                checkpoints.restore(&buckets, &hosts, &synced)?;
            }
            hosts.first().map_or(Ok(()), |host| distribution::check(&work, host, &python))?;
            Ok(hosts)
        }));
        let fetched = tokio::select! {
            fetched = &mut fetching => fetched,
            _ = called_off(&mut self.wishes) => {
                stop.store(true, Ordering::Relaxed);
                fetching.await
            }
        };
        fetched.map_err(|error| Broken(format!("InternalServerError: {error}")))??
    }

    /// Runs all hosts and waits for their end, whatever brings it.
    async fn train(&mut self, hosts: &[HostRoot]) -> Result<Trained, Broken> {
        let (orders, order) = watch::channel(Order::Run);
        let (alarms, mut alarm) = mpsc::channel(1);
        let mut running = JoinSet::new();
        let mut commands = Vec::new();
        let meeting = Meeting::reserve().map_err(|error| Broken::region("finding a free port", &error))?;
        for (host, invocation) in self.invocations(hosts, &meeting)? {
            commands.push(contract::shell_text(&invocation.argv));
            running.spawn(host::run(self.host_run(&host, invocation), order.clone()));
        }
        let begin = Instant::now();
        let (mut deadline, mut late) = (begin + self.runtime, Ending::MaxRuntimeExceeded);
        if let Some(patience) = self.wait.map(|wait| self.begin + wait).filter(|patience| *patience < deadline) {
            (deadline, late) = (patience, Ending::MaxWaitTimeExceeded);
        }
        let limit = self.service.engine.seconds.map(Duration::from_secs);
        let mut ending: Option<Ending> = None;
        let mut failed: Option<HostEnd> = None;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                end = running.join_next() => match end {
                    None => break,
                    Some(end) => {
                        let end = end.map_err(|error| Broken(format!("InternalServerError: {error}")))?;
                        if (end.code != 0 || end.broken.is_some()) && failed.is_none() {
                            failed = Some(end);
                            // One host that fails fails the job; AWS ends the others.
                            if ending.is_none() {
                                let _ = orders.send(Order::Kill);
                            }
                        }
                    }
                },
                wish = wished(&mut self.wishes, ending.as_ref()) => {
                    let order = if wish == Wish::Stop { Order::Term } else { Order::Kill };
                    ending = ending_of(wish);
                    let _ = orders.send(order);
                },
                () = sleep_until(deadline), if ending.is_none() => {
                    ending = Some(late.clone());
                    let _ = orders.send(Order::Term);
                }
                () = sleep_until(begin + limit.unwrap_or_default()), if limit.is_some() && ending.is_none() => {
                    let seconds = limit.unwrap_or_default().as_secs();
                    ending = Some(Ending::Failed(format!("ClientError: the job ran longer than the {seconds} s that the local region allows. Raise its limit of seconds, or train less.")));
                    let _ = orders.send(Order::Kill);
                }
                Some(reason) = alarm.recv(), if ending.is_none() => {
                    ending = Some(Ending::Failed(reason));
                    let _ = orders.send(Order::Kill);
                }
                _ = ticks.tick() => {
                    self.note_metrics().await;
                    self.watch_disk(hosts, alarms.clone());
                    // In the background. What fails is tried again, and at the end it fails the job.
                    if self.work.checkpoints.is_some() {
                        tokio::spawn(self.store_checkpoints(hosts, false));
                    }
                }
            }
        }
        self.note_metrics().await;
        Ok(judge(ending, failed, hosts, &commands))
    }

    /// What each host runs.
    fn invocations(&self, hosts: &[HostRoot], meeting: &Meeting) -> Result<Vec<(HostRoot, Invocation)>, Broken> {
        let python = &self.service.engine.python;
        let invocation = |host: &HostRoot| contract::invocation(&self.work, host, python, meeting.port());
        hosts.iter().map(|host| Ok((host.clone(), invocation(host)?))).collect()
    }

    fn host_run(&self, host: &HostRoot, invocation: Invocation) -> HostRun {
        let engine = &self.service.engine;
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let charge = Charge {
            argv: invocation.argv,
            env: invocation.env,
            cwd: host.code(),
            limits: Limits {
                memory_bytes: engine.memory_bytes,
                file_bytes: engine.disk_bytes,
                // The clock is watched above; this only catches a process that burns on behind it.
                cpu_seconds: engine.seconds.map(|seconds| seconds.saturating_mul(cores)),
            },
            grace_millis: u64::try_from(self.scaled(GRACE).as_millis()).unwrap_or(u64::MAX),
        };
        HostRun {
            keeper: engine.keeper.clone(),
            charge,
            number: host.number,
            // Absolute, and of this job alone: no other region has the folder open.
            mark: host.all().display().to_string(),
            stream: format!("{}/{}-{}", self.work.name, host.name(), now_millis() / 1000),
            preamble: invocation.preamble,
            metrics: self.work.metrics.clone(),
            sink: Sink {
                logs: self.service.logs.clone(),
                metrics: self.service.metrics.clone(),
                group: GROUP.into(),
                dimension: ("TrainingJobName", self.work.name.clone()),
                last: self.last.clone(),
            },
            gauge: Gauge {
                metrics: self.service.metrics.clone(),
                namespace: GROUP,
                dimensions: vec![("Host", format!("{}/{}", self.work.name, host.name()))],
                folder: host.all().to_owned(),
                volume: engine.disk_bytes.unwrap_or(self.work.volume),
            },
        }
    }

    /// Puts the metrics of now into the job, so that Describe shows them while it runs. A write that fails is made good by
    /// the next one, or by the end.
    async fn note_metrics(&self) {
        let last = self.last.lock().map(|last| last.clone()).unwrap_or_default();
        if !last.is_empty() {
            let _ = self.change(move |job| document::set_metrics(job, last.iter())).await;
        }
    }

    /// Measures the hosts' disk use in the background and raises the alarm when one is over its limit.
    fn watch_disk(&self, hosts: &[HostRoot], alarms: mpsc::Sender<String>) {
        let Some(limit) = self.service.engine.disk_bytes else { return };
        let folders: Vec<PathBuf> = hosts.iter().map(|host| host.all().to_owned()).collect();
        drop(tokio::task::spawn_blocking(move || {
            if folders.iter().any(|folder| disk::used(folder) > limit) {
                let reason = format!(
                    "ClientError: the job used more than the {limit} bytes of disk that the local region allows for a host. Raise its disk limit, or write less."
                );
                // Full when the alarm was raised already.
                let _ = alarms.try_send(reason);
            }
        }));
    }

    /// Brings changed checkpoints to S3, at the `last` time all of them.
    fn store_checkpoints(&self, hosts: &[HostRoot], last: bool) -> impl Future<Output = Result<(), Broken>> + use<> {
        let (work, hosts, buckets) = (self.work.clone(), hosts.to_vec(), self.service.buckets.clone());
        let synced = self.synced.clone();
        async move {
            let store = move || {
                let checkpoints = work.checkpoints.as_ref();
                checkpoints.map_or(Ok(()), |checkpoints| checkpoints.store(&buckets, &hosts, &synced, last))
            };
            blocking(store).await?
        }
    }

    /// Packs and stores what the hosts left behind.
    async fn upload(&self, hosts: &[HostRoot], kept: Kept) -> Result<(), Broken> {
        let (work, root, buckets) = (self.work.clone(), self.root.clone(), self.service.buckets.clone());
        let models = if kept == Kept::All { hosts.iter().map(HostRoot::model).collect() } else { Vec::new() };
        let outputs = hosts.iter().map(HostRoot::output_data).collect();
        blocking(move || {
            for (name, folders) in [("model.tar.gz", models), ("output.tar.gz", outputs)] {
                let archive = root.join(name);
                let packed =
                    artefacts::pack(&folders, &archive).map_err(|error| Broken::region(&format!("packing {name}"), &error))?;
                if !packed {
                    continue;
                }
                let place = work.output.join("output").join(name);
                buckets.store(&place.bucket, &place.key, &archive).map_err(|error| match error {
                    BucketError::Io(error) => Broken::region(&format!("storing {place}"), &error),
                    error => Broken::client(format_args!("Artifact upload failed: {error}")),
                })?;
                let _ = std::fs::remove_file(archive);
            }
            Ok(())
        })
        .await?
    }

    /// Writes the end down. It must not get lost: while the disk is full it is tried again until there is room.
    async fn finish(&self, ending: &Ending) {
        loop {
            let last = self.last.lock().map(|last| last.clone()).unwrap_or_default();
            let ending = ending.clone();
            let written = self.change(move |job| {
                document::set_metrics(job, last.iter());
                document::finish(job, &ending, now_millis());
            });
            // At the next opening the job is found running, and marked failed.
            if written.await.is_ok() || *self.wishes.borrow() == Wish::Close {
                return;
            }
            sleep(TICK).await;
        }
    }
}

/// Waits until the job is not wanted any more; at once when that is so already.
async fn called_off(wishes: &mut watch::Receiver<Wish>) -> Wish {
    // The channel ends with the service.
    wishes.wait_for(|wish| *wish != Wish::Go).await.map_or(Wish::Close, |wish| *wish)
}

/// The next wish that a job with this ending has to follow: a stop once, a close always.
async fn wished(wishes: &mut watch::Receiver<Wish>, ending: Option<&Ending>) -> Wish {
    let closing = matches!(ending, Some(Ending::Failed(_)));
    let due = |wish: &Wish| match wish {
        Wish::Go => false,
        Wish::Stop => ending.is_none(),
        Wish::Close => !closing,
    };
    // The channel ends with the service.
    let wish = wishes.wait_for(due).await.map_or(Wish::Close, |wish| *wish);
    if wish == Wish::Close && closing {
        std::future::pending::<()>().await;
    }
    wish
}

fn ending_of(wish: Wish) -> Option<Ending> {
    match wish {
        Wish::Go => None,
        Wish::Stop => Some(Ending::Stopped),
        Wish::Close => Some(Ending::Failed(
            "InternalServerError: the local region was closed while this job was running. Start the job again.".to_owned(),
        )),
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Broken> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Broken(format!("InternalServerError: {error}")))
}

/// Marks a job that was running when the region died.
pub(super) fn mark_dead(job: &mut Document) {
    let reason = "InternalServerError: the local region stopped while this job was running. Nothing of it runs any more; start the job again.";
    document::finish(job, &Ending::Failed(reason.to_owned()), now_millis());
}

/// Asks a job to stop, in its document.
///
/// # Errors
/// A job that has ended, or is being stopped already, is refused in AWS's words.
pub(super) fn mark_stopping(job: &mut Document) -> Result<(), Fault> {
    let status = text(job, "TrainingJobStatus");
    if status != "InProgress" {
        return Err(Fault::validation(format!("The request was rejected because the training job is in status {status}.")));
    }
    job.insert("TrainingJobStatus".to_owned(), json!("Stopping"));
    document::move_on(job, "Stopping", "Stopping the training job", now_millis());
    Ok(())
}
