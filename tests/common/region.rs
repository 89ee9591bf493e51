//! A local region in this process with footplate's own clients on it, a witness at the wire and one at the journal.
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use footplate::aws::{Aws, Connect, LocalAccess, Mode, with_order};
use footplate::journal::Journal;
use footplate::local::sagemaker::EngineOptions;
use footplate::local::{Body, Ec2Options, LocalRegion, Options};
use footplate::model::{
    Channel, EndpointRecipe, Failure, Form, Intent, Item, ItemId, Ledger, MetricRule, Order, Outcome, Page, Recipe, Scalar,
    Settled, Verb,
};
use footplate::resource::{self, Resource};
use http_body_util::BodyExt as _;

/// What went over the wire: `CreateTrainingJob`, `PUT /bucket/key?partNumber=1`.
#[derive(Clone)]
pub struct Wire {
    region: Arc<LocalRegion>,
    pub asked: Arc<Mutex<Vec<String>>>,
    /// The operation that is never answered.
    losing: Arc<Mutex<String>>,
    /// The operation that is done, but never answered.
    muting: Arc<Mutex<String>>,
}

impl Wire {
    pub fn count(&self, start: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.starts_with(start)).count()
    }

    /// Requests that change something.
    pub fn changes(&self) -> Vec<String> {
        let changing = |asked: &&String| {
            ["Create", "Stop", "Start", "Run", "Reboot", "Terminate", "Modify", "Authorize", "PUT /", "DELETE /", "POST /"]
                .iter()
                .any(|start| asked.starts_with(start))
                && *asked != "POST /"
        };
        self.asked.lock().unwrap().iter().filter(changing).cloned().collect()
    }

    pub fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }

    /// From now on that operation is never answered; none when it is empty.
    pub fn lose(&self, operation: &str) {
        operation.clone_into(&mut self.losing.lock().unwrap());
    }

    /// From now on that operation is done, but its answer never comes; none when it is empty.
    pub fn mute(&self, operation: &str) {
        operation.clone_into(&mut self.muting.lock().unwrap());
    }

    /// Waits until such a request has been sent.
    pub async fn lost(&self, operation: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !self.asked.lock().unwrap().iter().any(|asked| asked == operation) {
            assert!(Instant::now() < deadline, "{operation} is never sent");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move {
            // EC2's requests are forms.
            let form = request.body().bytes().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
            let action = form.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned);
            let mut request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
            let operation = match request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()) {
                Some(name) => name.rsplit('.').next().unwrap_or_default().to_owned(),
                None => action.unwrap_or_else(|| format!("{} {target}", request.method())),
            };
            let muted = {
                let muting = wire.muting.lock().unwrap();
                !muting.is_empty() && operation == *muting
            };
            let lost = {
                let losing = wire.losing.lock().unwrap();
                !losing.is_empty() && operation == *losing
            };
            wire.asked.lock().unwrap().push(operation);
            if lost {
                std::future::pending::<()>().await;
            }
            request.headers_mut().insert("host", "127.0.0.1".parse().unwrap());
            *request.uri_mut() = target.parse().unwrap();
            let answer = wire.region.handle(request.map(Body::new)).await;
            if muted {
                std::future::pending::<()>().await;
            }
            let (head, body) = answer.into_parts();
            let bytes = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
            let answer = http::Response::from_parts(head, SdkBody::from(bytes));
            HttpResponse::try_from(answer).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// The journal, and what was written to it.
pub struct Witness {
    journal: Journal,
    pub intents: Mutex<Vec<Intent>>,
    pub settled: Mutex<Vec<Settled>>,
}

impl Ledger for Witness {
    fn intend(&self, intent: &Intent) -> Result<i64, Failure> {
        self.intents.lock().unwrap().push(intent.clone());
        self.journal.intend(intent)
    }

    fn settle(&self, number: i64, settled: &Settled) {
        self.settled.lock().unwrap().push(settled.clone());
        self.journal.settle(number, settled);
    }
}

pub struct Place {
    pub folder: tempfile::TempDir,
    pub region: Arc<LocalRegion>,
    pub wire: Wire,
    pub witness: Arc<Witness>,
    pub aws: Arc<Aws>,
    pub recipe: Recipe,
}

impl Place {
    /// A region and a project whose script is `python`.
    pub async fn new(python: &str) -> Self {
        Self::rehearsing(python, Ec2Options::default()).await
    }

    /// With more of EC2 to rehearse.
    pub async fn rehearsing(python: &str, ec2: Ec2Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path().join("project");
        std::fs::create_dir_all(project.join("code")).unwrap();
        std::fs::create_dir_all(project.join("data")).unwrap();
        std::fs::write(project.join("code/train.py"), python).unwrap();
        std::fs::write(project.join("data/a.csv"), "1,2\n").unwrap();
        let engine = EngineOptions {
            keeper: PathBuf::from(env!("CARGO_BIN_EXE_footplate")),
            python: PathBuf::from("python3"),
            speed: 20.0,
            memory_bytes: None,
            disk_bytes: None,
            seconds: None,
        };
        let options = Options { folder: folder.path().join("local"), region: "us-east-1".to_owned(), engine };
        let region = LocalRegion::open_with(options, ec2).await.unwrap();
        let wire = Wire { region: Arc::clone(&region), asked: Arc::default(), losing: Arc::default(), muting: Arc::default() };
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let witness = Arc::new(Witness { journal, intents: Mutex::default(), settled: Mutex::default() });
        let ledger: Arc<dyn Ledger> = Arc::clone(&witness) as _;
        let aws = connect(&wire, false, Some(ledger), &folder.path().join("host-keys.json")).await;
        Self { recipe: recipe(&project), folder, region, wire, witness, aws }
    }

    /// The region's SageMaker through a client without a guard, for what footplate itself never makes.
    pub fn maker(&self) -> aws_sdk_sagemaker::Client {
        let connector = SharedHttpConnector::new(self.wire.clone());
        let keys = self.region.credentials();
        let credentials =
            aws_credential_types::Credentials::new(&keys.access_key_id, &keys.secret_access_key, None, None, "test");
        let config = aws_sdk_sagemaker::Config::builder()
            .behavior_version(aws_sdk_sagemaker::config::BehaviorVersion::latest())
            .region(aws_sdk_sagemaker::config::Region::new("us-east-1"))
            .credentials_provider(credentials)
            .http_client(http_client_fn(move |_, _| connector.clone()))
            .endpoint_url("http://127.0.0.1");
        aws_sdk_sagemaker::Client::from_conf(config.build())
    }

    /// A notebook instance in that status.
    pub async fn notebook(&self, name: &str, wanted: &str) {
        let maker = self.maker();
        let told = maker.describe_notebook_instance().notebook_instance_name(name).send().await;
        if told.is_err() {
            let role = "arn:aws:iam::000000000000:role/footplate-local-execution-role";
            let call = maker.create_notebook_instance().notebook_instance_name(name).role_arn(role);
            call.instance_type(aws_sdk_sagemaker::types::InstanceType::MlT3Medium).send().await.unwrap();
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut turned = false;
        loop {
            let told = maker.describe_notebook_instance().notebook_instance_name(name).send().await.unwrap();
            let status = told.notebook_instance_status().unwrap().as_str();
            match status {
                _ if status == wanted => return,
                "InService" if !turned => {
                    turned = true;
                    maker.stop_notebook_instance().notebook_instance_name(name).send().await.unwrap();
                }
                "Stopped" if !turned => {
                    turned = true;
                    maker.start_notebook_instance().notebook_instance_name(name).send().await.unwrap();
                }
                _ => {}
            }
            assert!(Instant::now() < deadline, "{name} is still {status}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the instance is in that state.
    pub async fn instance(&self, id: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            let rows = self.list("instances", None).await;
            let state = rows.iter().find(|row| row.id.0 == id).map(|row| row.state.word.to_string());
            if state.as_deref() == Some(wanted) {
                return;
            }
            assert!(Instant::now() < deadline, "{id} is {state:?}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The project with a script that answers and a file to ask it with.
    pub fn serving(mut self) -> Self {
        let script = "def model_fn(model_dir):\n    return None\n\ndef predict_fn(data, model):\n    return data\n";
        std::fs::write(self.recipe.root.join("code/inference.py"), script).unwrap();
        std::fs::write(self.recipe.root.join("sample.json"), "[0.25, 0.75]").unwrap();
        self.recipe.endpoint = Some(EndpointRecipe {
            instance_type: "ml.m5.large".into(),
            instance_count: 1,
            entry_point: "inference.py".into(),
            content_type: "application/json".into(),
            accept: "application/json".into(),
            classes: Vec::new(),
            smoke_test: Some("sample.json".into()),
            environment: Vec::new(),
        });
        self
    }

    /// The same region through clients with other rights.
    pub async fn with(&self, read_only: bool, ledger: bool) -> Arc<Aws> {
        let ledger: Option<Arc<dyn Ledger>> = ledger.then(|| Arc::clone(&self.witness) as _);
        connect(&self.wire, read_only, ledger, &self.folder.path().join("host-keys.json")).await
    }

    pub async fn form(&self, resource: &str, verb: Verb, target: Option<&str>) -> Form {
        let target = target.map(|id| ItemId(id.to_owned()));
        found(resource).form(&self.aws, &self.recipe, verb, target.as_ref()).await.unwrap()
    }

    pub async fn run(&self, order: &Order) -> Result<Outcome, Failure> {
        let resource = found(&order.resource);
        with_order("order-1".to_owned(), resource.run(&self.aws, &self.recipe, order, &|_| {})).await
    }

    /// Launches or clones by the form and returns the job's name.
    pub async fn launch(&self, form: Form) -> String {
        match self.run(&order_of(form, &[])).await.unwrap() {
            Outcome::Made { id, .. } => id.0,
            other => panic!("nothing made: {}", other.said()),
        }
    }

    /// Launches the project with changes to the form.
    pub async fn launch_with(&self, changes: &[(&str, &str)]) -> String {
        self.launch(set(self.form("training-jobs", Verb::Launch, None).await, changes)).await
    }

    pub async fn list(&self, resource: &str, scope: Option<&str>) -> Vec<Item> {
        let scope = scope.map(|id| ItemId(id.to_owned()));
        let seen: Mutex<Vec<Item>> = Mutex::default();
        let page = |page: Page| {
            let mut seen = seen.lock().unwrap();
            if page.whole {
                seen.clear();
            }
            for item in page.items {
                seen.retain(|known| known.id != item.id);
                seen.push(item);
            }
        };
        found(resource).list(&self.aws, scope.as_ref(), &page).await.unwrap();
        seen.into_inner().unwrap()
    }

    /// The job's status, once `wanted` holds for it.
    pub async fn until(&self, job: &str, wanted: impl Fn(&str, &str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            let told = self.aws.sagemaker.describe_training_job().training_job_name(job).send().await.unwrap();
            let (status, secondary) = (told.training_job_status().unwrap().as_str(), told.secondary_status().unwrap().as_str());
            if wanted(status, secondary) {
                return status.to_owned();
            }
            assert!(Instant::now() < deadline, "{job} is still {status}/{secondary}: {:?}", told.failure_reason());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn ended(&self, job: &str) -> String {
        self.until(job, |status, _| ["Completed", "Failed", "Stopped"].contains(&status)).await
    }
}

async fn connect(wire: &Wire, read_only: bool, ledger: Option<Arc<dyn Ledger>>, pins: &Path) -> Arc<Aws> {
    let connector = SharedHttpConnector::new(wire.clone());
    let http: SharedHttpClient = http_client_fn(move |_, _| connector.clone());
    let keys = wire.region.credentials();
    let local = LocalAccess {
        http,
        endpoint: "http://127.0.0.1".to_owned(),
        access_key_id: keys.access_key_id.clone(),
        secret_access_key: keys.secret_access_key.clone(),
        region: "us-east-1".to_owned(),
    };
    let connect = Connect {
        mode: Mode::Local,
        profile: None,
        region: None,
        read_only,
        ledger,
        local: Some(local),
        allow_loopback: false,
        pins: Some(pins.to_owned()),
    };
    Aws::connect(connect).await.unwrap()
}

fn recipe(project: &Path) -> Recipe {
    Recipe {
        root: project.to_owned(),
        name: "tiny".into(),
        framework: "pytorch".into(),
        framework_version: "1.9".into(),
        py_version: "py38".into(),
        source_dir: "code".into(),
        entry_point: "train.py".into(),
        instance_type: "ml.m5.2xlarge".into(),
        instance_count: 1,
        volume_gb: 30,
        max_runtime_seconds: 600,
        channels: vec![Channel { name: "train".into(), source: "data".into() }],
        hyperparameters: vec![("lr".into(), Scalar::Number(0.1)), ("note".into(), Scalar::Text("dog breeds".into()))],
        metrics: vec![MetricRule { name: "loss".into(), regex: "loss=([0-9.]+)".into() }],
        tags: vec![("team".into(), "vision".into())],
        ..Recipe::default()
    }
}

pub fn found(resource: &str) -> &'static dyn Resource {
    resource::find(resource).expect(resource)
}

pub fn set(mut form: Form, changes: &[(&str, &str)]) -> Form {
    for (name, value) in changes {
        let field = form.fields.iter_mut().find(|field| field.name == *name).expect(name);
        (*value).clone_into(&mut field.value);
    }
    form
}

pub fn order_of(form: Form, targets: &[&str]) -> Order {
    let targets = targets.iter().map(|id| ItemId((*id).to_owned())).collect();
    Order { resource: form.resource.clone(), verb: form.verb, targets, form: Some(form) }
}

pub fn bare(resource: &str, verb: Verb, targets: &[&str]) -> Order {
    let targets = targets.iter().map(|id| ItemId((*id).to_owned())).collect();
    Order { resource: resource.to_owned(), verb, targets, form: None }
}
