//! The commands behind the leader key, in one table: the keys, the strip and the help are made from it.

use crate::config::key::Key;

/// What a key after the leader does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Back,
    New,
    Next,
    Previous,
    Split,
    End,
    Search,
    /// Scroll with the keyboard, starting by so many lines, or pages.
    Read {
        lines: i32,
        pages: i32,
    },
    Copy,
    Paste,
    Send,
    Drop,
    /// Files to the machine.
    Upload,
    /// Files from the machine.
    Fetch,
    /// Ends such an order.
    CallOff,
    Help,
}

/// One row of the table.
pub struct Row {
    pub keys: &'static [&'static str],
    /// The word in the strip; empty when it is not worth room there.
    pub hint: &'static str,
    pub help: &'static str,
    pub command: Command,
}

const fn row(keys: &'static [&'static str], hint: &'static str, help: &'static str, command: Command) -> Row {
    Row { keys, hint, help, command }
}

/// All commands, in the order of the help. The leader itself and the digits are not in it.
pub const ALL: &[Row] = &[
    row(&["l", "Esc"], "list", "back to the list; the terminal goes on", Command::Back),
    row(&["v"], "split", "list and terminal together, or the terminal alone", Command::Split),
    row(&["n"], "new", "another terminal on the same machine", Command::New),
    row(&["Tab"], "next", "the next terminal; 1 to 9 go to one", Command::Next),
    row(&["BackTab"], "", "the one before", Command::Previous),
    row(&["x"], "end", "end this terminal and what runs in it; asks first", Command::End),
    row(&["k", "Up"], "scroll", "scroll back; then k j PageUp PageDown g, Esc ends", Command::Read { lines: 1, pages: 0 }),
    row(&["PageUp"], "", "scroll back by a page", Command::Read { lines: 0, pages: 1 }),
    row(&["j", "Down", "PageDown"], "", "stay where it is, to scroll and copy", Command::Read { lines: 0, pages: 0 }),
    row(&["/"], "search", "search upwards in all that was shown; n and N go on", Command::Search),
    row(&["y"], "copy", "copy what is selected, else what shows, to your own clipboard", Command::Copy),
    row(&["p"], "paste", "paste what was copied here last; asks first", Command::Paste),
    row(&["s"], "", "send what was typed while the connection was lost", Command::Send),
    row(&["d"], "", "drop what was typed while the connection was lost", Command::Drop),
    row(&["u"], "", "upload a file or a folder to this machine", Command::Upload),
    row(&["f"], "", "fetch a file or a folder from this machine", Command::Fetch),
    row(&["Ctrl-x"], "", "call off the upload or download at work; started again, it continues", Command::CallOff),
    row(&["?"], "keys", "these commands", Command::Help),
];

/// What the key does after the leader.
#[must_use]
pub fn find(key: Key) -> Option<Command> {
    let named = |row: &&Row| row.keys.iter().any(|name| Key::parse(name) == Ok(key));
    ALL.iter().find(named).map(|row| row.command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_a_key_and_has_one_meaning() {
        for row in ALL {
            for name in row.keys {
                let key = Key::parse(name).expect(name);
                assert_eq!(find(key), Some(row.command), "{name}");
            }
        }
    }
}
