//! The doors: a socket in the region's folder for a second cockpit, a TCP port for every other AWS client, and one that the
//! programs in instances find in `AWS_ENDPOINT_URL`.
//!
//! The port is the risk: any page in a browser of this machine can send to it. So it is loopback only, the Host must be
//! exactly one of ours (a rebound DNS name is not), requests that say they come from a page are refused, and nothing is
//! answered without a signature made with this region's secret. The one exception is the page behind a presigned URL of a
//! notebook, which a token opens once (`sagemaker::notebooks`).

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::patience::Patient;
use super::region::{Body, LocalRegion};
use super::route::{finish, request_id};
use super::wire::Reply;

/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the sender of a body may be silent: as S3, which then answers `RequestTimeout`.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECTIONS: usize = 256;
/// Of a request's head; S3 metadata, the largest part, ends at 2 KiB.
const HEADER_BYTES: usize = 64 * 1024;
const HEADERS: usize = 100;
/// How long answers under way may take when the door closes.
const FAREWELL: Duration = Duration::from_secs(5);

/// Where the region in this folder listens for a second cockpit.
#[must_use]
pub fn socket_path(folder: &Path) -> PathBuf {
    folder.join("door.sock")
}

impl LocalRegion {
    /// Opens the socket in the region's folder (0600): it can be connected to from now on. What is returned serves it until told
    /// to stop, then removes it. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn serve_unix(self: Arc<Self>, stop: CancellationToken) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let path = socket_path(&self.folder);
        // The folder is ours alone (it is locked), so a socket that is there was left by a process that is gone.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(async move {
            let accept = || async { listener.accept().await.map(|(stream, _): (UnixStream, _)| stream) };
            serve(Arc::downgrade(&self), accept, None, stop).await;
            std::fs::remove_file(&path).ok();
        })
    }

    /// Serves a TCP port of this machine until told to stop.
    ///
    /// # Errors
    /// When the listener is not on a loopback address.
    pub async fn serve_tcp(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            let text = format!("the local region listens on 127.0.0.1 or [::1] only, not on {}", address.ip());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let accept = || async {
            let (stream, peer): (_, SocketAddr) = listener.accept().await?;
            stream.set_nodelay(true)?;
            if peer.ip().is_loopback() { Ok(stream) } else { Err(io::ErrorKind::PermissionDenied.into()) }
        };
        let _door = self.services.sagemaker.notebooks().door(address);
        serve(Arc::downgrade(&self), accept, Some(address.port()), stop).await;
        Ok(())
    }

    /// Serves the instances' door until told to stop, or the region is gone: it does not keep it alive. Must be called in a
    /// Tokio runtime.
    pub(super) fn serve_instances(self: &Arc<Self>, listener: std::net::TcpListener, stop: CancellationToken) {
        let region = Arc::downgrade(self);
        tokio::spawn(async move {
            let port = listener.local_addr().map(|address| address.port());
            match (TcpListener::from_std(listener), port) {
                (Ok(listener), Ok(port)) => {
                    let accept = || async {
                        let (stream, _) = listener.accept().await?;
                        stream.set_nodelay(true).map(|()| stream)
                    };
                    serve(region, accept, Some(port), stop).await;
                }
                // Instances run without it, and their clients say that nobody answers.
                (Err(error), _) | (_, Err(error)) => tracing::warn!(%error, "the instances' door cannot be opened"),
            }
        });
    }
}

/// A door for the programs in instances, at a free port of 127.0.0.1, and its URL; served by
/// [`LocalRegion::serve_instances`]. Who comes before that waits.
///
/// # Errors
/// When no port can be had.
pub(super) fn for_instances() -> io::Result<(std::net::TcpListener, String)> {
    let listener = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

/// Accepts until told to stop; answers under way get a moment to finish.
async fn serve<S, F>(region: Weak<LocalRegion>, accept: impl Fn() -> F, port: Option<u16>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    F: Future<Output = io::Result<S>>,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let stream = tokio::select! {
            () = stop.cancelled() => break,
            stream = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (accept().await, place)
            } => stream,
        };
        let (Ok(stream), Ok(place)) = stream else {
            // Out of file descriptors, or a client that left at once: do not spin on it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (region, stop) = (Weak::clone(&region), stop.clone());
        connections.spawn(async move {
            converse(region, stream, port, stop).await;
            drop(place);
        });
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(FAREWELL, ended).await.ok();
}

async fn converse<S>(region: Weak<LocalRegion>, stream: S, port: Option<u16>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let region = region.upgrade();
        async move {
            // A region that is gone hangs up.
            let region = region.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted))?;
            Ok::<_, io::Error>(enter(&region, request, port).await)
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES).max_headers(HEADERS);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // What goes wrong on a connection is its client's to notice.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await.ok();
        }
    }
}

async fn enter(region: &LocalRegion, request: Request<Incoming>, port: Option<u16>) -> Response<Body> {
    if port.is_some_and(|port| !is_ours(&request, port)) {
        let text = "This request is not addressed to the local region: use http://127.0.0.1:PORT or http://localhost:PORT\n";
        let reply = Reply { status: 421, content_type: "text/plain", headers: Vec::new(), body: text.into() };
        return finish(reply, &request_id());
    }
    let expects = request.headers().contains_key(http::header::EXPECT);
    let empty = http_body::Body::is_end_stream(request.body());
    let mut response = region.handle(request.map(|body| Patient::new(body, BODY_TIMEOUT).boxed_unsync())).await;
    // botocore asks before each upload whether to go on, and when the answer comes at once, without "100 Continue", it
    // misreads the next answer on the same connection. Like S3, end the connection then.
    if expects && (empty || !response.status().is_success()) {
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response
}

/// Whether a request is addressed to this door, exactly: one Host header, in origin form, with our name and port.
fn is_ours<B>(request: &Request<B>, port: u16) -> bool {
    let mut hosts = request.headers().get_all(http::header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    if request.uri().authority().is_some() || request.uri().scheme().is_some() {
        return false;
    }
    let Ok(host) = host.to_str() else { return false };
    // Clients leave out the port of the scheme.
    let name = match host.strip_suffix(&format!(":{port}")) {
        Some(name) => name,
        None if port == 80 => host,
        None => return false,
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
        || name.strip_suffix(".localhost").is_some_and(s3s::path::check_bucket_name)
}
