"""What an open cockpit costs while nothing happens."""
import statistics

from kit.region import Home, read_all
from kit.table import Row

SECONDS = 30


def measure(quick):
    seconds = 10 if quick else SECONDS
    rows = []
    with Home() as home:
        home.serve().fill(3)
        rows += idle(home, f"idle {seconds} s, 3 jobs, local rhythm (10 x that of AWS)", seconds)
        home.pace(1)
        rows += idle(home, f"idle {seconds} s, 3 jobs, rhythm of AWS", seconds)
    with Home() as home:
        home.pace(1)
        home.serve().fill(3000)
        with home.cockpit() as cockpit:
            read_all(cockpit, 3000)
            cockpit.drain(10)
            rows.append(over(cockpit, f"idle {seconds} s, 3,000 jobs, still describing 4 a poll", seconds, "only what changed"))
    return rows


def idle(home, title, seconds):
    with home.cockpit() as cockpit:
        cockpit.until(lambda heard: b"bench-seed" in heard)
        # What is shown settles: details, the log's end, the messages.
        cockpit.drain(12)
        return [over(cockpit, title, seconds, "0 B, <= 1 % of a core")]


def over(cockpit, title, seconds, target):
    cockpit.forget()
    before, written = cockpit.cost(), cockpit.bytes
    cockpit.drain(seconds)
    after, frames = cockpit.cost(), cockpit.heard.count(b"\x1b[?2026h")
    written = cockpit.bytes - written
    cpu = 100 * (after["cpu"] - before["cpu"]) / seconds
    switches = (after["switches"] - before["switches"]) / seconds
    return Row(title, f"{written} B in {frames} frames · {cpu:.2f} % of a core", target, f"{switches:.0f} context switches/s", f"RSS {after['rss'] / 1024:.0f} MB")
