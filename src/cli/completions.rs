//! `footplate completions SHELL`.

use std::process::ExitCode;

use clap::CommandFactory;

use super::{Cli, print};
use crate::model::Failure;

/// Arguments of `completions`.
#[derive(clap::Args)]
pub struct Args {
    /// Shell to complete for
    pub shell: clap_complete::Shell,
}

/// Prints the completion script.
///
/// # Errors
/// When stdout is gone or full.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "footplate", &mut script);
    print::raw(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
