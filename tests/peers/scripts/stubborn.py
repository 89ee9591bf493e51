"""Does what it can to outlive its job: ignores signals and leaves a daemon in a session of its own."""
import os
import signal
import time

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(read)
        os.write(write, str(os.getpid()).encode())
        os.close(write)
        while True:
            time.sleep(1)
    os._exit(0)
os.close(write)
os.wait()
print("pids %d %s" % (os.getpid(), os.read(read, 20).decode()), flush=True)
while True:
    time.sleep(1)
