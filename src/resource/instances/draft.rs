//! A launch, worked out but with nothing sent: all its parts together, and the request itself.

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    BlockDeviceMapping, EbsBlockDevice, HttpTokensState, IamInstanceProfileSpecification, InstanceInterruptionBehavior,
    InstanceMarketOptionsRequest, InstanceMetadataEndpointState, InstanceMetadataOptionsRequest, InstanceMetadataTagsState,
    InstanceType, MarketType, ResourceType, ShutdownBehavior, SpotInstanceType, SpotMarketOptions, Tag, TagSpecification,
    VolumeType,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::image::Image;
use super::parts::{Group, Parts, Site};
use super::{lease, look};
use crate::aws::machines::Machine;
use crate::aws::{Aws, Mode};
use crate::model::{Failure, Form, Recipe};
use crate::resource::staging;

/// All that is known before anything is sent.
#[derive(Debug)]
pub(super) struct Draft {
    pub name: String,
    pub image: Image,
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
    pub tags: Vec<(String, String)>,
    mode: Mode,
}

impl Draft {
    /// Puts it together.
    ///
    /// # Errors
    /// All that stands in the way: `field: …` each, with the remedy, or as the service says.
    pub fn of(aws: &Aws, recipe: &Recipe, form: &Form, parts: Parts) -> Result<Self, Vec<Failure>> {
        let text = |name: &str| form.value(name).trim();
        let Parts { image: Some((image, _)), machine: Some(machine), sites, group: Some(group), .. } = parts else {
            return Err(parts.failures);
        };
        let (Some(lease_seconds), Some(arn)) = (parts.lease_seconds, parts.owner) else {
            return Err(parts.failures);
        };
        if !parts.failures.is_empty() {
            return Err(parts.failures);
        }
        let user = if text("user").is_empty() { image.user().to_owned() } else { text("user").to_owned() };
        let mut tags = staging::tags(recipe, text("name"), &[]);
        let owner = arn.rsplit('/').next().unwrap_or_default();
        tags.retain(|(key, _)| key != "Name");
        tags.push(("Name".to_owned(), text("name").to_owned()));
        tags.push((look::OWNER.to_owned(), staging::tag_value(owner)));
        tags.push((look::USER.to_owned(), user));
        Ok(Self {
            name: text("name").to_owned(),
            image,
            machine,
            storage_gb: parts.storage_gb,
            lease_seconds,
            spot: form.value("spot") == "yes",
            sites,
            group,
            profile: Some(text("instance_profile")).filter(|profile| !profile.is_empty()).map(str::to_owned),
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
