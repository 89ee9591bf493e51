//! What an instance has cost by the hour: over all its starts, each stretch at the price of the type it had then.
//!
//! EC2 tells of the last start only: `LaunchTime`, and when that ended (`StateTransitionReason`). The next start overwrites
//! both, and a change of type makes it look as if the new one had run. So what ran is noted in a tag of the instance
//! ([`RAN`]) before it is started or gets another type, and after it was stopped from here: there the footplate of another
//! machine sees it too. A note says up to which start it counts, by that start's `LaunchTime`, so that to note twice is to
//! note once, whatever becomes of the call that follows.
//!
//! assumed: the network interface that an instance is launched with (device 0) stays attached for its life, so its attach
//! time tells when the instance was first started; once it is terminated `UsageOperationUpdateTime` does, which changes only
//! with the license. A type that was changed elsewhere while it was stopped cannot be told from the one that ran.

mod note;

use aws_sdk_ec2::types::{Instance, Tag};
use jiff::Timestamp;

use super::{list, look};
use crate::aws::{Aws, fault, time};
use crate::model::show::{money, span};
use crate::model::{Cell, Failure};
use note::Note;

/// The tag with what ran before; see [`mod@note`].
pub(super) const RAN: &str = "footplate:ran";

/// Seconds between the first start and what tells of it.
const FIRST: i64 = 60;
/// Seconds between a start as it was asked for, by our clock, and as EC2 tells it: what else ran within is not worth a cent.
const SAME: i64 = 300;

/// What ran as one type at one price.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stretch {
    pub kind: String,
    pub seconds: u64,
    /// US dollars; absent where no price is known.
    pub per_hour: Option<f64>,
}

impl Stretch {
    #[expect(clippy::cast_precision_loss, reason = "seconds of a life stay far below 2^53")]
    fn cost(&self) -> Option<f64> {
        self.per_hour.map(|rate| rate * self.seconds as f64 / 3600.0)
    }

    /// `2:00:00 on g5.xlarge at $1.01/h`.
    #[expect(clippy::cast_precision_loss, reason = "as above")]
    fn told(&self) -> String {
        let price =
            self.per_hour.map_or_else(|| ", whose price is not known".to_owned(), |rate| format!(" at {}/h", money(rate)));
        format!("{} on {}{price}", span(self.seconds as f64), self.kind)
    }
}

/// All that is known of what an instance ran.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Life {
    /// Stretches that are over, one for each type and price.
    pub ended: Vec<Stretch>,
    /// Since when it runs, and what that costs in an hour.
    pub since: Option<Timestamp>,
    pub per_hour: Option<f64>,
    /// It ran at other times, too, that nobody has noted.
    pub least: bool,
}

impl Life {
    /// Of an instance as EC2 describes it.
    pub fn of(aws: &Aws, it: &Instance, now: Timestamp) -> Self {
        Self::priced(it, now, &|kind| list::hourly(aws, it, kind))
    }

    fn priced(it: &Instance, now: Timestamp, price: &dyn Fn(&str) -> Option<f64>) -> Self {
        let kind = look::kind(it);
        let mut life = Self { ended: Vec::new(), since: None, per_hour: price(kind), least: false };
        let Some(launched) = it.launch_time().map(time::ours) else { return life };
        let note = noted(it, launched, now);
        match &note {
            Some(note) => {
                life.ended.clone_from(&note.ran);
                let ours = |at: Timestamp| (launched.as_second() - at.as_second()).abs() <= SAME;
                life.least = note.least || (note.to != launched && !note.at.is_some_and(ours));
            }
            // Without a note, its first start is all there was; of what it is not known, more may have been.
            None => life.least = first(it).is_none_or(|first| launched.as_second() - first.as_second() > FIRST),
        }
        // Where the price is known only now.
        for stretch in &mut life.ended {
            stretch.per_hour = stretch.per_hour.or_else(|| price(&stretch.kind));
        }
        if runs(it) {
            life.since = Some(launched);
        } else if note.is_none_or(|note| note.to != launched) {
            match look::ran(it, now) {
                Some(seconds) => life.add(kind, seconds),
                None => life.least = true,
            }
        }
        life
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a life, never negative")]
    fn add(&mut self, kind: &str, seconds: f64) {
        let seconds = seconds.round() as u64;
        match self.ended.iter_mut().find(|one| one.kind == kind && one.per_hour == self.per_hour) {
            Some(same) => same.seconds += seconds,
            None => self.ended.push(Stretch { kind: kind.to_owned(), seconds, per_hour: self.per_hour }),
        }
    }

    /// US dollars of what is over, as far as prices are known.
    fn before(&self) -> f64 {
        self.ended.iter().filter_map(Stretch::cost).sum()
    }

    /// What it has cost until now, or until its end; going on while it runs.
    pub fn cost(&self) -> Cell {
        let unknown = self.ended.iter().any(|one| one.per_hour.is_none()) || (self.since.is_some() && self.per_hour.is_none());
        let (before, least) = (self.before(), self.least || unknown);
        match (self.since.zip(self.per_hour), self.ended.iter().any(|one| one.per_hour.is_some())) {
            (Some((since, per_hour)), false) if !least => Cell::Accrues { since, per_hour },
            (Some((since, per_hour)), _) => Cell::Spent { before, since: Some(since), per_hour, least },
            (None, false) => Cell::Absent,
            (None, true) if least => Cell::Spent { before, since: None, per_hour: 0.0, least },
            (None, true) => Cell::Money(before),
        }
    }

    /// What is over, in words; none where nothing is.
    pub fn told(&self) -> Option<String> {
        (!self.ended.is_empty()).then(|| self.ended.iter().map(Stretch::told).collect::<Vec<_>>().join(", "))
    }

    /// Dollars of what is over, and what that was, for one that runs again.
    pub fn told_before(&self) -> Option<String> {
        self.told().map(|said| format!("{}: {said}", money(self.before())))
    }
}

fn runs(it: &Instance) -> bool {
    matches!(look::name_of_state(it), "pending" | "running")
}

/// When it was started for the first time.
fn first(it: &Instance) -> Option<Timestamp> {
    let attached = it.network_interfaces().iter().filter_map(|interface| interface.attachment());
    let own = attached.filter(|at| at.device_index() == Some(0)).find_map(|at| at.attach_time());
    own.or_else(|| it.usage_operation_update_time()).map(time::ours)
}

/// The note in its tag, where that can be true: a tag is written by anybody, and copied to other instances.
fn noted(it: &Instance, launched: Timestamp, now: Timestamp) -> Option<Note> {
    let note = look::tag(it, RAN).and_then(Note::read)?;
    let first = first(it).map_or(0, Timestamp::as_second) - FIRST;
    let until = if note.to == launched { now } else { launched };
    let within = note.to <= launched && note.to.as_second() >= first && note.seconds() <= until.as_second().abs_diff(first);
    // What runs has not ended yet.
    (within && !(runs(it) && note.to == launched)).then_some(note)
}

/// What the tag is to say of one that does not run: all that it ran until now, and when it is about to be started, if it
/// is. `None`: there is nothing new to say.
pub(super) fn due(aws: &Aws, it: &Instance, starts: Option<Timestamp>) -> Option<String> {
    let now = Timestamp::now();
    let launched = it.launch_time().map(time::ours).filter(|_| !runs(it))?;
    let Life { ended, least, .. } = Life::of(aws, it, now);
    let before = noted(it, launched, now).filter(|note| note.to == launched).and_then(|note| note.at);
    let note = Note { to: launched, at: starts.or(before), least, ran: ended };
    Some(note.written()).filter(|value| look::tag(it, RAN) != Some(value))
}

/// Writes that into the tag.
///
/// # Errors
/// As the service says; what is to follow can go on without it.
pub(super) async fn note(aws: &Aws, it: &Instance, starts: Option<Timestamp>) -> Result<(), Failure> {
    let Some(value) = due(aws, it, starts) else { return Ok(()) };
    let tag = Tag::builder().key(RAN).value(value).build();
    let asked = aws.ec2.create_tags().resources(look::id(it)).tags(tag).send().await;
    asked.map(drop).map_err(|error| fault::tell(&format!("noting what {} ran", look::id(it)), &error))
}

/// What is said when it could not be noted.
pub(super) fn unnoted(failure: &Failure) -> String {
    format!("what it cost before could not be noted, and will not be counted ({})", failure.what)
}

#[cfg(test)]
mod tests;
