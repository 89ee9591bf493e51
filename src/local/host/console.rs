//! The console of an instance: what its boots and its user data said, as `GetConsoleOutput` returns it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// What is kept for the reader (EC2 API reference, `GetConsoleOutput`: the last 64 KB).
const KEPT_BYTES: u64 = 64 << 10;
/// When the file has grown to this, its head is dropped.
const FILE_BYTES: u64 = 4 << 20;

/// The console of one instance, a file in its folder.
#[derive(Clone)]
pub struct Console {
    path: PathBuf,
}

impl Console {
    /// The console of the instance in this folder, also of one that is stopped.
    #[must_use]
    pub fn of(folder: &Path) -> Self {
        Self::at(folder.join("console.log"))
    }

    /// Another log of the same kind.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Adds text.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn add(&self, text: &[u8]) -> io::Result<()> {
        let mut file = File::options().append(true).create(true).open(&self.path)?;
        file.write_all(text)?;
        if file.metadata()?.len() > FILE_BYTES {
            let kept = self.tail()?;
            fs::write(&self.path, kept)?;
        }
        Ok(())
    }

    /// The end of it. Lines end as on a serial line, with CR and LF.
    #[must_use]
    pub fn text(&self) -> String {
        let tail = self.tail().unwrap_or_default();
        String::from_utf8_lossy(&tail).replace("\r\n", "\n").replace('\n', "\r\n")
    }

    fn tail(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(KEPT_BYTES)))?;
        let mut tail = Vec::new();
        file.take(KEPT_BYTES).read_to_end(&mut tail)?;
        Ok(tail)
    }
}
