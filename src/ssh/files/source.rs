//! A file here that is read beside the line, so that neither waits for the other.

use std::fs::File;
use std::io::{self, Read};

use tokio::sync::mpsc;

/// Pieces that may wait for the line.
const WAITING: usize = 8;

/// Gives a file in pieces of one length; the last one may be shorter.
pub(super) struct Source {
    pieces: mpsc::Receiver<io::Result<Vec<u8>>>,
}

impl Source {
    /// Reads from where the file stands.
    pub(super) fn new(mut file: File, length: u32) -> Self {
        let (to, pieces) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            loop {
                let mut piece = Vec::with_capacity(length as usize);
                let read = (&mut file).take(length.into()).read_to_end(&mut piece);
                // Nobody listens any more, or it is at its end.
                if matches!(read, Ok(0)) || to.blocking_send(read.map(|_| piece)).is_err() {
                    return;
                }
            }
        });
        Self { pieces }
    }

    /// The next piece; an empty one at the end.
    ///
    /// # Errors
    /// As the disk says.
    pub(super) async fn next(&mut self) -> io::Result<Vec<u8>> {
        self.pieces.recv().await.unwrap_or_else(|| Ok(Vec::new()))
    }
}
