//! Signature Version 4, verified: header form and presigned query form (IAM User Guide, "Create a signed AWS API
//! request"; Amazon S3 API Reference, "Authenticating Requests").

pub mod canonical;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::credentials::Credentials;
use canonical::Encoding;

/// Documented: a request is valid for 15 minutes around its date.
const SKEW_SECONDS: i64 = 15 * 60;
/// Documented: a presigned link to S3 is valid for seven days at most.
pub const LINK_SECONDS: i64 = 604_800;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who a request says it comes from, before that is believed.
#[derive(Debug)]
pub struct Claim {
    access_key_id: String,
    /// Day, region, service and `aws4_request` of the credential's scope.
    day: String,
    region: String,
    service: String,
    /// Lower case, in the order they were given.
    signed_headers: Vec<String>,
    signature: String,
    /// `20150830T123600Z`.
    date: String,
    /// Presigned: how many seconds the link asks to be valid for.
    expires: Option<i64>,
}

/// Why a request is not ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is not signed at all.
    Missing,
    /// It is signed in a way that cannot be read; the text says what is wrong.
    Malformed(String),
    UnknownKey,
    /// A temporary key without its session token, or with another one.
    WrongToken,
    /// A temporary key past its time.
    ExpiredToken,
    /// Region, as the request has it.
    WrongRegion(String),
    WrongService(String),
    /// The day of the credential's scope, and the date, which is of another day.
    WrongDay {
        day: String,
        date: String,
    },
    /// Its date, too far from now.
    Skewed(String),
    /// A presigned link past its time.
    Expired,
    /// A header that matters was left out of the signature.
    Unsigned(String),
    Mismatch,
}

/// Where a request must be addressed to.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub region: &'a str,
    /// The services that this call may be signed for.
    pub services: &'a [&'a str],
}

impl Claim {
    /// Reads the signature of a request.
    ///
    /// # Errors
    /// `Missing` or `Malformed`.
    pub fn read(parts: &Parts) -> Result<Self, Refusal> {
        let mut headers = parts.headers.get_all(http::header::AUTHORIZATION).iter();
        let query = parts.uri.query().unwrap_or_default();
        let presigned = canonical::pairs(query).any(|(name, _)| name == "X-Amz-Signature");
        match (headers.next(), headers.next()) {
            (Some(_), Some(_)) => Err(malformed("there is more than one Authorization header")),
            (Some(_), None) if presigned => {
                Err(malformed("only one authentication mechanism is allowed: the query or the Authorization header"))
            }
            (Some(header), None) => {
                let date = parts.headers.get("x-amz-date").and_then(|date| date.to_str().ok());
                Self::from_header(header.to_str().map_err(|_| malformed("the Authorization header is not text"))?, date)
            }
            (None, _) if presigned => Self::from_query(query),
            (None, _) => Err(Refusal::Missing),
        }
    }

    /// Whose key it says it is signed with.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    pub fn service(&self) -> &str {
        &self.service
    }

    /// Checks the key before any body is read: someone else's request is not worth reading.
    ///
    /// # Errors
    /// `UnknownKey`.
    pub fn check_key(&self, credentials: &Credentials) -> Result<(), Refusal> {
        let same = self.access_key_id.as_bytes().ct_eq(credentials.access_key_id.as_bytes());
        if bool::from(same) { Ok(()) } else { Err(Refusal::UnknownKey) }
    }

    /// Checks everything. `payload` is what takes the place of the body's hash in the canonical request; `now` is in
    /// seconds since the epoch.
    ///
    /// # Errors
    /// What is wrong.
    pub fn verify(
        &self,
        parts: &Parts,
        credentials: &Credentials,
        scope: Scope<'_>,
        payload: &str,
        now: i64,
    ) -> Result<(), Refusal> {
        self.check_key(credentials)?;
        if !scope.services.contains(&self.service.as_str()) {
            return Err(Refusal::WrongService(self.service.clone()));
        }
        // The global services are signed for us-east-1 by some clients, wherever they are; prices are only told there.
        let global = matches!(self.service.as_str(), "iam" | "sts" | "pricing") && self.region == "us-east-1";
        if self.region != scope.region && !global {
            return Err(Refusal::WrongRegion(self.region.clone()));
        }
        self.check_time(now)?;
        self.check_coverage(parts)?;
        let request = self.canonical_request(parts, payload)?;
        let mut text = format!("{ALGORITHM}\n{}\n{}/{}/{}/aws4_request\n", self.date, self.day, self.region, self.service);
        text.push_str(&hex::encode(Sha256::digest(request)));
        let key = signing_key(&credentials.secret_access_key, &self.day, &self.region, &self.service);
        let expected = hex::encode(hmac(&key, text.as_bytes()));
        if bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    /// The canonical request, whose hash is signed.
    fn canonical_request(&self, parts: &Parts, payload: &str) -> Result<String, Refusal> {
        let encoding = if self.service == "s3" { Encoding::Once } else { Encoding::Twice };
        let path = canonical::path(parts.uri.path(), encoding).ok_or(Refusal::Mismatch)?;
        let query = canonical::query(parts.uri.query().unwrap_or_default());
        let mut names = self.signed_headers.clone();
        names.sort_unstable();
        let mut headers = String::new();
        for name in &names {
            headers.push_str(&canonical::header(parts, name).ok_or(Refusal::Mismatch)?);
        }
        Ok(format!("{}\n{path}\n{query}\n{headers}\n{}\n{payload}", parts.method, names.join(";")))
    }

    fn from_header(header: &str, date: Option<&str>) -> Result<Self, Refusal> {
        let rest = header.strip_prefix(ALGORITHM).ok_or_else(|| malformed("the algorithm is not AWS4-HMAC-SHA256"))?;
        let (mut credential, mut signed, mut signature) = (None, None, None);
        for part in rest.split(',') {
            match part.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => signed = Some(value),
                Some(("Signature", value)) => signature = Some(value),
                _ => {
                    return Err(malformed(
                        "the Authorization header has parts other than Credential, SignedHeaders and Signature",
                    ));
                }
            }
        }
        let (Some(credential), Some(signed), Some(signature)) = (credential, signed, signature) else {
            return Err(malformed("the Authorization header needs Credential, SignedHeaders and Signature"));
        };
        let date = date.ok_or_else(|| malformed("the X-Amz-Date header is missing"))?;
        Self::new(credential, signed, signature, date, None)
    }

    fn from_query(query: &str) -> Result<Self, Refusal> {
        let get = |wanted: &str| {
            let mut values = canonical::pairs(query).filter(|(name, _)| name == wanted).map(|(_, value)| value);
            let value = values.next().ok_or_else(|| malformed(&format!("the query parameter {wanted} is missing")))?;
            if values.next().is_some() {
                Err(malformed(&format!("the query parameter {wanted} is there twice")))
            } else {
                Ok(value)
            }
        };
        if get("X-Amz-Algorithm")? != ALGORITHM {
            return Err(malformed("the algorithm is not AWS4-HMAC-SHA256"));
        }
        let expires = get("X-Amz-Expires")?.parse::<i64>().ok().filter(|seconds| (1..=LINK_SECONDS).contains(seconds));
        let expires = expires.ok_or_else(|| malformed("X-Amz-Expires must be between 1 and 604800 seconds"))?;
        Self::new(
            &get("X-Amz-Credential")?,
            &get("X-Amz-SignedHeaders")?,
            &get("X-Amz-Signature")?,
            &get("X-Amz-Date")?,
            Some(expires),
        )
    }

    fn new(credential: &str, signed: &str, signature: &str, date: &str, expires: Option<i64>) -> Result<Self, Refusal> {
        let fields: Vec<&str> = credential.split('/').collect();
        let [id, day, region, service, "aws4_request"] = fields[..] else {
            return Err(malformed("the Credential is not KEY/DAY/REGION/SERVICE/aws4_request"));
        };
        if date.get(..8) != Some(day) {
            return Err(Refusal::WrongDay { day: day.to_owned(), date: date.to_owned() });
        }
        let signed_headers: Vec<String> = signed.split(';').map(str::to_owned).collect();
        if signed_headers.iter().any(|name| name.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase())) {
            return Err(malformed("SignedHeaders must be names in lower case"));
        }
        Ok(Self {
            access_key_id: id.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signed_headers,
            signature: signature.to_owned(),
            date: date.to_owned(),
            expires,
        })
    }

    fn check_time(&self, now: i64) -> Result<(), Refusal> {
        let date = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", &self.date).ok();
        let date = date.and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok());
        let date = date.ok_or_else(|| malformed("X-Amz-Date is not a date like 20150830T123600Z"))?.timestamp().as_second();
        match self.expires {
            None if (now - date).abs() > SKEW_SECONDS => Err(Refusal::Skewed(self.date.clone())),
            Some(_) if date - now > SKEW_SECONDS => Err(Refusal::Skewed(self.date.clone())),
            // Only S3 has links that last.
            Some(expires) if now > date + expires.min(self.longest_link()) => Err(Refusal::Expired),
            _ => Ok(()),
        }
    }

    fn longest_link(&self) -> i64 {
        if self.service == "s3" { LINK_SECONDS } else { SKEW_SECONDS }
    }

    /// `Host` and everything `X-Amz-*` must be signed, or it could be changed on the way.
    fn check_coverage(&self, parts: &Parts) -> Result<(), Refusal> {
        let covered = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        if !covered("host") {
            return Err(Refusal::Unsigned("host".to_owned()));
        }
        let open = parts.headers.keys().map(http::HeaderName::as_str).find(|name| {
            name.starts_with("x-amz-") && !matches!(*name, "x-amz-user-agent" | "x-amz-content-sha256") && !covered(name)
        });
        open.map_or(Ok(()), |name| Err(Refusal::Unsigned(name.to_owned())))
    }
}

fn signing_key(secret: &str, day: &str, region: &str, service: &str) -> Vec<u8> {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [day, region, service, "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    key
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn malformed(text: &str) -> Refusal {
    Refusal::Malformed(text.to_owned())
}

#[cfg(test)]
mod tests;
