//! Where a launch goes: subnet, zone, groups and addresses, from the request itself or from its network interface.

use std::net::Ipv4Addr;

use serde_json::Value;

use super::interface;
use crate::local::ec2::Ec2;
use crate::local::ec2::ids::SUBNET;
use crate::local::ec2::place::{Place, ZONES};
use crate::local::ec2::wanted::{flag, invalid, list, text, texts};
use crate::local::fault::Fault;

/// Where a launch goes.
pub struct Whereto<'a> {
    /// None when any zone will do.
    pub zone: Option<char>,
    pub groups: Vec<&'a str>,
    pub group_names: Vec<&'a str>,
    pub wants_public: bool,
    pub address: Option<Ipv4Addr>,
}

/// Reads it.
///
/// # Errors
/// `InvalidSubnetID.NotFound`, `InvalidParameterValue` for zones and addresses, `InvalidParameterCombination` for what is asked
/// for twice.
pub fn read<'a>(ec2: &Ec2, request: &'a Value) -> Result<Whereto<'a>, Fault> {
    let interface = interface(request);
    let given = ["SubnetId", "SecurityGroupIds", "SecurityGroups", "PrivateIpAddress"]
        .into_iter()
        .any(|member| request.get(member).is_some());
    if interface.is_some() && given {
        let text = "Network interfaces and an instance-level subnet ID, security groups or private IP address may not be specified on the same request";
        return Err(Fault::new("InvalidParameterCombination", 400, text));
    }
    let inner = interface.unwrap_or(request);
    let subnet = text(inner, "SubnetId").map(|id| zone_of_subnet(&ec2.place, id)).transpose()?;
    let asked = request.get("Placement").map(|placement| zone_of_placement(&ec2.place, placement)).transpose()?.flatten();
    if let (Some(subnet), Some(asked)) = (subnet, asked)
        && subnet != asked
    {
        let text = format!(
            "The availability zone '{}' of the subnet does not match the requested '{}'",
            ec2.place.zone(subnet),
            ec2.place.zone(asked)
        );
        return Err(invalid(text));
    }
    let (groups, group_names) = match interface {
        Some(interface) => (texts(interface, "Groups"), Vec::new()),
        None => (texts(request, "SecurityGroupIds"), texts(request, "SecurityGroups")),
    };
    let address = text(inner, "PrivateIpAddress").map(|address| own_address(address, subnet)).transpose()?;
    if interface.is_some_and(|interface| !list(interface, "Ipv6Addresses").is_empty()) {
        return Err(Fault::new("Unsupported", 400, "The subnets of the local region have no IPv6 addresses. Leave them out."));
    }
    let wants_public = interface.and_then(|interface| flag(interface, "AssociatePublicIpAddress")).unwrap_or(true);
    Ok(Whereto { zone: subnet.or(asked), groups, group_names, wants_public, address })
}

fn zone_of_subnet(place: &Place, id: &str) -> Result<char, Fault> {
    SUBNET.check_form(id)?;
    place.zone_of(id).ok_or_else(|| SUBNET.missing(&[id]))
}

fn zone_of_placement(place: &Place, placement: &Value) -> Result<Option<char>, Fault> {
    let by_id = |id: &str| ZONES.into_iter().find(|letter| place.zone_id(*letter) == id);
    let unknown = |name: &str| invalid(format!("Invalid availability zone: [{name}]"));
    match (text(placement, "AvailabilityZone"), text(placement, "AvailabilityZoneId")) {
        (Some(name), _) => place.letter(name).map(Some).ok_or_else(|| unknown(name)),
        (None, Some(id)) => by_id(id).map(Some).ok_or_else(|| unknown(id)),
        (None, None) => Ok(None),
    }
}

/// An address that the client chooses must be one of the subnet's that AWS does not keep for itself.
fn own_address(address: &str, zone: Option<char>) -> Result<Ipv4Addr, Fault> {
    let wrong = || invalid(format!("Invalid value '{address}' for privateIpAddress. It must be an address of the subnet."));
    let parsed: Ipv4Addr = address.parse().map_err(|_| wrong())?;
    let first = u32::from(Place::first_address(zone.ok_or_else(wrong)?));
    let inside = (first + 4..first + 4095).contains(&u32::from(parsed));
    if inside { Ok(parsed) } else { Err(wrong()) }
}
