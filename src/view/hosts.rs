//! The list of a log's hosts, to mute some or to hear one alone.

use super::overlay::boxed;
use super::pen::{Pen, columns, host_role, middle};
use crate::app::App;
use crate::app::layout::Area;
use crate::config::theme::Role;
use crate::model::{Safe, show};

/// Columns of the box with its frame: a name, `12,345 lines`, `12:03 ago`, what it is.
const WIDTH: u16 = 62;

pub fn draw(pen: &mut Pen<'_>, screen: Area, at: u16, app: &App) {
    let Some(log) = app.log() else { return };
    let count = u16::try_from(log.hosts.len()).unwrap_or(u16::MAX);
    let inside =
        boxed(pen, screen, WIDTH, count.saturating_add(4), &format!("The {} of this log", app.speakers()).into(), Role::Accent);
    let rows = inside.height.saturating_sub(2).max(1);
    let top = (at + 1).saturating_sub(rows);
    for (row, host) in (top..count.min(top.saturating_add(rows))).enumerate() {
        let y = inside.y + u16::try_from(row).unwrap_or(0);
        let name = log.hosts.get(usize::from(host)).cloned().unwrap_or_default();
        let heard = log.hears(host);
        let word = match (log.solo, heard) {
            (Some(_), true) => "only this",
            (_, true) => "shows",
            (None, false) => "muted",
            (Some(_), false) => "hidden",
        };
        let role = if heard { host_role(host) } else { Role::Quiet };
        let name_wide = inside.width.saturating_sub(36).max(8);
        let sign = match (heard, pen.ascii) {
            (true, false) => "● ",
            (true, true) => "* ",
            (false, false) => "○ ",
            (false, true) => "o ",
        };
        pen.say(inside.x, y, 2, sign, role);
        pen.put(inside.x + 2, y, name_wide, &middle(&name, name_wide), role);
        let (lines, last) = log.spoken(host).map_or_else(
            || ("no line".into(), Safe::default()),
            |(lines, last)| {
                let ago = show::span(show::seconds_between(last, app.clock.now));
                (Safe::from(format!("{} lines", show::grouped(lines))), format!("{ago} ago").into())
            },
        );
        let x = inside.x + 2 + name_wide;
        pen.put_right(x, y, 14, &lines, Role::Quiet);
        if inside.width >= 46 {
            pen.put_right(x + 14, y, 11, &last, Role::Quiet);
        }
        let right = inside.x + inside.width;
        pen.say(right.saturating_sub(columns(word)), y, columns(word), word, if heard { Role::Text } else { Role::Quiet });
        if host == at {
            pen.ground(Area { x: inside.x, y, width: inside.width, height: 1 }, Role::Selected);
        }
    }
    let y = inside.y + inside.height.saturating_sub(1);
    let mut x = inside.x;
    for (key, what) in [("space", "mute"), ("Enter", "only this"), ("a", "all"), ("Esc", "back")] {
        let room = |x: u16| (inside.x + inside.width).saturating_sub(x);
        x += pen.say(x, y, room(x), key, Role::Accent) + 1;
        x += pen.say(x, y, room(x), what, Role::Quiet) + 3;
    }
}
