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
    screen(pen, places.shell, session);
    match &session.link {
        Link::Opening => opening(pen, places.shell, session, app),
        Link::Lost { attempt } => lost(pen, places.shell, session, *attempt),
        Link::Ended { why, well } => ended(pen, places.shell, session, why, *well),
        Link::Live if !session.unsent.is_empty() => unsent(pen, places.shell, session, app),
        Link::Live => {}
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

fn screen(pen: &mut Pen<'_>, area: Area, session: &Session) {
    let (_, rows) = session.screen.size();
    for row in 0..rows.min(area.height) {
        line(pen, area, session, row);
    }
}

fn line(pen: &mut Pen<'_>, area: Area, session: &Session, row: u16) {
    for (column, glyph) in session.screen.glyphs(row) {
        if column >= area.width {
            break;
        }
        pen.remote(area.x + column, area.y + row, area.width - column, &glyph);
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
        pen.clear(Area { y: area.y + row, height: 1, ..area });
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

fn lost(pen: &mut Pen<'_>, area: Area, session: &Session, attempt: u32) {
    let mark = if pen.ascii { "!" } else { "▲" };
    let step = session.steps.last().map(Safe::to_string).unwrap_or_default();
    let mut lines = vec![(format!("{mark} lost, reconnecting ({attempt})  {step}").into(), Role::Warning)];
    if !session.unsent.is_empty() {
        lines.push((format!("not sent: {}", typed(session)).into(), Role::Text));
    }
    strip(pen, area, &lines);
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

fn ended(pen: &mut Pen<'_>, area: Area, session: &Session, why: &Safe, well: bool) {
    let glyph = mark(pen, session).0;
    let mut lines: Vec<(Safe, Role)> = Vec::new();
    for line in wrap(&format!("{glyph} ended: {why}").into(), area.width.saturating_sub(2)) {
        lines.push((line, if well { Role::Stopped } else { Role::Error }));
    }
    lines.push(("Enter opens it again, Esc goes back to the list".into(), Role::Quiet));
    strip(pen, area, &lines);
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
