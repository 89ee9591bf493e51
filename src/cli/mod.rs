//! The command line, level 5: one file per command.
//!
//! Names, flags and exit codes are fixed, for scripts depend on them: 0 done, 1 failed, 2 usage or invalid input,
//! 3 refused (read-only, no journal, not confirmed, quota). Human output goes to stdout, progress to stderr, and all of
//! it passes through [`crate::model::Safe`]. Without a terminal nothing prompts: it refuses and names the flag to add.

mod ask;
mod attach;
mod cockpit;
mod completions;
mod connector;
mod cost;
mod cp;
mod deploy;
mod doctor;
mod download;
mod globals;
mod gutter;
mod instance;
mod invoke;
mod json;
mod keeper;
mod kind;
mod launch;
mod local;
mod logfile;
mod login;
mod logs;
mod ls;
mod man;
mod orders;
mod orphans;
mod outlet;
mod print;
mod session;
mod show;
mod signals;
mod ssh;
mod stop;
mod train;
mod tune;
mod update;
mod upload;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::model::{Failure, FailureKind, Verb, called_with};
use globals::Globals;

/// The whole command line.
#[derive(Parser)]
#[command(
    name = "footplate",
    version,
    about = "A terminal cockpit for training runs on AWS",
    long_about = "A terminal cockpit for training runs on AWS: watch, launch, follow and stop SageMaker jobs, and rehearse it all on a local region that really trains, without an account.\n\nWithout a command it opens the cockpit.",
    after_help = "Exit codes: 0 done, 1 failed, 2 usage or invalid input, 3 refused.\nFirst steps without an account: footplate --local",
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(flatten)]
    cockpit: cockpit::Args,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// List things of one kind
    Ls(ls::Args),
    /// Show everything about one thing
    Show(show::Args),
    /// Print a log, to its present end or, with --follow, until the job is over
    Logs(logs::Args),
    /// Start what is stopped
    Start(stop::Args),
    /// Stop jobs
    Stop(stop::Args),
    /// Reboot machines
    Reboot(stop::Args),
    /// Change what is there: an instance's lease and type, an endpoint's model and size
    Update(update::Args),
    /// Delete things
    Delete(stop::Args),
    /// Upload a folder or a .zip to S3
    Upload(upload::Args),
    /// Download an object or a folder from S3
    Download(download::Args),
    /// Launch a training job from the project file
    Train(train::Args),
    /// Say what runs now for how much an hour, and what ended jobs have cost
    Cost(cost::Args),
    /// Log in to an instance, or run a command on it
    Ssh(ssh::Args),
    /// Copy files and folders to an instance, or from it
    Cp(cp::Args),
    /// Put a trained model behind an endpoint
    Deploy(deploy::Args),
    /// Launch an EC2 instance to experiment on, with a lease
    Instance(instance::Args),
    /// Send an endpoint something to predict
    Invoke(invoke::Args),
    /// List what is left behind and costs or clutters
    Orphans(orphans::Args),
    /// Launch a tuning job from the project file
    Tune(tune::Args),
    /// Check this machine, the project, the journal, credentials and permissions
    Doctor(doctor::Args),
    /// Serve, inspect or reset the local region
    Local(local::Args),
    /// Print a completion script
    Completions(completions::Args),
    /// Print a manual page
    Man(man::Args),
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match parse(std::env::args_os()) {
        Ok(cli) => cli,
        // Help and version go to stdout and are no error; clap knows which is which.
        Err(error) => {
            let code = u8::from(error.use_stderr()) * 2;
            return if error.print().is_ok() || code != 0 { ExitCode::from(code) } else { ExitCode::FAILURE };
        }
    };
    match run(cli) {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(failure) if print::is_enough(&failure) => ExitCode::SUCCESS,
        Err(failure) => {
            print::failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let cli = Cli::try_parse_from(args)?;
    cli.globals.check().map_err(|message| Cli::command().error(clap::error::ErrorKind::ArgumentConflict, message))?;
    Ok(cli)
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let globals = cli.globals;
    let command = match cli.command {
        // These need neither folders nor a runtime; the keeper must not have one, for it forks.
        Some(Command::Completions(args)) => return completions::run(&args),
        Some(Command::Man(args)) => return man::run(&args),
        Some(Command::Local(local::Args { command: local::Command::Keep(_) })) => return Ok(keeper::keep()),
        Some(Command::Local(local::Args { command: local::Command::Exec(_) })) => return Ok(keeper::exec()),
        Some(Command::Local(local::Args { command: local::Command::Machine(_) })) => return Ok(keeper::machine()),
        Some(Command::Local(local::Args { command: local::Command::Session(_) })) => return Ok(keeper::session()),
        command => command,
    };
    called_with(&globals.words());
    logfile::start(&globals)?;
    runtime()?.block_on(async {
        let Some(command) = command else { return cockpit::run(&globals, &cli.cockpit).await };
        match command {
            Command::Ls(args) => ls::run(&globals, &args).await,
            Command::Show(args) => show::run(&globals, &args).await,
            Command::Logs(args) => logs::run(&globals, &args).await,
            Command::Start(args) => stop::run(&globals, Verb::Start, &args).await,
            Command::Reboot(args) => stop::run(&globals, Verb::Reboot, &args).await,
            Command::Stop(args) => stop::run(&globals, Verb::Stop, &args).await,
            Command::Update(args) => update::run(&globals, &args).await,
            Command::Delete(args) => stop::run(&globals, Verb::Delete, &args).await,
            Command::Upload(args) => upload::run(&globals, &args).await,
            Command::Download(args) => download::run(&globals, &args).await,
            Command::Train(args) => train::run(&globals, &args).await,
            Command::Cost(args) => cost::run(&globals, &args).await,
            Command::Ssh(args) => ssh::run(&globals, &args).await,
            Command::Cp(args) => cp::run(&globals, &args).await,
            Command::Deploy(args) => deploy::run(&globals, &args).await,
            Command::Instance(args) => instance::run(&globals, &args).await,
            Command::Invoke(args) => invoke::run(&globals, &args).await,
            Command::Orphans(args) => orphans::run(&globals, &args).await,
            Command::Tune(args) => tune::run(&globals, &args).await,
            Command::Doctor(args) => doctor::run(&globals, &args).await,
            Command::Local(args) => local::run(&globals, &args).await,
            Command::Completions(_) | Command::Man(_) => Ok(ExitCode::SUCCESS),
        }
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|error| {
        Failure::new(
            FailureKind::Machine,
            format!("cannot start: {error}"),
            "Raise the limits on processes and open files (ulimit -u, ulimit -n).",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_holds() {
        Cli::command().debug_assert();
    }

    #[test]
    fn local_and_an_account_exclude_each_other_wherever_they_stand() {
        let parse = |line: &str| parse(line.split(' ').map(OsString::from));
        assert!(parse("footplate --local doctor").is_ok());
        assert!(parse("footplate doctor --profile work --region eu-west-1").is_ok());
        for line in
            ["footplate --local doctor --profile work", "footplate --region x doctor --local", "footplate --local --profile p"]
        {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line} must be refused"));
            assert_eq!(error.exit_code(), 2);
        }
    }
}
