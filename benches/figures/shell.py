"""A terminal on an instance of the local region: from a key to its echo, how fast a log runs through it, and how soon Ctrl-C ends a flood."""
import contextlib
import itertools
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kit.region import ROOT, Home, binary
from kit.table import Row, middle, share, tail
from kit.terminal import Terminal

sys.path.insert(0, str(ROOT / "tests" / "peers"))
import sshd  # noqa: E402

# What is printed: lines as a training script has them.
LINES = 400_000
LOG = f"""python3 -c 'for n in range({LINES}): print(f"epoch {{n//1000:03}} step {{n:06}} loss={{2.5/(1+n/5000):.5f}} accuracy=0.91 lr=0.0010 mem=61%")'; echo """
RUNS = itertools.count(1)
# More than is read at once.
PIECE = 70_000
PANE = "footplate, the pane"


def measure(quick):
    rounds, samples, runs, floods = (3, 20, 1, 3) if quick else (20, 25, 5, 10)
    with Home() as home, contextlib.ExitStack() as stack:
        home.serve()
        ran = home.run("--local", "instance", "--yes", "--wait", "--json", "--set", "instance_type=t3.medium")
        instance = re.search(rb"i-[0-9a-f]+", ran.stdout).group().decode()
        ways = {PANE: lambda: pane(home), "footplate ssh, tmux around it": lambda: around(home, [binary(), "--local", "ssh", instance])}
        if not sshd.missing():
            openssh = stack.enter_context(OpenSsh())
            ways["ssh localhost, tmux around it"] = lambda: around(home, openssh.command())
        return echoes(ways, rounds, samples) + logs(ways, runs) + [interrupted(ways[PANE], floods)]


def echoes(ways, rounds, samples):
    """All are open at once and take turns, so that what else the machine does touches all alike."""
    times = {name: [] for name in ways}
    with contextlib.ExitStack() as stack:
        terminals = {name: stack.enter_context(way()) for name, way in ways.items()}
        for _ in range(rounds):
            for name, terminal in terminals.items():
                times[name].append(echo(terminal, samples))
    rows = []
    for name, found in times.items():
        value, spread = tail(sum(found, []))
        row = Row(f"key to echo, {name}" if name == PANE else f"  beside it: {name}", value, "<= 1 ms more" if name == PANE else "", spread)
        if name != PANE:
            more = [share(ours, 0.5) - share(theirs, 0.5) for ours, theirs in zip(times[PANE], found)]
            row.peer = f"the pane takes {statistics.median(more):.2f} ms more: median over {rounds} rounds of its p50 less theirs"
        rows.append(row)
    return rows


def logs(ways, runs):
    speeds = {name: [] for name in ways}
    for _ in range(runs):
        for name, way in ways.items():
            with way() as terminal:
                speeds[name].append(LINES * 75 / 1e6 / run(terminal))
    rows = []
    for name, rates in speeds.items():
        value, spread = middle(rates, "MB/s")
        row = Row(f"a log of {LINES:,} lines, {name}" if name == PANE else f"  beside it: {name}", value, ">= 1 x" if name == PANE else "", spread)
        if name != PANE:
            row.peer = f"the pane does {statistics.median([ours / theirs for ours, theirs in zip(speeds[PANE], rates)]):.2f} x its MB/s"
        rows.append(row)
    return rows


def interrupted(way, floods):
    """From Ctrl-C in the flood of `yes` to the prompt."""
    times = []
    with way() as terminal:
        for _ in range(floods):
            terminal.type(b"yes\r")
            terminal.drain(1.5)
            times.append(terminal.press(b"\x03", lambda heard: b"$" in heard))
            terminal.quiet(0.5)
    value, spread = middle(times)
    return Row("Ctrl-C while yes runs, to the prompt, the pane", value, "<= 200 ms", spread)


def pane(home):
    """The cockpit with a terminal over the whole screen."""
    terminal = home.cockpit()
    terminal.until(lambda heard: b"running" in heard)
    terminal.quiet(0.5)
    terminal.type(b"4")
    terminal.until(lambda heard: b"t3.medium" in heard)
    terminal.quiet(0.3)
    terminal.type(b"s")
    terminal.until(lambda heard: b"$" in heard)
    terminal.quiet(1.0)
    return terminal


def around(home, command):
    """What one has otherwise: tmux here, and in it a plain login."""
    if not shutil.which("tmux"):
        raise RuntimeError("no tmux here")
    tmux = ["tmux", "-L", f"bench-{os.getpid()}-{time.monotonic_ns()}", "-f", "/dev/null", "new-session"]
    terminal = Terminal([*tmux, *map(str, command)], home.env, cwd=home.project)
    terminal.until(lambda heard: b"$" in heard or b"# " in heard)
    terminal.quiet(1.0)
    return terminal


class OpenSsh:
    """OpenSSH on both ends, on loopback."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="footplate-bench-"))
        self.server = sshd.Sshd(self.folder).start()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / "key"], check=True)
        return self

    def command(self):
        # The key counts for 60 seconds.
        shutil.copyfile(self.folder / "key.pub", self.server.keys)
        options = ["-oStrictHostKeyChecking=no", f"-oUserKnownHostsFile={self.folder}/known", "-oLogLevel=ERROR", "-oBatchMode=yes", "-F", "none"]
        return ["ssh", *options, "-i", self.folder / "key", "-p", self.server.port, f"{self.server.user}@127.0.0.1"]

    def __exit__(self, *_):
        self.server.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def echo(terminal, samples):
    """A letter each time, until something of it is there; every so often the line is emptied."""
    times = []
    for n in range(samples):
        if n % 40 == 39:
            terminal.type(b"\x15")
        terminal.quiet(0.01)
        times.append(terminal.press(b"x", lambda heard: b"x" in heard))
    terminal.type(b"\x15")
    terminal.quiet(0.1)
    return times


def run(terminal):
    """Seconds from Enter to the last line on the screen."""
    # Another word each time, as a terminal that goes on still shows the last one's; in letters that no line of the log has in
    # these columns, as only what differs is drawn.
    number = next(RUNS)
    done = f"QZ{chr(65 + number // 26)}{chr(65 + number % 26)}X".encode()
    terminal.quiet(0.1)
    terminal.type(LOG.encode() + done[:2] + b'""' + done[2:])
    terminal.quiet(0.5)
    begun = time.perf_counter()
    terminal.type(b"\r")
    # Only what the last read may have brought: looking through all of it each time would take longer than the log.
    return terminal.until(lambda heard: done in heard[-PIECE:], 120) - begun
