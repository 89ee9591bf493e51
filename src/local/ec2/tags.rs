//! `CreateTags`, `DeleteTags`, `DescribeTags`, and the tags that a create call brings along.

use serde_json::{Value, json};

use super::Ec2;
use super::filter::pass;
use super::groups::{Group, rule_ids};
use super::ids::{GROUP, INSTANCE, INTERFACE, KEY_PAIR, RULE, Refusals, SNAPSHOT, SUBNET, TEMPLATE, VOLUME, VPC};
use super::images;
use super::instance::Instance;
use super::keys;
use super::network;
use super::place::ZONES;
use super::store::{Change, Kept};
use super::templates::Template;
use super::volumes::Volume;
use super::wanted::{Limits, check_dry_run, invalid, list, page, text, texts};
use crate::local::fault::Fault;

/// Most tags of a resource (EC2 User Guide, "Tag restrictions"); those of the local region itself are not counted.
const TAGS: usize = 50;
const KEY: usize = 127;
const VALUE: usize = 256;

/// The tags of `TagSpecifications`: for each type of resource, keys with values.
#[derive(Debug, Default)]
pub struct Tags(Vec<(String, String, String)>);

impl Tags {
    /// Writes those that are for a type of resource.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub fn apply(&self, change: &Change<'_>, id: &str, resource: &str) -> Result<(), Fault> {
        let mut fitting = self.0.iter().filter(|(of, ..)| of == resource);
        fitting.try_for_each(|(_, key, value)| change.tag(id, key, value))
    }
}

/// Reads `TagSpecifications`.
///
/// # Errors
/// `InvalidParameterValue` for a type of resource that the call does not make, and for wrong tags.
pub fn of_request(request: &Value, types: &[&str]) -> Result<Tags, Fault> {
    let mut tags = Tags::default();
    for specification in list(request, "TagSpecifications") {
        let of = text(specification, "ResourceType").unwrap_or_default();
        if !types.contains(&of) {
            return Err(invalid(format!("'{of}' is not a valid taggable resource type for this operation.")));
        }
        let pairs = pairs(list(specification, "Tags"))?;
        for (key, value) in pairs {
            if tags.0.iter().any(|(other, name, _)| other == of && *name == key) {
                return Err(duplicate(&key));
            }
            tags.0.push((of.to_owned(), key, value.unwrap_or_default()));
        }
        if tags.0.iter().filter(|(other, ..)| other == of).count() > TAGS {
            return Err(too_many());
        }
    }
    Ok(tags)
}

/// `CreateTags`. assumed: of a key that comes twice the last counts (`SkyPilot` sends `Name` so); only calls that make a resource
/// refuse it.
///
/// # Errors
/// As the resource's kind refuses ids, `TagLimitExceeded`, and for wrong tags.
pub fn create(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let resources = resources(ec2, request)?;
    let pairs = pairs(list(request, "Tags"))?;
    if pairs.is_empty() {
        return Err(Fault::new("MissingParameter", 400, "The request must contain the parameter tagSet"));
    }
    let there = ec2.store.tags()?;
    for resource in &resources {
        let kept = there.iter().filter(|(of, key, _)| of == resource && pairs.iter().all(|(new, _)| new != key)).count();
        let new = pairs.iter().map(|(key, _)| key).collect::<std::collections::HashSet<_>>().len();
        if kept + new > TAGS {
            return Err(too_many());
        }
    }
    check_dry_run(request)?;
    ec2.store.change(|change| {
        for resource in &resources {
            for (key, value) in &pairs {
                change.tag(resource, key, value.as_deref().unwrap_or_default())?;
            }
        }
        Ok(())
    })?;
    Ok(json!({}))
}

/// `DeleteTags`: those named, with their values when those are given; all when none is named.
///
/// # Errors
/// As the resource's kind refuses ids.
pub fn delete(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let resources = resources(ec2, request)?;
    let pairs = pairs(list(request, "Tags"))?;
    check_dry_run(request)?;
    ec2.store.change(|change| {
        for resource in &resources {
            if pairs.is_empty() {
                change.untag_all(resource)?;
            }
            for (key, value) in &pairs {
                change.untag(resource, key, value.as_deref())?;
            }
        }
        Ok(())
    })?;
    Ok(json!({}))
}

/// `DescribeTags`.
///
/// # Errors
/// For wrong filters and pages.
pub fn describe(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let documents = ec2.store.tags()?.into_iter().map(
        |(resource, key, value)| json!({"Key": key, "ResourceId": resource, "ResourceType": type_of(&resource), "Value": value}),
    );
    let found = pass("DescribeTags", request, documents.collect())?;
    let keyed = found
        .into_iter()
        .map(|tag| (format!("{}/{}", text(&tag, "ResourceId").unwrap_or_default(), text(&tag, "Key").unwrap_or_default()), tag));
    page(request, Limits { least: 5, most: 1000, ids: "" }, "Tags", keyed.collect())
}

fn type_of(resource: &str) -> &'static str {
    match resource.split('-').next().unwrap_or_default() {
        "i" => "instance",
        "vol" => "volume",
        "sg" => "security-group",
        "sgr" => "security-group-rule",
        "subnet" => "subnet",
        "vpc" => "vpc",
        "eni" => "network-interface",
        "sir" => "spot-instances-request",
        "key" => "key-pair",
        "snap" => "snapshot",
        "igw" => "internet-gateway",
        "rtb" => "route-table",
        "acl" => "network-acl",
        "dopt" => "dhcp-options",
        "lt" => "launch-template",
        _ => "image",
    }
}

/// The resources of a request; all must be there.
fn resources(ec2: &Ec2, request: &Value) -> Result<Vec<String>, Fault> {
    let wanted = texts(request, "Resources");
    for id in &wanted {
        let instances = || ec2.instances();
        let (refusals, there): (Refusals, bool) = match id.split('-').next().unwrap_or_default() {
            "i" => (INSTANCE, instances()?.iter().any(|instance| instance.id() == *id)),
            "vol" => (VOLUME, ec2.store.get::<Volume>(id)?.is_some()),
            "sg" => (GROUP, ec2.store.get::<Group>(id)?.is_some()),
            "sgr" => (RULE, rule_ids(ec2)?.iter().any(|rule| rule == id)),
            "subnet" => (SUBNET, ZONES.into_iter().any(|letter| ec2.place.subnet(letter) == *id)),
            "vpc" => (VPC, ec2.place.vpc() == *id),
            "eni" => (INTERFACE, instances()?.iter().any(|instance| instance.has_interface(id))),
            "key" => (KEY_PAIR, keys::is_there(ec2, id)?),
            "lt" => (TEMPLATE, ec2.store.get::<Template>(id)?.is_some()),
            "snap" => (SNAPSHOT, images::TABLE.iter().any(|image| image.snapshot(&ec2.place) == *id)),
            "igw" | "rtb" | "acl" | "dopt" => network::taggable(&ec2.place, id),
            "sir" if instances()?.iter().any(|instance: &Instance| instance.spot_request() == Some(id)) => continue,
            "ami" => {
                images::named(&ec2.place, Some(id))?;
                continue;
            }
            _ => return Err(Fault::new("InvalidID", 400, format!("The ID '{id}' is not valid"))),
        };
        refusals.check_form(id)?;
        if !there {
            return Err(refusals.missing(&[id]));
        }
    }
    Ok(wanted.into_iter().map(str::to_owned).collect())
}

/// Keys with values, if they are given.
fn pairs(tags: &[Value]) -> Result<Vec<(String, Option<String>)>, Fault> {
    let mut pairs: Vec<(String, Option<String>)> = Vec::new();
    for tag in tags {
        let Some(key) = text(tag, "Key") else { return Err(invalid("Tag key cannot be null or empty")) };
        let value = tag.get("Value").and_then(Value::as_str).map(str::to_owned);
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(invalid(format!(
                "Value ( {key} ) for parameter key is invalid. Tag keys starting with 'aws:' are reserved for internal use"
            )));
        }
        if key.chars().count() > KEY {
            return Err(invalid(format!("Tag key exceeds the maximum length of {KEY} characters")));
        }
        if value.as_ref().is_some_and(|value| value.chars().count() > VALUE) {
            return Err(invalid(format!("Tag value exceeds the maximum length of {VALUE} characters")));
        }
        pairs.push((key.to_owned(), value));
    }
    Ok(pairs)
}

fn duplicate(key: &str) -> Fault {
    invalid(format!("Duplicate tag key '{key}' specified."))
}

fn too_many() -> Fault {
    Fault::new("TagLimitExceeded", 400, format!("The maximum number of tags per resource is {TAGS}"))
}
