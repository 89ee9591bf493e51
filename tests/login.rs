//! `footplate ssh` against the local region's instances: logins, streams, exit codes, and what is told when there is no way.

mod binary;
mod terminal;

use std::io::Write;
use std::process::Stdio;

use binary::{Home, Served};
use terminal::Terminal;

/// A region that is served, and a running instance in it.
fn instance() -> (Home, Served, String) {
    let home = Home::new();
    let (served, _) = Served::start(&home, &["local", "serve"]);
    let ran =
        home.run(&["--local", "instance", "--yes", "--wait", "--json", "--set", "instance_type=t3.medium", "--set", "name=it"]);
    assert_eq!(ran.code, 0, "{} {}", ran.out, ran.err);
    let at = ran.out.find("i-").expect("an id");
    let id = ran.out[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
    (home, served, id)
}

#[test]
fn a_command_has_its_streams_and_its_exit_code() {
    let (home, _served, id) = instance();
    let ssh = |command: &str| home.run(&["--local", "ssh", &id, "--", command]);
    let ran = ssh("echo out; echo err >&2; exit 7");
    assert_eq!((ran.code, ran.out.as_str()), (7, "out\n"), "{}", ran.err);
    assert!(ran.err.contains("err\n"), "{}", ran.err);
    assert_eq!(ssh("kill -9 $$").code, 137);
    // Several megabytes, there and back, as they are.
    let sent: Vec<u8> = (0..10_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect();
    let mut child =
        home.command(&["--local", "ssh", &id, "--", "cat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let given = sent.clone();
    let giving = std::thread::spawn(move || stdin.write_all(&given));
    let came = child.wait_with_output().unwrap();
    giving.join().unwrap().unwrap();
    assert!(came.status.success() && came.stdout == sent, "{} bytes of {}", came.stdout.len(), sent.len());
    // A command that reads nothing ends all the same.
    assert_eq!(ssh("true").code, 0);
    let nobody = home.run(&["--local", "ssh", "i-0123456789abcdef0", "--", "true"]);
    assert!(nobody.code != 0 && nobody.err.contains("i-0123456789abcdef0"), "{}", nobody.err);
    let stopped = home.run(&["--local", "stop", "instances", &id, "--yes"]);
    assert_eq!(stopped.code, 0, "{}", stopped.err);
    let ran = ssh("true");
    assert!(ran.code == 1 && (ran.err.contains("stop")), "{}", ran.err);
}

#[test]
fn a_login_is_a_terminal_and_gives_this_one_back() {
    let (home, _served, id) = instance();
    let refused = home.run(&["--local", "ssh", &id]);
    assert!(refused.code == 3 && refused.err.contains("needs a terminal"), "{}", refused.err);
    let mut term = Terminal::start(&home, (80, 24), &["--local", "ssh", &id]);
    term.shows(&["$ "]);
    term.press("stty size; echo $TERM\r").shows(&["24 80", "xterm-256color"]);
    term.resize((100, 30));
    term.press("stty size\r").shows(&["30 100"]);
    term.press("exit 3\r");
    assert_eq!(term.ends(std::time::Duration::from_secs(20)), 3);
    term.is_restored();
}

#[test]
fn a_changed_host_key_is_forgotten_only_by_its_own_command() {
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let (home, _served, id) = instance();
    let ssh = |flags: &[&str]| home.run(&[&["--local", "ssh", &id], flags, &["--", "true"]].concat());
    assert_eq!(ssh(&[]).code, 0);
    let file = home.path(".local/state/footplate/host-keys.json");
    let mut pins: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let right = pins["pins"][0]["key"].as_str().expect("a key").to_owned();
    pins["pins"][0]["key"] = OTHER.into();
    let change = || std::fs::write(&file, pins.to_string()).unwrap();
    let is_pinned = |key: &str| std::fs::read_to_string(&file).unwrap().contains(key);
    change();
    let changed = ssh(&[]);
    let command = format!("footplate ssh {id} --forget-host-key");
    assert!(changed.code == 3 && changed.err.contains("HAS CHANGED") && changed.err.contains(&command), "{}", changed.err);
    let offered = changed.err.lines().find(|line| line.starts_with("offered: ")).unwrap().split(' ').next_back().unwrap();
    // Neither flag does it by itself, nor another fingerprint.
    assert!(ssh(&["--accept-host-key", offered]).code == 3 && is_pinned(OTHER));
    let unsure = ssh(&["--forget-host-key"]);
    assert!(unsure.code == 3 && unsure.err.contains("--yes") && is_pinned(OTHER), "{}", unsure.err);
    assert!(ssh(&["--forget-host-key", "--accept-host-key", "SHA256:abc"]).code == 3 && is_pinned(OTHER));
    let renewed = ssh(&["--forget-host-key", "--accept-host-key", offered]);
    assert!(renewed.code == 0 && is_pinned(&right) && !is_pinned(OTHER), "{}", renewed.err);
    change();
    let forgotten = home.run(&["--local", "ssh", &id, "--forget-host-key", "--yes"]);
    assert!(forgotten.code == 0 && !is_pinned(OTHER), "{}", forgotten.err);
    assert!(ssh(&[]).code == 0 && is_pinned(&right));
}
