//! Adding up the rows of lists: a pure function of what they say and the time.

use std::collections::BTreeMap;

use jiff::{Timestamp, ToSpan, Unit};

use crate::aws::price;
use crate::model::show::Clock;
use crate::model::{Cell, Item, Spec};

/// One thing that costs by the hour.
#[derive(Debug, PartialEq)]
pub(super) struct Running {
    /// One word: `training`, `endpoints`, `notebooks`.
    pub kind: String,
    pub id: String,
    pub instance_type: String,
    /// US dollars; absent where no price is known.
    pub per_hour: Option<f64>,
    pub so_far: Option<f64>,
    /// It was more, which nobody has noted.
    pub least: bool,
}

/// What several ended things cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub count: u64,
    pub dollars: f64,
    /// Of which the price is not known.
    pub unknown: u64,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Tally {
    clock: Clock,
    /// AWS's, that prices are of.
    region: String,
    /// How the names of this project's jobs begin; absent: every job counts as its.
    pub project: Option<String>,
    pub running: Vec<Running>,
    /// Of this project, by kind.
    pub ended: BTreeMap<String, Sums>,
    /// Of all projects, ended or not, by when they were started.
    pub today: Sums,
    pub week: Sums,
    pub all: Sums,
    /// Rows of which nothing but the name is known yet.
    pub unseen: u64,
    /// Where the prices are from, and of which days.
    pub sources: Vec<String>,
}

impl Tally {
    /// Nothing yet, for the project of that name.
    pub fn new(clock: Clock, region: &str, project: &str) -> Self {
        Self {
            clock,
            region: region.to_owned(),
            project: (!project.is_empty()).then(|| project.to_owned()),
            running: Vec::new(),
            ended: BTreeMap::new(),
            today: Sums::default(),
            week: Sums::default(),
            all: Sums::default(),
            unseen: 0,
            sources: Vec::new(),
        }
    }

    /// What all that runs costs in an hour.
    pub fn per_hour(&self) -> f64 {
        self.running.iter().filter_map(|one| one.per_hour).sum()
    }

    /// Takes in the rows of one kind.
    pub fn add(&mut self, spec: &Spec, rows: &[Item]) {
        let kind = spec.title.to_lowercase();
        for row in rows {
            if !is_looked_at(spec, row) {
                self.unseen += 1;
                continue;
            }
            // Domains, profiles and such: they have no machine.
            let Some(Cell::Text(instance_type)) = cell(spec, row, "TYPE") else { continue };
            self.source(&kind, instance_type.as_str());
            let cost = cell(spec, row, "COST");
            let spent = cost.and_then(|cost| cost.number(&self.clock));
            if row.state.phase.is_live() {
                self.running.push(Running {
                    kind: kind.clone(),
                    id: row.id.0.clone(),
                    instance_type: instance_type.to_string(),
                    per_hour: row.per_hour,
                    so_far: spent,
                    least: matches!(cost, Some(Cell::Spent { least: true, .. })),
                });
            } else if !is_a_job(spec) {
                // A machine is of no project by its name; its own row and details say what it has cost.
                continue;
            } else if self.project.as_ref().is_none_or(|project| row.id.0.starts_with(project.as_str())) {
                add(self.ended.entry(kind.clone()).or_default(), spent);
            }
            if is_a_job(spec) {
                let started = match cell(spec, row, "STARTED") {
                    Some(Cell::Time(at)) => Some(*at),
                    _ => None,
                };
                let (today, week) = (self.midnight(0), self.midnight(self.days_since_monday()));
                add(&mut self.all, spent);
                if started >= Some(week) {
                    add(&mut self.week, spent);
                }
                if started >= Some(today) {
                    add(&mut self.today, spent);
                }
            }
        }
    }

    fn source(&mut self, kind: &str, instance_type: &str) {
        let region = self.region.as_str();
        let price = match kind {
            "notebooks" => price::notebook(region, instance_type),
            "endpoints" => price::hosting(region, instance_type),
            "instances" => price::ec2(region, instance_type),
            _ => price::training(region, instance_type),
        };
        let Some(price) = price else { return };
        let said = format!("{}, {}", price.source, price.date);
        if !self.sources.contains(&said) {
            self.sources.push(said);
        }
    }

    /// When the day began that lies so many days back, where the user is.
    fn midnight(&self, days: i8) -> Timestamp {
        let here = self.clock.now.to_zoned(self.clock.zone.clone());
        let then = here.round(jiff::ZonedRound::new().smallest(Unit::Day).mode(jiff::RoundMode::Trunc));
        then.and_then(|day| day.checked_sub(i32::from(days).days())).map_or(self.clock.now, |day| day.timestamp())
    }

    fn days_since_monday(&self) -> i8 {
        self.clock.now.to_zoned(self.clock.zone.clone()).weekday().to_monday_zero_offset()
    }
}

fn add(sums: &mut Sums, dollars: Option<f64>) {
    sums.count += 1;
    sums.dollars += dollars.unwrap_or(0.0);
    sums.unknown += u64::from(dollars.is_none());
}

/// A job has an end, and its list says what it cost.
fn is_a_job(spec: &Spec) -> bool {
    spec.columns.iter().any(|column| column.title == "STARTED")
}

fn cell<'a>(spec: &Spec, row: &'a Item, title: &str) -> Option<&'a Cell> {
    row.cells.get(spec.columns.iter().position(|column| column.title == title)?)
}

/// More than the name is known: a job that was only listed has no type yet.
pub(super) fn is_looked_at(spec: &Spec, row: &Item) -> bool {
    !is_a_job(spec) || !matches!(cell(spec, row, "TYPE"), Some(Cell::Absent))
}

#[cfg(test)]
mod tests {
    use crate::model::{ItemId, Phase, Safe, State};
    use crate::resource;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn job(name: &str, phase: Phase, instance_type: Option<&str>, cost: &Cell, started: &str) -> Item {
        let spec = resource::find("training-jobs").unwrap().spec();
        let per_hour = if let Cell::Accrues { per_hour, .. } = cost { Some(*per_hour) } else { None };
        let cells = spec.columns.iter().map(|column| match column.title {
            "TYPE" => instance_type.map_or(Cell::Absent, |kind| Cell::Text(Safe::line(kind))),
            "COST" => cost.clone(),
            "STARTED" => Cell::Time(at(started)),
            _ => Cell::Absent,
        });
        Item {
            id: ItemId(name.to_owned()),
            state: State { phase, word: "x".into() },
            cells: cells.collect(),
            container: false,
            per_hour,
        }
    }

    #[test]
    fn what_runs_is_told_by_the_hour_and_what_has_ended_by_day_and_project() {
        // A Wednesday.
        let clock = Clock { now: at("2026-11-18T15:00:00Z"), zone: jiff::tz::TimeZone::UTC };
        let mut tally = Tally::new(clock, "us-east-1", "digits");
        let m5 = Some("ml.m5.2xlarge");
        let accrues = Cell::Accrues { since: at("2026-11-18T14:00:00Z"), per_hour: 0.5 };
        tally.add(
            resource::find("training-jobs").unwrap().spec(),
            &[
                job("digits-5", Phase::Active, m5, &accrues, "2026-11-18T14:00:00Z"),
                job("digits-4", Phase::Done, m5, &Cell::Money(1.0), "2026-11-18T00:30:00Z"),
                job("other-3", Phase::Failed, m5, &Cell::Money(2.0), "2026-11-16T01:00:00Z"),
                job("digits-2", Phase::Done, Some("ml.new.huge"), &Cell::Absent, "2026-11-17T01:00:00Z"),
                job("digits-1", Phase::Done, m5, &Cell::Money(4.0), "2026-11-15T23:00:00Z"),
                job("digits-0", Phase::Done, None, &Cell::Absent, "2026-11-01T00:00:00Z"),
            ],
        );
        assert!((tally.per_hour() - 0.5).abs() < 1e-9);
        assert_eq!((tally.running.len(), tally.running[0].so_far), (1, Some(0.5)));
        let sums = |count, dollars, unknown| Sums { count, dollars, unknown };
        assert_eq!(tally.ended["training"], sums(3, 5.0, 1));
        assert_eq!((tally.today, tally.week, tally.all), (sums(2, 1.5, 0), sums(4, 3.5, 1), sums(5, 7.5, 1)));
        assert_eq!((tally.unseen, tally.sources.len()), (1, 1));
    }
}
