"""OpenSSH's ssh, scp and sftp on an instance of the local region, and what is left when the region or the instance goes."""
import os
import shutil
import subprocess
import time

import pytest
from conformance import Conformance
from region import Clients, wait_until

pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("ssh", "scp", "sftp", "ssh-keygen")), reason="OpenSSH's clients are not installed (Debian: openssh-client)"
)


class Machine:
    """An instance that runs, and OpenSSH's clients to it with a pushed key and the host keys of its console."""

    def __init__(self, region, folder, **options):
        self.clients = Clients(region.env, Conformance())
        self.ec2, self.folder = self.clients.ec2, folder
        images = self.ec2.describe_images(Owners=["amazon"], Filters=[{"Name": "name", "Values": ["Deep Learning*PyTorch*Ubuntu*"]}])["Images"]
        image = sorted(images, key=lambda image: image["CreationDate"])[0]  # the oldest ones have conda
        launched = self.ec2.run_instances(ImageId=image["ImageId"], InstanceType="m5.large", MinCount=1, MaxCount=1, **options)
        self.id = launched["Instances"][0]["InstanceId"]
        self.wait("running")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)
        self.know()

    def describe(self):
        return self.ec2.describe_instances(InstanceIds=[self.id])["Reservations"][0]["Instances"][0]

    def wait(self, state, seconds=90):
        wait_until(lambda: self.describe()["State"]["Name"] == state, f"the instance to be {state}", seconds)

    def know(self):
        """Where it is now, and who it is by its console."""
        instance = self.describe()
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        self.address, self.port = instance["PublicIpAddress"], tags.get("footplate:ssh-port", "22")
        console = wait_until(lambda: self.ec2.get_console_output(InstanceId=self.id).get("Output"), "its console").replace("\r", "")
        keys = console.split("-----BEGIN SSH HOST KEY KEYS-----\n")[-1].split("-----END SSH HOST KEY KEYS-----")[0]
        name = self.address if self.port == "22" else f"[{self.address}]:{self.port}"
        (self.folder / "known_hosts").write_text("".join(f"{name} {line}\n" for line in keys.splitlines()))

    def push(self, user="ubuntu"):
        key = (self.folder / "key.pub").read_text()
        connect = self.clients.session.client("ec2-instance-connect", endpoint_url=self.clients.env["AWS_ENDPOINT_URL"])
        assert connect.send_ssh_public_key(InstanceId=self.id, InstanceOSUser=user, SSHPublicKey=key)["Success"]

    def command(self, program, *words):
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "GlobalKnownHostsFile=none", f"UserKnownHostsFile={self.folder}/known_hosts"]
        given = [program, "-F", "none", "-p" if program == "ssh" else "-P", self.port, "-i", self.folder / "key"]
        return [*given, *(word for option in options for word in ("-o", option)), *words]

    def ssh(self, text, user="ubuntu", **options):
        return subprocess.run(self.command("ssh", f"{user}@{self.address}", text), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, **options)


def alive(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def machine(region, tmp_path):
    machine = Machine(region, tmp_path)
    yield machine
    machine.ec2.terminate_instances(InstanceIds=[machine.id])


def test_only_the_pushed_key_and_the_images_user(machine):
    assert "Permission denied (publickey)" in machine.ssh("true").stderr
    machine.push()
    done = machine.ssh("source activate pytorch && python -V && conda env list")
    assert done.returncode == 0 and done.stdout.startswith("Python 3."), done
    assert "# conda environments:\n#\nbase " in done.stdout and "\npytorch               *  " in done.stdout
    assert "Permission denied (publickey)" in machine.ssh("true", user="root").stderr


def test_files_go_both_ways(machine, tmp_path):
    machine.push()
    content = os.urandom(100 << 20)
    (tmp_path / "model.pt").write_bytes(content)
    subprocess.run(machine.command("scp", tmp_path / "model.pt", f"ubuntu@{machine.address}:there.pt"), check=True, timeout=120)
    subprocess.run(machine.command("scp", f"ubuntu@{machine.address}:there.pt", tmp_path / "back.pt"), check=True, timeout=120)
    assert (tmp_path / "back.pt").read_bytes() == content
    (tmp_path / "batch").write_text("mkdir TrainedModels\nrename there.pt TrainedModels/model.pt\nls -l TrainedModels\n")
    done = subprocess.run(machine.command("sftp", "-b", tmp_path / "batch", f"ubuntu@{machine.address}"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "model.pt" in done.stdout, done


def test_a_data_set_of_the_region_is_fetched(machine, region):
    datasets = region.data / "datasets"
    datasets.mkdir(exist_ok=True)
    (datasets / "dogImages.zip").write_bytes(b"zip" * 1000)
    machine.push()
    fetch = "import os, urllib.request as u; print(len(u.urlopen(os.environ['FOOTPLATE_DATASETS'] + '/dogImages.zip').read()))"
    done = machine.ssh(f'python3 -c "{fetch}"')
    assert done.stdout == "3000\n", done


def test_a_stop_keeps_the_disk_and_the_host_keys(machine):
    machine.push()
    assert machine.ssh("echo kept >note").returncode == 0
    before = (machine.folder / "known_hosts").read_text().split()[1::4]
    machine.ec2.stop_instances(InstanceIds=[machine.id])
    machine.wait("stopped")
    machine.ec2.start_instances(InstanceIds=[machine.id])
    machine.wait("running")
    machine.know()
    assert (machine.folder / "known_hosts").read_text().split()[1::4] == before
    machine.push()
    assert machine.ssh("cat note").stdout == "kept\n"


def test_a_lease_fires(region, tmp_path):
    machine = Machine(region, tmp_path, InstanceInitiatedShutdownBehavior="terminate")
    machine.push()
    pid = int(machine.ssh("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!").stdout)
    assert alive(pid)
    machine.ssh("sudo shutdown -h now")
    machine.wait("terminated")
    wait_until(lambda: not alive(pid), "what was detached to be gone")


def test_kill_9_of_the_region_leaves_nothing(own_region, tmp_path):
    machine = Machine(own_region, tmp_path)
    machine.push()
    pid = int(machine.ssh("setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $!").stdout)
    with subprocess.Popen(machine.command("ssh", f"ubuntu@{machine.address}", "echo $$; exec sleep 1000"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as session:
        other = int(session.stdout.readline())
        assert alive(pid) and alive(other)
        own_region.kill()
        assert session.wait(timeout=30) == 255
    wait_until(lambda: not alive(pid) and not alive(other), "both processes to be gone", seconds=5)
    began = time.monotonic()
    own_region.start()
    machine.clients = Clients(own_region.env, Conformance())
    machine.ec2 = machine.clients.ec2
    machine.wait("running")
    machine.know()
    machine.push()
    assert machine.ssh("echo back").stdout == "back\n", f"after {time.monotonic() - began:.0f} s"
