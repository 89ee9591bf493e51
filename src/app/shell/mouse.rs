//! The mouse, while a terminal shows: it selects and scrolls, unless the program in the terminal asked for it.

use serde::{Deserialize, Serialize};

use super::talk::Wish;
use crate::app::event::Effect;
use crate::app::layout::{Area, layout};
use crate::app::{App, Level};
use crate::term;

/// Lines of a turn of the wheel.
const WHEEL: i32 = 3;

/// A mouse event at a place of the window, as plain data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mouse {
    pub did: Did,
    pub column: u16,
    pub row: u16,
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
}

/// What the mouse did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Did {
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Button {
    Left,
    Middle,
    Right,
}

impl App {
    pub(in crate::app) fn mouse(&mut self, mouse: Mouse, out: &mut Vec<Effect>) {
        if !self.overlays.is_empty() {
            return;
        }
        let places = layout(self);
        let dragging = self.shells.session().is_some_and(|session| session.drag.is_some());
        if !dragging && !within(places.shell, mouse) {
            return self.mouse_outside(mouse, places.list);
        }
        let Some(session) = self.shells.session_mut() else { return };
        let area = places.shell;
        // A selection that is drawn out of the terminal ends at its edge.
        let column = mouse.column.clamp(area.x, (area.x + area.width).saturating_sub(1)) - area.x;
        let row = mouse.row.clamp(area.y, (area.y + area.height).saturating_sub(1)) - area.y;
        let wanted = session.screen.mouse() != term::MouseWanted::Nothing && !mouse.shift && session.drag.is_none();
        let wheel = matches!(mouse.did, Did::WheelUp | Did::WheelDown);
        if wanted || wheel {
            let report = term::Mouse { kind: kind(mouse.did), column, row, ctrl: mouse.ctrl, alt: mouse.alt, shift: mouse.shift };
            let bytes = session.screen.point(report);
            if !bytes.is_empty() && session.is_live() {
                let number = session.number;
                out.push(Effect::Shell { session: number, wish: Wish::Send(bytes.as_slice().into()) });
            } else if wheel && !wanted {
                session.screen.scroll(if mouse.did == Did::WheelUp { WHEEL } else { -WHEEL });
            }
        } else {
            match mouse.did {
                Did::Down(Button::Left) => {
                    session.screen.clear_selection();
                    session.drag = Some((column, row));
                }
                Did::Drag(Button::Left) => {
                    let from = *session.drag.get_or_insert((column, row));
                    session.screen.select(from, (column, row));
                }
                Did::Up(Button::Left) => session.drag = None,
                _ => {}
            }
        }
        if matches!(mouse.did, Did::Down(_)) && self.level != Level::Shell {
            self.shells.focused = true;
        }
        if mouse.did != Did::Move {
            self.revision += 1;
        }
    }

    /// Beside the terminal: a click goes to the list, the wheel moves in it.
    fn mouse_outside(&mut self, mouse: Mouse, list: Area) {
        if self.level == Level::Shell {
            return;
        }
        match mouse.did {
            Did::Down(Button::Left) => {
                self.shells.focused = false;
                self.revision += 1;
                if within(list, mouse) {
                    let row = self.pane().top + usize::from(mouse.row - list.y);
                    if row < self.pane().counts().0 {
                        self.pane_mut().select(row);
                    }
                }
            }
            Did::WheelUp | Did::WheelDown => {
                self.step(if mouse.did == Did::WheelUp { -1 } else { 1 });
                self.revision += 1;
            }
            _ => {}
        }
    }
}

fn within(area: Area, mouse: Mouse) -> bool {
    (area.x..area.x + area.width).contains(&mouse.column) && (area.y..area.y + area.height).contains(&mouse.row)
}

fn kind(did: Did) -> term::MouseKind {
    use term::MouseKind as Kind;
    let of = |button| match button {
        Button::Left => term::Button::Left,
        Button::Middle => term::Button::Middle,
        Button::Right => term::Button::Right,
    };
    match did {
        Did::Down(button) => Kind::Down(of(button)),
        Did::Up(button) => Kind::Up(of(button)),
        Did::Drag(button) => Kind::Drag(of(button)),
        Did::Move => Kind::Move,
        Did::WheelUp => Kind::WheelUp,
        Did::WheelDown => Kind::WheelDown,
        Did::WheelLeft => Kind::WheelLeft,
        Did::WheelRight => Kind::WheelRight,
    }
}
