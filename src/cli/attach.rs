//! The only glue between `local` and `aws`: how the SDK's clients come to the local region.
//!
//! One process holds the region's folder; the others attach to it through its Unix socket. So two cockpits, or a cockpit
//! and `footplate train --local`, see the same jobs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::connector::{self, ENDPOINT};
use crate::aws::LocalAccess;
use crate::config::dirs::private_folder;
use crate::local::sagemaker::{EngineOptions, REGION};
use crate::local::{self, Credentials, Ec2Options, LocalRegion, OpenError, Options};
use crate::model::{Failure, FailureKind, Recipe};

/// How long to wait for a process that is just opening or closing the region.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a command that must hold the region itself waits for one that does so briefly.
const MOMENT: Duration = Duration::from_secs(2);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// The region held by this process, with its socket open for others. Jobs end with it.
pub struct Held {
    pub region: Arc<LocalRegion>,
    stop: CancellationToken,
    door: JoinHandle<()>,
}

impl Held {
    /// Opens the region's folder and its socket.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process holds it, or when the folder cannot be used.
    pub async fn open(folder: &Path, engine: EngineOptions) -> Result<Self, OpenError> {
        Self::open_with(folder, engine, Ec2Options::default()).await
    }

    async fn open_with(folder: &Path, engine: EngineOptions, ec2: Ec2Options) -> Result<Self, OpenError> {
        let options = Options { folder: folder.to_owned(), region: REGION.to_owned(), engine };
        let region = LocalRegion::open_with(options, ec2).await?;
        let stop = CancellationToken::new();
        let served = Arc::clone(&region).serve_unix(stop.clone());
        let door = tokio::spawn(async move {
            match served {
                Ok(served) => served.await,
                // Others cannot attach; this process is not hurt by that.
                Err(error) => tracing::warn!(%error, "the local region's socket cannot be served"),
            }
        });
        Ok(Self { region, stop, door })
    }

    /// Ends the jobs and closes the region; returns when no child is left.
    pub async fn close(self) {
        self.stop.cancel();
        self.region.close().await;
        let _ = self.door.await;
    }
}

/// Holds the region in that folder. A process that holds it only for a moment, as every command on the local region does,
/// is waited for.
///
/// # Errors
/// As [`Held::open`], when another process still holds it after that.
pub async fn hold(folder: &Path, engine: EngineOptions) -> Result<Held, OpenError> {
    hold_with(folder, engine, Ec2Options::default()).await
}

/// As [`hold`], with more of EC2 to rehearse.
///
/// # Errors
/// As [`hold`].
pub async fn hold_with(folder: &Path, engine: EngineOptions, ec2: Ec2Options) -> Result<Held, OpenError> {
    let deadline = Instant::now() + MOMENT;
    loop {
        match Held::open_with(folder, engine.clone(), ec2).await {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            other => return other,
        }
    }
}

/// Comes to the local region in that folder: holds it, or attaches to the process that does.
///
/// # Errors
/// When the folder cannot be used, or its holder does not answer.
pub async fn attach(folder: &Path, engine: EngineOptions) -> Result<(LocalAccess, Option<Held>), Failure> {
    private_folder(folder)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let holder = match Held::open(folder, engine.clone()).await {
            Ok(held) => {
                let http = connector::in_process(Arc::clone(&held.region));
                return Ok((access(http, held.region.credentials()), Some(held)));
            }
            Err(OpenError::InUse { pid }) => pid,
            Err(error) => return Err(failure(folder, &error)),
        };
        let socket = local::socket_path(folder);
        if UnixStream::connect(&socket).await.is_ok()
            && let Ok(credentials) = local::read_credentials(folder)
        {
            return Ok((access(connector::over_unix(socket), &credentials), None));
        }
        if Instant::now() > deadline {
            return Err(failure(folder, &OpenError::InUse { pid: holder }));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn access(http: aws_smithy_runtime_api::client::http::SharedHttpClient, credentials: &Credentials) -> LocalAccess {
    LocalAccess {
        http,
        endpoint: ENDPOINT.to_owned(),
        access_key_id: credentials.access_key_id.clone(),
        secret_access_key: credentials.secret_access_key.clone(),
        region: REGION.to_owned(),
    }
}

/// Why a region could not be opened, with the remedy.
#[must_use]
pub fn failure(folder: &Path, error: &OpenError) -> Failure {
    let folder = folder.display();
    match error {
        OpenError::InUse { pid } => {
            let holder = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
            let what = format!("the local region in {folder} is in use by {holder}");
            Failure::new(
                FailureKind::Conflict,
                what,
                "Quit that footplate first, or use the region through it: footplate --local attaches by itself.",
            )
        }
        OpenError::Io(error) => {
            let hint = format!("Free some room, or make {folder} a folder that you can write to.");
            Failure::new(FailureKind::Machine, format!("the local region in {folder} cannot be used: {error}"), hint)
        }
        OpenError::State(said) => {
            let what = format!("the local region in {folder} is damaged: {said}");
            Failure::new(
                FailureKind::Machine,
                what,
                "Start afresh with: footplate local reset (its jobs, logs and buckets are lost)",
            )
        }
    }
}

/// How this process runs jobs if it comes to hold the region: the project's interpreter, no limits.
///
/// # Errors
/// When the program cannot find itself.
pub fn engine(recipe: Option<&Recipe>) -> Result<EngineOptions, Failure> {
    let keeper = std::env::current_exe().map_err(|error| {
        Failure::new(
            FailureKind::Machine,
            format!("footplate cannot find its own program file: {error}"),
            "Start it by its full path.",
        )
    })?;
    Ok(EngineOptions { keeper, python: python(recipe), speed: 1.0, memory_bytes: None, disk_bytes: None, seconds: None })
}

/// The interpreter for scripts: the project's choice (a path is relative to the project), else `python3`, by its full path
/// when it is on the PATH.
#[must_use]
pub fn python(recipe: Option<&Recipe>) -> PathBuf {
    let chosen = recipe.and_then(|recipe| recipe.local_python.as_ref().map(|python| (recipe, python)));
    match chosen {
        Some((recipe, python)) if python.components().count() > 1 => recipe.root.join(python),
        Some((_, python)) => on_path(python),
        None => on_path(Path::new("python3")),
    }
}

fn on_path(name: &Path) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_chooses_the_interpreter() {
        let recipe =
            |python: &str| Recipe { root: PathBuf::from("/p"), local_python: Some(PathBuf::from(python)), ..Recipe::default() };
        assert_eq!(python(Some(&recipe("venv/bin/python"))), Path::new("/p/venv/bin/python"));
        assert_eq!(python(Some(&recipe("/usr/bin/pypy"))), Path::new("/usr/bin/pypy"));
        assert_eq!(python(Some(&recipe("no-such-python"))), Path::new("no-such-python"));
    }
}
