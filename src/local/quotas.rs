//! Service Quotas: what the account of the local region may use (Service Quotas API Reference, version 2019-06-24).
//!
//! It lists the numbers that the region itself checks against ([`super::sagemaker::quotas`]), and those of EC2.
//! Applied and default values are the same, as nobody has raised a quota here; they are not AWS's defaults.

mod table;

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::fault::Fault;
use super::pages::page;
use super::sagemaker::shapes::Model;
use table::{Quota, SERVICES, Service, TABLE};

static MODEL: LazyLock<Model> = LazyLock::new(|| Model::read("Service Quotas", &[include_str!("quotas/shapes.json")]));

/// The code for a token that is not ours.
const INVALID_TOKEN: &str = "InvalidPaginationTokenException";

/// One call of the service.
///
/// # Errors
/// As AWS answers: `NoSuchResourceException`, `InvalidPaginationTokenException`, `ValidationException`, and
/// `AccessDeniedException` for requests to raise a quota.
pub fn call(operation: &str, input: Value) -> Result<Value, Fault> {
    let request = MODEL.accept(operation, input)?;
    match operation {
        "ListServices" => {
            let services = SERVICES.iter().map(|service| json!({"ServiceCode": service.code, "ServiceName": service.name}));
            page(&request, services.collect(), "Services", INVALID_TOKEN)
        }
        "ListServiceQuotas" => {
            // Quotas of single resources, such as one Active Directory, do not exist here.
            let none = text(&request, "QuotaAppliedAtLevel") == "RESOURCE";
            let code = text(&request, "QuotaCode");
            let wanted = quotas(service(&request)?).filter(|quota| !none && (code.is_empty() || quota.code == code));
            page(&request, wanted.map(shown).collect(), "Quotas", INVALID_TOKEN)
        }
        "ListAWSDefaultServiceQuotas" => page(&request, quotas(service(&request)?).map(shown).collect(), "Quotas", INVALID_TOKEN),
        "GetServiceQuota" | "GetAWSDefaultServiceQuota" => Ok(json!({"Quota": shown(quota(&request)?)})),
        "RequestServiceQuotaIncrease" => Err(refuse_increase(quota(&request)?)),
        "ListRequestedServiceQuotaChangeHistory" => {
            if request.contains_key("ServiceCode") {
                service(&request)?;
            }
            page(&request, Vec::new(), "RequestedQuotas", INVALID_TOKEN)
        }
        "ListRequestedServiceQuotaChangeHistoryByQuota" => {
            quota(&request)?;
            page(&request, Vec::new(), "RequestedQuotas", INVALID_TOKEN)
        }
        other => Err(Fault::internal(format_args!("{other} is not an operation of Service Quotas"))),
    }
}

/// How many vCPUs the account may use at once, by the code of a quota of EC2.
#[must_use]
pub fn ec2_vcpus(code: &str) -> u32 {
    TABLE.iter().find(|quota| quota.service.code == "ec2" && quota.code == code).map_or(0, |quota| quota.value)
}

fn quotas(service: &'static Service) -> impl Iterator<Item = &'static Quota> {
    TABLE.iter().filter(move |quota| quota.service.code == service.code)
}

fn service(request: &Map<String, Value>) -> Result<&'static Service, Fault> {
    let code = text(request, "ServiceCode");
    SERVICES
        .into_iter()
        .find(|service| service.code == code)
        .ok_or_else(|| no_such("The request failed because the specified service does not exist."))
}

/// assumed: the text; the code is documented.
fn quota(request: &Map<String, Value>) -> Result<&'static Quota, Fault> {
    let code = text(request, "QuotaCode");
    quotas(service(request)?)
        .find(|quota| quota.code == code)
        .ok_or_else(|| no_such("The request failed because the specified quota does not exist for this service."))
}

fn no_such(message: &str) -> Fault {
    Fault::new("NoSuchResourceException", 400, message)
}

/// A request that is kept and never answered would only look like one.
fn refuse_increase(quota: &Quota) -> Fault {
    Fault::new(
        "AccessDeniedException",
        400,
        format!(
            "The quotas of the local region cannot be raised: '{}' stays {}. On AWS this call opens a request for an increase.",
            quota.name, quota.value
        ),
    )
}

fn shown(quota: &Quota) -> Value {
    json!({
        "ServiceCode": quota.service.code,
        "ServiceName": quota.service.name,
        "QuotaArn": quota.arn(),
        "QuotaCode": quota.code,
        "QuotaName": quota.name,
        "Value": f64::from(quota.value),
        "Unit": "None",
        "Adjustable": true,
        "GlobalQuota": false,
        "QuotaAppliedAtLevel": "ACCOUNT",
    })
}

fn text<'a>(request: &'a Map<String, Value>, member: &str) -> &'a str {
    request.get(member).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::sagemaker::quotas::Use;
    use super::*;

    fn answer(operation: &str, input: Value) -> Value {
        let answer = call(operation, input).expect("is answered");
        MODEL.check_answer(operation, &answer).expect("is valid");
        answer
    }

    fn all(service: &str, size: u32) -> Vec<Value> {
        let mut request = json!({"ServiceCode": service, "MaxResults": size});
        let mut quotas = Vec::new();
        loop {
            let page = answer("ListServiceQuotas", request.clone());
            let listed = page["Quotas"].as_array().expect("a list");
            assert!(!listed.is_empty() && listed.len() <= size as usize);
            quotas.extend(listed.clone());
            let Some(token) = page.get("NextToken") else { return quotas };
            request["NextToken"] = token.clone();
        }
    }

    #[test]
    fn the_model_is_whole() {
        MODEL.assert_whole();
    }

    #[test]
    fn pages_give_each_quota_once_with_a_code_of_its_own() {
        let quotas = all("sagemaker", 77);
        let codes: BTreeSet<&str> = quotas.iter().filter_map(|quota| quota["QuotaCode"].as_str()).collect();
        let names: BTreeSet<&str> = quotas.iter().filter_map(|quota| quota["QuotaName"].as_str()).collect();
        assert_eq!((codes.len(), names.len()), (quotas.len(), quotas.len()));
        assert!(quotas.len() > 1000);
        assert!(codes.iter().all(|code| code.len() == 10 && code.starts_with("L-")));
        assert_eq!(all("sagemaker", 100), quotas);
    }

    #[test]
    fn the_values_are_those_that_the_region_checks() {
        let quotas = all("sagemaker", 100);
        let value = |name: &str| quotas.iter().find(|quota| quota["QuotaName"] == name).map(|quota| quota["Value"].clone());
        assert_eq!(value("ml.g4dn.xlarge for training job usage"), Some(json!(0.0)));
        for purpose in Use::ALL {
            for instance_type in ["ml.m5.xlarge", "ml.g5.2xlarge"] {
                let limit = f64::from(purpose.limit(instance_type));
                assert_eq!(value(&purpose.quota(instance_type)), Some(json!(limit)), "{purpose:?}");
            }
        }
    }

    #[test]
    fn a_quota_is_found_by_its_code() {
        let found = answer("GetServiceQuota", json!({"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"}));
        assert_eq!(found["Quota"]["QuotaName"], "Running On-Demand G and VT instances");
        assert_eq!(found["Quota"]["QuotaArn"], "arn:aws:servicequotas:us-east-1:000000000000:ec2/L-DB2E81BA");
        assert_eq!(answer("GetAWSDefaultServiceQuota", json!({"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"})), found);
        let one = answer("ListServiceQuotas", json!({"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"}));
        assert_eq!(one["Quotas"], json!([found["Quota"]]));
    }

    #[test]
    fn what_is_not_there_is_said() {
        let code = |operation: &str, input: Value| call(operation, input).expect_err("is refused").code;
        assert_eq!(code("ListServiceQuotas", json!({"ServiceCode": "s3"})), "NoSuchResourceException");
        assert_eq!(code("GetServiceQuota", json!({"ServiceCode": "ec2", "QuotaCode": "L-00000000"})), "NoSuchResourceException");
        let request = json!({"ServiceCode": "ec2", "NextToken": "MTAwMA=="});
        assert_eq!(code("ListServiceQuotas", request), "InvalidPaginationTokenException");
        assert_eq!(code("GetServiceQuota", json!({"ServiceCode": "ec2"})), "ValidationException");
        assert_eq!(code("TagResource", json!({})), "UnknownOperationException");
    }

    #[test]
    fn no_increase_is_pretended() {
        let request = json!({"ServiceCode": "ec2", "QuotaCode": "L-417A185B", "DesiredValue": 8});
        let fault = call("RequestServiceQuotaIncrease", request).expect_err("is refused");
        assert_eq!(fault.code, "AccessDeniedException");
        assert!(fault.message.contains("'Running On-Demand P instances' stays 0"), "{}", fault.message);
        let request = json!({"ServiceCode": "ec2", "QuotaCode": "L-DB2E81BA"});
        assert_eq!(answer("ListRequestedServiceQuotaChangeHistoryByQuota", request), json!({"RequestedQuotas": []}));
    }
}
