//! A terminal without a window: bytes in, cells and replies out. No I/O, no clock. Level 0: knows nothing of the crate.
//!
//! What comes in is hostile: it passes a bounded filter ([`parser`]) before alacritty's emulator sees any of it
//! ([`obey`] lists what may reach it), and nothing of it reaches the user's own terminal except as cells that are drawn
//! ([`glyph`]). What goes out are keys, pastes and mouse reports ([`keys`], [`mouse`]), and answers to three questions.
//!
//! Held for a session: the screen, 10,000 lines above it, and at most 1.2 MiB of what is not yet complete.

mod budget;
mod find;
mod glyph;
mod keys;
mod machine;
mod mouse;
mod obey;
mod params;
mod parser;
mod print;
mod select;
mod shot;
mod strings;
mod style;
mod width;

use std::fmt;
use std::mem;
use std::sync::OnceLock;

use alacritty_terminal::grid::{Dimensions as _, Scroll};
use alacritty_terminal::index::Line;
use alacritty_terminal::term::TermMode;
use alacritty_terminal::term::cell::Flags;
use alacritty_terminal::vte::ansi::CursorShape;

pub use glyph::{Colour, Glyph};
pub use keys::{Code, Key};
pub use mouse::{Button, Mouse, MouseKind, MouseWanted};
pub use shot::Shot;

use find::Search;
use machine::Machine;
use parser::Parser;

/// Fewer columns or rows than this do not work, more are not asked for by any window.
const SIZES: std::ops::RangeInclusive<u16> = 2..=1000;
/// Most bytes of a synchronized update that are held back. A full screen in true colour is less than half of it.
const HELD: usize = 1 << 20;
/// Ends a synchronized update (DEC mode 2026, <https://gist.github.com/christianparpart/d8a62cc1ab659194337d73e399004036>).
const UPDATE_END: &[u8] = b"\x1b[?2026l";

/// A terminal's screen with its history, modes and title. A copy goes on by itself.
#[derive(Clone)]
pub struct Screen {
    parser: Parser,
    machine: Machine,
    /// What came in a synchronized update that is not over.
    held: Option<Vec<u8>>,
    search: Option<Search>,
    /// The rows as text, made when asked for.
    shown: Vec<OnceLock<glyph::Line>>,
    revision: u64,
}

/// Where the cursor is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub column: u16,
    pub row: u16,
    pub shape: Shape,
}

/// How the cursor is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Block,
    Underline,
    /// A line before the character.
    Bar,
}

impl Screen {
    /// An empty screen. Sizes below 2 or above 1000 become these.
    #[must_use]
    pub fn new(columns: u16, rows: u16) -> Self {
        let machine = Machine::new(clamped(columns), clamped(rows));
        let mut screen = Self { parser: Parser::default(), machine, held: None, search: None, shown: Vec::new(), revision: 0 };
        screen.forget_shown();
        screen
    }

    /// Takes what the remote has sent, cut anywhere. Returns what is to be sent to it: answers to "what are you" (DA1), "are you
    /// there" (DSR 5) and "where is the cursor" (CPR), and to nothing else. There are at most 32 of them, and one more for each 256 bytes
    /// fed; what is over that is not answered.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.held.is_some() {
                rest = self.hold(rest);
            } else {
                let used = self.parser.advance(&mut self.machine, rest);
                rest = &rest[used..];
                if mem::take(&mut self.machine.synchronized) {
                    self.held = Some(Vec::new());
                }
            }
        }
        self.settle();
        mem::take(&mut self.machine.replies)
    }

    /// A synchronized update has begun and is not over: what came since is not shown. When that lasts for 150 ms, call
    /// [`Screen::flush`]; without, it ends after 1 MiB.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Shows what a synchronized update holds back. Returns what is to be sent to the remote, as [`Screen::feed`] does.
    pub fn flush(&mut self) -> Vec<u8> {
        if let Some(held) = self.held.take() {
            self.release(&held);
        }
        self.settle();
        mem::take(&mut self.machine.replies)
    }

    /// Holds back until the update's end, or until there is too much of it; returns the rest.
    fn hold<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Some(mut held) = self.held.take() else { return bytes };
        let old = held.len();
        let taken = bytes.len().min(HELD - old);
        held.extend_from_slice(&bytes[..taken]);
        // The end may have begun in what came before.
        let from = old.saturating_sub(UPDATE_END.len() - 1);
        let end = held[from..].windows(UPDATE_END.len()).position(|window| window == UPDATE_END);
        if let Some(end) = end {
            let end = from + end + UPDATE_END.len();
            self.release(&held[..end]);
            return &bytes[end - old..];
        }
        if held.len() == HELD {
            self.release(&held);
        } else {
            self.held = Some(held);
        }
        &bytes[taken..]
    }

    fn release(&mut self, held: &[u8]) {
        self.machine.releasing = true;
        self.parser.advance(&mut self.machine, held);
        self.machine.releasing = false;
    }

    /// After a change: what was drawn is stale.
    fn settle(&mut self) {
        // A region that scrolls below the top of the screen takes what is shown along, beyond what there is.
        if self.scrolled() > self.history() {
            self.machine.term.scroll_display(Scroll::Delta(0));
        }
        if mem::take(&mut self.machine.changed) {
            self.touch();
        }
    }

    fn touch(&mut self) {
        self.revision += 1;
        self.forget_shown();
    }

    /// The window has another size. Sizes below 2 or above 1000 become these. Lines of the normal screen are wrapped anew.
    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = (clamped(columns), clamped(rows));
        if size == (self.machine.columns(), self.machine.rows()) {
            return;
        }
        self.machine.resize(size.0, size.1);
        self.forget_hit();
        self.settle();
    }

    /// Columns and rows.
    #[must_use]
    pub fn size(&self) -> (u16, u16) {
        (number(self.machine.columns()), number(self.machine.rows()))
    }

    /// Where the cursor is drawn; None when it is hidden or not in what is shown.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        if !self.machine.mode().contains(TermMode::SHOW_CURSOR) {
            return None;
        }
        let grid = self.machine.term.grid();
        let point = grid.cursor.point;
        let row = usize::try_from(point.line.0).unwrap_or(0) + grid.display_offset();
        let second = grid[point].flags.contains(Flags::WIDE_CHAR_SPACER);
        let shape = match self.machine.term.cursor_style().shape {
            CursorShape::Underline => Shape::Underline,
            CursorShape::Beam => Shape::Bar,
            _ => Shape::Block,
        };
        let column = point.column.0.saturating_sub(usize::from(second));
        (row < self.machine.rows()).then(|| Cursor { column: number(column), row: number(row), shape })
    }

    /// The title that the remote has set: at most 256 bytes, without what does not show.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.machine.strings.title
    }

    /// The alternate screen is shown, which full-screen programs use.
    #[must_use]
    pub fn alternate(&self) -> bool {
        self.machine.alternate
    }

    /// The remote wants to know what is pasted.
    #[must_use]
    pub fn bracketed(&self) -> bool {
        self.machine.mode().contains(TermMode::BRACKETED_PASTE)
    }

    /// Scrolls by so many lines: up into the history (positive) or down.
    pub fn scroll(&mut self, lines: i32) {
        let most = i32::try_from(self.history()).unwrap_or(i32::MAX);
        self.scroll_by(Scroll::Delta(lines.clamp(-most, most)));
    }

    /// Shows the end again.
    pub fn scroll_to_end(&mut self) {
        self.scroll_by(Scroll::Bottom);
    }

    fn scroll_by(&mut self, scroll: Scroll) {
        let before = self.scrolled();
        self.machine.term.scroll_display(scroll);
        if self.scrolled() != before {
            self.forget_hit();
            self.touch();
        }
    }

    /// Lines between what is shown and the end: 0 when the end is shown.
    #[must_use]
    pub fn scrolled(&self) -> usize {
        self.machine.term.grid().display_offset()
    }

    /// Lines above the screen, at most 10,000.
    #[must_use]
    pub fn history(&self) -> usize {
        self.machine.term.grid().history_size()
    }

    /// Whether the remote may set the user's clipboard (OSC 52). It may not until this says so.
    pub fn allow_clipboard(&mut self, allowed: bool) {
        self.machine.strings.clipboard_allowed = allowed;
        self.machine.strings.clipboard = None;
    }

    /// What the remote last asked to be copied, once. At most 48 KiB, without control characters but line feeds and tabs.
    pub fn take_clipboard(&mut self) -> Option<String> {
        self.machine.strings.clipboard.take()
    }

    /// The bell was rung since this was asked last, however often.
    pub fn take_bell(&mut self) -> bool {
        mem::take(&mut self.machine.bell)
    }

    /// Another number whenever something visible may have changed.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The line of the grid that is shown in this row.
    fn line(&self, row: usize) -> Line {
        machine::line(row) - self.scrolled()
    }
}

impl fmt::Debug for Screen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Screen");
        shown.field("size", &self.size()).field("title", &self.title()).field("revision", &self.revision).finish_non_exhaustive()
    }
}

fn clamped(size: u16) -> usize {
    usize::from(size.clamp(*SIZES.start(), *SIZES.end()))
}

/// Columns and rows are at most 1000.
fn number(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use alacritty_terminal::event::VoidListener;
    use alacritty_terminal::grid::Grid;
    use alacritty_terminal::index::Column;
    use alacritty_terminal::term::cell::Cell;
    use alacritty_terminal::term::test::TermSize;
    use alacritty_terminal::term::{Config, Term};
    use alacritty_terminal::vte::ansi::Processor;
    use proptest::prelude::*;

    use super::*;

    const COLUMNS: u16 = 13;
    const ROWS: u16 = 5;

    /// A step of an honest program, and changes of the window.
    #[derive(Clone)]
    enum Step {
        Bytes(Vec<u8>),
        Resize(u16, u16),
    }

    impl fmt::Debug for Step {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Bytes(bytes) => write!(f, "{:?}", String::from_utf8_lossy(bytes)),
                Self::Resize(columns, rows) => write!(f, "{columns}x{rows}"),
            }
        }
    }

    fn bytes(text: &str) -> Just<Vec<u8>> {
        Just(text.as_bytes().to_vec())
    }

    fn honest() -> impl Strategy<Value = Step> {
        let words = [
            "a",
            "hello world",
            "the quick brown fox jumps over it",
            "qxlmkj",
            "中文字",
            "日本語のテキストが長い",
            "é",
            "ñandú",
            "Привет",
        ];
        let marks = ["e\u{301}", "\u{301}", "👍", "👩\u{200d}💻", "❤\u{fe0f}", "漢\u{300}", "🇩🇪", "─│┌┐", "▀▄█", "한글"];
        let moves =
            ["\r", "\n", "\r\n", "\t", "\x08", "\x0b", "\x1bM", "\x1bD", "\x1bE", "\x1b7", "\x1b8", "\x1bH", "\x1bc", "\x1b#8"];
        let modes = [
            "\x1b[4h",
            "\x1b[4l",
            "\x1b[?7l",
            "\x1b[?7h",
            "\x1b[?6h",
            "\x1b[?6l",
            "\x1b(0",
            "\x1b(B",
            "\x1b)0",
            "\x0e",
            "\x0f",
            "\x1b[?1049h",
            "\x1b[?1049l",
            "\x1b[s",
            "\x1b[u",
            "\x1b[3g",
            "\x1b[g",
            "\x1b[r",
            "\x1b[?3h",
            "\x1b[?25l",
            "\x1b[?1h\x1b=",
            "\x1b[20h",
            "\x1b[3 q",
            "\x1b[?5W",
            "\x1b[2;4r",
            "\x1b[1;3r",
            "\x1b[3;5r",
        ];
        let styles = [
            "\x1b[m",
            "\x1b[1;31m",
            "\x1b[38;5;200;48;2;1;2;3m",
            "\x1b[4:3;7m",
            "\x1b[38:2::9:8:7m",
            "\x1b[38:5:7m",
            "\x1b[0;100;97;2;3;9m",
            "\x1b[22;27;39;49m",
            "\x1b[58;5;3;1m",
            "\x1b[48;2;300;1;2m",
            "\x1b[4;24;8;28m",
        ];
        let sequence = (prop::sample::select(b"@ABCDEFGHIJKLMPSTXZabdefGH`".to_vec()), 0_u16..20, prop::option::of(0_u16..7))
            .prop_map(|(last, a, b)| {
                let b = b.map(|b| format!(";{b}")).unwrap_or_default();
                format!("\x1b[{a}{b}{}", char::from(last)).into_bytes()
            });
        prop_oneof![
            8 => prop::sample::select(words.to_vec()).prop_flat_map(bytes).prop_map(Step::Bytes),
            3 => prop::sample::select(marks.to_vec()).prop_flat_map(bytes).prop_map(Step::Bytes),
            4 => prop::sample::select(moves.to_vec()).prop_flat_map(bytes).prop_map(Step::Bytes),
            3 => prop::sample::select(modes.to_vec()).prop_flat_map(bytes).prop_map(Step::Bytes),
            3 => prop::sample::select(styles.to_vec()).prop_flat_map(bytes).prop_map(Step::Bytes),
            6 => sequence.prop_map(Step::Bytes),
            1 => (2_u16..20, 2_u16..9).prop_map(|(columns, rows)| Step::Resize(columns, rows)),
        ]
    }

    /// What can come of a hostile program, besides honest steps.
    fn hostile() -> impl Strategy<Value = Step> {
        let parts = [
            "\x1b]0;title\x07",
            "\x1b]2;x",
            "\x1b]52;c;aGk=\x1b\\",
            "\x1b]11;?\x07",
            "\x1bP+q544e\x1b\\",
            "\x1b_Gx\x1b\\",
            "\x1b^x",
            "\x1bXx",
            "\x18",
            "\x1b[6n",
            "\x1b[c",
            "\x1b[5n",
            "\x1b[99999b",
            "\x1b[65535@",
            "\x1b[65535L",
            "\x1b[65535S",
            "\x1b[65535Z",
            "\x1b[65535I",
            "\x1b[>1u",
            "\x1b[22t",
            "\x1b[23t",
            "\x1b[?2026h",
            "\x1b[?2026l",
            "\x1b[!p",
            "\x1b[?1047h",
            "\x1b[8;9999;9999t",
            "\u{202e}",
            "\u{9b}31m",
            "\u{2066}",
            "\u{e0041}",
            "\u{ad}",
            "\u{200b}",
            "\x1b[200;100r",
            "\x1b[3;3r",
            "\x1b[;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;m",
        ];
        prop_oneof![
            3 => honest(),
            2 => prop::sample::select(parts.to_vec()).prop_flat_map(bytes).prop_map(Step::Bytes),
            2 => prop::collection::vec(any::<u8>(), 1..6).prop_map(Step::Bytes),
            1 => prop::collection::vec(prop::sample::select(b"\x1b[]P;:?0123\x07\\\x9b\x9d\xc2\xe2\x80\xf0\x9fmhJ".to_vec()), 1..9).prop_map(Step::Bytes),
        ]
    }

    type Seen = (Vec<(char, Colour, Colour, Flags, Vec<char>)>, usize, Option<(usize, usize)>, bool);

    /// All of a grid that can be seen, history and cursor included.
    fn all(grid: &Grid<Cell>) -> Seen {
        let mut cells = Vec::new();
        for line in grid.topmost_line().0..=grid.bottommost_line().0 {
            for cell in &grid[Line(line)] {
                let marks = cell.zerowidth().into_iter().flatten().take(7).copied().collect();
                cells.push((cell.c, cell.fg.into(), cell.bg.into(), cell.flags, marks));
            }
        }
        let point = grid.cursor.point;
        let place = usize::try_from(point.line.0).ok().map(|line| (line, point.column.0));
        (cells, grid.history_size(), place, grid.cursor.input_needs_wrap)
    }

    fn play(screen: &mut Screen, steps: &[Step]) {
        for step in steps {
            match step {
                Step::Bytes(bytes) => drop(screen.feed(bytes)),
                Step::Resize(columns, rows) => screen.resize(*columns, *rows),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        #[test]
        fn an_honest_stream_means_what_it_means_to_alacritty(steps in prop::collection::vec(honest(), 1..60)) {
            let config = Config { scrolling_history: 10_000, ..Config::default() };
            let mut term = Term::new(config, &TermSize::new(usize::from(COLUMNS), usize::from(ROWS)), VoidListener);
            let mut processor: Processor = Processor::new();
            let mut screen = Screen::new(COLUMNS, ROWS);
            for step in &steps {
                match step {
                    // A region that ends below the screen is cut here as xterm does it, not as alacritty does.
                    Step::Bytes(bytes) if bytes.ends_with(b"r") && screen.size().1 < 5 => {}
                    // Up and down stop at margins here, and columns leave the line alone, as xterm does it.
                    Step::Bytes(bytes)
                        if screen.machine.region != (0, screen.machine.rows())
                            && bytes.starts_with(b"\x1b[")
                            && bytes.last().is_some_and(|last| b"ABeEFG`".contains(last)) => {}
                    Step::Bytes(bytes) => {
                        processor.advance(&mut term, bytes);
                        screen.feed(bytes);
                    }
                    Step::Resize(..) if screen.alternate() => {}
                    Step::Resize(columns, rows) => {
                        term.resize(TermSize::new(usize::from(*columns), usize::from(*rows)));
                        // Here we are better than it.
                        machine::touch_all(term.grid_mut());
                        screen.resize(*columns, *rows);
                    }
                }
                let (ours, theirs) = (all(screen.machine.term.grid()), all(term.grid()));
                let differs = ours.0.iter().zip(&theirs.0).enumerate().find(|(_, (ours, theirs))| ours != theirs);
                prop_assert_eq!(differs, None, "after {:?}", step);
                prop_assert_eq!((ours.1, ours.2, ours.3), (theirs.1, theirs.2, theirs.3), "after {:?}", step);
                prop_assert_eq!(screen.alternate(), term.mode().contains(TermMode::ALT_SCREEN));
                let modes = TermMode::ALT_SCREEN.complement();
                prop_assert_eq!(screen.machine.mode() & modes, *term.mode() & modes);
            }
        }

        #[test]
        fn it_makes_no_difference_how_the_stream_is_cut(steps in prop::collection::vec(hostile(), 1..40), cuts in prop::collection::vec(1_usize..9, 1..30)) {
            let mut whole = Screen::new(COLUMNS, ROWS);
            let mut cut = whole.clone();
            whole.allow_clipboard(true);
            cut.allow_clipboard(true);
            let stream: Vec<u8> = steps.iter().flat_map(|step| if let Step::Bytes(bytes) = step { bytes.clone() } else { Vec::new() }).collect();
            let mut answers = whole.feed(&stream);
            let mut others = Vec::new();
            let (mut rest, mut turn) = (&stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, after) = rest.split_at((*turn.next().unwrap()).min(rest.len()));
                others.extend(cut.feed(piece));
                rest = after;
            }
            answers.extend(whole.flush());
            others.extend(cut.flush());
            prop_assert_eq!(answers, others);
            prop_assert_eq!(all(whole.machine.term.grid()), all(cut.machine.term.grid()));
            prop_assert_eq!(whole.title(), cut.title());
            prop_assert_eq!(whole.take_clipboard(), cut.take_clipboard());
        }

        #[test]
        fn a_copy_goes_on_as_its_original(before in prop::collection::vec(hostile(), 1..30), after in prop::collection::vec(hostile(), 1..30)) {
            let mut screen = Screen::new(COLUMNS, ROWS);
            play(&mut screen, &before);
            let mut copy = screen.clone();
            for step in &after {
                play(&mut screen, std::slice::from_ref(step));
                play(&mut copy, std::slice::from_ref(step));
                prop_assert_eq!(all(screen.machine.term.grid()), all(copy.machine.term.grid()), "after {:?}", step);
                prop_assert_eq!(screen.machine.mode(), copy.machine.mode());
                prop_assert_eq!(screen.cursor(), copy.cursor());
                prop_assert_eq!(screen.text(), copy.text());
            }
        }

        #[test]
        fn nothing_harmful_is_shown_and_nothing_panics(steps in prop::collection::vec(hostile(), 1..60), query in "[a-z中]{1,2}", lines in -30_i32..30) {
            let mut screen = Screen::new(COLUMNS, ROWS);
            for step in &steps {
                play(&mut screen, std::slice::from_ref(step));
                let (columns, rows) = screen.size();
                let mut shown = String::new();
                for row in 0..rows {
                    let mut next = 0;
                    for (column, glyph) in screen.glyphs(row) {
                        prop_assert!(column >= next && column < columns);
                        next = column + if glyph.wide { 2 } else { 1 };
                        prop_assert!(glyph.text.chars().count() <= 8);
                        prop_assert_eq!(unicode_width::UnicodeWidthStr::width(glyph.text), if glyph.wide { 2 } else { 1 }, "{:?}", glyph.text);
                        prop_assert!(!glyph.text.chars().any(|c| c.is_control() || width::is_hidden(c)), "{:?}", glyph.text);
                        shown.push_str(glyph.text);
                    }
                    prop_assert!(next <= columns);
                }
                if let Some(cursor) = screen.cursor() {
                    prop_assert!(cursor.column < columns && cursor.row < rows);
                }
            }
            screen.search(&query, true);
            screen.search(&query, false);
            screen.scroll(lines);
            screen.select((0, 0), (COLUMNS - 1, ROWS - 1));
            let _ = screen.selected_text();
            screen.select_words((3, 1), (3, 1));
            let _ = screen.selected_text();
            play(&mut screen, &steps);
            let _ = screen.selected_text();
            let _ = screen.glyphs(0).count();
        }
    }

    #[test]
    fn a_second_half_is_never_without_its_first() {
        let mut screen = Screen::new(4, 2);
        screen.feed("中文\x1b[1;2Hx".as_bytes());
        let row: Vec<_> = screen.glyphs(0).map(|(column, glyph)| (column, glyph.text.to_owned(), glyph.wide)).collect();
        assert_eq!(row, [(0, " ".to_owned(), false), (1, "x".to_owned(), false), (2, "文".to_owned(), true)]);
        assert_eq!(screen.machine.term.grid()[Line(0)][Column(0)].c, ' ');
    }
}
