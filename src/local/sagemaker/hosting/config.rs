//! `CreateEndpointConfig`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::create::check_role;
use super::super::document::seconds;
use super::super::store::{Document, text};
use super::super::tags;
use super::resource::Kind;
use super::store::{Record, Store};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

/// Members of the request that ask for something the local region does not have.
const NOT_OFFERED: [(&str, &str); 4] = [
    ("DataCaptureConfig", "Data capture is not part of the local region. Leave DataCaptureConfig out."),
    ("AsyncInferenceConfig", "Asynchronous inference is not part of the local region. Leave AsyncInferenceConfig out."),
    ("ExplainerConfig", "Explainers are not part of the local region. Leave ExplainerConfig out."),
    ("ShadowProductionVariants", "Shadow variants are not part of the local region. Leave ShadowProductionVariants out."),
];
/// Members of a variant that do.
const VARIANT_NOT_OFFERED: [(&str, &str); 4] = [
    ("ServerlessConfig", "Serverless endpoints are not part of the local region. Send InstanceType and InitialInstanceCount."),
    ("InstancePools", "Instance pools are not part of the local region. Send InstanceType and InitialInstanceCount."),
    ("ManagedInstanceScaling", "Managed scaling is not part of the local region. Leave ManagedInstanceScaling out."),
    ("AcceleratorType", "Elastic inference is not part of the local region. Leave AcceleratorType out."),
];
/// Members of the request that Describe shows as they were sent.
const ECHOED: [&str; 4] = ["KmsKeyId", "ExecutionRoleArn", "VpcConfig", "MetricsConfig"];

/// Checks the request and keeps the configuration.
///
/// # Errors
/// As AWS answers, where its text is known; else one that names the member and the remedy.
pub fn create(store: &Store, request: &Document) -> Result<Value, Fault> {
    let name = text(request, "EndpointConfigName");
    if store.get(Kind::Config, name)?.is_some() {
        return Err(Kind::Config.taken(name));
    }
    refuse(request, &NOT_OFFERED)?;
    let role = text(request, "ExecutionRoleArn");
    if !role.is_empty() {
        check_role(role)?;
    }
    let mut document = Document::new();
    document.insert("EndpointConfigName".to_owned(), json!(name));
    document.insert("EndpointConfigArn".to_owned(), json!(Kind::Config.arn(name)));
    document.insert("ProductionVariants".to_owned(), variants(store, request)?);
    for member in ECHOED {
        if let Some(value) = request.get(member) {
            document.insert(member.to_owned(), value.clone());
        }
    }
    document.insert("EnableNetworkIsolation".to_owned(), request.get("EnableNetworkIsolation").cloned().unwrap_or(json!(false)));
    document.insert("CreationTime".to_owned(), seconds(now_millis()));
    if !store.insert(Kind::Config, &Record { document, plan: None }, &tags::sent(request)?)? {
        return Err(Kind::Config.taken(name));
    }
    Ok(json!({"EndpointConfigArn": Kind::Config.arn(name)}))
}

fn variants(store: &Store, request: &Document) -> Result<Value, Fault> {
    let mut names = BTreeSet::new();
    let mut variants = Vec::new();
    let mut weights = 0.0;
    for variant in request.get("ProductionVariants").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
    {
        let name = text(variant, "VariantName");
        // assumed: the texts of this function, but for the unknown model.
        if !names.insert(name) {
            return Err(Fault::validation(format!(
                "Duplicate variant name {name} in ProductionVariants. Variant names must be unique."
            )));
        }
        refuse(variant, &VARIANT_NOT_OFFERED)?;
        let model = text(variant, "ModelName");
        if model.is_empty() {
            return Err(Fault::validation(format!("ModelName is missing in the production variant {name}.")));
        }
        if store.get(Kind::Model, model)?.is_none() {
            return Err(Kind::Model.not_found(model));
        }
        let mut variant = variant.clone();
        for member in ["InstanceType", "InitialInstanceCount"] {
            if !variant.contains_key(member) {
                return Err(Fault::validation(format!("{member} is missing in the production variant {name}.")));
            }
        }
        let weight = variant.entry("InitialVariantWeight").or_insert(json!(1.0));
        weights += weight.as_f64().unwrap_or_default();
        variants.push(Value::Object(variant));
    }
    if weights <= 0.0 {
        return Err(Fault::validation("At least one production variant needs an InitialVariantWeight above 0."));
    }
    Ok(Value::Array(variants))
}

fn refuse(members: &Document, not_offered: &[(&str, &str)]) -> Result<(), Fault> {
    for (member, message) in not_offered {
        if members.get(*member).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty())) {
            return Err(Fault::validation(*message));
        }
    }
    Ok(())
}
