//! Notebooks against the real local region: what a user sees and does, and what of it is written down.

#[path = "common/mod.rs"]
mod common;
#[path = "common/region.rs"]
mod region;

use std::time::{Duration, Instant};

use aws_sdk_sagemaker::types::{
    AppInstanceType, AppType, AuthMode, OwnershipSettings, ResourceSpec, SharingType, SpaceSharingSettings, UserSettings,
};
use common::Stage;
use footplate::app::{Effect, Event};
use footplate::model::{Cell, FailureKind, Item, ItemId, Outcome, Phase, Verb};
use footplate::runtime::record::Recorder;
use region::{Place, bare, found};

const ROLE: &str = "arn:aws:iam::000000000000:role/footplate-local-execution-role";
const SCRIPT: &str = "print('loss=0.5')\n";

fn shown(item: &Item) -> String {
    let text = |cell: &Cell| match cell {
        Cell::Text(text) => text.to_string(),
        Cell::State(state) => state.word.to_string(),
        _ => String::new(),
    };
    item.cells.iter().take(4).map(text).collect::<Vec<_>>().join(" | ")
}

/// The pane's row of that id, once `wanted` holds for it (`None`: it is gone).
async fn until(place: &Place, id: &str, wanted: impl Fn(Option<&Item>) -> bool) -> Option<Item> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let rows = place.list("notebooks", None).await;
        let row = rows.into_iter().find(|row| row.id.as_str() == id);
        if wanted(row.as_ref()) {
            return row;
        }
        assert!(Instant::now() < deadline, "{id} is still {:?}", row.as_ref().map(shown));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is(word: &'static str) -> impl Fn(Option<&Item>) -> bool {
    move |row| row.is_some_and(|row| row.state.word.as_str() == word)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notebook_instance_is_stopped_started_opened_and_deleted() {
    let place = Place::new(SCRIPT).await;
    assert_eq!(place.list("notebooks", None).await.len(), 0);
    place.notebook("experiments", "InService").await;
    let row = until(&place, "notebook/experiments", is("InService")).await.unwrap();
    assert_eq!(shown(&row), "experiments | instance | InService | ml.t3.medium");
    assert_eq!((row.state.phase, row.per_hour), (Phase::Active, Some(0.05)));
    assert!(matches!(row.cells[5], Cell::Accrues { .. }), "{:?}", row.cells[5]);

    let outcome = place.run(&bare("notebooks", Verb::Open, &["notebook/experiments"])).await.unwrap();
    let Outcome::Link { url, .. } = outcome else { panic!("{outcome:?}") };
    assert!(url.as_str().contains("experiments"), "{url}");
    assert!(place.witness.intents.lock().unwrap().is_empty(), "an address is a secret, and changes nothing");

    let detail = found("notebooks").detail(&place.aws, &row.id).await.unwrap();
    assert!(format!("{:?}", detail.blocks).contains("$0.05/h on AWS · free here"), "{:?}", detail.blocks);

    let refused = place.run(&bare("notebooks", Verb::Delete, &["notebook/experiments"])).await.unwrap_err();
    assert!(refused.hint.as_str().contains("stop it first"), "{refused}");
    place.run(&bare("notebooks", Verb::Stop, &["notebook/experiments"])).await.unwrap();
    let row = until(&place, "notebook/experiments", is("Stopped")).await.unwrap();
    assert_eq!((row.state.phase, row.per_hour), (Phase::Stopped, None));
    let refused = place.run(&bare("notebooks", Verb::Open, &["notebook/experiments"])).await.unwrap_err();
    assert!(refused.hint.as_str().contains("start it"), "{refused}");
    place.run(&bare("notebooks", Verb::Start, &["notebook/experiments"])).await.unwrap();
    until(&place, "notebook/experiments", is("InService")).await;
    place.run(&bare("notebooks", Verb::Stop, &["notebook/experiments"])).await.unwrap();
    until(&place, "notebook/experiments", is("Stopped")).await;
    place.run(&bare("notebooks", Verb::Delete, &["notebook/experiments"])).await.unwrap();
    until(&place, "notebook/experiments", |row| row.is_none()).await;
    let operations: Vec<String> = place.witness.intents.lock().unwrap().iter().map(|intent| intent.operation.clone()).collect();
    assert_eq!(
        operations,
        [
            "DeleteNotebookInstance",
            "StopNotebookInstance",
            "StartNotebookInstance",
            "StopNotebookInstance",
            "DeleteNotebookInstance"
        ]
    );
    let missing = place.run(&bare("notebooks", Verb::Stop, &["notebook/never"])).await.unwrap_err();
    assert!(missing.what.as_str().contains("notebook/never"), "{missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn studio_is_one_list_and_its_apps_are_ended() {
    let place = Place::new(SCRIPT).await;
    let maker = place.maker();
    let settings = UserSettings::builder().execution_role(ROLE).build();
    let call = maker.create_domain().domain_name("lab").auth_mode(AuthMode::Iam).default_user_settings(settings);
    let domain = Box::pin(call.vpc_id("vpc-1").subnet_ids("subnet-1").send()).await.unwrap().domain_id.unwrap();
    until(&place, &format!("domain/{domain}"), is("InService")).await;
    maker.create_user_profile().domain_id(&domain).user_profile_name("ann").send().await.unwrap();
    let profile = format!("profile/{domain}/ann");
    until(&place, &profile, is("InService")).await;
    let owner = OwnershipSettings::builder().owner_user_profile_name("ann").build();
    let sharing = SpaceSharingSettings::builder().sharing_type(SharingType::Private).build();
    let call =
        maker.create_space().domain_id(&domain).space_name("desk").ownership_settings(owner).space_sharing_settings(sharing);
    call.send().await.unwrap();
    let space = format!("space/{domain}/desk");
    until(&place, &space, is("InService")).await;
    let spec = ResourceSpec::builder().instance_type(AppInstanceType::MlT3Medium).build();
    let call = maker.create_app().domain_id(&domain).space_name("desk").app_type(AppType::JupyterLab).app_name("default");
    call.resource_spec(spec).send().await.unwrap();
    let app = format!("app/{domain}/space/desk/JupyterLab/default");
    let row = until(&place, &app, is("InService")).await.unwrap();
    assert_eq!(shown(&row), "lab / desk / JupyterLab default | app | InService | ml.t3.medium");
    assert!(row.per_hour.is_some_and(|rate| rate > 0.0));
    let rows: Vec<String> = place.list("notebooks", None).await.iter().map(shown).collect();
    assert!(rows.contains(&"lab / ann | profile | InService | ".to_owned()), "{rows:?}");
    for id in [format!("domain/{domain}"), profile.clone(), space.clone(), app.clone()] {
        let detail = found("notebooks").detail(&place.aws, &ItemId(id.clone())).await.unwrap();
        assert!(!detail.blocks.is_empty(), "{id}");
        let opened = place.run(&bare("notebooks", Verb::Open, &[&id])).await;
        assert!(matches!(opened, Ok(Outcome::Link { .. })), "{id}: {opened:?}");
    }
    let refused = place.run(&bare("notebooks", Verb::Delete, &[&profile])).await.unwrap_err();
    assert_eq!(refused.kind, FailureKind::Refused);
    place.run(&bare("notebooks", Verb::Stop, &[&app])).await.unwrap();
    until(&place, &app, |row| row.is_none()).await;
    place.run(&bare("notebooks", Verb::Delete, &[&space])).await.unwrap();
    until(&place, &space, |row| row.is_none()).await;
}

#[test]
fn a_key_asks_for_an_address_and_a_recording_does_not_keep_it() {
    let url = "https://experiments.notebook.us-east-1.sagemaker.aws?authToken=secret";
    let mut stage = Stage::new(80, 24);
    let state = footplate::model::State { phase: Phase::Active, word: "InService".into() };
    let mut cells = vec![Cell::Absent; 7];
    cells[0] = Cell::Text("experiments".into());
    cells[2] = Cell::State(state.clone());
    let item = Item { id: ItemId("notebook/experiments".into()), state, cells, container: false, per_hour: Some(0.05) };
    stage.listed("notebooks", vec![item]);
    // Its tab, whatever its number is.
    while stage.app.pane().spec.id != "notebooks" {
        stage.press("Tab");
    }
    stage.press("w");
    let asked = stage
        .effects
        .iter()
        .find_map(|effect| if let Effect::Run { serial, order } = effect { Some((*serial, order.clone())) } else { None });
    let (serial, order) = asked.expect("an order, without asking");
    let result = Ok(Outcome::Link { url: url.into(), said: "Open it within 5 min".into() });
    let ran = Event::Ran { serial, order, result };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording");
    let mut recorder = Recorder::create(&path, &stage.app.setup).unwrap();
    recorder.push(stage.at, &ran).unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains("secret"));
    stage.send(ran);
    assert!(stage.asks(|effect| *effect == Effect::Copy(url.into())));
    assert!(stage.screen().contains("authToken=secret") && stage.screen().contains("treat it"), "{}", stage.screen());
    stage.press("Esc x");
    assert!(stage.screen().contains("A Studio app has no stop"), "{}", stage.screen());
}
