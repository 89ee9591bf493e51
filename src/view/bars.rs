//! The three bars: where am I and as whom, what is here, what can I do now.

use super::pen::{Pen, columns};
use super::table::wrap;
use crate::app::layout::Area;
use crate::app::pane::Load;
use crate::app::{App, Level, Tone};
use crate::config::action::{self, Action, Place};
use crate::config::theme::Role;
use crate::model::{Safe, show};

pub fn top(pen: &mut Pen<'_>, area: Area, app: &App) {
    let mut x = area.x + 1;
    let room = |x: u16| (area.x + area.width).saturating_sub(x);
    if area.width >= 60 {
        x += pen.say(x, area.y, room(x), "footplate", Role::Head) + 2;
    }
    let (sign, role) = if app.setup.local { (" local region ", Role::Local) } else { (" AWS ", Role::Real) };
    x += pen.say(x, area.y, room(x), sign, role) + 1;
    let who: Safe = match &app.who {
        Some(Ok(account)) => format!("{account} · {}", app.setup.region).into(),
        Some(Err(_)) => format!("account unknown · {}", app.setup.region).into(),
        None => format!("… · {}", app.setup.region).into(),
    };
    let (running, rate) = app.burn();
    let burn: Safe = match running {
        0 if area.width < 60 => "idle".into(),
        0 => "nothing running".into(),
        _ if app.setup.local && area.width >= 60 => format!("{running} running · {}/h on AWS", show::money(rate)).into(),
        _ if area.width < 60 => format!("{running} · {}/h", show::money(rate)).into(),
        _ => format!("{running} running · {}/h", show::money(rate)).into(),
    };
    let burn = match app.unpriced() {
        0 => burn,
        // In a narrow terminal it has to be short.
        unknown if area.width < 100 => format!("{burn} + {unknown}?").into(),
        unknown => format!("{burn} + {unknown} without a price").into(),
    };
    let burn_wide = columns(burn.as_str()) + 1;
    // An account with a digit less is another account: what has no room is left out whole.
    let there = room(x).saturating_sub(burn_wide + 1);
    let short = who.as_str().split(" · ").map(Safe::line).find(|part| columns(part.as_str()) <= there);
    let who = if columns(who.as_str()) <= there { Some(who) } else { short };
    x += who.map_or(0, |who| pen.put(x, area.y, there, &who, Role::Text)) + 2;
    if app.read_only {
        pen.say(x, area.y, room(x).saturating_sub(burn_wide + 1), "read-only", Role::Warning);
    }
    let role = if running > 0 { Role::Money } else { Role::Quiet };
    pen.put_right(area.x, area.y, area.width - 1, &burn, role);
}

/// The panes in order. Where one is must be seen, whatever else has no room.
pub fn tabs(pen: &mut Pen<'_>, area: Area, app: &App) {
    let tabs: Vec<Tab> = app.tabs().into_iter().enumerate().map(|(at, outer)| Tab::of(app, at, outer)).collect();
    let here = tabs.iter().position(|tab| tab.here).unwrap_or_default();
    let more = if pen.ascii { "< " } else { "‹ " };
    let help = key(app, Action::Help);
    // Who knows no key needs this one.
    let room = area.width.saturating_sub(columns(&help) + 2);
    let fits = |first: usize| {
        let before = if first == 0 { 0 } else { columns(more) };
        let tabs: u16 = tabs[first..=here].iter().map(|tab| tab.width() + GAP).sum();
        1 + before + tabs <= room + GAP
    };
    let first = (0..here).find(|first| fits(*first)).unwrap_or(here);
    let (mut x, end) = (area.x + 1, area.x + room);
    if first > 0 {
        x += pen.say(x, area.y, end.saturating_sub(x), more, Role::Quiet);
    }
    for (at, tab) in tabs.iter().enumerate().skip(first) {
        if at > here && x + tab.width() > end {
            let sign = pen.say(x, area.y, end.saturating_sub(x), if pen.ascii { ">" } else { "›" }, Role::Quiet);
            x += if sign > 0 { sign + GAP } else { 0 };
            break;
        }
        for (text, role) in &tab.parts {
            x += pen.put(x, area.y, end.saturating_sub(x), text, *role);
        }
        x += GAP;
    }
    let hints = [format!("{} palette  {help} help", key(app, Action::Palette)), format!("{help} help"), help];
    let there = (area.x + area.width).saturating_sub(x.saturating_sub(GAP) + 2);
    if let Some(hint) = hints.into_iter().find(|hint| columns(hint) <= there) {
        pen.put_right(area.x, area.y, area.width - 1, &hint.as_str().into(), Role::Quiet);
    }
}

/// Columns between two tabs.
const GAP: u16 = 3;

/// What a tab shows.
struct Tab {
    here: bool,
    parts: Vec<(Safe, Role)>,
}

impl Tab {
    fn of(app: &App, at: usize, outer: usize) -> Self {
        let pane = &app.panes[outer];
        let here = outer == app.tab_of(app.active);
        let (number, title) = if here { (Role::Accent, Role::Head) } else { (Role::Quiet, Role::Quiet) };
        let mut parts = vec![(format!("{} ", at + 1).into(), number), (Safe::line(pane.spec.title), title)];
        let known = !matches!(pane.load, Load::Loading | Load::Stale { since: None, .. });
        if pane.scope.is_empty() && known {
            let (_, total) = pane.counts();
            let count = format!(" {}{}", show::grouped(total as u64), if pane.more { "+" } else { "" });
            parts.push((count.into(), Role::Quiet));
        }
        let scopes = app.pane().scope.iter().filter(|_| here);
        parts.extend(scopes.map(|scope| {
            // The last part of the path: the ones before it stand before it.
            let name = scope.as_str().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
            (Safe::line(&format!(" › {name}")), Role::Accent)
        }));
        Self { here, parts }
    }

    fn width(&self) -> u16 {
        self.parts.iter().map(|(text, _)| columns(text.as_str())).sum()
    }
}

/// The message, above the footer's line as far as it needs more than that one: its end, the remedy, matters most.
fn toast(pen: &mut Pen<'_>, rule: Area, area: Area, app: &App) {
    let Some(toast) = &app.toast else { return };
    let (mark, role) = match toast.tone {
        Tone::Plain => ("· ", Role::Accent),
        Tone::Good => (if pen.ascii { "+ " } else { "✓ " }, Role::Done),
        Tone::Bad => (if pen.ascii { "x " } else { "✗ " }, Role::Error),
    };
    let text = toast.text.lines().map(str::trim).collect::<Vec<_>>().join("  ");
    let inside = Area { x: area.x + 3, width: area.width.saturating_sub(4), ..area };
    let y = message(pen, inside, &Safe::line(&text), role, app);
    pen.clear(Area { x: area.x, y, width: 3, height: area.y + 1 - y });
    pen.say(area.x + 1, y, area.width, mark, role);
    if y < area.y && rule.height > 0 {
        pen.rule(Area { y: y.saturating_sub(1), ..rule });
    }
}

/// A message in as many lines as it needs, up to a third of the window, the last of them in that area; returns the row of the
/// first. What has no room is read with the key for messages.
pub fn message(pen: &mut Pen<'_>, area: Area, text: &Safe, role: Role, app: &App) -> u16 {
    let most = usize::from(app.size.1 / 3).max(2);
    let mut lines = wrap(text, area.width);
    if lines.len() > most {
        lines.truncate(most - 1);
        lines.push(format!("… {} reads all of it", key(app, Action::Messages)).into());
    }
    let rows = u16::try_from(lines.len()).unwrap_or(1).min(area.y + 1);
    let top = area.y + 1 - rows;
    pen.clear(Area { y: top, height: rows, ..area });
    for (at, line) in (0..rows).zip(&lines) {
        pen.put(area.x, top + at, area.width, line, role);
    }
    top
}

/// What can be done now: only keys that work here. A message takes its place for a while.
pub fn footer(pen: &mut Pen<'_>, rule: Area, area: Area, app: &App) {
    pen.rule(rule);
    toast(pen, rule, area, app);
    if app.toast.is_some() {
        return;
    }
    if let Some(running) = app.running.values().next_back() {
        let wide = if area.width < 70 { 6 } else { 20 };
        let said = match &running.progress {
            Some(progress) if progress.total > 0 => {
                let share = progress.done.min(progress.total) * wide / progress.total;
                let bar: String = (0..wide)
                    .map(|at| {
                        if at < share {
                            if pen.ascii { '#' } else { '█' }
                        } else if pen.ascii {
                            '.'
                        } else {
                            '░'
                        }
                    })
                    .collect();
                format!(" {bar} {}", progress.said)
            }
            Some(progress) => format!(" {}", progress.said),
            None => format!(" {} …", running.order.verb.name()),
        };
        let mut room = area.width;
        if app.offers(Action::CallOff) {
            let hint: Safe =
                format!("{} {}", key(app, Action::CallOff), if area.width < 70 { "ends" } else { "call off" }).into();
            room = room.saturating_sub(columns(hint.as_str()) + 2);
            pen.put_right(area.x, area.y, area.width - 1, &hint, Role::Quiet);
        }
        pen.put(area.x, area.y, room, &Safe::line(&said), Role::Accent);
        return;
    }
    if app.forming {
        pen.say(area.x + 1, area.y, area.width, "opening the form …", Role::Accent);
        return;
    }
    let mut x = area.x + 1;
    let end = area.x + area.width;
    // Who has opened something looks for the way back first.
    let back = |entry: &&action::Entry| entry.action == Action::Back && app.level != Level::List;
    let (first, rest): (Vec<_>, Vec<_>) = action::ALL.iter().partition(back);
    for entry in first.into_iter().chain(rest) {
        let here = entry.place == Place::Everywhere || entry.place == app.place();
        if entry.hint.is_empty() || !here || !app.offers(entry.action) {
            continue;
        }
        let deeper = matches!(app.level, Level::Inside | Level::Details)
            && matches!(entry.action, Action::Open | Action::Details | Action::Mark | Action::Filter | Action::Sort);
        let key = key(app, entry.action);
        if key.is_empty() || deeper {
            continue;
        }
        if x + columns(&key) + 1 + columns(entry.hint) > end {
            break;
        }
        x += pen.put(x, area.y, end - x, &key.as_str().into(), Role::Accent) + 1;
        x += pen.say(x, area.y, end.saturating_sub(x), entry.hint, Role::Quiet) + 3;
    }
}

fn key(app: &App, action: Action) -> String {
    app.setup.keymap.keys(action).first().map(ToString::to_string).unwrap_or_default()
}
