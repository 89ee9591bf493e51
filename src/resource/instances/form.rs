//! The forms: launch, clone, update.

use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

use aws_sdk_ec2::types::{AttributeBooleanValue, Filter, Instance, InstanceAttributeName, SecurityGroup};

use super::{image, lease, list, look};
use crate::aws::{Aws, Mode, fault, machines, price, time};
use crate::model::length::written;
use crate::model::show::{money, seconds_between};
use crate::model::{Failure, Field, FieldKind, Form, InstanceRecipe, ItemId, Offer, Recipe, Safe, Verb};

/// How long a form waits for what its lists could offer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of the security groups of an account, so many are offered.
const OFFERED: usize = 20;

/// What the project says; a small machine without a GPU where it says nothing of instances.
pub(super) fn wanted(recipe: &Recipe) -> InstanceRecipe {
    recipe.instance.clone().unwrap_or_else(|| InstanceRecipe::small(&recipe.entry_point))
}

/// What the form starts with.
struct Start {
    name: String,
    image: String,
    instance_type: String,
    storage_gb: String,
    lease_seconds: i64,
    spot: bool,
    zone: String,
    subnet: String,
    security_group: String,
    instance_profile: String,
    user: String,
}

/// From the project file.
pub(super) async fn launch(aws: &Aws, recipe: &Recipe) -> Form {
    let from = wanted(recipe);
    let start = Start {
        name: if recipe.name.is_empty() { "experiment".to_owned() } else { recipe.name.clone() },
        image: from.image,
        instance_type: from.instance_type,
        storage_gb: from.storage_gb.map(|size| size.to_string()).unwrap_or_default(),
        lease_seconds: i64::from(from.lease_seconds),
        spot: from.spot,
        zone: from.zone.unwrap_or_default(),
        subnet: from.subnet.unwrap_or_default(),
        security_group: from.security_group.unwrap_or_else(|| "mine".to_owned()),
        instance_profile: from.instance_profile.unwrap_or_default(),
        user: String::new(),
    };
    Box::pin(form(aws, "Launch an instance", Verb::Launch, None, &recipe.framework, start)).await
}

/// From an instance: what it was launched with, as far as EC2 still tells.
///
/// # Errors
/// When the instance cannot be looked at.
pub(super) async fn clone(aws: &Aws, recipe: &Recipe, parent: &ItemId) -> Result<Form, Failure> {
    let it = look::one(aws, parent.as_str()).await?;
    let begun = it.launch_time().map(time::ours);
    let lease = begun.zip(look::lease_end(&it)).map(|(begun, end)| {
        #[expect(clippy::cast_possible_truncation, reason = "leases are days at most")]
        let minutes = (seconds_between(begun, end) / 60.0).round() as i64;
        (minutes * 60).clamp(600, 30 * 86_400)
    });
    let start = Start {
        name: look::name(&it).to_owned(),
        image: it.image_id().unwrap_or_default().to_owned(),
        instance_type: look::kind(&it).to_owned(),
        storage_gb: root_size(aws, &it).await.map(|size| size.to_string()).unwrap_or_default(),
        lease_seconds: lease.unwrap_or_else(|| i64::from(wanted(recipe).lease_seconds)),
        spot: list::is_spot(&it),
        zone: look::zone(&it).to_owned(),
        subnet: it.subnet_id().unwrap_or_default().to_owned(),
        security_group: it.security_groups().first().and_then(|group| group.group_id()).unwrap_or("mine").to_owned(),
        instance_profile: it.iam_instance_profile().and_then(|profile| profile.arn()).unwrap_or_default().to_owned(),
        user: look::tag(&it, look::USER).unwrap_or_default().to_owned(),
    };
    Ok(Box::pin(form(aws, &format!("Clone {}", look::name(&it)), Verb::Clone, Some(parent.clone()), &recipe.framework, start))
        .await)
}

async fn root_size(aws: &Aws, it: &Instance) -> Option<i32> {
    let root = it.root_device_name()?;
    let device = it.block_device_mappings().iter().find(|device| device.device_name() == Some(root))?;
    let asked = aws.ec2.describe_volumes().volume_ids(device.ebs()?.volume_id()?).send().await;
    asked.ok()?.volumes().first()?.size()
}

fn field(name: &'static str, label: &'static str, kind: FieldKind, value: impl Into<String>, help: &'static str) -> Field {
    let value = value.into();
    Field { name: name.into(), label: label.into(), help: help.into(), kind, initial: value.clone(), value }
}

fn choice(options: Vec<String>) -> FieldKind {
    FieldKind::Choice { options: options.into_iter().map(Cow::Owned).collect(), open: true }
}

fn toggle(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

/// The types of the price table: those that people train on.
fn types(aws: &Aws) -> Vec<String> {
    let mut types: Vec<String> = price::ec2_types(aws.region()).into_iter().map(str::to_owned).collect();
    if types.is_empty() {
        types = ["t3.medium", "m6i.2xlarge", "g4dn.xlarge", "g5.xlarge", "g5.2xlarge", "g6.xlarge"].map(str::to_owned).to_vec();
    }
    types
}

/// Those types with what is known of each, in the order of the table: by families.
async fn types_offered(aws: &Aws) -> Result<Vec<Offer>, Failure> {
    let types = types(aws);
    machines::learn(aws, &types).await;
    let offer = |name: String| {
        let machine = machines::known(aws, &name);
        let price =
            price::ec2(aws.region(), &name).map_or_else(|| "–".to_owned(), |price| format!("{}/h", money(price.per_hour)));
        let said = machine.map_or_else(|| "–".to_owned(), |machine| machine.said());
        Offer { about: [name.as_str(), &price, &said].map(Safe::line).to_vec(), also: None, value: name }
    };
    Ok(types.into_iter().map(offer).collect())
}

/// What lists can offer; a list that does not come in time offers nothing, and the form opens all the same.
async fn offered<T>(asked: impl Future<Output = Result<Vec<T>, Failure>>) -> Vec<T> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok(found)) => found,
        Ok(Err(failure)) => {
            tracing::info!("{}", failure.what);
            Vec::new()
        }
        Err(_) => Vec::new(),
    }
}

async fn groups(aws: &Aws) -> Result<Vec<String>, Failure> {
    let asked = aws.ec2.describe_security_groups().max_results(100).send().await;
    let answer = asked.map_err(|error| fault::tell("listing security groups", &error))?;
    let ids = answer.security_groups().iter().filter_map(SecurityGroup::group_id).take(OFFERED);
    Ok(["mine", "default"].into_iter().chain(ids).map(str::to_owned).collect())
}

async fn form(aws: &Aws, title: &str, verb: Verb, parent: Option<ItemId>, framework: &str, start: Start) -> Form {
    let (images, types, zones, groups) = tokio::join!(
        offered(image::offers(aws, framework)),
        offered(types_offered(aws)),
        offered(machines::zones(aws, &start.instance_type)),
        offered(groups(aws))
    );
    // This very machine is where the local region's instances are.
    let address = if aws.mode() == Mode::Local { "127.0.0.1" } else { "" };
    let fields = vec![
        field("name", "name", FieldKind::Line, start.name, "Its tag Name, by which one finds it again."),
        field(
            "image",
            "image",
            FieldKind::Pick { offers: images },
            start.image,
            "What it starts from: a name (* stands for anything), ami-…, or resolve:ssm: with a parameter's path.",
        ),
        field(
            "successor",
            "or successor",
            FieldKind::Toggle,
            "no",
            "If AWS has withdrawn the image: take the one that comes next to it.",
        ),
        field(
            "instance_type",
            "instance type",
            FieldKind::Pick { offers: types },
            start.instance_type,
            "The machine, e.g. g5.2xlarge.",
        ),
        field(
            "storage_gb",
            "disk, GB",
            FieldKind::Line,
            start.storage_gb,
            "Size of its disk (gp3); empty: as the image has it, which is also the least.",
        ),
        field(
            "lease",
            "lease",
            FieldKind::Line,
            written(start.lease_seconds),
            "It ends itself after so long, also when nobody looks, with all that is on it. E.g. 90m, 4h; can be extended.",
        ),
        field(
            "spot",
            "spot",
            FieldKind::Toggle,
            toggle(start.spot),
            "Spare capacity: cheaper, but AWS may take it away with two minutes' notice.",
        ),
        field("zone", "zone", choice(zones), start.zone, "An availability zone; empty: where the type is to be had."),
        field("subnet", "subnet", FieldKind::Line, start.subnet, "subnet-…; empty: the zone's default one."),
        field(
            "security_group",
            "security group",
            choice(if groups.is_empty() { vec!["mine".to_owned(), "default".to_owned()] } else { groups }),
            start.security_group,
            "mine: one that lets in SSH from your address alone is made. Or the VPC's default one, or sg-….",
        ),
        field(
            "address",
            "your address",
            FieldKind::Line,
            address,
            "For a group of mine: from where you connect, as the internet sees it (curl https://checkip.amazonaws.com tells it).",
        ),
        field(
            "instance_profile",
            "instance profile",
            FieldKind::Line,
            start.instance_profile,
            "A name or ARN: programs on it have that profile's role, e.g. to fetch s3:// data themselves. Empty: none.",
        ),
        field("user", "user", FieldKind::Line, start.user, "Who logs in; empty: by the image, ubuntu or ec2-user."),
    ];
    Form { title: Safe::line(title), resource: super::SPEC.id.to_owned(), verb, parent, fields }
}

/// What can be changed of an instance that is there.
///
/// # Errors
/// When the instance cannot be looked at.
pub(super) async fn update(aws: &Aws, target: &ItemId) -> Result<Form, Failure> {
    let it = look::one(aws, target.as_str()).await?;
    let protected = protection(aws, look::id(&it)).await?;
    let help: Cow<'static, str> = match look::lease_end(&it) {
        Some(end) => format!("How long it may live from now on, e.g. 4h. Empty: until {}.", lease::told(end)).into(),
        None => "It was launched without one, and nothing in it would end it.".into(),
    };
    let mut fields = vec![
        field(
            "instance_type",
            "instance type",
            FieldKind::Pick { offers: offered(types_offered(aws)).await },
            look::kind(&it),
            "Another machine for the same disk; only while it is stopped.",
        ),
        field("lease", "lease from now", FieldKind::Line, "", ""),
        field(
            "protection",
            "protection",
            FieldKind::Toggle,
            toggle(protected),
            "While it is on, nobody can terminate it; its lease still does.",
        ),
    ];
    fields[1].help = help;
    let title = Safe::line(&format!("Update {}", look::name(&it)));
    Ok(Form { title, resource: super::SPEC.id.to_owned(), verb: Verb::Update, parent: Some(target.clone()), fields })
}

/// Whether it is protected from being terminated.
///
/// # Errors
/// As the service says.
pub(super) async fn protection(aws: &Aws, id: &str) -> Result<bool, Failure> {
    let call = aws.ec2.describe_instance_attribute().instance_id(id).attribute(InstanceAttributeName::DisableApiTermination);
    let answer = call.send().await.map_err(|error| fault::tell(&format!("looking at the protection of {id}"), &error))?;
    Ok(answer.disable_api_termination().and_then(AttributeBooleanValue::value).unwrap_or(false))
}

/// A filter of one value.
pub(super) fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}
