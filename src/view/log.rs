//! The log: the last lines below the list, or all of it over the whole screen.

mod title;

use unicode_segmentation::UnicodeSegmentation;

use super::names::tails;
use super::pen::{Pen, columns, host_role, middle};
use crate::app::App;
use crate::app::layout::{Area, Layout};
use crate::app::logs::LogView;
use crate::config::theme::Role;
use crate::model::{LogLine, Safe};

pub fn draw(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    if places.log.height == 0 {
        return;
    }
    let log = app.log();
    if places.log_title.height > 0 {
        title::draw(pen, places.log_title, app, log);
    }
    let Some(log) = log else {
        pen.say(places.log.x + 1, places.log.y, places.log.width, "looking …", Role::Quiet);
        return;
    };
    lines(pen, places.log, log);
}

/// Lines from the bottom up; only those that show are looked at.
fn lines(pen: &mut Pen<'_>, area: Area, log: &LogView) {
    let gutter = match log.hosts.iter().map(|host| columns(host.as_str())).max() {
        Some(widest) if log.hosts.len() > 1 => widest.clamp(6, 16) + 3,
        _ => 1,
    };
    let names: Vec<&str> = log.hosts.iter().map(Safe::as_str).collect();
    let signs = tails(&names);
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
            whose(pen, Area { x: area.x + 1, y, width: gutter - 3, height: 1 }, log, (number, line), &signs);
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

/// Who says the line: a host, or so many of them and which.
fn whose(pen: &mut Pen<'_>, area: Area, log: &LogView, (number, line): (u64, &LogLine), signs: &[Safe]) {
    let said_by = log.stands_for(number);
    let bar = if pen.ascii { "|" } else { "│" };
    if said_by.count() < 2 {
        let host = log.hosts.get(usize::from(line.host)).cloned().unwrap_or_default();
        pen.put(area.x, area.y, area.width, &middle(&host, area.width), host_role(line.host));
        pen.say(area.x + area.width + 1, area.y, 1, bar, host_role(line.host));
        return;
    }
    let times = if pen.ascii { "x" } else { "×" };
    let mut x = area.x + pen.put(area.x, area.y, area.width, &format!("{times}{} ", said_by.count()).into(), Role::Text);
    pen.say(area.x + area.width + 1, area.y, 1, bar, Role::Line);
    let end = area.x + area.width;
    let hosts = (0_u16..).zip(signs).filter(|(host, _)| said_by.has(*host));
    if said_by.count() as usize == signs.len() {
        pen.say(x, area.y, end.saturating_sub(x), "all", Role::Quiet);
    } else if hosts.clone().map(|(_, sign)| columns(sign.as_str())).sum::<u16>() <= end.saturating_sub(x)
        && signs.iter().all(|sign| columns(sign.as_str()) == 1)
    {
        for (host, sign) in hosts {
            x += pen.put(x, area.y, 1, sign, host_role(host));
        }
    }
}

/// The part of a line that shows after scrolling to the right.
fn part(text: &str, left: usize, width: u16) -> String {
    if left == 0 && text.len() <= usize::from(width) {
        return text.to_owned();
    }
    // One more than there is room for: that is how the pen knows that it goes on.
    text.graphemes(true).skip(left).take(usize::from(width) + 1).collect()
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
