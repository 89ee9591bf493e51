"""Writes shapes.json, the extract of the SageMaker service model that shapes.rs checks requests against.

Run it at the root of the repository with a Python that has botocore (whose version the file's first line then names):

    python3 src/local/sagemaker/shapes.py

To offer another operation, add its name below. Documentation is left out and references are shortened to shape names.
"""
import gzip
import json
import os

import botocore

OPERATIONS = [
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "ListTrainingJobs",
    "StopTrainingJob",
    "DeleteTrainingJob",
    "Search",
    "UpdateTrainingJob",
    "AddTags",
    "ListTags",
    "DeleteTags",
    "CreateHyperParameterTuningJob",
    "DescribeHyperParameterTuningJob",
    "ListHyperParameterTuningJobs",
    "ListTrainingJobsForHyperParameterTuningJob",
    "StopHyperParameterTuningJob",
    "DeleteHyperParameterTuningJob",
]
# Shapes of which only some members are kept: a search finds one kind of resource.
KEPT = {"SearchRecord": ["TrainingJob"]}
MODEL = os.path.join(botocore.__path__[0], "data/sagemaker/2017-07-24/service-2.json.gz")
TARGET = os.path.join(os.path.dirname(__file__), "shapes.json")


def collect(model, name, shapes):
    """Adds a shape and all that it refers to."""
    if name in shapes:
        return
    shape = model["shapes"][name]
    short = shapes[name] = {"type": shape["type"]}
    for key in ("required", "min", "max", "pattern", "enum"):
        if shape.get(key, []) != []:
            short[key] = shape[key]
    if "members" in shape:
        kept = KEPT.get(name, shape["members"])
        short["members"] = {member: target["shape"] for member, target in shape["members"].items() if member in kept}
    for key in ("member", "key", "value"):
        if key in shape:
            short[key] = shape[key]["shape"]
    for target in short.get("members", {}).values():
        collect(model, target, shapes)
    for key in ("member", "key", "value"):
        if key in short:
            collect(model, short[key], shapes)


def lines(entries):
    return ",\n".join(f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in entries)


def main():
    with gzip.open(MODEL) as file:
        model = json.load(file)
    operations, shapes = {}, {}
    for name in OPERATIONS:
        operation = model["operations"][name]
        operations[name] = {way: operation[way]["shape"] for way in ("input", "output") if way in operation}
        for target in operations[name].values():
            collect(model, target, shapes)
    source = (
        f"Amazon SageMaker service model 2017-07-24 (Apache-2.0), as in botocore {botocore.__version__}: "
        "documentation left out, references shortened to shape names"
    )
    with open(TARGET, "w") as file:
        file.write(f'{{"source":{json.dumps(source)},\n"operations":{{\n{lines(operations.items())}}},\n')
        file.write(f'"shapes":{{\n{lines(sorted(shapes.items()))}}}}}\n')


if __name__ == "__main__":
    main()
