//! The calls that create, change and delete endpoints; what then happens is in [`life`].

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::runtime::Handle;

use super::super::document::seconds;
use super::super::store::{Document, text};
use super::super::tags;
use super::plan::{Plan, Variant};
use super::resource::Kind;
use super::store::Record;
use super::{Hosting, life};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

/// `CreateEndpoint`.
///
/// # Errors
/// As AWS answers, where its text is known; else one that names the member and the remedy.
pub fn create(hosting: &Arc<Hosting>, request: &Document, runtime: &Handle) -> Result<Value, Fault> {
    let name = text(request, "EndpointName");
    check_deployment(request)?;
    let tags = tags::sent(request)?;
    // One call at a time from here on: two at once cannot both take the last instance.
    let live = hosting.live();
    if hosting.store.get(Kind::Endpoint, name)?.is_some() {
        return Err(Kind::Endpoint.taken(name));
    }
    let plan = Plan::resolve(&hosting.store, text(request, "EndpointConfigName"))?;
    check_room(hosting, &plan, None)?;
    let now = seconds(now_millis());
    let mut document = Document::new();
    for (member, value) in [
        ("EndpointName", json!(name)),
        ("EndpointArn", json!(Kind::Endpoint.arn(name))),
        ("EndpointConfigName", json!(plan.config)),
        ("EndpointStatus", json!("Creating")),
        ("CreationTime", now.clone()),
        ("LastModifiedTime", now),
    ] {
        document.insert(member.to_owned(), value);
    }
    hosting.store.insert(Kind::Endpoint, &Record { document, plan: Some(plan.clone()) }, &tags)?;
    drop(live);
    life::spawn_start(hosting, name, plan, runtime);
    Ok(json!({"EndpointArn": Kind::Endpoint.arn(name)}))
}

/// `UpdateEndpoint`: instances of the new configuration are started beside the old ones, which go when those are ready.
///
/// # Errors
/// As AWS answers, where its text is known; else one that names the member and the remedy.
pub fn update(hosting: &Arc<Hosting>, request: &Document, runtime: &Handle) -> Result<Value, Fault> {
    let name = text(request, "EndpointName");
    check_deployment(request)?;
    let live = hosting.live();
    let (name, old) = in_service(hosting, name)?;
    let mut plan = Plan::resolve(&hosting.store, text(request, "EndpointConfigName"))?;
    if request.get("RetainAllVariantProperties").and_then(Value::as_bool) == Some(true) {
        retain(&mut plan, &old, request);
    }
    check_room(hosting, &plan, Some(&name))?;
    mark_updating(hosting, &name)?;
    drop(live);
    life::spawn_change(hosting, &name, plan, false, runtime);
    Ok(json!({"EndpointArn": Kind::Endpoint.arn(&name)}))
}

/// `UpdateEndpointWeightsAndCapacities`: instances that stay are not started anew.
///
/// # Errors
/// As AWS answers, where its text is known; else one that names the member and the remedy.
pub fn rescale(hosting: &Arc<Hosting>, request: &Document, runtime: &Handle) -> Result<Value, Fault> {
    let live = hosting.live();
    let (name, mut plan) = in_service(hosting, text(request, "EndpointName"))?;
    let changes = request.get("DesiredWeightsAndCapacities").and_then(Value::as_array).into_iter().flatten();
    for change in changes.filter_map(Value::as_object) {
        let wanted = text(change, "VariantName");
        // assumed: the texts.
        let variant = plan.variants.iter_mut().find(|variant| variant.name == wanted);
        let variant = variant.ok_or_else(|| {
            Fault::validation(format!("The variant {wanted} is not part of the endpoint \"{}\".", Kind::Endpoint.arn(&name)))
        })?;
        if let Some(weight) = change.get("DesiredWeight").and_then(Value::as_f64) {
            variant.weight = weight;
        }
        if let Some(count) = change.get("DesiredInstanceCount").and_then(Value::as_u64) {
            if count == 0 {
                return Err(Fault::validation(format!("DesiredInstanceCount of the variant {wanted} must be 1 or more.")));
            }
            variant.instances = u32::try_from(count).unwrap_or(u32::MAX);
        }
    }
    if plan.variants.iter().all(|variant| variant.weight <= 0.0) {
        return Err(Fault::validation("At least one production variant needs a DesiredWeight above 0."));
    }
    check_room(hosting, &plan, Some(&name))?;
    mark_updating(hosting, &name)?;
    drop(live);
    life::spawn_change(hosting, &name, plan, true, runtime);
    Ok(json!({"EndpointArn": Kind::Endpoint.arn(&name)}))
}

/// `DeleteEndpoint`.
///
/// # Errors
/// An unknown endpoint, or one that is being created or changed.
pub fn delete(hosting: &Arc<Hosting>, request: &Document, runtime: &Handle) -> Result<Value, Fault> {
    let sent = text(request, "EndpointName");
    let marked = hosting.store.update(sent, |record| {
        match text(&record.document, "EndpointStatus") {
            "InService" | "Failed" | "SystemUpdating" => {}
            _ => return Err(in_progress(sent)),
        }
        record.document.insert("EndpointStatus".to_owned(), json!("Deleting"));
        record.document.insert("LastModifiedTime".to_owned(), seconds(now_millis()));
        Ok(text(&record.document, "EndpointName").to_owned())
    })?;
    let name = marked.ok_or_else(|| Kind::Endpoint.not_found(sent))?;
    life::spawn_delete(hosting, &name, runtime);
    Ok(json!({}))
}

/// The exact name and the plan of an endpoint that may be changed.
fn in_service(hosting: &Hosting, name: &str) -> Result<(String, Plan), Fault> {
    let record = hosting.store.get(Kind::Endpoint, name)?.ok_or_else(|| Kind::Endpoint.not_found(name))?;
    match (text(&record.document, "EndpointStatus"), record.plan) {
        ("InService", Some(plan)) => Ok((text(&record.document, "EndpointName").to_owned(), plan)),
        // assumed: the text; that it must be deleted and created again is documented.
        ("Failed", _) => Err(Fault::validation(format!(
            "Cannot update failed endpoint \"{}\". Delete it and create it again.",
            Kind::Endpoint.arn(name)
        ))),
        _ => Err(in_progress(name)),
    }
}

/// assumed: the text is AWS's for updates, and for deletions too.
fn in_progress(name: &str) -> Fault {
    Fault::validation(format!("Cannot update in-progress endpoint \"{}\".", Kind::Endpoint.arn(name)))
}

fn mark_updating(hosting: &Hosting, name: &str) -> Result<(), Fault> {
    let marked = hosting.store.update(name, |record| {
        record.document.insert("EndpointStatus".to_owned(), json!("Updating"));
        record.document.insert("LastModifiedTime".to_owned(), seconds(now_millis()));
        record.document.remove("FailureReason");
        Ok(())
    })?;
    marked.ok_or_else(|| Kind::Endpoint.not_found(name))
}

/// Whether the region is open and the account's quota allows the plan; `instead` names the endpoint whose place it takes.
fn check_room(hosting: &Hosting, plan: &Plan, instead: Option<&str>) -> Result<(), Fault> {
    if hosting.stop.is_cancelled() {
        return Err(Fault::new("ServiceUnavailable", 503, "The local region is closing."));
    }
    let records = hosting.store.all(Kind::Endpoint)?;
    let running = records.iter().filter(|record| {
        let (name, status) = (text(&record.document, "EndpointName"), text(&record.document, "EndpointStatus"));
        Some(name) != instead && status != "Failed"
    });
    plan.check_quota(running.filter_map(|record| record.plan.as_ref()))
}

/// `RetainAllVariantProperties`: weights and counts stay as they are, but for those excluded.
fn retain(plan: &mut Plan, old: &Plan, request: &Document) {
    let excluded = request.get("ExcludeRetainedVariantProperties").and_then(Value::as_array);
    let excluded: Vec<&str> = excluded
        .into_iter()
        .flatten()
        .filter_map(|property| property.get("VariantPropertyType").and_then(Value::as_str))
        .collect();
    for variant in &mut plan.variants {
        let Some(Variant { instances, weight, .. }) = old.variants.iter().find(|other| other.name == variant.name) else {
            continue;
        };
        if !excluded.contains(&"DesiredInstanceCount") {
            variant.instances = *instances;
        }
        if !excluded.contains(&"DesiredWeight") {
            variant.weight = *weight;
        }
    }
}

/// Traffic moves at once here; asking for less than that is refused rather than ignored.
fn check_deployment(request: &Document) -> Result<(), Fault> {
    let Some(deployment) = request.get("DeploymentConfig") else { return Ok(()) };
    let routing = deployment.pointer("/BlueGreenUpdatePolicy/TrafficRoutingConfiguration/Type").and_then(Value::as_str);
    if deployment.get("RollingUpdatePolicy").is_some() || routing.is_some_and(|kind| kind != "ALL_AT_ONCE") {
        return Err(Fault::validation(
            "Rolling, canary and linear deployments are not part of the local region. Send ALL_AT_ONCE, or leave DeploymentConfig out.",
        ));
    }
    let alarms = deployment.pointer("/AutoRollbackConfiguration/Alarms").and_then(Value::as_array);
    if alarms.is_some_and(|alarms| !alarms.is_empty()) {
        return Err(Fault::validation("Alarms are not part of the local region. Leave AutoRollbackConfiguration out."));
    }
    Ok(())
}
