//! What is worth knowing while a search runs, and not when it is over: that no trial can be judged, because the
//! objective's regex finds nothing, or that trials fail.

use std::collections::HashSet;

use aws_sdk_sagemaker::operation::describe_hyper_parameter_tuning_job::DescribeHyperParameterTuningJobOutput;
use regex::Regex;

use super::describe::{definition, metric};
use super::trial::Trial;
use crate::aws::tail::text;
use crate::aws::{Aws, fault};
use crate::model::{Failure, Safe};

const MEMO: &str = "tuning-heard";
/// Lines of a running trial before silence is worth a word.
const ENOUGH: usize = 10;
/// Events that are read of one log.
const READ: i32 = 10_000;

/// What to say, if anything.
pub(super) async fn hints(aws: &Aws, job: &DescribeHyperParameterTuningJobOutput, trials: &[Trial]) -> Option<Safe> {
    if trials.iter().any(|trial| trial.objective.is_some()) {
        return None;
    }
    let failed: Vec<&Trial> = trials.iter().filter(|trial| trial.reason.is_some()).collect();
    if let Some(last) = failed.last() {
        let why = last.reason.as_ref().map_or("", Safe::as_str);
        let count = if failed.len() == 1 {
            "The only trial that has ended".to_owned()
        } else {
            format!("All {} trials so far", failed.len())
        };
        return Some(Safe::text(&format!("{count} failed, the last one with: {why}")));
    }
    let first = trials.iter().find(|trial| trial.started.is_some())?;
    let wanted = metric(job);
    let rules = definition(job)?.algorithm_specification()?.metric_definitions();
    let regex = rules.iter().find(|rule| rule.name() == Some(wanted))?.regex()?;
    // A look only: if the log cannot be read, the log itself says why.
    let (lines, last) = unheard(aws, &first.name, regex).await.ok()??;
    if lines < ENOUGH && first.state.phase.is_live() {
        return None;
    }
    let now = if first.state.phase.is_live() { "so far " } else { "" };
    let printed = if lines == 1 { "the one line".to_owned() } else { format!("the {lines} lines") };
    Some(Safe::text(&format!(
        "Nothing in {printed} that the first trial has printed {now}matches '{regex}' of '{wanted}'. Without a match no trial can be judged, and all fail. Stop, and set the regex or what the script prints. Its last line: {last}"
    )))
}

/// How many lines a trial's first host has printed, and the last of them, when the regex matches none; `None` when it
/// does, or when there is no line yet.
async fn unheard(aws: &Aws, trial: &str, regex: &str) -> Result<Option<(usize, String)>, Failure> {
    if aws.memo(MEMO, |heard: &mut HashSet<String>| heard.contains(trial)) {
        return Ok(None);
    }
    let Ok(regex) = Regex::new(regex) else { return Ok(None) };
    let group = "/aws/sagemaker/TrainingJobs";
    let asked = aws.logs.describe_log_streams().log_group_name(group).log_stream_name_prefix(format!("{trial}/")).send().await;
    let streams = asked.map_err(|error| fault::tell("looking for the log", &error))?;
    let Some(stream) = streams.log_streams().first().and_then(|stream| stream.log_stream_name()) else { return Ok(None) };
    let call = aws.logs.get_log_events().log_group_name(group).log_stream_name(stream).start_from_head(true).limit(READ);
    let events = call.send().await.map_err(|error| fault::tell("reading the log", &error))?;
    let lines: Vec<String> = events.events().iter().filter_map(|event| Some(text::fold(event.message()?).0)).collect();
    if lines.iter().any(|line| regex.is_match(line)) {
        aws.memo(MEMO, |heard: &mut HashSet<String>| heard.insert(trial.to_owned()));
        return Ok(None);
    }
    Ok(lines.last().map(|last| (lines.len(), last.clone())))
}
