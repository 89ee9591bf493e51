//! What every account has from the start: a region, its zones, the default network with a subnet in each zone.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::filter::pass;
use super::ids::{SUBNET, VPC, fixed};
use super::wanted::{Limits, invalid, list, page, text, texts};
use crate::local::ACCOUNT;
use crate::local::fault::Fault;

/// The letters of the zones.
pub const ZONES: [char; 6] = ['a', 'b', 'c', 'd', 'e', 'f'];
const PAGES: Limits = Limits { least: 5, most: 1000, ids: "" };

/// The region that this one plays.
#[derive(Clone, Debug)]
pub struct Place {
    /// E.g. `us-east-1`.
    pub region: String,
}

impl Place {
    /// The name of a zone, e.g. `us-east-1a`.
    #[must_use]
    pub fn zone(&self, letter: char) -> String {
        format!("{}{letter}", self.region)
    }

    /// The letter of a zone of this region.
    #[must_use]
    pub fn letter(&self, zone: &str) -> Option<char> {
        ZONES.into_iter().find(|letter| self.zone(*letter) == zone)
    }

    /// The id of a zone, e.g. `use1-az1`. On AWS, which letter has which id differs between accounts.
    #[must_use]
    pub fn zone_id(&self, letter: char) -> String {
        let number = ZONES.iter().position(|zone| *zone == letter).unwrap_or_default() + 1;
        let mut parts = self.region.split('-');
        let area = parts.next().unwrap_or_default();
        // `us-east-1` is `use1`, `ap-southeast-2` is `apse2`.
        let side = parts.next().unwrap_or_default();
        let short: String = ["north", "south", "east", "west", "central"]
            .into_iter()
            .filter_map(|word| side.find(word).map(|at| (at, word)))
            .collect::<std::collections::BTreeMap<_, _>>()
            .values()
            .filter_map(|word| word.chars().next())
            .collect();
        format!("{area}{short}{}-az{number}", parts.next().unwrap_or_default())
    }

    /// The default network.
    #[must_use]
    pub fn vpc(&self) -> String {
        fixed("vpc", &self.region)
    }

    /// The default subnet of a zone.
    #[must_use]
    pub fn subnet(&self, letter: char) -> String {
        fixed("subnet", &self.zone(letter))
    }

    /// The zone of a subnet.
    #[must_use]
    pub fn zone_of(&self, subnet: &str) -> Option<char> {
        ZONES.into_iter().find(|letter| self.subnet(*letter) == subnet)
    }

    /// The first address of a zone's subnet, 172.31.X.0/20 (VPC User Guide, "Default VPCs").
    #[must_use]
    pub fn first_address(letter: char) -> Ipv4Addr {
        let number = ZONES.iter().position(|zone| *zone == letter).unwrap_or_default();
        Ipv4Addr::new(172, 31, u8::try_from(number * 16).unwrap_or_default(), 0)
    }

    /// `DescribeRegions`: this is the only one.
    ///
    /// # Errors
    /// `InvalidParameterValue` for another region, and for wrong filters.
    pub fn regions(&self, request: &Value) -> Result<Value, Fault> {
        if let Some(name) = texts(request, "RegionNames").into_iter().find(|name| *name != self.region) {
            return Err(invalid(format!("Invalid region name: {name}")));
        }
        let region = json!({
            "RegionName": self.region,
            "Endpoint": format!("ec2.{}.amazonaws.com", self.region),
            "OptInStatus": "opt-in-not-required",
        });
        Ok(json!({"Regions": pass("DescribeRegions", request, vec![region])?}))
    }

    /// `DescribeAvailabilityZones`.
    ///
    /// # Errors
    /// `InvalidParameterValue` for unknown zones, and for wrong filters.
    pub fn zones(&self, request: &Value) -> Result<Value, Fault> {
        let (names, ids) = (texts(request, "ZoneNames"), texts(request, "ZoneIds"));
        if let Some(name) = names.iter().find(|name| self.letter(name).is_none()) {
            return Err(invalid(format!("Invalid availability zone: [{name}]")));
        }
        if let Some(id) = ids.iter().find(|id| ZONES.into_iter().all(|letter| self.zone_id(letter) != **id)) {
            return Err(invalid(format!("Invalid availability zone-id: [{id}]")));
        }
        let asked = ZONES.into_iter().filter(|letter| {
            (names.is_empty() || names.contains(&self.zone(*letter).as_str()))
                && (ids.is_empty() || ids.contains(&self.zone_id(*letter).as_str()))
        });
        let documents = asked.map(|letter| {
            json!({
                "State": "available",
                "OptInStatus": "opt-in-not-required",
                "Messages": [],
                "RegionName": self.region,
                "ZoneName": self.zone(letter),
                "ZoneId": self.zone_id(letter),
                "GroupName": format!("{}-zg-1", self.region),
                "NetworkBorderGroup": self.region,
                "ZoneType": "availability-zone",
            })
        });
        Ok(json!({"AvailabilityZones": pass("DescribeAvailabilityZones", request, documents.collect())?}))
    }

    /// `DescribeVpcs`.
    ///
    /// # Errors
    /// `InvalidVpcID.NotFound`, and for wrong filters and pages.
    pub fn vpcs(&self, request: &Value, tagged: impl Fn(&mut Value, &str)) -> Result<Value, Fault> {
        let id = self.vpc();
        let mut vpc = json!({
            "CidrBlock": "172.31.0.0/16",
            "DhcpOptionsId": self.dhcp(),
            "State": "available",
            "VpcId": id,
            "OwnerId": ACCOUNT,
            "InstanceTenancy": "default",
            "CidrBlockAssociationSet": [{
                "AssociationId": fixed("vpc-cidr-assoc", &self.region),
                "CidrBlock": "172.31.0.0/16",
                "CidrBlockState": {"State": "associated"},
            }],
            "IsDefault": true,
        });
        tagged(&mut vpc, &id);
        asked(request, "VpcIds", VPC, &[id.as_str()])?;
        let found = pass("DescribeVpcs", request, vec![vpc])?;
        page(request, PAGES, "Vpcs", found.into_iter().map(|vpc| (id.clone(), vpc)).collect())
    }

    /// `DescribeSubnets`; `used` are the addresses that a subnet has given away.
    ///
    /// # Errors
    /// `InvalidSubnetID.NotFound`, and for wrong filters and pages.
    pub fn subnets(
        &self,
        request: &Value,
        used: impl Fn(&str) -> usize,
        tagged: impl Fn(&mut Value, &str),
    ) -> Result<Value, Fault> {
        let all: Vec<String> = ZONES.into_iter().map(|letter| self.subnet(letter)).collect();
        asked(request, "SubnetIds", SUBNET, &all.iter().map(String::as_str).collect::<Vec<_>>())?;
        let wanted = texts(request, "SubnetIds");
        let documents = ZONES
            .into_iter()
            .filter(|letter| wanted.is_empty() || wanted.contains(&self.subnet(*letter).as_str()))
            .map(|letter| {
                let id = self.subnet(letter);
                let mut subnet = json!({
                    "AvailabilityZone": self.zone(letter),
                    "AvailabilityZoneId": self.zone_id(letter),
                    // Of 4096 addresses AWS keeps five.
                    "AvailableIpAddressCount": 4091_usize.saturating_sub(used(&id)),
                    "CidrBlock": format!("{}/20", Self::first_address(letter)),
                    "DefaultForAz": true,
                    "MapPublicIpOnLaunch": true,
                    "MapCustomerOwnedIpOnLaunch": false,
                    "State": "available",
                    "SubnetId": id,
                    "VpcId": self.vpc(),
                    "OwnerId": ACCOUNT,
                    "AssignIpv6AddressOnCreation": false,
                    "Ipv6CidrBlockAssociationSet": [],
                    "SubnetArn": format!("arn:aws:ec2:{}:{ACCOUNT}:subnet/{id}", self.region),
                    "EnableDns64": false,
                    "Ipv6Native": false,
                    "PrivateDnsNameOptionsOnLaunch": {
                        "HostnameType": "ip-name",
                        "EnableResourceNameDnsARecord": false,
                        "EnableResourceNameDnsAAAARecord": false,
                    },
                });
                tagged(&mut subnet, &id);
                subnet
            });
        let found = pass("DescribeSubnets", request, documents.collect())?;
        let keyed = found.into_iter().map(|subnet| (text(&subnet, "AvailabilityZone").unwrap_or_default().to_owned(), subnet));
        page(request, PAGES, "Subnets", keyed.collect())
    }
}

/// Refuses ids that are wrong or not among those that there are.
///
/// # Errors
/// The kind's own.
pub fn asked(request: &Value, member: &str, refusals: super::ids::Refusals, there: &[&str]) -> Result<(), Fault> {
    let ids: Vec<&str> = list(request, member).iter().filter_map(Value::as_str).collect();
    ids.iter().try_for_each(|id| refusals.check_form(id))?;
    let missing: Vec<&str> = ids.into_iter().filter(|id| !there.contains(id)).collect();
    if missing.is_empty() { Ok(()) } else { Err(refusals.missing(&missing)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_have_their_region_s_short_name() {
        let id = |region: &str| Place { region: region.to_owned() }.zone_id('b');
        assert_eq!(
            (id("us-east-1"), id("ap-southeast-2"), id("eu-central-1")),
            ("use1-az2".to_owned(), "apse2-az2".to_owned(), "euc1-az2".to_owned())
        );
    }

    #[test]
    fn each_zone_has_a_subnet() {
        let place = Place { region: "us-east-1".to_owned() };
        let answer = place
            .subnets(&json!({"Filters": [{"Name": "availability-zone", "Values": ["us-east-1c"]}]}), |_| 1, |_, _| ())
            .unwrap();
        let subnet = &answer["Subnets"][0];
        assert_eq!(
            (subnet["CidrBlock"].as_str(), subnet["AvailableIpAddressCount"].as_i64()),
            (Some("172.31.32.0/20"), Some(4090))
        );
        assert_eq!(place.zone_of(subnet["SubnetId"].as_str().unwrap()), Some('c'));
        let unknown = place.subnets(&json!({"SubnetIds": ["subnet-0123456789abcdef0"]}), |_| 0, |_, _| ()).unwrap_err();
        assert_eq!(unknown.message, "The subnet ID 'subnet-0123456789abcdef0' does not exist");
    }
}
