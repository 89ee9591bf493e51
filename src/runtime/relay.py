# Runs tmux's control mode (tmux(1), "CONTROL MODE") and beside what tmux says brings what the program in the terminal writes,
# as pipe-pane has it: tmux 3.2 and 3.3 put each byte of %output through printf, which takes longer than all the rest.
# Arguments: a word that tmux says when what the program writes may follow; tmux and its arguments, in which @RAW@ is where
# pipe-pane writes to: a line with the pane, then the bytes.
# Out go pieces: a byte, s (tmux says) or r (the program writes), the length in three bytes, and so many bytes.
#
# pipe-pane knows no bounds. So while there is room here, the pane is paused for the control client, which holds up nothing
# then. Else tmux is made to say more than it can get rid of, and the pane goes on for that client: as nobody takes what it
# says, tmux stops reading the pane (it looks for 512 bytes that wait), and the program in it waits.
import fcntl, os, select, signal, sys, time

ROOM, ENOUGH, PIECE, FAREWELL = 1 << 17, 1 << 15, 1 << 16, 0.5
F_SETPIPE_SZ = 1031
# Of a flood, more is taken at once.
MUCH, A_MOMENT = 4000, 0.002
BEGUN = b"%session-changed"
FILL = b"display-message -p %s\n" % (b"." * 4096)
word, argv = sys.argv[1].encode(), sys.argv[2:]
(raw_in, raw_out), (said_in, said_out), (typed_in, typed_out) = os.pipe(), os.pipe(), os.pipe()
filled = fcntl.fcntl(said_in, F_SETPIPE_SZ, 4096) + 1024
tmux = os.fork()
if not tmux:
    os.dup2(typed_in, 0)
    os.dup2(said_out, 1)
    path = "/proc/%d/fd/%d" % (os.getppid(), raw_out)
    os.execvp(argv[0], [argument.replace("@RAW@", path) for argument in argv])
os.close(said_out)
os.close(typed_in)
os.set_blocking(1, False)
os.set_blocking(typed_out, False)
raw, said, typed, out, last, pane, until = bytearray(), bytearray(), bytearray(), b"", b"", None, None
# What the program writes may follow; the pane is not paused; what was typed last is a whole command; tmux is there; the
# program may be; tmux has answered; it has come to the terminal.
follows, held, whole, lives, writes, answered, begun = False, True, True, True, True, False, False


def put(end, data):
    try:
        return data[os.write(end, data) :]
    except BlockingIOError:
        return data


def leave():
    # Nobody is there any more. tmux itself would wait until what it says is taken.
    os.kill(tmux, signal.SIGKILL)
    sys.exit(1)


while writes or said or raw or out:
    if lives and whole and pane and follows and (len(raw) < ENOUGH if held else len(raw) > ROOM):
        held = not held
        typed += FILL * (filled // len(FILL) + 1) if held else b""
        typed += b"refresh-client -A '%s:%s'\n" % (pane, b"continue" if held else b"pause")
    if not out and (said or raw and follows):
        kind, queue = (b"s", said) if said else (b"r", raw)
        out = kind + len(queue[:PIECE]).to_bytes(3, "big") + queue[:PIECE]
        del queue[:PIECE]
    elif not out and answered:
        # Whoever types knows by it that it has arrived.
        out, answered = b"s\0\0\0", False
    reads = [0] * (lives and len(typed) < PIECE) + [raw_in] * writes
    reads += [said_in] * (lives and len(said) < ROOM and not (held and follows and pane))
    patience = max(0, until - time.monotonic()) if until and writes else None
    ready, free, _ = select.select(reads, [1] * bool(out) + [typed_out] * bool(typed and begun), [], patience)
    try:
        out = put(1, out) if 1 in free else out
    except BrokenPipeError:
        leave()
    try:
        typed = put(typed_out, typed) if typed_out in free else typed
    except BrokenPipeError:
        typed = bytearray()
    if 0 in ready:
        data = os.read(0, PIECE)
        if not data:
            leave()
        typed += data
        whole = data.endswith(b"\n")
    if said_in in ready:
        data = os.read(said_in, PIECE)
        lives = bool(data)
        heard = last + data
        # Before it has, tmux would take commands before those that it was started with.
        begun = begun or BEGUN in heard
        last = heard[heard.rfind(b"\n", 0, -1) + 1 :]
        if not lives:
            os.close(raw_out)
            follows, until = True, time.monotonic() + FAREWELL
        elif follows:
            # Of this only the end is news, and that there was an answer.
            answered = not held
        else:
            follows = word in heard
            said += data
    if raw_in in ready and (not until or time.monotonic() < until):
        data = os.read(raw_in, PIECE)
        writes = bool(data)
        raw += data
        if len(data) > MUCH:
            time.sleep(A_MOMENT)
        if not pane and b"\n" in raw:
            pane, _, raw = raw.partition(b"\n")
    elif until and time.monotonic() >= until:
        writes = False
    if not writes and last:
        said, last = said + last if not raw else said, last if raw else b""
os.close(typed_out)
sys.exit(os.WEXITSTATUS(os.waitpid(tmux, 0)[1]))
