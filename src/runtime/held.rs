//! A terminal that tmux holds on a machine, through tmux's control mode: what the program writes comes as it is and all of
//! it, and what is typed goes as it is. tmux draws nothing; it keeps the terminal and its history for when the line is lost.
//!
//! Where a relay brings what the program writes ([`super::relay`]), tmux itself is heard only for the rest.
//!
//! Source of the format: tmux(1), "CONTROL MODE". Notifications are lines that begin with `%`; what a command answers stands
//! between `%begin` and `%end`; bytes below a blank and the backslash come in `%output` as `\` and three octal digits. Every
//! command names its terminal: tmux takes the first ones before the connection has come to it, and would take another's (seen
//! with 3.3a, when several come back at once).

use std::fmt::Write as _;

use super::relay::{self, Part, Parts};

/// Bytes typed by one command.
const TYPED: usize = 256;
/// Lines above the screen that are fetched from what tmux has kept.
const HISTORY: usize = 10_000;
/// Longest line that is taken in; tmux's own are far shorter.
const LINE: usize = 4 << 20;
/// What is asked of a terminal that goes on, to show it again: the cursor, and what its program has switched on.
const STATE: &str = "'#{cursor_x} #{cursor_y} #{alternate_on} #{pane_height} #{keypad_cursor_flag} \
                     #{cursor_flag} #{mouse_standard_flag} #{mouse_button_flag} #{mouse_any_flag} #{mouse_sgr_flag}'";

/// What tmux said, in terms of a terminal.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// What is to be shown.
    Bytes(Vec<u8>),
    /// It is over; why, where it is not that the program ended.
    Exit(String),
}

/// How commands name a terminal: it, and not one whose name begins so.
pub fn target(name: &str) -> String {
    format!("={name}:")
}

/// Reads what tmux says.
#[derive(Debug)]
pub struct Held {
    line: Vec<u8>,
    /// The answer under way, and whether it is to a command of ours.
    answer: Option<(bool, Vec<Vec<u8>>)>,
    /// Answers to commands of ours so far.
    answers: usize,
    /// The terminal goes on from before: its history is waited for, and what comes meanwhile is in it.
    again: bool,
    history: Vec<Vec<u8>>,
    /// What a relay sends, and the word after which it brings what the program writes.
    relayed: Option<(Parts, String)>,
}

impl Held {
    /// Of a new terminal, or of one that goes on; with a relay's word, if there is one.
    pub fn new(again: bool, relayed: Option<String>) -> Self {
        let relayed = relayed.map(|word| (Parts::default(), word));
        Self { line: Vec::new(), answer: None, answers: 0, again, history: Vec::new(), relayed }
    }

    /// What is said first, so that the terminal of this name has its size; and what one that goes on has to show.
    pub fn opening(&self, name: &str, columns: u16, rows: u16) -> Vec<u8> {
        let mut said = resized(columns, rows);
        if self.again {
            let it = target(name);
            let mut asked = format!("capture-pane -t {it} -p -e -S -{HISTORY} ; display-message -t {it} -p {STATE}");
            if let Some((_, word)) = &self.relayed {
                // In one line with it: nothing is read of the program in between, so nothing is lost or comes twice.
                let _ = write!(asked, " ; {}", relay::begun(name, word));
            }
            said.extend_from_slice(asked.as_bytes());
            said.push(b'\n');
            // Whoever draws a whole screen does so anew when its size changes.
            said.extend_from_slice(&resized(columns, rows.saturating_sub(1).max(1)));
            said.extend_from_slice(&resized(columns, rows));
        }
        said
    }

    /// Takes in what came, in pieces of any size.
    pub fn hear(&mut self, bytes: &[u8]) -> Vec<Said> {
        let mut out = Vec::new();
        let Some((parts, _)) = &mut self.relayed else {
            self.listen(bytes, &mut out);
            return out;
        };
        for part in parts.of(bytes) {
            match part {
                Part::Said(bytes) => self.listen(bytes, &mut out),
                Part::Raw(bytes) => push(&mut out, bytes.to_vec()),
            }
        }
        out
    }

    /// Hears tmux.
    fn listen(&mut self, bytes: &[u8], out: &mut Vec<Said>) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + part.len() <= LINE {
                self.line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                let mut line = std::mem::take(&mut self.line);
                while line.last().is_some_and(|byte| matches!(byte, b'\n' | b'\r')) {
                    line.pop();
                }
                self.take(&line, out);
            }
        }
    }

    fn take(&mut self, line: &[u8], out: &mut Vec<Said>) {
        if let Some((ours, mut lines)) = self.answer.take() {
            if line.starts_with(b"%end ") || line.starts_with(b"%error ") {
                if ours {
                    self.answered(lines, out);
                }
                return;
            }
            lines.push(line.to_vec());
            self.answer = Some((ours, lines));
        } else if let Some(rest) = line.strip_prefix(b"%begin ") {
            // The last number is 1 for what this client has asked.
            self.answer = Some((rest.ends_with(b" 1"), Vec::new()));
        } else if let Some(rest) = line.strip_prefix(b"%output ") {
            let data = rest.iter().position(|byte| *byte == b' ').map_or(&[][..], |at| &rest[at + 1..]);
            if !self.again && self.relayed.is_none() {
                push(out, plain(data));
            }
        } else if let Some(rest) = line.strip_prefix(b"%exit") {
            out.push(Said::Exit(String::from_utf8_lossy(rest).trim().to_owned()));
        }
    }

    /// Of a terminal that goes on, the second and third answer are its history and its state.
    fn answered(&mut self, lines: Vec<Vec<u8>>, out: &mut Vec<Said>) {
        self.answers += 1;
        match self.answers {
            2 if self.again => self.history = lines,
            3 if self.again => {
                self.again = false;
                let state = lines.first().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
                push(out, shown(&std::mem::take(&mut self.history), &state));
            }
            _ => {}
        }
    }
}

/// The commands that type these bytes into the terminal of this name.
pub fn typed(name: &str, bytes: &[u8]) -> Vec<u8> {
    let command = format!("send-keys -t {} -H", target(name));
    let mut said = String::with_capacity(bytes.len() * 3 + command.len() + 1);
    for part in bytes.chunks(TYPED) {
        said.push_str(&command);
        for byte in part {
            let _ = write!(said, " {byte:02x}");
        }
        said.push('\n');
    }
    said.into_bytes()
}

/// What such commands type; others type nothing.
pub fn untyped(said: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(said);
    let typed = text.lines().filter_map(|line| Some(line.strip_prefix("send-keys ")?.split_once(" -H ")?.1));
    typed.flat_map(|line| line.split(' ').filter_map(|byte| u8::from_str_radix(byte, 16).ok())).collect()
}

/// The commands that let go of the terminal of this name.
pub fn let_go(name: &str) -> Vec<u8> {
    // Without a command, pipe-pane ends the one there is.
    format!("pipe-pane -t {}\ndetach-client\n", target(name)).into_bytes()
}

/// The command that tells the size.
pub fn resized(columns: u16, rows: u16) -> Vec<u8> {
    format!("refresh-client -C {columns},{rows}\n").into_bytes()
}

fn push(out: &mut Vec<Said>, bytes: Vec<u8>) {
    match out.last_mut() {
        Some(Said::Bytes(before)) => before.extend_from_slice(&bytes),
        _ => out.push(Said::Bytes(bytes)),
    }
}

/// Takes the octal digits back.
fn plain(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        out.extend_from_slice(&rest[..at]);
        if let Some([a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7']) = rest.get(at + 1..at + 4) {
            out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = &rest[at + 4..];
        } else {
            out.push(b'\\');
            rest = &rest[at + 1..];
        }
    }
    out.extend_from_slice(rest);
    out
}

/// What brings an empty terminal to where the held one is: its lines, its cursor, and what its program has switched on.
fn shown(lines: &[Vec<u8>], state: &str) -> Vec<u8> {
    let numbers: Vec<usize> = state.split(' ').map(|word| word.parse().unwrap_or(0)).collect();
    let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
    let is = |at: usize| number(at) == 1;
    let mut out = b"\x1bc".to_vec();
    let above = lines.len().saturating_sub(number(3));
    let mut put = |lines: &[Vec<u8>]| {
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(line);
            out.extend_from_slice(b"\x1b[0m");
        }
    };
    if is(2) {
        // What is above belongs to the screen behind the alternate one; of that itself nothing is told.
        put(&lines[..above]);
        put(&[Vec::new(), Vec::new()]);
        out.extend_from_slice(b"\x1b[?1049h\x1b[H\x1b[2J");
        out.extend_from_slice(&lines[above..].join(&b"\x1b[0m\r\n"[..]));
    } else {
        put(lines);
    }
    let modes = [(4, "?1"), (6, "?1000"), (7, "?1002"), (8, "?1003"), (9, "?1006")];
    for (_, mode) in modes.into_iter().filter(|(at, _)| is(*at)) {
        out.extend_from_slice(format!("\x1b[{mode}h").as_bytes());
    }
    if number(5) == 0 && numbers.len() > 5 {
        out.extend_from_slice(b"\x1b[?25l");
    }
    out.extend_from_slice(format!("\x1b[{};{}H", number(1) + 1, number(0) + 1).as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As tmux 3.3a said it to `tmux -C new-session -A`, a letter typed and `exit`.
    const NEW: &[u8] =
        b"%begin 1795374718 260 0\n%end 1795374718 260 0\n%window-add @0\n%sessions-changed\n%session-changed $0 t1\n\
        %begin 1795374718 269 1\n%end 1795374718 269 1\n%layout-change @0 a87d,100x30,0,0,0 a87d,100x30,0,0,0 *\n\
        %output %0 \\033[?2004hada$ echo \xc3\xa9\\015\\012\n%begin 1795374719 273 1\n%end 1795374719 273 1\n\
        %output %0 a\\134b\n%sessions-changed\n%exit\n";

    fn heard(held: &mut Held, bytes: &[u8], piece: usize) -> (Vec<u8>, Option<String>) {
        let (mut shown, mut exit) = (Vec::new(), None);
        for said in bytes.chunks(piece).flat_map(|part| held.hear(part)) {
            match said {
                Said::Bytes(bytes) => shown.extend(bytes),
                Said::Exit(why) => exit = Some(why),
            }
        }
        (shown, exit)
    }

    #[test]
    fn what_the_program_writes_comes_as_it_is_however_it_is_cut() {
        for piece in [1, 7, 4096] {
            let (shown, exit) = heard(&mut Held::new(false, None), NEW, piece);
            assert_eq!(shown, b"\x1b[?2004hada$ echo \xc3\xa9\r\na\\b");
            assert_eq!(exit.as_deref(), Some(""));
        }
    }

    #[test]
    fn one_that_goes_on_shows_its_history_and_what_came_meanwhile_once() {
        let mut held = Held::new(true, None);
        let said = b"%begin 1 1 1\n%end 1 1 1\n%output %0 old\\015\\012\n%begin 1 2 1\nfirst\n%output is no news here\nold\n\n%end 1 2 1\n\
            %begin 1 3 1\n2 1 0 2 1 0 0 1 0 1\n%end 1 3 1\n%output %0 new\n";
        let (shown, _) = heard(&mut held, said, 5);
        let expected = b"\x1bcfirst\x1b[0m\r\n%output is no news here\x1b[0m\r\nold\x1b[0m\r\n\x1b[0m\x1b[?1h\x1b[?1002h\x1b[?1006h\x1b[?25l\x1b[2;3Hnew";
        assert_eq!(String::from_utf8_lossy(&shown), String::from_utf8_lossy(expected));
    }

    #[test]
    fn what_is_asked_first_names_its_terminal() {
        let said = String::from_utf8(Held::new(true, None).opening("shell-2", 80, 24)).unwrap();
        assert!(said.lines().all(|line| line.starts_with("refresh-client ") || line.contains(" -t =shell-2: ")), "{said}");
    }

    #[test]
    fn with_a_relay_tmux_itself_shows_nothing_of_the_program() {
        let mut held = Held::new(true, Some("word".to_owned()));
        let said = String::from_utf8(held.opening("shell-1", 80, 24)).unwrap();
        let asked = said.lines().find(|line| line.starts_with("capture-pane ")).unwrap();
        assert!(asked.contains(" ; pipe-pane -O -t =shell-1: ") && asked.ends_with(" ; display-message -p word"), "{asked}");
        let said =
            b"%begin 1 1 1\n%end 1 1 1\n%begin 1 2 1\nold\n%end 1 2 1\n%begin 1 3 1\n0 1 0 1 0 1\n%end 1 3 1\n%output %0 new\n";
        let mut sent = [&b"s\0\0"[..], &[u8::try_from(said.len()).unwrap()], said].concat();
        sent.extend_from_slice(b"r\0\0\x05new\\1s\0\0\x11%output %0 newer\n");
        let (shown, _) = heard(&mut held, &sent, 7);
        assert_eq!(String::from_utf8_lossy(&shown), "\x1bcold\x1b[0m\x1b[2;1Hnew\\1");
    }

    #[test]
    fn what_is_typed_is_bytes() {
        assert_eq!(typed("shell-1", b"\x1b[A\xc3\xa9"), b"send-keys -t =shell-1: -H 1b 5b 41 c3 a9\n");
        assert_eq!(untyped(b"refresh-client -C 1,2\nsend-keys -t =shell-1: -H 1b 5b 41\n"), b"\x1b[A");
        assert_eq!(typed("shell-1", &[b'x'; 600]).split(|byte| *byte == b'\n').count(), 4, "three, and nothing after the last");
        assert_eq!(resized(120, 36), b"refresh-client -C 120,36\n");
    }
}
