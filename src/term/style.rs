//! Select Graphic Rendition: colours and attributes of what is printed next.

use alacritty_terminal::term::cell::{Cell, Flags};
use alacritty_terminal::vte::ansi::{Color, NamedColor, Rgb};

use super::params::Params;

const NORMAL: [NamedColor; 8] = [
    NamedColor::Black,
    NamedColor::Red,
    NamedColor::Green,
    NamedColor::Yellow,
    NamedColor::Blue,
    NamedColor::Magenta,
    NamedColor::Cyan,
    NamedColor::White,
];
const BRIGHT: [NamedColor; 8] = [
    NamedColor::BrightBlack,
    NamedColor::BrightRed,
    NamedColor::BrightGreen,
    NamedColor::BrightYellow,
    NamedColor::BrightBlue,
    NamedColor::BrightMagenta,
    NamedColor::BrightCyan,
    NamedColor::BrightWhite,
];

/// Changes the template that printed cells are made from. Colours of underlines are read and not used: they would cost every
/// cell an allocation.
pub(super) fn apply(template: &mut Cell, params: &Params) {
    let mut groups = params.groups();
    while let Some(group) = groups.next() {
        match *group {
            [38, ref rest @ ..] => {
                if let Some(color) = extended(rest, &mut groups) {
                    template.fg = color;
                }
            }
            [48, ref rest @ ..] => {
                if let Some(color) = extended(rest, &mut groups) {
                    template.bg = color;
                }
            }
            [58, ref rest @ ..] => {
                extended(rest, &mut groups);
            }
            [4, ref style @ ..] => underline(&mut template.flags, style.first().copied()),
            [code] => single(template, code),
            _ => {}
        }
    }
}

fn single(template: &mut Cell, code: u16) {
    let flags = &mut template.flags;
    match code {
        0 => {
            *flags = Flags::empty();
            template.fg = Color::Named(NamedColor::Foreground);
            template.bg = Color::Named(NamedColor::Background);
        }
        1 => flags.insert(Flags::BOLD),
        2 => flags.insert(Flags::DIM),
        3 => flags.insert(Flags::ITALIC),
        7 => flags.insert(Flags::INVERSE),
        8 => flags.insert(Flags::HIDDEN),
        9 => flags.insert(Flags::STRIKEOUT),
        21 => flags.remove(Flags::BOLD),
        22 => flags.remove(Flags::BOLD | Flags::DIM),
        23 => flags.remove(Flags::ITALIC),
        24 => flags.remove(Flags::ALL_UNDERLINES),
        27 => flags.remove(Flags::INVERSE),
        28 => flags.remove(Flags::HIDDEN),
        29 => flags.remove(Flags::STRIKEOUT),
        30..=37 => template.fg = Color::Named(NORMAL[usize::from(code - 30)]),
        39 => template.fg = Color::Named(NamedColor::Foreground),
        40..=47 => template.bg = Color::Named(NORMAL[usize::from(code - 40)]),
        49 => template.bg = Color::Named(NamedColor::Background),
        90..=97 => template.fg = Color::Named(BRIGHT[usize::from(code - 90)]),
        100..=107 => template.bg = Color::Named(BRIGHT[usize::from(code - 100)]),
        _ => {}
    }
}

fn underline(flags: &mut Flags, style: Option<u16>) {
    flags.remove(Flags::ALL_UNDERLINES);
    match style {
        Some(0) => {}
        Some(2) => flags.insert(Flags::DOUBLE_UNDERLINE),
        Some(3) => flags.insert(Flags::UNDERCURL),
        Some(4) => flags.insert(Flags::DOTTED_UNDERLINE),
        Some(5) => flags.insert(Flags::DASHED_UNDERLINE),
        _ => flags.insert(Flags::UNDERLINE),
    }
}

/// `38:2::1:2:3` and `38:5:7` in one group, or `38;2;1;2;3` and `38;5;7` in as many as it takes.
fn extended<'a>(group: &[u16], groups: &mut impl Iterator<Item = &'a [u16]>) -> Option<Color> {
    if let [kind, rest @ ..] = group {
        // Between the kind and the three there may be the number of a colour space.
        let rest = if group.len() > 4 { &rest[1..] } else { rest };
        return color(*kind, &mut rest.iter().copied());
    }
    let mut numbers = groups.map(|group| group[0]);
    let kind = numbers.next()?;
    color(kind, &mut numbers)
}

fn color(kind: u16, numbers: &mut impl Iterator<Item = u16>) -> Option<Color> {
    let mut byte = || numbers.next().and_then(|number| u8::try_from(number).ok());
    match kind {
        2 => Some(Color::Spec(Rgb { r: byte()?, g: byte()?, b: byte()? })),
        5 => Some(Color::Indexed(byte()?)),
        _ => None,
    }
}
