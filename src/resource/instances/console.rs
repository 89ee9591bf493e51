//! The console output as an instance's log: `GetConsoleOutput`, asked again and again, of which only what is new is told.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use std::sync::Arc;

use super::look;
use crate::aws::{Aws, Mode, fault, time};
use crate::model::{Failure, FailureKind, LogBatch, LogLine, Safe, TailNote};

/// How much of the end of what was told is looked for in what comes next: the service hands out the last 64 KiB only.
const OVERLAP: usize = 2048;

/// All that the console has said, as far as the service still has it, and when.
///
/// # Errors
/// As the service says.
pub(super) async fn output(aws: &Aws, id: &str) -> Result<(String, Timestamp), Failure> {
    // The latest, and not that of the last change of state; only types of the Nitro system have it.
    let newest = aws.ec2.get_console_output().instance_id(id).latest(true).send().await;
    let answer = match newest {
        Ok(answer) => answer,
        Err(error) => match fault::tell("reading the console", &error) {
            failure if failure.kind == FailureKind::Invalid => {
                let older = aws.ec2.get_console_output().instance_id(id).send().await;
                older.map_err(|error| fault::tell("reading the console", &error))?
            }
            failure => return Err(failure),
        },
    };
    // Encoded once (EC2 API Reference, GetConsoleOutput); a line break in between would be no mistake of ours.
    let encoded: String = answer.output().unwrap_or_default().split_whitespace().collect();
    let bytes = STANDARD.decode(encoded).map_err(|error| {
        Failure::new(FailureKind::Service, format!("reading the console: the answer is not in base64 ({error})"), "")
    })?;
    let at = answer.timestamp().map_or_else(Timestamp::now, time::ours);
    Ok((String::from_utf8_lossy(&bytes).into_owned(), at))
}

/// Tells the console's lines as they come, until `ended` and all is told, it turns out to be impossible, or the receiver is
/// gone. The instance is named as anywhere else, by its id, name or token.
pub(super) async fn follow(aws: Arc<Aws>, id: String, mut ended: watch::Receiver<bool>, out: mpsc::Sender<LogBatch>) {
    let period = match aws.mode() {
        Mode::Local => Duration::from_millis(500),
        Mode::Aws => Duration::from_secs(15),
    };
    let mut told = Told::default();
    let mut hosts = vec![Safe::line(&id)];
    let mut known = id.starts_with("i-").then(|| id.clone());
    loop {
        // Known before looking: what is said until then is told, too.
        let last = *ended.borrow_and_update();
        let (lines, note) = match read(&aws, &id, &mut known).await {
            Ok((text, at)) => {
                let lines = told.take(&text, at, last);
                let note = if told.is_empty() { TailNote::Waiting } else { TailNote::Following };
                (lines, note)
            }
            Err(failure) if failure.kind == FailureKind::Throttled => {
                (Vec::new(), TailNote::Throttled { retry_seconds: period.as_secs_f64() })
            }
            Err(failure) => (Vec::new(), TailNote::Failed(failure)),
        };
        let fails = matches!(note, TailNote::Failed(_));
        // A mistake does not become right by itself.
        let for_good = matches!(&note, TailNote::Failed(failure) if failure.kind == FailureKind::Invalid);
        let note = if last && !fails { TailNote::Ended } else { note };
        let batch = LogBatch { hosts: std::mem::take(&mut hosts), lines, points: Vec::new(), note: Some(note) };
        if out.send(batch).await.is_err() || last || for_good {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(period) => {}
            changed = ended.changed() => if changed.is_err() {
                // Nobody will say any more that it has ended.
                tokio::time::sleep(period).await;
            },
            () = out.closed() => return,
        }
    }
}

/// The console of what is named; its id is looked up once.
async fn read(aws: &Aws, named: &str, known: &mut Option<String>) -> Result<(String, Timestamp), Failure> {
    let id = match known.take() {
        Some(id) => id,
        None => look::id(&look::one(aws, named).await?).to_owned(),
    };
    output(aws, known.insert(id)).await
}

/// What has been told of a text that grows at its end and is cut at its beginning.
#[derive(Default)]
struct Told {
    /// The end of it, whole lines.
    end: String,
}

impl Told {
    fn is_empty(&self) -> bool {
        self.end.is_empty()
    }

    /// The new lines of the text; the last one only when it is whole, or when nothing will come any more.
    fn take(&mut self, text: &str, at: Timestamp, last: bool) -> Vec<LogLine> {
        let text = text.replace("\r\n", "\n");
        let whole = if last { text.len() } else { text.rfind('\n').map_or(0, |end| end + 1) };
        let text = &text[..whole];
        let new = match text.rfind(&self.end) {
            Some(place) if !self.end.is_empty() => &text[place + self.end.len()..],
            // Nothing of it is left: all is new, or the machine has started again.
            _ => text,
        };
        if !new.is_empty() {
            let mut cut = text.len().saturating_sub(OVERLAP);
            while !text.is_char_boundary(cut) {
                cut += 1;
            }
            text[cut..].clone_into(&mut self.end);
        }
        // What a terminal would show: the last of what overwrote itself.
        let shown = |line: &str| Safe::line(line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default());
        new.lines().map(|line| LogLine { at, host: 0, text: shown(line), live: false }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(told: &mut Told, text: &str, last: bool) -> Vec<String> {
        told.take(text, Timestamp::UNIX_EPOCH, last).iter().map(|line| line.text.to_string()).collect()
    }

    #[test]
    fn only_what_is_new_is_told_and_whole_lines_of_it() {
        let mut told = Told::default();
        assert_eq!(lines(&mut told, "one\r\ntwo\nthr", false), ["one", "two"]);
        assert_eq!(lines(&mut told, "one\r\ntwo\nthree\x1b[2J\n", false), ["three␛[2J"]);
        assert_eq!(lines(&mut told, "one\r\ntwo\nthree\x1b[2J\n", false), Vec::<String>::new());
        assert_eq!(
            lines(&mut told, "two\nthree\x1b[2J\nfour", true),
            ["two", "three␛[2J", "four"],
            "cut before what was told: better twice than never"
        );
    }

    #[test]
    fn a_text_that_was_cut_at_its_beginning_goes_on_where_it_was() {
        let mut told = Told::default();
        let many: Vec<String> = (0..2000).map(|number| format!("line {number}\n")).collect();
        let many = many.concat();
        assert_eq!(lines(&mut told, &many, false).len(), 2000);
        let more = format!("{}new\n", &many[many.len() / 2..]);
        assert_eq!(lines(&mut told, &more, false), ["new"]);
        assert_eq!(lines(&mut told, "Linux version 6\n", false), ["Linux version 6"], "another boot");
    }
}
