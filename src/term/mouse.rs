//! The mouse as reports to a remote program that asked for them
//! (<https://invisible-island.net/xterm/ctlseqs/ctlseqs.html>, "Mouse Tracking").

use alacritty_terminal::term::TermMode;

use super::keys::{Code, Key};
use super::{Screen, number};

/// Lines that a turn of the wheel moves a program that does not know a mouse.
const WHEEL: usize = 3;

/// What the remote wants to know of the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseWanted {
    Nothing,
    /// Buttons and wheel (mode 1000).
    Clicks,
    /// And movements with a button held (1002).
    Drags,
    /// And all movements (1003).
    Moves,
}

/// A mouse event at a place of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mouse {
    pub kind: MouseKind,
    pub column: u16,
    pub row: u16,
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
}

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MouseKind {
    Down(Button),
    Up(Button),
    Drag(Button),
    Move,
    WheelUp,
    WheelDown,
    WheelLeft,
    WheelRight,
}

/// A button of the mouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    Left,
    Middle,
    Right,
}

impl Screen {
    /// What the remote wants to know of the mouse.
    #[must_use]
    pub fn mouse(&self) -> MouseWanted {
        let mode = self.machine.mode();
        if mode.contains(TermMode::MOUSE_MOTION) {
            MouseWanted::Moves
        } else if mode.contains(TermMode::MOUSE_DRAG) {
            MouseWanted::Drags
        } else if mode.contains(TermMode::MOUSE_REPORT_CLICK) {
            MouseWanted::Clicks
        } else {
            MouseWanted::Nothing
        }
    }

    /// What is to be sent for a mouse event; empty when the remote did not ask for it. For a full-screen program that did not,
    /// the wheel is cursor keys (mode 1007, which is on until the program says otherwise).
    #[must_use]
    pub fn point(&self, mouse: Mouse) -> Vec<u8> {
        let wanted = match (self.mouse(), mouse.kind) {
            (MouseWanted::Nothing, _) => return self.wheel_keys(mouse.kind),
            (MouseWanted::Moves, _) => true,
            (MouseWanted::Drags, kind) => kind != MouseKind::Move,
            (MouseWanted::Clicks, kind) => !matches!(kind, MouseKind::Move | MouseKind::Drag(_)),
        };
        let (column, row) = (number(usize::from(mouse.column) + 1), number(usize::from(mouse.row) + 1));
        if !wanted || column > self.size().0 || row > self.size().1 {
            return Vec::new();
        }
        let code = code(mouse);
        let mode = self.machine.mode();
        if mode.contains(TermMode::SGR_MOUSE) {
            let end = if matches!(mouse.kind, MouseKind::Up(_)) { 'm' } else { 'M' };
            return format!("\x1b[<{code};{column};{row}{end}").into_bytes();
        }
        // The old form does not say which button was released.
        let code = if matches!(mouse.kind, MouseKind::Up(_)) { code & !3 | 3 } else { code };
        let values = [code, column, row].map(|value| value + 32);
        let mut out = b"\x1b[M".to_vec();
        for value in values {
            match (u8::try_from(value), char::from_u32(u32::from(value))) {
                (_, Some(c)) if mode.contains(TermMode::UTF8_MOUSE) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                (Ok(byte), _) => out.push(byte),
                // Places from column or row 224 on cannot be said.
                _ => return Vec::new(),
            }
        }
        out
    }

    fn wheel_keys(&self, kind: MouseKind) -> Vec<u8> {
        let code = match kind {
            MouseKind::WheelUp => Code::Up,
            MouseKind::WheelDown => Code::Down,
            _ => return Vec::new(),
        };
        let wanted = self.alternate() && self.machine.mode().contains(TermMode::ALTERNATE_SCROLL);
        if wanted { self.press(Key::plain(code)).repeat(WHEEL) } else { Vec::new() }
    }
}

/// The button, 32 more for a movement, 4 for shift, 8 for alt, 16 for ctrl.
fn code(mouse: Mouse) -> u16 {
    let button = |button| match button {
        Button::Left => 0,
        Button::Middle => 1,
        Button::Right => 2,
    };
    let what = match mouse.kind {
        MouseKind::Down(which) | MouseKind::Up(which) => button(which),
        MouseKind::Drag(which) => 32 + button(which),
        MouseKind::Move => 32 + 3,
        MouseKind::WheelUp => 64,
        MouseKind::WheelDown => 65,
        MouseKind::WheelLeft => 66,
        MouseKind::WheelRight => 67,
    };
    what + 4 * u16::from(mouse.shift) + 8 * u16::from(mouse.alt) + 16 * u16::from(mouse.ctrl)
}
