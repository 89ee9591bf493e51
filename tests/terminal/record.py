#!/usr/bin/env python3
"""Records what programs write to a terminal of 80x24: `record.py vim less tmux htop` writes vim.bin and so on beside this file.
tests/term.rs plays them and names the versions that were recorded. nvtop needs a GPU."""
import fcntl
import os
import pty
import select
import struct
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
# Command, and what is typed after how many seconds.
PROGRAMS = {
    "vim": (["vim", "-u", "NONE", "-N", "-i", "NONE", "-c", "syntax on", "-c", "set number laststatus=2 ruler", "train.py"],
            [(1, "/loss\r"), (0.3, "n"), (0.3, "5GOx = 1\x1b"), (0.3, ":split\r"), (0.5, "Gdd")]),
    "less": (["less", "-N", "numbers.txt"], [(0.5, " "), (0.3, "/line 77\r"), (0.3, "j")]),
    "tmux": (["tmux", "-L", "record", "-f", "/dev/null", "new-session", "-s", "work", "-n", "shell", "env PS1='$ ' HISTFILE= sh"],
             [(1, "cat train.py\r"), (0.5, "\x02%"), (0.7, "\x02\""), (0.7, "printf '\\033[31mred\\033[0m \\033[1mbold\\033[0m 中文\\n'\r"), (0.7, "\x02q"), (1.5, "")]),
    # Only processes of its own: what else runs on the machine is nobody's business.
    "htop": (["sh", "-c", "sleep 77 & a=$!; sleep 78 & b=$!; exec htop -p $a,$b,$$"], [(2, "")]),
}


def record(name):
    command, keys = PROGRAMS[name]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "train.py").write_text(SOURCE)
        Path(folder, "numbers.txt").write_text("".join(f"line {n} of a long file\n" for n in range(1, 301)))
        pid, fd = pty.fork()
        if pid == 0:
            os.chdir(folder)
            home = {"HOME": folder, "TERM": "xterm-256color", "LANG": "C.UTF-8", "PATH": os.environ["PATH"], "TMUX_TMPDIR": folder, "PS1": "$ "}
            os.execvpe(command[0], command, home)
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
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
    file = Path(__file__).with_name(f"{name}.bin")
    file.write_bytes(out)
    print(file.name, len(out), "bytes")


for given in sys.argv[1:]:
    record(given)
