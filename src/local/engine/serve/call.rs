//! One HTTP exchange with a model server.

use std::path::Path;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens: nothing was sent, and the call may be made elsewhere.
    #[error("the model server cannot be reached: {0}")]
    NotReached(#[from] std::io::Error),
    /// The connection ended before the answer did.
    #[error("the model server closed the connection: {0}")]
    Cut(#[from] hyper::Error),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Sends a request and reads the whole answer, up to `limit` bytes.
///
/// # Errors
/// See [`CallError`].
pub async fn call(
    socket: &Path,
    method: Method,
    path: &'static str,
    headers: HeaderMap,
    body: Bytes,
    limit: usize,
) -> Result<Response<Bytes>, CallError> {
    let stream = UnixStream::connect(socket).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = http::Uri::from_static(path);
    *request.headers_mut() = headers;
    request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("localhost"));
    // A connection for each call: a server that is told to end waits for none that is idle.
    request.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    let exchange = async {
        let (parts, mut content) = sender.send_request(request).await?.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(frame) = content.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if bytes.len() + data.len() > limit {
                return Err(CallError::TooLarge(limit));
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Response::from_parts(parts, bytes.freeze()))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // What it read last is still there to be taken.
        _ = connection => exchange.await,
    }
}
