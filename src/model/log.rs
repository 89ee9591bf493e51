//! Log lines as the follower hands them over.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Point, Safe};

/// One line of a log. A progress bar (carriage returns) is one line with `live` set; the next line of the same host with
/// `live` set replaces it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    pub at: Timestamp,
    /// Index into the hosts seen so far, in order of appearance; picks the gutter colour.
    pub host: u16,
    pub text: Safe,
    pub live: bool,
}

/// What the follower wants said beside the lines.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TailNote {
    /// No stream exists yet: normal while a job starts.
    Waiting,
    /// Caught up with the service on every stream.
    Following,
    /// Told to slow down; tries again in so many seconds.
    Throttled { retry_seconds: f64 },
    /// Something may be missing here, and why.
    Gap(Safe),
    /// The job is over and every stream is drained.
    Ended,
    /// The follower cannot go on (or cannot right now).
    Failed(super::Failure),
}

/// A portion of a followed log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogBatch {
    /// Names of hosts, by index; only grows. Sent whole whenever it has grown, else empty.
    pub hosts: Vec<Safe>,
    /// In order of display.
    pub lines: Vec<LogLine>,
    /// Values found by the job's metric regexes: (metric name, value).
    pub points: Vec<(Safe, Point)>,
    pub note: Option<TailNote>,
}

/// A log to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSource {
    pub group: String,
    /// With the closing slash: `digits-1/` must not match `digits-10/…`.
    pub prefix: String,
}
