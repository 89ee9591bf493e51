//! What an endpoint runs: its configuration and models as they were when it was created or updated.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::super::document::seconds;
use super::super::quotas::Use;
use super::super::store::{Document, text};
use super::model;
use super::resource::Kind;
use super::store::Store;
use crate::local::engine::S3Place;
use crate::local::engine::serve::Served;
use crate::local::fault::Fault;

/// How long a model server may take to answer its first ping, in seconds, when the variant does not say.
/// assumed: the inference toolkit's `SAGEMAKER_STARTUP_TIMEOUT`.
const STARTUP: u64 = 600;

/// A pinned configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The configuration's name.
    pub config: String,
    pub variants: Vec<Variant>,
}

/// A production variant with its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    pub name: String,
    pub image: String,
    /// The `s3://` address of the model's archive.
    pub data: Option<String>,
    pub environment: BTreeMap<String, String>,
    pub instance_type: String,
    pub instances: u32,
    pub weight: f64,
    /// How long its model servers may take to answer their first ping.
    pub startup_seconds: u64,
}

impl Plan {
    /// Reads the configuration and the models that it names.
    ///
    /// # Errors
    /// When one of them is not there.
    pub fn resolve(store: &Store, config: &str) -> Result<Self, Fault> {
        let record = store.get(Kind::Config, config)?.ok_or_else(|| Kind::Config.not_found(config))?;
        let variants = record.document.get("ProductionVariants").and_then(Value::as_array).into_iter().flatten();
        let variants = variants.filter_map(Value::as_object).map(|variant| Variant::resolve(store, variant));
        Ok(Self {
            config: text(&record.document, "EndpointConfigName").to_owned(),
            variants: variants.collect::<Result<_, _>>()?,
        })
    }

    /// `ProductionVariants` of an endpoint that runs this plan since `now`, in epoch milliseconds.
    #[must_use]
    pub fn summaries(&self, now: i64) -> Value {
        let summary = |variant: &Variant| {
            json!({
                "VariantName": variant.name,
                "DeployedImages": [{
                    "SpecifiedImage": variant.image,
                    "ResolvedImage": variant.image,
                    "ResolutionTime": seconds(now),
                }],
                "CurrentWeight": variant.weight,
                "DesiredWeight": variant.weight,
                "CurrentInstanceCount": variant.instances,
                "DesiredInstanceCount": variant.instances,
            })
        };
        self.variants.iter().map(summary).collect::<Vec<_>>().into()
    }

    /// Whether this plan fits beside the others that run.
    ///
    /// # Errors
    /// `ResourceLimitExceeded` in AWS's words.
    pub fn check_quota<'a>(&self, running: impl Iterator<Item = &'a Plan>) -> Result<(), Fault> {
        let mut used: BTreeMap<&str, u32> = BTreeMap::new();
        for variant in running.flat_map(|plan| &plan.variants) {
            *used.entry(&variant.instance_type).or_default() += variant.instances;
        }
        let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
        for variant in &self.variants {
            let sum = wanted.entry(&variant.instance_type).or_default();
            *sum = sum.saturating_add(variant.instances);
        }
        for (instance_type, delta) in wanted {
            let used = used.get(instance_type).copied().unwrap_or_default();
            Use::Endpoint.check(instance_type, used, delta)?;
        }
        Ok(())
    }
}

impl Variant {
    fn resolve(store: &Store, variant: &Document) -> Result<Self, Fault> {
        let name = text(variant, "ModelName");
        let record = store.get(Kind::Model, name)?.ok_or_else(|| Kind::Model.not_found(name))?;
        let container = model::container(&record.document).ok_or_else(|| Kind::Model.not_found(name))?;
        let environment = container.get("Environment").and_then(Value::as_object).into_iter().flatten();
        let count = variant.get("InitialInstanceCount").and_then(Value::as_u64).unwrap_or(1);
        Ok(Self {
            name: text(variant, "VariantName").to_owned(),
            image: text(container, "Image").to_owned(),
            data: model::data(container).map(str::to_owned),
            environment: environment.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect(),
            instance_type: text(variant, "InstanceType").to_owned(),
            instances: u32::try_from(count).unwrap_or(u32::MAX),
            weight: variant.get("InitialVariantWeight").and_then(Value::as_f64).unwrap_or(1.0),
            startup_seconds: variant
                .get("ContainerStartupHealthCheckTimeoutInSeconds")
                .and_then(Value::as_u64)
                .unwrap_or(STARTUP),
        })
    }

    /// What its instances serve.
    #[must_use]
    pub fn served(&self) -> Served {
        Served {
            data: self.data.as_deref().and_then(S3Place::parse),
            environment: self.environment.clone(),
            image: self.image.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(instance_type: &str, instances: u32) -> Plan {
        let variant = Variant {
            name: "AllTraffic".to_owned(),
            image: "i".to_owned(),
            data: None,
            environment: BTreeMap::new(),
            instance_type: instance_type.to_owned(),
            instances,
            weight: 1.0,
            startup_seconds: STARTUP,
        };
        Plan { config: "c".to_owned(), variants: vec![variant] }
    }

    #[test]
    fn instances_of_all_endpoints_count() {
        let running = [plan("ml.t2.medium", 5), plan("ml.m5.large", 8)];
        assert!(plan("ml.t2.medium", 3).check_quota(running.iter()).is_ok());
        let fault = plan("ml.t2.medium", 4).check_quota(running.iter()).expect_err("is refused");
        assert_eq!(fault.code, "ResourceLimitExceeded");
        assert!(fault.message.starts_with("The account-level service limit 'ml.t2.medium for endpoint usage' is 8 Instances, with current utilization of 5 Instances and a request delta of 4 Instances."));
        assert!(plan("ml.g4dn.xlarge", 1).check_quota([].iter()).is_err(), "a GPU must be asked for");
    }
}
