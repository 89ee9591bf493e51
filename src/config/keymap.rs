//! Which key means what: the defaults of the action table, changed by the user's `keymap.toml`.
//!
//! ```toml
//! [keys]
//! stop = ["x", "Ctrl-x"]   # replaces the keys of one action
//! lock = []                # leaves an action without a key; the palette still has it
//! ```

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::action::{self, Action, Place};
use super::key::Key;
use crate::model::{Failure, FailureKind};

/// Keys to actions, by place, and back for help and footer.
#[derive(Clone, Debug)]
pub struct Keymap {
    bound: HashMap<(Place, Key), Action>,
    shown: HashMap<Action, Vec<Key>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    keys: BTreeMap<String, Vec<String>>,
}

impl Keymap {
    /// The defaults, changed by the text of a keymap.toml.
    ///
    /// # Errors
    /// Names the action or key that is not one, or two actions on one key.
    pub fn load(text: &str) -> Result<Self, Failure> {
        let file: File = toml::from_str(text).map_err(|error| bad(&error.to_string()))?;
        for name in file.keys.keys() {
            if !action::ALL.iter().any(|entry| entry.name == name) {
                let names: Vec<_> = action::ALL.iter().map(|entry| entry.name).collect();
                return Err(bad(&format!("`{name}` is not an action; there are {}", names.join(", "))));
            }
        }
        let mut map = Self { bound: HashMap::new(), shown: HashMap::new() };
        for entry in action::ALL {
            let keys: Vec<Key> = match file.keys.get(entry.name) {
                Some(own) => own.iter().map(|key| Key::parse(key)).collect::<Result<_, _>>().map_err(|error| bad(&error))?,
                None => entry.keys.iter().filter_map(|key| Key::parse(key).ok()).collect(),
            };
            for key in &keys {
                if let Some(other) = map.bound.insert((entry.place, *key), entry.action) {
                    let other = action::entry(other).map_or("another action", |entry| entry.name);
                    return Err(bad(&format!(
                        "the key {key} is given to both `{other}` and `{}`; give one of them another key",
                        entry.name
                    )));
                }
            }
            map.shown.insert(entry.action, keys);
        }
        Ok(map)
    }

    /// What the key means there.
    #[must_use]
    pub fn action(&self, place: Place, key: Key) -> Option<Action> {
        self.bound.get(&(place, key)).or_else(|| self.bound.get(&(Place::Everywhere, key))).copied()
    }

    /// The keys of an action, the one to show first.
    #[must_use]
    pub fn keys(&self, action: Action) -> &[Key] {
        self.shown.get(&action).map_or(&[], Vec::as_slice)
    }
}

impl Default for Keymap {
    fn default() -> Self {
        Self::load("").unwrap_or_else(|_| Self { bound: HashMap::new(), shown: HashMap::new() })
    }
}

fn bad(what: &str) -> Failure {
    Failure::new(FailureKind::Invalid, format!("keymap.toml: {what}"), "correct it, or remove the file to have the default keys")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::key::Code;

    #[test]
    fn every_default_key_is_a_key_and_none_is_given_twice() {
        let map = Keymap::load("").expect("the defaults hold");
        for entry in action::ALL {
            assert_eq!(map.keys(entry.action).len(), entry.keys.len(), "{}", entry.name);
        }
    }

    #[test]
    fn a_user_moves_a_key_and_is_told_of_conflicts() {
        let map = Keymap::load("[keys]\nstop = ['Ctrl-x']").expect("valid");
        assert_eq!(map.action(Place::List, Key::plain(Code::Char('x'))), None);
        let clash = Keymap::load("[keys]\nstop = ['n']").expect_err("n launches");
        assert!(clash.what.as_str().contains("`launch`") && clash.what.as_str().contains("`stop`"), "{clash}");
        assert!(Keymap::load("[keys]\nfly = ['n']").is_err());
    }

    #[test]
    fn the_narrower_place_wins() {
        let map = Keymap::default();
        let n = Key::plain(Code::Char('n'));
        assert_eq!(map.action(Place::Log, n), Some(Action::NextMatch));
        assert_eq!(map.action(Place::List, Key::plain(Code::Char('q'))), Some(Action::Quit));
    }
}
