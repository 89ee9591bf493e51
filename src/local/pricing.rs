//! AWS Price List: what things cost (AWS Billing API Reference, "AWS Price List Service", version 2017-10-15), for the
//! instances of SageMaker and EC2 that the table in `src/prices.csv` knows. Each price says where and when it was read; a
//! product that is not in the table is not listed.

mod product;
mod table;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::pages::page;
use super::sagemaker::shapes::Model;
use product::Product;

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::read("AWS Price List", &[include_str!("pricing/shapes.json")]));
static PRODUCTS: LazyLock<Vec<Product>> = LazyLock::new(|| table::ROWS.iter().map(Product::of).collect());

/// The only `FormatVersion` (API Reference).
const FORMAT: &str = "aws_v1";
/// The code for a token that is not ours.
const INVALID_TOKEN: &str = "InvalidNextTokenException";

/// What an instance of EC2 costs on demand, in US dollars per hour, if the table knows it.
#[must_use]
pub fn on_demand(region: &str, instance_type: &str) -> Option<f64> {
    let row = table::ROWS.iter().find(|row| row.kind == "ec2" && row.region == region && row.instance_type == instance_type);
    row.map(|row| row.per_hour)
}

/// One call of the service.
///
/// # Errors
/// As AWS answers: `InvalidParameterException`, `NotFoundException`, `InvalidNextTokenException`, `ValidationException`.
pub fn call(operation: &str, input: Value) -> Result<Value, Fault> {
    let request = MODEL.accept(operation, input)?;
    match operation {
        "DescribeServices" => describe(&request),
        "GetAttributeValues" => values(&request),
        "GetProducts" => products(&request),
        other => Err(Fault::internal(format_args!("{other} is not an operation of AWS Price List"))),
    }
}

fn describe(request: &Map<String, Value>) -> Result<Value, Fault> {
    check_format(request)?;
    let codes: BTreeSet<&str> = match text(request, "ServiceCode") {
        "" => PRODUCTS.iter().map(|product| product.service).collect(),
        code => [of_service(code)?.first().map_or(code, |product| product.service)].into(),
    };
    let services = codes.into_iter().map(|code| {
        let names: BTreeSet<&str> = PRODUCTS.iter().filter(|product| product.service == code).flat_map(Product::fields).collect();
        json!({"ServiceCode": code, "AttributeNames": names})
    });
    let mut answer = page(request, services.collect(), "Services", INVALID_TOKEN)?;
    answer["FormatVersion"] = json!(FORMAT);
    Ok(answer)
}

fn values(request: &Map<String, Value>) -> Result<Value, Fault> {
    let (products, name) = (of_service(text(request, "ServiceCode"))?, text(request, "AttributeName"));
    let values: BTreeSet<&str> = products.iter().filter_map(|product| product.field(name)).collect();
    if values.is_empty() {
        // assumed: code and text.
        return Err(Fault::new("NotFoundException", 400, format!("No attribute {name} found. DescribeServices lists them.")));
    }
    page(request, values.into_iter().map(|value| json!({"Value": value})).collect(), "AttributeValues", INVALID_TOKEN)
}

fn products(request: &Map<String, Value>) -> Result<Value, Fault> {
    check_format(request)?;
    let products = of_service(text(request, "ServiceCode"))?;
    let filters: Vec<&Map<String, Value>> =
        request.get("Filters").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).collect();
    let fit = products.into_iter().filter(|product| filters.iter().all(|filter| fits(product, filter)));
    // Each is a JSON text, as on AWS.
    let mut answer =
        page(request, fit.map(|product| json!(product.document().to_string())).collect(), "PriceList", INVALID_TOKEN)?;
    answer["FormatVersion"] = json!(FORMAT);
    Ok(answer)
}

/// assumed: `ANY_OF` and `NONE_OF` take values separated by commas.
fn fits(product: &Product, filter: &Map<String, Value>) -> bool {
    let (field, wanted) = (product.field(text(filter, "Field")), text(filter, "Value"));
    let listed = |value: &str| wanted.split(',').any(|one| one.trim() == value);
    match text(filter, "Type") {
        "CONTAINS" => field.is_some_and(|value| value.contains(wanted)),
        "ANY_OF" => field.is_some_and(listed),
        "NONE_OF" => !field.is_some_and(listed),
        _ => field == Some(wanted),
    }
}

fn of_service(code: &str) -> Result<Vec<&'static Product>, Fault> {
    let found: Vec<&Product> = PRODUCTS.iter().filter(|product| product.service == code).collect();
    if found.is_empty() {
        // assumed: code and text.
        let text = format!("The local region knows no prices of {code}. It has those of AmazonEC2 and AmazonSageMaker.");
        return Err(Fault::new("NotFoundException", 400, text));
    }
    Ok(found)
}

fn check_format(request: &Map<String, Value>) -> Result<(), Fault> {
    match text(request, "FormatVersion") {
        "" | FORMAT => Ok(()),
        // assumed: the text.
        other => {
            Err(Fault::new("InvalidParameterException", 400, format!("Invalid FormatVersion {other}. The only one is {FORMAT}.")))
        }
    }
}

fn text<'a>(request: &'a Map<String, Value>, member: &str) -> &'a str {
    request.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(operation: &str, input: Value) -> Value {
        let answer = call(operation, input).expect("is answered");
        MODEL.check_answer(operation, &answer).expect("is valid");
        answer
    }

    fn filter(field: &str, value: &str) -> Value {
        json!({"Type": "TERM_MATCH", "Field": field, "Value": value})
    }

    fn found(service: &str, filters: &[Value]) -> Vec<Value> {
        let answer = answer("GetProducts", json!({"ServiceCode": service, "Filters": filters}));
        let items = answer["PriceList"].as_array().expect("a list").clone();
        items.iter().map(|item| serde_json::from_str(item.as_str().expect("a text")).expect("is JSON")).collect()
    }

    fn dollars(product: &Value) -> &str {
        let term = product["terms"]["OnDemand"].as_object().expect("terms").values().next().expect("one");
        let dimension = term["priceDimensions"].as_object().expect("dimensions").values().next().expect("one");
        dimension["pricePerUnit"]["USD"].as_str().expect("a price")
    }

    #[test]
    fn the_model_is_whole_and_every_row_is_a_product() {
        MODEL.assert_whole();
        assert_eq!(PRODUCTS.len(), table::ROWS.len());
        let skus: BTreeSet<&str> = PRODUCTS.iter().map(|product| product.sku.as_str()).collect();
        assert_eq!(skus.len(), PRODUCTS.len());
    }

    #[test]
    fn sagemaker_is_found_the_ways_that_clients_ask() {
        let by_usage = found("AmazonSageMaker", &[filter("usagetype", "USE1-Train:ml.m5.2xlarge")]);
        assert_eq!((by_usage.len(), dollars(&by_usage[0])), (1, "0.4610000000"));
        for filters in [
            vec![filter("instanceName", "ml.m5.2xlarge"), filter("component", "Training")],
            vec![filter("instanceType", "ml.m5.2xlarge-Training"), filter("regionCode", "us-east-1")],
            vec![
                filter("productFamily", "ML Instance"),
                filter("instanceName", "ml.m5.2xlarge"),
                filter("platoinstancetype", "Training"),
            ],
            vec![
                filter("location", "US East (N. Virginia)"),
                filter("ServiceCode", "AmazonSageMaker"),
                filter("usagetype", "USE1-Train:ml.m5.2xlarge"),
            ],
        ] {
            assert_eq!(found("AmazonSageMaker", &filters), by_usage, "{filters:?}");
        }
        assert!(found("AmazonSageMaker", &[filter("regionCode", "eu-west-1")]).is_empty());
        assert!(found("AmazonSageMaker", &[filter("usagetype", "USE1-Train:ml.p5.48xlarge")]).is_empty());
        assert!(found("AmazonSageMaker", &[filter("colour", "red")]).is_empty());
    }

    #[test]
    fn ec2_is_found_the_way_that_clients_ask() {
        let linux = [
            filter("regionCode", "us-east-1"),
            filter("instanceType", "g5.2xlarge"),
            filter("operatingSystem", "Linux"),
            filter("tenancy", "Shared"),
            filter("preInstalledSw", "NA"),
            filter("capacitystatus", "Used"),
            filter("licenseModel", "No License required"),
        ];
        let products = found("AmazonEC2", &linux);
        assert_eq!((products.len(), dollars(&products[0])), (1, "1.2120000000"));
        assert_eq!(products[0]["product"]["attributes"]["vcpu"], "8");
        assert!(found("AmazonEC2", &[filter("operatingSystem", "Windows")]).is_empty());
    }

    #[test]
    fn a_price_says_where_and_when_it_was_read() {
        let product = &found("AmazonSageMaker", &[filter("usagetype", "USE1-Notebk:ml.t3.medium")])[0];
        assert_eq!(product["publicationDate"], "2026-09-24T00:00:00Z");
        let text = product["terms"].to_string();
        assert!(
            text.contains("$0.05 per Notebook ml.t3.medium hour in US East (N. Virginia) (AWS price list, 2026-09-24)"),
            "{text}"
        );
    }

    #[test]
    fn other_filters_work() {
        let count = |kind: &str, field: &str, value: &str| {
            found("AmazonSageMaker", &[json!({"Type": kind, "Field": field, "Value": value})]).len()
        };
        let all = found("AmazonSageMaker", &[]).len();
        assert_eq!(count("CONTAINS", "usagetype", "Host:"), 4);
        assert_eq!(count("ANY_OF", "component", "Hosting,Training") + count("NONE_OF", "component", "Hosting,Training"), all);
    }

    #[test]
    fn attributes_and_pages() {
        let values = answer("GetAttributeValues", json!({"ServiceCode": "AmazonSageMaker", "AttributeName": "component"}));
        assert_eq!(
            values["AttributeValues"],
            json!([{"Value": "Hosting"}, {"Value": "JupyterLab"}, {"Value": "Notebook"}, {"Value": "Training"}])
        );
        let services = answer("DescribeServices", json!({}));
        assert_eq!(services["Services"].as_array().expect("a list").len(), 2);
        let (mut request, mut count) = (json!({"ServiceCode": "AmazonEC2", "MaxResults": 5}), 0);
        loop {
            let page = answer("GetProducts", request.clone());
            count += page["PriceList"].as_array().expect("a list").len();
            let Some(token) = page.get("NextToken") else { break };
            request["NextToken"] = token.clone();
        }
        assert_eq!(count, found("AmazonEC2", &[]).len());
    }

    #[test]
    fn what_is_not_there_is_said() {
        let code = |operation: &str, input: Value| call(operation, input).expect_err("is refused").code;
        assert_eq!(code("GetProducts", json!({"ServiceCode": "AmazonS3"})), "NotFoundException");
        assert_eq!(code("GetProducts", json!({"ServiceCode": "AmazonEC2", "NextToken": "!"})), "InvalidNextTokenException");
        assert_eq!(code("GetProducts", json!({"ServiceCode": "AmazonEC2", "FormatVersion": "v2"})), "InvalidParameterException");
        assert_eq!(
            code("GetProducts", json!({"ServiceCode": "AmazonEC2", "Filters": [{"Type": "LIKE", "Field": "a", "Value": "b"}]})),
            "ValidationException"
        );
        assert_eq!(
            code("GetAttributeValues", json!({"ServiceCode": "AmazonEC2", "AttributeName": "colour"})),
            "NotFoundException"
        );
    }
}
