//! From the form to a running job: resolve, preview, upload, create.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::check::check;
use super::describe::describe;
use super::parent::Parent;
use super::warn::warnings;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::{encode, pairs};
use crate::aws::script_mode::sourcedir::{self, Package};
use crate::aws::script_mode::{Job, Script, image, names};
use crate::aws::upload::{self, Plan};
use crate::aws::{Aws, Mode, bucket, current_order, fault, price};
use crate::model::show::{grouped, money, size};
use crate::model::{Failure, FailureKind, Form, ItemId, MetricRule, Outcome, Preview, Problem, Progress, Recipe, Safe, Verb};

/// The local region's execution role.
const LOCAL_ROLE: &str = "arn:aws:iam::000000000000:role/footplate-local-execution-role";

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
    let mut preview = Preview { problems: check(form), ..Preview::default() };
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
    preview.facts = facts(aws, &draft);
    preview.problems.extend(warnings(aws, &draft).await);
    preview.request = Safe::text(&draft.job.json(&aws.sagemaker).await);
    preview
}

/// Short, for a narrow column; all the rest is in the request below it.
fn facts(aws: &Aws, draft: &Draft) -> Vec<(Safe, Safe)> {
    let job = &draft.job;
    let mut facts: Vec<(Safe, Safe)> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.into(), Safe::line(&value)));
    fact("name", job.name.clone());
    fact("instances", format!("{} × {}", job.instance_count, job.instance_type));
    let price = price::training(aws.region(), &job.instance_type);
    match &price {
        Some(price) => {
            let hour = price.per_hour * f64::from(job.instance_count);
            let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
            fact("price", format!("{}/h{free}", money(hour)));
            let seconds = f64::from(job.max_runtime_seconds);
            fact("at most", format!("{} ({})", money(hour * seconds / 3600.0), length(job.max_runtime_seconds)));
        }
        None => fact("price", format!("not known in {}", aws.region())),
    }
    if let Some((package, _)) = &draft.code {
        fact("code", format!("{}, {}", files(package.files), size(package.bytes.len() as u64)));
    }
    for (plan, to) in &draft.data {
        fact("data", format!("{}: {}, {}", to.name(), files(plan.files.len()), size(plan.bytes)));
    }
    if let Some(output) = S3Uri::parse(&job.output) {
        fact("bucket", output.bucket);
    }
    fact("image", job.image.rsplit('/').next().unwrap_or(&job.image).to_owned());
    let carried = draft.parent.as_ref().map(|parent| parent.carried()).unwrap_or_default();
    if !carried.is_empty() {
        fact("kept", carried.join(", "));
    }
    if let Some(price) = price {
        fact("prices", format!("{}, {}", price.source, price.date));
    }
    facts
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{} files", grouped(count as u64)) }
}

/// `30 min`, `24 h`, `90 s`: as people say a limit.
fn length(seconds: i32) -> String {
    match seconds {
        3600.. if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        3600.. => format!("{:.1} h", f64::from(seconds) / 3600.0),
        60.. if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn problem_of(failure: &Failure) -> Problem {
    // Failures about one field say so first: "source_dir: there is no folder …".
    let (field, message) = match failure.what.as_str().split_once(": ") {
        Some((field @ ("source_dir" | "entry_point" | "channels" | "image" | "role"), rest)) => (field, rest),
        _ => ("", failure.what.as_str()),
    };
    let message = if failure.hint.is_empty() { message.to_owned() } else { format!("{message}; {}", failure.hint) };
    Problem { field: field.to_owned(), message: Safe::line(&message), fatal: true }
}

/// Works the job out from the form.
async fn draft(aws: &Aws, recipe: &Recipe, form: &Form) -> Result<Draft, Failure> {
    let base = names::legal(form.value("name"));
    let name = names::job_name(&base, Timestamp::now());
    let bucket = match form.value("bucket") {
        "" => bucket::default_name(aws).await?,
        named => named.to_owned(),
    };
    let (script, code) = code(recipe, form, &bucket, &base)?;
    let parent = match &form.parent {
        Some(id) if form.verb == Verb::Clone => Some(Parent::read(aws, id).await?),
        _ => None,
    };
    let (channels, data) = channels(recipe, form, &bucket, &base, parent.as_deref())?;
    let number =
        |field: &str| form.value(field).trim().parse::<i32>().map_err(|_| invalid(&format!("{field}: not a whole number"), ""));
    let raw = script.is_none();
    let mut tags = recipe.tags.clone();
    if let Some(parent) = &parent {
        tags.retain(|(key, _)| !parent.tags.iter().any(|(known, _)| known == key));
        tags.extend(parent.tags.iter().cloned());
    }
    tags.push(("footplate:project".to_owned(), tag_value(if recipe.name.is_empty() { &base } else { &recipe.name })));
    tags.push(("footplate:order".to_owned(), tag_value(&current_order().unwrap_or_default())));
    tags.retain(|(_, value)| !value.is_empty());
    let job = Job {
        name,
        role: role(aws, form.value("role")).await?,
        image: image_of(aws, form)?,
        region: aws.region().to_owned(),
        instance_type: form.value("instance_type").to_owned(),
        instance_count: number("instance_count")?,
        volume_gb: number("volume_gb")?,
        max_runtime_seconds: number("max_runtime_seconds")?,
        output: parent
            .as_ref()
            .and_then(|parent| parent.output_in(&bucket))
            .map_or_else(|| format!("s3://{bucket}/"), str::to_owned),
        channels,
        // Images that bring their own program read values as they are; script mode decodes JSON.
        hyperparameters: pairs(form.value("hyperparameters"))
            .into_iter()
            .map(|(key, value)| {
                let kept = parent.as_ref().and_then(|parent| parent.raw(&key, &value)).map(str::to_owned);
                (key, kept.unwrap_or_else(|| if raw { value } else { encode(&value) }))
            })
            .collect(),
        script,
        metrics: pairs(form.value("metrics")).into_iter().map(|(name, regex)| MetricRule { name, regex }).collect(),
        environment: pairs(form.value("environment")),
        tags,
        parent: parent.as_ref().map(|parent| Arc::clone(&parent.job)),
    };
    Ok(Draft { job, code, data, parent })
}

type Code = (Option<Script>, Option<(Package, S3Uri)>);

fn code(recipe: &Recipe, form: &Form, bucket: &str, base: &str) -> Result<Code, Failure> {
    let (source, program) = (form.value("source_dir"), form.value("entry_point").to_owned());
    if program.is_empty() {
        return Ok((None, None));
    }
    if source.starts_with("s3://") {
        return Ok((Some(Script { submit_directory: source.to_owned(), program }), None));
    }
    let package = sourcedir::pack(&recipe.root.join(source), &program)?;
    let to = S3Uri::new(bucket, format!("{base}/source/{}/sourcedir.tar.gz", package.hash));
    Ok((Some(Script { submit_directory: to.to_string(), program }), Some((package, to))))
}

type Channels = (Vec<(String, String)>, Vec<(Plan, S3Uri)>);

fn channels(recipe: &Recipe, form: &Form, bucket: &str, base: &str, parent: Option<&Parent>) -> Result<Channels, Failure> {
    let (mut channels, mut data) = (Vec::new(), Vec::new());
    for (name, source) in pairs(form.value("channels")) {
        if source.starts_with("s3://") || parent.is_some_and(|parent| parent.has_channel(&name, &source)) {
            channels.push((name, source));
            continue;
        }
        let path: PathBuf = recipe.root.join(&source);
        let plan = upload::plan(&path).map_err(|failure| {
            Failure::new(failure.kind, format!("channels: channel '{name}': {}", failure.what), &failure.hint)
        })?;
        if plan.files.is_empty() {
            return Err(invalid(
                &format!("channels: channel '{name}': {} is empty", path.display()),
                "put the data there, or name another folder",
            ));
        }
        let to = S3Uri::new(bucket, format!("{base}/data/{name}/"));
        channels.push((name, to.to_string()));
        data.push((plan, to));
    }
    Ok((channels, data))
}

fn image_of(aws: &Aws, form: &Form) -> Result<String, Failure> {
    match form.value("image") {
        "" => {
            let framework = if form.value("framework").is_empty() { "pytorch" } else { form.value("framework") };
            image::uri(
                framework,
                form.value("framework_version"),
                form.value("py_version"),
                aws.region(),
                form.value("instance_type"),
            )
            .map_err(|sentence| invalid(&format!("image: {sentence}"), ""))
        }
        given => Ok(given.to_owned()),
    }
}

/// The execution role: as given, by name, the local region's, or that of the newest job in the account.
async fn role(aws: &Aws, given: &str) -> Result<String, Failure> {
    if aws.mode() == Mode::Local {
        // The local region knows one role; what means something in the account means this one here.
        return Ok(LOCAL_ROLE.to_owned());
    }
    if given.starts_with("arn:") {
        return Ok(given.to_owned());
    }
    if !given.is_empty() {
        return Ok(format!("arn:aws:iam::{}:role/{given}", aws.identity().await?.account));
    }
    let last = aws
        .sagemaker
        .list_training_jobs()
        .max_results(1)
        .sort_by("CreationTime".into())
        .sort_order("Descending".into())
        .send()
        .await;
    let last = last.map_err(|error| fault::tell("looking for the last job's role", &error))?;
    if let Some(name) = last.training_job_summaries().first().and_then(|job| job.training_job_name())
        && let Some(role) = describe(aws, name).await?.role_arn()
    {
        return Ok(role.to_owned());
    }
    Err(invalid(
        "role: no execution role is known and no earlier job has one",
        "set `role` in footplate.toml to a role that SageMaker may assume",
    ))
}

/// Uploads what is needed and creates the job.
pub(super) async fn launch(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    if let Some(problem) = check(form).into_iter().find(|problem| problem.fatal) {
        return Err(invalid(&format!("{}: {}", problem.field, problem.message), ""));
    }
    let draft = draft(aws, recipe, form).await?;
    if let Some(bucket) = S3Uri::parse(&draft.job.output).map(|output| output.bucket) {
        bucket::ensure(aws, &bucket).await?;
    }
    if let Some((package, to)) = draft.code
        && !bucket::any(aws, &to).await?
    {
        progress(Progress { said: "uploading the code".into(), done: 0, total: package.bytes.len() as u64 });
        upload::put(aws, &to, package.bytes).await?;
    }
    for (plan, to) in &draft.data {
        upload::upload(aws, plan, to, progress).await?;
    }
    progress(Progress { said: Safe::line(&format!("creating {}", draft.job.name)), done: 0, total: 0 });
    create(aws, &draft.job).await?;
    let said = if form.verb == Verb::Clone { "cloned as" } else { "launched" };
    Ok(Outcome::Made { id: ItemId(draft.job.name.clone()), said: Safe::line(&format!("{said} {}", draft.job.name)) })
}

/// Creates the job. The name is what makes a repetition harmless: when the answer was lost, the job of that name with this
/// order's tag is ours.
async fn create(aws: &Aws, job: &Job) -> Result<(), Failure> {
    let Err(error) = job.request(&aws.sagemaker).send().await else { return Ok(()) };
    let failure = fault::tell(&format!("launching {}", job.name), &error);
    let perhaps =
        matches!(failure.kind, FailureKind::Conflict | FailureKind::Timeout | FailureKind::Network | FailureKind::Service);
    if !perhaps {
        return Err(failure);
    }
    match is_ours(aws, job).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(failure),
        Err(_) if failure.kind == FailureKind::Conflict => Err(failure),
        Err(_) => Err(Failure::new(
            failure.kind,
            &failure.what,
            format!("it may or may not have started: look for {} before you launch again", job.name),
        )),
    }
}

/// Whether a job of that name exists and carries this order's tag.
async fn is_ours(aws: &Aws, job: &Job) -> Result<bool, Failure> {
    let there = match describe(aws, &job.name).await {
        Ok(there) => there,
        Err(failure) if failure.kind == FailureKind::NotFound => return Ok(false),
        Err(failure) => return Err(failure),
    };
    let asked = aws.sagemaker.list_tags().resource_arn(there.training_job_arn().unwrap_or_default()).send().await;
    let tags = asked.map_err(|error| fault::tell("reading its tags", &error))?;
    let ours = job.tags.iter().find(|(key, _)| key == "footplate:order");
    Ok(ours.is_some_and(|(key, value)| tags.tags().iter().any(|tag| tag.key() == Some(key) && tag.value() == Some(value))))
}

/// A text as a tag's value: letters, digits, spaces and `_.:/=+-@`, at most 256.
fn tag_value(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || " _.:/=+-@".contains(c) { c } else { '_' }).take(256).collect()
}

fn invalid(what: &str, hint: &str) -> Failure {
    Failure::new(FailureKind::Invalid, what, hint)
}

#[cfg(test)]
mod tests;
