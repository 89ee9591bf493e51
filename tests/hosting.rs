//! The local region serves models for real: scripts answer invocations under the keeper, fail as on AWS, and come back.

#[path = "common/bare.rs"]
mod bare;

use std::collections::BTreeMap;
use std::sync::Arc;

use bare::{Region, alive, archive, options, wait_for};
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
        self.put(&format!("{name}/model.tar.gz"), archive);
        self.call("CreateModel", model_request(name)).await.expect("is created");
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
        self.create_model(name, archive).await;
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
    assert_eq!(std::fs::read_dir(folder.path().join("sagemaker/instances")).expect("a folder").count(), 0);
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
    assert_eq!(std::fs::read_dir(folder.path().join("sagemaker/instances")).expect("a folder").count(), 0);
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
async fn a_server_that_dies_is_started_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let region = Region::open(folder.path(), options());
    region.deploy("mortal", SCRIPT).await;
    let first = region.pid("mortal").await.expect("answers");
    let answer = region.ask("mortal", json!({"die": true})).await;
    assert_eq!(kind(&answer), (424, "ModelError"));
    assert_eq!(parsed(&answer)["OriginalStatusCode"], 0);
    let second = wait_for("the next server", async || region.pid("mortal").await).await;
    assert!(second != first && !alive(first));
    region.logged("mortal", "The model server ended with code 3. It is started again.").await;
    assert_eq!(region.describe("mortal").await.expect("is there")["EndpointStatus"], "InService");
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
