"""What an instance gets by itself: its metadata by boto3 and the aws CLI, and the data of a training run from S3, by the role of
its instance profile. And what becomes of a disk that fills meanwhile."""
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest
from conformance import Conformance
from jobs import unique
from region import Clients, Region, binary, clean_environment
from test_machine import Machine

BIN = Path(sys.executable).parent
SCRIPT = "import os\nfound = sorted(os.path.join(below, name) for below, _, names in os.walk('.', followlinks=True) for name in names)\nprint('found', len(found), found[:3])\n"
PROJECT = """[project]
name = "fetched"
[code]
source_dir = "code"
entry_point = "solution.py"
[instance]
instance_type = "m5.large"
image = "resolve:ssm:/aws/service/deeplearning/ami/x86_64/oss-nvidia-driver-gpu-pytorch-2.7-ubuntu-22.04/latest/ami-id"
"""

needs_ssh = pytest.mark.skipif(not all(shutil.which(name) for name in ("ssh", "ssh-keygen")), reason="OpenSSH's client is not installed (Debian: openssh-client)")


class Cockpit(Region):
    """A region where footplate itself looks for it, and its commands in a project."""

    def __init__(self, folder):
        super().__init__(folder)
        self.data = self.home / ".local/share/footplate/local"
        self.project = Path(folder) / "project"
        (self.project / "code").mkdir(parents=True)
        (self.project / "footplate.toml").write_text(PROJECT)
        (self.project / "code/solution.py").write_text(SCRIPT)

    def footplate(self, *words, code=0):
        env = {**clean_environment(), "HOME": str(self.home)}
        done = subprocess.run([binary(), "--local", *words], cwd=self.project, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def launch(self, name, *settings):
        self.footplate("instance", "--yes", "--wait", "--set", f"name={name}", *(word for setting in settings for word in ("--set", setting)))
        rows = json.loads(self.footplate("ls", "instances", "--json"))
        return next(row["id"] for row in rows if f'"{name}"' in json.dumps(row))

    def train(self, instance, run, data, code=0):
        """A run to its end; what was said, and the run's details."""
        said = self.footplate("train", "--on", instance, "--wait", "--yes", "--set", f"name={run}", "--set", f"data={data}", code=code)
        return said + self.footplate("show", "runs", f"{instance}/{run}")

    def guest(self, instance):
        """The instance's home folder."""
        return self.data / "ec2" / instance / "home" / "ubuntu"

    def aws(self, instance, before=""):
        """Puts the aws CLI where the instance's environment has its programs, with something that is done before."""
        path = next((self.data / "ec2" / instance / "opt").iterdir()) / "bin/aws"
        path.write_text(f"#!/bin/bash\n{before}\nexec {BIN}/aws \"$@\"\n")
        path.chmod(0o755)


@pytest.fixture
def cockpit(tmp_path):
    if os.environ.get("PEERS_ENV_FILE"):
        pytest.skip("PEERS_ENV_FILE names a region that footplate does not find by itself")
    cockpit = Cockpit(tmp_path)
    yield cockpit.start()
    cockpit.stop()


@pytest.fixture
def s3(cockpit):
    return Clients(cockpit.env, Conformance()).s3


@pytest.fixture
def pictures(s3):
    """A bucket with twenty files of a million bytes below `set/`."""
    name = unique("pictures")
    s3.create_bucket(Bucket=name)
    for number in range(20):
        s3.put_object(Bucket=name, Key=f"set/{number % 3}/{number}.bin", Body=bytes([number]) * 1_000_000)
    return name


@needs_ssh
def test_sdk_and_cli_find_region_and_role_by_themselves(region, tmp_path):
    machine = Machine(region, tmp_path, IamInstanceProfile={"Name": "trainer"}, MetadataOptions={"HttpTokens": "required"})
    python = f"""
import boto3
import os
from botocore.utils import InstanceMetadataRegionFetcher
session = boto3.Session()
print(session.region_name, session.get_credentials().method, session.client("sts").get_caller_identity()["Arn"])
session.client("s3").create_bucket(Bucket="by-{machine.id}")
print(session.client("ec2").describe_instances(InstanceIds=["{machine.id}"])["Reservations"][0]["Instances"][0]["IamInstanceProfile"]["Arn"])
print(InstanceMetadataRegionFetcher(base_url=os.environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"]).retrieve_region())
"""
    machine.push()
    done = machine.ssh(f"{sys.executable} - <<'END'\n{python}\nEND\n{BIN}/aws s3 ls")
    arn = f"arn:aws:sts::000000000000:assumed-role/trainer/{machine.id}"
    wanted = [f"us-east-1 iam-role {arn}", "arn:aws:iam::000000000000:instance-profile/trainer", "us-east-1"]
    assert done.stdout.splitlines()[:3] == wanted and f"by-{machine.id}" in done.stdout, done
    machine.ec2.terminate_instances(InstanceIds=[machine.id])


@needs_ssh
def test_without_a_profile_there_are_no_credentials(region, tmp_path):
    machine = Machine(region, tmp_path)
    machine.push()
    done = machine.ssh(f"{BIN}/aws s3 ls; {BIN}/aws s3 ls --no-sign-request; curl -s -o /dev/null -w '%{{http_code}}' \"$AWS_EC2_METADATA_SERVICE_ENDPOINT/latest/meta-data/\"")
    assert "Unable to locate credentials" in done.stderr and "AccessDenied" in done.stderr and done.stdout.endswith("401"), done
    machine.ec2.terminate_instances(InstanceIds=[machine.id])


def test_a_run_fetches_its_data_itself_by_the_role_of_its_instance(cockpit, pictures, s3):
    address = f"s3://{pictures}/set/"
    bare = cockpit.launch("bare")
    # Its environment has boto3, as it is this one's.
    assert "(it has no credentials; launched with an instance profile" in cockpit.train(bare, "by-here", address)
    it = cockpit.launch("it", "instance_profile=trainer")
    told = cockpit.train(it, "by-boto3", address)
    assert "fetched from S3 on the instance, by boto3" in told and "found 21" in cockpit.footplate("logs", "runs", f"{it}/by-boto3"), told
    cockpit.aws(it)
    assert "there already" in cockpit.train(it, "again", address)
    s3.put_object(Bucket=pictures, Key="set/0/new.bin", Body=b"new")
    assert "fetched from S3 on the instance, by aws" in cockpit.train(it, "by-aws", address)
    assert "found 22" in cockpit.footplate("logs", "runs", f"{it}/by-aws")
    assert "fetched from S3 on the instance, by aws" in cockpit.train(it, "one-file", f"s3://{pictures}/set/0/new.bin")
    kept = cockpit.guest(it) / "footplate/data"
    assert any((folder / "files/set/1/19.bin").read_bytes() == bytes([19]) * 1_000_000 for folder in kept.iterdir() if (folder / "files/set/1/19.bin").exists())


class Disk:
    """A small disk below an instance's data."""

    def __init__(self, place, megabytes):
        self.place = place
        place.mkdir(parents=True)
        self.mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", place], capture_output=True).returncode == 0
        if not self.mounted:
            pytest.skip("only root may mount a small disk")

    def grow(self, megabytes):
        subprocess.run(["mount", "-o", f"remount,size={megabytes}m", self.place], check=True)

    def sets(self):
        return [path for path in self.place.iterdir() if path.is_dir()]

    def free(self):
        about = os.statvfs(self.place)
        return about.f_bavail * about.f_frsize


@pytest.fixture
def disk(cockpit):
    disks = []

    def make(instance, megabytes):
        disks.append(Disk(cockpit.guest(instance) / "footplate/data", megabytes))
        return disks[-1]

    yield make
    cockpit.stop()
    for disk in disks:
        if disk.mounted:
            subprocess.run(["umount", "-l", disk.place], check=True)


FULL = "the instance's disk is too small: while it was"


def test_a_disk_that_fills_while_s3_is_fetched(cockpit, pictures, disk):
    it = cockpit.launch("it", "instance_profile=trainer")
    small = disk(it, 26)
    filler = small.place / "filler"
    # Another program is faster than the fetch.
    cockpit.aws(it, before=f'[ "$1 $2" = "s3 sync" ] && [ ! -e {filler} ] && head -c 14000000 /dev/zero > {filler}')
    said = cockpit.footplate("train", "--on", it, "--wait", "--yes", "--set", "name=full", "--set", f"data=s3://{pictures}/set/", code=3)
    assert f"{FULL} fetched" in said and "launch an instance with more storage" in said, said
    (half,) = small.sets()
    assert not (half / "files").exists() and small.free() >= 1 << 20
    whole = {path: path.stat().st_ino for path in half.rglob("*.bin") if path.stat().st_size == 1_000_000}
    assert 1 <= len(whole) < 20
    filler.write_bytes(b"")
    assert "fetched from S3 on the instance, by aws" in cockpit.train(it, "full", f"s3://{pictures}/set/")
    assert "found 21" in cockpit.footplate("logs", "runs", f"{it}/full")
    for path, inode in whole.items():
        assert (half / "files" / path.relative_to(half / "new")).stat().st_ino == inode, "what was whole was not fetched again"


class Site(http.server.BaseHTTPRequestHandler):
    """Does not say how large its file is until it is asked to go on with it."""

    content = b""
    asked = []

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        self.asked.append(self.headers.get("Range"))
        start = int((self.headers.get("Range") or "bytes=0-")[6:-1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        self.end_headers()
        try:
            self.wfile.write(self.content[start:])
        except OSError:
            pass

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    Site.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.mark.skipif(not shutil.which("wget"), reason="wget is not installed")
def test_a_disk_that_fills_while_the_web_is_fetched_and_while_it_is_unpacked(cockpit, disk, site):
    noise = os.urandom(30_000_000)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for number in range(30):
            about = tarfile.TarInfo(f"set/{number}.bin")
            about.size = 1_000_000
            archive.addfile(about, io.BytesIO(noise[number * 1_000_000 :][:1_000_000]))
    Site.content = packed.getvalue()
    it = cockpit.launch("it")
    small = disk(it, 20)
    launch = ("train", "--on", it, "--wait", "--yes", "--set", "name=web", "--set", f"data={site}/set.tar.gz")
    said = cockpit.footplate(*launch, code=3)
    assert f"{FULL} fetched" in said, said
    (half,) = small.sets()
    arrived = (half / "archive.part").stat().st_size
    assert arrived > 1_000_000 and small.free() >= 4 << 20 and not (half / "new").exists()

    # Room for the archive, not for what is in it.
    small.grow(45)
    said = cockpit.footplate(*launch, code=3)
    assert f"{FULL} unpacked" in said, said
    assert Site.asked[-1] == f"bytes={arrived}-", "it is gone on with"
    assert (half / "archive").exists() and not (half / "new").exists() and not (half / "files").exists()
    fetched = len(Site.asked)

    small.grow(90)
    cockpit.footplate(*launch)
    assert len(Site.asked) == fetched, "what was there was fetched again"
    assert "found 31" in cockpit.footplate("logs", "runs", f"{it}/web")
    assert (half / "files/set/29.bin").read_bytes() == noise[29_000_000:]
