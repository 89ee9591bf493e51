"""STS, IAM, and what the env file alone does for a client."""
import stat
import subprocess
import sys

import pytest
from region import clean_environment


def test_the_caller_is_an_assumed_role(clients):
    caller = clients.sts.get_caller_identity()
    assert caller["Account"] == "000000000000"
    prefix, role, session = caller["Arn"].split("/")
    assert prefix == "arn:aws:sts::000000000000:assumed-role" and role and session
    assert caller["UserId"].endswith(":" + session)


def test_the_role_of_the_caller_is_an_execution_role(clients):
    name = clients.sts.get_caller_identity()["Arn"].split("/")[1]
    role = clients.iam.get_role(RoleName=name)["Role"]
    assert role["Arn"].startswith("arn:aws:iam::000000000000:role/") and role["Arn"].endswith("/" + name)
    assert "sagemaker.amazonaws.com" in str(role["AssumeRolePolicyDocument"])


def test_an_unknown_role_is_no_such_entity(clients):
    with pytest.raises(clients.iam.exceptions.NoSuchEntityException) as caught:
        clients.iam.get_role(RoleName="nobody")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert "nobody" in caught.value.response["Error"]["Message"]


def test_the_env_file_is_all_that_boto3_needs(region):
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    done = subprocess.run([sys.executable, "-c", script], env=region.env, stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout.strip() == "000000000000"


def test_the_env_file_keeps_clients_on_loopback(region):
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION"):
        assert region.env.get(name), f"{name} is not exported"
    assert region.endpoint.startswith("http://127.0.0.1:")
    assert region.env.get("AWS_EC2_METADATA_DISABLED") == "true"
    assert region.env["AWS_SECRET_ACCESS_KEY"] not in clean_environment().values()
    assert len(region.env["AWS_SECRET_ACCESS_KEY"]) >= 32


def test_only_its_user_can_read_the_env_file(region):
    if region.process is None:
        pytest.skip("the region was started by someone else (PEERS_ENV_FILE)")
    assert stat.S_IMODE(region.env_file.stat().st_mode) & 0o077 == 0


def test_only_loopback_can_reach_the_port(region):
    port = int(region.endpoint.rpartition(":")[2])
    listening = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as rows:
            for row in list(rows)[1:]:
                _, address, _, state = row.split()[:4]
                host, _, found = address.partition(":")
                if state == "0A" and int(found, 16) == port:
                    listening.add(host)
    assert listening <= {"0100007F", "00000000000000000000000001000000"} and listening
