//! The one generic form: fields, problems per field, and a preview of what will happen.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{ItemId, Safe, Verb};

/// What a field accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldKind {
    /// One line of text.
    Line,
    /// Several lines, one `key = value` a line or free text.
    Area,
    /// One of a list; free text is allowed when `open`.
    Choice { options: Vec<Cow<'static, str>>, open: bool },
    /// One of a list that shows below the field, with what is known of each; free text is allowed.
    Pick { offers: Vec<Offer> },
    /// `yes` or `no`.
    Toggle,
    /// A whole number in a range.
    Whole { min: i64, max: i64 },
}

/// A row of a list to pick from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What the field is given.
    pub value: String,
    /// Another way to say the same.
    pub also: Option<String>,
    /// What is told of it, a column each, the most telling first.
    pub about: Vec<Safe>,
}

impl Offer {
    /// Whether a field's value means this one.
    #[must_use]
    pub fn is(&self, value: &str) -> bool {
        self.value == value || self.also.as_deref() == Some(value)
    }

    /// Whether all words of what was typed are in what it tells or stands for, in any order; a `*` is as good as a space, and
    /// a number is not found in the midst of another one: `2 vCPU` is not `32 vCPU`.
    #[must_use]
    pub fn fits(&self, typed: &str) -> bool {
        let told = self.told();
        typed.to_lowercase().split(|c: char| c.is_whitespace() || c == '*').all(|word| has(&told, word))
    }

    /// Whether it has the words of what was typed beside each other: it is meant before others that [fit](Self::fits).
    #[must_use]
    pub fn says(&self, typed: &str) -> bool {
        has(&self.told(), &typed.trim().to_lowercase())
    }

    fn told(&self) -> String {
        let texts = self.about.iter().map(Safe::as_str).chain([self.value.as_str()]).chain(self.also.as_deref());
        texts.collect::<Vec<_>>().join("  ").to_lowercase()
    }
}

/// Whether a word is in a text, but not as the end of a number.
fn has(told: &str, word: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    word.is_empty() || told.match_indices(word).any(|(at, _)| !(word.starts_with(digit) && told[..at].ends_with(digit)))
}

/// One field of a form. `value` is what the user sees and edits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// The key of `--set KEY=VALUE`, e.g. `instance_type`.
    pub name: Cow<'static, str>,
    pub label: Cow<'static, str>,
    /// One sentence, shown while the field has the focus.
    pub help: Cow<'static, str>,
    pub kind: FieldKind,
    pub value: String,
    /// What it was when the form opened: the project's or the parent's value, for the difference.
    pub initial: String,
}

impl Field {
    /// A field that starts with this value.
    #[must_use]
    pub fn of(name: &'static str, label: &'static str, kind: FieldKind, value: impl Into<String>, help: &'static str) -> Self {
        let value = value.into();
        Self { name: name.into(), label: label.into(), help: help.into(), kind, initial: value.clone(), value }
    }
}

/// What is wrong with one field, with the remedy in the sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The field's name; empty when it concerns the whole form.
    pub field: String,
    pub message: Safe,
    /// Launching is impossible (`true`) or merely unwise.
    pub fatal: bool,
}

/// A form as data: the overlay, `--set`, `--dry-run` and the journal all use this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Form {
    pub title: Safe,
    pub resource: String,
    pub verb: Verb,
    /// The thing it was cloned from or acts on.
    pub parent: Option<ItemId>,
    pub fields: Vec<Field>,
}

impl Form {
    /// The value of a field, or the empty string when there is no such field.
    #[must_use]
    pub fn value(&self, name: &str) -> &str {
        self.fields.iter().find(|field| field.name == name).map_or("", |field| field.value.as_str())
    }
}

/// What will happen if the form is sent as it is now; from a look at files, prices and the account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// Short facts: price per hour, at most, image, upload size ….
    pub facts: Vec<(Safe, Safe)>,
    pub problems: Vec<Problem>,
    /// Not all was known in time; the same look again tells more.
    pub more: bool,
    /// The request in full, pretty-printed JSON.
    pub request: Safe,
    /// US dollars per hour for all of it, where it is known; what runs on spare capacity costs less.
    #[serde(default)]
    pub per_hour: Option<f64>,
    /// What it takes of the account's quota, where that is known.
    #[serde(default)]
    pub quota: Option<Quota>,
}

/// How much of a quota is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    pub needs: u32,
    /// What the account may have.
    pub limit: u32,
    /// What it has now; absent when that is not known.
    pub used: Option<u32>,
    pub unit: Unit,
}

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    #[serde(rename = "instances")]
    Instances,
    /// For instances of EC2.
    #[serde(rename = "vCPU")]
    Vcpu,
}
