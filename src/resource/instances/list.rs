//! The list: all instances of the account in the region, ours and others'.

use std::collections::HashMap;

use aws_sdk_ec2::types::{Filter, Instance, InstanceLifecycleType};
use jiff::{SignedDuration, Timestamp};

use super::{lease, look, spent};
use crate::aws::spending::Use;
use crate::aws::{Aws, fault, machines, price, pricing, time};
use crate::model::{Cell, Failure, Item, ItemId, Page, Safe};

/// For how long what has ended stays in the list.
const FADES: SignedDuration = SignedDuration::from_hours(1);

/// Lists them; what their types are and what their storage costs is asked beside.
pub(super) async fn list(aws: &Aws, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let mut instances = machines::instances(aws, Vec::new()).await?;
    let now = Timestamp::now();
    let faded = |it: &Instance| {
        look::name_of_state(it) == "terminated" && look::ended(it).is_some_and(|ended| now.duration_since(ended) > FADES)
    };
    instances.retain(|it| !faded(it));
    let types: Vec<String> = instances.iter().map(|it| look::kind(it).to_owned()).collect();
    let resting = instances.iter().filter(|it| look::name_of_state(it) == "stopped").map(|it| look::id(it).to_owned()).collect();
    let ((), storage) = tokio::join!(machines::learn(aws, &types), storage(aws, resting));
    let items = instances.iter().map(|it| item(aws, it, now, storage.get(look::id(it)).copied())).collect();
    page(Page { items, whole: true, more: false });
    Ok(())
}

/// What the volumes of each of these cost in an hour, as far as it is known.
async fn storage(aws: &Aws, ids: Vec<String>) -> HashMap<String, f64> {
    let mut cost = HashMap::new();
    // AWS takes 200 values a filter.
    for some in ids.chunks(200) {
        let of = Filter::builder().name("attachment.instance-id").set_values(Some(some.to_vec())).build();
        let volumes = match aws.ec2.describe_volumes().filters(of).send().await {
            Ok(answer) => answer.volumes.unwrap_or_default(),
            Err(error) => {
                tracing::info!("{}", fault::tell("looking at volumes", &error));
                return cost;
            }
        };
        for volume in volumes {
            let rate = volume.volume_type().and_then(|kind| price::volume(aws.region(), kind.as_str()));
            let month = rate.zip(volume.size()).map(|(rate, size)| rate * f64::from(size));
            let of = volume.attachments().first().and_then(|at| at.instance_id());
            if let (Some(month), Some(of)) = (month, of) {
                *cost.entry(of.to_owned()).or_default() += month / price::MONTH;
            }
        }
    }
    cost
}

/// What it costs in an hour while it runs as that type.
pub(super) fn hourly(aws: &Aws, instance: &Instance, kind: &str) -> Option<f64> {
    // What runs on spare capacity has no list price.
    let wanted = if is_spot(instance) { Use::SpotInstance } else { Use::Instance };
    pricing::known(aws, wanted, kind).map(|quote| quote.per_hour)
}

pub(super) fn is_spot(instance: &Instance) -> bool {
    instance.instance_lifecycle() == Some(&InstanceLifecycleType::Spot)
}

fn item(aws: &Aws, it: &Instance, now: Timestamp, storage: Option<f64>) -> Item {
    let state = look::state(it);
    let text = |text: &str| if text.is_empty() { Cell::Absent } else { Cell::Text(Safe::line(text)) };
    let runs = matches!(look::name_of_state(it), "pending" | "running");
    let per_hour = hourly(aws, it, look::kind(it)).filter(|_| runs);
    // Of the last start: a stopped instance that is started again has a new one.
    let since = it.launch_time().map(time::ours);
    let left = look::lease_end(it).filter(|_| look::name_of_state(it) != "terminated");
    let left = left.map(|end| Cell::Seconds(lease::left(end, now)));
    let gpu = machines::known(aws, look::kind(it)).and_then(|machine| machine.gpu);
    let address = it.public_ip_address().or(it.private_ip_address()).unwrap_or_default();
    let cells = vec![
        text(look::name(it)),
        Cell::State(state.clone()),
        text(look::kind(it)),
        text(look::zone(it)),
        since.filter(|_| runs).map_or(Cell::Absent, Cell::Since),
        per_hour.or(storage).map_or(Cell::Absent, Cell::Money),
        spent::Life::of(aws, it, now).cost(),
        left.unwrap_or(Cell::Absent),
        text(look::tag(it, look::OWNER).unwrap_or_default()),
        text(&gpu.unwrap_or_default()),
        text(address),
    ];
    Item { id: ItemId(look::id(it).to_owned()), state, cells, container: true, per_hour }
}
