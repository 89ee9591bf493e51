//! What of `[training]` goes beyond the ordinary: spot, checkpoints, VPC, keys, distribution.

use super::super::sheet::Section;
use crate::model::Extras;

/// 28 days, the longest that `CreateTrainingJob` takes for run and waiting together.
const LONGEST: i64 = 28 * 86_400;
/// The longest that a warm pool is kept: an hour (`KeepAlivePeriodInSeconds`).
const WARMEST: i64 = 3600;
/// What `distribution` may be.
const DISTRIBUTIONS: [&str; 3] = ["torchrun", "mpi", "smddp"];

/// Reads the keys of `[training]` that most projects leave out.
pub(super) fn read(section: &Section) -> Extras {
    let length = |key, most| section.seconds(key, 1..=most).and_then(|seconds| u32::try_from(seconds).ok());
    let spot = section.flag("spot");
    let (subnets, groups) = (section.list("subnets"), section.list("security_groups"));
    let distribution = section.one_of("distribution", &DISTRIBUTIONS);
    // A key whose own value is wrong has been told; what would follow from it is not told, too.
    let sound = |key: &str, read: bool| read || !section.has(key);
    let spot_is_sound = sound("spot", spot.is_some());
    let vpc_is_sound = sound("subnets", subnets.is_some()) && sound("security_groups", groups.is_some());
    let distribution_is_sound = sound("distribution", distribution.is_some());
    let extras = Extras {
        spot: spot.unwrap_or_default(),
        max_wait_seconds: length("max_wait", LONGEST),
        checkpoints: section.text("checkpoints"),
        keep_alive_seconds: length("keep_alive", WARMEST),
        subnets: subnets.unwrap_or_default(),
        security_groups: groups.unwrap_or_default(),
        volume_kms_key: section.text("volume_kms_key"),
        output_kms_key: section.text("output_kms_key"),
        network_isolation: section.flag("network_isolation").unwrap_or_default(),
        encrypt_traffic: section.flag("encrypt_traffic").unwrap_or_default(),
        distribution,
        processes_per_host: section.whole("processes_per_host", 1..=64).and_then(|number| u32::try_from(number).ok()),
    };
    if spot_is_sound && extras.max_wait_seconds.is_some() && !extras.spot {
        section.wrong("max_wait", "is for spot capacity only; add spot = true, or remove the line");
    }
    if extras.checkpoints.as_deref().is_some_and(|place| !place.starts_with("s3://")) {
        section.wrong("checkpoints", "must be a place in S3, for instance \"s3://my-bucket/checkpoints/\"");
    }
    if vpc_is_sound && extras.subnets.is_empty() != extras.security_groups.is_empty() {
        let key = if extras.subnets.is_empty() { "security_groups" } else { "subnets" };
        section.wrong(key, "needs its other half: a VPC is named by subnets and security_groups together");
    }
    if distribution_is_sound && extras.processes_per_host.is_some() && extras.distribution.as_deref() != Some("mpi") {
        section.wrong("processes_per_host", "is for distribution = \"mpi\" only");
    }
    extras
}
