#!/usr/bin/env python3
"""Records what programs write to a terminal: `record.py vim less tmux htop nvtop` writes vim.bin and so on beside this file.
tests/term.rs plays them and names the versions that were recorded. What they look like is told by another terminal: tmux plays
each recording and says what it shows, as text (vim.txt) and with colours (vim.ans); `record.py judge vim` does only that.
The nvtop is the real one, but its GPUs are not: it runs over nvml.c, a stand-in for NVIDIA's library, built here with cc."""
import fcntl
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

SOURCE = """\
import torch
from torch import nn


def train(model, loader, epochs=3, rate=0.001):
    # grün, 中文, 👍: what is wide has to stay in its place
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for epoch in range(epochs):
        for step, (images, labels) in enumerate(loader):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print(f"epoch {epoch} step {step} loss={loss.item():.4f}")
    return model
"""
# Suites, by what ends their waiting for a key; each of their screens is judged.
SUITES = {"vttest"}
# DEC special graphics, from ` on (VT100 user guide, table 3-9).
GRAPHICS = {ord("`") + at: drawn for at, drawn in enumerate("◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")}
# Columns and rows, where they are not 80 and 24.
SIZES = {"nvtop": (120, 38)}
# Command, and what is typed after how many seconds.
PROGRAMS = {
    "vim": (["vim", "-u", "NONE", "-N", "-i", "NONE", "-c", "syntax on", "-c", "set number laststatus=2 ruler", "train.py"],
            [(1, "/loss\r"), (0.3, "n"), (0.3, "5GOx = 1\x1b"), (0.3, ":split\r"), (0.5, "Gdd")]),
    "less": (["less", "-N", "numbers.txt"], [(0.5, " "), (0.3, "/line 77\r"), (0.3, "j")]),
    "tmux": (["tmux", "-L", "record", "-f", "/dev/null", "new-session", "-s", "work", "-n", "shell", "env PS1='$ ' HISTFILE= sh"],
             [(1, "cat train.py\r"), (0.5, "\x02%"), (0.7, "\x02\""), (0.7, "printf '\\033[31mred\\033[0m \\033[1mbold\\033[0m 中文\\n'\r"), (0.7, "\x02q"), (1.5, "")]),
    # Only processes of its own: what else runs on the machine is nobody's business.
    "htop": (["sh", "-c", "sleep 77 & a=$!; sleep 78 & b=$!; exec htop -p $a,$b,$$"], [(2, "")]),
    # What trains is a process of its own, too. F6 opens a list, Escape leaves it.
    # Menus 1 (cursor), 2 (screen), 3 (character sets) and 8 (insert, delete), all of their screens. A terminal would answer what it is.
    "vttest": (["vttest", "24x80.80"], [(0.5, "\x1b[?6c"), (1.5, "1\r"), *[(0.6, "\r")] * 6, (0.6, "2\r"), *[(0.6, "\r")] * 15,
               (0.6, "8\r"), *[(0.6, "\r")] * 14, (0.6, "0\r")]),
    "nvtop": (["sh", "-c", "sleep 79 & FOOTPLATE_TRAINS=$! exec nvtop"], [(5, "\x1b[17~"), (1, "\x1b"), (4, "")]),
}


def record(name):
    command, keys = PROGRAMS[name]
    columns, rows = SIZES.get(name, (80, 24))
    here = Path(__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(SOURCE)
        Path(folder, "numbers.txt").write_text("".join(f"line {n} of a long file\n" for n in range(1, 301)))
        if name == "nvtop":
            subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", f"{folder}/libnvidia-ml.so.1", here / "nvml.c"], check=True)
        pid, fd = pty.fork()
        if pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.chdir(folder)
            home = {"HOME": folder, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": os.environ["PATH"], "TMUX_TMPDIR": folder, "PS1": "$ ",
                    "LD_LIBRARY_PATH": folder}
            os.execvpe(command[0], command, home)
        out = bytearray()

        def listen(seconds):
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                if select.select([fd], [], [], left)[0]:
                    try:
                        out.extend(os.read(fd, 65536))
                    except OSError:
                        return

        for wait, text in keys:
            listen(wait)
            os.write(fd, text.encode())
        listen(0.7)
        if name == "tmux":
            os.system(f"TMUX_TMPDIR={folder} tmux -L record kill-server")
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(fd)
    file = here / f"{name}.bin"
    file.write_bytes(out)
    print(file.name, len(out), "bytes")
    judge(name)


def drawn(part):
    """Letters as the lines they stand for; colours stay what they are."""
    pieces = re.split("(\x1b\\[[0-9;:]*m)", part.strip("\x0e\x0f"))
    return "".join(piece if piece.startswith("\x1b") else piece.translate(GRAPHICS) for piece in pieces)


def judge(name):
    """What tmux shows at the recording's end; of a suite, wherever it asks to be looked at."""
    columns, rows = SIZES.get(name, (80, 24))
    file = Path(__file__).with_name(f"{name}.bin")
    recording = file.read_bytes()
    ends = [len(recording)]
    if name in SUITES:
        ends = [asked.end() for asked in re.finditer(b"Push <RETURN>", recording)]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "conf").write_text("set -g status off\nset -g default-terminal tmux-256color\n")
        for start, end in zip([0, *ends], ends):
            Path(folder, f"{end}.piece").write_bytes(recording[start:end])
        command = f"tmux -S {folder}/socket"
        play = f"cd {folder}; stty raw -echo; for end in {' '.join(map(str, ends))}; do cat $end.piece; {command} wait-for -S played; {command} wait-for on; done"
        tmux = [*command.split(), "-u", "-f", f"{folder}/conf"]
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        subprocess.run([*tmux, "new-session", "-d", "-x", str(columns), "-y", str(rows), play], env=env, check=True)
        looks = []
        for _ in ends:
            subprocess.run([*tmux, "wait-for", "played"], env=env, check=True)
            time.sleep(0.3)
            shown = subprocess.run([*tmux, "capture-pane", "-p", "-e", "-N"], env=env, check=True, capture_output=True).stdout.decode()
            # tmux tells lines as the letters that stand for them in the VT100's graphics set, between shift out and shift in.
            parts = re.split("(\x0e[^\x0f]*\x0f?)", shown)
            looks.append("".join(drawn(part) if part.startswith("\x0e") else part for part in parts))
            subprocess.run([*tmux, "wait-for", "-S", "on"], env=env, check=True)
        subprocess.run([*tmux, "kill-server"], env=env, stderr=subprocess.DEVNULL)
    if name in SUITES:
        file.with_suffix(".ans").write_text("".join(f"== {end}\n{look}" for end, look in zip(ends, looks)))
        return
    file.with_suffix(".ans").write_text(looks[0])
    text = (re.sub("\x1b\\[[0-9;:]*m", "", row).rstrip() for row in looks[0].split("\n"))
    file.with_suffix(".txt").write_text("\n".join(text))


only_judge = sys.argv[1:2] == ["judge"]
for given in sys.argv[2 if only_judge else 1:]:
    if shutil.which(given) is None and not only_judge:
        print(f"skipped: {given} is not installed", file=sys.stderr)
        continue
    judge(given) if only_judge else record(given)
