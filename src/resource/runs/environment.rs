//! Where Python is: the images differ, so it is looked for, in the order in which they have it.

use crate::model::{Failure, FailureKind};
use crate::resource::line::{Line, failed};

/// An interpreter on the instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Python {
    /// Its path.
    pub path: String,
    /// E.g. `3.10.12`.
    pub version: String,
    /// How an interactive shell enters its environment; empty when it is the system's.
    pub enter: String,
}

/// The interpreter of an environment: `pytorch` (conda's or a folder of /opt), a path, or `system` for python3.
///
/// # Errors
/// `NotFound` with what there is instead.
pub(super) async fn find(line: &Line, wanted: &str) -> Result<Python, Failure> {
    let ran = line.script(include_str!("scripts/probe.sh"), &[wanted], None).await?;
    if ran.status != Some(0) {
        return Err(failed("looking for Python", &ran));
    }
    let said = String::from_utf8_lossy(&ran.out);
    found(&said).ok_or_else(|| {
        let there = there(&said);
        let (list, hint) = if there.is_empty() {
            ("no Python at all".to_owned(), "launch an instance from a deep learning image, or install Python in a terminal (s)")
        } else {
            (there.join(", "), "set `environment` to one of these, or to the path of an environment or interpreter")
        };
        Failure::new(FailureKind::NotFound, format!("there is no environment '{wanted}' on the instance; there is {list}"), hint)
    })
}

fn found(said: &str) -> Option<Python> {
    said.lines().find_map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        ["found", path, version, enter] => {
            Some(Python { path: path.to_owned(), version: version.to_owned(), enter: enter.to_owned() })
        }
        _ => None,
    })
}

/// The names of the environments that there are, each once.
fn there(said: &str) -> Vec<String> {
    let mut there: Vec<String> = Vec::new();
    for line in said.lines() {
        if let ["there", name, _] = line.split('\t').collect::<Vec<_>>()[..]
            && !there.iter().any(|known| known == name)
        {
            there.push(name.to_owned());
        }
    }
    there
}
