"""Starts, stops and kills `footplate local serve`, and reads what it tells its clients through its env file."""
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

ROOT = Path(__file__).resolve().parents[2]

# In the region's own environment; must never reach a training script.
CANARY = "canary-5d1f0c2e"


def binary():
    """The footplate program under test."""
    path = Path(os.environ.get("FOOTPLATE_BIN") or Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "footplate")
    if not path.is_file():
        raise pytest.UsageError(f"no footplate program at {path}: build it with 'cargo build --release', or name it in FOOTPLATE_BIN")
    return path


def wait_until(condition, what, seconds=30, seen=lambda: ""):
    """What the condition returns as soon as it is true. Fails after the deadline, saying what was waited for, and what `seen`
    finds then."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s for {what} {seen()}")
        time.sleep(0.02)


def clean_environment():
    """This process's environment without anything that steers an AWS client."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAGEMAKER_", "BOTO_"))}


def sourced(env_file):
    """The environment of a shell that sourced the file, as a user would, in a clean environment."""
    script = f"set -eu; . {shlex.quote(str(env_file))}; env -0"
    done = subprocess.run(["bash", "-c", script], env=clean_environment(), check=True, stdout=subprocess.PIPE)
    pairs = (entry.partition("=") for entry in done.stdout.decode().split("\0") if entry)
    return {name: value for name, _, value in pairs}


class Region:
    """A local region that runs; `env` is what a client's shell has after sourcing the env file."""

    def __init__(self, folder):
        self.data = Path(folder) / "data"
        self.env_file = Path(folder) / "env.sh"
        self.log = Path(folder) / "serve.log"
        self.home = Path(folder) / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        self.process = None
        self.env = {}

    def command(self, env_file, speed=4):
        return [binary(), "local", "serve", "--port", "0", "--data", self.data, "--env-file", env_file, "--speed", str(speed)]

    def surroundings(self):
        """The environment the region is started in: a home of its own, and the user's secrets, which it must not pass on."""
        env = clean_environment()
        # This very Python for the scripts: a version manager's shim may depend on the HOME that is hidden here.
        env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
        env.update(HOME=str(self.home), AWS_SECRET_ACCESS_KEY=CANARY, AWS_ACCESS_KEY_ID=CANARY, MY_API_TOKEN=CANARY)
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
            env.pop(name, None)
        return env

    def start(self):
        self.env_file.unlink(missing_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(self.env_file), env=self.surroundings(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(self.open, "the region to open its door")
        self.env = sourced(self.env_file)
        return self

    def open(self):
        if self.process.poll() is not None:
            pytest.fail(f"footplate local serve ended with {self.process.returncode}:\n{self.log.read_text(errors='replace')[-4000:]}")
        return self.env_file.exists()

    def kill(self):
        """Ends it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Ends it in good order; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            pytest.fail("the region did not end within 30 s of SIGTERM")

    @property
    def endpoint(self):
        return self.env["AWS_ENDPOINT_URL"]


class Clients:
    """boto3 clients of a region, each watched by the conformance check. One attempt per call: nothing is papered over by retries."""

    def __init__(self, env, conformance, **credentials):
        self.env, self.conformance = env, conformance
        self.session = boto3.Session(
            aws_access_key_id=credentials.get("key_id", env["AWS_ACCESS_KEY_ID"]),
            aws_secret_access_key=credentials.get("secret", env["AWS_SECRET_ACCESS_KEY"]),
            region_name=env["AWS_REGION"],
        )
        self.made = {}

    def __getattr__(self, service):
        if service not in self.made:
            config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
            client = self.session.client(service, endpoint_url=self.env["AWS_ENDPOINT_URL"], config=config)
            self.made[service] = self.conformance.watch(client)
        return self.made[service]
