//! What went wrong, said once: a kind to act on, a sentence, and the remedy.

use serde::{Deserialize, Serialize};

use super::Safe;

/// The closed list of ways a thing can fail. Everything that decides (exit codes, retry, the look of a pane) decides on
/// this, never on message text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FailureKind {
    /// No credentials were found at all.
    NoCredentials,
    /// There were credentials, but they have expired.
    Expired,
    /// The account may not do this.
    Denied,
    /// The service asked us to slow down.
    Throttled,
    /// The thing is not there.
    NotFound,
    /// A thing of that name exists already, or its state forbids this.
    Conflict,
    /// Bad input: the message names the field.
    Invalid,
    /// A service quota or spending limit stands in the way.
    Quota,
    /// No connection: DNS, TCP, TLS, or the local region is gone.
    Network,
    /// No answer within the deadline.
    Timeout,
    /// footplate itself refused: read-only mode, the local/real wall, no journal, no confirmation.
    Refused,
    /// This machine: a file, the disk, the terminal.
    Machine,
    /// The service failed on its side, or answered something we do not understand.
    Service,
    /// The user called it off.
    Cancelled,
}

/// One failure, ready to show: `what` happened and the `hint` that says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub what: Safe,
    /// The remedy; empty when there is none to give.
    pub hint: Safe,
}

impl Failure {
    pub fn new(kind: FailureKind, what: impl AsRef<str>, hint: impl AsRef<str>) -> Self {
        Self { kind, what: Safe::text(what.as_ref()), hint: Safe::text(hint.as_ref()) }
    }

    /// The exit code of the command line: 1 failed, 2 usage, 3 refused (guard, quota, confirm).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            FailureKind::Refused | FailureKind::Quota => 3,
            FailureKind::Invalid => 2,
            _ => 1,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.hint.is_empty() { write!(f, "{}", self.what) } else { write!(f, "{}\n  {}", self.what, self.hint) }
    }
}

impl std::error::Error for Failure {}
