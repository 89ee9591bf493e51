//! The log follower: complete by construction. Streams are discovered as they appear, each is read by token until the
//! service says it is at the end, hosts are merged by time, and after the job has ended everything is drained and swept
//! once more. See [`cursor`] for why each line comes exactly once.

pub mod cursor;
pub mod lines;
pub mod merge;
pub mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_cloudwatchlogs::types::OrderBy;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use self::cursor::{Cursor, Event, EventPage};
use self::merge::{Entry, Merger};
use self::text::Metrics;
use super::{Aws, Mode, fault};
use crate::model::{Failure, FailureKind, LogBatch, LogLine, LogSource, MetricRule, Point, Safe, TailNote};

/// Lines in one batch: enough to be cheap, few enough to be drawn between two.
const BATCH: usize = 2000;
/// Events held back for merging before streams that are ahead have to wait.
const AHEAD: usize = 50_000;
/// How often late events are looked for while following.
const SWEEP_EVERY: Duration = Duration::from_mins(4);
/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// Follows a log until it is drained after `ended` turned true, or the receiver is gone. Applies `rules` to every line.
/// Awaiting the bounded channel is the back-pressure: a slow reader slows the reading, nothing is dropped.
pub async fn follow(
    aws: Arc<Aws>,
    source: LogSource,
    rules: Vec<MetricRule>,
    mut ended: watch::Receiver<bool>,
    out: mpsc::Sender<LogBatch>,
) {
    let pace = Pace::of(aws.mode());
    let mut follower = Follower {
        aws,
        metrics: Metrics::new(&rules),
        source,
        streams: BTreeMap::new(),
        hosts: Vec::new(),
        told_hosts: 0,
        merger: Merger::default(),
        note: None,
        out,
    };
    let mut wait = pace.shortest;
    let mut failures = 0;
    let mut swept = Instant::now();
    let mut quiet_since: Option<Instant> = None;
    loop {
        let over = *ended.borrow_and_update();
        let sweep = swept.elapsed() >= SWEEP_EVERY;
        if sweep {
            swept = Instant::now();
        }
        match follower.round(sweep).await {
            Ok(Round::Gone) => return,
            Ok(Round::News) => {
                (wait, failures, quiet_since) = (pace.shortest, 0, None);
            }
            Ok(Round::Quiet) => {
                (wait, failures) = ((wait * 3 / 2).min(pace.longest), 0);
                let quiet = quiet_since.get_or_insert_with(Instant::now).elapsed();
                if over && quiet >= pace.grace {
                    return follower.finish().await;
                }
                if over {
                    wait = pace.shortest;
                }
            }
            Err(failure) => {
                failures += 1;
                wait = (pace.shortest * 2u32.saturating_pow(failures)).min(LONGEST);
                if !follower.tell_failure(failure, wait).await {
                    return;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            true = turned(&mut ended), if !over => {}
            () = follower.out.closed() => return,
        }
    }
}

/// Waits until the job has ended; `false` when nobody will ever say so.
async fn turned(ended: &mut watch::Receiver<bool>) -> bool {
    ended.wait_for(|over| *over).await.is_ok()
}

/// How often to look, and how long after the end late lines are waited for.
struct Pace {
    shortest: Duration,
    longest: Duration,
    grace: Duration,
}

impl Pace {
    fn of(mode: Mode) -> Self {
        let millis = Duration::from_millis;
        match mode {
            Mode::Local => Self { shortest: millis(500), longest: millis(500), grace: millis(500) },
            // assumed: lines reach CloudWatch within 20 s of the job's end; the documentation gives no figure.
            Mode::Aws => Self { shortest: millis(2000), longest: millis(5000), grace: millis(20_000) },
        }
    }
}

/// What a round brought.
enum Round {
    News,
    Quiet,
    /// The receiver is gone.
    Gone,
}

struct Follower {
    aws: Arc<Aws>,
    metrics: Metrics,
    source: LogSource,
    streams: BTreeMap<String, Stream>,
    hosts: Vec<Safe>,
    /// How many hosts the receiver knows.
    told_hosts: usize,
    merger: Merger,
    /// The last note told: a note is told when it changes.
    note: Option<TailNote>,
    out: mpsc::Sender<LogBatch>,
}

#[derive(Default)]
struct Stream {
    host: u16,
    cursor: Cursor,
    gone: bool,
}

impl Follower {
    /// Reads every stream to its end once, handing lines over on the way.
    async fn round(&mut self, sweep: bool) -> Result<Round, Failure> {
        if !self.discover().await? {
            return Ok(if self.tell(TailNote::Waiting).await { Round::Quiet } else { Round::Gone });
        }
        for stream in self.streams.values_mut() {
            stream.cursor.wake();
            if sweep {
                stream.cursor.begin_sweep();
            }
        }
        let mut news = false;
        while let Some(name) = self.lagging() {
            news |= self.read(&name).await?;
            if !self.hand_over().await {
                return Ok(Round::Gone);
            }
        }
        if !self.tell(TailNote::Following).await {
            return Ok(Round::Gone);
        }
        Ok(if news { Round::News } else { Round::Quiet })
    }

    /// After the end: one more sweep over everything within reach of late events, then the last word.
    async fn finish(mut self) {
        for _ in 0..4 {
            match self.round(true).await {
                Ok(Round::Gone) => return,
                Ok(_) => {
                    self.tell(TailNote::Ended).await;
                    return;
                }
                Err(failure) => {
                    let wait = Duration::from_secs(2);
                    if !self.tell_failure(failure, wait).await {
                        return;
                    }
                    tokio::time::sleep(wait).await;
                }
            }
        }
        self.gap("the end of the log could not be read again; late lines may be missing").await;
        self.tell(TailNote::Ended).await;
    }

    /// Finds the streams, page by page; `false` when there is none yet.
    async fn discover(&mut self) -> Result<bool, Failure> {
        let mut token: Option<String> = None;
        loop {
            let asked = self
                .aws
                .logs
                .describe_log_streams()
                .log_group_name(&self.source.group)
                // An empty one is not taken: then all of the group is the thing's own.
                .set_log_stream_name_prefix(Some(self.source.prefix.clone()).filter(|prefix| !prefix.is_empty()))
                .order_by(OrderBy::LogStreamName)
                .set_next_token(token.clone())
                .send()
                .await
                .map_err(|error| fault::tell("looking for the log", &error));
            let found = match asked {
                Ok(found) => found,
                // The group appears with the first line ever written.
                Err(failure) if failure.kind == FailureKind::NotFound => return Ok(!self.streams.is_empty()),
                Err(failure) => return Err(failure),
            };
            for stream in found.log_streams() {
                if let Some(name) = stream.log_stream_name().filter(|name| self.source.takes(name)) {
                    let name = name.to_owned();
                    self.add(&name);
                }
            }
            // A token that repeats would go round for ever.
            if found.next_token.is_none() || found.next_token == token {
                return Ok(!self.streams.is_empty());
            }
            token = found.next_token;
        }
    }

    fn add(&mut self, name: &str) {
        if self.streams.contains_key(name) {
            return;
        }
        let host = Safe::line(&text::host(name, &self.source.prefix));
        let index = self.hosts.iter().position(|known| *known == host).unwrap_or_else(|| {
            self.hosts.push(host);
            self.hosts.len() - 1
        });
        let host = u16::try_from(index).unwrap_or(u16::MAX);
        self.streams.insert(name.to_owned(), Stream { host, ..Stream::default() });
    }

    /// The stream to read next: of those not at their end, the one furthest behind.
    fn lagging(&self) -> Option<String> {
        let unread = self.streams.iter().filter(|(_, stream)| !stream.gone && !stream.cursor.caught_up());
        unread.min_by_key(|(_, stream)| stream.cursor.latest()).map(|(name, _)| name.clone())
    }

    /// Reads one page of one stream; `true` when it had something new.
    async fn read(&mut self, name: &str) -> Result<bool, Failure> {
        let Some(stream) = self.streams.get_mut(name) else { return Ok(false) };
        let ask = stream.cursor.ask().clone();
        let answer = self
            .aws
            .logs
            .get_log_events()
            .log_group_name(&self.source.group)
            .log_stream_name(name)
            .start_from_head(true)
            .limit(10_000)
            .set_next_token(ask.token.clone())
            .set_start_time(ask.start)
            .set_end_time(ask.end)
            .send()
            .await
            .map_err(|error| fault::tell("reading the log", &error));
        match answer {
            Ok(answer) => {
                let token = answer.next_forward_token;
                let events = answer.events.unwrap_or_default();
                let events = events
                    .into_iter()
                    .map(|event| Event { at: event.timestamp.unwrap_or_default(), message: event.message.unwrap_or_default() })
                    .collect();
                let fresh = stream.cursor.take(EventPage { events, next_forward_token: token });
                let news = !fresh.is_empty();
                for event in fresh {
                    self.merger.push(stream.host, event);
                }
                Ok(news)
            }
            // Tokens die after 24 hours.
            Err(failure) if failure.kind == FailureKind::Invalid && ask.token.is_some() => {
                stream.cursor.token_lost();
                self.gap("the service forgot our place in the log; lines that came more than 10 minutes late may be missing")
                    .await;
                Ok(false)
            }
            Err(failure) if failure.kind == FailureKind::NotFound => {
                stream.gone = true;
                self.gap("a log stream was deleted while it was read").await;
                Ok(false)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Sends what can no longer be overtaken; `false` when the receiver is gone.
    async fn hand_over(&mut self) -> bool {
        loop {
            let unread = self.streams.values().filter(|stream| !stream.gone && !stream.cursor.caught_up());
            let latest = unread.map(|stream| stream.cursor.latest().unwrap_or(i64::MIN)).min();
            // Too much is waiting on a slow stream: order gives way to memory.
            let until = latest.filter(|_| self.merger.held() < AHEAD);
            let entries = self.merger.ready(until, BATCH);
            if entries.is_empty() {
                return true;
            }
            let batch = self.batch(entries);
            if !self.send(batch).await {
                return false;
            }
        }
    }

    fn batch(&self, entries: Vec<Entry>) -> LogBatch {
        let mut batch = LogBatch::default();
        for entry in entries {
            let at = Timestamp::from_millisecond(entry.at).unwrap_or_default();
            let (line, live) = text::fold(&entry.message);
            batch.points.extend(self.metrics.find(&line).map(|(name, value)| (name, Point { at, value })));
            batch.lines.push(LogLine { at, host: entry.host, text: Safe::line(&line), live });
        }
        batch
    }

    /// Tells a note when it is news; `false` when the receiver is gone.
    async fn tell(&mut self, note: TailNote) -> bool {
        if self.note.as_ref() == Some(&note) {
            return !self.out.is_closed();
        }
        self.note = Some(note.clone());
        self.send(LogBatch { note: Some(note), ..LogBatch::default() }).await
    }

    async fn gap(&mut self, why: &str) {
        self.tell(TailNote::Gap(Safe::line(why))).await;
    }

    /// Says what is in the way; `false` when it will stay there, or nobody listens.
    async fn tell_failure(&mut self, failure: Failure, wait: Duration) -> bool {
        let lasting = matches!(failure.kind, FailureKind::Denied | FailureKind::Refused | FailureKind::Invalid);
        let note = match failure.kind {
            FailureKind::Throttled => TailNote::Throttled { retry_seconds: wait.as_secs_f64() },
            _ => TailNote::Failed(failure),
        };
        self.tell(note).await && !lasting
    }

    async fn send(&mut self, mut batch: LogBatch) -> bool {
        if self.told_hosts < self.hosts.len() {
            batch.hosts.clone_from(&self.hosts);
            self.told_hosts = self.hosts.len();
        }
        self.out.send(batch).await.is_ok()
    }
}

#[cfg(test)]
mod tests;
