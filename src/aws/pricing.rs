//! What instances cost today, by AWS Price List (`GetProducts`), where it answers; else by the dated table in [`price`].
//! What was asked once is remembered for the process; a Price List that is denied or silent is left alone.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_pricing::types::{Filter, FilterType};
use serde_json::Value;

use super::spending::Use;
use super::{Aws, price};
use crate::model::Safe;

const MEMO: &str = "prices";
/// How long a form waits for a price.
const PATIENCE: Duration = Duration::from_secs(2);
/// Failures after which it is not asked any more.
const FAILURES: u32 = 2;

/// A price with where it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Quote {
    /// US dollars per instance and hour, on demand.
    pub per_hour: f64,
    /// Who says so, and of which day, e.g. `AWS price list, 2026-11-02`.
    pub source: Safe,
}

#[derive(Default)]
struct Asked {
    /// Absent value: the list has no such price.
    quotes: HashMap<(Use, String), Option<Quote>>,
    failures: u32,
}

/// The price of one instance of a type in that use; `None` when nobody knows it.
pub async fn quote(aws: &Aws, wanted: Use, instance_type: &str) -> Option<Quote> {
    let key = (wanted.priced_as(), instance_type.to_owned());
    let (kept, silent) = aws.memo(MEMO, |asked: &mut Asked| (asked.quotes.get(&key).cloned(), asked.failures >= FAILURES));
    match kept {
        Some(found) => return found.or_else(|| table(aws, wanted, instance_type)),
        None if silent => return table(aws, wanted, instance_type),
        None => {}
    }
    if let Ok(Some(found)) = tokio::time::timeout(PATIENCE, ask(aws, key.0, instance_type)).await {
        aws.memo(MEMO, |asked: &mut Asked| asked.quotes.insert(key, found.clone()));
        return found.or_else(|| table(aws, wanted, instance_type));
    }
    aws.memo(MEMO, |asked: &mut Asked| asked.failures += 1);
    table(aws, wanted, instance_type)
}

/// What is known of a price without asking.
#[must_use]
pub fn known(aws: &Aws, wanted: Use, instance_type: &str) -> Option<Quote> {
    let key = (wanted.priced_as(), instance_type.to_owned());
    aws.memo(MEMO, |asked: &mut Asked| asked.quotes.get(&key).cloned()).flatten().or_else(|| table(aws, wanted, instance_type))
}

fn table(aws: &Aws, wanted: Use, instance_type: &str) -> Option<Quote> {
    let found = match wanted.priced_as() {
        Use::Training | Use::Spot | Use::WarmPool => price::training(aws.region(), instance_type),
        Use::Endpoint => price::hosting(aws.region(), instance_type),
        Use::Notebook => price::notebook(aws.region(), instance_type),
        Use::Instance | Use::SpotInstance => price::ec2(aws.region(), instance_type),
    }?;
    Some(Quote { per_hour: found.per_hour, source: Safe::line(&format!("{}, {}", found.source, found.date)) })
}

/// Asks the Price List. `None`: it did not answer; `Some(None)`: it has no such price.
///
/// SageMaker's are filtered by the attributes `regionCode` and `instanceName`; of what fits them, the usage type tells the use
/// (`USE1-Train:ml.m5.large`), which is the attribute that changes least. EC2's lists are long: they are filtered down to
/// Linux on shared hardware, paid by use.
async fn ask(aws: &Aws, wanted: Use, instance_type: &str) -> Option<Option<Quote>> {
    let filter = |field: &str, value: &str| Filter::builder().r#type(FilterType::TermMatch).field(field).value(value).build();
    let (service, attributes): (_, &[(&str, &str)]) = if wanted == Use::Instance {
        (
            "AmazonEC2",
            &[
                ("instanceType", instance_type),
                ("operatingSystem", "Linux"),
                ("tenancy", "Shared"),
                ("preInstalledSw", "NA"),
                ("capacitystatus", "Used"),
            ],
        )
    } else {
        ("AmazonSageMaker", &[("instanceName", instance_type)])
    };
    let mut filters = vec![filter("regionCode", aws.region()).ok()?];
    filters.extend(attributes.iter().filter_map(|(field, value)| filter(field, value).ok()));
    let suffix = format!("{}:{instance_type}", usage(wanted));
    let mut token: Option<String> = None;
    loop {
        let call = aws.pricing.get_products().service_code(service).format_version("aws_v1");
        let call = call.set_filters(Some(filters.clone())).set_next_token(token.clone());
        let page = match call.send().await {
            Ok(page) => page,
            Err(error) => {
                tracing::info!("the price of {instance_type} is not known: {error}");
                return None;
            }
        };
        let mut products = page.price_list().iter().filter_map(|text| serde_json::from_str::<Value>(text).ok());
        if let Some(found) = products.find_map(|product| read(&product, &suffix)) {
            return Some(Some(found));
        }
        if page.next_token.is_none() || page.next_token == token {
            return Some(None);
        }
        token = page.next_token;
    }
}

/// The usage type of a use, without region and instance type.
fn usage(wanted: Use) -> &'static str {
    match wanted {
        Use::Training | Use::Spot | Use::WarmPool => "Train",
        Use::Endpoint => "Host",
        Use::Notebook => "Notebk",
        Use::Instance | Use::SpotInstance => "BoxUsage",
    }
}

/// The on-demand price of a product of that usage type. (Layout: AWS Billing User Guide, "Reading the service price list
/// file".)
fn read(product: &Value, suffix: &str) -> Option<Quote> {
    let usage = product.pointer("/product/attributes/usagetype")?.as_str()?;
    // us-east-1 may have no prefix.
    if usage != suffix && !usage.ends_with(&format!("-{suffix}")) {
        return None;
    }
    let terms = product.pointer("/terms/OnDemand")?.as_object()?;
    let dimensions = terms.values().filter_map(|term| term.get("priceDimensions")?.as_object()).flat_map(|all| all.values());
    let mut prices = dimensions.filter_map(|dimension| dimension.pointer("/pricePerUnit/USD")?.as_str()?.parse::<f64>().ok());
    let per_hour = prices.rfind(|price| *price > 0.0)?;
    let date = product.get("publicationDate").and_then(Value::as_str).and_then(|date| date.get(..10));
    let source = date.map_or_else(|| "AWS price list".to_owned(), |date| format!("AWS price list, {date}"));
    Some(Quote { per_hour, source: Safe::line(&source) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::scripted::Scripted;

    fn product(usage: &str, dollars: &str) -> String {
        json!({
            "product": { "productFamily": "ML Instance", "attributes": { "usagetype": usage, "instanceName": "ml.m5.2xlarge" } },
            "terms": { "OnDemand": { "SKU.T": { "priceDimensions": { "SKU.T.R": {
                "unit": "Hrs", "pricePerUnit": { "USD": dollars }
            } } } } },
            "publicationDate": "2026-11-02T10:00:00Z"
        })
        .to_string()
    }

    #[tokio::test]
    async fn the_price_is_of_the_use_and_asked_once() {
        let http = Scripted::new(|_| {
            let list = [
                product("USE1-SpotTrain:ml.m5.2xlarge", "0.1"),
                product("USE1-Host:ml.m5.2xlarge", "0.5"),
                product("USE1-Train:ml.m5.2xlarge", "0.4610000000"),
            ];
            (200, json!({ "FormatVersion": "aws_v1", "PriceList": list }).to_string().into_bytes())
        });
        let aws = http.connect(true, None).await;
        assert_eq!(known(&aws, Use::Training, "ml.m5.2xlarge").unwrap().source.as_str(), "published tables, 2026-08");
        for _ in 0..2 {
            let found = quote(&aws, Use::Training, "ml.m5.2xlarge").await.unwrap();
            assert_eq!((found.per_hour, found.source.as_str()), (0.461, "AWS price list, 2026-11-02"));
        }
        assert_eq!(quote(&aws, Use::Spot, "ml.m5.2xlarge").await, quote(&aws, Use::Training, "ml.m5.2xlarge").await);
        assert_eq!(known(&aws, Use::Training, "ml.m5.2xlarge").unwrap().source.as_str(), "AWS price list, 2026-11-02");
        assert!(quote(&aws, Use::Endpoint, "ml.m5.2xlarge").await.is_some_and(|quote| quote.per_hour > 0.49));
        let asked = http.bodies("GetProducts");
        assert_eq!(asked.len(), 2, "one for training, one for hosting");
        assert_eq!(asked[0]["ServiceCode"], "AmazonSageMaker");
        assert_eq!(
            asked[0]["Filters"],
            json!([
                { "Type": "TERM_MATCH", "Field": "regionCode", "Value": "us-east-1" },
                { "Type": "TERM_MATCH", "Field": "instanceName", "Value": "ml.m5.2xlarge" }
            ])
        );
    }

    #[tokio::test]
    async fn a_price_list_that_is_denied_leaves_the_table_and_is_left_alone() {
        let http = Scripted::new(|_| (400, br#"{"__type":"AccessDeniedException","message":"no"}"#.to_vec()));
        let aws = http.connect(true, None).await;
        for _ in 0..5 {
            assert_eq!(quote(&aws, Use::Training, "ml.m5.large").await.unwrap().source.as_str(), "AWS price list, 2026-08-11");
        }
        assert_eq!(quote(&aws, Use::Training, "ml.p5.48xlarge").await, None);
        assert_eq!(http.operations().len(), 2);
    }
}
