//! The line above the terminal: which there are, and which one shows.

use super::mark;
use crate::app::layout::Area;
use crate::app::shell::Session;
use crate::app::{App, Level};
use crate::config::theme::Role;
use crate::model::Safe;
use crate::view::pen::{Pen, columns, middle};

/// Columns of a title in a tab, at most.
const TITLE: u16 = 44;
/// Columns of a title that still tells something. Where not all have as many, only the one that shows has its title.
const LEAST: u16 = 10;
/// Columns of a sign that there are more to that side.
const MORE: u16 = 2;

pub fn draw(pen: &mut Pen<'_>, area: Area, app: &App) {
    let whole = app.level == Level::Shell;
    if !whole {
        pen.rule(area);
    }
    let end = area.x + area.width;
    let mut x = area.x + 1;
    if whole && area.width >= 60 {
        let (sign, role) = if app.setup.local { (" local region ", Role::Local) } else { (" AWS ", Role::Real) };
        x += pen.say(x, area.y, end.saturating_sub(x), sign, role) + 1;
    }
    // What shows the way out is never pushed out.
    let hint: Safe = if app.in_shell() { app.leader().as_str().into() } else { format!("{} goes here", app.leader()).into() };
    let role = if app.in_shell() { Role::Quiet } else { Role::Accent };
    let wide = pen.label_right(x, area.y, end.saturating_sub(x + 1), area.width, &hint, role);
    let room = end.saturating_sub(x + 1 + wide);
    let sessions = &app.shells.sessions;
    let here = app.shells.current.min(sessions.len().saturating_sub(1));
    let plan = Plan::of(sessions, here, room);
    let hidden = |sessions: &[Session]| sessions.iter().any(|session| session.bell || session.stirred);
    let more = |pen: &mut Pen<'_>, x: u16, sign: &'static str, stirred: bool| {
        pen.say(x, area.y, MORE, sign, if stirred { Role::Accent } else { Role::Quiet });
        pen.say(x + 1, area.y, 1, " ", Role::Quiet);
    };
    if plan.first > 0 {
        more(pen, x, if pen.ascii { "<" } else { "‹" }, hidden(&sessions[..plan.first]));
        x += MORE;
    }
    for (at, session) in sessions.iter().enumerate().take(plan.end).skip(plan.first) {
        let title = if at == here { plan.here } else { plan.others };
        x += tab(pen, Area { x, width: end.saturating_sub(x), ..area }, session, at, (at == here, title), app);
    }
    if plan.end < sessions.len() {
        more(pen, x, if pen.ascii { ">" } else { "›" }, hidden(&sessions[plan.end..]));
    }
}

/// Which tabs show, and the columns of their titles.
struct Plan {
    first: usize,
    end: usize,
    here: u16,
    others: u16,
}

impl Plan {
    /// All with their titles where there is room, else only the one that shows has one, else as many as fit around it.
    fn of(sessions: &[Session], here: usize, room: u16) -> Self {
        let count = u16::try_from(sessions.len()).unwrap_or(u16::MAX).max(1);
        let bare: Vec<u16> = sessions.iter().enumerate().map(|(at, session)| bare(at, session)).collect();
        // A space before the title, and one behind the tab.
        let taken: u16 = bare.iter().sum::<u16>() + count;
        let share = room.saturating_sub(taken + count) / count;
        let all = Self { first: 0, end: sessions.len(), here: share.min(TITLE), others: share.min(TITLE) };
        if share >= LEAST || sessions.len() < 2 {
            return all;
        }
        let left = room.saturating_sub(taken + 1);
        if left >= LEAST {
            return Self { here: left.min(TITLE), others: 0, ..all };
        }
        // Outwards from the one that shows, to the right first; both signs are reckoned with.
        let (mut first, mut end) = (here, here + 1);
        let mut left = room.saturating_sub(bare[here] + 2 + LEAST + 2 * MORE);
        loop {
            let after = bare.get(end).filter(|wide| **wide < left);
            let before = first.checked_sub(1).map(|at| bare[at]).filter(|wide| *wide < left);
            match (after, before) {
                (Some(wide), _) if end - here <= here - first || before.is_none() => (end, left) = (end + 1, left - wide - 1),
                (_, Some(wide)) => (first, left) = (first - 1, left - wide - 1),
                _ => break,
            }
        }
        Self { first, end, here: (LEAST + left).min(TITLE), others: 0 }
    }
}

/// Columns of a tab without its title: number, state, and whether something came.
fn bare(at: usize, session: &Session) -> u16 {
    let digits = columns(&(at + 1).to_string());
    digits + 2 + if session.bell || session.stirred { 2 } else { 0 } + 1
}

fn tab(pen: &mut Pen<'_>, area: Area, session: &Session, at: usize, (here, title): (bool, u16), app: &App) -> u16 {
    let (mut x, end) = (area.x, area.x + area.width);
    let (glyph, role) = mark(pen, session);
    let number: Safe = format!(" {} ", at + 1).into();
    x += pen.put(x, area.y, end.saturating_sub(x), &number, if here { Role::Accent } else { Role::Quiet });
    x += pen.say(x, area.y, end.saturating_sub(x), glyph, role);
    if title > 0 {
        x += pen.say(x, area.y, end.saturating_sub(x), " ", Role::Text);
        let name = named(session, &app.shells.sessions, title);
        x += pen.put(x, area.y, title.min(end.saturating_sub(x)), &name, if here { Role::Head } else { Role::Quiet });
    }
    if session.bell {
        x += pen.say(x, area.y, end.saturating_sub(x), if pen.ascii { " !" } else { " ♪" }, Role::Warning);
    } else if session.stirred && !here {
        x += pen.say(x, area.y, end.saturating_sub(x), if pen.ascii { " +" } else { " ·" }, Role::Accent);
    }
    x += pen.say(x, area.y, end.saturating_sub(x), " ", Role::Text);
    x - area.x
}

/// The machine's name, with its id where there is room or another one has that name.
fn named(session: &Session, all: &[Session], width: u16) -> Safe {
    let name = |session: &Session| session.title.as_str().split(" (").next().map(Safe::line).unwrap_or_default();
    let own = name(session);
    let shared = all.iter().any(|other| other.title != session.title && name(other) == own);
    if columns(session.title.as_str()) > width && !shared && !own.is_empty() {
        return middle(&own, width);
    }
    middle(&session.title, width)
}
