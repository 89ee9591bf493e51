//! The whole way of a run with this machine in the place of an instance: the same scripts under a real shell.

use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::*;
use crate::aws::scripted::Scripted;
use crate::model::{Block, Cell, Phase, RunRecipe, Scalar, TailNote};
use crate::resource::line::hold_here;

const SCRIPT: &str = "\
import os, sys, time
epochs = int(sys.argv[sys.argv.index('--epochs') + 1])
print('data:', sorted(os.listdir('numbers')), flush=True)
for epoch in range(epochs):
    print(f'epoch {epoch} loss: {1 / (epoch + 1):.4f}', flush=True)
    if os.path.exists('../wait'):
        while not os.path.exists('../go'):
            time.sleep(0.02)
with open('TrainedModels/model.bin', 'wb') as file:
    file.write(bytes(range(256)) * 100)
if '--fail' in sys.argv:
    sys.exit(3)
";

struct Bench {
    place: tempfile::TempDir,
    aws: Arc<Aws>,
    recipe: Recipe,
    instance: ItemId,
}

impl Bench {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let (home, root) = (place.path().join("home"), place.path().join("project"));
        for folder in [&home, &root.join("code"), &root.join("numbers")] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::fs::write(root.join("code/solution.py"), SCRIPT).unwrap();
        std::fs::write(root.join("numbers/one.txt"), "1").unwrap();
        std::fs::write(root.join("numbers/two.txt"), "2").unwrap();
        let http = Scripted::new(|asked| {
            let xml = "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-1</instanceId><instanceType>g5.2xlarge</instanceType></item></instancesSet></item></reservationSet></DescribeInstancesResponse>";
            if String::from_utf8_lossy(&asked.body).contains("DescribeInstances") {
                (200, xml.as_bytes().to_vec())
            } else {
                (400, Vec::new())
            }
        });
        let aws = http.connect(false, None).await;
        let instance = ItemId("i-1".into());
        hold_here(&aws, &instance, &home).await;
        let run = RunRecipe {
            data: Some("numbers".into()),
            folders: vec!["TrainedModels".into()],
            script: "solution.py".into(),
            arguments: vec![("epochs".into(), Scalar::Whole(3))],
            environment: "system".into(),
            results: vec!["TrainedModels/model.bin".into()],
        };
        let instance_recipe = crate::model::InstanceRecipe { run, ..crate::model::InstanceRecipe::usual("") };
        let recipe = Recipe {
            root,
            name: "numbers".into(),
            source_dir: "code".into(),
            metrics: vec![MetricRule { name: "loss".into(), regex: "loss: ([0-9.]+)".into() }],
            environment: vec![("GREETING".into(), "it's $HOME".into())],
            instance: Some(instance_recipe),
            ..Recipe::default()
        };
        Self { place, aws, recipe, instance }
    }

    fn home(&self) -> std::path::PathBuf {
        self.place.path().join("home")
    }

    fn form(&self, name: &str, set: &[(&str, &str)]) -> Form {
        let mut form = form::launch(&self.recipe, &self.instance).unwrap();
        for (key, value) in [("name", name)].iter().chain(set) {
            (*value).clone_into(&mut form.fields.iter_mut().find(|field| field.name == *key).unwrap().value);
        }
        form
    }

    async fn launch(&self, name: &str, set: &[(&str, &str)]) -> Result<Outcome, Failure> {
        let form = self.form(name, set);
        assert!(form::check(&form).iter().all(|problem| !problem.fatal), "{:?}", form::check(&form));
        launch::launch(&self.aws, &self.recipe, &form, &|_| {}).await
    }

    fn id(&self, name: &str) -> ItemId {
        place::id(&self.instance, name)
    }

    async fn detail(&self, name: &str) -> Detail {
        detail::detail(&self.aws, &self.id(name)).await.unwrap()
    }

    async fn until(&self, name: &str, what: impl Fn(&Detail) -> bool) -> Detail {
        let begun = Instant::now();
        loop {
            let detail = self.detail(name).await;
            if what(&detail) {
                return detail;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "{detail:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn log(&self, name: &str) -> Vec<LogBatch> {
        let (_ended, has_ended) = watch::channel(false);
        let (out, mut batches) = mpsc::channel(4);
        let rules = self.recipe.metrics.clone();
        let reading = Runs.follow(Arc::clone(&self.aws), &self.id(name), rules, has_ended, out).unwrap();
        let reading = tokio::spawn(reading);
        let mut all = Vec::new();
        while let Some(batch) = batches.recv().await {
            all.push(batch);
        }
        reading.await.unwrap();
        all
    }
}

fn lines(batches: &[LogBatch]) -> Vec<String> {
    batches.iter().flat_map(|batch| &batch.lines).map(|line| line.text.to_string()).collect()
}

fn facts(detail: &Detail) -> Vec<String> {
    let facts = detail.blocks.iter().filter_map(|block| if let Block::Facts { facts, .. } = block { Some(facts) } else { None });
    let clock = crate::model::show::Clock::default();
    facts.flatten().map(|(name, cell)| format!("{name}: {}", cell.show(&clock))).collect()
}

fn said(detail: &Detail) -> String {
    let text = |block: &Block| match block {
        Block::Text { title, text } => format!("{title}\n{text}"),
        Block::Table { rows, .. } => rows
            .iter()
            .map(|row| {
                row.iter().map(|cell| cell.show(&crate::model::show::Clock::default()).to_string()).collect::<Vec<_>>().join(" ")
                    + "\n"
            })
            .collect(),
        _ => String::new(),
    };
    detail.blocks.iter().map(text).collect()
}

#[tokio::test]
async fn a_run_is_put_there_started_followed_and_its_results_fetched() {
    let bench = Bench::new().await;
    std::fs::create_dir_all(bench.home().join("footplate/runs/a")).unwrap();
    let made = bench.launch("a", &[]).await.unwrap();
    assert!(matches!(&made, Outcome::Made { id, .. } if id.as_str() == "i-1/a"), "{made:?}");
    let batches = bench.log("a").await;
    assert_eq!(
        lines(&batches),
        ["data: ['one.txt', 'two.txt']", "epoch 0 loss: 1.0000", "epoch 1 loss: 0.5000", "epoch 2 loss: 0.3333"]
    );
    let values: Vec<f64> = batches.iter().flat_map(|batch| &batch.points).map(|(_, point)| point.value).collect();
    assert_eq!(values, [1.0, 0.5, 0.3333]);
    assert_eq!(batches.last().unwrap().note, Some(TailNote::Ended));
    let detail = bench.until("a", |detail| !detail.state.phase.is_live()).await;
    assert_eq!(detail.state.word.as_str(), "Done");
    for step in ["connect done", "environment done", "folders done", "data done", "script done", "start done"] {
        assert!(said(&detail).contains(step), "{step}: {}", said(&detail));
    }
    let rows = Mutex::new(Vec::new());
    list::list(&bench.aws, &bench.instance, &|page| rows.lock().unwrap().extend(page.items)).await.unwrap();
    let rows = rows.into_inner().unwrap();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(row.cells[2], Cell::Trend { last: Some(0.3333), values: vec![1.0, 0.5, 0.3333] });
    assert!(matches!(row.cells[4], Cell::Money(cost) if cost < 0.1), "{row:?}");
    let form = form::download(&bench.id("a"), "a");
    act::download(&bench.aws, &bench.recipe, &form, &[bench.id("a")], &|_| {}).await.unwrap();
    let fetched = std::fs::read(bench.recipe.root.join("results/a/TrainedModels/model.bin")).unwrap();
    assert_eq!(fetched, (0..=255).collect::<Vec<u8>>().repeat(100));
    act::delete(&bench.aws, &[bench.id("a")]).await.unwrap();
    assert!(!bench.home().join("footplate/runs/a").exists() && !bench.home().join("footplate/runs/.a.gone").exists());
    assert!(std::fs::read_dir(bench.home().join("footplate/data")).unwrap().count() == 1, "the data set stays");
}

#[tokio::test]
async fn started_twice_at_once_it_runs_once() {
    let bench = Bench::new().await;
    std::fs::create_dir_all(bench.home().join("footplate/runs/a")).unwrap();
    std::fs::write(bench.home().join("footplate/runs/a/wait"), "").unwrap();
    let (one, two) = tokio::join!(bench.launch("a", &[]), bench.launch("a", &[]));
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    bench.until("a", |detail| detail.state.word.as_str() == "Running").await;
    let third = bench.launch("a", &[]).await.unwrap();
    assert!(third.said().as_str().contains("runs there already"), "{third:?}");
    std::fs::write(bench.home().join("footplate/runs/a/go"), "").unwrap();
    bench.until("a", |detail| detail.state.phase == Phase::Done).await;
    let log = std::fs::read_to_string(bench.home().join("footplate/runs/a/log")).unwrap();
    assert_eq!(log.matches("epoch 0").count(), 1, "{log}");
    let again = bench.launch("a", &[]).await.unwrap_err();
    assert!(again.kind == FailureKind::Conflict && again.hint.as_str().contains("another name"), "{again}");
}

#[tokio::test]
async fn an_exit_code_and_a_stop_are_told() {
    let bench = Bench::new().await;
    bench.launch("bad", &[("arguments", "epochs = 1\nfail =")]).await.unwrap();
    let failed = bench.until("bad", |detail| !detail.state.phase.is_live()).await;
    assert_eq!((failed.state.phase, failed.state.word.as_str()), (Phase::Failed, "Failed (3)"));
    assert!(said(&failed).contains("exit code 3\ndata:"), "{}", said(&failed));

    let script = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: (print('saving', flush=True), sys.exit(0)))\nprint('ready', flush=True)\ntime.sleep(600)\n";
    bench.launch("long", &[("script_text", script)]).await.unwrap();
    bench.until("long", |detail| detail.state.phase == Phase::Active).await;
    let begun = Instant::now();
    while !std::fs::read_to_string(bench.home().join("footplate/runs/long/log")).is_ok_and(|log| log.contains("ready")) {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = act::delete(&bench.aws, &[bench.id("long")]).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Conflict);
    assert_eq!(act::stop(&bench.aws, &[bench.id("long")]).await.unwrap().said().as_str(), "long stopped");
    let stopped = bench.until("long", |detail| !detail.state.phase.is_live()).await;
    assert_eq!(stopped.state.word.as_str(), "Stopped");
    assert_eq!(lines(&bench.log("long").await), ["ready", "saving"]);
    assert_eq!(act::stop(&bench.aws, &[bench.id("long")]).await.unwrap().said().as_str(), "long was over already");
}

#[tokio::test]
async fn a_run_whose_keeper_was_killed_is_lost() {
    let bench = Bench::new().await;
    bench.launch("gone", &[("script_text", "import time\ntime.sleep(600)\n")]).await.unwrap();
    bench.until("gone", |detail| detail.state.phase == Phase::Active).await;
    let pids = std::fs::read_to_string(bench.home().join("footplate/runs/gone/pid")).unwrap();
    let pids: Vec<&str> = pids.split_whitespace().collect();
    Command::new("kill").args(["-KILL", pids[2], pids[0]]).status().unwrap();
    let lost = bench.until("gone", |detail| !detail.state.phase.is_live()).await;
    assert_eq!(lost.state.word.as_str(), "Lost");
    // How long it ran is known from the last sign of its life.
    let started = std::fs::read_to_string(bench.home().join("footplate/runs/gone/started/at")).unwrap();
    let (started, seen): (i64, i64) = (started.trim().parse().unwrap(), 125);
    let alive = bench.home().join("footplate/runs/gone");
    for file in ["alive", "log", "times"] {
        let at = format!("@{}", started + seen - i64::from(file != "alive") * 60);
        assert!(Command::new("touch").arg("-d").arg(at).arg(alive.join(file)).status().unwrap().success());
    }
    let lost = bench.detail("gone").await;
    assert!(facts(&lost).contains(&"ran at least: 02:05".to_owned()), "{:?}", facts(&lost));
    assert!(facts(&lost).contains(&"cost: $0.04+".to_owned()), "{:?}", facts(&lost));
    assert!(facts(&lost).iter().any(|fact| fact.starts_with("last seen: ")), "{:?}", facts(&lost));
    let rows = Mutex::new(Vec::new());
    list::list(&bench.aws, &bench.instance, &|page| rows.lock().unwrap().extend(page.items)).await.unwrap();
    assert_eq!(rows.into_inner().unwrap()[0].cells[3], Cell::Seconds(125.0));
}

#[tokio::test]
async fn the_script_gives_signs_of_its_life_though_it_says_nothing() {
    let bench = Bench::new().await;
    bench.launch("mute", &[("script_text", "import time\ntime.sleep(600)\n")]).await.unwrap();
    let alive = bench.home().join("footplate/runs/mute/alive");
    let begun = Instant::now();
    while !alive.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Command::new("touch").args(["-d", "@1000000000"]).arg(&alive).status().unwrap();
    while alive.metadata().unwrap().modified().unwrap().elapsed().unwrap() > Duration::from_mins(10) {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(super::under_way(&bench.aws, &bench.instance, false).await.unwrap().len(), 1);
    act::stop(&bench.aws, &[bench.id("mute")]).await.unwrap();
    assert_eq!(super::under_way(&bench.aws, &bench.instance, false).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_missing_is_told_with_the_remedy_and_leaves_the_launch_to_be_gone_on_with() {
    let bench = Bench::new().await;
    let none = bench.launch("a", &[("environment", "pytorch-of-nowhere")]).await.unwrap_err();
    assert!(none.kind == FailureKind::NotFound && none.what.as_str().contains("; there is "), "{none}");
    let detail = bench.detail("a").await;
    assert_eq!(detail.state.word.as_str(), "Unfinished");
    assert!(detail.metrics.is_empty() && !detail.log, "what never ran lacks no value of a metric");
    assert!(
        said(&detail).contains("why it never started\nenvironment: there is no environment")
            && said(&detail).contains("Launch again under the name a")
    );

    let script = bench.launch("a", &[("script", "nothing.py")]).await.unwrap_err();
    assert!(script.what.as_str().contains("nothing.py") && script.kind == FailureKind::Invalid, "{script}");

    std::fs::write(bench.recipe.root.join("bad.zip"), "this is no archive").unwrap();
    let bad = bench.launch("a", &[("data", "bad.zip")]).await.unwrap_err();
    assert!(bad.what.as_str().contains("bad.zip is no complete .zip") && bad.kind == FailureKind::Invalid, "{bad}");
    assert!(!bench.home().join("footplate/data").exists(), "nothing was sent");

    // What only shows when it is unpacked.
    std::fs::write(bench.recipe.root.join("bad.tar.gz"), b"\x1f\x8b and no more").unwrap();
    let bad = bench.launch("a", &[("data", "bad.tar.gz")]).await.unwrap_err();
    assert!(bad.what.as_str().ends_with("data: bad.tar.gz is no complete .zip or .tar.gz"), "{bad}");
    let data = std::fs::read_dir(bench.home().join("footplate/data")).unwrap().next().unwrap().unwrap().path();
    assert!(!data.join("new").exists() && !data.join("archive").exists(), "nothing half done is left");

    let mut other = bench.recipe.clone();
    other.name = "letters".into();
    let foreign = launch::launch(&bench.aws, &other, &bench.form("a", &[]), &|_| {}).await.unwrap_err();
    assert!(foreign.kind == FailureKind::Conflict && foreign.what.as_str().contains("the project numbers"), "{foreign}");
    assert!(foreign.hint.as_str().contains("footplate delete runs i-1/a"), "{foreign}");

    bench.launch("a", &[]).await.unwrap();
    bench.until("a", |detail| detail.state.phase == Phase::Done).await;
}

#[tokio::test]
async fn an_address_is_fetched_on_the_instance_once() {
    let bench = Bench::new().await;
    let site = bench.place.path().join("site");
    std::fs::create_dir_all(&site).unwrap();
    let zip = "import zipfile; zipfile.ZipFile('data.zip', 'w').writestr('numbers/three.txt', '3' * 100000)";
    assert!(Command::new("python3").args(["-c", zip]).current_dir(&site).status().unwrap().success());
    let mut server = Command::new("python3")
        .args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1"])
        .current_dir(&site)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(server.stdout.take().unwrap()), &mut first).unwrap();
    let port = first.split("port ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let url = format!("http://127.0.0.1:{port}/data.zip");
    let made = bench.launch("web", &[("data", &url)]).await;
    let missing = bench.launch("none", &[("data", &format!("{url}x"))]).await;
    server.kill().unwrap();
    server.wait().unwrap();
    made.unwrap();
    let missing = missing.unwrap_err();
    assert!(missing.kind == FailureKind::NotFound && missing.what.as_str().contains("404"), "{missing}");
    assert_eq!(lines(&bench.log("web").await)[0], "data: ['three.txt']");
    assert!(
        said(&bench.detail("web").await).contains("fetched on the instance: numbers"),
        "{}",
        said(&bench.detail("web").await)
    );
}

fn copy_of(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_the_project_says_reaches_the_script() {
    let bench = Bench::new().await;
    let script = "import os, sys\nprint(os.environ['GREETING'], sys.argv[1:], sys.executable)\n";
    bench
        .launch("env", &[("script_text", script), ("arguments", "lr = 0.1\nname = \"a b\"\nnesterov = true\nv ="), ("data", "")])
        .await
        .unwrap();
    let line = lines(&bench.log("env").await).remove(0);
    assert!(line.starts_with("it's $HOME ['--lr', '0.1', '--name', 'a b', '--nesterov', 'True', '-v']"), "{line}");
    assert_eq!(std::fs::read_to_string(bench.recipe.root.join("code/solution.py")).unwrap(), SCRIPT, "the file stays as it is");
    assert_eq!(copy_of(&bench.home().join("footplate/runs/env/code")), ["TrainedModels", "solution.py"]);
}

#[tokio::test]
async fn what_holds_the_line_up_loses_no_line_of_the_log() {
    let bench = Bench::new().await;
    let script = "import os\nfor n in range(200000):\n    print(n)\n    if n == 100000:\n        while not os.path.exists('../go'): pass\n";
    bench.launch("many", &[("script_text", script)]).await.unwrap();
    let (_ended, has_ended) = watch::channel(false);
    let (out, mut batches) = mpsc::channel(1);
    let reading = Runs.follow(Arc::clone(&bench.aws), &bench.id("many"), Vec::new(), has_ended, out).unwrap();
    tokio::spawn(reading);
    let mut all = Vec::new();
    while let Some(batch) = batches.recv().await {
        all.extend(lines(&[batch]));
        if all.len() > 50_000 {
            std::fs::write(bench.home().join("footplate/runs/many/go"), "").unwrap();
        }
    }
    let wanted: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    assert!(all == wanted, "{} lines", all.len());
}

#[test]
fn of_many_runners_one_goes_on() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("runner.sh"), include_str!("scripts/runner.sh")).unwrap();
    std::fs::write(place.path().join("job.sh"), "echo once; sleep 0.3; exit 7\n").unwrap();
    let start = || Command::new("bash").arg(place.path().join("runner.sh")).spawn().unwrap();
    let runners: Vec<_> = (0..6).map(|_| start()).collect();
    for mut runner in runners {
        assert!(runner.wait().unwrap().success());
    }
    assert_eq!(std::fs::read_to_string(place.path().join("log")).unwrap(), "once\n");
    let exit = std::fs::read_to_string(place.path().join("exit")).unwrap();
    assert!(exit.starts_with("7 "), "{exit}");
}

/// Puts a program of bash on the instance.
fn program(home: &Path, name: &str, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::create_dir_all(home.join("bin")).unwrap();
    let path = home.join("bin").join(name);
    std::fs::write(&path, format!("#!/bin/bash\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// This machine has no systemd that could be asked: its part is played by a stand-in that really detaches what it is given.
#[tokio::test]
async fn where_the_users_manager_lingers_it_keeps_the_run() {
    let bench = Bench::new().await;
    let home = bench.home();
    std::fs::create_dir_all(home.join("user")).unwrap();
    program(&home, "systemd-run", "echo \"$@\" >> \"$HOME/asked\"; while [[ $1 == --* ]]; do shift; done; exec setsid -f \"$@\"");
    program(&home, "loginctl", "cat \"$HOME/linger\"");
    std::fs::write(home.join("linger"), "yes\n").unwrap();
    bench.launch("unit", &[]).await.unwrap();
    let detail = bench.until("unit", |detail| detail.state.phase == Phase::Done).await;
    assert!(said(&detail).contains("detached by systemd-run"), "{}", said(&detail));
    let asked = std::fs::read_to_string(home.join("asked")).unwrap();
    assert_eq!(asked.trim(), format!("--user --collect --quiet bash {}/footplate/runs/unit/runner.sh", home.display()));
    // A manager that ends with the login would end the run; and one that does not do it is not waited for twice.
    std::fs::write(home.join("linger"), "no\n").unwrap();
    bench.launch("login", &[]).await.unwrap();
    let detail = bench.until("login", |detail| detail.state.phase == Phase::Done).await;
    assert!(!said(&detail).contains("systemd-run"), "{}", said(&detail));
    std::fs::write(home.join("linger"), "yes\n").unwrap();
    program(&home, "systemd-run", "echo 'Failed to connect to bus' >&2; exit 1");
    bench.launch("broken", &[]).await.unwrap();
    let detail = bench.until("broken", |detail| detail.state.phase == Phase::Done).await;
    assert!(said(&detail).contains("detached by") && !said(&detail).contains("systemd-run"), "{}", said(&detail));
}
