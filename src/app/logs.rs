//! A followed log: the lines, where the reader is, and what the lines' metrics add up to.

use std::collections::{HashMap, VecDeque};

use crate::model::{ItemId, LogBatch, LogLine, Point, Safe, Series, TailNote};

/// Lines kept in memory; older ones are let go and counted. About 70 MB of ordinary lines.
pub const KEPT: usize = 300_000;
/// Points kept per curve; beyond it every other older point goes.
const POINTS: usize = 4_000;

/// One log on the screen. Lines have numbers that never change, so that a reader's place survives whatever arrives.
#[derive(Clone, Debug)]
pub struct LogView {
    pub resource: String,
    pub id: ItemId,
    pub hosts: Vec<Safe>,
    pub note: Option<TailNote>,
    /// At the end, and staying there.
    pub follow: bool,
    /// Lines that came while the reader was elsewhere.
    pub unseen: usize,
    pub wrap: bool,
    /// Columns scrolled to the right.
    pub left: usize,
    /// Only this host.
    pub solo: Option<u16>,
    /// Lower-case text searched for; empty: none.
    pub search: String,
    /// The match that the reader is at.
    pub hit: Option<u64>,
    /// Curves from the log's metrics.
    pub series: Vec<Series>,
    lines: VecDeque<LogLine>,
    /// Number of the first line kept.
    first: u64,
    /// The progress bar each host is drawing, by line number.
    bars: HashMap<u16, u64>,
    /// Number of the lowest line on the screen, unless following.
    bottom: u64,
}

impl LogView {
    #[must_use]
    pub fn new(resource: String, id: ItemId) -> Self {
        Self {
            resource,
            id,
            hosts: Vec::new(),
            note: None,
            follow: true,
            unseen: 0,
            wrap: false,
            left: 0,
            solo: None,
            search: String::new(),
            hit: None,
            series: Vec::new(),
            lines: VecDeque::new(),
            first: 0,
            bars: HashMap::new(),
            bottom: 0,
        }
    }

    /// Takes in what the follower found.
    pub fn take(&mut self, batch: LogBatch) {
        if !batch.hosts.is_empty() {
            self.hosts = batch.hosts;
        }
        if batch.note.is_some() {
            self.note = batch.note;
        }
        for line in batch.lines {
            self.push(line);
        }
        for (name, point) in batch.points {
            self.plot(&name, point);
        }
    }

    fn push(&mut self, line: LogLine) {
        let bar = self.bars.get(&line.host).copied();
        if let Some(number) = bar
            && line.live
            && number >= self.first
            && let Some(kept) = usize::try_from(number - self.first).ok().and_then(|at| self.lines.get_mut(at))
        {
            *kept = line;
            return;
        }
        if line.live {
            self.bars.insert(line.host, self.next());
        } else {
            self.bars.remove(&line.host);
        }
        if !self.follow && self.shows(&line) {
            self.unseen += 1;
        }
        self.lines.push_back(line);
        if self.lines.len() > KEPT {
            self.lines.pop_front();
            self.first += 1;
        }
    }

    fn plot(&mut self, name: &Safe, point: Point) {
        let at = self.series.iter().position(|series| series.name == *name).unwrap_or_else(|| {
            self.series.push(Series { name: name.clone(), points: Vec::new() });
            self.series.len() - 1
        });
        let points = &mut self.series[at].points;
        points.push(point);
        if points.len() > POINTS {
            let mut index = 0;
            let newest = points.len() - 1;
            points.retain(|_| {
                index += 1;
                index % 2 == 1 || index > newest
            });
        }
    }

    /// Lines kept, and lines let go because there were too many.
    #[must_use]
    pub fn counts(&self) -> (usize, u64) {
        (self.lines.len(), self.first)
    }

    /// The line is a progress bar that is still being drawn.
    #[must_use]
    pub fn is_drawing(&self, number: u64, line: &LogLine) -> bool {
        self.bars.get(&line.host) == Some(&number) && self.note != Some(TailNote::Ended)
    }

    fn next(&self) -> u64 {
        self.first + self.lines.len() as u64
    }

    fn shows(&self, line: &LogLine) -> bool {
        self.solo.is_none_or(|host| host == line.host)
    }

    /// The line of that number.
    #[must_use]
    pub fn line(&self, number: u64) -> Option<&LogLine> {
        number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok()).and_then(|at| self.lines.get(at))
    }

    /// Lines from the lowest on the screen upwards, with their numbers.
    pub fn upwards(&self) -> impl Iterator<Item = (u64, &LogLine)> {
        let bottom = if self.follow { self.next() } else { self.bottom + 1 };
        self.before(bottom)
    }

    fn before(&self, end: u64) -> impl Iterator<Item = (u64, &LogLine)> {
        let count = usize::try_from(end.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.lines.len());
        let first = self.first;
        self.lines
            .range(..count)
            .enumerate()
            .rev()
            .map(move |(at, line)| (first + at as u64, line))
            .filter(|(_, line)| self.shows(line))
    }

    fn after(&self, start: u64) -> impl Iterator<Item = (u64, &LogLine)> {
        let skip = usize::try_from(start.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.lines.len());
        let first = self.first + skip as u64;
        self.lines.range(skip..).enumerate().map(move |(at, line)| (first + at as u64, line)).filter(|(_, line)| self.shows(line))
    }

    fn lowest(&self) -> u64 {
        if self.follow { self.next().saturating_sub(1) } else { self.bottom }
    }

    /// Scrolls by lines; down past the end follows again.
    pub fn scroll(&mut self, lines: i64) {
        let count = usize::try_from(lines.unsigned_abs()).unwrap_or(usize::MAX).max(1);
        if lines < 0 {
            let up =
                self.before(self.lowest()).nth(count - 1).or_else(|| self.after(self.first).next()).map(|(number, _)| number);
            if let Some(number) = up {
                self.bottom = number;
                self.follow = false;
            }
        } else if !self.follow {
            let down = self.after(self.bottom + 1).nth(count - 1).map(|(number, _)| number);
            match down {
                Some(number) if number + 1 < self.next() => self.bottom = number,
                _ => self.go_end(),
            }
        }
    }

    /// To the first line: the window's lowest is the `rows`-th.
    pub fn go_start(&mut self, rows: usize) {
        let lowest = self.after(self.first).nth(rows.saturating_sub(1)).map(|(number, _)| number);
        if let Some(number) = lowest {
            self.bottom = number;
            self.follow = false;
        }
    }

    /// To the end, and following.
    pub fn go_end(&mut self) {
        self.follow = true;
        self.unseen = 0;
    }

    /// Follows, or stays where it is.
    pub fn toggle_follow(&mut self) {
        if self.follow {
            self.bottom = self.lowest();
            self.follow = false;
        } else {
            self.go_end();
        }
    }

    /// Shows only one host, or all again.
    pub fn toggle_solo(&mut self, host: u16) {
        if usize::from(host) < self.hosts.len() {
            self.solo = if self.solo == Some(host) { None } else { Some(host) };
        }
    }

    /// Searches from where the reader is: towards the end, or towards the start. Wraps around. Returns whether it found.
    pub fn find(&mut self, onwards: bool, rows: usize) -> bool {
        if self.search.is_empty() {
            return false;
        }
        let matches =
            |(number, line): (u64, &LogLine)| line.text.as_str().to_lowercase().contains(&self.search).then_some(number);
        let from = self.hit.unwrap_or_else(|| self.lowest() + 1);
        let found = if onwards {
            self.after(from + 1).find_map(matches).or_else(|| self.after(self.first).find_map(matches))
        } else {
            self.before(from).find_map(matches).or_else(|| self.before(self.next()).find_map(matches))
        };
        let Some(number) = found else {
            self.hit = None;
            return false;
        };
        self.hit = Some(number);
        // In the middle of the window, so that both sides can be read.
        let below = self.after(number).nth(rows / 2).map(|(number, _)| number);
        match below {
            Some(bottom) => {
                self.bottom = bottom;
                self.follow = false;
            }
            None => self.go_end(),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(host: u16, text: &str, live: bool) -> LogLine {
        LogLine { at: jiff::Timestamp::UNIX_EPOCH, host, text: text.into(), live }
    }

    fn view(lines: Vec<LogLine>) -> LogView {
        let mut view = LogView::new("r".to_owned(), ItemId("i".to_owned()));
        view.take(LogBatch { hosts: vec!["algo-1".into(), "algo-2".into()], lines, ..LogBatch::default() });
        view
    }

    fn shown(view: &LogView, rows: usize) -> Vec<String> {
        let mut lines: Vec<_> = view.upwards().take(rows).map(|(_, line)| line.text.to_string()).collect();
        lines.reverse();
        lines
    }

    #[test]
    fn a_progress_bar_is_one_line_that_changes() {
        let view = view(vec![
            line(0, "10 %", true),
            line(1, "other", false),
            line(0, "60 %", true),
            line(0, "done", false),
            line(0, "5 %", true),
        ]);
        assert_eq!(shown(&view, 9), ["60 %", "other", "done", "5 %"]);
    }

    #[test]
    fn what_arrives_does_not_move_the_reader() {
        let mut view = view((0..100).map(|n| line(0, &n.to_string(), false)).collect());
        view.scroll(-10);
        let before = shown(&view, 5);
        view.take(LogBatch { lines: vec![line(0, "new", false)], ..LogBatch::default() });
        assert_eq!((shown(&view, 5), view.unseen), (before, 1));
        view.scroll(1000);
        assert_eq!((shown(&view, 1), view.follow, view.unseen), (vec!["new".to_owned()], true, 0));
    }

    #[test]
    fn old_lines_go_and_are_counted() {
        let view = view((0..KEPT + 7).map(|n| line(0, &n.to_string(), false)).collect());
        assert_eq!(view.counts(), (KEPT, 7));
        assert_eq!(shown(&view, 1), [(KEPT + 6).to_string()]);
    }

    #[test]
    fn search_goes_both_ways_and_around() {
        let mut view = view((0..50).map(|n| line(0, if n % 20 == 5 { "Loss here" } else { "-" }, false)).collect());
        view.search = "loss".to_owned();
        let mut hits = Vec::new();
        for onwards in [false, false, false, false, true] {
            assert!(view.find(onwards, 10));
            hits.push(view.hit.expect("found"));
        }
        assert_eq!(hits, [45, 25, 5, 45, 5]);
    }

    #[test]
    fn solo_hides_the_others() {
        let mut view = view(vec![line(0, "a", false), line(1, "b", false), line(0, "c", false)]);
        view.toggle_solo(1);
        assert_eq!(shown(&view, 9), ["b"]);
        view.toggle_solo(1);
        assert_eq!(shown(&view, 9), ["a", "b", "c"]);
    }
}
