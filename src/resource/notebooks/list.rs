//! The list: five kinds of things from five calls, as one table.

use aws_sdk_sagemaker::types::{AppDetails, DomainDetails, NotebookInstanceSummary, SpaceDetails, UserProfileDetails};
use jiff::Timestamp;

use super::phase;
use super::place::{App, Place};
use crate::aws::{Aws, fault, price, time};
use crate::model::{Cell, Failure, FailureKind, Item, Page, Safe, State};

/// Asks for all five, for what is inside of domains only where there may be one. Who may see one kind but not the others (Studio is often closed to those who have notebook
/// instances) sees that kind.
pub(super) async fn list(aws: &Aws, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let (notebooks, domains) = tokio::join!(notebooks(aws), domains(aws));
    let (profiles, spaces, apps) = if domains.as_ref().is_ok_and(Vec::is_empty) {
        (Ok(Vec::new()), Ok(Vec::new()), Ok(Vec::new()))
    } else {
        tokio::join!(profiles(aws), spaces(aws), apps(aws))
    };
    let mut denied = Vec::new();
    let domains = allowed(domains, &mut denied)?;
    let named = |id: &str| {
        let found = domains.iter().find(|domain| domain.domain_id() == Some(id)).and_then(|domain| domain.domain_name());
        found.unwrap_or(id).to_owned()
    };
    let region = aws.region();
    let mut items: Vec<Item> = allowed(notebooks, &mut denied)?.iter().map(|it| notebook(region, it)).collect();
    items.extend(domains.iter().map(domain));
    items.extend(allowed(profiles, &mut denied)?.iter().map(|it| profile(it, &named)));
    items.extend(allowed(spaces, &mut denied)?.iter().map(|it| space(it, &named)));
    items.extend(allowed(apps, &mut denied)?.iter().filter_map(|it| app(region, it, &named)));
    if denied.len() == 5 {
        return Err(denied.swap_remove(0));
    }
    page(Page { items, whole: true, more: false });
    Ok(())
}

fn allowed<T>(listed: Result<Vec<T>, Failure>, denied: &mut Vec<Failure>) -> Result<Vec<T>, Failure> {
    match listed {
        Err(failure) if failure.kind == FailureKind::Denied => {
            denied.push(failure);
            Ok(Vec::new())
        }
        other => other,
    }
}

/// All pages of a listing by the SDK's own paginator. (A macro: each operation has types of its own.)
macro_rules! all {
    ($call:expr, $doing:literal) => {{
        let mut items = $call.into_paginator().items().send();
        let mut all = Vec::new();
        while let Some(item) = items.next().await {
            all.push(item.map_err(|error| fault::tell($doing, &error))?);
        }
        Ok(all)
    }};
}

async fn notebooks(aws: &Aws) -> Result<Vec<NotebookInstanceSummary>, Failure> {
    all!(aws.sagemaker.list_notebook_instances().max_results(100), "listing notebook instances")
}

async fn domains(aws: &Aws) -> Result<Vec<DomainDetails>, Failure> {
    all!(aws.sagemaker.list_domains(), "listing Studio domains")
}

async fn profiles(aws: &Aws) -> Result<Vec<UserProfileDetails>, Failure> {
    all!(aws.sagemaker.list_user_profiles(), "listing Studio user profiles")
}

async fn spaces(aws: &Aws) -> Result<Vec<SpaceDetails>, Failure> {
    all!(aws.sagemaker.list_spaces(), "listing Studio spaces")
}

async fn apps(aws: &Aws) -> Result<Vec<AppDetails>, Failure> {
    all!(aws.sagemaker.list_apps(), "listing Studio apps")
}

/// What a row is made from.
struct Row<'a> {
    place: Place,
    name: String,
    kind: &'a str,
    status: &'a str,
    /// It is a machine that runs and is paid for.
    machine: Option<Machine<'a>>,
    created: Option<Timestamp>,
}

struct Machine<'a> {
    instance_type: &'a str,
    /// Since when it has been in service.
    since: Option<Timestamp>,
    per_hour: Option<f64>,
}

impl Row<'_> {
    fn item(self) -> Item {
        let state = State { phase: phase(self.status, self.machine.is_some()), word: Safe::line(self.status) };
        let runs = self.machine.as_ref().filter(|_| self.status == "InService");
        let per_hour = self.machine.as_ref().filter(|_| state.phase.is_live()).and_then(|machine| machine.per_hour);
        let since = runs.and_then(|machine| machine.since);
        let cells = vec![
            Cell::Text(Safe::line(&self.name)),
            Cell::Text(Safe::line(self.kind)),
            Cell::State(state.clone()),
            self.machine.as_ref().map_or(Cell::Absent, |machine| Cell::Text(Safe::line(machine.instance_type))),
            since.map_or(Cell::Absent, Cell::Since),
            since.zip(per_hour).map_or(Cell::Absent, |(since, per_hour)| Cell::Accrues { since, per_hour }),
            self.created.map_or(Cell::Absent, Cell::Time),
        ];
        Item { id: self.place.id(), state, cells, container: false, per_hour }
    }
}

fn notebook(region: &str, it: &NotebookInstanceSummary) -> Item {
    let name = it.notebook_instance_name().unwrap_or_default();
    let instance_type = it.instance_type().map_or("", |kind| kind.as_str());
    Row {
        place: Place::Notebook(name.to_owned()),
        name: name.to_owned(),
        kind: "instance",
        status: it.notebook_instance_status().map_or("", |status| status.as_str()),
        machine: Some(Machine {
            instance_type,
            // assumed: in service, it was last changed when it came into service; AWS tells no other time of its start.
            since: it.last_modified_time().map(time::ours),
            per_hour: price::notebook(region, instance_type).map(|price| price.per_hour),
        }),
        created: it.creation_time().map(time::ours),
    }
    .item()
}

fn domain(it: &DomainDetails) -> Item {
    let id = it.domain_id().unwrap_or_default();
    Row {
        place: Place::Domain(id.to_owned()),
        name: it.domain_name().unwrap_or(id).to_owned(),
        kind: "domain",
        status: it.status().map_or("", |status| status.as_str()),
        machine: None,
        created: it.creation_time().map(time::ours),
    }
    .item()
}

fn profile(it: &UserProfileDetails, named: &dyn Fn(&str) -> String) -> Item {
    let (domain, name) = (it.domain_id().unwrap_or_default(), it.user_profile_name().unwrap_or_default());
    Row {
        place: Place::Profile { domain: domain.to_owned(), name: name.to_owned() },
        name: format!("{} / {name}", named(domain)),
        kind: "profile",
        status: it.status().map_or("", |status| status.as_str()),
        machine: None,
        created: it.creation_time().map(time::ours),
    }
    .item()
}

fn space(it: &SpaceDetails, named: &dyn Fn(&str) -> String) -> Item {
    let (domain, name) = (it.domain_id().unwrap_or_default(), it.space_name().unwrap_or_default());
    Row {
        place: Place::Space { domain: domain.to_owned(), name: name.to_owned() },
        name: format!("{} / {}", named(domain), it.space_display_name().unwrap_or(name)),
        kind: "space",
        status: it.status().map_or("", |status| status.as_str()),
        machine: None,
        created: it.creation_time().map(time::ours),
    }
    .item()
}

/// `None` for an app that is deleted: AWS goes on listing it for a day.
fn app(region: &str, it: &AppDetails, named: &dyn Fn(&str) -> String) -> Option<Item> {
    let status = it.status().map_or("", |status| status.as_str());
    if status == "Deleted" {
        return None;
    }
    let domain = it.domain_id().unwrap_or_default();
    let owner = it.space_name().or(it.user_profile_name()).unwrap_or_default();
    let (kind, name) = (it.app_type().map_or("", |kind| kind.as_str()), it.app_name().unwrap_or_default());
    let instance_type = it.resource_spec().and_then(|spec| spec.instance_type()).map_or("", |kind| kind.as_str());
    let row = Row {
        place: Place::App(App {
            domain: domain.to_owned(),
            in_space: it.space_name().is_some(),
            owner: owner.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
        }),
        name: format!("{} / {owner} / {kind} {name}", named(domain)),
        kind: "app",
        status,
        machine: Some(Machine {
            instance_type,
            since: it.creation_time().map(time::ours),
            per_hour: hourly(region, kind, instance_type),
        }),
        created: it.creation_time().map(time::ours),
    };
    Some(row.item())
}

/// What an app costs in an hour, where it is known. On the type `system` it runs without charge
/// (<https://docs.aws.amazon.com/sagemaker/latest/dg/studio-jl.html>).
pub(super) fn hourly(region: &str, kind: &str, instance_type: &str) -> Option<f64> {
    match kind {
        _ if instance_type == "system" => Some(0.0),
        "JupyterLab" => price::jupyter_lab(region, instance_type).map(|price| price.per_hour),
        _ => None,
    }
}
