//! Text being typed: filter, search, palette and form fields all use this one.

use tui_textarea::{CursorMove, Input as Press, Key as PressKey, TextArea};

use crate::config::key::{Code, Key};

/// Lines of a text that one sees as a whole.
const FEW: usize = 20;

/// An editable text with a cursor.
#[derive(Clone, Debug)]
pub struct Input {
    area: TextArea<'static>,
    lines: bool,
}

impl Input {
    /// `lines`: may hold more than one line.
    #[must_use]
    pub fn new(text: &str, lines: bool) -> Self {
        let mut area = TextArea::new(text.split('\n').map(str::to_owned).collect());
        // A few lines are added to; a script is read from its beginning.
        if area.lines().len() <= FEW {
            area.move_cursor(CursorMove::Bottom);
            area.move_cursor(CursorMove::End);
        }
        Self { area, lines }
    }

    #[must_use]
    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    /// The widget's state, for drawing.
    #[must_use]
    pub fn area(&self) -> &TextArea<'static> {
        &self.area
    }

    /// Line and column of the cursor, in characters.
    #[must_use]
    pub fn cursor(&self) -> (usize, usize) {
        let cursor = self.area.cursor();
        (cursor.0, cursor.1)
    }

    /// Types a key. Returns whether the text changed.
    pub fn press(&mut self, key: Key) -> bool {
        if !self.lines && matches!(key.code, Code::Enter | Code::Up | Code::Down) {
            return false;
        }
        // Emacs habits of the widget that clash with ours stay out: Ctrl-m would be a newline.
        if !self.lines && key.ctrl && key.code == Code::Char('m') {
            return false;
        }
        // As in a shell: the line up to the cursor. (The widget would undo.)
        if key.ctrl && key.code == Code::Char('u') {
            return self.area.delete_line_by_head();
        }
        self.area.input(Press { key: code(key.code), ctrl: key.ctrl, alt: key.alt, shift: key.shift })
    }

    /// Inserts pasted text; control characters other than line feed and tab are dropped.
    pub fn paste(&mut self, text: &str) {
        let clean: String = text
            .replace("\r\n", "\n")
            .replace('\r', "\n")
            .chars()
            .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
            .collect();
        let clean = if self.lines { clean } else { clean.replace('\n', " ") };
        self.area.insert_str(clean);
    }
}

fn code(code: Code) -> PressKey {
    match code {
        Code::Char(c) => PressKey::Char(c),
        Code::Enter => PressKey::Enter,
        Code::Esc => PressKey::Esc,
        Code::Tab | Code::BackTab => PressKey::Tab,
        Code::Backspace => PressKey::Backspace,
        Code::Delete => PressKey::Delete,
        Code::Insert => PressKey::Null,
        Code::Up => PressKey::Up,
        Code::Down => PressKey::Down,
        Code::Left => PressKey::Left,
        Code::Right => PressKey::Right,
        Code::Home => PressKey::Home,
        Code::End => PressKey::End,
        Code::PageUp => PressKey::PageUp,
        Code::PageDown => PressKey::PageDown,
        Code::F(number) => PressKey::F(number),
    }
}
