//! The forms of uploading and downloading.

use std::path::PathBuf;

use super::{SPEC, address, invalid};
use crate::aws::s3_uri::S3Uri;
use crate::aws::{Aws, bucket, script_mode, upload as files};
use crate::model::{Failure, Field, FieldKind, Form, ItemId, Preview, Problem, Recipe, Safe, Verb, show};

/// Where an upload's form leads.
///
/// # Errors
/// When that is no S3 address.
pub(super) fn target_of(form: &Form) -> Result<S3Uri, Failure> {
    address(&ItemId(form.value("target").to_owned()))
}

fn field(name: &'static str, label: &'static str, help: &'static str, value: String) -> Field {
    Field::of(name, label, FieldKind::Line, value, help)
}

/// The form of an upload, filled from the project; into the folder that is open, if one is.
pub(super) async fn upload(aws: &Aws, recipe: &Recipe, target: Option<&ItemId>) -> Result<Form, Failure> {
    let channel = recipe.channels.iter().find(|channel| !channel.source.starts_with("s3://"));
    let target = match target {
        Some(id) if id.as_str().ends_with('/') => id.as_str().to_owned(),
        _ => {
            let bucket = match &recipe.bucket {
                Some(bucket) => bucket.clone(),
                None => bucket::default_name(aws).await?,
            };
            let name = channel.map_or("data/", |channel| channel.name.as_str());
            // Where a launch looks for the same channel, so that nothing is sent twice.
            let base = script_mode::names::legal(&recipe.name);
            if channel.is_some() && !base.is_empty() {
                format!("s3://{bucket}/{base}/data/{name}/")
            } else {
                format!("s3://{bucket}/data/")
            }
        }
    };
    let source = channel.map(|channel| channel.source.clone()).unwrap_or_default();
    let fields = vec![
        field("source", "from", "A folder, a .zip (unpacked on the way) or a file; relative to the project.", source),
        field("target", "to", "s3://bucket/folder/; the bucket is made if it is missing.", target),
    ];
    Ok(Form { title: "upload data".into(), resource: SPEC.id.to_owned(), verb: Verb::Upload, parent: None, fields })
}

/// The form of a download.
pub(super) fn download(from: &S3Uri) -> Form {
    let fields = vec![field(
        "folder",
        "to folder",
        "A folder on this machine, relative to the project; files of the same name are replaced.",
        "downloads".to_owned(),
    )];
    let title = Safe::line(&format!("download {from}"));
    Form { title, resource: SPEC.id.to_owned(), verb: Verb::Download, parent: Some(ItemId(from.to_string())), fields }
}

/// Instant checks: is anything missing, and is the address one.
pub(super) fn check(form: &Form) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut needs = |field: &str, sound: bool, message: &str| {
        if !sound {
            problems.push(Problem { field: field.to_owned(), message: message.into(), fatal: true });
        }
    };
    match form.verb {
        Verb::Upload => {
            needs("source", !form.value("source").trim().is_empty(), "a folder, a .zip or a file is needed");
            needs("target", S3Uri::parse(form.value("target")).is_some(), "no S3 address; it looks like s3://bucket/folder/");
        }
        _ => needs("folder", !form.value("folder").trim().is_empty(), "a folder is needed; '.' is the project's own"),
    }
    problems
}

/// Looks at the files and the account; changes nothing.
pub(super) async fn preview(aws: &Aws, recipe: &Recipe, form: &Form) -> Preview {
    let mut preview = Preview { problems: check(form), ..Preview::default() };
    if preview.problems.is_empty()
        && let Err(failure) = look(aws, recipe, form, &mut preview).await
    {
        let field = if form.verb == Verb::Upload { "source" } else { "" };
        let message = Safe::text(&failure.to_string());
        preview.problems.push(Problem { field: field.to_owned(), message, fatal: true });
    }
    preview
}

async fn look(aws: &Aws, recipe: &Recipe, form: &Form, preview: &mut Preview) -> Result<(), Failure> {
    if form.verb == Verb::Download {
        let from = form.parent.as_ref().map(address).transpose()?;
        let objects = match &from {
            Some(from) => bucket::objects(aws, from).await?,
            None => Vec::new(),
        };
        preview.facts.push(("objects".into(), Safe::line(&show::grouped(objects.len() as u64))));
        preview.facts.push(("size".into(), Safe::line(&show::size(objects.iter().map(|object| object.size).sum()))));
        preview.facts.push(("to".into(), Safe::line(&recipe.root.join(form.value("folder")).display().to_string())));
        return Ok(());
    }
    let target = target_of(form)?;
    let plan = files::plan(&PathBuf::from(&recipe.root).join(form.value("source")))?;
    if plan.files.is_empty() {
        return Err(invalid("there are no files in it"));
    }
    let there = bucket::exists(aws, &target.bucket).await?;
    preview.facts.push(("files".into(), Safe::line(&show::grouped(plan.files.len() as u64))));
    preview.facts.push(("size".into(), Safe::line(&show::size(plan.bytes))));
    preview.facts.push(("bucket".into(), if there { "exists, and is yours".into() } else { "will be made".into() }));
    preview.problems.extend(plan.notices.iter().map(|notice| Problem {
        field: "source".to_owned(),
        message: notice.clone(),
        fatal: false,
    }));
    preview.request = Safe::line(&format!("PutObject {target}… for {} files", plan.files.len()));
    Ok(())
}
