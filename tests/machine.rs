//! The machine behind an instance of the local region: logging in, terminals, commands, files, environments, its end.

#[path = "machine/guest.rs"]
mod guest;
#[path = "machine/openssh.rs"]
mod openssh;
#[path = "common/skip.rs"]
mod skip;

use std::time::Duration;

use footplate::local::host::{Datasets, HostEnvironment, Keyring, ShutDown};
use guest::{Guest, INSTANCE, Like, alive, collect, new_key, wait_for};
use russh::{ChannelMsg, Sig};
use russh_sftp::client::SftpSession;
use russh_sftp::protocol::OpenFlags;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn only_a_pushed_key_opens_and_only_its_user() {
    let guest = Guest::boot(Like::default()).await;
    let (pushed, other) = (new_key(), new_key());
    guest.keys.push(INSTANCE, "ubuntu", &pushed.public_key().to_openssh().unwrap());
    guest.keys.push("i-00000000000000000", "ubuntu", &other.public_key().to_openssh().unwrap());
    guest.keys.push(INSTANCE, "root", &other.public_key().to_openssh().unwrap());
    let client = guest.try_login("ubuntu", pushed.clone()).await.expect("logs in");
    assert_eq!(
        client.output("echo hello; id -un >/dev/null; echo $USER $HOME").await,
        format!("hello\nubuntu {}\n", guest.home().display())
    );
    for (user, key) in [("ubuntu", other.clone()), ("root", other), ("root", pushed)] {
        assert!(guest.try_login(user, key).await.is_none(), "{user}");
    }
    let mut nobody = guest.connect().await;
    assert!(!nobody.authenticate_none("ubuntu").await.unwrap().success());
    assert!(!nobody.authenticate_password("ubuntu", "ubuntu").await.unwrap().success());
    guest.host.halt().await;
}

#[tokio::test]
async fn the_key_of_the_launch_opens_as_long_as_its_user_leaves_it() {
    let folder = tempfile::tempdir().unwrap();
    let (launched, added) = (new_key(), new_key());
    let line = |key: &russh::keys::PrivateKey| key.public_key().to_openssh().unwrap();
    let like = |first_boot| Like { launch_key: Some(format!("{} mine", line(&launched))), first_boot, ..Like::default() };
    let guest = Guest::boot_in(folder.path(), like(true)).await;
    let client = guest.try_login("ubuntu", launched.clone()).await.expect("logs in");
    assert_eq!(client.output("stat -c %a ~/.ssh ~/.ssh/authorized_keys").await, "700\n600\n");
    assert!(guest.host.console().contains("for user ubuntu\r\nci-info: | ssh-ed25519 | "), "{}", guest.host.console());
    assert!(guest.try_login("root", launched.clone()).await.is_none(), "root");
    assert!(guest.try_login("ubuntu", added.clone()).await.is_none(), "another key");
    // What a line's options would restrict is not enforced, so it counts for nothing.
    let file = guest.home().join(".ssh/authorized_keys");
    std::fs::write(&file, format!("# of a colleague\ncommand=\"date\" {}\n", line(&added))).unwrap();
    assert!(guest.try_login("ubuntu", added.clone()).await.is_none(), "with options");
    std::fs::write(&file, format!("\n{} a colleague's\n", line(&added))).unwrap();
    assert!(guest.try_login("ubuntu", added).await.is_some());
    assert!(guest.try_login("ubuntu", launched.clone()).await.is_none(), "taken out");
    guest.host.halt().await;
    let again = Guest::boot_in(folder.path(), like(false)).await;
    assert!(again.try_login("ubuntu", launched).await.is_none(), "put in at the first boot only");
    again.host.halt().await;
}

#[tokio::test]
async fn without_a_key_at_the_launch_only_pushed_ones_open() {
    let guest = Guest::boot(Like::default()).await;
    let key = new_key();
    std::fs::create_dir_all(guest.home().join(".ssh")).unwrap();
    std::fs::write(guest.home().join(".ssh/authorized_keys"), key.public_key().to_openssh().unwrap()).unwrap();
    assert!(guest.try_login("ubuntu", key).await.is_none());
    guest.host.halt().await;
}

#[tokio::test]
async fn a_key_goes_out_of_use_and_the_session_stays() {
    let guest = Guest::boot(Like { keys: Keyring::lasting(Duration::from_secs(3)), ..Like::default() }).await;
    let key = new_key();
    let public = key.public_key().clone();
    guest.keys.push(INSTANCE, "ubuntu", &public.to_openssh().unwrap());
    let client = guest.try_login("ubuntu", key.clone()).await.expect("logs in");
    wait_for("the key to expire", || !guest.keys.accepts(INSTANCE, "ubuntu", &public)).await;
    assert!(guest.try_login("ubuntu", key).await.is_none());
    assert_eq!(client.output("echo still here").await, "still here\n");
    guest.host.halt().await;
}

#[tokio::test]
async fn the_host_keys_are_on_the_console_and_survive_stop_and_start() {
    let folder = tempfile::tempdir().unwrap();
    let first = Guest::boot_in(folder.path(), Like::default()).await;
    let block = |guest: &Guest| {
        let console = guest.host.console();
        let from = console.rfind("-----BEGIN SSH HOST KEY KEYS-----\r\n").expect("the block");
        let keys = &console[from..console[from..].find("-----END SSH HOST KEY KEYS-----").expect("its end") + from];
        assert!(console[from..].contains(" login: "), "{console}");
        keys.lines().skip(1).map(|line| line.rsplit_once(' ').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    let keys = block(&first);
    assert_eq!(keys.len(), 2);
    assert!(first.host.console().contains("SSH HOST KEY FINGERPRINTS"));
    std::fs::write(first.home().join("kept"), "x").unwrap();
    first.host.halt().await;
    let second = Guest::boot_in(folder.path(), Like { first_boot: false, ..Like::default() }).await;
    assert_eq!(block(&second), keys);
    assert_eq!(second.login().await.output("cat kept").await, "x");
    second.host.halt().await;
}

#[tokio::test]
async fn a_command_has_its_streams_its_status_and_its_signals() {
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    let output = client.run("echo out; echo err >&2; exit 7").await;
    assert_eq!((output.out.as_str(), output.err.as_str(), output.status), ("out\n", "err\n", Some(7)));
    assert_eq!(client.run("kill -TERM $$").await.signal.map(|signal| format!("{signal:?}")), Some("TERM".to_owned()));
    assert_eq!(client.run("no-such-command").await.status, Some(127));
    assert_eq!(client.output("tty || true").await, "not a tty\n");

    let mut channel = client.0.channel_open_session().await.unwrap();
    channel.exec(true, "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.01; done").await.unwrap();
    let mut seen = String::new();
    while !seen.contains("ready") {
        if let Some(ChannelMsg::Data { data }) = channel.wait().await {
            seen.push_str(&String::from_utf8_lossy(&data));
        }
    }
    channel.signal(Sig::USR1).await.unwrap();
    let output = collect(&mut channel).await;
    assert_eq!((output.out.as_str(), output.status), ("caught\n", Some(3)));
    guest.host.halt().await;
}

#[tokio::test]
async fn nothing_of_the_regions_environment_is_in_the_guest() {
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    let channel = client.0.channel_open_session().await.unwrap();
    let mut channel = channel;
    for (name, value) in [("LANG", "de_DE.UTF-8"), ("LD_PRELOAD", "/evil.so"), ("AWS_PROFILE", "x")] {
        channel.set_env(false, name, value).await.unwrap();
    }
    channel.exec(true, "env").await.unwrap();
    let output = collect(&mut channel).await.out;
    assert!(output.contains("LANG=de_DE.UTF-8\n"), "{output}");
    let known = [
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "PATH",
        "TMPDIR",
        "TMUX_TMPDIR",
        "SSH_CLIENT",
        "SSH_CONNECTION",
        "PWD",
        "SHLVL",
        "_",
        "OLDPWD",
        "FOOTPLATE_INSTANCE",
        "FOOTPLATE_PATH",
        "FOOTPLATE_PER_BOOT",
        "FOOTPLATE_MACHINE",
    ];
    for line in output.lines() {
        let name = line.split('=').next().unwrap();
        assert!(known.contains(&name), "{line}");
    }
    guest.host.halt().await;
}

#[tokio::test]
async fn a_shell_has_a_terminal_of_the_clients_size() {
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    let mut shell = client.shell().await;
    shell.wait_for("stand-in, not a machine of AWS").await;
    shell.wait_for("not isolated").await;
    shell.wait_for("ubuntu@ip-172-31-").await;
    shell.type_in("stty size; tty; echo $TERM\r").await;
    shell.wait_for("\r24 80\r\n/dev/pts/").await;
    shell.wait_for("xterm-256color").await;
    shell.channel.window_change(132, 43, 0, 0).await.unwrap();
    shell.type_in("stty size; echo $LINES:$COLUMNS\r").await;
    shell.wait_for("\r43 132\r\n43:132").await;
    shell.type_in("echo $((6 * 7)); cat\r").await;
    shell.wait_for("\r42").await;
    shell.type_in("typed\r").await;
    shell.wait_for("typed\r\ntyped").await;
    shell.type_in("\x03").await;
    shell.wait_for("^C").await;
    // What is typed before the shell is back after a signal, it drops.
    shell.wait_for("$ ").await;
    shell.type_in("exit 5\r").await;
    assert_eq!(collect(&mut shell.channel).await.status, Some(5));
    guest.host.halt().await;
}

#[tokio::test]
async fn ctrl_c_ends_a_flood_at_once() {
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    let mut shell = client.shell().await;
    shell.wait_for("$ ").await;
    shell.type_in("yes flood\r").await;
    shell.wait_for(&"flood\r\n".repeat(10_000)).await;
    let before = shell.read();
    shell.type_in("\x03").await;
    shell.wait_for("$ ").await;
    // No more comes than what was on its way: what a channel may send unasked, and what has come and was not read here.
    let came = shell.read() - before;
    assert!(came < 4 << 20, "{came} bytes came after it");
    shell.type_in("echo $((40 + 2))\r").await;
    shell.wait_for("\r42").await;
    guest.host.halt().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_the_guest_and_not_itself() {
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    // Both directions full at once: more than every buffer between holds.
    let size = 24 << 20;
    let channel = client.0.channel_open_session().await.unwrap();
    channel.exec(true, "cat").await.unwrap();
    let (mut reader, writer) = channel.split();
    let sent = tokio::spawn(async move {
        let chunk = bytes::Bytes::from(vec![b'x'; 32 << 10]);
        for _ in 0..size / chunk.len() {
            writer.data_bytes(chunk.clone()).await.unwrap();
        }
        writer.eof().await.unwrap();
    });
    let mut received = 0;
    let all = async {
        while let Some(message) = reader.wait().await {
            if let ChannelMsg::Data { data } = message {
                received += data.len();
            }
        }
    };
    tokio::time::timeout(guest::DEADLINE, all).await.expect("does not hang");
    sent.await.unwrap();
    assert_eq!(received, size);
    guest.host.halt().await;
}

#[tokio::test]
async fn what_was_detached_outlives_the_connection_and_dies_with_the_machine() {
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    let mut shell = client.shell().await;
    shell.wait_for("$ ").await;
    shell.type_in("setsid sh -c 'echo $$ >detached; exec sleep 1000' </dev/null >/dev/null 2>&1 &\r").await;
    shell.type_in("nohup sh -c 'echo $$ >nohupped; exec sleep 1000' >/dev/null 2>&1 &\r").await;
    shell.type_in("sh -c 'echo $$ >foreground; exec sleep 1000'\r").await;
    let mut pids = Vec::new();
    for name in ["foreground", "detached", "nohupped"] {
        guest.wait_for_file(name, "\n").await;
        pids.push(std::fs::read_to_string(guest.home().join(name)).unwrap().trim().parse::<i32>().unwrap());
    }
    drop(shell);
    drop(client);
    wait_for("the foreground to be hung up", || !alive(pids[0])).await;
    assert!(alive(pids[1]) && alive(pids[2]));
    let again = guest.login().await;
    assert_eq!(again.output("kill -0 $(cat detached) && echo runs").await, "runs\n");
    guest.host.halt().await;
    assert!(!pids.into_iter().any(alive));
}

#[tokio::test]
async fn everything_dies_with_the_keepers_standard_input() {
    // As when the region is killed: nobody tells the keeper anything, its input just ends.
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    let pid: i32 = client.output("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!").await.trim().parse().unwrap();
    assert!(alive(pid));
    drop(guest.host);
    drop(client);
    wait_for("the detached process to be killed", || !alive(pid)).await;
}

#[tokio::test]
async fn conda_is_a_stand_in_that_works() {
    let guest = Guest::boot(Like { environment: HostEnvironment::CondaPytorch, ..Like::default() }).await;
    let client = guest.login().await;
    let root = guest.folder.join("opt/conda").display().to_string();
    let list =
        format!("# conda environments:\n#\nbase                  *  {root}\npytorch                  {root}/envs/pytorch\n\n");
    assert_eq!(client.output("conda env list").await, list);
    assert_eq!(client.output("conda info --envs").await, list);
    let entered =
        client.output("source activate pytorch && python -V && which python && conda env list && echo $CONDA_DEFAULT_ENV").await;
    assert!(entered.starts_with("Python 3."), "{entered}");
    assert!(entered.contains(&format!("{root}/envs/pytorch/bin/python\n")), "{entered}");
    assert!(entered.contains(&format!("pytorch               *  {root}/envs/pytorch\n")), "{entered}");
    assert!(entered.ends_with("pytorch\n"));
    assert_eq!(
        client.output("source activate pytorch; source activate base; which python").await,
        format!("{root}/bin/python\n")
    );
    let prefix = client.output("source activate pytorch && python -c 'import sys; print(sys.prefix)'").await;
    assert_eq!(prefix, format!("{root}/envs/pytorch\n"));
    assert_eq!(client.output("$FOOTPLATE_PYTORCH -c 'import sys; print(sys.prefix)'").await, prefix);
    let unknown = client.run("source activate tensorflow").await;
    assert_eq!(unknown.status, Some(1));
    assert!(unknown.err.starts_with("Could not find conda environment: tensorflow\n"), "{unknown:?}");
    let activate = client.run("conda activate pytorch").await;
    assert_eq!(activate.status, Some(1));
    assert!(activate.err.contains("source activate pytorch"), "{activate:?}");

    let mut shell = client.shell().await;
    shell.wait_for("not conda").await;
    shell.wait_for("$ ").await;
    shell.type_in("source activate pytorch\r").await;
    shell.wait_for("(pytorch) ubuntu@").await;
    shell.type_in("source deactivate; which python\r").await;
    shell.wait_for(&format!("{root}/bin/python")).await;
    guest.host.halt().await;
}

#[tokio::test]
async fn a_newer_image_has_a_virtual_environment_and_no_conda() {
    let guest = Guest::boot(Like { environment: HostEnvironment::VenvPytorch, ..Like::default() }).await;
    let client = guest.login().await;
    let path = client.output("echo $FOOTPLATE_PYTORCH").await;
    assert_eq!(path.trim(), guest.folder.join("opt/pytorch/bin/python").display().to_string());
    assert!(client.output("source ${FOOTPLATE_PYTORCH%/*}/activate && python -V").await.starts_with("Python 3."));
    guest.host.halt().await;
}

#[tokio::test]
async fn without_an_interpreter_there_is_still_a_shell_and_the_console_says_why() {
    let like = Like { environment: HostEnvironment::CondaPytorch, python: "/no/such/python".into(), ..Like::default() };
    let guest = Guest::boot(like).await;
    assert!(guest.host.console().contains("environments could not be made: /no/such/python"), "{}", guest.host.console());
    assert_eq!(guest.login().await.output("echo here").await, "here\n");
    guest.host.halt().await;
}

#[tokio::test]
async fn shutdown_asks_for_the_end_of_the_instance() {
    let guest = Guest::boot(Like { speed: 600.0, ..Like::default() }).await;
    let client = guest.login().await;
    let downs = || guest.downs.lock().unwrap().clone();
    client.output("sudo shutdown -h now").await;
    wait_for("the first end", || downs() == [ShutDown::Halt]).await;
    client.output("sudo /sbin/shutdown -h +0; sudo reboot").await;
    wait_for("the next", || downs() == [ShutDown::Halt, ShutDown::Halt, ShutDown::Reboot]).await;
    let bad = client.run("shutdown -h soon").await;
    assert_eq!((bad.status, bad.err.as_str()), (Some(1), "Failed to parse time specification: soon\n"));
    assert_eq!(downs().len(), 3);
    guest.host.halt().await;
}

#[tokio::test]
async fn a_scheduled_shutdown_is_announced_outlives_the_session_and_can_be_cancelled() {
    let guest = Guest::boot(Like { speed: 60.0, ..Like::default() }).await;
    let client = guest.login().await;
    let watcher = guest.login().await;
    let mut terminal = watcher.shell().await;
    terminal.wait_for("$ ").await;
    let said = client.run("shutdown -h +600").await;
    assert!(said.err.starts_with("Shutdown scheduled for ") && said.err.contains("use 'shutdown -c' to cancel."), "{said:?}");
    terminal.wait_for("Broadcast message from root").await;
    terminal.wait_for("The system will power off at ").await;
    assert!(client.output("shutdown --show").await.starts_with("Shutdown scheduled for "));
    client.output("shutdown -c").await;
    terminal.wait_for("cancelled").await;
    assert_eq!(client.run("shutdown --show").await.status, Some(1));
    // Another one, a minute that is a second here; and the session that asked for it ends.
    client.output("sudo shutdown -r +1").await;
    drop((client, watcher, terminal));
    assert_eq!(guest.downs.lock().unwrap().len(), 0);
    wait_for("the end", || *guest.downs.lock().unwrap() == [ShutDown::Reboot]).await;
    guest.host.halt().await;
}

#[tokio::test]
async fn user_data_runs_once_and_what_it_left_at_each_boot_after_that() {
    let folder = tempfile::tempdir().unwrap();
    let per_boot = "mkdir -p \"$FOOTPLATE_PER_BOOT\" && printf '#!/bin/sh\\necho again >>~/ran\\n' > \"$FOOTPLATE_PER_BOOT/a\" && chmod +x \"$FOOTPLATE_PER_BOOT/a\"";
    let script = format!("#!/bin/bash\necho to the console\necho once >>~/ran\n{per_boot}\n").into_bytes();
    let first = Guest::boot_in(folder.path(), Like { user_data: Some(script.clone()), ..Like::default() }).await;
    let client = first.login().await;
    assert_eq!(client.output("cloud-init status --wait").await, "status: done\n");
    wait_for("its output", || first.host.console().contains("to the console\r\n")).await;
    first.host.halt().await;
    let second = Guest::boot_in(folder.path(), Like { user_data: Some(script), first_boot: false, ..Like::default() }).await;
    assert_eq!(second.login().await.output("cloud-init status --wait; cat ran").await, "status: done\nonce\nagain\n");
    second.host.halt().await;
}

#[tokio::test]
async fn twenty_sessions_at_once() {
    let guest = Guest::boot(Like::default()).await;
    let (one, other) = (guest.login().await, guest.login().await);
    let sessions = (0..20).map(|number| {
        let client = if number % 2 == 0 { &one } else { &other };
        async move {
            if number % 4 == 0 {
                let mut shell = client.shell().await;
                shell.wait_for("$ ").await;
                shell.type_in(&format!("echo $(({number} + 100)); exit\r")).await;
                shell.wait_for(&format!("\r{}\r\n", number + 100)).await;
            } else {
                assert_eq!(client.output(&format!("sleep 0.2; echo {number}")).await, format!("{number}\n"));
            }
        }
    });
    futures_util::future::join_all(sessions).await;
    guest.host.halt().await;
}

#[tokio::test]
async fn nothing_but_sessions() {
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    assert!(client.0.channel_open_direct_tcpip("127.0.0.1", 22, "127.0.0.1", 1).await.is_err());
    assert!(client.0.channel_open_direct_streamlocal("/tmp/x").await.is_err());
    assert!(client.0.tcpip_forward("127.0.0.1", 0).await.is_err());
    assert_eq!(client.output("echo fine").await, "fine\n");
    guest.host.halt().await;
}

#[tokio::test]
async fn connections_that_do_not_log_in_are_few() {
    let guest = Guest::boot(Like::default()).await;
    let mut idle = Vec::new();
    for _ in 0..10 {
        let mut stream = tokio::net::TcpStream::connect((guest.address, guest.host.port())).await.unwrap();
        let mut hello = [0; 8];
        stream.read_exact(&mut hello).await.unwrap();
        assert_eq!(&hello, b"SSH-2.0-");
        idle.push(stream);
    }
    let mut more = tokio::net::TcpStream::connect((guest.address, guest.host.port())).await.unwrap();
    assert_eq!(more.read(&mut [0; 8]).await.unwrap_or(0), 0, "closed at once");
    drop(idle);
    let back = async {
        while tokio::net::TcpStream::connect((guest.address, guest.host.port()))
            .await
            .unwrap()
            .read(&mut [0; 8])
            .await
            .unwrap_or(0)
            == 0
        {}
    };
    tokio::time::timeout(guest::DEADLINE, back).await.expect("there is room again");
    guest.host.halt().await;
}

#[tokio::test]
async fn files_by_sftp() {
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    let channel = client.0.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    let sftp = SftpSession::new(channel.into_stream()).await.unwrap();
    let home = guest.home().display().to_string();
    assert_eq!(sftp.canonicalize(".").await.unwrap(), home);
    sftp.create_dir("models").await.unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut file = sftp.create("models/m.pt").await.unwrap();
    file.write_all(&content).await.unwrap();
    file.shutdown().await.unwrap();
    assert_eq!(std::fs::read(guest.home().join("models/m.pt")).unwrap(), content);
    assert_eq!(sftp.metadata("models/m.pt").await.unwrap().size, Some(content.len() as u64));
    let mut file = sftp.open_with_flags("models/m.pt", OpenFlags::READ).await.unwrap();
    file.seek(std::io::SeekFrom::Start(8_000_000)).await.unwrap();
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, content[8_000_000..]);

    let mut attributes = sftp.metadata("models/m.pt").await.unwrap();
    (attributes.permissions, attributes.size, attributes.mtime, attributes.atime) =
        (Some(0o640), Some(10), Some(1_000_000), Some(1_000_000));
    sftp.set_metadata("models/m.pt", attributes).await.unwrap();
    let changed = sftp.metadata("models/m.pt").await.unwrap();
    assert_eq!(
        (changed.permissions.map(|mode| mode & 0o777), changed.size, changed.mtime),
        (Some(0o640), Some(10), Some(1_000_000))
    );

    sftp.write("other", b"").await.ok();
    std::fs::write(guest.home().join("other"), "o").unwrap();
    assert!(sftp.rename("models/m.pt", "other").await.is_err(), "what is there is not replaced");
    sftp.rename("models/m.pt", "models/n.pt").await.unwrap();
    // OpenSSH's order of arguments: the target comes first.
    sftp.symlink("n.pt", "models/link").await.unwrap();
    assert_eq!(sftp.read_link("models/link").await.unwrap(), "n.pt");
    assert!(sftp.symlink_metadata("models/link").await.unwrap().file_type().is_symlink());
    let mut names: Vec<String> = sftp.read_dir("models").await.unwrap().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["link", "n.pt"]);
    sftp.remove_file("models/link").await.unwrap();
    assert!(sftp.remove_dir("models").await.is_err(), "not empty");
    sftp.remove_file("models/n.pt").await.unwrap();
    sftp.remove_dir("models").await.unwrap();
    assert!(!sftp.try_exists("models").await.unwrap());
    assert!(sftp.open("models/none").await.is_err());
    drop(sftp);
    assert_eq!(client.output("echo fine").await, "fine\n");
    guest.host.halt().await;
}

#[tokio::test]
async fn a_data_set_is_fetched_on_the_instance() {
    let folder = tempfile::tempdir().unwrap();
    let datasets = Datasets::open(&folder.path().join("datasets")).await.unwrap();
    std::fs::write(folder.path().join("datasets/dogImages.zip"), vec![7; 300_000]).unwrap();
    let guest = Guest::boot(Like { datasets: Some(datasets.datasets_url().to_owned()), ..Like::default() }).await;
    let client = guest.login().await;
    // wget where this machine has it; Python has always something like it.
    let fetch = "wget -q \"$FOOTPLATE_DATASETS/dogImages.zip\" || \
        python3 -c 'import os, urllib.request as u; u.urlretrieve(os.environ[\"FOOTPLATE_DATASETS\"] + \"/dogImages.zip\", \"dogImages.zip\")'";
    client.output(fetch).await;
    assert_eq!(std::fs::read(guest.home().join("dogImages.zip")).unwrap(), vec![7; 300_000]);
    guest.host.halt().await;
}

#[tokio::test]
async fn vim_is_at_home_in_the_terminal() {
    if !skip::installed(&["vim"], "vim") {
        return;
    }
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    let mut shell = client.shell().await;
    shell.wait_for("$ ").await;
    shell.type_in("vim -u NONE -n note.txt\r").await;
    shell.wait_for("\x1b[?1049h").await;
    shell.wait_for("note.txt").await;
    shell.type_in("iwritten in vim\x1b:wq\r").await;
    shell.wait_for("\x1b[?1049l").await;
    guest.wait_for_file("note.txt", "written in vim\n").await;
    guest.host.halt().await;
}

#[tokio::test]
async fn tmux_keeps_what_runs_until_the_machine_ends() {
    if !skip::installed(&["tmux"], "tmux") {
        return;
    }
    let guest = Guest::boot(Like::default()).await;
    let client = guest.login().await;
    client.output("tmux new-session -d -s run 'echo $$ >in-tmux; exec sleep 1000'").await;
    guest.wait_for_file("in-tmux", "\n").await;
    let pid: i32 = std::fs::read_to_string(guest.home().join("in-tmux")).unwrap().trim().parse().unwrap();
    drop(client);
    assert!(guest.login().await.output("tmux list-sessions").await.starts_with("run: "));
    assert!(alive(pid));
    guest.host.halt().await;
    assert!(!alive(pid));
}

#[tokio::test]
async fn a_hostile_client_does_no_harm() {
    let guest = Guest::boot(Like::default()).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &vec![0xff; 70_000], b"SSH-2.0-x\r\n\xff\xff\xff\xff\x00\x14"] {
        let mut stream = tokio::net::TcpStream::connect((guest.address, guest.host.port())).await.unwrap();
        stream.write_all(garbage).await.ok();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(guest::DEADLINE, stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "the connection ends");
    }
    let client = guest.login().await;
    let channel = client.0.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    // An SFTP packet of 4 GiB, and none at all.
    channel.data_bytes(vec![0xff; 64]).await.unwrap();
    channel.eof().await.unwrap();
    let mut channel = channel;
    collect(&mut channel).await;
    assert_eq!(client.output("echo fine").await, "fine\n");
    guest.host.halt().await;
}

#[tokio::test]
async fn clients_that_leave_while_their_command_starts_do_not_stop_the_machine() {
    let guest = Guest::boot(Like::default()).await;
    for _ in 0..20 {
        let client = guest.login().await;
        for _ in 0..4 {
            let channel = client.0.channel_open_session().await.unwrap();
            channel.exec(false, "true").await.unwrap();
        }
        drop(client);
    }
    assert_eq!(guest.login().await.output("echo fine").await, "fine\n");
    tokio::time::timeout(guest::DEADLINE, guest.host.halt()).await.expect("ends");
}
