//! The instances of an endpoint that serve together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::timeout;

use super::super::REGION;
use super::Hosting;
use super::plan::{self, Plan};
use crate::local::engine::Broken;
use crate::local::engine::host::{Order, Sink};
use crate::local::engine::keeper::Limits;
use crate::local::engine::serve::bundle::Bundle;
use crate::local::engine::serve::instance::{self, Health, Instance};
use crate::local::engine::usage::Gauge;
use crate::local::store::random_name;

/// Seconds between health checks in service, at speed 1. assumed: AWS does not say how often it asks.
const PING_SECONDS: f64 = 5.0;

/// What serves one plan.
pub struct Fleet {
    pub variants: Vec<Variant>,
}

/// The instances of a production variant.
pub struct Variant {
    pub name: String,
    pub weight: f64,
    pub instances: Vec<Arc<Instance>>,
    /// The number of picks so far: instances take turns.
    picks: AtomicUsize,
}

/// Why a fleet does not serve.
pub enum Unserved {
    /// In the words of `FailureReason`.
    Failed(String),
    /// The region is closing: nothing is wrong with the endpoint.
    Closing,
}

impl Fleet {
    /// Starts what the plan asks for and waits until all of it is ready; instances of `kept` are used first. When one fails,
    /// all that were started are ended again.
    ///
    /// # Errors
    /// The first failure.
    pub async fn start(hosting: &Arc<Hosting>, endpoint: &str, plan: &Plan, kept: Option<&Fleet>) -> Result<Self, Unserved> {
        let mut fleet = Self { variants: Vec::new() };
        let mut new = Vec::new();
        let started = fleet.fill(hosting, endpoint, plan, kept, &mut new).await;
        let ready = match started {
            Ok(()) => tokio::select! {
                ready = all_ready(plan, &new) => ready,
                () = hosting.stop.cancelled() => Err(Unserved::Closing),
            },
            Err(Broken(reason)) => Err(Unserved::Failed(reason)),
        };
        if let Err(unserved) = ready {
            for (_, instance) in &new {
                instance.end(Order::Kill);
            }
            for (_, instance) in &new {
                instance.gone().await;
            }
            return Err(if hosting.stop.is_cancelled() { Unserved::Closing } else { unserved });
        }
        Ok(fleet)
    }

    /// The variant with this name.
    #[must_use]
    pub fn variant(&self, name: &str) -> Option<&Variant> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// A variant by weight; `chance` is from 0 to 1.
    #[must_use]
    pub fn by_weight(&self, chance: f64) -> Option<&Variant> {
        let total: f64 = self.variants.iter().map(|variant| variant.weight).sum();
        let mut left = chance * total;
        let weighty = || self.variants.iter().filter(|variant| variant.weight > 0.0);
        for variant in weighty() {
            left -= variant.weight;
            if left < 0.0 {
                return Some(variant);
            }
        }
        weighty().next_back()
    }

    /// Ends the instances that the other fleet does not have, and waits for their end.
    pub async fn end_without(&self, other: Option<&Fleet>, order: Order) {
        let stays =
            |instance: &Arc<Instance>| other.is_some_and(|other| other.instances().any(|kept| Arc::ptr_eq(kept, instance)));
        for instance in self.instances().filter(|instance| !stays(instance)) {
            instance.end(order);
        }
        for instance in self.instances().filter(|instance| !stays(instance)) {
            instance.gone().await;
        }
    }

    fn instances(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.variants.iter().flat_map(|variant| &variant.instances)
    }

    async fn fill(
        &mut self,
        hosting: &Arc<Hosting>,
        endpoint: &str,
        plan: &Plan,
        kept: Option<&Fleet>,
        new: &mut Vec<(usize, Arc<Instance>)>,
    ) -> Result<(), Broken> {
        for (index, variant) in plan.variants.iter().enumerate() {
            let count = variant.instances as usize;
            let stay = kept.and_then(|kept| kept.variant(&variant.name)).map(|kept| kept.instances.as_slice());
            let mut instances: Vec<_> = stay.unwrap_or_default().iter().take(count).cloned().collect();
            while instances.len() < count {
                let instance = launch(hosting, endpoint, variant).await?;
                new.push((index, Arc::clone(&instance)));
                instances.push(instance);
            }
            let (name, weight) = (variant.name.clone(), variant.weight);
            self.variants.push(Variant { name, weight, instances, picks: AtomicUsize::new(0) });
        }
        Ok(())
    }
}

impl Variant {
    /// The next ready instance.
    #[must_use]
    pub fn pick(&self) -> Option<&Arc<Instance>> {
        let start = self.picks.fetch_add(1, Ordering::Relaxed);
        let count = self.instances.len();
        (0..count).map(|step| &self.instances[(start % count + step) % count]).find(|instance| instance.is_ready())
    }
}

/// Waits for all, each within its variant's time.
async fn all_ready(plan: &Plan, new: &[(usize, Arc<Instance>)]) -> Result<(), Unserved> {
    let begin = tokio::time::Instant::now();
    for (index, instance) in new {
        let variant = &plan.variants[*index];
        let left = Duration::from_secs(variant.startup_seconds).saturating_sub(begin.elapsed());
        match timeout(left, instance.settled()).await {
            Ok(Health::Ready) => {}
            Ok(Health::GivenUp(Some(reason))) => return Err(Unserved::Failed(reason)),
            _ => return Err(Unserved::Failed(unhealthy(&variant.name))),
        }
    }
    Ok(())
}

/// AWS's words.
fn unhealthy(variant: &str) -> String {
    format!(
        "The primary container for production variant {variant} did not pass the ping health check. Please check CloudWatch logs for this endpoint."
    )
}

async fn launch(hosting: &Arc<Hosting>, endpoint: &str, variant: &plan::Variant) -> Result<Arc<Instance>, Broken> {
    let starting = |error: &std::io::Error| Broken::region("starting an instance", error);
    let id = format!("i-{}", &random_name().map_err(|error| starting(&error))?[..17]);
    let (root, served, buckets) = (hosting.roots.join(&id), variant.served(), hosting.buckets.clone());
    let laid_out = tokio::task::spawn_blocking({
        let (root, served) = (root.clone(), served.clone());
        move || {
            let bundle = Bundle::lay_out(&buckets, &served, &root);
            if bundle.is_err() {
                let _ = std::fs::remove_dir_all(&root);
            }
            bundle
        }
    });
    let bundle = laid_out.await.map_err(|error| Broken(format!("InternalServerError: {error}")))??;
    let engine = &hosting.engine;
    let plan = instance::Plan {
        stream: format!("{}/{id}", variant.name),
        id,
        bundle,
        served,
        region: REGION.to_owned(),
        keeper: engine.keeper.clone(),
        python: engine.python.clone(),
        ping_every: Duration::from_secs_f64(PING_SECONDS / engine.speed.clamp(0.01, 20.0)),
        // An endpoint may run for weeks: no limit of processor time.
        limits: Limits { memory_bytes: engine.memory_bytes, file_bytes: engine.disk_bytes, cpu_seconds: None },
        sink: Sink {
            logs: Arc::clone(&hosting.logs),
            metrics: Arc::clone(&hosting.metrics),
            group: log_group(endpoint).into(),
            dimension: ("EndpointName", endpoint.to_owned()),
            last: Arc::default(),
        },
        gauge: Gauge {
            metrics: Arc::clone(&hosting.metrics),
            namespace: "/aws/sagemaker/Endpoints",
            dimensions: vec![("EndpointName", endpoint.to_owned()), ("VariantName", variant.name.clone())],
            folder: root,
            volume: engine.disk_bytes.unwrap_or(variant.volume()),
        },
    };
    let (instance, task) = Instance::new(plan, hosting.stop.clone()).map_err(|error| starting(&error))?;
    hosting.tasks.spawn(task);
    Ok(instance)
}

/// The log group of an endpoint.
#[must_use]
pub fn log_group(endpoint: &str) -> String {
    format!("/aws/sagemaker/Endpoints/{endpoint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(weights: &[f64]) -> Fleet {
        let variant = |(index, weight): (usize, &f64)| Variant {
            name: index.to_string(),
            weight: *weight,
            instances: Vec::new(),
            picks: AtomicUsize::new(0),
        };
        Fleet { variants: weights.iter().enumerate().map(variant).collect() }
    }

    #[test]
    fn variants_are_chosen_by_their_weight() {
        let fleet = fleet(&[0.0, 3.0, 1.0]);
        let chosen = |chance: f64| fleet.by_weight(chance).map(|variant| variant.name.as_str());
        assert_eq!([chosen(0.0), chosen(0.74), chosen(0.76), chosen(1.0)], [Some("1"), Some("1"), Some("2"), Some("2")]);
    }
}
