"""Bytes over SSH: footplate's client beside OpenSSH's own, each from the same sshd on loopback, one after the other."""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from kit.region import ROOT
from kit.table import Row, middle

sys.path.insert(0, str(ROOT / "tests" / "peers"))
import sshd  # noqa: E402

CIPHER = "aes256-gcm@openssh.com"


def measure(quick):
    if why := sshd.missing():
        return [Row("bytes over SSH", "not measured", "", "", why)]
    rounds, size = (3, 256 << 20) if quick else (7, 1 << 30)
    with tempfile.TemporaryDirectory() as folder:
        server = sshd.Sshd(folder).start()
        client = sshd.Client(sshd.driver())
        try:
            return Transfers(Path(folder), server, client, size).measure(rounds)
        finally:
            client.stop()
            server.stop()


class Transfers:
    """The ways to get and to send so many bytes; each gives its seconds and the CPU seconds of its client."""

    def __init__(self, folder, server, client, size):
        self.folder, self.server, self.client, self.size = folder, server, client, size
        for name, bulk in (("talk", False), ("bulk", True)):
            answer = client.open(on=name, address=f"127.0.0.1:{server.port}", user=server.user, folder=str(folder), keys=str(server.keys), bulk=bulk)
            assert "failed" not in answer, answer
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"], check=True)

    def measure(self, rounds):
        down, up = f"head -c {self.size} /dev/zero", "cat > /dev/null"
        ways = {
            "footplate, bulk": lambda: self.ours("pull", "bulk", down),
            "ssh, the same cipher": lambda: self.theirs(down, CIPHER),
            "ssh, its own choice": lambda: self.theirs(down, None),
            "footplate, as for terminals": lambda: self.ours("pull", "talk", down),
        }
        rows = self.table(f"{self.size >> 20} MB over SSH, received", ways, rounds)
        ways = {
            "footplate, bulk": lambda: self.ours("push", "bulk", up, bytes=self.size),
            "ssh, the same cipher": lambda: self.theirs(up, CIPHER, self.size),
        }
        rows += self.table(f"{self.size >> 20} MB over SSH, sent", ways, rounds)
        return rows + self.files(rounds)

    def files(self, rounds):
        """A file both ways: every copy is a new one, of the same file, in the same folder."""
        source, target = self.folder / "source", self.folder / "target"
        with open(source, "wb") as file:
            for _ in range(self.size >> 20):
                file.write(os.urandom(1 << 20))
        rows = []
        for title, verb in (("fetched", "get"), ("put", "put")):
            ways = {
                "footplate cp": lambda verb=verb: self.our_file(verb, source, target),
                "sftp, the same cipher": lambda verb=verb: self.their_file(["sftp", "-b", "-"], verb, source, target),
                "scp, the same cipher": lambda verb=verb: self.their_file(["scp", "-q"], verb, source, target),
            }
            rows += self.table(f"a file of {self.size >> 20} MB, {title}", ways, rounds)
        return rows

    def our_file(self, verb, source, target):
        target.unlink(missing_ok=True)
        local, remote = (target, source) if verb == "get" else (source, target)
        answer = getattr(self.client, verb)(on="bulk", local=str(local), remote=str(remote))
        assert answer.get("size") == self.size and answer["from"] == 0, answer
        return answer["seconds"], answer["cpu"]

    def their_file(self, program, verb, source, target):
        small = self.folder / "small"
        small.write_text("small")
        # Once with next to nothing, for the login alone.
        login, whole = (self.their_copy(program, verb, what, target) for what in (small, source))
        assert target.stat().st_size == self.size
        return whole[0] - login[0], whole[1] - login[1]

    def their_copy(self, program, verb, source, target):
        target.unlink(missing_ok=True)
        shutil.copyfile(self.folder / "key.pub", self.server.keys)
        options = ["-oStrictHostKeyChecking=no", f"-oUserKnownHostsFile={self.folder}/known", "-oLogLevel=ERROR", "-oBatchMode=yes", "-F", "none"]
        options += [f"-oCiphers={CIPHER}", "-i", self.folder / "key", "-P", str(self.server.port)]
        there = f"{self.server.user}@127.0.0.1"
        if program[0] == "sftp":
            return self.timed([*program, *options, there], f"{verb} {source} {target}\n")
        places = [f"{there}:{source}", target] if verb == "get" else [source, f"{there}:{target}"]
        return self.timed([*program, *options, *places], 0)

    def table(self, title, ways, rounds):
        runs = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                runs[name].append(way())
        first, ours = next(iter(runs.items()))
        rows = []
        for name, theirs in runs.items():
            rate = self.size / 1e6 / statistics.median([seconds for seconds, _ in theirs])
            median, spread = middle([seconds for seconds, _ in theirs], "s")
            said = f"{median}; CPU of the client {statistics.median([cpu for _, cpu in theirs]):.2f} s"
            if name != first:
                # Beside the run of the same round, so that what else the machine does touches both alike.
                ratio = statistics.median([b[0] / a[0] for a, b in zip(ours, theirs)])
                work = statistics.median([a[1] / b[1] for a, b in zip(ours, theirs)])
                said += f"; footplate (bulk) does {ratio:.2f} x its MB/s at {work:.2f} x its CPU"
            shown = f"{title}: {name}" if name == first else f"  beside it: {name}"
            rows.append(Row(shown, f"{rate:,.0f} MB/s", ">= 1.0 x ssh" if name == first else "", spread, said))
        return rows

    def ours(self, verb, on, command, **given):
        answer = getattr(self.client, verb)(on=on, command=command, **given)
        assert answer.get("status") == 0 and answer.get("bytes", self.size) == self.size, answer
        return answer["seconds"], answer["cpu"]

    def theirs(self, command, cipher, size=0):
        # The key counts for 60 seconds.
        shutil.copyfile(self.folder / "key.pub", self.server.keys)
        options = ["-oStrictHostKeyChecking=no", f"-oUserKnownHostsFile={self.folder}/known", "-oLogLevel=ERROR", "-oBatchMode=yes", "-F", "none"]
        options += [f"-oCiphers={cipher}"] if cipher else []
        line = ["ssh", *options, "-i", self.folder / "key", "-p", str(self.server.port), f"{self.server.user}@127.0.0.1", command]
        # Once for the login alone, which ours has behind it.
        login = self.timed([*line[:-1], "true"], 0)
        whole = self.timed(line, size)
        return whole[0] - login[0], whole[1] - login[1]

    def timed(self, line, given):
        """Feeds it so many bytes, or a text."""
        feed = ["printf", "%s", given] if isinstance(given, str) else ["head", "-c", str(given), "/dev/zero"]
        feeder = subprocess.Popen(feed, stdout=subprocess.PIPE)
        begun = time.monotonic()
        process = subprocess.Popen(line, stdin=feeder.stdout, stdout=subprocess.DEVNULL)
        feeder.stdout.close()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status) if hasattr(os, "waitstatus_to_exitcode") else status
        feeder.wait()
        assert process.returncode == 0, process.returncode
        return seconds, used.ru_utime + used.ru_stime
