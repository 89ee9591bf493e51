"""Checkpoints and managed spot training: boto3, the SDK's estimator, and a region that is killed between two jobs."""
import re

from conformance import Conformance
from jobs import Jobs, unique
from region import Clients, wait_until
from test_sagemaker_sdk import estimator, printed, sagemaker  # noqa: F401 (fixtures)


def checkpoint(jobs, prefix):
    """The text of the checkpoint in S3, or None."""
    found = jobs.clients.s3.list_objects_v2(Bucket=jobs.bucket, Prefix=f"{prefix}/epoch").get("Contents")
    return jobs.fetch(f"s3://{jobs.bucket}/{prefix}/epoch").decode() if found else None


def test_a_job_goes_on_from_the_checkpoints_of_one_that_the_region_took_with_it(own_region):
    jobs = Jobs(Clients(own_region.env, Conformance()), "lasting")
    jobs.clients.s3.create_bucket(Bucket=jobs.bucket)
    config = {"S3Uri": f"s3://{jobs.bucket}/ck"}
    first = jobs.start("resume.py", CheckpointConfig=config, Environment={"WAIT": "1"}, hyperparameters={"checkpoints": "/opt/ml/checkpoints"})
    wait_until(lambda: checkpoint(jobs, "ck") == "1", "the checkpoint in S3")
    own_region.kill()
    own_region.start()
    jobs.clients = Clients(own_region.env, Conformance())
    assert jobs.wait(first)["TrainingJobStatus"] == "Failed"
    second = jobs.run("resume.py", CheckpointConfig=config, hyperparameters={"checkpoints": "/opt/ml/checkpoints"})
    assert second["TrainingJobStatus"] == "Completed", second.get("FailureReason")
    assert "resumed from 1" in jobs.lines(second["TrainingJobName"])
    assert second["CheckpointConfig"] == {"S3Uri": config["S3Uri"], "LocalPath": "/opt/ml/checkpoints"}
    assert checkpoint(jobs, "ck") == "2"
    jobs.clients.conformance.raise_violations()


def test_the_sdk_trains_on_spot_with_checkpoints(sagemaker, estimator, jobs, clients, capsys):  # noqa: F811
    prefix = unique("ck")
    spot = estimator(
        "resume.py",
        hyperparameters={"checkpoints": "/opt/ml/checkpoints"},
        use_spot_instances=True,
        max_run=600,
        max_wait=900,
        checkpoint_s3_uri=f"s3://{jobs.bucket}/{prefix}",
        checkpoint_local_path="/opt/ml/checkpoints",
        enable_network_isolation=True,
        encrypt_inter_container_traffic=True,
    )
    spot.fit(wait=True, logs="All")
    assert checkpoint(jobs, prefix) == "1"
    text = "\n".join(printed(capsys))
    training, billable = (int(re.search(rf"{kind} seconds: (\d+)", text)[1]) for kind in ("Training", "Billable"))
    assert 0 < billable <= training
    assert "Managed Spot Training savings: " in text
    described = clients.sagemaker.describe_training_job(TrainingJobName=spot.latest_training_job.name)
    assert described["EnableManagedSpotTraining"] and described["EnableNetworkIsolation"] and described["EnableInterContainerTrafficEncryption"]
    assert described["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}


def test_trials_have_checkpoints_of_their_own(clients, jobs):
    from test_sdk_tuning import trials, tuning_request, wait

    request = tuning_request(jobs, "resume.py", number=2, parallel=1)
    request["TrainingJobDefinition"]["CheckpointConfig"] = {"S3Uri": f"s3://{jobs.bucket}/trials"}
    name = request["HyperParameterTuningJobName"]
    clients.sagemaker.create_hyper_parameter_tuning_job(**request)
    assert wait(clients, name)["TrainingJobStatusCounters"]["Completed"] == 2
    for trial in trials(clients, name):
        assert checkpoint(jobs, f"trials/{trial['TrainingJobName']}") == "1"
