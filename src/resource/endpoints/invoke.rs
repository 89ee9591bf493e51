//! Asking an endpoint: what is sent, what comes back, and what the container says when it fails.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Instant;

use aws_sdk_sagemakerruntime::operation::invoke_endpoint::InvokeEndpointError;
use aws_sdk_sagemakerruntime::primitives::Blob;
use jiff::Timestamp;

use super::answer::{Best, best, readable};
use super::calls::{Calls, millis};
use super::{form, trace};
use crate::aws::{Aws, fault};
use crate::model::show::size;
use crate::model::{Failure, FailureKind, Form, Outcome, Preview, Problem, Recipe, Safe, command};
use crate::resource::staging::invalid;

/// The most bytes of a request (developer guide: 6 MiB).
pub(super) const LIMIT: u64 = 6_291_456;

/// What is sent.
#[derive(Clone, Debug)]
pub struct Request {
    pub body: Vec<u8>,
    pub content_type: String,
    pub accept: String,
    /// A production variant; absent: one by their weights.
    pub variant: Option<String>,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answered {
    pub endpoint: String,
    pub body: Vec<u8>,
    pub content_type: String,
    /// The production variant that answered.
    pub variant: String,
    /// From here, the way included.
    pub millis: f64,
    /// The last calls, this one among them, in words; empty for the first one.
    pub lately: String,
    pub best: Option<Best>,
    /// Why no class is named although the project has classes.
    pub unfit: Option<String>,
}

impl Answered {
    /// The class with its share: `7, 98 %`.
    #[must_use]
    pub fn class(&self) -> Option<String> {
        self.best.as_ref().map(|best| format!("{}, {:.1} %", best.class, best.share * 100.0))
    }

    /// The body made readable.
    #[must_use]
    pub fn readable(&self) -> String {
        readable(&self.body)
    }
}

/// Fills a request from the form. Blocks while the file is read.
///
/// # Errors
/// `body: …` when the file cannot be read or is larger than an endpoint takes.
pub fn request(recipe: &Recipe, form: &Form) -> Result<Request, Failure> {
    let file = form.value("body").trim();
    let body = if file.is_empty() { form.value("text").as_bytes().to_vec() } else { read(&recipe.root.join(file))? };
    if body.len() as u64 > LIMIT {
        return Err(too_large(&size(body.len() as u64)));
    }
    let given = |name: &str| Some(form.value(name).trim().to_owned()).filter(|value| !value.is_empty());
    Ok(Request {
        content_type: given("content_type").unwrap_or_else(|| content_type(recipe, file)),
        accept: given("accept").unwrap_or_else(|| form::served(recipe).accept),
        variant: given("variant"),
        body,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: std::io::Error| {
        invalid(&format!("body: {} cannot be read: {error}", path.display()), "name a file that is there")
    };
    let mut body = Vec::new();
    // One byte more than may be sent tells that it is too many; how many there are does not matter.
    std::fs::File::open(path).map_err(unreadable)?.take(LIMIT + 1).read_to_end(&mut body).map_err(unreadable)?;
    if body.len() as u64 > LIMIT {
        let all = std::fs::metadata(path).ok().map(|file| file.len()).filter(|bytes| *bytes > LIMIT);
        return Err(too_large(&all.map_or_else(|| "more than that".to_owned(), size)));
    }
    Ok(body)
}

fn too_large(what: &str) -> Failure {
    invalid(
        &format!("body: an endpoint takes at most {LIMIT} bytes (6 MiB) in one call, and this is {what}"),
        "send a smaller one, e.g. the image scaled to what the model reads",
    )
}

/// By the file's ending, else what the project says.
pub(super) fn content_type(recipe: &Recipe, file: &str) -> String {
    let ending = Path::new(file).extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg".to_owned(),
        "png" => "image/png".to_owned(),
        "json" => "application/json".to_owned(),
        "csv" => "text/csv".to_owned(),
        "npy" => "application/x-npy".to_owned(),
        _ => form::served(recipe).content_type,
    }
}

/// Calls the endpoint once.
///
/// # Errors
/// As the service says; for an error of the model with the traceback from its log.
pub async fn call(aws: &Aws, recipe: &Recipe, endpoint: &str, request: &Request) -> Result<Answered, Failure> {
    let call = aws.runtime.invoke_endpoint().endpoint_name(endpoint).content_type(&request.content_type).accept(&request.accept);
    let call = call.set_target_variant(request.variant.clone()).body(Blob::new(request.body.clone()));
    let begun = Instant::now();
    let answer = match call.send().await {
        Ok(answer) => answer,
        Err(error) => {
            let model = match error.as_service_error() {
                Some(InvokeEndpointError::ModelError(model)) => Some(model.clone()),
                _ => None,
            };
            let failure = fault::tell(&format!("invoking {endpoint}"), &error);
            return Err(match model {
                Some(model) => model_error(aws, endpoint, &model).await,
                None => hinted(endpoint, failure),
            });
        }
    };
    let took = begun.elapsed().as_secs_f64() * 1000.0;
    let calls = Calls::add(aws, endpoint, Timestamp::now(), took);
    let body = answer.body.map(Blob::into_inner).unwrap_or_default();
    let (best, unfit) = match best(&body, &form::served(recipe).classes) {
        Ok(best) => (best, None),
        Err(unfit) => (None, Some(unfit)),
    };
    Ok(Answered {
        endpoint: endpoint.to_owned(),
        body,
        content_type: answer.content_type.unwrap_or_default(),
        variant: answer.invoked_production_variant.unwrap_or_default(),
        millis: took,
        lately: calls.said().unwrap_or_default(),
        best,
        unfit,
    })
}

/// What the model's container said, with the traceback from its log.
async fn model_error(aws: &Aws, endpoint: &str, error: &aws_sdk_sagemakerruntime::types::error::ModelError) -> Failure {
    let status = error.original_status_code().unwrap_or(0);
    let said = error.original_message().or(error.message()).unwrap_or_default();
    let stream = error.log_stream_arn().and_then(|arn| arn.split_once(":log-stream:")).map(|(_, stream)| stream);
    let status = if status == 0 { "without an answer".to_owned() } else { format!("with status {status}") };
    // Containers answer with the traceback itself, or with one sentence; the log has it in any case.
    let trace = if said.contains("Traceback (most recent call last)") { None } else { trace::last(aws, endpoint, stream).await };
    let what = match trace {
        Some(trace) => format!("{endpoint}: the model failed {status}: {}\n\nfrom its log:\n{trace}", said.trim()),
        None => format!("{endpoint}: the model failed {status}:\n{}", said.trim()),
    };
    Failure::new(FailureKind::Service, what, log_hint(endpoint))
}

/// Where to read on.
pub(super) fn log_hint(endpoint: &str) -> String {
    let logs = command(&format!("logs endpoints {endpoint}"));
    format!("l on the endpoint opens its whole log; on the command line: {logs}")
}

fn hinted(endpoint: &str, failure: Failure) -> Failure {
    match failure.kind {
        FailureKind::NotFound => Failure::new(
            failure.kind,
            failure.what.as_str(),
            format!("only an endpoint that is InService answers: {}", command("ls endpoints")),
        ),
        FailureKind::Service => Failure::new(failure.kind, failure.what.as_str(), log_hint(endpoint)),
        _ => failure,
    }
}

/// What would be sent.
pub(super) fn preview(aws: &Aws, recipe: &Recipe, form: &Form) -> Preview {
    let mut preview = Preview { problems: super::check::check(form), ..Preview::default() };
    if !preview.problems.is_empty() {
        return preview;
    }
    let file = form.value("body").trim();
    let endpoint = form.parent.as_ref().map_or("", |id| id.as_str());
    let mut fact = |name: &str, value: &str| preview.facts.push((name.into(), Safe::line(value)));
    fact("endpoint", endpoint);
    let given = form.value("content_type").trim();
    let kind = if given.is_empty() { content_type(recipe, file) } else { given.to_owned() };
    fact("content type", &kind);
    // Looked at, not read: it may be a pipe.
    let bytes = if file.is_empty() {
        Ok(form.value("text").len() as u64)
    } else {
        std::fs::metadata(recipe.root.join(file)).map(|found| found.len())
    };
    match bytes {
        Ok(bytes) if bytes > LIMIT => {
            let message = format!("an endpoint takes at most {LIMIT} bytes (6 MiB) in one call, and this is {bytes}");
            preview.problems.push(Problem { field: "body".to_owned(), message: Safe::line(&message), fatal: true });
        }
        Ok(bytes) => fact("body", &size(bytes)),
        Err(error) => preview.problems.push(Problem {
            field: "body".to_owned(),
            message: Safe::line(&format!("{file} cannot be read: {error}; the path is relative to the project")),
            fatal: true,
        }),
    }
    if let Some(said) = Calls::of(aws, endpoint).said() {
        preview.facts.push(("calls".into(), Safe::line(&said)));
    }
    let mut head = format!("POST /endpoints/{endpoint}/invocations\nContent-Type: {kind}\nAccept: {}", form.value("accept"));
    if !form.value("variant").is_empty() {
        head.extend(["\nX-Amzn-SageMaker-Target-Variant: ", form.value("variant")]);
    }
    preview.request = Safe::text(&head);
    preview
}

/// Does what the form of `invoke` says.
pub(super) async fn run(aws: &Aws, recipe: &Recipe, form: &Form) -> Result<Outcome, Failure> {
    let endpoint = form.parent.as_ref().map(|id| id.0.clone()).unwrap_or_default();
    let filled = {
        let (recipe, form) = (recipe.clone(), form.clone());
        // A pipe may keep its reader waiting.
        tokio::task::spawn_blocking(move || request(&recipe, &form)).await
    };
    let filled = filled.map_err(|error| Failure::new(FailureKind::Machine, format!("body: {error}"), ""))??;
    let answered = call(aws, recipe, &endpoint, &filled).await?;
    let saved = match form.value("save_to").trim() {
        "" => None,
        file => Some(save(&recipe.root.join(file), &answered.body)?),
    };
    let title = match answered.class() {
        // What matters first: a narrow window cuts the end off.
        Some(class) => format!("{class} · {endpoint}"),
        None => format!("answer of {endpoint}"),
    };
    Ok(Outcome::Answer { title: Safe::line(&title), text: Safe::text(&told(&answered, saved.as_deref())) })
}

/// Writes the answer as it came.
///
/// # Errors
/// When it cannot be written.
pub fn save(path: &Path, body: &[u8]) -> Result<PathBuf, Failure> {
    std::fs::write(path, body).map(|()| path.to_owned()).map_err(|error| {
        let what = format!("the answer came, but cannot be written to {}: {error}", path.display());
        Failure::new(FailureKind::Machine, what, "check the folder and the disk's free space")
    })
}

/// The answer in words.
fn told(answered: &Answered, saved: Option<&Path>) -> String {
    let mut lines: Vec<String> = Vec::new();
    lines.extend(answered.unfit.clone());
    let lately = if answered.lately.is_empty() { String::new() } else { format!(" · of the last {}", answered.lately) };
    lines.push(format!("{}{lately}", millis(answered.millis)));
    let about = [answered.content_type.as_str(), answered.variant.as_str()];
    let about = about.iter().filter(|text| !text.is_empty()).map(|text| (*text).to_owned());
    lines.push(about.chain([size(answered.body.len() as u64)]).collect::<Vec<_>>().join(" · "));
    lines.extend(saved.map(|path| format!("saved as {}", path.display())));
    format!("{}\n\n{}", lines.join("\n"), answered.readable())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Verb;

    fn filled(fields: &[(&str, &str)]) -> (tempfile::TempDir, Result<Request, Failure>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.PNG"), b"\x89PNG").unwrap();
        std::fs::File::create(folder.path().join("big.jpg")).unwrap().set_len(LIMIT + 1).unwrap();
        std::fs::File::create(folder.path().join("fits.jpg")).unwrap().set_len(LIMIT).unwrap();
        let recipe = Recipe { root: folder.path().to_owned(), ..Recipe::default() };
        let mut form = form::invoke(&recipe, &crate::model::ItemId("e".into()));
        assert_eq!(form.verb, Verb::Invoke);
        for (name, value) in fields {
            form.fields.iter_mut().find(|field| field.name == *name).unwrap().value = (*value).to_owned();
        }
        let request = request(&recipe, &form);
        (folder, request)
    }

    #[test]
    fn the_content_type_is_that_of_the_file_unless_given() {
        let of = |fields: &[(&str, &str)]| filled(fields).1.unwrap().content_type;
        assert_eq!(of(&[("body", "a.PNG")]), "image/png");
        assert_eq!(of(&[("body", "a.PNG"), ("content_type", "image/x")]), "image/x");
        assert_eq!(of(&[("text", "{}")]), "application/json");
    }

    #[test]
    fn six_mebibytes_go_and_no_byte_more() {
        assert_eq!(filled(&[("body", "fits.jpg")]).1.unwrap().body.len() as u64, LIMIT);
        let said = filled(&[("body", "big.jpg")]).1.unwrap_err();
        assert!(said.what.as_str().contains("6291456") && said.kind == FailureKind::Invalid, "{said}");
        let text = "x".repeat(usize::try_from(LIMIT).unwrap() + 1);
        assert!(filled(&[("text", &text)]).1.unwrap_err().what.as_str().starts_with("body: "));
        assert!(filled(&[("body", "nowhere")]).1.unwrap_err().what.as_str().contains("nowhere"));
    }
}
