//! Plain words for what a list cannot do.

use crate::model::Verb;

/// What is said where a list does not know what is wanted of it.
pub(super) fn nothing_to(verb: Verb) -> &'static str {
    match verb {
        Verb::Launch => "Nothing can be launched here.",
        Verb::Clone => "Nothing here can be cloned.",
        Verb::Promote => "Nothing here has hyperparameters to train with.",
        Verb::Deploy => "Nothing here can be deployed.",
        Verb::Invoke => "Nothing here answers predictions.",
        Verb::Update => "Nothing here can be changed.",
        Verb::Start => "Nothing here can be started.",
        Verb::Stop => "Nothing here can be stopped.",
        Verb::Reboot => "Nothing here can be rebooted.",
        Verb::Delete => "Nothing here can be deleted.",
        Verb::Shell => "There is no machine here to open a terminal on.",
        Verb::Train => "There is no machine here to train on.",
        Verb::Logs => "Nothing here has a log.",
        Verb::Open => "Nothing here has an address for the browser.",
        Verb::Upload => "Nothing can be uploaded here.",
        Verb::Download => "Nothing here can be downloaded.",
        Verb::Export => "This table cannot be exported.",
    }
}
