//! Reading a run's log as it grows. Each question names the byte to go on at and is answered when there is more, so no line is
//! lost or told twice, whatever becomes of the connection in between; and a reader who is slow makes nothing pile up.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::place::Place;
use crate::aws::Aws;
use crate::aws::tail::lines::{Line as Said, Lines};
use crate::aws::tail::text::Metrics;
use crate::model::{Failure, FailureKind, LogBatch, LogLine, MetricRule, Point, Safe, TailNote};
use crate::resource::line::{self, Line, failed};

/// Bytes of one answer.
const PORTION: u64 = 512 << 10;
/// Lines in one batch: enough to be cheap, few enough to be drawn between two.
const BATCH: usize = 2000;
/// Fifths of a second that a question waits on the instance for something new.
const PATIENCE: &str = "40";
/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(15);

/// Follows the log from its beginning until the run is over and all is told, or the receiver is gone. `ended`: nobody waits
/// for more than there is.
pub(super) async fn follow(
    aws: Arc<Aws>,
    place: Place,
    rules: Vec<MetricRule>,
    mut ended: watch::Receiver<bool>,
    out: mpsc::Sender<LogBatch>,
) {
    let mut follower = Follower {
        place,
        metrics: Metrics::new(&rules),
        lines: Lines::default(),
        at: 0,
        times: Times::default(),
        note: None,
        told_host: false,
        out,
    };
    let mut failures = 0u32;
    loop {
        let over = *ended.borrow_and_update();
        let asked = async {
            let line = line::line(&aws, &follower.place.instance).await?;
            follower.ask(&line, over).await
        };
        let closed = follower.out.clone();
        let answer = tokio::select! {
            answer = asked => answer,
            // A question that waits for more is not waited for when there will be none; it is asked again.
            true = turned(&mut ended), if !over => continue,
            () = closed.closed() => return,
        };
        let told = match answer {
            Ok(answer) => {
                failures = 0;
                follower.tell(answer, over).await
            }
            Err(failure) => {
                failures += 1;
                let lasting = matches!(
                    failure.kind,
                    FailureKind::Denied | FailureKind::Refused | FailureKind::Invalid | FailureKind::NotFound
                );
                let go_on = follower.note(TailNote::Failed(failure)).await && !lasting;
                if go_on { Told::Wait } else { Told::Over }
            }
        };
        let wait = match told {
            Told::More => continue,
            Told::Over => return,
            Told::Wait if failures > 0 => (Duration::from_millis(500) * 2u32.saturating_pow(failures.min(6))).min(LONGEST),
            Told::Wait => Duration::from_millis(200),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = closed.closed() => return,
        }
    }
}

/// Waits until the run is known to have ended; `false` when nobody will ever say so.
async fn turned(ended: &mut watch::Receiver<bool>) -> bool {
    ended.wait_for(|over| *over).await.is_ok()
}

/// What became of an answer.
enum Told {
    /// There may be more at once.
    More,
    Wait,
    /// All is told, or nobody listens.
    Over,
}

/// What the instance says.
#[derive(Debug, PartialEq)]
struct Answer {
    /// Milliseconds since 1970, there.
    now: i64,
    /// Bytes of the whole log.
    size: u64,
    standing: Standing,
    times: Vec<(i64, u64)>,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Standing {
    Waiting,
    Running,
    Over,
}

/// When the log was how long: milliseconds since 1970 and bytes, both growing.
#[derive(Default)]
struct Times(Vec<(i64, u64)>);

struct Follower {
    place: Place,
    metrics: Metrics,
    lines: Lines,
    /// Bytes told so far.
    at: u64,
    times: Times,
    /// The last note told: a note is told when it changes.
    note: Option<TailNote>,
    told_host: bool,
    out: mpsc::Sender<LogBatch>,
}

impl Follower {
    async fn ask(&self, line: &Line, over: bool) -> Result<Answer, Failure> {
        let (at, portion) = (self.at.to_string(), PORTION.to_string());
        let words = [self.place.name.as_str(), &at, &portion, if over { "1" } else { PATIENCE }];
        let ran = line.script(include_str!("scripts/follow.sh"), &words, None).await?;
        match ran.status {
            Some(0) => answer(ran.out),
            Some(9) => Err(Failure::new(
                FailureKind::NotFound,
                format!("there is no run {} on this instance", self.place.name),
                "it was deleted",
            )),
            _ => Err(failed("reading the log", &ran)),
        }
    }

    async fn tell(&mut self, answer: Answer, over: bool) -> Told {
        if answer.size < self.at {
            let gap = TailNote::Gap(Safe::line("the log was cut short on the instance; it is read from there on"));
            self.at = answer.size;
            return if self.note(gap).await { Told::More } else { Told::Over };
        }
        let quiet = answer.bytes.is_empty();
        self.times.take(&answer.times);
        let mut lines = self.lines.take(&answer.bytes, self.at);
        self.at += answer.bytes.len() as u64;
        let drained = self.at >= answer.size && (over || answer.standing == Standing::Over);
        if drained {
            lines.extend(self.lines.rest());
        }
        for some in lines.chunks(BATCH) {
            let batch = self.batch(some, answer.now);
            if !self.send(batch).await {
                return Told::Over;
            }
        }
        if drained {
            self.note(TailNote::Ended).await;
            return Told::Over;
        }
        let note = if answer.standing == Standing::Waiting { TailNote::Waiting } else { TailNote::Following };
        if self.at >= answer.size && !self.note(note).await {
            return Told::Over;
        }
        if quiet { Told::Wait } else { Told::More }
    }

    fn batch(&self, lines: &[Said], now: i64) -> LogBatch {
        let mut batch = LogBatch::default();
        for line in lines {
            let at = Timestamp::from_millisecond(self.times.of(line.end).unwrap_or(now)).unwrap_or_default();
            batch.points.extend(self.metrics.find(&line.text).map(|(name, value)| (name, Point { at, value })));
            batch.lines.push(LogLine { at, host: 0, text: Safe::line(&line.text), live: line.live });
        }
        batch
    }

    /// Tells a note when it is news; `false` when the receiver is gone.
    async fn note(&mut self, note: TailNote) -> bool {
        if self.note.as_ref() == Some(&note) {
            return !self.out.is_closed();
        }
        self.note = Some(note.clone());
        self.send(LogBatch { note: Some(note), ..LogBatch::default() }).await
    }

    async fn send(&mut self, mut batch: LogBatch) -> bool {
        if !std::mem::replace(&mut self.told_host, true) {
            batch.hosts = vec![Safe::line(self.place.instance.as_str())];
        }
        self.out.send(batch).await.is_ok()
    }
}

impl Times {
    fn take(&mut self, more: &[(i64, u64)]) {
        for (at, size) in more {
            // A log that stood still for a while was that long already before.
            if self.0.last().is_none_or(|(_, last)| size > last) {
                self.0.push((*at, *size));
            }
        }
        let most = 20_000;
        self.0.drain(..self.0.len().saturating_sub(most));
    }

    /// When what ends at that byte was there.
    fn of(&self, end: u64) -> Option<i64> {
        self.0.get(self.0.partition_point(|(_, size)| *size < end)).map(|(at, _)| *at)
    }
}

fn answer(mut out: Vec<u8>) -> Result<Answer, Failure> {
    let not_understood =
        || Failure::new(FailureKind::Service, "reading the log: the instance gave an answer that is none", "try again");
    let head = out.iter().position(|byte| *byte == b'\n').ok_or_else(not_understood)?;
    let bytes = out.split_off(head + 1);
    let head = String::from_utf8_lossy(&out);
    let [now, size, standing, times] = head.trim_end_matches('\n').split('\t').collect::<Vec<_>>()[..] else {
        return Err(not_understood());
    };
    let standing = match standing {
        "waiting" => Standing::Waiting,
        "running" => Standing::Running,
        "over" => Standing::Over,
        _ => return Err(not_understood()),
    };
    let times = times
        .split(',')
        .filter_map(|pair| pair.split_once(' '))
        .filter_map(|(at, size)| Some((at.parse().ok()?, size.parse().ok()?)));
    Ok(Answer {
        now: now.parse().map_err(|_| not_understood())?,
        size: size.parse().map_err(|_| not_understood())?,
        standing,
        times: times.collect(),
        bytes,
    })
}
