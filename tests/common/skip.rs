//! Tests of what this machine may not have.

use std::io::Write as _;

/// Whether all these programs are here. If not, the calling test is [`skipped`].
#[allow(dead_code, reason = "not every test that may be skipped needs programs")]
pub fn installed(programs: &[&str], package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_here = |program: &&str| std::env::split_paths(&path).any(|folder| folder.join(program).exists());
    let here = programs.iter().all(is_here);
    if !here {
        skipped(&format!("{} is not installed (Debian: {package})", programs.join(", ")));
    }
    here
}

/// Says past the capture of the calling test's output that it is not run, and why: `tests/all` counts it as skipped, where cargo
/// counts it as passed.
pub fn skipped(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    // A line of its own, whatever else is being written.
    let line = format!("\nskipped test: {name}: {}\n", why.replace('\n', " "));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}
