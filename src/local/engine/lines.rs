//! Cuts a stream of bytes into log messages, with bounded memory.

use std::time::{Duration, Instant};

/// The largest message, in bytes. assumed: the log driver cuts at CloudWatch's limit of 256 KiB less 26 bytes per event.
pub const LONGEST: usize = 256 * 1024 - 26;
/// How long text without a line end is held back. assumed: AWS's driver waits too, but does not say how long.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// A message, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub text: String,
    /// Whether the line ended here.
    pub ends_line: bool,
}

/// The unfinished line of one stream.
#[derive(Default)]
pub struct Lines {
    held: Vec<u8>,
    since: Option<Instant>,
}

impl Lines {
    /// Takes bytes in and gives the messages that are complete now. Lines end with `\n`; `\r` stays in the message, because
    /// progress bars are told apart by it.
    pub fn push(&mut self, bytes: &[u8], now: Instant, mut emit: impl FnMut(Piece)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends_line) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            self.take(text, &mut emit);
            if ends_line {
                emit(Piece { text: decode(&self.held), ends_line: true });
                self.held.clear();
                self.since = None;
            } else if !self.held.is_empty() {
                self.since = self.since.or(Some(now));
            }
        }
    }

    /// When the held text should go out although its line has not ended.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE)
    }

    /// Gives out what is held; at the end of the stream, and when it is due.
    pub fn flush(&mut self, ends_line: bool, mut emit: impl FnMut(Piece)) {
        let keep = if ends_line { 0 } else { unfinished_character(&self.held) };
        let cut = self.held.len() - keep;
        if cut > 0 || ends_line {
            emit(Piece { text: decode(&self.held[..cut]), ends_line });
        }
        self.held.drain(..cut);
        self.since = None;
    }

    fn take(&mut self, mut text: &[u8], emit: &mut impl FnMut(Piece)) {
        while self.held.len() + text.len() > LONGEST {
            let (head, tail) = text.split_at(LONGEST - self.held.len());
            self.held.extend_from_slice(head);
            let cut = self.held.len() - unfinished_character(&self.held);
            emit(Piece { text: decode(&self.held[..cut]), ends_line: false });
            self.held.drain(..cut);
            text = tail;
        }
        self.held.extend_from_slice(text);
    }
}

/// Invalid UTF-8 becomes the replacement character, as the service does before it stores an event.
fn decode(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How many bytes at the end begin a character that is not complete yet: 0 to 3.
fn unfinished_character(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let byte = bytes[bytes.len() - back];
        let needs = match byte {
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF7 => 4,
            0x80..=0xBF => continue,
            _ => return 0,
        };
        return if needs > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(parts: &[&[u8]]) -> Vec<Piece> {
        let mut lines = Lines::default();
        let mut pieces = Vec::new();
        for part in parts {
            lines.push(part, Instant::now(), |piece| pieces.push(piece));
        }
        lines.flush(true, |piece| pieces.push(piece));
        pieces
    }

    fn texts(parts: &[&[u8]]) -> Vec<String> {
        cut(parts).into_iter().map(|piece| piece.text).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn progress_bars_stay_one_message() {
        assert_eq!(texts(&[b"10%\r20", b"%\r\nend"]), ["10%\r20%\r", "end"]);
    }

    #[test]
    fn invalid_bytes_are_replaced_and_the_rest_kept() {
        assert_eq!(texts(&[b"a\xff\xfeb\n"]), ["a\u{fffd}\u{fffd}b"]);
    }

    #[test]
    fn a_character_is_not_torn_at_the_limit() {
        let text = "ä".repeat(LONGEST);
        let pieces = cut(&[text.as_bytes()]);
        assert!(pieces.iter().all(|piece| piece.text.len() <= LONGEST && !piece.text.contains('\u{fffd}')));
        assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), text);
    }

    #[test]
    fn held_text_is_due_a_second_after_it_began() {
        let (mut lines, begin) = (Lines::default(), Instant::now());
        lines.push(b"done\n", begin, |_| {});
        assert_eq!(lines.due(), None);
        lines.push(b"half", begin, |_| {});
        lines.push(b" more", begin + PATIENCE / 2, |_| {});
        assert_eq!(lines.due(), Some(begin + PATIENCE));
        let mut out = Vec::new();
        lines.flush(false, |piece| out.push(piece));
        assert_eq!(out, [Piece { text: "half more".to_owned(), ends_line: false }]);
        assert_eq!(lines.due(), None);
    }

    proptest! {
        #[test]
        fn where_the_reads_are_cut_makes_no_difference(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), at in 0usize..200) {
            let at = at.min(bytes.len());
            prop_assert_eq!(cut(&[&bytes]), cut(&[&bytes[..at], &bytes[at..]]));
        }
    }
}
