//! Terminals on machines: their tabs, the one that shows, and what can be done in it.

mod tabs;

use super::pen::{Pen, columns, middle};
use super::table::wrap;
use crate::app::layout::{Area, Layout};
use crate::app::shell::{Link, Mode, Session, commands};
use crate::app::{App, Tone};
use crate::config::theme::Role;
use crate::model::{Safe, show};

pub fn draw(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    if places.shell.height == 0 {
        return;
    }
    let Some(session) = app.shells.session() else { return };
    for y in places.shell_rule.y..places.shell_rule.y + places.shell_rule.height {
        pen.say(places.shell_rule.x, y, 1, if pen.ascii { "|" } else { "│" }, Role::Line);
    }
    tabs::draw(pen, places.shell_tabs, app);
    let notice = match &session.link {
        Link::Lost { attempt } => lost(pen, session, *attempt),
        Link::Ended { why, well } => ended(pen, places.shell.width, session, why, *well),
        Link::Opening | Link::Live => Vec::new(),
    };
    screen(pen, places.shell, session, notice.len());
    strip(pen, places.shell, &notice);
    match &session.link {
        Link::Opening => opening(pen, places.shell, session, app),
        Link::Live if !session.unsent.is_empty() => unsent(pen, places.shell, session, app),
        _ => {}
    }
}

/// The state of a session: glyph and colour.
fn mark(pen: &Pen<'_>, session: &Session) -> (&'static str, Role) {
    match (&session.link, pen.ascii) {
        (Link::Opening, false) => ("◌", Role::Waiting),
        (Link::Opening, true) => ("o", Role::Waiting),
        (Link::Live, false) => ("●", Role::Active),
        (Link::Live, true) => ("*", Role::Active),
        (Link::Lost { .. }, false) => ("▲", Role::Warning),
        (Link::Lost { .. }, true) => ("!", Role::Warning),
        (Link::Ended { well: true, .. }, false) => ("■", Role::Stopped),
        (Link::Ended { well: true, .. }, true) => ("#", Role::Stopped),
        (Link::Ended { .. }, false) => ("✗", Role::Failed),
        (Link::Ended { .. }, true) => ("x", Role::Failed),
    }
}

/// The terminal, with so many lines of its area that something else comes over: what it said last stands above them.
fn screen(pen: &mut Pen<'_>, area: Area, session: &Session, covered: usize) {
    let rows = session.screen.size().1.min(area.height);
    let is_used = |row: &u16| session.screen.glyphs(*row).any(|(_, glyph)| !glyph.text.trim().is_empty());
    let used = (0..rows).rev().find(is_used).map_or(0, |row| row + 1);
    let covered = u16::try_from(covered).unwrap_or(u16::MAX);
    // Who reads back sees it where it was.
    let up =
        if covered == 0 || session.screen.scrolled() > 0 { 0 } else { (used + covered).saturating_sub(area.height).min(used) };
    for row in up..rows {
        line(pen, Area { y: area.y + row - up, height: 1, ..area }, session, row);
    }
}

/// A row of the terminal in a line of the screen.
fn line(pen: &mut Pen<'_>, area: Area, session: &Session, row: u16) {
    for (column, glyph) in session.screen.glyphs(row) {
        if column >= area.width {
            break;
        }
        pen.remote(area.x + column, area.y, area.width - column, &glyph);
    }
}

/// The rows of the terminal show nothing but what is in it, and nothing else on the screen tells of that.
pub fn is_alone(places: &Layout, app: &App) -> bool {
    let Some(session) = app.shells.session().filter(|_| places.shell.height > 0) else { return false };
    let covered = places.footer.height == 0 && footer_is_needed(app, session);
    // While one reads back, the footer says where.
    session.is_live() && session.unsent.is_empty() && app.overlays.is_empty() && app.shells.mode != Mode::Reading && !covered
}

/// Draws these rows of the terminal anew.
pub fn rows(pen: &mut Pen<'_>, area: Area, app: &App, rows: &[u16]) {
    let Some(session) = app.shells.session() else { return };
    for row in rows.iter().copied().filter(|row| *row < area.height) {
        let area = Area { y: area.y + row, height: 1, ..area };
        pen.clear(area);
        line(pen, area, session, row);
    }
}

/// What connecting has come to.
fn opening(pen: &mut Pen<'_>, area: Area, session: &Session, app: &App) {
    let (done, now) = if pen.ascii { ("+ ", "o ") } else { ("✓ ", "◌ ") };
    let top = area.y + area.height.min(2).saturating_sub(1);
    let count = session.steps.len();
    for (y, (at, step)) in (top..area.y + area.height).zip(session.steps.iter().enumerate()) {
        let (glyph, role, text) =
            if at + 1 == count { (now, Role::Waiting, Role::Text) } else { (done, Role::Done, Role::Quiet) };
        let used = pen.say(area.x + 2, y, area.width.saturating_sub(2), glyph, role);
        pen.put(area.x + 2 + used, y, area.width.saturating_sub(2 + used), step, text);
    }
    if !session.unsent.is_empty() {
        unsent(pen, area, session, app);
    }
}

/// Lines over the bottom of the terminal, set off from what is below them.
fn strip(pen: &mut Pen<'_>, area: Area, lines: &[(Safe, Role)]) {
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).min(area.height);
    let top = area.y + area.height - height;
    pen.clear(Area { x: area.x, y: top, width: area.width, height });
    pen.ground(Area { x: area.x, y: top, width: area.width, height }, Role::Selected);
    for (row, (line, role)) in lines.iter().take(usize::from(height)).enumerate() {
        let y = top + u16::try_from(row).unwrap_or(0);
        pen.put(area.x + 1, y, area.width.saturating_sub(2), line, *role);
        pen.ground(Area { x: area.x, y, width: area.width, height: 1 }, Role::Selected);
    }
}

fn lost(pen: &Pen<'_>, session: &Session, attempt: u32) -> Vec<(Safe, Role)> {
    let mark = if pen.ascii { "!" } else { "▲" };
    let step = session.steps.last().map(Safe::to_string).unwrap_or_default();
    let mut lines = vec![(format!("{mark} lost, reconnecting ({attempt})  {step}").into(), Role::Warning)];
    if !session.unsent.is_empty() {
        lines.push((format!("not sent: {}", typed(session)).into(), Role::Text));
    }
    lines
}

/// Typed meanwhile: whoever typed it says whether it is still wanted.
fn unsent(pen: &mut Pen<'_>, area: Area, session: &Session, app: &App) {
    let leader = app.leader();
    let said = if session.is_live() { format!("{leader} s sends it, {leader} d drops it") } else { "typed too early".to_owned() };
    strip(pen, area, &[(format!("not sent: {}", typed(session)).into(), Role::Warning), (said.into(), Role::Quiet)]);
}

fn typed(session: &Session) -> Safe {
    Safe::bytes(&session.unsent)
}

fn ended(pen: &Pen<'_>, width: u16, session: &Session, why: &Safe, well: bool) -> Vec<(Safe, Role)> {
    let glyph = mark(pen, session).0;
    let mut lines: Vec<(Safe, Role)> = Vec::new();
    for line in wrap(&format!("{glyph} ended: {why}").into(), width.saturating_sub(2)) {
        lines.push((line, if well { Role::Stopped } else { Role::Error }));
    }
    lines.push(("Enter opens it again, Esc goes back to the list".into(), Role::Quiet));
    lines
}

fn footer_is_needed(app: &App, session: &Session) -> bool {
    app.shells.mode != Mode::Typing || app.toast.is_some() || session.pasting().is_some()
}

/// Where one is, and what can be done: the leader first, as it is the way out.
pub fn footer(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    pen.rule(places.footer_rule);
    let Some(session) = app.shells.session() else { return };
    // A small window has no line for this: it comes over the last one of the terminal, when there is something to say.
    let small = Area { y: app.size.1.saturating_sub(1), height: 1, width: app.size.0, x: 0 };
    let area = if places.footer.height > 0 { places.footer } else { small };
    if places.footer.height == 0 && !footer_is_needed(app, session) {
        return;
    }
    pen.clear(area);
    let (x, end) = (area.x + 1, area.x + area.width);
    if matches!(app.shells.mode, Mode::Led | Mode::Arrived) {
        return led(pen, area, app);
    }
    if let Some(toast) = &app.toast {
        let role = match toast.tone {
            Tone::Plain => Role::Accent,
            Tone::Good => Role::Done,
            Tone::Bad => Role::Error,
        };
        let line = toast.text.lines().map(str::trim).collect::<Vec<_>>().join("  ");
        pen.put(x, area.y, end.saturating_sub(x), &Safe::line(&line), role);
        return;
    }
    if app.shells.mode == Mode::Reading {
        let at: Safe = format!("scrolled {} of {}  ", session.screen.scrolled(), session.screen.history()).into();
        let used = pen.put(x, area.y, end.saturating_sub(x), &at, Role::Accent);
        let keys = "k j PageUp PageDown g G  / n N search  y copy  Esc ends";
        let keys = if area.width < 70 { "k j / n y  Esc" } else { keys };
        pen.say(x + used, area.y, end.saturating_sub(x + used), keys, Role::Quiet);
        return;
    }
    if let Some((sent, all)) = session.pasting() {
        let said: Safe = format!("pasting {} of {}  ", show::size(sent as u64), show::size(all as u64)).into();
        let used = pen.put(x, area.y, end.saturating_sub(x), &said, Role::Accent);
        pen.say(x + used, area.y, end.saturating_sub(x + used), "Ctrl-c ends it", Role::Quiet);
        return;
    }
    let mut at = x + pen.put(x, area.y, end.saturating_sub(x), &app.leader().as_str().into(), Role::Accent) + 1;
    at += pen.say(at, area.y, end.saturating_sub(at), "then  l list  v split  n new  ? more", Role::Quiet) + 3;
    // Where one is: what the program there says of itself, else what is worth knowing.
    let title = Safe::line(session.screen.title());
    let scrolled = session.screen.scrolled();
    let (said, role): (Safe, Role) = if scrolled > 0 {
        (format!("scrolled {scrolled} up; a key goes to the end").into(), Role::Accent)
    } else if let Some(copying) = copying(app) {
        (copying, Role::Accent)
    } else if !session.note.is_empty() {
        (session.note.clone(), Role::Warning)
    } else {
        (title, Role::Quiet)
    };
    let room = end.saturating_sub(at + 1);
    if room >= 12 {
        pen.put_right(at, area.y, room, &middle(&said, room), role);
    }
}

/// How far an upload or a download has come.
fn copying(app: &App) -> Option<Safe> {
    let running = app.running.values().rfind(|running| running.order.verb.can_be_called_off())?;
    let progress = running.progress.as_ref()?;
    let share = progress.done.saturating_mul(100).checked_div(progress.total);
    Some(share.map_or_else(|| progress.said.clone(), |share| format!("{share} % · {}", progress.said).into()))
}

/// The commands, while one is waited for.
fn led(pen: &mut Pen<'_>, area: Area, app: &App) {
    let (mut x, end) = (area.x + 1, area.x + area.width);
    x += pen.put(x, area.y, end.saturating_sub(x), &format!("{} ", app.leader()).into(), Role::Accent);
    let narrow = area.width < 70;
    for row in commands::ALL.iter().filter(|row| !row.hint.is_empty()) {
        let Some(key) = row.keys.first() else { continue };
        let wide = columns(key) + 1 + if narrow { 0 } else { columns(row.hint) + 2 };
        if x + wide > end {
            break;
        }
        x += pen.say(x, area.y, end - x, key, Role::Accent) + 1;
        if !narrow {
            x += pen.say(x, area.y, end.saturating_sub(x), row.hint, Role::Quiet) + 2;
        }
    }
}
