//! The region as one thing: opened on a folder, asked with HTTP requests.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use nix::fcntl::{Flock, FlockArg};
use s3s::service::S3Service;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::buckets::Buckets;
use super::credentials::{Credentials, ensure};
use super::door;
use super::ec2::{Ec2, Ec2Options, Neighbours};
use super::host::Keyring;
use super::logs::Logs;
use super::metrics::Metrics;
use super::sagemaker::{EngineOptions, SageMaker};
use super::sessions::Sessions;
use super::{route, s3};

/// A body of a request or an answer; it may stream.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// What can happen to a body on its way.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body that is there already.
pub fn body(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// How to open a region.
#[derive(Clone, Debug)]
pub struct Options {
    /// Everything the region keeps; made when it is not there.
    pub folder: PathBuf,
    /// The name it goes by, e.g. `us-east-1`.
    pub region: String,
    pub engine: EngineOptions,
}

/// Why a region cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// One process at a time owns a region; others attach to its socket.
    #[error("the local region is in use by {}: attach to it, or end that process first", match pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() })]
    InUse { pid: Option<u32> },
    #[error("the local region's folder cannot be used: {0}")]
    Io(#[from] io::Error),
    #[error("the local region's state cannot be read: {0}")]
    State(String),
}

/// The local region. It owns its folder for as long as it lives, and all the processes it starts.
pub struct LocalRegion {
    pub(super) services: Services,
    pub(super) folder: PathBuf,
    /// Held, not read: the lock goes when the region goes, however it goes.
    _lock: Flock<File>,
    /// The instances' own door closes with the region.
    _door: DropGuard,
}

/// The services behind the door.
pub(super) struct Services {
    pub region: String,
    pub credentials: Credentials,
    pub s3: S3Service,
    pub logs: Arc<Logs>,
    pub metrics: Arc<Metrics>,
    pub sagemaker: Arc<SageMaker>,
    pub ec2: Arc<Ec2>,
    /// What EC2 Instance Connect pushes, and the instances' machines ask.
    pub keys: Arc<Keyring>,
    /// What the instances' metadata service gives out.
    pub sessions: Arc<Sessions>,
}

impl LocalRegion {
    /// Opens the region in its folder: locks it, and makes folder (0700), credentials (0600) and stores when they are new.
    ///
    /// # Errors
    /// When another process holds it, the folder cannot be used, or what is in it cannot be read.
    pub async fn open(options: Options) -> Result<Arc<Self>, OpenError> {
        Self::open_with(options, Ec2Options::default()).await
    }

    /// As [`Self::open`], with more of EC2 to rehearse.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_with(options: Options, ec2: Ec2Options) -> Result<Arc<Self>, OpenError> {
        let opened = tokio::task::spawn_blocking(move || Self::open_blocking(options, ec2)).await;
        opened.map_err(|error| OpenError::State(error.to_string()))?
    }

    /// The one pair of keys that it accepts.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.services.credentials
    }

    /// Answers one request of any service, whatever door it came through.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        route::answer(&self.services, request).await
    }

    /// Names of jobs that are running now: what ends with the region, and for good.
    #[must_use]
    pub fn running(&self) -> Vec<String> {
        self.services.sagemaker.running()
    }

    /// Ids of EC2's instances that are up or coming up. What runs in them ends with the region; they themselves come up again
    /// with it, as after a reboot. Blocks for a moment.
    #[must_use]
    pub fn instances(&self) -> Vec<String> {
        self.services.ec2.running()
    }

    /// Ends all child processes; returns when none is left.
    pub async fn close(&self) {
        tokio::join!(self.services.sagemaker.close(), self.services.ec2.close());
    }

    fn open_blocking(options: Options, rehearsed: Ec2Options) -> Result<Arc<Self>, OpenError> {
        let Options { folder, region, engine } = options;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        let lock = lock(&folder)?;
        let credentials = ensure(&folder)?;
        let buckets = Buckets::open(&folder.join("s3")).map_err(unreadable)?;
        let logs = Arc::new(Logs::open(&folder.join("logs"), &region).map_err(unreadable)?);
        let metrics = Arc::new(Metrics::open(&folder.join("metrics")).map_err(unreadable)?);
        let keys = Arc::new(rehearsed.key_life.map_or_else(Keyring::default, Keyring::lasting));
        let sessions = Arc::new(rehearsed.role_life.map_or_else(Sessions::default, Sessions::lasting));
        let (listener, endpoint) = door::for_instances()?;
        let neighbours = Neighbours { keys: Arc::clone(&keys), sessions: Arc::clone(&sessions), endpoint };
        let ec2 = Ec2::open(&folder.join("ec2"), &region, &engine, neighbours, rehearsed);
        let ec2 = ec2.map_err(|fault| OpenError::State(fault.message))?;
        let sagemaker =
            SageMaker::open(&folder.join("sagemaker"), buckets.clone(), Arc::clone(&logs), Arc::clone(&metrics), engine);
        let sagemaker = sagemaker.map_err(|fault| OpenError::State(fault.message))?;
        let s3 = s3::service(buckets, &region, &credentials, Arc::clone(&sessions));
        let services = Services { region, credentials, s3, logs, metrics, sagemaker, ec2, keys, sessions };
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let region = Arc::new(Self { services, folder, _lock: lock, _door: guard });
        region.serve_instances(listener, stop);
        Ok(region)
    }
}

/// The lock of the folder, with our process id in it for whoever finds it taken.
fn lock(folder: &Path) -> Result<Flock<File>, OpenError> {
    let file = File::options().read(true).write(true).create(true).truncate(false).open(folder.join("lock"))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut lock) => {
            lock.set_len(0)?;
            lock.rewind()?;
            writeln!(lock, "{}", std::process::id())?;
            Ok(lock)
        }
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut text = String::new();
            file.read_to_string(&mut text).ok();
            Err(OpenError::InUse { pid: text.trim().parse().ok() })
        }
        Err((_, error)) => Err(OpenError::Io(error.into())),
    }
}

fn unreadable(error: io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::InvalidData => OpenError::State(format!("{error}; `footplate local reset` starts afresh")),
        _ => OpenError::Io(error),
    }
}
