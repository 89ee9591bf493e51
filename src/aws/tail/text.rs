//! What a log event says: progress bars folded, escapes of the log agent decoded, hosts named, metrics found.

use std::borrow::Cow;

use regex::Regex;

use crate::model::{MetricRule, Safe};

/// Folds a message to the line to show; `true` when it is a state of a progress bar (it holds carriage returns).
///
/// The log agent of the containers writes `\r` as `#015` and a tab as `#011`. A `#015` after a space or at the start is left
/// alone: that is somebody's issue number, not a bar.
#[must_use]
pub fn fold(message: &str) -> (String, bool) {
    let message = message.trim_end_matches(['\r', '\n']);
    let message = message.strip_suffix("#015").unwrap_or(message);
    let decoded = if message.contains('#') { decode(message) } else { message.to_owned() };
    bar(&decoded)
}

/// The last state of a progress bar (what stands behind its last carriage return that has something behind it), and `true`;
/// a line without carriage returns as it is.
#[must_use]
pub fn bar(line: &str) -> (String, bool) {
    if !line.contains('\r') {
        return (line.to_owned(), false);
    }
    let last = line.split('\r').rfind(|segment| !segment.trim().is_empty()).unwrap_or_default();
    (last.to_owned(), true)
}

fn decode(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find('#') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let glued = out.chars().next_back().is_none_or(|before| !before.is_whitespace());
        if rest.starts_with("#011") {
            out.push('\t');
            rest = &rest[4..];
        } else if rest.starts_with("#015") && glued {
            out.push('\r');
            rest = &rest[4..];
        } else {
            out.push('#');
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// The host that writes a stream: `algo-1` of `job/algo-1-1574811611`; of a tuning job's trials `003`, and `003-algo-2`
/// where it is not the first.
#[must_use]
pub fn host<'a>(stream: &'a str, prefix: &str) -> Cow<'a, str> {
    let name = stream.strip_prefix(prefix).unwrap_or(stream);
    if prefix.ends_with('-')
        && let Some((trial, rest)) = name.split_once('/')
    {
        let number = trial.split('-').next().unwrap_or(trial);
        let host = without_time(rest);
        return if host == "algo-1" { number.into() } else { format!("{number}-{host}").into() };
    }
    without_time(name).into()
}

fn without_time(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((host, epoch)) if epoch.len() >= 9 && epoch.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => name,
    }
}

/// The job's metric rules, ready to be applied.
pub struct Metrics(Vec<(Safe, Regex)>);

impl Metrics {
    /// Rules whose regex does not compile find nothing; the form has said so before.
    #[must_use]
    pub fn new(rules: &[MetricRule]) -> Self {
        Self(rules.iter().filter_map(|rule| Some((Safe::line(&rule.name), Regex::new(&rule.regex).ok()?))).collect())
    }

    /// Values in a line: first match of each rule, first capture group. What is not a finite number is none.
    pub fn find<'a>(&'a self, line: &'a str) -> impl Iterator<Item = (Safe, f64)> + 'a {
        self.0.iter().filter_map(move |(name, regex)| {
            let found = regex.captures(line)?;
            let text = found.get(1).or_else(|| found.get(0))?.as_str();
            text.trim().parse::<f64>().ok().filter(|value| value.is_finite()).map(|value| (name.clone(), value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fold_to_their_last_state() {
        assert_eq!(fold("plain"), ("plain".into(), false));
        assert_eq!(fold("windows\r"), ("windows".into(), false));
        assert_eq!(fold("  0%|  |\r 50%|█ |\r100%|██|"), ("100%|██|".into(), true));
        assert_eq!(fold("  0%|  | 0/2 [00:00]#015 50%|█ | 1/2 [00:01]#015"), (" 50%|█ | 1/2 [00:01]".into(), true));
        assert_eq!(fold("#015 50%"), (" 50%".into(), true));
        assert_eq!(fold("a#011b"), ("a\tb".into(), false));
        assert_eq!(fold("fixes #015 and #7"), ("fixes #015 and #7".into(), false));
    }

    #[test]
    fn hosts_are_named_without_the_epoch() {
        assert_eq!(host("digits-1/algo-12-1574811611", "digits-1/"), "algo-12");
        assert_eq!(host("digits-1/algo-1", "digits-1/"), "algo-1");
        assert_eq!(host("other", "digits-1/"), "other");
    }

    #[test]
    fn metrics_are_finite_numbers() {
        let rule = |name: &str, regex: &str| MetricRule { name: name.into(), regex: regex.into() };
        let metrics = Metrics::new(&[rule("loss", "loss: ([0-9.naif-]+)"), rule("bad", "("), rule("acc", "acc=[0-9]+")]);
        let found = |line: &str| metrics.find(line).map(|(name, value)| (name.to_string(), value)).collect::<Vec<_>>();
        assert_eq!(found("epoch 1 loss: 0.25 loss: 9"), [("loss".to_owned(), 0.25)]);
        assert_eq!(found("loss: nan"), []);
        assert_eq!(found("loss: inf"), []);
        assert_eq!(found("acc=1"), [], "no number in the whole match");
    }
}
