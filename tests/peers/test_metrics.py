"""CloudWatch metrics through boto3: what was scraped from the log, and what clients put in."""
from datetime import datetime, timedelta, timezone

import pytest
from jobs import unique
from region import wait_until
from test_protocols import cloudwatch  # noqa: F401 (a fixture: CloudWatch in each of its protocols)

SCRAPED = "/aws/sagemaker/TrainingJobs"
LOSSES = [2.0, 1.0, 0.667, 0.5]


def window():
    now = datetime.now(timezone.utc)
    return {"StartTime": now - timedelta(hours=1), "EndTime": now + timedelta(minutes=5)}


@pytest.fixture
def trained(jobs):
    """A job whose losses were scraped."""
    name = jobs.start("train.py", hyperparameters={"epochs": 4}, metrics={"loss": r"loss=([0-9\.]+)", "accuracy": r"accuracy=([0-9\.]+)"})
    assert jobs.wait(name)["TrainingJobStatus"] == "Completed"
    return name


def dimension(name):
    return [{"Name": "TrainingJobName", "Value": name}]


def test_scraped_metrics_are_listed(clients, trained):
    metrics = clients.cloudwatch.list_metrics(Namespace=SCRAPED, Dimensions=dimension(trained))["Metrics"]
    assert sorted(metric["MetricName"] for metric in metrics) == ["accuracy", "loss"]
    assert all(metric["Namespace"] == SCRAPED and metric["Dimensions"] == dimension(trained) for metric in metrics)
    one = clients.cloudwatch.list_metrics(Namespace=SCRAPED, MetricName="loss", Dimensions=dimension(trained))["Metrics"]
    assert [metric["MetricName"] for metric in one] == ["loss"]
    by_name = clients.cloudwatch.list_metrics(Namespace=SCRAPED, Dimensions=[{"Name": "TrainingJobName"}])["Metrics"]
    assert trained in {metric["Dimensions"][0]["Value"] for metric in by_name}
    assert clients.cloudwatch.list_metrics(Namespace="none")["Metrics"] == []


def test_statistics_of_a_scraped_metric(clients, trained):
    answer = clients.cloudwatch.get_metric_statistics(
        Namespace=SCRAPED, MetricName="loss", Dimensions=dimension(trained), Period=60, Statistics=["Average", "Minimum", "Maximum", "Sum", "SampleCount"], **window()
    )
    points = answer["Datapoints"]
    assert answer["Label"] == "loss"
    assert sum(point["SampleCount"] for point in points) == len(LOSSES)
    assert sum(point["Sum"] for point in points) == pytest.approx(sum(LOSSES))
    assert min(point["Minimum"] for point in points) == 0.5 and max(point["Maximum"] for point in points) == 2.0
    for point in points:
        assert point["Average"] == pytest.approx(point["Sum"] / point["SampleCount"])
        assert point["Timestamp"].second == 0 and point["Unit"] == "None"


def query(name, identity, metric, stat, **more):
    return {"Id": identity, "MetricStat": {"Metric": {"Namespace": SCRAPED, "MetricName": metric, "Dimensions": dimension(name)}, "Period": 60, "Stat": stat}, **more}


def test_metric_data_of_several_queries(clients, trained):
    queries = [
        query(trained, "a", "loss", "Sum", Label="the loss"),
        query(trained, "b", "accuracy", "Maximum"),
        query(trained, "c", "none", "Average"),
        query(trained, "d", "loss", "Sum", ReturnData=False),
    ]
    answer = clients.cloudwatch.get_metric_data(MetricDataQueries=queries, **window())
    results = {result["Id"]: result for result in answer["MetricDataResults"]}
    assert list(results) == ["a", "b", "c"]
    assert sum(results["a"]["Values"]) == pytest.approx(sum(LOSSES)) and results["a"]["Label"] == "the loss"
    assert max(results["b"]["Values"]) == pytest.approx(0.88, abs=0.01) and results["b"]["Label"] == "accuracy"
    assert (results["c"]["Values"], results["c"]["Timestamps"]) == ([], [])
    assert {result["StatusCode"] for result in results.values()} == {"Complete"}


def test_metric_data_comes_in_order_of_time_and_in_pages(clients):
    namespace, now = unique("peers"), datetime.now(timezone.utc).replace(second=0, microsecond=0)
    data = [{"MetricName": "m", "Timestamp": now - timedelta(minutes=minute), "Value": float(minute)} for minute in range(10)]
    clients.cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)
    queries = [{"Id": "m", "MetricStat": {"Metric": {"Namespace": namespace, "MetricName": "m"}, "Period": 60, "Stat": "Average"}}]

    def values(**arguments):
        pages = clients.cloudwatch.get_paginator("get_metric_data").paginate(MetricDataQueries=queries, **window(), **arguments)
        return [(value, moment) for page in pages for result in page["MetricDataResults"] for value, moment in zip(result["Values"], result["Timestamps"])]

    newest_first = values()
    assert [value for value, _ in newest_first] == [float(minute) for minute in range(10)]
    assert [moment for _, moment in newest_first] == [now - timedelta(minutes=minute) for minute in range(10)]
    assert values(ScanBy="TimestampAscending") == newest_first[::-1]
    assert values(MaxDatapoints=3) == newest_first


def test_data_with_dimensions_units_and_statistics_sets(clients):
    namespace, now = unique("peers"), datetime.now(timezone.utc)
    data = [
        {"MetricName": "m", "Dimensions": [{"Name": "Host", "Value": "a"}], "Timestamp": now, "Value": 3.0, "Unit": "Percent"},
        {"MetricName": "m", "Dimensions": [{"Name": "Host", "Value": "b"}], "Timestamp": now, "Values": [1.0, 5.0], "Counts": [2.0, 1.0]},
        {"MetricName": "s", "Timestamp": now, "StatisticValues": {"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0}},
    ]
    clients.cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)

    def point(metric, **arguments):
        answer = clients.cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=metric, Period=3600, Statistics=["Sum", "SampleCount", "Minimum", "Maximum"], **window(), **arguments
        )
        assert len(answer["Datapoints"]) == 1
        return {key: value for key, value in answer["Datapoints"][0].items() if key not in ("Timestamp", "Unit")}

    assert point("m", Dimensions=[{"Name": "Host", "Value": "a"}]) == {"Sum": 3.0, "SampleCount": 1.0, "Minimum": 3.0, "Maximum": 3.0}
    assert point("m", Dimensions=[{"Name": "Host", "Value": "b"}]) == {"Sum": 7.0, "SampleCount": 3.0, "Minimum": 1.0, "Maximum": 5.0}
    assert point("s") == {"Sum": 10.0, "SampleCount": 4.0, "Minimum": 1.0, "Maximum": 4.0}
    without = clients.cloudwatch.get_metric_statistics(Namespace=namespace, MetricName="m", Period=3600, Statistics=["Sum"], **window())
    assert without["Datapoints"] == []  # a metric is its name and all its dimensions


def test_errors_of_metrics(clients):
    cloudwatch = clients.cloudwatch
    with pytest.raises(cloudwatch.exceptions.InvalidParameterValueException):
        cloudwatch.get_metric_statistics(Namespace="n", MetricName="m", Period=7, Statistics=["Sum"], **window())
    swapped = {"StartTime": window()["EndTime"], "EndTime": window()["StartTime"]}
    with pytest.raises(cloudwatch.exceptions.ClientError) as caught:
        cloudwatch.get_metric_statistics(Namespace="n", MetricName="m", Period=60, Statistics=["Sum"], **swapped)
    assert caught.value.response["Error"]["Code"] in {"InvalidParameterValue", "InvalidParameterCombination", "ValidationError"}


def test_percentiles_in_every_protocol(cloudwatch):  # noqa: F811
    namespace, now = unique("peers"), datetime.now(timezone.utc).replace(microsecond=0)
    data = [{"MetricName": "m", "Timestamp": now, "Values": [float(value) for value in range(1, 21)]}]
    data += [{"MetricName": "s", "Timestamp": now, "StatisticValues": {"SampleCount": 4.0, "Sum": 10.0, "Minimum": 1.0, "Maximum": 4.0}}]
    cloudwatch("PutMetricData", Namespace=namespace, MetricData=data)

    def points(metric, **arguments):
        return cloudwatch("GetMetricStatistics", Namespace=namespace, MetricName=metric, Period=3600, **arguments, **window())["Datapoints"]

    (point,) = points("m", ExtendedStatistics=["p50", "p95", "p99.9"])
    assert point["ExtendedStatistics"] == {"p50": 10.0, "p95": 19.0, "p99.9": 20.0}
    (point,) = points("m", Statistics=["Sum"], ExtendedStatistics=["p0"])
    assert (point["Sum"], point["ExtendedStatistics"]) == (210.0, {"p0": 1.0})
    assert points("s", ExtendedStatistics=["p50"]) == []  # nobody knows the values of a statistic set
    queries = [{"Id": stat.lower(), "MetricStat": {"Metric": {"Namespace": namespace, "MetricName": "m"}, "Period": 3600, "Stat": stat}} for stat in ("p50", "Maximum", "SampleCount")]
    results = cloudwatch("GetMetricData", MetricDataQueries=queries, **window())["MetricDataResults"]
    assert [sum(result["Values"]) for result in results] == [10.0, 20.0, 20.0]
    wrong = cloudwatch("GetMetricStatistics", status=400, Namespace=namespace, MetricName="m", Period=60, ExtendedStatistics=["tm99"], **window())
    assert "a percentile from p0 to p100" in wrong["Error"]["Message"]


def test_instance_metrics_of_a_running_job(clients, jobs):
    name = jobs.start("polite.py", instances=2)
    jobs.wait_for_line(name, "ready")
    host = [{"Name": "Host", "Value": f"{name}/algo-2"}]

    def seconds(metric):
        query = {"Id": "m", "MetricStat": {"Metric": {"Namespace": SCRAPED, "MetricName": metric, "Dimensions": host}, "Period": 1, "Stat": "Average"}}
        return clients.cloudwatch.get_metric_data(MetricDataQueries=[query], **window())["MetricDataResults"][0]["Values"]

    wait_until(lambda: len(seconds("CPUUtilization")) >= 3, "some seconds of measurements")
    assert max(seconds("MemoryUtilization")) > 0
    listed = clients.cloudwatch.list_metrics(Namespace=SCRAPED, Dimensions=host)["Metrics"]
    assert {"CPUUtilization", "MemoryUtilization", "DiskUtilization"} <= {metric["MetricName"] for metric in listed}
    answer = clients.cloudwatch.get_metric_statistics(
        Namespace=SCRAPED, MetricName="CPUUtilization", Dimensions=host, Period=60, Statistics=["Average", "Maximum"], ExtendedStatistics=["p99"], **window()
    )
    for point in answer["Datapoints"]:
        assert point["Unit"] == "Percent" and 0 <= point["Average"] <= point["Maximum"]
        assert set(point["ExtendedStatistics"]) == {"p99"}
    clients.sagemaker.stop_training_job(TrainingJobName=name)
    jobs.wait(name)
