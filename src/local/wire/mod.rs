//! AWS's wire formats: how a call arrives and how its answer leaves. Services see JSON values only.

pub mod cbor;
pub mod input;
pub mod json;
pub mod query;
