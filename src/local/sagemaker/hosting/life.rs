//! What happens to an endpoint after the call: it is started, changed, deleted, and started again with the region.

use std::sync::Arc;

use serde_json::json;
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::super::document::seconds;
use super::super::store::text;
use super::Hosting;
use super::fleet::{Fleet, Unserved};
use super::plan::Plan;
use super::resource::Kind;
use super::store::Record;
use crate::local::engine::host::{Order, now_millis};
use crate::local::fault::Fault;

/// The longest `FailureReason` of the model, in UTF-16 units.
const LONGEST_REASON: usize = 1024;

/// Brings a new endpoint, or one of an earlier region, into service.
pub fn spawn_start(hosting: &Arc<Hosting>, name: &str, plan: Plan, runtime: &Handle) {
    let (service, name) = (Arc::clone(hosting), name.to_owned());
    hosting.tasks.spawn_on(
        async move {
            sleep_unless_closing(&service).await;
            match Fleet::start(&service, &name, &plan, None).await {
                Ok(fleet) => {
                    let fleet = Arc::new(fleet);
                    service.live().insert(name.clone(), Arc::clone(&fleet));
                    let serving = note(&service, &name, move |record| serve(record, plan, None)).await;
                    if !serving {
                        retire(&service, &name, &fleet).await;
                    }
                }
                Err(Unserved::Failed(reason)) => {
                    note(&service, &name, move |record| fail(record, &reason)).await;
                }
                Err(Unserved::Closing) => {}
            }
        },
        runtime,
    );
}

/// Changes a serving endpoint to another plan; with `keep` the instances that fit go on. When the new ones fail, the old ones
/// serve on, and the endpoint says why.
pub fn spawn_change(hosting: &Arc<Hosting>, name: &str, plan: Plan, keep: bool, runtime: &Handle) {
    let (service, name) = (Arc::clone(hosting), name.to_owned());
    hosting.tasks.spawn_on(
        async move {
            sleep_unless_closing(&service).await;
            let old = service.live().get(&name).cloned();
            match Fleet::start(&service, &name, &plan, old.as_deref().filter(|_| keep)).await {
                Ok(fleet) => {
                    let fleet = Arc::new(fleet);
                    service.live().insert(name.clone(), Arc::clone(&fleet));
                    note(&service, &name, move |record| serve(record, plan, None)).await;
                    if let Some(old) = old {
                        old.end_without(Some(&fleet), Order::Term).await;
                    }
                }
                Err(Unserved::Failed(reason)) => {
                    // assumed: after the roll-back AWS shows InService, with the reason.
                    note(&service, &name, move |record| {
                        if let Some(plan) = record.plan.clone() {
                            serve(record, plan, Some(&reason));
                        }
                    })
                    .await;
                }
                Err(Unserved::Closing) => {}
            }
        },
        runtime,
    );
}

/// Ends a `Deleting` endpoint's instances, then forgets it.
pub fn spawn_delete(hosting: &Arc<Hosting>, name: &str, runtime: &Handle) {
    let (service, name) = (Arc::clone(hosting), name.to_owned());
    hosting.tasks.spawn_on(
        async move {
            let fleet = service.live().remove(&name);
            if let Some(fleet) = fleet {
                fleet.end_without(None, Order::Kill).await;
            }
            sleep_unless_closing(&service).await;
            // When it cannot be written, the next opening finds it Deleting.
            let _ = tokio::task::spawn_blocking(move || service.store.delete(Kind::Endpoint, &name)).await;
        },
        runtime,
    );
}

/// Takes up what an earlier region left: endpoints that served or were to serve are started, deletions go on. Blocks.
///
/// # Errors
/// When the store cannot be used.
pub fn resume(hosting: &Arc<Hosting>, runtime: &Handle) -> Result<(), Fault> {
    for Record { document, plan } in hosting.store.all(Kind::Endpoint)? {
        let name = text(&document, "EndpointName");
        match (text(&document, "EndpointStatus"), plan) {
            ("Failed", _) => {}
            ("Creating", Some(plan)) => spawn_start(hosting, name, plan, runtime),
            ("Deleting", _) | (_, None) => spawn_delete(hosting, name, runtime),
            // An update that was under way is lost: the endpoint serves as before it.
            (_, Some(plan)) => {
                hosting.store.update(name, |record| {
                    record.document.insert("EndpointStatus".to_owned(), json!("SystemUpdating"));
                    Ok(())
                })?;
                spawn_start(hosting, name, plan, runtime);
            }
        }
    }
    Ok(())
}

/// Takes back what was started for an endpoint that is deleted meanwhile.
async fn retire(hosting: &Arc<Hosting>, name: &str, fleet: &Arc<Fleet>) {
    {
        let mut live = hosting.live();
        if live.get(name).is_some_and(|other| Arc::ptr_eq(other, fleet)) {
            live.remove(name);
        }
    }
    fleet.end_without(None, Order::Kill).await;
}

async fn sleep_unless_closing(hosting: &Hosting) {
    tokio::select! {
        () = sleep(hosting.phase()) => {}
        () = hosting.stop.cancelled() => {}
    }
}

/// Writes a change down, unless the endpoint is being deleted; whether it was written.
async fn note(hosting: &Arc<Hosting>, name: &str, change: impl FnOnce(&mut Record) + Send + 'static) -> bool {
    let (service, name) = (Arc::clone(hosting), name.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        service.store.update(&name, |record| {
            if text(&record.document, "EndpointStatus") == "Deleting" {
                return Ok(false);
            }
            change(record);
            Ok(true)
        })
    });
    matches!(written.await, Ok(Ok(Some(true))))
}

fn serve(record: &mut Record, plan: Plan, reason: Option<&str>) {
    let now = now_millis();
    let document = &mut record.document;
    document.insert("EndpointStatus".to_owned(), json!("InService"));
    document.insert("EndpointConfigName".to_owned(), json!(plan.config));
    document.insert("ProductionVariants".to_owned(), plan.summaries(now));
    document.insert("LastModifiedTime".to_owned(), seconds(now));
    match reason {
        Some(reason) => document.insert("FailureReason".to_owned(), json!(shortened(reason))),
        None => document.remove("FailureReason"),
    };
    record.plan = Some(plan);
}

fn fail(record: &mut Record, reason: &str) {
    let document = &mut record.document;
    document.insert("EndpointStatus".to_owned(), json!("Failed"));
    document.insert("FailureReason".to_owned(), json!(shortened(reason)));
    document.insert("LastModifiedTime".to_owned(), seconds(now_millis()));
}

fn shortened(reason: &str) -> String {
    let mut left = LONGEST_REASON;
    let fits = |character: &char| {
        let fits = character.len_utf16() <= left;
        left = left.saturating_sub(character.len_utf16());
        fits
    };
    reason.chars().take_while(fits).collect()
}
