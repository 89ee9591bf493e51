//! Everything that speaks to AWS: clients with deadlines and a guard, errors told as [`Failure`]s, the log follower, script
//! mode, prices. Level 1: knows `model` only. Nothing else in the crate but `resource` names the SDK.
//!
//! The one way in is [`Aws`]. It talks to AWS or to the local region through the same clients; what answers is a matter of
//! [`Connect`]. Every call passes the guard (see [`guard`]); a call that changes something also needs an order around it
//! ([`with_order`]) and a ledger to be noted in first.

pub mod bucket;
mod clients;
mod deadline;
pub mod download;
pub mod fault;
pub mod guard;
pub mod hosting;
pub mod instance_types;
pub mod machines;
mod order;
pub mod orphans;
pub mod price;
pub mod pricing;
mod profiles;
pub mod quota;
pub mod repack;
pub mod s3_uri;
pub mod script_mode;
#[cfg(test)]
pub(crate) mod scripted;
pub mod spending;
pub mod tail;
pub mod time;
pub mod tunnel;
pub mod upload;
mod usage;
mod watched;

use std::any::Any;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use order::Aftermath;
use tokio::sync::OnceCell;

use crate::model::{Failure, FailureKind, Ledger, Safe};

pub use order::{current_order, with_order};

/// What answers: the emulator inside this program, or the real thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Local,
    Aws,
}

impl Mode {
    /// The word for the journal and the header.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Aws => "aws",
        }
    }
}

/// How to reach the local region.
pub struct LocalAccess {
    /// In-process transport, or an ordinary HTTP client for a served region.
    pub http: SharedHttpClient,
    /// E.g. `http://127.0.0.1:4566`.
    pub endpoint: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub region: String,
}

/// What to connect to and what is allowed there.
pub struct Connect {
    pub mode: Mode,
    /// A profile of `~/.aws/config`; absent: what the environment says.
    pub profile: Option<String>,
    /// Absent: the environment's, then the profile's.
    pub region: Option<String>,
    pub read_only: bool,
    /// Where mutating calls are noted before they are sent. `None`: they are refused ("no journal, no launch").
    pub ledger: Option<Arc<dyn Ledger>>,
    /// Present in local mode.
    pub local: Option<LocalAccess>,
    /// Real mode told to accept loopback and plain HTTP there (another emulator).
    pub allow_loopback: bool,
    /// File of the host keys that are pinned; where there is none, no machine is connected to.
    pub pins: Option<PathBuf>,
}

/// Who the service says we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Twelve digits.
    pub account: String,
    pub arn: Safe,
}

/// The clients, the guard before them, and what is remembered between calls.
pub struct Aws {
    myself: Weak<Self>,
    mode: Mode,
    region: String,
    pins: Option<PathBuf>,
    guard: guard::Guard,
    /// For what is signed without a client.
    credentials: Option<SharedCredentialsProvider>,
    pub sagemaker: aws_sdk_sagemaker::Client,
    pub s3: aws_sdk_s3::Client,
    pub logs: aws_sdk_cloudwatchlogs::Client,
    pub cloudwatch: aws_sdk_cloudwatch::Client,
    pub runtime: aws_sdk_sagemakerruntime::Client,
    pub quotas: aws_sdk_servicequotas::Client,
    pub pricing: aws_sdk_pricing::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub instance_connect: aws_sdk_ec2instanceconnect::Client,
    sts: aws_sdk_sts::Client,
    identity: OnceCell<Identity>,
    memos: Mutex<HashMap<&'static str, Box<dyn Any + Send>>>,
    /// What is still being tidied up behind orders that have ended.
    after: Aftermath,
}

impl Aws {
    /// Builds configuration and clients. Touches no network: credentials are resolved by the first call.
    ///
    /// # Errors
    /// When no region is known, or local mode lacks its access.
    pub async fn connect(connect: Connect) -> Result<Arc<Self>, Failure> {
        let settings = match (connect.mode, &connect.local) {
            (Mode::Local, Some(local)) => clients::local_settings(local),
            (Mode::Local, None) => {
                return Err(Failure::new(
                    FailureKind::Machine,
                    "the local region is not running",
                    "start it with `footplate local serve`, or use `footplate --local`",
                ));
            }
            (Mode::Aws, _) => clients::aws_settings(connect.profile.as_deref(), connect.region.as_deref()).await?,
        };
        let region = settings.region().map(ToString::to_string).unwrap_or_default();
        let endpoint = connect.local.as_ref().map(|local| local.endpoint.clone());
        let guard = guard::Guard::new(guard::Rules {
            mode: connect.mode,
            region: region.clone(),
            read_only: connect.read_only,
            ledger: connect.ledger,
            local_endpoint: endpoint,
            allow_loopback: connect.allow_loopback,
        });
        let watched = clients::watched(settings, &guard);
        let made = clients::clients(&watched, &guard);
        Ok(Arc::new_cyclic(|myself| Self {
            myself: myself.clone(),
            credentials: watched.credentials_provider(),
            mode: connect.mode,
            region,
            pins: connect.pins,
            guard,
            sagemaker: made.sagemaker,
            s3: made.s3,
            logs: made.logs,
            cloudwatch: made.cloudwatch,
            runtime: made.runtime,
            quotas: made.quotas,
            pricing: made.pricing,
            ec2: made.ec2,
            instance_connect: made.instance_connect,
            sts: made.sts,
            identity: OnceCell::new(),
            memos: Mutex::default(),
            after: Aftermath::default(),
        }))
    }

    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// These very clients, for what outlives the borrow. (None only while they are being dropped.)
    #[must_use]
    pub fn shared(&self) -> Option<Arc<Self>> {
        self.myself.upgrade()
    }

    /// The file of the host keys that are pinned.
    #[must_use]
    pub fn pins(&self) -> Option<&Path> {
        self.pins.as_deref()
    }

    #[must_use]
    pub fn read_only(&self) -> bool {
        self.guard.read_only()
    }

    /// Forbids every mutating call from now on; there is no way back while this `Aws` lives.
    pub fn set_read_only(&self) {
        self.guard.set_read_only();
    }

    /// The caller's identity by STS `GetCallerIdentity`, asked once.
    ///
    /// # Errors
    /// When the call fails; the next call tries again.
    pub async fn identity(&self) -> Result<Identity, Failure> {
        let ask = || async {
            let out = self.sts.get_caller_identity().send().await.map_err(|error| fault::tell("asking who we are", &error))?;
            let account = out.account().unwrap_or_default().to_owned();
            self.guard.set_account(&account);
            self.guard.met(out.arn().unwrap_or_default());
            Ok(Identity { account, arn: Safe::line(out.arn().unwrap_or_default()) })
        };
        self.identity.get_or_try_init(ask).await.cloned()
    }

    /// Where orders that are called off leave what must still be done.
    pub(in crate::aws) fn after(&self) -> Aftermath {
        self.after.clone()
    }

    /// Waits until all is tidied up behind the orders that were called off.
    pub async fn aftermath(&self) {
        self.after.over().await;
    }

    /// Lends what is remembered under `key` between calls; made by `Default` at first. Not for use across an `await`.
    pub fn memo<T: Default + Send + 'static, R>(&self, key: &'static str, with: impl FnOnce(&mut T) -> R) -> R {
        let mut memos = self.memos.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = memos.entry(key).or_insert_with(|| Box::new(T::default()));
        if !slot.is::<T>() {
            *slot = Box::new(T::default());
        }
        match slot.downcast_mut::<T>() {
            Some(memo) => with(memo),
            // Unreachable: the slot was made of `T` above.
            None => with(&mut T::default()),
        }
    }
}
