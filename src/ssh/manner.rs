//! How patient a connection is, and how much it lets come at once.

use std::time::Duration;

/// How long each step may take. The time in which the [`super::Doorman`] is asked is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Until TCP, or the tunnel, is open.
    pub reach: Duration,
    /// From there until the server has said that it speaks SSH.
    pub greeting: Duration,
    /// From the start until the login is done, all in all.
    pub login: Duration,
    /// Until the server answers a request, e.g. for a channel.
    pub answer: Duration,
    /// Silence after which the server is asked whether it is there.
    pub probe: Duration,
    /// How many times in a row that may go unanswered.
    pub probes: u8,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            reach: Duration::from_secs(10),
            greeting: Duration::from_secs(15),
            login: Duration::from_secs(30),
            answer: Duration::from_secs(15),
            // Three probes and their answers' time: a line that is dead is noticed after 18 seconds.
            probe: Duration::from_millis(4500),
            probes: 3,
        }
    }
}

impl Deadlines {
    /// Silence after which the connection is given up.
    pub fn silence(&self) -> Duration {
        self.probe * (u32::from(self.probes) + 1)
    }
}

/// Messages of a channel that may wait to be read. So few that their memory is used again while the processor has it at hand:
/// where as many could wait as fill the window of [`Manner::bulk`], a gigabyte took 0.8 s of CPU instead of 0.5 s.
pub(super) const WAITING: usize = 8;

/// The manner of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manner {
    pub deadlines: Deadlines,
    /// How many bytes the server may send on a channel before we have taken what came before. russh has one size for all
    /// channels of a connection.
    pub window: u32,
    /// Bytes of the largest packet we take.
    pub packet: u32,
}

impl Manner {
    /// For terminals: little is on its way, so that Ctrl-C is felt at once on a slow line, too.
    #[must_use]
    pub fn talk() -> Self {
        Self { deadlines: Deadlines::default(), window: 256 * 1024, packet: 32 * 1024 }
    }

    /// For files: the window holds what a fast line carries in a long round trip (80 MB/s at 100 ms).
    #[must_use]
    pub fn bulk() -> Self {
        Self { deadlines: Deadlines::default(), window: 8 * 1024 * 1024, packet: 65_535 }
    }
}

impl Default for Manner {
    fn default() -> Self {
        Self::talk()
    }
}
