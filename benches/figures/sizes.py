"""Size of the program, and of the cockpit in memory."""
import os
import shutil
import subprocess

from kit.region import Home, binary, read_all
from kit.table import Row

JOBS = 3000


def measure(quick):
    with Home() as home:
        home.serve().fill(JOBS)
        with home.cockpit() as cockpit:
            read_all(cockpit, JOBS)
            cockpit.drain(2 if quick else 10)
            cost = cockpit.cost()
        bare = home.folder / "stripped"
        stripped = "strip: missing here"
        if shutil.which("strip"):
            subprocess.run(["strip", "-o", str(bare), binary()], check=True)
            stripped = f"{bare.stat().st_size / 1e6:.1f} MB stripped"
    return [
        Row("size of the program", f"{os.path.getsize(binary()) / 1e6:.1f} MB", "<= 25 MB stripped", "", stripped),
        Row(f"memory, idle with {JOBS:,} jobs", f"{cost['rss'] / 1024:.0f} MB", "<= 40 MB", f"at most {cost['peak'] / 1024:.0f} MB", "RSS; the region is another process"),
    ]
