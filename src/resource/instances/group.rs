//! The security group of a new instance: one that is there, or one that lets in SSH from one address alone.

use std::time::{Duration, Instant};

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroup, Tag, TagSpecification};

use super::draft::Draft;
use super::form::filter;
use super::network::Gate;
use super::parts::{Group, Site};
use super::{invalid, look};
use crate::aws::{Aws, fault};
use crate::model::{Failure, FailureKind, Progress, Safe, command};

/// For how long EC2 may not know a group everywhere that has just been made (EC2 API Reference, "Eventual consistency").
pub(super) const UNSEEN: Duration = Duration::from_mins(1);
/// Between two tries with such a group.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// The group of a launch.
pub(super) struct Ready {
    pub id: String,
    /// This very launch has made it.
    pub made: bool,
}

/// The name of the group that lets in this range; the same one serves all instances, so that they do not pile up.
pub(super) fn name_for(range: &str) -> String {
    format!("footplate-ssh-{range}")
}

/// The group that is there already, if there is one.
///
/// # Errors
/// As the service says; `security_group: …` when the one that is named is not there.
pub(super) async fn there(aws: &Aws, group: &Group, vpc: &str) -> Result<Option<SecurityGroup>, Failure> {
    let call = aws.ec2.describe_security_groups();
    let call = match group {
        Group::Named(id) => call.group_ids(id),
        Group::Default => call.filters(filter("vpc-id", vpc)).filters(filter("group-name", "default")),
        Group::Mine(range) => call.filters(filter("vpc-id", vpc)).filters(filter("group-name", &name_for(range))),
    };
    let answer = call.send().await.map_err(|error| {
        let failure = fault::tell("looking for the security group", &error);
        match group {
            Group::Named(_) => {
                Failure::new(failure.kind, format!("security_group: {}", failure.what), "take one of the list, or mine")
            }
            _ => failure,
        }
    })?;
    let found = answer.security_groups.unwrap_or_default().into_iter().next();
    match (&found, group) {
        (Some(found), Group::Named(id)) if found.vpc_id().is_some_and(|there| there != vpc) => Err(invalid(
            &format!("security_group: {id} is of another network, {}", found.vpc_id().unwrap_or_default()),
            &format!("take one of {vpc}, or mine"),
        )),
        (None, Group::Default) => Err(invalid(&format!("security_group: {vpc} has no default one"), "take mine, or name one")),
        _ => Ok(found),
    }
}

/// The group, which is made if it has to be. To ask again does no harm.
///
/// # Errors
/// As the service says.
pub(super) async fn ready(
    aws: &Aws,
    draft: &Draft,
    site: &Site,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Ready, Failure> {
    let found = there(aws, &draft.group, &site.vpc).await?;
    let Group::Mine(range) = &draft.group else {
        let id = found.as_ref().and_then(SecurityGroup::group_id);
        return Ok(Ready { id: id.unwrap_or_default().to_owned(), made: false });
    };
    let (id, lets) = if let Some(group) = &found {
        (group.group_id().unwrap_or_default().to_owned(), Gate::of(std::slice::from_ref(group), 22).ranges)
    } else {
        progress(Progress { said: Safe::line(&format!("making a security group for {range}")), done: 0, total: 0 });
        (create(aws, draft, range, &site.vpc).await?, Vec::new())
    };
    let made = found.is_none();
    if !lets.contains(range)
        && let Err(failure) = open(aws, &id, range).await
    {
        return Err(if made { take_back(aws, &id, failure).await } else { failure });
    }
    Ok(Ready { id, made })
}

/// Deletes the group that was made for a launch that failed; the failure says so, too.
pub(super) async fn take_back(aws: &Aws, id: &str, failure: Failure) -> Failure {
    let begun = Instant::now();
    let gone = loop {
        let Err(error) = aws.ec2.delete_security_group().group_id(id).send().await else { break Ok(()) };
        match fault::tell("taking the security group back", &error) {
            unseen if unseen.kind == FailureKind::NotFound && begun.elapsed() < UNSEEN => tokio::time::sleep(PAUSE).await,
            why => break Err(why),
        }
    };
    let said = match gone {
        Ok(()) => format!("the security group {id}, made for it, was taken back"),
        Err(why) => format!("the security group {id}, made for it, stays ({}); {} finds it", why.what, command("orphans")),
    };
    let hint = if failure.hint.is_empty() { said } else { format!("{}; {said}", failure.hint) };
    Failure::new(failure.kind, &failure.what, hint)
}

async fn create(aws: &Aws, draft: &Draft, range: &str, vpc: &str) -> Result<String, Failure> {
    let ours = |(key, _): &&(String, String)| key != "Name" && key != look::USER;
    let tags = draft.tags.iter().filter(ours).map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let tags = TagSpecification::builder().resource_type(ResourceType::SecurityGroup).set_tags(Some(tags)).build();
    let name = name_for(range);
    let call = aws.ec2.create_security_group().group_name(&name).vpc_id(vpc).tag_specifications(tags);
    let made = call.description(format!("SSH from {range} alone, made by footplate")).send().await;
    match made {
        Ok(made) => Ok(made.group_id().unwrap_or_default().to_owned()),
        Err(error) => {
            let failure = fault::tell("making a security group", &error);
            // Somebody has just made it, or our own answer was lost.
            let perhaps = [FailureKind::Conflict, FailureKind::Timeout, FailureKind::Network, FailureKind::Service];
            if perhaps.contains(&failure.kind)
                && let Ok(Some(group)) = there(aws, &Group::Mine(range.to_owned()), vpc).await
            {
                return Ok(group.group_id().unwrap_or_default().to_owned());
            }
            Err(failure)
        }
    }
}

async fn open(aws: &Aws, id: &str, range: &str) -> Result<(), Failure> {
    let rule = IpPermission::builder().ip_protocol("tcp").from_port(22).to_port(22);
    let why = "SSH, by footplate";
    let rule = if range.contains(':') {
        rule.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(range).description(why).build())
    } else {
        rule.ip_ranges(IpRange::builder().cidr_ip(range).description(why).build())
    };
    let rule = rule.build();
    let begun = Instant::now();
    loop {
        let asked = aws.ec2.authorize_security_group_ingress().group_id(id).ip_permissions(rule.clone()).send().await;
        let Err(error) = asked else { break };
        match fault::tell("letting in SSH from your address", &error) {
            // It is let in already.
            failure if failure.kind == FailureKind::Conflict => break,
            failure if failure.kind == FailureKind::NotFound && begun.elapsed() < UNSEEN => tokio::time::sleep(PAUSE).await,
            failure => return Err(failure),
        }
    }
    Ok(())
}
