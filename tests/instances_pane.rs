//! The Instances pane as a user has it, against the real local region: launch, look, log in, extend, stop, terminate; and
//! what is refused before it costs anything.

#[path = "common/region.rs"]
mod region;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use footplate::aws::with_order;
use footplate::model::{Block, Cell, Detail, FailureKind, FieldKind, Form, Item, ItemId, Outcome, Phase, Preview, Verb};
use footplate::resource::Door;
use footplate::ssh::Connection;
use region::{Place, bare, found, order_of, set};
use tokio::sync::{mpsc, watch};

const SEED: &str = "Deep Learning AMI GPU PyTorch 1.13.1 (Ubuntu 20.04) 20230315";

/// The launch form with a small machine, and these changes.
async fn small(place: &Place, changes: &[(&str, &str)]) -> Form {
    let form = place.form("instances", Verb::Launch, None).await;
    set(set(form, &[("instance_type", "t3.medium"), ("name", "try"), ("lease", "2h")]), changes)
}

/// Looks as a cockpit does: again, as long as there is more to read.
async fn looked(place: &Place, form: &Form) -> Preview {
    for _ in 0..20 {
        let preview = found("instances").preview(&place.aws, &place.recipe, form).await.unwrap();
        if !preview.more {
            return preview;
        }
    }
    panic!("the look has no end");
}

fn fact(preview: &Preview, name: &str) -> String {
    let found = preview.facts.iter().find(|(known, _)| known.as_str() == name);
    found.unwrap_or_else(|| panic!("no {name}: {:?}", preview.facts)).1.to_string()
}

/// The one fatal problem: its field and what it says.
fn fatal(preview: &Preview) -> (String, String) {
    let all: Vec<_> = preview.problems.iter().filter(|problem| problem.fatal).collect();
    let [one] = &all[..] else { panic!("{:?}", preview.problems) };
    (one.field.clone(), one.message.to_string())
}

async fn row(place: &Place, id: &str) -> Item {
    let rows = place.list("instances", None).await;
    rows.iter().find(|row| row.id.0 == id).cloned().unwrap_or_else(|| panic!("no {id}: {rows:?}"))
}

/// Waits until the instance is in that state.
async fn until(place: &Place, id: &str, word: &str) {
    let deadline = Instant::now() + Duration::from_mins(2);
    loop {
        let state = row(place, id).await.state;
        if state.word.as_str() == word {
            return;
        }
        assert!(Instant::now() < deadline, "{id} is still {}", state.word);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn detail(place: &Place, id: &str) -> Detail {
    found("instances").detail(&place.aws, &ItemId(id.to_owned())).await.unwrap()
}

/// All that a detail says, a line each.
fn told(detail: &Detail) -> Vec<String> {
    let mut lines = Vec::new();
    for block in &detail.blocks {
        match block {
            Block::Facts { facts, .. } => {
                lines.extend(facts.iter().map(|(name, value)| format!("{name}: {}", value.show(&now()))));
            }
            Block::Table { rows, .. } => {
                let row = |row: &Vec<Cell>| row.iter().map(|cell| cell.show(&now()).to_string()).collect::<Vec<_>>().join(" | ");
                lines.extend(rows.iter().map(row));
            }
            _ => {}
        }
    }
    lines
}

fn now() -> footplate::model::Clock {
    footplate::model::Clock { now: jiff::Timestamp::now(), zone: jiff::tz::TimeZone::UTC }
}

/// The way in; nobody is asked whether to trust the host key.
async fn door(place: &Place, id: &str) -> Door {
    let ask: footplate::resource::Ask = Arc::new(|offered| panic!("nothing vouches for {offered:?}"));
    found("instances").door(Arc::clone(&place.aws), ItemId(id.to_owned()), ask).await.unwrap()
}

async fn connected(place: &Place, id: &str) -> Connection {
    let door = door(place, id).await;
    let deadline = Instant::now() + Duration::from_mins(2);
    // A machine runs before its SSH server does.
    loop {
        match Connection::open(&door.login, &*door.doorman).await {
            Ok(connection) => return connection,
            Err(failure) => assert!(failure.kind == FailureKind::Network && Instant::now() < deadline, "{failure}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn said(connection: &Connection, command: &str) -> String {
    let ran = connection.run(command, None).await.unwrap();
    assert_eq!(ran.status, Some(0), "{command}: {}", String::from_utf8_lossy(&ran.err));
    String::from_utf8_lossy(&ran.out).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_launched_looked_at_and_entered_and_its_lease_ends_it() {
    let place = Place::new("print('loss=1')\n").await;
    let form = small(&place, &[]).await;
    let shown = looked(&place, &form).await;
    assert!(shown.problems.iter().all(|problem| !problem.fatal), "{:?}", shown.problems);
    assert_eq!(fact(&shown, "price"), "$0.04/h on AWS · free here");
    assert_eq!(fact(&shown, "for the lease"), "$0.08 (2 h)");
    assert_eq!(fact(&shown, "quota"), "0 of 32 vCPU used, this takes 2");
    assert_eq!((fact(&shown, "machine"), fact(&shown, "logs in")), ("t3.medium · 2 vCPU · 4 GiB".into(), "ubuntu".into()));
    assert_eq!(fact(&shown, "ssh from"), "127.0.0.1/32");
    let request = shown.request.as_str();
    for part in
        ["\"HttpTokens\": \"required\"", "\"InstanceInitiatedShutdownBehavior\": \"terminate\"", "footplate:lease", "\"gp3\""]
    {
        assert!(request.contains(part), "{part}: {request}");
    }
    assert!(place.wire.changes().is_empty(), "a look changes nothing");

    let id = place.launch(form).await;
    assert!(id.starts_with("i-"));
    let intents: Vec<_> =
        place.witness.intents.lock().unwrap().iter().map(|it| (it.operation.clone(), it.token.clone())).collect();
    assert_eq!(
        intents.iter().map(|it| it.0.as_str()).collect::<Vec<_>>(),
        ["CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RunInstances"]
    );
    assert_eq!((intents[0].1.as_str(), intents[2].1.as_str()), ("footplate-ssh-127.0.0.1/32", "footplate-order-1-us-east-1a"));
    until(&place, &id, "running").await;
    let item = row(&place, &id).await;
    assert!(item.container && item.state.phase == Phase::Active && item.per_hour.is_some_and(|rate| rate > 0.0));
    assert_eq!(item.cells.len(), found("instances").spec().columns.len());
    assert!(matches!(&item.cells[6], Cell::Accrues { .. }), "{:?}", item.cells);
    assert!(matches!(item.cells[7], Cell::Seconds(left) if left > 7000.0), "{:?}", item.cells);
    // Found by its name, too.
    let lines = told(&detail(&place, "try").await);
    for part in [
        "type: t3.medium · 2 vCPU",
        "lease: ends itself in 1:5",
        "way in: port 22",
        "token: footplate-order-1-us-east-1a",
        "footplate:user: ubuntu",
        "gp3",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:#?}");
    }
    assert!(lines.iter().any(|line| line.contains("left on: $") && line.contains("a month")), "{lines:#?}");
    // What one looks for first stands first.
    let place_of =
        |name: &str| lines.iter().position(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}: {lines:#?}"));
    let login = format!("log in: s · footplate ssh {id}");
    let order = ["state: running", "public: ", login.as_str(), "way in: ", "type: ", "so far: ", "lease: ", "vpc: ", "token: "];
    assert!(order.map(place_of).is_sorted(), "{lines:#?}");

    // In by the key that EC2 Instance Connect announces; the console vouches for the host key.
    let connection = connected(&place, &id).await;
    assert!(said(&connection, "id -un || true").await.len() < 100);
    let before: i64 = said(&connection, "cat ~/.footplate/lease").await.parse().unwrap();

    // More time: the tag has it, and the timer in the guest.
    let form = set(place.form("instances", Verb::Update, Some(&id)).await, &[("lease", "5h")]);
    assert!(looked(&place, &form).await.request.as_str().starts_with("CreateTags footplate:lease="));
    let outcome = place.run(&order_of(form, &[&id])).await.unwrap();
    assert!(outcome.said().as_str().contains("its timer knows"), "{}", outcome.said());
    let after: i64 = said(&connection, "cat ~/.footplate/lease").await.parse().unwrap();
    assert!(after - before > 2 * 3600, "{before} {after}");
    assert!(matches!(row(&place, &id).await.cells[7], Cell::Seconds(left) if left > 17_000.0));

    // Its end ends it, with nobody looking.
    let over = aws_sdk_ec2::types::Tag::builder().key("footplate:lease").value("2026-01-01T00:00:00Z").build();
    with_order("order-3".to_owned(), place.aws.ec2.create_tags().resources(&id).tags(over).send()).await.unwrap();
    // What reads the tag there is curl; where that is missing the file is all there is.
    said(&connection, "command -v curl || echo 1 > ~/.footplate/lease").await;
    until(&place, &id, "terminated").await;
    assert_eq!(row(&place, &id).await.per_hour, None);
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_launched_is_refused_before_anything_is_made() {
    let place = Place::new("print('loss=1')\n").await;
    #[expect(clippy::type_complexity, reason = "a table of changes, the field refused, and parts of what is said")]
    let table: &[(&[(&str, &str)], &str, &[&str])] = &[
        (
            &[("instance_type", "p5.4xlarge")],
            "instance_type",
            &["has 16 vCPU", "'Running On-Demand P instances' is 0", "Service Quotas"],
        ),
        (&[("instance_type", "t3.mediun")], "instance_type", &["no instance type 't3.mediun'", "did you mean t3.medium?"]),
        (&[("instance_type", "ml.t3.medium")], "instance_type", &["SageMaker's name; EC2's is t3.medium"]),
        (&[("storage_gb", "8")], "storage_gb", &["the image's own snapshot has", "or more"]),
        (&[("image", "ami-0123456789abcdef0")], "image", &["there is no ami-0123456789abcdef0"]),
        (&[("image", "ami-12")], "image", &["'ami-12' is no id"]),
        (&[("image", "No Such Image *")], "image", &["no image of the name", "take e.g. Deep Learning"]),
        (&[("image", SEED)], "image", &["withdrawn", "PyTorch", "successor"]),
        (&[("zone", "us-east-1z")], "zone", &["no subnet in 'us-east-1z'", "us-east-1a"]),
        (&[("subnet", "subnet-0123456789abcdef0")], "subnet", &["does not exist"]),
        (&[("security_group", "sg-0123456789abcdef0")], "security_group", &["does not exist"]),
        (&[("address", "")], "address", &["needs to know it", "checkip.amazonaws.com"]),
        (&[("address", "0.0.0.0/0")], "address", &["the whole internet"]),
        (&[("lease", "1m")], "lease", &["from 10m to 30d"]),
    ];
    for (changes, field, parts) in table {
        let form = small(&place, changes).await;
        let (of, message) = fatal(&looked(&place, &form).await);
        assert_eq!(of, *field, "{changes:?}: {message}");
        for part in *parts {
            assert!(message.contains(part), "{changes:?}: {part}: {message}");
        }
        if *field != "instance_type" || changes[0].1 != "p5.4xlarge" {
            let failure = place.run(&order_of(form, &[])).await.unwrap_err();
            assert!(failure.what.as_str().starts_with(field) || failure.what.as_str().contains("does not exist"), "{failure}");
        }
    }
    assert_eq!((place.wire.changes(), place.witness.intents.lock().unwrap().len()), (Vec::<String>::new(), 0));
    // What only the service refuses is told with the remedy: the quota, when it comes to it.
    let failure =
        place.run(&order_of(small(&place, &[("instance_type", "p5.4xlarge"), ("security_group", "default")]).await, &[])).await;
    let failure = failure.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Quota, "{failure}");
    assert!(failure.hint.as_str().contains("Service Quotas"), "{failure}");
    assert!(place.list("instances", None).await.is_empty());
    // A group that lets nobody in is told, but may be meant.
    let shut = looked(&place, &small(&place, &[("security_group", "default")]).await).await;
    let note =
        shut.problems.iter().find(|problem| problem.field == "security_group").unwrap_or_else(|| panic!("{:?}", shut.problems));
    assert!(!note.fatal && note.message.as_str().contains("port 22 is closed"), "{note:?}");
    // A profile is given by its name or ARN; what else it takes is said.
    let arn = "arn:aws:iam::000000000000:instance-profile/teams/trainer";
    for (given, member) in [("trainer", "\"Name\": \"trainer\""), (arn, "\"Arn\": \"arn:")] {
        let shown = looked(&place, &small(&place, &[("instance_profile", given)]).await).await;
        assert_eq!(
            (fact(&shown, "profile").as_str(), fact(&shown, "you need").as_str()),
            ("trainer", "iam:PassRole on its role")
        );
        assert!(shown.request.as_str().contains(member), "{}", shown.request);
    }
    place.region.close().await;
}

/// Fields with a fatal problem, in order of their names, each once.
fn wrong(preview: &Preview) -> Vec<&str> {
    let mut fields: Vec<&str> =
        preview.problems.iter().filter(|problem| problem.fatal).map(|problem| problem.field.as_str()).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_field_hides_no_other() {
    let place = Place::new("print('loss=1')\n").await;
    let bad = [
        ("lease", "1m"),
        ("image", "ami-0123456789abcdef0"),
        ("instance_type", "p5.4xlarge"),
        ("zone", "us-east-1z"),
        ("security_group", "sg-1"),
        ("user", "root;"),
    ];
    let form = small(&place, &bad).await;
    let preview = looked(&place, &form).await;
    assert_eq!(wrong(&preview), ["image", "instance_type", "lease", "security_group", "user", "zone"], "{:?}", preview.problems);
    assert!(preview.request.is_empty(), "{}", preview.request);
    // What is known all the same is told.
    assert!(fact(&preview, "quota").contains("this takes 16"), "{:?}", preview.facts);
    // Sent all the same, all that is wrong is said at once, too.
    let failure = place.run(&order_of(small(&place, &bad[1..4]).await, &[])).await.unwrap_err();
    assert!(failure.what.as_str().contains("image: ") && failure.what.as_str().contains("zone: "), "{failure}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_type_is_refused_where_the_account_or_the_zone_does_not_have_it() {
    let place = Place::new("print('loss=1')\n").await;
    let id = place.launch(small(&place, &[("instance_type", "t2.micro"), ("zone", "us-east-1e")]).await).await;
    until(&place, &id, "running").await;
    place.run(&bare("instances", Verb::Stop, &[&id])).await.unwrap();
    until(&place, &id, "stopped").await;
    let changes = place.wire.changes().len();
    let to = async |kind: &str| set(place.form("instances", Verb::Update, Some(&id)).await, &[("instance_type", kind)]);
    let (field, message) = fatal(&looked(&place, &to("p5.4xlarge").await).await);
    assert_eq!(field, "instance_type");
    for part in ["has 16 vCPU", "'Running On-Demand P instances' is 0", "Service Quotas"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    let (field, message) = fatal(&looked(&place, &to("t3.small").await).await);
    assert_eq!(field, "instance_type");
    assert!(message.contains("us-east-1e") && message.contains("us-east-1a, us-east-1b"), "{message}");
    let failure = place.run(&order_of(to("t3.small").await, &[&id])).await.unwrap_err();
    assert!(failure.what.as_str().contains("does not offer t3.small"), "{failure}");
    assert_eq!(place.wire.changes().len(), changes, "nothing is sent");
    // Beside another mistake it is told, too.
    let both = looked(&place, &set(to("t3.small").await, &[("lease", "1m")])).await;
    assert_eq!(wrong(&both), ["instance_type", "lease"], "{:?}", both.problems);
    assert!(looked(&place, &to("t2.small").await).await.problems.iter().all(|problem| !problem.fatal));
    place.run(&bare("instances", Verb::Delete, &[&id])).await.unwrap();
    until(&place, &id, "terminated").await;
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_and_types_are_offered_with_what_tells_them_apart() {
    let place = Place::new("print('loss=1')\n").await;
    let form = place.form("instances", Verb::Launch, None).await;
    let offers = |name: &str| match &form.fields.iter().find(|field| field.name == name).unwrap().kind {
        FieldKind::Pick { offers } => offers.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let images = offers("image");
    let told = |column: usize| images.iter().map(|offer| offer.about[column].as_str()).collect::<Vec<_>>();
    assert_eq!((told(0)[0], told(1)[0], told(2)[0], told(3)[0]), ("PyTorch 2.12", "Ubuntu 24.04", "2026-11-06", "75 GB"));
    // Those with the project's framework first, and the newest of them.
    let pytorch = told(0).iter().take_while(|brings| brings.starts_with("PyTorch")).count();
    assert!(pytorch > 5 && told(0)[pytorch..].iter().all(|brings| !brings.starts_with("PyTorch")), "{:?}", told(0));
    assert!(pytorch < images.len() && told(2)[..pytorch].is_sorted_by(|a, b| a >= b), "{:?}", told(2));
    // What the form starts with is one of them, said in another way.
    assert_eq!(images.iter().filter(|offer| offer.is(form.value("image"))).count(), 1);
    let types = offers("instance_type");
    let small = types.iter().find(|offer| offer.value == "t3.large").unwrap();
    assert_eq!(
        small.about.iter().map(footplate::model::Safe::as_str).collect::<Vec<_>>(),
        ["t3.large", "$0.08/h", "2 vCPU · 8 GiB"]
    );
    // Nothing was said of a machine: a small one is taken, and it is told how one gets another.
    assert_eq!(form.value("instance_type"), "t3.large");
    let preview = looked(&place, &form).await;
    let note = preview.problems.iter().find(|problem| problem.field == "instance_type").expect("a note");
    assert!(!note.fatal && note.message.as_str().contains("g4dn.xlarge ($0.53/h)"), "{note:?}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_image_gives_way_to_its_successor_when_that_is_wanted() {
    let place = Place::new("print('loss=1')\n").await;
    let form = small(&place, &[("image", SEED), ("successor", "yes")]).await;
    let shown = looked(&place, &form).await;
    let note = shown.problems.iter().find(|problem| problem.field == "image").unwrap();
    assert!(!note.fatal && note.message.as_str().contains("instead of 1.13.1"), "{note:?}");
    assert!(fact(&shown, "image").starts_with("Deep Learning") && fact(&shown, "image").contains("(Ubuntu"), "{:?}", shown.facts);
    assert!(shown.problems.iter().all(|problem| !problem.fatal), "{:?}", shown.problems);
    let options = form.fields.iter().find(|field| field.name == "image").map(|field| format!("{:?}", field.kind)).unwrap();
    assert!(options.contains("Deep Learning OSS Nvidia Driver AMI GPU PyTorch"), "{options}");
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_without_capacity_gives_way_to_the_next_with_a_token_of_its_own() {
    let place = Place::new("print('loss=1')\n").await;
    let form = small(&place, &[("instance_type", "m5.4xlarge")]).await;
    let said: Mutex<Vec<String>> = Mutex::default();
    let order = order_of(form, &[]);
    let progress = |progress: footplate::model::Progress| said.lock().unwrap().push(progress.said.to_string());
    let outcome = with_order("order-9".to_owned(), found("instances").run(&place.aws, &place.recipe, &order, &progress)).await;
    let Outcome::Made { id, said: done } = outcome.unwrap() else { panic!("nothing made") };
    assert!(done.as_str().contains("in us-east-1b"), "{done}");
    let said = said.into_inner().unwrap();
    assert!(said.iter().any(|line| line == "us-east-1a has no m5.4xlarge free just now"), "{said:?}");
    let tokens: Vec<_> = place
        .witness
        .intents
        .lock()
        .unwrap()
        .iter()
        .filter(|it| it.operation == "RunInstances")
        .map(|it| it.token.clone())
        .collect();
    assert_eq!(tokens, ["footplate-order-9-us-east-1a", "footplate-order-9-us-east-1b"]);
    assert_eq!(place.list("instances", None).await.len(), 1);
    place.run(&bare("instances", Verb::Delete, &[&id.0])).await.unwrap();
    until(&place, &id.0, "terminated").await;
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_between_intent_and_answer_launches_once() {
    let place = Place::new("print('loss=1')\n").await;
    let form = small(&place, &[]).await;
    let order = order_of(form, &[]);
    // The region does it, but nobody hears of it: footplate dies just then.
    place.wire.mute("RunInstances");
    tokio::select! {
        ended = place.run(&order) => panic!("{ended:?}"),
        () = async {
            place.wire.lost("RunInstances").await;
            while place.list("instances", None).await.is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        } => {}
    }
    place.wire.mute("");
    let settled =
        place.witness.settled.lock().unwrap().iter().filter(|it| matches!(it, footplate::model::Settled::Unknown(_))).count();
    assert_eq!(settled, 1, "the journal has it as open");
    let first = place.list("instances", None).await;
    assert_eq!(first.len(), 1);
    // Who looks again is told that there is one.
    let again = looked(&place, &small(&place, &[]).await).await;
    assert!(
        again.problems.iter().any(|problem| problem.field == "name" && problem.message.as_str().contains(&first[0].id.0)),
        "{:?}",
        again.problems
    );
    // The same order once more is the same instance, whatever became of the first answer.
    let Outcome::Made { id, .. } = place.run(&order).await.unwrap() else { panic!("nothing made") };
    assert_eq!(id, first[0].id);
    assert_eq!(place.list("instances", None).await.len(), 1);
    // By its token the journal finds it.
    assert!(detail(&place, "footplate-order-1-us-east-1a").await.state.phase.is_live());
    until(&place, &id.0, "running").await;
    place.run(&bare("instances", Verb::Delete, &[&id.0])).await.unwrap();
    until(&place, &id.0, "terminated").await;
    place.region.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_starts_changes_its_type_and_tells_its_console() {
    let place = Place::new("print('loss=1')\n").await;
    let id = place.launch(small(&place, &[]).await).await;
    until(&place, &id, "running").await;
    let (_ended, is_ended) = watch::channel(false);
    let (out, mut batches) = mpsc::channel(16);
    let follower = found("instances").follow(Arc::clone(&place.aws), &ItemId(id.clone()), Vec::new(), is_ended, out).unwrap();
    let follower = tokio::spawn(follower);
    let mut lines = Vec::new();
    while !lines.iter().any(|line: &String| line.contains("BEGIN SSH HOST KEY KEYS")) {
        let batch =
            tokio::time::timeout(Duration::from_mins(1), batches.recv()).await.expect("the console says something").unwrap();
        lines.extend(batch.lines.iter().map(|line| line.text.to_string()));
    }
    follower.abort();

    let running = set(place.form("instances", Verb::Update, Some(&id)).await, &[("instance_type", "t3.small")]);
    let (field, message) = fatal(&looked(&place, &running).await);
    assert!(field == "instance_type" && message.contains("while it is stopped"), "{field}: {message}");
    place.run(&bare("instances", Verb::Reboot, &[&id])).await.unwrap();
    // Who starts what is just stopping means: when it has stopped.
    place.run(&bare("instances", Verb::Stop, &[&id])).await.unwrap();
    assert_eq!(row(&place, &id).await.state.word.as_str(), "stopping");
    place.wire.forget();
    let outcome = place.run(&bare("instances", Verb::Start, &[&id])).await.unwrap();
    assert!(outcome.said().as_str().starts_with("starting try"), "{}", outcome.said());
    // What it ran is noted before EC2 forgets it.
    assert_eq!(place.wire.changes(), ["CreateTags", "StartInstances"]);
    until(&place, &id, "running").await;
    let again = told(&detail(&place, &id).await);
    assert!(again.iter().any(|line| line.starts_with("before: ") && line.contains(" on t3.medium at $0.04/h")), "{again:#?}");
    assert!(!again.iter().any(|line| line.starts_with("not counted")), "{again:#?}");
    assert!(matches!(row(&place, &id).await.cells[6], Cell::Accrues { .. } | Cell::Spent { least: false, .. }));
    place.run(&bare("instances", Verb::Stop, &[&id])).await.unwrap();
    until(&place, &id, "stopped").await;
    let refused = place.run(&bare("instances", Verb::Reboot, &[&id])).await.unwrap_err();
    assert!(refused.what.as_str().contains("is stopped") && refused.hint.as_str().contains("start instances"), "{refused}");
    let stopped = row(&place, &id).await;
    assert_eq!(stopped.per_hour, None);
    assert!(matches!(stopped.cells[5], Cell::Money(storage) if storage > 0.0 && storage < 0.04), "{:?}", stopped.cells);
    let ask: footplate::resource::Ask = Arc::new(|_| Box::pin(async { false }));
    let shut = found("instances").door(Arc::clone(&place.aws), ItemId(id.clone()), ask).await;
    let failure = shut.err().unwrap();
    assert!(failure.what.as_str().contains("is stopped") && failure.hint.as_str().contains("start it"), "{failure}");

    let form =
        set(place.form("instances", Verb::Update, Some(&id)).await, &[("instance_type", "t3.small"), ("protection", "yes")]);
    // Nobody has noted its last stretch, as if it had been stopped elsewhere.
    let other = aws_sdk_ec2::types::Tag::builder().key("footplate:ran").value("what others write").build();
    with_order("order-2".to_owned(), place.aws.ec2.create_tags().resources(&id).tags(other).send()).await.unwrap();
    let shown = looked(&place, &form).await;
    assert!(shown.request.as_str().starts_with("CreateTags footplate:ran=to="), "{}", shown.request);
    place.wire.forget();
    let outcome = place.run(&order_of(form, &[&id])).await.unwrap();
    assert!(outcome.said().as_str().contains("its protection is on; it is t3.small"), "{}", outcome.said());
    assert_eq!(place.wire.changes(), ["ModifyInstanceAttribute", "CreateTags", "ModifyInstanceAttribute"]);
    let retyped = told(&detail(&place, &id).await);
    assert!(
        retyped.iter().any(|line| line.starts_with("estimate: ") && line.contains(" on t3.medium at $0.04/h")),
        "{retyped:#?}"
    );
    let refused = place.run(&bare("instances", Verb::Delete, &[&id])).await.unwrap_err();
    assert!(refused.hint.as_str().contains("protection"), "{refused}");
    let form = set(place.form("instances", Verb::Update, Some(&id)).await, &[("protection", "no")]);
    place.run(&order_of(form, &[&id])).await.unwrap();
    // A crash between the note and the start: what ran counts once.
    let estimate = |lines: &[String]| lines.iter().find(|line| line.starts_with("estimate: ")).cloned();
    let noted = |lines: &[String]| lines.iter().any(|line| line.starts_with("footplate:ran: ") && line.contains(" at=20"));
    let (order, before) = (bare("instances", Verb::Start, &[&id]), told(&detail(&place, &id).await));
    place.wire.forget();
    place.wire.lose("StartInstances");
    tokio::select! {
        done = place.run(&order) => panic!("{done:?}"),
        () = place.wire.lost("StartInstances") => {}
    }
    place.wire.lose("");
    let after = told(&detail(&place, &id).await);
    assert!(!noted(&before) && noted(&after), "{after:#?}");
    assert_eq!((estimate(&before).is_some(), estimate(&before)), (true, estimate(&after)));
    place.run(&bare("instances", Verb::Start, &[&id])).await.unwrap();
    until(&place, &id, "running").await;
    // A copy has what it had.
    let copy = place.form("instances", Verb::Clone, Some(&id)).await;
    assert_eq!((copy.value("instance_type"), copy.value("user"), copy.value("lease")), ("t3.small", "ubuntu", "2h"));
    place.run(&bare("instances", Verb::Delete, &[&id])).await.unwrap();
    until(&place, &id, "terminated").await;
    // What it has cost stays to be seen, each type at its own price.
    let cost = row(&place, &id).await.cells[6].number(&now());
    assert!(cost.is_some_and(|cost| (0.0..0.04).contains(&cost)), "{cost:?}");
    let lines = told(&detail(&place, &id).await);
    let said = lines.iter().find(|line| line.starts_with("estimate: 00:")).unwrap_or_else(|| panic!("{lines:#?}"));
    assert!(said.contains(" on t3.medium at $0.04/h, 00:") && said.contains(" on t3.small at $0.02/h; its disk"), "{said}");
    for verb in [Verb::Start, Verb::Reboot] {
        let refused = place.run(&bare("instances", verb, &[&id])).await.unwrap_err();
        assert!(refused.hint.as_str().contains("instance --like"), "{refused}");
    }
    place.region.close().await;
}
