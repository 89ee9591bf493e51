//! `footplate local serve`: the region for other programs.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::env;
use crate::cli::attach;
use crate::cli::globals::Globals;
use crate::cli::print;
use crate::cli::session::local_folder;
use crate::cli::signals::Signals;
use crate::config::dirs::{private_folder, replace_file};
use crate::local::Ec2Options;
use crate::local::sagemaker::EngineOptions;
use crate::model::length::seconds;
use crate::model::{Failure, FailureKind};

/// Arguments of `local serve`.
#[derive(clap::Args)]
pub struct Args {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0, value_name = "N")]
    port: u16,
    /// Folder of the region; by default footplate's own
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How much faster than usual the waits between a job's statuses go by
    #[arg(long, default_value_t = 1.0, value_name = "X", value_parser = speed)]
    speed: f64,
    /// Write the environment for AWS clients here once the door is open; removed when it closes
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Memory that each host of a job may use, e.g. 4G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_memory: Option<u64>,
    /// Disk that each host of a job may use, e.g. 10G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_disk: Option<u64>,
    /// Time that a job may take, whatever it asks for, e.g. 2h
    #[arg(long, value_name = "TIME", value_parser = time)]
    max_time: Option<u64>,
    /// How long EC2 hides what was just made from calls that look for it, e.g. 20s: AWS does so for a moment
    #[arg(long, value_name = "TIME", value_parser = time)]
    ec2_unseen: Option<u64>,
}

/// Serves until SIGINT, SIGTERM or SIGHUP; then ends the jobs that are running.
///
/// # Errors
/// When the folder is in use, or the port cannot be had.
pub async fn run(globals: &Globals, args: &Args) -> Result<ExitCode, Failure> {
    let folder = local_folder(globals, args.data.as_ref())?;
    private_folder(&folder)?;
    let mut signals = Signals::listen()?;
    // A program may be waiting for this file: one of an earlier run must not be taken for this one's.
    remove(args.env_file.as_deref())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).await.map_err(|error| {
        Failure::new(
            FailureKind::Machine,
            format!("port {} of 127.0.0.1 cannot be had: {error}", args.port),
            "Choose another with --port, or 0 for any that is free.",
        )
    })?;
    let port = listener.local_addr().map_err(|error| machine("the port", &error))?.port();
    let recipe = globals.recipe_or_bare()?;
    let engine = EngineOptions {
        speed: args.speed,
        memory_bytes: args.max_memory,
        disk_bytes: args.max_disk,
        seconds: args.max_time,
        ..attach::engine(Some(&recipe))?
    };
    let rehearsed = Ec2Options { unseen: Duration::from_secs(args.ec2_unseen.unwrap_or(0)), ..Ec2Options::default() };
    let held = attach::hold_with(&folder, engine, rehearsed).await.map_err(|error| attach::failure(&folder, &error))?;
    let stop = CancellationToken::new();
    let mut door = JoinSet::new();
    door.spawn(Arc::clone(&held.region).serve_tcp(listener, stop.clone()));
    let url = format!("http://127.0.0.1:{port}");
    let opened = announce(&folder, &url, held.region.credentials(), args.env_file.as_deref());
    let served = if let Err(failure) = opened {
        Err(failure)
    } else {
        tokio::select! {
            () = signals.next() => Ok(()),
            ended = door.join_next() => Err(match ended {
                Some(Ok(Err(error))) => machine("the door", &error),
                Some(Err(error)) => machine("the door", &error),
                Some(Ok(Ok(()))) | None => machine("the door", &"it closed"),
            }),
        }
    };
    let running = held.region.running();
    if !running.is_empty() {
        print::progress(&format!("Ending what runs: {}", running.join(", ")));
    }
    let instances = held.region.instances();
    if !instances.is_empty() {
        print::progress(&format!("Halting instances, which come up again with the region: {}", instances.join(", ")));
    }
    stop.cancel();
    held.close().await;
    // Answers under way are still given.
    while door.join_next().await.is_some() {}
    remove(args.env_file.as_deref())?;
    remove(Some(&env::file(&folder)))?;
    served.map(|()| ExitCode::SUCCESS)
}

fn announce(folder: &Path, url: &str, credentials: &crate::local::Credentials, env_file: Option<&Path>) -> Result<(), Failure> {
    let text = env::text(folder, url, credentials)?;
    for file in [Some(env::file(folder).as_path()), env_file].into_iter().flatten() {
        replace_file(file, text.as_bytes()).map_err(|error| machine(&file.display().to_string(), &error))?;
    }
    print::line(&format!("footplate local region: {url}"))
}

fn remove(file: Option<&Path>) -> Result<(), Failure> {
    match file.map(std::fs::remove_file) {
        Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => Err(machine("the old --env-file", &error)),
        _ => Ok(()),
    }
}

fn machine(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Machine, format!("{what}: {error}"), "")
}

fn speed(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|speed| (0.01..=1000.0).contains(speed))
        .ok_or_else(|| "must be a number from 0.01 to 1000".to_owned())
}

fn time(text: &str) -> Result<u64, String> {
    seconds(text)
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "must be a length of time such as 90, 45m or 2h".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: Option<u64> = match text[digits.len()..].to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => Some(1),
        "k" => Some(1 << 10),
        "m" => Some(1 << 20),
        "g" => Some(1 << 30),
        "t" => Some(1 << 40),
        _ => None,
    };
    let bytes = unit.and_then(|unit| digits.parse::<u64>().ok()?.checked_mul(unit)).filter(|bytes| *bytes > 0);
    bytes.ok_or_else(|| "must be a size such as 512M or 4G".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_speeds_and_times() {
        assert_eq!(
            ["1", "512M", "4GiB", "2kb"].map(|text| size(text).ok()),
            [Some(1), Some(512 << 20), Some(4 << 30), Some(2048)]
        );
        assert_eq!(["", "G", "-1G", "4X", "0", "99999999999T"].map(|text| size(text).ok()), [None; 6]);
        assert!(speed("10").is_ok() && speed("0").is_err() && speed("NaN").is_err());
        assert_eq!((time("2h").ok(), time("0").ok()), (Some(7200), None));
    }
}
