//! The local region: an emulator of AWS that really trains. HTTP request in, HTTP response out, in AWS's own wire formats.
//!
//! Level 0, and an independent witness: it imports nothing of the rest of the crate, so that what it answers comes from
//! AWS's models and documentation and not from what our own client expects.
//!
//! A request goes through [`door`] (or straight into [`LocalRegion::handle`] when the cockpit holds the region in
//! process), `route` (who may ask, which protocol), `sigv4` (the only place that verifies signatures), a codec of
//! `wire`, and its service.

pub mod buckets;
mod credentials;
mod door;
pub mod ec2;
pub mod engine;
pub mod fault;
pub mod host;
mod instance_connect;
pub mod logs;
pub mod metrics;
mod pages;
mod patience;
mod pricing;
mod quotas;
mod refusal;
mod region;
mod route;
mod s3;
pub mod sagemaker;
mod sessions;
mod sigv2;
mod sigv4;
mod store;
mod sts;
mod wire;

pub use credentials::{Credentials, read_credentials};
pub use door::socket_path;
pub use ec2::Ec2Options;
pub use region::{Body, BodyError, LocalRegion, OpenError, Options, body};

/// The account that the local region plays.
pub const ACCOUNT: &str = "000000000000";
