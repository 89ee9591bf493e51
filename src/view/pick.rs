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

/// Rows that the list of the focused field takes in a form of so many, with the line that tells of its keys.
pub fn rows(view: &FormView, height: u16) -> u16 {
    view.offers().map_or(0, |(offers, _)| {
        let most = (height / 3).min(ROWS).min(u16::try_from(offers.len()).unwrap_or(ROWS));
        if most == 0 { 0 } else { 1 + most }
    })
}

/// Draws it: how one picks, then the rows around the one that is taken.
pub fn draw(pen: &mut Pen<'_>, area: Area, view: &FormView) {
    let Some((offers, at)) = view.offers().filter(|_| area.height > 0) else { return };
    let all = view.form.fields.get(view.focus).map_or(0, |field| match &field.kind {
        crate::model::FieldKind::Pick { offers } => offers.len(),
        _ => 0,
    });
    let count =
        if view.sought.is_some() && offers.len() < all { format!("{} of {all} fit", offers.len()) } else { all.to_string() };
    let mut x = area.x;
    x += pen.say(x, area.y, area.width, "Ctrl-n Ctrl-p", Role::Accent);
    let rest = area.width.saturating_sub(x - area.x);
    // Whole words, or none.
    let (long, short) = (format!(" pick · {count} · type to search"), format!(" pick · {count}"));
    let hint = if columns(&long) <= rest { long } else { short };
    pen.put(x, area.y, rest, &Safe::line(&hint), Role::Quiet);

    let rows = usize::from(area.height - 1);
    let first = at.unwrap_or(0).saturating_sub(rows / 2).min(offers.len().saturating_sub(rows));
    let widths = widths(&offers, area.width.saturating_sub(2));
    for (y, (index, offer)) in (area.y + 1..area.y + area.height).zip(offers.iter().enumerate().skip(first)) {
        let taken = at == Some(index);
        if taken {
            pen.say(area.x, y, 1, if pen.ascii { ">" } else { "›" }, Role::Accent);
        }
        let mut x = area.x + 2;
        for (told, width) in offer.about.iter().zip(&widths) {
            pen.put(x, y, *width, &middle(told, *width), if taken { Role::Accent } else { Role::Text });
            x += width + 2;
        }
    }
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
