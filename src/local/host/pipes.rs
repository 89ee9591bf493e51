//! The standard streams of a command without a terminal: named pipes, because the region hands them to the instance's
//! keeper by name. Their names are gone as soon as both sides have opened them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

use super::init::Wiring;

/// Three pipes on the way to a process.
pub struct Pipes {
    paths: [PathBuf; 3],
    /// Open for both directions, so that the process does not wait for us when it opens its end.
    stdin: Sender,
    stdout: Receiver,
    stderr: Receiver,
}

/// The region's ends. The input is `None` when the process is gone already.
pub struct Ends {
    pub stdin: Option<Sender>,
    pub stdout: Receiver,
    pub stderr: Receiver,
}

impl Pipes {
    /// Makes them in a folder.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn make(folder: &Path) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let paths = ["in", "out", "err"].map(|name| folder.join(format!("{}-{number}.{name}", std::process::id())));
        for path in &paths {
            mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        }
        let stdin = OpenOptions::new().read_write(true).open_sender(&paths[0])?;
        let stdout = OpenOptions::new().open_receiver(&paths[1])?;
        let stderr = OpenOptions::new().open_receiver(&paths[2])?;
        Ok(Self { paths, stdin, stdout, stderr })
    }

    /// What the keeper is told.
    #[must_use]
    pub fn wiring(&self) -> Wiring {
        Wiring::Pipes(self.paths.clone())
    }

    /// The ends, when the process has opened its own: from now on each side sees the other one close.
    #[must_use]
    pub fn opened(self) -> Ends {
        let stdin = OpenOptions::new().open_sender(&self.paths[0]).ok();
        drop(self.stdin);
        for path in &self.paths {
            fs::remove_file(path).ok();
        }
        Ends { stdin, stdout: self.stdout, stderr: self.stderr }
    }
}
