//! An error as AWS services answer it.

/// Error code, message and HTTP status; the wire codecs put it in each protocol's own shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// AWS's code without namespace, e.g. `ValidationException`.
    pub code: &'static str,
    pub message: String,
    pub status: u16,
}

impl Fault {
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status }
    }

    /// The commonest of all: 400 `ValidationException`.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", 400, message)
    }

    /// Something broke on our side.
    pub fn internal(message: impl std::fmt::Display) -> Self {
        Self::new("InternalFailure", 500, message.to_string())
    }
}
