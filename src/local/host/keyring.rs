//! The public keys that EC2 Instance Connect pushed: each opens one user of one instance for a minute.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;

/// How long a pushed key may be used to log in (EC2 user guide, "EC2 Instance Connect": 60 seconds).
const VALIDITY: Duration = Duration::from_mins(1);

/// The pushed keys of all instances.
pub struct Keyring {
    validity: Duration,
    /// By instance and user, each with the time when it goes out of use.
    keys: Mutex<HashMap<Door, Vec<(KeyData, Instant)>>>,
}

/// An instance and a user.
type Door = (String, String);

impl Default for Keyring {
    fn default() -> Self {
        Self::lasting(VALIDITY)
    }
}

impl Keyring {
    /// A keyring whose keys last for another time than the service's minute.
    #[must_use]
    pub fn lasting(validity: Duration) -> Self {
        Self { validity, keys: Mutex::default() }
    }

    /// Admits a key (a line as in `authorized_keys`) from now on for its time; one that is there already gets its time
    /// anew. Says false, and admits nothing, when the text is no public key.
    pub fn push(&self, instance: &str, user: &str, public_key: &str) -> bool {
        let Ok(key) = PublicKey::from_openssh(public_key.trim()) else { return false };
        let now = Instant::now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        for kept in keys.values_mut() {
            kept.retain(|(_, until)| *until > now);
        }
        keys.retain(|_, kept| !kept.is_empty());
        let kept = keys.entry((instance.to_owned(), user.to_owned())).or_default();
        kept.retain(|(other, _)| other != key.key_data());
        kept.push((key.key_data().clone(), now + self.validity));
        true
    }

    /// Whether this key opens that user of that instance now. Only for logging in: a session that is open stays open.
    #[must_use]
    pub fn accepts(&self, instance: &str, user: &str, key: &PublicKey) -> bool {
        let now = Instant::now();
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = keys.get(&(instance.to_owned(), user.to_owned()));
        kept.is_some_and(|kept| kept.iter().any(|(other, until)| other == key.key_data() && *until > now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::{Algorithm, PrivateKey, key::safe_rng};

    fn key() -> PublicKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).expect("a key").public_key().clone()
    }

    #[test]
    fn a_key_opens_one_user_of_one_instance() {
        let (keyring, pushed) = (Keyring::default(), key());
        assert!(keyring.push("i-1", "ubuntu", &pushed.to_openssh().expect("text")));
        assert!(keyring.accepts("i-1", "ubuntu", &pushed));
        for (instance, user, key) in [("i-2", "ubuntu", &pushed), ("i-1", "root", &pushed), ("i-1", "ubuntu", &key())] {
            assert!(!keyring.accepts(instance, user, key));
        }
        assert!(!keyring.push("i-1", "ubuntu", "ssh-ed25519 nonsense"));
    }

    #[test]
    fn a_key_goes_out_of_use() {
        let (keyring, pushed) = (Keyring::lasting(Duration::ZERO), key());
        keyring.push("i-1", "ubuntu", &pushed.to_openssh().expect("text"));
        assert!(!keyring.accepts("i-1", "ubuntu", &pushed));
    }
}
