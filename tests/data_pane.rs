//! Data: uploads that are cut, killed and called off, and what is found of them afterwards. The built program, a served
//! region, and between them a relay that can cut.

#[path = "binary/mod.rs"]
mod binary;
#[path = "common/mod.rs"]
mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use binary::{Home, Served};
use common::Stage;
use footplate::app::{Effect, Event};
use footplate::model::{Failure, FailureKind, Field, FieldKind, Form, Order, Preview, Progress, Verb};

const MIB: usize = 1 << 20;

/// What the relay does to the traffic.
#[derive(Clone, Copy)]
enum Rule {
    Pass,
    /// Cuts one connection after so many bytes of parts have gone through, over all connections; once.
    CutBody(usize),
    /// Cuts the connection instead of handing back the first answer to a request whose head has this; once.
    CutAnswer(&'static str),
    /// Holds all parts from when so many parts have been answered.
    Hold(usize),
}

/// Stands in the place of the region's socket.
struct Relay(Arc<State>);

struct State {
    real: PathBuf,
    rule: Mutex<Rule>,
    freed: Condvar,
    /// First lines of all requests.
    asked: Mutex<Vec<String>>,
    /// Bytes of parts, and answers to parts, that have gone through.
    passed: Mutex<(usize, usize)>,
}

impl Relay {
    fn before(home: &Home) -> Self {
        let socket = find(home.root(), "door.sock").expect("a served region");
        let real = socket.with_extension("real");
        fs::rename(&socket, &real).unwrap();
        let state = Arc::new(State {
            real,
            rule: Mutex::new(Rule::Pass),
            freed: Condvar::new(),
            asked: Mutex::default(),
            passed: Mutex::default(),
        });
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || state.serve(&client));
            }
        });
        Self(state)
    }

    fn set(&self, rule: Rule) {
        *self.0.rule.lock().unwrap() = rule;
        *self.0.passed.lock().unwrap() = (0, 0);
        self.0.asked.lock().unwrap().clear();
        self.0.freed.notify_all();
    }

    /// Requests so far whose first line has this.
    fn count(&self, part: &str) -> usize {
        self.0.asked.lock().unwrap().iter().filter(|line| line.contains(part)).count()
    }

    /// Waits until so many parts were answered.
    fn until_answered(&self, parts: usize) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while self.0.passed.lock().unwrap().1 < parts {
            assert!(Instant::now() < deadline, "parts are not answered");
            std::thread::yield_now();
        }
    }
}

impl State {
    fn serve(&self, client: &UnixStream) {
        let Ok(server) = UnixStream::connect(&self.real) else { return };
        // The head of the request that is under way.
        let head = Mutex::new(String::new());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                Self::pump(client, &server, |bytes| self.goes(bytes, &head));
                close(client, &server);
            });
            Self::pump(&server, client, |bytes| self.comes(bytes, &head));
            close(client, &server);
        });
    }

    fn pump(mut from: &UnixStream, mut to: &UnixStream, passes: impl Fn(&[u8]) -> bool) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 || !passes(&buffer[..count]) || to.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    }

    /// Bytes to the region: `false` cuts.
    fn goes(&self, bytes: &[u8], head: &Mutex<String>) -> bool {
        if ["GET /", "PUT /", "POST /", "HEAD /", "DELETE /"].iter().any(|method| bytes.starts_with(method.as_bytes())) {
            let line = String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_owned();
            self.asked.lock().unwrap().push(line.clone());
            *head.lock().unwrap() = line;
        }
        if !head.lock().unwrap().contains("partNumber=") {
            return true;
        }
        self.wait();
        let sent = {
            let mut passed = self.passed.lock().unwrap();
            passed.0 += bytes.len();
            passed.0
        };
        let mut rule = self.rule.lock().unwrap();
        let cut = matches!(*rule, Rule::CutBody(at) if sent > at);
        if cut {
            *rule = Rule::Pass;
        }
        !cut
    }

    /// Bytes back from the region: `false` cuts.
    fn comes(&self, bytes: &[u8], head: &Mutex<String>) -> bool {
        let head = head.lock().unwrap().clone();
        if head.contains("partNumber=") {
            self.wait();
            // An answer may come in several pieces.
            self.passed.lock().unwrap().1 += usize::from(bytes.starts_with(b"HTTP/1.1 200"));
        }
        let mut rule = self.rule.lock().unwrap();
        let cut = matches!(*rule, Rule::CutAnswer(part) if head.contains(part));
        if cut {
            *rule = Rule::Pass;
        }
        !cut
    }

    fn wait(&self) {
        let mut rule = self.rule.lock().unwrap();
        while matches!(*rule, Rule::Hold(after) if self.passed.lock().unwrap().1 >= after) {
            rule = self.freed.wait_timeout(rule, Duration::from_mins(1)).unwrap().0;
        }
    }
}

fn close(a: &UnixStream, b: &UnixStream) {
    for end in [a, b] {
        let _ = end.shutdown(std::net::Shutdown::Both);
    }
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if entry.file_name() == name { Some(path) } else { find(&path, name).filter(|_| path.is_dir()) }
    })
}

/// Bytes of which no two parts are the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

fn rows(home: &Home, scope: &str) -> Vec<serde_json::Value> {
    let ran = home.run(&["ls", "data", scope, "--json", "--local"]);
    ran.expect(0, &[]);
    serde_json::from_str(&ran.out).unwrap()
}

/// What the program has in that object, by its own download.
fn content(home: &Home, at: &str, name: &str) -> Vec<u8> {
    let _ = fs::remove_dir_all(home.path("back"));
    home.run(&["download", at, "back", "--local"]).expect(0, &[]);
    fs::read(home.path("back").join(name)).unwrap()
}

fn start(home: &Home, args: &[&str]) -> Child {
    let mut command = home.prepare(env!("CARGO_BIN_EXE_footplate"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    assert!(std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_connection_cut_at_each_part_loses_nothing_and_leaves_nothing() {
    let home = Home::new();
    let (served, _) = Served::start(&home, &["local", "serve"]);
    let relay = Relay::before(&home);
    let bytes = noise(20 * MIB);
    home.write("big.bin", &bytes);
    let bodies = (0..3).map(|part| Rule::CutBody(part * 8 * MIB + 3 * MIB));
    let answers =
        ["partNumber=1&", "partNumber=2&", "partNumber=3&", "POST /data/big.bin?uploads", "POST /data/big.bin?uploadId"];
    for (number, rule) in bodies.chain(answers.map(Rule::CutAnswer)).enumerate() {
        relay.set(rule);
        home.run(&["upload", "big.bin", "s3://data/big.bin", "--local"]).expect(0, &["uploaded 1 files"]);
        let cut = matches!(*relay.0.rule.lock().unwrap(), Rule::Pass);
        assert!(cut, "nothing was cut in round {number}");
        assert!(content(&home, "s3://data/big.bin", "big.bin") == bytes, "round {number} lost something");
        let left: Vec<String> = rows(&home, "s3://data/").iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
        // An upload whose beginning was answered to nobody cannot be known: the program begins another, and the list shows it.
        if let Rule::CutAnswer("POST /data/big.bin?uploads") = rule {
            home.run(&["delete", "data", "uploads://data/incomplete", "--yes", "--local"]).expect(0, &["given up"]);
        } else {
            assert_eq!(left, ["s3://data/big.bin"], "round {number}");
        }
        home.run(&["delete", "data", "s3://data/big.bin", "--yes", "--local"]).expect(0, &[]);
    }
    assert_eq!(served.end("-TERM"), 0);
}

#[test]
fn a_killed_upload_is_found_and_continues_with_what_is_missing() {
    let home = Home::new();
    let (served, _) = Served::start(&home, &["local", "serve"]);
    let relay = Relay::before(&home);
    let bytes = noise(41 * MIB);
    home.write("big.bin", &bytes);
    relay.set(Rule::Hold(3));
    let mut upload = start(&home, &["upload", "big.bin", "s3://data/set/", "--local"]);
    relay.until_answered(3);
    signal(&upload, "-KILL");
    upload.wait().unwrap();
    relay.set(Rule::Pass);
    // The bucket shows what is left, with what has arrived of it.
    let top = rows(&home, "s3://data/");
    assert_eq!((top.len(), top[0]["name"].as_str()), (1, Some("1 incomplete upload")), "{top:?}");
    let left = rows(&home, top[0]["id"].as_str().unwrap());
    assert_eq!(left[0]["name"], "set/big.bin");
    // Parts are sent side by side: the last, smaller one may be among the three that arrived.
    assert!(left[0]["size"].as_u64().unwrap() >= (2 * 8 + 1) * MIB as u64, "{left:?}");
    home.run(&["show", "data", left[0]["id"].as_str().unwrap(), "--local"]).expect(0, &["size so far", "continues it"]);
    relay.set(Rule::Pass);
    home.run(&["upload", "big.bin", "s3://data/set/", "--local"]).expect(0, &["1 continued where they had broken off"]);
    assert!(relay.count("partNumber=") <= 3, "parts that had arrived were sent again: {}", relay.count("partNumber="));
    assert_eq!(relay.count("?uploads"), 1, "looked for, not begun anew");
    assert!(content(&home, "s3://data/set/big.bin", "big.bin") == bytes);
    assert_eq!(rows(&home, "s3://data/").len(), 1, "only the folder is left");
    // Another one, which is not wanted any more.
    home.write("big.bin", noise(40 * MIB));
    relay.set(Rule::Hold(1));
    let mut upload = start(&home, &["upload", "big.bin", "s3://data/other/", "--local"]);
    relay.until_answered(1);
    signal(&upload, "-KILL");
    upload.wait().unwrap();
    relay.set(Rule::Pass);
    let left = rows(&home, "uploads://data/incomplete");
    home.run(&["delete", "data", left[0]["id"].as_str().unwrap(), "--yes", "--local"]).expect(0, &["given up"]);
    assert_eq!(rows(&home, "uploads://data/incomplete").len(), 0);
    assert_eq!(served.end("-TERM"), 0);
}

#[test]
fn an_upload_that_is_interrupted_takes_its_parts_back() {
    let home = Home::new();
    let (served, _) = Served::start(&home, &["local", "serve"]);
    let relay = Relay::before(&home);
    home.write("big.bin", noise(40 * MIB));
    relay.set(Rule::Hold(2));
    let upload = start(&home, &["upload", "big.bin", "s3://data/set/", "--local"]);
    relay.until_answered(2);
    signal(&upload, "-INT");
    let ended = upload.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("called off"), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(relay.count("DELETE /data/set/big.bin"), 1);
    relay.set(Rule::Pass);
    assert_eq!(rows(&home, "s3://data/").len(), 0, "nothing is left");
    assert_eq!(served.end("-TERM"), 0);
}

#[test]
fn odd_names_go_there_and_back_and_the_second_time_nothing_is_sent() {
    let home = Home::new();
    let (served, _) = Served::start(&home, &["local", "serve"]);
    let relay = Relay::before(&home);
    let names = [
        "a b/c d.txt",
        "grün/猫.txt",
        "line\nbreak.txt",
        "plus+percent%41.txt",
        "tab\there",
        "q?x=1&y#z",
        "quote'\"<>.txt",
        "control\u{1}",
    ];
    for name in names {
        home.write(&format!("odd/{name}"), name);
    }
    home.run(&["upload", "odd", "s3://data/odd/", "--local"]).expect(0, &["uploaded 8 files", "0 were there already"]);
    relay.set(Rule::Pass);
    home.run(&["upload", "odd", "s3://data/odd/", "--local"]).expect(0, &["uploaded 0 files", "8 were there already"]);
    assert_eq!(relay.count("PUT /"), 0);
    home.run(&["download", "s3://data/odd/", "back", "--local"]).expect(0, &["downloaded 8 files"]);
    for name in names {
        assert_eq!(fs::read_to_string(home.path(&format!("back/{name}"))).unwrap(), name, "{name:?}");
    }
    home.run(&["download", "s3://data/odd/", "back", "--local"]).expect(0, &["downloaded 0 files", "8 were there already"]);
    home.run(&["ls", "data", "s3://data/odd/", "--local"]).expect(0, &["plus+percent%41.txt"]);
    home.run(&["delete", "data", "s3://data/odd/", "--yes", "--local"]).expect(0, &["deleted 8 objects"]);
    assert_eq!(served.end("-TERM"), 0);
}

#[test]
fn a_picture_says_its_size_and_a_text_how_it_begins() {
    let home = Home::new();
    let (served, _) = Served::start(&home, &["local", "serve"]);
    home.write("set/a.gif", b"GIF89a\x40\x00\x30\x00\xf7\x00\x00rest of it");
    home.write("set/b.csv", "label,x\n7,0.5\n");
    home.run(&["upload", "set", "s3://data/set/", "--local"]).expect(0, &[]);
    home.run(&["show", "data", "s3://data/set/a.gif", "--local"]).expect(0, &["GIF", "64 x 48", "256 colours"]);
    home.run(&["show", "data", "s3://data/set/b.csv", "--local"]).expect(0, &["label,x"]);
    assert_eq!(served.end("-TERM"), 0);
}

#[test]
fn what_has_run_is_added_up_and_what_is_not_known_is_said() {
    let home = Home::new();
    home.project("print('loss=0.5')");
    let (served, _) = Served::start(&home, &["local", "serve", "--speed", "100"]);
    home.run(&["cost", "--local"]).expect(0, &["Nothing runs now", "no ended jobs", "AWS Cost Explorer"]);
    home.run(&["train", "--local", "--yes", "--wait"]).expect(0, &[]);
    home.run(&["cost", "--local"]).expect(0, &["This project (tiny), ended: on AWS · free here", "Prices: "]);
    let ran = home.run(&["cost", "--local", "--json"]);
    ran.expect(0, &[]);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&told["ended"]["training"]["jobs"], &told["today"]["jobs"]), (&1.into(), &1.into()), "{told}");
    assert!(told["ended"]["training"]["usd"].as_f64().unwrap() > 0.0 && told["free"] == true, "{told}");
    assert!(told["prices"][0].as_str().unwrap().contains("20"), "a price has its date: {told}");
    assert_eq!(served.end("-TERM"), 0);
}

/// An upload at work on the stage, with its serial.
fn uploading(width: u16, height: u16) -> (Stage, u64) {
    let mut stage = Stage::new(width, height);
    stage.listed("data", Vec::new()).press("5");
    assert_eq!(stage.app.pane().spec.id, "data");
    stage.press("u");
    let field = |name: &'static str, value: &str| Field {
        name: name.into(),
        label: name.into(),
        help: "help".into(),
        kind: FieldKind::Line,
        initial: value.to_owned(),
        value: value.to_owned(),
    };
    let fields = vec![field("source", "pictures"), field("target", "s3://data/set/")];
    let form = Form { title: "upload data".into(), resource: "data".into(), verb: Verb::Upload, parent: None, fields };
    stage.send(Event::Formed(Ok(form)));
    let serial =
        stage.effects.iter().find_map(|effect| if let Effect::Preview { serial, .. } = effect { Some(*serial) } else { None });
    stage.send(Event::Previewed { serial: serial.expect("a look at it"), result: Ok(Preview::default()) }).press("Ctrl-s");
    let serial =
        stage.effects.iter().find_map(|effect| if let Effect::Run { serial, .. } = effect { Some(*serial) } else { None });
    let serial = serial.expect("an order");
    let said = "1,234 of 8,000 files · 154 MB of 1.0 GB · 85.2 MB/s · 10 s left";
    stage.send(Event::Progressed { serial, progress: Progress { said: said.into(), done: 154, total: 1000 } });
    (stage, serial)
}

#[test]
fn an_upload_shows_how_far_it_is_and_a_key_calls_it_off() {
    let (stage, _) = uploading(40, 15);
    let line = stage.screen().lines().last().unwrap().to_owned();
    assert!(line.contains("1,234") && line.contains("Ctrl-x"), "{line}");
    let (mut stage, serial) = uploading(120, 40);
    let line = stage.screen().lines().last().unwrap().to_owned();
    assert!(line.contains("85.2 MB/s · 10 s left") && line.trim_end().ends_with("Ctrl-x call off"), "{line}");
    stage.press("Ctrl-x");
    assert_eq!(stage.effects, [Effect::CallOff { serial }]);
    let order = Order { resource: "data".into(), verb: Verb::Upload, targets: Vec::new(), form: None };
    let called_off = Failure::new(FailureKind::Cancelled, "the upload was called off", "again continues");
    stage.send(Event::Ran { serial, order, result: Err(called_off) });
    assert!(stage.screen().contains("the upload was called off"));
    stage.press("Ctrl-x");
    assert_eq!(stage.effects.iter().filter(|effect| matches!(effect, Effect::CallOff { .. })).count(), 0);
}
