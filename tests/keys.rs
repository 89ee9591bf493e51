//! Keys in, effects and screen out: what the cockpit does, without terminal, clock or network.

mod common;

use common::{Stage, busy, form, job, jobs, preview};
use footplate::app::event::Wake;
use footplate::app::overlay::Overlay;
use footplate::app::{Effect, Event, Level};
use footplate::model::{Failure, FailureKind, ItemId, Order, Outcome, Page, Phase, Verb};

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
