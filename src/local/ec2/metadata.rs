//! The Instance Metadata Service, version 2, of each running instance (EC2 User Guide, "Use the Instance Metadata Service to
//! access instance metadata"): what an instance is, and the credentials of its role.
//!
//! On AWS it answers at 169.254.169.254, which is not ours to bind: here it has a port of the instance's own address, which
//! programs in the instance find in `AWS_EC2_METADATA_SERVICE_ENDPOINT`, as all SDKs do. Hop limits are taken and not counted:
//! loopback has no hops. The identity document is not signed. What other users of this machine ask is not answered ([`peer`]):
//! on AWS nobody but the instance gets this far.

mod peer;
mod token;
mod tree;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, HOST, ORIGIN, REFERER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Ec2;
use crate::local::fault::Fault;
use crate::local::region::{Body, body};
use token::Tokens;
use tree::Found;

/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;
const TOKEN: &str = "x-aws-ec2-metadata-token";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";

/// The service of one instance. It ends when this is dropped.
pub struct Metadata {
    address: SocketAddr,
    _server: DropGuard,
}

struct Service {
    ec2: Weak<Ec2>,
    id: String,
    address: SocketAddr,
    tokens: Tokens,
}

impl Metadata {
    /// Opens it for an instance at a free port of its address.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn open(ec2: Weak<Ec2>, id: &str, address: Ipv4Addr) -> io::Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let address = listener.local_addr()?;
        let stop = CancellationToken::new();
        let service = Arc::new(Service { ec2, id: id.to_owned(), address, tokens: Tokens::new()? });
        tokio::spawn(serve(listener, service, stop.clone()));
        Ok(Self { address, _server: stop.drop_guard() })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn serve(listener: TcpListener, service: Arc<Service>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors, or a client that left at once: do not spin on it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (service, stop) = (Arc::clone(&service), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = converse(service, stream, peer) => {}
                () = stop.cancelled() => {}
            }
            drop(place);
        });
    }
}

async fn converse(service: Arc<Service>, stream: TcpStream, peer: SocketAddr) {
    let address = service.address;
    let known = tokio::task::spawn_blocking(move || peer::is_ours(peer, address)).await;
    if !known.is_ok_and(|known| known) {
        return;
    }
    let answer = service_fn(move |request: Request<Incoming>| {
        let service = Arc::clone(&service);
        async move {
            let (parts, _) = request.into_parts();
            let work = tokio::task::spawn_blocking(move || service.answer(&parts));
            Ok::<_, std::convert::Infallible>(work.await.unwrap_or_else(|_| page(StatusCode::INTERNAL_SERVER_ERROR)))
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    // What goes wrong on a connection is its client's to notice.
    builder.serve_connection(TokioIo::new(stream), answer).await.ok();
}

impl Service {
    /// Blocks: the answer is as the instance is now.
    fn answer(&self, parts: &Parts) -> Response<Body> {
        let Some(ec2) = self.ec2.upgrade() else { return page(StatusCode::SERVICE_UNAVAILABLE) };
        match self.respond(&ec2, parts) {
            Ok(response) => response,
            Err(fault) => {
                tracing::warn!(id = %self.id, error = %fault.message, "the metadata of an instance cannot be told");
                page(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    fn respond(&self, ec2: &Ec2, parts: &Parts) -> Result<Response<Body>, Fault> {
        let Some(instance) = ec2.store.get(&self.id)? else { return Ok(page(StatusCode::NOT_FOUND)) };
        let options = tree::options(&instance);
        if !self.is_addressed(&parts.headers) || !options.enabled {
            return Ok(page(StatusCode::FORBIDDEN));
        }
        let path = parts.uri.path();
        match parts.method {
            Method::PUT if path == "/latest/api/token" => Ok(self.token(&parts.headers)),
            Method::GET | Method::HEAD if path != "/latest/api/token" => {
                let sound = match parts.headers.get(TOKEN) {
                    Some(token) => self.tokens.accepts(token.as_bytes()),
                    // Version 1 has no tokens.
                    None => !options.tokens_required,
                };
                if !sound {
                    return Ok(page(StatusCode::UNAUTHORIZED));
                }
                let found = tree::find(ec2, &instance, self.address, path)?;
                Ok(found.map_or_else(|| page(StatusCode::NOT_FOUND), told))
            }
            // assumed: 405 for what neither a path nor a method is for.
            _ => {
                let mut response = page(StatusCode::METHOD_NOT_ALLOWED);
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("OPTIONS, GET, HEAD, PUT"));
                Ok(response)
            }
        }
    }

    /// A token for so long as is asked for; none for who comes through a proxy that says so (User Guide: 403).
    fn token(&self, headers: &HeaderMap) -> Response<Body> {
        if headers.contains_key("x-forwarded-for") {
            return page(StatusCode::FORBIDDEN);
        }
        let ttl = headers.get(TTL).and_then(|ttl| ttl.to_str().ok()).and_then(|ttl| ttl.parse().ok());
        let Some((ttl, token)) = ttl.and_then(|ttl| Some((ttl, self.tokens.issue(ttl)?))) else {
            return page(StatusCode::BAD_REQUEST);
        };
        let mut response = told(Found { kind: "text/plain", bytes: token.into_bytes() });
        response.headers_mut().insert(TTL, HeaderValue::from(ttl));
        response
    }

    /// Exactly one Host, ours; and nothing that says it comes from a page: a browser of this machine could be led here by a name.
    fn is_addressed(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let page = headers.contains_key(ORIGIN)
            || headers.contains_key(REFERER)
            || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
        !page && host == &self.address.to_string()
    }
}

fn told(found: Found) -> Response<Body> {
    let mut response = Response::new(body(found.bytes));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(found.kind));
    response.headers_mut().insert(http::header::SERVER, HeaderValue::from_static("EC2ws"));
    response
}

/// A refusal, as the service words it.
fn page(status: StatusCode) -> Response<Body> {
    let title = format!("{} - {}", status.as_u16(), status.canonical_reason().unwrap_or_default());
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>\n\
         <!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\"\n\
         \t\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n\
         <html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"en\" lang=\"en\">\n \
         <head>\n  <title>{title}</title>\n </head>\n <body>\n  <h1>{title}</h1>\n </body>\n</html>\n"
    );
    let mut response = told(Found { kind: "text/html", bytes: text.into_bytes() });
    *response.status_mut() = status;
    response
}
