//! What runs there are on an instance and how each stands: read from the instance itself by one script, so that every
//! cockpit sees the same.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use super::place::is_name;
use super::record::{Noted, Record, Standing, noted};
use crate::aws::Aws;
use crate::aws::tail::lines::Lines;
use crate::aws::tail::text::Metrics;
use crate::model::{Failure, FailureKind, ItemId, Phase, Safe, State, command};
use crate::resource::line::Line;

const MEMO: &str = "runs";
/// Bytes of each log's end that are read for its last values.
const TAIL: usize = 16 << 10;
/// Seconds without news after which nobody is thought to prepare a run any more.
const SILENCE: i64 = 90;
/// Seconds in which a runner that was let go has to say its number.
const BIRTH: i64 = 30;
/// Values of a trend.
const TREND: usize = 24;

/// One run as it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub name: String,
    pub record: Record,
    /// The script's process on the instance.
    pub pid: Option<u32>,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    /// When there was a last sign of its life, where its end is not known.
    pub seen: Option<Timestamp>,
    /// There was no room left on the instance's disk when it ended.
    pub full: bool,
    pub standing: How,
    pub steps: Vec<Noted>,
    /// Bytes.
    pub log: u64,
    /// The last lines of the log.
    pub last: Vec<String>,
    /// The last values of its metrics, oldest first.
    pub trends: Vec<(Safe, Vec<f64>)>,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Its steps are being taken.
    Preparing,
    /// Its steps were left off; to launch it again goes on with them.
    Unfinished,
    Running,
    /// Asked to stop, and not over yet.
    Stopping,
    Done,
    Failed(i32),
    Stopped,
    /// Its process is gone and has left no exit code: killed with its keeper, or the instance went down.
    Lost,
}

impl How {
    pub fn state(self) -> State {
        let (phase, word) = match self {
            Self::Preparing => (Phase::Waiting, "Preparing".into()),
            Self::Unfinished => (Phase::Stopped, "Unfinished".into()),
            Self::Running => (Phase::Active, "Running".into()),
            Self::Stopping => (Phase::Leaving, "Stopping".into()),
            Self::Done => (Phase::Done, "Done".into()),
            Self::Failed(code) => (Phase::Failed, Safe::line(&format!("Failed ({code})"))),
            Self::Stopped => (Phase::Stopped, "Stopped".into()),
            Self::Lost => (Phase::Failed, "Lost".into()),
        };
        State { phase, word }
    }

    pub fn is_live(self) -> bool {
        self.state().phase.is_live()
    }
}

/// What was read of runs before, by instance. The logs of ended ones grow no more.
type Known = HashMap<String, Vec<Run>>;

/// All runs on an instance, the newest first.
///
/// # Errors
/// When the line is lost, or what comes back is not understood.
pub(super) async fn all(aws: &Aws, line: &Line, instance: &ItemId) -> Result<Vec<Run>, Failure> {
    let known = remembered(aws, instance).into_iter().filter(|run| run.ended.is_some());
    let mut runs = ask(line, &known.map(|run| (run.name.clone(), run)).collect(), None).await?;
    runs.sort_by_key(|run| std::cmp::Reverse((run.record.created, run.name.clone())));
    aws.memo(MEMO, |known: &mut Known| known.insert(instance.as_str().to_owned(), runs.clone()));
    Ok(runs)
}

/// The runs as they were when they were looked at last; none where nobody has.
pub(super) fn remembered(aws: &Aws, instance: &ItemId) -> Vec<Run> {
    aws.memo(MEMO, |known: &mut Known| known.get(instance.as_str()).cloned()).unwrap_or_default()
}

impl Run {
    /// As it stands once its instance does not run any more, since that time if it is known. What it has left there is told
    /// when the instance runs again.
    pub fn cut(mut self, down: Option<Timestamp>) -> Self {
        self.standing = match self.standing {
            How::Preparing => How::Unfinished,
            How::Running | How::Stopping => How::Lost,
            _ => return self,
        };
        self.seen = down.filter(|down| self.seen.is_none_or(|seen| *down > seen)).or(self.seen);
        self
    }
}

/// One run.
///
/// # Errors
/// `NotFound` when it is not there; else as [`all`].
pub(super) async fn one(line: &Line, name: &str) -> Result<Run, Failure> {
    let found = ask(line, &HashMap::new(), Some(name)).await?.into_iter().next();
    found.ok_or_else(|| {
        Failure::new(
            FailureKind::NotFound,
            format!("there is no run {name} on this instance"),
            format!("{} shows which there are", command("ls runs INSTANCE")),
        )
    })
}

async fn ask(line: &Line, known: &HashMap<String, Run>, only: Option<&str>) -> Result<Vec<Run>, Failure> {
    let names = known.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
    let tail = TAIL.to_string();
    let arguments = [names.as_str(), only.unwrap_or_default(), &tail];
    let said = line.told("looking for runs", include_str!("scripts/survey.sh"), &arguments, None).await?;
    Ok(read(&said, known))
}

/// Reads what the script says. Lines that it cannot have written are skipped: anybody on the instance can make folders.
fn read(said: &str, known: &HashMap<String, Run>) -> Vec<Run> {
    let mut now = Timestamp::now();
    let mut seen = HashSet::new();
    let mut runs = Vec::new();
    for line in said.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if let ["now", time] = fields[..] {
            now = seconds(time).unwrap_or(now);
        }
        let [name, pid, alive, code, ended, full, started, seen_at, stopped, log, record, steps, tail] = fields[..] else {
            continue;
        };
        if !is_name(name) || !seen.insert(name.to_owned()) {
            continue;
        }
        let Ok(record) = serde_json::from_slice::<Record>(&unpacked(record)) else { continue };
        let steps = noted(&String::from_utf8_lossy(&unpacked(steps)));
        let mut run = Run {
            name: name.to_owned(),
            record,
            pid: pid.parse().ok(),
            started: seconds(started),
            ended: seconds(ended),
            seen: if alive == "yes" { Some(now) } else { seconds(seen_at) },
            full: full.trim() == "full",
            standing: How::Preparing,
            steps,
            log: log.parse().unwrap_or(0),
            last: Vec::new(),
            trends: Vec::new(),
        };
        run.standing = standing(&run, alive == "yes", code.parse().ok(), stopped == "yes", now);
        (run.last, run.trends) = match known.get(name).filter(|_| tail.is_empty()) {
            Some(before) => (before.last.clone(), before.trends.clone()),
            None => look(&run.record, &unpacked(tail), run.log),
        };
        runs.push(run);
    }
    runs
}

fn standing(run: &Run, alive: bool, code: Option<i32>, stopped: bool, now: Timestamp) -> How {
    let since = |at: Timestamp| now.duration_since(at).as_secs();
    match (code, run.started) {
        (Some(_), _) if stopped => How::Stopped,
        (Some(0), _) => How::Done,
        (Some(code), _) => How::Failed(code),
        (None, Some(_)) if alive && stopped => How::Stopping,
        (None, Some(_)) if alive => How::Running,
        (None, Some(started)) if run.pid.is_none() && since(started) < BIRTH => How::Preparing,
        (None, Some(_)) => How::Lost,
        (None, None) => match run.steps.last() {
            Some(last) if last.standing == Standing::Failed || since(last.at) > SILENCE => How::Unfinished,
            None if now.as_second() - run.record.created > SILENCE => How::Unfinished,
            _ => How::Preparing,
        },
    }
}

/// The last lines of a log, and the last values in it.
fn look(record: &Record, tail: &[u8], log: u64) -> (Vec<String>, Vec<(Safe, Vec<f64>)>) {
    let mut lines = Lines::default();
    let mut texts: Vec<String> = lines.take(tail, 0).into_iter().chain(lines.rest()).map(|line| line.text).collect();
    // The first may be the rest of one.
    if log > tail.len() as u64 && !texts.is_empty() {
        texts.remove(0);
    }
    let metrics = Metrics::new(&record.metrics);
    let mut trends: Vec<(Safe, Vec<f64>)> = Vec::new();
    for (name, value) in texts.iter().flat_map(|text| metrics.find(text)) {
        match trends.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => trends.push((name, vec![value])),
        }
    }
    for (_, values) in &mut trends {
        values.drain(..values.len().saturating_sub(TREND));
    }
    texts.drain(..texts.len().saturating_sub(12));
    (texts, trends)
}

fn seconds(text: &str) -> Option<Timestamp> {
    Timestamp::from_second(text.parse().ok()?).ok()
}

fn unpacked(field: &str) -> Vec<u8> {
    STANDARD.decode(field).unwrap_or_default()
}
