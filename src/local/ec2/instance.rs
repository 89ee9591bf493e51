//! An instance: what is kept of it, and how answers show it.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Ec2;
use super::keys::LaunchKey;
use super::kinds;
use super::profile;
use super::store::Kept;
use super::wanted::time;
use crate::local::ACCOUNT;
use crate::local::fault::Fault;

/// The states (EC2 User Guide, "Instance state changes").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Pending,
    Running,
    ShuttingDown,
    Terminated,
    Stopping,
    Stopped,
}

impl State {
    /// As answers have it.
    #[must_use]
    pub fn document(self) -> Value {
        let (code, name) = match self {
            Self::Pending => (0, "pending"),
            Self::Running => (16, "running"),
            Self::ShuttingDown => (32, "shutting-down"),
            Self::Terminated => (48, "terminated"),
            Self::Stopping => (64, "stopping"),
            Self::Stopped => (80, "stopped"),
        };
        json!({"Code": code, "Name": name})
    }

    /// Whether its vCPUs count against the quota.
    #[must_use]
    pub fn counts(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// Whether its end is decided.
    #[must_use]
    pub fn ends(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }
}

/// What `shutdown` inside the instance does to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shutdown {
    Stop,
    Terminate,
}

impl Shutdown {
    /// As requests and answers have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Terminate => "terminate",
        }
    }
}

/// A volume that is attached, by the name of its device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attached {
    pub device: String,
    pub volume: String,
    pub goes_along: bool,
}

/// How an instance was bought.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spot {
    pub request: String,
    pub persistent: bool,
    /// The most that is paid for an hour, as it was asked for.
    #[serde(default)]
    pub price: Option<String>,
    /// What is done with the instance when its capacity is wanted back, as it was asked for.
    #[serde(default)]
    pub interruption: Option<String>,
    /// Whether the request was cancelled; its instance goes on.
    #[serde(default)]
    pub cancelled: bool,
}

/// An instance as it is kept. Times are epoch milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Instance {
    pub id: String,
    pub reservation: String,
    pub token: Option<String>,
    pub index: usize,
    pub created: i64,
    /// From when on it is seen.
    pub visible: i64,
    /// When it last began to start.
    pub launched: i64,
    /// When it came up last.
    pub up: Option<i64>,
    pub ended: Option<i64>,
    pub image: String,
    pub kind: String,
    pub zone: char,
    pub subnet: String,
    pub interface: String,
    pub private: Ipv4Addr,
    /// Whether it gets a public address when it starts.
    pub wants_public: bool,
    /// The address that it really answers at, while its machine is up.
    pub public: Option<Ipv4Addr>,
    pub groups: Vec<String>,
    pub volumes: Vec<Attached>,
    pub root_device: String,
    pub architecture: String,
    pub state: State,
    /// Code and message.
    pub reason: Option<(String, String)>,
    pub transition: String,
    pub shutdown: Shutdown,
    pub protected: bool,
    pub stop_protected: bool,
    pub checks_source: bool,
    pub monitored: bool,
    pub user_data: Option<String>,
    /// Who may log in from the start.
    #[serde(default)]
    pub key: Option<LaunchKey>,
    /// Name of its instance profile.
    pub profile: Option<String>,
    /// What it was launched to do with the metadata service: `MetadataOptions` as answers have them.
    pub metadata: Value,
    pub spot: Option<Spot>,
    /// How often its machine was started.
    pub boots: u32,
}

impl Kept for Instance {
    const KIND: &'static str = "instance";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Instance {
    /// Where it stands in listings.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{:015}/{:06}/{}", self.created, self.index, self.id)
    }

    /// Whether this is its network interface.
    #[must_use]
    pub fn has_interface(&self, id: &str) -> bool {
        self.state != State::Terminated && self.interface == id
    }

    /// The spot request that it came from.
    #[must_use]
    pub fn spot_request(&self) -> Option<&str> {
        self.spot.as_ref().map(|spot| spot.request.as_str())
    }

    /// `ip-172-31-1-2.ec2.internal` (VPC User Guide, "DNS attributes").
    #[must_use]
    pub fn private_name(&self, region: &str) -> String {
        let [a, b, c, d] = self.private.octets();
        let domain = if region == "us-east-1" { "ec2".to_owned() } else { format!("{region}.compute") };
        format!("ip-{a}-{b}-{c}-{d}.{domain}.internal")
    }

    /// As `DescribeInstances` shows it, with the reservation's id and owner among its members: filters look for them here.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn document(&self, ec2: &Ec2) -> Result<Value, Fault> {
        let kind = kinds::by_name(&self.kind);
        let (cores, threads) = kind.map_or((1, 1), kinds::Kind::processor);
        let optimized = kind.is_some_and(kinds::Kind::ebs_optimized);
        let mut shown = json!({
            "ReservationId": self.reservation,
            "OwnerId": ACCOUNT,
            "AmiLaunchIndex": self.index,
            "ImageId": self.image,
            "InstanceId": self.id,
            "InstanceType": self.kind,
            "LaunchTime": time(self.launched),
            "Monitoring": {"State": if self.monitored { "enabled" } else { "disabled" }},
            "Placement": {
                "AvailabilityZone": ec2.place.zone(self.zone),
                "AvailabilityZoneId": ec2.place.zone_id(self.zone),
                "GroupName": "",
                "Tenancy": "default",
            },
            "PrivateDnsName": "",
            "ProductCodes": [],
            // Nothing outside this machine could resolve a name of it.
            "PublicDnsName": "",
            "State": self.state.document(),
            "StateTransitionReason": self.transition,
            "Architecture": self.architecture,
            "BlockDeviceMappings": [],
            "ClientToken": self.token.as_deref().unwrap_or_default(),
            "EbsOptimized": optimized,
            "EnaSupport": true,
            "Hypervisor": "xen",
            "NetworkInterfaces": [],
            "RootDeviceName": self.root_device,
            "RootDeviceType": "ebs",
            "SecurityGroups": [],
            "VirtualizationType": "hvm",
            "CpuOptions": {"CoreCount": cores, "ThreadsPerCore": threads},
            "CapacityReservationSpecification": {"CapacityReservationPreference": "open"},
            "HibernationOptions": {"Configured": false},
            "MetadataOptions": self.metadata,
            "EnclaveOptions": {"Enabled": false},
            "BootMode": if self.architecture == "arm64" { "uefi" } else { "uefi-preferred" },
            "PlatformDetails": "Linux/UNIX",
            "UsageOperation": "RunInstances",
            "UsageOperationUpdateTime": time(self.created),
            "PrivateDnsNameOptions": {
                "HostnameType": "ip-name",
                "EnableResourceNameDnsARecord": false,
                "EnableResourceNameDnsAAAARecord": false,
            },
            "MaintenanceOptions": {"AutoRecovery": "default"},
        });
        if let Some((code, message)) = &self.reason {
            shown["StateReason"] = json!({"Code": code, "Message": message});
        }
        if let Some(key) = &self.key {
            shown["KeyName"] = json!(key.name);
        }
        if let Some(name) = &self.profile {
            shown["IamInstanceProfile"] = profile::document(name);
        }
        if let Some(spot) = &self.spot {
            shown["InstanceLifecycle"] = json!("spot");
            shown["SpotInstanceRequestId"] = json!(spot.request);
        }
        if self.state != State::Terminated {
            self.show_attached(ec2, &mut shown)?;
        }
        ec2.tagged(&mut shown, &self.id);
        Ok(shown)
    }

    /// What an instance has until it is terminated.
    fn show_attached(&self, ec2: &Ec2, shown: &mut Value) -> Result<(), Fault> {
        let groups = ec2.group_names(&self.groups)?;
        let name = self.private_name(&ec2.place.region);
        shown["VpcId"] = json!(ec2.place.vpc());
        shown["SubnetId"] = json!(self.subnet);
        shown["PrivateIpAddress"] = json!(self.private.to_string());
        shown["PrivateDnsName"] = json!(name);
        shown["SourceDestCheck"] = json!(self.checks_source);
        shown["SecurityGroups"] = groups.clone();
        if let Some(address) = self.public {
            shown["PublicIpAddress"] = json!(address.to_string());
        }
        let volumes = self.volumes.iter().map(|attached| {
            json!({"DeviceName": attached.device, "Ebs": {
                "AttachTime": time(self.created),
                "DeleteOnTermination": attached.goes_along,
                "Status": "attached",
                "VolumeId": attached.volume,
            }})
        });
        shown["BlockDeviceMappings"] = volumes.collect();
        let mut interface = self.interface_document(ec2, &groups);
        if let Some(members) = interface.as_object_mut() {
            for other in ["AvailabilityZone", "AvailabilityZoneId", "RequesterManaged"] {
                members.remove(other);
            }
        }
        if let Some(attachment) = interface["Attachment"].as_object_mut() {
            attachment.remove("InstanceId");
            attachment.remove("InstanceOwnerId");
        }
        shown["NetworkInterfaces"] = json!([interface]);
        Ok(())
    }

    /// Its network interface, as `DescribeNetworkInterfaces` shows it.
    #[must_use]
    pub fn interface_document(&self, ec2: &Ec2, groups: &Value) -> Value {
        let name = self.private_name(&ec2.place.region);
        let mut address = json!({"Primary": true, "PrivateDnsName": name, "PrivateIpAddress": self.private.to_string()});
        let digits = self.interface.rsplit('-').next().unwrap_or_default();
        let pairs: Vec<&str> = (0..5).filter_map(|pair| digits.get(pair * 2 + 1..pair * 2 + 3)).collect();
        let mut shown = json!({
            "AvailabilityZone": ec2.place.zone(self.zone),
            "AvailabilityZoneId": ec2.place.zone_id(self.zone),
            "Attachment": {
                "AttachTime": time(self.created),
                "AttachmentId": self.interface.replacen("eni", "eni-attach", 1),
                "DeleteOnTermination": true,
                "DeviceIndex": 0,
                "InstanceId": self.id,
                "InstanceOwnerId": ACCOUNT,
                "NetworkCardIndex": 0,
                "Status": "attached",
            },
            "Description": "",
            "Groups": groups,
            "InterfaceType": "interface",
            "Ipv6Addresses": [],
            // Locally administered, as AWS's are.
            "MacAddress": format!("0a:{}", pairs.join(":")),
            "NetworkInterfaceId": self.interface,
            "OwnerId": ACCOUNT,
            "PrivateDnsName": name,
            "PrivateIpAddress": self.private.to_string(),
            "RequesterManaged": false,
            "SourceDestCheck": self.checks_source,
            "Status": "in-use",
            "SubnetId": self.subnet,
            "VpcId": ec2.place.vpc(),
        });
        if let Some(public) = self.public {
            let association = json!({"IpOwnerId": "amazon", "PublicDnsName": "", "PublicIp": public.to_string()});
            address["Association"] = association.clone();
            shown["Association"] = association;
        }
        shown["PrivateIpAddresses"] = json!([address]);
        shown
    }
}
