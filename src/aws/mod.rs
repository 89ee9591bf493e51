//! The one way to AWS, level 1: clients with deadlines, the guard, errors turned into [`crate::model::Failure`].

/// The clients of one account and region, real or local, and what is remembered between calls.
pub struct Aws {}
