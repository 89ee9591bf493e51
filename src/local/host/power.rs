//! How the inside of an instance reaches the region: a named pipe to which `shutdown` and its kin write a line.

use std::io;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{OpenOptions, Receiver};

/// The longest line; what comes without an end is dropped.
const LINE_BYTES: usize = 4096;

/// What the guest wants of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutDown {
    /// `shutdown -h`, `poweroff`: EC2 then stops or terminates the instance, as it was launched to.
    Halt,
    Reboot,
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub enum Word {
    Down(ShutDown),
    /// For every terminal.
    Wall(String),
}

/// The region's end of the pipe.
pub struct Power {
    pipe: Receiver,
    rest: Vec<u8>,
}

impl Power {
    /// Makes the pipe in the instance's run folder.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn open(run: &Path) -> io::Result<Self> {
        let path = run.join("power");
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        // For both directions: writers come and go, and none finds it closed.
        Ok(Self { pipe: OpenOptions::new().read_write(true).open_receiver(&path)?, rest: Vec::new() })
    }

    /// The next word. Lines that say nothing are skipped.
    ///
    /// # Errors
    /// When the pipe cannot be read.
    pub async fn next(&mut self) -> io::Result<Word> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                if let Some(word) = parse(&String::from_utf8_lossy(&line)) {
                    return Ok(word);
                }
            }
            if self.rest.len() > LINE_BYTES {
                self.rest.clear();
            }
            let mut chunk = [0; LINE_BYTES];
            let count = self.pipe.read(&mut chunk).await?;
            self.rest.extend_from_slice(&chunk[..count]);
        }
    }
}

fn parse(line: &str) -> Option<Word> {
    match line.trim_end() {
        "halt" => Some(Word::Down(ShutDown::Halt)),
        "reboot" => Some(Word::Down(ShutDown::Reboot)),
        line => line.strip_prefix("wall ").map(|text| Word::Wall(text.chars().filter(|c| !c.is_control()).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_words() {
        assert_eq!(parse("halt\n"), Some(Word::Down(ShutDown::Halt)));
        assert_eq!(parse("wall a\x1b[2Jb\n"), Some(Word::Wall("a[2Jb".to_owned())));
        assert_eq!(parse("explode\n"), None);
    }
}
