//! The hidden commands under which jobs of the local region run: see `local::engine::keeper`.

use std::ffi::OsString;

pub use crate::local::engine::keeper::{exec, keep};

/// Arguments of the hidden commands: the keeper reads them itself.
#[derive(clap::Args)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _args: Vec<OsString>,
}
