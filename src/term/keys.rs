//! Keys and pastes as the bytes that a remote program expects, as xterm sends them
//! (<https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>, "PC-Style Function Keys"; terminfo `xterm-256color`).

use alacritty_terminal::term::TermMode;

use super::Screen;

/// Which key, without modifiers. Letters carry their case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// F1 to F24; others are no keys.
    F(u8),
    /// A key of the number block: a digit, one of `+-*/.,=`, or a carriage return.
    Keypad(char),
}

/// One key press.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    /// 1 plus 1 for shift, 2 for alt, 4 for ctrl.
    fn modifiers(self) -> u8 {
        1 + u8::from(self.shift) + 2 * u8::from(self.alt) + 4 * u8::from(self.ctrl)
    }
}

impl Screen {
    /// What is to be sent for a key. Empty for a key that terminals do not have.
    #[must_use]
    pub fn press(&self, key: Key) -> Vec<u8> {
        let mode = self.machine.mode();
        let cursor = mode.contains(TermMode::APP_CURSOR);
        match key.code {
            Code::Enter if mode.contains(TermMode::LINE_FEED_NEW_LINE) => escaped(key, b"\r\n"),
            Code::Enter => escaped(key, b"\r"),
            Code::Esc => escaped(key, b"\x1b"),
            Code::Tab if !key.shift => escaped(key, b"\t"),
            Code::Tab | Code::BackTab => escaped(key, b"\x1b[Z"),
            Code::Backspace if key.ctrl => escaped(key, b"\x08"),
            Code::Backspace => escaped(key, b"\x7f"),
            Code::Up => lettered(key, b'A', cursor),
            Code::Down => lettered(key, b'B', cursor),
            Code::Right => lettered(key, b'C', cursor),
            Code::Left => lettered(key, b'D', cursor),
            Code::Home => lettered(key, b'H', cursor),
            Code::End => lettered(key, b'F', cursor),
            Code::Insert => numbered(key, 2),
            Code::Delete => numbered(key, 3),
            Code::PageUp => numbered(key, 5),
            Code::PageDown => numbered(key, 6),
            Code::F(number) => function(key, number),
            Code::Keypad(c) if mode.contains(TermMode::APP_KEYPAD) => keypad(key, c),
            Code::Char(c) | Code::Keypad(c) => character(key, c),
        }
    }

    /// What is to be sent for a pasted text: line ends become what Enter sends, tabs stay, and every other control character is
    /// removed, above all every ESC and U+009B: no text can end the brackets and go on as if it had been typed. In brackets only
    /// if the remote asked for them.
    #[must_use]
    pub fn paste(&self, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 12);
        let bracketed = self.bracketed();
        if bracketed {
            out.extend_from_slice(b"\x1b[200~");
        }
        let mut before = '\0';
        for c in text.chars() {
            match c {
                '\n' if before == '\r' => {}
                '\n' | '\r' => out.push(b'\r'),
                '\t' => out.push(b'\t'),
                _ if c.is_control() => {}
                _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
            before = c;
        }
        if bracketed {
            out.extend_from_slice(b"\x1b[201~");
        }
        out
    }

    /// What is to be sent when the window gets or loses the focus; empty unless the remote asked for it.
    #[must_use]
    pub fn focus(&self, gained: bool) -> Vec<u8> {
        if !self.machine.mode().contains(TermMode::FOCUS_IN_OUT) {
            return Vec::new();
        }
        if gained { b"\x1b[I".to_vec() } else { b"\x1b[O".to_vec() }
    }
}

/// With ESC before it if Alt was held.
fn escaped(key: Key, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 1);
    if key.alt {
        out.push(0x1b);
    }
    out.extend_from_slice(bytes);
    out
}

fn character(key: Key, c: char) -> Vec<u8> {
    let code = if key.ctrl { control(c) } else { None };
    match code {
        Some(code) => escaped(key, &[code]),
        None => escaped(key, c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// The control code of a character with Ctrl, as VT100s and xterm have them; digits are for keyboards without the others.
fn control(c: char) -> Option<u8> {
    Some(match c {
        'a'..='z' | 'A'..='Z' => c as u8 & 0x1f,
        ' ' | '@' | '2' | '`' => 0x00,
        '[' | '3' | '{' => 0x1b,
        '\\' | '4' | '|' => 0x1c,
        ']' | '5' | '}' => 0x1d,
        '^' | '6' | '~' => 0x1e,
        '_' | '7' | '/' | '-' => 0x1f,
        '?' | '8' => 0x7f,
        _ => return None,
    })
}

/// Cursor keys and the like: `ESC [ A`, `ESC O A` for a program that asked for it, `ESC [ 1 ; m A` with modifiers.
fn lettered(key: Key, letter: u8, application: bool) -> Vec<u8> {
    match key.modifiers() {
        1 if application => vec![0x1b, b'O', letter],
        1 => vec![0x1b, b'[', letter],
        modifiers => format!("\x1b[1;{modifiers}{}", char::from(letter)).into_bytes(),
    }
}

fn numbered(key: Key, number: u8) -> Vec<u8> {
    match key.modifiers() {
        1 => format!("\x1b[{number}~").into_bytes(),
        modifiers => format!("\x1b[{number};{modifiers}~").into_bytes(),
    }
}

/// F13 to F24 are F1 to F12 with shift, as in terminfo.
fn function(key: Key, number: u8) -> Vec<u8> {
    match number {
        1..=4 => lettered(key, b'P' + number - 1, true),
        5 => numbered(key, 15),
        6..=10 => numbered(key, number + 11),
        11..=12 => numbered(key, number + 12),
        13..=24 => function(Key { shift: true, ..key }, number - 12),
        _ => Vec::new(),
    }
}

/// A key of the number block for a program that asked to tell them apart (DECKPAM): `ESC O j` to `ESC O y`, `M`, `X`.
fn keypad(key: Key, c: char) -> Vec<u8> {
    match c {
        '\r' => lettered(key, b'M', true),
        '=' => lettered(key, b'X', true),
        '*'..='9' => lettered(key, c as u8 + (b'j' - b'*'), true),
        _ => character(key, c),
    }
}
