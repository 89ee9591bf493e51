"""The aws command, with nothing but the env file sourced. It brings a botocore of its own."""
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from jobs import GROUP, unique


@pytest.fixture
def aws(region):
    """Runs the aws command; what it printed."""
    program = Path(sys.executable).with_name("aws")
    program = str(program) if program.exists() else shutil.which("aws")

    def run(*arguments, code=0):
        env = dict(region.env, AWS_PAGER="", AWS_MAX_ATTEMPTS="1", PATH=os.environ["PATH"])
        done = subprocess.run([program, *map(str, arguments)], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == code, f"aws {' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr if code else done.stdout

    return run


@pytest.fixture
def ask(aws):
    """Runs the aws command for JSON."""
    return lambda *arguments: json.loads(aws(*arguments, "--output", "json"))


@pytest.fixture
def folder(tmp_path):
    """A small image folder."""
    root = tmp_path / "images"
    for digit in range(3):
        for number in range(4):
            path = root / "train" / str(digit) / f"{number} ü.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{digit}/{number}".encode() * 100)
    (root / "large.bin").write_bytes(os.urandom(9 * 1024 * 1024))
    return root


def files(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def moment(printed, minutes=0):
    """A time that the aws command printed, as it wants it back; SageMaker's are seconds since the epoch by default."""
    return (datetime.fromtimestamp(printed, timezone.utc) + timedelta(minutes=minutes)).isoformat()


def test_sts(ask):
    assert ask("sts", "get-caller-identity")["Account"] == "000000000000"


def test_a_folder_goes_up_is_listed_and_comes_down(aws, folder, tmp_path):
    bucket = unique("cli")
    assert "make_bucket" in aws("s3", "mb", f"s3://{bucket}")
    aws("s3", "cp", folder, f"s3://{bucket}/data", "--recursive", "--quiet")
    listing = aws("s3", "ls", f"s3://{bucket}/data/")
    assert "PRE train/" in listing and "9437184 large.bin" in listing
    assert len(aws("s3", "ls", f"s3://{bucket}/", "--recursive").splitlines()) == 13
    aws("s3", "cp", f"s3://{bucket}/data", tmp_path / "back", "--recursive", "--quiet")
    assert files(tmp_path / "back") == files(folder)
    assert bucket in aws("s3", "ls")


def test_sync_sends_only_what_changed(aws, folder, tmp_path):
    bucket = unique("cli")
    aws("s3", "mb", f"s3://{bucket}")
    assert aws("s3", "sync", folder, f"s3://{bucket}/d").count("upload: ") == 13
    assert "upload: " not in aws("s3", "sync", folder, f"s3://{bucket}/d")
    (folder / "train" / "0" / "0 ü.png").write_bytes(b"changed")
    (folder / "train" / "1" / "1 ü.png").unlink()
    said = aws("s3", "sync", folder, f"s3://{bucket}/d", "--delete")
    assert (said.count("upload: "), said.count("delete: ")) == (1, 1)
    aws("s3", "sync", f"s3://{bucket}/d", tmp_path / "back", "--quiet")
    assert files(tmp_path / "back") == files(folder)


def test_rm_mv_and_rb(aws, folder):
    bucket = unique("cli")
    aws("s3", "mb", f"s3://{bucket}")
    aws("s3", "cp", folder / "large.bin", f"s3://{bucket}/a", "--quiet")
    aws("s3", "mv", f"s3://{bucket}/a", f"s3://{bucket}/b", "--quiet")
    assert aws("s3", "ls", f"s3://{bucket}/").split()[-1] == "b"
    assert "BucketNotEmpty" in aws("s3", "rb", f"s3://{bucket}", code=1)
    aws("s3", "rm", f"s3://{bucket}/", "--recursive", "--quiet")
    aws("s3", "rb", f"s3://{bucket}")
    assert bucket not in aws("s3", "ls")


def test_a_presigned_url_can_be_fetched(aws, folder, tmp_path):
    bucket = unique("cli")
    aws("s3", "mb", f"s3://{bucket}")
    name = tmp_path / "note.txt"
    name.write_text("hello")
    aws("s3", "cp", name, f"s3://{bucket}/a note.txt", "--quiet")
    url = aws("s3", "presign", f"s3://{bucket}/a note.txt", "--expires-in", "60").strip()
    assert url.startswith("http://127.0.0.1:")
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"hello"


def test_what_is_missing_is_said(aws):
    assert "NoSuchBucket" in aws("s3", "ls", f"s3://{unique('none')}", code=255)
    said = aws("sagemaker", "describe-training-job", "--training-job-name", "none", code=255)
    assert "ValidationException" in said and "Requested resource not found." in said


def test_a_training_job_from_creation_to_its_logs_and_metrics(aws, ask, jobs):
    request = jobs.request("train.py", hyperparameters={"epochs": 3}, metrics={"loss": r"loss=([0-9\.]+)"}, Tags=[{"Key": "from", "Value": "cli"}])
    name = request["TrainingJobName"]
    arn = ask("sagemaker", "create-training-job", "--cli-input-json", json.dumps(request))["TrainingJobArn"]
    jobs.wait(name)
    aws("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", name)
    job = ask("sagemaker", "describe-training-job", "--training-job-name", name)
    assert (job["TrainingJobStatus"], job["TrainingJobArn"]) == ("Completed", arn)
    assert ask("sagemaker", "list-tags", "--resource-arn", arn)["Tags"] == [{"Key": "from", "Value": "cli"}]
    listed = ask("sagemaker", "list-training-jobs", "--name-contains", name, "--status-equals", "Completed")
    assert [summary["TrainingJobName"] for summary in listed["TrainingJobSummaries"]] == [name]

    streams = ask("logs", "describe-log-streams", "--log-group-name", GROUP, "--log-stream-name-prefix", f"{name}/")["logStreams"]
    events = ask("logs", "get-log-events", "--log-group-name", GROUP, "--log-stream-name", streams[0]["logStreamName"], "--start-from-head")["events"]
    assert [event["message"] for event in events].count("epoch 3 loss=0.667 accuracy=0.83") == 1
    filtered = ask("logs", "filter-log-events", "--log-group-name", GROUP, "--log-stream-name-prefix", f"{name}/", "--filter-pattern", "trained")["events"]
    assert [event["message"] for event in filtered] == ["trained"]

    points = ask(
        "cloudwatch", "get-metric-statistics", "--namespace", "/aws/sagemaker/TrainingJobs", "--metric-name", "loss", "--dimensions", f"Name=TrainingJobName,Value={name}",
        "--start-time", moment(job["CreationTime"], -1), "--end-time", moment(job["LastModifiedTime"], 5), "--period", "60", "--statistics", "SampleCount", "Minimum",
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in points) == 3 and min(point["Minimum"] for point in points) == 0.667
    metrics = ask("cloudwatch", "list-metrics", "--namespace", "/aws/sagemaker/TrainingJobs", "--dimensions", f"Name=TrainingJobName,Value={name}")["Metrics"]
    assert [metric["MetricName"] for metric in metrics] == ["loss"]


def test_a_running_job_is_stopped(aws, ask, jobs):
    name = jobs.start("polite.py")
    jobs.wait_for_line(name, "ready")
    aws("sagemaker", "stop-training-job", "--training-job-name", name)
    jobs.wait(name)
    aws("sagemaker", "wait", "training-job-completed-or-stopped", "--training-job-name", name)
    assert ask("sagemaker", "describe-training-job", "--training-job-name", name)["TrainingJobStatus"] == "Stopped"


def test_finished_jobs_are_searched(ask, jobs):
    name = jobs.run("train.py", hyperparameters={"epochs": 2}, Tags=[{"Key": "from", "Value": "search"}])["TrainingJobName"]
    expression = {"Filters": [{"Name": "Tags.from", "Operator": "Equals", "Value": "search"}, {"Name": "HyperParameters.epochs", "Operator": "GreaterThan", "Value": "1"}]}
    found = ask("sagemaker", "search", "--resource", "TrainingJob", "--search-expression", json.dumps(expression), "--max-results", "1")["Results"]
    assert [result["TrainingJob"]["TrainingJobName"] for result in found] == [name]
