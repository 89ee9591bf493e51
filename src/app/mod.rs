//! The pure core: the whole state, and `update(event) -> effects`. No I/O, no clock, no randomness; the time comes with
//! each event. Only [`crate::runtime`] waits, and only it carries out what comes back.

mod act;
mod arrive;
pub mod compare;
pub mod details;
pub mod event;
pub mod form;
mod hosts;
pub mod input;
mod keys;
pub mod layout;
pub mod logs;
pub mod overlay;
pub mod pane;
pub mod shell;
mod twins;
pub mod watch;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::config::keymap::Keymap;
use crate::model::{Block, Clock, Detail, Form, Item, ItemId, Order, Phase, Plot, Progress, Safe, Series, Spec, Verb};
use compare::Against;
use details::Reading;
pub use event::{Effect, Event, Wake};
use logs::LogView;
use overlay::Overlay;
use pane::Pane;
use shell::Shells;
use watch::Watch;

/// What is fixed when the cockpit starts.
#[derive(Clone, Debug)]
pub struct Setup {
    pub specs: Vec<&'static Spec>,
    pub keymap: Keymap,
    pub zone: TimeZone,
    /// The local region, or real AWS.
    pub local: bool,
    /// This process runs the local region: quitting ends its jobs.
    pub owns_region: bool,
    pub region: Safe,
    pub read_only: bool,
    /// Multiplies all poll periods; the local region can be asked more often.
    pub poll_factor: f64,
    /// No braille, no box drawing.
    pub ascii: bool,
    /// Programs in terminals on machines may set the user's clipboard.
    pub clipboard: bool,
}

/// How deep the user is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The list, with the selected thing below.
    List,
    /// The selected thing over the whole screen.
    Inside,
    /// All that is known of it over the whole screen, to scroll through.
    Details,
    /// Its log over the whole screen.
    Log,
    /// A terminal on a machine over the whole screen.
    Shell,
}

/// How a message is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
}

/// Messages that are kept to be read again.
const MESSAGES: usize = 100;

/// A message that goes away by itself.
#[derive(Clone, Debug)]
pub struct Toast {
    pub serial: u64,
    pub tone: Tone,
    pub text: Safe,
}

/// An order under way.
#[derive(Clone, Debug)]
pub struct Running {
    pub order: Order,
    pub progress: Option<Progress>,
    /// The pane that it was sent from.
    pub from: usize,
}

/// The whole state of the cockpit.
#[derive(Clone, Debug)]
pub struct App {
    pub setup: Setup,
    pub clock: Clock,
    pub size: (u16, u16),
    pub panes: Vec<Pane>,
    pub active: usize,
    pub level: Level,
    /// Height of the list in percent, and whether the user set it.
    pub split: u16,
    pub split_set: bool,
    pub overlays: Vec<Overlay>,
    pub toast: Option<Toast>,
    /// What has been said, the last one at the end.
    pub messages: VecDeque<(Timestamp, Tone, Safe)>,
    pub reading: Reading,
    pub log: Option<LogView>,
    /// Logs read for the curves of what is compared.
    pub watch: Watch,
    /// Terminals on machines.
    pub shells: Shells,
    /// Which of the curves shows, and how.
    pub metric: usize,
    pub log_scale: bool,
    /// What compared curves are drawn against.
    pub against: Against,
    /// Account, or why it is not known.
    pub who: Option<Result<Safe, crate::model::Failure>>,
    pub read_only: bool,
    /// Orders under way.
    pub running: BTreeMap<u64, Running>,
    /// A form is being fetched.
    pub forming: bool,
    /// Counts up with every change that can be seen; equal means nothing to draw.
    pub revision: u64,
    serial: u64,
    settle: u64,
    ticking: bool,
    failures: BTreeMap<&'static str, u32>,
    drafts: BTreeMap<(String, Verb), Form>,
    quitting: bool,
}

impl App {
    #[must_use]
    pub fn new(setup: Setup, size: (u16, u16), now: Timestamp) -> Self {
        let panes = setup.specs.iter().map(|spec| Pane::new(spec)).collect();
        let clock = Clock { now, zone: setup.zone.clone() };
        let read_only = setup.read_only;
        Self {
            setup,
            clock,
            size,
            panes,
            active: 0,
            level: Level::List,
            split: 45,
            split_set: false,
            overlays: Vec::new(),
            toast: None,
            messages: VecDeque::new(),
            reading: Reading::default(),
            log: None,
            watch: Watch::default(),
            shells: Shells::default(),
            metric: 0,
            log_scale: false,
            against: Against::default(),
            who: None,
            read_only,
            running: BTreeMap::new(),
            forming: false,
            revision: 0,
            serial: 0,
            settle: 0,
            ticking: false,
            failures: BTreeMap::new(),
            drafts: BTreeMap::new(),
            quitting: false,
        }
    }

    /// What has to happen first: who are we, and what is there.
    pub fn start(&mut self) -> Vec<Effect> {
        let mut out = vec![Effect::Identify];
        let active = self.active;
        out.push(self.list(active));
        for at in 0..self.panes.len() {
            if at != active && self.panes[at].spec.within.is_none() {
                out.push(self.list(at));
            }
        }
        out
    }

    /// Takes in one event, at that time, and says what is to be done. The only way the state changes.
    pub fn update(&mut self, at: Timestamp, event: Event) -> Vec<Effect> {
        self.clock.now = at;
        let mut out = Vec::new();
        let (selected, marked) = (self.selection(), self.pane().marks.len());
        match event {
            // What is typed into a terminal shows when the other end shows it.
            Event::Key(key) if self.overlays.is_empty() && self.in_shell() => self.key_in_shell(key, &mut out),
            Event::Paste(text) if self.overlays.is_empty() && self.in_shell() => self.paste_in_shell(&text, false, &mut out),
            Event::Mouse(mouse) => self.mouse(mouse, &mut out),
            Event::Key(key) => {
                self.revision += 1;
                self.key(key, &mut out);
            }
            Event::Paste(text) => {
                self.revision += 1;
                self.paste(&text, &mut out);
            }
            Event::Resize(width, height) => {
                self.revision += 1;
                self.size = (width, height);
            }
            other => self.arrive(other, &mut out),
        }
        if self.selection() != selected || self.pane().marks.len() != marked {
            self.settle(&mut out);
        }
        let rows = usize::from(layout::layout(self).list.height);
        self.pane_mut().reveal(rows);
        self.keep_shell_sized(&mut out);
        self.keep_ticking(&mut out);
        self.keep_watching(&mut out);
        out
    }

    /// The pane that is open.
    #[must_use]
    pub fn pane(&self) -> &Pane {
        &self.panes[self.active]
    }

    fn pane_mut(&mut self) -> &mut Pane {
        &mut self.panes[self.active]
    }

    /// The panes that have a tab, by their place.
    #[must_use]
    pub fn tabs(&self) -> Vec<usize> {
        (0..self.panes.len()).filter(|at| self.panes[*at].spec.within.is_none()).collect()
    }

    /// The pane whose tab that pane is under: itself, or the one that holds the row that it is the inside of.
    #[must_use]
    pub fn tab_of(&self, at: usize) -> usize {
        let outer = self.panes[at].spec.within;
        outer.and_then(|id| self.panes.iter().position(|pane| pane.spec.id == id)).unwrap_or(at)
    }

    /// The pane for what is inside the rows of that one, where that is something else.
    pub(super) fn inner_of(&self, at: usize) -> Option<usize> {
        let id = self.panes[at].spec.id;
        self.panes.iter().position(|pane| pane.spec.within == Some(id))
    }

    /// The thing that the open list is the inside of, with its pane.
    #[must_use]
    pub fn holder(&self) -> Option<(usize, &ItemId)> {
        let id = self.pane().scope.last()?;
        self.pane().spec.within.map(|_| (self.tab_of(self.active), id))
    }

    #[must_use]
    pub fn selected(&self) -> Option<&Item> {
        self.pane().selected()
    }

    /// The selected thing's detail, if it has been read.
    #[must_use]
    pub fn detail(&self) -> Option<&Detail> {
        self.pane().detail()
    }

    /// The followed log, if it is the selected thing's.
    #[must_use]
    pub fn log(&self) -> Option<&LogView> {
        let log = self.log.as_ref()?;
        let selected = self.selected()?;
        (log.id == selected.id && log.resource == self.pane().spec.id).then_some(log)
    }

    /// What speaks in a log of the open list, in the plural: hosts, or what the rows have inside.
    #[must_use]
    pub fn speakers(&self) -> String {
        self.inner_of(self.active).map_or_else(|| "hosts".to_owned(), |at| format!("{}s", self.panes[at].spec.singular))
    }

    /// The selected thing has a log, as far as is known.
    #[must_use]
    pub fn has_log(&self) -> bool {
        self.pane().spec.verbs.contains(&Verb::Logs) && self.detail().is_none_or(|detail| detail.log)
    }

    /// What is known of the selected thing is what a machine does now.
    #[must_use]
    pub fn has_gauges(&self) -> bool {
        self.detail().is_some_and(|detail| detail.blocks.iter().any(|block| matches!(block, Block::Gauges { .. })))
    }

    #[must_use]
    pub fn has_phases(&self) -> bool {
        self.detail()
            .is_some_and(|detail| detail.blocks.iter().any(|block| matches!(block, Block::Phases(spans) if !spans.is_empty())))
    }

    /// The charts that go with the open list: those of the thing that it is the inside of, else the selected one's.
    #[must_use]
    pub fn plots(&self) -> Vec<&Plot> {
        let detail = match self.holder() {
            Some((at, id)) => self.panes[at].details.get(id).map(|(detail, _)| detail),
            None => self.detail(),
        };
        let blocks = detail.into_iter().flat_map(|detail| &detail.blocks);
        let plots = blocks.filter_map(|block| if let Block::Plots(plots) = block { Some(plots.iter()) } else { None });
        plots.flatten().filter(|plot| !plot.dots.is_empty()).collect()
    }

    /// Charts show beside the list; an opened thing shows its own curves first.
    #[must_use]
    pub fn shows_plots(&self) -> bool {
        (self.level == Level::List || !self.has_curve()) && !self.plots().is_empty()
    }

    #[must_use]
    pub fn has_curve(&self) -> bool {
        !self.curves().is_empty() || self.detail().is_some_and(|detail| !detail.metrics.is_empty())
    }

    /// The selected thing's curves: from the live log where it has any, else those of the detail.
    #[must_use]
    pub fn curves(&self) -> Vec<&Series> {
        // What the followed log tells comes sooner than what the service tells of the same metric.
        let own: Vec<&Series> = self.log().map(|log| log.series.iter().collect()).unwrap_or_default();
        let blocks = self.detail().map(|detail| detail.blocks.as_slice()).unwrap_or_default();
        let told = blocks.iter().filter_map(|block| if let Block::Curves { series, .. } = block { Some(series) } else { None });
        let more: Vec<&Series> = told
            .flatten()
            .filter(|series| !series.points.is_empty() && !own.iter().any(|known| known.name == series.name))
            .collect();
        own.into_iter().chain(more).collect()
    }

    /// Things at work, and what they cost per hour together.
    #[must_use]
    pub fn burn(&self) -> (usize, f64) {
        let live = self
            .panes
            .iter()
            .filter(|pane| pane.scope.is_empty() && pane.spec.burns)
            .flat_map(Pane::items)
            .filter(|item| item.state.phase.is_live());
        live.fold((0, 0.0), |(count, rate), item| (count + 1, rate + item.per_hour.unwrap_or(0.0)))
    }

    /// How many of them run, in a list that tells prices, at a price that is not known: their cost is in no sum.
    #[must_use]
    pub fn unpriced(&self) -> usize {
        let burning = self.panes.iter().filter(|pane| pane.scope.is_empty() && pane.spec.burns);
        let priced = burning.filter(|pane| pane.spec.columns.iter().any(|column| column.title == "$/H"));
        let runs = |item: &&Item| matches!(item.state.phase, Phase::Waiting | Phase::Active) && item.per_hour.is_none();
        priced.flat_map(Pane::items).filter(runs).count()
    }

    /// Something on the screen changes with the seconds.
    #[must_use]
    pub fn ticks(&self) -> bool {
        self.level != Level::Shell
            && self
                .pane()
                .items()
                .iter()
                .any(|item| item.state.phase.is_live() && item.cells.iter().any(crate::model::Cell::ticks))
    }

    fn selection(&self) -> Option<(usize, crate::model::ItemId)> {
        self.selected().map(|item| (self.active, item.id.clone()))
    }

    fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Asks for the list of a pane.
    fn list(&mut self, at: usize) -> Effect {
        let pane = &mut self.panes[at];
        pane.asked.get_or_insert(self.clock.now);
        Effect::List { resource: pane.spec.id.to_owned(), scope: pane.scope.last().cloned() }
    }

    /// The selection changed: once it rests, its detail and log are fetched.
    fn settle(&mut self, out: &mut Vec<Effect>) {
        self.settle = self.next_serial();
        out.push(Effect::After { millis: 120, wake: Wake::Settle(self.settle) });
    }

    fn keep_ticking(&mut self, out: &mut Vec<Effect>) {
        if !self.ticking && self.ticks() {
            self.ticking = true;
            out.push(Effect::After { millis: 1000, wake: Wake::Tick });
        }
    }

    /// Keeps what was said, to be read again later.
    fn note(&mut self, tone: Tone, text: Safe) {
        if self.messages.back().is_some_and(|(_, _, last)| *last == text) {
            return;
        }
        self.messages.push_back((self.clock.now, tone, text));
        if self.messages.len() > MESSAGES {
            self.messages.pop_front();
        }
    }

    fn say(&mut self, tone: Tone, text: impl Into<Safe>, out: &mut Vec<Effect>) {
        let text: Safe = text.into();
        let serial = self.next_serial();
        // What is long takes longer to read: some twenty characters a second.
        let least = if tone == Tone::Bad { 12_000 } else { 5_000 };
        let millis = (u64::try_from(text.as_str().len()).unwrap_or(u64::MAX).saturating_mul(50)).clamp(least, 30_000);
        self.note(tone, text.clone());
        self.toast = Some(Toast { serial, tone, text });
        out.push(Effect::After { millis, wake: Wake::Toast(serial) });
    }
}
