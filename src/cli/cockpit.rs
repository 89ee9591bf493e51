//! `footplate` without a command: the cockpit.

use std::path::PathBuf;
use std::process::ExitCode;

use super::globals::Globals;
use crate::model::{Failure, FailureKind};

/// Flags of the cockpit alone.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Theme of the cockpit
    #[arg(long, value_name = "NAME")]
    pub theme: Option<String>,
    /// Record what happens in the cockpit to a file
    #[arg(long, value_name = "FILE", conflicts_with = "replay")]
    pub record: Option<PathBuf>,
    /// Replay a recorded file in the cockpit
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
}

/// Opens the cockpit.
///
/// # Errors
/// Always, until the cockpit is merged.
pub fn run(_globals: &Globals, _args: &Args) -> Result<ExitCode, Failure> {
    // The one call site of `crate::runtime::cockpit`.
    Err(Failure::new(FailureKind::Machine, "the cockpit is not built yet", "Use the commands: footplate --help"))
}
