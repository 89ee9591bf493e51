//! Where everything goes: a pure function of the size and the state, used by drawing and by paging alike.

use super::{App, Level};

/// A rectangle of terminal cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    pub x: u16,
    pub y: u16,
    pub width: u16,
    pub height: u16,
}

impl Area {
    /// Cuts rows off the top.
    fn take(&mut self, rows: u16) -> Self {
        let rows = rows.min(self.height);
        let taken = Self { height: rows, ..*self };
        self.y += rows;
        self.height -= rows;
        taken
    }

    /// Cuts rows off the bottom.
    fn take_bottom(&mut self, rows: u16) -> Self {
        let rows = rows.min(self.height);
        self.height -= rows;
        Self { y: self.y + self.height, height: rows, ..*self }
    }

    /// Cuts columns off the right.
    fn take_right(&mut self, columns: u16) -> Self {
        let columns = columns.min(self.width);
        self.width -= columns;
        Self { x: self.x + self.width, width: columns, ..*self }
    }

    /// Cuts columns off the left.
    fn take_left(&mut self, columns: u16) -> Self {
        let columns = columns.min(self.width);
        let taken = Self { width: columns, ..*self };
        self.x += columns;
        self.width -= columns;
        taken
    }
}

/// The places on the screen; empty where there is no room or no need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    pub too_small: bool,
    pub top: Area,
    pub tabs: Area,
    pub rule: Area,
    /// Head and rows of the list.
    pub list_head: Area,
    pub list: Area,
    /// Title line of the selected.
    pub title: Area,
    pub facts: Area,
    pub curve: Area,
    pub phases: Area,
    /// The marked beside each other, in place of the selected's facts, curve and log.
    pub compare: Area,
    /// Title line of the log.
    pub log_title: Area,
    pub log: Area,
    pub footer_rule: Area,
    pub footer: Area,
    /// The line of the terminals: their tabs.
    pub shell_tabs: Area,
    /// Between the list and a terminal at its side.
    pub shell_rule: Area,
    /// The terminal.
    pub shell: Area,
}

/// Below this there is only a line that says so.
pub const LEAST: (u16, u16) = (30, 8);

/// A window with fewer columns than this is told less in a line.
pub const NARROW: u16 = 60;

/// Below this a terminal and the list do not show together.
const SPLIT: (u16, u16) = (60, 20);
/// Columns that a terminal at the side of the list has at least: what programs take for granted.
const TERMINAL: u16 = 80;

/// Lays out the screen for the state.
#[must_use]
pub fn layout(app: &App) -> Layout {
    let (width, height) = app.size;
    let mut out = Layout::default();
    let mut body = Area { x: 0, y: 0, width, height };
    if width < LEAST.0 || height < LEAST.1 {
        out.too_small = true;
        out.top = body;
        return out;
    }
    let split = app.shells.split && !app.shells.sessions.is_empty();
    let room = width >= SPLIT.0 && height >= SPLIT.1;
    if app.level == Level::Shell || (split && !room && app.shells.focused) {
        out.shell_tabs = body.take(1);
        if height >= 20 {
            out.footer = body.take_bottom(1);
        }
        out.shell = body;
        return out;
    }
    out.top = body.take(1);
    out.tabs = body.take(1);
    out.footer = body.take_bottom(1);
    if height >= 20 {
        // The opened thing's own title line takes the place of the rule.
        if app.level == Level::List {
            out.rule = body.take(1);
        }
        out.footer_rule = body.take_bottom(1);
    }
    if split && room {
        beside(&mut body, &mut out);
    }
    match app.level {
        Level::Log => {
            out.log_title = body.take(1);
            out.log = body;
        }
        Level::Inside => inside(app, body, &mut out),
        Level::Details => {
            out.title = body.take(1);
            out.facts = body;
        }
        Level::List => list(app, body, &mut out),
        Level::Shell => {}
    }
    out
}

/// A terminal and the list together: at its side where both have room, else below it.
fn beside(body: &mut Area, out: &mut Layout) {
    let mut place = if body.width >= 2 * TERMINAL {
        let place = body.take_right((body.width / 2).max(TERMINAL));
        out.shell_rule = body.take_right(1);
        place
    } else {
        body.take_bottom((body.height * 55 / 100).max(9))
    };
    out.shell_tabs = place.take(1);
    out.shell = place;
}

fn list(app: &App, mut body: Area, out: &mut Layout) {
    let (_, total) = app.pane().counts();
    out.list_head = body.take(1);
    if total == 0 {
        out.list = body;
        return;
    }
    if body.height < 12 || body.width < 60 {
        out.facts = body.take_bottom(1);
        out.title = body.take_bottom(1);
        out.list = body;
        return;
    }
    // The list takes its share, but no more than it needs unless it was asked for.
    let share = u16::try_from(u32::from(body.height) * u32::from(app.split) / 100).unwrap_or(body.height);
    let least = if out.shell.height > 0 { 1 } else { 3 };
    let needed = u16::try_from(total.max(least) + 1).unwrap_or(u16::MAX);
    let rows = if app.split_set { share } else { share.min(needed) };
    out.list = body.take(rows.clamp(2, body.height.saturating_sub(5)));
    if app.compares() {
        out.title = body.take(1);
        out.compare = body;
        return;
    }
    lower(app, body, out, false);
}

fn inside(app: &App, body: Area, out: &mut Layout) {
    lower(app, body, out, true);
}

/// The selected thing: title, facts beside the curve, phases, log.
fn lower(app: &App, mut body: Area, out: &mut Layout, whole: bool) {
    out.title = body.take(1);
    let has_log = app.has_log();
    let facts = if !has_log {
        body.height
    } else if !whole && app.shows_plots() {
        // Charts over many things say more than the last lines of a log.
        (body.height * 2 / 3).max(body.height.min(11))
    } else if whole {
        (body.height * 55 / 100).max(6)
    } else if body.height >= 17 {
        11
    } else if body.height >= 14 {
        9
    } else if app.has_gauges() && body.height >= 9 {
        // Beside a terminal it is the machine that is watched.
        body.height / 2
    } else {
        0
    };
    let mut middle = body.take(facts);
    if middle.height >= 7 && app.has_phases() {
        out.phases = middle.take_bottom(2);
    }
    if (app.has_curve() || app.shows_plots()) && middle.width >= 70 {
        let left = if middle.width >= 110 { 50 } else { middle.width * 42 / 100 };
        out.facts = middle.take_left(left);
        out.curve = middle;
    } else {
        out.facts = middle;
    }
    if has_log {
        // Without facts between them the two title lines would say the same.
        if facts > 0 {
            out.log_title = body.take(1);
        }
        out.log = body;
    }
}
