//! `footplate instance`: launches an EC2 instance from the project file.
//!
//! Without `--wait` the command ends when EC2 has accepted it; with it, when the instance runs and AWS's checks of it are
//! passed. Its lease is with the instance: it ends itself, whether this command is still there or not.

use std::process::ExitCode;
use std::sync::Mutex;

use serde_json::json;

use super::globals::Globals;
use super::kind;
use super::session::{Purpose, Session};
use super::signals::Signals;
use super::{json, launch, print};
use crate::model::{Failure, FailureKind, ItemId, Progress, Recipe, Verb, command};
use crate::resource::instances;

/// Arguments of `instance`.
#[derive(clap::Args)]
#[command(
    after_help = "What --set takes: name, image, successor, instance_type, storage_gb, lease, spot, zone, subnet, security_group, \
                  address, instance_profile, user.\nWithout a project file that says otherwise it is a small machine without a GPU, for four hours.\n\
                  Examples:\n  footplate instance --dry-run\n  footplate instance --set instance_type=g5.2xlarge --set lease=2h --set spot=yes"
)]
pub struct Args {
    #[command(flatten)]
    launch: launch::Args,
    /// Launch another one like this
    #[arg(long, value_name = "INSTANCE")]
    like: Option<String>,
    /// Wait until it runs and AWS's checks of it are passed; exit 0 only if they are
    #[arg(long)]
    wait: bool,
}

/// Launches.
///
/// # Errors
/// When the project file or the form has mistakes, it is not confirmed, it does not come up, or as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe_or_bare()?;
    let session = Session::open(globals, Purpose::unless(args.launch.dry_run), Some(&recipe)).await?;
    let interrupted = Failure::new(
        FailureKind::Cancelled,
        "interrupted: an instance that was accepted goes on, and costs until its lease ends",
        format!("{} shows it; {} tells what became of calls that were under way", command("ls instances"), command("doctor")),
    );
    let done = Signals::listen()?.or(interrupted, Box::pin(launched(&session, &recipe, args))).await;
    session.end(done).await.map(|()| ExitCode::SUCCESS)
}

async fn launched(session: &Session, recipe: &Recipe, args: &Args) -> Result<(), Failure> {
    let kind = kind::named("instances")?;
    // Who cannot sign in is told that, and not that there is no image.
    session.aws.identity().await?;
    let verb = if args.like.is_some() { Verb::Clone } else { Verb::Launch };
    let form = launch::form(session, recipe, kind.0, verb, args.like.as_deref()).await?;
    let Some(id) = launch::order(session, recipe, form, &args.launch).await? else { return Ok(()) };
    if args.wait {
        wait(session, &id).await?;
    }
    if args.launch.json {
        let state = if args.wait { "running" } else { "pending" };
        json::print(&json!({ "id": id.as_str(), "state": state }))?;
    } else {
        print::line(id.as_str())?;
    }
    print::progress(&format!("Log in with: {}", command(&format!("ssh {}", id.as_str()))));
    if session.holds_region() {
        print::progress(
            "The local region runs in this process: the instance rests until the next one opens it. `footplate local serve` keeps it up.",
        );
    }
    Ok(())
}

/// With what it waits for on stderr; what looks the same is not worth a line.
async fn wait(session: &Session, id: &ItemId) -> Result<(), Failure> {
    let said = Mutex::new(String::new());
    let progress = |progress: Progress| {
        let text = progress.said.to_string();
        if let Ok(mut said) = said.lock()
            && *said != text
        {
            print::ticker(&text);
            *said = text;
        }
    };
    instances::up(&session.aws, id, &progress).await
}
