//! The data sets of the region: one folder, served over HTTP on loopback for `wget` in an instance.
//!
//! Read only: GET and HEAD, one range. What is handed out is what was put into the folder: names are taken apart and opened
//! one by one without following symbolic links, so nothing leads out of it. The base URL has a part that nobody can guess,
//! so other users of this machine, and pages in its browsers, do not come to the files.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use http::header::{ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, ORIGIN, RANGE, REFERER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::io::ReaderStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::local::region::{Body, body};

/// How long a client may take to send its request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTIONS: usize = 64;
const CHUNK_BYTES: usize = 64 << 10;

/// The server. It ends when this is dropped.
pub struct Datasets {
    url: String,
    _server: DropGuard,
}

struct Shop {
    folder: PathBuf,
    port: u16,
    /// The first part of every path.
    token: String,
}

impl Datasets {
    /// Serves a folder, which is made when it is not there, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the folder cannot be made or no port can be had.
    pub async fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let mut token = [0; 16];
        getrandom::fill(&mut token).map_err(io::Error::other)?;
        let token = hex::encode(token);
        let url = format!("http://127.0.0.1:{port}/{token}");
        let stop = CancellationToken::new();
        let shop = Arc::new(Shop { folder: folder.to_owned(), port, token });
        tokio::spawn(serve(listener, shop, stop.clone()));
        Ok(Self { url, _server: stop.drop_guard() })
    }

    /// The base URL, without a slash at its end; in an instance it is the variable `FOOTPLATE_DATASETS`.
    #[must_use]
    pub fn datasets_url(&self) -> &str {
        &self.url
    }
}

async fn serve(listener: TcpListener, shop: Arc<Shop>, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = stream else {
            // Out of file descriptors, or a client that left at once: do not spin on it.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let (shop, stop) = (Arc::clone(&shop), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let shop = Arc::clone(&shop);
                async move { Ok::<_, std::convert::Infallible>(shop.answer(&request)) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            tokio::select! {
                // What goes wrong on a connection is its client's to notice.
                _ = builder.serve_connection(TokioIo::new(stream), service) => {}
                () = stop.cancelled() => {}
            }
            drop(place);
        });
    }
}

impl Shop {
    fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        if !self.is_ours(request) {
            return said(StatusCode::MISDIRECTED_REQUEST, "This request is not addressed to the local region's data sets.\n");
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = said(StatusCode::METHOD_NOT_ALLOWED, "Data sets are read only.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        let opened = self.names(request.uri().path()).and_then(|names| open(&self.folder, &names).ok());
        match opened.and_then(|file| Some((file.metadata().ok()?.len(), file))) {
            Some((length, file)) => hand_out(request, file, length),
            None => said(StatusCode::NOT_FOUND, "There is no such file among the data sets of the local region.\n"),
        }
    }

    /// Exactly one Host, ours; and nothing that says it comes from a page.
    fn is_ours<B>(&self, request: &Request<B>) -> bool {
        let headers = request.headers();
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let ours = [format!("127.0.0.1:{}", self.port), format!("localhost:{}", self.port)];
        let page = headers.contains_key(ORIGIN)
            || headers.contains_key(REFERER)
            || headers.keys().any(|name| name.as_str().starts_with("sec-fetch-"));
        !page && request.uri().authority().is_none() && ours.iter().any(|ours| host == ours)
    }

    /// The names below the folder, when the path is one of ours and leads only down.
    fn names(&self, path: &str) -> Option<Vec<String>> {
        let path = path.strip_prefix('/')?.strip_prefix(&self.token)?.strip_prefix('/')?;
        path.split('/')
            .map(|part| {
                let name = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
                let plain = !matches!(&*name, "" | "." | "..") && !name.contains(['/', '\0']);
                plain.then(|| name.into_owned())
            })
            .collect()
    }
}

/// Opens a regular file name by name; a symbolic link on the way, or anything but a file at its end, is refused.
fn open(folder: &Path, names: &[String]) -> io::Result<File> {
    let (last, folders) = names.split_last().ok_or(io::ErrorKind::NotFound)?;
    let into = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY;
    let mut at = openat(AT_FDCWD, folder, OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_DIRECTORY, Mode::empty())?;
    for name in folders {
        at = openat(&at, name.as_str(), into, Mode::empty())?;
    }
    // Without O_NONBLOCK, opening a pipe would wait.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = File::from(openat(&at, last.as_str(), flags, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
}

fn hand_out<B>(request: &Request<B>, mut file: File, length: u64) -> Response<Body> {
    let asked = request.headers().get(RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (status, from, count) = match range(asked, length) {
        Wanted::All => (StatusCode::OK, 0, length),
        Wanted::Part(from, until) => (StatusCode::PARTIAL_CONTENT, from, until - from + 1),
        Wanted::Nothing => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0),
    };
    if file.seek(SeekFrom::Start(from)).is_err() {
        return said(StatusCode::INTERNAL_SERVER_ERROR, "The file cannot be read.\n");
    }
    let content = if *request.method() == Method::HEAD || count == 0 {
        body("")
    } else {
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file).take(count), CHUNK_BYTES);
        StreamBody::new(stream.map_ok(Frame::data).map_err(Into::into)).boxed_unsync()
    };
    let mut response = Response::new(content);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CONTENT_LENGTH, count.into());
    let said = match status {
        StatusCode::PARTIAL_CONTENT => Some(format!("bytes {from}-{}/{length}", from + count - 1)),
        StatusCode::RANGE_NOT_SATISFIABLE => Some(format!("bytes */{length}")),
        _ => None,
    };
    if let Some(value) = said.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(CONTENT_RANGE, value);
    }
    response
}

/// What of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// No range, one that makes no sense, or several: those are ignored, as a server may.
    All,
    /// From this byte to that one.
    Part(u64, u64),
    /// A range behind the end.
    Nothing,
}

/// Reads a `Range` header (RFC 9110, section 14) for a file of this length.
fn range(text: &str, length: u64) -> Wanted {
    let number = |text: &str| text.parse::<u64>().ok();
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else { return Wanted::All };
    let bounds = match (first, last) {
        ("", "") => None,
        ("", last) => {
            number(last).map(|count| if count == 0 { (length, u64::MAX) } else { (length.saturating_sub(count), u64::MAX) })
        }
        (first, "") => number(first).map(|first| (first, u64::MAX)),
        (first, last) => number(first).zip(number(last)).filter(|(first, last)| first <= last),
    };
    match bounds {
        None => Wanted::All,
        Some((first, last)) if first < length => Wanted::Part(first, last.min(length - 1)),
        Some(_) => Wanted::Nothing,
    }
}

fn said(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(body(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(folder: &Path) -> Shop {
        Shop { folder: folder.to_owned(), port: 8080, token: "t".to_owned() }
    }

    fn get(path: &str) -> http::request::Builder {
        Request::get(path).header(HOST, "127.0.0.1:8080")
    }

    async fn ask(shop: &Shop, request: Request<()>) -> (u16, Vec<u8>) {
        let response = shop.answer(&request);
        (response.status().as_u16(), response.into_body().collect().await.expect("a body").to_bytes().to_vec())
    }

    #[tokio::test]
    async fn hands_out_what_is_in_the_folder_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("sets");
        std::fs::create_dir_all(inside.join("a b")).expect("made");
        std::fs::write(folder.path().join("secret"), "s").expect("written");
        std::fs::write(inside.join("a b/f.zip"), "0123456789").expect("written");
        std::os::unix::fs::symlink("../secret", inside.join("link")).expect("linked");
        std::os::unix::fs::symlink("..", inside.join("up")).expect("linked");
        let shop = shop(&inside);
        assert_eq!(ask(&shop, get("/t/a%20b/f.zip").body(()).unwrap()).await, (200, b"0123456789".to_vec()));
        let part = get("/t/a%20b/f.zip").header(RANGE, "bytes=3-4").body(()).unwrap();
        assert_eq!(ask(&shop, part).await, (206, b"34".to_vec()));
        for path in [
            "/t/../secret",
            "/t/%2e%2e/secret",
            "/t/..%2fsecret",
            "/t/link",
            "/t/up/secret",
            "/t/",
            "/t/a%20b",
            "/a%20b/f.zip",
            "/t//a%20b/f.zip",
        ] {
            assert_eq!(ask(&shop, get(path).body(()).unwrap()).await.0, 404, "{path}");
        }
        for (name, value) in [("origin", "null"), ("sec-fetch-site", "none"), ("host", "evil.example:8080")] {
            assert_eq!(ask(&shop, get("/t/a%20b/f.zip").header(name, value).body(()).unwrap()).await.0, 421, "{name}");
        }
        let other = Request::get("/t/a%20b/f.zip").header(HOST, "evil.example:8080").body(()).unwrap();
        assert_eq!(ask(&shop, other).await.0, 421);
        let put = Request::put("/t/a%20b/f.zip").header(HOST, "127.0.0.1:8080").body(()).unwrap();
        assert_eq!(ask(&shop, put).await.0, 405);
    }

    #[test]
    fn ranges() {
        assert_eq!(range("bytes=2-", 10), Wanted::Part(2, 9));
        assert_eq!(range("bytes=-3", 10), Wanted::Part(7, 9));
        assert_eq!(range("bytes=-99", 10), Wanted::Part(0, 9));
        assert_eq!(range("bytes=0-99", 10), Wanted::Part(0, 9));
        assert_eq!(range("bytes=10-", 10), Wanted::Nothing);
        assert_eq!(range("bytes=-0", 10), Wanted::Nothing);
        assert_eq!(range("bytes=0-", 0), Wanted::Nothing);
        for ignored in ["", "bytes=0-1,3-4", "bytes=5-2", "bytes=-", "bytes=a-b", "lines=0-1"] {
            assert_eq!(range(ignored, 10), Wanted::All, "{ignored}");
        }
    }
}
