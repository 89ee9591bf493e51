//! Instance types: `DescribeInstanceTypes`, `DescribeInstanceTypeOfferings`, and the vCPU quotas that they count against.

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Place;
use super::filter::pass;
use super::wanted::{Limits, invalid, page, text, texts};
use crate::local::fault::Fault;

/// Written by `instance_types.py`. Infallible: the text is part of the program, and a test reads it.
static TYPES: LazyLock<Table> =
    LazyLock::new(|| serde_json::from_str(include_str!("instance_types.json")).expect("the embedded table is valid"));

#[derive(Deserialize)]
struct Table {
    types: Vec<Kind>,
}

/// An instance type.
#[derive(Debug, Deserialize)]
pub struct Kind {
    /// The letters of the zones that offer it.
    pub zones: String,
    /// As `DescribeInstanceTypes` answers it.
    about: Value,
}

impl Kind {
    /// Its name, e.g. `g5.2xlarge`.
    #[must_use]
    pub fn name(&self) -> &str {
        text(&self.about, "InstanceType").unwrap_or_default()
    }

    /// What its vCPUs are, as cores and threads of each.
    #[must_use]
    pub fn processor(&self) -> (u32, u32) {
        let number = |member: &str| self.about["VCpuInfo"][member].as_u64().and_then(|number| u32::try_from(number).ok());
        (number("DefaultCores").unwrap_or(1), number("DefaultThreadsPerCore").unwrap_or(1))
    }

    /// Its vCPUs, which quotas count.
    #[must_use]
    pub fn vcpus(&self) -> u32 {
        self.about["VCpuInfo"]["DefaultVCpus"].as_u64().and_then(|number| u32::try_from(number).ok()).unwrap_or(u32::MAX)
    }

    /// Whether images of this architecture start on it.
    #[must_use]
    pub fn runs(&self, architecture: &str) -> bool {
        texts(&self.about["ProcessorInfo"], "SupportedArchitectures").contains(&architecture)
    }

    /// Its first architecture.
    #[must_use]
    pub fn architecture(&self) -> &str {
        texts(&self.about["ProcessorInfo"], "SupportedArchitectures").first().copied().unwrap_or("x86_64")
    }

    /// Whether its volumes have a line of their own without asking.
    #[must_use]
    pub fn ebs_optimized(&self) -> bool {
        self.about["EbsInfo"]["EbsOptimizedSupport"] == "default"
    }

    /// Whether the zone with this letter has it.
    #[must_use]
    pub fn offered_in(&self, letter: char) -> bool {
        self.zones.contains(letter)
    }

    /// The code of the quota that its vCPUs count against (EC2 User Guide, "EC2 instance type quotas").
    #[must_use]
    pub fn quota(&self, spot: bool) -> &'static str {
        match (self.name().chars().next(), spot) {
            (Some('g' | 'v'), false) => "L-DB2E81BA",
            (Some('g' | 'v'), true) => "L-3819A6DF",
            (Some('p'), false) => "L-417A185B",
            (Some('p'), true) => "L-7212CCBC",
            (_, false) => "L-1216C47A",
            (_, true) => "L-34B43A08",
        }
    }
}

/// The type of this name.
///
/// # Errors
/// `InvalidParameterValue` in AWS's words.
pub fn named(name: &str) -> Result<&'static Kind, Fault> {
    by_name(name).ok_or_else(|| invalid(format!("Invalid value '{name}' for InstanceType.")))
}

/// The type of this name, if the region has it.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Kind> {
    TYPES.types.iter().find(|kind| kind.name() == name)
}

/// All types.
pub fn all() -> impl Iterator<Item = &'static Kind> {
    TYPES.types.iter()
}

/// `DescribeInstanceTypes`.
///
/// # Errors
/// `InvalidInstanceType`, and for wrong filters and pages.
pub fn describe(request: &Value) -> Result<Value, Fault> {
    let names = texts(request, "InstanceTypes");
    let unknown: Vec<&str> = names.iter().copied().filter(|name| by_name(name).is_none()).collect();
    if !unknown.is_empty() {
        let text = format!("The following supplied instance types do not exist: [{}]", unknown.join(", "));
        return Err(Fault::new("InvalidInstanceType", 400, text));
    }
    let asked = TYPES.types.iter().filter(|kind| names.is_empty() || names.contains(&kind.name()));
    let found = pass("DescribeInstanceTypes", request, asked.map(|kind| kind.about.clone()).collect())?;
    let keyed = found.into_iter().map(|about| (text(&about, "InstanceType").unwrap_or_default().to_owned(), about));
    page(request, Limits { least: 5, most: 100, ids: "InstanceTypes" }, "InstanceTypes", keyed.collect())
}

/// `DescribeInstanceTypeOfferings`.
///
/// # Errors
/// For wrong filters and pages.
pub fn offerings(place: &Place, request: &Value) -> Result<Value, Fault> {
    let location = text(request, "LocationType").unwrap_or("region");
    let offer = |kind: &Kind, at: String| json!({"InstanceType": kind.name(), "LocationType": location, "Location": at});
    let offers = TYPES.types.iter().flat_map(|kind| match location {
        "region" => vec![offer(kind, place.region.clone())],
        "availability-zone" => kind.zones.chars().map(|letter| offer(kind, place.zone(letter))).collect(),
        "availability-zone-id" => kind.zones.chars().map(|letter| offer(kind, place.zone_id(letter))).collect(),
        // There are no Outposts here.
        _ => Vec::new(),
    });
    let found = pass("DescribeInstanceTypeOfferings", request, offers.collect())?;
    let keyed = found.into_iter().map(|offer| {
        let key =
            format!("{}/{}", text(&offer, "InstanceType").unwrap_or_default(), text(&offer, "Location").unwrap_or_default());
        (key, offer)
    });
    page(request, Limits { least: 5, most: 1000, ids: "" }, "InstanceTypeOfferings", keyed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_described_as_aws_does() {
        let answer = describe(&json!({"InstanceTypes": ["g5.2xlarge"]})).unwrap();
        let about = &answer["InstanceTypes"][0];
        assert_eq!(
            (about["VCpuInfo"]["DefaultVCpus"].as_i64(), about["GpuInfo"]["Gpus"][0]["Name"].as_str()),
            (Some(8), Some("A10G"))
        );
        let kind = named("g5.2xlarge").unwrap();
        assert_eq!((kind.vcpus(), kind.processor(), kind.quota(false)), (8, (4, 2), "L-DB2E81BA"));
        assert_eq!(describe(&json!({"InstanceTypes": ["g5.huge"]})).unwrap_err().code, "InvalidInstanceType");
        assert_eq!(named("g5.huge").unwrap_err().message, "Invalid value 'g5.huge' for InstanceType.");
    }

    #[test]
    fn filters_find_types() {
        let filters = json!({"Filters": [{"Name": "instance-type", "Values": ["g*"]}, {"Name": "vcpu-info.default-vcpus", "Values": ["8"]}]});
        let answer = describe(&filters).unwrap();
        let names: Vec<_> =
            answer["InstanceTypes"].as_array().unwrap().iter().map(|about| about["InstanceType"].as_str().unwrap()).collect();
        assert_eq!(names, ["g4dn.2xlarge", "g5.2xlarge", "g6.2xlarge", "g6e.2xlarge"]);
    }

    #[test]
    fn offers_are_by_zone() {
        let place = Place { region: "eu-west-1".to_owned() };
        let request =
            json!({"LocationType": "availability-zone", "Filters": [{"Name": "instance-type", "Values": ["g6e.xlarge"]}]});
        let answer = offerings(&place, &request).unwrap();
        let zones: Vec<_> =
            answer["InstanceTypeOfferings"].as_array().unwrap().iter().map(|offer| offer["Location"].as_str().unwrap()).collect();
        assert_eq!(zones, ["eu-west-1a", "eu-west-1b", "eu-west-1c", "eu-west-1d"]);
    }
}
