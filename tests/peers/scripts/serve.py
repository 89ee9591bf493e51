"""An inference script for tests: says what reached it."""
import json
import os


def model_fn(model_dir):
    with open(os.path.join(model_dir, "weights.txt")) as file:
        return file.read()


def input_fn(body, content_type):
    if content_type == "application/json":
        return json.loads(body)
    return {"bytes": len(body), "type": type(body).__name__, "content_type": content_type}


def predict_fn(data, model):
    if data.get("raise"):
        raise RuntimeError("the model is tired")
    return dict(data, model=model)


def output_fn(prediction, accept):
    return json.dumps(dict(prediction, accept=accept)), "application/json"
