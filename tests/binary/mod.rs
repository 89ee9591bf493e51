//! The built program in a home of its own.
#![allow(dead_code, reason = "each test file uses what it needs")]

pub mod aws;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A home folder with nothing in it.
pub struct Home(tempfile::TempDir);

/// What a run left behind.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Longer than any run here takes on a busy machine; a run that hangs is a failure and not a test that never ends.
const PATIENCE: &str = "90";

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn root(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    pub fn write(&self, below: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The program without terminal and with nothing of the environment but PATH, for so long at most.
    pub fn command(&self, args: &[&str]) -> Command {
        // timeout(1) hands signals on to the program.
        let mut command = self.prepare("timeout");
        command.args([PATIENCE, env!("CARGO_BIN_EXE_footplate")]).args(args);
        command
    }

    pub fn prepare(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.0.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.current_dir(self.0.path()).stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        finish(&mut self.command(args))
    }

    /// Writes a project whose script does `body`.
    pub fn project(&self, body: &str) {
        self.write("code/train.py", format!("import os, sys, time, signal\n{body}\n"));
        self.write("data/one.txt", "1");
        self.write(
            "footplate.toml",
            "[project]\nname = \"tiny\"\n[code]\nsource_dir = \"code\"\nentry_point = \"train.py\"\n[data]\ntrain = \"data\"\n[training.hyperparameters]\nlr = 0.5\n[[metrics]]\nname = \"loss\"\nregex = 'loss=([0-9.]+)'\n",
        );
    }

    /// Processes that have this home in their environment or command line: what a test has left running.
    pub fn processes(&self) -> Vec<String> {
        let mark = self.root().to_str().unwrap().as_bytes();
        let has = |path: PathBuf| fs::read(path).is_ok_and(|text| text.windows(mark.len()).any(|window| window == mark));
        let mut out = Vec::new();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let folder = entry.path();
            let is_process = entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
            if is_process && (has(folder.join("environ")) || has(folder.join("cmdline"))) {
                let line = fs::read(folder.join("cmdline")).unwrap_or_default();
                out.push(format!(
                    "{} {}",
                    entry.file_name().to_string_lossy(),
                    String::from_utf8_lossy(&line).replace('\0', " ")
                ));
            }
        }
        out
    }

    /// Fails when something of this test still runs a moment from now.
    #[track_caller]
    pub fn nothing_runs(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "still running: {left:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

pub fn finish(command: &mut Command) -> Ran {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    #[track_caller]
    pub fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        for word in words {
            assert!(
                self.out.contains(word) || self.err.contains(word),
                "lacks {word:?}\nstdout:\n{}\nstderr:\n{}",
                self.out,
                self.err
            );
        }
        assert!(!self.out.contains('\x1b') && !self.err.contains('\x1b'), "escape sequences without a terminal");
    }
}

/// A served region, ended with the test.
pub struct Served(Child);

impl Served {
    /// Starts and returns it with the line it prints when the door is open.
    pub fn start(home: &Home, args: &[&str]) -> (Self, String) {
        // Not under timeout(1), which a SIGKILL would hit instead; it ends with the test.
        let mut child = home
            .prepare(env!("CARGO_BIN_EXE_footplate"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line.trim_end().to_owned())
    }

    pub fn end(mut self, signal: &str) -> i32 {
        let ended = Command::new("kill").args([signal, &self.0.id().to_string()]).status().unwrap();
        assert!(ended.success());
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "it does not end on {signal}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
