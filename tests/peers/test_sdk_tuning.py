"""Tuning jobs: the unmodified SDK's HyperparameterTuner, and boto3 over every operation, each response checked."""
import json
import re

import pytest
from jobs import Jobs, unique
from region import Clients, wait_until
from test_processes import processes_of
from test_sagemaker_sdk import channel, estimator, sagemaker  # noqa: F401 (fixtures)

METRICS = [{"Name": "Test Loss", "Regex": r"Testing Loss: ([0-9\.]+)"}]
ENDED = {"Completed", "Failed", "Stopped"}


def tuning_request(jobs, script="hpo.py", name=None, strategy="Random", number=3, parallel=2, **config):
    """The arguments of create_hyper_parameter_tuning_job, as the SDK sends them."""
    training = jobs.request(script, metrics={"Test Loss": METRICS[0]["Regex"]})
    resources = training.pop("ResourceConfig")
    training.pop("TrainingJobName")
    training["StaticHyperParameters"] = training.pop("HyperParameters")
    training["HyperParameterTuningResourceConfig"] = resources
    return {
        "HyperParameterTuningJobName": name or unique("tune"),
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "ResourceLimits": {"MaxNumberOfTrainingJobs": number, "MaxParallelTrainingJobs": parallel},
            "TrainingJobEarlyStoppingType": "Off",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "Test Loss"},
            "ParameterRanges": {
                "ContinuousParameterRanges": [{"Name": "learning_rate", "MinValue": "0.001", "MaxValue": "0.1", "ScalingType": "Auto"}],
                "CategoricalParameterRanges": [{"Name": "batch_size", "Values": ['"32"', '"64"', '"128"']}],
                "IntegerParameterRanges": [],
            },
            **config,
        },
        "TrainingJobDefinition": training,
    }


def described(clients, name):
    return clients.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def wait(clients, name, seconds=90):
    wait_until(lambda: described(clients, name)["HyperParameterTuningJobStatus"] in ENDED, f"the end of the tuning job {name}", seconds)
    return described(clients, name)


def trials(clients, name, **more):
    """All summaries, page by page."""
    found, token = [], {}
    while True:
        page = clients.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name, **more, **token)
        found += page["TrainingJobSummaries"]
        if "NextToken" not in page:
            return found
        token = {"NextToken": page["NextToken"]}


def test_the_notebooks_tuner(sagemaker, estimator, channel, clients):  # noqa: F811
    from sagemaker.analytics import HyperparameterTuningJobAnalytics
    from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner

    tuner = HyperparameterTuner(
        estimator("hpo.py", hyperparameters={"epochs": 1}),
        objective_metric_name="Test Loss",
        hyperparameter_ranges={"learning_rate": ContinuousParameter(0.001, 0.1), "batch_size": CategoricalParameter([32, 64, 128, 256, 512])},
        metric_definitions=METRICS,
        max_jobs=3,
        max_parallel_jobs=2,
        objective_type="Minimize",
    )
    tuner.fit({"training": channel}, wait=True)
    name = tuner.latest_tuning_job.name

    frame = HyperparameterTuningJobAnalytics(name).dataframe()
    assert len(frame) == 3
    assert set(frame["TrainingJobStatus"]) == {"Completed"}
    assert set(frame["batch_size"]) <= {'"32"', '"64"', '"128"', '"256"', '"512"'}
    assert frame["learning_rate"].between(0.001, 0.1).all()
    assert (frame["TrainingElapsedTimeSeconds"] > 0).all()
    best = frame.sort_values("FinalObjectiveValue").iloc[0]

    assert tuner.best_training_job() == best["TrainingJobName"]
    assert re.fullmatch(re.escape(name) + "-00[1-3]-[0-9a-f]{8}", tuner.best_training_job())
    hyperparameters = tuner.best_estimator().hyperparameters()
    assert hyperparameters["batch_size"] == best["batch_size"]
    assert float(hyperparameters["learning_rate"]) == best["learning_rate"]
    assert hyperparameters["epochs"] == "1"
    assert hyperparameters["sagemaker_estimator_class_name"] == '"PyTorch"'

    attached = HyperparameterTuner.attach(name)
    assert attached.best_training_job() == best["TrainingJobName"]
    assert (attached.objective_metric_name, attached.objective_type, attached.max_jobs) == ("Test Loss", "Minimize", 3)
    batches = attached.hyperparameter_ranges()["CategoricalParameterRanges"][0]["Values"]
    # The SDK encodes once more what it finds.
    assert {json.loads(batch) for batch in batches} == {'"32"', '"64"', '"128"', '"256"', '"512"'}
    assert clients.sagemaker.describe_training_job(TrainingJobName=best["TrainingJobName"])["TuningJobArn"] == tuner.describe()["HyperParameterTuningJobArn"]


def test_every_operation_conforms(clients, jobs):
    request = tuning_request(jobs, number=4)
    request["Tags"] = [{"Key": "project", "Value": "dogs"}]
    name = request["HyperParameterTuningJobName"]
    arn = clients.sagemaker.create_hyper_parameter_tuning_job(**request)["HyperParameterTuningJobArn"]
    assert arn == f"arn:aws:sagemaker:us-east-1:000000000000:hyper-parameter-tuning-job/{name}"
    assert described(clients, name)["HyperParameterTuningJobStatus"] == "InProgress"
    job = wait(clients, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert job["TrainingJobStatusCounters"]["Completed"] == 4
    assert job["HyperParameterTuningJobConfig"] == request["HyperParameterTuningJobConfig"]
    sent = request["TrainingJobDefinition"]
    assert job["TrainingJobDefinition"]["HyperParameterTuningResourceConfig"] == sent["HyperParameterTuningResourceConfig"]
    assert job["TrainingJobDefinition"]["ResourceConfig"] == sent["HyperParameterTuningResourceConfig"]
    assert job["TrainingJobDefinition"]["StaticHyperParameters"] == dict(sent["StaticHyperParameters"], _tuning_objective_metric="Test Loss")

    by_value = trials(clients, name, SortBy="FinalObjectiveMetricValue", SortOrder="Ascending", MaxResults=3)
    values = [trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for trial in by_value]
    assert len(values) == 4 and values == sorted(values)
    assert by_value[0]["TrainingJobName"] == job["BestTrainingJob"]["TrainingJobName"]
    assert all(trial["TunedHyperParameters"]["batch_size"] in ('"32"', '"64"', '"128"') for trial in by_value)
    for sort in ("Name", "CreationTime", "Status"):
        assert len(trials(clients, name, SortBy=sort, SortOrder="Descending", MaxResults=1)) == 4
    assert trials(clients, name, StatusEquals="Failed") == []

    found = clients.sagemaker.list_hyper_parameter_tuning_jobs(NameContains=name, StatusEquals="Completed", SortBy="CreationTime", SortOrder="Descending")
    assert [entry["HyperParameterTuningJobName"] for entry in found["HyperParameterTuningJobSummaries"]] == [name]
    paginator = clients.sagemaker.get_paginator("list_hyper_parameter_tuning_jobs")
    names = [entry["HyperParameterTuningJobName"] for page in paginator.paginate(MaxResults=1) for entry in page["HyperParameterTuningJobSummaries"]]
    assert name in names and len(set(names)) == len(names)

    assert clients.sagemaker.list_tags(ResourceArn=arn)["Tags"] == request["Tags"]
    clients.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "one"}])
    clients.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["project"])
    assert clients.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "one"}]

    with pytest.raises(clients.sagemaker.exceptions.ResourceInUse, match="already exists. Choose a different name."):
        clients.sagemaker.create_hyper_parameter_tuning_job(**request)
    clients.sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    for ask in (clients.sagemaker.describe_hyper_parameter_tuning_job, clients.sagemaker.stop_hyper_parameter_tuning_job):
        with pytest.raises(clients.sagemaker.exceptions.ResourceNotFound, match=f"can't find a tuning job called {name}. Type another name."):
            ask(HyperParameterTuningJobName=name)


def test_stopping_stops_the_children(clients, jobs):
    request = tuning_request(jobs, "polite.py", number=5, parallel=2)
    name = request["HyperParameterTuningJobName"]
    clients.sagemaker.create_hyper_parameter_tuning_job(**request)
    wait_until(lambda: len(trials(clients, name)) == 2, "two training jobs")
    for trial in trials(clients, name):
        jobs.wait_for_line(trial["TrainingJobName"], "ready")
    clients.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    job = wait(clients, name)
    assert job["HyperParameterTuningJobStatus"] == "Stopped"
    assert job["TrainingJobStatusCounters"]["Stopped"] == 2
    assert {trial["TrainingJobStatus"] for trial in trials(clients, name, StatusEquals="Stopped")} == {"Stopped"}


def test_wrong_ranges_are_refused(clients, jobs):
    def refusal(**ranges):
        request = tuning_request(jobs, number=10)
        request["HyperParameterTuningJobConfig"]["ParameterRanges"] = ranges
        with pytest.raises(clients.sagemaker.exceptions.ClientError) as caught:
            clients.sagemaker.create_hyper_parameter_tuning_job(**request)
        assert caught.value.response["Error"]["Code"] == "ValidationException"
        return caught.value.response["Error"]["Message"]

    rate = {"Name": "learning_rate", "ScalingType": "Auto"}
    assert "must be less than" in refusal(ContinuousParameterRanges=[dict(rate, MinValue="0.1", MaxValue="0.001")])
    assert "must be less than" in refusal(ContinuousParameterRanges=[dict(rate, MinValue="0.1", MaxValue="0.1")])
    assert "more than once" in refusal(CategoricalParameterRanges=[{"Name": "batch_size", "Values": ["1", "1"]}])
    assert refusal(CategoricalParameterRanges=[{"Name": "batch_size", "Values": ["1", "2", "3"]}]).startswith(
        "You don't have enough combinations of hyperparameter ranges."
    )


def test_a_killed_region_marks_it_failed(own_region, watcher):
    def clients_and_jobs(bucket=None):
        clients = Clients(own_region.env, watcher)
        if not bucket:
            bucket = unique("peers")
            clients.s3.create_bucket(Bucket=bucket)
        return clients, Jobs(clients, bucket)

    clients, jobs = clients_and_jobs()
    request = tuning_request(jobs, "polite.py", number=5, parallel=2)
    name = request["HyperParameterTuningJobName"]
    clients.sagemaker.create_hyper_parameter_tuning_job(**request)
    wait_until(lambda: len(trials(clients, name)) == 2, "two training jobs")
    own_region.kill()
    own_region.start()
    clients, jobs = clients_and_jobs(jobs.bucket)
    job = described(clients, name)
    assert job["HyperParameterTuningJobStatus"] == "Failed"
    assert "the local region stopped while this tuning job was running" in job["FailureReason"]
    assert job["TrainingJobStatusCounters"] == {"Completed": 0, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 2, "Stopped": 0}
    assert {trial["TrainingJobStatus"] for trial in trials(clients, name)} == {"Failed"}
    assert clients.sagemaker.list_hyper_parameter_tuning_jobs(StatusEquals="InProgress")["HyperParameterTuningJobSummaries"] == []
    assert not [pid for trial in trials(clients, name) for pid in processes_of(trial["TrainingJobName"])]
    watcher.raise_violations()
