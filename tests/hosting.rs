//! The local region serves models for real: scripts answer invocations under the keeper, fail as on AWS, and come back.

#[path = "common/bare.rs"]
mod bare;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bare::{Region, alive, archive, options, parent, wait_for};
use bytes::Bytes;
use footplate::local::fault::Fault;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::{Value, json};

/// Answers what it is told to do.
const SCRIPT: &str = r#"
import json, os
from helper import shout

def model_fn(model_dir):
    print("loading", sorted(os.listdir(model_dir)))
    with open(os.path.join(model_dir, "weights.txt")) as file:
        return file.read()

def input_fn(body, content_type):
    if content_type == "application/json":
        assert isinstance(body, str)
        return json.loads(body)
    if content_type == "image/png":
        assert isinstance(body, bytes)
        return {"bytes": len(body)}
    raise ValueError("no idea what %s is" % content_type)

def predict_fn(data, model):
    if data.get("die"):
        os._exit(3)
    if data.get("raise"):
        raise RuntimeError("the model is tired")
    return {"model": model, "pid": os.getpid(), "shout": shout(data.get("say", "")), **data}

def output_fn(prediction, accept, context):
    context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", "seen=" + str(context.get_request_header(0, "x-amzn-sagemaker-custom-attributes")))
    return json.dumps(prediction), accept
"#;
const HELPER: &str = "def shout(text):\n    return text.upper()\n";

fn model(script: &str, weights: &str) -> Vec<u8> {
    // The Python SDK's archives begin with the folder itself.
    archive(&[("/", ""), ("code/inference.py", script), ("code/helper.py", HELPER), ("weights.txt", weights)])
}

fn variant(name: &str, model: &str) -> Value {
    json!({"VariantName": name, "ModelName": model, "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1, "InitialVariantWeight": 1})
}

impl Region {
    async fn create_model(&self, name: &str, archive: &[u8]) {
        self.create_model_with(name, archive, &[]).await;
    }

    async fn create_model_with(&self, name: &str, archive: &[u8], environment: &[(&str, &str)]) {
        self.put(&format!("{name}/model.tar.gz"), archive);
        let mut request = model_request(name);
        for (variable, value) in environment {
            request["PrimaryContainer"]["Environment"][variable] = json!(value);
        }
        self.call("CreateModel", request).await.expect("is created");
    }

    async fn create_config(&self, name: &str, variants: Value) {
        let request = json!({"EndpointConfigName": name, "ProductionVariants": variants});
        self.call("CreateEndpointConfig", request).await.expect("is created");
    }

    async fn create_endpoint(&self, name: &str, config: &str) {
        let request = json!({"EndpointName": name, "EndpointConfigName": config, "Tags": []});
        self.call("CreateEndpoint", request).await.expect("is created");
    }

    /// A model with this script, and all that it takes to serve it under one name; its first settled state.
    async fn deploy(&self, name: &str, script: &str) -> Value {
        self.deploy_archive(name, &model(script, "heavy")).await
    }

    async fn deploy_archive(&self, name: &str, archive: &[u8]) -> Value {
        self.deploy_with(name, archive, &[]).await
    }

    async fn deploy_with(&self, name: &str, archive: &[u8], environment: &[(&str, &str)]) -> Value {
        self.create_model_with(name, archive, environment).await;
        self.create_config(name, json!([variant("AllTraffic", name)])).await;
        self.create_endpoint(name, name).await;
        self.settled(name).await
    }

    async fn describe(&self, name: &str) -> Result<Value, Fault> {
        self.call("DescribeEndpoint", json!({"EndpointName": name})).await
    }

    async fn settled(&self, name: &str) -> Value {
        wait_for(&format!("{name} to settle"), async || {
            let described = self.describe(name).await.expect("is there");
            ["InService", "Failed"].contains(&described["EndpointStatus"].as_str()?).then_some(described)
        })
        .await
    }

    async fn delete(&self, name: &str) {
        self.call("DeleteEndpoint", json!({"EndpointName": name})).await.expect("is deleted");
        wait_for("the end of the endpoint", async || self.describe(name).await.is_err().then_some(())).await;
    }

    async fn invoke(&self, name: &str, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Response<Bytes> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("is a header")))
            .collect();
        self.sagemaker.invoke(name, &headers, body.into()).await
    }

    async fn ask(&self, name: &str, input: Value) -> Response<Bytes> {
        self.invoke(name, &[("content-type", "application/json")], input.to_string()).await
    }

    /// The process that answers, when one does.
    async fn pid(&self, name: &str) -> Option<u32> {
        let answer = self.ask(name, json!({})).await;
        if answer.status() == 200 { pid_in(&parsed(&answer)) } else { None }
    }

    fn log(&self, name: &str) -> Vec<(String, String)> {
        let group = format!("/aws/sagemaker/Endpoints/{name}");
        let Ok(answer) = self.logs.call("FilterLogEvents", &json!({"logGroupName": group})) else { return Vec::new() };
        let events = answer["events"].as_array().expect("a list").iter();
        let text = |event: &Value, member: &str| event[member].as_str().expect("a text").to_owned();
        events.map(|event| (text(event, "logStreamName"), text(event, "message"))).collect()
    }

    async fn logged(&self, name: &str, text: &str) {
        wait_for(&format!("{text:?} in the log of {name}"), async || {
            self.log(name).iter().any(|(_, line)| line.contains(text)).then_some(())
        })
        .await;
    }

    fn sum(&self, endpoint: &str, metric: &str) -> f64 {
        let dimensions = [("EndpointName", endpoint), ("VariantName", "AllTraffic")];
        self.statistic("AWS/SageMaker", metric, &dimensions, "Sum", 3600).iter().sum()
    }
}

fn model_request(name: &str) -> Value {
    json!({
        "ModelName": name,
        "ExecutionRoleArn": "arn:aws:iam::000000000000:role/footplate-execution",
        "PrimaryContainer": {
            "Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:1.9-cpu-py38",
            "ModelDataUrl": format!("s3://b/{name}/model.tar.gz"),
            "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
        },
    })
}

fn parsed(answer: &Response<Bytes>) -> Value {
    serde_json::from_slice(answer.body()).unwrap_or_else(|_| panic!("is no JSON: {answer:?}"))
}

fn pid_in(body: &Value) -> Option<u32> {
    body["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok())
}

fn kind(answer: &Response<Bytes>) -> (u16, &str) {
    let kind = answer.headers().get("x-amzn-errortype").map_or("", |value| value.to_str().expect("is text"));
    (answer.status().as_u16(), kind)
}

/// The folders of instances go once their processes have ended, which is a moment after the endpoint is gone.
async fn no_instance_is_left(data: &Path) {
    let left = || std::fs::read_dir(data.join("sagemaker/instances")).expect("a folder").count();
    wait_for("the end of all instances' folders", async || (left() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_answers_logs_counts_and_goes() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.create_model("m", &model(SCRIPT, "heavy")).await;
    region.create_config("c", json!([variant("AllTraffic", "m")])).await;
    region.create_endpoint("happy", "c").await;
    let early = region.ask("happy", json!({})).await;
    assert_eq!(kind(&early), (400, "ValidationError"), "Creating is not InService");
    let described = region.settled("happy").await;
    assert_eq!(described["EndpointStatus"], "InService", "{described:#}");
    assert_eq!(described["ProductionVariants"][0]["CurrentInstanceCount"], 1);

    let headers =
        [("content-type", "application/json"), ("accept", "application/json"), ("x-amzn-sagemaker-custom-attributes", "trace=1")];
    let answer = region.invoke("happy", &headers, r#"{"say": "hello"}"#).await;
    let body = parsed(&answer);
    assert_eq!((&body["model"], &body["shout"]), (&json!("heavy"), &json!("HELLO")));
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.headers()["x-amzn-invoked-production-variant"], "AllTraffic");
    assert_eq!(answer.headers()["x-amzn-sagemaker-custom-attributes"], "seen=trace=1");
    let image = region.invoke("happy", &[("content-type", "image/png")], vec![0xff; 1000]).await;
    assert_eq!(parsed(&image)["bytes"], 1000);

    region.logged("happy", "loading ['code', 'weights.txt']").await;
    let (stream, _) = &region.log("happy")[0];
    assert!(stream.starts_with("AllTraffic/i-"), "{stream}");
    assert!((region.sum("happy", "Invocations") - 2.0).abs() < 0.1);
    assert!(region.sum("happy", "ModelLatency") > 0.0 && region.sum("happy", "Invocation5XXErrors") < 0.1);

    let pid = pid_in(&body).expect("a number");
    assert!(alive(pid));
    region.delete("happy").await;
    assert!(!alive(pid), "a deleted endpoint has no process");
    no_instance_is_left(folder.path()).await;
    assert_eq!(kind(&region.ask("happy", json!({})).await), (400, "ValidationError"));
    let message = parsed(&region.ask("happy", json!({})).await)["message"].clone();
    assert_eq!(message, "Endpoint happy of account 000000000000 not found.");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_script_raises_is_a_model_error_with_its_traceback() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.deploy("bad", SCRIPT).await;
    for (headers, body, text) in [
        (("content-type", "application/json"), r#"{"raise": 1}"#, "RuntimeError: the model is tired"),
        (("content-type", "application/json"), "{not json", "JSONDecodeError"),
        (("content-type", "audio/wav"), "RIFF", "ValueError: no idea what audio/wav is"),
    ] {
        let answer = region.invoke("bad", &[headers], body).await;
        assert_eq!(kind(&answer), (424, "ModelError"));
        let error = parsed(&answer);
        assert_eq!(error["OriginalStatusCode"], 500);
        let original = error["OriginalMessage"].as_str().expect("a text");
        assert!(original.contains(text) && original.contains("Traceback (most recent call last)"), "{original}");
        assert!(
            error["Message"].as_str().expect("a text").starts_with("Received server error (500) from primary with message \"")
        );
        assert!(
            error["LogStreamArn"]
                .as_str()
                .expect("a text")
                .contains(":log-group:/aws/sagemaker/Endpoints/bad:log-stream:AllTraffic/i-")
        );
        region.logged("bad", text).await;
    }
    assert!((region.sum("bad", "Invocation5XXErrors") - 3.0).abs() < 0.1);
    // Without an input_fn the default handlers say which types they do not know.
    region.deploy("plain", "def model_fn(d): return len\n").await;
    let answer = region.invoke("plain", &[("content-type", "image/png")], "x").await;
    let error = parsed(&answer);
    assert_eq!((kind(&answer).0, &error["OriginalStatusCode"]), (424, &json!(415)));
    assert!(error["Message"].as_str().expect("a text").starts_with("Received client error (415) from primary"));
    let answer = region.invoke("plain", &[("content-type", "text/csv"), ("accept", "text/csv")], "1,2\n3,4\n").await;
    assert_eq!(
        (answer.body().as_ref(), &answer.headers()["content-type"]),
        (b"2\n".as_slice(), &HeaderValue::from_static("text/csv"))
    );
    assert!((region.sum("plain", "Invocation4XXErrors") - 1.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_does_not_load_fails_the_endpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let unhealthy = "The primary container for production variant AllTraffic did not pass the ping health check. Please check CloudWatch logs for this endpoint.";
    let both = "def model_fn(d): return 1\ndef transform_fn(m, b, c, a): return b\ndef predict_fn(d, m): return d\n";
    for (name, script, text) in [
        ("raises", "def model_fn(d):\n    raise OSError('no weights for you')\n", "OSError: no weights for you"),
        ("syntax", "def model_fn(d:\n", "SyntaxError"),
        ("both", both, "Cannot use transform_fn implementation in conjunction with"),
    ] {
        let described = region.deploy(name, script).await;
        assert_eq!((&described["EndpointStatus"], &described["FailureReason"]), (&json!("Failed"), &json!(unhealthy)), "{name}");
        region.logged(name, text).await;
        let again = region.call("UpdateEndpoint", json!({"EndpointName": name, "EndpointConfigName": name})).await;
        assert!(again.expect_err("is refused").message.contains("Delete it and create it again"));
        region.delete(name).await;
    }
    no_instance_is_left(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_leads_out_or_holds_no_script_fails_the_endpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    for (name, archive, text) in [
        ("climbs", archive(&[("../../../evil.txt", "x")]), "../../../evil.txt leads out of its folder"),
        ("empty", archive(&[("weights.txt", "x")]), "code/inference.py is not in the model's archive"),
        ("broken", b"not an archive".to_vec(), "is a valid tar.gz archive"),
    ] {
        let described = region.deploy_archive(name, &archive).await;
        assert_eq!(described["EndpointStatus"], "Failed", "{name}");
        assert!(described["FailureReason"].as_str().expect("a text").contains(text), "{described:#}");
    }
    assert!(!folder.path().join("evil.txt").exists() && !folder.path().join("sagemaker/evil.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_is_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.deploy("mortal", SCRIPT).await;
    let first = region.pid("mortal").await.expect("answers");
    let answer = region.ask("mortal", json!({"die": true})).await;
    assert_eq!(kind(&answer), (424, "ModelError"));
    assert_eq!(
        (&parsed(&answer)["OriginalStatusCode"], &parsed(&answer)["OriginalMessage"]),
        (&json!(500), &json!("Worker died."))
    );
    let second = wait_for("the next worker", async || region.pid("mortal").await).await;
    assert!(second != first && !alive(first));
    region.logged("mortal", "Worker died. Its exit code is 3; another worker is started.").await;
    assert_eq!(region.describe("mortal").await.expect("is there")["EndpointStatus"], "InService");

    assert!((region.sum("mortal", "InvocationModelErrors") - 1.0).abs() < 0.1);

    // The server itself, and with it all workers.
    let server = parent(second);
    signal(server, "KILL");
    let third = wait_for("the next server", async || region.pid("mortal").await.filter(|pid| *pid != second)).await;
    assert!(parent(third) != server && !alive(second));
    region.logged("mortal", "The model server ended with code 137. It is started again.").await;
    // A worker that ends while it has nothing to do: no call fails for it.
    signal(third, "KILL");
    wait_for("its end", async || (!alive(third)).then_some(())).await;
    let fourth = region.pid("mortal").await.expect("answers at the first try");
    assert_ne!(third, fourth);
    region.logged("mortal", "An idle worker ended with code -9; another worker is started.").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_its_health_checks_is_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.deploy("frozen", SCRIPT).await;
    let first = region.pid("frozen").await.expect("answers");
    let server = parent(first);
    signal(server, "STOP");
    region.logged("frozen", "The model server failed 3 health checks (/ping). It is started again.").await;
    let second = wait_for("the next server", async || region.pid("frozen").await).await;
    assert!(second != first && !alive(first) && !alive(server));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_served_side_by_side_by_as_many_workers_as_there_may_be() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Arc::new(Region::open(folder.path(), options()));
    // Each waits for the others, so that they must run at the same time; a worker has one request at a time.
    let script = r#"
import json, os, time
busy = False
def model_fn(d): return d
def transform_fn(model, body, kind, accept):
    global busy
    assert not busy, "two requests in one worker"
    busy = True
    here = os.environ["MEET"]
    open(os.path.join(here, str(os.getpid())), "w").close()
    while len(os.listdir(here)) < 3: time.sleep(0.01)
    busy = False
    return json.dumps({"pid": os.getpid()}), accept
"#;
    let meet = folder.path().join("meet");
    std::fs::create_dir(&meet).expect("a folder");
    let environment = [("SAGEMAKER_MODEL_SERVER_WORKERS", "3"), ("MEET", meet.to_str().expect("is text"))];
    region.deploy_with("crowd", &model(script, ""), &environment).await;
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let region = Arc::clone(&region);
            tokio::spawn(async move { pid_in(&parsed(&region.ask("crowd", json!({})).await)).expect("answers") })
        })
        .collect();
    let mut pids = BTreeSet::new();
    for call in calls {
        pids.insert(call.await.expect("ends"));
    }
    assert_eq!(pids.len(), 3, "no more workers than allowed: {pids:?}");
    assert_eq!(pids.iter().map(|pid| parent(*pid)).collect::<BTreeSet<_>>().len(), 1);
    region.delete("crowd").await;
    assert!(!pids.into_iter().any(alive));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_takes_too_long_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script = "import json, os, time\ndef model_fn(d): return d\ndef transform_fn(m, body, kind, accept):\n    while 'hang' in body: time.sleep(1)\n    return json.dumps({'pid': os.getpid()}), accept\n";
    region.deploy_with("slow", &model(script, ""), &[("SAGEMAKER_MODEL_SERVER_TIMEOUT", "3")]).await;
    let first = region.pid("slow").await.expect("answers");
    let answer = region.ask("slow", json!({"hang": true})).await;
    assert_eq!(kind(&answer), (424, "ModelError"));
    let original = parsed(&answer)["OriginalMessage"].clone();
    assert_eq!(original, "Worker did not respond within 3 s (SAGEMAKER_MODEL_SERVER_TIMEOUT).");
    let second = wait_for("the next worker", async || region.pid("slow").await).await;
    assert!(second != first && !alive(first));
    assert!((region.sum("slow", "Invocation5XXErrors") - 1.0).abs() < 0.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_loads_no_more_is_told_at_once_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script = "import json, os\ndef model_fn(d): return open(os.environ['FLAG']).read()\ndef transform_fn(m, body, kind, accept):\n    if 'die' in body: os._exit(7)\n    return json.dumps({'pid': os.getpid()}), accept\n";
    let flag = folder.path().join("flag");
    std::fs::write(&flag, "").expect("writes");
    region.deploy_with("fragile", &model(script, ""), &[("FLAG", flag.to_str().expect("is text"))]).await;
    std::fs::remove_file(&flag).expect("removes");
    region.ask("fragile", json!({"die": true})).await;
    let told = wait_for("the refusal", async || {
        let answer = parsed(&region.ask("fragile", json!({})).await);
        (answer["OriginalStatusCode"] == 503).then_some(answer)
    })
    .await;
    assert_eq!(told["OriginalMessage"], "No worker is available to serve the request.");
    region.logged("fragile", "FileNotFoundError").await;
    assert_eq!(region.describe("fragile").await.expect("is there")["EndpointStatus"], "InService", "as on AWS");
    std::fs::write(&flag, "").expect("writes");
    wait_for("the next worker", async || region.pid("fragile").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requirements_are_installed_for_the_instance_or_fail_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script = "import tiny\ndef model_fn(d): return d\ndef transform_fn(m, b, c, a): return tiny.WORD, 'text/plain'\n";
    // pip itself is there wherever this can pass, so that requirement is fulfilled without a network.
    let requirements = "# a comment\npip>=1\n./tiny-1.0-py3-none-any.whl\n";
    let files = [
        ("code/inference.py", script.as_bytes()),
        ("code/requirements.txt", requirements.as_bytes()),
        ("code/tiny-1.0-py3-none-any.whl", &wheel()),
    ];
    let described = region.deploy_with("packed", &bare::archive_of(&files), &[("PIP_NO_INDEX", "1")]).await;
    assert_eq!(described["EndpointStatus"], "InService", "{described:#} {:#?}", region.log("packed"));
    region.logged("packed", "Requirement already satisfied: pip>=1").await;
    assert_eq!(region.ask("packed", json!({})).await.body().as_ref(), b"installed");

    let files = [("code/inference.py", script), ("code/requirements.txt", "no-such-package-of-anybody==1.0\n")];
    let described = region.deploy_with("lacking", &archive(&files), &[("PIP_NO_INDEX", "1")]).await;
    let reason = described["FailureReason"].as_str().expect("a reason");
    assert!(
        reason.starts_with(
            "The primary container could not install the packages of code/requirements.txt. Please check CloudWatch logs"
        ),
        "{reason}"
    );
    region.logged("lacking", "No matching distribution found for no-such-package-of-anybody==1.0").await;
    region.logged("lacking", "code/requirements.txt could not be installed.").await;
    let lines = region.log("lacking").iter().filter(|(_, line)| line.starts_with("Installing")).count();
    assert_eq!(lines, 1, "it is not tried again and again");
}

/// The smallest package that pip installs.
fn wheel() -> Vec<u8> {
    use std::io::Write;
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in [
        ("tiny.py", "WORD = 'installed'\n"),
        ("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"),
        ("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        (
            "tiny-1.0.dist-info/RECORD",
            "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\ntiny-1.0.dist-info/RECORD,,\n",
        ),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("starts");
        zip.write_all(text.as_bytes()).expect("writes");
    }
    zip.finish().expect("ends").into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_does_is_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let script = "import time\ndef model_fn(d): return bytearray(30 << 20)\ndef transform_fn(m, b, c, a):\n    end = time.monotonic() + float(b)\n    while time.monotonic() < end: pass\n    return 'x', a\n";
    region.deploy("busy", script).await;
    for _ in 0..9 {
        region.ask("busy", json!(0.01)).await;
    }
    region.ask("busy", json!(0.5)).await;
    region.ask("busy", json!("no number")).await;
    let dimensions = [("EndpointName", "busy"), ("VariantName", "AllTraffic")];
    let over = |metric: &str, statistic: &str| {
        region.statistic("AWS/SageMaker", metric, &dimensions, statistic, 3600).pop().expect(metric)
    };
    assert_eq!((over("Invocations", "Sum"), over("Invocations", "SampleCount")), (11.0, 11.0));
    assert_eq!((over("InvocationModelErrors", "Sum"), over("Invocation4XXErrors", "Sum")), (1.0, 0.0));
    assert_eq!((over("InvocationsPerInstance", "Sum"), over("Invocation5XXErrors", "Average")), (11.0, 1.0 / 11.0));
    // Microseconds: half of the calls took a hundredth of a second, the longest one half a second.
    assert!((1_000.0..400_000.0).contains(&over("ModelLatency", "p50")), "{}", over("ModelLatency", "p50"));
    assert!(over("ModelLatency", "p99") >= 500_000.0 / 1.02 && over("ModelLatency", "Maximum") >= 500_000.0);
    assert!(over("OverheadLatency", "Average") > 0.0);

    let namespace = "/aws/sagemaker/Endpoints";
    wait_for("a measurement", async || region.statistic(namespace, "CPUUtilization", &dimensions, "Maximum", 60).pop()).await;
    for metric in ["CPUUtilization", "MemoryUtilization", "DiskUtilization"] {
        let most = region.statistic(namespace, metric, &dimensions, "Maximum", 3600).pop().expect(metric);
        assert!(most > 0.0, "{metric} is {most}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_at_the_wrong_moment_and_to_nothing_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let go = folder.path().join("go");
    let script = "import os, time\ndef model_fn(d):\n    while not os.path.exists(os.environ['GO']): time.sleep(0.02)\ndef transform_fn(m, b, c, a): return 'x', a\n";
    region.create_model_with("m", &model(script, ""), &[("GO", go.to_str().expect("is text"))]).await;
    region.create_config("c", json!([variant("AllTraffic", "m")])).await;
    let mut wide = variant("AllTraffic", "m");
    wide["InitialInstanceCount"] = json!(1);
    wide["InitialVariantWeight"] = json!(5);
    region.create_config("d", json!([wide])).await;
    region.create_endpoint("e", "c").await;
    let in_progress = "Cannot update in-progress endpoint \"arn:aws:sagemaker:us-east-1:000000000000:endpoint/e\".";
    let name = json!({"EndpointName": "e"});
    let weights =
        json!({"EndpointName": "e", "DesiredWeightsAndCapacities": [{"VariantName": "AllTraffic", "DesiredInstanceCount": 3}]});
    let to = |config: &str| json!({"EndpointName": "e", "EndpointConfigName": config});
    for (operation, input) in
        [("DeleteEndpoint", &name), ("UpdateEndpoint", &to("d")), ("UpdateEndpointWeightsAndCapacities", &weights)]
    {
        let fault = region.call(operation, input.clone()).await.expect_err("is Creating");
        assert_eq!((fault.code, fault.message.as_str()), ("ValidationException", in_progress), "{operation}");
    }
    std::fs::write(&go, "").expect("writes");
    assert_eq!(region.settled("e").await["EndpointStatus"], "InService");

    let fault = region.call("UpdateEndpoint", to("gone")).await.expect_err("there is none");
    assert!(fault.message.starts_with("Could not find endpoint configuration \"arn"), "{}", fault.message);
    let other = json!({"EndpointName": "e", "DesiredWeightsAndCapacities": [{"VariantName": "Other", "DesiredWeight": 1}]});
    let fault = region.call("UpdateEndpointWeightsAndCapacities", other).await.expect_err("there is none");
    assert!(fault.message.starts_with("The variant Other is not part of the endpoint"), "{}", fault.message);
    assert_eq!(region.describe("e").await.expect("is there")["EndpointStatus"], "InService", "a refused change changes nothing");

    region.call("UpdateEndpointWeightsAndCapacities", weights).await.expect("is accepted");
    region.settled("e").await;
    std::fs::remove_file(&go).expect("removes");
    let mut retaining = to("d");
    retaining["RetainAllVariantProperties"] = json!(true);
    retaining["ExcludeRetainedVariantProperties"] = json!([{"VariantPropertyType": "DesiredWeight"}]);
    region.call("UpdateEndpoint", retaining).await.expect("is accepted");
    let during = region.describe("e").await.expect("is there");
    assert_eq!(
        (&during["EndpointStatus"], &during["EndpointConfigName"]),
        (&json!("Updating"), &json!("c")),
        "the old one serves"
    );
    assert_eq!(during["ProductionVariants"][0]["CurrentInstanceCount"], 3);
    std::fs::write(&go, "").expect("writes");
    let after = region.settled("e").await;
    assert_eq!(after["EndpointConfigName"], "d");
    let variant = &after["ProductionVariants"][0];
    assert_eq!(
        (&variant["CurrentInstanceCount"], variant["CurrentWeight"].as_f64()),
        (&json!(3), Some(5.0)),
        "only the count is kept"
    );
    region.delete("e").await;
}

#[test]
fn a_model_of_two_gigabytes_is_never_in_memory() {
    let served = Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "serving_two_gigabytes", "--nocapture"])
        .env("FOOTPLATE_TEST_LARGE", "1")
        .output()
        .expect("starts");
    assert!(served.status.success(), "{}", String::from_utf8_lossy(&served.stdout));
}

const SIZE: u64 = 2 << 30;

/// Not a test of its own: it runs alone in its process, whose largest size is what is measured.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a part of a_model_of_two_gigabytes_is_never_in_memory"]
async fn serving_two_gigabytes() {
    if std::env::var_os("FOOTPLATE_TEST_LARGE").is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    let gzip = |bytes: &[u8]| {
        let mut member = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut member, bytes).expect("packs");
        member.finish().expect("packs")
    };
    let script = "import json, os\ndef model_fn(d): return os.path.getsize(os.path.join(d, 'weights.bin'))\ndef transform_fn(m, b, c, a): return json.dumps({'size': m}), a\n";
    let mut start = bare::header("code/inference.py", script.len() as u64).as_bytes().to_vec();
    start.extend(script.as_bytes());
    start.resize(start.len().next_multiple_of(512), 0);
    start.extend(bare::header("weights.bin", SIZE).as_bytes());
    // Members of gzip follow each other like the parts of one stream.
    let mut archive = gzip(&start);
    let zeros = gzip(&vec![0; 32 << 20]);
    for _ in 0..SIZE / (32 << 20) {
        archive.extend(&zeros);
    }
    archive.extend(gzip(&[0; 1024]));
    let described = region.deploy_archive("large", &archive).await;
    assert_eq!(described["EndpointStatus"], "InService", "{described:#}");
    assert_eq!(parsed(&region.ask("large", json!({})).await)["size"], SIZE);
    let status = std::fs::read_to_string("/proc/self/status").expect("reads");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("is there").trim().trim_end_matches(" kB");
    // Measured: 53 MB, of which 32 are the zeros above.
    assert!(peak.parse::<u64>().expect("a number") < 200 << 10, "the region took {peak} kB");
    region.delete("large").await;
}

/// Sends a signal by its name.
fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().expect("starts");
    assert!(sent.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_unknown_targets_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.deploy("limited", SCRIPT).await;
    let largest = region.invoke("limited", &[("content-type", "image/png")], vec![0; 6 << 20]).await;
    assert_eq!(parsed(&largest)["bytes"], 6 << 20);
    let larger = region.invoke("limited", &[("content-type", "image/png")], vec![0; (6 << 20) + 1]).await;
    assert_eq!((kind(&larger), &parsed(&larger)["message"]), ((413, ""), &json!("HTTP content length exceeded 6291456 bytes.")));
    let headers = [("content-type", "application/json"), ("x-amzn-sagemaker-target-variant", "Other")];
    let other = region.invoke("limited", &headers, "{}").await;
    assert_eq!(
        (kind(&other), &parsed(&other)["message"]),
        ((400, "ValidationError"), &json!("Variant Other not found for Request"))
    );
    assert_eq!(kind(&region.ask("LIMITED", json!({})).await), (400, "ValidationError"), "invocations match the case");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_outlives_its_configuration_its_model_and_the_region() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.deploy("lasting", SCRIPT).await;
    region.call("DeleteEndpointConfig", json!({"EndpointConfigName": "lasting"})).await.expect("is deleted");
    region.call("DeleteModel", json!({"ModelName": "lasting"})).await.expect("is deleted");
    let first = region.pid("lasting").await.expect("answers still");
    assert_eq!(region.describe("lasting").await.expect("is there")["EndpointConfigName"], "lasting");
    region.sagemaker.close().await;
    assert!(!alive(first), "nothing outlives the region");
    drop(region);

    let region = Region::open(folder.path(), options());
    let described = region.describe("lasting").await.expect("is there");
    assert!(["SystemUpdating", "InService"].contains(&described["EndpointStatus"].as_str().expect("a text")));
    assert_eq!(region.settled("lasting").await["EndpointStatus"], "InService");
    let second = region.pid("lasting").await.expect("answers again");
    assert_ne!(first, second);
    region.delete("lasting").await;
    region.sagemaker.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_replace_scale_and_roll_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.create_model("one", &model(SCRIPT, "one")).await;
    region.create_model("two", &model(SCRIPT, "two")).await;
    region.create_model("sick", &model("raise ValueError('ill')\n", "")).await;
    region.create_config("single", json!([variant("A", "one")])).await;
    region.create_config("pair", json!([variant("A", "one"), variant("B", "two")])).await;
    region.create_config("sick", json!([variant("A", "sick")])).await;
    region.create_endpoint("e", "single").await;
    region.settled("e").await;
    let first = region.pid("e").await.expect("answers");

    let update = |config: &str| json!({"EndpointName": "e", "EndpointConfigName": config});
    region.call("UpdateEndpoint", update("pair")).await.expect("is accepted");
    let during = region.call("UpdateEndpoint", update("single")).await.expect_err("is refused");
    assert!(during.message.starts_with("Cannot update in-progress endpoint \"arn:aws:sagemaker:"), "{}", during.message);
    assert!(region.pid("e").await.is_some(), "the old instances serve meanwhile");
    let described = region.settled("e").await;
    assert_eq!(
        (&described["EndpointConfigName"], described["ProductionVariants"].as_array().map(Vec::len)),
        (&json!("pair"), Some(2))
    );
    wait_for("the end of the old process", async || (!alive(first)).then_some(())).await;
    for (target, weights) in [("A", "one"), ("B", "two")] {
        let answer =
            region.invoke("e", &[("content-type", "application/json"), ("x-amzn-sagemaker-target-variant", target)], "{}").await;
        assert_eq!(
            (&parsed(&answer)["model"], &answer.headers()["x-amzn-invoked-production-variant"]),
            (&json!(weights), &HeaderValue::from_str(target).expect("is a header"))
        );
    }

    let scale = json!({"EndpointName": "e", "DesiredWeightsAndCapacities": [
        {"VariantName": "A", "DesiredWeight": 0}, {"VariantName": "B", "DesiredWeight": 1, "DesiredInstanceCount": 3}]});
    region.call("UpdateEndpointWeightsAndCapacities", scale).await.expect("is accepted");
    let described = region.settled("e").await;
    assert_eq!(described["ProductionVariants"][1]["CurrentInstanceCount"], 3);
    let mut served: BTreeMap<u32, u32> = BTreeMap::new();
    for _ in 0..12 {
        let answer = parsed(&region.ask("e", json!({})).await);
        assert_eq!(answer["model"], "two", "a variant without weight gets no traffic");
        *served.entry(pid_in(&answer).expect("a number")).or_default() += 1;
    }
    assert_eq!(served.values().copied().collect::<Vec<_>>(), [4, 4, 4], "instances take turns");

    region.call("UpdateEndpoint", update("sick")).await.expect("is accepted");
    let described = region.settled("e").await;
    assert_eq!((&described["EndpointStatus"], &described["EndpointConfigName"]), (&json!("InService"), &json!("pair")));
    assert!(described["FailureReason"].as_str().expect("a text").contains("did not pass the ping health check"));
    assert!(region.pid("e").await.is_some(), "the old instances serve on");
    let gone: Vec<u32> = served.into_keys().collect();
    region.delete("e").await;
    assert!(!gone.iter().any(|pid| alive(*pid)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_finished_before_its_server_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Arc::new(Region::open(folder.path(), options()));
    let slow = "import os, time\ndef model_fn(d): return d\ndef transform_fn(m, body, c, a):\n    print('busy', flush=True)\n    while not os.path.exists(body): time.sleep(0.01)\n    return 'done', 'text/plain'\n";
    region.deploy("slow", slow).await;
    region.create_model("fast", &model(SCRIPT, "fast")).await;
    region.create_config("fast", json!([variant("AllTraffic", "fast")])).await;
    let go = folder.path().join("go");
    let asked = tokio::spawn({
        let (region, body) = (Arc::clone(&region), go.display().to_string());
        async move { region.invoke("slow", &[("content-type", "application/json")], body).await }
    });
    region.logged("slow", "busy").await;
    region.call("UpdateEndpoint", json!({"EndpointName": "slow", "EndpointConfigName": "fast"})).await.expect("is accepted");
    region.settled("slow").await;
    assert!(region.pid("slow").await.is_some(), "the new model serves");
    std::fs::write(&go, "").expect("writes");
    let answer = asked.await.expect("ends");
    assert_eq!((kind(&answer).0, answer.body().as_ref()), (200, b"done".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn creations_are_checked_in_awss_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.create_model("there", &model(SCRIPT, "w")).await;
    region.create_config("there", json!([variant("AllTraffic", "there")])).await;
    let missing = model_request("missing");
    let mut image = model_request("there2");
    image["PrimaryContainer"]["Image"] = json!("NotAn:Image:1");
    image["PrimaryContainer"]["ModelDataUrl"] = json!("s3://b/there/model.tar.gz");
    let mut gpu = variant("AllTraffic", "there");
    gpu["InstanceType"] = json!("ml.p3.2xlarge");
    region.create_config("gpu", json!([gpu])).await;
    let mut wrong = variant("AllTraffic", "there");
    wrong["InstanceType"] = json!("ml.t2.tiny");
    for (operation, input, code, text) in [
        ("CreateModel", missing, "ValidationException", "Could not find model data at s3://b/missing/model.tar.gz."),
        (
            "CreateModel",
            model_request("there"),
            "ValidationException",
            "Cannot create already existing model \"arn:aws:sagemaker:us-east-1:000000000000:model/there\".",
        ),
        ("CreateModel", image, "ValidationException", "Invalid image NotAn:Image:1"),
        (
            "DescribeModel",
            json!({"ModelName": "no"}),
            "ValidationException",
            "Could not find model \"arn:aws:sagemaker:us-east-1:000000000000:model/no\".",
        ),
        ("DeleteModel", json!({"ModelName": "no"}), "ValidationException", "Could not find model \"arn"),
        (
            "CreateEndpointConfig",
            json!({"EndpointConfigName": "c", "ProductionVariants": [variant("A", "no")]}),
            "ValidationException",
            "Could not find model \"arn",
        ),
        (
            "CreateEndpointConfig",
            json!({"EndpointConfigName": "c", "ProductionVariants": [variant("A", "a_b")]}),
            "ValidationException",
            "1 validation error detected: Value 'a_b' at 'productionVariants.1.member.modelName' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
        ),
        (
            "CreateEndpointConfig",
            json!({"EndpointConfigName": "c", "ProductionVariants": [wrong]}),
            "ValidationException",
            "Value 'ml.t2.tiny' at 'productionVariants.1.member.instanceType' failed to satisfy constraint: Member must satisfy enum value set: [",
        ),
        (
            "CreateEndpointConfig",
            json!({"EndpointConfigName": "there", "ProductionVariants": [variant("A", "there")]}),
            "ValidationException",
            "Cannot create already existing endpoint configuration \"arn",
        ),
        (
            "CreateEndpoint",
            json!({"EndpointName": "e", "EndpointConfigName": "no"}),
            "ValidationException",
            "Could not find endpoint configuration \"arn",
        ),
        (
            "CreateEndpoint",
            json!({"EndpointName": "e", "EndpointConfigName": "gpu"}),
            "ResourceLimitExceeded",
            "The account-level service limit 'ml.p3.2xlarge for endpoint usage' is 0 Instances",
        ),
        (
            "DescribeEndpoint",
            json!({"EndpointName": "e"}),
            "ValidationException",
            "Could not find endpoint \"arn:aws:sagemaker:us-east-1:000000000000:endpoint/e\".",
        ),
        ("DeleteEndpoint", json!({"EndpointName": "e"}), "ValidationException", "Could not find endpoint \"arn"),
        (
            "ListTags",
            json!({"ResourceArn": "arn:aws:sagemaker:us-east-1:000000000000:endpoint/e"}),
            "ValidationException",
            "Could not find endpoint \"arn",
        ),
    ] {
        let fault = region.call(operation, input.clone()).await.expect_err("is refused");
        assert_eq!(fault.code, code, "{operation} {input}: {}", fault.message);
        assert!(fault.message.contains(text), "{operation}: {}", fault.message);
    }
}
