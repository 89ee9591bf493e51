//! The line over the log: whose it is, which hosts speak, and how complete it is.

use crate::app::layout::Area;
use crate::app::logs::LogView;
use crate::app::{App, Level};
use crate::config::theme::Role;
use crate::model::{Safe, TailNote, show};
use crate::view::names::tails;
use crate::view::pen::{Pen, columns, host_role, middle};

/// The least of a name that still tells something.
const NAME: u16 = 12;

pub fn draw(pen: &mut Pen<'_>, area: Area, app: &App, log: Option<&LogView>) {
    pen.fill(area.x, area.y, area.width, if pen.ascii { "-" } else { "─" }, Role::Line);
    let (right, role) = log.map_or((Vec::new(), Role::Quiet), |log| state(pen, area.width, app, log));
    let named = app.level == Level::Log;
    // What is missing in a log, and why, matters more than whose it is.
    let most = if role == Role::Quiet { area.width / 2 } else { area.width.saturating_sub(if named { NAME + 10 } else { 8 }) };
    let right = Safe::line(&right.join(" · "));
    let wide = pen.label_right(area.x, area.y, area.width.saturating_sub(1), most, &right, role);
    let room = area.width.saturating_sub(wide + 3);
    let long = |parts: &[(Safe, Role)]| parts.iter().map(|(text, _)| columns(text.as_str())).sum::<u16>();
    let many = app.speakers();
    let mut hosts = log.map(|log| legend(log, &many)).unwrap_or_default();
    // The legend goes before the name does.
    if 4 + long(&hosts) + if named { NAME + 3 } else { 0 } > room {
        hosts = log.map(|log| in_short(log, &many)).into_iter().collect();
    }
    let mut x = area.x + 1;
    let end = x + room;
    x += pen.put(x, area.y, end - x, &" log".into(), Role::Head);
    if named && let Some(item) = app.selected() {
        let most = room.saturating_sub(long(&hosts) + 8);
        if most >= NAME / 2 {
            let name = middle(&Safe::line(item.id.as_str()), most);
            x += pen.put(x, area.y, end - x, &format!(" · {name}").into(), Role::Head);
        }
    }
    for (text, role) in hosts {
        x += pen.put(x, area.y, end - x, &text, role);
    }
    pen.say(x, area.y, end - x, " ", Role::Head);
}

/// How many hosts there are, and each of them in its colour; in brackets those whose lines do not show.
fn legend(log: &LogView, many: &str) -> Vec<(Safe, Role)> {
    if log.hosts.len() < 2 || log.solo.is_some() {
        return vec![in_short(log, many)];
    }
    let mut out = vec![(format!(" · {} {many}", log.hosts.len()).into(), Role::Head)];
    let names: Vec<&str> = log.hosts.iter().map(Safe::as_str).collect();
    for (host, (name, tail)) in (0_u16..).zip(log.hosts.iter().zip(tails(&names))) {
        let gap = if host == 0 { "  " } else { " " };
        let name = if host == 0 { name } else { &tail };
        let (text, role) =
            if log.hears(host) { (format!("{gap}{name}"), host_role(host)) } else { (format!("{gap}({name})"), Role::Quiet) };
        out.push((text.into(), role));
    }
    out
}

/// The hosts in a word or two.
fn in_short(log: &LogView, many: &str) -> (Safe, Role) {
    let said = match log.solo.and_then(|host| log.hosts.get(usize::from(host))) {
        _ if log.hosts.len() < 2 => String::new(),
        Some(host) => format!(" · only {host}"),
        None if log.muted.is_empty() => format!(" · {} {many}", log.hosts.len()),
        None => format!(" · {} {many}, {} muted", log.hosts.len(), log.muted.count()),
    };
    (said.into(), Role::Head)
}

/// How much there is, and whether it is all.
fn state(pen: &Pen<'_>, width: u16, app: &App, log: &LogView) -> (Vec<String>, Role) {
    let mut role = Role::Quiet;
    let mut said = Vec::new();
    let alike = log.all_alike();
    if alike {
        role = Role::Warning;
        said.push("all print the same".to_owned());
    }
    let (kept, gone) = log.counts();
    if gone > 0 {
        said.push(format!("{} older lines let go", show::grouped(gone)));
    }
    if app.level == Level::Log && width >= if alike { 100 } else { 60 } {
        said.push(format!("{} lines", show::grouped(kept as u64)));
    }
    match &log.note {
        Some(TailNote::Waiting) => said.push("no line yet".to_owned()),
        Some(TailNote::Following) if log.follow => said.push("following".to_owned()),
        Some(TailNote::Ended) if log.follow => said.push("complete".to_owned()),
        Some(TailNote::Following | TailNote::Ended) | None => {}
        Some(TailNote::Throttled { retry_seconds }) => {
            role = Role::Warning;
            said.push(format!("throttled, again in {retry_seconds:.0} s"));
        }
        Some(TailNote::Gap(why)) => {
            role = Role::Warning;
            said.push(format!("something may be missing: {why}"));
        }
        Some(TailNote::Failed(failure)) => {
            role = Role::Error;
            said.push(failure.what.to_string());
        }
    }
    if !log.follow {
        said.push(if log.unseen > 0 {
            format!("{}{} new", if pen.ascii { "v " } else { "↓ " }, show::grouped(log.unseen as u64))
        } else {
            "not following".to_owned()
        });
        role = Role::Accent;
    }
    (said, role)
}
