//! What is where in the metadata of an instance (EC2 User Guide, "Instance metadata categories").

use std::net::{IpAddr, SocketAddr};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::super::Ec2;
use super::super::instance::Instance;
use super::super::keys::LaunchKey;
use super::super::profile;
use super::super::run::check_user_data;
use super::super::wanted::text;
use crate::local::ACCOUNT;
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;
use crate::local::sessions::Holder;

/// The one format of public keys.
const OPENSSH: &str = "openssh-key";

/// What is at a path.
pub struct Found {
    /// Its media type.
    pub kind: &'static str,
    pub bytes: Vec<u8>,
}

/// How an instance was launched to be asked.
pub struct Options {
    pub enabled: bool,
    pub tokens_required: bool,
    tags: bool,
}

/// What is said of an instance, in the order of the listings: by name.
enum Node {
    Folder(Vec<(String, Self)>),
    Text(String),
    UserData(Vec<u8>),
    /// The public key of a launch: listed as `0=NAME`, asked for as `0/openssh-key`.
    Key(LaunchKey),
    /// Made when they are asked for.
    Credentials(String),
}

/// How it may be asked: `MetadataOptions` of its launch.
#[must_use]
pub fn options(instance: &Instance) -> Options {
    let is = |member: &str, wanted: &str| text(&instance.metadata, member) == Some(wanted);
    Options {
        enabled: !is("HttpEndpoint", "disabled"),
        tokens_required: !is("HttpTokens", "optional"),
        tags: is("InstanceMetadataTags", "enabled"),
    }
}

/// What is at a path: a value, or the names below it; with a slash behind it or not, as botocore asks for
/// `placement/availability-zone/`. Only the newest version is told, as `latest`.
///
/// # Errors
/// When the store cannot be read.
pub fn find(ec2: &Ec2, instance: &Instance, address: SocketAddr, path: &str) -> Result<Option<Found>, Fault> {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let inner = decoded.strip_prefix('/').unwrap_or(&decoded);
    let mut node = Node::Folder(vec![("latest".to_owned(), root(ec2, instance, address)?)]);
    for name in inner.strip_suffix('/').unwrap_or(inner).split('/').filter(|_| !inner.is_empty()) {
        let below = match node {
            Node::Folder(below) => below,
            Node::Key(key) => vec![(OPENSSH.to_owned(), Node::Text(key.public))],
            _ => return Ok(None),
        };
        let Some((_, next)) = below.into_iter().find(|(other, _)| other == name) else { return Ok(None) };
        node = next;
    }
    let plain = |text: String| Found { kind: "text/plain", bytes: text.into_bytes() };
    Ok(match node {
        Node::Folder(below) => Some(plain(listed(&below))),
        Node::Text(text) => Some(plain(text)),
        Node::Key(_) => Some(plain(OPENSSH.to_owned())),
        Node::UserData(bytes) => Some(Found { kind: "application/octet-stream", bytes }),
        Node::Credentials(role) => Some(plain(credentials(ec2, instance, role)?)),
    })
}

/// A name a line, without an end of line behind the last; a slash behind those that have names below. Credentials, whose names
/// are read by programs, have none.
fn listed(below: &[(String, Node)]) -> String {
    let line = |(name, node): &(String, Node)| match node {
        Node::Folder(_) => format!("{name}/"),
        Node::Key(key) => format!("{name}={}", key.name),
        _ => name.clone(),
    };
    below.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn folder<const COUNT: usize>(entries: [(&str, Node); COUNT]) -> Node {
    Node::Folder(entries.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
}

fn value(text: impl Into<String>) -> Node {
    Node::Text(text.into())
}

fn root(ec2: &Ec2, instance: &Instance, address: SocketAddr) -> Result<Node, Fault> {
    let document = serde_json::to_string_pretty(&identity(ec2, instance)).map_err(Fault::internal)?;
    let mut entries = vec![
        ("dynamic".to_owned(), folder([("instance-identity", folder([("document", value(document))]))])),
        ("meta-data".to_owned(), Node::Folder(metadata(ec2, instance, address)?)),
    ];
    if let Some(data) = &instance.user_data {
        entries.push(("user-data".to_owned(), Node::UserData(check_user_data(data)?)));
    }
    Ok(Node::Folder(entries))
}

fn metadata(ec2: &Ec2, instance: &Instance, address: SocketAddr) -> Result<Vec<(String, Node)>, Fault> {
    let private = instance.private.to_string();
    let host = instance.private_name(&ec2.place.region);
    let groups = ec2.group_names(&instance.groups)?;
    let interface = instance.interface_document(ec2, &groups);
    let names = |member: &str| {
        let names = groups.as_array().into_iter().flatten().filter_map(|group| text(group, member));
        names.collect::<Vec<_>>().join("\n")
    };
    let mac = text(&interface, "MacAddress").unwrap_or_default().to_owned();
    let public = match address.ip() {
        IpAddr::V4(public) if instance.wants_public => Some(public.to_string()),
        _ => None,
    };
    let mut card = vec![
        ("device-number", value("0")),
        ("interface-id", value(&instance.interface)),
        ("local-hostname", value(&host)),
        ("local-ipv4s", value(&private)),
        ("mac", value(&mac)),
        ("owner-id", value(ACCOUNT)),
        ("security-group-ids", value(names("GroupId"))),
        ("security-groups", value(names("GroupName"))),
        ("subnet-id", value(&instance.subnet)),
        ("vpc-id", value(ec2.place.vpc())),
    ];
    card.extend(public.iter().map(|public| ("public-ipv4s", value(public))));
    let card = Node::Folder(card.into_iter().map(|(name, node)| (name.to_owned(), node)).collect());
    let disks = instance.volumes.iter().enumerate().map(|(number, attached)| {
        let name = if attached.device == instance.root_device { "root".to_owned() } else { format!("ebs{number}") };
        (name, value(&attached.device))
    });
    let disks = std::iter::once(("ami".to_owned(), value(&instance.root_device))).chain(disks).collect();

    let mut entries = vec![
        ("ami-id", value(&instance.image)),
        ("ami-launch-index", value(instance.index.to_string())),
        ("ami-manifest-path", value("(unknown)")),
        ("block-device-mapping", Node::Folder(disks)),
        ("hostname", value(&host)),
        ("instance-action", value("none")),
        ("instance-id", value(&instance.id)),
        ("instance-life-cycle", value(if instance.spot.is_some() { "spot" } else { "on-demand" })),
        ("instance-type", value(&instance.kind)),
        ("local-hostname", value(&host)),
        ("local-ipv4", value(private)),
        ("mac", value(&mac)),
        ("network", folder([("interfaces", folder([("macs", Node::Folder(vec![(mac, card)]))]))])),
        (
            "placement",
            folder([
                ("availability-zone", value(ec2.place.zone(instance.zone))),
                ("availability-zone-id", value(ec2.place.zone_id(instance.zone))),
                ("region", value(&ec2.place.region)),
            ]),
        ),
        ("profile", value("default-hvm")),
        ("reservation-id", value(&instance.reservation)),
        ("security-groups", value(names("GroupName"))),
        ("services", folder([("domain", value("amazonaws.com")), ("partition", value("aws"))])),
    ];
    if let Some(key) = &instance.key {
        entries.push(("public-keys", folder([("0", Node::Key(key.clone()))])));
    }
    if let Some(public) = public {
        // Its public name would be nobody's: names of 127.x are not ours to give.
        entries.push(("public-ipv4", value(public)));
    }
    if let Some(name) = &instance.profile {
        let role = Node::Folder(vec![(name.clone(), Node::Credentials(name.clone()))]);
        entries.push(("iam", folder([("info", value(about(instance, name)?)), ("security-credentials", role)])));
    }
    if options(instance).tags {
        let tags = ec2.store.tags_of(&instance.id)?.into_iter().filter_map(|tag| {
            let pair = (text(&tag, "Key")?.to_owned(), value(tag["Value"].as_str().unwrap_or_default()));
            // assumed: tags that cannot be names of paths are left out; AWS refuses to show any then.
            (!pair.0.contains(['/', ' '])).then_some(pair)
        });
        entries.push(("tags", folder([("instance", Node::Folder(tags.collect()))])));
    }
    let mut entries: Vec<_> = entries.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

/// `iam/info`.
fn about(instance: &Instance, name: &str) -> Result<String, Fault> {
    let about = json!({
        "Code": "Success",
        "LastUpdated": seconds(instance.up.unwrap_or(instance.launched) / 1000),
        "InstanceProfileArn": profile::arn(name),
        "InstanceProfileId": profile::id(name),
    });
    serde_json::to_string_pretty(&about).map_err(Fault::internal)
}

/// What the role signs with.
fn credentials(ec2: &Ec2, instance: &Instance, role: String) -> Result<String, Fault> {
    let holder = Holder { role, session: instance.id.clone() };
    let session = ec2.neighbours.sessions.of(&holder, now_millis() / 1000).map_err(Fault::internal)?;
    let told = json!({
        "Code": "Success",
        "LastUpdated": seconds(session.issued),
        "Type": "AWS-HMAC",
        "AccessKeyId": session.credentials.access_key_id,
        "SecretAccessKey": session.credentials.secret_access_key,
        "Token": session.token,
        "Expiration": seconds(session.expires),
    });
    serde_json::to_string_pretty(&told).map_err(Fault::internal)
}

/// The instance identity document (EC2 User Guide, "Instance identity documents for Amazon EC2 instances").
fn identity(ec2: &Ec2, instance: &Instance) -> Value {
    json!({
        "accountId": ACCOUNT,
        "architecture": instance.architecture,
        "availabilityZone": ec2.place.zone(instance.zone),
        "billingProducts": null,
        "devpayProductCodes": null,
        "marketplaceProductCodes": null,
        "imageId": instance.image,
        "instanceId": instance.id,
        "instanceType": instance.kind,
        "kernelId": null,
        "pendingTime": seconds(instance.launched / 1000),
        "privateIp": instance.private.to_string(),
        "ramdiskId": null,
        "region": ec2.place.region,
        "version": "2017-09-30",
    })
}

/// Seconds since the epoch as these documents write times.
fn seconds(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
