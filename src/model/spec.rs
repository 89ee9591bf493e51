//! The registry's vocabulary: all the UI must know about a resource, and the closed list of things one can do.

use serde::{Deserialize, Serialize};

use super::{Form, Problem, Safe};

/// How a column is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// One column of a resource's table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Upper-case head.
    pub title: &'static str,
    /// Least useful width in terminal columns.
    pub width: u16,
    pub align: Align,
    /// 0 is never dropped; the higher, the sooner it goes when the terminal is narrow.
    pub rank: u8,
    /// Takes what width is left; one column per table.
    pub grows: bool,
}

impl Column {
    /// A column of a fixed width.
    #[must_use]
    pub const fn of(title: &'static str, width: u16, align: Align, rank: u8) -> Self {
        Self { title, width, align, rank, grows: false }
    }
}

/// How sure the user must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Confirm {
    /// Harmless.
    None,
    /// A dialog with Cancel where Enter lands.
    Ask,
    /// The name has to be typed.
    Type,
}

/// How often to look, in seconds: while something in the list lives, and while all is still.
#[derive(Clone, Copy, Debug)]
pub struct Poll {
    pub live: u16,
    pub still: u16,
}

/// What one can do with things in AWS. Closed: a new resource chooses from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verb {
    Launch,
    Clone,
    /// Takes a tuning job's trial into a training job of its own.
    Promote,
    /// Puts a finished model behind an endpoint.
    Deploy,
    /// Sends an endpoint something to predict.
    Invoke,
    /// Changes what runs: another model, another number of instances.
    Update,
    Start,
    Stop,
    /// Starts what runs anew, with all it has.
    Reboot,
    Delete,
    /// A terminal on it.
    Shell,
    /// Trains the project on it.
    Train,
    Logs,
    /// Hands out an address to open in a browser.
    Open,
    Upload,
    Download,
    /// Writes what is shown into a file on this machine.
    Export,
}

impl Verb {
    pub const ALL: [Self; 17] = [
        Self::Launch,
        Self::Clone,
        Self::Promote,
        Self::Deploy,
        Self::Invoke,
        Self::Update,
        Self::Start,
        Self::Stop,
        Self::Reboot,
        Self::Delete,
        Self::Shell,
        Self::Train,
        Self::Logs,
        Self::Open,
        Self::Upload,
        Self::Download,
        Self::Export,
    ];

    /// The name in keymap.toml, in the palette and in docs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Launch => "launch",
            Self::Clone => "clone",
            Self::Promote => "promote",
            Self::Deploy => "deploy",
            Self::Invoke => "invoke",
            Self::Update => "update",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reboot => "reboot",
            Self::Delete => "delete",
            Self::Shell => "shell",
            Self::Train => "train",
            Self::Logs => "logs",
            Self::Open => "browse",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Export => "export",
        }
    }

    /// One line for help and palette.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::Launch => "launch a new one from the project file",
            Self::Clone => "launch a copy with changes",
            Self::Promote => "train with a trial's exact hyperparameters",
            Self::Deploy => "put the model behind an endpoint",
            Self::Invoke => "send it something to predict",
            Self::Update => "change what runs: model, number of instances",
            Self::Start => "start the selected or marked",
            Self::Stop => "stop the selected or marked",
            Self::Reboot => "reboot the selected or marked",
            Self::Delete => "delete the selected or marked",
            Self::Shell => "open a terminal on it",
            Self::Train => "train the project on it",
            Self::Logs => "read the log over the whole screen",
            Self::Open => "get an address for your browser",
            Self::Upload => "upload a folder or a .zip",
            Self::Download => "download the selected",
            Self::Export => "write the table to a file",
        }
    }

    /// Changes something in AWS: needs an order that is confirmed, journaled and guarded.
    #[must_use]
    pub fn mutates(self) -> bool {
        !matches!(self, Self::Invoke | Self::Logs | Self::Open | Self::Download | Self::Export)
    }

    /// Ends what is under way on the thing, for a while or for good: the question before it says what that is.
    #[must_use]
    pub fn interrupts(self) -> bool {
        matches!(self, Self::Stop | Self::Reboot | Self::Delete)
    }

    /// May be called off while it is at work: what is done stays, what is half done is taken back, and to do it again
    /// continues.
    #[must_use]
    pub fn can_be_called_off(self) -> bool {
        matches!(self, Self::Upload | Self::Download)
    }

    /// Needs something selected.
    #[must_use]
    pub fn needs_target(self) -> bool {
        !matches!(self, Self::Launch | Self::Upload)
    }

    /// Opens the generic form first.
    #[must_use]
    pub fn has_form(self) -> bool {
        !matches!(self, Self::Start | Self::Stop | Self::Reboot | Self::Delete | Self::Shell | Self::Logs | Self::Open)
    }

    #[must_use]
    pub fn confirm(self) -> Confirm {
        match self {
            Self::Start | Self::Stop | Self::Reboot => Confirm::Ask,
            Self::Delete => Confirm::Type,
            // Where there is a form, it is the confirmation.
            _ => Confirm::None,
        }
    }
}

/// All the UI must know about a resource.
#[derive(Debug)]
pub struct Spec {
    /// The name on the command line, e.g. `training-jobs`.
    pub id: &'static str,
    /// The name on the tab, e.g. `Training`.
    pub title: &'static str,
    /// One of them, e.g. `training job`.
    pub singular: &'static str,
    /// Its list is that of one row of this other resource: Enter on such a row opens it, and it has no tab of its own.
    pub within: Option<&'static str>,
    /// Its live rows cost money themselves. (What a tuning job costs is its training jobs'.)
    pub burns: bool,
    pub columns: &'static [Column],
    /// Which column sorts at first, and whether descending.
    pub sort: (usize, bool),
    pub verbs: &'static [Verb],
    pub poll: Poll,
    /// What an empty list says: what would be here and how one makes one.
    pub empty: &'static str,
    /// IAM actions that the pane and its verbs need.
    pub iam: &'static [&'static str],
    /// Instant, pure validation of its forms; a message per field.
    pub check: fn(&Form) -> Vec<Problem>,
    /// What a confirm dialog says about a verb on this resource, e.g. "Stopping keeps the artefacts written so far."
    pub warns: fn(Verb) -> Safe,
}

impl Spec {
    /// Whether the verb is about a row. What is uploaded goes into the folder that is open; where the rows are machines, to
    /// the selected one.
    #[must_use]
    pub fn needs_row(&self, verb: Verb) -> bool {
        verb.needs_target() || (verb == Verb::Upload && self.verbs.contains(&Verb::Shell))
    }
}
