//! `footplate download S3_URI [FOLDER]`, and of other things that have something to fetch: `footplate download runs ID [FOLDER]`.

use std::process::ExitCode;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::{json, orders, print};
use crate::model::{Failure, FailureKind, ItemId, Order, Recipe, Verb, command};

/// Arguments of `download`.
#[derive(clap::Args)]
pub struct Args {
    /// What to fetch, and where to. An object, or a folder with all below it, e.g. <s3://bucket/folder/>, into the current
    /// folder unless one is named; or what a run on an instance has made, `runs INSTANCE/NAME`, into the project's results/NAME
    #[arg(value_names = ["S3_URI | runs ID", "FOLDER"], num_args = 1..=3, required = true)]
    what: Vec<String>,
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
    let (kind, from, folder) = parts(&args.what)?;
    kind.can(Verb::Download)?;
    let session = Session::open(globals, Purpose::Look, Some(&recipe)).await?;
    let done = download(&session, kind, &recipe, from, folder, args.json).await;
    session.close().await;
    done
}

/// Kind, id and folder; without one it is the one that the form has.
fn parts(what: &[String]) -> Result<(Kind, &str, Option<&str>), Failure> {
    match what {
        [from] if kind::named(from).is_err() => Ok((kind::named("data")?, from, Some("."))),
        [from, folder] if kind::named(from).is_err() => Ok((kind::named("data")?, from, Some(folder))),
        [kind, from] => Ok((kind::named(kind)?, from, None)),
        [kind, from, folder] => Ok((kind::named(kind)?, from, Some(folder))),
        _ => Err(Failure::new(
            FailureKind::Invalid,
            "what is to be downloaded is not named",
            format!("{}, or: {}", command("download S3_URI [FOLDER]"), command("download runs ID [FOLDER]")),
        )),
    }
}

async fn download(
    session: &Session,
    kind: Kind,
    recipe: &Recipe,
    from: &str,
    folder: Option<&str>,
    as_json: bool,
) -> Result<ExitCode, Failure> {
    let target = ItemId(from.to_owned());
    let mut form = kind.0.form(&session.aws, recipe, Verb::Download, Some(&target)).await?;
    let folder = match folder {
        // As typed, it is relative to the current folder and not to the project.
        Some(folder) => std::path::absolute(folder)
            .map_err(|error| Failure::new(FailureKind::Invalid, format!("{folder}: {error}"), "Name a folder."))?,
        None => recipe.root.join(form.value("folder")),
    };
    orders::set(&mut form, &format!("folder={}", folder.display()))?;
    let order = Order { resource: form.resource.clone(), verb: Verb::Download, targets: vec![target], form: Some(form) };
    let outcome = orders::run(session, kind.0, recipe, &order).await?;
    if as_json {
        json::print(&serde_json::json!({ "from": from, "folder": folder, "said": outcome.said() }))?;
    } else {
        print::line(outcome.said().as_str())?;
    }
    Ok(ExitCode::SUCCESS)
}
