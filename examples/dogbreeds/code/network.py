"""The network, and how it is kept: model.pth has its weights, model.json what is needed to build it again."""
import json
import os

import torch
from torch import nn
from torchvision import models


def build(arch, breeds, weights="none"):
    """A ResNet whose last layer names the breeds. With weights to start from, all but the last layer is left as it is.

    torchvision's constructors are called without arguments: that means random weights in all its versions.
    """
    model = getattr(models, arch)()
    if weights != "none":
        start_from(model, weights)
    model.fc = nn.Linear(model.fc.in_features, breeds)
    return model


def start_from(model, path):
    state = torch.load(path, map_location="cpu")
    # The last layer is made anew, whatever it named.
    state = {name: value for name, value in state.items() if not name.startswith("fc.")}
    missing, unknown = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.startswith("fc.")]
    if missing or unknown:
        raise SystemExit(f"error: {path} is not a state_dict of this arch: {len(missing)} tensors are missing, {len(unknown)} unknown, e.g. {(missing + unknown)[0]}")
    for parameter in model.parameters():
        parameter.requires_grad = False


def save(model, folder, arch, image_size, breeds):
    """Put in place as a whole: a killed script leaves no half model."""
    model = getattr(model, "module", model)
    os.makedirs(folder, exist_ok=True)
    draft = os.path.join(folder, "model.tmp")
    torch.save({name: value.cpu() for name, value in model.state_dict().items()}, draft)
    os.replace(draft, os.path.join(folder, "model.pth"))
    with open(os.path.join(folder, "model.json"), "w") as file:
        json.dump({"arch": arch, "image_size": image_size, "classes": breeds}, file, indent=1)


def load(folder):
    """The network in evaluation mode, and what model.json says of it."""
    with open(os.path.join(folder, "model.json")) as file:
        about = json.load(file)
    model = build(about["arch"], len(about["classes"]))
    model.load_state_dict(torch.load(os.path.join(folder, "model.pth"), map_location="cpu"))
    return model.eval(), about
