//! Text from outside, proven harmless to the host terminal. The only text that the view can draw.
//!
//! A terminal obeys what it is sent: escape sequences in a log line, a tag or an error message could clear the screen, set
//! the clipboard or type into the shell. So text from outside becomes [`Safe`] when it enters the program, and everything
//! that is drawn or printed is `Safe`. Control characters turn into visible pictures (`␛`), invisible and direction-changing
//! characters into `<U+202E>`, and a heap of combining marks is cut.

use std::fmt::{self, Write};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Combining marks allowed on one character; real scripts need at most a few.
const MARKS: usize = 8;

/// Harmless text of one line, or of several when made by [`Safe::text`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Safe(Arc<str>);

impl Safe {
    /// One line: every control character becomes visible, line feeds too.
    #[must_use]
    pub fn line(raw: &str) -> Self {
        Self(clean(raw, false).into())
    }

    /// Several lines: line feeds stay, a tab becomes spaces, every other control character becomes visible.
    #[must_use]
    pub fn text(raw: &str) -> Self {
        Self(clean(raw, true).into())
    }

    /// Bytes of unknown encoding, as one line: invalid UTF-8 becomes `\xNN`.
    #[must_use]
    pub fn bytes(raw: &[u8]) -> Self {
        let mut text = String::with_capacity(raw.len());
        for chunk in raw.utf8_chunks() {
            text.push_str(chunk.valid());
            for byte in chunk.invalid() {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        Self::line(&text)
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The lines of a text.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.lines()
    }
}

fn clean(raw: &str, keep_lines: bool) -> String {
    if raw.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return raw.to_owned();
    }
    let mut out = String::with_capacity(raw.len() + 16);
    let mut marks = 0;
    for c in raw.chars() {
        if is_mark(c) {
            marks += 1;
            if marks > MARKS {
                continue;
            }
        } else {
            marks = 0;
        }
        match c {
            '\n' if keep_lines => out.push('\n'),
            '\t' => out.push_str("    "),
            '\0'..='\x1f' => out.push(char::from_u32(0x2400 + c as u32).unwrap_or('?')),
            '\x7f' => out.push('␡'),
            _ if is_hidden(c) => {
                let _ = write!(out, "<U+{:04X}>", c as u32);
            }
            _ => out.push(c),
        }
    }
    out
}

/// Combining marks: they add to the cell before and take no room of their own.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && unicode_width::UnicodeWidthChar::width(c) == Some(0)
}

/// Characters that do not show but change what is read: C1 controls, direction overrides, zero-width and tag characters,
/// line and paragraph separators, private interlinear marks.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl From<String> for Safe {
    fn from(raw: String) -> Self {
        Self::text(&raw)
    }
}

impl From<&str> for Safe {
    fn from(raw: &str) -> Self {
        Self::text(raw)
    }
}

impl Default for Safe {
    fn default() -> Self {
        Self("".into())
    }
}

impl AsRef<str> for Safe {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_become_visible() {
        assert_eq!(Safe::line("a\x1b[2Jb\r\n").as_str(), "a␛[2Jb␍␊");
        assert_eq!(Safe::text("a\nb\tc\x07").as_str(), "a\nb    c␇");
        assert_eq!(Safe::line("\u{9b}31m\u{202e}x").as_str(), "<U+009B>31m<U+202E>x");
        assert_eq!(Safe::bytes(b"ok \xff\xfe").as_str(), "ok \\xff\\xfe");
    }

    #[test]
    fn a_heap_of_marks_is_cut() {
        let zalgo = format!("a{}", "\u{301}".repeat(10_000));
        assert_eq!(Safe::line(&zalgo).as_str().chars().count(), 1 + MARKS);
    }

    proptest! {
        #[test]
        fn nothing_harmful_passes(raw in any::<String>(), keep in any::<bool>()) {
            let safe = clean(&raw, keep);
            prop_assert!(safe.chars().all(|c| (!c.is_control() || (keep && c == '\n')) && !is_hidden(c)));
            prop_assert_eq!(clean(&safe, keep), safe.clone());
        }
    }
}
