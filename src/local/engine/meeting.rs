//! The port at which the hosts of a job meet (`MASTER_PORT`).
//!
//! The script binds it seconds after it was chosen, and meanwhile its other hosts already call there. A port that the system
//! hands out to outgoing connections could be lost to one of them in between; it could even be *met* by one: a call to such a
//! port of 127.0.0.1 may be given that same port as its own and then be connected with itself (RFC 9293, 3.5, simultaneous
//! open). So it lies below those ports (`ip_local_port_range`, ip(7)), and no two jobs of this process have the same.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Above the ports of most servers.
const LOWEST: u16 = 10_000;
/// Where outgoing connections begin on Linux, if it does not say otherwise.
const USUAL_END: u16 = 32_768;
/// With fewer ports than this, it is the others that would be in the way.
const ENOUGH: u16 = 1_000;

static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that is kept for one job until this is dropped.
#[derive(Debug)]
pub struct Meeting(u16);

impl Meeting {
    /// Finds a port on which nobody listens.
    ///
    /// # Errors
    /// When all are in use, or the system has no randomness to give.
    pub fn reserve() -> io::Result<Self> {
        let mut seed = [0; 2];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let ports = ports();
        // Another process may be looking, too: each begins somewhere else.
        let begin = ports.start + u16::from_le_bytes(seed) % (ports.end - ports.start);
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        let found = (begin..ports.end).chain(ports.start..begin).find(|port| !taken.contains(port) && free(*port));
        let port =
            found.ok_or_else(|| io::Error::other(format!("every port from {} to {} is in use", ports.start, ports.end)))?;
        taken.insert(port);
        Ok(Self(port))
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.0
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        TAKEN.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.0);
    }
}

fn ports() -> Range<u16> {
    let said = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = said.split_whitespace().next().and_then(|low| low.parse().ok()).unwrap_or(USUAL_END);
    LOWEST..if end < LOWEST + ENOUGH { USUAL_END } else { end }
}

fn free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_apart_and_no_outgoing_connection_gets_one() {
        let meetings: Vec<Meeting> = (0..50).map(|_| Meeting::reserve().expect("a port")).collect();
        let chosen: BTreeSet<u16> = meetings.iter().map(Meeting::port).collect();
        assert_eq!(chosen.len(), meetings.len());
        assert!(chosen.iter().all(|port| ports().contains(port) && *port >= LOWEST), "{chosen:?}");
        let low: u16 = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
            .expect("Linux says which")
            .split_whitespace()
            .next()
            .and_then(|low| low.parse().ok())
            .expect("a number");
        assert!(low < LOWEST + ENOUGH || chosen.iter().all(|port| *port < low), "{chosen:?} and {low}");
    }

    #[test]
    fn one_that_is_listened_on_is_not_free() {
        let meeting = Meeting::reserve().expect("a port");
        assert!(free(meeting.port()));
        let _listener = TcpListener::bind((Ipv4Addr::LOCALHOST, meeting.port())).expect("it is free");
        assert!(!free(meeting.port()));
    }
}
