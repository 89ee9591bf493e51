//! For tests: an HTTP transport that answers from a script and remembers what was asked, and a ledger in memory.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use super::{Aws, Connect, LocalAccess, Mode};
use crate::model::{Failure, FailureKind, Intent, Ledger, Settled};

/// What was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `X-Amz-Target`'s operation, or method and path.
    pub operation: String,
    pub uri: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Asked {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// An answer: status and body; status 0 is a broken connection, [`SILENCE`] none at all.
pub type Answer = (u16, Vec<u8>);
/// In place of a status: the request has arrived, and is never answered.
pub const SILENCE: u16 = 1;
type Script = dyn Fn(&Asked) -> Answer + Send + Sync;

#[derive(Clone)]
pub struct Scripted {
    script: Arc<Script>,
    pub asked: Arc<Mutex<Vec<Asked>>>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub fn new(script: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), asked: Arc::default() }
    }

    pub fn operations(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|asked| asked.operation.clone()).collect()
    }

    pub fn bodies(&self, operation: &str) -> Vec<serde_json::Value> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.operation == operation).map(Asked::json).collect()
    }

    /// Clients in local mode over this transport.
    pub async fn connect(&self, read_only: bool, ledger: Option<Arc<dyn Ledger>>) -> Arc<Aws> {
        Aws::connect(Connect {
            mode: Mode::Local,
            profile: None,
            region: None,
            read_only,
            ledger,
            local: Some(LocalAccess {
                http: SharedHttpClient::new(self.clone()),
                endpoint: "http://127.0.0.1:9".to_owned(),
                access_key_id: "AKIALOCAL".to_owned(),
                secret_access_key: "secret".to_owned(),
                region: "us-east-1".to_owned(),
            }),
            allow_loopback: false,
            pins: None,
        })
        .await
        .unwrap()
    }
}

impl HttpConnector for Scripted {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let uri: http::Uri = request.uri().parse().unwrap();
        let operation = match request.headers().get("x-amz-target") {
            Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
            None => format!("{} {}", request.method(), uri.path()),
        };
        let headers = request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let asked = Asked {
            operation,
            uri: request.uri().to_owned(),
            headers,
            body: request.body().bytes().unwrap_or_default().to_vec(),
        };
        let (status, body) = (self.script)(&asked);
        self.asked.lock().unwrap().push(asked);
        if status == 0 {
            return HttpConnectorFuture::ready(Err(ConnectorError::io("connection reset".into())));
        }
        if status == SILENCE {
            return HttpConnectorFuture::new(std::future::pending());
        }
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))))
    }
}

impl HttpClient for Scripted {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A ledger in memory.
#[derive(Default)]
pub struct Notes {
    pub intents: Mutex<Vec<Intent>>,
    pub settled: Mutex<Vec<(i64, Settled)>>,
    pub full: bool,
}

impl Ledger for Notes {
    fn intend(&self, intent: &Intent) -> Result<i64, Failure> {
        if self.full {
            return Err(Failure::new(FailureKind::Machine, "the disk is full", ""));
        }
        let mut intents = self.intents.lock().unwrap();
        intents.push(intent.clone());
        Ok(i64::try_from(intents.len()).unwrap())
    }

    fn settle(&self, number: i64, settled: &Settled) {
        self.settled.lock().unwrap().push((number, settled.clone()));
    }
}
