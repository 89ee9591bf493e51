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
    /// Empty where the group is the thing's own; else with the closing slash: `digits-1/` must not match `digits-10/…`. Or a tuning job's name with a dash: then it is
    /// the log of its trials, see [`LogSource::takes`].
    pub prefix: String,
}

impl LogSource {
    /// Whether a stream that begins with the prefix belongs to it. Of a tuning job `digits` these are the streams of its
    /// trials, `digits-001-0e6f4f4a/algo-1-…`, and not those of a training job `digits-2026-…` or of another tuning job
    /// `digits-2`. (SageMaker names trials by their number and eight hexadecimal digits.)
    #[must_use]
    pub fn takes(&self, stream: &str) -> bool {
        let Some(rest) = stream.strip_prefix(&self.prefix) else { return false };
        // Without a prefix the whole group is one thing's: an endpoint's.
        if self.prefix.is_empty() || self.prefix.ends_with('/') {
            return true;
        }
        let Some((number, hex)) = rest.split_once('/').and_then(|(trial, _)| trial.split_once('-')) else { return false };
        number.len() >= 3
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && hex.len() == 8
            && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuning_job_s_log_is_its_trials_and_no_other_s() {
        let source = |prefix: &str| LogSource { group: "g".into(), prefix: prefix.into() };
        assert!(source("").takes("AllTraffic/i-0123456789abcdef0"));
        let takes = |stream| source("digits-").takes(stream);
        assert!(takes("digits-001-0e6f4f4a/algo-1-1574811611") && takes("digits-1000-0e6f4f4a/algo-1-1574811611"));
        for other in
            ["digits-2026-11-22-07-18-36-364/algo-1-1", "digits-2-001-0e6f4f4a/algo-1-1", "digits-001-0e6f4f4/algo-1", "dig/a"]
        {
            assert!(!takes(other), "{other}");
        }
        assert!(source("job/").takes("job/algo-1-1") && !source("job/").takes("job2/algo-1-1"));
    }
}
