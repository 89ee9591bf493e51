//! `InvokeEndpoint` of sagemaker-runtime.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::json;
use tokio::time::timeout;

use super::super::store::text;
use super::super::{REGION, SageMaker};
use super::Hosting;
use super::fleet::{Variant, log_group};
use super::resource::Kind;
use crate::local::ACCOUNT;
use crate::local::engine::host::now_millis;
use crate::local::engine::serve::call::CallError;
use crate::local::engine::serve::instance::Instance;
use crate::local::fault::Fault;
use crate::local::wire::{Reply, json as wire};

/// The most bytes of a request (developer guide).
const BODY_LIMIT: usize = 6 * 1024 * 1024;
/// How long a model may take (developer guide).
const PATIENCE: Duration = Duration::from_mins(1);
/// How often another instance is tried when one has just gone.
const TRIES: usize = 5;
/// Namespace of the endpoint's metrics.
const NAMESPACE: &str = "AWS/SageMaker";

const TARGET_VARIANT: &str = "x-amzn-sagemaker-target-variant";
const CUSTOM_ATTRIBUTES: &str = "x-amzn-sagemaker-custom-attributes";
/// What of a request's headers reaches the model.
const FORWARDED: [&str; 4] = ["content-type", "accept", CUSTOM_ATTRIBUTES, "x-amzn-sagemaker-inference-id"];
/// Headers that ask for something the local region does not have.
const NOT_OFFERED: [(&str, &str); 4] = [
    ("x-amzn-sagemaker-target-model", "TargetModel is for multi-model endpoints, which are not part of the local region."),
    (
        "x-amzn-sagemaker-target-container-hostname",
        "TargetContainerHostname is for multi-container endpoints, which are not part of the local region.",
    ),
    ("x-amzn-sagemaker-inference-component", "Inference components are not part of the local region."),
    ("x-amzn-sagemaker-session-id", "Stateful sessions are not part of the local region."),
];

impl SageMaker {
    /// Answers an invocation, `POST /endpoints/ENDPOINT/invocations` of sagemaker-runtime; its signature is checked already.
    pub async fn invoke(&self, endpoint: &str, headers: &HeaderMap, body: Bytes) -> Response<Bytes> {
        let answered = self.hosting.invoke(endpoint, headers, body).await;
        response(answered.unwrap_or_else(|fault| wire::write("1.1", Err(fault))))
    }
}

fn response(reply: Reply) -> Response<Bytes> {
    let mut response = Response::new(reply.body);
    *response.status_mut() = http::StatusCode::from_u16(reply.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [("content-type", reply.content_type.to_owned())].into_iter().chain(reply.headers);
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

/// How a model answered, or why it did not.
enum Outcome {
    Answer(Response<Bytes>),
    /// No answer came: what the client is told instead.
    Silence(String),
}

/// What comes of a call; `None` when nobody took it, so that it may be made elsewhere.
async fn outcome(patience: Duration, call: impl Future<Output = Result<Response<Bytes>, CallError>>) -> Option<Outcome> {
    match timeout(patience, call).await {
        Ok(Ok(answer)) => Some(Outcome::Answer(answer)),
        Ok(Err(CallError::NotReached(_))) => None,
        Ok(Err(error)) => Some(Outcome::Silence(format!("{error}. See the log of the endpoint."))),
        Err(_) => Some(Outcome::Silence("Your invocation timed out while waiting for a response from container primary. Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again.".to_owned())),
    }
}

impl Hosting {
    async fn invoke(&self, endpoint: &str, headers: &HeaderMap, body: Bytes) -> Result<Reply, Fault> {
        let began = Instant::now();
        if body.len() > BODY_LIMIT {
            return Ok(too_large());
        }
        if let Some((_, message)) = NOT_OFFERED.iter().find(|(name, _)| headers.contains_key(*name)) {
            return Err(validation(message));
        }
        let forwarded = forwarded(headers);
        for _ in 0..TRIES {
            let fleet = self.live().get(endpoint).cloned();
            let Some(fleet) = fleet else { return Err(self.not_serving(endpoint)) };
            let variant = match headers.get(TARGET_VARIANT) {
                Some(target) => fleet.variant(target.to_str().unwrap_or_default()).ok_or_else(|| {
                    validation(&format!("Variant {} not found for Request", String::from_utf8_lossy(target.as_bytes())))
                })?,
                None => fleet.by_weight(chance()).ok_or_else(unavailable)?,
            };
            let Some(instance) = variant.pick() else { break };
            let asked = Instant::now();
            let call = instance.invoke(forwarded.clone(), body.clone());
            let Some(outcome) = outcome(PATIENCE, call).await else {
                // It has gone since it was picked; its successor may be a moment away.
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let latency = asked.elapsed();
            let status = match &outcome {
                Outcome::Answer(answer) => answer.status().as_u16(),
                Outcome::Silence(_) => 500,
            };
            self.measure(endpoint, variant, status, latency, began.elapsed().saturating_sub(latency)).await;
            return Ok(reply(endpoint, variant, instance, outcome));
        }
        Err(unavailable())
    }

    /// What is said of an endpoint without instances. assumed: the runtime knows only endpoints that have been in service,
    /// so one that is Creating, Failed or Deleting is as unknown to it as one that does not exist.
    fn not_serving(&self, endpoint: &str) -> Fault {
        let record = self.store.get(Kind::Endpoint, endpoint).ok().flatten();
        let restarting = record.is_some_and(|record| {
            text(&record.document, "EndpointStatus") == "SystemUpdating" && text(&record.document, "EndpointName") == endpoint
        });
        if restarting {
            return Fault::new(
                "ModelNotReadyException",
                429,
                format!("The endpoint {endpoint} is being started again with the local region. Try again in a moment."),
            );
        }
        validation(&format!("Endpoint {endpoint} of account {ACCOUNT} not found."))
    }

    /// Writes an invocation's metrics down: times in microseconds. What cannot be written is not worth failing the call.
    async fn measure(&self, endpoint: &str, variant: &Variant, status: u16, latency: Duration, overhead: Duration) {
        let (metrics, endpoint, name) = (self.metrics.clone(), endpoint.to_owned(), variant.name.clone());
        #[expect(clippy::cast_precision_loss, reason = "a count of instances is small")]
        let share = 1.0 / variant.instances.len().max(1) as f64;
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        let flag = |is: bool| f64::from(u8::from(is));
        let values = [
            ("Invocations", "None", 1.0),
            ("InvocationsPerInstance", "None", share),
            ("Invocation4XXErrors", "None", flag((400..500).contains(&status))),
            ("Invocation5XXErrors", "None", flag(status >= 500)),
            // "Model invocation requests which did not result in 2XX HTTP response", silence included (developer guide).
            ("InvocationModelErrors", "None", flag(!(200..300).contains(&status))),
            ("ModelLatency", "Microseconds", micros(latency)),
            ("OverheadLatency", "Microseconds", micros(overhead)),
        ];
        let written = tokio::task::spawn_blocking(move || {
            let dimensions = [("EndpointName", endpoint.as_str()), ("VariantName", name.as_str())];
            metrics.measure(NAMESPACE, &dimensions, now_millis(), &values)
        });
        drop(written.await);
    }
}

fn reply(endpoint: &str, variant: &Variant, instance: &Instance, outcome: Outcome) -> Reply {
    let answer = match outcome {
        Outcome::Answer(answer) if answer.status().is_success() => answer,
        Outcome::Answer(answer) => {
            let text = String::from_utf8_lossy(answer.body()).into_owned();
            return model_error(endpoint, instance, answer.status().as_u16(), &text);
        }
        // AWS says 0 where no status came.
        Outcome::Silence(text) => return model_error(endpoint, instance, 0, &text),
    };
    let (parts, body) = answer.into_parts();
    let mut headers = vec![("x-amzn-invoked-production-variant", variant.name.clone())];
    for name in ["content-type", CUSTOM_ATTRIBUTES] {
        if let Some(value) = parts.headers.get(name).and_then(|value| value.to_str().ok()) {
            headers.push((name, value.to_owned()));
        }
    }
    Reply { status: 200, content_type: "application/octet-stream", headers, body }
}

/// The text is AWS's (sagemaker-python-sdk#2955). assumed: the stream is part of `LogStreamArn`.
fn model_error(endpoint: &str, instance: &Instance, status: u16, text: &str) -> Reply {
    let group = log_group(endpoint);
    let side = if (400..500).contains(&status) { "client" } else { "server" };
    let message = format!(
        "Received {side} error ({status}) from primary with message \"{text}\". See https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}#logEventViewer:group={group} in account {ACCOUNT} for more information."
    );
    let body = json!({
        "Message": message,
        "OriginalMessage": text,
        "OriginalStatusCode": status,
        "LogStreamArn": format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:{}", instance.stream),
    });
    let headers = vec![("x-amzn-errortype", "ModelError".to_owned())];
    Reply { status: 424, content_type: "application/json", headers, body: body.to_string().into() }
}

/// As the front end of AWS refuses it: a status and no code (amazon-sagemaker-examples#245).
fn too_large() -> Reply {
    let body = json!({"message": format!("HTTP content length exceeded {BODY_LIMIT} bytes.")});
    Reply { status: 413, content_type: "application/json", headers: Vec::new(), body: body.to_string().into() }
}

fn forwarded(headers: &HeaderMap) -> HeaderMap {
    FORWARDED.into_iter().filter_map(|name| Some((HeaderName::from_static(name), headers.get(name)?.clone()))).collect()
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the first variant serves, which is better than none.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

/// The runtime's name for it.
fn validation(message: &str) -> Fault {
    Fault::new("ValidationError", 400, message)
}

fn unavailable() -> Fault {
    Fault::new(
        "ServiceUnavailable",
        503,
        "No instance of the endpoint can take the call now: its model server ended and is being started again. See the log of the endpoint.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_model_that_does_not_answer_in_time_is_reported_in_awss_words() {
        assert_eq!(PATIENCE, Duration::from_mins(1), "the developer guide's limit");
        let silent = outcome(Duration::from_millis(5), std::future::pending()).await;
        let Some(Outcome::Silence(text)) = silent else { panic!("there was an answer") };
        assert!(text.starts_with("Your invocation timed out while waiting for a response from container primary."), "{text}");
        let gone = async { Err(CallError::NotReached(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))) };
        assert!(outcome(PATIENCE, gone).await.is_none(), "it may be tried elsewhere");
    }
}
