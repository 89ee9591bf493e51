//! Operating system commands: of all of them only the title, and a text for the clipboard where that is allowed.
//!
//! Colours, fonts, links, notifications, folders, progress and file transfer are dropped, and nothing is ever answered
//! (CVE-2022-45063, CVE-2026-95832: answers to such questions were typed into shells).

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::width;

/// Bytes of a title.
const TITLE: usize = 256;
/// Titles put aside (`CSI 22 t`).
const TITLES: usize = 16;
/// Programs send it with padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// What the commands have set.
#[derive(Clone, Debug, Default)]
pub(super) struct Strings {
    pub(super) title: String,
    titles: Vec<String>,
    /// Whether the remote may set the clipboard.
    pub(super) clipboard_allowed: bool,
    pub(super) clipboard: Option<String>,
}

impl Strings {
    /// Says whether it changed something.
    pub(super) fn obey(&mut self, command: &[u8]) -> bool {
        let (number, rest) = match command.iter().position(|byte| *byte == b';') {
            Some(at) => (&command[..at], &command[at + 1..]),
            None => return false,
        };
        match number {
            b"0" | b"2" => self.set_title(clean(&String::from_utf8_lossy(rest), TITLE)),
            b"52" if self.clipboard_allowed => self.copy(rest),
            _ => false,
        }
    }

    fn set_title(&mut self, title: String) -> bool {
        let changed = self.title != title;
        self.title = title;
        changed
    }

    /// `c;<base64>`. What is not text, or a question, is dropped.
    fn copy(&mut self, rest: &[u8]) -> bool {
        let payload = rest.iter().position(|byte| *byte == b';').map(|at| &rest[at + 1..]);
        let text = payload.and_then(|payload| BASE64.decode(payload).ok()).and_then(|bytes| String::from_utf8(bytes).ok());
        let text: Option<String> = text.map(|text| text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect());
        let Some(text) = text.filter(|text| !text.is_empty()) else { return false };
        self.clipboard = Some(text);
        true
    }

    pub(super) fn push_title(&mut self) {
        if self.titles.len() == TITLES {
            self.titles.remove(0);
        }
        self.titles.push(self.title.clone());
    }

    pub(super) fn pop_title(&mut self) {
        if let Some(title) = self.titles.pop() {
            self.title = title;
        }
    }

    pub(super) fn reset(&mut self) {
        self.title.clear();
        self.titles.clear();
    }
}

/// Without control codes and what does not show, and not longer than this many bytes.
fn clean(raw: &str, most: usize) -> String {
    let mut out = String::new();
    for c in raw.trim().chars().filter(|c| !c.is_control() && !width::is_hidden(*c)) {
        if out.len() + c.len_utf8() > most {
            break;
        }
        out.push(c);
    }
    out
}
