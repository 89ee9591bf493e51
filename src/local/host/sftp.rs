//! The files of an instance by SFTP version 3 (draft-ietf-secsh-filexfer-02), as OpenSSH's sftp-server has it: relative
//! names are below the home, absolute ones are this machine's own, as for any program in the instance's shell.

mod attributes;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use futures_util::StreamExt as _;
use russh_sftp::protocol::{
    Attrs, Data, File as Entry, FileAttributes, Handle, Name, OpenFlags, Packet, Status, StatusCode, Version,
};
use russh_sftp::server::{Handler, StatusReply};
use tokio::io::AsyncWrite;
use tokio::sync::oneshot;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::intake::Inlet;

/// Files and folders that are open at once.
const HANDLES: usize = 256;
/// The most that one read returns; OpenSSH's client asks for 32 KiB.
const READ_BYTES: u32 = 255 << 10;
/// Entries per answer to `READDIR`.
const ENTRIES: usize = 100;
/// What OpenSSH's server offers beyond the draft and we have too.
const EXTENSIONS: [&str; 3] = ["posix-rename@openssh.com", "hardlink@openssh.com", "fsync@openssh.com"];

/// Serves until the client ends the stream or this future is dropped. The disk is waited for on a thread of its own.
pub async fn serve(home: PathBuf, inlet: Inlet, out: impl AsyncWrite + Unpin + Send + 'static) {
    let stop = CancellationToken::new();
    let _stops = stop.clone().drop_guard();
    let input = StreamReader::new(inlet.map(Ok::<_, io::Error>));
    let served = tokio::task::spawn_blocking(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().build() else { return };
        runtime.block_on(async {
            let (ends, end) = oneshot::channel::<()>();
            let files = Files { home, open: HashMap::new(), next: 0, _ends: ends };
            russh_sftp::server::run(tokio::io::join(input, out), files).await;
            tokio::select! {
                // Nothing is ever sent: the sender is dropped with the files.
                _ = end => {}
                () = stop.cancelled() => {}
            }
        });
    });
    served.await.ok();
}

/// What is open in one SFTP session.
struct Files {
    home: PathBuf,
    open: HashMap<String, Open>,
    next: u64,
    _ends: oneshot::Sender<()>,
}

enum Open {
    File {
        file: File,
        append: bool,
    },
    /// The entries that are still to be told, last first.
    Folder(Vec<Entry>),
}

type Answer<T> = Result<T, StatusReply>;

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    fn keep(&mut self, open: Open) -> Answer<String> {
        if self.open.len() >= HANDLES {
            return Err(StatusCode::Failure.with_message("Too many open files"));
        }
        self.next += 1;
        let handle = self.next.to_string();
        self.open.insert(handle.clone(), open);
        Ok(handle)
    }

    fn file(&self, handle: &str) -> Answer<&File> {
        match self.open.get(handle) {
            Some(Open::File { file, .. }) => Ok(file),
            _ => Err(StatusCode::Failure.with_message("No such open file")),
        }
    }
}

fn failed(error: &io::Error) -> StatusReply {
    let code = match error.kind() {
        io::ErrorKind::NotFound => return StatusCode::NoSuchFile.into(),
        io::ErrorKind::PermissionDenied => return StatusCode::PermissionDenied.into(),
        io::ErrorKind::UnexpectedEof => return StatusCode::Eof.into(),
        _ => StatusCode::Failure,
    };
    // Some remedy is in the words: no space left, is a folder, file exists.
    code.with_message(error.to_string())
}

fn done(id: u32, result: io::Result<()>) -> Answer<Status> {
    result.map_err(|error| failed(&error))?;
    Ok(Status { id, status_code: StatusCode::Ok, error_message: "Ok".to_owned(), language_tag: "en".to_owned() })
}

impl Handler for Files {
    type Error = StatusReply;

    fn unimplemented(&self) -> StatusReply {
        StatusCode::OpUnsupported.into()
    }

    async fn init(&mut self, _: u32, _: HashMap<String, String>) -> Answer<Version> {
        let extensions = EXTENSIONS.map(|name| (name.to_owned(), "1".to_owned())).into();
        Ok(Version { extensions, ..Version::new() })
    }

    async fn open(&mut self, id: u32, filename: String, flags: OpenFlags, attrs: FileAttributes) -> Answer<Handle> {
        let append = flags.contains(OpenFlags::APPEND);
        let mode = attrs.permissions.unwrap_or(0o666) & 0o7777;
        let opened = fs::OpenOptions::from(flags).mode(mode).open(self.path(&filename));
        let file = opened.map_err(|error| failed(&error))?;
        Ok(Handle { id, handle: self.keep(Open::File { file, append })? })
    }

    async fn close(&mut self, id: u32, handle: String) -> Answer<Status> {
        let closed = self.open.remove(&handle).map(drop);
        done(id, closed.ok_or_else(|| io::Error::other("No such open file")))
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, len: u32) -> Answer<Data> {
        let mut data = vec![0; len.min(READ_BYTES) as usize];
        let read = self.file(&handle)?.read_at(&mut data, offset).map_err(|error| failed(&error))?;
        if read == 0 && len > 0 {
            return Err(StatusCode::Eof.into());
        }
        data.truncate(read);
        Ok(Data { id, data })
    }

    async fn write(&mut self, id: u32, handle: String, offset: u64, data: Vec<u8>) -> Answer<Status> {
        let Some(Open::File { file, append }) = self.open.get_mut(&handle) else {
            return Err(StatusCode::Failure.with_message("No such open file"));
        };
        let written = if *append { io::Write::write_all(file, &data) } else { file.write_all_at(&data, offset) };
        done(id, written)
    }

    async fn lstat(&mut self, id: u32, path: String) -> Answer<Attrs> {
        let metadata = fs::symlink_metadata(self.path(&path)).map_err(|error| failed(&error))?;
        Ok(Attrs { id, attrs: attributes::of(&metadata) })
    }

    async fn stat(&mut self, id: u32, path: String) -> Answer<Attrs> {
        let metadata = fs::metadata(self.path(&path)).map_err(|error| failed(&error))?;
        Ok(Attrs { id, attrs: attributes::of(&metadata) })
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Answer<Attrs> {
        let metadata = self.file(&handle)?.metadata().map_err(|error| failed(&error))?;
        Ok(Attrs { id, attrs: attributes::of(&metadata) })
    }

    async fn setstat(&mut self, id: u32, path: String, attrs: FileAttributes) -> Answer<Status> {
        done(id, attributes::set_path(&self.path(&path), &attrs))
    }

    async fn fsetstat(&mut self, id: u32, handle: String, attrs: FileAttributes) -> Answer<Status> {
        done(id, attributes::set(self.file(&handle)?, &attrs))
    }

    async fn opendir(&mut self, id: u32, path: String) -> Answer<Handle> {
        let folder = self.path(&path);
        let listed = fs::read_dir(&folder).map_err(|error| failed(&error))?;
        let mut entries: Vec<Entry> = listed
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name().to_string_lossy().into_owned();
                Some(attributes::entry(name, &entry.metadata().ok()?))
            })
            .collect();
        for name in [".", ".."] {
            if let Ok(metadata) = fs::metadata(folder.join(name)) {
                entries.push(attributes::entry(name.to_owned(), &metadata));
            }
        }
        Ok(Handle { id, handle: self.keep(Open::Folder(entries))? })
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Answer<Name> {
        let Some(Open::Folder(entries)) = self.open.get_mut(&handle) else {
            return Err(StatusCode::Failure.with_message("No such open folder"));
        };
        if entries.is_empty() {
            return Err(StatusCode::Eof.into());
        }
        let files = entries.split_off(entries.len().saturating_sub(ENTRIES));
        Ok(Name { id, files })
    }

    async fn remove(&mut self, id: u32, filename: String) -> Answer<Status> {
        done(id, fs::remove_file(self.path(&filename)))
    }

    async fn mkdir(&mut self, id: u32, path: String, attrs: FileAttributes) -> Answer<Status> {
        let mut builder = fs::DirBuilder::new();
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, attrs.permissions.unwrap_or(0o777) & 0o7777);
        done(id, builder.create(self.path(&path)))
    }

    async fn rmdir(&mut self, id: u32, path: String) -> Answer<Status> {
        done(id, fs::remove_dir(self.path(&path)))
    }

    async fn realpath(&mut self, id: u32, path: String) -> Answer<Name> {
        let path = self.path(&path);
        let real = attributes::real(&path).map_err(|error| failed(&error))?;
        Ok(Name { id, files: vec![Entry::dummy(real.to_string_lossy())] })
    }

    /// Does not replace what is there, as the draft has it; `posix-rename@openssh.com` does.
    async fn rename(&mut self, id: u32, oldpath: String, newpath: String) -> Answer<Status> {
        let (from, to) = (self.path(&oldpath), self.path(&newpath));
        if fs::symlink_metadata(&to).is_ok() {
            return Err(StatusCode::Failure.with_message(format!("{newpath} is there already")));
        }
        done(id, fs::rename(from, to))
    }

    async fn readlink(&mut self, id: u32, path: String) -> Answer<Name> {
        let target = fs::read_link(self.path(&path)).map_err(|error| failed(&error))?;
        Ok(Name { id, files: vec![Entry::dummy(target.to_string_lossy())] })
    }

    /// The draft has the link first; OpenSSH, client and server, has the target first (its PROTOCOL, section 4.1), and so
    /// has everybody who talks to it.
    async fn symlink(&mut self, id: u32, target: String, link: String) -> Answer<Status> {
        done(id, std::os::unix::fs::symlink(target, self.path(&link)))
    }

    async fn extended(&mut self, id: u32, request: String, data: Vec<u8>) -> Answer<Packet> {
        let words = strings(&data).ok_or(StatusCode::BadMessage)?;
        let result = match (request.as_str(), words.as_slice()) {
            ("posix-rename@openssh.com", [from, to]) => fs::rename(self.path(from), self.path(to)),
            ("hardlink@openssh.com", [from, to]) => fs::hard_link(self.path(from), self.path(to)),
            ("fsync@openssh.com", [handle]) => self.file(handle)?.sync_all(),
            _ => return Err(StatusCode::OpUnsupported.into()),
        };
        done(id, result).map(Packet::Status)
    }
}

/// The strings of an extended request (RFC 4251, section 5).
fn strings(mut data: &[u8]) -> Option<Vec<String>> {
    let mut words = Vec::new();
    while !data.is_empty() {
        let (length, rest) = data.split_first_chunk::<4>()?;
        let (word, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        words.push(std::str::from_utf8(word).ok()?.to_owned());
        data = rest;
    }
    Some(words)
}
