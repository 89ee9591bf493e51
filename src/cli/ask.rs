//! Questions before something changes. Without a terminal there are none: it is refused, and the flag to add is named.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::model::{Failure, FailureKind, Safe};

/// Asks yes or no; `no` is what Enter means. `yes` is the flag `--yes`.
///
/// # Errors
/// `Refused` when the answer is no, or there is no terminal to ask on.
pub fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let answer = prompt(&format!("{question} [y/N] "))?;
    if matches!(answer.trim().to_lowercase().as_str(), "y" | "yes") {
        Ok(())
    } else {
        Err(refused("not confirmed; nothing was done"))
    }
}

/// Asks for a name to be typed, for what cannot be undone.
///
/// # Errors
/// `Refused` when another text is typed, or there is no terminal to ask on.
pub fn confirm_by_name(question: &str, name: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let answer = prompt(&format!("{question}\nType {name} to go on: "))?;
    if answer.trim() == name { Ok(()) } else { Err(refused("not confirmed; nothing was done")) }
}

fn prompt(text: &str) -> Result<String, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::new(
            FailureKind::Refused,
            "this needs a confirmation, and there is no terminal to ask on",
            "Add --yes to confirm it beforehand.",
        ));
    }
    let mut err = io::stderr().lock();
    let mut answer = String::new();
    write!(err, "{}", Safe::text(text))
        .and_then(|()| err.flush())
        .and_then(|()| io::stdin().lock().read_line(&mut answer))
        .map_err(|error| {
            Failure::new(
                FailureKind::Machine,
                format!("the terminal cannot be read: {error}"),
                "Add --yes to confirm it beforehand.",
            )
        })?;
    Ok(answer)
}

fn refused(what: &str) -> Failure {
    Failure::new(FailureKind::Refused, what, "")
}
