//! How a trial differs from the best one.

use crate::aws::script_mode::hyperparameters::decode;
use crate::model::show::decimal;
use crate::model::{Block, Cell, Safe};
use crate::resource::tuning_jobs::describe::{Described, maximizes, metric};
use crate::resource::tuning_jobs::trial::{Trial, ranked};

/// A table of what was tried and what came of it: this trial, the best one (of the best itself, the next best), and the
/// difference. Nothing when there is none to compare with.
pub(super) fn with_best(job: &Described, trials: &[Trial], name: &str) -> Option<Block> {
    table(metric(job), &ranked(trials, maximizes(job)), trials.iter().find(|trial| trial.name == name)?)
}

fn table(metric: &str, ranked: &[&Trial], this: &Trial) -> Option<Block> {
    let place = ranked.iter().position(|trial| trial.name == this.name);
    let (other, head) = if place == Some(0) { (ranked.get(1)?, "second") } else { (ranked.first()?, "best") };
    let objective = |trial: &Trial| trial.objective.map_or_else(|| "–".to_owned(), |value| value.to_string());
    let mut rows = vec![row(metric, &objective(this), &objective(other))];
    for (name, raw) in &this.tuned {
        let theirs = other.tuned.iter().find(|(known, _)| known == name).map(|(_, raw)| decode(raw));
        rows.push(row(name, &decode(raw), theirs.as_deref().unwrap_or("–")));
    }
    let place = place.map_or_else(|| "no result".to_owned(), |place| format!("no. {} of {}", place + 1, ranked.len()));
    let head = [place.as_str(), "this", head, "difference"].map(Safe::line).to_vec();
    Some(Block::Table { title: "compared".into(), head, rows })
}

fn row(name: &str, this: &str, other: &str) -> Vec<Cell> {
    let difference = match (this.parse::<f64>(), other.parse::<f64>()) {
        _ if this == other => "same".to_owned(),
        (Ok(this), Ok(other)) if this.is_finite() && other.is_finite() => {
            let by = this - other;
            let sign = if by > 0.0 { "+" } else { "" };
            let times = if other > 0.0 && this > 0.0 { format!("  ×{}", short(this / other)) } else { String::new() };
            let by = if by.fract() == 0.0 && by.abs() < 1e7 { by.to_string() } else { decimal(by) };
            format!("{sign}{by}{times}")
        }
        _ => "differs".to_owned(),
    };
    [name, this, other, &difference].map(|text| Cell::Text(Safe::line(text))).to_vec()
}

/// A ratio in two or three digits.
fn short(ratio: f64) -> String {
    if ratio >= 100.0 {
        format!("{ratio:.0}")
    } else if ratio >= 10.0 {
        format!("{ratio:.1}")
    } else {
        format!("{ratio:.2}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_difference_and_a_ratio_and_words_differ_or_not() {
        let said = |this, other| match row("x", this, other).pop() {
            Some(Cell::Text(text)) => text.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(said("0.02", "0.005"), "+0.0150  ×4.00");
        assert_eq!(said("128", "512"), "-384  ×0.25");
        assert_eq!([said("adam", "sgd"), said("adam", "adam"), said("–", "1")], ["differs", "same", "differs"]);
    }
}
