//! Bad input, a bad script, a bad machine and a bad network, each tried on the built program: it says what is wrong and
//! what to do, ends with the right code, loses nothing and leaves nothing running.

mod binary;
#[path = "common/skip.rs"]
mod skip;
mod terminal;

use std::fs;
use std::sync::atomic::Ordering;

use binary::aws::{Refusing, credentials, no_secret_in, with_credentials};
use binary::{Home, finish};
use portable_pty::CommandBuilder;
use terminal::{Judge, Terminal};

/// A project whose launch with these settings is refused before anything is sent.
#[track_caller]
fn refused(set: &str, words: &[&str]) {
    let home = Home::new();
    home.project("");
    home.write("empty/.keep-out/x", "");
    fs::remove_dir_all(home.path("empty/.keep-out")).unwrap();
    let ran = home.run(&["train", "--local", "--wait", "--set", set]);
    ran.expect(2, &["nothing was sent"]);
    ran.expect(2, words);
    assert_eq!(home.run(&["ls", "training-jobs", "--local", "--json"]).out.trim(), "[]");
    assert_eq!(home.run(&["ls", "data", "--local", "--json"]).out.trim(), "[]");
    home.nothing_runs();
}

#[test]
fn an_unknown_instance_type_is_answered_with_one_that_exists() {
    refused("instance_type=ml.m5.huge", &["instance_type: ", "'ml.m5.huge'", "did you mean ml.m5."]);
}

#[test]
fn an_underscore_in_the_name_is_answered_with_a_name_that_works() {
    refused("name=dog_breeds", &["name: ", "not '_'", "try 'dog-breeds'"]);
}

#[test]
fn a_missing_script_is_told_with_where_it_was_looked_for() {
    refused("entry_point=none.py", &["entry_point: there is no script 'none.py' in", "/code", "relative to source_dir"]);
}

#[test]
fn a_missing_or_empty_data_folder_is_told() {
    refused("channels=train = nowhere", &["channel 'train'", "/nowhere", "check the path"]);
    refused("channels=train = empty", &["channel 'train'", "is empty", "put the data there"]);
}

#[test]
fn a_regex_that_does_not_compile_is_told() {
    refused("metrics=loss = ([0-9", &["metrics: the regex does not compile"]);
}

#[test]
fn a_regex_that_matches_nothing_costs_the_metric_and_not_the_run() {
    let home = Home::new();
    home.project("print('loss=0.5')");
    home.run(&["train", "--local", "--wait", "--set", "metrics=loss = perplexity=([0-9.]+)"])
        .expect(0, &["loss=0.5", "Completed", "model.tar.gz"]);
    // The place of the curve says why it is empty.
    let mut term = Terminal::start(&home, (120, 40), &["--local"]);
    term.shows(&["✓ Completed", "loss=0.5"]);
    term.press("\r").shows(&["no value of a metric was found"]);
    term.press("q").ends();
}

#[test]
fn bad_toml_is_told_with_its_line_and_the_cockpit_opens_all_the_same() {
    let home = Home::new();
    home.project("");
    home.write("footplate.toml", "[project]\nname = \"tiny\n[code]\n");
    home.run(&["train", "--local", "--wait"]).expect(2, &["footplate.toml", "line 2"]);
    let mut term = Terminal::start(&home, (120, 40), &["--local"]);
    term.shows(&["000000000000"]);
    term.press("n").shows(&["That did not work", "footplate.toml", "line 2"]);
    term.press("\x1b").hides(&["That did not work"]);
    // Mended meanwhile, it works without a new start.
    home.project("print('mended')");
    term.press("n").shows(&["Launch a training job", "TrainingJobName"]);
    term.press("\x13").shows(&["✓ Completed", "mended"]);
    term.press("q").ends();
    term.is_restored();
}

#[test]
fn a_script_that_ends_with_3_fails_with_3() {
    let home = Home::new();
    home.project("print('so far')\nsys.stderr.write('error: no such breed\\n')\nsys.exit(3)");
    let ran = home.run(&["train", "--local", "--wait"]);
    ran.expect(1, &["so far", "is Failed", "ExitCode 3", "error: no such breed"]);
    home.nothing_runs();
    home.run(&["ls", "training-jobs", "--local"]).expect(0, &["Failed"]);
}

#[test]
fn a_script_that_is_killed_says_so() {
    let home = Home::new();
    home.project("print('so far', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)");
    home.run(&["train", "--local", "--wait"]).expect(1, &["so far", "ExitCode 137", "signal 9"]);
    home.nothing_runs();
}

#[test]
fn a_line_of_100_megabytes_passes_in_little_memory() {
    let home = Home::new();
    home.project("for _ in range(100): os.write(1, b'x' * 1_000_000)\nos.write(1, b'\\nloss=0.5 the end\\n')");
    let output = home.command(&["train", "--local", "--wait"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let letters = output.stdout.split(|byte| *byte == b'x').count() - 1;
    assert!(letters >= 100_000_000, "only {letters} bytes of the line came");
    let text = String::from_utf8_lossy(&output.stdout[output.stdout.len() - 2000..]);
    assert!(text.contains("loss=0.5 the end") && text.contains("model.tar.gz"), "{text}");
    let most = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(most < 300_000, "{most} kB of memory");
    // The cockpit shows it, too, and is still quick.
    let mut term = Terminal::start(&home, (120, 40), &["--local"]);
    term.shows(&["✓ Completed", "the end", "xxxxxxxx"]);
    term.press("q").ends();
    assert_eq!(Judge::of(&term.bytes()).wrong, Vec::<String>::new());
    home.nothing_runs();
}

#[test]
fn what_a_script_prints_does_no_harm() {
    let home = Home::new();
    home.project(
        r"
hostile = b'\x1b[2J\x1b]52;c;aGk=\x07 \xff\xfe \x9b31m ' + '\u202e\u009b31m\u200b'.encode() + b' loss=0.25\n'
os.write(1, hostile)
raise ValueError(hostile.decode('latin-1') + ' the end')
",
    );
    // No escape sequences and valid UTF-8, looked for in all that comes.
    let ran = home.run(&["train", "--local", "--wait"]);
    ran.expect(1, &["␛[2J␛]52;c;aGk=␇", "<U+202E>", "loss=0.25", "the end"]);
    assert!(!ran.out.contains(['\u{202e}', '\u{9b}', '\u{200b}']) && !ran.err.contains(['\u{202e}', '\u{9b}', '\u{200b}']));
    let list = home.run(&["ls", "training-jobs", "--local", "--json"]);
    list.expect(0, &["Failed"]);
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let name = list[0]["id"].as_str().unwrap();
    let shown = home.run(&["show", "training-jobs", name, "--local"]);
    shown.expect(0, &["the end"]);
    assert!(!shown.out.contains(['\u{202e}', '\u{9b}', '\u{200b}']));
    home.run(&["logs", "training-jobs", name, "--local"]).expect(0, &["␛[2J"]);
}

/// Runs a shell script that finds the local region's folder on a disk of `size`, in a mount namespace of its own.
fn on_a_small_disk(home: &Home, size: &str, script: &str) -> Option<binary::Ran> {
    let folder = home.path(".local/share/footplate/local");
    fs::create_dir_all(&folder).unwrap();
    let mount = format!("mount -t tmpfs -o mode=700,size={size} tmpfs {}", folder.display());
    let unshare = |script: &str| {
        let mut command = home.prepare("timeout");
        command.args(["90", "unshare", "--map-root-user", "--mount", "sh", "-c", script]);
        command.env("FOOTPLATE", env!("CARGO_BIN_EXE_footplate"));
        finish(&mut command)
    };
    let tried = unshare(&mount);
    if tried.code != 0 {
        skip::skipped(&format!("this system lets nobody mount a small disk: {}", tried.err.trim()));
        return None;
    }
    Some(unshare(&format!("{mount} && {script}")))
}

#[test]
fn a_full_disk_of_the_local_region_is_told_and_what_is_there_stays() {
    let home = Home::new();
    home.project("open(os.path.join(os.environ['SM_MODEL_DIR'], 'big'), 'wb').write(os.urandom(1) * 64_000_000)");
    let script = r#""$FOOTPLATE" train --local --wait; echo "train $?"; "$FOOTPLATE" ls training-jobs --local; echo "ls $?""#;
    let Some(ran) = on_a_small_disk(&home, "12m", script) else { return };
    ran.expect(0, &["train 1", "is Failed", "disk", "full", "ls 0", "Failed"]);
    let Some(ran) = on_a_small_disk(&home, "64k", r#""$FOOTPLATE" train --local --wait; echo "train $?""#) else { return };
    ran.expect(0, &["train 1", "cannot be used", "disk is full", "Free some room"]);
    home.write("data/big.bin", vec![0; 30_000_000]);
    let script = r#""$FOOTPLATE" train --local --wait; echo "train $?"; "$FOOTPLATE" ls data --local; echo "ls $?""#;
    let Some(ran) = on_a_small_disk(&home, "6m", script) else { return };
    ran.expect(0, &["train 1", "disk of the local region is full", "ls 0"]);
    home.nothing_runs();
}

#[test]
fn a_full_disk_for_the_journal_stops_every_change() {
    let home = Home::new();
    home.project("print('hi')");
    let folder = home.path(".local/state/footplate");
    fs::create_dir_all(&folder).unwrap();
    let script = format!(
        r#"mount -t tmpfs -o mode=700,size=8k tmpfs {0} && head -c 8192 /dev/zero > {0}/filler; "$FOOTPLATE" train --local --wait; echo "train $?"; "$FOOTPLATE" ls training-jobs --local; echo "ls $?""#,
        folder.display()
    );
    let Some(ran) = on_a_small_disk(&home, "50m", &script) else { return };
    ran.expect(0, &["train 3", "journal", "ls 0"]);
    assert!(!ran.out.contains("Completed"), "{}", ran.out);
}

#[test]
fn expired_credentials_are_told_with_the_remedy() {
    let home = Home::new();
    home.project("");
    let aws = Refusing::start(400, "ExpiredTokenException");
    for args in [
        &["ls", "training-jobs"][..],
        &["train", "--yes"],
        &["logs", "training-jobs", "x"],
        &["stop", "training-jobs", "x", "--yes"],
    ] {
        let ran = finish(aws.lead(&mut home.command(args)));
        ran.expect(1, &["the AWS session has expired", "aws sso login"]);
    }
    finish(aws.lead(&mut home.command(&["doctor"]))).expect(1, &["FAIL  account", "expired", "aws sso login"]);
    let mut term = on_aws(&home, &aws);
    term.shows(&["The credentials have expired.", "aws sso login", "account unknown"]);
    term.press("q");
    assert_eq!(term.ends(), 0);
    term.is_restored();
    home.nothing_runs();
}

/// The cockpit on that AWS.
fn on_aws(home: &Home, aws: &Refusing) -> Terminal {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_footplate"));
    command.arg("--allow-loopback");
    command.env_clear();
    command.cwd(home.root());
    for (name, value) in credentials().into_iter().chain([("AWS_ENDPOINT_URL", aws.url.as_str()), ("TERM", "xterm-256color")]) {
        command.env(name, value);
    }
    command.env("HOME", home.root());
    Terminal::run(command, (120, 40))
}

#[test]
fn throttling_on_every_call_is_borne_and_told() {
    let home = Home::new();
    home.project("");
    let aws = Refusing::start(400, "ThrottlingException");
    let ran = finish(aws.lead(&mut home.command(&["ls", "training-jobs"])));
    ran.expect(1, &["said by the test", "slows down by itself"]);
    assert!(aws.calls.load(Ordering::SeqCst) <= 8, "{} calls in no time", aws.calls.load(Ordering::SeqCst));
    let mut term = on_aws(&home, &aws);
    term.shows(&["AWS asks us to slow down", "slows down by itself"]);
    // Alive meanwhile.
    term.press("?").shows(&["find an action by name"]);
    term.press("\x1b").hides(&["find an action by name"]);
    term.press("q");
    assert_eq!(term.ends(), 0);
    term.is_restored();
}

#[test]
fn without_a_network_it_says_so() {
    let home = Home::new();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ls = ["ls", "training-jobs", "--allow-loopback"];
    let run = |url: &str| finish(with_credentials(&mut home.command(&ls)).env("AWS_ENDPOINT_URL", url));
    run(&format!("http://{closed}")).expect(1, &["no connection", "check the network"]);
    run("https://sagemaker.invalid").expect(1, &["no connection", "check the network"]);
}

#[test]
fn the_real_accounts_commands_stay_away_from_loopback_unless_told() {
    let home = Home::new();
    let aws = Refusing::start(400, "ThrottlingException");
    let with = |args: &[&str]| finish(with_credentials(&mut home.command(args)).env("AWS_ENDPOINT_URL", &aws.url));
    with(&["ls", "training-jobs"]).expect(3, &["on this machine", "footplate --local"]);
    assert_eq!(aws.calls.load(Ordering::SeqCst), 0, "something was sent");
    with(&["ls", "training-jobs", "--allow-loopback", "--local"]).expect(2, &["--allow-loopback"]);
    home.run(&["--help"]).expect(0, &["--allow-loopback"]);
}

#[test]
fn no_secret_is_ever_written_at_the_finest_log_level() {
    let home = Home::new();
    home.project("print('loss=0.5')");
    let aws = Refusing::start(403, "AccessDeniedException");
    for args in [
        &["ls", "training-jobs"][..],
        &["ls", "data"],
        &["train", "--yes"],
        &["doctor"],
        &["stop", "training-jobs", "x", "--yes"],
    ] {
        let ran = finish(aws.lead(&mut home.command(args)).env("FOOTPLATE_LOG", "trace"));
        assert!(!ran.out.contains("Canary") && !ran.err.contains("Canary"), "{}{}", ran.out, ran.err);
        assert_ne!(ran.code, 0, "{args:?}");
    }
    assert!(aws.heads.lock().unwrap().iter().any(|head| head.contains("Signature=")), "requests were signed");
    finish(home.command(&["train", "--local", "--wait"]).env("FOOTPLATE_LOG", "trace")).expect(0, &["Completed"]);
    let log = fs::read_to_string(home.path(".local/state/footplate/footplate.log")).unwrap();
    assert!(log.contains("\"TRACE\"") && !log.contains('\x1b'), "it was written at that level");
    // The local region's own key, which is in its folder and nowhere else.
    let key = home.path(".local/share/footplate/local/credentials.json");
    let keys: serde_json::Value = serde_json::from_str(&fs::read_to_string(&key).unwrap()).unwrap();
    assert!(!log.contains(keys["secret_access_key"].as_str().unwrap()));
    no_secret_in(&home);
}

/// A launch of an instance with these settings, refused before anything is made.
#[track_caller]
fn no_instance(set: &[&str], words: &[&str]) {
    let home = Home::new();
    home.project("");
    let mut args = vec!["instance", "--local", "--set", "instance_type=t3.medium"];
    args.extend(set.iter().flat_map(|set| ["--set", set]));
    let ran = home.run(&args);
    ran.expect(2, &["nothing was sent"]);
    ran.expect(2, words);
    assert_eq!(home.run(&["ls", "instances", "--local", "--json"]).out.trim(), "[]");
    home.nothing_runs();
}

#[test]
fn an_image_that_is_not_there_is_told_with_one_that_is() {
    no_instance(&["image=ami-0123456789abcdef0"], &["image: there is no ami-0123456789abcdef0 in us-east-1", "resolve:ssm:"]);
    no_instance(&["image=ami-x"], &["image: 'ami-x' is no id", "8 or 17 of the digits 0-9 and a-f"]);
    no_instance(
        &["image=Deep Learning AMI GPU PyTorch 1.13.1 (Ubuntu 20.04) 20230315"],
        &["image: AWS has withdrawn", "--set successor=yes"],
    );
}

#[test]
fn a_disk_too_small_for_the_image_is_told() {
    no_instance(&["storage_gb=10"], &["storage_gb: the image's own snapshot has", "or leave it empty"]);
}

#[test]
fn a_quota_of_zero_is_told_with_what_the_account_may_have() {
    no_instance(&["instance_type=p5.4xlarge"], &["'Running On-Demand P instances' is 0", "vCPU of", "Service Quotas"]);
}

#[test]
fn a_lease_that_is_none_is_told() {
    no_instance(&["lease=forever"], &["lease: 'forever' is no length of time from 10m to 30d"]);
}

/// An instance whose disk is a small one in truth: the local region's folder is on it.
#[test]
fn a_full_disk_of_an_instance_is_told_with_the_remedy_and_nothing_runs_on() {
    let home = Home::new();
    let toml = "[project]\nname = \"tiny\"\n[code]\nsource_dir = \"code\"\nentry_point = \"train.py\"\n[instance]\ninstance_type = \"t3.medium\"\n\
                [instance.run]\nscript = \"train.py\"\nenvironment = \"system\"\n";
    home.write("footplate.toml", toml);
    home.write("code/train.py", "print('begun', flush=True)\nwhile True:\n    print('x' * 99_999, flush=True)\n");
    // Nothing that packing would make small.
    let noise: Vec<u8> =
        (0..40_000_000_u32 / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(n % 31).to_be_bytes()).collect();
    home.write("site/big.bin", &noise);
    let zip = "import zipfile; zipfile.ZipFile('big.zip', 'w', zipfile.ZIP_DEFLATED).writestr('zeros', bytes(40_000_000))";
    let zipped = home.prepare("python3").args(["-c", zip]).current_dir(home.path("site")).status().unwrap();
    assert!(zipped.success());
    let script = r#"
{ python3 -u -m http.server 0 --bind 127.0.0.1 --directory site > web 2> /dev/null & } ; web=$!
"$FOOTPLATE" local serve > served & region=$!
until [ -s web ] && [ -s served ]; do sleep 0.05; done
port=$(sed 's/.*port \([0-9]*\).*/\1/;q' web)
"$FOOTPLATE" --local instance --yes --wait --set name=it || exit
on() { name=$1; shift; "$FOOTPLATE" --local train --on it --wait --yes --set "name=$name" "$@" > "$name.out"; echo "$name $?"; }
on sent --set data=site/big.bin
on fetched --set "data=http://127.0.0.1:$port/big.bin"
on unpacked --set "data=http://127.0.0.1:$port/big.zip"
on logged
on more
"$FOOTPLATE" --local ls runs "$("$FOOTPLATE" --local ls instances --json | grep -o 'i-[0-9a-f]*' | head -n 1)"
kill $web $region; wait
"#;
    let Some(ran) = on_a_small_disk(&home, "24m", &format!("{{ {script} }}")) else { return };
    ran.expect(0, &["sent 3", "fetched 3", "unpacked 3", "logged 1", "more 3"]);
    for words in [
        "the instance's disk is too small: it needs",
        "the instance's disk is too small: the data set has 39062 kB",
        "the instance's disk is too small: unpacked it has 39062 kB",
        "launch an instance with more storage",
        "the instance's disk was full: free some of it",
        "the instance's disk is full",
    ] {
        assert!(ran.err.contains(words), "lacks {words:?}\n{}", ran.err);
    }
    assert!(!ran.out.contains("Running"), "something runs on");
    home.nothing_runs();
}
