//! The signals that ask a long command to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::model::{Failure, FailureKind};

/// Listens for SIGINT (Ctrl-C), SIGTERM and SIGHUP from the moment it is made; they no longer end the process by themselves.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn listen() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|error| Failure::new(FailureKind::Machine, format!("cannot listen for signals: {error}"), ""))
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Does the work, unless one of them comes first: that is this failure then.
    ///
    /// # Errors
    /// The work's own, or that failure.
    pub async fn or<T>(&mut self, interrupted: Failure, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            done = work => done,
            () = self.next() => Err(interrupted),
        }
    }

    /// Waits for the next of them.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
