use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;

use super::*;
use crate::aws::scripted::{Notes, Scripted};
use crate::aws::{Aws, clients, fault, with_order};

fn yes() -> Scripted {
    Scripted::new(|_| (200, b"{}".to_vec()))
}

async fn stop(aws: &Aws) -> Result<(), Failure> {
    aws.sagemaker
        .stop_training_job()
        .training_job_name("a")
        .send()
        .await
        .map(drop)
        .map_err(|error| fault::tell("stopping", &error))
}

fn rules(mode: Mode) -> Rules {
    Rules { mode, region: "us-east-1".into(), read_only: false, ledger: None, local_endpoint: None, allow_loopback: false }
}

/// STS clients whose every request would go to `endpoint`.
async fn ask(rules: Rules, endpoint: &str) -> (Result<(), Failure>, usize) {
    let http = yes();
    let credentials = Credentials::new("AKIACANARY", "canary", None, None, "test");
    let settings = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http.clone())
        .build();
    let made = clients::clients(&settings, &Guard::new(rules));
    let said = made.sagemaker.list_training_jobs().send().await.map(drop).map_err(|error| fault::tell("listing", &error));
    (said, http.operations().len())
}

#[tokio::test]
async fn the_wall_keeps_real_and_local_apart() {
    let told = || Rules { allow_loopback: true, ..rules(Mode::Aws) };
    let served = || Rules { local_endpoint: Some("http://region.internal".into()), ..rules(Mode::Local) };
    let table: [(Rules, &str, bool); 12] = [
        (rules(Mode::Aws), "https://api.sagemaker.us-east-1.amazonaws.com", true),
        (rules(Mode::Aws), "http://api.sagemaker.us-east-1.amazonaws.com", false),
        (rules(Mode::Aws), "http://127.0.0.1:4566", false),
        (rules(Mode::Aws), "https://localhost:4566", false),
        (rules(Mode::Aws), "http://[::1]:4566", false),
        (rules(Mode::Aws), "http://[::ffff:127.0.0.1]:4566", false),
        (told(), "http://127.0.0.1:4566", true),
        (told(), "http://example.com", false),
        (rules(Mode::Local), "http://127.0.0.1:4566", true),
        (rules(Mode::Local), "https://api.sagemaker.us-east-1.amazonaws.com", false),
        (rules(Mode::Local), "http://127.0.0.1.example.com", false),
        (served(), "http://region.internal", true),
    ];
    for (rules, endpoint, open) in table {
        let (said, sent) = ask(rules, endpoint).await;
        assert_eq!(sent == 1, open, "{endpoint}: {said:?}");
        if !open {
            assert_eq!(said.unwrap_err().kind, FailureKind::Refused, "{endpoint}");
        }
    }
}

#[tokio::test]
async fn nothing_leaves_when_refused() {
    let notes = Arc::new(Notes::default());
    let http = yes();
    let no_order = http.connect(false, Some(notes.clone())).await;
    assert_eq!(stop(&no_order).await.unwrap_err().kind, FailureKind::Refused);
    let no_ledger = http.connect(false, None).await;
    let refused = with_order("o".into(), stop(&no_ledger)).await.unwrap_err();
    assert!(refused.what.as_str().starts_with("no journal"), "{refused}");
    let read_only = http.connect(true, Some(notes.clone())).await;
    assert_eq!(with_order("o".into(), stop(&read_only)).await.unwrap_err().kind, FailureKind::Refused);
    let turned = http.connect(false, Some(notes.clone())).await;
    turned.set_read_only();
    assert!(with_order("o".into(), stop(&turned)).await.is_err());
    let full = http.connect(false, Some(Arc::new(Notes { full: true, ..Notes::default() }))).await;
    assert_eq!(with_order("o".into(), stop(&full)).await.unwrap_err().kind, FailureKind::Machine);
    let unknown = no_order.sagemaker.list_pipelines().send().await.map_err(|error| fault::tell("x", &error)).unwrap_err();
    assert_eq!(unknown.kind, FailureKind::Refused);
    assert_eq!(http.operations(), Vec::<String>::new());
    assert!(notes.intents.lock().unwrap().is_empty());
}

#[tokio::test]
async fn in_read_only_mode_every_change_is_refused() {
    for (service, operation, effect) in OPERATIONS {
        let guard = Guard::new(Rules { read_only: true, ..rules(Mode::Local) });
        assert_eq!(guard.allow(service, operation).is_ok(), *effect == Effect::Reads, "{operation}");
        // An address that is handed out changes nothing, nor does a prediction, nor a key that is announced for a minute.
        let reads = ["Get", "List", "Describe", "Head", "CreatePresigned", "InvokeEndpoint", "SendSSHPublicKey"]
            .iter()
            .any(|verb| operation.starts_with(verb));
        assert_eq!(*effect == Effect::Reads, reads, "{operation} is in the wrong class");
    }
}

#[tokio::test]
async fn the_intent_is_noted_with_the_request_and_settled() {
    let notes = Arc::new(Notes::default());
    let http = yes();
    let aws = http.connect(false, Some(notes.clone())).await;
    with_order("order 7".into(), stop(&aws)).await.unwrap();
    let intents = notes.intents.lock().unwrap().clone();
    assert_eq!(intents.len(), 1);
    assert_eq!(
        (intents[0].order.as_str(), intents[0].operation.as_str(), intents[0].token.as_str()),
        ("order 7", "StopTrainingJob", "a")
    );
    assert_eq!(intents[0].request.as_bytes(), http.asked.lock().unwrap()[0].body);
    assert_eq!(intents[0].mode, "local");
    assert_eq!(*notes.settled.lock().unwrap(), [(1, Settled::Done)]);
}

#[tokio::test]
async fn a_lost_answer_is_one_intent_of_unknown_outcome() {
    let notes = Arc::new(Notes::default());
    let first = std::sync::atomic::AtomicBool::new(true);
    let http = Scripted::new(move |_| {
        if first.swap(false, Ordering::SeqCst) {
            (0, Vec::new())
        } else {
            (400, br#"{"__type":"ResourceInUse","message":"exists"}"#.to_vec())
        }
    });
    let aws = http.connect(false, Some(notes.clone())).await;
    let failure = with_order("o".into(), stop(&aws)).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);
    assert_eq!(http.operations().len(), 2, "the SDK tries again");
    assert_eq!(notes.intents.lock().unwrap().len(), 1);
    assert!(matches!(notes.settled.lock().unwrap()[..], [(1, Settled::Unknown(_))]));
}

#[tokio::test]
async fn no_capacity_is_an_answer_and_an_internal_error_is_none() {
    for (code, is_answer) in [("InsufficientInstanceCapacity", true), ("InternalError", false), ("Unavailable", false)] {
        let notes = Arc::new(Notes::default());
        let body = format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>none</Message></Error></Errors><RequestID>1</RequestID></Response>"
        );
        let http = Scripted::new(move |_| (500, body.clone().into_bytes()));
        let aws = http.connect(false, Some(notes.clone())).await;
        Box::pin(with_order("o".into(), aws.ec2.run_instances().min_count(1).max_count(1).send())).await.unwrap_err();
        let settled = notes.settled.lock().unwrap().clone();
        assert_eq!(matches!(settled[..], [(1, Settled::Refused(_))]), is_answer, "{code}: {settled:?}");
    }
}

#[tokio::test]
async fn a_dropped_call_is_settled_as_unknown() {
    let notes: Arc<Notes> = Arc::default();
    let ledger: Arc<dyn Ledger> = notes.clone();
    drop(Noted::new(Entry::Own { ledger, number: 3 }));
    assert_eq!(*notes.settled.lock().unwrap(), [(3, Settled::Unknown("no answer".into()))]);
}

#[tokio::test]
async fn a_bulk_of_objects_is_one_intent() {
    let notes = Arc::new(Notes::default());
    let aws = yes().connect(false, Some(notes.clone())).await;
    Box::pin(with_order("o".into(), async {
        for key in ["a", "b", "c"] {
            aws.s3.put_object().bucket("data").key(key).body(b"x".to_vec().into()).send().await.unwrap();
        }
        assert!(notes.settled.lock().unwrap().is_empty());
    }))
    .await;
    let intents = notes.intents.lock().unwrap().clone();
    assert_eq!(intents.len(), 1);
    assert_eq!(intents[0].token, "s3://data/");
    assert_eq!(*notes.settled.lock().unwrap(), [(1, Settled::Done)]);
}

#[test]
fn a_call_of_ec2_is_known_by_its_token_or_by_what_it_is_about() {
    let launch = b"Action=RunInstances&Version=2016-11-15&ClientToken=footplate-7-us-east-1a&InstanceId.1=i-1";
    assert_eq!(token_in(launch), "footplate-7-us-east-1a");
    assert_eq!(token_in(b"Action=StopInstances&InstanceId.1=i-0123"), "i-0123");
    assert_eq!(token_in(b"Action=CreateSecurityGroup&GroupName=footplate-ssh-203.0.113.7%2F32"), "footplate-ssh-203.0.113.7/32");
    assert_eq!(token_in(b"\xff&"), "");
}
