//! How many columns a character takes, and which characters are not let in.

use std::sync::LazyLock;

use unicode_width::UnicodeWidthChar as _;

/// What printing a character does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// It is not let in.
    None,
    /// It belongs to the character before.
    Mark,
    Narrow,
    Wide,
}

/// The first two planes, which all text is in but rare Chinese: to measure a character costs more than to print it.
static KNOWN: LazyLock<Vec<Width>> = LazyLock::new(|| (0..0x2_0000).map(|c| char::from_u32(c).map_or(Width::None, measure)).collect());

/// The widths of characters, ready for a run of them.
#[derive(Clone, Copy)]
pub(super) struct Widths(&'static [Width]);

impl Widths {
    pub(super) fn ready() -> Self {
        Self(&KNOWN)
    }

    pub(super) fn of(self, c: char) -> Width {
        self.0.get(c as usize).copied().unwrap_or_else(|| measure(c))
    }
}

/// As alacritty measures it.
fn measure(c: char) -> Width {
    if is_hidden(c) {
        return Width::None;
    }
    match c.width() {
        None => Width::None,
        Some(0) => Width::Mark,
        Some(1) => Width::Narrow,
        Some(_) => Width::Wide,
    }
}

/// Characters that do not show but change what is read: C1 controls, direction marks and overrides, zero-width and tag
/// characters, line and paragraph separators. The same as in `model::Safe`, which this room does not know.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
