//! What is left of EC2: instances that outlived their lease, volumes that nothing has, security groups that nothing uses.

use std::collections::HashSet;

use aws_sdk_ec2::types::{Filter, Instance, Tag};
use jiff::{SignedDuration, Timestamp};

use super::{Kind, Orphan};
use crate::aws::spending::Use;
use crate::aws::{Aws, Mode, fault, machines, pricing, time};
use crate::model::show::money;
use crate::model::{Failure, FailureKind};

/// The tag with the end of an instance's lease, and the one that every launch leaves on what it makes.
const LEASE: &str = "footplate:lease";
const ORDER: &str = "footplate:order";
/// The timer in the guest looks twice a minute: what it is about to end by itself is not left behind.
const GRACE: SignedDuration = SignedDuration::from_mins(1);

/// Looks for all three; who may not look at EC2 has nothing there.
///
/// # Errors
/// As the service says.
pub(super) async fn find(aws: &Aws) -> Result<Vec<Orphan>, Failure> {
    match all(aws).await {
        Err(failure) if failure.kind == FailureKind::Denied => {
            tracing::info!("EC2 is not looked at: {}", failure.what);
            Ok(Vec::new())
        }
        other => other,
    }
}

async fn all(aws: &Aws) -> Result<Vec<Orphan>, Failure> {
    let instances = instances(aws).await?;
    let orphan = |kind, name: &str, since| Orphan { kind, name: name.to_owned(), since, note: None, upload: None };
    let now = Timestamp::now();
    let mut found: Vec<Orphan> = instances
        .iter()
        .filter_map(|it| {
            let tag = it.tags().iter().find(|tag| tag.key() == Some(LEASE)).and_then(Tag::value)?;
            let end: Timestamp = tag.parse().ok()?;
            let over = orphan(Kind::Instance, it.instance_id().unwrap_or_default(), Some(end));
            (now.duration_since(end) >= GRACE).then(|| Orphan { note: Some(told(aws, it)), ..over })
        })
        .collect();
    let filter = |name: &str, value: &str| Filter::builder().name(name).values(value).build();
    let call = aws.ec2.describe_volumes().filters(filter("tag-key", ORDER)).filters(filter("status", "available"));
    let volumes = call.send().await.map_err(|error| fault::tell("looking for volumes", &error))?;
    found.extend(
        volumes
            .volumes()
            .iter()
            .map(|volume| orphan(Kind::Volume, volume.volume_id().unwrap_or_default(), volume.create_time().map(time::ours))),
    );
    let groups = aws.ec2.describe_security_groups().filters(filter("tag-key", ORDER)).send().await;
    let groups = groups.map_err(|error| fault::tell("looking for security groups", &error))?;
    let used: HashSet<&str> = instances.iter().flat_map(Instance::security_groups).filter_map(|group| group.group_id()).collect();
    let free = groups.security_groups().iter().filter_map(|group| group.group_id()).filter(|id| !used.contains(id));
    found.extend(free.map(|id| orphan(Kind::SecurityGroup, id, None)));
    Ok(found)
}

/// What tells an instance from another one, what it costs, and how to end it.
fn told(aws: &Aws, it: &Instance) -> String {
    let id = it.instance_id().unwrap_or_default();
    let kind = it.instance_type().map_or("", |kind| kind.as_str());
    let state = it.state().and_then(|state| state.name()).map_or("", |name| name.as_str());
    let name = it.tags().iter().find(|tag| tag.key() == Some("Name")).and_then(Tag::value).filter(|name| !name.is_empty());
    let (free, flag) = if aws.mode() == Mode::Local { (" on AWS, free here", " --local") } else { ("", "") };
    let costs = match (state, pricing::known(aws, Use::Instance, kind)) {
        ("stopped" | "stopping" | "shutting-down", _) => format!("{state}: its disk goes on costing"),
        (_, Some(quote)) => format!("{state}, {}/h{free}", money(quote.per_hour)),
        (_, None) => format!("{state}, its price is not known"),
    };
    let name = name.map_or_else(String::new, |name| format!("{name}: "));
    format!("{name}{kind}, {costs}; end it with: footplate{flag} delete instances {id}")
}

/// All instances that are there: what is on its end takes its time to let go of its group.
async fn instances(aws: &Aws) -> Result<Vec<Instance>, Failure> {
    let states = ["pending", "running", "stopping", "stopped", "shutting-down"].map(str::to_owned).to_vec();
    let there = Filter::builder().name("instance-state-name").set_values(Some(states)).build();
    machines::instances(aws, vec![there]).await
}

/// Takes one away.
///
/// # Errors
/// As the service says.
pub(super) async fn remove(aws: &Aws, kind: Kind, name: &str, doing: &str) -> Result<(), Failure> {
    match kind {
        Kind::Instance => {
            let asked = aws.ec2.terminate_instances().instance_ids(name).send().await;
            asked.map(drop).map_err(|error| fault::tell(doing, &error))
        }
        Kind::Volume => {
            let asked = aws.ec2.delete_volume().volume_id(name).send().await;
            asked.map(drop).map_err(|error| fault::tell(doing, &error))
        }
        _ => {
            let asked = aws.ec2.delete_security_group().group_id(name).send().await;
            asked.map(drop).map_err(|error| match fault::tell(doing, &error) {
                failure if failure.kind == FailureKind::Conflict => {
                    Failure::new(failure.kind, failure.what, "something uses it still: try again when that is gone")
                }
                failure => failure,
            })
        }
    }
}
