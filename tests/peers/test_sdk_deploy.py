"""Endpoints: the unmodified sagemaker SDK deploys, predicts and deletes; boto3 asks every operation."""
import json
import subprocess
import sys
import zipfile

import pytest
from botocore.exceptions import ClientError
from jobs import SCRIPTS, archive, execution_role, unique
from region import ROOT, wait_until
from test_sagemaker_sdk import sagemaker  # noqa: F401  (a fixture)

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:1.9-cpu-py38"
DIGITS = ROOT / "examples" / "digits"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


class Endpoints:
    """Makes models, configurations and endpoints with boto3."""

    def __init__(self, clients, bucket):
        self.clients, self.bucket, self.role = clients, bucket, execution_role(clients)

    def upload(self, files):
        """A model archive; its S3 URI."""
        key = f"{unique('model')}/model.tar.gz"
        self.clients.s3.put_object(Bucket=self.bucket, Key=key, Body=archive(files))
        return f"s3://{self.bucket}/{key}"

    def model(self, script="serve.py", **more):
        name = unique("model")
        uri = self.upload({"code/inference.py": (SCRIPTS / script).read_text(), "weights.txt": "heavy"})
        container = {"Image": IMAGE, "ModelDataUrl": uri, "Environment": {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_REGION": "us-east-1"}}
        answer = self.clients.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role, PrimaryContainer=container, **more)
        assert answer["ModelArn"] == f"arn:aws:sagemaker:us-east-1:000000000000:model/{name}"
        return name

    def config(self, model, instances=1, **more):
        name = unique("config")
        variant = {"VariantName": "AllTraffic", "ModelName": model, "InstanceType": "ml.t2.medium", "InitialInstanceCount": instances}
        self.clients.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], **more)
        return name

    def start(self, config, **more):
        name = unique("endpoint")
        self.clients.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, **more)
        return name

    def status(self, name):
        return self.clients.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]

    def serving(self, name):
        wait_until(lambda: self.status(name) in ("InService", "Failed"), f"{name} to settle")
        assert self.status(name) == "InService", self.clients.sagemaker.describe_endpoint(EndpointName=name).get("FailureReason")
        return name

    def deploy(self, **more):
        return self.serving(self.start(self.config(self.model()), **more))

    def gone(self, name):
        try:
            self.status(name)
        except ClientError as error:
            return f'Could not find endpoint "arn:aws:sagemaker:us-east-1:000000000000:endpoint/{name}".' in str(error)
        return False

    def delete(self, name):
        self.clients.sagemaker.delete_endpoint(EndpointName=name)
        wait_until(lambda: self.gone(name), f"the end of {name}")


@pytest.fixture
def endpoints(clients, bucket):
    return Endpoints(clients, bucket)


@pytest.fixture
def runtime(clients):
    return getattr(clients, "sagemaker-runtime")


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def test_the_sdk_deploys_predicts_and_deletes(sagemaker, endpoints, clients, capsys):  # noqa: F811
    from sagemaker.deserializers import JSONDeserializer
    from sagemaker.pytorch import PyTorchModel
    from sagemaker.serializers import IdentitySerializer, JSONSerializer

    made = PyTorchModel(
        model_data=endpoints.upload({"weights.txt": "light"}),
        entry_point="serve.py",
        source_dir=str(SCRIPTS),
        framework_version="1.9",
        py_version="py38",
        role=endpoints.role,
    )
    predictor = made.deploy(initial_instance_count=1, instance_type="ml.t2.medium", serializer=IdentitySerializer("image/png"), deserializer=JSONDeserializer())
    assert capsys.readouterr().out.rstrip().endswith("!"), "the SDK saw Creating and then InService"
    assert predictor.predict(PNG) == {"bytes": len(PNG), "type": "bytes", "content_type": "image/png", "model": "light", "accept": "application/json"}
    predictor.serializer = JSONSerializer()
    assert predictor.predict({"ask": [1, 2]})["ask"] == [1, 2]

    described = clients.sagemaker.describe_endpoint(EndpointName=predictor.endpoint_name)
    assert described["ProductionVariants"][0]["DeployedImages"][0]["SpecifiedImage"] == IMAGE
    config = described["EndpointConfigName"]
    assert clients.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]["InstanceType"] == "ml.t2.medium"
    predictor.delete_model()
    predictor.delete_endpoint()
    wait_until(lambda: endpoints.gone(predictor.endpoint_name), "the end of the endpoint")
    assert refused(clients.sagemaker.describe_endpoint_config, EndpointConfigName=config)[1].startswith("Could not find endpoint configuration")
    assert refused(clients.sagemaker.describe_model, ModelName=made.name)[1].startswith("Could not find model")


def test_a_model_that_raises_reaches_the_sdk_with_its_traceback(sagemaker, endpoints, clients):  # noqa: F811
    from sagemaker.predictor import Predictor
    from sagemaker.serializers import JSONSerializer

    name = endpoints.deploy()
    with pytest.raises(ClientError) as caught:
        Predictor(name, serializer=JSONSerializer()).predict({"raise": True})
    answer = caught.value.response
    assert answer["Error"]["Code"] == "ModelError" and answer["OriginalStatusCode"] == 500
    assert "RuntimeError: the model is tired" in answer["OriginalMessage"]
    group, _, stream = answer["LogStreamArn"].partition(":log-group:")[2].partition(":log-stream:")
    assert group == f"/aws/sagemaker/Endpoints/{name}"

    def logged():
        events = clients.logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
        return any("RuntimeError: the model is tired" in event["message"] for event in events)

    wait_until(logged, "the traceback in the log")
    endpoints.delete(name)


def test_every_operation_answers_as_the_model_says(endpoints, clients, runtime, watcher):
    api = clients.sagemaker
    tags = [{"Key": "project", "Value": "dogs"}]
    model, other = endpoints.model(Tags=tags), endpoints.model()
    config, wide = endpoints.config(model, Tags=tags), endpoints.config(other, instances=2)
    name = endpoints.serving(endpoints.start(config, Tags=tags))
    shown = api.describe_model(ModelName=model)
    assert shown["PrimaryContainer"]["Image"] == IMAGE and shown["ExecutionRoleArn"] == endpoints.role
    assert [entry["ModelName"] for entry in api.list_models(NameContains=model)["Models"]] == [model]
    assert [entry["EndpointConfigName"] for entry in api.list_endpoint_configs(NameContains=config)["EndpointConfigs"]] == [config]
    assert [entry["EndpointName"] for entry in api.list_endpoints(NameContains=name, StatusEquals="InService")["Endpoints"]] == [name]
    newest = [entry["ModelName"] for entry in api.list_models(MaxResults=2)["Models"]]
    assert newest == [other, model], "newest first"

    for arn in (shown["ModelArn"], api.describe_endpoint_config(EndpointConfigName=config)["EndpointConfigArn"], api.describe_endpoint(EndpointName=name)["EndpointArn"]):
        assert api.list_tags(ResourceArn=arn)["Tags"] == tags
        api.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "x"}])
        api.delete_tags(ResourceArn=arn, TagKeys=["project"])
        assert api.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "more", "Value": "x"}]

    answer = runtime.invoke_endpoint(EndpointName=name, Body=b"{}", ContentType="application/json", TargetVariant="AllTraffic", InferenceId="i-1", CustomAttributes="a=b")
    assert answer["InvokedProductionVariant"] == "AllTraffic" and answer["ContentType"] == "application/json"
    assert json.loads(answer["Body"].read())["model"] == "heavy"

    api.update_endpoint(EndpointName=name, EndpointConfigName=wide)
    assert endpoints.status(name) == "Updating"
    assert refused(api.delete_endpoint, EndpointName=name)[1].startswith("Cannot update in-progress endpoint")
    endpoints.serving(name)
    api.update_endpoint_weights_and_capacities(EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 1, "DesiredWeight": 2.0}])
    endpoints.serving(name)
    variant = api.describe_endpoint(EndpointName=name)["ProductionVariants"][0]
    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (1, 2.0)

    endpoints.delete(name)
    for each in (config, wide):
        api.delete_endpoint_config(EndpointConfigName=each)
    for each in (model, other):
        api.delete_model(ModelName=each)
    assert refused(runtime.invoke_endpoint, EndpointName=name, Body=b"{}") == ("ValidationError", f"Endpoint {name} of account 000000000000 not found.")
    wanted = {f"{verb}{kind}" for verb in ("Create", "Describe", "Delete") for kind in ("Model", "EndpointConfig", "Endpoint")}
    wanted |= {"ListModels", "ListEndpointConfigs", "ListEndpoints", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"}
    assert {f"sagemaker.{operation}" for operation in wanted} | {"sagemaker-runtime.InvokeEndpoint"} <= watcher.seen


def test_a_body_over_six_mebibytes_is_refused(endpoints, runtime, watcher):
    name = endpoints.deploy()
    largest = runtime.invoke_endpoint(EndpointName=name, Body=bytes(6 << 20), ContentType="image/png")
    assert json.loads(largest["Body"].read())["bytes"] == 6 << 20
    assert refused(runtime.invoke_endpoint, EndpointName=name, Body=bytes((6 << 20) + 1), ContentType="image/png") == ("413", "HTTP content length exceeded 6291456 bytes.")
    # AWS's front end sends no code with it; the check of codes has nothing to say about that.
    watcher.violations = [violation for violation in watcher.violations if "error code '413'" not in violation]
    endpoints.delete(name)


def test_calls_of_an_endpoint_are_measured(endpoints, clients, runtime):
    from datetime import datetime, timedelta, timezone

    name = endpoints.deploy()
    for _ in range(5):
        runtime.invoke_endpoint(EndpointName=name, Body=b"{}", ContentType="application/json")
    assert refused(runtime.invoke_endpoint, EndpointName=name, Body=b'{"raise": 1}', ContentType="application/json")[0] == "ModelError"
    now = datetime.now(timezone.utc)
    dimensions = [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": "AllTraffic"}]

    def ask(metric, *statistics, namespace="AWS/SageMaker", **extended):
        window = {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(hours=1), "Period": 3600}
        answer = clients.cloudwatch.get_metric_statistics(Namespace=namespace, MetricName=metric, Dimensions=dimensions, Statistics=list(statistics), **window, **extended)
        return answer["Datapoints"]

    assert sum(point["Sum"] for point in ask("Invocations", "Sum")) == 6
    assert sum(point["Sum"] for point in ask("Invocation5XXErrors", "Sum")) == 1
    assert sum(point["Sum"] for point in ask("InvocationModelErrors", "Sum")) == 1
    for point in ask("ModelLatency", "Average", "Minimum", "Maximum", ExtendedStatistics=["p50", "p95", "p99"]):
        assert point["Unit"] == "Microseconds"
        assert point["Minimum"] <= point["ExtendedStatistics"]["p50"] * 1.02
        assert point["ExtendedStatistics"]["p50"] <= point["ExtendedStatistics"]["p99"] <= point["Maximum"] * 1.02
    found = wait_until(lambda: ask("MemoryUtilization", "Maximum", namespace="/aws/sagemaker/Endpoints"), "a measurement of the instance")
    assert found[0]["Maximum"] > 0 and found[0]["Unit"] == "Percent"
    names = {metric["MetricName"] for metric in clients.cloudwatch.list_metrics(Namespace="AWS/SageMaker", Dimensions=dimensions)["Metrics"]}
    assert names == {"Invocations", "InvocationsPerInstance", "Invocation4XXErrors", "Invocation5XXErrors", "InvocationModelErrors", "ModelLatency", "OverheadLatency"}
    endpoints.delete(name)


def test_an_endpoint_comes_back_after_the_region_was_killed(own_region):
    from conformance import Conformance
    from region import Clients

    clients = Clients(own_region.env, Conformance())
    clients.s3.create_bucket(Bucket="lasting")
    endpoints = Endpoints(clients, "lasting")
    name = endpoints.deploy()
    own_region.kill()
    own_region.start()
    clients = Clients(own_region.env, Conformance())
    endpoints.clients = clients
    wait_until(lambda: endpoints.status(name) == "InService", "the endpoint to serve again")
    answer = getattr(clients, "sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=b"{}", ContentType="application/json")
    assert json.loads(answer["Body"].read())["model"] == "heavy"


def test_the_example_reads_digits(endpoints, runtime, tmp_path):
    with zipfile.ZipFile(DIGITS / "digits.zip") as packed:
        packed.extractall(tmp_path / "data")
    env = {"SM_CHANNEL_TRAIN": str(tmp_path / "data"), "SM_MODEL_DIR": str(tmp_path), "SM_OUTPUT_DATA_DIR": str(tmp_path / "out"), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, str(DIGITS / "code" / "train.py"), "--epochs", "6", "--hidden", "32"], env=env, check=True, capture_output=True, timeout=120)
    files = {f"code/{path.name}": path.read_text() for path in (DIGITS / "code").glob("*.py")}
    uri = endpoints.upload(dict(files, **{"model.json": (tmp_path / "model.json").read_text()}))
    container = {"Image": IMAGE, "ModelDataUrl": uri}
    model = unique("digits")
    endpoints.clients.sagemaker.create_model(ModelName=model, ExecutionRoleArn=endpoints.role, PrimaryContainer=container)
    name = endpoints.serving(endpoints.start(endpoints.config(model)))

    def ask(body, kind):
        return json.loads(runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType=kind, Accept="application/json")["Body"].read())

    right, images = 0, sorted((tmp_path / "data" / "test").glob("*/*.png"))[::12]
    for path in images:
        answer = ask(path.read_bytes(), "image/png")
        assert abs(sum(answer["probabilities"].values()) - 1) < 1e-3 and answer["probability"] == max(answer["probabilities"].values())
        right += answer["class"] == path.parent.name
    assert right / len(images) > 0.7, f"{right} of {len(images)}"

    assert set(ask(json.dumps({"pixels": [0.5] * 64}), "application/json")["probabilities"]) == set("0123456789")
    for body, kind, text in [
        (b"GIF89a", "image/png", "not a PNG file"),
        (b"{}", "application/json", "the JSON has no pixels"),
        (b'{"pixels": [1, 2]}', "application/json", "the image has 2 pixels, and the model was trained with 64"),
        (b"x", "audio/wav", "cannot read audio/wav: send image/png or application/json"),
    ]:
        code, message = refused(runtime.invoke_endpoint, EndpointName=name, Body=body, ContentType=kind)
        assert code == "ModelError" and text in message
    endpoints.delete(name)
