//! `footplate deploy`: puts a trained model behind an endpoint.
//!
//! Without `--wait` the command ends when the endpoint is being created; with it, when the endpoint is in service and has
//! answered the smoke test. On the local region an endpoint answers for as long as a process holds the region. A command
//! that would hold it itself would leave a dead endpoint behind, so it refuses and names `footplate local serve`.

use std::process::ExitCode;

use serde_json::json;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::signals::Signals;
use super::{ask, json, launch, orders, print};
use crate::aws::Mode;
use crate::model::{Failure, FailureKind, Form, ItemId, Order, Outcome, Recipe, Verb, command};

/// Arguments of `deploy`.
#[derive(clap::Args)]
pub struct Args {
    /// A completed training job, or the S3 address of a model.tar.gz; by default the newest completed job of this project
    #[arg(value_name = "TRAINING_JOB|S3_URI")]
    model: Option<String>,
    /// Override a field of the form, e.g. `instance_type=ml.c5.xlarge` or environment.MODE=fast
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Name of the endpoint
    #[arg(long)]
    name: Option<String>,
    /// Go on until it is in service and has answered the smoke test; exit 0 only if it has
    #[arg(long)]
    wait: bool,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Deploy without asking
    #[arg(long, short)]
    yes: bool,
    /// Print JSON: one object, at the end
    #[arg(long)]
    json: bool,
}

/// Deploys.
///
/// # Errors
/// When the project file or the form has mistakes, it is not confirmed, the endpoint does not come up or does not answer, or
/// as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe()?;
    let kind = kind::named("endpoints")?;
    let session = Session::open(globals, Purpose::unless(args.dry_run), Some(&recipe)).await?;
    if session.holds_region() && !args.dry_run {
        session.abandon().await;
        return Err(Failure::new(
            FailureKind::Refused,
            "the local region would run in this command, and the endpoint would end with it",
            "Start `footplate local serve` in another terminal first, or deploy in the cockpit: footplate --local",
        ));
    }
    let interrupted = Failure::new(
        FailureKind::Cancelled,
        "interrupted: an endpoint that is being created goes on and costs",
        format!("{} shows it; {} shows what was made for one that never came to be", command("ls endpoints"), command("orphans")),
    );
    let deployed = Signals::listen()?.or(interrupted, Box::pin(deploy(&session, kind, &recipe, args))).await;
    session.end(deployed).await.map(|()| ExitCode::SUCCESS)
}

/// Form, overrides, problems, question, order.
async fn deploy(session: &Session, kind: Kind, recipe: &Recipe, args: &Args) -> Result<(), Failure> {
    // Who cannot sign in is told that, and not that there is no model.
    session.aws.identity().await?;
    let target = args.model.clone().map(ItemId);
    let mut form = kind.0.form(&session.aws, recipe, Verb::Deploy, target.as_ref()).await?;
    if let Some(name) = &args.name {
        orders::set(&mut form, &format!("name={name}"))?;
    }
    for setting in &args.set {
        orders::set(&mut form, setting)?;
    }
    orders::set(&mut form, if args.wait { "wait=yes" } else { "wait=no" })?;
    let (preview, problems) = launch::findings(session, kind.0, recipe, &form).await?;
    if args.dry_run {
        launch::show(&preview, &problems, args.json)?;
        return orders::report(&form, &problems);
    }
    orders::report(&form, &problems)?;
    print::facts(&preview);
    confirm(session, &form, args.yes).await?;
    let order = Order { resource: form.resource.clone(), verb: form.verb, targets: Vec::new(), form: Some(form) };
    let Outcome::Made { id, said } = orders::run(session, kind.0, recipe, &order).await? else {
        return Err(Failure::new(
            FailureKind::Service,
            "no endpoint was named",
            format!("{} shows what there is.", command("ls endpoints")),
        ));
    };
    print::progress(said.as_str());
    if args.json {
        let state = if args.wait { "InService" } else { "Creating" };
        return json::print(&json!({ "name": id.as_str(), "state": state, "said": said }));
    }
    print::line(id.as_str())?;
    print::progress(&format!("Ask it with: {}", command(&format!("invoke {} --body FILE", id.as_str()))));
    Ok(())
}

/// The local region costs nothing; AWS does.
async fn confirm(session: &Session, form: &Form, yes: bool) -> Result<(), Failure> {
    if session.aws.mode() == Mode::Local {
        return Ok(());
    }
    let account = if yes { String::new() } else { session.aws.identity().await?.account };
    let question =
        format!("{}: it costs until it is deleted. Create in account {account}, {}?", form.title, session.aws.region());
    ask::confirm(&question, yes)
}
