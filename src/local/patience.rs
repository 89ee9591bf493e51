//! A body whose sender may not fall silent: a connection has its place at the door as long as something comes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::region::BodyError;

/// What the error of a silent body says; S3 has a code of this name.
pub const TIMED_OUT: &str = "RequestTimeout";

/// Ends with an error when nothing has come for too long. Only waiting counts, not the time in which nobody reads.
pub struct Patient<B> {
    body: B,
    patience: Duration,
    silence: Pin<Box<Sleep>>,
    waiting: bool,
}

impl<B> Patient<B> {
    pub fn new(body: B, patience: Duration) -> Self {
        Self { body, patience, silence: Box::pin(sleep(patience)), waiting: false }
    }
}

impl<B> Body for Patient<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            this.waiting = false;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if !this.waiting {
            this.waiting = true;
            this.silence.as_mut().reset(Instant::now() + this.patience);
        }
        ready!(this.silence.as_mut().poll(context));
        Poll::Ready(Some(Err(TIMED_OUT.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt as _;
    use http_body_util::{BodyExt as _, StreamBody};

    #[tokio::test]
    async fn a_silent_sender_is_given_up_and_what_came_before_arrives() {
        let first = futures_util::stream::iter([Ok::<_, BodyError>(Frame::data(Bytes::from_static(b"x")))]);
        let silent = StreamBody::new(first.chain(futures_util::stream::pending()));
        let mut body = Patient::new(silent, Duration::from_millis(20));
        let frame = body.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), Bytes::from_static(b"x"));
        assert_eq!(body.frame().await.unwrap().unwrap_err().to_string(), TIMED_OUT);
    }
}
