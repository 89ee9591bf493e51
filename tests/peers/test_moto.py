"""footplate against moto's server, an AWS that nobody here wrote, for what moto has: the same commands as against AWS."""
import base64
import json
import subprocess
import sys
import zipfile

import boto3
import pytest
from botocore.config import Config
from region import ROOT, binary, clean_environment, wait_until

DIGITS = ROOT / "examples" / "digits"
REGION = "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/trainer"


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    """A moto server; its address."""
    folder = tmp_path_factory.mktemp("moto")
    code = "from moto.server import ThreadedMotoServer; import time\nserver = ThreadedMotoServer(ip_address='127.0.0.1', port=0, verbose=False)\nserver.start()\nprint(server.get_host_and_port()[1], flush=True)\ntime.sleep(3600)"
    with open(folder / "moto.log", "wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log, env=clean_environment(), text=True)
    port = process.stdout.readline().strip()
    assert port.isdigit(), (folder / "moto.log").read_text()
    yield f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def client(moto):
    def make(service):
        config = Config(region_name=REGION, s3={"addressing_style": "path"})
        return boto3.client(service, endpoint_url=moto, aws_access_key_id="a", aws_secret_access_key="b", config=config)

    return make


@pytest.fixture
def footplate(moto, tmp_path):
    """Runs the program as a user of AWS would, except that AWS is on loopback, which has to be allowed."""

    def run(*arguments, code=0, cwd=tmp_path):
        env = {
            **clean_environment(), "HOME": str(tmp_path), "AWS_ENDPOINT_URL": moto, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": REGION,
        }
        done = subprocess.run([binary(), "--allow-loopback", *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def names(listed):
    return {row["id"] for row in json.loads(listed)}


def test_without_leave_loopback_is_not_reached(moto, tmp_path):
    env = {**clean_environment(), "HOME": str(tmp_path), "AWS_ENDPOINT_URL": moto, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": REGION}
    done = subprocess.run([binary(), "ls", "training-jobs"], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and "would go to 127.0.0.1 on this machine" in done.stderr, done.stderr


def test_a_folder_goes_up_and_comes_back(footplate, client, tmp_path):
    client("s3").create_bucket(Bucket="moto-data")
    with zipfile.ZipFile(DIGITS / "digits.zip") as archive:
        inside = [name for name in archive.namelist() if name.endswith(".png")][:40]
        archive.extractall(tmp_path / "images", inside)
    (tmp_path / "images" / "a name, ünusual").write_text("x")
    footplate("upload", str(tmp_path / "images"), "s3://moto-data/images/")
    there = client("s3").list_objects_v2(Bucket="moto-data", Prefix="images/")["Contents"]
    assert {entry["Key"] for entry in there} == {f"images/{name}" for name in [*inside, "a name, ünusual"]}
    assert "s3://moto-data/" in names(footplate("ls", "data", "--json"))
    assert "s3://moto-data/images/" in names(footplate("ls", "data", "s3://moto-data/", "--json"))


def test_a_training_job_is_launched_seen_and_stopped(footplate, client):
    launched = footplate("--project", str(DIGITS), "train", "--set", f"role={ROLE}", "--name", "moto", "--yes").strip()
    job = client("sagemaker").describe_training_job(TrainingJobName=launched)
    assert job["HyperParameters"]["epochs"] == "60" and job["ResourceConfig"]["InstanceType"] == "ml.m5.2xlarge"
    tags = {tag["Key"]: tag["Value"] for tag in client("sagemaker").list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]}
    assert tags["footplate:project"] == "digits" and tags["footplate:order"]
    assert launched in names(footplate("ls", "training-jobs", "--json"))
    shown = json.loads(footplate("show", "training-jobs", launched, "--json"))
    assert shown["id"] == launched and shown["hyperparameters"]["epochs"] == "60"


def test_tuning_jobs_are_listed(footplate, client):
    """moto keeps tuning jobs, but has no trials to list: the rows have to do without what only trials tell."""
    sagemaker = client("sagemaker")
    sagemaker.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName="moto-tune",
        HyperParameterTuningJobConfig={
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "lr", "MinValue": "0.001", "MaxValue": "0.1"}]},
        },
    )
    assert "moto-tune" in names(footplate("ls", "tuning-jobs", "--json"))


def test_an_endpoint_is_listed_shown_and_taken_down_in_order(footplate, client):
    sagemaker = client("sagemaker")
    container = {"Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:1.9-cpu-py38", "ModelDataUrl": "s3://moto-data/model.tar.gz"}
    sagemaker.create_model(ModelName="moto-model", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "AllTraffic", "ModelName": "moto-model", "InstanceType": "ml.t2.medium", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="moto-config", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="moto-endpoint", EndpointConfigName="moto-config")
    assert "moto-endpoint" in names(footplate("ls", "endpoints", "--json"))
    assert json.loads(footplate("show", "endpoints", "moto-endpoint", "--json"))["id"] == "moto-endpoint"
    footplate("delete", "endpoints", "moto-endpoint", "--yes")
    wait_until(lambda: not sagemaker.list_endpoints()["Endpoints"], "the end of the endpoint")
    assert not sagemaker.list_endpoint_configs()["EndpointConfigs"] and not sagemaker.list_models()["Models"]


def test_a_notebook_instance_is_listed(footplate, client):
    client("sagemaker").create_notebook_instance(NotebookInstanceName="moto-notebook", InstanceType="ml.t3.medium", RoleArn=ROLE)
    assert any("moto-notebook" in name for name in names(footplate("ls", "notebooks", "--json")))


def test_an_instance_is_launched_changed_and_ended(footplate, client):
    ec2 = client("ec2")
    [image] = ec2.describe_images(Filters=[{"Name": "name", "Values": ["amzn-ami-hvm-2017.09.1.20171103-x86_64-gp2"]}])["Images"]
    wanted = [f"--set={pair}" for pair in [f"image={image['ImageId']}", "instance_type=t3.medium", "address=203.0.113.7", "lease=2h"]]
    planned = json.loads(footplate("instance", *wanted, "--dry-run", "--json"))
    assert planned["request"]["ImageId"] == image["ImageId"] and not planned["problems"]
    assert not ec2.describe_instances()["Reservations"]

    launched = footplate("instance", *wanted, "--name", "moto-machine", "--yes", "--wait").strip()

    def there():
        return ec2.describe_instances(InstanceIds=[launched])["Reservations"][0]["Instances"][0]

    def attribute(name):
        return ec2.describe_instance_attribute(InstanceId=launched, Attribute=name)

    machine = there()
    tags = {tag["Key"]: tag["Value"] for tag in machine["Tags"]}
    assert tags["Name"] == "moto-machine" and tags["footplate:order"] in machine["ClientToken"]
    assert attribute("instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"
    timer = base64.b64decode(attribute("userData")["UserData"]["Value"]).decode()
    assert timer.startswith("#!/bin/sh\n") and "shutdown -h now" in timer
    [group] = ec2.describe_security_groups(GroupIds=[group["GroupId"] for group in machine["SecurityGroups"]])["SecurityGroups"]
    [rule] = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], [each["CidrIp"] for each in rule["IpRanges"]]) == (22, 22, ["203.0.113.7/32"])
    [volume] = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [launched]}])["Volumes"]
    assert {"Key": "footplate:order", "Value": tags["footplate:order"]} in volume["Tags"]

    assert launched in names(footplate("ls", "instances", "--json"))
    assert json.loads(footplate("show", "instances", launched, "--json"))["id"] == launched
    footplate("update", "instances", launched, "--set", "lease=8h", "--yes")
    assert {tag["Key"]: tag["Value"] for tag in there()["Tags"]}["footplate:lease"] > tags["footplate:lease"]
    footplate("stop", "instances", launched, "--yes")
    wait_until(lambda: there()["State"]["Name"] == "stopped", "the stop")
    footplate("update", "instances", launched, "--set", "instance_type=t3.large", "--yes")
    footplate("start", "instances", launched, "--yes")
    wait_until(lambda: there()["State"]["Name"] == "running", "the start")
    assert there()["InstanceType"] == "t3.large"
    footplate("reboot", "instances", launched, "--yes")
    footplate("delete", "instances", launched, "--yes")
    wait_until(lambda: there()["State"]["Name"] == "terminated", "the end")
