//! `RunInstances`: what is asked for is checked as far as it can be, then all of it is written at once.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Ec2;
use super::blocks::{self, Block};
use super::groups;
use super::ids::fresh;
use super::images::{self, Image};
use super::instance::{Attached, Instance, Shutdown, Spot, State};
use super::keys::{self, LaunchKey};
use super::kinds::{self, Kind};
use super::limits;
use super::machine::Step;
use super::options;
use super::place::Place;
use super::profile;
use super::store::Kept;
use super::tags::{self, Tags};
use super::templates;
use super::volumes::Volume;
use super::wanted::{check_dry_run, flag, invalid, list, number, text};
use crate::local::ACCOUNT;
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;

mod unoffered;
mod whereto;

/// The longest `ClientToken` (EC2 API Reference, "Ensuring idempotency").
const TOKEN: usize = 64;
/// The most user data, before base64 (EC2 User Guide).
const USER_DATA: usize = 16 * 1024;

/// A `ClientToken` that was used.
#[derive(Debug, Serialize, Deserialize)]
pub struct Token {
    text: String,
    /// SHA-256 of what was asked for with it.
    asked: String,
    pub instances: Vec<String>,
}

impl Kept for Token {
    const KIND: &'static str = "token";

    fn id(&self) -> &str {
        &self.text
    }
}

/// A launch that may be made.
struct Launch<'a> {
    request: &'a Value,
    image: &'static Image,
    kind: &'static Kind,
    zone: char,
    subnet: String,
    wants_public: bool,
    fixed_address: Option<Ipv4Addr>,
    groups: Vec<String>,
    blocks: Vec<Block>,
    tags: Tags,
    shutdown: Shutdown,
    user_data: Option<String>,
    key: Option<LaunchKey>,
    /// Name of the instance profile.
    profile: Option<String>,
    /// What its spot requests are like, when it is a spot launch; they have no ids yet.
    spot: Option<Spot>,
    least: u32,
    most: u32,
}

/// Launches, or answers what an earlier call with the same `ClientToken` launched.
///
/// # Errors
/// As AWS answers; see the checks.
pub fn run(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let token = text(request, "ClientToken");
    let asked = digest(request);
    if let Some(token) = token {
        if token.len() > TOKEN || !token.is_ascii() {
            return Err(invalid(format!(
                "Value ({token}) for parameter clientToken is invalid. A client token has up to {TOKEN} ASCII characters."
            )));
        }
        if let Some(earlier) = ec2.store.get::<Token>(token)? {
            return repeat(ec2, request, &earlier, &asked);
        }
    }
    let whole = templates::filled(ec2, request)?;
    let launch = check(ec2, &whole.request)?;
    check_dry_run(request)?;
    let count = limits::fitting(ec2, launch.kind, launch.spot.is_some(), launch.least, launch.most)?;
    let made = make(ec2, &launch, token, count)?;
    let ids: Vec<String> = made.iter().map(|(instance, _)| instance.id.clone()).collect();
    ec2.store.change(|change| {
        for (instance, volumes) in &made {
            change.put(instance)?;
            launch.tags.apply(change, &instance.id, "instance")?;
            for (key, value) in &whole.tags {
                change.tag(&instance.id, key, value)?;
            }
            launch.tags.apply(change, &instance.interface, "network-interface")?;
            if let Some(request) = instance.spot_request() {
                launch.tags.apply(change, request, "spot-instances-request")?;
            }
            for volume in volumes {
                change.put(volume)?;
                launch.tags.apply(change, &volume.id, "volume")?;
            }
        }
        token.map_or(Ok(()), |token| change.put(&Token { text: token.to_owned(), asked, instances: ids.clone() }))
    })?;
    for id in &ids {
        ec2.begin(id, Step::Start);
    }
    reservation(ec2, &ids)
}

/// The same request again gives the same instances as they are now (EC2 API Reference, "Ensuring idempotency").
fn repeat(ec2: &Ec2, request: &Value, earlier: &Token, asked: &str) -> Result<Value, Fault> {
    if earlier.asked != asked {
        let text = "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).";
        return Err(Fault::new("IdempotentParameterMismatch", 400, text));
    }
    check_dry_run(request)?;
    let there = earlier.instances.iter().map(|id| ec2.store.get::<Instance>(id)).collect::<Result<Vec<_>, _>>()?;
    if there.iter().flatten().all(|instance| instance.state == State::Terminated) {
        let text = "The request to launch an instance uses the same client token as a previous request for which the instance has been terminated.";
        return Err(Fault::new("IdempotentInstanceTerminated", 400, text));
    }
    reservation(ec2, &earlier.instances)
}

/// What tells two requests apart: all but the token itself and the question whether one might.
fn digest(request: &Value) -> String {
    let mut asked = request.as_object().cloned().unwrap_or_default();
    asked.remove("ClientToken");
    asked.remove("DryRun");
    hex::encode(Sha256::digest(Value::Object(asked).to_string()))
}

/// The answer: a reservation with its instances, whether or not others see them by now.
fn reservation(ec2: &Ec2, ids: &[String]) -> Result<Value, Fault> {
    let mut shown = Vec::new();
    let mut reservation = String::new();
    for id in ids {
        let Some(instance) = ec2.store.get::<Instance>(id)? else { continue };
        let mut document = instance.document(ec2)?;
        for member in ["ReservationId", "OwnerId"] {
            document.as_object_mut().and_then(|members| members.remove(member));
        }
        reservation = instance.reservation;
        shown.push(document);
    }
    Ok(json!({"ReservationId": reservation, "OwnerId": ACCOUNT, "Groups": [], "Instances": shown}))
}

fn check<'a>(ec2: &Ec2, request: &'a Value) -> Result<Launch<'a>, Fault> {
    let (least, most) = counts(request)?;
    unoffered::check(request)?;
    let image = images::named(&ec2.place, text(request, "ImageId"))?;
    // assumed: without a type AWS takes m1.small, which is long gone.
    let kind = kinds::named(text(request, "InstanceType").unwrap_or("m1.small"))?;
    if !kind.runs(image.architecture) {
        return Err(invalid(format!(
            "The architecture '{}' of the specified instance type does not match the architecture '{}' of the specified AMI. Specify an instance type and an AMI that have matching architectures, and try again. You can use 'describe-instance-types' or 'describe-images' to discover the architecture of the instance type or AMI.",
            kind.architecture(),
            image.architecture
        )));
    }
    let blocks = blocks::of_launch(&ec2.place, image, request)?;
    let whereto = whereto::read(ec2, request)?;
    let groups = groups::for_launch(ec2, &whereto.groups, &whereto.group_names)?;
    let tags = tags::of_request(request, &["instance", "volume", "network-interface", "spot-instances-request"])?;
    let user_data = text(request, "UserData").map(str::to_owned);
    if let Some(data) = &user_data {
        check_user_data(data)?;
    }
    let shutdown = match text(request, "InstanceInitiatedShutdownBehavior") {
        Some("terminate") => Shutdown::Terminate,
        _ => Shutdown::Stop,
    };
    let key = keys::for_launch(ec2, request)?;
    options::check_hops(&request["MetadataOptions"])?;
    let profile = profile::of_request(request)?;
    let spot = limits::spot(ec2, request, kind)?;
    let zone = limits::zone(&ec2.place, kind, whereto.zone)?;
    if whereto.address.is_some() && most > 1 {
        let text = "The parameter privateIpAddress cannot be used with more than one instance";
        return Err(Fault::new("InvalidParameterCombination", 400, text));
    }
    Ok(Launch {
        request,
        image,
        kind,
        zone,
        subnet: ec2.place.subnet(zone),
        wants_public: whereto.wants_public,
        fixed_address: whereto.address,
        groups,
        blocks,
        tags,
        // assumed: one-time spot instances are never stopped, from inside neither.
        shutdown: if spot.as_ref().is_some_and(|spot| !spot.persistent) { Shutdown::Terminate } else { shutdown },
        user_data,
        key,
        profile,
        spot,
        least,
        most,
    })
}

/// assumed: the texts; the code is documented.
fn counts(request: &Value) -> Result<(u32, u32), Fault> {
    let count = |member: &str| {
        let value = number(request, member).unwrap_or_default();
        u32::try_from(value).ok().filter(|value| (1..=1000).contains(value)).ok_or_else(|| {
            invalid(format!("Value ({value}) for parameter {member} is invalid. Expected an integer from 1 to 1000."))
        })
    };
    let (least, most) = (count("MinCount")?, count("MaxCount")?);
    if least > most {
        return Err(Fault::new(
            "InvalidParameterCombination",
            400,
            format!("MinCount ({least}) may not exceed MaxCount ({most})"),
        ));
    }
    Ok((least, most))
}

/// User data arrives in base64.
///
/// # Errors
/// `InvalidUserData.Malformed`, `InvalidParameterValue` for too much.
pub fn check_user_data(data: &str) -> Result<Vec<u8>, Fault> {
    use base64::Engine as _;
    let plain: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(plain);
    let bytes = bytes.map_err(|_| Fault::new("InvalidUserData.Malformed", 400, "Invalid BASE64 encoding of user data."))?;
    if bytes.len() > USER_DATA {
        return Err(invalid(format!("User data is limited to {USER_DATA} bytes")));
    }
    Ok(bytes)
}

fn make(ec2: &Ec2, launch: &Launch<'_>, token: Option<&str>, count: u32) -> Result<Vec<(Instance, Vec<Volume>)>, Fault> {
    let (now, visible, reservation) = (now_millis(), ec2.visible_from(), fresh("r")?);
    let mut taken: Vec<Ipv4Addr> = ec2
        .store
        .all::<Instance>()?
        .into_iter()
        .filter(|other| other.state != State::Terminated)
        .map(|other| other.private)
        .collect();
    let mut made = Vec::new();
    for index in 0..count {
        let id = fresh("i")?;
        let private = match launch.fixed_address {
            Some(address) if taken.contains(&address) => {
                return Err(Fault::new("InvalidIPAddress.InUse", 400, format!("Address {address} is in use.")));
            }
            Some(address) => address,
            None => free_address(launch.zone, &taken)?,
        };
        taken.push(private);
        let mut volumes = Vec::new();
        for block in &launch.blocks {
            volumes.push(Volume {
                id: fresh("vol")?,
                zone: launch.zone,
                size: block.size,
                kind: block.kind.clone(),
                iops: block.iops,
                throughput: block.throughput,
                encrypted: block.encrypted,
                snapshot: block.snapshot.clone(),
                created: now,
                visible,
                attached: Some((id.clone(), block.device.clone(), block.goes_along)),
            });
        }
        let attached = volumes.iter().zip(&launch.blocks).map(|(volume, block)| Attached {
            device: block.device.clone(),
            volume: volume.id.clone(),
            goes_along: block.goes_along,
        });
        let spot = launch
            .spot
            .as_ref()
            .map(|spot| Ok::<_, Fault>(Spot { request: fresh("sir")?.replace("sir-0", "sir-")[..12].to_owned(), ..spot.clone() }))
            .transpose()?;
        let instance = Instance {
            reservation: reservation.clone(),
            token: token.map(str::to_owned),
            index: usize::try_from(index).unwrap_or_default(),
            created: now,
            visible,
            launched: now,
            up: None,
            ended: None,
            image: launch.image.id(&ec2.place),
            kind: launch.kind.name().to_owned(),
            zone: launch.zone,
            subnet: launch.subnet.clone(),
            interface: fresh("eni")?,
            private,
            wants_public: launch.wants_public,
            public: None,
            groups: launch.groups.clone(),
            volumes: attached.collect(),
            root_device: launch.image.root_device().to_owned(),
            architecture: launch.image.architecture.to_owned(),
            state: State::Pending,
            reason: Some(("pending".to_owned(), "pending".to_owned())),
            transition: String::new(),
            shutdown: launch.shutdown,
            protected: flag(launch.request, "DisableApiTermination").unwrap_or(false),
            stop_protected: flag(launch.request, "DisableApiStop").unwrap_or(false),
            checks_source: true,
            monitored: launch.request["Monitoring"]["Enabled"] == true,
            user_data: launch.user_data.clone(),
            key: launch.key.clone(),
            profile: launch.profile.clone(),
            metadata: metadata(launch.request),
            spot,
            boots: 0,
            id,
        };
        made.push((instance, volumes));
    }
    Ok(made)
}

/// What was asked of the metadata service; deep learning images and all newer ones want tokens (`ImdsSupport` v2.0).
fn metadata(request: &Value) -> Value {
    let asked = &request["MetadataOptions"];
    json!({
        "State": "applied",
        "HttpTokens": text(asked, "HttpTokens").unwrap_or("required"),
        "HttpPutResponseHopLimit": number(asked, "HttpPutResponseHopLimit").unwrap_or(2),
        "HttpEndpoint": text(asked, "HttpEndpoint").unwrap_or("enabled"),
        "HttpProtocolIpv6": text(asked, "HttpProtocolIpv6").unwrap_or("disabled"),
        "InstanceMetadataTags": text(asked, "InstanceMetadataTags").unwrap_or("disabled"),
    })
}

/// A free address of a zone's subnet; of the lowest AWS keeps four, and the highest.
fn free_address(zone: char, taken: &[Ipv4Addr]) -> Result<Ipv4Addr, Fault> {
    let first = u32::from(Place::first_address(zone));
    let digits = fresh("ip")?;
    let start = u32::from_str_radix(&digits[4..9], 16).unwrap_or_default();
    let all = (0..4091).map(|step| Ipv4Addr::from(first + 4 + (start + step) % 4091));
    all.into_iter().find(|address| !taken.contains(address)).ok_or_else(|| {
        Fault::new(
            "InsufficientFreeAddressesInSubnet",
            400,
            "There are not enough free addresses in the subnet to satisfy the request.",
        )
    })
}

/// The first item of `NetworkInterfaces`, which describes the instance's only interface.
fn interface(request: &Value) -> Option<&Value> {
    list(request, "NetworkInterfaces").first()
}
