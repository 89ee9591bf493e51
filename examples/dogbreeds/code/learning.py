"""Training and evaluation, on one host or on several."""
import csv
import math
import os
import random
import sys
import time

import torch
from torch import nn

import network
import pictures
from hosts import StopRequest, Team


def learn(options, keep_best):
    """Trains for options.epochs and saves the model: that of the epoch with the least validation loss, or the last one."""
    team = Team()
    fit(options, keep_best, team)
    # Only now, when the model is gone: DistributedDataParallel shares the process group, and if it were the last to let go of
    # it, PyTorch could wait for ever for a thread that itself waits for Python's lock (seen with 1.13 and gloo).
    team.leave()


def fit(options, keep_best, team):
    stop = StopRequest(team)
    random.seed(options.seed)
    torch.manual_seed(options.seed)
    loaders, breeds = pictures.load(options, team)
    counts = ", ".join(f"{len(loader.sampler)} {part}" for part, loader in loaders.items())
    print(f"{team.host}: {counts} images on this host, {len(breeds)} breeds, {options.arch} at {options.image_size} px on {team.device}", flush=True)

    model = team.join(network.build(options.arch, len(breeds), options.pretrained_weights))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam([each for each in model.parameters() if each.requires_grad], lr=options.learning_rate)
    # Made before the work, so that no folder can be missing after it.
    os.makedirs(options.model_dir, exist_ok=True)
    table = Table(options.output_data_dir if team.leads else None)
    best = math.inf
    for epoch in range(1, options.epochs + 1):
        began = time.monotonic()
        figures = run_epoch(model, loaders, criterion, optimizer, team, stop, epoch)
        if figures is None:
            print(f"SIGTERM in epoch {epoch}: the model is saved as it is now, then the script ends", flush=True)
            best = save_if_better(model, options, breeds, team, best, -math.inf)
            break
        if team.leads:
            say(epoch, options.epochs, figures)
            table.add(epoch, figures, time.monotonic() - began)
        best = save_if_better(model, options, breeds, team, best, figures["valid"][0] if keep_best else -math.inf)
    table.close()


def run_epoch(model, loaders, criterion, optimizer, team, stop, epoch):
    """(mean loss, accuracy) of each part, or None when the job is being stopped."""
    figures = {"train": train(model, loaders["train"], criterion, optimizer, team, stop, epoch)}
    for part in ("valid", "test"):
        if figures.get("train") is None or figures.get("valid", True) is None:
            return None
        figures[part] = evaluate(model, loaders[part], criterion, team, stop)
    if figures["test"] is None:
        return None
    if not math.isfinite(figures["train"][0]):
        sys.exit(f"error: the loss is not a number any more in epoch {epoch}: the learning rate is too high")
    return figures


def train(model, loader, criterion, optimizer, team, stop, epoch):
    model.train()
    if team.size > 1:
        loader.sampler.set_epoch(epoch)
    loss_sum, right, seen = 0.0, 0, 0
    for images, labels in loader:
        if stop.agreed():
            return None
        images, labels = images.to(team.device), labels.to(team.device)
        optimizer.zero_grad()
        outputs = model(images)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        # The criterion gives the mean of its batch; batches may differ in size, so the images are counted.
        loss_sum += loss.item() * len(labels)
        right += (outputs.argmax(1) == labels).sum().item()
        seen += len(labels)
    loss_sum, right, seen = team.total([loss_sum, right, seen])
    return loss_sum / seen, right / seen


def evaluate(model, loader, criterion, team, stop):
    # The plain model: hosts may have different numbers of batches here, and DistributedDataParallel would wait for all.
    model = getattr(model, "module", model).eval()
    loss_sum, right, seen = 0.0, 0, 0
    with torch.no_grad():
        for images, labels in loader:
            if stop.asked:
                break
            images, labels = images.to(team.device), labels.to(team.device)
            outputs = model(images)
            loss_sum += criterion(outputs, labels).item() * len(labels)
            right += (outputs.argmax(1) == labels).sum().item()
            seen += len(labels)
    loss_sum, right, seen, stopped = team.total([loss_sum, right, seen, stop.asked])
    return None if stopped else (loss_sum / seen, right / seen)


def save_if_better(model, options, breeds, team, best, value):
    """Saves the model unless an earlier epoch was better; the best value now. -inf always saves, and is not remembered."""
    if value >= best:
        return best
    if team.leads:
        network.save(model, options.model_dir, options.arch, options.image_size, breeds)
        print(f"saved {os.path.join(options.model_dir, 'model.pth')}", flush=True)
    return best if value == -math.inf else value


def say(epoch, epochs, figures):
    """The lines that the metrics of footplate.toml are read from."""
    (train_loss, train_right), (valid_loss, valid_right), (test_loss, test_right) = (figures[part] for part in pictures.PARTS)
    print(f"epoch {epoch}/{epochs} Training Loss: {train_loss:.6f}, Training Accuracy: {train_right:.4f}", flush=True)
    print(f"epoch {epoch}/{epochs} Validation Loss: {valid_loss:.6f}, Validation Accuracy: {valid_right:.4f}", flush=True)
    print(f"epoch {epoch}/{epochs} Testing Loss: {test_loss:.6f}, Testing Accuracy: {test_right:.4f}", flush=True)


class Table:
    """metrics.csv in a folder, or nothing without one."""

    def __init__(self, folder):
        self.file = None
        if folder:
            os.makedirs(folder, exist_ok=True)
            self.file = open(os.path.join(folder, "metrics.csv"), "w", newline="")
            self.write(["epoch", *(f"{part}_{what}" for part in pictures.PARTS for what in ("loss", "accuracy")), "seconds"])

    def add(self, epoch, figures, seconds):
        self.write([epoch, *(f"{value:.6f}" for part in pictures.PARTS for value in figures[part]), f"{seconds:.3f}"])

    def write(self, row):
        if self.file:
            csv.writer(self.file).writerow(row)
            self.file.flush()

    def close(self):
        if self.file:
            self.file.close()
