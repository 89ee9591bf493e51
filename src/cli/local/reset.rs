//! `footplate local reset`: deletes the local region.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::ask;
use crate::cli::attach;
use crate::cli::globals::Globals;
use crate::cli::print;
use crate::cli::session::local_folder;
use crate::local::{OpenError, read_credentials};
use crate::model::{Failure, FailureKind};

/// Arguments of `local reset`.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the region; by default footplate's own
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Delete without asking
    #[arg(long, short)]
    yes: bool,
}

/// Deletes the region's folder, unless a process holds it.
///
/// # Errors
/// When it is held, is no region, or cannot be deleted.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let folder = local_folder(globals, args.data.as_ref())?;
    if !folder.exists() {
        print::line("There is no local region; nothing to do.")?;
        return Ok(ExitCode::SUCCESS);
    }
    // The folder may be any that was named: only one that a region made is deleted.
    if read_credentials(&folder).is_err() {
        let what = format!("{} is not the folder of a local region", folder.display());
        return Err(Failure::new(
            FailureKind::Refused,
            what,
            "Name the region's folder with --data, or delete this one yourself.",
        ));
    }
    ask::confirm(&format!("Delete the local region in {}, with its jobs, logs and buckets?", folder.display()), args.yes)?;
    // Opening takes the lock; a region too damaged to open is just what a reset is for.
    match attach::hold(&folder, attach::engine(None)?).await {
        Ok(held) => held.close().await,
        Err(error @ OpenError::InUse { .. }) => return Err(attach::failure(&folder, &error)),
        Err(OpenError::Io(_) | OpenError::State(_)) => {}
    }
    std::fs::remove_dir_all(&folder).map_err(|error| {
        Failure::new(
            FailureKind::Machine,
            format!("{} cannot be deleted: {error}", folder.display()),
            format!("Delete it yourself: rm -r {}", folder.display()),
        )
    })?;
    print::line("The local region is gone; the next use makes a fresh one.")?;
    Ok(ExitCode::SUCCESS)
}
