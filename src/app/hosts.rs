//! Which hosts of a log show: a small list over the log, for any number of them.

use super::overlay::Overlay;
use super::{App, Tone};
use crate::app::event::Effect;
use crate::config::key::{Code, Key};

impl App {
    /// Opens the list of hosts, at the one that shows alone.
    pub(super) fn choose_hosts(&mut self) {
        if let Some(log) = self.log().filter(|log| log.hosts.len() > 1) {
            let at = log.solo.unwrap_or(0);
            self.overlays.push(Overlay::Hosts(at));
        }
    }

    /// A key in that list, with the cursor on a host; returns where the cursor is then, `None` when it closes.
    pub(super) fn key_in_hosts(&mut self, at: u16, key: Key) -> Option<u16> {
        let log = self.log.as_mut()?;
        let last = u16::try_from(log.hosts.len().checked_sub(1)?).unwrap_or(u16::MAX);
        match key.code {
            Code::Esc | Code::Char('q' | 'H') => return None,
            Code::Enter => {
                log.toggle_solo(at);
                return None;
            }
            Code::Char(' ' | 'm') => {
                log.toggle_mute(at);
                return Some((at + 1).min(last));
            }
            Code::Char('a') => log.hear_all(),
            _ => {}
        }
        Some(match key.code {
            Code::Up | Code::Char('k') => at.saturating_sub(1),
            Code::Down | Code::Char('j') => (at + 1).min(last),
            Code::PageUp => at.saturating_sub(10),
            Code::PageDown => at.saturating_add(10).min(last),
            Code::Home | Code::Char('g') => 0,
            Code::End | Code::Char('G') => last,
            _ => at.min(last),
        })
    }

    /// What several hosts say alike as one line, or each of them.
    pub(super) fn fold(&mut self, out: &mut Vec<Effect>) {
        let Some(log) = &mut self.log else { return };
        log.folds = !log.folds;
        let said = if log.folds {
            "What several hosts say alike is one line again."
        } else {
            "Every host's lines, also where they say the same."
        };
        self.say(Tone::Plain, said, out);
    }

    /// Says once, for a log, that its hosts do nothing but repeat each other.
    pub(super) fn warn_of_repeating(&mut self, out: &mut Vec<Effect>) {
        let Some(log) = &mut self.log else { return };
        if log.warned || !log.all_alike() {
            return;
        }
        log.warned = true;
        let hosts = log.hosts.len();
        self.say(Tone::Plain, format!("{hosts} times the cost for one result? All {hosts} hosts print the same lines."), out);
    }
}
