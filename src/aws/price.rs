//! What instances cost: an offline table. Every price says where it is from and of which day; what is not in the table is
//! unknown, never guessed. (EC2 prices are not SageMaker prices.)

use std::sync::LazyLock;

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

/// The table, which the local region's Pricing service reads too; its head says what the columns are.
static TABLE: LazyLock<Vec<Row>> = LazyLock::new(|| rows(include_str!("../prices.csv")));

struct Row {
    kind: &'static str,
    instance_type: &'static str,
    price: Price,
}

/// The price of training on one such instance for an hour; `None` when the table does not know.
#[must_use]
pub fn training(region: &str, instance_type: &str) -> Option<Price> {
    find("training", region, instance_type)
}

/// The price of one instance of an endpoint for an hour, called or not.
#[must_use]
pub fn hosting(region: &str, instance_type: &str) -> Option<Price> {
    find("hosting", region, instance_type)
}

/// The price of a notebook instance in service for an hour.
#[must_use]
pub fn notebook(region: &str, instance_type: &str) -> Option<Price> {
    find("notebook", region, instance_type)
}

/// The price of a `JupyterLab` app of Studio for an hour; those of other kinds of apps are not in the table.
#[must_use]
pub fn jupyter_lab(region: &str, instance_type: &str) -> Option<Price> {
    find("jupyterlab", region, instance_type)
}

/// The price of an EC2 instance with Linux and shared tenancy for an hour; the type without `ml.`.
#[must_use]
pub fn ec2(region: &str, instance_type: &str) -> Option<Price> {
    find("ec2", region, instance_type)
}

/// What a month of 30 days has, in hours: prices of storage are by the month.
pub const MONTH: f64 = 720.0;

/// The types of EC2 that the table knows in a region.
#[must_use]
pub fn ec2_types(region: &str) -> Vec<&'static str> {
    TABLE.iter().filter(|row| row.kind == "ec2" && row.price.region == region).map(|row| row.instance_type).collect()
}

/// What a gigabyte on a volume of that type costs in a month, in US dollars; `None` where it is not known.
///
/// assumed: published tables of 2026-08, for the regions that share the price of us-east-1.
#[must_use]
pub fn volume(region: &str, volume_type: &str) -> Option<f64> {
    let usual = ["us-east-1", "us-east-2", "us-west-2"].contains(&region);
    match volume_type {
        "gp3" if usual => Some(0.08),
        "gp2" if usual => Some(0.10),
        _ => None,
    }
}

fn find(kind: &str, region: &str, instance_type: &str) -> Option<Price> {
    let fits = |row: &&Row| row.kind == kind && row.price.region == region && row.instance_type == instance_type;
    TABLE.iter().find(fits).map(|row| row.price)
}

/// The rows of the file: kind, region, type, price, two columns about the machine, source, date. A test reads all of them.
fn rows(text: &'static str) -> Vec<Row> {
    let lines = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines
        .filter_map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let [kind, region, instance_type, per_hour, _, _, source, date] = cells[..] else { return None };
            let price = Price { per_hour: per_hour.parse().ok()?, region, source, date };
            Some(Row { kind, instance_type, price })
        })
        .collect()
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

    #[test]
    fn each_kind_has_its_own_price() {
        let cents = |price: Option<Price>| price.map(|price| (price.per_hour * 10_000.0).round());
        assert_eq!(cents(hosting("us-east-1", "ml.t2.medium")), Some(560.0));
        assert_eq!(cents(notebook("us-east-1", "ml.t3.medium")), Some(500.0));
        assert_eq!(cents(jupyter_lab("us-east-1", "ml.g4dn.xlarge")), Some(7364.0));
        assert_eq!(cents(ec2("us-east-1", "g5.2xlarge")), Some(12120.0));
        assert_eq!(training("us-east-1", "ml.t3.medium"), None, "the list has no such training");
        assert_eq!(ec2("us-east-1", "ml.g5.2xlarge"), None);
    }

    #[test]
    fn every_row_is_read_says_its_source_and_comes_once() {
        let text = include_str!("../prices.csv");
        let count = text.lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!(TABLE.len(), count);
        for (index, row) in TABLE.iter().enumerate() {
            assert!(row.price.per_hour > 0.0 && !row.price.source.is_empty() && row.price.date.starts_with("20"));
            let again = TABLE[..index].iter().any(|other| {
                other.kind == row.kind && other.instance_type == row.instance_type && other.price.region == row.price.region
            });
            assert!(!again, "{} {}", row.kind, row.instance_type);
        }
    }
}
