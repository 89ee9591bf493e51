//! A stage for the cockpit: keys in, screen and effects out, no terminal, no clock, no network.
#![allow(dead_code, reason = "each test file uses what it needs")]

pub mod svg;

use footplate::app::{App, Effect, Event, Setup};
use footplate::config::key::Key;
use footplate::config::keymap::Keymap;
use footplate::config::theme::Theme;
use footplate::model::{
    Block, Cell, Detail, Field, FieldKind, Form, Item, ItemId, LogBatch, LogLine, MetricRule, Page, Phase, PhaseSpan, Point,
    Preview, Safe, Series, State, TailNote, Verb,
};
use footplate::{resource, view};
use jiff::{SignedDuration, Timestamp};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// When all of it plays.
pub const NOW: &str = "2026-11-22T14:03:00Z";

pub fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

pub fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

/// The app on a stage.
pub struct Stage {
    pub app: App,
    pub at: Timestamp,
    /// What the last event asked for.
    pub effects: Vec<Effect>,
}

impl Stage {
    /// The cockpit with the real registry, just started.
    pub fn new(width: u16, height: u16) -> Self {
        Self::with(width, height, |_| {})
    }

    pub fn with(width: u16, height: u16, change: impl FnOnce(&mut Setup)) -> Self {
        let mut setup = Setup {
            specs: resource::ALL.iter().map(|resource| resource.spec()).collect(),
            keymap: Keymap::default(),
            zone: jiff::tz::TimeZone::UTC,
            local: true,
            owns_region: true,
            region: "us-east-1".into(),
            read_only: false,
            poll_factor: 1.0,
            ascii: false,
            clipboard: false,
        };
        change(&mut setup);
        let mut app = App::new(setup, (width, height), now());
        // Most of what plays here plays in this pane.
        app.active = app.panes.iter().position(|pane| pane.spec.id == "training-jobs").unwrap_or(0);
        let effects = app.start();
        Self { app, at: now(), effects }
    }

    /// The cockpit after what a recording in `tests/recorded/` holds.
    pub fn recorded(name: &str, width: u16, height: u16) -> Self {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded").join(format!("{name}.jsonl"));
        let text = std::fs::read_to_string(&path).expect("a recording");
        let mut stage = Self::with(width, height, |setup| setup.owns_region = false);
        for line in text.lines().skip(1) {
            let line: footplate::runtime::record::Line = serde_json::from_str(line).expect("an event");
            stage.at = line.at;
            stage.send(line.event);
        }
        stage
    }

    pub fn send(&mut self, event: Event) -> &mut Self {
        self.effects = self.app.update(self.at, event);
        self
    }

    /// Presses keys, separated by spaces, as the keymap writes them.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        let mut effects = Vec::new();
        for key in keys.split(' ') {
            let key = Key::parse(key).expect(key);
            self.send(Event::Key(key));
            effects.append(&mut self.effects);
        }
        self.effects = effects;
        self
    }

    /// Types a text, letter by letter.
    pub fn type_in(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.send(Event::Key(Key::plain(footplate::config::key::Code::Char(c))));
        }
        self
    }

    pub fn wait(&mut self, millis: i64) -> &mut Self {
        self.at += SignedDuration::from_millis(millis);
        self
    }

    /// Rows arrive in a pane.
    pub fn listed(&mut self, resource: &str, items: Vec<Item>) -> &mut Self {
        let page = Page { items, whole: true, more: false };
        self.send(Event::Listed { resource: resource.to_owned(), scope: None, page });
        self.send(Event::ListEnded { resource: resource.to_owned(), scope: None, result: Ok(()) })
    }

    /// The screen as text, lines without trailing blanks.
    pub fn screen(&self) -> String {
        self.screen_in("night")
    }

    /// The screen as cells.
    pub fn buffer(&self, theme: &str) -> Buffer {
        let theme = Theme::built_in(theme).expect("built in");
        let mut terminal = Terminal::new(TestBackend::new(self.app.size.0.max(1), self.app.size.1.max(1))).expect("a stage");
        terminal.draw(|frame| _ = view::draw(frame.buffer_mut(), &self.app, &theme)).expect("drawn");
        terminal.backend().buffer().clone()
    }

    pub fn screen_in(&self, theme: &str) -> String {
        let buffer = self.buffer(theme);
        let mut out = String::new();
        for y in 0..buffer.area.height {
            let line: String = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    pub fn asks(&self, wanted: impl Fn(&Effect) -> bool) -> bool {
        self.effects.iter().any(wanted)
    }
}

/// A row of the training pane; the numbers are those of the reference project (see the mission's table of tuning jobs).
pub fn job(name: &str, phase: Phase, word: &str, metric: Option<f64>, started: Timestamp) -> Item {
    let alive = phase.is_live();
    Item {
        id: ItemId(name.to_owned()),
        state: State { phase, word: word.into() },
        cells: vec![
            Cell::Text(name.into()),
            Cell::State(State { phase, word: word.into() }),
            Cell::Trend {
                last: metric,
                values: metric.map_or_else(Vec::new, |last| vec![last * 4.0, last * 2.5, last * 1.6, last * 1.2, last]),
            },
            Cell::Text("ml.m5.2xlarge".into()),
            Cell::Count(1),
            if alive { Cell::Since(started) } else { Cell::Seconds(721.0) },
            if alive { Cell::Accrues { since: started, per_hour: 0.461 } } else { Cell::Money(0.461 * 721.0 / 3600.0) },
            Cell::Time(started),
        ],
        container: false,
        per_hour: Some(0.461),
    }
}

pub fn jobs() -> Vec<Item> {
    vec![
        job("digits-2026-11-22-13-59-48-549", Phase::Active, "Training", Some(0.4118), ago(192)),
        job("digits-2026-11-22-14-01-58-120", Phase::Waiting, "Downloading", None, ago(62)),
        job("pytorch-training-230320-2041-002-2e2418b3", Phase::Done, "Completed", Some(167.0), ago(1300)),
        job("pytorch-training-230320-2041-001-0e6f4f4a", Phase::Done, "Completed", Some(2045.0), ago(2100)),
        job("dog-pytorch-2026-11-21-21-15-42-549", Phase::Failed, "Failed", None, ago(90_000)),
        job("dog-pytorch-2026-11-20-21-49-08-388", Phase::Stopped, "Stopped", None, ago(180_000)),
    ]
}

/// The detail of a running job.
pub fn detail(id: &str) -> Detail {
    let curve =
        (0..40_i32).map(|n| Point { at: ago(160 - i64::from(n) * 4), value: 2.3 * (-0.05 * f64::from(n)).exp() + 0.1 }).collect();
    Detail {
        id: ItemId(id.to_owned()),
        state: State { phase: Phase::Active, word: "Training".into() },
        blocks: vec![
            Block::Facts {
                title: "facts".into(),
                facts: vec![
                    ("batch_size".into(), Cell::Text("128".into())),
                    ("learning_rate".into(), Cell::Text("0.002555801302205963".into())),
                    ("instances".into(), Cell::Text("1 × ml.m5.2xlarge".into())),
                    ("script".into(), Cell::Text("train.py".into())),
                    ("cost".into(), Cell::Accrues { since: ago(192), per_hour: 0.461 }),
                ],
            },
            Block::Phases(vec![
                PhaseSpan {
                    word: "Starting".into(),
                    start: ago(192),
                    end: Some(ago(181)),
                    message: Safe::default(),
                    billed: false,
                },
                PhaseSpan {
                    word: "Downloading".into(),
                    start: ago(181),
                    end: Some(ago(119)),
                    message: Safe::default(),
                    billed: true,
                },
                PhaseSpan { word: "Training".into(), start: ago(119), end: None, message: Safe::default(), billed: true },
            ]),
            Block::Curves { title: "metrics".into(), series: vec![Series { name: "test:loss".into(), points: curve }] },
        ],
        metrics: vec![MetricRule { name: "test:loss".to_owned(), regex: "test_loss=([0-9.]+)".to_owned() }],
        log: true,
    }
}

pub fn lines() -> LogBatch {
    let line = |n: u16, host, text: &str, live| LogLine { at: ago(60 - i64::from(n)), host, text: text.into(), live };
    LogBatch {
        hosts: vec!["algo-1".into(), "algo-2".into()],
        lines: vec![
            line(1, 0, "epoch 1/12 train_loss=1.9033 test_loss=1.4512 test_accuracy=0.7083", false),
            line(2, 1, "epoch 1/12 train_loss=1.8871 test_loss=1.4409 test_accuracy=0.7111", false),
            line(3, 0, "epoch 2/12 train_loss=0.9033 test_loss=0.7512 test_accuracy=0.8083", false),
            line(4, 1, "epoch 2/12 train_loss=0.9102 test_loss=0.7498 test_accuracy=0.8111", false),
            line(5, 0, "epoch 3/12  68 %|#############       | 812 img/s", true),
        ],
        points: Vec::new(),
        note: Some(TailNote::Following),
    }
}

/// A form as the training pane makes it, short.
pub fn form() -> Form {
    let field = |name: &'static str, label: &'static str, help: &'static str, kind, value: &str| Field {
        name: name.into(),
        label: label.into(),
        help: help.into(),
        kind,
        value: value.to_owned(),
        initial: value.to_owned(),
    };
    Form {
        title: "Launch a training job".into(),
        resource: "training-jobs".to_owned(),
        verb: Verb::Launch,
        parent: None,
        fields: vec![
            field(
                "name",
                "name",
                "Base of the job's name; the time is appended. Letters, digits and '-'.",
                FieldKind::Line,
                "digits",
            ),
            field(
                "instance_type",
                "instance type",
                "What the job runs on.",
                FieldKind::Choice { options: vec!["ml.m5.large".into(), "ml.m5.2xlarge".into()], open: true },
                "ml.m5.2xlarge",
            ),
            field(
                "instance_count",
                "instances",
                "More than one needs a script that shares the work.",
                FieldKind::Whole { min: 1, max: 100 },
                "1",
            ),
            field("source_dir", "source folder", "Folder with the code, relative to the project.", FieldKind::Line, "code"),
            field("entry_point", "script", "The script, relative to the source folder.", FieldKind::Line, "train.py"),
            field(
                "hyperparameters",
                "hyperparameters",
                "One `key = value` a line; passed to the script as --key value.",
                FieldKind::Area,
                "batch_size = 128\nlearning_rate = 0.0025",
            ),
            field(
                "channels",
                "data",
                "One `name = place` a line: s3://…, or a folder or .zip that will be uploaded.",
                FieldKind::Area,
                "train = digits.zip",
            ),
            field(
                "metrics",
                "metrics",
                "One `name = regex` a line; the first group is the value found in the log.",
                FieldKind::Area,
                "test_loss = test_loss=([0-9.]+)",
            ),
            field("framework_version", "version", "The framework's version, e.g. 2.6.", FieldKind::Line, "1.9"),
        ],
    }
}

pub fn preview() -> Preview {
    Preview {
        facts: vec![("price".into(), "$0.461 per hour, at most $11.06".into()), ("upload".into(), "1,797 files, 412 kB".into())],
        problems: Vec::new(),
        more: false,
        request: "{\n  \"TrainingJobName\": \"digits-2026-11-22-14-03-00-000\"\n}".into(),
        ..Preview::default()
    }
}

/// A stage with jobs, the first one opened, its log followed.
pub fn busy(width: u16, height: u16) -> Stage {
    let mut stage = Stage::new(width, height);
    stage.send(Event::Identified(Ok("000000000000".into())));
    stage.listed("training-jobs", jobs());
    let selected = stage.app.selected().expect("a row is selected").id.clone();
    stage.send(Event::Detailed {
        resource: "training-jobs".to_owned(),
        id: selected.clone(),
        result: Ok(detail(selected.as_str())),
    });
    stage.send(Event::Tailed { resource: "training-jobs".to_owned(), id: selected, batch: lines() });
    stage
}
