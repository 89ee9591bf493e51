//! What the window shows, cell by cell: of a frame, only what differs from the one before is written. Where nothing but rows of a
//! terminal can differ, as after a key typed there, only those that do are drawn and compared: a hundredth of the work.

use std::mem;

use ratatui::backend::{Backend, ClearType};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use crate::app::App;
use crate::app::layout::Area;
use crate::config::theme::Theme;
use crate::view::{self, Shot};

/// The window's cells, and where they are written to.
pub struct Sheet<B> {
    backend: B,
    /// What the window shows.
    shown: Buffer,
    /// To draw on.
    next: Buffer,
    /// What the terminal showed in it.
    shot: Shot,
    /// The app's revision that shows, and how many of them came of what a terminal was sent. None: nothing shows.
    at: Option<(u64, u64)>,
}

impl<B: Backend> Sheet<B> {
    /// For an empty window of that many columns and rows.
    pub fn new(backend: B, width: u16, height: u16) -> Self {
        let empty = Buffer::empty(Rect::new(0, 0, width, height));
        Self { backend, shown: empty.clone(), next: empty, shot: Shot::default(), at: None }
    }

    /// The window has another size, or may show anything: the next frame is drawn whole.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn resize(&mut self, width: u16, height: u16) -> Result<(), B::Error> {
        self.shown = Buffer::empty(Rect::new(0, 0, width, height));
        self.next = self.shown.clone();
        self.at = None;
        self.backend.clear_region(ClearType::All)
    }

    /// Has the window show this.
    ///
    /// # Errors
    /// What the backend fails with.
    pub fn draw(&mut self, app: &App, theme: &Theme) -> Result<(), B::Error> {
        let at = (app.revision, app.shells.fed);
        let only_fed = self.at.replace(at).is_some_and(|before| at.0.wrapping_sub(before.0) == at.1.wrapping_sub(before.1));
        // The shot is of the frame before: to come to where rows are looked at takes more than being fed.
        let cursor = match view::changed(app, &mut self.shot) {
            Some((place, rows)) if only_fed && self.is_as_large_as(app) => self.redraw(app, theme, place, &rows)?,
            _ => self.draw_whole(app, theme)?,
        };
        match cursor {
            None => self.backend.hide_cursor()?,
            Some((x, y)) => {
                self.backend.show_cursor()?;
                self.backend.set_cursor_position(Position { x, y })?;
            }
        }
        self.backend.flush()
    }

    fn is_as_large_as(&self, app: &App) -> bool {
        (self.shown.area.width, self.shown.area.height) == app.size
    }

    fn draw_whole(&mut self, app: &App, theme: &Theme) -> Result<Option<(u16, u16)>, B::Error> {
        self.next.reset();
        let cursor = view::draw(&mut self.next, app, theme);
        self.backend.draw(self.shown.diff_iter(&self.next))?;
        mem::swap(&mut self.shown, &mut self.next);
        Ok(cursor)
    }

    fn redraw(&mut self, app: &App, theme: &Theme, place: Area, rows: &[u16]) -> Result<Option<(u16, u16)>, B::Error> {
        let lines: Vec<u16> = rows.iter().map(|row| place.y + row).filter(|line| *line < place.y + place.height).collect();
        for line in &lines {
            // What is beside the terminal stays.
            let cells = cells(&self.next, *line);
            self.next.content[cells.clone()].clone_from_slice(&self.shown.content[cells]);
        }
        let cursor = view::redraw(&mut self.next, app, theme, rows);
        let pairs: Vec<_> = lines.iter().map(|line| (cut(&mut self.shown, *line), cut(&mut self.next, *line))).collect();
        self.backend.draw(pairs.iter().flat_map(|(shown, next)| shown.diff_iter(next)))?;
        for (line, (_, next)) in lines.into_iter().zip(pairs) {
            let cells = cells(&self.shown, line);
            self.shown.content.splice(cells, next.content);
        }
        Ok(cursor)
    }
}

/// Where a line's cells are.
fn cells(buffer: &Buffer, line: u16) -> std::ops::Range<usize> {
    let width = usize::from(buffer.area.width);
    let start = usize::from(line) * width;
    start..start + width
}

/// Takes a line out; empty cells stay.
fn cut(buffer: &mut Buffer, line: u16) -> Buffer {
    let cells = cells(buffer, line);
    let content = buffer.content[cells].iter_mut().map(mem::take).collect();
    Buffer { area: Rect::new(0, line, buffer.area.width, 1), content }
}
