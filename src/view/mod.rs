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
mod plots;
mod shell;
mod table;

use ratatui::Frame;

use crate::app::layout::{Area, Layout, layout};
use crate::app::{App, Level};
use crate::config::theme::{Role, Theme};
use pen::Pen;

/// Draws the whole screen.
pub fn draw(frame: &mut Frame<'_>, app: &App, theme: &Theme) {
    let size = frame.area();
    let mut pen = Pen::new(frame.buffer_mut(), theme, app.setup.ascii);
    let places = layout(app);
    if places.too_small || size.width < app.size.0 || size.height < app.size.1 {
        pen.say(0, 0, size.width, "footplate: more room, please", Role::Text);
        return;
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
    if let Some(place) = app.cursor() {
        frame.set_cursor_position(place);
    }
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
