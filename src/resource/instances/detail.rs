//! Everything about one instance.

use aws_sdk_ec2::types::{Filter, Instance, InstanceStatus, Volume};
use jiff::Timestamp;

use super::spent::Life;
use super::{image, lease, list, look, network};
use crate::aws::spending::{self, Use};
use crate::aws::{Aws, Mode, fault, machines, price, pricing, time};
use crate::model::show::{money, seconds_between, span};
use crate::model::{Block, Cell, Detail, Failure, ItemId, Safe, command};
use crate::resource::runs;

/// Rows of facts, in order; what AWS does not say is left out.
#[derive(Default)]
struct Facts(Vec<(Safe, Cell)>);

impl Facts {
    fn add(&mut self, name: &str, value: Cell) {
        self.0.push((name.into(), value));
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.add(name, Cell::Text(Safe::line(value)));
        }
    }

    fn block(self, title: &str) -> Option<Block> {
        (!self.0.is_empty()).then(|| Block::Facts { title: title.into(), facts: self.0 })
    }
}

/// What the descriptions of the instance and of all that belongs to it say.
///
/// # Errors
/// When the instance cannot be looked at; what belongs to it is left out when it cannot be.
pub(super) async fn detail(aws: &Aws, id: &ItemId) -> Result<Detail, Failure> {
    let it = look::one(aws, id.as_str()).await?;
    let (machine, image, volumes, status, way) = tokio::join!(
        machines::describe(aws, look::kind(&it)),
        image::by_id(aws, it.image_id().unwrap_or_default()),
        volumes(aws, &it),
        status(aws, &it),
        network::diagnosis(aws, &it),
    );
    let machine = machine.ok().map(|machine| machine.said());
    // What one looks for first comes first; the console's output is the log, below all of it.
    let blocks = [
        first(&it, machine.as_deref(), &way).block("instance"),
        cost(aws, &it, volumes.as_deref()).block("cost"),
        runs::gauges::gauges(aws, &ItemId(look::id(&it).to_owned())).await,
        network(&it).block("network"),
        volumes.as_deref().and_then(|volumes| table(aws, volumes)),
        more(&it, image.as_ref().map_or("", |image| image.name.as_str()), status.as_ref()).block("more"),
        tags(&it),
    ];
    Ok(Detail {
        // Found by its name or token, too, it is its id by which all else knows it.
        id: ItemId(look::id(&it).to_owned()),
        state: look::state(&it),
        blocks: blocks.into_iter().flatten().collect(),
        metrics: Vec::new(),
        log: true,
    })
}

/// What it is called, how it does, where it is and how one gets in.
fn first(it: &Instance, machine: Option<&str>, way: &str) -> Facts {
    let mut facts = Facts::default();
    facts.text("name", look::tag(it, "Name"));
    facts.text("id", it.instance_id());
    facts.text("state", Some(&state(it)));
    facts.text("public", it.public_ip_address());
    facts.text("IPv6", it.ipv6_address());
    facts.text("private", it.private_ip_address());
    if look::name_of_state(it) == "running" {
        facts.text("log in", Some(&format!("s · {}", command(&format!("ssh {}", look::id(it))))));
    }
    if look::name_of_state(it) != "terminated" {
        facts.text("way in", Some(way));
    }
    let kind = look::kind(it);
    facts.text("type", Some(&machine.map_or_else(|| kind.to_owned(), |machine| format!("{kind} · {machine}"))));
    facts
}

/// Its state, and why, where EC2 gives a reason that says more.
fn state(it: &Instance) -> String {
    let word = look::name_of_state(it);
    let why = it.state_reason().and_then(|reason| reason.message()).filter(|why| !why.is_empty() && *why != word);
    // `Client.UserInitiatedShutdown: User initiated shutdown`: the code stands before the words.
    let why = why.map(|why| why.split_once(": ").map_or(why, |(_, words)| words));
    why.map_or_else(|| word.to_owned(), |why| format!("{word}: {why}"))
}

/// What is seldom asked for.
fn more(it: &Instance, image: &str, status: Option<&InstanceStatus>) -> Facts {
    let mut facts = Facts::default();
    if look::name_of_state(it) == "running" {
        facts.text("checks", Some(&checks(status)));
    }
    facts.text("image", Some(format!("{} {image}", it.image_id().unwrap_or_default()).trim()));
    facts.text("changed", it.state_transition_reason());
    facts.text("profile", it.iam_instance_profile().and_then(|profile| profile.arn()));
    facts.text("token", it.client_token());
    facts
}

async fn volumes(aws: &Aws, it: &Instance) -> Option<Vec<Volume>> {
    let of = Filter::builder().name("attachment.instance-id").values(look::id(it)).build();
    let asked = aws.ec2.describe_volumes().filters(of).send().await;
    asked.map_err(|error| tracing::info!("{}", fault::tell("looking at volumes", &error))).ok()?.volumes
}

pub(super) async fn status(aws: &Aws, it: &Instance) -> Option<InstanceStatus> {
    let asked = aws.ec2.describe_instance_status().instance_ids(look::id(it)).send().await;
    let answer = asked.map_err(|error| tracing::info!("{}", fault::tell("looking at the status checks", &error))).ok()?;
    answer.instance_statuses.unwrap_or_default().into_iter().next()
}

/// Whether both of AWS's checks are passed.
pub(super) fn is_well(status: Option<&InstanceStatus>) -> bool {
    let word =
        |of: Option<&aws_sdk_ec2::types::InstanceStatusSummary>| of.and_then(|it| it.status()).map(|it| it.as_str().to_owned());
    let ok = Some("ok".to_owned());
    status.is_some_and(|status| word(status.instance_status()) == ok && word(status.system_status()) == ok)
}

fn checks(status: Option<&InstanceStatus>) -> String {
    let Some(status) = status else { return "not known".to_owned() };
    let word = |of: Option<&aws_sdk_ec2::types::InstanceStatusSummary>| {
        of.and_then(|it| it.status()).map_or_else(|| "not known".to_owned(), |it| it.as_str().to_owned())
    };
    let mut said = format!("system {}, instance {}", word(status.system_status()), word(status.instance_status()));
    for event in status.events() {
        said.push_str("; ");
        said.push_str(event.description().unwrap_or("an event is scheduled"));
    }
    said
}

fn lease(facts: &mut Facts, it: &Instance) {
    let word = look::name_of_state(it);
    let Some(end) = look::lease_end(it) else {
        if !matches!(word, "shutting-down" | "terminated") {
            facts.text("lease", Some("none: it runs until somebody ends it"));
        }
        return;
    };
    let left = lease::left(end, Timestamp::now());
    let said = match word {
        "stopped" | "stopping" => "its timer rests while it is stopped; storage goes on costing".to_owned(),
        "running" | "pending" if left > 0.0 => format!("ends itself in {}", span(left)),
        "running" | "pending" => {
            let end = command(&format!("delete instances {}", look::id(it)));
            format!("is over: it should have ended itself; terminate it (X; {end})")
        }
        _ => return,
    };
    facts.text("lease", Some(&said));
    facts.add("lease ends", Cell::Time(end));
}

fn cost(aws: &Aws, it: &Instance, volumes: Option<&[Volume]>) -> Facts {
    let mut facts = Facts::default();
    let spot = list::is_spot(it);
    let wanted = if spot { Use::SpotInstance } else { Use::Instance };
    let quote = pricing::known(aws, wanted, look::kind(it));
    let storage: Option<f64> = volumes.map(|volumes| volumes.iter().filter_map(|volume| monthly(aws, volume)).sum());
    let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
    let most = if spot { "at most " } else { "" };
    match &quote {
        Some(quote) => facts.text("price", Some(&format!("{most}{}/h{free} ({})", money(quote.per_hour), quote.source))),
        None => facts.text("price", Some(&format!("not known in {}", aws.region()))),
    }
    if spot {
        facts.text("spot", Some(spending::SPOT_PRICE));
    }
    let now = Timestamp::now();
    let since = it.launch_time().map(time::ours);
    let runs = matches!(look::name_of_state(it), "running" | "pending");
    spent(&mut facts, &Life::of(aws, it, now), most);
    lease(&mut facts, it);
    facts.text("bought", Some(if spot { "spot" } else { "on demand" }));
    if let Some(since) = since {
        facts.add("started", Cell::Time(since));
    }
    if let Some(quote) = quote.filter(|_| runs) {
        let month = quote.per_hour * price::MONTH + storage.unwrap_or(0.0);
        facts.text("left on", Some(&format!("{most}{} a month", money(month))));
    }
    if let Some(storage) = storage.filter(|storage| *storage > 0.0) {
        let so_far: f64 = volumes.unwrap_or_default().iter().filter_map(|volume| stored(aws, volume, now)).sum();
        facts.text("storage", Some(&format!("{} a month, also while it is stopped; {} so far", money(storage), money(so_far))));
    }
    facts
}

/// What it has cost by the hour, and of what that is made up.
fn spent(facts: &mut Facts, life: &Life, most: &str) {
    let cost = life.cost();
    if let Some(since) = life.since {
        if cost != Cell::Absent {
            facts.add("so far", cost);
        }
        if let Some(before) = life.told_before() {
            facts.text("before", Some(&format!("{most}{before}")));
            if let Some(per_hour) = life.per_hour {
                facts.add("since start", Cell::Accrues { since, per_hour });
            }
        }
    } else if cost == Cell::Absent {
        facts.text("ran", life.told().as_deref());
    } else {
        facts.add("has cost", cost);
        let said = life.told().map(|said| format!("{most}{said}; its disk comes on top"));
        facts.text("estimate", said.as_deref());
    }
    if life.least {
        facts.text(
            "not counted",
            Some("times that nobody noted: EC2 itself tells only of the last start, and of a stop that somebody asked for"),
        );
    }
}

/// What a volume has cost since it was made.
fn stored(aws: &Aws, volume: &Volume, now: Timestamp) -> Option<f64> {
    let since = time::ours(volume.create_time()?);
    Some(monthly(aws, volume)? / price::MONTH * seconds_between(since, now) / 3600.0)
}

fn network(it: &Instance) -> Facts {
    let mut facts = Facts::default();
    facts.text("zone", Some(look::zone(it)));
    facts.text("host", it.public_dns_name());
    facts.text("vpc", it.vpc_id());
    facts.text("subnet", it.subnet_id());
    let groups = it
        .security_groups()
        .iter()
        .map(|group| format!("{} ({})", group.group_id().unwrap_or_default(), group.group_name().unwrap_or_default()));
    facts.text("groups", Some(&groups.collect::<Vec<_>>().join(", ")));
    facts
}

fn monthly(aws: &Aws, volume: &Volume) -> Option<f64> {
    let rate = price::volume(aws.region(), volume.volume_type()?.as_str())?;
    Some(rate * f64::from(volume.size()?))
}

fn table(aws: &Aws, volumes: &[Volume]) -> Option<Block> {
    let text = |text: &str| Cell::Text(Safe::line(text));
    let row = |volume: &Volume| {
        let at = volume.attachments().first();
        let goes = at.and_then(aws_sdk_ec2::types::VolumeAttachment::delete_on_termination) == Some(true);
        vec![
            text(volume.volume_id().unwrap_or_default()),
            text(at.and_then(|at| at.device()).unwrap_or_default()),
            text(&format!("{} GB", volume.size().unwrap_or_default())),
            text(volume.volume_type().map_or("", |kind| kind.as_str())),
            monthly(aws, volume).map_or(Cell::Absent, Cell::Money),
            text(if goes { "goes with it" } else { "stays" }),
        ]
    };
    let head = ["volume", "at", "size", "type", "a month", "at the end"].map(Safe::line).to_vec();
    let rows: Vec<_> = volumes.iter().map(row).collect();
    (!rows.is_empty()).then(|| Block::Table { title: "volumes".into(), head, rows })
}

fn tags(it: &Instance) -> Option<Block> {
    let mut all: Vec<(Safe, Cell)> = it
        .tags()
        .iter()
        .map(|tag| (Safe::line(tag.key().unwrap_or_default()), Cell::Text(Safe::line(tag.value().unwrap_or_default()))))
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    (!all.is_empty()).then(|| Block::Facts { title: "tags".into(), facts: all })
}
