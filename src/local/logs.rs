//! CloudWatch Logs.

/// One event of a log stream: milliseconds since the epoch, and the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    pub timestamp: i64,
    pub message: String,
}

/// All log groups of the region.
pub struct Logs {}

impl Logs {
    /// Appends events, creating group and stream when they are not there yet (as the service does for jobs). Blocking;
    /// durable when it returns. One batch is one transaction.
    pub fn append(&self, _group: &str, _stream: &str, _events: &[LogEvent]) -> std::io::Result<()> {
        todo!("replaced by the logs service")
    }
}
