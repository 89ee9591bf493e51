//! How many columns a character takes, and which characters are not let in.

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

/// As alacritty measures it, with the blocks that real text is made of first: the table behind costs more than the printing.
pub(super) fn of(c: char) -> Width {
    match u32::from(c) {
        0x20..=0x7e | 0xa1..=0xac | 0xae..=0x2ff | 0x391..=0x482 | 0x48a..=0x52f | 0x2190..=0x2319 | 0x2500..=0x25fc => Width::Narrow,
        0x3041..=0x3096 | 0x30a1..=0x30fe | 0x4e00..=0x9fff | 0xac00..=0xd7a3 | 0xff01..=0xff60 => Width::Wide,
        _ if is_hidden(c) => Width::None,
        _ => match c.width() {
            None => Width::None,
            Some(0) => Width::Mark,
            Some(1) => Width::Narrow,
            Some(_) => Width::Wide,
        },
    }
}

/// Characters that do not show but change what is read: C1 controls, direction marks and overrides, zero-width and tag
/// characters, line and paragraph separators. The same as in `model::Safe`, which this room does not know.
pub(super) fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_cuts_measure_as_the_table_does() {
        for c in (' '..=char::MAX).filter(|c| !is_hidden(*c)) {
            let slow = match c.width() {
                None => Width::None,
                Some(0) => Width::Mark,
                Some(1) => Width::Narrow,
                Some(_) => Width::Wide,
            };
            assert_eq!(of(c), slow, "U+{:04X}", u32::from(c));
        }
    }
}
