//! Volumes: made with their instance; and `DescribeVolumes`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Ec2;
use super::filter::pass;
use super::ids::VOLUME;
use super::place::asked;
use super::store::Kept;
use super::wanted::{Limits, page, text, texts, time};
use crate::local::ACCOUNT;
use crate::local::fault::Fault;

/// A volume as it is kept. Nothing is behind it but the instance's folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Volume {
    pub id: String,
    pub zone: char,
    /// In GiB.
    pub size: i64,
    /// `gp3`, `gp2`, …
    pub kind: String,
    pub iops: Option<i64>,
    pub throughput: Option<i64>,
    pub encrypted: bool,
    pub snapshot: Option<String>,
    /// In epoch milliseconds.
    pub created: i64,
    pub visible: i64,
    /// Instance, device, and whether it goes with the instance; none when the instance is gone.
    pub attached: Option<(String, String, bool)>,
}

impl Kept for Volume {
    const KIND: &'static str = "volume";

    fn id(&self) -> &str {
        &self.id
    }
}

impl Volume {
    fn document(&self, ec2: &Ec2) -> Value {
        let attachments = self.attached.iter().map(|(instance, device, goes_along)| {
            json!({
                "DeleteOnTermination": goes_along,
                "VolumeId": self.id,
                "InstanceId": instance,
                "Device": device,
                "State": "attached",
                "AttachTime": time(self.created),
            })
        });
        let mut shown = json!({
            "AvailabilityZoneId": ec2.place.zone_id(self.zone),
            "VolumeType": self.kind,
            "MultiAttachEnabled": false,
            "VolumeId": self.id,
            "Size": self.size,
            "SnapshotId": self.snapshot.as_deref().unwrap_or_default(),
            "AvailabilityZone": ec2.place.zone(self.zone),
            "State": if self.attached.is_some() { "in-use" } else { "available" },
            "CreateTime": time(self.created),
            "Attachments": attachments.collect::<Vec<_>>(),
            "Encrypted": self.encrypted,
        });
        if self.encrypted {
            shown["KmsKeyId"] = json!(format!("arn:aws:kms:{}:{ACCOUNT}:alias/aws/ebs", ec2.place.region));
        }
        for (member, number) in [("Iops", self.iops), ("Throughput", self.throughput)] {
            if let Some(number) = number {
                shown[member] = json!(number);
            }
        }
        shown
    }
}

/// `DescribeVolumes`.
///
/// # Errors
/// `InvalidVolume.NotFound`, and for wrong filters and pages.
pub fn describe(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut volumes = ec2.store.all::<Volume>()?;
    volumes.retain(|volume| ec2.sees(volume.visible));
    asked(request, "VolumeIds", VOLUME, &volumes.iter().map(|volume| volume.id.as_str()).collect::<Vec<_>>())?;
    let ids = texts(request, "VolumeIds");
    let wanted = volumes.iter().filter(|volume| ids.is_empty() || ids.contains(&volume.id.as_str()));
    let documents = wanted.map(|volume| {
        let mut document = volume.document(ec2);
        ec2.tagged(&mut document, &volume.id);
        document
    });
    let found = pass("DescribeVolumes", request, documents.collect())?;
    let keyed = found.into_iter().map(|volume| {
        (format!("{}/{}", text(&volume, "CreateTime").unwrap_or_default(), text(&volume, "VolumeId").unwrap_or_default()), volume)
    });
    page(request, Limits { least: 5, most: 1000, ids: "VolumeIds" }, "Volumes", keyed.collect())
}
