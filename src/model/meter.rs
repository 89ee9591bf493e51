//! How far an upload, a download or a copy has come: files, bytes, rate, and how long it will take. Whoever asks says what
//! time it is.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Progress, Safe, show};

/// The rate is that of the last seconds, so that it follows a line that gets slower.
const WINDOW: Duration = Duration::from_secs(5);

/// What came of an upload, or of a download.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Files that were sent.
    pub sent: u64,
    pub bytes: u64,
    /// Files that were there already.
    pub unchanged: u64,
    /// Files of which parts were there already, from an upload that had broken off.
    pub continued: u64,
}

/// Counts; shared by all that send.
pub struct Meter {
    files: u64,
    bytes: u64,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    done: Done,
    /// Bytes that are dealt with: sent, or there already.
    passed: u64,
    /// When, how many were dealt with, and how many sent; oldest first.
    samples: VecDeque<(Instant, u64, u64)>,
}

impl Meter {
    /// Of an upload of so many files and bytes.
    #[must_use]
    pub fn new(files: u64, bytes: u64) -> Self {
        Self { files, bytes, counted: Mutex::default() }
    }

    /// So many bytes have arrived; with them the whole of a file.
    pub fn sent(&self, bytes: u64, whole: bool) {
        self.count(|counted| {
            counted.passed += bytes;
            counted.done.bytes += bytes;
            counted.done.sent += u64::from(whole);
        });
    }

    /// A part was there already.
    pub fn kept(&self, bytes: u64) {
        self.count(|counted| counted.passed += bytes);
    }

    /// A file was there already.
    pub fn unchanged(&self, bytes: u64) {
        self.count(|counted| {
            counted.passed += bytes;
            counted.done.unchanged += 1;
        });
    }

    /// A file in parts continues where an earlier upload broke off.
    pub fn continued(&self) {
        self.count(|counted| counted.done.continued += 1);
    }

    /// Bytes that were counted have to be sent once more.
    pub fn again(&self, bytes: u64) {
        self.count(|counted| counted.passed = counted.passed.saturating_sub(bytes));
    }

    /// What has been done so far.
    #[must_use]
    pub fn done(&self) -> Done {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner).done
    }

    /// How it stands at this moment, e.g. `1,234 of 8,000 files · 154 MB of 1 GB · 85.2 MB/s · 10 s left`.
    #[must_use]
    pub fn tell(&self, now: Instant) -> Progress {
        let (passed, figures) = self.figures(now);
        Progress { said: Safe::line(&format!("{} · {figures}", self.files())), done: passed, total: self.bytes }
    }

    /// As [`Meter::tell`], with what is on its way: the figures first, which stay where they are when the name changes.
    #[must_use]
    pub fn tell_of(&self, name: &str, now: Instant) -> Progress {
        let (passed, figures) = self.figures(now);
        let files = if self.files == 1 { String::new() } else { format!("{} · ", self.files()) };
        Progress { said: Safe::line(&format!("{figures} · {files}{name}")), done: passed, total: self.bytes }
    }

    fn files(&self) -> String {
        let done = self.done();
        format!("{} of {} files", show::grouped(done.sent + done.unchanged), show::grouped(self.files))
    }

    /// Bytes that are dealt with; and in words with the rate and the time that is left.
    fn figures(&self, now: Instant) -> (u64, String) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let (passed, done) = (counted.passed, counted.done);
        counted.samples.push_back((now, passed, done.bytes));
        while counted.samples.len() > 2 && counted.samples.get(1).is_some_and(|(at, ..)| now - *at >= WINDOW) {
            counted.samples.pop_front();
        }
        let rates = counted.samples.front().map(|(at, had, sent)| {
            let seconds = (now - *at).as_secs_f64().max(0.001);
            (per(passed.saturating_sub(*had), seconds), per(done.bytes.saturating_sub(*sent), seconds))
        });
        drop(counted);
        let (rate, sending) = rates.unwrap_or_default();
        let mut said = format!("{} of {}", show::size(passed), show::size(self.bytes));
        if sending >= 1.0 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rate for reading, above one")]
            said.extend([" · ", &show::size(sending as u64), "/s"]);
        }
        if rate > 0.0 && passed < self.bytes {
            said.extend([" · ", &left(per(self.bytes - passed, 1.0) / rate), " left"]);
        }
        (passed.min(self.bytes), said)
    }

    fn count(&self, add: impl FnOnce(&mut Counted)) {
        add(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

#[expect(clippy::cast_precision_loss, reason = "for reading")]
fn per(bytes: u64, seconds: f64) -> f64 {
    bytes as f64 / seconds
}

/// `8 s`, `2 min`, `1 h 20 min`: as exact as one wants to know it.
fn left(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
    let seconds = seconds.clamp(1.0, 1e8).ceil() as u64;
    match seconds {
        0..=99 => format!("{seconds} s"),
        100..=5999 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_rest_are_those_of_the_last_seconds() {
        let begun = Instant::now();
        let after = |seconds: u64| begun + Duration::from_secs(seconds);
        let meter = Meter::new(100, 100_000_000);
        assert_eq!(meter.tell(begun).said.as_str(), "0 of 100 files · 0 B of 100 MB");
        meter.unchanged(10_000_000);
        (0..10).for_each(|_| meter.sent(1_000_000, true));
        let told = meter.tell(after(1));
        assert_eq!(told.said.as_str(), "11 of 100 files · 20.0 MB of 100 MB · 10.0 MB/s · 4 s left");
        assert_eq!((told.done, told.total), (20_000_000, 100_000_000));
        let named = meter.tell_of("a/b.jpg", after(1)).said;
        assert_eq!(named.as_str(), "20.0 MB of 100 MB · 10.0 MB/s · 4 s left · 11 of 100 files · a/b.jpg");
        (2..20).for_each(|second| {
            meter.sent(100_000, true);
            let _ = meter.tell(after(second));
        });
        let slow = meter.tell(after(20)).said;
        assert!(slow.as_str().contains(" kB/s") && slow.as_str().ends_with("min left"), "{slow}");
        meter.again(1_800_000);
        assert_eq!(meter.tell(after(21)).done, 20_000_000);
    }

    #[test]
    fn what_is_left_is_said_as_people_do() {
        assert_eq!([0.2, 99.0, 100.0, 7265.0].map(left), ["1 s", "99 s", "2 min", "2 h 1 min"]);
    }
}
