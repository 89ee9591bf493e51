//! Metrics out of log lines, as the service scrapes them (developer guide, "Define Training Metrics").

use regex::Regex;

use super::lines::Piece;

/// A line longer than this is scraped in parts, so that a line without end cannot fill the memory.
const LONGEST_LINE: usize = 256 * 1024;

/// One metric definition, compiled.
#[derive(Clone, Debug)]
pub struct Metric {
    pub name: String,
    regex: Regex,
}

impl Metric {
    /// Compiles a definition.
    ///
    /// # Errors
    /// What is wrong with the pattern, in one line. Look-around and back-references are not known to this engine.
    pub fn new(name: &str, pattern: &str) -> Result<Self, String> {
        let regex = Regex::new(pattern).map_err(|error| {
            let text = error.to_string();
            text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
        })?;
        Ok(Self { name: name.to_owned(), regex })
    }

    /// The value in a text: the first capture group of the first match, or the whole match of a pattern without groups.
    fn value(&self, text: &str) -> Option<f64> {
        let captures = self.regex.captures(text)?;
        let found = captures.get(1).or_else(|| captures.get(0))?;
        found.as_str().trim().parse().ok().filter(|value: &f64| value.is_finite())
    }
}

/// The scraper of one stream.
pub struct Scraper {
    metrics: Vec<Metric>,
    line: String,
}

impl Scraper {
    #[must_use]
    pub fn new(metrics: Vec<Metric>) -> Self {
        Self { metrics, line: String::new() }
    }

    /// Looks at a piece of a line; values come out when the line is complete. A progress bar's segments between `\r` count as
    /// lines of their own.
    pub fn take(&mut self, piece: &Piece, mut found: impl FnMut(&str, f64)) {
        if self.metrics.is_empty() {
            return;
        }
        self.line.push_str(&piece.text);
        if !piece.ends_line && self.line.len() < LONGEST_LINE {
            return;
        }
        for segment in self.line.split('\r').filter(|segment| !segment.is_empty()) {
            for metric in &self.metrics {
                if let Some(value) = metric.value(segment) {
                    found(&metric.name, value);
                }
            }
        }
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(pattern: &str, pieces: &[(&str, bool)]) -> Vec<f64> {
        let mut scraper = Scraper::new(vec![Metric::new("m", pattern).expect("compiles")]);
        let mut values = Vec::new();
        for (text, ends_line) in pieces {
            scraper.take(&Piece { text: (*text).to_owned(), ends_line: *ends_line }, |_, value| values.push(value));
        }
        values
    }

    #[test]
    fn the_first_group_is_the_value() {
        assert_eq!(scrape(r"Testing Loss: ([0-9\.]+)", &[("Testing Loss: 0.25 after 3", true)]), [0.25]);
        assert_eq!(scrape("loss=([0-9.e+-]+)", &[("loss=1e-05", true)]), [1e-5]);
    }

    #[test]
    fn what_is_not_a_number_is_ignored() {
        assert_eq!(
            scrape("loss: (.*)", &[("loss: nan", true), ("loss: inf", true), ("loss: 1.2.3", true), ("loss: 2", true)]),
            [2.0]
        );
    }

    #[test]
    fn a_line_that_came_in_two_pieces_is_one_line() {
        assert_eq!(scrape(r"loss=(\d+\.\d+)", &[("loss=0.1", false), ("25", true)]), [0.125]);
    }

    #[test]
    fn each_step_of_a_progress_bar_counts() {
        assert_eq!(scrape(r"loss=([\d.]+)", &[("1/2 loss=2.0\r2/2 loss=1.5\r", true)]), [2.0, 1.5]);
    }

    #[test]
    fn look_around_is_refused_with_its_reason() {
        let error = Metric::new("m", "(?<=loss )x").expect_err("is refused");
        assert!(error.contains("look-around"), "{error}");
    }
}
