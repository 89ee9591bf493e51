//! Where we are in one log stream, and which of its events have been handed over: each exactly once.
//!
//! Three facts of CloudWatch Logs shape this. A page may be empty although more follows: only the token says whether one is
//! at the end (the same token comes back). An event may arrive late, with a time before events already read; whether the
//! forward token delivers it then is not documented, so stretches are swept again by time. And an event of `GetLogEvents`
//! has no identity: two equal lines of one millisecond are two events.
//!
//! So events are counted. A *pass* is a walk over the stream that delivers every event in its range once: the forward walk,
//! and each sweep. The n-th equal event of a pass is new if fewer than n of its kind have been handed over so far.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Late events are looked for this far behind the newest event, in milliseconds.
pub const LATE: i64 = 10 * 60 * 1000;

/// Kinds of event remembered per stream before those out of every sweep's reach are forgotten.
const REMEMBERED: usize = 400_000;

/// One event of a stream. Times in milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: i64,
    pub message: String,
}

/// One page as `GetLogEvents` answers.
#[derive(Clone, Debug, Default)]
pub struct EventPage {
    pub events: Vec<Event>,
    pub next_forward_token: Option<String>,
}

/// What to ask for next. Bounds in milliseconds; the start is inclusive, the end exclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    pub token: Option<String>,
    pub start: Option<i64>,
    pub end: Option<i64>,
}

/// The place in one stream.
#[derive(Debug, Default)]
pub struct Cursor {
    ask: Ask,
    /// Equal events: how many this pass has delivered, and how many were handed over.
    counts: BTreeMap<Kind, Counts>,
    at_end: bool,
    /// Time of the newest event read.
    latest: Option<i64>,
    /// The newest event when the last sweep began: all before it, less [`LATE`], is settled.
    swept: Option<i64>,
    sweep: Option<Sweep>,
}

type Kind = (i64, u64);

#[derive(Debug, Default)]
struct Counts {
    forward: u32,
    given: u32,
}

#[derive(Debug)]
struct Sweep {
    ask: Ask,
    counts: HashMap<Kind, u32>,
}

impl Cursor {
    /// The next request: of the sweep while there is one, else of the forward walk.
    #[must_use]
    pub fn ask(&self) -> &Ask {
        self.sweep.as_ref().map_or(&self.ask, |sweep| &sweep.ask)
    }

    /// Takes the answer to [`Cursor::ask`] and returns what is new in it, in the page's order.
    pub fn take(&mut self, page: EventPage) -> Vec<Event> {
        let at_end = page.next_forward_token.is_none() || page.next_forward_token == self.ask().token;
        let mut fresh = Vec::with_capacity(page.events.len());
        for event in page.events {
            let kind = kind(&event);
            let counts = self.counts.entry(kind).or_default();
            let seen = match &mut self.sweep {
                Some(sweep) => sweep.counts.entry(kind).or_default(),
                None => &mut counts.forward,
            };
            *seen += 1;
            if *seen > counts.given {
                counts.given += 1;
                self.latest = self.latest.max(Some(event.at));
                fresh.push(event);
            }
        }
        match &mut self.sweep {
            Some(_) if at_end => self.sweep = None,
            Some(sweep) => sweep.ask.token = page.next_forward_token,
            None => {
                self.at_end = at_end;
                self.ask.token = page.next_forward_token.or(self.ask.token.take());
            }
        }
        self.forget();
        fresh
    }

    /// At the end of the stream as far as the service knows, and no sweep under way.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.at_end && self.sweep.is_none()
    }

    /// A new round: the stream may have grown.
    pub fn wake(&mut self) {
        self.at_end = false;
    }

    /// Time of the newest event read, in milliseconds.
    #[must_use]
    pub fn latest(&self) -> Option<i64> {
        self.latest
    }

    /// Looks again at what came since the last sweep and [`LATE`] before it.
    pub fn begin_sweep(&mut self) {
        let Some(latest) = self.latest else { return };
        let start = self.swept.map(|swept| swept - LATE);
        self.swept = Some(latest);
        self.sweep = Some(Sweep { ask: Ask { token: None, start, end: Some(latest + 1) }, counts: HashMap::new() });
    }

    /// The service no longer knows the token: starts again by time, [`LATE`] before the newest event.
    pub fn token_lost(&mut self) {
        if let Some(sweep) = &mut self.sweep {
            sweep.ask.token = None;
            sweep.counts.clear();
            return;
        }
        self.ask = Ask { token: None, start: self.latest.map(|latest| latest - LATE), end: None };
        for counts in self.counts.values_mut() {
            counts.forward = 0;
        }
    }

    /// Lets go of events that no pass can deliver again.
    fn forget(&mut self) {
        if self.counts.len() > REMEMBERED
            && self.sweep.is_none()
            && let Some(swept) = self.swept
        {
            self.counts = self.counts.split_off(&(swept - LATE, 0));
        }
    }
}

fn kind(event: &Event) -> Kind {
    let mut hasher = DefaultHasher::new();
    event.message.hash(&mut hasher);
    (event.at, hasher.finish())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream as the service might keep it. A token is the place after one event, either in the order of arrival (late
    /// events come forward) or in the order of time (late events before the place are hidden from it).
    struct Service {
        stored: Vec<Event>,
        page: usize,
        delivers_late: bool,
    }

    impl Service {
        fn answer(&self, ask: &Ask) -> EventPage {
            let place = |arrival: usize, event: &Event| (if self.delivers_late { 0 } else { event.at }, arrival);
            let after = ask.token.as_ref().and_then(|token| {
                let (at, arrival) = token.split_once('/')?;
                Some((at.parse::<i64>().unwrap(), arrival.parse::<usize>().unwrap()))
            });
            let mut rest: Vec<((i64, usize), &Event)> = self
                .stored
                .iter()
                .enumerate()
                .map(|(arrival, event)| (place(arrival, event), event))
                .filter(|(place, _)| after.is_none_or(|after| *place > after))
                .filter(|(_, event)| ask.start.is_none_or(|start| event.at >= start) && ask.end.is_none_or(|end| event.at < end))
                .collect();
            rest.sort_by_key(|(place, _)| *place);
            rest.truncate(self.page);
            let next = rest.last().map(|((at, arrival), _)| format!("{at}/{arrival}"));
            let next = next.or(ask.token.clone()).unwrap_or_else(|| "-1/0".to_owned());
            EventPage { events: rest.into_iter().map(|(_, event)| event.clone()).collect(), next_forward_token: Some(next) }
        }
    }

    fn drain(cursor: &mut Cursor, service: &Service, got: &mut Vec<Event>) {
        cursor.wake();
        for _ in 0..10_000 {
            if cursor.caught_up() {
                return;
            }
            got.extend(cursor.take(service.answer(cursor.ask())));
        }
        panic!("never caught up");
    }

    fn sorted(mut events: Vec<Event>) -> Vec<Event> {
        events.sort_by(|a, b| (a.at, &a.message).cmp(&(b.at, &b.message)));
        events
    }

    proptest! {
        /// Arrivals come in rounds; lines repeat; times jump back up to ten minutes; pages split anywhere; the token may be
        /// lost; late events may or may not come with the forward token. In the end each event was given exactly once.
        #[test]
        fn every_event_exactly_once(
            rounds in prop::collection::vec(prop::collection::vec((0i64..LATE, 0u8..4), 0..20), 1..6),
            page in 1usize..7,
            delivers_late in any::<bool>(),
            lose in prop::collection::vec(any::<bool>(), 6),
            sweep in prop::collection::vec(any::<bool>(), 6),
        ) {
            let mut service = Service { stored: Vec::new(), page, delivers_late };
            let mut cursor = Cursor::default();
            let mut got = Vec::new();
            for (number, round) in rounds.iter().enumerate() {
                service.stored.extend(round.iter().map(|(at, text)| Event { at: *at, message: format!("line {text}") }));
                if lose[number] {
                    cursor.token_lost();
                }
                drain(&mut cursor, &service, &mut got);
                if sweep[number] {
                    cursor.begin_sweep();
                    drain(&mut cursor, &service, &mut got);
                }
            }
            cursor.begin_sweep();
            drain(&mut cursor, &service, &mut got);
            prop_assert_eq!(sorted(got), sorted(service.stored));
        }
    }

    #[test]
    fn an_empty_page_with_a_new_token_is_not_the_end() {
        let mut cursor = Cursor::default();
        assert!(cursor.take(EventPage { events: vec![], next_forward_token: Some("a".into()) }).is_empty());
        assert!(!cursor.caught_up());
        let event = Event { at: 1, message: "x".into() };
        assert_eq!(cursor.take(EventPage { events: vec![event.clone()], next_forward_token: Some("b".into()) }), [event]);
        cursor.take(EventPage { events: vec![], next_forward_token: Some("b".into()) });
        assert!(cursor.caught_up());
    }

    #[test]
    fn many_equal_lines_are_counted_quickly() {
        let mut cursor = Cursor::default();
        let page =
            || EventPage { events: vec![Event { at: 5, message: "same".into() }; 200_000], next_forward_token: Some("t".into()) };
        assert_eq!(cursor.take(page()).len(), 200_000);
        cursor.begin_sweep();
        assert_eq!(cursor.take(page()).len(), 0);
    }
}
