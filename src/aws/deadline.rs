//! Deadlines per class of operation, in one table. The SDK has none by default except for connecting.
//!
//! The overall deadline belongs to the client, because the SDK fixes it before it says which operation it is about; the
//! deadline of one attempt is set by the guard, per operation.

use std::time::Duration;

use aws_smithy_types::timeout::TimeoutConfig;

/// Connect 3 s, overall 60 s; S3 gets 15 minutes overall, because an upload of 16 MiB over a slow line is not a hang.
pub(super) fn client(service: &str) -> TimeoutConfig {
    let overall = match service {
        "S3" => 900,
        // A model has 60 s to answer; asking it twice is the user's decision.
        "SageMaker Runtime" => 75,
        _ => 60,
    };
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(30))
        .operation_timeout(Duration::from_secs(overall))
        .build()
}

/// One attempt: 10 s for reads, 30 s for changes, longer where bytes travel.
pub(super) fn attempt(service: &str, operation: &str) -> TimeoutConfig {
    let seconds = match (service, operation) {
        // At most 16 MiB: this floor is 55 kB/s, and a stream that stalls is cut earlier by the SDK's own protection.
        ("S3", "PutObject" | "UploadPart") => 300,
        ("S3", "CompleteMultipartUpload") => 120,
        // Until the first byte; the body is watched by the SDK's stalled-stream protection.
        ("S3", "GetObject") => 30,
        (_, operation)
            if [
                "Create",
                "Update",
                "AddTags",
                "Delete",
                "Stop",
                "Abort",
                "Run",
                "Start",
                "Reboot",
                "Terminate",
                "Modify",
                "Authorize",
                "Revoke",
            ]
            .iter()
            .any(|verb| operation.starts_with(verb)) =>
        {
            30
        }
        // The service cuts a model off after 60 s and says so itself.
        ("SageMaker Runtime", _) => 70,
        _ => 10,
    };
    TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(seconds)).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_an_end() {
        let of = |service, operation| attempt(service, operation).operation_attempt_timeout();
        assert_eq!(of("SageMaker", "ListTrainingJobs"), Some(Duration::from_secs(10)));
        assert_eq!(of("SageMaker", "CreateTrainingJob"), Some(Duration::from_secs(30)));
        assert!(of("S3", "UploadPart") > Some(Duration::from_secs(200)));
        assert_eq!(client("SageMaker").operation_timeout(), Some(Duration::from_mins(1)));
    }
}
