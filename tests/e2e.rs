//! The built program in a pseudo-terminal, as a user has it: keys go in, a screen comes out, and nothing is left behind.

mod binary;
mod terminal;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use binary::{Home, Served};
use portable_pty::CommandBuilder;
use terminal::{Judge, Terminal, take_turn};

const SIZE: (u16, u16) = (120, 40);
const LOCAL: [&str; 3] = ["--local", "--project", "."];
const CTRL_S: &str = "\x13";
const CTRL_Z: &str = "\x1a";
/// Esc as terminals with the kitty keyboard protocol send it: with whatever key follows it stays Esc and that key, where a
/// plain one that is still unread becomes Alt and that key.
const ESC: &str = "\x1b[27u";

/// The example project with so many epochs.
fn example(home: &Home, epochs: u32) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits");
    for file in ["code/train.py", "code/images.py", "digits.zip"] {
        home.write(file, fs::read(from.join(file)).unwrap());
    }
    let project = fs::read_to_string(from.join("footplate.toml")).unwrap();
    assert!(project.contains("epochs = 60"));
    home.write("footplate.toml", project.replace("epochs = 60", &format!("epochs = {epochs}")));
}

/// The cockpit on the local region, with its first answer on the screen.
fn cockpit(home: &Home, size: (u16, u16)) -> Terminal {
    let term = Terminal::start(home, size, &LOCAL);
    term.shows(&["local region", "000000000000"]);
    term
}

/// Opens the form, waits for the preview, and launches.
fn launch(term: &mut Terminal) {
    term.press("n").shows(&["Launch a training job", "\"TrainingJobName\""]);
    term.press(CTRL_S).shows(&["launched"]);
}

/// Answers a question with yes, once the dialog takes an answer: 300 ms after it came, so that no key typed ahead can.
fn yes(term: &mut Terminal) {
    let begun = Instant::now();
    term.shows(&["y: do it"]);
    term.press("y").shows(&["y: do it"]);
    std::thread::sleep(Duration::from_millis(350).saturating_sub(begun.elapsed()));
    term.press("y");
}

/// Presses Esc until the screen shows this.
fn back(term: &mut Terminal, to: &str) {
    for _ in 0..6 {
        let before = term.screen();
        if before.contains(to) {
            return;
        }
        term.press(ESC).until("an answer", |screen| screen != before);
    }
    term.shows(&[to]);
}

/// The terminal is given back and the program gone, with success.
#[track_caller]
fn is_over(term: &mut Terminal) {
    ends_with(term, &Ok(0));
}

/// The terminal is given back and the program gone, with this code or by this signal.
#[track_caller]
fn ends_with(term: &mut Terminal, how: &Result<u32, String>) {
    assert_eq!(term.ends_somehow(), *how, "{}", term.screen());
    term.is_restored();
    assert_eq!(Judge::of(&term.bytes()).wrong, Vec::<String>::new());
}

/// A script that writes `line` and then waits to be stopped.
fn waiting(line: &str) -> String {
    format!("print({line:?}, flush=True)\nwhile True: time.sleep(0.05)")
}

#[test]
fn from_the_first_key_to_coming_back() {
    let home = Home::new();
    example(&home, 60);
    let mut term = cockpit(&home, SIZE);
    term.shows(&["No training jobs yet", "n launch"]);
    launch(&mut term);
    let screen = term.shows(&["● Training", "epoch 2/60 train_loss=", "┤"]);
    let braille = |screen: &str| screen.chars().any(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
    assert!(braille(&screen), "no curve in\n{screen}");
    term.press("x").shows(&["Stop digits-", "on the local region"]);
    yes(&mut term);
    term.shows(&["■ Stopped", "SIGTERM in epoch", "nothing running"]);

    // A clone with another learning rate, and another beside it.
    term.press("c").shows(&["Clone digits-", "learning-rate = 0.05", "\"TrainingJobName\""]);
    term.press(&"\t".repeat(7)).press("\x1b[A\x1b[F").press("\x7f\x7f\x7f\x7f0.01");
    term.shows(&["learning-rate = 0.01", "\"learning-rate\": \"0.01\""]);
    term.press(CTRL_S).shows(&["1 running"]);
    launch(&mut term);
    term.until("two at work", |screen| screen.matches("● Training ").count() >= 2 && screen.contains("2 running"));
    term.press("j").shows(&["learning-rate  0.01", "epoch 1/60 train_loss="]);

    term.press("q").shows(&["Quit?", "2 training jobs run in this local region"]);
    yes(&mut term);
    is_over(&mut term);
    assert!(term.screen().contains("Ending what runs"), "{}", term.screen());
    home.nothing_runs();

    let mut term = cockpit(&home, SIZE);
    term.until("all three", |screen| screen.matches("digits-20").count() >= 3 && screen.contains("Training 3"));
    term.shows(&["nothing running"]);
    // The log of the first, which was stopped.
    term.press("G").shows(&["■ Stopped", "SIGTERM in epoch"]);
    term.press("q");
    is_over(&mut term);
}

#[test]
fn the_terminal_is_given_back_on_every_way_out() {
    let home = Home::new();
    home.project(&waiting("here"));
    let mut term = cockpit(&home, SIZE);
    term.is_taken();
    term.press("q");
    is_over(&mut term);
    // Its end tells of the signal, in the words of strsignal(3).
    for (signal, word) in [("SIGTERM", "Terminated"), ("SIGINT", "Interrupt"), ("SIGHUP", "Hangup"), ("SIGQUIT", "Quit")] {
        let mut term = cockpit(&home, SIZE);
        launch(&mut term);
        term.shows(&["here"]);
        // Nobody is asked, jobs or not.
        term.signal(signal);
        ends_with(&mut term, &Err(word.to_owned()));
        home.nothing_runs();
    }
}

/// The terminal goes away, and the program with it: soon, without spinning, and nothing is left.
#[track_caller]
fn ends_when_lost(mut term: Terminal, home: &Home) {
    let pid = term.pid();
    let before = processor_time(pid).0;
    term.hang_up();
    let begun = Instant::now();
    let used = loop {
        let (used, state) = processor_time(pid);
        if state == 'Z' {
            break used.saturating_sub(before);
        }
        assert!(begun.elapsed() < terminal::PATIENCE, "still there");
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(used < Duration::from_millis(600), "{used:?} of processor time");
    assert_eq!(term.ends_somehow(), Err("Hangup".to_owned()));
    home.nothing_runs();
}

#[test]
fn a_lost_terminal_ends_it_at_once() {
    let home = Home::new();
    home.project(&waiting("here"));
    let mut term = cockpit(&home, SIZE);
    launch(&mut term);
    term.shows(&["here"]);
    ends_when_lost(term, &home);
}

#[test]
fn a_terminal_lost_while_it_works_ends_it() {
    let home = Home::new();
    home.project("n = 0\nwhile True:\n    n += 1\n    print('loss=0.%d, a line of a log like any other' % n, flush=n % 100 == 0)\n    if n % 100 == 0: time.sleep(0.01)");
    let mut term = cockpit(&home, SIZE);
    launch(&mut term);
    term.shows(&["a line of a log like any other"]);
    term.press("l").shows(&["following"]);
    ends_when_lost(term, &home);
}

#[test]
fn a_terminal_lost_while_it_takes_nothing_ends_it() {
    let home = Home::new();
    home.project(&waiting("here"));
    let mut term = cockpit(&home, SIZE);
    launch(&mut term);
    term.shows(&["here"]);
    term.stall();
    for _ in 0..40 {
        term.press("?\x1b[Z\x1b");
        std::thread::sleep(Duration::from_millis(2));
    }
    ends_when_lost(term, &home);
}

#[test]
fn a_terminal_lost_while_it_is_stopped_ends_it() {
    let home = Home::new();
    home.project(&waiting("here"));
    let mut term = cockpit(&home, SIZE);
    launch(&mut term);
    term.shows(&["here"]);
    term.signal("SIGSTOP");
    term.is_in_state('T');
    // Plain again, as a shell leaves it: what is typed comes back.
    term.make_sane();
    ends_when_lost(term, &home);
}

/// What the process has used of the processor, and its state, from proc(5).
fn processor_time(pid: i32) -> (Duration, char) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // Ticks of 10 ms on every Linux that there is.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    (Duration::from_millis(ticks * 10), fields[0].chars().next().unwrap())
}

#[test]
fn ctrl_z_goes_back_to_the_shell_and_fg_returns() {
    let home = Home::new();
    home.project(&waiting("here"));
    let mut command = CommandBuilder::new("bash");
    let script =
        format!("set -m; {} --local; echo in-the-shell; read -r line; fg; echo out-again", env!("CARGO_BIN_EXE_footplate"));
    command.args(["--norc", "-c", &script]);
    command.env_clear();
    command.cwd(home.root());
    command.env("HOME", home.root());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("TERM", "xterm-256color");
    let mut term = Terminal::run(command, SIZE);
    term.shows(&["local region", "000000000000"]);
    launch(&mut term);
    term.shows(&["here"]);
    term.press(CTRL_Z).shows(&["in-the-shell"]);
    let judge = Judge::of(&term.bytes());
    assert!(judge.modes.is_empty(), "{:?}", judge.modes);
    term.press("\n").shows(&["local region", "● Training", "here"]);
    term.is_taken();
    // Once: what the shell does and our own return are one.
    term.rests(Duration::from_millis(100));
    let text = String::from_utf8(term.bytes()).unwrap();
    assert_eq!(text.matches("\x1b[?1049h").count(), 2);
    term.press("q").shows(&["Quit?"]);
    yes(&mut term);
    is_over(&mut term);
    assert!(term.screen().contains("out-again"));
}

#[test]
fn stopped_and_continued_from_outside_it_takes_the_terminal_anew() {
    let home = Home::new();
    let mut term = cockpit(&home, SIZE);
    term.signal("SIGSTOP");
    term.is_in_state('T');
    // As a shell does when it finds its job stopped.
    term.make_sane();
    let before = term.bytes().len();
    term.signal("SIGCONT");
    let deadline = Instant::now() + terminal::PATIENCE;
    while !String::from_utf8_lossy(&term.bytes()[before..]).contains("nothing running") {
        assert!(Instant::now() < deadline, "not drawn anew");
        std::thread::sleep(Duration::from_millis(5));
    }
    term.is_taken();
    // Raw again: a key counts without Enter.
    term.press("?").shows(&["find an action by name"]);
    term.press("\x1b").hides(&["find an action by name"]);
    term.press("q");
    is_over(&mut term);
}

#[test]
fn a_terminal_that_takes_nothing_does_not_keep_it() {
    let home = Home::new();
    let mut term = cockpit(&home, SIZE);
    term.stall();
    for _ in 0..40 {
        term.press("?\x1b[Z\x1b");
        std::thread::sleep(Duration::from_millis(2));
    }
    term.signal("SIGTERM");
    assert_eq!(term.ends_somehow(), Err("Terminated".to_owned()));
    assert!(!term.is_raw(), "the settings are given back even so");
}

#[test]
fn nothing_but_what_is_on_the_list_reaches_the_terminal() {
    let home = Home::new();
    home.project(
        r"
hostile = b'\x1b[2J\x1b[1;1Hhome \x1b]52;c;aGk=\x07 \x1b]0;title\x1b\\ \x1bP1$tx\x1b\\ \x1b[6n \x9b31m \x9d52;c;x\x07 \xff\xfe\x80 \x07\x08\x0b\x0c\x00\x7f\x0e'
hostile += '\u202eevil\u202c \u2066x\u2069 \u200bz \ufeff \U000e0041 \u009b31m \u2028 \u00ad'.encode() + b' a' + '\u0301'.encode() * 500
for n in range(20):
    os.write(1, hostile + b' loss=0.%d\r\n' % n)
    os.write(2, b'\r50%|' + hostile + b'\r100%')
os.write(1, b'\nloss=9 last line\n')
while not os.path.exists(os.environ['GATE']): time.sleep(0.02)
os.write(2, hostile + b'\n')
raise ValueError(hostile.decode('latin-1') + ' \u202e\u200b the end')
",
    );
    let gate = home.path("gate");
    let project = fs::read_to_string(home.path("footplate.toml")).unwrap();
    let project = project.replace("lr = 0.5", &format!("lr = 0.5\n\n[training.environment]\nGATE = \"{}\"", gate.display()));
    home.write("footplate.toml", project);
    // A file whose name is no better becomes an object.
    home.write("data/\x1b[2Jred\u{202e}x\u{9b}31m.txt", "x");
    let mut term = cockpit(&home, SIZE);
    launch(&mut term);
    term.shows(&["● Training", "last line", "<U+202E>"]);
    // Every place that shows it: over the whole screen, searched, wrapped; objects; then the failure and a clone of it all.
    term.press("l").shows(&["last line", "w wrap"]);
    term.press("/\u{202e}evil\r").press("wwh");
    back(&mut term, "STARTED");
    let mut tabs = footplate::resource::ALL.iter().map(|it| it.spec()).filter(|spec| spec.within.is_none());
    let data = tabs.position(|spec| spec.id == "data").unwrap() + 1;
    term.press(&data.to_string()).shows(&["sagemaker-us-east-1"]);
    term.press("\r").shows(&["tiny/"]);
    term.press("\r").press("1").shows(&["● Training"]);
    fs::write(&gate, "").unwrap();
    term.shows(&["✗ Failed"]);
    term.press("\r").shows(&["ExecuteUserScriptError"]);
    back(&mut term, "STARTED");
    term.press("c").shows(&["Clone tiny-", "TrainingJobName"]);
    term.press("\t\t").press("\x1b[200~\x1b[2J\u{202e}pasted\x1b[201~").press("\x1b").hides(&["Clone tiny-"]);
    term.press("y").shows(&["opied"]);
    term.press("/").shows(&["filter "]);
    term.press("\u{202e}\x07x").shows(&["Nothing here has"]);
    term.press("\r");
    term.press("\x1b").hides(&["Nothing here has"]);
    term.press("q");
    is_over(&mut term);
    let judge = Judge::of(&term.bytes());
    let [copied] = judge.clipboard.as_slice() else { panic!("{:?}", judge.clipboard) };
    assert!(copied.starts_with("dGlueS"), "the name, which begins with tiny");
}

#[test]
fn the_judge_lets_nothing_else_pass() {
    for bad in [
        "\x1b]0;t\x07",
        "\x1b[6n",
        "\x1b[?1000h",
        "\x1b(0",
        "\x1bc",
        "\x1b[3;1",
        "\x07",
        "\u{9b}1m",
        "\u{202e}",
        "\x1b[?1049h\n",
        "\x1b]52;c;?\x07",
        "\x1bP1$tx\x1b\\",
    ] {
        assert!(!Judge::of(bad.as_bytes()).wrong.is_empty(), "{bad:?}");
    }
    assert!(!Judge::of(b"ok\xff\xff\xff\xff").wrong.is_empty());
    assert!(Judge::of("\x1b[?2026h\x1b[1;2Hä█\x1b[0m\x1b[2J\x1b[?2026l".as_bytes()).wrong.is_empty());
    assert!(Judge::of(b"\x1b[?1049h\x1b[?25l").modes.len() == 2);
}

#[test]
fn any_size_will_do() {
    let home = Home::new();
    home.project(&waiting("here"));
    let mut term = Terminal::start(&home, (1, 1), &LOCAL);
    term.shows(&["…"]);
    term.resize(SIZE);
    term.shows(&["local region", "000000000000"]);
    launch(&mut term);
    term.shows(&["here"]);
    for round in [&["?", ESC, "+", "_", "L"][..], &["\t", "x"]] {
        for n in 0..150_u16 {
            term.resize((1 + n * 37 % 200, 1 + n * 13 % 60));
            if n % 5 == 0 {
                term.press(round[usize::from(n / 5) % round.len()]);
            }
        }
        term.resize((0, 0));
        term.resize((1000, 2));
        term.resize(SIZE);
        // From under whatever the keys have opened.
        term.press(&ESC.repeat(6));
        term.shows(&["local region", "● Training", "here"]);
        // The second time with a form over it all.
        term.press("n").shows(&["Launch a training job"]);
    }
    term.press(&ESC.repeat(6)).press("q").shows(&["Quit?"]);
    yes(&mut term);
    is_over(&mut term);
    home.nothing_runs();
}

#[test]
fn a_key_pressed_while_the_window_changes_counts_at_once() {
    let home = Home::new();
    let mut term = cockpit(&home, SIZE);
    for _ in 0..100 {
        term.resize((SIZE.0 - 1, SIZE.1));
        term.press("?").shows(&["find an action by name"]);
        term.resize(SIZE);
        term.press(ESC).until("the list", |screen| screen.contains("local region") && !screen.contains("find an action by name"));
    }
    term.shows(&["local region"]);
    term.press("q");
    is_over(&mut term);
}

#[test]
fn at_rest_it_writes_nothing() {
    take_turn();
    let home = Home::new();
    home.project("print('loss=0.5')");
    home.run(&["train", "--local", "--wait"]).expect(0, &["Completed"]);
    let term = cockpit(&home, SIZE);
    term.shows(&["✓ Completed", "loss=0.5"]);
    term.rests(Duration::from_secs(3));
}

#[test]
fn two_cockpits_share_a_region_and_the_second_tells_when_it_is_gone() {
    let home = Home::new();
    home.project(&waiting("here"));
    let mut first = cockpit(&home, SIZE);
    let mut second = cockpit(&home, SIZE);
    launch(&mut second);
    let name = |screen: String| {
        screen.split_whitespace().find(|word| word.starts_with("tiny-20") && !word.contains('…')).unwrap().to_owned()
    };
    let launched = name(second.shows(&["● Training", "here"]));
    assert_eq!(name(first.shows(&["● Training", "here", "1 running"])), launched);
    // Not the second's to end: it leaves without a question, and the job goes on.
    second.press("q");
    is_over(&mut second);
    let mut second = cockpit(&home, SIZE);
    second.shows(&["● Training", "here"]);

    first.press("q").shows(&["Quit?"]);
    yes(&mut first);
    is_over(&mut first);
    second.shows(&["no connection", "the local region is gone", "start `footplate local serve`", &launched]);
    second.press("q");
    is_over(&mut second);
    home.nothing_runs();
}

#[test]
fn a_job_in_a_served_region_outlives_the_cockpit() {
    take_turn();
    let home = Home::new();
    home.project(&waiting("here"));
    let (served, _) = Served::start(&home, &["local", "serve"]);
    let mut term = cockpit(&home, SIZE);
    launch(&mut term);
    term.shows(&["● Training", "here"]);
    term.press("q");
    is_over(&mut term);
    home.run(&["ls", "training-jobs", "--local"]).expect(0, &["Training"]);
    assert_eq!(served.end("-TERM"), 0);
    home.nothing_runs();
}

#[test]
fn a_recording_shows_the_same_screen_again() {
    let home = Home::new();
    home.project("for n in range(9): print('loss=0.%d' % (9 - n))");
    let mut term = Terminal::start(&home, SIZE, &["--local", "--record", "session.jsonl"]);
    term.shows(&["local region", "000000000000"]);
    launch(&mut term);
    term.shows(&["✓ Completed", "loss=0.1", "nothing running"]);
    // Messages go by themselves.
    term.hides(&["launched"]);
    term.rests(Duration::from_secs(1));
    let recorded = term.screen();
    term.press("q");
    is_over(&mut term);

    let mut term = Terminal::start(&home, SIZE, &["--replay", "session.jsonl"]);
    term.until("the same screen", |screen| screen == recorded);
    term.press("q");
    is_over(&mut term);

    let text = fs::read_to_string(home.path("session.jsonl")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[3] = "{\"at\":\"2026-11-22T14:03:00Z\",\"event\":\"Dance\"}";
    home.write("bad.jsonl", lines.join("\n"));
    home.run(&["--replay", "bad.jsonl"]).expect(2, &["line 4 of the recording is not an event", "--record"]);
    home.write("worse.jsonl", [text.lines().next().unwrap().as_bytes(), b"\n\xff\xfe\n"].concat());
    home.run(&["--replay", "worse.jsonl"]).expect(2, &["line 2 of the recording"]);
    home.write("empty.jsonl", "");
    home.run(&["--replay", "empty.jsonl"]).expect(2, &["line 1 of the recording", "empty"]);
    home.run(&["--replay", "none.jsonl"]).expect(1, &["none.jsonl", "--record"]);
    home.run(&["--local", "--record", "session.jsonl"]).expect(1, &["session.jsonl", "name a new file"]);
}
