//! The login to an instance, for whichever command has something to do there.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

use super::ask;
use super::orders::number;
use super::session::Session;
use crate::aws::with_order;
use crate::model::{Failure, FailureKind, ItemId, Verb, command};
use crate::resource::{self, Ask, Resource};
use crate::ssh::{Connection, Login, Manner, Offered};

/// Whom to log in to, and how.
pub struct Wanted<'a> {
    /// Its id or name.
    pub instance: &'a str,
    /// The fingerprint of the host key that the user takes, of a machine that is not known.
    pub accepted: Option<&'a str>,
    /// It takes the place of the key that is pinned.
    pub renews: bool,
    pub manner: Manner,
}

/// The machines: what one can have a terminal on.
///
/// # Errors
/// When this build has none.
pub fn machines() -> Result<&'static dyn Resource, Failure> {
    let has_shell = |resource: &&dyn Resource| resource.spec().verbs.contains(&Verb::Shell);
    let found = resource::ALL.iter().copied().find(has_shell);
    found.ok_or_else(|| Failure::new(FailureKind::Invalid, "this footplate knows no machines", ""))
}

/// Logs in to the instance. Where nothing vouches for its host key the user is asked, or told the flag.
///
/// # Errors
/// When the instance does not exist or cannot be reached; `Refused` for a host key that is not known or not the pinned one.
pub async fn connect(session: &Session, wanted: &Wanted<'_>) -> Result<Connection, Failure> {
    let stranger: Arc<Mutex<Option<Offered>>> = Arc::default();
    let open = async {
        let id = ItemId(wanted.instance.to_owned());
        let mut door = machines()?.door(Arc::clone(&session.aws), id, ask_with(wanted.accepted, &stranger)).await?;
        match wanted.accepted {
            Some(accepted) if wanted.renews => door.login.pins = door.login.pins.renewing(accepted),
            Some(accepted) => as_pinned(&door.login, accepted)?,
            None => {}
        }
        Connection::open_in(&door.login, door.doorman.as_ref(), &wanted.manner).await
    };
    let opened = with_order(number()?, open).await;
    let unknown = stranger.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (opened, unknown) {
        (Err(failure), Some(offered)) if failure.kind == FailureKind::Cancelled => Err(Failure::new(
            FailureKind::Refused,
            format!(
                "the host key of {} is not known, and nothing vouches for it ({}): {} {}",
                offered.machine, offered.known, offered.algorithm, offered.fingerprint
            ),
            format!("If it is the right one, add --accept-host-key {}", offered.fingerprint),
        )),
        (opened, _) => opened,
    }
}

/// Reads a host key's fingerprint as OpenSSH writes it: `SHA256:` and 43 letters of base64.
///
/// # Errors
/// Anything else.
pub fn fingerprint(text: &str) -> Result<String, String> {
    let digest = text.strip_prefix("SHA256:").unwrap_or_default();
    if digest.len() == 43 && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte)) {
        return Ok(text.to_owned());
    }
    Err("must be a fingerprint as ssh-keygen -l shows it: SHA256: and 43 letters and digits".to_owned())
}

/// Refuses to go on when the key that is wanted is not the one that is pinned: that one alone would be let in.
fn as_pinned(login: &Login, accepted: &str) -> Result<(), Failure> {
    let other = login.pins.look(&login.machine)?.filter(|pin| pin.fingerprint() != accepted);
    other.map_or(Ok(()), |pin| {
        Err(Failure::new(
            FailureKind::Refused,
            format!("another host key is pinned for {}: {}", login.machine, pin.fingerprint()),
            format!(
                "If it has a new one: {}",
                command(&format!("ssh {} --forget-host-key --accept-host-key {accepted}", login.machine.instance))
            ),
        ))
    })
}

/// Answers the question about a host key: by the flag, by the user, or not at all; then it is noted.
fn ask_with(accepted: Option<&str>, stranger: &Arc<Mutex<Option<Offered>>>) -> Ask {
    let (accepted, stranger) = (accepted.map(str::to_owned), Arc::clone(stranger));
    Arc::new(move |offered: Offered| {
        let (accepted, stranger) = (accepted.clone(), Arc::clone(&stranger));
        Box::pin(async move {
            if let Some(accepted) = accepted {
                let right = accepted == offered.fingerprint.as_str();
                if !right {
                    *stranger.lock().unwrap_or_else(PoisonError::into_inner) = Some(offered);
                }
                return right;
            }
            let question = format!(
                "The host key of {} is not known, and nothing vouches for it:\n  {}\n  {} {}\nTrust it from now on?",
                offered.machine, offered.known, offered.algorithm, offered.fingerprint
            );
            let on_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
            let trusted =
                on_terminal && tokio::task::spawn_blocking(move || ask::confirm(&question, false).is_ok()).await.unwrap_or(false);
            if !trusted {
                *stranger.lock().unwrap_or_else(PoisonError::into_inner) = Some(offered);
            }
            trusted
        })
    })
}
