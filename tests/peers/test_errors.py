"""Bad requests: the code and the message are the service's own."""
import json

import pytest
from botocore.exceptions import ClientError
from jobs import GROUP, unique
from raw import call, send, signed
from region import Clients

ACCOUNT_LIMIT = (
    "The account-level service limit 'ml.g4dn.xlarge for training job usage' is 0 Instances, with current utilization of 0 Instances "
    "and a request delta of 1 Instances."
)


def refusal(call, **arguments):
    """(code, message) of a refused call; its status is 400 as for all of SageMaker's own refusals."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return response["Error"]["Code"], response["Error"]["Message"]


def error(answer):
    """The error code of an awsJson answer to a request made by hand."""
    return json.loads(answer.body)["__type"].rpartition("#")[2]


def create(jobs, **changes):
    """The refusal of a job that is right but for the changes; nothing may be left of it."""
    request = jobs.request("train.py", **changes)
    refused = refusal(jobs.clients.sagemaker.create_training_job, **request)
    newest = jobs.clients.sagemaker.list_training_jobs(SortBy="CreationTime", SortOrder="Descending", MaxResults=20)["TrainingJobSummaries"]
    assert request["TrainingJobName"] not in [summary["TrainingJobName"] for summary in newest]
    return refused


def test_an_unknown_training_job(clients):
    for operation in ("describe_training_job", "stop_training_job", "delete_training_job"):
        assert refusal(getattr(clients.sagemaker, operation), TrainingJobName=unique("none")) == ("ValidationException", "Requested resource not found.")


def test_a_name_is_used_once(jobs):
    request = jobs.request("train.py")
    arn = jobs.clients.sagemaker.create_training_job(**request)["TrainingJobArn"]
    jobs.wait(request["TrainingJobName"])
    expected = f"Training job names must be unique within an AWS account and region, and a training job with this name already exists ({arn})"
    assert refusal(jobs.clients.sagemaker.create_training_job, **request) == ("ResourceInUse", expected)


@pytest.mark.parametrize("script, status", [("train.py", "Completed"), ("fail.py", "Failed")])
def test_a_finished_job_cannot_be_stopped(jobs, script, status):
    name = jobs.run(script)["TrainingJobName"]
    expected = f"The request was rejected because the training job is in status {status}."
    assert refusal(jobs.clients.sagemaker.stop_training_job, TrainingJobName=name) == ("ValidationException", expected)


@pytest.mark.parametrize("name", ["dog_pytorch", "-dash", "dash-", "dot.ted", "space d", "ä"])
def test_a_name_must_match_the_pattern(jobs, name):
    code, message = create(jobs, name=name)
    assert code == "ValidationException"
    assert message == (
        f"1 validation error detected: Value '{name}' at 'trainingJobName' failed to satisfy constraint: "
        "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
    )


def test_a_name_has_63_characters_at_most(jobs):
    code, message = create(jobs, name="n" * 64)
    assert code == "ValidationException"
    assert "at 'trainingJobName' failed to satisfy constraint: Member must have length less than or equal to 63" in message


@pytest.mark.parametrize("kind", ["ml.nonsense.large", "ml.t2.medium", "m5.large"])
def test_an_instance_type_must_be_one_for_training(jobs, kind):
    code, message = create(jobs, ResourceConfig={"InstanceType": kind, "InstanceCount": 1, "VolumeSizeInGB": 30})
    assert code == "ValidationException"
    assert message.startswith(f"1 validation error detected: Value '{kind}' at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum value set: [")
    assert "ml.m5.2xlarge" in message


def test_a_quota_of_nothing(jobs):
    code, message = create(jobs, ResourceConfig={"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30})
    assert code == "ResourceLimitExceeded"
    assert message.startswith(ACCOUNT_LIMIT)


def test_an_empty_prefix(jobs):
    uri = f"s3://{jobs.bucket}/nothing-here"
    code, message = create(jobs, channels={"train": uri})
    assert code == "ValidationException"
    expected = f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in the selected region (us-east-1)'
    assert message.startswith(expected)


def test_a_missing_bucket(jobs):
    uri = f"s3://{unique('none')}/data"
    code, message = create(jobs, channels={"train": uri})
    assert code == "ValidationException"
    assert message.startswith(f'No S3 objects found under S3 URL "{uri}" given in input data source.')


def test_a_bad_role(jobs):
    code, message = create(jobs, RoleArn="arn:aws:iam::nobody:role/x")
    assert code == "ValidationException"
    assert "1 validation error detected: Value 'arn:aws:iam::nobody:role/x' at 'roleArn' failed to satisfy constraint: Member must satisfy regular expression pattern: " in message


def test_a_regex_that_does_not_compile(jobs):
    code, message = create(jobs, metrics={"loss": "loss=([0-9"})
    assert code == "ValidationException"
    assert "loss=([0-9" in message or "'loss'" in message


@pytest.mark.parametrize(
    "changes, value, path, least",
    [
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, 0, "stoppingCondition.maxRuntimeInSeconds", 1),
        ({"ResourceConfig": {"InstanceType": "ml.m5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": -1}}, -1, "resourceConfig.volumeSizeInGB", 0),
    ],
)
def test_numbers_have_ranges(jobs, region, changes, value, path, least):
    # boto3 would refuse these itself, so they are sent by hand
    answer = call(region.env, "SageMaker.CreateTrainingJob", {**jobs.request("train.py"), **changes})
    assert (answer.status, error(answer)) == (400, "ValidationException")
    assert f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have value greater than or equal to {least}" in answer.body.decode()


def test_a_required_member_is_missing(jobs, region):
    request = jobs.request("train.py")
    del request["OutputDataConfig"]
    answer = call(region.env, "SageMaker.CreateTrainingJob", request)
    assert (answer.status, error(answer)) == (400, "ValidationException")
    assert "Value null at 'outputDataConfig' failed to satisfy constraint: Member must not be null" in answer.body.decode()


def test_a_page_has_100_jobs_at_most(clients):
    code, message = refusal(clients.sagemaker.list_training_jobs, MaxResults=101)
    assert code == "ValidationException"
    assert "Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100" in message


def test_a_token_from_nowhere(clients):
    code, message = refusal(clients.sagemaker.list_training_jobs, NextToken="not-a-token")
    assert code == "ValidationException" and message


def test_an_enum_in_a_list_request(clients):
    code, message = refusal(clients.sagemaker.list_training_jobs, SortBy="Colour")
    assert code == "ValidationException"
    assert "Value 'Colour' at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: [" in message


def test_tags_of_a_job_that_is_not_there(clients):
    arn = f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{unique('none')}"
    assert refusal(clients.sagemaker.add_tags, ResourceArn=arn, Tags=[{"Key": "k", "Value": "v"}])[0] in ("ValidationException", "ResourceNotFound")


# Who is asking: every service says it in its own way.
LIST = ("SageMaker.ListTrainingJobs", {})


def test_an_unsigned_request(region):
    headers = {"X-Amz-Target": LIST[0], "Content-Type": "application/x-amz-json-1.1"}
    answer = send(region.env, "POST", "/", headers, b"{}")
    assert answer.status in (400, 403) and error(answer) == "MissingAuthenticationTokenException"
    answer = send(region.env, "GET", "/", {})
    assert answer.status == 403 and b"<Code>AccessDenied</Code>" in answer.body


WRONG_SECRET, WRONG_KEY = {"secret": "x" * 40}, {"key_id": "AKIAIOSFODNN7EXAMPLE"}


@pytest.mark.parametrize(
    "credentials, service, operation, code",
    [
        (WRONG_SECRET, "sagemaker", "list_training_jobs", "InvalidSignatureException"),
        (WRONG_SECRET, "logs", "describe_log_groups", "InvalidSignatureException"),
        (WRONG_SECRET, "sts", "get_caller_identity", "SignatureDoesNotMatch"),
        (WRONG_SECRET, "s3", "list_buckets", "SignatureDoesNotMatch"),
        (WRONG_KEY, "sagemaker", "list_training_jobs", "UnrecognizedClientException"),
        (WRONG_KEY, "logs", "describe_log_groups", "UnrecognizedClientException"),
        (WRONG_KEY, "sts", "get_caller_identity", "InvalidClientTokenId"),
        (WRONG_KEY, "s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_wrong_credentials(clients, region, watcher, credentials, service, operation, code):
    stranger = Clients(region.env, watcher, **credentials)
    with pytest.raises(ClientError) as caught:
        getattr(getattr(stranger, service), operation)()
    response = caught.value.response
    assert response["Error"]["Code"] == code
    assert response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)


def test_a_changed_body_breaks_the_signature(region):
    headers = {"X-Amz-Target": LIST[0], "Content-Type": "application/x-amz-json-1.1"}
    answer = send(region.env, "POST", "/", signed(region.env, "sagemaker", "POST", "/", headers, b"{}"), b'{"MaxResults": 1}')
    assert answer.status in (400, 403) and error(answer) == "InvalidSignatureException"


def test_an_old_signature_has_expired(region):
    fresh = call(region.env, *LIST)
    assert fresh.status == 200
    headers = {"X-Amz-Target": LIST[0], "Content-Type": "application/x-amz-json-1.1"}
    stale = signed(region.env, "sagemaker", "POST", "/", headers, b"{}")
    stale["X-Amz-Date"] = "20200101T000000Z"
    answer = send(region.env, "POST", "/", stale, b"{}")
    assert answer.status in (400, 403) and error(answer) in ("InvalidSignatureException", "RequestExpired")


# A page in the user's browser must not reach the region, whatever it manages to send.


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Referer": "http://evil.example/x"}, {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Mode": "no-cors"}, {"sec-fetch-dest": "image"},
    ],
)
def test_a_browser_is_refused_even_with_a_signature(region, header):
    assert call(region.env, *LIST, more=header).status == 403
    answer = send(region.env, "GET", "/", {**signed(region.env, "s3", "GET", "/", {}, b""), **header})
    assert answer.status == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


def test_a_preflight_is_refused(region):
    answer = send(region.env, "OPTIONS", "/", {"Access-Control-Request-Method": "POST"})
    assert answer.status == 403
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]


HOSTS = [
    "evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "2130706433:{port}", "0.0.0.0:{port}", "localhost.evil.example:{port}",
    "user@127.0.0.1:{port}", "127.0.0.1.:{port}",
]


@pytest.mark.parametrize("host", HOSTS)
def test_only_the_exact_host_is_answered(region, host):
    host = host.format(port=region.endpoint.rpartition(":")[2])
    assert call(region.env, *LIST, host=host).status == 421


def test_localhost_is_the_same_host(region):
    assert call(region.env, *LIST, host=f"localhost:{region.endpoint.rpartition(':')[2]}").status == 200


# What is not there is said so.


def test_an_operation_that_the_region_does_not_have(region):
    answer = call(region.env, "SageMaker.CreateUnicorn", {})
    assert (answer.status, error(answer)) == (400, "UnknownOperationException")


def test_a_body_that_is_no_json(region):
    headers = {"X-Amz-Target": LIST[0], "Content-Type": "application/x-amz-json-1.1"}
    body = b"{not json"
    answer = send(region.env, "POST", "/", signed(region.env, "sagemaker", "POST", "/", headers, body), body)
    assert (answer.status, error(answer)) == (400, "SerializationException")


def test_logs_of_a_job_that_never_was(jobs):
    with pytest.raises(ClientError) as caught:
        jobs.clients.logs.get_log_events(logGroupName=GROUP, logStreamName=unique("none"))
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"
