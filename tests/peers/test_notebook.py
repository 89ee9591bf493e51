"""The mission's notebook from its first cell to its last, through the unmodified SDK, on the real images of the example: upload, tune,
look at the table, train with the best values on one instance and on four, deploy, predict, take down."""
import zipfile

import pytest
from jobs import execution_role, unique
from region import ROOT, wait_until
from test_sagemaker_sdk import sagemaker  # noqa: F401  (a fixture)

DIGITS = ROOT / "examples" / "digits"
METRICS = [{"Name": "test loss", "Regex": r"test_loss=([0-9.eE+-]+)"}]


@pytest.fixture
def images(tmp_path):
    """The folder with train/ and test/, a folder per class."""
    with zipfile.ZipFile(DIGITS / "digits.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_the_whole_notebook(sagemaker, clients, images):  # noqa: F811
    from sagemaker.analytics import HyperparameterTuningJobAnalytics, TrainingJobAnalytics
    from sagemaker.deserializers import JSONDeserializer
    from sagemaker.pytorch import PyTorch, PyTorchModel
    from sagemaker.serializers import IdentitySerializer
    from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner

    session, role = sagemaker.Session(), execution_role(clients)
    data = session.upload_data(str(images), bucket=session.default_bucket(), key_prefix=unique("dogImages"))

    def estimator(**more):
        return PyTorch(
            entry_point="train.py",
            source_dir=str(DIGITS / "code"),
            framework_version="1.9",
            py_version="py38",
            role=role,
            instance_type="ml.m5.2xlarge",
            base_job_name=unique("notebook"),
            metric_definitions=METRICS,
            **more,
        )

    tuner = HyperparameterTuner(
        estimator(instance_count=1, hyperparameters={"epochs": 2, "hidden": 16}),
        objective_metric_name="test loss",
        hyperparameter_ranges={"learning-rate": ContinuousParameter(0.001, 0.1), "batch-size": CategoricalParameter([32, 64, 128, 256, 512])},
        metric_definitions=METRICS,
        max_jobs=2,
        max_parallel_jobs=1,
        objective_type="Minimize",
    )
    tuner.fit({"train": data}, wait=True)
    table = HyperparameterTuningJobAnalytics(tuner.latest_tuning_job.name).dataframe().sort_values("FinalObjectiveValue")
    assert list(table["TrainingJobStatus"]) == ["Completed", "Completed"]
    assert tuner.best_training_job() == table.iloc[0]["TrainingJobName"]
    best = tuner.best_estimator().hyperparameters()
    chosen = {"learning-rate": float(best["learning-rate"].strip('"')), "batch-size": int(best["batch-size"].strip('"'))}
    assert chosen["learning-rate"] == pytest.approx(table.iloc[0]["learning-rate"], rel=1e-12)

    predictors = []
    for count in (1, 4):
        trained = estimator(instance_count=count, hyperparameters={"epochs": 2, "hidden": 16, **chosen})
        trained.fit({"train": data}, wait=True)
        curve = TrainingJobAnalytics(trained.latest_training_job.name, metric_names=["test loss"]).dataframe()
        assert len(curve) >= 1 and (curve["value"] > 0).all()
        hosts = clients.logs.describe_log_streams(
            logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=trained.latest_training_job.name + "/"
        )["logStreams"]
        assert len(hosts) == count
        model = PyTorchModel(
            model_data=trained.model_data,
            role=role,
            entry_point="inference.py",
            source_dir=str(DIGITS / "code"),
            framework_version="1.9",
            py_version="py38",
        )
        predictors.append(
            model.deploy(
                initial_instance_count=1,
                instance_type="ml.t2.medium",
                serializer=IdentitySerializer("image/png"),
                deserializer=JSONDeserializer(),
            )
        )

    image = sorted((images / "test" / "3").glob("*.png"))[0].read_bytes()
    for predictor in predictors:
        answer = predictor.predict(image)
        assert set(answer["probabilities"]) == {str(digit) for digit in range(10)}
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-3)

    for predictor in predictors:
        predictor.delete_model()
        predictor.delete_endpoint()
    names = [predictor.endpoint_name for predictor in predictors]
    left = lambda: [each["EndpointName"] for each in clients.sagemaker.list_endpoints()["Endpoints"] if each["EndpointName"] in names]
    wait_until(lambda: not left(), "the end of both endpoints")
