//! Logs read for their curves alone, beside the one on the screen: those of the things compared. A log knows every value,
//! and of what is alive at once; the service's own record is an average a minute.

use std::collections::BTreeMap;

use super::App;
use super::compare::latest;
use super::event::Effect;
use super::logs::plot::plot;
use crate::model::{ItemId, MetricRule, Point, Safe, Series};

/// Which logs are read, and what they have brought.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    resource: String,
    logs: BTreeMap<ItemId, Watched>,
}

#[derive(Clone, Debug)]
struct Watched {
    over: bool,
    series: Vec<Series>,
}

impl Watch {
    /// The curves read so far.
    #[must_use]
    pub fn series(&self, resource: &str, id: &ItemId) -> Option<&Vec<Series>> {
        self.logs.get(id).filter(|_| self.resource == resource).map(|log| &log.series)
    }
}

impl App {
    /// Sees to it that just the logs are read whose curves are wanted and not known.
    pub(super) fn keep_watching(&mut self, out: &mut Vec<Effect>) {
        let pane = self.pane();
        let resource = pane.spec.id;
        let mut wanted: BTreeMap<ItemId, (bool, Vec<MetricRule>)> = BTreeMap::new();
        if self.has_compared() {
            for one in self.compared() {
                let id = &one.item.id;
                let followed = self.log.as_ref().is_some_and(|log| log.id == *id && log.resource == resource);
                if let Some(detail) = one.detail.filter(|detail| detail.log && !detail.metrics.is_empty())
                    && !followed
                    && !pane.drained.contains(id)
                {
                    wanted.insert(id.clone(), (!one.item.state.phase.is_live(), detail.metrics.clone()));
                }
            }
        }
        let same = wanted.len() == self.watch.logs.len()
            && wanted.iter().all(|(id, (over, _))| self.watch.logs.get(id).is_some_and(|log| log.over == *over));
        if same && (wanted.is_empty() || self.watch.resource == resource) {
            return;
        }
        let mut before = std::mem::take(&mut self.watch);
        if before.resource != resource {
            self.put_watch_away(std::mem::take(&mut before));
        }
        self.watch.resource = resource.to_owned();
        for (id, (over, _)) in &wanted {
            let series = before.logs.remove(id).map(|log| log.series).unwrap_or_default();
            self.watch.logs.insert(id.clone(), Watched { over: *over, series });
        }
        self.put_watch_away(before);
        let logs = wanted.into_iter().map(|(id, (over, rules))| (id, rules, over)).collect();
        out.push(Effect::Watch { resource: resource.to_owned(), logs });
    }

    /// What was read is kept, where it is more than was known.
    fn put_watch_away(&mut self, watch: Watch) {
        for (id, log) in watch.logs {
            self.keep_curves(&watch.resource, id, log.series);
        }
    }

    /// Keeps curves for later, unless they are known further than that.
    pub(super) fn keep_curves(&mut self, resource: &str, id: ItemId, series: Vec<Series>) {
        let Some(pane) = self.panes.iter_mut().find(|pane| pane.spec.id == resource) else { return };
        if latest(&series) >= pane.curves.get(&id).and_then(|known| latest(known)) && !series.is_empty() {
            if pane.curves.len() >= CURVES {
                pane.curves.clear();
                pane.drained.clear();
            }
            pane.curves.insert(id, series);
        }
    }

    /// Takes in what such a log has brought; `whole`: it has been read to its end.
    pub(super) fn watched(&mut self, resource: &str, id: &ItemId, points: Vec<(Safe, Point)>, whole: bool) {
        if self.watch.resource != resource {
            return;
        }
        let Some(log) = self.watch.logs.get_mut(id) else { return };
        for (name, point) in points {
            plot(&mut log.series, &name, point);
        }
        let series = log.series.clone();
        if let (Some(first), Some(pane)) = (series.first(), self.panes.iter_mut().find(|pane| pane.spec.id == resource)) {
            pane.trends.insert(id.clone(), super::arrive::trend(first));
        }
        if whole {
            self.keep_curves(resource, id.clone(), series);
            if let Some(pane) = self.panes.iter_mut().find(|pane| pane.spec.id == resource) {
                pane.drained.insert(id.clone());
            }
        }
        self.revision += 1;
    }
}

/// Things whose curves are kept after their log was left.
const CURVES: usize = 64;
