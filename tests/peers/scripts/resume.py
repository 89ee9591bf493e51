"""Counts on from its checkpoint by one; with WAIT in the environment it then runs for ever."""
import os
import time

folder = os.environ["SM_CHECKPOINT_DIR"]
path = os.path.join(folder, "epoch")
start = int(open(path).read()) if os.path.exists(path) else 0
print("resumed from", start, flush=True)
with open(path + ".new", "w") as file:
    file.write(str(start + 1))
os.rename(path + ".new", path)
while os.environ.get("WAIT"):
    time.sleep(0.1)
print("Testing Loss: 0.5", flush=True)
