"""How fast the terminal of the shell pane takes what comes, beside alacritty's own parser and terminal in the same process."""
import subprocess

from kit.region import ROOT
from kit.table import Row


def measure(quick):
    command = ["cargo", "bench", "--quiet", "--bench", "terminal", "--", *(["--quick"] if quick else [])]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    rows = []
    for line in done.stdout.splitlines():
        name, ours, theirs, ratio = line.split("\t")
        rows.append(Row(f"terminal: {name}", f"{ours} MiB/s", ">= 1.0x alacritty_terminal", "", f"alacritty_terminal {theirs} MiB/s: {ratio}x"))
    return rows
