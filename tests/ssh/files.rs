//! Files over SFTP, with a server of russh's on this machine: one that is honest about a folder, and one that is not.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use footplate::model::{FailureKind, Progress};
use russh::server::{self, Auth, Msg, Session};
use russh::{Channel, ChannelId};
use russh_sftp::protocol::{Attrs, Data, File, FileAttributes, Handle, Name, OpenFlags, Status, StatusCode, Version};

use super::door::Door;
use super::raw::host_key;
use super::{says, soon};

/// How the server behaves.
#[derive(Clone, Default)]
pub(super) struct Manners {
    pub(super) root: PathBuf,
    /// What it lists in every folder besides what is there.
    pub(super) names: Vec<&'static str>,
    /// It answers reads with at most so many bytes.
    pub(super) short: Option<u32>,
    /// Files become that short once they are read beyond it.
    pub(super) shrinks: Option<u64>,
    /// It says this of every write.
    pub(super) full: Option<&'static str>,
    /// It hangs up after so many bytes.
    pub(super) breaks_after: Option<u64>,
    pub(super) carried: Arc<AtomicU64>,
}

struct Server {
    manners: Manners,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: server::VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: server::ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn subsystem_request(&mut self, id: ChannelId, _: &str, session: &mut Session) -> Result<(), Self::Error> {
        session.channel_success(id)?;
        let channel = self.channels.remove(&id).unwrap();
        russh_sftp::server::run(
            channel.into_stream(),
            Sftp { manners: self.manners.clone(), open: HashMap::new(), listed: HashSet::new() },
        )
        .await;
        Ok(())
    }
}

struct Sftp {
    manners: Manners,
    open: HashMap<String, Mutex<std::fs::File>>,
    /// Folders that were told.
    listed: HashSet<String>,
}

impl Sftp {
    fn at(&self, path: &str) -> PathBuf {
        self.manners.root.join(path.trim_start_matches('/'))
    }

    fn done(id: u32) -> Status {
        Status { id, status_code: StatusCode::Ok, error_message: String::new(), language_tag: String::new() }
    }

    fn carry(&self, bytes: usize) -> Result<(), StatusCode> {
        let carried = self.manners.carried.fetch_add(bytes as u64, Ordering::Relaxed);
        if self.manners.breaks_after.is_some_and(|most| carried > most) { Err(StatusCode::Failure) } else { Ok(()) }
    }
}

fn told(error: &std::io::Error) -> StatusCode {
    if error.kind() == std::io::ErrorKind::NotFound { StatusCode::NoSuchFile } else { StatusCode::Failure }
}

fn attrs(path: &Path) -> Result<FileAttributes, StatusCode> {
    std::fs::metadata(path).map(|about| FileAttributes::from(&about)).map_err(|error| told(&error))
}

impl russh_sftp::server::Handler for Sftp {
    type Error = StatusCode;

    fn unimplemented(&self) -> StatusCode {
        StatusCode::OpUnsupported
    }

    async fn init(&mut self, _: u32, _: HashMap<String, String>) -> Result<Version, StatusCode> {
        Ok(Version::new())
    }

    async fn stat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        Ok(Attrs { id, attrs: attrs(&self.at(&path))? })
    }

    async fn lstat(&mut self, id: u32, path: String) -> Result<Attrs, StatusCode> {
        let about = std::fs::symlink_metadata(self.at(&path)).map_err(|error| told(&error))?;
        Ok(Attrs { id, attrs: FileAttributes::from(&about) })
    }

    async fn open(&mut self, id: u32, path: String, flags: OpenFlags, about: FileAttributes) -> Result<Handle, StatusCode> {
        let mut options = std::fs::OpenOptions::new();
        options.read(flags.contains(OpenFlags::READ)).write(flags.contains(OpenFlags::WRITE));
        options.create(flags.contains(OpenFlags::CREATE)).truncate(flags.contains(OpenFlags::TRUNCATE));
        options.create_new(flags.contains(OpenFlags::EXCLUDE));
        options.mode(about.permissions.unwrap_or(0o666));
        let file = options.open(self.at(&path)).map_err(|error| told(&error))?;
        self.open.insert(path.clone(), Mutex::new(file));
        Ok(Handle { id, handle: path })
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Result<Data, StatusCode> {
        if let Some(size) = self.manners.shrinks.filter(|size| offset > *size) {
            std::fs::File::options().write(true).open(self.at(&handle)).unwrap().set_len(size).unwrap();
        }
        let mut file = self.open[&handle].lock().unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        let mut data = vec![0; self.manners.short.unwrap_or(len).min(len) as usize];
        let count = file.read(&mut data).unwrap();
        self.carry(count)?;
        data.truncate(count);
        if count == 0 { Err(StatusCode::Eof) } else { Ok(Data { id, data }) }
    }

    async fn fsetstat(&mut self, id: u32, handle: String, about: FileAttributes) -> Result<Status, StatusCode> {
        self.setstat(id, handle, about).await
    }

    async fn setstat(&mut self, id: u32, path: String, about: FileAttributes) -> Result<Status, StatusCode> {
        let path = self.at(&path);
        if let Some(mode) = about.permissions {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        if let Some(time) = about.mtime {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(time.into());
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        }
        Ok(Self::done(id))
    }

    async fn write(&mut self, id: u32, handle: String, offset: u64, data: Vec<u8>) -> Result<Status, StatusCode> {
        if let Some(said) = self.manners.full {
            let language_tag = String::new();
            return Ok(Status { id, status_code: StatusCode::Failure, error_message: said.to_owned(), language_tag });
        }
        self.carry(data.len())?;
        let mut file = self.open[&handle].lock().unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(&data).unwrap();
        Ok(Self::done(id))
    }

    async fn close(&mut self, id: u32, handle: String) -> Result<Status, StatusCode> {
        self.open.remove(&handle);
        Ok(Self::done(id))
    }

    async fn remove(&mut self, id: u32, path: String) -> Result<Status, StatusCode> {
        std::fs::remove_file(self.at(&path)).map(|()| Self::done(id)).map_err(|error| told(&error))
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Result<Status, StatusCode> {
        if self.at(&to).exists() {
            return Err(StatusCode::Failure);
        }
        std::fs::rename(self.at(&from), self.at(&to)).map(|()| Self::done(id)).map_err(|error| told(&error))
    }

    async fn mkdir(&mut self, id: u32, path: String, _: FileAttributes) -> Result<Status, StatusCode> {
        std::fs::create_dir(self.at(&path)).map(|()| Self::done(id)).map_err(|error| told(&error))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Result<Handle, StatusCode> {
        attrs(&self.at(&path))?;
        self.listed.remove(&path);
        Ok(Handle { id, handle: path })
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Result<Name, StatusCode> {
        if !self.listed.insert(handle.clone()) {
            return Err(StatusCode::Eof);
        }
        let there = std::fs::read_dir(self.at(&handle)).map_err(|error| told(&error))?.flatten();
        let mut files: Vec<File> = there
            .map(|entry| {
                File::new(
                    entry.file_name().to_string_lossy(),
                    FileAttributes::from(&std::fs::symlink_metadata(entry.path()).unwrap()),
                )
            })
            .collect();
        files.extend([".", ".."].iter().chain(&self.manners.names).map(|name| File::new(*name, FileAttributes::empty())));
        Ok(Name { id, files })
    }
}

async fn start(manners: Manners) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config =
        Arc::new(server::Config { keys: vec![host_key()], auth_rejection_time: std::time::Duration::ZERO, ..Default::default() });
    tokio::spawn(async move {
        while let Ok((line, _)) = listener.accept().await {
            let server = Server { manners: manners.clone(), channels: HashMap::new() };
            if let Ok(session) = server::run_stream(Arc::clone(&config), line, server).await {
                tokio::spawn(session);
            }
        }
    });
    address
}

pub(super) async fn files(manners: &Manners) -> footplate::ssh::Files {
    let folder = tempfile::tempdir().unwrap();
    let connection = soon("open", Door::to(start(manners.clone()).await).open(folder.path())).await.unwrap();
    soon("files", connection.files()).await.unwrap()
}

pub(super) fn silent(_: Progress) {}

pub(super) fn noise(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[1]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_both_ways_whole() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Reads are answered short, which is allowed.
    let files = files(&Manners { root: there.path().to_owned(), short: Some(20_000), ..Manners::default() }).await;
    for size in [0, 1, 65_536, 3_000_001] {
        let content = noise(size);
        std::fs::write(here.path().join("a"), &content).unwrap();
        let told = Mutex::new(Vec::new());
        let progress = |progress: Progress| told.lock().unwrap().push((progress.done, progress.total));
        assert_eq!(soon("put", files.put(&here.path().join("a"), "b", &progress)).await.unwrap(), size as u64);
        assert_eq!(std::fs::read(there.path().join("b")).unwrap(), content);
        assert_eq!(soon("get", files.get("b", &here.path().join("c"), &progress)).await.unwrap(), size as u64);
        assert_eq!(std::fs::read(here.path().join("c")).unwrap(), content);
        assert_eq!(told.lock().unwrap().last(), Some(&(size as u64, size as u64)));
    }
    let left: Vec<_> = std::fs::read_dir(there.path())
        .unwrap()
        .chain(std::fs::read_dir(here.path()).unwrap())
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 3, "no parts are left: {left:?}");
    let failure = soon("get", files.get("not there", &here.path().join("d"), &silent)).await.unwrap_err();
    says("not there", &failure, FailureKind::NotFound, "there is no not there");
    soon("mkdir", files.mkdir("folder")).await.unwrap();
    soon("mkdir", files.mkdir("folder")).await.unwrap();
    says(
        "a folder",
        &soon("get", files.get("folder", &here.path().join("d"), &silent)).await.unwrap_err(),
        FailureKind::Invalid,
        "not a file",
    );
    soon("remove", files.remove("b")).await.unwrap();
    says("remove", &soon("remove", files.remove("b")).await.unwrap_err(), FailureKind::NotFound, "there is no b");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_is_continued() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let content = noise(12_000_000);
    std::fs::write(there.path().join("model"), &content).unwrap();
    let breaks = Manners { root: there.path().to_owned(), breaks_after: Some(8_000_000), ..Manners::default() };
    let target = here.path().join("model");
    soon("get", files(&breaks).await.get("model", &target, &silent)).await.unwrap_err();
    assert!(!target.exists(), "it has its name only when it is whole");
    let whole = Manners { root: there.path().to_owned(), ..Manners::default() };
    soon("get", files(&whole).await.get("model", &target, &silent)).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), content);
    let again = whole.carried.load(Ordering::Relaxed);
    assert!(again < 7_000_000, "it was continued, not begun again: {again}");
    // What has changed there meanwhile is begun again.
    let breaks = Manners { carried: Arc::default(), ..breaks };
    soon("get", files(&breaks).await.get("model", &target, &silent)).await.unwrap_err();
    let changed = noise(11_000_000);
    std::fs::write(there.path().join("model"), &changed).unwrap();
    soon("get", files(&whole).await.get("model", &target, &silent)).await.unwrap();
    assert_eq!(std::fs::read(&target).unwrap(), changed);
    assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 1, "the parts of what it was are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_out_of_the_folder_are_refused() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["../evil", "/etc/cron.d/evil", "a/b", "", "../\x1b[2J"] {
        let files = files(&Manners { root: there.path().to_owned(), names: vec![name], ..Manners::default() }).await;
        says(name, &soon("list", files.list("/")).await.unwrap_err(), FailureKind::Refused, "would lead out of it");
        let failure = soon("get_folder", files.get_folder("/", &here.path().join("out"), &silent)).await.unwrap_err();
        says(name, &failure, FailureKind::Refused, "would lead out of it");
    }
    assert!(!here.path().join("evil").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_stands_twice_is_refused_before_anything_is_written() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(there.path().join("model"), "model").unwrap();
    for (name, part) in [("model", "alike: model"), ("../evil", "would lead out of it")] {
        let files = files(&Manners { root: there.path().to_owned(), names: vec![name], ..Manners::default() }).await;
        let failure = soon("fetch", files.fetch_all(&["/".into()], &here.path().join("out"), &silent)).await.unwrap_err();
        says(name, &failure, FailureKind::Refused, part);
        assert_eq!(std::fs::read_dir(here.path()).unwrap().count(), 0);
    }
}

fn holds_part(folder: &Path) -> bool {
    std::fs::read_dir(folder).unwrap().any(|at| at.unwrap().path().extension().is_some_and(|end| end == "part"))
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A folder `data` with a script, a link and two files.
pub(super) fn data(at: &Path) -> PathBuf {
    let folder = at.join("data");
    std::fs::create_dir_all(folder.join("deep/er")).unwrap();
    std::fs::write(folder.join("deep/er/model"), noise(3_000_000)).unwrap();
    std::fs::write(folder.join("empty"), "").unwrap();
    std::fs::write(folder.join("run.sh"), "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(folder.join("run.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("/etc", folder.join("away")).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_go_both_ways_and_only_what_has_changed_goes_again() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = data(here.path());
    let manners = Manners { root: there.path().to_owned(), ..Manners::default() };
    let files = files(&manners).await;
    let send = async |from: &Path, to: &str| soon("send", files.send_all(vec![from.to_owned()], to, &silent)).await;
    let sent = send(&folder, "~/work/").await.unwrap();
    assert_eq!((sent.done.sent, sent.done.bytes, sent.done.unchanged, sent.left_out.len()), (3, 3_000_010, 0, 1));
    let copy = there.path().join("work/data");
    assert_eq!(std::fs::read(copy.join("deep/er/model")).unwrap(), noise(3_000_000));
    assert_eq!((mode(&copy.join("run.sh")) & 0o100, mode(&copy.join("empty")) & 0o100), (0o100, 0));
    assert!(!copy.join("away").exists());
    // The same again: nothing, but who may execute what.
    std::fs::set_permissions(folder.join("empty"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let again = send(&folder, "work/").await.unwrap();
    assert_eq!((again.done.sent, again.done.bytes, again.done.unchanged), (0, 0, 3), "{}", again.told());
    assert_eq!(mode(&copy.join("empty")) & 0o100, 0o100);
    std::fs::write(folder.join("run.sh"), "#!/bin/bash\n").unwrap();
    let changed = send(&here.path().join("data/"), "work/data").await.unwrap();
    assert_eq!((changed.done.sent, changed.done.unchanged), (1, 2), "what is in it, to the same place");

    // Back, by another name, and not twice either.
    let fetch =
        async |from: &str, to: &str| soon("fetch", files.fetch_all(&[from.to_owned()], &here.path().join(to), &silent)).await;
    std::os::unix::fs::symlink("/etc", copy.join("away")).unwrap();
    let came = fetch("work/data/", "back").await.unwrap();
    assert_eq!((came.done.sent, came.left_out.len()), (3, 1));
    let back = here.path().join("back");
    assert_eq!(std::fs::read(back.join("deep/er/model")).unwrap(), noise(3_000_000));
    assert_eq!((mode(&back.join("run.sh")) & 0o100, mode(&back.join("deep/er/model")) & 0o100), (0o100, 0));
    let again = fetch("work/data/", "back").await.unwrap();
    assert_eq!((again.done.sent, again.done.unchanged), (0, 3), "{}", again.told());
    // One file: a name of its own, or into a folder.
    assert_eq!(fetch("~/work/data/run.sh", "renamed").await.unwrap().done.sent, 1);
    assert_eq!(fetch("~/work/data/run.sh", "back/deep").await.unwrap().done.sent, 1);
    assert!(here.path().join("renamed").is_file() && back.join("deep/run.sh").is_file());
    let failure = send(&folder.join("run.sh"), "no/where").await.unwrap_err();
    says("no folder", &failure, FailureKind::NotFound, "there is no folder no on the instance");
    says("~root", &fetch("~root/x", "x").await.unwrap_err(), FailureKind::Invalid, "your own home folder");
    says("none", &fetch("none", "x").await.unwrap_err(), FailureKind::NotFound, "there is no none");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_breaks_off_is_continued_both_ways() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = here.path().join("data");
    std::fs::create_dir(&folder).unwrap();
    for name in ["a", "b"] {
        std::fs::write(folder.join(name), noise(8_000_000)).unwrap();
    }
    let whole = || Manners { root: there.path().to_owned(), ..Manners::default() };
    let breaks = || Manners { breaks_after: Some(6_000_000), ..whole() };
    for sends in [true, false] {
        let back = here.path().join("back");
        let go = async |manners: &Manners| {
            let files = files(manners).await;
            if sends {
                soon("send", files.send_all(vec![folder.clone()], "", &silent)).await
            } else {
                soon("fetch", files.fetch_all(&["data".into()], &back, &silent)).await
            }
        };
        // What the server refuses to write is no reason to keep it; what it no longer says is.
        let broken = go(&breaks()).await.unwrap_err();
        assert_eq!(broken.kind, FailureKind::Service, "{broken}");
        let continued = go(&whole()).await.unwrap();
        assert_eq!(continued.done.sent, 2);
        if !sends {
            assert!(continued.done.continued > 0 && continued.done.bytes < 14_000_000, "{}", continued.told());
        }
        let place = if sends { there.path().join("data") } else { back.join("data") };
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 2, "no part is left");
        assert!(["a", "b"].iter().all(|name| std::fs::read(place.join(name)).unwrap() == noise(8_000_000)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_does_not_hold_up_the_rest() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = data(there.path());
    // It shrinks while it is fetched.
    let shrinks = Manners { root: there.path().to_owned(), shrinks: Some(1_000_000), ..Manners::default() };
    let fetched = soon("fetch", files(&shrinks).await.fetch_all(&["data".into()], here.path(), &silent)).await;
    let failure = fetched.unwrap_err();
    says("shrinks", &failure, FailureKind::Conflict, "was changed on the instance while it was fetched; all else is there");
    assert!(here.path().join("data/run.sh").is_file() && !here.path().join("data/deep/er/model").exists());
    // The protocol's library cannot name what is not UTF-8.
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9");
    std::fs::write(folder.join(odd), "1").unwrap();
    let whole = Manners { root: there.path().to_owned(), ..Manners::default() };
    let failure = soon("fetch", files(&whole).await.fetch_all(&["data".into()], here.path(), &silent)).await.unwrap_err();
    says("odd", &failure, FailureKind::Service, "left out 1 for its name: data/caf");
    assert_eq!(std::fs::metadata(here.path().join("data/deep/er/model")).unwrap().len(), 1_000_000);
    assert_eq!(std::fs::read_dir(here.path().join("data/deep/er")).unwrap().count(), 1, "no part is left");
    // A full disk there ends it.
    let full = Manners { full: Some("No space left on device (os error 28)"), ..whole };
    let failure = soon("send", files(&full).await.send_all(vec![here.path().join("data")], "to/", &silent)).await.unwrap_err();
    says("full", &failure, FailureKind::Service, "its disk is full");
    assert!(!holds_part(&there.path().join("to/data")) && !holds_part(&there.path().join("to/data/deep/er")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_fetched_without_links() {
    let (there, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(there.path().join("out/logs")).unwrap();
    std::fs::write(there.path().join("out/model"), "model").unwrap();
    std::fs::write(there.path().join("out/logs/log"), "log").unwrap();
    std::os::unix::fs::symlink("/etc", there.path().join("out/etc")).unwrap();
    let files = files(&Manners { root: there.path().to_owned(), ..Manners::default() }).await;
    let to = here.path().join("results");
    assert_eq!(soon("get_folder", files.get_folder("out", &to, &silent)).await.unwrap(), 2);
    assert_eq!(std::fs::read_to_string(to.join("logs/log")).unwrap(), "log");
    assert!(!to.join("etc").exists());
    // A link in our own folder is not followed either.
    std::fs::remove_dir_all(to.join("logs")).unwrap();
    std::os::unix::fs::symlink(there.path(), to.join("logs")).unwrap();
    let failure = soon("get_folder", files.get_folder("out", &to, &silent)).await.unwrap_err();
    says("link", &failure, FailureKind::Refused, "is a link");
}
