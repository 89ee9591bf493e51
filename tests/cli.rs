//! The command line as a script sees it: exit codes, stdout and stderr of the built program, in a home of its own.

mod binary;
#[path = "common/skip.rs"]
mod skip;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use binary::{Home, Served, finish};
use footplate::model::Verb;
use footplate::resource;

#[test]
fn help_lists_what_works_and_nothing_else() {
    let help = Home::new().run(&["--help"]);
    help.expect(
        0,
        &[
            "ls",
            "show",
            "logs",
            "start",
            "stop",
            "reboot",
            "delete",
            "upload",
            "train",
            "deploy",
            "instance",
            "invoke",
            "instance",
            "ssh",
            "cp",
            "orphans",
            "tune",
            "doctor",
            "local",
            "completions",
            "man",
            "Exit codes: 0 done, 1 failed",
        ],
    );
    assert!(!help.out.lines().any(|line| line.trim_start().starts_with("keep ")), "what is hidden is not listed");
    assert!(help.err.is_empty());
    Home::new().run(&["--version"]).expect(0, &[concat!("footplate ", env!("CARGO_PKG_VERSION"))]);
}

/// A shell and how it is told to read a script without running it.
fn completions_load(shell: &str, check: &str) {
    if !skip::installed(&[shell], shell) {
        return;
    }
    let home = Home::new();
    let script = home.run(&["completions", shell]);
    home.write("script", &script.out);
    let read = home.prepare(shell).args([check, "script"]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn completions_load_in_bash() {
    completions_load("bash", "-n");
}

#[test]
fn completions_load_in_zsh() {
    completions_load("zsh", "-n");
}

#[test]
fn completions_load_in_fish() {
    completions_load("fish", "--no-execute");
}

#[test]
fn completions_know_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = home.run(&["completions", shell]);
        script.expect(0, &["train", "dry-run", "allow-loopback"]);
        assert!(script.err.is_empty());
    }
    // In bash it also completes.
    let ask = "source <(\"$FOOTPLATE\" completions bash); COMP_WORDS=(footplate tra); COMP_CWORD=1; _footplate footplate tra footplate; echo \"${COMPREPLY[@]}\"";
    let mut bash = home.prepare("bash");
    let asked = finish(bash.args(["--norc", "-c", ask]).env("FOOTPLATE", env!("CARGO_BIN_EXE_footplate")));
    assert_eq!((asked.out.trim(), asked.err.trim()), ("train", ""));
    home.run(&["completions", "cmd.exe"]).expect(2, &["bash"]);
}

#[test]
fn every_command_and_flag_of_the_readme_exists() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let home = Home::new();
    let mut commands = 0;
    // Odd pieces between backticks are code: spans, and blocks of lines.
    for code in readme.split('`').skip(1).step_by(2).chain(readme.split("```").skip(1).step_by(2)).flat_map(str::lines) {
        let code = code.split('#').next().unwrap().replace("cargo run --release -- ", "footplate ");
        let line = code.trim().trim_start_matches("target/release/");
        let words: Vec<&str> = match line.strip_prefix("footplate ") {
            Some(rest) => rest.split(' ').collect(),
            None if line.starts_with("--") => line.split(' ').collect(),
            None => continue,
        };
        let known = [
            "ls",
            "show",
            "logs",
            "start",
            "stop",
            "reboot",
            "delete",
            "update",
            "upload",
            "download",
            "train",
            "tune",
            "deploy",
            "invoke",
            "instance",
            "ssh",
            "cp",
            "orphans",
            "cost",
            "doctor",
            "local",
            "completions",
            "man",
        ];
        let path: Vec<&str> = match words.first() {
            Some(&"local") => words.iter().take(2).copied().collect(),
            Some(first) if !first.starts_with('-') => {
                assert!(known.contains(first), "{line}");
                vec![first]
            }
            _ => Vec::new(),
        };
        commands += 1;
        let help = home.run(&[path.as_slice(), &["--help"]].concat());
        help.expect(0, &[]);
        for flag in words.iter().filter(|word| word.starts_with("--") && **word != "--help") {
            // `--set` stands alone in the text and belongs to `train`.
            let known = help.out.contains(flag) || home.run(&["train", "--help"]).out.contains(flag);
            assert!(known, "{line}: there is no {flag}");
        }
    }
    assert!(commands >= 8, "only {commands} were found");
}

#[test]
fn manual_pages_are_roff() {
    let home = Home::new();
    let page = home.run(&["man"]);
    page.expect(0, &["footplate"]);
    assert!(page.out.contains(".TH footplate 1"), "{}", page.out);
    home.run(&["man", "train"]).expect(0, &["set", "KEY=VALUE"]);
    home.run(&["man", "local", "serve"]).expect(0, &["max\\-memory"]);
    home.run(&["man", "local", "keep"]).expect(2, &["there is no command `keep`"]);
    home.run(&["man", "sing"]).expect(2, &["there is no command `sing`"]);
}

#[test]
fn usage_errors_are_2_and_go_to_stderr() {
    let home = Home::new();
    for args in [
        &["dance"][..],
        &["ls"],
        &["train", "--colour", "red"],
        &["local", "serve", "--port", "99999"],
        &["local", "serve", "--speed", "0"],
        &["local", "serve", "--max-memory", "lots"],
        &["--local", "doctor", "--profile", "work"],
        &["doctor", "--region", "x", "--local"],
        &["--record", "a", "--replay", "b"],
    ] {
        let ran = home.run(args);
        ran.expect(2, &[]);
        assert!(ran.out.is_empty() && !ran.err.is_empty(), "{args:?}");
    }
}

#[test]
fn an_unknown_resource_is_answered_with_the_ones_there_are() {
    let ran = Home::new().run(&["ls", "traning-jobs"]);
    ran.expect(2, &["traning-jobs"]);
    for resource in resource::ALL {
        assert!(ran.err.contains(resource.spec().id), "{}", ran.err);
    }
}

#[test]
fn all_mistakes_of_the_project_file_come_at_once_with_their_lines() {
    let home = Home::new();
    home.write("p/footplate.toml", "[project]\nname = \"my_digits\"\n\n[training]\ninstnce_type = \"ml.m5.large\"\n\n[[metrics]]\nname = \"loss\"\nregex = 'loss=(['\n");
    let words = [
        "footplate.toml: 3 mistakes",
        "line 2, column 8: `name` in [project] must be 1 to 40 letters, digits and single dashes; write \"my-digits\"",
        "line 5, column 1: unknown key `instnce_type` in [training]; did you mean `instance_type`?",
        "line 9, column 9: `regex` in [[metrics]] does not compile",
    ];
    home.run(&["train", "--local", "--project", "p"]).expect(2, &words);
    // Found from a folder below, too.
    fs::create_dir(home.path("p/src")).unwrap();
    finish(home.command(&["--local", "train"]).current_dir(home.path("p/src"))).expect(2, &words);
    assert!(!home.path(".local/share/footplate").exists(), "nothing was opened for a project that cannot be read");
}

#[test]
fn escape_sequences_in_the_project_file_do_not_reach_the_terminal() {
    let home = Home::new();
    home.write("footplate.toml", "[project]\nname = \"a\\u001b[2Jb\"\n\"\\u001b]52;c;x\\u0007\" = 1\n");
    home.run(&["train", "--local"]).expect(2, &["2 mistakes", "␛]52"]);
}

#[test]
fn without_a_project_file_train_says_how_to_make_one() {
    Home::new().run(&["train", "--local"]).expect(1, &["there is no footplate.toml in", "entry_point = \"train.py\""]);
}

#[test]
fn without_credentials_it_says_how_to_get_some() {
    let home = Home::new();
    home.run(&["doctor", "--region", "us-east-1"]).expect(1, &["FAIL  account", "credentials", "--local"]);
    for resource in resource::ALL.iter().filter(|resource| resource.spec().within.is_none()) {
        home.run(&["ls", resource.spec().id, "--region", "us-east-1"]).expect(1, &["credentials", "--local"]);
    }
}

#[test]
fn without_a_home_it_says_which_variable_to_set() {
    finish(Home::new().command(&["doctor"]).env_remove("HOME")).expect(1, &["HOME is not set"]);
}

#[test]
fn mistakes_in_the_settings_are_told_before_anything_is_done() {
    let home = Home::new();
    home.write(".config/footplate/config.toml", "read_ony = true\npoll = 99\n");
    home.run(&["doctor", "--local"])
        .expect(1, &["config.toml: 2 mistakes", "did you mean `read_only`?", "`poll` in this file must be from 0.5 to 20"]);
}

#[test]
fn a_damaged_journal_is_told_with_the_remedy_and_stops_every_change() {
    let home = Home::new();
    let journal = home.write(".local/state/footplate/journal.sqlite", [0x55; 4096]);
    let remedy = format!("mv {0} {0}.old", journal.display());
    home.run(&["doctor", "--local"]).expect(1, &["FAIL  journal", &remedy]);
    for resource in resource::ALL.iter().filter(|resource| resource.spec().verbs.contains(&Verb::Stop)) {
        home.run(&["--local", "stop", resource.spec().id, "x", "--yes"]).expect(3, &["the journal", &remedy]);
    }
}

#[test]
fn read_only_refuses_changes_whether_flag_or_setting() {
    let home = Home::new();
    home.write("set/.config/footplate/config.toml", "read_only = true\n");
    for resource in resource::ALL.iter().filter(|resource| resource.spec().verbs.contains(&Verb::Stop)) {
        let stop = ["--local", "stop", resource.spec().id, "x", "--yes"];
        finish(home.command(&stop).arg("--read-only")).expect(3, &["read-only", "--read-only"]);
        finish(home.command(&stop).env("HOME", home.path("set"))).expect(3, &["read-only", "config.toml"]);
    }
}

#[test]
fn without_a_terminal_nothing_prompts() {
    let home = Home::new();
    let folder = home.path(".local/share/footplate/local");
    home.write(".local/share/footplate/local/credentials.json", r#"{"access_key_id":"a","secret_access_key":"b"}"#);
    home.run(&["local", "reset"]).expect(3, &["no terminal to ask on", "--yes"]);
    assert!(folder.exists());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    home.run(&["local", "reset", "--yes"]).expect(0, &["is gone"]);
    assert!(!folder.exists());
    home.run(&["local", "reset"]).expect(0, &["nothing to do"]);
}

#[test]
fn reset_deletes_nothing_but_a_region() {
    let home = Home::new();
    let thesis = home.write("documents/thesis.tex", "x");
    home.run(&["local", "reset", "--yes", "--data", "documents"]).expect(3, &["is not the folder of a local region"]);
    assert!(thesis.exists());
}

#[test]
fn the_programs_log_is_private_and_a_bad_level_is_no_obstacle() {
    let home = Home::new();
    finish(home.command(&["local", "env"]).env("FOOTPLATE_LOG", "shout=very=loud"))
        .expect(1, &["FOOTPLATE_LOG is not understood"]);
    let about = fs::metadata(home.path(".local/state/footplate/footplate.log")).unwrap();
    assert_eq!(about.permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(home.path(".local/state/footplate")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let home = Home::new();
    let mut child = home.command(&["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{}", String::from_utf8_lossy(&output.stderr));
}

fn exported<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| line.strip_prefix(&format!("export {name}='")))
        .and_then(|rest| rest.strip_suffix('\''))
        .unwrap_or_else(|| panic!("no {name} in\n{text}"))
}

#[test]
fn a_served_region_tells_where_it_is_and_ends_on_a_signal() {
    let home = Home::new();
    home.write("env", "of an earlier run");
    for signal in ["-TERM", "-INT"] {
        let (served, line) = Served::start(&home, &["local", "serve", "--env-file", "env"]);
        let url = line.strip_prefix("footplate local region: ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");

        let text = fs::read_to_string(home.path("env")).unwrap();
        assert_eq!(fs::metadata(home.path("env")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(exported(&text, "AWS_ENDPOINT_URL"), url);
        assert_eq!(exported(&text, "AWS_DEFAULT_REGION"), "us-east-1");
        assert_eq!(fs::read_to_string(exported(&text, "AWS_CONFIG_FILE")).unwrap(), "");
        assert!(fs::read_to_string(exported(&text, "SAGEMAKER_USER_CONFIG_OVERRIDE")).unwrap().contains("TelemetryOptOut: true"));
        assert!(text.starts_with("unset AWS_SESSION_TOKEN AWS_PROFILE\n"));
        let printed = home.run(&["local", "env"]);
        printed.expect(0, &[]);
        assert_eq!(printed.out, text);

        home.run(&["local", "serve"]).expect(1, &["is in use by"]);
        home.run(&["local", "reset", "--yes"]).expect(1, &["is in use by"]);
        home.run(&["--local", "doctor"]).expect(0, &["ok    account       000000000000"]);

        assert_eq!(served.end(signal), 0);
        assert!(!Path::new(&home.path("env")).exists(), "the door is closed");
        home.run(&["local", "env"]).expect(1, &["footplate local serve"]);
    }
}

#[test]
fn a_region_that_is_held_only_for_a_moment_is_waited_for() {
    let home = Home::new();
    home.run(&["ls", "data", "--local"]).expect(0, &[]);
    let lock = home.path(".local/share/footplate/local/lock");
    let mut holder =
        home.prepare("flock").arg(&lock).args(["sh", "-c", "echo held; sleep 0.7"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    let (served, line) = Served::start(&home, &["local", "serve"]);
    assert!(line.starts_with("footplate local region: http://127.0.0.1:"), "{line:?}");
    assert_eq!(served.end("-TERM"), 0);
    assert!(holder.wait().unwrap().success());
}

#[test]
fn a_region_that_was_killed_is_not_taken_for_served() {
    let home = Home::new();
    let (served, _) = Served::start(&home, &["local", "serve"]);
    assert_eq!(served.end("-KILL"), -1);
    home.run(&["local", "env"]).expect(1, &["no local region is served"]);
    home.run(&["--local", "doctor"]).expect(0, &["000000000000"]);
}

#[test]
fn a_port_that_is_taken_is_told() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    home.run(&["local", "serve", "--port", &port]).expect(1, &[&port, "--port"]);
}

const SAVE: &str = "open(os.path.join(os.environ['SM_MODEL_DIR'], 'model.txt'), 'w').write('trained')";

#[test]
fn train_and_wait_ends_0_with_the_model_in_s3() {
    let home = Home::new();
    home.project(&format!("print('loss=0.25 with', *sys.argv[1:], flush=True)\n{SAVE}"));
    let ran = home.run(&["train", "--local", "--wait", "--set", "hyperparameters.lr=0.1", "--name", "small"]);
    ran.expect(0, &["Completed"]);
    assert!(ran.out.contains("loss=0.25 with --lr 0.1"), "the log is on stdout:\n{}", ran.out);
    let model = ran.out.lines().last().unwrap();
    assert!(model.starts_with("s3://") && model.ends_with("/output/model.tar.gz") && model.contains("/small-"), "{model}");

    let list = home.run(&["ls", "training-jobs", "--local", "--json"]);
    list.expect(0, &[]);
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!((&list[0]["state"], &list[0]["phase"]), (&"Completed".into(), &"done".into()));
    let name = list[0]["id"].as_str().unwrap();
    home.run(&["show", "training-jobs", name, "--local"]).expect(0, &[name, "Completed", model]);
    home.run(&["logs", "training-jobs", name, "--local"]).expect(0, &["loss=0.25"]);
    home.run(&["logs", "training-jobs", "nobody", "--local"]).expect(1, &["nobody"]);
    home.run(&["ls", "data", "--local"]).expect(0, &["sagemaker-us-east-1-000000000000"]);
}

#[test]
fn train_and_wait_ends_1_with_the_reason_when_the_script_fails() {
    let home = Home::new();
    home.project("raise ValueError('no such breed')");
    let ran = home.run(&["train", "--local", "--wait", "--json"]);
    ran.expect(1, &["Failed"]);
    let said: serde_json::Value = serde_json::from_str(&ran.out).expect("stdout is one JSON object, the log is on stderr");
    assert_eq!((&said["state"], &said["phase"], &said["model"]), (&"Failed".into(), &"failed".into(), &serde_json::Value::Null));
    assert!(said["reason"].as_str().unwrap().contains("no such breed"), "{said}");
}

#[test]
fn a_dry_run_shows_the_request_and_sends_nothing() {
    let home = Home::new();
    home.project("");
    let ran = home.run(&["train", "--local", "--dry-run"]);
    ran.expect(0, &[]);
    let request: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(request["ResourceConfig"]["InstanceType"], "ml.m5.large");
    // As JSON with all that a person is told beside it.
    let ran = home.run(&["train", "--local", "--dry-run", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["request"]["ResourceConfig"], request["ResourceConfig"]);
    assert!(told["usd_per_hour"].as_f64().is_some_and(|dollars| dollars > 0.1), "{told}");
    assert_eq!((&told["quota"]["needs"], &told["quota"]["unit"]), (&1.into(), &"instances".into()), "{told}");
    assert!(told["facts"]["price"].as_str().unwrap().contains("/h") && told["problems"].is_array(), "{told}");
    assert_eq!(home.run(&["ls", "training-jobs", "--local", "--json"]).out.trim(), "[]");
}

#[test]
fn an_instance_is_rehearsed_launched_and_changed_from_the_command_line() {
    let home = Home::new();
    let small = ["--set", "instance_type=t3.medium", "--name", "try"];
    let dry = home.run(&[&["--local", "instance", "--dry-run", "--json"][..], &small].concat());
    dry.expect(0, &[]);
    let told: serde_json::Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!(told["request"]["InstanceType"], "t3.medium", "{told}");
    assert!(told["usd_per_hour"].as_f64().is_some_and(|dollars| (0.03..0.06).contains(&dollars)), "{told}");
    assert_eq!(told["quota"], serde_json::json!({ "needs": 2, "limit": 32, "used": 0, "unit": "vCPU" }));
    assert!(told["facts"]["image"].as_str().unwrap().contains("Deep Learning"), "{told}");
    assert!(told["problems"].is_array());
    home.run(&["--local", "ls", "instances", "--json"]).expect(0, &["[]"]);
    // Without a project file: a small machine, and it is said how one gets another.
    let plain = home.run(&["--local", "instance", "--dry-run", "--json"]);
    plain.expect(0, &["note: instance_type: small and without a GPU", "g4dn.xlarge"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&plain.out).unwrap()["request"]["InstanceType"], "t3.large");
    // All that is wrong at once, each with its field.
    let bad = ["--set", "lease=1m", "--set", "image=ami-0123456789abcdef0", "--set", "instance_type=p5.4xlarge"];
    let dry = home.run(&[&["--local", "instance", "--dry-run", "--json"][..], &bad].concat());
    dry.expect(2, &["error: lease: ", "error: image: ", "error: instance_type: "]);
    let told: serde_json::Value = serde_json::from_str(&dry.out).unwrap();
    let fields: Vec<_> = told["problems"].as_array().unwrap().iter().filter_map(|one| one["field"].as_str()).collect();
    assert_eq!(fields, ["lease", "image", "instance_type"], "{told}");
    home.run(&[&["--local", "instance"][..], &bad].concat()).expect(2, &["lease: ", "image: ", "instance_type: "]);
    let help = home.run(&["instance", "--help"]);
    help.expect(0, &["instance_type, storage_gb, lease", "--set instance_type=g5.2xlarge"]);
    assert!(!help.out.contains("ml.") && !help.out.contains("job"), "{}", help.out);

    home.run(&[&["--local", "instance", "--wait"][..], &small].concat()).expect(0, &["i-"]);
    let update = |set: &'static str, more: &[&'static str]| {
        home.run(&[&["--local", "update", "instances", "try", "--set", set][..], more].concat())
    };
    update("lease=nonsense", &[]).expect(2, &["lease", "--set"]);
    update("lise=4h", &[]).expect(2, &["there is no such field", "instance_type, lease"]);
    update("instance_type=t3.small", &[]).expect(2, &["while it is stopped"]);
    update("instance_type=p5.4xlarge", &[]).expect(2, &["while it is stopped", "'Running On-Demand P instances' is 0"]);
    update("lease=6h", &["--dry-run", "--json"]).expect(0, &["CreateTags footplate:lease="]);
    update("lease=6h", &["--json"]).expect(0, &["\"done\": \"update\"", "its lease ends at"]);
    home.run(&["--local", "update", "training-jobs", "try", "--set", "a=b"]).expect(2, &["cannot do `update`"]);
    home.run(&["--local", "stop", "instances", "try", "--yes"]).expect(0, &["stopping try"]);
    // Just stopping, or stopped by now: either way it starts.
    home.run(&["--local", "start", "instances", "try", "--yes"]).expect(0, &["starting try"]);
    home.run(&["--local", "delete", "instances", "try", "--yes"]).expect(0, &["terminating try"]);
    // A suggested command can be pasted as it is: with the flags that this one was called with, and the id.
    home.run(&["--local", "start", "instances", "try", "--yes"]).expect(2, &["footplate --local instance --like i-"]);
    home.run(&["--local", "ls", "runs"]).expect(2, &["footplate --local ls runs INSTANCE"]);
    home.write("my work/footplate.toml", "");
    let project = home.path("my work").display().to_string();
    home.run(&["ls", "runs", "--region", "eu-west-1", "--project", &project])
        .expect(2, &[&format!("footplate --region eu-west-1 --project '{project}' ls runs INSTANCE")]);
}

#[test]
fn what_cannot_be_launched_is_2_with_the_fields_there_are() {
    let home = Home::new();
    home.project("");
    home.run(&["train", "--local", "--set", "instance_tpye=x"]).expect(2, &["did you mean `instance_type`?", "volume_gb"]);
    home.run(&["train", "--local", "--set", "entry_point=missing.py"]).expect(2, &["entry_point", "missing.py"]);
    assert_eq!(home.run(&["ls", "training-jobs", "--local", "--json"]).out.trim(), "[]");
}

#[test]
fn interrupting_ends_the_job_of_this_process_and_leaves_nothing_running() {
    let home = Home::new();
    home.project(
        "open(os.environ['PIDS'], 'w').write(str(os.getpid()))\nprint('waiting', flush=True)\nwhile True: time.sleep(0.1)",
    );
    let pids = home.path("pid");
    let setting = format!("environment.PIDS={}", pids.display());
    // Without --wait it waits all the same, and says why.
    let mut child =
        home.command(&["train", "--local", "--set", &setting]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("waiting")), "the script does not start");
    let script: i32 = fs::read_to_string(&pids).unwrap().parse().unwrap();
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.contains("so this waits for the job") && err.contains("was ended"), "{err}");
    assert!(!Path::new(&format!("/proc/{script}")).exists(), "the script is still there");
}

#[test]
fn a_job_in_a_served_region_goes_on_without_the_one_who_launched_it() {
    let home = Home::new();
    home.project("while not os.path.exists(os.environ['GATE']): time.sleep(0.05)\nprint('through the gate')");
    let gate = home.path("gate");
    let (served, _) = Served::start(&home, &["local", "serve"]);
    let ran = home.run(&["train", "--local", "--json", "--set", &format!("environment.GATE={}", gate.display())]);
    ran.expect(0, &["--follow"]);
    let name = serde_json::from_str::<serde_json::Value>(&ran.out).unwrap()["name"].as_str().unwrap().to_owned();
    fs::write(&gate, "").unwrap();
    home.run(&["logs", "training-jobs", &name, "--local", "--follow"]).expect(0, &["through the gate", "Completed"]);
    home.run(&["stop", "training-jobs", &name, "--local"]).expect(3, &["--yes"]);
    assert_eq!(served.end("-TERM"), 0);
}

#[test]
fn a_folder_is_uploaded_where_it_was_told() {
    let home = Home::new();
    home.write("pictures/a/1.txt", "one");
    home.run(&["upload", "pictures", "s3://my-bucket/set/", "--local"]).expect(0, &[]);
    home.run(&["ls", "data", "--local"]).expect(0, &["my-bucket"]);
    home.run(&["upload", "nothing-there", "s3://my-bucket/set/", "--local"]).expect(2, &["nothing-there"]);
}
