//! From the form to a running tuning job: resolve, preview, upload, create.

use std::sync::Arc;

use jiff::Timestamp;

use super::check::{check, combinations, listed, resource};
use super::describe::describe;
use super::parent::Parent;
use super::ranges::sound;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::{is_machinery, pairs};
use crate::aws::script_mode::lint::Context;
use crate::aws::script_mode::sourcedir::Package;
use crate::aws::script_mode::{Bounds, Trials, Tuning, names, tuning};
use crate::aws::spending::{self, Spending, Use};
use crate::aws::upload::Plan;
use crate::aws::{Aws, Mode, fault};
use crate::model::show::grouped;
use crate::model::{Extras, Failure, Form, ItemId, Outcome, Preview, Problem, Progress, Recipe, Safe, Verb};
use crate::resource::{lint, staging};

/// A launch, worked out but with nothing sent.
struct Draft {
    tuning: Tuning,
    /// The code to upload, unless it is in S3 already.
    code: Option<(Package, S3Uri)>,
    /// Local data to upload.
    data: Vec<(Plan, S3Uri)>,
    parent: Option<Arc<Parent>>,
    /// How many trials there will be, a grid's included.
    jobs: u128,
}

/// Looks at everything, changes nothing; what cannot be worked out becomes a problem.
pub(super) async fn preview(aws: &Aws, recipe: &Recipe, form: &Form) -> Preview {
    // The unwise is said by the check with each key, and not twice.
    let impossible = check(form).into_iter().filter(|problem| problem.fatal).collect();
    let mut preview = Preview { problems: impossible, ..Preview::default() };
    if !preview.problems.is_empty() {
        return preview;
    }
    let draft = match draft(aws, recipe, form).await {
        Ok(draft) => draft,
        Err(failure) => {
            preview.problems.push(problem_of(&failure));
            return preview;
        }
    };
    let (facts, spending) = facts(aws, &draft).await;
    preview.facts = facts;
    (preview.per_hour, preview.quota, preview.more) = (spending.per_hour, spending.quota, spending.more);
    preview.problems.extend(spending.problems);
    preview.problems.extend(warnings(aws, recipe, &draft).await);
    preview.request = Safe::text(&draft.tuning.json(&aws.sagemaker).await);
    preview
}

/// Uploads what is needed and creates the tuning job.
pub(super) async fn launch(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    staging::sound(check(form))?;
    let draft = draft(aws, recipe, form).await?;
    let tuning = &draft.tuning;
    staging::send(aws, &tuning.trials.output, draft.code, &draft.data, progress).await?;
    progress(Progress { said: Safe::line(&format!("creating {}", tuning.name)), done: 0, total: 0 });
    create(aws, tuning).await?;
    let said = if form.verb == Verb::Clone { "cloned as" } else { "launched" };
    Ok(Outcome::Made { id: ItemId(tuning.name.clone()), said: Safe::line(&format!("{said} {}", tuning.name)) })
}

/// Creates it, or finds that it was created when the answer was lost.
async fn create(aws: &Aws, tuning: &Tuning) -> Result<(), Failure> {
    let Err(error) = tuning.request(&aws.sagemaker).send().await else { return Ok(()) };
    let failure = fault::tell(&format!("launching {}", tuning.name), &error);
    let there = Box::pin(async {
        Ok(describe(aws, &tuning.name).await?.hyper_parameter_tuning_job_arn().unwrap_or_default().to_owned())
    });
    staging::adopt(aws, failure, &tuning.name, &tuning.tags, there).await
}

/// Works the tuning job out from the form.
async fn draft(aws: &Aws, recipe: &Recipe, form: &Form) -> Result<Draft, Failure> {
    let strategy = form.value("strategy").to_owned();
    if strategy == "Hyperband" && aws.mode() == Mode::Local {
        return Err(staging::invalid(
            "strategy: the local region does not run Hyperband",
            "use Bayesian or Random with early stopping here, which stops bad trials as well; AWS runs Hyperband",
        ));
    }
    let now = Timestamp::now();
    let base = names::legal(form.value("name"));
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
    let perhaps = |field: &str| form.value(field).trim().parse::<i32>().ok();
    let raw = script.is_none();
    let lines = sound(form.value("ranges"));
    let written: Vec<&str> = form.value("ranges").lines().collect();
    let bounds = |line: &super::ranges::Line| -> Bounds {
        let text = written.get(line.number - 1).copied().unwrap_or_default();
        let kept = parent.as_ref().and_then(|parent| parent.bounds(text));
        kept.unwrap_or_else(|| line.searched.bounds(raw))
    };
    let ranges = lines.iter().map(|line| (line.name.clone(), bounds(line))).collect();
    let grid = strategy == "Grid";
    let max_jobs = number("max_jobs")?;
    let jobs = if grid {
        combinations(&lines.iter().collect::<Vec<_>>()).unwrap_or_default()
    } else {
        u128::try_from(max_jobs).unwrap_or_default()
    };
    let trials = Trials {
        name: names::job_name(&base, now),
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
        hyperparameters: staging::hyperparameters(form, raw, &travelled),
        script,
        metrics: staging::metrics(form),
        environment: pairs(form.value("environment")),
        extras: if parent.is_some() { Extras::default() } else { recipe.extras.clone() },
    };
    let inherited = parent.as_ref().map(|parent| parent.tags.as_slice()).unwrap_or_default();
    let tuning = Tuning {
        name: tuning::name(&base, now),
        strategy,
        // The service knows how large a grid is, and refuses any other number.
        max_jobs: (!grid).then_some(max_jobs),
        max_parallel_jobs: number("max_parallel_jobs")?,
        max_total_seconds: staging::seconds(form, "max_total").ok(),
        early_stopping: form.value("early_stopping") == "yes",
        objective: form.value("objective").to_owned(),
        maximize: form.value("goal") == "maximize",
        ranges,
        seed: perhaps("seed"),
        target: form.value("target").parse().ok(),
        max_not_improving: perhaps("max_not_improving"),
        warm_start: listed(form.value("warm_start")),
        warm_start_identical: form.value("warm_start_identical") == "yes",
        resource: resource(form),
        tags: staging::tags(recipe, &base, inherited),
        parent: parent.as_ref().map(|parent| Arc::clone(&parent.job)),
        trials,
    };
    Ok(Draft { tuning, code, data, parent, jobs })
}

/// Short, for a narrow column; all the rest is in the request below it.
async fn facts(aws: &Aws, draft: &Draft) -> (Vec<(Safe, Safe)>, Spending) {
    let (tuning, trials) = (&draft.tuning, &draft.tuning.trials);
    let mut facts: Vec<(Safe, Safe)> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.into(), Safe::line(&value)));
    let jobs = i32::try_from(draft.jobs).unwrap_or(i32::MAX);
    let parallel = tuning.max_parallel_jobs.min(jobs).max(1);
    fact("name", tuning.name.clone());
    let count = if tuning.max_jobs.is_none() { "all " } else { "" };
    fact("trials", format!("{count}{}, {parallel} at a time", grouped(u64::try_from(jobs).unwrap_or_default())));
    fact("instances", format!("{} × {} a trial", trials.instance_count, trials.instance_type));
    // All of them as long as they may take, so many at a time.
    let rounds = jobs.div_euclid(parallel) + i32::from(jobs % parallel > 0);
    let longest = rounds.saturating_mul(trials.max_runtime_seconds).min(tuning.max_total_seconds.unwrap_or(i32::MAX));
    let machines = trials.instance_count.saturating_mul(parallel);
    let wanted = if trials.extras.spot { Use::Spot } else { Use::Training };
    let spending = spending::look(aws, wanted, &trials.instance_type, machines, Some(longest)).await;
    facts.extend(spending.facts.iter().cloned());
    facts.extend(staging::facts(draft.code.as_ref(), &draft.data, &trials.output, &trials.image));
    if let Some(source) = &spending.source {
        facts.push(("prices".into(), source.clone()));
    }
    (facts, spending)
}

/// What is possible but unwise.
async fn warnings(aws: &Aws, recipe: &Recipe, draft: &Draft) -> Vec<Problem> {
    let mut found = script(aws, recipe, draft).await;
    let tuning = &draft.tuning;
    let mut warn = |field: &str, message: String| {
        found.push(Problem { field: field.to_owned(), message: Safe::line(&message), fatal: false });
    };
    if let Some(distribution) = &tuning.trials.extras.distribution {
        warn("", format!("distribution '{distribution}' is for training jobs; trials run without it"));
    }
    if let Some(why) = draft.parent.as_ref().and_then(|parent| parent.untold.as_ref()) {
        warn("", format!("the parent's tags are not copied: {why}"));
    }
    for (plan, _) in &draft.data {
        for notice in &plan.notices {
            warn("channels", notice.to_string());
        }
    }
    found
}

/// What the lint says of the code that is sent along.
async fn script(aws: &Aws, recipe: &Recipe, draft: &Draft) -> Vec<Problem> {
    let (tuning, trials) = (&draft.tuning, &draft.tuning.trials);
    let (Some((package, _)), Some(script)) = (&draft.code, &trials.script) else { return Vec::new() };
    let shared = trials.hyperparameters.iter().map(|(name, _)| name).filter(|name| !is_machinery(name));
    let hyperparameters: Vec<String> = shared.chain(tuning.ranges.iter().map(|(name, _)| name)).cloned().collect();
    let channels: Vec<String> = trials.channels.iter().map(|(name, _)| name.clone()).collect();
    let context = Context {
        instance_type: &trials.instance_type,
        instance_count: u32::try_from(trials.instance_count).unwrap_or(1),
        distributed: false,
        replicated: true,
        network_isolation: trials.extras.network_isolation,
        early_stopping: tuning.early_stopping,
        metrics: &trials.metrics,
        objective: Some(&tuning.objective),
        hyperparameters: Some(&hyperparameters),
        channels: Some(&channels),
    };
    lint::problems(aws, recipe, &package.python, &script.program, &context).await
}

/// A failure as a problem of its field.
fn problem_of(failure: &Failure) -> Problem {
    match failure.what.as_str().split_once(": ") {
        Some(("strategy", rest)) => {
            Problem { field: "strategy".to_owned(), message: Safe::line(&format!("{rest}; {}", failure.hint)), fatal: true }
        }
        _ => staging::problem_of(failure),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::aws::scripted::{Answer, Asked, Notes, Scripted};
    use crate::aws::with_order;
    use crate::model::{FailureKind, MetricRule, Range, TuningRecipe};
    use crate::resource::tuning_jobs::form;

    fn text(status: u16, body: &str) -> Answer {
        (status, body.as_bytes().to_vec())
    }

    /// STS, an S3 without buckets, and a service whose first answer to the creation is lost; the second says that the name
    /// is taken, by a tuning job with that order's tag.
    fn lost_answer(owner: &'static str) -> Scripted {
        let creates = AtomicUsize::new(0);
        Scripted::new(move |asked: &Asked| match (asked.operation.as_str(), asked.operation.split_once(' ')) {
            (_, Some(("POST", "/"))) => text(
                200,
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:sts::000000000000:assumed-role/r/s</Arn><UserId>u</UserId><Account>000000000000</Account></GetCallerIdentityResult></GetCallerIdentityResponse>",
            ),
            (_, Some(("HEAD", _))) => text(404, ""),
            (_, Some(("GET", _))) => text(200, "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"),
            (_, Some(_)) => text(200, ""),
            ("CreateHyperParameterTuningJob", _) if creates.fetch_add(1, Ordering::SeqCst) == 0 => (0, Vec::new()),
            ("CreateHyperParameterTuningJob", _) => text(400, r#"{"__type":"ResourceInUse","message":"the name is taken"}"#),
            ("DescribeHyperParameterTuningJob", _) => text(
                200,
                r#"{"HyperParameterTuningJobName":"x","HyperParameterTuningJobArn":"arn:x","HyperParameterTuningJobStatus":"InProgress"}"#,
            ),
            _ => text(200, &json!({ "Tags": [{ "Key": "footplate:order", "Value": owner }] }).to_string()),
        })
    }

    async fn launched(owner: &'static str, notes: &Arc<Notes>) -> Result<Outcome, Failure> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hpo.py"), "print('loss=1')").unwrap();
        let recipe = Recipe {
            root: folder.path().to_owned(),
            name: "digits".into(),
            framework: "pytorch".into(),
            framework_version: "1.9".into(),
            source_dir: ".".into(),
            entry_point: "hpo.py".into(),
            instance_type: "ml.m5.2xlarge".into(),
            metrics: vec![MetricRule { name: "loss".into(), regex: "loss=([0-9.]+)".into() }],
            tuning: Some(TuningRecipe {
                strategy: "Random".into(),
                max_jobs: 4,
                max_parallel_jobs: 2,
                early_stopping: false,
                objective: "loss".into(),
                maximize: false,
                ranges: vec![("lr".into(), Range::Continuous { min: 0.001, max: 0.1, scaling: "Auto".into() })],
                hyperparameters: Vec::new(),
                entry_point: None,
                instance_type: None,
                instance_count: None,
                max_runtime_seconds: None,
                max_total_seconds: None,
                seed: None,
                target: None,
                max_not_improving: None,
                warm_start: Vec::new(),
                warm_start_identical: false,
            }),
            ..Recipe::default()
        };
        let aws = lost_answer(owner).connect(false, Some(notes.clone())).await;
        let form = form::launch(&recipe).unwrap();
        Box::pin(with_order("order-7".to_owned(), launch(&aws, &recipe, &form, &|_| {}))).await
    }

    #[tokio::test]
    async fn after_a_lost_answer_only_our_own_tuning_job_is_adopted() {
        let notes = Arc::new(Notes::default());
        let Outcome::Made { id, .. } = launched("order-7", &notes).await.unwrap() else { panic!("nothing made") };
        let intents: Vec<String> =
            notes.intents.lock().unwrap().iter().map(|intent| format!("{} {}", intent.operation, intent.token)).collect();
        let created = format!("CreateHyperParameterTuningJob {}", id.as_str());
        assert_eq!(intents.iter().filter(|intent| **intent == created).count(), 1, "{intents:?}");
        let stranger = launched("another", &notes).await.unwrap_err();
        assert_eq!(stranger.kind, FailureKind::Conflict);
    }
}
