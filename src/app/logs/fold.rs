//! Lines that several hosts say alike become one. The first of them stands for the others, where it stood: whatever comes
//! later changes what stands beside it, and no line above or below moves.
//!
//! The n-th time that a host says something is paired with the n-th time that another one said it. Each line costs the same,
//! however many there are.

use std::collections::{HashMap, VecDeque};

use crate::model::{LogLine, Safe};

/// Lines further apart are not the same event any more.
const SECONDS: i64 = 10;
/// Lines remembered to compare with, at most.
const WINDOW: usize = 20_000;
/// Lines after which it is judged whether the hosts only repeat each other.
const JUDGED: u32 = 60;
/// The older half of what was counted is forgotten at this many lines, so that the present counts.
const FORGET: u32 = 2_000;

/// Some of a log's hosts, by their numbers. The ones from 128 on are never in it: their lines are not folded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hosts(u128);

impl Hosts {
    /// That one alone.
    #[must_use]
    pub fn one(host: u16) -> Self {
        Self(1_u128.checked_shl(u32::from(host)).unwrap_or(0))
    }

    #[must_use]
    pub fn has(self, host: u16) -> bool {
        self.0 & Self::one(host).0 != 0
    }

    #[must_use]
    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    #[must_use]
    pub fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Takes it in, or out.
    #[must_use]
    pub fn toggled(self, host: u16) -> Self {
        Self(self.0 ^ Self::one(host).0)
    }
}

/// What a line has to do with lines of other hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The first to say so; the others that did.
    First(Hosts),
    /// Says what the line of that number said; the hosts that had said it before this one.
    Again(u64, Hosts),
}

/// Finds lines that other hosts have just said.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    texts: HashMap<Safe, Said>,
    /// The firsts in `texts`, oldest first: second of their time, and text.
    recent: VecDeque<(i64, Safe)>,
    lines: u32,
    again: u32,
}

/// Who said a text lately.
#[derive(Clone, Debug, Default)]
struct Said {
    /// Occasions forgotten.
    gone: u64,
    /// Line number of each occasion, and who has said it there.
    occasions: VecDeque<(u64, Hosts)>,
    /// How often each host has said it.
    times: HashMap<u16, u64>,
}

impl Folder {
    /// Takes in the line that will have that number; says whose it is.
    pub fn take(&mut self, number: u64, line: &LogLine) -> Part {
        let me = Hosts::one(line.host);
        if line.live || me.is_empty() {
            return Part::First(Hosts::default());
        }
        let now = line.at.as_second();
        self.forget(now);
        let said = self.texts.entry(line.text.clone()).or_default();
        let times = said.times.entry(line.host).or_default();
        let occasion = (*times).max(said.gone);
        *times = occasion + 1;
        let at = usize::try_from(occasion - said.gone).unwrap_or(usize::MAX);
        let counts = !line.text.as_str().trim().is_empty();
        self.lines += u32::from(counts);
        if let Some((first, hosts)) = said.occasions.get_mut(at) {
            let before = *hosts;
            *hosts = before.with(me);
            self.again += u32::from(counts);
            return Part::Again(*first, before);
        }
        said.occasions.push_back((number, me));
        self.recent.push_back((now, line.text.clone()));
        Part::First(Hosts::default())
    }

    /// Nearly all that so many hosts say is the same.
    #[must_use]
    pub fn all_alike(&self, hosts: usize) -> bool {
        let Some(others) = u32::try_from(hosts).ok().and_then(|hosts| hosts.checked_sub(1)).filter(|others| *others > 0) else {
            return false;
        };
        // If all of it were the same, all but one of the hosts would be saying it again.
        let wanted = f64::from(self.lines) * f64::from(others) / f64::from(others + 1);
        self.lines >= JUDGED && f64::from(self.again) >= wanted * 0.9
    }

    fn forget(&mut self, now: i64) {
        while let Some((at, _)) = self.recent.front()
            && (now - at > SECONDS || self.recent.len() > WINDOW)
            && let Some((_, text)) = self.recent.pop_front()
            && let Some(said) = self.texts.get_mut(&text)
        {
            said.occasions.pop_front();
            said.gone += 1;
            if said.occasions.is_empty() {
                self.texts.remove(&text);
            }
        }
        if self.lines > FORGET {
            self.lines /= 2;
            self.again /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: i64, host: u16, text: &str) -> LogLine {
        LogLine { at: jiff::Timestamp::from_second(second).unwrap(), host, text: text.into(), live: false }
    }

    /// For each line the number of the one that stands for it.
    fn folded(lines: &[(i64, u16, &str)]) -> Vec<u64> {
        let mut folder = Folder::default();
        let parts = lines.iter().enumerate().map(|(number, (second, host, text))| {
            let number = number as u64;
            match folder.take(number, &line(*second, *host, text)) {
                Part::First(_) => number,
                Part::Again(first, _) => first,
            }
        });
        parts.collect()
    }

    #[test]
    fn hosts_are_paired_by_how_often_they_said_it() {
        assert_eq!(folded(&[(0, 0, "x"), (0, 0, "x"), (0, 1, "x"), (0, 1, "x"), (0, 1, "x"), (0, 0, "x")]), [0, 1, 0, 1, 4, 4]);
    }

    #[test]
    fn what_one_host_repeats_stays() {
        assert_eq!(folded(&[(0, 0, "x"), (1, 0, "x"), (2, 0, "x")]), [0, 1, 2]);
    }

    #[test]
    fn what_is_long_ago_is_not_the_same() {
        assert_eq!(folded(&[(0, 0, "x"), (5, 1, "x"), (16, 2, "x"), (17, 0, "x")]), [0, 0, 2, 2]);
    }

    #[test]
    fn memory_is_bounded_however_much_comes() {
        let mut folder = Folder::default();
        for n in 0..3 * WINDOW as u64 {
            folder.take(n, &line(0, 0, &n.to_string()));
        }
        assert!(folder.recent.len() <= WINDOW + 1 && folder.texts.len() <= WINDOW + 1);
    }

    #[test]
    fn hosts_that_only_repeat_each_other_are_found_out() {
        let mut folder = Folder::default();
        for n in 0..400_u64 {
            let host = u16::try_from(n % 4).unwrap();
            // Now and then one of them says something of its own.
            let text = if n % 50 == 0 { format!("own {n}") } else { format!("epoch {}", n / 4) };
            folder.take(n, &line(0, host, &text));
        }
        assert!(folder.all_alike(4) && !folder.all_alike(1));
        for n in 400..4000_u64 {
            folder.take(n, &line(0, u16::try_from(n % 4).unwrap(), &format!("loss {n}")));
        }
        assert!(!folder.all_alike(4));
    }
}
