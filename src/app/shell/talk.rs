//! What is asked of the way to a terminal on a machine, and what it tells: plain data, as all that goes in and out of the
//! core.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Failure, ItemId, Safe};

/// Bytes to or from a remote terminal, as they are. In a recording they are base64.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Encoded", into = "Encoded")]
pub struct Raw(pub Vec<u8>);

#[derive(Serialize, Deserialize)]
struct Encoded(String);

impl From<Raw> for Encoded {
    fn from(raw: Raw) -> Self {
        use base64::Engine;
        Self(base64::engine::general_purpose::STANDARD.encode(raw.0))
    }
}

impl From<Encoded> for Raw {
    fn from(text: Encoded) -> Self {
        use base64::Engine;
        // A recording that was tampered with shows nothing there.
        Self(base64::engine::general_purpose::STANDARD.decode(text.0).unwrap_or_default())
    }
}

/// What is typed may be a password: only its length shows.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl From<&[u8]> for Raw {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

/// Which of the terminals that go on at the other end is wanted. Only where the machine has tmux do they go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Attach {
    /// All that nobody has open, the first of them here and the others told by [`Opened::others`]; else a new one.
    Any,
    New,
    /// This one; a new one of that name if it is gone.
    Again(Safe),
}

/// Something to be done for one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Wish {
    /// Connect, and open a terminal of so many columns and rows.
    Open {
        resource: String,
        id: ItemId,
        size: (u16, u16),
        attach: Attach,
    },
    Send(Raw),
    /// A piece of a long paste: [`News::Taken`] says when the other end has room for more.
    Piece(Raw),
    Resize(u16, u16),
    /// The answer to [`News::Stranger`].
    Trust(bool),
    /// End it, and what goes on there.
    End,
}

/// Something that happened to one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// A step of connecting is under way.
    Said(Safe),
    /// Nothing vouches for the machine's host key: does the user?
    Stranger(Stranger),
    /// The terminal is there.
    Opened(Opened),
    Bytes(Raw),
    /// The piece of a paste was taken.
    Taken,
    /// There is no connection, or there is none any more. What was typed last may not have arrived.
    Lost {
        failure: Failure,
        unanswered: Raw,
    },
    /// What ran in the terminal has ended; how.
    Ended(Safe),
}

/// A terminal that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// Whose terminal it is, e.g. `ubuntu@i-0abc`.
    pub title: Safe,
    /// Its name among those that go on there without us; `None` where nothing does.
    pub name: Option<Safe>,
    /// It was there before: what ran in it still runs.
    pub again: bool,
    /// Names of others there that went on without anybody, and come back with it.
    #[serde(default)]
    pub others: Vec<Safe>,
}

/// A machine whose host key nothing vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stranger {
    pub machine: Safe,
    pub algorithm: Safe,
    /// `SHA256:…`, as `ssh-keygen -l` shows it.
    pub fingerprint: Safe,
    /// Why nothing vouches for it.
    pub because: Safe,
}
