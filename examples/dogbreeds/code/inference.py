"""Names the breed on a picture, for an endpoint: the functions that SageMaker's inference containers call.

In: an image/jpeg or image/png, or application/json with {"image": "<the file in base64>"} or {"pixels": [[[r, g, b], ...], ...]}
(rows of pixels from 0 to 255). Out: application/json [[p1, p2, ...]], a row per picture with the probability of each breed in
the order of the folders, so the place of the greatest is the breed's number; or text/plain with the five likeliest by name.
"""
import base64
import binascii
import io
import json

import torch
from PIL import Image
from torchvision.transforms import functional

import network
from pictures import steady


def model_fn(model_dir):
    """The network of model.pth; nothing is downloaded for it."""
    model, about = network.load(model_dir)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return {"network": model.to(device), "device": device, "transform": steady(about["image_size"]), "classes": about["classes"]}


def input_fn(body, content_type):
    """The picture. ValueError says what can be sent."""
    kind = content_type.split(";")[0].strip().lower()
    if kind in ("image/jpeg", "image/jpg", "image/png"):
        return open_image(body)
    if kind != "application/json":
        raise ValueError(f"cannot read {content_type}: send image/jpeg, image/png or application/json")
    sent = json.loads(body)
    if not isinstance(sent, dict) or not sent.keys() & {"image", "pixels", "url"}:
        raise ValueError('the JSON has no picture: send {"image": "<base64>"} or {"pixels": [[[r, g, b], ...], ...]}')
    if "image" in sent:
        try:
            return open_image(base64.b64decode(sent["image"], validate=True))
        except (binascii.Error, TypeError, ValueError) as error:
            raise ValueError(f"image is not a picture in base64: {error}") from error
    if "pixels" in sent:
        return from_pixels(sent["pixels"])
    raise ValueError("a model does not fetch pictures from the network: download the url yourself and send the picture as image/jpeg")


def open_image(content):
    try:
        return Image.open(io.BytesIO(content)).convert("RGB")
    except (OSError, SyntaxError) as error:
        raise ValueError(f"not a whole JPEG or PNG: {error}") from error


def from_pixels(rows):
    try:
        pixels = torch.tensor(rows, dtype=torch.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"pixels must be rows of [r, g, b]: {error}") from error
    if pixels.dim() != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be rows of [r, g, b]; these have the shape {list(pixels.shape)}")
    return functional.to_pil_image((pixels.clamp(0, 255) / 255).permute(2, 0, 1))


def predict_fn(image, model):
    """The names of the breeds and their probabilities."""
    batch = model["transform"](image).unsqueeze(0).to(model["device"])
    with torch.no_grad():
        odds = torch.softmax(model["network"](batch), 1)
    return model["classes"], odds.cpu().tolist()


def output_fn(prediction, accept):
    classes, rows = prediction
    if accept.split(";")[0].strip().lower() == "text/plain":
        best = sorted(zip(rows[0], classes), reverse=True)[:5]
        return "".join(f"{name} {probability:.4f}\n" for probability, name in best), "text/plain"
    return json.dumps([[round(value, 6) for value in row] for row in rows]), "application/json"
