//! The line below SSH: buffered, watched, and cut on demand.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::fault;
use crate::model::{Failure, FailureKind, Safe};

/// What is read from the socket at once: several of the largest packets. russh itself reads each packet's length and body with a
/// system call of its own.
const BUFFER: usize = 256 * 1024;
/// How much a server may say before it greets (RFC 4253, 4.2 allows lines of any kind there).
const PREAMBLE: usize = 8 * 1024;

/// What carries the bytes: a TCP connection or a tunnel.
pub(super) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// When something was last heard from the other end, and how much so far.
#[derive(Clone, Debug)]
pub(super) struct LastHeard {
    start: Instant,
    /// Nanoseconds after `start`.
    at: Arc<AtomicU64>,
    bytes: Arc<AtomicU64>,
}

impl LastHeard {
    fn new() -> Self {
        Self { start: Instant::now(), at: Arc::default(), bytes: Arc::default() }
    }

    fn now(&self, count: usize) {
        self.bytes.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        let passed = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.at.store(passed, Ordering::Relaxed);
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn when(&self) -> Instant {
        self.start + Duration::from_nanos(self.at.load(Ordering::Relaxed))
    }
}

/// A line with a buffer, that can be cut from outside: then both directions fail at once, whatever russh waits for.
pub(super) struct Wire {
    line: Box<dyn Line>,
    buffer: Box<[u8]>,
    /// What of the buffer is still to be read.
    from: usize,
    to: usize,
    cut: CancellationToken,
    is_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    heard: LastHeard,
    /// How long the other end may take nothing.
    patience: Duration,
    /// Runs while it takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    pub(super) fn new(line: impl Line + 'static, patience: Duration) -> Self {
        let cut = CancellationToken::new();
        Self {
            line: Box::new(line),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            from: 0,
            to: 0,
            is_cut: Box::pin(cut.clone().cancelled_owned()),
            cut,
            heard: LastHeard::new(),
            patience,
            stalled: None,
        }
    }

    /// Cuts the line when it is cancelled.
    pub(super) fn cutter(&self) -> CancellationToken {
        self.cut.clone()
    }

    pub(super) fn last_heard(&self) -> LastHeard {
        self.heard.clone()
    }

    /// Waits for the line by which the server says that it speaks SSH, and answers it. It stays to be read by russh; what
    /// came before it does not.
    pub(super) async fn greeting(&mut self) -> Result<Safe, Failure> {
        let mut skipped = 0;
        loop {
            let unread = self.buffer.get(self.from..self.to).unwrap_or_default();
            if let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line = unread.get(..end).unwrap_or_default().trim_ascii_end();
                if line.starts_with(b"SSH-") {
                    let said = Safe::bytes(line);
                    let speaks = line.starts_with(b"SSH-2.0-") || line.starts_with(b"SSH-1.99-");
                    return if speaks { Ok(said) } else { Err(fault::not_ssh(&said)) };
                }
                if skipped == 0 && !line.is_empty() && looks_foreign(line) {
                    return Err(fault::not_ssh(&Safe::bytes(line)));
                }
                skipped += end + 1;
                self.from += end + 1;
            } else if unread.len() > PREAMBLE {
                return Err(fault::not_ssh(&Safe::bytes(unread.get(..60).unwrap_or_default())));
            } else {
                self.fill().await?;
            }
            if skipped > PREAMBLE {
                return Err(Failure::new(
                    FailureKind::Service,
                    "the server talks on without greeting as an SSH server does",
                    "see that the address and port are the instance's, and look at its console output",
                ));
            }
        }
    }

    async fn fill(&mut self) -> Result<(), Failure> {
        if self.from > 0 {
            self.buffer.copy_within(self.from..self.to, 0);
            self.to -= self.from;
            self.from = 0;
        }
        let room = self.buffer.get_mut(self.to..).unwrap_or_default();
        let count = self.line.read(room).await.map_err(|error| fault::broken(&error))?;
        if count == 0 {
            return Err(fault::hung_up());
        }
        self.heard.now(count);
        self.to += count;
        Ok(())
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        self.is_cut
            .as_mut()
            .poll(cx)
            .is_ready()
            .then(|| io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was closed"))
    }

    /// Bounds how long a write may be held up. The probes do not see that: while russh writes, it does nothing else.
    fn bounded<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The first line of something else, e.g. a web server's.
fn looks_foreign(line: &[u8]) -> bool {
    line.starts_with(b"HTTP/") || line.starts_with(b"220 ") || line.starts_with(b"* OK") || line.starts_with(b"+OK")
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Some(error) = wire.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        if wire.from == wire.to {
            let mut room = ReadBuf::new(&mut wire.buffer);
            ready!(Pin::new(&mut wire.line).poll_read(cx, &mut room))?;
            (wire.from, wire.to) = (0, room.filled().len());
            if wire.to > 0 {
                wire.heard.now(wire.to);
            }
        }
        let unread = wire.buffer.get(wire.from..wire.to).unwrap_or_default();
        let count = unread.len().min(into.remaining());
        into.put_slice(unread.get(..count).unwrap_or_default());
        wire.from += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if let Some(error) = wire.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        let written = Pin::new(&mut wire.line).poll_write(cx, from);
        wire.bounded(written, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Some(error) = wire.poll_cut(cx) {
            return Poll::Ready(Err(error));
        }
        let flushed = Pin::new(&mut wire.line).poll_flush(cx);
        wire.bounded(flushed, cx)
    }

    /// Never an error: russh would report that one in place of why the connection ends.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if wire.poll_cut(cx).is_some() {
            return Poll::Ready(Ok(()));
        }
        let _ = ready!(Pin::new(&mut wire.line).poll_shutdown(cx));
        Poll::Ready(Ok(()))
    }
}
