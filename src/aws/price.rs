//! What training instances cost: an offline table. Every price says where it is from and of which day; what is not in the
//! table is unknown, never guessed. (EC2 prices are not SageMaker prices.)

/// An on-demand price in US dollars per instance and hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    pub per_hour: f64,
    pub region: &'static str,
    /// Where it was read.
    pub source: &'static str,
    /// The day it was read, or the list's own date.
    pub date: &'static str,
}

const LIST: &str = "AWS price list";
const TABLES: &str = "published tables";

/// us-east-1, on-demand training (`Train:ml.…`).
const TRAINING: &[(&str, f64, &str, &str)] = &[
    ("ml.t3.medium", 0.05, TABLES, "2026-08"),
    ("ml.m5.large", 0.115, LIST, "2026-08-11"),
    ("ml.m5.xlarge", 0.23, TABLES, "2026-08"),
    ("ml.m5.2xlarge", 0.461, TABLES, "2026-08"),
    ("ml.m5.4xlarge", 0.922, TABLES, "2026-08"),
    ("ml.g4dn.xlarge", 0.7364, TABLES, "2026-08"),
    ("ml.g5.2xlarge", 1.515, TABLES, "2026-08-20"),
];

/// The price of training on one such instance for an hour; `None` when the table does not know.
#[must_use]
pub fn training(region: &str, instance_type: &str) -> Option<Price> {
    if region != "us-east-1" {
        return None;
    }
    let (_, per_hour, source, date) = TRAINING.iter().find(|(name, ..)| *name == instance_type)?;
    Some(Price { per_hour: *per_hour, region: "us-east-1", source, date })
}

/// us-east-1, on-demand hosting (`Host:ml.…`).
const HOSTING: &[(&str, f64, &str, &str)] =
    &[("ml.m5.large", 0.115, LIST, "2026-08-11"), ("ml.t2.medium", 0.056, TABLES, "2026-08")];

/// The price of one such instance behind an endpoint for an hour; `None` when the table does not know.
#[must_use]
pub fn hosting(region: &str, instance_type: &str) -> Option<Price> {
    if region != "us-east-1" {
        return None;
    }
    let (_, per_hour, source, date) = HOSTING.iter().find(|(name, ..)| *name == instance_type)?;
    Some(Price { per_hour: *per_hour, region: "us-east-1", source, date })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_prices_are_told() {
        let price = training("us-east-1", "ml.m5.2xlarge").unwrap();
        // The worked example: 1401 s of tuning cost about 18 cents.
        assert!((price.per_hour * 1401.0 / 3600.0 - 0.18).abs() < 0.005);
        assert_eq!(training("eu-west-1", "ml.m5.2xlarge"), None);
        assert_eq!(training("us-east-1", "ml.p5.48xlarge"), None);
    }
}
