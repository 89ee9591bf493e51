//! Ids as EC2's: a prefix and seventeen hexadecimal digits; and what is said of one that is wrong.

use sha2::{Digest as _, Sha256};

use crate::local::fault::Fault;
use crate::local::store::random_name;

/// A new id, e.g. `i-0123456789abcdef0`.
///
/// # Errors
/// When the system has no randomness to give.
pub fn fresh(prefix: &str) -> Result<String, Fault> {
    let digits = random_name().map_err(Fault::internal)?;
    Ok(format!("{prefix}-0{}", &digits[..16]))
}

/// The id of something that the region always has: the same in every local region of that name.
#[must_use]
pub fn fixed(prefix: &str, name: &str) -> String {
    format!("{prefix}-0{}", &hex::encode(Sha256::digest(name))[..16])
}

/// Whether a text has the form of an id: eight or seventeen digits (EC2 User Guide, "Resource IDs").
#[must_use]
pub fn formed(prefix: &str, id: &str) -> bool {
    let digits = id.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-'));
    digits.is_some_and(|digits| {
        matches!(digits.len(), 8 | 17) && digits.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
    })
}

/// How a kind of resource is refused when its id is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Refusals {
    pub prefix: &'static str,
    pub malformed: &'static str,
    pub missing: &'static str,
    /// "instance ID", as in `The instance ID 'i-…' does not exist`.
    pub noun: &'static str,
}

/// Codes: EC2 API Reference, "Error codes"; texts as the service sends them.
pub const INSTANCE: Refusals = Refusals {
    prefix: "i",
    malformed: "InvalidInstanceID.Malformed",
    missing: "InvalidInstanceID.NotFound",
    noun: "instance ID",
};
pub const VOLUME: Refusals =
    Refusals { prefix: "vol", malformed: "InvalidParameterValue", missing: "InvalidVolume.NotFound", noun: "volume" };
pub const SUBNET: Refusals =
    Refusals { prefix: "subnet", malformed: "InvalidSubnetID.Malformed", missing: "InvalidSubnetID.NotFound", noun: "subnet ID" };
pub const VPC: Refusals =
    Refusals { prefix: "vpc", malformed: "InvalidVpcID.Malformed", missing: "InvalidVpcID.NotFound", noun: "vpc ID" };
pub const GROUP: Refusals =
    Refusals { prefix: "sg", malformed: "InvalidGroupId.Malformed", missing: "InvalidGroup.NotFound", noun: "security group" };
pub const RULE: Refusals = Refusals {
    prefix: "sgr",
    malformed: "InvalidSecurityGroupRuleId.Malformed",
    missing: "InvalidSecurityGroupRuleId.NotFound",
    noun: "security group rule ID",
};
pub const INTERFACE: Refusals = Refusals {
    prefix: "eni",
    malformed: "InvalidNetworkInterfaceId.Malformed",
    missing: "InvalidNetworkInterfaceID.NotFound",
    noun: "networkInterface ID",
};
pub const ENDPOINT: Refusals = Refusals {
    prefix: "eice",
    malformed: "InvalidInstanceConnectEndpointId.Malformed",
    missing: "InvalidInstanceConnectEndpointId.NotFound",
    noun: "instance connect endpoint ID",
};
pub const KEY_PAIR: Refusals =
    Refusals { prefix: "key", malformed: "InvalidParameterValue", missing: "InvalidKeyPair.NotFound", noun: "key pair" };
pub const SNAPSHOT: Refusals =
    Refusals { prefix: "snap", malformed: "InvalidSnapshotID.Malformed", missing: "InvalidSnapshot.NotFound", noun: "snapshot" };
pub const GATEWAY: Refusals = Refusals {
    prefix: "igw",
    malformed: "InvalidInternetGatewayId.Malformed",
    missing: "InvalidInternetGatewayID.NotFound",
    noun: "internetGateway ID",
};
pub const ROUTES: Refusals = Refusals {
    prefix: "rtb",
    malformed: "InvalidRouteTableId.Malformed",
    missing: "InvalidRouteTableID.NotFound",
    noun: "routeTable ID",
};
pub const ACL: Refusals = Refusals {
    prefix: "acl",
    malformed: "InvalidNetworkAclId.Malformed",
    missing: "InvalidNetworkAclID.NotFound",
    noun: "networkAcl ID",
};
pub const DHCP: Refusals = Refusals {
    prefix: "dopt",
    malformed: "InvalidDhcpOptionsId.Malformed",
    missing: "InvalidDhcpOptionID.NotFound",
    noun: "dhcpOption ID",
};
pub const ADDRESS: Refusals = Refusals {
    prefix: "eipalloc",
    malformed: "InvalidAllocationID.Malformed",
    missing: "InvalidAllocationID.NotFound",
    noun: "allocation ID",
};
pub const RESERVATION: Refusals = Refusals {
    prefix: "cr",
    malformed: "InvalidCapacityReservationId.Malformed",
    missing: "InvalidCapacityReservationId.NotFound",
    noun: "capacity reservation ID",
};
pub const PEERING: Refusals = Refusals {
    prefix: "pcx",
    malformed: "InvalidVpcPeeringConnectionId.Malformed",
    missing: "InvalidVpcPeeringConnectionID.NotFound",
    noun: "vpcPeeringConnection ID",
};
pub const TEMPLATE: Refusals = Refusals {
    prefix: "lt",
    malformed: "InvalidLaunchTemplateId.Malformed",
    missing: "InvalidLaunchTemplateId.NotFound",
    noun: "launch template ID",
};

impl Refusals {
    /// Refuses what is no id of this kind.
    ///
    /// # Errors
    /// The kind's code for malformed ids.
    pub fn check_form(&self, id: &str) -> Result<(), Fault> {
        if formed(self.prefix, id) {
            return Ok(());
        }
        let text = match self.prefix {
            "sg" => format!("Invalid id: \"{id}\" (expecting \"sg-...\")"),
            "vol" => format!("Value ({id}) for parameter volumes is invalid. Expected: 'vol-...'."),
            _ => format!("Invalid id: \"{id}\""),
        };
        Err(Fault::new(self.malformed, 400, text))
    }

    /// That these are not there.
    #[must_use]
    pub fn missing(&self, ids: &[&str]) -> Fault {
        let text = match ids {
            [id] => format!("The {} '{id}' does not exist", self.noun),
            _ => format!("The {}s '{}' do not exist", self.noun, ids.join(", ")),
        };
        Fault::new(self.missing, 400, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_service_s_form() {
        assert!(formed("i", &fresh("i").unwrap()) && formed("subnet", &fixed("subnet", "a")));
        assert!(formed("i", "i-12345678") && formed("i", "i-0123456789abcdef0"));
        for wrong in ["i-1", "i-0123456789abcdeF0", "mi-0123456789abcdef0", "i0123456789abcdef0", "", "i-"] {
            assert!(!formed("i", wrong), "{wrong}");
        }
    }

    #[test]
    fn one_or_many_are_missing() {
        assert_eq!(INSTANCE.missing(&["i-1"]).message, "The instance ID 'i-1' does not exist");
        assert_eq!(INSTANCE.missing(&["i-1", "i-2"]).message, "The instance IDs 'i-1, i-2' do not exist");
        assert_eq!(INSTANCE.check_form("foo").unwrap_err().message, "Invalid id: \"foo\"");
    }
}
