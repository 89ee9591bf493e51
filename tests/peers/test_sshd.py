"""footplate's SSH client against OpenSSH's server: what it is for, and what may befall it."""
import os
import shutil
import signal
import subprocess
import time

import pytest
import sshd
from sshd import Client, Sshd

pytestmark = pytest.mark.skipif(sshd.missing() is not None, reason=str(sshd.missing()))
GIGABYTE = 1 << 30


@pytest.fixture(scope="session")
def program():
    return sshd.driver()


@pytest.fixture
def client(program):
    client = Client(program)
    yield client
    client.stop()


@pytest.fixture
def server(tmp_path):
    server = Sshd(tmp_path).start()
    yield server
    server.stop()


def opened(client, server, **given):
    """Opens connection `a`, with the key announced, and says what came of it."""
    given = {"on": "a", "address": f"127.0.0.1:{server.port}", "user": server.user, "folder": str(server.folder), "keys": str(server.keys), **given}
    return client.open(**given)


def connect(client, server, **given):
    answer = opened(client, server, **given)
    assert "failed" not in answer, (answer, server.said())
    return answer


def wait_for_file(path, content):
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text() == content):
        assert time.monotonic() < deadline, path.read_text() if path.exists() else f"no {path}"
        time.sleep(0.02)


def test_an_announced_key_lets_in(client, server):
    answer = connect(client, server)
    assert answer["asked"] == [server.fingerprint()], "the fingerprint is the one that ssh-keygen shows"
    assert answer["introduced"] == 1 and answer["server"].startswith("SSH-2.0-OpenSSH")
    ran = client.run(on="a", command="cat; echo out; echo err >&2; exit 7", input="in ")
    assert ran == {"status": 7, "signal": None, "out": "in out\n", "err": "err\n"}
    assert client.run(on="a", command="kill -TERM $$")["signal"] == "TERM"
    assert connect(client, server)["asked"] == [], "the host key is pinned"


def test_a_command_that_nobody_listens_to_is_ended(client, server):
    connect(client, server)
    # It writes: where sshd does not part with its privileges (root's own login), it delivers no SIGTERM.
    pid = client.glimpse(on="a", command="echo $$; while :; do sleep 0.05; echo tick; done")["out"].split()[0]
    deadline = time.monotonic() + 10
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.02)
    assert client.run(on="a", command="echo on")["out"] == "on\n", "the connection stands"


def test_without_an_announced_key_nobody_is_let_in(client, server):
    answer = opened(client, server, keys=None)
    assert answer["failed"] == "Denied" and "publickey" in answer["hint"], answer
    answer = opened(client, server, late=9)
    assert answer["failed"] == "Denied" and "60 seconds" in answer["hint"], "a key that is 61 seconds old"
    assert answer["introduced"] == 2
    assert connect(client, server, late=1)["introduced"] == 2, "announced again, it is let in"
    answer = opened(client, server, user="nobody-here")
    assert answer["failed"] == "Denied" and "nobody-here" in answer["what"] and "ec2-user" in answer["hint"], answer


def terminal(client, server):
    connect(client, server)
    answer = client.shell(on="a", columns=80, rows=24, command="/bin/sh")
    if "failed" in answer and os.geteuid() != 0:
        pytest.skip(f"sshd gives no terminals without root here: {answer['what']}")
    assert answer == {}


def test_a_terminal_has_the_size_it_is_given(client, server):
    terminal(client, server)
    client.type(text="tty; stty size; echo $TERM\r")
    assert "/dev/pts/" in client.shows("24 80\r\n")["shown"]
    client.shows("xterm-256color\r\n")
    client.resize(columns=132, rows=50)
    client.type(text="stty size\r")
    client.shows("50 132\r\n")
    client.type(text="exit 3\r")
    assert client.finish() == {"status": 3, "signal": None}


def test_ctrl_c_under_a_flood_is_felt_at_once(client, server):
    terminal(client, server)
    client.type(text="stty -echoctl; yes | head -c 200000000; echo don''e\r")
    client.shows("y\r\ny\r\ny\r\n")
    client.type(text="\x03")
    answer = client.shows("# " if os.geteuid() == 0 else "$ ")
    assert answer["seconds"] < 5 and "done" not in answer["shown"], answer


@pytest.mark.skipif(shutil.which("vim") is None, reason="vim is not installed")
def test_vim_edits_a_file(client, server, tmp_path):
    terminal(client, server)
    client.type(text=f"vim -u NONE -N {tmp_path}/text\r")
    client.shows("[New")
    client.type(text="ihello from vim\x1b:wq\r")
    wait_for_file(tmp_path / "text", "hello from vim\n")


def test_a_gigabyte_comes_through_while_keys_are_renewed(client, tmp_path):
    server = Sshd(tmp_path, "RekeyLimit 16M", "LogLevel DEBUG1").start()
    try:
        connect(client, server, bulk=True)
        answer = client.pull(on="a", command="head -c 1G /dev/zero")
        assert (answer.get("bytes"), answer.get("status")) == (GIGABYTE, 0), answer
        answer = client.push(on="a", command="wc -c", bytes=100_000_000)
        assert (answer.get("out", "").strip(), answer.get("status")) == ("100000000", 0), answer
        assert server.said().count("SSH2_MSG_NEWKEYS received") > 60, "the keys were renewed on the way"
    finally:
        server.stop()


def test_a_connection_that_is_killed_is_noticed_at_once(client, server):
    connect(client, server)
    server.signal_sessions(signal.SIGKILL)
    answer = client.ended(on="a")
    assert answer["failed"] == "Network" and answer["seconds"] < 2, answer
    assert client.run(on="a", command="true")["failed"] == "Network"
    connect(client, server)
    assert client.run(on="a", command="echo again")["out"] == "again\n"


def test_a_line_that_is_dead_is_noticed_within_twenty_seconds(client, server):
    connect(client, server)
    stopped = server.signal_sessions(signal.SIGSTOP)
    try:
        answer = client.ended(on="a")
        assert answer["failed"] == "Timeout" and 5 < answer["seconds"] < 20, answer
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_a_host_key_that_changes_is_a_hard_stop(client, server):
    connect(client, server)
    before = server.fingerprint()
    for kind in ("ed25519", "ecdsa"):
        server.stop()
        server.new_host_key(kind)
        server.start()
        answer = opened(client, server)
        assert answer["failed"] == "Refused" and "HAS CHANGED" in answer["what"], answer
        assert before in answer["what"] and server.fingerprint() in answer["what"], answer
        assert answer["introduced"] == 0 and answer["asked"] == [], "nothing was announced, nobody asked"
    assert client.forget(folder=str(server.folder)) == {"forgot": True}
    assert connect(client, server)["asked"] == [server.fingerprint()]


def test_files_go_both_ways_and_are_continued(client, server, tmp_path):
    connect(client, server, bulk=True)
    here, there, back = tmp_path / "here", tmp_path / "there", tmp_path / "back"
    content = os.urandom(30_000_000)
    here.write_bytes(content)
    here.chmod(0o750)
    there.write_text("is replaced")
    assert client.put(on="a", local=str(here), remote=str(there))["from"] == 0
    assert there.read_bytes() == content and there.stat().st_mode & 0o777 == 0o750
    answer = client.get(on="a", local=str(back), remote=str(there))
    assert answer["from"] == 0 and answer["size"] == len(content)
    assert back.read_bytes() == content

    # As a transfer leaves it that broke off half-way.
    half = len(content) // 2
    about = here.stat()
    sent = tmp_path / f"there.{about.st_size:x}-{int(about.st_mtime):x}{about.st_mtime_ns % 10**9:08x}.part"
    there.unlink()
    sent.write_bytes(content[:half])
    assert client.put(on="a", local=str(here), remote=str(there))["from"] == half
    assert there.read_bytes() == content and not sent.exists()
    about = there.stat()
    back.unlink()
    (tmp_path / f"back.{about.st_size:x}-{int(about.st_mtime):x}.part").write_bytes(content[:half])
    assert client.get(on="a", local=str(back), remote=str(there))["from"] == half
    assert back.read_bytes() == content
    assert client.get(on="a", local=str(tmp_path / "none"), remote="/not/there")["failed"] == "NotFound"
    if os.geteuid() != 0:
        assert client.put(on="a", local=str(here), remote="/root/file")["failed"] == "Denied"


def test_a_place_that_cannot_be_written_to_is_told(client, server, tmp_path):
    here = tmp_path / "here"
    here.write_bytes(b"x" * 100_000)
    connect(client, server)
    for remote, kind in (("/dev/full/x", "NotFound"), (str(tmp_path / "no folder/x"), "NotFound"), (str(tmp_path), "Invalid")):
        answer = client.put(on="a", local=str(here), remote=remote)
        assert answer.get("failed") == kind, answer
    assert list(tmp_path.glob("*.part")) == [] and list(tmp_path.parent.glob("*.part")) == []
    assert client.run(on="a", command="echo still here")["out"] == "still here\n"


def test_a_folder_is_fetched(client, server, tmp_path):
    (tmp_path / "out/logs").mkdir(parents=True)
    (tmp_path / "out/model").write_text("model")
    (tmp_path / "out/logs/log").write_text("log")
    (tmp_path / "out/away").symlink_to("/etc")
    connect(client, server)
    assert client.get_folder(on="a", local=str(tmp_path / "results"), remote=str(tmp_path / "out")) == {"files": 2}
    assert (tmp_path / "results/logs/log").read_text() == "log" and not (tmp_path / "results/away").exists()


def test_folders_are_copied_both_ways_and_only_what_has_changed(client, server, tmp_path):
    data = tmp_path / "data"
    (data / "deep").mkdir(parents=True)
    (data / "deep/model").write_bytes(os.urandom(3_000_000))
    (data / "run.sh").write_text("#!/bin/sh\n")
    (data / "run.sh").chmod(0o750)
    (data / "away").symlink_to("/etc")
    connect(client, server, bulk=True)
    there = tmp_path / "there/new"
    to = {"from": [str(data)], "to": f"{there}/"}
    assert client.send_all(on="a", **to) == {"sent": 2, "unchanged": 0, "left_out": 1}
    assert (there / "data/deep/model").read_bytes() == (data / "deep/model").read_bytes()
    assert (there / "data/run.sh").stat().st_mode & 0o777 == 0o750
    (data / "run.sh").chmod(0o640)
    assert client.send_all(on="a", **to) == {"sent": 0, "unchanged": 2, "left_out": 1}
    assert (there / "data/run.sh").stat().st_mode & 0o111 == 0, "who may execute it is seen to"
    back = {"from": [f"{there}/data/"], "to": str(tmp_path / "back")}
    assert client.fetch_all(on="a", **back) == {"sent": 2, "unchanged": 0, "left_out": 0}
    assert client.fetch_all(on="a", **back) == {"sent": 0, "unchanged": 2, "left_out": 0}
    assert (tmp_path / "back/deep/model").read_bytes() == (data / "deep/model").read_bytes()


def test_a_full_disk_is_told_by_its_name(client, server, tmp_path):
    disk, here = tmp_path / "disk", tmp_path / "here"
    disk.mkdir()
    here.write_bytes(b"x" * 6_000_000)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=777", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small disk")
    try:
        connect(client, server)
        answer = client.put(on="a", local=str(here), remote=str(disk / "there"))
        assert answer["failed"] == "Service" and "its disk is full" in answer["what"], answer
        assert list(disk.iterdir()) == []
    finally:
        client.close(on="a")
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
