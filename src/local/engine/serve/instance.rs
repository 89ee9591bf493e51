//! One instance: a model server that is started, watched, and started again when it ends by itself.

use std::convert::Infallible;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Served;
use super::bundle::Bundle;
use super::call::{CallError, call};
use crate::local::engine::host::{self, HostRun, Order, Sink};
use crate::local::engine::keeper::{Charge, Limits};
use crate::local::engine::usage::Gauge;

/// How often a server that is starting is asked.
const PING_EVERY: Duration = Duration::from_millis(50);
/// How long a ping of a server in service may take, and after how many that failed one after the other it is started again
/// (developer guide, "How containers should respond to health check requests"; assumed: the number).
const PING_PATIENCE: Duration = Duration::from_secs(2);
const STRIKES: u32 = 3;
/// The model server's exit code when it could not install the packages that the script asks for.
const NOT_INSTALLED: i32 = 76;
/// How often a server that has never been healthy is started before it is given up.
const ATTEMPTS: u32 = 3;
/// The first pause before a restart; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a server that is replaced may finish what it has begun: as long as an invocation may take.
const GRACE: Duration = Duration::from_mins(1);
/// The most an answer may hold: what `InvokeEndpoint` gives back at most.
const ANSWER_LIMIT: usize = 6 * 1024 * 1024;

/// What an instance is made of.
pub struct Plan {
    /// Like an EC2 instance's: `i-` and 17 hexadecimal digits. Unique; names the log stream and the process's mark.
    pub id: String,
    pub bundle: Bundle,
    pub served: Served,
    pub region: String,
    /// The footplate program.
    pub keeper: PathBuf,
    pub python: PathBuf,
    pub limits: Limits,
    /// How often its server is pinged in service.
    pub ping_every: Duration,
    /// The log stream.
    pub stream: String,
    pub sink: Sink,
    /// What measures its processes.
    pub gauge: Gauge,
}

/// How an instance is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Its server is starting, for the first time or again.
    Starting,
    /// It answered the ping.
    Ready,
    /// It never did and is not tried again; why the region could not run it, when that is so.
    GivenUp(Option<String>),
    /// Told to end, and ended.
    Ended,
}

/// A running instance; it runs until it is told to end.
pub struct Instance {
    pub id: String,
    pub stream: String,
    root: std::fs::File,
    health: watch::Receiver<Health>,
    orders: watch::Sender<Order>,
    /// Cancelled when nothing of it is left.
    gone: CancellationToken,
}

impl Instance {
    /// Makes an instance and the task that keeps it: whoever spawns that task waits for its end, by which no process of the
    /// instance and nothing of its folder is left. `stop` is the end of the region.
    ///
    /// # Errors
    /// When its folder is not there.
    pub fn new(plan: Plan, stop: CancellationToken) -> std::io::Result<(Arc<Self>, impl Future<Output = ()> + Send + 'static)> {
        let (report, health) = watch::channel(Health::Starting);
        let (orders, order) = watch::channel(Order::Run);
        let root = std::fs::File::open(&plan.bundle.root)?;
        let gone = CancellationToken::new();
        let left = gone.clone().drop_guard();
        let (id, stream) = (plan.id.clone(), plan.stream.clone());
        let instance = Arc::new(Self { id, stream, root, health, orders: orders.clone(), gone });
        let kept = Arc::clone(&instance);
        let task = async move {
            let _left = left;
            let ending = async {
                stop.cancelled().await;
                orders.send_replace(Order::Kill);
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = kept.keep(&plan, order, &report) => {}
                () = ending => {}
            }
            let root = plan.bundle.root;
            let _ = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(root)).await;
            if !matches!(*report.borrow(), Health::GivenUp(_)) {
                report.send_replace(Health::Ended);
            }
        };
        Ok((instance, task))
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.health.borrow() == Health::Ready
    }

    /// Waits until it is ready or given up.
    pub async fn settled(&self) -> Health {
        let mut health = self.health.clone();
        let settled = health.wait_for(|health| *health != Health::Starting).await;
        settled.map_or(Health::Ended, |health| health.clone())
    }

    /// Tells it to end: [`Order::Term`] lets it finish what it has begun.
    pub fn end(&self, order: Order) {
        self.orders.send_replace(order);
    }

    /// Waits until nothing of it is left.
    pub async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// One invocation.
    ///
    /// # Errors
    /// When there is no answer; the server's own errors are answers.
    pub async fn invoke(&self, headers: HeaderMap, body: Bytes) -> Result<Response<Bytes>, CallError> {
        call(&self.socket(), Method::POST, "/invocations", headers, body, ANSWER_LIMIT).await
    }

    async fn keep(&self, plan: &Plan, order: watch::Receiver<Order>, report: &watch::Sender<Health>) {
        let (mut ever, mut failures, mut pause, mut note) = (false, 0, PAUSE, Vec::new());
        loop {
            let (pass, passed) = watch::channel(Order::Run);
            let host = host::run(plan.host_run(std::mem::take(&mut note)), passed);
            let mut run = pin!(async {
                tokio::select! {
                    end = host => end,
                    never = pass_on(order.clone(), &pass) => match never {},
                }
            });
            let (end, sick) = tokio::select! {
                end = &mut run => (end, false),
                () = self.falls_sick(plan.ping_every, &order, report) => {
                    pass.send_replace(Order::Kill);
                    (run.await, true)
                }
            };
            if *order.borrow() != Order::Run {
                return;
            }
            if report.send_replace(Health::Starting) == Health::Ready {
                (ever, pause) = (true, PAUSE);
            }
            failures += 1;
            if !ever && end.code == NOT_INSTALLED {
                report.send_replace(Health::GivenUp(Some(not_installed(&plan.python))));
                return;
            }
            if !ever && failures >= ATTEMPTS {
                report.send_replace(Health::GivenUp(end.broken.map(|broken| broken.0)));
                return;
            }
            note = vec![if sick {
                format!("The model server failed {STRIKES} health checks (/ping). It is started again.")
            } else {
                format!("The model server ended with code {}. It is started again.", end.code)
            }];
            let mut order = order.clone();
            tokio::select! {
                () = sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                _ = order.wait_for(|order| *order != Order::Run) => return,
            }
        }
    }

    /// Reports when it is ready, and returns when it has then failed too many health checks. One that was told to end may be
    /// silent.
    async fn falls_sick(&self, every: Duration, order: &watch::Receiver<Order>, report: &watch::Sender<Health>) {
        self.answers_ping().await;
        report.send_replace(Health::Ready);
        let mut strikes = 0;
        while strikes < STRIKES {
            sleep(every).await;
            let answer = timeout(PING_PATIENCE, self.ping()).await;
            strikes = if answer == Ok(true) || *order.borrow() != Order::Run { 0 } else { strikes + 1 };
        }
    }

    async fn answers_ping(&self) {
        while !self.ping().await {
            sleep(PING_EVERY).await;
        }
    }

    async fn ping(&self) -> bool {
        let answer = call(&self.socket(), Method::GET, "/ping", HeaderMap::new(), Bytes::new(), ANSWER_LIMIT).await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::OK)
    }

    /// A socket's address may be 107 bytes long only, and a region's folder may lie deep: the way through the open folder is
    /// always short (proc(5)).
    fn socket(&self) -> PathBuf {
        format!("/proc/self/fd/{}/sock", self.root.as_raw_fd()).into()
    }
}

/// Passes orders on for as long as it is polled.
async fn pass_on(mut order: watch::Receiver<Order>, to: &watch::Sender<Order>) -> Infallible {
    loop {
        let now = *order.borrow_and_update();
        if now != Order::Run {
            to.send_replace(now);
        }
        if order.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

fn not_installed(python: &Path) -> String {
    format!(
        "The primary container could not install the packages of code/requirements.txt. Please check CloudWatch logs for this endpoint. Without a network, install them for {} yourself, or choose another interpreter with [local] python.",
        python.display()
    )
}

impl Plan {
    fn host_run(&self, preamble: Vec<String>) -> HostRun {
        let bundle = &self.bundle;
        let argv = [&self.python, &bundle.server(), &bundle.root, &bundle.model(), &bundle.program];
        let charge = Charge {
            argv: argv.map(|path| path.display().to_string()).into(),
            env: self.environment(),
            cwd: bundle.model(),
            limits: self.limits,
            grace_millis: u64::try_from(GRACE.as_millis()).unwrap_or(u64::MAX),
        };
        HostRun {
            keeper: self.keeper.clone(),
            charge,
            number: 1,
            mark: self.id.clone(),
            stream: self.stream.clone(),
            preamble,
            metrics: Vec::new(),
            sink: self.sink.clone(),
            gauge: self.gauge.clone(),
        }
    }

    /// The whole environment: nothing of the user's, then the model's own variables with `/opt/ml` as it is here.
    fn environment(&self) -> Vec<(String, String)> {
        let (root, model) = (&self.bundle.root, self.bundle.model());
        let ml = root.join("ml").display().to_string();
        let code = model.join("code").display().to_string();
        let folder = self.python.parent().map(|folder| format!("{}:", folder.display())).unwrap_or_default();
        let mut env = std::collections::BTreeMap::new();
        let mut set = |name: &str, value: String| {
            env.insert(name.to_owned(), value);
        };
        set("PATH", format!("{folder}/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"));
        set("LANG", "C.UTF-8".to_owned());
        set("HOME", root.join("home").display().to_string());
        set("TMPDIR", root.join("tmp").display().to_string());
        set("PYTHONUNBUFFERED", "1".to_owned());
        set("PYTHONPATH", format!("{code}:{code}/lib"));
        set("AWS_REGION", self.region.clone());
        set("AWS_DEFAULT_REGION", self.region.clone());
        // A script that uses boto3 would otherwise wait for the instance's metadata service.
        set("AWS_EC2_METADATA_DISABLED", "true".to_owned());
        for (name, value) in &self.served.environment {
            set(name, value.strip_prefix("/opt/ml").map_or_else(|| value.clone(), |rest| format!("{ml}{rest}")));
        }
        set("SAGEMAKER_BASE_DIR", ml.clone());
        set("SAGEMAKER_SUBMIT_DIRECTORY", code);
        set("SM_MODEL_DIR", model.display().to_string());
        // A name with `=` or NUL in it cannot be a variable.
        env.into_iter().filter(|(name, value)| !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0')).collect()
    }
}
