//! The loop: the only place that waits, spawns or reads the clock. Events go into the pure core, effects come out and are
//! carried out by [`hands`]; a frame is drawn when something that can be seen has changed, and never otherwise.

mod cache;
mod hands;
mod held;
mod input;
pub mod raw;
pub mod record;
mod relay;
pub mod remote;
pub mod sheet;
mod shell;
mod tty;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::app::shell::talk::{News, Raw};
use crate::app::{App, Effect, Event, Setup};
use crate::aws::Aws;
use crate::config::theme::Theme;
use crate::model::{Failure, FailureKind};
use hands::Hands;
pub use input::die_by as end_by;
use record::Recorder;
use tty::Tty;

/// Frames that nobody's key asked for come no closer than this.
const FRAME: Duration = Duration::from_millis(16);
/// The same while so much comes in that nobody reads it.
const FLOODED: Duration = Duration::from_millis(50);
/// Bytes for terminals since the last frame that are such a flood: some ten screens.
const FLOOD: usize = 64 * 1024;
/// Events handled before the screen gets its turn.
const BURST: usize = 64;

/// All that the cockpit starts with.
pub struct Cockpit {
    pub aws: Arc<Aws>,
    pub setup: Setup,
    pub theme: Theme,
    /// Folder of footplate.toml; read anew whenever a form opens.
    pub project: PathBuf,
    /// Folder for the rows to start with next time, one for each account and region.
    pub cache: PathBuf,
    /// Every event goes to this file.
    pub record: Option<PathBuf>,
}

/// Runs the cockpit until the user leaves it. The terminal is as before on every way out. Returns the signal that ended it,
/// for the caller to end by ([`end_by`]) once all is tidied up; `None` when the user left.
///
/// # Errors
/// When there is no terminal, or the recording cannot be written.
pub async fn cockpit(start: Cockpit) -> Result<Option<i32>, Failure> {
    let (keys_in, mut keys) = mpsc::unbounded_channel();
    let (events_in, mut events) = mpsc::unbounded_channel();
    let (lines_in, mut lines) = mpsc::channel(4);
    // What remote terminals show; full, the other end waits.
    let (heard_in, mut heard) = mpsc::channel(2);
    let mut recorder = start.record.as_deref().map(|path| Recorder::create(path, &start.setup)).transpose()?;
    let mut tty = Tty::enter()?;
    let mut app = App::new(start.setup, tty.size(), Timestamp::now());
    for (resource, items, at) in cache::load(&start.cache, &app) {
        let (now, event) = (Timestamp::now(), Event::Remembered { resource, items, at });
        if let Some(recorder) = &mut recorder {
            recorder.push(now, &event)?;
        }
        app.update(now, event);
    }
    tty.draw(&app, &start.theme)?;
    let mut drawn = app.revision;
    let mut last_frame = Instant::now();
    // A key was pressed whose answer has not been drawn: it does not wait for the pace of frames.
    let mut owed = false;
    // A key went to a remote terminal: so for what it answers.
    let mut typed = false;
    // Bytes for terminals since the last frame.
    let mut flood = 0;

    let asked = input::listen(&keys_in);
    // The window may have changed before anybody listened.
    let (width, height) = tty.size();
    if (width, height) != app.size {
        let _ = keys_in.send(Event::Resize(width, height));
    }
    let mut hands = Hands::new(start.aws, start.project, start.cache, events_in, lines_in, heard_in);
    let mut todo = app.start();
    loop {
        for effect in todo.drain(..) {
            match effect {
                Effect::Quit => {
                    drop(tty);
                    hands.leave(&app).await;
                    return Ok(asked.signal());
                }
                // Where there is no terminal to come back to, it is lost.
                Effect::Suspend if tty.suspend().is_err() => asked.lose(&keys_in),
                Effect::Suspend => {}
                Effect::Copy(text) => tty.copy(&text),
                other => hands.carry_out(other),
            }
        }
        tty.listen_to_mouse(app.wants_mouse());
        let dirty = app.revision != drawn;
        owed &= dirty || typed;
        let due = last_frame + if flood > FLOOD { FLOODED } else { FRAME };
        if dirty && tty.is_ready() && (owed || Instant::now() >= due) {
            drawn = app.revision;
            owed = false;
            typed = false;
            flood = 0;
            last_frame = Instant::now();
            tty.draw(&app, &start.theme)?;
            continue;
        }
        let mut batch = Vec::new();
        tokio::select! {
            biased;
            key = keys.recv() => {
                owed = true;
                batch.push(key.unwrap_or(Event::Ended));
            }
            () = tty.ready(), if dirty && !tty.is_ready() => {}
            () = tokio::time::sleep_until(due.into()), if dirty && tty.is_ready() => {}
            Some(event) = events.recv() => batch.push(event),
            Some(event) = lines.recv() => batch.push(event),
            Some(event) = heard.recv() => batch.push(event),
        }
        while batch.len() < BURST
            && let Ok(event) = events.try_recv()
        {
            batch.push(event);
        }
        for event in batch {
            if event == Event::Resumed {
                if tty.continued().is_err() {
                    asked.lose(&keys_in);
                    continue;
                }
                let (width, height) = tty.size();
                todo.extend(app.update(Timestamp::now(), Event::Resize(width, height)));
            }
            if let Event::Resize(width, height) = event {
                tty.resize(width, height)?;
            }
            if let Event::Shell { news: News::Bytes(Raw(bytes)), .. } = &event {
                flood += bytes.len();
            }
            let now = Timestamp::now();
            let typing = app.is_typing(&event);
            typed |= typing;
            // What is typed into a terminal may be a password; what the terminal answers is all that shows.
            if let Some(recorder) = recorder.as_mut().filter(|_| !typing) {
                recorder.push(now, &event)?;
            }
            todo.extend(app.update(now, event));
        }
    }
}

/// A failure of this machine's terminal or files.
fn machine(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(FailureKind::Machine, format!("{what}: {error}"), "")
}
