//! Endpoints as a user has them, on the real local region: deployed, asked, changed, taken down; and all that goes wrong.
#![allow(clippy::large_futures, reason = "the SDK's futures are large; a test has the room")]

#[path = "binary/mod.rs"]
mod binary;
#[path = "common/region.rs"]
mod region;

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use binary::{Home, Served};
use flate2::Compression;
use flate2::write::GzEncoder;
use footplate::aws::orphans::{self, Kind};
use footplate::aws::repack::{self, Code, How};
use footplate::aws::s3_uri::S3Uri;
use footplate::aws::script_mode::sourcedir;
use footplate::aws::with_order;
use footplate::model::{
    Block, Cell, EndpointRecipe, Failure, FailureKind, Form, ItemId, Outcome, Phase, Progress, Settled, Verb,
};
use region::{Place, bare, found, order_of, set};

const TRAIN: &str = "import os\n\
    with open(os.path.join(os.environ['SM_MODEL_DIR'], 'weights.txt'), 'w') as file:\n\
    \x20   file.write('heavy')\n\
    print('loss=0.5')\n";

/// Answers with scores; does as it is told.
const INFERENCE: &str = r#"
import json, os
from helper import scores

def model_fn(model_dir):
    print("loading", sorted(os.listdir(model_dir)))
    with open(os.path.join(model_dir, "weights.txt")) as file:
        return file.read()

def input_fn(body, content_type):
    if content_type != "application/json":
        raise ValueError("no idea what %s is" % content_type)
    return json.loads(body)

def predict_fn(data, model):
    if data.get("die"):
        os._exit(3)
    if data.get("raise"):
        raise RuntimeError("the model is tired")
    if data.get("raw"):
        return b"\xff\xfe\x00raw"
    return {"model": model, "probabilities": scores()}

def output_fn(prediction, accept):
    if isinstance(prediction, bytes):
        return prediction, "application/octet-stream"
    return json.dumps(prediction), "application/json"
"#;
const HELPER: &str = "def scores():\n    return [0.125, 0.75, 0.125]\n";

fn endpoint_recipe() -> EndpointRecipe {
    EndpointRecipe {
        instance_type: "ml.m5.large".into(),
        instance_count: 1,
        entry_point: "inference.py".into(),
        content_type: "application/json".into(),
        accept: "application/json".into(),
        classes: ["cat", "dog", "bird"].map(str::to_owned).to_vec(),
        smoke_test: Some("sample.json".into()),
        environment: vec![("MODE".into(), "fast".into())],
    }
}

/// A region, a project with an inference script, and a completed training job.
async fn place() -> (Place, String) {
    let mut place = Place::new(TRAIN).await;
    place.recipe.endpoint = Some(endpoint_recipe());
    write(&place, "code/inference.py", INFERENCE);
    write(&place, "code/helper.py", HELPER);
    write(&place, "sample.json", "{}");
    let job = place.launch_with(&[]).await;
    assert_eq!(place.ended(&job).await, "Completed");
    (place, job)
}

fn write(place: &Place, name: &str, text: impl AsRef<[u8]>) {
    fs::write(place.recipe.root.join(name), text).unwrap();
}

/// Fields of a form and what they become.
type Changes<'a> = &'a [(&'a str, &'a str)];

async fn deploy_form(place: &Place, job: &str, changes: &[(&str, &str)]) -> Form {
    set(place.form("training-jobs", Verb::Deploy, Some(job)).await, changes)
}

async fn deployed(place: &Place, job: &str, changes: &[(&str, &str)]) -> Result<Outcome, Failure> {
    place.run(&order_of(deploy_form(place, job, changes).await, &[job])).await
}

/// Deploys and returns the endpoint's name.
async fn up(place: &Place, job: &str, name: &str) -> String {
    match deployed(place, job, &[("name", name)]).await.unwrap() {
        Outcome::Made { id, .. } => id.0,
        other => panic!("nothing made: {}", other.said()),
    }
}

async fn ask(place: &Place, endpoint: &str, changes: &[(&str, &str)]) -> Result<Outcome, Failure> {
    let form = set(place.form("endpoints", Verb::Invoke, Some(endpoint)).await, changes);
    place.run(&order_of(form, &[endpoint])).await
}

async fn say(place: &Place, endpoint: &str, text: &str) -> Result<String, Failure> {
    match ask(place, endpoint, &[("body", ""), ("text", text)]).await? {
        Outcome::Answer { title, text } => Ok(format!("{title}\n{text}")),
        other => panic!("no answer: {}", other.said()),
    }
}

async fn delete(place: &Place, names: &[&str]) -> Outcome {
    place.run(&bare("endpoints", Verb::Delete, names)).await.unwrap()
}

/// Takes down what an order asks about afterwards; the lines of the question.
async fn sweep(place: &Place, outcome: Outcome) -> Vec<String> {
    let Outcome::Then { lines, order, .. } = outcome else { panic!("nothing left: {}", outcome.said()) };
    place.run(&order).await.unwrap();
    lines.iter().map(ToString::to_string).collect()
}

/// What `footplate orphans` looks at.
async fn orphans(place: &Place) -> Vec<(Kind, String)> {
    let bucket = "sagemaker-us-east-1-000000000000";
    let places = [S3Uri::new(bucket, "tiny/model/")];
    let found = orphans::find(&place.aws, &[bucket.to_owned()], &places).await.unwrap();
    found.into_iter().map(|orphan| (orphan.kind, orphan.name)).collect()
}

/// Calls in the journal that changed SageMaker, with what they were about.
fn journal(place: &Place) -> Vec<String> {
    let intents = place.witness.intents.lock().unwrap();
    intents.iter().filter(|intent| intent.service == "sagemaker").map(|intent| intent.operation.clone()).collect()
}

fn forget(place: &Place) {
    place.witness.intents.lock().unwrap().clear();
    place.witness.settled.lock().unwrap().clear();
}

fn facts(detail: &footplate::model::Detail) -> Vec<(String, String)> {
    let all = detail.blocks.iter().filter_map(|block| if let Block::Facts { facts, .. } = block { Some(facts) } else { None });
    let clock = footplate::model::show::Clock::default();
    all.flatten().map(|(name, cell)| (name.to_string(), cell.show(&clock).to_string())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_is_deployed_asked_and_taken_down_in_order() {
    let (place, job) = place().await;
    let form = deploy_form(&place, &job, &[("name", "digits")]).await;
    assert_eq!((form.resource.as_str(), form.verb, form.value("model")), ("endpoints", Verb::Deploy, job.as_str()));
    assert_eq!((form.value("framework_version"), form.value("py_version")), ("1.9", "py38"), "as it was trained");
    let shown = found("endpoints").preview(&place.aws, &place.recipe, &form).await.unwrap();
    assert!(shown.problems.is_empty(), "{:?}", shown.problems);
    for part in [
        "SAGEMAKER_PROGRAM",
        "/opt/ml/model/code",
        "pytorch-inference:1.9-cpu-py38",
        "AllTraffic",
        "\"EndpointName\": \"digits\"",
    ] {
        assert!(shown.request.as_str().contains(part), "{part}: {}", shown.request);
    }
    forget(&place);
    let Outcome::Made { id, said } = place.run(&order_of(form, &[&job])).await.unwrap() else { panic!("nothing made") };
    assert_eq!(id.as_str(), "digits");
    assert!(said.as_str().contains("in service") && said.as_str().contains("dog, 75.0 %"), "{said}");
    assert_eq!(journal(&place), ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]);

    // The requests are those of the Python SDK (aws.md 3.2), and our tags.
    let there = place.aws.sagemaker.describe_endpoint().endpoint_name("digits").send().await.unwrap();
    let config_name = there.endpoint_config_name().unwrap();
    let config = place.aws.sagemaker.describe_endpoint_config().endpoint_config_name(config_name).send().await.unwrap();
    let variant = &config.production_variants()[0];
    assert_eq!((variant.variant_name(), variant.initial_variant_weight()), (Some("AllTraffic"), Some(1.0)));
    let model_name = variant.model_name().unwrap();
    assert!(config_name.starts_with("digits-20") && model_name.starts_with("digits-20"));
    let model = place.aws.sagemaker.describe_model().model_name(model_name).send().await.unwrap();
    let container = model.primary_container().unwrap();
    let mut environment: Vec<_> = container.environment().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    environment.sort_unstable();
    assert_eq!(
        environment,
        [
            ("MODE", "fast"),
            ("SAGEMAKER_CONTAINER_LOG_LEVEL", "20"),
            ("SAGEMAKER_PROGRAM", "inference.py"),
            ("SAGEMAKER_REGION", "us-east-1"),
            ("SAGEMAKER_SUBMIT_DIRECTORY", "/opt/ml/model/code"),
        ]
    );
    let archive = container.model_data_url().unwrap().to_owned();
    assert!(archive.starts_with("s3://sagemaker-us-east-1-000000000000/tiny/model/"), "{archive}");

    let listed = place.list("endpoints", None).await;
    assert_eq!((listed.len(), listed[0].state.phase, listed[0].cells.len()), (1, Phase::Active, 8));
    assert_eq!(listed[0].cells[3], Cell::Text("ml.m5.large".into()));
    assert!(listed[0].per_hour.is_some_and(|rate| rate > 0.1));
    let answer = say(&place, "digits", "{}").await.unwrap();
    assert!(answer.starts_with("dog, 75.0 % · digits"), "{answer}");
    assert!(answer.contains("of the last 2: p50") && answer.contains("[0.125, 0.75, 0.125]"), "{answer}");
    let detail = found("endpoints").detail(&place.aws, &id).await.unwrap();
    let told = facts(&detail);
    for (name, part) in [
        ("configuration", config_name),
        ("model", model_name),
        ("archive", archive.as_str()),
        ("last call", "ms"),
        ("script", "inference.py"),
    ] {
        assert!(told.iter().any(|(known, value)| known == name && value.contains(part)), "{name} {part}: {told:?}");
    }
    let curves =
        detail.blocks.iter().find_map(|block| if let Block::Curves { series, .. } = block { Some(series) } else { None });
    let names: Vec<_> = curves.unwrap().iter().map(|series| series.name.to_string()).collect();
    assert!(names.contains(&"your calls, ms".to_owned()) && names.contains(&"calls".to_owned()), "{names:?}");

    // What was uploaded once is not uploaded again; and it is not swept away under the other endpoint.
    place.wire.forget();
    up(&place, &job, "twin").await;
    assert_eq!(place.wire.count("PUT /"), 0, "{:?}", place.wire.changes());
    let (model_name, config_name) = (model_name.to_owned(), config_name.to_owned());
    forget(&place);
    let outcome = delete(&place, &["digits"]).await;
    assert_eq!(journal(&place), ["DeleteEndpoint", "DeleteEndpointConfig", "DeleteModel"]);
    assert!(place.aws.sagemaker.describe_endpoint_config().endpoint_config_name(config_name).send().await.is_err());
    assert!(place.aws.sagemaker.describe_model().model_name(model_name).send().await.is_err());
    assert_eq!(sweep(&place, outcome).await, ["log group /aws/sagemaker/Endpoints/digits"]);
    let outcome = delete(&place, &["twin"]).await;
    let left = sweep(&place, outcome).await;
    assert_eq!(left, ["log group /aws/sagemaker/Endpoints/twin".to_owned(), archive]);
    assert_eq!(orphans(&place).await, []);
    assert!(place.list("endpoints", None).await.is_empty());
    let settled = place.witness.settled.lock().unwrap().clone();
    assert!(settled.iter().all(|end| *end == Settled::Done), "{settled:?}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_takes_another_model_type_and_count() {
    let (place, job) = place().await;
    up(&place, &job, "live").await;
    let form = place.form("endpoints", Verb::Update, Some("live")).await;
    assert_eq!((form.value("variant"), form.value("instance_count")), ("AllTraffic", "1"));
    let nothing = place.run(&order_of(form.clone(), &["live"])).await.unwrap_err();
    assert_eq!(nothing.kind, FailureKind::Invalid);
    forget(&place);
    let outcome = place.run(&order_of(set(form.clone(), &[("instance_count", "2")]), &["live"])).await.unwrap();
    assert_eq!(outcome.said().as_str(), "live runs on 2 instances");
    assert_eq!(journal(&place), ["UpdateEndpointWeightsAndCapacities"]);

    // Another script makes another model: a new configuration, and the old one is asked about.
    write(&place, "code/helper.py", "def scores():\n    return [0.0, 0.0, 1.0]\n");
    forget(&place);
    let form =
        set(place.form("endpoints", Verb::Update, Some("live")).await, &[("model", &job), ("instance_type", "ml.m5.xlarge")]);
    assert_eq!(form.value("instance_count"), "2", "as it runs, not as it was made");
    let shown = found("endpoints").preview(&place.aws, &place.recipe, &form).await.unwrap();
    assert!(shown.problems.is_empty() && shown.facts.iter().any(|(name, _)| name.as_str() == "how"), "{:?}", shown.problems);
    let outcome = place.run(&order_of(form, &["live"])).await.unwrap();
    assert!(outcome.said().as_str().contains("bird, 100.0 %"), "{}", outcome.said());
    assert_eq!(journal(&place), ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint", "AddTags"]);
    let left = sweep(&place, outcome).await;
    assert_eq!(left.len(), 3, "configuration, model, archive: {left:?}");
    let listed = place.list("endpoints", None).await;
    assert_eq!((&listed[0].cells[3], &listed[0].cells[4]), (&Cell::Text("ml.m5.xlarge".into()), &Cell::Count(2)));
    assert_eq!(orphans(&place).await, []);

    // A model that does not come up: the service goes back, and nothing of the attempt stays.
    write(&place, "code/helper.py", "raise ImportError('half written')\n");
    let form = set(place.form("endpoints", Verb::Update, Some("live")).await, &[("model", &job)]);
    let failure = place.run(&order_of(form, &["live"])).await.unwrap_err();
    assert!(failure.what.as_str().contains("serves as before"), "{failure}");
    assert!(say(&place, "live", "{}").await.unwrap().contains("bird"));
    assert_eq!(orphans(&place).await, []);
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_in_the_containers_own_words() {
    let (place, job) = place().await;
    // The model does not load: the endpoint fails, and says why.
    write(&place, "code/helper.py", "raise RuntimeError('no scores today')\n");
    let failure = deployed(&place, &job, &[("name", "broken")]).await.unwrap_err();
    let said = failure.what.as_str();
    assert!(said.contains("broken is Failed") && said.contains("RuntimeError: no scores today"), "{said}");
    let detail = found("endpoints").detail(&place.aws, &ItemId("broken".into())).await.unwrap();
    assert_eq!(detail.state.phase, Phase::Failed);
    assert_eq!(orphans(&place).await[0], (Kind::Endpoint, "broken".to_owned()));

    // It comes up and does not work: InService is not enough.
    write(&place, "code/helper.py", "def scores():\n    raise KeyError('scores')\n");
    let failure = deployed(&place, &job, &[("name", "lame")]).await.unwrap_err();
    let said = failure.what.as_str();
    assert!(said.contains("in service but does not work") && said.contains("KeyError: 'scores'"), "{said}");
    assert!(said.contains("Traceback") && failure.hint.as_str().contains("footplate logs endpoints lame"), "{failure}");

    write(&place, "code/helper.py", HELPER);
    up(&place, &job, "fine").await;
    // predict_fn and input_fn raise; the content type is wrong; the body is too large.
    let failure = say(&place, "fine", r#"{"raise": 1}"#).await.unwrap_err();
    assert!(failure.what.as_str().contains("RuntimeError: the model is tired"), "{failure}");
    let failure = ask(&place, "fine", &[("content_type", "image/png")]).await.unwrap_err();
    assert!(failure.what.as_str().contains("ValueError: no idea what image/png is"), "{failure}");
    fs::File::create(place.recipe.root.join("big.bin")).unwrap().set_len(6_291_457).unwrap();
    place.wire.forget();
    let failure = ask(&place, "fine", &[("body", "big.bin")]).await.unwrap_err();
    assert!(failure.what.as_str().contains("6291456") && place.wire.count("POST /endpoints") == 0, "{failure}");
    let failure = ask(&place, "nowhere", &[]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::NotFound, "{failure}");
    // Bytes that are no text are shown as hex, and saved as they came.
    let form = [("body", ""), ("text", r#"{"raw": 1}"#), ("save_to", "answer.bin")];
    let Outcome::Answer { text, .. } = ask(&place, "fine", &form).await.unwrap() else { panic!("no answer") };
    assert!(text.as_str().contains("ff fe 00 72 61 77"), "{text}");
    assert_eq!(fs::read(place.recipe.root.join("answer.bin")).unwrap(), b"\xff\xfe\x00raw");
    // The process dies after InService: that call fails with a reason, and a later one is answered by its successor.
    let failure = say(&place, "fine", r#"{"die": 1}"#).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Service, "{failure}");
    let deadline = Instant::now() + Duration::from_mins(1);
    while say(&place, "fine", "{}").await.is_err() {
        assert!(Instant::now() < deadline, "no successor");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for name in ["broken", "lame", "fine"] {
        let outcome = delete(&place, &[name]).await;
        sweep(&place, outcome).await;
    }
    assert_eq!(orphans(&place).await, []);
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_works_without_its_configuration_and_can_be_repeated() {
    let (place, job) = place().await;
    up(&place, &job, "bare").await;
    let there = place.aws.sagemaker.describe_endpoint().endpoint_name("bare").send().await.unwrap();
    let config = there.endpoint_config_name().unwrap().to_owned();
    let gone = async { place.aws.sagemaker.delete_endpoint_config().endpoint_config_name(&config).send().await.map(drop) };
    with_order("by-hand".into(), gone).await.unwrap();
    let detail = found("endpoints").detail(&place.aws, &ItemId("bare".into())).await.unwrap();
    assert!(
        matches!(&detail.blocks[0], Block::Text { title, .. } if title.as_str() == "configuration deleted"),
        "{:?}",
        detail.blocks
    );
    assert!(say(&place, "bare", "{}").await.is_ok(), "it still answers");
    let form = found("endpoints").form(&place.aws, &place.recipe, Verb::Update, Some(&ItemId("bare".into()))).await;
    assert_eq!(form.unwrap_err().kind, FailureKind::Conflict);
    let outcome = delete(&place, &["bare"]).await;
    sweep(&place, outcome).await;
    assert_eq!(orphans(&place).await, []);

    // A crash after the first step: the endpoint is gone, the rest is found by what was noted.
    up(&place, &job, "crashed").await;
    let gone = async { place.aws.sagemaker.delete_endpoint().endpoint_name("crashed").send().await.map(drop) };
    with_order("crash".into(), gone).await.unwrap();
    let id = ItemId("crashed".into());
    let deadline = Instant::now() + Duration::from_mins(1);
    let remains = loop {
        let detail = found("endpoints").detail(&place.aws, &id).await.unwrap();
        if detail.state.phase == Phase::Stopped {
            break detail;
        }
        assert!(Instant::now() < deadline, "it does not go");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(facts(&remains).len(), 2, "{:?}", facts(&remains));
    let left = orphans(&place).await;
    assert_eq!(left.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [Kind::Config, Kind::Model]);
    let outcome = delete(&place, &["crashed"]).await;
    assert!(outcome.said().as_str().contains("what was left of crashed"), "{}", outcome.said());
    sweep(&place, outcome).await;
    assert_eq!(orphans(&place).await, []);
    let again = place.run(&bare("endpoints", Verb::Delete, &["crashed"])).await.unwrap_err();
    assert_eq!(again.kind, FailureKind::NotFound);

    // What another endpoint uses is kept, and said.
    up(&place, &job, "one").await;
    let there = place.aws.sagemaker.describe_endpoint().endpoint_name("one").send().await.unwrap();
    let config = there.endpoint_config_name().unwrap();
    let shared =
        async { place.aws.sagemaker.create_endpoint().endpoint_name("two").endpoint_config_name(config).send().await.map(drop) };
    with_order("by-hand".into(), shared).await.unwrap();
    let outcome = delete(&place, &["one"]).await;
    assert!(outcome.said().as_str().contains("which two has, too"), "{}", outcome.said());
    // The last one takes all, though it is still coming up.
    let outcome = delete(&place, &["two"]).await;
    sweep(&place, outcome).await;
    assert_eq!(orphans(&place).await, []);
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_called_off_in_the_middle_is_found_and_taken_away() {
    let (place, job) = place().await;
    let order = order_of(deploy_form(&place, &job, &[("name", "half")]).await, &[&job]);
    let (reached, has_reached) = tokio::sync::oneshot::channel();
    let reached = std::sync::Mutex::new(Some(reached));
    let progress = |progress: Progress| {
        if progress.said.as_str() == "creating the endpoint"
            && let Some(reached) = reached.lock().unwrap().take()
        {
            let _ = reached.send(());
        }
    };
    // The region does not answer CreateEndpoint any more: as a program that is killed there would leave it.
    place.wire.lose("CreateEndpoint");
    tokio::select! {
        ended = with_order("half".into(), found("endpoints").run(&place.aws, &place.recipe, &order, &progress)) => panic!("{ended:?}"),
        () = async { has_reached.await.unwrap(); place.wire.lost("CreateEndpoint").await } => {}
    }
    place.wire.lose("");
    assert_eq!(place.witness.settled.lock().unwrap().iter().filter(|end| matches!(end, Settled::Unknown(_))).count(), 1);
    let left = orphans(&place).await;
    assert_eq!(left.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), [Kind::Config, Kind::Model], "{left:?}");
    let bucket = "sagemaker-us-east-1-000000000000";
    for _ in 0..2 {
        let found = orphans::find(&place.aws, &[], &[S3Uri::new(bucket, "tiny/model/")]).await.unwrap();
        for orphan in &found {
            with_order("sweep".into(), orphans::remove(&place.aws, orphan)).await.unwrap();
            // Again does no harm.
            with_order("sweep".into(), orphans::remove(&place.aws, orphan)).await.unwrap();
        }
    }
    assert_eq!(orphans(&place).await, [], "the archive is free when its model is gone");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deployed_is_refused_and_leaves_nothing() {
    let (place, job) = place().await;
    let bucket = "sagemaker-us-east-1-000000000000";
    let put = async |name: &str, bytes: Vec<u8>| {
        let sent = async { place.aws.s3.put_object().bucket(bucket).key(name).body(bytes.into()).send().await.map(drop) };
        with_order("by-hand".into(), sent).await.unwrap();
        format!("s3://{bucket}/{name}")
    };
    let evil = put("evil.tar.gz", archive(&[("../../evil", "x")])).await;
    let zip = put("model.zip", b"PK\x03\x04".to_vec()).await;
    let table: [(&str, Changes<'_>, &str); 7] = [
        ("archive that leads out", &[("model", &evil)], "would leave it: '../../evil'"),
        ("no archive", &[("model", &zip)], "not a model.tar.gz"),
        ("no such object", &[("model", "s3://sagemaker-us-east-1-000000000000/none.tar.gz")], "no model at"),
        ("no such job", &[("model", "never-trained")], "no training job 'never-trained'"),
        ("no script", &[("entry_point", "predict.py")], "no script 'predict.py'"),
        ("quota", &[("instance_type", "ml.p3.2xlarge")], "quota 'ml.p3.2xlarge for endpoint usage' is 0"),
        ("unknown type", &[("instance_type", "ml.t2.medum")], "did you mean ml.t2.medium?"),
    ];
    for (what, changes, part) in table {
        let failure = deployed(&place, &job, changes).await.unwrap_err();
        assert!(failure.to_string().contains(part), "{what}: {failure}");
        assert_eq!(orphans(&place).await, [], "{what}");
    }
    let running = place.launch_with(&[]).await;
    let early = found("training-jobs").form(&place.aws, &place.recipe, Verb::Deploy, Some(&ItemId(running.clone()))).await;
    let early = early.map(|form| form.title);
    place.ended(&running).await;
    assert!(early.as_ref().is_err_and(|failure| failure.what.as_str().contains("has not ended yet")), "{early:?}");
    up(&place, &job, "taken").await;
    let failure = deployed(&place, &job, &[("name", "taken")]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Conflict);

    // Without a target: the newest completed job; and several variants share the calls.
    let form = place.form("endpoints", Verb::Launch, None).await;
    assert_eq!(form.value("model"), running);
    let there = place.aws.sagemaker.list_models().send().await.unwrap();
    let model = there.models()[0].model_name().unwrap();
    let form = set(form, &[("name", "split"), ("variants", &format!("old = {model}, 0.25"))]);
    let outcome = place.run(&order_of(form, &[])).await.unwrap();
    assert!(outcome.said().as_str().contains("in service"));
    let detail = found("endpoints").detail(&place.aws, &ItemId("split".into())).await.unwrap();
    let told = facts(&detail);
    for (name, value) in [("AllTraffic", "1 × ml.m5.large · weight 1"), ("old", "1 × ml.m5.large · weight 0.25")] {
        assert!(told.contains(&(name.to_owned(), value.to_owned())), "{name}: {told:?}");
    }
    let outcome = delete(&place, &["taken", "split"]).await;
    assert!(outcome.said().as_str().starts_with("deleted 2 endpoints, 2 configurations, 2 models"), "{}", outcome.said());
    sweep(&place, outcome).await;
    assert_eq!(orphans(&place).await, []);
    place.region.close().await;
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        // Written raw: the builder itself refuses names that lead out.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// The most memory that this process has held, in MB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1000
}

/// Two gigabytes that compress well, and a part that does not, so that the upload goes in parts.
fn huge() -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut add = |name: &str, size: u64, content: &mut dyn std::io::Read| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content).unwrap();
    };
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    })
    .take(20 << 20)
    .collect();
    add("noise.bin", noise.len() as u64, &mut noise.as_slice());
    add("weights.bin", 2 << 30, &mut std::io::Read::take(std::io::repeat(0), 2 << 30));
    let mut gz = archive.into_inner().unwrap();
    gz.flush().unwrap();
    gz.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gigabytes_go_through_a_little_memory() {
    let place = Place::new(TRAIN).await;
    write(&place, "code/inference.py", INFERENCE);
    let at = S3Uri::new("models", "big/model.tar.gz");
    let huge = huge();
    let size = huge.len();
    let sent = async {
        place.aws.s3.create_bucket().bucket("models").send().await.unwrap();
        place.aws.s3.put_object().bucket("models").key(&at.key).body(huge.into()).send().await.map(drop)
    };
    with_order("by-hand".into(), sent).await.unwrap();
    let package = sourcedir::pack(&place.recipe.root.join("code"), "inference.py").unwrap();
    let code = std::sync::Arc::new(Code::of(&package).unwrap());
    let source = repack::source(&place.aws, &at).await.unwrap();
    let folder = S3Uri::new("models", "tiny/model/");
    let seen = std::sync::Mutex::new(0);
    let progress = |progress: Progress| {
        assert!(progress.done >= *seen.lock().unwrap() && progress.total == size as u64);
        *seen.lock().unwrap() = progress.done;
    };
    let before = peak();
    let packed = with_order("o".into(), repack::repack(&place.aws, &source, &code, &folder, &progress)).await.unwrap();
    let grown = peak() - before;
    assert_eq!(packed.how, How::Made);
    assert!(place.wire.count(&format!("PUT /models/{}?partNumber", packed.at.key)) == 0);
    assert!(place.wire.asked.lock().unwrap().iter().filter(|asked| asked.contains("partNumber=")).count() >= 3);
    assert!(grown < 250, "{grown} MB for an archive of 2 GB");
    assert_eq!(*seen.lock().unwrap(), size as u64);

    // The same again is found; an archive that holds the code already is taken as it is, and nothing stays of the attempt.
    place.wire.forget();
    let again = with_order("o".into(), repack::repack(&place.aws, &source, &code, &folder, &progress)).await.unwrap();
    assert_eq!((again.how, &again.at), (How::Found, &packed.at));
    let source = repack::source(&place.aws, &packed.at).await.unwrap();
    let same = with_order("o".into(), repack::repack(&place.aws, &source, &code, &folder, &|_| {})).await.unwrap();
    assert_eq!((same.how, &same.at), (How::AsItWas, &packed.at));
    let found = orphans::find(&place.aws, &["models".to_owned()], &[]).await.unwrap();
    assert_eq!(found, []);
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_called_off_leaves_no_parts() {
    let place = Place::new(TRAIN).await;
    write(&place, "code/inference.py", INFERENCE);
    let at = S3Uri::new("models", "big/model.tar.gz");
    // Cut in its second half: parts are on their way when it shows.
    let mut cut = huge();
    cut.truncate(21 << 20);
    let sent = async {
        place.aws.s3.create_bucket().bucket("models").send().await.unwrap();
        place.aws.s3.put_object().bucket("models").key(&at.key).body(cut.into()).send().await.map(drop)
    };
    with_order("by-hand".into(), sent).await.unwrap();
    let package = sourcedir::pack(&place.recipe.root.join("code"), "inference.py").unwrap();
    let code = std::sync::Arc::new(Code::of(&package).unwrap());
    let source = repack::source(&place.aws, &at).await.unwrap();
    let folder = S3Uri::new("models", "tiny/model/");
    let failure = with_order("o".into(), repack::repack(&place.aws, &source, &code, &folder, &|_| {})).await.unwrap_err();
    assert!(failure.what.as_str().contains("not a model.tar.gz that can be read"), "{failure}");
    assert_eq!(orphans::find(&place.aws, &["models".to_owned()], std::slice::from_ref(&folder)).await.unwrap(), []);
    // Dropped in the middle.
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let begun = std::sync::Mutex::new(Some(begun));
    let progress = |progress: Progress| {
        if progress.done > 16 << 20
            && let Some(begun) = begun.lock().unwrap().take()
        {
            let _ = begun.send(());
        }
    };
    tokio::select! {
        _ = with_order("o".into(), repack::repack(&place.aws, &source, &code, &folder, &progress)) => {}
        _ = has_begun => {}
    }
    let deadline = Instant::now() + Duration::from_mins(1);
    while !orphans::find(&place.aws, &["models".to_owned()], std::slice::from_ref(&folder)).await.unwrap().is_empty() {
        assert!(Instant::now() < deadline, "parts stay behind");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    place.region.close().await;
}

/// A project with an endpoint part in a home of its own.
fn home() -> Home {
    let home = Home::new();
    home.project("open(os.path.join(os.environ['SM_MODEL_DIR'], 'weights.txt'), 'w').write('heavy'); print('loss=0.5')");
    home.write("code/inference.py", INFERENCE);
    home.write("code/helper.py", HELPER);
    home.write("sample.json", "{}");
    let project = fs::read_to_string(home.path("footplate.toml")).unwrap();
    let endpoint = "\n[endpoint]\nsmoke_test = \"sample.json\"\nclasses = [\"cat\", \"dog\", \"bird\"]\n";
    home.write("footplate.toml", format!("{project}{endpoint}"));
    home
}

#[test]
fn the_command_line_deploys_asks_and_clears_up() {
    let home = home();
    home.run(&["--local", "deploy", "--wait"]).expect(3, &["footplate local serve"]);
    home.run(&["--local", "orphans"]).expect(0, &["nothing left behind"]);
    let (region, _) = Served::start(&home, &["local", "serve"]);
    home.run(&["--local", "deploy", "--wait"]).expect(2, &["model: a model is needed"]);
    home.run(&["--local", "train", "--wait"]).expect(0, &[]);
    let dry = home.run(&["--local", "deploy", "--dry-run", "--json", "--name", "shop"]);
    dry.expect(0, &[]);
    let told: serde_json::Value = serde_json::from_str(&dry.out).unwrap();
    assert!(told["usd_per_hour"].as_f64().is_some_and(|dollars| dollars > 0.0) && told["quota"]["needs"] == 1, "{told}");
    let requests = &told["request"];
    assert_eq!(requests["CreateEndpoint"]["EndpointName"], "shop");
    assert_eq!(requests["CreateModel"]["PrimaryContainer"]["Environment"]["SAGEMAKER_PROGRAM"], "inference.py");
    home.run(&["--local", "ls", "endpoints", "--json"]).expect(0, &["[]"]);

    home.run(&["--local", "deploy", "--wait", "--name", "shop"]).expect(0, &["shop\n", "in service", "dog, 75.0 %"]);
    home.run(&["--local", "deploy", "--name", "shop"]).expect(2, &["there is an endpoint shop already"]);
    home.run(&["--local", "ls", "endpoints"]).expect(0, &["shop", "InService", "ml.m5.large"]);
    home.run(&["--local", "show", "endpoints", "shop"]).expect(0, &["configuration", "inference.py", "1 × ml.m5.large"]);
    home.run(&["--local", "invoke", "shop", "--body", "sample.json"]).expect(0, &["dog, 75.0 %", "\"model\": \"heavy\""]);
    let told = home.run(&["--local", "invoke", "shop", "--body", "sample.json", "--json"]);
    told.expect(0, &[]);
    let told: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&told["class"], &told["answer"]["probabilities"][1]), (&"dog".into(), &0.75.into()));
    // Standard input, another folder, and what the model says when it fails.
    home.write("elsewhere/raise.json", "{\"raise\": 1}");
    let piped = fs::File::open(home.path("elsewhere/raise.json")).unwrap();
    let failed = binary::finish(home.command(&["--local", "invoke", "shop", "--body", "-"]).stdin(piped));
    failed.expect(1, &["RuntimeError: the model is tired", "footplate --local logs endpoints shop"]);
    let project = home.root().to_str().unwrap().to_owned();
    let mut command = home.command(&["--local", "--project", &project, "invoke", "shop", "--body", "raise.json"]);
    binary::finish(command.current_dir(home.path("elsewhere"))).expect(1, &["the model is tired"]);
    home.run(&["--local", "invoke", "shop", "--body", "nowhere.json"]).expect(2, &["nowhere.json"]);
    home.run(&["--local", "logs", "endpoints", "shop"]).expect(0, &["loading ['code', 'weights.txt']"]);

    home.run(&["--local", "delete", "endpoints", "shop"]).expect(3, &["--yes"]);
    let kept = home.run(&["--local", "delete", "endpoints", "shop", "--yes"]);
    kept.expect(0, &["deleted shop, 1 configuration, 1 model", "left: s3://", "left: log group", "--leftovers"]);
    home.run(&["--local", "delete", "endpoints", "shop", "--yes"]).expect(1, &["ould not find endpoint"]);
    home.run(&["--local", "orphans", "--json"]).expect(0, &["\"kind\": \"artefact\""]);
    home.run(&["--local", "orphans", "--delete"]).expect(3, &["--yes"]);
    home.run(&["--local", "orphans", "--delete", "--yes"]).expect(0, &["deleted artefact"]);
    home.run(&["--local", "orphans", "--json"]).expect(0, &["[]"]);
    assert_eq!(region.end("-TERM"), 0);
    home.nothing_runs();
}

#[test]
fn an_interrupted_deployment_is_found_and_a_served_region_brings_endpoints_back() {
    let home = home();
    let (region, _) = Served::start(&home, &["local", "serve"]);
    home.run(&["--local", "train", "--wait"]).expect(0, &[]);
    home.run(&["--local", "deploy", "--wait", "--name", "stays"]).expect(0, &["in service"]);
    assert_eq!(region.end("-KILL"), -1);
    // A command that holds the region by itself starts the endpoint again, asks it, and ends it.
    home.run(&["--local", "invoke", "stays", "--body", "sample.json"]).expect(0, &["dog, 75.0 %"]);
    home.nothing_runs();
    let (region, _) = Served::start(&home, &["local", "serve"]);
    home.run(&["--local", "delete", "endpoints", "stays", "--yes", "--leftovers", "--json"]).expect(0, &["\"left\": []"]);
    home.run(&["--local", "orphans"]).expect(0, &["nothing left behind"]);
    assert_eq!(region.end("-TERM"), 0);
    home.nothing_runs();
}
