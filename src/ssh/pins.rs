//! Which machine has which host key: the memory that makes a changed key a hard stop.
//!
//! Not OpenSSH's `known_hosts`: that goes by addresses, which EC2 hands on, and a known host that offers a key of another
//! algorithm is taken for unknown by russh's reader. Here it goes by account, region and instance id, and any other key is
//! a change. A file that cannot be read is a refusal, never an empty memory.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};
use russh::keys::PublicKey;
use serde::{Deserialize, Serialize};

use super::Machine;
use super::hostkey::fingerprint;
use crate::model::{Failure, FailureKind};

/// The largest file we take for ours: some 30,000 machines.
const LARGEST: u64 = 8 << 20;
const VERSION: u32 = 1;

/// The pinned host keys, in a file that only the user may read. It is read for each question, so that another cockpit's
/// pins count at once.
#[derive(Clone, Debug)]
pub struct Pins {
    path: PathBuf,
    /// The fingerprint that the user has named for a machine whose key has changed.
    renewed: Option<String>,
}

/// One machine's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    #[serde(flatten)]
    pub machine: Machine,
    /// The key as a line in the form of OpenSSH, without comment.
    pub key: String,
    /// What vouched for it: `console output` or `the user`.
    pub vouched: String,
}

impl Pin {
    /// `SHA256:…`, as `ssh-keygen -l` shows it; empty for what is no key.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        PublicKey::from_openssh(&self.key).map_or_else(|_| String::new(), |key| fingerprint(&key))
    }
}

#[derive(Serialize, Deserialize)]
struct Sheet {
    version: u32,
    pins: Vec<Pin>,
}

impl Pins {
    /// The pins in this file; it is made with the first pin. Checks at once that it can be used.
    ///
    /// # Errors
    /// `Refused` when the file is there and cannot be read, is not ours, or others may write to it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Failure> {
        let pins = Self { path: path.into(), renewed: None };
        pins.read()?;
        Ok(pins)
    }

    /// The key that is pinned for this machine.
    ///
    /// # Errors
    /// `Refused` when the file cannot be read.
    pub fn look(&self, machine: &Machine) -> Result<Option<Pin>, Failure> {
        Ok(self.read()?.remove(machine))
    }

    /// Pins a key. A machine that has one already keeps it: forgetting is a decision of its own.
    ///
    /// # Errors
    /// `Refused` when the machine has another key, or the file cannot be read; `Machine` when it cannot be written.
    pub(super) fn pin(&self, pin: Pin) -> Result<(), Failure> {
        self.change(|pins| match pins.get(&pin.machine) {
            Some(there) if there.key != pin.key => {
                let what = format!("another host key was pinned for {} meanwhile", pin.machine);
                Err(Failure::new(FailureKind::Refused, what, "connect again: it is checked against that one"))
            }
            _ => {
                pins.insert(pin.machine.clone(), pin);
                Ok(())
            }
        })
    }

    /// The same pins, where a key with this fingerprint (`SHA256:…`) takes the place of whatever was pinned or printed on the
    /// console: the user has named it, so the user vouches for it. Any other key stays a hard stop.
    #[must_use]
    pub fn renewing(mut self, fingerprint: &str) -> Self {
        self.renewed = Some(fingerprint.to_owned());
        self
    }

    /// Whether the user has named this fingerprint.
    pub(super) fn renews(&self, fingerprint: &str) -> bool {
        self.renewed.as_deref() == Some(fingerprint)
    }

    /// Pins a key in place of another.
    ///
    /// # Errors
    /// `Refused` when the file cannot be read; `Machine` when it cannot be written.
    pub(super) fn renew(&self, pin: Pin) -> Result<(), Failure> {
        self.change(|pins| {
            pins.insert(pin.machine.clone(), pin);
            Ok(())
        })
    }

    /// Forgets a machine's key, and says whether there was one. The next connection is as the first.
    ///
    /// # Errors
    /// `Refused` when the file cannot be read; `Machine` when it cannot be written.
    pub fn forget(&self, machine: &Machine) -> Result<bool, Failure> {
        self.change(|pins| Ok(pins.remove(machine).is_some()))
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<Machine, Pin>) -> Result<T, Failure>) -> Result<T, Failure> {
        let unwritable = |error: io::Error| {
            let what = format!("the host key cannot be remembered: {}: {error}", self.path.display());
            Failure::new(
                FailureKind::Machine,
                what,
                "make room, and see that the folder can be written to; without it there is no login",
            )
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
        let lock = private().create(true).write(true).truncate(false).open(self.beside("lock")).map_err(unwritable)?;
        // Released when it is dropped.
        let _turn = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| unwritable(errno.into()))?;
        let mut pins = self.read()?;
        let before = pins.clone();
        let said = change(&mut pins)?;
        if pins != before {
            self.write(pins.into_values().collect()).map_err(unwritable)?;
        }
        Ok(said)
    }

    fn read(&self) -> Result<BTreeMap<Machine, Pin>, Failure> {
        let refused = |why: &dyn std::fmt::Display| {
            let what = format!("the pinned host keys in {} cannot be used: {why}", self.path.display());
            Failure::new(FailureKind::Refused, what, "mend the file; to remove it forgets every machine's host key")
        };
        let file = match private().read(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(refused(&error)),
        };
        let about = file.metadata().map_err(|error| refused(&error))?;
        if !about.is_file() {
            return Err(refused(&"it is not a file"));
        }
        if about.mode() & 0o022 != 0 {
            return Err(refused(&"others may write to it (chmod 600)"));
        }
        let mut text = String::new();
        file.take(LARGEST).read_to_string(&mut text).map_err(|error| refused(&error))?;
        let sheet: Sheet = serde_json::from_str(&text).map_err(|error| refused(&error))?;
        if sheet.version != VERSION {
            return Err(refused(&format!("it was written by another footplate (version {})", sheet.version)));
        }
        let mut pins = BTreeMap::new();
        for pin in sheet.pins {
            PublicKey::from_openssh(&pin.key).map_err(|error| refused(&format!("{}: {error}", pin.machine)))?;
            if let Some(twin) = pins.insert(pin.machine.clone(), pin) {
                return Err(refused(&format!("{} is in it twice", twin.machine)));
            }
        }
        Ok(pins)
    }

    /// In one step: a reader sees the old or the new file, never a part.
    fn write(&self, pins: Vec<Pin>) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(&Sheet { version: VERSION, pins })?;
        let fresh = self.beside("new");
        // Left over from a crash; we hold the lock.
        let _ = fs::remove_file(&fresh);
        let written = private().write(true).create_new(true).open(&fresh).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &self.path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&fresh);
            return written;
        }
        // The rename lasts once the folder is written; where a folder cannot be synced, so be it.
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".");
        name.push(ending);
        self.path.with_file_name(name)
    }
}

/// A file that only the user may read, and that is not reached through a planted link.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600).custom_flags(OFlag::O_NOFOLLOW.bits());
    options
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn machine(instance: &str) -> Machine {
        Machine { account: "111122223333".into(), region: "us-east-1".into(), instance: instance.into() }
    }

    fn pin(instance: &str, key: &str) -> Pin {
        Pin { machine: machine(instance), key: key.into(), vouched: "the user".into() }
    }

    #[test]
    fn a_pin_outlives_the_process_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/host-keys.json");
        let pins = Pins::open(&path).unwrap();
        assert_eq!(pins.look(&machine("i-1")).unwrap(), None);
        pins.pin(pin("i-1", KEY)).unwrap();
        assert_eq!(Pins::open(&path).unwrap().look(&machine("i-1")).unwrap().unwrap().key, KEY);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
        let elsewhere = Machine { region: "eu-west-1".into(), ..machine("i-1") };
        assert_eq!(pins.look(&elsewhere).unwrap(), None, "another region is another machine");
    }

    #[test]
    fn a_pin_is_not_replaced_but_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let pins = Pins::open(folder.path().join("pins")).unwrap();
        pins.pin(pin("i-1", KEY)).unwrap();
        pins.pin(pin("i-2", OTHER)).unwrap();
        assert_eq!(pins.pin(pin("i-1", OTHER)).unwrap_err().kind, FailureKind::Refused);
        assert!(pins.forget(&machine("i-1")).unwrap());
        assert!(!pins.forget(&machine("i-1")).unwrap());
        pins.pin(pin("i-1", OTHER)).unwrap();
        assert_eq!(pins.look(&machine("i-2")).unwrap().unwrap().key, OTHER);
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_never_taken_for_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pins");
        let good = Pins::open(&path).unwrap();
        good.pin(pin("i-1", KEY)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for bad in [
            "",
            "{",
            "[]",
            &text[..text.len() / 2],
            &text.replace("\"version\": 1", "\"version\": 2"),
            &text.replace("AAAAC3", "AAAA!3"),
        ] {
            fs::write(&path, bad).unwrap();
            assert_eq!(good.look(&machine("i-1")).unwrap_err().kind, FailureKind::Refused, "{bad}");
            assert_eq!(good.pin(pin("i-9", KEY)).unwrap_err().kind, FailureKind::Refused, "{bad}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad, "it is left as it is");
        }
        fs::write(&path, &text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(good.look(&machine("i-1")).unwrap_err().what.as_str().contains("others may write"));
        fs::remove_file(&path).unwrap();
        symlink("/etc/hostname", &path).unwrap();
        assert_eq!(Pins::open(&path).unwrap_err().kind, FailureKind::Refused);
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let pins = Pins::open(folder.path().join("pins")).unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let pins = pins.clone();
                scope.spawn(move || pins.pin(pin(&format!("i-{n}"), KEY)).unwrap());
            }
        });
        assert_eq!(pins.read().unwrap().len(), 8);
    }
}
