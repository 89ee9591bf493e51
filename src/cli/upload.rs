//! `footplate upload [SRC [S3_URI]]`.

use std::process::ExitCode;

use serde_json::json;

use super::globals::Globals;
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::{json, orders, print};
use crate::model::{Failure, FailureKind, Order, Outcome, Recipe, Verb};

/// Arguments of `upload`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder or .zip; by default the data of the project
    source: Option<String>,
    /// Where to, e.g. <s3://bucket/prefix>/; by default the project's place in its bucket
    #[arg(value_name = "S3_URI")]
    to: Option<String>,
    /// Show what would be uploaded, and upload nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON: one object
    #[arg(long)]
    json: bool,
}

/// Uploads.
///
/// # Errors
/// When there is nothing to upload, or as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = if args.source.is_some() { globals.recipe_or_bare()? } else { globals.recipe()? };
    let kind = kind::named("data")?;
    kind.can(Verb::Upload)?;
    let purpose = Purpose::unless(args.dry_run);
    let session = Session::open(globals, purpose, Some(&recipe)).await?;
    let done = upload(&session, kind, &recipe, args).await;
    session.end(done).await
}

async fn upload(session: &Session, kind: Kind, recipe: &Recipe, args: &Args) -> Result<ExitCode, Failure> {
    let mut form = kind.0.form(&session.aws, recipe, Verb::Upload, None).await?;
    if let Some(source) = &args.source {
        // As typed, it is relative to the current folder and not to the project.
        let source = std::path::absolute(source)
            .map_err(|error| Failure::new(FailureKind::Invalid, format!("{source}: {error}"), "Name a folder or a .zip."))?;
        orders::set(&mut form, &format!("source={}", source.display()))?;
    }
    if let Some(to) = &args.to {
        orders::set(&mut form, &format!("target={to}"))?;
    }
    let mut problems = (kind.0.spec().check)(&form);
    if !problems.iter().any(|problem| problem.fatal) {
        let preview = kind.0.preview(&session.aws, recipe, &form).await?;
        print::facts(&preview);
        problems.extend(preview.problems);
    }
    orders::report(&form, &problems)?;
    if args.dry_run {
        return Ok(ExitCode::SUCCESS);
    }
    let order = Order { resource: form.resource.clone(), verb: Verb::Upload, targets: Vec::new(), form: Some(form) };
    let outcome = orders::run(session, kind.0, recipe, &order).await?;
    let said = outcome.said();
    let id = if let Outcome::Made { id, .. } = &outcome { Some(id) } else { None };
    if args.json {
        json::print(&json!({ "id": id, "said": said }))?;
    } else {
        print::line(said.as_str())?;
    }
    Ok(ExitCode::SUCCESS)
}
