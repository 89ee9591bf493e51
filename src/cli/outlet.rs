//! What a command says on an instance, as fast as it comes. A thread of its own writes it, many pieces at once: while standard
//! output takes no more, the connection lives on, and neither waits for the other piece by piece.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::mem;
use std::os::fd::AsFd;
use std::thread;

use bytes::Bytes;
use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use super::print;
use crate::model::{Failure, FailureKind};
use crate::ssh::{Exit, Heard, ShellOutput};

/// Bytes that are handed over at once, about: as many may wait while others are written.
const BATCH: usize = 1 << 20;
/// Pieces that are written at once (`IOV_MAX` of Linux is 1024).
const PIECES: usize = 512;

/// Pieces of one stream, in their order.
struct Batch {
    is_err: bool,
    pieces: Vec<Bytes>,
}

/// How it ended.
pub enum Ended {
    Exit(Exit),
    /// The connection is gone.
    Lost(Failure),
}

/// Writes all that is heard to standard output and standard error, and says how it ended.
///
/// # Errors
/// When the output is gone or full.
pub async fn carry(mut output: ShellOutput) -> Result<Ended, Failure> {
    let (mut out, mut err) = (raw(&io::stdout())?, raw(&io::stderr())?);
    let (to, mut batches) = mpsc::channel::<Batch>(1);
    let (told, written) = oneshot::channel();
    // Not one of the runtime's, which would be waited for: who reads no more must not keep a program that was told to end.
    let writer = thread::Builder::new().name("outlet".to_owned()).spawn(move || {
        let mut write_all = || {
            while let Some(batch) = batches.blocking_recv() {
                write(if batch.is_err { &mut err } else { &mut out }, &batch.pieces)?;
            }
            Ok(())
        };
        // Nobody asks once the program ends.
        let _ = told.send(write_all());
    });
    writer.map_err(|error| broken(&error))?;
    let ended = gather(&mut output, &to).await;
    drop(to);
    written.await.map_err(|error| broken(&error))?.map_err(|error: io::Error| print::unwritable(&error))?;
    Ok(ended)
}

fn broken(error: &impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Machine, format!("writing the output: {error}"), "")
}

/// Hands on what is heard until it ends, or is not taken any more.
async fn gather(output: &mut ShellOutput, to: &mpsc::Sender<Batch>) -> Ended {
    let mut batch = Batch { is_err: false, pieces: Vec::new() };
    loop {
        // All that is there already goes together.
        let heard = match output.next().now_or_never() {
            Some(heard) => heard,
            None if batch.pieces.is_empty() => output.next().await,
            None => {
                if !hand_over(&mut batch, to).await {
                    return Ended::Exit(Exit::default());
                }
                continue;
            }
        };
        let (is_err, piece) = match heard {
            Heard::Out(piece) => (false, piece),
            Heard::Err(piece) => (true, piece),
            // Whether the rest is taken is told by who writes it.
            Heard::Ended(exit) => {
                hand_over(&mut batch, to).await;
                return Ended::Exit(exit);
            }
            Heard::Lost(failure) => {
                hand_over(&mut batch, to).await;
                return Ended::Lost(failure);
            }
        };
        let is_full = batch.pieces.len() >= PIECES || batch.pieces.iter().map(Bytes::len).sum::<usize>() >= BATCH;
        if (is_full || is_err != batch.is_err) && !hand_over(&mut batch, to).await {
            return Ended::Exit(Exit::default());
        }
        batch.is_err = is_err;
        batch.pieces.push(piece);
    }
}

/// Gives the batch to who writes it, and begins another one; `false` when nothing is written any more.
async fn hand_over(batch: &mut Batch, to: &mpsc::Sender<Batch>) -> bool {
    let pieces = mem::take(&mut batch.pieces);
    pieces.is_empty() || to.send(Batch { is_err: batch.is_err, pieces }).await.is_ok()
}

/// Standard output without the buffer that would cut it at its last line.
fn raw(stream: &impl AsFd) -> Result<File, Failure> {
    stream.as_fd().try_clone_to_owned().map(File::from).map_err(|error| print::unwritable(&error))
}

fn write(to: &mut File, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        match to.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut left, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
