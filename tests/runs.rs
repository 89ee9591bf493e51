//! Training on an instance as a user has it, against the real local region: the instance is launched, the run put there and
//! started over a real SSH connection, lost and found again, and its results fetched.

#[path = "common/region.rs"]
mod region;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use footplate::aws::Aws;
use footplate::local::Ec2Options;
use footplate::model::{
    Block, Cell, Detail, FailureKind, InstanceRecipe, Item, ItemId, LogBatch, Outcome, Phase, RunRecipe, Scalar, TailNote, Verb,
};
use region::{Place, found, order_of, set};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, watch};

/// Nothing here takes nearly as long; a machine under load may.
const DEADLINE: Duration = Duration::from_mins(2);
/// The newest image with conda's environments.
const IMAGE: &str =
    "resolve:ssm:/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.5-ubuntu-22.04/latest/ami-id";

/// One with a virtual environment.
const VENV: &str =
    "resolve:ssm:/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04/latest/ami-id";

const SCRIPT: &str = "\
import os, sys, time
import helper
print('data:', sorted(os.listdir('numbers')), helper.WORD, flush=True)
epochs = int(sys.argv[sys.argv.index('--epochs') + 1])
for epoch in range(epochs):
    print(f'epoch {epoch} loss={1 / (epoch + 1):.4f}', flush=True)
    while epoch == epochs // 2 and os.path.exists('../../../../hold'):
        time.sleep(0.02)
with open('TrainedModels/model.pth', 'wb') as file:
    file.write(bytes(range(256)) * 4096)
sys.exit(int(sys.argv[sys.argv.index('--exit') + 1]) if '--exit' in sys.argv else 0)
";

struct Bench {
    place: Place,
    instance: String,
}

impl Bench {
    /// A region, a project, and an instance that runs.
    async fn up(image: &str) -> Self {
        Self::on(Place::new("").await, image).await
    }

    async fn on(mut place: Place, image: &str) -> Self {
        let root = place.recipe.root.clone();
        std::fs::write(root.join("code/solution.py"), SCRIPT).unwrap();
        std::fs::write(root.join("code/helper.py"), "WORD = 'helped'\n").unwrap();
        std::fs::create_dir_all(root.join("numbers")).unwrap();
        for name in ["one", "two"] {
            std::fs::write(root.join("numbers").join(name), name).unwrap();
        }
        place.recipe.instance = Some(InstanceRecipe {
            image: image.to_owned(),
            instance_type: "t3.medium".into(),
            storage_gb: None,
            lease_seconds: 7200,
            spot: false,
            zone: None,
            subnet: None,
            security_group: None,
            instance_profile: None,
            run: RunRecipe {
                data: Some("numbers".into()),
                folders: vec!["TrainedModels".into()],
                script: "solution.py".into(),
                arguments: vec![("epochs".into(), Scalar::Whole(4))],
                environment: "pytorch".into(),
                results: vec!["TrainedModels".into()],
            },
        });
        let form = place.form("instances", Verb::Launch, None).await;
        let instance = place.launch(form).await;
        let begun = Instant::now();
        loop {
            let rows = place.list("instances", None).await;
            let row = rows.iter().find(|row| row.id.0 == instance);
            if row.is_some_and(|row| row.state.word.as_str() == "running") {
                break;
            }
            assert!(begun.elapsed() < DEADLINE, "{rows:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Self { place, instance }
    }

    async fn launch(&self, name: &str, changes: &[(&str, &str)]) -> Result<Outcome, footplate::model::Failure> {
        let form = self.place.form("runs", Verb::Launch, Some(&self.instance)).await;
        let form = set(set(form, &[("name", name)]), changes);
        let checked = (found("runs").spec().check)(&form);
        assert!(checked.is_empty(), "{checked:?}");
        self.place.run(&order_of(form, &[])).await
    }

    fn id(&self, name: &str) -> ItemId {
        ItemId(format!("{}/{name}", self.instance))
    }

    /// The instance's home folder on this machine.
    fn home(&self) -> PathBuf {
        let mut left = vec![self.place.folder.path().join("local")];
        while let Some(folder) = left.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_name() == "footplate" && entry.path().join("runs").is_dir() {
                    return entry.path().parent().unwrap().to_owned();
                }
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    left.push(entry.path());
                }
            }
        }
        panic!("no home of a guest");
    }

    async fn detail(&self, aws: &Aws, name: &str) -> Detail {
        found("runs").detail(aws, &self.id(name)).await.unwrap()
    }

    async fn until(&self, name: &str, what: impl Fn(&Detail) -> bool) -> Detail {
        let begun = Instant::now();
        loop {
            let detail = self.detail(&self.place.aws, name).await;
            if what(&detail) {
                return detail;
            }
            assert!(begun.elapsed() < DEADLINE, "{detail:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn follow(&self, aws: &Arc<Aws>, name: &str) -> mpsc::Receiver<LogBatch> {
        let (ended, has_ended) = watch::channel(false);
        let (out, batches) = mpsc::channel(4);
        let rules = self.place.recipe.metrics.clone();
        let reading = found("runs").follow(Arc::clone(aws), &self.id(name), rules, has_ended, out).unwrap();
        tokio::spawn(async move {
            reading.await;
            drop(ended);
        });
        batches
    }

    async fn log(&self, aws: &Arc<Aws>, name: &str) -> Vec<String> {
        let mut batches = self.follow(aws, name);
        let mut all = Vec::new();
        while let Some(batch) = batches.recv().await {
            all.extend(batch.lines.iter().map(|line| line.text.to_string()));
        }
        all
    }

    async fn rows(&self, aws: &Aws) -> Vec<Item> {
        let seen = std::sync::Mutex::new(Vec::new());
        let instance = ItemId(self.instance.clone());
        found("runs").list(aws, Some(&instance), &|page| *seen.lock().unwrap() = page.items).await.unwrap();
        seen.into_inner().unwrap()
    }

    async fn order(&self, verb: Verb, name: &str) -> Result<Outcome, footplate::model::Failure> {
        let id = self.id(name);
        let form = match verb {
            Verb::Download => Some(self.place.form("runs", verb, Some(id.as_str())).await),
            _ => None,
        };
        let order = footplate::model::Order { resource: "runs".into(), verb, targets: vec![id], form };
        self.place.run(&order).await
    }
}

/// A way to the instance that can be cut: what goes by it is handed on.
struct Way(Arc<std::sync::Mutex<Vec<tokio::task::AbortHandle>>>);

/// Keeps what a client says until this says that it may go on.
type Held = dyn Fn() -> bool + Send + Sync;

impl Way {
    /// Stands at the instance's address, at a port of its own, which the instance's tag names from now on.
    async fn before(bench: &Bench) -> Self {
        Self::slow(bench, Arc::new(|| false)).await
    }

    /// What a client says is kept for as long as `held` says so.
    async fn slow(bench: &Bench, held: Arc<Held>) -> Self {
        let aws = &bench.place.aws;
        let told = aws.ec2.describe_instances().instance_ids(&bench.instance).send().await.unwrap();
        let it = &told.reservations()[0].instances()[0];
        let address: std::net::Ipv4Addr = it.public_ip_address().unwrap().parse().unwrap();
        let tag = it.tags().iter().find(|tag| tag.key() == Some("footplate:ssh-port"));
        let port: u16 = tag.and_then(|tag| tag.value()).map_or(22, |port| port.parse().unwrap());
        let listener = tokio::net::TcpListener::bind((address, 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port().to_string();
        let group = it.security_groups()[0].group_id().unwrap();
        let open = aws.ec2.authorize_security_group_ingress().group_id(group).ip_protocol("tcp").cidr_ip("127.0.0.1/32");
        let open = open.from_port(own.parse().unwrap()).to_port(own.parse().unwrap()).send();
        footplate::aws::with_order("order-open".into(), open).await.unwrap();
        let tag = aws_sdk_ec2::types::Tag::builder().key("footplate:ssh-port").value(own).build();
        let call = aws.ec2.create_tags().resources(&bench.instance).tags(tag).send();
        footplate::aws::with_order("order-tag".into(), call).await.unwrap();
        let carried: Arc<std::sync::Mutex<Vec<tokio::task::AbortHandle>>> = Arc::default();
        let all = Arc::clone(&carried);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let held = Arc::clone(&held);
                let task = tokio::spawn(async move {
                    let far = tokio::net::TcpStream::connect((address, port)).await.unwrap();
                    let ((mut said, mut answer), (mut answered, mut told)) = (near.into_split(), far.into_split());
                    let there = async {
                        let mut buffer = vec![0; 65_536];
                        while let Ok(count @ 1..) = said.read(&mut buffer).await {
                            while held() {
                                tokio::time::sleep(Duration::from_millis(10)).await;
                            }
                            if told.write_all(&buffer[..count]).await.is_err() {
                                break;
                            }
                        }
                        told.shutdown().await.ok();
                    };
                    let back = async {
                        tokio::io::copy(&mut answered, &mut answer).await.ok();
                        answer.shutdown().await.ok();
                    };
                    tokio::join!(there, back);
                });
                all.lock().unwrap().push(task.abort_handle());
            }
        });
        Self(carried)
    }

    /// Cuts all connections that go by it; new ones may come.
    fn cut(&self) {
        let carried = std::mem::take(&mut *self.0.lock().unwrap());
        assert!(!carried.is_empty(), "nothing went by here");
        carried.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

fn told(detail: &Detail) -> String {
    let clock = footplate::model::Clock::default();
    let mut out = String::new();
    for block in &detail.blocks {
        match block {
            Block::Text { text, .. } => out.push_str(text.as_str()),
            Block::Table { rows, .. } => {
                out.extend(
                    rows.iter()
                        .map(|row| row.iter().map(|cell| cell.show(&clock).to_string()).collect::<Vec<_>>().join(" ") + "\n"),
                );
            }
            Block::Facts { facts, .. } => out.extend(facts.iter().map(|(name, cell)| format!("{name}: {}\n", cell.show(&clock)))),
            _ => {}
        }
    }
    out
}

const LINES: [&str; 5] =
    ["data: ['one', 'two'] helped", "epoch 0 loss=1.0000", "epoch 1 loss=0.5000", "epoch 2 loss=0.3333", "epoch 3 loss=0.2500"];

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_put_there_trains_and_brings_its_model_back() {
    let bench = Bench::up(IMAGE).await;
    // To look at an instance does not connect to it.
    let instance = found("instances").detail(&bench.place.aws, &ItemId(bench.instance.clone())).await.unwrap();
    assert!(!instance.blocks.iter().any(|block| matches!(block, Block::Gauges { .. })));
    assert_eq!(bench.rows(&bench.place.aws).await, []);

    // By the instance's own verb, as the key T in its row does it.
    let form = bench.place.form("instances", Verb::Train, Some(&bench.instance)).await;
    assert_eq!((form.resource.as_str(), form.value("script_text")), ("runs", SCRIPT));
    let made = bench.place.run(&order_of(set(form, &[("name", "first")]), &[])).await.unwrap();
    assert!(matches!(&made, Outcome::Made { id, .. } if *id == bench.id("first")), "{made:?}");
    assert_eq!(bench.log(&bench.place.aws, "first").await, LINES);
    let detail = bench.until("first", |detail| !detail.state.phase.is_live()).await;
    assert_eq!((detail.state.phase, detail.state.word.as_str()), (Phase::Done, "Done"));
    let text = told(&detail);
    for part in [
        "environment done",
        "envs/pytorch/bin/python",
        "sent from this machine: numbers",
        "start done",
        "exit code: 0",
        "$0.04/h for t3.medium",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let rows = bench.rows(&bench.place.aws).await;
    assert!(
        rows.len() == 1 && rows[0].cells[2] == Cell::Trend { last: Some(0.25), values: vec![1.0, 0.5, 0.3333, 0.25] },
        "{rows:?}"
    );
    assert_eq!(rows[0].cells.len(), found("runs").spec().columns.len());

    let outcome = bench.order(Verb::Download, "first").await.unwrap();
    assert!(outcome.said().as_str().starts_with("fetched 1 file and the log of first to"), "{}", outcome.said());
    let folder = bench.place.recipe.root.join("results/first");
    assert_eq!(std::fs::read(folder.join("TrainedModels/model.pth")).unwrap(), (0..=255).collect::<Vec<u8>>().repeat(4096));
    assert_eq!(std::fs::read_to_string(folder.join("log.txt")).unwrap().lines().collect::<Vec<_>>(), LINES);

    // The line is held now, so the instance tells what it is doing.
    let instance = found("instances").detail(&bench.place.aws, &ItemId(bench.instance.clone())).await.unwrap();
    let gauges =
        instance.blocks.iter().find_map(|block| if let Block::Gauges { gauges, .. } = block { Some(gauges) } else { None });
    let names: Vec<&str> = gauges.unwrap().iter().map(|gauge| gauge.name.as_str()).collect();
    assert!(["CPU", "memory", "disk"].iter().all(|name| names.contains(name)), "{names:?}");

    bench.order(Verb::Delete, "first").await.unwrap();
    assert_eq!(bench.rows(&bench.place.aws).await, []);
    bench.place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_loses_no_line_and_two_cockpits_see_the_same() {
    let bench = Bench::up(IMAGE).await;
    let aws = Arc::clone(&bench.place.aws);
    let way = Way::before(&bench).await;
    assert_eq!(bench.rows(&aws).await, []);
    // It waits in the middle for as long as this file is there.
    bench
        .launch(
            "again",
            &[("script_text", "import os\nopen(os.path.expanduser('~/hold'), 'w').close()\n"), ("data", ""), ("results", "")],
        )
        .await
        .unwrap();
    bench.until("again", |detail| !detail.state.phase.is_live()).await;
    let hold = bench.home().join("hold");
    assert!(hold.exists());
    bench.launch("held", &[]).await.unwrap();

    let mut batches = bench.follow(&aws, "held");
    let mut lines: Vec<String> = Vec::new();
    while lines.len() < 4 {
        lines.extend(batches.recv().await.unwrap().lines.iter().map(|line| line.text.to_string()));
    }
    // Its own connection is cut: what serves it on the instance is killed.
    let before = bench.rows(&aws).await;
    assert!(before.iter().any(|row| row.state.word.as_str() == "Running"), "{before:?}");
    way.cut();
    // Another cockpit, which knows nothing of the first, finds it.
    let other = bench.place.with(false, true).await;
    let seen = bench.rows(&other).await;
    let held =
        |rows: &[Item]| rows.iter().find(|row| row.id == bench.id("held")).map(|row| (row.state.clone(), row.cells[5].clone()));
    assert_eq!(held(&seen), held(&before));
    let times = bench.home().join("footplate/runs/held/times");
    let begun = Instant::now();
    while std::fs::read_to_string(&times).is_ok_and(|times| times.is_empty()) {
        assert!(begun.elapsed() < DEADLINE, "nobody notes when the log grew");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    std::fs::remove_file(&hold).unwrap();
    let mut ended = false;
    while let Some(batch) = batches.recv().await {
        lines.extend(batch.lines.iter().map(|line| line.text.to_string()));
        ended |= batch.note == Some(TailNote::Ended);
    }
    assert!(ended && lines == LINES, "{lines:?}");
    assert_eq!(bench.log(&other, "held").await, LINES);
    // Points keep the time at which they were written, however late they are read.
    let mut late = bench.follow(&other, "held");
    let mut times = Vec::new();
    while let Some(batch) = late.recv().await {
        times.extend(batch.points.iter().map(|(_, point)| point.at));
    }
    assert!(times.len() == 4 && times[0] < times[3], "{times:?}");
    bench.place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_with_its_remedy() {
    let bench = Bench::up(VENV).await;
    // No such environment.
    let none = bench.launch("a", &[("environment", "tensorflow")]).await.unwrap_err();
    assert!(none.kind == FailureKind::NotFound && none.what.as_str().contains("no environment 'tensorflow'"), "{none}");
    let detail = bench.detail(&bench.place.aws, "a").await;
    assert!(
        detail.state.word.as_str() == "Unfinished" && told(&detail).contains("Launch again under the name a"),
        "{}",
        told(&detail)
    );

    // A bad archive; then no such address.
    std::fs::write(bench.place.recipe.root.join("bad.zip"), "PK no archive").unwrap();
    let bad = bench.launch("a", &[("data", "bad.zip")]).await.unwrap_err();
    assert!(bad.kind == FailureKind::Invalid && bad.what.as_str().contains("bad.zip is no complete .zip"), "{bad}");
    let nowhere = bench.launch("a", &[("data", "http://127.0.0.1:9/data.zip")]).await.unwrap_err();
    assert!(nowhere.kind == FailureKind::NotFound && nowhere.hint.as_str().contains("goes on"), "{nowhere}");

    // The same name goes on, and fails by its own fault.
    bench.launch("a", &[("arguments", "epochs = 1\nexit = 3")]).await.unwrap();
    let failed = bench.until("a", |detail| !detail.state.phase.is_live()).await;
    assert_eq!(failed.state.word.as_str(), "Failed (3)");
    assert!(told(&failed).contains("exit code 3\ndata: ['one', 'two']"), "{}", told(&failed));

    // Started again at the same time, it runs once; and it stops when told.
    let script = "import time\nprint('begun', flush=True)\ntime.sleep(600)\n";
    let changes = [("script_text", script)];
    let (one, two) = tokio::join!(bench.launch("long", &changes), bench.launch("long", &changes));
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    bench.until("long", |detail| detail.state.phase == Phase::Active).await;
    bench.order(Verb::Delete, "long").await.unwrap_err();
    bench.order(Verb::Stop, "long").await.unwrap();
    let stopped = bench.until("long", |detail| !detail.state.phase.is_live()).await;
    assert_eq!(stopped.state.word.as_str(), "Stopped");
    assert_eq!(bench.log(&bench.place.aws, "long").await, ["begun"]);

    // Whoever is to stop the instance is told what ends with it.
    bench.launch("last", &changes).await.unwrap();
    bench.until("last", |detail| detail.state.phase == Phase::Active).await;
    let it = ItemId(bench.instance.clone());
    let stake = |aws: Arc<Aws>| {
        let it = it.clone();
        async move {
            let lines = found("instances").at_stake(&aws, &it).await.unwrap();
            lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        }
    };
    let said = stake(Arc::clone(&bench.place.aws)).await;
    assert!(said.starts_with("a training run on ") && said.contains("ends with it: last (Running for 00:"), "{said}");
    // Another cockpit has no line to it yet.
    let said = stake(bench.place.with(true, false).await).await;
    assert!(said.contains("ends with it: last (Running for 00:"), "{said}");

    // Read-only, nothing is done over SSH either.
    let locked = bench.place.with(true, true).await;
    let form = bench.place.form("runs", Verb::Launch, Some(&bench.instance)).await;
    let refused = found("runs").run(&locked, &bench.place.recipe, &order_of(form, &[]), &|_| {}).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);

    // The instance stops in the middle: what ran there is lost, as far as can be told, and costs no more.
    bench.rows(&bench.place.aws).await;
    bench.place.run(&region::bare("instances", Verb::Stop, &[&bench.instance])).await.unwrap();
    let rows = std::sync::Mutex::new(Vec::new());
    let begun = Instant::now();
    let failure = loop {
        let list = found("runs").list(&bench.place.aws, Some(&it), &|page| *rows.lock().unwrap() = page.items).await;
        match list {
            Err(failure) if failure.kind == FailureKind::Conflict => break failure,
            _ => assert!(begun.elapsed() < DEADLINE),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(failure.what.as_str().contains(" is stop"), "{failure}");
    let rows = rows.into_inner().unwrap();
    let row = rows.iter().find(|row| row.id == bench.id("last")).unwrap();
    assert_eq!(row.state.word.as_str(), "Lost");
    assert!(
        matches!((&row.cells[3], &row.cells[4]), (Cell::Seconds(_), Cell::Spent { since: None, least: true, .. })),
        "{row:?}"
    );
    assert!(rows.iter().any(|row| row.state.word.as_str() == "Failed (3)"), "what had ended stays what it was: {rows:?}");
    let lost = bench.detail(&bench.place.aws, "last").await;
    assert!(told(&lost).contains(" is stop") && told(&lost).contains("the run ended with it"), "{}", told(&lost));
    assert_eq!(stake(Arc::clone(&bench.place.aws)).await, "", "nothing is at stake on what does not run");
    bench.place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_went_out_of_use_before_the_login_is_announced_anew() {
    let life = |life: Duration| Place::rehearsing("", Ec2Options { key_life: Some(life), ..Ec2Options::default() });
    let announced =
        |bench: &Bench| bench.place.wire.asked.lock().unwrap().iter().filter(|asked| asked.contains("ublicKey")).count();
    // Good for no time at all: it is tried twice and not for ever, and says what to see to.
    let bench = Bench::on(life(Duration::ZERO).await, VENV).await;
    let instance = ItemId(bench.instance.clone());
    let refused = found("runs").list(&bench.place.aws, Some(&instance), &|_| {}).await.unwrap_err();
    assert_eq!((refused.kind, announced(&bench)), (FailureKind::Denied, 2), "{refused}");
    for part in ["does not let the user 'ubuntu' in", "counts for 60 seconds only"] {
        assert!(refused.to_string().contains(part) || refused.hint.as_str().contains(part), "{part}: {refused} {}", refused.hint);
    }
    bench.place.region.close().await;

    // A line so slow that the first key is no longer good when the login gets there.
    let short = Duration::from_secs(3);
    let bench = Bench::on(life(short).await, VENV).await;
    let asked = Arc::clone(&bench.place.wire.asked);
    let first: Arc<std::sync::OnceLock<Instant>> = Arc::default();
    let held = move || {
        let pushed = asked.lock().unwrap().iter().any(|asked| asked.contains("ublicKey"));
        pushed && first.get_or_init(Instant::now).elapsed() <= short
    };
    let _way = Way::slow(&bench, Arc::new(held)).await;
    assert_eq!(bench.rows(&bench.place.aws).await, []);
    assert_eq!(announced(&bench), 2);
    bench.place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_in_s3_comes_to_the_instance() {
    let bench = Bench::up(VENV).await;
    let aws = &bench.place.aws;
    let make = aws.s3.create_bucket().bucket("numbers-in-s3").send();
    footplate::aws::with_order("order-bucket".into(), make).await.unwrap();
    for (key, text) in [("sets/numbers/one", "1"), ("sets/numbers/two", "22"), ("sets/letters/a", "a")] {
        let put = aws.s3.put_object().bucket("numbers-in-s3").key(key).body(text.as_bytes().to_vec().into()).send();
        Box::pin(footplate::aws::with_order("order-put".into(), put)).await.unwrap();
    }
    for (name, said) in [("cold", "fetched from S3 through this machine"), ("warm", "there already")] {
        bench.launch(name, &[("data", "s3://numbers-in-s3/sets/numbers/"), ("arguments", "epochs = 1")]).await.unwrap();
        let detail = bench.until(name, |detail| !detail.state.phase.is_live()).await;
        let text = told(&detail);
        assert!(text.contains(said) && detail.state.phase == Phase::Done, "{text}");
        assert_eq!(bench.log(aws, name).await[0], LINES[0]);
    }
    let none = bench.launch("none", &[("data", "s3://numbers-in-s3/nothing/")]).await.unwrap_err();
    assert!(
        none.kind == FailureKind::NotFound && none.what.as_str().contains("there is nothing at s3://numbers-in-s3/nothing/"),
        "{none}"
    );
    bench.place.region.close().await;
}
