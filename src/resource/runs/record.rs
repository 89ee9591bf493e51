//! What is written down of a run on the instance itself: its recipe in `run.json`, its steps in `steps`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::MetricRule;

/// `run.json`: what the run is made of. Written before anything else is done, so that every cockpit finds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// Seconds since 1970.
    pub created: i64,
    /// What it runs on, for its price: the instance may be another one tomorrow.
    pub instance_type: String,
    /// The project's name: another project's launch of the same name is no continuation.
    pub project: String,
    pub data: Option<String>,
    pub folders: Vec<String>,
    /// The script's path below the code.
    pub script: String,
    /// SHA-256 of its text, in hex: tells whether two runs had the same.
    pub script_hash: String,
    pub arguments: Vec<(String, String)>,
    pub environment: String,
    pub results: Vec<String>,
    pub metrics: Vec<MetricRule>,
}

/// The steps of a launch, in their order, and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Connect,
    Environment,
    Folders,
    Data,
    Script,
    Start,
    Results,
}

impl Step {
    pub const ALL: [Self; 7] =
        [Self::Connect, Self::Environment, Self::Folders, Self::Data, Self::Script, Self::Start, Self::Results];

    /// Its name on the screen and in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Environment => "environment",
            Self::Folders => "folders",
            Self::Data => "data",
            Self::Script => "script",
            Self::Start => "start",
            Self::Results => "results",
        }
    }
}

/// How a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Begun,
    Done,
    Failed,
}

impl Standing {
    pub fn word(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// One line of `steps`: seconds since 1970, step, standing, what it said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Noted {
    pub at: Timestamp,
    pub step: Step,
    pub standing: Standing,
    pub said: String,
}

/// Reads the lines; what is no such line is skipped.
pub(super) fn noted(text: &str) -> Vec<Noted> {
    let line = |line: &str| {
        let mut parts = line.splitn(4, '\t');
        let at = Timestamp::from_second(parts.next()?.parse().ok()?).ok()?;
        let (step, standing) = (parts.next()?, parts.next()?);
        let step = Step::ALL.into_iter().find(|known| known.word() == step)?;
        let standing = [Standing::Begun, Standing::Done, Standing::Failed].into_iter().find(|known| known.word() == standing)?;
        Some(Noted { at, step, standing, said: parts.next().unwrap_or_default().to_owned() })
    };
    text.lines().filter_map(line).collect()
}
