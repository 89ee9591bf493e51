//! Serves models: what a container of an endpoint is on AWS, here is a model server under a keeper.
//!
//! [`bundle`] brings the model's archive to the instance's own folder, [`instance`] keeps its process alive, [`call`] speaks to
//! it over a socket in that folder: nothing but the region can reach it.

pub mod bundle;
pub mod call;
pub mod instance;

use std::collections::BTreeMap;

use super::S3Place;

/// What an instance serves, free of the API's shapes.
#[derive(Clone, Debug)]
pub struct Served {
    /// The archive with the model and its script under `code/`.
    pub data: Option<S3Place>,
    /// The variables of the model's container.
    pub environment: BTreeMap<String, String>,
    /// Shown in messages.
    pub image: String,
}
