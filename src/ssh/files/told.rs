//! What is said of a copy in the end.

use super::name::{Flaw, Unfit};
use crate::model::{Done, Failure, FailureKind, Safe, command, show};

/// Names that are said of many.
const NAMED: usize = 4;

/// What came of a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub done: Done,
    /// Links and devices in folders: they are never copied, and that is no failure.
    pub left_out: Vec<Unfit>,
    /// What was left out for its name.
    pub unfit: Vec<Unfit>,
    /// What was to be copied, and could not be.
    pub failed: Vec<Lack>,
    /// Parts that were removed: of an earlier state of what was copied now.
    pub cleared: u64,
    /// Parts in the target that may be ours, and are of nothing that was copied now.
    pub strays: Vec<Safe>,
}

/// One file or folder that could not be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// Where it is copied from.
    pub place: Safe,
    pub failure: Failure,
}

impl Copied {
    /// In words, e.g. `copied 12 files (3.4 MB); 5 were there already`.
    #[must_use]
    pub fn told(&self) -> String {
        let Done { sent, bytes, unchanged, continued } = self.done;
        let mut said = format!("copied {}", files(sent));
        if sent > 0 {
            said.extend([" (", &show::size(bytes), ")"]);
        }
        if continued > 0 {
            said.extend([", ", &show::grouped(continued), " of them continued where it had broken off"]);
        }
        if unchanged > 0 {
            said.extend(["; ", &files(unchanged), if unchanged == 1 { " was" } else { " were" }, " there already"]);
        }
        if !self.left_out.is_empty() {
            let count = show::grouped(self.left_out.len() as u64);
            let are = if self.left_out.len() == 1 { Flaw::Special.told() } else { "are links or devices" };
            said.extend(["; left out ", &count, " that ", are]);
        }
        if self.cleared > 0 {
            said.extend(["; removed ", &parts(self.cleared), " of what has changed since"]);
        }
        if let Some((first, more)) = self.strays.split_first() {
            let of = if more.is_empty() { "a file that is" } else { "files that are" };
            said.extend([
                "; ",
                &parts(self.strays.len() as u64),
                " of ",
                of,
                " not in this copy left there, to be continued or removed: ",
                first.as_str(),
            ]);
            said.push_str(&and_more(more.len()));
        }
        said
    }

    /// Whether more is left out than [`Copied::whole`] names.
    #[must_use]
    pub fn names_some_only(&self) -> bool {
        self.failed.len() > NAMED || self.unfit.len() > NAMED
    }

    /// Itself if nothing is missing but links and devices.
    ///
    /// # Errors
    /// What could not be copied, with its first names, and that the rest was.
    pub fn whole(self) -> Result<Self, Failure> {
        let Self { failed, unfit, .. } = &self;
        let (mut said, mut hints, mut kind) = (Vec::new(), Vec::new(), FailureKind::Service);
        if let Some(Lack { failure: first, .. }) = failed.first() {
            if self.done == Done::default() && failed.len() == 1 && unfit.is_empty() {
                return Err(first.clone());
            }
            said.extend(failed.iter().take(NAMED).map(|lack| lack.failure.what.to_string()));
            if failed.len() > NAMED {
                said.push(format!("{} more", show::grouped((failed.len() - NAMED) as u64)));
            }
            hints.push(first.hint.to_string());
            // That all was asked rightly is seen from what is there.
            kind = if first.kind == FailureKind::Invalid { kind } else { first.kind };
        }
        if !unfit.is_empty() {
            let named: Vec<_> = unfit.iter().take(NAMED).map(|one| format!("{} {}", one.place, one.flaw.told())).collect();
            let whose = if unfit.len() == 1 { "its name" } else { "their names" };
            let (count, more) = (show::grouped(unfit.len() as u64), and_more(unfit.len().saturating_sub(NAMED)));
            said.push(format!("left out {count} for {whose}: {}{more}", named.join(", ")));
            hints.push("rename what was left out, or pack the folder (tar) and copy that".to_owned());
        }
        if said.is_empty() {
            return Ok(self);
        }
        if self.names_some_only() {
            hints.push(format!("{} with the same names tells every one", command("cp --json")));
        }
        hints.retain(|hint| !hint.is_empty());
        let rest = if self.done == Done::default() {
            "nothing was copied".to_owned()
        } else {
            format!("all else is there: {}", self.told())
        };
        Err(Failure::new(kind, format!("{}; {rest}", said.join("; ")), hints.join("; ")))
    }
}

fn files(count: u64) -> String {
    format!("{} file{}", show::grouped(count), if count == 1 { "" } else { "s" })
}

fn parts(count: u64) -> String {
    format!("{} part{}", show::grouped(count), if count == 1 { "" } else { "s" })
}

fn and_more(count: usize) -> String {
    if count > 0 { format!(", and {} more", show::grouped(count as u64)) } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_it_is_said_in_words() {
        let copied = |sent, bytes, unchanged, continued, left_out| {
            let done = Done { sent, bytes, unchanged, continued };
            let left_out = vec![Unfit { place: Safe::line("a"), flaw: Flaw::Special }; left_out];
            Copied { done, left_out, ..Copied::default() }.told()
        };
        assert_eq!(copied(1, 5, 0, 0, 0), "copied 1 file (5 B)");
        assert_eq!(copied(0, 0, 1, 0, 2), "copied 0 files; 1 file was there already; left out 2 that are links or devices");
        assert_eq!(
            copied(1200, 4_000_000, 3, 1, 0),
            "copied 1,200 files (4.0 MB), 1 of them continued where it had broken off; 3 files were there already"
        );
        let strays = vec![Safe::line("a.1-2.part"), Safe::line("b.1-2.part")];
        assert_eq!(
            Copied { cleared: 1, strays, ..Copied::default() }.told(),
            "copied 0 files; removed 1 part of what has changed since; 2 parts of files that are not in this copy left there, to be \
             continued or removed: a.1-2.part, and 1 more"
        );
    }

    #[test]
    fn what_was_left_out_is_counted_named_and_explained() {
        let unfit = |count: usize| -> Vec<Unfit> {
            (0..count).map(|n| Unfit { place: Safe::line(&format!("d/{n}\n")), flaw: Flaw::Control }).collect()
        };
        let gone = Failure::new(FailureKind::Invalid, "x is a folder", "rename it");
        let lack = Lack { place: Safe::line("x"), failure: gone.clone() };
        let copied = |failed, count| Copied { failed, unfit: unfit(count), ..Copied::default() };
        let said = |failed, count| copied(failed, count).whole().unwrap_err();
        assert_eq!(said(vec![lack.clone()], 0), gone, "nothing else was to be copied");
        assert!(!copied(vec![lack.clone()], 4).names_some_only(), "all are named");
        let both = said(vec![lack], 6);
        assert_eq!(both.kind, FailureKind::Service);
        assert_eq!(
            both.what.as_str(),
            "x is a folder; left out 6 for their names: d/0␊ has a control character, d/1␊ has a control character, \
             d/2␊ has a control character, d/3␊ has a control character, and 2 more; nothing was copied"
        );
        assert!(both.hint.as_str().starts_with("rename it; rename what was left out"), "{both}");
        assert!(both.hint.as_str().ends_with("cp --json with the same names tells every one"), "{both}");
    }
}
