#!/usr/bin/env python3
"""Learns to tell 133 breeds of dogs apart, on one host or on several that share the work. Keeps the model of the epoch with the
least validation loss, and writes metrics.csv among the output data."""
from learning import learn
from options import parse_arguments

if __name__ == "__main__":
    learn(parse_arguments(__doc__, epochs=5, output_data_dir="output"), keep_best=True)
