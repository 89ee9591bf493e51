//! What a command works with: the connection, the journal and, in local mode, the region.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::attach::{self, Held};
use super::globals::Globals;
use super::print;
use super::signals::Signals;
use crate::aws::{Aws, Connect, Mode};
use crate::config::dirs::private_folder;
use crate::journal::Journal;
use crate::model::{Failure, FailureKind, Ledger, Recipe};

/// What the command is going to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Read only: needs no journal.
    Look,
    /// Send orders: refused without a journal.
    Change,
}

impl Purpose {
    /// Of a command that changes something unless that is only tried.
    #[must_use]
    pub fn unless(dry_run: bool) -> Self {
        if dry_run { Self::Look } else { Self::Change }
    }
}

/// An open connection and what must be closed with it.
pub struct Session {
    pub aws: Arc<Aws>,
    /// Present when this process holds the local region.
    held: Option<Held>,
}

impl Session {
    /// Connects as the flags and the settings say. The network is not touched yet.
    ///
    /// # Errors
    /// When the settings, the journal or the local region cannot be used, no AWS region is known, or `purpose` is to
    /// change something in read-only mode.
    pub async fn open(globals: &Globals, purpose: Purpose, recipe: Option<&Recipe>) -> Result<Self, Failure> {
        let (dirs, settings) = (globals.dirs()?, globals.settings()?);
        let read_only = globals.read_only || settings.read_only;
        if read_only && purpose == Purpose::Change {
            let hint = if globals.read_only { "Leave out --read-only." } else { "Set read_only = false in config.toml." };
            return Err(Failure::new(FailureKind::Refused, "read-only: nothing may be changed", hint));
        }
        let ledger: Option<Arc<dyn Ledger>> = match purpose {
            Purpose::Look => None,
            Purpose::Change => {
                private_folder(&dirs.state)?;
                Some(Arc::new(Journal::open(&dirs.journal())?))
            }
        };
        let (local, held) = match globals.mode() {
            Mode::Local => {
                let (access, held) = attach::attach(&dirs.local(), attach::engine(recipe)?).await?;
                (Some(access), held)
            }
            Mode::Aws => (None, None),
        };
        let connect = Connect {
            mode: globals.mode(),
            profile: globals.profile.clone().or_else(|| settings.profile.filter(|_| unset("AWS_PROFILE"))),
            region: globals
                .region
                .clone()
                .or_else(|| settings.region.filter(|_| unset("AWS_REGION") && unset("AWS_DEFAULT_REGION"))),
            read_only,
            ledger,
            local,
            allow_loopback: globals.allow_loopback,
            pins: Some(dirs.host_keys()),
        };
        match Aws::connect(connect).await {
            Ok(aws) => Ok(Self { aws, held }),
            Err(failure) => {
                if let Some(held) = held {
                    held.close().await;
                }
                Err(failure)
            }
        }
    }

    /// Whether jobs end when this process does.
    #[must_use]
    pub fn holds_region(&self) -> bool {
        self.held.is_some()
    }

    /// Ends what the command came to: closes all after what went well, abandons it after what did not.
    ///
    /// # Errors
    /// The command's own.
    pub async fn end<T>(self, done: Result<T, Failure>) -> Result<T, Failure> {
        if done.is_ok() {
            self.close().await;
        } else {
            self.abandon().await;
        }
        done
    }

    /// Closes all. When this process holds the local region and jobs of others are at work in it (they attached through its
    /// socket), it waits for them, unless asked to end by a signal.
    pub async fn close(self) {
        self.aws.aftermath().await;
        let Some(held) = self.held else { return };
        if let Ok(mut signals) = Signals::listen() {
            tokio::select! {
                () = signals.next() => {}
                () = idle(&held) => {}
            }
        }
        held.close().await;
    }

    /// Closes all at once: jobs in the local region of this process end, orderly, and are named.
    pub async fn abandon(self) {
        self.aws.aftermath().await;
        if let Some(held) = self.held {
            let running = held.region.running();
            if !running.is_empty() {
                print::progress(&format!("Ending what runs in the local region of this process: {}", running.join(", ")));
            }
            let instances = held.region.instances();
            if !instances.is_empty() {
                print::progress(&format!("Halting instances, which come up again with the region: {}", instances.join(", ")));
            }
            held.close().await;
        }
    }
}

/// Returns when no job is at work in the region; says what it waits for, unless that is just being tidied up.
async fn idle(held: &Held) {
    let begun = Instant::now();
    let mut told = false;
    loop {
        let running = held.region.running();
        if running.is_empty() {
            return;
        }
        if begun.elapsed() > Duration::from_secs(1) && !std::mem::replace(&mut told, true) {
            print::progress(&format!(
                "Still at work in the local region of this process: {}. Waiting; Ctrl-C ends them.",
                running.join(", ")
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The folder of the local region: the one named, or the usual one.
///
/// # Errors
/// When the home folder is not known.
pub fn local_folder(globals: &Globals, named: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    named.map_or_else(
        || Ok(globals.dirs()?.local()),
        |folder| {
            std::path::absolute(folder)
                .map_err(|error| Failure::new(FailureKind::Invalid, format!("--data {}: {error}", folder.display()), ""))
        },
    )
}

fn unset(name: &str) -> bool {
    std::env::var_os(name).is_none_or(|value| value.is_empty())
}
