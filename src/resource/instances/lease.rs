//! The lease: until when an instance lives, also when nobody looks.
//!
//! Its end is in one place that counts, the tag [`LEASE`]. A timer inside the guest compares it with the clock and shuts the
//! machine down, which terminates it (`InstanceInitiatedShutdownBehavior=terminate`). The timer reads the tag through the
//! instance's metadata service, so that whoever changes the tag changes the lease: no login is needed, and neither footplate
//! nor its machine. The last end that was read is kept in a file, for when the service does not answer.
//!
//! assumed: on types of the Nitro system a changed tag is in the metadata at once; on older ones (Xen: t2, p2, p3) only from
//! the next start on (EC2 User Guide, "View tags for your EC2 instances using instance metadata"). There, and in the local
//! region, where the guest may have no curl to read it with, a change is told to the timer over SSH first ([`extend`]).

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::invalid;
use crate::aws::Mode;
use crate::model::Failure;
use crate::model::show::span;
use crate::ssh::Connection;

/// The tag with the end: RFC 3339, in UTC, whole seconds.
pub(super) const LEASE: &str = "footplate:lease";

/// For EC2: a timer of systemd, which is on Ubuntu and Amazon Linux alike and is there again after a reboot; a plain
/// `shutdown -h +N` would be forgotten by then.
const TIMER: &str = include_str!("lease.sh");
/// For a guest of the local region: it has no systemd and runs as the user of this very machine, where nothing of the system
/// may be touched. There a loop in its own home does the same.
const LOCAL_TIMER: &str = include_str!("lease_local.sh");

/// An end as the tag says it.
pub(super) fn written(end: Timestamp) -> String {
    end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An end as people are told it: in their own time, and what is left until then.
pub(super) fn told(end: Timestamp) -> String {
    let now = Timestamp::now();
    let local = end.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M %Z").to_string();
    // Whoever has just asked for four hours is not told of 3:59.
    let left = left(end.checked_add(SignedDuration::from_secs(59)).unwrap_or(end), now);
    if end <= now { local } else { format!("{local}, in {}", span(left)) }
}

/// The end that a tag says.
pub(super) fn read(tag: &str) -> Option<Timestamp> {
    tag.parse().ok()
}

/// Seconds that are left, as all places tell them: whole minutes, so that they do not look old between two looks; less than
/// one as it is, and never below nothing.
#[expect(clippy::cast_precision_loss, reason = "leases are days at most")]
pub(super) fn left(end: Timestamp, now: Timestamp) -> f64 {
    let seconds = end.duration_since(now).as_secs().max(0);
    (if seconds < 60 { seconds } else { seconds - seconds % 60 }) as f64
}

/// What the machine runs when it starts for the first time, on EC2 as root: cloud-init runs a text that begins with `#!`.
pub(super) fn user_data(mode: Mode, end: Timestamp) -> String {
    let script = match mode {
        Mode::Local => LOCAL_TIMER,
        Mode::Aws => TIMER,
    };
    script.replace("echo END >", &format!("echo {} >", end.as_second()))
}

/// Tells the timer in the guest a new end, where it cannot read the tag.
///
/// # Errors
/// When the machine does not run the command, or has no such timer.
pub async fn extend(connection: &Connection, end: Timestamp) -> Result<(), Failure> {
    let end = end.as_second();
    let command = format!(
        "if [ -e \"$HOME/.footplate/lease\" ]; then echo {end} > \"$HOME/.footplate/lease\"; \
         elif [ -e /var/lib/footplate/lease ]; then echo {end} | sudo -n tee /var/lib/footplate/lease > /dev/null; else exit 3; fi"
    );
    let ran = connection.run(&command, None).await?;
    if ran.status == Some(0) {
        return Ok(());
    }
    Err(invalid("there is no timer of footplate's in the guest", "end the instance yourself in time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_written_and_read() {
        let end: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        assert_eq!(written(end), "2026-11-22T18:00:00Z");
        assert_eq!(read(&written(end)), Some(end));
        assert_eq!(read("soon"), None);
    }

    #[test]
    fn a_guest_of_the_local_region_is_told_nothing_that_concerns_this_machine() {
        let end: Timestamp = "2026-11-22T18:00:00Z".parse().unwrap();
        let local = user_data(Mode::Local, end);
        assert!(!local.contains("/etc/") && !local.contains("/var/") && !local.contains("systemctl"), "{local}");
        let real = user_data(Mode::Aws, end);
        assert!(real.contains("OnBootSec=60") && real.contains(&format!("instance/{LEASE})")) && real.len() < 16_000);
        for script in [local, real] {
            assert!(script.starts_with("#!/bin/sh\n") && script.contains("\necho 1795370400 > "), "{script}");
        }
    }
}
