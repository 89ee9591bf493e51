//! What a launch may ask of AWS and not of the local region: refused by name, never silently left out.

use serde_json::Value;

use super::interface;
use crate::local::ec2::ids::INTERFACE;
use crate::local::ec2::wanted::{flag, list, text};
use crate::local::fault::Fault;

/// Members that nothing here could honour.
const MEMBERS: [&str; 15] = [
    "CpuOptions",
    "ElasticGpuSpecification",
    // As a launch template has it.
    "ElasticGpuSpecifications",
    "ElasticInferenceAccelerators",
    "EnablePrimaryIpv6",
    "Ipv6AddressCount",
    "Ipv6Addresses",
    "InstanceRequirements",
    "KernelId",
    "LicenseSpecifications",
    "NetworkPerformanceOptions",
    "Operator",
    "RamDiskId",
    "RamdiskId",
    "SecondaryInterfaces",
];

/// Refuses what is not offered.
///
/// # Errors
/// `Unsupported`, and for an interface that is not there. assumed: the text.
pub fn check(request: &Value) -> Result<(), Fault> {
    if let Some(member) = MEMBERS.into_iter().find(|member| request.get(member).is_some()) {
        return Err(unsupported(member));
    }
    for (member, switch) in [("HibernationOptions", "Configured"), ("EnclaveOptions", "Enabled")] {
        if request.get(member).and_then(|options| flag(options, switch)) == Some(true) {
            return Err(unsupported(member));
        }
    }
    if let Some(placement) = request.get("Placement") {
        let plain = matches!(text(placement, "Tenancy"), None | Some("default"));
        let other = ["GroupName", "GroupId", "HostId", "HostResourceGroupArn", "PartitionNumber"];
        if let Some(member) = other.into_iter().find(|member| placement.get(member).is_some_and(|value| *value != "")) {
            return Err(unsupported(&format!("Placement.{member}")));
        }
        if !plain {
            return Err(unsupported("Placement.Tenancy other than default"));
        }
    }
    if list(request, "NetworkInterfaces").len() > 1 {
        return Err(unsupported("more than one network interface"));
    }
    match interface(request).and_then(|interface| text(interface, "NetworkInterfaceId")) {
        Some(id) => {
            INTERFACE.check_form(id)?;
            Err(INTERFACE.missing(&[id]))
        }
        None => Ok(()),
    }
}

fn unsupported(what: &str) -> Fault {
    Fault::new("Unsupported", 400, format!("The local region does not offer {what} when it runs instances. Leave it out."))
}
