//! What there is enough of: vCPUs of the account, capacity of the zones, and the price of spot.
//!
//! Two places are full for good, so that clients can rehearse it: `m5.4xlarge` in zone `a` and `g5.2xlarge` in zone `a` of the
//! region. A launch that names no zone goes elsewhere.

use serde_json::{Value, json};

use super::Ec2;
use super::filter::pass;
use super::instance::{Instance, Spot};
use super::kinds::{self, Kind};
use super::place::{Place, ZONES};
use super::wanted::{Limits, invalid, page, text, texts, time};
use crate::local::engine::host::now_millis;
use crate::local::fault::Fault;
use crate::local::pricing::on_demand;
use crate::local::quotas;

/// Types and zones without capacity.
const FULL: [(&str, char); 2] = [("m5.4xlarge", 'a'), ("g5.2xlarge", 'a')];
/// The price of spot here, of the price on demand. assumed: AWS's moves, and is about that of a quiet day.
const SPOT: f64 = 0.4;

/// How many of the wanted instances fit below the account's quota.
///
/// # Errors
/// `VcpuLimitExceeded`, for spot `MaxSpotInstanceCountExceeded`, when the least number does not fit.
pub fn fitting(ec2: &Ec2, kind: &Kind, spot: bool, least: u32, most: u32) -> Result<u32, Fault> {
    let quota = kind.quota(spot);
    let limit = quotas::ec2_vcpus(quota);
    let instances = ec2.store.all::<Instance>()?;
    let counted = instances.iter().filter(|other| other.state.counts() && other.spot.is_some() == spot);
    let kinds = counted.filter_map(|other| kinds::by_name(&other.kind)).filter(|other| other.quota(spot) == quota);
    let used: u32 = kinds.map(Kind::vcpus).sum();
    let fit = limit.saturating_sub(used) / kind.vcpus().max(1);
    if fit >= least {
        return Ok(fit.min(most));
    }
    if spot {
        return Err(Fault::new("MaxSpotInstanceCountExceeded", 400, "Max spot instance count exceeded"));
    }
    let text = format!(
        "You have requested more vCPU capacity than your current vCPU limit of {limit} allows for the instance bucket that the specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
    );
    Err(Fault::new("VcpuLimitExceeded", 400, text))
}

/// The zone that an instance of this type goes to.
///
/// # Errors
/// `Unsupported` where the type is not offered, `InsufficientInstanceCapacity` where the zone is full.
pub fn zone(place: &Place, kind: &Kind, wanted: Option<char>) -> Result<char, Fault> {
    let names = |letters: Vec<char>| letters.into_iter().map(|letter| place.zone(letter)).collect::<Vec<_>>().join(", ");
    let full = |letter: char| FULL.contains(&(kind.name(), letter));
    let offering: Vec<char> = ZONES.into_iter().filter(|letter| kind.offered_in(*letter)).collect();
    let free: Vec<char> = offering.iter().copied().filter(|letter| !full(*letter)).collect();
    match wanted {
        Some(letter) if !kind.offered_in(letter) => {
            let text = format!(
                "Your requested instance type ({}) is not supported in your requested Availability Zone ({}). Please retry your request by not specifying an Availability Zone or choosing {}.",
                kind.name(),
                place.zone(letter),
                names(offering)
            );
            Err(Fault::new("Unsupported", 400, text))
        }
        Some(letter) if full(letter) => {
            let (name, zone) = (kind.name(), place.zone(letter));
            let text = format!(
                "We currently do not have sufficient {name} capacity in the Availability Zone you requested ({zone}). Our system will be working on provisioning additional capacity. You can currently get {name} capacity by not specifying an Availability Zone in your request or choosing {}.",
                names(free)
            );
            Err(Fault::new("InsufficientInstanceCapacity", 500, text))
        }
        Some(letter) => Ok(letter),
        None => free
            .first()
            .copied()
            .ok_or_else(|| Fault::new("InsufficientInstanceCapacity", 500, format!("Insufficient {} capacity.", kind.name()))),
    }
}

/// What a launch's spot requests are like, but for their ids, when it is for spot.
///
/// # Errors
/// `SpotMaxPriceTooLow`, `InvalidParameterValue`, `Unsupported`, `InvalidParameterCombination`.
pub fn spot(ec2: &Ec2, request: &Value, kind: &Kind) -> Result<Option<Spot>, Fault> {
    let Some(options) = request.get("InstanceMarketOptions") else { return Ok(None) };
    match text(options, "MarketType") {
        Some("spot") => {}
        Some(other) => return Err(Fault::new("Unsupported", 400, format!("The local region does not offer {other} instances."))),
        None => {
            return Err(Fault::new(
                "MissingParameter",
                400,
                "The request must contain the parameter InstanceMarketOptions.MarketType",
            ));
        }
    }
    let spot = &options["SpotOptions"];
    let persistent = text(spot, "SpotInstanceType") == Some("persistent");
    let behaviour = text(spot, "InstanceInterruptionBehavior").unwrap_or("terminate");
    if !persistent && behaviour != "terminate" {
        let text = format!(
            "The parameter instanceInterruptionBehavior '{behaviour}' is only valid for persistent Spot Instance requests"
        );
        return Err(Fault::new("InvalidParameterCombination", 400, text));
    }
    let price = spot_price(&ec2.place, kind.name());
    if let (Some(most), Some(price)) = (text(spot, "MaxPrice"), price) {
        let most: f64 = most.parse().map_err(|_| {
            invalid(format!("Value ({most}) for parameter price is invalid. \"{most}\" is an invalid spot instance price"))
        })?;
        if most < price {
            let text = format!(
                "Your Spot request price of {most} is lower than the minimum required Spot request fulfillment price of {price:.4}."
            );
            return Err(Fault::new("SpotMaxPriceTooLow", 400, text));
        }
    }
    let wish = |member: &str| text(spot, member).map(str::to_owned);
    Ok(Some(Spot {
        request: String::new(),
        persistent,
        price: wish("MaxPrice"),
        interruption: wish("InstanceInterruptionBehavior"),
        cancelled: false,
    }))
}

/// `DescribeSpotPriceHistory`: one price for each type that the price table knows, in each zone, of now.
///
/// # Errors
/// For wrong filters and pages.
pub fn spot_prices(ec2: &Ec2, request: &Value) -> Result<Value, Fault> {
    let (types, products, zone) =
        (texts(request, "InstanceTypes"), texts(request, "ProductDescriptions"), text(request, "AvailabilityZone"));
    let linux = products.is_empty() || products.iter().any(|product| product.starts_with("Linux/UNIX"));
    let at = time(now_millis());
    let mut prices = Vec::new();
    for kind in kinds::all().filter(|kind| linux && (types.is_empty() || types.contains(&kind.name()))) {
        let Some(price) = spot_price(&ec2.place, kind.name()) else { continue };
        for letter in
            ZONES.into_iter().filter(|letter| kind.offered_in(*letter) && zone.is_none_or(|zone| ec2.place.zone(*letter) == zone))
        {
            prices.push(json!({
                "AvailabilityZone": ec2.place.zone(letter),
                "AvailabilityZoneId": ec2.place.zone_id(letter),
                "InstanceType": kind.name(),
                "ProductDescription": "Linux/UNIX",
                "SpotPrice": format!("{price:.6}"),
                "Timestamp": at,
            }));
        }
    }
    let found = pass("DescribeSpotPriceHistory", request, prices)?;
    let keyed = found.into_iter().map(|price| {
        (
            format!(
                "{}/{}",
                text(&price, "InstanceType").unwrap_or_default(),
                text(&price, "AvailabilityZone").unwrap_or_default()
            ),
            price,
        )
    });
    let mut answer = page(request, Limits { least: 1, most: 1000, ids: "" }, "SpotPriceHistory", keyed.collect())?;
    // This listing ends with an empty token.
    if answer.get("NextToken").is_none() {
        answer["NextToken"] = json!("");
    }
    Ok(answer)
}

fn spot_price(place: &Place, kind: &str) -> Option<f64> {
    on_demand_price(place, kind).map(|price| price * SPOT)
}

/// What an hour of a type costs on demand, as far as the price table knows.
#[must_use]
pub fn on_demand_price(place: &Place, kind: &str) -> Option<f64> {
    on_demand(&place.region, kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_zone_says_where_there_is_room() {
        let place = Place { region: "us-east-1".to_owned() };
        let kind = kinds::named("m5.4xlarge").unwrap();
        let fault = zone(&place, kind, Some('a')).unwrap_err();
        assert_eq!((fault.code, fault.status), ("InsufficientInstanceCapacity", 500));
        assert!(fault.message.ends_with("or choosing us-east-1b, us-east-1c, us-east-1d, us-east-1f."), "{}", fault.message);
        assert_eq!(zone(&place, kind, None).unwrap(), 'b');
        assert_eq!(zone(&place, kinds::named("m5.xlarge").unwrap(), None).unwrap(), 'a');
        let fault = zone(&place, kinds::named("t3.medium").unwrap(), Some('e')).unwrap_err();
        assert!(fault.message.starts_with(
            "Your requested instance type (t3.medium) is not supported in your requested Availability Zone (us-east-1e)."
        ));
    }
}
