//! A screen as a picture: SVG text on coloured grounds, one row a line.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::Stage;

const CELL: (f32, f32) = (8.4, 18.0);
const GROUND: &str = "#101216";
const INK: &str = "#c9cdd4";

/// The picture in `screenshots/` is the one that this program draws; with `FOOTPLATE_PICTURES` it is made anew.
#[track_caller]
pub fn picture(name: &str, stage: &Stage) {
    let drawn = draw(&stage.buffer("night"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("screenshots").join(format!("{name}.svg"));
    if std::env::var_os("FOOTPLATE_PICTURES").is_some() {
        fs::write(&path, &drawn).expect("the picture is written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == drawn,
        "screenshots/{name}.svg is out of date: run the tests `screens` and `shell` with FOOTPLATE_PICTURES=1"
    );
}

/// The buffer as SVG.
pub fn draw(buffer: &Buffer) -> String {
    let area = buffer.area;
    let (width, height) = (f32::from(area.width) * CELL.0 + 16.0, f32::from(area.height) * CELL.1 + 16.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{GROUND}\"/>\n\
         <g font-family=\"'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,monospace\" font-size=\"14\" xml:space=\"preserve\">\n"
    );
    for y in 0..area.height {
        let mut x = 0;
        while x < area.width {
            let first = &buffer[(x, y)];
            let style = (first.fg, first.bg, first.modifier);
            let start = x;
            let mut text = String::new();
            while x < area.width && (buffer[(x, y)].fg, buffer[(x, y)].bg, buffer[(x, y)].modifier) == style {
                text.push_str(buffer[(x, y)].symbol());
                x += 1;
            }
            run(&mut out, (start, y), x - start, &text, style);
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn run(out: &mut String, (x, y): (u16, u16), columns: u16, text: &str, (fg, bg, modifier): (Color, Color, Modifier)) {
    let (left, top) = (f32::from(x) * CELL.0 + 8.0, f32::from(y) * CELL.1 + 8.0);
    let wide = f32::from(columns) * CELL.0;
    let (mut ink, mut ground) = (colour(fg), colour(bg));
    if modifier.contains(Modifier::REVERSED) {
        (ink, ground) = (Some(ground.unwrap_or_else(|| GROUND.to_owned())), Some(ink.unwrap_or_else(|| INK.to_owned())));
    }
    if let Some(ground) = ground {
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{:.1}\" fill=\"{ground}\"/>",
            CELL.1
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let weight = if modifier.contains(Modifier::BOLD) { " font-weight=\"bold\"" } else { "" };
    let ink = ink.unwrap_or_else(|| INK.to_owned());
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let _ = writeln!(
        out,
        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{wide:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{ink}\"{weight}>{text}</text>",
        top + CELL.1 - 5.0
    );
}

fn colour(colour: Color) -> Option<String> {
    const SIXTEEN: [&str; 16] = [
        "#1c1c1c", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d0d0d0", "#5c6370", "#ff7b86", "#b5e890",
        "#ffd68a", "#7cc4ff", "#e29bf0", "#7fd8e0", "#ffffff",
    ];
    match colour {
        Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        Color::Indexed(index) => SIXTEEN.get(usize::from(index)).map(|hex| (*hex).to_owned()),
        _ => None,
    }
}
