"""A program on a pseudo-terminal: what it wrote, when, and what that cost its process."""
import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

ROWS, COLUMNS = 50, 200
ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-B]|[=>78cDEHM])")
# The cockpit puts each frame between these (DEC mode 2026).
FRAME, FRAME_END = b"\x1b[?2026h", b"\x1b[?2026l"
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000


def plain(text):
    """Without escape sequences."""
    return ESCAPE.sub(b"", text)


class Terminal:
    """A started program. Times are of `time.perf_counter`; `started` is just before exec."""

    def __init__(self, argv, env, size=(ROWS, COLUMNS), offline=False, cwd=None):
        ready, told = os.pipe()
        go, start = os.pipe()
        self.bytes = 0
        self.worked = 0.0
        self.heard = bytearray()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                # A network namespace of its own, with nothing in it. Where the kernel does not allow that: as it is.
                cut = offline and ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0
                if cwd:
                    os.chdir(cwd)
                os.write(told, b"y" if cut else b"n")
                os.read(go, 1)
                os.execvpe(argv[0], argv, env)
            finally:
                os._exit(127)
        os.close(go)
        os.close(told)
        self.resize(size)
        self.offline = os.read(ready, 1) == b"y"
        os.close(ready)
        self.started = time.perf_counter()
        os.write(start, b"g")
        os.close(start)

    def resize(self, size):
        """Another window size; the program draws everything anew."""
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def read(self, seconds):
        """Takes what comes within the time, at least one piece if there is any. False when the program is gone."""
        if not select.select([self.fd], [], [], max(0, seconds))[0]:
            return True
        try:
            piece = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.bytes += len(piece)
        self.heard += piece
        return bool(piece)

    def drain(self, seconds):
        """Reads for that long."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0 and self.read(left):
            pass

    def settle(self, seconds, at_most=10.0):
        """Reads until nothing has come for that long."""
        end = time.perf_counter() + at_most
        while time.perf_counter() < end:
            before = self.bytes
            if not self.read(seconds) or self.bytes == before:
                break

    def quiet(self, seconds, at_most=10.0):
        """The same, and forgets it."""
        self.settle(seconds, at_most)
        self.forget()

    def forget(self):
        self.heard.clear()

    def until(self, seen, seconds=30.0):
        """Reads until `seen(what came since forget)`; the time of that."""
        end = time.perf_counter() + seconds
        while True:
            if seen(self.heard):
                return time.perf_counter()
            left = end - time.perf_counter()
            if left <= 0:
                raise TimeoutError(f"not seen in {seconds} s; last came {plain(bytes(self.heard))[-400:]!r}")
            if not self.read(left) and not seen(self.heard):
                raise EOFError(f"the program ended; last came {plain(bytes(self.heard))[-400:]!r}")

    def press(self, key, seen, seconds=10.0):
        """Milliseconds from the key to what `seen` waits for. `worked` then has the CPU milliseconds of all its threads."""
        self.forget()
        before, begun = self.work(), time.perf_counter()
        os.write(self.fd, key)
        seen_at = self.until(seen, seconds)
        self.worked = self.work() - before
        return (seen_at - begun) * 1000

    def work(self, first=False):
        """CPU milliseconds up to now of all threads, or of the first alone, which draws; 0 where the kernel does not say."""
        total = 0
        for task in [self.pid] if first else os.listdir(f"/proc/{self.pid}/task"):
            try:
                with open(f"/proc/{self.pid}/task/{task}/schedstat") as file:
                    total += int(file.read().split()[0])
            except OSError:
                pass
        return total / 1e6

    def type(self, text):
        os.write(self.fd, text)

    def cost(self):
        """CPU seconds, context switches of all threads, and memory (kB) up to now."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        switches = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            switches += sum(number(f"/proc/{self.pid}/task/{task}/status", "ctxt_switches"))
        return {
            "cpu": cpu,
            "switches": switches,
            "rss": number(f"/proc/{self.pid}/status", "VmRSS")[0],
            "peak": number(f"/proc/{self.pid}/status", "VmHWM")[0],
        }

    def close(self):
        """Ends the program, orderly if it lets itself be."""
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.kill(self.pid, how)
            except ProcessLookupError:
                break
            end = time.perf_counter() + 5
            while time.perf_counter() < end:
                if os.waitpid(self.pid, os.WNOHANG)[0]:
                    os.close(self.fd)
                    return
                self.read(0.02)
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def number(path, name):
    """The numbers of the lines of a /proc file that have this in their name."""
    try:
        with open(path) as file:
            return [int(line.split()[1]) for line in file if name in line.split(":")[0]]
    except OSError:
        return [0]


def frame(least=0):
    """Seen: a whole frame of at least so many bytes."""
    return lambda heard: len(heard) >= least and FRAME_END in heard
