//! The training image of a framework: `{account}.dkr.ecr.{region}.{suffix}/pytorch-training:{version}-{cpu|gpu}-{py}`. The
//! version stays as typed; the accounts are those of the Python SDK's `image_uri_config/pytorch.json` (2.257).

use crate::aws::instance_types;

/// Registry account per region; what is not here uses [`COMMON`].
const ACCOUNTS: &[(&str, &str)] = &[
    ("af-south-1", "626614931356"),
    ("ap-east-1", "871362719292"),
    ("ap-east-2", "975050140332"),
    ("ap-northeast-3", "364406365360"),
    ("ap-south-2", "772153158452"),
    ("ap-southeast-3", "907027046896"),
    ("ap-southeast-4", "457447274322"),
    ("ap-southeast-5", "550225433462"),
    ("ap-southeast-6", "633930458069"),
    ("ap-southeast-7", "590183813437"),
    ("ca-west-1", "204538143572"),
    ("cn-north-1", "727897471807"),
    ("cn-northwest-1", "727897471807"),
    ("eu-central-2", "380420809688"),
    ("eu-south-1", "692866216735"),
    ("eu-south-2", "503227376785"),
    ("il-central-1", "780543022126"),
    ("me-central-1", "914824155844"),
    ("me-south-1", "217643126080"),
    ("mx-central-1", "637423239942"),
    ("us-gov-east-1", "446045086412"),
    ("us-gov-west-1", "442386744353"),
    ("us-iso-east-1", "886529160074"),
    ("us-isob-east-1", "094389454867"),
];

const COMMON: &str = "763104351884";
const COMMON_REGIONS: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ca-central-1",
    "sa-east-1",
    "eu-central-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "eu-north-1",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
];

/// The image's URI.
///
/// # Errors
/// A sentence with the remedy when the framework, region or processor has no such image.
pub fn uri(framework: &str, version: &str, py: &str, region: &str, instance_type: &str) -> Result<String, String> {
    if framework != "pytorch" {
        return Err(format!("footplate knows the images of pytorch, not of '{framework}'; give the full `image` instead"));
    }
    if version.is_empty() {
        return Err("a framework_version is needed, e.g. 2.6".to_owned());
    }
    let family = instance_types::family(instance_type);
    if family.starts_with("trn") || family.starts_with("inf") {
        return Err(format!("{instance_type} needs a Neuron image; give the full `image`"));
    }
    let processor = if family.starts_with('g') || family.starts_with('p') { "gpu" } else { "cpu" };
    let account = match ACCOUNTS.iter().find(|(known, _)| *known == region) {
        Some((_, account)) => account,
        None if COMMON_REGIONS.contains(&region) => COMMON,
        None => return Err(format!("no registry of PyTorch images is known for region {region}; give the full `image`")),
    };
    let py = if py.is_empty() { default_py(version) } else { py };
    Ok(format!("{account}.dkr.ecr.{region}.{}/pytorch-training:{version}-{processor}-{py}", suffix(region)))
}

/// The Python that a PyTorch version's images carry.
fn default_py(version: &str) -> &'static str {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    match (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) {
        (0, _) | (1, 0..=8) => "py3",
        (1, 9..=12) => "py38",
        (1, _) => "py39",
        (2, 0..=2) => "py310",
        (2, 3..=5) => "py311",
        _ => "py312",
    }
}

fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else if region.starts_with("us-isob-") {
        "sc2s.sgov.gov"
    } else if region.starts_with("us-iso-") {
        "c2s.ic.gov"
    } else {
        "amazonaws.com"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_the_sdks() {
        assert_eq!(
            uri("pytorch", "1.9", "py38", "us-east-1", "ml.m5.2xlarge").unwrap(),
            "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38"
        );
        assert!(
            uri("pytorch", "2.6", "", "cn-north-1", "ml.g5.xlarge")
                .unwrap()
                .ends_with(".amazonaws.com.cn/pytorch-training:2.6-gpu-py312")
        );
        for (framework, region, kind) in [
            ("tensorflow", "us-east-1", "ml.m5.large"),
            ("pytorch", "mars-1", "ml.m5.large"),
            ("pytorch", "us-east-1", "ml.trn1.2xlarge"),
        ] {
            assert!(uri(framework, "2.6", "", region, kind).unwrap_err().contains("image"));
        }
    }
}
