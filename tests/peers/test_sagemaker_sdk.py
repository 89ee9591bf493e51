"""The sagemaker Python SDK, version 2, as notebooks use it: unmodified, with nothing but the env file sourced.

A tripwire stands where a proxy would: whatever the SDK tries to reach over TLS, and so outside the region, is noted and
fails the test.
"""
import os
import re
import socket
import threading

import boto3
import pytest
from jobs import SCRIPTS, execution_role, members, unique
from region import clean_environment, wait_until

METRICS = [{"Name": "loss", "Regex": r"loss=([0-9\.]+)"}, {"Name": "accuracy", "Regex": r"accuracy=([0-9\.]+)"}]


class Tripwire:
    """An HTTPS proxy that lets nothing through and remembers what was asked of it."""

    def __init__(self):
        self.asked = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return  # closed: the test is over
            with connection:
                self.asked.append(connection.recv(1000).decode(errors="replace").partition("\r\n")[0])


@pytest.fixture
def sagemaker(region, clients, watcher, monkeypatch):
    """The SDK's module, imported in an environment that has the env file's variables and a tripwire."""
    tripwire = Tripwire()
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in region.env.items():
        monkeypatch.setenv(name, value)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, tripwire.url)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    boto3.setup_default_session()
    boto3.DEFAULT_SESSION._session.register("after-call", watcher.check)
    import sagemaker

    yield sagemaker
    tripwire.socket.close()
    assert tripwire.asked == [], "the SDK tried to leave the region"


@pytest.fixture
def estimator(sagemaker, clients):
    """Makes a PyTorch estimator as the project's notebook does."""
    from sagemaker.pytorch import PyTorch

    def make(script="train.py", **more):
        return PyTorch(
            entry_point=script,
            source_dir=str(SCRIPTS),
            framework_version="1.9",
            py_version="py38",
            role=execution_role(clients),
            instance_type="ml.m5.2xlarge",
            instance_count=more.pop("instance_count", 1),
            base_job_name=unique("sdk"),
            **more,
        )

    return make


@pytest.fixture
def channel(sagemaker, tmp_path):
    """A folder uploaded with the SDK; its S3 URI."""
    for digit in range(2):
        (tmp_path / "data" / str(digit)).mkdir(parents=True)
        (tmp_path / "data" / str(digit) / "a.txt").write_text(f"picture of {digit}")
    return sagemaker.Session().upload_data(str(tmp_path / "data"), key_prefix=unique("data"))


def printed(capsys):
    """The lines that the SDK printed, without their colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()


def count(lines, text):
    return sum(line.strip() == text for line in lines)


def test_the_default_bucket_is_made_when_it_is_first_needed(sagemaker, clients):
    session = sagemaker.Session()
    name = session.default_bucket()
    assert name == "sagemaker-us-east-1-000000000000"
    assert name in [bucket["Name"] for bucket in clients.s3.list_buckets()["Buckets"]]
    assert sagemaker.Session().default_bucket() == name


def test_a_folder_is_uploaded(channel, sagemaker, clients):
    bucket, _, prefix = channel.removeprefix("s3://").partition("/")
    found = clients.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
    assert [entry["Key"] for entry in found] == [f"{prefix}/0/a.txt", f"{prefix}/1/a.txt"]
    target = sagemaker.Session().read_s3_file(bucket, f"{prefix}/1/a.txt")
    assert target == "picture of 1"


def test_fit_waits_and_prints_every_line_once(estimator, channel, clients, jobs, capsys):
    made = estimator(hyperparameters={"epochs": 3, "lines": 40}, metric_definitions=METRICS)
    made.fit({"training": channel}, wait=True, logs="All")
    lines = printed(capsys)
    for number in range(40):
        assert count(lines, f"line {number:05} of 40") == 1
    for text in ("epoch 1 loss=2.000 accuracy=0.50", "epoch 3 loss=0.667 accuracy=0.83", "warning: a word on the error stream", "trained"):
        assert count(lines, text) == 1
    assert any(line.startswith("Training seconds: ") for line in lines) and any(line.startswith("Billable seconds: ") for line in lines)

    name = made.latest_training_job.name
    job = clients.sagemaker.describe_training_job(TrainingJobName=name)
    assert job["TrainingJobStatus"] == "Completed"
    assert job["AlgorithmSpecification"]["TrainingImage"] == "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:1.9-cpu-py38"
    assert made.model_data == job["ModelArtifacts"]["S3ModelArtifacts"]
    assert members(jobs.fetch(made.model_data)) == {"model.txt": b"weights"}


def test_what_is_known_of_a_finished_job_later(estimator, channel, sagemaker, clients, capsys):
    from sagemaker.analytics import TrainingJobAnalytics
    from sagemaker.pytorch import PyTorch

    made = estimator(hyperparameters={"epochs": 4}, metric_definitions=METRICS)
    made.fit({"training": channel}, wait=False)
    name = made.latest_training_job.name
    wait_until(lambda: clients.sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] == "Completed", "the end of the job")

    attached = PyTorch.attach(name)
    assert attached.model_data == made.model_data
    assert attached.hyperparameters()["epochs"] == "4"
    assert (attached.entry_point, attached.instance_type, attached.instance_count) == ("train.py", "ml.m5.2xlarge", 1)
    assert (attached.framework_version, attached.py_version) == ("1.9", "py38")

    frame = TrainingJobAnalytics(name).dataframe()
    assert set(frame["metric_name"]) == {"loss", "accuracy"}
    assert frame[frame["metric_name"] == "loss"]["value"].between(0.5, 2.0).all()
    assert count(printed(capsys), "trained") == 0


def test_four_hosts_print_their_lines(estimator, channel, clients, capsys):
    made = estimator(instance_count=4, hyperparameters={"epochs": 1, "lines": 5})
    made.fit({"training": channel}, wait=True, logs="All")
    lines = printed(capsys)
    for host in range(1, 5):
        assert count(lines, f"host algo-{host}") == 1
    for number in range(5):
        assert count(lines, f"line {number:05} of 5") == 4
    job = clients.sagemaker.describe_training_job(TrainingJobName=made.latest_training_job.name)
    assert job["ResourceConfig"]["InstanceCount"] == 4


def test_a_failing_script_raises_with_its_own_error(estimator, channel, sagemaker, capsys):
    made = estimator("fail.py")
    with pytest.raises(sagemaker.exceptions.UnexpectedStatusException) as caught:
        made.fit({"training": channel}, wait=True, logs="All")
    assert caught.value.actual_status == "Failed"
    assert "RuntimeError: the pictures are upside down" in str(caught.value)
    assert count(printed(capsys), "RuntimeError: the pictures are upside down") == 1


def test_a_running_job_is_stopped_through_the_sdk(estimator, sagemaker, clients, jobs):
    made = estimator("polite.py")
    made.fit(wait=False)
    name = made.latest_training_job.name
    jobs.wait_for_line(name, "ready")
    sagemaker.Session().stop_training_job(name)
    assert jobs.wait(name)["TrainingJobStatus"] == "Stopped"
