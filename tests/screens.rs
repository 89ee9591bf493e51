//! What every pane and overlay looks like, at the three sizes, with a fixed clock. Snapshots are in `tests/snapshots/`
//! (accept new ones with `INSTA_UPDATE=always`), pictures in `screenshots/` (make them anew with `FOOTPLATE_PICTURES=1`).

mod common;

use common::svg::picture;
use common::{Stage, busy, form, jobs, preview};
use footplate::app::{Effect, Event};
use footplate::model::{Cell, Failure, FailureKind, Item, ItemId, LogBatch, Page, Phase, State, TailNote};

const SIZES: [(u16, u16); 3] = [(120, 40), (80, 24), (40, 15)];

fn check(name: &str, stage: impl Fn(u16, u16) -> Stage) {
    for (width, height) in SIZES {
        insta::assert_snapshot!(format!("{name}_{width}x{height}"), stage(width, height).screen());
    }
}

fn failing(kind: FailureKind, what: &str, hint: &str, width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(width, height);
    stage.send(Event::ListEnded {
        resource: "training-jobs".to_owned(),
        scope: None,
        result: Err(Failure::new(kind, what, hint)),
    });
    stage
}

fn launching(width: u16, height: u16) -> Stage {
    let mut stage = busy(width, height);
    stage.press("n").send(Event::Formed(Ok(form())));
    let serial = stage.effects.iter().find_map(|effect| match effect {
        Effect::Preview { serial, .. } => Some(*serial),
        _ => None,
    });
    stage.send(Event::Previewed { serial: serial.expect("a preview"), result: Ok(preview()) });
    stage
}

#[test]
fn list_with_the_selected_below() {
    check("list", busy);
    picture("list", &busy(120, 36));
}

#[test]
fn the_selected_over_the_whole_screen() {
    check("inside", |width, height| {
        let mut stage = busy(width, height);
        stage.press("Enter");
        stage
    });
}

#[test]
fn the_log_over_the_whole_screen() {
    check("log", |width, height| {
        let mut stage = busy(width, height);
        stage.press("l");
        stage
    });
}

#[test]
fn the_form() {
    check("form", launching);
    picture("launch", &launching(120, 36));
}

#[test]
fn a_form_with_something_wrong() {
    check("form_wrong", |width, height| {
        let mut stage = launching(width, height);
        stage.type_in("_x").press("Ctrl-s");
        stage
    });
}

#[test]
fn the_question_before_stopping() {
    check("stop", |width, height| {
        let mut stage = busy(width, height);
        stage.press("space space x");
        stage
    });
}

#[test]
fn help_palette_and_sort() {
    check("help", |width, height| {
        let mut stage = busy(width, height);
        stage.press("?");
        stage
    });
    check("palette", |width, height| {
        let mut stage = busy(width, height);
        stage.press(":").type_in("st");
        stage
    });
    check("sort", |width, height| {
        let mut stage = busy(width, height);
        stage.press("o");
        stage
    });
}

#[test]
fn a_filter_being_typed() {
    check("filter", |width, height| {
        let mut stage = busy(width, height);
        stage.press("/").type_in("pytorch");
        stage
    });
}

#[test]
fn loading_empty_denied_stale_are_four_looks() {
    check("loading", Stage::new);
    check("empty", |width, height| {
        let mut stage = Stage::new(width, height);
        stage.listed("training-jobs", Vec::new());
        stage
    });
    check("denied", |width, height| {
        failing(
            FailureKind::Denied,
            "not authorized to perform: sagemaker:ListTrainingJobs",
            "ask for sagemaker:ListTrainingJobs on this account",
            width,
            height,
        )
    });
    check("stale", |width, height| {
        let mut stage = busy(width, height);
        let failure = Failure::new(FailureKind::Network, "no route to host", "");
        stage.send(Event::ListEnded { resource: "training-jobs".to_owned(), scope: None, result: Err(failure) });
        stage
    });
}

fn data(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(width, height);
    stage.send(Event::Identified(Ok("000000000000".into())));
    let bucket = |name: &str| {
        let mut cells = vec![Cell::Absent; footplate::resource::find("data").expect("the data pane").spec().columns.len()];
        cells[0] = Cell::Text(name.into());
        Item {
            id: ItemId(format!("s3://{name}/")),
            state: State { phase: Phase::Still, word: "".into() },
            cells,
            container: true,
            per_hour: None,
        }
    };
    let items = vec![bucket("sagemaker-us-east-1-000000000000"), bucket("dog-breeds")];
    stage.press("Tab");
    stage.send(Event::Listed { resource: "data".to_owned(), scope: None, page: Page { items, whole: true, more: false } });
    stage
}

#[test]
fn the_data_pane() {
    picture("data", &data(120, 36));
    check("data", data);
    check("data_inside", |width, height| {
        let mut stage = data(width, height);
        stage.press("Enter");
        stage
    });
}

/// A recording played again, at every size, and as a picture.
fn played(name: &str, keys: &str) {
    let play = |width, height| {
        let mut stage = Stage::recorded(name, width, height);
        if !keys.is_empty() {
            stage.press(keys);
        }
        stage
    };
    check(name, play);
    picture(name, &play(120, 36));
}

#[test]
fn an_instance_and_what_it_does() {
    played("instances", "");
}

#[test]
fn a_run_with_gauges_beside_a_terminal_with_vim() {
    played("run", "");
}

#[test]
fn a_tuning_job_with_the_charts_of_its_search() {
    played("tuning", "");
}

#[test]
fn trials_best_first_beside_the_charts() {
    played("trials", "");
}

#[test]
fn jobs_compared() {
    played("compare", "");
}

#[test]
fn an_endpoint_that_was_asked() {
    played("endpoints", "");
}

#[test]
fn notebooks_and_studio() {
    played("notebooks", "");
}

#[test]
fn a_title_that_is_cut_says_so_and_leaves_the_line_alone() {
    for width in [120, 80, 60, 40] {
        let mut stage = busy(width, 40);
        let what = "the local region is gone: the footplate that ran it has ended, and with it all that ran in there";
        stage.press("l");
        let (resource, id) = ("training-jobs".to_owned(), stage.app.selected().expect("a job").id.clone());
        let failure = Failure::new(FailureKind::Network, what, "start it again");
        let batch = LogBatch { note: Some(TailNote::Failed(failure)), ..LogBatch::default() };
        stage.send(Event::Tailed { resource, id, batch });
        let screen = stage.screen();
        let line = screen.lines().find(|line| line.contains(" log ")).expect("the log's title").to_owned();
        assert!(line.contains(" the local reg") && line.contains("… ─"), "{width}: {line}");
    }
}

#[test]
fn nothing_but_ascii_where_there_is_nothing_else() {
    for (width, height) in [(120, 40), (80, 24), (40, 15)] {
        for keys in ["l", "n", "?", "v", "o", "/", "x", "Enter", "M", "2", "4"] {
            let mut stage = busy(width, height);
            stage.app.setup.ascii = true;
            stage.press(keys).send(Event::Formed(Ok(form())));
            let screen = stage.screen();
            assert!(screen.is_ascii(), "{keys}: {screen}");
        }
    }
}

#[test]
fn sixteen_colours_and_ascii() {
    let mut stage = Stage::with(80, 24, |setup| setup.ascii = true);
    stage.listed("training-jobs", jobs());
    let screen = stage.screen_in("sixteen");
    insta::assert_snapshot!("ascii_80x24", screen);
    let odd: Vec<char> = screen.chars().filter(|c| !c.is_ascii() && !"·–…".contains(*c)).collect();
    assert!(odd.is_empty(), "{odd:?}");
}

#[test]
fn every_size_down_to_one_by_one_is_drawn_without_a_panic() {
    for width in 1..90 {
        for height in [1, 2, 3, 5, 8, 9, 12, 15, 20, 21, 24, 30] {
            let mut stage = busy(width, height);
            stage.screen();
            for keys in ["Enter", "Enter", "Esc Esc", "?", "Esc", ":", "Esc", "o", "Esc", "x", "Esc", "/ a Esc"] {
                stage.press(keys).screen();
            }
            launching(width, height).screen();
        }
    }
}

#[test]
fn ten_thousand_rows_and_names_of_any_kind() {
    let mut rows = jobs();
    for n in 0..10_000 {
        rows.push(common::job(
            &format!("job-{n:05}-{}", "x".repeat(50)),
            Phase::Done,
            "Completed",
            Some(f64::from(n)),
            common::ago(i64::from(n)),
        ));
    }
    rows.push(common::job("\u{202e}evil\u{1b}[2J\u{9b}31m", Phase::Failed, "Fai\u{7}led", None, common::ago(1)));
    let mut stage = Stage::new(120, 40);
    stage.listed("training-jobs", rows);
    stage.press("/").type_in("evil");
    let screen = stage.screen();
    assert!(screen.contains("<U+202E>evil␛[2J<U+009B>31m"), "{screen}");
    assert!(!screen.chars().any(|c| c.is_control() && c != '\n'), "nothing that a terminal obeys");
}
