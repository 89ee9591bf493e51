"""The example project: the script by itself, with nothing but Python, and as a job of the region."""
import csv
import importlib.util
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections import Counter

import pytest
from jobs import members
from region import ROOT

DIGITS = ROOT / "examples" / "digits"


@pytest.fixture(scope="module")
def channel(tmp_path_factory):
    """The data, unpacked."""
    folder = tmp_path_factory.mktemp("digits")
    with zipfile.ZipFile(DIGITS / "digits.zip") as archive:
        archive.extractall(folder)
    return folder


def start(tmp_path, *arguments, **environment):
    env = {"PATH": os.environ["PATH"], "SM_MODEL_DIR": str(tmp_path / "model"), "SM_OUTPUT_DATA_DIR": str(tmp_path / "output"), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    command = [sys.executable, str(DIGITS / "code" / "train.py"), *arguments]
    return subprocess.Popen(command, env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(tmp_path, *arguments, **environment):
    """(exit code, stdout, stderr)"""
    process = start(tmp_path, *arguments, **environment)
    out, err = process.communicate(timeout=120)
    return process.returncode, out.decode(), err.decode()


def test_the_data_is_what_it_is_said_to_be(channel):
    counts = Counter(path.relative_to(channel).parts[0] for path in channel.rglob("*.png"))
    assert counts == {"train": 1437, "test": 360}
    assert {path.parent.name for path in channel.rglob("*.png")} == set("0123456789")


def test_png_filters_are_undone():
    spec = importlib.util.spec_from_file_location("images", DIGITS / "code" / "images.py")
    images = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(images)
    # Rows of two pixels: plain 10 20; left 5 +5; up +1 +1; average of left and up; Paeth.
    stream = bytes([0, 10, 20, 1, 5, 5, 2, 1, 1, 3, 10, 10, 4, 1, 1])
    assert list(images.unfilter(stream, 2, 5)) == [10, 20, 5, 10, 6, 11, 13, 22, 14, 23]
    with pytest.raises(ValueError, match="not a PNG file"):
        images.decode(b"GIF89a")


def test_it_learns(tmp_path, channel):
    code, out, err = run(tmp_path, "--epochs", "4", "--hidden", "32", SM_CHANNEL_TRAIN=str(channel))
    assert code == 0, err
    rows = list(csv.DictReader(open(tmp_path / "output" / "metrics.csv")))
    losses = [float(row["train_loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0] / 2
    assert float(rows[-1]["test_accuracy"]) > 0.75
    model = json.loads((tmp_path / "model" / "model.json").read_text())
    assert model["classes"] == list("0123456789")
    assert [(len(layer), len(layer[0])) for layer in model["layers"]] == [(32, 65), (10, 33)]
    assert "\repoch 4/4: 100%|####################| 1437/1437" in err


def test_the_same_seed_gives_the_same_model(tmp_path, channel):
    models = []
    for part in ("a", "b"):
        run(tmp_path / ".", "--epochs", "1", "--hidden", "8", SM_CHANNEL_TRAIN=str(channel), SM_MODEL_DIR=str(tmp_path / part))
        models.append((tmp_path / part / "model.json").read_text())
    assert models[0] == models[1]


def test_sigterm_saves_the_model(tmp_path, channel):
    process = start(tmp_path, SM_CHANNEL_TRAIN=str(channel))
    for line in process.stdout:
        if line.startswith(b"epoch 1/"):
            process.send_signal(signal.SIGTERM)
            break
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"SIGTERM in epoch" in out
    assert json.loads((tmp_path / "model" / "model.json").read_text())["layers"]


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda folder: None, "SM_CHANNEL_TRAIN is not set"),
        (lambda folder: folder / "none", "does not exist"),
        (lambda folder: folder, "no images in"),
        (lambda folder: (folder / "digits.zip").write_bytes(b"") and None or folder, "unpack that"),
    ],
)
def test_missing_data_is_said_with_a_remedy(tmp_path, make, said):
    folder = make(tmp_path)
    code, _, err = run(tmp_path, **({"SM_CHANNEL_TRAIN": str(folder)} if folder else {}))
    assert code == 1
    assert err.startswith("error: ") and said in err and "Traceback" not in err


@pytest.mark.parametrize("arguments", [("--epochs", "0"), ("--learning-rate", "nan"), ("--batch-size", "many")])
def test_bad_hyperparameters_are_refused(tmp_path, channel, arguments):
    code, _, err = run(tmp_path, *arguments, SM_CHANNEL_TRAIN=str(channel))
    assert code == 2 and arguments[0] in err


def test_several_hosts_are_told_that_they_repeat_the_work(tmp_path, channel):
    _, out, _ = run(tmp_path, "--epochs", "1", "--hidden", "4", SM_CHANNEL_TRAIN=str(channel), SM_HOSTS='["algo-1","algo-2"]', SM_CURRENT_HOST="algo-2")
    assert out.startswith("hint: 2 hosts, but this script is not distributed: algo-2 trains the same model")


def test_it_trains_in_the_region_on_data_in_s3(jobs, channel):
    files = {str(path.relative_to(channel)): path.read_bytes() for path in channel.rglob("*.png")}
    values = {"epochs": 3, "learning-rate": 0.05, "batch-size": 32, "hidden": 32, "seed": 1}
    metrics = {name: rf"{name}=([0-9.eE+-]+)" for name in ("train_loss", "test_loss", "test_accuracy")}
    job = jobs.run("train.py", folder=DIGITS / "code", hyperparameters=values, channels={"train": jobs.put_channel(files)}, metrics=metrics)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    finals = {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}
    assert finals["test_accuracy"] > 0.7 and finals["train_loss"] < 1.5
    artefact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert set(members(jobs.fetch(artefact))) == {"model.json"}
    output = members(jobs.fetch(artefact.replace("model.tar.gz", "output.tar.gz")))
    assert any(name.endswith("metrics.csv") for name in output)
