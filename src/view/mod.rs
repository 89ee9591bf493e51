//! Drawing: `&App` in, cells out. Nothing here changes anything, and nothing is drawn but [`Safe`](crate::model::Safe) text
//! and the glyphs of remote terminals, which are made harmless in `term`.

mod bars;
mod canvas;
mod chart;
mod compare;
mod detail;
mod form;
mod hosts;
mod log;
mod names;
mod overlay;
mod pen;
mod pick;
mod plots;
mod shell;
mod table;

use ratatui::buffer::Buffer;

use crate::app::layout::{Area, Layout, layout};
use crate::app::{App, Level};
use crate::config::theme::{Role, Theme};
pub use crate::term::Shot;
use pen::Pen;

/// Draws the whole screen; returns where its cursor is to be, if anywhere.
pub fn draw(buffer: &mut Buffer, app: &App, theme: &Theme) -> Option<(u16, u16)> {
    let size = buffer.area;
    let mut pen = Pen::new(buffer, theme, app.setup.ascii);
    let places = layout(app);
    if places.too_small || size.width < app.size.0 || size.height < app.size.1 {
        pen.say(0, 0, size.width, "footplate: more room, please", Role::Text);
        return None;
    }
    if places.top.height > 0 {
        pane(&mut pen, &places, app);
    }
    shell::draw(&mut pen, &places, app);
    if app.in_shell() {
        shell::footer(&mut pen, &places, app);
    } else {
        bars::footer(&mut pen, places.footer_rule, places.footer, app);
    }
    overlay::draw(&mut pen, Area { x: 0, y: 0, width: app.size.0, height: app.size.1 }, app);
    app.cursor()
}

/// Where the terminal is drawn, and the rows of it that show something else than in the shot, which becomes the one of now.
/// None when the rows show something on top of it, when something else shows what is in it, or when all of it may look different.
pub fn changed(app: &App, shot: &mut Shot) -> Option<(Area, Vec<u16>)> {
    let places = layout(app);
    let session = app.shells.session().filter(|_| shell::is_alone(&places, app))?;
    Some((places.shell, session.screen.changed(shot)?))
}

/// Draws these rows of the terminal anew; returns where the cursor is to be.
pub fn redraw(buffer: &mut Buffer, app: &App, theme: &Theme, rows: &[u16]) -> Option<(u16, u16)> {
    let mut pen = Pen::new(buffer, theme, app.setup.ascii);
    shell::rows(&mut pen, layout(app).shell, app, rows);
    app.cursor()
}

/// The open pane: bars, list, and the selected thing.
fn pane(pen: &mut Pen<'_>, places: &Layout, app: &App) {
    bars::top(pen, places.top, app);
    bars::tabs(pen, places.tabs, app);
    pen.rule(places.rule);
    if app.level == Level::List {
        table::draw(pen, places, app);
    }
    if app.compares() {
        compare::draw(pen, places, app);
    } else {
        detail::draw(pen, places, app);
        log::draw(pen, places, app);
    }
}
