//! Whether port 22 lets anybody in, and the way to it: the most frequent reason why a shell does not open.

use std::net::IpAddr;

use aws_sdk_ec2::types::{Ec2InstanceConnectEndpoint, Filter, Instance, IpPermission, SecurityGroup};

use super::look;
use crate::aws::{Aws, Mode, fault};
use crate::model::{Failure, FailureKind};

/// Whom the security groups let in at a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Gate {
    /// Address ranges, in the order of the rules.
    pub ranges: Vec<String>,
    /// Other groups and AWS's lists of addresses.
    pub groups: Vec<String>,
}

impl Gate {
    /// Of all rules of all groups: what one of them lets in comes in.
    pub fn of(groups: &[SecurityGroup], port: u16) -> Self {
        let port = i32::from(port);
        let lets = |rule: &&IpPermission| match rule.ip_protocol() {
            Some("-1") => true,
            Some("tcp" | "6") => rule.from_port().is_none_or(|from| from <= port) && rule.to_port().is_none_or(|to| port <= to),
            _ => false,
        };
        let mut gate = Self::default();
        for rule in groups.iter().flat_map(SecurityGroup::ip_permissions).filter(lets) {
            gate.ranges.extend(rule.ip_ranges().iter().filter_map(|range| range.cidr_ip().map(str::to_owned)));
            gate.ranges.extend(rule.ipv6_ranges().iter().filter_map(|range| range.cidr_ipv6().map(str::to_owned)));
            gate.groups.extend(rule.user_id_group_pairs().iter().filter_map(|pair| pair.group_id().map(str::to_owned)));
            gate.groups.extend(rule.prefix_list_ids().iter().filter_map(|list| list.prefix_list_id().map(str::to_owned)));
        }
        gate.ranges.dedup();
        gate.groups.dedup();
        gate
    }

    pub fn is_open_to_all(&self) -> bool {
        self.ranges.iter().any(|range| range == "0.0.0.0/0" || range == "::/0")
    }

    /// Nobody from outside comes in.
    pub fn is_closed(&self) -> bool {
        self.ranges.is_empty()
    }

    /// In words, with the remedy.
    pub fn said(&self, port: u16, endpoint: bool) -> String {
        if self.is_open_to_all() {
            return format!("port {port} is open to all; keys alone let in, but a rule for your address alone is safer");
        }
        if !self.ranges.is_empty() {
            return format!("port {port} is open to {}; from elsewhere, add a rule for that address", self.ranges.join(", "));
        }
        if endpoint {
            return format!("port {port} is closed to the internet; there is an EC2 Instance Connect Endpoint to go through");
        }
        let from = if self.groups.is_empty() { String::new() } else { format!(" (open to {})", self.groups.join(", ")) };
        format!(
            "port {port} is closed{from}: add a rule for TCP {port} from your address to its security group, or make an EC2 Instance Connect Endpoint in its VPC"
        )
    }
}

/// The gate of an instance's security groups.
///
/// # Errors
/// As the service says.
pub(super) async fn gate(aws: &Aws, instance: &Instance) -> Result<Gate, Failure> {
    let ids: Vec<String> = instance.security_groups().iter().filter_map(|group| group.group_id().map(str::to_owned)).collect();
    if ids.is_empty() {
        return Ok(Gate::default());
    }
    let asked = aws.ec2.describe_security_groups().set_group_ids(Some(ids)).send().await;
    let answer = asked.map_err(|error| fault::tell("looking at its security groups", &error))?;
    // On the local region who is not root gets another port than SSH's own: rules are about that one all the same.
    let port = if aws.mode() == Mode::Local { 22 } else { port(instance) };
    Ok(Gate::of(answer.security_groups(), port))
}

/// A ready EC2 Instance Connect Endpoint of its VPC, one in its own subnet first.
///
/// # Errors
/// As the service says.
pub(super) async fn endpoint(aws: &Aws, instance: &Instance) -> Result<Option<Ec2InstanceConnectEndpoint>, Failure> {
    let Some(vpc) = instance.vpc_id() else { return Ok(None) };
    let here = Filter::builder().name("vpc-id").values(vpc).build();
    let asked = aws.ec2.describe_instance_connect_endpoints().filters(here).send().await;
    let answer = asked.map_err(|error| fault::tell("looking for an EC2 Instance Connect Endpoint", &error))?;
    let ready = |it: &Ec2InstanceConnectEndpoint| {
        // While it is updated it goes on working (EC2 API Reference, Ec2InstanceConnectEndpoint).
        it.state().is_some_and(|state| state.as_str() == "create-complete" || state.as_str().starts_with("update-"))
    };
    let mut found: Vec<_> = answer.instance_connect_endpoints.unwrap_or_default().into_iter().filter(ready).collect();
    found.sort_by_key(|it| it.subnet_id() != instance.subnet_id());
    Ok(found.into_iter().next())
}

/// The port of its SSH server.
pub(super) fn port(instance: &Instance) -> u16 {
    look::tag(instance, look::PORT).and_then(|text| text.parse().ok()).unwrap_or(22)
}

/// The diagnosis of the way in, in one sentence. What may not be looked at is said, too.
pub(super) async fn diagnosis(aws: &Aws, instance: &Instance) -> String {
    let (gate, endpoint) = tokio::join!(gate(aws, instance), endpoint(aws, instance));
    let there = endpoint.as_ref().is_ok_and(Option::is_some);
    let said = match gate {
        Ok(gate) => gate.said(port(instance), there),
        Err(failure) if failure.kind == FailureKind::Denied => {
            return "not known (needs ec2:DescribeSecurityGroups)".to_owned();
        }
        Err(failure) => return format!("not known ({})", failure.what),
    };
    let public = instance.public_ip_address().is_some();
    let six = instance.ipv6_address().is_some();
    match look::name_of_state(instance) {
        "running" if !public && !six && !there => {
            format!("{said}; and it has no public address: only what is inside its network reaches it")
        }
        _ => said,
    }
}

/// An address that a connection can be made to.
pub(super) fn address(text: Option<&str>) -> Option<IpAddr> {
    text.and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::IpRange;

    use super::*;

    fn group(protocol: &str, ports: Option<(i32, i32)>, range: &str) -> SecurityGroup {
        let rule = IpPermission::builder().ip_protocol(protocol).ip_ranges(IpRange::builder().cidr_ip(range).build());
        let rule = rule.set_from_port(ports.map(|ports| ports.0)).set_to_port(ports.map(|ports| ports.1));
        SecurityGroup::builder().ip_permissions(rule.build()).build()
    }

    #[test]
    fn the_gate_says_whom_it_lets_in_and_what_to_do() {
        let table = [
            (group("tcp", Some((22, 22)), "203.0.113.7/32"), "open to 203.0.113.7/32"),
            (group("tcp", Some((0, 65535)), "0.0.0.0/0"), "open to all"),
            (group("-1", None, "10.0.0.0/8"), "open to 10.0.0.0/8"),
            (group("tcp", Some((80, 443)), "0.0.0.0/0"), "closed: add a rule for TCP 22 from your address"),
            (group("udp", Some((22, 22)), "0.0.0.0/0"), "closed"),
        ];
        for (group, said) in table {
            let told = Gate::of(&[group], 22).said(22, false);
            assert!(told.contains(said), "{told}");
        }
        let closed = Gate::default();
        assert!(closed.is_closed() && closed.said(22, true).contains("Endpoint to go through"));
    }
}
