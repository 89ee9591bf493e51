//! Every quota that the local region has.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::local::ACCOUNT;
use crate::local::sagemaker::REGION;
use crate::local::sagemaker::quotas::Use;

/// A service with quotas.
#[derive(Debug)]
pub struct Service {
    /// As in requests, e.g. `sagemaker`.
    pub code: &'static str,
    pub name: &'static str,
}

/// One quota.
#[derive(Debug)]
pub struct Quota {
    pub service: &'static Service,
    /// `L-` and eight hexadecimal digits.
    pub code: String,
    pub name: String,
    pub value: u32,
}

impl Quota {
    /// `arn:aws:servicequotas:REGION:ACCOUNT:SERVICE/CODE`.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:servicequotas:{REGION}:{ACCOUNT}:{}/{}", self.service.code, self.code)
    }
}

static EC2: Service = Service { code: "ec2", name: "Amazon Elastic Compute Cloud (Amazon EC2)" };
static SAGEMAKER: Service = Service { code: "sagemaker", name: "Amazon SageMaker" };

/// All services, by code.
pub static SERVICES: [&Service; 2] = [&EC2, &SAGEMAKER];

/// EC2's quotas are in vCPUs; codes and names are AWS's (EC2 User Guide, "EC2 instance type quotas"), the numbers are the
/// local region's own: room for one g5.2xlarge, and nothing of the dearer kind nor of spare capacity until it is asked for.
const EC2_QUOTAS: [(&str, &str, u32); 6] = [
    ("L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 32),
    ("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 32),
    ("L-3819A6DF", "All G and VT Spot Instance Requests", 0),
    ("L-417A185B", "Running On-Demand P instances", 0),
    ("L-7212CCBC", "All P Spot Instance Requests", 0),
    ("L-DB2E81BA", "Running On-Demand G and VT instances", 8),
];

/// AWS's codes of SageMaker's quotas, as far as they are known here: they follow no rule. Clients find a quota by its name.
const KNOWN_CODES: [(&str, &str); 3] = [
    ("ml.g4dn.xlarge for training job usage", "L-3F53BF0F"),
    ("Studio JupyterLab Apps running on ml.t3.medium instances", "L-71FAF417"),
    ("Studio KernelGateway Apps running on ml.m5.4xlarge instance", "L-0132CA88"),
];

/// All quotas: EC2's, then SageMaker's by use and instance type.
pub static TABLE: LazyLock<Vec<Quota>> = LazyLock::new(|| {
    let ec2 = EC2_QUOTAS.into_iter().map(|(code, name, value)| Quota {
        service: &EC2,
        code: code.to_owned(),
        name: name.to_owned(),
        value,
    });
    let sagemaker = Use::ALL.into_iter().flat_map(|purpose| {
        purpose.instance_types().map(move |instance_type| {
            let name = purpose.quota(instance_type);
            Quota { service: &SAGEMAKER, code: code(&name), name, value: purpose.limit(instance_type) }
        })
    });
    ec2.chain(sagemaker).collect()
});

/// The code of a quota of SageMaker. assumed: where AWS's is not known, one made from the name, which stays the same.
fn code(name: &str) -> String {
    if let Some((_, code)) = KNOWN_CODES.iter().find(|(known, _)| *known == name) {
        return (*code).to_owned();
    }
    format!("L-{}", hex::encode_upper(&Sha256::digest(name)[..4]))
}
