"""Uploading a folder of small files: footplate beside s5cmd and the aws CLI, each into the same local region, one after the other."""
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from kit.region import Home, binary
from kit.table import Row, middle

FILES, MEAN = 8000, 125_000


def measure(quick):
    files, rounds = (1000, 3) if quick else (FILES, 5)
    with Home() as home:
        folder = home.folder / "pictures"
        total = fill(folder, files)
        home.serve()
        region = Region(home)
        clients = {"footplate": footplate}
        if tool("s5cmd"):
            clients["s5cmd"] = s5cmd
        if tool("aws"):
            clients["aws"] = aws
        runs = {name: [] for name in clients}
        for turn in range(rounds):
            for name, command in clients.items():
                # The slow one is there for orientation only.
                if name == "aws" and turn > 0:
                    continue
                bucket = f"bench-{name}-{turn}"
                region.make(bucket)
                runs[name].append(timed(command(home, folder, bucket), home.env | region.env))
                assert region.count(bucket) == files, f"{name} left files out"
        ours = runs["footplate"]
        again = timed(footplate(home, folder, f"bench-footplate-{rounds - 1}"), home.env | region.env)
        rows = [row("footplate", files, total, ours, None)]
        rows += [row(f"  beside it: {name}", files, total, runs[name], ours) for name in clients if name != "footplate"]
        rows.append(
            Row("  the same again, unchanged", f"{again.seconds:.2f} s · CPU {again.cpu:.2f} s", "0 PUTs, <= 3 s", "1 run", again.said)
        )
        return rows


def row(name, files, total, runs, ours):
    median, spread = middle([run.seconds for run in runs], "s")
    rate = files / statistics.median([run.seconds for run in runs])
    cpu = statistics.median([run.cpu for run in runs])
    said = f"{median}; CPU of the client {cpu:.2f} s, at most {max(run.memory for run in runs) // 1024} MB"
    title = name if ours else f"upload, {files:,} files, {total / 1e6:.0f} MB: {name}"
    if ours:
        # Beside the run of the same round, so that what else the machine does touches both alike.
        ratios = [theirs.seconds / mine.seconds for mine, theirs in zip(ours, runs)]
        said += f"; footplate does {statistics.median(ratios):.2f} x its files/s at {statistics.median([run.cpu for run in ours]) / cpu:.2f} x its CPU"
    return Row(title, f"{rate:,.0f} files/s", "" if ours else ">= 1.0 x s5cmd", spread, said)


class Run:
    """One run of a client: wall clock, its own CPU and memory, and the last line it wrote."""

    def __init__(self, seconds, usage, said):
        self.seconds, self.said = seconds, said
        self.cpu, self.memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def timed(command, env):
    begun = time.monotonic()
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said = process.stdout.read().decode().strip().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}")
    return Run(time.monotonic() - begun, usage, said[-1] if said else "")


def footplate(home, folder, bucket):
    # Through the same door as the others: the region's TCP port.
    return [binary(), "upload", str(folder), f"s3://{bucket}/set/", "--allow-loopback", "--region", "us-east-1"]


def s5cmd(_, folder, bucket):
    return [tool("s5cmd"), "--log", "error", "cp", f"{folder}/", f"s3://{bucket}/set/"]


def aws(_, folder, bucket):
    return [tool("aws"), "s3", "cp", "--recursive", "--only-show-errors", str(folder), f"s3://{bucket}/set/"]


def tool(name):
    """The client on the PATH, or beside the Python that runs this (a virtual environment)."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)


class Region:
    """The served region as its own clients see it."""

    def __init__(self, home):
        text = home.run("local", "env").stdout.decode()
        lines = [line.removeprefix("export ").partition("=") for line in text.splitlines() if line.startswith("export ")]
        self.env = {name: value.strip("'") for name, _, value in lines}
        self.env["S3_ENDPOINT_URL"] = self.env["AWS_ENDPOINT_URL"]
        self.home = home

    def make(self, bucket):
        """By footplate, with one small object, so that no client pays for making the bucket."""
        seed = self.home.folder / "seed"
        seed.write_text("seed")
        self.home.run("upload", str(seed), f"s3://{bucket}/seed", "--local")

    def count(self, bucket):
        listed = self.home.run("ls", "data", f"s3://{bucket}/set/", "--csv", "--local").stdout.decode()
        folders = [line.split(",")[0] for line in listed.splitlines()[1:]]
        return sum(len(self.home.run("ls", "data", at, "--csv", "--local").stdout.decode().splitlines()) - 1 for at in folders)


def fill(folder, files):
    """Files of the sizes that pictures have (log-normal), in folders of classes; the same ones every time."""
    dice = random.Random(8)
    noise = dice.randbytes(4 << 20)
    total = 0
    for n in range(files):
        size = min(1_500_000, max(2_000, int(dice.lognormvariate(0, 0.6) * MEAN / 1.197)))
        at = folder / f"class-{n % 20:02}" / f"{n:05}.jpg"
        at.parent.mkdir(parents=True, exist_ok=True)
        start = dice.randrange(len(noise) - size)
        at.write_bytes(noise[start : start + size])
        total += size
    return total
