//! What is possible but unwise about a launch, or cannot work: found by looking at files, S3 and the parent.

use super::launch::Draft;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::distribution;
use crate::aws::script_mode::hyperparameters::is_machinery;
use crate::aws::script_mode::lint::Context;
use crate::aws::{Aws, Mode, bucket};
use crate::model::{Problem, Recipe, Safe};
use crate::resource::lint;

/// Words in the names of hyperparameters by which hosts find each other.
const DISTRIBUTED: &[&str] = &["dist", "backend", "horovod", "mpi", "ddp", "nproc", "world_size", "torchrun", "deepspeed"];

pub(super) async fn warnings(aws: &Aws, recipe: &Recipe, draft: &Draft) -> Vec<Problem> {
    let mut found = Vec::new();
    found.extend(not_here(aws, draft));
    found.extend(script(aws, recipe, draft).await);
    found.extend(not_carried(draft));
    found.extend(stale_data(aws, draft).await);
    found.extend(missing_data(aws, draft).await);
    found
}

fn warning(field: &str, message: &str) -> Problem {
    Problem { field: field.to_owned(), message: Safe::line(message), fatal: false }
}

/// What the local region does not have and a job would fail of.
fn not_here(aws: &Aws, draft: &Draft) -> Option<Problem> {
    let name =
        draft.job.extras.distribution.as_deref().filter(|name| aws.mode() == Mode::Local && ["mpi", "smddp"].contains(name))?;
    let message = format!("{name} exists in AWS's containers only, not on the local region; here choose torchrun or none");
    Some(Problem { fatal: true, ..warning("distribution", &message) })
}

/// What the lint says of the code that is sent along; of code that is in S3 already only that several hosts may repeat each other.
async fn script(aws: &Aws, recipe: &Recipe, draft: &Draft) -> Vec<Problem> {
    let job = &draft.job;
    let (Some((package, _)), Some(script)) = (&draft.code, &job.script) else {
        return many_hosts(draft).into_iter().collect();
    };
    let hyperparameters: Vec<String> =
        job.hyperparameters.iter().map(|(name, _)| name).filter(|name| !is_machinery(name)).cloned().collect();
    let channels: Vec<String> = job.channels.iter().map(|(name, _)| name.clone()).collect();
    let context = Context {
        instance_type: &job.instance_type,
        instance_count: u32::try_from(job.instance_count).unwrap_or(1),
        distributed: is_divided(draft),
        replicated: !job.is_sharded(),
        network_isolation: job.extras.network_isolation,
        early_stopping: false,
        metrics: &job.metrics,
        objective: None,
        hyperparameters: Some(&hyperparameters),
        channels: Some(&channels),
    };
    lint::problems(aws, recipe, &package.python, &script.program, &context).await
}

/// Something divides the work among the hosts: a launcher, or a hyperparameter that speaks of it.
fn is_divided(draft: &Draft) -> bool {
    let job = &draft.job;
    let parents = job.parent.as_ref().and_then(|parent| parent.hyper_parameters()).into_iter().flatten();
    // What started the parent's script is a field of the form now.
    let parents = parents.map(|(name, _)| name).filter(|name| !distribution::is_key(name));
    let mut names = job.hyperparameters.iter().map(|(name, _)| name).chain(parents);
    let divided = names.any(|name| DISTRIBUTED.iter().any(|word| name.to_lowercase().contains(word)));
    divided || job.extras.distribution.is_some()
}

/// Several hosts are worth their money only when something divides the work among them, or the data comes in parts.
fn many_hosts(draft: &Draft) -> Option<Problem> {
    let count = draft.job.instance_count;
    if count < 2 || is_divided(draft) || draft.job.is_sharded() {
        return None;
    }
    let message = format!(
        "{count} hosts run the same script and nothing tells it to divide the work: this may cost {count} times as much for the same result; choose a launcher, or one instance"
    );
    Some(warning("instance_count", &message))
}

fn not_carried(draft: &Draft) -> Vec<Problem> {
    let mut found = Vec::new();
    let Some(parent) = &draft.parent else { return found };
    if let Some(why) = &parent.untold {
        found.push(warning("", &format!("the parent's tags are not copied: {why}")));
    }
    if let Some(resources) = parent.job.resource_config() {
        if !resources.instance_groups().is_empty() {
            found.push(warning("instance_type", "the parent ran on groups of different instances; the copy runs on one type"));
        }
        let kind = resources.instance_type().map_or("", |kind| kind.as_str());
        if resources.training_plan_arn().is_some() && kind != draft.job.instance_type {
            found.push(warning("instance_type", "the parent's training plan is for another type; the copy runs without it"));
        }
    }
    found
}

async fn stale_data(aws: &Aws, draft: &Draft) -> Vec<Problem> {
    let mut found = Vec::new();
    for (plan, to) in &draft.data {
        found.extend(plan.notices.iter().map(|notice| warning("channels", notice.as_str())));
        // A look only: if it fails, the upload will say so.
        let there = bucket::objects(aws, to).await.unwrap_or_default();
        let stale = there.iter().filter(|object| !plan.files.iter().any(|file| to.join(&file.name).key == object.key)).count();
        if stale > 0 {
            let message = format!("{stale} objects at {to} are not in the local folder (any more) and will be trained on too");
            found.push(warning("channels", &message));
        }
    }
    found
}

async fn missing_data(aws: &Aws, draft: &Draft) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, uri) in draft.job.channels.iter().filter(|(_, uri)| !draft.data.iter().any(|(_, to)| to.to_string() == *uri)) {
        if let Some(place) = S3Uri::parse(uri)
            && bucket::any(aws, &place).await.is_ok_and(|any| !any)
        {
            let message = format!("channel '{name}': there is nothing at {uri}");
            found.push(Problem { fatal: true, ..warning("channels", &message) });
        }
    }
    found
}
