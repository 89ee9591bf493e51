//! From the form to a running job: resolve, preview, upload, create.

use std::sync::Arc;

use jiff::Timestamp;

use super::check::check;
use super::describe::describe;
use super::extras;
use super::parent::Parent;
use super::warn::warnings;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::pairs;
use crate::aws::script_mode::sourcedir::Package;
use crate::aws::script_mode::{Job, names};
use crate::aws::spending::{self, Spending, Use};
use crate::aws::upload::Plan;
use crate::aws::{Aws, fault};
use crate::model::show::money;
use crate::model::{Failure, Form, ItemId, Outcome, Preview, Problem, Progress, Recipe, Safe, Verb};
use crate::resource::staging;

/// A launch, worked out but with nothing sent.
pub(super) struct Draft {
    pub job: Job,
    /// The code to upload, unless it is in S3 already.
    pub code: Option<(Package, S3Uri)>,
    /// Local data to upload.
    pub data: Vec<(Plan, S3Uri)>,
    /// The job that this is a copy of.
    pub parent: Option<Arc<Parent>>,
}

/// Looks at everything, changes nothing; what cannot be worked out becomes a problem.
pub(super) async fn preview(aws: &Aws, recipe: &Recipe, form: &Form) -> Preview {
    let checked = check(form);
    if checked.iter().any(|problem| problem.fatal) {
        return Preview { problems: checked, ..Preview::default() };
    }
    // What is merely unwise the form has said by itself.
    let mut preview = Preview::default();
    let draft = match draft(aws, recipe, form).await {
        Ok(draft) => draft,
        Err(failure) => {
            preview.problems.push(staging::problem_of(&failure));
            return preview;
        }
    };
    let before = before_spending(aws, &draft).await;
    preview.facts = facts(&draft, &before);
    (preview.per_hour, preview.quota, preview.more) = (before.per_hour, before.quota, before.more);
    preview.problems.extend(before.problems);
    preview.problems.extend(warnings(aws, recipe, &draft).await);
    preview.request = Safe::text(&draft.job.json(&aws.sagemaker).await);
    preview
}

/// Price and quota of the run and, if the instances are kept warm after it, of that.
async fn before_spending(aws: &Aws, draft: &Draft) -> Spending {
    let (job, extras) = (&draft.job, &draft.job.extras);
    let wanted = if extras.spot { Use::Spot } else { Use::Training };
    let mut found = spending::look(aws, wanted, &job.instance_type, job.instance_count, Some(job.max_runtime_seconds)).await;
    if let Some(seconds) = extras.keep_alive_seconds.and_then(|seconds| i32::try_from(seconds).ok()) {
        let warm = spending::look(aws, Use::WarmPool, &job.instance_type, job.instance_count, Some(seconds)).await;
        let cost = warm.per_hour.map(|hour| format!(", {} at most", money(hour * f64::from(seconds) / 3600.0)));
        let said = format!("{} after the run{}", spending::length(seconds), cost.unwrap_or_default());
        found.facts.push(("kept warm".into(), Safe::line(&said)));
        // Its quota is its own, and 0 until one asks.
        let problems = warm.problems.into_iter().map(|problem| Problem { field: "keep_alive".to_owned(), ..problem });
        found.problems.extend(problems);
        found.more |= warm.more;
    }
    found
}

/// Short, for a narrow column; all the rest is in the request below it.
fn facts(draft: &Draft, spending: &Spending) -> Vec<(Safe, Safe)> {
    let job = &draft.job;
    let mut facts: Vec<(Safe, Safe)> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.into(), Safe::line(&value)));
    fact("name", job.name.clone());
    fact("instances", format!("{} × {}", job.instance_count, job.instance_type));
    facts.extend(spending.facts.iter().cloned());
    let mut fact = |name: &str, value: String| facts.push((name.into(), Safe::line(&value)));
    if job.extras.spot {
        fact("wait", format!("at most {}, run included", spending::length(job.longest_wait())));
    }
    facts.extend(staging::facts(draft.code.as_ref(), &draft.data, &job.output, &job.image));
    let carried = draft.parent.as_ref().map(|parent| parent.carried()).unwrap_or_default();
    if !carried.is_empty() {
        facts.push(("kept".into(), Safe::line(&carried.join(", "))));
    }
    if let Some(source) = &spending.source {
        facts.push(("prices".into(), source.clone()));
    }
    facts
}

/// Works the job out from the form.
async fn draft(aws: &Aws, recipe: &Recipe, form: &Form) -> Result<Draft, Failure> {
    let base = names::legal(form.value("name"));
    let name = names::job_name(&base, Timestamp::now());
    let bucket = staging::bucket_of(aws, form).await?;
    let (script, code) = staging::code(recipe, form.value("source_dir"), form.value("entry_point"), &bucket, &base)?;
    let parent = match &form.parent {
        Some(id) if form.verb == Verb::Clone => Some(Parent::read(aws, id).await?),
        _ => None,
    };
    let kept = |name: &str, source: &str| parent.as_ref().is_some_and(|parent| parent.has_channel(name, source));
    let travelled = |key: &str, value: &str| parent.as_ref()?.raw(key, value).map(str::to_owned);
    let (channels, data) = staging::channels(recipe, form.value("channels"), &bucket, &base, &kept)?;
    let number = |field: &str| staging::whole(form, field);
    let inherited = parent.as_ref().map(|parent| parent.tags.as_slice()).unwrap_or_default();
    let tags = staging::tags(recipe, &base, inherited);
    let job = Job {
        name,
        role: staging::role(aws, form.value("role")).await?,
        image: staging::image(aws, form)?,
        region: aws.region().to_owned(),
        instance_type: form.value("instance_type").to_owned(),
        instance_count: number("instance_count")?,
        volume_gb: number("volume_gb")?,
        max_runtime_seconds: staging::seconds(form, "max_runtime")?,
        output: parent
            .as_ref()
            .and_then(|parent| parent.output_in(&bucket))
            .map_or_else(|| format!("s3://{bucket}/"), str::to_owned),
        channels,
        hyperparameters: staging::hyperparameters(form, script.is_none(), &travelled),
        script,
        metrics: staging::metrics(form),
        environment: pairs(form.value("environment")),
        tags,
        extras: extras::read(form),
        parent: parent.as_ref().map(|parent| Arc::clone(&parent.job)),
    };
    Ok(Draft { job, code, data, parent })
}

/// Uploads what is needed and creates the job.
pub(super) async fn launch(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    staging::sound(check(form))?;
    let draft = draft(aws, recipe, form).await?;
    staging::send(aws, &draft.job.output, draft.code, &draft.data, progress).await?;
    progress(Progress { said: Safe::line(&format!("creating {}", draft.job.name)), done: 0, total: 0 });
    create(aws, &draft.job).await?;
    let said = if form.verb == Verb::Clone { "cloned as" } else { "launched" };
    Ok(Outcome::Made { id: ItemId(draft.job.name.clone()), said: Safe::line(&format!("{said} {}", draft.job.name)) })
}

/// Creates it, or finds that it was created when the answer was lost.
async fn create(aws: &Aws, job: &Job) -> Result<(), Failure> {
    let Err(error) = job.request(&aws.sagemaker).send().await else { return Ok(()) };
    let failure = fault::tell(&format!("launching {}", job.name), &error);
    let there = Box::pin(async { Ok(describe(aws, &job.name).await?.training_job_arn().unwrap_or_default().to_owned()) });
    staging::adopt(aws, failure, &job.name, &job.tags, there).await
}

#[cfg(test)]
mod tests;
