//! Carries out effects. Every task has one owner here and ends with it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Sender, UnboundedSender};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::cache::Cache;
use super::shell::Shells;
use crate::app::{App, Effect, Event, Wake};
use crate::aws::{self, Aws};
use crate::config::project;
use crate::model::{Failure, FailureKind, ItemId, LogBatch, MetricRule, Order, Page, Progress, Recipe, TailNote};
use crate::resource::{self, Resource};

/// How long orders under way may take to end when the user leaves.
const LEAVE: Duration = Duration::from_secs(5);

/// Details being read at once.
const DETAILS: usize = 8;

/// The tasks at work, and what they need.
pub struct Hands {
    aws: Arc<Aws>,
    project: PathBuf,
    cache: Cache,
    events: UnboundedSender<Event>,
    lines: Sender<Event>,
    timers: HashMap<Timer, AbortHandle>,
    lists: HashMap<String, (Option<ItemId>, AbortHandle)>,
    /// Oldest first.
    details: Vec<((String, ItemId), AbortHandle)>,
    preview: Option<AbortHandle>,
    tail: Option<Tail>,
    /// Logs read for their curves.
    watched: HashMap<(String, ItemId), Tail>,
    tasks: JoinSet<()>,
    orders: JoinSet<()>,
    shells: Shells,
    /// Orders that can be called off, by serial.
    called_off: HashMap<u64, (AbortHandle, CancellationToken)>,
}

/// A followed log: dropped, it ends.
struct Tail {
    ended: watch::Sender<bool>,
    tasks: [AbortHandle; 2],
}

impl Drop for Tail {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// A purpose that has at most one timer.
#[derive(PartialEq, Eq, Hash)]
enum Timer {
    Poll(String),
    Settle,
    Preview,
    Tick,
    Toast,
    Reconnect(u64),
    Release(u64),
}

impl Hands {
    pub fn new(
        aws: Arc<Aws>,
        project: PathBuf,
        cache: PathBuf,
        events: UnboundedSender<Event>,
        lines: Sender<Event>,
        heard: Sender<Event>,
    ) -> Self {
        Self {
            shells: Shells::new(Arc::clone(&aws), project.clone(), events.clone(), heard),
            aws,
            project,
            cache: Cache::new(cache),
            events,
            lines,
            timers: HashMap::new(),
            lists: HashMap::new(),
            details: Vec::new(),
            preview: None,
            tail: None,
            watched: HashMap::new(),
            tasks: JoinSet::new(),
            orders: JoinSet::new(),
            called_off: HashMap::new(),
        }
    }

    /// Starts what the effect asks for; never waits.
    pub fn carry_out(&mut self, effect: Effect) {
        while self.tasks.try_join_next().is_some() {}
        while self.orders.try_join_next().is_some() {}
        match effect {
            Effect::After { millis, wake } => self.timer(millis, wake),
            Effect::Identify => {
                let (aws, events) = (Arc::clone(&self.aws), self.events.clone());
                self.tasks.spawn(async move {
                    let who = aws.identity().await.map(|identity| identity.account.as_str().into());
                    let _ = events.send(Event::Identified(who));
                });
            }
            Effect::List { resource, scope } => self.list(resource, scope),
            Effect::Detail { resource, id } => self.detail(resource, id),
            Effect::Tail { resource, id, rules } => self.follow(&resource, &id, rules),
            Effect::TailEnded => {
                if let Some(tail) = &self.tail {
                    tail.ended.send_replace(true);
                }
            }
            Effect::Untail => self.tail = None,
            Effect::Watch { resource, logs } => self.watch(&resource, logs),
            Effect::Form { resource, verb, target } => {
                let (aws, events, project) = (Arc::clone(&self.aws), self.events.clone(), self.project.clone());
                self.tasks.spawn(async move {
                    let form = async {
                        let recipe = recipe(&project)?;
                        known(&resource)?.form(&aws, &recipe, verb, target.as_ref()).await
                    };
                    let _ = events.send(Event::Formed(form.await));
                });
            }
            Effect::Preview { serial, form } => {
                let (aws, events, project) = (Arc::clone(&self.aws), self.events.clone(), self.project.clone());
                let task = self.tasks.spawn(async move {
                    let preview = async {
                        let recipe = recipe(&project)?;
                        known(&form.resource)?.preview(&aws, &recipe, &form).await
                    };
                    let _ = events.send(Event::Previewed { serial, result: preview.await });
                });
                if let Some(before) = self.preview.replace(task) {
                    before.abort();
                }
            }
            Effect::Run { serial, order } => self.run(serial, order),
            Effect::Stake { order } => {
                let (aws, events) = (Arc::clone(&self.aws), self.events.clone());
                self.tasks.spawn(async move {
                    let Ok(known) = known(&order.resource) else { return };
                    let looks = order.targets.iter().map(|id| known.at_stake(&aws, id));
                    // What cannot be looked at now will say so when it is to be done.
                    let lines = futures_util::future::join_all(looks).await.into_iter().flatten().flatten().collect();
                    let _ = events.send(Event::Staked { order, lines });
                });
            }
            Effect::CallOff { serial } => {
                if let Some((_, token)) = self.called_off.remove(&serial) {
                    token.cancel();
                }
            }
            Effect::Remember { resource, items } => self.cache.keep(resource, items, &mut self.tasks),
            Effect::Lock => self.aws.set_read_only(),
            Effect::Shell { session, wish } => self.shells.carry_out(session, wish),
            Effect::Copy(_) | Effect::Suspend | Effect::Quit => {}
        }
    }

    fn timer(&mut self, millis: u64, wake: Wake) {
        let purpose = match &wake {
            Wake::Poll(resource) => Timer::Poll(resource.clone()),
            Wake::Settle(_) => Timer::Settle,
            Wake::Preview(_) => Timer::Preview,
            Wake::Tick => Timer::Tick,
            Wake::Toast(_) => Timer::Toast,
            Wake::Reconnect(session) => Timer::Reconnect(*session),
            Wake::Release(session) => Timer::Release(*session),
        };
        // Polls spread out, so that many cockpits do not ask in step.
        let millis = if matches!(wake, Wake::Poll(_)) { jitter(millis) } else { millis };
        let events = self.events.clone();
        let task = self.tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            let _ = events.send(Event::Woke(wake));
        });
        if let Some(before) = self.timers.insert(purpose, task) {
            before.abort();
        }
    }

    /// One list of a resource at a time: the same one again waits for the first, another one replaces it.
    fn list(&mut self, resource: String, scope: Option<ItemId>) {
        if let Some((under_way, task)) = self.lists.get(&resource)
            && !task.is_finished()
        {
            if *under_way == scope {
                return;
            }
            task.abort();
        }
        let (aws, events) = (Arc::clone(&self.aws), self.events.clone());
        let (name, within) = (resource.clone(), scope.clone());
        let task = self.tasks.spawn(async move {
            let pages = {
                let (events, resource, scope) = (events.clone(), resource.clone(), scope.clone());
                move |page: Page| {
                    let _ = events.send(Event::Listed { resource: resource.clone(), scope: scope.clone(), page });
                }
            };
            let result = match known(&resource) {
                Ok(known) => known.list(&aws, scope.as_ref(), &pages).await,
                Err(failure) => Err(failure),
            };
            let _ = events.send(Event::ListEnded { resource, scope, result });
        });
        self.lists.insert(name, (within, task));
    }

    /// One detail of a thing at a time, and only so many in all: of more, the first asked for are given up.
    fn detail(&mut self, resource: String, id: ItemId) {
        self.details.retain(|(_, task)| !task.is_finished());
        let what = (resource.clone(), id.clone());
        if self.details.iter().any(|(under_way, _)| *under_way == what) {
            return;
        }
        if self.details.len() >= DETAILS {
            self.details.remove(0).1.abort();
        }
        let (aws, events) = (Arc::clone(&self.aws), self.events.clone());
        let task = self.tasks.spawn(async move {
            let result = match known(&resource) {
                Ok(known) => known.detail(&aws, &id).await,
                Err(failure) => Err(failure),
            };
            let _ = events.send(Event::Detailed { resource, id, result });
        });
        self.details.push((what, task));
    }

    fn follow(&mut self, resource: &str, id: &ItemId, rules: Vec<MetricRule>) {
        self.tail = None;
        let (name, of) = (resource.to_owned(), id.clone());
        let tailed = move |batch| Some(Event::Tailed { resource: name.clone(), id: of.clone(), batch });
        self.tail = self.read_log(resource, id, rules, false, tailed);
    }

    /// Reads just these logs for their curves.
    fn watch(&mut self, resource: &str, logs: Vec<(ItemId, Vec<MetricRule>, bool)>) {
        let wanted = |name: &String, id: &ItemId| name == resource && logs.iter().any(|(other, ..)| other == id);
        self.watched.retain(|(name, id), _| wanted(name, id));
        for (id, rules, over) in logs {
            let key = (resource.to_owned(), id.clone());
            if let Some(tail) = self.watched.get(&key) {
                tail.ended.send_if_modified(|ended| !std::mem::replace(ended, over || *ended) && over);
                continue;
            }
            let (name, of) = key.clone();
            let watched = move |batch: LogBatch| {
                let whole = batch.note == Some(TailNote::Ended);
                let news = whole || !batch.points.is_empty();
                news.then(|| Event::Watched { resource: name.clone(), id: of.clone(), points: batch.points, whole })
            };
            if let Some(tail) = self.read_log(resource, &id, rules, over, watched) {
                self.watched.insert(key, tail);
            }
        }
    }

    /// Reads a log from its beginning, and on until what it is of has ended; hands over what is made of each portion.
    fn read_log(
        &mut self,
        resource: &str,
        id: &ItemId,
        rules: Vec<MetricRule>,
        over: bool,
        told: impl Fn(LogBatch) -> Option<Event> + Send + 'static,
    ) -> Option<Tail> {
        let (ended, watch) = watch::channel(over);
        let (out, mut batches) = tokio::sync::mpsc::channel::<LogBatch>(4);
        let lines = self.lines.clone();
        let follower = resource::find(resource)?.follow(Arc::clone(&self.aws), id, rules, watch, out)?;
        let follower = self.tasks.spawn(follower);
        let relay = self.tasks.spawn(async move {
            while let Some(batch) = batches.recv().await {
                if let Some(event) = told(batch)
                    && lines.send(event).await.is_err()
                {
                    return;
                }
            }
        });
        Some(Tail { ended, tasks: [follower, relay] })
    }

    fn run(&mut self, serial: u64, order: Order) {
        let (aws, events, project) = (Arc::clone(&self.aws), self.events.clone(), self.project.clone());
        let number = order_number();
        let called_off = CancellationToken::new();
        let stop = order.verb.can_be_called_off().then(|| called_off.clone());
        let task = self.orders.spawn(async move {
            let progress = {
                let events = events.clone();
                move |progress: Progress| {
                    let _ = events.send(Event::Progressed { serial, progress });
                }
            };
            let work = async {
                // Orders without a form act on what is there already and need no project.
                let recipe = if order.form.is_some() { recipe(&project)? } else { Recipe::default() };
                known(&order.resource)?.run(&aws, &recipe, &order, &progress).await
            };
            let result = tokio::select! {
                result = aws::with_order(number, work) => result,
                () = called_off.cancelled() => Err(order.called_off()),
            };
            let _ = events.send(Event::Ran { serial, order, result });
        });
        self.called_off.retain(|_, (task, _)| !task.is_finished());
        self.called_off.extend(stop.map(|stop| (serial, (task, stop))));
    }

    /// Ends everything: orders under way get a moment, the rows on the screen are kept for next time.
    pub async fn leave(mut self, app: &App) {
        self.tail = None;
        self.watched.clear();
        self.shells.leave().await;
        self.tasks.abort_all();
        // What can be continued next time is not waited for, but tidied up behind.
        self.called_off.values().for_each(|(_, token)| token.cancel());
        let orders = async {
            while self.orders.join_next().await.is_some() {}
            self.aws.aftermath().await;
        };
        let _ = tokio::time::timeout(LEAVE, orders).await;
        for pane in &app.panes {
            if pane.scope.is_empty() && matches!(pane.load, crate::app::pane::Load::Fresh(_)) {
                self.cache.write(pane.spec.id, &pane.to_remember());
            }
        }
    }
}

/// The project as it is now; a folder without a project file has the defaults.
pub(super) fn recipe(folder: &Path) -> Result<Recipe, Failure> {
    match project::load(folder) {
        Err(failure) if failure.kind == FailureKind::NotFound => Ok(project::bare(folder)),
        other => other,
    }
}

pub(super) fn known(resource: &str) -> Result<&'static dyn Resource, Failure> {
    resource::find(resource).ok_or_else(|| Failure::new(FailureKind::Invalid, format!("there is no resource {resource}"), ""))
}

/// A number for an order that nobody else has.
pub(super) fn order_number() -> String {
    let mut bytes = [0; 8];
    // Without random numbers there is still the time, in nanoseconds.
    if getrandom::fill(&mut bytes).is_err() {
        bytes = i64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX).to_be_bytes();
    }
    format!("fp-{}", hex::encode(bytes))
}

/// Up to a tenth more or less.
fn jitter(millis: u64) -> u64 {
    let mut byte = [128];
    if getrandom::fill(&mut byte).is_err() {
        return millis;
    }
    millis * 9 / 10 + millis * u64::from(byte[0]) / 1275
}
