//! Files both ways by SFTP, many requests on their way at once. What breaks off is continued.
//!
//! A file appears under its name only when it is complete. Until then it is `NAME.SIZE-TIME.part` beside it ([`part`]), with
//! size and time of change of what it is a copy of: the next transfer continues it if that is still the same. Once complete it
//! has that time of change itself, so that a later copy of the same is known to be unchanged.

mod copy;
mod get;
mod hold;
mod incoming;
mod name;
mod outgoing;
mod part;
mod path;
mod put;
mod sink;
mod source;
mod tidy;
mod told;

use std::sync::Arc;
use std::time::{Duration, Instant};

use russh::ChannelMsg;
use russh_sftp::client::Config;
use russh_sftp::client::error::Error;
use russh_sftp::client::rawsession::{Limits, RawSftpSession};
use russh_sftp::protocol::{FileAttributes, StatusCode};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::connection::Session;
use super::fault;
use crate::model::{Failure, FailureKind, Progress, Safe};
pub use name::{Flaw, Unfit};
pub use outgoing::{Outgoing, look};
pub use told::{Copied, Lack};

/// OpenSSH's extension that replaces a file by another in one step.
const POSIX_RENAME: &str = "posix-rename@openssh.com";
/// Pieces on their way at once, over all files: at most 8 MB, what a line of 80 MB/s carries in a round trip of 100 ms.
const REQUESTS: usize = 64;
/// Bytes that are asked for at once; a server may answer with less.
const READ: u32 = 64 * 1024;
/// Of a server that says how much it gives (`limits@openssh.com`), this much.
const READ_AT_MOST: u32 = 128 * 1024;
/// Every server takes this much at once (draft-ietf-secsh-filexfer-02, section 3: packets of 34,000 bytes).
const WRITTEN: u32 = 32 * 1024;
/// Of a server that says how much it takes (`limits@openssh.com`; OpenSSH's file PROTOCOL, section 4.8), this much.
const WRITTEN_AT_MOST: u32 = 128 * 1024;
const LIMITS: &str = "limits@openssh.com";
/// Names in a folder that we look at.
const MOST: usize = 100_000;
/// The bits of a mode that say what a thing is (POSIX `S_IFMT`). The library's own questions take a link for a file.
const KIND: u32 = 0o170_000;
/// How often it is told how far it has come.
const TELL: Duration = Duration::from_millis(200);

/// The files of the user on the machine. Paths that do not begin with `/` are below the home folder; `~` means nothing.
pub struct Files {
    raw: Arc<RawSftpSession>,
    session: Arc<Session>,
    replaces: bool,
    /// Bytes that are written at once, and asked for.
    written: u32,
    read: u32,
    turns: Semaphore,
}

/// What a folder has in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// A name that stays in its folder: never empty, `.`, `..`, and without `/`. Not all can be copied ([`Flaw`]).
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970 when it was last changed.
    pub modified: u64,
    pub is_folder: bool,
    /// An ordinary file: no folder, link or device.
    pub is_file: bool,
    /// Who may read, write and execute it, as POSIX has it; `None` where the server does not tell.
    pub mode: Option<u32>,
}

impl Entry {
    fn of(name: String, about: &FileAttributes) -> Self {
        Self {
            name,
            size: about.size.unwrap_or(0),
            modified: about.mtime.unwrap_or(0).into(),
            is_folder: is_folder(about),
            is_file: is_file(about),
            mode: about.permissions.map(|mode| mode & 0o777),
        }
    }
}

pub(super) async fn open(session: &Arc<Session>) -> Result<Files, Failure> {
    let none = || fault::declined("SFTP", "see the line 'Subsystem sftp' in its sshd_config");
    let deadline = session.deadlines.answer;
    let mut channel = session.channel().await?;
    let asked = channel.request_subsystem(true, "sftp").await;
    asked.map_err(|error| fault::told(&error, &session.deadlines))?;
    let answer = async {
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => return Ok(()),
                Some(ChannelMsg::Failure | ChannelMsg::Close | ChannelMsg::Eof) => return Err(none()),
                Some(_) => {}
                None => return Err(session.state.ended().await),
            }
        }
    };
    timeout(deadline, answer).await.map_err(|_| fault::no_reply("a request for SFTP", deadline))??;
    // A request may wait behind all that is on its way before it; a line that is dead is noticed otherwise.
    let patience = deadline.as_secs().max(1);
    let config = Config { request_timeout_secs: patience, ..Config::default() };
    let mut raw = RawSftpSession::new_with_config(channel.into_stream(), config);
    let about = raw.init().await.map_err(|error| tell(session, "the start of SFTP", &error))?;
    // Ours are well within any server's limits; that the library knows them is only that it does not guess.
    raw.set_limits(Limits::default());
    raw.set_timeout(patience.saturating_mul(8));
    let replaces = about.extensions.contains_key(POSIX_RENAME);
    let (mut written, mut read) = (WRITTEN, READ);
    if about.extensions.contains_key(LIMITS) {
        // One that does not say after all takes what every server takes.
        let (writes, reads) = raw.limits().await.map_or((0, 0), |limits| (limits.max_write_len, limits.max_read_len));
        let within = |most, least, largest| u32::try_from(most).unwrap_or(u32::MAX).clamp(least, largest);
        (written, read) = (within(writes, WRITTEN, WRITTEN_AT_MOST), within(reads, READ, READ_AT_MOST));
    }
    Ok(Files { raw: Arc::new(raw), session: Arc::clone(session), replaces, written, read, turns: Semaphore::new(REQUESTS) })
}

impl Files {
    /// What is in a folder, by name.
    ///
    /// # Errors
    /// `NotFound`, `Denied`; `Refused` when a name in it would lead out of the folder, or stands there twice.
    pub async fn list(&self, folder: &str) -> Result<Vec<Entry>, Failure> {
        let at = |error: Error| self.fail(folder, &error);
        let handle = self.raw.opendir(folder).await.map_err(at)?.handle;
        let mut entries = Vec::new();
        let read = loop {
            match self.raw.readdir(handle.as_str()).await {
                Ok(name) => {
                    for file in name.files.into_iter().filter(|file| file.filename != "." && file.filename != "..") {
                        if !name::stays(&file.filename) {
                            return Err(name::leads_out(folder, &file.filename));
                        }
                        entries.push(Entry::of(file.filename, &file.attrs));
                    }
                    if entries.len() > MOST {
                        let what = format!("{folder} has more than {MOST} names in it");
                        break Err(Failure::new(FailureKind::Quota, what, "pack it there (tar), and fetch that"));
                    }
                }
                Err(Error::Status(status)) if status.status_code == StatusCode::Eof => break Ok(()),
                Err(error) => break Err(at(error)),
            }
        };
        let _ = self.raw.close(handle).await;
        read?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        // Names that are not UTF-8 may only look alike.
        let is_twice = |two: &&[Entry]| two[0].name == two[1].name && Flaw::of(&two[0].name) != Some(Flaw::NotUtf8);
        match entries.windows(2).find(is_twice) {
            Some(two) => Err(name::twice(folder, &two[0].name)),
            None => Ok(entries),
        }
    }

    /// Makes a folder; one that is there already will do.
    ///
    /// # Errors
    /// `NotFound` when there is no folder to make it in, `Denied`, `Invalid` when something else has that name.
    pub async fn mkdir(&self, folder: &str) -> Result<(), Failure> {
        self.make(folder).await.map(drop)
    }

    /// As [`Files::mkdir`]; says whether it was made just now.
    async fn make(&self, folder: &str) -> Result<bool, Failure> {
        let Err(error) = self.raw.mkdir(folder, FileAttributes::empty()).await else { return Ok(true) };
        match self.raw.stat(folder).await {
            Ok(there) if is_folder(&there.attrs) => Ok(false),
            Ok(_) => {
                let what = format!("{} on the instance is a file, and a folder here", fault::cut(folder));
                Err(Failure::new(FailureKind::Invalid, what, "remove or rename one of the two"))
            }
            Err(_) => Err(self.fail(folder, &error)),
        }
    }

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, `Denied`.
    pub async fn remove(&self, file: &str) -> Result<(), Failure> {
        self.raw.remove(file).await.map(drop).map_err(|error| self.fail(file, &error))
    }

    /// A turn to have a piece on its way. Waits for one only if it `must`: who has pieces on their way takes what is free.
    async fn turn(&self, must: bool) -> Option<SemaphorePermit<'_>> {
        if must { self.turns.acquire().await.ok() } else { self.turns.try_acquire().ok() }
    }

    fn fail(&self, at: &str, error: &Error) -> Failure {
        tell(&self.session, at, error)
    }
}

/// What went wrong with a file there.
fn tell(session: &Session, at: &str, error: &Error) -> Failure {
    if let Some(failure) = session.state.reason() {
        return failure;
    }
    let at = fault::cut(at);
    match error {
        Error::Status(status) => match status.status_code {
            StatusCode::NoSuchFile => Failure::new(FailureKind::NotFound, format!("there is no {at} on the instance"), ""),
            StatusCode::PermissionDenied => Failure::new(
                FailureKind::Denied,
                format!("the user on the instance may not use {at}"),
                "choose a place in the user's home folder",
            ),
            _ if status.error_message.contains("No space left on device") => full(&at),
            // What OpenSSH's server says of names and paths that are too long (its sftp-server.c, errno_to_portable).
            StatusCode::BadMessage => Failure::new(
                FailureKind::Invalid,
                format!("{at} cannot be made on the instance, for its name or path: {}", fault::cut(&status.error_message)),
                "rename it, copy to a place with a shorter path, or pack the folder (tar) and copy that",
            ),
            _ => {
                let what = format!("{at} on the instance: {}", fault::cut(&status.error_message));
                Failure::new(
                    FailureKind::Service,
                    what,
                    "see that there is room on its disk (df -h) and that the place can be written to",
                )
            }
        },
        Error::Timeout => {
            Failure::new(FailureKind::Timeout, format!("no answer about {at} from the instance"), "try again: it is continued")
        }
        other => Failure::new(
            FailureKind::Service,
            format!("{at} on the instance: {}", fault::cut(&other.to_string())),
            "try again: it is continued",
        ),
    }
}

/// The disk there has no room.
fn full(at: &str) -> Failure {
    Failure::new(
        FailureKind::Service,
        format!("{at} on the instance: its disk is full"),
        "free some of it (df -h and du -sh * there tell where it went), then the same again: what is complete stays",
    )
}

/// An ordinary file. Servers that do not say are believed.
fn is_file(attrs: &FileAttributes) -> bool {
    attrs.permissions.is_none_or(|mode| mode & KIND == 0o100_000)
}

fn is_folder(attrs: &FileAttributes) -> bool {
    attrs.permissions.is_some_and(|mode| mode & KIND == 0o040_000)
}

/// Hears how many bytes of a file are there now, of how many: at first those that were there before.
type Told<'a> = dyn FnMut(u64, u64) + Send + 'a;

/// How far the transfer of one file has come, told now and then.
struct Teller<'a> {
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    said: Safe,
    told: Option<Instant>,
}

impl<'a> Teller<'a> {
    fn new(progress: &'a (dyn Fn(Progress) + Send + Sync), said: &str) -> Self {
        Self { progress, said: Safe::line(said), told: None }
    }

    fn tell(&mut self, done: u64, total: u64) {
        if done < total && self.told.is_some_and(|told| told.elapsed() < TELL) {
            return;
        }
        self.told = Some(Instant::now());
        (self.progress)(Progress { said: self.said.clone(), done, total });
    }
}
