//! The local region: an emulator of AWS that really trains. HTTP request in, HTTP response out, in AWS's own wire formats.
//!
//! Level 0, and an independent witness: it imports nothing of the rest of the crate, so that what it answers comes from
//! AWS's models and documentation and not from what our own client expects.

pub mod buckets;
pub mod engine;
pub mod fault;
pub mod logs;
pub mod metrics;
pub mod sagemaker;
pub mod store;
mod wire;

/// The account that the local region plays.
pub const ACCOUNT: &str = "000000000000";
