//! Data that comes from this machine, or by way of it: one file over SFTP, which is continued where it broke off. A folder
//! becomes one file, too: thousands of small files would cost a round trip each.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::{Found, Getting, Kind, key, said};
use crate::aws::download;
use crate::aws::s3_uri::S3Uri;
use crate::model::{Failure, FailureKind, Progress, Safe};

impl Getting<'_> {
    /// A file or folder of this machine.
    pub(super) async fn here(&self, path: &Path) -> Result<(String, String), Failure> {
        let found = Found::at(path)?;
        let name = path.file_name().map_or_else(|| "data".to_owned(), |name| name.to_string_lossy().into_owned());
        let key = key(&name, &format!("{}\n{}\n{}", path.display(), found.files.len(), found.changed), Some(found.bytes));
        let was = if path.is_file() {
            self.sent(&key, path, Kind::of(&name), &name).await?
        } else {
            self.packed(&key, path, &name, &found).await?
        };
        Ok((key, said(was, Some(found.bytes), "sent from this machine")))
    }

    /// From S3 to this machine, and on to the instance. Whether it was there already.
    pub(super) async fn through_here(&self, key: &str, from: &S3Uri, kind: Kind, name: &str, size: u64) -> Result<bool, Failure> {
        if self.is_ready(key).await? {
            return Ok(true);
        }
        (self.progress)(Progress { said: Safe::line("data: downloading from S3"), done: 0, total: size });
        let scratch = Scratch::new()?;
        let folder = scratch.0.join("data");
        let progress = |mut progress: Progress| {
            progress.said = Safe::line(&format!("data: {}", progress.said));
            (self.progress)(progress);
        };
        download::download(self.aws, from, &folder, &progress).await?;
        if kind == Kind::Folder {
            self.packed(key, &folder, name, &Found::at(&folder)?).await
        } else {
            self.sent(key, &folder.join(from.name()), kind, from.name()).await
        }
    }

    async fn is_ready(&self, key: &str) -> Result<bool, Failure> {
        Ok(self.line.script("[ -e \"$HOME/footplate/data/$1/files\" ]", &[key], None).await?.status == Some(0))
    }

    /// Packs a folder into one file, sends it and has it unpacked.
    async fn packed(&self, key: &str, folder: &Path, name: &str, found: &Found) -> Result<bool, Failure> {
        if self.is_ready(key).await? {
            return Ok(true);
        }
        (self.progress)(Progress { said: Safe::line("data: packing"), done: 0, total: found.bytes });
        let scratch = Scratch::new()?;
        let archive = scratch.0.join("data.tar");
        let (from, to, below, files, changed) =
            (folder.to_owned(), archive.clone(), name.to_owned(), found.files.clone(), found.changed);
        let packing = tokio::task::spawn_blocking(move || pack(&from, &to, &below, &files, changed));
        let packed = packing.await.map_err(io::Error::other).and_then(|packed| packed);
        packed.map_err(|error| {
            let hint = "see that its files can be read, and that there is room in the folder for temporary files (TMPDIR)";
            Failure::new(FailureKind::Machine, format!("data: packing {}: {error}", folder.display()), hint)
        })?;
        self.sent(key, &archive, Kind::Tar, name).await
    }

    /// Sends one file and has it made ready. Whether it was there already.
    async fn sent(&self, key: &str, file: &Path, kind: Kind, name: &str) -> Result<bool, Failure> {
        if self.is_ready(key).await? {
            return Ok(true);
        }
        let bytes = fs::metadata(file).map_or(0, |about| about.len());
        let room =
            "mkdir -p \"$HOME/footplate/data/$1\" && cd \"$HOME/footplate/data/$1\" && df -Pk . | awk 'NR == 2 { print $4 }'";
        let free = self.line.told("making room for the data", room, &[key], None).await?;
        // Unpacked, it is there twice for a moment.
        let needs = if kind == Kind::Plain { bytes } else { bytes * 2 } / 1024;
        if free.trim().parse::<u64>().is_ok_and(|free| free < needs) {
            return Err(super::broken(self.named, &format!("disk\nit needs {needs} kB; {} kB are free", free.trim())));
        }
        let progress = |mut progress: Progress| {
            progress.said = Safe::line("data: sending");
            (self.progress)(progress);
        };
        let sent = self.line.put(self.aws, self.instance, file, &format!("footplate/data/{key}/archive"), &progress).await;
        // Another launch may have been faster with the same.
        let there = "cd \"$HOME/footplate/data/$1\" && { [ -e files ] || [ -e archive ]; }";
        if let Err(failure) = sent
            && self.line.script(there, &[key], None).await?.status != Some(0)
        {
            return Err(failure);
        }
        self.fetched(key, Some(bytes), &["", kind.word(), name, self.python]).await?;
        Ok(false)
    }
}

/// A folder for temporary files, gone when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        let mut random = [0; 8];
        let made = getrandom::fill(&mut random).map_err(io::Error::other).and_then(|()| {
            let path = std::env::temp_dir().join(format!("footplate-{}", hex::encode(random)));
            fs::DirBuilder::new().mode(0o700).create(&path).map(|()| path)
        });
        made.map(Self).map_err(|error| {
            let hint = "see that the folder for temporary files (TMPDIR) can be written";
            Failure::new(FailureKind::Machine, format!("data: no room for temporary files: {error}"), hint)
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One archive of these files, below a folder of that name (`.`: at the top). The same files give the same bytes and the same
/// time of change, so that a transfer that broke off is continued.
fn pack(folder: &Path, to: &Path, name: &str, files: &[PathBuf], changed: u64) -> io::Result<()> {
    let mut archive = tar::Builder::new(io::BufWriter::new(File::options().write(true).create_new(true).open(to)?));
    for file in files {
        let mut content = File::open(folder.join(file))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(content.metadata()?.len());
        header.set_mode(0o644);
        header.set_mtime(changed);
        archive.append_data(&mut header, Path::new(name).join(file), &mut content)?;
    }
    let file = archive.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.set_modified(UNIX_EPOCH + Duration::from_secs(changed))?;
    file.sync_all()
}
