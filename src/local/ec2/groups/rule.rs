//! One rule of a security group, as it is asked for, kept and shown.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::local::ACCOUNT;
use crate::local::ec2::ids::GROUP;
use crate::local::ec2::wanted::{invalid, list, number, text};
use crate::local::fault::Fault;

/// From and to; for ICMP type and code. None is all.
type Ports = Option<(i64, i64)>;

/// A rule: traffic of a protocol to some ports, with a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub id: String,
    pub egress: bool,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, the number of another one, or `-1` for all.
    pub protocol: String,
    pub ports: Ports,
    pub peer: Peer,
    pub description: Option<String>,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Peer {
    V4(String),
    V6(String),
    Group(String),
    PrefixList(String),
}

impl Rule {
    /// What a new group has: everything may go out.
    #[must_use]
    pub fn everything_out(id: String) -> Self {
        Self {
            id,
            egress: true,
            protocol: "-1".to_owned(),
            ports: None,
            peer: Peer::V4("0.0.0.0/0".to_owned()),
            description: None,
        }
    }

    /// Whether two rules are about the same traffic.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        (self.egress, &self.protocol, self.ports, &self.peer) == (other.egress, &other.protocol, other.ports, &other.peer)
    }

    /// As `DescribeSecurityGroupRules` shows it.
    #[must_use]
    pub fn document(&self, group: &str) -> Value {
        let mut shown = self.short(group);
        shown["GroupOwnerId"] = json!(ACCOUNT);
        if let Some(referred) = shown.as_object_mut().and_then(|members| members.remove("ReferencedGroupId")) {
            shown["ReferencedGroupInfo"] = json!({"GroupId": referred, "UserId": ACCOUNT});
        }
        shown
    }

    /// As `RevokeSecurityGroupIngress` answers it.
    #[must_use]
    pub fn short(&self, group: &str) -> Value {
        let (from, to) = self.ports.unwrap_or((-1, -1));
        let mut shown = json!({
            "SecurityGroupRuleId": self.id,
            "GroupId": group,
            "IsEgress": self.egress,
            "IpProtocol": self.protocol,
            "FromPort": from,
            "ToPort": to,
        });
        match &self.peer {
            Peer::V4(range) => shown["CidrIpv4"] = json!(range),
            Peer::V6(range) => shown["CidrIpv6"] = json!(range),
            Peer::Group(id) => shown["ReferencedGroupId"] = json!(id),
            Peer::PrefixList(id) => shown["PrefixListId"] = json!(id),
        }
        if let Some(description) = &self.description {
            shown["Description"] = json!(description);
        }
        shown
    }

    /// In the words of `InvalidPermission.Duplicate`.
    #[must_use]
    pub fn words(&self) -> String {
        let peer = match &self.peer {
            Peer::V4(name) | Peer::V6(name) | Peer::Group(name) | Peer::PrefixList(name) => name,
        };
        let protocol = if self.protocol == "-1" { "ALL".to_owned() } else { self.protocol.to_uppercase() };
        let ports = self.ports.map(|(from, to)| format!(", from port: {from}, to port: {to}")).unwrap_or_default();
        format!("peer: {peer}, {protocol}{ports}, ALLOW")
    }
}

/// Rules as `DescribeSecurityGroups` shows them: together by protocol and ports.
#[must_use]
pub fn permissions(rules: &[Rule], egress: bool) -> Value {
    let mut shown: Vec<((&str, Ports), Value)> = Vec::new();
    for rule in rules.iter().filter(|rule| rule.egress == egress) {
        let key = (rule.protocol.as_str(), rule.ports);
        let at = shown.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            let mut empty = json!({"IpProtocol": rule.protocol, "UserIdGroupPairs": [], "IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": []});
            if let Some((from, to)) = rule.ports {
                empty["FromPort"] = json!(from);
                empty["ToPort"] = json!(to);
            }
            shown.push((key, empty));
            shown.len() - 1
        });
        let (member, mut peer) = match &rule.peer {
            Peer::V4(range) => ("IpRanges", json!({"CidrIp": range})),
            Peer::V6(range) => ("Ipv6Ranges", json!({"CidrIpv6": range})),
            Peer::Group(id) => ("UserIdGroupPairs", json!({"UserId": ACCOUNT, "GroupId": id})),
            Peer::PrefixList(id) => ("PrefixListIds", json!({"PrefixListId": id})),
        };
        if let Some(description) = &rule.description {
            peer["Description"] = json!(description);
        }
        if let Some(peers) = shown[at].1[member].as_array_mut() {
            peers.push(peer);
        }
    }
    shown.into_iter().map(|(_, permission)| permission).collect()
}

/// The rules that a request spells out, without ids: in `IpPermissions`, or flat for one.
///
/// # Errors
/// `MissingParameter` for none, `InvalidParameterValue` for wrong protocols, ports and ranges.
pub fn spelled(request: &Value, egress: bool) -> Result<Vec<Rule>, Fault> {
    let flat;
    let permissions = match list(request, "IpPermissions") {
        [] => {
            flat = [flat_permission(request)?];
            &flat[..]
        }
        some => some,
    };
    let mut rules = Vec::new();
    for permission in permissions {
        let protocol = protocol(text(permission, "IpProtocol").unwrap_or("-1"))?;
        let ports = ports(&protocol, number(permission, "FromPort"), number(permission, "ToPort"))?;
        let before = rules.len();
        let peers = [
            ("IpRanges", "CidrIp"),
            ("Ipv6Ranges", "CidrIpv6"),
            ("UserIdGroupPairs", "GroupId"),
            ("PrefixListIds", "PrefixListId"),
        ];
        for (member, name) in peers {
            for item in list(permission, member) {
                let named = text(item, name).unwrap_or_default();
                let peer = match member {
                    "IpRanges" => Peer::V4(range_v4(named)?),
                    "Ipv6Ranges" => Peer::V6(range_v6(named)?),
                    "UserIdGroupPairs" => {
                        GROUP.check_form(named)?;
                        Peer::Group(named.to_owned())
                    }
                    _ => Peer::PrefixList(named.to_owned()),
                };
                let description = text(item, "Description").map(str::to_owned);
                rules.push(Rule { id: String::new(), egress, protocol: protocol.clone(), ports, peer, description });
            }
        }
        if rules.len() == before {
            // assumed: code and text.
            return Err(Fault::new(
                "MissingParameter",
                400,
                "The request must contain a source or destination for each permission: IpRanges, Ipv6Ranges, UserIdGroupPairs or PrefixListIds",
            ));
        }
    }
    Ok(rules)
}

fn flat_permission(request: &Value) -> Result<Value, Fault> {
    let Some(protocol) = text(request, "IpProtocol") else {
        return Err(Fault::new("MissingParameter", 400, "The request must contain the parameter ipPermissions"));
    };
    let mut permission = Map::new();
    permission.insert("IpProtocol".to_owned(), json!(protocol));
    for port in ["FromPort", "ToPort"] {
        if let Some(number) = number(request, port) {
            permission.insert(port.to_owned(), json!(number));
        }
    }
    if let Some(range) = text(request, "CidrIp") {
        permission.insert("IpRanges".to_owned(), json!([{"CidrIp": range}]));
    }
    Ok(Value::Object(permission))
}

fn protocol(name: &str) -> Result<String, Fault> {
    let known = match name.to_ascii_lowercase().as_str() {
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        "-1" | "all" => "-1",
        number if number.parse::<u8>().is_ok() => return Ok(number.to_owned()),
        _ => return Err(invalid(format!("Invalid value '{name}' for IP protocol. Unknown protocol."))),
    };
    Ok(known.to_owned())
}

fn ports(protocol: &str, from: Option<i64>, to: Option<i64>) -> Result<Ports, Fault> {
    match (protocol, from, to) {
        ("tcp" | "udp", Some(from), Some(to)) => {
            if (0..=65535).contains(&from) && (from..=65535).contains(&to) {
                Ok(Some((from, to)))
            } else {
                Err(invalid(format!("Invalid TCP/UDP port range ({from}:{to})")))
            }
        }
        ("tcp" | "udp", ..) => Err(invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")),
        ("icmp" | "icmpv6", from, to) => Ok(Some((from.unwrap_or(-1), to.unwrap_or(-1)))),
        _ => Ok(None),
    }
}

/// A range with the bits beyond its length cleared, as the service keeps it.
fn range_v4(range: &str) -> Result<String, Fault> {
    let parsed = range.split_once('/').and_then(|(address, length)| {
        let (address, length) = (address.parse::<Ipv4Addr>().ok()?, length.parse::<u32>().ok().filter(|length| *length <= 32)?);
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        Some(format!("{}/{length}", Ipv4Addr::from(u32::from(address) & mask)))
    });
    parsed.ok_or_else(|| invalid(format!("CIDR block {range} is malformed")))
}

fn range_v6(range: &str) -> Result<String, Fault> {
    let parsed = range.split_once('/').and_then(|(address, length)| {
        let (address, length) = (address.parse::<Ipv6Addr>().ok()?, length.parse::<u32>().ok().filter(|length| *length <= 128)?);
        let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
        Some(format!("{}/{length}", Ipv6Addr::from(u128::from(address) & mask)))
    });
    parsed.ok_or_else(|| invalid(format!("CIDR block {range} is malformed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(permission: &Value) -> Result<Vec<Rule>, Fault> {
        spelled(&json!({"IpPermissions": [permission]}), false)
    }

    #[test]
    fn a_permission_is_read_and_shown_the_same() {
        let permission = json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "203.0.113.7/32", "Description": "me"}, {"CidrIp": "10.1.2.3/8"}], "Ipv6Ranges": [{"CidrIpv6": "2001:db8::1/64"}]});
        let rules = one(&permission).unwrap();
        assert_eq!(rules[1].peer, Peer::V4("10.0.0.0/8".to_owned()));
        assert_eq!(rules[0].words(), "peer: 203.0.113.7/32, TCP, from port: 22, to port: 22, ALLOW");
        let shown = permissions(&rules, false);
        assert_eq!(shown[0]["IpRanges"], json!([{"CidrIp": "203.0.113.7/32", "Description": "me"}, {"CidrIp": "10.0.0.0/8"}]));
        assert_eq!((&shown[0]["FromPort"], &shown[0]["Ipv6Ranges"][0]["CidrIpv6"]), (&json!(22), &json!("2001:db8::/64")));
        assert_eq!(permissions(&rules, true), json!([]));
    }

    #[test]
    fn wrong_permissions_are_refused() {
        let refused = |permission: Value| one(&permission).unwrap_err().message;
        assert_eq!(
            refused(json!({"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "300.0.0.0/8"}]})),
            "CIDR block 300.0.0.0/8 is malformed"
        );
        assert_eq!(
            refused(json!({"IpProtocol": "tcp", "FromPort": 23, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]})),
            "Invalid TCP/UDP port range (23:22)"
        );
        assert!(refused(json!({"IpProtocol": "ssh", "IpRanges": []})).contains("Unknown protocol"));
        assert!(refused(json!({"IpProtocol": "-1"})).contains("source"));
    }
}
