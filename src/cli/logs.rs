//! `footplate logs RESOURCE ID [--follow]`.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::globals::Globals;
use super::gutter::{Gutter, Sink};
use super::kind::{self, Kind};
use super::session::{Purpose, Session};
use super::signals::Signals;
use super::watch::{Awaited, until_over};
use crate::model::{Failure, FailureKind, ItemId, TailNote, Verb};

/// Arguments of `logs`.
#[derive(clap::Args)]
pub struct Args {
    /// What kind of thing
    #[arg(value_parser = kind::parser())]
    resource: Kind,
    /// Its name, as `ls` prints it
    id: String,
    /// Go on until the job is over
    #[arg(long, short)]
    follow: bool,
    /// Print JSON: one object a line
    #[arg(long)]
    json: bool,
}

/// Prints the log.
///
/// # Errors
/// When the thing does not exist or has no log, or as the service says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    args.resource.can(Verb::Logs)?;
    let session = Session::open(globals, Purpose::Look, globals.recipe_or_bare().ok().as_ref()).await?;
    let printed = print(&session, args).await;
    session.end(printed).await.map(|()| ExitCode::SUCCESS)
}

async fn print(session: &Session, args: &Args) -> Result<(), Failure> {
    let resource = args.resource.0;
    let id = ItemId(args.id.clone());
    let sink = if args.json { Sink::Json } else { Sink::Out };
    if args.follow {
        // However it ends, by the job or by Ctrl-C, all that was asked for has been printed.
        until_over(session, resource, &id, Awaited::Log, sink, &mut Signals::listen()?).await?;
        return Ok(());
    }
    // Looked at first: a name that does not exist has no log either, and waiting for one would say nothing.
    let detail = resource.detail(&session.aws, &id).await?;
    let (_ended, has_ended) = watch::channel(true);
    let (send, mut batches) = mpsc::channel(64);
    let Some(reading) = resource.follow(Arc::clone(&session.aws), &id, detail.metrics, has_ended, send) else {
        return Err(Failure::new(FailureKind::Invalid, format!("{} has no log", args.id), ""));
    };
    let mut follower = JoinSet::new();
    follower.spawn(reading);
    let mut gutter = Gutter::new(sink);
    while let Some(mut batch) = batches.recv().await {
        // The follower would try for ever; who asked for the log as it is now wants to know now.
        let failed = batch.note.take_if(|note| matches!(note, TailNote::Failed(_)));
        gutter.print(batch)?;
        if let Some(TailNote::Failed(failure)) = failed {
            return Err(failure);
        }
    }
    gutter.finish()
}
