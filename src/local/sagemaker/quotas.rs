//! The account's quotas, the only home of their numbers: what runs is checked against them here, and the Service Quotas
//! service lists them. The numbers are the local region's own, of 2026-11: shaped after an ordinary account, which has some
//! general-purpose instances and no GPU until it asks. They are not AWS's published defaults.

use super::shapes;
use crate::local::fault::Fault;

/// Families without any instance until a quota is raised: GPUs and AWS's own accelerators.
const ASKED_FOR: [&str; 14] = ["p2", "p3", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6", "g4dn", "g5", "g6", "g6e", "g7e"];

/// What instances are used for. Each use of each instance type has a quota of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Training,
    SpotTraining,
    WarmPool,
    Endpoint,
    Notebook,
    JupyterLab,
    CodeEditor,
    KernelGateway,
}

impl Use {
    /// All uses, in the order in which their quotas are listed.
    pub const ALL: [Self; 8] = [
        Self::Training,
        Self::SpotTraining,
        Self::WarmPool,
        Self::Endpoint,
        Self::Notebook,
        Self::JupyterLab,
        Self::CodeEditor,
        Self::KernelGateway,
    ];

    /// The quota's name, as Service Quotas and the refusals have it.
    #[must_use]
    pub fn quota(self, instance_type: &str) -> String {
        match self {
            Self::Training => format!("{instance_type} for training job usage"),
            Self::SpotTraining => format!("{instance_type} for spot training job usage"),
            Self::WarmPool => format!("{instance_type} for training warm pool usage"),
            Self::Endpoint => format!("{instance_type} for endpoint usage"),
            Self::Notebook => format!("{instance_type} for notebook instance usage"),
            Self::JupyterLab => format!("Studio JupyterLab Apps running on {instance_type} instances"),
            Self::CodeEditor => format!("Studio CodeEditor Apps running on {instance_type} instances"),
            // AWS's name for it has no plural.
            Self::KernelGateway => format!("Studio KernelGateway Apps running on {instance_type} instance"),
        }
    }

    /// How many the account may use at once.
    #[must_use]
    pub fn limit(self, instance_type: &str) -> u32 {
        if must_be_asked_for(instance_type) {
            return 0;
        }
        match self {
            Self::Training | Self::SpotTraining => 15,
            // 0 in a new account (developer guide).
            Self::WarmPool => 0,
            Self::Endpoint => 8,
            Self::Notebook | Self::JupyterLab | Self::CodeEditor | Self::KernelGateway => 4,
        }
    }

    /// The instance types that it is offered for, in the service model's order.
    pub fn instance_types(self) -> impl Iterator<Item = &'static str> {
        let shape = match self {
            Self::Training | Self::SpotTraining | Self::WarmPool => "TrainingInstanceType",
            Self::Endpoint => "ProductionVariantInstanceType",
            Self::Notebook => "InstanceType",
            Self::JupyterLab | Self::CodeEditor | Self::KernelGateway => "AppInstanceType",
        };
        // `system` is the instance of the default apps, which costs nothing and has no quota.
        shapes::choices(shape).iter().map(String::as_str).filter(|name| name.starts_with("ml."))
    }

    /// Whether `delta` more fit beside the `used` ones.
    ///
    /// # Errors
    /// `ResourceLimitExceeded` in AWS's words.
    pub fn check(self, instance_type: &str, used: u32, delta: u32) -> Result<(), Fault> {
        let limit = self.limit(instance_type);
        if used.saturating_add(delta) <= limit {
            return Ok(());
        }
        let (quota, unit) = (self.quota(instance_type), self.unit());
        Err(Fault::new(
            "ResourceLimitExceeded",
            400,
            format!(
                "The account-level service limit '{quota}' is {limit} {unit}, with current utilization of {used} {unit} and a request delta of {delta} {unit}. Please use AWS Service Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS support to request an increase for this quota."
            ),
        ))
    }

    fn unit(self) -> &'static str {
        match self {
            Self::JupyterLab | Self::CodeEditor | Self::KernelGateway => "Apps",
            _ => "Instances",
        }
    }
}

/// What a training job asks for, or uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// E.g. `ml.m5.large`.
    pub instance_type: String,
    pub instances: u32,
    pub spot: bool,
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
    let purpose = if wanted.spot { Use::SpotTraining } else { Use::Training };
    purpose.check(&wanted.instance_type, used, wanted.instances)
}

fn must_be_asked_for(instance_type: &str) -> bool {
    let family = instance_type.trim_start_matches("ml.").split('.').next().unwrap_or_default();
    ["trn", "inf", "p6", "gr"].iter().any(|prefix| family.starts_with(prefix)) || ASKED_FOR.contains(&family)
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
        let limits = ["ml.p3.2xlarge", "ml.trn1.2xlarge", "ml.m5.large"].map(|name| Use::Training.limit(name));
        assert_eq!(limits, [0, 0, 15]);
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
