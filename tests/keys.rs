//! Keys in, effects and screen out: what the cockpit does, without terminal, clock or network.

mod common;

use common::{Stage, ago, busy, detail, form, job, jobs, preview};
use footplate::app::event::Wake;
use footplate::app::overlay::Overlay;
use footplate::app::{Effect, Event, Level};
use footplate::model::{
    Block, Cell, Detail, Failure, FailureKind, Field, FieldKind, ItemId, LogBatch, LogLine, MetricRule, Offer, Order, Outcome,
    Page, Phase, PhaseSpan, Point, Preview, Problem, Safe, Series, State, Verb,
};

fn selected(stage: &Stage) -> String {
    stage.app.selected().map(|item| item.id.0.clone()).unwrap_or_default()
}

fn is_run(effect: &Effect) -> bool {
    matches!(effect, Effect::Run { .. })
}

#[test]
fn starting_asks_who_we_are_and_lists_every_pane() {
    let stage = Stage::new(120, 40);
    assert!(stage.asks(|effect| *effect == Effect::Identify));
    let lists = stage.effects.iter().filter(|effect| matches!(effect, Effect::List { .. })).count();
    assert_eq!(lists, footplate::resource::ALL.iter().filter(|it| it.spec().within.is_none()).count());
}

#[test]
fn the_selection_stays_with_its_row_while_the_list_changes() {
    let mut stage = busy(120, 40);
    stage.press("j j");
    let before = selected(&stage);
    let mut more = jobs();
    more.insert(0, job("another-job", Phase::Active, "Training", None, common::ago(1)));
    stage.listed("training-jobs", more);
    assert_eq!(selected(&stage), before);
}

#[test]
fn a_failed_poll_keeps_the_rows_and_says_so() {
    let mut stage = busy(120, 40);
    let failure = Failure::new(FailureKind::Throttled, "Rate exceeded", "");
    stage.send(Event::ListEnded { resource: "training-jobs".to_owned(), scope: None, result: Err(failure) });
    let screen = stage.screen();
    assert!(screen.contains("throttled") && screen.contains("as of 14:03"), "{screen}");
    assert!(screen.contains("digits-2026-11-22-14-01-58-120"), "{screen}");
    // And the next look is further away than usual.
    let spec = stage.app.pane().spec;
    let wait = stage.effects.iter().find_map(|effect| match effect {
        Effect::After { millis, wake: Wake::Poll(_) } => Some(*millis),
        _ => None,
    });
    assert!(wait.expect("another look") > u64::from(spec.poll.live) * 1000);
}

#[test]
fn stopping_asks_first_and_enter_lands_on_cancel() {
    let mut stage = busy(120, 40);
    stage.press("x");
    assert!(stage.screen().contains("Stop digits-2026-11-22-14-01-58-120?"), "{}", stage.screen());
    stage.wait(1000).press("Enter");
    assert!(!stage.asks(is_run) && stage.app.overlays.is_empty());
    stage.press("x").wait(1000).press("y");
    let order = Order {
        resource: "training-jobs".to_owned(),
        verb: Verb::Stop,
        targets: vec![ItemId("digits-2026-11-22-14-01-58-120".to_owned())],
        form: None,
    };
    assert!(stage.asks(|effect| matches!(effect, Effect::Run { order: sent, .. } if *sent == order)));
}

#[test]
fn a_yes_typed_before_the_dialog_could_be_read_does_not_count() {
    let mut stage = busy(120, 40);
    stage.press("x y");
    assert!(!stage.asks(is_run));
    assert!(matches!(stage.app.overlays.last(), Some(Overlay::Confirm(_))));
}

#[test]
fn the_order_is_fixed_when_the_dialog_opens() {
    let mut stage = busy(120, 40);
    let before = selected(&stage);
    stage.press("x");
    stage.listed("training-jobs", vec![job("intruder", Phase::Active, "Training", None, common::ago(5))]);
    stage.wait(1000).press("y");
    assert!(stage.asks(|effect| matches!(effect, Effect::Run { order, .. } if order.targets == [ItemId(before.clone())])));
}

#[test]
fn marks_are_acted_on_together_and_hidden_ones_are_counted() {
    let mut stage = busy(120, 40);
    stage.press("space space").press("/").type_in("13-59-48").press("Enter x");
    let screen = stage.screen();
    assert!(screen.contains("2 training jobs?") && screen.contains("hidden by the filter"), "{screen}");
}

#[test]
fn what_has_ended_is_not_stopped() {
    let mut stage = busy(120, 40);
    stage.press("* x").wait(1000).press("y");
    assert!(stage.asks(|effect| matches!(effect, Effect::Run { order, .. } if order.targets.len() == 2)), "two of six are alive");
    stage.press("G x");
    let said = stage.app.toast.as_ref().map(|toast| toast.text.to_string()).unwrap_or_default();
    assert!(stage.app.overlays.is_empty() && said.contains("ended already"), "{said}");
}

#[test]
fn the_filter_works_with_each_letter_over_all_columns() {
    let mut stage = busy(120, 40);
    stage.press("/").type_in("downl");
    assert_eq!(stage.app.pane().counts().0, 1);
    stage.press("Esc");
    assert_eq!(stage.app.pane().counts().0, 6);
    stage.press("/").type_in("!digits !stopped").press("Enter");
    assert_eq!(stage.app.pane().counts().0, 3);
    stage.press("Esc");
    assert_eq!(stage.app.pane().counts().0, 6);
}

#[test]
fn letters_typed_into_a_text_never_act() {
    let mut stage = busy(120, 40);
    stage.press("/").type_in("qxn");
    assert!(!stage.asks(|effect| matches!(effect, Effect::Quit | Effect::Form { .. })));
    assert_eq!(stage.app.pane().filter, "qxn");
}

#[test]
fn escape_goes_back_by_exactly_one_layer() {
    let mut stage = busy(120, 40);
    stage.press("space Enter Enter ?");
    assert_eq!((stage.app.level, stage.app.overlays.len()), (Level::Log, 1));
    stage.press("Esc");
    assert_eq!((stage.app.level, stage.app.overlays.len()), (Level::Log, 0));
    stage.press("Esc");
    assert_eq!(stage.app.level, Level::Inside);
    stage.press("Esc");
    assert_eq!((stage.app.level, stage.app.pane().marks.len()), (Level::List, 1));
    stage.press("Esc");
    assert_eq!(stage.app.pane().marks.len(), 0);
    stage.press("Esc");
    assert!(!stage.asks(|effect| *effect == Effect::Quit));
}

#[test]
fn sorting_by_any_column_and_back() {
    let mut stage = busy(120, 40);
    stage.press("o Up Up Up Up Up Up Up Up Enter");
    assert_eq!(stage.app.pane().sort, (0, false));
    assert!(selected(&stage).starts_with("digits"), "the selection stays");
    stage.press("g");
    assert!(selected(&stage).starts_with("digits-2026-11-22-13"));
    stage.press("O g");
    assert!(selected(&stage).starts_with("pytorch-training-230320-2041-002"));
}

#[test]
fn a_form_is_checked_previewed_and_sent() {
    let mut stage = busy(120, 40);
    stage.press("n");
    assert!(stage.asks(|effect| matches!(effect, Effect::Form { verb: Verb::Launch, target: None, .. })));
    stage.send(Event::Formed(Ok(form())));
    let serial = stage.effects.iter().find_map(|effect| match effect {
        Effect::Preview { serial, .. } => Some(*serial),
        _ => None,
    });
    // Too early: files and prices have not been looked at.
    stage.press("Ctrl-s");
    assert!(!stage.asks(is_run));
    stage.send(Event::Previewed { serial: serial.expect("a preview"), result: Ok(preview()) });
    assert!(stage.screen().contains("at most $11.06"), "{}", stage.screen());
    stage.press("Ctrl-s");
    assert!(stage.asks(|effect| matches!(effect, Effect::Run { order, .. } if order.form.as_ref().is_some_and(|sent| sent.value("instance_count") == "1"))));
}

#[test]
fn a_look_that_is_not_at_its_end_goes_on() {
    let mut stage = busy(80, 24);
    stage.send(Event::Formed(Ok(form())));
    let asked = |stage: &Stage| {
        stage.effects.iter().find_map(|effect| if let Effect::Preview { serial, .. } = effect { Some(*serial) } else { None })
    };
    let serial = asked(&stage).expect("a preview");
    stage.effects.clear();
    stage.send(Event::Previewed { serial, result: Ok(Preview { more: true, ..preview() }) });
    assert_eq!(asked(&stage), Some(serial));
    // What is known already shows, in the one line of a small window too.
    assert!(stage.screen().contains("at most $11.06"), "{}", stage.screen());
    stage.effects.clear();
    stage.send(Event::Previewed { serial, result: Ok(preview()) });
    assert_eq!(asked(&stage), None);
}

#[test]
fn the_parts_of_a_bill_add_up_to_it() {
    let mut stage = Stage::new(120, 40);
    let mut done = job("digits-1", Phase::Done, "Completed", Some(0.4), ago(300));
    done.cells[6] = Cell::Money(3.0);
    let span = |word: &str, from: i64, to: i64, billed| PhaseSpan {
        word: word.into(),
        start: ago(from),
        end: Some(ago(to)),
        message: Safe::default(),
        billed,
    };
    let spans = vec![span("Starting", 300, 270, false), span("Downloading", 270, 210, true), span("Training", 210, 90, true)];
    let told =
        Detail { state: done.state.clone(), blocks: vec![Block::Phases(spans)], metrics: Vec::new(), ..detail("digits-1") };
    stage.listed("training-jobs", vec![done]);
    stage.send(Event::Detailed { resource: "training-jobs".into(), id: ItemId("digits-1".into()), result: Ok(told) });
    let screen = stage.screen();
    assert!(screen.contains("01:00 · $1.00") && screen.contains("02:00 · $2.00"), "{screen}");
}

#[test]
fn the_instances_curves_stand_behind_the_jobs_own() {
    let mut stage = busy(120, 40);
    let id = stage.app.selected().expect("a job").id.clone();
    let mut told = detail(id.as_str());
    let series = |name: &str| Series {
        name: name.into(),
        points: vec![Point { at: ago(60), value: 1.0 }, Point { at: ago(1), value: 2.0 }],
    };
    told.blocks.retain(|block| !matches!(block, Block::Curves { .. }));
    told.blocks.push(Block::Curves { title: "metrics".into(), series: vec![series("test:loss"), series("CPU % algo-1")] });
    stage.send(Event::Detailed { resource: "training-jobs".into(), id, result: Ok(told) });
    let names: Vec<String> = stage.app.curves().iter().map(|series| series.name.to_string()).collect();
    assert_eq!(names.iter().filter(|name| *name == "test:loss").count(), 1, "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("CPU % algo-1"), "{names:?}");
}

#[test]
fn a_wrong_field_is_said_and_not_sent() {
    let mut stage = busy(120, 40);
    stage.send(Event::Formed(Ok(form()))).type_in("_x");
    stage.press("Ctrl-s");
    assert!(!stage.asks(is_run));
    assert!(stage.screen().contains('_'), "{}", stage.screen());
    let Some(Overlay::Form(view)) = stage.app.overlays.last() else { panic!("the form stays open") };
    assert!(view.problems_of("name").any(|problem| problem.fatal), "an underscore is not allowed in a job's name");
}

#[test]
fn findings_of_the_form_and_of_the_look_outside_show_together() {
    for (width, height) in [(120, 40), (80, 24)] {
        let mut stage = busy(width, height);
        stage.send(Event::Formed(Ok(form())));
        stage.type_in("_x").wait(300);
        let serial = stage.effects.iter().rev().find_map(|effect| match effect {
            Effect::Preview { serial, .. } | Effect::After { wake: Wake::Preview(serial), .. } => Some(*serial),
            _ => None,
        });
        let problem = |field: &str, message: &str| Problem { field: field.into(), message: message.into(), fatal: true };
        let problems = vec![problem("instance_type", "quota 0 of it"), problem("channels", "there is no such folder")];
        let result = Ok(Preview { problems, ..preview() });
        stage.send(Event::Previewed { serial: serial.expect("a preview"), result });
        let screen = stage.screen();
        assert!(screen.contains("quota 0 of it") && screen.contains("there is no such folder"), "{screen}");
        assert!(screen.contains("not '_'"), "{screen}");
        // The fields are named together, too, where all that is wrong is read.
        stage.press("F2");
        let told = stage.screen().split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        assert!(told.contains("Nothing is sent until this is mended: name, instance type, data."), "{told}");
    }
}

/// The form with a list of images to pick from.
fn with_images() -> footplate::model::Form {
    let offer = |name: &str, day: &str| Offer {
        value: format!("Deep Learning {name} {day}"),
        also: None,
        about: vec![name.into(), day.into(), format!("Deep Learning {name} {day}").into()],
    };
    let offers = vec![offer("PyTorch 2.9", "2026-10-30"), offer("PyTorch 2.8", "2026-10-23"), offer("Base", "2026-11-06")];
    let mut form = form();
    form.fields[1].kind = FieldKind::Pick { offers };
    "resolve:ssm:/some/path".clone_into(&mut form.fields[1].value);
    form
}

#[test]
fn a_list_is_picked_from_and_narrowed_down_by_typing() {
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        let mut stage = busy(width, height);
        stage.send(Event::Formed(Ok(with_images())));
        assert!(!stage.screen().contains("PyTorch 2.8"), "the list is that of the field with the cursor");
        stage.press("Tab");
        let screen = stage.screen();
        // That there is one, and how one picks, shows at once.
        assert!(screen.contains("Ctrl-n") && screen.contains("PyTorch 2.9") && screen.contains("PyTorch 2.8"), "{screen}");
        stage.type_in("pytorch");
        let screen = stage.screen();
        assert!(screen.contains("PyTorch 2.8") && !screen.contains("2026-11-06"), "{screen}");
        let value = |stage: &Stage| match stage.app.overlays.last() {
            Some(Overlay::Form(view)) => view.form.value("instance_type").to_owned(),
            _ => panic!("the form stays open"),
        };
        stage.press("Ctrl-n Ctrl-n");
        assert_eq!(value(&stage), "Deep Learning PyTorch 2.8 2026-10-23");
        // It stays narrowed down: round it goes.
        stage.press("Ctrl-n");
        assert_eq!(value(&stage), "Deep Learning PyTorch 2.9 2026-10-30");
        // What is typed now takes the place of what was picked; whoever moves in it edits it.
        stage.type_in("2.8");
        assert_eq!(value(&stage), "2.8");
        stage.press("Ctrl-n Left Backspace");
        assert_eq!(value(&stage), "Deep Learning PyTorch 2.8 2026-10-3");
        stage.press("Ctrl-n Tab BackTab Ctrl-n Ctrl-p Ctrl-p");
        assert_eq!(value(&stage), "Deep Learning Base 2026-11-06", "on return it is whole again");
    }
}

#[test]
fn a_list_is_searched_by_any_words_and_judged_when_the_field_is_left() {
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        let mut stage = busy(width, height);
        let mut form = with_images();
        let offer = |name: &str, said: &str| Offer {
            value: name.to_owned(),
            also: None,
            about: [name, "$0.53/h", said].map(Into::into).to_vec(),
        };
        let offers = vec![offer("m5.8xlarge", "32 vCPU"), offer("ml.m5.large", "2 vCPU"), offer("ml.g4dn.xlarge", "4 vCPU")];
        form.fields[1].kind = FieldKind::Pick { offers };
        form.fields[1].value = "ml.g4dn.xlarge".to_owned();
        stage.send(Event::Formed(Ok(form)));
        let value = |stage: &Stage| match stage.app.overlays.last() {
            Some(Overlay::Form(view)) => view.form.value("instance_type").to_owned(),
            _ => panic!("the form stays open"),
        };
        stage.press("Tab");
        // Words of other columns than the first, in any order; 2 is not 32.
        stage.type_in("vcpu 2 M5");
        let screen = stage.screen();
        assert!(screen.contains("1 of 3 matches") && screen.contains("ml.m5.large"), "{screen}");
        assert!(!screen.contains("m5.8xlarge") && !screen.contains("g4dn"), "{screen}");
        // The look outside says that there is no such type: not while one types.
        let previewed = |stage: &mut Stage| {
            let Some(Overlay::Form(view)) = stage.app.overlays.last() else { panic!("the form stays open") };
            let serial = view.serial;
            let field = "instance_type".to_owned();
            let problems = vec![Problem { field, message: "no such type".into(), fatal: true }];
            stage.send(Event::Previewed { serial, result: Ok(Preview { problems, ..Preview::default() }) });
        };
        previewed(&mut stage);
        assert!(!stage.screen().contains("no such"), "{}", stage.screen());
        assert!(!stage.screen().contains("mended"), "{}", stage.screen());
        // It is not sent either, and then the reason shows.
        stage.press("Ctrl-s");
        assert!(!stage.asks(is_run) && stage.screen().contains("no such"), "{}", stage.screen());
        // Left as it is, it is judged.
        stage.type_in("vcpu 4").press("Tab");
        previewed(&mut stage);
        stage.press("BackTab");
        assert!(stage.screen().contains("no such"), "{}", stage.screen());
        // Enter takes the first that fits, the arrows go through them.
        stage.type_in("vcpu 2").press("Enter");
        assert_eq!(value(&stage), "ml.m5.large");
        stage.press("BackTab");
        stage.type_in("vcpu").press("Down Down Up Down Down");
        assert_eq!(value(&stage), "ml.g4dn.xlarge");
        stage.press("Enter BackTab");
        // What fits nothing is said calmly, and kept.
        stage.type_in("p9");
        assert!(stage.screen().contains("none of 3 matches"), "{}", stage.screen());
        stage.press("Enter");
        assert_eq!(value(&stage), "p9");
    }
}

#[test]
fn a_long_text_has_the_room_there_is_and_begins_at_its_beginning() {
    for (width, height, rows) in [(120, 40, 18), (40, 15, 6)] {
        let mut stage = busy(width, height);
        let mut form = form();
        let script: Vec<String> = (1..=60).map(|line| format!("line {line} of a script that is edited here")).collect();
        form.fields.push(Field::of("script", "script", FieldKind::Area, script.join("\n"), "What runs."));
        stage.send(Event::Formed(Ok(form)));
        stage.press("BackTab");
        let screen = stage.screen();
        let shown = screen.lines().filter(|line| line.contains("of a scri")).count();
        assert!(screen.contains("line 1 of") && shown >= rows, "{shown}: {screen}");
        assert_eq!(screen.contains("edited here"), width > 100, "{screen}");
        assert!(width > 100 || screen.contains('…'), "what is cut says so: {screen}");
    }
}

#[test]
fn help_is_named_and_readable_in_a_small_window() {
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        let mut stage = busy(width, height);
        assert!(stage.screen().lines().nth(1).is_some_and(|tabs| tabs.contains('?')), "{}", stage.screen());
        // Also where the open pane's own tab needs all the room.
        let at = stage.app.active;
        stage.app.panes[at].scope = vec![ItemId("a-long-name-of-something-that-was-opened".to_owned())];
        assert!(stage.screen().lines().nth(1).is_some_and(|tabs| tabs.contains('?')), "{}", stage.screen());
        stage.app.panes[at].scope.clear();
        stage.press("?");
        assert!(stage.screen().contains("launch a new one"), "{}", stage.screen());
        // By its name, too, though that has no room.
        stage.type_in("reverse");
        assert!(stage.screen().contains("turn the order"), "{}", stage.screen());
    }
}

#[test]
fn a_launch_that_failed_is_among_the_messages() {
    let mut stage = busy(120, 40);
    let order = Order { resource: "training-jobs".to_owned(), verb: Verb::Launch, targets: Vec::new(), form: Some(form()) };
    let failure = Failure::new(FailureKind::Quota, "the account may have no ml.p5.48xlarge", "ask for one under Service Quotas");
    stage.send(Event::Ran { serial: 1, order, result: Err(failure) });
    assert!(stage.screen().contains("That did not work"), "{}", stage.screen());
    stage.press("Esc M");
    let screen = stage.screen();
    for part in ["Messages", "! 14:03", "the account may have no ml.p5.48xlarge", "ask for one under Service Quotas"] {
        assert!(screen.contains(part), "{part}: {screen}");
    }
}

#[test]
fn instances_of_one_name_are_told_apart_by_their_ids() {
    let instance = |id: &str, name: &str| {
        let mut item = job(id, Phase::Active, "running", None, ago(60));
        let spec = footplate::resource::find("instances").expect("the pane").spec();
        item.cells = vec![Cell::Absent; spec.columns.len()];
        item.cells[0] = Cell::Text(name.into());
        item
    };
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        let mut stage = Stage::new(width, height);
        let rows = vec![
            instance("i-0aaaaaaaaaaaa1f3c", "experiment"),
            instance("i-0bbbbbbbbbbbb77e0", "experiment"),
            instance("i-0c", "one"),
        ];
        stage.listed("instances", rows).press("4");
        let screen = stage.screen();
        assert!(screen.contains("experiment …1f3c") && screen.contains("experiment …77e0"), "{screen}");
        assert!(!screen.contains("one …"), "{screen}");
    }
}

#[test]
fn what_was_typed_into_a_form_survives_escape_and_failure() {
    let mut stage = busy(120, 40);
    stage.send(Event::Formed(Ok(form())));
    stage.press("Tab Tab Backspace 4 Esc");
    stage.send(Event::Formed(Ok(form())));
    let Some(Overlay::Form(view)) = stage.app.overlays.last() else { panic!("the form is open") };
    assert_eq!(view.form.value("instance_count"), "4");
}

#[test]
fn an_old_preview_does_not_count_for_a_changed_form() {
    let mut stage = busy(120, 40);
    stage.send(Event::Formed(Ok(form())));
    let serial = stage.effects.iter().find_map(|effect| match effect {
        Effect::Preview { serial, .. } => Some(*serial),
        _ => None,
    });
    stage.press("Tab Tab Backspace 4");
    stage.send(Event::Previewed { serial: serial.expect("a preview"), result: Ok(preview()) });
    let Some(Overlay::Form(view)) = stage.app.overlays.last() else { panic!("the form is open") };
    assert!(view.preview.is_none());
}

#[test]
fn what_was_made_is_selected_once_it_is_listed() {
    let mut stage = busy(120, 40);
    let order = Order { resource: "training-jobs".to_owned(), verb: Verb::Launch, targets: Vec::new(), form: Some(form()) };
    let id = ItemId("digits-new".to_owned());
    stage.send(Event::Ran { serial: 1, order, result: Ok(Outcome::Made { id: id.clone(), said: "Launched".into() }) });
    let mut rows = jobs();
    rows.push(job("digits-new", Phase::Waiting, "Starting", None, common::ago(0)));
    stage.listed("training-jobs", rows);
    assert_eq!(selected(&stage), "digits-new");
}

#[test]
fn a_rested_selection_fetches_its_detail_and_follows_its_log() {
    let mut stage = Stage::new(120, 40);
    stage.listed("training-jobs", jobs());
    stage.press("j");
    let wake = stage.effects.iter().find_map(|effect| match effect {
        Effect::After { wake: wake @ Wake::Settle(_), .. } => Some(wake.clone()),
        _ => None,
    });
    stage.send(Event::Woke(wake.expect("a timer")));
    let id = ItemId(selected(&stage));
    assert!(stage.asks(|effect| matches!(effect, Effect::Detail { id: asked, .. } if *asked == id)));
    stage.send(Event::Detailed { resource: "training-jobs".to_owned(), id: id.clone(), result: Ok(common::detail(id.as_str())) });
    assert!(stage.asks(|effect| matches!(effect, Effect::Tail { id: followed, .. } if *followed == id)));
    // When it ends, the follower is told to drain.
    let mut rows = jobs();
    for row in &mut rows {
        if row.id == id {
            *row = job(id.as_str(), Phase::Done, "Completed", None, common::ago(62));
        }
    }
    let page = Page { items: rows, whole: true, more: false };
    stage.send(Event::Listed { resource: "training-jobs".to_owned(), scope: None, page });
    assert!(stage.asks(|effect| *effect == Effect::TailEnded));
}

#[test]
fn read_only_refuses_in_the_core_too() {
    let mut stage = busy(120, 40);
    stage.press("!");
    assert!(stage.asks(|effect| *effect == Effect::Lock));
    for key in ["n", "c", "x", "X", "u"] {
        stage.press(key);
        assert!(!stage.asks(|effect| matches!(effect, Effect::Form { .. } | Effect::Run { .. })), "{key}");
        assert!(stage.app.overlays.is_empty(), "{key}");
    }
}

#[test]
fn quitting_asks_while_the_local_region_works() {
    let mut stage = busy(120, 40);
    stage.press("q");
    assert!(!stage.asks(|effect| *effect == Effect::Quit));
    assert!(stage.screen().contains("2 training jobs run in this local region"), "{}", stage.screen());
    stage.wait(1000).press("y");
    assert!(stage.asks(|effect| *effect == Effect::Quit));
    let mut idle = Stage::new(80, 24);
    idle.press("q");
    assert!(idle.asks(|effect| *effect == Effect::Quit));
}

#[test]
fn nothing_is_drawn_when_nothing_changed() {
    let mut stage = Stage::new(120, 40);
    let done: Vec<_> = jobs().into_iter().filter(|row| !row.state.phase.is_live()).collect();
    stage.listed("training-jobs", done.clone());
    let before = stage.app.revision;
    for _ in 0..5 {
        stage.wait(10_000).listed("training-jobs", done.clone());
    }
    assert_eq!(stage.app.revision, before);
    assert!(!stage.asks(|effect| matches!(effect, Effect::After { wake: Wake::Tick, .. })), "nothing ticks");
}

#[test]
fn the_palette_finds_by_name_and_acts() {
    let mut stage = busy(120, 40);
    stage.press(":").type_in("laun").press("Enter");
    assert!(stage.asks(|effect| matches!(effect, Effect::Form { verb: Verb::Launch, .. })));
}

#[test]
fn pasting_never_answers_a_question() {
    let mut stage = busy(120, 40);
    stage.press("x").wait(1000);
    stage.send(Event::Paste("y\n".to_owned()));
    assert!(!stage.asks(is_run));
}

#[test]
fn the_same_events_give_the_same_screen() {
    let play = || {
        let mut stage = busy(120, 40);
        stage.press("j / d i g Enter o Down Enter ?");
        stage.screen()
    };
    assert_eq!(play(), play());
}

/// Hosts that print the same, but for a word now and then.
fn chorus(hosts: u16, rounds: i32) -> LogBatch {
    let lines = (0..rounds).flat_map(|n| {
        (0..hosts).map(move |host| {
            let text = if n % 40 == 7 && host == 1 { format!("own {n}") } else { format!("epoch {n} loss=0.5") };
            LogLine { at: common::ago(60), host, text: text.as_str().into(), live: false }
        })
    });
    let names = (1..=hosts).map(|host| format!("algo-{host}").into());
    LogBatch { hosts: names.collect(), lines: lines.collect(), ..LogBatch::default() }
}

/// A stage whose selected job has that log.
fn sung(width: u16, height: u16, batch: LogBatch) -> Stage {
    let mut stage = busy(width, height);
    let id = ItemId(selected(&stage));
    stage.app.log = None;
    stage.send(Event::Detailed { resource: "training-jobs".to_owned(), id: id.clone(), result: Ok(common::detail(id.as_str())) });
    stage.send(Event::Tailed { resource: "training-jobs".to_owned(), id, batch });
    stage
}

#[test]
fn lines_that_hosts_say_alike_are_one_and_a_key_shows_each() {
    let mut stage = sung(80, 24, chorus(4, 10));
    stage.press("l");
    let screen = stage.screen();
    assert!(screen.contains("×4 all │ epoch 9 loss=0.5"), "{screen}");
    assert!(screen.contains("×3 134 │ epoch 7 loss=0.5") && screen.contains("algo-2 │ own 7"), "{screen}");
    assert!(screen.contains("4 hosts  algo-1 2 3 4"), "the legend fits 80 columns: {screen}");
    assert_eq!(screen.matches("epoch 9 ").count(), 1);
    stage.press("z");
    let screen = stage.screen();
    assert_eq!(screen.matches("epoch 9 ").count(), 4, "{screen}");
    assert!(screen.contains("algo-4 │ epoch 9"), "{screen}");
    stage.press("z");
    assert_eq!(stage.screen().matches("epoch 9 ").count(), 1);
    stage.press("H space Esc");
    let screen = stage.screen();
    assert!(screen.contains("4 hosts  (algo-1) 2 3 4") && screen.contains("×3 234 │ epoch 9"), "{screen}");
}

#[test]
fn any_host_of_many_can_be_muted_or_heard_alone() {
    let mut stage = sung(120, 24, chorus(9, 10));
    stage.press("l H");
    let screen = stage.screen();
    assert!(screen.contains("The hosts of this log") && screen.contains("algo-9") && screen.contains("10 lines"), "{screen}");
    stage.press("space space Esc");
    let screen = stage.screen();
    assert!(screen.contains("9 hosts  (algo-1) (2) 3"), "{screen}");
    assert!(screen.contains("×7 all │ epoch 9") || screen.contains("×7     │ epoch 9"), "{screen}");
    stage.press("H G Enter");
    let screen = stage.screen();
    assert!(screen.contains("only algo-9") && screen.contains("algo-9 │ epoch 9"), "{screen}");
    stage.press("H a Esc");
    assert!(stage.screen().contains("9 hosts  algo-1 2 3"), "{}", stage.screen());
    // One host has no such list.
    let mut stage = sung(80, 24, chorus(1, 3));
    stage.press("l H");
    assert!(stage.app.overlays.is_empty());
}

#[test]
fn hosts_that_only_repeat_each_other_are_said_once() {
    let mut stage = sung(120, 40, chorus(4, 40));
    assert!(stage.screen().contains("all print the same"), "{}", stage.screen());
    let said = |stage: &Stage| stage.app.toast.as_ref().map(|toast| toast.text.to_string()).unwrap_or_default();
    assert!(said(&stage).contains("4 times the cost"), "{}", said(&stage));
    stage.app.toast = None;
    let id = ItemId(selected(&stage));
    stage.send(Event::Tailed { resource: "training-jobs".to_owned(), id, batch: chorus(4, 9) });
    assert_eq!(said(&stage), "");
    // Hosts that each do their own are left alone.
    assert!(!busy(120, 40).screen().contains("all print the same"));
}

/// A finished job's detail: two metrics, a value a second; a parameter that all share, and one of its own.
fn compared(id: &str, rate: f64, values: i32) -> Detail {
    let curve = |from: f64| Series {
        name: "test:loss".into(),
        points: (0..values)
            .map(|n| Point { at: common::ago(i64::from(100 - n)), value: from * (-0.2 * f64::from(n)).exp() })
            .collect(),
    };
    let mut accuracy = curve(-1.0);
    accuracy.name = "test:accuracy".into();
    let span = PhaseSpan {
        word: "Training".into(),
        start: common::ago(110),
        end: Some(common::ago(50)),
        message: "".into(),
        billed: true,
    };
    let text = |text: &str| Cell::Text(text.into());
    Detail {
        id: ItemId(id.to_owned()),
        state: State { phase: Phase::Done, word: "Completed".into() },
        blocks: vec![
            Block::Facts { title: "cost".into(), facts: vec![("cost".into(), Cell::Money(rate))] },
            Block::Facts {
                title: "hyperparameters".into(),
                facts: vec![
                    ("batch_size".into(), text("128")),
                    ("learning_rate".into(), Cell::Text(format!("{rate}").into())),
                    ("model".into(), Cell::Text(format!("s3://bucket/{id}/model.tar.gz").into())),
                ],
            },
            Block::Phases(vec![span]),
            Block::Curves { title: "metrics".into(), series: vec![curve(rate), accuracy] },
        ],
        metrics: vec![MetricRule { name: "test:loss".to_owned(), regex: "loss=(.*)".to_owned() }],
        log: true,
    }
}

/// The two finished jobs marked, with their details.
fn comparing(width: u16, height: u16) -> Stage {
    let mut stage = busy(width, height);
    stage.press("j j space space");
    for (id, rate, values) in
        [("pytorch-training-230320-2041-002-2e2418b3", 0.25, 30), ("pytorch-training-230320-2041-001-0e6f4f4a", 0.5, 20)]
    {
        let detail = compared(id, rate, values);
        stage.send(Event::Detailed { resource: "training-jobs".to_owned(), id: detail.id.clone(), result: Ok(detail) });
    }
    stage
}

#[test]
fn the_marked_are_compared_by_step_time_and_money() {
    let mut stage = comparing(120, 40);
    let screen = stage.screen();
    for words in ["compare 2 training jobs", "1 001-0e6f4f4a", "2 002-2e2418b3", "test:loss  1 of 2", "step 30", "a by step"] {
        assert!(screen.contains(words), "lacks {words}:\n{screen}");
    }
    // What differs, the best last value first; what is the same, and what bears the thing's own name, is left out.
    assert!(screen.contains("learning_rate") && screen.contains("★ 0.0008") && screen.contains("cost"), "{screen}");
    assert!(!screen.contains("batch_size") && !screen.contains("model.tar.gz"), "{screen}");
    stage.press("a");
    let screen = stage.screen();
    assert!(screen.contains("a by time") && screen.contains("00:39"), "{screen}");
    stage.press("a");
    // 39 s from the first billed one, at $0.461 an hour.
    assert!(stage.screen().contains("a by money") && stage.screen().contains("$0.0050"), "{}", stage.screen());
    stage.press("m");
    assert!(stage.screen().contains("test:accuracy  2 of 2"), "{}", stage.screen());
    stage.press("Esc");
    assert!(!stage.screen().contains("compare"), "without marks it is the selected one again");
}

#[test]
fn in_small_windows_chart_and_table_take_turns_and_in_tiny_ones_it_is_a_line() {
    let mut stage = comparing(80, 24);
    let screen = stage.screen();
    assert!(screen.contains("test:loss") && screen.contains("step 30") && !screen.contains("learning_rate"), "{screen}");
    stage.press("m m");
    let screen = stage.screen();
    assert!(screen.contains("what differs") && screen.contains("learning_rate"), "{screen}");
    stage.press("m");
    assert!(stage.screen().contains("step 30"));
    let screen = comparing(40, 15).screen();
    assert!(screen.contains("compare 2 training jobs") && screen.contains("★ 0.0008 2 002-2e2418b3"), "{screen}");
}

#[test]
fn what_is_compared_is_asked_for_and_asked_again_while_it_lives() {
    let details = |stage: &Stage| {
        let ids = stage.effects.iter().filter_map(|effect| match effect {
            Effect::Detail { id, .. } => Some(id.0.clone()),
            _ => None,
        });
        ids.collect::<std::collections::BTreeSet<String>>()
    };
    let mut stage = busy(120, 40);
    stage.press("j space space");
    let wake = stage.effects.iter().rev().find_map(|effect| match effect {
        Effect::After { wake: wake @ Wake::Settle(_), .. } => Some(wake.clone()),
        _ => None,
    });
    stage.send(Event::Woke(wake.expect("a timer")));
    let (alive, ended) = ("digits-2026-11-22-13-59-48-549", "pytorch-training-230320-2041-002-2e2418b3");
    assert!(details(&stage).contains(alive) && details(&stage).contains(ended), "{:?}", details(&stage));
    stage.send(Event::Detailed {
        resource: "training-jobs".to_owned(),
        id: ItemId(ended.to_owned()),
        result: Ok(compared(ended, 0.25, 30)),
    });
    stage.send(Event::ListEnded { resource: "training-jobs".to_owned(), scope: None, result: Ok(()) });
    assert!(details(&stage).contains(alive) && !details(&stage).contains(ended), "{:?}", details(&stage));
    assert!(details(&stage).len() <= 6, "few at a time");
}

#[test]
fn of_more_than_eight_the_first_are_compared_and_it_is_said() {
    let mut stage = Stage::new(120, 40);
    let rows = (0..12).map(|n| job(&format!("digits-{n:02}"), Phase::Done, "Completed", Some(0.5), common::ago(n)));
    stage.listed("training-jobs", rows.collect());
    stage.press("*");
    let screen = stage.screen();
    assert!(screen.contains("compare 8 of 12 training jobs"), "{screen}");
    // What has no curves is not compared.
    stage.press("Esc 2");
    assert!(!stage.app.compares());
}

#[test]
fn comparing_and_choosing_hosts_is_drawn_in_every_size() {
    for width in (1..130).step_by(3) {
        for height in [1, 5, 8, 9, 12, 15, 18, 21, 24, 30, 40] {
            let mut stage = comparing(width, height);
            for keys in ["a", "m", "m", "m", "L", "+ + + +", "_ _ _ _ _ _"] {
                stage.press(keys).screen();
            }
            let mut stage = sung(width, height, chorus(9, 30));
            for keys in ["l", "H", "G", "space", "Esc", "w"] {
                stage.press(keys).screen();
            }
        }
    }
}

#[test]
fn the_logs_of_what_is_compared_are_read_for_every_value() {
    let watched = |stage: &Stage| {
        stage.effects.iter().rev().find_map(|effect| match effect {
            Effect::Watch { logs, .. } => Some(logs.iter().map(|(id, _, over)| (id.0.clone(), *over)).collect::<Vec<_>>()),
            _ => None,
        })
    };
    let (first, second) = ("pytorch-training-230320-2041-001-0e6f4f4a", "pytorch-training-230320-2041-002-2e2418b3");
    let mut stage = comparing(120, 40);
    let logs = watched(&stage).expect("logs to be read");
    assert_eq!(logs, [(first.to_owned(), true), (second.to_owned(), true)]);
    let point = |n: i32| ("test:loss".into(), Point { at: common::ago(i64::from(100 - n)), value: f64::from(100 - n) });
    let read = |stage: &mut Stage, id: &str, values: i32, whole| {
        let points = (0..values).map(point).collect();
        stage.send(Event::Watched { resource: "training-jobs".to_owned(), id: ItemId(id.to_owned()), points, whole });
    };
    // What the service has kept as averages gives way to all values.
    read(&mut stage, second, 60, true);
    let screen = stage.screen();
    assert!(screen.contains("step 60") && screen.contains("2 002-2e2418b3 41.00"), "{screen}");
    assert_eq!(watched(&stage).expect("one is done with"), [(first.to_owned(), true)]);
    // Whoever looks at something else for a moment does not stop that.
    stage.press("Enter Enter Esc Esc");
    assert_eq!(watched(&stage), None);
    // The marks gone, nothing is read any more; what was read stays.
    stage.press("Esc");
    assert_eq!(watched(&stage).expect("none"), []);
    stage.press("g j j space space");
    assert_eq!(watched(&stage).expect("the one not known whole"), [(first.to_owned(), true)]);
    assert!(stage.screen().contains("2 002-2e2418b3 41.00"), "{}", stage.screen());
}

/// The cockpit after an order that failed with a long message; its end is the remedy.
fn refused(width: u16, height: u16, what: &str) -> Stage {
    let mut stage = busy(width, height);
    stage.press("x").wait(1000).press("y");
    let sent = stage.effects.iter().find_map(|effect| match effect {
        Effect::Run { serial, order } => Some((*serial, order.clone())),
        _ => None,
    });
    let (serial, order) = sent.expect("an order");
    let failure = Failure::new(FailureKind::Invalid, what, "do this instead: footplate start instances");
    stage.send(Event::Ran { serial, order, result: Err(failure) });
    stage
}

#[test]
fn a_long_message_shows_its_remedy_and_is_kept() {
    let what = "the instance cannot be stopped because it is a spot instance of one time, which AWS only terminates";
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        let mut stage = refused(width, height, what);
        let screen = stage.screen();
        assert!(screen.split_whitespace().collect::<Vec<_>>().join(" ").contains("footplate start instances"), "{screen}");
        // It goes away by itself, and can be read again.
        stage.app.toast = None;
        stage.press("M");
        let screen = stage.screen().replace(['│', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(screen.contains("14:03") && screen.contains("footplate start instances"), "{screen}");
    }
    // What is far too long leaves the list in sight, and says which key shows the rest.
    let mut stage = refused(40, 15, &what.repeat(9));
    let screen = stage.screen();
    assert!(screen.contains("M reads all of it") && screen.contains("digits-"), "{screen}");
    stage.press("M End");
    assert!(stage.screen().contains("start instances"), "{}", stage.screen());
}

#[test]
fn a_question_is_read_to_its_end_in_a_small_window() {
    let mut stage = busy(40, 15);
    stage.send(Event::Ran {
        serial: 0,
        order: order(),
        result: Ok(Outcome::Then {
            said: "done".into(),
            question: "Delete what is left of it, too?".into(),
            lines: (1..30).map(|line| format!("line {line} of what is left over").into()).collect(),
            order: Box::new(order()),
        }),
    });
    let screen = stage.screen();
    assert!(screen.contains("line 1 of") && !screen.contains("line 29") && screen.contains("Cancel"), "{screen}");
    stage.press("End");
    let screen = stage.screen();
    assert!(screen.contains("line 29 of") && screen.contains("of 29") && screen.contains("Cancel"), "{screen}");
    // Reading is no answer.
    assert_eq!(stage.app.overlays.len(), 1);
}

fn order() -> Order {
    Order { resource: "training-jobs".to_owned(), verb: Verb::Stop, targets: Vec::new(), form: None }
}

#[test]
fn all_details_are_a_key_away_and_scroll() {
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        let mut stage = Stage::recorded("instances", width, height);
        assert!(stage.screen().contains("details") || width < 60, "the footer names the key: {}", stage.screen());
        stage.press("v");
        assert!(stage.screen().contains(" instance") && stage.screen().contains("type"), "{}", stage.screen());
        stage.press("G");
        let screen = stage.screen();
        assert!(screen.contains("footplate:"), "the tags are last: {screen}");
        stage.press("g");
        assert!(stage.screen().contains("type"), "{}", stage.screen());
        stage.press("Esc");
        assert_eq!(stage.app.level, Level::List);
    }
    // From inside a thing it goes back there.
    let mut stage = busy(80, 24);
    stage.press("Enter v Esc");
    assert_eq!(stage.app.level, Level::Inside);
}

#[test]
fn what_will_happen_is_a_key_away_where_it_has_no_room() {
    let mut stage = busy(40, 15);
    stage.send(Event::Formed(Ok(form())));
    let serial = stage.effects.iter().find_map(|effect| match effect {
        Effect::Preview { serial, .. } => Some(*serial),
        _ => None,
    });
    let unwise = Problem { field: String::new(), message: "it is unwise on a Sunday".into(), fatal: false };
    let told = Preview { problems: vec![unwise], ..preview() };
    stage.send(Event::Previewed { serial: serial.expect("a preview"), result: Ok(told) });
    assert!(stage.screen().contains("F2") && !stage.screen().contains("Sunday"), "{}", stage.screen());
    stage.press("F2");
    assert!(stage.screen().contains("Sunday") && stage.screen().contains("upload: 1,797 files"), "{}", stage.screen());
    stage.press("Esc");
    assert!(matches!(stage.app.overlays.last(), Some(Overlay::Form(_))));
}
