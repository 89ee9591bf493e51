//! `ModifyInstanceMetadataOptions`, `MonitorInstances`, `UnmonitorInstances`, `ResetInstanceAttribute`: switches of an instance that
//! need no stop; and `GetPasswordData`.

use serde_json::{Value, json};

use super::Ec2;
use super::ids::INSTANCE;
use super::instance::Instance;
use super::wanted::{check_dry_run, invalid, number, text, time};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

/// How often an answer of the metadata service may be passed on (EC2 API Reference, `ModifyInstanceMetadataOptions`).
const HOPS: std::ops::RangeInclusive<i64> = 1..=64;

/// `ModifyInstanceMetadataOptions`: what is not named stays. The metadata service reads them with each request, so they are
/// applied when this answers.
///
/// # Errors
/// `IncorrectInstanceState` for an instance that ends, `InvalidParameterValue`, `MissingParameter` when nothing is named.
pub fn metadata(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut instance = one(ec2, request)?;
    let id = instance.id.clone();
    if instance.state.ends() {
        // assumed: the text.
        let text = format!("The instance '{id}' is not in a state from which its metadata options can be modified");
        return Err(Fault::new("IncorrectInstanceState", 400, text));
    }
    check_hops(request)?;
    let mut named = false;
    for member in ["HttpTokens", "HttpPutResponseHopLimit", "HttpEndpoint", "HttpProtocolIpv6", "InstanceMetadataTags"] {
        if let Some(value) = request.get(member) {
            instance.metadata[member] = value.clone();
            named = true;
        }
    }
    if !named {
        // assumed: the text.
        return Err(Fault::new("MissingParameter", 400, "The request must contain at least one metadata option"));
    }
    check_dry_run(request)?;
    ec2.store.change(|change| change.put(&instance))?;
    Ok(json!({"InstanceId": id, "InstanceMetadataOptions": instance.metadata}))
}

/// `ResetInstanceAttribute`: of what can be reset the region's instances have one.
///
/// # Errors
/// `UnsupportedOperation` for a kernel or RAM disk.
pub fn reset(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut instance = one(ec2, request)?;
    let attribute = text(request, "Attribute").unwrap_or_default();
    if attribute != "sourceDestCheck" {
        let text = format!("The local region does not offer to reset {attribute}.");
        return Err(Fault::new("UnsupportedOperation", 400, text));
    }
    check_dry_run(request)?;
    instance.checks_source = true;
    ec2.store.change(|change| change.put(&instance))?;
    Ok(json!({}))
}

/// `GetPasswordData`: instances of Linux have no password.
///
/// # Errors
/// `InvalidInstanceID.NotFound`.
pub fn password(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let instance = one(ec2, request)?;
    check_dry_run(request)?;
    Ok(json!({"InstanceId": instance.id, "PasswordData": "", "Timestamp": time(now_millis())}))
}

fn one(ec2: &Ec2, request: &Value) -> Result<Instance, Fault> {
    let id = text(request, "InstanceId").unwrap_or_default();
    INSTANCE.check_form(id)?;
    let found = ec2.instances()?.into_iter().find(|instance| instance.id == id);
    found.ok_or_else(|| INSTANCE.missing(&[id]))
}

/// Refuses a limit of hops that AWS would.
///
/// # Errors
/// `InvalidParameterValue`. assumed: the text.
pub fn check_hops(options: &Value) -> Result<(), Fault> {
    let hops = number(options, "HttpPutResponseHopLimit").unwrap_or(1);
    if HOPS.contains(&hops) {
        return Ok(());
    }
    Err(invalid(format!("Value ({hops}) for parameter HttpPutResponseHopLimit is invalid. Expected an integer from 1 to 64.")))
}

/// `MonitorInstances` and `UnmonitorInstances`: whether metrics come each minute.
///
/// # Errors
/// `InvalidInstanceID.NotFound`.
pub fn monitor(ec2: &Ec2, request: &Value, on: bool) -> Result<Value, Fault> {
    let mut instances = ec2.asked(request)?;
    check_dry_run(request)?;
    ec2.store.change(|change| {
        instances.iter_mut().filter(|instance| !instance.state.ends()).try_for_each(|instance| {
            instance.monitored = on;
            change.put(instance)
        })
    })?;
    let state = if on { "pending" } else { "disabling" };
    let told = instances.iter().map(|instance| json!({"InstanceId": instance.id, "Monitoring": {"State": state}}));
    Ok(json!({"InstanceMonitorings": told.collect::<Vec<_>>()}))
}
