//! What is run on a machine so that a terminal there goes on without us: tmux, where it is, as a mere holder of terminals;
//! it shows nothing of its own.

use crate::model::Failure;
use crate::ssh::Connection;

/// The name of our tmux server's socket: the user's own tmux is left alone.
const SERVER: &str = "footplate";
/// How the terminals are called there, before their number.
const NAME: &str = "shell-";

/// A terminal to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The command to run in it; the login shell without.
    pub command: Option<String>,
    /// Its name there, where it goes on without us.
    pub name: Option<String>,
    /// It is there already.
    pub again: bool,
}

/// Which terminals there are, as tmux lists them: name, and how many look at it.
const LIST: &str = "command -v tmux >/dev/null 2>&1 || exit 9; tmux -L footplate list-sessions -F '#{session_name} #{session_attached}' 2>/dev/null; exit 0";

/// Finds out what can be opened there. `wanted`: a terminal by its name; `fresh`: a new one in any case.
///
/// # Errors
/// When the connection is lost.
pub async fn plan(connection: &Connection, wanted: Option<&str>, fresh: bool, clipboard: bool) -> Result<Plan, Failure> {
    let ran = connection.run(LIST, None).await?;
    // Anything unexpected is as no tmux: a login shell is always there.
    if ran.status != Some(0) {
        return Ok(Plan { command: None, name: None, again: false });
    }
    let (name, again) = choose(&String::from_utf8_lossy(&ran.out), wanted, fresh);
    Ok(Plan { command: Some(start(&name, clipboard)), name: Some(name), again })
}

/// The terminal wanted, else one that nobody looks at, else a new one; and whether it is there.
fn choose(listed: &str, wanted: Option<&str>, fresh: bool) -> (String, bool) {
    let there: Vec<(u32, bool)> = listed
        .lines()
        .filter_map(|line| {
            let (name, watched) = line.strip_prefix(NAME)?.split_once(' ')?;
            Some((name.parse().ok()?, watched.trim() != "0"))
        })
        .collect();
    let numbered = |name: &str| name.strip_prefix(NAME).and_then(|number| number.parse::<u32>().ok());
    if let Some(number) = wanted.and_then(numbered) {
        return (format!("{NAME}{number}"), there.iter().any(|(known, _)| *known == number));
    }
    let idle = there.iter().filter(|(_, watched)| !watched).map(|(number, _)| *number).min();
    if let Some(number) = idle.filter(|_| !fresh) {
        return (format!("{NAME}{number}"), true);
    }
    let free = (1..=u32::MAX).find(|number| !there.iter().any(|(known, _)| known == number)).unwrap_or(1);
    (format!("{NAME}{free}"), false)
}

/// Comes to the terminal of that name, or makes it. Whoever looked at it before has lost the connection: it is taken over.
/// No status line, no keys of its own, and no second screen, so that what scrolls away is in our own history.
fn start(name: &str, clipboard: bool) -> String {
    let clipboard = if clipboard { "on" } else { "off" };
    format!(
        "exec tmux -L {SERVER} -f /dev/null new-session -A -D -s {name} \\; \
         set -g status off \\; set -g prefix None \\; set -g prefix2 None \\; set -sg escape-time 0 \\; \
         set -g default-terminal screen-256color \\; set -sa terminal-overrides ',*:smcup@:rmcup@:Tc' \\; \
         set -g history-limit 10000 \\; set -g focus-events on \\; set -s set-clipboard {clipboard} \\; \
         set -g set-titles on \\; set -g set-titles-string '#{{?#{{==:#{{pane_title}},#{{host}}}},,#{{pane_title}}}}' \\; set -g destroy-unattached off"
    )
}

/// Ends a terminal and what runs in it.
#[must_use]
pub fn end(name: &str) -> String {
    format!("tmux -L {SERVER} kill-session -t '={name}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_that_nobody_looks_at_is_taken_up() {
        let choose = |listed: &str, wanted, fresh| choose(listed, wanted, fresh);
        assert_eq!(choose("", None, false), ("shell-1".to_owned(), false));
        assert_eq!(choose("shell-1 1\nshell-2 0\n", None, false), ("shell-2".to_owned(), true));
        assert_eq!(choose("shell-1 1\nshell-2 0\n", None, true), ("shell-3".to_owned(), false));
        assert_eq!(choose("shell-1 1\nshell-3 1\n", None, false), ("shell-2".to_owned(), false));
        assert_eq!(choose("shell-1 1\n", Some("shell-1"), false), ("shell-1".to_owned(), true));
        assert_eq!(choose("", Some("shell-4"), false), ("shell-4".to_owned(), false));
        // What the machine says is hostile until proven harmless.
        assert_eq!(choose("shell-1;reboot 0\nshell-$(id) 0\n", None, false), ("shell-1".to_owned(), false));
        assert_eq!(choose("", Some("shell-1;reboot"), false), ("shell-1".to_owned(), false));
    }
}
