//! Signature Version 2 in the query of a link, verified (Amazon S3 User Guide, "Authenticating requests using the REST API",
//! query string alternative). Only for S3, and only as a link: `aws s3 presign` and boto3 sign links in this way in us-east-1.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

use super::credentials::Credentials;
use super::sigv4::{LINK_SECONDS, Refusal, canonical};

/// The parts of a query that name something other than the object itself, and so are signed.
const SIGNED_QUERY: &[&str] = &[
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "defaultObjectAcl",
    "delete",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "select",
    "select-type",
    "storageClass",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "publicAccessBlock",
    "ownershipControls",
];

/// A link that says who made it, before that is believed.
#[derive(Debug)]
pub struct Link {
    access_key_id: String,
    /// Base64.
    signature: String,
    /// Seconds since the epoch, as the query has them: that text is signed.
    expires: String,
}

impl Link {
    /// Reads the signature of a link; `None` when the request is none of this kind.
    ///
    /// # Errors
    /// `Malformed`.
    pub fn read(parts: &Parts) -> Result<Option<Self>, Refusal> {
        let query = parts.uri.query().unwrap_or_default();
        let find = |wanted: &str| {
            let mut values = canonical::pairs(query).filter(|(name, _)| name == wanted).map(|(_, value)| value);
            (values.next(), values.next().is_some())
        };
        let (Some(access_key_id), false) = find("AWSAccessKeyId") else { return Ok(None) };
        if parts.headers.contains_key(http::header::AUTHORIZATION) || find("X-Amz-Signature").0.is_some() {
            return Err(malformed("only one authentication mechanism is allowed: the query or the Authorization header"));
        }
        let ((Some(signature), false), (Some(expires), false)) = (find("Signature"), find("Expires")) else {
            return Err(malformed("a link needs AWSAccessKeyId, Signature and Expires, each once"));
        };
        Ok(Some(Self { access_key_id, signature, expires }))
    }

    /// Whose key it says it is signed with.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// Checks everything; `now` is in seconds since the epoch.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify(&self, parts: &Parts, credentials: &Credentials, now: i64) -> Result<(), Refusal> {
        let known = self.access_key_id.as_bytes().ct_eq(credentials.access_key_id.as_bytes());
        if !bool::from(known) {
            return Err(Refusal::UnknownKey);
        }
        let expires: i64 = self.expires.parse().map_err(|_| malformed("Expires must be seconds since the epoch"))?;
        if now > expires {
            return Err(Refusal::Expired);
        }
        if expires - now > LINK_SECONDS {
            return Err(malformed("Expires must not be more than 604800 seconds from now"));
        }
        // HMAC takes keys of any length.
        let mut mac = Hmac::<Sha1>::new_from_slice(credentials.secret_access_key.as_bytes()).map_err(|_| Refusal::Mismatch)?;
        mac.update(self.text(parts).as_bytes());
        let expected = BASE64_STANDARD.encode(mac.finalize().into_bytes());
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    /// What is signed: method, two headers, the time, all `x-amz-*`, and what is asked for.
    fn text(&self, parts: &Parts) -> String {
        let header = |name: &str| {
            let values =
                parts.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned());
            values.collect::<Vec<_>>().join(",")
        };
        let mut amazon: Vec<&str> =
            parts.headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-amz-")).collect();
        amazon.sort_unstable();
        let amazon = amazon.into_iter().fold(String::new(), |lines, name| lines + name + ":" + &header(name) + "\n");
        let (md5, kind) = (header("content-md5"), header("content-type"));
        format!("{}\n{md5}\n{kind}\n{}\n{amazon}{}", parts.method, self.expires, resource(parts))
    }
}

/// Makes headers of what a link carries for them in its query: boto3 puts there what it signed as headers.
pub fn unfold(parts: &mut Parts) {
    let query = parts.uri.query().unwrap_or_default().to_owned();
    for (name, value) in canonical::pairs(&query) {
        if !(name.starts_with("x-amz-") || matches!(name.as_str(), "content-type" | "content-md5")) {
            continue;
        }
        let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) else { continue };
        parts.headers.entry(name).or_insert(value);
    }
}

/// Bucket and key as they were sent, with the signed parts of the query, decoded and in order.
fn resource(parts: &Parts) -> String {
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let bucket = name.strip_suffix(".localhost").map(|bucket| format!("/{bucket}")).unwrap_or_default();
    let mut signed: Vec<(String, String)> = canonical::pairs(parts.uri.query().unwrap_or_default())
        .filter(|(name, _)| SIGNED_QUERY.contains(&name.as_str()))
        .collect();
    signed.sort();
    let signed: Vec<String> =
        signed.into_iter().map(|(name, value)| if value.is_empty() { name } else { format!("{name}={value}") }).collect();
    let mark = if signed.is_empty() { "" } else { "?" };
    format!("{bucket}{}{mark}{}", parts.uri.path(), signed.join("&"))
}

fn malformed(text: &str) -> Refusal {
    Refusal::Malformed(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        }
    }

    /// The guide's own example; it names the bucket in the host, which is of AWS there and the resource of its path here.
    fn example(method: &str, target: &str) -> Parts {
        http::Request::builder()
            .method(method)
            .uri(target)
            .header("host", "johnsmith.localhost:1")
            .body(())
            .unwrap()
            .into_parts()
            .0
    }

    const LINK: &str =
        "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D&Expires=1175139620";
    const NOW: i64 = 1_175_139_600;

    fn verify(parts: &Parts, now: i64) -> Result<(), Refusal> {
        Link::read(parts)?.expect("is a link").verify(parts, &credentials(), now)
    }

    #[test]
    fn the_example_of_the_guide_verifies_until_it_expires() {
        assert_eq!(verify(&example("GET", LINK), NOW), Ok(()));
        assert_eq!(verify(&example("GET", LINK), 1_175_139_621), Err(Refusal::Expired));
        assert!(matches!(verify(&example("GET", LINK), 1_175_139_620 - 604_801), Err(Refusal::Malformed(_))));
    }

    #[test]
    fn another_request_is_another_signature() {
        assert_eq!(verify(&example("PUT", LINK), NOW), Err(Refusal::Mismatch));
        assert_eq!(verify(&example("GET", &LINK.replace("puppy", "kitten")), NOW), Err(Refusal::Mismatch));
        assert_eq!(verify(&example("GET", &LINK.replace("39620", "39621")), NOW), Err(Refusal::Mismatch));
        assert_eq!(verify(&example("GET", &format!("{LINK}&tagging")), NOW), Err(Refusal::Mismatch));
        assert_eq!(verify(&example("GET", &LINK.replace("AKIA", "AKIB")), NOW), Err(Refusal::UnknownKey));
        let mut sneaked = example("GET", LINK);
        sneaked.headers.insert("x-amz-meta-a", HeaderValue::from_static("b"));
        assert_eq!(verify(&sneaked, NOW), Err(Refusal::Mismatch));
    }

    #[test]
    fn what_is_no_such_link_is_left_alone_and_half_a_link_refused() {
        assert!(Link::read(&example("GET", "/photos/puppy.jpg?Signature=x")).unwrap().is_none());
        assert!(matches!(Link::read(&example("GET", "/p?AWSAccessKeyId=x&Signature=y")), Err(Refusal::Malformed(_))));
        let mut both = example("GET", LINK);
        both.headers.insert("authorization", HeaderValue::from_static("AWS4-HMAC-SHA256 x"));
        assert!(matches!(Link::read(&both), Err(Refusal::Malformed(_))));
    }
}
