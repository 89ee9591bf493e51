#!/usr/bin/env python3
"""Learns to read handwritten digits: a small neural network, in nothing but Python's standard library (3.8 or newer).

A SageMaker script-mode script: hyperparameters come as arguments, the data, the model's folder and the output folder from
the SM_* variables. It runs by hand as well:

    SM_CHANNEL_TRAIN=data SM_MODEL_DIR=model SM_OUTPUT_DATA_DIR=output python3 train.py --epochs 3
"""
import argparse
import csv
import json
import os
import random
import signal
import sys
import time
from math import exp, isnan, isqrt, log, sqrt
from operator import mul
from pathlib import Path

from images import load_folder

MOMENTUM = 0.9


def main():
    options = parse_arguments()
    stop = StopRequest()
    say_if_repeated()
    train, test, classes = load_channel(options.train)
    print(f"{len(train[0])} training images, {len(test[0])} test images, {len(classes)} classes", flush=True)

    chance = random.Random(options.seed)
    network = Network(len(train[0][0]), options.hidden, len(classes), chance)
    options.model_dir.mkdir(parents=True, exist_ok=True)
    options.output_data_dir.mkdir(parents=True, exist_ok=True)
    with open(options.output_data_dir / "metrics.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["epoch", "train_loss", "test_loss", "test_accuracy", "seconds"])
        for epoch in range(1, options.epochs + 1):
            began = time.monotonic()
            train_loss = train_epoch(network, train, options, chance, stop, f"epoch {epoch}/{options.epochs}")
            if isnan(train_loss):
                sys.exit(f"error: the loss is not a number any more in epoch {epoch}: the learning rate {options.learning_rate} is too high")
            if stop.asked:
                print(f"SIGTERM in epoch {epoch}: the model is saved as it is now, then the script ends", flush=True)
                break
            test_loss, accuracy = evaluate(network, *test)
            seconds = time.monotonic() - began
            print(f"epoch {epoch}/{options.epochs} train_loss={train_loss:.4f} test_loss={test_loss:.4f} test_accuracy={accuracy:.4f}", flush=True)
            table.writerow([epoch, f"{train_loss:.6f}", f"{test_loss:.6f}", f"{accuracy:.6f}", f"{seconds:.3f}"])
            file.flush()
    save(network, classes, options.model_dir / "model.json")


def parse_arguments():
    parser = argparse.ArgumentParser(description="Learns to read handwritten digits.")
    parser.add_argument("--epochs", type=positive(int), default=60, help="passes over the training images")
    parser.add_argument("--learning-rate", type=positive(float), default=0.05)
    parser.add_argument("--batch-size", type=positive(int), default=32, help="images per step")
    parser.add_argument("--hidden", type=positive(int), default=96, help="units of the hidden layer")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same model")
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"), help="the channel's folder, with train/ and test/")
    parser.add_argument("--model-dir", type=Path, default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--output-data-dir", type=Path, default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))
    return parser.parse_args()


def positive(kind):
    def read(text):
        value = kind(text)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"{text} must be greater than 0")
        return value

    read.__name__ = f"number above 0 ({kind.__name__})"
    return read


class StopRequest:
    """SageMaker stops a job with SIGTERM and waits two minutes: time to save what was learnt."""

    def __init__(self):
        self.asked = False
        signal.signal(signal.SIGTERM, self.ask)

    def ask(self, number, frame):
        self.asked = True


def say_if_repeated():
    hosts = json.loads(os.environ.get("SM_HOSTS") or "[]")
    if len(hosts) > 1:
        me = os.environ.get("SM_CURRENT_HOST", "this host")
        print(f"hint: {len(hosts)} hosts, but this script is not distributed: {me} trains the same model on the same data as the others", flush=True)


def load_channel(folder):
    """(pixels, labels as class numbers) of the training and of the test images, and the class names. Ends with a remedy if there is nothing to learn from."""
    layout = "It needs train/<digit>/*.png and test/<digit>/*.png."
    if not folder:
        sys.exit(f"error: no training data: SM_CHANNEL_TRAIN is not set. Give the job a channel named 'train', or the script --train FOLDER. {layout}")
    root = Path(folder)
    if not root.is_dir():
        sys.exit(f"error: no training data: the folder {root} does not exist. Check the channel 'train' or --train. {layout}")
    archives = sorted(path.name for path in root.glob("*.zip"))
    parts = {}
    for part in ("train", "test"):
        try:
            parts[part] = load_folder(root / part)
        except ValueError as error:
            sys.exit(f"error: {error}")
        if not parts[part][0]:
            unpack = f" It holds {archives[0]}: unpack that before it is uploaded." if archives else ""
            sys.exit(f"error: no images in {root / part}. {layout}{unpack}")
    classes = sorted(set(parts["train"][1]))
    unknown = sorted(set(parts["test"][1]) - set(classes))
    if unknown:
        sys.exit(f"error: test/ has classes that train/ has not: {', '.join(unknown)}. Both need the same folders.")
    number = {name: index for index, name in enumerate(classes)}
    train, test = ((pixels, [number[label] for label in labels]) for pixels, labels in (parts["train"], parts["test"]))
    sizes = {len(image) for image in train[0] + test[0]}
    if len(sizes) > 1 or any(isqrt(size) ** 2 != size for size in sizes):
        sys.exit(f"error: the images have {', '.join(map(str, sorted(sizes)))} pixels. Scale them all to squares of one size.")
    return train, test, classes


def product(rows, columns):
    """The matrix product of a list of rows and a list of columns."""
    return [[sum(map(mul, row, column)) for column in columns] for row in rows]


def transposed(rows):
    return list(zip(*rows))


class Network:
    """Pixels -> hidden layer with ReLU -> one probability per class by softmax. The last input of each layer is the constant 1, its bias."""

    def __init__(self, inputs, hidden, classes, chance):
        self.layers = [start_weights(inputs, hidden, chance), start_weights(hidden, classes, chance)]
        self.speeds = [[[0.0] * len(row) for row in layer] for layer in self.layers]

    def forward(self, pixels):
        """Inputs with their constant, hidden activations with theirs, and the probabilities, a row per image."""
        inputs = [(*row, 1.0) for row in pixels]
        hidden = [(*(value if value > 0 else 0.0 for value in row), 1.0) for row in product(inputs, self.layers[0])]
        return inputs, hidden, [softmax(row) for row in product(hidden, self.layers[1])]

    def step(self, pixels, labels, rate):
        """One step of gradient descent with momentum; the losses of the batch's images before it."""
        inputs, hidden, odds = self.forward(pixels)
        losses = [-log(max(row[label], 1e-12)) for row, label in zip(odds, labels)]
        errors = [[(value - (index == label)) / len(labels) for index, value in enumerate(row)] for row, label in zip(odds, labels)]
        back = product(errors, transposed(self.layers[1]))
        hidden_errors = [[error if value > 0 else 0.0 for error, value in zip(row, values[:-1])] for row, values in zip(back, hidden)]
        self.descend(0, product(transposed(hidden_errors), transposed(inputs)), rate)
        self.descend(1, product(transposed(errors), transposed(hidden)), rate)
        return losses

    def descend(self, layer, slopes, rate):
        speeds = [[MOMENTUM * speed - rate * slope for speed, slope in zip(*rows)] for rows in zip(self.speeds[layer], slopes)]
        self.speeds[layer] = speeds
        self.layers[layer] = [[weight + speed for weight, speed in zip(*rows)] for rows in zip(self.layers[layer], speeds)]


def start_weights(inputs, outputs, chance):
    """He's initialisation, which keeps the signal's size through ReLU; biases start at 0."""
    spread = sqrt(2 / inputs)
    return [[*(chance.gauss(0, spread) for _ in range(inputs)), 0.0] for _ in range(outputs)]


def softmax(scores):
    top = max(scores)
    raised = [exp(score - top) for score in scores]
    total = sum(raised)
    return [value / total for value in raised]


def train_epoch(network, data, options, chance, stop, title):
    """The mean loss over one pass in random order; ends early when a stop was asked for."""
    pixels, labels = data
    order = list(range(len(labels)))
    chance.shuffle(order)
    losses = []
    with Progress(title, len(order)) as progress:
        for start in range(0, len(order), options.batch_size):
            batch = order[start : start + options.batch_size]
            moved = [shifted(pixels[i], chance) for i in batch]
            losses += network.step(moved, [labels[i] for i in batch], options.learning_rate)
            progress.show(len(losses))
            if stop.asked:
                break
    return sum(losses) / len(losses)


def shifted(image, chance):
    """The square image, moved at random by up to one pixel each way: no epoch shows the same picture twice, so that there is little to learn by heart."""
    side = isqrt(len(image))
    down, right = chance.choice((-1, 0, 0, 1)), chance.choice((-1, 0, 0, 1))
    blank = [0.0] * side
    rows = [image[at : at + side] for at in range(0, len(image), side)]
    rows = [blank, *rows[:-1]] if down > 0 else [*rows[1:], blank] if down < 0 else rows
    if right > 0:
        rows = [[0.0, *row[:-1]] for row in rows]
    elif right < 0:
        rows = [[*row[1:], 0.0] for row in rows]
    return [pixel for row in rows for pixel in row]


def evaluate(network, pixels, labels):
    """Mean loss and share of images read rightly."""
    _, _, odds = network.forward(pixels)
    loss = sum(-log(max(row[label], 1e-12)) for row, label in zip(odds, labels)) / len(labels)
    right = sum(row[label] == max(row) for row, label in zip(odds, labels))
    return loss, right / len(labels)


class Progress:
    """A bar on stderr that redraws its line with a carriage return, at most ten times a second."""

    WIDTH = 20

    def __init__(self, title, total):
        self.title, self.total, self.done = title, total, 0
        self.began = time.monotonic()
        self.shown = 0.0

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.draw("\n")

    def show(self, done):
        self.done = done
        if time.monotonic() - self.shown >= 0.1:
            self.draw("")

    def draw(self, end):
        self.shown = time.monotonic()
        filled = self.WIDTH * self.done // self.total
        rate = self.done / max(self.shown - self.began, 1e-9)
        bar = "#" * filled + "." * (self.WIDTH - filled)
        sys.stderr.write(f"\r{self.title}: {100 * self.done // self.total:3}%|{bar}| {self.done}/{self.total} [{rate:.0f} images/s]{end}")
        sys.stderr.flush()


def save(network, classes, path):
    """The weights as JSON, put in place as a whole: a killed script leaves no half model."""
    layers = [[[round(weight, 6) for weight in row] for row in layer] for layer in network.layers]
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({"classes": classes, "activation": "relu", "layers": layers}))
    draft.replace(path)
    print(f"saved {path}", flush=True)


if __name__ == "__main__":
    main()
