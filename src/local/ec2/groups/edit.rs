//! `AuthorizeSecurityGroupIngress` and `…Egress`, `RevokeSecurityGroupIngress` and `…Egress`.

use serde_json::{Value, json};

use super::rule::{Peer, Rule, spelled};
use super::{Group, named, seen};
use crate::local::ec2::Ec2;
use crate::local::ec2::ids::{GROUP, RULE, fresh};
use crate::local::ec2::tags;
use crate::local::ec2::wanted::{check_dry_run, list, texts};
use crate::local::fault::Fault;

/// Most rules of a group in each direction (VPC User Guide, "Amazon VPC quotas").
const RULES: usize = 60;

/// Adds rules.
///
/// # Errors
/// `InvalidPermission.Duplicate`, `InvalidGroup.NotFound`, `RulesPerSecurityGroupLimitExceeded`, and for wrong rules.
pub fn authorize(ec2: &Ec2, request: &Value, egress: bool) -> Result<Value, Fault> {
    let mut group = named(ec2, request)?;
    let mut rules = spelled(request, egress)?;
    let tags = tags::of_request(request, &["security-group-rule"])?;
    let groups = seen(ec2)?;
    for (at, rule) in rules.iter().enumerate() {
        if group.rules.iter().chain(&rules[..at]).any(|other| other.same(rule)) {
            let text = format!("the specified rule \"{}\" already exists", rule.words());
            return Err(Fault::new("InvalidPermission.Duplicate", 400, text));
        }
        if let Peer::Group(id) = &rule.peer
            && groups.iter().all(|group| group.id != *id)
        {
            return Err(GROUP.missing(&[id]));
        }
    }
    if group.rules.iter().filter(|rule| rule.egress == egress).count() + rules.len() > RULES {
        let text = "The maximum number of rules per security group has been reached.";
        return Err(Fault::new("RulesPerSecurityGroupLimitExceeded", 400, text));
    }
    check_dry_run(request)?;
    for rule in &mut rules {
        rule.id = fresh("sgr")?;
    }
    group.rules.extend(rules.clone());
    ec2.store.change(|change| {
        change.put(&group)?;
        rules.iter().try_for_each(|rule| tags.apply(change, &rule.id, "security-group-rule"))
    })?;
    let shown = rules.iter().map(|rule| {
        let mut document = rule.document(&group.id);
        ec2.tagged(&mut document, &rule.id);
        document
    });
    Ok(json!({"Return": true, "SecurityGroupRules": shown.collect::<Vec<_>>()}))
}

/// Removes rules, spelled out or by id.
///
/// # Errors
/// `InvalidPermission.NotFound`, `InvalidSecurityGroupRuleId.NotFound`, `InvalidGroup.NotFound`.
pub fn revoke(ec2: &Ec2, request: &Value, egress: bool) -> Result<Value, Fault> {
    let mut group = named(ec2, request)?;
    let gone = if list(request, "SecurityGroupRuleIds").is_empty() {
        by_words(&group, &spelled(request, egress)?)?
    } else {
        by_id(&group, &texts(request, "SecurityGroupRuleIds"), egress)?
    };
    check_dry_run(request)?;
    group.rules.retain(|rule| gone.iter().all(|other| other.id != rule.id));
    ec2.store.change(|change| {
        change.put(&group)?;
        gone.iter().try_for_each(|rule| change.untag_all(&rule.id))
    })?;
    let shown: Vec<Value> = gone.iter().map(|rule| rule.short(&group.id)).collect();
    Ok(json!({"Return": true, "RevokedSecurityGroupRules": shown}))
}

fn by_words(group: &Group, wanted: &[Rule]) -> Result<Vec<Rule>, Fault> {
    let found = wanted.iter().map(|wanted| {
        let rule = group.rules.iter().find(|rule| rule.same(wanted)).cloned();
        rule.ok_or_else(|| {
            Fault::new("InvalidPermission.NotFound", 400, "The specified rule does not exist in this security group.")
        })
    });
    found.collect()
}

fn by_id(group: &Group, ids: &[&str], egress: bool) -> Result<Vec<Rule>, Fault> {
    let found = ids.iter().map(|id| {
        RULE.check_form(id)?;
        let rule = group.rules.iter().find(|rule| rule.id == **id && rule.egress == egress).cloned();
        rule.ok_or_else(|| RULE.missing(&[id]))
    });
    found.collect()
}
