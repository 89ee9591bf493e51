//! What is run on a machine so that a terminal there goes on without us: tmux, where it is and new enough, as a mere holder of
//! terminals; it shows nothing of its own. Where there is Python, too, a relay brings what the program writes: see [`super::relay`].

use std::time::{Duration, Instant, SystemTime};

use super::hands::order_number;
use super::held::target;
use super::relay;
use crate::model::Failure;
use crate::ssh::Connection;

/// The name of our tmux server's socket: the user's own tmux is left alone.
const SERVER: &str = "footplate";
/// The kind of terminal that we are.
pub const TERM: &str = "xterm-256color";
/// How the terminals are called there, before their number.
const NAME: &str = "shell-";

/// A terminal to open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How it goes on without us; without that it is a plain login.
    pub held: Option<Holder>,
    /// Names of others that are there and that nobody looks at, when any was wanted.
    pub others: Vec<String>,
    /// How it is told there that somebody looks at it; `None` where the machine has no such clock.
    pub pulse: Option<Pulse>,
}

/// What holds a terminal there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The command that holds it, to be spoken to as [`super::held`] does.
    pub command: String,
    /// Its name there.
    pub name: String,
    /// It is there already.
    pub again: bool,
    /// A relay brings what the program writes, once tmux has said this.
    pub relayed: Option<String>,
}

/// Tells tmux that a terminal is looked at.
///
/// tmux alone does not know: of a line that died without a word, the machine's SSH server learns after hours, and until then
/// the terminal seems to be somebody's. So who looks at one says so all the time, in seconds since the machine was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    uptime: u64,
    read: (Instant, SystemTime),
}

impl Pulse {
    /// Between two beats.
    pub const PACE: Duration = Duration::from_secs(10);
    /// Seconds without one after which nobody looks at it any more.
    const SILENCE: u64 = 35;

    fn new(uptime: u64) -> Self {
        Self { uptime, read: (Instant::now(), SystemTime::now()) }
    }

    /// The command that says it.
    #[must_use]
    pub fn beat(&self, name: &str) -> Vec<u8> {
        // While this machine sleeps, one of its clocks stands still; the other one can be set back.
        let passed = self.read.0.elapsed().max(self.read.1.elapsed().unwrap_or_default());
        format!("set -t {} @{SERVER}-seen {}\n", target(name), self.uptime + passed.as_secs()).into_bytes()
    }
}

/// Seconds since the machine was started, whether there is Python, and which terminals there are, as tmux lists them: name,
/// how many look at it, and when that was last said. It is asked twice, as it counts anew only when somebody goes.
const LIST: &str = "command -v tmux >/dev/null 2>&1 || exit 9; tmux -V; echo \"up $(cut -d. -f1 /proc/uptime 2>/dev/null)\"; \
                    command -v python3 >/dev/null 2>&1 && echo python3; \
                    tmux -L footplate list-sessions >/dev/null 2>&1; \
                    tmux -L footplate list-sessions -F '#{session_name} #{session_attached} #{@footplate-seen}' 2>/dev/null; exit 0";
/// The first version that takes bytes to type by their numbers.
const VERSION: (u32, u32) = (3, 0);
/// The first one that can pause what a control client is told of a terminal.
const PAUSES: (u32, u32) = (3, 2);

/// Finds out what can be opened there. `wanted`: a terminal by its name; `fresh`: a new one in any case.
///
/// # Errors
/// When the connection is lost.
pub async fn plan(connection: &Connection, wanted: Option<&str>, fresh: bool) -> Result<Plan, Failure> {
    let ran = connection.run(LIST, None).await?;
    // Anything unexpected is as no tmux: a login shell is always there.
    let listed = String::from_utf8_lossy(&ran.out);
    if ran.status != Some(0) || version(&listed) < VERSION {
        return Ok(Plan { held: None, others: Vec::new(), pulse: None });
    }
    let Choice { name, again, others } = choose(&listed, wanted, fresh);
    let can_relay = version(&listed) >= PAUSES && listed.lines().any(|line| line == "python3");
    let relayed = can_relay.then(order_number);
    let command = start(&name, again, relayed.as_deref());
    Ok(Plan { held: Some(Holder { command, name, again, relayed }), others, pulse: uptime(&listed).map(Pulse::new) })
}

/// A terminal by its name, whether it is there, and which others wait to be taken up, too.
#[derive(Debug, PartialEq, Eq)]
struct Choice {
    name: String,
    again: bool,
    others: Vec<String>,
}

/// The terminal wanted, else one that nobody looks at, else a new one.
fn choose(listed: &str, wanted: Option<&str>, fresh: bool) -> Choice {
    let now = uptime(listed);
    let there: Vec<(u32, bool)> = listed
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.strip_prefix(NAME)?.split_once(' ')?;
            let (watched, seen) = rest.split_once(' ').unwrap_or((rest, ""));
            let silent =
                now.zip(seen.trim().parse::<u64>().ok()).is_some_and(|(now, seen)| now > seen.saturating_add(Pulse::SILENCE));
            Some((name.parse().ok()?, watched.trim() != "0" && !silent))
        })
        .collect();
    let numbered = |name: &str| name.strip_prefix(NAME).and_then(|number| number.parse::<u32>().ok());
    let named = |number: u32| format!("{NAME}{number}");
    if let Some(number) = wanted.and_then(numbered) {
        return Choice { name: named(number), again: there.iter().any(|(known, _)| *known == number), others: Vec::new() };
    }
    if !fresh {
        let mut idle: Vec<u32> = there.iter().filter(|(_, watched)| !watched).map(|(number, _)| *number).collect();
        idle.sort_unstable();
        idle.dedup();
        let mut names = idle.into_iter().map(named);
        if let Some(name) = names.next() {
            return Choice { name, again: true, others: names.collect() };
        }
    }
    let free = (1..=u32::MAX).find(|number| !there.iter().any(|(known, _)| known == number)).unwrap_or(1);
    Choice { name: named(free), again: false, others: Vec::new() }
}

fn uptime(listed: &str) -> Option<u64> {
    listed.lines().find_map(|line| line.strip_prefix("up "))?.trim().parse().ok()
}

/// `tmux 3.3a` is 3 and 3; what is no number is 0, but tmux's own next version.
fn version(listed: &str) -> (u32, u32) {
    let word = listed.lines().next().and_then(|line| line.strip_prefix("tmux ")).unwrap_or_default();
    let word = word.strip_prefix("next-").unwrap_or(word);
    if word.starts_with("master") {
        return PAUSES;
    }
    let mut numbers = word.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Comes to the terminal of that name, or makes it. Whoever looked at it before has lost the connection: it is taken over.
/// What is set comes first, as a terminal has what was set when it was made. Of a new one, a relay has all from the first
/// byte; one that goes on has to show its history before ([`super::held::Held::opening`]).
pub(super) fn start(name: &str, again: bool, relayed: Option<&str>) -> String {
    let tmux = format!(
        "tmux -L {SERVER} -f /dev/null -C start-server \\; set -g history-limit 10000 \\; set -g status off \\; \
         set -g default-terminal {TERM} \\; set-environment -g COLORTERM truecolor \\; set -sg escape-time 0 \\; \
         set -g destroy-unattached off \\; new-session -A -D -s {name}"
    );
    match relayed {
        None => format!("exec {tmux}"),
        Some(word) => {
            let begun = if again { String::new() } else { format!(" \\; {}", relay::begun(name, word).replace(" ; ", " \\; ")) };
            format!("exec {} {tmux} \\; {}{begun}", relay::program(word), relay::told(name))
        }
    }
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
    fn an_old_tmux_is_none() {
        assert_eq!(
            ["tmux 3.3a\nshell-1 0\n", "tmux 2.9\n", "tmux 1.8", "tmux next-3.6", "", "no"].map(version),
            [(3, 3), (2, 9), (1, 8), (3, 6), (0, 0), (0, 0)]
        );
        assert!(version("tmux 3.10\n") > PAUSES && version("tmux 3.1c\n") < PAUSES);
    }

    #[test]
    fn the_terminals_that_nobody_looks_at_are_taken_up() {
        let chosen = |listed: &str, wanted, fresh, name: &str, again, others: &[&str]| {
            let others = others.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(choose(listed, wanted, fresh), Choice { name: name.to_owned(), again, others }, "{listed:?} {wanted:?}");
        };
        chosen("", None, false, "shell-1", false, &[]);
        chosen("shell-1 1\nshell-2 0\n", None, false, "shell-2", true, &[]);
        chosen("shell-10 0\nshell-3 1\nshell-9 0\nshell-2 0\n", None, false, "shell-2", true, &["shell-9", "shell-10"]);
        chosen("shell-1 1\nshell-2 0\n", None, true, "shell-3", false, &[]);
        chosen("shell-1 1\nshell-3 1\n", None, false, "shell-2", false, &[]);
        chosen("shell-1 1\nshell-2 0\n", Some("shell-1"), false, "shell-1", true, &[]);
        chosen("", Some("shell-4"), false, "shell-4", false, &[]);
        // Who has not said for long that they look at it is gone; where nothing is said, tmux is believed.
        let said = "up 1000\nshell-1 1 995\nshell-2 1 900\nshell-3 1 \nshell-4 0 \nshell-5 1 9999\n";
        chosen(said, None, false, "shell-2", true, &["shell-4"]);
        chosen("up \nshell-1 1 5\n", None, false, "shell-2", false, &[]);
        // What the machine says is hostile until proven harmless.
        chosen("shell-1;reboot 0\nshell-$(id) 0\nshell-7 0\nshell-7 0\n", None, false, "shell-7", true, &[]);
        chosen("", Some("shell-1;reboot"), false, "shell-1", false, &[]);
    }
}
