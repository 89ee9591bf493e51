//! A relay on the machine: it runs tmux's control mode there and brings, beside what tmux says, what the program in a terminal
//! writes, as it is. tmux 3.2 and 3.3 put each byte of their own `%output` through printf, which takes longer than all the rest of
//! the way (measured: 2.2 s of CPU for 30 MB of log, where the relay and tmux take 1.1 s). It is a program for Python, which
//! machines for training have; without it, it goes as tmux says it.
//!
//! Its text says how it works, and how memory stays bounded there while the line takes nothing.

use super::held::target;

/// The program.
const PROGRAM: &str = include_str!("relay.py");
/// What it calls the pipe into which the program's bytes go; it puts its path there.
const PIPE: &str = "@RAW@";
/// The option of a terminal that keeps the path.
const OPTION: &str = "@footplate-raw";

/// The command line that runs it, but for that of tmux. When tmux has said the word, the program's bytes may follow.
pub fn program(word: &str) -> String {
    format!("python3 -ISc '{}' {word}", PROGRAM.replace('\'', "'\\''"))
}

/// The command that tells tmux where a terminal's bytes go to.
pub fn told(name: &str) -> String {
    format!("set -t {} {OPTION} {PIPE}", target(name))
}

/// The commands after which they do go there, as tmux takes them.
pub fn begun(name: &str, word: &str) -> String {
    let it = target(name);
    let pipe = format!("\"echo '#{{pane_id}}' >#{{{OPTION}}}; exec cat >#{{{OPTION}}}\"");
    format!("pipe-pane -O -t {it} {pipe} ; display-message -p {word}")
}

/// A part of what a relay sends.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// tmux says.
    Said(&'a [u8]),
    /// The program writes.
    Raw(&'a [u8]),
}

/// Takes apart what a relay sends: pieces of two streams, each with a byte that says of which, and three bytes of length.
#[derive(Debug, Default)]
pub struct Parts {
    head: Vec<u8>,
    left: usize,
}

/// Bytes before each piece.
const HEAD: usize = 4;

impl Parts {
    /// What these bytes bring, in order, however they are cut.
    pub fn of<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<Part<'a>> {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            if self.left == 0 {
                let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                if let [_, a, b, c] = self.head[..] {
                    self.left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                    // An empty piece is over already.
                    self.head.truncate(usize::from(self.left > 0));
                }
                continue;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.left));
            parts.push(if self.head == b"s" { Part::Said(part) } else { Part::Raw(part) });
            bytes = rest;
            self.left -= part.len();
            if self.left == 0 {
                self.head.clear();
            }
        }
        parts
    }
}

#[cfg(test)]
#[path = "../../tests/common/skip.rs"]
mod skip;

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::io::{self, Read as _};
    use std::process::{Child, Command, Stdio};
    use std::sync::mpsc::{Receiver, sync_channel};
    use std::time::{Duration, Instant};

    use super::*;
    use crate::runtime::held::{Held, Said, let_go, typed};
    use crate::runtime::remote::start;

    const PATIENCE: Duration = Duration::from_mins(1);
    const NAME: &str = "shell-1";

    #[test]
    fn two_streams_come_apart_however_they_are_cut() {
        let sent: Vec<u8> = b"s\0\0\x04%be\nr\0\0\0r\0\0\x03s\0\x01r\0\x01\x00"
            .iter()
            .copied()
            .chain([b'x'; 256])
            .chain(*b"s\0\0\x01!")
            .collect();
        for piece in [1, 3, 5, 4096] {
            let (mut parts, mut said, mut raw) = (Parts::default(), Vec::new(), Vec::new());
            for bytes in sent.chunks(piece) {
                for part in parts.of(bytes) {
                    match part {
                        Part::Said(bytes) => said.extend_from_slice(bytes),
                        Part::Raw(bytes) => raw.extend_from_slice(bytes),
                    }
                }
            }
            assert_eq!(said, b"%be\n!");
            assert_eq!(raw, [&b"s\0\x01"[..], &[b'x'; 256]].concat());
        }
    }

    #[test]
    fn the_program_is_one_word_of_a_shell() {
        let ran = Command::new("sh").arg("-c").arg(format!("printf %s {}", program("w"))).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), format!("python3-ISc{PROGRAM}w"));
    }

    /// A terminal on this machine, as over a line that brings only what is taken.
    struct Line {
        child: Child,
        brought: Receiver<Vec<u8>>,
        held: Held,
        shown: Vec<u8>,
        left: Option<String>,
    }

    impl Line {
        fn open(folder: &std::path::Path, again: bool) -> Self {
            let word = format!("a-word-{again}");
            let mut child = Command::new("sh")
                .args(["-c", &start(NAME, again, Some(&word))])
                .env_remove("TMUX")
                .envs([("TMUX_TMPDIR", folder), ("HOME", folder), ("SHELL", std::path::Path::new("/bin/sh"))])
                .current_dir(folder)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdout = child.stdout.take().unwrap();
            let (bring, brought) = sync_channel(0);
            std::thread::spawn(move || {
                let mut piece = vec![0; 32 << 10];
                while let Ok(count @ 1..) = stdout.read(&mut piece)
                    && bring.send(piece[..count].to_vec()).is_ok()
                {}
            });
            let held = Held::new(again, Some(word));
            let mut line = Self { child, brought, held, shown: Vec::new(), left: None };
            line.say(&line.held.opening(NAME, 100, 30));
            line
        }

        fn say(&mut self, bytes: &[u8]) {
            io::Write::write_all(self.child.stdin.as_mut().unwrap(), bytes).unwrap();
        }

        /// Takes what comes until this shows.
        fn shows(&mut self, what: &str) {
            let deadline = Instant::now() + PATIENCE;
            while !String::from_utf8_lossy(&self.shown).contains(what) {
                let patience = deadline.saturating_duration_since(Instant::now());
                let Ok(bytes) = self.brought.recv_timeout(patience) else {
                    let from = self.shown.len().saturating_sub(300);
                    panic!("no {what:?} after {:?}", String::from_utf8_lossy(&self.shown[from..]));
                };
                self.take(&bytes);
            }
        }

        fn take(&mut self, bytes: &[u8]) {
            for said in self.held.hear(bytes) {
                match said {
                    Said::Bytes(bytes) => self.shown.extend(bytes),
                    Said::Exit(why) => self.left = Some(why),
                }
            }
        }

        /// Takes what comes until there is no more; how it ended.
        fn ends(mut self) -> (Vec<u8>, Option<String>, Option<i32>) {
            while let Ok(bytes) = self.brought.recv_timeout(PATIENCE) {
                self.take(&bytes);
            }
            (std::mem::take(&mut self.shown), self.left.take(), self.child.wait().unwrap().code())
        }
    }

    /// Waits until the file grows no more.
    fn settled(file: &std::path::Path) -> u64 {
        let (begun, mut since, mut size) = (Instant::now(), Instant::now(), 0);
        while since.elapsed() < Duration::from_millis(500) {
            let now = file.metadata().map_or(0, |metadata| metadata.len());
            if now != size || now == 0 {
                (since, size) = (Instant::now(), now);
            }
            assert!(begun.elapsed() < PATIENCE, "nothing holds it: {size}");
            std::thread::sleep(Duration::from_millis(10));
        }
        size
    }

    #[test]
    fn all_of_a_flood_comes_and_its_program_waits_while_nobody_takes_it() {
        if !super::skip::installed(&["tmux", "python3"], "tmux python3") {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut line = Line::open(folder.path(), false);
        line.say(&typed(NAME, b"printf 'be%s\\n' gun; seq 1000000 | tee passed; printf 'do%s\\n' ne\r"));
        line.shows("begun\r\n");
        let passed = settled(&folder.path().join("passed"));
        assert!(passed < 2_000_000, "of 6,888,896 bytes {passed} have gone to where nobody takes them");
        line.shows("done\r\n");
        let shown = String::from_utf8(std::mem::take(&mut line.shown)).unwrap();
        let flood = shown.split_once("begun\r\n").unwrap().1.split_once("done\r\n").unwrap().0;
        let mut expected = String::new();
        for number in 1..=1_000_000 {
            writeln!(expected, "{number}\r").unwrap();
        }
        assert!(flood == expected, "{} bytes of {}", flood.len(), expected.len());

        // Let go of, it goes on; taken up again, it shows what was there, once, and what comes then.
        line.say(&typed(NAME, b"clear; echo sta'y'ed; cat\r"));
        line.shows("stayed\r\n");
        line.say(&let_go(NAME));
        let (_, left, code) = line.ends();
        assert_eq!((left.as_deref(), code), (Some(""), Some(0)));
        let mut line = Line::open(folder.path(), true);
        line.shows("stayed");
        line.say(&typed(NAME, b"hears\r"));
        line.shows("hears\r\nhears\r\n");
        let shown = String::from_utf8_lossy(&line.shown).into_owned();
        assert!(shown.starts_with("\x1bc") && shown.matches("stayed").count() == 1, "{shown:?}");

        // Its last words come before its end.
        line.say(&typed(NAME, b"\x04seq 30000; exit\r"));
        let (shown, left, code) = line.ends();
        assert!(String::from_utf8_lossy(&shown).contains("\r\n29999\r\n30000\r\n"), "{}", shown.len());
        assert_eq!((left.as_deref(), code), (Some(""), Some(0)));
    }
}
