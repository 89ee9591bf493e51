//! Is this the machine it should be? Its pin, else the console output, else the user; any contradiction is a hard stop.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};

use super::pins::Pin;
use super::{Doorman, Login, Offered};
use crate::model::{Failure, FailureKind, Safe, command};

/// The kinds of host key we take, best first. No RSA: of the images we launch, all have these; and SHA-1 is never taken.
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// What is known of a machine's key before it is asked.
pub(super) struct Knowledge {
    pinned: Option<Pin>,
    console: Vec<PublicKey>,
    /// Why the console says nothing.
    silent: Safe,
}

impl Knowledge {
    /// What the pins say; without a pin, what the console output says.
    pub(super) async fn gather(login: &Login, doorman: &dyn Doorman) -> Result<Self, Failure> {
        let pinned = login.pins.look(&login.machine)?;
        if pinned.is_some() {
            return Ok(Self { pinned, console: Vec::new(), silent: Safe::default() });
        }
        // Who may not read the console is asked to decide, not turned away.
        let (lines, silent) = match doorman.expected_host_keys().await {
            Ok(lines) => (lines, Safe::line("the console output has no host keys yet; it comes minutes after the start")),
            Err(failure) => (Vec::new(), Safe::line(&format!("the console output cannot be read: {}", failure.what))),
        };
        let console = lines.iter().filter_map(|line| PublicKey::from_openssh(line).ok()).collect();
        Ok(Self { pinned, console, silent })
    }

    /// The kinds of key to ask for: those that are known first, so that a machine with several shows the one we can check.
    /// The others stay in the list: a machine that has only those is one that changed, and that is to be said as such.
    pub(super) fn algorithms(&self) -> Cow<'static, [Algorithm]> {
        let known: Vec<Algorithm> = match &self.pinned {
            Some(pin) => PublicKey::from_openssh(&pin.key).iter().map(PublicKey::algorithm).collect(),
            None => self.console.iter().map(PublicKey::algorithm).collect(),
        };
        let (first, then): (Vec<_>, Vec<_>) = ALGORITHMS.into_iter().partition(|algorithm| known.contains(algorithm));
        Cow::Owned(first.into_iter().chain(then).collect())
    }

    /// The verdict on the key that the server has proven to hold. A key that is vouched for is pinned.
    pub(super) async fn judge(
        &self,
        offered: &PublicKey,
        server: &Safe,
        login: &Login,
        doorman: &dyn Doorman,
    ) -> Result<(), Failure> {
        let bare = PublicKey::from(offered.key_data().clone());
        if login.pins.renews(&fingerprint(offered)) {
            let key = bare.to_openssh().map_err(|error| unreadable(login, &error))?;
            return login.pins.renew(Pin { machine: login.machine.clone(), key, vouched: "the user".to_owned() });
        }
        if let Some(pin) = &self.pinned {
            return match PublicKey::from_openssh(&pin.key) {
                Ok(key) if key.key_data() == offered.key_data() => Ok(()),
                Ok(key) => Err(changed(login, &key, offered)),
                Err(error) => Err(unreadable(login, &error)),
            };
        }
        let vouched = if self.console.is_empty() {
            let about = Offered {
                machine: login.machine.clone(),
                algorithm: Safe::line(offered.algorithm().as_str()),
                fingerprint: Safe::line(&fingerprint(offered)),
                server: server.clone(),
                known: self.silent.clone(),
            };
            if !doorman.trust(&about).await? {
                let what = format!("the host key of {} was not trusted", login.machine.instance);
                return Err(Failure::new(FailureKind::Cancelled, what, "nothing was sent to it"));
            }
            "the user"
        } else if self.console.iter().any(|key| key.key_data() == offered.key_data()) {
            "console output"
        } else {
            return Err(contradicted(login, &self.console, offered));
        };
        let key = bare.to_openssh().map_err(|error| unreadable(login, &error))?;
        login.pins.pin(Pin { machine: login.machine.clone(), key, vouched: vouched.to_owned() })
    }
}

/// `SHA256:…`, as `ssh-keygen -l` shows it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn named(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm().as_str(), fingerprint(key))
}

/// The command that forgets its pin.
fn forgetting(login: &Login) -> String {
    command(&format!("ssh {} --forget-host-key", login.machine.instance))
}

fn unreadable(login: &Login, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        FailureKind::Refused,
        format!("the host key cannot be compared: {error}"),
        format!("forget it: {}", forgetting(login)),
    )
}

fn changed(login: &Login, pinned: &PublicKey, offered: &PublicKey) -> Failure {
    let machine = &login.machine;
    let what = format!(
        "THE HOST KEY OF {} HAS CHANGED. Nothing was sent to it.\npinned:  {}\noffered: {}\n\
         An instance keeps its host key for as long as it exists, also when it is stopped and started. Either something stands between \
         here and the instance and would read all that you type, or somebody made new host keys on it.",
        machine.instance,
        named(pinned),
        named(offered)
    );
    let hint = format!(
        "find out who changed it. Only if you know that it was rightly changed, forget the pinned key: {} (in {}; with --local or \
         --profile if you use them)",
        forgetting(login),
        machine.region
    );
    Failure::new(FailureKind::Refused, what, hint)
}

fn contradicted(login: &Login, console: &[PublicKey], offered: &PublicKey) -> Failure {
    let theirs: Vec<String> = console.iter().map(named).collect();
    let what = format!(
        "WHAT ANSWERS IS NOT {}: its host key is none of those that the instance printed on its console. Nothing was sent to it.\n\
         console: {}\noffered: {}",
        login.machine.instance,
        theirs.join("\n         "),
        named(offered)
    );
    let hint = format!(
        "see that the address is the instance's. If it is, something stands between here and the instance, or its host keys were \
         made anew after it started. Only if you know that: {} --accept-host-key with what ssh-keygen -lf says on the instance",
        forgetting(login)
    );
    Failure::new(FailureKind::Refused, what, hint)
}
