//! The table of prices; its head says what the columns are, and where the numbers were read.

use std::sync::LazyLock;

/// A price of the table.
#[derive(Debug)]
pub struct Row {
    /// `training`, `hosting`, `notebook`, `jupyterlab` or `ec2`.
    pub kind: &'static str,
    pub region: &'static str,
    pub instance_type: &'static str,
    /// US dollars per instance and hour.
    pub per_hour: f64,
    pub vcpu: &'static str,
    /// In GiB.
    pub memory: &'static str,
    /// Where it was read.
    pub source: &'static str,
    /// A day, or a month.
    pub date: &'static str,
}

/// All rows; `src/aws/price.rs` reads the same file and a test there counts them.
pub static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let lines = include_str!("../../prices.csv").lines().filter(|line| !line.starts_with('#')).skip(1);
    lines
        .filter_map(|line| {
            let cells: Vec<&'static str> = line.split(',').collect();
            let [kind, region, instance_type, per_hour, vcpu, memory, source, date] = cells[..] else { return None };
            Some(Row { kind, region, instance_type, per_hour: per_hour.parse().ok()?, vcpu, memory, source, date })
        })
        .collect()
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_local_region_has_a_price_with_its_source_and_day() {
        let types: serde_json::Value = serde_json::from_str(include_str!("../ec2/instance_types.json")).unwrap();
        let names = types["types"].as_array().unwrap().iter().map(|one| one["about"]["InstanceType"].as_str().unwrap());
        let unpriced: Vec<&str> = names
            .filter(|name| {
                let fits = |row: &&Row| row.kind == "ec2" && row.region == "us-east-1" && row.instance_type == *name;
                ROWS.iter().find(fits).is_none_or(|row| row.source.is_empty() || !row.date.starts_with("20"))
            })
            .collect();
        assert!(unpriced.is_empty(), "{unpriced:?}");
    }
}
