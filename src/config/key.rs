//! A key press as plain data: what the keymap names and what a recording holds.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which key, without modifiers. Letters carry their case; there is no separate shift for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Code {
    Char(char),
    Enter,
    Esc,
    Tab,
    BackTab,
    Backspace,
    Delete,
    Insert,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// One key press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    pub code: Code,
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
}

impl Key {
    #[must_use]
    pub const fn plain(code: Code) -> Self {
        Self { code, ctrl: false, alt: false, shift: false }
    }

    /// Reads a key as it is written in keymap.toml and in help: `x`, `space`, `Enter`, `Ctrl-s`, `Shift-Left`.
    ///
    /// # Errors
    /// Says which part is not a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut key = Self::plain(Code::Esc);
        let mut rest = text;
        loop {
            let lower = rest.to_ascii_lowercase();
            let (flag, len) = if lower.starts_with("ctrl-") && rest.len() > 5 {
                (&mut key.ctrl, 5)
            } else if lower.starts_with("alt-") && rest.len() > 4 {
                (&mut key.alt, 4)
            } else if lower.starts_with("shift-") && rest.len() > 6 {
                (&mut key.shift, 6)
            } else {
                break;
            };
            *flag = true;
            rest = &rest[len..];
        }
        key.code = code(rest)
            .ok_or_else(|| format!("`{text}` is not a key; write for instance x, space, Enter, F5, Ctrl-s or Shift-Left"))?;
        Ok(key)
    }
}

fn code(name: &str) -> Option<Code> {
    let mut chars = name.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        return Some(Code::Char(c));
    }
    let lower = name.to_ascii_lowercase();
    if let Some(number) = lower.strip_prefix('f').and_then(|n| n.parse().ok()) {
        return (1..=12).contains(&number).then_some(Code::F(number));
    }
    NAMES.iter().find(|(_, text)| text.eq_ignore_ascii_case(&lower)).map(|(code, _)| *code)
}

const NAMES: [(Code, &str); 16] = [
    (Code::Char(' '), "space"),
    (Code::Enter, "Enter"),
    (Code::Esc, "Esc"),
    (Code::Tab, "Tab"),
    (Code::BackTab, "BackTab"),
    (Code::Backspace, "Backspace"),
    (Code::Delete, "Delete"),
    (Code::Insert, "Insert"),
    (Code::Up, "Up"),
    (Code::Down, "Down"),
    (Code::Left, "Left"),
    (Code::Right, "Right"),
    (Code::Home, "Home"),
    (Code::End, "End"),
    (Code::PageUp, "PageUp"),
    (Code::PageDown, "PageDown"),
];

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (set, name) in [(self.ctrl, "Ctrl-"), (self.alt, "Alt-"), (self.shift, "Shift-")] {
            if set {
                f.write_str(name)?;
            }
        }
        match self.code {
            Code::F(number) => write!(f, "F{number}"),
            code => match NAMES.iter().find(|(named, _)| *named == code) {
                Some((_, name)) => f.write_str(name),
                None => match code {
                    Code::Char(c) => write!(f, "{c}"),
                    _ => Ok(()),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_read_back() {
        for text in ["x", "X", "space", "Enter", "Ctrl-s", "Shift-Left", "F5", "-", "Ctrl--", "?", ":"] {
            assert_eq!(Key::parse(text).expect(text).to_string(), text);
        }
        assert!(Key::parse("Hyper-x").is_err());
    }
}
