//! `DescribeImages`, and the images that instances start from.

mod table;

use serde_json::{Value, json};

use super::Place;
use super::filter::pass;
use super::ids::{SNAPSHOT, fixed, formed};
use super::place::asked;
use super::wanted::{Limits, flag, invalid, page, text, texts};
use crate::local::fault::Fault;
use crate::local::host::HostEnvironment;
pub use table::{Image, TABLE};

/// What `RunInstances` takes in the place of an id: the path of a public parameter of Systems Manager.
const PARAMETER: &str = "resolve:ssm:";

impl Image {
    /// The id of the image: the local region's own, as each AWS region has its own.
    #[must_use]
    pub fn id(&self, place: &Place) -> String {
        fixed("ami", &format!("{}/{}", place.region, self.name))
    }

    /// The snapshot that its root volume is made from.
    #[must_use]
    pub fn snapshot(&self, place: &Place) -> String {
        fixed("snap", &format!("{}/{}", place.region, self.name))
    }

    /// Where its root volume is.
    #[must_use]
    pub fn root_device(&self) -> &'static str {
        if self.user == "ubuntu" { "/dev/sda1" } else { "/dev/xvda" }
    }

    fn document(&self, place: &Place) -> Value {
        let arm = self.architecture == "arm64";
        json!({
            "ImageId": self.id(place),
            "ImageLocation": format!("amazon/{}", self.name),
            "ImageType": "machine",
            "Architecture": self.architecture,
            "CreationDate": format!("{}T09:21:46.000Z", self.created),
            "DeprecationTime": format!("{}T09:21:46.000Z", self.deprecated()),
            "Public": true,
            "OwnerId": self.owner,
            "ImageOwnerAlias": "amazon",
            "PlatformDetails": "Linux/UNIX",
            "UsageOperation": "RunInstances",
            "State": "available",
            "BlockDeviceMappings": [{
                "DeviceName": self.root_device(),
                "Ebs": {
                    "DeleteOnTermination": true,
                    "Iops": 3000,
                    "SnapshotId": self.snapshot(place),
                    "VolumeSize": self.gigabytes,
                    "VolumeType": "gp3",
                    "Throughput": 125,
                    "Encrypted": false,
                },
            }],
            "Description": self.description,
            "EnaSupport": true,
            "Hypervisor": "xen",
            "Name": self.name,
            "RootDeviceName": self.root_device(),
            "RootDeviceType": "ebs",
            "SriovNetSupport": "simple",
            "VirtualizationType": "hvm",
            "BootMode": if arm { "uefi" } else { "uefi-preferred" },
            "ImdsSupport": "v2.0",
            "PublicSsmParameterName": self.parameter,
        })
    }

    /// An image is deprecated two years after it was made (EC2 User Guide, "Deprecate an AMI").
    fn deprecated(&self) -> String {
        let (year, rest) = self.created.split_once('-').unwrap_or((self.created, ""));
        format!("{}-{rest}", year.parse::<u32>().unwrap_or_default() + 2)
    }

    /// What `python` finds on it.
    #[must_use]
    pub fn environment(&self) -> HostEnvironment {
        match self.python {
            table::Python::Conda => HostEnvironment::CondaPytorch,
            table::Python::Venv => HostEnvironment::VenvPytorch,
            table::Python::None => HostEnvironment::Bare,
        }
    }
}

/// The image that a launch names, by its id or by the path of a parameter.
///
/// # Errors
/// `InvalidAMIID.Malformed`, `InvalidAMIID.NotFound`, `MissingParameter`; `InvalidParameterValue` for an unknown parameter.
pub fn named(place: &Place, name: Option<&str>) -> Result<&'static Image, Fault> {
    let name = name.ok_or_else(|| Fault::new("MissingParameter", 400, "The request must contain the parameter ImageId"))?;
    if let Some(path) = name.strip_prefix(PARAMETER) {
        // assumed: the text.
        return TABLE.iter().find(|image| image.parameter == path).ok_or_else(|| {
            invalid(format!("Unable to resolve SSM parameter '{path}' to an AMI: the parameter does not exist."))
        });
    }
    check_form(name)?;
    TABLE.iter().find(|image| image.id(place) == name).ok_or_else(|| missing(&[name]))
}

/// The image with this id, if there is one.
#[must_use]
pub fn by_id(place: &Place, id: &str) -> Option<&'static Image> {
    TABLE.iter().find(|image| image.id(place) == id)
}

/// `DescribeImages`.
///
/// # Errors
/// As [`named`] for ids, and for wrong filters and pages.
pub fn describe(place: &Place, request: &Value, tagged: impl Fn(&mut Value, &str)) -> Result<Value, Fault> {
    let (ids, owners) = (texts(request, "ImageIds"), texts(request, "Owners"));
    ids.iter().try_for_each(|id| check_form(id))?;
    let absent: Vec<&str> = ids.iter().copied().filter(|id| by_id(place, id).is_none()).collect();
    if !absent.is_empty() {
        return Err(missing(&absent));
    }
    let owned = |image: &Image| owners.is_empty() || owners.iter().any(|owner| *owner == "amazon" || *owner == image.owner);
    // None is anybody's own, or shared with one account only.
    let executable = texts(request, "ExecutableUsers");
    let public = executable.is_empty() || executable.contains(&"all");
    let deprecated = flag(request, "IncludeDeprecated") == Some(true);
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    let shown = TABLE.iter().filter(|image| {
        let id = image.id(place);
        let asked = ids.contains(&id.as_str());
        public && owned(image) && (asked || ids.is_empty() && (deprecated || image.deprecated() > now))
    });
    let documents = shown.map(|image| {
        let mut document = image.document(place);
        tagged(&mut document, &image.id(place));
        document
    });
    let found = pass("DescribeImages", request, documents.collect())?;
    let keyed = found.into_iter().map(|document| (text(&document, "ImageId").unwrap_or_default().to_owned(), document));
    page(request, Limits { least: 1, most: 1000, ids: "" }, "Images", keyed.collect())
}

/// `DescribeSnapshots`: those that the images' root volumes are made from, which are Amazon's.
///
/// # Errors
/// `InvalidSnapshot.NotFound`, and for wrong filters and pages.
pub fn snapshots(place: &Place, request: &Value, tagged: impl Fn(&mut Value, &str)) -> Result<Value, Fault> {
    let all: Vec<String> = TABLE.iter().map(|image| image.snapshot(place)).collect();
    asked(request, "SnapshotIds", SNAPSHOT, &all.iter().map(String::as_str).collect::<Vec<_>>())?;
    let (ids, owners) = (texts(request, "SnapshotIds"), texts(request, "OwnerIds"));
    let restorable = texts(request, "RestorableByUserIds");
    let shown = TABLE.iter().zip(&all).filter(|(image, id)| {
        (ids.is_empty() || ids.contains(&id.as_str()))
            && (owners.is_empty() || owners.iter().any(|owner| *owner == "amazon" || *owner == image.owner))
            && (restorable.is_empty() || restorable.contains(&"all"))
    });
    let documents = shown.map(|(image, id)| {
        let mut document = json!({
            "Description": format!("Created for {}", image.id(place)),
            "Encrypted": false,
            "OwnerId": image.owner,
            "OwnerAlias": "amazon",
            "Progress": "100%",
            "SnapshotId": id,
            "StartTime": format!("{}T09:21:46.000Z", image.created),
            "State": "completed",
            "StorageTier": "standard",
            // The volume of a snapshot that is somebody else's is not told.
            "VolumeId": "vol-ffffffff",
            "VolumeSize": image.gigabytes,
        });
        tagged(&mut document, id);
        document
    });
    let found = pass("DescribeSnapshots", request, documents.collect())?;
    let keyed = found.into_iter().map(|document| (text(&document, "SnapshotId").unwrap_or_default().to_owned(), document));
    page(request, Limits { least: 5, most: 1000, ids: "SnapshotIds" }, "Snapshots", keyed.collect())
}

fn check_form(id: &str) -> Result<(), Fault> {
    if formed("ami", id) { Ok(()) } else { Err(Fault::new("InvalidAMIID.Malformed", 400, format!("Invalid id: \"{id}\""))) }
}

fn missing(ids: &[&str]) -> Fault {
    let noun = if ids.len() == 1 { "image id" } else { "image ids" };
    let verb = if ids.len() == 1 { "does" } else { "do" };
    Fault::new("InvalidAMIID.NotFound", 400, format!("The {noun} '[{}]' {verb} not exist", ids.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { region: "us-east-1".to_owned() }
    }

    fn names(request: &Value) -> Vec<String> {
        let answer = describe(&place(), request, |_, _| ()).expect("is answered");
        let images = answer["Images"].as_array().expect("a list").iter();
        images.map(|image| image["Name"].as_str().expect("a name").to_owned()).collect()
    }

    #[test]
    fn the_seed_s_image_is_gone_and_its_successors_are_there() {
        let by_name = |name: &str| names(&json!({"Owners": ["amazon"], "Filters": [{"Name": "name", "Values": [name]}]}));
        assert!(by_name("Deep Learning AMI GPU PyTorch*").is_empty());
        assert!(by_name("Deep Learning AMI GPU PyTorch 1.13.1 (Ubuntu 20.04) 20230315").is_empty());
        assert_eq!(by_name("Deep Learning OSS Nvidia Driver AMI GPU PyTorch 2.7 (Ubuntu 22.04)*").len(), 1);
        assert!(names(&json!({"Owners": ["self"]})).is_empty());
    }

    #[test]
    fn a_parameter_leads_to_an_image() {
        let path =
            "resolve:ssm:/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04/latest/ami-id";
        let image = named(&place(), Some(path)).expect("is there");
        assert_eq!(named(&place(), Some(&image.id(&place()))).expect("is there").name, image.name);
        assert_eq!(named(&place(), Some("resolve:ssm:/none")).expect_err("is refused").code, "InvalidParameterValue");
        assert_eq!(named(&place(), Some("ami-1")).expect_err("is refused").code, "InvalidAMIID.Malformed");
        let fault = named(&place(), Some("ami-0123456789abcdef0")).expect_err("is refused");
        assert_eq!(fault.message, "The image id '[ami-0123456789abcdef0]' does not exist");
    }
}
