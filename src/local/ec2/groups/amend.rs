//! `ModifySecurityGroupRules`, and `UpdateSecurityGroupRuleDescriptionsIngress` and `…Egress`.

use serde_json::{Map, Value, json};

use super::rule::{Peer, Rule, spelled};
use super::{Group, named, seen};
use crate::local::ec2::Ec2;
use crate::local::ec2::ids::{GROUP, RULE};
use crate::local::ec2::wanted::{check_dry_run, invalid, list, text};
use crate::local::fault::Fault;

/// Puts other rules in the place of rules, which keep their ids.
///
/// # Errors
/// `InvalidSecurityGroupRuleId.NotFound`, `InvalidPermission.Duplicate`, `InvalidGroup.NotFound`, and for wrong rules.
pub fn modify(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut group = named(ec2, request)?;
    let groups = seen(ec2)?;
    for change in list(request, "SecurityGroupRules") {
        let at = place(&group, text(change, "SecurityGroupRuleId").unwrap_or_default(), None)?;
        let old = &group.rules[at];
        let new = Rule { id: old.id.clone(), ..asked(&change["SecurityGroupRule"], old.egress)? };
        if let Peer::Group(id) = &new.peer
            && groups.iter().all(|group| group.id != *id)
        {
            return Err(GROUP.missing(&[id]));
        }
        if group.rules.iter().any(|other| other.id != new.id && other.same(&new)) {
            let text = format!("the specified rule \"{}\" already exists", new.words());
            return Err(Fault::new("InvalidPermission.Duplicate", 400, text));
        }
        group.rules[at] = new;
    }
    check_dry_run(request)?;
    ec2.store.change(|change| change.put(&group))?;
    Ok(json!({"Return": true}))
}

/// Gives rules other descriptions, or takes them away: rules by id, or spelled out.
///
/// # Errors
/// `InvalidSecurityGroupRuleId.NotFound`, `InvalidPermission.NotFound`, `MissingParameter` when no rule is named.
pub fn describe_anew(ec2: &Ec2, request: &Value, egress: bool) -> Result<Value, Fault> {
    let mut group = named(ec2, request)?;
    for change in list(request, "SecurityGroupRuleDescriptions") {
        let at = place(&group, text(change, "SecurityGroupRuleId").unwrap_or_default(), Some(egress))?;
        group.rules[at].description = text(change, "Description").map(str::to_owned);
    }
    if list(request, "SecurityGroupRuleDescriptions").is_empty() {
        for wanted in spelled(request, egress)? {
            let rule = group.rules.iter_mut().find(|rule| rule.same(&wanted));
            let rule = rule.ok_or_else(|| {
                Fault::new("InvalidPermission.NotFound", 400, "The specified rule does not exist in this security group.")
            })?;
            rule.description = wanted.description;
        }
    }
    check_dry_run(request)?;
    ec2.store.change(|change| change.put(&group))?;
    Ok(json!({"Return": true}))
}

/// Where a rule is in its group.
fn place(group: &Group, id: &str, egress: Option<bool>) -> Result<usize, Fault> {
    RULE.check_form(id)?;
    let fits = |rule: &Rule| rule.id == id && egress.is_none_or(|egress| rule.egress == egress);
    group.rules.iter().position(fits).ok_or_else(|| RULE.missing(&[id]))
}

/// A rule as `SecurityGroupRuleRequest` has it: one peer, and not lists of them.
fn asked(rule: &Value, egress: bool) -> Result<Rule, Fault> {
    let mut permission = Map::new();
    for member in ["IpProtocol", "FromPort", "ToPort"] {
        permission.extend(rule.get(member).map(|value| (member.to_owned(), value.clone())));
    }
    let peers = [
        ("CidrIpv4", "IpRanges", "CidrIp"),
        ("CidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("ReferencedGroupId", "UserIdGroupPairs", "GroupId"),
        ("PrefixListId", "PrefixListIds", "PrefixListId"),
    ];
    for (member, list, name) in peers {
        if let Some(value) = text(rule, member) {
            let mut peer = json!({name: value});
            if let Some(description) = text(rule, "Description") {
                peer["Description"] = json!(description);
            }
            permission.insert(list.to_owned(), json!([peer]));
        }
    }
    let mut rules = spelled(&json!({"IpPermissions": [permission]}), egress)?;
    match (rules.pop(), rules.pop()) {
        (Some(rule), None) => Ok(rule),
        // assumed: the text.
        _ => Err(invalid("A rule has one source or destination.")),
    }
}
