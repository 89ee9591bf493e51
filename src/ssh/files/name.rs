//! Names of files: which stay in their folder, and which can be copied.

use crate::model::{Failure, FailureKind, Safe};
use crate::ssh::fault;

/// Bytes of a name (`NAME_MAX` of Linux, of all file systems that it has for its own use).
const LONGEST: usize = 255;

/// Why a file is left out for its name, or for what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// A link or a device: no flaw of its name, and no failure.
    Special,
    /// It could do something to a terminal that shows it.
    Control,
    /// The protocol's library does not tell it as it is, and cannot ask for it.
    NotUtf8,
    /// No file here could have it.
    TooLong,
}

impl Flaw {
    /// What is wrong with a name; with an honest and sensible one nothing is.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        if name.contains(char::REPLACEMENT_CHARACTER) {
            return Some(Self::NotUtf8);
        }
        if name.contains(char::is_control) {
            return Some(Self::Control);
        }
        (name.len() > LONGEST).then_some(Self::TooLong)
    }

    /// In words, after the name.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Special => "is a link or a device",
            Self::Control => "has a control character",
            Self::NotUtf8 => "is not UTF-8",
            Self::TooLong => "is too long",
        }
    }
}

/// A file or folder that is left out for its name, or for what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    pub place: Safe,
    pub flaw: Flaw,
}

/// A name that stays in its folder: no server that is honest says any other.
pub(super) fn stays(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains('/')
}

pub(super) fn leads_out(folder: &str, name: &str) -> Failure {
    let what = format!("the instance names a file in {} that would lead out of it: {}", fault::cut(folder), fault::cut(name));
    Failure::new(FailureKind::Refused, what, "an honest server does not do that: do not trust what is on this instance")
}

pub(super) fn twice(folder: &str, name: &str) -> Failure {
    let what = format!("the instance names two files in {} alike: {}", fault::cut(folder), fault::cut(name));
    Failure::new(FailureKind::Refused, what, "an honest server does not do that: do not trust what is on this instance")
}
