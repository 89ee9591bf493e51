//! Asks the interpreter that the local region would run a script with what it lacks.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// As long as a launch form can wait for a hint.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints those of its arguments that are no modules. Finding one does not import it: `import torch` alone takes seconds.
const ASK: &str = "import importlib.util, sys
for name in sys.argv[1:]:
    try:
        there = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        there = False
    if not there:
        print(name)";

/// Those of the modules that the interpreter does not have. None when it cannot be asked, or does not answer within 5 s: that
/// there is no interpreter is said elsewhere.
pub async fn lacks(python: &Path, modules: &[String]) -> Vec<String> {
    if modules.is_empty() {
        return Vec::new();
    }
    // -I: modules in the current folder and the user's PYTHON* variables are nothing that a job would have.
    let mut ask = Command::new(python);
    ask.args(["-I", "-c", ASK]).args(modules).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match timeout(PATIENCE, ask.output()).await {
        Ok(Ok(answer)) if answer.status.success() => {
            let said = String::from_utf8_lossy(&answer.stdout).into_owned();
            modules.iter().filter(|module| said.lines().any(|line| line == *module)).cloned().collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_an_interpreter_lacks() {
        let modules = ["json".to_owned(), "no_such_module_at_all".to_owned(), "xml".to_owned()];
        assert_eq!(lacks(Path::new("python3"), &modules).await, ["no_such_module_at_all"]);
        assert!(lacks(Path::new("python3"), &[]).await.is_empty());
        assert!(lacks(Path::new("/no/such/python"), &modules).await.is_empty());
    }
}
