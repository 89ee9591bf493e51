//! `DescribeInstances`, `DescribeInstanceStatus`, `DescribeNetworkInterfaces`, and smaller questions about instances.

use serde_json::{Value, json};

use super::Ec2;
use super::filter::pass;
use super::ids::{ENDPOINT, INSTANCE, INTERFACE};
use super::instance::{Instance, State};
use super::place::asked;
use super::wanted::{Limits, check_dry_run, flag, page, text, texts, time};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

const PAGES: Limits = Limits { least: 5, most: 1000, ids: "InstanceIds" };

/// `DescribeInstances`: instances by the reservation that they were launched in.
///
/// # Errors
/// `InvalidInstanceID.NotFound`, and for wrong filters and pages.
pub fn instances(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let wanted = wanted(ec2, request)?;
    let documents = wanted.iter().map(|instance| instance.document(ec2)).collect::<Result<Vec<_>, _>>()?;
    let found = pass("DescribeInstances", request, documents)?;
    let keyed = found.into_iter().map(|shown| {
        let key = wanted.iter().find(|instance| shown["InstanceId"] == instance.id.as_str()).map(Instance::key);
        (key.unwrap_or_default(), shown)
    });
    let mut answer = page(request, PAGES, "Reservations", keyed.collect())?;
    let mut reservations: Vec<Value> = Vec::new();
    for mut shown in answer["Reservations"].as_array().cloned().unwrap_or_default() {
        let Some(members) = shown.as_object_mut() else { continue };
        let (id, owner) = (members.shift_remove("ReservationId"), members.shift_remove("OwnerId"));
        match reservations.iter_mut().find(|reservation| reservation.get("ReservationId") == id.as_ref()) {
            Some(reservation) => reservation["Instances"].as_array_mut().into_iter().for_each(|list| list.push(shown.clone())),
            None => reservations.push(json!({"ReservationId": id, "OwnerId": owner, "Groups": [], "Instances": [shown]})),
        }
    }
    answer["Reservations"] = reservations.into();
    Ok(answer)
}

/// `DescribeInstanceStatus`: of running instances, or of all.
///
/// # Errors
/// As [`instances`].
pub fn statuses(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let all = flag(request, "IncludeAllInstances") == Some(true);
    let wanted = wanted(ec2, request)?;
    let shown = wanted.iter().filter(|instance| all || instance.state == State::Running);
    let documents: Vec<Value> = shown
        .map(|instance| {
            let status = status(ec2, instance);
            json!({
                "AvailabilityZone": ec2.place.zone(instance.zone),
                "AvailabilityZoneId": ec2.place.zone_id(instance.zone),
                "Events": [],
                "InstanceId": instance.id,
                "InstanceState": instance.state.document(),
                "InstanceStatus": status,
                "SystemStatus": status,
                "AttachedEbsStatus": status,
            })
        })
        .collect();
    let found = pass("DescribeInstanceStatus", request, documents)?;
    let keyed = found.into_iter().map(|shown| {
        let key = wanted.iter().find(|instance| shown["InstanceId"] == instance.id.as_str()).map(Instance::key);
        (key.unwrap_or_default(), shown)
    });
    page(request, PAGES, "InstanceStatuses", keyed.collect())
}

/// Checks pass some time after the machine is up.
fn status(ec2: &Ec2, instance: &Instance) -> Value {
    let checked = i64::try_from(ec2.phase.as_millis()).unwrap_or(i64::MAX).saturating_mul(2);
    let (status, reached) = match instance.up {
        _ if instance.state == State::Pending => ("initializing", "initializing"),
        _ if instance.state != State::Running => return json!({"Status": "not-applicable"}),
        Some(up) if now_millis() >= up.saturating_add(checked) => ("ok", "passed"),
        _ => ("initializing", "initializing"),
    };
    json!({"Details": [{"Name": "reachability", "Status": reached}], "Status": status})
}

/// `DescribeNetworkInterfaces`: each instance has one.
///
/// # Errors
/// `InvalidNetworkInterfaceID.NotFound`, and for wrong filters and pages.
pub fn interfaces(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut instances = ec2.instances()?;
    instances.retain(|instance| instance.state != State::Terminated);
    asked(
        request,
        "NetworkInterfaceIds",
        INTERFACE,
        &instances.iter().map(|instance| instance.interface.as_str()).collect::<Vec<_>>(),
    )?;
    let ids = texts(request, "NetworkInterfaceIds");
    let mut documents = Vec::new();
    for instance in instances.iter().filter(|instance| ids.is_empty() || ids.contains(&instance.interface.as_str())) {
        let mut document = instance.interface_document(ec2, &ec2.group_names(&instance.groups)?);
        document["TagSet"] = ec2.store.tags_of(&instance.interface)?.into();
        documents.push(document);
    }
    let found = pass("DescribeNetworkInterfaces", request, documents)?;
    let keyed = found.into_iter().map(|shown| (text(&shown, "NetworkInterfaceId").unwrap_or_default().to_owned(), shown));
    page(request, Limits { ids: "NetworkInterfaceIds", ..PAGES }, "NetworkInterfaces", keyed.collect())
}

/// `DescribeInstanceConnectEndpoints`: the region has none; its instances are reached directly.
///
/// # Errors
/// `InvalidInstanceConnectEndpointId.NotFound`, and for wrong filters and pages.
pub fn endpoints(request: &Value) -> Result<Value, Fault> {
    asked(request, "InstanceConnectEndpointIds", ENDPOINT, &[])?;
    pass("DescribeInstanceConnectEndpoints", request, Vec::new())?;
    page(request, Limits { least: 1, most: 50, ids: "" }, "InstanceConnectEndpoints", Vec::new())
}

/// `DescribeInstanceCreditSpecifications`: burstable types run unlimited, as T3's do by default.
///
/// # Errors
/// `InvalidInstanceID.NotFound`, and for wrong filters and pages.
pub fn credits(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let wanted = wanted(ec2, request)?;
    let burst = wanted.iter().filter(|instance| instance.state != State::Terminated && instance.kind.starts_with('t'));
    let documents = burst.map(|instance| {
        json!({"InstanceId": instance.id, "CpuCredits": if instance.kind.starts_with("t2.") { "standard" } else { "unlimited" }})
    });
    let found = pass("DescribeInstanceCreditSpecifications", request, documents.collect())?;
    let keyed = found.into_iter().map(|shown| (text(&shown, "InstanceId").unwrap_or_default().to_owned(), shown));
    page(request, PAGES, "InstanceCreditSpecifications", keyed.collect())
}

/// `GetConsoleOutput`: what the machine printed when it started last, in base64.
///
/// # Errors
/// `InvalidInstanceID.NotFound`.
pub fn console(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    use base64::Engine as _;
    /// The service keeps the last 64 KB (EC2 API Reference).
    const KEPT: usize = 64 * 1024;
    let id = text(request, "InstanceId").unwrap_or_default();
    INSTANCE.check_form(id)?;
    if ec2.instances()?.iter().all(|instance| instance.id != id) {
        return Err(INSTANCE.missing(&[id]));
    }
    check_dry_run(request)?;
    let mut shown = json!({"InstanceId": id, "Timestamp": time(now_millis())});
    if let Some((text, at)) = ec2.console(id) {
        let bytes = text.as_bytes();
        let last = &bytes[bytes.len().saturating_sub(KEPT)..];
        shown["Output"] = json!(base64::engine::general_purpose::STANDARD.encode(last));
        shown["Timestamp"] = json!(time(at));
    }
    Ok(shown)
}

/// The instances that a request names, or all.
fn wanted(ec2: &Ec2, request: &Value) -> Result<Vec<Instance>, Fault> {
    let mut instances = ec2.instances()?;
    asked(request, "InstanceIds", INSTANCE, &instances.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>())?;
    let ids = texts(request, "InstanceIds");
    instances.retain(|instance| ids.is_empty() || ids.contains(&instance.id.as_str()));
    Ok(instances)
}
