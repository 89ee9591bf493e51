//! The form of a launch, filled from `[instance.run]`; and what can be said about it without asking anybody.

use std::path::Path;

use super::SPEC;
use super::data::Source;
use super::place::{fresh, is_name, stays_inside};
use crate::aws::script_mode::hyperparameters::{line_of, lines};
use crate::model::{Failure, FailureKind, Field, FieldKind, Form, ItemId, Preview, Problem, Recipe, RunRecipe, Safe, Verb, show};

/// Most bytes of a script that is edited here; the code beside it may be larger.
const SCRIPT: usize = 1 << 20;

/// The form: what the project says, on this instance.
///
/// # Errors
/// When the script cannot be read.
pub(super) fn launch(recipe: &Recipe, instance: &ItemId) -> Result<Form, Failure> {
    let run = recipe.instance.as_ref().map(|instance| instance.run.clone());
    let run = run.unwrap_or_else(|| RunRecipe::usual(&recipe.entry_point));
    let arguments = run.arguments.iter().map(|(name, value)| format!("{name} = {}", line_of(value)));
    let text = if run.script.is_empty() { String::new() } else { script(recipe, &run.script)? };
    let field = |name: &'static str, label: &'static str, kind: FieldKind, value: String, help: &'static str| Field {
        name: name.into(),
        label: label.into(),
        help: help.into(),
        kind,
        initial: value.clone(),
        value,
    };
    let (line, area) = (|| FieldKind::Line, || FieldKind::Area);
    let fields = vec![
        field(
            "name",
            "name",
            line(),
            fresh(&recipe.name, jiff::Timestamp::now()),
            "The run's name on the instance. The same name again goes on with a launch that broke off.",
        ),
        field(
            "data",
            "data",
            line(),
            run.data.unwrap_or_default(),
            "https://…, s3://…, or a folder or file of the project; a .zip or .tar.gz is unpacked where the script runs. Empty: none.",
        ),
        field(
            "folders",
            "folders",
            area(),
            run.folders.join("\n"),
            "Folders that the script needs, one a line, e.g. TrainedModels.",
        ),
        field(
            "script",
            "script",
            line(),
            run.script,
            "The script, relative to the source folder; what lies beside it comes along.",
        ),
        field(
            "script_text",
            "script's text",
            area(),
            text,
            "The script's text, as it is put on the instance. Changes count for this run only: the file stays as it is.",
        ),
        field(
            "arguments",
            "arguments",
            area(),
            arguments.collect::<Vec<_>>().join("\n"),
            "One `name = value` a line: each becomes --name value.",
        ),
        field(
            "environment",
            "environment",
            line(),
            run.environment,
            "The conda or virtual environment, e.g. pytorch; a path; or `system` for python3.",
        ),
        field(
            "results",
            "results",
            area(),
            run.results.join("\n"),
            "What is fetched when it is over, one path a line, relative to where the script runs.",
        ),
    ];
    let title = Safe::line(&format!("Train on {}", instance.as_str()));
    Ok(Form { title, resource: SPEC.id.to_owned(), verb: Verb::Launch, parent: Some(instance.clone()), fields })
}

/// The form of fetching results.
pub(super) fn download(id: &ItemId, name: &str) -> Form {
    let value = format!("results/{name}");
    let field = Field {
        name: "folder".into(),
        label: "to folder".into(),
        help: "A folder on this machine, relative to the project; files of the same name are replaced.".into(),
        kind: FieldKind::Line,
        initial: value.clone(),
        value,
    };
    let title = Safe::line(&format!("Fetch the results of {name}"));
    Form { title, resource: SPEC.id.to_owned(), verb: Verb::Download, parent: Some(id.clone()), fields: vec![field] }
}

/// The text of the script to put there: as edited, or that of another file when only the file's name was changed.
///
/// # Errors
/// When that file cannot be read.
pub(super) fn text_of(recipe: &Recipe, form: &Form) -> Result<String, Failure> {
    if changed(form, "script") && !changed(form, "script_text") {
        script(recipe, form.value("script").trim())
    } else {
        Ok(form.value("script_text").to_owned())
    }
}

/// The file whose text the form shows, where another one is named as the script.
fn other_file(form: &Form) -> Option<&str> {
    let shown = form.fields.iter().find(|field| field.name == "script_text").is_some_and(|field| !field.initial.is_empty());
    let initial = form.fields.iter().find(|field| field.name == "script").map(|field| field.initial.as_str());
    initial.filter(|_| shown && changed(form, "script"))
}

fn changed(form: &Form, name: &str) -> bool {
    form.fields.iter().any(|field| field.name == name && field.value != field.initial)
}

fn script(recipe: &Recipe, file: &str) -> Result<String, Failure> {
    let path = recipe.root.join(&recipe.source_dir).join(file);
    let wrong = |why: String| {
        let hint = "name the script in footplate.toml: [instance.run] script = \"…\", relative to source_dir";
        Failure::new(FailureKind::Invalid, format!("script: {}: {why}", path.display()), hint)
    };
    let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => wrong("there is no such file".to_owned()),
        _ => wrong(error.to_string()),
    })?;
    if bytes.len() > SCRIPT {
        return Err(wrong(format!("it has {}, which is no script", show::size(bytes.len() as u64))));
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8 text".to_owned()))
}

/// One path a line, without empty lines.
pub(super) fn paths(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| line.trim_end_matches('/').to_owned()).collect()
}

/// Instant checks.
pub(super) fn check(form: &Form) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut wrong = |field: &str, message: &str| {
        problems.push(Problem { field: field.to_owned(), message: Safe::line(message), fatal: true });
    };
    if form.verb == Verb::Download {
        if form.value("folder").trim().is_empty() {
            wrong("folder", "a folder is needed; '.' is the project's own");
        }
        return problems;
    }
    if !is_name(form.value("name").trim()) {
        wrong(
            "name",
            "a run's name has letters, digits, '-', '_' and '.', begins with a letter or digit, and has at most 63 of them",
        );
    }
    let data = form.value("data").trim();
    if !data.is_empty()
        && let Err(message) = Source::parse(data, Path::new("/"))
    {
        wrong("data", &message);
    }
    for field in ["folders", "results"] {
        if let Some(path) = paths(form.value(field)).iter().find(|path| !stays_inside(path)) {
            wrong(
                field,
                &format!("'{path}' leaves the folder where the script runs; write it relative to that, e.g. TrainedModels"),
            );
        }
    }
    let file = form.value("script").trim();
    if !stays_inside(file) {
        wrong("script", "name the script, relative to the source folder, e.g. solution.py");
    }
    if let Some(Err((number, _))) = lines(form.value("arguments")).find(Result::is_err) {
        wrong("arguments", &format!("line {number} has no '='; write name = value"));
    }
    if form.value("environment").trim().is_empty() {
        wrong("environment", "name the environment, e.g. pytorch; `system` is the instance's own python3");
    }
    if let Some(other) = other_file(form) {
        let (fatal, message) = if changed(form, "script_text") {
            (
                true,
                format!(
                    "this is {other} with your changes; name {other} as the script, or take the changes back and make them in {file}"
                ),
            )
        } else {
            (false, format!("what shows is {other}; what runs is {file}, as the file is"))
        };
        problems.push(Problem { field: "script_text".to_owned(), message: Safe::line(&message), fatal });
    }
    problems
}

/// Looks at the files of the project; asks nobody.
pub(super) fn preview(recipe: &Recipe, form: &Form) -> Preview {
    let mut preview = Preview { problems: check(form), ..Preview::default() };
    if form.verb == Verb::Download {
        preview.facts.push(("to".into(), Safe::line(&recipe.root.join(form.value("folder")).display().to_string())));
        return preview;
    }
    let sound = |field: &str| !preview.problems.iter().any(|problem| problem.fatal && problem.field == field);
    let (script_is_sound, data_is_sound) = (sound("script") && sound("script_text"), sound("data"));
    let mut fatal = |field: &str, failure: &Failure| {
        // The form says the field's name itself.
        let (text, named) = (failure.to_string(), format!("{field}: "));
        let message = Safe::text(text.strip_prefix(&named).unwrap_or(&text));
        preview.problems.push(Problem { field: field.to_owned(), message, fatal: true });
    };
    match text_of(recipe, form) {
        _ if !script_is_sound => {}
        Ok(text) if text.trim().is_empty() => {
            fatal("script_text", &Failure::new(FailureKind::Invalid, "the script is empty", "write it, or name another file"));
        }
        Ok(_) => {}
        Err(failure) => fatal("script", &failure),
    }
    let data = form.value("data").trim();
    let mut said = "none".to_owned();
    if !data.is_empty() && data_is_sound {
        match Source::parse(data, &recipe.root)
            .map_err(|message| Failure::new(FailureKind::Invalid, message, ""))
            .and_then(|source| source.look())
        {
            Ok(look) => said = look,
            Err(failure) => fatal("data", &failure),
        }
    }
    if preview.problems.iter().any(|problem| problem.fatal) {
        return preview;
    }
    preview.facts.push(("data".into(), Safe::line(&said)));
    let command = format!("{} {}", form.value("script").trim(), arguments(form).join(" "));
    preview.facts.push(("runs".into(), Safe::line(&format!("{command}, detached: it survives the connection and footplate"))));
    preview.facts.push(("there".into(), Safe::line(&format!("~/footplate/runs/{}/", form.value("name").trim()))));
    preview.request = Safe::text(&format!(
        "python {command}\nin ~/footplate/runs/{}/code, environment {}",
        form.value("name").trim(),
        form.value("environment").trim()
    ));
    preview
}

/// The script's arguments, as its containers would pass hyperparameters (`sagemaker-training-toolkit`, `mapping.py`): `--name
/// value`, or `-n value` for one letter; JSON's `true` as Python's `True`. Without a value it is a flag.
pub(super) fn arguments(form: &Form) -> Vec<String> {
    use crate::aws::script_mode::hyperparameters::{decode, encode, pairs};
    let words = pairs(form.value("arguments")).into_iter().flat_map(|(name, value)| {
        let dashed = if name.starts_with('-') {
            name
        } else if name.len() == 1 {
            format!("-{name}")
        } else {
            format!("--{name}")
        };
        let value = match value.as_str() {
            "" => None,
            "true" => Some("True".to_owned()),
            "false" => Some("False".to_owned()),
            other => Some(decode(&encode(other))),
        };
        std::iter::once(dashed).chain(value)
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project() -> (tempfile::TempDir, Recipe, Form) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("solution.py", "print(1)\n"), ("other.py", "print(2)\n")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let recipe = Recipe {
            root: folder.path().to_owned(),
            source_dir: ".".into(),
            entry_point: "solution.py".into(),
            ..Recipe::default()
        };
        let form = launch(&recipe, &ItemId("i-1".into())).unwrap();
        (folder, recipe, form)
    }

    fn set(form: &mut Form, name: &str, value: &str) {
        value.clone_into(&mut form.fields.iter_mut().find(|field| field.name == name).unwrap().value);
    }

    #[test]
    fn the_text_of_one_script_is_not_sent_as_another() {
        let (_folder, recipe, mut form) = project();
        assert_eq!(check(&form), []);
        set(&mut form, "script", "other.py");
        let [note] = &check(&form)[..] else { panic!("{:?}", check(&form)) };
        assert_eq!(
            (note.fatal, note.message.as_str()),
            (false, "what shows is solution.py; what runs is other.py, as the file is")
        );
        assert_eq!(text_of(&recipe, &form).unwrap(), "print(2)\n");
        set(&mut form, "script_text", "print(1)\n# edited\n");
        let [problem] = &check(&form)[..] else { panic!("{:?}", check(&form)) };
        assert!(problem.fatal && problem.message.as_str().starts_with("this is solution.py with your changes"), "{problem:?}");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let (_folder, recipe, mut form) = project();
        for (name, value) in [("name", "a/b"), ("script", "nope.py"), ("data", "gone.zip"), ("environment", "")] {
            set(&mut form, name, value);
        }
        let problems = preview(&recipe, &form).problems;
        let fatal: Vec<&str> = problems.iter().filter(|problem| problem.fatal).map(|problem| problem.field.as_str()).collect();
        assert_eq!(fatal, ["name", "environment", "script", "data"]);
    }
}
