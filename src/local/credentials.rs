//! The pair of keys that the region belongs to: made once, kept in its folder. Beside it, only temporary ones are accepted
//! (`sessions`).

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// An access key: the id is public, the secret is what makes a request ours.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    pub access_key_id: String,
    pub secret_access_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Credentials {
    /// New ones: an id that begins with this prefix, and a secret of 256 bits.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub(super) fn random(prefix: &str) -> io::Result<Self> {
        let mut bytes = [0_u8; 42];
        getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
        let (secret, id) = bytes.split_at(32);
        // Real key ids begin with AKIA or ASIA; these cannot be mistaken for them.
        let letter = |byte: &u8| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]);
        let id: String = prefix.chars().chain(id.iter().map(letter)).chain("FP".chars()).collect();
        Ok(Self { access_key_id: id, secret_access_key: hex::encode(secret) })
    }
}

/// Reads the credentials that the region in this folder accepts, to attach to it.
///
/// # Errors
/// When there is no region there yet (`NotFound`), or it belongs to another user.
pub fn read_credentials(folder: &Path) -> io::Result<Credentials> {
    let text = fs::read_to_string(folder.join(FILE))?;
    serde_json::from_str(&text).map_err(|error| {
        let text = format!("{} is damaged ({error}): remove it and a new one is made", folder.join(FILE).display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}

/// The credentials of the folder, made when there are none: a 256-bit secret, in a file that only its owner can read.
pub(super) fn ensure(folder: &Path) -> io::Result<Credentials> {
    match read_credentials(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    let credentials = Credentials::random("LOCALKEY")?;
    let temporary = folder.join("credentials.new");
    fs::remove_file(&temporary).or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(serde_json::to_string(&credentials).map_err(io::Error::from)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(FILE))?;
    Ok(credentials)
}

const FILE: &str = "credentials.json";
