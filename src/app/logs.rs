//! A followed log: the lines, where the reader is, and what the lines' metrics add up to.

pub mod fold;
pub mod plot;

use std::collections::{HashMap, VecDeque};

use fold::{Folder, Hosts, Part};
use jiff::Timestamp;
use plot::plot;

use crate::model::{ItemId, LogBatch, LogLine, Safe, Series, TailNote};

/// Lines kept in memory; older ones are let go and counted. About 70 MB of ordinary lines.
pub const KEPT: usize = 300_000;

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
    /// These hosts not.
    pub muted: Hosts,
    /// What several hosts say alike is one line.
    pub folds: bool,
    /// It was said that the hosts only repeat each other.
    pub warned: bool,
    /// Lower-case text searched for; empty: none.
    pub search: String,
    /// The match that the reader is at.
    pub hit: Option<u64>,
    /// Curves from the log's metrics.
    pub series: Vec<Series>,
    lines: VecDeque<LogLine>,
    /// What each line has to do with those of other hosts.
    parts: VecDeque<Part>,
    folder: Folder,
    /// Of each host: lines so far, and when the last was.
    spoken: Vec<(u64, Timestamp)>,
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
            muted: Hosts::default(),
            folds: true,
            warned: false,
            search: String::new(),
            hit: None,
            series: Vec::new(),
            lines: VecDeque::new(),
            parts: VecDeque::new(),
            folder: Folder::default(),
            spoken: Vec::new(),
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
            plot(&mut self.series, &name, point);
        }
    }

    fn push(&mut self, line: LogLine) {
        let host = usize::from(line.host);
        if self.spoken.len() <= host {
            self.spoken.resize(host + 1, (0, line.at));
        }
        let bar = self.bars.get(&line.host).copied();
        if let Some(number) = bar
            && line.live
            && number >= self.first
            && let Some(kept) = usize::try_from(number - self.first).ok().and_then(|at| self.lines.get_mut(at))
        {
            *kept = line;
            return;
        }
        self.spoken[host] = (self.spoken[host].0 + 1, line.at);
        let part = self.folder.take(self.next(), &line);
        if let Part::Again(first, _) = part
            && let Some(Part::First(others)) =
                first.checked_sub(self.first).and_then(|at| self.parts.get_mut(usize::try_from(at).ok()?))
        {
            *others = others.with(Hosts::one(line.host));
        }
        if line.live {
            self.bars.insert(line.host, self.next());
        } else {
            self.bars.remove(&line.host);
        }
        if !self.follow && self.shows(&line, part) {
            self.unseen += 1;
        }
        self.lines.push_back(line);
        self.parts.push_back(part);
        if self.lines.len() > KEPT {
            self.lines.pop_front();
            self.parts.pop_front();
            self.first += 1;
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

    fn shows(&self, line: &LogLine, part: Part) -> bool {
        if !self.hears(line.host) {
            return false;
        }
        match part {
            // Another that shows has said it before, unless that line has been let go.
            Part::Again(first, before) if self.folds && first >= self.first => self.heard(before).is_empty(),
            Part::Again(..) | Part::First(_) => true,
        }
    }

    /// The host's lines show.
    #[must_use]
    pub fn hears(&self, host: u16) -> bool {
        self.solo.map_or(!self.muted.has(host), |only| only == host)
    }

    /// Those of these hosts whose lines show.
    fn heard(&self, hosts: Hosts) -> Hosts {
        match self.solo {
            Some(only) if hosts.has(only) => Hosts::one(only),
            Some(_) => Hosts::default(),
            None => hosts.without(self.muted),
        }
    }

    /// The hosts that a line on the screen stands for: its own, and those that say the same while lines are folded.
    #[must_use]
    pub fn stands_for(&self, number: u64) -> Hosts {
        let part = |number: u64| number.checked_sub(self.first).and_then(|at| self.parts.get(usize::try_from(at).ok()?));
        let own = self.line(number).map_or_else(Hosts::default, |line| Hosts::one(line.host));
        let others = match part(number) {
            Some(Part::First(others)) => *others,
            Some(Part::Again(first, before)) => match part(*first) {
                Some(Part::First(others)) => others.with(*before),
                _ => Hosts::default(),
            },
            None => Hosts::default(),
        };
        if self.folds { self.heard(own.with(others)) } else { own }
    }

    /// Nearly all that the hosts say is the same: the work may not be shared among them.
    #[must_use]
    pub fn all_alike(&self) -> bool {
        self.folder.all_alike(self.hosts.len())
    }

    /// Lines of a host so far, and when the last was.
    #[must_use]
    pub fn spoken(&self, host: u16) -> Option<(u64, Timestamp)> {
        self.spoken.get(usize::from(host)).copied().filter(|(lines, _)| *lines > 0)
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
        let lines = self.lines.range(..count).zip(self.parts.range(..count)).enumerate().rev();
        lines.filter(|(_, (line, part))| self.shows(line, **part)).map(move |(at, (line, _))| (first + at as u64, line))
    }

    fn after(&self, start: u64) -> impl Iterator<Item = (u64, &LogLine)> {
        let skip = usize::try_from(start.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.lines.len());
        let first = self.first + skip as u64;
        let lines = self.lines.range(skip..).zip(self.parts.range(skip..)).enumerate();
        lines.filter(|(_, (line, part))| self.shows(line, **part)).map(move |(at, (line, _))| (first + at as u64, line))
    }

    /// The lowest line on the screen.
    fn lowest(&self) -> u64 {
        self.upwards().next().map_or(self.first, |(number, _)| number)
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
                Some(number) if self.after(number + 1).next().is_some() => self.bottom = number,
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

    /// Shows a host's lines no more, or again.
    pub fn toggle_mute(&mut self, host: u16) {
        if usize::from(host) < self.hosts.len() {
            self.muted = self.muted.toggled(host);
            self.solo = None;
        }
    }

    /// Shows the lines of all hosts.
    pub fn hear_all(&mut self) {
        self.muted = Hosts::default();
        self.solo = None;
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

    /// Three hosts that say the same but for a word, and what shows of it: text and how many say it.
    fn crowd() -> LogView {
        let lines = (0..20).flat_map(|n| {
            let said = move |host| match host {
                1 if n % 5 == 0 => format!("own {n}"),
                _ => format!("epoch {n}"),
            };
            (0..3).map(move |host| line(host, &said(host), false))
        });
        let mut view = view(Vec::new());
        view.take(LogBatch { hosts: vec!["algo-1".into(), "algo-2".into(), "algo-3".into()], ..LogBatch::default() });
        view.take(LogBatch { lines: lines.collect(), ..LogBatch::default() });
        view
    }

    fn badges(view: &LogView, rows: usize) -> Vec<(String, u32)> {
        let lines = view.upwards().take(rows);
        lines.map(|(number, line)| (line.text.to_string(), view.stands_for(number).count())).collect()
    }

    #[test]
    fn what_hosts_say_alike_is_one_line() {
        let mut view = crowd();
        let said = |text: &str, count| (text.to_owned(), count);
        let folded = [said("epoch 16", 3), said("own 15", 1), said("epoch 15", 2), said("epoch 14", 3)];
        assert_eq!(badges(&view, 99).len(), 20 + 4);
        assert_eq!(badges(&view, 7)[3..], folded);
        view.folds = false;
        assert_eq!(badges(&view, 99).len(), 60);
        assert!(badges(&view, 99).iter().all(|(_, count)| *count == 1));
        // Muted, the others speak for it.
        view.folds = true;
        view.toggle_mute(0);
        assert_eq!(badges(&view, 7)[3..], [said("epoch 16", 2), said("epoch 15", 1), said("own 15", 1), said("epoch 14", 2)]);
        view.toggle_solo(2);
        assert_eq!(badges(&view, 99).len(), 20);
        view.hear_all();
        assert_eq!(badges(&view, 7)[3..], folded);
    }

    #[test]
    fn lines_that_are_folded_away_do_not_move_the_reader() {
        let mut view = crowd();
        view.take(LogBatch { lines: vec![line(0, "late", false)], ..LogBatch::default() });
        view.scroll(-4);
        let before = shown(&view, 6);
        assert_eq!(before.last().map(String::as_str), Some("epoch 16"));
        for host in [1, 2] {
            view.take(LogBatch { lines: vec![line(host, "late", false)], ..LogBatch::default() });
        }
        assert_eq!((shown(&view, 6), view.unseen), (before.clone(), 0), "they add nothing to be seen");
        view.folds = false;
        assert_eq!(shown(&view, 1), before[5..]);
        view.folds = true;
        assert_eq!(shown(&view, 6), before);
        // Down by as many as there are, and it follows again, though the last line kept is not one that shows.
        view.scroll(4);
        assert!(view.follow);
        assert_eq!(badges(&view, 1), [("late".to_owned(), 3)]);
        // Each step up is a step.
        view.scroll(-1);
        assert_eq!(shown(&view, 1), ["epoch 19"]);
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
