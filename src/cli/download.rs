//! `footplate download S3_URI [FOLDER]`.

use std::process::ExitCode;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::{json, orders, print};
use crate::model::{Failure, FailureKind, ItemId, Order, Recipe, Verb};

/// Arguments of `download`.
#[derive(clap::Args)]
pub struct Args {
    /// An object, or a folder with all below it, e.g. <s3://bucket/folder/>
    #[arg(value_name = "S3_URI")]
    from: String,
    /// Where to; by default the current folder
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: String,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// Downloads. What is there already and the same is not read again.
///
/// # Errors
/// When there is nothing, a key would leave the folder, or as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe_or_bare()?;
    let kind = kind::named("data")?;
    kind.can(Verb::Download)?;
    let session = Session::open(globals, Purpose::Look, Some(&recipe)).await?;
    let done = download(&session, kind, &recipe, args).await;
    session.close().await;
    done
}

async fn download(session: &Session, kind: Kind, recipe: &Recipe, args: &Args) -> Result<ExitCode, Failure> {
    let target = ItemId(args.from.clone());
    let mut form = kind.0.form(&session.aws, recipe, Verb::Download, Some(&target)).await?;
    // As typed, it is relative to the current folder and not to the project.
    let folder = std::path::absolute(&args.folder)
        .map_err(|error| Failure::new(FailureKind::Invalid, format!("{}: {error}", args.folder), "Name a folder."))?;
    orders::set(&mut form, &format!("folder={}", folder.display()))?;
    let order = Order { resource: form.resource.clone(), verb: Verb::Download, targets: vec![target], form: Some(form) };
    let outcome = orders::run(session, kind.0, recipe, &order).await?;
    if args.json {
        json::print(&serde_json::json!({ "from": args.from, "folder": folder, "said": outcome.said() }))?;
    } else {
        print::line(outcome.said().as_str())?;
    }
    Ok(ExitCode::SUCCESS)
}
