//! Looking at instances: all pages of them, one by its name, its tags read.

use std::time::{Duration, Instant};

use aws_sdk_ec2::types::{Filter, Instance, InstanceStateName};
use jiff::Timestamp;

use super::{invalid, lease};
use crate::aws::{Aws, Mode, fault, machines};
use crate::model::show::seconds_between;
use crate::model::{Failure, FailureKind, Phase, Safe, State};

/// The tag with who launched it.
pub(super) const OWNER: &str = "footplate:owner";
/// The tag with the user that logs in, where the image's family does not tell.
pub(super) const USER: &str = "footplate:user";
/// The tag with the port of its SSH server, where it is not 22.
pub(super) const PORT: &str = "footplate:ssh-port";
/// The tag with the number of the order that launched it.
pub(super) const ORDER: &str = "footplate:order";

const MEMO: &str = "launched";
/// For how long EC2 may not know yet what it has just launched (EC2 API Reference, "Eventual consistency").
const GRACE: Duration = Duration::from_mins(5);

/// What has just been launched, and when.
type Launched = Vec<(String, Instant)>;

/// Remembers that an instance has just been launched: for a while it may not be found.
pub(super) fn launched(aws: &Aws, id: &str) {
    aws.memo(MEMO, |launched: &mut Launched| {
        launched.retain(|(_, at)| at.elapsed() < GRACE);
        launched.push((id.to_owned(), Instant::now()));
    });
}

fn is_fresh(aws: &Aws, id: &str) -> bool {
    aws.memo(MEMO, |launched: &mut Launched| launched.iter().any(|(known, at)| known == id && at.elapsed() < GRACE))
}

/// One instance, by its id, its name (the tag `Name`) or the token that it was launched with. What was launched just now is
/// waited for, as EC2 may not know it everywhere yet.
///
/// # Errors
/// `NotFound`, `Invalid` when several have that name, or as the service says.
pub(super) async fn one(aws: &Aws, named: &str) -> Result<Instance, Failure> {
    if !named.starts_with("i-") {
        return by_name(aws, named).await;
    }
    let pause = match aws.mode() {
        Mode::Local => Duration::from_millis(100),
        Mode::Aws => Duration::from_secs(1),
    };
    let begun = Instant::now();
    loop {
        let failure = match aws.ec2.describe_instances().instance_ids(named).send().await {
            Ok(answer) => {
                let found =
                    answer.reservations.unwrap_or_default().into_iter().flat_map(|it| it.instances.unwrap_or_default()).next();
                match found {
                    Some(instance) => return Ok(instance),
                    None => Failure::new(FailureKind::NotFound, format!("there is no instance {named}"), ""),
                }
            }
            Err(error) => fault::tell(&format!("looking at {named}"), &error),
        };
        // One look that does not find it proves nothing.
        if failure.kind != FailureKind::NotFound || !is_fresh(aws, named) || begun.elapsed() > Duration::from_secs(20) {
            return Err(failure);
        }
        tokio::time::sleep(pause).await;
    }
}

async fn by_name(aws: &Aws, named: &str) -> Result<Instance, Failure> {
    let filter = |name: &str| vec![Filter::builder().name(name).values(named).build()];
    let mut found = machines::instances(aws, filter("tag:Name")).await?;
    if found.is_empty() {
        found = machines::instances(aws, filter("client-token")).await?;
    }
    if found.len() > 1 {
        found.retain(|it| !matches!(name_of_state(it), "terminated" | "shutting-down"));
    }
    match found.len() {
        0 => Err(Failure::new(
            FailureKind::NotFound,
            format!("there is no instance {named}"),
            "name it by its id, i-…, or its Name tag",
        )),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let ids: Vec<&str> = found.iter().filter_map(Instance::instance_id).collect();
            Err(invalid(
                &format!("{} instances are called {named}", ids.len()),
                &format!("name one by its id: {}", ids.join(", ")),
            ))
        }
    }
}

/// The instance that was launched with this token, if there is one.
///
/// # Errors
/// As the service says.
pub(super) async fn by_token(aws: &Aws, token: &str) -> Result<Option<Instance>, Failure> {
    let filter = Filter::builder().name("client-token").values(token).build();
    Ok(machines::instances(aws, vec![filter]).await?.into_iter().next())
}

/// The value of a tag; none when it is empty.
pub(super) fn tag<'a>(instance: &'a Instance, key: &str) -> Option<&'a str> {
    let found = instance.tags().iter().find(|tag| tag.key() == Some(key));
    found.and_then(|tag| tag.value()).filter(|value| !value.is_empty())
}

/// Its name, else its id.
pub(super) fn name(instance: &Instance) -> &str {
    tag(instance, "Name").unwrap_or_else(|| id(instance))
}

pub(super) fn id(instance: &Instance) -> &str {
    instance.instance_id().unwrap_or_default()
}

pub(super) fn kind(instance: &Instance) -> &str {
    instance.instance_type().map_or("", |kind| kind.as_str())
}

pub(super) fn zone(instance: &Instance) -> &str {
    instance.placement().and_then(|place| place.availability_zone()).unwrap_or_default()
}

/// EC2's word for its state.
pub(super) fn name_of_state(instance: &Instance) -> &str {
    instance.state().and_then(|state| state.name()).map_or("", InstanceStateName::as_str)
}

pub(super) fn state(instance: &Instance) -> State {
    let word = name_of_state(instance);
    let phase = match word {
        "pending" => Phase::Waiting,
        "running" => Phase::Active,
        "stopping" | "shutting-down" => Phase::Leaving,
        "stopped" => Phase::Stopped,
        "terminated" => Phase::Done,
        _ => Phase::Unknown,
    };
    State { phase, word: Safe::line(word) }
}

/// When its lease ends, by its tag.
pub(super) fn lease_end(instance: &Instance) -> Option<Timestamp> {
    tag(instance, lease::LEASE).and_then(lease::read)
}

/// When it was terminated: `User initiated (2026-11-22 17:00:00 GMT)`.
pub(super) fn ended(instance: &Instance) -> Option<Timestamp> {
    let reason = instance.state_transition_reason()?;
    let (_, rest) = reason.split_once('(')?;
    let text = rest.strip_suffix(')')?.trim_end_matches(" GMT").trim_end_matches(" UTC");
    format!("{}Z", text.replacen(' ', "T", 1)).parse().ok()
}

/// Seconds from its last start to its end, for one that does not run any more; none where nothing tells when it ended.
///
/// assumed: an end of its own (`shutdown`, as its lease does) leaves no time in the reason; then it is taken to be its
/// lease's end, once that has passed. Of one that was stopped before it was terminated only the later end is told, so this may be too long.
pub(super) fn ran(instance: &Instance, now: Timestamp) -> Option<f64> {
    if !matches!(name_of_state(instance), "stopping" | "stopped" | "shutting-down" | "terminated") {
        return None;
    }
    let start = instance.launch_time().map(crate::aws::time::ours)?;
    let end = ended(instance).or_else(|| lease_end(instance).filter(|end| *end <= now))?;
    // The reason tells whole seconds.
    (end.as_second() >= start.as_second()).then(|| seconds_between(start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_it_ran_is_known_when_it_has_ended() {
        use aws_sdk_ec2::types::{InstanceState, Tag};
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-22T20:00:00Z");
        let started = aws_smithy_types::DateTime::from_secs(at("2026-11-22T16:00:00Z").as_second());
        let ran = |state: &str, reason: &str, lease: Option<&str>| {
            let state = InstanceState::builder().name(InstanceStateName::from(state)).build();
            let tag = lease.map(|end| Tag::builder().key(lease::LEASE).value(end).build());
            let it = Instance::builder().state(state).state_transition_reason(reason).launch_time(started);
            super::ran(&it.set_tags(tag.map(|tag| vec![tag])).build(), now)
        };
        assert_eq!(ran("terminated", "User initiated (2026-11-22 17:00:00 GMT)", None), Some(3600.0));
        assert_eq!(ran("stopped", "User initiated (2026-11-22 16:30:00 GMT)", Some("2026-11-23T00:00:00Z")), Some(1800.0));
        assert_eq!(ran("terminated", "", Some("2026-11-22T18:00:00Z")), Some(7200.0));
        // Its lease had not ended: nothing tells when it did.
        assert_eq!(ran("terminated", "", Some("2026-11-23T00:00:00Z")), None);
        assert_eq!(ran("terminated", "", None), None);
        assert_eq!(ran("running", "User initiated (2026-11-22 16:30:00 GMT)", None), None);
    }

    #[test]
    fn the_end_is_read_from_the_reason() {
        let at = |reason: &str| ended(&Instance::builder().state_transition_reason(reason).build()).map(|at| at.to_string());
        assert_eq!(at("User initiated (2026-11-22 17:00:00 GMT)").as_deref(), Some("2026-11-22T17:00:00Z"));
        assert_eq!(at("User initiated"), None);
        assert_eq!(at(""), None);
    }
}
