//! The pre-filter: cuts a stream of bytes into printable text, control codes and complete sequences, in bounded memory.
//!
//! It follows Paul Williams' state machine (<https://vt100.net/emu/dec_ansi_parser>) as the `vte` crate does, so that honest
//! streams mean the same here as there, and differs where a hostile stream could gain from it: strings (OSC, DCS, APC, PM,
//! SOS) are kept up to [`LONGEST`] bytes and dropped when longer, eight-bit control codes are dropped whether they come as
//! single bytes or as UTF-8 and however they are cut into pieces, and what is cut in two means the same as in one piece.

use super::params::Params;

/// Most bytes of a string that are kept. A longer one is dropped whole.
pub(super) const LONGEST: usize = 64 * 1024;
/// What is kept allocated between strings.
const KEPT: usize = 1024;

/// What is done with the pieces.
pub(super) trait Sink {
    /// Printable ASCII, not empty.
    fn ascii(&mut self, run: &[u8]);
    /// Text without C0 codes, not empty. C1 codes that came as UTF-8 are among the characters that the sink drops.
    fn text(&mut self, text: &str);
    /// A C0 control code other than ESC.
    fn control(&mut self, code: u8);
    /// An escape sequence.
    fn escape(&mut self, intermediates: &[u8], last: u8);
    /// A control sequence. `at` is the number of bytes parsed so far, this sequence included.
    fn sequence(&mut self, params: &Params, intermediates: &[u8], last: u8, at: u64);
    /// An operating system command, without its frame.
    fn command(&mut self, command: &[u8]);
    /// Parsing stops here: what follows is to be held back.
    fn stopped(&self) -> bool;
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Ground,
    Escape,
    EscapeIntermediate,
    /// Control sequence: just begun, a private mark may come.
    Entry,
    Parameters,
    Intermediates,
    /// A malformed control sequence, read to its end.
    Ignored,
    Command,
    /// DCS, APC, PM or SOS: nothing of it is used.
    Other,
}

/// The state between two pieces of the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Parser {
    state: State,
    params: Params,
    intermediates: [u8; 2],
    collected: usize,
    /// Too many parameters or intermediates: the sequence does nothing.
    overfull: bool,
    command: Vec<u8>,
    overlong: bool,
    /// The beginning of a character that the last piece cut in two.
    partial: [u8; 4],
    partial_len: usize,
    parsed: u64,
}

impl Parser {
    /// Reads until the end or until the sink is stopped; returns how many bytes it has used.
    pub(super) fn advance(&mut self, sink: &mut impl Sink, bytes: &[u8]) -> usize {
        let mut at = if self.partial_len > 0 { self.complete(sink, bytes) } else { 0 };
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match self.state {
                State::Ground => self.ground(sink, rest),
                State::Entry | State::Parameters => self.parameters(sink, rest, at),
                State::Command => self.string(sink, rest),
                State::Other => self.swallow(sink, rest),
                _ => {
                    self.step(sink, rest[0], at);
                    1
                }
            };
            if sink.stopped() {
                break;
            }
        }
        self.parsed += at as u64;
        at
    }

    /// Text and control codes, up to an escape.
    fn ground(&mut self, sink: &mut impl Sink, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let rest = &bytes[at..];
            at += match byte {
                0x20..=0x7e => {
                    let run = &rest[..ascii_len(rest)];
                    sink.ascii(run);
                    run.len()
                }
                0x1b => {
                    self.begin();
                    // Nearly every escape begins a control sequence.
                    if rest.get(1) != Some(&b'[') {
                        return at + 1;
                    }
                    self.state = State::Entry;
                    return at + 2;
                }
                0x7f => 1,
                ..0x20 => {
                    sink.control(*byte);
                    1
                }
                _ => self.unicode(sink, rest),
            };
        }
        at
    }

    /// A run that begins with a byte that is not ASCII.
    fn unicode(&mut self, sink: &mut impl Sink, bytes: &[u8]) -> usize {
        let run = &bytes[..printable_len(bytes)];
        let error = match std::str::from_utf8(run) {
            Ok(text) => {
                sink.text(text);
                return run.len();
            }
            Err(error) => error,
        };
        let valid = error.valid_up_to();
        if let Ok(text) = std::str::from_utf8(&run[..valid])
            && valid > 0
        {
            sink.text(text);
        }
        match error.error_len() {
            Some(len) => {
                replaced(sink, &run[valid..valid + len]);
                valid + len
            }
            // Cut by the end of the piece, or by a control code.
            None if run.len() == bytes.len() => {
                self.partial_len = run.len() - valid;
                self.partial[..self.partial_len].copy_from_slice(&run[valid..]);
                run.len()
            }
            None => {
                replaced(sink, &run[valid..]);
                run.len()
            }
        }
    }

    /// Goes on with a character that was cut; returns how many of these bytes belong to it.
    fn complete(&mut self, sink: &mut impl Sink, bytes: &[u8]) -> usize {
        let old = self.partial_len;
        let added = bytes.len().min(self.partial.len() - old);
        let mut whole = self.partial;
        whole[old..old + added].copy_from_slice(&bytes[..added]);
        let whole = &whole[..old + added];
        let valid = match std::str::from_utf8(whole) {
            Ok(_) => whole.len(),
            Err(error) if error.valid_up_to() > 0 => error.valid_up_to(),
            Err(error) => {
                let Some(len) = error.error_len() else {
                    self.partial[..whole.len()].copy_from_slice(whole);
                    self.partial_len = whole.len();
                    return added;
                };
                self.partial_len = 0;
                replaced(sink, &whole[..len]);
                return len.saturating_sub(old);
            }
        };
        self.partial_len = 0;
        let first = std::str::from_utf8(&whole[..valid]).ok().and_then(|text| text.chars().next());
        let Some(first) = first else { return 0 };
        sink.text(first.encode_utf8(&mut [0; 4]));
        first.len_utf8() - old
    }

    fn begin(&mut self) {
        self.state = State::Escape;
        self.params.clear();
        self.collected = 0;
        self.overfull = false;
    }

    /// The part of a control sequence before its intermediates, which most have not.
    fn parameters(&mut self, sink: &mut impl Sink, bytes: &[u8], at: usize) -> usize {
        for (offset, &byte) in bytes.iter().enumerate() {
            match byte {
                b'0'..=b'9' => self.overfull |= !self.params.digit(byte - b'0'),
                b';' => self.overfull |= !self.params.next(false),
                b':' => self.overfull |= !self.params.next(true),
                0x40..=0x7e => {
                    self.dispatch(sink, byte, at + offset);
                    return offset + 1;
                }
                b'<'..=b'?' if self.state == State::Entry => self.collect(byte),
                b'<'..=b'?' => self.state = State::Ignored,
                b' '..=b'/' => {
                    self.collect(byte);
                    self.state = State::Intermediates;
                }
                _ => self.inside(sink, byte),
            }
            if self.state == State::Entry {
                self.state = State::Parameters;
            } else if self.state != State::Parameters {
                return offset + 1;
            }
        }
        bytes.len()
    }

    fn step(&mut self, sink: &mut impl Sink, byte: u8, at: usize) {
        match (self.state, byte) {
            (State::Escape, b'[') => self.state = State::Entry,
            (State::Escape, b']') => {
                self.command.clear();
                self.overlong = false;
                self.state = State::Command;
            }
            (State::Escape, b'P' | b'X' | b'^' | b'_') => self.state = State::Other,
            (State::Escape, b' '..=b'/') => {
                self.collect(byte);
                self.state = State::EscapeIntermediate;
            }
            (State::EscapeIntermediate | State::Intermediates, b' '..=b'/') => self.collect(byte),
            (State::Escape | State::EscapeIntermediate, 0x30..=0x7e) => {
                self.state = State::Ground;
                if !self.overfull {
                    sink.escape(&self.intermediates[..self.collected], byte);
                }
            }
            (State::Intermediates, 0x30..=0x3f) => self.state = State::Ignored,
            (State::Intermediates, 0x40..=0x7e) => self.dispatch(sink, byte, at),
            (State::Ignored, 0x40..=0x7e) => self.state = State::Ground,
            (State::Ignored, b' '..=b'?') => {}
            _ => self.inside(sink, byte),
        }
    }

    /// A byte that has no meaning in a sequence itself: control codes are obeyed, some of them end it.
    fn inside(&mut self, sink: &mut impl Sink, byte: u8) {
        match byte {
            0x1b => self.begin(),
            0x18 | 0x1a => {
                self.state = State::Ground;
                sink.control(byte);
            }
            ..0x20 => sink.control(byte),
            _ => {}
        }
    }

    fn collect(&mut self, byte: u8) {
        if let Some(place) = self.intermediates.get_mut(self.collected) {
            *place = byte;
            self.collected += 1;
        } else {
            self.overfull = true;
        }
    }

    fn dispatch(&mut self, sink: &mut impl Sink, last: u8, at: usize) {
        self.state = State::Ground;
        if !self.overfull && self.params.finish() {
            let at = self.parsed + at as u64 + 1;
            sink.sequence(&self.params, &self.intermediates[..self.collected], last, at);
        }
    }

    /// An operating system command. Like everywhere, BEL ends it, and any ESC.
    fn string(&mut self, sink: &mut impl Sink, bytes: &[u8]) -> usize {
        let end = bytes.iter().position(|byte| *byte < 0x20).unwrap_or(bytes.len());
        if self.command.len() + end > LONGEST {
            self.overlong = true;
            self.command = Vec::new();
        } else if !self.overlong {
            self.command.extend_from_slice(&bytes[..end]);
        }
        let Some(&byte) = bytes.get(end) else { return end };
        if !matches!(byte, 0x07 | 0x18 | 0x1a | 0x1b) {
            return end + 1;
        }
        if !self.overlong {
            sink.command(&self.command);
        }
        self.command.clear();
        self.command.shrink_to(KEPT);
        self.state = State::Ground;
        if byte != 0x07 {
            self.inside(sink, byte);
        }
        end + 1
    }

    fn swallow(&mut self, sink: &mut impl Sink, bytes: &[u8]) -> usize {
        let end = bytes.iter().position(|byte| matches!(byte, 0x18 | 0x1a | 0x1b));
        let Some(end) = end else { return bytes.len() };
        self.inside(sink, bytes[end]);
        end + 1
    }
}

/// What is not UTF-8: a single byte of C1 is dropped, all else shows as one replacement character.
fn replaced(sink: &mut impl Sink, bytes: &[u8]) {
    if !matches!(bytes, [0x80..=0x9f]) {
        sink.text("\u{fffd}");
    }
}

/// How many bytes from the first are printable ASCII.
#[inline]
fn ascii_len(bytes: &[u8]) -> usize {
    leading(bytes, |byte| byte.wrapping_sub(0x20) < 0x5f)
}

/// How many bytes from the first are no control codes.
fn printable_len(bytes: &[u8]) -> usize {
    leading(bytes, |byte| byte >= 0x20 && byte != 0x7f)
}

/// In blocks that the compiler turns into vector instructions; a run of a few bytes is over before the first.
#[inline]
fn leading(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> usize {
    const BLOCK: usize = 32;
    let mut at = 0;
    for byte in bytes.iter().take(4) {
        if !wanted(*byte) {
            return at;
        }
        at += 1;
    }
    while let Some(block) = bytes.get(at..at + BLOCK) {
        if !block.iter().fold(true, |all, byte| all & wanted(*byte)) {
            break;
        }
        at += BLOCK;
    }
    at + bytes[at..].iter().take_while(|byte| wanted(**byte)).count()
}
