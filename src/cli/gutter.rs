//! Log lines on stdout or stderr: a gutter with the host, progress bars folded into one line.

use super::{json, print};
use crate::model::{Failure, LogBatch, LogLine, Safe, TailNote};

/// Where lines go and how they look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// For people, on stdout.
    Out,
    /// For people, on stderr, because stdout is for JSON.
    Err,
    /// One JSON object a line, on stdout.
    Json,
}

/// Prints the batches of one follower.
pub struct Gutter {
    sink: Sink,
    colours: bool,
    hosts: Vec<Safe>,
    /// The latest state of each host's progress bar, printed when it is done with: a bar is one line, not thousands.
    live: Vec<Option<LogLine>>,
    waiting: bool,
}

impl Gutter {
    #[must_use]
    pub fn new(sink: Sink) -> Self {
        Self { sink, colours: sink == Sink::Out && print::colours(), hosts: Vec::new(), live: Vec::new(), waiting: false }
    }

    /// Prints one batch; what the follower has to say goes to stderr.
    ///
    /// # Errors
    /// When stdout is gone or full.
    pub fn print(&mut self, batch: LogBatch) -> Result<(), Failure> {
        if !batch.hosts.is_empty() {
            self.hosts = batch.hosts;
        }
        for line in self.fold(batch.lines) {
            self.line(&line)?;
        }
        match batch.note {
            Some(TailNote::Waiting) if !self.waiting => {
                self.waiting = true;
                print::progress("No log yet; waiting for its first line.");
            }
            Some(TailNote::Throttled { retry_seconds }) => {
                print::progress(&format!("The log is throttled; trying again in {retry_seconds:.0} s."));
            }
            Some(TailNote::Gap(why)) => print::progress(&format!("Lines may be missing here: {why}")),
            Some(TailNote::Failed(failure)) => print::failure(&failure),
            Some(TailNote::Ended) => self.finish()?,
            Some(TailNote::Waiting | TailNote::Following) | None => {}
        }
        Ok(())
    }

    /// Prints what is still held back.
    ///
    /// # Errors
    /// When stdout is gone or full.
    pub fn finish(&mut self) -> Result<(), Failure> {
        for bar in std::mem::take(&mut self.live).into_iter().flatten() {
            self.line(&bar)?;
        }
        Ok(())
    }

    /// Holds each host's progress bar back until its next ordinary line.
    fn fold(&mut self, lines: Vec<LogLine>) -> Vec<LogLine> {
        let mut ready = Vec::with_capacity(lines.len());
        for line in lines {
            let host = usize::from(line.host);
            if self.live.len() <= host {
                self.live.resize(host + 1, None);
            }
            if line.live {
                self.live[host] = Some(line);
            } else {
                ready.extend(self.live[host].take());
                ready.push(line);
            }
        }
        ready
    }

    fn line(&self, line: &LogLine) -> Result<(), Failure> {
        let host = self.hosts.get(usize::from(line.host)).map_or("?", Safe::as_str);
        match self.sink {
            Sink::Json => print::line(&json::log_line(host, line).to_string()),
            Sink::Err => {
                print::progress(&format!("{host}  {}", line.text));
                Ok(())
            }
            Sink::Out if self.colours => {
                // Cyan, green, yellow, blue, magenta: one each, then again.
                let colour = [36, 32, 33, 34, 35][usize::from(line.host) % 5];
                print::raw(&format!("\x1b[{colour}m{}\x1b[0m  {}\n", Safe::line(host), Safe::line(line.text.as_str())))
            }
            Sink::Out => print::line(&format!("{host}  {}", line.text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(host: u16, text: &str, live: bool) -> LogLine {
        LogLine { at: jiff::Timestamp::UNIX_EPOCH, host, text: Safe::line(text), live }
    }

    #[test]
    fn a_progress_bar_is_one_line_in_its_place() {
        let mut gutter = Gutter::new(Sink::Out);
        let texts = |lines: Vec<LogLine>| lines.iter().map(|line| format!("{} {}", line.host, line.text)).collect::<Vec<_>>();
        let first =
            gutter.fold(vec![line(0, "start", false), line(0, "10 %", true), line(1, "5 %", true), line(0, "90 %", true)]);
        assert_eq!(texts(first), ["0 start"]);
        let second = gutter.fold(vec![line(0, "100 %", true), line(0, "done", false), line(1, "50 %", true)]);
        assert_eq!(texts(second), ["0 100 %", "0 done"]);
        assert_eq!(
            gutter.live.iter().flatten().map(|line| line.text.as_str()).collect::<Vec<_>>(),
            ["50 %"],
            "printed by finish"
        );
    }
}
