//! What is searched, as people write it: one hyperparameter a line.
//!
//! `lr = 0.001 .. 0.1 log` (numbers; `log`, `linear`, `reverse-log`, or nothing for automatic scaling), `hidden = 8 .. 64`
//! (whole numbers, as both ends are whole), `batch-size = [32, 64]` (one of these).

use aws_sdk_sagemaker::types::ParameterRanges;
use serde_json::Value;

use crate::aws::script_mode::Bounds;
use crate::aws::script_mode::hyperparameters::{decode, line_of, lines};
use crate::model::{Range, Scalar};

/// AWS's words for scaling with ours, which follow the upper end; automatic needs no word.
const SCALINGS: [(&str, &str); 4] =
    [("Auto", "auto"), ("Linear", "linear"), ("Logarithmic", "log"), ("ReverseLogarithmic", "reverse-log")];
const HOW: &str = "write lr = 0.001 .. 0.1 log, hidden = 8 .. 64, or batch-size = [32, 64]";

/// What one line says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Searched {
    /// Both ends as they were typed, and AWS's word for the scaling.
    Numbers {
        min: String,
        max: String,
        whole: bool,
        scaling: &'static str,
    },
    List(Vec<Scalar>),
}

/// One well-formed line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    /// Counted from 1.
    pub number: usize,
    pub name: String,
    pub searched: Searched,
}

/// Reads the lines; one that cannot be read is `Err` with its number and the remedy.
pub(super) fn parse(text: &str) -> Vec<Result<Line, String>> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some(pair) = lines(line).next() else { continue };
        let number = at + 1;
        found.push(match pair {
            Err((_, text)) => Err(format!("line {number}: '{text}' is no range; {HOW}")),
            Ok((name, said)) => read(said)
                .map(|searched| Line { number, name: name.to_owned(), searched })
                .map_err(|what| format!("line {number}: '{name}' {what}")),
        });
    }
    found
}

/// The well-formed lines alone, for when [`parse`] has been looked at before.
pub(super) fn sound(text: &str) -> Vec<Line> {
    parse(text).into_iter().flatten().collect()
}

fn read(said: &str) -> Result<Searched, String> {
    if said.starts_with('[') {
        return list(said);
    }
    let Some((min, rest)) = said.split_once("..") else {
        return Err(format!("is neither min .. max nor a list; {HOW}, or move a single value to the hyperparameters"));
    };
    let (min, mut rest) = (min.trim(), rest.split_whitespace());
    let (max, word, more) = (rest.next().unwrap_or_default(), rest.next(), rest.next());
    let scaling = match word.map(str::to_lowercase) {
        None => Some("Auto"),
        Some(word) => SCALINGS.iter().find(|(aws, ours)| *ours == word || aws.to_lowercase() == word).map(|(aws, _)| *aws),
    };
    let Some(scaling) = scaling.filter(|_| more.is_none()) else {
        return Err("has a scaling that is not known; after the upper end write nothing, log, linear or reverse-log".to_owned());
    };
    let sound = |end: &str| end.parse::<f64>().is_ok_and(f64::is_finite);
    if !sound(min) || !sound(max) {
        return Err(format!("needs a number on each side of `..`, not '{min}' and '{max}'; for other values write a list"));
    }
    let whole = min.parse::<i64>().is_ok() && max.parse::<i64>().is_ok();
    Ok(Searched::Numbers { min: min.to_owned(), max: max.to_owned(), whole, scaling })
}

fn list(said: &str) -> Result<Searched, String> {
    let how = "is no list; write [32, 64], and texts in double quotes: [\"adam\", \"sgd\"]";
    let values: Vec<Value> = serde_json::from_str(said).map_err(|_| how.to_owned())?;
    let scalars: Option<Vec<Scalar>> = values.into_iter().map(scalar).collect();
    scalars.map(Searched::List).ok_or_else(|| "has a list within the list; only single values can be chosen from".to_owned())
}

fn scalar(value: Value) -> Option<Scalar> {
    match value {
        Value::Bool(value) => Some(Scalar::Bool(value)),
        Value::String(text) => Some(Scalar::Text(text)),
        Value::Number(number) => number.as_i64().map(Scalar::Whole).or_else(|| number.as_f64().map(Scalar::Number)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Searched {
    /// How many different values there are; `None` for numbers with a fraction.
    pub fn count(&self) -> Option<u128> {
        match self {
            Self::List(values) => Some(values.len() as u128),
            Self::Numbers { min, max, whole: true, .. } => {
                let (min, max) = (min.parse::<i64>().ok()?, max.parse::<i64>().ok()?);
                u128::try_from(i128::from(max) - i128::from(min) + 1).ok()
            }
            Self::Numbers { .. } => None,
        }
    }

    /// As it travels. `raw`: the image reads values as they are, and not as JSON.
    pub fn bounds(&self, raw: bool) -> Bounds {
        match self {
            Self::Numbers { min, max, whole, scaling } => {
                let (min, max, scaling) = (min.clone(), max.clone(), (*scaling).to_owned());
                if *whole { Bounds::Integer { min, max, scaling } } else { Bounds::Continuous { min, max, scaling } }
            }
            // The Python SDK makes texts of all categories, and JSON texts of those where script mode decodes them.
            Self::List(values) => Bounds::Categorical(
                values.iter().map(|value| if raw { text_of(value) } else { Value::from(text_of(value)).to_string() }).collect(),
            ),
        }
    }
}

/// A value as Python's `str` writes it, which is what its script gets on the command line.
pub(super) fn text_of(value: &Scalar) -> String {
    match value {
        Scalar::Bool(true) => "True".to_owned(),
        Scalar::Bool(false) => "False".to_owned(),
        Scalar::Text(text) => text.clone(),
        Scalar::Whole(_) | Scalar::Number(_) => line_of(value),
    }
}

/// The lines of a project's ranges.
pub(super) fn lines_of(ranges: &[(String, Range)]) -> String {
    let line = |(name, range): &(String, Range)| match range {
        Range::Continuous { min, max, scaling } => {
            numbers(name, &line_of(&Scalar::Number(*min)), &line_of(&Scalar::Number(*max)), scaling)
        }
        Range::Integer { min, max, scaling } => numbers(name, &min.to_string(), &max.to_string(), scaling),
        Range::Categorical(values) => format!("{name} = [{}]", values.iter().map(shown).collect::<Vec<_>>().join(", ")),
    };
    ranges.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The lines of a tuning job's ranges, each with what it stands for: as long as a line is left as it is, a copy's range
/// is the parent's to the byte.
pub(super) fn lines_of_job(ranges: &ParameterRanges) -> Vec<(String, String, Bounds)> {
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for range in ranges.continuous_parameter_ranges() {
        let scaling = range.scaling_type().map_or("Auto", |scaling| scaling.as_str()).to_owned();
        let (name, min, max) = (owned(range.name()), owned(range.min_value()), owned(range.max_value()));
        found.push((name.clone(), numbers(&name, &min, &max, &scaling), Bounds::Continuous { min, max, scaling }));
    }
    for range in ranges.integer_parameter_ranges() {
        let scaling = range.scaling_type().map_or("Auto", |scaling| scaling.as_str()).to_owned();
        let (name, min, max) = (owned(range.name()), owned(range.min_value()), owned(range.max_value()));
        found.push((name.clone(), numbers(&name, &min, &max, &scaling), Bounds::Integer { min, max, scaling }));
    }
    for range in ranges.categorical_parameter_ranges() {
        let name = owned(range.name());
        let values: Vec<String> = range.values().iter().map(|raw| bare(&decode(raw))).collect();
        let line = format!("{name} = [{}]", values.join(", "));
        found.push((name, line, Bounds::Categorical(range.values().to_vec())));
    }
    found
}

/// Whether two lines of the form say the same.
pub(super) fn same(a: &str, b: &str) -> bool {
    let read = |line: &str| parse(line).into_iter().next().and_then(Result::ok).map(|line| (line.name, line.searched));
    read(a).is_some_and(|a| Some(a) == read(b))
}

fn numbers(name: &str, min: &str, max: &str, scaling: &str) -> String {
    match SCALINGS.iter().find(|(aws, _)| *aws == scaling) {
        None | Some(("Auto", _)) => format!("{name} = {min} .. {max}"),
        Some((_, word)) => format!("{name} = {min} .. {max} {word}"),
    }
}

fn shown(value: &Scalar) -> String {
    match value {
        Scalar::Text(text) => Value::from(text.as_str()).to_string(),
        other => line_of(other),
    }
}

/// A decoded category in a list: numbers and truth values as they are, all else in quotes.
fn bare(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Number(_) | Value::Bool(_)) => text.to_owned(),
        _ => Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(said: &str) -> Result<Searched, String> {
        parse(&format!("x = {said}")).remove(0).map(|line| line.searched)
    }

    #[test]
    fn a_project_reads_back_as_it_was_written_and_travels_as_the_sdk_sends_it() {
        let ranges = [
            ("lr".to_owned(), Range::Continuous { min: 0.001, max: 0.1, scaling: "Logarithmic".into() }),
            ("hidden".to_owned(), Range::Integer { min: 8, max: 64, scaling: "Auto".into() }),
            ("batch".to_owned(), Range::Categorical(vec![Scalar::Whole(32), Scalar::Number(0.5), Scalar::Bool(true)])),
            ("opt".to_owned(), Range::Categorical(vec![Scalar::Text("adam".into()), Scalar::Text("32".into())])),
        ];
        let text = lines_of(&ranges);
        assert_eq!(text, "lr = 0.001 .. 0.1 log\nhidden = 8 .. 64\nbatch = [32, 0.5, true]\nopt = [\"adam\", \"32\"]");
        let sent: Vec<Bounds> = sound(&text).iter().map(|line| line.searched.bounds(false)).collect();
        let texts = |values: &[&str]| Bounds::Categorical(values.iter().map(|value| format!("\"{value}\"")).collect());
        assert_eq!(
            sent,
            [
                Bounds::Continuous { min: "0.001".into(), max: "0.1".into(), scaling: "Logarithmic".into() },
                Bounds::Integer { min: "8".into(), max: "64".into(), scaling: "Auto".into() },
                texts(&["32", "0.5", "True"]),
                texts(&["adam", "32"]),
            ]
        );
        assert_eq!(sound("a = [32]")[0].searched.bounds(true), Bounds::Categorical(vec!["32".into()]));
        assert!(same("lr = 1 .. 2", " lr=1..2") && !same("lr = 1 .. 2", "lr = 1 .. 3") && !same("lr", "lr"));
    }

    #[test]
    fn each_mistake_has_its_line_and_a_remedy() {
        let table = [
            ("3", "move a single value"),
            ("a .. 2", "a number on each side"),
            ("1 .. ", "a number on each side"),
            ("1 .. nan", "a number on each side"),
            ("1 .. 2 cubic", "log, linear or reverse-log"),
            ("1 .. 2 log log", "log, linear or reverse-log"),
            ("[adam]", "double quotes"),
            ("[[1], [2]]", "single values"),
        ];
        for (said, part) in table {
            let told = one(said).unwrap_err();
            assert!(told.starts_with("line 1: 'x'") && told.contains(part), "{said}: {told}");
        }
        assert!(parse("\n# no\nlr 0.1")[0].as_ref().unwrap_err().starts_with("line 3: 'lr 0.1'"));
    }

    #[test]
    fn whole_numbers_and_lists_can_be_counted() {
        assert_eq!(one("-1 .. 3").unwrap().count(), Some(5));
        assert_eq!(one("[1, 2]").unwrap().count(), Some(2));
        assert_eq!(one("1 .. 2.0").unwrap().count(), None);
    }
}
