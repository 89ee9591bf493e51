//! Spot requests: each spot instance came from one. `DescribeSpotInstanceRequests`, `CancelSpotInstanceRequests`.

use serde_json::{Value, json};

use super::Ec2;
use super::filter::pass;
use super::instance::{Instance, Spot, State};
use super::limits::on_demand_price;
use super::volumes::Volume;
use super::wanted::{Limits, check_dry_run, page, text, texts, time};
use crate::local::fault::Fault;

/// State, and code and message of the status (EC2 User Guide, "Get the status of a Spot Instance request").
///
/// assumed: a persistent request whose instance was terminated is closed here; AWS would launch another one.
fn status(instance: &Instance, spot: &Spot) -> (&'static str, &'static str, &'static str) {
    match instance.state {
        _ if spot.cancelled && instance.state.ends() => {
            ("cancelled", "instance-terminated-by-user", "Spot Instance terminated due to user-initiated termination.")
        }
        _ if spot.cancelled => (
            "cancelled",
            "request-canceled-and-instance-running",
            "Your Spot request is canceled, but your instance is still running.",
        ),
        State::Stopping => ("disabled", "marked-for-stop", "Spot Instance is marked for stop."),
        State::Stopped => ("disabled", "instance-stopped-by-user", "Spot Instance stopped due to user-initiated stop."),
        State::ShuttingDown | State::Terminated => {
            ("closed", "instance-terminated-by-user", "Spot Instance terminated due to user-initiated termination.")
        }
        State::Pending | State::Running => ("active", "fulfilled", "Your spot request is fulfilled."),
    }
}

/// `DescribeSpotInstanceRequests`.
///
/// # Errors
/// `InvalidSpotInstanceRequestID.NotFound`, and for wrong filters and pages.
pub fn describe(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let instances = ec2.instances()?;
    let ids = asked(&instances, request)?;
    let mut documents = Vec::new();
    for instance in &instances {
        let Some(spot) = &instance.spot else { continue };
        if ids.is_empty() || ids.contains(&spot.request.as_str()) {
            documents.push(document(ec2, instance, spot)?);
        }
    }
    let found = pass("DescribeSpotInstanceRequests", request, documents)?;
    let keyed = found.into_iter().map(|one| {
        (
            format!(
                "{}/{}",
                text(&one, "CreateTime").unwrap_or_default(),
                text(&one, "SpotInstanceRequestId").unwrap_or_default()
            ),
            one,
        )
    });
    let limits = Limits { least: 5, most: 1000, ids: "SpotInstanceRequestIds" };
    page(request, limits, "SpotInstanceRequests", keyed.collect())
}

/// `CancelSpotInstanceRequests`: instances that run go on.
///
/// # Errors
/// `InvalidSpotInstanceRequestID.NotFound`.
pub fn cancel(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut instances = ec2.instances()?;
    let ids = asked(&instances, request)?;
    check_dry_run(request)?;
    let mut told = Vec::new();
    for instance in &mut instances {
        let Some(spot) = instance.spot.as_mut().filter(|spot| ids.contains(&spot.request.as_str())) else { continue };
        spot.cancelled = true;
        told.push(json!({"SpotInstanceRequestId": spot.request, "State": "cancelled"}));
        ec2.store.change(|change| change.put(instance))?;
    }
    Ok(json!({"CancelledSpotInstanceRequests": told}))
}

/// The requests that are named; all must be there.
fn asked<'a>(instances: &[Instance], request: &'a Value) -> Result<Vec<&'a str>, Fault> {
    let ids = texts(request, "SpotInstanceRequestIds");
    let there = |id: &str| instances.iter().any(|instance| instance.spot_request() == Some(id));
    let missing: Vec<&str> = ids.iter().copied().filter(|id| !there(id)).collect();
    match missing[..] {
        [] => Ok(ids),
        [id] => Err(unknown(format!("The spot instance request ID '{id}' does not exist"))),
        _ => Err(unknown(format!("The spot instance request IDs '{}' do not exist", missing.join(", ")))),
    }
}

fn unknown(text: String) -> Fault {
    Fault::new("InvalidSpotInstanceRequestID.NotFound", 400, text)
}

fn document(ec2: &Ec2, instance: &Instance, spot: &Spot) -> Result<Value, Fault> {
    let (state, code, message) = status(instance, spot);
    let zone = ec2.place.zone(instance.zone);
    let mut launch = json!({
        "BlockDeviceMappings": [],
        "EbsOptimized": false,
        "ImageId": instance.image,
        "InstanceType": instance.kind,
        "NetworkInterfaces": [],
        "Placement": {"AvailabilityZone": zone, "Tenancy": "default"},
        "SubnetId": instance.subnet,
        "SecurityGroups": ec2.group_names(&instance.groups)?,
        "Monitoring": {"Enabled": instance.monitored},
    });
    for attached in &instance.volumes {
        let Some(volume) = ec2.store.get::<Volume>(&attached.volume)? else { continue };
        let mut ebs = json!({"DeleteOnTermination": attached.goes_along, "VolumeSize": volume.size, "VolumeType": volume.kind});
        if let Some(snapshot) = &volume.snapshot {
            ebs["SnapshotId"] = json!(snapshot);
        }
        if let Some(mappings) = launch["BlockDeviceMappings"].as_array_mut() {
            mappings.push(json!({"DeviceName": attached.device, "Ebs": ebs}));
        }
    }
    if let Some(key) = &instance.key {
        launch["KeyName"] = json!(key.name);
    }
    if let Some(profile) = &instance.profile {
        launch["IamInstanceProfile"] = json!({"Arn": super::profile::arn(profile), "Name": profile});
    }
    let mut shown = json!({
        "CreateTime": time(instance.created),
        "InstanceId": instance.id,
        "InstanceInterruptionBehavior": spot.interruption.as_deref().unwrap_or("terminate"),
        "LaunchSpecification": launch,
        "LaunchedAvailabilityZone": zone,
        "LaunchedAvailabilityZoneId": ec2.place.zone_id(instance.zone),
        "ProductDescription": "Linux/UNIX",
        "SpotInstanceRequestId": spot.request,
        "State": state,
        "Status": {"Code": code, "Message": message, "UpdateTime": time(instance.ended.or(instance.up).unwrap_or(instance.created))},
        "Type": if spot.persistent { "persistent" } else { "one-time" },
    });
    // Without a wish the most that is paid is the price on demand.
    let price = spot.price.clone().or_else(|| on_demand_price(&ec2.place, &instance.kind).map(|price| format!("{price:.6}")));
    if let Some(price) = price {
        shown["SpotPrice"] = json!(price);
    }
    ec2.tagged(&mut shown, &spot.request);
    Ok(shown)
}
