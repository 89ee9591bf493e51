//! When a tuning job is over, and when one of its training jobs is not worth going on. Nothing but rules: no clock, no store.

use std::time::Duration;

use super::check::Plan;

/// After so many training jobs without any result the service gives up.
const ATTEMPTS: usize = 5;
/// So many earlier training jobs have to have got as far before one is compared with them. assumed: AWS names no number.
const COMPANY: usize = 3;

/// How a tuning job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Completed,
    Stopped,
    /// With its `FailureReason`.
    Failed(String),
}

/// How a training job of it ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attempt {
    /// Whether its status is Failed.
    pub failed: bool,
    /// The final value of the objective.
    pub objective: Option<f64>,
}

/// Whether the tuning job is over, from its ended training jobs in the order of their ends.
#[must_use]
pub fn verdict(plan: &Plan, ended: &[Attempt], elapsed: Duration) -> Option<End> {
    let results: Vec<f64> = ended.iter().filter_map(|attempt| attempt.objective).collect();
    if results.is_empty() && ended.len() >= ATTEMPTS.min(plan.jobs) {
        return Some(End::Failed(fruitless(ended)));
    }
    let best = results.iter().copied().reduce(|best, result| if better(plan, result, best) { result } else { best });
    let reached = plan.target.zip(best).is_some_and(|(target, best)| !better(plan, target, best));
    let tired = plan.patience.is_some_and(|patience| not_improving(plan, &results) >= patience);
    if reached || tired || ended.len() >= plan.jobs {
        return Some(End::Completed);
    }
    // assumed: a tuning job whose time is over counts as stopped, as a training job does.
    plan.runtime.is_some_and(|runtime| elapsed >= runtime).then_some(End::Stopped)
}

/// The number of results since the best one.
#[must_use]
pub fn not_improving(plan: &Plan, results: &[f64]) -> usize {
    let mut best = None;
    let mut since = 0;
    for result in results {
        if best.is_none_or(|best| better(plan, *result, best)) {
            best = Some(*result);
            since = 0;
        } else {
            since += 1;
        }
    }
    since
}

/// Whether a value of the objective is better than another one.
#[must_use]
pub fn better(plan: &Plan, one: f64, other: f64) -> bool {
    if plan.search.maximize { one > other } else { one < other }
}

/// The first step after `from` at which a training job's objective is worse than the median of the running averages of earlier
/// training jobs at that step (developer guide, "Stop Training Jobs Early"). Steps are counted from 1.
#[must_use]
pub fn falls_behind(plan: &Plan, values: &[f64], from: usize, earlier: &[&[f64]]) -> Option<usize> {
    (from + 1..=values.len()).find(|step| {
        let mut averages: Vec<f64> = earlier.iter().filter_map(|series| series.get(..*step)).map(average).collect();
        averages.len() >= COMPANY && better(plan, median(&mut averages), values[step - 1])
    })
}

fn average(values: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nobody reports 2^53 values")]
    let count = values.len() as f64;
    values.iter().sum::<f64>() / count
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) { f64::midpoint(values[middle - 1], values[middle]) } else { values[middle] }
}

fn fruitless(ended: &[Attempt]) -> String {
    let count = ended.len();
    // assumed: with fewer than five training jobs the texts name their number.
    if ended.iter().all(|attempt| attempt.failed) {
        return format!(
            "No training job succeeded after {count} attempts. Please take a look at the training job failures to get more details."
        );
    }
    format!(
        "No objective metrics found after running {count} training jobs. Please ensure that the custom algorithm is emitting the objective metric as defined by the regular expression provided."
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::sagemaker::tuning::check::{check, tests::request};

    fn plan(change: impl FnOnce(&mut Plan)) -> Plan {
        let mut plan = check(&request()).expect("is accepted");
        plan.jobs = 20;
        change(&mut plan);
        plan
    }

    fn results(values: &[f64]) -> Vec<Attempt> {
        values.iter().map(|value| Attempt { failed: false, objective: Some(*value) }).collect()
    }

    const FAILED: Attempt = Attempt { failed: true, objective: None };
    const SILENT: Attempt = Attempt { failed: false, objective: None };

    #[test]
    fn five_failures_at_the_start_are_enough() {
        let plan = plan(|_| {});
        assert_eq!(verdict(&plan, &[FAILED; 4], Duration::ZERO), None);
        assert_eq!(
            verdict(&plan, &[FAILED; 5], Duration::ZERO),
            Some(End::Failed("No training job succeeded after 5 attempts. Please take a look at the training job failures to get more details.".to_owned()))
        );
        let mut attempts = vec![FAILED; 9];
        attempts.extend(results(&[1.0]));
        assert_eq!(verdict(&plan, &attempts, Duration::ZERO), None);
        let Some(End::Failed(reason)) = verdict(&plan, &[FAILED, SILENT, SILENT, SILENT, SILENT], Duration::ZERO) else {
            panic!("fails")
        };
        assert!(reason.starts_with("No objective metrics found after running 5 training jobs."), "{reason}");
    }

    #[test]
    fn it_ends_when_it_has_what_it_wants_or_its_jobs_or_time_are_used_up() {
        assert_eq!(verdict(&plan(|plan| plan.jobs = 2), &results(&[2.0, 1.0]), Duration::ZERO), Some(End::Completed));
        let target = plan(|plan| plan.target = Some(1.0));
        assert_eq!(verdict(&target, &results(&[1.1]), Duration::ZERO), None);
        assert_eq!(verdict(&target, &results(&[1.1, 1.0]), Duration::ZERO), Some(End::Completed));
        let patient = plan(|plan| plan.patience = Some(3));
        assert_eq!(verdict(&patient, &results(&[3.0, 4.0, 2.0, 2.0, 5.0]), Duration::ZERO), None);
        assert_eq!(verdict(&patient, &results(&[3.0, 4.0, 2.0, 2.0, 5.0, 2.5]), Duration::ZERO), Some(End::Completed));
        let short = plan(|plan| plan.runtime = Some(Duration::from_mins(2)));
        assert_eq!(verdict(&short, &results(&[1.0]), Duration::from_secs(119)), None);
        assert_eq!(verdict(&short, &results(&[1.0]), Duration::from_mins(2)), Some(End::Stopped));
    }

    #[test]
    fn the_median_rule() {
        let minimize = plan(|_| {});
        let earlier: Vec<&[f64]> = vec![&[4.0, 2.0], &[5.0, 3.0], &[6.0, 4.0]];
        // Running averages at step 1: 4, 5, 6; at step 2: 3, 4, 5.
        assert_eq!(falls_behind(&minimize, &[5.0, 4.0], 0, &earlier), None);
        assert_eq!(falls_behind(&minimize, &[5.0, 4.1], 0, &earlier), Some(2));
        assert_eq!(falls_behind(&minimize, &[9.0, 4.0], 1, &earlier), None, "step 1 was looked at before");
        assert_eq!(falls_behind(&minimize, &[9.0], 0, &earlier[..2]), None, "too few to compare with");
        assert_eq!(falls_behind(&minimize, &[5.0, 4.0, 99.0], 0, &earlier), None, "nobody got as far");
        let maximize = plan(|plan| plan.search.maximize = true);
        assert_eq!(falls_behind(&maximize, &[4.9], 0, &earlier), Some(1));
        assert_eq!(falls_behind(&maximize, &[5.1], 0, &earlier), None);
    }
}
