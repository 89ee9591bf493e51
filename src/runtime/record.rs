//! Recording and replay: where it was recorded, then every event with its time, one JSON object a line. The core is pure,
//! so the same events give the same screens.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::tty::Tty;
use super::{input, machine};
use crate::app::{App, Event, Setup};
use crate::config::key::Code;
use crate::config::theme::Theme;
use crate::model::{Failure, FailureKind, Outcome, Safe};

/// The first line of a recording: what a screen shows besides its events.
#[derive(Debug, Serialize, Deserialize)]
pub struct Head {
    /// The version that wrote it.
    pub footplate: String,
    pub local: bool,
    pub owns_region: bool,
    pub region: Safe,
    pub read_only: bool,
}

impl Head {
    fn of(setup: &Setup) -> Self {
        Self {
            footplate: env!("CARGO_PKG_VERSION").to_owned(),
            local: setup.local,
            owns_region: setup.owns_region,
            region: setup.region.clone(),
            read_only: setup.read_only,
        }
    }

    /// The viewer's setup, at the recorded place.
    fn apply(self, setup: Setup) -> Setup {
        let Self { local, owns_region, region, read_only, footplate: _ } = self;
        Setup { local, owns_region, region, read_only, ..setup }
    }
}

/// Every other line of a recording.
#[derive(Debug, Serialize, Deserialize)]
pub struct Line {
    pub at: Timestamp,
    pub event: Event,
}

/// Writes a recording.
pub struct Recorder(BufWriter<File>);

impl Recorder {
    /// Starts a new recording.
    ///
    /// # Errors
    /// When the file cannot be made; an existing one is not overwritten.
    pub fn create(path: &Path, setup: &Setup) -> Result<Self, Failure> {
        let file = crate::config::dirs::private_file().create_new(true).write(true).open(path).map_err(|error| {
            Failure::new(
                FailureKind::Machine,
                format!("the recording {}: {error}", path.display()),
                "name a new file in a folder you may write to",
            )
        })?;
        let mut recorder = Self(BufWriter::new(file));
        recorder.line(&Head::of(setup))?;
        Ok(recorder)
    }

    /// Adds an event, and sees to it that it is in the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&mut self, at: Timestamp, event: &Event) -> Result<(), Failure> {
        self.line(&Line { at, event: without_secrets(event.clone()) })
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), Failure> {
        let done = serde_json::to_writer(&mut self.0, line)
            .map_err(Into::into)
            .and_then(|()| self.0.write_all(b"\n"))
            .and_then(|()| self.0.flush());
        done.map_err(|error| machine("the recording", &error))
    }
}

/// An address that lets in whoever has it does not go into a file that may be passed on.
fn without_secrets(mut event: Event) -> Event {
    if let Event::Ran { result: Ok(Outcome::Link { url, .. }), .. } = &mut event {
        *url = "https://not.recorded/".into();
    }
    event
}

/// Reads a recording.
///
/// # Errors
/// Names the line that is not what it should be.
pub fn read(path: &Path) -> Result<(Head, Vec<Line>), Failure> {
    let file = File::open(path).map_err(|error| {
        let what = format!("the recording {}: {error}", path.display());
        Failure::new(FailureKind::Machine, what, "make one with --record FILE")
    })?;
    let mut lines = BufReader::new(file).lines().enumerate().map(|(at, line)| (at + 1, line));
    let head = lines.next().map(|(number, line)| parse(number, line, "the start of a recording"));
    let head = head.unwrap_or_else(|| Err(wrong(1, "the start of a recording", &"it is empty")))?;
    let lines = lines.map(|(number, line)| parse(number, line, "an event")).collect::<Result<_, _>>()?;
    Ok((head, lines))
}

fn parse<T: for<'a> Deserialize<'a>>(number: usize, line: std::io::Result<String>, what: &str) -> Result<T, Failure> {
    let line = line.map_err(|error| wrong(number, what, &error))?;
    serde_json::from_str(&line).map_err(|error| wrong(number, what, &error))
}

fn wrong(number: usize, what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        FailureKind::Invalid,
        format!("line {number} of the recording is not {what}: {error}"),
        "record it again with this version: footplate --record FILE",
    )
}

/// Shows a recording as it happened, pauses cut to a second; q leaves. Nothing is asked of AWS. Returns the signal that
/// ended it, if one did.
///
/// # Errors
/// When the recording cannot be read, or there is no terminal.
pub async fn replay(path: &Path, setup: Setup, theme: &Theme) -> Result<Option<i32>, Failure> {
    let (head, lines) = read(path)?;
    let setup = head.apply(setup);
    let (keys_in, mut keys) = mpsc::unbounded_channel();
    let mut tty = Tty::enter()?;
    let asked = input::listen(&keys_in);
    // After that, so that no change of the window's size is missed.
    let size = tty.size();
    tty.resize(size.0, size.1)?;
    let start = lines.first().map_or_else(Timestamp::now, |line| line.at);
    let mut app = App::new(setup, size, start);
    let mut lines = lines.into_iter().peekable();
    let mut now = start;
    loop {
        tty.draw(&app, theme)?;
        let pause = lines
            .peek()
            .map(|next| Duration::try_from(next.at.duration_since(now)).unwrap_or_default().min(Duration::from_secs(1)));
        tokio::select! {
            key = keys.recv() => match key {
                Some(Event::Key(key)) if matches!(key.code, Code::Char('q' | 'c') | Code::Esc) => return Ok(None),
                Some(Event::Resize(width, height)) => {
                    tty.resize(width, height)?;
                    app.update(now, Event::Resize(width, height));
                }
                None | Some(Event::Ended) => return Ok(asked.signal()),
                Some(_) => {}
            },
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                if let Some(line) = lines.next() {
                    now = line.at;
                    // The window's size is the viewer's, not the recorded one.
                    if !matches!(line.event, Event::Resize(..)) {
                        app.update(now, line.event);
                    }
                }
            }
        }
    }
}
