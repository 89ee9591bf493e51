//! The list below a field: what can be picked, a line each, and the keys that pick.

use super::pen::{Pen, columns, middle};
use crate::app::form::FormView;
use crate::app::layout::Area;
use crate::config::theme::Role;
use crate::model::{Offer, Safe};

/// Rows of the list that show at once.
const ROWS: u16 = 8;
/// A last column of less is left out: too little of it would be left to tell anything.
const LEAST: u16 = 10;

/// Rows that the list of the focused field takes in a form of so many, with the line that tells of its keys: as many while it
/// is narrowed down, so that nothing below it moves.
pub fn rows(view: &FormView, height: u16) -> u16 {
    let all = view.all_offers().len();
    let most = (height / 3).min(ROWS).min(u16::try_from(all).unwrap_or(ROWS));
    if most == 0 { 0 } else { 1 + most }
}

/// Draws it: how one picks, then the rows around the one that is taken.
pub fn draw(pen: &mut Pen<'_>, area: Area, view: &FormView) {
    let Some((offers, at)) = view.offers().filter(|_| area.height > 0) else { return };
    let all = view.all_offers();
    hint(pen, area, view, offers.len(), all.len());
    let first_found = view.first_found();
    let rows = usize::from(area.height - 1);
    let first = at.unwrap_or(0).saturating_sub(rows / 2).min(offers.len().saturating_sub(rows));
    // Of all of them: columns keep their place while the list is narrowed down.
    let widths = widths(&all, area.width.saturating_sub(2));
    for (y, (index, offer)) in (area.y + 1..area.y + area.height).zip(offers.iter().enumerate().skip(first)) {
        let taken = at == Some(index);
        if taken || first_found == Some(offer) {
            pen.say(area.x, y, 1, if pen.ascii { ">" } else { "›" }, if taken { Role::Accent } else { Role::Quiet });
        }
        let mut x = area.x + 2;
        for (told, width) in offer.about.iter().zip(&widths) {
            pen.put(x, y, *width, &middle(told, *width), if taken { Role::Accent } else { Role::Text });
            x += width + 2;
        }
    }
}

/// The keys, and how much of the list fits what was typed: in whole words, as many as there is room for.
fn hint(pen: &mut Pen<'_>, area: Area, view: &FormView, fitting: usize, all: usize) {
    let narrowed = view.sought.is_some();
    if narrowed && fitting == 0 {
        let long: Safe = format!("none of {all} matches; it is taken as you type it").into();
        let short: Safe = format!("none of {all} matches").into();
        let said = if columns(long.as_str()) <= area.width { long } else { short };
        pen.put(area.x, area.y, area.width, &said, Role::Quiet);
        return;
    }
    let keys = if narrowed { "Down Up" } else { "Ctrl-n Ctrl-p" };
    let x = area.x + pen.say(area.x, area.y, area.width, keys, Role::Accent);
    let rest = (area.x + area.width).saturating_sub(x);
    let count = match (narrowed, fitting) {
        (false, _) => all.to_string(),
        (true, 1) => format!("1 of {all} matches"),
        (true, _) => format!("{fitting} of {all} match"),
    };
    let more = match (narrowed, view.first_found()) {
        (false, _) => " · type to search",
        (true, Some(_)) => " · Enter takes the first",
        (true, None) => "",
    };
    let (long, short) = (format!(" pick · {count}{more}"), format!(" pick · {count}"));
    let said = if columns(&long) <= rest { long } else { short };
    pen.put(x, area.y, rest, &Safe::line(&said), Role::Quiet);
}

/// As wide as the widest of each column; what has no room at the right is left out.
fn widths(offers: &[&Offer], room: u16) -> Vec<u16> {
    let count = offers.iter().map(|offer| offer.about.len()).max().unwrap_or(0);
    let mut widths = Vec::new();
    let mut left = room;
    for column in 0..count {
        let widest =
            offers.iter().filter_map(|offer| offer.about.get(column)).map(|told| columns(told.as_str())).max().unwrap_or(0);
        let width = if widest <= left || left >= LEAST { widest.min(left) } else { 0 };
        if width == 0 {
            break;
        }
        widths.push(width);
        left = left.saturating_sub(width + 2);
    }
    widths
}
