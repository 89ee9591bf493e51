//! `footplate local`: the local region by itself.

mod env;
mod reset;
mod serve;

use std::process::ExitCode;

use clap::Subcommand;

use super::globals::Globals;
use super::keeper;
use crate::model::Failure;

/// Arguments of `local`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

/// Commands of `local`.
#[derive(Subcommand)]
pub enum Command {
    /// Open the local region's door on 127.0.0.1 for any AWS client
    Serve(serve::Args),
    /// Print the environment that leads AWS clients to the served region: eval "$(footplate local env)"
    Env(env::Args),
    /// Delete the local region: its jobs, logs and buckets
    Reset(reset::Args),
    /// Keep the processes of a job
    #[command(hide = true)]
    Keep(keeper::Args),
    /// Become the script of a job
    #[command(hide = true)]
    Exec(keeper::Args),
    /// Keep the processes of a machine
    #[command(hide = true)]
    Machine(keeper::Args),
    /// Become a process of a machine
    #[command(hide = true)]
    Session(keeper::Args),
}

/// Runs a command of `local`.
///
/// # Errors
/// As the command says.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Serve(args) => serve::run(globals, args).await,
        Command::Env(args) => env::run(globals, args).await,
        Command::Reset(args) => reset::run(globals, args).await,
        // Dispatched before there was a runtime.
        Command::Keep(_) => Ok(keeper::keep()),
        Command::Exec(_) => Ok(keeper::exec()),
        Command::Machine(_) => Ok(keeper::machine()),
        Command::Session(_) => Ok(keeper::session()),
    }
}
