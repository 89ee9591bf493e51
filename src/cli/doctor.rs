//! `footplate doctor`: checks this machine, the project, the journal, credentials and permissions.

use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use super::attach;
use super::globals::Globals;
use super::session::{Purpose, Session};
use super::{json, print};
use crate::config::Dirs;
use crate::config::dirs::private_folder;
use crate::journal::{Journal, Open};
use crate::model::{Failure, FailureKind, ItemId};
use crate::resource::{self, Resource};

/// The most that one look at a service may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Arguments of `doctor`.
#[derive(clap::Args)]
pub struct Args {
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    Note,
    Bad,
}

/// What was found so far.
#[derive(Default)]
struct Findings(Vec<(Verdict, &'static str, String, String)>);

impl Findings {
    fn add(&mut self, verdict: Verdict, about: &'static str, said: impl Into<String>, hint: impl Into<String>) {
        self.0.push((verdict, about, said.into(), hint.into()));
    }

    fn failed(&mut self, about: &'static str, failure: &Failure) {
        self.add(Verdict::Bad, about, failure.what.as_str(), failure.hint.as_str());
    }
}

/// Checks all and says what to do about each finding; 1 when something is wrong.
///
/// # Errors
/// When stdout is gone or full.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let mut found = Findings::default();
    machine(globals, &mut found);
    let journal = journal(globals, &mut found);
    match Session::open(globals, Purpose::Look, globals.recipe_or_bare().ok().as_ref()).await {
        Ok(session) => {
            account(&session, journal.as_ref(), &mut found).await;
            session.close().await;
        }
        Err(failure) => found.failed("connection", &failure),
    }
    let bad = found.0.iter().any(|(verdict, ..)| *verdict == Verdict::Bad);
    show(&found, args.json)?;
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(found: &Findings, as_json: bool) -> Result<(), Failure> {
    let word = |verdict| match verdict {
        Verdict::Good => "ok",
        Verdict::Note => "note",
        Verdict::Bad => "FAIL",
    };
    if as_json {
        let all: Vec<_> = found.0.iter().map(|(verdict, about, said, hint)| json!({ "about": about, "verdict": word(*verdict).to_lowercase(), "said": said, "hint": hint })).collect();
        return json::print(&json!(all));
    }
    for (verdict, about, said, hint) in &found.0 {
        print::line(&format!("{:4}  {about:12}  {}", word(*verdict), said.replace('\n', "\n                    ")))?;
        if !hint.is_empty() {
            print::line(&format!("{:20}{}", "", hint.replace('\n', "\n                    ")))?;
        }
    }
    Ok(())
}

fn machine(globals: &Globals, found: &mut Findings) {
    found.add(Verdict::Good, "version", format!("footplate {}", env!("CARGO_PKG_VERSION")), "");
    match std::env::var("TERM") {
        Ok(term) if !term.is_empty() && term != "dumb" => found.add(Verdict::Good, "terminal", term, ""),
        _ => found.add(
            Verdict::Note,
            "terminal",
            "TERM is not set or dumb: the cockpit needs a terminal",
            "Set TERM, for instance to xterm-256color; the other commands work without.",
        ),
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default();
    if !locale.to_lowercase().replace('-', "").contains("utf8") {
        found.add(
            Verdict::Note,
            "locale",
            format!("`{locale}` is not UTF-8: symbols may look odd"),
            "Set LANG=C.UTF-8, or ascii = true in config.toml.",
        );
    }
    match globals.dirs().and_then(made) {
        Ok(dirs) => found.add(
            Verdict::Good,
            "folders",
            format!("{}, {}, {}", dirs.state.display(), dirs.cache.display(), dirs.data.display()),
            "",
        ),
        Err(failure) => found.failed("folders", &failure),
    }
    match globals.settings() {
        Ok(_) => {}
        Err(failure) => found.failed("settings", &failure),
    }
    let recipe = globals.recipe();
    match &recipe {
        Ok(recipe) => found.add(Verdict::Good, "project", format!("{} in {}", recipe.name, recipe.root.display()), ""),
        Err(failure) if failure.kind == FailureKind::NotFound => {
            found.add(Verdict::Note, "project", failure.what.as_str(), failure.hint.as_str());
        }
        Err(failure) => found.failed("project", failure),
    }
    python(&attach::python(recipe.ok().as_ref()), found);
}

fn made(dirs: Dirs) -> Result<Dirs, Failure> {
    for folder in [&dirs.state, &dirs.cache, &dirs.data] {
        private_folder(folder)?;
    }
    Ok(dirs)
}

/// The local region needs an interpreter that starts.
fn python(python: &std::path::Path, found: &mut Findings) {
    let hint = "Install Python 3, or name one in footplate.toml: [local] python = \"…\". Only the local region needs it.";
    match std::process::Command::new(python).arg("--version").stdin(std::process::Stdio::null()).output() {
        Ok(output) if output.status.success() => {
            // Python 2 says it on stderr.
            let said =
                String::from_utf8_lossy(if output.stdout.is_empty() { &output.stderr } else { &output.stdout }).trim().to_owned();
            found.add(Verdict::Good, "python", format!("{said} ({})", python.display()), "");
        }
        Ok(output) => found.add(Verdict::Bad, "python", format!("{} --version: {}", python.display(), output.status), hint),
        Err(error) => found.add(Verdict::Bad, "python", format!("{}: {error}", python.display()), hint),
    }
}

fn journal(globals: &Globals, found: &mut Findings) -> Option<Journal> {
    match globals.dirs().and_then(|dirs| Journal::open(&dirs.journal())) {
        Ok(journal) => {
            found.add(Verdict::Good, "journal", "can be written", "");
            Some(journal)
        }
        Err(failure) => {
            found.failed("journal", &failure);
            None
        }
    }
}

async fn account(session: &Session, journal: Option<&Journal>, found: &mut Findings) {
    let identity = match within(session.aws.identity()).await {
        Ok(identity) => identity,
        Err(failure) => return found.failed("account", &failure),
    };
    found.add(Verdict::Good, "account", format!("{} as {} in {}", identity.account, identity.arn, session.aws.region()), "");
    // What is inside something can be listed only with its name; it needs no permission that the others do not.
    for resource in resource::ALL.iter().filter(|resource| resource.spec().within.is_none()) {
        let spec = resource.spec();
        match within(first_page(session, *resource)).await {
            Ok(()) => found.add(Verdict::Good, spec.id, "can be listed", ""),
            Err(failure) if failure.kind == FailureKind::Denied => {
                found.add(Verdict::Bad, spec.id, failure.what.as_str(), format!("This pane needs: {}", spec.iam.join(", ")));
            }
            Err(failure) => found.failed(spec.id, &failure),
        }
    }
    let Some(journal) = journal else { return };
    match journal.unsettled() {
        Ok(open) => {
            for open in open {
                settle(session, &identity.account, journal, &open, found).await;
            }
        }
        Err(failure) => found.failed("journal", &failure),
    }
}

/// Tells what became of a call that was sent and whose answer is not known, and closes it in the journal where that can be
/// told.
async fn settle(session: &Session, account: &str, journal: &Journal, open: &Open, found: &mut Findings) {
    let intent = &open.intent;
    let call = format!(
        "{} {} of {} ({}, account {}, {})",
        intent.operation, intent.token, open.at, intent.mode, intent.account, intent.region
    );
    if open.under_way {
        return found.add(Verdict::Note, "journal", format!("under way in another footplate: {call}"), "");
    }
    let here = intent.mode == session.aws.mode().word() && intent.account == account && intent.region == session.aws.region();
    if !here {
        return found.add(
            Verdict::Note,
            "journal",
            format!("never answered: {call}"),
            "Run footplate doctor with the flags of that account and region to have it looked up.",
        );
    }
    let made = match intent.operation.as_str() {
        "CreateTrainingJob" => Some(("training-jobs", "job")),
        "CreateEndpoint" => Some(("endpoints", "endpoint")),
        "RunInstances" => Some(("instances", "instance")),
        _ => None,
    };
    let (verdict, said) = if let Some((made, word)) = made {
        // The name is the token: whether one of that name exists tells whether the call got through.
        match resource::find(made) {
            Some(jobs) => match within(jobs.detail(&session.aws, &ItemId(intent.token.clone()))).await {
                Ok(detail) => (Verdict::Note, format!("the {word} exists and is {}", detail.state.word)),
                Err(failure) if failure.kind == FailureKind::NotFound => {
                    (Verdict::Note, format!("there is no such {word}: it was not launched, or has been deleted"))
                }
                Err(failure) => {
                    return found.add(
                        Verdict::Bad,
                        "journal",
                        format!("never answered: {call}"),
                        format!("It could not be looked up: {}", failure.what),
                    );
                }
            },
            None => return,
        }
    } else {
        (Verdict::Note, "it may or may not have happened; to repeat it does no harm".to_owned())
    };
    found.add(verdict, "journal", format!("never answered: {call}"), &said);
    if let Err(failure) = journal.close(open.number, &said) {
        found.failed("journal", &failure);
    }
}

/// Lists until the first page has come: whether it may be listed is all there is to know.
async fn first_page(session: &Session, resource: &'static dyn Resource) -> Result<(), Failure> {
    let (came, first) = tokio::sync::oneshot::channel();
    let came = Mutex::new(Some(came));
    let page = |_| {
        if let Some(came) = came.lock().ok().and_then(|mut came| came.take()) {
            let _ = came.send(());
        }
    };
    tokio::select! {
        listed = resource.list(&session.aws, None, &page) => listed,
        Ok(()) = first => Ok(()),
    }
}

async fn within<T>(look: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, look).await.unwrap_or_else(|_| {
        Err(Failure::new(
            FailureKind::Timeout,
            format!("no answer within {} s", PATIENCE.as_secs()),
            "Check the network, proxies and the region's name.",
        ))
    })
}
