//! A file here that is written beside the line, so that neither waits for the other.

use std::fs::File;
use std::io::{self, Write};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Pieces that may wait for the disk.
const WAITING: usize = 8;

/// Takes pieces of a file in their order. Whatever happens, what is in the file is a beginning of what was taken: after a
/// failure nothing more is written.
pub(super) struct Sink {
    pieces: mpsc::Sender<Vec<u8>>,
    writer: JoinHandle<io::Result<File>>,
}

impl Sink {
    /// Writes from where the file stands.
    pub(super) fn new(mut file: File) -> Self {
        let (pieces, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let writer = tokio::task::spawn_blocking(move || {
            while let Some(piece) = waiting.blocking_recv() {
                file.write_all(&piece)?;
            }
            Ok(file)
        });
        Self { pieces, writer }
    }

    /// Takes a piece; `false` when it does no more, for a reason that [`Sink::end`] says.
    pub(super) async fn take(&self, piece: Vec<u8>) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// As the disk says.
    pub(super) async fn end(self) -> io::Result<File> {
        drop(self.pieces);
        self.writer.await.map_err(io::Error::other)?
    }
}
