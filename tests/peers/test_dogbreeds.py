"""The dog-breed example: tuned, trained on one host and on four, deployed and asked, with real PyTorch on drawn pictures.

FOOTPLATE_TORCH_PYTHON names an interpreter with torch and torchvision (tests/all looks for one, or installs Debian's); without
one the tests that need it are skipped.
"""
import ast
import base64
import functools
import json
import os
import subprocess
import sys
import tomllib

import boto3
import pytest
from botocore.exceptions import ClientError
from conformance import Conformance
from jobs import Jobs, execution_role, members, unique
from region import ROOT, Clients, Region, clean_environment, wait_until
from test_sagemaker_sdk import Tripwire

DOGS = ROOT / "examples" / "dogbreeds"
CODE = DOGS / "code"
BREEDS = (DOGS / "classes.txt").read_text().split()
# Small enough for two cores: ResNet-18 on four breeds of 64 px.
SMALL = {"arch": "resnet18", "image-size": 64, "workers": 0}


@functools.lru_cache
def torch_python():
    """An interpreter that has PyTorch, or None."""
    for python in (os.environ.get("FOOTPLATE_TORCH_PYTHON"), sys.executable, "/usr/bin/python3"):
        if python and subprocess.run([python, "-c", "import torch, torchvision"], capture_output=True).returncode == 0:
            return python
    return None


@pytest.fixture(scope="module")
def torch():
    if not torch_python():
        pytest.skip("no interpreter with PyTorch: apt-get install python3-torch python3-torchvision, or name one in FOOTPLATE_TORCH_PYTHON")
    return torch_python()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dogs") / "dogImages"
    subprocess.run([sys.executable, str(DOGS / "make_images.py"), str(folder), "--breeds", "4", "--train", "12"], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((DOGS / "footplate.toml").read_text())


@pytest.fixture(scope="module")
def torch_region(torch, tmp_path_factory):
    """A region whose project names the interpreter with PyTorch."""
    folder = tmp_path_factory.mktemp("torch-region")
    (folder / "footplate.toml").write_text(f"[local]\npython = {json.dumps(torch)}\n")

    class TorchRegion(Region):
        def command(self, env_file, speed=4):
            return [*super().command(env_file, speed), "--project", folder]

    region = TorchRegion(folder)
    yield region.start()
    region.stop()


@pytest.fixture(scope="module")
def clients(torch_region):
    watcher = Conformance()
    yield Clients(torch_region.env, watcher)
    watcher.raise_violations()


@pytest.fixture(scope="module")
def sagemaker(torch_region, clients):
    """The SDK in a shell that sourced the region's env file."""
    tripwire = Tripwire()
    with pytest.MonkeyPatch.context() as patch:
        for name in set(os.environ) - set(clean_environment()):
            patch.delenv(name)
        for name, value in torch_region.env.items():
            patch.setenv(name, value)
        for name in ("HTTPS_PROXY", "https_proxy"):
            patch.setenv(name, tripwire.url)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        boto3.setup_default_session()
        import sagemaker

        yield sagemaker
    tripwire.socket.close()
    assert tripwire.asked == [], "the SDK tried to leave the region"


@pytest.fixture(scope="module")
def estimator(sagemaker, clients, project):
    from sagemaker.pytorch import PyTorch

    metrics = [{"Name": rule["name"], "Regex": rule["regex"]} for rule in project["metrics"]]

    def make(script, hyperparameters, instance_count=1):
        return PyTorch(
            entry_point=script,
            source_dir=str(CODE),
            framework_version=project["code"]["framework_version"],
            py_version=project["code"]["py_version"],
            role=execution_role(clients),
            instance_type=project["training"]["instance_type"],
            instance_count=instance_count,
            base_job_name=unique(project["project"]["name"]),
            hyperparameters=dict(SMALL, **hyperparameters),
            metric_definitions=metrics,
        )

    return make


@pytest.fixture(scope="module")
def channel(sagemaker, pictures):
    return sagemaker.Session().upload_data(str(pictures), key_prefix=unique("dogs"))


@pytest.fixture(scope="module")
def best(sagemaker, estimator, channel, project):
    """The best trial of the tuning job: its estimator, attached by the SDK."""
    from sagemaker.analytics import HyperparameterTuningJobAnalytics
    from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner

    tuning = project["tuning"]
    rate = tuning["ranges"]["learning_rate"]
    tuner = HyperparameterTuner(
        estimator(tuning["entry_point"], {"epochs": 1}),
        objective_metric_name=tuning["objective"]["metric"],
        objective_type=tuning["objective"]["goal"].capitalize(),
        hyperparameter_ranges={"learning_rate": ContinuousParameter(rate["min"], rate["max"]), "batch_size": CategoricalParameter(tuning["ranges"]["batch_size"])},
        metric_definitions=[{"Name": rule["name"], "Regex": rule["regex"]} for rule in project["metrics"]],
        max_jobs=tuning["max_jobs"],
        max_parallel_jobs=tuning["max_parallel_jobs"],
    )
    tuner.fit({"training": channel}, wait=True)
    frame = HyperparameterTuningJobAnalytics(tuner.latest_tuning_job.name).dataframe()
    assert list(frame["TrainingJobStatus"]) == ["Completed", "Completed"]
    assert frame["FinalObjectiveValue"].notna().all()
    winner = frame.sort_values("FinalObjectiveValue").iloc[0]
    assert tuner.best_training_job() == winner["TrainingJobName"]
    return tuner.best_estimator()


def finals(clients, name):
    job = clients.sagemaker.describe_training_job(TrainingJobName=name)
    return {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]}


def test_the_best_trial_trains_on_one_instance_and_answers(best, sagemaker, estimator, channel, clients, pictures, project):
    from sagemaker.deserializers import JSONDeserializer
    from sagemaker.pytorch import PyTorchModel
    from sagemaker.serializers import IdentitySerializer, JSONSerializer

    found = best.hyperparameters()
    values = {"learning_rate": float(found["learning_rate"]), "batch_size": int(json.loads(found["batch_size"]))}
    assert 0.001 <= values["learning_rate"] <= 0.1 and values["batch_size"] in project["tuning"]["ranges"]["batch_size"]
    # What the best trial found is for 133 breeds and photos; four breeds of stripes want small steps to be learnt in seconds.
    made = estimator("train.py", {"learning_rate": 0.001, "batch_size": 8, "epochs": 8})
    made.fit({"training": channel}, wait=False)
    job = Jobs(clients, "none").wait(made.latest_training_job.name, seconds=600)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert set(finals(clients, made.latest_training_job.name)) == {rule["name"] for rule in project["metrics"]}
    fetched = members(clients.s3.get_object(Bucket=made.model_data.split("/")[2], Key=made.model_data.split("/", 3)[3])["Body"].read())
    assert set(fetched) == {"model.pth", "model.json"}
    assert json.loads(fetched["model.json"]) == {"arch": "resnet18", "image_size": 64, "classes": BREEDS[:4]}

    endpoint = project["endpoint"]
    model = PyTorchModel(
        model_data=made.model_data, entry_point=endpoint["entry_point"], source_dir=str(CODE), framework_version="1.9", py_version="py38", role=execution_role(clients)
    )
    predictor = model.deploy(
        initial_instance_count=1,
        instance_type=endpoint["instance_type"],
        serializer=IdentitySerializer(endpoint["content_type"]),
        deserializer=JSONDeserializer(),
        wait=False,
    )
    # The SDK itself would look every 30 s only.
    status = lambda: clients.sagemaker.describe_endpoint(EndpointName=predictor.endpoint_name)["EndpointStatus"]
    wait_until(lambda: status() != "Creating", "the endpoint", seconds=300)
    assert status() == "InService"
    row = predictor.predict((DOGS / endpoint["smoke_test"]).read_bytes())[0]
    assert len(row) == 4 and abs(sum(row) - 1) < 1e-3
    predictor.serializer = IdentitySerializer("image/png")
    right = 0
    tests = sorted((pictures / "test").glob("*/*.png"))
    for path in tests:
        row = predictor.predict(path.read_bytes())[0]
        right += BREEDS[row.index(max(row))] == path.parent.name
    assert right / len(tests) > 0.5, f"{right} of {len(tests)}"

    predictor.serializer = JSONSerializer()
    content = tests[0].read_bytes()
    assert max(predictor.predict({"image": base64.b64encode(content).decode()})[0]) > 0.25
    assert len(predictor.predict({"pixels": [[[200, 100, 50]] * 64] * 64})[0]) == 4
    runtime = getattr(clients, "sagemaker-runtime")
    told = runtime.invoke_endpoint(EndpointName=predictor.endpoint_name, Body=content, ContentType="image/png", Accept="text/plain")
    lines = told["Body"].read().decode().splitlines()
    assert told["ContentType"] == "text/plain" and {line.split()[0] for line in lines} == set(BREEDS[:4])
    for body, kind, said in [
        (b"GIF89a", "image/jpeg", "not a whole JPEG or PNG"),
        (b'{"url": "https://example.com/dog.jpg"}', "application/json", "does not fetch pictures from the network"),
        (b"[]", "application/json", "the JSON has no picture"),
        (b'{"pixels": [1, 2]}', "application/json", "these have the shape"),
        (b"x", "audio/wav", "cannot read audio/wav"),
    ]:
        with pytest.raises(ClientError, match=said):
            runtime.invoke_endpoint(EndpointName=predictor.endpoint_name, Body=body, ContentType=kind)
    predictor.delete_model()
    predictor.delete_endpoint()


def test_four_instances_train_one_model_together(estimator, channel, clients):
    made = estimator("train.py", {"learning_rate": 0.001, "batch_size": 16, "epochs": 2}, instance_count=4)
    made.fit({"training": channel}, wait=False)
    name = made.latest_training_job.name
    jobs = Jobs(clients, "none")
    assert jobs.wait(name, seconds=600)["TrainingJobStatus"] == "Completed", jobs.lines(name)
    by_host = {stream.split("/")[1].rsplit("-", 1)[0]: [event["message"] for event in jobs.events(stream)] for stream in jobs.streams(name)}
    for number in range(1, 5):
        lines = by_host[f"algo-{number}"]
        assert f"algo-{number}: waiting for 4 hosts to meet over gloo" in lines
        assert f"algo-{number}: 12 train, 6 valid, 6 test images on this host, 4 breeds, resnet18 at 64 px on cpu" in lines
        assert sum("Testing Loss" in line for line in lines) == (2 if number == 1 else 0), "the first host speaks for all"
    assert set(finals(clients, name)) >= {"Test Loss", "Training Loss"}


def test_a_stopped_job_of_two_hosts_keeps_its_model(estimator, channel, clients):
    made = estimator("train.py", {"learning_rate": 0.001, "batch_size": 8, "epochs": 500}, instance_count=2)
    made.fit({"training": channel}, wait=False)
    name, jobs = made.latest_training_job.name, Jobs(clients, "none")
    jobs.wait_for_line(name, "epoch 1/500 Testing Loss", seconds=300)
    clients.sagemaker.stop_training_job(TrainingJobName=name)
    job = jobs.wait(name, seconds=300)
    assert job["TrainingJobStatus"] == "Stopped"
    assert any(line.startswith("SIGTERM in epoch") for line in jobs.lines(name))
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert "model.pth" in members(jobs.fetch(uri))


def test_the_script_for_ec2_makes_its_folders(torch, pictures, tmp_path):
    """Run as the README says, beside its data; only the size is changed."""
    (tmp_path / "dogImages").symlink_to(pictures)
    script = [torch, str(CODE / "solution.py"), "--epochs", "1", "--arch", "resnet18", "--image-size", "64", "--workers", "1"]
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(script, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "TrainedModels").iterdir()} == {"model.pth", "model.json", "metrics.csv"}

    model = str(tmp_path / "TrainedModels" / "model.pth")
    again = subprocess.run([*script, "--pretrained-weights", model], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert again.returncode == 0, again.stderr
    (tmp_path / "dogImages").unlink()
    missing = subprocess.run(script, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)
    assert missing.returncode == 1 and missing.stderr.startswith("error: there is no folder dogImages/train")


def test_the_scripts_are_python_3_8():
    for path in [*CODE.glob("*.py"), DOGS / "make_images.py"]:
        ast.parse(path.read_text(), path.name, feature_version=(3, 8))


def test_pictures_are_drawn_the_same_each_time(pictures, tmp_path):
    assert len(BREEDS) == 133 and sorted(BREEDS) == BREEDS
    subprocess.run([sys.executable, str(DOGS / "make_images.py"), str(tmp_path), "--breeds", "4", "--train", "12"], check=True, capture_output=True)
    drawn = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*.png")}
    assert drawn == {path.relative_to(pictures): path.read_bytes() for path in pictures.rglob("*.png")}
    assert len(drawn) == 4 * (12 + 6 + 6) and len(set(drawn.values())) == len(drawn)
