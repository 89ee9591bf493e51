//! Notebook instances.

use serde_json::{Value, json};

use super::super::REGION;
use super::super::create::check_role;
use super::super::document::seconds;
use super::super::quotas::Use;
use super::super::store::{Document, text};
use super::super::tags::sent;
use super::Notebooks;
use super::kind::Kind;
use super::link::Ticket;
use super::store::{Record, Store};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

/// Members of a request that Describe shows under the same name.
const ECHOED: [&str; 9] = [
    "InstanceType",
    "SubnetId",
    "RoleArn",
    "KmsKeyId",
    "DefaultCodeRepository",
    "AdditionalCodeRepositories",
    "RootAccess",
    "PlatformIdentifier",
    "InstanceMetadataServiceConfiguration",
];
/// How long a presigned URL is valid, in seconds (API reference).
const LINK_SECONDS: i64 = 300;
/// The size of the volume when none is sent, in GB (API reference).
const VOLUME: i64 = 5;

/// `CreateNotebookInstance`.
///
/// # Errors
/// As AWS answers, where its text is known; else one that names the member and the remedy.
pub fn create(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    if service.store.get(Kind::Instance, request)?.is_some() {
        return Err(Kind::Instance.taken(request));
    }
    check(request)?;
    if text(request, "DirectInternetAccess") == "Disabled" && !request.contains_key("SubnetId") {
        // assumed: the text; the rule is documented.
        return Err(Fault::validation(
            "DirectInternetAccess can be Disabled only with a SubnetId. Send one, or leave it Enabled.",
        ));
    }
    check_quota(&service.store, text(request, "InstanceType"))?;
    let tags = sent(request)?;
    let now = now_millis();
    let name = text(request, "NotebookInstanceName");
    let mut document = Document::new();
    for (member, value) in [
        ("NotebookInstanceArn", json!(Kind::Instance.arn(request))),
        ("NotebookInstanceName", json!(name)),
        ("NotebookInstanceStatus", json!("Pending")),
        ("Url", json!(host(name))),
        ("CreationTime", seconds(now)),
        ("LastModifiedTime", seconds(now)),
        ("RootAccess", json!("Enabled")),
        ("PlatformIdentifier", json!("notebook-al2023-v1")),
    ] {
        document.insert(member.to_owned(), value);
    }
    echo(&mut document, request);
    for (member, sent, otherwise) in [
        ("DirectInternetAccess", "DirectInternetAccess", json!("Enabled")),
        ("VolumeSizeInGB", "VolumeSizeInGB", json!(VOLUME)),
        ("IpAddressType", "IpAddressType", json!("ipv4")),
        ("SecurityGroups", "SecurityGroupIds", json!([])),
    ] {
        document.insert(member.to_owned(), request.get(sent).cloned().unwrap_or(otherwise));
    }
    let record = Record { kind: Kind::Instance, document, due: Some(service.due(now)) };
    service.store.create(&record, &tags)?;
    Ok(json!({"NotebookInstanceArn": record.arn()}))
}

/// `DescribeNotebookInstance`.
///
/// # Errors
/// An unknown name.
pub fn describe(store: &Store, request: &Document) -> Result<Value, Fault> {
    find(store, request).map(|record| Value::Object(record.document))
}

/// `StartNotebookInstance`.
///
/// # Errors
/// An unknown name, another state than stopped, or no room in the quota.
pub fn start(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    let record = expect(&service.store, request, &["Stopped", "Failed"], "Pending")?;
    check_quota(&service.store, text(&record.document, "InstanceType"))?;
    change(service, record, "Pending")
}

/// `StopNotebookInstance`.
///
/// # Errors
/// An unknown name, or one that is not in service.
pub fn stop(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    let record = expect(&service.store, request, &["InService"], "Stopping")?;
    change(service, record, "Stopping")
}

/// `DeleteNotebookInstance`.
///
/// # Errors
/// An unknown name, or one that is not stopped.
pub fn delete(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    let record = expect(&service.store, request, &["Stopped", "Failed"], "Deleting")?;
    change(service, record, "Deleting")
}

/// `UpdateNotebookInstance`: what is sent replaces what is there; the instance stays stopped.
///
/// # Errors
/// An unknown name, one that is not stopped, or values that cannot be.
pub fn update(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    let mut record = expect(&service.store, request, &["Stopped", "Failed"], "Updating")?;
    check(request)?;
    let document = &mut record.document;
    if let Some(size) = request.get("VolumeSizeInGB").and_then(Value::as_i64) {
        let present = document.get("VolumeSizeInGB").and_then(Value::as_i64).unwrap_or(VOLUME);
        if size < present {
            // assumed: the text; that a volume only grows is documented.
            return Err(Fault::validation(format!(
                "The volume has {present} GB and can only grow. Send VolumeSizeInGB of {present} or more, or leave it out."
            )));
        }
        document.insert("VolumeSizeInGB".to_owned(), json!(size));
    }
    echo(document, request);
    if let Some(kind) = request.get("IpAddressType") {
        document.insert("IpAddressType".to_owned(), kind.clone());
    }
    for member in ["DefaultCodeRepository", "AdditionalCodeRepositories"] {
        if request.get(&format!("Disassociate{member}")).and_then(Value::as_bool) == Some(true) {
            document.remove(member);
        }
    }
    change(service, record, "Updating")
}

/// `CreatePresignedNotebookInstanceUrl`.
///
/// # Errors
/// An unknown name, or one that is not in service.
pub fn presign(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    let record = find(&service.store, request)?;
    if record.status() != "InService" {
        // assumed: the text.
        return Err(Fault::validation(format!(
            "Status ({}) not in ([InService]). Unable to open Notebook Instance ({}). Start it first.",
            record.status(),
            record.arn()
        )));
    }
    let name = text(&record.document, "NotebookInstanceName").to_owned();
    let elsewhere = |token: &str| format!("https://{}?authToken={token}", host(&name));
    let ticket = Ticket { arn: record.arn(), visitor: None };
    Ok(json!({"AuthorizedUrl": service.links.issue(ticket, LINK_SECONDS, now_millis(), elsewhere)?}))
}

/// AWS's host for it, under `.localhost`: a name that no resolver sends to another machine (RFC 6761).
fn host(name: &str) -> String {
    format!("{}.notebook.{REGION}.sagemaker.localhost", name.to_lowercase())
}

fn find(store: &Store, request: &Document) -> Result<Record, Fault> {
    store.get(Kind::Instance, request)?.ok_or_else(|| Kind::Instance.not_found(request))
}

/// The instance, if it is in one of these states; the words are AWS's (amazon-sagemaker-examples#1094).
fn expect(store: &Store, request: &Document, states: &[&str], next: &str) -> Result<Record, Fault> {
    let record = find(store, request)?;
    if states.contains(&record.status()) {
        return Ok(record);
    }
    Err(Fault::validation(format!(
        "Status ({}) not in ([{}]). Unable to transition to ({next}) for Notebook Instance ({}).",
        record.status(),
        states.join(", "),
        record.arn()
    )))
}

fn change(service: &Notebooks, mut record: Record, status: &str) -> Result<Value, Fault> {
    let now = now_millis();
    record.document.insert("NotebookInstanceStatus".to_owned(), json!(status));
    record.document.insert("LastModifiedTime".to_owned(), seconds(now));
    record.due = Some(service.due(now));
    service.store.write(&record)?;
    Ok(json!({}))
}

/// What create and update have in common.
fn check(request: &Document) -> Result<(), Fault> {
    let role = text(request, "RoleArn");
    if !role.is_empty() {
        check_role(role)?;
    }
    if request.contains_key("LifecycleConfigName") {
        return Err(Fault::validation(
            "Lifecycle configurations are not part of the local region: there is no machine to run them. Leave LifecycleConfigName out.",
        ));
    }
    let additional = request.get("AdditionalCodeRepositories").and_then(Value::as_array).into_iter().flatten();
    let named = request.get("DefaultCodeRepository").into_iter().chain(additional).filter_map(Value::as_str);
    match named.into_iter().find(|repository| !repository.starts_with("https://")) {
        Some(name) => {
            Err(Fault::validation(format!("The code repository {name} is not known here. Send its address: https://….")))
        }
        None => Ok(()),
    }
}

fn check_quota(store: &Store, instance_type: &str) -> Result<(), Fault> {
    let running = |record: &&Record| {
        matches!(record.status(), "Pending" | "InService" | "Stopping") && text(&record.document, "InstanceType") == instance_type
    };
    let used = store.all(Kind::Instance)?.iter().filter(running).count();
    Use::Notebook.check(instance_type, u32::try_from(used).unwrap_or(u32::MAX), 1)
}

fn echo(document: &mut Document, request: &Document) {
    for member in ECHOED {
        if let Some(value) = request.get(member) {
            document.insert(member.to_owned(), value.clone());
        }
    }
}
