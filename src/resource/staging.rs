//! What every launch of a script has in common: its code and data on the way to S3, its image, role and tags.

use std::path::PathBuf;

use super::Job;
use super::training_jobs::describe;
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::hyperparameters::{encode, pairs};
use crate::aws::script_mode::sourcedir::{self, Package};
use crate::aws::script_mode::{Script, image};
use crate::aws::upload::{self, Plan};
use crate::aws::{Aws, Mode, bucket, current_order, fault};
use crate::model::show::{grouped, size};
use crate::model::{Failure, FailureKind, Form, MetricRule, Problem, Progress, Recipe, Safe, length};

/// The local region's execution role.
pub(super) const LOCAL_ROLE: &str = "arn:aws:iam::000000000000:role/footplate-local-execution-role";

/// The script as the job names it, and what of it has to be uploaded.
pub(super) type Code = (Option<Script>, Option<(Package, S3Uri)>);

/// Packs the code, unless it is in S3 already; the key has its hash, so that unchanged code is not sent twice.
///
/// # Errors
/// `source_dir: …` or `entry_point: …` when there is nothing to pack.
pub(super) fn code(recipe: &Recipe, source: &str, program: &str, bucket: &str, base: &str) -> Result<Code, Failure> {
    let program = program.to_owned();
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

/// Channels with their places in S3, and what has to be uploaded there.
pub(super) type Channels = (Vec<(String, String)>, Vec<(Plan, S3Uri)>);

/// Where each channel's data will be; `lines` are `name = place` lines. What `kept` says yes to is taken as it is.
///
/// # Errors
/// `channels: …` when there is no such folder or file, or nothing in it.
pub(super) fn channels(
    recipe: &Recipe,
    lines: &str,
    bucket: &str,
    base: &str,
    kept: &dyn Fn(&str, &str) -> bool,
) -> Result<Channels, Failure> {
    let (mut channels, mut data) = (Vec::new(), Vec::new());
    for (name, source) in pairs(lines) {
        if source.starts_with("s3://") || kept(&name, &source) {
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

/// The container image: as given, or by framework, version, Python and instance type.
///
/// # Errors
/// `image: …` when AWS has no such image.
pub(super) fn image(aws: &Aws, form: &Form) -> Result<String, Failure> {
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
///
/// # Errors
/// `role: …` when none is known.
pub(super) async fn role(aws: &Aws, given: &str) -> Result<String, Failure> {
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

/// The tags of what a project makes: its own, what is inherited from a parent, and ours.
pub(super) fn tags(recipe: &Recipe, base: &str, inherited: &[(String, String)]) -> Vec<(String, String)> {
    let mut tags = recipe.tags.clone();
    tags.retain(|(key, _)| !inherited.iter().any(|(known, _)| known == key));
    tags.extend(inherited.iter().cloned());
    tags.push(("footplate:project".to_owned(), tag_value(if recipe.name.is_empty() { base } else { &recipe.name })));
    tags.push(("footplate:order".to_owned(), tag_value(&current_order().unwrap_or_default())));
    tags.retain(|(_, value)| !value.is_empty());
    tags
}

/// Of a thing that is copied: the user's own tags, without those of AWS and of footplate; else why they are not known.
pub(super) async fn tags_of(aws: &Aws, arn: &str) -> (Vec<(String, String)>, Option<Safe>) {
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let asked = aws.sagemaker.list_tags().resource_arn(arn).set_next_token(token.clone()).send().await;
        let page = match asked.map_err(|error| fault::tell("reading the parent's tags", &error)) {
            Ok(page) => page,
            Err(failure) => return (Vec::new(), Some(failure.what)),
        };
        let own = page.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
        found.extend(own.filter(|(key, _)| !key.starts_with("aws:") && !key.starts_with("footplate:")));
        if page.next_token.is_none() || page.next_token == token {
            return (found, None);
        }
        token = page.next_token;
    }
}

/// Refuses a form with mistakes, by the first of them.
///
/// # Errors
/// `Invalid`: a problem with which nothing can be sent.
pub(super) fn sound(problems: Vec<Problem>) -> Result<(), Failure> {
    match problems.into_iter().find(|problem| problem.fatal) {
        Some(problem) => Err(invalid(&format!("{}: {}", problem.field, problem.message), "")),
        None => Ok(()),
    }
}

/// The bucket of the form, else the account's own.
///
/// # Errors
/// When the account is not known.
pub(super) async fn bucket_of(aws: &Aws, form: &Form) -> Result<String, Failure> {
    match form.value("bucket") {
        "" => bucket::default_name(aws).await,
        named => Ok(named.to_owned()),
    }
}

/// The whole number of a field.
///
/// # Errors
/// `Invalid` when it is none.
pub(super) fn whole(form: &Form, field: &str) -> Result<i32, Failure> {
    form.value(field).trim().parse().map_err(|_| invalid(&format!("{field}: not a whole number"), ""))
}

/// The length of time of a field, in seconds.
///
/// # Errors
/// `Invalid` when it is none.
pub(super) fn seconds(form: &Form, field: &str) -> Result<i32, Failure> {
    let read = length::seconds(form.value(field)).and_then(|seconds| i32::try_from(seconds).ok());
    read.ok_or_else(|| invalid(&format!("{field}: not a length of time"), "write e.g. 90m or 24h"))
}

/// The hyperparameters as they travel: as `kept` says that they did before, else as script mode has them, which decodes JSON.
/// Images that bring their own program read values as they are (`raw`).
pub(super) fn hyperparameters(form: &Form, raw: bool, kept: &dyn Fn(&str, &str) -> Option<String>) -> Vec<(String, String)> {
    let travelling = pairs(form.value("hyperparameters")).into_iter().map(|(key, value)| {
        let sent = kept(&key, &value).unwrap_or_else(|| if raw { value } else { encode(&value) });
        (key, sent)
    });
    travelling.collect()
}

/// The rules by which metrics are read from the log.
pub(super) fn metrics(form: &Form) -> Vec<MetricRule> {
    pairs(form.value("metrics")).into_iter().map(|(name, regex)| MetricRule { name, regex }).collect()
}

/// What a launch sends and where it goes, in short: code, data, bucket, image.
pub(super) fn facts(code: Option<&(Package, S3Uri)>, data: &[(Plan, S3Uri)], output: &str, image: &str) -> Vec<(Safe, Safe)> {
    let mut facts: Vec<(Safe, Safe)> = Vec::new();
    let mut fact = |name: &str, value: String| facts.push((name.into(), Safe::line(&value)));
    if let Some((package, _)) = code {
        fact("code", format!("{}, {}", files(package.files), size(package.bytes.len() as u64)));
    }
    for (plan, to) in data {
        fact("data", format!("{}: {}, {}", to.name(), files(plan.files.len()), size(plan.bytes)));
    }
    if let Some(output) = S3Uri::parse(output) {
        fact("bucket", output.bucket);
    }
    fact("image", image.rsplit('/').next().unwrap_or(image).to_owned());
    facts
}

/// Uploads code and data, making the bucket of `output` if it is missing. What is there already is not sent again.
///
/// # Errors
/// As S3 says.
pub(super) async fn send(
    aws: &Aws,
    output: &str,
    code: Option<(Package, S3Uri)>,
    data: &[(Plan, S3Uri)],
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(), Failure> {
    if let Some(bucket) = S3Uri::parse(output).map(|output| output.bucket) {
        bucket::ensure(aws, &bucket).await?;
    }
    if let Some((package, to)) = code
        && !bucket::any(aws, &to).await?
    {
        progress(Progress { said: "uploading the code".into(), done: 0, total: package.bytes.len() as u64 });
        upload::put(aws, &to, package.bytes).await?;
    }
    for (plan, to) in data {
        upload::upload(aws, plan, to, progress).await?;
    }
    Ok(())
}

/// `1 file`, `1,797 files`.
pub(super) fn files(count: usize) -> String {
    if count == 1 { "1 file".to_owned() } else { format!("{} files", grouped(count as u64)) }
}

/// A failure as a problem of the field that it is about.
pub(super) fn problem_of(failure: &Failure) -> Problem {
    // Failures about one field say so first: "source_dir: there is no folder …".
    let (field, message) = match failure.what.as_str().split_once(": ") {
        Some((field @ ("source_dir" | "entry_point" | "channels" | "image" | "role"), rest)) => (field, rest),
        _ => ("", failure.what.as_str()),
    };
    let message = if failure.hint.is_empty() { message.to_owned() } else { format!("{message}; {}", failure.hint) };
    Problem { field: field.to_owned(), message: Safe::text(&message), fatal: true }
}

/// A text as a tag's value: letters, digits, spaces and `_.:/=+-@`, at most 256.
pub(super) fn tag_value(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || " _.:/=+-@".contains(c) { c } else { '_' }).take(256).collect()
}

/// A mistake of the user's.
pub(super) fn invalid(what: &str, hint: &str) -> Failure {
    Failure::new(FailureKind::Invalid, what, hint)
}

/// What a failed creation came to. The name is what makes a repetition harmless: when the answer was lost, the thing of that
/// name with this order's tag is ours, and all is well. `there` asks for the ARN of the thing of that name.
///
/// # Errors
/// The failure itself when nothing of ours was made; when that cannot be found out, with where to look.
pub(super) async fn adopt(
    aws: &Aws,
    failure: Failure,
    name: &str,
    tags: &[(String, String)],
    there: Job<'_, String>,
) -> Result<(), Failure> {
    let perhaps =
        matches!(failure.kind, FailureKind::Conflict | FailureKind::Timeout | FailureKind::Network | FailureKind::Service);
    if !perhaps {
        return Err(failure);
    }
    match is_ours(aws, tags, there).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(failure),
        Err(_) if failure.kind == FailureKind::Conflict => Err(failure),
        Err(_) => Err(Failure::new(
            failure.kind,
            &failure.what,
            format!("it may or may not have started: look for {name} before you launch again"),
        )),
    }
}

/// Whether the thing is there and carries this order's tag.
async fn is_ours(aws: &Aws, tags: &[(String, String)], there: Job<'_, String>) -> Result<bool, Failure> {
    let arn = match there.await {
        Ok(arn) => arn,
        Err(failure) if failure.kind == FailureKind::NotFound => return Ok(false),
        Err(failure) => return Err(failure),
    };
    let asked = aws.sagemaker.list_tags().resource_arn(arn).send().await;
    let found = asked.map_err(|error| fault::tell("reading its tags", &error))?;
    let ours = tags.iter().find(|(key, _)| key == "footplate:order");
    Ok(ours.is_some_and(|(key, value)| found.tags().iter().any(|tag| tag.key() == Some(key) && tag.value() == Some(value))))
}
