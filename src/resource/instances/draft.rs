//! A launch, worked out but with nothing sent: image, machine, disk, places to try, and the request itself.

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification, InstanceInterruptionBehavior,
    InstanceMarketOptionsRequest, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceMetadataTagsState,
    InstanceType, MarketType, ResourceType, ShutdownBehavior, SpotInstanceType, SpotMarketOptions, Subnet, Tag, TagSpecification,
    VolumeType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::form::filter;
use super::image::{self, Found, Image};
use super::{check, invalid, lease, look};
use crate::aws::machines::{self, Machine};
use crate::aws::{Aws, Mode, fault};
use crate::model::{Failure, Form, Recipe, Verb, length};
use crate::resource::staging;

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

/// All that is known before anything is sent.
#[derive(Debug)]
pub(super) struct Draft {
    pub name: String,
    pub image: Image,
    /// What is different about an image that was taken in the place of a withdrawn one.
    pub instead: Option<String>,
    pub machine: Machine,
    /// Absent: as the image has it, which nobody tells.
    pub storage_gb: Option<i32>,
    pub lease_seconds: i64,
    pub spot: bool,
    /// In this order, one after the other.
    pub sites: Vec<Site>,
    pub group: Group,
    /// Name or ARN of an instance profile.
    pub profile: Option<String>,
    pub user: String,
    pub tags: Vec<(String, String)>,
    mode: Mode,
}

impl Draft {
    /// Works it out from a form that has been checked.
    ///
    /// # Errors
    /// `field: …` with the remedy, or as the service says.
    pub async fn of(aws: &Aws, recipe: &Recipe, form: &Form) -> Result<Self, Failure> {
        let text = |name: &str| form.value(name).trim();
        let kind = text("instance_type");
        let (image, machine) = tokio::join!(image(aws, form), machines::describe(aws, kind));
        let ((image, instead), machine) = (image?, machine.map_err(|failure| at("instance_type", &failure))?);
        fits(&image, &machine)?;
        let storage_gb = storage(&image, text("storage_gb"))?;
        let sites = sites(aws, kind, text("zone"), text("subnet")).await?;
        let group = match text("security_group") {
            "mine" => Group::Mine(check::range(text("address")).map_err(|why| no_address(text("address"), &why))?),
            "default" => Group::Default,
            id => Group::Named(id.to_owned()),
        };
        let user = if text("user").is_empty() { image.user().to_owned() } else { text("user").to_owned() };
        let lease_seconds =
            length::seconds(text("lease")).ok_or_else(|| invalid("lease: not a length of time", "write e.g. 4h"))?;
        let mut tags = staging::tags(recipe, text("name"), &[]);
        let owner = aws.identity().await?.arn;
        let owner = owner.as_str().rsplit('/').next().unwrap_or_default();
        tags.retain(|(key, _)| key != "Name");
        tags.push(("Name".to_owned(), text("name").to_owned()));
        tags.push((look::OWNER.to_owned(), staging::tag_value(owner)));
        tags.push((look::USER.to_owned(), user.clone()));
        Ok(Self {
            name: text("name").to_owned(),
            image,
            instead,
            machine,
            storage_gb,
            lease_seconds,
            spot: form.value("spot") == "yes",
            sites,
            group,
            profile: Some(text("instance_profile")).filter(|profile| !profile.is_empty()).map(str::to_owned),
            user,
            tags,
            mode: aws.mode(),
        })
    }

    /// The request for one place. The same again, token included, is the same instance.
    pub fn request(&self, aws: &Aws, site: &Site, group: &str, token: &str, end: Timestamp) -> RunInstancesFluentBuilder {
        let disk = EbsBlockDevice::builder()
            .volume_type(VolumeType::Gp3)
            .set_volume_size(self.storage_gb)
            .delete_on_termination(true)
            .build();
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_tokens(HttpTokensState::Required)
            .http_endpoint(InstanceMetadataEndpointState::Enabled)
            // Containers on the instance are one step further away.
            .http_put_response_hop_limit(2)
            .instance_metadata_tags(InstanceMetadataTagsState::Enabled)
            .build();
        let mut call = aws
            .ec2
            .run_instances()
            .image_id(&self.image.id)
            .instance_type(InstanceType::from(self.machine.name.as_str()))
            .min_count(1)
            .max_count(1)
            .client_token(token)
            .subnet_id(&site.subnet)
            .security_group_ids(group)
            .block_device_mappings(BlockDeviceMapping::builder().device_name(&self.image.root_device).ebs(disk).build())
            .metadata_options(metadata)
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .user_data(STANDARD.encode(lease::user_data(self.mode, end)));
        if let Some(profile) = &self.profile {
            let named = IamInstanceProfileSpecification::builder();
            let named = if profile.starts_with("arn:") { named.arn(profile) } else { named.name(profile) };
            call = call.iam_instance_profile(named.build());
        }
        if self.spot {
            let spot = SpotMarketOptions::builder()
                .spot_instance_type(SpotInstanceType::OneTime)
                .instance_interruption_behavior(InstanceInterruptionBehavior::Terminate)
                .build();
            let market = InstanceMarketOptionsRequest::builder().market_type(MarketType::Spot).spot_options(spot).build();
            call = call.instance_market_options(market);
        }
        for kind in [ResourceType::Instance, ResourceType::Volume] {
            let tags = self.all_tags(end).into_iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
            call = call.tag_specifications(TagSpecification::builder().resource_type(kind).set_tags(Some(tags)).build());
        }
        call
    }

    fn all_tags(&self, end: Timestamp) -> Vec<(String, String)> {
        let mut tags = self.tags.clone();
        tags.push((lease::LEASE.to_owned(), lease::written(end)));
        tags
    }

    /// The request for the first place as JSON, for people; what the timer is made with is spelled out.
    pub fn document(&self, group: &str, end: Timestamp) -> Value {
        let tags: Vec<Value> = self.all_tags(end).into_iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        let mut document = json!({
            "ImageId": self.image.id,
            "InstanceType": self.machine.name,
            "MinCount": 1,
            "MaxCount": 1,
            "SubnetId": self.sites.first().map(|site| &site.subnet),
            "SecurityGroupIds": [group],
            "BlockDeviceMappings": [{
                "DeviceName": self.image.root_device,
                "Ebs": {"VolumeType": "gp3", "VolumeSize": self.storage_gb, "DeleteOnTermination": true},
            }],
            "MetadataOptions": {"HttpTokens": "required", "HttpEndpoint": "enabled", "HttpPutResponseHopLimit": 2, "InstanceMetadataTags": "enabled"},
            "InstanceInitiatedShutdownBehavior": "terminate",
        });
        if let Some(profile) = &self.profile {
            document["IamInstanceProfile"] = json!({ if profile.starts_with("arn:") { "Arn" } else { "Name" }: profile });
        }
        if self.spot {
            document["InstanceMarketOptions"] = json!({"MarketType": "spot", "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}});
        }
        document["TagSpecifications"] =
            json!([{"ResourceType": "instance", "Tags": tags}, {"ResourceType": "volume", "Tags": tags}]);
        document["UserData"] = json!(lease::user_data(self.mode, end));
        document
    }
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

/// Where to try: the subnet that is named, else the default subnets of the zones that offer the type.
async fn sites(aws: &Aws, kind: &str, zone: &str, subnet: &str) -> Result<Vec<Site>, Failure> {
    let zones = machines::zones(aws, kind).await?;
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
            let hint = format!("zones that have {kind}: {}", here());
            let what = if subnet.is_empty() {
                format!("zone: there is no subnet in '{zone}'")
            } else {
                format!("zone: {subnet} is not in {zone}")
            };
            return Err(invalid(&what, &hint));
        }
    }
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
