//! Tuning jobs from the form to the promoted trial, against the real local region with real scripts; and the keys that
//! lead there.

#[path = "binary/mod.rs"]
mod binary;
mod common;
#[path = "common/region.rs"]
mod region;

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sagemaker::operation::describe_hyper_parameter_tuning_job::DescribeHyperParameterTuningJobOutput as Described;
use binary::Home;
use common::{Stage, ago};
use footplate::app::{Effect, Event, Level};
use footplate::aws::tail::follow;
use footplate::model::{
    Block, Cell, Detail, Form, Item, ItemId, Outcome, Page, Phase, PlotKind, Problem, Range, Safe, Scalar, State, TuningRecipe,
    Verb,
};
use region::{Place, bare, found, order_of, set};
use tokio::sync::{mpsc, watch};

/// Its loss is least where lr is 0.01; told in three epochs.
const BOWL: &str = "import argparse, math\n\
    p = argparse.ArgumentParser()\n\
    p.add_argument('--lr', type=float)\n\
    p.add_argument('--batch', type=int)\n\
    p.add_argument('--epochs', type=int, default=1)\n\
    a = p.parse_args()\n\
    for epoch in range(a.epochs):\n\
    \x20   print(f'loss={abs(math.log10(a.lr) + 2) + a.batch / 1000 + 1 / (epoch + 1):.6f}', flush=True)\n";

/// Prints a lot, but never its loss, and goes on for long.
const SILENT: &str = "import time\n\
    for n in range(600):\n\
    \x20   print(f'step {n}, the loss is 0.5', flush=True)\n\
    \x20   time.sleep(0.1)\n";

fn search() -> TuningRecipe {
    TuningRecipe {
        strategy: "Random".into(),
        max_jobs: 4,
        max_parallel_jobs: 2,
        early_stopping: false,
        objective: "loss".into(),
        maximize: false,
        ranges: vec![
            ("lr".into(), Range::Continuous { min: 0.001, max: 0.1, scaling: "Logarithmic".into() }),
            ("batch".into(), Range::Categorical([32, 64, 128].map(Scalar::Whole).to_vec())),
        ],
        hyperparameters: vec![("epochs".into(), Scalar::Whole(3))],
        entry_point: Some("hpo.py".into()),
        instance_type: None,
        instance_count: None,
        max_runtime_seconds: None,
        max_total_seconds: None,
        seed: Some(7),
        target: None,
        max_not_improving: None,
        warm_start: Vec::new(),
        warm_start_identical: false,
    }
}

/// A region and a project that searches with `python` and trains with BOWL.
async fn place(python: &str) -> Place {
    let mut place = Place::new(BOWL).await;
    std::fs::write(place.recipe.root.join("code/hpo.py"), python).unwrap();
    place.recipe.tuning = Some(search());
    place.recipe.hyperparameters = vec![("batch".into(), Scalar::Whole(8)), ("epochs".into(), Scalar::Whole(2))];
    place
}

async fn launched(place: &Place, changes: &[(&str, &str)]) -> String {
    place.launch(set(place.form("tuning-jobs", Verb::Launch, None).await, changes)).await
}

async fn told(place: &Place, name: &str) -> Described {
    place.aws.sagemaker.describe_hyper_parameter_tuning_job().hyper_parameter_tuning_job_name(name).send().await.unwrap()
}

async fn detail(place: &Place, name: &str) -> Detail {
    found("tuning-jobs").detail(&place.aws, &ItemId(name.to_owned())).await.unwrap()
}

/// The detail, once `wanted` holds for it.
async fn until(place: &Place, name: &str, wanted: impl Fn(&Detail) -> bool) -> Detail {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let detail = detail(place, name).await;
        if wanted(&detail) {
            return detail;
        }
        assert!(Instant::now() < deadline, "{name} is still {:?}", detail.state);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn ended(place: &Place, name: &str) -> Detail {
    until(place, name, |detail| !detail.state.phase.is_live()).await
}

fn objective(item: &Item) -> f64 {
    match item.cells[3] {
        Cell::Number(value) => value,
        _ => f64::NAN,
    }
}

fn text(cell: &Cell) -> &str {
    match cell {
        Cell::Text(text) => text.as_str(),
        other => panic!("no text: {other:?}"),
    }
}

fn texts(detail: &Detail) -> Vec<String> {
    let blocks = detail.blocks.iter();
    blocks
        .filter_map(|block| if let Block::Text { title, text } = block { Some(format!("{title}: {text}")) } else { None })
        .collect()
}

fn fact<'d>(detail: &'d Detail, block: &str, name: &str) -> Option<&'d Cell> {
    detail.blocks.iter().find_map(|known| match known {
        Block::Facts { title, facts } if title.as_str() == block => {
            facts.iter().find(|(known, _)| known.as_str() == name).map(|(_, cell)| cell)
        }
        _ => None,
    })
}

fn said(problems: &[Problem], field: &str) -> String {
    let of = problems.iter().filter(|problem| problem.field == field);
    of.map(|problem| problem.message.to_string()).collect::<Vec<_>>().join("; ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_is_launched_by_the_form_and_its_leaderboard_fills_while_it_runs() {
    let place = place(BOWL).await;
    let form = place.form("tuning-jobs", Verb::Launch, None).await;
    assert_eq!(form.value("ranges"), "lr = 0.001 .. 0.1 log\nbatch = [32, 64, 128]");
    let preview = found("tuning-jobs").preview(&place.aws, &place.recipe, &form).await.unwrap();
    assert_eq!(preview.problems, []);
    let name = place.launch(form).await;
    assert!(name.starts_with("tiny-") && name.len() <= 32, "{name}");

    // What left is what the Python SDK sends, noted in the journal by its name, and tagged.
    let job = told(&place, &name).await;
    let config = job.hyper_parameter_tuning_job_config().unwrap();
    let ranges = config.parameter_ranges().unwrap();
    assert_eq!(ranges.categorical_parameter_ranges()[0].values(), ["\"32\"", "\"64\"", "\"128\""]);
    let lr = &ranges.continuous_parameter_ranges()[0];
    assert_eq!((lr.min_value(), lr.max_value()), (Some("0.001"), Some("0.1")));
    assert_eq!(config.random_seed(), Some(7));
    let fixed = job.training_job_definition().unwrap().static_hyper_parameters().unwrap();
    assert_eq!(
        [&fixed["epochs"], &fixed["sagemaker_program"], &fixed["sagemaker_estimator_class_name"]],
        ["3", "\"hpo.py\"", "\"PyTorch\""]
    );
    let noted: Vec<String> =
        place.witness.intents.lock().unwrap().iter().map(|intent| format!("{} {}", intent.operation, intent.token)).collect();
    assert!(noted.contains(&format!("CreateHyperParameterTuningJob {name}")), "{noted:?}");
    let tags = place.aws.sagemaker.list_tags().resource_arn(job.hyper_parameter_tuning_job_arn().unwrap()).send().await.unwrap();
    let mut tags: Vec<_> = tags.tags().iter().map(|tag| (tag.key().unwrap(), tag.value().unwrap())).collect();
    tags.sort_unstable();
    assert_eq!(tags, [("footplate:order", "order-1"), ("footplate:project", "tiny"), ("team", "vision")]);

    // Live: a result shows while others run or are still to come.
    let live = until(&place, &name, |detail| fact(detail, "best", "best loss").is_some()).await;
    assert!(live.log && live.blocks.iter().any(|block| matches!(block, Block::Plots(_))));
    let last = ended(&place, &name).await;
    assert_eq!(last.state.phase, Phase::Done);

    let trials = place.list("trials", Some(&name)).await;
    assert_eq!(trials.len(), 4);
    let values: Vec<f64> = trials.iter().map(objective).collect();
    assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "best first: {values:?}");
    assert_eq!(
        trials.iter().map(|trial| trial.cells[1].clone()).collect::<Vec<_>>(),
        (1..=4).map(Cell::Count).collect::<Vec<_>>()
    );
    for trial in &trials {
        let values = text(&trial.cells[4]);
        assert!(values.starts_with("batch=") && values.contains(" lr=0.0") && !values.contains('"'), "{values}");
        assert!(matches!((&trial.cells[6], &trial.cells[7]), (Cell::Seconds(_), Cell::Money(_))), "{:?}", trial.cells);
    }
    let best = trials[0].id.as_str();
    assert_eq!(fact(&last, "best", "trial"), Some(&Cell::Text(best.into())));
    let rows = place.list("tuning-jobs", None).await;
    let Cell::Trend { last: Some(shown), values } = &rows[0].cells[2] else { panic!("{:?}", rows[0].cells) };
    assert!(rows[0].container && (*shown - objective(&trials[0])).abs() < 1e-12 && values.last() == Some(shown));
    assert_eq!([text(&rows[0].cells[3]), text(&rows[0].cells[4])], ["4/4", "loss ↓"]);

    let plots = last.blocks.iter().find_map(|block| if let Block::Plots(plots) = block { Some(plots) } else { None }).unwrap();
    let kinds: Vec<PlotKind> = plots.iter().map(|plot| plot.kind).collect();
    assert_eq!(kinds, [PlotKind::StepsDown, PlotKind::Scatter, PlotKind::Scatter, PlotKind::Parallel]);
    for plot in plots {
        let ids: Vec<&ItemId> = plot.dots.iter().map(|dot| &dot.of).collect();
        assert!(trials.iter().all(|trial| ids.contains(&&trial.id)), "a dot for each trial");
        assert_eq!(plot.dots.iter().filter(|dot| dot.best).map(|dot| dot.of.as_str()).collect::<Vec<_>>(), [best]);
    }

    // A trial opens as the training job that it is, and says how it differs from the best.
    let worst = found("trials").detail(&place.aws, &trials[3].id).await.unwrap();
    let Block::Table { head, rows, .. } = &worst.blocks[0] else { panic!("{:?}", worst.blocks[0]) };
    assert_eq!(head.iter().map(Safe::as_str).collect::<Vec<_>>(), ["no. 4 of 4", "this", "best", "difference"]);
    assert_eq!(rows.iter().map(|row| text(&row[0])).collect::<Vec<_>>(), ["loss", "batch", "lr"]);
    assert!(worst.log && worst.metrics.len() == 1);

    // The log of the search is that of all its trials.
    let source = found("tuning-jobs").log(&ItemId(name.clone())).unwrap();
    let (_over, is_over) = watch::channel(true);
    let (out, mut batches) = mpsc::channel(8);
    let follower = tokio::spawn(follow(Arc::clone(&place.aws), source, Vec::new(), is_over, out));
    let (mut lines, mut hosts) = (0, Vec::new());
    while let Some(batch) = batches.recv().await {
        lines += batch.lines.iter().filter(|line| line.text.as_str().starts_with("loss=")).count();
        hosts.extend(batch.hosts.iter().map(ToString::to_string));
    }
    follower.await.unwrap();
    hosts.sort();
    hosts.dedup();
    assert_eq!((lines, hosts), (12, ["001", "002", "003", "004"].map(str::to_owned).to_vec()));

    // A copy asks for the same again.
    let again = place.launch(place.form("tuning-jobs", Verb::Clone, Some(&name)).await).await;
    let twin = told(&place, &again).await;
    assert_eq!(twin.hyper_parameter_tuning_job_config(), job.hyper_parameter_tuning_job_config());
    let without_name = |job: &Described| {
        let mut fixed = job.training_job_definition().unwrap().static_hyper_parameters().unwrap().clone();
        fixed.remove("sagemaker_job_name");
        (fixed, job.training_job_definition().unwrap().input_data_config().to_vec())
    };
    assert_eq!(without_name(&twin), without_name(&job));
    place.run(&bare("tuning-jobs", Verb::Stop, &[&again])).await.unwrap();
    assert_eq!(ended(&place, &again).await.state.word.as_str(), "Stopped");
    let left = place.list("trials", Some(&again)).await;
    assert!(left.iter().all(|trial| !trial.state.phase.is_live()), "its trials are stopped with it");
    place.region.close().await;
}

/// A training job's hyperparameters as they travelled.
async fn sent(place: &Place, job: &str) -> std::collections::HashMap<String, String> {
    let told = place.aws.sagemaker.describe_training_job().training_job_name(job).send().await.unwrap();
    told.hyper_parameters().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_trial_trains_with_its_values_to_the_byte() {
    let place = place(BOWL).await;
    let name = launched(&place, &[]).await;
    ended(&place, &name).await;
    let trials = place.list("trials", Some(&name)).await;
    let best = sent(&place, trials[0].id.as_str()).await;

    // hpo.py searched; train.py trains, with the project's own values for what was not searched.
    let form = place.form("tuning-jobs", Verb::Promote, Some(&name)).await;
    assert_eq!((form.resource.as_str(), form.verb), ("training-jobs", Verb::Clone));
    assert_eq!(form.parent, Some(trials[0].id.clone()));
    assert_eq!(form.title.as_str(), format!("Train with the best of {name}"));
    assert_eq!((form.value("entry_point"), form.value("instance_count")), ("train.py", "1"));
    let job = place.launch(form).await;
    let trained = sent(&place, &job).await;
    assert!(job.starts_with("tiny-20"), "{job}");
    assert_eq!((&trained["lr"], &trained["batch"]), (&best["lr"], &best["batch"]));
    assert_eq!((trained["epochs"].as_str(), trained["sagemaker_program"].as_str()), ("2", "\"train.py\""));
    assert_eq!(place.ended(&job).await, "Completed");

    // In the list of trials it is the selected one, and says its place.
    let second = place.form("trials", Verb::Promote, Some(trials[1].id.as_str())).await;
    assert_eq!(second.title.as_str(), format!("Train with the no. 2 of {name}"));
    assert_eq!(second.parent, Some(trials[1].id.clone()));

    // A search with the training script itself: the very code and all values of the trial, run again.
    let same = launched(&place, &[("entry_point", "train.py"), ("max_jobs", "1"), ("max_parallel_jobs", "1")]).await;
    ended(&place, &same).await;
    let only = place.list("trials", Some(&same)).await.remove(0);
    let form = place.form("tuning-jobs", Verb::Promote, Some(&same)).await;
    assert!(form.value("source_dir").starts_with("s3://"), "{}", form.value("source_dir"));
    let again = sent(&place, &place.launch(form).await).await;
    let of = sent(&place, only.id.as_str()).await;
    for key in ["lr", "batch", "epochs", "sagemaker_submit_directory", "sagemaker_program"] {
        assert_eq!(again[key], of[key], "{key}");
    }
    assert!(!again.contains_key("_tuning_objective_metric"));
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_regex_that_matches_nothing_is_told_while_the_first_trial_runs() {
    let place = place(SILENT).await;
    let name = launched(&place, &[]).await;
    let detail = until(&place, &name, |detail| !texts(detail).is_empty()).await;
    assert!(detail.state.phase.is_live());
    let told = texts(&detail).remove(0);
    assert!(
        told.starts_with("worth knowing: Nothing in the ")
            && told.contains("'loss=([0-9.]+)'")
            && told.contains("the loss is 0.5"),
        "{told}"
    );
    let running = place.list("trials", Some(&name)).await;
    assert!(running.iter().all(|trial| trial.state.phase.is_live()), "it is said while the first trials run: {running:?}");

    // One trial stopped by hand does not end the search; stopping the search ends them all.
    let first = running.iter().find(|trial| trial.state.phase == Phase::Active).unwrap().id.0.clone();
    place.run(&bare("trials", Verb::Stop, &[&first])).await.unwrap();
    assert_eq!(place.ended(&first).await, "Stopped");
    assert!(detail_live(&place, &name).await);
    place.run(&bare("tuning-jobs", Verb::Stop, &[&name])).await.unwrap();
    assert_eq!(ended(&place, &name).await.state.phase, Phase::Stopped);
    assert!(place.list("trials", Some(&name)).await.iter().all(|trial| !trial.state.phase.is_live()));
    let nothing = found("tuning-jobs").form(&place.aws, &place.recipe, Verb::Promote, Some(&ItemId(name))).await.unwrap_err();
    assert!(nothing.what.as_str().contains("has a result"), "{nothing}");
    place.region.close().await;
}

async fn detail_live(place: &Place, name: &str) -> bool {
    detail(place, name).await.state.phase.is_live()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_work_is_said_before_and_what_fails_says_why() {
    let place = place("raise SystemExit('no such breed')\n").await;
    let form = |changes: &'static [(&'static str, &'static str)]| {
        let place = &place;
        async move { set(place.form("tuning-jobs", Verb::Launch, None).await, changes) }
    };
    let previewed = async |form: &Form| found("tuning-jobs").preview(&place.aws, &place.recipe, form).await.unwrap().problems;

    let band = form(&[("strategy", "Hyperband")]).await;
    let told = previewed(&band).await;
    assert!(said(&told, "strategy").contains("does not run Hyperband; use Bayesian"), "{told:?}");
    let refused = place.run(&order_of(band, &[])).await.unwrap_err();
    assert!(refused.what.as_str().contains("Hyperband"), "{refused}");
    let inverted = form(&[("ranges", "lr = 0.1 .. 0.001")]).await;
    let refused = place.run(&order_of(inverted, &[])).await.unwrap_err();
    assert!(refused.what.as_str().contains("write 0.001 .. 0.1"), "{refused}");
    let silent = previewed(&form(&[("metrics", "loss = nobody prints ([0-9.]+)")]).await).await;
    assert!(said(&silent, "metrics").contains("nothing to tune by"), "{silent:?}");
    std::fs::write(place.recipe.root.join("code/once.py"), "train()\nprint(f'loss={loss}')\n").unwrap();
    let once = previewed(&form(&[("entry_point", "once.py"), ("early_stopping", "yes")]).await).await;
    assert!(said(&once, "early_stopping").contains("printed once, at the end"), "{once:?}");
    let lacking = footplate::model::Recipe { tuning: None, ..place.recipe.clone() };
    let lacking = found("tuning-jobs").form(&place.aws, &lacking, Verb::Launch, None).await.unwrap_err();
    assert!(lacking.hint.as_str().contains("[tuning.ranges]"), "{lacking}");

    // Two at once have names of their own.
    let (one, other) = (launched(&place, &[]).await, launched(&place, &[("name", "a-rather-long-name")]).await);
    assert!(one != other && other.starts_with("a-rather-long-n") && other.len() <= 32, "{one} {other}");
    let over = ended(&place, &one).await;
    assert_eq!(over.state.phase, Phase::Failed);
    let told = texts(&over).join("\n");
    assert!(told.contains("why it failed:") && told.contains("no such breed"), "{told}");
    ended(&place, &other).await;
    let rows = place.list("trials", Some(&one)).await;
    assert!(rows.iter().all(|row| row.state.phase == Phase::Failed && row.cells[1] == Cell::Absent), "{rows:?}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_written_as_csv_or_json_and_never_over_a_file() {
    let place = place(BOWL).await;
    let name = launched(&place, &[]).await;
    ended(&place, &name).await;
    let trials = place.list("trials", Some(&name)).await;
    let form = place.form("trials", Verb::Export, Some(trials[2].id.as_str())).await;
    assert_eq!(form.value("path"), format!("{name}.csv"));
    let written = |form: Form| {
        let place = &place;
        async move { place.run(&order_of(form, &[])).await.map(|outcome| matches!(outcome, Outcome::Said(_))) }
    };
    assert!(written(form.clone()).await.unwrap());
    let path = place.recipe.root.join(format!("{name}.csv"));
    let table = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(
        rows[0],
        "batch,lr,TrainingJobName,TrainingJobStatus,FinalObjectiveValue,TrainingStartTime,TrainingEndTime,TrainingElapsedTimeSeconds,BillableTimeInSeconds,CostUSD"
    );
    assert_eq!(rows.len(), 5);
    assert!(rows[1].contains(trials[0].id.as_str()) && !rows[1].contains('"'), "best first, decoded: {}", rows[1]);
    let again = written(form.clone()).await.unwrap_err();
    assert!(again.what.as_str().contains("cannot write") && again.hint.as_str().contains("nothing was written"), "{again}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), table);
    let preview = found("trials").preview(&place.aws, &place.recipe, &form).await.unwrap();
    assert!(said(&preview.problems, "path").contains("there already"));
    let whole = place.form("tuning-jobs", Verb::Export, Some(&name)).await;
    assert!(written(set(whole, &[("path", "trials.json")])).await.unwrap());
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(place.recipe.root.join("trials.json")).unwrap()).unwrap();
    assert_eq!(json.as_array().unwrap().len(), 4);
    assert!(json[0]["batch"].is_u64() && json[0]["lr"].is_f64() && json[0]["FinalObjectiveValue"].is_f64(), "{}", json[0]);
    place.region.close().await;
}

fn row(id: &str, phase: Phase, container: bool, cells: usize) -> Item {
    let state = State { phase, word: "InProgress".into() };
    let mut all = vec![Cell::Absent; cells];
    all[0] = Cell::Text(id.into());
    Item { id: ItemId(id.to_owned()), state, cells: all, container, per_hour: None }
}

/// The cockpit with a tuning job and its three trials, Enter pressed on the tuning job.
fn inside() -> Stage {
    let mut stage = Stage::new(120, 40);
    stage.app.active = stage.app.panes.iter().position(|pane| pane.spec.id == "tuning-jobs").unwrap();
    stage.listed("tuning-jobs", vec![row("digits-1", Phase::Active, true, 9)]);
    stage.press("Enter");
    let list = Effect::List { resource: "trials".into(), scope: Some(ItemId("digits-1".into())) };
    assert!(stage.asks(|effect| *effect == list), "{:?}", stage.effects);
    let mut items: Vec<Item> = (1..=3).map(|n| row(&format!("digits-1-00{n}-0123abcd"), Phase::Done, false, 9)).collect();
    for (at, item) in items.iter_mut().enumerate() {
        item.cells[1] = Cell::Count(at as u64 + 1);
        item.cells[8] = Cell::Time(ago(60));
    }
    let page = Page { items, whole: true, more: false };
    stage.send(Event::Listed { resource: "trials".into(), scope: Some(ItemId("digits-1".into())), page });
    stage
}

#[test]
fn enter_opens_the_trials_and_a_trial_and_esc_leads_back() {
    let mut stage = inside();
    assert_eq!(stage.app.pane().spec.id, "trials");
    assert_eq!(stage.app.selected().unwrap().id.as_str(), "digits-1-001-0123abcd");
    stage.press("j Enter");
    assert_eq!((stage.app.level, stage.app.selected().unwrap().id.as_str()), (Level::Inside, "digits-1-002-0123abcd"));
    stage.press("Esc Esc");
    assert_eq!((stage.app.pane().spec.id, stage.app.level), ("tuning-jobs", Level::List));
}

#[test]
fn b_is_about_the_tuning_job_the_selected_trial_or_the_marked_one() {
    let mut stage = inside();
    let asked = |stage: &Stage| match stage.effects.iter().find(|effect| matches!(effect, Effect::Form { .. })) {
        Some(Effect::Form { resource, verb: Verb::Promote, target: Some(id) }) => format!("{resource} {}", id.as_str()),
        other => panic!("{other:?}"),
    };
    stage.press("j b");
    assert_eq!(asked(&stage), "trials digits-1-002-0123abcd");
    stage.app.forming = false;
    // Space marks the second and goes on to the third.
    stage.press("space b");
    assert_eq!(asked(&stage), "trials digits-1-002-0123abcd");
    stage.app.forming = false;
    stage.press("Esc Esc b");
    assert_eq!(asked(&stage), "tuning-jobs digits-1");
}

#[test]
fn on_the_command_line_a_search_is_told_trial_by_trial_and_its_best_is_trained() {
    let home = Home::new();
    home.project("");
    home.write("code/train.py", BOWL);
    let project = std::fs::read_to_string(home.path("footplate.toml")).unwrap();
    let search = "\n[tuning]\nstrategy = \"Random\"\nmax_jobs = 3\nmax_parallel_jobs = 3\nseed = 1\n[tuning.ranges]\nlr = { min = 0.001, max = 0.1 }\nbatch = [32, 64]\n[tuning.hyperparameters]\nepochs = 1\n";
    home.write("footplate.toml", format!("{project}{search}"));
    home.run(&["tune", "--local", "--dry-run"]).expect(0, &["HyperParameterTuningJobName", "at most"]);
    home.run(&["tune", "--local", "--set", "ranges=lr = 1 .. 0"]).expect(2, &["write 0 .. 1", "nothing was sent"]);
    home.run(&["tune", "--local", "--set", "ranges.batch=[32, 32]"]).expect(2, &["the value 32 twice"]);
    let ran = home.run(&["tune", "--local", "--wait", "--name", "small"]);
    ran.expect(0, &["small-", "best: small-", "batch=", "lr=0.0", "Completed", "footplate --local train --trial small-"]);
    let best = ran.out.lines().last().unwrap().split_whitespace().nth(1).unwrap().to_owned();
    let name = best[..best.len() - 13].to_owned();
    let list = home.run(&["ls", "trials", &name, "--local", "--csv"]);
    list.expect(0, &["id,name,rank,state,objective,values", &best]);
    assert_eq!(list.out.lines().nth(1).unwrap().split(',').next(), Some(best.as_str()), "best first: {}", list.out);
    home.run(&["ls", "trials", "--local"]).expect(2, &["footplate --local ls trials TUNING_JOB"]);
    let shown: serde_json::Value =
        serde_json::from_str(&home.run(&["show", "tuning-jobs", &name, "--local", "--json"]).out).unwrap();
    assert_eq!(shown["best"]["trial"], best);
    let trained = home.run(&["train", "--local", "--wait", "--best-of", &name, "--json"]);
    trained.expect(0, &["Completed"]);
    let job: serde_json::Value = serde_json::from_str(&trained.out).unwrap();
    let job: serde_json::Value =
        serde_json::from_str(&home.run(&["show", "training-jobs", job["name"].as_str().unwrap(), "--local", "--json"]).out)
            .unwrap();
    for key in ["lr", "batch"] {
        assert_eq!(job["hyperparameters"][key], shown["best"][key], "{key}");
    }
    home.run(&["train", "--local", "--best-of", "nobody"]).expect(1, &["nobody"]);
}
