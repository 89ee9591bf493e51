//! A product in the layout of AWS's price list (User Guide of AWS Billing, "Reading the service price list file").

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::table::Row;

/// The offer term of every on-demand price, and the rate of its only dimension.
const ON_DEMAND: &str = "JRTCKXETXF";
const HOURLY: &str = "6YS6EN2CT7";

/// What can be bought, at what price.
#[derive(Debug)]
pub struct Product {
    /// As in requests: `AmazonSageMaker`.
    pub service: &'static str,
    /// assumed: AWS's are not known here; this one is made from what the product is, and stays the same.
    pub sku: String,
    family: &'static str,
    attributes: Map<String, Value>,
    description: String,
    per_hour: f64,
    /// RFC 3339.
    date: String,
}

impl Product {
    /// The product that a row of the table is about.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        let what = match row.kind {
            "training" => Some(("Train", "Training")),
            "hosting" => Some(("Host", "Hosting")),
            "notebook" => Some(("Notebk", "Notebook")),
            "jupyterlab" => Some(("Studio:JupyterLab", "JupyterLab")),
            _ => None,
        };
        let (name, location) = (row.instance_type, location(row.region));
        let machine = what.map_or_else(|| "On Demand Linux".to_owned(), |(_, component)| component.to_owned());
        let description = format!("${} per {machine} {name} hour in {location} ({}, {})", row.per_hour, row.source, row.date);
        let attributes = what.map_or_else(|| ec2(row), |(usage, component)| sagemaker(row, usage, component));
        let sku: String = Sha256::digest(format!("{}/{}/{name}", row.kind, row.region))
            .iter()
            .take(16)
            .map(|byte| char::from(b"ABCDEFGHJKMNPQRSTUVWXYZ23456789X"[usize::from(byte % 32)]))
            .collect();
        let date = if row.date.len() == 7 { format!("{}-01T00:00:00Z", row.date) } else { format!("{}T00:00:00Z", row.date) };
        Self {
            service: if what.is_some() { "AmazonSageMaker" } else { "AmazonEC2" },
            sku,
            family: if what.is_some() { "ML Instance" } else { "Compute Instance" },
            attributes,
            description,
            per_hour: row.per_hour,
            date,
        }
    }

    /// What a filter names: an attribute, `productFamily`, `sku` or `ServiceCode`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        match name {
            "ServiceCode" => Some(self.service),
            "productFamily" => Some(self.family),
            "sku" => Some(&self.sku),
            name => self.attributes.get(name).and_then(Value::as_str),
        }
    }

    /// The names of its attributes, as `DescribeServices` has them.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.attributes.keys().map(String::as_str).chain(["productFamily"])
    }

    /// An item of `PriceList`.
    #[must_use]
    pub fn document(&self) -> Value {
        let (term, rate) = (format!("{}.{ON_DEMAND}", self.sku), format!("{}.{ON_DEMAND}.{HOURLY}", self.sku));
        json!({
            "product": {"productFamily": self.family, "attributes": self.attributes, "sku": self.sku},
            "serviceCode": self.service,
            "terms": {"OnDemand": {term: {
                "priceDimensions": {rate.clone(): {
                    "unit": "Hrs",
                    "endRange": "Inf",
                    "description": self.description,
                    "appliesTo": [],
                    "rateCode": rate,
                    "beginRange": "0",
                    "pricePerUnit": {"USD": format!("{:.10}", self.per_hour)},
                }},
                "sku": self.sku,
                "effectiveDate": self.date,
                "offerTermCode": ON_DEMAND,
                "termAttributes": {},
            }}},
            "version": self.date.chars().filter(char::is_ascii_digit).collect::<String>(),
            "publicationDate": self.date,
        })
    }
}

fn sagemaker(row: &Row, usage: &str, component: &str) -> Map<String, Value> {
    let name = row.instance_type;
    // Studio's usage types join with a dash, all others with a colon.
    let join = if usage.contains(':') { '-' } else { ':' };
    object([
        ("servicecode", "AmazonSageMaker"),
        ("servicename", "Amazon SageMaker"),
        ("location", location(row.region)),
        ("locationType", "AWS Region"),
        ("regionCode", row.region),
        ("instanceName", name),
        ("instanceType", &format!("{name}-{component}")),
        ("component", component),
        ("platoinstancename", name),
        ("platoinstancetype", component),
        ("vCpu", row.vcpu),
        ("memory", &format!("{} GiB", row.memory)),
        ("operation", "RunInstance"),
        ("usagetype", &format!("{}-{usage}{join}{name}", prefix(row.region))),
    ])
}

fn ec2(row: &Row) -> Map<String, Value> {
    object([
        ("servicecode", "AmazonEC2"),
        ("servicename", "Amazon Elastic Compute Cloud"),
        ("location", location(row.region)),
        ("locationType", "AWS Region"),
        ("regionCode", row.region),
        ("instanceType", row.instance_type),
        ("operatingSystem", "Linux"),
        ("tenancy", "Shared"),
        ("preInstalledSw", "NA"),
        ("capacitystatus", "Used"),
        ("licenseModel", "No License required"),
        ("marketoption", "OnDemand"),
        ("vcpu", row.vcpu),
        ("memory", &format!("{} GiB", row.memory)),
        ("operation", "RunInstances"),
        // us-east-1 has no prefix in EC2's.
        ("usagetype", &format!("BoxUsage:{}", row.instance_type)),
    ])
}

fn object<const N: usize>(entries: [(&str, &str); N]) -> Map<String, Value> {
    entries.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// The table has one region so far; of another, code and prefix are not known here.
fn location(region: &str) -> &str {
    if region == "us-east-1" { "US East (N. Virginia)" } else { region }
}

fn prefix(region: &str) -> &str {
    if region == "us-east-1" { "USE1" } else { region }
}
