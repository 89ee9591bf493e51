"""From exec to the first frame that shows a row: from the cache, on AWS mode, without a network."""
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from kit.region import Home, binary, read_all
from kit.table import Row, middle
from kit.terminal import Terminal, plain

ROWS = 1000
# Nobody's keys. No call with them leaves the machine: there is no network where the program runs.
KEYS = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40, "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}


def measure(quick):
    runs = 5 if quick else 20
    with Home() as home:
        cached(home)
        env = home.env | KEYS
        newest = b"bench-seed"
        first, offline = [], False
        for _ in range(runs):
            with Terminal([binary(), "--project", str(home.project)], env, offline=True) as cockpit:
                first.append((cockpit.until(lambda heard: newest in plain(bytes(heard))) - cockpit.started) * 1000)
                offline = cockpit.offline
        beside = peers(home, env, runs)
        median, spread = middle(first)
        where = "network namespace with nothing in it" if offline else "network as on this machine"
        rows = [Row(f"first frame from the cache, {ROWS:,} jobs", median, "<= 50 ms", spread, where)]
        for name, samples in beside.items():
            value, spread = middle(samples)
            ratio = statistics.median(samples) / statistics.median(first)
            rows.append(Row(f"  beside it: {name}", value, "", spread, f"{ratio:.1f} x footplate's first frame"))
        return rows


def cached(home):
    """Has the cockpit itself write its cache, on the local region, and puts it where AWS mode looks for its own."""
    home.serve().fill(ROWS)
    with home.cockpit() as cockpit:
        read_all(cockpit, ROWS)
    folder = home.folder / "cache" / "footplate"
    deadline = time.monotonic() + 10
    while not (folder / "local" / "training-jobs.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    kept = json.loads((folder / "local" / "training-jobs.json").read_text())["items"]
    if len(kept) < ROWS:
        raise RuntimeError(f"the cache holds {len(kept)} rows instead of {ROWS}")
    shutil.copytree(folder / "local", folder / "default-us-east-1")


def peers(home, env, runs):
    """Programs that people start all day, on the same terminal: to their end, or to their first text."""
    page = home.folder / "page.txt"
    page.write_text("".join(f"row-{n:05}\n" for n in range(ROWS)))
    ends = {"footplate --version": [binary(), "--version"], "python3 -c pass": [sys.executable, "-c", "pass"], "aws --version": [aws(), "--version"]}
    opens = {"less, a file of 1,000 lines": ["less", str(page)], "vim -u NONE, the same file": ["vim", "-u", "NONE", str(page)]}
    server = f"footplate-bench-{home.folder.name}"
    opens["tmux new-session (new server), the same file"] = ["tmux", "-L", server, "-f", "/dev/null", "new-session", f"cat {page}; sleep 60"]
    out = {}
    for name, command in (ends | opens).items():
        if not shutil.which(command[0]):
            continue
        for _ in range(runs):
            with Terminal(command, env) as program:
                seen = (lambda heard: b"row-0" in heard) if name in opens else (lambda heard: False)
                try:
                    at = program.until(seen)
                except EOFError:
                    at = time.perf_counter()
                out.setdefault(name, []).append((at - program.started) * 1000)
            if command[0] == "tmux":
                subprocess.run(["tmux", "-L", server, "kill-server"], env=env, stderr=subprocess.DEVNULL)
    return out


def aws():
    """The AWS CLI itself, past a version manager's shim, where it stands beside this interpreter."""
    beside = Path(sys.executable).with_name("aws")
    return str(beside) if beside.exists() else "aws"
