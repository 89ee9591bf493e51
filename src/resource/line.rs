//! Lines to instances: one SSH connection each, held and shared by all that looks at the instance (its runs, their logs, its
//! gauges). Opened through the instance's door; one that has ended is replaced when it is next needed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};

use super::Ask;
use crate::aws::Aws;
use crate::model::{Failure, FailureKind, ItemId, Progress, command};
use crate::ssh::{Bounds, Connection, Files, Manner, Offered, Ran};

const MEMO: &str = "lines";
/// Scripts at once on one line.
const SESSIONS: usize = 8;

/// One slot per instance: who needs a line while it is being opened waits for it.
type Slots = HashMap<String, Arc<Mutex<Option<Line>>>>;

/// A connection to an instance, for scripts and small files. It stays open for as long as one handle of it is held.
#[derive(Clone)]
pub(in crate::resource) struct Line(Wire);

#[derive(Clone)]
enum Wire {
    /// With turns: OpenSSH lets ten sessions into one connection (`MaxSessions`).
    Ssh(Connection, Arc<Semaphore>),
    /// This machine, with a home folder of its own: what scripts do is tested against a real shell.
    #[cfg(test)]
    Here(std::path::PathBuf),
}

/// The line to an instance, opened when there is none or it has ended.
///
/// # Errors
/// As the instance's door says; `Refused` when nothing vouches for its host key.
pub(in crate::resource) async fn line(aws: &Aws, instance: &ItemId) -> Result<Line, Failure> {
    let slot = slot(aws, instance);
    let mut held = slot.lock().await;
    if let Some(line) = held.as_ref().filter(|line| line.is_alive()) {
        return Ok(line.clone());
    }
    *held = None;
    let line = over(&open(aws, instance, &Manner::talk()).await?);
    *held = Some(line.clone());
    Ok(line)
}

/// The files of an instance, by a connection of their own: what is carried there does not hold up the line.
///
/// # Errors
/// As [`line()`]; when the machine has no SFTP.
pub(in crate::resource) async fn files(aws: &Aws, instance: &ItemId) -> Result<Files, Failure> {
    open(aws, instance, &Manner::bulk()).await?.files().await
}

/// The line to an instance if there is one that stands; opens none and waits for none.
pub(in crate::resource) fn held(aws: &Aws, instance: &ItemId) -> Option<Line> {
    let slot = slot(aws, instance);
    let held = slot.try_lock().ok()?;
    held.as_ref().filter(|line| line.is_alive()).cloned()
}

/// A connection that somebody else has opened, as a line.
pub(in crate::resource) fn over(connection: &Connection) -> Line {
    Line(Wire::Ssh(connection.clone(), Arc::new(Semaphore::new(SESSIONS))))
}

/// What is behind a failure of the line: of an instance that does not run any more its state is told, with the remedy.
pub(in crate::resource) async fn explained(aws: &Aws, instance: &ItemId, failure: Failure) -> Failure {
    if !matches!(failure.kind, FailureKind::Network | FailureKind::Timeout) {
        return failure;
    }
    match super::instances::runs_now(aws, instance.as_str()).await {
        Err(state) if matches!(state.kind, FailureKind::Conflict | FailureKind::NotFound) => state,
        // That it cannot be told does not make the failure another one.
        _ => failure,
    }
}

fn slot(aws: &Aws, instance: &ItemId) -> Arc<Mutex<Option<Line>>> {
    aws.memo(MEMO, |slots: &mut Slots| Arc::clone(slots.entry(instance.as_str().to_owned()).or_default()))
}

/// Opens a connection by the instance's door where nobody is there to be asked: a host key that nothing vouches for is turned
/// away.
async fn open(aws: &Aws, instance: &ItemId, manner: &Manner) -> Result<Connection, Failure> {
    let Some(aws) = aws.shared() else {
        return Err(Failure::new(FailureKind::Cancelled, "footplate is being left", ""));
    };
    let instances =
        super::find("instances").ok_or_else(|| Failure::new(FailureKind::Invalid, "this build knows no instances", ""))?;
    let unknown: Arc<OnceLock<Offered>> = Arc::default();
    let seen = Arc::clone(&unknown);
    let ask: Ask = Arc::new(move |offered| {
        // The first one that is asked about is the one that is told of.
        let _ = seen.set(offered);
        Box::pin(std::future::ready(false))
    });
    let door = instances.door(aws, instance.clone(), ask).await?;
    let opened = Connection::open_in(&door.login, &*door.doorman, manner).await;
    opened.map_err(|failure| match unknown.get() {
        Some(offered) => Failure::new(
            FailureKind::Refused,
            format!("nothing vouches for the host key of {}: {} {}", instance.as_str(), offered.algorithm, offered.fingerprint),
            format!(
                "open a terminal on it with s (or {}) first, and check its key there",
                command(&format!("ssh {}", instance.as_str()))
            ),
        ),
        None => failure,
    })
}

impl Line {
    fn is_alive(&self) -> bool {
        match &self.0 {
            Wire::Ssh(connection, _) => connection.is_alive(),
            #[cfg(test)]
            Wire::Here(_) => true,
        }
    }

    /// Runs a script of bash with these arguments, and gives it `input`.
    ///
    /// # Errors
    /// When the line is lost or the script does not end within a minute. That it failed is no error: see [`Ran::status`].
    pub async fn script(&self, script: &str, arguments: &[&str], input: Option<Vec<u8>>) -> Result<Ran, Failure> {
        let words = arguments.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
        let command = format!("exec bash -c {} footplate {words}", quoted(script));
        match &self.0 {
            Wire::Ssh(connection, turns) => {
                // It is never closed, so there always is a turn.
                let _turn = turns.acquire().await.ok();
                // A large input takes its time on a slow line.
                let more = input.as_ref().map_or(0, Vec::len) as u64 / 50_000;
                let bounds = Bounds { time: Duration::from_secs(60 + more), ..Bounds::default() };
                connection.run_within(&command, input, bounds).await
            }
            #[cfg(test)]
            Wire::Here(home) => here(home, &command, input).await,
        }
    }

    /// Runs a script that has to succeed, and returns what it said.
    ///
    /// # Errors
    /// As [`Line::script`]; `Service` when it failed, with what it said.
    pub async fn told(&self, doing: &str, script: &str, arguments: &[&str], input: Option<Vec<u8>>) -> Result<String, Failure> {
        let ran = self.script(script, arguments, input).await?;
        if ran.status == Some(0) {
            return Ok(String::from_utf8_lossy(&ran.out).into_owned());
        }
        Err(failed(doing, &ran))
    }
}

impl Line {
    /// Sends a file by a connection of its own; what broke off is continued. Paths there are relative to the home folder.
    ///
    /// # Errors
    /// As [`crate::ssh::Files::put`].
    pub async fn put(
        &self,
        aws: &Aws,
        instance: &ItemId,
        local: &Path,
        remote: &str,
        progress: &Tell<'_>,
    ) -> Result<u64, Failure> {
        match &self.0 {
            Wire::Ssh(..) => files(aws, instance).await?.put(local, remote, progress).await,
            #[cfg(test)]
            Wire::Here(home) => Ok(std::fs::copy(local, home.join(remote)).unwrap()),
        }
    }

    /// Fetches a file, or a folder with all files below it, to `local`; says how many files. What broke off is continued.
    ///
    /// # Errors
    /// As [`crate::ssh::Files::get_folder`].
    pub async fn get(
        &self,
        held: &mut Option<Files>,
        aws: &Aws,
        instance: &ItemId,
        remote: &str,
        local: &Path,
        progress: &Tell<'_>,
    ) -> Result<u64, Failure> {
        match &self.0 {
            Wire::Ssh(..) => {
                if held.is_none() {
                    *held = Some(files(aws, instance).await?);
                }
                let Some(files) = held else { return Ok(0) };
                match files.get(remote, local, progress).await {
                    Ok(_) => Ok(1),
                    // It is no file.
                    Err(failure) if failure.kind == FailureKind::Invalid => files.get_folder(remote, local, progress).await,
                    Err(failure) => Err(failure),
                }
            }
            #[cfg(test)]
            Wire::Here(home) => Ok(std::fs::copy(home.join(remote), local).map(|_| 1).unwrap()),
        }
    }
}

/// How far a transfer has come.
type Tell<'a> = dyn Fn(Progress) + Send + Sync + 'a;

/// What is said of a script that failed.
pub(in crate::resource) fn failed(doing: &str, ran: &Ran) -> Failure {
    let said = String::from_utf8_lossy(&ran.err);
    let said = said.trim().lines().last().unwrap_or_default();
    let full = said.contains("No space left on device");
    let how = match (ran.status, &ran.signal) {
        _ if !said.is_empty() => said.to_owned(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "it did not say how it ended".to_owned(),
    };
    if full {
        let hint = format!(
            "free some of the instance's disk ({}, or rm in a terminal), or launch one with more storage",
            command("delete runs INSTANCE/RUN")
        );
        return Failure::new(FailureKind::Quota, format!("{doing}: the instance's disk is full"), hint);
    }
    Failure::new(FailureKind::Service, format!("{doing}: {how}"), "look at it in a terminal on the instance (s)")
}

/// A text as one word of a shell.
pub(in crate::resource) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Takes this machine for an instance, with `home` as its home folder.
#[cfg(test)]
pub(in crate::resource) async fn hold_here(aws: &Aws, instance: &ItemId, home: &Path) {
    *slot(aws, instance).lock().await = Some(Line(Wire::Here(home.to_owned())));
}

#[cfg(test)]
async fn here(home: &std::path::Path, command: &str, input: Option<Vec<u8>>) -> Result<Ran, Failure> {
    use tokio::io::AsyncWriteExt;
    let mut shell = tokio::process::Command::new("bash");
    shell.args(["-c", command]).current_dir(home).env("HOME", home).env_remove("XDG_RUNTIME_DIR").env_remove("TMUX");
    // Programs that the instance has, and this machine may not.
    let path = std::env::var("PATH").unwrap_or_default();
    shell.env("PATH", format!("{}:{path}", home.join("bin").display()));
    // Where the user has a manager of their own.
    if home.join("user").is_dir() {
        shell.env("XDG_RUNTIME_DIR", home.join("user"));
    }
    shell.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = shell.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&input.unwrap_or_default()).await.ok();
    drop(stdin);
    let said = child.wait_with_output().await.unwrap();
    let status = said.status.code().and_then(|code| u32::try_from(code).ok());
    Ok(Ran { status, signal: None, out: said.stdout, err: said.stderr })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell_stay_one_word() {
        let text = "it's $HOME `id` \"x\" \\ \n;";
        let said = std::process::Command::new("bash").args(["-c", &format!("printf %s {}", quoted(text))]).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), text);
    }
}
