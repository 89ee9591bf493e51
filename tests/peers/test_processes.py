"""What is left when the region goes, in good order or by `kill -9`; and what is there when it comes back."""
import os
import subprocess

import pytest
from botocore.exceptions import ClientError
from conformance import Conformance
from jobs import ENDED, GROUP, Jobs, members, unique
from region import Clients, Region, wait_until

MINUTE_METRIC = {"Namespace": "/aws/sagemaker/TrainingJobs", "MetricName": "loss"}


def processes_of(job):
    """The ids of all processes that were started for a job: the region names the job in their environment."""
    marker, found = f"TRAINING_JOB_NAME={job}".encode(), []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/environ", "rb") as environment:
                    if marker in environment.read().split(b"\0"):
                        found.append(int(entry))
            except OSError:
                continue  # it has just ended, or is someone else's
    return found


def jobs_of(region, bucket=None):
    clients = Clients(region.env, Conformance())
    if bucket is None:
        bucket = unique("peers")
        clients.s3.create_bucket(Bucket=bucket)
    return Jobs(clients, bucket)


def start_stubborn(jobs):
    name = jobs.start("stubborn.py")
    jobs.wait_for_line(name, "pids")
    assert len(processes_of(name)) >= 2  # the script and its daemon, so that the search is known to find them
    return name


def test_kill_9_leaves_no_process_and_loses_nothing(own_region):
    jobs = jobs_of(own_region)
    finished = jobs.start("train.py", hyperparameters={"lines": 50}, metrics={"loss": r"loss=([0-9\.]+)"}, Tags=[{"Key": "k", "Value": "v"}])
    before = jobs.wait(finished)
    lines = jobs.lines(finished)
    running = start_stubborn(jobs)

    own_region.kill()
    wait_until(lambda: not processes_of(running), "the job's processes to be gone", seconds=5)

    own_region.start()
    jobs = jobs_of(own_region, jobs.bucket)
    job = jobs.wait(running, seconds=10)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert "region" in job["FailureReason"], job["FailureReason"]
    assert job["TrainingEndTime"] >= job["CreationTime"]
    assert any(line.startswith("pids") for line in jobs.lines(running))

    after = jobs.describe(finished)
    assert {key: value for key, value in after.items() if key != "ResponseMetadata"} == {key: value for key, value in before.items() if key != "ResponseMetadata"}
    assert jobs.lines(finished) == lines and len(lines) > 50
    metrics = jobs.clients.cloudwatch.list_metrics(**MINUTE_METRIC, Dimensions=[{"Name": "TrainingJobName", "Value": finished}])["Metrics"]
    assert len(metrics) == 1
    assert members(jobs.fetch(after["ModelArtifacts"]["S3ModelArtifacts"])) == {"model.txt": b"weights"}
    assert jobs.clients.sagemaker.list_tags(ResourceArn=after["TrainingJobArn"])["Tags"] == [{"Key": "k", "Value": "v"}]
    assert jobs.wait(jobs.start("train.py"))["TrainingJobStatus"] == "Completed"


def test_an_orderly_end_leaves_no_process_either(own_region):
    jobs = jobs_of(own_region)
    running = start_stubborn(jobs)
    own_region.stop()
    wait_until(lambda: not processes_of(running), "the job's processes to be gone", seconds=5)
    own_region.start()
    assert jobs_of(own_region, jobs.bucket).wait(running, seconds=10)["TrainingJobStatus"] in {"Failed", "Stopped"}


def test_a_stopped_job_leaves_no_process(own_region):
    jobs = jobs_of(own_region)
    running = start_stubborn(jobs)
    jobs.clients.sagemaker.stop_training_job(TrainingJobName=running)
    # SageMaker gives a script 120 s after SIGTERM; the region may be faster but not slower
    assert jobs.wait(running, seconds=150)["TrainingJobStatus"] == "Stopped"
    wait_until(lambda: not processes_of(running), "the job's processes to be gone", seconds=5)


def test_a_finished_job_leaves_no_daemon(own_region):
    jobs = jobs_of(own_region)
    name = jobs.start("daemon.py")
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    wait_until(lambda: not processes_of(name), "the daemon of the finished job to be gone", seconds=5)


def test_kill_9_while_many_jobs_start(own_region):
    jobs = jobs_of(own_region)
    names = [jobs.start("polite.py", name=f"crowd-{number}") for number in range(4)]
    own_region.kill()
    wait_until(lambda: not [pid for name in names for pid in processes_of(name)], "all processes to be gone", seconds=5)
    own_region.start()
    jobs = jobs_of(own_region, jobs.bucket)
    for name in names:
        job = jobs.wait(name, seconds=10)
        assert job["TrainingJobStatus"] in ENDED - {"Completed"} and job["FailureReason"]


def test_a_second_region_on_the_same_folder_is_refused(own_region, tmp_path):
    second = own_region.command(tmp_path / "second.sh")
    done = subprocess.run(second, env=own_region.surroundings(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=20)
    assert done.returncode != 0
    assert str(own_region.data) in done.stdout, done.stdout
    assert not (tmp_path / "second.sh").exists()
    jobs = jobs_of(own_region)
    assert jobs.run("train.py")["TrainingJobStatus"] == "Completed"


def test_two_regions_on_two_folders_do_not_see_each_other(own_region, tmp_path):
    other = Region(tmp_path / "other").start()
    try:
        jobs, others = jobs_of(own_region), jobs_of(other)
        name = jobs.start("train.py")
        jobs.wait(name)
        assert others.clients.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
        with pytest.raises(others.clients.logs.exceptions.ResourceNotFoundException):
            others.clients.logs.describe_log_streams(logGroupName=GROUP)
    finally:
        other.stop()


class SmallDisk(Region):
    """A region on a file system of 24 MB, which takes no root where user namespaces are allowed."""

    def command(self, env_file, speed=4):
        mount = 'mkdir -p "$0" && mount -t tmpfs -o size=24m,mode=700 tmpfs "$0" && exec "$@"'
        return ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, self.data, *super().command(env_file, speed)]


def test_a_full_disk_is_said_and_takes_nothing_away(tmp_path):
    probe = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(probe, stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("this machine does not let a user mount a file system of their own")
    region = SmallDisk(tmp_path).start()
    try:
        jobs = jobs_of(region)
        s3 = jobs.clients.s3
        s3.put_object(Bucket=jobs.bucket, Key="k", Body=b"first")
        with pytest.raises(ClientError) as caught:
            s3.put_object(Bucket=jobs.bucket, Key="k", Body=bytes(40 * 1024 * 1024))
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
        assert "disk of the local region is full" in caught.value.response["Error"]["Message"]
        assert s3.get_object(Bucket=jobs.bucket, Key="k")["Body"].read() == b"first"
        s3.put_object(Bucket=jobs.bucket, Key="k", Body=b"second")
        assert jobs.run("train.py")["TrainingJobStatus"] == "Completed"
    finally:
        region.stop()
