"""A terminal on an instance of the local region: from a key to its echo, and how fast a log runs through it."""
import itertools
import os
import re
import shutil
import subprocess
import time

from kit.region import Home, binary
from kit.table import Row, middle, tail
from kit.terminal import Terminal

# What is printed: lines as a training script has them.
LINES = 400_000
LOG = f"""python3 -c 'for n in range({LINES}): print(f"epoch {{n//1000:03}} step {{n:06}} loss={{2.5/(1+n/5000):.5f}} accuracy=0.91 lr=0.0010 mem=61%")'; echo do"ne" """
RUNS = itertools.count(1)
# More than is read at once.
PIECE = 70_000


def measure(quick):
    samples, rounds = (50, 1) if quick else (400, 5)
    with Home() as home:
        home.serve()
        ran = home.run("--local", "instance", "--yes", "--wait", "--json", "--set", "instance_type=t3.medium")
        instance = re.search(rb"i-[0-9a-f]+", ran.stdout).group().decode()
        ways = {"footplate, the pane": pane, "footplate ssh, tmux around it": around}
        echoes, speeds = {}, {name: [] for name in ways}
        for name, way in ways.items():
            with way(home, instance) as terminal:
                echoes[name] = echo(terminal, samples)
        for _ in range(rounds):
            for name, way in ways.items():
                with way(home, instance) as terminal:
                    speeds[name].append(run(terminal))
    rows = []
    for name, times in echoes.items():
        value, spread = tail(times)
        rows.append(Row(f"key to echo, {name}", value, "<= 1 ms more" if name.endswith("pane") else "", spread))
    for name, times in speeds.items():
        rate = [LINES * 75 / 1e6 / seconds for seconds in times]
        value, spread = middle(rate, "MB/s")
        rows.append(Row(f"a log of {LINES:,} lines, {name}", value, ">= 1 x" if name.endswith("pane") else "", spread))
    return rows


def pane(home, instance):
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


def around(home, instance):
    """What one has otherwise: tmux here, and in it a plain login over the same SSH server."""
    if not shutil.which("tmux"):
        raise RuntimeError("no tmux here")
    command = ["tmux", "-L", f"bench-{os.getpid()}-{time.monotonic_ns()}", "-f", "/dev/null", "new-session", binary(), "--local", "ssh", instance]
    terminal = Terminal(command, home.env, cwd=home.project)
    terminal.until(lambda heard: b"$" in heard)
    terminal.quiet(1.0)
    return terminal


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
    # Another word each time: a terminal that goes on still shows the last one's.
    done = f"done {next(RUNS)}."
    terminal.quiet(0.1)
    terminal.type(f"{LOG}{done[5:]}".encode())
    terminal.quiet(0.5)
    begun = time.perf_counter()
    terminal.type(b"\r")
    # Only what the last read may have brought: looking through all of it each time would take longer than the log.
    return terminal.until(lambda heard: done.encode() in heard[-PIECE:], 120) - begun
