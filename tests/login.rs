//! `footplate ssh` and `footplate cp` against the local region's instances: logins, streams, exit codes, files both ways, and
//! what is told when there is no way. And the cockpit's terminals on them, with what networks and people do to them.

mod binary;
#[path = "common/skip.rs"]
mod skip;
mod terminal;
#[path = "login/way.rs"]
mod way;

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use binary::{Home, Served};
use terminal::Terminal;
use way::Way;

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
    assert_eq!(term.ends(), 3);
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
    let command = format!("footplate --local ssh {id} --forget-host-key");
    assert!(changed.code == 3 && changed.err.contains("HAS CHANGED") && changed.err.contains(&command), "{}", changed.err);
    let offered = changed.err.lines().find(|line| line.starts_with("offered: ")).unwrap().split(' ').next_back().unwrap();
    // Neither flag does it by itself, nor another fingerprint.
    assert!(ssh(&["--accept-host-key", offered]).code == 3 && is_pinned(OTHER));
    let unsure = ssh(&["--forget-host-key"]);
    assert!(unsure.code == 3 && unsure.err.contains("--yes") && is_pinned(OTHER), "{}", unsure.err);
    ssh(&["--accept-host-key", "SHA256:abc"]).expect(2, &["must be a fingerprint"]);
    let another = format!("SHA256:{}", "a".repeat(43));
    assert!(ssh(&["--forget-host-key", "--accept-host-key", &another]).code == 3 && is_pinned(OTHER));
    let renewed = ssh(&["--forget-host-key", "--accept-host-key", offered]);
    assert!(renewed.code == 0 && is_pinned(&right) && !is_pinned(OTHER), "{}", renewed.err);
    change();
    let forgotten = home.run(&["--local", "ssh", &id, "--forget-host-key", "--yes"]);
    assert!(forgotten.code == 0 && !is_pinned(OTHER), "{}", forgotten.err);
    assert!(ssh(&[]).code == 0 && is_pinned(&right));
}

#[test]
fn a_command_whose_connection_is_lost_ends_with_255() {
    let (home, _served, id) = instance();
    let mut command = home.prepare(env!("CARGO_BIN_EXE_footplate"));
    command.args(["--local", "ssh", &id, "--", "echo begun; sleep 300"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let mut first = [0; 6];
    std::io::Read::read_exact(running.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert_eq!(&first, b"begun\n");
    home.run(&["--local", "reboot", "instances", &id, "--yes"]).expect(0, &[]);
    let ended = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!((ended.status.code(), said.contains("connection")), (Some(255), true), "{said}");
}

#[test]
fn a_command_that_nobody_reads_ends_when_it_is_told_to() {
    let (home, _served, id) = instance();
    let mut running = home.command(&["--local", "ssh", &id, "--", "yes"]).stdout(Stdio::piped()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_mins(1);
    // The pipe takes no more, or hardly.
    while rustix::io::ioctl_fionread(running.stdout.as_ref().unwrap()).unwrap() < 60_000 {
        assert!(Instant::now() < patience, "it says nothing");
        std::thread::yield_now();
    }
    assert!(std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap().success());
    while running.try_wait().unwrap().is_none() {
        if Instant::now() > patience {
            running.kill().unwrap();
            panic!("it waits for who reads no more");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(running.wait().unwrap().code(), Some(130));
}

fn noise(bytes: u32) -> Vec<u8> {
    (0..bytes).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1]).collect()
}

#[test]
fn files_are_copied_both_ways_and_only_what_is_new() {
    let (home, _served, id) = instance();
    let cp = |args: &[&str]| home.run(&[&["--local", "cp"], args].concat());
    let there = |path: &str| format!("{id}:{path}");
    home.write("data/deep/model", noise(3_000_000));
    home.write("data/run.sh", "#!/bin/sh\necho it runs\n");
    std::process::Command::new("chmod").args(["+x"]).arg(home.path("data/run.sh")).status().unwrap();
    home.write("notes.txt", "notes");
    let sent = cp(&["data", "notes.txt", &there("~/work/")]);
    assert_eq!((sent.code, sent.out.as_str(), sent.err.as_str()), (0, "copied 3 files (3.0 MB)\n", ""), "no progress in a pipe");
    let ran = home.run(&["--local", "ssh", &id, "--", "./work/data/run.sh && cat work/notes.txt"]);
    assert_eq!(ran.out, "it runs\nnotes", "{}", ran.err);
    let again = cp(&["-r", "data", "notes.txt", &there("work"), "--json"]);
    let told: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!((&told["copied"], &told["unchanged"], &told["to"]), (&0.into(), &3.into(), &"work".into()), "{told}");
    cp(&[&there("work/data/"), "back"]).expect(0, &["copied 2 files"]);
    assert_eq!(std::fs::read(home.path("back/deep/model")).unwrap(), noise(3_000_000));
    cp(&[&there("work/notes.txt"), "other.txt"]).expect(0, &["copied 1 file (5 B)"]);
    assert_eq!(std::fs::read_to_string(home.path("other.txt")).unwrap(), "notes");
    // What a name would do here is judged before it is written, and the rest comes.
    let odd = "mkdir odd && touch odd/fine \"odd/$(printf 'a\\033[2Jb')\"";
    home.run(&["--local", "ssh", &id, "--", odd]).expect(0, &[]);
    let parts = ["left out 1 for its name: odd/a␛[2Jb has a control character", "all else is there: copied 1 file", "rename"];
    cp(&[&there("odd"), "."]).expect(1, &parts);
    assert_eq!(std::fs::read_dir(home.path("odd")).unwrap().count(), 1);
    // All of it is told where there is more than a sentence holds, and to scripts always.
    let more = "cd odd && ln -s /etc link && for n in 1 2 3 4 5; do touch \"$(printf \"n\\007$n\")\"; done";
    home.run(&["--local", "ssh", &id, "--", more]).expect(0, &[]);
    let many = cp(&[&there("odd"), "."]);
    many.expect(1, &["left out 6 for their names", "and 2 more", "cp --json with the same names tells every one"]);
    assert_eq!(many.err.matches("left out: odd/").count(), 6, "{}", many.err);
    let many = cp(&["--json", &there("odd"), "."]);
    let told: serde_json::Value = serde_json::from_str(&many.out).unwrap();
    assert_eq!(
        (many.code, &told["complete"], &told["copied"], &told["unchanged"]),
        (1, &false.into(), &0.into(), &1.into()),
        "{told}"
    );
    let left: Vec<_> =
        told["left_out"].as_array().unwrap().iter().map(|one| (one["path"].as_str(), one["reason"].as_str())).collect();
    assert_eq!(left.len(), 7, "{told}");
    assert!(left.contains(&(Some("odd/n␇5"), Some("has a control character"))), "{told}");
    assert!(left.contains(&(Some("odd/link"), Some("is a link or a device"))), "{told}");
    let none = cp(&["--json", &there("none"), "."]);
    assert!(none.code == 1 && none.out.is_empty() && none.err.contains("there is no none"), "{} {}", none.out, none.err);
    cp(&[&there("odd"), "notes.txt"]).expect(2, &["notes.txt here is a file, and odd on the instance is a folder"]);
    cp(&["data", &there("work/notes.txt")]).expect(2, &["work/notes.txt on the instance is a file, and data here is a folder"]);
    home.run(&["--local", "ssh", &id, "--", "mkfifo pipe"]).expect(0, &[]);
    cp(&["notes.txt", &there("pipe")]).expect(2, &["pipe on the instance is neither a file nor a folder"]);
    cp(&[&there("none"), "."]).expect(1, &["there is no none on the instance"]);
    cp(&["none", &there("")]).expect(2, &["there is no none here"]);
    cp(&["notes.txt", &there("no/where")]).expect(1, &["there is no folder no on the instance", "end the target with /"]);
    cp(&["notes.txt", "other.txt"]).expect(2, &["neither side is on an instance", "INSTANCE:PATH"]);
    cp(&["notes.txt", "i-0123456789abcdef0:"]).expect(1, &["i-0123456789abcdef0"]);
    cp(&["--read-only", "notes.txt", &there("")]).expect(3, &["read-only"]);
    cp(&["--read-only", &there("work/notes.txt"), "."]).expect(0, &["there already"]);
}

#[test]
fn a_copy_shows_how_far_it_is_and_goes_on_where_ctrl_c_ended_it() {
    let (home, _served, id) = instance();
    let way = Way::before(&home, &id);
    let whole = noise(1_000_000).repeat(120);
    home.write("big", &whole);
    for (from, to) in [("big".to_owned(), format!("{id}:")), (format!("{id}:big"), "back".to_owned())] {
        let command = ["--local", "cp", &from, &to];
        // 120 MB take 15 seconds.
        way.set_narrow(true);
        let mut term = Terminal::start(&home, (80, 24), &command);
        term.until("a share, a rate and what is left", |screen| {
            screen.contains(" % · ") && screen.contains("/s · ") && screen.contains(" left · big")
        });
        term.press("\x03").shows(&["the copy was called off", "the same command again continues"]);
        assert_eq!(term.ends(), 1);
        way.set_narrow(false);
        let ran = home.run(&command);
        ran.expect(0, &["copied 1 file", "1 of them continued where it had broken off"]);
    }
    assert!(std::fs::read(home.path("back")).unwrap() == whole);
    let ran = home.run(&["--local", "ssh", &id, "--", "ls"]);
    assert_eq!(ran.out, "big\n", "no part is left: {}", ran.err);
}

/// Runs a script in a mount namespace of its own, where `$DISK` is a disk of 2 MB, `it` is an instance of a region that is in
/// there as well, and `$FOOTPLATE` the program. `None` where this system lets nobody mount a disk.
fn with_small_disk(home: &Home, script: &str) -> Option<binary::Ran> {
    let disk = home.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = "mount -t tmpfs -o mode=700,size=2m tmpfs $DISK";
    let unshare = |script: &str| {
        let mut command = home.prepare("timeout");
        // As root itself: its instances are to have their usual port.
        command.args(["90", "unshare", "--mount", "sh", "-c", script]);
        binary::finish(command.env("FOOTPLATE", env!("CARGO_BIN_EXE_footplate")).env("DISK", &disk))
    };
    let tried = unshare(mount);
    if tried.code != 0 {
        skip::skipped(&format!("this system lets nobody mount a small disk: {}", tried.err.trim()));
        return None;
    }
    Some(unshare(&format!(
        r#"{mount} && {{ "$FOOTPLATE" local serve > served & served=$!
        until [ -s served ]; do sleep 0.05; done
        "$FOOTPLATE" --local instance --yes --wait --set instance_type=t3.medium --set name=it
        {script}; kill $served; wait $served; true; }}"#
    )))
}

#[test]
fn a_full_disk_there_is_told_and_leaves_no_part() {
    let home = Home::new();
    home.write("big", vec![7; 6_000_000]);
    home.write("small", "small");
    let script = r#""$FOOTPLATE" --local cp small it:$DISK/; "$FOOTPLATE" --local cp big it:$DISK/; echo "cp $?"; ls $DISK"#;
    let Some(ran) = with_small_disk(&home, script) else { return };
    ran.expect(0, &["its disk is full", "what is complete stays", "cp 1\nsmall\n"]);
}

#[test]
fn a_full_disk_here_is_told_and_the_copy_goes_on_once_there_is_room() {
    let home = Home::new();
    home.write("big", noise(6_000_000));
    home.write("small", "small");
    let script = r#"cp="$FOOTPLATE --local cp"; $cp small big it:; $cp it:small $DISK/; $cp it:big $DISK/; echo "cp $?"
        ls $DISK | sed 's/[0-9a-f]*-[0-9a-f]*/STATE/'; mount -o remount,size=20m $DISK
        $cp it:big $DISK/; echo "again $?"; cmp big $DISK/big; ls $DISK"#;
    let Some(ran) = with_small_disk(&home, script) else { return };
    let parts = ["the disk here is full: no room for", "disk/big.", "make room", "cp 1\nbig.STATE.part\nsmall\n"];
    ran.expect(0, &parts);
    let again = "copied 1 file (";
    ran.expect(0, &[again, "1 of them continued where it had broken off", "again 0\nbig\nsmall\n"]);
}

#[test]
fn a_file_that_may_not_become_as_large_here_is_told_and_goes_on_once_it_may() {
    let (home, _served, id) = instance();
    home.write("big", noise(6_000_000));
    let (there, from) = (format!("{id}:"), format!("{id}:big"));
    home.run(&["--local", "cp", "big", &there]).expect(0, &[]);
    // In blocks of 512 bytes; without the signal that would end the program.
    let mut command = home.prepare("sh");
    let script = r#"trap "" XFSZ; ulimit -f 5000; exec "$FOOTPLATE" --local cp "$FROM" back"#;
    command.args(["-c", script]).env("FOOTPLATE", env!("CARGO_BIN_EXE_footplate")).env("FROM", &from);
    binary::finish(&mut command).expect(1, &["becomes larger than a file may be here", "ulimit -f", "is continued"]);
    let parts: Vec<_> = std::fs::read_dir(home.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_prefix() == Some("back".as_ref()) && path.extension() == Some("part".as_ref()))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    assert!(parts.len() == 1 && !parts[0].is_empty() && noise(6_000_000).starts_with(&parts[0]), "a beginning of it");
    home.run(&["--local", "cp", &from, "back"]).expect(0, &["1 of them continued where it had broken off"]);
    assert!(std::fs::read(home.path("back")).unwrap() == noise(6_000_000));
}

/// The leader, as the terminals here send it.
const LEADER: &str = "\x1d";

/// The cockpit with a terminal on the only instance, which has shown its prompt or what it showed before.
fn at_the_terminal(home: &Home, shows: &[&str]) -> Terminal {
    let mut term = Terminal::start(home, (120, 40), &["--local"]);
    term.shows(&["000000000000"]);
    term.press("4").shows(&["● running"]);
    term.press("s").shows(shows);
    term
}

/// Leaves the cockpit; what is in its terminals goes on.
fn leave(mut term: Terminal) {
    term.press(LEADER).press("l").shows(&["● running"]);
    term.press("q");
    yes(&mut term, "y: do it");
    assert_eq!(term.ends(), 0);
    term.is_restored();
}

/// Answers a question with yes, once it takes an answer: 300 ms after it came, so that no key typed ahead can.
fn yes(term: &mut Terminal, question: &str) {
    term.shows(&[question]);
    std::thread::sleep(Duration::from_millis(350));
    term.press("y");
}

#[test]
fn a_line_that_is_dead_and_says_nothing_is_noticed_and_taken_up_again() {
    if !skip::installed(&["tmux"], "tmux") {
        return;
    }
    let (home, _served, id) = instance();
    let way = Way::before(&home, &id);
    let mut term = at_the_terminal(&home, &["$ "]);
    // It goes on by itself when a file comes, and then repeats what is typed.
    let go = home.path("go");
    let program = format!("clear; n=0; until [ -e {} ]; do n=$((n+1)); sleep 0.02; done; echo went on in $$; cat", go.display());
    term.press("echo shell $$\r").until("its number", |screen| number_after(screen, "shell ").is_some());
    let shell = number_after(&term.screen(), "shell ").unwrap();
    term.press(&format!("{program}\r")).hides(&["echo shell"]);

    way.swallow();
    let begun = Instant::now();
    term.press("typed into ");
    let screen = term.shows(&["lost, reconnecting"]);
    assert!(begun.elapsed() <= Duration::from_secs(20), "noticed after {:?}", begun.elapsed());
    assert!(screen.contains("not sent: typed into"), "{screen}");
    term.press("the void\r").shows(&["not sent: typed into the void"]);
    term.shows(&["reconnecting (2)"]);
    std::fs::write(&go, "").unwrap();
    way.mend();

    let screen = term.shows(&["went on in", "not sent: typed into the void", "s sends it"]);
    assert_eq!(number_after(&screen, "went on in ").as_ref(), Some(&shell), "{screen}");
    term.press(LEADER).press("s");
    // Once as it is typed and once as cat has it.
    term.until("what was unsent, sent", |screen| {
        screen.matches("typed into the void").count() == 2 && !screen.contains("not sent")
    });
    leave(term);
}

/// The digits behind these words, at the beginning of a line.
fn number_after(screen: &str, words: &str) -> Option<String> {
    let rest = screen.lines().find_map(|line| line.strip_prefix(words))?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!number.is_empty()).then_some(number)
}

#[test]
fn all_terminals_come_back_and_a_second_cockpit_leaves_them_alone() {
    if !skip::installed(&["tmux"], "tmux") {
        return;
    }
    let (home, _served, id) = instance();
    let way = Way::before(&home, &id);
    let mut term = at_the_terminal(&home, &["$ "]);
    for (at, word) in ["first", "second", "third"].into_iter().enumerate() {
        if at > 0 {
            term.press(LEADER).press("n").until("another one", |screen| screen.contains(&format!(" {} ●", at + 1)));
            term.shows(&["$ "]);
        }
        term.press(&format!("clear; echo this is the {word}; cat\r"))
            .until("it", |screen| screen.contains(&format!("this is the {word}")) && !screen.contains("echo"));
    }
    leave(term);

    let mut term = at_the_terminal(&home, &["3 terminals went on without you", "this is the first"]);
    for (key, word) in [("2", "second"), ("3", "third"), ("1", "first")] {
        term.press(LEADER).press(key).shows(&[&format!("this is the {word}")]);
        term.press(&format!("{word} hears\r"));
        term.until("an echo", |screen| screen.matches(&format!("{word} hears")).count() == 2);
    }
    // Another cockpit on the same instance gets one of its own, and theirs stay theirs.
    let mut other = at_the_terminal(&home, &["$ "]);
    assert!(!other.screen().contains("went on without you"), "{}", other.screen());
    other.press("clear; echo this is the fourth; cat\r").shows(&["this is the fourth"]);
    term.press("still\r").until("an echo", |screen| screen.matches("still").count() == 2);
    assert!(!term.screen().contains("ended"), "{}", term.screen());
    leave(other);

    // A machine that is gone without a word: on the instance it seems that somebody looks at them still.
    way.swallow();
    term.signal("SIGKILL");
    assert!(term.ends_somehow().is_err());
    drop(term);
    way.mend();
    let deadline = Instant::now() + 2 * terminal::PATIENCE;
    let format = "tmux -L footplate list-sessions -F '#{session_attached} #{@footplate-seen}'; cut -d. -f1 /proc/uptime";
    loop {
        let told = home.run(&["--local", "ssh", &id, "--", format]).out;
        let numbers: Vec<u64> = told.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [1, first, 1, second, 1, third, 0, _, now] = numbers[..] else { panic!("{told}") };
        if [first, second, third].iter().all(|seen| seen + 36 <= now) {
            break;
        }
        assert!(Instant::now() < deadline, "they are still looked at: {told}");
    }
    let term = at_the_terminal(&home, &["4 terminals went on without you", "this is the first"]);
    leave(term);
}

#[test]
fn an_instance_that_stops_ends_its_terminals_and_nothing_else() {
    let (home, _served, id) = instance();
    let mut term = at_the_terminal(&home, &["$ "]);
    let stopped = home.run(&["--local", "stop", "instances", &id, "--yes"]);
    assert_eq!(stopped.code, 0, "{}", stopped.err);
    term.shows(&[&format!("ended: {id} is stop"), "Esc goes back to the list"]);
    term.press(LEADER).press("l").shows(&["■ stopped"]);
    // A new one is not tried, and why is told.
    term.press("s").shows(&["is stopped"]);
    let started = home.run(&["--local", "start", "instances", &id, "--yes"]);
    assert_eq!(started.code, 0, "{}", started.err);
    term.shows(&["● running"]);
    term.press("s").shows(&["$ "]);
    term.press("exit\r").shows(&["ended: exit 0"]);
    term.press(LEADER).press("lq");
    assert_eq!(term.ends(), 0);
    term.is_restored();
}

#[test]
fn a_megabyte_pasted_arrives_and_a_storm_of_sizes_ends_with_the_last() {
    use sha2::Digest;
    let (home, _served, _) = instance();
    let mut term = at_the_terminal(&home, &["$ "]);
    let (came, there) = (home.path("came"), home.path("there"));
    // Lines that a terminal takes, as many as make a megabyte.
    let line = |number: usize| format!("{number:08} {}\n", "abcdefghijklmnopqrstuvwxyz ".repeat(4).trim_end());
    let text: String = (0..).map(line).take(9_000).collect();
    assert!(text.len() > 1_000_000);
    let program = format!("stty -echo; clear; echo gives; cat > {}; echo has all; mv {0} {}", came.display(), there.display());
    term.press(&format!("{program}\r")).until("it", |screen| screen.contains("gives") && !screen.contains("echo"));
    term.press(&format!("\x1b[200~{text}\x1b[201~")).shows(&["Paste into", "9000 lines"]);
    yes(&mut term, "y: paste");
    term.shows(&["pasting"]);
    term.hides(&["pasting"]);
    term.press("\x04").shows(&["has all"]);
    let deadline = Instant::now() + terminal::PATIENCE;
    while !there.exists() {
        assert!(Instant::now() < deadline, "nothing came");
        std::thread::yield_now();
    }
    let arrived = std::fs::read(&there).unwrap();
    let hash = |bytes: &[u8]| hex::encode(sha2::Sha256::digest(bytes));
    assert_eq!((arrived.len(), hash(&arrived)), (text.len(), hash(text.as_bytes())));

    term.press("stty echo; clear\r").shows(&["$ "]);
    for round in 0..60_u16 {
        term.resize((40 + round * 7 % 90, 8 + round * 5 % 40));
    }
    term.resize((100, 30));
    // A line for the tabs and one for the keys. What is typed may come there before the last size.
    term.press("until [ \"$(stty size)\" = '28 100' ]; do sleep 0.05; done; stty size\r");
    term.until("the last size", |screen| screen.lines().any(|line| line.trim_end() == "28 100"));
    leave(term);
}
