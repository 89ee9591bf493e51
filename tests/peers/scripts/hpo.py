"""A loss that depends on its hyperparameters alone: a bowl with its bottom at learning_rate 0.01 and the smallest batch."""
import argparse
import math

parser = argparse.ArgumentParser()
parser.add_argument("--learning_rate", type=float, required=True)
parser.add_argument("--batch_size", type=int, default=32)
parser.add_argument("--epochs", type=int, default=2)
options = parser.parse_args()
loss = abs(math.log10(options.learning_rate) + 2) + options.batch_size / 1000
for epoch in range(options.epochs):
    print("Testing Loss: %.6f" % (loss + 1.0 / 10 ** epoch), flush=True)
print("Testing Loss: %.6f" % loss, flush=True)
