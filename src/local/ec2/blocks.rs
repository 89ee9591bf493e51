//! The volumes that a launch asks for: those of its image, changed and added to by `BlockDeviceMappings`.

use serde_json::Value;

use super::Place;
use super::images::Image;
use super::wanted::{flag, invalid, list, number, text};
use crate::local::fault::Fault;

/// The largest volume of most types, in GiB (EBS User Guide, "Amazon EBS volume types"; gp3 goes to 64 TiB since 2025).
const LARGEST: i64 = 65_536;

/// A volume to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub device: String,
    pub size: i64,
    pub kind: String,
    pub iops: Option<i64>,
    pub throughput: Option<i64>,
    pub encrypted: bool,
    pub snapshot: Option<String>,
    pub goes_along: bool,
}

/// The volumes of a launch, the root first.
///
/// # Errors
/// `InvalidBlockDeviceMapping` for a size below the snapshot's or none at all, `InvalidSnapshot.NotFound`,
/// `InvalidParameterValue` and `InvalidParameterCombination` for wrong types, sizes and rates.
pub fn of_launch(place: &Place, image: &Image, request: &Value) -> Result<Vec<Block>, Fault> {
    let mut blocks = vec![Block {
        device: image.root_device().to_owned(),
        size: image.gigabytes,
        kind: "gp3".to_owned(),
        iops: Some(3000),
        throughput: Some(125),
        encrypted: false,
        snapshot: Some(image.snapshot(place)),
        goes_along: true,
    }];
    for mapping in list(request, "BlockDeviceMappings") {
        let device = text(mapping, "DeviceName")
            .ok_or_else(|| Fault::new("MissingParameter", 400, "The request must contain the parameter deviceName"))?;
        // Instance store devices come with the type.
        let Some(ebs) = mapping.get("Ebs") else { continue };
        let root = blocks.iter().position(|block| block.device == device);
        let new = Block {
            device: device.to_owned(),
            size: 0,
            kind: "gp2".to_owned(),
            iops: None,
            throughput: None,
            encrypted: false,
            snapshot: None,
            goes_along: true,
        };
        let block = change(root.map_or(new, |at| blocks[at].clone()), ebs, image, place)?;
        match root {
            Some(0) => blocks[0] = block,
            Some(_) => return Err(invalid(format!("The device '{device}' is used in more than one block-device mapping"))),
            None => blocks.push(block),
        }
    }
    Ok(blocks)
}

fn change(mut block: Block, ebs: &Value, image: &Image, place: &Place) -> Result<Block, Fault> {
    if let Some(snapshot) = text(ebs, "SnapshotId") {
        if snapshot != image.snapshot(place) {
            return Err(Fault::new("InvalidSnapshot.NotFound", 400, format!("The snapshot '{snapshot}' does not exist.")));
        }
        block.snapshot = Some(snapshot.to_owned());
    }
    let least = block.snapshot.as_ref().map(|_| image.gigabytes);
    block.size = match (number(ebs, "VolumeSize"), least) {
        (Some(size), Some(least)) if size < least => {
            // Two blanks, as the service has them.
            let snapshot = block.snapshot.unwrap_or_default();
            let text = format!("Volume of size {size}GB is smaller than  snapshot '{snapshot}', expect size >= {least}GB");
            return Err(Fault::new("InvalidBlockDeviceMapping", 400, text));
        }
        (Some(size), _) if !(1..=LARGEST).contains(&size) => {
            return Err(invalid(format!("Volume of {size}GiB is invalid; it must be at least 1GiB and at most {LARGEST}GiB.")));
        }
        (Some(size), _) => size,
        (None, Some(least)) => least,
        (None, None) => {
            let text = format!("Either snapshot ID or volume size must be provided for: {}", block.device);
            return Err(Fault::new("InvalidBlockDeviceMapping", 400, text));
        }
    };
    if let Some(kind) = text(ebs, "VolumeType") {
        kind.clone_into(&mut block.kind);
        (block.iops, block.throughput) = if kind == "gp3" { (Some(3000), Some(125)) } else { (None, None) };
    }
    check_rates(&block.kind, number(ebs, "Iops"), number(ebs, "Throughput"))?;
    block.iops = number(ebs, "Iops").or(block.iops);
    block.throughput = number(ebs, "Throughput").or(block.throughput);
    if block.kind == "gp2" {
        // Three for each GiB, from 100 to 16,000 (EBS User Guide).
        block.iops = Some((block.size * 3).clamp(100, 16_000));
    }
    block.encrypted = flag(ebs, "Encrypted").unwrap_or(block.encrypted);
    block.goes_along = flag(ebs, "DeleteOnTermination").unwrap_or(block.goes_along);
    Ok(block)
}

fn check_rates(kind: &str, iops: Option<i64>, throughput: Option<i64>) -> Result<(), Fault> {
    let combination = |text: String| Fault::new("InvalidParameterCombination", 400, text);
    match (kind, iops, throughput) {
        ("io1" | "io2", None, _) => Err(Fault::new(
            "MissingParameter",
            400,
            format!("The request must contain the parameter iops for volume type {kind}"),
        )),
        ("gp2" | "st1" | "sc1" | "standard", Some(_), _) => {
            Err(combination(format!("The parameter iops is not supported for {kind} volumes.")))
        }
        (kind, _, Some(_)) if kind != "gp3" => {
            Err(combination(format!("The parameter throughput is not supported for {kind} volumes.")))
        }
        ("gp3", Some(iops), _) if !(3000..=80_000).contains(&iops) => {
            Err(invalid(format!("Volume iops of {iops} is invalid; it must be between 3000 and 80000 for gp3.")))
        }
        ("gp3", _, Some(rate)) if !(125..=2000).contains(&rate) => {
            Err(invalid(format!("Throughput of {rate} is invalid; it must be between 125 and 2000 for gp3.")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::images::TABLE;
    use super::*;
    use serde_json::json;

    fn blocks(mappings: &Value) -> Result<Vec<Block>, Fault> {
        let place = Place { region: "us-east-1".to_owned() };
        let image = TABLE.iter().find(|image| image.gigabytes == 45).expect("there is one");
        of_launch(&place, image, &json!({"BlockDeviceMappings": mappings}))
    }

    #[test]
    fn a_root_volume_cannot_be_smaller_than_its_snapshot() {
        assert_eq!(blocks(&json!([])).unwrap()[0].size, 45);
        let fault = blocks(&json!([{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}])).unwrap_err();
        assert_eq!(fault.code, "InvalidBlockDeviceMapping");
        assert!(fault.message.starts_with("Volume of size 8GB is smaller than  snapshot 'snap-0"), "{}", fault.message);
        assert!(fault.message.ends_with("', expect size >= 45GB"), "{}", fault.message);
        let large = blocks(
            &json!([{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 100, "VolumeType": "gp2", "DeleteOnTermination": false}}]),
        )
        .unwrap();
        assert_eq!((large.len(), large[0].size, large[0].iops, large[0].goes_along), (1, 100, Some(300), false));
    }

    #[test]
    fn further_volumes_need_a_size() {
        let fault = blocks(&json!([{"DeviceName": "/dev/sdf", "Ebs": {}}])).unwrap_err();
        assert_eq!(fault.message, "Either snapshot ID or volume size must be provided for: /dev/sdf");
        assert_eq!(blocks(&json!([{"DeviceName": "/dev/sdf", "Ebs": {"VolumeSize": 20}}])).unwrap()[1].kind, "gp2");
        assert_eq!(
            blocks(&json!([{"DeviceName": "/dev/sda1", "Ebs": {"VolumeType": "io2"}}])).unwrap_err().code,
            "MissingParameter"
        );
    }
}
