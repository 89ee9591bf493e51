//! The RESOURCE argument: its values come from the registry.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use crate::model::{Failure, FailureKind, Verb};
use crate::resource::{self, Resource};

/// A resource of the registry, named on the command line.
#[derive(Clone, Copy)]
pub struct Kind(pub &'static dyn Resource);

/// Parses the name; clap lists the names, suggests the nearest, and completes them.
pub fn parser() -> impl TypedValueParser<Value = Kind> {
    let values = resource::ALL.iter().map(|resource| PossibleValue::new(resource.spec().id).help(resource.spec().title));
    PossibleValuesParser::new(values).try_map(|name| resource::find(&name).map(Kind).ok_or("no such resource"))
}

/// The resource that a command is about by its name.
///
/// # Errors
/// When this build does not have it.
pub fn named(id: &str) -> Result<Kind, Failure> {
    resource::find(id).map(Kind).ok_or_else(|| {
        Failure::new(FailureKind::Invalid, format!("this build knows no {id}"), "footplate ls --help lists what it knows.")
    })
}

impl Kind {
    /// Makes sure that the resource can do that.
    ///
    /// # Errors
    /// `Invalid`, with what can be done with it.
    pub fn can(self, verb: Verb) -> Result<(), Failure> {
        let spec = self.0.spec();
        if spec.verbs.contains(&verb) {
            return Ok(());
        }
        let verbs: Vec<&str> = spec.verbs.iter().map(|verb| verb.name()).collect();
        Err(Failure::new(
            FailureKind::Invalid,
            format!("a {} cannot do `{}`", spec.singular, verb.name()),
            format!("It can: {}.", verbs.join(", ")),
        ))
    }
}
