//! Names and places: `INSTANCE/RUN` as a run's id, and where its things are on the instance.

use crate::aws::script_mode::names::legal;
use crate::model::{Failure, FailureKind, ItemId, command};

/// Most characters of a run's name.
pub(super) const LONGEST: usize = 63;

/// Which run, on which instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// `i-…`
    pub instance: ItemId,
    pub name: String,
}

impl Place {
    /// Reads `INSTANCE/RUN`.
    ///
    /// # Errors
    /// `Invalid` when it is none.
    pub fn parse(id: &ItemId) -> Result<Self, Failure> {
        let parted = id.as_str().split_once('/').filter(|(instance, name)| !instance.is_empty() && is_name(name));
        let Some((instance, name)) = parted else {
            let what = format!("'{}' is no run; it looks like i-0123456789abcdef0/NAME", id.as_str());
            let hint = format!("{} shows which there are", command("ls runs INSTANCE"));
            return Err(Failure::new(FailureKind::Invalid, what, hint));
        };
        Ok(Self { instance: ItemId(instance.to_owned()), name: name.to_owned() })
    }

    pub fn id(&self) -> ItemId {
        id(&self.instance, &self.name)
    }

    /// Its folder, relative to the home folder on the instance.
    pub fn folder(&self) -> String {
        format!("footplate/runs/{}", self.name)
    }
}

/// The instance of a run's id; of an instance's id, that.
pub(super) fn instance_of(id: &ItemId) -> ItemId {
    ItemId(id.as_str().split('/').next().unwrap_or_default().to_owned())
}

/// A run's id.
pub(super) fn id(instance: &ItemId, name: &str) -> ItemId {
    ItemId(format!("{}/{name}", instance.as_str()))
}

/// Whether it can be a run's name: letters, digits, `-`, `_` and `.`, the first a letter or digit. It is a folder's name and
/// stands in commands.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= LONGEST
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// A name that nobody has: the project's with the time, down to the second.
pub(super) fn fresh(base: &str, now: jiff::Timestamp) -> String {
    let stamp = now.to_zoned(jiff::tz::TimeZone::UTC).strftime("%m%d-%H%M%S").to_string();
    let mut base = legal(base);
    base.truncate(LONGEST - stamp.len() - 1);
    let base = base.trim_end_matches('-');
    format!("{}-{stamp}", if base.is_empty() { "run" } else { base })
}

/// A path that stays below where the script runs.
pub(super) fn stays_inside(path: &str) -> bool {
    let normal = |part: std::path::Component| matches!(part, std::path::Component::Normal(_));
    !path.is_empty() && !path.contains(['\0', '\n', '\r']) && std::path::Path::new(path).components().all(normal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_say_instance_and_name() {
        let place = Place::parse(&ItemId("i-0a/digits-1".into())).unwrap();
        assert_eq!(
            (place.instance.as_str(), place.name.as_str(), place.folder().as_str()),
            ("i-0a", "digits-1", "footplate/runs/digits-1")
        );
        assert_eq!(place.id().as_str(), "i-0a/digits-1");
        for bad in ["i-0a", "i-0a/", "/x", "i-0a/..", "i-0a/a/b", "i-0a/-x", "i-0a/a b", "i-0a/a;b"] {
            assert!(Place::parse(&ItemId(bad.into())).is_err(), "{bad}");
        }
    }

    #[test]
    fn fresh_names_are_names() {
        let now = "2026-11-22T07:18:36Z".parse().unwrap();
        assert_eq!(fresh("dog breeds", now), "dog-breeds-1122-071836");
        assert!(is_name(&fresh(&"x".repeat(200), now)) && is_name(&fresh("", now)));
    }
}
