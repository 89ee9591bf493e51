//! What a user can want, as a closed list. Keys, help, palette, footer and the README's key table are made from `ALL`.

use serde::{Deserialize, Serialize};

use crate::model::Verb;

/// A wish, free of the key that it came from. It names no resource; verbs apply to the pane that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Left,
    Right,
    Open,
    /// All that is known of the selected.
    Details,
    /// What has been said so far.
    Messages,
    Back,
    /// The n-th tab, from 0.
    Tab(u8),
    NextTab,
    PreviousTab,
    Filter,
    Sort,
    Reverse,
    Mark,
    MarkAll,
    Refresh,
    Copy,
    Taller,
    Shorter,
    LogScale,
    NextMetric,
    Palette,
    Help,
    Lock,
    /// Ends the upload or download that is at work.
    CallOff,
    Quit,
    Suspend,
    Follow,
    Wrap,
    Search,
    NextMatch,
    PreviousMatch,
    /// Show only the n-th host of a log, from 0; again: all.
    Solo(u8),
    /// Choose which hosts of a log show.
    Hosts,
    /// What several hosts say alike as one line, or not.
    Fold,
    /// What the compared curves are drawn against.
    Against,
    /// To the terminals; in one, the key before a command.
    Leader,
    Verb(Verb),
}

/// Where a binding holds. The narrower one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Everywhere,
    /// The list or the opened item.
    List,
    /// The log over the whole screen.
    Log,
}

/// One row of the table of actions.
pub struct Entry {
    pub action: Action,
    /// The name in keymap.toml and in the palette.
    pub name: &'static str,
    /// Default keys, the one to show first.
    pub keys: &'static [&'static str],
    pub help: &'static str,
    pub place: Place,
    /// The word in the footer; empty when it is not worth room there.
    pub hint: &'static str,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    place: Place,
    hint: &'static str,
) -> Entry {
    Entry { action, name, keys, help, place, hint }
}

use Action as A;
use Place::{Everywhere, List, Log};

/// All actions, in the order of the help.
pub const ALL: &[Entry] = &[
    row(
        A::Leader,
        "leader",
        &["Ctrl-]", "Ctrl-5"],
        "to the open terminal; in it: the key before a command, ? for all of them",
        Everywhere,
        "terminal",
    ),
    row(A::Verb(Verb::Launch), "launch", &["n"], "launch a new one, from the project file", List, "launch"),
    row(A::Verb(Verb::Clone), "clone", &["c"], "launch a copy of the selected, with changes", List, "clone"),
    row(A::Details, "details", &["v"], "view all that is known of the selected", List, "details"),
    row(
        A::Verb(Verb::Promote),
        "promote",
        &["b"],
        "train with the best or selected trial's exact hyperparameters",
        List,
        "promote",
    ),
    row(A::Verb(Verb::Deploy), "deploy", &["D"], "put the selected one's model behind an endpoint", List, "deploy"),
    row(A::Verb(Verb::Invoke), "invoke", &["i"], "send the selected endpoint something to predict", List, "invoke"),
    row(A::Verb(Verb::Update), "update", &["e"], "change what runs: another model, another number of instances", List, "update"),
    row(A::Verb(Verb::Start), "start", &["S"], "start the selected or marked", List, "start"),
    row(A::Verb(Verb::Stop), "stop", &["x"], "stop the selected or marked", List, "stop"),
    row(A::Verb(Verb::Shell), "shell", &["s"], "open a terminal on the selected", List, "shell"),
    row(A::Verb(Verb::Train), "train", &["t"], "train the project on the selected", List, "train"),
    row(A::Verb(Verb::Reboot), "reboot", &["B"], "reboot the selected or marked", List, "reboot"),
    row(A::Verb(Verb::Upload), "upload", &["u"], "upload a folder, a .zip or a file", List, "upload"),
    row(A::Verb(Verb::Download), "download", &["d"], "download the selected", List, "download"),
    row(A::Verb(Verb::Open), "browse", &["w"], "get an address to open in your browser, also on your clipboard", List, "browse"),
    row(A::Verb(Verb::Export), "export", &["E"], "write the table to a file, CSV or JSON", List, "export"),
    row(
        A::Verb(Verb::Delete),
        "delete",
        &["X"],
        "delete the selected or marked; its name, or its id, has to be typed",
        List,
        "delete",
    ),
    row(A::Verb(Verb::Logs), "logs", &["l"], "read the log over the whole screen", List, "logs"),
    row(A::Open, "open", &["Enter"], "open the selected", List, "open"),
    row(A::Messages, "messages", &["M"], "read the messages so far", Everywhere, ""),
    row(A::Back, "back", &["Esc"], "back by one layer", Everywhere, "back"),
    row(A::Up, "up", &["k", "Up"], "up", Everywhere, ""),
    row(A::Down, "down", &["j", "Down"], "down", Everywhere, ""),
    row(A::PageUp, "page-up", &["PageUp", "Ctrl-u"], "a page up", Everywhere, ""),
    row(A::PageDown, "page-down", &["PageDown", "Ctrl-d"], "a page down", Everywhere, ""),
    row(A::Top, "top", &["g", "Home"], "to the first", Everywhere, ""),
    row(A::Bottom, "bottom", &["G", "End"], "to the last", Everywhere, ""),
    row(A::Mark, "mark", &["space"], "mark or unmark, to act on several", List, "mark"),
    row(A::MarkAll, "mark-all", &["*"], "mark all that the filter shows, or none", List, ""),
    row(A::Filter, "filter", &["/"], "filter by text in any column; !text leaves out", List, "filter"),
    row(A::Sort, "sort", &["o"], "choose the column to sort by", List, "sort"),
    row(A::Reverse, "reverse", &["O"], "turn the order around", List, ""),
    row(A::Copy, "copy", &["y"], "copy the name to your clipboard", List, "copy"),
    row(A::Refresh, "refresh", &["r"], "look again now", List, ""),
    row(A::Taller, "taller", &["+", "="], "more room for the selected", List, ""),
    row(A::Shorter, "shorter", &["_", "-"], "less room for the selected", List, ""),
    row(A::NextMetric, "next-metric", &["m"], "show the next metric's curve", List, ""),
    row(A::Against, "against", &["a"], "compare the marked by step, by time or by money", List, ""),
    row(A::LogScale, "log-scale", &["L"], "logarithmic axis, on or off", List, ""),
    row(A::NextTab, "next-tab", &["Tab"], "next tab", Everywhere, ""),
    row(A::PreviousTab, "previous-tab", &["BackTab"], "previous tab", Everywhere, ""),
    row(A::Tab(0), "tab-1", &["1"], "first tab", List, ""),
    row(A::Tab(1), "tab-2", &["2"], "second tab", List, ""),
    row(A::Tab(2), "tab-3", &["3"], "third tab", List, ""),
    row(A::Tab(3), "tab-4", &["4"], "fourth tab", List, ""),
    row(A::Tab(4), "tab-5", &["5"], "fifth tab", List, ""),
    row(A::Tab(5), "tab-6", &["6"], "sixth tab", List, ""),
    row(A::Follow, "follow", &["f"], "follow the end of the log, or stay", Log, "follow"),
    row(A::Search, "search", &["/"], "search the log", Log, "search"),
    row(A::NextMatch, "next-match", &["n"], "next match, towards the end", Log, "next"),
    row(A::PreviousMatch, "previous-match", &["N"], "previous match", Log, "previous"),
    row(A::Wrap, "wrap", &["w"], "wrap long lines, on or off", Log, "wrap"),
    row(A::Left, "left", &["h", "Left"], "scroll long lines to the left", Log, ""),
    row(A::Right, "right", &["Right"], "scroll long lines to the right", Log, ""),
    row(A::Solo(0), "solo-1", &["1"], "only the first host; again: all", Log, "solo"),
    row(A::Solo(1), "solo-2", &["2"], "only the second host", Log, ""),
    row(A::Solo(2), "solo-3", &["3"], "only the third host", Log, ""),
    row(A::Solo(3), "solo-4", &["4"], "only the fourth host", Log, ""),
    row(A::Hosts, "hosts", &["H"], "choose the hosts whose lines show", Log, "hosts"),
    row(A::Fold, "fold", &["z"], "lines that several hosts say alike: as one, or each", Log, "fold"),
    row(A::Palette, "palette", &[":", "Ctrl-p"], "find an action by name", Everywhere, ""),
    row(A::Help, "help", &["?", "F1"], "all keys; Enter does the selected", Everywhere, ""),
    row(A::Lock, "lock", &["!"], "lock: refuse every change until footplate is started again", Everywhere, ""),
    row(
        A::CallOff,
        "call-off",
        &["Ctrl-x"],
        "call off the upload or download at work; started again, it continues",
        Everywhere,
        "",
    ),
    row(A::Suspend, "suspend", &["Ctrl-z"], "back to the shell; fg returns", Everywhere, ""),
    row(A::Quit, "quit", &["q", "Ctrl-c"], "quit", Everywhere, ""),
];

/// The table's row of an action.
#[must_use]
pub fn entry(action: Action) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.action == action)
}
