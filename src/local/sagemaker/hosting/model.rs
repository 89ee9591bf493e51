//! `CreateModel`.

use serde_json::{Value, json};

use super::super::create::{IMAGE, check_role};
use super::super::document::seconds;
use super::super::store::{Document, text};
use super::super::tags;
use super::resource::Kind;
use super::store::{Record, Store};
use crate::local::buckets::Buckets;
use crate::local::engine::S3Place;
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

/// Members of a container that ask for something the local region does not have.
const NOT_OFFERED: [(&str, &str); 6] = [
    ("ModelPackageName", "Model packages are not part of the local region. Send Image and ModelDataUrl."),
    ("InferenceSpecificationName", "Model packages are not part of the local region. Send Image and ModelDataUrl."),
    ("MultiModelConfig", "Multi-model endpoints are not part of the local region. Make a model of each archive."),
    ("AdditionalModelDataSources", "Additional model data is not part of the local region. Pack it into the model's archive."),
    ("ImageConfig", "Private registries are not part of the local region. Leave ImageConfig out."),
    ("ContainerMetricsConfig", "Container metrics are not part of the local region. Leave ContainerMetricsConfig out."),
];
/// Members of the request that Describe shows as they were sent.
const ECHOED: [&str; 3] = ["ExecutionRoleArn", "VpcConfig", "InferenceExecutionConfig"];

/// Checks the request and keeps the model.
///
/// # Errors
/// As AWS answers, where its text is known; else one that names the member and the remedy.
pub fn create(store: &Store, buckets: &Buckets, request: &Document) -> Result<Value, Fault> {
    let name = text(request, "ModelName");
    if store.get(Kind::Model, name)?.is_some() {
        return Err(Kind::Model.taken(name));
    }
    let role = text(request, "ExecutionRoleArn");
    if !role.is_empty() {
        check_role(role)?;
    }
    let mut document = Document::new();
    document.insert("ModelName".to_owned(), json!(name));
    document.insert("ModelArn".to_owned(), json!(Kind::Model.arn(name)));
    for member in ECHOED {
        if let Some(value) = request.get(member) {
            document.insert(member.to_owned(), value.clone());
        }
    }
    let primary = request.get("PrimaryContainer").and_then(Value::as_object);
    let containers: Vec<&Document> =
        request.get("Containers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).collect();
    let (member, container) = match (primary, containers.as_slice()) {
        (Some(container), []) => ("PrimaryContainer", container),
        (None, [container]) => ("Containers", *container),
        // assumed: the texts.
        (Some(_), _) => return Err(Fault::validation("Send either PrimaryContainer or Containers, not both.")),
        (None, []) => return Err(Fault::validation("A model needs a container: send PrimaryContainer.")),
        (None, _) => {
            return Err(Fault::validation(
                "Pipelines of several containers are not part of the local region. Send one PrimaryContainer.",
            ));
        }
    };
    let mut container = checked(container, buckets)?;
    container.entry("Mode").or_insert(json!("SingleModel"));
    let container = Value::Object(container);
    document.insert(member.to_owned(), if member == "Containers" { json!([container]) } else { container });
    document.insert("EnableNetworkIsolation".to_owned(), request.get("EnableNetworkIsolation").cloned().unwrap_or(json!(false)));
    document.insert("CreationTime".to_owned(), seconds(now_millis()));
    if !store.insert(Kind::Model, &Record { document, plan: None }, &tags::sent(request)?)? {
        return Err(Kind::Model.taken(name));
    }
    Ok(json!({"ModelArn": Kind::Model.arn(name)}))
}

/// The container that a model's document has.
#[must_use]
pub fn container(model: &Document) -> Option<&Document> {
    let list = model.get("Containers").and_then(Value::as_array).and_then(|containers| containers.first());
    model.get("PrimaryContainer").or(list).and_then(Value::as_object)
}

/// Where a container's archive lies: `ModelDataUrl`, or a compressed `ModelDataSource`.
#[must_use]
pub fn data(container: &Document) -> Option<&str> {
    let source = container.get("ModelDataSource").and_then(|source| source.pointer("/S3DataSource/S3Uri"));
    container.get("ModelDataUrl").or(source).and_then(Value::as_str)
}

fn checked(container: &Document, buckets: &Buckets) -> Result<Document, Fault> {
    for (member, message) in NOT_OFFERED {
        let sent = container.get(member).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()));
        if sent {
            return Err(Fault::validation(message));
        }
    }
    if text(container, "Mode") == "MultiModel" {
        return Err(Fault::validation(
            "Multi-model endpoints are not part of the local region. Set Mode to SingleModel, or leave it out.",
        ));
    }
    let image = text(container, "Image");
    if image.is_empty() {
        return Err(Fault::validation("Image is missing in the container. Name the inference image of your framework."));
    }
    if !IMAGE.is_match(image) {
        return Err(Fault::validation(format!(
            "Invalid image {image}. It must look like ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG."
        )));
    }
    let source = container.get("ModelDataSource").and_then(|source| source.get("S3DataSource"));
    if source.is_some_and(|source| source.get("CompressionType").and_then(Value::as_str) != Some("Gzip")) {
        return Err(Fault::validation(
            "Uncompressed model data is not part of the local region. Pack it as model.tar.gz and send ModelDataUrl, or CompressionType Gzip.",
        ));
    }
    if source.is_some() && container.contains_key("ModelDataUrl") {
        return Err(Fault::validation("Send either ModelDataUrl or ModelDataSource, not both."));
    }
    if let Some(uri) = data(container) {
        let place = S3Place::parse(uri).filter(|place| !place.key.is_empty()).ok_or_else(|| {
            Fault::validation(format!("Model data {uri} is not an address of the form s3://bucket/prefix/model.tar.gz."))
        })?;
        let there = buckets.list(&place.bucket, &place.key).is_ok_and(|found| found.iter().any(|object| object.key == place.key));
        if !there {
            return Err(Fault::validation(format!("Could not find model data at {uri}.")));
        }
    }
    Ok(container.clone())
}
