//! The websocket of an EC2 Instance Connect Endpoint as a line.
//!
//! The protocol is that of the AWS CLI (`awscli/customizations/ec2instanceconnect/websocket.py`): what is carried goes in
//! binary messages of at most 65,000 bytes; a text message is an error; a close code other than 1000 carries a reason.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::fault;
use crate::model::{Failure, FailureKind};

/// Bytes that a message may carry.
const LARGEST: usize = 65_000;
/// What we take at once; the endpoint keeps to [`LARGEST`].
const TAKEN: usize = 1 << 20;

/// An open tunnel.
pub(super) struct Tunnel {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What of the last message is still to be read.
    rest: Bytes,
}

/// Why a tunnel ended, carried inside an I/O error.
#[derive(Debug)]
pub(super) struct TunnelEnded {
    why: String,
}

impl TunnelEnded {
    fn error(why: impl Into<String>) -> io::Error {
        io::Error::new(io::ErrorKind::ConnectionAborted, Self { why: why.into() })
    }

    pub(super) fn tell(&self) -> Failure {
        Failure::new(
            FailureKind::Network,
            format!("the tunnel through the EC2 Instance Connect Endpoint ended: {}", fault::cut(&self.why)),
            "see that the endpoint's security group may reach the instance on port 22, and that the instance lets it in; a tunnel lasts \
             an hour at most: connect again",
        )
    }
}

impl fmt::Display for TunnelEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the tunnel ended: {}", self.why)
    }
}

impl std::error::Error for TunnelEnded {}

/// Opens the tunnel at this signed URL (`wss://`, or `ws://` on loopback).
pub(super) async fn open(url: &str) -> Result<Tunnel, Failure> {
    let bad = |why: &str| Failure::new(FailureKind::Invalid, format!("the tunnel's address cannot be used: {why}"), "");
    let uri: Uri = url.parse().map_err(|_| bad("it is no URL"))?;
    let host = uri.host().ok_or_else(|| bad("it names no host"))?.trim_matches(['[', ']']);
    let (secure, port) = match uri.scheme_str() {
        Some("wss") => (true, uri.port_u16().unwrap_or(443)),
        Some("ws") => (false, uri.port_u16().unwrap_or(80)),
        _ => return Err(bad("it is neither wss nor ws")),
    };
    // The signature in the URL and all that is typed would be readable on the way.
    if !secure && !host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
        return Err(bad("ws without TLS leads out of this machine"));
    }
    let tcp = TcpStream::connect((host, port)).await.map_err(|error| {
        let what = format!("the EC2 Instance Connect Endpoint {host} cannot be reached: {error}");
        Failure::new(
            FailureKind::Network,
            what,
            "see that this machine is on the network and that HTTPS (TCP port 443) leads out of it",
        )
    })?;
    // A key press is a message of its own, not to be held back.
    let _ = tcp.set_nodelay(true);
    let config = WebSocketConfig::default().write_buffer_size(0).max_message_size(Some(TAKEN)).max_frame_size(Some(TAKEN));
    match client_async_tls_with_config(url, tcp, Some(config), None).await {
        Ok((socket, _)) => Ok(Tunnel { socket, rest: Bytes::new() }),
        Err(Error::Http(answer)) => Err(refused(answer.status().as_u16(), answer.body().as_deref().unwrap_or_default())),
        Err(error) => Err(Failure::new(
            FailureKind::Network,
            format!("the tunnel at {host} did not open: {}", fault::cut(&error.to_string())),
            "try again; if it stays so, look at the endpoint's state",
        )),
    }
}

fn refused(status: u16, body: &[u8]) -> Failure {
    let said = fault::cut(&String::from_utf8_lossy(body));
    let said = if said.is_empty() { String::new() } else { format!(": {said}") };
    let (kind, hint) = match status {
        401 | 403 => (
            FailureKind::Denied,
            "your credentials need ec2-instance-connect:OpenTunnel on this endpoint; the address is good for a minute only",
        ),
        404 => (FailureKind::NotFound, "the endpoint or the instance's address is not there any more"),
        429 => (FailureKind::Throttled, "an endpoint has a handful of tunnels at a time: close one, or wait"),
        _ => (FailureKind::Service, "look at the endpoint's state; it must be create-complete"),
    };
    Failure::new(kind, format!("the EC2 Instance Connect Endpoint refused the tunnel (HTTP {status}){said}"), hint)
}

impl Tunnel {
    /// The next bytes; none at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            return Poll::Ready(match ready!(self.socket.poll_next_unpin(cx)) {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => continue,
                Some(Ok(Message::Binary(bytes))) => Ok(bytes),
                Some(Ok(Message::Text(said))) => Err(TunnelEnded::error(said.as_str())),
                Some(Ok(Message::Close(Some(frame)))) if frame.code != CloseCode::Normal => {
                    let reason = frame.reason.as_str().trim();
                    let reason = if reason.is_empty() { "no reason given" } else { reason };
                    Err(TunnelEnded::error(format!("{reason} (code {})", u16::from(frame.code))))
                }
                Some(Ok(Message::Close(_))) | None => Ok(Bytes::new()),
                Some(Ok(_)) => continue,
                Some(Err(error)) => Err(carried(error)),
            });
        }
    }
}

fn carried(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        other => TunnelEnded::error(other.to_string()),
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            self.rest = ready!(self.poll_bytes(cx))?;
        }
        let count = self.rest.len().min(into.remaining());
        into.put_slice(self.rest.get(..count).unwrap_or_default());
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(carried)?;
        let part = from.get(..from.len().min(LARGEST)).unwrap_or_default();
        Pin::new(&mut self.socket).start_send(Message::Binary(Bytes::copy_from_slice(part))).map_err(carried)?;
        Poll::Ready(Ok(part.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_flush_unpin(cx).map_err(carried)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.socket.poll_close_unpin(cx)) {
            Ok(()) | Err(Error::ConnectionClosed | Error::AlreadyClosed) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(carried(error))),
        }
    }
}
