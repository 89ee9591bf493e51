//! Parse throughput of `term::Screen` beside alacritty's own parser and terminal, in turns, on payloads like those of vtebench
//! (<https://github.com/alacritty/vtebench>). Prints a line per payload: name, MiB/s of the screen, MiB/s of alacritty, and the
//! ratio of the median times. Time is what the thread worked, where the kernel says it. `cargo bench --bench terminal`; `-- --quick` for fewer and shorter turns.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use alacritty_terminal::event::VoidListener;
use alacritty_terminal::term::test::TermSize;
use alacritty_terminal::term::{Config, Term};
use alacritty_terminal::vte::ansi::Processor;
use footplate::term::Screen;

const COLUMNS: u16 = 200;
const ROWS: u16 = 50;
/// As much as an SSH channel brings at once.
const PIECE: usize = 32 * 1024;

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let (size, turns) = if quick { (2 << 20, 3) } else { (16 << 20, 9) };
    for (name, payload) in payloads() {
        if wanted.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let stream = payload.repeat((size / payload.len()).max(1));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..turns {
            ours.push(screen(&stream));
            theirs.push(alacritty(&stream));
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let speed = |time: Duration| stream.len() as f64 / f64::from(1 << 20) / time.as_secs_f64();
        println!("{name}\t{:.0}\t{:.0}\t{:.2}", speed(ours), speed(theirs), theirs.as_secs_f64() / ours.as_secs_f64());
    }
}

fn screen(stream: &[u8]) -> Duration {
    let mut screen = Screen::new(COLUMNS, ROWS);
    timed(|| stream.chunks(PIECE).for_each(|piece| drop(std::hint::black_box(screen.feed(piece)))))
}

fn alacritty(stream: &[u8]) -> Duration {
    let config = Config { scrolling_history: 10_000, ..Config::default() };
    let mut term = Term::new(config, &TermSize::new(usize::from(COLUMNS), usize::from(ROWS)), VoidListener);
    let mut processor: Processor = Processor::new();
    timed(|| stream.chunks(PIECE).for_each(|piece| processor.advance(std::hint::black_box(&mut term), piece)))
}

fn timed(work: impl FnOnce()) -> Duration {
    let (begun, before) = (Instant::now(), worked());
    work();
    match (before, worked()) {
        (Some(before), Some(after)) => after.saturating_sub(before),
        _ => begun.elapsed(),
    }
}

/// How long this thread has run, see proc_pid_schedstat(5).
fn worked() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A simple generator: the same payloads in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn letter(&mut self) -> char {
        char::from(b'!' + u8::try_from(self.below(94)).unwrap_or(0))
    }

    fn word(&mut self) -> String {
        (0..3 + self.below(9)).map(|_| char::from(b'a' + u8::try_from(self.below(26)).unwrap_or(0))).collect()
    }
}

fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![("log", log(false)), ("colour log", log(true)), ("unicode", unicode()), ("chinese", chinese())];
    all.extend([("dense cells", dense()), ("medium cells", medium()), ("light cells", light()), ("cursor motion", motion())]);
    all.push(("alternate screen, random writes", random()));
    all.extend([("scrolling", scrolling("", "y\r\n")), ("scrolling, full lines", scrolling("", &"y".repeat(200)))]);
    all.extend([
        ("scrolling, bottom region", scrolling("\x1b[1;49r\x1b[49H", "y\r\n")),
        ("scrolling, top region", scrolling("\x1b[2;50r\x1b[50H", "y\r\n")),
    ]);
    all.push(("line drawing", drawing()));
    all
}

fn log(coloured: bool) -> Vec<u8> {
    let (mut out, mut dice) = (String::new(), Dice(1));
    for step in 0..4000 {
        let (loss, rate) = (dice.below(100_000), 900 + dice.below(100));
        let line = if coloured {
            format!(
                "\x1b[2m12:{:02}:{:02}\x1b[0m \x1b[1;32mINFO\x1b[0m epoch \x1b[36m{:03}\x1b[0m step {step:06} loss=\x1b[33m2.{loss:05}\x1b[0m samples/s=\x1b[38;5;208m{rate}\x1b[0m",
                step / 60 % 60,
                step % 60,
                step / 100
            )
        } else {
            let words: Vec<String> = (0..8).map(|_| dice.word()).collect();
            format!(
                "epoch {:03} step {step:06} loss=2.{loss:05} accuracy=0.{loss:05} lr=0.0010 samples/s={rate} {}",
                step / 100,
                words.join(" ")
            )
        };
        let _ = write!(out, "{line}\r\n");
    }
    out.into_bytes()
}

fn unicode() -> Vec<u8> {
    let alphabet: Vec<char> = "äöüßéèñçåøπλДжЯющ→←↑↓∀∃∈≤≥─│┌┐└┘█▓▒░●○★中文字日本語한국어😀🚀①②Ωμ½«»".chars().collect();
    let (mut out, mut dice) = (String::new(), Dice(2));
    for place in 1..200_000_u32 {
        out.push(alphabet[usize::try_from(dice.below(alphabet.len() as u64)).unwrap_or(0)]);
        if place % 90 == 0 {
            out.push_str("\r\n");
        }
    }
    out.into_bytes()
}

fn chinese() -> Vec<u8> {
    let (mut out, mut dice) = (String::new(), Dice(3));
    for place in 1..200_000_u32 {
        out.extend(char::from_u32(0x4e00 + u32::try_from(dice.below(5000)).unwrap_or(0)));
        if place % 80 == 0 {
            out.push_str("\r\n");
        }
    }
    out.into_bytes()
}

/// Every cell with colours and attributes of its own.
fn dense() -> Vec<u8> {
    let (mut out, mut dice) = (String::new(), Dice(4));
    for _ in 0..8 {
        out.push_str("\x1b[H");
        for _ in 0..u32::from(COLUMNS) * u32::from(ROWS) {
            let _ = write!(out, "\x1b[38;5;{};48;5;{};1;3;4m{}", dice.below(256), dice.below(256), dice.letter());
        }
    }
    out.into_bytes()
}

/// Every word with a colour of its own.
fn medium() -> Vec<u8> {
    let (mut out, mut dice) = (String::from("\x1b[H"), Dice(5));
    for _ in 0..60_000 {
        let _ = write!(out, "\x1b[38;2;{};{};{}m{} ", dice.below(256), dice.below(256), dice.below(256), dice.word());
    }
    out.into_bytes()
}

/// Whole screens without colours.
fn light() -> Vec<u8> {
    let (mut out, mut dice) = (String::new(), Dice(6));
    for _ in 0..40 {
        out.push_str("\x1b[H");
        out.extend((0..u32::from(COLUMNS) * u32::from(ROWS)).map(|_| dice.letter()));
    }
    out.into_bytes()
}

fn motion() -> Vec<u8> {
    let (mut out, mut dice) = (String::new(), Dice(7));
    for _ in 0..100_000 {
        let _ = write!(out, "\x1b[{};{}H{}", 1 + dice.below(50), 1 + dice.below(200), dice.letter());
    }
    out.into_bytes()
}

fn random() -> Vec<u8> {
    let (mut out, mut dice) = (String::from("\x1b[?1049h"), Dice(8));
    for _ in 0..40_000 {
        let _ = write!(out, "\x1b[{};{}H\x1b[{}m{}", 1 + dice.below(50), 1 + dice.below(190), 30 + dice.below(8), dice.word());
    }
    out.into_bytes()
}

fn scrolling(before: &str, line: &str) -> Vec<u8> {
    format!("{before}{}", line.repeat(200_000 / line.len())).into_bytes()
}

/// The frames of menus, with the character set of line drawing.
fn drawing() -> Vec<u8> {
    format!("\x1b(0l{}k\x1b(B\r\n\x1b(0x\x1b(B{}\x1b(0x\x1b(B\r\n", "q".repeat(76), "text ".repeat(15)).repeat(500).into_bytes()
}
