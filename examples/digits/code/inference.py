"""Reads one digit for an endpoint: the functions that SageMaker's inference containers call, with Python's standard library alone.

An image/png is 8-bit greyscale of the size that the model was trained with. An application/json is {"pixels": [...]}, row by
row, from 0 (black) to 1 (white). The answer names the digit and says how probable each one is:

    {"class": "7", "probability": 0.98, "probabilities": {"0": 0.0001, ...}}
"""
import json
import os
import struct
import zlib
from math import exp
from operator import mul

from images import decode


def model_fn(model_dir):
    """The network that train.py left: {"classes": [...], "activation": "relu", "layers": [[[weight, ...], ...], ...]}."""
    with open(os.path.join(model_dir, "model.json")) as file:
        model = json.load(file)
    if model.get("activation") != "relu" or not model.get("layers"):
        raise ValueError("model.json is not a model of train.py")
    return model


def input_fn(body, content_type):
    """The pixels, from 0 to 1. ValueError says what can be sent."""
    kind = content_type.split(";")[0].strip().lower()
    if kind == "image/png":
        try:
            return [shade / 255 for shade in decode(body)]
        except (struct.error, zlib.error, IndexError) as error:
            raise ValueError(f"not a whole PNG file: {error}") from error
    if kind != "application/json":
        raise ValueError(f"cannot read {content_type}: send image/png or application/json")
    sent = json.loads(body)
    pixels = sent.get("pixels") if isinstance(sent, dict) else None
    if not isinstance(pixels, list) or not all(isinstance(pixel, (int, float)) for pixel in pixels):
        raise ValueError('the JSON has no pixels: send {"pixels": [0.0, ...]}')
    return pixels


def predict_fn(pixels, model):
    """The probability of each class."""
    layers = model["layers"]
    wanted = len(layers[0][0]) - 1  # the last input of each layer is the constant 1, its bias
    if len(pixels) != wanted:
        raise ValueError(f"the image has {len(pixels)} pixels, and the model was trained with {wanted}: scale it to that size")
    values = pixels
    for number, layer in enumerate(layers):
        values = [sum(map(mul, row, (*values, 1.0))) for row in layer]
        if number < len(layers) - 1:
            values = [value if value > 0 else 0.0 for value in values]
    top = max(values)
    raised = [exp(value - top) for value in values]
    total = sum(raised)
    return {name: value / total for name, value in zip(model["classes"], raised)}


def output_fn(probabilities, accept):
    """JSON, whatever is accepted: there is nothing else to say it in."""
    best = max(probabilities, key=probabilities.get)
    rounded = {name: round(value, 6) for name, value in probabilities.items()}
    return json.dumps({"class": best, "probability": rounded[best], "probabilities": rounded}), "application/json"
