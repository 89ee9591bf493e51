"""From a key to the whole frame that answers it, with 10,000 jobs listed."""
import shutil

from kit.region import Home, read_all
from kit.table import Row, middle, share, tail
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
            moved = walk(cockpit, samples)
            size = cockpit.cost()["rss"] / 1024
            looks = polls(cockpit)
            by_time = filtered(cockpit, 4 if quick else 20)
            # To the first column: the name.
            for key in (b"o", *[b"k"] * 7, b"\r"):
                cockpit.quiet(0.05)
                cockpit.press(key, frame())
            looks_by_name = polls(cockpit)
            by_name = filtered(cockpit, 4 if quick else 20)
        beside = peers(home, samples)
    rows = [row(f"key to frame, j, {JOBS:,} jobs", moved, f"{share([key[2] for key in moved], 0.5):.0f} B a frame, RSS {size:.0f} MB")]
    for name, times in beside.items():
        found = row(f"  beside it: {name}, to the first byte", times, f"{share([key[2] for key in times], 0.5):.0f} B a key")
        found.target = ""
        rows.append(found)
    rows.append(row("filter: key to frame, sorted by time", by_time[1:], f"the very first letter: {by_time[0][0]:.1f} ms, CPU {by_time[0][1]:.1f} ms"))
    rows.append(row("filter: key to frame, sorted by name", by_name, ""))
    for order, found in {"time": looks, "name": looks_by_name}.items():
        value, spread = middle(found)
        rows.append(Row(f"work of a poll, sorted by {order}", value, "<= 16 ms", spread, "CPU of the thread that answers keys, all steps of the poll together"))
    return rows


def row(title, keys, more):
    value, spread = tail([key[0] for key in keys])
    work = [key[1] for key in keys]
    beside = f"CPU a key: median {share(work, 0.5):.2f}, p99 {share(work, 0.99):.2f} ms"
    return Row(title, value, "<= 16 ms", spread, f"{beside}; {more}" if more else beside)


def walk(cockpit, samples):
    """Down row by row, the list scrolling from the second screen on, while it is polled as AWS would be."""
    keys = []
    for _ in range(samples):
        cockpit.quiet(0.012)
        keys.append((cockpit.press(b"j", frame(LEAST)), cockpit.worked, len(cockpit.heard)))
    return keys


def polls(cockpit):
    """What looking at the list again costs the thread that draws. Settled first, since the selection's detail is read too."""
    found = []
    cockpit.drain(1)
    for _ in range(10):
        before = cockpit.work(first=True)
        cockpit.type(b"r")
        cockpit.drain(0.6)
        found.append(cockpit.work(first=True) - before)
    return found


def filtered(cockpit, words):
    """Types filters letter by letter, each taken back by Esc. The first letter of all makes the rows' search texts."""
    keys = []
    for turn in range(words):
        cockpit.quiet(0.02)
        cockpit.press(b"/", frame())
        for letter in ["resnet 0", "completed", "07-run", "2xlarge !gpt"][turn % 4]:
            cockpit.quiet(0.012)
            keys.append((cockpit.press(letter.encode(), frame()), cockpit.worked))
        cockpit.quiet(0.02)
        cockpit.press(b"\x1b", frame())
    return keys


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
            keys = out.setdefault(name, [])
            for _ in range(samples):
                program.quiet(0.012)
                took = program.press(b"j", bool)
                program.settle(0.003)
                keys.append((took, program.worked, len(program.heard)))
    return out
