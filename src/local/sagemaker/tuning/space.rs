//! What is searched: the ranges of a tuning job, and the way between a hyperparameter's text and its place in its range.

use serde_json::Value;

use crate::local::fault::Fault;

/// From this quotient of its ends on, a range that leaves the scale to the service is searched logarithmically.
/// assumed: AWS documents only that `Auto` chooses what is best.
const WIDE: f64 = 100.0;
/// Above it, whole numbers are not exact as `f64`.
const LARGEST: i64 = 1 << 53;

/// The hyperparameters that are tuned, in the request's order: continuous, integer, categorical.
#[derive(Clone, Debug)]
pub struct Space {
    pub parameters: Vec<Parameter>,
}

/// One tuned hyperparameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: String,
    pub kind: Kind,
}

/// What values it may take.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Continuous {
        low: f64,
        high: f64,
        scale: Scale,
    },
    Integer {
        low: i64,
        high: i64,
        scale: Scale,
    },
    /// The texts exactly as they were sent: the Python SDK puts JSON into them, quotes included.
    Categorical(Vec<String>),
}

/// How a numeric range is searched (developer guide, "Hyperparameter Scaling").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Linear,
    /// For values over orders of magnitude; the range is above 0.
    Logarithmic,
    /// For values close to 1; the range is within 0 <= x < 1.
    ReverseLogarithmic,
}

impl Space {
    /// Reads `ParameterRanges`.
    ///
    /// # Errors
    /// `ValidationException` that names the hyperparameter and the remedy. assumed: the texts, unless noted.
    pub fn read(ranges: &Value) -> Result<Self, Fault> {
        let list = |member: &str| ranges.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
        let mut parameters = Vec::new();
        for range in list("ContinuousParameterRanges") {
            parameters.push(Parameter { name: string(&range, "Name"), kind: continuous(&range)? });
        }
        for range in list("IntegerParameterRanges") {
            parameters.push(Parameter { name: string(&range, "Name"), kind: integer(&range)? });
        }
        for range in list("CategoricalParameterRanges") {
            parameters.push(Parameter { name: string(&range, "Name"), kind: categorical(&range)? });
        }
        if parameters.is_empty() {
            return Err(Fault::validation(
                "At least one hyperparameter range is required in ParameterRanges. Add a continuous, integer or categorical range.",
            ));
        }
        // API reference: the array of all ranges together.
        if parameters.len() > 30 {
            return Err(Fault::validation(format!(
                "{} hyperparameter ranges were sent in ParameterRanges; at most 30 can be tuned. Make some of them static.",
                parameters.len()
            )));
        }
        for (index, parameter) in parameters.iter().enumerate() {
            if parameters[..index].iter().any(|other| other.name == parameter.name) {
                return Err(Fault::validation(format!(
                    "The hyperparameter {} has more than one range in ParameterRanges. Keep one of them.",
                    parameter.name
                )));
            }
        }
        Ok(Self { parameters })
    }

    /// The number of different candidates; infinite with a continuous range.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a number to compare with and to show")]
    pub fn combinations(&self) -> f64 {
        self.parameters.iter().map(|parameter| parameter.kind.choices().map_or(f64::INFINITY, |choices| choices as f64)).product()
    }

    /// The first range that is not categorical.
    #[must_use]
    pub fn numeric(&self) -> Option<&Parameter> {
        self.parameters.iter().find(|parameter| !matches!(parameter.kind, Kind::Categorical(_)))
    }
}

impl Kind {
    /// How many values there are; `None` for a continuous range.
    #[must_use]
    pub fn choices(&self) -> Option<u64> {
        match self {
            Self::Continuous { .. } => None,
            Self::Integer { low, high, .. } => Some(high.abs_diff(*low) + 1),
            Self::Categorical(values) => Some(values.len() as u64),
        }
    }

    /// The text of the value at a place: 0 <= place < 1.
    #[must_use]
    pub fn value(&self, place: f64) -> String {
        let place = place.clamp(0.0, 1.0);
        match self {
            Self::Continuous { low, high, scale } => scale.at(place, *low, *high).clamp(*low, *high).to_string(),
            Self::Integer { low, high, scale } => {
                #[expect(clippy::cast_precision_loss, reason = "ends are below 2^53")]
                let (from, to) = (*low as f64, (*high + 1) as f64);
                #[expect(clippy::cast_possible_truncation, reason = "saturates, and is clamped")]
                let whole = scale.at(place, from, to).floor() as i64;
                whole.clamp(*low, *high).to_string()
            }
            Self::Categorical(values) => values[self.index(place)].clone(),
        }
    }

    /// The place of a value; `None` when it is not in the range. The inverse of [`Kind::value`].
    #[must_use]
    pub fn place(&self, value: &str) -> Option<f64> {
        let place = match self {
            Self::Continuous { low, high, scale } => {
                let value: f64 = value.parse().ok().filter(|value| (low..=high).contains(&value))?;
                scale.place(value, *low, *high)
            }
            Self::Integer { low, high, scale } => {
                let value: i64 = value.parse().ok().filter(|value| (low..=high).contains(&value))?;
                #[expect(clippy::cast_precision_loss, reason = "ends are below 2^53")]
                scale.place(value as f64 + 0.5, *low as f64, (*high + 1) as f64)
            }
            Self::Categorical(values) => {
                let index = values.iter().position(|other| other == value)?;
                #[expect(clippy::cast_precision_loss, reason = "30 values at most")]
                let place = (index as f64 + 0.5) / values.len() as f64;
                place
            }
        };
        Some(place.clamp(0.0, 1.0 - f64::EPSILON))
    }

    /// The value with a number, counted from 0; `None` for a continuous range.
    #[must_use]
    pub fn nth(&self, number: u64) -> Option<String> {
        match self {
            Self::Continuous { .. } => None,
            Self::Integer { low, .. } => Some(low.saturating_add_unsigned(number).to_string()),
            Self::Categorical(values) => values.get(usize::try_from(number).ok()?).cloned(),
        }
    }

    /// Which category is at a place.
    fn index(&self, place: f64) -> usize {
        let Self::Categorical(values) = self else { return 0 };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "30 values at most, and place is not negative"
        )]
        let index = (place * values.len() as f64) as usize;
        index.min(values.len() - 1)
    }
}

impl Scale {
    fn at(self, place: f64, low: f64, high: f64) -> f64 {
        match self {
            Self::Linear => low + place * (high - low),
            Self::Logarithmic => (low.ln() + place * (high.ln() - low.ln())).exp(),
            Self::ReverseLogarithmic => {
                let (from, to) = ((1.0 - low).ln(), (1.0 - high).ln());
                1.0 - (from + place * (to - from)).exp()
            }
        }
    }

    fn place(self, value: f64, low: f64, high: f64) -> f64 {
        match self {
            Self::Linear => (value - low) / (high - low),
            Self::Logarithmic => (value.ln() - low.ln()) / (high.ln() - low.ln()),
            Self::ReverseLogarithmic => {
                let (from, to) = ((1.0 - low).ln(), (1.0 - high).ln());
                ((1.0 - value).ln() - from) / (to - from)
            }
        }
    }
}

fn continuous(range: &Value) -> Result<Kind, Fault> {
    let (name, low, high) = (string(range, "Name"), bound::<f64>(range, "MinValue")?, bound::<f64>(range, "MaxValue")?);
    if !low.is_finite() || !high.is_finite() {
        return Err(Fault::validation(format!("The ends of the range of {name} must be finite numbers.")));
    }
    check_order(&name, &low, &high)?;
    let scale = match string(range, "ScalingType").as_str() {
        "Logarithmic" if low <= 0.0 => return Err(not_logarithmic(&name, low)),
        "ReverseLogarithmic" if low < 0.0 || high >= 1.0 => {
            return Err(Fault::validation(format!(
                "ReverseLogarithmic scaling needs a range within 0 <= x < 1, and that of {name} is {low} to {high}. Choose another ScalingType."
            )));
        }
        "Linear" => Scale::Linear,
        "Logarithmic" => Scale::Logarithmic,
        "ReverseLogarithmic" => Scale::ReverseLogarithmic,
        _ => automatic(low, high),
    };
    Ok(Kind::Continuous { low, high, scale })
}

fn integer(range: &Value) -> Result<Kind, Fault> {
    let (name, low, high) = (string(range, "Name"), bound::<i64>(range, "MinValue")?, bound::<i64>(range, "MaxValue")?);
    check_order(&name, &low, &high)?;
    if low <= -LARGEST || high >= LARGEST {
        return Err(Fault::validation(format!("The integer range of {name} is too large. Keep it within +-{LARGEST}.")));
    }
    #[expect(clippy::cast_precision_loss, reason = "just checked")]
    let (from, to) = (low as f64, high as f64);
    let scale = match string(range, "ScalingType").as_str() {
        "Logarithmic" if low <= 0 => return Err(not_logarithmic(&name, from)),
        "ReverseLogarithmic" => {
            return Err(Fault::validation(format!(
                "ReverseLogarithmic scaling is for continuous ranges within 0 <= x < 1; {name} is an integer. Choose another ScalingType."
            )));
        }
        "Linear" => Scale::Linear,
        "Logarithmic" => Scale::Logarithmic,
        _ => automatic(from, to),
    };
    Ok(Kind::Integer { low, high, scale })
}

fn categorical(range: &Value) -> Result<Kind, Fault> {
    let name = string(range, "Name");
    let values = range.get("Values").and_then(Value::as_array).into_iter().flatten();
    let values: Vec<String> = values.filter_map(Value::as_str).map(str::to_owned).collect();
    for (index, value) in values.iter().enumerate() {
        if values[..index].contains(value) {
            return Err(Fault::validation(format!(
                "The categorical values of {name} hold {value} more than once. Values must be unique."
            )));
        }
    }
    Ok(Kind::Categorical(values))
}

fn automatic(low: f64, high: f64) -> Scale {
    if low > 0.0 && high / low >= WIDE { Scale::Logarithmic } else { Scale::Linear }
}

/// AWS refuses a range of one value as well as an inverted one.
fn check_order<T: PartialOrd + std::fmt::Display>(name: &str, low: &T, high: &T) -> Result<(), Fault> {
    if low < high {
        return Ok(());
    }
    let remedy = if low == high { "Make it a static hyperparameter, or widen the range." } else { "Exchange them." };
    Err(Fault::validation(format!(
        "The MinValue {low} of the hyperparameter {name} must be less than its MaxValue {high}. {remedy}"
    )))
}

fn not_logarithmic(name: &str, low: f64) -> Fault {
    Fault::validation(format!(
        "Logarithmic scaling needs a range above 0, and that of {name} begins at {low}. Raise MinValue, or choose another ScalingType."
    ))
}

fn bound<T: std::str::FromStr>(range: &Value, member: &str) -> Result<T, Fault> {
    let text = string(range, member);
    let kind = if std::any::type_name::<T>() == "i64" { "a whole number" } else { "a number" };
    text.trim().parse().map_err(|_| {
        Fault::validation(format!("The {member} {text} of the hyperparameter {} is not {kind}.", string(range, "Name")))
    })
}

fn string(value: &Value, member: &str) -> String {
    value.get(member).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn refused(ranges: &Value) -> String {
        Space::read(ranges).expect_err("is refused").message
    }

    fn range(low: &str, high: &str, scaling: &str) -> Value {
        json!({"Name": "x", "MinValue": low, "MaxValue": high, "ScalingType": scaling})
    }

    #[test]
    fn wrong_ranges_are_refused_with_the_hyperparameters_name() {
        for (ranges, part) in [
            (json!({}), "At least one"),
            (
                json!({"ContinuousParameterRanges": [range("0.1", "0.001", "Auto")]}),
                "must be less than its MaxValue 0.001. Exchange",
            ),
            (json!({"IntegerParameterRanges": [range("3", "3", "Auto")]}), "MinValue 3 of the hyperparameter x must be less"),
            (
                json!({"IntegerParameterRanges": [range("1.5", "3", "Auto")]}),
                "MinValue 1.5 of the hyperparameter x is not a whole",
            ),
            (json!({"ContinuousParameterRanges": [range("", "3", "Auto")]}), "is not a number"),
            (json!({"ContinuousParameterRanges": [range("nan", "3", "Auto")]}), "finite"),
            (json!({"ContinuousParameterRanges": [range("0", "3", "Logarithmic")]}), "above 0"),
            (json!({"ContinuousParameterRanges": [range("0", "1", "ReverseLogarithmic")]}), "0 <= x < 1"),
            (json!({"IntegerParameterRanges": [range("1", "2", "ReverseLogarithmic")]}), "is an integer"),
            (json!({"CategoricalParameterRanges": [{"Name": "c", "Values": ["\"a\"", "b", "\"a\""]}]}), "\"a\" more than once"),
            (
                json!({"IntegerParameterRanges": [range("1", "2", "Auto")], "CategoricalParameterRanges": [{"Name": "x", "Values": ["a"]}]}),
                "more than one range",
            ),
        ] {
            let message = refused(&ranges);
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn auto_is_logarithmic_over_orders_of_magnitude() {
        let scale = |low: &str, high: &str| match continuous(&range(low, high, "Auto")).expect("is read") {
            Kind::Continuous { scale, .. } => scale,
            other => panic!("{other:?}"),
        };
        assert_eq!(scale("0.001", "0.1"), Scale::Logarithmic);
        assert_eq!(scale("0.01", "0.1"), Scale::Linear);
        assert_eq!(scale("0", "100"), Scale::Linear);
    }

    #[test]
    fn half_way_on_each_scale() {
        let middle = |scale, low, high| Kind::Continuous { low, high, scale }.value(0.5).parse::<f64>().expect("a number");
        assert!((middle(Scale::Linear, 0.0, 10.0) - 5.0).abs() < 1e-12);
        assert!((middle(Scale::Logarithmic, 0.001, 0.1) - 0.01).abs() < 1e-12);
        assert!((middle(Scale::ReverseLogarithmic, 0.9, 0.999) - 0.99).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn candidates_are_in_range_and_found_again(place in 0.0..1.0_f64, low in 1e-6..0.4_f64, width in 1e-6..0.5_f64, from in -50_i64..50, many in 1_i64..9) {
            for scale in [Scale::Linear, Scale::Logarithmic, Scale::ReverseLogarithmic] {
                let kind = Kind::Continuous { low, high: low + width, scale };
                let text = kind.value(place);
                let value: f64 = text.parse().expect("a number");
                prop_assert!((low..=low + width).contains(&value));
                prop_assert!((kind.place(&text).expect("is in range") - place).abs() < 1e-6);
            }
            let kind = Kind::Integer { low: from, high: from + many, scale: Scale::Linear };
            let text = kind.value(place);
            prop_assert!((from..=from + many).contains(&text.parse::<i64>().expect("a whole number")));
            prop_assert_eq!(kind.value(kind.place(&text).expect("is in range")), text);
            let values: Vec<String> = (0..many).map(|number| format!("\"{number}\" ")).collect();
            let kind = Kind::Categorical(values.clone());
            let text = kind.value(place);
            prop_assert!(values.contains(&text));
            prop_assert_eq!(kind.value(kind.place(&text).expect("is in range")), text);
            prop_assert!(kind.place("\"x\"").is_none());
        }
    }
}
