//! An instance's host keys: made at its first boot, kept in its folder over stop and start.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PrivateKey};

/// The keys that cloud images make, in the order of their files in `/etc/ssh`; RSA is left out, as the client has none.
const KINDS: [(&str, &str, Algorithm); 2] = [
    ("ssh_host_ecdsa_key", "ECDSA", Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 }),
    ("ssh_host_ed25519_key", "ED25519", Algorithm::Ed25519),
];

/// The keys of one instance.
pub struct HostKeys(Vec<PrivateKey>);

impl HostKeys {
    /// Reads the keys in a folder (`etc/ssh` of the instance), making those that are not there (0600).
    ///
    /// # Errors
    /// When the folder cannot be used, or what is in it is not a key.
    pub fn ensure(folder: &Path, host: &str) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        KINDS.iter().map(|(file, _, algorithm)| ensure(&folder.join(file), algorithm, host)).collect::<io::Result<_>>().map(Self)
    }

    /// The keys for the server.
    #[must_use]
    pub fn private(&self) -> Vec<PrivateKey> {
        self.0.clone()
    }

    /// What cloud-init prints on the console at first boot (its `tools/write-ssh-key-fingerprints`): the fingerprints
    /// through logger(1), and the keys themselves. `stamp` is the time as logger writes it.
    #[must_use]
    pub fn block(&self, stamp: &str) -> String {
        const RULE: &str = "#############################################################";
        let mut logged = vec![String::new(), RULE.to_owned(), "-----BEGIN SSH HOST KEY FINGERPRINTS-----".to_owned()];
        for (key, (_, kind, _)) in self.0.iter().zip(&KINDS) {
            logged.push(format!("256 {} {} ({kind})", key.fingerprint(HashAlg::Sha256), key.comment()));
        }
        logged.extend(["-----END SSH HOST KEY FINGERPRINTS-----".to_owned(), RULE.to_owned()]);
        let mut text = logged.iter().fold(String::new(), |text, line| text + "<14>" + stamp + " cloud-init: " + line + "\n");
        text.push_str("-----BEGIN SSH HOST KEY KEYS-----\n");
        for key in &self.0 {
            text.push_str(&key.public_key().to_openssh().unwrap_or_default());
            text.push('\n');
        }
        text.push_str("-----END SSH HOST KEY KEYS-----\n");
        text
    }
}

fn ensure(path: &Path, algorithm: &Algorithm, host: &str) -> io::Result<PrivateKey> {
    match fs::read(path) {
        Ok(pem) => PrivateKey::from_openssh(pem)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path, algorithm, host),
        Err(error) => Err(error),
    }
}

fn make(path: &Path, algorithm: &Algorithm, host: &str) -> io::Result<PrivateKey> {
    let mut key = PrivateKey::random(&mut safe_rng(), algorithm.clone()).map_err(io::Error::other)?;
    key.set_comment(format!("root@{host}"));
    let pem = key.to_openssh(LineEnding::LF).map_err(io::Error::other)?;
    // Whole or not at all: a key cut short by a full disk would keep the instance from ever starting.
    let unfinished = path.with_extension("new");
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(pem.as_bytes())?;
    fs::rename(unfinished, path)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn keys_are_kept_and_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = HostKeys::ensure(folder.path(), "ip-172-31-0-5").expect("keys");
        let block = first.block("Nov 22 17:04:17");
        assert_eq!(HostKeys::ensure(folder.path(), "other").expect("keys").block("Nov 22 17:04:17"), block);
        assert!(block.contains("\nssh-ed25519 AAAA") && block.contains("\necdsa-sha2-nistp256 AAAA"));
        assert!(block.contains("cloud-init: 256 SHA256:") && block.contains("root@ip-172-31-0-5 (ED25519)"));
        let other = tempfile::tempdir().expect("a folder");
        assert_ne!(HostKeys::ensure(other.path(), "ip-172-31-0-5").expect("keys").block("Nov 22 17:04:17"), block);
        for (file, ..) in KINDS {
            let mode = fs::metadata(folder.path().join(file)).expect("the file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }
}
