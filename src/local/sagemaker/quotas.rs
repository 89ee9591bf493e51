//! The account's quotas for training instances. The numbers are the local region's own, of 2026-11: shaped after an ordinary
//! account, which has some general-purpose instances and no GPU until it asks. They are not AWS's published defaults.

use crate::local::fault::Fault;

/// Families without any instance until a quota is raised: GPUs and AWS's own accelerators.
const ASKED_FOR: [&str; 14] = ["p2", "p3", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6", "g4dn", "g5", "g6", "g6e", "g7e"];
/// Instances of every other type.
const ORDINARY: u32 = 15;

/// What a job asks for, or uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// E.g. `ml.m5.large`.
    pub instance_type: String,
    pub instances: u32,
    pub spot: bool,
}

impl Usage {
    fn quota_name(&self) -> String {
        let spot = if self.spot { "spot " } else { "" };
        format!("{} for {spot}training job usage", self.instance_type)
    }
}

/// The number of instances that the account may use at once.
#[must_use]
pub fn limit(instance_type: &str) -> u32 {
    let family = instance_type.trim_start_matches("ml.").split('.').next().unwrap_or_default();
    let accelerator = ["trn", "inf", "p6", "gr"].iter().any(|prefix| family.starts_with(prefix));
    if accelerator || ASKED_FOR.contains(&family) { 0 } else { ORDINARY }
}

/// Whether a new job fits beside those that run.
///
/// # Errors
/// `ResourceLimitExceeded` in AWS's words.
pub fn check<'a>(wanted: &Usage, running: impl Iterator<Item = &'a Usage>) -> Result<(), Fault> {
    let used: u32 = running
        .filter(|usage| usage.instance_type == wanted.instance_type && usage.spot == wanted.spot)
        .map(|usage| usage.instances)
        .sum();
    let limit = limit(&wanted.instance_type);
    if used.saturating_add(wanted.instances) <= limit {
        return Ok(());
    }
    Err(exceeded(&wanted.quota_name(), limit, used, wanted.instances))
}

/// The refusal of a warm pool: warm pools have a quota of their own, which is 0 in a new account (developer guide).
#[must_use]
pub fn refuse_warm_pool(wanted: &Usage) -> Fault {
    exceeded(&format!("{} for training warm pool usage", wanted.instance_type), 0, 0, wanted.instances)
}

/// The refusal, for any quota of instances.
pub(super) fn exceeded(quota: &str, limit: u32, used: u32, delta: u32) -> Fault {
    Fault::new(
        "ResourceLimitExceeded",
        400,
        format!(
            "The account-level service limit '{quota}' is {limit} Instances, with current utilization of {used} Instances and a request delta of {delta} Instances. Please use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for this quota."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(instance_type: &str, instances: u32) -> Usage {
        Usage { instance_type: instance_type.to_owned(), instances, spot: false }
    }

    #[test]
    fn gpus_must_be_asked_for() {
        let fault = check(&usage("ml.g4dn.xlarge", 1), [].iter()).expect_err("is refused");
        assert_eq!(fault.code, "ResourceLimitExceeded");
        assert!(fault.message.starts_with("The account-level service limit 'ml.g4dn.xlarge for training job usage' is 0 Instances, with current utilization of 0 Instances and a request delta of 1 Instances."));
        assert_eq!([limit("ml.p3.2xlarge"), limit("ml.trn1.2xlarge"), limit("ml.m5.large")], [0, 0, ORDINARY]);
    }

    #[test]
    fn running_jobs_count() {
        let running = [usage("ml.m5.large", 10), usage("ml.c5.large", 10)];
        assert!(check(&usage("ml.m5.large", 5), running.iter()).is_ok());
        assert!(
            check(&usage("ml.m5.large", 6), running.iter())
                .expect_err("is refused")
                .message
                .contains("utilization of 10 Instances")
        );
    }
}
