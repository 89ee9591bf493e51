//! The guard: an interceptor before every client. No call leaves this program without it.
//!
//! 1. Only operations of the table [`OPERATIONS`] are sent at all.
//! 2. In read-only mode nothing that changes something is sent.
//! 3. A call that changes something needs a confirmed order around it ([`super::with_order`]).
//!    Once the credentials are somebody else's than at first, nothing that changes something is sent (see `watched`).
//! 4. The wall: local mode reaches loopback only; real mode reaches neither loopback nor plain HTTP, unless told.
//! 5. The journal: the intent is durable, with the request as it is, before the first byte leaves. Retries inside the SDK
//!    are the same intent. When the call is dropped or times out, the intent is settled as unknown.

mod noted;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use self::noted::{Entry, Noted, lacks_capacity};
use super::order::{Permit, permit};
use super::{Mode, deadline};
use crate::model::{Failure, FailureKind, Intent, Ledger, Settled, command};

/// What an operation does to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Reads,
    Changes,
    /// Changes, many times in one order: all calls of one order into one bucket share an entry of the journal.
    ChangesInBulk,
}

/// Every operation that footplate may send: service and operation as the SDK names them. What is not here is refused.
pub const OPERATIONS: &[(&str, &str, Effect)] = &[
    ("STS", "GetCallerIdentity", Effect::Reads),
    ("SageMaker", "ListTrainingJobs", Effect::Reads),
    ("SageMaker", "DescribeTrainingJob", Effect::Reads),
    ("SageMaker", "ListTags", Effect::Reads),
    ("SageMaker", "CreateTrainingJob", Effect::Changes),
    ("SageMaker", "StopTrainingJob", Effect::Changes),
    ("SageMaker", "ListNotebookInstances", Effect::Reads),
    ("SageMaker", "DescribeNotebookInstance", Effect::Reads),
    ("SageMaker", "ListDomains", Effect::Reads),
    ("SageMaker", "DescribeDomain", Effect::Reads),
    ("SageMaker", "ListUserProfiles", Effect::Reads),
    ("SageMaker", "DescribeUserProfile", Effect::Reads),
    ("SageMaker", "ListSpaces", Effect::Reads),
    ("SageMaker", "DescribeSpace", Effect::Reads),
    ("SageMaker", "ListApps", Effect::Reads),
    ("SageMaker", "DescribeApp", Effect::Reads),
    // They change nothing; what they hand out is a secret, and only the answer has it.
    ("SageMaker", "CreatePresignedNotebookInstanceUrl", Effect::Reads),
    ("SageMaker", "CreatePresignedDomainUrl", Effect::Reads),
    ("SageMaker", "StartNotebookInstance", Effect::Changes),
    ("SageMaker", "StopNotebookInstance", Effect::Changes),
    ("SageMaker", "DeleteNotebookInstance", Effect::Changes),
    ("SageMaker", "DeleteSpace", Effect::Changes),
    ("SageMaker", "DeleteApp", Effect::Changes),
    ("SageMaker", "ListEndpoints", Effect::Reads),
    ("SageMaker", "DescribeEndpoint", Effect::Reads),
    ("SageMaker", "ListEndpointConfigs", Effect::Reads),
    ("SageMaker", "DescribeEndpointConfig", Effect::Reads),
    ("SageMaker", "ListModels", Effect::Reads),
    ("SageMaker", "DescribeModel", Effect::Reads),
    ("SageMaker", "CreateModel", Effect::Changes),
    ("SageMaker", "CreateEndpointConfig", Effect::Changes),
    ("SageMaker", "CreateEndpoint", Effect::Changes),
    ("SageMaker", "UpdateEndpoint", Effect::Changes),
    ("SageMaker", "UpdateEndpointWeightsAndCapacities", Effect::Changes),
    ("SageMaker", "AddTags", Effect::Changes),
    ("SageMaker", "DeleteEndpoint", Effect::Changes),
    ("SageMaker", "DeleteEndpointConfig", Effect::Changes),
    ("SageMaker", "DeleteModel", Effect::Changes),
    // It asks a model; what it answers changes nothing in the account.
    ("SageMaker Runtime", "InvokeEndpoint", Effect::Reads),
    ("SageMaker", "ListHyperParameterTuningJobs", Effect::Reads),
    ("SageMaker", "DescribeHyperParameterTuningJob", Effect::Reads),
    ("SageMaker", "ListTrainingJobsForHyperParameterTuningJob", Effect::Reads),
    ("SageMaker", "CreateHyperParameterTuningJob", Effect::Changes),
    ("SageMaker", "StopHyperParameterTuningJob", Effect::Changes),
    ("CloudWatch Logs", "DescribeLogStreams", Effect::Reads),
    ("CloudWatch Logs", "GetLogEvents", Effect::Reads),
    ("CloudWatch Logs", "DeleteLogGroup", Effect::Changes),
    ("CloudWatch", "GetMetricData", Effect::Reads),
    ("Service Quotas", "ListServiceQuotas", Effect::Reads),
    ("Service Quotas", "ListAWSDefaultServiceQuotas", Effect::Reads),
    ("Pricing", "GetProducts", Effect::Reads),
    ("EC2", "DescribeInstances", Effect::Reads),
    ("EC2", "DescribeInstanceStatus", Effect::Reads),
    ("EC2", "DescribeImages", Effect::Reads),
    ("EC2", "DescribeInstanceTypes", Effect::Reads),
    ("EC2", "DescribeInstanceTypeOfferings", Effect::Reads),
    ("EC2", "DescribeSubnets", Effect::Reads),
    ("EC2", "DescribeSecurityGroups", Effect::Reads),
    ("EC2", "DescribeVolumes", Effect::Reads),
    ("EC2", "DescribeInstanceConnectEndpoints", Effect::Reads),
    ("EC2", "DescribeInstanceAttribute", Effect::Reads),
    ("EC2", "GetConsoleOutput", Effect::Reads),
    ("EC2", "RunInstances", Effect::Changes),
    ("EC2", "StartInstances", Effect::Changes),
    ("EC2", "StopInstances", Effect::Changes),
    ("EC2", "RebootInstances", Effect::Changes),
    ("EC2", "TerminateInstances", Effect::Changes),
    ("EC2", "CreateTags", Effect::Changes),
    ("EC2", "ModifyInstanceAttribute", Effect::Changes),
    ("EC2", "CreateSecurityGroup", Effect::Changes),
    ("EC2", "AuthorizeSecurityGroupIngress", Effect::Changes),
    ("EC2", "DeleteSecurityGroup", Effect::Changes),
    ("EC2", "DeleteVolume", Effect::Changes),
    // It lets the caller's own key in for 60 s and changes nothing in the account; what is done inside is the shell's matter.
    ("EC2 Instance Connect", "SendSSHPublicKey", Effect::Reads),
    ("S3", "ListBuckets", Effect::Reads),
    ("S3", "ListObjectsV2", Effect::Reads),
    ("S3", "ListMultipartUploads", Effect::Reads),
    ("S3", "ListParts", Effect::Reads),
    ("S3", "HeadBucket", Effect::Reads),
    ("S3", "HeadObject", Effect::Reads),
    ("S3", "GetObject", Effect::Reads),
    ("S3", "ListMultipartUploads", Effect::Reads),
    ("S3", "CreateBucket", Effect::Changes),
    ("S3", "PutObject", Effect::ChangesInBulk),
    ("S3", "CreateMultipartUpload", Effect::Changes),
    ("S3", "UploadPart", Effect::ChangesInBulk),
    ("S3", "CompleteMultipartUpload", Effect::Changes),
    ("S3", "AbortMultipartUpload", Effect::Changes),
    ("S3", "DeleteObjects", Effect::Changes),
];

/// What the guard allows.
pub(super) struct Rules {
    pub mode: Mode,
    pub region: String,
    pub read_only: bool,
    pub ledger: Option<Arc<dyn Ledger>>,
    pub local_endpoint: Option<String>,
    pub allow_loopback: bool,
}

/// The interceptor; clones share one state.
#[derive(Clone)]
pub(super) struct Guard(Arc<State>);

struct State {
    rules: Rules,
    read_only: AtomicBool,
    account: OnceLock<String>,
    /// Who we were at first, without the session's name.
    principal: OnceLock<String>,
    /// Set once the credentials are somebody else's.
    frozen: OnceLock<Failure>,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("mode", &self.0.rules.mode).finish_non_exhaustive()
    }
}

/// The guard's no, or a connector's, as it travels through the SDK's errors; [`super::fault`] finds it there.
#[derive(Clone, Debug)]
pub struct Refusal(pub Failure);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.what.fmt(f)
    }
}

impl std::error::Error for Refusal {}

fn refuse(what: impl AsRef<str>, hint: &str) -> BoxError {
    Box::new(Refusal(Failure::new(FailureKind::Refused, what, hint)))
}

impl Guard {
    pub fn new(rules: Rules) -> Self {
        let read_only = AtomicBool::new(rules.read_only);
        Self(Arc::new(State { rules, read_only, account: OnceLock::new(), principal: OnceLock::new(), frozen: OnceLock::new() }))
    }

    pub fn read_only(&self) -> bool {
        self.0.read_only.load(Ordering::SeqCst)
    }

    pub fn set_read_only(&self) {
        self.0.read_only.store(true, Ordering::SeqCst);
    }

    /// For the journal; the first answer stays.
    pub fn set_account(&self, account: &str) {
        let _ = self.0.account.set(account.to_owned());
    }

    /// The credentials' owner, as STS has just said. The first one stays; when another comes, nothing may be changed any
    /// more.
    pub fn met(&self, arn: &str) {
        let principal = principal(arn);
        let first = self.0.principal.get_or_init(|| principal.to_owned());
        if first != principal {
            let what = format!("the credentials have become somebody else's: {principal}, at first {first}");
            let failure = Failure::new(
                FailureKind::Refused,
                what,
                "nothing is changed any more; start footplate again to work as the new one",
            );
            let _ = self.0.frozen.set(failure);
        }
    }

    /// Rules 1 to 3, before credentials are even looked for.
    pub(super) fn allow(&self, service: &str, operation: &str) -> Result<Effect, BoxError> {
        let Some(effect) = effect(service, operation) else {
            return Err(refuse(format!("{operation} ({service}) is not among the operations footplate may send"), ""));
        };
        if effect == Effect::Reads {
            return Ok(effect);
        }
        if self.read_only() {
            return Err(refuse(format!("read-only: {operation} would change something"), "start footplate without --read-only"));
        }
        if let Some(failure) = self.0.frozen.get() {
            return Err(Box::new(Refusal(failure.clone())));
        }
        if self.0.rules.ledger.is_none() {
            return Err(refuse(
                format!("no journal, no {operation}: footplate must be able to note what it is about to do"),
                &format!("see `{}` for why the journal cannot be opened", command("doctor")),
            ));
        }
        if permit().is_none() {
            return Err(refuse(
                format!("{operation} without a confirmed order"),
                "this is a mistake in footplate; nothing was sent",
            ));
        }
        Ok(effect)
    }

    /// Rule 4.
    fn wall(&self, request: &HttpRequest) -> Result<(), BoxError> {
        let uri: http::Uri = request.uri().parse().map_err(|_| refuse("the endpoint is not a URL", "check AWS_ENDPOINT_URL"))?;
        let host = uri.host().unwrap_or_default();
        let rules = &self.0.rules;
        let loopback = is_loopback(host);
        match rules.mode {
            Mode::Local => {
                let ours = rules.local_endpoint.as_deref().and_then(|url| url.parse::<http::Uri>().ok());
                if loopback || ours.is_some_and(|ours| ours.host() == Some(host)) {
                    return Ok(());
                }
                Err(refuse(format!("local mode, but the request would go to {host}"), "nothing was sent"))
            }
            Mode::Aws if loopback && rules.allow_loopback => Ok(()),
            Mode::Aws if loopback => Err(refuse(
                format!("this is the real account, but the request would go to {host} on this machine"),
                "unset AWS_ENDPOINT_URL, or use `footplate --local`",
            )),
            Mode::Aws if uri.scheme_str() != Some("https") => Err(refuse(
                format!("the request to {host} would travel unencrypted"),
                "use an https:// endpoint; check AWS_ENDPOINT_URL",
            )),
            Mode::Aws => Ok(()),
        }
    }

    /// Rule 5: the first attempt notes the intent, later ones only count.
    fn note(
        &self,
        request: &HttpRequest,
        service: &str,
        operation: &str,
        effect: Effect,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(noted) = cfg.load::<Noted>() {
            noted.attempted_again();
            return Ok(());
        }
        let (Some(ledger), Some(permit)) = (&self.0.rules.ledger, permit()) else {
            return Err(refuse(format!("{operation} without a confirmed order"), ""));
        };
        let intent = self.intent(request, service, operation, effect, &permit);
        let noted = if effect == Effect::ChangesInBulk {
            let key = intent.token.clone();
            permit.share(&key, ledger, &intent).map_err(Refusal)?;
            Noted::new(Entry::Shared { permit, key })
        } else {
            let number = ledger.intend(&intent).map_err(Refusal)?;
            Noted::new(Entry::Own { ledger: Arc::clone(ledger), number })
        };
        cfg.interceptor_state().store_put(noted);
        Ok(())
    }

    fn intent(&self, request: &HttpRequest, service: &str, operation: &str, effect: Effect, permit: &Permit) -> Intent {
        let path = request.uri().parse::<http::Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
        let body = request.body().bytes().unwrap_or_default();
        let (token, body) = match (service, effect) {
            ("S3", Effect::ChangesInBulk) => (bulk_key(request, &path), String::new()),
            ("S3", _) => (path, String::from_utf8_lossy(body).into_owned()),
            ("EC2", _) => (token_in(body), String::from_utf8_lossy(body).into_owned()),
            _ => (name_in(body), String::from_utf8_lossy(body).into_owned()),
        };
        Intent {
            order: permit.order.clone(),
            service: service.to_lowercase().replace(' ', "-"),
            operation: operation.to_owned(),
            token,
            request: body,
            mode: self.0.rules.mode.word().to_owned(),
            account: self.0.account.get().cloned().unwrap_or_default(),
            region: self.0.rules.region.clone(),
        }
    }
}

/// An ARN without the name of the session: a renewed session of the same role is still the same.
fn principal(arn: &str) -> &str {
    match arn.rsplit_once('/') {
        Some((role, _)) if arn.contains(":assumed-role/") => role,
        _ => arn,
    }
}

fn effect(service: &str, operation: &str) -> Option<Effect> {
    OPERATIONS.iter().find(|(known, name, _)| *known == service && *name == operation).map(|(_, _, effect)| *effect)
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback() || ip.is_unspecified())
}

/// The bucket that a bulk of objects goes to: the host's first label, or the path's first part.
fn bulk_key(request: &HttpRequest, path: &str) -> String {
    let host = request.uri().parse::<http::Uri>().ok().and_then(|uri| uri.host().map(ToOwned::to_owned)).unwrap_or_default();
    match host.split_once(".s3") {
        Some((bucket, _)) => format!("s3://{bucket}/"),
        None => format!("s3://{}/", path.trim_start_matches('/').split('/').next().unwrap_or_default()),
    }
}

/// The name that makes a repetition of a SageMaker call harmless.
fn name_in(body: &[u8]) -> String {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(body) else { return String::new() };
    let names = [
        "TrainingJobName",
        "HyperParameterTuningJobName",
        "NotebookInstanceName",
        "AppName",
        "SpaceName",
        "EndpointName",
        "EndpointConfigName",
        "ModelName",
        "ResourceArn",
        "ClientToken",
    ];
    // An endpoint is created with its configuration's name as well: the thing's own name comes first.
    names.iter().find_map(|key| members.get(*key)?.as_str()).unwrap_or_default().to_owned()
}

/// What makes a repetition of an EC2 call harmless: its client token, else the thing that it is about. (Its requests are forms.)
fn token_in(body: &[u8]) -> String {
    let names = ["ClientToken", "InstanceId.1", "InstanceId", "ResourceId.1", "GroupId", "GroupName"];
    let text = String::from_utf8_lossy(body);
    let value = |name: &str| text.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let raw = names.iter().find_map(|name| value(name)).unwrap_or_default();
    percent_encoding::percent_decode_str(raw).decode_utf8_lossy().into_owned()
}

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "footplate guard"
    }

    fn modify_before_retry_loop(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (service, operation) = named(cfg)?;
        self.allow(&service, &operation)?;
        cfg.interceptor_state().store_put(deadline::attempt(&service, &operation));
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let (service, operation) = named(cfg)?;
        // Asked again for each attempt: read-only mode may have come meanwhile.
        let effect = self.allow(&service, &operation)?;
        self.wall(context.request())?;
        if effect == Effect::Reads { Ok(()) } else { self.note(context.request(), &service, &operation, effect, cfg) }
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The SDK tries again after any answer of 5xx, also after one that says no.
        if let (Some(noted), Some(response)) = (cfg.load::<Noted>(), context.response())
            && (response.status().is_client_error() || lacks_capacity(response.body().bytes().unwrap_or_default()))
        {
            noted.refused();
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        cfg: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(noted) = cfg.load::<Noted>() {
            noted.settle(match context.output_or_error() {
                Some(Ok(_)) => Settled::Done,
                // A refusal after a lost answer proves nothing about the first attempt.
                Some(Err(error)) if noted.all_refused() => Settled::Refused(super::fault::plain(error)),
                Some(Err(error)) => Settled::Unknown(super::fault::plain(error)),
                None => Settled::Unknown("the call did not end".to_owned()),
            });
        }
        Ok(())
    }
}

fn named(cfg: &ConfigBag) -> Result<(String, String), BoxError> {
    let metadata = cfg.load::<Metadata>().ok_or_else(|| refuse("a request without a name", ""))?;
    Ok((metadata.service().to_owned(), metadata.name().to_owned()))
}

#[cfg(test)]
mod tests;
