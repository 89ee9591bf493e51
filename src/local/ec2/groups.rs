//! Security groups: who may reach an instance. The default one lets in its own members only (VPC User Guide, "Default security
//! groups for your VPCs"), so port 22 is closed until somebody opens it.
//!
//! assumed: nothing enforces the rules here, as the instances' addresses are this machine's own; what a client reads of them
//! is what AWS would enforce.

mod amend;
mod edit;
mod rule;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Ec2;
use super::filter::pass;
use super::ids::{GROUP, RULE, fixed, fresh};
use super::instance::{Instance, State};
use super::place::asked;
use super::store::{Change, Kept};
use super::tags;
use super::wanted::{Limits, check_dry_run, invalid, page, text, texts};
use crate::local::ACCOUNT;
use crate::local::fault::Fault;
pub use amend::{describe_anew, modify};
pub use edit::{authorize, revoke};
use rule::{Peer, Rule};

/// The characters of names and descriptions beside letters and digits (EC2 API Reference, `CreateSecurityGroup`).
const SIGNS: &str = " ._-:/()#,@[]+=&;{}!$*";
const PAGES: Limits = Limits { least: 5, most: 1000, ids: "" };

/// A security group as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Group {
    id: String,
    pub name: String,
    description: String,
    rules: Vec<Rule>,
    /// From when on it is seen, in epoch milliseconds.
    visible: i64,
}

impl Kept for Group {
    const KIND: &'static str = "security-group";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Group {
    /// The group that every network has.
    #[must_use]
    pub fn default_of(region: &str) -> Self {
        let id = fixed("sg", region);
        let own = Rule {
            id: fixed("sgr", &format!("{region}/in")),
            egress: false,
            protocol: "-1".to_owned(),
            ports: None,
            peer: Peer::Group(id.clone()),
            description: None,
        };
        let out = Rule::everything_out(fixed("sgr", &format!("{region}/out")));
        let description = "default VPC security group".to_owned();
        Self { id, name: "default".to_owned(), description, rules: vec![own, out], visible: 0 }
    }

    fn document(&self, ec2: &Ec2) -> Value {
        json!({
            "GroupId": self.id,
            "GroupName": self.name,
            "Description": self.description,
            "OwnerId": ACCOUNT,
            "VpcId": ec2.place.vpc(),
            "SecurityGroupArn": arn(ec2, &self.id),
            "IpPermissions": rule::permissions(&self.rules, false),
            "IpPermissionsEgress": rule::permissions(&self.rules, true),
        })
    }
}

fn arn(ec2: &Ec2, id: &str) -> String {
    format!("arn:aws:ec2:{}:{ACCOUNT}:security-group/{id}", ec2.place.region)
}

/// `CreateSecurityGroup`.
///
/// # Errors
/// `InvalidGroup.Duplicate`, `InvalidGroup.Reserved`, `InvalidVpcID.NotFound`, and for wrong names and tags.
pub fn create(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let (name, description) = (text(request, "GroupName").unwrap_or_default(), text(request, "Description").unwrap_or_default());
    check_words(name, "GroupName")?;
    check_words(description, "GroupDescription")?;
    if name == "default" {
        return Err(Fault::new("InvalidGroup.Reserved", 400, "The security group 'default' is reserved"));
    }
    if name.starts_with("sg-") {
        return Err(invalid(format!("Invalid value '{name}' for GroupName. Group names may not be in the format sg-*.")));
    }
    let vpc = ec2.place.vpc();
    asked(
        &json!({"VpcIds": text(request, "VpcId").into_iter().collect::<Vec<_>>()}),
        "VpcIds",
        super::ids::VPC,
        &[vpc.as_str()],
    )?;
    let tags = tags::of_request(request, &["security-group"])?;
    if ec2.store.all::<Group>()?.iter().any(|group| group.name == name) {
        let text = format!("The security group '{name}' already exists for VPC '{vpc}'");
        return Err(Fault::new("InvalidGroup.Duplicate", 400, text));
    }
    check_dry_run(request)?;
    let id = fresh("sg")?;
    let group = Group {
        id: id.clone(),
        name: name.to_owned(),
        description: description.to_owned(),
        rules: vec![Rule::everything_out(fresh("sgr")?)],
        visible: ec2.visible_from(),
    };
    ec2.store.change(|change| {
        change.put(&group)?;
        tags.apply(change, &id, "security-group")
    })?;
    let mut answer = json!({"GroupId": id, "SecurityGroupArn": arn(ec2, &id), "Tags": []});
    ec2.tagged(&mut answer, &id);
    Ok(answer)
}

/// `DeleteSecurityGroup`.
///
/// # Errors
/// `InvalidGroup.NotFound`, `CannotDelete` for the default group, `DependencyViolation`.
pub fn delete(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let group = named(ec2, request)?;
    if group.name == "default" {
        let text = format!("the specified group: \"{}\" name: \"default\" cannot be deleted by a user", group.id);
        return Err(Fault::new("CannotDelete", 400, text));
    }
    let used = ec2
        .store
        .all::<Instance>()?
        .iter()
        .any(|instance| instance.state != State::Terminated && instance.groups.contains(&group.id));
    let referred = ec2
        .store
        .all::<Group>()?
        .iter()
        .any(|other| other.id != group.id && other.rules.iter().any(|rule| rule.peer == Peer::Group(group.id.clone())));
    if used || referred {
        return Err(Fault::new("DependencyViolation", 400, format!("resource {} has a dependent object", group.id)));
    }
    check_dry_run(request)?;
    ec2.store.change(|change: &Change<'_>| change.remove::<Group>(&group.id))?;
    Ok(json!({"Return": true, "GroupId": group.id}))
}

/// `DescribeSecurityGroups`.
///
/// # Errors
/// `InvalidGroup.NotFound`, and for wrong filters and pages.
pub fn describe(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let groups = seen(ec2)?;
    let (ids, names) = (texts(request, "GroupIds"), texts(request, "GroupNames"));
    asked(request, "GroupIds", GROUP, &groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>())?;
    if let Some(name) = names.iter().find(|name| groups.iter().all(|group| group.name != **name)) {
        return Err(no_such_name(ec2, name));
    }
    let wanted = groups.iter().filter(|group| {
        ids.is_empty() && names.is_empty() || ids.contains(&group.id.as_str()) || names.contains(&group.name.as_str())
    });
    let documents = wanted.map(|group| {
        let mut document = group.document(ec2);
        ec2.tagged(&mut document, &group.id);
        document
    });
    let found = pass("DescribeSecurityGroups", request, documents.collect())?;
    let keyed = found.into_iter().map(|group| (text(&group, "GroupId").unwrap_or_default().to_owned(), group));
    page(request, PAGES, "SecurityGroups", keyed.collect())
}

/// `DescribeSecurityGroupRules`.
///
/// # Errors
/// `InvalidSecurityGroupRuleId.NotFound`, and for wrong filters and pages.
pub fn describe_rules(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let groups = seen(ec2)?;
    let all: Vec<(&Group, &Rule)> = groups.iter().flat_map(|group| group.rules.iter().map(move |rule| (group, rule))).collect();
    asked(request, "SecurityGroupRuleIds", RULE, &all.iter().map(|(_, rule)| rule.id.as_str()).collect::<Vec<_>>())?;
    let ids = texts(request, "SecurityGroupRuleIds");
    let wanted = all.into_iter().filter(|(_, rule)| ids.is_empty() || ids.contains(&rule.id.as_str()));
    let documents = wanted.map(|(group, rule)| {
        let mut document = rule.document(&group.id);
        ec2.tagged(&mut document, &rule.id);
        document
    });
    let found = pass("DescribeSecurityGroupRules", request, documents.collect())?;
    let keyed = found.into_iter().map(|rule| (text(&rule, "SecurityGroupRuleId").unwrap_or_default().to_owned(), rule));
    page(request, PAGES, "SecurityGroupRules", keyed.collect())
}

/// The groups that a launch asks for by id or by name; the default one when it asks for none.
///
/// # Errors
/// `InvalidGroup.NotFound`, `InvalidGroupId.Malformed`.
pub fn for_launch(ec2: &Ec2, ids: &[&str], names: &[&str]) -> Result<Vec<String>, Fault> {
    let groups = seen(ec2)?;
    let there: Vec<&str> = groups.iter().map(|group| group.id.as_str()).collect();
    asked(&json!({"GroupIds": ids}), "GroupIds", GROUP, &there)?;
    let mut wanted: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
    for name in names {
        let group = groups.iter().find(|group| group.name == *name).ok_or_else(|| no_such_name(ec2, name))?;
        wanted.push(group.id.clone());
    }
    if wanted.is_empty() {
        wanted.push(Group::default_of(&ec2.place.region).id);
    }
    wanted.dedup();
    Ok(wanted)
}

/// The ids of all rules, which can be tagged.
///
/// # Errors
/// When the store cannot be read.
pub fn rule_ids(ec2: &Ec2) -> Result<Vec<String>, Fault> {
    Ok(seen(ec2)?.into_iter().flat_map(|group| group.rules).map(|rule| rule.id).collect())
}

/// The groups that a client sees by now.
fn seen(ec2: &Ec2) -> Result<Vec<Group>, Fault> {
    let mut groups = ec2.store.all::<Group>()?;
    groups.retain(|group| ec2.sees(group.visible));
    Ok(groups)
}

/// The group of a request with `GroupId` or `GroupName`.
fn named(ec2: &Ec2, request: &Value) -> Result<Group, Fault> {
    let groups = seen(ec2)?;
    match (text(request, "GroupId"), text(request, "GroupName")) {
        (Some(id), _) => {
            GROUP.check_form(id)?;
            groups.into_iter().find(|group| group.id == id).ok_or_else(|| GROUP.missing(&[id]))
        }
        (None, Some(name)) => groups.into_iter().find(|group| group.name == name).ok_or_else(|| no_such_name(ec2, name)),
        (None, None) => Err(Fault::new("MissingParameter", 400, "The request must contain the parameter groupName or groupId")),
    }
}

fn no_such_name(ec2: &Ec2, name: &str) -> Fault {
    let text = format!("The security group '{name}' does not exist in default VPC '{}'", ec2.place.vpc());
    Fault::new("InvalidGroup.NotFound", 400, text)
}

fn check_words(text: &str, member: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new("MissingParameter", 400, format!("The request must contain the parameter {member}")));
    }
    let fits = text.len() <= 255 && text.chars().all(|c| c.is_ascii_alphanumeric() || SIGNS.contains(c));
    if fits {
        return Ok(());
    }
    Err(invalid(format!("Value ({text}) for parameter {member} is invalid. Character sets beyond ASCII are not supported.")))
}
