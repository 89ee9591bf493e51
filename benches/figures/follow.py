"""Following a log of 200,000 lines: a real job's, on a region served by another process."""
import shutil
import subprocess
import sys
import time

from kit.region import Home
from kit.table import Row, share, tail
from kit.terminal import FRAME, Terminal, plain

LINES = 200_000
RATE = 10_000
# In no line of the log.
LETTERS = b"QZXJVWKYUGHD"


def measure(quick):
    lines = LINES // 10 if quick else LINES
    with Home() as home:
        home.serve()
        home.train("live", lines, RATE, wait=False)
        live = follow(home, typing=True)
        whole = follow(home, typing=False)
        typed = follow(home, typing=True)
        home.train("slow", 200, 10, wait=False)
        slow = follow(home, typing=False)
        beside = {name: tmux(home, *how) for name, how in {"fast": (lines, RATE), "slow": (200, 10)}.items()} if shutil.which("tmux") else {}
    return [
        Row(f"{lines:,} lines opened at once: to the last", f"{whole['seconds']:.2f} s", "", f"{lines / whole['seconds']:,.0f} lines/s", f"{whole['cpu']:.2f} s CPU of the cockpit alone"),
        Row("  memory at most", f"{max(whole['peak'], typed['peak'], live['peak']) / 1024:.0f} MB", "<= 150 MB", f"live {live['peak'] / 1024:.0f}, at once {whole['peak'] / 1024:.0f} MB", "VmHWM; the region is another process"),
        keys(f"  key to echo meanwhile", typed),
        keys(f"{lines:,} lines live at {RATE:,}/s: key to echo", live),
        wire("  bytes to the terminal per line that came", live, lines, beside.get("fast")),
        wire("200 lines live at 10/s: bytes per line", slow, 200, beside.get("slow")),
    ]


def follow(home, typing):
    """Opens the newest job's log over the whole screen and stays until its last line; types into the search meanwhile."""
    with home.cockpit() as cockpit:
        cockpit.until(lambda heard: b"Training" in heard)
        cockpit.drain(0.3)
        begun, before = time.perf_counter(), cockpit.bytes
        cockpit.forget()
        cockpit.type(b"l")
        times, last = [], False
        while not last and time.perf_counter() - begun < 120:
            if typing:
                last = echo(cockpit, times)
            else:
                cockpit.drain(0.05)
                last = b"@" in plain(bytes(cockpit.heard))
                del cockpit.heard[:-4096]
        if not last:
            raise TimeoutError("the log's last line never came")
        seconds = time.perf_counter() - begun
        return cockpit.cost() | {"seconds": seconds, "times": times, "bytes": cockpit.bytes - before}


def echo(cockpit, times):
    """A few letters into the search line, and out of it again; whether the log's last line came meanwhile."""
    cockpit.type(b"/")
    cockpit.drain(0.03)
    last = b"@" in plain(bytes(cockpit.heard))
    for at in range(len(LETTERS)):
        letter = LETTERS[at : at + 1]
        times.append(cockpit.press(letter, lambda heard, letter=letter: letter in plain(bytes(heard))))
        cockpit.drain(0.015)
        last |= b"@" in plain(bytes(cockpit.heard))
    cockpit.type(b"\x1b")
    cockpit.drain(0.03)
    return last | (b"@" in plain(bytes(cockpit.heard)))


def keys(title, found):
    value, spread = tail(found["times"])
    return Row(title, value, "<= 16 ms", spread, "")


def wire(title, found, lines, peer):
    each = found["bytes"] / lines
    said = "tmux: missing here" if peer is None else f"tmux, same script, one pane: {peer / lines:.0f} B; footplate {each / (peer / lines):.1f} x"
    return Row(title, f"{each:.0f} B", "", f"{found['bytes'] / 1024:.0f} kB in {found['seconds']:.1f} s", said)


def tmux(home, lines, rate):
    """Bytes that tmux writes to show the same script printing the same lines."""
    script, server = home.project / "code" / "train.py", f"footplate-bench-{home.folder.name}-log"
    command = f"sleep 0.5; {sys.executable} -u {script} --lines {lines} --rate {rate}; sleep 60"
    try:
        with Terminal(["tmux", "-L", server, "-f", "/dev/null", "new-session", command], home.env) as pane:
            pane.drain(0.4)
            before, begun = pane.bytes, time.perf_counter()
            while b"@" not in pane.heard and time.perf_counter() - begun < 120:
                del pane.heard[:-4096]
                pane.drain(0.05)
            return pane.bytes - before
    finally:
        subprocess.run(["tmux", "-L", server, "kill-server"], env=home.env, stderr=subprocess.DEVNULL)
