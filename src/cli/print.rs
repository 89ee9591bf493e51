//! What goes to stdout and stderr. All text passes through [`Safe`] here, whatever it passed before.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::model::show::Clock;
use crate::model::{Failure, FailureKind, Phase, Preview, Safe};

/// A line that replaces itself must not wrap; every terminal that matters is 80 columns wide.
const TICKER: usize = 79;
/// The last thing on the terminal is a ticker's line, without its end.
static TICKING: AtomicBool = AtomicBool::new(false);

/// A line, or several, to stdout.
///
/// # Errors
/// When stdout is gone or full.
pub fn line(text: &str) -> Result<(), Failure> {
    raw(&format!("{}\n", Safe::text(text)))
}

/// Text that is harmless already and may hold our own colours, to stdout.
///
/// # Errors
/// When stdout is gone or full.
pub fn raw(text: &str) -> Result<(), Failure> {
    wipe();
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| unwritable(&error))
}

/// The output is gone or full.
pub fn unwritable(error: &io::Error) -> Failure {
    match error.kind() {
        // `footplate ls | head`: the reader has seen enough. Not worth a message.
        io::ErrorKind::BrokenPipe => Failure::new(FailureKind::Cancelled, "", ""),
        _ => Failure::new(FailureKind::Machine, format!("cannot write the output: {error}"), "Free some room where it goes."),
    }
}

/// Progress: a line to stderr. If that is gone there is nobody to tell.
pub fn progress(text: &str) {
    wipe();
    let _ = writeln!(io::stderr().lock(), "{}", Safe::text(text));
}

/// Progress that replaces itself on a terminal, and goes when anything else is printed; elsewhere a line.
pub fn ticker(text: &str) {
    let mut err = io::stderr().lock();
    let _ = if has_ticker() {
        TICKING.store(true, Ordering::Relaxed);
        let text: String = Safe::line(text).as_str().chars().take(TICKER).collect();
        write!(err, "\r\x1b[K{text}").and_then(|()| err.flush())
    } else {
        writeln!(err, "{}", Safe::line(text))
    };
}

/// Whether stderr is a terminal on which a line can replace itself.
#[must_use]
pub fn has_ticker() -> bool {
    io::stderr().is_terminal() && !is_dumb()
}

/// Takes the ticker's line away before something else is printed.
fn wipe() {
    if TICKING.swap(false, Ordering::Relaxed) {
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
    }
}

/// What a preview tells, to stderr.
pub fn facts(preview: &Preview) {
    for (name, value) in &preview.facts {
        progress(&format!("  {name}: {value}"));
    }
}

/// A failure to stderr: what, and below it the remedy.
pub fn failure(failure: &Failure) {
    progress(&format!("footplate: {failure}"));
}

/// Whether this is no failure at all: the reader of our output closed it, as `head` does.
#[must_use]
pub fn is_enough(failure: &Failure) -> bool {
    failure.kind == FailureKind::Cancelled && failure.what.is_empty()
}

/// Whether stdout takes colours: a terminal that can, and a user who has not said no (<https://no-color.org>).
#[must_use]
pub fn colours() -> bool {
    io::stdout().is_terminal() && !is_dumb() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

/// Now, in the user's time zone.
#[must_use]
pub fn clock() -> Clock {
    Clock { now: jiff::Timestamp::now(), zone: jiff::tz::TimeZone::system() }
}

/// Text in the colour of a phase, if colours are wanted.
#[must_use]
pub fn paint(text: &str, phase: Phase, colours: bool) -> String {
    let code = match phase {
        Phase::Active => "32",
        Phase::Waiting | Phase::Leaving => "33",
        Phase::Failed => "31",
        Phase::Done => "36",
        Phase::Stopped | Phase::Unknown => "35",
        Phase::Still => return text.to_owned(),
    };
    if colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// Rows under a head, columns aligned: numbers right, the rest left. `states` gives each row's phase and the column that
/// shows it.
///
/// # Errors
/// When stdout is gone or full.
pub fn table(head: &[Safe], right: &[bool], rows: &[Vec<Safe>], states: &[Option<(usize, Phase)>]) -> Result<(), Failure> {
    let wide = |text: &str| unicode_width::UnicodeWidthStr::width(text);
    let widths: Vec<usize> = (0..head.len())
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .chain([&head[column]])
                .map(|text| wide(text.as_str()))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let colours = colours();
    let mut text = String::new();
    for (number, row) in std::iter::once(head).chain(rows.iter().map(Vec::as_slice)).enumerate() {
        let state = number.checked_sub(1).and_then(|row| states.get(row).copied().flatten());
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let gap = " ".repeat(widths[column].saturating_sub(wide(cell.as_str())));
            let shown = match state {
                Some((place, phase)) if place == column => paint(cell.as_str(), phase, colours),
                _ => cell.as_str().to_owned(),
            };
            let (before, after) =
                if right.get(column).copied().unwrap_or(false) { (gap, String::new()) } else { (String::new(), gap) };
            line.extend([before.as_str(), &shown, &after, "  "]);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    raw(&text)
}
