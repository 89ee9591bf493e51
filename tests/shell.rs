//! Terminals inside the cockpit: keys, mouse, pastes and what the other end says go in; bytes, wishes and the screen come out.
//! No network: what a connection would tell is told by hand, and what programs show is recorded (`tests/recorded/shell`).

mod common;

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;

use common::{Stage, svg};
use footplate::app::event::Wake;
use footplate::app::shell::Link;
use footplate::app::shell::mouse::{Button, Did, Mouse};
use footplate::app::shell::talk::{Attach, News, Opened, Raw, Stranger, Wish};
use footplate::app::{Effect, Event, Level};
use footplate::config::keymap::Keymap;
use footplate::config::theme::Theme;
use footplate::model::{
    Cell, Failure, FailureKind, Field, FieldKind, Form, Item, ItemId, Order, Page, Phase, Preview, Progress, State, Verb,
};
use footplate::runtime::sheet::Sheet;
use footplate::term::Screen;
use ratatui::backend::CrosstermBackend;

const ID: &str = "i-0123456789abcdef0";

/// An instance with a name.
fn instance(phase: Phase, word: &str) -> Item {
    let spec = footplate::resource::find("instances").expect("the pane").spec();
    let state = State { phase, word: word.into() };
    let mut cells = vec![Cell::Absent; spec.columns.len()];
    cells[0] = Cell::Text("dogs-gpu".into());
    cells[1] = Cell::State(state.clone());
    Item { id: ItemId(ID.to_owned()), state, cells, container: false, per_hour: Some(0.526) }
}

/// The list of instances with one that runs.
fn pane(width: u16, height: u16) -> Stage {
    let mut stage = Stage::with(width, height, |setup| setup.owns_region = false);
    stage.app.active = stage.app.panes.iter().position(|pane| pane.spec.id == "instances").expect("the pane");
    stage.listed("instances", vec![instance(Phase::Active, "Running")]);
    stage
}

fn number(stage: &Stage) -> u64 {
    stage.app.shells.session().expect("a session").number
}

fn news(stage: &mut Stage, news: News) {
    let session = number(stage);
    stage.send(Event::Shell { session, news });
}

fn opened(name: Option<&str>, again: bool) -> News {
    with_others(name, again, &[])
}

/// With others that wait there.
fn with_others(name: Option<&str>, again: bool, others: &[&str]) -> News {
    let others = others.iter().map(|name| (*name).into()).collect();
    News::Opened(Opened { title: "dogs-gpu (i-0123456789abcdef0)".into(), name: name.map(Into::into), again, others })
}

/// A terminal that is connected, under tmux.
fn connected(width: u16, height: u16) -> Stage {
    let mut stage = pane(width, height);
    stage.press("s");
    news(&mut stage, opened(Some("shell-1"), false));
    stage
}

fn hears(stage: &mut Stage, bytes: &[u8]) {
    news(stage, News::Bytes(bytes.into()));
}

/// All that was typed, in order.
fn typed(stage: &Stage) -> Vec<u8> {
    let sent = stage.effects.iter().filter_map(|effect| match effect {
        Effect::Shell { wish: Wish::Send(Raw(bytes)) | Wish::Piece(Raw(bytes)), .. } => Some(bytes.clone()),
        _ => None,
    });
    sent.flatten().collect()
}

fn wishes(stage: &Stage) -> Vec<Wish> {
    let wishes = stage.effects.iter().filter_map(|effect| match effect {
        Effect::Shell { wish, .. } => Some(wish.clone()),
        _ => None,
    });
    wishes.collect()
}

fn broken() -> News {
    News::Lost {
        failure: Failure::new(FailureKind::Network, "the connection was cut", "see whether the instance runs"),
        unanswered: Raw(Vec::new()),
    }
}

#[test]
fn s_opens_a_terminal_and_says_how_far_it_is() {
    let mut stage = pane(120, 40);
    stage.press("s");
    let opens = |wish: &Wish| matches!(wish, Wish::Open { id, size: (120, 38), attach: Attach::Any, .. } if id.as_str() == ID);
    assert!(wishes(&stage).iter().any(opens), "{:?}", stage.effects);
    news(&mut stage, News::Said("connecting to 127.9.0.1, port 22".into()));
    news(&mut stage, News::Said("announcing a key".into()));
    let screen = stage.screen();
    assert!(screen.contains("✓ connecting to 127.9.0.1") && screen.contains("◌ announcing a key"), "{screen}");
    news(&mut stage, opened(Some("shell-1"), false));
    hears(&mut stage, b"ubuntu@ip-10-0-0-7:~$ ");
    assert!(stage.screen().contains("ubuntu@ip-10-0-0-7:~$"), "{}", stage.screen());
    assert_eq!(stage.app.cursor(), Some((22, 1)), "below the line of tabs");
    // The same row again is the same terminal.
    stage.press("Ctrl-] l s");
    assert_eq!(stage.app.shells.sessions.len(), 1);
    assert_eq!(stage.app.level, Level::Shell);
}

#[test]
fn a_list_of_runs_opens_its_instances_terminal_whatever_the_row() {
    let inside = |rows: Vec<Item>| {
        let mut stage = pane(120, 40);
        stage.listed("instances", vec![Item { container: true, ..instance(Phase::Active, "Running") }]);
        stage.press("Enter");
        let scope = Some(ItemId(ID.to_owned()));
        let page = Page { items: rows, whole: true, more: false };
        stage.send(Event::Listed { resource: "runs".to_owned(), scope: scope.clone(), page });
        stage.send(Event::ListEnded { resource: "runs".to_owned(), scope, result: Ok(()) });
        stage
    };
    // Nothing there yet: it says what would be, and the terminal is the instance's.
    let mut stage = inside(Vec::new());
    assert!(stage.screen().contains("Nothing was trained on this instance yet"), "{}", stage.screen());
    stage.press("c");
    assert!(stage.screen().contains("Nothing here can be cloned."), "{}", stage.screen());
    stage.press("s");
    let opens =
        |wish: &Wish, of: &str| matches!(wish, Wish::Open { resource, id, .. } if format!("{resource} {}", id.as_str()) == of);
    assert!(wishes(&stage).iter().any(|wish| opens(wish, &format!("instances {ID}"))), "{:?}", stage.effects);
    assert!(stage.screen().contains("dogs-gpu"), "{}", stage.screen());
    // A run that is over says nothing about the instance.
    let id = format!("{ID}/digits-1");
    let state = State { phase: Phase::Failed, word: "Lost".into() };
    let cells = vec![Cell::Absent; footplate::resource::find("runs").expect("the list").spec().columns.len()];
    let mut stage = inside(vec![Item { id: ItemId(id.clone()), state, cells, container: false, per_hour: None }]);
    stage.press("s");
    assert!(wishes(&stage).iter().any(|wish| opens(wish, &format!("runs {id}"))), "{:?}", stage.effects);
}

#[test]
fn what_is_stopped_has_nobody_to_log_in_to() {
    let mut stage = pane(120, 40);
    stage.listed("instances", vec![instance(Phase::Stopped, "Stopped")]);
    stage.press("s");
    assert!(stage.app.shells.sessions.is_empty());
    assert!(stage.screen().contains("It is stopped"), "{}", stage.screen());
}

#[test]
fn read_only_opens_no_terminal() {
    let mut stage = pane(120, 40);
    stage.press("! s");
    assert!(stage.app.shells.sessions.is_empty() && stage.screen().contains("Read-only"), "{}", stage.screen());
}

#[test]
fn every_key_but_the_leader_goes_to_the_terminal() {
    let mut stage = connected(120, 40);
    stage.press("q Esc Ctrl-c ? : Tab 1 Up F5 Ctrl-z");
    assert_eq!(typed(&stage), b"q\x1b\x03?:\t1\x1b[A\x1b[15~\x1a");
    assert!(stage.app.overlays.is_empty() && stage.app.in_shell());
    // A program that asks for it gets the other form of cursor keys.
    hears(&mut stage, b"\x1b[?1h");
    stage.press("Up");
    assert_eq!(typed(&stage), b"\x1bOA");
}

#[test]
fn typing_draws_nothing_until_it_is_answered() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"$ ");
    let before = stage.app.revision;
    stage.press("l");
    assert_eq!(stage.app.revision, before, "a key that went out has changed nothing");
    hears(&mut stage, b"l");
    assert!(stage.app.revision > before);
}

#[test]
fn the_leader_twice_is_for_the_program_and_esc_after_it_goes_back() {
    let mut stage = connected(120, 40);
    stage.press("Ctrl-] Ctrl-]");
    assert_eq!(typed(&stage), b"\x1d");
    // As terminals report it that know no better.
    stage.press("Ctrl-5 Esc");
    assert_eq!((stage.app.level, typed(&stage).len()), (Level::List, 0));
    assert!(stage.screen().contains("Ctrl-] terminal"), "{}", stage.screen());
    stage.press("Ctrl-]");
    assert!(stage.app.in_shell());
}

#[test]
fn the_leader_in_the_list_leads_in_the_terminal() {
    let mut stage = connected(120, 40);
    stage.press("Ctrl-] l Ctrl-]");
    assert!(stage.app.in_shell() && stage.screen().contains("v split"), "{}", stage.screen());
    stage.press("v");
    assert!(typed(&stage).is_empty() && stage.app.shells.split, "a command");
    stage.press("Ctrl-] l Ctrl-] v");
    assert!(typed(&stage).is_empty() && !stage.app.shells.split);
    // What is no command is typed, and Enter is only the wish to be there.
    stage.press("Ctrl-] l Ctrl-]");
    let key = |text: &str| Event::Key(footplate::config::key::Key::parse(text).expect(text));
    assert!(stage.app.is_typing(&key("w")) && !stage.app.is_typing(&key("v")), "only what is typed may be a password");
    stage.press("w");
    assert_eq!(typed(&stage), b"w");
    stage.press("Ctrl-] l Ctrl-] Enter");
    assert!(typed(&stage).is_empty());
    stage.press("v");
    assert_eq!(typed(&stage), b"v");
    stage.press("Ctrl-] l Ctrl-]").send(Event::Paste("x".to_owned()));
    stage.press("v");
    assert!(!stage.app.shells.split, "pasted and then typed");
}

#[test]
fn a_list_without_an_answer_says_how_old_it_is() {
    let mut stage = pane(120, 40);
    stage.wait(5000).send(Event::Woke(Wake::Poll("instances".to_owned())));
    stage.wait(9000).send(Event::Woke(Wake::Tick));
    assert!(!stage.screen().contains("no answer"), "{}", stage.screen());
    stage.wait(3000).send(Event::Woke(Wake::Tick));
    assert!(stage.screen().contains("no answer for 12 s · as of"), "{}", stage.screen());
    stage.listed("instances", vec![instance(Phase::Active, "Running")]);
    assert!(!stage.screen().contains("no answer"), "{}", stage.screen());
}

#[test]
fn the_bell_of_the_terminal_one_is_in_leaves_no_mark() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"\x07");
    assert!(!stage.screen().contains('♪'), "{}", stage.screen());
    stage.press("Ctrl-] v Ctrl-] l");
    hears(&mut stage, b"\x07");
    assert!(stage.screen().contains('♪'), "the list has the focus: {}", stage.screen());
    stage.press("Ctrl-]");
    assert!(!stage.screen().contains('♪'), "{}", stage.screen());
}

#[test]
fn the_leader_can_be_another_key() {
    let mut stage = pane(120, 40);
    stage.app.setup.keymap = Keymap::load("[keys]\nleader = ['Ctrl-a']").expect("valid");
    stage.press("s");
    news(&mut stage, opened(None, false));
    assert!(stage.screen().contains("Ctrl-a"), "{}", stage.screen());
    stage.press("Ctrl-]");
    assert_eq!(typed(&stage), b"\x1d");
    stage.press("Ctrl-a l");
    assert_eq!(stage.app.level, Level::List);
}

#[test]
fn the_strip_and_the_help_show_the_commands() {
    let mut stage = connected(120, 40);
    stage.press("Ctrl-]");
    assert!(stage.screen().contains("v split") && stage.screen().contains("x end"), "{}", stage.screen());
    stage.press("?");
    assert!(stage.screen().contains("another terminal on the same machine"), "{}", stage.screen());
    assert!(stage.screen().contains("j Down PageDown  stay"), "{}", stage.screen());
    stage.press("Esc Ctrl-] z");
    assert!(stage.screen().contains("z is no command here"), "{}", stage.screen());
}

fn forms(stage: &Stage) -> Vec<(String, Verb, Option<String>)> {
    let forms = stage.effects.iter().filter_map(|effect| match effect {
        Effect::Form { resource, verb, target } => Some((resource.clone(), *verb, target.clone().map(|id| id.0))),
        _ => None,
    });
    forms.collect()
}

#[test]
fn files_go_to_the_selected_machine_and_from_it() {
    let wanted = |verb| vec![("instances".to_owned(), verb, Some(ID.to_owned()))];
    for (keys, verb) in [("u", Verb::Upload), ("d", Verb::Download)] {
        let mut stage = pane(120, 40);
        stage.press(keys);
        assert_eq!(forms(&stage), wanted(verb), "{keys}");
    }
    // With no machine there is none to upload to.
    let mut stage = pane(120, 40);
    stage.listed("instances", Vec::new()).press("u");
    assert_eq!(forms(&stage), []);
    assert!(stage.screen().contains("Select an instance first."), "{}", stage.screen());
    // And in its terminal, where the key after the leader asks for it.
    for (keys, verb) in [("Ctrl-] u", Verb::Upload), ("Ctrl-] f", Verb::Download)] {
        let mut stage = connected(120, 40);
        stage.press(keys);
        assert_eq!((forms(&stage), typed(&stage)), (wanted(verb), Vec::new()), "{keys}");
    }
}

#[test]
fn a_copy_that_is_at_work_shows_in_the_terminal_and_can_be_called_off() {
    let mut stage = connected(120, 40);
    stage.press("Ctrl-] u");
    let field = |name: &'static str, value: &str| Field {
        name: name.into(),
        label: name.into(),
        help: name.into(),
        kind: FieldKind::Line,
        value: value.to_owned(),
        initial: value.to_owned(),
    };
    let fields = vec![field("source", "data"), field("target", "~/")];
    let parent = Some(ItemId(ID.to_owned()));
    let form = Form { title: "Upload to dogs-gpu".into(), resource: "instances".into(), verb: Verb::Upload, parent, fields };
    stage.send(Event::Formed(Ok(form)));
    assert!(stage.screen().contains("Upload to dogs-gpu"), "{}", stage.screen());
    let looked = stage.effects.iter().rev().find_map(|effect| match effect {
        Effect::Preview { serial, .. } => Some(*serial),
        _ => None,
    });
    stage.send(Event::Previewed { serial: looked.unwrap(), result: Ok(Preview::default()) }).press("Ctrl-s");
    let sent = stage.effects.iter().rev().find_map(|effect| match effect {
        Effect::Run { serial, order } => Some((*serial, order.clone())),
        _ => None,
    });
    let (serial, order) = sent.unwrap();
    assert_eq!((order.verb, order.targets.as_slice()), (Verb::Upload, &[ItemId(ID.to_owned())][..]));
    let progress = Progress { said: "1.0 MB of 4.0 MB · a.jpg".into(), done: 1, total: 4 };
    stage.send(Event::Progressed { serial, progress });
    assert!(stage.screen().contains("25 % · 1.0 MB of 4.0 MB · a.jpg"), "{}", stage.screen());
    stage.press("Ctrl-x");
    assert_eq!(typed(&stage), [0x18], "for the program in it, without the leader");
    stage.press("Ctrl-] Ctrl-x");
    assert!(stage.asks(|effect| matches!(effect, Effect::CallOff { serial: other } if *other == serial)));
}

#[test]
fn several_terminals_are_tabs() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"first");
    let first = number(&stage);
    stage.press("Ctrl-] n");
    assert!(wishes(&stage).iter().any(|wish| matches!(wish, Wish::Open { attach: Attach::New, .. })));
    news(&mut stage, opened(Some("shell-2"), false));
    hears(&mut stage, b"second");
    assert!(stage.screen().contains("second") && !stage.screen().contains("first"));
    // The one that does not show says that something came, and that its bell rang.
    stage.send(Event::Shell { session: first, news: News::Bytes(Raw(b"more\x07".to_vec())) });
    assert!(stage.screen().lines().next().is_some_and(|line| line.contains('♪')), "{}", stage.screen());
    stage.press("Ctrl-] 1");
    assert!(stage.screen().contains("firstmore") && !stage.screen().contains('♪'), "{}", stage.screen());
    stage.press("Ctrl-] Tab");
    assert!(stage.screen().contains("second"));
}

#[test]
fn the_open_terminal_is_in_sight_among_many_at_every_width() {
    for (width, height) in [(200, 50), (120, 40), (80, 24), (40, 15), (30, 12)] {
        let mut stage = pane(width, height);
        stage.press("s");
        let title = |at: usize| format!("模型训练-dogs-gpu-{at} (i-0123456789abcdef{at})");
        let open = |stage: &mut Stage, at: usize| {
            let opened = Opened { title: title(at).as_str().into(), name: Some("x".into()), again: false, others: Vec::new() };
            news(stage, News::Opened(opened));
        };
        open(&mut stage, 1);
        for at in 2..=9 {
            stage.press("Ctrl-] n");
            open(&mut stage, at);
        }
        for at in [9, 1, 5] {
            stage.press(&format!("Ctrl-] {at}"));
            let buffer = stage.buffer("night");
            let mut line = String::new();
            // The second cell of a wide character holds nothing of its own.
            while footplate::model::columns(&line) < width {
                line.push_str(buffer[(footplate::model::columns(&line), 0)].symbol());
            }
            assert!(line.contains(&format!(" {at} ● 模")), "{width}: {line}");
            assert!(line.contains("Ctrl-]"), "{width}: {line}");
            // A cut name says so, and there is more where the signs are.
            assert!(line.contains(&title(at)) || line.contains('…'), "{width}: {line}");
            assert_eq!(line.contains('‹'), !line.contains(" 1 ●"), "{width}: {line}");
            assert_eq!(line.contains('›'), !line.contains(" 9 ●"), "{width}: {line}");
        }
    }
}

#[test]
fn ending_a_live_one_asks() {
    let mut stage = connected(120, 40);
    stage.press("Ctrl-] x");
    assert!(stage.screen().contains("End the terminal on dogs-gpu"), "{}", stage.screen());
    stage.wait(1000).press("Enter");
    assert_eq!(stage.app.shells.sessions.len(), 1, "Enter is Cancel");
    stage.press("Ctrl-] x").wait(1000).press("y");
    assert!(wishes(&stage).contains(&Wish::End) && stage.app.shells.sessions.is_empty());
    assert_eq!(stage.app.level, Level::List);
}

#[test]
fn a_program_that_ends_leaves_its_last_words() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"logout\r\n");
    news(&mut stage, News::Ended("exit 0".into()));
    let screen = stage.screen();
    assert!(
        screen.contains("logout") && screen.contains("■ ended: exit 0") && screen.contains("Enter opens it again"),
        "{screen}"
    );
    stage.press("Enter");
    assert!(wishes(&stage).iter().any(|wish| matches!(wish, Wish::Open { attach: Attach::Any, .. })));
    news(&mut stage, opened(Some("shell-1"), false));
    news(&mut stage, News::Ended("exit 1".into()));
    stage.press("Esc");
    assert_eq!(stage.app.level, Level::List);
    stage.press("q");
    assert!(stage.asks(|effect| *effect == Effect::Quit), "what is over is not asked about");
}

#[test]
fn what_a_program_said_last_is_not_covered_by_how_it_ended() {
    for end in [News::Ended("exit 1".into()), broken()] {
        let mut stage = connected(120, 40);
        let lines: Vec<String> = (0..200).map(|n| format!("line {n}\r\n")).collect();
        hears(&mut stage, lines.concat().as_bytes());
        hears(&mut stage, b"the last words");
        news(&mut stage, end);
        let screen = stage.screen();
        assert!(screen.contains("the last words") && screen.contains("line 199"), "{screen}");
        let place = |text: &str| screen.lines().position(|line| line.contains(text));
        let notice = place("ended: ").or_else(|| place("reconnecting")).unwrap();
        assert_eq!(place("the last words").map(|row| row + 1), Some(notice), "{screen}");
        // Few words stay where they are.
        let mut stage = connected(120, 40);
        hears(&mut stage, b"few words");
        news(&mut stage, News::Ended("exit 1".into()));
        assert!(stage.screen().lines().nth(1).is_some_and(|line| line.starts_with("few words")), "{}", stage.screen());
    }
}

#[test]
fn all_terminals_that_went_on_come_back_with_the_first() {
    let mut stage = pane(120, 40);
    stage.press("s");
    stage.effects.clear();
    news(&mut stage, with_others(Some("shell-1"), true, &["shell-3", "shell-4"]));
    let asked: Vec<String> = wishes(&stage)
        .iter()
        .filter_map(|wish| match wish {
            Wish::Open { id, size: (120, 38), attach: Attach::Again(name), .. } if id.as_str() == ID => Some(name.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(asked, ["shell-3", "shell-4"]);
    assert!(stage.app.shells.current == 0 && stage.app.shells.sessions.len() == 3, "the one that was asked for shows");
    assert!(stage.screen().contains("3 terminals went on without you"), "{}", stage.screen());
    let second = stage.app.shells.sessions[1].number;
    stage.send(Event::Shell { session: second, news: opened(Some("shell-3"), true) });
    assert!(stage.screen().contains("3 terminals went on without you"), "said once: {}", stage.screen());
    // One that is not reached says so behind its tab, and is tried again by the same name.
    let third = stage.app.shells.sessions[2].number;
    stage.send(Event::Shell { session: third, news: broken() });
    stage.press("Ctrl-] 3");
    assert!(stage.screen().contains("ended: the connection was cut"), "{}", stage.screen());
    stage.effects.clear();
    stage.press("Enter");
    let again = |wish: &Wish| matches!(wish, Wish::Open { attach: Attach::Again(name), .. } if name.as_str() == "shell-4");
    assert!(wishes(&stage).iter().any(again), "{:?}", stage.effects);
    // More than there are digits for do not come.
    let mut stage = pane(120, 40);
    stage.press("s");
    let many: Vec<String> = (2..20).map(|number| format!("shell-{number}")).collect();
    news(&mut stage, with_others(Some("shell-1"), true, &many.iter().map(String::as_str).collect::<Vec<_>>()));
    assert_eq!(stage.app.shells.sessions.len(), 9);
}

#[test]
fn a_new_one_does_not_take_what_another_has_lost_for_the_moment() {
    let mut stage = connected(120, 40);
    stage.press("Ctrl-] n");
    news(&mut stage, opened(Some("shell-2"), false));
    news(&mut stage, News::Ended("exit 0".into()));
    stage.press("Ctrl-] 1");
    news(&mut stage, broken());
    stage.press("Ctrl-] 2");
    stage.effects.clear();
    stage.press("Enter");
    assert!(wishes(&stage).iter().any(|wish| matches!(wish, Wish::Open { attach: Attach::New, .. })), "{:?}", stage.effects);
}

#[test]
fn quitting_with_an_open_terminal_asks() {
    let mut stage = connected(120, 40);
    stage.press("Ctrl-] l q");
    assert!(!stage.asks(|effect| *effect == Effect::Quit));
    assert!(stage.screen().contains("1 terminal is open. What runs there goes on"), "{}", stage.screen());
    stage.wait(1000).press("y");
    assert!(stage.asks(|effect| *effect == Effect::Quit));
}

#[test]
fn a_lost_connection_is_said_kept_and_made_again() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"epoch 3");
    news(&mut stage, broken());
    let screen = stage.screen();
    assert!(screen.contains("epoch 3") && screen.contains("▲ lost, reconnecting (1)"), "{screen}");
    assert!(stage.asks(|effect| matches!(effect, Effect::After { wake: Wake::Reconnect(_), .. })));
    stage.type_in("ls").press("Enter");
    assert!(typed(&stage).is_empty());
    assert!(stage.screen().contains("not sent: ls␍"), "{}", stage.screen());
    let session = number(&stage);
    stage.send(Event::Woke(Wake::Reconnect(session)));
    let again = |wish: &Wish| matches!(wish, Wish::Open { attach: Attach::Again(name), .. } if name.as_str() == "shell-1");
    assert!(wishes(&stage).iter().any(again), "{:?}", stage.effects);
    news(&mut stage, broken());
    assert!(stage.screen().contains("reconnecting (2)"));
    stage.send(Event::Woke(Wake::Reconnect(session)));
    news(&mut stage, opened(Some("shell-1"), true));
    assert!(stage.screen().contains("Ctrl-] s sends it, Ctrl-] d drops it"), "{}", stage.screen());
    assert!(typed(&stage).is_empty(), "nothing goes out by itself");
    stage.press("Ctrl-] s");
    assert_eq!(typed(&stage), b"ls\r");
    assert!(!stage.screen().contains("not sent"));
}

#[test]
fn what_was_typed_into_the_void_can_be_dropped() {
    let mut stage = connected(120, 40);
    news(&mut stage, News::Lost { failure: Failure::new(FailureKind::Timeout, "silent", ""), unanswered: Raw(b"rm ".to_vec()) });
    stage.type_in("-rf x");
    assert!(stage.screen().contains("not sent: rm -rf x"), "{}", stage.screen());
    let session = number(&stage);
    stage.send(Event::Woke(Wake::Reconnect(session)));
    news(&mut stage, opened(Some("shell-1"), true));
    stage.press("Ctrl-] d x");
    assert_eq!(typed(&stage), b"x");
}

#[test]
fn without_tmux_the_pane_says_that_there_is_no_way_back() {
    let mut stage = pane(120, 40);
    stage.press("s");
    news(&mut stage, opened(None, false));
    assert!(stage.screen().contains("no tmux there"), "{}", stage.screen());
    hears(&mut stage, b"\x1b[?1049h\x1b[?1002h in vim");
    news(&mut stage, broken());
    let session = number(&stage);
    stage.send(Event::Woke(Wake::Reconnect(session)));
    assert!(wishes(&stage).iter().any(|wish| matches!(wish, Wish::Open { attach: Attach::New, .. })));
    news(&mut stage, opened(None, false));
    assert!(stage.screen().contains("in a new login"), "{}", stage.screen());
    // And what the program that died had asked for is over.
    assert!(!stage.app.shells.session().expect("it").screen.alternate());
}

#[test]
fn a_machine_that_is_gone_ends_the_session() {
    let mut stage = connected(120, 40);
    news(&mut stage, broken());
    stage.listed("instances", vec![instance(Phase::Stopped, "Stopped")]);
    let link = &stage.app.shells.session().expect("it").link;
    assert!(matches!(link, Link::Ended { why, .. } if why.as_str().contains("is stopped")), "{link:?}");
    assert!(stage.screen().contains("✗ ended: i-0123456789abcdef0 is stopped"), "{}", stage.screen());
}

#[test]
fn a_first_connection_that_fails_is_not_tried_for_ever() {
    let mut stage = pane(120, 40);
    stage.press("s");
    news(&mut stage, broken());
    assert!(!stage.asks(|effect| matches!(effect, Effect::After { wake: Wake::Reconnect(_), .. })));
    let screen = stage.screen();
    assert!(screen.contains("ended: the connection was cut") && screen.contains("see whether the instance runs"), "{screen}");
}

#[test]
fn a_changed_host_key_is_a_hard_stop() {
    let mut stage = connected(120, 40);
    news(&mut stage, broken());
    let session = number(&stage);
    stage.send(Event::Woke(Wake::Reconnect(session)));
    let what =
        "THE HOST KEY OF i-0123456789abcdef0 HAS CHANGED.\npinned:  ssh-ed25519 SHA256:aaa\noffered: ssh-ed25519 SHA256:bbb";
    let failure = Failure::new(FailureKind::Refused, what, "forget the pinned key only if you know why");
    news(&mut stage, News::Lost { failure, unanswered: Raw(Vec::new()) });
    let screen = stage.screen();
    for word in ["HAS CHANGED", "SHA256:aaa", "SHA256:bbb", "forget the pinned key"] {
        assert!(screen.contains(word), "{word}: {screen}");
    }
    assert!(!stage.asks(|effect| matches!(effect, Effect::After { wake: Wake::Reconnect(_), .. })));
}

fn stranger() -> News {
    News::Stranger(Stranger {
        machine: "i-0123456789abcdef0 (us-east-1, account 000000000000)".into(),
        algorithm: "ssh-ed25519".into(),
        fingerprint: "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGDaylVDJgy6cOPFXbg".into(),
        because: "the console output has no host keys yet".into(),
    })
}

#[test]
fn an_unknown_host_key_is_asked_about_and_no_is_the_answer() {
    let mut stage = pane(120, 40);
    stage.press("s");
    news(&mut stage, stranger());
    let screen = stage.screen();
    for word in ["Is this i-0123456789abcdef0", "ssh-ed25519", "SHA256:uNiVztks", "no host keys yet", "y: trust it"] {
        assert!(screen.contains(word), "{word}: {screen}");
    }
    // Who was typing when it came up answers nothing, however long it goes on.
    for _ in 0..10 {
        stage.wait(100).press("y");
        assert!(wishes(&stage).is_empty());
        stage.press("Enter");
        assert!(wishes(&stage).is_empty());
    }
    stage.wait(1000).send(Event::Paste("y\n".to_owned()));
    assert!(wishes(&stage).is_empty(), "nor does a paste");
    stage.press("Enter");
    assert_eq!(wishes(&stage), [Wish::Trust(false)]);
    news(&mut stage, stranger());
    stage.wait(1000).press("y");
    assert_eq!(wishes(&stage), [Wish::Trust(true)]);
}

#[test]
fn lines_that_would_be_carried_out_at_once_are_asked_about() {
    let mut stage = connected(120, 40);
    stage.send(Event::Paste("one word".to_owned()));
    assert_eq!(typed(&stage), b"one word");
    stage.send(Event::Paste("cd /\nrm -rf \x1b[201~*\nls".to_owned()));
    assert!(typed(&stage).is_empty());
    let screen = stage.screen();
    assert!(screen.contains("3 lines") && screen.contains("first  cd /") && screen.contains("last   ls"), "{screen}");
    stage.wait(1000).press("y");
    assert_eq!(typed(&stage), b"cd /\rrm -rf [201~*\rls", "and ESC never gets through");
    // Terminals send ends of lines as CR, LF or both.
    stage.send(Event::Paste("one\rtwo\r\nthree\nfour\r".to_owned()));
    assert!(stage.screen().contains("4 lines") && stage.screen().contains("last   four"), "{}", stage.screen());
    stage.press("Esc");
    // A program that knows what a paste is gets it as one.
    hears(&mut stage, b"\x1b[?2004h");
    stage.send(Event::Paste("a\nb".to_owned()));
    assert_eq!(typed(&stage), b"\x1b[200~a\rb\x1b[201~");
}

#[test]
fn a_long_paste_waits_for_the_other_end_and_can_be_ended() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"\x1b[?2004h");
    let text = "x".repeat(1 << 20);
    stage.send(Event::Paste(text.clone()));
    let mut all = typed(&stage);
    assert!(all.len() <= 16 * 1024, "piece by piece");
    assert!(stage.screen().contains("pasting"), "{}", stage.screen());
    while stage.app.shells.session().expect("it").pasting().is_some() {
        news(&mut stage, News::Taken);
        let piece = typed(&stage);
        assert!(piece.len() <= 16 * 1024);
        all.extend(piece);
    }
    assert_eq!(all.len(), text.len() + 12, "all of it, in brackets");
    stage.send(Event::Paste(text));
    news(&mut stage, News::Taken);
    stage.press("Ctrl-c");
    assert_eq!(typed(&stage), b"\x1b[201~\x03", "the brackets are closed before Ctrl-c");
    news(&mut stage, News::Taken);
    assert!(typed(&stage).is_empty() && stage.screen().contains("The paste was ended"), "{}", stage.screen());
}

#[test]
fn a_paste_that_a_lost_line_breaks_off_is_told() {
    let mut stage = connected(120, 40);
    stage.send(Event::Paste("x".repeat(1 << 20)));
    news(&mut stage, News::Taken);
    assert!(stage.screen().contains("pasting"), "{}", stage.screen());
    news(&mut stage, broken());
    let screen = stage.screen();
    assert!(screen.contains("The paste was broken off: at most ") && screen.contains("Paste it again."), "{screen}");
}

fn point(stage: &mut Stage, did: Did, column: u16, row: u16, shift: bool) {
    stage.send(Event::Mouse(Mouse { did, column, row, ctrl: false, alt: false, shift }));
}

#[test]
fn the_mouse_selects_and_scrolls() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"hello world\r\n");
    assert!(stage.app.wants_mouse());
    point(&mut stage, Did::Down(Button::Left), 6, 1, false);
    point(&mut stage, Did::Drag(Button::Left), 10, 1, false);
    point(&mut stage, Did::Up(Button::Left), 10, 1, false);
    stage.press("Ctrl-] y");
    assert!(stage.asks(|effect| matches!(effect, Effect::Copy(text) if text.as_str() == "world")), "{:?}", stage.effects);
    stage.app.toast = None;
    for line in 0..100 {
        hears(&mut stage, format!("line {line}\r\n").as_bytes());
    }
    assert!(!stage.screen().contains("line 60\n"));
    point(&mut stage, Did::WheelUp, 6, 1, false);
    assert!(stage.screen().contains("line 60\n") && stage.screen().contains("scrolled 3 up"), "{}", stage.screen());
    assert_eq!(stage.app.cursor(), None, "the cursor is further down");
    stage.press("x");
    assert!(stage.screen().contains("line 99\n"), "a key goes to the end");
}

#[test]
fn a_program_that_asks_for_the_mouse_has_it_but_not_with_shift() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"\x1b[?1002h\x1b[?1006hmenu");
    point(&mut stage, Did::Down(Button::Left), 2, 3, false);
    assert_eq!(typed(&stage), b"\x1b[<0;3;3M", "by its own rows");
    point(&mut stage, Did::WheelUp, 2, 3, false);
    assert_eq!(typed(&stage), b"\x1b[<64;3;3M");
    point(&mut stage, Did::Down(Button::Left), 0, 1, true);
    point(&mut stage, Did::Drag(Button::Left), 3, 1, true);
    assert!(typed(&stage).is_empty());
    assert_eq!(stage.app.shells.session().expect("it").screen.selected_text().as_deref(), Some("menu"));
    // In the list nobody wants it.
    stage.press("Ctrl-] l");
    assert!(!stage.app.wants_mouse());
}

#[test]
fn the_focus_is_told_to_a_program_that_asks() {
    let mut stage = connected(120, 40);
    stage.send(Event::Focus(false));
    assert!(typed(&stage).is_empty());
    hears(&mut stage, b"\x1b[?1004h");
    stage.send(Event::Focus(false));
    assert_eq!(typed(&stage), b"\x1b[O");
}

#[test]
fn all_that_was_shown_can_be_scrolled_and_searched() {
    let mut stage = connected(120, 40);
    for line in 0..200 {
        hears(&mut stage, format!("step {line:03}\r\n").as_bytes());
    }
    stage.press("Ctrl-] /").type_in("step 042").press("Enter");
    assert!(stage.screen().contains("step 042"), "{}", stage.screen());
    stage.press("Esc");
    assert!(stage.screen().contains("step 199") && stage.app.in_shell(), "{}", stage.screen());
    stage.press("Ctrl-] PageUp");
    assert!(!stage.screen().contains("step 199"));
    stage.press("g");
    assert!(stage.screen().contains("step 000"), "{}", stage.screen());
    stage.press("k j q a");
    assert_eq!(typed(&stage), b"a", "keys that scroll are not typed");
}

#[test]
fn copying_without_a_selection_takes_what_shows() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"one\r\ntwo");
    stage.press("Ctrl-] y");
    assert!(stage.asks(|effect| matches!(effect, Effect::Copy(text) if text.as_str() == "one\ntwo")));
    // And it can be pasted again, which is asked about.
    stage.press("Ctrl-] p");
    assert!(stage.screen().contains("Paste into dogs-gpu"), "{}", stage.screen());
}

#[test]
fn the_remote_sets_the_clipboard_only_where_it_may() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"\x1b]52;c;c2VjcmV0\x07\x1b]52;c;?\x07");
    assert!(!stage.asks(|effect| matches!(effect, Effect::Copy(_))) && typed(&stage).is_empty());
    let mut stage = Stage::with(120, 40, |setup| setup.clipboard = true);
    stage.app.active = stage.app.panes.iter().position(|pane| pane.spec.id == "instances").expect("the pane");
    stage.listed("instances", vec![instance(Phase::Active, "Running")]).press("s");
    news(&mut stage, opened(None, false));
    hears(&mut stage, b"\x1b]52;c;c2VjcmV0\x07\x1b]52;c;?\x07");
    assert!(stage.asks(|effect| matches!(effect, Effect::Copy(text) if text.as_str() == "secret")));
    assert!(typed(&stage).is_empty(), "it is never read");
}

#[test]
fn answers_of_the_emulator_go_back_unless_what_holds_the_terminal_has_answered() {
    let mut stage = pane(120, 40);
    stage.press("s");
    news(&mut stage, opened(None, false));
    hears(&mut stage, b"\x1b[6n");
    assert_eq!(typed(&stage), b"\x1b[1;1R");
    let mut stage = connected(120, 40);
    hears(&mut stage, b"\x1b[6n");
    assert!(typed(&stage).is_empty());
}

#[test]
fn an_update_that_does_not_end_is_shown_after_a_moment() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"\x1b[?2026hhalf");
    assert!(!stage.screen().contains("half"));
    let session = number(&stage);
    assert!(stage.asks(|effect| *effect == Effect::After { millis: 150, wake: Wake::Release(session) }));
    stage.send(Event::Woke(Wake::Release(session)));
    assert!(stage.screen().contains("half"));
}

#[test]
fn a_title_is_harmless() {
    let mut stage = connected(120, 40);
    hears(&mut stage, "\x1b]0;epoch 3 \u{202e}evil\x07".as_bytes());
    let screen = stage.screen();
    assert!(screen.contains("epoch 3") && !screen.contains('\u{202e}'), "{screen}");
}

#[test]
fn list_and_terminal_together() {
    let mut stage = connected(120, 40);
    hears(&mut stage, b"$ ");
    stage.press("Ctrl-] v");
    let screen = stage.screen();
    assert!(screen.contains("dogs-gpu") && screen.contains("\n$\n") && screen.contains("Instances"), "{screen}");
    assert!(wishes(&stage).iter().any(|wish| matches!(wish, Wish::Resize(120, rows) if *rows < 30)), "{:?}", stage.effects);
    stage.press("x");
    assert_eq!(typed(&stage), b"x", "the terminal has the focus");
    stage.press("Ctrl-] l j");
    assert!(typed(&stage).is_empty(), "the list has it");
    assert_eq!(stage.app.cursor(), None);
    stage.press("Ctrl-]");
    assert!(stage.app.in_shell() && stage.app.level == Level::List);
    // A click goes where it is made.
    point(&mut stage, Did::Down(Button::Left), 3, 4, false);
    assert!(!stage.app.in_shell());
    stage.press("Ctrl-] Ctrl-] v");
    assert_eq!(stage.app.level, Level::Shell);
    // At the side where there is room for both.
    stage.press("Ctrl-] v");
    stage.send(Event::Resize(200, 50));
    assert_eq!(stage.app.shells.session().expect("it").screen.size().0, 100);
}

#[test]
fn in_a_small_window_they_take_turns() {
    let mut stage = connected(40, 15);
    hears(&mut stage, b"$ ");
    stage.press("Ctrl-] v");
    assert!(stage.screen().contains("\n$\n"), "{}", stage.screen());
    stage.press("Ctrl-] l");
    assert!(!stage.screen().contains("\n$\n") && stage.screen().contains("dogs-gpu"), "{}", stage.screen());
}

#[test]
fn a_window_that_changes_changes_the_terminal() {
    let mut stage = connected(120, 40);
    for size in [(80, 24), (1, 1), (0, 0), (300, 90), (40, 15)] {
        stage.send(Event::Resize(size.0, size.1));
        stage.screen();
    }
    assert_eq!(stage.app.shells.session().expect("it").screen.size(), (40, 14));
    assert!(wishes(&stage).contains(&Wish::Resize(40, 14)));
}

#[test]
fn what_is_typed_is_not_recorded_and_what_shows_is() {
    let mut stage = connected(120, 40);
    let key = |text: &str| Event::Key(footplate::config::key::Key::parse(text).expect(text));
    assert!(stage.app.is_typing(&key("p")) && stage.app.is_typing(&Event::Paste("secret".to_owned())));
    assert!(!stage.app.is_typing(&key("Ctrl-]")));
    stage.press("Ctrl-]");
    assert!(!stage.app.is_typing(&key("v")), "a command of the cockpit's");
    let bytes = Event::Shell { session: 1, news: News::Bytes(Raw(vec![0, 255, 27])) };
    let text = serde_json::to_string(&bytes).expect("json");
    assert_eq!(serde_json::from_str::<Event>(&text).expect("read back"), bytes);
}

#[test]
fn news_of_a_session_that_was_ended_change_nothing() {
    let mut stage = connected(120, 40);
    let session = number(&stage);
    stage.press("Ctrl-] x").wait(1000).press("y");
    for late in [News::Bytes(Raw(b"x".to_vec())), News::Taken, stranger(), broken(), opened(None, false)] {
        stage.send(Event::Shell { session, news: late });
        assert!(stage.app.overlays.is_empty() && wishes(&stage).is_empty());
    }
}

fn with_vim(width: u16, height: u16) -> Stage {
    let mut stage = connected(width, height);
    let (columns, rows) = stage.app.shells.session().expect("it").screen.size();
    let path = format!("{}/tests/recorded/shell/vim-{columns}x{rows}.bytes", env!("CARGO_MANIFEST_DIR"));
    for piece in std::fs::read(&path).expect(&path).chunks(997) {
        hears(&mut stage, piece);
    }
    stage.wait(10_000);
    stage.app.toast = None;
    stage
}

#[test]
fn vim_over_the_whole_screen() {
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        insta::assert_snapshot!(format!("shell_vim_{width}x{height}"), with_vim(width, height).screen());
    }
    let stage = with_vim(120, 40);
    let drawn = svg::draw(&stage.buffer("night"));
    assert!(drawn.contains("create_model"));
}

#[test]
fn nvtop_over_the_whole_screen() {
    let mut stage = connected(120, 40);
    for piece in include_bytes!("terminal/nvtop.bin").chunks(997) {
        hears(&mut stage, piece);
    }
    stage.wait(10_000);
    stage.app.toast = None;
    let screen = stage.screen();
    let shown: Vec<&str> = screen.lines().skip(1).take(38).map(str::trim_end).collect();
    assert_eq!(shown, include_str!("terminal/nvtop.txt").lines().collect::<Vec<_>>());
    svg::picture("nvtop", &stage);
}

#[test]
fn the_terminal_at_every_stage_at_three_sizes() {
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        let at = |name: &str, stage: &Stage| insta::assert_snapshot!(format!("shell_{name}_{width}x{height}"), stage.screen());
        let mut stage = pane(width, height);
        stage.press("s");
        for step in ["finding the machine", "connecting to 54.162.0.7, port 22", "announcing a key for this login"] {
            news(&mut stage, News::Said(step.into()));
        }
        at("opening", &stage);
        news(&mut stage, stranger());
        at("stranger", &stage);
        stage.wait(1000).press("y");
        news(&mut stage, opened(Some("shell-1"), false));
        hears(&mut stage, b"\x1b[1;32mubuntu@ip-10-0-0-7\x1b[0m:\x1b[1;34m~\x1b[0m$ nvidia-smi -L\r\nGPU 0: Tesla T4\r\n$ ");
        stage.press("Ctrl-]");
        at("led", &stage);
        stage.press("v");
        at("split", &stage);
        stage.press("Ctrl-] v");
        news(&mut stage, broken());
        stage.type_in("make").press("Enter");
        at("lost", &stage);
        stage.send(Event::Listed {
            resource: "instances".to_owned(),
            scope: None,
            page: Page { items: vec![instance(Phase::Done, "Terminated")], whole: true, more: false },
        });
        at("gone", &stage);
    }
}

#[test]
fn a_frame_of_changed_rows_is_the_frame_of_all() {
    let fed: [&[u8]; 14] = [
        b"ada$ ",
        b"l",
        b"s\r\n",
        "日本\x1b[44m語\x1b[0m\r\n".as_bytes(),
        b"\x1b[1;3Hx",
        "\x1b[4;1He\u{301}👍\u{1f3fd}".as_bytes(),
        b"\x1b[?1049h\x1b[H\x1b[2J\x1b[7mfull\x1b[0m",
        b"\x1b]2;a title\x07",
        b"\x1b[?1049l",
        b"\x1b[40;1H\n\n\nat the end\x1b[?25l",
        b"\x1b[2;5Hhere\x1b[?25h",
        b"\x07",
        b"\x1b[5;1H\x1b[2K\x1b[41mred\x1b[K\x1b[0m",
        b"\x1b[?2026hheld",
    ];
    for (width, height, steps) in [(120, 36, ""), (60, 16, ""), (200, 50, "Ctrl-] v"), (100, 30, "Ctrl-] [ k k")] {
        let mut stage = connected(width, height);
        if !steps.is_empty() {
            stage.press(steps);
        }
        let mut window = Window::new(width, height);
        let mut same = |stage: &Stage, what: &str| {
            window.draw(stage);
            let mut whole = Window::new(width, height);
            whole.draw(stage);
            assert_eq!(window.screen.text(), whole.screen.text(), "{width}x{height} {steps} {what}");
            for row in 0..height {
                assert!(
                    window.screen.glyphs(row).eq(whole.screen.glyphs(row)),
                    "{width}x{height} {steps} {what}, the look of line {row}"
                );
            }
            assert_eq!(window.screen.cursor(), whole.screen.cursor(), "{what}");
        };
        same(&stage, "at first");
        for bytes in fed.iter().chain(&fed) {
            hears(&mut stage, bytes);
            same(&stage, &String::from_utf8_lossy(bytes));
        }
        for keys in ["Ctrl-] ?", "Esc", "Ctrl-] /", "f u l l Enter", "Esc", "x", "Ctrl-] l", "Ctrl-]"] {
            stage.press(keys);
            hears(&mut stage, b"more ");
            same(&stage, keys);
            hears(&mut stage, b"\r\nand more");
            same(&stage, keys);
        }
    }
}

/// A window, as a terminal has it.
struct Window {
    sheet: Sheet<CrosstermBackend<Wire>>,
    wire: Wire,
    screen: Screen,
}

impl Window {
    fn new(width: u16, height: u16) -> Self {
        let wire = Wire::default();
        let sheet = Sheet::new(CrosstermBackend::new(wire.clone()), width, height);
        Self { sheet, wire, screen: Screen::new(width, height) }
    }

    fn draw(&mut self, stage: &Stage) {
        self.sheet.draw(&stage.app, &Theme::built_in("night").expect("built in")).expect("drawn");
        self.screen.feed(&self.wire.0.take());
    }
}

/// What was written to it.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Vec<u8>>>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_ends_with_a_machine_is_said_before_it_is_stopped() {
    let mut stage = connected(120, 40);
    stage.press("Ctrl-] l");
    assert!(stage.app.overlays.is_empty() && !stage.app.in_shell(), "{}", stage.screen());
    stage.press("x");
    assert!(stage.screen().contains("an open terminal on it ends with it"), "{}", stage.screen());
    let asked =
        stage.effects.iter().find_map(|effect| if let Effect::Stake { order } = effect { Some(order.clone()) } else { None });
    let order = asked.expect("a look at what runs there");
    assert_eq!(order.targets, [ItemId(ID.to_owned())]);
    // An answer to another question is none to this one.
    let other = Order { verb: Verb::Delete, ..order.clone() };
    stage.send(Event::Staked { order: other, lines: vec!["a run of old".into()] });
    assert!(!stage.screen().contains("a run of old"));
    stage.send(Event::Staked { order, lines: vec!["a training run on dogs-gpu ends with it: try (Running for 12:03)".into()] });
    assert!(stage.screen().contains("ends with it: try (Running for 12:03)"), "{}", stage.screen());
    stage.press("Esc");
    // What only starts ends nothing.
    stage.listed("instances", vec![instance(Phase::Stopped, "stopped")]).press("S");
    assert!(!stage.asks(|effect| matches!(effect, Effect::Stake { .. })), "{}", stage.screen());
}
