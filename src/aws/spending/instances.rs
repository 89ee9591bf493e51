//! The same look for EC2, whose quotas are in vCPUs and by kinds of families.

use super::{OFFERED, Spending, Use};
use crate::aws::machines::Machine;
use crate::aws::quota::{self, Limit};
use crate::aws::{Aws, Mode, instance_types, price, pricing, usage};
use crate::model::show::money;
use crate::model::{Problem, Quota, Safe, Unit};

/// The name of the quota that a type counts against (EC2 User Guide, "EC2 instance type quotas").
pub(super) fn quota(instance_type: &str, spot: bool) -> String {
    let family = instance_type.split('.').next().unwrap_or_default();
    let letters: String = family.chars().take_while(char::is_ascii_alphabetic).collect();
    let kind = match letters.as_str() {
        "trn" => "Trn",
        "inf" => "Inf",
        "dl" => "DL",
        "hpc" => "HPC",
        "u" => "High Memory",
        letters => match letters.chars().next() {
            Some('g' | 'v') => "G and VT",
            Some('p') => "P",
            Some('f') => "F",
            Some('x') => "X",
            _ => "Standard (A, C, D, H, I, M, R, T, Z)",
        },
    };
    match (spot, kind) {
        // The oldest ones share one, the newest have their own.
        (true, "P") if family.starts_with("p5") => "All P5 Spot Instance Requests".to_owned(),
        (true, "P") => "All P4, P3 and P2 Spot Instance Requests".to_owned(),
        (true, kind) => format!("All {kind} Spot Instance Requests"),
        (false, kind) => format!("Running On-Demand {kind} instances"),
    }
}

/// Looks up one instance of a type with a lease of so many seconds (`None`: that is not known). As [`super::look`], but the quota is in vCPUs.
pub async fn look(aws: &Aws, spot: bool, machine: &Machine, seconds: Option<i64>) -> Spending {
    let wanted = if spot { Use::SpotInstance } else { Use::Instance };
    let kind = machine.name.as_str();
    let (quote, limit, used) = tokio::join!(
        Box::pin(pricing::quote(aws, wanted, kind)),
        Box::pin(quota::limit(aws, wanted, kind)),
        Box::pin(usage::in_use(aws, wanted, kind))
    );
    let mut out = Spending { more: limit == Limit::Reading, ..Spending::default() };
    let mut fact = |name: &str, value: String| out.facts.push((name.into(), Safe::line(&value)));
    match quote {
        Some(quote) => {
            let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
            let most = if spot { "at most " } else { "" };
            fact("price", format!("{most}{}/h{free}", money(quote.per_hour)));
            if let Some(seconds) = seconds {
                let length = super::length(i32::try_from(seconds).unwrap_or(i32::MAX));
                #[expect(clippy::cast_precision_loss, reason = "leases are days at most")]
                let whole = quote.per_hour * seconds as f64 / 3600.0;
                fact("for the lease", format!("{most}{} ({length})", money(whole)));
            }
            if spot {
                fact("spot", super::SPOT_PRICE.to_owned());
            }
            out.per_hour = Some(quote.per_hour);
            out.source = Some(quote.source);
        }
        None => fact("price", format!("not known in {}", aws.region())),
    }
    match &limit {
        Limit::Is(limit) => {
            let used = used.map_or_else(String::new, |used| format!("{used} of "));
            fact(
                "quota",
                format!("{used}{limit} vCPU{}, this takes {}", if used.is_empty() { "" } else { " used" }, machine.vcpus),
            );
        }
        Limit::Reading => fact("quota", "reading …".to_owned()),
        Limit::Untold(why) => fact("quota", why.to_string()),
    }
    if let Limit::Is(limit) = limit {
        out.quota = Some(Quota { needs: machine.vcpus, limit, used, unit: Unit::Vcpu });
        out.problems.extend(judge(aws, wanted, machine, limit, used).await);
    }
    out
}

/// What a quota says to the vCPUs of one more instance.
async fn judge(aws: &Aws, wanted: Use, machine: &Machine, limit: u32, used: Option<u32>) -> Option<Problem> {
    let name = wanted.quota(&machine.name);
    let problem = |message: &str, fatal| Problem { field: "instance_type".to_owned(), message: Safe::line(message), fatal };
    if machine.vcpus <= limit {
        let used = used.filter(|used| used + machine.vcpus > limit)?;
        let message = format!(
            "{used} of the {limit} vCPU of '{name}' are in use, and {} has {}: it will be refused until others have ended",
            machine.name, machine.vcpus
        );
        return Some(problem(&message, false));
    }
    let offers = alternatives(aws, wanted, machine).await;
    let mut ways = if offers.is_empty() { Vec::new() } else { vec![format!("take {}", offers.join("; "))] };
    ways.push("ask for more under Service Quotas > Amazon EC2".to_owned());
    let message =
        format!("{} has {} vCPU, and the quota '{name}' is {limit}; {}", machine.name, machine.vcpus, ways.join(", or "));
    Some(problem(&message, true))
}

/// Types with a known price that the quotas allow, the nearest in size first.
async fn alternatives(aws: &Aws, wanted: Use, machine: &Machine) -> Vec<String> {
    let mut types: Vec<String> = price::ec2_types(aws.region()).into_iter().map(str::to_owned).collect();
    crate::aws::machines::learn(aws, &types).await;
    let accelerated = |name: &str| instance_types::is_accelerated(&format!("ml.{name}"));
    types.sort_by_cached_key(|name| {
        let vcpus = crate::aws::machines::known(aws, name).map_or(u32::MAX, |other| other.vcpus.abs_diff(machine.vcpus));
        (accelerated(name) != accelerated(&machine.name), vcpus, name.clone())
    });
    let mut offers = Vec::new();
    for name in types {
        let Some(other) = crate::aws::machines::known(aws, &name) else { continue };
        let Some(per_hour) = price::ec2(aws.region(), &name).map(|price| price.per_hour) else { continue };
        if let Limit::Is(limit) = quota::limit(aws, wanted, &name).await
            && limit >= other.vcpus
        {
            offers.push(format!("{name}: {} vCPU of {limit}, {}/h", other.vcpus, money(per_hour)));
        }
        if offers.len() == OFFERED {
            break;
        }
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_count_against_the_quota_of_their_families() {
        let table = [
            ("g5.2xlarge", false, "Running On-Demand G and VT instances"),
            ("g4dn.xlarge", true, "All G and VT Spot Instance Requests"),
            ("t3.medium", false, "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"),
            ("inf2.xlarge", false, "Running On-Demand Inf instances"),
            ("im4gn.large", false, "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"),
            ("p3.2xlarge", true, "All P4, P3 and P2 Spot Instance Requests"),
            ("p5.48xlarge", true, "All P5 Spot Instance Requests"),
        ];
        for (kind, spot, name) in table {
            assert_eq!(quota(kind, spot), name, "{kind}");
        }
    }
}
