//! What the user wants, carried out on the state.

mod confirm;
mod refusal;

use super::event::Effect;
use super::input::Input;
use super::layout::{NARROW, layout};
use super::overlay::{ConfirmView, Confirmed, Overlay, PaletteView};
use super::pane::Load;
use super::{App, Level, Running, Tone};
use crate::config::action::{self, Action, Place};
use crate::model::{Confirm, ItemId, Order, Phase, Safe, Verb};

impl App {
    /// Where key bindings are looked up now.
    #[must_use]
    pub fn place(&self) -> Place {
        if self.level == Level::Log { Place::Log } else { Place::List }
    }

    /// The action makes sense now: footer, palette and help offer only these.
    #[must_use]
    pub fn offers(&self, action: Action) -> bool {
        let pane = self.pane();
        match action {
            Action::Verb(verb) => {
                pane.spec.verbs.contains(&verb)
                    && (!pane.spec.needs_row(verb) || self.selected().is_some() || self.opens_holder(verb))
                    && !(self.read_only && verb.mutates())
            }
            Action::Tab(n) => usize::from(n) < self.tabs().len(),
            Action::Solo(n) => self.log().is_some_and(|log| log.hosts.len() > 1 && usize::from(n) < log.hosts.len()),
            Action::Hosts | Action::Fold => self.log().is_some_and(|log| log.hosts.len() > 1),
            Action::Against => self.compares(),
            Action::Open | Action::Details | Action::Mark | Action::Copy | Action::MarkAll => self.selected().is_some(),
            Action::NextMetric => self.charts() > 1,
            Action::LogScale => self.compares() || (self.has_curve() && !self.shows_plots()),
            Action::NextMatch | Action::PreviousMatch => self.log().is_some_and(|log| !log.search.is_empty()),
            Action::Lock => !self.read_only,
            Action::Leader => !self.shells.sessions.is_empty(),
            Action::CallOff => self.to_call_off().is_some(),
            Action::Back => {
                self.level != Level::List || !pane.scope.is_empty() || !pane.marks.is_empty() || !pane.filter.is_empty()
            }
            _ => true,
        }
    }

    /// A terminal needs no row in a list inside a machine: it opens on that.
    fn opens_holder(&self, verb: Verb) -> bool {
        verb == Verb::Shell && self.holder().is_some()
    }

    pub(super) fn act(&mut self, wanted: Action, out: &mut Vec<Effect>) {
        match wanted {
            Action::Verb(verb) => self.verb(verb, out),
            Action::Up => self.step(-1),
            Action::Down => self.step(1),
            Action::PageUp => self.step(-self.page()),
            Action::PageDown => self.step(self.page()),
            Action::Top => self.edge(true),
            Action::Bottom => self.edge(false),
            Action::Left => self.with_log(|log, _| log.left = log.left.saturating_sub(8)),
            Action::Right => self.with_log(|log, _| log.left += 8),
            Action::Follow => self.with_log(|log, _| log.toggle_follow()),
            Action::Wrap => self.with_log(|log, _| log.wrap = !log.wrap),
            Action::Solo(n) => self.with_log(|log, _| log.toggle_solo(u16::from(n))),
            Action::Hosts => self.choose_hosts(),
            Action::Fold => self.fold(out),
            Action::Against => self.against = self.against.next(),
            Action::Search => self.overlays.push(Overlay::Search(Input::new("", false))),
            Action::NextMatch => self.find(true, out),
            Action::PreviousMatch => self.find(false, out),
            Action::Open => self.open(out),
            Action::Details => self.open_details(),
            Action::Messages => self.read_messages(),
            Action::Back => self.back(out),
            Action::Tab(n) => self.tab(usize::from(n), out),
            Action::NextTab => self.next_tab(true, out),
            Action::PreviousTab => self.next_tab(false, out),
            Action::Filter => {
                let before = self.pane().filter.clone();
                self.overlays.push(Overlay::Filter { input: Input::new(&before, false), before });
            }
            Action::Sort => self.overlays.push(Overlay::Sort(self.pane().sort.0)),
            Action::Reverse => {
                let (column, descending) = self.pane().sort;
                self.sort(column, !descending);
            }
            Action::Mark => {
                self.pane_mut().toggle_mark();
                self.step(1);
            }
            Action::MarkAll => self.pane_mut().toggle_all(),
            Action::Refresh => {
                out.push(self.list(self.active));
                self.settle(out);
            }
            Action::Copy => {
                if let Some(item) = self.selected() {
                    let text = Safe::line(item.id.as_str());
                    out.push(Effect::Copy(text.clone()));
                    self.say(Tone::Plain, format!("Copied {text}"), out);
                }
            }
            Action::Taller => self.resplit(-8),
            Action::Shorter => self.resplit(8),
            Action::LogScale => self.log_scale = !self.log_scale,
            Action::NextMetric => self.metric = (self.metric + 1) % self.charts().max(1),
            Action::Palette => self.palette("Do", false),
            Action::Help => self.palette("Keys", true),
            Action::Lock => {
                self.read_only = true;
                out.push(Effect::Lock);
                self.say(Tone::Plain, "Locked: nothing can be changed until footplate is started again.", out);
            }
            Action::CallOff => match self.to_call_off() {
                Some(serial) => out.push(Effect::CallOff { serial }),
                None => self.say(Tone::Plain, "Nothing is at work that can be called off.", out),
            },
            Action::Leader => self.go_to_shell(out),
            Action::Suspend => out.push(Effect::Suspend),
            Action::Quit => self.quit(out),
        }
    }

    fn with_log(&mut self, change: impl FnOnce(&mut super::logs::LogView, usize)) {
        let rows = usize::from(layout(self).log.height);
        if let Some(log) = &mut self.log {
            change(log, rows);
        }
    }

    /// Rows of a page in what scrolls now.
    fn page(&self) -> i64 {
        let places = layout(self);
        let rows = match self.level {
            Level::List => places.list.height,
            Level::Details => places.facts.height,
            _ => places.log.height,
        };
        i64::from(rows.saturating_sub(1).max(1))
    }

    pub(super) fn step(&mut self, rows: i64) {
        if self.level == Level::Details {
            return self.scroll_details(rows);
        }
        if self.level != Level::List {
            return self.with_log(|log, _| log.scroll(rows));
        }
        let pane = self.pane_mut();
        let at = i64::try_from(pane.cursor()).unwrap_or(i64::MAX).saturating_add(rows).max(0);
        pane.select(usize::try_from(at).unwrap_or(0));
    }

    fn edge(&mut self, first: bool) {
        if self.level == Level::Details {
            return self.scroll_details(if first { i64::MIN } else { i64::MAX });
        }
        if self.level != Level::List {
            return self.with_log(|log, rows| if first { log.go_start(rows) } else { log.go_end() });
        }
        self.pane_mut().select(if first { 0 } else { usize::MAX });
    }

    fn find(&mut self, onwards: bool, out: &mut Vec<Effect>) {
        let mut found = true;
        self.with_log(|log, rows| found = log.find(onwards, rows));
        if !found {
            self.say(Tone::Plain, "No match in the lines read so far.", out);
        }
    }

    /// Starts a search for what was typed.
    pub(super) fn search(&mut self, text: &str, out: &mut Vec<Effect>) {
        let text = text.to_lowercase();
        self.with_log(|log, _| {
            log.hit = None;
            log.search.clone_from(&text);
        });
        if !text.is_empty() {
            self.find(false, out);
        }
    }

    fn resplit(&mut self, by: i16) {
        self.split_set = true;
        self.split = self.split.saturating_add_signed(by).clamp(15, 85);
    }

    pub(super) fn sort(&mut self, column: usize, descending: bool) {
        let clock = self.clock.clone();
        let pane = self.pane_mut();
        pane.sort = (column, descending);
        pane.arrange(&clock);
    }

    fn open(&mut self, out: &mut Vec<Effect>) {
        let Some(item) = self.selected() else { return };
        if item.container {
            let id = item.id.clone();
            return match self.inner_of(self.active) {
                Some(inner) => self.descend(inner, id, out),
                None => self.enter(Some(id), out),
            };
        }
        self.level = match self.level {
            Level::List => Level::Inside,
            Level::Inside if self.has_log() => Level::Log,
            level => level,
        };
    }

    /// Opens what is inside a row as the list of another kind.
    pub(super) fn descend(&mut self, inner: usize, id: ItemId, out: &mut Vec<Effect>) {
        self.active = inner;
        self.level = Level::List;
        let pane = self.pane_mut();
        pane.scope = vec![id];
        pane.clear();
        out.push(self.list(inner));
    }

    /// Goes from such a list back to the row that holds it.
    fn ascend(&mut self) {
        let outer = self.tab_of(self.active);
        let pane = self.pane_mut();
        pane.scope.clear();
        pane.clear();
        self.active = outer;
    }

    /// How many charts there are to go through.
    fn charts(&self) -> usize {
        if self.compares() {
            return self.pages();
        }
        if self.shows_plots() { self.plots().len() } else { self.curves().len() }
    }

    /// Enters a container, or leaves the innermost one.
    fn enter(&mut self, id: Option<ItemId>, out: &mut Vec<Effect>) {
        let clock = self.clock.clone();
        let pane = self.pane_mut();
        let left = match id {
            Some(id) => {
                pane.scope.push(id);
                None
            }
            None => pane.scope.pop(),
        };
        pane.clear();
        if let Some(id) = left {
            pane.select_id(&id, &clock);
        }
        out.push(self.list(self.active));
    }

    /// Esc: one layer back, always. Overlays have been asked before.
    fn back(&mut self, out: &mut Vec<Effect>) {
        let clock = self.clock.clone();
        if self.level == Level::Log {
            self.level = Level::Inside;
        } else if self.level == Level::Details {
            self.close_details();
        } else if self.level == Level::Inside {
            self.level = Level::List;
        } else if !self.pane().marks.is_empty() {
            self.pane_mut().marks.clear();
        } else if !self.pane().filter.is_empty() {
            let pane = self.pane_mut();
            pane.filter.clear();
            pane.arrange(&clock);
        } else if self.holder().is_some() {
            self.ascend();
        } else if !self.pane().scope.is_empty() {
            self.enter(None, out);
        } else if self.toast.take().is_none() {
            let quit = self.setup.keymap.keys(Action::Quit).first().map(ToString::to_string).unwrap_or_default();
            self.say(Tone::Plain, format!("Nothing to go back from; {quit} quits."), out);
        }
    }

    fn next_tab(&mut self, onwards: bool, out: &mut Vec<Effect>) {
        let tabs = self.tabs();
        let here = self.tab_of(self.active);
        let at = tabs.iter().position(|tab| *tab == here).unwrap_or(0);
        self.tab(if onwards { at + 1 } else { at + tabs.len() - 1 } % tabs.len(), out);
    }

    /// Opens the n-th tab, as deep inside as it was left.
    fn tab(&mut self, n: usize, out: &mut Vec<Effect>) {
        let Some(outer) = self.tabs().get(n).copied().filter(|outer| *outer != self.tab_of(self.active)) else { return };
        let inner = self.inner_of(outer).filter(|inner| !self.panes[*inner].scope.is_empty());
        self.go_to(inner.unwrap_or(outer), out);
    }

    pub(super) fn go_to(&mut self, at: usize, out: &mut Vec<Effect>) {
        self.active = at;
        self.level = Level::List;
        self.settle(out);
        if !matches!(self.pane().load, Load::Fresh(_)) {
            out.push(self.list(at));
        }
    }

    fn verb(&mut self, verb: Verb, out: &mut Vec<Effect>) {
        let spec = self.pane().spec;
        if !spec.verbs.contains(&verb) {
            return self.say(Tone::Plain, refusal::nothing_to(verb), out);
        }
        if self.read_only && verb.mutates() {
            return self.say(Tone::Bad, "Read-only: this would change something in AWS.", out);
        }
        let targets = if spec.needs_row(verb) { self.pane().targets() } else { Vec::new() };
        if spec.needs_row(verb) && targets.is_empty() && !self.opens_holder(verb) {
            let article = if spec.singular.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            return self.say(Tone::Plain, format!("Select {article} {} first.", spec.singular), out);
        }
        // What has ended already needs no stopping, marked or not.
        let alive = |id: &ItemId| self.pane().get(id).is_some_and(|item| item.state.phase.is_live());
        let up = |id: &ItemId| self.pane().get(id).is_some_and(|item| matches!(item.state.phase, Phase::Waiting | Phase::Active));
        let targets: Vec<ItemId> = match verb {
            Verb::Stop => targets.into_iter().filter(alive).collect(),
            // What is on its way out is waited for.
            Verb::Start => targets.into_iter().filter(|id| !up(id)).collect(),
            _ => targets,
        };
        match verb {
            Verb::Stop if targets.is_empty() => {
                return self.say(Tone::Plain, "That has ended already; there is nothing to stop.", out);
            }
            Verb::Start if targets.is_empty() => return self.say(Tone::Plain, "That is running already.", out),
            _ => {}
        }
        if verb == Verb::Shell {
            return self.open_shell(out);
        }
        if verb == Verb::Logs {
            if self.has_log() {
                self.level = Level::Log;
            }
            return;
        }
        if verb.has_form() {
            if !self.forming {
                self.forming = true;
                let target = if !spec.needs_row(verb) {
                    // A new one comes to be where the user is.
                    self.pane().scope.last().cloned()
                } else if verb == Verb::Promote && targets.len() == 1 {
                    // The one that is marked, wherever the cursor is.
                    targets.first().cloned()
                } else {
                    self.selected().map(|item| item.id.clone())
                };
                out.push(Effect::Form { resource: spec.id.to_owned(), verb, target });
            }
            return;
        }
        let order = Order { resource: spec.id.to_owned(), verb, targets, form: None };
        match verb.confirm() {
            Confirm::None => self.send(order, out),
            level => self.confirm(order, level, out),
        }
    }

    /// Sends an order on its way.
    pub(super) fn send(&mut self, order: Order, out: &mut Vec<Effect>) {
        let serial = self.next_serial();
        self.running.insert(serial, Running { order: order.clone(), progress: None, from: self.active });
        self.pane_mut().marks.clear();
        out.push(Effect::Run { serial, order });
    }

    /// The order that calling off is about: the last one sent of those that can be.
    pub(super) fn to_call_off(&self) -> Option<u64> {
        self.running.iter().rev().find(|(_, running)| running.order.verb.can_be_called_off()).map(|(serial, _)| *serial)
    }

    /// Quits, after asking where that would end running work.
    fn quit(&mut self, out: &mut Vec<Effect>) {
        let (running, _) = self.burn();
        let mut lines: Vec<Safe> = Vec::new();
        if self.setup.owns_region && running > 0 {
            let what = self.at_work().join(", ");
            lines.push(
                format!("{what} {} in this local region, inside this program.", if running == 1 { "runs" } else { "run" }).into(),
            );
            lines.push("Quitting ends what runs; what is finished stays.".into());
            lines.push("To keep them running without the cockpit: footplate local serve".into());
        }
        lines.extend(self.shells_at_stake());
        if lines.is_empty() || self.quitting {
            return self.leave(out);
        }
        self.overlays.push(Overlay::Confirm(ConfirmView {
            title: "Quit?".into(),
            lines,
            typed: None,
            on_yes: false,
            opened: self.clock.now,
            top: 0,
            what: Confirmed::Quit,
        }));
    }

    /// What costs money now, by kind: `2 training jobs`, `1 endpoint`.
    fn at_work(&self) -> Vec<String> {
        let mut said = Vec::new();
        for pane in self.panes.iter().filter(|pane| pane.scope.is_empty() && pane.spec.burns) {
            let live = pane.items().iter().filter(|item| item.state.phase.is_live()).count();
            if live > 0 {
                said.push(format!("{live} {}{}", pane.spec.singular, if live == 1 { "" } else { "s" }));
            }
        }
        said
    }

    pub(super) fn leave(&mut self, out: &mut Vec<Effect>) {
        self.quitting = true;
        out.push(Effect::Quit);
    }

    fn palette(&mut self, title: &'static str, all: bool) {
        let place = self.place();
        let mut entries = Vec::new();
        for entry in action::ALL {
            let here = entry.place == Place::Everywhere || entry.place == place;
            if !here || !self.offers(entry.action) {
                continue;
            }
            let keys: Vec<String> = self.setup.keymap.keys(entry.action).iter().map(ToString::to_string).collect();
            let what = match entry.action {
                Action::Tab(n) => {
                    format!("go to {}", self.tabs().get(usize::from(n)).map_or("", |at| self.panes[*at].spec.title))
                }
                Action::Verb(_) => format!("{} ({})", entry.help, self.pane().spec.singular),
                _ => entry.help.to_owned(),
            };
            if all || !matches!(entry.action, Action::Up | Action::Down | Action::PageUp | Action::PageDown | Action::Palette) {
                // Where there is little room: the key and what it does; the name is there to be found by.
                let line = if self.size.0 < NARROW {
                    format!("{:<8} {what} · {}", keys.first().map_or("", String::as_str), entry.name)
                } else {
                    format!("{:<16} {:<17} {what}", entry.name, keys.join(" "))
                };
                entries.push((entry.action, Safe::line(&line)));
            }
        }
        self.overlays.push(Overlay::Palette(PaletteView { title, input: Input::new("", false), cursor: 0, entries }));
    }
}
