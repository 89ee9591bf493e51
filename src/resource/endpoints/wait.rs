//! Waiting for an endpoint to settle, or to be gone.

use std::time::Duration;

use aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointOutput;
use tokio::time::Instant;

use super::list::state_of;
use crate::aws::{Aws, Mode, hosting};
use crate::model::show::span;
use crate::model::{Failure, FailureKind, Phase, Progress, Safe};

/// As long as the Python SDK waits: 120 looks of 30 s (`clients.md`, boto's waiters).
const PATIENCE: Duration = Duration::from_hours(1);
/// Looks that may fail in a row before the waiting does.
const TROUBLES: u32 = 5;

/// Waits until the endpoint neither comes up nor changes nor goes; `None` when it is gone. Says how long it has been in which
/// state.
///
/// # Errors
/// When it cannot be looked at, or does not settle.
pub async fn settled(
    aws: &Aws,
    name: &str,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Option<DescribeEndpointOutput>, Failure> {
    let period = match aws.mode() {
        Mode::Local => Duration::from_millis(150),
        Mode::Aws => Duration::from_secs(10),
    };
    let (begun, mut troubles) = (Instant::now(), 0);
    loop {
        match hosting::missing(hosting::endpoint(aws, name).await) {
            Ok(None) => return Ok(None),
            Ok(Some(endpoint)) => {
                troubles = 0;
                let state = state_of(&endpoint);
                if !matches!(state.phase, Phase::Waiting | Phase::Leaving) {
                    return Ok(Some(endpoint));
                }
                let since = span(begun.elapsed().as_secs_f64());
                progress(Progress { said: Safe::line(&format!("{name}: {} {since}", state.word)), done: 0, total: 0 });
            }
            Err(failure) if passes(failure.kind) && troubles < TROUBLES => troubles += 1,
            Err(failure) => return Err(failure),
        }
        if begun.elapsed() > PATIENCE {
            return Err(Failure::new(
                FailureKind::Timeout,
                format!("{name} has not settled within an hour"),
                "look at its log; it costs money until it is deleted",
            ));
        }
        tokio::time::sleep(period).await;
    }
}

fn passes(kind: FailureKind) -> bool {
    matches!(kind, FailureKind::Throttled | FailureKind::Network | FailureKind::Timeout | FailureKind::Service)
}
