//! `footplate invoke ENDPOINT --body FILE`: sends an endpoint something to predict.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::globals::Globals;
use super::kind;
use super::session::{Purpose, Session};
use super::signals::Signals;
use super::{json, orders, print};
use crate::model::{Failure, FailureKind, ItemId, Recipe, Verb};
use crate::resource::endpoints::invoke::{Answered, call, request, save};
use crate::resource::endpoints::wait;

/// Arguments of `invoke`.
#[derive(clap::Args)]
pub struct Args {
    /// The endpoint's name, as `ls endpoints` prints it
    endpoint: String,
    /// The file to send; - is standard input
    #[arg(long, value_name = "FILE")]
    body: PathBuf,
    /// What the body is, e.g. image/png; by default by the file's ending, else what the project says
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// What the answer shall be; by default what the project says
    #[arg(long, value_name = "TYPE")]
    accept: Option<String>,
    /// The production variant to ask; by default one by their weights
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Write the answer to a file, as it came
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// Invokes.
///
/// # Errors
/// When the file cannot be sent, or as the service or the model says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe_or_bare()?;
    let session = Session::open(globals, Purpose::Look, Some(&recipe)).await?;
    let interrupted = Failure::new(FailureKind::Cancelled, "interrupted", "");
    let answered = Signals::listen()?.or(interrupted, Box::pin(ask(&session, &recipe, args))).await;
    show(&session.end(answered).await?, args)?;
    Ok(ExitCode::SUCCESS)
}

async fn ask(session: &Session, recipe: &Recipe, args: &Args) -> Result<Answered, Failure> {
    let kind = kind::named("endpoints")?;
    let target = ItemId(args.endpoint.clone());
    let mut form = kind.0.form(&session.aws, recipe, Verb::Invoke, Some(&target)).await?;
    orders::set(&mut form, &format!("body={}", place(&args.body)?))?;
    for (name, value) in [("content_type", &args.content_type), ("accept", &args.accept), ("variant", &args.variant)] {
        if let Some(value) = value {
            orders::set(&mut form, &format!("{name}={value}"))?;
        }
    }
    orders::report(&form, &(kind.0.spec().check)(&form))?;
    let filled = {
        let (recipe, form) = (recipe.clone(), form.clone());
        // A pipe may keep its reader waiting.
        tokio::task::spawn_blocking(move || request(&recipe, &form)).await
    };
    let filled = filled.map_err(|error| Failure::new(FailureKind::Machine, format!("body: {error}"), ""))??;
    if session.holds_region() {
        // The endpoints of this region are just being started again, by this very process.
        wait::settled(&session.aws, &args.endpoint, &|progress| print::ticker(progress.said.as_str())).await?;
    }
    call(&session.aws, recipe, &args.endpoint, &filled).await
}

/// The path as the form wants it, which counts from the project's folder; files named here count from the current one.
fn place(body: &std::path::Path) -> Result<String, Failure> {
    if body.as_os_str() == "-" {
        return Ok("/dev/stdin".to_owned());
    }
    let unusable = |why: &str| Failure::new(FailureKind::Invalid, format!("--body {}: {why}", body.display()), "");
    let path = std::path::absolute(body).map_err(|error| unusable(&error.to_string()))?;
    path.to_str().map(str::to_owned).ok_or_else(|| unusable("the path is not UTF-8"))
}

fn show(answered: &Answered, args: &Args) -> Result<(), Failure> {
    if let Some(output) = &args.output {
        save(output, &answered.body)?;
    }
    if args.json {
        let text = std::str::from_utf8(&answered.body).ok();
        let answer = text.map(|text| serde_json::from_str::<Value>(text).unwrap_or_else(|_| Value::from(text)));
        let best = answered.best.as_ref();
        return json::print(&json!({
            "endpoint": answered.endpoint, "variant": answered.variant, "milliseconds": answered.millis,
            "content_type": answered.content_type, "bytes": answered.body.len(),
            "class": best.map(|best| &best.class), "share": best.map(|best| best.share), "answer": answer,
        }));
    }
    print::progress(&format!("{:.0} ms · {} · {}", answered.millis, answered.variant, answered.content_type));
    if let Some(class) = answered.class() {
        print::progress(&class);
    }
    if let Some(unfit) = &answered.unfit {
        print::progress(&format!("note: {unfit}"));
    }
    match &args.output {
        Some(output) => print::line(&output.display().to_string()),
        // A program wants all of it, as it came; a person wants to read it.
        None => match std::str::from_utf8(&answered.body) {
            Ok(text) if !std::io::stdout().is_terminal() => print::line(text),
            _ => print::line(&answered.readable()),
        },
    }
}
