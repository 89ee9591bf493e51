//! The canonical form of a request: one text for everything that means the same.

use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What is never encoded: letters, digits and `-._~`.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const PATH: &AsciiSet = &VALUE.remove(b'/');

/// How a service encodes the path it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// S3: once, and dots and slashes are left as they are.
    Once,
    /// All others: what is sent is encoded again, after dots and double slashes are resolved.
    Twice,
}

/// The canonical path; `None` when it is not valid percent-encoding of UTF-8.
pub fn path(sent: &str, encoding: Encoding) -> Option<String> {
    let decoded = percent_decode_str(sent).decode_utf8().ok()?;
    let once = utf8_percent_encode(&decoded, PATH).to_string();
    if encoding == Encoding::Once {
        return Some(once);
    }
    Some(utf8_percent_encode(&resolve(&once), PATH).to_string())
}

/// Names and values of a query, decoded.
pub fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        (decode(name), decode(value))
    })
}

/// The canonical query: sorted, without the signature itself.
pub fn query(sent: &str) -> String {
    let encode = |text: &str| utf8_percent_encode(text, VALUE).to_string();
    let mut encoded: Vec<(String, String)> =
        pairs(sent).filter(|(name, _)| name != "X-Amz-Signature").map(|(name, value)| (encode(&name), encode(&value))).collect();
    encoded.sort();
    let joined: Vec<String> = encoded.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    joined.join("&")
}

/// One line of the canonical headers: all values of the name, trimmed, runs of blanks made one; `None` when the request
/// has no such header.
pub fn header(parts: &Parts, name: &str) -> Option<String> {
    let mut values = Vec::new();
    for value in parts.headers.get_all(name) {
        let text = String::from_utf8_lossy(value.as_bytes());
        values.push(text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").trim().to_owned());
    }
    if values.is_empty() && name == "host" {
        values.push(parts.uri.authority()?.to_string());
    }
    // A client that sends no body may sign `content-length: 0`, which is not always sent on.
    if values.is_empty() && name == "content-length" {
        values.push("0".to_owned());
    }
    (!values.is_empty()).then(|| format!("{name}:{}\n", values.join(",")))
}

/// Resolves `.`, `..` and empty segments (RFC 3986, section 5.2.4), keeping a slash at the end.
fn resolve(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let folder = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    let end = if folder && !segments.is_empty() { "/" } else { "" };
    format!("/{}{end}", segments.join("/"))
}
