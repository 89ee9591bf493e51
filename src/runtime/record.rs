//! Recording and replay: every event with its time, one JSON object a line. The core is pure, so the same events give the
//! same screens.

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
use crate::model::{Failure, FailureKind};

/// One line of a recording.
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
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let file = crate::config::dirs::private_file().create_new(true).write(true).open(path);
        file.map(|file| Self(BufWriter::new(file))).map_err(|error| {
            Failure::new(
                FailureKind::Machine,
                format!("the recording {}: {error}", path.display()),
                "name a new file in a folder you may write to",
            )
        })
    }

    /// Adds an event, and sees to it that it is in the file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&mut self, at: Timestamp, event: &Event) -> Result<(), Failure> {
        let line = Line { at, event: event.clone() };
        let done = serde_json::to_writer(&mut self.0, &line)
            .map_err(Into::into)
            .and_then(|()| self.0.write_all(b"\n"))
            .and_then(|()| self.0.flush());
        done.map_err(|error| machine("the recording", &error))
    }
}

/// Reads a recording.
///
/// # Errors
/// Names the line that is not an event.
pub fn read(path: &Path) -> Result<Vec<Line>, Failure> {
    let file = File::open(path).map_err(|error| machine(&format!("the recording {}", path.display()), &error))?;
    let mut lines = Vec::new();
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|error| machine("the recording", &error))?;
        let line = serde_json::from_str(&line).map_err(|error| {
            Failure::new(
                FailureKind::Invalid,
                format!("line {} of the recording is not an event: {error}", number + 1),
                "record it again with this version",
            )
        })?;
        lines.push(line);
    }
    Ok(lines)
}

/// Shows a recording as it happened, pauses cut to a second; q leaves. Nothing is asked of AWS.
///
/// # Errors
/// When the recording cannot be read, or there is no terminal.
pub async fn replay(path: &Path, setup: Setup, theme: &Theme) -> Result<(), Failure> {
    let lines = read(path)?;
    let (keys_in, mut keys) = mpsc::unbounded_channel();
    let mut tty = Tty::enter()?;
    input::listen(keys_in);
    let start = lines.first().map_or_else(Timestamp::now, |line| line.at);
    let mut app = App::new(setup, tty.size(), start);
    let mut lines = lines.into_iter().peekable();
    let mut now = start;
    loop {
        tty.draw(&app, theme)?;
        let pause = lines
            .peek()
            .map(|next| Duration::try_from(next.at.duration_since(now)).unwrap_or_default().min(Duration::from_secs(1)));
        tokio::select! {
            key = keys.recv() => match key {
                Some(Event::Key(key)) if matches!(key.code, Code::Char('q' | 'c') | Code::Esc) => return Ok(()),
                Some(Event::Resize(width, height)) => {
                    tty.resize(width, height)?;
                    app.update(now, Event::Resize(width, height));
                }
                None | Some(Event::Ended) => return Ok(()),
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
