//! What a trial was billed for: only the description of its training job tells.

use std::collections::HashMap;

use crate::aws::Aws;
use crate::model::Failure;
use crate::resource::training_jobs::describe;
use crate::resource::tuning_jobs::trial::Trial;

const MEMO: &str = "trial-bills";

/// The billable seconds of a trial, if they have been looked up and the service tells them.
pub(super) fn seconds(aws: &Aws, trial: &str) -> Option<f64> {
    aws.memo(MEMO, |bills: &mut HashMap<String, Option<f64>>| bills.get(trial).copied().flatten())
}

fn is_known(aws: &Aws, trial: &str) -> bool {
    aws.memo(MEMO, |bills: &mut HashMap<String, Option<f64>>| bills.contains_key(trial))
}

/// Looks up at most so many of those that have ended and are not known yet, and says whether there was one. What has ended
/// is looked up once.
///
/// # Errors
/// As the service says; what was found out before is kept.
pub(super) async fn look_up(aws: &Aws, trials: &[&Trial], most: usize) -> Result<bool, Failure> {
    let unknown: Vec<&str> = trials
        .iter()
        .filter(|trial| !trial.state.phase.is_live() && !is_known(aws, &trial.name))
        .map(|trial| trial.name.as_str())
        .take(most)
        .collect();
    for name in &unknown {
        let billable = describe(aws, name).await?.billable_time_in_seconds().map(f64::from);
        aws.memo(MEMO, |bills: &mut HashMap<String, Option<f64>>| bills.insert((*name).to_owned(), billable));
    }
    Ok(!unknown.is_empty())
}
