//! A pseudo-terminal (pty(7)): the region holds its master, a session has the other end as its controlling terminal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::signal::{Signal, killpg};
use nix::sys::termios::{
    InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices as Key, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::tcgetpgrp;
use russh::Pty as Mode;
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;

/// A window's size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    pub columns: u32,
    pub rows: u32,
    pub pixels: (u32, u32),
}

/// One pseudo-terminal. When it is dropped its session is hung up (SIGHUP).
pub struct Pty {
    master: AsyncFd<PtyMaster>,
    path: PathBuf,
    /// Held until the session has opened it: before that, reading would find it hung up.
    slave: Mutex<Option<File>>,
}

impl Pty {
    /// Opens one of this size, with the modes that the client's own terminal has (RFC 4254, section 8).
    ///
    /// # Errors
    /// When the system has no more of them, or `/dev/pts` is not there.
    pub fn open(size: Size, modes: &[(Mode, u32)]) -> io::Result<Self> {
        let master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = PathBuf::from(ptsname_r(&master)?);
        let slave = OpenOptions::new().read(true).write(true).custom_flags(OFlag::O_NOCTTY.bits()).open(&path)?;
        let mut termios = tcgetattr(&slave)?;
        for (mode, value) in modes {
            apply(&mut termios, *mode, *value);
        }
        tcsetattr(&slave, SetArg::TCSANOW, &termios)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe; a PtyMaster owns one descriptor for its whole life, as is asked there"
        )]
        let master = AsyncFd::new(master)?;
        let pty = Self { master, path, slave: Mutex::new(Some(slave)) };
        pty.resize(size)?;
        Ok(pty)
    }

    /// The session's end, e.g. `/dev/pts/3`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// To be said when the session has opened its end.
    pub fn opened(&self) {
        self.slave.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Sets the window's size; the foreground gets SIGWINCH.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn resize(&self, size: Size) -> io::Result<()> {
        let small = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        let size = Winsize {
            ws_row: small(size.rows),
            ws_col: small(size.columns),
            ws_xpixel: small(size.pixels.0),
            ws_ypixel: small(size.pixels.1),
        };
        Ok(tcsetwinsize(self.master.get_ref(), size)?)
    }

    /// Signals what is in the foreground.
    pub fn signal(&self, signal: Signal) {
        if let Ok(group) = tcgetpgrp(self.master.get_ref()) {
            let _ = killpg(group, signal);
        }
    }

    /// Reads output; 0 is the end of the session.
    ///
    /// # Errors
    /// When the terminal cannot be read.
    pub async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.master.readable().await?;
            match ready.try_io(|master| Ok(nix::unistd::read(master.get_ref(), buffer)?)) {
                // The other end is closed everywhere.
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::EIO as i32) => return Ok(0),
                Ok(read) => return read,
                Err(_) => {}
            }
        }
    }

    /// Writes input as if it were typed.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let mut ready = self.master.writable().await?;
            if let Ok(written) = ready.try_io(|master| Ok(nix::unistd::write(master.get_ref(), data)?)) {
                data = data.get(written?..).unwrap_or_default();
            }
        }
        Ok(())
    }
}

/// One of the encoded terminal modes; those without a meaning on Linux are left out.
fn apply(termios: &mut Termios, mode: Mode, value: u32) {
    let on = value != 0;
    match mode {
        Mode::VINTR => key(termios, Key::VINTR, value),
        Mode::VQUIT => key(termios, Key::VQUIT, value),
        Mode::VERASE => key(termios, Key::VERASE, value),
        Mode::VKILL => key(termios, Key::VKILL, value),
        Mode::VEOF => key(termios, Key::VEOF, value),
        Mode::VEOL => key(termios, Key::VEOL, value),
        Mode::VEOL2 => key(termios, Key::VEOL2, value),
        Mode::VSTART => key(termios, Key::VSTART, value),
        Mode::VSTOP => key(termios, Key::VSTOP, value),
        Mode::VSUSP => key(termios, Key::VSUSP, value),
        Mode::VREPRINT => key(termios, Key::VREPRINT, value),
        Mode::VWERASE => key(termios, Key::VWERASE, value),
        Mode::VLNEXT => key(termios, Key::VLNEXT, value),
        Mode::VDISCARD => key(termios, Key::VDISCARD, value),
        Mode::INLCR => termios.input_flags.set(InputFlags::INLCR, on),
        Mode::IGNCR => termios.input_flags.set(InputFlags::IGNCR, on),
        Mode::ICRNL => termios.input_flags.set(InputFlags::ICRNL, on),
        Mode::IXON => termios.input_flags.set(InputFlags::IXON, on),
        Mode::IXANY => termios.input_flags.set(InputFlags::IXANY, on),
        Mode::IXOFF => termios.input_flags.set(InputFlags::IXOFF, on),
        Mode::IMAXBEL => termios.input_flags.set(InputFlags::IMAXBEL, on),
        Mode::IUTF8 => termios.input_flags.set(InputFlags::IUTF8, on),
        Mode::ISIG => termios.local_flags.set(LocalFlags::ISIG, on),
        Mode::ICANON => termios.local_flags.set(LocalFlags::ICANON, on),
        Mode::ECHO => termios.local_flags.set(LocalFlags::ECHO, on),
        Mode::ECHOE => termios.local_flags.set(LocalFlags::ECHOE, on),
        Mode::ECHOK => termios.local_flags.set(LocalFlags::ECHOK, on),
        Mode::ECHONL => termios.local_flags.set(LocalFlags::ECHONL, on),
        Mode::NOFLSH => termios.local_flags.set(LocalFlags::NOFLSH, on),
        Mode::TOSTOP => termios.local_flags.set(LocalFlags::TOSTOP, on),
        Mode::IEXTEN => termios.local_flags.set(LocalFlags::IEXTEN, on),
        Mode::ECHOCTL => termios.local_flags.set(LocalFlags::ECHOCTL, on),
        Mode::ECHOKE => termios.local_flags.set(LocalFlags::ECHOKE, on),
        Mode::OPOST => termios.output_flags.set(OutputFlags::OPOST, on),
        Mode::ONLCR => termios.output_flags.set(OutputFlags::ONLCR, on),
        Mode::OCRNL => termios.output_flags.set(OutputFlags::OCRNL, on),
        _ => {}
    }
}

/// 255 is "no key" on the wire, 0 in Linux's termios.
fn key(termios: &mut Termios, which: Key, value: u32) {
    let value = u8::try_from(value).unwrap_or(255);
    termios.control_chars[which as usize] = if value == 255 { 0 } else { value };
}
