//! OpenSSH's own clients, `ssh`, `scp` and `sftp`, against a machine. Without them on this machine nothing is tested here.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use footplate::local::host::HostEnvironment;
use russh::keys::ssh_key::LineEnding;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::guest::{DEADLINE, Guest, INSTANCE, Like, new_key};

/// A key in a file, and the host keys of the console as the only known ones.
struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new(guest: &Guest) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = new_key();
        guest.keys.push(INSTANCE, "ubuntu", &key.public_key().to_openssh().unwrap());
        key.write_openssh_file(folder.path().join("key"), LineEnding::LF).unwrap();
        let console = guest.host.console().replace('\r', "");
        let from = console.find("-----BEGIN SSH HOST KEY KEYS-----\n").unwrap();
        let until = console.find("-----END SSH HOST KEY KEYS-----").unwrap();
        let name = format!("[{}]:{}", guest.address, guest.host.port());
        let name = if guest.host.port() == 22 { guest.address.to_string() } else { name };
        let known: Vec<String> = console[from..until].lines().skip(1).map(|line| format!("{name} {line}")).collect();
        std::fs::write(folder.path().join("known_hosts"), known.join("\n") + "\n").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `ssh`, `scp` or `sftp` with only these files; the port is named as each of them wants it.
    fn client(&self, guest: &Guest, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-F", "none", if program == "ssh" { "-p" } else { "-P" }, &guest.host.port().to_string(), "-i"]);
        command.arg(self.path("key"));
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        for option in ["BatchMode=yes", "StrictHostKeyChecking=yes", "GlobalKnownHostsFile=none", "IdentitiesOnly=yes", &known] {
            command.args(["-o", option]);
        }
        command.env_remove("SSH_AUTH_SOCK").kill_on_drop(true).stdin(Stdio::null());
        command
    }
}

/// The user and address, as a word for the clients.
fn target(guest: &Guest) -> String {
    format!("ubuntu@{}", guest.address)
}

async fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let output = tokio::time::timeout(DEADLINE, command.output()).await.expect("ends").expect("runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn is_there() -> bool {
    crate::skip::installed(&["ssh", "scp", "sftp"], "openssh-client")
}

fn noise(path: &Path, bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(bytes / 8)
    .flatten()
    .collect();
    std::fs::write(path, &content).unwrap();
    content
}

#[tokio::test]
async fn ssh_logs_in_and_knows_the_host_by_its_console() {
    if !is_there() {
        return;
    }
    let guest = Guest::boot(Like { environment: HostEnvironment::CondaPytorch, ..Like::default() }).await;
    let files = Files::new(&guest);
    let (code, out, err) =
        output(files.client(&guest, "ssh").arg(target(&guest)).arg("source activate pytorch && python -V; exit 9")).await;
    assert_eq!((code, out.starts_with("Python 3.")), (Some(9), true), "{out}{err}");
    // With a terminal, whose size ssh has none of its own to ask for.
    let (code, out, err) = output(files.client(&guest, "ssh").arg("-tt").arg(target(&guest)).arg("tty")).await;
    assert_eq!((code, out.starts_with("/dev/pts/")), (Some(0), true), "{out}{err}");
    // A key that was never pushed.
    new_key().write_openssh_file(files.path("key"), LineEnding::LF).unwrap();
    let (code, _, err) = output(files.client(&guest, "ssh").arg(target(&guest)).arg("true")).await;
    assert_eq!(code, Some(255));
    assert!(err.contains("Permission denied (publickey)"), "{err}");
    guest.host.halt().await;
}

#[tokio::test]
async fn ssh_logs_in_with_an_rsa_key_of_the_launch() {
    if !is_there() {
        return;
    }
    let keys = tempfile::tempdir().unwrap();
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "rsa", "-b", "2048", "-N", "", "-f"]).arg(keys.path().join("rsa")).stdin(Stdio::null());
    let (code, _, err) = output(&mut keygen).await;
    assert_eq!(code, Some(0), "{err}");
    let public = std::fs::read_to_string(keys.path().join("rsa.pub")).unwrap();
    let guest = Guest::boot(Like { launch_key: Some(public.trim().to_owned()), ..Like::default() }).await;
    let files = Files::new(&guest);
    std::fs::copy(keys.path().join("rsa"), files.path("key")).unwrap();
    let (code, out, err) = output(files.client(&guest, "ssh").arg(target(&guest)).arg("echo $USER")).await;
    assert_eq!((code, out.as_str()), (Some(0), "ubuntu\n"), "{err}");
    // SHA-1 signs no more.
    let mut old = files.client(&guest, "ssh");
    let (code, _, _) = output(old.args(["-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]).arg(target(&guest)).arg("true")).await;
    assert_eq!(code, Some(255));
    guest.host.halt().await;
}

#[tokio::test]
async fn ssh_streams_both_ways_at_once() {
    if !is_there() {
        return;
    }
    let guest = Guest::boot(Like::default()).await;
    let files = Files::new(&guest);
    let content = noise(&files.path("sent"), 64 << 20);
    let mut client = files.client(&guest, "ssh");
    let mut child = client.arg(target(&guest)).arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = content.clone();
    let sending = tokio::spawn(async move { stdin.write_all(&sent).await });
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output()).await.expect("ends").unwrap();
    sending.await.unwrap().unwrap();
    assert!(output.stdout == content, "the same bytes come back");
    guest.host.halt().await;
}

#[tokio::test]
async fn scp_copies_a_hundred_megabytes_both_ways() {
    if !is_there() {
        return;
    }
    let guest = Guest::boot(Like::default()).await;
    let files = Files::new(&guest);
    let content = noise(&files.path("model.pt"), 100 << 20);
    let there = format!("{}:copied.pt", target(&guest));
    let (code, _, err) = output(files.client(&guest, "scp").arg(files.path("model.pt")).arg(&there)).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(std::fs::read(guest.home().join("copied.pt")).unwrap() == content);
    let (code, _, err) = output(files.client(&guest, "scp").arg("-p").arg(&there).arg(files.path("back.pt"))).await;
    assert_eq!(code, Some(0), "{err}");
    assert!(std::fs::read(files.path("back.pt")).unwrap() == content);
    let (code, _, err) =
        output(files.client(&guest, "scp").arg(format!("{}:none", target(&guest))).arg(files.path("none"))).await;
    assert_ne!(code, Some(0));
    assert!(err.contains("No such file"), "{err}");
    guest.host.halt().await;
}

#[tokio::test]
async fn sftp_knows_its_way_about() {
    if !is_there() {
        return;
    }
    let guest = Guest::boot(Like::default()).await;
    let files = Files::new(&guest);
    std::fs::write(files.path("here.txt"), "content").unwrap();
    let here = files.path("here.txt");
    let batch = format!(
        "pwd\nmkdir TrainedModels\ncd TrainedModels\nput {here}\nchmod 600 here.txt\nrename here.txt there.txt\nln -s there.txt link\nls -l\nget link {back}\nput {here} other.txt\nrename other.txt there.txt\nrm link\n-rm none\nls -la\n",
        here = here.display(),
        back = files.path("back.txt").display(),
    );
    std::fs::write(files.path("batch"), batch).unwrap();
    let (code, out, err) = output(files.client(&guest, "sftp").arg("-b").arg(files.path("batch")).arg(target(&guest))).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains(&format!("Remote working directory: {}", guest.home().display())), "{out}");
    assert!(out.contains("-rw-------") && out.contains("there.txt"), "{out}");
    assert_eq!(std::fs::read(files.path("back.txt")).unwrap(), b"content");
    let left: Vec<_> =
        std::fs::read_dir(guest.home().join("TrainedModels")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["there.txt"]);
    guest.host.halt().await;
}
