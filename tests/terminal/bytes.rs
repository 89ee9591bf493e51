//! A strict reader of what goes to a terminal: it knows what footplate may write, and nothing else.

use std::collections::BTreeSet;

/// What was found in a stream of bytes.
#[derive(Debug, Default)]
pub struct Judge {
    /// What is not on the list, as text, with where it stands.
    pub wrong: Vec<String>,
    /// Private modes that are away from a terminal's default.
    pub modes: BTreeSet<u32>,
    /// The last SGR was a reset.
    pub plain: bool,
    /// Texts put on the clipboard, still encoded.
    pub clipboard: Vec<String>,
}

/// Private modes that footplate uses: cursor, second screen, bracketed paste, synchronized update; while a remote terminal
/// shows, mouse and focus.
const MODES: [u32; 7] = [25, 1002, 1004, 1006, 1049, 2004, 2026];

impl Judge {
    pub fn of(bytes: &[u8]) -> Self {
        let mut judge = Self { plain: true, ..Self::default() };
        let text = String::from_utf8_lossy(bytes);
        if let Err(error) = std::str::from_utf8(bytes) {
            judge.wrong.push(format!("not UTF-8 from byte {}", error.valid_up_to()));
        }
        let mut rest = &*text;
        while let Some(c) = rest.chars().next() {
            let at = text.len() - rest.len();
            let used = if c == '\x1b' { judge.sequence(rest) } else { judge.character(c) };
            if used.is_none() {
                let around: String = rest.chars().take(24).collect();
                judge.wrong.push(format!("at byte {at}: {around:?}"));
            }
            rest = &rest[used.unwrap_or(c.len_utf8())..];
        }
        judge
    }

    /// Printable, or a line break (written when the cockpit is closed).
    fn character(&self, c: char) -> Option<usize> {
        let hidden = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        let closed = !self.modes.contains(&1049);
        let line_break = matches!(c, '\r' | '\n') && closed;
        (line_break || !(c.is_control() || hidden)).then(|| c.len_utf8())
    }

    /// An escape sequence from the list: cursor position, colours, erase, the modes, our own write to the clipboard.
    fn sequence(&mut self, text: &str) -> Option<usize> {
        if let Some(rest) = text.strip_prefix("\x1b]52;c;") {
            let end = rest.find('\x07')?;
            let encoded = rest[..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
            return encoded.then(|| {
                self.clipboard.push(rest[..end].to_owned());
                text.len() - rest.len() + end + 1
            });
        }
        let body = text.strip_prefix("\x1b[")?;
        let length = body.find(|c: char| !matches!(c, '0'..='9' | ';' | '?'))?;
        let (parameters, last) = (&body[..length], body[length..].chars().next()?);
        match (parameters.strip_prefix('?'), last) {
            (Some(mode), 'h' | 'l') => {
                let mode: u32 = mode.parse().ok().filter(|mode| MODES.contains(mode))?;
                // The cursor is the one that is set by default.
                if (last == 'h') == (mode == 25) {
                    self.modes.remove(&mode);
                } else {
                    self.modes.insert(mode);
                }
            }
            (None, 'm') => self.plain = matches!(parameters, "" | "0"),
            (None, 'H' | 'J' | 'K') => {}
            _ => return None,
        }
        Some(2 + length + 1)
    }
}
