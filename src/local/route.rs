//! From a request to the service it is for: who may ask, which protocol it speaks, what the answer looks like.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::credentials::Credentials;
use super::fault::Fault;
use super::refusal::refuse;
use super::region::{Body, Services, body};
use super::sagemaker::notebooks::LINK_PATH;
use super::sessions::Holder;
use super::sigv2::{self, Link};
use super::sigv4::{Claim, Refusal, Scope, canonical};
use super::store::random_name;
use super::sts::{call_iam, call_sts};
use super::wire::{Reply, cbor, ec2, json, query, xml};
use super::{instance_connect, pricing, quotas};

/// No call but S3's has a body of this size; `PutLogEvents`, the largest, ends at 1 MiB.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// How a request speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `X-Amz-Target`: service, operation and version.
    Json {
        service: Service,
        operation: String,
        version: &'static str,
    },
    /// Smithy RPC v2; CloudWatch only.
    Cbor {
        operation: String,
    },
    /// Form in, XML out; which service is in the signature's scope.
    Query,
    /// EC2's own kind of the same.
    Ec2,
    /// SageMaker's `InvokeEndpoint`: any body in, any body out.
    Invoke {
        endpoint: String,
    },
    S3,
}

/// Services with a JSON protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    SageMaker,
    Logs,
    CloudWatch,
    Quotas,
    Pricing,
    InstanceConnect,
    Unknown,
}

impl Protocol {
    fn of(parts: &Parts) -> Self {
        let header = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let target = header("x-amz-target");
        if !target.is_empty() {
            let (prefix, operation) = target.rsplit_once('.').unwrap_or(("", target));
            let (service, version) = match prefix {
                "SageMaker" => (Service::SageMaker, "1.1"),
                "Logs_20140328" => (Service::Logs, "1.1"),
                "GraniteServiceVersion20100801" => (Service::CloudWatch, "1.0"),
                "ServiceQuotasV20190624" => (Service::Quotas, "1.1"),
                "AWSPriceListService" => (Service::Pricing, "1.1"),
                "AWSEC2InstanceConnectService" => (Service::InstanceConnect, "1.1"),
                _ => (Service::Unknown, "1.1"),
            };
            return Self::Json { service, operation: operation.to_owned(), version };
        }
        if header("smithy-protocol") == "rpc-v2-cbor" {
            let operation = parts.uri.path().rsplit('/').next().unwrap_or_default();
            return Self::Cbor { operation: operation.to_owned() };
        }
        if let Some(endpoint) = invoked(parts) {
            return Self::Invoke { endpoint };
        }
        let form = header("content-type").starts_with("application/x-www-form-urlencoded");
        match parts.uri.path() == "/" && (form && parts.method == Method::POST || asks_in_query(parts)) {
            // EC2 reads and writes forms its own way, refusals too; who asks it says so in the signature's scope.
            true if header("authorization").contains("/ec2/aws4_request") => Self::Ec2,
            true => Self::Query,
            false => Self::S3,
        }
    }

    /// What the signature must have been made for.
    fn services(&self) -> &'static [&'static str] {
        match self {
            Self::Json { service: Service::SageMaker, .. } | Self::Invoke { .. } => &["sagemaker"],
            Self::Json { service: Service::Logs, .. } => &["logs"],
            Self::Json { service: Service::CloudWatch, .. } | Self::Cbor { .. } => &["monitoring"],
            Self::Json { service: Service::Quotas, .. } => &["servicequotas"],
            Self::Json { service: Service::Pricing, .. } => &["pricing"],
            Self::Json { service: Service::InstanceConnect, .. } => &["ec2-instance-connect"],
            Self::Json { service: Service::Unknown, .. } => {
                &["sagemaker", "logs", "monitoring", "servicequotas", "pricing", "ec2-instance-connect"]
            }
            Self::Ec2 => &["ec2"],
            Self::Query => &["sts", "iam", "monitoring"],
            Self::S3 => &["s3"],
        }
    }
}

/// The endpoint that a request invokes. S3 has no POST on an object without a query.
fn invoked(parts: &Parts) -> Option<String> {
    let name = parts.uri.path().strip_prefix("/endpoints/")?.strip_suffix("/invocations")?;
    let plain = parts.method == Method::POST && parts.uri.query().is_none();
    (plain && !name.is_empty() && !name.contains('/')).then(|| name.to_owned())
}

/// Whether a form is in the place of the query: the query protocols may be spoken by GET (EC2 Developer Guide, "Query requests").
/// S3 has no parameter of that name.
fn asks_in_query(parts: &Parts) -> bool {
    let query = parts.uri.query().unwrap_or_default();
    parts.method == Method::GET && query.split('&').any(|pair| pair.starts_with("Action="))
}

/// In a form a plus is a blank, and what is signed is the blank (`urllib.parse.urlencode`, as libcloud's, writes the one and signs the
/// other).
fn spell_blanks(parts: &mut Parts) {
    let spelled = parts.uri.path_and_query().map(|text| text.as_str().replace('+', "%20"));
    if let Some(Ok(path_and_query)) = spelled.map(|text| text.parse()) {
        let mut uri = parts.uri.clone().into_parts();
        uri.path_and_query = Some(path_and_query);
        if let Ok(uri) = http::Uri::from_parts(uri) {
            parts.uri = uri;
        }
    }
}

/// Answers one request.
pub(super) async fn answer(services: &Services, request: Request<Body>) -> Response<Body> {
    let request_id = request_id();
    let (mut parts, content) = request.into_parts();
    if parts.uri.path() == LINK_PATH {
        return finish(presigned_page(services, &parts).await, &request_id);
    }
    if from_browser(&parts) {
        return finish(plain("The local region answers AWS clients, not web pages\n"), &request_id);
    }
    let protocol = Protocol::of(&parts);
    let refused = |refusal: Refusal| finish(refuse(&protocol, refusal, &services.region, &request_id), &request_id);
    let in_query = matches!(protocol, Protocol::Ec2 | Protocol::Query) && parts.method == Method::GET;
    if in_query {
        spell_blanks(&mut parts);
    }
    if protocol == Protocol::S3 {
        match link(&mut parts, services) {
            Ok(true) => return s3(services, parts, content, &request_id).await,
            Ok(false) => {}
            Err(refusal) => return refused(refusal),
        }
    }
    let claimed = Claim::read(&parts).and_then(|claim| {
        let signer = Signer::of(services, &parts, claim.access_key_id())?;
        // Someone else's request is not worth reading.
        claim.check_key(&signer.credentials).map(|()| (claim, signer))
    });
    let (claim, signer) = match claimed {
        Ok(claimed) => claimed,
        Err(refusal) => return refused(refusal),
    };
    let scope = Scope { region: &services.region, services: protocol.services() };
    let verify = |payload: &str| claim.verify(&parts, &signer.credentials, scope, payload, now());
    if protocol == Protocol::S3 {
        let unsigned = HeaderValue::from_static("UNSIGNED-PAYLOAD");
        let payload = parts.headers.get("x-amz-content-sha256").unwrap_or(&unsigned);
        // What the body really is, s3s checks as it goes by.
        return match verify(payload.to_str().unwrap_or_default()) {
            Ok(()) => s3(services, parts, content, &request_id).await,
            Err(refusal) => refused(refusal),
        };
    }
    let mut content = match read(content).await {
        Ok(content) => content,
        Err(fault) => return finish(json::write("1.1", Err(fault)), &request_id),
    };
    let digest = hex::encode(Sha256::digest(&content));
    let stated = parts.headers.get("x-amz-content-sha256");
    if stated.is_some_and(|stated| stated.as_bytes() != digest.as_bytes()) {
        return refused(Refusal::Mismatch);
    }
    if let Err(refusal) = verify(&digest) {
        return refused(refusal);
    }
    if in_query {
        content = Bytes::copy_from_slice(parts.uri.query().unwrap_or_default().as_bytes());
    }
    if let Protocol::Invoke { endpoint } = &protocol {
        let mut response = services.sagemaker.invoke(endpoint, &parts.headers, content).await.map(body);
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("x-amzn-requestid", id);
        }
        return response;
    }
    let reply = call(services, protocol, claim.service().to_owned(), signer.holder.as_ref(), content, &request_id).await;
    finish(reply, &request_id)
}

/// Whom a request claims to be of.
struct Signer {
    credentials: Credentials,
    /// None: the region's own user.
    holder: Option<Holder>,
}

impl Signer {
    /// The keys that the signature must be made with, as the access key says; a temporary one's session token is compared here.
    fn of(services: &Services, parts: &Parts, access_key_id: &str) -> Result<Self, Refusal> {
        let Some(session) = services.sessions.find(access_key_id) else {
            return Ok(Self { credentials: services.credentials.clone(), holder: None });
        };
        let header = parts.headers.get("x-amz-security-token").map(|value| value.as_bytes().to_vec());
        let in_query = |(name, value): (String, String)| (name == "X-Amz-Security-Token").then(|| value.into_bytes());
        let token = header.or_else(|| canonical::pairs(parts.uri.query().unwrap_or_default()).find_map(in_query));
        if !token.is_some_and(|token| bool::from(token.ct_eq(session.token.as_bytes()))) {
            return Err(Refusal::WrongToken);
        }
        if session.expires <= now() {
            return Err(Refusal::ExpiredToken);
        }
        Ok(Self { credentials: session.credentials, holder: Some(session.holder) })
    }
}

/// Whether the request is a link with a signature of the older kind; that is verified then.
fn link(parts: &mut Parts, services: &Services) -> Result<bool, Refusal> {
    let Some(link) = Link::read(parts)? else { return Ok(false) };
    sigv2::unfold(parts);
    let signer = Signer::of(services, parts, link.access_key_id())?;
    link.verify(parts, &signer.credentials, now()).map(|()| true)
}

/// The whole body, if it is not too large.
async fn read(mut content: Body) -> Result<Bytes, Fault> {
    let mut bytes = BytesMut::new();
    while let Some(frame) = content.frame().await {
        let frame = frame.map_err(|_| Fault::new("IncompleteBody", 400, "The request body terminated unexpectedly"))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > BODY_LIMIT {
            return Err(Fault::new("RequestEntityTooLargeException", 413, format!("A request holds up to {BODY_LIMIT} bytes")));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

async fn call(
    services: &Services,
    protocol: Protocol,
    scope: String,
    holder: Option<&Holder>,
    content: Bytes,
    request_id: &str,
) -> Reply {
    match protocol {
        Protocol::Json { service, operation, version } => {
            let result = match json::read(&content) {
                Ok(input) if service == Service::InstanceConnect => {
                    connect(services, operation, input, request_id.to_owned()).await
                }
                Ok(input) => call_json(services, service, operation, input).await,
                Err(fault) => Err(fault),
            };
            json::write(version, result)
        }
        Protocol::Cbor { operation } => {
            let result = match cbor::read(&content) {
                Ok(input) => call_json(services, Service::CloudWatch, operation, input).await,
                Err(fault) => Err(fault),
            };
            cbor::write(result)
        }
        Protocol::Ec2 => match ec2::read(&content) {
            Ok((operation, input)) => {
                let result = services.ec2.call(&operation, input).await;
                ec2::write(&operation, request_id, result)
            }
            Err(fault) => ec2::write("", request_id, Err(fault)),
        },
        Protocol::Query => {
            let namespace = match scope.as_str() {
                "sts" => "https://sts.amazonaws.com/doc/2011-06-15/",
                "iam" => "https://iam.amazonaws.com/doc/2010-05-08/",
                _ => "http://monitoring.amazonaws.com/doc/2010-08-01/",
            };
            let (operation, input) = match query::read(&content) {
                Ok(call) => call,
                Err(fault) => return query::write("", namespace, request_id, Err(fault)),
            };
            let result = match scope.as_str() {
                "sts" => call_sts(&operation, holder),
                "iam" => {
                    let ec2 = Arc::clone(&services.ec2);
                    let named = operation.clone();
                    blocking(move || call_iam(&named, &input, || ec2.profiles())).await
                }
                _ => call_json(services, Service::CloudWatch, operation.clone(), input).await,
            };
            query::write(&operation, namespace, request_id, result)
        }
        Protocol::Invoke { .. } => json::write("1.1", Err(Fault::internal("endpoints are invoked before"))),
        Protocol::S3 => xml::write(&Fault::internal("S3 is answered before"), request_id),
    }
}

async fn call_json(services: &Services, service: Service, operation: String, input: Value) -> Result<Value, Fault> {
    match service {
        Service::SageMaker => services.sagemaker.call(&operation, input).await,
        Service::Logs => {
            let logs = Arc::clone(&services.logs);
            blocking(move || logs.call(&operation, &input)).await
        }
        Service::CloudWatch => {
            let metrics = Arc::clone(&services.metrics);
            blocking(move || metrics.call(&operation, &input)).await
        }
        Service::Quotas => quotas::call(&operation, input),
        Service::Pricing => pricing::call(&operation, input),
        Service::InstanceConnect => Err(Fault::internal("keys are sent before")),
        Service::Unknown => {
            Err(Fault::new("UnknownOperationException", 400, format!("The local region does not know {operation}")))
        }
    }
}

/// EC2 Instance Connect answers the request's own id.
async fn connect(services: &Services, operation: String, input: Value, request_id: String) -> Result<Value, Fault> {
    let (ec2, keys) = (Arc::clone(&services.ec2), Arc::clone(&services.keys));
    blocking(move || instance_connect::call(&ec2, &keys, &operation, input, &request_id)).await
}

async fn blocking(work: impl FnOnce() -> Result<Value, Fault> + Send + 'static) -> Result<Value, Fault> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Fault::internal(error)))
}

async fn s3(services: &Services, parts: Parts, content: Body, request_id: &str) -> Response<Body> {
    let document = answers_document(&parts);
    match services.s3.call(for_s3(parts, content)).await {
        Ok(response) => {
            let mut response = response.map(http_body_util::BodyExt::boxed_unsync);
            if response.status().is_client_error() || response.status().is_server_error() {
                response = rewrite(response, |text| xml::complete(text, request_id)).await;
            } else if document {
                response = rewrite(response, |text| xml::readable(&xml::in_namespace(text))).await;
            }
            if let Ok(id) = HeaderValue::from_str(request_id) {
                response.headers_mut().insert("x-amz-request-id", id);
            }
            response
        }
        Err(_) => {
            finish(xml::write(&Fault::new("InternalError", 500, "The local region could not answer"), request_id), request_id)
        }
    }
}

/// Whether the answer is a document about keys, and not an object's content.
fn answers_document(parts: &Parts) -> bool {
    let host = parts.headers.get(http::header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = parts.uri.path().trim_start_matches('/');
    let bucket_in_host = host.split(':').next().is_some_and(|name| name.ends_with(".localhost"));
    let of_bucket = if bucket_in_host { path.is_empty() } else { path.split_once('/').is_none_or(|(_, key)| key.is_empty()) };
    let of_upload = parts.uri.query().is_some_and(|query| query.contains("uploadId="));
    match parts.method {
        Method::GET => of_bucket || of_upload,
        Method::PUT => parts.headers.contains_key("x-amz-copy-source"),
        ref other => *other == Method::POST,
    }
}

/// A document of s3s, changed to what S3's has.
async fn rewrite(response: Response<Body>, change: impl FnOnce(&str) -> String) -> Response<Body> {
    let (mut parts, content) = response.into_parts();
    let content = read(content).await.unwrap_or_default();
    let text = change(&String::from_utf8_lossy(&content));
    parts.headers.remove(http::header::CONTENT_LENGTH);
    Response::from_parts(parts, body(text))
}

fn for_s3(parts: Parts, content: Body) -> s3s::HttpRequest {
    Request::from_parts(parts, s3s::Body::http_body_unsync(content))
}

/// Web pages must never reach the region, signed or not: browsers say who they are, AWS clients never do.
fn from_browser(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        || parts.headers.keys().any(|name| {
            let name = name.as_str();
            matches!(name, "origin" | "referer") || name.starts_with("sec-fetch-")
        })
}

/// The one thing that a browser may have: the page behind a presigned URL of a notebook, which its token pays for.
async fn presigned_page(services: &Services, parts: &Parts) -> Reply {
    let gone = || plain("This link was used already, or has expired. Ask for a new one.\n");
    let token = parts.uri.query().and_then(|query| query.strip_prefix("authToken=")).unwrap_or_default().to_owned();
    if !opens_a_tab(parts) || token.is_empty() {
        return gone();
    }
    let sagemaker = Arc::clone(&services.sagemaker);
    let page = tokio::task::spawn_blocking(move || sagemaker.notebooks().page(&token)).await;
    let Ok(Ok(Some(page))) = page else { return gone() };
    let headers = [
        ("cache-control", "no-store"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    let headers = headers.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    Reply { status: 200, content_type: "text/html; charset=utf-8", headers, body: page.into() }
}

/// Whether a request is what a browser sends for an address that its user opens (or any other program), and not what a page's
/// script, frame or image sends, or a guess ahead of the user (Fetch Metadata, W3C).
fn opens_a_tab(parts: &Parts) -> bool {
    let is = |name: &str, wanted: &str| parts.headers.get_all(name).iter().all(|value| value.as_bytes() == wanted.as_bytes());
    parts.method == Method::GET
        && is("sec-fetch-dest", "document")
        && is("sec-fetch-mode", "navigate")
        && !["origin", "purpose", "sec-purpose"].iter().any(|name| parts.headers.contains_key(*name))
}

fn plain(text: &'static str) -> Reply {
    Reply { status: 403, content_type: "text/plain", headers: Vec::new(), body: text.into() }
}

pub(super) fn finish(reply: Reply, request_id: &str) -> Response<Body> {
    let mut response = Response::new(body(reply.body));
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(reply.content_type));
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}

/// In the form of a UUID, as AWS's are.
pub(super) fn request_id() -> String {
    let digits = random_name().unwrap_or_else(|_| "0".repeat(32));
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
