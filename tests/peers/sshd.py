"""OpenSSH's sshd on loopback with a configuration of its own, and footplate's SSH client under our hand."""
import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Its own binary has to be named by its full path: it starts itself anew for each connection.
SSHD = next((path for path in ("/usr/sbin/sshd", "/usr/local/sbin/sshd") if os.access(path, os.X_OK)), None)
FIND = shutil.which("find")


def missing():
    """Why there can be no sshd here; None when there can."""
    if SSHD is None:
        return "OpenSSH's server is not installed (Debian: apt-get install openssh-server)"
    if shutil.which("ssh-keygen") is None:
        return "ssh-keygen is not installed (Debian: apt-get install openssh-client)"
    if os.geteuid() == 0:
        # Where it parts with its privileges; the package's service makes it.
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    return None


class Sshd:
    """A server that lets in whoever has a key in `keys` that is no older than 60 seconds, as EC2 Instance Connect does."""

    def __init__(self, folder, *settings, kind="ed25519"):
        self.folder, self.settings, self.process = Path(folder), settings, None
        self.user = getpass.getuser()
        self.keys = self.folder / "keys" / self.user
        self.keys.parent.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.new_host_key(kind)

    def new_host_key(self, kind="ed25519"):
        for old in self.folder.glob("host_key*"):
            old.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", self.folder / "host_key"], check=True)

    def fingerprint(self):
        shown = subprocess.run(["ssh-keygen", "-l", "-f", self.folder / "host_key.pub"], check=True, capture_output=True, text=True)
        return shown.stdout.split()[1]

    def start(self):
        config = self.folder / "sshd_config"
        lines = [
            "ListenAddress 127.0.0.1",
            f"Port {self.port}",
            f"HostKey {self.folder}/host_key",
            f"PidFile {self.folder}/pid",
            "UsePAM no",
            "PermitRootLogin yes",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "AuthorizedKeysFile none",
            f"AuthorizedKeysCommand {FIND} {self.keys.parent} -name %u -type f -newermt -60seconds -exec cat {{}} +",
            f"AuthorizedKeysCommandUser {self.user}",
            "Subsystem sftp internal-sftp",
            "PrintMotd no",
            "PrintLastLog no",
            *self.settings,
        ]
        config.write_text("\n".join(lines) + "\n")
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stderr=self.log, stdout=self.log, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"sshd does not start:\n{self.said()}") from None
                time.sleep(0.05)

    def said(self):
        return (self.folder / "log").read_text(errors="replace")

    def sessions(self):
        """The processes that serve connections: those below the listener."""
        parents = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
        found, below = [], {self.process.pid}
        while below:
            below = {child for child, parent in parents.items() if parent in below}
            found += below
        return [pid for pid in found if is_sshd(pid)]

    def signal_sessions(self, number):
        served = self.sessions()
        assert served, "a connection is being served"
        for pid in served:
            os.kill(pid, number)
        return served

    def stop(self):
        if self.process is None:
            return
        served = self.sessions()
        self.process.terminate()
        self.process.wait(10)
        for pid in served:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.log.close()
        self.process = None


def is_sshd(pid):
    try:
        return "sshd" in os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return False  # it has just ended


def driver():
    """The test program that has the entry `driver::driven`; the Rust tests have built it."""
    if there := os.environ.get("FOOTPLATE_SSH_DRIVER"):
        return there
    built = subprocess.run(
        ["cargo", "test", "--release", "--locked", "--test", "ssh", "--no-run", "--message-format=json"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    messages = map(json.loads, built.stdout.splitlines())
    return next(message["executable"] for message in messages if message.get("executable") and message["target"]["name"] == "ssh")


class Client:
    """footplate's SSH client: `client.run(on="a", command="…")` asks and returns its answer as a dictionary."""

    def __init__(self, program):
        command = [program, "--ignored", "--exact", "driver::driven", "--nocapture", "--test-threads=1"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __getattr__(self, name):
        def ask(**given):
            self.process.stdin.write(json.dumps({"do": name, **given}) + "\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line.startswith("@@"):
                    answer = json.loads(line[2:])
                    assert "misunderstood" not in answer, answer
                    return answer
            raise EOFError("the client has ended")

        return ask

    def shows(self, text):
        """Waits until the terminal has shown this, after what was waited for before."""
        answer = self.expect(text=text)
        assert "failed" not in answer, answer
        return answer

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
