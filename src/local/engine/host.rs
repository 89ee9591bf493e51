//! One host of a job: its process under a keeper, and its output on the way to logs and metrics.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::keeper::{self, Charge};
use super::lines::{Lines, Piece};
use super::scrape::{Metric, Scraper};
use super::usage::Gauge;
use super::{Broken, host_name};
use crate::local::logs::{LogEvent, Logs};
use crate::local::metrics::Metrics;

/// How long a line may wait before it is in the log.
const FLUSH_EVERY: Duration = Duration::from_millis(200);
/// A batch is written when it has this many lines…
const BATCH_LINES: usize = 1000;
/// …or this many bytes. While it is written nothing more is read: a script that writes faster waits in its pipe.
const BATCH_BYTES: usize = 1 << 20;
/// How much is read at once.
const READ_BYTES: usize = 64 << 10;
/// How much of the end of the error stream is kept for the failure reason.
const TAIL_BYTES: usize = 8 << 10;
/// The keeper's pipes are closed when it has ended; this long we wait for what is still in them.
const DRAIN: Duration = Duration::from_secs(30);

/// The variable with the host's mark.
const MARK: &str = "FOOTPLATE_HOST";

/// What the region wants of a running host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Run,
    /// SIGTERM, and SIGKILL when the grace is over.
    Term,
    Kill,
}

/// The last value of each metric, with its time in epoch milliseconds.
pub type LastValues = Mutex<BTreeMap<String, (f64, i64)>>;

/// Where the output goes.
#[derive(Clone)]
pub struct Sink {
    pub logs: Arc<Logs>,
    pub metrics: Arc<Metrics>,
    /// Log group and metric namespace, e.g. `/aws/sagemaker/TrainingJobs`.
    pub group: Cow<'static, str>,
    /// The dimension of the metrics, e.g. `TrainingJobName` and the name.
    pub dimension: (&'static str, String),
    pub last: Arc<LastValues>,
}

/// One host, ready to start.
pub struct HostRun {
    /// The footplate program.
    pub keeper: PathBuf,
    pub charge: Charge,
    pub number: u32,
    /// A text that no other host of any job has: its processes are known by it.
    pub mark: String,
    /// The log stream.
    pub stream: String,
    /// Lines for the log before the script's own.
    pub preamble: Vec<String>,
    pub metrics: Vec<Metric>,
    pub sink: Sink,
    /// What measures its processes.
    pub gauge: Gauge,
}

/// How a host ended.
#[derive(Clone, Debug)]
pub struct HostEnd {
    pub number: u32,
    /// The exit code; 128 + n for signal n.
    pub code: i32,
    /// The end of the error stream.
    pub stderr: String,
    /// Why the region could not run it to its end, when that is so.
    pub broken: Option<Broken>,
}

/// Runs a host until no process of it is left. When the order channel is closed, or this future is dropped, the host is killed.
pub async fn run(host: HostRun, mut orders: watch::Receiver<Order>) -> HostEnd {
    let mut end = HostEnd { number: host.number, code: 0, stderr: String::new(), broken: None };
    let doing = format!("starting {} with {}", host_name(host.number), host.keeper.display());
    let (mut child, stdin) = match start(&host).await {
        Ok(started) => started,
        Err(error) => {
            end.broken = Some(Broken::region(&doing, &error));
            return end;
        }
    };
    let keeper = child.id();
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return end; // Both were asked for as pipes just now.
    };
    let (mark, gauge) = (host.mark.clone(), host.gauge.clone());
    let measuring = async move {
        // It has an id: nobody has waited for it.
        if let Some(keeper) = keeper {
            gauge.measure(keeper).await;
        }
        std::future::pending::<Infallible>().await
    };
    // The order pump owns the keeper's standard input: when either ends, the keeper reads the end of the region and kills.
    let (broken, mut breaks) = watch::channel(false);
    let mut relay = tokio::spawn(async move {
        let (result, tail) = relay(stdout, stderr, Collector::new(host)).await;
        let _ = broken.send(result.is_err());
        (result, tail)
    });
    let kept = async {
        tokio::select! {
            status = child.wait() => return status,
            () = pass_orders(stdin, &mut orders, &mut breaks) => {}
        }
        child.wait().await
    };
    let status = tokio::select! {
        status = kept => status,
        never = measuring => match never {},
    };
    if status.as_ref().is_ok_and(|status| status.signal().is_some()) {
        let _ = tokio::task::spawn_blocking(move || keeper::kill_marked(MARK, &mark)).await;
    }
    end.code = status.map_or(125, keeper::exit_code);
    match timeout(DRAIN, &mut relay).await {
        Ok(Ok((result, tail))) => {
            end.stderr = tail;
            end.broken = result.err().map(|error| Broken::region("writing the log of the job", &error));
        }
        Ok(Err(error)) => {
            end.broken = Some(Broken(format!("InternalServerError: reading the output of the job failed: {error}")));
        }
        Err(_) => relay.abort(),
    }
    end
}

/// Starts the keeper and tells it its charge. It gets its own process group, so that a Ctrl-C in the region's terminal does
/// not reach it, and nothing of the region's environment.
async fn start(host: &HostRun) -> std::io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(&host.keeper)
        .args(["local", "keep"])
        .env_clear()
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or_else(|| std::io::Error::other("no pipe to the keeper"))?;
    let mut charge = host.charge.clone();
    charge.env.push((MARK.to_owned(), host.mark.clone()));
    let mut line = serde_json::to_vec(&charge)?;
    line.push(b'\n');
    stdin.write_all(&line).await?;
    Ok((child, stdin))
}

/// Passes orders on until one is final; then the standard input is dropped, which is the most final of all.
async fn pass_orders(mut stdin: ChildStdin, orders: &mut watch::Receiver<Order>, breaks: &mut watch::Receiver<bool>) {
    loop {
        let order = *orders.borrow_and_update();
        match order {
            Order::Run => {}
            // A keeper that is ending already reads no more; then there is nothing to pass on.
            Order::Term => drop(stdin.write_all(keeper::TERM.as_bytes()).await),
            Order::Kill => return,
        }
        let broken = async {
            let ended = breaks.wait_for(|broken| *broken).await.is_err();
            if ended {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            changed = orders.changed() => if changed.is_err() { return },
            () = broken => return,
        }
    }
}

/// Reads both streams to their end. The second value is the end of the error stream.
async fn relay(mut out: ChildStdout, mut err: ChildStderr, mut collector: Collector) -> (std::io::Result<()>, String) {
    let (mut from_out, mut from_err) = (vec![0; READ_BYTES], vec![0; READ_BYTES]);
    let mut open = [true, true];
    while open != [false, false] {
        let wake = collector.wake();
        tokio::select! {
            read = out.read(&mut from_out), if open[0] => open[0] = collector.take(0, read.map(|count| &from_out[..count])),
            read = err.read(&mut from_err), if open[1] => open[1] = collector.take(1, read.map(|count| &from_err[..count])),
            () = sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => collector.release_overdue(),
        }
        if collector.ripe()
            && let Err(error) = collector.write().await
        {
            return (Err(error), collector.tail());
        }
    }
    (collector.write().await, collector.tail())
}

/// One output stream on its way.
struct Stream {
    lines: Lines,
    scraper: Scraper,
}

/// Collects the pieces of both streams into batches, in the order in which they came.
struct Collector {
    streams: [Stream; 2],
    batch: Batch,
    /// When the batch must be written.
    due: Option<Instant>,
    sink: Sink,
    stream: String,
    stderr: Vec<u8>,
}

/// What is not yet written.
#[derive(Default)]
struct Batch {
    events: Vec<LogEvent>,
    bytes: usize,
    values: Vec<(String, i64, f64)>,
}

impl Collector {
    fn new(host: HostRun) -> Self {
        let stream = || Stream { lines: Lines::default(), scraper: Scraper::new(host.metrics.clone()) };
        let mut collector = Self {
            streams: [stream(), stream()],
            batch: Batch::default(),
            due: None,
            sink: host.sink,
            stream: host.stream,
            stderr: Vec::new(),
        };
        for line in host.preamble {
            collector.batch.add(line, now_millis());
        }
        collector.due = Some(Instant::now());
        collector
    }

    /// Takes what was read in; false at the end of the stream.
    fn take(&mut self, number: usize, read: std::io::Result<&[u8]>) -> bool {
        let bytes = read.unwrap_or_default();
        if number == 1 {
            self.stderr.extend_from_slice(bytes);
            let surplus = self.stderr.len().saturating_sub(TAIL_BYTES);
            self.stderr.drain(..surplus);
        }
        let (millis, Stream { lines, scraper }) = (now_millis(), &mut self.streams[number]);
        let mut emit = |piece: Piece| self.batch.take(piece, millis, scraper);
        if bytes.is_empty() {
            lines.flush(true, &mut emit);
        } else {
            lines.push(bytes, std::time::Instant::now(), &mut emit);
        }
        self.note_due();
        !bytes.is_empty()
    }

    /// Lets text out whose line has not ended in time.
    fn release_overdue(&mut self) {
        let (now, millis) = (std::time::Instant::now(), now_millis());
        for Stream { lines, scraper } in &mut self.streams {
            if lines.due().is_some_and(|due| due <= now) {
                lines.flush(false, |piece| self.batch.take(piece, millis, scraper));
            }
        }
        self.note_due();
    }

    fn note_due(&mut self) {
        if self.due.is_none() && !self.batch.is_empty() {
            self.due = Some(Instant::now() + FLUSH_EVERY);
        }
    }

    /// When something is to be done although nothing comes in.
    fn wake(&self) -> Option<Instant> {
        let lines = self.streams.iter().filter_map(|stream| stream.lines.due()).map(Instant::from_std);
        lines.chain(self.due).min()
    }

    fn ripe(&self) -> bool {
        self.batch.events.len() >= BATCH_LINES
            || self.batch.bytes >= BATCH_BYTES
            || self.due.is_some_and(|due| due <= Instant::now())
    }

    async fn write(&mut self) -> std::io::Result<()> {
        self.due = None;
        let batch = std::mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let (sink, stream) = (self.sink.clone(), self.stream.clone());
        tokio::task::spawn_blocking(move || sink.write(&stream, &batch)).await.map_err(std::io::Error::other)?
    }

    fn tail(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

impl Batch {
    fn take(&mut self, piece: Piece, millis: i64, scraper: &mut Scraper) {
        scraper.take(&piece, |name, value| self.values.push((name.to_owned(), millis, value)));
        self.add(piece.text, millis);
    }

    /// CloudWatch has no empty messages: an empty line is left out, as the container runtime's own driver does.
    fn add(&mut self, message: String, timestamp: i64) {
        if !message.is_empty() {
            self.bytes += message.len();
            self.events.push(LogEvent { timestamp, message });
        }
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.values.is_empty()
    }
}

impl Sink {
    fn write(&self, stream: &str, batch: &Batch) -> std::io::Result<()> {
        if !batch.events.is_empty() {
            self.logs.append(&self.group, stream, &batch.events)?;
        }
        for (name, millis, value) in &batch.values {
            self.metrics.put(&self.group, name, &[(self.dimension.0, &self.dimension.1)], *millis, *value)?;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, millis, value) in &batch.values {
            last.insert(name.clone(), (*value, *millis));
        }
        Ok(())
    }
}

/// Milliseconds since the epoch.
#[must_use]
pub fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The last error in an error stream, as the toolkit reports it: from the exception of the last traceback on, else the last
/// line.
#[must_use]
pub fn last_error(stderr: &str) -> String {
    let lines: Vec<&str> =
        stderr.lines().map(|line| line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or_default()).collect();
    let traceback = lines.iter().rposition(|line| line.starts_with("Traceback (most recent call last)"));
    let exception = traceback.and_then(|start| {
        let offset = lines[start + 1..].iter().position(|line| !line.is_empty() && !line.starts_with(char::is_whitespace))?;
        Some(lines[start + 1 + offset..].join("\n").trim_end().to_owned())
    });
    exception.unwrap_or_else(|| lines.iter().rev().find(|line| !line.trim().is_empty()).unwrap_or(&"").trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_exception_is_the_error() {
        let text = "warn\nTraceback (most recent call last):\n  File \"a.py\", line 1\n    x\nValueError: bad\nmore\n";
        assert_eq!(last_error(text), "ValueError: bad\nmore");
        assert_eq!(last_error("one\n10%\r20%\n\n"), "20%");
        assert_eq!(last_error(""), "");
    }
}
