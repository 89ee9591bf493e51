//! How a job's scripts ended, and what that means for the job: its ending, its reason, and what of it is kept.

use std::path::Path;

use super::document::Ending;
use crate::local::engine::Broken;
use crate::local::engine::host::{self, HostEnd};
use crate::local::engine::layout::HostRoot;

/// How much of a script's own failure file becomes the reason, in characters (developer guide).
const FAILURE_FILE: usize = 1024;

/// How the scripts ended.
pub struct Trained {
    pub ending: Ending,
    /// Whether model and output are kept.
    pub kept: Kept,
}

/// What is uploaded in the end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    /// Of a failed job AWS keeps `output/data` only.
    Output,
    All,
}

/// What the hosts' ends mean for the job.
#[must_use]
pub fn judge(ending: Option<Ending>, failed: Option<HostEnd>, hosts: &[HostRoot], commands: &[String]) -> Trained {
    match (ending, failed) {
        (Some(ending @ Ending::Failed(_)), _) => Trained { ending, kept: Kept::Nothing },
        // A stopped script may end with any code.
        (Some(ending), _) => Trained { ending, kept: Kept::All },
        (None, None) => Trained { ending: Ending::Completed, kept: Kept::All },
        (None, Some(HostEnd { broken: Some(Broken(reason)), .. })) => {
            Trained { ending: Ending::Failed(reason), kept: Kept::Nothing }
        }
        (None, Some(end)) => {
            let index = end.number as usize - 1;
            let command = commands.get(index).map_or("", String::as_str);
            let file = hosts.get(index).map(|host| host.output().join("failure"));
            let reason = failure_reason(&end, file.as_deref(), command);
            Trained { ending: Ending::Failed(reason), kept: Kept::Output }
        }
    }
}

/// The reason as AWS and its toolkit put it together.
fn failure_reason(end: &HostEnd, file: Option<&Path>, command: &str) -> String {
    let own = file.and_then(|file| read_start(file).ok()).unwrap_or_default();
    if !own.trim().is_empty() {
        let own: String = own.chars().take(FAILURE_FILE).collect();
        return format!("AlgorithmError: {}, exit code: {}", own.trim_end(), end.code);
    }
    let extra = if end.code == 137 { "\nExtraInfo \"OutOfMemory: Process killed by SIGKILL (signal 9)\"" } else { "" };
    let mut error: String = host::last_error(&end.stderr).chars().take(600).collect();
    if error.is_empty() && end.code > 128 {
        error = format!("the script was ended by signal {}", end.code - 128);
    }
    let command: String = command.chars().take(250).collect();
    format!(
        "AlgorithmError: ExecuteUserScriptError:\nExitCode {code}\nErrorMessage \"{error}\"{extra}\nCommand \"{command}\", exit code: {code}",
        code = end.code
    )
}

/// The beginning of a file that a script wrote; never more than needed of it, and never from a pipe.
fn read_start(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    if !std::fs::metadata(file)?.is_file() {
        return Ok(String::new());
    }
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(4 * FAILURE_FILE as u64).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(code: i32, stderr: &str) -> HostEnd {
        HostEnd { number: 1, code, stderr: stderr.to_owned(), broken: None }
    }

    #[test]
    fn reasons_are_the_toolkits() {
        assert_eq!(
            failure_reason(&end(3, "Traceback (most recent call last):\n  x\nValueError: no\n"), None, "python train.py"),
            "AlgorithmError: ExecuteUserScriptError:\nExitCode 3\nErrorMessage \"ValueError: no\"\nCommand \"python train.py\", exit code: 3"
        );
        assert!(
            failure_reason(&end(137, ""), None, "x").contains("ExtraInfo \"OutOfMemory: Process killed by SIGKILL (signal 9)\"")
        );
    }

    #[test]
    fn the_scripts_own_failure_file_comes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("failure");
        std::fs::write(&file, "x".repeat(5000)).expect("writes");
        let reason = failure_reason(&end(1, "error"), Some(&file), "c");
        assert_eq!(reason, format!("AlgorithmError: {}, exit code: 1", "x".repeat(1024)));
    }
}
