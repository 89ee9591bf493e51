//! Studio's domains, user profiles and spaces.

use serde_json::{Value, json};

use super::super::REGION;
use super::super::create::check_role;
use super::super::document::seconds;
use super::super::store::{Document, text};
use super::super::tags::sent;
use super::Notebooks;
use super::kind::{Kind, owner};
use super::link::Ticket;
use super::store::{Record, Store};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;
use crate::local::store::random_name;

/// Members of a domain's request that Describe shows under the same name. There is no file system behind it.
const OF_DOMAIN: [&str; 12] = [
    "DomainName",
    "AuthMode",
    "DefaultUserSettings",
    "DomainSettings",
    "DefaultSpaceSettings",
    "SubnetIds",
    "VpcId",
    "KmsKeyId",
    "HomeEfsFileSystemKmsKeyId",
    "AppSecurityGroupManagement",
    "HomeEfsFileSystemCreation",
    "TagPropagation",
];
const OF_PROFILE: [&str; 3] = ["DomainId", "UserProfileName", "UserSettings"];
const OF_SPACE: [&str; 6] =
    ["DomainId", "SpaceName", "SpaceSettings", "OwnershipSettings", "SpaceSharingSettings", "SpaceDisplayName"];
/// How long a presigned URL is valid when nothing is said, in seconds (API reference).
const LINK_SECONDS: i64 = 300;

/// `CreateDomain`.
///
/// # Errors
/// A name that is taken, or settings that cannot be.
pub fn create_domain(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    if text(request, "AuthMode") == "SSO" {
        return Err(Fault::validation("IAM Identity Center is not part of the local region. Set AuthMode to IAM."));
    }
    // assumed: the texts. Without a network only domains of Unified Studio can be made (API reference).
    if !request.contains_key("VpcId") || !request.contains_key("SubnetIds") {
        return Err(Fault::validation(
            "VpcId and SubnetIds are required. The local region has no networks: any well-formed ids do.",
        ));
    }
    let role = request["DefaultUserSettings"].get("ExecutionRole").and_then(Value::as_str);
    check_role(role.ok_or_else(|| Fault::validation("ExecutionRole is required in DefaultUserSettings."))?)?;
    let name = text(request, "DomainName");
    let taken = service.store.all(Kind::Domain)?.into_iter().find(|domain| text(&domain.document, "DomainName") == name);
    if let Some(domain) = taken {
        let text = format!("The domain name {name} is in use by Domain [{}].", domain.arn());
        return Err(Fault::new("ResourceInUse", 400, text));
    }
    let id = domain_id()?;
    let mut document = Document::from_iter([("DomainId".to_owned(), json!(id))]);
    document.insert("DomainArn".to_owned(), json!(Kind::Domain.arn(&document)));
    document.insert("Url".to_owned(), json!(format!("https://{}", host(&id))));
    for (member, otherwise) in [("AppNetworkAccessType", "PublicInternetOnly"), ("TagPropagation", "DISABLED")] {
        document.insert(member.to_owned(), request.get(member).cloned().unwrap_or(json!(otherwise)));
    }
    let record = begin(service, Kind::Domain, document, request, &OF_DOMAIN)?;
    Ok(json!({"DomainArn": record.arn(), "DomainId": id, "Url": record.document["Url"]}))
}

/// `CreateUserProfile`.
///
/// # Errors
/// An unknown domain, a name that is taken, or settings that cannot be.
pub fn create_profile(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    domain_in_service(&service.store, request)?;
    if request.contains_key("SingleSignOnUserIdentifier") || request.contains_key("SingleSignOnUserValue") {
        // assumed: the text; the rule is documented.
        return Err(Fault::validation(
            "The domain's AuthMode is IAM: leave SingleSignOnUserIdentifier and SingleSignOnUserValue out.",
        ));
    }
    if let Some(role) = request.get("UserSettings").and_then(|settings| settings.get("ExecutionRole")).and_then(Value::as_str) {
        check_role(role)?;
    }
    let record = create_in_domain(service, Kind::Profile, request, &OF_PROFILE)?;
    Ok(json!({"UserProfileArn": record.arn()}))
}

/// `CreateSpace`.
///
/// # Errors
/// An unknown domain or owner, a name that is taken, or settings that cannot be.
pub fn create_space(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    domain_in_service(&service.store, request)?;
    if request.contains_key("OwnershipSettings") != request.contains_key("SpaceSharingSettings") {
        // assumed: the text.
        return Err(Fault::validation("Send OwnershipSettings and SpaceSharingSettings together, or neither."));
    }
    if let Some(owner) = owner_of(request) {
        let wanted = profile_of(request, owner);
        service.store.get(Kind::Profile, &wanted)?.ok_or_else(|| Kind::Profile.not_found(&wanted))?;
    }
    let record = create_in_domain(service, Kind::Space, request, &OF_SPACE)?;
    Ok(json!({"SpaceArn": record.arn()}))
}

/// `UpdateSpace`: what is sent replaces what is there.
///
/// # Errors
/// An unknown space, one that is changing, or one with apps whose settings would change under them.
pub fn update_space(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    let mut record = settled(&service.store, Kind::Space, request)?;
    if request.contains_key("SpaceSettings") && has_apps(&service.store, Kind::Space, request)? {
        // assumed: code and text.
        let text = format!("Unable to update Space [{}] because App(s) are associated with it.", record.arn());
        return Err(Fault::new("ResourceInUse", 400, text));
    }
    for member in ["SpaceSettings", "SpaceDisplayName"] {
        if let Some(value) = request.get(member) {
            record.document.insert(member.to_owned(), value.clone());
        }
    }
    change(service, &mut record, "Updating")?;
    Ok(json!({"SpaceArn": record.arn()}))
}

/// `DescribeDomain`, `DescribeUserProfile`, `DescribeSpace`.
///
/// # Errors
/// An unknown one.
pub fn describe(store: &Store, kind: Kind, request: &Document) -> Result<Value, Fault> {
    find(store, kind, request).map(|record| Value::Object(record.document))
}

/// `DeleteDomain`, `DeleteUserProfile`, `DeleteSpace`.
///
/// # Errors
/// An unknown one, one that is changing, or one that others belong to.
pub fn delete(service: &Notebooks, kind: Kind, request: &Document) -> Result<Value, Fault> {
    let mut record = settled(&service.store, kind, request)?;
    if let Some(others) = others(&service.store, kind, request)? {
        // The words for a profile with apps are AWS's (amazon-sagemaker-feedback#113); assumed: for the others the same.
        let text = format!("Unable to delete {} [{}] because {others}(s) are associated with it.", kind.word(), record.arn());
        return Err(Fault::new("ResourceInUse", 400, text));
    }
    change(service, &mut record, "Deleting")?;
    Ok(json!({}))
}

/// `CreatePresignedDomainUrl`.
///
/// # Errors
/// An unknown domain, profile or space.
pub fn presign(service: &Notebooks, request: &Document) -> Result<Value, Fault> {
    let store = &service.store;
    let domain = domain_in_service(store, request)?;
    let mut arn = find(store, Kind::Profile, request)?.arn();
    if request.contains_key("SpaceName") {
        arn = find(store, Kind::Space, request)?.arn();
    }
    let id = text(&domain.document, "DomainId").to_owned();
    let elsewhere = |token: &str| format!("https://{}/auth?token={token}", host(&id));
    let lifetime = request.get("ExpiresInSeconds").and_then(Value::as_i64).unwrap_or(LINK_SECONDS);
    let ticket = Ticket { arn, visitor: Some(text(request, "UserProfileName").to_owned()) };
    Ok(json!({"AuthorizedUrl": service.links.issue(ticket, lifetime, now_millis(), elsewhere)?}))
}

/// The one that a request is about.
///
/// # Errors
/// When there is none.
pub fn find(store: &Store, kind: Kind, request: &Document) -> Result<Record, Fault> {
    store.get(kind, request)?.ok_or_else(|| kind.not_found(request))
}

/// The domain of a request, if things can be made in it.
///
/// # Errors
/// An unknown domain, or one that is not in service.
pub fn domain_in_service(store: &Store, request: &Document) -> Result<Record, Fault> {
    let domain = find(store, Kind::Domain, request)?;
    if domain.status() == "InService" {
        return Ok(domain);
    }
    // assumed: the text.
    Err(Fault::validation(format!("Domain [{}] is {}. Wait until it is InService.", domain.arn(), domain.status())))
}

/// Who a space belongs to, when it says so.
#[must_use]
pub fn owner_of(space: &Document) -> Option<&str> {
    space.get("OwnershipSettings")?.get("OwnerUserProfileName")?.as_str()
}

/// Members that name this profile of a request's domain.
#[must_use]
pub fn profile_of(request: &Document, name: &str) -> Document {
    let entries = [("DomainId", text(request, "DomainId")), ("UserProfileName", name)];
    entries.into_iter().map(|(member, value)| (member.to_owned(), json!(value))).collect()
}

fn create_in_domain(service: &Notebooks, kind: Kind, request: &Document, members: &[&str]) -> Result<Record, Fault> {
    if service.store.get(kind, request)?.is_some() {
        return Err(kind.taken(request));
    }
    let mut document = Document::new();
    // Profiles have their ARN in Describe under its own name, as spaces have.
    document.insert(format!("{}Arn", kind.word()), json!(kind.arn(request)));
    begin(service, kind, document, request, members)
}

/// Keeps a new one with the members of the request that it shows.
fn begin(service: &Notebooks, kind: Kind, mut document: Document, request: &Document, members: &[&str]) -> Result<Record, Fault> {
    let tags = sent(request)?;
    let now = now_millis();
    for member in members {
        if let Some(value) = request.get(*member) {
            document.insert((*member).to_owned(), value.clone());
        }
    }
    for (member, value) in [("Status", json!("Pending")), ("CreationTime", seconds(now)), ("LastModifiedTime", seconds(now))] {
        document.insert(member.to_owned(), value);
    }
    let record = Record { kind, document, due: Some(service.due(now)) };
    service.store.create(&record, &tags)?;
    Ok(record)
}

/// The one that a request is about, if it may be changed. assumed: code and text.
fn settled(store: &Store, kind: Kind, request: &Document) -> Result<Record, Fault> {
    let record = find(store, kind, request)?;
    match record.status() {
        "InService" | "Failed" => Ok(record),
        status => {
            let text = format!("{} [{}] is {status}. Wait until that is done.", kind.word(), record.arn());
            Err(Fault::new("ResourceInUse", 400, text))
        }
    }
}

fn change(service: &Notebooks, record: &mut Record, status: &str) -> Result<(), Fault> {
    let now = now_millis();
    record.document.insert("Status".to_owned(), json!(status));
    record.document.insert("LastModifiedTime".to_owned(), seconds(now));
    record.due = Some(service.due(now));
    service.store.write(record)
}

/// What keeps a resource from being deleted.
fn others(store: &Store, kind: Kind, request: &Document) -> Result<Option<&'static str>, Fault> {
    let within = |record: &Record| text(&record.document, "DomainId") == text(request, "DomainId");
    let any = |kind: Kind| Ok::<_, Fault>(store.all(kind)?.iter().any(within));
    if kind == Kind::Domain {
        return Ok(if any(Kind::Profile)? {
            Some(Kind::Profile.word())
        } else if any(Kind::Space)? {
            Some(Kind::Space.word())
        } else {
            None
        });
    }
    if has_apps(store, kind, request)? {
        return Ok(Some(Kind::App.word()));
    }
    let name = text(request, "UserProfileName");
    let owns = |space: &Record| within(space) && owner_of(&space.document) == Some(name);
    let owner = kind == Kind::Profile && store.all(Kind::Space)?.iter().any(owns);
    Ok(owner.then(|| Kind::Space.word()))
}

/// Whether a profile or space has apps; deleted ones, which are listed for a while, do not count.
fn has_apps(store: &Store, kind: Kind, request: &Document) -> Result<bool, Fault> {
    let wanted = if kind == Kind::Space { text(request, "SpaceName") } else { text(request, "UserProfileName") };
    Ok(store.all(Kind::App)?.iter().any(|app| {
        text(&app.document, "DomainId") == text(request, "DomainId")
            && owner(&app.document) == (kind, wanted)
            && app.status() != "Deleted"
    }))
}

/// AWS's host for it, under `.localhost`: a name that no resolver sends to another machine (RFC 6761).
fn host(id: &str) -> String {
    format!("{id}.studio.{REGION}.sagemaker.localhost")
}

/// `d-` and twelve characters, as AWS's.
fn domain_id() -> Result<String, Fault> {
    let digits = random_name().map_err(Fault::internal)?;
    Ok(format!("d-{}", &digits[..12]))
}
