//! The one hand that writes into the buffer. It takes [`Safe`] text, literals of our own and the glyphs of a remote terminal,
//! which are harmless by the contract of [`term::Glyph`], and nothing else.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};
use unicode_segmentation::UnicodeSegmentation;

use crate::app::layout::Area;
use crate::config::theme::{Colour, Look, Role, Theme};
pub use crate::model::columns;
use crate::model::{Phase, Safe};
use crate::term;

/// A buffer to write to, with the theme to write in.
pub struct Pen<'a> {
    buffer: &'a mut Buffer,
    theme: &'a Theme,
    pub ascii: bool,
}

impl<'a> Pen<'a> {
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme, ascii: bool) -> Self {
        Self { buffer, theme, ascii }
    }

    /// Writes the text, or where it is wider than `width` columns as much of it as fits and `…`; returns the columns used.
    pub fn put(&mut self, x: u16, y: u16, width: u16, text: &Safe, role: Role) -> u16 {
        self.write(x, y, width, text.as_str(), style(self.theme.look(role)))
    }

    /// Writes a text of our own.
    pub fn say(&mut self, x: u16, y: u16, width: u16, text: &'static str, role: Role) -> u16 {
        self.write(x, y, width, text, style(self.theme.look(role)))
    }

    /// Writes right-aligned; returns the columns used.
    pub fn put_right(&mut self, x: u16, y: u16, width: u16, text: &Safe, role: Role) -> u16 {
        let wide = columns(text.as_str()).min(width);
        self.put(x + width - wide, y, wide, text, role)
    }

    fn write(&mut self, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
        let area = self.buffer.area;
        if y >= area.height || x >= area.width {
            return 0;
        }
        let width = width.min(area.width - x);
        let text = end_cut(text, width);
        let text = if self.ascii && !text.is_ascii() { Cow::Owned(plain(&text)) } else { text };
        let (end, _) = self.buffer.set_stringn(x, y, &text, usize::from(width), style);
        end - x
    }

    /// Writes a text into a line, with a space on either side, which it keeps when it is cut; returns the columns used.
    pub fn label(&mut self, x: u16, y: u16, width: u16, text: &Safe, role: Role) -> u16 {
        if width < 3 || text.is_empty() {
            return 0;
        }
        self.say(x, y, 1, " ", role);
        let used = self.put(x + 1, y, width - 2, text, role);
        self.say(x + 1 + used, y, 1, " ", role);
        used + 2
    }

    /// As [`Self::label`], at the right end of the room, in `most` columns of it.
    pub fn label_right(&mut self, x: u16, y: u16, width: u16, most: u16, text: &Safe, role: Role) -> u16 {
        let wide = columns(text.as_str()).saturating_add(2).min(most).min(width);
        self.label(x + width - wide, y, wide, text, role)
    }

    /// Lays a role's ground under an area, e.g. for the selected row, keeping the text's own colours.
    pub fn ground(&mut self, area: Area, role: Role) {
        let look = self.theme.look(role);
        let area = self.clip(area);
        self.buffer.set_style(area, style(Look { fg: None, ..look }));
    }

    /// Writes a glyph of a remote terminal, in the colours that it asks for.
    pub fn remote(&mut self, x: u16, y: u16, room: u16, glyph: &term::Glyph<'_>) {
        let area = self.buffer.area;
        if x >= area.width || y >= area.height || room == 0 {
            return;
        }
        let text = match glyph.text {
            // Half of a wide one has no place.
            _ if glyph.wide && room < 2 => " ",
            text if self.ascii && !text.is_ascii() => "?",
            "" => " ",
            text => text,
        };
        let look = if glyph.found { style(self.theme.look(Role::Match)) } else { remote(glyph) };
        // Most of a terminal is empty, and so is a new frame.
        let plain = Style::default().fg(Color::Reset).bg(Color::Reset);
        if text == " " && look == plain && !glyph.wide {
            return;
        }
        let cell = &mut self.buffer[(x, y)];
        cell.set_symbol(text).set_style(look);
        if glyph.wide && room > 1 && x + 1 < area.width {
            self.buffer[(x + 1, y)].set_style(look);
        }
    }

    /// Empties an area, for what lies on top.
    pub fn clear(&mut self, area: Area) {
        let area = self.clip(area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                self.buffer[(x, y)].reset();
            }
        }
    }

    fn clip(&self, area: Area) -> ratatui::layout::Rect {
        ratatui::layout::Rect::new(area.x, area.y, area.width, area.height).intersection(self.buffer.area)
    }

    /// A horizontal line over an area's first row.
    pub fn rule(&mut self, area: Area) {
        if area.height > 0 {
            self.fill(area.x, area.y, area.width, if self.ascii { "-" } else { "─" }, Role::Line);
        }
    }

    /// Repeats a one-column text.
    pub fn fill(&mut self, x: u16, y: u16, width: u16, text: &'static str, role: Role) {
        for at in x..x.saturating_add(width) {
            self.say(at, y, 1, text, role);
        }
    }

    /// A frame with a title.
    pub fn frame(&mut self, area: Area, title: &Safe, role: Role) {
        if area.width < 2 || area.height < 2 {
            return;
        }
        let [h, v, tl, tr, bl, br] =
            if self.ascii { ["-", "|", "+", "+", "+", "+"] } else { ["─", "│", "╭", "╮", "╰", "╯"] };
        let (right, bottom) = (area.x + area.width - 1, area.y + area.height - 1);
        self.fill(area.x, area.y, area.width, h, role);
        self.fill(area.x, bottom, area.width, h, role);
        for y in area.y..bottom {
            self.say(area.x, y, 1, v, role);
            self.say(right, y, 1, v, role);
        }
        for (x, y, corner) in [(area.x, area.y, tl), (right, area.y, tr), (area.x, bottom, bl), (right, bottom, br)] {
            self.say(x, y, 1, corner, role);
        }
        self.label(area.x + 2, area.y, area.width.saturating_sub(4), title, Role::Head);
    }

    /// Draws a text area with its cursor.
    pub fn input(&mut self, area: Area, input: &crate::app::input::Input, focused: bool) {
        use ratatui::widgets::Widget;
        let mut text = input.area().clone();
        text.set_style(style(self.theme.look(Role::Text)));
        text.set_cursor_line_style(Style::default());
        text.set_cursor_style(if focused { Style::default().add_modifier(Modifier::REVERSED) } else { Style::default() });
        let rect = self.clip(area);
        (&text).render(rect, self.buffer);
        self.goes_on(area, input);
    }

    /// Marks where lines of a text area go on out of sight. It shows from its beginning, or as far on as the cursor needs it.
    fn goes_on(&mut self, area: Area, input: &crate::app::input::Input) {
        if area.width < 4 {
            return;
        }
        let (row, column) = input.cursor();
        let hidden = |at: usize, room: u16| (at + 1).saturating_sub(usize::from(room));
        let (top, left) = (hidden(row, area.height), hidden(column, area.width));
        for ((at, line), y) in input.area().lines().iter().enumerate().skip(top).zip(area.y..area.y + area.height) {
            if left > 0 && !line.is_empty() {
                self.say(area.x, y, 1, "…", Role::Quiet);
            }
            // The cursor is never covered.
            let free = at != row || column != left + usize::from(area.width) - 1;
            if free && usize::from(columns(line)) > left + usize::from(area.width) {
                self.say(area.x + area.width - 1, y, 1, "…", Role::Quiet);
            }
        }
    }

    /// The glyph of a phase: never colour alone.
    #[must_use]
    pub fn glyph(&self, phase: Phase) -> &'static str {
        match (phase, self.ascii) {
            (Phase::Waiting, false) => "◌",
            (Phase::Active, false) => "●",
            (Phase::Leaving, false) => "◍",
            (Phase::Done, false) => "✓",
            (Phase::Failed, false) => "✗",
            (Phase::Stopped, false) => "■",
            (Phase::Still, _) => " ",
            (Phase::Waiting, true) => "o",
            (Phase::Active, true) => "*",
            (Phase::Leaving, true) => "~",
            (Phase::Done, true) => "+",
            (Phase::Failed, true) => "x",
            (Phase::Stopped, true) => "#",
            (Phase::Unknown, _) => "?",
        }
    }
}

/// The role that colours a phase.
#[must_use]
pub fn phase_role(phase: Phase) -> Role {
    match phase {
        Phase::Waiting => Role::Waiting,
        Phase::Active => Role::Active,
        Phase::Leaving => Role::Leaving,
        Phase::Done => Role::Done,
        Phase::Failed => Role::Failed,
        Phase::Stopped => Role::Stopped,
        Phase::Still => Role::Text,
        Phase::Unknown => Role::Quiet,
    }
}

/// The gutter colour of a log's host.
#[must_use]
pub fn host_role(host: u16) -> Role {
    [Role::Host0, Role::Host1, Role::Host2, Role::Host3, Role::Host4][usize::from(host) % 5]
}

/// Cuts the end off a text that is too wide, and says so: a word that is cut bare reads as another word.
fn end_cut(text: &str, width: u16) -> Cow<'_, str> {
    // No text takes more columns than bytes.
    if text.len() <= usize::from(width) || columns(text) <= width || width == 0 {
        return Cow::Borrowed(text);
    }
    let (mut kept, mut used) = (String::new(), 0);
    for grapheme in text.graphemes(true) {
        let wide = columns(grapheme);
        if used + wide > width - 1 {
            break;
        }
        kept.push_str(grapheme);
        used += wide;
    }
    kept.truncate(kept.trim_end().len());
    kept.push('…');
    Cow::Owned(kept)
}

/// A text for terminals that have nothing but ASCII, every character as wide as it was.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for grapheme in text.graphemes(true) {
        match grapheme {
            grapheme if grapheme.is_ascii() => out.push_str(grapheme),
            "…" => out.push('~'),
            "·" | "–" | "—" | "─" | "━" | "•" => out.push('-'),
            "×" => out.push('x'),
            "│" => out.push('|'),
            "‹" => out.push('<'),
            "›" | "→" => out.push('>'),
            "“" | "”" => out.push('"'),
            "‘" | "’" => out.push('\''),
            other => out.extend(std::iter::repeat_n('?', usize::from(columns(other)))),
        }
    }
    out
}

/// Cuts the middle out of a text that is too wide: names share their beginning and differ at their end.
#[must_use]
pub fn middle(text: &Safe, width: u16) -> Safe {
    if columns(text.as_str()) <= width || width < 5 {
        return text.clone();
    }
    let keep = width - 1;
    let tail = keep / 2;
    let (mut head_text, mut used) = (String::new(), 0);
    for grapheme in text.as_str().graphemes(true) {
        let wide = columns(grapheme);
        if used + wide > keep - tail {
            break;
        }
        head_text.push_str(grapheme);
        used += wide;
    }
    let (mut tail_parts, mut used) = (Vec::new(), 0);
    for grapheme in text.as_str().graphemes(true).rev() {
        let wide = columns(grapheme);
        if used + wide > tail {
            break;
        }
        tail_parts.push(grapheme);
        used += wide;
    }
    tail_parts.reverse();
    format!("{head_text}…{}", tail_parts.concat()).into()
}

/// The look of a remote terminal's glyph; what it leaves open is the user's own.
fn remote(glyph: &term::Glyph<'_>) -> Style {
    let colour = |colour| match colour {
        term::Colour::Default => Color::Reset,
        term::Colour::Indexed(index) => Color::Indexed(index),
        term::Colour::Rgb(r, g, b) => Color::Rgb(r, g, b),
    };
    let mut modifiers = Modifier::empty();
    for (set, modifier) in [
        (glyph.bold, Modifier::BOLD),
        (glyph.dim, Modifier::DIM),
        (glyph.italic, Modifier::ITALIC),
        (glyph.underline, Modifier::UNDERLINED),
        (glyph.strike, Modifier::CROSSED_OUT),
        (glyph.reverse != glyph.selected, Modifier::REVERSED),
    ] {
        modifiers.set(modifier, set);
    }
    Style::default().fg(colour(glyph.fg)).bg(colour(glyph.bg)).add_modifier(modifiers)
}

fn style(look: Look) -> Style {
    let colour = |colour: Colour| match colour {
        Colour::Indexed(index) => Color::Indexed(index),
        Colour::Rgb(r, g, b) => Color::Rgb(r, g, b),
    };
    let mut style = Style::default();
    if let Some(fg) = look.fg {
        style = style.fg(colour(fg));
    }
    if let Some(bg) = look.bg {
        style = style.bg(colour(bg));
    }
    for (set, modifier) in [
        (look.bold, Modifier::BOLD),
        (look.dim, Modifier::DIM),
        (look.reverse, Modifier::REVERSED),
        (look.underline, Modifier::UNDERLINED),
    ] {
        if set {
            style = style.add_modifier(modifier);
        }
    }
    style
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_room_ends_in_an_ellipsis_wide_characters_counted() {
        assert_eq!(end_cut("the region ended", 16), "the region ended");
        assert_eq!(end_cut("the region ended", 12), "the region…");
        assert_eq!(end_cut("日本語", 6), "日本語");
        assert_eq!(end_cut("日本語", 5), "日本…");
        assert_eq!(end_cut("日本語", 4), "日…");
        assert_eq!(end_cut("ab", 1), "…");
        assert_eq!(plain("a … 日本 × ›"), "a ~ ???? x >");
    }

    #[test]
    fn the_middle_goes_first() {
        assert_eq!(middle(&"digits-2026-11-22-14-00-03-549".into(), 15).as_str(), "digits-…-03-549");
        assert_eq!(middle(&"short".into(), 15).as_str(), "short");
    }
}
