//! What a launch would cost and whether the account may: looked up before anything is spent.

mod instances;

use super::quota::{self, Limit};
use super::{Aws, Mode, instance_types, pricing, usage};
use crate::model::show::money;
use crate::model::{Problem, Quota, Safe, Unit};

pub use instances::look as look_at_instance;

/// Types that are offered in place of one that the account may not have.
const OFFERED: usize = 3;
/// Types whose price is looked up to find them.
const LOOKED_AT: usize = 8;

/// What is said beside the price of what runs on spare capacity.
pub const SPOT_PRICE: &str = "has no list price: this is on demand, the bill will be lower";

/// What an instance is wanted for: prices and quotas are by use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    Training,
    /// Training on spare capacity.
    Spot,
    /// Kept warm after a training job.
    WarmPool,
    /// Behind an endpoint: from its creation until it is deleted, whether it is called or not.
    Endpoint,
    /// A notebook instance.
    Notebook,
    /// An EC2 instance, on demand.
    Instance,
    /// An EC2 instance on spare capacity.
    SpotInstance,
}

impl Use {
    /// The quota's name, by which Service Quotas finds it.
    #[must_use]
    pub fn quota(self, instance_type: &str) -> String {
        match self {
            Self::Training => format!("{instance_type} for training job usage"),
            Self::Spot => format!("{instance_type} for spot training job usage"),
            Self::WarmPool => format!("{instance_type} for training warm pool usage"),
            Self::Endpoint => format!("{instance_type} for endpoint usage"),
            Self::Notebook => format!("{instance_type} for notebook instance usage"),
            // Counted in vCPUs, by kinds of families.
            Self::Instance | Self::SpotInstance => instances::quota(instance_type, self == Self::SpotInstance),
        }
    }

    /// The use whose price it has: what runs on spare capacity has no list price of its own, what is kept warm costs as if
    /// it trained.
    #[must_use]
    pub fn priced_as(self) -> Self {
        match self {
            Self::Training | Self::Spot | Self::WarmPool => Self::Training,
            Self::Instance | Self::SpotInstance => Self::Instance,
            other => other,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Spot => "spot training",
            Self::WarmPool => "training warm pools",
            Self::Endpoint => "endpoints",
            Self::Notebook => "notebook instances",
            Self::Instance => "instances",
            Self::SpotInstance => "spot instances",
        }
    }
}

/// What is known of the price and the quota.
#[derive(Clone, Debug, Default)]
pub struct Spending {
    /// Short facts for a form: `price`, `at most`, `quota`.
    pub facts: Vec<(Safe, Safe)>,
    /// Of the fields `instance_type` and `instance_count`.
    pub problems: Vec<Problem>,
    /// US dollars per hour for all instances, where it is known.
    pub per_hour: Option<f64>,
    pub quota: Option<Quota>,
    /// Where the price is from, and of which day.
    pub source: Option<Safe>,
    /// Not all could be read in time; another look reads on.
    pub more: bool,
}

/// Looks up so many instances of a type, running for at most so many seconds (`None`: until they are taken down). Takes at
/// most about two seconds, and longer by as much when alternatives have to be found; what is not known by then is left open.
pub async fn look(aws: &Aws, wanted: Use, instance_type: &str, count: i32, seconds: Option<i32>) -> Spending {
    // Boxed, as each holds the state of several calls.
    let (quote, limit, used) = tokio::join!(
        Box::pin(pricing::quote(aws, wanted, instance_type)),
        Box::pin(quota::limit(aws, wanted, instance_type)),
        Box::pin(usage::in_use(aws, wanted, instance_type))
    );
    let mut out = Spending { more: limit == Limit::Reading, ..Spending::default() };
    let mut fact = |name: &str, value: String| out.facts.push((name.into(), Safe::line(&value)));
    match quote {
        Some(quote) => {
            let hour = quote.per_hour * f64::from(count);
            let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
            fact("price", format!("{}/h{free}", money(hour)));
            if let Some(seconds) = seconds {
                fact("at most", format!("{} ({})", money(hour * f64::from(seconds) / 3600.0), length(seconds)));
            }
            if wanted == Use::Spot {
                // assumed: a discount shows as fewer billed seconds at this price.
                fact("spot", SPOT_PRICE.to_owned());
            }
            out.per_hour = Some(hour);
            out.source = Some(quote.source);
        }
        None => fact("price", format!("not known in {}", aws.region())),
    }
    let count = u32::try_from(count).unwrap_or(0);
    match &limit {
        Limit::Is(0) => fact("quota", "0".to_owned()),
        Limit::Is(limit) => fact("quota", used.map_or_else(|| limit.to_string(), |used| format!("{used} of {limit} used"))),
        Limit::Reading => fact("quota", "reading …".to_owned()),
        Limit::Untold(why) => fact("quota", why.to_string()),
    }
    if let Limit::Is(limit) = limit {
        out.quota = Some(Quota { needs: count, limit, used, unit: Unit::Instances });
        let (problem, more) = Box::pin(judge(aws, wanted, instance_type, count, limit, used)).await;
        out.problems.extend(problem);
        out.more |= more;
    }
    out
}

/// What a quota says to so many instances; and whether a further look would say more.
async fn judge(aws: &Aws, wanted: Use, kind: &str, count: u32, limit: u32, used: Option<u32>) -> (Option<Problem>, bool) {
    let problem = |field: &str, message: String, fatal| Problem { field: field.to_owned(), message: Safe::line(&message), fatal };
    let word = wanted.word();
    if count <= limit {
        // Not certain: what runs now may have ended by then.
        let beside = used.filter(|used| used + count > limit).map(|used| {
            let message = format!(
                "{used} of the {limit} {kind} that the account may have for {word} are in use: {count} more will be refused until enough of them have ended"
            );
            problem("instance_count", message, false)
        });
        return (beside, false);
    }
    let (offers, all) = alternatives(aws, wanted, kind, count).await;
    let offer = |offer: &Offer| format!("{}: quota {}, {}/h", offer.kind, offer.limit, money(offer.per_hour));
    let mut ways = Vec::new();
    if limit > 0 {
        ways.push(format!("take at most {limit}"));
    }
    if !offers.is_empty() {
        ways.push(format!("take {}", offers.iter().map(offer).collect::<Vec<_>>().join("; ")));
    }
    ways.push("ask for more under Service Quotas".to_owned());
    let message = format!("quota {limit} for {kind} {word}; {}", ways.join(", or "));
    (Some(problem(if limit == 0 { "instance_type" } else { "instance_count" }, message, true)), !all)
}

/// Another type, with what the account may have of it.
struct Offer {
    kind: String,
    limit: u32,
    per_hour: f64,
}

/// Types of similar size whose quota is enough and whose price is known, cheapest first: of the same kind, with or without
/// an accelerator, if there are any, else of the other.
async fn alternatives(aws: &Aws, wanted: Use, kind: &str, count: u32) -> (Vec<Offer>, bool) {
    let (mut types, all) = quota::types_with(aws, wanted, count).await;
    types.retain(|(other, _)| instance_types::nearness(kind, other).is_some());
    types.sort_by_cached_key(|(other, _)| (instance_types::nearness(kind, other), other.clone()));
    let (like, unlike): (Vec<_>, Vec<_>) =
        types.into_iter().partition(|(other, _)| instance_types::is_accelerated(other) == instance_types::is_accelerated(kind));
    let mut offers = priced(aws, wanted, like).await;
    if offers.is_empty() {
        offers = priced(aws, wanted, unlike).await;
    }
    (offers, all)
}

/// The cheapest of the nearest.
async fn priced(aws: &Aws, wanted: Use, types: Vec<(String, u32)>) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (kind, limit) in types.into_iter().take(LOOKED_AT) {
        let quote = pricing::quote(aws, wanted, &kind).await;
        offers.extend(quote.map(|quote| Offer { kind, limit, per_hour: quote.per_hour }));
    }
    offers.sort_by(|a, b| a.per_hour.total_cmp(&b.per_hour));
    offers.truncate(OFFERED);
    offers
}

/// `30 min`, `24 h`, `90 s`: as people say a limit.
#[must_use]
pub fn length(seconds: i32) -> String {
    match seconds {
        3600.. if seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        3600.. => format!("{:.1} h", f64::from(seconds) / 3600.0),
        60.. if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::scripted::Scripted;

    /// The seed's account: no GPU, fifteen of the ordinary types, four of them busy.
    fn account() -> Scripted {
        Scripted::new(|asked| {
            let quota = |name: &str, value: u32| json!({ "QuotaName": name, "Value": f64::from(value) });
            let answer = match asked.operation.as_str() {
                "ListServiceQuotas" => json!({ "Quotas": [
                    quota("ml.g4dn.xlarge for training job usage", 0),
                    quota("ml.g7.xlarge for training job usage", 15),
                    quota("ml.m5.large for training job usage", 15),
                    quota("ml.m5.xlarge for training job usage", 15),
                    quota("ml.m5.2xlarge for training job usage", 15),
                    quota("ml.m5.4xlarge for training job usage", 15),
                    quota("ml.c5.xlarge for training job usage", 15),
                    quota("ml.m5.2xlarge for endpoint usage", 2)
                ] }),
                "ListTrainingJobs" => json!({ "TrainingJobSummaries": [
                    { "TrainingJobName": "j", "TrainingJobArn": "arn", "CreationTime": 1, "TrainingJobStatus": "InProgress" }
                ] }),
                "DescribeTrainingJob" => json!({
                    "TrainingJobName": "j",
                    "ResourceConfig": { "InstanceType": "ml.m5.2xlarge", "InstanceCount": 4, "VolumeSizeInGB": 30 }
                }),
                "GetProducts" => json!({ "PriceList": [] }),
                _ => json!({ "Quotas": [] }),
            };
            (200, answer.to_string().into_bytes())
        })
    }

    fn facts(spending: &Spending) -> Vec<String> {
        spending.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect()
    }

    #[tokio::test]
    async fn a_type_without_quota_is_refused_with_what_could_be_taken() {
        let aws = account().connect(true, None).await;
        let none = look(&aws, Use::Training, "ml.g4dn.xlarge", 1, Some(3600)).await;
        assert!(facts(&none).contains(&"quota: 0".to_owned()), "{:?}", facts(&none));
        let [problem] = &none.problems[..] else { panic!("{:?}", none.problems) };
        assert!(problem.fatal && problem.field == "instance_type");
        assert_eq!(
            problem.message.as_str(),
            "quota 0 for ml.g4dn.xlarge training; take ml.m5.large: quota 15, $0.12/h; ml.m5.xlarge: quota 15, $0.23/h; ml.m5.2xlarge: quota 15, $0.46/h, or ask for more under Service Quotas"
        );
        assert!(!none.more);
    }

    #[tokio::test]
    async fn too_many_and_not_yet_are_told_apart() {
        let aws = account().connect(true, None).await;
        let fine = look(&aws, Use::Training, "ml.m5.2xlarge", 11, Some(5400)).await;
        assert_eq!(facts(&fine), ["price: $5.07/h on AWS · free here", "at most: $7.61 (1.5 h)", "quota: 4 of 15 used"]);
        assert_eq!(fine.problems, []);
        let busy = look(&aws, Use::Training, "ml.m5.2xlarge", 12, None).await;
        assert!(!busy.problems[0].fatal && busy.problems[0].message.as_str().starts_with("4 of the 15"), "{:?}", busy.problems);
        let many = look(&aws, Use::Training, "ml.m5.2xlarge", 16, None).await;
        let said = many.problems[0].message.as_str();
        assert!(
            many.problems[0].fatal && many.problems[0].field == "instance_count" && said.contains("take at most 15"),
            "{said}"
        );
        let endpoint = look(&aws, Use::Endpoint, "ml.m5.2xlarge", 1, None).await;
        assert!(facts(&endpoint).contains(&"quota: 2".to_owned()), "{:?}", facts(&endpoint));
    }
}
