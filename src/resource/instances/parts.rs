//! The parts of a launch, each looked up by itself: what is wrong with one keeps none of the others from being told.

use aws_sdk_ec2::types::Subnet;

use super::form::filter;
use super::image::{self, Found, Image};
use super::{check, invalid};
use crate::aws::machines::{self, Machine};
use crate::aws::{Aws, fault};
use crate::model::{Failure, FailureKind, Form, Problem, Verb, length};

/// Whom the instance's security group lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// This one.
    Named(String),
    /// The VPC's default one.
    Default,
    /// One that is made, or was made before, for this range of addresses.
    Mine(String),
}

/// A place to launch in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    pub zone: String,
    pub subnet: String,
    pub vpc: String,
}

/// What is known of each part; absent is what its field does not say, or what is wrong.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// With what is different about one that is taken in the place of a withdrawn one.
    pub image: Option<(Image, Option<String>)>,
    pub machine: Option<Machine>,
    /// Absent, too: as the image has it, which nobody tells.
    pub storage_gb: Option<i32>,
    pub lease_seconds: Option<i64>,
    /// In this order, one after the other.
    pub sites: Vec<Site>,
    pub group: Option<Group>,
    /// The caller's ARN.
    pub owner: Option<String>,
    /// All that was found to be wrong, `field: …` first where it is about one.
    pub failures: Vec<Failure>,
}

impl Parts {
    /// Looks them up, but for the fields that the check has found wrong.
    pub async fn of(aws: &Aws, form: &Form, checked: &[Problem]) -> Self {
        let text = |name: &str| form.value(name).trim();
        let sound = |name: &str| !checked.iter().any(|problem| problem.fatal && problem.field == name);
        let kind = Some(text("instance_type")).filter(|_| sound("instance_type"));
        let mut parts = Self::default();
        let (image, machine, owner) = tokio::join!(
            async { if sound("image") { Some(image(aws, form).await) } else { None } },
            async {
                match kind {
                    Some(kind) => Some(machines::describe(aws, kind).await.map_err(|failure| at("instance_type", &failure))),
                    None => None,
                }
            },
            aws.identity()
        );
        parts.image = parts.keep(image);
        parts.machine = parts.keep(machine);
        parts.owner = parts.keep(Some(owner)).map(|identity| identity.arn.to_string());
        if let (Some((image, _)), Some(machine)) = (&parts.image, &parts.machine) {
            let fits = fits(image, machine);
            parts.keep(Some(fits));
        }
        if let Some((image, _)) = parts.image.as_ref().filter(|_| sound("storage_gb")) {
            let storage = storage(image, text("storage_gb"));
            parts.storage_gb = parts.keep(Some(storage)).flatten();
        }
        let named = |name: &str| if sound(name) { text(name) } else { "" };
        let kind = parts.machine.as_ref().map(|machine| machine.name.clone());
        let sites = sites(aws, kind.as_deref(), named("zone"), named("subnet")).await;
        parts.sites = parts.keep(Some(sites)).unwrap_or_default();
        if sound("security_group") && sound("address") {
            let group = group(text("security_group"), text("address"));
            parts.group = parts.keep(Some(group));
        }
        parts.lease_seconds = length::seconds(text("lease")).filter(|_| sound("lease"));
        parts
    }

    /// Takes what was found, or notes why it was not. What all looks suffer from alike is noted once.
    fn keep<T>(&mut self, found: Option<Result<T, Failure>>) -> Option<T> {
        match found? {
            Ok(found) => Some(found),
            Err(failure) => {
                let own = matches!(failure.kind, FailureKind::Invalid | FailureKind::NotFound | FailureKind::Denied);
                if own || self.failures.iter().all(|known| known.kind != failure.kind) {
                    self.failures.push(failure);
                }
                None
            }
        }
    }
}

fn group(named: &str, address: &str) -> Result<Group, Failure> {
    Ok(match named {
        "mine" => Group::Mine(check::range(address).map_err(|why| no_address(address, &why))?),
        "default" => Group::Default,
        id => Group::Named(id.to_owned()),
    })
}

/// A failure as one of this field.
fn at(field: &str, failure: &Failure) -> Failure {
    Failure::new(failure.kind, format!("{field}: {}", failure.what), &failure.hint)
}

fn no_address(text: &str, why: &str) -> Failure {
    if text.is_empty() {
        return invalid(
            "address: a security group for your address alone needs to know it",
            "ask `curl https://checkip.amazonaws.com`, and put it here; or take another security group",
        );
    }
    invalid(&format!("address: {why}"), "")
}

/// The image of the form; and, when AWS has withdrawn it and the form wants its successor, what is different about that.
async fn image(aws: &Aws, form: &Form) -> Result<(Image, Option<String>), Failure> {
    // What it was cloned from may have an image that only its owner can look at.
    let found = image::resolve(aws, form.value("image")).await;
    match found {
        Ok(Found::There(image)) => Ok((image, None)),
        Ok(Found::Gone { successor, why }) if form.value("successor") == "yes" => Ok((*successor, Some(why))),
        Ok(Found::Gone { why, .. }) => Err(invalid(
            &format!("image: {why}"),
            "take it by `or successor`: yes (--set successor=yes), or choose another image",
        )),
        Err(failure) if form.verb == Verb::Clone && !failure.what.as_str().starts_with("image: ") => Err(at("image", &failure)),
        Err(failure) => Err(failure),
    }
}

fn fits(image: &Image, machine: &Machine) -> Result<(), Failure> {
    if image.windows {
        return Err(invalid("image: it is Windows, and footplate works over SSH", "take a Linux image"));
    }
    let Some(architecture) = image.architecture.as_deref() else { return Ok(()) };
    if machine.architectures.is_empty() || machine.architectures.iter().any(|one| one == architecture) {
        return Ok(());
    }
    Err(invalid(
        &format!("instance_type: {} is {}, and the image is for {architecture}", machine.name, machine.architectures.join(", ")),
        if architecture == "arm64" {
            "take a type with Graviton, e.g. g5g.xlarge, or an x86_64 image"
        } else {
            "take a type with Intel or AMD, or an arm64 image"
        },
    ))
}

/// The size of the disk: at least that of the image's snapshot.
fn storage(image: &Image, text: &str) -> Result<Option<i32>, Failure> {
    let Ok(wanted) = text.parse::<i32>() else { return Ok(image.snapshot_gb) };
    match image.snapshot_gb {
        Some(least) if wanted < least => Err(invalid(
            &format!("storage_gb: the image's own snapshot has {least} GB, so a disk of {wanted} GB cannot hold it"),
            &format!("take {least} or more, or leave it empty"),
        )),
        _ => Ok(Some(wanted)),
    }
}

/// Where to try: the subnet that is named, else the default subnets of the zones that offer the type, where that is known.
async fn sites(aws: &Aws, kind: Option<&str>, zone: &str, subnet: &str) -> Result<Vec<Site>, Failure> {
    let zones = match kind {
        Some(kind) => machines::zones(aws, kind).await?,
        None => Vec::new(),
    };
    let here = || if zones.is_empty() { "none".to_owned() } else { zones.join(", ") };
    let call = aws.ec2.describe_subnets();
    let call = if subnet.is_empty() { call.filters(filter("default-for-az", "true")) } else { call.subnet_ids(subnet) };
    let answer = call.send().await.map_err(|error| at("subnet", &fault::tell("looking for subnets", &error)))?;
    let site = |subnet: &Subnet| Site {
        zone: subnet.availability_zone().unwrap_or_default().to_owned(),
        subnet: subnet.subnet_id().unwrap_or_default().to_owned(),
        vpc: subnet.vpc_id().unwrap_or_default().to_owned(),
    };
    let mut sites: Vec<Site> = answer.subnets().iter().map(site).collect();
    sites.sort_by(|a, b| a.zone.cmp(&b.zone));
    if sites.is_empty() {
        return Err(invalid(
            "subnet: this account has no default network here",
            "name a subnet, or make a default VPC (aws ec2 create-default-vpc)",
        ));
    }
    if !zone.is_empty() {
        sites.retain(|site| site.zone == zone);
        if sites.is_empty() {
            let hint = kind.map_or_else(String::new, |kind| format!("zones that have {kind}: {}", here()));
            let what = if subnet.is_empty() {
                format!("zone: there is no subnet in '{zone}'")
            } else {
                format!("zone: {subnet} is not in {zone}")
            };
            return Err(invalid(&what, &hint));
        }
    }
    let Some(kind) = kind else { return Ok(sites) };
    let named = sites.first().map(|site| site.zone.clone()).unwrap_or_default();
    sites.retain(|site| zones.contains(&site.zone));
    if sites.is_empty() {
        let field = if zone.is_empty() && subnet.is_empty() { "instance_type" } else { "zone" };
        return Err(invalid(&format!("{field}: {kind} is not to be had in {named}"), &format!("zones that have it: {}", here())));
    }
    Ok(sites)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_at_least_as_large_as_the_images() {
        let image = |snapshot_gb| Image::for_test("Deep Learning AMI PyTorch 2.7 (Ubuntu 22.04)", "x86_64", snapshot_gb);
        assert_eq!(storage(&image(Some(75)), "").unwrap(), Some(75));
        assert_eq!(storage(&image(Some(75)), "80").unwrap(), Some(80));
        assert_eq!(storage(&image(None), "").unwrap(), None);
        let failure = storage(&image(Some(75)), "30").unwrap_err();
        assert!(failure.what.as_str().starts_with("storage_gb: the image's own snapshot has 75 GB"), "{failure}");
        let machine = Machine {
            name: "g5g.xlarge".to_owned(),
            vcpus: 4,
            memory_mib: 8192,
            gpu: None,
            architectures: vec!["arm64".to_owned()],
            nitro: true,
        };
        assert!(fits(&image(None), &machine).unwrap_err().what.as_str().contains("is arm64, and the image is for x86_64"));
    }
}
