//! What comes from outside: lists, details, log lines, answers, timers.

use super::event::{Effect, Event, Wake};
use super::form::FormView;
use super::logs::LogView;
use super::overlay::{ConfirmView, Confirmed, Overlay, TextView};
use super::pane::{Load, Pane};
use super::{App, Level, Tone};
use crate::model::{Block, Failure, FailureKind, Item, ItemId, LogBatch, Order, Outcome, Safe, Series, TailNote, Verb};

impl App {
    pub(super) fn arrive(&mut self, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Key(_) | Event::Paste(_) | Event::Mouse(_) | Event::Resize(..) => {}
            Event::Focus(gained) => self.focus_shell(gained, out),
            Event::Shell { session, news } => self.shell_news(session, news, out),
            Event::Woke(wake) => self.woke(wake, out),
            Event::Identified(who) => {
                self.who = Some(who);
                self.revision += 1;
            }
            Event::Remembered { resource, items, at } => self.remembered(&resource, items, at),
            Event::Listed { resource, scope, page } => {
                let clock = self.clock.clone();
                if let Some(at) = self.pane_of(&resource, scope.as_ref()) {
                    let pane = &mut self.panes[at];
                    // More may be on its way.
                    pane.asked = Some(clock.now);
                    let first = matches!(pane.load, Load::Loading | Load::Remembered(_));
                    let changed = pane.merge(page, &clock);
                    if first {
                        pane.load = Load::Fresh(clock.now);
                    }
                    if changed || first {
                        self.revision += 1;
                        self.end_log_of_the_dead(out);
                        self.end_shells_of_the_gone(out);
                    }
                }
            }
            Event::ListEnded { resource, scope, result } => self.list_ended(&resource, scope.as_ref(), result, out),
            Event::Detailed { resource, id, result } => self.detailed(&resource, &id, result, out),
            Event::Tailed { resource, id, batch } => self.tailed(&resource, &id, batch, out),
            Event::Watched { resource, id, points, whole } => self.watched(&resource, &id, points, whole),
            Event::Formed(result) => self.formed(result, out),
            Event::Previewed { serial, result } => {
                if let Some(Overlay::Form(form)) =
                    self.overlays.iter_mut().find(|overlay| matches!(overlay, Overlay::Form(form) if form.serial == serial))
                {
                    if result.as_ref().is_ok_and(|preview| preview.more) {
                        out.push(Effect::Preview { serial, form: form.form.clone() });
                    }
                    form.preview = Some(result);
                    self.revision += 1;
                }
            }
            Event::Progressed { serial, progress } => {
                if let Some(running) = self.running.get_mut(&serial) {
                    running.progress = Some(progress);
                    self.revision += 1;
                }
            }
            Event::Staked { order, lines } => self.staked(&order, lines),
            Event::Ran { serial, order, result } => {
                let from = self.running.remove(&serial).map(|running| running.from);
                self.revision += 1;
                self.ran(&order, from, result, out);
            }
            Event::Resumed => {
                self.revision += 1;
                out.push(self.list(self.active));
            }
            Event::Ended => out.push(Effect::Quit),
        }
    }

    fn woke(&mut self, wake: Wake, out: &mut Vec<Effect>) {
        match wake {
            Wake::Poll(resource) => {
                // What was the inside of something that has been left is not asked for any more.
                let asked =
                    |pane: &super::pane::Pane| pane.spec.id == resource && (pane.spec.within.is_none() || !pane.scope.is_empty());
                if let Some(at) = self.panes.iter().position(asked) {
                    out.push(self.list(at));
                }
            }
            Wake::Settle(serial) if serial == self.settle => self.settled(out),
            Wake::Preview(serial) => {
                if let Some(Overlay::Form(form)) = self.overlays.last()
                    && form.serial == serial
                {
                    out.push(Effect::Preview { serial, form: form.form.clone() });
                }
            }
            Wake::Tick => {
                self.ticking = false;
                self.revision += 1;
            }
            Wake::Toast(serial) if self.toast.as_ref().is_some_and(|toast| toast.serial == serial) => {
                self.toast = None;
                self.revision += 1;
            }
            Wake::Reconnect(session) => self.reconnect(session, out),
            Wake::Release(session) => self.release(session, out),
            Wake::Settle(_) | Wake::Toast(_) => {}
        }
    }

    /// The selection rests: fetch its detail, follow its log.
    fn settled(&mut self, out: &mut Vec<Effect>) {
        let resource = self.pane().spec.id.to_owned();
        let Some(item) = self.selected() else {
            if self.log.is_some() {
                self.put_log_away();
                out.push(Effect::Untail);
            }
            return;
        };
        let id = item.id.clone();
        out.push(Effect::Detail { resource, id });
        self.ask_for_compared(out);
        if self.log.is_some() && self.log().is_none() {
            self.put_log_away();
            self.revision += 1;
            out.push(Effect::Untail);
        }
    }

    /// Leaves the log; its curves stay, to be compared with others.
    fn put_log_away(&mut self) {
        let Some(log) = self.log.take() else { return };
        let whole = log.note == Some(TailNote::Ended);
        let (resource, id) = (log.resource, log.id);
        self.keep_curves(&resource, id.clone(), log.series);
        if let Some(pane) = self.panes.iter_mut().find(|pane| pane.spec.id == resource).filter(|_| whole) {
            pane.drained.insert(id);
        }
    }

    fn remembered(&mut self, resource: &str, items: Vec<Item>, at: jiff::Timestamp) {
        let clock = self.clock.clone();
        if let Some(pane) =
            self.panes.iter_mut().find(|pane| pane.spec.id == resource && pane.load == Load::Loading && pane.scope.is_empty())
        {
            pane.load = Load::Remembered(at);
            pane.merge(crate::model::Page { items, whole: false, more: false }, &clock);
            self.revision += 1;
        }
    }

    fn pane_of(&self, resource: &str, scope: Option<&ItemId>) -> Option<usize> {
        self.panes.iter().position(|pane| pane.spec.id == resource && pane.scope.last() == scope)
    }

    fn list_ended(&mut self, resource: &str, scope: Option<&ItemId>, result: Result<(), Failure>, out: &mut Vec<Effect>) {
        let now = self.clock.now;
        let Some(at) = self.pane_of(resource, scope) else { return };
        let pane = &mut self.panes[at];
        pane.asked = None;
        let failed = self.failures.entry(pane.spec.id).or_default();
        let before = pane.load.clone();
        let mut news = None;
        match result {
            Ok(()) => {
                *failed = 0;
                pane.load = Load::Fresh(now);
            }
            Err(failure) => {
                *failed += 1;
                // Where there are rows, the list says only that they are old; why, and what to do, is said once.
                if *failed == 1 && at == self.active && !pane.items().is_empty() {
                    news = Some(failure.to_string());
                }
                let since = match &pane.load {
                    Load::Fresh(at) | Load::Remembered(at) => Some(*at),
                    Load::Stale { since, .. } => *since,
                    Load::Loading => None,
                };
                pane.load = Load::Stale { failure, since };
            }
        }
        let both_fresh = matches!((&before, &pane.load), (Load::Fresh(_), Load::Fresh(_)));
        if !both_fresh && before != pane.load {
            self.revision += 1;
        }
        let period = if pane.is_live() || at == self.active { pane.spec.poll.live } else { pane.spec.poll.still };
        let back_off = f64::from(2_u32.pow((*failed).min(5)));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "seconds to milliseconds, far inside the range"
        )]
        let millis = (f64::from(period) * 1000.0 * self.setup.poll_factor * back_off).clamp(200.0, 300_000.0) as u64;
        out.push(Effect::After { millis, wake: Wake::Poll(resource.to_owned()) });
        let failed = *failed;
        if scope.is_none() && failed == 0 && pane.unkept {
            pane.unkept = false;
            out.push(Effect::Remember { resource: resource.to_owned(), items: pane.to_remember() });
        }
        if let Some(news) = news {
            self.say(Tone::Bad, news, out);
        }
        // What is selected and alive is looked at again along with its list.
        if at == self.active
            && failed == 0
            && let Some(item) = self.selected()
            && (item.state.phase.is_live()
                || self.pane().details.get(&item.id).is_none_or(|(detail, _)| detail.state != item.state))
        {
            out.push(Effect::Detail { resource: resource.to_owned(), id: item.id.clone() });
        }
        // A list that fails may have said before what became of its rows.
        if at == self.active
            && failed > 0
            && let Some(item) = self.selected()
            && !item.state.phase.is_live()
            && self.pane().details.get(&item.id).is_some_and(|(detail, _)| detail.state != item.state)
        {
            out.push(Effect::Detail { resource: resource.to_owned(), id: item.id.clone() });
        }
        if at == self.active && failed == 0 {
            self.ask_for_compared(out);
            self.ask_for_trends(out);
        }
        // Details of rows in an inner list say how they compare with the others: they age with any of them.
        if at == self.active
            && failed == 0
            && self.panes[at].spec.within.is_some()
            && std::mem::take(&mut self.panes[at].unkept)
            && let Some(item) = self.selected()
        {
            out.push(Effect::Detail { resource: resource.to_owned(), id: item.id.clone() });
        }
        // So is what it is inside of: its charts show.
        if at == self.active
            && failed == 0
            && let Some((outer, id)) = self.holder()
        {
            let pane = &self.panes[outer];
            let (resource, id) = (pane.spec.id.to_owned(), id.clone());
            let live = pane.get(&id).is_none_or(|item| item.state.phase.is_live());
            let known = pane.get(&id).map(|item| &item.state);
            if live || pane.details.get(&id).is_none_or(|(detail, _)| known != Some(&detail.state)) {
                out.push(Effect::Detail { resource, id });
            }
        }
    }

    fn detailed(&mut self, resource: &str, id: &ItemId, result: Result<crate::model::Detail, Failure>, out: &mut Vec<Effect>) {
        let now = self.clock.now;
        let Some(pane) = self.panes.iter_mut().find(|pane| pane.spec.id == resource) else { return };
        let detail = match result {
            Ok(detail) => detail,
            Err(failure) => {
                // What nobody has asked for by name is left out in silence.
                if !pane.details.contains_key(id) && pane.selected().is_some_and(|item| item.id == *id) {
                    self.say(Tone::Bad, failure.to_string(), out);
                    self.revision += 1;
                }
                return;
            }
        };
        let rules = detail.metrics.clone();
        let log = detail.log;
        let curve = detail.blocks.iter().find_map(|block| match block {
            // The trend in the list is that of a metric, not of the processors.
            Block::Curves { series, .. } => series
                .iter()
                .find(|one| rules.is_empty() || rules.iter().any(|rule| rule.name == one.name.as_str()))
                .filter(|series| !series.points.is_empty()),
            _ => None,
        });
        // The log knows every value, as soon as it is printed.
        let followed = self.log.as_ref().is_some_and(|log| log.id == *id && !log.series.is_empty());
        if let Some(curve) = curve.filter(|_| !followed) {
            pane.trends.insert(id.clone(), trend(curve));
        }
        let changed = pane.details.get(id).is_none_or(|(old, _)| *old != detail);
        pane.details.insert(id.clone(), (detail, now));
        if changed {
            self.revision += 1;
        }
        let current = self.selected().is_some_and(|item| item.id == *id) && self.pane().spec.id == resource;
        if current && log && self.log().is_none() {
            self.put_log_away();
            self.log = Some(LogView::new(resource.to_owned(), id.clone()));
            self.revision += 1;
            out.push(Effect::Tail { resource: resource.to_owned(), id: id.clone(), rules });
            self.end_log_of_the_dead(out);
        }
    }

    /// Tells the follower when the thing it follows has come to its end.
    fn end_log_of_the_dead(&mut self, out: &mut Vec<Effect>) {
        let dead = self.log.as_ref().is_some_and(|log| {
            let pane = self.panes.iter().find(|pane| pane.spec.id == log.resource);
            pane.and_then(|pane| pane.get(&log.id)).is_some_and(|item| !item.state.phase.is_live())
        });
        if dead && self.log.as_ref().is_some_and(|log| log.note != Some(TailNote::Ended)) {
            out.push(Effect::TailEnded);
        }
    }

    fn tailed(&mut self, resource: &str, id: &ItemId, batch: LogBatch, out: &mut Vec<Effect>) {
        if let Some(log) = &mut self.log
            && log.id == *id
            && log.resource == resource
        {
            log.take(batch);
            let trend = log.series.first().map(trend);
            if let (Some(trend), Some(pane)) = (trend, self.panes.iter_mut().find(|pane| pane.spec.id == resource)) {
                pane.trends.insert(id.clone(), trend);
            }
            self.warn_of_repeating(out);
            self.revision += 1;
        }
    }

    fn formed(&mut self, result: Result<crate::model::Form, Failure>, out: &mut Vec<Effect>) {
        self.forming = false;
        // An older message would stand where the form says its keys.
        self.toast = None;
        self.revision += 1;
        let form = match result {
            Ok(form) => form,
            Err(failure) => return self.explain(&failure),
        };
        let Some(pane) = self.panes.iter().find(|pane| pane.spec.id == form.resource) else { return };
        let check = pane.spec.check;
        let serial = self.next_serial();
        let draft = self.drafts.remove(&(form.resource.clone(), form.verb)).filter(|draft| draft.parent == form.parent);
        let mut view = FormView::new(serial, form, check);
        if let Some(draft) = draft {
            view.restore(&draft, check);
            self.say(Tone::Plain, "What you had entered before is back; Ctrl-r starts afresh.", out);
        }
        out.push(Effect::Preview { serial, form: view.form.clone() });
        self.overlays.push(Overlay::Form(Box::new(view)));
    }

    fn ran(&mut self, order: &Order, from: Option<usize>, result: Result<Outcome, Failure>, out: &mut Vec<Effect>) {
        let (resource, verb) = (order.resource.as_str(), order.verb);
        let clock = self.clock.clone();
        // What was asked of a model is mostly asked again, a little differently.
        if result.is_ok() && verb != Verb::Invoke {
            self.drafts.remove(&(resource.to_owned(), verb));
        }
        match result {
            Ok(Outcome::Said(said)) => self.say(Tone::Good, said, out),
            Ok(Outcome::Made { id, said }) => {
                self.say(Tone::Good, said, out);
                if let Some(at) = self.panes.iter().position(|pane| pane.spec.id == resource) {
                    // To the new thing, if the user still is where it was asked for.
                    if at != self.active && from == Some(self.active) && self.overlays.is_empty() && !self.in_shell() {
                        match order.targets.first().filter(|_| self.panes[at].spec.within.is_some()) {
                            Some(holder) => self.descend(at, holder.clone(), out),
                            None => self.go_to(at, out),
                        }
                    }
                    self.panes[at].select_id(&id, &clock);
                    self.panes[at].marks.clear();
                }
                if self.pane().spec.id == resource && self.level == Level::Log {
                    self.level = Level::List;
                }
            }
            Ok(Outcome::Answer { title, text }) => self.read(title, text, Tone::Plain),
            Ok(Outcome::Link { url, said }) => {
                out.push(Effect::Copy(url.clone()));
                self.read(
                    said,
                    format!("{url}\n\nIt is on your clipboard, too. Whoever has this address gets in: treat it as a password.")
                        .into(),
                    Tone::Plain,
                );
            }
            Ok(Outcome::Then { said, question, lines, order }) => {
                self.say(Tone::Good, said, out);
                self.overlays.push(Overlay::Confirm(ConfirmView {
                    what: Confirmed::Order(*order),
                    title: question,
                    lines,
                    typed: None,
                    on_yes: false,
                    opened: clock.now,
                    top: 0,
                }));
            }
            Err(failure) if failure.kind == FailureKind::Cancelled => self.say(Tone::Plain, failure.to_string(), out),
            Err(failure) => {
                // A form that could not be sent is kept, so that nothing typed is lost.
                if verb.has_form() {
                    self.explain(&failure);
                } else {
                    self.say(Tone::Bad, failure.to_string(), out);
                }
            }
        }
        // A list inside a row that is not open has nothing to show.
        let shown = |pane: &Pane| pane.spec.id == resource && (pane.spec.within.is_none() || !pane.scope.is_empty());
        if let Some(at) = self.panes.iter().position(shown) {
            out.push(self.list(at));
        }
    }

    /// Shows a failure in full; it stays among the messages when it has been read.
    pub(super) fn explain(&mut self, failure: &Failure) {
        self.note(Tone::Bad, failure.to_string().into());
        let text =
            if failure.hint.is_empty() { failure.what.to_string() } else { format!("{}\n\n{}", failure.what, failure.hint) };
        self.read("That did not work".into(), text.into(), Tone::Bad);
    }

    /// Shows a text to read.
    pub(super) fn read(&mut self, title: Safe, text: Safe, tone: Tone) {
        self.overlays.push(Overlay::Text(TextView { title, text, tone, top: 0 }));
    }
}

/// Values that a spark line in a table has room for.
const SPARK: usize = 24;

/// A curve in few values, for the table.
pub(super) fn trend(series: &Series) -> Vec<f64> {
    let points = &series.points;
    let step = points.len().div_ceil(SPARK).max(1);
    let mut values: Vec<f64> = points.iter().step_by(step).map(|point| point.value).collect();
    if let Some(last) = points.last()
        && !(points.len() - 1).is_multiple_of(step)
    {
        values.push(last.value);
    }
    values
}
