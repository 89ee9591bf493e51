//! A raw log, as a script writes it to a file, cut into the lines to show: it comes in portions that end anywhere.

use super::text::bar;

/// Bytes after which a line that does not end is cut: binary output has none.
const LONGEST: usize = 64 << 10;

/// One line to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub text: String,
    /// A state of a progress bar: the next one replaces it.
    pub live: bool,
    /// Bytes of the log up to and with this line.
    pub end: u64,
}

/// Cuts; keeps what has no end yet.
#[derive(Debug, Default)]
pub struct Lines {
    open: Vec<u8>,
    /// What was shown of the open line: a progress bar is shown while it moves.
    shown: String,
    /// Bytes taken so far.
    end: u64,
}

impl Lines {
    /// Takes a portion that begins `at` so many bytes, and returns the lines that it ends. A progress bar that moves is a line
    /// each time.
    pub fn take(&mut self, portion: &[u8], at: u64) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut end = at;
        for piece in portion.split_inclusive(|byte| *byte == b'\n') {
            end += piece.len() as u64;
            self.open.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.open.len() > LONGEST {
                lines.extend(self.close(end));
            }
        }
        self.end = end;
        if self.open.contains(&b'\r') {
            let (text, live) = said(&self.open);
            if live && text != self.shown {
                self.shown.clone_from(&text);
                lines.push(Line { text, live, end });
            }
        }
        lines
    }

    /// What is left when nothing more comes.
    pub fn rest(&mut self) -> Option<Line> {
        if self.open.is_empty() { None } else { self.close(self.end) }
    }

    fn close(&mut self, end: u64) -> Option<Line> {
        let (text, live) = said(&self.open);
        self.open.clear();
        let shown = std::mem::take(&mut self.shown);
        // The bar's last state may have been told already.
        (!live || text != shown).then_some(Line { text, live, end })
    }
}

fn said(bytes: &[u8]) -> (String, bool) {
    bar(String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(portions: &[&[u8]]) -> Vec<String> {
        let (mut lines, mut at, mut out) = (Lines::default(), 0, Vec::new());
        for portion in portions {
            out.extend(lines.take(portion, at));
            at += portion.len() as u64;
        }
        out.extend(lines.rest());
        out.into_iter().map(|line| if line.live { format!("~{}", line.text) } else { line.text }).collect()
    }

    #[test]
    fn portions_end_anywhere() {
        assert_eq!(texts(&[b"on", b"e\r\ntw", b"\xc3", b"\xa4\n", b"last"]), ["one", "twä", "last"]);
        assert_eq!(texts(&[b"a\n\nb\n"]), ["a", "", "b"]);
    }

    #[test]
    fn a_bar_is_told_as_it_moves() {
        assert_eq!(texts(&[b" 0%\r", b" 50%\r", b"", b"100%\n", b"done\n"]), ["~ 50%", "~100%", "done"]);
        assert_eq!(texts(&[b" 0%\r 50%", b"\r\n"]), ["~ 50%"]);
    }

    #[test]
    fn what_never_ends_is_cut() {
        let cut = texts(&[&vec![b'x'; 3 * LONGEST]]);
        assert!(cut.len() == 1 && cut[0].len() == 3 * LONGEST, "one portion is one piece");
        let (mut lines, many) = (Lines::default(), vec![b'x'; LONGEST]);
        assert!(lines.take(&many, 0).is_empty() && lines.take(b"x", LONGEST as u64).len() == 1);
    }

    proptest! {
        #[test]
        fn cut_anywhere_it_is_the_same(text in "[a-z\n]{0,200}", cuts in prop::collection::vec(0usize..200, 0..6)) {
            let bytes = text.as_bytes();
            let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            at.extend([0, bytes.len()]);
            at.sort_unstable();
            let portions: Vec<&[u8]> = at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(texts(&portions), text.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
