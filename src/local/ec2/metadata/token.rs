//! The session tokens of the metadata service. They are not kept: each says when it ends, and is sealed by a key that lives as
//! long as the machine, so that no number of them fills anything.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// How long a token may be asked for, in seconds (EC2 User Guide: "1 second to a maximum of 6 hours").
const TTL: std::ops::RangeInclusive<u32> = 1..=21_600;

/// What makes tokens, and knows its own.
pub struct Tokens([u8; 32]);

impl Tokens {
    /// With a new key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn new() -> io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        Ok(Self(key))
    }

    /// A token that is good for so many seconds from now; none when that is not offered.
    #[must_use]
    pub fn issue(&self, ttl: u32) -> Option<String> {
        TTL.contains(&ttl).then(|| self.sealed(now() + u64::from(ttl) * 1000))
    }

    /// Whether this is a token of ours whose time has not come.
    #[must_use]
    pub fn accepts(&self, token: &[u8]) -> bool {
        let bytes = STANDARD.decode(token).unwrap_or_default();
        let Some(end) = bytes.first_chunk().map(|end| u64::from_be_bytes(*end)) else { return false };
        bool::from(self.sealed(end).as_bytes().ct_eq(token)) && now() < end
    }

    /// The end, in epoch milliseconds, and its seal: fifty-six letters, as the service's have.
    fn sealed(&self, end: u64) -> String {
        let mut bytes = end.to_be_bytes().to_vec();
        // HMAC takes keys of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) {
            mac.update(&bytes);
            bytes.extend(mac.finalize().into_bytes());
        }
        STANDARD.encode(bytes)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_until_its_end_and_nobody_elses() {
        let tokens = Tokens::new().unwrap();
        let token = tokens.issue(21_600).unwrap();
        assert_eq!(token.len(), 56);
        assert!(tokens.accepts(token.as_bytes()));
        assert!(!Tokens::new().unwrap().accepts(token.as_bytes()));
        assert!(!tokens.accepts(tokens.sealed(now()).as_bytes()), "over");
        let mut longer = STANDARD.decode(&token).unwrap();
        longer[2] ^= 1;
        for wrong in [STANDARD.encode(longer), token[..40].to_owned(), String::new(), "ä".repeat(56)] {
            assert!(!tokens.accepts(wrong.as_bytes()), "{wrong}");
        }
        assert!([0, 21_601, u32::MAX].into_iter().all(|ttl| tokens.issue(ttl).is_none()));
    }
}
