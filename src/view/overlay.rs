//! What lies over the panes.

use super::pen::{Pen, columns};
use super::{form, hosts};
use crate::app::layout::Area;
use crate::app::overlay::{ConfirmView, Confirmed, Overlay, PaletteView, TextView};
use crate::app::{App, Tone};
use crate::config::theme::Role;
use crate::model::Safe;

pub fn draw(pen: &mut Pen<'_>, screen: Area, app: &App) {
    for overlay in &app.overlays {
        match overlay {
            Overlay::Form(view) => form::draw(pen, screen, view, app),
            Overlay::Confirm(view) => confirm(pen, screen, view),
            Overlay::Palette(view) => palette(pen, screen, view),
            Overlay::Sort(at) => sort(pen, screen, *at, app),
            Overlay::Text(view) => message(pen, screen, view),
            Overlay::Filter { input, .. } => prompt(pen, screen, "filter ", input),
            Overlay::Hosts(at) => hosts::draw(pen, screen, *at, app),
            Overlay::Search(input) => prompt(pen, screen, "search ", input),
        }
    }
}

/// A box in the middle, emptied and framed; returns its inside.
pub fn boxed(pen: &mut Pen<'_>, screen: Area, width: u16, height: u16, title: &Safe, role: Role) -> Area {
    let width = width.min(screen.width.saturating_sub(2));
    let height = height.min(screen.height.saturating_sub(1));
    let area = Area { x: (screen.width - width) / 2, y: (screen.height - height) / 2, width, height };
    pen.clear(area);
    pen.frame(area, title, role);
    Area { x: area.x + 2, y: area.y + 1, width: width.saturating_sub(4), height: height.saturating_sub(2) }
}

/// A line of typing in place of the footer.
fn prompt(pen: &mut Pen<'_>, screen: Area, label: &'static str, input: &crate::app::input::Input) {
    let area = Area { y: screen.height.saturating_sub(1), height: 1, ..screen };
    pen.clear(area);
    let used = pen.say(area.x + 1, area.y, area.width, label, Role::Accent) + 1;
    pen.input(Area { x: area.x + used, width: area.width.saturating_sub(used), ..area }, input, true);
}

fn message(pen: &mut Pen<'_>, screen: Area, view: &TextView) {
    let broken = view.broken((screen.width, screen.height));
    let (lines, room) = (&broken.lines, broken.rows);
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(4);
    let role = if view.tone == Tone::Bad { Role::Warning } else { Role::Accent };
    let inside = boxed(pen, screen, TextView::width(screen.width), height, &view.title, role);
    let top = view.top.min(broken.end());
    for (at, line) in lines.iter().skip(top).take(room).enumerate() {
        pen.put(inside.x, inside.y + u16::try_from(at).unwrap_or(0), inside.width, line, Role::Text);
    }
    let y = inside.y + inside.height.saturating_sub(1);
    pen.say(inside.x, y, inside.width, "Esc", Role::Accent);
    let used = pen.say(inside.x + 4, y, inside.width.saturating_sub(4), "back", Role::Quiet);
    if lines.len() > room {
        pen.say(inside.x + used + 7, y, inside.width.saturating_sub(used + 7), "j k", Role::Accent);
        let word = if screen.width < 60 { "" } else { "scroll  " };
        let place: Safe = format!("{word}{} to {} of {}", top + 1, (top + room).min(lines.len()), lines.len()).into();
        pen.put(inside.x + used + 11, y, inside.width.saturating_sub(used + 11), &place, Role::Quiet);
    }
}

fn confirm(pen: &mut Pen<'_>, screen: Area, view: &ConfirmView) {
    let broken = view.broken((screen.width, screen.height));
    let (title_lines, ask) = (view.head(screen.width), view.ask(screen.width));
    let (body, rows) = (&broken.lines, broken.rows);
    let extra = if ask.is_empty() { 0 } else { ask.len() + 2 };
    let height = u16::try_from(title_lines.len() + body.len() + extra).unwrap_or(u16::MAX).saturating_add(5);
    // With little room, empty lines go first.
    let airy = height < screen.height;
    let top = view.top.min(broken.end());
    let title: Safe = if body.len() > rows {
        format!("Sure? · {} to {} of {}: Up, Down", top + 1, (top + rows).min(body.len()), body.len()).into()
    } else {
        "Sure?".into()
    };
    let inside = boxed(pen, screen, ConfirmView::width(screen.width), height, &title, Role::Warning);
    let mut y = inside.y;
    let bottom = inside.y + inside.height.saturating_sub(1);
    for line in &title_lines {
        pen.put(inside.x, y, inside.width, line, Role::Head);
        y += 1;
    }
    y += u16::from(airy);
    for line in body.iter().skip(top).take(rows) {
        pen.put(inside.x, y, inside.width, line, Role::Text);
        y += 1;
    }
    if let Some((wanted, input)) = &view.typed {
        y += u16::from(airy);
        for line in &ask {
            pen.put(inside.x, y, inside.width, line, Role::Warning);
            y += 1;
        }
        pen.input(Area { x: inside.x, y, width: inside.width, height: 1 }, input, true);
        if y + 1 < bottom && !input.text().is_empty() && !view.is_typed() {
            let role = if wanted.starts_with(&input.text()) { Role::Quiet } else { Role::Warning };
            pen.say(inside.x, y + 1, inside.width, "this does not match yet", role);
        }
    }
    let yes = match view.what {
        _ if view.typed.is_some() => "  Enter: do it  ",
        Confirmed::Trust(_) => "  y: trust it  ",
        Confirmed::Paste { .. } => "  y: paste  ",
        Confirmed::EndShell(_) => "  y: end it  ",
        Confirmed::Order(_) | Confirmed::Quit => "  y: do it  ",
    };
    let cancel = "  Cancel  ";
    pen.say(inside.x, bottom, inside.width, cancel, if view.on_yes { Role::Quiet } else { Role::Match });
    pen.say(
        inside.x + columns(cancel) + 2,
        bottom,
        inside.width,
        yes,
        if view.on_yes || (view.typed.is_some() && view.is_typed()) { Role::Match } else { Role::Quiet },
    );
}

fn palette(pen: &mut Pen<'_>, screen: Area, view: &PaletteView) {
    let found = view.found();
    let rows = found.len().clamp(1, 24).min(usize::from(screen.height.saturating_sub(6)));
    let inside =
        boxed(pen, screen, 92, u16::try_from(view.entries.len().min(24)).unwrap_or(24) + 4, &view.title.into(), Role::Accent);
    let used = pen.say(inside.x, inside.y, inside.width, if pen.ascii { "> " } else { "› " }, Role::Accent);
    pen.input(Area { x: inside.x + used, width: inside.width.saturating_sub(used), height: 1, ..inside }, &view.input, true);
    if found.is_empty() {
        pen.say(inside.x, inside.y + 2, inside.width, "nothing of that name", Role::Quiet);
    }
    let rows = rows.min(usize::from(inside.height.saturating_sub(2)));
    let top = (view.cursor + 1).saturating_sub(rows);
    for (row, (_, text)) in found.iter().skip(top).take(rows).enumerate() {
        let y = inside.y + 2 + u16::try_from(row).unwrap_or(0);
        let here = top + row == view.cursor;
        pen.put(inside.x, y, inside.width, text, if here { Role::Accent } else { Role::Text });
        if here {
            pen.ground(Area { x: inside.x, y, width: inside.width, height: 1 }, Role::Selected);
        }
    }
}

fn sort(pen: &mut Pen<'_>, screen: Area, at: usize, app: &App) {
    let pane = app.pane();
    let columns = pane.spec.columns;
    let inside = boxed(pen, screen, 34, u16::try_from(columns.len()).unwrap_or(9) + 2, &"Sort by".into(), Role::Accent);
    for (row, column) in columns.iter().enumerate() {
        let y = inside.y + u16::try_from(row).unwrap_or(0);
        pen.say(inside.x, y, inside.width, column.title, if row == at { Role::Accent } else { Role::Text });
        if pane.sort.0 == row {
            pen.say(
                inside.x + inside.width.saturating_sub(11),
                y,
                11,
                if pane.sort.1 { " descending" } else { "  ascending" },
                Role::Quiet,
            );
        }
        if row == at {
            pen.ground(Area { x: inside.x, y, width: inside.width, height: 1 }, Role::Selected);
        }
    }
}
