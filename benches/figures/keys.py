"""From a key to the whole frame that answers it, with 10,000 jobs listed."""
import shutil
import statistics

from kit.region import Home, read_all
from kit.table import Row, share, tail
from kit.terminal import Terminal, frame

JOBS = 10_000
# Less than any frame that moves the selection, more than one that only fills a cell in.
LEAST = 300


def measure(quick):
    samples = 100 if quick else 500
    with Home() as home:
        home.pace(1)
        home.serve().fill(JOBS)
        with home.cockpit() as cockpit:
            read_all(cockpit, JOBS)
            cockpit.quiet(0.2)
            moved, written = walk(cockpit, samples)
            size, cost = statistics.median(written), cockpit.cost()
            first, typed = filtered(cockpit, 4 if quick else 20)
        beside = peers(home, samples)
    value, spread = tail(moved)
    rows = [Row(f"key to frame, j, {JOBS:,} jobs", value, "<= 16 ms", spread, f"{size:.0f} B a frame; RSS {cost['rss'] / 1024:.0f} MB")]
    for name, (times, heard) in beside.items():
        value, spread = tail(times)
        rows.append(Row(f"  beside it: {name}, to the first byte", value, "", spread, f"{heard:.0f} B a key; p50 {share(times, 0.5) / share(moved, 0.5):.2f} x footplate's"))
    value, spread = tail(typed)
    rows.append(Row(f"filter: key to frame, {JOBS:,} jobs", value, "<= 16 ms", spread, f"the very first letter: {first:.1f} ms"))
    return rows


def walk(cockpit, samples):
    """Down row by row, the list scrolling from the second screen on, while it is polled as AWS would be."""
    times, written = [], []
    for _ in range(samples):
        cockpit.quiet(0.012)
        times.append(cockpit.press(b"j", frame(LEAST)))
        written.append(len(cockpit.heard))
    return times, written


def filtered(cockpit, words):
    """Types filters letter by letter, each taken back by Esc. The first letter of all makes the rows' search texts."""
    times = []
    for turn in range(words):
        cockpit.quiet(0.02)
        cockpit.press(b"/", frame())
        for letter in ["resnet 0", "completed", "07-run", "2xlarge !gpt"][turn % 4]:
            cockpit.quiet(0.012)
            times.append(cockpit.press(letter.encode(), frame()))
        cockpit.quiet(0.02)
        cockpit.press(b"\x1b", frame())
    return times[0], times[1:]


def peers(home, samples):
    """Pagers on a file of as many lines as there are jobs. They have no frames: to the first byte of the answer."""
    page = home.folder / "page.txt"
    page.write_text("".join(f"{n:05} resnet-{n:05}-run Completed ml.m5.2xlarge 1 {n % 977} s\n" for n in range(JOBS)))
    out = {}
    for name, command in {"less": ["less", str(page)], "vim -u NONE": ["vim", "-u", "NONE", str(page)]}.items():
        if not shutil.which(command[0]):
            continue
        with Terminal(command, home.env) as program:
            program.until(lambda heard: b"00001" in heard)
            program.quiet(0.3)
            times, written = [], []
            for _ in range(samples):
                program.quiet(0.012)
                times.append(program.press(b"j", bool))
                program.settle(0.003)
                written.append(len(program.heard))
            out[name] = (times, statistics.median(written))
    return out
