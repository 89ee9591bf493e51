//! EC2's instance types: what they are, where they are offered, and which name was meant. What was asked once is kept for the
//! process: types do not change.

use std::collections::HashMap;

use aws_sdk_ec2::types::{Filter, Instance, InstanceType, InstanceTypeInfo, LocationType, Reservation};

use super::{Aws, fault, instance_types};
use crate::model::{Failure, FailureKind};

const MEMO: &str = "machines";

/// What one instance type is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// E.g. `g5.2xlarge`.
    pub name: String,
    pub vcpus: u32,
    pub memory_mib: i64,
    /// E.g. `1 × NVIDIA A10G, 22.5 GiB`; absent without an accelerator.
    pub gpu: Option<String>,
    /// E.g. `x86_64`.
    pub architectures: Vec<String>,
    /// Of the Nitro system: all but the oldest.
    pub nitro: bool,
}

impl Machine {
    /// `8 vCPU · 32 GiB · 1 × NVIDIA A10G, 22.4 GiB`
    #[must_use]
    pub fn said(&self) -> String {
        let gpu = self.gpu.as_ref().map_or_else(String::new, |gpu| format!(" · {gpu}"));
        format!("{} vCPU · {} GiB{gpu}", self.vcpus, gibibytes(self.memory_mib))
    }
}

#[derive(Default)]
struct Known {
    machines: HashMap<String, Machine>,
    zones: HashMap<String, Vec<String>>,
}

/// What EC2 says of a type.
///
/// # Errors
/// `Invalid` with the nearest name when there is no such type in the region; else as the service says.
pub async fn describe(aws: &Aws, name: &str) -> Result<Machine, Failure> {
    if let Some(machine) = known(aws, name) {
        return Ok(machine);
    }
    let asked = aws.ec2.describe_instance_types().instance_types(InstanceType::from(name)).send().await;
    let answer = asked.map_err(|error| match fault::tell("looking at the instance type", &error) {
        // `InvalidInstanceType`, or `InvalidParameterValue` for what is not even shaped like one.
        failure if failure.kind == FailureKind::Invalid => unknown(aws, name),
        failure => failure,
    })?;
    let machine = answer.instance_types().first().and_then(read).ok_or_else(|| unknown(aws, name))?;
    aws.memo(MEMO, |known: &mut Known| known.machines.insert(name.to_owned(), machine.clone()));
    Ok(machine)
}

/// What is known of a type without asking.
#[must_use]
pub fn known(aws: &Aws, name: &str) -> Option<Machine> {
    aws.memo(MEMO, |known: &mut Known| known.machines.get(name).cloned())
}

/// Asks for all of these that are not known yet, a hundred at once; what cannot be told stays unknown.
pub async fn learn(aws: &Aws, names: &[String]) {
    let mut new: Vec<&String> = names.iter().filter(|name| !name.is_empty() && known(aws, name).is_none()).collect();
    new.sort();
    new.dedup();
    for some in new.chunks(100) {
        // By a filter: asked for by its name, one that a region does not have makes it refuse them all.
        let wanted = some.iter().fold(Filter::builder().name("instance-type"), |filter, name| filter.values(name.as_str()));
        let Ok(answer) = aws.ec2.describe_instance_types().filters(wanted.build()).send().await else { return };
        aws.memo(MEMO, |known: &mut Known| {
            let machines = answer.instance_types().iter().filter_map(read);
            known.machines.extend(machines.map(|machine| (machine.name.clone(), machine)));
        });
    }
}

/// All instances that pass the filters, page by page.
///
/// # Errors
/// As the service says.
pub async fn instances(aws: &Aws, filters: Vec<Filter>) -> Result<Vec<Instance>, Failure> {
    let (mut found, mut token) = (Vec::new(), None::<String>);
    loop {
        let call = aws.ec2.describe_instances().max_results(1000).set_next_token(token.clone());
        let call = if filters.is_empty() { call } else { call.set_filters(Some(filters.clone())) };
        let page = call.send().await.map_err(|error| fault::tell("listing instances", &error))?;
        found.extend(
            page.reservations.unwrap_or_default().into_iter().flat_map(|it: Reservation| it.instances.unwrap_or_default()),
        );
        if page.next_token.is_none() || page.next_token == token {
            return Ok(found);
        }
        token = page.next_token;
    }
}

/// The zones of the region that offer a type, by name; empty when none does.
///
/// # Errors
/// As the service says.
pub async fn zones(aws: &Aws, name: &str) -> Result<Vec<String>, Failure> {
    if let Some(zones) = aws.memo(MEMO, |known: &mut Known| known.zones.get(name).cloned()) {
        return Ok(zones);
    }
    let wanted = Filter::builder().name("instance-type").values(name).build();
    let call = aws.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone).filters(wanted);
    let answer = call.send().await.map_err(|error| fault::tell("asking which zones have the instance type", &error))?;
    let offers = answer.instance_type_offerings().iter();
    let mut zones: Vec<String> = offers.filter_map(|offer| offer.location().map(str::to_owned)).collect();
    zones.sort();
    aws.memo(MEMO, |known: &mut Known| known.zones.insert(name.to_owned(), zones.clone()));
    Ok(zones)
}

/// Whether the SDK knows a type of that name; EC2 may have newer ones.
#[must_use]
pub fn is_known(name: &str) -> bool {
    InstanceType::values().contains(&name)
}

/// Looks like one: a family, a dot and a size, e.g. `g5.2xlarge`.
#[must_use]
pub fn is_formed(name: &str) -> bool {
    let part = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    name.split_once('.').is_some_and(|(family, size)| part(family) && part(size))
}

/// The type whose name is nearest, if any is near enough to be meant; SageMaker's `ml.` is taken off first.
#[must_use]
pub fn nearest(typed: &str) -> Option<&'static str> {
    let typed = typed.trim().trim_start_matches("ml.");
    let (family, size) = typed.split_once('.')?;
    // A mistake in the family or in the size, not in both: `g5.2large` is g5.2xlarge, not g6.large.
    let far = |name: &&'static str| {
        let (other, there) = name.split_once('.').unwrap_or_default();
        let (a, b) = (instance_types::distance(family, other), instance_types::distance(size, there));
        (a + b, a.min(b))
    };
    let best = InstanceType::values().iter().copied().min_by_key(far)?;
    (far(&best).0 <= 2).then_some(best)
}

/// What to say of a type that does not exist here.
#[must_use]
pub fn unknown(aws: &Aws, name: &str) -> Failure {
    let hint = match nearest(name) {
        Some(near) if near != name => format!("did you mean {near}?"),
        _ => "take one that it has, e.g. g4dn.xlarge or m6i.2xlarge".to_owned(),
    };
    Failure::new(FailureKind::Invalid, format!("{} has no instance type '{name}'", aws.region()), hint)
}

fn read(info: &InstanceTypeInfo) -> Option<Machine> {
    let vcpus =
        info.v_cpu_info().and_then(aws_sdk_ec2::types::VCpuInfo::default_v_cpus).and_then(|count| u32::try_from(count).ok());
    let architectures = info.processor_info().map(aws_sdk_ec2::types::ProcessorInfo::supported_architectures).unwrap_or_default();
    Some(Machine {
        name: info.instance_type()?.as_str().to_owned(),
        vcpus: vcpus.unwrap_or_default(),
        memory_mib: info.memory_info().and_then(aws_sdk_ec2::types::MemoryInfo::size_in_mib).unwrap_or_default(),
        gpu: gpu(info),
        nitro: info.hypervisor().is_none_or(|kind| kind.as_str() == "nitro"),
        architectures: architectures.iter().map(|one| one.as_str().to_owned()).collect(),
    })
}

fn gpu(info: &InstanceTypeInfo) -> Option<String> {
    let all = info.gpu_info()?;
    let first = all.gpus().first()?;
    let total = all.total_gpu_memory_in_mib().map_or_else(String::new, |mib| format!(", {} GiB", gibibytes(i64::from(mib))));
    let (maker, name) = (first.manufacturer().unwrap_or_default(), first.name().unwrap_or_default());
    Some(format!("{} × {maker} {name}{total}", first.count().unwrap_or(1)))
}

/// With one digit behind the point, where it is not whole.
fn gibibytes(mib: i64) -> String {
    if mib % 1024 == 0 {
        return (mib / 1024).to_string();
    }
    #[expect(clippy::cast_precision_loss, reason = "sizes of memory")]
    let size = mib as f64 / 1024.0;
    format!("{size:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood() {
        let table = [
            ("g5.2xlage", Some("g5.2xlarge")),
            ("ml.g5.2xlarge", Some("g5.2xlarge")),
            ("g4d.xlarge", Some("g4ad.xlarge")),
            ("t3.mediun", Some("t3.medium")),
            ("nonsense", None),
            ("quite.different", None),
        ];
        for (typed, meant) in table {
            assert_eq!(nearest(typed), meant, "{typed}");
        }
        assert!(is_formed("u-24tb1.112xlarge") && !is_formed("ml.g5.xlarge") && !is_formed("g5"));
    }
}
