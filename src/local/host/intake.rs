//! What a client sent and the guest has not taken yet, bounded per connection.
//!
//! russh (0.65) opens a channel's window again as soon as data arrived, not when it was taken; and when its own queue is
//! full it stops its whole loop, the output's too, so that `cat` with more input than its queue holds would wait for ever.
//! So data goes to queues of ours without waiting, and it is the connection's *reading* that stops above a limit. Except
//! while output waits for the client's window: the word that opens it may be behind the data.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Nothing more is read from the connection while this many bytes wait…
const SOFT: usize = 1 << 20;
/// …and this many end it: the client sends on and takes no output.
const HARD: usize = 64 << 20;

/// The count of one connection.
#[derive(Default)]
pub struct Intake {
    queued: AtomicUsize,
    /// How many outputs wait for the client's window.
    starved: AtomicUsize,
    reader: AtomicWaker,
}

impl Intake {
    /// The two ends of a new queue that counts here.
    #[must_use]
    pub fn queue(self: &Arc<Self>) -> (Feed, Inlet) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Feed { sender, intake: Arc::clone(self) }, Inlet { receiver, intake: Arc::clone(self) })
    }

    /// Says, until it is dropped, that an output waits for the client's window.
    #[must_use]
    pub fn starve(self: &Arc<Self>) -> Starved {
        self.starved.fetch_add(1, Ordering::SeqCst);
        self.reader.wake();
        Starved(Arc::clone(self))
    }

    fn taken(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::SeqCst);
        self.reader.wake();
    }

    /// Whether the connection may be read.
    fn open(&self) -> io::Result<bool> {
        let queued = self.queued.load(Ordering::SeqCst);
        if queued >= HARD {
            return Err(io::Error::other("the client sends on and takes no output"));
        }
        Ok(queued < SOFT || self.starved.load(Ordering::SeqCst) > 0)
    }
}

/// See [`Intake::starve`].
pub struct Starved(Arc<Intake>);

impl Drop for Starved {
    fn drop(&mut self) {
        self.0.starved.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where a channel's data goes in. Dropping it is the end of the data.
pub struct Feed {
    sender: mpsc::UnboundedSender<Bytes>,
    intake: Arc<Intake>,
}

impl Feed {
    /// Adds data; it is forgotten when nobody takes it any more.
    pub fn push(&self, data: &[u8]) {
        self.intake.queued.fetch_add(data.len(), Ordering::SeqCst);
        if self.sender.send(Bytes::copy_from_slice(data)).is_err() {
            self.intake.taken(data.len());
        }
    }
}

/// Where a channel's data comes out.
pub struct Inlet {
    receiver: mpsc::UnboundedReceiver<Bytes>,
    intake: Arc<Intake>,
}

impl Stream for Inlet {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let data = ready!(self.receiver.poll_recv(context));
        if let Some(data) = &data {
            self.intake.taken(data.len());
        }
        Poll::Ready(data)
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        self.receiver.close();
        while let Ok(data) = self.receiver.try_recv() {
            self.intake.taken(data.len());
        }
    }
}

/// A connection that is read only while the intake allows it, and that ends when its token is cancelled.
pub struct Gated<S> {
    stream: S,
    intake: Arc<Intake>,
    stop: CancellationToken,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Gated<S> {
    /// Puts the gate before a stream.
    pub fn new(stream: S, intake: Arc<Intake>, stop: CancellationToken) -> Self {
        let stopped = Box::pin(stop.clone().cancelled_owned());
        Self { stream, intake, stop, stopped }
    }

    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.stop.is_cancelled() || self.stopped.as_mut().poll(context).is_ready() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        self.intake.reader.register(context.waker());
        if !self.intake.open()? {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn reading_stops_while_too_much_waits_and_goes_on_when_it_is_taken() {
        let intake = Arc::new(Intake::default());
        let (feed, mut inlet) = intake.queue();
        let (mut far, near) = tokio::io::duplex(64);
        let stop = CancellationToken::new();
        let mut gated = Gated::new(near, Arc::clone(&intake), stop.clone());
        far.write_all(b"abc").await.unwrap();
        feed.push(&vec![0; SOFT]);
        let mut buffer = [0; 1];
        assert!(futures_util::poll!(Box::pin(gated.read(&mut buffer))).is_pending());
        let starved = intake.starve();
        assert_eq!(gated.read(&mut buffer).await.unwrap(), 1);
        drop(starved);
        assert!(futures_util::poll!(Box::pin(gated.read(&mut buffer))).is_pending());
        inlet.next().await.unwrap();
        assert_eq!(gated.read(&mut buffer).await.unwrap(), 1);
        feed.push(&vec![0; SOFT]);
        drop(inlet);
        assert_eq!(gated.read(&mut buffer).await.unwrap(), 1, "what nobody will take does not count");
        stop.cancel();
        assert!(gated.read(&mut buffer).await.is_err());
    }
}
