//! An AWS that answers every call with one error, on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::Home;

/// A secret that no file may ever hold.
pub const SECRET: &str = "CanarySecretCanarySecretCanarySecretCana";
pub const TOKEN: &str = "CanarySessionTokenCanarySessionToken";

/// The server; it ends with the test's process.
pub struct Refusing {
    pub url: String,
    pub calls: Arc<AtomicUsize>,
    /// What was sent to it, without bodies.
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl Refusing {
    /// Answers everything with this status and error code, as each protocol writes it.
    pub fn start(status: u16, code: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (calls, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (count, kept) = (Arc::clone(&calls), Arc::clone(&heads));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (count, kept) = (Arc::clone(&count), Arc::clone(&kept));
                std::thread::spawn(move || {
                    while let Some(head) = answer(&stream, status, code) {
                        count.fetch_add(1, Ordering::SeqCst);
                        kept.lock().unwrap().push(head);
                    }
                });
            }
        });
        Self { url, calls, heads }
    }

    /// Points the program at it, with credentials.
    pub fn lead<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        with_credentials(command).env("AWS_ENDPOINT_URL", &self.url).arg("--allow-loopback")
    }
}

/// Gives the program credentials and a region.
pub fn with_credentials(command: &mut Command) -> &mut Command {
    for (name, value) in credentials() {
        command.env(name, value);
    }
    command
}

pub fn credentials() -> [(&'static str, &'static str); 4] {
    [
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", TOKEN),
        ("AWS_REGION", "us-east-1"),
    ]
}

/// Reads one request and answers; its head, or nothing when the client is gone.
fn answer(stream: &TcpStream, status: u16, code: &str) -> Option<String> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let lower = head.to_lowercase();
    let header = |name: &str| lower.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
    let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    reader.read_exact(&mut vec![0; length]).ok()?;
    let (kind, body) = if header("x-amz-target").is_some() {
        ("application/x-amz-json-1.1", format!(r#"{{"__type":"{code}","message":"said by the test"}}"#))
    } else if head.starts_with("POST") {
        (
            "text/xml",
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>said by the test</Message></Error></ErrorResponse>"
            ),
        )
    } else {
        ("application/xml", format!("<Error><Code>{code}</Code><Message>said by the test</Message></Error>"))
    };
    let text = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut out = stream;
    out.write_all(text.as_bytes()).ok()?;
    Some(head)
}

/// Fails when a file of this home holds the secret, the token or a signature.
#[track_caller]
pub fn no_secret_in(home: &Home) {
    let mut folders = vec![home.root().to_owned()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files += 1;
                let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
                for secret in [SECRET, TOKEN, "Signature=", "signature=", "AWS4-HMAC"] {
                    assert!(!text.contains(secret), "{secret} is in {}", entry.path().display());
                }
            }
        }
    }
    assert!(files > 0, "there was something to look at");
}
