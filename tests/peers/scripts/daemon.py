"""Ends well, but leaves a daemon behind."""
import os
import time

if os.fork() == 0:
    os.setsid()
    while True:
        time.sleep(1)
print("done", flush=True)
