#!/usr/bin/env python3
"""One trial of a tuning job: learns for a few epochs with the hyperparameters it was given and prints the losses that the
tuning job compares. The model is kept, so that the best trial's can be deployed."""
from learning import learn
from options import parse_arguments

if __name__ == "__main__":
    learn(parse_arguments(__doc__, epochs=1), keep_best=False)
