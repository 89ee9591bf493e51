//! The question before an order: what, where, how many, what it changes.

use crate::app::App;
use crate::app::event::Effect;
use crate::app::input::Input;
use crate::app::overlay::{ConfirmView, Confirmed, Overlay};
use crate::model::{Cell, Confirm, ItemId, Order, Safe, Verb};

impl App {
    /// Asks before an order goes out. The order is fixed from here on, whatever the list does meanwhile.
    pub(super) fn confirm(&mut self, order: Order, level: Confirm, out: &mut Vec<Effect>) {
        let spec = self.pane().spec;
        let count = order.targets.len();
        let what = match order.targets.as_slice() {
            [one] => self.called(one).to_string(),
            _ => format!("{count} {}s", spec.singular),
        };
        let mut lines: Vec<Safe> = Vec::new();
        let account = match &self.who {
            Some(Ok(account)) => account.to_string(),
            _ => "an account not known yet".to_owned(),
        };
        let place = if self.setup.local { "the local region".to_owned() } else { format!("AWS, {}", self.setup.region) };
        lines.push(format!("on {place}, account {account}").into());
        if count > 1 {
            lines.extend(order.targets.iter().take(6).map(|id| Safe::line(&format!("  {}", self.called(id)))));
            if count > 6 {
                lines.push(format!("  and {} more", count - 6).into());
            }
        }
        let hidden = self.pane().hidden(&order.targets);
        if hidden > 0 {
            lines.push(format!("{hidden} of them hidden by the filter").into());
        }
        let rate: f64 = order
            .targets
            .iter()
            .filter_map(|id| self.pane().get(id))
            .filter(|item| item.state.phase.is_live())
            .filter_map(|item| item.per_hour)
            .sum();
        if rate > 0.0 && matches!(order.verb, Verb::Stop | Verb::Delete) {
            lines.push(format!("saves {} per hour", crate::model::show::money(rate)).into());
        }
        lines.extend((spec.warns)(order.verb).lines().map(Safe::line));
        if order.verb.interrupts() {
            lines.extend(self.shells_on(&order.targets));
            out.push(Effect::Stake { order: order.clone() });
        }
        let typed = match (level, order.targets.as_slice()) {
            (Confirm::Type, [one]) => Some((one.as_str().to_owned(), Input::new("", false))),
            (Confirm::Type, _) => Some((count.to_string(), Input::new("", false))),
            _ => None,
        };
        let mut verb = order.verb.name().to_owned();
        if let Some(first) = verb.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        self.overlays.push(Overlay::Confirm(ConfirmView {
            title: format!("{verb} {what}?").into(),
            lines,
            typed,
            on_yes: false,
            opened: self.clock.now,
            top: 0,
            what: Confirmed::Order(order),
        }));
    }

    /// What would end with the targets, as it was found while it is asked: said with the question, if that is still open.
    pub(in crate::app) fn staked(&mut self, asked: &Order, lines: Vec<Safe>) {
        let open = self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Confirm(view) if matches!(&view.what, Confirmed::Order(order) if order == asked) => Some(view),
            _ => None,
        });
        if let Some(view) = open.filter(|_| !lines.is_empty()) {
            view.lines.extend(lines);
            self.revision += 1;
        }
    }

    /// Open terminals that end with these machines.
    fn shells_on(&self, targets: &[ItemId]) -> Option<Safe> {
        // A terminal that was opened on what is inside a machine is on the machine.
        let on = |id: &ItemId, machine: &ItemId| {
            id.as_str().strip_prefix(machine.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let open = self.shells.sessions.iter().filter(|session| !session.is_over());
        match open.filter(|session| targets.iter().any(|target| on(&session.id, target))).count() {
            0 => None,
            1 => Some("an open terminal on it ends with it".into()),
            more => Some(format!("{more} open terminals end with it").into()),
        }
        .filter(|_| self.pane().spec.verbs.contains(&Verb::Shell) && self.pane().spec.within.is_none())
    }

    /// What the list calls it, with its id where that does not say the same.
    fn called(&self, id: &ItemId) -> Safe {
        let whole = Safe::line(id.as_str());
        match self.pane().get(id).and_then(|item| item.cells.first()) {
            Some(Cell::Text(name)) if !whole.as_str().contains(name.as_str()) => format!("{name} ({whole})").into(),
            _ => whole,
        }
    }
}
