"""Runs until SIGTERM, then saves its model and ends well."""
import os
import signal
import sys
import time


def leave(number, frame):
    with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as file:
        file.write("saved on SIGTERM")
    print("got SIGTERM, saved", flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, leave)
print("ready", flush=True)
while True:
    time.sleep(0.1)
