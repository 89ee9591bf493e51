//! `footplate orphans`: what is left behind and costs or clutters.

use std::process::ExitCode;

use serde_json::json;

use super::globals::Globals;
use super::session::{Purpose, Session};
use super::{ask, json, orders, print};
use crate::aws::orphans::{Orphan, find, remove};
use crate::aws::s3_uri::S3Uri;
use crate::aws::script_mode::names;
use crate::aws::{bucket, with_order};
use crate::journal::{Journal, Open};
use crate::model::show::moment;
use crate::model::{Failure, Recipe, command};

/// Arguments of `orphans`.
#[derive(clap::Args)]
pub struct Args {
    /// Delete them, after asking
    #[arg(long)]
    delete: bool,
    /// Delete without asking
    #[arg(long, short, requires = "delete")]
    yes: bool,
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
}

/// Lists models, endpoint configurations and failed endpoints of footplate's that nothing uses, repacked archives of this
/// project that no model names, uploads that were never completed, instances whose lease is over, volumes and security
/// groups that no instance has, and calls that were never answered; nothing when there is nothing. Ends with 0 in both cases.
///
/// # Errors
/// As the services say, or when a deletion is not confirmed.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let recipe = globals.recipe_or_bare()?;
    let purpose = if args.delete { Purpose::Change } else { Purpose::Look };
    let session = Session::open(globals, purpose, Some(&recipe)).await?;
    let done = sweep(globals, &session, &recipe, args).await;
    session.end(done).await.map(|()| ExitCode::SUCCESS)
}

async fn sweep(globals: &Globals, session: &Session, recipe: &Recipe, args: &Args) -> Result<(), Failure> {
    let mut buckets = vec![bucket::default_name(&session.aws).await?];
    buckets.extend(recipe.bucket.clone().filter(|named| !buckets.contains(named)));
    let base = names::legal(&recipe.name);
    let places: Vec<S3Uri> = buckets.iter().map(|bucket| S3Uri::new(bucket, format!("{base}/model/"))).collect();
    let found = find(&session.aws, &buckets, if base.is_empty() { &[] } else { &places }).await?;
    let open = unanswered(globals, session).await?;
    if args.json {
        show_json(&found, &open)?;
    } else {
        show(&found, &open)?;
    }
    if !args.delete || found.is_empty() {
        return Ok(());
    }
    let account = session.aws.identity().await?.account;
    let many = if found.len() == 1 { "this one".to_owned() } else { format!("these {}", found.len()) };
    ask::confirm(&format!("Delete {many} in account {account}, {}?", session.aws.region()), args.yes)?;
    let deleting = async {
        // In the order in which they use each other: what is used goes last.
        for orphan in &found {
            remove(&session.aws, orphan).await?;
            print::progress(&format!("deleted {} {}", orphan.kind.word(), orphan.name));
        }
        Ok(())
    };
    with_order(orders::number()?, deleting).await
}

/// Calls whose answer never came, of this account and region. Not those that carry objects: what they may have left is
/// looked at itself, as uploads that were never completed.
async fn unanswered(globals: &Globals, session: &Session) -> Result<Vec<Open>, Failure> {
    let path = globals.dirs()?.journal();
    if !path.exists() {
        return Ok(Vec::new());
    }
    let account = session.aws.identity().await?.account;
    let here = |open: &Open| {
        let intent = &open.intent;
        !(intent.service == "S3" && ["PutObject", "UploadPart", "CompleteMultipartUpload"].contains(&intent.operation.as_str()))
            && intent.mode == session.aws.mode().word()
            && intent.account == account
            && intent.region == session.aws.region()
    };
    Ok(Journal::open(&path)?.unsettled()?.into_iter().filter(|open| !open.under_way && here(open)).collect())
}

fn show(found: &[Orphan], open: &[Open]) -> Result<(), Failure> {
    let clock = print::clock();
    for orphan in found {
        let since = orphan.since.map_or_else(String::new, |since| format!(", since {}", moment(since, &clock)));
        print::line(&format!("{:22}  {}  ({}{since})", orphan.kind.word(), orphan.name, orphan.kind.why()))?;
        if let Some(note) = &orphan.note {
            print::line(&format!("{:22}  {note}", ""))?;
        }
    }
    for open in open {
        let call = format!("{} {} of {}", open.intent.operation, open.intent.token, open.at);
        print::line(&format!("{:22}  {call}  (never answered; {} looks it up)", "call", command("doctor")))?;
    }
    if found.is_empty() && open.is_empty() {
        print::progress("nothing left behind");
    }
    Ok(())
}

fn show_json(found: &[Orphan], open: &[Open]) -> Result<(), Failure> {
    let things = found.iter().map(
        |orphan| json!({ "kind": orphan.kind.word(), "name": orphan.name, "since": orphan.since, "why": orphan.kind.why(), "note": orphan.note }),
    );
    let calls = open.iter().map(|open| {
        let name = format!("{} {}", open.intent.operation, open.intent.token);
        json!({ "kind": "call", "name": name, "since": open.at, "why": "never answered" })
    });
    json::print(&json!(things.chain(calls).collect::<Vec<_>>()))
}
