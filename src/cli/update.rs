//! `footplate update RESOURCE ID --set KEY=VALUE...`: changes what is there, by the same form as the cockpit's `e`.

use std::process::ExitCode;

use serde_json::json;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::{ask, json, launch, orders, print};
use crate::aws::Mode;
use crate::model::{Failure, FailureKind, Form, ItemId, Order, Recipe, Verb};

/// Arguments of `update`.
#[derive(clap::Args)]
pub struct Args {
    /// What kind of thing: instances, endpoints
    #[arg(value_parser = kind::parser())]
    resource: Kind,
    /// Its name, as `ls` prints it
    id: String,
    /// What to change: of an instance `lease=4h` (from now on), `instance_type=g5.2xlarge` (while it is stopped) or
    /// `protection=yes`; of an endpoint e.g. `instance_count=2`
    #[arg(long = "set", value_name = "KEY=VALUE", required = true)]
    set: Vec<String>,
    /// Show what would be sent, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Do it without asking
    #[arg(long, short)]
    yes: bool,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// Changes it, after asking on AWS.
///
/// # Errors
/// When there is no such thing, it cannot be changed so, it is not confirmed, or as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    args.resource.can(Verb::Update)?;
    let recipe = globals.recipe_or_bare()?;
    let session = Session::open(globals, Purpose::unless(args.dry_run), Some(&recipe)).await?;
    let done = update(&session, &recipe, args).await;
    session.end(done).await.map(|()| ExitCode::SUCCESS)
}

async fn update(session: &Session, recipe: &Recipe, args: &Args) -> Result<(), Failure> {
    let resource = args.resource.0;
    // What it is called is what it is known by from here on.
    let target = resource.detail(&session.aws, &ItemId(args.id.clone())).await?.id;
    let mut form = launch::form(session, recipe, resource, Verb::Update, Some(target.as_str())).await?;
    for setting in &args.set {
        orders::set(&mut form, setting)?;
    }
    let (preview, problems) = launch::findings(session, resource, recipe, &form).await?;
    if args.dry_run {
        launch::show(&preview, &problems, args.json)?;
        return report(&form, &problems);
    }
    report(&form, &problems)?;
    if session.aws.mode() == Mode::Aws {
        print::facts(&preview);
        let account = if args.yes { String::new() } else { session.aws.identity().await?.account };
        ask::confirm(&format!("{} in account {account}, {}?", form.title, session.aws.region()), args.yes)?;
    }
    let order = Order { resource: form.resource.clone(), verb: Verb::Update, targets: vec![target.clone()], form: Some(form) };
    let said = orders::run(session, resource, recipe, &order).await?.said().clone();
    if args.json {
        return json::print(&json!({ "done": Verb::Update.name(), "id": target.as_str(), "said": said }));
    }
    print::line(said.as_str())
}

/// As [`orders::report`]; what is to be mended stands in the command itself.
fn report(form: &Form, problems: &[crate::model::Problem]) -> Result<(), Failure> {
    orders::report(form, problems)
        .map_err(|failure| Failure::new(FailureKind::Invalid, failure.what, "correct what --set says, and try again"))
}
