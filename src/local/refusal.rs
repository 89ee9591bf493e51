//! A refused request, in the words and the shape of the service that was asked.

use super::fault::Fault;
use super::route::Protocol;
use super::sigv4::Refusal;
use super::wire::{Reply, cbor, ec2, json, query, xml};

/// The answer to a request that is not ours.
pub(super) fn refuse(protocol: &Protocol, refusal: Refusal, region: &str, request_id: &str) -> Reply {
    match protocol {
        Protocol::S3 => xml::write(&s3(refusal, region), request_id),
        Protocol::Query => query::write("", "https://sts.amazonaws.com/doc/2011-06-15/", request_id, Err(query_fault(refusal))),
        Protocol::Ec2 => ec2::write("", request_id, Err(ec2_fault(refusal))),
        Protocol::Json { version, .. } => json::write(version, Err(json_fault(refusal))),
        Protocol::Invoke { .. } => json::write("1.1", Err(json_fault(refusal))),
        Protocol::Cbor { .. } => cbor::write(Err(json_fault(refusal))),
    }
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";
const UNKNOWN_TOKEN: &str = "The security token included in the request is invalid.";
const EXPIRED_TOKEN: &str = "The security token included in the request is expired";

fn s3(refusal: Refusal, region: &str) -> Fault {
    match refusal {
        Refusal::Missing => Fault::new("AccessDenied", 403, "Access Denied"),
        Refusal::Malformed(text) => {
            Fault::new("AuthorizationHeaderMalformed", 400, format!("The authorization header is malformed; {text}"))
        }
        Refusal::UnknownKey => {
            Fault::new("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records.")
        }
        Refusal::WrongToken => Fault::new("InvalidToken", 400, "The provided token is malformed or otherwise invalid."),
        Refusal::ExpiredToken => Fault::new("ExpiredToken", 400, "The provided token has expired."),
        Refusal::WrongRegion(name) => Fault::new(
            "AuthorizationHeaderMalformed",
            400,
            format!("The authorization header is malformed; the region '{name}' is wrong; expecting '{region}'"),
        ),
        Refusal::WrongService(name) => Fault::new(
            "AuthorizationHeaderMalformed",
            400,
            format!("The authorization header is malformed; incorrect service \"{name}\". This endpoint belongs to \"s3\"."),
        ),
        Refusal::WrongDay { day, date } => Fault::new(
            "AuthorizationHeaderMalformed",
            400,
            format!(
                "The authorization header is malformed; Invalid credential date \"{day}\". This date is not the same as X-Amz-Date: \"{}\".",
                date.get(..8).unwrap_or(&date)
            ),
        ),
        Refusal::Skewed(_) => {
            Fault::new("RequestTimeTooSkewed", 403, "The difference between the request time and the current time is too large.")
        }
        Refusal::Expired => Fault::new("AccessDenied", 403, "Request has expired"),
        Refusal::Unsigned(name) => {
            Fault::new("AccessDenied", 403, format!("There were headers present in the request which were not signed: {name}"))
        }
        Refusal::Mismatch => Fault::new(
            "SignatureDoesNotMatch",
            403,
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
        ),
    }
}

fn query_fault(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Missing => Fault::new("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        Refusal::Malformed(text) => Fault::new("IncompleteSignature", 400, text),
        Refusal::UnknownKey | Refusal::WrongToken => Fault::new("InvalidClientTokenId", 403, UNKNOWN_TOKEN),
        Refusal::ExpiredToken => Fault::new("ExpiredToken", 403, EXPIRED_TOKEN),
        other => Fault::new("SignatureDoesNotMatch", 403, words(other)),
    }
}

/// EC2's codes differ (EC2 API Reference, "Error codes"), and wrong credentials are 401.
fn ec2_fault(refusal: Refusal) -> Fault {
    let unknown = "AWS was not able to validate the provided access credentials";
    match refusal {
        Refusal::Missing => Fault::new("MissingAuthenticationToken", 403, "Request is missing Authentication Token"),
        Refusal::Malformed(text) => Fault::new("IncompleteSignature", 400, text),
        Refusal::UnknownKey | Refusal::WrongToken | Refusal::Mismatch | Refusal::WrongRegion(_) => {
            Fault::new("AuthFailure", 401, unknown)
        }
        Refusal::Expired | Refusal::ExpiredToken => Fault::new("RequestExpired", 400, "Request has expired."),
        Refusal::Skewed(date) => {
            Fault::new("RequestExpired", 400, format!("Request has expired: {date} is not within 15 minutes of now"))
        }
        other => Fault::new("SignatureDoesNotMatch", 403, words(other)),
    }
}

fn json_fault(refusal: Refusal) -> Fault {
    match refusal {
        Refusal::Missing => Fault::new("MissingAuthenticationTokenException", 403, "Missing Authentication Token"),
        Refusal::Malformed(text) => Fault::new("IncompleteSignatureException", 400, text),
        // assumed: 400, as the JSON services answer their own faults; the code is what clients go by.
        Refusal::UnknownKey | Refusal::WrongToken => Fault::new("UnrecognizedClientException", 400, UNKNOWN_TOKEN),
        Refusal::ExpiredToken => Fault::new("ExpiredTokenException", 400, EXPIRED_TOKEN),
        other => Fault::new("InvalidSignatureException", 403, words(other)),
    }
}

fn words(refusal: Refusal) -> String {
    match refusal {
        Refusal::WrongRegion(_) => "Credential should be scoped to a valid region.".to_owned(),
        Refusal::WrongService(name) => format!("Credential should be scoped to correct service, not '{name}'."),
        Refusal::WrongDay { day, date } => format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{day}' != '{}', from '{date}'.",
            date.get(..8).unwrap_or(&date)
        ),
        Refusal::Skewed(date) => format!("Signature expired: {date} is not within 15 minutes of now"),
        Refusal::Expired => "Signature expired".to_owned(),
        Refusal::Unsigned(name) => format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."),
        _ => MISMATCH.to_owned(),
    }
}
