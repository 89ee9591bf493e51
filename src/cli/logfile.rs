//! The program's own log: `footplate.log` in the state folder, JSON lines, readable by the user alone.
//!
//! `FOOTPLATE_LOG` sets what is written (`debug`, `footplate::aws=trace`, …; `info` by default). Libraries that see
//! credentials or request bodies stay at `info` whatever it says: at finer levels they write secrets.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Mutex;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, filter_fn};
use tracing_subscriber::prelude::*;

use super::globals::Globals;
use super::print;
use crate::config::dirs::{private_file, private_folder};
use crate::model::Failure;

/// A log that has grown beyond this is set aside (one is kept) when the program starts.
const LARGEST: u64 = 10 << 20;

/// Opens the log for this process. A machine that has no room for a log still runs: that is said on stderr and no more.
///
/// # Errors
/// When the home folder is not known, or others could write to the state folder.
pub fn start(globals: &Globals) -> Result<(), Failure> {
    let dirs = globals.dirs()?;
    let opened = private_folder(&dirs.state).and_then(|()| {
        open(&dirs.log()).map_err(|error| {
            Failure::new(crate::model::FailureKind::Machine, format!("no log is kept: {}: {error}", dirs.log().display()), "")
        })
    });
    let file = match opened {
        Ok(file) => file,
        Err(failure) if failure.kind == crate::model::FailureKind::Refused => return Err(failure),
        Err(failure) => {
            print::failure(&failure);
            return Ok(());
        }
    };
    let wanted = std::env::var("FOOTPLATE_LOG").unwrap_or_else(|_| "info".to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| {
        print::progress("footplate: FOOTPLATE_LOG is not understood, using info; write for instance FOOTPLATE_LOG=debug");
        EnvFilter::new("info")
    });
    let lines = tracing_subscriber::fmt::layer().json().with_writer(Mutex::new(file));
    // Fails only when a subscriber is set already, and then there is one.
    let _ = tracing_subscriber::registry().with(filter).with(filter_fn(is_harmless)).with(lines).try_init();
    Ok(())
}

fn open(path: &Path) -> std::io::Result<File> {
    if fs::metadata(path).is_ok_and(|about| about.len() > LARGEST) {
        fs::rename(path, path.with_extension("log.old"))?;
    }
    private_file().create(true).append(true).open(path)
}

/// Nothing finer than `info` from the libraries between us and the wire, and nothing at all from the local region's S3
/// library, to which an object that is not there is an error, nor from the SSH library, which writes a line for whatever a
/// server makes up (what matters of it is told as a failure).
fn is_harmless(about: &Metadata) -> bool {
    let crate_name = about.target().split("::").next().unwrap_or_default();
    if crate_name.starts_with("s3s") || crate_name.starts_with("russh") {
        return false;
    }
    let near_the_wire = ["aws_", "hyper", "rustls", "h2", "http", "tungstenite", "tokio_tungstenite"]
        .iter()
        .any(|start| crate_name.starts_with(start));
    !near_the_wire || *about.level() <= Level::INFO
}
