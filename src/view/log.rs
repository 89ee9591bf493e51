//! The log: the last lines below the list, or all of it over the whole screen.

use unicode_segmentation::UnicodeSegmentation;

use super::pen::{Pen, columns, host_role};
use crate::app::layout::{Area, Layout};
use crate::app::logs::LogView;
use crate::app::{App, Level};
use crate::config::theme::Role;
use crate::model::{LogLine, Safe, TailNote, show};

pub fn draw(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    if places.log.height == 0 {
        return;
    }
    let log = app.log();
    if places.log_title.height > 0 {
        title(pen, places.log_title, app, log);
    }
    let Some(log) = log else {
        pen.say(places.log.x + 1, places.log.y, places.log.width, "looking …", Role::Quiet);
        return;
    };
    lines(pen, places.log, log);
}

fn title(pen: &mut Pen<'_>, area: Area, app: &App, log: Option<&LogView>) {
    pen.fill(area.x, area.y, area.width, if pen.ascii { "-" } else { "─" }, Role::Line);
    let mut left = "log".to_owned();
    if app.level == Level::Log
        && let Some(item) = app.selected()
    {
        left = format!("log · {}", item.id.as_str());
    }
    let mut role = Role::Quiet;
    let mut right = Vec::new();
    if let Some(log) = log {
        if log.hosts.len() > 1 {
            match log.solo.and_then(|host| log.hosts.get(usize::from(host))) {
                Some(host) => left = format!("{left} · only {host}"),
                None => left = format!("{left} · {} hosts", log.hosts.len()),
            }
        }
        let (kept, gone) = log.counts();
        if gone > 0 {
            right.push(format!("{} older lines let go", show::grouped(gone)));
        }
        if app.level == Level::Log {
            right.push(format!("{} lines", show::grouped(kept as u64)));
        }
        match &log.note {
            Some(TailNote::Waiting) => right.push("no line yet".to_owned()),
            Some(TailNote::Following) if log.follow => right.push("following".to_owned()),
            Some(TailNote::Ended) if log.follow => right.push("complete".to_owned()),
            Some(TailNote::Following | TailNote::Ended) | None => {}
            Some(TailNote::Throttled { retry_seconds }) => {
                role = Role::Warning;
                right.push(format!("throttled, again in {retry_seconds:.0} s"));
            }
            Some(TailNote::Gap(why)) => {
                role = Role::Warning;
                right.push(format!("something may be missing: {why}"));
            }
            Some(TailNote::Failed(failure)) => {
                role = Role::Error;
                right.push(failure.what.to_string());
            }
        }
        if !log.follow {
            right.push(if log.unseen > 0 {
                format!("{}{} new", if pen.ascii { "v " } else { "↓ " }, show::grouped(log.unseen as u64))
            } else {
                "not following".to_owned()
            });
            role = Role::Accent;
        }
    }
    let right = Safe::line(&format!(" {} ", right.join(" · ")));
    let wide = if right.as_str().trim().is_empty() { 0 } else { columns(right.as_str()).min(area.width / 2) };
    pen.put(area.x + 1, area.y, area.width.saturating_sub(wide + 3), &Safe::line(&format!(" {left} ")), Role::Head);
    if wide > 0 {
        pen.put(area.x + area.width - wide - 1, area.y, wide, &right, role);
    }
}

/// Lines from the bottom up; only those that show are looked at.
fn lines(pen: &mut Pen<'_>, area: Area, log: &LogView) {
    let gutter =
        if log.hosts.len() > 1 { log.hosts.iter().map(|host| columns(host.as_str())).max().unwrap_or(0).min(16) + 3 } else { 1 };
    let width = area.width.saturating_sub(gutter + 1);
    if width == 0 {
        return;
    }
    // Short logs begin at the top.
    let mut rows: Vec<(u64, &LogLine, String, bool)> = Vec::new();
    'up: for (number, line) in log.upwards() {
        let parts = if log.wrap { split(line.text.as_str(), width) } else { vec![part(line.text.as_str(), log.left, width)] };
        for (at, text) in parts.into_iter().enumerate().rev() {
            rows.push((number, line, text, at == 0));
            if rows.len() >= usize::from(area.height) {
                break 'up;
            }
        }
    }
    for (row, (number, line, text, first)) in rows.into_iter().rev().enumerate() {
        let y = area.y + u16::try_from(row).unwrap_or(u16::MAX);
        if gutter > 1 && first {
            let host = log.hosts.get(usize::from(line.host)).cloned().unwrap_or_default();
            pen.put(area.x + 1, y, gutter - 3, &host, host_role(line.host));
            pen.say(area.x + gutter - 1, y, 1, if pen.ascii { "|" } else { "│" }, host_role(line.host));
        }
        let role = match (line.live, log.is_drawing(number, line)) {
            (false, _) => Role::Text,
            (true, true) => Role::Accent,
            (true, false) => Role::Quiet,
        };
        let text = Safe::line(&text);
        let x = area.x + gutter + u16::from(gutter > 1);
        pen.put(x, y, width, &text, role);
        if !log.search.is_empty() {
            let lower = text.as_str().to_lowercase();
            if let Some(at) = lower.find(&log.search).filter(|_| lower.len() == text.as_str().len()) {
                let before = columns(&text.as_str()[..at]);
                let hit: Safe = text.as_str()[at..at + log.search.len()].into();
                pen.put(
                    x + before,
                    y,
                    width.saturating_sub(before),
                    &hit,
                    if log.hit == Some(number) { Role::Match } else { Role::Accent },
                );
            }
        }
    }
}

/// The part of a line that shows after scrolling to the right.
fn part(text: &str, left: usize, width: u16) -> String {
    if left == 0 && text.len() <= usize::from(width) {
        return text.to_owned();
    }
    text.graphemes(true).skip(left).take(usize::from(width)).collect()
}

/// A line in pieces of the width; at most a screenful of them.
fn split(text: &str, width: u16) -> Vec<String> {
    if text.len() <= usize::from(width) {
        return vec![text.to_owned()];
    }
    let mut out = vec![String::new()];
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = columns(grapheme);
        if used + wide > width {
            if out.len() >= 200 {
                break;
            }
            out.push(String::new());
            used = 0;
        }
        used += wide;
        if let Some(last) = out.last_mut() {
            last.push_str(grapheme);
        }
    }
    out
}
