//! The service model of EC2, as far as the local region offers it: which members an operation has, of which type, and what
//! they are called on the wire. The extract `shapes.json` is written by `shapes.py`.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The model. Infallible: the text is part of the program, and a test reads it.
pub static MODEL: LazyLock<Model> =
    LazyLock::new(|| serde_json::from_str(include_str!("shapes.json")).expect("the embedded model is valid"));

/// Operations and the shapes of what they take and give.
#[derive(Debug, Deserialize)]
pub struct Model {
    operations: HashMap<String, Operation>,
    shapes: HashMap<String, Shape>,
}

/// What an operation takes and gives.
#[derive(Debug, Deserialize)]
pub struct Operation {
    /// Name of the shape of its parameters.
    pub input: String,
    /// Name of the shape of its answer; none answers `<return>true</return>`.
    pub output: Option<String>,
    /// The names of its filters, and where in an item of the answer each finds its values, as `State.Name`; empty where items
    /// have none.
    #[serde(default)]
    pub filters: HashMap<String, String>,
}

/// A type of the model.
#[derive(Debug, Deserialize)]
pub struct Shape {
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Names of the members that a request must have.
    #[serde(default)]
    pub required: Vec<String>,
    #[serde(default)]
    members: Map<String, Value>,
    member: Option<(String, String)>,
    /// The values that a text may have; empty when any.
    #[serde(default, rename = "enum")]
    pub choices: Vec<String>,
}

/// Kinds of shapes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Structure,
    List,
    String,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Timestamp,
    Blob,
}

/// A member of a structure.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// As services and SDKs call it, e.g. `InstanceIds`.
    pub name: &'a str,
    /// Name of its shape.
    pub shape: &'a str,
    /// Its name in a query, e.g. `InstanceId`.
    pub asked: &'a str,
    /// Its element in an answer, e.g. `instanceId`.
    pub element: &'a str,
}

impl Model {
    /// An operation, if the region offers it.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations.get(name)
    }

    /// A shape that the model refers to. Infallible for those; a test walks them all.
    #[must_use]
    pub fn shape(&self, name: &str) -> &Shape {
        &self.shapes[name]
    }
}

impl Shape {
    /// Its members in the model's order; none when it is no structure.
    pub fn members(&self) -> impl Iterator<Item = Member<'_>> {
        self.members.iter().filter_map(|(name, names)| {
            let names = names.as_array()?;
            let text = |at: usize| names.get(at).and_then(Value::as_str);
            Some(Member { name, shape: text(0)?, asked: text(1)?, element: text(2)? })
        })
    }

    /// The shape of its items and their element in an answer, when it is a list.
    #[must_use]
    pub fn item(&self) -> Option<(&str, &str)> {
        self.member.as_ref().map(|(shape, element)| (shape.as_str(), element.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_that_is_referred_to_is_there() {
        for operation in MODEL.operations.values() {
            assert_eq!(MODEL.shape(&operation.input).kind, Kind::Structure);
            assert!(operation.output.as_ref().is_none_or(|name| MODEL.shapes.contains_key(name)));
        }
        for shape in MODEL.shapes.values() {
            assert_eq!(shape.members().count(), shape.members.len());
            let names = shape.members().map(|member| member.shape).chain(shape.item().map(|(name, _)| name));
            for name in names {
                assert!(MODEL.shapes.contains_key(name), "{name} is missing");
            }
        }
    }
}
