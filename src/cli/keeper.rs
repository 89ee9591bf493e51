//! The hidden commands under which jobs of the local region run: see `local::engine::keeper`.

use std::ffi::OsString;
use std::process::ExitCode;

/// Arguments of the hidden commands: the keeper reads them itself.
#[derive(clap::Args)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _args: Vec<OsString>,
}

/// Keeps the children of one host of a job, and ends them when the region ends.
#[must_use]
pub fn keep() -> ExitCode {
    // The one call site of `crate::local::engine::keeper::keep`.
    ExitCode::FAILURE
}

/// Becomes the script of a job, under its limits.
#[must_use]
pub fn exec() -> ExitCode {
    // The one call site of `crate::local::engine::keeper::exec`.
    ExitCode::FAILURE
}
