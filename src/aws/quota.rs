//! How many instances the account may use at once, by Service Quotas. A quota is found by its name: the codes of SageMaker's
//! follow no rule, and EC2's names tell what they count (vCPUs, by kinds of families). There are thousands of them, so reading goes on where the last look ended, and what was read is kept for
//! the process.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_servicequotas::types::ServiceQuota;

use super::spending::Use;
use super::{Aws, fault};
use crate::model::{Failure, FailureKind, Safe};

/// How long one look reads.
const PATIENCE: Duration = Duration::from_secs(2);
/// Looks without a single page, after which the service is taken for silent.
const STALLS: u32 = 3;

/// What is known of one quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many instances.
    Is(u32),
    /// Not read yet; another look goes on.
    Reading,
    /// Why nobody knows.
    Untold(Safe),
}

/// The service whose quotas are read.
#[derive(Clone, Copy)]
enum Service {
    SageMaker,
    Ec2,
}

impl Service {
    fn of(wanted: Use) -> Self {
        if matches!(wanted, Use::Instance | Use::SpotInstance) { Self::Ec2 } else { Self::SageMaker }
    }

    fn code(self) -> &'static str {
        match self {
            Self::SageMaker => "sagemaker",
            Self::Ec2 => "ec2",
        }
    }

    fn memo(self) -> &'static str {
        match self {
            Self::SageMaker => "quotas",
            Self::Ec2 => "quotas of EC2",
        }
    }

    /// Whether a quota of that name counts instances.
    fn counts(self, name: &str) -> bool {
        match self {
            Self::SageMaker => name.starts_with("ml."),
            Self::Ec2 => name.starts_with("Running On-Demand ") || name.ends_with(" Spot Instance Requests"),
        }
    }
}

#[derive(Default)]
struct Book {
    /// Applied values, then AWS's defaults of those that have none.
    values: HashMap<String, u32>,
    /// Where reading goes on.
    applied: Place,
    defaults: Place,
    stalls: u32,
    why: Option<Safe>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Start,
    At(String),
    End,
}

/// The quota for instances of a type in that use.
pub async fn limit(aws: &Aws, wanted: Use, instance_type: &str) -> Limit {
    let (name, service) = (wanted.quota(instance_type), Service::of(wanted));
    let found = |aws: &Aws| aws.memo(service.memo(), |book: &mut Book| book.values.get(&name).copied());
    read(aws, service, || found(aws).is_some()).await;
    match found(aws) {
        Some(limit) => Limit::Is(limit),
        None => unknown(aws, service),
    }
}

/// The types with a quota of at least `count` in that use, and whether that is all of them.
pub async fn types_with(aws: &Aws, wanted: Use, count: u32) -> (Vec<(String, u32)>, bool) {
    let service = Service::of(wanted);
    read(aws, service, || false).await;
    let suffix = wanted.quota("");
    aws.memo(service.memo(), |book: &mut Book| {
        let fit = book.values.iter().filter(|(_, limit)| **limit >= count);
        let types = fit.filter_map(|(name, limit)| Some((name.strip_suffix(&suffix)?.to_owned(), *limit)));
        (types.filter(|(name, _)| name.starts_with("ml.")).collect(), book.applied == Place::End)
    })
}

fn unknown(aws: &Aws, service: Service) -> Limit {
    aws.memo(service.memo(), |book: &mut Book| match &book.why {
        Some(why) => Limit::Untold(why.clone()),
        None if book.defaults == Place::End => Limit::Untold("not listed for this type".into()),
        None => Limit::Reading,
    })
}

/// Reads on until `enough`, or the end, or time is up. Each page is kept as it comes.
async fn read(aws: &Aws, service: Service, enough: impl Fn() -> bool) {
    let pages = async { while !enough() && page(aws, service).await {} };
    let before = aws.memo(service.memo(), |book: &mut Book| book.values.len());
    if tokio::time::timeout(PATIENCE, pages).await.is_err() {
        aws.memo(service.memo(), |book: &mut Book| {
            book.stalls = if book.values.len() == before { book.stalls + 1 } else { 0 };
            if book.stalls >= STALLS {
                book.why = Some("not known (Service Quotas does not answer)".into());
            }
        });
    }
}

/// Reads one more page; `false` when there is none.
async fn page(aws: &Aws, service: Service) -> bool {
    let (applied, defaults, given_up) =
        aws.memo(service.memo(), |book: &mut Book| (book.applied.clone(), book.defaults.clone(), book.why.is_some()));
    if given_up {
        return false;
    }
    let (is_applied, place) = if applied == Place::End { (false, defaults) } else { (true, applied) };
    let token = match place {
        Place::Start => None,
        Place::At(token) => Some(token),
        Place::End => return false,
    };
    let asked = if is_applied { applied_page(aws, service, token).await } else { default_page(aws, service, token).await };
    aws.memo(service.memo(), |book: &mut Book| match asked {
        Ok((quotas, next)) => {
            for (name, value) in quotas.iter().filter_map(|quota| read_quota(service, quota)) {
                if is_applied {
                    book.values.insert(name, value);
                } else {
                    book.values.entry(name).or_insert(value);
                }
            }
            let place = next.map_or(Place::End, Place::At);
            *(if is_applied { &mut book.applied } else { &mut book.defaults }) = place;
            true
        }
        Err(failure) if failure.kind == FailureKind::Denied => {
            book.why = Some(format!("not known (needs servicequotas:{})", operation(is_applied)).into());
            false
        }
        // It may have been for once.
        Err(failure) => {
            book.stalls += 1;
            if book.stalls >= STALLS {
                book.why = Some(Safe::line(&format!("not known ({})", failure.what)));
            }
            false
        }
    })
}

fn operation(is_applied: bool) -> &'static str {
    if is_applied { "ListServiceQuotas" } else { "ListAWSDefaultServiceQuotas" }
}

type Page = (Vec<ServiceQuota>, Option<String>);

/// The account's own values. What it has none of is not in this list (Service Quotas API reference).
async fn applied_page(aws: &Aws, service: Service, token: Option<String>) -> Result<Page, Failure> {
    let call = aws.quotas.list_service_quotas().service_code(service.code()).max_results(100).set_next_token(token);
    let page = call.send().await.map_err(|error| fault::tell("reading the account's quotas", &error))?;
    Ok((page.quotas.unwrap_or_default(), page.next_token))
}

async fn default_page(aws: &Aws, service: Service, token: Option<String>) -> Result<Page, Failure> {
    let call = aws.quotas.list_aws_default_service_quotas().service_code(service.code()).max_results(100).set_next_token(token);
    let page = call.send().await.map_err(|error| fault::tell("reading AWS's default quotas", &error))?;
    Ok((page.quotas.unwrap_or_default(), page.next_token))
}

/// Name and value of a quota of instances.
fn read_quota(service: Service, quota: &ServiceQuota) -> Option<(String, u32)> {
    let name = quota.quota_name().filter(|name| service.counts(name))?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of instances; `as` saturates")]
    Some((name.to_owned(), quota.value()? as u32))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::scripted::Scripted;

    fn quota(name: &str, value: f64) -> serde_json::Value {
        json!({ "ServiceCode": "sagemaker", "QuotaName": name, "QuotaCode": "L-1", "Value": value })
    }

    fn account() -> Scripted {
        Scripted::new(|asked| {
            let answer = match (asked.operation.as_str(), asked.json()["NextToken"].as_str()) {
                ("ListServiceQuotas", None) => {
                    json!({ "Quotas": [quota("ml.g4dn.xlarge for training job usage", 0.0)], "NextToken": "2" })
                }
                ("ListServiceQuotas", _) => json!({ "Quotas": [
                    quota("ml.m5.large for training job usage", 15.0),
                    quota("ml.m5.large for spot training job usage", 3.0)
                ] }),
                _ => json!({ "Quotas": [
                    quota("ml.m5.large for training job usage", 4.0),
                    quota("ml.c5.large for training job usage", 2.0)
                ] }),
            };
            (200, answer.to_string().into_bytes())
        })
    }

    #[tokio::test]
    async fn quotas_are_found_by_name_page_by_page_and_asked_once() {
        let http = account();
        let aws = http.connect(true, None).await;
        assert_eq!(limit(&aws, Use::Training, "ml.g4dn.xlarge").await, Limit::Is(0));
        assert_eq!(http.operations(), ["ListServiceQuotas"], "the second page is not needed yet");
        assert_eq!(limit(&aws, Use::Training, "ml.m5.large").await, Limit::Is(15), "the account's own value, not the default");
        assert_eq!(limit(&aws, Use::Spot, "ml.m5.large").await, Limit::Is(3));
        assert_eq!(http.operations().len(), 2);
        assert_eq!(limit(&aws, Use::Training, "ml.c5.large").await, Limit::Is(2), "AWS's default");
        let nowhere = limit(&aws, Use::Training, "ml.x9.large").await;
        assert_eq!(nowhere, Limit::Untold("not listed for this type".into()));
        assert_eq!(http.operations().len(), 3);
        let (mut types, all) = types_with(&aws, Use::Training, 2).await;
        types.sort();
        assert_eq!((types, all), (vec![("ml.c5.large".to_owned(), 2), ("ml.m5.large".to_owned(), 15)], true));
    }

    #[tokio::test]
    async fn a_denied_look_says_which_right_is_missing_and_is_not_repeated() {
        let http = Scripted::new(|_| (400, br#"{"__type":"AccessDeniedException","message":"no"}"#.to_vec()));
        let aws = http.connect(true, None).await;
        for _ in 0..2 {
            let said = limit(&aws, Use::Training, "ml.m5.large").await;
            assert_eq!(said, Limit::Untold("not known (needs servicequotas:ListServiceQuotas)".into()));
        }
        assert_eq!(http.operations().len(), 1);
    }
}
