//! What an order has made so far: told apart from what others made, and taken back when it cannot go on.

use std::time::Duration;

use crate::aws::repack::{How, Repacked};
use crate::aws::s3_uri::S3Uri;
use crate::aws::{Aws, Mode, current_order, hosting, orphans};
use crate::model::{Failure, FailureKind, command};
use crate::resource::Job;
use crate::resource::staging::tag_value;

/// What was made, in the order of making.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub archive: Option<S3Uri>,
    pub model: Option<String>,
    pub config: Option<String>,
}

/// What a name is the name of.
#[derive(Clone, Copy)]
pub(super) enum Thing {
    Model,
    Config,
    Endpoint,
}

/// How often a thing that was just made is not known yet to the next call (`aws.md` 3.2).
const TRIES: u32 = 5;

impl Made {
    /// With an archive that only this order needs.
    pub fn with(served: &Repacked) -> Self {
        Self { archive: (served.how == How::Made).then(|| served.at.clone()), ..Self::default() }
    }

    /// Takes all back, last first, and adds to the failure what could not be.
    pub async fn take_back(self, aws: &Aws, failure: Failure) -> Failure {
        // Whether the last call got through is not known: what it needs may be in use.
        if matches!(failure.kind, FailureKind::Timeout | FailureKind::Network | FailureKind::Service) {
            let said =
                format!("it may or may not have happened: look at `{}`, then `{}`", command("ls endpoints"), command("orphans"));
            return Failure::new(failure.kind, failure.what.as_str(), said);
        }
        let mut left = Vec::new();
        if let Some(config) = self.config
            && hosting::missing(orphans::delete_config(aws, &config).await).is_err()
        {
            left.push(format!("configuration {config}"));
        }
        if let Some(model) = self.model
            && hosting::missing(orphans::delete_model(aws, &model).await).is_err()
        {
            left.push(format!("model {model}"));
        }
        if let Some(archive) = self.archive
            && orphans::delete_object(aws, &archive).await.is_err()
        {
            left.push(archive.to_string());
        }
        let hint = match (left.is_empty(), failure.hint.as_str()) {
            (true, hint) => {
                format!("{hint}{}what was made on the way has been taken back", if hint.is_empty() { "" } else { "; " })
            }
            (false, _) => format!("left behind: {}; `{}` takes it away", left.join(", "), command("orphans --delete")),
        };
        Failure::new(failure.kind, failure.what.as_str(), hint)
    }
}

/// Sends a call that makes something, again while it says that what was made just before is not there yet. When the answer
/// was lost, the thing of that name with this order's tag is ours.
///
/// # Errors
/// As the service says.
pub(super) async fn make<'a>(
    aws: &Aws,
    thing: Thing,
    name: &str,
    send: &(dyn Fn() -> Job<'a, ()> + Send + Sync),
) -> Result<(), Failure> {
    let mut pause = if aws.mode() == Mode::Local { Duration::from_millis(50) } else { Duration::from_millis(500) };
    let mut sent = send().await;
    for _ in 1..TRIES {
        if !matches!(&sent, Err(failure) if failure.kind == FailureKind::NotFound) {
            break;
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
        sent = send().await;
    }
    let Err(failure) = sent else { return Ok(()) };
    let perhaps =
        matches!(failure.kind, FailureKind::Conflict | FailureKind::Timeout | FailureKind::Network | FailureKind::Service);
    if perhaps && is_ours(aws, thing, name).await.unwrap_or(false) { Ok(()) } else { Err(failure) }
}

async fn is_ours(aws: &Aws, thing: Thing, name: &str) -> Result<bool, Failure> {
    let arn = match thing {
        Thing::Model => hosting::missing(hosting::model(aws, name).await)?.and_then(|found| found.model_arn),
        Thing::Config => hosting::missing(hosting::config(aws, name).await)?.and_then(|found| found.endpoint_config_arn),
        Thing::Endpoint => hosting::missing(hosting::endpoint(aws, name).await)?.and_then(|found| found.endpoint_arn),
    };
    let (Some(arn), Some(order)) = (arn, current_order()) else { return Ok(false) };
    Ok(hosting::tag(&hosting::tags(aws, &arn).await?, "footplate:order") == Some(tag_value(&order).as_str()))
}
