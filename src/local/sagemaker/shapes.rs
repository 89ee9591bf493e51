//! Checks a request against the service model, as AWS's own front end does before the service sees it: types, required
//! members, lengths, ranges, patterns, enums, with its message texts.
//!
//! Each `shapes.json` is an extract of a model (its first line says of which version), written by `shapes.py`; an operation
//! is added by adding its name there.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexBuilder};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::local::fault::Fault;

/// The operations of SageMaker; a shape that several extracts have is the same in all of them.
static SAGEMAKER: LazyLock<Model> = LazyLock::new(|| {
    Model::read(
        "SageMaker",
        &[include_str!("shapes.json"), include_str!("hosting/shapes.json"), include_str!("notebooks/shapes.json")],
    )
});

/// Compiled patterns with long counted repeats are larger than the crate's default of 10 MB.
const PATTERN_BYTES: usize = 256 << 20;

/// The operations of one service, and the shapes of what they take and give.
#[derive(Deserialize)]
pub struct Model {
    /// The service's name, for messages.
    #[serde(skip)]
    service: &'static str,
    operations: HashMap<String, Operation>,
    shapes: HashMap<String, Shape>,
}

#[derive(Deserialize)]
struct Operation {
    input: String,
    #[cfg_attr(not(test), expect(dead_code, reason = "answers are checked by tests"))]
    output: Option<String>,
}

#[derive(Deserialize)]
struct Shape {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(default)]
    required: Vec<String>,
    /// Members of a structure in the model's order, each with the name of its shape.
    #[serde(default)]
    members: Map<String, Value>,
    member: Option<String>,
    key: Option<String>,
    value: Option<String>,
    min: Option<i64>,
    max: Option<i64>,
    pattern: Option<String>,
    #[serde(default, rename = "enum")]
    choices: Vec<String>,
    #[serde(skip)]
    compiled: OnceLock<Option<Regex>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Structure,
    List,
    Map,
    String,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Timestamp,
}

/// Checks the input of an operation of SageMaker: see [`Model::accept`].
///
/// # Errors
/// As [`Model::accept`].
pub fn accept(operation: &str, input: Value) -> Result<Map<String, Value>, Fault> {
    SAGEMAKER.accept(operation, input)
}

/// Whether a structure of SageMaker's model has this member.
pub fn has(shape: &str, member: &str) -> bool {
    SAGEMAKER.shape(shape).members.contains_key(member)
}

/// The values of an enum of SageMaker's model, in its order.
pub fn choices(shape: &str) -> &'static [String] {
    &SAGEMAKER.shape(shape).choices
}

fn serialization(message: &str) -> Fault {
    Fault::new("SerializationException", 400, message)
}

impl Model {
    /// Reads extracts made by shapes.py.
    pub fn read(service: &'static str, parts: &[&str]) -> Self {
        let mut whole = Self { service, operations: HashMap::new(), shapes: HashMap::new() };
        for part in parts {
            // Infallible: the text is part of the program, and a test reads it.
            let part: Self = serde_json::from_str(part).expect("the embedded model is valid");
            whole.operations.extend(part.operations);
            whole.shapes.extend(part.shapes);
        }
        whole
    }

    /// Checks the input of an operation and returns it with the members that the model knows; others are ignored, as are
    /// members that are null. assumed: AWS ignores unknown members.
    ///
    /// # Errors
    /// `UnknownOperationException` for an operation that is not offered, `SerializationException` for a wrong JSON type,
    /// `ValidationException` with all violations in one message.
    pub fn accept(&self, operation: &str, input: Value) -> Result<Map<String, Value>, Fault> {
        let shape = self.operations.get(operation).map(|operation| operation.input.as_str());
        let Some(shape) = shape else {
            return Err(Fault::new(
                "UnknownOperationException",
                400,
                format!("The local region does not offer the {} operation {operation}.", self.service),
            ));
        };
        self.check(shape, input)
    }

    fn check(&self, shape: &str, input: Value) -> Result<Map<String, Value>, Fault> {
        let mut violations = Vec::new();
        let known = self.walk(shape, input, "", &mut violations)?;
        match violations.len() {
            0 => {}
            1 => return Err(Fault::validation(format!("1 validation error detected: {}", violations[0]))),
            count => return Err(Fault::validation(format!("{count} validation errors detected: {}", violations.join("; ")))),
        }
        match known {
            Value::Object(members) => Ok(members),
            _ => Err(serialization("Start of structure or map expected.")),
        }
    }

    /// For tests: whether an answer is valid in the model, without members that it does not know.
    #[cfg(test)]
    pub fn check_answer(&self, operation: &str, answer: &Value) -> Result<(), String> {
        let output = self.operations[operation].output.as_deref().ok_or("has no output")?;
        let known = self.check(output, answer.clone()).map_err(|fault| fault.message)?;
        if Value::Object(known.clone()) == *answer {
            Ok(())
        } else {
            Err(format!("{answer}\nhas members unknown to the model; known are\n{known:?}"))
        }
    }

    /// For tests: that every shape that is referred to is there, and every pattern can be used.
    #[cfg(test)]
    pub fn assert_whole(&self) {
        for shape in self.shapes.values() {
            let names = shape.members.values().filter_map(Value::as_str).chain(shape.member.as_deref());
            for name in names.chain(shape.key.as_deref()).chain(shape.value.as_deref()) {
                assert!(self.shapes.contains_key(name), "{name} is missing");
            }
            if let Some(pattern) = shape.pattern.as_deref() {
                assert!(compile(pattern).is_some(), "{pattern} does not compile");
            }
        }
    }

    /// Infallible for names in the model; a test walks them all.
    fn shape(&self, name: &str) -> &Shape {
        &self.shapes[name]
    }

    fn walk(&self, name: &str, value: Value, path: &str, violations: &mut Vec<String>) -> Result<Value, Fault> {
        let shape = self.shape(name);
        expect_kind(shape.kind, &value)?;
        match value {
            Value::Object(entries) if shape.kind == Kind::Structure => self.structure(shape, entries, path, violations),
            Value::Object(entries) => self.map(shape, entries, path, violations),
            Value::Array(values) => self.list(shape, values, path, violations),
            scalar => {
                for constraint in shape.broken(&scalar) {
                    violations.push(violation(Some(&scalar), path, &constraint));
                }
                Ok(scalar)
            }
        }
    }

    fn structure(
        &self,
        shape: &Shape,
        mut entries: Map<String, Value>,
        path: &str,
        violations: &mut Vec<String>,
    ) -> Result<Value, Fault> {
        let mut known = Map::new();
        for (member, target) in &shape.members {
            let path = join(path, &lower_first(member));
            match entries.remove(member) {
                None | Some(Value::Null) => {
                    if shape.required.contains(member) {
                        violations.push(violation(None, &path, "Member must not be null"));
                    }
                }
                Some(value) => {
                    let target = target.as_str().unwrap_or_default();
                    known.insert(member.clone(), self.walk(target, value, &path, violations)?);
                }
            }
        }
        Ok(Value::Object(known))
    }

    fn list(&self, shape: &Shape, values: Vec<Value>, path: &str, violations: &mut Vec<String>) -> Result<Value, Fault> {
        let target = shape.member.as_deref().unwrap_or_default();
        let values: Vec<Value> = values.into_iter().filter(|value| !value.is_null()).collect();
        for constraint in shape.broken_length(values.len()) {
            violations.push(violation(Some(&Value::Array(values.clone())), path, &constraint));
        }
        if self.shape(target).is_scalar() {
            for value in &values {
                expect_kind(self.shape(target).kind, value)?;
            }
            if values.iter().any(|value| !self.shape(target).broken(value).is_empty()) {
                let constraint = format!("Member must satisfy constraint: [{}]", self.shape(target).rules().join(", "));
                violations.push(violation(Some(&Value::Array(values.clone())), path, &constraint));
            }
            return Ok(Value::Array(values));
        }
        let walked = values.into_iter().enumerate().map(|(index, value)| {
            let path = format!("{path}.{}.member", index + 1);
            self.walk(target, value, &path, violations)
        });
        walked.collect::<Result<_, _>>().map(Value::Array)
    }

    fn map(&self, shape: &Shape, entries: Map<String, Value>, path: &str, violations: &mut Vec<String>) -> Result<Value, Fault> {
        let key_shape = self.shape(shape.key.as_deref().unwrap_or_default());
        let target = shape.value.as_deref().unwrap_or_default();
        let value_shape = self.shape(target);
        let shown = Value::Object(entries.clone());
        for constraint in shape.broken_length(entries.len()) {
            violations.push(violation(Some(&shown), path, &constraint));
        }
        if entries.keys().any(|key| !key_shape.broken(&Value::from(key.as_str())).is_empty()) {
            let constraint = format!("Map keys must satisfy constraint: [{}]", key_shape.rules().join(", "));
            violations.push(violation(Some(&shown), path, &constraint));
        }
        if value_shape.is_scalar() {
            for value in entries.values() {
                expect_kind(value_shape.kind, value)?;
            }
            if entries.values().any(|value| !value_shape.broken(value).is_empty()) {
                let constraint = format!("Map value must satisfy constraint: [{}]", value_shape.rules().join(", "));
                violations.push(violation(Some(&shown), path, &constraint));
            }
            return Ok(Value::Object(entries));
        }
        let walked = entries.into_iter().map(|(key, value)| {
            let walked = self.walk(target, value, &format!("{path}.{key}.member"), violations)?;
            Ok((key, walked))
        });
        walked.collect::<Result<Map<_, _>, _>>().map(Value::Object)
    }
}

impl Shape {
    fn is_scalar(&self) -> bool {
        !matches!(self.kind, Kind::Structure | Kind::List | Kind::Map)
    }

    /// The constraints that a scalar breaks.
    fn broken(&self, value: &Value) -> Vec<String> {
        match (self.kind, value) {
            (Kind::String, Value::String(text)) if !self.choices.is_empty() => {
                if self.choices.contains(text) {
                    Vec::new()
                } else {
                    self.rules()
                }
            }
            (Kind::String, Value::String(text)) => {
                // Java counts UTF-16 units.
                let mut broken = self.broken_length(text.encode_utf16().count());
                if let Some(pattern) = self.pattern.as_deref().filter(|_| !self.matches(text)) {
                    broken.push(pattern_rule(pattern));
                }
                broken
            }
            (Kind::Integer | Kind::Long, Value::Number(number)) => {
                // The front end cuts fractions off.
                #[expect(clippy::cast_possible_truncation, reason = "saturates, and both ends are checked")]
                let number = number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or_default() as i64);
                let below = self
                    .min
                    .filter(|min| number < *min)
                    .map(|min| format!("Member must have value greater than or equal to {min}"));
                let above =
                    self.max.filter(|max| number > *max).map(|max| format!("Member must have value less than or equal to {max}"));
                below.into_iter().chain(above).collect()
            }
            _ => Vec::new(),
        }
    }

    fn broken_length(&self, length: usize) -> Vec<String> {
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let above =
            self.max.filter(|max| length > *max).map(|max| format!("Member must have length less than or equal to {max}"));
        let below =
            self.min.filter(|min| length < *min).map(|min| format!("Member must have length greater than or equal to {min}"));
        above.into_iter().chain(below).collect()
    }

    /// All constraints of a scalar, as the message of a list or map shows them.
    fn rules(&self) -> Vec<String> {
        if !self.choices.is_empty() {
            return vec![format!("Member must satisfy enum value set: [{}]", self.choices.join(", "))];
        }
        let noun = if self.kind == Kind::String { "length" } else { "value" };
        let max = self.max.map(|max| format!("Member must have {noun} less than or equal to {max}"));
        let min = self.min.map(|min| format!("Member must have {noun} greater than or equal to {min}"));
        max.into_iter().chain(min).chain(self.pattern.as_deref().map(pattern_rule)).collect()
    }

    fn matches(&self, text: &str) -> bool {
        let Some(pattern) = self.pattern.as_deref() else { return true };
        let compiled = self.compiled.get_or_init(|| compile(pattern));
        // The one look-behind of the model stands at the end of its pattern.
        let behind = !pattern.ends_with("(?<!-)") || !text.ends_with('-');
        behind && compiled.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

fn pattern_rule(pattern: &str) -> String {
    format!("Member must satisfy regular expression pattern: {pattern}")
}

/// The model's patterns are Java's: classes are ASCII, and a match covers the whole text.
fn compile(pattern: &str) -> Option<Regex> {
    let mut ported = pattern.to_owned();
    for (java, rust) in [
        ("(?<!-)", ""),
        // What it looks ahead for are the lengths that the shape has, too.
        ("(?=.{2,32}$)", ""),
        (r"\p{Alnum}", "[a-zA-Z0-9]"),
        (r"\d", "[0-9]"),
        (r"\w", "[a-zA-Z_0-9]"),
        (r"\S", r"[^ \t\n\x0B\f\r]"),
        (r"\s", r"[ \t\n\x0B\f\r]"),
    ] {
        ported = ported.replace(java, rust);
    }
    RegexBuilder::new(&format!(r"\A(?:{ported})\z")).size_limit(PATTERN_BYTES).build().ok()
}

/// The texts are those of AWS's JSON reader.
fn expect_kind(kind: Kind, value: &Value) -> Result<(), Fault> {
    let fits = match kind {
        Kind::Structure | Kind::Map => value.is_object(),
        Kind::List => value.is_array(),
        Kind::String => value.is_string(),
        Kind::Boolean => value.is_boolean(),
        Kind::Integer | Kind::Long | Kind::Float | Kind::Double | Kind::Timestamp => value.is_number(),
    };
    if fits {
        return Ok(());
    }
    let message = match (kind, value) {
        (Kind::Structure | Kind::Map | Kind::List, Value::String(_)) => "Unexpected field type",
        (_, Value::Array(_)) => "Start of list found where not expected",
        (_, Value::Object(_)) => "Start of structure or map found where not expected.",
        (_, other) => return Err(serialization(&format!("{} can not be converted to {}", token(other), class(kind)))),
    };
    Err(serialization(message))
}

fn token(value: &Value) -> &'static str {
    match value {
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Number(number) if number.is_f64() => "DECIMAL_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::String(_) => "STRING_VALUE",
        _ => "NULL_VALUE",
    }
}

fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Structure | Kind::Map => "a Map",
        Kind::List => "a List",
        Kind::String => "String",
        Kind::Integer => "Integer",
        Kind::Long => "Long",
        Kind::Float => "Float",
        Kind::Double => "Double",
        Kind::Boolean => "Boolean",
        Kind::Timestamp => "milliseconds since epoch",
    }
}

fn violation(value: Option<&Value>, path: &str, constraint: &str) -> String {
    let shown = value.map_or_else(|| "null".to_owned(), |value| format!("'{}'", java(value)));
    format!("Value {shown} at '{path}' failed to satisfy constraint: {constraint}")
}

/// A value as Java's `toString` shows it.
fn java(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(java).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let mut text = String::from("{");
            for (index, (key, value)) in entries.iter().enumerate() {
                // Infallible: writing to a String.
                let _ = write!(text, "{}{key}={}", if index == 0 { "" } else { ", " }, java(value));
            }
            text + "}"
        }
        other => other.to_string(),
    }
}

fn join(path: &str, member: &str) -> String {
    if path.is_empty() { member.to_owned() } else { format!("{path}.{member}") }
}

/// Messages name members in Java's way: `trainingJobName`, `s3Uri`.
fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map(|first| first.to_ascii_lowercase()).into_iter().chain(characters).collect()
}

/// For tests: whether an answer of SageMaker is valid in its model.
#[cfg(test)]
pub fn check_answer(operation: &str, answer: &Value) -> Result<(), String> {
    SAGEMAKER.check_answer(operation, answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(operation: &str, input: Value) -> String {
        accept(operation, input).expect_err("is refused").message
    }

    #[test]
    fn the_embedded_model_is_whole() {
        SAGEMAKER.assert_whole();
    }

    #[test]
    fn messages_are_awss_own() {
        assert_eq!(
            message("DescribeTrainingJob", json!({"TrainingJobName": "a_b"})),
            "1 validation error detected: Value 'a_b' at 'trainingJobName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
        );
        assert_eq!(
            message("DescribeTrainingJob", json!({"TrainingJobName": null})),
            "1 validation error detected: Value null at 'trainingJobName' failed to satisfy constraint: Member must not be null"
        );
        assert_eq!(
            message("ListTrainingJobs", json!({"MaxResults": 101, "SortOrder": "Up"})),
            "2 validation errors detected: Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100; Value 'Up' at 'sortOrder' failed to satisfy constraint: Member must satisfy enum value set: [Ascending, Descending]"
        );
        assert!(
            message("DescribeTrainingJob", json!({"TrainingJobName": "a".repeat(64)}))
                .starts_with("2 validation errors detected: ")
        );
    }

    #[test]
    fn paths_count_members_from_one() {
        let text = message(
            "AddTags",
            json!({"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:training-job/a", "Tags": [{"Key": "k", "Value": "v"}, {"Key": "", "Value": "v"}]}),
        );
        assert!(
            text.contains(
                "at 'tags.2.member.key' failed to satisfy constraint: Member must have length greater than or equal to 1"
            ),
            "{text}"
        );
    }

    #[test]
    fn maps_show_their_rules() {
        let text = message(
            "CreateTrainingJob",
            json!({"TrainingJobName": "a", "RoleArn": "arn:aws:iam::000000000000:role/r", "OutputDataConfig": {"S3OutputPath": "s3://b"}, "HyperParameters": {"k": "v".repeat(2501)}}),
        );
        assert!(text.contains("at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 2500"), "{text}");
    }

    #[test]
    fn wrong_types_do_not_get_as_far_as_validation() {
        for (input, text) in [
            (json!({"TrainingJobName": 7}), "NUMBER_VALUE can not be converted to String"),
            (json!({"TrainingJobName": {}}), "Start of structure or map found where not expected."),
            (json!([]), "Start of list found where not expected"),
        ] {
            let fault = accept("DescribeTrainingJob", input).expect_err("is refused");
            assert_eq!((fault.code, fault.message.as_str()), ("SerializationException", text));
        }
    }

    #[test]
    fn unknown_members_are_dropped_and_unknown_operations_refused() {
        let known = accept("DescribeTrainingJob", json!({"TrainingJobName": "a", "New": 1})).expect("is accepted");
        assert_eq!(Value::Object(known), json!({"TrainingJobName": "a"}));
        assert_eq!(accept("CreateCluster", json!({})).expect_err("is refused").code, "UnknownOperationException");
    }
}
