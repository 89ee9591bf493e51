//! The tag that keeps what an instance ran, e.g.
//! `to=2026-11-22T18:00:00Z at=2026-11-23T07:30:00Z t3.medium=7200/0.0416 g5.xlarge=600/1.006`:
//! all starts up to the one of that launch time are in it; it was started again at `at`; with `least`, more ran than it says;
//! then the seconds of each type, with US dollars per hour where they were known.

use jiff::Timestamp;

use super::Stretch;

/// Most characters of a tag's value (EC2 User Guide, "Tag restrictions").
const ROOM: usize = 256;
/// No instance costs that much in an hour, in US dollars.
const DEAREST: f64 = 1000.0;
/// No stretch is that long: 30 years, in seconds.
const LONGEST: u64 = 1_000_000_000;
/// What several types are called once there is no room for each.
const OTHER: &str = "other";

/// What the tag says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Note {
    /// The launch time of the last start that is in it, exactly as EC2 tells it.
    pub to: Timestamp,
    /// When it was to be started after that.
    pub at: Option<Timestamp>,
    /// More ran than it says.
    pub least: bool,
    pub ran: Vec<Stretch>,
}

impl Note {
    /// Reads a tag's value; what is not exactly such a note is none.
    pub fn read(value: &str) -> Option<Self> {
        if value.len() > ROOM {
            return None;
        }
        let mut words = value.split(' ').peekable();
        let to = words.next()?.strip_prefix("to=")?.parse().ok()?;
        let at = match words.next_if(|word| word.starts_with("at=")) {
            Some(word) => Some(word.get(3..)?.parse().ok()?),
            None => None,
        };
        let least = words.next_if_eq(&"least").is_some();
        let ran = words.map(stretch).collect::<Option<Vec<_>>>()?;
        Some(Self { to, at, least, ran })
    }

    /// As the tag has it. Where there are more types than room, the first ones become one, which costs as much.
    pub fn written(mut self) -> String {
        loop {
            let written = self.whole();
            if written.len() <= ROOM || !self.shorten() {
                return written;
            }
        }
    }

    /// Seconds of all that ran.
    pub fn seconds(&self) -> u64 {
        self.ran.iter().map(|one| one.seconds).sum()
    }

    fn whole(&self) -> String {
        let mut words = vec![format!("to={}", self.to)];
        words.extend(self.at.map(|at| format!("at={}", at.strftime("%Y-%m-%dT%H:%M:%SZ"))));
        words.extend(self.least.then(|| "least".to_owned()));
        words.extend(self.ran.iter().map(|one| {
            let price = one.per_hour.map_or_else(String::new, |rate| format!("/{}", (rate * 1e6).round() / 1e6));
            format!("{}={}{price}", one.kind, one.seconds)
        }));
        words.join(" ")
    }

    /// Makes one of the first two whose prices are both known, or both not; whether there were two such.
    fn shorten(&mut self) -> bool {
        let alike = (0..self.ran.len()).find_map(|first| {
            let priced = self.ran[first].per_hour.is_some();
            let second = (first + 1..self.ran.len()).find(|second| self.ran[*second].per_hour.is_some() == priced)?;
            Some((first, second))
        });
        let Some((first, second)) = alike else { return false };
        let (b, a) = (self.ran.remove(second), self.ran.remove(first));
        let seconds = a.seconds + b.seconds;
        #[expect(clippy::cast_precision_loss, reason = "seconds of a life stay far below 2^53")]
        let per_hour = a.cost().zip(b.cost()).map(|(a, b)| (a + b) * 3600.0 / seconds.max(1) as f64);
        self.ran.insert(0, Stretch { kind: OTHER.to_owned(), seconds, per_hour });
        true
    }
}

/// `g5.xlarge=600/1.006`, or without a price.
fn stretch(word: &str) -> Option<Stretch> {
    let (kind, rest) = word.split_once('=')?;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
    if kind.is_empty() || !kind.chars().all(is_plain) {
        return None;
    }
    let (seconds, rate) = rest.split_once('/').map_or((rest, None), |(seconds, rate)| (seconds, Some(rate)));
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if !digits(seconds) || !rate.is_none_or(digits) {
        return None;
    }
    let seconds = seconds.parse().ok().filter(|seconds| *seconds <= LONGEST)?;
    let per_hour = match rate {
        Some(rate) => Some(rate.parse().ok().filter(|rate| (0.0..=DEAREST).contains(rate))?),
        None => None,
    };
    Some(Stretch { kind: kind.to_owned(), seconds, per_hour })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(kind: &str, seconds: u64, per_hour: Option<f64>) -> Stretch {
        Stretch { kind: kind.to_owned(), seconds, per_hour }
    }

    #[test]
    fn a_note_is_written_and_read() {
        let value = "to=2026-11-22T18:00:00Z at=2026-11-23T07:30:00Z least t3.medium=7200/0.0416 p5.48xlarge=600";
        let note = Note::read(value).unwrap();
        assert_eq!(note.ran, [ran("t3.medium", 7200, Some(0.0416)), ran("p5.48xlarge", 600, None)]);
        assert!(note.least && note.at.is_some() && note.seconds() == 7800);
        assert_eq!(note.written(), value);
        let bare = "to=2026-11-22T18:00:00.25Z";
        assert_eq!(Note::read(bare).unwrap().written(), bare);
    }

    #[test]
    fn what_others_wrote_is_no_note() {
        let long = format!("to=2026-11-22T18:00:00Z {}", "t3.medium=1/0.1 ".repeat(40));
        for value in [
            "",
            "to=",
            "to=soon t3.medium=1",
            "t3.medium=1",
            "to=2026-11-22T18:00:00Z  t3.medium=1",
            "to=2026-11-22T18:00:00Z t3.medium",
            "to=2026-11-22T18:00:00Z t3.medium=",
            "to=2026-11-22T18:00:00Z t3.medium=-5/0.1",
            "to=2026-11-22T18:00:00Z t3.medium=5/1e300",
            "to=2026-11-22T18:00:00Z t3.medium=5/NaN",
            "to=2026-11-22T18:00:00Z t3.medium=5/9999",
            "to=2026-11-22T18:00:00Z t3.medium=99999999999999",
            "to=2026-11-22T18:00:00Z T3\u{1b}[31m=5/0.1",
            "to=2026-11-22T18:00:00Z =5/0.1",
            long.trim_end(),
        ] {
            assert_eq!(Note::read(value), None, "{value:?}");
        }
    }

    #[test]
    fn more_types_than_room_keep_their_sum() {
        let all: Vec<_> = (0..20).map(|at| ran(&format!("g{at}.48xlarge"), 3600, Some(f64::from(at)))).collect();
        let mut with_unknown = all.clone();
        with_unknown.insert(1, ran("p9.large", 1, None));
        let note = Note { to: Timestamp::UNIX_EPOCH, at: None, least: false, ran: with_unknown };
        let (seconds, written) = (note.seconds(), note.written());
        assert!(written.len() <= ROOM && written.starts_with("to=1970-01-01T00:00:00Z other="), "{written}");
        let back = Note::read(&written).unwrap();
        let dollars = |all: &[Stretch]| all.iter().filter_map(Stretch::cost).sum::<f64>();
        assert_eq!(back.seconds(), seconds);
        assert!((dollars(&back.ran) - dollars(&all)).abs() < 0.01, "{written}");
        assert!(back.ran.contains(&ran("p9.large", 1, None)) && back.ran.last() == all.last(), "{written}");
    }
}
