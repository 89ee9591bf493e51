//! The hidden commands under which jobs and machines of the local region run: see [`crate::local::engine::keeper`] and
//! [`crate::local::host::init`].

use std::ffi::OsString;

/// Arguments of the hidden commands: the keeper reads them itself.
#[derive(clap::Args)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _args: Vec<OsString>,
}

pub use crate::local::engine::keeper::{exec, keep};
pub use crate::local::host::init::{machine, session};
