"""Prints what the container contract gives a script, as JSON, and leaves files where the contract wants them."""
import json
import os
import sys

config = os.environ["SM_INPUT_CONFIG_DIR"]
files = {}
for name in sorted(os.listdir(config)):
    with open(os.path.join(config, name)) as file:
        files[name] = json.load(file)
channels = {}
for variable in sorted(os.environ):
    if variable.startswith("SM_CHANNEL_"):
        for folder, _, names in os.walk(os.environ[variable]):
            for name in names:
                path = os.path.join(folder, name)
                with open(path) as file:
                    channels.setdefault(variable, {})[os.path.relpath(path, os.environ[variable])] = file.read()
for folder, name in (("SM_MODEL_DIR", "model.txt"), ("SM_OUTPUT_DATA_DIR", "notes.txt")):
    with open(os.path.join(os.environ[folder], name), "w") as file:
        file.write("from " + os.environ["SM_CURRENT_HOST"])
seen = {"argv": sys.argv[1:], "env": dict(os.environ), "config": files, "channels": channels, "here": sorted(os.listdir("."))}
print("SEEN " + json.dumps(seen, sort_keys=True), flush=True)
