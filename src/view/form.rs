//! The generic form: fields on the left with the reason for each error under it, on the right what will happen.

use super::pen::{Pen, columns, middle};
use super::table::wrap;
use super::{bars, pick};
use crate::app::App;
use crate::app::form::FormView;
use crate::app::layout::{Area, NARROW};
use crate::config::theme::Role;
use crate::model::{Field, FieldKind, Problem, Safe};

/// Rows that an area field shows.
const AREA_ROWS: u16 = 4;

pub fn draw(pen: &mut Pen<'_>, screen: Area, view: &FormView, app: &App) {
    // All but the top bar, which says where this will happen.
    let area = Area { y: 1, height: screen.height.saturating_sub(1), ..screen };
    pen.clear(area);
    pen.frame(area, &view.form.title, Role::Accent);
    let inside =
        Area { x: area.x + 2, y: area.y + 1, width: area.width.saturating_sub(4), height: area.height.saturating_sub(2) };
    let footer = inside.y + inside.height.saturating_sub(1);
    let body = Area { height: inside.height.saturating_sub(1), ..inside };
    if body.width >= 84 {
        let left = body.width * 56 / 100;
        fields(pen, Area { width: left, ..body }, view);
        let line = if pen.ascii { "|" } else { "│" };
        for y in body.y..body.y + body.height {
            pen.say(body.x + left, y, 1, line, Role::Line);
        }
        outlook(pen, Area { x: body.x + left + 2, width: body.width - left - 2, ..body }, view);
    } else {
        let brief = brief(view);
        let brief = if brief.is_empty() { Vec::new() } else { wrap(&brief, body.width) };
        let rows = u16::try_from(brief.len()).unwrap_or(0).min(2);
        fields(pen, Area { height: body.height.saturating_sub(rows), ..body }, view);
        for (at, line) in (0..rows).zip(&brief) {
            pen.put(body.x, footer - rows + at, body.width, line, Role::Money);
        }
    }
    keys(pen, Area { y: footer, height: 1, ..inside }, view);
    // A message would be hidden behind the form otherwise.
    if let Some(toast) = &app.toast {
        let said = Safe::line(&toast.text.lines().collect::<Vec<_>>().join(" "));
        bars::message(pen, Area { y: footer, height: 1, ..inside }, &said, Role::Warning, app);
    }
}

/// The form's own keys, as far as there is room for whole ones: those that end it first.
fn keys(pen: &mut Pen<'_>, area: Area, view: &FormView) {
    let all = [
        ("Ctrl-s", view.form.verb.name(), 0),
        ("Tab", "next", 3),
        ("F2", "more", 2),
        ("Ctrl-r", "start afresh", 4),
        ("Esc", "back", 1),
    ];
    let wide = |(key, word, _): &(&str, &str, u8)| columns(key) + columns(word) + 4;
    let mut shown = all.to_vec();
    while shown.iter().map(wide).sum::<u16>() > area.width + 3 {
        let Some(last) = shown.iter().map(|(_, _, rank)| *rank).max() else { return };
        shown.retain(|(_, _, rank)| *rank != last);
    }
    let mut x = area.x;
    for (key, word, _) in shown {
        x += pen.say(x, area.y, area.width, key, Role::Accent) + 1;
        x += pen.say(x, area.y, area.width, word, Role::Quiet) + 3;
    }
}

/// The text of an area field stands below its label where there is little room beside it.
fn is_under(field: &Field, narrow: bool) -> bool {
    narrow && field.kind == FieldKind::Area
}

/// Rows of a field's own: its line or area, as far as it has no more of them than `most`.
fn own_rows(field: &Field, most: u16) -> u16 {
    if field.kind == FieldKind::Area {
        // One more while it ends in a new line, which is where one types on.
        let lines = field.value.split('\n').count();
        u16::try_from(lines).unwrap_or(u16::MAX).clamp(1, most)
    } else {
        1
    }
}

/// Where what is wrong with a field stands, and how wide: below its value, in a small window below all of it.
fn below(area: Area, value_x: u16, width: u16) -> (u16, u16) {
    if area.width < NARROW { (area.x + 4, area.width.saturating_sub(5)) } else { (value_x, width) }
}

/// What is to be told of a field, in lines.
fn told<'v>(view: &'v FormView, field: &'v Field, width: u16) -> impl Iterator<Item = (Safe, Role)> {
    view.problems_of(&field.name)
        .flat_map(move |problem| wrap(&problem.message, width).into_iter().map(|line| (line, problem_role(problem))))
}

/// Rows a field takes: its own, and what is to be told of it.
fn height(view: &FormView, field: &Field, width: u16, narrow: bool) -> u16 {
    own_rows(field, AREA_ROWS) + u16::from(is_under(field, narrow)) + u16::try_from(told(view, field, width).count()).unwrap_or(1)
}

fn fields(pen: &mut Pen<'_>, area: Area, view: &FormView) {
    let label = view.form.fields.iter().map(|field| columns(&field.label)).max().unwrap_or(0);
    // A name that is cut is no name.
    let label = label.min(if area.width < 60 { area.width / 2 } else { area.width / 3 });
    let value_x = area.x + 2 + label + 2;
    let width = area.width.saturating_sub(label + 5);
    let (below_x, below_width) = below(area, value_x, width);
    let narrow = area.width < NARROW;
    // The focused field's help has the last rows; scroll so that the focused field shows.
    let help =
        view.form.fields.get(view.focus).map(|field| wrap(&help_of(field), area.width.saturating_sub(3))).unwrap_or_default();
    // A small window shows as much of it as leaves room for the field and what is wrong with it.
    let list = pick::rows(view, area.height);
    let own = list
        + view.form.fields.get(view.focus).map_or(1, |field| {
            let rows = height(view, field, below_width, narrow);
            // Who writes needs room more than advice.
            if is_under(field, narrow) { rows + AREA_ROWS } else { rows }
        });
    let most = (area.height / 2).max(3).min(area.height.saturating_sub(own + 2));
    let help_rows = u16::try_from(help.len()).unwrap_or(0).min(most);
    let room = area.height.saturating_sub(help_rows + 2);
    let mut heights: Vec<u16> = view.form.fields.iter().map(|field| height(view, field, below_width, narrow)).collect();
    if let Some(height) = heights.get_mut(view.focus) {
        *height += list;
    }
    // The text that one is in has what the others leave, or where not all have room most of it.
    let spare = room.saturating_sub(heights.iter().sum());
    let most = if spare > 0 { AREA_ROWS + spare } else { AREA_ROWS.max(room * 3 / 4) };
    let wanted = view.form.fields.get(view.focus).map_or(1, |field| own_rows(field, most));
    if let (Some(height), Some(field)) = (heights.get_mut(view.focus), view.form.fields.get(view.focus)) {
        *height += wanted - own_rows(field, AREA_ROWS);
    }
    let mut first = 0;
    while heights[first..=view.focus.min(heights.len().saturating_sub(1))].iter().sum::<u16>() > room && first < view.focus {
        first += 1;
    }
    let mut y = area.y;
    let end = area.y + room;
    for (at, field) in view.form.fields.iter().enumerate().skip(first) {
        if y >= end {
            break;
        }
        let here = at == view.focus;
        if here {
            pen.say(area.x, y, 1, if pen.ascii { ">" } else { "▌" }, Role::Accent);
        }
        let changed = field.value != field.initial;
        let name = Safe::line(&field.label);
        pen.put(area.x + 2, y, label, &name, if here { Role::Accent } else { Role::Quiet });
        if changed {
            pen.say(value_x - 2, y, 1, "*", Role::Marked);
        }
        let under = is_under(field, narrow);
        y += u16::from(under);
        let own = if here { wanted } else { own_rows(field, AREA_ROWS) }.min(end.saturating_sub(y));
        let (x, width) = if under { (below_x, below_width) } else { (value_x, width) };
        value(pen, Area { x, y, width, height: own }, view, at, here);
        y += own;
        if here {
            let rows = list.min(end.saturating_sub(y));
            pick::draw(pen, Area { x: area.x + 2, y, width: area.width.saturating_sub(3), height: rows }, view);
            y += rows;
        }
        for (line, role) in told(view, field, below_width) {
            if y < end {
                pen.put(below_x, y, below_width, &line, role);
                y += 1;
            }
        }
    }
    for (row, line) in help.iter().take(usize::from(help_rows)).enumerate() {
        let y = area.y + area.height - 1 - help_rows + u16::try_from(row).unwrap_or(0);
        pen.put(area.x + 2, y, area.width.saturating_sub(3), line, Role::Quiet);
    }
}

fn value(pen: &mut Pen<'_>, area: Area, view: &FormView, at: usize, here: bool) {
    let field = &view.form.fields[at];
    let mark = match &field.kind {
        FieldKind::Toggle => Some(if field.value == "yes" { "[x] yes" } else { "[ ] no" }),
        _ => None,
    };
    if let Some(mark) = mark {
        pen.say(area.x, area.y, area.width, mark, if here { Role::Accent } else { Role::Text });
        return;
    }
    if let (FieldKind::Choice { open: false, .. }, here) = (&field.kind, here) {
        let text: Safe = if here { format!("‹ {} ›", field.value).into() } else { Safe::line(&field.value) };
        pen.put(area.x, area.y, area.width, &text, if here { Role::Accent } else { Role::Text });
        return;
    }
    if here && view.whole && matches!(field.kind, FieldKind::Pick { .. }) && !field.value.is_empty() {
        // What is typed takes the place of all of it: that is how selected text looks.
        let used = pen.put(area.x, area.y, area.width, &middle(&Safe::line(&field.value), area.width), Role::Accent);
        pen.ground(Area { width: used, height: 1, ..area }, Role::Selected);
        return;
    }
    if here {
        pen.input(area, &view.inputs[at], true);
        return;
    }
    let lines: Vec<&str> = field.value.lines().collect();
    for (row, line) in lines.iter().take(usize::from(area.height)).enumerate() {
        let more = row + 1 == usize::from(area.height) && lines.len() > usize::from(area.height);
        let rest: Safe = if more { format!("  {} more lines", lines.len() - row - 1).into() } else { Safe::default() };
        let y = area.y + u16::try_from(row).unwrap_or(0);
        let room = area.width.saturating_sub(columns(rest.as_str()));
        let text = Safe::line(line);
        // Values differ at their end; a script's lines are read from their beginning.
        let text = if field.kind == FieldKind::Area { text } else { middle(&text, room) };
        let used = pen.put(area.x, y, room, &text, Role::Text);
        pen.put(area.x + used, y, area.width - used, &rest, Role::Quiet);
    }
    if lines.is_empty() {
        pen.say(area.x, area.y, area.width, "–", Role::Quiet);
    }
}

/// What it costs and what the account may have, in the one line that a small window has for it.
fn brief(view: &FormView) -> Safe {
    let Some(Ok(preview)) = &view.preview else { return Safe::default() };
    // The limit first: in the smallest window it is all there is room for.
    let told = ["at most", "quota", "price"].into_iter().filter_map(|wanted| {
        let (name, value) = preview.facts.iter().find(|(name, _)| name.as_str() == wanted)?;
        Some(if wanted == "price" { value.to_string() } else { format!("{name} {value}") })
    });
    told.collect::<Vec<_>>().join(" · ").into()
}

fn problem_role(problem: &Problem) -> Role {
    if problem.fatal { Role::Error } else { Role::Warning }
}

/// The right half: what will happen.
fn outlook(pen: &mut Pen<'_>, area: Area, view: &FormView) {
    let mut y = area.y;
    let end = area.y + area.height;
    let all = view.outlook();
    let label = all.iter().filter_map(|told| told.name.as_ref()).map(|name| columns(name.as_str())).max().unwrap_or(0);
    // A name, how far in its text begins, and the text.
    let mut lines: Vec<(Safe, u16, Safe, Role)> = vec![(Safe::default(), 0, "What will happen".into(), Role::Head)];
    for told in &all {
        let (name, indent) = told.name.as_ref().map_or_else(Default::default, |name| (name.clone(), label + 2));
        for (at, line) in wrap(&told.text, area.width.saturating_sub(indent)).into_iter().enumerate() {
            lines.push((if at == 0 { name.clone() } else { Safe::default() }, indent, line, told.role));
        }
    }
    let more = lines.len() > usize::from(area.height);
    for (name, indent, line, role) in lines.iter().take(usize::from(area.height.saturating_sub(u16::from(more)))) {
        pen.put(area.x, y, label, name, Role::Quiet);
        pen.put(area.x + indent, y, area.width.saturating_sub(*indent), line, *role);
        y += 1;
    }
    if more && y < end {
        let rest = lines.len() + 1 - usize::from(area.height);
        pen.put(area.x, y, area.width, &format!("… {rest} more lines: F2 shows all").into(), Role::Accent);
    }
}

/// The field's help, with its keys where they are not the usual ones.
fn help_of(field: &Field) -> Safe {
    let keys = match &field.kind {
        FieldKind::Choice { options, open: true } => {
            let near = near(options, &field.value);
            return Safe::line(&format!("{} Ctrl-n and Ctrl-p go through the list: {near}", field.help));
        }
        FieldKind::Choice { open: false, .. } | FieldKind::Toggle => " Left and Right change it.",
        FieldKind::Area => " Enter begins a new line, Tab goes on.",
        FieldKind::Line | FieldKind::Whole { .. } | FieldKind::Pick { .. } => "",
    };
    Safe::line(&format!("{}{keys}", field.help))
}

/// The part of a list around what is typed: what begins like it, up to the last dot.
fn near(options: &[std::borrow::Cow<'static, str>], typed: &str) -> String {
    let family = typed.rfind('.').map_or(typed, |dot| &typed[..=dot]);
    let mut found: Vec<&str> = options.iter().map(AsRef::as_ref).filter(|option| option.starts_with(family)).take(7).collect();
    if found.is_empty() {
        found = options.iter().map(AsRef::as_ref).take(7).collect();
    }
    found.join("  ")
}
