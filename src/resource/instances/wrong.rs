//! What is wrong with a form of instances: as problems of its fields, and as the one failure of an order.

use super::invalid;
use crate::model::{Failure, FailureKind, Problem, Safe};

/// A failure as a problem of the field that it is about: such a failure says so first.
pub(super) fn problem_of(failure: &Failure) -> Problem {
    const FIELDS: [&str; 11] = [
        "name",
        "image",
        "instance_type",
        "storage_gb",
        "lease",
        "zone",
        "subnet",
        "security_group",
        "instance_profile",
        "address",
        "protection",
    ];
    let said = failure.what.as_str();
    let (field, message) = match said.split_once(": ") {
        Some((field, rest)) if FIELDS.contains(&field) => (field, rest),
        _ => ("", said),
    };
    let message = if failure.hint.is_empty() { message.to_owned() } else { format!("{message}; {}", failure.hint) };
    Problem { field: field.to_owned(), message: Safe::text(&message), fatal: true }
}

/// All that stands in the way as one failure: the first says of which kind.
pub(super) fn together(failures: &[Failure]) -> Failure {
    let kind = failures.first().map_or(FailureKind::Invalid, |failure| failure.kind);
    let join = |of: fn(&Failure) -> &Safe| {
        let all: Vec<&str> = failures.iter().map(|failure| of(failure).as_str()).filter(|text| !text.is_empty()).collect();
        all.join("\n")
    };
    Failure::new(kind, join(|failure| &failure.what), join(|failure| &failure.hint))
}

/// What the check has found, as one failure.
///
/// # Errors
/// When something of it is fatal.
pub(super) fn unless_wrong(checked: &[Problem]) -> Result<(), Failure> {
    let fatal = checked.iter().filter(|problem| problem.fatal);
    let all: Vec<String> = fatal.map(|problem| format!("{}: {}", problem.field, problem.message)).collect();
    if all.is_empty() { Ok(()) } else { Err(invalid(&all.join("\n"), "")) }
}
