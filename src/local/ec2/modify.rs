//! `ModifyInstanceAttribute`, `DescribeInstanceAttribute`.

use serde_json::{Value, json};

use super::Ec2;
use super::groups;
use super::ids::INSTANCE;
use super::instance::{Instance, Shutdown, State};
use super::kinds;
use super::run::check_user_data;
use super::wanted::{check_dry_run, flag, invalid, list, text, texts};
use crate::local::fault::Fault;

/// Changes one attribute.
///
/// # Errors
/// `IncorrectInstanceState` where the instance must be stopped, `InvalidParameterCombination` for several attributes at once,
/// and for wrong values.
pub fn modify(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let mut instance = one(ec2, request)?;
    let mut changes = asked(request);
    let (attribute, value) = match (changes.pop(), changes.pop()) {
        (Some(change), None) => change,
        (None, _) => return Err(Fault::new("MissingParameter", 400, "No attributes specified.")),
        (Some(_), Some(_)) => {
            let text = "Fields for multiple attribute types specified: only one attribute can be modified at a time";
            return Err(Fault::new("InvalidParameterCombination", 400, text));
        }
    };
    apply(ec2, &mut instance, &attribute, &value)?;
    check_dry_run(request)?;
    ec2.store.change(|change| change.put(&instance))?;
    Ok(json!({}))
}

/// Shows one attribute.
///
/// # Errors
/// `InvalidInstanceID.NotFound`, `InvalidParameterValue` for an attribute that the region does not have.
pub fn describe(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let instance = one(ec2, request)?;
    check_dry_run(request)?;
    let attribute = text(request, "Attribute").unwrap_or_default();
    let value = |value: Value| json!({"Value": value});
    let (member, shown) = match attribute {
        "instanceType" => ("InstanceType", value(json!(instance.kind))),
        "userData" => ("UserData", instance.user_data.as_ref().map_or(json!({}), |data| value(json!(data)))),
        "disableApiTermination" => ("DisableApiTermination", value(json!(instance.protected))),
        "disableApiStop" => ("DisableApiStop", value(json!(instance.stop_protected))),
        "instanceInitiatedShutdownBehavior" => ("InstanceInitiatedShutdownBehavior", value(json!(instance.shutdown.word()))),
        "rootDeviceName" => ("RootDeviceName", value(json!(instance.root_device))),
        "sourceDestCheck" => ("SourceDestCheck", value(json!(instance.checks_source))),
        "groupSet" => ("Groups", ec2.group_names(&instance.groups)?),
        "ebsOptimized" => ("EbsOptimized", value(json!(kinds::by_name(&instance.kind).is_some_and(kinds::Kind::ebs_optimized)))),
        "enaSupport" => ("EnaSupport", value(json!(true))),
        "sriovNetSupport" => ("SriovNetSupport", json!({})),
        "enclaveOptions" => ("EnclaveOptions", json!({"Enabled": false})),
        "kernel" => ("KernelId", json!({})),
        "ramdisk" => ("RamdiskId", json!({})),
        "productCodes" => ("ProductCodes", json!([])),
        "blockDeviceMapping" => ("BlockDeviceMappings", instance.document(ec2)?["BlockDeviceMappings"].clone()),
        other => return Err(invalid(format!("Value ({other}) for parameter attribute is invalid. Unknown attribute."))),
    };
    Ok(json!({"InstanceId": instance.id, member: shown}))
}

fn one(ec2: &Ec2, request: &Value) -> Result<Instance, Fault> {
    let id = text(request, "InstanceId").unwrap_or_default();
    INSTANCE.check_form(id)?;
    ec2.instances()?.into_iter().find(|instance| instance.id == id).ok_or_else(|| INSTANCE.missing(&[id]))
}

/// The attributes that a request changes, by the names that `Attribute` has, with their values.
fn asked(request: &Value) -> Vec<(String, Value)> {
    let mut changes = Vec::new();
    if let Some(attribute) = text(request, "Attribute") {
        changes.push((attribute.to_owned(), request["Value"].clone()));
    }
    let members = [
        ("InstanceType", "instanceType"),
        ("UserData", "userData"),
        ("DisableApiTermination", "disableApiTermination"),
        ("DisableApiStop", "disableApiStop"),
        ("InstanceInitiatedShutdownBehavior", "instanceInitiatedShutdownBehavior"),
        ("SourceDestCheck", "sourceDestCheck"),
        ("EbsOptimized", "ebsOptimized"),
        ("EnaSupport", "enaSupport"),
        ("SriovNetSupport", "sriovNetSupport"),
        ("Kernel", "kernel"),
        ("Ramdisk", "ramdisk"),
    ];
    for (member, attribute) in members {
        if let Some(value) = request.get(member) {
            changes.push((attribute.to_owned(), value["Value"].clone()));
        }
    }
    for (member, attribute) in [("Groups", "groupSet"), ("BlockDeviceMappings", "blockDeviceMapping")] {
        if !list(request, member).is_empty() {
            changes.push((attribute.to_owned(), request[member].clone()));
        }
    }
    changes
}

fn apply(ec2: &Ec2, instance: &mut Instance, attribute: &str, value: &Value) -> Result<(), Fault> {
    let word = value.as_str().unwrap_or_default();
    let switch = value.as_bool().unwrap_or(word.eq_ignore_ascii_case("true"));
    match attribute {
        "instanceType" => {
            must_be_stopped(instance)?;
            let kind = kinds::named(word)?;
            if !kind.runs(&instance.architecture) {
                return Err(invalid(format!(
                    "The architecture '{}' of the specified instance type does not match the architecture '{}' of the instance.",
                    kind.architecture(),
                    instance.architecture
                )));
            }
            word.clone_into(&mut instance.kind);
        }
        "userData" => {
            must_be_stopped(instance)?;
            check_user_data(word)?;
            instance.user_data = (!word.is_empty()).then(|| word.to_owned());
        }
        "disableApiTermination" if switch && instance.spot.is_some() => {
            let text = "You can't enable termination protection for a Spot Instance";
            return Err(Fault::new("UnsupportedOperation", 400, text));
        }
        "disableApiTermination" => instance.protected = switch,
        "disableApiStop" => instance.stop_protected = switch,
        "instanceInitiatedShutdownBehavior" => {
            instance.shutdown = match word {
                "stop" => Shutdown::Stop,
                "terminate" => Shutdown::Terminate,
                other => {
                    let text = format!(
                        "Value ({other}) for parameter instanceInitiatedShutdownBehavior is invalid. Expected 'stop' or 'terminate'."
                    );
                    return Err(invalid(text));
                }
            }
        }
        "sourceDestCheck" => instance.checks_source = switch,
        "groupSet" => instance.groups = groups::for_launch(ec2, &texts(&json!({"Groups": value}), "Groups"), &[])?,
        "blockDeviceMapping" => {
            for mapping in value.as_array().into_iter().flatten() {
                let device = text(mapping, "DeviceName").unwrap_or_default();
                let Some(attached) = instance.volumes.iter_mut().find(|attached| attached.device == device) else {
                    return Err(Fault::new(
                        "InvalidInstanceAttributeValue",
                        400,
                        format!("No device is currently mapped at {device}"),
                    ));
                };
                attached.goes_along = flag(&mapping["Ebs"], "DeleteOnTermination").unwrap_or(attached.goes_along);
            }
        }
        other => {
            let text = format!("The local region does not offer to modify {other}.");
            return Err(Fault::new("UnsupportedOperation", 400, text));
        }
    }
    Ok(())
}

fn must_be_stopped(instance: &Instance) -> Result<(), Fault> {
    if instance.state == State::Stopped {
        return Ok(());
    }
    let text = format!("The instance '{}' is not in the 'stopped' state.", instance.id);
    Err(Fault::new("IncorrectInstanceState", 400, text))
}
