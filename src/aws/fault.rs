//! The SDK's errors told as [`Failure`]s: once, here, with a remedy. Codes as the services really send them, which is not
//! always what their models say (e.g. an unknown training job is a `ValidationException`).

use std::error::Error;
use std::sync::LazyLock;

use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use regex::Regex;

use super::guard::Refusal;
use crate::model::{Failure, FailureKind};

/// Tells what went wrong while `doing` ("listing training jobs").
pub fn tell<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(failure) = from_inside(doing, error) {
        return failure;
    }
    match error {
        SdkError::TimeoutError(_) => timeout(doing),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => timeout(doing),
        SdkError::DispatchFailure(_) => Failure::new(
            FailureKind::Network,
            format!("{doing}: no connection ({})", innermost(error)),
            "check the network, VPN and proxy settings; footplate tries again by itself",
        ),
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            from_code(doing, status, service.err().code().unwrap_or_default(), service.err().message().unwrap_or_default())
        }
        SdkError::ResponseError(response) => {
            let status = response.raw().status().as_u16();
            Failure::new(
                FailureKind::Service,
                format!("{doing}: an answer that is not from AWS (HTTP {status}: {})", innermost(error)),
                "a proxy or a captive portal may be in between",
            )
        }
        _ => Failure::new(FailureKind::Invalid, format!("{doing}: {}", innermost(error)), ""),
    }
}

fn timeout(doing: &str) -> Failure {
    Failure::new(
        FailureKind::Timeout,
        format!("{doing}: no answer within the deadline"),
        "check the network; footplate tries again by itself",
    )
}

/// What our own guard or the credential providers said, wherever it sits in the chain of causes.
fn from_inside(doing: &str, error: &(dyn Error + 'static)) -> Option<Failure> {
    let mut cause = Some(error);
    while let Some(this) = cause {
        if let Some(Refusal(failure)) = this.downcast_ref::<Refusal>() {
            return Some(failure.clone());
        }
        if let Some(credentials) = this.downcast_ref::<CredentialsError>() {
            return Some(from_credentials(doing, credentials));
        }
        cause = this.source();
    }
    None
}

fn from_credentials(doing: &str, error: &CredentialsError) -> Failure {
    let said = innermost(error);
    let lower = said.to_lowercase();
    if lower.contains("expired") || lower.contains("sso login") || lower.contains("token not found") {
        return expired(doing);
    }
    match error {
        CredentialsError::CredentialsNotLoaded(_) => no_credentials(doing),
        CredentialsError::ProviderTimedOut(_) => {
            Failure::new(FailureKind::Timeout, format!("{doing}: the credentials took too long"), REMEDY)
        }
        CredentialsError::InvalidConfiguration(_) => Failure::new(
            FailureKind::NoCredentials,
            format!("{doing}: the AWS configuration is wrong: {said}"),
            "check ~/.aws/config and ~/.aws/credentials",
        ),
        _ => Failure::new(FailureKind::NoCredentials, format!("{doing}: no credentials: {said}"), REMEDY),
    }
}

const REMEDY: &str =
    "run `aws configure`, or `aws sso login --profile P` and add `--profile P`; `footplate --local` needs no account";

fn no_credentials(doing: &str) -> Failure {
    Failure::new(FailureKind::NoCredentials, format!("{doing}: no AWS credentials found"), REMEDY)
}

fn expired(doing: &str) -> Failure {
    Failure::new(
        FailureKind::Expired,
        format!("{doing}: the AWS session has expired"),
        "run `aws sso login` (with `--profile P` if you use one), or get new keys; footplate goes on by itself",
    )
}

/// Sorts a service's answer by its code, then its status.
fn from_code(doing: &str, status: u16, code: &str, message: &str) -> Failure {
    let said = if message.is_empty() {
        if code.is_empty() { format!("HTTP {status}") } else { code.to_owned() }
    } else {
        message.to_owned()
    };
    let what = format!("{doing}: {said}");
    let lower = said.to_lowercase();
    match code {
        "ExpiredToken" | "ExpiredTokenException" | "RequestExpired" | "TokenRefreshRequired" => return expired(doing),
        "CredentialsNotLoaded" | "MissingAuthenticationToken" | "MissingAuthenticationTokenException" => {
            return no_credentials(doing);
        }
        "UnrecognizedClientException" | "InvalidClientTokenId" | "InvalidAccessKeyId" | "AuthFailure" => {
            return Failure::new(
                FailureKind::Denied,
                what,
                "the access key is not valid (any more): run `aws configure`, or choose another `--profile`",
            );
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "RequestTimeTooSkewed" => {
            return Failure::new(FailureKind::Denied, what, "check this machine's clock, then the secret key (`aws configure`)");
        }
        "ResourceLimitExceeded" | "ServiceQuotaExceededException" | "TooManyBuckets" => return quota(doing, &said),
        "ResourceInUse"
        | "ResourceInUseException"
        | "ConflictException"
        | "BucketAlreadyExists"
        | "BucketNotEmpty"
        | "OperationAborted" => {
            return Failure::new(FailureKind::Conflict, what, "choose another name, or wait until it is free");
        }
        "ResourceNotFound" | "ResourceNotFoundException" | "NoSuchKey" | "NoSuchBucket" | "NotFound" | "NoSuchUpload" => {
            return Failure::new(FailureKind::NotFound, what, "");
        }
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            return Failure::new(FailureKind::Invalid, what, "the bucket is in another region: start with that `--region`");
        }
        _ => {}
    }
    if let Some((kind, hint)) = of_ec2(code) {
        // What follows is for administrators, and a thousand characters long.
        let what = what.split(" Encoded authorization failure message:").next().unwrap_or(&what).to_owned();
        return Failure::new(kind, what, hint);
    }
    if is_throttle(code) {
        return Failure::new(
            FailureKind::Throttled,
            what,
            "too many calls in this account and region; footplate slows down by itself",
        );
    }
    if code.starts_with("AccessDenied")
        || code.starts_with("UnauthorizedOperation")
        || code == "NotAuthorized"
        || code == "OptInRequired"
    {
        return Failure::new(
            FailureKind::Denied,
            what,
            "ask for the permission it names; the README lists all that footplate needs",
        );
    }
    if code.starts_with("Validation") {
        // InvokeEndpoint says "Endpoint X of account N not found."
        let unknown = lower.starts_with("endpoint ") && lower.ends_with(" not found.");
        if unknown || lower.contains("requested resource not found") || lower.contains("could not find") {
            return Failure::new(FailureKind::NotFound, what, "");
        }
        if lower.contains("cannot create already existing")
            || lower.contains("request was rejected because the") && lower.contains("job is in status")
        {
            return Failure::new(FailureKind::Conflict, what, "");
        }
        return Failure::new(FailureKind::Invalid, what, "");
    }
    match status {
        301 => Failure::new(FailureKind::Invalid, what, "the bucket is in another region: start with that `--region`"),
        403 => Failure::new(FailureKind::Denied, what, "this account may not do that, or the bucket belongs to another account"),
        404 => Failure::new(FailureKind::NotFound, what, ""),
        409 => Failure::new(FailureKind::Conflict, what, ""),
        429 => Failure::new(FailureKind::Throttled, what, "footplate slows down by itself"),
        400..=499 => Failure::new(FailureKind::Invalid, what, ""),
        _ => Failure::new(FailureKind::Service, what, "AWS failed on its side; footplate tries again by itself"),
    }
}

/// What EC2's codes mean (EC2 API Reference, "Error codes for the Amazon EC2 API"); most of them say in themselves what is
/// wrong, and are no different from others of their status.
fn of_ec2(code: &str) -> Option<(FailureKind, &'static str)> {
    Some(match code {
        "VcpuLimitExceeded" | "InstanceLimitExceeded" | "MaxSpotInstanceCountExceeded" | "VolumeLimitExceeded" => (
            FailureKind::Quota,
            "take a smaller type or end others, or ask for more: Service Quotas > Amazon Elastic Compute Cloud (Amazon EC2)",
        ),
        "InsufficientInstanceCapacity" | "InsufficientHostCapacity" | "InsufficientCapacity" | "SpotMaxPriceTooLow" => (
            FailureKind::Service,
            "AWS has none free just now: try another zone or type, or again later",
        ),
        "Unsupported" | "UnsupportedOperation" => (FailureKind::Invalid, "take another type or another zone"),
        "OperationNotPermitted" => (FailureKind::Conflict, "its protection may be on: switch it off with `update` (e) first"),
        "PendingVerification" => (FailureKind::Denied, "AWS looks at new accounts for some hours; it writes an e-mail when it is done"),
        "IncorrectInstanceState" | "IncorrectState" | "IncorrectSpotRequestState" => {
            (FailureKind::Conflict, "wait until its state has changed, and try again")
        }
        "IdempotentParameterMismatch" | "DependencyViolation" => (FailureKind::Conflict, ""),
        "UnauthorizedOperation" => {
            (FailureKind::Denied, "ask for the permission; the README lists all that footplate needs")
        }
        code if code.ends_with(".NotFound") => (FailureKind::NotFound, ""),
        code if code.ends_with(".Duplicate") || code.ends_with(".InUse") => (FailureKind::Conflict, ""),
        _ => return None,
    })
}

fn is_throttle(code: &str) -> bool {
    matches!(
        code,
        "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "RequestLimitExceeded"
            | "TooManyRequestsException"
            | "BandwidthLimitExceeded"
            | "LimitExceededException"
            | "ProvisionedThroughputExceededException"
            | "SlowDown"
    )
}

/// SageMaker's sentence about a quota, taken apart: `The account-level service limit 'ml.p3.2xlarge for training job usage'
/// is 0 Instances, with current utilization of 0 Instances and a request delta of 1 Instances.`
fn quota(doing: &str, said: &str) -> Failure {
    static SENTENCE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"service limit '([^']+)' is (\d+) \w+, with current utilization of (\d+) \w+ and a request delta of (\d+)")
            .ok()
    });
    let Some(found) = SENTENCE.as_ref().and_then(|sentence| sentence.captures(said)) else {
        return Failure::new(FailureKind::Quota, format!("{doing}: {said}"), "ask for more in the Service Quotas console");
    };
    let (name, limit, used, asked) = (&found[1], &found[2], &found[3], &found[4]);
    Failure::new(
        FailureKind::Quota,
        format!("{doing}: the quota '{name}' is {limit}; {used} in use, {asked} more asked for"),
        format!("take another instance type, or ask for more: Service Quotas > Amazon SageMaker > '{name}'"),
    )
}

/// The last cause in the chain: the one that says something.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// One line for the journal about why a call failed.
pub(super) fn plain(error: &(dyn Error + 'static)) -> String {
    innermost(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_one_meaning() {
        let table = [
            (400, "ThrottlingException", "Rate exceeded", FailureKind::Throttled),
            (503, "SlowDown", "", FailureKind::Throttled),
            (400, "ExpiredTokenException", "", FailureKind::Expired),
            (400, "ExpiredToken", "", FailureKind::Expired),
            (400, "RequestExpired", "", FailureKind::Expired),
            (400, "AccessDeniedException", "User: x is not authorized", FailureKind::Denied),
            (403, "", "", FailureKind::Denied),
            (404, "", "", FailureKind::NotFound),
            (400, "ValidationException", "Requested resource not found.", FailureKind::NotFound),
            (400, "ValidationException", "Could not find model \"arn\".", FailureKind::NotFound),
            (400, "ValidationException", "1 validation error detected: Value 'a_b'", FailureKind::Invalid),
            (
                400,
                "ValidationException",
                "The request was rejected because the training job is in status Stopped.",
                FailureKind::Conflict,
            ),
            (400, "ResourceInUse", "Training job names must be unique", FailureKind::Conflict),
            (400, "ResourceNotFoundException", "The specified log group does not exist.", FailureKind::NotFound),
            (400, "ResourceLimitExceeded", "no sentence", FailureKind::Quota),
            (500, "InternalFailure", "", FailureKind::Service),
            (400, "VcpuLimitExceeded", "You have requested more vCPU capacity", FailureKind::Quota),
            (400, "InvalidInstanceID.NotFound", "The instance ID 'i-1' does not exist", FailureKind::NotFound),
            (400, "InvalidAMIID.Malformed", "Invalid id", FailureKind::Invalid),
            (400, "IncorrectInstanceState", "", FailureKind::Conflict),
            (500, "InsufficientInstanceCapacity", "", FailureKind::Service),
            (403, "UnauthorizedOperation", "", FailureKind::Denied),
        ];
        for (status, code, message, kind) in table {
            assert_eq!(from_code("x", status, code, message).kind, kind, "{code} {message}");
        }
    }

    #[test]
    fn a_quota_names_type_and_numbers() {
        let said = "The account-level service limit 'ml.p3.2xlarge for training job usage' is 0 Instances, with current utilization of 0 Instances and a request delta of 1 Instances. Please use AWS Service Quotas.";
        let failure = from_code("launching", 400, "ResourceLimitExceeded", said);
        assert_eq!(failure.kind, FailureKind::Quota);
        assert_eq!(
            failure.what.as_str(),
            "launching: the quota 'ml.p3.2xlarge for training job usage' is 0; 0 in use, 1 more asked for"
        );
        assert!(failure.hint.as_str().contains("Service Quotas"));
    }

    #[test]
    fn missing_credentials_say_what_to_do() {
        let failure = from_credentials("listing", &CredentialsError::not_loaded("no providers in chain provided credentials"));
        assert_eq!(failure.kind, FailureKind::NoCredentials);
        assert!(failure.hint.as_str().contains("--local"));
        let failure = from_credentials("listing", &CredentialsError::provider_error("the SSO token has expired"));
        assert_eq!(failure.kind, FailureKind::Expired);
    }
}
