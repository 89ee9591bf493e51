//! What a launch would cost and whether the account may: looked up before anything is spent.

use super::{Aws, Mode, price};
use crate::model::show::money;
use crate::model::{Problem, Safe};

/// What an instance is wanted for: prices and quotas are by use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    Training,
    /// Behind an endpoint: from its creation until it is deleted, whether it is called or not.
    Endpoint,
}

/// What is known of the price.
#[derive(Clone, Debug, Default)]
pub struct Spending {
    /// Short facts for a form: `price`, `at most`.
    pub facts: Vec<(Safe, Safe)>,
    pub problems: Vec<Problem>,
    /// US dollars per hour for all instances, where it is known.
    pub per_hour: Option<f64>,
    /// Where the price is from, and of which day.
    pub source: Option<Safe>,
}

/// Looks up so many instances of a type, running for at most so many seconds (`None`: until they are taken down).
pub async fn look(aws: &Aws, wanted: Use, instance_type: &str, count: i32, seconds: Option<i32>) -> Spending {
    let mut out = Spending::default();
    let mut fact = |name: &str, value: String| out.facts.push((name.into(), Safe::line(&value)));
    let price = match wanted {
        Use::Training => price::training(aws.region(), instance_type),
        Use::Endpoint => price::hosting(aws.region(), instance_type),
    };
    let Some(price) = price else {
        fact("price", format!("not known in {}", aws.region()));
        return out;
    };
    let hour = price.per_hour * f64::from(count);
    let free = if aws.mode() == Mode::Local { " on AWS · free here" } else { "" };
    fact("price", format!("{}/h{free}", money(hour)));
    if let Some(seconds) = seconds {
        fact("at most", format!("{} ({})", money(hour * f64::from(seconds) / 3600.0), length(seconds)));
    }
    out.per_hour = Some(hour);
    out.source = Some(Safe::line(&format!("{}, {}", price.source, price.date)));
    out
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
