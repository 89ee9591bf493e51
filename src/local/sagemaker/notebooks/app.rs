//! Studio's apps. To delete one is how it is stopped.

use serde_json::{Value, json};

use super::super::document::seconds;
use super::super::quotas::Use;
use super::super::store::{Document, text};
use super::super::tags::sent;
use super::Notebooks;
use super::kind::{Kind, owner};
use super::store::{Record, Store};
use super::studio::{domain_in_service, find, owner_of, profile_of};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

/// Members of a request that Describe shows under the same name.
const ECHOED: [&str; 6] = ["DomainId", "UserProfileName", "SpaceName", "AppType", "AppName", "RecoveryMode"];

/// `CreateApp`.
///
/// # Errors
/// An unknown domain, profile or space, an app that runs already, a type that is not offered, or no room in the quota.
pub fn create(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    let domain = domain_in_service(&service.store, request)?;
    check_owner(request)?;
    let kind = text(request, "AppType");
    check_kind(request, kind)?;
    let (owner_kind, _) = owner(request);
    let owner = find(&service.store, owner_kind, request)?;
    if owner.status() != "InService" {
        // assumed: the text.
        let (word, arn, status) = (owner_kind.word(), owner.arn(), owner.status());
        return Err(Fault::validation(format!("{word} [{arn}] is {status}. Wait until it is InService.")));
    }
    let only = owner.document.get("SpaceSettings").and_then(|settings| settings.get("AppType")).and_then(Value::as_str);
    if let Some(only) = only.filter(|only| *only != kind) {
        // assumed: the text.
        return Err(Fault::validation(format!("Space [{}] is for apps of type {only}, not {kind}.", owner.arn())));
    }
    if service.store.get(Kind::App, request)?.is_some_and(|app| app.status() != "Deleted") {
        return Err(Kind::App.taken(request));
    }
    let instance_type = instance_type(&service.store, request, &owner, &domain)?;
    check_quota(&service.store, kind, &instance_type)?;
    let tags = sent(request)?;
    let now = now_millis();
    let mut document = Document::new();
    document.insert("AppArn".to_owned(), json!(Kind::App.arn(request)));
    for member in ECHOED {
        if let Some(value) = request.get(member) {
            document.insert(member.to_owned(), value.clone());
        }
    }
    document.insert("Status".to_owned(), json!("Pending"));
    document.insert("CreationTime".to_owned(), seconds(now));
    let mut spec = request.get("ResourceSpec").and_then(Value::as_object).cloned().unwrap_or_default();
    spec.insert("InstanceType".to_owned(), json!(instance_type));
    document.insert("ResourceSpec".to_owned(), Value::Object(spec));
    let record = Record { kind: Kind::App, document, due: Some(service.due(now)) };
    service.store.create(&record, &tags)?;
    Ok(json!({"AppArn": record.arn()}))
}

/// `DescribeApp`.
///
/// # Errors
/// An unknown app.
pub fn describe(store: &Store, request: &Document) -> Result<Value, Fault> {
    check_owner(request)?;
    find(store, Kind::App, request).map(|record| Value::Object(record.document))
}

/// `DeleteApp`: the app is still listed for a while, as Deleted.
///
/// # Errors
/// An unknown app, or one that is deleted already.
pub fn delete(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    check_owner(request)?;
    let mut record = find(&service.store, Kind::App, request)?;
    match record.status() {
        "Deleted" => return Err(Kind::App.not_found(request)),
        "Deleting" => {
            // assumed: code and text.
            return Err(Fault::new("ResourceInUse", 400, format!("App [{}] is being deleted.", record.arn())));
        }
        _ => {}
    }
    record.document.insert("Status".to_owned(), json!("Deleting"));
    record.due = Some(service.due(now_millis()));
    service.store.write(&record)?;
    Ok(json!({}))
}

/// assumed: the text; that exactly one must be sent is documented.
fn check_owner(request: &Document) -> Result<(), Fault> {
    if request.contains_key("UserProfileName") == request.contains_key("SpaceName") {
        return Err(Fault::validation("Exactly one of UserProfileName and SpaceName is required."));
    }
    Ok(())
}

/// assumed: the texts.
fn check_kind(request: &Document, kind: &str) -> Result<(), Fault> {
    match kind {
        "JupyterLab" | "CodeEditor" if !request.contains_key("SpaceName") => {
            return Err(Fault::validation(format!("{kind} apps run in a space. Send SpaceName instead of UserProfileName.")));
        }
        "JupyterLab" | "CodeEditor" | "JupyterServer" if text(request, "AppName") != "default" => {
            return Err(Fault::validation(format!("The AppName of a {kind} app must be default.")));
        }
        "JupyterLab" | "CodeEditor" | "JupyterServer" | "KernelGateway" => {}
        _ => {
            return Err(Fault::validation(format!(
                "Apps of type {kind} are not part of the local region. It has JupyterLab, CodeEditor, JupyterServer and KernelGateway."
            )));
        }
    }
    let wanted = request.get("ResourceSpec").and_then(|spec| spec.get("InstanceType")).and_then(Value::as_str);
    match wanted {
        Some(other) if kind == "JupyterServer" && other != "system" => {
            Err(Fault::validation("A JupyterServer app runs on the instance type system only."))
        }
        Some("system") if kind != "JupyterServer" => {
            Err(Fault::validation(format!("A {kind} app cannot run on the instance type system. Send e.g. ml.t3.medium.")))
        }
        _ => Ok(()),
    }
}

/// The request's own type, else that of the space, the profile, the domain (API reference of `CreateApp`).
fn instance_type(store: &Store, request: &Document, owner: &Record, domain: &Record) -> Result<String, Fault> {
    let kind = text(request, "AppType");
    if kind == "JupyterServer" {
        return Ok("system".to_owned());
    }
    let own = request.get("ResourceSpec").and_then(|spec| spec.get("InstanceType"));
    let path = format!("/{kind}AppSettings/DefaultResourceSpec/InstanceType");
    let set = |document: &Document, member: &str| {
        let found = document.get(member).and_then(|settings| settings.pointer(&path));
        found.and_then(Value::as_str).map(str::to_owned)
    };
    let profile = match owner_of(&owner.document) {
        Some(name) => store.get(Kind::Profile, &profile_of(request, name))?,
        None => None,
    };
    let profile = profile.as_ref().map_or(&owner.document, |profile| &profile.document);
    let found = own
        .and_then(Value::as_str)
        .map(str::to_owned)
        .or_else(|| set(&owner.document, "SpaceSettings"))
        .or_else(|| set(profile, "UserSettings"))
        .or_else(|| set(&domain.document, "DefaultSpaceSettings").filter(|_| owner.kind == Kind::Space))
        .or_else(|| set(&domain.document, "DefaultUserSettings"));
    match found {
        Some(found) => Ok(found),
        // assumed: the text; that the call fails is documented.
        None if kind == "KernelGateway" => Err(Fault::validation(
            "No InstanceType for the KernelGateway app: send it in ResourceSpec, e.g. ml.t3.medium, or set a default in the user profile or the domain.",
        )),
        // assumed: Studio's default for apps of a space.
        None => Ok("ml.t3.medium".to_owned()),
    }
}

fn check_quota(store: &Store, kind: &str, instance_type: &str) -> Result<(), Fault> {
    let purpose = match kind {
        "JupyterLab" => Use::JupyterLab,
        "CodeEditor" => Use::CodeEditor,
        "KernelGateway" => Use::KernelGateway,
        _ => return Ok(()),
    };
    let runs = |app: &&Record| {
        text(&app.document, "AppType") == kind
            && app.document["ResourceSpec"]["InstanceType"] == instance_type
            && app.status() != "Deleted"
    };
    let used = store.all(Kind::App)?.iter().filter(runs).count();
    purpose.check(instance_type, u32::try_from(used).unwrap_or(u32::MAX), 1)
}
