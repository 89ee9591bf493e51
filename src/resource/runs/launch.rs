//! A launch: steps that can each be taken again, so that a launch that broke off is gone on with under the same name. They
//! are noted on the instance as they are taken. What starts the script lets only one start go through.

use std::fmt::Write;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::data::{Getting, Source, counted, provide};
use super::environment::{self, Python};
use super::form::{arguments, check, paths, text_of};
use super::place::Place;
use super::record::{Record, Standing, Step};
use super::survey;
use crate::aws::Aws;
use crate::aws::script_mode::sourcedir::{self, Package};
use crate::model::{Failure, FailureKind, Form, ItemId, Outcome, Progress, Recipe, Safe, command, show};
use crate::resource::line::{self, Line, failed, quoted};

/// Most bytes of code, packed: what is larger is data.
const CODE: usize = 64 << 20;

/// Writes a file below a run's folder in one step: `$1` the folder, `$2` the file. Two launches may do so at once.
const WRITE: &str = "umask 077; cd \"$HOME/$1\" && mkdir -p \"$(dirname \"$2\")\" && cat > \"$2.$$\" && mv \"$2.$$\" \"$2\"";

/// Takes the steps.
///
/// # Errors
/// The first step's that failed, with its remedy; to launch again under the same name goes on there.
pub(super) async fn launch(
    aws: &Aws,
    recipe: &Recipe,
    form: &Form,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Outcome, Failure> {
    if let Some(problem) = check(form).into_iter().find(|problem| problem.fatal) {
        return Err(Failure::new(FailureKind::Invalid, format!("{}: {}", problem.field, problem.message), ""));
    }
    let Some(instance) = form.parent.clone() else {
        return Err(Failure::new(FailureKind::Invalid, "a run needs an instance", "open the list of runs inside an instance"));
    };
    let place = Place { instance, name: form.value("name").trim().to_owned() };
    let text = text_of(recipe, form)?;
    let code = code(recipe, form.value("script").trim())?;
    let source = Some(form.value("data").trim()).filter(|data| !data.is_empty());
    let source = source.map(|data| Source::parse(data, &recipe.root)).transpose();
    let source = source.map_err(|message| Failure::new(FailureKind::Invalid, format!("data: {message}"), ""))?;
    if let Some(source) = &source {
        source.look()?;
    }

    progress(Progress { said: Safe::line("1/6 connect"), done: 0, total: 6 });
    let line = line::line(aws, &place.instance).await?;
    match survey::one(&line, &place.name).await {
        Ok(run) if run.started.is_some() && run.standing.is_live() => {
            let said = Safe::line(&format!("{} runs there already, since {}", place.name, run.started.unwrap_or_default()));
            return Ok(Outcome::Made { id: place.id(), said });
        }
        Ok(run) if run.started.is_some() => {
            let what = format!("a run named {} was on this instance before: {}", place.name, run.standing.state().word);
            return Err(Failure::new(FailureKind::Conflict, what, "take another name, or delete that run first"));
        }
        Ok(run) => same(&place, &run.record, &recipe.name, form.value("script").trim())?,
        Err(failure) if failure.kind == FailureKind::NotFound => {}
        Err(failure) => return Err(failure),
    }
    let launch = Launch { line: &line, place: &place, progress };
    launch.begin(&record(aws, recipe, form, &place.instance, &text).await).await?;
    launch.note(Step::Connect, Standing::Done, "").await;
    let python = launch.step(Step::Environment, environment(&line, form)).await?;
    launch.step(Step::Folders, launch.folders(form)).await?;
    if let Some(source) = &source {
        let getting = Getting {
            aws,
            line: &line,
            named: form.value("data").trim(),
            instance: &place.instance,
            python: &python.path,
            progress,
        };
        let code = format!("{}/code", place.folder());
        let work = async { provide(&getting, source, &code).await.map(|said| ((), said)) };
        Box::pin(launch.step(Step::Data, work)).await?;
    }
    launch.step(Step::Script, launch.put(recipe, form, &code, &text, &python)).await?;
    launch.step(Step::Start, launch.start()).await?;
    let said = Safe::line(&format!("{} runs on {}", place.name, place.instance.as_str()));
    Ok(Outcome::Made { id: place.id(), said })
}

/// Whether this is the launch that broke off, and not another one of the same name.
fn same(place: &Place, before: &Record, project: &str, script: &str) -> Result<(), Failure> {
    if before.project == project && before.script == script {
        return Ok(());
    }
    let name = &place.name;
    Err(Failure::new(
        FailureKind::Conflict,
        format!("name: {name} is the unfinished launch of {} of the project {}", before.script, before.project),
        format!("take another name, or delete that run first: {}", command(&format!("delete runs {}", place.id().as_str()))),
    ))
}

/// The code as it travels.
fn code(recipe: &Recipe, script: &str) -> Result<Package, Failure> {
    let package = sourcedir::pack(&recipe.root.join(&recipe.source_dir), script)?;
    if package.bytes.len() > CODE {
        let size = show::size(package.bytes.len() as u64);
        let hint = "keep data out of the code's folder, and name it as `data`";
        return Err(Failure::new(FailureKind::Invalid, format!("the code has {size}, packed"), hint));
    }
    Ok(package)
}

async fn record(aws: &Aws, recipe: &Recipe, form: &Form, instance: &ItemId, text: &str) -> Record {
    let own = |name: &str| form.value(name).trim().to_owned();
    let mut words = arguments(form).into_iter().peekable();
    let mut pairs = Vec::new();
    while let Some(name) = words.next() {
        let value = words.next_if(|word| !word.starts_with("--")).unwrap_or_default();
        pairs.push((name, value));
    }
    Record {
        created: Timestamp::now().as_second(),
        instance_type: super::instance_type(aws, instance).await.unwrap_or_default(),
        project: recipe.name.clone(),
        data: Some(own("data")).filter(|data| !data.is_empty()),
        folders: paths(form.value("folders")),
        script: own("script"),
        script_hash: hex::encode(Sha256::digest(text.as_bytes())),
        arguments: pairs,
        environment: own("environment"),
        results: paths(form.value("results")),
        metrics: recipe.metrics.clone(),
    }
}

async fn environment(line: &Line, form: &Form) -> Result<(Python, String), Failure> {
    let python = environment::find(line, form.value("environment").trim()).await?;
    let said = format!("Python {}, {}", python.version, python.path);
    Ok((python, said))
}

struct Launch<'a> {
    line: &'a Line,
    place: &'a Place,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Launch<'_> {
    /// Makes the run known on the instance.
    async fn begin(&self, record: &Record) -> Result<(), Failure> {
        let folder = self.place.folder();
        let script = format!("mkdir -p \"$HOME/$1\" && {WRITE}");
        let json = serde_json::to_vec_pretty(record).unwrap_or_default();
        self.line.told("writing run.json", &script, &[&folder, "run.json"], Some(json)).await.map(drop)
    }

    /// Takes a step, and notes how it went.
    async fn step<T>(&self, step: Step, work: impl Future<Output = Result<(T, String), Failure>>) -> Result<T, Failure> {
        let number = Step::ALL.iter().position(|other| *other == step).map_or(0, |at| at as u64 + 1);
        (self.progress)(Progress { said: Safe::line(&format!("{number}/6 {}", step.word())), done: number - 1, total: 6 });
        self.note(step, Standing::Begun, "").await;
        match work.await {
            Ok((made, said)) => {
                self.note(step, Standing::Done, &said).await;
                Ok(made)
            }
            Err(failure) => {
                self.note(step, Standing::Failed, &failure.to_string().replace("\n  ", "; ")).await;
                Err(failure)
            }
        }
    }

    async fn note(&self, step: Step, standing: Standing, said: &str) {
        note(self.line, self.place, step, standing, said).await;
    }

    async fn folders(&self, form: &Form) -> Result<((), String), Failure> {
        let folders = paths(form.value("folders"));
        let script = "cd \"$HOME/$1\" && shift && mkdir -p code && cd code && for folder; do mkdir -p \"$folder\" || exit; done";
        let place = self.place.folder();
        let words: Vec<&str> = std::iter::once(place.as_str()).chain(folders.iter().map(String::as_str)).collect();
        self.line.told("making folders", script, &words, None).await?;
        Ok(((), folders.join(", ")))
    }

    /// Puts code, script and command there.
    async fn put(
        &self,
        recipe: &Recipe,
        form: &Form,
        code: &Package,
        text: &str,
        python: &Python,
    ) -> Result<((), String), Failure> {
        let folder = self.place.folder();
        let write = |file: &'static str, bytes: Vec<u8>| {
            let folder = &folder;
            async move { self.line.told(&format!("writing {file}"), WRITE, &[folder, file], Some(bytes)).await }
        };
        let unpack = "cd \"$HOME/$1\" && mkdir -p code && tar --no-same-owner -xzf - -C code";
        self.line.told("unpacking the code", unpack, &[&folder], Some(code.bytes.clone())).await?;
        let file = format!("code/{}", form.value("script").trim());
        self.line.told("writing the script", WRITE, &[&folder, &file], Some(text.as_bytes().to_vec())).await?;
        write("job.sh", job(recipe, form, python).into_bytes()).await?;
        write("runner.sh", include_bytes!("scripts/runner.sh").to_vec()).await?;
        Ok(((), format!("{}, {}", counted(code.files as u64), show::size(code.size))))
    }

    async fn start(&self) -> Result<((), String), Failure> {
        let ran = self.line.script(include_str!("scripts/start.sh"), &[&self.place.name], None).await?;
        match ran.status {
            Some(0) => Ok(((), format!("detached by {}", String::from_utf8_lossy(&ran.out).trim()))),
            Some(10) => Err(Failure::new(
                FailureKind::Service,
                "the run did not begin within five seconds",
                "the instance may be overloaded or its disk full; launch again under the same name",
            )),
            _ => Err(failed("starting the script", &ran)),
        }
    }
}

/// Notes a step on the instance. What cannot be noted does not keep the step from being taken: it has its own failure.
pub(super) async fn note(line: &Line, place: &Place, step: Step, standing: Standing, said: &str) {
    let said = said.replace(['\n', '\t', '\r'], " ");
    let words = [&place.folder(), step.word(), standing.word(), &said];
    let script = "cd \"$HOME/$1\" && printf '%s\\t%s\\t%s\\t%s\\n' \"$(date +%s)\" \"$2\" \"$3\" \"$4\" >> steps";
    let _ = line.script(script, &words, None).await;
}

/// The command, as a file: the environment's programs first on the PATH, nothing held back in buffers, the project's
/// variables.
fn job(recipe: &Recipe, form: &Form, python: &Python) -> String {
    let mut job = String::from("cd code || exit 1\nexport PYTHONUNBUFFERED=1\n");
    if let Some((bin, _)) = python.path.rsplit_once('/') {
        // Writing to a string cannot fail.
        let _ = writeln!(job, "export PATH={}:\"$PATH\"", quoted(bin));
    }
    for (name, value) in &recipe.environment {
        let sound = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if sound {
            let _ = writeln!(job, "export {name}={}", quoted(value));
        }
    }
    let words = arguments(form);
    let words = [form.value("script").trim()].into_iter().chain(words.iter().map(String::as_str));
    let words = words.map(quoted).collect::<Vec<_>>().join(" ");
    let _ = writeln!(job, "exec {} {words}", quoted(&python.path));
    job
}
