//! From a trial to a training job of its own, with the trial's exact hyperparameters.

use std::collections::BTreeSet;

use super::describe::maximizes;
use super::form::put;
use super::trial::{Trial, around, ranked};
use crate::aws::Aws;
use crate::aws::script_mode::hyperparameters::{lines, pairs};
use crate::model::{Failure, Form, ItemId, Recipe, Safe, Verb, command};
use crate::resource::staging::invalid;
use crate::resource::training_jobs::{TrainingJobs, launch_form, line_of_raw};
use crate::resource::{Resource as _, find};

/// The trial that a verb is about: of a tuning job the best, else the one of that name; with its place among the others.
async fn chosen(aws: &Aws, target: &ItemId) -> Result<(Trial, String), Failure> {
    let (job, trials) = around(aws, target.as_str()).await?;
    let tuning = job.hyper_parameter_tuning_job_name().unwrap_or_default();
    let ranked = ranked(&trials, maximizes(&job));
    let place = ranked.iter().position(|trial| trial.name == target.as_str());
    if let Some(place) = place {
        let said = if place == 0 { format!("best of {tuning}") } else { format!("no. {} of {tuning}", place + 1) };
        return Ok((ranked[place].clone(), said));
    }
    // A trial without a result can be trained again, if one asks for it by name.
    if let Some(trial) = trials.iter().find(|trial| trial.name == target.as_str()) {
        return Ok((trial.clone(), format!("{} of {tuning}", trial.name)));
    }
    match ranked.first() {
        Some(best) => Ok(((*best).clone(), format!("best of {tuning}"))),
        None => Err(invalid(
            &format!("no trial of {tuning} has a result"),
            &format!(
                "wait for the first one to complete; where all have failed, their logs say why: {}, then {}",
                command(&format!("ls trials {tuning}")),
                command("logs training-jobs TRIAL")
            ),
        )),
    }
}

/// The form of a training job with the trial's exact values, on one instance.
///
/// When the search ran a script of its own (hpo.py), the project's training script runs with the values that were found;
/// else the very code of the trial runs again, with all of its values.
pub(in crate::resource) async fn promote(aws: &Aws, recipe: &Recipe, target: &ItemId) -> Result<Form, Failure> {
    let (trial, said) = chosen(aws, target).await?;
    let id = ItemId(trial.name.clone());
    let mut form = TrainingJobs.form(aws, recipe, Verb::Clone, Some(&id)).await?;
    let program = form.value("entry_point").to_owned();
    let searches = recipe.tuning.as_ref().and_then(|tuning| tuning.entry_point.as_ref());
    let swapped = searches == Some(&program) && program != recipe.entry_point && !recipe.entry_point.is_empty();
    if swapped {
        for field in launch_form(recipe).fields {
            let value = if field.name == "hyperparameters" { with_values(&field.value, &trial) } else { field.value };
            put(&mut form, &field.name, value);
        }
    } else if !recipe.name.is_empty() && (program == recipe.entry_point) {
        put(&mut form, "name", recipe.name.clone());
    }
    put(&mut form, "instance_count", "1".to_owned());
    form.title = Safe::line(&format!("Train with the {said}"));
    Ok(form)
}

/// The form that puts the trial's model behind an endpoint.
///
/// # Errors
/// When there is no trial with a model.
pub(in crate::resource) async fn deploy(aws: &Aws, recipe: &Recipe, target: &ItemId) -> Result<Form, Failure> {
    let (trial, _) = chosen(aws, target).await?;
    let Some(endpoints) = find("endpoints") else {
        return Err(invalid("this build has no endpoints", ""));
    };
    endpoints.form(aws, recipe, Verb::Deploy, Some(&ItemId(trial.name))).await
}

/// Lines of hyperparameters in which what was searched has the trial's value, to the byte.
fn with_values(text: &str, trial: &Trial) -> String {
    let mut told = BTreeSet::new();
    let mut out: Vec<String> = Vec::new();
    for (key, value) in pairs(text) {
        let found = trial.tuned.iter().find(|(name, _)| *name == key);
        told.extend(found.map(|(name, _)| name.clone()));
        out.push(format!("{key} = {}", found.map_or(value, |(_, raw)| line_of_raw(raw))));
    }
    let rest = trial.tuned.iter().filter(|(name, _)| !told.contains(name));
    out.extend(rest.map(|(name, raw)| format!("{name} = {}", line_of_raw(raw))));
    debug_assert!(lines(&out.join("\n")).all(|line| line.is_ok()));
    out.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::trial::tests::trial;
    use super::*;

    #[test]
    fn what_was_searched_takes_the_place_of_what_the_project_says() {
        let found = with_values("epochs = 60\nbatch = 8\n# no\nseed = 1", &trial(1, None, 0, None));
        assert_eq!(found, "epochs = 60\nbatch = \"32\"\nseed = 1\nlr = 0.002555801302205963");
    }
}
