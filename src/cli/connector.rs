//! The SDK's way to the local region without a network: a call inside this process, or its Unix socket.
//!
//! The SDK signs a request for `http://127.0.0.1`; here it is put as it would stand on the wire (path as target, `Host`
//! header), so that the region checks the signature as it does for any client.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use aws_smithy_runtime_api::client::connection::{CaptureSmithyConnection, ConnectionMetadata};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use crate::aws::guard::Refusal;
use crate::local::LocalRegion;
use crate::model::{Failure, FailureKind};

/// What requests to the local region are addressed to; nothing listens there.
pub const ENDPOINT: &str = "http://127.0.0.1";

type Failed = Box<dyn Error + Send + Sync>;

/// Calls the region in this process.
pub fn in_process(region: Arc<LocalRegion>) -> SharedHttpClient {
    client(InProcess(region))
}

/// Calls the region of another process through its socket.
pub fn over_unix(socket: PathBuf) -> SharedHttpClient {
    client(OverUnix(socket))
}

fn client(connector: impl HttpConnector + 'static) -> SharedHttpClient {
    let connector = SharedHttpConnector::new(connector);
    // Deadlines are the SDK's per operation; there is no connection to time out on its own.
    http_client_fn(move |_, _| connector.clone())
}

struct InProcess(Arc<LocalRegion>);

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let region = Arc::clone(&self.0);
        HttpConnectorFuture::new(async move {
            let request = on_the_wire(request)?.map(crate::local::Body::new);
            from_the_wire(region.handle(request).await)
        })
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

#[derive(Debug)]
struct OverUnix(PathBuf);

impl HttpConnector for OverUnix {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let socket = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = on_the_wire(request)?;
            let stream = UnixStream::connect(&socket).await.map_err(|_| gone())?;
            let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
            // Ends by itself when the response has been read or dropped: there is one request per connection.
            tokio::spawn(connection);
            from_the_wire(sender.send_request(request).await.map_err(failed)?)
        })
    }
}

/// Nobody listens at the socket any more.
fn gone() -> ConnectorError {
    ConnectorError::io(Box::new(Refusal(Failure::new(
        FailureKind::Network,
        "the local region is gone: the footplate that ran it has ended",
        "start `footplate local serve` and this goes on by itself: everything that had ended is still there",
    ))))
}

fn failed(error: hyper::Error) -> ConnectorError {
    if error.is_user() { ConnectorError::user(error.into()) } else { ConnectorError::io(error.into()) }
}

/// The SDK's request as a server sees it.
fn on_the_wire(request: HttpRequest) -> Result<http::Request<SdkBody>, ConnectorError> {
    let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    if let Some(capture) = request.extensions().get::<CaptureSmithyConnection>() {
        // After a failure the SDK asks for the connection, to have it not used again. None of ours ever is.
        capture.set_connection_retriever(|| Some(ConnectionMetadata::builder().proxied(false).poison_fn(|| {}).build()));
    }
    let uri = request.uri();
    let host = uri.authority().map_or("127.0.0.1", |authority| authority.as_str());
    let host = HeaderValue::from_str(host).map_err(|error| ConnectorError::user(error.into()))?;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let target: http::Uri = target.parse().map_err(|error: http::uri::InvalidUri| ConnectorError::user(error.into()))?;
    request.headers_mut().entry(HOST).or_insert(host);
    *request.uri_mut() = target;
    Ok(request)
}

/// A server's response as the SDK wants it.
fn from_the_wire<B>(response: http::Response<B>) -> Result<HttpResponse, ConnectorError>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Failed> + 'static,
{
    let response = response.map(|body| SdkBody::from_body_1_x(Shared(Mutex::new(body))));
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
}

/// Lends `Sync`, which the SDK asks of a body, to one that is not; nothing is ever locked, since reading it takes `&mut`.
struct Shared<B>(Mutex<B>);

impl<B: Body<Data = Bytes> + Unpin> Body for Shared<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let body = self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner);
        Pin::new(body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_put_as_on_the_wire() {
        let mut request = HttpRequest::new(SdkBody::from("x"));
        request.set_method("PUT").unwrap();
        request.set_uri("http://127.0.0.1/bucket/a%20b?partNumber=1").unwrap();
        let request = on_the_wire(request).unwrap();
        assert_eq!(request.uri().to_string(), "/bucket/a%20b?partNumber=1");
        assert_eq!(request.headers()[HOST], "127.0.0.1");
        assert_eq!(request.method(), "PUT");
    }

    #[tokio::test]
    async fn a_socket_that_is_gone_is_a_failure_of_the_connection() {
        let folder = tempfile::tempdir().unwrap();
        let connector = OverUnix(folder.path().join("none.sock"));
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri("http://127.0.0.1/").unwrap();
        assert!(connector.call(request).await.unwrap_err().is_io());
    }
}
