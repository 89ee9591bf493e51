//! Laws that every kind of thing in the registry keeps: what the UI, the command line and the IAM policy rely on without
//! knowing the kinds.

#[path = "common/region.rs"]
mod region;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use footplate::aws::guard::{Effect, OPERATIONS};
use footplate::config::action::{Action, entry};
use footplate::model::{Failure, FailureKind, InstanceRecipe, ItemId, Order, Outcome, Phase, Range, Settled, TuningRecipe, Verb};
use footplate::resource::{self, ALL};
use region::{Place, bare, found, order_of, set};

/// A machine that the account may have.
fn machine() -> InstanceRecipe {
    InstanceRecipe { instance_type: "t3.medium".into(), lease_seconds: 3600, ..InstanceRecipe::usual("train.py") }
}

/// Leaves a model, so that there is something to deploy.
const SCRIPT: &str = "import os\nopen(os.path.join(os.environ['SM_MODEL_DIR'], 'weights'), 'w').close()\nprint('loss=0.5')\n";

/// A search with the training script, as small as it can be.
fn search() -> TuningRecipe {
    TuningRecipe {
        strategy: "Random".into(),
        max_jobs: 2,
        max_parallel_jobs: 2,
        early_stopping: false,
        objective: "loss".into(),
        maximize: false,
        ranges: vec![("lr".into(), Range::Continuous { min: 0.001, max: 0.1, scaling: "Auto".into() })],
        hyperparameters: Vec::new(),
        entry_point: None,
        instance_type: None,
        instance_count: None,
        max_runtime_seconds: None,
        max_total_seconds: None,
        seed: Some(1),
        target: None,
        max_not_improving: None,
        warm_start: Vec::new(),
        warm_start_identical: false,
    }
}

/// Launches a search, waits for its end, and gives its name and that of a trial.
async fn searched(place: &Place) -> (String, String) {
    let tuning = place.launch(place.form("tuning-jobs", Verb::Launch, None).await).await;
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let trials = place.list("trials", Some(&tuning)).await;
        if trials.len() == 2 && trials.iter().all(|trial| trial.state.phase == Phase::Done) {
            return (tuning, trials[0].id.0.clone());
        }
        assert!(Instant::now() < deadline, "{trials:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// What a verb can be tried on, by resource.
struct Targets {
    job: String,
    tuning: String,
    trial: String,
    endpoint: String,
    instance: String,
}

impl Targets {
    fn of<'a>(&'a self, resource: &str) -> &'a str {
        match resource {
            "training-jobs" => &self.job,
            "tuning-jobs" => &self.tuning,
            "trials" => &self.trial,
            "endpoints" => &self.endpoint,
            "notebooks" => "notebook/law",
            "instances" => &self.instance,
            _ => "s3://sagemaker-us-east-1-000000000000/tiny/data/train/",
        }
    }
}

#[test]
fn ids_and_titles_are_unique_and_found() {
    let ids: HashSet<_> = ALL.iter().map(|it| it.spec().id).collect();
    let titles: HashSet<_> = ALL.iter().map(|it| it.spec().title).collect();
    assert_eq!((ids.len(), titles.len()), (ALL.len(), ALL.len()));
    for it in ALL {
        assert_eq!(resource::find(it.spec().id).map(|found| found.spec().id), Some(it.spec().id));
        assert!(!it.spec().singular.is_empty() && it.spec().empty.ends_with('.'), "{}", it.spec().id);
    }
}

#[test]
fn every_verb_has_a_key_and_help_and_a_warning_where_it_is_asked() {
    for it in ALL {
        let verbs: HashSet<_> = it.spec().verbs.iter().collect();
        assert_eq!(verbs.len(), it.spec().verbs.len(), "{} lists a verb twice", it.spec().id);
        for verb in it.spec().verbs {
            let row = entry(Action::Verb(*verb)).unwrap_or_else(|| panic!("{} has no row", verb.name()));
            assert!(!row.keys.is_empty() && !row.help.is_empty() && !verb.help().is_empty(), "{}", verb.name());
            let asked = verb.confirm() != footplate::model::Confirm::None;
            assert_eq!(asked, !(it.spec().warns)(*verb).is_empty(), "{} {}", it.spec().id, verb.name());
        }
    }
}

#[test]
fn columns_can_be_dropped_and_one_grows() {
    for it in ALL {
        let spec = it.spec();
        assert_eq!(spec.columns.iter().filter(|column| column.grows).count(), 1, "{}", spec.id);
        assert_eq!(spec.columns[0].rank, 0, "{}: the name is never dropped", spec.id);
        assert!(spec.sort.0 < spec.columns.len(), "{}", spec.id);
        let titles: HashSet<_> = spec.columns.iter().map(|column| column.title).collect();
        assert_eq!(titles.len(), spec.columns.len());
        assert!(spec.columns.iter().all(|column| column.title == column.title.to_uppercase()));
        // 40 columns are the least that a terminal has.
        let least: u16 = spec.columns.iter().filter(|column| column.rank == 0 && !column.grows).map(|column| column.width).sum();
        assert!(least <= 20, "{}: {least} columns cannot be dropped", spec.id);
        assert!(spec.poll.live <= spec.poll.still && spec.poll.live > 0);
    }
}

/// The IAM action of an operation: <https://docs.aws.amazon.com/service-authorization/latest/reference/>.
fn action_of(service: &str, operation: &str) -> String {
    match (service, operation) {
        ("STS", _) => format!("sts:{operation}"),
        ("SageMaker" | "SageMaker Runtime", _) => format!("sagemaker:{operation}"),
        ("CloudWatch Logs", _) => format!("logs:{operation}"),
        ("CloudWatch", _) => format!("cloudwatch:{operation}"),
        ("Service Quotas", _) => format!("servicequotas:{operation}"),
        ("Pricing", _) => format!("pricing:{operation}"),
        ("EC2", _) => format!("ec2:{operation}"),
        ("EC2 Instance Connect", _) => format!("ec2-instance-connect:{operation}"),
        ("S3", "ListBuckets") => "s3:ListAllMyBuckets".into(),
        ("S3", "ListObjectsV2" | "HeadBucket") => "s3:ListBucket".into(),
        ("S3", "ListMultipartUploads") => "s3:ListBucketMultipartUploads".into(),
        ("S3", "HeadObject" | "GetObject") => "s3:GetObject".into(),
        ("S3", "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload") => "s3:PutObject".into(),
        ("S3", "DeleteObjects") => "s3:DeleteObject".into(),
        ("S3", "ListParts") => "s3:ListMultipartUploadParts".into(),
        ("S3", _) => format!("s3:{operation}"),
        _ => panic!("{service} is not in the table"),
    }
}

#[test]
fn the_policy_holds_what_the_guard_lets_out_and_no_more() {
    let listed: HashSet<&str> = ALL.iter().flat_map(|it| it.spec().iam).copied().collect();
    let sent: HashSet<String> = OPERATIONS.iter().map(|(service, operation, _)| action_of(service, operation)).collect();
    for action in &sent {
        assert!(listed.contains(action.as_str()), "{action} is sent, but no spec asks for it");
    }
    // Not operations of ours: what CreateTrainingJob needs for its role and its tags, what RunInstances needs to look up a
    // parameter, and the websocket of a tunnel.
    let implied = ["iam:PassRole", "sagemaker:AddTags", "ssm:GetParameters", "ec2-instance-connect:OpenTunnel"];
    for action in listed {
        assert!(sent.contains(action) || implied.contains(&action), "{action} is asked for, but never used");
    }
    assert!(ALL.iter().all(|it| !it.spec().iam.is_empty()));
}

/// Waits until one can log in: a machine runs before its SSH server does.
async fn listens(place: &Place, id: &ItemId) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(2);
    // Nobody is asked: the console vouches for the host key.
    let ask: resource::Ask = std::sync::Arc::new(|_| Box::pin(async { false }));
    let door = found("instances").door(std::sync::Arc::clone(&place.aws), id.clone(), ask).await.unwrap();
    while let Err(failure) = footplate::ssh::Connection::open(&door.login, &*door.doorman).await {
        assert!(failure.kind == FailureKind::Network && std::time::Instant::now() < deadline, "{failure}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_of_every_resource_works_on_the_local_region() {
    let mut place = Place::new(SCRIPT).await.serving();
    place.recipe.tuning = Some(search());
    let mut done = HashSet::new();
    let job = place.launch_with(&[]).await;
    let (tuning, trial) = searched(&place).await;
    place.notebook("kept", "InService").await;
    let mut targets = Targets { job, tuning, trial, endpoint: String::new(), instance: String::new() };
    place.recipe.instance = Some(machine());
    // What is done to data ends with its deletion, and the others train on it.
    let mut all = ALL.to_vec();
    all.sort_by_key(|it| it.spec().id == "data");
    // What can be done to runs is tried where there are some.
    all.retain(|it| it.spec().id != "runs");
    for it in all {
        let spec = it.spec();
        for verb in spec.verbs {
            let target = targets.of(spec.id).to_owned();
            let target = target.as_str();
            place.witness.intents.lock().unwrap().clear();
            let outcome = if *verb == Verb::Logs && it.log(&ItemId(target.to_owned())).is_none() {
                // Not in CloudWatch, but read all the same.
                let (_ended, is_ended) = tokio::sync::watch::channel(true);
                let (out, mut batches) = tokio::sync::mpsc::channel(16);
                let follower =
                    it.follow(std::sync::Arc::clone(&place.aws), &ItemId(target.to_owned()), Vec::new(), is_ended, out);
                let reading = tokio::spawn(follower.expect("it has a log"));
                assert!(batches.recv().await.is_some(), "{}", spec.id);
                reading.abort();
                continue;
            } else if *verb == Verb::Train {
                // A form of runs, which are tried where there are some.
                assert_eq!(place.form(spec.id, *verb, Some(target)).await.resource, "runs");
                continue;
            } else if *verb == Verb::Shell {
                listens(&place, &ItemId(target.to_owned())).await;
                continue;
            } else if *verb == Verb::Logs {
                // One thing's log is not another's whose name begins like it: the prefix ends, or the group is its own; a
                // tuning job's log is that of its trials.
                let end = if spec.id == "tuning-jobs" { '-' } else { '/' };
                let own = |source: footplate::model::LogSource| {
                    source.prefix.ends_with(end) || source.group.ends_with(&format!("/{target}"))
                };
                assert!(it.log(&ItemId(target.to_owned())).is_some_and(own));
                continue;
            } else if verb.has_form() {
                if *verb == Verb::Deploy && spec.id == "training-jobs" {
                    place.ended(target).await;
                }
                let form = place.form(spec.id, *verb, spec.needs_row(*verb).then_some(target)).await;
                // The form may be another resource's: a trial is promoted by a training job's, a model is deployed by an endpoint's.
                let owner = found(&form.resource);
                assert!(form.resource != spec.id || form.verb == *verb);
                assert!(owner.spec().verbs.contains(&form.verb) || form.verb == Verb::Deploy);
                assert!(form.fields.iter().all(|field| !field.help.is_empty() && field.initial == field.value));
                let form = match verb {
                    // Two kinds write the same table; no file is written over.
                    Verb::Export => set(form, &[("path", &format!("{}.csv", spec.id))]),
                    Verb::Update if spec.id == "instances" => set(form, &[("lease", "2h")]),
                    Verb::Upload if spec.id == "instances" => set(form, &[("source", "data"), ("target", "~/laws/")]),
                    Verb::Download if spec.id == "instances" => set(form, &[("source", "~/laws/data")]),
                    Verb::Update => set(form, &[("instance_count", "2")]),
                    _ => form,
                };
                assert_eq!((owner.spec().check)(&form), [], "{} {}", spec.id, verb.name());
                let shown = owner.preview(&place.aws, &place.recipe, &form).await.unwrap();
                assert!(shown.problems.iter().all(|problem| !problem.fatal), "{:?}", shown.problems);
                assert!(
                    !shown.facts.is_empty() && shown.facts.iter().all(|(name, _)| name.as_str() == name.as_str().to_lowercase())
                );
                assert!(place.witness.intents.lock().unwrap().is_empty(), "a preview changes nothing");
                let deadline = std::time::Instant::now() + std::time::Duration::from_mins(2);
                loop {
                    let outcome = place.run(&order_of(form.clone(), &[target])).await;
                    // Just rebooted, its timer can be told once its SSH server is there again.
                    let boots = spec.id == "instances" && *verb == Verb::Update;
                    if !boots || outcome.as_ref().err().is_none_or(|failure| failure.kind != FailureKind::Network) {
                        break outcome;
                    }
                    assert!(std::time::Instant::now() < deadline, "{outcome:?}");
                    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                }
            } else {
                match (spec.id, *verb) {
                    ("training-jobs", Verb::Stop) => drop(place.ended(target).await),
                    ("notebooks", Verb::Stop | Verb::Open) => place.notebook("law", "InService").await,
                    ("notebooks", _) => place.notebook("law", "Stopped").await,
                    ("instances", Verb::Start) => {
                        place.run(&bare("instances", Verb::Stop, &[target])).await.unwrap();
                        place.instance(target, "stopped").await;
                    }
                    ("instances", Verb::Reboot) => {
                        place.instance(target, "stopped").await;
                        place.run(&bare("instances", Verb::Start, &[target])).await.unwrap();
                        place.instance(target, "running").await;
                    }
                    ("instances", _) => place.instance(target, "running").await,
                    _ => {}
                }
                place.run(&bare(spec.id, *verb, &[target])).await
            };
            match outcome {
                Ok(outcome) => {
                    assert!(!outcome.said().is_empty());
                    let made = outcome.clone();
                    if let Outcome::Made { id, .. } = outcome
                        && (*verb == Verb::Deploy || spec.id == "endpoints")
                    {
                        targets.endpoint = id.0.clone();
                    }
                    if let Outcome::Made { id, .. } = made
                        && spec.id == "instances"
                        && *verb == Verb::Launch
                    {
                        place.instance(&id.0, "running").await;
                        listens(&place, &id).await;
                        targets.instance = id.0;
                    }
                }
                // The job has ended already; that stopping works is shown in aws_local.rs.
                Err(failure) if *verb == Verb::Stop => assert_eq!(failure.kind, FailureKind::Conflict, "{failure}"),
                Err(failure) => panic!("{} {}: {failure}", spec.id, verb.name()),
            }
            let noted = !place.witness.intents.lock().unwrap().is_empty();
            // Uploading what is there already sends nothing.
            assert!(noted == verb.mutates() || *verb == Verb::Upload, "{} {}: noted {noted}", spec.id, verb.name());
            done.insert((spec.id, *verb));
        }
        let (first, scope) = match spec.id {
            "data" => (None, Some("s3://sagemaker-us-east-1-000000000000/")),
            "trials" => (Some(targets.tuning.as_str()), None),
            _ => (None, None),
        };
        for items in [place.list(spec.id, first).await, place.list(spec.id, scope.or(first)).await] {
            assert!(!items.is_empty(), "{}", spec.id);
            for item in items {
                assert_eq!(item.cells.len(), spec.columns.len(), "{} {}", spec.id, item.id.as_str());
                let detail = it.detail(&place.aws, &item.id).await.unwrap();
                assert!(detail.id == item.id && !detail.blocks.is_empty());
            }
        }
    }
    assert_eq!(
        done.len(),
        ALL.iter()
            .filter(|it| it.spec().id != "runs")
            .map(|it| it.spec().verbs.iter().filter(|verb| !matches!(verb, Verb::Logs | Verb::Shell | Verb::Train)).count())
            .sum::<usize>()
    );
    let settled = place.witness.settled.lock().unwrap().clone();
    // Stopping what has ended is refused, once for each that can be stopped.
    let stops = ALL.iter().filter(|it| it.spec().verbs.contains(&Verb::Stop)).count();
    assert!(settled.iter().filter(|end| **end != Settled::Done).count() <= stops, "{settled:?}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_is_what_is_sent_and_comes_back_through_clone() {
    let place = Place::new(SCRIPT).await;
    let typed = [
        ("name", "other"),
        ("instance_type", "ml.m5.xlarge"),
        ("instance_count", "2"),
        ("max_runtime", "1234s"),
        ("volume_gb", "41"),
        ("hyperparameters", "lr = 1e-05\nnote = dog = breeds\nquoted = \"0.5\"\nlist = [1, 2]"),
        ("metrics", "val:loss = loss=([0-9.]+)"),
        ("environment", "MODE = fast"),
        ("spot", "yes"),
        ("max_wait", "2h"),
        ("subnets", "subnet-1 subnet-2"),
        ("security_groups", "sg-1"),
        ("volume_kms_key", "key-v"),
        ("output_kms_key", "key-o"),
        ("encrypt_traffic", "yes"),
    ];
    let form = set(place.form("training-jobs", Verb::Launch, None).await, &typed);
    let job = place.launch(form.clone()).await;
    let told = place.aws.sagemaker.describe_training_job().training_job_name(&job).send().await.unwrap();
    let sent = told.hyper_parameters().unwrap();
    assert!(job.starts_with("other-"));
    assert_eq!([&sent["lr"], &sent["note"], &sent["quoted"], &sent["list"]], ["1e-05", "\"dog = breeds\"", "\"0.5\"", "[1, 2]"]);
    let resources = told.resource_config().unwrap();
    assert_eq!((resources.instance_count(), resources.volume_size_in_gb()), (Some(2), Some(41)));
    let limits = told.stopping_condition().unwrap();
    assert_eq!((limits.max_runtime_in_seconds(), limits.max_wait_time_in_seconds()), (Some(1234), Some(7200)));
    let (vpc, spot) = (told.vpc_config().unwrap(), told.enable_managed_spot_training());
    assert_eq!(
        (vpc.subnets(), vpc.security_group_ids()),
        (&["subnet-1".to_owned(), "subnet-2".to_owned()][..], &["sg-1".to_owned()][..])
    );
    assert_eq!((spot, told.enable_inter_container_traffic_encryption()), (Some(true), Some(true)));
    let keys = (resources.volume_kms_key_id(), told.output_data_config().unwrap().kms_key_id());
    assert_eq!(keys, (Some("key-v"), Some("key-o")));
    assert_eq!(told.environment().unwrap()["MODE"], "fast");
    let tags = place.aws.sagemaker.list_tags().resource_arn(told.training_job_arn().unwrap()).send().await.unwrap();
    let mut tags: Vec<_> = tags.tags().iter().map(|tag| (tag.key().unwrap(), tag.value().unwrap())).collect();
    tags.sort_unstable();
    assert_eq!(tags, [("footplate:order", "order-1"), ("footplate:project", "tiny"), ("team", "vision")]);

    // The copy, with nothing changed, asks for the same again.
    let clone = place.form("training-jobs", Verb::Clone, Some(&job)).await;
    let same = [
        "name",
        "instance_type",
        "instance_count",
        "max_runtime",
        "volume_gb",
        "metrics",
        "environment",
        "entry_point",
        "spot",
        "max_wait",
        "subnets",
        "volume_kms_key",
        "encrypt_traffic",
    ];
    for name in same {
        assert_eq!(clone.value(name), form.value(name), "{name}");
    }
    let twin = place.launch(clone).await;
    let told_twin = place.aws.sagemaker.describe_training_job().training_job_name(&twin).send().await.unwrap();
    let own = |all: &std::collections::HashMap<String, String>| {
        let mut all = all.clone();
        all.remove("sagemaker_job_name");
        all
    };
    assert_eq!(own(told_twin.hyper_parameters().unwrap()), own(sent));
    assert_eq!(told_twin.resource_config(), told.resource_config());
    assert_eq!(told_twin.input_data_config(), told.input_data_config());
    assert_eq!(told_twin.algorithm_specification(), told.algorithm_specification());
    assert_eq!(told_twin.output_data_config(), told.output_data_config());
    assert_eq!(told_twin.stopping_condition(), told.stopping_condition());
    assert_eq!((told_twin.vpc_config(), told_twin.enable_managed_spot_training()), (told.vpc_config(), Some(true)));
    let again = place.form("training-jobs", Verb::Clone, Some(&twin)).await;
    let values = |form: &footplate::model::Form| form.fields.iter().map(|field| field.value.clone()).collect::<Vec<_>>();
    assert_eq!(values(&again), values(&place.form("training-jobs", Verb::Clone, Some(&job)).await));
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_without_order_or_ledger_or_in_read_only_mode() {
    let mut place = Place::new(SCRIPT).await.serving();
    place.recipe.tuning = Some(search());
    let job = place.launch_with(&[]).await;
    place.ended(&job).await;
    let endpoint = place.launch(place.form("training-jobs", Verb::Deploy, Some(&job)).await).await;
    let (tuning, trial) = searched(&place).await;
    place.recipe.instance = Some(machine());
    let instance = place.launch(place.form("instances", Verb::Launch, None).await).await;
    let targets = Targets { job, tuning, trial, endpoint, instance };
    // So that an upload has something to send.
    std::fs::write(place.recipe.root.join("data/b.csv"), "3,4\n").unwrap();
    let (free, locked, unnoted) = (place.with(false, true).await, place.with(true, true).await, place.with(false, false).await);
    // What is done inside of a machine, over SSH, the account knows nothing of.
    let inside = |id: &str, verb: Verb| matches!(verb, Verb::Shell | Verb::Train) || (id == "instances" && verb == Verb::Upload);
    for it in ALL.iter().filter(|it| it.spec().id != "runs") {
        let spec = it.spec();
        for verb in spec.verbs.iter().filter(|verb| verb.mutates() && !inside(spec.id, **verb)) {
            let target = targets.of(spec.id);
            // One that runs is not started again, and changes nothing.
            let starts = (spec.id, *verb) == ("instances", Verb::Start);
            if starts {
                place.instance(target, "running").await;
                place.run(&bare("instances", Verb::Stop, &[target])).await.unwrap();
            }
            let order: Order = if verb.has_form() {
                let form = place.form(spec.id, *verb, spec.needs_row(*verb).then_some(target)).await;
                let changes: &[(&str, &str)] = match (spec.id, *verb) {
                    ("instances", Verb::Update) => &[("lease", "2h")],
                    (_, Verb::Update) => &[("instance_count", "2")],
                    _ => &[],
                };
                order_of(set(form, changes), &[target])
            } else {
                bare(spec.id, *verb, &[target])
            };
            place.wire.forget();
            let run = |aws: std::sync::Arc<footplate::aws::Aws>| {
                let (recipe, order) = (place.recipe.clone(), order.clone());
                async move { found(&order.resource).run(&aws, &recipe, &order, &|_| {}).await }
            };
            let ordered = |aws| footplate::aws::with_order("order-2".to_owned(), run(aws));
            let refused = |what: &str, result: Result<Outcome, Failure>| {
                let failure = result.expect_err(&format!("{} {} {what}", spec.id, verb.name()));
                assert_eq!(failure.kind, FailureKind::Refused, "{what}: {failure}");
            };
            refused("without an order", run(place.aws.clone()).await);
            refused("without an order", run(free.clone()).await);
            refused("read-only", ordered(locked.clone()).await);
            refused("without a journal", ordered(unnoted.clone()).await);
            assert_eq!(place.wire.changes(), [] as [String; 0], "{} {}", spec.id, verb.name());
            if starts {
                place.run(&order).await.unwrap();
                place.instance(target, "running").await;
            }
        }
    }
    assert!(OPERATIONS.iter().any(|(_, _, effect)| *effect == Effect::Changes));
    place.region.close().await;
}
