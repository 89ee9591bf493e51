"""SageMaker training jobs through boto3: they really run, and the answers conform to the model."""
import json
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from jobs import members, unique
from region import CANARY, wait_until


def seen(jobs, name):
    """What contract.py saw, by host."""
    found = {}
    for line in jobs.lines(name):
        if line.startswith("SEEN "):
            report = json.loads(line[len("SEEN ") :])
            found[report["env"]["SM_CURRENT_HOST"]] = report
    return found


def test_a_job_runs_and_is_described_as_it_was_asked_for(jobs):
    channel = jobs.put_channel({"one.txt": "1"})
    request = jobs.request("contract.py", hyperparameters={"epochs": 2}, channels={"train": channel}, Environment={"COLOUR": "blue"}, metrics={"loss": "loss=([0-9.]+)"})
    arn = jobs.clients.sagemaker.create_training_job(**request)["TrainingJobArn"]
    name = request["TrainingJobName"]
    assert arn == f"arn:aws:sagemaker:us-east-1:000000000000:training-job/{name}"
    first = jobs.describe(name)
    assert (first["TrainingJobStatus"], first["TrainingJobArn"]) == ("InProgress", arn)
    job = jobs.wait(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed"), job.get("FailureReason")
    for member in ("HyperParameters", "ResourceConfig", "StoppingCondition", "RoleArn", "Environment"):
        assert job[member] == request[member]
    for member in ("TrainingImage", "TrainingInputMode", "MetricDefinitions"):
        assert job["AlgorithmSpecification"][member] == request["AlgorithmSpecification"][member]
    asked, described = request["InputDataConfig"][0], job["InputDataConfig"][0]
    assert described["ChannelName"] == "train"
    assert described["DataSource"]["S3DataSource"].items() >= asked["DataSource"]["S3DataSource"].items()
    assert job["OutputDataConfig"].items() >= {"S3OutputPath": f"s3://{jobs.bucket}/out", "KmsKeyId": ""}.items()  # "" is what attach() of the SDK needs
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{jobs.bucket}/out/{name}/output/model.tar.gz"
    assert "FailureReason" not in job


def test_a_job_walks_through_its_phases_in_order(jobs):
    job = jobs.run("train.py")
    transitions = job["SecondaryStatusTransitions"]
    statuses = [transition["Status"] for transition in transitions]
    expected = ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert [status for status in statuses if status in expected] == expected
    assert len(set(statuses)) == len(statuses)
    for before, after in zip(transitions, transitions[1:]):
        assert before["StartTime"] <= before["EndTime"] <= after["StartTime"]
    assert all(transition["StatusMessage"] for transition in transitions)
    assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"] <= job["LastModifiedTime"] + timedelta(seconds=1)
    assert job["TrainingTimeInSeconds"] >= 1 and job["BillableTimeInSeconds"] >= 1
    assert abs((job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds() - job["TrainingTimeInSeconds"]) <= 1.5


def test_the_script_gets_what_the_container_contract_promises(jobs):
    channels = {"train": jobs.put_channel({"3/a.txt": "three", "7/b.txt": "seven"}), "test-set": jobs.put_channel({"c.txt": "see"})}
    values = {"epochs": 2, "learning-rate": 0.05, "name": "dog breeds", "flag": True, "b": 7}
    name = jobs.start("contract.py", hyperparameters=values, channels=channels, Environment={"COLOUR": "blue"})
    job = jobs.wait(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    report = seen(jobs, name)["algo-1"]
    assert report["argv"] == ["-b", "7", "--epochs", "2", "--flag", "True", "--learning-rate", "0.05", "--name", "dog breeds"]
    assert report["channels"] == {"SM_CHANNEL_TRAIN": {"3/a.txt": "three", "7/b.txt": "seven"}, "SM_CHANNEL_TEST-SET": {"c.txt": "see"}}
    assert "contract.py" in report["here"]
    env = report["env"]
    plain = {
        "SM_CURRENT_HOST": "algo-1",
        "SM_HOSTS": '["algo-1"]',
        "SM_CHANNELS": '["test-set","train"]',
        "SM_NUM_GPUS": "0",
        "SM_MODULE_NAME": "contract",
        "SM_USER_ENTRY_POINT": "contract.py",
        "SM_HP_EPOCHS": "2",
        "SM_HP_LEARNING-RATE": "0.05",
        "SM_HP_NAME": "dog breeds",
        "TRAINING_JOB_NAME": name,
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
        "AWS_REGION": "us-east-1",
        "COLOUR": "blue",
    }
    assert {key: env.get(key) for key in plain} == plain
    assert json.loads(env["SM_HPS"]) == values
    assert json.loads(env["SM_USER_ARGS"]) == report["argv"]
    assert json.loads(env["SM_TRAINING_ENV"])["current_host"] == "algo-1"
    assert env["SM_MODULE_DIR"] == json.loads(job["HyperParameters"]["sagemaker_submit_directory"])
    assert report["config"]["hyperparameters.json"] == job["HyperParameters"]
    assert set(report["config"]["inputdataconfig.json"]) == set(channels)
    resources = report["config"]["resourceconfig.json"]
    assert (resources["current_host"], resources["hosts"], resources["current_instance_type"]) == ("algo-1", ["algo-1"], "ml.m5.2xlarge")


def test_the_script_sees_nothing_of_the_users_environment(jobs, region):
    name = jobs.start("contract.py")
    jobs.wait(name)
    values = seen(jobs, name)["algo-1"]["env"].values()
    assert not [value for value in values if CANARY in value]
    assert region.env["AWS_SECRET_ACCESS_KEY"] not in values


def test_model_and_output_are_packed_into_s3(jobs):
    job = jobs.run("contract.py")
    artefact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert members(jobs.fetch(artefact)) == {"model.txt": b"from algo-1"}
    output = members(jobs.fetch(artefact.replace("model.tar.gz", "output.tar.gz")))
    assert {name.rpartition("/")[2]: body for name, body in output.items()} == {"notes.txt": b"from algo-1"}


def test_every_host_of_a_job_runs_and_logs(jobs):
    name = jobs.start("contract.py", instances=3)
    job = jobs.wait(name)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    reports = seen(jobs, name)
    assert set(reports) == {"algo-1", "algo-2", "algo-3"}
    for host, report in reports.items():
        assert json.loads(report["env"]["SM_HOSTS"]) == ["algo-1", "algo-2", "algo-3"]
        assert report["config"]["resourceconfig.json"]["current_host"] == host
    streams = jobs.streams(name)
    assert [stream.split("/")[1].rpartition("-")[0] for stream in streams] == ["algo-1", "algo-2", "algo-3"]
    assert all(stream.rpartition("-")[2].isdigit() for stream in streams)


def test_the_last_value_of_each_metric_is_described(jobs):
    job = jobs.run("train.py", hyperparameters={"epochs": 4}, metrics={"loss": r"loss=([0-9\.]+)", "accuracy": r"accuracy=([0-9\.]+)", "never": "never=([0-9]+)"})
    finals = {metric["MetricName"]: metric for metric in job["FinalMetricDataList"]}
    assert set(finals) == {"loss", "accuracy"}
    assert finals["loss"]["Value"] == pytest.approx(0.5) and finals["accuracy"]["Value"] == pytest.approx(0.88, abs=0.01)
    assert job["TrainingStartTime"] - timedelta(seconds=1) <= finals["loss"]["Timestamp"] <= job["TrainingEndTime"] + timedelta(seconds=1)


def test_a_failed_job_carries_the_scripts_own_last_error(jobs):
    job = jobs.run("fail.py")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
    assert job["FailureReason"].startswith("AlgorithmError: ExecuteUserScriptError:")
    assert "ExitCode 1" in job["FailureReason"] and "RuntimeError: the pictures are upside down" in job["FailureReason"]
    assert any("RuntimeError: the pictures are upside down" in line for line in jobs.lines(job["TrainingJobName"]))


def test_the_failure_file_becomes_the_failure_reason(jobs):
    job = jobs.run("failure_file.py")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("AlgorithmError: ") and "no picture could be read" in job["FailureReason"]


def test_a_stopped_job_may_save_its_model(jobs):
    name = jobs.start("polite.py")
    jobs.wait_for_line(name, "ready")
    jobs.clients.sagemaker.stop_training_job(TrainingJobName=name)
    assert jobs.describe(name)["TrainingJobStatus"] in {"Stopping", "Stopped"}
    job = jobs.wait(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "got SIGTERM, saved" in jobs.lines(name)
    assert members(jobs.fetch(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"model.txt": b"saved on SIGTERM"}


def test_a_job_that_runs_too_long_is_stopped(jobs):
    job = jobs.run("polite.py", StoppingCondition={"MaxRuntimeInSeconds": 1})
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_listing_filters_sorts_and_pages(jobs):
    family = unique("list")
    names = [f"{family}-{letter}" for letter in "cab"]
    for name in names:
        jobs.start("train.py", name=name)
    done = {name: jobs.wait(name) for name in names}
    failed = jobs.start("fail.py", name=f"{family}-z")
    jobs.wait(failed)
    every = [*names, failed]

    def listing(**arguments):
        pages = jobs.clients.sagemaker.get_paginator("list_training_jobs").paginate(NameContains=family, **arguments)
        return [summary["TrainingJobName"] for page in pages for summary in page["TrainingJobSummaries"]]

    assert listing(SortBy="Name", SortOrder="Ascending") == sorted(every)
    assert listing(SortBy="Name", SortOrder="Descending") == sorted(every, reverse=True)
    assert listing(SortBy="CreationTime", SortOrder="Ascending") == every
    assert listing(SortBy="CreationTime", SortOrder="Descending") == every[::-1]
    assert listing(StatusEquals="Failed") == [failed]
    assert sorted(listing(StatusEquals="Completed")) == sorted(names)
    assert listing(StatusEquals="InProgress") == []
    assert listing(SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 1}) == sorted(every)
    middle = done[names[1]]["CreationTime"]
    moment = timedelta(milliseconds=1)
    assert sorted(listing(CreationTimeAfter=middle + moment)) == sorted([names[2], failed])
    assert sorted(listing(CreationTimeBefore=middle - moment)) == [names[0]]
    assert listing(LastModifiedTimeAfter=done[names[2]]["LastModifiedTime"] + timedelta(hours=1)) == []
    first = jobs.clients.sagemaker.list_training_jobs(NameContains=family, MaxResults=3)
    assert len(first["TrainingJobSummaries"]) == 3 and first["NextToken"]
    last = jobs.clients.sagemaker.list_training_jobs(NameContains=family, MaxResults=3, NextToken=first["NextToken"])
    assert len(last["TrainingJobSummaries"]) == 1 and "NextToken" not in last
    summary = jobs.clients.sagemaker.list_training_jobs(NameContains=failed)["TrainingJobSummaries"][0]
    description = jobs.describe(failed)
    for member in ("TrainingJobArn", "CreationTime", "TrainingEndTime", "LastModifiedTime", "TrainingJobStatus"):
        assert summary[member] == description[member]


def test_tags_are_added_replaced_listed_and_taken_away(jobs):
    name = jobs.start("train.py", Tags=[{"Key": "made-by", "Value": "peers"}, {"Key": "team", "Value": "red"}])
    sagemaker, arn = jobs.clients.sagemaker, jobs.describe(name)["TrainingJobArn"]

    def tags():
        return {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}

    assert tags() == {"made-by": "peers", "team": "red"}
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "blue"}, {"Key": "empty", "Value": ""}])
    assert tags() == {"made-by": "peers", "team": "blue", "empty": ""}
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["empty", "made-by"])
    assert tags() == {"team": "blue"}


def test_a_deleted_job_is_gone(jobs):
    name = jobs.run("train.py")["TrainingJobName"]
    jobs.clients.sagemaker.delete_training_job(TrainingJobName=name)

    def gone():
        try:
            return jobs.describe(name)["TrainingJobStatus"] not in {"Completed", "Deleting"}
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ValidationException"
            return True

    wait_until(gone, "the job to be gone")
    assert not jobs.clients.sagemaker.list_training_jobs(NameContains=name)["TrainingJobSummaries"]


def test_two_jobs_run_side_by_side(jobs):
    pair = [jobs.start("polite.py") for _ in range(2)]
    for name in pair:
        jobs.wait_for_line(name, "ready")
    assert [jobs.describe(name)["SecondaryStatus"] for name in pair] == ["Training", "Training"]
    for name in pair:
        jobs.clients.sagemaker.stop_training_job(TrainingJobName=name)
    assert [jobs.wait(name)["TrainingJobStatus"] for name in pair] == ["Stopped", "Stopped"]


def test_a_command_that_names_the_containers_folders_runs(jobs):
    code = jobs.put_channel({"train.py": "import os, sys\nopen('/'.join([os.environ['OUT'], 'model.txt']), 'w').write(sys.argv[1])\n"})
    request = jobs.request("train.py", channels={"code": code}, Environment={"OUT": "/opt/ml/model"})
    request["AlgorithmSpecification"].update(
        ContainerEntrypoint=["bash", "-c"],
        ContainerArguments=["ls /opt/ml/input/config && python3 /opt/ml/input/data/code/train.py hello"],
    )
    del request["HyperParameters"]
    jobs.clients.sagemaker.create_training_job(**request)
    job = jobs.wait(request["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert members(jobs.fetch(job["ModelArtifacts"]["S3ModelArtifacts"])) == {"model.txt": b"hello"}
    assert "hyperparameters.json" in jobs.lines(request["TrainingJobName"])
    assert job["AlgorithmSpecification"]["ContainerArguments"] == request["AlgorithmSpecification"]["ContainerArguments"]


def test_a_hyperparameter_that_names_the_containers_folder_is_usable(jobs):
    name = jobs.start("contract.py", hyperparameters={"output_dir": "/opt/ml/model", "other": "/opt/mlx"})
    jobs.wait(name)
    report = seen(jobs, name)["algo-1"]
    assert report["env"]["SM_HP_OUTPUT_DIR"] == report["env"]["SM_MODEL_DIR"] == report["argv"][3]
    assert report["env"]["SM_HP_OTHER"] == "/opt/mlx"
    assert json.loads(report["config"]["hyperparameters.json"]["output_dir"]) == "/opt/ml/model"


def test_jobs_are_searched_by_what_they_are(jobs):
    family = unique("search")
    for number, team in enumerate(["red", "blue", "red"]):
        jobs.start("train.py", name=f"{family}-{number}", hyperparameters={"epochs": number + 1}, Tags=[{"Key": "team", "Value": team}], metrics={"loss": r"loss=([0-9\.]+)"})
    failed = jobs.start("fail.py", name=f"{family}-z")
    for name in [*(f"{family}-{number}" for number in range(3)), failed]:
        jobs.wait(name)
    search = jobs.clients.sagemaker.search

    def found(*filters, operator="And", **more):
        named = [{"Name": name, "Operator": how, "Value": value} for name, how, value in filters]
        mine = {"Filters": [{"Name": "TrainingJobName", "Operator": "Contains", "Value": family}], "SubExpressions": [{"Filters": named, "Operator": operator}]}
        results = search(Resource="TrainingJob", SearchExpression=mine, SortBy="TrainingJobName", SortOrder="Ascending", **more)["Results"]
        return [result["TrainingJob"]["TrainingJobName"].rpartition("-")[2] for result in results]

    assert found(("Tags.team", "Equals", "red")) == ["0", "2"]
    assert found(("TrainingJobStatus", "Equals", "Failed")) == ["z"]
    assert found(("HyperParameters.epochs", "GreaterThanOrEqualTo", "2"), ("Tags.team", "Equals", "red")) == ["2"]
    assert found(("Tags.team", "Equals", "blue"), ("TrainingJobStatus", "Equals", "Failed"), operator="Or") == ["1", "z"]
    assert found(("Metrics.loss", "Exists", "x")) == ["0", "1", "2"]
    record = search(Resource="TrainingJob", SearchExpression={"Filters": [{"Name": "TrainingJobName", "Value": failed}]})["Results"][0]["TrainingJob"]
    assert record["FailureReason"] == jobs.describe(failed)["FailureReason"]
    pages = jobs.clients.sagemaker.get_paginator("search").paginate(
        Resource="TrainingJob", SearchExpression={"Filters": [{"Name": "TrainingJobName", "Operator": "Contains", "Value": family}]}, PaginationConfig={"PageSize": 3}
    )
    assert sorted(result["TrainingJob"]["TrainingJobName"] for page in pages for result in page["Results"]) == sorted([failed, *(f"{family}-{number}" for number in range(3))])
