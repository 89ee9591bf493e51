//! Lines of several hosts in one order: by time, as far as is known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cursor::Event;

/// An event of one host, ordered by time; equal times keep host and reading order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub at: i64,
    pub host: u16,
    order: u64,
    pub message: String,
}

/// Holds events back until no stream that is still being read can bring an earlier one.
#[derive(Debug, Default)]
pub struct Merger {
    waiting: BinaryHeap<Reverse<Entry>>,
    pushed: u64,
}

impl Merger {
    pub fn push(&mut self, host: u16, event: Event) {
        self.pushed += 1;
        self.waiting.push(Reverse(Entry { at: event.at, host, order: self.pushed, message: event.message }));
    }

    /// Takes out, in order, what is not later than `until`; everything when `None`. At most `most`.
    pub fn ready(&mut self, until: Option<i64>, most: usize) -> Vec<Entry> {
        let mut out = Vec::new();
        while out.len() < most {
            match self.waiting.peek() {
                Some(Reverse(entry)) if until.is_none_or(|until| entry.at <= until) => {
                    out.extend(self.waiting.pop().map(|Reverse(entry)| entry));
                }
                _ => break,
            }
        }
        out
    }

    #[must_use]
    pub fn held(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_merge_by_time() {
        let mut merger = Merger::default();
        for (host, at) in [(0, 1), (0, 5), (1, 2), (1, 3), (0, 5)] {
            merger.push(host, Event { at, message: String::new() });
        }
        let times = |entries: Vec<Entry>| entries.iter().map(|entry| (entry.at, entry.host)).collect::<Vec<_>>();
        assert_eq!(times(merger.ready(Some(3), 99)), [(1, 0), (2, 1), (3, 1)]);
        assert_eq!(times(merger.ready(None, 1)), [(5, 0)]);
        assert_eq!(merger.held(), 1);
    }
}
