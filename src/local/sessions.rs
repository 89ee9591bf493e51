//! Temporary credentials: what the role of an instance profile signs with, with a session token, until they expire (IAM User
//! Guide, "Temporary security credentials in IAM"). Held in memory only: what uses them ends with the region.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::credentials::Credentials;

/// How long they are valid, in the range that the metadata service of EC2 gives them (assumed: six hours).
const LIFE: Duration = Duration::from_hours(6);

/// Who holds credentials of a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The role's name.
    pub role: String,
    /// The session's name: the instance's id.
    pub session: String,
}

/// One issue of credentials.
#[derive(Clone, Debug)]
pub struct Session {
    pub credentials: Credentials,
    /// What has to come with each request beside the signature.
    pub token: String,
    pub holder: Holder,
    /// Seconds since the epoch.
    pub issued: i64,
    pub expires: i64,
}

/// All issues that may still be shown, by access key.
pub struct Sessions {
    life: i64,
    issued: Mutex<HashMap<String, Session>>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self::lasting(LIFE)
    }
}

impl Sessions {
    /// Sessions that last for another time than usual.
    #[must_use]
    pub fn lasting(life: Duration) -> Self {
        Self { life: i64::try_from(life.as_secs()).unwrap_or(i64::MAX / 2), issued: Mutex::default() }
    }

    /// The holder's credentials: those that were issued last, while they have a sixth of their life left, else new ones. Clients
    /// renew theirs some minutes before the end, and find new ones then (EC2 User Guide: "at least five minutes before").
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn of(&self, holder: &Holder, now: i64) -> io::Result<Session> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        // Expired ones are known for a while, to be told apart from those that never were.
        issued.retain(|_, session| now - session.expires < self.life);
        let fresh = |session: &&Session| session.holder == *holder && session.expires - now > self.life / 6;
        if let Some(session) = issued.values().filter(fresh).max_by_key(|session| session.expires) {
            return Ok(session.clone());
        }
        let session = Session {
            credentials: Credentials::random("LOCALROLE")?,
            token: token()?,
            holder: holder.clone(),
            issued: now,
            expires: now.saturating_add(self.life),
        };
        issued.insert(session.credentials.access_key_id.clone(), session.clone());
        Ok(session)
    }

    /// The session that an access key belongs to, expired or not.
    #[must_use]
    pub fn find(&self, access_key_id: &str) -> Option<Session> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).get(access_key_id).cloned()
    }
}

/// As long as it takes not to be guessed, in letters that need no escapes.
fn token() -> io::Result<String> {
    let mut bytes = [0_u8; 48];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let mut text = String::from("LocalSession");
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_keeps_his_credentials_until_their_end_is_near() {
        let sessions = Sessions::lasting(Duration::from_mins(10));
        let holder = |session: &str| Holder { role: "trainer".to_owned(), session: session.to_owned() };
        let first = sessions.of(&holder("i-1"), 1000).unwrap();
        assert_eq!((first.issued, first.expires), (1000, 1600));
        let key = |session: Session| session.credentials.access_key_id;
        assert_eq!(key(sessions.of(&holder("i-1"), 1499).unwrap()), key(first.clone()));
        assert_ne!(key(sessions.of(&holder("i-2"), 1000).unwrap()), key(first.clone()));
        let second = sessions.of(&holder("i-1"), 1500).unwrap();
        assert_ne!(key(second.clone()), key(first.clone()));
        assert_ne!(second.token, first.token);
        assert_eq!(sessions.find(&key(first.clone())).unwrap().holder, holder("i-1"));
        let _ = sessions.of(&holder("i-3"), 2200).unwrap();
        assert!(sessions.find(&key(first)).is_none(), "forgotten long after its end");
        assert!(sessions.find("LOCALROLEX").is_none());
    }
}
