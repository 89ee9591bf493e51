"""A short training run with a falling loss: its lines are counted by the tests."""
import argparse
import os
import sys

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--lines", type=int, default=0)
options = parser.parse_args()
print("host " + os.environ["SM_CURRENT_HOST"], flush=True)
for epoch in range(1, options.epochs + 1):
    print("epoch %d loss=%.3f accuracy=%.2f" % (epoch, 2.0 / epoch, 1 - 0.5 / epoch), flush=True)
for number in range(options.lines):
    print("line %05d of %d" % (number, options.lines))
print("warning: a word on the error stream", file=sys.stderr, flush=True)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as file:
    file.write("weights")
print("trained", flush=True)
