"""A local region served by a process of its own, filled with jobs, and cockpits on it."""
import collections
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .terminal import Terminal, plain

ROOT = Path(__file__).resolve().parents[2]
PROJECT = """
[code]
source_dir = "code"
entry_point = "train.py"
framework = "pytorch"
framework_version = "1.9"
py_version = "py38"
[training]
instance_type = "ml.m5.2xlarge"
[training.hyperparameters]
lines = 5
rate = 0
"""
# Prints `lines` lines at `rate` a second (0: at once), then one of a mark that nothing else has, by rate.
# Lower case only.
SCRIPT = """
import sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
lines, rate, begun = int(given["--lines"]), int(given["--rate"]), time.time()
for n in range(lines):
    print(f"epoch {n // 1000:03} step {n:06} loss={2.5 / (1 + n / 5000):.5f} accuracy={1 - 1 / (1 + n / 20000):.4f} lr=0.0010 samples/s={900 + n * 7 % 97} mem={n * 13 % 61}%")
    if rate and n % max(1, rate // 50) == 0:
        time.sleep(max(0, begun + n / rate - time.time()))
print({1: "^", 10: "~"}.get(rate, "@") * 40, flush=True)
"""


def binary():
    """The program that is measured."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    path = Path(os.environ.get("FOOTPLATE_BIN") or target / "release" / "footplate")
    if not path.is_file():
        sys.exit(f"no footplate program at {path}: build it with 'cargo build --release', or name it in FOOTPLATE_BIN")
    return str(path.resolve())


class Home:
    """A home folder of its own for the program, with its settings, cache and region."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="footplate-bench-"))
        self.project = self.folder / "project"
        (self.project / "code").mkdir(parents=True)
        (self.project / "footplate.toml").write_text(PROJECT)
        (self.project / "code" / "train.py").write_text(SCRIPT)
        steers = ("AWS_", "XDG_", "FOOTPLATE_", "LC_", "NO_COLOR")
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(steers)}
        self.env |= {"HOME": str(self.folder), "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
        for kind in ("CONFIG", "STATE", "CACHE", "DATA"):
            self.env[f"XDG_{kind}_HOME"] = str(self.folder / kind.lower())
        self.data = self.folder / "data" / "footplate" / "local"
        self.served = None

    def pace(self, factor):
        """The cockpit's poll periods: 1 is the rhythm that AWS is asked in; the local region's own is 0.1."""
        config = self.folder / "config" / "footplate"
        config.mkdir(mode=0o700, parents=True, exist_ok=True)
        (config / "config.toml").write_text(f"poll = {factor * 10}\n")

    def run(self, *args, **more):
        return subprocess.run([binary(), *args], env=self.env, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)

    def serve(self):
        """Serves the region; waits only a hundredth between a job's statuses."""
        command = [binary(), "local", "serve", "--speed", "100"]
        self.served = subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.project)
        self.served.stdout.readline()
        return self

    def train(self, name, lines, rate=0, wait=True):
        """A real job of the script above."""
        command = ["train", "--local", "--yes", "--project", str(self.project), "--name", name]
        self.run(*command, "--set", f"hyperparameters.lines={lines}", "--set", f"hyperparameters.rate={rate}", *(["--wait"] if wait else []))

    def fill(self, count):
        """Finished jobs, copies of a real one, as if one had been launched every ten minutes."""
        self.train("bench-seed", 5)
        file = next(self.data.rglob("sagemaker.sqlite"))
        db = sqlite3.connect(file, timeout=10)
        (text,) = db.execute("SELECT document FROM jobs").fetchone()
        seed = json.loads(text)
        nets = ["resnet", "bert", "vit", "unet", "gpt", "xgb", "lstm", "clip"]
        rows = []
        for n in range(1, count):
            name = f"{nets[n % 8]}-{n:05}-run"
            document = moved(seed, n * 600) | {"TrainingJobName": name}
            document["TrainingJobArn"] = seed["TrainingJobArn"].replace(seed["TrainingJobName"], name)
            created = millis(document["CreationTime"])
            rows.append((name, created, millis(document["LastModifiedTime"]), document["TrainingJobStatus"], json.dumps(document)))
        with db:
            db.executemany("INSERT INTO jobs VALUES (?, ?, ?, ?, ?)", rows)
        db.close()
        return self

    def cockpit(self, *args, env=None, **more):
        command = [binary(), "--local", "--project", str(self.project), *args]
        return Terminal(command, self.env | (env or {}), **more)

    def count(self):
        """Puts a counter between cockpits and the region; call what it returns for the calls so far."""
        real, tally = self.data / "door.real", self.folder / "tally"
        (self.data / "door.sock").rename(real)
        script = Path(__file__).with_name("counter.py")
        self.counter = subprocess.Popen([sys.executable, str(script), str(self.data / "door.sock"), str(real), str(tally)])
        while not (self.data / "door.sock").exists():
            time.sleep(0.01)
        return lambda: collections.Counter(tally.read_text().split()) if tally.exists() else collections.Counter()

    def close(self):
        for process in (getattr(self, "counter", None), self.served):
            if process:
                process.terminate()
                process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def moved(value, seconds):
    """A document with all its times that much earlier. Times are numbers of about now."""
    if isinstance(value, dict):
        return {name: moved(member, seconds) for name, member in value.items()}
    if isinstance(value, list):
        return [moved(member, seconds) for member in value]
    return value - seconds if isinstance(value, (int, float)) and value > 1e9 else value


def millis(seconds):
    return int(seconds * 1000)


def read_all(terminal, count):
    """Has the cockpit read its whole history: it reads one page more whenever it looks."""
    terminal.until(lambda heard: b"bench-seed" in plain(bytes(heard)))
    want = f"{count:,}".encode()
    for turn in range(200):
        for _ in range(15):
            terminal.type(b"r")
            terminal.drain(0.03)
        terminal.quiet(0.05, 1)
        # Another size: everything is drawn anew, so the number stands there in one piece.
        terminal.resize((50, 199 + turn % 2))
        terminal.settle(0.2, 2)
        if want in plain(bytes(terminal.heard)) and want + b"+" not in plain(bytes(terminal.heard)):
            return
    raise TimeoutError(f"the cockpit never had {count} rows")
