//! Files to an instance and from it, by hand.

use std::path::PathBuf;

use super::{SPEC, invalid, look};
use crate::aws::Aws;
use crate::model::{
    Failure, FailureKind, Field, FieldKind, Form, ItemId, Order, Outcome, Preview, Problem, Progress, Recipe, Safe, Verb,
    command, show,
};
use crate::resource::line;
use crate::ssh;

fn field(name: &'static str, label: &'static str, help: &'static str, value: &str) -> Field {
    let value = value.to_owned();
    Field { name: name.into(), label: label.into(), help: help.into(), kind: FieldKind::Line, initial: value.clone(), value }
}

/// The form of an upload or a download.
///
/// # Errors
/// When the instance cannot be looked at.
pub(super) async fn form(aws: &Aws, verb: Verb, target: &ItemId) -> Result<Form, Failure> {
    let name = look::name(&look::one(aws, target.as_str()).await?).to_owned();
    let (title, fields) = if verb == Verb::Upload {
        let fields = vec![
            field("source", "from", "A folder or a file on this machine, relative to the project; of FOLDER/ what is in it.", ""),
            field(
                "target",
                "to",
                "A folder on the instance, made if it is missing, when it ends in /; ~ is the home folder.",
                "~/",
            ),
        ];
        (format!("Upload to {name}"), fields)
    } else {
        let fields = vec![
            field(
                "source",
                "from",
                "A folder or a file on the instance, relative to the home folder; of FOLDER/ what is in it.",
                "",
            ),
            field(
                "folder",
                "to folder",
                "A folder on this machine, relative to the project; made if it is missing.",
                "downloads",
            ),
        ];
        (format!("Download from {name}"), fields)
    };
    Ok(Form { title: Safe::line(&title), resource: SPEC.id.to_owned(), verb, parent: Some(target.clone()), fields })
}

/// Instant checks.
pub(super) fn check(form: &Form) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut needs = |field: &str, message: &str| {
        if form.value(field).trim().is_empty() {
            problems.push(Problem { field: field.to_owned(), message: message.into(), fatal: true });
        }
    };
    if form.verb == Verb::Upload {
        needs("source", "a folder or a file on this machine is needed");
        needs("target", "a place on the instance is needed; ~/ is the home folder");
    } else {
        needs("source", "a folder or a file on the instance is needed; ~/ is all that is in the home folder");
        needs("folder", "a folder is needed; '.' is the project's own");
    }
    problems
}

/// Looks at the files here; the instance is not connected to.
pub(super) fn preview(recipe: &Recipe, form: &Form) -> Preview {
    let mut preview = Preview { problems: check(form), ..Preview::default() };
    if !preview.problems.is_empty() {
        return preview;
    }
    if form.verb == Verb::Download {
        let folder = recipe.root.join(form.value("folder").trim());
        preview.facts.push(("to".into(), Safe::line(&folder.display().to_string())));
        return preview;
    }
    match ssh::outgoing(&[source(recipe, form)]) {
        Ok(found) => {
            preview.facts.push(("files".into(), Safe::line(&show::grouped(found.files.len() as u64))));
            preview.facts.push(("size".into(), Safe::line(&show::size(found.bytes()))));
            let mut warn = |said: &str| {
                preview.problems.push(Problem { field: "source".to_owned(), message: Safe::line(said), fatal: false });
            };
            if !found.left_out.is_empty() {
                warn(&format!("{} links or devices will be left out", show::grouped(found.left_out.len() as u64)));
            }
            if let Some(first) = found.unfit.first() {
                let count = show::grouped(found.unfit.len() as u64);
                warn(&format!("{count} will be left out for their names; the first: {} {}", first.place, first.flaw.told()));
            }
        }
        Err(failure) => {
            let message = Safe::text(&failure.to_string());
            preview.problems.push(Problem { field: "source".to_owned(), message, fatal: true });
        }
    }
    preview
}

/// What is to be sent. What ends in a slash keeps it.
fn source(recipe: &Recipe, form: &Form) -> PathBuf {
    recipe.root.join(form.value("source").trim())
}

/// Copies, by a connection of its own.
///
/// # Errors
/// `Refused` in read-only mode; as the way to the instance, the line and the disks say.
pub(super) async fn copy(
    aws: &Aws,
    recipe: &Recipe,
    order: &Order,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    // What is done by way of SSH the guard does not see.
    if order.verb.mutates() && aws.read_only() {
        return Err(Failure::new(FailureKind::Refused, "read-only: nothing may be changed", "restart without --read-only"));
    }
    let Some(instance) = order.targets.first() else {
        return Err(invalid("no instance is named", "select one"));
    };
    if let Some(problem) = check(form).first() {
        return Err(invalid(
            problem.message.as_str(),
            &format!("or copy by command: {}, one side as INSTANCE:PATH", command("cp FROM TO")),
        ));
    }
    let work = async {
        let files = line::files(aws, instance).await?;
        if order.verb == Verb::Upload {
            let to = form.value("target").trim();
            let copied = files.send_all(vec![source(recipe, form)], to, progress).await?;
            return Ok(format!("{} to {to} on {}", copied.told(), instance.as_str()));
        }
        // A folder is what the form asks for.
        let folder = recipe.root.join(form.value("folder").trim()).join("");
        let copied = files.fetch_all(&[form.value("source").trim().to_owned()], &folder, progress).await?;
        Ok(format!("{} to {}", copied.told(), folder.display()))
    };
    match Box::pin(work).await {
        Ok(said) => Ok(Outcome::Said(Safe::line(&said))),
        Err(failure) => Err(line::explained(aws, instance, failure).await),
    }
}
