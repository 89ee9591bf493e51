//! `footplate man [COMMAND]...`: the manual page, e.g. `footplate man | man -l -`.

use std::process::ExitCode;

use clap::CommandFactory;

use super::{Cli, print};
use crate::model::{Failure, FailureKind};

/// Arguments of `man`.
#[derive(clap::Args)]
pub struct Args {
    /// Command to describe; the whole program by default
    pub command: Vec<String>,
}

/// Prints the page.
///
/// # Errors
/// When there is no such command, or stdout is gone or full.
pub fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut page = Cli::command();
    page.build();
    for name in &args.command {
        let Some(below) = page.find_subcommand(name).filter(|below| !below.is_hide_set()) else {
            return Err(Failure::new(
                FailureKind::Invalid,
                format!("there is no command `{name}`"),
                "footplate --help lists the commands.",
            ));
        };
        page = below.clone();
    }
    let mut text = Vec::new();
    let rendered = clap_mangen::Man::new(page).render(&mut text);
    rendered.map_err(|error| Failure::new(FailureKind::Machine, format!("the page cannot be made: {error}"), ""))?;
    print::raw(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::SUCCESS)
}
