//! Listing: all endpoints each poll, and of each a description once it has changed.

use std::collections::HashMap;

use aws_sdk_sagemaker::operation::describe_endpoint::DescribeEndpointOutput;
use aws_sdk_sagemaker::operation::describe_endpoint_config::DescribeEndpointConfigOutput;
use aws_sdk_sagemaker::types::ProductionVariantSummary;
use jiff::Timestamp;

use super::calls::Calls;
use crate::aws::{Aws, hosting, price, time};
use crate::model::{Cell, Failure, Item, ItemId, Page, Phase, Safe, State};

const MEMO: &str = "endpoints";
/// Descriptions per poll; each takes two calls.
const DESCRIBED: usize = 5;

/// What only descriptions tell.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct More {
    /// Each type once, with `+` between.
    pub types: String,
    pub count: u64,
    /// The models' names, each once, with `+` between.
    pub models: String,
    /// US dollars an hour for all instances, where a price is known.
    pub per_hour: Option<f64>,
}

impl More {
    /// Of an endpoint and its configuration, which may be gone.
    pub fn of(region: &str, endpoint: &DescribeEndpointOutput, config: Option<&DescribeEndpointConfigOutput>) -> Self {
        let count = |name: &str| {
            let variant = endpoint.production_variants().iter().find(|variant| variant.variant_name() == Some(name));
            variant.and_then(ProductionVariantSummary::current_instance_count)
        };
        let mut more = Self { per_hour: Some(0.0), ..Self::default() };
        let mut types: Vec<&str> = Vec::new();
        for variant in config.iter().flat_map(|config| config.production_variants()) {
            let kind = variant.instance_type().map_or("", |kind| kind.as_str());
            let count = count(variant.variant_name().unwrap_or_default()).or(variant.initial_instance_count()).unwrap_or(0);
            if !types.contains(&kind) {
                types.push(kind);
            }
            more.count += u64::try_from(count).unwrap_or(0);
            let price = price::hosting(region, kind).map(|price| price.per_hour * f64::from(count));
            more.per_hour = more.per_hour.zip(price).map(|(sum, price)| sum + price);
        }
        more.types = types.join("+");
        if let Some(config) = config {
            more.models = hosting::models_in(config).join("+");
        } else {
            // Its configuration was deleted under it: what it runs on is not told any more.
            more.per_hour = None;
            let counts = endpoint.production_variants().iter().filter_map(ProductionVariantSummary::current_instance_count);
            more.count = counts.filter_map(|count| u64::try_from(count).ok()).sum();
        }
        more
    }
}

/// One endpoint, as far as it is known.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub name: String,
    pub state: State,
    pub created: Option<Timestamp>,
    pub updated: Option<Timestamp>,
    pub more: Option<More>,
}

impl Row {
    fn item(&self, calls: &Calls) -> Item {
        let alive = self.state.phase.is_live();
        let more = self.more.as_ref();
        let per_hour = more.and_then(|more| more.per_hour).filter(|_| alive);
        let text = |text: &str| if text.is_empty() { Cell::Absent } else { Cell::Text(Safe::line(text)) };
        let cost = per_hour.zip(self.created).map(|(per_hour, since)| Cell::Accrues { since, per_hour });
        Item {
            id: ItemId(self.name.clone()),
            state: self.state.clone(),
            cells: vec![
                Cell::Text(Safe::line(&self.name)),
                Cell::State(self.state.clone()),
                calls.cell(),
                more.map_or(Cell::Absent, |more| text(&more.types)),
                more.map_or(Cell::Absent, |more| Cell::Count(more.count)),
                more.map_or(Cell::Absent, |more| text(&more.models)),
                cost.unwrap_or(Cell::Absent),
                self.updated.map_or(Cell::Absent, Cell::Time),
            ],
            container: false,
            per_hour,
        }
    }
}

/// What is known from earlier polls.
#[derive(Default)]
struct Known {
    rows: HashMap<String, Row>,
    /// When an endpoint had last changed as it was described.
    described: HashMap<String, Option<Timestamp>>,
    /// When an endpoint had last changed as it was first seen in service: later changes move that time.
    served: HashMap<String, Timestamp>,
}

/// One poll.
pub(super) async fn list(aws: &Aws, page: &(dyn Fn(Page) + Send + Sync)) -> Result<(), Failure> {
    let rows: Vec<Row> = hosting::endpoints(aws)
        .await?
        .iter()
        .map(|summary| Row {
            name: summary.endpoint_name().unwrap_or_default().to_owned(),
            state: state(summary.endpoint_status().map_or("", |status| status.as_str())),
            created: summary.creation_time().map(time::ours),
            updated: summary.last_modified_time().map(time::ours),
            more: None,
        })
        .collect();
    let (rows, wanted) = aws.memo(MEMO, |known: &mut Known| {
        let rows: Vec<Row> =
            rows.into_iter().map(|row| Row { more: known.rows.get(&row.name).and_then(|old| old.more.clone()), ..row }).collect();
        known.rows = rows.iter().map(|row| (row.name.clone(), row.clone())).collect();
        let changed = rows.iter().filter(|row| known.described.get(&row.name) != Some(&row.updated));
        let wanted: Vec<String> = changed.take(DESCRIBED).map(|row| row.name.clone()).collect();
        (rows, wanted)
    });
    let items = rows.iter().map(|row| row.item(&Calls::of(aws, &row.name))).collect();
    page(Page { items, whole: true, more: false });
    for name in wanted {
        // Deleted since it was listed: the next poll knows.
        let Some(endpoint) = hosting::missing(hosting::endpoint(aws, &name).await)? else { continue };
        let config = hosting::missing(hosting::config(aws, endpoint.endpoint_config_name().unwrap_or_default()).await)?;
        let row = remember(aws, &endpoint, config.as_ref());
        page(Page { items: vec![row.item(&Calls::of(aws, &name))], whole: false, more: false });
    }
    Ok(())
}

/// Keeps what a description said, for the next poll's rows.
pub(super) fn remember(aws: &Aws, endpoint: &DescribeEndpointOutput, config: Option<&DescribeEndpointConfigOutput>) -> Row {
    let name = endpoint.endpoint_name().unwrap_or_default().to_owned();
    let row = Row {
        state: state_of(endpoint),
        created: endpoint.creation_time().map(time::ours),
        updated: endpoint.last_modified_time().map(time::ours),
        more: Some(More::of(aws.region(), endpoint, config)),
        name: name.clone(),
    };
    aws.memo(MEMO, |known: &mut Known| {
        known.described.insert(name.clone(), row.updated);
        if let (Phase::Active, Some(updated)) = (row.state.phase, row.updated) {
            let served = known.served.entry(name.clone()).or_insert(updated);
            // Another one of that name, made since.
            if row.created.is_some_and(|created| *served < created) {
                *served = updated;
            }
        }
        known.rows.insert(name, row.clone());
    });
    row
}

/// Since when the endpoint has been in service, as far as that was seen.
pub(super) fn served(aws: &Aws, name: &str) -> Option<Timestamp> {
    aws.memo(MEMO, |known: &mut Known| known.served.get(name).copied())
}

/// The state of a described endpoint.
pub(super) fn state_of(endpoint: &DescribeEndpointOutput) -> State {
    state(endpoint.endpoint_status().map_or("", |status| status.as_str()))
}

/// The service's word with how alive it is. An endpoint that changes serves meanwhile; it is drawn as waiting all the same,
/// for what was asked is not there yet.
fn state(status: &str) -> State {
    let phase = match status {
        "InService" => Phase::Active,
        "Creating" | "Updating" | "SystemUpdating" | "RollingBack" => Phase::Waiting,
        "Deleting" => Phase::Leaving,
        "Failed" | "UpdateRollbackFailed" => Phase::Failed,
        "OutOfService" => Phase::Stopped,
        _ => Phase::Unknown,
    };
    State { phase, word: Safe::line(status) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_sagemaker::types::EndpointStatus;

    #[test]
    fn every_status_has_a_phase() {
        for status in EndpointStatus::values() {
            assert_ne!(state(status).phase, Phase::Unknown, "{status}");
        }
        assert_eq!(state("Resting").word.as_str(), "Resting");
    }
}
