"""Following a log of 200,000 lines: a real job's, on a region served by another process."""
import shutil
import subprocess
import sys
import time

from kit.region import Home
from kit.table import Row, share, tail
from kit.terminal import Terminal, plain

LINES = 200_000
RATE = 10_000
# In no line of the log.
LETTERS = b"QZXJVWKY"


def measure(quick):
    lines = LINES // 10 if quick else LINES
    with Home() as home:
        home.serve()
        home.train("live", lines, RATE, wait=False)
        live = follow(home, b"live", b"@", typing=True)
        whole = follow(home, b"live", b"@", typing=False)
        typed = [follow(home, b"live", b"@", typing=True) for _ in range(2 if quick else 6)]
        paces = {"fast": (lines, RATE, b"@"), "slow": (200, 10, b"~"), "single": (20, 1, b"^")}
        shown = {"fast": live}
        for name in ("slow", "single"):
            count, rate, mark = paces[name]
            home.train(name, count, rate, wait=False)
            shown[name] = follow(home, name.encode(), mark, typing=False)
        beside = {name: tmux(home, *how) for name, how in paces.items()} if shutil.which("tmux") else {}
    return [
        Row(f"{lines:,} lines opened at once: from exec to the last shown", f"{whole['seconds']:.2f} s", "", f"{lines / whole['seconds']:,.0f} lines/s", f"{whole['cpu']:.2f} s CPU of the cockpit alone"),
        Row("  memory at most", f"{max(found['peak'] for found in [whole, live, *typed]) / 1024:.0f} MB", "<= 150 MB", f"live {live['peak'] / 1024:.0f}, at once {whole['peak'] / 1024:.0f} MB", "VmHWM; the region is another process"),
        keys("  key to echo meanwhile", [key for found in typed for key in found["times"]]),
        keys(f"{lines:,} lines live at {RATE:,}/s: key to echo", live["times"]),
    ] + [
        wire(f"  {count:,} lines live at {rate:,}/s: bytes to the terminal per line", shown[name], count, beside.get(name))
        for name, (count, rate, _) in paces.items()
    ]


def follow(home, job, mark, typing):
    """Opens the newest job's log over the whole screen and stays until its last line; types into the search meanwhile."""
    with home.cockpit() as cockpit:
        cockpit.until(lambda heard: job in heard)
        before = cockpit.bytes
        cockpit.forget()
        # The row that was selected stays so when a newer one comes.
        cockpit.type(b"g")
        cockpit.type(b"l")
        times, last = [], False
        while not last and time.perf_counter() - cockpit.started < 120:
            if typing:
                last = echo(cockpit, mark, times)
            else:
                cockpit.drain(0.05)
                last = mark in plain(bytes(cockpit.heard))
                del cockpit.heard[:-4096]
        if not last:
            raise TimeoutError("the log's last line never came")
        seconds = time.perf_counter() - cockpit.started
        return cockpit.cost() | {"seconds": seconds, "times": times, "bytes": cockpit.bytes - before}


def echo(cockpit, mark, times):
    """A few letters into the search line, and out of it again; whether the log's last line came meanwhile."""
    cockpit.type(b"/")
    cockpit.drain(0.03)
    last = mark in plain(bytes(cockpit.heard))
    for at in range(len(LETTERS)):
        letter = LETTERS[at : at + 1]
        took = cockpit.press(letter, lambda heard, letter=letter: letter in plain(bytes(heard)))
        times.append((took, cockpit.worked))
        cockpit.drain(0.015)
        last |= mark in plain(bytes(cockpit.heard))
    cockpit.type(b"\x1b")
    cockpit.drain(0.03)
    return last | (mark in plain(bytes(cockpit.heard)))


def keys(title, times):
    value, spread = tail([key[0] for key in times])
    work = [key[1] for key in times]
    return Row(title, value, "<= 16 ms", spread, f"CPU meanwhile: median {share(work, 0.5):.2f}, p99 {share(work, 0.99):.2f} ms")


def wire(title, found, lines, peer):
    each = found["bytes"] / lines
    said = "tmux: missing here" if peer is None else f"tmux, same script, one pane: {peer / lines:.0f} B; footplate {each / (peer / lines):.2f} x"
    return Row(title, f"{each:.0f} B" if each >= 10 else f"{each:.1f} B", "", f"{found['bytes'] / 1024:.0f} kB in {found['seconds']:.1f} s", said)


def tmux(home, lines, rate, mark):
    """Bytes that tmux writes to show the same script printing the same lines; its own first frame, of 1 kB, is among them."""
    script, server = home.project / "code" / "train.py", f"footplate-bench-{home.folder.name}-log"
    command = f"{sys.executable} -u {script} --lines {lines} --rate {rate}; sleep 60"
    try:
        with Terminal(["tmux", "-L", server, "-f", "/dev/null", "new-session", command], home.env) as pane:
            pane.until(lambda heard: b"epoch" in heard)
            while mark * 2 not in plain(bytes(pane.heard)) and time.perf_counter() - pane.started < 120:
                del pane.heard[:-4096]
                pane.drain(0.05)
            return pane.bytes
    finally:
        subprocess.run(["tmux", "-L", server, "kill-server"], env=home.env, stderr=subprocess.DEVNULL)
